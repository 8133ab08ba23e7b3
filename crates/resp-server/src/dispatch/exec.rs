//! The requests of a transaction: queued, and carried out together.
//!
//! ```text
//!  MULTI -> each request: gates, a copy, what it needs -> QUEUED
//!  EXEC  -> gates: memory for those that want it, nobody holds what they need -> one after another
//!             |  all done within [`WORK_MAX`]            -> nothing came between them: nothing was held
//!             |  more, or one of them is long            -> a task that holds all that they need, a slice at a time
//! ```
//!
//! 1. Nothing of others comes between two requests of a transaction, as far as anybody can tell: what is not done at once holds all
//!    keys and databases of all its requests from its first turn to its end, or, if these are very many, each key from before
//!    it is touched.
//! 2. Time stands still for keys that could expire meanwhile, as in any long command.
//! 3. Who waits for a key is served when all is done.
//! 4. It goes on to its end when its client goes in its middle, if one of its requests is more than a read.

use super::call::{Next, Turn, fail, take_own_outbox};
use super::holding;
use super::lookup::{Command, Resolved};
use super::news;
use crate::commands::connection::selected;
use crate::commands::{Flag, Flow};
use crate::engine::holds::Claims;
use crate::engine::tasks::Holding;
use crate::engine::transaction::{LongCopy, Place, Queue};
use crate::engine::{ClientId, Engine, Progress, Replies, Slice, Sliced};
use crate::proto::{Args, CommandError, Reply};

/// Work of a transaction that is done at once, and in a slice, in the measure of a turn's: 128 small requests, some 50 us.
const WORK_MAX: usize = 64 * 1024;
/// What a request counts in itself, in bytes, and each of its arguments beside its bytes.
const WORK_REQUEST: usize = 512;
const WORK_ARGUMENT: usize = 64;
/// What CLIENT LIST tells that a client has sent whose transaction is carried out.
const EXEC: &str = "exec";
/// Work between two looks at the clock: 16 small requests.
const LOOK: usize = 8 * 1024;
/// Nanoseconds after which a slice ends that has done as much.
const SLICE_NS: u64 = 50_000;

