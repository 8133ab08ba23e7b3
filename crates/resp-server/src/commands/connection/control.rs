//! CLIENT subcommands that act on connections: KILL, PAUSE, UNPAUSE, REPLY.

use crate::commands::server::replication::timeout_us;
use crate::commands::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, Large, Outcome, Run,
};
use crate::engine::pause::Paused;
use crate::engine::settings::ClientClass;
use crate::engine::{Client, ClientId, Engine, Replies};
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;
use Flag::{Admin, Loading, Noscript, Sentinel, Stale};

pub(super) const CLIENT_KILL: CommandSpec = CommandSpec {
    name: "kill",
    arity: AtLeast(3),
    flags: &[Admin, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_kill),
    doc: Doc {
        summary: "Closes connections: that from an address, or all that pass every filter.",
        since: "2.4.0",
        complexity: "O(N) in the number of connections",
        syntax: "<old-format | <ID client-id | TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB> | USER username | ADDR addr | \
                 LADDR laddr | SKIPME <YES | NO> | MAXAGE maxage:integer>>",
        ..Doc::of(Group::Connection)
    },
};

/// The kinds of clients that filters name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientType {
    /// Those that send commands.
    Normal,
    /// Links to a master: there are none.
    Master,
    /// Replicas: there are none.
    Replica,
    /// Subscribers.
    Pubsub,
}

impl ClientType {
    /// The type that argument `at` names, in any case.
    pub(super) fn read(args: &Args<'_>, at: usize) -> Result<ClientType, CommandError> {
        const NAMES: [(&str, ClientType); 5] = [
            ("normal", ClientType::Normal),
            ("slave", ClientType::Replica),
            ("replica", ClientType::Replica),
            ("pubsub", ClientType::Pubsub),
            ("master", ClientType::Master),
        ];
        let named = NAMES.iter().find(|(name, _)| args.is(at, name)).map(|&(_, kind)| kind);
        named.ok_or_else(|| CommandError::quoting("ERR Unknown client type '", args.at(at), "'"))
    }

    /// The type of a client.
    pub(super) fn of(client: &Client) -> ClientType {
        match client.class() {
            ClientClass::Normal => ClientType::Normal,
            ClientClass::Replica => ClientType::Replica,
            ClientClass::Pubsub => ClientType::Pubsub,
        }
    }

    /// Whether a client is connected and of a type.
    pub(super) fn is_of(engine: &Engine, client: ClientId, kind: ClientType) -> bool {
        engine.clients.get(client).is_some_and(|client| ClientType::of(client) == kind)
    }
}

/// Which clients KILL means; a filter that is not set lets all pass.
#[derive(Debug, Default)]
struct Filter<'a> {
    id: Option<u64>,
    max_age_seconds: Option<u64>,
    kind: Option<ClientType>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    spares_own: bool,
}

