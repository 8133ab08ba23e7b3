//! Commands of the connection itself: who the client is, how it is spoken to, which database it uses.

pub(super) mod control;
pub mod tracking;

use super::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, Large, Outcome, Run, reply_help,
};
use crate::engine::client::is_plain;
use crate::engine::parked::Unblock;
use crate::engine::tasks::Holding;
use crate::engine::{ClientId, Engine, Progress, REDIS_VERSION, Slice, Sliced};
use crate::keyspace::Db;
use crate::proto::{Args, CommandError, Protocol, Reply, Value};
use crate::text::integer::parse_i64;
use Flag::{Admin, AllowBusy, Fast, Loading, NoAuth, Noscript, Sentinel, Stale};
use control::{CLIENT_KILL, CLIENT_PAUSE, CLIENT_REPLY, CLIENT_UNPAUSE, ClientType};

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] = &[&PING, &ECHO, &QUIT, &HELLO, &AUTH, &SELECT, &RESET, &CLIENT];

const PING: CommandSpec = CommandSpec {
    name: "ping",
    arity: AtLeast(1),
    flags: &[Fast, Sentinel],
    keys: &[],
    large: Large::At(1),
    run: Run::Keys(ping),
    doc: Doc {
        summary: "Answers PONG, or the message: whether the server is there and how fast.",
        syntax: "[message]",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Doc::of(Group::Connection)
    },
};

fn ping(_: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    match args.len() {
        1 => reply.simple("PONG"),
        2 => echo_value(args.take_value(1), reply),
        _ => return Err(CommandError::Arity("ping")),
    }
    Ok(Flow::Done)
}

/// PING of a RESP2 connection that subscribes to something: its answer looks like a message there.
pub(crate) const PING_OF_SUBSCRIBER: CommandSpec = CommandSpec { run: Run::Keys(ping_of_subscriber), ..PING };

fn ping_of_subscriber(_: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len() > 2 {
        return Err(CommandError::Arity("ping"));
    }
    reply.array(2);
    reply.bulk(b"pong");
    match args.len() {
        1 => reply.bulk(b""),
        _ => echo_value(args.take_value(1), reply),
    }
    Ok(Flow::Done)
}

const ECHO: CommandSpec = CommandSpec {
    name: "echo",
    arity: Exactly(2),
    flags: &[Loading, Stale, Fast],
    keys: &[],
    large: Large::At(1),
    run: Run::Keys(echo),
    doc: Doc { summary: "Answers the message.", syntax: "message", ..Doc::of(Group::Connection) },
};

fn echo(_: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    echo_value(args.take_value(1), reply);
    Ok(Flow::Done)
}

fn echo_value(value: Value<'_>, reply: &mut Reply) {
    match value {
        Value::Bytes(bytes) => reply.bulk(bytes),
        Value::Blob(blob) => reply.bulk_blob(blob.slice(0..blob.len())),
    }
}

const QUIT: CommandSpec = CommandSpec {
    name: "quit",
    arity: AtLeast(1),
    flags: &[Noscript, Loading, Stale, Fast, NoAuth, AllowBusy],
    keys: &[],
    large: Large::None,
    run: Run::Keys(quit),
    doc: Doc {
        summary: "Closes the connection once the replies before it are sent.",
        deprecated: Some(("7.2.0", "closing the connection")),
        ..Doc::of(Group::Connection)
    },
};

fn quit(_: &mut Db<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.ok();
    Ok(Flow::Close)
}

const HELLO: CommandSpec = CommandSpec {
    name: "hello",
    arity: AtLeast(1),
    flags: &[Noscript, Loading, Stale, Fast, NoAuth, Sentinel, AllowBusy],
    keys: &[],
    large: Large::None,
    run: Run::Server(hello),
    doc: Doc {
        summary: "Chooses the protocol, and may authenticate and name the connection; tells about the server.",
        since: "6.0.0",
        syntax: "[protover:integer [AUTH username password] [SETNAME clientname]]",
        ..Doc::of(Group::Connection)
    },
};

