//! A turn of a connection: its requests one after another, up to a budget, and what follows from each.
//!
//! The budget is counted in requests and bytes, which is deterministic, and in time where the event loop has set a bound
//! (see [`Engine::begin_turn`]): the clock is looked at once for every [`LOOK`] of work, never for a small batch.

use super::gates::{self, Gates, Request};
use super::holding;
use super::lookahead::Lookahead;
use super::lookup::{Command, Lookup, Resolved, lookup};
use super::parked::serve_parked;
use crate::commands::{self, Context, Flag, Flow, Outcome, Run};
use crate::engine::memory::Room;
use crate::engine::slowlog::{self, Entry};
use crate::engine::stats::EndedRun;
use crate::engine::{ClientId, Engine, Progress, Sliced, Slot, Wait, ledger};
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
    /// It waits for a key (see [`crate::engine::parked`]): call again when the engine's [`Outbox`](crate::engine::outbox::Outbox)
    /// wakes the client and it [is parked](Engine::is_parked) no longer. What is in the outbox goes out before.
    Park,
}

/// What became of one request.
pub(super) enum Next {
    Done,
    Close,
    Pause(Pause),
    /// It is to be parked.
    Park(Wait),
}

/// Requests in a turn of one connection.
const REQUESTS_MAX: usize = 1024;
/// Bytes of requests in a turn: the turn ends with the request that reaches it.
const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Bytes of replies in a turn: the turn ends with the reply that reaches it.
const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// Work between two looks at the clock: bytes of requests and replies, a request counting [`LOOK_REQUEST`] in itself. So 16 to
/// 32 small requests, about 5 us, or one of 16 KiB.
const LOOK: usize = 16 * 1024;
/// What a request counts in itself, in bytes.
const LOOK_REQUEST: usize = 512;
/// What each of its arguments counts beside its bytes that a simple one does not have: a field, a member, an element.
const LOOK_ARGUMENT: usize = 256;
/// The arguments of a simple request.
const SIMPLE_ARGUMENTS: usize = 4;
/// Runs of commands are not timed one by one from this threshold on: see [`Turn::singly`].
const SINGLY_NS: u64 = 1_000_000;

/// Carries out the requests of `batch` from number `from` on, in order, until the batch or the turn's budget ends: 1,024
/// requests, 256 KiB of requests or 1 MiB of replies, whichever comes first, but one request at least; or [`LOOK`] of work
/// at least when the time of the turn is over.
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
    if engine.is_parked(client) {
        return Executed { requests: 0, close: false, pause: Some(Pause::Park) };
    }
    let mut turn = Turn::new(engine, client);
    engine.ledger.part(ledger::READ, 1, turn.run_began_ns);
    let slot = turn.slot;
    let now = engine.now();
    let this = engine.clients.at_mut(slot);
    this.last_interaction_us = now.monotonic_us;
    reply.protocol = this.protocol;

    let end = batch.len().min(from + REQUESTS_MAX);
    let turn_ends_ns = engine.turn_ends_ns();
    let reply_bytes_before = reply.len();
    let reply_bytes_max = reply_bytes_before + REPLY_BYTES_MAX;
    let mut look_at = LOOK;
    let mut request_bytes = 0;
    let mut request_work = 0;
    let mut at = from;
    let mut close = false;
    let mut pause = None;
    if engine.has_task(client) {
        pause = turn.slice(engine, &batch.args(at, bytes), reply);
        at += usize::from(pause.is_none());
        turn.closed = gates::closed(engine, engine.clients.at(slot));
    } else if engine.take_answered(client) {
        at += 1;
    }
    let db = engine.clients.at(slot).db;
    let mut lookahead = Lookahead::new(&engine.keyspace, db, batch, from, end, bytes);
    while at < end && !close && pause.is_none() && request_bytes < REQUEST_BYTES_MAX && reply.len() < reply_bytes_max {
        if let Some(lookahead) = &mut lookahead {
            lookahead.advance(&engine.keyspace, at);
        }
        let args = batch.args(at, bytes);
        at += 1;
        request_bytes += args.extent();
        request_work += LOOK_REQUEST + args.len().saturating_sub(SIMPLE_ARGUMENTS) * LOOK_ARGUMENT;
        match turn.request(engine, &args, reply) {
            Next::Done => {}
            Next::Close => close = true,
            Next::Pause(why) => {
                at -= 1;
                pause = Some(why);
            }
            Next::Park(wait) => {
                at -= 1;
                turn.park(engine, &args, &wait);
                pause = Some(Pause::Park);
            }
        }
        let work = request_work + request_bytes + reply.len().saturating_sub(reply_bytes_before);
        if work >= look_at && at < end {
            look_at = work + LOOK;
            if (engine.host.clock_ns)() >= turn_ends_ns {
                break;
            }
        }
    }
    let last = at.checked_sub(1).filter(|&last| last >= from).map(|last| batch.args(last, bytes));
    turn.end_run(engine, last.as_ref());
    engine.clients.at_mut(slot).args_bytes = 0;
    Executed { requests: at - from, close, pause }
}