impl<'a> Filter<'a> {
    /// The filters from argument 2 on; the last of a kind counts.
    fn read(args: &Args<'a>) -> Result<Filter<'a>, CommandError> {
        let mut filter = Filter { spares_own: true, ..Filter::default() };
        for at in (2..args.len()).step_by(2) {
            if at + 1 == args.len() {
                return Err(CommandError::Syntax);
            }
            let value = args.at(at + 1);
            if args.is(at, "ID") {
                let id = parse_i64(value).filter(|&id| id > 0);
                let id = id.ok_or(CommandError::text_static("ERR client-id should be greater than 0"))?;
                filter.id = Some(id as u64);
            } else if args.is(at, "MAXAGE") {
                let age = parse_i64(value)
                    .ok_or(CommandError::text_static("ERR maxage is not an integer or out of range"))
                    .and_then(|age| match age {
                        ..=0 => Err(CommandError::text_static("ERR maxage should be greater than 0")),
                        age => Ok(age as u64),
                    })?;
                filter.max_age_seconds = Some(age);
            } else if args.is(at, "TYPE") {
                filter.kind = Some(ClientType::read(args, at + 1)?);
            } else if args.is(at, "ADDR") {
                filter.addr = Some(value);
            } else if args.is(at, "LADDR") {
                filter.laddr = Some(value);
            } else if args.is(at, "USER") {
                // There is one user, whom all clients are.
                if value != b"default" {
                    return Err(CommandError::quoting("ERR No such user '", value, "'"));
                }
            } else if args.is(at, "SKIPME") && args.is(at + 1, "YES") {
                filter.spares_own = true;
            } else if args.is(at, "SKIPME") && args.is(at + 1, "NO") {
                filter.spares_own = false;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(filter)
    }

    /// Whether a client passes; `own` is who asks.
    fn passes(&self, client: &Client, own: ClientId, now_us: u64) -> bool {
        let age_seconds = now_us.saturating_sub(client.connected_us) / 1_000_000;
        self.addr.is_none_or(|addr| client.peer.addr.as_bytes() == addr)
            && self.laddr.is_none_or(|laddr| client.peer.laddr.as_bytes() == laddr)
            && self.kind.is_none_or(|kind| ClientType::of(client) == kind)
            && self.id.is_none_or(|id| client.id.0 == id)
            && !(self.spares_own && client.id == own)
            && self.max_age_seconds.is_none_or(|least| age_seconds >= least)
    }
}

fn client_kill(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let by_address = args.len() == 3;
    let filter = if by_address { Filter { addr: Some(args.at(2)), ..Filter::default() } } else { Filter::read(args)? };
    let (engine, own) = (&mut *context.engine, context.client);
    let now_us = engine.now().monotonic_us;
    let passes = |client: &&Client| filter.passes(client, own, now_us);
    let meant: Vec<ClientId> = match filter.id {
        Some(id) => engine.clients.get(ClientId(id)).filter(passes).map(|client| client.id).into_iter().collect(),
        None => engine.clients.iter().filter(passes).map(|client| client.id).collect(),
    };
    meant.iter().filter(|&&client| client != own).for_each(|&client| engine.kill(client));
    match (by_address, meant.len()) {
        (true, 0) => return Err(CommandError::text_static("ERR No such client")),
        (true, _) => reply.ok(),
        (false, count) => reply.count(count),
    }
    Ok(if meant.contains(&own) { Flow::Close } else { Flow::Done })
}

pub(super) const CLIENT_PAUSE: CommandSpec = CommandSpec {
    name: "pause",
    arity: AtLeast(3),
    flags: &[Admin, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_pause),
    doc: Doc {
        summary: "Lets all commands wait for a while, or those that write.",
        since: "3.0.0",
        syntax: "timeout:integer [WRITE | ALL]",
        ..Doc::of(Group::Connection)
    },
};

fn client_pause(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let what = match args.len() {
        4 if args.is(3, "WRITE") => Paused::Writes,
        4 if !args.is(3, "ALL") => {
            return Err(CommandError::text_static("ERR CLIENT PAUSE mode must be WRITE or ALL"));
        }
        3 | 4 => Paused::All,
        _ => return Err(CommandError::wrong_subcommand("CLIENT", args.at(1))),
    };
    let now = context.engine.now();
    let us = timeout_us(args.at(2), context.engine.keyspace.now())?.unwrap_or(0);
    context.engine.pause(what, now.monotonic_us.saturating_add(us));
    reply.ok();
    Ok(Flow::Done)
}

pub(super) const CLIENT_UNPAUSE: CommandSpec = CommandSpec {
    name: "unpause",
    arity: Exactly(2),
    flags: &[Admin, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_unpause),
    doc: Doc {
        summary: "Ends the pause of CLIENT PAUSE.",
        since: "6.2.0",
        complexity: "O(N) in the number of connections that wait, a bounded number at a time",
        ..Doc::of(Group::Connection)
    },
};

fn client_unpause(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    context.engine.unpause();
    reply.ok();
    Ok(Flow::Done)
}

pub(super) const CLIENT_REPLY: CommandSpec = CommandSpec {
    name: "reply",
    arity: Exactly(3),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_reply),
    doc: Doc {
        summary: "Turns the connection's replies off or on, or off for its next command.",
        since: "3.2.0",
        syntax: "<ON | OFF | SKIP>",
        ..Doc::of(Group::Connection)
    },
};

fn client_reply(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let client = context.engine.client_mut(context.client);
    if args.is(2, "ON") {
        client.replies = Replies::All;
        reply.ok();
    } else if args.is(2, "OFF") {
        client.replies = Replies::None;
    } else if args.is(2, "SKIP") {
        if client.replies != Replies::None {
            client.replies = Replies::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(Flow::Done)
}
