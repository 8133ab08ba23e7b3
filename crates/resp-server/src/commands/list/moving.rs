//! Lists: from one to another, and from the first of several that is not empty.
//!
//! The commands that wait for a list do what these do, once one is there: [`pop_with_key`], [`move_element`] and [`pop_many_with_key`].

use std::ops::Range;

use super::form::{end_argument, move_element, note_pop, pop_some, view};
use super::pop_counted;
use crate::commands::arguments::integer;
use crate::commands::generic::first::take_from_first;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::Db;
use crate::proto::{Args, CommandError, Reply};
use crate::types::list::End;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&LMOVE, &RPOPLPUSH, &LMPOP];

/// Source and target.
pub(super) const KEYS_MOVE: &[KeySpec] = &[
    KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete]),
    KeySpec::one(2, &[KeyFlag::Rw, KeyFlag::Insert]),
];

const LMOVE: CommandSpec = CommandSpec {
    name: "lmove",
    arity: Arity::Exactly(5),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KEYS_MOVE,
    large: Large::None,
    run: Run::Keys(lmove),
    doc: Doc {
        summary: "Takes the element at an end of a list and puts it at an end of another, or of the same.",
        since: "6.2.0",
        syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
        ..Doc::of(Group::List)
    },
};

fn lmove(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (from, to) = (end_argument(args.at(3))?, end_argument(args.at(4))?);
    move_or_null(db, (args.at(1), from), (args.at(2), to), reply)
}

const RPOPLPUSH: CommandSpec = CommandSpec {
    name: "rpoplpush",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KEYS_MOVE,
    large: Large::None,
    run: Run::Keys(rpoplpush),
    doc: Doc {
        summary: "Takes the element at the tail of a list and puts it at the head of another, or of the same.",
        since: "1.2.0",
        syntax: "source destination",
        deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
        ..Doc::of(Group::List)
    },
};

fn rpoplpush(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    move_or_null(db, (args.at(1), End::Tail), (args.at(2), End::Head), reply)
}

fn move_or_null(db: &mut Db<'_>, source: (&[u8], End), target: (&[u8], End), reply: &mut Reply) -> Outcome {
    if move_element(db, source, target, reply)?.is_none() {
        reply.null();
    }
    Ok(Flow::Done)
}

const LMPOP: CommandSpec = CommandSpec {
    name: "lmpop",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::MovableKeys],
    keys: &[KeySpec::counted(2, 1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete])],
    large: Large::None,
    run: Run::Keys(lmpop),
    doc: Doc {
        summary: "Takes elements off the first of several lists that is not empty. The key goes with the last one.",
        since: "7.0.0",
        complexity: "O(N+M) in the keys given and the elements returned; in slices beyond 1,024 keys.",
        syntax: "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        ..Doc::of(Group::List)
    },
};

fn lmpop(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let request = ManyPop::parse(args, 1)?;
    take_from_first((db, args, reply), request.keys.clone(), request, pop_many_with_key, None)
}

/// What LMPOP and BLMPOP are asked for.
#[derive(Clone, Debug)]
pub(super) struct ManyPop {
    /// The arguments that are keys.
    pub(super) keys: Range<usize>,
    /// Where elements are taken.
    pub(super) end: End,
    /// Elements to take at most.
    pub(super) count: u64,
}

impl ManyPop {
    /// Reads `numkeys key [key ...] <LEFT | RIGHT> [COUNT count]` from argument `numkeys` on.
    pub(super) fn parse(args: &Args<'_>, numkeys: usize) -> Result<ManyPop, CommandError> {
        let positive = |arg: &[u8], error| {
            let value = integer(arg).ok().and_then(|value| u64::try_from(value).ok());
            value.filter(|&value| value > 0).ok_or(CommandError::text_static(error))
        };
        let keys = positive(args.at(numkeys), "ERR numkeys should be greater than 0")?;
        let first_key = numkeys + 1;
        let end_at = usize::try_from(keys).ok().and_then(|keys| first_key.checked_add(keys));
        let end_at = end_at.filter(|&at| at < args.len()).ok_or(CommandError::Syntax)?;
        let end = end_argument(args.at(end_at))?;
        let mut count = None;
        let mut at = end_at + 1;
        while at < args.len() {
            match args.get(at + 1) {
                Some(value) if count.is_none() && args.is(at, "COUNT") => {
                    count = Some(positive(value, "ERR count should be greater than 0")?);
                }
                _ => return Err(CommandError::Syntax),
            }
            at += 2;
        }
        Ok(ManyPop { keys: first_key..end_at, end, count: count.unwrap_or(1) })
    }
}

/// Takes elements off an end of the list at the key that is argument `at` and replies with the key and an array of them, as LMPOP does;
/// `None`, and no reply, if there is no list.
///
/// # Errors
/// When the key is of another type.
pub(super) fn pop_many_with_key(
    asked: &ManyPop,
    db: &mut Db<'_>,
    args: &Args<'_>,
    at: usize,
    reply: &mut Reply,
) -> Result<Option<Flow>, CommandError> {
    let key = args.at(at);
    let found = db.find(key);
    let Some(list) = view(db, &found)? else {
        return Ok(None);
    };
    let count = asked.count.min(list.len());
    let mut elements = Reply::new();
    elements.protocol = reply.protocol;
    let flow = pop_counted(db, key, asked.end, count, &mut elements)?;
    reply.array(2);
    reply.bulk(key);
    reply.append(elements);
    Ok(Some(flow))
}

/// Takes the element at an end of the list at the key that is argument `at` and replies with the key and it, as BLPOP and BRPOP do; `None`,
/// and no reply, if there is no list.
///
/// # Errors
/// When the key is of another type.
pub(super) fn pop_with_key(
    &end: &End,
    db: &mut Db<'_>,
    args: &Args<'_>,
    at: usize,
    reply: &mut Reply,
) -> Result<Option<Flow>, CommandError> {
    let key = args.at(at);
    let found = db.find(key);
    if view(db, &found)?.is_none() {
        return Ok(None);
    }
    let mut element = Reply::new();
    let popped = pop_some(db, found, end, 1, &mut element)?;
    note_pop(db, key, end, popped.emptied);
    reply.array(2);
    reply.bulk(key);
    reply.append(element);
    Ok(Some(Flow::Done))
}
