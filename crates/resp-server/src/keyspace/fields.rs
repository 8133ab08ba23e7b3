//! Fields of hashes whose time has come.
//!
//! Each database has a second wheel, whose records lead to hashes: one is looked at when its record is due, and gets the next record
//! for the time of its next field. In a small hash that is its first field; a large one asks a wheel of its own. So nothing walks over
//! a hash to find what has expired in it.
//!
//! Invariant: for each hash with a field that expires there is a record no later than the time at which it is to be looked at, or
//! it is in the list of those that the last step has not finished. There may be more records than hashes; one that leads to
//! nothing is forgotten.

use super::collections::View;
use super::value::Head;
use super::{Db, Event, Found, HELD_FOR, Keyspace, Millis, ValueType};
use crate::types::hash::packed::{self, PackedHash};
use crate::types::name::GivenName;
use crate::types::{Collection, Large as _};

/// Which fields of a hash are removed.
enum Expired<'a> {
    /// All that have expired, with at most so many look-ups, which are counted down.
    All(&'a mut u32),
    /// These, of which it is known.
    These(&'a [GivenName<'a>]),
}

impl Keyspace {
    /// Removes fields that are due in database `index`, at the cost of some of the look-ups that are `left`.
    pub(super) fn expire_fields(&mut self, index: usize, left: &mut u32, held: &impl Fn(usize, u64) -> bool) {
        while *left > 0
            && let Some(key) = self.databases[index].unfinished.pop()
        {
            *left -= 1;
            self.expire_fields_of(index, &key, left, held);
        }
        while *left > 0
            && let Some(prefix) = self.databases[index].fields.next_due(self.now)
        {
            *left -= 1;
            let mut keys: Vec<Vec<u8>> = Vec::new();
            self.store.scan_prefix(self.databases[index].map, prefix, |_, entry| {
                if Head::decode(&entry).value_type == ValueType::Hash {
                    keys.push(entry.key.to_vec());
                }
            });
            for key in &keys {
                self.expire_fields_of(index, key, left, held);
            }
        }
    }

    fn expire_fields_of(&mut self, index: usize, key: &[u8], left: &mut u32, held: &impl Fn(usize, u64) -> bool) {
        let hash = self.store.key(key).hash();
        let mut db = self.db(index);
        if held(index, hash) {
            db.look_at_fields(hash, Millis(db.now().0 + HELD_FOR));
            return;
        }
        let found = db.find(key);
        db.expire_fields(key, found, Expired::All(left));
    }
}

impl Db<'_> {
    /// Has the hash at the key of this hash looked at once `at` is past, for fields that have expired then.
    pub fn look_at_fields(&mut self, key_hash: u64, at: Millis) {
        let now = self.keyspace.now;
        self.keyspace.databases[self.index].fields.arm((key_hash >> 32) as u32, at, now);
    }

    /// When the hash that was found is to be looked at for fields that have expired, if any of them can expire.
    pub fn next_look_at_fields(&self, found: &Found<'_>) -> Option<Millis> {
        match self.collection(found, ValueType::Hash).ok()?? {
            View::Packed(bytes) => packed::next_expiry(&bytes),
            View::Large(Collection::Hash(hash)) => hash.next_look(self.now()),
            View::Large(_) => unreachable!("the head says that it is a hash"),
        }
    }

    /// Keeps the invariant for a key that was given what another one held.
    pub(super) fn take_over_fields(&mut self, key: &[u8]) {
        let found = self.find(key);
        if let Some(at) = self.next_look_at_fields(&found) {
            let key_hash = found.stored_key().hash();
            self.look_at_fields(key_hash, at);
        }
    }

    /// Removes fields that a command has met and that have expired, and the key with the last field; the job would do it a little
    /// later, and does while a long command holds the key.
    pub fn expire_these_fields(&mut self, key: &[u8], names: &[GivenName<'_>]) {
        let found = self.find(key);
        if !self.keyspace.is_kept_ever(self.index, found.stored_key().hash()) {
            self.expire_fields(key, found, Expired::These(names));
        }
    }

    /// The same for all fields that have expired, or the first hundred of them.
    pub fn expire_due_fields(&mut self, key: &[u8]) {
        let mut lookups = 100;
        let found = self.find(key);
        if self.next_look_at_fields(&found).is_some_and(|at| at <= self.now())
            && !self.keyspace.is_kept_ever(self.index, found.stored_key().hash())
        {
            self.expire_fields(key, found, Expired::All(&mut lookups));
        }
    }

    /// Removes what has expired of the hash that was found, and the key with its last field.
    fn expire_fields(&mut self, key: &[u8], found: Found<'_>, which: Expired<'_>) {
        let now = self.now();
        let Ok(Some(view)) = self.collection(&found, ValueType::Hash) else { return };
        let key_hash = found.stored_key().hash();
        let (expired, is_empty) = match view {
            View::Packed(bytes) => {
                let mut hash = PackedHash::from(&bytes[..]);
                let expired = match which {
                    Expired::All(_) => hash.expire(now),
                    Expired::These(names) => names.iter().filter_map(|name| hash.remove(name.contiguous()?)).count(),
                };
                if expired > 0 && !hash.is_empty() {
                    if self.put_packed(found, ValueType::Hash, hash.as_bytes()).is_err() {
                        // It takes memory to write less; there is some as soon as compaction has made it.
                        return self.look_at_fields(key_hash, Millis(now.0 + HELD_FOR));
                    }
                    let found = self.find(key);
                    return self.fields_expired(key, found, expired as u64, false);
                }
                (expired as u64, hash.is_empty())
            }
            View::Large(_) => {
                let Some((Collection::Hash(hash), store)) = self.large_mut(&found) else {
                    unreachable!("just seen");
                };
                let (expired, more) = match which {
                    Expired::All(lookups) => hash.expire_some(store, now, lookups),
                    Expired::These(names) => {
                        let before = hash.len();
                        for &name in names {
                            hash.remove(store, name, now);
                        }
                        (before - hash.len(), false)
                    }
                };
                let is_empty = hash.len() == 0;
                if more && !is_empty {
                    self.keyspace.databases[self.index].unfinished.push(key.to_vec());
                }
                (expired, is_empty)
            }
        };
        self.fields_expired(key, found, expired, is_empty);
    }

    /// Tells of fields that have been removed from a hash, and has it looked at again; or removes it.
    fn fields_expired(&mut self, key: &[u8], found: Found<'_>, expired: u64, is_empty: bool) {
        let next = if is_empty { None } else { self.next_look_at_fields(&found) };
        if let Some(at) = next {
            let key_hash = found.stored_key().hash();
            self.look_at_fields(key_hash, at);
        }
        if is_empty {
            self.remove(found);
        }
        self.tell_expired_fields(key, expired);
        if is_empty {
            self.also(key, Event::Del);
        }
    }

    /// Counts so many fields that have expired and are removed, and tells of them.
    pub fn tell_expired_fields(&mut self, key: &[u8], expired: u64) {
        self.keyspace.stats.expired_subkeys += expired;
        if expired > 0 {
            self.also(key, Event::HExpired);
        }
    }
}
