//! Keys of requests to come, brought to the cache while those before them are carried out.
//!
//! The requests of a batch are there together, so what their look-ups wait for can overlap, as [`crate::types::ahead`] says. The
//! first argument is taken for a key, which it nearly always is; if not, a line is fetched for nothing. One that is the same as in the
//! request before is in the cache by then, and is not even hashed.

use crate::keyspace::Keyspace;
use crate::proto::Batch;
use crate::types::ahead::{FAR, NEAR};

/// The look-ahead over one batch.
pub(super) struct Lookahead<'a> {
    batch: &'a Batch,
    bytes: &'a [u8],
    end: usize,
    db: usize,
    /// The next request whose index line is fetched.
    next: usize,
    /// The key of the request before that.
    last: &'a [u8],
    /// Hashes of keys by their request's number modulo `FAR`.
    keys: [Option<u64>; FAR],
}

impl<'a> Lookahead<'a> {
    /// Looks ahead over the requests `from..end`; `None` where that is of no use.
    pub(super) fn new(
        keyspace: &Keyspace,
        db: usize,
        batch: &'a Batch,
        from: usize,
        end: usize,
        bytes: &'a [u8],
    ) -> Option<Lookahead<'a>> {
        let is_useful = end - from > NEAR && keyspace.outgrows_cache(db);
        is_useful.then_some(Lookahead { batch, bytes, end, db, next: from, last: &[], keys: [None; FAR] })
    }

    /// Request `at` is executed next.
    #[inline]
    pub(super) fn advance(&mut self, keyspace: &Keyspace, at: usize) {
        let map = keyspace.map(self.db);
        while self.next < self.end.min(at + FAR) {
            let args = self.batch.args(self.next, self.bytes);
            let key = args.get(1).filter(|&key| key != self.last);
            let hash = key.map(|key| keyspace.store.key(key).hash());
            if let (Some(key), Some(hash)) = (key, hash) {
                self.last = key;
                keyspace.store.prefetch(map, hash);
            }
            self.keys[self.next % FAR] = hash;
            self.next += 1;
        }
        if at + NEAR < self.next
            && let Some(key) = self.keys[(at + NEAR) % FAR]
        {
            keyspace.store.prefetch_entry(map, key);
        }
    }
}
