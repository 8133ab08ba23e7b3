//! Commands about replicas, modules and the append-only file, of which there are none: they tell so.

use crate::commands::{
    AclCategory,
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, Large, Outcome, Run, reply_help,
};
use crate::engine::Wait;
use crate::keyspace::{Db, Millis, ValueType};
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;
use Flag::{Admin, Blocking, Fast, Loading, Noscript, Sentinel, Stale};

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] = &[&ROLE, &MODULE, &WAIT, &WAITAOF];

const ROLE: CommandSpec = CommandSpec {
    name: "role",
    arity: Exactly(1),
    flags: &[Noscript, Loading, Stale, Fast, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Keys(role),
    doc: Doc {
        summary: "Tells that the server is a master, how far its replication is, and its replicas.",
        since: "2.8.12",
        acl: &[AclCategory::Admin, AclCategory::Dangerous],
        ..Doc::of(Group::Server)
    },
};

fn role(_: &mut Db<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.array(3);
    reply.bulk(b"master");
    reply.integer(0);
    reply.array(0);
    Ok(Flow::Done)
}

const MODULE: CommandSpec = CommandSpec {
    name: "module",
    arity: AtLeast(2),
    flags: &[],
    keys: &[],
    large: Large::None,
    run: Run::Subcommands(&[&MODULE_HELP, &MODULE_LIST]),
    doc: Doc {
        summary: "A container for commands about modules.",
        since: "4.0.0",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Server)
    },
};

const MODULE_LIST: CommandSpec = CommandSpec {
    name: "list",
    arity: Exactly(2),
    flags: &[Admin, Noscript],
    keys: &[],
    large: Large::None,
    run: Run::Keys(module_list),
    doc: Doc {
        summary: "Lists the modules that are loaded: none.",
        since: "4.0.0",
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Server)
    },
};

fn module_list(_: &mut Db<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.array(0);
    Ok(Flow::Done)
}

const MODULE_HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Exactly(2),
    flags: &[Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(module_help),
    doc: Doc { summary: "Tells what MODULE can do.", since: "5.0.0", ..Doc::of(Group::Server) },
};

fn module_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(reply, "MODULE", &["LIST", "    The modules that are loaded: none can be."]);
    Ok(Flow::Done)
}

const WAIT: CommandSpec = CommandSpec {
    name: "wait",
    arity: Exactly(3),
    flags: &[Blocking],
    keys: &[],
    large: Large::None,
    run: Run::Keys(wait),
    doc: Doc {
        summary: "Waits until so many replicas have the connection's writes: without replicas, for all of the time.",
        since: "3.0.0",
        syntax: "numreplicas:integer timeout:integer",
        acl: &[AclCategory::Connection],
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        ..Doc::of(Group::Generic)
    },
};

fn wait(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let replicas = parse_i64(args.at(1)).ok_or(CommandError::NotAnInteger)?;
    let timeout_us = timeout_us(args.at(2), db.now())?;
    if replicas > 0 {
        return Ok(for_replicas(timeout_us));
    }
    reply.integer(0);
    Ok(Flow::Done)
}

const WAITAOF: CommandSpec = CommandSpec {
    name: "waitaof",
    arity: Exactly(4),
    flags: &[Blocking],
    keys: &[],
    large: Large::None,
    run: Run::Keys(waitaof),
    doc: Doc {
        summary: "Waits until the connection's writes are in the append-only files of so many servers, of which there is none.",
        since: "7.2.0",
        syntax: "numlocal:integer numreplicas:integer timeout:integer",
        acl: &[AclCategory::Connection],
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        ..Doc::of(Group::Generic)
    },
};

fn waitaof(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let local = parse_i64(args.at(1)).ok_or(CommandError::NotAnInteger)?;
    if !(0..=1).contains(&local) {
        return Err(CommandError::text_static("ERR value is out of range, value must between 0 and 1"));
    }
    let replicas = parse_i64(args.at(2)).ok_or(CommandError::NotAnInteger)?;
    if replicas < 0 {
        return Err(CommandError::text_static("ERR value is out of range, must be positive"));
    }
    let timeout_us = timeout_us(args.at(3), db.now())?;
    if local > 0 {
        return Err(CommandError::text_static(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    if replicas > 0 {
        return Ok(for_replicas(timeout_us));
    }
    reply.array(2);
    reply.integer(0);
    reply.integer(0);
    Ok(Flow::Done)
}

/// Waits for what does not come: for no key.
fn for_replicas(timeout_us: Option<u64>) -> Flow {
    Flow::Park(Wait { keys: 0..0, value_type: ValueType::String, timeout_us })
}

/// Microseconds that a number of milliseconds means; `None`: for ever.
pub(in crate::commands) fn timeout_us(arg: &[u8], now: Millis) -> Result<Option<u64>, CommandError> {
    let ms = parse_i64(arg).ok_or(CommandError::text_static("ERR timeout is not an integer or out of range"))?;
    match ms {
        ..0 => Err(CommandError::text_static("ERR timeout is negative")),
        0 => Ok(None),
        _ if ms > i64::MAX - now.0 => Err(CommandError::text_static("ERR timeout is out of range")),
        _ => Ok(Some((ms as u64).saturating_mul(1000))),
    }
}
