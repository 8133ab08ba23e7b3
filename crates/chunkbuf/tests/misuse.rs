//! What a store answers to places that are out of date: it refuses them before a byte that a reader sees could change.

use chunkbuf::{Budget, Options, Store, UserFlags};

/// A store with a long value under `gone`, the place of an entry that is no more, and a log that has been used again.
fn store_with_a_place_out_of_date() -> (Store, chunkbuf::MapId, chunkbuf::Location) {
    let mut store = Store::new(Options::default());
    let map = store.create();
    store.put(map, b"gone", UserFlags::NONE, &[1; 5000]).expect("no limit");
    let place = store.find(map, &store.key(b"gone")).expect("just put");
    store.clear(map);
    while store.step(Budget::STEP, true) {}
    store.put(map, b"gone", UserFlags::NONE, b"short").expect("no limit");
    store.put(map, b"gone", UserFlags::NONE, b"shorter").expect("no limit");
    (store, map, place)
}

#[test]
#[should_panic(expected = "the key is at the location")]
fn a_pin_at_a_place_out_of_date_is_refused() {
    // The header that happened to stand there decided what was pinned, and the next put could write there.
    let (mut store, map, place) = store_with_a_place_out_of_date();
    let key = store.key(b"gone");
    store.pin(map, &key, place, 0..5);
}

#[test]
#[should_panic(expected = "the key is at the location")]
fn a_write_at_a_place_out_of_date_is_refused() {
    let (mut store, map, place) = store_with_a_place_out_of_date();
    let key = store.key(b"gone");
    store.write_in_place(map, &key, place, 0, b"x");
}

#[test]
#[should_panic(expected = "within the value")]
fn a_write_that_begins_past_the_last_address_is_refused() {
    // The end of the range wrapped around, and bytes before the value were written.
    let mut store = Store::new(Options::default());
    let map = store.create();
    store.put(map, b"key", UserFlags::NONE, b"value").unwrap();
    let key = store.key(b"key");
    let place = store.find(map, &key).unwrap();
    store.write_in_place(map, &key, place, usize::MAX, b"xx");
}
