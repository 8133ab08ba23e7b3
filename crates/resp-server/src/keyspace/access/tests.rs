//! Cells, pages and times, with a clock of their own.

use chunkbuf::Options;

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const NOW: Millis = Millis(1_700_000_000_000);

fn table(measure: Measure) -> (Store, Access) {
    let mut store = Store::new(Options::default());
    let access = Access::new(&mut store, measure, NOW, 7);
    (store, access)
}

const LFU: Measure = Measure::Frequency { log_factor: 10, decay_minutes: 1 };

fn at(access: &mut Access, millis: i64) {
    access.set_now(Millis(NOW.0 + millis));
}

/// Lets so much time pass as the job does: with steps.
fn pass(store: &mut Store, access: &mut Access, from: i64, to: i64, keys: u64) {
    let mut now = from;
    while now < to {
        now = (now + 10 * MINUTE).min(to);
        at(access, now);
        while access.in_debt(keys) {
            access.step(store, &[], keys);
        }
    }
}

fn hash(n: u64) -> u64 {
    let mut random = n;
    crate::keyspace::Keyspace::next_random(&mut random)
}

#[test]
fn a_time_of_last_use_is_told_to_the_eighth_of_a_second_for_an_hour_and_to_minutes_for_a_month() {
    for (idle, within) in
        [(0, 128), (999, 128), (59 * MINUTE, 128), (2 * HOUR, 300_000), (DAY, 300_000), (30 * DAY, 300_000)]
    {
        let (mut store, mut access) = table(Measure::Recency);
        at(&mut access, 1);
        access.touch(hash(1));
        pass(&mut store, &mut access, 1, idle + 1, 1);
        let told = access.idle_ms(hash(1)).expect("it was used") as i64;
        assert!((idle - within..=idle + within).contains(&told), "{idle} ms: {told}");
        access.give_back(&mut store);
    }
}

