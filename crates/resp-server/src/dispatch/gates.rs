//! Why a request may be refused: a row a reason, in the order in which they are asked.
//!
//! Whether a gate can matter is known beforehand on two sides: which commands it concerns (fixed) and whether it stands
//! closed for a client (changes with settings and with what the client does). Both are masks of bits, one bit a gate, and
//! as long as they have none in common the request passes all gates with one test. Otherwise the rows are asked one by one,
//! first to last, and the first that refuses gives the reply.

use std::ops::Range;

use chunkbuf::KEY_LEN_MAX;

use super::lookup::{Command, Resolved};
use super::news;
use crate::commands::{ARGUMENT_BYTES_MAX, Arity, CommandSpec, Flag, Group};
use crate::engine::{Client, Engine};
use crate::keyspace::check_key;
use crate::proto::{Args, CommandError, until_nul};

/// A set of gates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gates(u32);

impl Gates {
    /// Whether no gate is in both sets.
    #[inline]
    pub(super) fn is_disjoint(self, other: Gates) -> bool {
        self.0 & other.0 == 0
    }
}

/// A row: one reason to refuse a request.
pub(super) struct Gate {
    /// What it is about.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader of the table, and for tests"))]
    pub(super) name: &'static str,
    /// Which commands it concerns.
    pub(super) concerns: fn(&CommandSpec) -> bool,
    /// Whether it may refuse those commands to this client at the moment.
    pub(super) closed: fn(&Engine, &Client) -> bool,
    /// The reply if it refuses.
    pub(super) refuse: fn(&Request<'_>) -> Option<CommandError>,
}

/// What a gate can see.
pub(super) struct Request<'a> {
    pub(super) engine: &'a Engine,
    pub(super) client: &'a Client,
    pub(super) resolved: Resolved<'a>,
    pub(super) args: &'a Args<'a>,
}

/// Every reason, in Redis's order: what does not exist is said to anyone, then the number of arguments, then who may.
///
/// The first four are about the request's form: they have no bits, for [`passes_form`] tells at once whether they matter.
pub(super) const GATES: &[Gate] = &[
    Gate {
        name: "the command exists",
        concerns: |_| false,
        closed: |_, _| false,
        refuse: |request| match request.resolved {
            Resolved::NoSuchCommand => Some(unknown_command(request.args)),
            _ => None,
        },
    },
    Gate {
        name: "the subcommand exists",
        concerns: |_| false,
        closed: |_, _| false,
        refuse: |request| match request.resolved {
            Resolved::NoSuchSubcommand(container) => Some(unknown_subcommand(container, request.args.at(1))),
            _ => None,
        },
    },
    Gate {
        name: "the number of arguments is right",
        concerns: |_| false,
        closed: |_, _| false,
        refuse: |request| {
            let command = request.command()?;
            let admitted = command.spec.arity.admits(request.args.len());
            (!admitted).then_some(CommandError::Arity(command.name))
        },
    },
    Gate {
        name: "no argument is longer than its place allows",
        concerns: |_| false,
        closed: |_, _| false,
        refuse: |request| too_long(request.command()?.spec, request.args, 0..request.args.len()),
    },
    Gate {
        name: "the command is enabled for the client",
        concerns: |command| command.is(Flag::Protected),
        closed: |engine, client| !engine.settings().enable_debug_command.admits(client),
        refuse: |request| {
            let admitted = request.engine.settings().enable_debug_command.admits(request.client);
            (!admitted && request.command()?.spec.is(Flag::Protected))
                .then_some(CommandError::text_static(DEBUG_REFUSED))
        },
    },
    Gate {
        name: "the client has shown the password",
        concerns: |command| !command.is(Flag::NoAuth),
        closed: |_, client| !client.authenticated,
        refuse: |request| {
            let refused = !request.client.authenticated && !request.command()?.spec.is(Flag::NoAuth);
            refused.then_some(CommandError::text_static("NOAUTH Authentication required."))
        },
    },
    Gate {
        name: "the command is allowed in a transaction, if the client is in one",
        concerns: |command| !command.is_never_queued(),
        closed: |_, client| client.is_queueing(),
        // What is not refused is queued.
        refuse: |request| {
            let refused = request.client.is_queueing() && request.command()?.spec.is(Flag::NoMulti);
            refused.then_some(CommandError::text_static("ERR Command not allowed inside a transaction"))
        },
    },
    Gate {
        name: "there is memory for a write",
        concerns: |command| command.is(Flag::DenyOom) || command.is_exec(),
        // A turn does not write so much that more would have to be known.
        closed: |engine, _| engine.is_short_of_memory(),
        refuse: |request| {
            let spec = request.command()?.spec;
            let queue = request.client.queue().filter(|_| spec.is_exec());
            let needs_memory = spec.is(Flag::DenyOom) || queue.is_some_and(|queue| queue.denies_oom);
            (needs_memory && request.engine.out_of_memory()).then_some(CommandError::OutOfMemory)
        },
    },
    Gate {
        name: "the connection may do more than subscribe",
        concerns: |command| !serves_subscribers(command),
        closed: |_, client| news::is_only_subscriber(client),
        refuse: |request| {
            let command = request.command()?;
            let refused = news::is_only_subscriber(request.client) && !serves_subscribers(command.spec);
            refused.then(|| CommandError::quoting("ERR Can't execute '", command.name.as_bytes(), ONLY_PUBSUB))
        },
    },
    Gate {
        name: "the client may touch keys",
        concerns: touches_keys,
        closed: |_, client| client.is_monitor(),
        refuse: |request| {
            let refused = request.client.is_monitor() && touches_keys(request.command()?.spec);
            refused.then_some(CommandError::text_static("ERR Replica can't interact with the keyspace"))
        },
    },
    Gate {
        name: "nobody looks at all that the client asks",
        concerns: |_| true,
        closed: news::is_watched,
        // It is not refused: it is noted (see `news`).
        refuse: |_| None,
    },
    Gate {
        name: "no long command holds its keys",
        concerns: |command| command.touches_keys() || command.is_exec(),
        closed: |engine, _| !engine.holds.is_idle(),
        // It is not refused: it waits (see `holding`).
        refuse: |_| None,
    },
    Gate {
        name: "clients are not paused",
        concerns: |_| true,
        closed: |engine, _| engine.is_paused(true),
        // It is not refused: it waits (see `engine::pause`).
        refuse: |_| None,
    },
    Gate {
        name: "the client wants its reply",
        concerns: |_| true,
        closed: |_, client| client.is_muted() || client.killed,
        // It is not refused: its reply is dropped (see `muted`).
        refuse: |_| None,
    },
];

