//! What transcripts cannot show: values of other types, whole scans while keys change, changes and look-ups as they are
//! counted. The rest of the family is in `tests/transcripts/{generic,scan}.txt`.

use std::collections::BTreeSet;

use super::*;
use crate::commands::testing::{ask, check, keyspace, with_args};
use crate::keyspace::Millis;

#[test]
fn every_row_is_whole() {
    for spec in COMMANDS {
        assert!(!spec.doc.summary.is_empty(), "{}", spec.name);
        assert!(spec.doc.acl.contains(&AclCategory::Keyspace), "{}", spec.name);
        assert!(spec.flags.contains(&Flag::Write) != spec.flags.contains(&Flag::Readonly), "{}", spec.name);
    }
}

#[test]
fn copy_reaches_into_another_database_and_fails_whole() {
    let mut keyspace = keyspace(u64::MAX);
    check(&mut keyspace, &[("SET k v EX 100", "+OK")]);
    let mut copy = |words: &[&[u8]]| {
        let mut reply = Reply::new();
        with_args(words, |args| copy_key(&mut keyspace, 0, args, &mut reply).map(|_| reply.to_vec() == b":1\r\n"))
    };
    assert_eq!(copy(&[b"COPY", b"k", b"k", b"DB", b"1"]), Ok(true));
    assert_eq!(copy(&[b"COPY", b"k", b"k", b"DB", b"1"]), Ok(false));
    assert_eq!(copy(&[b"COPY", b"k", b"k", b"DB", b"2"]).unwrap_err().text(), &b"ERR DB index is out of range"[..]);
    let found = keyspace.db(1).find(b"k");
    assert_eq!(found.expires(), keyspace.db(0).find(b"k").expires());
    assert_eq!(keyspace.clear(), 2);
    assert_eq!((keyspace.db(0).len(), keyspace.db(1).len()), (0, 0));
}

#[test]
fn each_write_counts_as_one_change_and_each_removed_key_too() {
    for (request, changes) in [
        ("DEL a n b", 2),
        ("UNLINK a a", 1),
        ("RENAME a b", 1),
        ("RENAME a a", 0),
        ("RENAMENX a b", 0),
        ("RENAMENX a c", 1),
        ("FLUSHDB", 2),
        ("EXISTS a", 0),
        ("EXPIRE a 100", 1),
        ("EXPIRE a 0", 1),
        ("EXPIRE n 100", 0),
        ("EXPIRE a 100 XX", 0),
        ("PERSIST a", 0),
    ] {
        let mut keyspace = keyspace(u64::MAX);
        check(&mut keyspace, &[("MSET a 1 b 2", "+OK")]);
        keyspace.stats.dirty = 0;
        ask(&mut keyspace, request);
        assert_eq!(keyspace.stats.dirty, changes, "{request}");
    }
}

#[test]
fn reads_count_hits_and_misses_and_writes_do_not() {
    for (request, hits, misses) in [
        ("EXISTS a n a", 2, 1),
        ("TOUCH a n", 1, 1),
        ("TYPE n", 0, 1),
        ("TTL a", 1, 0),
        ("PEXPIRETIME n", 0, 1),
        ("DEL a n", 0, 0),
        ("RENAME a b", 0, 0),
        ("EXPIRE a 10", 0, 0),
        ("PERSIST n", 0, 0),
        ("KEYS *", 0, 0),
        ("RANDOMKEY", 0, 0),
    ] {
        let mut keyspace = keyspace(u64::MAX);
        check(&mut keyspace, &[("SET a 1", "+OK")]);
        ask(&mut keyspace, request);
        let stats = keyspace.stats;
        assert_eq!((stats.keyspace_hits, stats.keyspace_misses), (hits, misses), "{request}");
    }
}

/// The cursor and the keys of a reply to SCAN.
fn scan(keyspace: &mut Keyspace, request: &str) -> (String, Vec<String>) {
    let reply = ask(keyspace, request);
    let words: Vec<&str> = reply.split(' ').collect();
    assert_eq!(words[0], "*2", "{reply}");
    let keys = words[4..].iter().skip(1).step_by(2).map(|key| key.to_string());
    (words[2].to_string(), keys.collect())
}

#[test]
fn a_scan_returns_every_key_that_is_there_from_start_to_end() {
    let mut keyspace = keyspace(u64::MAX);
    for key in 0..5_000 {
        ask(&mut keyspace, &format!("SET stays:{key} v"));
        ask(&mut keyspace, &format!("SET goes:{key} v"));
    }
    let mut seen = BTreeSet::new();
    let mut cursor = "0".to_string();
    let mut calls = 0;
    loop {
        let (next, keys) = scan(&mut keyspace, &format!("SCAN {cursor} MATCH stays:* COUNT 50"));
        seen.extend(keys);
        ask(&mut keyspace, &format!("DEL goes:{}", calls * 3));
        ask(&mut keyspace, &format!("SET comes:{calls} v"));
        calls += 1;
        cursor = next;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 5_000);
    assert!(calls >= 100, "{calls} calls for 10,000 keys in steps of 50");
}

#[test]
fn keys_and_scan_leave_out_what_has_expired_or_is_of_another_type_and_scan_removes_what_has_expired() {
    let mut keyspace = keyspace(u64::MAX);
    check(&mut keyspace, &[("SET a v PX 10", "+OK"), ("SET b v", "+OK")]);
    keyspace.set_now(Millis(keyspace.now().0 + 11));
    check(
        &mut keyspace,
        &[
            ("DBSIZE", ":2"),
            ("KEYS *", "*1 $1 b"),
            ("DBSIZE", ":2"),
            ("SCAN 0 TYPE zset", "*2 $1 0 *0"),
            ("DBSIZE", ":1"),
            ("SCAN 0 TYPE string", "*2 $1 0 *1 $1 b"),
            ("RANDOMKEY", "$1 b"),
        ],
    );
}

#[test]
fn a_key_that_is_too_long_is_not_there_and_cannot_be_a_name() {
    let mut keyspace = keyspace(u64::MAX);
    check(&mut keyspace, &[("SET a 1", "+OK")]);
    let key = "k".repeat(65_536);
    let refused = "-ERR key is too long (65535 bytes at most)";
    for (request, reply) in [
        ("DEL K", ":0"),
        ("EXISTS K", ":0"),
        ("TYPE K", "+none"),
        ("EXPIRE K 10", ":0"),
        ("TTL K", ":-2"),
        ("RENAME K a", "-ERR no such key"),
        ("RENAME a K", refused),
        ("RENAMENX a K", refused),
        ("GET a", "$1 1"),
    ] {
        assert_eq!(ask(&mut keyspace, &request.replace('K', &key)), reply, "{request}");
    }
}
