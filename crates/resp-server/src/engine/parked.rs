//! Requests that wait for a key: BLPOP and its like.
//!
//! ```text
//!  handler -> Flow::Park(wait) -> parked -- a key of its type appears --> run again --> the reply, in the outbox
//!                                   |                                        |
//!                                   |-- the time is up, CLIENT UNBLOCK       +-- finds nothing after all: parked again
//!                                   |   -> nothing was found, in the outbox
//!                                   +-- the client goes -> forgotten
//! ```
//!
//! The engine owns a copy of a parked request, and runs it right after the command that made a key ready, before anything else: a
//! pusher's own next LPOP comes too late (see `dispatch::parked`). Its connection does nothing meanwhile but notice that its
//! client goes, and goes on with the requests behind it once the answer is in the [outbox](super::outbox).
//!
//! 1. At each key the clients stand in a queue by ticket, a number in order of arrival. Who is run again in vain keeps its ticket.
//!    A place in a queue counts only while its client is parked with that ticket: who waited for many keys leaves their queues in
//!    steps, by a row of JOBS.
//!    A request of very many keys takes its places in slices, while it holds all of them, and is parked before it lets go of them: no
//!    change comes between. When it is run again it holds all of them from the first moment on.
//! 2. A key is in `Awaited` as often as somebody has a place in its queue.
//! 3. A key that a long command holds is not ready before it is released. Nobody is passed: where the first of a queue needs
//!    another key that is held, those behind it wait as well.
//! 4. A parked client has no task, waits for no hold, and is not answered; after its answer it is none of the three until its
//!    connection has taken note.
//! 5. Serving goes on in steps. What it has not come to is held for those who wait, and who has changed it does nothing else before
//!    they are served.
//!
//! Cost: O(keys log n) to park and to go; nothing while nobody is parked.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Range;

#[cfg(any(test, fuzzing))]
use super::holds::Holds;
use super::holds::{Serving, Want};
use super::tasks::{BYTES_PER_SLICE, OwnedRequest};
use super::{ClientId, Engine};
use crate::keyspace::hashes::Hashes;
use crate::keyspace::{KeyPlace, ValueType};
use crate::proto::{Args, CommandError, Reply};

/// What a handler asks for that has found nothing. When its time is up the reply is the null that stands for an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The arguments that are the keys waited for, in the order in which they are preferred. A key may come twice.
    pub keys: Range<usize>,
    /// What one of them must hold for the request to be run again.
    pub value_type: ValueType,
    /// Microseconds from now after which it waits no longer; `None`: for ever.
    pub timeout_us: Option<u64>,
}

/// Why a client is parked no longer although no key was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unblock {
    /// Its time is up, or shall seem so.
    Timeout,
    /// An error is to be its answer.
    Error,
}

/// A request that is parked.
#[derive(Debug)]
pub struct ParkedRequest {
    /// The request.
    pub request: OwnedRequest,
    /// The number of the database that the client had selected.
    pub db: usize,
    /// Its command's place in the statistics, and full name.
    command: (u32, &'static str),
    ticket: u64,
    /// The keys it waits for, each once, with the first argument that names each.
    keys: Vec<(KeyPlace, usize)>,
    /// The same as its task held them, if they are very many.
    held: Option<Hashes>,
    value_type: ValueType,
    /// On the monotonic clock.
    deadline_us: Option<u64>,
}

/// A request that is about to be parked: it takes its places in the queues.
#[derive(Debug)]
struct Entering {
    client: ClientId,
    db: usize,
    ticket: u64,
    wait: Wait,
    deadline_us: Option<u64>,
    /// As far as it is copied.
    request: OwnedRequest,
    /// The places that it has.
    keys: Vec<(KeyPlace, usize)>,
    /// The argument to go on with.
    next: usize,
}

/// One who stands in the queue of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Its place in the queue: others have greater tickets.
    pub(crate) ticket: u64,
    /// Who it is.
    pub(crate) client: ClientId,
    /// What the key must hold; `None`: it does not wait any more.
    pub(crate) value_type: Option<ValueType>,
    /// The argument of its request that names the key.
    pub(crate) argument: usize,
}

