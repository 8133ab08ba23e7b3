//! Long commands, carried out a slice at a time.
//!
//! ```text
//!  handler -> Flow::Sliced(task) -> slice -> slice -> ... -> the reply is whole
//!                                     |  between slices: other clients' commands, except on the keys it holds
//!                                     v
//!                        the client goes: a task that writes becomes an orphan, and a row of JOBS gives it its slices;
//!                        one that only reads is dropped
//! ```
//!
//! While its client is there, a task's slices come with the client's turns, which do nothing else meanwhile, and the bytes
//! of the request stay where they arrived; an orphan owns them. Each slice is bounded by what the task counts itself
//! ([`KEYS_PER_SLICE`], [`BYTES_PER_SLICE`]), so that tests take the same slices as the server does: 50 to 100 us.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;

use super::holds::{Access, Claims, Held};
use super::{Client, ClientId, Engine};
use crate::keyspace::hashes::Hashes;
use crate::keyspace::{Db, Millis, check_key};
use crate::proto::{Args, Batch, CommandError, Reply, Span};

/// Keys that a slice should look up or write: 0.3 to 0.6 us each where there are many.
pub const KEYS_PER_SLICE: usize = 128;
/// Bytes of keys and values that a slice should copy; it ends with the key that reaches them.
pub const BYTES_PER_SLICE: usize = crate::keyspace::SLICE_BYTES;

/// A command that is carried out in slices. It must end by itself, whatever other clients do.
pub trait Sliced: Debug {
    /// What it holds from its first slice to its last.
    fn holding(&self) -> Holding;

    /// Goes on for a slice. It may write to the reply as it goes if it cannot fail any more; an error is all of a reply.
    ///
    /// # Errors
    /// The command's; it has ended then.
    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError>;

    /// What it holds, for one that is [`Holding::Claims`]. Asked once, as it begins.
    fn claims(&mut self) -> Claims {
        Claims::default()
    }

    /// Whether it goes on if its client goes, for one that writes: not before it has anything to write.
    fn outlives_client(&self) -> bool {
        true
    }

    /// Whether it needs its client's state, also when the client has gone.
    fn needs_client(&self) -> bool {
        false
    }

    /// Bytes of memory that it may still take for what it changes where others would see it. It has asked for room before the
    /// first change, and no other writer gets what is left of that between its slices.
    fn room(&self) -> u64 {
        0
    }

    /// Called once when it has ended, done or not, for what it has registered elsewhere or must not free at once.
    fn end(&mut self, engine: &mut Engine) {
        let _ = engine;
    }
}

/// What a task holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Nothing: it works on what cannot change, and nobody has to know of it.
    Nothing,
    /// No key, but FLUSH* of its database waits: it walks over that.
    Database,
    /// The keys of its request, as the command's row names them, [`KEYS_AT_ONCE_MAX`](super::holds::KEYS_AT_ONCE_MAX) at most.
    Keys,
    /// Those that it takes with [`Slice::take`], all for this access. Only for requests of more keys than that: they wait
    /// until they are the one such task.
    AsItGoes(Access),
    /// What it [claims](Sliced::claims): keys of several databases, and whole databases. If the keys are too many it takes them with
    /// [`Slice::take`].
    Claims,
}

/// How far a slice came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    More,
    /// The reply is whole.
    Done,
    /// The reply is whole, and the connection closes once it is sent.
    Close,
    /// Another task holds the key that it needs next; [`Slice::take`] said so.
    Waits,
    /// It has found nothing and has its places in the queues: its client is to be [parked](Engine::end_parking).
    Parks,
}

/// What a slice may touch.
pub struct Slice<'a> {
    /// The server, without this task.
    pub engine: &'a mut Engine,
    /// The number of the database that the client had selected when it sent the request.
    pub db: usize,
    /// The request.
    pub args: &'a Args<'a>,
    /// Where the answer goes.
    pub reply: &'a mut Reply,
    /// Who asked; `None`: it has gone.
    client: Option<ClientId>,
    /// Whether the task is part of another one.
    part: Part,
    /// It only reads.
    reads: bool,
    /// Others may look at the keys that it takes, and find that one has expired.
    shares: bool,
}

/// Whether a task is part of another one, and what that holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It is not.
    Whole,
    /// That holds all that it needs.
    HasAll,
    /// That takes its keys as it goes.
    TakesKeys,
}

