//! What a client has of a transaction: the keys that it watches, and the requests that it has queued.
//!
//! ```text
//!  nothing -- WATCH --> watching -- MULTI --> queueing -- EXEC --> executing -- its end --> nothing
//!     ^                    |                     |
//!     +----- UNWATCH ------+----- DISCARD, RESET, an error at EXEC, the end of the connection
//! ```
//!
//! Queued requests are copies, several on a page of their own bytes; a value that stands apart is handed over and not copied. While they
//! are queued it is noted what EXEC will need: the keys of all of them, as [`Claims`], and whether some want memory. They are
//! looked up anew when they are carried out (see `dispatch::exec`).
//!
//! 1. What is queued counts as memory of the client until it has been carried out or discarded.
//! 2. A client that does none of all this has no [`Transaction`].

use super::garbage::FreeInSteps;
use super::holds::Claims;
use super::tasks::BYTES_PER_SLICE;
use super::{Client, ClientId, Engine};
use crate::keyspace::WatcherId;
use crate::proto::{Args, Batch, Span};

/// Bytes of arguments that a client may queue: where Redis closes the connection by default.
pub const QUEUED_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Bytes of a page after which the next request begins another one.
const PAGE_BYTES: usize = 16 * 1024;
/// Requests of a page.
const PAGE_REQUESTS: usize = 256;
/// Arguments that a step of copying a long request passes on, some 1 ns each.
const ARGUMENTS_PER_STEP: usize = 16 * 1024;
/// What an argument counts beside its bytes in what CLIENT LIST tells, as in Redis.
const ARGUMENT_BYTES: usize = 8;

/// A client's part in transactions.
#[derive(Debug, Default)]
pub struct Transaction {
    state: State,
    /// `None`: it watches nothing.
    watcher: Option<WatcherId>,
}

/// How far a client has come.
#[derive(Debug, Default)]
enum State {
    /// It only watches.
    #[default]
    Watching,
    /// After MULTI.
    Queueing(Box<Queue>),
    /// EXEC carries out so many requests, which take so much memory.
    Executing { requests: usize, argument_bytes: usize, held_bytes: usize },
}

/// The requests of a transaction, in order.
#[derive(Debug, Default)]
pub struct Queue {
    pages: Vec<Page>,
    len: usize,
    argument_bytes: usize,
    held_bytes: usize,
    /// Bytes of large values, which are in the store's books.
    apart_bytes: usize,
    /// A request was refused, so that EXEC will be.
    is_aborted: bool,
    /// The database in which the next request will be carried out.
    pub db: usize,
    /// What the requests need.
    pub claims: Claims,
    /// Whether one of them is refused when memory is short.
    pub denies_oom: bool,
    /// Whether one of them does more than read.
    pub writes: bool,
    /// Whether one of them stops in a pause of writes.
    pub may_write: bool,
}

/// Some requests and their bytes.
#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    batch: Batch,
}

impl Queue {
    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the first request is.
    pub fn first(&self) -> Place {
        Place::default()
    }

    /// A request, and where the next one is; `None` behind the last.
    pub fn at(&self, place: Place) -> Option<(Args<'_>, Place)> {
        let page = self.pages.get(place.page)?;
        let next = if place.index + 1 < page.batch.len() {
            Place { index: place.index + 1, ..place }
        } else {
            Place { page: place.page + 1, index: 0 }
        };
        Some((page.batch.args(place.index, &page.bytes), next))
    }

    /// Appends a copy of a request.
    fn push(&mut self, args: &Args<'_>) {
        let stands_apart = args.has_apart();
        let room = self.pages.last_mut().filter(|page| {
            !stands_apart
                && page.bytes.len() < PAGE_BYTES
                && page.batch.len() < PAGE_REQUESTS
                && args.extent() < PAGE_BYTES
        });
        let page = match room {
            Some(page) => page,
            None => {
                self.pages.push(Page { bytes: Vec::new(), batch: Batch::new() });
                self.pages.last_mut().expect("just pushed")
            }
        };
        let before = page.held_bytes();
        let base = page.bytes.len();
        page.bytes.extend_from_slice(args.raw());
        args.spans().for_each(|span| page.batch.push_arg(Span { start: span.start + base as u32, ..span }));
        if stands_apart {
            page.batch.hand_over_apart(args);
        }
        page.batch.end_request();
        self.held_bytes += page.held_bytes() - before;
        self.len += 1;
    }

    fn push_page(&mut self, page: Page) {
        self.held_bytes += page.held_bytes();
        self.pages.push(page);
        self.len += 1;
    }
}

/// Where a request of a queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    page: usize,
    index: usize,
}

impl Page {
    fn held_bytes(&self) -> usize {
        size_of::<Page>() + self.bytes.capacity() + self.batch.held_bytes()
    }
}

