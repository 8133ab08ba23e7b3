//! What transcripts cannot show: limits, other types, long strings. The rest of the family is in
//! `tests/transcripts/{bitmap,bitmap-7.4,bitop,bitop-8.2}.txt`.

use super::*;
use crate::commands::testing::{ask, ask_words, check, keyspace};
use crate::keyspace::tests::put_list;

#[test]
fn a_list_has_no_bits() {
    let mut keyspace = keyspace(u64::MAX);
    put_list(&mut keyspace, b"l");
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    check(
        &mut keyspace,
        &[
            ("SETBIT l 1 2", "-ERR bit is not an integer or out of range"),
            ("SETBIT l a 2", "-ERR bit offset is not an integer or out of range"),
            ("SETBIT l 1 1", wrong_type),
            ("GETBIT l 1", wrong_type),
            ("GETBIT l a", "-ERR bit offset is not an integer or out of range"),
            ("BITCOUNT l", wrong_type),
            ("BITCOUNT l 0 1 BIT", wrong_type),
            ("BITPOS l 1", wrong_type),
            ("BITPOS l 2", "-ERR The bit argument must be 1 or 0."),
            ("BITOP NOT d l", wrong_type),
            ("BITOP AND d none l", wrong_type),
            ("BITOP NOSUCH d l", "-ERR syntax error"),
            ("EXISTS d", ":0"),
            ("SET k abc", "+OK"),
            ("BITOP NOT l k", ":3"),
            ("TYPE l", "+string"),
        ],
    );
}

#[test]
fn a_bit_lies_within_the_longest_string() {
    let mut keyspace = keyspace(u64::MAX);
    keyspace.bulk_len_max = 1 << 20;
    let out_of_range = "-ERR bit offset is not an integer or out of range";
    check(
        &mut keyspace,
        &[
            ("SETBIT k 8388608 1", out_of_range),
            ("GETBIT k 8388608", out_of_range),
            ("GETBIT k 8388607", ":0"),
            ("SETBIT k 8388607 1", ":0"),
            ("GETBIT k 8388607", ":1"),
            ("STRLEN k", ":1048576"),
            ("BITCOUNT k", ":1"),
            ("BITPOS k 1", ":8388607"),
        ],
    );
}

#[test]
fn bits_of_long_strings_are_counted_found_and_combined() {
    let mut keyspace = keyspace(u64::MAX);
    let a: Vec<u8> = (0..150_001_u64).map(|at| ((at * at) >> 5) as u8).collect();
    let b: Vec<u8> = (0..70_000_u64).map(|at| ((at * 31) >> 3) as u8).collect();
    ask_words(&mut keyspace, &[b"SET", b"a", &a], &mut Reply::new());
    ask_words(&mut keyspace, &[b"SET", b"b", &b], &mut Reply::new());
    let ones = |bytes: &[u8]| bytes.iter().map(|byte| byte.count_ones()).sum::<u32>();
    assert_eq!(ask(&mut keyspace, "BITCOUNT a"), format!(":{}", ones(&a)));
    assert_eq!(ask(&mut keyspace, "BITCOUNT a 1000 -1001"), format!(":{}", ones(&a[1000..149_001])));
    assert_eq!(ask(&mut keyspace, "BITOP XOR a a b"), ":150001");
    let xor: Vec<u8> = a.iter().zip(b.iter().chain(std::iter::repeat(&0))).map(|(a, b)| a ^ b).collect();
    let mut reply = Reply::new();
    ask_words(&mut keyspace, &[b"GET", b"a"], &mut reply);
    assert!(reply.to_vec() == [b"$150001\r\n", &xor[..], b"\r\n"].concat());
    check(
        &mut keyspace,
        &[
            ("BITOP AND z b none", ":70000"),
            ("SETBIT z 555555 1", ":0"),
            ("BITPOS z 1", ":555555"),
            ("BITPOS z 1 0 69443", ":-1"),
            ("BITPOS z 1 69444", ":555555"),
            ("BITOP NOT z z", ":70000"),
            ("BITPOS z 0 1", ":555555"),
            ("BITCOUNT z 555554 555556 BIT", ":2"),
        ],
    );
}
