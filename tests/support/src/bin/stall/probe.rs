//! The prober: 2,000 small requests a second, GET and SET in turn, in an open loop.
//!
//! A request's latency runs from when it was *due*, not from when it was sent. While a reply is late, requests go on becoming
//! due; they are sent together once it is there, and all of them count as late as they are. So a stall of 100 ms is seen by 200 requests,
//! as it would be by 200 clients.
//!
//! Its own error: it sleeps until shortly before a request is due and spins from there, reads without blocking for a while
//! before it lets the system wake it, and notes how late it was when nothing but the system's scheduler can have been the cause (`late`).

use std::collections::VecDeque;
use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::content::Random;
use crate::wire::PATIENCE;

const PERIOD: Duration = Duration::from_micros(500);
/// How long before a request is due the prober stops sleeping: more than the 50 us by which Linux may oversleep.
const SPIN_BEFORE: Duration = Duration::from_micros(80);
/// How long a reply is waited for without sleeping.
const SPIN_AFTER: Duration = Duration::from_micros(120);
const KEYS: u64 = 64;

/// What the load tells the prober.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    on: AtomicBool,
    ended: AtomicBool,
}

impl Counting {
    /// Whether requests count from now on.
    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    fn on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    /// Ends the prober.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

/// What was measured, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    latencies: Vec<u64>,
    late: Vec<u64>,
}

/// The sample below which a share of all samples lies; they are sorted.
fn quantile(sorted: &[u64], per_mille: usize) -> u64 {
    let place = (sorted.len() * per_mille).div_ceil(1000).max(1) - 1;
    sorted.get(place).copied().unwrap_or(0)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, late) = (&self.latencies, &self.late);
        write!(f, "samples={} p50_ns={} p99_ns={}", all.len(), quantile(all, 500), quantile(all, 990))?;
        write!(f, " p999_ns={} max_ns={}", quantile(all, 999), all.last().unwrap_or(&0))?;
        write!(f, " late_p999_ns={} late_max_ns={}", quantile(late, 999), late.last().unwrap_or(&0))
    }
}

/// A request that was sent.
struct Asked {
    due: Instant,
    reply: Vec<u8>,
}

/// The prober's connection and keys.
struct Prober {
    stream: TcpStream,
    arrived: Vec<u8>,
    /// The value that each key has after all that was sent.
    values: Vec<u64>,
    random: Random,
    asked: u64,
    may_miss: bool,
}

/// Runs until [`Counting::end`]. With `may_miss` a GET may find nothing, because the load flushes.
///
/// # Errors
/// A wrong reply, or the system's.
pub(crate) fn run(port: u16, may_miss: bool, counting: &Counting) -> Result<Figures> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nonblocking(true)?;
    let mut prober =
        Prober { stream, arrived: Vec::new(), values: vec![0; KEYS as usize], random: Random(1), asked: 0, may_miss };
    let mut requests = Vec::new();
    for key in 0..KEYS {
        let reply = prober.set(key, &mut requests);
        prober.send(&requests)?;
        prober.await_reply(&reply)?;
        requests.clear();
    }

    let mut figures = Figures::default();
    let mut in_flight = VecDeque::new();
    let mut due = Instant::now() + PERIOD;
    while !counting.ended.load(Ordering::SeqCst) {
        let waited = wait_until(due);
        let now = Instant::now();
        let counted = counting.on();
        if waited && counted {
            figures.late.push(nanoseconds(now - due));
        }
        // At most 2,000 together, which fit into the sockets; after a longer stall the rest follows.
        while due <= now && in_flight.len() < 2_000 {
            let reply = prober.next_request(&mut requests);
            in_flight.push_back(Asked { due, reply });
            due += PERIOD;
        }
        prober.send(&requests)?;
        requests.clear();
        while let Some(Asked { due, reply }) = in_flight.pop_front() {
            prober.await_reply(&reply)?;
            let latency = due.elapsed();
            if counted || counting.on() {
                figures.latencies.push(nanoseconds(latency));
            }
        }
    }
    figures.latencies.sort_unstable();
    figures.late.sort_unstable();
    Ok(figures)
}

/// Waits, and says whether there was something to wait for.
fn wait_until(due: Instant) -> bool {
    let left = due.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return false;
    }
    if let Some(asleep) = left.checked_sub(SPIN_BEFORE) {
        thread::sleep(asleep);
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
    true
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Prober {
    /// Adds a SET of a new value, and returns its reply.
    fn set(&mut self, key: u64, requests: &mut Vec<u8>) -> Vec<u8> {
        self.asked += 1;
        self.values[key as usize] = self.asked;
        let text = format!("*3\r\n$3\r\nSET\r\n$8\r\nprobe:{key:02}\r\n$16\r\n{:016}\r\n", self.asked);
        requests.extend_from_slice(text.as_bytes());
        b"+OK\r\n".to_vec()
    }

    /// Adds the next request, and returns its reply.
    fn next_request(&mut self, requests: &mut Vec<u8>) -> Vec<u8> {
        let key = self.random.below(KEYS);
        if self.asked.is_multiple_of(2) {
            return self.set(key, requests);
        }
        self.asked += 1;
        requests.extend_from_slice(format!("*2\r\n$3\r\nGET\r\n$8\r\nprobe:{key:02}\r\n").as_bytes());
        format!("$16\r\n{:016}\r\n", self.values[key as usize]).into_bytes()
    }

    /// Sends all of it. The socket does not block; two thousand small requests fit into its buffers, or nearly.
    fn send(&mut self, mut bytes: &[u8]) -> Result {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(SPIN_BEFORE),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn await_reply(&mut self, expected: &[u8]) -> Result {
        loop {
            for reply in [expected, b"$-1\r\n"].into_iter().take(1 + usize::from(self.may_miss)) {
                if self.arrived.starts_with(reply) {
                    self.arrived.drain(..reply.len());
                    return Ok(());
                }
            }
            if self.arrived.len() >= expected.len() {
                let (expected, arrived) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(&self.arrived));
                return Err(format!("{expected:?} expected, {arrived:.100?} received").into());
            }
            self.receive()?;
        }
    }

    /// Reads something: spins for a while, then lets the system wake it.
    fn receive(&mut self) -> Result {
        let mut buffer = [0; 16 * 1024];
        let begun = Instant::now();
        let received = loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if begun.elapsed() > SPIN_AFTER {
                        self.stream.set_nonblocking(false)?;
                        let received = self.stream.read(&mut buffer);
                        self.stream.set_nonblocking(true)?;
                        break received?;
                    }
                }
                other => break other?,
            }
        };
        if received == 0 {
            return Err("the server closed the connection".into());
        }
        self.arrived.extend_from_slice(&buffer[..received]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_sample() {
        let samples: Vec<u64> = (1..=1000).collect();
        assert_eq!([quantile(&samples, 500), quantile(&samples, 990), quantile(&samples, 999)], [500, 990, 999]);
        assert_eq!(quantile(&samples[..10], 999), 10, "too few samples: the worst one");
        assert_eq!(quantile(&[], 500), 0);
    }
}