#[test]
fn what_was_not_used_for_very_long_does_not_become_young_again() {
    let (mut store, mut access) = table(Measure::Recency);
    access.touch(hash(1));
    pass(&mut store, &mut access, 0, 200 * DAY, 1);
    assert!(access.idle_ms(hash(1)).expect("it was used") as i64 >= 35 * DAY);
    access.touch(hash(1));
    assert!(access.idle_ms(hash(1)) < Some(128));
    access.give_back(&mut store);
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_old() {
    let (mut store, mut access) = table(Measure::Recency);
    access.touch(hash(1));
    at(&mut access, -5 * MINUTE);
    assert_eq!(access.idle_ms(hash(1)), Some(0));
    access.give_back(&mut store);
}

#[test]
fn a_new_key_has_a_count_of_5_and_the_first_use_makes_it_6() {
    let (mut store, mut access) = table(LFU);
    access.born(hash(1));
    assert_eq!(access.frequency(hash(1)), Some(5));
    access.touch(hash(1));
    assert_eq!(access.frequency(hash(1)), Some(6));
    for _ in 0..1_000 {
        access.touch(hash(1));
    }
    // Redis documents 18 for 1,000 uses under a factor of 10.
    let counted = access.frequency(hash(1)).expect("it is used");
    assert!((14..=24).contains(&counted), "{counted}");
    access.pause(true);
    (0..1_000).for_each(|_| access.touch(hash(1)));
    assert_eq!(access.frequency(hash(1)), Some(counted));
    access.pause(false);
    access.give_back(&mut store);
}

#[test]
fn counts_fall_by_one_a_period_and_stay_at_nothing() {
    for (decay_minutes, minutes, left) in
        [(1, 3, 2), (1, 100, 0), (1, 100_000, 0), (0, 10_000, 5), (100, 250, 3), (1000, 2500, 3)]
    {
        let (mut store, mut access) = table(Measure::Frequency { log_factor: 10, decay_minutes });
        access.born(hash(1));
        pass(&mut store, &mut access, 0, minutes * MINUTE, 1);
        let told = access.frequency(hash(1)).expect("it is there");
        assert!((left..=left + u8::from(decay_minutes > 16)).contains(&told), "{decay_minutes}, {minutes}: {told}");
        access.give_back(&mut store);
    }
}

#[test]
fn the_table_grows_and_shrinks_with_its_keys_and_each_key_keeps_its_time() {
    let (mut store, mut access) = table(Measure::Recency);
    let map = store.create();
    let keys = 20_000_u64;
    let mut hashes = Vec::new();
    for n in 0..keys {
        at(&mut access, n as i64 * 10);
        store.put(map, &n.to_le_bytes(), chunkbuf::UserFlags::NONE, b"").expect("memory is not limited");
        hashes.push(store.key(&n.to_le_bytes()).hash());
        access.born(hashes[n as usize]);
        while access.in_debt(n + 1) {
            access.step(&mut store, &[map], n + 1);
        }
    }
    assert_eq!(access.pages.len() as u64, keys.div_ceil(KEYS_PER_PAGE));
    let age = |n: usize| (keys as i64 - 1 - n as i64) * 10;
    let as_it_is = |access: &Access| {
        let idle = |n: usize| access.idle_ms(hashes[n]).map(|ms| ms as i64);
        (0..keys as usize)
            .filter(|&n| idle(n).is_some_and(|idle| (age(n) - 128..=age(n) + 128).contains(&idle)))
            .count()
    };
    let known = as_it_is(&access);
    assert!(known * 100 >= keys as usize * 97, "{known} of {keys}");
    // Those that are not are few, and told.
    let mut told = 0;
    while access.take_crowded_out().is_some() {
        told += 1;
    }
    assert!(told > 0);
    // Most keys go. The others are the oldest, of which some have lost their cells while the table grew.
    (2_000..keys).for_each(|n| assert!(store.remove(map, &n.to_le_bytes())));
    (2_000..keys as usize).for_each(|n| access.forget(hashes[n]));
    while access.in_debt(2_000) {
        access.step(&mut store, &[map], 2_000);
    }
    assert!(access.pages.len() < 63, "{} pages", access.pages.len());
    let known = as_it_is(&access);
    assert!(known >= 1_600, "{known} of 2,000");
    access.give_back(&mut store);
    assert_eq!(store.usage().block_bytes, 0);
}

#[test]
fn a_table_for_many_keys_grows_first_and_is_filled_then_a_page_at_a_time() {
    let (mut store, mut access) = table(LFU);
    let map = store.create();
    for n in 0..10_000_u64 {
        store.put(map, &n.to_le_bytes(), chunkbuf::UserFlags::NONE, b"").expect("memory is not limited");
    }
    let mut steps = 0;
    while access.in_debt(10_000) {
        access.step(&mut store, &[map], 10_000);
        steps += 1;
    }
    assert_eq!((access.pages.len(), steps), (90, 89 + 90));
    let known = (0..10_000_u64).filter(|n| access.frequency(store.key(&n.to_le_bytes()).hash()) == Some(5)).count();
    assert!(known > 9_800, "{known}");
    access.give_back(&mut store);
}

/// A server that had nothing to do looks seldom, and thousands of keys came meanwhile: splitting the one page went through all of
/// them, and took 5 ms.
#[test]
fn a_table_that_many_keys_have_overtaken_is_not_split_but_filled_anew() {
    let (mut store, mut access) = table(LFU);
    let map = store.create();
    access.step(&mut store, &[map], 0);
    assert_eq!(access.filled, 1);
    for n in 0..10_000_u64 {
        store.put(map, &n.to_le_bytes(), chunkbuf::UserFlags::NONE, b"").expect("memory is not limited");
        access.born(store.key(&n.to_le_bytes()).hash());
    }
    while access.pages.len() < 90 {
        access.step(&mut store, &[map], 10_000);
        assert_eq!(access.filled, 0, "no page is filled before all are there");
    }
    while access.in_debt(10_000) {
        access.step(&mut store, &[map], 10_000);
    }
    let known = (0..10_000_u64).filter(|n| access.frequency(store.key(&n.to_le_bytes()).hash()) == Some(5)).count();
    assert!(known > 9_800, "{known}");
    access.give_back(&mut store);
}

#[test]
fn what_a_sample_tells_leads_to_one_key() {
    let (mut store, mut access) = table(Measure::Recency);
    let map = store.create();
    for n in 0..5_000_u64 {
        store.put(map, &n.to_le_bytes(), chunkbuf::UserFlags::NONE, b"").expect("memory is not limited");
        access.born(store.key(&n.to_le_bytes()).hash());
        while access.in_debt(n + 1) {
            access.step(&mut store, &[map], n + 1);
        }
    }
    let mut some = None;
    let (mut alone, mut all) = (0, 0);
    for n in 0..500 {
        let mut told = 0;
        access.sample(hash(1_000_000 + n), 5, |candidate| {
            told += 1;
            assert_eq!(access.score(candidate.hash), Some(candidate.score));
            let mut keys = 0;
            store.scan_range(map, candidate.hash, candidate.bits, |_, _| keys += 1);
            alone += u64::from(keys == 1);
            all += 1;
            some = Some(candidate);
        });
        assert!((5..=LINE * LINES_MAX).contains(&told), "{told}");
    }
    assert!(alone * 100 > all * 99, "{alone} of {all}");
    let some = some.expect("there are keys");
    access.forget(some.hash);
    assert_eq!(access.score(some.hash), None);
    access.give_back(&mut store);
}

#[test]
fn without_memory_nothing_is_known_and_nothing_fails() {
    let mut store = Store::new(Options { memory_limit: 100, ..Options::default() });
    let mut access = Access::new(&mut store, LFU, NOW, 7);
    access.born(hash(1));
    access.touch(hash(1));
    access.forget(hash(1));
    assert_eq!((access.frequency(hash(1)), access.in_debt(1_000)), (None, false));
    access.sample(hash(1), 5, |_| panic!("there is nothing"));
    access.give_back(&mut store);
}
