//! A turn of a connection: its requests one after another, up to a budget, and what follows from each.

use super::gates::{self, Gates, Request};
use super::holding;
use super::lookup::{Command, Lookup, Resolved, lookup};
use crate::commands::{Context, Flag, Flow, Outcome, Run};
use crate::engine::{ClientId, Engine, Progress, Sliced, Slot};
use crate::proto::{Args, Batch, CommandError, Reply};

/// What came of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Requests carried out; fewer than there were when the turn's budget ended: call again with `from` advanced.
    pub requests: usize,
    /// The connection closes once the reply is sent (QUIT, or a refused client).
    pub close: bool,
    /// Why the first request that is left was not carried out, if it was tried.
    pub pause: Option<Pause>,
}

/// Why a request is left although the turn could go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It is long, and its slice is over. It must go on soon, whether its client takes replies or not: it may hold keys.
    Slice,
    /// Others hold what it needs: call again when the engine's [`Holds`](crate::engine::holds::Holds) wake the client.
    Wait,
}

/// What became of one request.
enum Next {
    Done,
    Close,
    Pause(Pause),
}

/// Requests in a turn of one connection.
const REQUESTS_MAX: usize = 1024;
/// Bytes of requests in a turn: the turn ends with the request that reaches it.
const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Bytes of replies in a turn: the turn ends with the reply that reaches it.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// Carries out the requests of `batch` from number `from` on, in order, until the batch or the turn's budget ends: 1,024
/// requests, 256 KiB of requests or 1 MiB of replies, whichever comes first, but one request at least.
///
/// `bytes` are those that the batch was parsed from. Panics if the client is not connected.
pub fn execute(
    engine: &mut Engine,
    client: ClientId,
    batch: &Batch,
    from: usize,
    bytes: &[u8],
    reply: &mut Reply,
) -> Executed {
    let slot = engine.clients.slot(client).expect("requests come from connected clients");
    let now = engine.now();
    let this = engine.clients.at_mut(slot);
    this.last_interaction_us = now.monotonic_us;
    reply.protocol = this.protocol;

    let mut turn = Turn {
        lookup: lookup(),
        client,
        slot,
        closed: gates::closed(engine, engine.clients.at(slot)),
        run_began_ns: (engine.host.clock_ns)(),
    };
    let end = batch.len().min(from + REQUESTS_MAX);
    let reply_bytes_max = reply.len() + REPLY_BYTES_MAX;
    let mut request_bytes = 0;
    let mut at = from;
    let mut close = false;
    let mut pause = None;
    if engine.has_task(client) {
        pause = turn.slice(engine, &batch.args(at, bytes), reply);
        at += usize::from(pause.is_none());
        turn.closed = gates::closed(engine, engine.clients.at(slot));
    }
    while at < end && !close && pause.is_none() && request_bytes < REQUEST_BYTES_MAX && reply.len() < reply_bytes_max {
        let args = batch.args(at, bytes);
        at += 1;
        request_bytes += args.extent();
        match turn.request(engine, &args, reply) {
            Next::Done => {}
            Next::Close => close = true,
            Next::Pause(why) => {
                at -= 1;
                pause = Some(why);
            }
        }
    }
    turn.end_run(engine);
    engine.clients.at_mut(slot).args_bytes = 0;
    Executed { requests: at - from, close, pause }
}

/// A turn while it lasts.
struct Turn {
    lookup: &'static Lookup,
    client: ClientId,
    slot: Slot,
    /// The gates that are closed for this client.
    closed: Gates,
    /// When the present run of commands began (see [`crate::dispatch`]).
    run_began_ns: u64,
}

impl Turn {
    #[inline]
    fn request(&mut self, engine: &mut Engine, args: &Args<'_>, reply: &mut Reply) -> Next {
        let resolved = self.lookup.resolve(args);
        if let Resolved::Found(command) = resolved
            && gates::passes_form(command.spec.arity, args.len())
            && command.gates.is_disjoint(self.closed)
        {
            return self.call(engine, command, args, reply);
        }
        self.ask_gates(engine, resolved, args, reply)
    }

    /// The way of a request that some gate may refuse or keep waiting.
    #[cold]
    fn ask_gates(&mut self, engine: &mut Engine, resolved: Resolved<'_>, args: &Args<'_>, reply: &mut Reply) -> Next {
        let refusal = gates::refusal(&Request { engine, client: engine.clients.at(self.slot), resolved, args });
        match (refusal, resolved) {
            // A browser was lured into sending its requests here; it must not get to its second line.
            (Some(_), Resolved::NoSuchCommand) if is_http(args.at(0)) => Next::Close,
            (Some(error), _) => {
                engine.holds.stop_waiting(self.client);
                if let Resolved::Found(command) = resolved {
                    let number = command.number as usize;
                    engine.stats.command(number, command.name).rejected_calls += 1;
                }
                answer_error(engine, &error, reply);
                Next::Done
            }
            (None, Resolved::Found(command)) => {
                let db = engine.clients.at(self.slot).db;
                let touches_keys = command.spec.is(Flag::Write) || command.spec.is(Flag::Readonly);
                if touches_keys && holding::must_wait(engine, self.client, db, command, args) {
                    return Next::Pause(Pause::Wait);
                }
                self.call(engine, command, args, reply)
            }
            (None, _) => unreachable!("what does not exist is refused"),
        }
    }

