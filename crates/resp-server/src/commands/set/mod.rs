//! Sets of strings.
//!
//! A packed set is written anew with each change, a large one is changed where it is. What goes through more than a slice of
//! members is in `long`; what combines sets in [`algebra`].

pub mod algebra;
pub(super) mod long;

use super::arguments::integer;
use super::generic::walk::Pattern;
use super::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::{Db, Event, Found, Keyspace, ValueType, View, put_error};
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_u64_loose;
use crate::types::Collection;
use crate::types::name::GivenName;
use crate::types::set::{Edit, Encoding, Growing, Packed, Source};
use long::{Adding, Picking, Popping, Removing, Scanning, Telling};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] =
    &[&SADD, &SREM, &SMOVE, &SISMEMBER, &SMISMEMBER, &SCARD, &SMEMBERS, &SSCAN, &SPOP, &SRANDMEMBER];

const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro])];
const KEY_ACCESS: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];

/// The set that was found, to be read; `None` if nothing was.
pub(super) fn source<'a>(db: &'a Db<'_>, found: &Found<'_>) -> Result<Option<Source<'a>>, CommandError> {
    Ok(db.collection(found, ValueType::Set)?.map(|view| match view {
        View::Packed(bytes) => Source::Packed(bytes),
        View::Large(collection) => Source::Large(collection.set().view()),
    }))
}

/// Sets the key that was found to a set that has a member; its expiry stays.
pub(super) fn put(db: &mut Db<'_>, found: Found<'_>, set: Growing) -> Result<(), CommandError> {
    match set {
        Growing::Packed(edit) => db.put_packed(found, ValueType::Set, edit.bytes()),
        Growing::Large(set) => db.put_large(found, ValueType::Set, Box::new(Collection::Set(set))),
    }
}

/// Puts what is left of a packed set, or removes its key if that is nothing; whether it did.
pub(super) fn put_rest(db: &mut Db<'_>, found: Found<'_>, rest: &Edit) -> Result<bool, CommandError> {
    if rest.is_empty() {
        return Ok(db.remove(found));
    }
    db.put_packed(found, ValueType::Set, rest.bytes())?;
    Ok(false)
}

/// Notes that members were taken from a set, and its key with the last.
pub(super) fn note_removal(db: &mut Db<'_>, key: &[u8], event: Event, emptied: bool) {
    db.changed(key, event);
    if emptied {
        db.also(key, Event::Del);
    }
}

const SADD: CommandSpec = CommandSpec {
    name: "sadd",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Insert])],
    large: Large::NamesFrom(2),
    run: Run::Keys(sadd),
    doc: Doc {
        summary: "Adds members to a set, which is made if need be.",
        since: "1.0.0",
        complexity: "O(N) in the members given; in slices beyond 1,000.",
        syntax: "key member [member ...]",
        ..Doc::of(Group::Set)
    },
};

fn sadd(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.find(args.at(1));
    let adding = match source(db, &found)? {
        // Nothing would change: no need to copy it.
        Some(set @ Source::Packed(_)) if args.len() == 3 && set.contains(db.store(), args.name(2)) => {
            reply.integer(0);
            return Ok(Flow::Done);
        }
        set => Adding::new(db.limits(), set, args),
    };
    long::run(db, found, args, reply, adding)
}

const SREM: CommandSpec = CommandSpec {
    name: "srem",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Delete])],
    large: Large::NamesFrom(2),
    run: Run::Keys(srem),
    doc: Doc {
        summary: "Removes members from a set, and the key with the last.",
        since: "1.0.0",
        complexity: "O(N) in the members given; in slices beyond 1,000.",
        syntax: "key member [member ...]",
        ..Doc::of(Group::Set)
    },
};

fn srem(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.find(args.at(1));
    let Some(set) = source(db, &found)? else {
        reply.integer(0);
        return Ok(Flow::Done);
    };
    let removing = Removing::new(set);
    long::run(db, found, args, reply, removing)
}

