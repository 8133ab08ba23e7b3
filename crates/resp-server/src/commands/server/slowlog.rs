//! SLOWLOG: the commands that took long. What is kept of them, and when, is [`crate::engine::slowlog`]'s.

use crate::commands::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, Large, Outcome, Run, reply_help,
};
use crate::engine::slowlog::SlowLog;
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;
use Flag::{Admin, Loading, Stale};

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] = &[&SLOWLOG];

/// Entries that GET tells unless it is asked for another number.
const GET_DEFAULT: usize = 10;

const SLOWLOG: CommandSpec = CommandSpec {
    name: "slowlog",
    arity: AtLeast(2),
    flags: &[],
    keys: &[],
    large: Large::None,
    run: Run::Subcommands(&[&SLOWLOG_GET, &SLOWLOG_HELP, &SLOWLOG_LEN, &SLOWLOG_RESET]),
    doc: Doc {
        summary: "A container for commands about the slow log.",
        since: "2.2.12",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Server)
    },
};

const SLOWLOG_GET: CommandSpec = CommandSpec {
    name: "get",
    arity: AtLeast(2),
    flags: &[Admin, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(slowlog_get),
    doc: Doc {
        summary: "Tells the latest entries of the slow log.",
        since: "2.2.12",
        complexity: "O(N) in the number of entries told",
        syntax: "[count]",
        tips: &["request_policy:all_nodes", "nondeterministic_output"],
        ..Doc::of(Group::Server)
    },
};

fn slowlog_get(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let count = match args.len() {
        2 => GET_DEFAULT,
        3 => match parse_i64(args.at(2)) {
            Some(-1) => usize::MAX,
            Some(count @ 0..) => usize::try_from(count).unwrap_or(usize::MAX),
            _ => return Err(CommandError::text_static("ERR count should be greater than or equal to -1")),
        },
        _ => {
            let before = "ERR unknown subcommand or wrong number of arguments for '";
            return Err(CommandError::quoting(before, args.at(1), "'. Try SLOWLOG HELP."));
        }
    };
    reply_entries(&context.engine.slowlog, count, reply);
    Ok(Flow::Done)
}

/// The latest entries of a log, at most so many.
pub(super) fn reply_entries(log: &SlowLog, count: usize, reply: &mut Reply) {
    let entries = log.entries();
    reply.array(entries.len().min(count));
    for entry in entries.take(count) {
        reply.array(6);
        reply.integer(entry.id as i64);
        reply.integer(entry.unix_seconds);
        reply.integer(entry.us as i64);
        reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| reply.bulk(arg));
        reply.bulk(entry.addr.as_bytes());
        reply.bulk(&entry.name);
    }
}

const SLOWLOG_HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Exactly(2),
    flags: &[Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(slowlog_help),
    doc: Doc { summary: "Tells what SLOWLOG can do.", since: "6.2.0", ..Doc::of(Group::Server) },
};

fn slowlog_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(
        reply,
        "SLOWLOG",
        &[
            "GET [<count>]",
            "    The latest entries, 10 unless a count is given; -1 is all. An entry has a number, the time in seconds,",
            "    the microseconds that the command took, its arguments, and the client's address and name.",
            "LEN",
            "    How many entries there are.",
            "RESET",
            "    Forget all entries.",
        ],
    );
    Ok(Flow::Done)
}

const SLOWLOG_LEN: CommandSpec = CommandSpec {
    name: "len",
    arity: Exactly(2),
    flags: &[Admin, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(slowlog_len),
    doc: Doc {
        summary: "Counts the entries of the slow log.",
        since: "2.2.12",
        tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
        ..Doc::of(Group::Server)
    },
};

fn slowlog_len(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.count(context.engine.slowlog.entries().len());
    Ok(Flow::Done)
}

const SLOWLOG_RESET: CommandSpec = CommandSpec {
    name: "reset",
    arity: Exactly(2),
    flags: &[Admin, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(slowlog_reset),
    doc: Doc {
        summary: "Forgets all entries of the slow log.",
        since: "2.2.12",
        complexity: "O(N) in the number of entries",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..Doc::of(Group::Server)
    },
};

fn slowlog_reset(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    context.engine.slowlog.reset();
    reply.ok();
    Ok(Flow::Done)
}
