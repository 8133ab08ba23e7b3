//! COMMANDLOG of Valkey 8.1: the commands that took long, and those whose request or reply was large.
//!
//! What took long is the slow log, which SLOWLOG tells as well. What is kept of a command, and when, is
//! [`crate::engine::slowlog`]'s.

use super::slowlog::reply_entries;
use crate::commands::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, Large, Outcome, Run, reply_help,
};
use crate::engine::Engine;
use crate::engine::slowlog::SlowLog;
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;
use Flag::{Admin, Loading, Stale};

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] = &[&COMMANDLOG];

const COMMANDLOG: CommandSpec = CommandSpec {
    name: "commandlog",
    arity: AtLeast(2),
    flags: &[],
    keys: &[],
    large: Large::None,
    run: Run::Subcommands(&[&GET, &HELP, &LEN, &RESET]),
    doc: Doc {
        summary: "A container for commands about the logs of commands.",
        since: "8.1.0",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Server)
    },
};

/// The log that argument `at` names.
fn log<'a>(engine: &'a mut Engine, args: &Args<'_>, at: usize) -> Result<&'a mut SlowLog, CommandError> {
    const UNKNOWN: CommandError =
        CommandError::text_static("ERR type should be one of the following: slow, large-request, large-reply");
    if args.is(at, "slow") {
        Ok(&mut engine.slowlog)
    } else if args.is(at, "large-request") {
        Ok(&mut engine.large_requests)
    } else if args.is(at, "large-reply") {
        Ok(&mut engine.large_replies)
    } else {
        Err(UNKNOWN)
    }
}

const GET: CommandSpec = CommandSpec {
    name: "get",
    arity: Exactly(4),
    flags: &[Admin, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(get),
    doc: Doc {
        summary: "Tells the latest entries of a log.",
        since: "8.1.0",
        complexity: "O(N) in the number of entries told",
        syntax: "count:integer type",
        tips: &["request_policy:all_nodes", "nondeterministic_output"],
        ..Doc::of(Group::Server)
    },
};

fn get(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let count = match parse_i64(args.at(2)) {
        Some(-1) => usize::MAX,
        Some(count @ 0..) => usize::try_from(count).unwrap_or(usize::MAX),
        _ => return Err(CommandError::text_static("ERR count should be greater than or equal to -1")),
    };
    let log = log(context.engine, args, 3)?;
    reply_entries(log, count, reply);
    Ok(Flow::Done)
}

const LEN: CommandSpec = CommandSpec {
    name: "len",
    arity: Exactly(3),
    run: Run::Server(len),
    doc: Doc {
        summary: "Counts the entries of a log.",
        complexity: "O(1)",
        syntax: "type",
        tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
        ..GET.doc
    },
    ..GET
};

fn len(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.count(log(context.engine, args, 2)?.entries().len());
    Ok(Flow::Done)
}

const RESET: CommandSpec = CommandSpec {
    name: "reset",
    arity: Exactly(3),
    run: Run::Server(reset),
    doc: Doc {
        summary: "Forgets all entries of a log.",
        complexity: "O(N) in the number of entries",
        syntax: "type",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..GET.doc
    },
    ..GET
};

fn reset(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    log(context.engine, args, 2)?.reset();
    reply.ok();
    Ok(Flow::Done)
}

const HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Exactly(2),
    flags: &[Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(help),
    doc: Doc { summary: "Tells what COMMANDLOG can do.", since: "8.1.0", ..Doc::of(Group::Server) },
};

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(
        reply,
        "COMMANDLOG",
        &[
            "GET <count> <type>",
            "    The latest entries of a log: slow, large-request or large-reply; a count of -1 is all. An entry has a number,",
            "    the time in seconds, microseconds or bytes, the arguments, and the client's address and name.",
            "LEN <type>",
            "    How many entries there are.",
            "RESET <type>",
            "    Forget all entries.",
        ],
    );
    Ok(Flow::Done)
}
