//! Where the bytes of a log are: the accounting equation.
//!
//! For every buffer, at every moment: `live + tombstoned + dead + padding = end - start`, where `start` is the offset of the
//! first entry that the buffer still keeps and `end` its write offset.

use std::ops::{Add, AddAssign, Sub, SubAssign};

/// Bytes of entries by their state, headers included, and the chunks beneath them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogUsage {
    /// Entries that are in the map.
    pub live_bytes: u64,
    /// Entries removed during a pass that the pass has still to copy.
    pub tombstoned_bytes: u64,
    /// Entries that are dead for good.
    pub dead_bytes: u64,
    /// Filled up at the seam of a merge; dead as well.
    pub padding_bytes: u64,
    /// Memory of the chunks, the open end included.
    pub chunk_bytes: u64,
    /// How many chunks.
    pub chunks: u64,
}

impl LogUsage {
    /// All bytes of entries.
    pub fn entry_bytes(&self) -> u64 {
        self.live_bytes + self.unlive_bytes()
    }

    /// Bytes that a pass gets rid of, now or the next time.
    pub fn unlive_bytes(&self) -> u64 {
        self.tombstoned_bytes + self.dead_bytes + self.padding_bytes
    }
}

impl Add for LogUsage {
    type Output = LogUsage;
    fn add(mut self, other: LogUsage) -> LogUsage {
        self += other;
        self
    }
}

impl AddAssign for LogUsage {
    fn add_assign(&mut self, other: LogUsage) {
        self.live_bytes += other.live_bytes;
        self.tombstoned_bytes += other.tombstoned_bytes;
        self.dead_bytes += other.dead_bytes;
        self.padding_bytes += other.padding_bytes;
        self.chunk_bytes += other.chunk_bytes;
        self.chunks += other.chunks;
    }
}

impl Sub for LogUsage {
    type Output = LogUsage;
    fn sub(mut self, other: LogUsage) -> LogUsage {
        self -= other;
        self
    }
}

impl SubAssign for LogUsage {
    fn sub_assign(&mut self, other: LogUsage) {
        self.live_bytes -= other.live_bytes;
        self.tombstoned_bytes -= other.tombstoned_bytes;
        self.dead_bytes -= other.dead_bytes;
        self.padding_bytes -= other.padding_bytes;
        self.chunk_bytes -= other.chunk_bytes;
        self.chunks -= other.chunks;
    }
}