impl<'a> Slice<'a> {
    /// What is like a slice, but of no task yet: the beginning of one.
    pub fn of_client(engine: &'a mut Engine, client: ClientId, args: &'a Args<'a>, reply: &'a mut Reply) -> Slice<'a> {
        let db = engine.client(client).db;
        Slice { engine, db, args, reply, client: Some(client), part: Part::Whole, reads: false, shares: false }
    }
}

impl Slice<'_> {
    /// The database of the request.
    pub fn db(&mut self) -> Db<'_> {
        self.engine.keyspace.db(self.db)
    }

    /// Holds another key until the task ends, for one that is [`Holding::AsItGoes`]. `false`: another task has it; the slice
    /// ends with [`Progress::Waits`] and the next one tries again.
    pub fn take(&mut self, key: &[u8]) -> bool {
        if check_key(key).is_err() {
            // It is never there.
            return true;
        }
        let hash = self.engine.keyspace.store.key(key).hash();
        let is_taken = self.take_in(self.db, hash);
        if let Some(client) = self.client.filter(|_| is_taken && self.reads) {
            self.engine.remember_as_it_goes(client, key);
        }
        is_taken
    }

    /// [`take`](Slice::take) of a key of another database, by its hash.
    pub fn take_in(&mut self, db: usize, hash: u64) -> bool {
        if self.part == Part::HasAll {
            return true;
        }
        let is_taken = self.engine.holds.take_in_bulk(self.client, db, hash);
        if is_taken && self.shares {
            self.engine.keyspace.keep_in_bulk(db, hash);
        }
        is_taken
    }

    /// Who may be parked if it finds nothing: no transaction, and nobody who has gone.
    pub fn parker(&self) -> Option<ClientId> {
        self.client.filter(|_| self.part == Part::Whole)
    }

    /// Whether another task holds a key.
    pub fn is_held(&self, db: usize, hash: u64) -> bool {
        self.part == Part::Whole && self.engine.holds.is_held(db, hash)
    }

    /// A slice of a task that is part of this one, and began in database `db` with the request `args`. With `takes_keys` this one
    /// is bulk; otherwise it holds all that the other needs. `reads` says that the other only reads.
    pub fn of_part<'b>(&'b mut self, db: usize, args: &'b Args<'b>, takes_keys: bool, reads: bool) -> Slice<'b> {
        let part = if takes_keys { Part::TakesKeys } else { Part::HasAll };
        Slice { engine: self.engine, db, args, reply: self.reply, client: self.client, part, reads, shares: false }
    }
}

/// A task that runs.
#[derive(Debug)]
struct Task {
    sliced: Box<dyn Sliced>,
    db: usize,
    /// `None`: nothing.
    held: Option<Held>,
    /// It must come to its end although nobody waits for it.
    writes: bool,
    /// When it began, for one that holds: it looks at its keys as of then, so that they do not expire under it.
    as_of: Option<Millis>,
    /// Bytes of reply that it has written.
    reply_bytes: usize,
    /// The keys that are kept for it, by database and hash: who shares one and finds it expired does not remove it.
    kept: Vec<(usize, u64)>,
    /// The databases that are kept for it.
    kept_whole: Vec<usize>,
    /// What the store keeps free for it between its slices.
    promised: u64,
}

/// A request that is its own owner.
#[derive(Debug)]
pub struct OwnedRequest {
    /// The bytes that `batch` was parsed from.
    pub bytes: Vec<u8>,
    /// The requests.
    pub batch: Batch,
    /// Which of them it is.
    pub index: usize,
}

impl OwnedRequest {
    /// The beginning of a copy of a request whose arguments are all among its bytes.
    pub fn begin_copy(args: &Args<'_>) -> OwnedRequest {
        OwnedRequest { bytes: Vec::with_capacity(args.extent()), batch: Batch::with_room(args.len()), index: 0 }
    }

    /// Copies the next argument.
    pub fn copy_arg(&mut self, arg: &[u8]) {
        let start = u32::try_from(self.bytes.len()).expect("a request is shorter than 4 GiB");
        self.batch.push_arg(Span { start, len: arg.len() as u32 });
        self.bytes.extend_from_slice(arg);
    }

