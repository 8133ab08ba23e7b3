//! Commands about keys, whatever they hold.

pub(super) mod copying;
pub mod expire;
pub(super) mod first;
pub(super) mod many;
pub mod object;
pub mod sort;
pub(super) mod walk;

use super::arguments::{integer, small_integer};
use super::spec::{
    AclCategory, Arity, CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run,
};
use crate::engine::holds::Access;
use crate::keyspace::{Db, Event, Keyspace, ValueType};
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::{parse_i64, parse_u64_loose};
use many::{Keys, are_many, each_key};
use walk::{Pattern, Scan};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[
    &DEL, &UNLINK, &EXISTS, &TOUCH, &TYPE, &RENAME, &RENAMENX, &COPY, &MOVE, &RANDOMKEY, &KEYS, &SCAN, &DBSIZE,
    &FLUSHDB, &FLUSHALL, &SWAPDB,
];

const DEL: CommandSpec = CommandSpec {
    name: "del",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Write],
    keys: &[KeySpec::to_end(1, 1, &[KeyFlag::Rm, KeyFlag::Delete])],
    large: Large::None,
    run: Run::Keys(del),
    doc: Doc {
        summary: "Removes keys.",
        since: "1.0.0",
        complexity: "O(N) in the number of keys, whatever they hold.",
        syntax: "key [key ...]",
        acl: &[AclCategory::Keyspace],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Doc::of(Group::Generic)
    },
};

fn del(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if are_many(args.len() - 1) {
        return Ok(each_key(Access::Write, |db, key, _| remove(db, key), |removed, reply| reply.integer(removed)));
    }
    let removed = Keys::all(args).sum(db, args, remove);
    reply.integer(removed);
    Ok(Flow::Done)
}

/// Removes a key; how many that were.
fn remove(db: &mut Db<'_>, key: &[u8]) -> i64 {
    let found = db.find(key);
    let removed = db.remove(found);
    if removed {
        db.changed(key, Event::Del);
    }
    i64::from(removed)
}

const UNLINK: CommandSpec = CommandSpec {
    name: "unlink",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[KeySpec::to_end(1, 1, &[KeyFlag::Rm, KeyFlag::Delete])],
    large: Large::None,
    run: Run::Keys(del),
    doc: Doc {
        summary: "Removes keys; here the same as DEL, which frees memory in the background too.",
        since: "4.0.0",
        complexity: "O(N) in the number of keys, whatever they hold.",
        syntax: "key [key ...]",
        acl: &[AclCategory::Keyspace],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Doc::of(Group::Generic)
    },
};

const EXISTS: CommandSpec = CommandSpec {
    name: "exists",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: &[KeySpec::to_end(1, 1, &[KeyFlag::Ro])],
    large: Large::None,
    run: Run::Keys(count_existing),
    doc: Doc {
        summary: "Counts how many of the given keys there are.",
        since: "1.0.0",
        complexity: "O(N) in the number of keys.",
        syntax: "key [key ...]",
        acl: &[AclCategory::Keyspace],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Doc::of(Group::Generic)
    },
};

const TOUCH: CommandSpec = CommandSpec {
    name: "touch",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: &[KeySpec::to_end(1, 1, &[KeyFlag::Ro])],
    large: Large::None,
    run: Run::Keys(touch),
    doc: Doc {
        summary: "Counts how many of the given keys there are, as a use of each.",
        since: "3.2.1",
        complexity: "O(N) in the number of keys.",
        syntax: "key [key ...]",
        acl: &[AclCategory::Keyspace],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Doc::of(Group::Generic)
    },
};

fn count_existing(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if are_many(args.len() - 1) {
        return Ok(each_key(Access::Read, |db, key, _| count(db, key), |existing, reply| reply.integer(existing)));
    }
    let existing = Keys::all(args).sum(db, args, count);
    reply.integer(existing);
    Ok(Flow::Done)
}

/// Whether there is such a key, as a number. To ask is no use of it.
fn count(db: &mut Db<'_>, key: &[u8]) -> i64 {
    let found = db.peek(key);
    db.count_read(key, &found);
    i64::from(found.exists())
}

