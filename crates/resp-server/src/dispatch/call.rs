//! A turn of a connection: its requests one after another, up to a budget, and what follows from each.
//!
//! The budget is counted in requests and bytes, which is deterministic, and in time where the event loop has set a bound
//! (see [`Engine::begin_turn`]): the clock is looked at once for every [`LOOK`] of work, never for a small batch.

use super::gates::{self, Gates, Request};
use super::holding;
use super::lookahead::Lookahead;
use super::lookup::{Command, Lookup, Resolved, lookup};
use super::muted;
use super::news;
use super::parked::serve;
use crate::commands::{self, CommandSpec, Context, Flag, Flow, Outcome, Run};
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
    /// The connection closes at once: more waits for the client than may.
    pub cut: bool,
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
    /// It waits for a key (see [`crate::engine::parked`]) or for the end of a pause ([`crate::engine::pause`]):
    /// call again when the engine's [`Outbox`](crate::engine::outbox::Outbox)
    /// wakes the client and it [is parked](Engine::is_parked) no longer. What is in the outbox goes out before.
    Park,
}

/// What became of one request.
#[derive(Debug)]
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
/// Bytes of replies in a turn: the turn ends with the reply that reaches it. As many as a turn writes.
const REPLY_BYTES_MAX: usize = 64 * 1024;
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
/// requests, 256 KiB of requests or 64 KiB of replies, whichever comes first, but one request at least; or [`LOOK`] of work
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
        return Executed { requests: 0, close: false, cut: false, pause: Some(Pause::Park) };
    }
    if !engine.pubsub.is_idle() && !engine.has_task(client) {
        if engine.must_deliver_first(client) {
            return Executed { requests: 0, close: false, cut: false, pause: Some(Pause::Slice) };
        }
        take_own_outbox(engine, client, reply);
    }
    if !engine.holds.is_idle() && engine.holds.waits_until_served(client) {
        return Executed { requests: 0, close: false, cut: false, pause: Some(Pause::Wait) };
    }
    let deliveries_before = engine.deliveries();
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
    let look = LOOK.min(engine.settings().large_bytes());
    // What stands apart of the first request is no work, and large.
    let mut look_at = if from == 0 && batch.has_apart() { 0 } else { look };
    let mut request_bytes = 0;
    let mut request_work = 0;
    let mut at = from;
    let mut close = false;
    let mut pause = None;
    if engine.has_task(client) {
        if let Some(beginning) = engine.take_beginning(client) {
            reply.append(beginning);
        }
        match turn.go_on(engine, &batch.args(at, bytes), reply) {
            Next::Pause(why) => pause = Some(why),
            Next::Park(_) => unreachable!("a task does not park"),
            Next::Done => at += 1,
            Next::Close => {
                at += 1;
                close = true;
            }
        }
        if turn.has_to_wait && at < end {
            pause = pause.or(Some(Pause::Wait));
        }
        turn.look_at_gates(engine);
    } else if engine.take_answered(client) {
        at += 1;
        muted::end(engine, slot);
        turn.look_at_gates(engine);
    }
    let db = engine.clients.at(slot).db;
    let mut lookahead = Lookahead::new(&engine.keyspace, db, batch, from, end, bytes);
    while at < end && !close && pause.is_none() && request_bytes < REQUEST_BYTES_MAX && reply.len() < reply_bytes_max {
        let replied = reply.len();
        if let Some(lookahead) = &mut lookahead {
            lookahead.advance(&engine.keyspace, at);
        }
        let args = batch.args(at, bytes);
        let number = at;
        at += 1;
        let extent = args.extent();
        request_bytes += extent;
        request_work += LOOK_REQUEST + args.len().saturating_sub(SIMPLE_ARGUMENTS) * LOOK_ARGUMENT;
        match turn.request(engine, &args, extent, reply) {
            Next::Done if !turn.has_to_wait => {}
            Next::Done => pause = (at < end).then_some(Pause::Wait),
            Next::Close => close = true,
            Next::Pause(why) => {
                at = number;
                pause = Some(why);
            }
            Next::Park(wait) => {
                at = number;
                turn.park(engine, &args, &wait);
                pause = Some(Pause::Park);
            }
        }
        if !engine.pubsub.is_idle() {
            // What it has published may be for itself, too.
            break;
        }
        let work = request_work + request_bytes + reply.len().saturating_sub(reply_bytes_before);
        if work >= look_at || turn.made_room {
            turn.made_room = false;
            look_at = work + look;
            if at > number {
                turn.note_large(engine, &args, reply.len().saturating_sub(replied));
            }
            if at < end && (engine.host.clock_ns)() >= turn_ends_ns {
                break;
            }
        }
    }
    let last = at.checked_sub(1).filter(|&last| last >= from).map(|last| batch.args(last, bytes));
    turn.end_run(engine, last.as_ref());
    engine.clients.at_mut(slot).args_bytes = 0;
    if engine.tracking.has_changed() {
        engine.tell_broadcasts();
    }
    if !engine.pubsub.is_idle() {
        engine.note_deliveries(client, deliveries_before);
    }
    let cut = engine.may_be_over(slot, reply.len()) && engine.check_output(client, reply.len());
    Executed { requests: at - from, close, cut, pause }
}

