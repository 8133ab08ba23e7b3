//! Databases of keys and values with a time to live, on one [`chunkbuf::Store`].
//!
//! * [`db`]: one database, as a handler sees it.
//! * [`string`]: what it does with strings.
//! * [`collections`]: what it does with hashes, lists, sets and sorted sets.
//! * [`value`]: how a value lies in an entry.
//! * [`event`]: what can happen to a key.
//! * [`access`]: what is known of how keys are used, if somebody wants to know.
//! * [`evict`]: removing keys because memory is short.
//! * [`awaited`]: keys that somebody waits for.
//! * [`watched`]: keys whose changes make transactions fail.
//! * [`notices`]: events that somebody is to be told of.
//! * [`crate::types::wheel`]: the timing wheel that finds keys whose time has come.
//! * [`fields`]: fields of hashes whose time has come. What finds them, and keys, is a [`Wheel`].
//! * [`walk`]: all keys as they were at one moment, in steps.
//! * [`hashes`]: a large set that grows and goes without a stall.
//!
//! Invariants:
//! 1. `expires` of a database is the number of its entries with an expiry, and `expiry_sum` the sum of their times.
//! 2. Each entry with an expiry has a record in the wheel of its database (see [`Wheel`]).
//! 3. Each blob of a map, and each large collection of a database, is named by exactly one of its entries.
//! 4. A key past its expiry is absent for every command; it counts in DBSIZE until it is removed, as in Redis.
//!
//! The keyspace reads no clock: [`Keyspace::set_now`] tells the time, which stands still while a command runs.

mod access;
mod awaited;
mod collections;
mod db;
mod event;
mod evict;
mod fields;
pub(crate) mod hashes;
mod memory;
pub(crate) mod notices;
mod stack;
mod string;
mod value;
mod walk;
mod watched;

use std::collections::HashMap;

use chunkbuf::{BLOB_THRESHOLD, Location, MapId, Store};

use crate::types::Limits;

pub use crate::types::Millis;
use access::Access;
pub use access::{Candidate, Measure};
pub use awaited::{Awaited, KeyPlace};
pub use collections::View;
use collections::{Discarded, Table};
pub use db::{Db, Found, Ttl};
pub(crate) use db::{check_key, put_error, string_too_long};
pub use event::Event;
pub(crate) use evict::Evicted;
use notices::Notices;
pub use string::{Edit, Graft, Snapshot};
pub use value::{Pieces, StringEncoding, StringValue, ValueType};
pub use walk::{WalkBudget, WalkId};
pub use watched::{Watched, WatcherId};

use crate::types::wheel::Wheel;
use hashes::Hashes;
use value::{Apart, Head};
use walk::Walk;

/// Bytes of strings that a command should go through before others get their turn: copied, counted or combined, 10 to 50 us.
/// What costs more a byte has a measure of its own for it.
pub const SLICE_BYTES: usize = 64 * 1024;
/// Keys of a map up to which the processor's own cache holds what look-ups read: some 50 bytes a small key, index line included, 1 MiB.
const KEYS_IN_CACHE: u64 = 20_000;

/// For how long active expiry leaves a key alone that a command holds, in milliseconds.
const HELD_FOR: i64 = 10;