const SMOVE: CommandSpec = CommandSpec {
    name: "smove",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[
        KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete]),
        KeySpec::one(2, &[KeyFlag::Rw, KeyFlag::Insert]),
    ],
    large: Large::NameAt(3),
    run: Run::Keys(smove),
    doc: Doc {
        summary: "Moves a member from one set to another.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "source destination member",
        ..Doc::of(Group::Set)
    },
};

fn smove(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (from, to, member) = (args.at(1), args.at(2), args.name(3));
    let found_to = db.find(to);
    let found_from = db.find(from);
    let Some(from_set) = source(db, &found_from)? else {
        reply.integer(0);
        return Ok(Flow::Done);
    };
    let to_set = source(db, &found_to)?;
    let is_member = from_set.contains(db.store(), member);
    if from == to || !is_member {
        reply.integer(i64::from(is_member));
        return Ok(Flow::Done);
    }
    let was_there = to_set.as_ref().is_some_and(|set| set.contains(db.store(), member));
    // What is written: two packed sets, and one of them again as it was if the other cannot be.
    const ROOM: u64 = 16 * 1024;
    let room = ROOM + if was_there { 0 } else { member.beginning().len() as u64 };
    if !db.has_room(room) || !was_there && !member.is_whole() {
        return Err(CommandError::OutOfMemory);
    }
    if !was_there {
        let limits = *db.limits();
        let set = match to_set {
            Some(set) => growing(set),
            None => Some(Growing::new(Encoding::of_new(member, 1, &limits))),
        };
        add(db, found_to, member, set)?;
    }
    let found_from = db.find(from);
    let emptied = match remove(db, found_from, member) {
        Ok(emptied) => emptied,
        Err(error) => {
            if !was_there {
                let found_to = db.find(to);
                remove(db, found_to, member)?;
            }
            return Err(error);
        }
    };
    note_removal(db, from, Event::Srem, emptied);
    if !was_there {
        db.changed(to, Event::Sadd);
    }
    reply.integer(1);
    Ok(Flow::Done)
}

/// A packed set on its own, to be changed; `None` if it is large.
fn growing(set: Source<'_>) -> Option<Growing> {
    match set {
        Source::Packed(bytes) => Some(Growing::Packed(Edit::of(bytes.into_owned()))),
        Source::Large(_) => None,
    }
}

/// Adds a member that is not there to the set that was found: to `set`, which is put then, or in place.
fn add(db: &mut Db<'_>, found: Found<'_>, member: GivenName<'_>, set: Option<Growing>) -> Result<(), CommandError> {
    let limits = *db.limits();
    match set {
        Some(mut set) => {
            if let Err(error) = set.add(db.store_mut(), member, &limits) {
                set.clear(db.store_mut());
                return Err(put_error(error));
            }
            put(db, found, set)
        }
        None => {
            let (collection, store) = db.large_mut(&found).expect("it is large");
            collection.set_mut().add(store, member, &limits).map_err(put_error)?;
            Ok(())
        }
    }
}

/// Removes a member that is there; whether the key went with it. A failed call changes nothing.
fn remove(db: &mut Db<'_>, found: Found<'_>, member: GivenName<'_>) -> Result<bool, CommandError> {
    if let Some((collection, store)) = db.large_mut(&found) {
        let set = collection.set_mut();
        set.remove(store, member);
        let is_empty = set.view().len() == 0;
        return Ok(is_empty && db.remove(found));
    }
    let Some(Source::Packed(bytes)) = source(db, &found)? else { unreachable!("the set is there, and not large") };
    let mut edit = Edit::of(bytes.into_owned());
    edit.remove(member.contiguous().expect("it is packed"));
    put_rest(db, found, &edit)
}

