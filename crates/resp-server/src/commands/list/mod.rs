//! Lists: pushing, popping, and reading by index.
//!
//! Both ends cost the element, whatever the list's length, and an index costs O(log n). What handles more than
//! [`ELEMENTS_AT_ONCE`] elements or 64 KiB goes on in slices (`long`), and seems to happen at its
//! start.

pub mod blocking;
pub(super) mod form;
pub(super) mod long;
pub mod moving;
pub mod search;

use super::arguments::integer;
use super::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::{Db, Event, put_error};
use crate::proto::{Args, CommandError, Reply, Value};
use crate::types::list::packed::{self, PackedList};
use crate::types::list::{Element, End};
use form::{
    ELEMENTS_AT_ONCE, ListView, as_element, index_argument, large, note_pop, pop_some, push, push_event, put,
    put_as_large, range_of, reply_element, reply_some, view,
};
use long::{PopMany, PushMany, ReadMany};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] =
    &[&LPUSH, &RPUSH, &LPUSHX, &RPUSHX, &LPOP, &RPOP, &LLEN, &LINDEX, &LSET, &LRANGE];

/// A list that is read.
pub(super) const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];
/// A list that is added to.
pub(super) const KEY_INSERT: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Insert])];
const KEY_POP: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete])];

/// What the four pushes have in common.
const PUSH: CommandSpec = CommandSpec {
    name: "",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_INSERT,
    large: Large::From(2),
    run: Run::Keys(lpush),
    doc: Doc {
        complexity: "O(N) in the elements pushed.",
        syntax: "key element [element ...]",
        ..Doc::of(Group::List)
    },
};

const LPUSH: CommandSpec = CommandSpec {
    name: "lpush",
    run: Run::Keys(lpush),
    doc: Doc {
        summary: "Puts elements at the head of a list, which is created if need be.",
        since: "1.0.0",
        ..PUSH.doc
    },
    ..PUSH
};

fn lpush(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    push_arguments(db, args, reply, End::Head, false)
}

const RPUSH: CommandSpec = CommandSpec {
    name: "rpush",
    run: Run::Keys(rpush),
    doc: Doc {
        summary: "Puts elements at the tail of a list, which is created if need be.",
        since: "1.0.0",
        ..PUSH.doc
    },
    ..PUSH
};

fn rpush(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    push_arguments(db, args, reply, End::Tail, false)
}

const LPUSHX: CommandSpec = CommandSpec {
    name: "lpushx",
    run: Run::Keys(lpushx),
    doc: Doc { summary: "Puts elements at the head of a list that is there.", since: "2.2.0", ..PUSH.doc },
    ..PUSH
};

fn lpushx(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    push_arguments(db, args, reply, End::Head, true)
}

const RPUSHX: CommandSpec = CommandSpec {
    name: "rpushx",
    run: Run::Keys(rpushx),
    doc: Doc { summary: "Puts elements at the tail of a list that is there.", since: "2.2.0", ..PUSH.doc },
    ..PUSH
};

fn rpushx(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    push_arguments(db, args, reply, End::Tail, true)
}

/// The first argument that is an element.
pub(super) const FIRST_ELEMENT: usize = 2;

fn push_arguments(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, end: End, only_if_there: bool) -> Outcome {
    let key = args.at(1);
    let found = db.find(key);
    let is_there = view(db, &found)?.is_some();
    if only_if_there && !is_there {
        reply.count(0);
        return Ok(Flow::Done);
    }
    let count = args.len() - FIRST_ELEMENT;
    // A single one of more bytes was received apart, unless `blob-threshold` is higher.
    let is_long = count > 1 && args.extent() > db.slice_bytes();
    if is_long || count as u64 > ELEMENTS_AT_ONCE {
        return Ok(Flow::Sliced(Box::new(PushMany::new(db, args, end)?)));
    }
    let len = if count == 1 {
        let value = args.take_value(FIRST_ELEMENT);
        push(db, found, end, std::iter::once(as_element(&value)))?
    } else {
        let values: Vec<Value<'_>> = (FIRST_ELEMENT..args.len()).map(|at| args.take_value(at)).collect();
        push(db, found, end, values.iter().map(as_element))?
    };
    db.changed(key, push_event(end));
    reply.count(len as usize);
    Ok(Flow::Done)
}

const LPOP: CommandSpec = CommandSpec {
    name: "lpop",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_POP,
    large: Large::None,
    run: Run::Keys(lpop),
    doc: Doc {
        summary: "Takes elements off the head of a list. The key goes with the last one.",
        since: "1.0.0",
        complexity: "O(N) in the elements returned.",
        syntax: "key [count]",
        ..Doc::of(Group::List)
    },
};

fn lpop(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    pop_arguments(db, args, reply, End::Head)
}

const RPOP: CommandSpec = CommandSpec {
    name: "rpop",
    run: Run::Keys(rpop),
    doc: Doc { summary: "Takes elements off the tail of a list. The key goes with the last one.", ..LPOP.doc },
    ..LPOP
};

fn rpop(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    pop_arguments(db, args, reply, End::Tail)
}

fn pop_arguments(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, end: End) -> Outcome {
    if args.len() > 3 {
        return Err(CommandError::Arity(if end == End::Head { "lpop" } else { "rpop" }));
    }
    let count = args.get(2).map(count_argument).transpose()?;
    let key = args.at(1);
    let found = db.find(key);
    let Some(list) = view(db, &found)? else {
        match count {
            Some(_) => reply.null_array(),
            None => reply.null(),
        }
        return Ok(Flow::Done);
    };
    match count {
        Some(0) => {
            reply.array(0);
            Ok(Flow::Done)
        }
        Some(count) => {
            let count = count.min(list.len());
            pop_counted(db, key, end, count, reply)
        }
        None => {
            let popped = pop_some(db, found, end, 1, reply)?;
            note_pop(db, key, end, popped.emptied);
            Ok(Flow::Done)
        }
    }
}

