//! What OBJECT ENCODING will say of sets, and that random choices are fair.

use super::*;
use crate::commands::testing::{ask, ask_words, check, keyspace};

/// A request of many members: `SADD key w0 w1 ...`.
fn add(keyspace: &mut Keyspace, key: &str, prefix: &str, numbers: std::ops::Range<i64>) {
    let members = numbers.clone().map(|number| format!("{prefix}{number}"));
    let words: Vec<String> = ["SADD".to_owned(), key.to_owned()].into_iter().chain(members).collect();
    let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    let reply = ask_words(keyspace, &words, &mut Reply::new());
    assert!(reply.starts_with(':'), "{reply}");
}

fn encoding(keyspace: &mut Keyspace, key: &str) -> &'static str {
    let mut db = keyspace.db(0);
    let found = db.find(key.as_bytes());
    let set = source(&db, &found).expect("it is a set");
    set.expect("it is there").encoding().name()
}

#[test]
fn the_encoding_follows_every_command() {
    let mut keyspace = keyspace(u64::MAX);
    let k = &mut keyspace;
    // One by one, up to the limits and past them.
    for (prefix, len, below, above) in [("", 512, "intset", "hashtable"), ("w", 128, "listpack", "hashtable")] {
        ask(k, "DEL s");
        for number in 0..len {
            add(k, "s", prefix, number..number + 1);
        }
        assert_eq!(encoding(k, "s"), below);
        add(k, "s", prefix, len..len + 1);
        assert_eq!(encoding(k, "s"), above);
        ask(k, &format!("SREM s {prefix}0"));
        assert_eq!(encoding(k, "s"), above, "it does not go back");
    }
    // Many at once: the number of arguments tells.
    for (prefix, len, name) in
        [("", 512, "intset"), ("", 513, "hashtable"), ("w", 128, "listpack"), ("w", 129, "hashtable")]
    {
        ask(k, "DEL s");
        add(k, "s", prefix, 0..len);
        assert_eq!(encoding(k, "s"), name, "{prefix} {len}");
    }
    ask(k, "DEL s");
    add(k, "s", "w", 0..1);
    let again: Vec<&[u8]> = [&b"SADD"[..], b"s"].into_iter().chain([&b"w0"[..]; 129]).collect();
    assert_eq!(ask_words(k, &again, &mut Reply::new()), ":0");
    assert_eq!(encoding(k, "s"), "hashtable", "even if they are there");
    // A word among integers, and a long one.
    add(k, "i", "", 0..127);
    ask(k, "SADD i word");
    assert_eq!(encoding(k, "i"), "listpack");
    add(k, "j", "", 0..128);
    ask(k, "SADD j word");
    assert_eq!(encoding(k, "j"), "hashtable");
    ask(k, &format!("SADD l 1 {}", "x".repeat(64)));
    assert_eq!(encoding(k, "l"), "listpack");
    ask(k, &format!("SADD l {}", "x".repeat(65)));
    assert_eq!(encoding(k, "l"), "hashtable");
    // SMOVE makes a set as SADD does.
    ask(k, "SMOVE i m word");
    ask(k, "SMOVE i n 5");
    assert_eq!((encoding(k, "m"), encoding(k, "n")), ("listpack", "intset"));
}

#[test]
fn a_stored_result_has_the_encoding_that_redis_gives_it() {
    let mut keyspace = keyspace(u64::MAX);
    let k = &mut keyspace;
    add(k, "words", "w", 0..200);
    add(k, "few", "w", 0..100);
    add(k, "ints", "", 0..100);
    add(k, "more", "", 50..600);
    ask(k, "SADD mixed w1 1 2 3");
    ask(k, "SADD one w1");
    ask(k, "SADD two w2");
    for (request, reply, name) in [
        ("SINTERSTORE d words few", ":100", "listpack"),
        ("SINTERSTORE d words words", ":200", "hashtable"),
        ("SINTERSTORE d ints more", ":50", "intset"),
        ("SINTERSTORE d more more", ":550", "hashtable"),
        ("SINTERSTORE d mixed ints", ":3", "intset"),
        ("SINTERSTORE d mixed words", ":1", "listpack"),
        ("SUNIONSTORE d ints ints", ":100", "intset"),
        ("SUNIONSTORE d ints more", ":600", "hashtable"),
        ("SUNIONSTORE d ints one", ":101", "listpack"),
        ("SUNIONSTORE d ints few", ":200", "hashtable"),
        ("SUNIONSTORE d one ints", ":101", "listpack"),
        ("SUNIONSTORE d words", ":200", "hashtable"),
        ("SDIFFSTORE d ints more", ":50", "intset"),
        ("SDIFFSTORE d words few", ":100", "listpack"),
        ("SDIFFSTORE d more ints", ":500", "intset"),
        // All 200 are copied, and then the others' removed.
        ("SDIFFSTORE d words one two", ":198", "hashtable"),
        ("SDIFFSTORE d few one two", ":98", "listpack"),
    ] {
        assert_eq!(ask(k, request), reply, "{request}");
        assert_eq!(encoding(k, "d"), name, "{request}");
    }
}

