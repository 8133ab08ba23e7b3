//! The client of `scripts/bench eviction`: uses a server as a cache that is too small for its keys.
//!
//! ```text
//! cache PORT KEYS SMALLEST LARGEST WARM_UP REQUESTS
//! ```
//!
//! Reads keys by chance, a few of them very often (Zipf's law with an exponent of 0.99, as YCSB does), in pipelines of 32, and
//! writes each key that was missing. A key's value has always the same length, from SMALLEST to LARGEST bytes, short ones more
//! often than long ones (the logarithm is uniform). After WARM_UP reads it prints `warm`, and after REQUESTS more
//! `figures name=value ...`. A value that is not the key's ends it with 1 and a line that says so.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::ExitCode;
use std::time::Instant;

/// What went wrong, in a sentence.
type Error = Box<dyn std::error::Error>;

const PIPELINE: usize = 32;
const EXPONENT: f64 = 0.99;
/// Bytes of the number that a value begins with.
const NUMBER: usize = 12;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("wrong {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Error> {
    let numbers = args.iter().map(|arg| arg.parse()).collect::<Result<Vec<u64>, _>>()?;
    let [port, keys, smallest, largest, warm_up, requests] = numbers[..] else {
        return Err("cache PORT KEYS SMALLEST LARGEST WARM_UP REQUESTS".into());
    };
    let mut load = Load {
        wire: Wire::connect(u16::try_from(port)?)?,
        zipf: Zipf::new(usize::try_from(keys)?),
        random: Random(0x5eed),
        sizes: (smallest as f64, largest as f64),
        counted: Counted::default(),
    };
    load.read(warm_up)?;
    println!("warm");
    load.counted = Counted::default();
    let began = Instant::now();
    load.read(requests)?;
    let Counted { reads, hits, refused, slowest_us } = load.counted;
    let seconds = began.elapsed().as_secs_f64();
    println!("figures reads={reads} hits={hits} refused={refused} seconds={seconds:.3} slowest_us={slowest_us}");
    Ok(())
}

#[derive(Debug, Default)]
struct Counted {
    reads: u64,
    hits: u64,
    /// Writes for which there was no memory.
    refused: u64,
    /// The longest time for a pipeline.
    slowest_us: u128,
}

struct Load {
    wire: Wire,
    zipf: Zipf,
    random: Random,
    sizes: (f64, f64),
    counted: Counted,
}

impl Load {
    /// Reads keys, and writes those that are missing.
    fn read(&mut self, requests: u64) -> Result<(), Error> {
        let mut done = 0;
        let mut text = Vec::new();
        let mut missing: Vec<u64> = Vec::new();
        while done < requests {
            let began = Instant::now();
            text.clear();
            missing.clear();
            let keys: [u64; PIPELINE] = std::array::from_fn(|_| self.zipf.rank(self.random.next()) as u64);
            for key in keys {
                write!(text, "*2\r\n$3\r\nGET\r\n$16\r\nkey:{key:012}\r\n")?;
            }
            self.wire.stream.write_all(&text)?;
            for key in keys {
                match self.wire.reply()? {
                    None => missing.push(key),
                    Some(value) => {
                        let number = format!("{key:012}");
                        if value.get(..NUMBER) != Some(number.as_bytes()) || value.len() != length(key, self.sizes) {
                            return Err(format!("the value of key {key} is another's").into());
                        }
                        self.counted.hits += 1;
                    }
                }
            }
            done += PIPELINE as u64;
            self.counted.reads += PIPELINE as u64;
            text.clear();
            for &key in &missing {
                let len = length(key, self.sizes);
                write!(text, "*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n${len}\r\n{key:012}")?;
                text.resize(text.len() + len - NUMBER, b'x');
                text.extend_from_slice(b"\r\n");
            }
            self.wire.stream.write_all(&text)?;
            for _ in &missing {
                match self.wire.reply() {
                    Ok(_) => {}
                    Err(error) if error.to_string().starts_with("OOM") => self.counted.refused += 1,
                    Err(error) => return Err(error),
                }
            }
            self.counted.slowest_us = self.counted.slowest_us.max(began.elapsed().as_micros());
        }
        Ok(())
    }
}

/// The length of a key's value: by chance, but always the same.
fn length(key: u64, (smallest, largest): (f64, f64)) -> usize {
    let share = Random(key.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unit();
    ((smallest.ln() + share * (largest / smallest).ln()).exp() as usize).max(NUMBER)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.unit()
    }

    /// A number from 0 to 1 for the present state.
    fn unit(&self) -> f64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Ranks by Zipf's law.
struct Zipf {
    /// For each rank the sum of the weights up to it.
    sums: Vec<f64>,
}

impl Zipf {
    fn new(count: usize) -> Zipf {
        let mut sum = 0.0;
        let weights = (1..=count).map(|rank| (rank as f64).powf(-EXPONENT));
        Zipf {
            sums: weights
                .map(|weight| {
                    sum += weight;
                    sum
                })
                .collect(),
        }
    }

    /// The rank for a number from 0 to 1.
    fn rank(&self, unit: f64) -> usize {
        let all = self.sums.last().copied().unwrap_or(0.0);
        self.sums.partition_point(|&sum| sum < unit * all).min(self.sums.len() - 1)
    }
}

/// A connection, and what has arrived on it.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What was handed out of the buffer.
    at: usize,
}

impl Wire {
    fn connect(port: u16) -> Result<Wire, Error> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60)))?;
        Ok(Wire { stream, buffer: Vec::new(), at: 0 })
    }

    /// The next reply: a bulk string, or nothing.
    fn reply(&mut self) -> Result<Option<&[u8]>, Error> {
        let line = self.line()?;
        match line.split_at_checked(1) {
            Some(("+", _)) => Ok(None),
            Some(("-", text)) => Err(text.to_owned().into()),
            Some(("$", "-1")) => Ok(None),
            Some(("$", len)) => {
                let len: usize = len.parse()?;
                while self.buffer.len() < self.at + len + 2 {
                    self.receive()?;
                }
                self.at += len + 2;
                Ok(Some(&self.buffer[self.at - len - 2..self.at - 2]))
            }
            _ => Err(format!("a reply that begins with {line:?}").into()),
        }
    }

    fn line(&mut self) -> Result<String, Error> {
        loop {
            if let Some(len) = self.buffer[self.at..].iter().position(|&byte| byte == b'\n') {
                let line = String::from_utf8_lossy(&self.buffer[self.at..self.at + len - 1]).into_owned();
                self.at += len + 1;
                return Ok(line);
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> Result<(), Error> {
        const PIECE: usize = 256 * 1024;
        self.buffer.drain(..self.at);
        self.at = 0;
        let have = self.buffer.len();
        self.buffer.resize(have + PIECE, 0);
        let received = self.stream.read(&mut self.buffer[have..])?;
        self.buffer.truncate(have + received);
        if received == 0 { Err("the server has closed the connection".into()) } else { Ok(()) }
    }
}
