//! What a caller asks that is short of memory: what room there is, what comes back, and that it come back now.

use super::{IDLE_UTILISATION, Store};
use crate::compaction::Budget;

impl Store {
    /// Bytes that may be written before the memory limit is reached, about: what compaction could win is not counted, nor what
    /// is left in chunks that are being written. O(1).
    pub fn room_bytes(&self) -> u64 {
        let free = self.options.memory_limit.saturating_sub(self.held_bytes());
        free.saturating_add(self.pool.usage().warm_bytes)
    }

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

    /// Bytes of what is held that come back without anything being removed, about: dead entries beyond the share that
    /// `utilisation` allows, cleared maps, and free memory. O(1).
    pub fn returning_bytes(&self, utilisation: f64) -> u64 {
        let tight = self.live_bytes as f64 / utilisation;
        let dead = (self.live_bytes + self.unlive_bytes).saturating_sub(tight as u64);
        let warm = self.pool.usage().warm_bytes.saturating_sub(self.warm_to_keep(false));
        dead + warm + self.garbage_bytes
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
        assert_eq!(store.returning_bytes(0.9), 0);
        assert!(!store.tighten(Budget::STEP), "nothing is dead");
        (0..keys / 2).for_each(|key| assert!(store.remove(map, &key.to_le_bytes())));
        let held = store.held_bytes();
        let returning = store.returning_bytes(0.9);
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