#[test]
fn a_set_that_loses_most_at_once_is_built_anew() {
    let mut keyspace = keyspace(u64::MAX);
    let k = &mut keyspace;
    for (prefix, len, count, name) in [
        ("w", 200, 100, "hashtable"),
        ("w", 200, 166, "hashtable"),
        ("w", 200, 167, "listpack"),
        ("w", 100, 90, "listpack"),
        ("", 600, 590, "listpack"),
        ("", 500, 490, "intset"),
    ] {
        ask(k, "DEL s");
        add(k, "s", prefix, 0..len);
        assert!(ask(k, &format!("SPOP s {count}")).starts_with(&format!("*{count}")));
        assert_eq!(encoding(k, "s"), name, "{prefix} {len} {count}");
        assert_eq!(ask(k, "SCARD s"), format!(":{}", len - count));
    }
}

#[test]
fn every_member_has_the_same_chance() {
    let mut keyspace = keyspace(u64::MAX);
    let k = &mut keyspace;
    // Packed, an intset, large; one, few, many, any.
    for (prefix, len) in [("w", 10), ("", 10), ("w", 150)] {
        add(k, "s", prefix, 0..len);
        for count in [1, 2, len / 2, len - 1, -5] {
            let rounds = 8_000 / count.abs() * len / 10;
            let mut hits = vec![0_i64; len as usize];
            for _ in 0..rounds {
                let reply = ask(k, &format!("SRANDMEMBER s {count}"));
                let words: Vec<&str> = reply.split(' ').collect();
                let mut chosen: Vec<usize> = words[1..]
                    .chunks(2)
                    .map(|member| member[1].trim_start_matches('w').parse().expect("a number"))
                    .collect();
                assert_eq!(chosen.len() as i64, count.abs());
                chosen.iter().for_each(|&member| hits[member] += 1);
                chosen.sort_unstable();
                chosen.dedup();
                assert!(count < 0 || chosen.len() as i64 == count, "each once");
            }
            let mean = rounds * count.abs() / len;
            for (member, &hits) in hits.iter().enumerate() {
                assert!((hits - mean).abs() < mean / 4, "{member}: {hits} of {mean}, {count} of {len}");
            }
        }
        ask(k, "DEL s");
    }
    // And SPOP of one.
    let mut hits = [0_i64; 5];
    for _ in 0..5000 {
        add(k, "s", "", 0..5);
        let reply = ask(k, "SPOP s");
        hits[reply[3..].parse::<usize>().expect("a number")] += 1;
    }
    assert!(hits.iter().all(|&hits| (850..1150).contains(&hits)), "{hits:?}");
}

#[test]
fn a_move_without_memory_moves_nothing() {
    let mut keyspace = keyspace(1 << 20);
    let k = &mut keyspace;
    check(k, &[("SADD from a b", ":2"), ("SADD to c", ":1")]);
    // Strings go on where sets end: nothing is left.
    for len in [10_000, 1000, 100, 10, 1] {
        let mut number = 0;
        while ask(k, &format!("SET fill:{len}:{number} {}", "x".repeat(len))) == "+OK" {
            number += 1;
        }
    }
    assert!(ask(k, "SMOVE from to a").starts_with("-OOM"));
    check(k, &[("SISMEMBER from a", ":1"), ("SISMEMBER to a", ":0"), ("SMOVE from to z", ":0")]);
    assert!(ask(k, "SADD to d").starts_with("-OOM"));
    check(k, &[("SCARD to", ":1"), ("SREM to c", ":1"), ("EXISTS to", ":0")]);
}