/// All databases.
pub struct Keyspace {
    pub(crate) store: Store,
    databases: Vec<Database>,
    /// The time of the current batch, handed in.
    now: Millis,
    /// The longest string that a command may build, in bytes: the setting `proto-max-bulk-len`.
    pub(crate) bulk_len_max: u64,
    /// When a collection is told to have its large encoding.
    pub(crate) limits: Limits,
    /// Strings longer than this many bytes are blobs: the setting `blob-threshold`.
    pub(crate) blob_threshold: u64,
    /// What [`Db::slice_bytes`] tells; a field for tests.
    pub(crate) slice_bytes: usize,
    /// Keys that somebody waits for.
    pub(crate) awaited: Awaited,
    /// Keys that somebody watches.
    pub(crate) watched: Watched,
    /// Events that somebody is to be told of.
    pub(crate) notices: Notices,
    /// How keys are used; `None` while nobody wants to know.
    access: Option<Box<Access>>,
    /// Whether keys go when memory is short, so that a write need not fail.
    pub(crate) evicts: bool,
    /// Whether Redis would keep a small integer once for all keys that have it.
    pub(crate) shares_integers: bool,
    /// What INFO tells.
    pub(crate) stats: Stats,
    /// State of the generator of random keys.
    random: u64,
    /// Writes to the store so far. A [`Found`] is good until the next one.
    writes: u64,
    /// Reused where a value has to be copied.
    scratch: Vec<u8>,
    /// The database that the next expiry step begins with.
    expire_next: usize,
    /// Walks under way, few or none.
    walks: Vec<Walk>,
    walks_begun: u64,
    /// Large collections that are done with.
    discarded: Discarded,
    /// How many keys and collections were given up since nothing was left to free.
    freeing: u64,
    /// Databases and hashes of keys that long commands keep, few or none.
    kept: HashMap<(usize, u64), Keeping>,
    /// Databases all of whose keys are kept, few or none.
    kept_whole: HashMap<usize, Keeping>,
    /// Those of the one command that keeps very many, and the number of its database.
    kept_in_bulk: (usize, Hashes),
    /// When keys are looked up as of an earlier time.
    as_of: Option<Millis>,
}

/// What happened so far; CONFIG RESETSTAT sets all but `dirty` to 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Reads of keys that were there.
    pub keyspace_hits: u64,
    /// Reads of keys that were not there.
    pub keyspace_misses: u64,
    /// Keys removed because their time had come.
    pub expired_keys: u64,
    /// Fields of hashes removed because their time had come.
    pub expired_subkeys: u64,
    /// Keys removed because memory was short.
    pub evicted_keys: u64,
    /// Changes to the data set.
    pub dirty: u64,
    /// Keys of databases that were cleared, and large collections, freed behind the command's back.
    pub lazyfreed: u64,
}

/// How often something is kept, and since when at least once.
#[derive(Clone, Copy, Debug)]
struct Keeping {
    count: u32,
    since: Millis,
}

/// A database: an index into the table of these is all that clients have of it.
struct Database {
    map: MapId,
    expires: u64,
    expiry_sum: i128,
    wheel: Wheel,
    /// Hashes by the times at which they are to be looked at: a record no later than each one's next field expires.
    fields: Wheel,
    /// Keys of hashes of which the last step has left fields that are due.
    unfinished: Vec<Vec<u8>>,
    collections: Table,
}

/// What INFO tells of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseUsage {
    /// All keys.
    pub keys: u64,
    /// Keys with a time to live.
    pub expires: u64,
    /// Their mean time to live in milliseconds, 0 if there are none.
    pub avg_ttl: i64,
}

impl Keyspace {
    /// What is known of the use of keys goes: for the fuzzer.
    #[cfg(fuzzing)]
    pub(crate) fn give_up_access(&mut self) {
        if let Some(access) = self.access.take() {
            access.give_back(&mut self.store);
        }
    }

