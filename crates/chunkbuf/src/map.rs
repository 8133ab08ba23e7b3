//! One map: an index over a log.
//!
//! ```text
//!   key ──hash──> Index ──location──> Log (source, target, staging) ──> entry
//! ```
//!
//! Every write is in two halves: first everything that can fail (room in the index, chunks for the entry), then everything that
//! cannot. So a put that fails changes nothing.

use crate::blob::Table;
use crate::buffer::RawEntry;
use crate::compaction::{LOG_LEN_MAX, Log};
use crate::entry::{Flags, Header, KEY_LEN_MAX, UserFlags, VALUE_LEN_MAX};
use crate::index::{Index, IndexMemory};
use crate::location::Location;
use crate::pool::Pool;
use crate::store::{Key, PutError};

/// An index over a log. Empty, it owns no memory beside itself.
pub(crate) struct Map {
    pub(crate) index: Index,
    pub(crate) log: Log,
    /// Large values, which entries refer to.
    pub(crate) blobs: Table,
}

/// How a put changed the books: bytes that became live, and live ones that died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) born_bytes: u64,
    pub(crate) died_bytes: u64,
}

impl Map {
    pub(crate) fn new() -> Map {
        Map { index: Index::new(), log: Log::new(), blobs: Table::default() }
    }

    /// Where the key's entry stands.
    #[inline]
    pub(crate) fn find(&self, memory: &IndexMemory, key: &Key<'_>) -> Option<Location> {
        self.index.find(memory, key.hash(), |location| self.log.entry(location).has_key(key.bytes()))
    }

    /// Where the key's entry stands, and the entry: what [`find`](Map::find) has to look at anyway.
    #[inline(always)]
    pub(crate) fn find_entry(&self, memory: &IndexMemory, key: &Key<'_>) -> Option<(Location, RawEntry<'_>)> {
        let mut found = None;
        let location = self.index.find(memory, key.hash(), |location| {
            let entry = self.log.entry(location);
            let is_key = entry.has_key(key.bytes());
            if is_key {
                found = Some(entry);
            }
            is_key
        })?;
        Some((location, found?))
    }

    #[inline]
    pub(crate) fn entry(&self, location: Location) -> RawEntry<'_> {
        self.log.entry(location)
    }

    /// Puts an entry in place of `old`, which is where [`find`](Map::find) found the key just now.
    #[allow(clippy::too_many_arguments)] // the parts of a store, which the map does not own
    pub(crate) fn put(
        &mut self,
        memory: &mut IndexMemory,
        pool: &mut Pool,
        p: f64,
        hash_of: impl Fn(&[u8]) -> u64,
        key: &Key<'_>,
        old: Option<Location>,
        flags: UserFlags,
        parts: &[&[u8]],
    ) -> Result<Changed, PutError> {
        let value_len = parts.iter().map(|part| part.len()).sum();
        if key.bytes().len() > KEY_LEN_MAX {
            return Err(PutError::KeyTooLong);
        }
        if value_len > VALUE_LEN_MAX {
            return Err(PutError::ValueTooLong);
        }
        let born_bytes = Header::of_entry(key.bytes().len(), value_len, Flags::NONE).entry_len();
        if self.log.end().get() + born_bytes > LOG_LEN_MAX {
            return Err(PutError::MapFull);
        }
        // First what can fail.
        if old.is_none() {
            let log = &self.log;
            let mut scratch = Vec::new();
            self.index.reserve(memory, pool, key.hash(), |location, later| {
                if let Some(later) = later {
                    log.prefetch(later);
                }
                hash_of(log.entry(location).key().as_slice(&mut scratch))
            })?;
        }
        let location = match self.log.append(pool, p, flags.into(), key.bytes(), parts) {
            Ok(location) => location,
            Err(error) => {
                self.index.release_if_empty(memory, pool);
                return Err(error.into());
            }
        };
        // From here on nothing fails.
        let mut died_bytes = 0;
        match old {
            Some(old) => {
                let moved = self.index.relocate(memory, key.hash(), old, location);
                assert!(moved, "the index knows every live entry");
                died_bytes = self.log.remove(old);
            }
            None => self.index.insert(memory, key.hash(), location),
        }
        Ok(Changed { born_bytes, died_bytes })
    }

    /// Removes the entry at `location`, where [`find`](Map::find) found the key just now; returns its length.
    pub(crate) fn remove(
        &mut self,
        memory: &mut IndexMemory,
        pool: &mut Pool,
        key: &Key<'_>,
        location: Location,
    ) -> u64 {
        let was_there = self.index.remove(memory, pool, key.hash(), location);
        assert!(was_there, "the index knows every live entry");
        self.log.remove(location)
    }

    /// Panics when an invariant does not hold: each live entry has exactly one slot, and the other way round.
    pub(crate) fn audit(&self, memory: &IndexMemory, hash_of: impl Fn(&[u8]) -> u64) {
        self.log.audit();
        self.index.audit(memory);
        let mut live_bytes = 0;
        let mut entries = 0;
        let mut cursor = 0;
        loop {
            cursor = self.index.scan(memory, cursor, |location| {
                let entry = self.log.entry(location);
                assert!(entry.header.flags.is_live(), "a slot says where a live entry stands");
                let key = entry.key().to_vec();
                let key = Key::with_hash(&key, hash_of(&key));
                assert_eq!(self.find(memory, &key), Some(location), "a key has one slot");
                live_bytes += entry.header.entry_len();
                entries += 1;
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(entries, self.index.len(), "a full scan visits every slot");
        assert_eq!(live_bytes, self.log.usage().live_bytes, "every live entry has a slot");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_with_one_hash_are_two_entries() {
        let (mut memory, mut pool, mut map) = (IndexMemory::new(), Pool::new(u64::MAX), Map::new());
        let same = |_: &[u8]| 0x1234_5678_9abc_def0;
        for (name, value) in [(b"one", b"1"), (b"two", b"2"), (b"six", b"6")] {
            let key = Key::with_hash(name, same(name));
            assert_eq!(map.find(&memory, &key), None);
            map.put(&mut memory, &mut pool, 0.5, same, &key, None, UserFlags::NONE, &[value]).unwrap();
        }
        map.audit(&memory, same);
        let two = Key::with_hash(b"two", same(b"two"));
        let old = map.find(&memory, &two);
        map.put(&mut memory, &mut pool, 0.5, same, &two, old, UserFlags::NONE, &[b"two, ", b"again"]).unwrap();
        for (name, value) in [(b"one", b"1".as_slice()), (b"two", b"two, again"), (b"six", b"6")] {
            let location = map.find(&memory, &Key::with_hash(name, same(name))).unwrap();
            assert_eq!(map.entry(location).value().to_vec(), value);
        }
        let one = Key::with_hash(b"one", same(b"one"));
        let location = map.find(&memory, &one).unwrap();
        map.remove(&mut memory, &mut pool, &one, location);
        assert_eq!(map.find(&memory, &one), None);
        assert_eq!(map.index.len(), 2);
        map.audit(&memory, same);
    }
}
