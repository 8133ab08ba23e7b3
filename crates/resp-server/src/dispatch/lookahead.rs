//! Keys of requests to come, brought to the cache while those before them are carried out.
//!
//! The requests of a batch are there together, so what their look-ups wait for can overlap, as [`crate::types::ahead`] says. The
//! first argument is taken for a key, which it nearly always is; if not, a line is fetched for nothing. One that is the same as in the
//! request before is in the cache by then, and is not even hashed. Where a batch is about one large collection, it is what stands for a
//! member or a field that is fetched.

use chunkbuf::MapId;

use crate::keyspace::{Keyspace, ValueType};
use crate::proto::Batch;
use crate::types::ahead::{FAR, NAME_BYTES_MAX, NEAR};

/// The look-ahead over one batch.
pub(super) struct Lookahead<'a> {
    batch: &'a Batch,
    bytes: &'a [u8],
    end: usize,
    /// The map of the database, if it outgrows the cache.
    keys: Option<MapId>,
    members: Option<Members<'a>>,
    /// The next request whose index line is fetched.
    next: usize,
    /// The key of the request before that.
    last: &'a [u8],
    /// Maps and hashes by their request's number modulo `FAR`.
    fetched: [Option<(MapId, u64)>; FAR],
}

/// A large collection that requests are about.
struct Members<'a> {
    key: &'a [u8],
    map: MapId,
    /// The argument that is a member, most often.
    argument: usize,
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
        if end - from <= NEAR {
            return None;
        }
        let keys = keyspace.outgrows_cache(db).then(|| keyspace.map(db));
        let key = batch.args(from, bytes).get(1).filter(|&key| batch.args(from + 1, bytes).get(1) == Some(key));
        let members = key.and_then(|key| Members::new(keyspace, db, key));
        let is_useful = keys.is_some() || members.is_some();
        let fetched = [None; FAR];
        is_useful.then_some(Lookahead { batch, bytes, end, keys, members, next: from, last: &[], fetched })
    }

    /// Request `at` is executed next.
    #[inline]
    pub(super) fn advance(&mut self, keyspace: &Keyspace, at: usize) {
        while self.next < self.end.min(at + FAR) {
            let wanted = self.wanted(self.next).filter(|(_, name)| name.len() <= NAME_BYTES_MAX);
            let wanted = wanted.map(|(map, name)| (map, keyspace.store.key(name).hash()));
            if let Some((map, hash)) = wanted {
                keyspace.store.prefetch(map, hash);
            }
            self.fetched[self.next % FAR] = wanted;
            self.next += 1;
        }
        if at + NEAR < self.next
            && let Some((map, hash)) = self.fetched[(at + NEAR) % FAR]
        {
            keyspace.store.prefetch_entry(map, hash);
        }
    }

    /// What a request will look up, and in which map.
    #[inline]
    fn wanted(&mut self, request: usize) -> Option<(MapId, &'a [u8])> {
        let args = self.batch.args(request, self.bytes);
        let key = args.get(1)?;
        if let Some(members) = &self.members
            && members.key == key
        {
            return Some((members.map, args.get(members.argument)?));
        }
        if key == self.last {
            return None;
        }
        self.last = key;
        Some((self.keys?, key))
    }
}

impl<'a> Members<'a> {
    fn new(keyspace: &Keyspace, db: usize, key: &'a [u8]) -> Option<Members<'a>> {
        let (value_type, map) = keyspace.large_members(db, key)?;
        // Behind a score.
        let argument = if value_type == ValueType::SortedSet { 3 } else { 2 };
        Some(Members { key, map, argument })
    }
}