    /// Panics when the books of times to live are not what the entries say: for the fuzzer.
    #[cfg(fuzzing)]
    pub(crate) fn audit_expiries(&self) {
        for database in &self.databases {
            let (mut expires, mut sum, mut cursor) = (0, 0, 0);
            loop {
                cursor = self.store.scan(database.map, cursor, |_, entry| {
                    if let Some(Millis(at)) = Head::decode(&entry).expires {
                        expires += 1;
                        sum += i128::from(at);
                    }
                });
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!((database.expires, database.expiry_sum), (expires, sum));
            assert!(database.wheel.records() >= u64::from(expires > 0));
        }
    }

    /// A keyspace of empty databases. `seed` feeds the choice of random keys.
    pub fn new(mut store: Store, databases: usize, seed: u64) -> Keyspace {
        let databases = (0..databases)
            .map(|_| Database {
                map: store.create(),
                expires: 0,
                expiry_sum: 0,
                wheel: Wheel::default(),
                fields: Wheel::default(),
                unfinished: Vec::new(),
                collections: Table::default(),
            })
            .collect();
        Keyspace {
            store,
            databases,
            now: Millis(0),
            bulk_len_max: 512 * 1024 * 1024,
            limits: Limits::default(),
            blob_threshold: BLOB_THRESHOLD,
            slice_bytes: SLICE_BYTES,
            awaited: Awaited::default(),
            watched: Watched::default(),
            notices: Notices::default(),
            access: None,
            evicts: false,
            shares_integers: true,
            stats: Stats::default(),
            random: seed,
            writes: 0,
            scratch: Vec::new(),
            expire_next: 0,
            walks: Vec::new(),
            walks_begun: 0,
            kept: HashMap::new(),
            kept_whole: HashMap::new(),
            kept_in_bulk: (0, Hashes::default()),
            as_of: None,
            discarded: Discarded::default(),
            freeing: 0,
        }
    }

    /// Tells the time; it stands still until the next call.
    pub fn set_now(&mut self, now: Millis) {
        self.now = now;
        if let Some(access) = &mut self.access {
            access.set_now(now);
        }
    }

    /// The time that [`set_now`](Keyspace::set_now) told.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// How many databases there are.
    pub fn databases(&self) -> usize {
        self.databases.len()
    }

    /// Database `index`, which is less than [`databases`](Keyspace::databases).
    pub fn db(&mut self, index: usize) -> Db<'_> {
        Db { keyspace: self, index }
    }

    /// What INFO tells of database `index`. O(1).
    pub fn usage(&self, index: usize) -> DatabaseUsage {
        let database = &self.databases[index];
        let avg_ttl = match database.expires {
            0 => 0,
            expires => {
                let mean = database.expiry_sum / i128::from(expires);
                i64::try_from(mean).expect("a mean lies between least and greatest").saturating_sub(self.now.0)
            }
        };
        DatabaseUsage { keys: self.store.len(database.map), expires: database.expires, avg_ttl: avg_ttl.max(0) }
    }

    /// Whether anybody wants to know of changes; if not, a change costs this look.
    #[inline]
    fn is_observed(&self) -> bool {
        !self.awaited.is_empty() || !self.watched.is_empty() || self.notices.are_wanted()
    }

