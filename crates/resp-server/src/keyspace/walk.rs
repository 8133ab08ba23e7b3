//! A walk over all keys of a database as they were at one moment, taken in steps while the keys change.
//!
//! The keys are visited in the order of their hashes. What is born or dies behind the walk's position does not concern it;
//! ahead of it, it is noted:
//!
//! ```text
//!   visited                  | ahead                                   -> hashes
//!   ========================P------------------------------------------
//!    born, dies: no matter   |  born: passed over when it is met
//!                            |  dies: visited at once, and passed over if it is born again
//! ```
//!
//! 1. A key that was there at the start is visited exactly once; no other is.
//! 2. A key that was past its expiry at the start was not there. One that expires later was.
//! 3. While no walk is under way a birth and a death cost one test; else one insertion for each walk of that database.
//!
//! The passed-over keys are remembered by their 64-bit hash under the store's seed. That two keys of ten million share one has
//! a chance of three in a million; then a walk may miss a key that was there.

use super::hashes::Hashes;
use super::value::Head;
use super::{Db, Keyspace, Millis, is_past};

/// A walk that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkId(u64);

/// What the keyspace keeps for a walk.
#[derive(Debug)]
pub(super) struct Walk {
    id: WalkId,
    db: usize,
    /// The moment that it shows.
    started: Millis,
    /// All hashes below this one have been visited; `None`: all.
    position: Option<u64>,
    /// Hashes ahead of the position that are to be passed over.
    passed_over: Hashes,
    /// Keys that died ahead of the position.
    died: Vec<Vec<u8>>,
}

/// Bounds of a step of a walk, whichever is reached first.
#[derive(Clone, Copy, Debug)]
pub struct WalkBudget {
    /// Keys looked at; the step may take a line of the index more, 448 at most.
    pub keys: usize,
    /// Bites of the index, most of which hold a few keys.
    pub bites: usize,
    /// Bytes of keys visited, give or take a bite's.
    pub bytes: usize,
}

impl Keyspace {
    /// Begins a walk over the keys that database `db` holds now. It takes part in every birth and death there until
    /// [`end_walk`](Keyspace::end_walk). The database must not be cleared meanwhile.
    pub fn begin_walk(&mut self, db: usize) -> WalkId {
        self.walks_begun += 1;
        let id = WalkId(self.walks_begun);
        self.walks.push(Walk {
            id,
            db,
            started: self.now,
            position: Some(0),
            passed_over: Hashes::default(),
            died: Vec::new(),
        });
        id
    }

    /// Ends a walk, at its end or before; what it leaves is to be freed in steps.
    pub(crate) fn end_walk(&mut self, id: WalkId) -> Hashes {
        let index = self.walk_index(id);
        self.walks.swap_remove(index).passed_over
    }

    /// One step of a walk: visits some keys, each for the first and only time. Whether there is more.
    pub fn walk(&mut self, id: WalkId, budget: WalkBudget, mut visit: impl FnMut(&[u8])) -> bool {
        let index = self.walk_index(id);
        let mut walk = self.walks.swap_remove(index);
        let mut bytes = 0;
        for key in walk.died.drain(..) {
            bytes += key.len();
            visit(&key);
        }
        let mut looked_at = 0;
        let mut bites = 0;
        let mut scratch = Vec::new();
        // A bite's keys with their hashes: whether one is this bite's is known at the bite's end only.
        let mut bite: Vec<(u64, Vec<u8>)> = Vec::new();
        while let Some(position) = walk.position
            && looked_at < budget.keys
            && bites < budget.bites
            && bytes < budget.bytes
        {
            bites += 1;
            let map = self.databases[walk.db].map;
            let store = &self.store;
            let cursor = store.scan(map, position.reverse_bits(), |_, entry| {
                looked_at += 1;
                let expires = Head::decode(&entry).expires;
                if !expires.is_some_and(|at| is_past(at, walk.started)) {
                    let key = entry.key.as_slice(&mut scratch);
                    let hash = store.key(key).hash();
                    if hash >= position && !walk.passed_over.contains(hash) {
                        bite.push((hash, key.to_vec()));
                    }
                }
            });
            walk.position = (cursor != 0).then(|| cursor.reverse_bits());
            for (hash, key) in bite.drain(..) {
                if walk.position.is_none_or(|next| hash < next) {
                    bytes += key.len();
                    visit(&key);
                }
            }
        }
        let more = walk.position.is_some();
        self.walks.push(walk);
        more
    }

    fn walk_index(&self, id: WalkId) -> usize {
        self.walks.iter().position(|walk| walk.id == id).expect("a walk goes on until it is ended")
    }

    /// Tells the walks of database `db` of a key that was not there.
    #[cold]
    pub(super) fn note_birth(&mut self, db: usize, hash: u64) {
        for walk in self.walks.iter_mut().filter(|walk| walk.is_concerned(db, hash)) {
            walk.passed_over.insert(hash);
        }
    }

    /// Tells the walks of database `db` that a key goes which had this expiry.
    #[cold]
    pub(super) fn note_death(&mut self, db: usize, key: &chunkbuf::Key<'_>, expires: Option<Millis>) {
        for walk in self.walks.iter_mut().filter(|walk| walk.is_concerned(db, key.hash())) {
            let was_there = !expires.is_some_and(|at| is_past(at, walk.started));
            if walk.passed_over.insert(key.hash()) && was_there {
                walk.died.push(key.bytes().to_vec());
            }
        }
    }
}

impl Walk {
    fn is_concerned(&self, db: usize, hash: u64) -> bool {
        self.db == db && self.position.is_some_and(|position| hash >= position)
    }
}

impl Db<'_> {
    /// [`Keyspace::begin_walk`] over this database.
    pub fn begin_walk(&mut self) -> WalkId {
        self.keyspace.begin_walk(self.index)
    }

    /// Whether a walk over this database is under way.
    pub(super) fn is_walked(&self) -> bool {
        self.keyspace.walks.iter().any(|walk| walk.db == self.index)
    }

    /// Whether no walk is under way in any database: births and deaths need not be told.
    #[inline]
    pub(super) fn unwatched(&self) -> bool {
        self.keyspace.walks.is_empty()
    }
}

#[cfg(test)]
#[path = "walk/tests.rs"]
mod tests;
