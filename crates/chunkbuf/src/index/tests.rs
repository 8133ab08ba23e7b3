//! The index against a naive model, its boundaries one by one, and its promises under a moving map.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::location::{Generation, Offset};

/// A pool that holds no more than this.
pub(super) fn pool_with(limit_bytes: u64) -> Pool {
    Pool::new(limit_bytes)
}

/// Bytes that a pool has handed out.
fn held_by(pool: &Pool) -> u64 {
    pool.usage().used_bytes
}

/// Tests with hundreds of keys and more take Miri minutes. It looks at unsafe code, of which the index has none: the rest is
/// enough to see what it does with its chunks.
const IS_TOO_LONG: bool = cfg!(miri);

/// SplitMix64: a good hash of a number, and from a counter a good random sequence.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A random sequence that says its seed when a test fails.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn new(seed: u64) -> Random {
        Random { seed, state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed of the failed run: {}", self.seed);
        }
    }
}

/// How keys (small numbers) come by their hashes.
type Hash = fn(u64) -> u64;

const GOOD: Hash = mix;
/// Every hash belongs to 40 keys.
const FORTY_SHARE_A_HASH: Hash = |key| mix(key / 40);
/// All agree in the first 30 bits.
const LONG_PREFIX: Hash = |key| 0xabcd_1230_0000_0000 | (mix(key) >> 30);
/// 400 keys at a time agree in the first 50 bits, and so in every fragment.
const FOUR_HUNDRED_ALIKE: Hash = |key| (mix(key / 400) & !0x3fff) | (mix(key) & 0x3fff);
/// In order, without any mixing: the first 40 bits are all zero, and 256 keys at a time agree in the first 50.
const COUNTING: Hash = |key| key << 6;

/// One map over an index, with the naive model beside it.
struct Map {
    index: Index,
    hash: Hash,
    /// Key -> location: what the index must say.
    model: HashMap<u64, Location>,
    /// Location -> key: what a buffer would know.
    entries: HashMap<Location, u64>,
    /// How often keys had to be asked for their hash.
    hashes_asked: u64,
    written: u64,
}

impl Map {
    fn new(hash: Hash) -> Map {
        Map { index: Index::new(), hash, model: HashMap::new(), entries: HashMap::new(), hashes_asked: 0, written: 0 }
    }

    fn next_location(&mut self) -> Location {
        self.written += 1;
        let generation = if self.written.is_multiple_of(3) { Generation::Odd } else { Generation::Even };
        Location::new(generation, Offset::new(self.written * 41))
    }

    fn find(&self, memory: &IndexMemory, key: u64) -> Option<Location> {
        self.index.find(memory, (self.hash)(key), |location| self.entries[&location] == key)
    }

    fn put(&mut self, memory: &mut IndexMemory, pool: &mut Pool, key: u64) -> Result<(), OutOfMemory> {
        let hash = (self.hash)(key);
        let found = self.find(memory, key);
        assert_eq!(found, self.model.get(&key).copied(), "key {key}");
        let to = self.next_location();
        match found {
            Some(from) => {
                assert!(self.index.relocate(memory, hash, from, to));
                assert!(!self.index.relocate(memory, hash, from, to), "{from:?} is not there any more");
                self.entries.remove(&from);
            }
            None => {
                let asked = &mut self.hashes_asked;
                self.index.reserve(memory, pool, hash, |location, _| {
                    *asked += 1;
                    (self.hash)(self.entries[&location])
                })?;
                self.index.insert(memory, hash, to);
            }
        }
        self.entries.insert(to, key);
        self.model.insert(key, to);
        Ok(())
    }

    fn remove(&mut self, memory: &mut IndexMemory, pool: &mut Pool, key: u64) -> bool {
        let found = self.find(memory, key);
        assert_eq!(found, self.model.get(&key).copied(), "key {key}");
        let Some(location) = found else { return false };
        assert!(self.index.remove(memory, pool, (self.hash)(key), location));
        assert!(!self.index.remove(memory, pool, (self.hash)(key), location), "removed once");
        self.entries.remove(&location);
        self.model.remove(&key);
        true
    }

    fn audit(&self, memory: &IndexMemory) {
        self.index.audit(memory);
        assert_eq!(self.index.len(), self.model.len() as u64);
    }