fn touch(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if are_many(args.len() - 1) {
        return Ok(each_key(
            Access::Read,
            |db, key, _| count_touched(db, key),
            |touched, reply| reply.integer(touched),
        ));
    }
    let touched = Keys::all(args).sum(db, args, count_touched);
    reply.integer(touched);
    Ok(Flow::Done)
}

fn count_touched(db: &mut Db<'_>, key: &[u8]) -> i64 {
    let found = db.touch(key);
    db.count_read(key, &found);
    i64::from(found.exists())
}

const TYPE: CommandSpec = CommandSpec {
    name: "type",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Ro])],
    large: Large::None,
    run: Run::Keys(type_of),
    doc: Doc {
        summary: "Tells what a key holds.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn type_of(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.peek(args.at(1));
    db.count_read(args.at(1), &found);
    reply.simple(found.value_type().map_or("none", ValueType::name));
    Ok(Flow::Done)
}

const RENAME: CommandSpec = CommandSpec {
    name: "rename",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write],
    keys: &[
        KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete]),
        KeySpec::one(2, &[KeyFlag::Ow, KeyFlag::Update]),
    ],
    large: Large::None,
    run: Run::Keys(rename),
    doc: Doc {
        summary: "Gives a key another name, over a key that has it.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key newkey",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn rename(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    rename_key(db, args, true)?;
    reply.ok();
    Ok(Flow::Done)
}

const RENAMENX: CommandSpec = CommandSpec {
    name: "renamenx",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[
        KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete]),
        KeySpec::one(2, &[KeyFlag::Ow, KeyFlag::Insert]),
    ],
    large: Large::None,
    run: Run::Keys(renamenx),
    doc: Doc {
        summary: "Gives a key another name, unless there is a key that has it.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key newkey",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn renamenx(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let renamed = rename_key(db, args, false)?;
    reply.integer(i64::from(renamed));
    Ok(Flow::Done)
}

/// Whether the key has a new name now.
fn rename_key(db: &mut Db<'_>, args: &Args<'_>, replace: bool) -> Result<bool, CommandError> {
    let (source, target) = (args.at(1), args.at(2));
    let found_target = db.find(target);
    let found = db.find(source);
    if !found.exists() {
        return Err(CommandError::NoSuchKey);
    }
    if source == target || (found_target.exists() && !replace) {
        return Ok(false);
    }
    let replaces = found_target.exists();
    db.rename(found, found_target)?;
    if replaces {
        db.also(target, Event::New);
    }
    db.changed(source, Event::RenameFrom);
    db.also(target, Event::RenameTo);
    Ok(true)
}

const COPY: CommandSpec = CommandSpec {
    name: "copy",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access]), KeySpec::one(2, &[KeyFlag::Ow, KeyFlag::Update])],
    large: Large::None,
    run: Run::Server(copy),
    doc: Doc {
        summary: "Copies what a key holds to another key, with its time to live.",
        since: "6.2.0",
        complexity: "O(N) in the length of the value up to 64 KiB, then O(1).",
        syntax: "source destination [DB destination-db] [REPLACE]",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn copy(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let selected = context.engine.client(context.client).db;
    copy_key(&mut context.engine.keyspace, selected, args, reply)
}

fn copy_key(keyspace: &mut Keyspace, source_db: usize, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let mut target_db = source_db;
    let mut replace = false;
    let mut index = 3;
    while index < args.len() {
        if args.is(index, "replace") {
            replace = true;
        } else if args.is(index, "db") && index + 1 < args.len() {
            index += 1;
            target_db = database(keyspace, args.at(index))?;
        } else {
            return Err(CommandError::Syntax);
        }
        index += 1;
    }
    let (source, target) = (args.at(1), args.at(2));
    if source_db == target_db && source == target {
        return Err(SAME_OBJECT);
    }
    let found_target = keyspace.db(target_db).find(target);
    let mut db = keyspace.db(source_db);
    let found = db.read(source);
    let copies = found.exists() && (replace || !found_target.exists());
    if copies && db.held_collection(source).is_some() {
        return Ok(copying::copy(&mut db, &found, target_db, replace));
    }
    if copies {
        db.copy(&found, target_db, &found_target)?;
        let mut db = keyspace.db(target_db);
        if found_target.exists() {
            db.also(target, Event::New);
        }
        db.changed(target, Event::CopyTo);
    }
    reply.integer(i64::from(copies));
    Ok(Flow::Done)
}

const SAME_OBJECT: CommandError = CommandError::text_static("ERR source and destination objects are the same");

/// The database of that number.
fn database(keyspace: &Keyspace, number: &[u8]) -> Result<usize, CommandError> {
    usize::try_from(small_integer(number)?)
        .ok()
        .filter(|&db| db < keyspace.databases())
        .ok_or(CommandError::text_static("ERR DB index is out of range"))
}

const MOVE: CommandSpec = CommandSpec {
    name: "move",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete])],
    large: Large::None,
    run: Run::Server(move_to),
    doc: Doc {
        summary: "Moves a key to another database, unless there is a key of that name.",
        since: "1.0.0",
        complexity: "O(N) in the length of the value up to 64 KiB, then O(1).",
        syntax: "key db",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn move_to(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let source_db = context.engine.client(context.client).db;
    let keyspace = &mut context.engine.keyspace;
    let (key, target_db) = (args.at(1), database(keyspace, args.at(2))?);
    if source_db == target_db {
        return Err(SAME_OBJECT);
    }
    let found_target = keyspace.db(target_db).find(key);
    let mut db = keyspace.db(source_db);
    let found = db.find(key);
    let moves = found.exists() && !found_target.exists();
    if moves {
        db.move_to(found, target_db, found_target)?;
        db.changed(key, Event::MoveFrom);
        keyspace.db(target_db).also(key, Event::MoveTo);
    }
    reply.integer(i64::from(moves));
    Ok(Flow::Done)
}

const RANDOMKEY: CommandSpec = CommandSpec {
    name: "randomkey",
    arity: Arity::Exactly(1),
    flags: &[Flag::Readonly, Flag::TouchesArbitraryKeys],
    keys: &[],
    large: Large::None,
    run: Run::Keys(randomkey),
    doc: Doc {
        summary: "Returns a key, each as likely as the others.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "",
        acl: &[AclCategory::Keyspace],
        tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
        ..Doc::of(Group::Generic)
    },
};

fn randomkey(db: &mut Db<'_>, _args: &Args<'_>, reply: &mut Reply) -> Outcome {
    match db.random_key() {
        Some(key) => reply.bulk(&key),
        None => reply.null(),
    }
    Ok(Flow::Done)
}

const KEYS: CommandSpec = CommandSpec {
    name: "keys",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly],
    keys: &[],
    large: Large::None,
    run: Run::Keys(keys),
    doc: Doc {
        summary: "Lists the keys that match a pattern.",
        since: "1.0.0",
        complexity: "O(N) in the number of keys of the database.",
        syntax: "pattern",
        acl: &[AclCategory::Keyspace, AclCategory::Dangerous],
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        ..Doc::of(Group::Generic)
    },
};

