//! Commands that wait for a list: BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP; and what those that wait for a sorted set share with them.
//!
//! Each does what its sister that does not wait does (LPOP, LMOVE, LMPOP), if there is something to be done; else it
//! [parks](Flow::Park), and is run again, from the start, when one of its keys holds a list. So it never waits on a key of
//! another type: that is an error at the first run, and no reason for another.

use std::ops::Range;

use super::form::{end_argument, move_element};
use super::moving::{KEYS_MOVE, ManyPop, pop_many_with_key, pop_with_key};
use crate::commands::generic::first::take_from_first;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::Wait;
use crate::keyspace::{Db, Millis, ValueType};
use crate::proto::{Args, CommandError, Reply};
use crate::text::double::parse_f64;
use crate::text::long_double::LongDouble;
use crate::types::list::End;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&BLPOP, &BRPOP, &BLMOVE, &BRPOPLPUSH, &BLMPOP];

/// Keys up to the last argument but one, from which something is taken.
pub(in crate::commands) const KEYS_BEFORE_TIMEOUT: &[KeySpec] =
    &[KeySpec { last: -2, ..KeySpec::to_end(1, 1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete]) }];
/// Keys whose number is argument 2.
pub(in crate::commands) const COUNTED_KEYS: &[KeySpec] =
    &[KeySpec::counted(3, 1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete])];

const BLPOP: CommandSpec = CommandSpec {
    name: "blpop",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::Blocking],
    keys: KEYS_BEFORE_TIMEOUT,
    large: Large::None,
    run: Run::Keys(|db, args, reply| pop(db, args, End::Head, reply)),
    doc: Doc {
        summary: "Takes an element off the head of the first list that has one; waits for one if none has.",
        since: "2.0.0",
        complexity: "O(N) in the number of keys; in slices beyond 1,024.",
        syntax: "key [key ...] timeout:double",
        ..Doc::of(Group::List)
    },
};

const BRPOP: CommandSpec = CommandSpec {
    name: "brpop",
    run: Run::Keys(|db, args, reply| pop(db, args, End::Tail, reply)),
    doc: Doc {
        summary: "Takes an element off the tail of the first list that has one; waits for one if none has.",
        ..BLPOP.doc
    },
    ..BLPOP
};

fn pop(db: &mut Db<'_>, args: &Args<'_>, end: End, reply: &mut Reply) -> Outcome {
    let keys = 1..args.len() - 1;
    let timeout_us = timeout_us(args.at(keys.end), db.now())?;
    let wait = wait(keys.clone(), ValueType::List, timeout_us);
    take_from_first((db, args, reply), keys, end, pop_with_key, Some(wait))
}

const BLMOVE: CommandSpec = CommandSpec {
    name: "blmove",
    arity: Arity::Exactly(6),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Blocking],
    keys: KEYS_MOVE,
    large: Large::None,
    run: Run::Keys(blmove),
    doc: Doc {
        summary: "Moves an element from an end of one list to an end of another; waits for one if there is none.",
        since: "6.2.0",
        complexity: "O(1)",
        syntax: "source:key destination:key <LEFT | RIGHT> <LEFT | RIGHT> timeout:double",
        ..Doc::of(Group::List)
    },
};

fn blmove(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (from, to) = (end_argument(args.at(3))?, end_argument(args.at(4))?);
    move_or_park(db, args, (from, to), reply)
}

const BRPOPLPUSH: CommandSpec = CommandSpec {
    name: "brpoplpush",
    arity: Arity::Exactly(4),
    run: Run::Keys(|db, args, reply| move_or_park(db, args, (End::Tail, End::Head), reply)),
    doc: Doc {
        summary: "Moves an element from the tail of one list to the head of another; waits for one if there is none.",
        since: "2.2.0",
        syntax: "source:key destination:key timeout:double",
        deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
        ..BLMOVE.doc
    },
    ..BLMOVE
};

