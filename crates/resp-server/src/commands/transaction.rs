//! Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! What is queued, and what a client watches, is the engine's (see [`crate::engine::transaction`]); that requests are queued, and how
//! EXEC carries them out, is dispatch's.

use super::generic::many;
use super::spec::{Arity, CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::holds::Access;
use crate::engine::tasks::{Holding, KEYS_PER_SLICE};
use crate::engine::transaction::Begun;
use crate::engine::{ClientId, Progress, Slice, Sliced};
use crate::proto::{Args, CommandError, Reply};
use Flag::{AllowBusy, Fast, Loading, Noscript, SkipSlowlog, Stale};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&MULTI, &EXEC, &DISCARD, &WATCH, &UNWATCH];

const MULTI: CommandSpec = CommandSpec {
    name: "multi",
    arity: Arity::Exactly(1),
    flags: &[Noscript, Loading, Stale, Fast, AllowBusy],
    keys: &[],
    large: Large::None,
    run: Run::Server(multi),
    doc: Doc {
        summary: "Begins a transaction: requests are queued until EXEC.",
        since: "1.2.0",
        ..Doc::of(Group::Transactions)
    },
};

fn multi(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    if !context.engine.begin_queue(context.client) {
        return Err(CommandError::text_static("ERR MULTI calls can not be nested"));
    }
    reply.ok();
    Ok(Flow::Done)
}

const EXEC: CommandSpec = CommandSpec {
    name: "exec",
    arity: Arity::Exactly(1),
    flags: &[Noscript, Loading, Stale, SkipSlowlog],
    keys: &[],
    large: Large::None,
    run: Run::Server(exec),
    doc: Doc {
        summary: "Carries out the queued requests, with nothing of others between them.",
        since: "1.2.0",
        complexity: "Depends on commands in the transaction",
        ..Doc::of(Group::Transactions)
    },
};

fn exec(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    match context.engine.begin_exec(context.client) {
        Begun::Begins(queue) => Ok(Flow::Transaction(queue)),
        Begun::NoTransaction => Err(CommandError::text_static("ERR EXEC without MULTI")),
        Begun::Aborted => Err(CommandError::text_static("EXECABORT Transaction discarded because of previous errors.")),
        Begun::Touched => {
            reply.null_array();
            Ok(Flow::Done)
        }
    }
}

const DISCARD: CommandSpec = CommandSpec {
    name: "discard",
    run: Run::Server(discard),
    doc: Doc {
        summary: "Ends a transaction without carrying it out.",
        since: "2.0.0",
        complexity: "O(N), when N is the number of queued commands",
        ..Doc::of(Group::Transactions)
    },
    ..MULTI
};

fn discard(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    if !context.engine.client(context.client).is_queueing() {
        return Err(CommandError::text_static("ERR DISCARD without MULTI"));
    }
    context.engine.discard_transaction(context.client);
    reply.ok();
    Ok(Flow::Done)
}

const WATCH: CommandSpec = CommandSpec {
    name: "watch",
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::to_end(1, 1, &[KeyFlag::Ro])],
    run: Run::Server(watch),
    doc: Doc {
        summary: "Makes the next transaction fail if one of the keys is changed before.",
        since: "2.2.0",
        complexity: "O(1) for every key.",
        syntax: "key [key ...]",
        ..Doc::of(Group::Transactions)
    },
    ..MULTI
};

fn watch(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let client = context.engine.client(context.client);
    if client.is_queueing() {
        return Err(CommandError::text_static("ERR WATCH inside MULTI is not allowed"));
    }
    if !context.engine.watching(client).is_touched {
        if many::are_many(args.len() - 1) {
            return Ok(Flow::Sliced(Box::new(WatchMany { client: context.client, next: 1 })));
        }
        args.from(1).for_each(|key| context.engine.watch(context.client, key));
    }
    reply.ok();
    Ok(Flow::Done)
}

/// WATCH of very many keys.
#[derive(Debug)]
struct WatchMany {
    client: ClientId,
    /// The argument to go on with.
    next: usize,
}

impl Sliced for WatchMany {
    fn holding(&self) -> Holding {
        Holding::AsItGoes(Access::Read)
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let end = slice.args.len().min(self.next + KEYS_PER_SLICE);
        while self.next < end {
            let key = slice.args.at(self.next);
            if !slice.take(key) {
                return Ok(Progress::Waits);
            }
            slice.engine.watch(self.client, key);
            self.next += 1;
        }
        if self.next < slice.args.len() {
            return Ok(Progress::More);
        }
        slice.reply.ok();
        Ok(Progress::Done)
    }
}

const UNWATCH: CommandSpec = CommandSpec {
    name: "unwatch",
    run: Run::Server(unwatch),
    doc: Doc { summary: "Watches no key any more.", since: "2.2.0", ..Doc::of(Group::Transactions) },
    ..MULTI
};

fn unwatch(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    context.engine.unwatch(context.client);
    reply.ok();
    Ok(Flow::Done)
}