fn keys(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let pattern = Pattern::new(args.at(1));
    // Long ones are as if they were more.
    if db.len() > walk::KEYS_MAX || db.map_bytes() > walk::BYTES_MAX {
        return Ok(walk::keys(db, pattern));
    }
    let mut scratch = Vec::new();
    let mut len = 0;
    let open = reply.begin_array();
    let mut cursor = 0;
    loop {
        cursor = db.scan(cursor, |key, holds| {
            let key = key.as_slice(&mut scratch);
            if holds.is_some() && pattern.matches(key) {
                reply.bulk(key);
                len += 1;
            }
        });
        if cursor == 0 {
            break;
        }
    }
    reply.end_array(open, len);
    Ok(Flow::Done)
}

const SCAN: CommandSpec = CommandSpec {
    name: "scan",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly, Flag::TouchesArbitraryKeys],
    keys: &[],
    large: Large::None,
    run: Run::Keys(scan),
    doc: Doc {
        summary: "Lists some keys, and a cursor to go on from.",
        since: "2.8.0",
        complexity: "O(COUNT) a call, O(N) for all calls until the cursor is 0.",
        syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
        acl: &[AclCategory::Keyspace],
        tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
        ..Doc::of(Group::Generic)
    },
};

fn scan(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let cursor = parse_u64_loose(args.at(1)).ok_or(CommandError::text_static("ERR invalid cursor"))?;
    let mut scan = Scan { cursor, count: 10, pattern: Pattern::all(), type_name: None };
    let mut index = 2;
    while index < args.len() {
        let value = args.get(index + 1).ok_or(CommandError::Syntax)?;
        if args.is(index, "count") {
            scan.count = u64::try_from(integer(value)?).ok().filter(|&count| count > 0).ok_or(CommandError::Syntax)?;
        } else if args.is(index, "match") {
            scan.pattern = Pattern::new(value);
        } else if args.is(index, "type") {
            scan.type_name = Some(value.to_vec());
        } else {
            return Err(CommandError::Syntax);
        }
        index += 2;
    }
    Ok(walk::scan(scan, db, reply))
}