    /// Whether something has happened that others are to be told of, or may have waited for.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.awaited.has_news() || !self.notices.is_empty()
    }

    /// Whether a look-up in database `index` is likely to wait for memory, so that [`Store::prefetch`] is worth its price.
    #[inline]
    pub(crate) fn outgrows_cache(&self, index: usize) -> bool {
        self.store.len(self.databases[index].map) > KEYS_IN_CACHE
    }

    /// The type and the map of a collection with so many members that the same is true of them.
    pub(crate) fn large_members(&self, index: usize, key: &[u8]) -> Option<(ValueType, MapId)> {
        let head = Head::decode(&self.store.get(self.databases[index].map, key)?);
        let Some(Apart::Collection(id)) = head.apart else { return None };
        let map = self.databases[index].collections.get(id.0).as_deref()?.map()?;
        (self.store.len(map) > KEYS_IN_CACHE).then_some((head.value_type, map))
    }

    /// The map of database `index`.
    #[inline]
    pub(crate) fn map(&self, index: usize) -> MapId {
        self.databases[index].map
    }

    /// Whether the value of a key does not lie in its entry, because it is long.
    pub(crate) fn is_apart(&self, index: usize, key: &[u8]) -> bool {
        let entry = self.store.get(self.databases[index].map, key);
        entry.is_some_and(|entry| Head::decode(&entry).apart.is_some())
    }

    /// Removes all keys of all databases; O(1), the memory is freed by steps. Returns how many keys there were.
    pub fn clear(&mut self) -> u64 {
        (0..self.databases()).map(|index| self.db(index).clear()).sum()
    }

    /// Exchanges the keys of two databases, which nobody holds or walks over. Who waits for a key, or watches one, does so in the
    /// same database as before. O(keys that are waited for, and clients that watch)
    pub fn swap(&mut self, one: usize, two: usize) {
        self.stats.dirty += 1;
        if one == two {
            return;
        }
        self.touch_swapped(one, two);
        self.databases.swap(one, two);
        self.writes += 1;
        self.awaited.note_databases([one as u32, two as u32]);
    }

    /// One bounded step of the job that removes keys and fields of hashes whose time has come: at most `budget` look-ups (and as
    /// many blocks freed). Whether there is more to do right now.
    pub fn expire_step(&mut self, budget: u32) -> bool {
        self.expire_step_but(budget, |_, _| false)
    }

    /// [`expire_step`](Keyspace::expire_step) that leaves keys alone, for a while, which are `held`: that is asked with a
    /// database and a key's hash.
    pub fn expire_step_but(&mut self, budget: u32, held: impl Fn(usize, u64) -> bool) -> bool {
        let mut left = budget;
        let mut more = false;
        for _ in 0..self.databases() {
            let index = self.expire_next;
            self.expire_next = (index + 1) % self.databases();
            more |= self.databases[index].wheel.free_some(budget);
            more |= self.databases[index].fields.free_some(budget);
            while left > 0
                && let Some(prefix) = self.databases[index].wheel.next_due(self.now)
            {
                left -= 1;
                self.expire_prefix(index, prefix, &held);
            }
            self.expire_fields(index, &mut left, &held);
            if left == 0 {
                return true;
            }
        }
        more
    }

    /// Removes what has expired among the entries whose hash begins with `prefix`; arms the others again, and for a little later
    /// those that are held.
    fn expire_prefix(&mut self, index: usize, prefix: u32, held: &impl Fn(usize, u64) -> bool) {
        let now = self.now;
        let database = &mut self.databases[index];
        let mut expired: Vec<Vec<u8>> = Vec::new();
        self.store.scan_prefix(database.map, prefix, |_, entry| match Head::decode(&entry).expires {
            Some(at) if is_past(at, now) => expired.push(entry.key.to_vec()),
            Some(at) => database.wheel.arm(prefix, at, now),
            None => {}
        });
        for key in &expired {
            if held(index, self.store.key(key).hash()) {
                self.databases[index].wheel.arm(prefix, Millis(now.0 + HELD_FOR), now);
                continue;
            }
            // Looking for an expired key removes it.
            let found = self.db(index).find(key);
            debug_assert!(!found.exists());
        }
    }

    /// Removes an entry that is past its expiry.
    fn remove_expired(
        &mut self,
        index: usize,
        key: &chunkbuf::Key<'_>,
        location: Location,
        at: Millis,
        apart: Option<Apart>,
    ) {
        let database = &mut self.databases[index];
        let map = database.map;
        self.store.remove_at(map, key, location);
        self.writes += 1;
        database.account(Some(at), None);
        if !self.walks.is_empty() {
            self.note_death(index, key, Some(at));
        }
        self.stats.expired_keys += 1;
        self.release(index, apart);
        self.db(index).also(key.bytes(), Event::Expired);
    }

    /// Gives up what an entry named that is not there any more. O(1), the memory is freed by steps.
    #[inline]
    fn release(&mut self, index: usize, apart: Option<Apart>) {
        match apart {
            None => {}
            Some(Apart::Blob(id)) => drop(self.store.detach(self.databases[index].map, id)),
            Some(Apart::Collection(id)) => {
                let collection = self.take_collection(index, id);
                self.discard(collection);
            }
        }
    }

    /// Keeps a key, known by its hash, for a long command that holds it: if it expires meanwhile, it is not there for who looks for
    /// it now, but is not removed either. Once more for each time; [`let_go_of`](Keyspace::let_go_of) ends it.
    pub(crate) fn keep(&mut self, index: usize, hash: u64) {
        let since = self.now;
        self.kept.entry((index, hash)).or_insert(Keeping { count: 0, since }).count += 1;
    }

    /// Ends what [`keep`](Keyspace::keep) began.
    pub(crate) fn let_go_of(&mut self, index: usize, hash: u64) {
        let keeping = self.kept.get_mut(&(index, hash)).expect("what is kept is let go once");
        keeping.count -= 1;
        if keeping.count == 0 {
            self.kept.remove(&(index, hash));
        }
    }

    /// [Keeps](Keyspace::keep) all keys of a database.
    pub(crate) fn keep_all(&mut self, index: usize) {
        let since = self.now;
        self.kept_whole.entry(index).or_insert(Keeping { count: 0, since }).count += 1;
    }

    /// Ends what [`keep_all`](Keyspace::keep_all) began.
    pub(crate) fn let_all_go(&mut self, index: usize) {
        let keeping = self.kept_whole.get_mut(&index).expect("what is kept is let go once");
        keeping.count -= 1;
        if keeping.count == 0 {
            self.kept_whole.remove(&index);
        }
    }

    /// [Keeps](Keyspace::keep) another key of the one command that keeps very many.
    pub(crate) fn keep_in_bulk(&mut self, index: usize, hash: u64) {
        self.kept_in_bulk.0 = index;
        self.kept_in_bulk.1.insert(hash);
    }

    /// That command has ended; what is to be freed in steps.
    pub(crate) fn let_go_of_bulk(&mut self) -> Hashes {
        std::mem::take(&mut self.kept_in_bulk.1)
    }

    /// Whether a key that expires `at` is kept: whoever keeps it has come before that.
    #[inline]
    fn is_kept(&self, index: usize, hash: u64, at: Millis) -> bool {
        let is_by = |keeping: Option<&Keeping>| keeping.is_some_and(|keeping| !is_past(at, keeping.since));
        let (bulk_index, bulk) = &self.kept_in_bulk;
        !self.kept.is_empty() && is_by(self.kept.get(&(index, hash)))
            || !self.kept_whole.is_empty() && is_by(self.kept_whole.get(&index))
            || *bulk_index == index && bulk.contains(hash)
    }

    /// Whether a key is kept, whenever it expires.
    fn is_kept_ever(&self, index: usize, hash: u64) -> bool {
        let (bulk_index, bulk) = &self.kept_in_bulk;
        self.kept.contains_key(&(index, hash))
            || self.kept_whole.contains_key(&index)
            || *bulk_index == index && bulk.contains(hash)
    }

    /// Looks keys up as of an earlier time, that at which a long command began; `None`: as of now. What it was before.
    pub(crate) fn look_as_of(&mut self, time: Option<Millis>) -> Option<Millis> {
        std::mem::replace(&mut self.as_of, time)
    }

    /// The next of a sequence of random numbers (SplitMix64).
    pub(crate) fn next_random(random: &mut u64) -> u64 {
        *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Database {
    /// Keeps invariant 1 when an entry's expiry changes, appears or goes.
    #[inline]
    fn account(&mut self, old: Option<Millis>, new: Option<Millis>) {
        if let Some(Millis(at)) = old {
            self.expires -= 1;
            self.expiry_sum -= i128::from(at);
        }
        if let Some(Millis(at)) = new {
            self.expires += 1;
            self.expiry_sum += i128::from(at);
        }
    }

    /// Keeps invariants 1 and 2 when an entry was put. An expiry that moved to later has its record already.
    #[inline]
    fn arm(&mut self, hash: u64, old: Option<Millis>, new: Option<Millis>, now: Millis) {
        self.account(old, new);
        if let Some(at) = new
            && old.is_none_or(|old| at < old)
        {
            self.wheel.arm((hash >> 32) as u32, at, now);
        }
    }
}

/// Whether a key that expires `at` has expired: only after that millisecond, as in Redis.
#[inline]
fn is_past(at: Millis, now: Millis) -> bool {
    at.is_past(now)
}

#[cfg(test)]
pub(crate) mod tests;
