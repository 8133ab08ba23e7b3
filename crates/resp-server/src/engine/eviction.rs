//! Which keys go when memory is short: the policies of `maxmemory-policy`, and the choice.
//!
//! | policy | candidates | who goes |
//! |---|---|---|
//! | allkeys-lru, allkeys-lfu | a line of cells at a random place, some ten keys | used longest ago, or least often |
//! | volatile-lru, volatile-lfu | records of the wheel, by chance: `maxmemory-samples` | the same |
//! | volatile-ttl | - | the first in the wheel |
//! | allkeys-random, volatile-random | - | any, of each database in turn |
//!
//! The best of all candidates seen wait in a pool, as in Redis, and one is asked again whether it is as good as it was before it
//! goes. A key that a long command holds is passed over.
//!
//! Everything here is bounded: [`Engine::evict_one`] by tries, and its callers (see [`super::memory`]) by victims.

use super::Engine;
use crate::keyspace::{Candidate, Evicted, Measure};

/// Which keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Of those that expire, the one used longest ago.
    VolatileLru,
    /// Of those that expire, the one used least.
    VolatileLfu,
    /// Any that expires.
    VolatileRandom,
    /// The one that expires first.
    VolatileTtl,
    /// The one used longest ago.
    AllkeysLru,
    /// The one used least.
    AllkeysLfu,
    /// Any.
    AllkeysRandom,
    /// None: what needs memory is refused.
    NoEviction,
}

use Policy::{
    AllkeysLfu, AllkeysLru, AllkeysRandom, NoEviction, VolatileLfu, VolatileLru, VolatileRandom, VolatileTtl,
};

impl Policy {
    /// All, as Redis lists them.
    pub const ALL: [Policy; 8] =
        [VolatileLru, VolatileLfu, VolatileRandom, VolatileTtl, AllkeysLru, AllkeysLfu, AllkeysRandom, NoEviction];
    /// Their names, in the same order.
    pub const NAMES: [&str; 8] = [
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Policy::NAMES[self as usize]
    }

    /// Whether only keys that expire go.
    pub fn is_volatile(self) -> bool {
        matches!(self, VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl)
    }

    /// Whether it goes by when keys were used.
    pub fn is_lru(self) -> bool {
        matches!(self, VolatileLru | AllkeysLru)
    }

    /// Whether it goes by how often keys are used.
    pub fn is_lfu(self) -> bool {
        matches!(self, VolatileLfu | AllkeysLfu)
    }
}

/// Candidates that wait.
const POOL: usize = 16;
/// Candidates that are tried at once: cells of keys that were deleted turn out to have none, once each.
const TRIES_MAX: usize = 8;

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// A key has gone.
    Gone,
    /// None has, but there may be others.
    Vain,
    /// There is none that may go.
    Nothing,
}

/// The state of the choice.
#[derive(Debug, Default)]
pub(super) struct Eviction {
    /// The best candidates seen, the best one last.
    pool: Vec<Candidate>,
    /// The database that was drawn on last.
    database: usize,
}

impl Eviction {
    /// Puts a candidate into the pool, if it is among the best.
    fn offer(pool: &mut Vec<Candidate>, candidate: Candidate) {
        if pool.len() == POOL && candidate.score <= pool[0].score
            || pool.iter().any(|other| other.hash == candidate.hash)
        {
            return;
        }
        if pool.len() == POOL {
            pool.remove(0);
        }
        let at = pool.partition_point(|other| other.score < candidate.score);
        pool.insert(at, candidate);
    }
}

impl Engine {
    /// Makes the policy act: what is measured of the use of keys, and what the keyspace has to know.
    pub(super) fn apply_policy(&mut self) {
        let policy = self.settings.maxmemory_policy;
        let measure = if policy.is_lfu() {
            let log_factor = self.settings.lfu_log_factor;
            Some(Measure::Frequency { log_factor, decay_minutes: self.settings.lfu_decay_time })
        } else if policy.is_lru() || self.keyspace.measured() == Some(Measure::Recency) {
            // Somebody may have asked for it.
            Some(Measure::Recency)
        } else {
            None
        };
        if self.keyspace.measured() != measure {
            self.eviction.pool.clear();
        }
        self.keyspace.measure_access(measure);
        let limited = self.settings.maxmemory != 0;
        self.keyspace.evicts = limited && policy != NoEviction;
        self.keyspace.shares_integers = !(limited && (policy.is_lru() || policy.is_lfu()));
    }

