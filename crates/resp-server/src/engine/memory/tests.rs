//! What is counted, and what is done when it is too much.

use super::super::eviction::Policy;
use super::super::{Now, Settings};
use super::*;
use crate::keyspace::{Millis, Ttl};

const MIB: u64 = 1 << 20;

fn at(us: u64) -> Now {
    Now { unix_us: 1_700_000_000_000_000 + us as i64, monotonic_us: us }
}

fn engine(lines: &[&str]) -> Engine {
    let mut settings = Settings::default();
    for line in lines {
        settings.apply_line(line.as_bytes()).unwrap();
    }
    Engine::new(settings, [1, 2], at(0))
}

fn key(n: u64) -> Vec<u8> {
    format!("key-{n:012}").into_bytes()
}

/// Sets a key as a client's SET would, which waits for memory; whether it was not refused.
fn set(engine: &mut Engine, n: u64, len: usize, ttl: Ttl) -> bool {
    if engine.is_short_of_memory() {
        for turn in 0.. {
            match engine.make_room() {
                Room::Made => break,
                Room::Later => assert!(turn < 100_000, "memory comes back in the end"),
                Room::Refused => return false,
            }
        }
    }
    let mut db = engine.keyspace.db(0);
    let key = key(n);
    let found = db.find(&key);
    db.set(found, &vec![n as u8; len], ttl).expect("there is room for a small value");
    let owed = engine.copy_debt();
    engine.pay(owed);
    true
}

fn exists(engine: &mut Engine, n: u64) -> bool {
    engine.keyspace.db(0).peek(&key(n)).exists()
}

fn rest(engine: &mut Engine) {
    for _ in 0..100_000 {
        if !engine.run_jobs(true) {
            break;
        }
    }
}

#[test]
fn what_is_resident_beside_the_count_is_in_use_beyond_an_allowance() {
    let mut engine = engine(&["maxmemory 100mb"]);
    let counted = engine.memory_used();
    engine.note_resident(counted + ALLOWANCE);
    assert_eq!(engine.memory_used(), counted);
    engine.note_resident(counted + ALLOWANCE + 90 * MIB);
    assert_eq!(engine.memory_used(), counted + 90 * MIB);
    assert!(!engine.out_of_memory());
    engine.note_resident(counted + ALLOWANCE + 101 * MIB);
    assert!(engine.out_of_memory());
    assert_eq!(engine.make_room(), Room::Refused);
    engine.set_now(at(3_000_000));
    assert_eq!(engine.exceeded_us(), [3_000_000, 3_000_000]);
    engine.note_resident(counted);
    engine.step_eviction();
    assert!(!engine.out_of_memory());
    engine.set_now(at(4_000_000));
    assert_eq!(engine.exceeded_us(), [3_000_000, 0]);
}

#[test]
fn without_a_policy_writes_are_refused_and_nothing_goes() {
    let mut engine = engine(&["maxmemory 4mb"]);
    let kept = (0..).find(|&n| !set(&mut engine, n, 500, Ttl::Clear)).expect("memory is limited");
    assert!(kept * 540 > 3 * MIB, "{kept} keys");
    assert!((0..kept).all(|n| exists(&mut engine, n)));
    assert_eq!(engine.keyspace.stats.evicted_keys, 0);
    // What is dead comes back before anything is refused.
    (0..kept / 2).for_each(|n| {
        let key = key(n);
        let mut db = engine.keyspace.db(0);
        let found = db.find(&key);
        db.remove(found);
    });
    assert!(set(&mut engine, kept, 500, Ttl::Clear));
}

#[test]
fn under_every_policy_writes_go_on_and_memory_stays_below_the_limit() {
    for policy in Policy::ALL.into_iter().filter(|&policy| policy != Policy::NoEviction) {
        for len in [40, 3_000, 100_000] {
            let mut engine = engine(&["maxmemory 4mb", &format!("maxmemory-policy {}", policy.name())]);
            let writes = 6 * MIB / (len as u64 + 60);
            for n in 0..writes {
                engine.set_now(at(n * 100));
                assert!(set(&mut engine, n, len, Ttl::At(Millis(1_700_010_000_000))), "{policy:?}, write {n}");
                if n % 8 == 0 {
                    engine.run_jobs(false);
                }
                assert!(engine.memory_used() <= 4 * MIB + MIB / 2, "{policy:?}, {len}: {}", engine.memory_used());
            }
            rest(&mut engine);
            let keys = engine.keyspace.usage(0).keys;
            assert_eq!(engine.keyspace.stats.evicted_keys + keys, writes);
            let live = keys * (len as u64 + 22);
            assert!(live > 3 * MIB / 2, "{policy:?}, {len}: {live} bytes of values are left");
            engine.keyspace.store.audit();
        }
    }
}

