//! Which map to compact next.

use super::MapId;

/// Maps by what compacting them would free: a list for each power of two of dead bytes. A listing may be out of date; whoever
/// meets one checks it, and lists the map anew. A map stands in each list once at most.
pub(super) struct Gains {
    lists: [Vec<MapId>; Gains::CLASSES],
    /// For each map, a bit for each list it stands in.
    listed: Vec<u64>,
}

impl Gains {
    const CLASSES: usize = 40;
    /// Lists whose best map is looked at before a choice is made.
    const LOOK_AT: usize = 6;

    pub(super) fn new() -> Gains {
        Gains { lists: std::array::from_fn(|_| Vec::new()), listed: Vec::new() }
    }

    fn class_of(dead_bytes: u64) -> usize {
        (63 - (dead_bytes | 1).leading_zeros() as usize).min(Gains::CLASSES - 1)
    }

    pub(super) fn list(&mut self, map: MapId, dead_bytes: u64) {
        if dead_bytes == 0 {
            return;
        }
        let index = map.0 as usize;
        if index >= self.listed.len() {
            self.listed.resize(index + 1, 0);
        }
        let class = Gains::class_of(dead_bytes);
        if self.listed[index] & 1 << class == 0 {
            self.listed[index] |= 1 << class;
            self.lists[class].push(map);
        }
    }

    /// The map with the most dead bytes for each live one, among the last of the highest lists.
    pub(super) fn choose(&mut self, books: impl Fn(MapId) -> (u64, u64)) -> Option<(MapId, u64, u64)> {
        let ratio = |(_, live, dead): (MapId, u64, u64)| dead as f64 / (live + 1) as f64;
        let mut best: Option<(MapId, u64, u64)> = None;
        let mut looked = 0;
        for class in (0..Gains::CLASSES).rev() {
            while let Some(&map) = self.lists[class].last() {
                let (live, dead) = books(map);
                let is_current = dead > 0 && Gains::class_of(dead) == class;
                if dead > 0 && best.is_none_or(|best| ratio((map, live, dead)) > ratio(best)) {
                    best = Some((map, live, dead));
                }
                if is_current {
                    looked += 1;
                    break;
                }
                self.lists[class].pop();
                self.listed[map.0 as usize] &= !(1 << class);
                self.list(map, dead);
            }
            if looked == Gains::LOOK_AT {
                break;
            }
        }
        best
    }
}
