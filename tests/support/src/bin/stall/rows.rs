//! The rows: what the loading client does while the prober measures.
//!
//! A row prepares, measures, and checks what it has done. Every reply is checked in full.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::collections;
use crate::content::Content;
use crate::load::Load;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// For people. `{size}`, `{keys}` and `{keys*5}` stand for what was asked for.
    pub(crate) title: &'static str,
    /// What the server must know, in the words of `COMMAND INFO`.
    pub(crate) commands: &'static [&'static str],
    /// Whether the prober's keys may go.
    pub(crate) flushes: bool,
    pub(crate) run: fn(&mut Load) -> Result,
}

pub(crate) const fn row(
    name: &'static str,
    title: &'static str,
    commands: &'static [&'static str],
    run: fn(&mut Load) -> Result,
) -> Row {
    Row { name, title, commands, flushes: false, run }
}

/// All rows, in the order in which they run: those about strings and keys, then those about collections.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(collections::ROWS)
}

/// Those about strings and keys.
const ROWS: &[Row] = &[
    row("quiet", "nothing", &[], quiet),
    row("set", "SET of {size}", &["set"], set),
    row("overwrite", "SET over {size}", &["set"], overwrite),
    row("get", "GET of {size}", &["get"], get),
    row("getrange", "GETRANGE of half of {size}", &["getrange"], getrange),
    row("del", "DEL of {size}", &["del"], del),
    row("append", "APPEND of 16 KiB up to {size}", &["append"], append),
    row("setrange", "SETRANGE of 4 KiB at random in {size}", &["setrange"], setrange),
    row("setbit", "SETBIT at random in {size}", &["setbit"], setbit),
    row("rename", "RENAME of {size}", &["rename"], rename),
    row("copy", "COPY of {size}", &["copy"], copy),
    row("expire", "PEXPIRE of {size}, which then expires", &["pexpire"], expire),
    row("mix", "SET, GET of 1 KB to 200 KB, sizes changing", &["set"], mix),
    row("mset", "MSET, MGET of 64 x 1 MiB", &["mset", "mget"], mset),
    row("keys", "KEYS over {keys} keys", &["keys"], keys),
    Row { flushes: true, ..row("flushall", "FLUSHALL of {keys} keys", &["flushall"], flushall) },
    row("pipeline", "a pipeline of {keys} SETs", &["set"], pipeline),
    Row { flushes: true, ..row("growth", "growth from 0 to {keys*5} keys, 32 SETs at a time", &["set"], growth) },
    row("slow-reader", "a slow reader of {size}", &["get"], slow_reader),
];

/// How long after a command its consequences are looked for.
pub(crate) const AFTER: Duration = Duration::from_millis(200);
const KIB: u64 = 1024;

fn quiet(load: &mut Load) -> Result {
    let measured = load.scale.measured;
    load.measure(measured, |_| Ok(()))
}

fn set(load: &mut Load) -> Result {
    let size = load.scale.size;
    while load.again() {
        let content = load.new_content();
        load.measure(AFTER, |load| load.set("big", content, size))?;
        load.get("big", content, size)?;
        load.ask(&["DEL", "big"], ":1")?;
        thread::sleep(AFTER);
    }
    Ok(())
}

fn overwrite(load: &mut Load) -> Result {
    let size = load.scale.size;
    let mut content = load.set_big()?;
    while load.again() {
        content = load.new_content();
        load.measure(AFTER, |load| load.set("big", content, size))?;
    }
    load.get("big", content, size)
}

fn get(load: &mut Load) -> Result {
    let size = load.scale.size;
    let content = load.set_big()?;
    while load.again() {
        load.measure(AFTER, |load| load.get("big", content, size))?;
    }
    Ok(())
}

fn getrange(load: &mut Load) -> Result {
    let half = load.scale.size / 2;
    let content = load.set_big()?;
    while load.again() {
        let from = load.random.below(half);
        let (first, last) = (from.to_string(), (from + half - 1).to_string());
        load.measure(AFTER, |load| {
            load.wire.request(&["GETRANGE", "big", &first, &last])?;
            load.wire.expect_bulk(content, from, half)
        })?;
    }
    Ok(())
}

