//! Removing keys because memory is short: what the keyspace can tell of candidates, and how one goes.
//!
//! Who goes and when is the engine's to decide (see `engine::eviction`). Here are the sources that it chooses from:
//!
//! | | |
//! |---|---|
//! | [`Keyspace::sample_cells`] | any keys, by what [`access`](super::access) knows of them |
//! | [`Keyspace::random_volatile`] | keys with an expiry: the wheel knows them by 32 bits of their hash |
//! | [`Keyspace::evict_earliest`] | the key that expires first, within some hundredths of its time to live |
//! | [`Keyspace::evict_any`] | one by chance |
//!
//! A key that a long command keeps is not removed.

use chunkbuf::MapId;

use super::access::{Access, Candidate, Measure};
use super::value::Head;
use super::{Db, Event, Found, HELD_FOR, Keyspace, Millis};

/// Records of the wheel, or keys, that one call looks at before it gives up: those of keys that have gone are forgotten on the way,
/// and the others are of keys that are held. Some 20 us then.
const RECORDS_MAX: usize = 96;

/// The bits of a hash that the wheel keeps.
const WHEEL_BITS: u32 = 32;

/// What became of the keys of a range of hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evicted {
    /// Those that are gone.
    pub keys: u64,
    /// Those that stay: they are held, or do not expire where only such shall go.
    pub spared: u64,
}

impl Keyspace {
    /// Measures how keys are used from now on, or no longer. What was known is kept as long as the same is measured.
    pub(crate) fn measure_access(&mut self, measure: Option<Measure>) {
        let same = match (&mut self.access, measure) {
            (None, None) => true,
            (Some(access), Some(measure)) => {
                access.adjust(measure);
                access.measure() == measure
            }
            _ => false,
        };
        if !same {
            if let Some(access) = self.access.take() {
                access.give_back(&mut self.store);
            }
            let seed = Keyspace::next_random(&mut self.random);
            self.access = measure.map(|measure| Box::new(Access::new(&mut self.store, measure, self.now, seed)));
        }
    }

    /// What is measured.
    pub(crate) fn measured(&self) -> Option<Measure> {
        self.access.as_ref().map(|access| access.measure())
    }

    /// Whether look-ups are no use of their keys until the next call.
    #[inline]
    pub(crate) fn pause_access(&mut self, paused: bool) {
        if let Some(access) = &mut self.access {
            access.pause(paused);
        }
    }

    /// Whether [`step_access`](Keyspace::step_access) has something to do.
    pub(crate) fn access_in_debt(&self) -> bool {
        self.access.as_ref().is_some_and(|access| access.in_debt(self.keys()))
    }

    /// One bounded step of what the measuring needs: its table grows with the keys.
    pub(crate) fn step_access(&mut self) {
        let keys = self.keys();
        if let Some(access) = &mut self.access
            && access.in_debt(keys)
        {
            let with_keys = self.databases.iter().map(|database| database.map).filter(|&map| !self.store.is_empty(map));
            let maps: Vec<MapId> = with_keys.collect();
            access.step(&mut self.store, &maps, keys);
        }
    }

    /// Keys of all databases. O(databases).
    fn keys(&self) -> u64 {
        self.databases.iter().map(|database| self.store.len(database.map)).sum()
    }

    /// Tells of keys near a random place, of `keys` at least if there are so many about.
    pub(crate) fn sample_cells(&mut self, keys: usize, tell: impl FnMut(Candidate)) {
        let hash = Keyspace::next_random(&mut self.random);
        if let Some(access) = &self.access {
            access.sample(hash, keys, tell);
        }
    }

    /// A key with an expiry by chance, with what is known of its use; `None`: database `index` has none.
    pub(crate) fn random_volatile(&mut self, index: usize) -> Option<Candidate> {
        let Keyspace { databases, random, access, store, .. } = self;
        let database = &mut databases[index];
        let mut tries = 0;
        while database.expires > 0 && tries < RECORDS_MAX {
            tries += 1;
            let leads = |prefix: u32| {
                let mut is_there = false;
                store.scan_prefix(database.map, prefix, |_, entry| {
                    is_there |= Head::decode(&entry).expires.is_some();
                });
                is_there
            };
            if let Some(prefix) = database.wheel.random(|| Keyspace::next_random(random), leads) {
                let hash = u64::from(prefix) << WHEEL_BITS;
                let score = access.as_ref().and_then(|access| access.score(hash)).unwrap_or(0);
                return Some(Candidate { score, hash, bits: WHEEL_BITS });
            }
        }
        None
    }

    /// A key of which nothing is known any more, for want of space: it would never be a candidate again.
    pub(crate) fn crowded_out(&mut self) -> Option<Candidate> {
        self.access.as_mut()?.take_crowded_out()
    }

    /// Whether a candidate is no worse a choice than when it was found.
    pub(crate) fn is_still(&self, candidate: &Candidate) -> bool {
        self.access.as_ref().and_then(|access| access.score(candidate.hash)) >= Some(candidate.score)
    }

