//! What the index costs by itself: one operation a key, on maps of three sizes. `cargo bench -p chunkbuf --bench index`.

use chunkbuf::index::{Index, IndexMemory};
use chunkbuf::location::{Generation, Location, Offset};
use chunkbuf::pool::Pool;
use divan::{Bencher, black_box};

const SIZES: [u64; 3] = [1_000, 30_000, 1_000_000];

fn main() {
    divan::main();
}

/// SplitMix64, as the hash of a number.
fn hash(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// As if each entry took 36 bytes.
fn location(key: u64) -> Location {
    Location::new(Generation::Even, Offset::new(key * 36))
}

struct World {
    index: Index,
    memory: IndexMemory,
    pool: Pool,
}

impl World {
    fn with(keys: u64) -> World {
        let mut world = World { index: Index::new(), memory: IndexMemory::new(), pool: Pool::new(u64::MAX) };
        (0..keys).for_each(|key| world.insert(key));
        world
    }

    fn insert(&mut self, key: u64) {
        let hash_of = |location: Location, _| hash(location.offset().get() / 36);
        self.index.reserve(&mut self.memory, &mut self.pool, hash(key), hash_of).expect("there is no limit");
        self.index.insert(&mut self.memory, hash(key), location(key));
    }

    fn find(&self, key: u64) -> Option<Location> {
        self.index.find(&self.memory, hash(key), |found| found == location(key))
    }
}

/// A key at random below `keys`, other ones at each step.
fn scattered(step: u64, keys: u64) -> u64 {
    hash(step) % keys
}

#[divan::bench(args = SIZES)]
fn fill_and_empty(bencher: Bencher<'_, '_>, keys: u64) {
    bencher.counter(divan::counter::ItemsCount::new(keys)).bench(|| {
        let World { mut index, mut memory, mut pool } = World::with(keys);
        (0..keys).for_each(|key| assert!(index.remove(&mut memory, &mut pool, hash(key), location(key))));
        index.len()
    });
}

#[divan::bench(args = SIZES)]
fn find_a_key(bencher: Bencher<'_, '_>, keys: u64) {
    let world = World::with(keys);
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1;
        black_box(world.find(scattered(step, keys)))
    });
}

#[divan::bench(args = SIZES)]
fn miss_a_key(bencher: Bencher<'_, '_>, keys: u64) {
    let world = World::with(keys);
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1;
        black_box(world.find(keys + step))
    });
}

#[divan::bench(args = SIZES)]
fn relocate_32_prefetched_together(bencher: Bencher<'_, '_>, keys: u64) {
    let World { mut index, mut memory, pool: _pool } = World::with(keys);
    let mut step = 0;
    bencher.counter(divan::counter::ItemsCount::new(32u64)).bench_local(|| {
        let batch: [u64; 32] = std::array::from_fn(|n| scattered(step + n as u64, keys));
        step += 32;
        batch.iter().for_each(|&key| index.prefetch(&memory, hash(key)));
        for key in batch {
            assert!(index.relocate(&mut memory, hash(key), location(key), location(key)));
        }
    });
}

#[divan::bench(args = SIZES)]
fn scan_all(bencher: Bencher<'_, '_>, keys: u64) {
    let world = World::with(keys);
    bencher.counter(divan::counter::ItemsCount::new(keys)).bench_local(|| {
        let (mut cursor, mut visited) = (0, 0u64);
        loop {
            cursor = world.index.scan(&world.memory, cursor, |_| visited += 1);
            if cursor == 0 {
                return visited;
            }
        }
    });
}
