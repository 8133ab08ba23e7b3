//! One operation of the store.
//!
//! `cargo bench -p chunkbuf --bench store`; `cargo run --release -p chunkbuf --example figures` prints the tables that the
//! project quotes.

use chunkbuf::{Budget, MapId, Options, Store, UserFlags};
use divan::Bencher;

fn main() {
    divan::main();
}

const KEYS: u64 = 300_000;

fn filled(value_len: usize) -> (Store, MapId) {
    let mut store = Store::new(Options::default());
    let map = store.create();
    for number in 0..KEYS {
        store.put(map, &number.to_le_bytes(), UserFlags::NONE, &vec![1; value_len]).expect("no limit");
    }
    (store, map)
}

/// Numbers below [`KEYS`] in an order without a pattern that a cache would like.
fn scattered() -> impl FnMut() -> u64 {
    let mut state = 1u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % KEYS
    }
}

#[divan::bench]
fn get(bencher: Bencher<'_, '_>) {
    let (store, map) = filled(16);
    let mut next = scattered();
    bencher.bench_local(|| store.get(map, &next().to_le_bytes()).map(|entry| entry.value.len()));
}

#[divan::bench]
fn get_missing(bencher: Bencher<'_, '_>) {
    let (store, map) = filled(16);
    let mut next = scattered();
    bencher.bench_local(|| store.get(map, &(next() + KEYS).to_le_bytes()).is_none());
}

#[divan::bench]
fn overwrite_and_pay(bencher: Bencher<'_, '_>) {
    let (mut store, map) = filled(16);
    let mut next = scattered();
    bencher.bench_local(|| {
        store.put(map, &next().to_le_bytes(), UserFlags::NONE, &[2; 16]).expect("no limit");
        if store.debt() >= 16 * 1024 {
            store.step(Budget::STEP, false);
        }
    });
}

#[divan::bench]
fn put_and_remove(bencher: Bencher<'_, '_>) {
    let (mut store, map) = filled(16);
    let mut next = scattered();
    bencher.bench_local(|| {
        let key = (next() + KEYS).to_le_bytes();
        store.put(map, &key, UserFlags::NONE, &[2; 16]).expect("no limit");
        store.remove(map, &key)
    });
}