/// A turn while it lasts.
pub(super) struct Turn {
    pub(super) lookup: &'static Lookup,
    pub(super) client: ClientId,
    slot: Slot,
    /// The gates that are closed for this client.
    closed: Gates,
    /// From how long on a run of commands concerns the slow log or the latency monitor.
    slow_ns: u64,
    /// Whether every command is a run of its own, so that each is timed: while what counts as slow is under 1 ms. Turns are
    /// shorter than that, so a run which reaches a longer threshold was held up by one command.
    singly: bool,
    /// When the present run of commands began (see [`crate::dispatch`]).
    pub(super) run_began_ns: u64,
    /// Others are to be served before its next request.
    has_to_wait: bool,
    /// Requests of a transaction are carried out: what is written to the client comes behind all of them.
    pub(super) in_transaction: bool,
    /// Keys may have gone for a request, which took its time.
    made_room: bool,
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
            has_to_wait: false,
            in_transaction: false,
            made_room: false,
        }
    }

    /// Runs a request again that was parked, within another turn; nothing holds what it needs.
    pub(super) fn run_again(mut self, engine: &mut Engine, args: &Args<'_>, reply: &mut Reply) -> Next {
        let resolved = self.resolve(args);
        let Resolved::Found(command) = resolved else { unreachable!("the request has been carried out") };
        if self.needs_memory(engine, resolved) {
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
        let Resolved::Found(command) = self.resolve(args) else {
            unreachable!("the request has been carried out");
        };
        engine.park(self.client, (command.number, command.name), args, wait);
    }

    /// Tells others what this turn's client has changed, and serves those who have waited for it, if somebody has. If they are more
    /// than a step serves, or others are being served, the client waits for its turn.
    #[cold]
    fn tell(&mut self, engine: &mut Engine, args: &Args<'_>, serves: bool) {
        self.end_run(engine, Some(args));
        news::tell_notices(engine, Some(self.client));
        if serves && !engine.is_nested() {
            let is_left = if engine.is_serving() {
                engine.hold_ready();
                true
            } else {
                serve(engine)
            };
            if is_left {
                engine.wait_until_served(self.client);
                self.has_to_wait = engine.holds.is_waiting(self.client);
            }
        }
        engine.keyspace.pause_access(engine.clients.at(self.slot).no_touch);
        self.run_began_ns = (engine.host.clock_ns)();
        self.closed = gates::closed(engine, engine.clients.at(self.slot));
    }

    #[inline]
    fn request(&mut self, engine: &mut Engine, args: &Args<'_>, extent: usize, reply: &mut Reply) -> Next {
        let resolved = self.lookup.resolve(args);
        if let Resolved::Found(command) = resolved
            && gates::passes_form(command.spec.arity, args.len(), extent)
            && command.gates.is_disjoint(self.closed)
            && args.is_whole()
        {
            return self.call(engine, command, args, reply);
        }
        self.with_care(engine, resolved, args, reply)
    }

    /// Tells of keys that went to make room, the client itself before its answer.
    fn tell_what_went(&mut self, engine: &mut Engine, args: &Args<'_>, reply: &mut Reply) {
        if engine.keyspace.has_news() {
            self.tell(engine, args, false);
            take_own_outbox(engine, self.client, reply);
        }
    }

    /// What a request names, off the way of small requests, where the look-up is part of the loop.
    #[inline(never)]
    pub(super) fn resolve(&self, args: &Args<'_>) -> Resolved<'static> {
        self.lookup.resolve(args)
    }

    /// Where the client sits.
    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    /// Learns anew which gates are closed for the client.
    pub(super) fn look_at_gates(&mut self, engine: &Engine) {
        self.closed = gates::closed(engine, engine.clients.at(self.slot));
    }

    /// Whether a command stops in a pause of writes: EXEC does if one of its requests does.
    fn may_write(&self, engine: &Engine, spec: &CommandSpec) -> bool {
        spec.may_write() || spec.is_exec() && engine.clients.at(self.slot).queue().is_some_and(|queue| queue.may_write)
    }

    /// Whether a request adds to memory that is short: EXEC does if one of its requests does.
    fn needs_memory(&self, engine: &Engine, resolved: Resolved<'_>) -> bool {
        let Resolved::Found(command) = resolved else { return false };
        engine.is_short_of_memory()
            && (command.spec.is(Flag::DenyOom)
                || command.spec.is_exec() && engine.clients.at(self.slot).queue().is_some_and(|queue| queue.denies_oom))
    }

    /// The way of a request that some gate may refuse or keep waiting.
    #[cold]
    pub(super) fn ask_gates(
        &mut self,
        engine: &mut Engine,
        resolved: Resolved<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Next {
        let next = self.ask_each_gate(engine, resolved, args, reply);
        let in_transaction = engine.clients.at(self.slot).is_queueing();
        if engine.tracking.clients() > 0
            && !args.is(0, "client")
            && !in_transaction
            && !matches!(next, Next::Pause(Pause::Wait))
        {
            engine.end_caching(self.client);
        }
        next
    }

    fn ask_each_gate(
        &mut self,
        engine: &mut Engine,
        resolved: Resolved<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Next {
        let slot = self.slot;
        let ask =
            |engine: &Engine| gates::refusal(&Request { engine, client: engine.clients.at(slot), resolved, args });
        let mut refusal = ask(engine);
        if matches!(refusal, None | Some(CommandError::OutOfMemory)) && self.needs_memory(engine, resolved) {
            // Memory may be on its way back: so long the request waits.
            let room = engine.make_room();
            self.made_room = true;
            self.tell_what_went(engine, args, reply);
            match room {
                Room::Made => refusal = ask(engine),
                Room::Later => return Next::Pause(Pause::Slice),
                Room::Refused => {}
            }
        }
        match (refusal, resolved) {
            // A browser was lured into sending its requests here; it must not get to its second line.
            (Some(_), Resolved::NoSuchCommand) if is_http(args.at(0)) => Next::Close,
            (Some(error), _) => {
                if let Resolved::Found(command) = resolved {
                    let number = command.number as usize;
                    engine.stats.command(number, command.name).rejected_calls += 1;
                }
                self.refuse(engine, resolved, error, reply);
                Next::Done
            }
            (None, Resolved::Found(command))
                if !args.is_whole() && (command.spec.is(Flag::DenyOom) || !args.is_found_by()) =>
            {
                self.refuse(engine, resolved, CommandError::OutOfMemory, reply);
                Next::Done
            }
            (None, Resolved::Found(command)) if engine.is_paused(self.may_write(engine, command.spec)) => {
                engine.holds.stop_waiting(self.client);
                engine.postpone(self.client);
                Next::Pause(Pause::Park)
            }
            (None, Resolved::Found(command)) => {
                let client = engine.clients.at(self.slot);
                if client.is_queueing() && !command.spec.is_never_queued() {
                    return self.enqueue(engine, command, args, reply);
                }
                let db = client.db;
                let needs_keys = command.spec.touches_keys() || command.spec.is_exec();
                if needs_keys && holding::must_wait(engine, self.client, db, command, args) {
                    return Next::Pause(Pause::Wait);
                }
                let command = match news::is_only_subscriber(engine.clients.at(self.slot)) {
                    true => self.lookup.of_subscriber(command),
                    false => command,
                };
                let remembers = news::begin_watching(engine, self.client, command, args);
                let next = self.call(engine, command, args, reply);
                news::end_watching(engine, self.client, command, args, remembers);
                if matches!(next, Next::Done) {
                    take_own_outbox(engine, self.client, reply);
                }
                next
            }
            (None, _) => unreachable!("what does not exist is refused"),
        }
    }

    /// Answers a request that is refused. A transaction that it was to be part of will be refused as well, and is at once if it
    /// is EXEC.
    fn refuse(&mut self, engine: &mut Engine, resolved: Resolved<'_>, error: CommandError, reply: &mut Reply) {
        engine.holds.stop_waiting(self.client);
        let error = match resolved {
            Resolved::Found(command) if command.spec.is_exec() => self.give_up(engine, &error),
            _ => {
                engine.abort_queue(self.client);
                error
            }
        };
        answer_error(engine, &error, reply);
    }

    /// Runs a command and sees to what follows.
    #[inline]
    fn call(&mut self, engine: &mut Engine, command: &Command, args: &Args<'_>, reply: &mut Reply) -> Next {
        let outcome = self.run(engine, command, command.name, args, reply);
        // 3. What is left to do of a long command, and the reply of one that failed.
        let next = match outcome {
            Ok(Flow::Done) => Next::Done,
            Ok(Flow::Close) => Next::Close,
            Ok(Flow::Sliced(task)) => self.begin(engine, command, task, args, reply),
            Ok(Flow::Transaction(queue)) => self.carry_out(engine, queue, args, reply),
            Ok(Flow::Park(wait)) => Next::Park(wait),
            Err(error) => {
                fail(engine, command, &error, reply);
                Next::Done
            }
        };
        // 4. Those who want to know, and requests that waited for what it has changed, before any other request.
        if engine.keyspace.has_news() {
            let serves = engine.keyspace.awaited.has_news();
            self.tell(engine, args, serves);
            if matches!(next, Next::Done) {
                take_own_outbox(engine, self.client, reply);
            }
        }
        next
    }

    /// Runs the handler, and sees to what follows from every command, also from one of a transaction. `name` is what the client is
    /// said to have sent.
    #[inline(always)]
    pub(super) fn run(
        &mut self,
        engine: &mut Engine,
        command: &Command,
        name: &'static str,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Outcome {
        let changes_before = engine.keyspace.stats.dirty;
        let client = engine.clients.at_mut(self.slot);
        client.last_command = Some(name);
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
        outcome
    }

    /// Registers a long command and gives it its first slice.
    #[cold]
    pub(super) fn begin(
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
        self.slice(engine, args, reply)
    }

    /// Gives the client's task its next slice.
    #[cold]
    fn go_on(&mut self, engine: &mut Engine, args: &Args<'_>, reply: &mut Reply) -> Next {
        let resolved = self.resolve(args);
        let next = self.unless_muted(engine, resolved, reply, |turn, engine, reply| turn.slice(engine, args, reply));
        if matches!(next, Next::Done | Next::Close) {
            let reply_bytes = engine.task_reply_bytes();
            self.note_large(engine, args, reply_bytes);
        }
        next
    }

    /// Gives the client's task a slice, whose time is the command's.
    #[cold]
    pub(super) fn slice(&mut self, engine: &mut Engine, args: &Args<'_>, reply: &mut Reply) -> Next {
        let Resolved::Found(command) = self.resolve(args) else {
            unreachable!("the request has been carried out in part");
        };
        if engine.out_of_memory() && command.spec.is(Flag::DenyOom) && engine.make_room() == Room::Later {
            return Next::Pause(Pause::Slice);
        }
        let outcome = engine.step_task(self.client, args, reply);
        if matches!(outcome, Ok(Progress::Parks)) {
            engine.end_parking(self.client, (command.number, command.name));
            engine.stats.uncount_call(command.number, command.name);
        }
        self.end_slice(engine, command);
        let serves = engine.has_ready();
        if serves || engine.keyspace.has_news() {
            self.tell(engine, args, serves);
        }
        let mut next = Next::Done;
        match outcome {
            Ok(Progress::Done) => {}
            Ok(Progress::Close) => next = Next::Close,
            Ok(Progress::More) => return Next::Pause(Pause::Slice),
            Ok(Progress::Waits) => return Next::Pause(Pause::Wait),
            // Also if it has been served by now: its connection finds the answer.
            Ok(Progress::Parks) => return Next::Pause(Pause::Park),
            Err(error) => fail(engine, command, &error, reply),
        }
        take_own_outbox(engine, self.client, reply);
        next
    }

    /// Ends a slice of a long command, whose time is the command's.
    pub(super) fn end_slice(&mut self, engine: &mut Engine, command: &Command) {
        let now_ns = (engine.host.clock_ns)();
        let cell = engine.stats.command(command.number as usize, command.name);
        cell.nanoseconds += now_ns.saturating_sub(self.run_began_ns);
        self.run_began_ns = now_ns;
        engine.ledger.part(command.name, 1, now_ns);
    }

    /// What the turn remembers of its client and the settings is learnt anew.
    pub(super) fn learn(&mut self, engine: &Engine) {
        self.closed = gates::closed(engine, engine.clients.at(self.slot));
        self.slow_ns = engine.settings().slow_ns();
        self.singly = self.slow_ns < SINGLY_NS;
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
        if matches!(outcome, Ok(Flow::Done)) && !self.in_transaction {
            take_own_outbox(engine, client, reply);
        }
        self.learn(engine);
        engine.keyspace.pause_access(engine.clients.at(self.slot).no_touch);
        outcome
    }

    /// Ends a run of commands, the last of which was `last`: shares its time among them, tells the ledger, and begins the next
    /// run.
    pub(super) fn end_run(&mut self, engine: &mut Engine, last: Option<&Args<'_>>) {
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
        let (addr, name) = (client.peer.addr.clone(), slowlog::shortened_name(&client.name));
        let entry =
            Entry { id: 0, unix_seconds: engine.unix_seconds(), us, args: slowlog::shortened(args), addr, name };
        let len_max = usize::try_from(engine.settings.slowlog_max_len).unwrap_or(usize::MAX);
        engine.slowlog.add(entry, len_max);
    }
}

/// Puts what a command has made others write to its own client behind its reply, which is whole. Not behind one that is not wanted:
/// what comes unasked is.
#[inline]
pub(super) fn take_own_outbox(engine: &mut Engine, client: ClientId, reply: &mut Reply) {
    if !engine.outbox.is_empty()
        && !engine.client(client).is_muted()
        && let Some(letters) = engine.outbox.take(client)
    {
        reply.append(letters);
    }
}

#[cold]
pub(super) fn fail(engine: &mut Engine, command: &Command, error: &CommandError, reply: &mut Reply) {
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