const DBSIZE: CommandSpec = CommandSpec {
    name: "dbsize",
    arity: Arity::Exactly(1),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: &[],
    large: Large::None,
    run: Run::Keys(dbsize),
    doc: Doc {
        summary: "Counts the keys of the selected database.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "",
        acl: &[AclCategory::Keyspace],
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        ..Doc::of(Group::Server)
    },
};

fn dbsize(db: &mut Db<'_>, _args: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.integer(db.len() as i64);
    Ok(Flow::Done)
}

const FLUSHDB: CommandSpec = CommandSpec {
    name: "flushdb",
    arity: Arity::AtLeast(1),
    flags: &[Flag::Write],
    keys: &[],
    large: Large::None,
    run: Run::Keys(flushdb),
    doc: Doc {
        summary: "Removes all keys of the selected database.",
        since: "1.0.0",
        complexity: "O(1); memory is freed in the background.",
        syntax: "[ASYNC | SYNC]",
        acl: &[AclCategory::Keyspace, AclCategory::Dangerous],
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Doc::of(Group::Server)
    },
};

fn flushdb(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    check_flush_mode(args)?;
    db.clear();
    reply.ok();
    Ok(Flow::Done)
}

const FLUSHALL: CommandSpec = CommandSpec {
    name: "flushall",
    arity: Arity::AtLeast(1),
    flags: &[Flag::Write],
    keys: &[],
    large: Large::None,
    run: Run::Server(flushall),
    doc: Doc {
        summary: "Removes all keys of all databases.",
        since: "1.0.0",
        complexity: "O(1); memory is freed in the background.",
        syntax: "[ASYNC | SYNC]",
        acl: &[AclCategory::Keyspace, AclCategory::Dangerous],
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Doc::of(Group::Server)
    },
};

fn flushall(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    check_flush_mode(args)?;
    context.engine.keyspace.clear();
    reply.ok();
    Ok(Flow::Done)
}

const SWAPDB: CommandSpec = CommandSpec {
    name: "swapdb",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[],
    large: Large::None,
    run: Run::Server(swapdb),
    doc: Doc {
        summary: "Exchanges two databases, for all connections at once.",
        since: "4.0.0",
        complexity: "O(N) in the clients that watch keys and the keys that are waited for.",
        syntax: "index1:integer index2:integer",
        acl: &[AclCategory::Keyspace, AclCategory::Dangerous],
        ..Doc::of(Group::Server)
    },
};

fn swapdb(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    const INVALID_FIRST: CommandError = CommandError::text_static("ERR invalid first DB index");
    const INVALID_SECOND: CommandError = CommandError::text_static("ERR invalid second DB index");
    let number = |arg| parse_i64(arg).and_then(|index| i32::try_from(index).ok());
    let one = number(args.at(1)).ok_or(INVALID_FIRST)?;
    let two = number(args.at(2)).ok_or(INVALID_SECOND)?;
    let keyspace = &mut context.engine.keyspace;
    let index = |number: i32| usize::try_from(number).ok().filter(|&index| index < keyspace.databases());
    let (Some(one), Some(two)) = (index(one), index(two)) else {
        return Err(CommandError::text_static("ERR DB index is out of range"));
    };
    keyspace.swap(one, two);
    reply.ok();
    Ok(Flow::Done)
}

/// Both modes are the same here: removing is immediate, freeing is a job.
fn check_flush_mode(args: &Args<'_>) -> Result<(), CommandError> {
    let known = args.len() == 1 || args.len() == 2 && (args.is(1, "sync") || args.is(1, "async"));
    if known { Ok(()) } else { Err(CommandError::Syntax) }
}

#[cfg(test)]
mod tests;
