//! The keyspace against ledgers and a naive model, in virtual time.

use std::collections::BTreeMap;

use chunkbuf::{Budget, Options, Store};

use super::*;
use crate::proto::CommandError;

/// A small store that may hold `memory_limit` bytes.
pub(crate) fn store(memory_limit: u64) -> Store {
    Store::new(Options { p: 0.0, memory_limit, target_utilisation: 0.8, hash_key: [1, 2], ..Options::default() })
}

/// Two databases at time 1,000,000.
pub(crate) fn keyspace() -> Keyspace {
    limited(u64::MAX)
}

/// Two databases at time 1,000,000 that may hold `memory_limit` bytes.
pub(crate) fn limited(memory_limit: u64) -> Keyspace {
    let mut keyspace = Keyspace::new(store(memory_limit), 2, 42);
    keyspace.set_now(Millis(1_000_000));
    keyspace
}

pub(crate) fn set(db: &mut Db<'_>, key: &[u8], value: &[u8], ttl: Ttl) {
    let found = db.find(key);
    db.set(found, value, ttl).expect("memory is not limited");
}

pub(crate) fn get(db: &mut Db<'_>, key: &[u8]) -> Option<Vec<u8>> {
    let found = db.find(key);
    db.string(&found).expect("all values are strings").map(|value| value.to_vec())
}

fn usage(keys: u64, expires: u64, avg_ttl: i64) -> DatabaseUsage {
    DatabaseUsage { keys, expires, avg_ttl }
}

