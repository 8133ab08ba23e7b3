//! Keys that clients watch, and which clients have seen one change: what WATCH is made of.
//!
//! A watcher is what a client has from its first WATCH to the end of its transaction. It is *touched* by the first change of one of
//! its keys, and of no use from then on. Until then its keys are as they were when they were watched, so that little has to be
//! remembered of each: whether it was there, and when the first of all expires.
//!
//! | what happens | whom it touches |
//! |---|---|
//! | a key is changed | who watches it |
//! | a key goes because its time has come | who watched it while it was there |
//! | a database is cleared | who watches a key in it that is there |
//! | two databases are exchanged | who watches a key that is there, or is now |
//!
//! 1. An entry stands for each key of each watcher that is not touched.
//! 2. A watcher that is not touched has counted in each database the keys that are there, and remembers those that are not.
//!
//! Cost: O(log n) for each key that is watched, and for each change while somebody watches anything; O(watchers) to clear a database.
//! Nothing while nobody watches. What very many watched keys leave is taken away in steps.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::stack::Stack;
use super::value::Head;
use super::{Event, KeyPlace, Keyspace, Millis, is_past};

/// Keys of a watcher that are forgotten at once, some 100 ns each; more are, in steps.
const FORGET_AT_ONCE: usize = 256;
/// Watchers that a change touches whose keys are forgotten at once.
const TOUCH_AT_ONCE: usize = 64;
/// Bytes of memory of a key that is watched, about.
const ENTRY_BYTES: usize = 96;
/// Look-ups, some 300 ns each, for keys that may have come with an exchanged database. Who watches one beyond so many is taken to
/// be touched: its transaction fails without need.
const SWAP_LOOKUPS: usize = 1024;

/// A watcher's number; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(u64);

/// All watchers, and what they watch.
#[derive(Debug, Default)]
pub struct Watched {
    /// A key's database and hash, and who watches it; whether the key was there then.
    entries: BTreeMap<(u32, u64, WatcherId), bool>,
    watchers: HashMap<WatcherId, Watcher>,
    /// Distinct keys of `entries`.
    keys: usize,
    /// Those of `watchers` that have keys.
    watching: usize,
    /// Bytes of the names that they remember.
    name_bytes: usize,
    last_id: u64,
    /// What watchers have left that are done with.
    forgotten: VecDeque<Forgotten>,
}

/// The entries of a watcher that is done with, or touched.
#[derive(Debug)]
struct Forgotten {
    id: WatcherId,
    keys: Stack<KeyPlace>,
    absent: Stack<(u32, Box<[u8]>)>,
}

/// One who watches.
#[derive(Debug, Default)]
struct Watcher {
    keys: Stack<KeyPlace>,
    /// How many of them are there, by database.
    there: Vec<(u32, usize)>,
    /// Those that are not, by database and name.
    absent: Stack<(u32, Box<[u8]>)>,
    /// Bytes of these names.
    name_bytes: usize,
    /// When the first of the keys that are there expires.
    expires: Option<Millis>,
    is_touched: bool,
}

impl Watched {
    /// Whether nothing is watched.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many keys are watched.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// How many watchers have keys.
    pub fn watchers(&self) -> usize {
        self.watching
    }

    /// Bytes of memory that all this takes, about. O(1)
    pub(crate) fn memory_bytes(&self) -> u64 {
        (self.entries.len() * ENTRY_BYTES + self.name_bytes) as u64
    }

    /// Bytes of memory that a watcher takes, about. O(1)
    pub fn bytes_of(&self, id: WatcherId) -> usize {
        let watcher = &self.watchers[&id];
        watcher.keys.len() * ENTRY_BYTES + watcher.name_bytes
    }

    /// A new watcher, which watches nothing yet.
    pub fn begin(&mut self) -> WatcherId {
        self.last_id += 1;
        let id = WatcherId(self.last_id);
        self.watchers.insert(id, Watcher::default());
        id
    }