/// A turn while it lasts.
pub(super) struct Turn {
    lookup: &'static Lookup,
    client: ClientId,
    slot: Slot,
    /// The gates that are closed for this client.
    closed: Gates,
    /// From how long on a run of commands concerns the slow log or the latency monitor.
    slow_ns: u64,
    /// Whether every command is a run of its own, so that each is timed: while what counts as slow is under 1 ms. Turns are
    /// shorter than that, so a run which reaches a longer threshold was held up by one command.
    singly: bool,
    /// When the present run of commands began (see [`crate::dispatch`]).
    run_began_ns: u64,
}

impl Turn {
    /// A turn of a client that is connected begins now.
    #[inline]
    pub(super) fn new(engine: &mut Engine, client: ClientId) -> Turn {
        let slot = engine.clients.slot(client).expect("requests come from connected clients");
        let slow_ns = engine.settings().slow_ns();
        engine.keyspace.pause_access(engine.clients.at(slot).no_touch);
        Turn {
            lookup: lookup(),
            client,
            slot,
            closed: gates::closed(engine, engine.clients.at(slot)),
            slow_ns,
            singly: slow_ns < SINGLY_NS,
            run_began_ns: (engine.host.clock_ns)(),
        }
    }

    /// Runs a request again that was parked, within another turn; nothing holds what it needs.
    pub(super) fn run_again(mut self, engine: &mut Engine, args: &Args<'_>, reply: &mut Reply) -> Next {
        let resolved = self.lookup.resolve(args);
        let Resolved::Found(command) = resolved else { unreachable!("the request has been carried out") };
        if needs_memory(engine, resolved) {
            engine.make_room();
        }
        let refusal = gates::refusal(&Request { engine, client: engine.clients.at(self.slot), resolved, args });
        let next = match refusal {
            Some(error) => {
                fail(engine, command, &error, reply);
                Next::Done
            }
            None => self.call(engine, command, args, reply),
        };
        self.end_run(engine, Some(args));
        next
    }

    #[cold]
    fn park(&self, engine: &mut Engine, args: &Args<'_>, wait: &Wait) {
        let Resolved::Found(command) = self.lookup.resolve(args) else {
            unreachable!("the request has been carried out");
        };
        engine.park(self.client, (command.number, command.name), args, wait);
    }

    /// Serves those who have waited for what this turn's client has changed.
    #[cold]
    fn serve_parked(&mut self, engine: &mut Engine, args: &Args<'_>) {
        self.end_run(engine, Some(args));
        serve_parked(engine);
        engine.keyspace.pause_access(engine.clients.at(self.slot).no_touch);
        self.run_began_ns = (engine.host.clock_ns)();
        self.closed = gates::closed(engine, engine.clients.at(self.slot));
    }

    #[inline]
    fn request(&mut self, engine: &mut Engine, args: &Args<'_>, reply: &mut Reply) -> Next {
        let resolved = self.lookup.resolve(args);
        if let Resolved::Found(command) = resolved
            && gates::passes_form(command.spec.arity, args.len())
            && command.gates.is_disjoint(self.closed)
            && args.is_whole()
        {
            return self.call(engine, command, args, reply);
        }
        self.ask_gates(engine, resolved, args, reply)
    }

