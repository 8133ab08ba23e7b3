//! The only place where time is read.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use super::host;
use crate::engine::Now;

/// Reads both clocks at the price of one (about 30 ns): the time of day is the monotonic time plus an offset, which
/// [`adjust`](Clock::adjust) renews many times a second.
#[derive(Debug)]
pub(super) struct Clock {
    /// Time of day, in microseconds since the Unix epoch, when the monotonic time was 0.
    offset_us: Cell<i64>,
}

impl Clock {
    pub(super) fn new() -> Clock {
        let clock = Clock { offset_us: Cell::new(0) };
        clock.adjust();
        clock
    }

    /// Nanoseconds since the process began, as the engine reads them itself (see [`crate::engine::Host::clock_ns`]).
    pub(super) fn ns(&self) -> u64 {
        host::clock_ns()
    }

    /// Microseconds since the process began.
    pub(super) fn monotonic_us(&self) -> u64 {
        self.ns() / 1000
    }

    pub(super) fn now(&self) -> Now {
        self.at(self.ns())
    }

    /// Both clocks at a moment that [`ns`](Clock::ns) told.
    pub(super) fn at(&self, ns: u64) -> Now {
        let monotonic_us = ns / 1000;
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