fn del(load: &mut Load) -> Result {
    while load.again() {
        load.set_big()?;
        load.measure(AFTER, |load| load.ask(&["DEL", "big"], ":1"))?;
    }
    Ok(())
}

fn append(load: &mut Load) -> Result {
    let size = load.scale.size;
    let piece = (16 * KIB).min(size);
    let room = size / 4 / piece * piece;
    while load.again() {
        let content = load.new_content();
        load.set("big", content, size - room)?;
        let mut len = size - room;
        load.measure(Duration::ZERO, |load| {
            let begun = Instant::now();
            // A server that copies the value each time would take hours to get to the end.
            while len < size && begun.elapsed() < load.scale.measured {
                load.wire.send(b"*3\r\n$6\r\nAPPEND\r\n$3\r\nbig\r\n")?;
                load.wire.send_bulk(content, len, piece)?;
                len += piece;
                load.wire.expect(&format!(":{len}"))?;
            }
            Ok(())
        })?;
        load.get("big", content, len)?;
    }
    Ok(())
}

fn setrange(load: &mut Load) -> Result {
    let size = load.scale.size;
    let piece = (4 * KIB).min(size);
    let (old, new) = (load.set_big()?, load.new_content());
    let mut written = vec![false; usize::try_from(size / piece)?];
    load.measure_repeated(|load| {
        let place = load.random.below(size / piece);
        written[usize::try_from(place)?] = true;
        let at = place * piece;
        let digits = at.to_string();
        load.wire.send(format!("*4\r\n$8\r\nSETRANGE\r\n$3\r\nbig\r\n${}\r\n{digits}\r\n", digits.len()).as_bytes())?;
        load.wire.send_bulk(new, at, piece)?;
        load.wire.expect(&format!(":{size}"))
    })?;
    load.wire.request(&["GET", "big"])?;
    load.wire.expect_parts(size, |mut at, mut bytes| {
        while !bytes.is_empty() {
            let until_next = (piece - at % piece).min(bytes.len() as u64);
            let (part, rest) = bytes.split_at(usize::try_from(until_next)?);
            let is_new = written.get(usize::try_from(at / piece)?).copied().unwrap_or(false);
            if is_new { new } else { old }.check(at, part)?;
            (at, bytes) = (at + until_next, rest);
        }
        Ok(())
    })
}

fn setbit(load: &mut Load) -> Result {
    let bits = load.scale.size * 8;
    let content = load.set_big()?;
    let mut changed: HashMap<u64, bool> = HashMap::new();
    load.measure_repeated(|load| {
        // Often enough the same bit again, so that what SETBIT wrote is seen too.
        let at = if load.random.below(4) == 0 { load.random.below(64) } else { load.random.below(bits) };
        let bit = load.random.below(2) == 1;
        let old = changed.insert(at, bit).unwrap_or_else(|| content.bit(at));
        load.ask(&["SETBIT", "big", &at.to_string(), if bit { "1" } else { "0" }], if old { ":1" } else { ":0" })
    })
}

/// RENAME and COPY that cost nothing are not repeated faster than this: it is their length that is looked at, not their number.
const PACE: Duration = Duration::from_millis(2);

fn rename(load: &mut Load) -> Result {
    let size = load.scale.size;
    let content = load.set_big()?;
    load.measure_repeated(|load| {
        load.ask(&["RENAME", "big", "other"], "+OK")?;
        thread::sleep(PACE);
        load.ask(&["RENAME", "other", "big"], "+OK")?;
        thread::sleep(PACE);
        Ok(())
    })?;
    load.get("big", content, size)
}

fn copy(load: &mut Load) -> Result {
    let size = load.scale.size;
    let content = load.set_big()?;
    while load.again() {
        load.measure(AFTER, |load| load.ask(&["COPY", "big", "other"], ":1"))?;
        if load.repeats() == 1 {
            load.get("other", content, size)?;
        }
        load.ask(&["DEL", "other"], ":1")?;
        thread::sleep(AFTER);
    }
    load.get("big", content, size)
}

fn expire(load: &mut Load) -> Result {
    while load.again() {
        load.set_big()?;
        load.measure(AFTER, |load| {
            load.ask(&["PEXPIRE", "big", "50"], ":1")?;
            // It is the server that must find it: nobody asks for the key meanwhile.
            thread::sleep(Duration::from_millis(300));
            load.ask(&["EXISTS", "big"], ":0")
        })?;
    }
    Ok(())
}