    /// Bytes of memory that it takes, about.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.batch.memory_bytes()
    }

    /// Its arguments.
    pub fn args(&self) -> Args<'_> {
        self.batch.args(self.index, &self.bytes)
    }
}

#[derive(Debug)]
struct Orphan {
    task: Task,
    request: OwnedRequest,
    /// It has waited for a key since there were so many releases.
    waits_since: Option<u64>,
    /// What its client was, if it needs that: among the clients while it has a slice.
    client: Option<Box<Client>>,
}

/// All tasks that run.
#[derive(Debug, Default)]
pub struct Tasks {
    of_clients: HashMap<ClientId, Task>,
    orphans: VecDeque<Orphan>,
    /// What the client's task that had a slice last has written of its reply.
    last_reply_bytes: usize,
}

impl Engine {
    /// Whether a task of this client runs: [`step_task`](Engine::step_task) comes before its next request.
    #[inline]
    pub fn has_task(&self, client: ClientId) -> bool {
        !self.tasks.of_clients.is_empty() && self.tasks.of_clients.contains_key(&client)
    }

    /// Bytes that the task which had a slice last has written of its reply.
    pub(crate) fn task_reply_bytes(&self) -> usize {
        self.tasks.last_reply_bytes
    }

    /// Registers a task of a client in the database that it has selected. `keys` are those of its request, with what is done
    /// with them, for a task that is [`Holding::Keys`]. `writes` says that it goes on without the client.
    pub fn begin_task(
        &mut self,
        client: ClientId,
        mut sliced: Box<dyn Sliced>,
        writes: bool,
        keys: impl FnOnce(&Engine) -> Vec<(u64, Access)>,
    ) {
        let db = self.client(client).db;
        let (mut kept, mut kept_whole) = (Vec::new(), Vec::new());
        let as_of = (sliced.holding() != Holding::Nothing).then(|| self.keyspace.now());
        let held = match sliced.holding() {
            Holding::Nothing => None,
            Holding::Database => Some(self.holds.begin(db, Vec::new())),
            Holding::Keys => {
                let keys = keys(self);
                kept.extend(keys.iter().map(|&(hash, _)| (db, hash)));
                Some(self.holds.begin(db, keys))
            }
            Holding::Claims => {
                let claims = sliced.claims();
                kept.extend(claims.named_keys());
                kept_whole.extend(claims.whole_databases());
                Some(self.holds.begin_claims(claims))
            }
            Holding::AsItGoes(access) => Some(self.holds.begin_bulk(db, access)),
        };
        kept.iter().for_each(|&(db, hash)| self.keyspace.keep(db, hash));
        kept_whole.iter().for_each(|&db| self.keyspace.keep_all(db));
        let task = Task { sliced, db, held, writes, as_of, kept, kept_whole, promised: 0, reply_bytes: 0 };
        let before = self.tasks.of_clients.insert(client, task);
        assert!(before.is_none(), "a client has one command at a time");
    }