impl FreeInSteps for Queue {
    fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn free_some(&mut self) -> bool {
        let mut freed = 0;
        while freed < 16 * PAGE_BYTES
            && let Some(page) = self.pages.last_mut()
        {
            freed += page.held_bytes();
            let more_bytes = FreeInSteps::free_some(&mut page.bytes);
            if more_bytes || page.batch.free_some() {
                return true;
            }
            self.pages.pop();
        }
        !self.pages.is_empty()
    }
}

/// A long request that is being copied, in steps.
#[derive(Debug)]
pub struct LongCopy {
    page: Page,
    arguments: usize,
}

impl LongCopy {
    /// Whether a request is too long to be copied at once.
    pub fn is_for(args: &Args<'_>) -> bool {
        args.extent() > BYTES_PER_SLICE || args.len() > ARGUMENTS_PER_STEP
    }

    /// Nothing copied yet.
    pub fn begin(args: &Args<'_>) -> LongCopy {
        let bytes = Vec::with_capacity(args.extent());
        LongCopy { page: Page { bytes, batch: Batch::with_room(args.len()) }, arguments: 0 }
    }

    /// Copies a bounded part; whether there is more.
    pub fn step(&mut self, args: &Args<'_>) -> bool {
        let (raw, bytes) = (args.raw(), &mut self.page.bytes);
        let end = raw.len().min(bytes.len() + BYTES_PER_SLICE);
        bytes.extend_from_slice(&raw[bytes.len()..end]);
        let spans = args.spans().skip(self.arguments).take(ARGUMENTS_PER_STEP);
        self.arguments += spans.len();
        spans.for_each(|span| self.page.batch.push_arg(span));
        end < raw.len() || self.arguments < args.len()
    }
}

impl FreeInSteps for LongCopy {
    fn held_bytes(&self) -> usize {
        self.page.held_bytes()
    }

    fn free_some(&mut self) -> bool {
        FreeInSteps::free_some(&mut self.page.bytes) || self.page.batch.free_some()
    }
}

/// What EXEC finds.
#[derive(Debug)]
pub enum Begun {
    /// There was no MULTI.
    NoTransaction,
    /// A request was refused while it was queued.
    Aborted,
    /// A key that was watched has changed.
    Touched,
    /// The requests are to be carried out.
    Begins(Box<Queue>),
}

impl Client {
    /// Whether its requests are queued.
    #[inline]
    pub fn is_queueing(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| matches!(transaction.state, State::Queueing(_)))
    }

    /// Whether EXEC carries out its requests, each of which must have one reply.
    pub fn is_executing(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| matches!(transaction.state, State::Executing { .. }))
    }

    /// What it has queued, after MULTI.
    pub fn queue(&self) -> Option<&Queue> {
        match &self.transaction.as_ref()?.state {
            State::Queueing(queue) => Some(queue),
            _ => None,
        }
    }

    fn queue_mut(&mut self) -> Option<&mut Queue> {
        match &mut self.transaction.as_mut()?.state {
            State::Queueing(queue) => Some(queue),
            _ => None,
        }
    }

    fn watcher(&self) -> Option<WatcherId> {
        self.transaction.as_ref()?.watcher
    }

    /// How many requests it has queued or is having carried out, if it is in a transaction, and what CLIENT LIST says that they take.
    pub(super) fn queued(&self) -> Option<(usize, usize)> {
        match &self.transaction.as_ref()?.state {
            State::Watching => None,
            State::Queueing(queue) => Some((queue.len, queue.argument_bytes)),
            State::Executing { requests, argument_bytes, .. } => Some((*requests, *argument_bytes)),
        }
    }

    /// Bytes of the large values among what it has queued.
    pub(super) fn queued_apart_bytes(&self) -> usize {
        self.queue().map_or(0, |queue| queue.apart_bytes)
    }

    /// Bytes that its queued requests take, large values left out.
    pub(super) fn queue_bytes(&self) -> usize {
        match self.transaction.as_ref().map(|transaction| &transaction.state) {
            Some(State::Queueing(queue)) => queue.held_bytes,
            Some(State::Executing { held_bytes, .. }) => *held_bytes,
            _ => 0,
        }
    }
}

/// What a client watches, as CLIENT LIST tells it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watching {
    /// How many keys.
    pub keys: usize,
    /// Bytes of memory that this takes.
    pub bytes: usize,
    /// Whether one of them has changed.
    pub is_touched: bool,
}

impl Engine {
    /// What a client watches.
    pub fn watching(&self, client: &Client) -> Watching {
        let watched = &self.keyspace.watched;
        client.watcher().map_or(Watching::default(), |id| Watching {
            keys: watched.keys_of(id),
            bytes: watched.bytes_of(id),
            is_touched: watched.is_touched(id),
        })
    }

    /// MULTI: the client's requests are queued from now on. `false`: they are already.
    pub(crate) fn begin_queue(&mut self, client: ClientId) -> bool {
        let client = self.client_mut(client);
        let (db, is_first) = (client.db, client.queued().is_none());
        if is_first {
            let transaction = client.transaction.get_or_insert_default();
            transaction.state = State::Queueing(Box::new(Queue { db, ..Queue::default() }));
        }
        is_first
    }