/// What a RESP2 connection may ask while it subscribes to something.
fn serves_subscribers(command: &CommandSpec) -> bool {
    match command.doc.group {
        Group::Connection => ["ping", "quit", "reset"].contains(&command.name),
        Group::Pubsub => command.is_about_subscriptions(),
        _ => false,
    }
}

const ONLY_PUBSUB: &str = "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";

/// Whether a command reads or changes data, or is told to replicas: a monitor, which counts as one, may not.
fn touches_keys(command: &CommandSpec) -> bool {
    command.is(Flag::Write) || command.is(Flag::Readonly) || command.is(Flag::MayReplicate)
}

/// The words are Redis's. DEBUG is the only protected command so far.
const DEBUG_REFUSED: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
     from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.";

const _: () = assert!(GATES.len() <= u32::BITS as usize);

impl<'a> Request<'a> {
    fn command(&self) -> Option<&'a Command> {
        match self.resolved {
            Resolved::Found(command) => Some(command),
            Resolved::NoSuchCommand | Resolved::NoSuchSubcommand(_) => None,
        }
    }
}

/// The gates that concern a command.
pub(super) fn concerning(command: &CommandSpec) -> Gates {
    set_of(|gate| (gate.concerns)(command))
}

/// The gates that are closed for a client at the moment. It changes only when a command that reaches beyond keys runs.
pub(super) fn closed(engine: &Engine, client: &Client) -> Gates {
    set_of(|gate| (gate.closed)(engine, client))
}

fn set_of(includes: impl Fn(&Gate) -> bool) -> Gates {
    let bits = GATES.iter().enumerate().filter(|(_, gate)| includes(gate)).fold(0, |bits, (at, _)| bits | 1 << at);
    Gates(bits)
}

/// Whether the gates about form, which have no bits, cannot refuse: a command takes this many arguments, and as they are not long
/// together, none is.
#[inline]
pub(super) fn passes_form(arity: Arity, count: usize, extent: usize) -> bool {
    arity.admits(count) && extent <= KEY_LEN_MAX
}

