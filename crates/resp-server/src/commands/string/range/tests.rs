//! What transcripts cannot show: limits, events, other types, large values. The rest of the family is in
//! `tests/transcripts/{range,lcs}.txt`.

use super::*;
use crate::commands::testing::{ask, ask_words, check, keyspace};
use crate::keyspace::tests::put_list;

#[test]
fn a_list_is_no_string() {
    let mut keyspace = keyspace(u64::MAX);
    put_list(&mut keyspace, b"l");
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let no_strings = "-ERR The specified keys must contain string values";
    check(
        &mut keyspace,
        &[
            ("SETRANGE l 0 x", wrong_type),
            ("SETRANGE l 0 \"\"", wrong_type),
            ("SETRANGE l 999999999 x", wrong_type),
            ("SETRANGE l -1 x", "-ERR offset is out of range"),
            ("GETRANGE l 0 -1", wrong_type),
            ("GETRANGE l a -1", "-ERR value is not an integer or out of range"),
            ("LCS l none", no_strings),
            ("LCS none l LEN IDX", no_strings),
            ("LCS none l nosuch", no_strings),
        ],
    );
}

#[test]
fn a_string_grows_to_the_longest_and_no_further() {
    let mut keyspace = keyspace(u64::MAX);
    keyspace.bulk_len_max = 10;
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    check(
        &mut keyspace,
        &[
            ("SETRANGE k 9 xy", too_long),
            ("SETRANGE k 9223372036854775807 xy", too_long),
            ("EXISTS k", ":0"),
            ("SETRANGE k 9223372036854775807 \"\"", ":0"),
            ("SETRANGE k 9 x", ":10"),
            ("SETRANGE k 10 x", too_long),
        ],
    );
    assert_eq!(keyspace.stats.dirty, 1);
}

#[test]
fn a_range_without_memory_answers_oom_and_changes_nothing() {
    let mut keyspace = keyspace(8 << 20);
    let large = "x".repeat(16 << 20);
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.";
    check(&mut keyspace, &[("SET k old EX 100", "+OK")]);
    assert_eq!(ask(&mut keyspace, &format!("SETRANGE k 1 {large}")), oom);
    assert_eq!(ask(&mut keyspace, &format!("SETRANGE none 1 {large}")), oom);
    check(
        &mut keyspace,
        &[
            ("GET k", "$3 old"),
            ("TTL k", ":100"),
            ("EXISTS none", ":0"),
            ("SETRANGE k 3 er", ":5"),
            ("GET k", "$5 older"),
            ("TTL k", ":100"),
        ],
    );
}

#[test]
fn ranges_of_long_strings_are_written_and_read_anywhere() {
    let mut keyspace = keyspace(u64::MAX);
    let mut model: Vec<u8> = (0..200_000_u64).map(|at| ((at * at) >> 7) as u8).collect();
    let mut reply = Reply::new();
    ask_words(&mut keyspace, &[b"SET", b"k", &model], &mut reply);
    for (at, len) in [(0, 1), (199_990, 10), (16_380, 8), (100, 70_000), (210_000, 5), (250_000, 20_000), (65_535, 2)] {
        let bytes: Vec<u8> = (0..len).map(|byte| (at + 3 * byte) as u8).collect();
        model.resize(model.len().max(at + len), 0);
        model[at..at + len].copy_from_slice(&bytes);
        let mut reply = Reply::new();
        let answer = ask_words(&mut keyspace, &[b"SETRANGE", b"k", at.to_string().as_bytes(), &bytes], &mut reply);
        assert_eq!(answer, format!(":{}", model.len()));
        for range in [0..model.len(), at..at + len, at.saturating_sub(3)..model.len().min(at + 16_390), 0..1] {
            let (start, last) = (range.start.to_string(), (range.end - 1).to_string());
            let mut reply = Reply::new();
            ask_words(&mut keyspace, &[b"GETRANGE", b"k", start.as_bytes(), last.as_bytes()], &mut reply);
            let head = format!("${}\r\n", range.len());
            assert!(reply.to_vec() == [head.as_bytes(), &model[range], b"\r\n"].concat());
        }
    }
}

#[test]
fn the_table_of_lcs_is_bounded_as_that_of_redis() {
    let too_much = "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
    let mut keyspace = keyspace(u64::MAX);
    keyspace.bulk_len_max = 4 * 10 * 10;
    check(
        &mut keyspace,
        &[("MSET a 123456789 b 123456789 c 1234567890", "+OK"), ("LCS a b LEN", ":9"), ("LCS a c LEN", too_much)],
    );
    assert!(check_lcs_size(u64::from(u32::MAX) - 1, 0, u64::MAX).is_err());
    assert!(check_lcs_size(u64::from(u32::MAX) - 2, 1 << 29, u64::MAX).is_ok());
}

#[test]
fn only_what_changes_a_string_is_a_change() {
    let mut keyspace = keyspace(u64::MAX);
    for (request, changes) in [
        ("SETRANGE k 0 \"\"", 0),
        ("SETRANGE k 0 abc", 1),
        ("SETRANGE k 0 abc", 1),
        ("SETRANGE k 0 \"\"", 0),
        ("GETRANGE k 0 -1", 0),
        ("SETBIT k 0 0", 0),
        ("SETBIT k 0 1", 1),
        ("SETBIT k 24 0", 1),
        ("BITFIELD k GET u8 0", 0),
        ("BITFIELD k SET u8 24 0", 0),
        ("BITFIELD k SET u8 32 0", 1),
        ("BITOP AND d none1 none2", 0),
        ("BITOP OR d k none", 1),
        ("BITOP AND d none1 none2", 1),
        ("MSETEX 2 x 1 y 2 XX", 0),
        ("MSETEX 2 x 1 y 2", 2),
    ] {
        let before = keyspace.stats.dirty;
        ask(&mut keyspace, request);
        assert_eq!(keyspace.stats.dirty - before, changes, "{request}");
    }
}