    /// Every key is found, and a whole scan visits each exactly once.
    fn audit_keys(&self, memory: &IndexMemory) {
        for (&key, &location) in &self.model {
            assert_eq!(self.find(memory, key), Some(location), "key {key}");
        }
        let mut seen = HashSet::new();
        let mut cursor = 0;
        loop {
            cursor = self.index.scan(memory, cursor, |location| {
                assert!(seen.insert(self.entries[&location]));
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), self.model.len());
    }
}

/// A memory without pages, and a pool without a limit.
fn world() -> (IndexMemory, Pool) {
    (IndexMemory::new(), pool_with(u64::MAX))
}

fn filled(hash: Hash, keys: std::ops::Range<u64>, memory: &mut IndexMemory, pool: &mut Pool) -> Map {
    let mut map = Map::new(hash);
    keys.for_each(|key| map.put(memory, pool, key).unwrap());
    map
}

#[test]
fn an_empty_index_owns_nothing_and_answers() {
    let (mut memory, mut pool) = world();
    let mut index = Index::new();
    assert_eq!(index.find(&memory, 5, |_| true), None);
    assert_eq!(index.scan(&memory, 0, |_| panic!("no key")), 0);
    assert_eq!(index.random(&memory, || 1), None);
    index.prefetch(&memory, 77);
    assert!(!index.remove(&mut memory, &mut pool, 5, Location::new(Generation::Even, Offset::new(0))));
    assert!(index.clear().release(&mut memory, &mut pool, 1));
    assert_eq!((index.bytes(), memory.usage()), (0, IndexUsage::default()));
}

#[test]
fn one_key_costs_one_block_and_its_removal_gives_all_back() {
    let (mut memory, mut pool) = world();
    let mut map = filled(GOOD, 7..8, &mut memory, &mut pool);
    map.audit(&memory);
    assert_eq!((memory.usage().blocks_used, memory.usage().directory_bytes), (1, 0));
    assert_eq!(map.index.bytes(), 256 + 64);
    assert_eq!(held_by(&pool), 4096);
    assert!(map.remove(&mut memory, &mut pool, 7));
    assert_eq!((map.index.bytes(), memory.usage(), held_by(&pool)), (0, IndexUsage::default(), 0));
}

#[test]
fn blocks_come_one_by_one_and_the_392nd_key_is_the_last_before_a_split() {
    if IS_TOO_LONG {
        return;
    }
    let (mut memory, mut pool) = world();
    let mut map = Map::new(GOOD);
    for count in 1..=392 {
        map.put(&mut memory, &mut pool, count).unwrap();
        assert_eq!(memory.usage().blocks_used, count.div_ceil(28), "{count} keys");
        map.audit(&memory);
    }
    assert_eq!(memory.segments.len(), 1);
    map.put(&mut memory, &mut pool, 393).unwrap();
    assert_eq!(memory.segments.len(), 2);
    assert!((14..=16).contains(&memory.usage().blocks_used));
    map.audit(&memory);
    map.audit_keys(&memory);
    assert_eq!(map.hashes_asked, 0);
}

#[test]
fn shrinking_lags_a_quarter_of_a_block_behind_growing() {
    let (mut memory, mut pool) = world();
    let mut map = filled(GOOD, 0..29, &mut memory, &mut pool);
    assert_eq!(memory.usage().blocks_used, 2);
    (21..29).rev().for_each(|key| assert!(map.remove(&mut memory, &mut pool, key)));
    assert_eq!(memory.usage().blocks_used, 1, "21 keys");
    (21..28).for_each(|key| map.put(&mut memory, &mut pool, key).unwrap());
    assert_eq!(memory.usage().blocks_used, 1, "28 keys");
    (22..28).for_each(|key| assert!(map.remove(&mut memory, &mut pool, key)));
    map.put(&mut memory, &mut pool, 100).unwrap();
    map.audit(&memory);
}

#[test]
fn two_keys_with_one_hash_are_two_slots() {
    let (mut memory, mut pool) = world();
    let mut map = filled(|_| 0x1234_5678_9abc_def0, 0..2, &mut memory, &mut pool);
    map.audit(&memory);
    let (first, second) = (map.find(&memory, 0).unwrap(), map.find(&memory, 1).unwrap());
    assert_ne!(first, second);
    map.remove(&mut memory, &mut pool, 0);
    assert_eq!(map.find(&memory, 0), None);
    assert_eq!(map.find(&memory, 1), Some(second));
}

#[test]
fn as_many_keys_of_one_hash_as_a_segment_has_slots_fit_and_one_more_is_refused() {
    if IS_TOO_LONG {
        return;
    }
    let (mut memory, mut pool) = world();
    let mut map = filled(|_| u64::MAX, 0..SLOTS_MAX as u64, &mut memory, &mut pool);
    map.audit(&memory);
    map.audit_keys(&memory);
    let (bytes, usage) = (map.index.bytes(), memory.usage());
    assert_eq!(map.put(&mut memory, &mut pool, 448), Err(OutOfMemory));
    assert_eq!((map.index.bytes(), memory.usage()), (bytes, usage));
    map.audit(&memory);
    // From a segment without a single empty slot, whose every line overflows, each removal repairs.
    for key in 0..SLOTS_MAX as u64 {
        assert!(map.remove(&mut memory, &mut pool, key * 5 % 448));
        map.audit(&memory);
    }
    assert_eq!(held_by(&pool), 0);
}

#[test]
fn a_window_is_refreshed_from_the_keys_at_every_tenth_split_only() {
    if IS_TOO_LONG {
        return;
    }
    let (mut memory, mut pool) = world();
    // 1,000 keys that agree in the first 48 bits: 49 splits before the first that parts them.
    let map = filled(COUNTING, 0..1000, &mut memory, &mut pool);
    map.audit(&memory);
    map.audit_keys(&memory);
    let deepest = (0..memory.segments.end()).filter(|&id| memory.segments.lives(id));
    let deepest = deepest.map(|id| memory.segments.get(id)).max_by_key(|segment| segment.depth()).unwrap();
    assert!(deepest.depth() == 50 && deepest.window() == 41, "{} {}", deepest.depth(), deepest.window());
    assert!((4 * 392..=8 * 392).contains(&map.hashes_asked), "{} asked", map.hashes_asked);
}

#[test]
fn merges_read_no_key_and_take_the_window_back() {
    if IS_TOO_LONG {
        return;
    }
    let (mut memory, mut pool) = world();
    let mut map = filled(LONG_PREFIX, 0..5000, &mut memory, &mut pool);
    let asked = map.hashes_asked;
    assert!(asked > 0);
    for key in 10..5000 {
        map.remove(&mut memory, &mut pool, key);
    }
    map.audit(&memory);
    map.audit_keys(&memory);
    assert_eq!((memory.segments.len(), map.hashes_asked), (1, asked));
    assert_eq!(memory.segments.get(0).window(), 0);
    (10..5000).for_each(|key| map.put(&mut memory, &mut pool, key).unwrap());
    map.audit(&memory);
    map.audit_keys(&memory);
}

#[test]
fn siblings_merge_although_one_has_a_newer_window() {
    if IS_TOO_LONG {
        return;
    }
    // Even and odd keys part at the ninth bit. The even side then splits once more, which refreshes its window, and
    // merges back; the odd side still has the first window.
    const SIDES: Hash = |key| (key % 2) << 55 | mix(key) >> 9;
    for last_removed in [0, 1] {
        let (mut memory, mut pool) = world();
        let mut map = filled(SIDES, 0..400, &mut memory, &mut pool);
        (400..1000).step_by(2).for_each(|key| map.put(&mut memory, &mut pool, key).unwrap());
        let windows = |memory: &IndexMemory, map: &Map| -> Vec<(u8, u8)> {
            let segment = |key| memory.segments.get(map.index.segment(memory, SIDES(key)).unwrap());
            [0, 1].map(|key| (segment(key).depth(), segment(key).window())).to_vec()
        };
        assert_eq!(windows(&memory, &map), [(10, 10), (9, 0)]);
        (300..1000).step_by(2).for_each(|key| assert!(map.remove(&mut memory, &mut pool, key)));
        assert_eq!(windows(&memory, &map), [(9, 9), (9, 0)]);
        (20 + last_removed..400).step_by(2).for_each(|key| {
            map.remove(&mut memory, &mut pool, key);
        });
        assert_eq!(windows(&memory, &map), [(0, 0), (0, 0)]);
        map.audit(&memory);
        map.audit_keys(&memory);
    }
}

#[test]
fn a_model_agrees_whatever_the_hashes() {
    for (family, hash) in [GOOD, FORTY_SHARE_A_HASH, LONG_PREFIX, FOUR_HUNDRED_ALIKE, COUNTING].into_iter().enumerate()
    {
        if IS_TOO_LONG && family > 0 {
            return;
        }
        for seed in 0..2 {
            let mut random = Random::new(family as u64 * 1000 + seed);
            race_the_model(&mut random, [hash, GOOD, hash], if IS_TOO_LONG { 32 } else { 4000 });
        }
    }
}

/// Three maps on one memory; phases that grow, churn and shrink; a sweep in between; audits all along.
fn race_the_model(random: &mut Random, hashes: [Hash; 3], steps: u64) {
    let (mut memory, mut pool) = world();
    let mut maps = hashes.map(Map::new);
    for _ in 0..8 {
        let puts_in_100 = [20, 50, 90, 95][random.below(4) as usize];
        let keys = [30, 500, 2000, 4000][random.below(4) as usize];
        for step in 0..steps / 8 * 3 {
            let map = &mut maps[random.below(3) as usize];
            let key = random.below(keys);
            if random.below(100) < puts_in_100 {
                map.put(&mut memory, &mut pool, key).unwrap();
            } else {
                map.remove(&mut memory, &mut pool, key);
            }
            if random.below(50) == 0 {
                memory.tidy(&mut pool, random.below(20) as usize);
            }
            if step % 512 == 0 {
                maps.iter().for_each(|map| map.audit(&memory));
                memory.audit();
            }
        }
        maps.iter().for_each(|map| map.audit_keys(&memory));
        if random.below(3) == 0 {
            let map = &mut maps[random.below(3) as usize];
            let mut remains = map.index.clear();
            *map = Map::new(map.hash);
            while !remains.release(&mut memory, &mut pool, 1 + random.below(30) as usize) {
                memory.tidy(&mut pool, 5);
            }
        }
    }
    for map in &mut maps {
        let keys: Vec<u64> = map.model.keys().copied().collect();
        for (n, key) in keys.into_iter().enumerate() {
            assert!(map.remove(&mut memory, &mut pool, key));
            if n % 128 == 0 {
                map.audit(&memory);
            }
        }
        map.audit(&memory);
    }
    assert_eq!((memory.usage(), held_by(&pool)), (IndexUsage::default(), 0), "nothing is left of empty maps");
}

#[test]
fn three_hundred_thousand_keys_come_and_go() {
    if IS_TOO_LONG {
        return;
    }
    let (mut memory, mut pool) = world();
    let mut map = Map::new(GOOD);
    for key in 0..300_000 {
        map.put(&mut memory, &mut pool, key).unwrap();
        if key % 50_000 == 0 {
            map.audit(&memory);
        }
    }
    map.audit(&memory);
    memory.audit();
    map.audit_keys(&memory);
    let bytes_a_key = memory.usage().held_bytes() as f64 / 300_000.0;
    assert!(bytes_a_key < 10.8, "{bytes_a_key} bytes a key");
    for key in (0..300_000).rev() {
        assert!(map.remove(&mut memory, &mut pool, key));
        if key % 50_000 == 0 {
            map.audit(&memory);
            memory.audit();
        }
    }
    assert_eq!((memory.usage(), held_by(&pool)), (IndexUsage::default(), 0));
}

#[test]
fn a_scan_visits_what_stays_whatever_comes_and_goes_meanwhile() {
    if IS_TOO_LONG {
        return;
    }
    for seed in 0..25 {
        let mut random = Random::new(seed);
        let hash = [GOOD, GOOD, LONG_PREFIX, FORTY_SHARE_A_HASH, COUNTING][random.below(5) as usize];
        let (mut memory, mut pool) = world();
        // Keys divisible by 16 stay. The others come and go in waves, so that segments split and merge under the scan.
        let (keys, staying) = ([100, 2000, 5000][random.below(3) as usize], 16);
        let mut map = Map::new(hash);
        (0..keys).step_by(staying).for_each(|key| map.put(&mut memory, &mut pool, key).unwrap());
        let mut seen = HashSet::new();
        let (mut cursor, mut is_growing, mut visits) = (0, true, 0);
        loop {
            cursor = map.index.scan(&memory, cursor, |location| {
                seen.insert(map.entries[&location]);
                visits += 1;
            });
            if cursor == 0 {
                break;
            }
            for _ in 0..random.below(keys / 10) {
                let key = random.below(keys);
                if key.is_multiple_of(staying as u64) {
                    continue;
                } else if is_growing {
                    map.put(&mut memory, &mut pool, key).unwrap();
                } else {
                    map.remove(&mut memory, &mut pool, key);
                }
            }
            if random.below(12) == 0 {
                is_growing = !is_growing;
            }
        }
        for key in (0..keys).step_by(staying) {
            assert!(seen.contains(&key), "key {key} was there all the time");
        }
        assert!(visits < keys * 4, "{visits} visits: a scan does not go in circles");
        map.audit(&memory);
    }
}

#[test]
fn any_number_is_a_cursor_and_a_small_map_has_small_ones() {
    if IS_TOO_LONG {
        return;
    }
    let (mut memory, mut pool) = world();
    let map = filled(GOOD, 0..300, &mut memory, &mut pool);
    let mut cursor = 0;
    loop {
        cursor = map.index.scan(&memory, cursor, |_| {});
        assert!(cursor < 1 << 14);
        if cursor == 0 {
            break;
        }
    }
    let mut random = Random::new(1);
    for cursor in (0..1000).map(|_| random.next()).chain([1, u64::MAX, u64::MAX - 1, 1 << 63]) {
        let mut cursor = cursor;
        let mut steps = 0;
        while cursor != 0 || steps == 0 {
            cursor = map.index.scan(&memory, cursor, |_| {});
            steps += 1;
        }
        assert!(steps <= 56);
    }
}

#[test]
fn a_prefix_visits_every_key_that_has_it_and_few_others() {
    if IS_TOO_LONG {
        return;
    }
    for (hash, keys) in [(GOOD, 300), (GOOD, 5000), (LONG_PREFIX, 2000), (COUNTING, 2000), (FOUR_HUNDRED_ALIKE, 2000)] {
        let (mut memory, mut pool) = world();
        let map = filled(hash, 0..keys, &mut memory, &mut pool);
        for bits in [0, 1, 5, 13, 32, 47, 64] {
            for key in (0..keys + 50).step_by(keys as usize / 5) {
                let wanted = hash(key);
                let is_alike = |key: u64| bits == 0 || (hash(key) ^ wanted) >> (64 - bits) == 0;
                let expected: HashSet<u64> = map.model.keys().copied().filter(|&key| is_alike(key)).collect();
                let mut seen = HashSet::new();
                map.index.visit_prefix(&memory, wanted, bits, |location| {
                    assert!(seen.insert(map.entries[&location]), "once");
                });
                assert!(seen.is_superset(&expected), "{bits} bits of key {key}");
                // A slot knows at least its segment's prefix and 14 bits more.
                let strangers = seen.difference(&expected).copied();
                strangers.for_each(|key| assert!((hash(key) ^ wanted).leading_zeros() >= bits.min(13), "{bits} bits"));
            }
        }
    }
}

#[test]
fn random_keys_are_uniform() {
    if IS_TOO_LONG {
        return;
    }
    let (mut memory, mut pool) = world();
    let map = filled(GOOD, 0..1000, &mut memory, &mut pool);
    let mut random = Random::new(7);
    let mut counts = vec![0u64; 1000];
    for _ in 0..100_000 {
        let location = map.index.random(&memory, || random.next()).unwrap();
        counts[map.entries[&location] as usize] += 1;
    }
    // Chi squared with 999 degrees of freedom: mean 999, deviation 45.
    let chi_squared: f64 = counts.iter().map(|&count| (count as f64 - 100.0).powi(2) / 100.0).sum();
    assert!((800.0..1200.0).contains(&chi_squared), "{chi_squared}");
}

#[test]
fn a_random_key_is_found_however_bad_the_hashes() {
    if IS_TOO_LONG {
        return;
    }
    for hash in [COUNTING, LONG_PREFIX, FOUR_HUNDRED_ALIKE] {
        for keys in [1, 2, 40, 3000] {
            let (mut memory, mut pool) = world();
            let map = filled(hash, 0..keys, &mut memory, &mut pool);
            let mut random = Random::new(keys);
            for _ in 0..200 {
                let location = map.index.random(&memory, || random.next()).unwrap();
                assert!(map.entries.contains_key(&location));
            }
        }
    }
}

#[test]
fn a_refused_reserve_changes_nothing() {
    if IS_TOO_LONG {
        return;
    }
    // Three granules of 64 KiB, an eighth of them kept for compaction: two, or about 15,000 keys.
    let (mut memory, mut pool) = (IndexMemory::new(), pool_with(3 << 16));
    let mut map = Map::new(GOOD);
    let mut refused = 0;
    for key in 0..30_000 {
        let before = (map.index.bytes(), memory.usage(), held_by(&pool));
        if map.put(&mut memory, &mut pool, key).is_err() {
            refused += 1;
            assert_eq!((map.index.bytes(), memory.usage(), held_by(&pool)), before);
            assert_eq!(map.find(&memory, key), None);
        }
        if key % 1000 == 0 {
            map.audit(&memory);
        }
    }
    assert!(refused > 1000 && map.index.len() > 10_000, "{refused} refused, {} taken", map.index.len());
    map.audit(&memory);
    map.audit_keys(&memory);
    memory.audit();
    // Room that removals made is room for others.
    for key in 0..1000 {
        map.remove(&mut memory, &mut pool, key);
    }
    assert!((50_000..50_100).any(|key| map.put(&mut memory, &mut pool, key).is_ok()));
    map.audit(&memory);
}

#[test]
fn headers_and_nodes_are_under_the_limit_before_they_are_taken() {
    if IS_TOO_LONG {
        return;
    }
    // They were counted once they were there: a split on blocks that lay free passed a limit that was used up.
    let (mut memory, mut pool) = world();
    let mut map = filled(GOOD, 0..392, &mut memory, &mut pool);
    let held = |memory: &IndexMemory, pool: &Pool| pool.usage().held_bytes + memory.outside_bytes();
    pool.set_limit(held(&memory, &pool));
    assert_eq!(map.put(&mut memory, &mut pool, 392), Err(OutOfMemory));
    assert_eq!(held(&memory, &pool), pool.limit());
    pool.set_limit(u64::MAX);
    assert_eq!(map.put(&mut memory, &mut pool, 392), Ok(()));
    map.audit(&memory);
}

#[test]
fn tidy_returns_the_pages_of_what_was_deleted() {
    if IS_TOO_LONG {
        return;
    }
    let (mut memory, mut pool) = world();
    let mut map = filled(GOOD, 0..100_000, &mut memory, &mut pool);
    let full = memory.usage();
    for key in (0..100_000).filter(|key| key % 10 != 0) {
        map.remove(&mut memory, &mut pool, key);
    }
    let mut steps = 0;
    while memory.tidy(&mut pool, 8) {
        steps += 1;
        if steps % 20 == 0 {
            map.audit(&memory);
            memory.audit();
        }
        assert!(steps < 1000, "a sweep ends");
    }
    map.audit(&memory);
    map.audit_keys(&memory);
    memory.audit();
    let usage = memory.usage();
    assert!(usage.blocks_free <= 64 + usage.blocks_used / 16, "{usage:?}");
    assert!(usage.page_bytes * 5 < full.page_bytes, "{usage:?} of {full:?}");
    assert!(!memory.tidy(&mut pool, 8), "nothing more to do");
}

#[test]
fn a_sweep_ends_although_the_indexes_change_under_it() {
    if IS_TOO_LONG {
        return;
    }
    for seed in 0..3 {
        let mut random = Random::new(seed);
        let (mut memory, mut pool) = world();
        let mut map = filled(GOOD, 0..40_000, &mut memory, &mut pool);
        for key in 0..36_000 {
            map.remove(&mut memory, &mut pool, key);
        }
        let mut steps = 0;
        while memory.tidy(&mut pool, 3) {
            for _ in 0..10 {
                let key = random.below(40_000);
                if random.below(2) == 0 {
                    map.put(&mut memory, &mut pool, key).unwrap();
                } else {
                    map.remove(&mut memory, &mut pool, key);
                }
            }
            steps += 1;
            assert!(steps < 5000, "a sweep ends");
        }
        map.audit(&memory);
        map.audit_keys(&memory);
        memory.audit();
    }
}

#[test]
fn a_cleared_index_is_released_in_steps_of_no_more_than_was_asked() {
    if IS_TOO_LONG {
        return;
    }
    let (mut memory, mut pool) = world();
    let mut map = filled(GOOD, 0..50_000, &mut memory, &mut pool);
    let other = filled(GOOD, 0..1000, &mut memory, &mut pool);
    let mut remains = map.index.clear();
    assert_eq!((map.index.len(), map.index.bytes()), (0, 0));
    let mut map = Map::new(GOOD);
    let mut before = memory.usage().blocks_used;
    loop {
        let is_done = remains.release(&mut memory, &mut pool, 10);
        let after = memory.usage().blocks_used;
        assert!(before - after <= 10);
        if is_done {
            break;
        }
        // The index goes on meanwhile, and so does its neighbour.
        if before.is_multiple_of(7) {
            map.put(&mut memory, &mut pool, before).unwrap();
        }
        before = memory.usage().blocks_used;
        memory.audit();
    }
    assert!(remains.release(&mut memory, &mut pool, 1));
    map.audit(&memory);
    other.audit(&memory);
    other.audit_keys(&memory);
    assert_eq!(memory.used_bytes(), map.index.bytes() + other.index.bytes());
}