fn mix(load: &mut Load) -> Result {
    const NAMES: u64 = 1000;
    let mut values: HashMap<u64, (Content, u64)> = HashMap::new();
    load.measure_repeated(|load| {
        let name = load.random.below(NAMES);
        match values.get(&name) {
            Some(&(content, len)) if load.random.below(3) == 0 => load.get(&format!("mix:{name}"), content, len),
            _ => {
                let (content, len) = (load.new_content(), 1000 + load.random.below(199_001));
                values.insert(name, (content, len));
                load.set(&format!("mix:{name}"), content, len)
            }
        }
    })
}

fn mset(load: &mut Load) -> Result {
    const NAMES: u64 = 64;
    let len = (1024 * KIB).min(load.scale.size);
    while load.again() {
        let content = load.new_content();
        load.measure(AFTER, |load| {
            load.wire.send(format!("*{}\r\n$4\r\nMSET\r\n", 1 + 2 * NAMES).as_bytes())?;
            for name in 0..NAMES {
                load.wire.send(format!("$6\r\nmset{name:02}\r\n").as_bytes())?;
                load.wire.send_bulk(content, name * len, len)?;
            }
            load.wire.expect("+OK")?;
            load.wire.send(format!("*{}\r\n$4\r\nMGET\r\n", 1 + NAMES).as_bytes())?;
            for name in 0..NAMES {
                load.wire.send(format!("$6\r\nmset{name:02}\r\n").as_bytes())?;
            }
            load.wire.expect(&format!("*{NAMES}"))?;
            (0..NAMES).try_for_each(|name| load.wire.expect_bulk(content, name * len, len))
        })?;
    }
    Ok(())
}

fn keys(load: &mut Load) -> Result {
    let keys = load.scale.keys;
    load.pipeline(0..keys)?;
    thread::sleep(AFTER);
    while load.again() {
        load.measure(AFTER, |load| {
            load.wire.request(&["KEYS", "key:*"])?;
            load.expect_keys(keys)
        })?;
    }
    Ok(())
}

fn flushall(load: &mut Load) -> Result {
    let keys = load.scale.keys;
    while load.again() {
        load.pipeline(0..keys)?;
        thread::sleep(AFTER);
        load.measure(Duration::from_secs(1), |load| load.ask(&["FLUSHALL"], "+OK"))?;
        load.ask(&["EXISTS", "key:000000000000"], ":0")?;
    }
    Ok(())
}

fn pipeline(load: &mut Load) -> Result {
    let keys = load.scale.keys;
    while load.again() {
        load.measure(Duration::ZERO, |load| load.pipeline(0..keys))?;
    }
    check_keys(load, keys)
}

fn growth(load: &mut Load) -> Result {
    let keys = load.scale.keys * 5;
    load.measure(AFTER, |load| load.set_in_batches(0..keys, 32))?;
    check_keys(load, keys)
}

/// Looks at some of the keys that a row has set.
fn check_keys(load: &mut Load, keys: u64) -> Result {
    for _ in 0..1000.min(keys) {
        let key = load.random.below(keys);
        load.ask(&["GET", &format!("key:{key:012}")], "$16")?;
        load.wire.expect(&format!("{key:016}"))?;
    }
    Ok(())
}

fn slow_reader(load: &mut Load) -> Result {
    let (size, measured) = (load.scale.size, load.scale.measured);
    let content = load.set_big()?;
    let mut reader = load.other_wire()?;
    load.measure(AFTER, |_| {
        reader.request(&["GET", "big"])?;
        reader.expect(&format!("${size}"))?;
        let begun = Instant::now();
        let mut place = 0;
        // 64 KiB every 5 ms until the time is over, then the rest as fast as it comes, which counts too.
        while place < size {
            if begun.elapsed() < measured {
                thread::sleep(Duration::from_millis(5));
            }
            let most = usize::try_from(size - place)?.min(64 * 1024);
            let bytes = reader.some(most)?;
            content.check(place, bytes)?;
            place += bytes.len() as u64;
        }
        reader.expect("")
    })
}