    /// Runs the handler and sees to what follows.
    #[inline]
    fn call(&mut self, engine: &mut Engine, command: &Command, args: &Args<'_>, reply: &mut Reply) -> Next {
        let changes_before = engine.keyspace.stats.dirty;
        let client = engine.clients.at_mut(self.slot);
        client.last_command = Some(command.name);
        let outcome = match command.spec.run {
            Run::Keys(run) => {
                let db = client.db;
                run(&mut engine.keyspace.db(db), args, reply)
            }
            Run::Server(run) | Run::BareOr(run, _) => self.call_server(run, engine, args, reply),
            Run::Subcommands(_) => unreachable!("the arity of a mere container asks for a subcommand"),
        };

        // AFTER: what follows from every command, in this order.
        // 1. Only what says that it writes has written.
        debug_assert!(
            command.spec.is(Flag::Write) || engine.keyspace.stats.dirty == changes_before,
            "{} is no write but changed the data",
            command.name
        );
        // 2. Statistics.
        engine.stats.count_call(command.number, command.name);
        if !matches!(command.spec.run, Run::Keys(_)) {
            self.end_run(engine);
        }
        // 3. What is left to do of a long command, and the reply of one that failed.
        match outcome {
            Ok(Flow::Done) => Next::Done,
            Ok(Flow::Close) => Next::Close,
            Ok(Flow::Sliced(task)) => self.begin(engine, command, task, args, reply),
            Err(error) => {
                fail(engine, command, &error, reply);
                Next::Done
            }
        }
    }

    /// Registers a long command and gives it its first slice.
    #[cold]
    fn begin(
        &mut self,
        engine: &mut Engine,
        command: &Command,
        task: Box<dyn Sliced>,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Next {
        self.end_run(engine);
        let writes = command.spec.is(Flag::Write);
        engine.begin_task(self.client, task, writes, |engine| holding::keys(engine, command.spec, args).collect());
        self.slice(engine, args, reply).map_or(Next::Done, Next::Pause)
    }

    /// Gives the client's task a slice, whose time is the command's; why it is not at its end then.
    #[cold]
    fn slice(&mut self, engine: &mut Engine, args: &Args<'_>, reply: &mut Reply) -> Option<Pause> {
        let Resolved::Found(command) = self.lookup.resolve(args) else {
            unreachable!("the request has been carried out in part");
        };
        let outcome = engine.step_task(self.client, args, reply);
        let now_ns = (engine.host.clock_ns)();
        let cell = engine.stats.command(command.number as usize, command.name);
        cell.nanoseconds += now_ns.saturating_sub(self.run_began_ns);
        self.run_began_ns = now_ns;
        match outcome {
            Ok(Progress::Done) => None,
            Ok(Progress::More) => Some(Pause::Slice),
            Ok(Progress::Waits) => Some(Pause::Wait),
            Err(error) => {
                fail(engine, command, &error, reply);
                None
            }
        }
    }

    /// Runs a handler that may change anything: it is timed by itself, and what the turn remembers is learnt anew.
    #[cold]
    fn call_server(
        &mut self,
        run: fn(&mut Context<'_>, &Args<'_>, &mut Reply) -> Outcome,
        engine: &mut Engine,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Outcome {
        self.end_run(engine);
        engine.clients.at_mut(self.slot).args_bytes = args.extent();
        let client = self.client;
        let outcome = run(&mut Context { engine, client }, args, reply);
        self.closed = gates::closed(engine, engine.clients.at(self.slot));
        outcome
    }

    /// Ends a run of commands: shares its time among them, and begins the next run.
    fn end_run(&mut self, engine: &mut Engine) {
        let now_ns = (engine.host.clock_ns)();
        let elapsed_ns = now_ns.saturating_sub(self.run_began_ns);
        self.run_began_ns = now_ns;
        engine.stats.end_run(elapsed_ns);
    }
}

#[cold]
fn fail(engine: &mut Engine, command: &Command, error: &CommandError, reply: &mut Reply) {
    engine.stats.command(command.number as usize, command.name).failed_calls += 1;
    answer_error(engine, error, reply);
}

#[cold]
fn answer_error(engine: &mut Engine, error: &CommandError, reply: &mut Reply) {
    let text = error.text();
    engine.stats.count_error(&text);
    reply.error(&text);
}

/// The first words of HTTP's lines that a browser can be made to send.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}
