//! The rows about collections: hashes, lists, sets and sorted sets of `keys` elements of 16 bytes, `key:000000000000` and so on.
//!
//! A hash's values are the numbers in 16 digits, a sorted set's scores the numbers themselves. Collections are built by commands
//! of 100 elements, 32 in flight.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::load::Load;
use crate::rows::{AFTER, Row, row};

/// All of them, in the order in which they run.
pub(crate) const ROWS: &[Row] = &[
    row("hgetall", "HGETALL of {keys} fields", &["hset", "hgetall"], hgetall),
    row("smembers", "SMEMBERS of {keys} members", &["sadd", "smembers"], smembers),
    row("lrange", "LRANGE 0 -1 of {keys} elements", &["rpush", "lrange"], lrange),
    row("zrange", "ZRANGE 0 -1 of {keys} members", &["zadd", "zrange"], zrange),
    row("sunionstore", "SUNIONSTORE of two sets of {keys}", &["sadd", "sunionstore"], |load| {
        union(load, Kind::Set, &["SUNIONSTORE", "union", "big", "other"])
    }),
    row("zunionstore", "ZUNIONSTORE of two of {keys}", &["zadd", "zunionstore"], |load| {
        union(load, Kind::SortedSet, &["ZUNIONSTORE", "union", "2", "big", "other"])
    }),
    row("sort", "SORT ALPHA STORE of {keys} elements", &["rpush", "sort"], sort),
    row("lrem", "LREM of the first of {keys} from the end", &["rpush", "lrem"], lrem),
    row("build-hash", "building a hash of {keys} fields", &["hset"], |load| build(load, Kind::Hash)),
    row("build-list", "building a list of {keys} elements", &["rpush"], |load| build(load, Kind::List)),
    row("build-set", "building a set of {keys} members", &["sadd"], |load| build(load, Kind::Set)),
    row("build-zset", "building a sorted set of {keys}", &["zadd"], |load| build(load, Kind::SortedSet)),
    row("del-hash", "DEL of a hash of {keys} fields", &["hset"], |load| del(load, Kind::Hash)),
    row("del-list", "DEL of a list of {keys} elements", &["rpush"], |load| del(load, Kind::List)),
    row("del-set", "DEL of a set of {keys} members", &["sadd"], |load| del(load, Kind::Set)),
    row("del-zset", "DEL of a sorted set of {keys}", &["zadd"], |load| del(load, Kind::SortedSet)),
    row("expire-hash", "PEXPIRE of a hash of {keys}, which then expires", &["hset"], |load| expire(load, Kind::Hash)),
    row("expire-list", "PEXPIRE of a list of {keys}, which then expires", &["rpush"], |load| expire(load, Kind::List)),
    row("expire-set", "PEXPIRE of a set of {keys}, which then expires", &["sadd"], |load| expire(load, Kind::Set)),
    row("expire-zset", "PEXPIRE of a sorted set of {keys}, which then expires", &["zadd"], |load| {
        expire(load, Kind::SortedSet)
    }),
    row("set-hash", "SET over a hash of {keys} fields", &["hset"], |load| overwrite(load, Kind::Hash)),
    row("set-zset", "SET over a sorted set of {keys}", &["zadd"], |load| overwrite(load, Kind::SortedSet)),
    row("rename-hash", "RENAME of a hash of {keys} fields", &["hset"], |load| rename(load, Kind::Hash)),
    row("rename-zset", "RENAME of a sorted set of {keys}", &["zadd"], |load| rename(load, Kind::SortedSet)),
    row("copy-hash", "COPY of a hash of {keys} fields", &["hset"], |load| copy(load, Kind::Hash)),
    row("copy-list", "COPY of a list of {keys} elements", &["rpush"], |load| copy(load, Kind::List)),
    row("copy-set", "COPY of a set of {keys} members", &["sadd"], |load| copy(load, Kind::Set)),
    row("copy-zset", "COPY of a sorted set of {keys}", &["zadd"], |load| copy(load, Kind::SortedSet)),
];

/// A type of collection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hash,
    List,
    Set,
    SortedSet,
}

