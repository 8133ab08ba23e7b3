//! What transcripts cannot show: limits, events, replies by reference, values of other types. The rest of the family is in
//! `tests/transcripts/{string,string-set-options,counters}.txt`.

use super::*;
use crate::commands::testing::{ask, ask_words, check, keyspace};
use crate::proto::Protocol;

#[test]
fn every_row_is_whole() {
    for spec in COMMANDS {
        assert_eq!(spec.doc.group, Group::String);
        assert!(!spec.doc.summary.is_empty() && !spec.doc.syntax.is_empty(), "{}", spec.name);
        assert!(spec.flags.contains(&Flag::Write) != spec.flags.contains(&Flag::Readonly), "{}", spec.name);
    }
}

#[test]
fn append_refuses_what_would_exceed_the_longest_string_and_changes_nothing() {
    let mut keyspace = keyspace(u64::MAX);
    keyspace.bulk_len_max = 10;
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    check(
        &mut keyspace,
        &[("APPEND k 12345", ":5"), ("APPEND k 123456", too_long), ("APPEND k 67890", ":10"), ("APPEND k x", too_long)],
    );
    assert_eq!(ask(&mut keyspace, "GET k"), "$10 1234567890");
    assert_eq!(keyspace.stats.dirty, 2);
}

#[test]
fn a_write_without_memory_answers_oom_and_keeps_the_old_value() {
    let mut keyspace = keyspace(8 << 20);
    let large = "x".repeat(16 << 20);
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.";
    check(&mut keyspace, &[("SET k old EX 100", "+OK"), ("SET k2 5", "+OK")]);
    for request in
        ["SET k @", "SET k @ NX GET", "SET k @ KEEPTTL", "SETEX k 10 @", "MSET k @", "APPEND k @", "SETNX n @"]
    {
        let request = request.replace('@', &large);
        let reply = ask(&mut keyspace, &request);
        assert!(reply == oom || reply == "$3 old", "{}", &request[..20]);
    }
    check(&mut keyspace, &[("GET k", "$3 old"), ("TTL k", ":100"), ("GET n", "$-1"), ("INCR k2", ":6")]);
}

#[test]
fn many_strings_are_set_or_none_if_a_key_is_too_long() {
    let long = "k".repeat(65_536);
    for command in ["MSET", "MSETNX"] {
        let mut keyspace = keyspace(u64::MAX);
        let reply = ask(&mut keyspace, &format!("{command} a 1 {long} 2 b 3"));
        assert_eq!(reply, "-ERR key is too long (65535 bytes at most)");
        check(&mut keyspace, &[("EXISTS a b", ":0")]);
        let reply = ask(&mut keyspace, &format!("{command} a 1 {} 2", &long[1..]));
        assert!(reply == "+OK" || reply == ":1");
        check(&mut keyspace, &[(&format!("EXISTS a {}", &long[1..]), ":2")]);
    }
}

#[test]
fn a_large_value_is_replied_by_reference_and_stays_whole_when_it_is_overwritten() {
    for len in [16 * 1024 - 1, 16 * 1024, 300_000] {
        let mut keyspace = keyspace(u64::MAX);
        let value: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
        let mut reply = Reply::new();
        ask_words(&mut keyspace, &[b"SET", b"k", &value], &mut Reply::new());
        ask_words(&mut keyspace, &[b"GET", b"k"], &mut reply);
        ask_words(&mut keyspace, &[b"SET", b"k", &vec![0; len]], &mut Reply::new());
        ask(&mut keyspace, "DEL k");
        let wanted = [format!("${len}\r\n").as_bytes(), &value, b"\r\n"].concat();
        assert!(reply.to_vec() == wanted, "{len} bytes");
    }
}

#[test]
fn a_value_overwritten_by_one_of_the_same_length_leaves_no_dead_bytes() {
    let mut keyspace = keyspace(u64::MAX);
    check(&mut keyspace, &[("SET k 111", "+OK"), ("SET t 11 EX 100", "+OK")]);
    let before = keyspace.store.usage();
    for _ in 0..1_000 {
        check(&mut keyspace, &[("SET k 222", "+OK"), ("SET t 22 KEEPTTL", "+OK"), ("EXPIRE t 200", ":1")]);
    }
    assert_eq!(keyspace.store.usage(), before);
    check(&mut keyspace, &[("GET k", "$3 222"), ("GET t", "$2 22"), ("TTL t", ":200"), ("INCR k", ":223")]);
}

