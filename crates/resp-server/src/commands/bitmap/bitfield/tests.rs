//! What transcripts cannot show: other types, long strings, operations against a naive model. The rest is in
//! `tests/transcripts/bitfield.txt`.

use proptest::prelude::*;

use super::*;
use crate::commands::testing::{ask, ask_words, check, keyspace};
use crate::keyspace::tests::put_list;

#[test]
fn a_list_has_no_fields() {
    let mut keyspace = keyspace(u64::MAX);
    put_list(&mut keyspace, b"l");
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    check(
        &mut keyspace,
        &[
            ("BITFIELD l", wrong_type),
            ("BITFIELD l GET u8 0", wrong_type),
            ("BITFIELD l SET u8 0 1", wrong_type),
            ("BITFIELD l SET u8 0 x", "-ERR value is not an integer or out of range"),
            ("BITFIELD_RO l", wrong_type),
            ("BITFIELD_RO l SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
        ],
    );
}

#[test]
fn a_field_may_begin_in_the_last_byte_and_reach_behind_it() {
    let mut keyspace = keyspace(u64::MAX);
    keyspace.bulk_len_max = 10;
    check(
        &mut keyspace,
        &[
            ("BITFIELD k SET u8 80 1", "-ERR bit offset is not an integer or out of range"),
            ("BITFIELD k SET u8 79 255 GET u1 79 GET u7 72", "*3 :0 :1 :0"),
            ("STRLEN k", ":11"),
        ],
    );
}

#[test]
fn many_fields_of_a_long_string_are_one_command() {
    let mut keyspace = keyspace(u64::MAX);
    ask_words(&mut keyspace, &[b"SET", b"k", &vec![0xff; 100_000]], &mut Reply::new());
    let request =
        "BITFIELD k SET u8 #0 1 SET i64 11 -2 SET u8 #99999 2 SET u8 #150000 3 INCRBY u8 #0 1 GET i64 11 GET u8 #99999";
    assert_eq!(ask(&mut keyspace, request), "*7 :255 :-1 :255 :0 :2 :-2 :2");
    assert_eq!(ask(&mut keyspace, "STRLEN k"), ":150001");
    assert_eq!(ask(&mut keyspace, "BITFIELD_RO k GET u8 #99999 GET u8 #150000 GET u8 #100000"), "*3 :2 :3 :0");
}

proptest! {
    /// Operations in one request answer and write what they do one by one.
    #[test]
    fn a_request_is_its_operations_one_after_another(
        old in prop::collection::vec(any::<u8>(), 0..30),
        operations in prop::collection::vec((0..3_u8, 1..64_u32, 0..300_u32, -1000..1000_i64, 0..3_usize), 1..12),
    ) {
        let words = |&(act, bits, offset, value, overflow): &(u8, u32, u32, i64, usize)| {
            let field = format!("{}{bits} {offset}", if value % 2 == 0 { "i" } else { "u" });
            let overflow = ["WRAP", "SAT", "FAIL"][overflow];
            match act {
                0 => format!("GET {field}"),
                1 => format!("OVERFLOW {overflow} SET {field} {value}"),
                _ => format!("OVERFLOW {overflow} INCRBY {field} {value}"),
            }
        };
        let mut together = keyspace(u64::MAX);
        let mut apart = keyspace(u64::MAX);
        for keyspace in [&mut together, &mut apart] {
            ask_words(keyspace, &[b"SET", b"k", &old], &mut Reply::new());
        }
        let all: Vec<String> = operations.iter().map(words).collect();
        let answer = ask(&mut together, &format!("BITFIELD k {}", all.join(" ")));
        let answers: Vec<String> = all.iter().map(|one| ask(&mut apart, &format!("BITFIELD k {one}"))).collect();
        let answers: Vec<&str> = answers.iter().map(|one| one.trim_start_matches("*1 ")).collect();
        prop_assert_eq!(answer, format!("*{} {}", all.len(), answers.join(" ")));
        prop_assert_eq!(ask(&mut together, "GET k"), ask(&mut apart, "GET k"));
    }
}