    /// The way of a request that some gate may refuse or keep waiting.
    #[cold]
    fn ask_gates(&mut self, engine: &mut Engine, resolved: Resolved<'_>, args: &Args<'_>, reply: &mut Reply) -> Next {
        let ask =
            |engine: &Engine| gates::refusal(&Request { engine, client: engine.clients.at(self.slot), resolved, args });
        let mut refusal = ask(engine);
        if matches!(refusal, None | Some(CommandError::OutOfMemory)) && needs_memory(engine, resolved) {
            // Memory may be on its way back: so long the request waits.
            match engine.make_room() {
                Room::Made => refusal = ask(engine),
                Room::Later => return Next::Pause(Pause::Slice),
                Room::Refused => {}
            }
        }
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
            (None, Resolved::Found(_)) if !args.is_whole() => {
                engine.holds.stop_waiting(self.client);
                answer_error(engine, &CommandError::OutOfMemory, reply);
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
        // 2. Statistics; what is parked is counted when it is answered.
        if !matches!(outcome, Ok(Flow::Park(_))) {
            engine.stats.count_call(command.number, command.name);
        }
        if self.singly || !matches!(command.spec.run, Run::Keys(_)) {
            self.end_run(engine, Some(args));
        }
        // 3. What is left to do of a long command, and the reply of one that failed.
        let next = match outcome {
            Ok(Flow::Done) => Next::Done,
            Ok(Flow::Close) => Next::Close,
            Ok(Flow::Sliced(task)) => self.begin(engine, command, task, args, reply),
            Ok(Flow::Park(wait)) => Next::Park(wait),
            Err(error) => {
                fail(engine, command, &error, reply);
                Next::Done
            }
        };
        // 4. Requests that waited for what it has changed, before any other request.
        if engine.keyspace.awaited.has_ready() {
            self.serve_parked(engine, args);
        }
        next
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
        self.end_run(engine, None);
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
        if engine.out_of_memory() && command.spec.is(Flag::DenyOom) && engine.make_room() == Room::Later {
            return Some(Pause::Slice);
        }
        let outcome = engine.step_task(self.client, args, reply);
        let now_ns = (engine.host.clock_ns)();
        let cell = engine.stats.command(command.number as usize, command.name);
        cell.nanoseconds += now_ns.saturating_sub(self.run_began_ns);
        self.run_began_ns = now_ns;
        engine.ledger.part(command.name, 1, now_ns);
        if engine.has_ready() {
            self.serve_parked(engine, args);
        }
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
        self.end_run(engine, None);
        engine.clients.at_mut(self.slot).args_bytes = args.extent();
        let client = self.client;
        let outcome = run(&mut Context { engine, client }, args, reply);
        self.closed = gates::closed(engine, engine.clients.at(self.slot));
        engine.keyspace.pause_access(engine.clients.at(self.slot).no_touch);
        self.slow_ns = engine.settings().slow_ns();
        self.singly = self.slow_ns < SINGLY_NS;
        outcome
    }

    /// Ends a run of commands, the last of which was `last`: shares its time among them, tells the ledger, and begins the next
    /// run.
    fn end_run(&mut self, engine: &mut Engine, last: Option<&Args<'_>>) {
        let now_ns = (engine.host.clock_ns)();
        let elapsed_ns = now_ns.saturating_sub(self.run_began_ns);
        self.run_began_ns = now_ns;
        let Some(run) = engine.stats.end_run(elapsed_ns, engine.settings.latency_tracking) else { return };
        engine.ledger.part(run.name, run.calls, now_ns);
        if elapsed_ns >= self.slow_ns {
            self.note_slow(engine, &run, elapsed_ns, last);
        }
    }

    /// A run took long: it is a latency event, and if it was of one command, that is kept in the slow log. Of several it is not
    /// known which one was slow; the stall ledger names the run.
    #[cold]
    fn note_slow(&self, engine: &mut Engine, run: &EndedRun, elapsed_ns: u64, last: Option<&Args<'_>>) {
        let Some((_, spec)) = commands::find(run.name.as_bytes()) else { return };
        engine.note_event(if spec.is(Flag::Fast) { "fast-command" } else { "command" }, elapsed_ns);
        let us = elapsed_ns / 1000;
        let slow = u64::try_from(engine.settings.slowlog_log_slower_than).is_ok_and(|slow_us| us >= slow_us);
        let Some(args) = last.filter(|_| slow && run.total == 1 && !spec.is(Flag::SkipSlowlog)) else { return };
        let client = engine.clients.at(self.slot);
        let (addr, name) = (client.peer.addr.clone(), client.name.clone());
        let entry =
            Entry { id: 0, unix_seconds: engine.unix_seconds(), us, args: slowlog::shortened(args), addr, name };
        let len_max = usize::try_from(engine.settings.slowlog_max_len).unwrap_or(usize::MAX);
        engine.slowlog.add(entry, len_max);
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

/// Whether a request adds to memory that is short.
fn needs_memory(engine: &Engine, resolved: Resolved<'_>) -> bool {
    matches!(resolved, Resolved::Found(command) if command.spec.is(Flag::DenyOom)) && engine.is_short_of_memory()
}

/// The first words of HTTP's lines that a browser can be made to send.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}