#[test]
fn each_write_counts_as_one_change_and_a_refused_one_as_none() {
    for (request, changes) in [
        ("SET a 1", 1),
        ("SET a 1 EX 10", 1),
        ("SET a 1 NX", 0),
        ("SET n 1 XX", 0),
        ("SET a 1 PXAT 1", 1),
        ("SET n 1 PXAT 1", 0),
        ("SETNX a 1", 0),
        ("GETSET a 2", 1),
        ("GETEX a", 0),
        ("GETEX a EX 10", 1),
        ("GETEX a PERSIST", 0),
        ("GETEX a PXAT 1", 1),
        ("GETDEL a", 1),
        ("GETDEL n", 0),
        ("MSET x 1 y 2", 2),
        ("MSETNX a 1 y 2", 0),
        ("INCR a", 1),
        ("INCRBYFLOAT a 1", 1),
        ("INCR s", 0),
        ("APPEND s x", 1),
        ("GET a", 0),
    ] {
        let mut keyspace = keyspace(u64::MAX);
        check(&mut keyspace, &[("MSET a 1 s text", "+OK")]);
        keyspace.stats.dirty = 0;
        ask(&mut keyspace, request);
        assert_eq!(keyspace.stats.dirty, changes, "{request}");
    }
}

#[test]
fn reads_count_hits_and_misses_and_writes_do_not() {
    for (request, hits, misses) in [
        ("GET a", 1, 0),
        ("GET n", 0, 1),
        ("MGET a n a", 2, 1),
        ("STRLEN a", 1, 0),
        ("GETSET a 2", 1, 0),
        ("GETDEL n", 0, 1),
        ("GETEX a", 1, 0),
        ("SET a 1 GET", 1, 0),
        ("SET a 1", 0, 0),
        ("SET a 1 NX", 0, 0),
        ("INCR a", 0, 0),
        ("APPEND n 1", 0, 0),
    ] {
        let mut keyspace = keyspace(u64::MAX);
        check(&mut keyspace, &[("SET a 1", "+OK")]);
        ask(&mut keyspace, request);
        let stats = keyspace.stats;
        assert_eq!((stats.keyspace_hits, stats.keyspace_misses), (hits, misses), "{request}");
    }
}

#[test]
fn null_is_the_protocols_own() {
    let mut keyspace = keyspace(u64::MAX);
    let mut reply = Reply::new();
    reply.protocol = Protocol::Resp3;
    assert_eq!(ask_words(&mut keyspace, &[b"MGET", b"n", b"m"], &mut reply), "*2 _ _");
    assert_eq!(ask(&mut keyspace, "MGET n m"), "*2 $-1 $-1");
}

#[test]
fn a_key_that_is_too_long_cannot_be_set_and_is_not_there() {
    let mut keyspace = keyspace(u64::MAX);
    let key = "k".repeat(65_536);
    let refused = "-ERR key is too long (65535 bytes at most)";
    for (request, reply) in [
        ("SET K v", refused),
        ("SETNX K v", refused),
        ("MSET K v", refused),
        ("INCR K", refused),
        ("APPEND K v", refused),
        ("GET K", "$-1"),
        ("GETDEL K", "$-1"),
        ("MGET K", "*1 $-1"),
        ("STRLEN K", ":0"),
        ("SET K v XX", "$-1"),
    ] {
        assert_eq!(ask(&mut keyspace, &request.replace('K', &key)), reply, "{request}");
    }
}

#[test]
fn a_set_that_fails_after_get_has_replied_leaves_only_the_error() {
    let mut keyspace = keyspace(8 << 20);
    check(&mut keyspace, &[("SET k old", "+OK")]);
    let large = "x".repeat(16 << 20);
    for request in ["SET k @ GET", "GETSET k @"] {
        let reply = ask(&mut keyspace, &request.replace('@', &large));
        assert!(reply.starts_with("-OOM"), "{}", &request[..8]);
    }
    assert_eq!(ask(&mut keyspace, "GET k"), "$3 old");
}