fn move_or_park(db: &mut Db<'_>, args: &Args<'_>, (from, to): (End, End), reply: &mut Reply) -> Outcome {
    let timeout_us = timeout_us(args.at(args.len() - 1), db.now())?;
    Ok(match move_element(db, (args.at(1), from), (args.at(2), to), reply)? {
        Some(()) => Flow::Done,
        None => Flow::Park(wait(1..2, ValueType::List, timeout_us)),
    })
}

const BLMPOP: CommandSpec = CommandSpec {
    name: "blmpop",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Write, Flag::Blocking, Flag::MovableKeys],
    keys: COUNTED_KEYS,
    large: Large::None,
    run: Run::Keys(blmpop),
    doc: Doc {
        summary: "Takes elements off an end of the first list that has some; waits for one if none has.",
        since: "7.0.0",
        complexity: "O(N+M) in the number of keys and the elements returned; in slices beyond 1,024 keys.",
        syntax: "timeout:double numkeys:integer key [key ...] <LEFT | RIGHT> [COUNT count]",
        ..Doc::of(Group::List)
    },
};

fn blmpop(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let asked = ManyPop::parse(args, 2)?;
    let timeout_us = timeout_us(args.at(1), db.now())?;
    let wait = wait(asked.keys.clone(), ValueType::List, timeout_us);
    take_from_first((db, args, reply), asked.keys.clone(), asked, pop_many_with_key, Some(wait))
}

/// What a command waits for that has found nothing.
pub(in crate::commands) fn wait(keys: Range<usize>, value_type: ValueType, timeout_us: Option<u64>) -> Wait {
    Wait { keys, value_type, timeout_us }
}

/// An argument in seconds, which may have a fraction, in microseconds; `None` for 0, which is for ever. As in Redis it counts in
/// milliseconds, rounded up.
pub(in crate::commands) fn timeout_us(arg: &[u8], now: Millis) -> Result<Option<u64>, CommandError> {
    const OUT_OF_RANGE: CommandError = CommandError::text_static("ERR timeout is out of range");
    let seconds = match parse_f64(arg) {
        Some(seconds) => seconds,
        // Redis reads an 80-bit float: more than a double holds is a number.
        None if LongDouble::parse(arg).is_some_and(LongDouble::is_finite) => match arg.first() {
            Some(b'-') => f64::NEG_INFINITY,
            _ => f64::INFINITY,
        },
        None => return Err(CommandError::text_static("ERR timeout is not a float or out of range")),
    };
    let millis = (seconds * 1000.0).ceil();
    if millis > i64::MAX as f64 {
        return Err(OUT_OF_RANGE);
    }
    // What is less than any integer becomes the least.
    match millis as i64 {
        ..0 => Err(CommandError::text_static("ERR timeout is negative")),
        0 => Ok(None),
        millis if now.0.checked_add(millis).is_none() => Err(OUT_OF_RANGE),
        millis => Ok(Some((millis as u64).saturating_mul(1000))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_counts_in_milliseconds_rounded_up() {
        let us = |text: &str| {
            timeout_us(text.as_bytes(), Millis(1_700_000_000_000)).map_err(|error| error.text().into_owned())
        };
        for (text, expected) in [
            ("0", None),
            ("-0.0001", None),
            ("0.0001", Some(1_000)),
            ("0.001", Some(1_000)),
            ("0.0011", Some(2_000)),
            ("1.5", Some(1_500_000)),
            ("0x10", Some(16_000_000)),
            ("1e3", Some(1_000_000_000)),
        ] {
            assert_eq!(us(text), Ok(expected), "{text}");
        }
        for (text, error) in [
            ("-0.001", "ERR timeout is negative"),
            ("-inf", "ERR timeout is negative"),
            ("inf", "ERR timeout is out of range"),
            ("1e400", "ERR timeout is out of range"),
            ("-1e400", "ERR timeout is negative"),
            ("9223372036854775.5", "ERR timeout is out of range"),
            ("9223372036854775807", "ERR timeout is out of range"),
            ("nan", "ERR timeout is not a float or out of range"),
            ("", "ERR timeout is not a float or out of range"),
            (" 1", "ERR timeout is not a float or out of range"),
        ] {
            assert_eq!(us(text), Err(error.as_bytes().to_vec()), "{text}");
        }
    }
}
