//! The limit on memory: never exceeded, never in the way of what frees memory; and nothing held for nothing.

use chunkbuf::{Budget, MapId, Options, PutError, Store, UserFlags};

const NONE: UserFlags = UserFlags::NONE;
const MIB: u64 = 1 << 20;

fn store_with(memory_limit: u64) -> (Store, MapId) {
    let mut store = Store::new(Options { memory_limit, ..Options::default() });
    let map = store.create();
    (store, map)
}

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

#[test]
fn a_limit_lowered_under_what_is_held_is_reached_once_enough_is_removed() {
    // A pass needs a chunk before it frees one. Over the limit it got none, so no removal ever freed memory, and every write
    // was refused for good.
    let (mut store, map) = store_with(u64::MAX);
    for number in 0..20_000 {
        store.put(map, &key(number), NONE, &[1; 1000]).unwrap();
    }
    let before = store.held_bytes();
    store.set_memory_limit(10 * MIB);
    assert_eq!(store.put(map, b"refused", NONE, &[0; 1 << 20]), Err(PutError::OutOfMemory));
    for number in 0..20_000 {
        if number % 4 != 0 {
            store.remove(map, &key(number));
        }
    }
    while store.step(Budget::STEP, true) {
        assert!(store.held_bytes() <= before + 2 * MIB, "{} of {before} bytes", store.held_bytes());
    }
    store.audit();
    assert!(store.held_bytes() <= 10 * MIB, "{} bytes are still held", store.held_bytes());
    store.put(map, b"taken", NONE, b"").unwrap();
}

#[test]
fn a_refused_put_leaves_an_empty_map_empty() {
    // The room that the index had made for the key stayed, a page in the end, in every map whose first put was refused.
    let (mut store, map) = store_with(MIB);
    assert_eq!(store.put(map, b"key", NONE, &[0; 2 << 20]), Err(PutError::OutOfMemory));
    store.audit();
    let usage = store.usage();
    assert_eq!((usage.pool.used_bytes, usage.index.held_bytes()), (0, 0));
}

#[test]
fn an_empty_map_is_cleared_without_a_trace() {
    // Each clear of an empty map left two steps of work and a list of nothing, without an end.
    let (mut store, map) = store_with(u64::MAX);
    (0..1000).for_each(|_| store.clear(map));
    assert_eq!(store.debt(), 0);
    assert!(!store.step(Budget::STEP, false));
}

#[test]
fn small_maps_that_were_dropped_are_freed_several_in_a_step() {
    // Two steps for each of them let a client drop maps faster than steps freed them.
    let (mut store, _) = store_with(u64::MAX);
    let maps: Vec<_> = (0..1000).map(|_| store.create()).collect();
    for &map in &maps {
        store.put(map, b"key", NONE, b"value").unwrap();
        store.drop_map(map);
    }
    let steps = (1..).take_while(|_| store.step(Budget::STEP, false)).count();
    assert!(steps <= 200, "{steps} steps for 1000 maps");
    assert_eq!(store.usage().pool.used_bytes, 0);
}

/// Room that is promised to one is no other's, and what the user counts is no longer there.
#[test]
fn promised_room_and_heap_of_the_user_are_not_given_to_others() {
    let mut store = Store::new(Options { memory_limit: 32 * MIB, ..Options::default() });
    let map = store.create();
    let room = store.room_bytes();
    assert!(room <= 30 * MIB, "the last 2 MiB are compaction's");
    assert!(store.has_room(28 * MIB) && !store.has_room(room));
    let kept = store.promise(20 * MIB);
    store.count_heap(0, 4 * MIB);
    assert_eq!((store.room_bytes(), store.user_heap_bytes()), (room - kept - 4 * MIB, 4 * MIB));
    assert_eq!(store.held_bytes(), store.usage().held_bytes());
    let mut number = 0_u32;
    while store.put(map, &number.to_be_bytes(), UserFlags::NONE, &[7; 1000]).is_ok() {
        number += 1;
    }
    assert!(store.held_bytes() + kept <= 30 * MIB);
    store.take_back(kept);
    for _ in 0..20 * 1024 {
        store.put(map, &number.to_be_bytes(), UserFlags::NONE, &[7; 1000]).expect("it was promised");
        number += 1;
    }
    store.count_heap(4 * MIB, 0);
    assert_eq!(store.user_heap_bytes(), 0);
    store.audit();
}
