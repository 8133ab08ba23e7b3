//! Ten defects that an earlier implementation of the same specification really had, each as a test that would have met it.

use chunkbuf::{Budget, MapId, Options, PutError, Store, UserFlags};

const NONE: UserFlags = UserFlags::NONE;
const MIB: u64 = 1 << 20;

fn store() -> (Store, MapId) {
    let mut store = Store::new(Options::default());
    let map = store.create();
    (store, map)
}

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn settle(store: &mut Store) {
    while store.step(Budget::STEP, true) {}
}

/// Pays what is owed, a bounded step at a time, as a server does.
fn pay(store: &mut Store) {
    while store.debt() > 0 {
        store.step(Budget::STEP, false);
    }
}

/// Chunk memory of buffers beyond the entries that it holds: open ends, and anything leaked.
fn slack(store: &Store) -> u64 {
    let usage = store.usage();
    usage.pool.used_bytes - usage.index.page_bytes - usage.live_bytes - usage.dead_bytes
}

#[test]
fn a_pass_leaks_no_chunk() {
    let (mut store, map) = store();
    let mut slack_max = 0;
    for round in 0..50 {
        for number in 0..2000 {
            store.put(map, &key(number), NONE, &[round; 100]).unwrap();
        }
        settle(&mut store);
        store.audit();
        slack_max = slack_max.max(slack(&store));
    }
    assert!(store.usage().passes >= 49);
    assert!(slack_max <= 64 * 1024, "slack stays what one open chunk is: {slack_max}");
}

#[test]
fn staging_whose_keys_died_before_the_merge_is_not_leaked() {
    let (mut store, map) = store();
    for number in 0..4000 {
        store.put(map, &key(number), NONE, &[1; 100]).unwrap();
    }
    for number in 0..2000 {
        store.remove(map, &key(number));
    }
    store.step(Budget { bytes: 1000, entries: 64 }, true);
    assert!(store.usage().in_pass);
    for number in 10_000..12_000 {
        store.put(map, &key(number), NONE, &[2; 100]).unwrap();
    }
    for number in 10_000..12_000 {
        store.remove(map, &key(number));
    }
    settle(&mut store);
    store.audit();
    assert_eq!(store.len(map), 2000);
    let usage = store.usage();
    assert!(usage.dead_bytes * 10 < usage.live_bytes, "{usage:?}");
}

#[test]
fn a_write_that_fails_has_not_deleted_the_old_value() {
    let mut store = Store::new(Options { memory_limit: MIB, ..Options::default() });
    let map = store.create();
    store.put(map, b"key", NONE, b"old").unwrap();
    let too_large = vec![0; 2 * MIB as usize];
    assert_eq!(store.put(map, b"key", UserFlags::A, &too_large), Err(PutError::OutOfMemory));
    assert_eq!(store.put(map, &[0; 65_536], NONE, b"new"), Err(PutError::KeyTooLong));
    assert_eq!(store.replace(map, b"key", UserFlags::A, &too_large), Err(PutError::OutOfMemory));
    let entry = store.get(map, b"key").unwrap();
    assert_eq!((entry.value.to_vec(), entry.flags), (b"old".to_vec(), NONE));
    store.audit();
    // And so for every key when small writes fill the store to its limit.
    let mut stored = 0;
    let error = loop {
        match store.put(map, &key(stored), NONE, &[7; 1000]) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, PutError::OutOfMemory);
    assert!(store.held_bytes() <= MIB);
    for number in 0..stored {
        assert_eq!(store.get(map, &key(number)).unwrap().value.to_vec(), [7; 1000]);
        let _ = store.put(map, &key(number), NONE, &too_large);
    }
    assert_eq!(store.len(map), u64::from(stored) + 1);
    store.audit();
}

// "Two keys with one hash overwrite each other" needs a hash that collides: it stands beside `Map`.

#[test]
fn a_few_large_overwrites_do_not_outrun_compaction() {
    // Debt counted per operation let 4 MiB of live values hold 5.5 GiB.
    let (mut store, map) = store();
    let value = vec![5; MIB as usize];
    let mut held_max = 0;
    for round in 0..500 {
        store.put(map, &key(round % 4), NONE, &value).unwrap();
        held_max = held_max.max(store.held_bytes());
        pay(&mut store);
    }
    assert!(held_max <= 16 * MIB, "4 MiB live held {} MiB", held_max / MIB);
    store.audit();
}