/// All that are parked.
#[derive(Debug, Default)]
pub struct Parked {
    clients: HashMap<ClientId, ParkedRequest>,
    /// For each key, and each ticket there, who stands there and the argument that names the key. A tree, as a hash table of a million
    /// keys grows in one step of milliseconds.
    queues: BTreeMap<(KeyPlace, u64), (ClientId, usize)>,
    /// Tickets that wait no longer, and the places that they still have.
    given_up: VecDeque<(u64, Vec<(KeyPlace, usize)>)>,
    /// The task of very many keys that takes its places, if it does.
    entering: Option<Entering>,
    deadlines: BTreeSet<(u64, ClientId)>,
    /// Clients whose connection has not taken note of their answer yet.
    answered: HashSet<ClientId>,
    /// Beginnings of long answers that their connections have not taken yet.
    begun: HashMap<ClientId, Reply>,
    /// Keys that were ready but held, and how many releases there had been.
    deferred: Vec<KeyPlace>,
    deferred_since: u64,
    last_ticket: u64,
    /// Those who can be served are being served.
    serving: bool,
    /// The key at which a step has stopped, and the ticket to go on with.
    unfinished: Option<(KeyPlace, u64)>,
}

impl Parked {
    /// How many clients are parked.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether none is.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// How many of them wait for a time only.
    pub fn with_deadline(&self) -> usize {
        self.deadlines.len()
    }

    /// The request of a client that is parked.
    pub(crate) fn request(&self, client: ClientId) -> &OwnedRequest {
        &self.clients[&client].request
    }

    /// Who stands in the queue of a key, first with a ticket from `ticket` on.
    pub(crate) fn candidate(&self, key: KeyPlace, ticket: u64) -> Option<Candidate> {
        let (&(_, ticket), &(client, argument)) = self.queues.range((key, ticket)..=(key, u64::MAX)).next()?;
        let parked = self.clients.get(&client).filter(|parked| parked.ticket == ticket);
        Some(Candidate { ticket, client, value_type: parked.map(|parked| parked.value_type), argument })
    }

    /// Whether some have places in queues who wait no longer.
    pub(crate) fn has_given_up(&self) -> bool {
        !self.given_up.is_empty()
    }
}

/// What waiting for a key takes: its place here, in its queue, and among those that are awaited, where it may be alone.
const KEY_BYTES: usize = 192;
/// Places in queues that are given up at once, some 0.5 us each; more are, in steps.
const LEAVE_AT_ONCE: usize = 32;
/// Places that are taken in a slice, and given up in a step of the job, up to 1 us each where there are many.
pub(crate) const PLACES_PER_STEP: usize = 64;
/// Clients whose time is up and that a step of the job answers, some 0.5 us for each key that they wait for.
const TIMEOUTS_PER_STEP: usize = 128;

/// The answer to a request of a command whose time is up.
fn nothing_found(command: &str, reply: &mut Reply) {
    match command {
        // How many replicas have acknowledged.
        "wait" => reply.integer(0),
        "waitaof" => {
            reply.array(2);
            reply.integer(0);
            reply.integer(0);
        }
        _ => reply.null_array(),
    }
}