fn hello(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    const NOT_A_VERSION: CommandError =
        CommandError::text_static("ERR Protocol version is not an integer or out of range");
    const NO_SUCH_VERSION: CommandError = CommandError::text_static("NOPROTO unsupported protocol version");
    const NOT_AUTHENTICATED: CommandError = CommandError::text_static(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> \
         option can be used to authenticate the client and select the RESP protocol version at the same time",
    );

    let protocol = match args.get(1).map(|version| parse_i64(version).ok_or(NOT_A_VERSION)) {
        None => None,
        Some(Ok(2)) => Some(Protocol::Resp2),
        Some(Ok(3)) => Some(Protocol::Resp3),
        Some(Ok(_)) => return Err(NO_SUCH_VERSION),
        Some(Err(error)) => return Err(error),
    };
    let mut credentials = None;
    let mut name = None;
    let mut at = 2;
    while at < args.len() {
        let arguments_left = args.len() - 1 - at;
        if args.is(at, "AUTH") && arguments_left >= 2 {
            credentials = Some((args.at(at + 1), args.at(at + 2)));
            at += 3;
        } else if args.is(at, "SETNAME") && arguments_left >= 1 {
            name = Some(client_name(args.at(at + 1))?);
            at += 2;
        } else {
            return Err(CommandError::quoting("ERR Syntax error in HELLO option '", args.at(at), "'"));
        }
    }
    if let Some((user, password)) = credentials {
        authenticate(context, user, password)?;
    }

    let client = context.engine.client_mut(context.client);
    if !client.authenticated {
        return Err(NOT_AUTHENTICATED);
    }
    if let Some(name) = name {
        client.name = name.to_vec();
    }
    if let Some(protocol) = protocol {
        client.protocol = protocol;
        reply.protocol = protocol;
    }
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(client.protocol.version());
    reply.bulk(b"id");
    reply.integer(client.id.0 as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(Flow::Done)
}

const AUTH: CommandSpec = CommandSpec {
    name: "auth",
    arity: AtLeast(2),
    flags: &[Noscript, Loading, Stale, Fast, NoAuth, Sentinel, AllowBusy],
    keys: &[],
    large: Large::None,
    run: Run::Server(auth),
    doc: Doc {
        summary: "Shows the password.",
        complexity: "O(N) in the length of the password",
        syntax: "[username] password",
        ..Doc::of(Group::Connection)
    },
};

fn auth(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    match args.len() {
        2 => {
            if context.engine.settings().requirepass.is_empty() {
                return Err(CommandError::text_static(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                     configuration is correct?",
                ));
            }
            authenticate(context, b"default", args.at(1))?;
        }
        3 => authenticate(context, args.at(1), args.at(2))?,
        _ => return Err(CommandError::Syntax),
    }
    reply.ok();
    Ok(Flow::Done)
}

/// There is one user, `default`; without a password any will do.
fn authenticate(context: &mut Context<'_>, user: &[u8], password: &[u8]) -> Result<(), CommandError> {
    let required = &context.engine.settings().requirepass;
    let admitted = user == b"default" && (required.is_empty() || required.matches(password));
    if !admitted {
        context.engine.stats.auth_denied += 1;
        return Err(CommandError::text_static("WRONGPASS invalid username-password pair or user is disabled."));
    }
    context.engine.client_mut(context.client).authenticated = true;
    Ok(())
}

const SELECT: CommandSpec = CommandSpec {
    name: "select",
    arity: Exactly(2),
    flags: &[Loading, Stale, Fast],
    keys: &[],
    large: Large::None,
    run: Run::Server(select),
    doc: Doc {
        summary: "Chooses the database that the connection's commands use.",
        syntax: "index",
        ..Doc::of(Group::Connection)
    },
};

fn select(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let index = selected(context.engine, args)?;
    context.engine.client_mut(context.client).db = index;
    reply.ok();
    Ok(Flow::Done)
}

/// The database that a SELECT names.
pub(crate) fn selected(engine: &Engine, args: &Args<'_>) -> Result<usize, CommandError> {
    let index = parse_i64(args.at(1)).ok_or(CommandError::NotAnInteger)?;
    let index = i32::try_from(index).map_err(|_| {
        CommandError::text_static("ERR value is out of range, value must between -2147483648 and 2147483647")
    })?;
    usize::try_from(index)
        .ok()
        .filter(|&index| index < engine.keyspace.databases())
        .ok_or(CommandError::text_static("ERR DB index is out of range"))
}

const RESET: CommandSpec = CommandSpec {
    name: "reset",
    arity: Exactly(1),
    flags: &[Noscript, Loading, Stale, Fast, NoAuth, AllowBusy],
    keys: &[],
    large: Large::None,
    run: Run::Server(reset),
    doc: Doc {
        summary: "Makes the connection as it was when it was opened.",
        since: "6.2.0",
        ..Doc::of(Group::Connection)
    },
};

fn reset(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    if ends_some(context.engine, context.client) {
        return Ok(Flow::Sliced(Box::new(Resetting(context.client))));
    }
    reset_now(context.engine, context.client, reply);
    Ok(Flow::Done)
}

fn reset_now(engine: &mut Engine, id: ClientId, reply: &mut Reply) {
    engine.leave_monitors(id);
    engine.discard_transaction(id);
    let authenticated = engine.settings().requirepass.is_empty();
    let client = engine.client_mut(id);
    client.reset(authenticated);
    reply.protocol = client.protocol;
    reply.simple("RESET");
}

/// Ends some of what a client is sent; whether there is more.
fn ends_some(engine: &mut Engine, client: ClientId) -> bool {
    engine.unsubscribe_some(client) || engine.stop_tracking(client)
}

/// RESET of a client with many subscriptions, or prefixes.
#[derive(Debug)]
struct Resetting(ClientId);

impl Sliced for Resetting {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        if ends_some(slice.engine, self.0) {
            return Ok(Progress::More);
        }
        reset_now(slice.engine, self.0, slice.reply);
        Ok(Progress::Done)
    }
}