#[test]
fn the_volatile_policies_spare_what_does_not_expire() {
    for policy in Policy::ALL.into_iter().filter(|policy| policy.is_volatile()) {
        let mut engine = engine(&["maxmemory 4mb", &format!("maxmemory-policy {}", policy.name())]);
        for n in 0..2_000 {
            assert!(set(&mut engine, n, 500, Ttl::Clear));
        }
        for n in 2_000..9_000 {
            assert!(set(&mut engine, n, 500, Ttl::At(Millis(1_700_010_000_000))), "{policy:?}, write {n}");
        }
        assert!((0..2_000).all(|n| exists(&mut engine, n)));
        // Once nothing is left that may go, it is refused.
        let refused = (9_000..20_000).find(|&n| !set(&mut engine, n, 500, Ttl::Clear)).expect("memory is limited");
        assert_eq!(engine.keyspace.usage(0).expires, 0);
        assert!((9_000..refused).all(|n| exists(&mut engine, n)));
    }
}

#[test]
fn what_is_used_stays() {
    for (policy, kept_of_ten) in [("allkeys-lru", 9), ("allkeys-lfu", 9), ("volatile-lru", 8), ("volatile-lfu", 8)] {
        let mut engine = engine(&["maxmemory 8mb", &format!("maxmemory-policy {policy}")]);
        let used = 8_000;
        for n in 0..60_000_u64 {
            engine.set_now(at(n * 1_000));
            set(&mut engine, n, 200, Ttl::At(Millis(1_700_010_000_000)));
            // Each of the first keys is used once every 8,000 writes at least, and nothing else is.
            let _ = engine.keyspace.db(0).find(&key((n * 7) % used));
            let _ = engine.keyspace.db(0).find(&key((n * 3) % used));
            if n % 4 == 0 {
                engine.run_jobs(false);
            }
        }
        let kept = (0..used).filter(|&n| exists(&mut engine, n)).count() as u64;
        assert!(kept * 10 >= used * kept_of_ten, "{policy}: {kept} of {used}");
    }
}

#[test]
fn a_limit_that_is_lowered_is_reached_by_the_job_in_steps() {
    let mut engine = engine(&["maxmemory 16mb", "maxmemory-policy allkeys-random"]);
    for n in 0..20_000 {
        set(&mut engine, n, 500, Ttl::Clear);
    }
    let mut settings = engine.settings().clone();
    settings.maxmemory = 4 * MIB;
    engine.change_settings(settings);
    engine.set_now(at(1_000_000));
    let mut before = engine.keyspace.usage(0).keys;
    while engine.run_jobs(false) || engine.in_debt() {
        let keys = engine.keyspace.usage(0).keys;
        assert!(before - keys <= 2 * u64::from(VICTIMS_PER_STEP), "a step is bounded");
        before = keys;
    }
    rest(&mut engine);
    assert!(engine.memory_used() <= 4 * MIB, "{}", engine.memory_used());
    assert!(before > 5_500, "{before} keys are left");
}

#[test]
fn a_key_that_is_held_stays() {
    let mut engine = engine(&["maxmemory 1mb", "maxmemory-policy allkeys-lru"]);
    set(&mut engine, 0, 500, Ttl::Clear);
    let hash = engine.keyspace.store.key(&key(0)).hash();
    let held = engine.holds.begin(0, vec![(hash, crate::engine::holds::Access::Read)]);
    for n in 1..5_000 {
        engine.set_now(at(n * 1_000));
        assert!(set(&mut engine, n, 500, Ttl::Clear));
    }
    assert!(exists(&mut engine, 0) && !exists(&mut engine, 1));
    drop(engine.holds.release(held));
}
