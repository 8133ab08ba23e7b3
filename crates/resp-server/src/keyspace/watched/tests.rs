//! Watchers against ledgers, and against a naive model.

use super::*;
use crate::keyspace::Ttl;
use crate::keyspace::tests::keyspace;

impl Keyspace {
    fn watcher(&mut self, keys: &[(usize, &[u8])]) -> WatcherId {
        let id = self.watched.begin();
        for &(db, key) in keys {
            self.watch(id, db, key);
        }
        self.watched.audit();
        id
    }

    fn put(&mut self, db: usize, key: &[u8], ttl: Ttl) {
        let mut db = self.db(db);
        let found = db.find(key);
        db.set(found, b"v", ttl).expect("memory is not limited");
        db.changed(key, Event::Set);
        self.watched.audit();
    }

    fn lost(&self, id: WatcherId) -> bool {
        self.watched.has_lost(id, self.now)
    }
}

const SOON: Ttl = Ttl::At(Millis(1_000_010));

#[test]
fn a_change_touches_who_watches_that_key_in_that_database() {
    let mut keyspace = keyspace();
    let one = keyspace.watcher(&[(0, b"a"), (0, b"b"), (0, b"a")]);
    let two = keyspace.watcher(&[(1, b"a"), (0, b"c")]);
    assert_eq!((keyspace.watched.keys_of(one), keyspace.watched.keys(), keyspace.watched.watchers()), (2, 4, 2));
    keyspace.put(0, b"d", Ttl::Clear);
    assert!(!keyspace.lost(one) && !keyspace.lost(two));
    keyspace.put(0, b"a", Ttl::Clear);
    assert!(keyspace.lost(one) && !keyspace.lost(two));
    // What has been touched watches nothing any more.
    assert_eq!((keyspace.watched.keys_of(one), keyspace.watched.keys(), keyspace.watched.watchers()), (0, 2, 1));
    keyspace.watched.end(one);
    keyspace.watched.end(two);
    assert!(keyspace.watched.is_empty() && !keyspace.is_observed());
    keyspace.watched.audit();
}

#[test]
fn a_key_that_expires_is_lost_before_and_after_it_is_removed() {
    let mut keyspace = keyspace();
    keyspace.put(0, b"k", SOON);
    let (early, other) = (keyspace.watcher(&[(0, b"k")]), keyspace.watcher(&[(0, b"x")]));
    keyspace.set_now(Millis(1_000_010));
    assert!(!keyspace.lost(early));
    keyspace.set_now(Millis(1_000_011));
    assert!(keyspace.lost(early) && !keyspace.lost(other));
    assert!(!keyspace.db(0).find(b"k").exists());
    assert!(keyspace.watched.is_touched(early) && !keyspace.lost(other));
}

#[test]
fn what_was_past_its_time_when_it_was_watched_was_not_there() {
    let mut keyspace = keyspace();
    keyspace.put(0, b"k", SOON);
    // A long command keeps it, so that it is not removed when it is met.
    let hash = keyspace.store.key(b"k").hash();
    keyspace.keep(0, hash);
    keyspace.set_now(Millis(1_000_011));
    let late = keyspace.watcher(&[(0, b"k")]);
    keyspace.let_go_of(0, hash);
    assert!(!keyspace.db(0).find(b"k").exists());
    assert_eq!(keyspace.stats.expired_keys, 1);
    assert!(!keyspace.lost(late));
    keyspace.put(0, b"k", Ttl::Clear);
    assert!(keyspace.lost(late));
}

#[test]
fn clearing_a_database_touches_who_watches_a_key_that_is_there() {
    let mut keyspace = keyspace();
    keyspace.put(0, b"k", Ttl::Clear);
    keyspace.put(1, b"k", Ttl::Clear);
    let watchers = [&[(0, &b"k"[..])][..], &[(1, b"k")], &[(0, b"x"), (1, b"x")], &[(0, b"x"), (0, b"k")]];
    let ids = watchers.map(|keys| keyspace.watcher(keys));
    keyspace.db(0).clear();
    keyspace.watched.audit();
    assert_eq!(ids.map(|id| keyspace.lost(id)), [true, false, false, true]);
}

#[test]
fn exchanging_databases_touches_who_watches_a_key_that_goes_or_comes() {
    let mut keyspace = keyspace();
    keyspace.put(0, b"here", Ttl::Clear);
    keyspace.put(1, b"there", Ttl::Clear);
    keyspace.put(1, b"stale", SOON);
    keyspace.set_now(Millis(1_000_011));
    let watched = [&b"here"[..], b"there", b"stale", b"nowhere"];
    let ids = watched.map(|key| keyspace.watcher(&[(0, key)]));
    keyspace.swap(0, 0);
    assert_eq!(ids.map(|id| keyspace.lost(id)), [false; 4]);
    keyspace.swap(0, 1);
    keyspace.watched.audit();
    assert_eq!(ids.map(|id| keyspace.lost(id)), [true, true, false, false]);
    assert!(keyspace.db(0).find(b"there").exists() && keyspace.db(1).find(b"here").exists());
}

#[test]
fn who_watches_more_than_an_exchange_looks_up_is_taken_to_be_touched() {
    let mut keyspace = keyspace();
    let keys: Vec<Vec<u8>> = (0..SWAP_LOOKUPS).map(|key| key.to_string().into_bytes()).collect();
    let few = keyspace.watcher(&keys[1..].iter().map(|key| (0, &key[..])).collect::<Vec<_>>());
    keyspace.swap(0, 1);
    assert!(!keyspace.lost(few));
    keyspace.watched.end(few);
    let many = keyspace.watcher(&keys.iter().map(|key| (0, &key[..])).collect::<Vec<_>>());
    keyspace.swap(0, 1);
    assert!(keyspace.lost(many));
}