impl Kind {
    /// The command that adds elements, and the one that counts them.
    fn commands(self) -> (&'static str, &'static str) {
        match self {
            Kind::Hash => ("HSET", "HLEN"),
            Kind::List => ("RPUSH", "LLEN"),
            Kind::Set => ("SADD", "SCARD"),
            Kind::SortedSet => ("ZADD", "ZCARD"),
        }
    }

    /// Adds the words of an element to a request.
    fn push(self, number: u64, words: &mut String) {
        let mut bulk =
            |text: &str| write!(words, "${}\r\n{text}\r\n", text.len()).expect("a string takes what is written");
        if self == Kind::SortedSet {
            bulk(&number.to_string());
        }
        bulk(&format!("key:{number:012}"));
        if self == Kind::Hash {
            bulk(&format!("{number:016}"));
        }
    }

    /// Words of an element in a request.
    fn words(self) -> u64 {
        if matches!(self, Kind::Hash | Kind::SortedSet) { 2 } else { 1 }
    }
}

/// Elements of one command, and commands in flight.
const ELEMENTS: u64 = 100;
const IN_FLIGHT: u64 = 32;

/// Adds the elements of a range, of which none is there, to a key that holds those before them; `descending` for the last first.
fn fill(load: &mut Load, kind: Kind, key: &str, range: std::ops::Range<u64>, descending: bool) -> Result {
    let (command, _) = kind.commands();
    let mut from = range.start;
    while from < range.end {
        let (mut requests, mut expected) = (String::new(), Vec::new());
        for _ in 0..IN_FLIGHT {
            let to = range.end.min(from + ELEMENTS);
            if from == to {
                break;
            }
            let words = 2 + (to - from) * kind.words();
            write!(requests, "*{words}\r\n${}\r\n{command}\r\n${}\r\n{key}\r\n", command.len(), key.len())?;
            for number in from..to {
                kind.push(if descending { range.end - 1 - (number - range.start) } else { number }, &mut requests);
            }
            // RPUSH tells how long the list is, the others how many elements are new.
            expected.push(format!(":{}", if kind == Kind::List { to - range.start } else { to - from }));
            from = to;
        }
        load.wire.send(requests.as_bytes())?;
        expected.iter().try_for_each(|reply| load.wire.expect(reply))?;
    }
    Ok(())
}

/// A collection `big` of `keys` elements, outside of what is measured.
fn fill_big(load: &mut Load, kind: Kind) -> Result {
    fill(load, kind, "big", 0..load.scale.keys, false)?;
    thread::sleep(Duration::from_millis(50));
    Ok(())
}

/// A key must hold so many elements.
fn check_len(load: &mut Load, kind: Kind, key: &str, len: u64) -> Result {
    load.ask(&[kind.commands().1, key], &format!(":{len}"))
}

fn hgetall(load: &mut Load) -> Result {
    let keys = load.scale.keys;
    fill_big(load, Kind::Hash)?;
    while load.again() {
        load.measure(AFTER, |load| {
            load.wire.request(&["HGETALL", "big"])?;
            load.wire.expect(&format!("*{}", 2 * keys))?;
            load.expect_elements(keys, |load, number| {
                load.wire.expect("$16")?;
                load.wire.expect(&format!("{number:016}"))
            })
        })?;
    }
    Ok(())
}

fn smembers(load: &mut Load) -> Result {
    let keys = load.scale.keys;
    fill_big(load, Kind::Set)?;
    while load.again() {
        load.measure(AFTER, |load| {
            load.wire.request(&["SMEMBERS", "big"])?;
            load.expect_keys(keys)
        })?;
    }
    Ok(())
}

fn lrange(load: &mut Load) -> Result {
    fill_big(load, Kind::List)?;
    range(load, "LRANGE")
}

fn zrange(load: &mut Load) -> Result {
    fill_big(load, Kind::SortedSet)?;
    range(load, "ZRANGE")
}

fn range(load: &mut Load, command: &str) -> Result {
    let keys = load.scale.keys;
    while load.again() {
        load.measure(AFTER, |load| {
            load.wire.request(&[command, "big", "0", "-1"])?;
            load.wire.expect(&format!("*{keys}"))?;
            let mut next = 0;
            load.expect_elements(keys, |_, number| {
                if number != next {
                    return Err(format!("{command}: element {number} comes in place of {next}").into());
                }
                next += 1;
                Ok(())
            })
        })?;
    }
    Ok(())
}