#[test]
fn maps_that_filled_together_do_not_compact_together() {
    // All maps compacting at once held 4.9 times the live bytes.
    let mut store = Store::new(Options::default());
    let maps: Vec<_> = (0..8).map(|_| store.create()).collect();
    let mut held_max: f64 = 0.0;
    for round in 0..8 {
        for number in 0..500 {
            for &map in &maps {
                store.put(map, &key(number), NONE, &[round; 4000]).unwrap();
                pay(&mut store);
                // The first pass of each map still frees the small chunks of its growth, which interleave with the others'.
                if round > 1 {
                    held_max = held_max.max(store.held_bytes() as f64 / store.live_bytes() as f64);
                }
            }
        }
        store.audit();
    }
    assert!(held_max < 1.35, "held {held_max:.2} times the live bytes");
}

#[test]
fn a_hot_key_rewritten_while_it_is_copied_keeps_its_last_value() {
    let (mut store, map) = store();
    let len = 100_000;
    store.put(map, b"hot", NONE, &vec![0; len]).unwrap();
    for number in 0..1000 {
        store.put(map, &key(number), NONE, &[1; 100]).unwrap();
        store.remove(map, &key(number));
    }
    for round in 1..=255u8 {
        store.step(Budget { bytes: 3000, entries: 1024 }, true);
        store.put(map, b"hot", NONE, &vec![round; len]).unwrap();
        store.step(Budget { bytes: 3000, entries: 1024 }, true);
        assert_eq!(store.get(map, b"hot").unwrap().value.to_vec(), vec![round; len]);
        // In place as well, on both sides of what is copied so far.
        let hot = store.key(b"hot");
        let location = store.find(map, &hot).unwrap();
        for at in [0, len / 2, len - 1] {
            assert!(store.write_in_place(map, &hot, location, at, &[!round]));
        }
        store.audit();
        store.step(Budget { bytes: 3000, entries: 1024 }, true);
        let value = store.get(map, b"hot").unwrap().value.to_vec();
        assert_eq!([value[0], value[len / 2], value[len - 1]], [!round; 3]);
    }
    settle(&mut store);
    store.audit();
    assert_eq!(store.len(map), 1);
}

#[test]
fn an_empty_or_tiny_map_costs_next_to_nothing() {
    // Tens of KiB for each empty buffer made many small maps impossible.
    let mut store = Store::new(Options::default());
    let empty: Vec<_> = (0..10_000).map(|_| store.create()).collect();
    assert_eq!(store.held_bytes(), 0);
    for &map in &empty {
        store.put(map, b"field", NONE, b"value").unwrap();
    }
    settle(&mut store);
    let each = store.held_bytes() / 10_000;
    assert!(each <= 700, "{each} bytes for a map with one small entry");
    store.audit();
}

#[test]
fn clear_while_a_pass_runs_frees_everything() {
    let (mut store, map) = store();
    for state in [1, 3_000, 40_000] {
        for number in 0..3000 {
            store.put(map, &key(number), NONE, &[1; 100]).unwrap();
        }
        store.put(map, b"long", NONE, &[2; 30_000]).unwrap();
        for number in 0..2900 {
            store.remove(map, &key(number));
        }
        store.step(Budget { bytes: state, entries: 4096 }, true);
        assert!(store.usage().in_pass, "the pass is under way");
        store.put(map, b"staged", NONE, b"x").unwrap();
        store.clear(map);
        store.audit();
        assert_eq!(store.len(map), 0);
        assert!(store.get(map, b"staged").is_none());
        store.put(map, b"after", NONE, b"y").unwrap();
        store.remove(map, b"after");
        settle(&mut store);
        store.audit();
    }
    store.clear(map);
    settle(&mut store);
    assert_eq!(store.usage().pool.used_bytes, 0);
}

#[test]
fn an_idle_map_gives_its_memory_back() {
    let (mut store, map) = store();
    for number in 0..100_000 {
        store.put(map, &key(number), NONE, &[1; 200]).unwrap();
    }
    let full = store.held_bytes();
    for number in 0..100_000 {
        if number % 10 != 0 {
            store.remove(map, &key(number));
        }
    }
    settle(&mut store);
    store.audit();
    assert!(store.held_bytes() < full / 8, "{} of {full} bytes are still held", store.held_bytes());
    let usage = store.usage();
    let held = usage.pool.held_bytes - usage.index.page_bytes;
    assert!(held as f64 <= 1.10 * usage.live_bytes as f64, "{usage:?}");
    for number in (0..100_000).step_by(10) {
        store.remove(map, &key(number));
    }
    settle(&mut store);
    assert_eq!(store.usage().pool.used_bytes, 0, "an empty map holds no chunk");
}