    /// Gives the task of a client a slice; `args` is the request that began it. It is forgotten with its end; one that parks is ended by
    /// [`end_parking`](Engine::end_parking).
    ///
    /// # Errors
    /// The command's; it has ended then.
    pub fn step_task(
        &mut self,
        client: ClientId,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Result<Progress, CommandError> {
        let mut task = self.tasks.of_clients.remove(&client).expect("the client has a task");
        let replied = reply.len();
        let outcome = self.slice(&mut task, Some(client), args, reply);
        task.reply_bytes += reply.len().saturating_sub(replied);
        self.tasks.last_reply_bytes = task.reply_bytes;
        match outcome {
            Ok(Progress::More | Progress::Waits | Progress::Parks) => drop(self.tasks.of_clients.insert(client, task)),
            Ok(Progress::Done | Progress::Close) | Err(_) => self.end_task(task),
        }
        outcome
    }

    fn slice(
        &mut self,
        task: &mut Task,
        client: Option<ClientId>,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Result<Progress, CommandError> {
        self.keyspace.store.redeem(std::mem::take(&mut task.promised));
        let as_of = self.keyspace.look_as_of(task.as_of);
        let shares = task.sliced.holding() == Holding::AsItGoes(Access::Read);
        let (part, reads) = (Part::Whole, !task.writes);
        let mut slice = Slice { engine: self, db: task.db, args, reply, client, part, reads, shares };
        let outcome = task.sliced.step(&mut slice);
        self.keyspace.look_as_of(as_of);
        self.keyspace.store.end_grant();
        let room = task.sliced.room();
        if room > 0 && matches!(outcome, Ok(Progress::More | Progress::Waits)) {
            task.promised = self.keyspace.store.promise(room);
        }
        outcome
    }

    /// Ends the task of a client whose request is parked; the keys that it held.
    pub(super) fn end_parked_task(&mut self, client: ClientId) -> Option<Hashes> {
        let task = self.tasks.of_clients.remove(&client).expect("it has just said that it parks");
        self.end(task)
    }

    fn end_task(&mut self, task: Task) {
        if let Some(keys) = self.end(task) {
            self.garbage.add(keys);
        }
    }

    /// The keys that it held, if it took them as it went.
    fn end(&mut self, mut task: Task) -> Option<Hashes> {
        self.keyspace.store.take_back(task.promised);
        task.sliced.end(self);
        task.kept.iter().for_each(|&(db, hash)| self.keyspace.let_go_of(db, hash));
        task.kept_whole.iter().for_each(|&db| self.keyspace.let_all_go(db));
        let keys = self.holds.release(task.held?)?;
        self.garbage.add(self.keyspace.let_go_of_bulk());
        Some(keys)
    }

    /// The client goes in the middle of its task. One that writes goes on with the request as its own; others end here.
    /// Without effect if no task of the client runs. Call it before [`disconnect`](Engine::disconnect).
    pub fn leave_task(&mut self, client: ClientId, request: OwnedRequest) {
        match self.tasks.of_clients.remove(&client) {
            Some(task) if task.writes && task.sliced.outlives_client() => {
                let client = task.sliced.needs_client().then(|| Box::new(self.client_mut(client).take_over()));
                self.tasks.orphans.push_back(Orphan { task, request, waits_since: None, client });
            }
            Some(task) => self.end_task(task),
            None => {}
        }
    }

    /// Ends what a client that goes has under way, but for what [`leave_task`](Engine::leave_task) took over.
    pub(super) fn forget_task(&mut self, client: ClientId) {
        if let Some(task) = self.tasks.of_clients.remove(&client) {
            self.end_task(task);
        }
        self.holds.stop_waiting(client);
    }

    /// Frees a request that is done with, in steps if it is long.
    pub(super) fn discard_request(&mut self, request: OwnedRequest) {
        let OwnedRequest { bytes, mut batch, .. } = request;
        self.garbage.add(bytes);
        self.garbage.add(batch.take_apart());
        if let Some(spans) = batch.take_excess() {
            self.garbage.add(spans);
        }
    }

    /// Whether some orphan can go on.
    pub(super) fn orphans_in_debt(&self) -> bool {
        self.tasks.orphans.iter().any(|orphan| orphan.waits_since != Some(self.holds.releases()))
    }

    /// A slice for one orphan, in turn; whether some can go on.
    pub(super) fn step_orphans(&mut self) -> bool {
        let Some(mut orphan) = self.tasks.orphans.pop_front() else {
            return false;
        };
        let releases = self.holds.releases();
        let id = orphan.client.take().map(|client| self.clients.put(*client));
        let OwnedRequest { bytes, batch, index } = &orphan.request;
        // Nobody reads it: what a slice of a task that writes answers is short.
        let outcome = self.slice(&mut orphan.task, None, &batch.args(*index, bytes), &mut Reply::new());
        match outcome {
            Ok(progress @ (Progress::More | Progress::Waits)) => {
                orphan.waits_since = (progress == Progress::Waits).then_some(releases);
                if let Some(id) = id {
                    // It is not among the clients before its next slice.
                    self.forget_pushed(id);
                }
                orphan.client = id.and_then(|id| self.clients.remove(id)).map(Box::new);
                self.tasks.orphans.push_back(orphan);
            }
            Ok(Progress::Parks) => unreachable!("who has gone is not parked"),
            Ok(Progress::Done | Progress::Close) | Err(_) => {
                self.end_task(orphan.task);
                if let Some(id) = id {
                    self.disconnect(id);
                }
                self.discard_request(orphan.request);
            }
        }
        self.orphans_in_debt()
    }
}
