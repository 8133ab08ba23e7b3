//! How much may still be written under the memory limit, for whom it is kept, and what counts beside the store.

use super::Store;
use crate::chunk::ChunkSize;
use crate::pool::Outside;

impl Store {
    /// Bytes that may be taken for writing before the memory limit is reached, about: what compaction could win is not counted,
    /// nor what is left in chunks that are being written. O(1).
    pub fn room_bytes(&self) -> u64 {
        let free = self.pool.write_ceiling().saturating_sub(self.held_bytes());
        free.saturating_add(self.pool.usage().warm_bytes)
    }

    /// Whether `bytes` of entries, index included, can be written, about: if there is room for as much as they are, and for a
    /// chunk, which is taken whole. O(1).
    pub fn has_room(&self, bytes: u64) -> bool {
        self.with_chunk(bytes) <= self.room_bytes()
    }

    /// Keeps room for `bytes` of entries: no other writer gets it. Whether there [is](Store::has_room) so much is not asked.
    /// Returns what [`take_back`](Store::take_back) is to be told. O(1).
    pub fn promise(&mut self, bytes: u64) -> u64 {
        let kept = self.with_chunk(bytes);
        self.promised_bytes += kept;
        self.pool.set_promised(self.promised_bytes);
        kept
    }

    /// [Takes a promise back](Store::take_back) because who was given it writes now: it gets so much also if the limit was lowered
    /// meanwhile. To be followed by [`end_grant`](Store::end_grant) before anybody else writes. O(1).
    pub fn redeem(&mut self, kept: u64) {
        self.take_back(kept);
        self.pool.grant(kept);
    }

    /// What was [redeemed](Store::redeem) has been written. O(1).
    pub fn end_grant(&mut self) {
        self.pool.grant(0);
    }

    /// Ends a [promise](Store::promise). O(1).
    pub fn take_back(&mut self, kept: u64) {
        self.promised_bytes -= kept;
        self.pool.set_promised(self.promised_bytes);
    }

    /// Bytes that are [kept](Store::promise). O(1).
    pub fn promised_bytes(&self) -> u64 {
        self.promised_bytes
    }

    /// With the largest chunk that a map may take for them: see [`crate::sizing`].
    fn with_chunk(&self, bytes: u64) -> u64 {
        let map_bytes_max = self.options.memory_limit.max(self.held_bytes());
        bytes.saturating_add(ChunkSize::MAX.bytes().min(map_bytes_max / 16))
    }

    /// Counts heap of the store's user under the memory limit: what was `before` bytes is `after` now. It is not refused, but
    /// writes are when it has left no room. O(1).
    #[inline]
    pub fn count_heap(&mut self, before: u64, after: u64) {
        if before != after {
            self.user_bytes = self.user_bytes + after - before;
            self.pool.set_outside(Outside::User, self.user_bytes);
        }
    }

    /// Bytes that were [counted](Store::count_heap) and are there still. O(1).
    pub fn user_heap_bytes(&self) -> u64 {
        self.user_bytes
    }
}
