//! Strings in both forms, and on their way from one to the other.

use chunkbuf::{BLOB_THRESHOLD, Budget};

use super::*;
use crate::keyspace::Keyspace;
use crate::keyspace::tests::{audit, get, keyspace, limited, set};

const LONG: usize = BLOB_THRESHOLD as usize + 1;

fn bytes(len: usize, first: u8) -> Vec<u8> {
    let pattern: Vec<u8> = (0..251).map(|at| first.wrapping_add(at)).collect();
    let mut bytes = pattern.repeat(len / 251 + 1);
    bytes.truncate(len);
    bytes
}

fn blobs(keyspace: &Keyspace) -> u64 {
    keyspace.store.blob_usage().blobs
}

fn settle(keyspace: &mut Keyspace) {
    while keyspace.store.step(Budget::STEP, true) {}
    keyspace.store.audit();
}

/// Sends all of a reply in small writes.
fn send(reply: &mut Reply) -> Vec<u8> {
    let mut sent = Vec::new();
    while !reply.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 3];
        let (count, len) = reply.io_slices(&mut slices, 40_000);
        slices[..count].iter().for_each(|slice| sent.extend_from_slice(slice));
        reply.advance(len);
    }
    assert_eq!(reply.own_bytes(), 0);
    sent
}

fn bulk(value: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

#[test]
fn a_string_is_a_blob_past_the_threshold_and_not_below() {
    let mut keyspace = keyspace();
    let mut db = keyspace.db(0);
    set(&mut db, b"k", &bytes(LONG - 1, 1), Ttl::Clear);
    assert_eq!(blobs(db.keyspace), 0);
    let found = db.find(b"k");
    assert_eq!(db.append(found, b"x"), Ok(LONG));
    assert_eq!(blobs(db.keyspace), 1);
    assert_eq!(get(&mut db, b"k"), Some([bytes(LONG - 1, 1), b"x".to_vec()].concat()));
    set(&mut db, b"k", b"short", Ttl::Clear);
    assert_eq!((blobs(db.keyspace), get(&mut db, b"k")), (0, Some(b"short".to_vec())));
    // The entry of a blob ends with its head: nothing of it is the value.
    set(&mut db, b"k", &bytes(LONG, 1), Ttl::Clear);
    set(&mut db, b"k", b"", Ttl::Clear);
    assert_eq!((blobs(db.keyspace), get(&mut db, b"k")), (0, Some(Vec::new())));
    let found = db.find(b"k");
    assert_eq!(db.write_range(found, LONG, b"x"), Ok(LONG + 1));
    assert_eq!(blobs(db.keyspace), 1);
    settle(&mut keyspace);
    audit(&mut keyspace);
}

#[test]
fn a_range_far_behind_a_string_takes_no_memory_before_it() {
    let mut keyspace = keyspace();
    let mut db = keyspace.db(0);
    let found = db.find(b"k");
    assert_eq!(db.write_range(found, 536_870_911, b"x"), Ok(536_870_912));
    assert!(db.keyspace.store.held_bytes() < 1 << 20);
    let found = db.find(b"k");
    let value = db.string(&found).expect("a string").expect("just set");
    assert_eq!([0, 70_000, 536_870_910, 536_870_911].map(|at| value.byte(at)), [0, 0, 0, b'x']);
    assert_eq!(value.integer(), None);
}

#[test]
fn a_reply_shows_the_string_of_its_moment_whatever_follows() {
    let changes: [fn(&mut Db<'_>); 6] = [
        |db| {
            let found = db.find(b"k");
            db.append(found, b"more").expect("memory is not limited");
        },
        |db| {
            let found = db.find(b"k");
            db.write_range(found, 3, &[0xee; 200_000]).expect("memory is not limited");
        },
        |db| set(db, b"k", b"short", Ttl::Clear),
        |db| set(db, b"k", &bytes(300_000, 9), Ttl::Clear),
        |db| {
            let found = db.find(b"k");
            assert!(db.remove(found));
        },
        |db| assert_eq!(db.clear(), 1),
    ];
    for change in changes {
        for len in [20_000, LONG, 2_000_000] {
            let mut keyspace = keyspace();
            let value = bytes(len, 1);
            let (mut reply, mut part) = (Reply::new(), Reply::new());
            let mut db = keyspace.db(0);
            set(&mut db, b"k", &value, Ttl::Clear);
            let found = db.read(b"k");
            assert_eq!(db.reply_string(&found, &mut reply), Ok(true));
            assert_eq!(db.reply_range(&found, 1000..len - 7, &mut part), Ok(true));
            let apart = db.snapshot(&found, 5..len).expect("a string").expect("just set");
            change(&mut db);
            settle(&mut keyspace);
            assert!(send(&mut reply) == bulk(&value), "{len}");
            assert!(send(&mut part) == bulk(&value[1000..len - 7]), "{len}");
            assert_eq!(apart.len(), len - 5);
            assert!(apart.pieces(1..len - 5).collect::<Vec<_>>().concat() == value[6..], "{len}");
            assert_eq!(apart.byte(len - 6), value[len - 1]);
            drop(apart);
            keyspace.clear();
            settle(&mut keyspace);
            while keyspace.store.usage().pool.limbo_bytes > 0 {
                keyspace.store.step(Budget::STEP, true);
            }
            assert_eq!(keyspace.store.usage().pool.used_bytes, 0, "nothing is left behind");
        }
    }
}

#[test]
fn a_copy_shares_the_pages_and_goes_its_own_way() {
    let mut keyspace = keyspace();
    let value = bytes(3_000_000, 1);
    set(&mut keyspace.db(0), b"k", &value, Ttl::At(Millis(1_000_500)));
    let pages = keyspace.store.blob_usage().page_bytes;
    let target = keyspace.db(1).find(b"copy");
    let source = keyspace.db(0).find(b"k");
    keyspace.db(0).copy(&source, 1, &target).expect("memory is not limited");
    assert_eq!(keyspace.store.blob_usage().page_bytes, pages);
    assert_eq!(keyspace.db(1).find(b"copy").expires(), Some(Millis(1_000_500)));
    let mut db = keyspace.db(1);
    let found = db.find(b"copy");
    db.write_range(found, 2_000_000, b"changed").expect("memory is not limited");
    let changed = [&value[..2_000_000], b"changed", &value[2_000_007..]].concat();
    assert!(get(&mut db, b"copy") == Some(changed) && get(&mut keyspace.db(0), b"k") == Some(value));
    assert_eq!(keyspace.store.blob_usage().page_bytes, pages + 64 * 1024);
    audit(&mut keyspace);
}

#[test]
fn renaming_and_expiries_write_a_head_and_no_byte_of_the_value() {
    let mut keyspace = keyspace();
    let value = bytes(1_000_000, 1);
    let mut db = keyspace.db(0);
    set(&mut db, b"k", &value, Ttl::Clear);
    let written = db.keyspace.store.usage().written_bytes;
    for expires in [Some(Millis(2_000_000)), Some(Millis(3_000_000)), None, Some(Millis(i64::MAX))] {
        let found = db.find(b"k");
        assert_eq!(db.set_expiry(found, expires), Ok(true));
        let target = db.find(b"other");
        let source = db.find(b"k");
        db.rename(source, target).expect("memory is not limited");
        let target = db.find(b"k");
        let source = db.find(b"other");
        db.rename(source, target).expect("memory is not limited");
        assert_eq!(db.find(b"k").expires(), expires);
    }
    assert!(db.keyspace.store.usage().written_bytes - written < 1_000);
    assert!(get(&mut db, b"k") == Some(value));
    settle(&mut keyspace);
    audit(&mut keyspace);
}

#[test]
fn a_blob_that_expires_is_freed_by_steps() {
    let mut keyspace = keyspace();
    for key in [b"looked at", b"forgotten"] {
        set(&mut keyspace.db(0), key, &bytes(1_000_000, 1), Ttl::At(Millis(1_000_100)));
    }
    keyspace.set_now(Millis(1_000_200));
    assert!(!keyspace.db(0).find(b"looked at").exists());
    assert_eq!(blobs(&keyspace), 1);
    while keyspace.expire_step(16) {}
    assert_eq!(blobs(&keyspace), 0);
    settle(&mut keyspace);
    assert_eq!(keyspace.store.blob_usage().page_bytes, 0);
    audit(&mut keyspace);
}

#[test]
fn a_database_of_blobs_is_cleared_at_once_and_freed_in_bounded_steps() {
    const BLOBS: u64 = 500;
    let mut keyspace = keyspace();
    for key in 0..BLOBS {
        let found_in = &mut keyspace.db(0);
        set(found_in, &key.to_le_bytes(), &bytes(LONG, key as u8), Ttl::Clear);
    }
    assert_eq!(keyspace.clear(), BLOBS);
    assert_eq!(blobs(&keyspace), 0);
    let mut steps = 0;
    while keyspace.store.debt() > 0 {
        let before = keyspace.store.blob_usage().page_bytes;
        keyspace.store.step(Budget::STEP, false);
        assert!(before - keyspace.store.blob_usage().page_bytes <= 2 << 20);
        steps += 1;
    }
    assert!(steps > BLOBS / 16);
    settle(&mut keyspace);
    assert_eq!(keyspace.store.usage().pool.used_bytes, 0);
}

#[test]
fn a_blob_without_memory_changes_nothing() {
    let mut keyspace = limited(8 << 20);
    let mut db = keyspace.db(0);
    let value = bytes(1_000_000, 1);
    let at = Ttl::At(Millis(1_000_900));
    for (key, value) in [(&b"blob"[..], &value[..]), (b"short", b"short"), (b"full", &value[..30_000])] {
        set(&mut db, key, value, at);
    }
    let huge = vec![7; 16 << 20];
    let before = db.keyspace.store.blob_usage();
    for key in [&b"blob"[..], b"short", b"full", b"none"] {
        let found = db.find(key);
        assert_eq!(db.set(found, &huge, Ttl::Clear), Err(CommandError::OutOfMemory));
        let found = db.find(key);
        assert_eq!(db.append(found, &huge), Err(CommandError::OutOfMemory));
        let found = db.find(key);
        assert_eq!(db.write_range(found, 500, &huge), Err(CommandError::OutOfMemory));
        assert_eq!(db.find(key).expires(), (key != b"none").then_some(Millis(1_000_900)));
        settle(db.keyspace);
    }
    assert_eq!(db.keyspace.store.blob_usage(), before);
    assert!(get(&mut db, b"blob") == Some(value.clone()));
    assert_eq!(get(&mut db, b"short"), Some(b"short".to_vec()));
    assert!(get(&mut db, b"full").as_deref() == Some(&value[..30_000]));
    assert_eq!(get(&mut db, b"none"), None);
    audit(&mut keyspace);
}

#[test]
fn a_blob_for_a_key_that_is_too_long_is_given_up() {
    let mut keyspace = keyspace();
    let mut db = keyspace.db(0);
    let key = vec![b'k'; 65_536];
    let found = db.find(&key);
    assert!(db.set(found, &bytes(LONG, 1), Ttl::Clear).is_err());
    let found = db.find(&key);
    assert!(db.write_range(found, LONG, b"x").is_err());
    settle(&mut keyspace);
    assert_eq!(keyspace.store.usage().pool.used_bytes, 0);
    audit(&mut keyspace);
}

#[test]
fn a_value_that_was_built_apart_becomes_a_string_of_either_form() {
    for len in [0, 1, LONG - 1, LONG, 300_000] {
        let mut keyspace = keyspace();
        let mut db = keyspace.db(0);
        let value = bytes(len, 1);
        let mut blob = db.new_blob();
        db.blob_append(&mut blob, &value[..len / 2]).expect("memory is not limited");
        db.blob_write(&mut blob, (len / 2) as u64, &value[len / 2..]).expect("memory is not limited");
        let found = db.find(b"k");
        db.set_value(found, Value::Blob(blob), Ttl::Clear).expect("memory is not limited");
        assert!(get(&mut db, b"k") == Some(value));
        assert_eq!(blobs(&keyspace), u64::from(len >= LONG));
        audit(&mut keyspace);
    }
}

/// Random operations on few keys in two databases over both forms, with readers, against plain vectors.
#[test]
fn strings_of_both_forms_agree_with_plain_vectors() {
    for seed in 0..10_u64 {
        let mut random = seed;
        let mut below = |end: usize| Keyspace::next_random(&mut random) as usize % end;
        let mut keyspace = keyspace();
        keyspace.blob_threshold = 2_000;
        let mut model: [[Option<Vec<u8>>; 4]; 2] = Default::default();
        let mut readers: Vec<(Snapshot, Vec<u8>)> = Vec::new();
        for step in 0..1_500 {
            let (index, number, other) = (below(2), below(4), below(4));
            let (key, other_key) = ([number as u8], [other as u8]);
            let most = [10, 3_000, 40_000][below(3)];
            let value = bytes(below(most), step as u8);
            let mut db = keyspace.db(index);
            let found = db.find(&key);
            let old = &mut model[index][number];
            match below(9) {
                0 => {
                    db.set(found, &value, Ttl::Clear).expect("memory is not limited");
                    *old = Some(value);
                }
                1 | 2 => {
                    let old = old.get_or_insert_default();
                    old.extend_from_slice(&value);
                    assert_eq!(db.append(found, &value), Ok(old.len()));
                }
                3 | 4 => {
                    let old = old.get_or_insert_default();
                    let beyond = below(50) * 100;
                    let at = below(old.len() + 1 + beyond);
                    old.resize(old.len().max(at + value.len()), 0);
                    old[at..at + value.len()].copy_from_slice(&value);
                    assert_eq!(db.write_range(found, at, &value), Ok(old.len()));
                }
                5 => assert_eq!(db.remove(found), old.take().is_some()),
                6 if old.is_some() => {
                    let to = below(2);
                    if (to, other) != (index, number) {
                        let target = keyspace.db(to).find(&other_key);
                        let source = keyspace.db(index).find(&key);
                        keyspace.db(index).copy(&source, to, &target).expect("memory is not limited");
                        model[to][other] = model[index][number].clone();
                    }
                }
                7 if old.is_some() && other != number => {
                    let target = db.find(&other_key);
                    db.rename(found, target).expect("memory is not limited");
                    model[index][other] = model[index][number].take();
                }
                _ => {
                    if let Some(apart) = db.string_apart(&found).expect("a string") {
                        readers.push((apart, old.clone().expect("the model has it")));
                    }
                    if below(3) == 0 {
                        readers.clear();
                    }
                }
            }
            if below(3) == 0 {
                keyspace.store.step(Budget { bytes: 1 + below(5_000) as u64, entries: 64 }, below(2) == 0);
            }
            if step % 20 == 0 {
                keyspace.store.audit();
                audit(&mut keyspace);
                for (index, strings) in model.iter().enumerate() {
                    for (number, string) in strings.iter().enumerate() {
                        assert!(get(&mut keyspace.db(index), &[number as u8]) == *string, "seed {seed}, step {step}");
                    }
                }
                for (apart, string) in &readers {
                    assert!(apart.pieces(0..apart.len()).collect::<Vec<_>>().concat() == *string, "seed {seed}");
                }
            }
        }
    }
}