    /// Ends a watcher; its keys are watched no longer.
    pub fn end(&mut self, id: WatcherId) {
        self.forget_keys(id, FORGET_AT_ONCE);
        self.watchers.remove(&id);
    }

    /// How many keys a watcher has.
    pub fn keys_of(&self, id: WatcherId) -> usize {
        self.watchers[&id].keys.len()
    }

    /// Whether a change has touched a watcher.
    pub fn is_touched(&self, id: WatcherId) -> bool {
        self.watchers[&id].is_touched
    }

    /// Whether a change has touched a watcher, or one of its keys has expired.
    pub fn has_lost(&self, id: WatcherId, now: Millis) -> bool {
        let watcher = &self.watchers[&id];
        watcher.is_touched || watcher.expires.is_some_and(|at| is_past(at, now))
    }

    /// A key that is `there`, and expires then, is watched. Without effect for one that is watched already.
    fn add(&mut self, id: WatcherId, place: KeyPlace, key: &[u8], (there, expires): (bool, Option<Millis>)) {
        let (db, hash) = place;
        let watcher = self.watchers.get_mut(&id).expect("a watcher is there until it is ended");
        if watcher.is_touched || self.entries.contains_key(&(db, hash, id)) {
            return;
        }
        self.keys += usize::from(!is_watched(&self.entries, place));
        self.entries.insert((db, hash, id), there);
        self.watching += usize::from(watcher.keys.is_empty());
        watcher.keys.push(place);
        if !there {
            watcher.absent.push((db, key.into()));
            watcher.name_bytes += key.len();
            self.name_bytes += key.len();
            return;
        }
        match watcher.there.iter_mut().find(|(in_db, _)| *in_db == db) {
            Some((_, count)) => *count += 1,
            None => watcher.there.push((db, 1)),
        }
        watcher.expires = [watcher.expires, expires].into_iter().flatten().min();
    }

    /// A key has changed.
    pub(super) fn note(&mut self, place: KeyPlace, event: Event) {
        if self.entries.is_empty() {
            return;
        }
        let (db, hash) = place;
        let all = (db, hash, WatcherId(0))..=(db, hash, WatcherId(u64::MAX));
        let of_key = self.entries.range(all);
        // What was past its time when it was watched was not there, and is not there now.
        let touched = of_key.filter(|(_, there)| **there || event != Event::Expired).map(|(&(.., id), _)| id);
        let touched: Vec<WatcherId> = touched.collect();
        let at_once = if touched.len() > TOUCH_AT_ONCE { 0 } else { FORGET_AT_ONCE };
        for id in touched {
            // One that has ended may still have entries.
            if let Some(watcher) = self.watchers.get_mut(&id) {
                watcher.is_touched = true;
                self.forget_keys(id, at_once);
            }
        }
    }

    /// All keys of a database go.
    pub(super) fn note_cleared(&mut self, db: u32) {
        for watcher in self.watchers.values_mut() {
            watcher.is_touched |= watcher.there.iter().any(|&(in_db, _)| in_db == db);
        }
    }

    /// Takes away what a watcher has watched: at once if it is not more than so many keys.
    fn forget_keys(&mut self, id: WatcherId, at_once: usize) {
        let watcher = self.watchers.get_mut(&id).expect("a watcher is there until it is ended");
        if watcher.keys.is_empty() {
            return;
        }
        self.watching -= 1;
        self.name_bytes -= std::mem::take(&mut watcher.name_bytes);
        watcher.there = Vec::new();
        let (mut keys, absent) = (std::mem::take(&mut watcher.keys), std::mem::take(&mut watcher.absent));
        if keys.len() > at_once {
            self.forgotten.push_back(Forgotten { id, keys, absent });
            return;
        }
        while let Some(place) = keys.pop() {
            self.remove(place, id);
        }
    }

    fn remove(&mut self, place: KeyPlace, id: WatcherId) {
        self.entries.remove(&(place.0, place.1, id)).expect("an entry stands for each watched key");
        self.keys -= usize::from(!is_watched(&self.entries, place));
    }

