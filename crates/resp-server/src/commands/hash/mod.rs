//! Commands about fields of a hash: set, get, count and remove them, and the numbers in them.

pub mod both;
pub(super) mod edit;
pub mod expiry;
pub mod walk;

use super::arguments::integer;
use super::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::{Db, Event, ValueType};
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::{self, parse_i64};
use crate::text::long_double::{self, LongDouble};
use crate::types::hash::{Expiry, NewValue, Value};
use edit::{FieldWork, Fields, HashEdit, each_field, new_value, reader, reply_value};
use walk::get_many;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] =
    &[&HSET, &HMSET, &HSETNX, &HGET, &HMGET, &HLEN, &HSTRLEN, &HEXISTS, &HDEL, &HINCRBY, &HINCRBYFLOAT];

const KEY_UPDATED: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Update])];
const KEY_COUNTED: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update])];
const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];
const KEY_SEEN: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro])];

const HSET: CommandSpec = CommandSpec {
    name: "hset",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::PairsFrom(2),
    run: Run::Keys(hset),
    doc: Doc {
        summary: "Sets fields of a hash.",
        since: "2.0.0",
        complexity: "O(N) in the fields set.",
        syntax: "key field value [field value ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hset(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_fields(db, args, reply, SetFields { command: "hset", created: Some(0) })
}

const HMSET: CommandSpec = CommandSpec {
    name: "hmset",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::PairsFrom(2),
    run: Run::Keys(hmset),
    doc: Doc {
        summary: "Sets fields of a hash.",
        since: "2.0.0",
        complexity: "O(N) in the fields set.",
        syntax: "key field value [field value ...]",
        deprecated: Some(("4.0.0", "`HSET` with multiple field-value pairs")),
        ..Doc::of(Group::Hash)
    },
};

fn hmset(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_fields(db, args, reply, SetFields { command: "hmset", created: None })
}

fn set_fields(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, work: SetFields) -> Outcome {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(work.command));
    }
    let mut edit = HashEdit::begin(db, args.at(1))?;
    let fields = Fields { first: 2, end: args.len(), step: 2 };
    edit.ask_for_room(db, fields.len(), args.entry_bytes())?;
    edit.expect(db, fields.len());
    each_field(db, args, edit, fields, work, reply)
}

/// HSET and HMSET.
#[derive(Debug)]
struct SetFields {
    command: &'static str,
    /// Fields that were not there; `None`: nobody wants to know.
    created: Option<i64>,
}

impl FieldWork for SetFields {
    fn visit(
        &mut self,
        edit: &mut HashEdit<'_>,
        db: &mut Db<'_>,
        args: &Args<'_>,
        index: usize,
    ) -> Result<bool, CommandError> {
        let is_new = edit.set(db, args.name(index), new_value(args, index + 1), Expiry::Clear)?;
        if let Some(created) = &mut self.created {
            *created += i64::from(is_new);
        }
        Ok(true)
    }

    fn finish(self, edit: HashEdit<'_>, db: &mut Db<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let key = edit.key();
        edit.end(db)?;
        db.changed(key, Event::HSet);
        match self.created {
            Some(created) => reply.integer(created),
            None => reply.ok(),
        }
        Ok(())
    }
}

const HSETNX: CommandSpec = CommandSpec {
    name: "hsetnx",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Insert])],
    large: Large::PairsFrom(2),
    run: Run::Keys(hsetnx),
    doc: Doc {
        summary: "Sets a field of a hash unless there is one of that name.",
        since: "2.0.0",
        complexity: "O(1)",
        syntax: "key field value",
        ..Doc::of(Group::Hash)
    },
};

fn hsetnx(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (key, field) = (args.at(1), args.name(2));
    let mut edit = HashEdit::begin_at(db, key, field)?;
    let is_set = edit.reader(db).get(field).is_none();
    if is_set {
        edit.set(db, field, new_value(args, 3), Expiry::Clear)?;
        edit.end(db)?;
        db.changed(key, Event::HSet);
    }
    reply.integer(i64::from(is_set));
    Ok(Flow::Done)
}