const CLIENT: CommandSpec = CommandSpec {
    name: "client",
    arity: AtLeast(2),
    flags: &[Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Subcommands(&[
        &CLIENT_ID,
        &CLIENT_SETNAME,
        &CLIENT_GETNAME,
        &CLIENT_SETINFO,
        &CLIENT_INFO,
        &CLIENT_KILL,
        &CLIENT_LIST,
        &CLIENT_NO_EVICT,
        &CLIENT_NO_TOUCH,
        &CLIENT_PAUSE,
        &CLIENT_REPLY,
        &CLIENT_UNBLOCK,
        &tracking::TRACKING,
        &tracking::CACHING,
        &tracking::TRACKINGINFO,
        &tracking::GETREDIR,
        &CLIENT_UNPAUSE,
        &CLIENT_HELP,
    ]),
    doc: Doc {
        summary: "A container for commands about connections.",
        since: "2.4.0",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Connection)
    },
};

const CLIENT_ID: CommandSpec = CommandSpec {
    name: "id",
    arity: Exactly(2),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_id),
    doc: Doc {
        summary: "Tells the connection's number, which is never used twice.",
        since: "5.0.0",
        ..Doc::of(Group::Connection)
    },
};

fn client_id(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.integer(context.client.0 as i64);
    Ok(Flow::Done)
}

const CLIENT_SETNAME: CommandSpec = CommandSpec {
    name: "setname",
    arity: Exactly(3),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_setname),
    doc: Doc {
        summary: "Names the connection, for CLIENT LIST; the empty name takes its name away.",
        since: "2.6.9",
        syntax: "connection-name",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..Doc::of(Group::Connection)
    },
};

fn client_setname(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let name = client_name(args.at(2))?.to_vec();
    context.engine.client_mut(context.client).name = name;
    reply.ok();
    Ok(Flow::Done)
}

fn client_name(name: &[u8]) -> Result<&[u8], CommandError> {
    is_plain(name)
        .then_some(name)
        .ok_or(CommandError::text_static("ERR Client names cannot contain spaces, newlines or special characters."))
}

const CLIENT_GETNAME: CommandSpec = CommandSpec {
    name: "getname",
    arity: Exactly(2),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_getname),
    doc: Doc { summary: "Tells the connection's name.", since: "2.6.9", ..Doc::of(Group::Connection) },
};

fn client_getname(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    match &context.engine.client(context.client).name[..] {
        b"" => reply.null(),
        name => reply.bulk(name),
    }
    Ok(Flow::Done)
}

const CLIENT_SETINFO: CommandSpec = CommandSpec {
    name: "setinfo",
    arity: Exactly(4),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_setinfo),
    doc: Doc {
        summary: "Tells which library the client uses, for CLIENT LIST.",
        since: "7.2.0",
        syntax: "<LIB-NAME libname | LIB-VER libver>",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..Doc::of(Group::Connection)
    },
};

fn client_setinfo(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let client = context.engine.client_mut(context.client);
    let attribute = args.at(2);
    let field = if args.is(2, "LIB-NAME") {
        &mut client.lib_name
    } else if args.is(2, "LIB-VER") {
        &mut client.lib_ver
    } else {
        return Err(CommandError::quoting("ERR Unrecognized option '", attribute, "'"));
    };
    if !is_plain(args.at(3)) {
        let reason = " cannot contain spaces, newlines or special characters.";
        return Err(CommandError::quoting("ERR ", attribute, reason));
    }
    *field = args.at(3).to_vec();
    reply.ok();
    Ok(Flow::Done)
}