const SISMEMBER: CommandSpec = CommandSpec {
    name: "sismember",
    arity: Arity::Exactly(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::NameAt(2),
    run: Run::Keys(sismember),
    doc: Doc {
        summary: "Tells whether a set has a member.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key member",
        ..Doc::of(Group::Set)
    },
};

fn sismember(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let set = source(db, &found)?;
    reply.integer(i64::from(set.is_some_and(|set| set.contains(db.store(), args.name(2)))));
    Ok(Flow::Done)
}

/// Members that are looked up at once.
const ASKED_AT_ONCE: usize = 1000;

const SMISMEMBER: CommandSpec = CommandSpec {
    name: "smismember",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_ACCESS,
    large: Large::NamesFrom(2),
    run: Run::Keys(smismember),
    doc: Doc {
        summary: "Tells for each of some members whether a set has it.",
        since: "6.2.0",
        complexity: "O(N) in the members given; in slices beyond 1,000.",
        syntax: "key member [member ...]",
        ..Doc::of(Group::Set)
    },
};

fn smismember(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let set = source(db, &found)?;
    reply.array(args.len() - 2);
    if args.len() - 2 <= ASKED_AT_ONCE && args.entry_bytes() <= db.slice_bytes() as u64 {
        for member in args.names(2) {
            reply.integer(i64::from(set.as_ref().is_some_and(|set| set.contains(db.store(), member))));
        }
        return Ok(Flow::Done);
    }
    let asking = long::Asking::new(set.map(Source::into_owned));
    long::run(db, found, args, reply, asking)
}

const SCARD: CommandSpec = CommandSpec {
    name: "scard",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(scard),
    doc: Doc {
        summary: "Counts the members of a set.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key",
        ..Doc::of(Group::Set)
    },
};

fn scard(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    reply.count(source(db, &found)?.map_or(0, |set| set.len()));
    Ok(Flow::Done)
}

const SMEMBERS: CommandSpec = CommandSpec {
    name: "smembers",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(smembers),
    doc: Doc {
        summary: "Lists the members of a set.",
        since: "1.0.0",
        complexity: "O(N) in the members; in slices beyond 1,000.",
        syntax: "key",
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Set)
    },
};

fn smembers(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let Some(set) = source(db, &found)? else {
        reply.set(0);
        return Ok(Flow::Done);
    };
    reply.set(set.len());
    let telling = Telling::new(set, reply);
    long::run(db, found, args, reply, telling)
}

const SSCAN: CommandSpec = CommandSpec {
    name: "sscan",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(sscan),
    doc: Doc {
        summary: "Lists some members of a set, and a cursor to go on from.",
        since: "2.8.0",
        complexity: "O(COUNT) a call, O(N) for all calls until the cursor is 0.",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Set)
    },
};

fn sscan(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let cursor = parse_u64_loose(args.at(2)).ok_or(CommandError::text_static("ERR invalid cursor"))?;
    let found = db.read(args.at(1));
    let Some(set) = source(db, &found)? else {
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        return Ok(Flow::Done);
    };
    let (mut count, mut pattern) = (10, Pattern::all());
    let mut index = 3;
    while index < args.len() {
        let value = args.get(index + 1).ok_or(CommandError::Syntax)?;
        if args.is(index, "count") {
            count = u64::try_from(integer(value)?).ok().filter(|&count| count > 0).ok_or(CommandError::Syntax)?;
        } else if args.is(index, "match") {
            pattern = Pattern::new(value);
        } else {
            return Err(CommandError::Syntax);
        }
        index += 2;
    }
    match set {
        Source::Packed(bytes) => {
            reply.array(2);
            reply.bulk(b"0");
            let open = reply.begin_array();
            let (mut len, mut scratch) = (0, Vec::new());
            for member in Packed::new(&bytes).members() {
                let member = member.as_slice(&mut scratch);
                if pattern.matches(member) {
                    reply.bulk(member);
                    len += 1;
                }
            }
            reply.end_array(open, len);
            Ok(Flow::Done)
        }
        Source::Large(view) => {
            let scanning = Scanning::new(view, cursor, count, pattern);
            long::run(db, found, args, reply, scanning)
        }
    }
}

const SPOP: CommandSpec = CommandSpec {
    name: "spop",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete])],
    large: Large::None,
    run: Run::Keys(spop),
    doc: Doc {
        summary: "Takes random members from a set, and removes the key with the last.",
        since: "1.0.0",
        complexity: "O(N) in the members taken; in slices beyond 1,000.",
        syntax: "key [count]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Set)
    },
};