const HGET: CommandSpec = CommandSpec {
    name: "hget",
    arity: Arity::Exactly(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::NameAt(2),
    run: Run::Keys(hget),
    doc: Doc {
        summary: "Returns the value of a field of a hash.",
        since: "2.0.0",
        complexity: "O(1)",
        syntax: "key field",
        ..Doc::of(Group::Hash)
    },
};

fn hget(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    look_up(db, args, |value| match value {
        Some(value) => reply_value(value, reply),
        None => reply.null(),
    })
}

/// Hands the value of the field that is argument 2 to `visit`.
fn look_up(db: &mut Db<'_>, args: &Args<'_>, visit: impl FnOnce(Option<Value<'_>>)) -> Outcome {
    let found = db.read(args.at(1));
    let view = db.collection(&found, ValueType::Hash)?;
    let field = args.name(2);
    let reader = view.as_ref().map(|view| reader(db, view));
    let value = reader.and_then(|reader| reader.get(field));
    let has_expired = value.is_none() && reader.is_some_and(|reader| reader.has_expired(field));
    visit(value);
    if has_expired {
        db.expire_these_fields(args.at(1), &[field]);
    }
    Ok(Flow::Done)
}

const HMGET: CommandSpec = CommandSpec {
    name: "hmget",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::NamesFrom(2),
    run: Run::Keys(hmget),
    doc: Doc {
        summary: "Returns the values of fields of a hash.",
        since: "2.0.0",
        complexity: "O(N) in the fields asked for.",
        syntax: "key field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hmget(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    get_many(db, args, reply)
}

const HLEN: CommandSpec = CommandSpec {
    name: "hlen",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_SEEN,
    large: Large::None,
    run: Run::Keys(hlen),
    doc: Doc {
        summary: "Counts the fields of a hash.",
        since: "2.0.0",
        complexity: "O(1)",
        syntax: "key",
        ..Doc::of(Group::Hash)
    },
};

fn hlen(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let view = db.collection(&found, ValueType::Hash)?;
    reply.integer(view.map_or(0, |view| reader(db, &view).len_stored() as i64));
    Ok(Flow::Done)
}

const HSTRLEN: CommandSpec = CommandSpec {
    name: "hstrlen",
    arity: Arity::Exactly(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_SEEN,
    large: Large::NameAt(2),
    run: Run::Keys(hstrlen),
    doc: Doc {
        summary: "Returns the length of the value of a field of a hash.",
        since: "3.2.0",
        complexity: "O(1)",
        syntax: "key field",
        ..Doc::of(Group::Hash)
    },
};

fn hstrlen(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    look_up(db, args, |value| reply.count(value.map_or(0, |value| value.len())))
}

const HEXISTS: CommandSpec = CommandSpec {
    name: "hexists",
    arity: Arity::Exactly(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_SEEN,
    large: Large::NameAt(2),
    run: Run::Keys(hexists),
    doc: Doc {
        summary: "Tells whether a hash has a field.",
        since: "2.0.0",
        complexity: "O(1)",
        syntax: "key field",
        ..Doc::of(Group::Hash)
    },
};

fn hexists(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    look_up(db, args, |value| reply.integer(i64::from(value.is_some())))
}

const HDEL: CommandSpec = CommandSpec {
    name: "hdel",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Delete])],
    large: Large::NamesFrom(2),
    run: Run::Keys(hdel),
    doc: Doc {
        summary: "Removes fields of a hash, and the key with its last one.",
        since: "2.0.0",
        complexity: "O(N) in the fields removed.",
        syntax: "key field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hdel(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let edit = HashEdit::begin(db, args.at(1))?;
    if !edit.exists() {
        reply.integer(0);
        return Ok(Flow::Done);
    }
    each_field(db, args, edit, Fields { first: 2, end: args.len(), step: 1 }, RemoveFields { removed: 0 }, reply)
}

/// HDEL.
#[derive(Debug)]
struct RemoveFields {
    removed: i64,
}

impl FieldWork for RemoveFields {
    fn visit(
        &mut self,
        edit: &mut HashEdit<'_>,
        db: &mut Db<'_>,
        args: &Args<'_>,
        index: usize,
    ) -> Result<bool, CommandError> {
        self.removed += i64::from(edit.remove(db, args.name(index)));
        Ok(!edit.is_empty(db))
    }

    fn finish(self, edit: HashEdit<'_>, db: &mut Db<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let key = edit.key();
        let is_gone = edit.end(db)?;
        if self.removed > 0 {
            db.changed(key, Event::HDel);
        }
        if is_gone {
            db.also(key, Event::Del);
        }
        reply.integer(self.removed);
        Ok(())
    }
}

const HINCRBY: CommandSpec = CommandSpec {
    name: "hincrby",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_COUNTED,
    large: Large::NameAt(2),
    run: Run::Keys(hincrby),
    doc: Doc {
        summary: "Adds to an integer in a field of a hash.",
        since: "2.0.0",
        complexity: "O(1)",
        syntax: "key field increment",
        ..Doc::of(Group::Hash)
    },
};

fn hincrby(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (key, field, increment) = (args.at(1), args.name(2), integer(args.at(3))?);
    let mut edit = HashEdit::begin_at(db, key, field)?;
    let old = match edit.reader(db).get(field) {
        Some(value) => parse_short(value, integer::MAX_LEN, parse_i64)
            .ok_or(CommandError::text_static("ERR hash value is not an integer"))?,
        None => 0,
    };
    let new =
        old.checked_add(increment).ok_or(CommandError::text_static("ERR increment or decrement would overflow"))?;
    let mut text = itoa::Buffer::new();
    edit.set(db, field, NewValue::Bytes(text.format(new).as_bytes()), Expiry::Keep)?;
    edit.end(db)?;
    db.changed(key, Event::HIncrBy);
    reply.integer(new);
    Ok(Flow::Done)
}

/// Reads a value that is a number, and then has at most so many bytes.
fn parse_short<N>(value: Value<'_>, len_max: usize, parse: impl FnOnce(&[u8]) -> Option<N>) -> Option<N> {
    match value.contiguous() {
        _ if value.len() > len_max => None,
        Some(bytes) => parse(bytes),
        None => parse(&value.to_vec()),
    }
}

const HINCRBYFLOAT: CommandSpec = CommandSpec {
    name: "hincrbyfloat",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_COUNTED,
    large: Large::NameAt(2),
    run: Run::Keys(hincrbyfloat),
    doc: Doc {
        summary: "Adds to a number with decimal places in a field of a hash.",
        since: "2.6.0",
        complexity: "O(1)",
        syntax: "key field increment:double",
        ..Doc::of(Group::Hash)
    },
};

fn hincrbyfloat(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (key, field) = (args.at(1), args.name(2));
    let increment = LongDouble::parse(args.at(3)).ok_or(CommandError::NotAFloat)?;
    if !increment.is_finite() {
        return Err(CommandError::text_static("ERR value is NaN or Infinity"));
    }
    let mut edit = HashEdit::begin_at(db, key, field)?;
    let old = match edit.reader(db).get(field) {
        Some(value) => parse_short(value, long_double::TEXT_MAX, LongDouble::parse)
            .ok_or(CommandError::text_static("ERR hash value is not a float"))?,
        None => LongDouble::ZERO,
    };
    let new = old + increment;
    if !new.is_finite() {
        return Err(CommandError::text_static("ERR increment would produce NaN or Infinity"));
    }
    let mut text = Vec::new();
    new.append_to(&mut text);
    edit.set(db, field, NewValue::Bytes(&text), Expiry::Keep)?;
    edit.end(db)?;
    db.changed(key, Event::HIncrByFloat);
    reply.bulk(&text);
    Ok(Flow::Done)
}

#[cfg(test)]
mod tests;