const CLIENT_INFO: CommandSpec = CommandSpec {
    name: "info",
    arity: Exactly(2),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_info),
    doc: Doc {
        summary: "Tells about this connection what CLIENT LIST tells about all.",
        since: "6.2.0",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Connection)
    },
};

fn client_info(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    let mut line = Vec::new();
    context.engine.describe_client(context.client, &mut line);
    line.push(b'\n');
    reply.verbatim("txt", &line);
    Ok(Flow::Done)
}

const CLIENT_LIST: CommandSpec = CommandSpec {
    name: "list",
    arity: AtLeast(2),
    flags: &[Admin, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_list),
    doc: Doc {
        summary: "Lists the connections.",
        since: "2.4.0",
        complexity: "O(N) in the number of connections",
        syntax: "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Connection)
    },
};

fn client_list(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let engine = &*context.engine;
    let mut kind = None;
    let asked = if args.len() == 2 {
        Asked::These(engine.clients.ids().into_iter())
    } else if args.len() == 4 && args.is(2, "TYPE") {
        kind = Some(ClientType::read(args, 3)?);
        Asked::These(engine.clients.ids().into_iter())
    } else if args.len() > 3 && args.is(2, "ID") {
        Asked::Arguments { next: 3 }
    } else {
        return Err(CommandError::Syntax);
    };
    let mut list = ClientList { asked, kind, text: Reply::new() };
    if list.go_on(engine, args)? {
        reply.verbatim_gathered("txt", list.text);
        return Ok(Flow::Done);
    }
    Ok(Flow::Sliced(Box::new(list)))
}

/// Clients that a slice describes, some 0.7 us each.
const CLIENTS_PER_SLICE: usize = 64;

/// CLIENT LIST under way: in slices if they are more. Each client is told of as it is then; those that have gone are left out.
#[derive(Debug)]
struct ClientList {
    asked: Asked,
    /// Only those of this type.
    kind: Option<ClientType>,
    text: Reply,
}

/// The clients that are still to be told of.
#[derive(Debug)]
enum Asked {
    These(std::vec::IntoIter<ClientId>),
    /// Those whose numbers the request names from this argument on.
    Arguments {
        next: usize,
    },
}

impl ClientList {
    /// Tells of a slice's worth of clients; whether those were all.
    fn go_on(&mut self, engine: &Engine, args: &Args<'_>) -> Result<bool, CommandError> {
        let mut text = Vec::new();
        for _ in 0..CLIENTS_PER_SLICE {
            let id = match &mut self.asked {
                Asked::These(ids) => match ids.next() {
                    Some(id) => Some(id),
                    None => break,
                },
                Asked::Arguments { next } => {
                    let Some(id) = args.get(*next) else { break };
                    *next += 1;
                    let id = parse_i64(id).ok_or(CommandError::text_static("ERR Invalid client ID"))?;
                    u64::try_from(id).ok().map(ClientId)
                }
            };
            if let Some(id) = id.filter(|&id| self.kind.is_none_or(|kind| ClientType::is_of(engine, id, kind)))
                && engine.describe_client(id, &mut text)
            {
                text.push(b'\n');
            }
        }
        self.text.raw(&text);
        self.text.seal(16 * 1024);
        Ok(match &self.asked {
            Asked::These(ids) => ids.len() == 0,
            Asked::Arguments { next } => *next == args.len(),
        })
    }
}

impl Sliced for ClientList {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        if !self.go_on(slice.engine, slice.args)? {
            return Ok(Progress::More);
        }
        slice.reply.verbatim_gathered("txt", std::mem::take(&mut self.text));
        Ok(Progress::Done)
    }

    fn end(&mut self, engine: &mut Engine) {
        engine.discard(std::mem::take(&mut self.text));
    }
}

const CLIENT_NO_EVICT: CommandSpec = CommandSpec {
    name: "no-evict",
    arity: Exactly(3),
    flags: &[Admin, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_no_evict),
    doc: Doc {
        summary: "Spares the connection when connections are closed to save memory.",
        since: "7.0.0",
        syntax: "<ON | OFF>",
        ..Doc::of(Group::Connection)
    },
};