fn spop(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = args.get(2).map(positive).transpose()?;
    let key = args.at(1);
    let found = db.find(key);
    let seed = db.random();
    let Some(set) = source(db, &found)? else {
        match count {
            Some(_) => reply.set(0),
            None => reply.null(),
        }
        return Ok(Flow::Done);
    };
    let Some(count) = count else {
        return pop_one(db, key, found, seed, reply);
    };
    if count == 0 {
        reply.set(0);
        return Ok(Flow::Done);
    }
    if set.len() <= count {
        reply.set(set.len());
        let popping = Telling::new(set, reply).and_remove();
        return long::run(db, found, args, reply, popping);
    }
    let Source::Packed(bytes) = set else {
        return long::run(db, found, args, reply, Popping::new(count));
    };
    let bytes = bytes.into_owned();
    let mut popped = Reply::new();
    let rest = long::take_some(Packed::new(&bytes), count, (db.limits(), seed), &mut popped);
    put_rest(db, found, &rest)?;
    db.changed(key, Event::Spop);
    reply.set(count);
    reply.append(popped);
    Ok(Flow::Done)
}

/// A count that is not negative.
fn positive(arg: &[u8]) -> Result<usize, CommandError> {
    integer(arg)
        .ok()
        .and_then(|count| usize::try_from(count).ok())
        .ok_or(CommandError::text_static("ERR value is out of range, must be positive"))
}

/// SPOP without a count.
fn pop_one(db: &mut Db<'_>, key: &[u8], found: Found<'_>, mut seed: u64, reply: &mut Reply) -> Outcome {
    let mut scratch = Vec::new();
    let emptied = if let Some((collection, store)) = db.large_mut(&found) {
        let set = collection.set_mut();
        set.pop(store, || Keyspace::next_random(&mut seed), |member| reply.bulk_name(member.name(&mut scratch)));
        let is_empty = set.view().len() == 0;
        is_empty && db.remove(found)
    } else {
        let Some(Source::Packed(bytes)) = source(db, &found)? else { unreachable!("the set is there, and not large") };
        let bytes = bytes.into_owned();
        let set = Packed::new(&bytes);
        let member = set.nth(long::below(&mut seed, set.len())).as_slice(&mut scratch);
        let mut edit = Edit::of(bytes.clone());
        edit.remove(member);
        let emptied = put_rest(db, found, &edit)?;
        reply.bulk(member);
        emptied
    };
    note_removal(db, key, Event::Spop, emptied);
    Ok(Flow::Done)
}

const SRANDMEMBER: CommandSpec = CommandSpec {
    name: "srandmember",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(srandmember),
    doc: Doc {
        summary: "Returns random members of a set: distinct ones, or with a negative count any.",
        since: "1.0.0",
        complexity: "O(N) in the count, or in the members if the count is over a third of them; in slices beyond 1,000.",
        syntax: "key [count]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Set)
    },
};

fn srandmember(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = args.get(2).map(integer).transpose()?;
    if count == Some(i64::MIN) {
        return Err(CommandError::text_static(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    let found = db.read(args.at(1));
    let mut seed = db.random();
    let Some(set) = source(db, &found)? else {
        match count {
            Some(_) => reply.array(0),
            None => reply.null(),
        }
        return Ok(Flow::Done);
    };
    let Some(count) = count else {
        long::reply_random(db.store(), &set, &mut seed, reply);
        return Ok(Flow::Done);
    };
    let len = set.len();
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        reply.array(wanted);
        let picking = Picking::with_repeats(set.into_owned(), wanted, seed);
        return long::run(db, found, args, reply, picking);
    }
    if len <= wanted {
        reply.array(len);
        let telling = Telling::new(set, reply);
        return long::run(db, found, args, reply, telling);
    }
    reply.array(wanted);
    let picking = Picking::distinct(set.into_owned(), wanted, seed);
    long::run(db, found, args, reply, picking)
}

#[cfg(test)]
mod tests;
