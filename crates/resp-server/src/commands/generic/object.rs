//! OBJECT: what is to be known of how a key's value is kept.
//!
//! The names of encodings are those that Redis would have for the value, whatever form it has here. When a key was used last is
//! known under the policies that go by it, and from the first OBJECT IDLETIME on: what was before that is not known, and the answer
//! is then the time since.

use crate::commands::spec::{
    AclCategory, Arity, CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run,
};
use crate::commands::{hash, list, reply_help, set, zset};
use crate::keyspace::{Db, Found, StringEncoding, ValueType, View};
use crate::proto::{Args, CommandError, Reply};
use crate::types::list::packed;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&OBJECT];

const OBJECT: CommandSpec = CommandSpec {
    name: "object",
    arity: Arity::AtLeast(2),
    flags: &[],
    keys: &[],
    large: Large::None,
    run: Run::Subcommands(&[&ENCODING, &FREQ, &IDLETIME, &REFCOUNT, &HELP]),
    doc: Doc {
        summary: "A container for commands about how values are kept.",
        since: "2.2.3",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Generic)
    },
};

const ENCODING: CommandSpec = CommandSpec {
    name: "encoding",
    arity: Arity::Exactly(3),
    flags: &[Flag::Readonly],
    keys: &[KeySpec::one(2, &[KeyFlag::Ro])],
    large: Large::None,
    run: Run::Keys(encoding),
    doc: Doc {
        summary: "Names the way in which Redis would keep the value.",
        since: "2.2.3",
        syntax: "key",
        acl: &[AclCategory::Keyspace],
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Generic)
    },
};

fn encoding(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.peek(args.at(2));
    match encoding_name(db, &found)? {
        Some(name) => reply.bulk(name.as_bytes()),
        None => reply.null(),
    }
    Ok(Flow::Done)
}

/// The encoding of what was found, as `OBJECT ENCODING` names it.
fn encoding_name(db: &Db<'_>, found: &Found<'_>) -> Result<Option<&'static str>, CommandError> {
    let Some(value_type) = found.value_type() else { return Ok(None) };
    Ok(match value_type {
        ValueType::String => db.string_encoding(found)?.map(StringEncoding::name),
        ValueType::List => list::form::view(db, found)?.map(|list| match list {
            list::form::ListView::Packed(bytes) => packed::encoding(&bytes).name(),
            list::form::ListView::Large(list) => list.encoding().name(),
        }),
        ValueType::Set => set::source(db, found)?.map(|set| set.encoding().name()),
        ValueType::SortedSet => {
            zset::long::view(db, found)?.map(|view| zset::long::reader(db, &view).encoding().name())
        }
        ValueType::Hash => {
            let view: Option<View<'_>> = db.collection(found, ValueType::Hash)?;
            view.map(|view| hash::edit::reader(db, &view).encoding().name())
        }
        ValueType::Stream => Some("stream"),
    })
}

const FREQ: CommandSpec = CommandSpec {
    name: "freq",
    run: Run::Keys(freq),
    doc: Doc {
        summary: "Tells how often a key is used, under the policies that count it.",
        since: "4.0.0",
        ..ENCODING.doc
    },
    ..ENCODING
};

fn freq(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.peek(args.at(2));
    if !found.exists() {
        reply.null();
        return Ok(Flow::Done);
    }
    let frequency = db.frequency(&found).ok_or(CommandError::text_static(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between \
         policies at runtime LRU and LFU data will take some time to adjust.",
    ))?;
    reply.integer(i64::from(frequency));
    Ok(Flow::Done)
}

const IDLETIME: CommandSpec = CommandSpec {
    name: "idletime",
    run: Run::Keys(idle_time),
    doc: Doc { summary: "Tells for how many seconds a key has not been used.", since: "2.2.3", ..ENCODING.doc },
    ..ENCODING
};

fn idle_time(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.peek(args.at(2));
    if !found.exists() {
        reply.null();
        return Ok(Flow::Done);
    }
    let idle_ms = db.idle_ms(&found).ok_or(CommandError::text_static(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at \
         runtime LRU and LFU data will take some time to adjust.",
    ))?;
    reply.integer((idle_ms / 1000) as i64);
    Ok(Flow::Done)
}

const REFCOUNT: CommandSpec = CommandSpec {
    name: "refcount",
    run: Run::Keys(refcount),
    doc: Doc {
        summary: "Tells how many references Redis would have to the value: very many to a small integer, one to any other.",
        ..ENCODING.doc
    },
    ..ENCODING
};

fn refcount(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    /// Redis keeps integers below this once for all.
    const SHARED: i64 = 10_000;
    let found = db.peek(args.at(2));
    if !found.exists() {
        reply.null();
        return Ok(Flow::Done);
    }
    let is_shared = db.shares_integers()
        && found.value_type() == Some(ValueType::String)
        && db.string_encoding(&found)? == Some(StringEncoding::Int)
        && db.string(&found)?.and_then(|value| value.integer()).is_some_and(|integer| (0..SHARED).contains(&integer));
    reply.integer(if is_shared { i64::from(i32::MAX) } else { 1 });
    Ok(Flow::Done)
}

const HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Arity::Exactly(2),
    flags: &[Flag::Loading, Flag::Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(help),
    doc: Doc {
        summary: "Tells what OBJECT can do.",
        since: "6.2.0",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(
        reply,
        "OBJECT",
        &[
            "ENCODING <key>",
            "    How Redis would keep the value.",
            "FREQ <key>",
            "    How often the key is used, under the policies that count it.",
            "IDLETIME <key>",
            "    For how many seconds the key has not been used.",
            "REFCOUNT <key>",
            "    How many references Redis would have to the value.",
        ],
    );
    Ok(Flow::Done)
}