impl Engine {
    /// Parks a client's request, which has found nothing yet. Copies it: O(its length).
    pub(crate) fn park(&mut self, client: ClientId, command: (u32, &'static str), args: &Args<'_>, wait: &Wait) {
        let mut entering = self.begin_entering(client, args, wait, self.now.monotonic_us);
        while self.enter_some(args, &mut entering) {}
        self.park_entered(command, entering, None);
    }

    /// Begins to park the request of the task of very many keys, which holds all of them and came when the monotonic clock said so.
    pub(crate) fn begin_parking(&mut self, client: ClientId, args: &Args<'_>, wait: &Wait, came_us: u64) {
        let entering = self.begin_entering(client, args, wait, came_us);
        let before = self.parked.entering.replace(entering);
        assert!(before.is_none(), "there is one task of very many keys at a time");
    }

    /// Goes on with that for a slice; whether there is more to do. If not, the task [parks](super::Progress::Parks).
    pub(crate) fn step_parking(&mut self, args: &Args<'_>) -> bool {
        let mut entering = self.parked.entering.take().expect("it has begun");
        let is_more = self.enter_some(args, &mut entering);
        self.parked.entering = Some(entering);
        is_more
    }

    /// The task ends in the middle of that, as its client has gone. Without effect once it is parked.
    pub(crate) fn give_up_parking(&mut self) {
        if let Some(entering) = self.parked.entering.take() {
            self.discard_request(entering.request);
            self.leave_queues(entering.ticket, entering.keys);
        }
    }

    /// Parks the client whose task says that it [parks](super::Progress::Parks), and ends the task. Others come to its keys only now, when
    /// it waits for all of them.
    pub(crate) fn end_parking(&mut self, client: ClientId, command: (u32, &'static str)) {
        let entering = self.parked.entering.take().expect("it has begun");
        let held = self.end_parked_task(client);
        self.park_entered(command, entering, held);
    }

    fn begin_entering(&mut self, client: ClientId, args: &Args<'_>, wait: &Wait, came_us: u64) -> Entering {
        self.parked.last_ticket += 1;
        Entering {
            client,
            db: self.client(client).db,
            ticket: self.parked.last_ticket,
            wait: wait.clone(),
            deadline_us: wait.timeout_us.map(|us| came_us.saturating_add(us)),
            request: OwnedRequest::begin_copy(args),
            keys: Vec::with_capacity(wait.keys.len()),
            next: 0,
        }
    }

    /// Copies some arguments and takes a place in the queue of each that is a key; whether there are more.
    fn enter_some(&mut self, args: &Args<'_>, entering: &mut Entering) -> bool {
        let end = args.len().min(entering.next + PLACES_PER_STEP);
        let bytes_max = entering.request.bytes.len() + BYTES_PER_SLICE;
        while entering.next < end && entering.request.bytes.len() < bytes_max {
            let (argument, arg) = (entering.next, args.at(entering.next));
            entering.next += 1;
            entering.request.copy_arg(arg);
            if !entering.wait.keys.contains(&argument) {
                continue;
            }
            let key = (entering.db as u32, self.keyspace.store.key(arg).hash());
            if let Entry::Vacant(place) = self.parked.queues.entry((key, entering.ticket)) {
                place.insert((entering.client, argument));
                self.keyspace.awaited.enter(key);
                entering.keys.push((key, argument));
            }
        }
        let is_more = entering.next < args.len();
        if !is_more {
            entering.request.batch.end_request();
        }
        is_more
    }

    fn park_entered(&mut self, command: (u32, &'static str), entering: Entering, held: Option<Hashes>) {
        let Entering { client, db, ticket, wait, deadline_us, request, keys, .. } = entering;
        let value_type = wait.value_type;
        self.park_again(client, ParkedRequest { request, db, command, ticket, keys, held, value_type, deadline_us });
    }

    /// Parks a request that has its places in the queues, for the first time or after it was [taken up](Engine::take_up).
    pub(crate) fn park_again(&mut self, client: ClientId, parked: ParkedRequest) {
        if let Some(deadline_us) = parked.deadline_us {
            self.parked.deadlines.insert((deadline_us, client));
        }
        let held_bytes = parked.held.as_ref().map_or(0, Hashes::memory_bytes);
        let bytes = parked.request.memory_bytes() + parked.keys.len() * KEY_BYTES + held_bytes;
        let before = self.parked.clients.insert(client, parked);
        assert!(before.is_none(), "a client has one request at a time");
        self.buffer_bytes += bytes as u64;
        let client = self.client_mut(client);
        client.blocked = true;
        client.parked_bytes = bytes;
    }

    /// Takes a request up that is parked, to be run again: its places do not count before it is [parked again](Engine::park_again) or
    /// [gives them up](Engine::give_up_places).
    pub(crate) fn take_up(&mut self, client: ClientId) -> Option<ParkedRequest> {
        let parked = self.parked.clients.remove(&client)?;
        if let Some(deadline_us) = parked.deadline_us {
            self.parked.deadlines.remove(&(deadline_us, client));
        }
        let now_us = self.now.monotonic_us;
        let client = self.client_mut(client);
        client.blocked = false;
        let bytes = std::mem::take(&mut client.parked_bytes);
        client.last_interaction_us = now_us;
        self.buffer_bytes -= bytes as u64;
        Some(parked)
    }

    /// A request that was [taken up](Engine::take_up) waits no longer.
    pub(crate) fn give_up_places(&mut self, parked: ParkedRequest) {
        if let Some(held) = parked.held {
            self.garbage.add(held);
        }
        self.discard_request(parked.request);
        self.leave_queues(parked.ticket, parked.keys);
    }

    /// A request that was [taken up](Engine::take_up) goes on as a task. If its keys are very many, it has all of them before those who
    /// stand behind it, and before newcomers.
    pub(crate) fn go_on_as_task(&mut self, mut parked: ParkedRequest) {
        if let Some(keys) = parked.held.take() {
            self.holds.hold_in_bulk(keys);
        }
        self.give_up_places(parked);
    }

    /// Gives up the places of a ticket: at once if they are few.
    fn leave_queues(&mut self, ticket: u64, mut keys: Vec<(KeyPlace, usize)>) {
        if keys.len() > LEAVE_AT_ONCE {
            self.parked.given_up.push_back((ticket, keys));
        } else {
            self.leave_some(ticket, &mut keys, LEAVE_AT_ONCE);
        }
    }

    fn leave_some(&mut self, ticket: u64, keys: &mut Vec<(KeyPlace, usize)>, max: usize) {
        for (key, _) in keys.drain(keys.len().saturating_sub(max)..) {
            self.parked.queues.remove(&(key, ticket)).expect("a place is given up once");
            self.keyspace.awaited.leave(key);
        }
    }

    /// Gives up some places of those who wait no longer; whether there are more.
    pub(super) fn step_places(&mut self) -> bool {
        let Some((ticket, mut keys)) = self.parked.given_up.pop_front() else { return false };
        self.leave_some(ticket, &mut keys, PLACES_PER_STEP);
        if keys.is_empty() {
            self.garbage.add(keys);
        } else {
            self.parked.given_up.push_front((ticket, keys));
        }
        self.parked.has_given_up()
    }

    /// Whether the client's request is parked, or [postponed](super::pause): its connection waits until it is woken.
    #[inline]
    pub fn is_parked(&self, client: ClientId) -> bool {
        (!self.parked.is_empty() && self.parked.clients.contains_key(&client)) || self.pause.is_postponed(client)
    }

    /// The answer to a parked request is in the outbox.
    pub(crate) fn note_answered(&mut self, client: ClientId) {
        self.parked.answered.insert(client);
    }

    /// Whether the client's parked request has been answered; told once.
    #[inline]
    pub(crate) fn take_answered(&mut self, client: ClientId) -> bool {
        !self.parked.answered.is_empty() && self.parked.answered.remove(&client)
    }

    /// A parked request has begun to be answered: its connection puts this before the rest.
    pub(crate) fn begin_answer(&mut self, client: ClientId, beginning: Reply) {
        self.parked.begun.insert(client, beginning);
        self.outbox.wake(client);
    }

    /// The beginning of a long answer to a request that was parked; told once.
    pub(crate) fn take_beginning(&mut self, client: ClientId) -> Option<Reply> {
        if self.parked.begun.is_empty() {
            return None;
        }
        self.parked.begun.remove(&client)
    }

    /// Answers a parked request although no key is ready; whether the client was parked.
    pub(crate) fn unblock(&mut self, client: ClientId, how: Unblock) -> bool {
        let Some(parked) = self.take_up(client) else { return false };
        let (number, name) = parked.command;
        self.give_up_places(parked);
        let cell = self.stats.command(number as usize, name);
        cell.calls += 1;
        cell.failed_calls += u64::from(how == Unblock::Error);
        self.stats.commands_processed += 1;
        let (protocol, muted) = (self.client(client).protocol, self.client(client).is_muted());
        match how {
            _ if muted => self.outbox.wake(client),
            Unblock::Timeout => self.outbox.write(client, protocol, |reply| nothing_found(name, reply)),
            Unblock::Error => {
                let error = CommandError::text_static("UNBLOCKED client unblocked via CLIENT UNBLOCK");
                self.stats.count_error(&error.text());
                self.outbox.write(client, protocol, |reply| reply.error(&error.text()));
            }
        }
        self.note_answered(client);
        true
    }

    /// The client goes, with what it has parked and what was written to it.
    pub fn forget_parked(&mut self, client: ClientId) {
        if let Some(parked) = self.take_up(client) {
            self.give_up_places(parked);
        }
        self.forget_postponed(client);
        self.parked.answered.remove(&client);
        if let Some(beginning) = self.take_beginning(client) {
            self.garbage.add(beginning);
        }
        if let Some(reply) = self.outbox.take(client) {
            self.garbage.add(reply);
        }
    }

    /// When the first time-out is due, or the end of a pause, on the monotonic clock. O(log n)
    #[inline]
    pub fn next_timeout_us(&self) -> Option<u64> {
        let timeout_us = self.first_deadline_us();
        self.pause_due_us().map_or(timeout_us, |due_us| Some(timeout_us.map_or(due_us, |us| us.min(due_us))))
    }

    fn first_deadline_us(&self) -> Option<u64> {
        self.parked.deadlines.first().map(|&(deadline_us, _)| deadline_us)
    }

    /// Whether some time-out is due.
    pub(super) fn timeouts_in_debt(&self) -> bool {
        self.first_deadline_us().is_some_and(|deadline_us| deadline_us <= self.now.monotonic_us)
    }

    /// Answers some clients whose time is up; whether there are more.
    pub(super) fn step_timeouts(&mut self) -> bool {
        let mut left = TIMEOUTS_PER_STEP;
        while left > 0 {
            match self.parked.deadlines.first() {
                Some(&(deadline_us, client)) if deadline_us <= self.now.monotonic_us => {
                    left = left.saturating_sub(self.parked.clients[&client].keys.len().min(LEAVE_AT_ONCE));
                    self.unblock(client, Unblock::Timeout);
                }
                _ => return false,
            }
        }
        self.timeouts_in_debt()
    }

    /// Whether somebody may have to be served.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        self.keyspace.awaited.has_ready()
            || self.parked.unfinished.is_some()
            || !self.parked.deferred.is_empty() && self.parked.deferred_since != self.holds.releases()
    }

    /// Begins to serve those whose keys are ready; `false`: that is under way, and serves these as well.
    pub(crate) fn begin_serving(&mut self) -> bool {
        !std::mem::replace(&mut self.parked.serving, true)
    }

    /// The next key that is ready, and the ticket to go on with.
    pub(crate) fn next_ready(&mut self) -> Option<(KeyPlace, u64)> {
        if !self.parked.deferred.is_empty() && self.parked.deferred_since != self.holds.releases() {
            for key in std::mem::take(&mut self.parked.deferred) {
                if !self.keyspace.awaited.note(key) {
                    self.holds.end_serving(key);
                }
            }
        }
        self.parked.unfinished.take().or_else(|| Some((self.keyspace.awaited.take_ready()?, 0)))
    }

    /// Those who waited for a key that was ready are served, or wait on.
    pub(crate) fn key_is_served(&mut self, key: KeyPlace) {
        // Unless it has changed again meanwhile: then its turn comes once more.
        if !self.keyspace.awaited.is_ready(key) {
            self.holds.end_serving(key);
        }
    }

    /// A key is ready, but what the first request needs is held: it is looked at again after the next release, and held for it until
    /// then.
    pub(crate) fn serve_after_release(&mut self, key: KeyPlace) {
        self.holds.begin_serving(key, Serving::Later);
        if self.parked.deferred.is_empty() {
            self.parked.deferred_since = self.holds.releases();
        }
        if !self.parked.deferred.contains(&key) {
            self.parked.deferred.push(key);
        }
    }

    /// The step is over in the middle of a key's queue.
    pub(crate) fn serve_on(&mut self, key: KeyPlace, ticket: u64) {
        self.holds.begin_serving(key, Serving::Now);
        self.parked.unfinished = Some((key, ticket));
    }

    /// A step of serving is over. What is left is held for those who are to be served; whether something is.
    pub(crate) fn end_serving(&mut self) -> bool {
        self.parked.serving = false;
        let is_left = self.has_ready();
        if is_left {
            self.hold_ready();
        }
        let unfinished = u64::from(self.parked.unfinished.is_some());
        self.holds.note_served(self.keyspace.awaited.taken() - unfinished);
        is_left
    }

    /// Whether a step has left something to serve. A change that comes meanwhile is served in its turn.
    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.parked.unfinished.is_some() || self.keyspace.awaited.has_old()
    }

    /// Whether this is a request that is being served.
    #[inline]
    pub(crate) fn is_nested(&self) -> bool {
        self.parked.serving
    }

    /// Keys that have become ready and are not served at once are held for those who wait for them.
    pub(crate) fn hold_ready(&mut self) {
        for key in self.keyspace.awaited.take_news() {
            self.holds.begin_serving(key, Serving::Now);
        }
    }

    /// The client has changed what others wait for, and goes on once they are served.
    pub(crate) fn wait_until_served(&mut self, client: ClientId) {
        let want = Want::Served(self.keyspace.awaited.noted());
        let is_busy = self.has_task(client) || self.parked.clients.contains_key(&client);
        if !is_busy && self.holds.is_held_against(want) {
            self.holds.wait(client, want);
        }
    }

    /// Panics when the books do not agree: for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn audit_parked(&self) {
        let parked = &self.parked;
        let waiting: usize = parked.clients.values().map(|request| request.keys.len()).sum();
        let leaving: usize = parked.given_up.iter().map(|(_, keys)| keys.len()).sum();
        let entering = parked.entering.as_ref().map_or(0, |entering| entering.keys.len());
        assert_eq!(parked.queues.len(), waiting + leaving + entering);
        if let Some(Entering { client, ticket, keys, .. }) = &parked.entering {
            assert!(self.has_task(*client) && !parked.clients.contains_key(client));
            for (key, argument) in keys {
                assert_eq!(parked.queues[&(*key, *ticket)], (*client, *argument));
                assert!(self.holds.is_held(key.0 as usize, key.1) && !self.keyspace.awaited.is_ready(*key));
            }
        }
        let mut keys: Vec<KeyPlace> = parked.queues.keys().map(|&(key, _)| key).collect();
        keys.dedup();
        assert_eq!(self.keyspace.awaited.len(), keys.len());
        let timed = parked.clients.values().filter(|request| request.deadline_us.is_some()).count();
        assert_eq!(timed, parked.deadlines.len());
        for (&id, request) in &parked.clients {
            assert!(self.client(id).blocked && !self.has_task(id) && !self.holds.is_waiting(id));
            assert!(!parked.answered.contains(&id));
            for (key, argument) in &request.keys {
                assert_eq!(parked.queues[&(*key, request.ticket)], (id, *argument));
                assert!(request.held.as_ref().is_none_or(|held| Holds::are_held_in(held, *key)));
            }
        }
        assert!(!parked.serving, "serving does not stop in its middle");
        if let Some((key, _)) = parked.unfinished {
            assert!(self.holds.is_being_served(key));
        } else {
            // A step may have ended between two keys: what it has left is held for those who wait.
            let is_left = |key| self.is_serving() && self.holds.is_being_served(key);
            assert!(self.keyspace.awaited.ready().all(is_left), "nobody sleeps in front of a key that is ready");
            assert!(parked.deferred.is_empty() || parked.deferred_since == self.holds.releases());
        }
    }
}