/// What is said against the first of some arguments that is too long. Halves that are not long together are passed over, so it costs
/// their bytes divided by [`KEY_LEN_MAX`], however many they are. Those that stand apart were received as values.
fn too_long(spec: &CommandSpec, args: &Args<'_>, range: Range<usize>) -> Option<CommandError> {
    let span = |at| args.spans().nth(at).expect("it is one of them");
    let (first, last) = (span(range.start), span(range.end - 1));
    if (last.start - first.start) as usize + last.len as usize <= KEY_LEN_MAX {
        return None;
    }
    if range.len() == 1 {
        let at = range.start;
        if spec.is(Flag::Blocking) && spec.takes_key_at(at, args) {
            // It would be waited for in vain.
            return check_key(args.at(at)).err();
        }
        let refused = args.at(at).len() > ARGUMENT_BYTES_MAX && !spec.takes_long_at(at, args);
        return refused.then_some(CommandError::text_static(ARGUMENT_TOO_LONG));
    }
    let middle = range.start + range.len() / 2;
    too_long(spec, args, range.start..middle).or_else(|| too_long(spec, args, middle..range.end))
}

const ARGUMENT_TOO_LONG: &str = "ERR argument is too long (131072 bytes at most)";

/// Asks all gates in order.
#[cold]
pub(super) fn refusal(request: &Request<'_>) -> Option<CommandError> {
    GATES.iter().find_map(|gate| (gate.refuse)(request))
}

/// As much of a name, and of arguments together, as an error shows.
const SHOWN_BYTES_MAX: usize = 128;

/// The words are Redis's, its cuts included: a name ends at a NUL byte, for there it ends a C string.
fn unknown_command(args: &Args<'_>) -> CommandError {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(shown(args.at(0), SHOWN_BYTES_MAX));
    text.extend_from_slice(b"', with args beginning with: ");
    let begin = text.len();
    for arg in args.from(1) {
        let used = text.len() - begin;
        if used >= SHOWN_BYTES_MAX {
            break;
        }
        text.push(b'\'');
        text.extend_from_slice(shown(arg, SHOWN_BYTES_MAX - used));
        text.extend_from_slice(b"' ");
    }
    CommandError::Bytes(text)
}

fn unknown_subcommand(container: &Command, name: &[u8]) -> CommandError {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(shown(name, SHOWN_BYTES_MAX));
    text.extend_from_slice(b"'. Try ");
    text.extend_from_slice(container.name.to_ascii_uppercase().as_bytes());
    text.extend_from_slice(b" HELP.");
    CommandError::Bytes(text)
}

/// Looks at no more than it shows, however long the argument is.
fn shown(bytes: &[u8], max: usize) -> &[u8] {
    until_nul(&bytes[..bytes.len().min(max)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    #[test]
    fn the_gates_are_asked_in_the_order_of_redis() {
        let names: Vec<&str> = GATES.iter().map(|gate| gate.name).collect();
        assert_eq!(
            names,
            [
                "the command exists",
                "the subcommand exists",
                "the number of arguments is right",
                "no argument is longer than its place allows",
                "the command is enabled for the client",
                "the client has shown the password",
                "the command is allowed in a transaction, if the client is in one",
                "there is memory for a write",
                "the connection may do more than subscribe",
                "the client may touch keys",
                "nobody looks at all that the client asks",
                "no long command holds its keys",
                "clients are not paused",
                "the client wants its reply",
            ]
        );
    }

    #[test]
    fn a_command_is_concerned_by_the_gates_of_its_flags() {
        for (name, gates) in [
            ("get", 0b11_1111_0110_0000),
            ("set", 0b11_1111_1110_0000),
            ("auth", 0b11_0101_0100_0000),
            ("del", 0b11_1111_0110_0000),
            ("ping", 0b11_0100_0110_0000),
            ("debug", 0b11_0101_0111_0000),
            ("exec", 0b11_1101_1010_0000),
            ("multi", 0b11_0101_0010_0000),
            ("quit", 0b11_0100_0000_0000),
        ] {
            let (_, spec) = commands::find(name.as_bytes()).expect("a command");
            assert_eq!(concerning(spec), Gates(gates), "{name}");
        }
    }
}