    /// Whether what the client sends now may be carried out some time: no request was refused, and no watched key has changed.
    pub(crate) fn has_hope(&self, client: ClientId) -> bool {
        let client = self.client(client);
        client.queue().is_some_and(|queue| !queue.is_aborted) && !self.watching(client).is_touched
    }

    /// Changes what is noted of a client's queue.
    pub(crate) fn note_queued(&mut self, client: ClientId, note: impl FnOnce(&Engine, &mut Queue)) {
        let queue = self.client_mut(client).queue_mut().expect("the client is queueing");
        let mut noted = std::mem::take(queue);
        note(self, &mut noted);
        *self.client_mut(client).queue_mut().expect("just seen") = noted;
    }

    /// Queues a copy of a request, or one that was copied in steps. `false`: the client has queued too much.
    pub(crate) fn enqueue(&mut self, client: ClientId, args: &Args<'_>, copied: Option<LongCopy>) -> bool {
        let queue = self.client_mut(client).queue_mut().expect("the client is queueing");
        let before = queue.held_bytes;
        let apart_bytes = args.apart_len();
        queue.apart_bytes += apart_bytes as usize;
        queue.argument_bytes += args.total_len() as usize + args.len() * ARGUMENT_BYTES;
        match copied {
            None => queue.push(args),
            Some(LongCopy { mut page, .. }) => {
                page.batch.hand_over_apart(args);
                page.batch.end_request();
                queue.push_page(page);
            }
        }
        let (more, fits) = (queue.held_bytes - before, queue.argument_bytes <= QUEUED_BYTES_MAX);
        self.buffer_bytes += more as u64;
        self.crowd.value_bytes += apart_bytes;
        fits
    }

    /// A request of the client was refused: its transaction will be, too.
    pub(crate) fn abort_queue(&mut self, client: ClientId) {
        if let Some(queue) = self.client_mut(client).queue_mut() {
            queue.is_aborted = true;
        }
    }

    /// EXEC: takes what is queued, if it is to be carried out; the client watches nothing any more.
    pub(crate) fn begin_exec(&mut self, client: ClientId) -> Begun {
        let now = self.keyspace.now();
        let this = self.client(client);
        let Some(queue) = this.queue() else { return Begun::NoTransaction };
        let is_lost = this.watcher().is_some_and(|id| self.keyspace.watched.has_lost(id, now));
        if queue.is_aborted || is_lost {
            let begun = if queue.is_aborted { Begun::Aborted } else { Begun::Touched };
            self.discard_transaction(client);
            return begun;
        }
        self.unwatch(client);
        let queue = self.client_mut(client).queue_mut().expect("just seen");
        let queue = Box::new(std::mem::take(queue));
        let Queue { len: requests, argument_bytes, held_bytes, apart_bytes, .. } = *queue;
        self.crowd.value_bytes -= apart_bytes as u64;
        self.client_mut(client).transaction.get_or_insert_default().state =
            State::Executing { requests, argument_bytes, held_bytes };
        Begun::Begins(queue)
    }

    /// Ends a client's transaction, whatever has come of it: nothing is queued or watched any more.
    pub(crate) fn discard_transaction(&mut self, client: ClientId) {
        self.unwatch(client);
        let Some(slot) = self.clients.slot(client) else { return };
        let this = self.clients.at_mut(slot);
        let (held_bytes, apart_bytes) = (this.queue_bytes() as u64, this.queued_apart_bytes() as u64);
        if let Some(Transaction { state: State::Queueing(queue), .. }) = this.transaction.take().map(|taken| *taken) {
            self.garbage.add(*queue);
        }
        self.buffer_bytes -= held_bytes;
        self.crowd.value_bytes -= apart_bytes;
    }

    /// The client watches a key of its database from now on. O(log n)
    pub(crate) fn watch(&mut self, client: ClientId, key: &[u8]) {
        let this = self.clients.get_mut(client).expect("commands come from connected clients");
        let transaction = this.transaction.get_or_insert_default();
        let watcher = *transaction.watcher.get_or_insert_with(|| self.keyspace.watched.begin());
        self.keyspace.watch(watcher, this.db, key);
    }

    /// The client watches nothing any more, and no change has touched it.
    pub(crate) fn unwatch(&mut self, client: ClientId) {
        // Also one that was killed, which goes now.
        let Some(slot) = self.clients.slot(client) else { return };
        let this = self.clients.at_mut(slot);
        let Some(transaction) = &mut this.transaction else { return };
        if let Some(watcher) = transaction.watcher.take() {
            self.keyspace.watched.end(watcher);
        }
        if matches!(transaction.state, State::Watching) {
            this.transaction = None;
        }
    }
}