fn count_argument(arg: &[u8]) -> Result<u64, CommandError> {
    integer(arg)
        .ok()
        .and_then(|count| u64::try_from(count).ok())
        .ok_or(CommandError::text_static("ERR value is out of range, must be positive"))
}

/// Replies with an array of `count` elements that are taken off an end of the list at `key`, which has as many.
pub(super) fn pop_counted(db: &mut Db<'_>, key: &[u8], end: End, count: u64, reply: &mut Reply) -> Outcome {
    let mut elements = Reply::new();
    elements.protocol = reply.protocol;
    elements.array(count as usize);
    let found = db.find(key);
    let popped = pop_some(db, found, end, count, &mut elements)?;
    reply.append(elements);
    if popped.count < count {
        return Ok(Flow::Sliced(Box::new(PopMany::new(key, end, count - popped.count))));
    }
    note_pop(db, key, end, popped.emptied);
    Ok(Flow::Done)
}

const LLEN: CommandSpec = CommandSpec {
    name: "llen",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Ro])],
    large: Large::None,
    run: Run::Keys(llen),
    doc: Doc { summary: "Returns the length of a list.", since: "1.0.0", syntax: "key", ..Doc::of(Group::List) },
};

fn llen(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let len = view(db, &found)?.map_or(0, |list| list.len());
    reply.count(len as usize);
    Ok(Flow::Done)
}

const LINDEX: CommandSpec = CommandSpec {
    name: "lindex",
    arity: Arity::Exactly(3),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(lindex),
    doc: Doc {
        summary: "Returns the element at an index.",
        since: "1.0.0",
        complexity: "O(log N) in the length of the list.",
        syntax: "key index:integer",
        ..Doc::of(Group::List)
    },
};

fn lindex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let Some(list) = view(db, &found)? else {
        reply.null();
        return Ok(Flow::Done);
    };
    match index_argument(args.at(2), list.len())?.and_then(|index| list.get(index)) {
        Some(element) => reply_element(reply, element),
        None => reply.null(),
    }
    Ok(Flow::Done)
}

const LSET: CommandSpec = CommandSpec {
    name: "lset",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Update])],
    large: Large::At(3),
    run: Run::Keys(lset),
    doc: Doc {
        summary: "Replaces the element at an index.",
        since: "1.0.0",
        complexity: "O(log N) in the length of the list.",
        syntax: "key index:integer element",
        ..Doc::of(Group::List)
    },
};

fn lset(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let found = db.find(key);
    let list = view(db, &found)?.ok_or(CommandError::NoSuchKey)?;
    let index = index_argument(args.at(2), list.len())?.ok_or(CommandError::text_static("ERR index out of range"))?;
    let short = match list {
        ListView::Packed(bytes) => Some(bytes.into_owned()),
        ListView::Large(_) => None,
    };
    let max_listpack_size = db.limits().list_max_listpack_size;
    let value = args.take_value(3);
    match (short, as_element(&value)) {
        (None, element) => {
            let (list, store) = large(db, &found).expect("just seen");
            list.grow(max_listpack_size, element.len(), 1, |list| list.set(store, index, element))
                .map_err(put_error)?;
            list.has_shrunk(max_listpack_size);
        }
        (Some(bytes), Element::Bytes(element)) => {
            let mut list = PackedList::read(&bytes);
            list.will_grow(max_listpack_size, element.len() as u64, 1);
            list.elements[index as usize] = element;
            list.has_shrunk(max_listpack_size);
            put(db, found, &list)?;
        }
        (Some(bytes), element) => {
            let mut list = PackedList::read(&bytes);
            list.will_grow(max_listpack_size, element.len(), 1);
            put_as_large(db, found, &list, |list, store| list.set(store, index, element))?;
        }
    }
    db.changed(key, Event::LSet);
    reply.ok();
    Ok(Flow::Done)
}

const LRANGE: CommandSpec = CommandSpec {
    name: "lrange",
    arity: Arity::Exactly(4),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(lrange),
    doc: Doc {
        summary: "Returns the elements from one index to another.",
        since: "1.0.0",
        complexity: "O(log N + M) in the length of the list and the elements returned.",
        syntax: "key start:integer stop:integer",
        ..Doc::of(Group::List)
    },
};

fn lrange(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
    let found = db.read(args.at(1));
    let slice_bytes = db.slice_bytes();
    let Some(list) = view(db, &found)? else {
        reply.array(0);
        return Ok(Flow::Done);
    };
    let range = range_of(start, end, list.len());
    let count = range.end.saturating_sub(range.start);
    reply.array(count as usize);
    let replied = match &list {
        ListView::Packed(bytes) => {
            let elements = packed::elements(bytes).skip(range.start as usize);
            elements.take(count as usize).for_each(|element| reply.bulk(element));
            count
        }
        ListView::Large(list) => reply_some(reply, list.forward(range.start), count, slice_bytes),
    };
    if replied < count {
        return Ok(Flow::Sliced(Box::new(ReadMany::new(range.start + replied..range.end))));
    }
    Ok(Flow::Done)
}

#[cfg(test)]
mod tests;