#[test]
fn very_many_keys_are_forgotten_in_steps_and_touch_nobody_meanwhile() {
    const KEYS: usize = 3 * FORGET_AT_ONCE;
    let mut keyspace = keyspace();
    let keys: Vec<Vec<u8>> = (0..KEYS).map(|key| key.to_string().into_bytes()).collect();
    let all: Vec<(usize, &[u8])> = keys.iter().map(|key| (0, &key[..])).collect();
    let (one, two) = (keyspace.watcher(&all), keyspace.watcher(&[(0, b"0")]));
    keyspace.watched.end(one);
    keyspace.watched.audit();
    keyspace.put(0, b"700", Ttl::Clear);
    assert!(!keyspace.lost(two));
    let mut steps = 1;
    while keyspace.watched.forget_some() {
        keyspace.watched.audit();
        steps += 1;
    }
    assert_eq!((steps, keyspace.watched.keys()), (3, 1));
    // The same when a change has touched it.
    let one = keyspace.watcher(&all);
    keyspace.put(0, b"1", Ttl::Clear);
    assert!(keyspace.lost(one));
    keyspace.watched.audit();
    keyspace.put(0, b"2", Ttl::Clear);
    keyspace.watched.end(one);
    while keyspace.watched.forget_some() {}
    assert_eq!(keyspace.watched.keys(), 1);
    keyspace.watched.audit();
}

#[test]
fn a_key_that_very_many_watch_is_forgotten_in_steps() {
    let mut keyspace = keyspace();
    let ids: Vec<WatcherId> = (0..=TOUCH_AT_ONCE).map(|_| keyspace.watcher(&[(0, b"hot"), (1, b"other")])).collect();
    let one = keyspace.watcher(&[(1, b"hot"), (1, b"other")]);
    keyspace.put(0, b"hot", Ttl::Clear);
    assert!(ids.iter().all(|&id| keyspace.lost(id)) && !keyspace.lost(one));
    assert_eq!(keyspace.watched.watchers(), 1);
    ids.into_iter().for_each(|id| keyspace.watched.end(id));
    while keyspace.watched.forget_some() {
        keyspace.watched.audit();
    }
    assert_eq!(keyspace.watched.keys(), 2);
}

/// A watcher, what it saw of each key by database and number, and whether any has changed.
type Seen = (WatcherId, Vec<(usize, usize, u64)>, bool);

#[test]
fn watchers_lose_as_a_naive_model_says() {
    const KEYS: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];
    for seed in 1..200_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % bound) as usize
        };
        let mut keyspace = keyspace();
        // What each key of each database is, with a number for each change; when it expires; and what each watcher saw.
        let mut versions = [[0_u64; 5]; 2];
        let mut expires = [[None::<i64>; 5]; 2];
        let mut seen: Vec<Seen> = Vec::new();
        let mut next = 1;
        for _ in 0..300 {
            let (db, key) = (below(2), below(5));
            let now = keyspace.now().0;
            for (versions, expires) in versions.iter_mut().zip(&mut expires) {
                for (version, at) in versions.iter_mut().zip(expires) {
                    if at.is_some_and(|at| at < now) {
                        (*version, *at) = (0, None);
                    }
                }
            }
            match below(8) {
                0 | 1 => {
                    let at = (below(2) == 0).then(|| now + below(4) as i64);
                    keyspace.put(db, KEYS[key], at.map_or(Ttl::Clear, |at| Ttl::At(Millis(at))));
                    (versions[db][key], expires[db][key]) = (next, at);
                    next += 1;
                }
                2 => {
                    let mut database = keyspace.db(db);
                    let found = database.find(KEYS[key]);
                    if database.remove(found) {
                        database.changed(KEYS[key], Event::Del);
                    }
                    (versions[db][key], expires[db][key]) = (0, None);
                }
                3 if below(4) == 0 => {
                    keyspace.db(db).clear();
                    (versions[db], expires[db]) = ([0; 5], [None; 5]);
                }
                4 if below(4) == 0 => {
                    keyspace.swap(0, 1);
                    versions.swap(0, 1);
                    expires.swap(0, 1);
                }
                5 => keyspace.set_now(Millis(now + below(3) as i64)),
                6 => {
                    let id = keyspace.watched.begin();
                    let keys = (0..=below(3)).map(|_| (below(2), below(5)));
                    let keys: Vec<(usize, usize)> = keys.collect();
                    keys.iter().for_each(|&(db, key)| keyspace.watch(id, db, KEYS[key]));
                    seen.push((id, keys.iter().map(|&(db, key)| (db, key, versions[db][key])).collect(), false));
                }
                _ if !seen.is_empty() => {
                    let (id, ..) = seen.swap_remove(below(seen.len() as u64));
                    keyspace.watched.end(id);
                }
                _ => {}
            }
            keyspace.watched.audit();
            let now = keyspace.now().0;
            for (id, keys, has_lost) in &mut seen {
                let is_now = |db: usize, key: usize| match expires[db][key] {
                    Some(at) if at < now => 0,
                    _ => versions[db][key],
                };
                *has_lost |= keys.iter().any(|&(db, key, version)| is_now(db, key) != version);
                assert_eq!(keyspace.lost(*id), *has_lost, "seed {seed}: {keys:?}");
            }
        }
    }
}