impl Turn {
    /// Queues a request that nothing is said against.
    pub(super) fn enqueue(
        &mut self,
        engine: &mut Engine,
        command: &Command,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Next {
        engine.client_mut(self.client).last_command = Some(command.name);
        if LongCopy::is_for(args) {
            let copying = Copying { client: self.client, copy: Some(LongCopy::begin(args)) };
            engine.begin_task(self.client, Box::new(copying), false, |_| Vec::new());
            return self.slice(engine, args, reply);
        }
        if finish(engine, self.client, command, args, None, reply) { Next::Done } else { Next::Close }
    }

    /// Gives up a transaction whose EXEC is refused; the reply.
    pub(super) fn give_up(&mut self, engine: &mut Engine, why: &CommandError) -> CommandError {
        engine.discard_transaction(self.client);
        self.learn(engine);
        let text = why.text();
        let reason = text.strip_prefix(b"ERR ").unwrap_or(&text);
        CommandError::Bytes([b"EXECABORT Transaction discarded because of: ", reason].concat())
    }

    /// Carries a transaction out: at once if it is short.
    #[cold]
    pub(super) fn carry_out(
        &mut self,
        engine: &mut Engine,
        mut queue: Box<Queue>,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Next {
        let began_ns = self.run_began_ns;
        reply.array(queue.len());
        let (claims, writes) = (std::mem::take(&mut queue.claims), queue.writes);
        let is_bulk = claims.is_bulk();
        let mut exec = Executing {
            client: self.client,
            next: queue.first(),
            queue: Some(queue),
            under_way: None,
            claims,
            takes_keys: is_bulk,
            began_muted: engine.client(self.client).is_muted(),
            closes: false,
        };
        if is_bulk {
            engine.begin_task(self.client, Box::new(exec), writes, |_| Vec::new());
            return self.slice(engine, args, reply);
        }
        let progress = exec.go_on(self, &mut Slice::of_client(engine, self.client, args, reply));
        self.in_transaction = false;
        if let Resolved::Found(command) = self.resolve(args) {
            let elapsed_ns = self.run_began_ns.saturating_sub(began_ns);
            engine.stats.command(command.number as usize, command.name).nanoseconds += elapsed_ns;
        }
        match progress {
            Progress::More | Progress::Waits => {
                engine.begin_task(self.client, Box::new(exec), writes, |_| Vec::new());
                Next::Pause(super::Pause::Slice)
            }
            Progress::Done => {
                exec.end(engine);
                take_own_outbox(engine, self.client, reply);
                Next::Done
            }
            Progress::Close => {
                exec.end(engine);
                Next::Close
            }
            Progress::Parks => unreachable!("a transaction does not wait for keys"),
        }
    }
}

/// Queues a request, with what is noted of it, and answers. `false`: it was too much, and the connection closes.
fn finish(
    engine: &mut Engine,
    client: ClientId,
    command: &Command,
    args: &Args<'_>,
    copied: Option<LongCopy>,
    reply: &mut Reply,
) -> bool {
    let spec = command.spec;
    if !engine.has_hope(client) {
        // It will not be carried out, so why keep it?
        if let Some(copied) = copied {
            engine.discard(copied);
        }
        reply.simple("QUEUED");
        return true;
    }
    engine.note_queued(client, |engine, queue| {
        holding::claim(engine, &mut queue.claims, queue.db, spec, args);
        queue.denies_oom |= spec.is(Flag::DenyOom);
        queue.writes |= !spec.is(Flag::Readonly);
        queue.may_write |= spec.may_write();
        if command.name == "select"
            && let Ok(index) = selected(engine, args)
        {
            queue.db = index;
        }
    });
    let fits = engine.enqueue(client, args, copied);
    if fits {
        reply.simple("QUEUED");
    }
    fits
}

/// The queueing of a long request.
#[derive(Debug)]
struct Copying {
    client: ClientId,
    /// `None` once it is queued.
    copy: Option<LongCopy>,
}

impl Sliced for Copying {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        if self.copy.as_mut().expect("it is not queued yet").step(slice.args) {
            return Ok(Progress::More);
        }
        let Resolved::Found(command) = super::lookup::lookup().resolve(slice.args) else {
            unreachable!("it was found when it came");
        };
        let fits = finish(slice.engine, self.client, command, slice.args, self.copy.take(), slice.reply);
        Ok(if fits { Progress::Done } else { Progress::Close })
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Some(copy) = self.copy.take() {
            engine.discard(copy);
        }
    }
}

/// A transaction that is being carried out.
#[derive(Debug)]
struct Executing {
    client: ClientId,
    /// `None` once it has ended.
    queue: Option<Box<Queue>>,
    /// The next request, or the one that is under way.
    next: Place,
    under_way: Option<UnderWay>,
    /// What it needs, until it is a task and holds that.
    claims: Claims,
    /// Whether it takes its keys as it goes.
    takes_keys: bool,
    /// Whether its reply as a whole was not wanted when it began.
    began_muted: bool,
    /// Whether one of its requests has the connection closed.
    closes: bool,
}

/// A long request of a transaction.
#[derive(Debug)]
struct UnderWay {
    task: Box<dyn Sliced>,
    /// The database that was selected when it began.
    db: usize,
}

impl Executing {
    /// Goes on for a slice.
    fn go_on(&mut self, turn: &mut Turn, slice: &mut Slice<'_>) -> Progress {
        turn.in_transaction = true;
        let ends_ns = turn.run_began_ns.saturating_add(SLICE_NS);
        let queue = self.queue.take().expect("it has not ended");
        let mut work = 0;
        let mut look_at = LOOK;
        let mut last = None;
        let mut progress = None;
        while progress.is_none()
            && let Some((args, next)) = queue.at(self.next)
        {
            if work >= look_at {
                look_at = work + LOOK;
                if work >= WORK_MAX || (slice.engine.host.clock_ns)() >= ends_ns {
                    progress = Some(Progress::More);
                    break;
                }
            }
            let Resolved::Found(command) = turn.lookup.resolve(&args) else {
                unreachable!("it was found when it was queued");
            };
            if self.under_way.is_some() {
                turn.end_run(slice.engine, last.as_ref());
                // It has had its slice, whatever it has done.
                work = WORK_MAX;
                let heard = self.mute(slice);
                let stepped = self.step_under_way(turn, command, &args, slice);
                self.unmute(heard, command, slice);
                match stepped {
                    Progress::Done | Progress::Close => self.next = next,
                    waits_or_more => progress = Some(waits_or_more),
                }
                continue;
            }
            let db = slice.engine.client(self.client).db;
            if self.takes_keys && !holding::take_keys(slice, db, command.spec, &args) {
                progress = Some(Progress::Waits);
                break;
            }
            let reply_before = slice.reply.own_bytes();
            let command = match news::is_only_subscriber(slice.engine.client(self.client)) {
                true => turn.lookup.of_subscriber(command),
                false => command,
            };
            let heard = self.mute(slice);
            let remembers = news::begin_watching(slice.engine, self.client, command, &args);
            let outcome = turn.run(slice.engine, command, EXEC, &args, slice.reply);
            news::end_watching(slice.engine, self.client, command, &args, remembers);
            if !slice.engine.keyspace.notices.is_empty() {
                // In order with the messages that other requests send.
                news::tell_notices(slice.engine, Some(self.client));
            }
            match outcome {
                Ok(Flow::Done) => {}
                Ok(Flow::Close) => self.closes = true,
                Ok(Flow::Sliced(task)) => {
                    self.unmute(heard, command, slice);
                    self.under_way = Some(UnderWay { task, db });
                    progress = Some(Progress::More);
                    continue;
                }
                Ok(Flow::Park(_)) => {
                    slice.engine.stats.count_call(command.number, command.name);
                    answer_in_vain(command, slice.reply);
                }
                Ok(Flow::Transaction(_)) => unreachable!("EXEC is never queued"),
                Err(error) => fail(slice.engine, command, &error, slice.reply),
            }
            self.unmute(heard, command, slice);
            work += WORK_REQUEST + args.len() * WORK_ARGUMENT + args.extent();
            work += slice.reply.own_bytes().saturating_sub(reply_before);
            self.next = next;
            last = Some(args);
        }
        turn.end_run(slice.engine, last.as_ref());
        self.queue = Some(queue);
        progress.unwrap_or(if self.closes { Progress::Close } else { Progress::Done })
    }

