//! The loading client: its connection, what counts as measured, and the steps that rows share.

use std::io::Write as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::content::{Content, Random};
use crate::probe::Counting;
use crate::wire::{PIECE, Wire};

/// How large a row is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Bytes of the large value.
    pub(crate) size: u64,
    /// Where a row says "a million keys".
    pub(crate) keys: u64,
    /// How long requests are to be counted in a row.
    pub(crate) measured: Duration,
}

/// A row that takes long to prepare is given up after this many times the duration that is to be measured; what was counted
/// until then is its figure.
const PATIENCE_FACTOR: u32 = 6;

/// Bytes of `$16\r\nkey:000000000000\r\n`.
const KEY_BULK: usize = 23;

pub(crate) struct Load {
    pub(crate) wire: Wire,
    pub(crate) scale: Scale,
    pub(crate) random: Random,
    port: u16,
    counting: Arc<Counting>,
    begun: Instant,
    counted: Duration,
    repeats: u32,
    /// Numbers the contents, so that no two values are alike.
    contents: u64,
}

impl Load {
    pub(crate) fn new(port: u16, scale: Scale, counting: Arc<Counting>) -> Result<Load> {
        Ok(Load {
            wire: Wire::connect(port)?,
            scale,
            random: Random(2),
            port,
            counting,
            begun: Instant::now(),
            counted: Duration::ZERO,
            repeats: 0,
            contents: 0,
        })
    }

    pub(crate) fn repeats(&self) -> u32 {
        self.repeats
    }

    pub(crate) fn counted(&self) -> Duration {
        self.counted
    }

    /// A connection beside the load's own.
    pub(crate) fn other_wire(&self) -> Result<Wire> {
        Wire::connect(self.port)
    }

    /// A content that no value has had yet.
    pub(crate) fn new_content(&mut self) -> Content {
        self.contents += 1;
        Content { seed: self.contents << 32 }
    }

    // ---- what is measured

    /// Whether a row that repeats itself should do so again.
    pub(crate) fn again(&self) -> bool {
        self.repeats == 0
            || self.counted < self.scale.measured && self.begun.elapsed() < self.scale.measured * PATIENCE_FACTOR
    }

    /// Counts the prober's requests during an act, and for a while after it: what a command leaves to be done later shall count too.
    /// The server's own ledger is reset before the first one.
    pub(crate) fn measure(&mut self, after: Duration, act: impl FnOnce(&mut Load) -> Result) -> Result {
        if self.repeats == 0 {
            self.ask(&["CONFIG", "RESETSTAT"], "+OK")?;
        }
        self.repeats += 1;
        let begun = Instant::now();
        self.counting.set(true);
        let done = act(self);
        thread::sleep(after);
        self.counting.set(false);
        self.counted += begun.elapsed();
        done
    }

    /// Counts while an act is repeated without a pause, for as long as is to be measured.
    pub(crate) fn measure_repeated(&mut self, mut act: impl FnMut(&mut Load) -> Result) -> Result {
        let measured = self.scale.measured;
        self.measure(Duration::ZERO, |load| {
            let begun = Instant::now();
            while begun.elapsed() < measured {
                act(load)?;
            }
            Ok(())
        })
    }

