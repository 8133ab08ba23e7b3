//! Walks against a set of what there was at their start, while everything changes.

use std::collections::BTreeSet;

use super::*;
use crate::keyspace::{Event, Ttl};

fn keyspace() -> Keyspace {
    let mut keyspace = Keyspace::new(crate::keyspace::tests::store(u64::MAX), 2, 1);
    keyspace.set_now(Millis(1000));
    keyspace
}

fn set(keyspace: &mut Keyspace, db: usize, key: &[u8], ttl: Ttl) {
    let mut db = keyspace.db(db);
    let found = db.find(key);
    db.set(found, b"v", ttl).unwrap();
    db.changed(key, Event::Set);
}

fn remove(keyspace: &mut Keyspace, key: &[u8]) {
    let mut db = keyspace.db(0);
    let found = db.find(key);
    db.remove(found);
}

const SMALL: WalkBudget = WalkBudget { keys: 5, bites: 3, bytes: 1000 };

#[test]
fn a_walk_shows_its_start_whatever_is_written_meanwhile() {
    for seed in 0..20_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let mut keyspace = keyspace();
        // From few to many keys, so that the index grows and shrinks under the walk.
        let space = [20, 300, 3000, 20_000][seed as usize % 4];
        for _ in 0..space / 2 {
            let ttl = if below(3) == 0 { Ttl::At(Millis(1000 + below(100) as i64)) } else { Ttl::Clear };
            set(&mut keyspace, 0, format!("k{}", below(space)).as_bytes(), ttl);
        }
        keyspace.set_now(Millis(1020));
        let mut expected = BTreeSet::new();
        for number in 0..space {
            let key = format!("k{number}").into_bytes();
            let other = &mut keyspace;
            // Looking for a key removes it if it has expired; some of them shall stay.
            let location = other.store.get(other.databases[0].map, &key).map(|entry| Head::decode(&entry).expires);
            if location.is_some_and(|expires| !expires.is_some_and(|at| is_past(at, Millis(1020)))) {
                expected.insert(key);
            }
        }
        let walk = keyspace.begin_walk(0);
        let mut seen = BTreeSet::new();
        let mut now = 1020;
        while keyspace.walk(walk, SMALL, |key| assert!(seen.insert(key.to_vec()), "{seed}: twice: {key:?}")) {
            for _ in 0..below(12) {
                let key = format!("k{}", below(space)).into_bytes();
                match below(8) {
                    0..=2 => remove(&mut keyspace, &key),
                    3 => {
                        now += 1;
                        keyspace.set_now(Millis(now));
                        keyspace.expire_step(10);
                    }
                    4 => set(&mut keyspace, 1, &key, Ttl::Clear),
                    5 => set(&mut keyspace, 0, &key, Ttl::At(Millis(now + below(20) as i64))),
                    6 => {
                        let mut db = keyspace.db(0);
                        // In this order: to look for a key may remove it, and what was found before is good no more then.
                        let target = db.find(b"elsewhere");
                        let found = db.find(&key);
                        if found.exists() {
                            db.rename(found, target).unwrap();
                        }
                    }
                    _ => set(&mut keyspace, 0, &key, Ttl::Clear),
                }
            }
        }
        keyspace.end_walk(walk);
        assert_eq!(seen, expected, "seed {seed}");
        keyspace.store.audit();
    }
}

#[test]
fn two_walks_show_each_its_own_start() {
    let mut keyspace = keyspace();
    set(&mut keyspace, 0, b"a", Ttl::Clear);
    let first = keyspace.begin_walk(0);
    set(&mut keyspace, 0, b"b", Ttl::Clear);
    let second = keyspace.begin_walk(0);
    remove(&mut keyspace, b"a");
    set(&mut keyspace, 0, b"a", Ttl::Clear);
    let mut all = |walk| {
        let mut keys = Vec::new();
        while keyspace.walk(walk, SMALL, |key| keys.push(key.to_vec())) {}
        keyspace.end_walk(walk);
        keys.sort();
        keys
    };
    assert_eq!(all(first), [b"a"]);
    assert_eq!(all(second), [b"a", b"b"]);
    assert!(keyspace.walks.is_empty());
}