    /// Evicts the keys of a range in all databases, or only those that expire. `held` is asked with a database and a hash.
    pub(crate) fn evict_range(
        &mut self,
        candidate: &Candidate,
        only_volatile: bool,
        held: impl Fn(usize, u64) -> bool,
    ) -> Evicted {
        let Candidate { hash, bits, .. } = *candidate;
        let mut evicted = Evicted::default();
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for index in 0..self.databases() {
            let map = self.databases[index].map;
            if self.store.is_empty(map) {
                continue;
            }
            self.store.scan_range(map, hash, bits, |_, entry| {
                if only_volatile && Head::decode(&entry).expires.is_none() {
                    evicted.spared += 1;
                } else {
                    keys.push(entry.key.to_vec());
                }
            });
            for key in keys.drain(..) {
                let gone = self.evict(index, &key, &held);
                evicted.keys += u64::from(gone);
                evicted.spared += u64::from(!gone);
            }
        }
        if !only_volatile
            && evicted.spared == 0
            && let Some(access) = &mut self.access
        {
            access.forget(hash);
        }
        evicted
    }

    /// Evicts a key of database `index` by chance, with `only_volatile` one that expires; whether one has gone. It is tried
    /// with a few, for a key may be held.
    pub(crate) fn evict_any(&mut self, index: usize, only_volatile: bool, held: impl Fn(usize, u64) -> bool) -> bool {
        for _ in 0..RECORDS_MAX {
            if only_volatile {
                let Some(candidate) = self.random_volatile(index) else { return false };
                if self.evict_range(&candidate, true, &held).keys > 0 {
                    return true;
                }
            } else {
                let Keyspace { store, random, databases, .. } = self;
                let map = databases[index].map;
                let Some(location) = store.random(map, || Keyspace::next_random(random)) else { return false };
                let key = store.entry(map, location).key.to_vec();
                if self.evict(index, &key, &held) {
                    return true;
                }
            }
        }
        false
    }

    /// When the first of the keys of database `index` expires that do, about.
    pub(crate) fn earliest(&self, index: usize) -> Option<Millis> {
        self.databases[index].wheel.next_look(self.now)
    }

    /// Evicts the key of database `index` that expires first, of `samples` from the first slot of the wheel. Those
    /// that are spared are held.
    pub(crate) fn evict_earliest(
        &mut self,
        index: usize,
        samples: usize,
        held: impl Fn(usize, u64) -> bool,
    ) -> Evicted {
        let now = self.now;
        let mut keys: Vec<(Millis, Vec<u8>)> = Vec::new();
        let mut outcome = Evicted::default();
        for looked in 0..RECORDS_MAX {
            let database = &mut self.databases[index];
            let earliest = database.wheel.take_earliest(now);
            if let Some((prefix, end)) = earliest {
                self.store.scan_prefix(database.map, prefix, |_, entry| match Head::decode(&entry).expires {
                    Some(at) if at <= end => keys.push((at, entry.key.to_vec())),
                    Some(at) => database.wheel.arm(prefix, at, now),
                    None => {}
                });
            }
            if earliest.is_none() || keys.len() >= samples || looked + 1 == RECORDS_MAX {
                keys.sort_unstable();
                for (at, key) in keys.drain(..) {
                    if outcome.keys == 0 {
                        let gone = self.evict(index, &key, &held);
                        outcome.keys += u64::from(gone);
                        outcome.spared += u64::from(!gone);
                    }
                    // The record was taken out; that of a key that is held is to come out later.
                    let found = self.db(index).peek(&key);
                    if found.exists() {
                        let prefix = (found.stored_key().hash() >> 32) as u32;
                        let at = if outcome.keys > 0 { at } else { at.max(Millis(now.0 + HELD_FOR)) };
                        self.databases[index].wheel.arm(prefix, at, now);
                    }
                }
                if outcome.keys > 0 || earliest.is_none() {
                    break;
                }
            }
        }
        outcome
    }

    /// Evicts a key, unless it is held; whether it is gone. Large values are freed in steps.
    fn evict(&mut self, index: usize, key: &[u8], held: &impl Fn(usize, u64) -> bool) -> bool {
        let hash = self.store.key(key).hash();
        if self.is_kept_ever(index, hash) || held(index, hash) {
            return false;
        }
        let mut db = self.db(index);
        let found = db.peek(key);
        if let Some(at) = found.expires() {
            db.keyspace.databases[index].wheel.disarm((hash >> 32) as u32, at);
        }
        // One that had expired is gone by that.
        if db.remove(found) {
            db.also(key, Event::Evicted);
            self.stats.evicted_keys += 1;
        }
        true
    }
}

impl Db<'_> {
    /// How often the key that was found is used, on a scale of 0 to 255, if that is measured.
    pub fn frequency(&self, found: &Found<'_>) -> Option<u8> {
        let access = self.keyspace.access.as_ref()?;
        match access.measure() {
            Measure::Recency => None,
            // Without a table, for want of memory, all keys pass for new ones.
            Measure::Frequency { .. } => {
                Some(access.frequency(found.stored_key().hash()).unwrap_or(Access::NEW_FREQUENCY))
            }
        }
    }

    /// Milliseconds since the key that was found was used, or since that is measured, which it is from now on; `None`: it is
    /// measured how often keys are used.
    pub fn idle_ms(&mut self, found: &Found<'_>) -> Option<u64> {
        if self.keyspace.access.is_none() {
            self.keyspace.measure_access(Some(Measure::Recency));
        }
        let access = self.keyspace.access.as_ref()?;
        (access.measure() == Measure::Recency).then(|| access.idle_ms(found.stored_key().hash()).unwrap_or(0))
    }

    /// Whether Redis would keep a small integer once for all keys that have it: not where each is to know its own use.
    pub fn shares_integers(&self) -> bool {
        self.keyspace.shares_integers
    }
}