/// Invariants 1 to 3 of this module: the books say what the entries say, and each blob is an entry's.
pub(crate) fn audit(keyspace: &mut Keyspace) {
    let mut blobs = 0;
    for database in &keyspace.databases {
        let (mut expires, mut sum) = (0, 0);
        let mut ids = std::collections::HashSet::new();
        let mut cursor = 0;
        loop {
            cursor = keyspace.store.scan(database.map, cursor, |_, entry| {
                let head = Head::decode(&entry);
                if let Some(Millis(at)) = head.expires {
                    expires += 1;
                    sum += i128::from(at);
                }
                if let Some(value::Apart::Blob(id)) = head.apart {
                    assert!(!keyspace.store.blob(database.map, id).is_empty());
                    assert!(ids.insert(id), "a blob is one entry's");
                    assert_eq!(entry.value.len(), head.len, "nothing follows the name of a blob");
                }
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((database.expires, database.expiry_sum), (expires, sum));
        assert!(database.wheel.records() >= u64::from(expires > 0));
        blobs += ids.len() as u64;
    }
    assert_eq!(keyspace.store.blob_usage().blobs, blobs, "a blob is an entry's");
}

#[test]
fn databases_are_apart() {
    let mut keyspace = keyspace();
    set(&mut keyspace.db(0), b"k", b"zero", Ttl::Clear);
    set(&mut keyspace.db(1), b"k", b"one", Ttl::Clear);
    assert_eq!(get(&mut keyspace.db(0), b"k"), Some(b"zero".to_vec()));
    assert_eq!(keyspace.db(0).clear(), 1);
    assert_eq!(get(&mut keyspace.db(0), b"k"), None);
    assert_eq!(get(&mut keyspace.db(1), b"k"), Some(b"one".to_vec()));
}

#[test]
fn a_key_is_there_in_the_millisecond_of_its_expiry_and_gone_in_the_next() {
    let mut keyspace = keyspace();
    set(&mut keyspace.db(0), b"k", b"v", Ttl::At(Millis(1_000_050)));
    keyspace.set_now(Millis(1_000_050));
    assert!(keyspace.db(0).find(b"k").exists());
    keyspace.set_now(Millis(1_000_051));
    assert_eq!(keyspace.db(0).len(), 1, "counted until it is removed");
    assert!(!keyspace.db(0).find(b"k").exists());
    assert_eq!(keyspace.db(0).len(), 0);
    assert_eq!(keyspace.stats.expired_keys, 1);
    audit(&mut keyspace);
}

#[test]
fn the_expiry_job_removes_a_key_soon_after_it_is_due_without_a_look_at_it() {
    let mut keyspace = keyspace();
    for key in 0..1_000_u32 {
        let at = Millis(1_000_001 + i64::from(key) * 7);
        set(&mut keyspace.db(key as usize % 2), &key.to_le_bytes(), b"v", Ttl::At(at));
    }
    for now in (1_000_000..1_008_000).step_by(20) {
        keyspace.set_now(Millis(now));
        while keyspace.expire_step(16) {}
        let due_for_long = (now - 40 - 1_000_001).div_euclid(7) + 1;
        let left = keyspace.db(0).len() + keyspace.db(1).len();
        assert!(left as i64 <= 1_000 - due_for_long.clamp(0, 1_000), "at {now}: {left} keys");
    }
    assert_eq!(keyspace.stats.expired_keys, 1_000);
    audit(&mut keyspace);
}

#[test]
fn a_step_of_the_expiry_job_keeps_to_its_budget() {
    let mut keyspace = keyspace();
    for key in 0..100_u32 {
        set(&mut keyspace.db(0), &key.to_le_bytes(), b"v", Ttl::At(Millis(1_000_001)));
    }
    keyspace.set_now(Millis(1_001_000));
    assert!(keyspace.expire_step(10));
    assert_eq!(keyspace.db(0).len(), 90);
}

#[test]
fn an_expiry_that_was_moved_or_taken_away_is_not_obeyed() {
    let mut keyspace = keyspace();
    let soon = Ttl::At(Millis(1_000_100));
    let mut db = keyspace.db(0);
    for key in [b"later", b"never", b"plain"] {
        set(&mut db, key, b"v", soon);
    }
    let found = db.find(b"later");
    assert_eq!(db.set_expiry(found, Some(Millis(1_100_000))), Ok(true));
    let found = db.find(b"never");
    assert_eq!(db.set_expiry(found, None), Ok(true));
    set(&mut db, b"plain", b"w", Ttl::Clear);
    keyspace.set_now(Millis(1_050_000));
    while keyspace.expire_step(16) {}
    assert_eq!(keyspace.usage(0), usage(3, 1, 50_000));
    keyspace.set_now(Millis(1_100_100));
    while keyspace.expire_step(16) {}
    assert_eq!(keyspace.usage(0), usage(2, 0, 0));
    audit(&mut keyspace);
}

#[test]
fn an_expiry_that_moves_to_earlier_is_obeyed() {
    let mut keyspace = keyspace();
    set(&mut keyspace.db(0), b"k", b"v", Ttl::At(Millis(9_000_000)));
    let found = keyspace.db(0).find(b"k");
    assert_eq!(keyspace.db(0).set_expiry(found, Some(Millis(1_000_100))), Ok(true));
    keyspace.set_now(Millis(1_000_200));
    while keyspace.expire_step(16) {}
    assert_eq!(keyspace.usage(0), usage(0, 0, 0));
}

#[test]
fn a_mean_time_to_live_is_exact() {
    let mut keyspace = keyspace();
    let mut db = keyspace.db(0);
    set(&mut db, b"a", b"v", Ttl::At(Millis(1_000_100)));
    set(&mut db, b"b", b"v", Ttl::At(Millis(1_000_300)));
    set(&mut db, b"c", b"v", Ttl::Clear);
    assert_eq!(keyspace.usage(0), usage(3, 2, 200));
    let mut db = keyspace.db(0);
    set(&mut db, b"c", b"v", Ttl::At(Millis(i64::MAX)));
    set(&mut db, b"d", b"v", Ttl::At(Millis(i64::MAX)));
    assert_eq!(keyspace.usage(0).expires, 4);
    keyspace.set_now(Millis(2_000_000));
    assert!(keyspace.usage(0).avg_ttl > 0);
}

#[test]
fn the_empty_key_and_the_longest_are_keys_and_a_longer_one_is_not() {
    let mut keyspace = keyspace();
    let longest = vec![b'k'; 65_535];
    let too_long = vec![b'k'; 65_536];
    let mut db = keyspace.db(0);
    for key in [&b""[..], &longest] {
        set(&mut db, key, b"v", Ttl::At(Millis(2_000_000)));
        assert_eq!(get(&mut db, key), Some(b"v".to_vec()));
    }
    assert_eq!(get(&mut db, &too_long), None);
    let found = db.find(&too_long);
    let text = b"ERR key is too long (65535 bytes at most)";
    assert_eq!(db.set(found, b"v", Ttl::Clear).map_err(|error| error.text().to_vec()), Err(text.to_vec()));
    assert_eq!(db.len(), 2);
    let found = db.find(&too_long);
    assert!(!db.remove(found));
}

#[test]
fn a_write_that_finds_no_memory_changes_nothing() {
    let mut keyspace = Keyspace::new(store(8 << 20), 2, 42);
    keyspace.set_now(Millis(1_000_000));
    let at = Millis(2_000_000);
    let mut db = keyspace.db(0);
    set(&mut db, b"k", b"old", Ttl::At(at));
    let large = vec![b'x'; 16 << 20];
    let found = db.find(b"k");
    assert_eq!(db.set(found, &large, Ttl::Clear), Err(CommandError::OutOfMemory));
    let found = db.find(b"k");
    assert_eq!(db.append(found, &large), Err(CommandError::OutOfMemory));
    let found = db.find(b"new");
    assert_eq!(db.set(found, &large, Ttl::At(at)), Err(CommandError::OutOfMemory));
    assert_eq!(get(&mut db, b"k"), Some(b"old".to_vec()));
    assert_eq!(db.find(b"k").expires(), Some(at));
    assert_eq!(keyspace.usage(0), usage(1, 1, 1_000_000));
    audit(&mut keyspace);
}

#[test]
fn hits_and_misses_are_counted_for_reads_alone() {
    let mut keyspace = keyspace();
    let mut db = keyspace.db(0);
    set(&mut db, b"k", b"v", Ttl::Clear);
    for key in [&b"k"[..], b"k", b"nothing"] {
        let _ = db.read(key);
        let _ = db.find(key);
    }
    db.changed(b"k", Event::Set);
    db.also(b"k", Event::Expire);
    let stats = Stats { keyspace_hits: 2, keyspace_misses: 1, dirty: 1, ..Stats::default() };
    assert_eq!(keyspace.stats, stats);
}

#[test]
fn values_of_every_size_are_appended_to_moved_and_copied_with_their_expiry() {
    for len in [0, 1, 100, 16_383, 16_384, 100_000, 1_000_000] {
        for ttl in [Ttl::Clear, Ttl::At(Millis(2_000_000)), Ttl::At(Millis(i64::MAX))] {
            let mut keyspace = keyspace();
            let mut value: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
            let mut db = keyspace.db(0);
            set(&mut db, b"a", &value, ttl);
            let expires = db.find(b"a").expires();
            let found = db.find(b"a");
            assert_eq!(db.append(found, b"suffix"), Ok(len + 6));
            value.extend_from_slice(b"suffix");
            let target = db.find(b"b");
            let source = db.find(b"a");
            db.rename(source, target).expect("memory is not limited");
            assert_eq!(get(&mut db, b"a"), None);
            let target = keyspace.db(1).find(b"c");
            let source = keyspace.db(0).find(b"b");
            keyspace.db(0).copy(&source, 1, &target).expect("memory is not limited");
            for (index, key) in [(0, b"b"), (1, b"c")] {
                let mut db = keyspace.db(index);
                assert_eq!(get(&mut db, key).as_ref(), Some(&value));
                assert_eq!(db.find(key).expires(), expires);
            }
            audit(&mut keyspace);
        }
    }
}

/// Puts a value that is a list by its head, and no list.
pub(crate) fn put_list(keyspace: &mut Keyspace, key: &[u8]) {
    let map = keyspace.databases[0].map;
    let head = value::HeadBytes::new(None, ValueType::List, None);
    keyspace.store.put(map, key, head.flags, &[head.as_slice(), b"items"].concat()).expect("memory is not limited");
}

#[test]
fn a_typed_value_keeps_its_type_whatever_happens_to_its_expiry() {
    let mut keyspace = keyspace();
    put_list(&mut keyspace, b"l");
    let mut db = keyspace.db(0);
    for expires in [None, Some(Millis(2_000_000)), Some(Millis(3_000_000)), Some(Millis(i64::MAX)), None] {
        let found = db.find(b"l");
        assert_eq!(db.set_expiry(found, expires), Ok(true));
        let found = db.find(b"l");
        assert_eq!((found.value_type(), found.expires()), (Some(ValueType::List), expires));
        assert_eq!(db.string(&found).err(), Some(CommandError::WrongType));
        let mut reply = crate::proto::Reply::new();
        assert_eq!(db.reply_string(&found, &mut reply), Err(CommandError::WrongType));
        assert!(reply.is_empty(), "an error is all of a reply");
    }
    set(&mut db, b"l", b"string", Ttl::Clear);
    assert_eq!(get(&mut db, b"l"), Some(b"string".to_vec()));
    audit(&mut keyspace);
}

#[test]
fn a_random_key_is_never_an_expired_one() {
    let mut keyspace = keyspace();
    let mut db = keyspace.db(0);
    assert_eq!(db.random_key(), None);
    set(&mut db, b"stays", b"v", Ttl::Clear);
    for key in 0..50_u32 {
        set(&mut db, &key.to_le_bytes(), b"v", Ttl::At(Millis(1_000_001)));
    }
    keyspace.set_now(Millis(1_000_002));
    assert_eq!(keyspace.db(0).random_key(), Some(b"stays".to_vec()));
}

/// A naive database: values with their expiry.
type NaiveDb = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

/// A naive keyspace.
#[derive(Default)]
struct Model {
    databases: [NaiveDb; 2],
}

impl Model {
    /// Forgets the keys that are gone, which must be as many as the keyspace says that it has evicted.
    fn forget_evicted(&mut self, keyspace: &mut Keyspace) {
        let now = keyspace.now().0;
        let mut gone = 0;
        for (index, entries) in self.databases.iter_mut().enumerate() {
            entries.retain(|key, (_, expires)| {
                let stays = keyspace.db(index).peek(key).exists();
                gone += u64::from(!stays && expires.is_none_or(|expires| now <= expires));
                stays
            });
        }
        assert_eq!(gone, std::mem::take(&mut keyspace.stats.evicted_keys));
    }
}

const MEASURES: [Option<Measure>; 3] =
    [None, Some(Measure::Recency), Some(Measure::Frequency { log_factor: 10, decay_minutes: 1 })];

/// Evicts some key, in one of the ways that there are; or spares it, because it is held.
fn evict_something(keyspace: &mut Keyspace, way: u64, index: usize, key: &[u8]) {
    let spared = keyspace.store.key(key).hash();
    let held = |_, hash: u64| hash == spared;
    match way {
        0 => drop(keyspace.evict_any(index, false, held)),
        1 => drop(keyspace.evict_any(index, true, held)),
        2 => {
            keyspace.evict_earliest(index, 3, held);
        }
        _ => {
            let mut candidates = Vec::new();
            keyspace.sample_cells(5, |candidate| candidates.push(candidate));
            if let Some(candidate) = candidates.first() {
                keyspace.evict_range(candidate, false, held);
            }
        }
    }
}

/// Random operations on few keys in two databases, with steps of compaction and of expiry between them, and keys that are evicted.
#[test]
fn the_keyspace_agrees_with_a_naive_model() {
    for seed in 0..24_u64 {
        let mut random = seed;
        let mut below = |end: u64| Keyspace::next_random(&mut random) % end;
        let mut keyspace = keyspace();
        let mut model = Model::default();
        let mut now = 1_000_000_i64;
        for step in 0..2_000 {
            now += below(30) as i64;
            keyspace.set_now(Millis(now));
            let index = below(2) as usize;
            let key = format!("key-{}", below(20)).into_bytes();
            let other = format!("key-{}", below(20)).into_bytes();
            let reach = below(18) + 1;
            let value = vec![b'0' + below(10) as u8; 1 << below(reach)];
            let at = now + 1 + below(400) as i64;
            if below(8) == 0 {
                evict_something(&mut keyspace, below(4), index, &key);
                model.forget_evicted(&mut keyspace);
            }
            if below(40) == 0 {
                keyspace.measure_access(MEASURES[below(3) as usize]);
            }
            keyspace.step_access();
            let entries = &mut model.databases[index];
            entries.retain(|_, (_, expires)| expires.is_none_or(|expires| now <= expires));
            let mut db = keyspace.db(index);
            let found = db.find(&key);
            assert_eq!(found.exists(), entries.contains_key(&key), "seed {seed}, step {step}");
            match below(8) {
                0 => {
                    db.set(found, &value, Ttl::Clear).expect("memory is not limited");
                    entries.insert(key.clone(), (value, None));
                }
                1 => {
                    db.set(found, &value, Ttl::At(Millis(at))).expect("memory is not limited");
                    entries.insert(key.clone(), (value, Some(at)));
                }
                2 => {
                    db.set(found, &value, Ttl::Keep).expect("memory is not limited");
                    let expires = entries.get(&key).and_then(|(_, expires)| *expires);
                    entries.insert(key.clone(), (value, expires));
                }
                3 => assert_eq!(db.remove(found), entries.remove(&key).is_some()),
                4 => {
                    let expires = (below(3) > 0).then_some(at);
                    assert_eq!(db.set_expiry(found, expires.map(Millis)), Ok(entries.contains_key(&key)));
                    if let Some(entry) = entries.get_mut(&key) {
                        entry.1 = expires;
                    }
                }
                5 => {
                    db.append(found, &value).expect("memory is not limited");
                    entries.entry(key.clone()).or_default().0.extend_from_slice(&value);
                }
                6 if key != other && found.exists() => {
                    let target = db.find(&other);
                    let source = db.find(&key);
                    db.rename(source, target).expect("memory is not limited");
                    let entry = entries.remove(&key).expect("it was found");
                    entries.insert(other, entry);
                }
                _ => {
                    let stored = entries.get(&key);
                    let value = db.string(&found).expect("a string").map(|value| value.to_vec());
                    assert_eq!(value.as_ref(), stored.map(|(value, _)| value), "seed {seed}, step {step}");
                    let expires = found.expires().map(|Millis(at)| at);
                    assert_eq!(expires, stored.and_then(|(_, expires)| *expires));
                }
            }
            if below(4) == 0 {
                keyspace.store.step(Budget { bytes: 1 + below(5_000), entries: 64 }, true);
                keyspace.expire_step(below(5) as u32);
            }
        }
        audit(&mut keyspace);
        now += 1_000_000;
        keyspace.set_now(Millis(now));
        while keyspace.expire_step(100) {}
        for (index, entries) in model.databases.iter().enumerate() {
            let lasting = entries.values().filter(|(_, expires)| expires.is_none()).count() as u64;
            assert_eq!(keyspace.usage(index), usage(lasting, 0, 0), "seed {seed}");
        }
    }
}

/// A candidate that stands for one key.
fn candidate(keyspace: &Keyspace, key: &[u8]) -> Candidate {
    Candidate { score: 0, hash: keyspace.store.key(key).hash(), bits: 64 }
}

#[test]
fn what_is_evicted_is_gone_with_all_that_it_named() {
    let mut keyspace = keyspace();
    keyspace.measure_access(Some(Measure::Recency));
    set(&mut keyspace.db(0), b"short", b"v", Ttl::At(Millis(2_000_000)));
    set(&mut keyspace.db(0), b"long", &[7; 100_000], Ttl::Clear);
    set(&mut keyspace.db(1), b"long", b"v", Ttl::Clear);
    set(&mut keyspace.db(0), b"stays", b"v", Ttl::Clear);
    keyspace.awaited.enter((0, keyspace.store.key(b"long").hash()));
    let (short, long) = (candidate(&keyspace, b"short"), candidate(&keyspace, b"long"));
    assert_eq!(keyspace.evict_range(&long, true, |_, _| false), evict::Evicted { keys: 0, spared: 2 });
    assert_eq!(keyspace.evict_range(&long, false, |db, _| db == 1), evict::Evicted { keys: 1, spared: 1 });
    assert!(keyspace.awaited.has_ready(), "who waits for the key is told");
    assert_eq!(keyspace.evict_range(&short, true, |_, _| false), evict::Evicted { keys: 1, spared: 0 });
    assert_eq!((keyspace.usage(0), keyspace.usage(1)), (usage(1, 0, 0), usage(1, 0, 0)));
    assert_eq!(keyspace.stats.evicted_keys, 2);
    audit(&mut keyspace);
}

#[test]
fn a_key_that_is_kept_is_not_evicted() {
    let mut keyspace = keyspace();
    set(&mut keyspace.db(0), b"k", b"v", Ttl::At(Millis(2_000_000)));
    let hash = keyspace.store.key(b"k").hash();
    keyspace.keep(0, hash);
    assert!(!keyspace.evict_any(0, false, |_, _| false) && !keyspace.evict_any(0, true, |_, _| false));
    assert_eq!(keyspace.evict_earliest(0, 5, |_, _| false).keys, 0);
    keyspace.let_go_of(0, hash);
    assert_eq!(keyspace.evict_earliest(0, 5, |_, _| false).keys, 1);
    assert!(keyspace.db(0).is_empty());
    assert!(!keyspace.evict_any(0, false, |_, _| false) && keyspace.evict_earliest(0, 5, |_, _| false).keys == 0);
}

#[test]
fn the_keys_that_expire_first_go_first() {
    let mut keyspace = keyspace();
    for n in 0..1_000_i64 {
        set(&mut keyspace.db(0), &n.to_le_bytes(), b"v", Ttl::At(Millis(1_100_000 + n * 1_000)));
    }
    // One that expired early does so late by now.
    set(&mut keyspace.db(0), &3_i64.to_le_bytes(), b"v", Ttl::At(Millis(9_000_000)));
    for _ in 0..500 {
        assert_eq!(keyspace.evict_earliest(0, 5, |_, _| false).keys, 1);
    }
    let left = |keyspace: &mut Keyspace, n: i64| keyspace.db(0).find(&n.to_le_bytes()).exists();
    let early = (0..400).filter(|&n| left(&mut keyspace, n)).count();
    let late = (600..1_000).filter(|&n| left(&mut keyspace, n)).count();
    assert_eq!((early, late), (1, 400));
    assert!(left(&mut keyspace, 3));
    audit(&mut keyspace);
}

#[test]
fn a_look_is_no_use_of_a_key_and_a_rename_takes_its_time_along() {
    let mut keyspace = keyspace();
    keyspace.measure_access(Some(Measure::Recency));
    set(&mut keyspace.db(0), b"k", b"v", Ttl::Clear);
    keyspace.set_now(Millis(1_010_000));
    let mut db = keyspace.db(0);
    let idle = |db: &mut Db<'_>, key: &[u8]| {
        let found = db.peek(key);
        db.idle_ms(&found).expect("it is measured") / 1000
    };
    assert!((9..=10).contains(&idle(&mut db, b"k")));
    let (source, target) = (db.peek(b"k"), db.peek(b"other"));
    db.rename(source, target).expect("memory is not limited");
    assert!((9..=10).contains(&idle(&mut db, b"other")));
    let _ = db.find(b"other");
    assert_eq!(idle(&mut db, b"other"), 0);
}
