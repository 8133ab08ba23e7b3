//! Commands that wait for a sorted set: BZPOPMIN, BZPOPMAX, BZMPOP. How they wait stands in [`blocking`](crate::commands::list::blocking).

use super::long::{Edit, Shape};
use super::pop::{MultiPop, pop_many_with_key};
use crate::commands::generic::first::take_from_first;
use crate::commands::list::blocking::{COUNTED_KEYS, KEYS_BEFORE_TIMEOUT, timeout_us, wait};
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, Large, Outcome, Run};
use crate::keyspace::{Db, Event, ValueType};
use crate::proto::{Args, CommandError, Reply};
use crate::types::zset::Direction;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&BZPOPMIN, &BZPOPMAX, &BZMPOP];

const BZPOPMIN: CommandSpec = CommandSpec {
    name: "bzpopmin",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::Fast, Flag::Blocking],
    keys: KEYS_BEFORE_TIMEOUT,
    large: Large::None,
    run: Run::Keys(|db, args, reply| pop_one(db, args, Direction::Forward, reply)),
    doc: Doc {
        summary: "Takes the member with the lowest score of the first sorted set that is there; waits for one if none is.",
        since: "5.0.0",
        complexity: "O(K + log N) for K keys; in slices beyond 1,024.",
        syntax: "key [key ...] timeout:double",
        ..Doc::of(Group::SortedSet)
    },
};

const BZPOPMAX: CommandSpec = CommandSpec {
    name: "bzpopmax",
    run: Run::Keys(|db, args, reply| pop_one(db, args, Direction::Backward, reply)),
    doc: Doc {
        summary: "Takes the member with the highest score of the first sorted set that is there; waits for one if none is.",
        ..BZPOPMIN.doc
    },
    ..BZPOPMIN
};

fn pop_one(db: &mut Db<'_>, args: &Args<'_>, direction: Direction, reply: &mut Reply) -> Outcome {
    let keys = 1..args.len() - 1;
    let timeout_us = timeout_us(args.at(keys.end), db.now())?;
    let wait = wait(keys.clone(), ValueType::SortedSet, timeout_us);
    take_from_first((db, args, reply), keys, direction, pop_with_key, Some(wait))
}

/// Takes the member at an end of the sorted set at the key that is argument `at` and replies with the key and it; `None`, and no reply, if
/// there is none.
fn pop_with_key(
    &direction: &Direction,
    db: &mut Db<'_>,
    args: &Args<'_>,
    at: usize,
    reply: &mut Reply,
) -> Result<Option<Flow>, CommandError> {
    let key = args.at(at);
    let found = db.find(key);
    let Some(mut edit) = Edit::begin(db, &found)? else { return Ok(None) };
    let mut told = Reply::speaking(reply.protocol);
    let rank = edit.read(db, &found, |set| {
        let rank = if direction == Direction::Forward { 0 } else { set.len() - 1 };
        set.visit(rank..rank + 1, direction, |member, score| {
            Shape::Flat.member(member, score, &mut told);
            true
        });
        rank
    });
    edit.remove_ranks(db, &found, rank..rank + 1);
    let event = if direction == Direction::Forward { Event::ZpopMin } else { Event::ZpopMax };
    edit.end(db, key, found, event)?;
    reply.array(3);
    reply.bulk(key);
    reply.append(told);
    Ok(Some(Flow::Done))
}

const BZMPOP: CommandSpec = CommandSpec {
    name: "bzmpop",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Write, Flag::Blocking, Flag::MovableKeys],
    keys: COUNTED_KEYS,
    large: Large::None,
    run: Run::Keys(bzmpop),
    doc: Doc {
        summary: "Takes members from an end of the first sorted set that is there; waits for one if none is.",
        since: "7.0.0",
        complexity: "O(K + M log N) for K keys and M members taken; in slices beyond 1,024 keys or 128 members.",
        syntax: "timeout:double numkeys:integer key [key ...] <MIN | MAX> [COUNT count]",
        ..Doc::of(Group::SortedSet)
    },
};

fn bzmpop(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let asked = MultiPop::parse(args, 2)?;
    let timeout_us = timeout_us(args.at(1), db.now())?;
    let wait = wait(asked.keys.clone(), ValueType::SortedSet, timeout_us);
    take_from_first((db, args, reply), asked.keys.clone(), asked, pop_many_with_key, Some(wait))
}
