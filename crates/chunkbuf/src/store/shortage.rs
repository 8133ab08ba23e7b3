//! What a caller asks that is short of memory: what comes back, that it come back now, and what may go.

use super::{IDLE_UTILISATION, MapId, Store};
use crate::Entry;
use crate::compaction::Budget;

impl Store {
    /// Compacts whatever is owed, as far as it makes memory tighter, up to the budget: for a caller that is short of memory now.
    /// Whether anything was done; if not, more memory comes back only when something is removed.
    pub fn tighten(&mut self, budget: Budget) -> bool {
        if self.compacting.is_none() && self.wants_pass(IDLE_UTILISATION) {
            self.begin_pass();
        }
        if self.compacting.is_none() {
            return false;
        }
        let books = |store: &Store| (store.copied_bytes, store.unlive_bytes, store.passes);
        let before = books(self);
        self.step_pass(budget, true);
        before != books(self)
    }

    /// Bytes of what is held that come back, or that writes take first, without anything being removed, about: dead entries beyond the
    /// share that `utilisation` leaves, cleared maps, and free memory. Below 0: entries are closer together than that, and will
    /// not stay so. O(1).
    pub fn returning_bytes(&self, utilisation: f64) -> i64 {
        let tight = self.live_bytes as f64 / utilisation;
        let dead = (self.live_bytes + self.unlive_bytes) as i64 - tight as i64;
        dead + (self.warm_bytes() + self.garbage_bytes) as i64
    }

    /// Bytes that are held and free: writes take them first. O(1).
    pub fn warm_bytes(&self) -> u64 {
        self.pool.usage().warm_bytes
    }

    /// Visits the entries whose hash begins with the first `bits` bits of `hash`, each with its hash. Cost: the lines of the index
    /// that have them, and a hash for each entry.
    pub fn scan_range(&self, map: MapId, hash: u64, bits: u32, mut visit: impl FnMut(u64, Entry<'_>)) {
        let mut scratch = Vec::new();
        let differs = |other: u64| bits > 0 && (hash ^ other) >> (64 - bits) != 0;
        self.in_bites(
            map,
            |fetch| self.map(map).index.visit_prefix(&self.memory, hash, bits, fetch),
            |location| {
                let entry = self.entry(map, location);
                let own = self.hasher.hash(entry.key.as_slice(&mut scratch));
                if !differs(own) {
                    visit(own, entry);
                }
            },
        );
    }

    /// Whether large values or cleared maps are being taken apart: how much memory that gives back is not known before.
    pub fn is_taking_apart(&self) -> bool {
        !self.garbage.is_empty() || self.blobs.in_debt()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Budget, Options, Store, UserFlags};

    #[test]
    fn what_is_told_to_come_back_comes_back_when_it_is_asked_for() {
        let mut store = Store::new(Options { memory_limit: 4 << 20, ..Options::default() });
        let map = store.create();
        let mut keys = 0_u32;
        while store.put(map, &keys.to_le_bytes(), UserFlags::NONE, &[7; 500]).is_ok() {
            keys += 1;
        }
        assert!(store.returning_bytes(0.9) <= store.warm_bytes() as i64);
        assert!(!store.tighten(Budget::STEP), "nothing is dead");
        (0..keys / 2).for_each(|key| assert!(store.remove(map, &key.to_le_bytes())));
        let held = store.held_bytes();
        let returning = store.returning_bytes(0.9) as u64;
        assert!(returning > held / 3 && returning < held / 2, "{returning} of {held}");
        while store.tighten(Budget::STEP) {
            store.audit();
            store.free(false);
        }
        while store.free(true) {}
        let came_back = held - store.held_bytes();
        assert!(came_back + (256 << 10) > returning, "{came_back} of {returning}");
    }

    #[test]
    fn a_range_of_hashes_is_all_keys_that_begin_so() {
        let mut store = Store::new(Options::default());
        let map = store.create();
        for key in 0..3_000_u32 {
            store.put(map, &key.to_le_bytes(), UserFlags::NONE, b"").expect("no limit");
        }
        for bits in [0, 1, 5, 9, 14, 20, 30, 64] {
            let begins = |hash: u64| hash.checked_shr(64 - bits).unwrap_or(0);
            let hash = store.key(&77_u32.to_le_bytes()).hash();
            let hashes = (0..3_000_u32).map(|key| store.key(&key.to_le_bytes()).hash());
            let expected = hashes.filter(|&other| begins(other) == begins(hash)).count();
            let mut found = 0;
            store.scan_range(map, hash, bits, |own, entry| {
                found += 1;
                assert_eq!(own, store.key(&entry.key.to_vec()).hash());
            });
            assert_eq!(found, expected, "{bits} bits");
        }
    }
}