    /// Before a request that is behind a CLIENT REPLY OFF of the same transaction: sets apart what is to be heard.
    fn mute(&self, slice: &mut Slice<'_>) -> Option<Reply> {
        let is_muted = !self.began_muted && slice.engine.client(self.client).replies == Replies::None;
        is_muted.then(|| {
            let unheard = Reply::speaking(slice.reply.protocol);
            std::mem::replace(slice.reply, unheard)
        })
    }

    /// Behind it: what it has replied is not heard, unless it is a message or the client wants replies again.
    fn unmute(&self, heard: Option<Reply>, command: &Command, slice: &mut Slice<'_>) {
        let Some(heard) = heard else { return };
        let unheard = std::mem::replace(slice.reply, heard);
        slice.reply.protocol = unheard.protocol;
        if command.spec.is_about_subscriptions() || !slice.engine.client(self.client).is_muted() {
            slice.reply.append(unheard);
        } else {
            slice.engine.discard(unheard);
        }
    }

    /// A slice for the long request that is under way. An error ends that request, and nothing else.
    fn step_under_way(
        &mut self,
        turn: &mut Turn,
        command: &Command,
        args: &Args<'_>,
        slice: &mut Slice<'_>,
    ) -> Progress {
        let UnderWay { mut task, db } = self.under_way.take().expect("just seen");
        let outcome = task.step(&mut slice.of_part(db, args, self.takes_keys, command.spec.is(Flag::Readonly)));
        turn.end_slice(slice.engine, command);
        match outcome {
            Ok(progress @ (Progress::More | Progress::Waits)) => {
                self.under_way = Some(UnderWay { task, db });
                return progress;
            }
            Ok(Progress::Close) => self.closes = true,
            Ok(Progress::Done) => {}
            Ok(Progress::Parks) => unreachable!("a transaction does not wait for keys"),
            Err(error) => fail(slice.engine, command, &error, slice.reply),
        }
        task.end(slice.engine);
        Progress::Done
    }
}

impl Sliced for Executing {
    fn holding(&self) -> Holding {
        Holding::Claims
    }

    fn claims(&mut self) -> Claims {
        std::mem::take(&mut self.claims)
    }

    fn needs_client(&self) -> bool {
        true
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let mut turn = Turn::new(slice.engine, self.client);
        Ok(self.go_on(&mut turn, slice))
    }

    fn room(&self) -> u64 {
        self.under_way.as_ref().map_or(0, |under_way| under_way.task.room())
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Some(mut under_way) = self.under_way.take() {
            under_way.task.end(engine);
        }
        if let Some(queue) = self.queue.take() {
            engine.discard(*queue);
        }
        engine.discard_transaction(self.client);
    }
}

/// What a request answers that would wait for a key: what it would when its time is up.
fn answer_in_vain(command: &Command, reply: &mut Reply) {
    match command.name {
        // These two answer with one element, and with no element here, as in Redis.
        "blmove" | "brpoplpush" => reply.null(),
        _ => reply.null_array(),
    }
}