    /// Evicts a key, or those few of a range of hashes. Some microseconds at most, mostly about one.
    pub(super) fn evict_one(&mut self) -> Attempt {
        let by_use = match self.settings.maxmemory_policy {
            NoEviction => return Attempt::Nothing,
            AllkeysLru | AllkeysLfu => self.evict_by_cells(),
            VolatileLru | VolatileLfu => self.evict_by_records(),
            VolatileTtl => return self.evict_earliest(),
            AllkeysRandom | VolatileRandom => Attempt::Nothing,
        };
        // Those whose use is known are all held, or of none it is known.
        if by_use == Attempt::Nothing { self.evict_any() } else { by_use }
    }

    fn evict_by_cells(&mut self) -> Attempt {
        let samples = self.settings.maxmemory_samples as usize;
        if let Some(candidate) = self.keyspace.crowded_out()
            && self.evict_candidate(&candidate, false).keys > 0
        {
            return Attempt::Gone;
        }
        let mut attempt = Attempt::Nothing;
        for tries in 0..TRIES_MAX {
            let pool = &mut self.eviction.pool;
            if tries == 0 || pool.len() < POOL / 2 {
                self.keyspace.sample_cells(samples, |candidate| Eviction::offer(pool, candidate));
            }
            match self.evict_best(false) {
                Some(evicted) if evicted.keys > 0 => return Attempt::Gone,
                // The cell has lost its key before: it is empty now.
                Some(evicted) if evicted.spared == 0 => attempt = Attempt::Vain,
                _ => {}
            }
        }
        attempt
    }

    fn evict_by_records(&mut self) -> Attempt {
        let Some(database) = self.next_database(true) else { return Attempt::Nothing };
        for _ in 0..self.settings.maxmemory_samples {
            if let Some(candidate) = self.keyspace.random_volatile(database) {
                Eviction::offer(&mut self.eviction.pool, candidate);
            }
        }
        match self.evict_best(true) {
            Some(evicted) if evicted.keys > 0 => Attempt::Gone,
            _ => Attempt::Nothing,
        }
    }

    /// Evicts what the best candidate of the pool stands for that is still as good.
    fn evict_best(&mut self, only_volatile: bool) -> Option<Evicted> {
        while let Some(best) = self.eviction.pool.pop() {
            if self.keyspace.is_still(&best) {
                return Some(self.evict_candidate(&best, only_volatile));
            }
        }
        None
    }

    fn evict_candidate(&mut self, candidate: &Candidate, only_volatile: bool) -> Evicted {
        let holds = &self.holds;
        self.keyspace.evict_range(candidate, only_volatile, |db, hash| holds.is_held(db, hash))
    }

    fn evict_any(&mut self) -> Attempt {
        let only_volatile = self.settings.maxmemory_policy.is_volatile();
        let Some(first) = self.next_database(only_volatile) else { return Attempt::Nothing };
        let mut database = first;
        loop {
            let holds = &self.holds;
            if self.keyspace.evict_any(database, only_volatile, |db, hash| holds.is_held(db, hash)) {
                return Attempt::Gone;
            }
            // All that were tried are held: others may have one that is not.
            match self.next_database(only_volatile) {
                Some(next) if next != first => database = next,
                _ => return Attempt::Nothing,
            }
        }
    }

    fn evict_earliest(&mut self) -> Attempt {
        let databases = 0..self.keyspace.databases();
        let earliest = databases.filter_map(|index| Some((self.keyspace.earliest(index)?, index))).min();
        let samples = self.settings.maxmemory_samples as usize;
        let Some((_, index)) = earliest else { return Attempt::Nothing };
        let holds = &self.holds;
        let evicted = self.keyspace.evict_earliest(index, samples, |db, hash| holds.is_held(db, hash));
        match evicted {
            Evicted { keys: 1.., .. } => Attempt::Gone,
            // Records of keys that had gone before: they are forgotten.
            Evicted { spared: 0, .. } if self.keyspace.usage(index).expires > 0 => Attempt::Vain,
            _ => Attempt::Nothing,
        }
    }

    /// The next database, in turn, that has keys, or keys that expire.
    fn next_database(&mut self, only_volatile: bool) -> Option<usize> {
        let count = self.keyspace.databases();
        for _ in 0..count {
            self.eviction.database = (self.eviction.database + 1) % count;
            let usage = self.keyspace.usage(self.eviction.database);
            if usage.keys > 0 && (!only_volatile || usage.expires > 0) {
                return Some(self.eviction.database);
            }
        }
        None
    }
}
