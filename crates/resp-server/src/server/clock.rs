//! The only place where time is read.

use std::cell::Cell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::engine::Now;

/// Reads both clocks at the price of one (about 25 ns): the time of day is the monotonic time plus an offset, which
/// [`adjust`](Clock::adjust) renews many times a second.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    /// Time of day, in microseconds since the Unix epoch, when the monotonic time was 0.
    offset_us: Cell<i64>,
}

impl Clock {
    pub(super) fn new() -> Clock {
        let clock = Clock { start: Instant::now(), offset_us: Cell::new(0) };
        clock.adjust();
        clock
    }

    /// Microseconds since the clock was made.
    pub(super) fn monotonic_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    pub(super) fn now(&self) -> Now {
        let monotonic_us = self.monotonic_us();
        Now { unix_us: self.offset_us.get() + monotonic_us as i64, monotonic_us }
    }

    /// Takes up what has become of the time of day: an operator or the network may have set it.
    pub(super) fn adjust(&self) {
        let unix_us = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_micros() as i64,
            Err(before) => -(before.duration().as_micros() as i64),
        };
        self.offset_us.set(unix_us - self.monotonic_us() as i64);
    }
}