    /// What the server's ledger says, as `name=value ...`; empty when it keeps none.
    pub(crate) fn ledger(&mut self) -> Result<String> {
        self.wire.request(&["INFO", "stalls"])?;
        let head = self.wire.line()?;
        let len: usize = head.strip_prefix('$').ok_or("INFO answers no bulk")?.parse()?;
        let text = String::from_utf8_lossy(self.wire.take(len)?).into_owned();
        self.wire.expect("")?;
        let fields = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':'));
        // A value's own blanks would look like the next field.
        let fields: Vec<String> =
            fields.map(|(name, value)| format!("{name}={}", value.trim().replace(' ', "_"))).collect();
        Ok(fields.join(" "))
    }

    // ---- steps

    /// A request of short words and the line that must answer it.
    pub(crate) fn ask(&mut self, words: &[&str], expected: &str) -> Result {
        self.wire.request(words)?;
        self.wire.expect(expected).map_err(|error| format!("{}: {error}", words.join(" ")).into())
    }

    /// Empties the server, and lets what it does behind that end.
    pub(crate) fn flush(&mut self) -> Result {
        self.ask(&["FLUSHALL"], "+OK")?;
        thread::sleep(Duration::from_millis(300));
        Ok(())
    }

    /// Sets a key to a value that is made while it is sent.
    pub(crate) fn set(&mut self, key: &str, content: Content, len: u64) -> Result {
        self.wire.send(format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n", key.len()).as_bytes())?;
        self.wire.send_bulk(content, 0, len)?;
        self.wire.expect("+OK")
    }

    /// Sets `big` to a new content, outside of what is measured.
    pub(crate) fn set_big(&mut self) -> Result<Content> {
        let content = self.new_content();
        self.set("big", content, self.scale.size)?;
        thread::sleep(Duration::from_millis(50));
        Ok(content)
    }

    /// Gets a key, which must have this value.
    pub(crate) fn get(&mut self, key: &str, content: Content, len: u64) -> Result {
        self.wire.request(&["GET", key])?;
        self.wire.expect_bulk(content, 0, len)
    }

    /// Sets the keys `key:N` of a range in one pipeline: a thread sends without a pause while this one reads the replies.
    pub(crate) fn pipeline(&mut self, keys: std::ops::Range<u64>) -> Result {
        let mut sender = self.wire.sender()?;
        let replies = (keys.end - keys.start) * 5;
        let sending = thread::spawn(move || -> Result {
            let mut requests = Vec::with_capacity(PIECE + 100);
            for key in keys {
                push_set(key, &mut requests);
                if requests.len() >= PIECE {
                    sender.write_all(&requests)?;
                    requests.clear();
                }
            }
            Ok(sender.write_all(&requests)?)
        });
        // After an error the sender may wait for a server that reads no more; the process ends with that error.
        self.expect_ok(replies)?;
        sending.join().map_err(|_| "the sender panicked")?
    }

    /// Sets the keys of a range, waiting for the replies of each batch.
    pub(crate) fn set_in_batches(&mut self, keys: std::ops::Range<u64>, batch: u64) -> Result {
        let mut requests = Vec::new();
        let mut from = keys.start;
        while from < keys.end {
            let to = keys.end.min(from + batch);
            (from..to).for_each(|key| push_set(key, &mut requests));
            self.wire.send(&requests)?;
            requests.clear();
            self.expect_ok((to - from) * 5)?;
            from = to;
        }
        Ok(())
    }

    /// Reads so many bytes of `+OK\r\n`, over and over.
    fn expect_ok(&mut self, bytes: u64) -> Result {
        let mut place = 0;
        while place < bytes {
            let part = self.wire.some(usize::try_from(bytes - place).unwrap_or(PIECE))?;
            let expected = b"+OK\r\n".iter().cycle().skip(usize::try_from(place % 5).unwrap_or(0));
            if let Some((wrong, _)) =
                part.iter().zip(expected).enumerate().find_map(|(at, (a, b))| (a != b).then_some((at, a)))
            {
                return Err(format!("a SET is answered {:.100?}", String::from_utf8_lossy(&part[wrong..])).into());
            }
            place += part.len() as u64;
        }
        Ok(())
    }

    /// Reads the reply of `KEYS key:*`, which must be `key:0` to `key:(keys-1)`, each once.
    pub(crate) fn expect_keys(&mut self, keys: u64) -> Result {
        self.wire.expect(&format!("*{keys}"))?;
        self.expect_elements(keys, |_, _| Ok(()))
    }

    /// Reads the bulks `key:0` to `key:(count-1)` in any order, each once. `each` is called behind each of them, with its number.
    pub(crate) fn expect_elements(&mut self, count: u64, mut each: impl FnMut(&mut Load, u64) -> Result) -> Result {
        let mut seen = vec![false; usize::try_from(count)?];
        for _ in 0..count {
            let bulk = self.wire.take(KEY_BULK)?;
            let number = bulk.strip_prefix(b"$16\r\nkey:").and_then(|rest| rest.strip_suffix(b"\r\n"));
            let number = number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
            match number.and_then(|number| Some((number, seen.get_mut(number)?))) {
                Some((number, seen)) if !*seen => {
                    *seen = true;
                    each(self, number as u64)?;
                }
                _ => return Err(format!("an element is {:?}", String::from_utf8_lossy(bulk)).into()),
            }
        }
        Ok(())
    }
}

fn push_set(key: u64, requests: &mut Vec<u8>) {
    let written = write!(requests, "*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$16\r\n{key:016}\r\n");
    written.expect("a vector takes what is written");
}