#[test]
fn the_old_value_is_replied_whole_whatever_its_size_and_the_new() {
    for len in [0, 3, 100, 16_383, 16_384, 300_000] {
        let mut keyspace = keyspace(u64::MAX);
        let old: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
        let new = vec![b'n'; len];
        let requests: [&[&[u8]]; 3] =
            [&[b"GETSET", b"k", &new], &[b"SET", b"k", &new, b"GET"], &[b"GETEX", b"k", b"EX", b"9"]];
        for request in requests {
            let mut reply = Reply::new();
            ask_words(&mut keyspace, &[b"SET", b"k", &old], &mut Reply::new());
            ask_words(&mut keyspace, request, &mut reply);
            let wanted = [format!("${len}\r\n").as_bytes(), &old, b"\r\n"].concat();
            assert!(reply.to_vec() == wanted, "{len} bytes");
        }
    }
}

/// The same random requests to two keyspaces, one whose strings all lie in their entries, one where all but short ones are blobs.
#[test]
fn replies_do_not_tell_where_a_string_lies() {
    for seed in 1..=8_u64 {
        let mut state = seed * 0x9e37_79b9;
        let mut below = |end: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % end
        };
        let (mut entries, mut blobs) = (keyspace(u64::MAX), keyspace(u64::MAX));
        (entries.blob_threshold, blobs.blob_threshold) = (u64::MAX, 1_000);
        for step in 0..1_500 {
            let (key, other) = (below(5), below(5));
            let fill = char::from(b'a' + below(26) as u8).to_string();
            let value = match below(6) {
                0 => below(100).to_string(),
                1 => fill.repeat(20 + below(100) as usize),
                2 => fill.repeat(990 + below(20) as usize),
                3 => fill.repeat(10_000 + below(300_000) as usize),
                _ => fill.repeat(1_001 + below(3_000) as usize),
            };
            let request = match below(30) {
                0 | 1 => format!("SET k{key} {value}"),
                2 => format!("SET k{key} {value} NX GET"),
                3 => format!("SET k{key} {value} XX GET EX 100"),
                4 => format!("SET k{key} {value} KEEPTTL"),
                5 => format!("SETNX k{key} {value}"),
                6 => format!("SETEX k{key} 100 {value}"),
                7 => format!("PSETEX k{key} 5 {value}"),
                8 | 9 => format!("GET k{key}"),
                10 => format!("GETSET k{key} {value}"),
                11 => format!("GETDEL k{key}"),
                12 => format!("GETEX k{key} PX 5"),
                13 => format!("GETEX k{key} PERSIST"),
                14 => format!("MGET k{key} k{other} k{key}"),
                15 => format!("MSET k{key} {value} k{other} {value}"),
                16 => format!("MSETNX k{key} {value} k{other} short"),
                17 => format!("INCR k{key}"),
                18 => format!("INCRBYFLOAT k{key} 1.5"),
                19..=21 => format!("APPEND k{key} {value}"),
                22 => format!("STRLEN k{key}"),
                23 => format!("RENAME k{key} k{other}"),
                24 => format!("RENAMENX k{key} k{other}"),
                25 => format!("DEL k{key}"),
                26 => format!("EXPIRE k{key} {}", below(200)),
                27 => format!("PERSIST k{key}"),
                28 => format!("PTTL k{key}"),
                _ => format!("TYPE k{key}"),
            };
            let replies = [&mut entries, &mut blobs].map(|keyspace| {
                keyspace.set_now(crate::keyspace::Millis(crate::commands::testing::START.0 + step));
                keyspace.store.step(chunkbuf::Budget::STEP, step % 3 == 0);
                ask(keyspace, &request)
            });
            assert!(replies[0] == replies[1], "seed {seed}, step {step}: {}", &request[..request.len().min(40)]);
        }
        assert!(blobs.store.usage().written_bytes < entries.store.usage().written_bytes / 4);
        blobs.clear();
        while blobs.store.step(chunkbuf::Budget::STEP, true) {}
        blobs.store.audit();
        assert_eq!(blobs.store.usage().pool.used_bytes, 0);
    }
}