fn client_no_evict(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let on = on_or_off(args)?;
    context.engine.client_mut(context.client).no_evict = on;
    reply.ok();
    Ok(Flow::Done)
}

const CLIENT_NO_TOUCH: CommandSpec = CommandSpec {
    name: "no-touch",
    arity: Exactly(3),
    flags: &[Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_no_touch),
    doc: Doc {
        summary: "Lets the connection's commands leave no trace in the keys' times of last use.",
        since: "7.2.0",
        syntax: "<ON | OFF>",
        ..Doc::of(Group::Connection)
    },
};

fn client_no_touch(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let on = on_or_off(args)?;
    context.engine.client_mut(context.client).no_touch = on;
    reply.ok();
    Ok(Flow::Done)
}

const CLIENT_UNBLOCK: CommandSpec = CommandSpec {
    name: "unblock",
    arity: AtLeast(3),
    flags: &[Admin, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_unblock),
    doc: Doc {
        summary: "Ends the wait of a connection that is blocked.",
        since: "5.0.0",
        complexity: "O(log N) in the number of blocked connections, for each key that it waits for",
        syntax: "client-id [TIMEOUT | ERROR]",
        ..Doc::of(Group::Connection)
    },
};

fn client_unblock(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len() > 4 {
        return Err(CommandError::wrong_subcommand("CLIENT", args.at(1)));
    }
    let how = if args.len() == 3 || args.is(3, "timeout") {
        Unblock::Timeout
    } else if args.is(3, "error") {
        Unblock::Error
    } else {
        return Err(CommandError::text_static("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    };
    let id = parse_i64(args.at(2)).ok_or(CommandError::NotAnInteger)?;
    let unblocked = u64::try_from(id).is_ok_and(|id| context.engine.unblock(ClientId(id), how));
    reply.integer(i64::from(unblocked));
    Ok(Flow::Done)
}

fn on_or_off(args: &Args<'_>) -> Result<bool, CommandError> {
    match (args.is(2, "ON"), args.is(2, "OFF")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

const CLIENT_HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Exactly(2),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(client_help),
    doc: Doc { summary: "Tells what CLIENT can do.", since: "5.0.0", ..Doc::of(Group::Connection) },
};

fn client_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(
        reply,
        "CLIENT",
        &[
            "CACHING (YES|NO)",
            "    Keep, or do not keep, what the next command reads (see TRACKING).",
            "GETNAME",
            "    The connection's name.",
            "GETREDIR",
            "    The number of the connection that is told of keys that change, in place of this one.",
            "ID",
            "    The connection's number.",
            "INFO",
            "    The connection's line of CLIENT LIST.",
            "KILL <ip:port>",
            "    Close the connection from an address.",
            "KILL <filter> <value> [<filter> <value> ...]",
            "    Close all connections that pass the filters:",
            "    ID <client-id>, ADDR <ip:port>, LADDR <ip:port>, TYPE (NORMAL|MASTER|REPLICA|PUBSUB), USER <name>,",
            "    MAXAGE <seconds> (as old or older), SKIPME (YES|NO) (spare the own connection: YES unless given).",
            "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <client-id> [<client-id> ...]]",
            "    All connections, or those of a type, or those with these numbers.",
            "NO-EVICT (ON|OFF)",
            "    Spare the connection when connections are closed to save memory.",
            "NO-TOUCH (ON|OFF)",
            "    Do not count the connection's commands as use of their keys.",
            "PAUSE <milliseconds> [WRITE|ALL]",
            "    Let all commands wait, or those that write.",
            "REPLY (ON|OFF|SKIP)",
            "    Turn the connection's replies on or off, or off for the next command.",
            "SETINFO (LIB-NAME|LIB-VER) <value>",
            "    Tell which library the client uses.",
            "SETNAME <name>",
            "    Name the connection.",
            "TRACKING (ON|OFF) [REDIRECT <client-id>] [BCAST] [PREFIX <prefix> [...]]",
            "         [OPTIN] [OPTOUT] [NOLOOP]",
            "    Tell the connection, or not, when keys change whose values it keeps.",
            "TRACKINGINFO",
            "    How the connection is told of keys that change.",
            "UNBLOCK <client-id> [TIMEOUT|ERROR]",
            "    End the wait of a connection, as if its time were up or with an error.",
            "UNPAUSE",
            "    End the pause.",
        ],
    );
    Ok(Flow::Done)
}