    /// Whether something is to be taken away in steps.
    pub(crate) fn has_forgotten(&self) -> bool {
        !self.forgotten.is_empty()
    }

    /// Takes a bounded part of that away; whether there is more.
    pub(crate) fn forget_some(&mut self) -> bool {
        let mut budget = FORGET_AT_ONCE;
        while budget > 0
            && let Some(Forgotten { id, mut keys, mut absent }) = self.forgotten.pop_front()
        {
            while budget > 0
                && let Some(place) = keys.pop()
            {
                self.remove(place, id);
                budget -= 1;
                // No more than there are keys.
                if absent.len() > keys.len() {
                    absent.pop();
                }
            }
            if !keys.is_empty() {
                self.forgotten.push_front(Forgotten { id, keys, absent });
            }
        }
        self.has_forgotten()
    }

    /// Panics when the books do not agree: for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn audit(&self) {
        let of_watchers: usize = self.watchers.values().map(|watcher| watcher.keys.len()).sum();
        let of_forgotten: usize = self.forgotten.iter().map(|left| left.keys.len()).sum();
        assert_eq!(self.entries.len(), of_watchers + of_forgotten);
        let mut places: Vec<KeyPlace> = self.entries.keys().map(|&(db, hash, _)| (db, hash)).collect();
        places.dedup();
        assert_eq!(places.len(), self.keys);
        assert_eq!(self.watchers.values().map(|watcher| watcher.name_bytes).sum::<usize>(), self.name_bytes);
        assert_eq!(self.watchers.values().filter(|watcher| !watcher.keys.is_empty()).count(), self.watching);
        for watcher in self.watchers.values() {
            let there: usize = watcher.there.iter().map(|&(_, count)| count).sum();
            assert_eq!(there + watcher.absent.len(), watcher.keys.len());
        }
    }
}

fn is_watched(entries: &BTreeMap<(u32, u64, WatcherId), bool>, (db, hash): KeyPlace) -> bool {
    entries.range((db, hash, WatcherId(0))..=(db, hash, WatcherId(u64::MAX))).next().is_some()
}

impl Keyspace {
    /// A watcher watches a key of database `db` from now on.
    pub fn watch(&mut self, watcher: WatcherId, db: usize, key: &[u8]) {
        let found = self.db(db).find(key);
        if found.is_impossible() {
            // It is longer than any key can be, so that it cannot change.
            return;
        }
        let (there, place) = ((found.exists(), found.expires()), (db as u32, found.stored_key().hash()));
        self.watched.add(watcher, place, key, there);
    }

    /// Touches those who watch keys that two databases have, before they are exchanged.
    pub(super) fn touch_swapped(&mut self, one: usize, two: usize) {
        let mut lookups = SWAP_LOOKUPS;
        let mut watchers = std::mem::take(&mut self.watched.watchers);
        for watcher in watchers.values_mut().filter(|watcher| !watcher.is_touched) {
            let other = |db: u32| match db as usize {
                db if db == one => Some(two),
                db if db == two => Some(one),
                _ => None,
            };
            let goes = watcher.there.iter().any(|&(db, _)| other(db).is_some());
            let mut comes = |(db, key): &(u32, Box<[u8]>)| {
                other(*db).is_some_and(|other| {
                    lookups = lookups.saturating_sub(1);
                    lookups == 0 || self.is_there(other, key)
                })
            };
            watcher.is_touched = goes || watcher.absent.iter().any(&mut comes);
        }
        self.watched.watchers = watchers;
    }

    /// Whether a key is there and not past its time. Changes nothing.
    fn is_there(&self, index: usize, key: &[u8]) -> bool {
        let entry = self.store.find_entry(self.databases[index].map, &self.store.key(key));
        entry.is_some_and(|(_, entry)| !Head::decode(&entry).expires.is_some_and(|at| is_past(at, self.now)))
    }
}

#[cfg(test)]
#[path = "watched/tests.rs"]
mod tests;
