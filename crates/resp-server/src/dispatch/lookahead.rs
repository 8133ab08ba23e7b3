//! Keys of requests to come, brought to the cache while those before them are carried out.
//!
//! In a database that is larger than the processor's cache a look-up waits twice for memory: for the index line and for the
//! entry. The requests of a batch are there together, so the waits can overlap:
//!
//! ```text
//!   request   n          n + NEAR                n + FAR
//!             executed   its entry is fetched    its index line is fetched
//! ```
//!
//! The first argument is taken for a key, which it nearly always is; if not, a line is fetched for nothing.

use chunkbuf::Key;

use crate::keyspace::Keyspace;
use crate::proto::Batch;

/// Requests ahead whose entry is fetched.
const NEAR: usize = 4;
/// Requests ahead whose index line is fetched.
const FAR: usize = 8;

/// The look-ahead over one batch.
pub(super) struct Lookahead<'a> {
    batch: &'a Batch,
    bytes: &'a [u8],
    end: usize,
    db: usize,
    /// The next request whose index line is fetched.
    next: usize,
    /// Keys by their request's number modulo `FAR`.
    keys: [Option<Key<'a>>; FAR],
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
        is_useful.then_some(Lookahead { batch, bytes, end, db, next: from, keys: [None; FAR] })
    }

    /// Request `at` is executed next.
    #[inline]
    pub(super) fn advance(&mut self, keyspace: &Keyspace, at: usize) {
        let map = keyspace.map(self.db);
        while self.next < self.end.min(at + FAR) {
            let args = self.batch.args(self.next, self.bytes);
            let key = args.get(1).map(|key| keyspace.store.key(key));
            if let Some(key) = &key {
                keyspace.store.prefetch(map, key);
            }
            self.keys[self.next % FAR] = key;
            self.next += 1;
        }
        if at + NEAR < self.next
            && let Some(key) = &self.keys[(at + NEAR) % FAR]
        {
            keyspace.store.prefetch_entry(map, key);
        }
    }
}