/// Of two collections that have half of their elements in common.
fn union(load: &mut Load, kind: Kind, request: &[&str]) -> Result {
    let keys = load.scale.keys;
    fill_big(load, kind)?;
    fill(load, kind, "other", keys / 2..keys / 2 + keys, false)?;
    thread::sleep(AFTER);
    let len = keys / 2 + keys;
    while load.again() {
        load.measure(AFTER, |load| load.ask(request, &format!(":{len}")))?;
        check_len(load, kind, "union", len)?;
        load.ask(&["DEL", "union"], ":1")?;
        thread::sleep(AFTER);
    }
    Ok(())
}

fn sort(load: &mut Load) -> Result {
    let keys = load.scale.keys;
    fill(load, Kind::List, "big", 0..keys, true)?;
    thread::sleep(AFTER);
    while load.again() {
        load.measure(AFTER, |load| load.ask(&["SORT", "big", "ALPHA", "STORE", "sorted"], &format!(":{keys}")))?;
        for number in [0, keys / 3, keys - 1] {
            load.ask(&["LINDEX", "sorted", &number.to_string()], "$16")?;
            load.wire.expect(&format!("key:{number:012}"))?;
        }
        load.ask(&["DEL", "sorted"], ":1")?;
        thread::sleep(AFTER);
    }
    Ok(())
}

fn lrem(load: &mut Load) -> Result {
    let (keys, first) = (load.scale.keys, format!("key:{:012}", 0));
    fill_big(load, Kind::List)?;
    while load.again() {
        load.measure(AFTER, |load| load.ask(&["LREM", "big", "-1", &first], ":1"))?;
        load.ask(&["LPUSH", "big", &first], &format!(":{keys}"))?;
    }
    Ok(())
}

fn build(load: &mut Load, kind: Kind) -> Result {
    let keys = load.scale.keys;
    while load.again() {
        load.measure(Duration::ZERO, |load| fill(load, kind, "big", 0..keys, false))?;
        check_len(load, kind, "big", keys)?;
        load.ask(&["DEL", "big"], ":1")?;
        thread::sleep(AFTER);
    }
    Ok(())
}

fn del(load: &mut Load, kind: Kind) -> Result {
    while load.again() {
        fill_big(load, kind)?;
        load.measure(AFTER, |load| load.ask(&["DEL", "big"], ":1"))?;
    }
    Ok(())
}

fn expire(load: &mut Load, kind: Kind) -> Result {
    while load.again() {
        fill_big(load, kind)?;
        load.measure(AFTER, |load| {
            load.ask(&["PEXPIRE", "big", "50"], ":1")?;
            // It is the server that must find it: nobody asks for the key meanwhile.
            thread::sleep(Duration::from_millis(300));
            load.ask(&["EXISTS", "big"], ":0")
        })?;
    }
    Ok(())
}

fn overwrite(load: &mut Load, kind: Kind) -> Result {
    while load.again() {
        fill_big(load, kind)?;
        load.measure(AFTER, |load| load.ask(&["SET", "big", "small"], "+OK"))?;
        load.ask(&["DEL", "big"], ":1")?;
    }
    Ok(())
}

fn rename(load: &mut Load, kind: Kind) -> Result {
    let keys = load.scale.keys;
    fill_big(load, kind)?;
    load.measure_repeated(|load| {
        for [from, to] in [["big", "other"], ["other", "big"]] {
            load.ask(&["RENAME", from, to], "+OK")?;
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    })?;
    check_len(load, kind, "big", keys)
}

fn copy(load: &mut Load, kind: Kind) -> Result {
    let keys = load.scale.keys;
    fill_big(load, kind)?;
    while load.again() {
        load.measure(AFTER, |load| load.ask(&["COPY", "big", "other"], ":1"))?;
        check_len(load, kind, "other", keys)?;
        load.ask(&["DEL", "other"], ":1")?;
        thread::sleep(AFTER);
    }
    check_len(load, kind, "big", keys)
}
