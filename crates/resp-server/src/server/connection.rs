//! A client's connection: a task that reads, parses, lets the engine execute, and writes, a *turn* at a time.
//!
//! ```text
//!  socket -> desk.scratch --parse--> desk.batch --execute--> reply -> socket
//!     |         |  ^                    ^                      |
//!     |         v  |  what is left of   |                      v  what the socket did not take
//!     |        query (an incomplete request)                 reply (segments)
//!     |                                 |
//!     +-> upload (the pages of a large value)
//! ```
//!
//! 1. A turn reads at most [`SCRATCH`] bytes ([`UPLOAD_READ`] of a large value, [`LONG_READ`] of another long request), works on
//!    its requests until [`TURN_US`] are over, the read included, and writes at most [`WRITE_MAX`] bytes; then the others have
//!    theirs. Every turn is timed and told to the stall ledger.
//! 2. All replies of a turn leave with one write, and those of a pipeline that takes several turns too, as long as they are few
//!    ([`GATHER_MAX`], [`GATHER_TURNS`]): a write costs as much as ten to twenty small requests, most of all where it wakes the client.
//!    While the loop is saturated, a pipeline's replies also let the turns of all who are ready go first, so that their writes stand
//!    together (see [`super::saturation`]). A request alone costs two system calls: a read that did not fill its buffer is not followed
//!    by another.
//! 3. An idle connection holds neither query buffer nor reply memory: it reads into the scratch buffer of all connections.
//! 4. The query buffer takes memory for what has arrived, never for what was announced: that is only room in the address space, so that
//!    a long request is not moved while it arrives. Where the system has no such room to give, the buffer grows to at most twice what has
//!    arrived, or by [`LONG_ROOM`].
//! 5. What a client does not take of its replies stops it being read at [`UNSENT_MAX`]; until then it may go on sending, as a client
//!    that writes a long pipeline before it reads the first reply does.
//! 6. What its writes owe to compaction is paid within the turn, or at the beginning of the next ones: until all is paid, it gets
//!    nothing else done. So memory stays bounded, and the one who causes the debt waits for it.
//! 7. A request that is long goes on a slice a turn, and one that has to wait for it is woken (see [`crate::engine::tasks`]); the
//!    connection does nothing else meanwhile. Neither is kept by a client that does not take its replies, as others may wait.
//! 8. A request that is parked (see [`crate::engine::parked`]) is the engine's. The connection goes on reading a little meanwhile, to
//!    notice that the client goes, and takes the answer, like all that others write to the client, from the outbox. Whoever writes
//!    there wakes it, whatever it waits for: it may be idle, or its socket full.
//! 9. Connections that a turn has killed are closed when its replies leave. A pool that looks at a connection before it uses it would
//!    take one for alive otherwise, although CLIENT KILL has been answered.
//! 10. What was received whole is answered, also when it is followed by the end of the stream or by a protocol error.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::Shared;
use super::stream::Stream;
use super::upload::{Received, Upload};
use crate::commands::LargeKind;
use crate::dispatch::{self, Pause};
use crate::engine::memory::Room;
use crate::engine::tasks::OwnedRequest;
use crate::engine::{ClientId, ledger};
use crate::proto::{Batch, Parser, Reply};
use crate::types::name::SHORT_BYTES_MAX;

/// Bytes of the buffer that connections read into.
const SCRATCH: usize = 64 * 1024;
/// What is kept of an incomplete request goes through the scratch buffer again up to this length. Longer ones stay, and the
/// socket is read into them.
const SHORT: usize = 16 * 1024;
/// Bytes that a turn reads of a long request: 20 to 60 us, most of it page faults where the memory is fresh.
const LONG_READ: usize = 64 * 1024;
/// Bytes that a turn reads of a large value: about 40 us over loopback on fresh pages, and as many bytes a second as with twice that.
const UPLOAD_READ: usize = 64 * 1024;
/// A name of more bytes has another form, which it takes as it arrives.
const NAME_BYTES_MAX: u64 = SHORT_BYTES_MAX as u64;
/// Bytes by which a long request's buffer may grow beyond what has arrived, and room in the address space behind a long argument.
const LONG_ROOM: usize = 4 * 1024 * 1024;
/// Bytes at which a query buffer behind a parked request is not read into any more: from there on it is not noticed when the client
/// goes, so it is large.
const AHEAD_MAX: usize = 64 * 1024 * 1024;
/// Bytes that are read at once then.
const AHEAD_READ: usize = 16 * 1024;
/// Requests parsed before they are executed.
const BATCH_MAX: usize = 128;
/// Microseconds after its beginning at which a turn executes nothing more and pays nothing more. What is under way goes on to
/// its end: some requests, or a step of a job; then comes the write.
const TURN_US: u64 = 50;
/// Bytes that a turn writes: about 50 us over the loopback interface.
const WRITE_MAX: usize = 64 * 1024;
/// Segments of one write.
const WRITE_SEGMENTS: usize = 64;
/// Bytes of replies that a client has not taken at which it is no longer read. A client that sends its whole pipeline
/// before it reads any reply stands still at this point, so it is large.
const UNSENT_MAX: usize = 64 * 1024 * 1024;
/// Replies of up to this many bytes wait for those of the requests that were received with theirs and are not carried out yet, so that a
/// pipeline which takes several turns is still answered with one write.
const GATHER_MAX: usize = 16 * 1024;
/// Turns for which they wait.
const GATHER_TURNS: u8 = 8;
/// Requests of a turn from which on it is a pipeline's, whose client waits for all of its replies.
const PIPELINE_MIN: usize = 8;
/// Making room for a large value, as the stall ledger names it.
const EVICTION: &str = "eviction";
/// Reply memory that is kept for the next turn, in bytes.
const REPLY_MEMORY_MAX: usize = 256 * 1024;

/// The buffers of whichever connection has its turn; between turns nothing in them matters.
pub(super) struct Desk {
    scratch: Box<[u8]>,
    batch: Batch,
    reply_memory: Vec<u8>,
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk {
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            batch: Batch::new(),
            reply_memory: Vec::with_capacity(16 * 1024),
        }
    }
}

/// A client's connection, and what is under way on it.
pub(super) struct Connection {
    stream: Stream,
    client: ClientId,
    shared: Rc<Shared>,
    parser: Parser,
    /// What arrived and is not executed; begins with a request.
    query: Vec<u8>,
    /// A large value on its way into its pages; what belongs behind it is not read yet.
    upload: Option<Box<Upload>>,
    /// Requests at the front of `query` that are parsed and not executed.
    held: Option<Box<Held>>,
    reply: Reply,
    /// Bytes written since the engine was told.
    written: usize,
    phase: Phase,
    /// Bytes of compaction that its writes have made necessary and that it has not paid for.
    ///
    /// A bound on what a turn pays must not let a debt grow: writes of small entries owe about as much time as they took. So the
    /// client waits for what it owes itself, and for nothing that others do.
    owes: u64,
    /// Whether it counts among `shared.unsent`.
    counted_unsent: bool,
    /// Whether the engine has been told of replies that wait.
    told_unsent: bool,
    /// Turns for which the oldest of its replies has waited for those behind it.
    gathered: u8,
    /// Whether its replies let the turns of the others go first.
    gives_way: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What is in the query buffer, if anything, is incomplete.
    Reading,
    /// There may be complete requests in the query buffer.
    Working,
    /// The first request of `held` is carried out in slices.
    Slicing,
    /// The first request of `held` waits for what others hold.
    Waiting,
    /// The first request of `held` waits for a key: the engine has a copy of it, and will answer through the outbox.
    Parked,
    /// The replies go out, then the connection closes.
    Closing,
}

/// A batch that the engine left before its end.
struct Held {
    batch: Batch,
    /// The first request that is not executed.
    next: usize,
    /// Bytes of the whole batch.
    taken: usize,
}

/// What came of a turn.
enum Turn {
    /// There is more to do, and the others come first.
    Over,
    /// The connection has ended.
    Closed,
}

const _: () = assert!(size_of::<Connection>() <= 288, "an idle connection is small");

/// What came of working on bytes.
struct Worked {
    /// Bytes at the front that are done with.
    taken: usize,
    /// Whether there may be complete requests behind them, and what they are.
    next: Phase,
}

/// Serves a connection until it ends.
///
/// Not an `async fn`, which would keep room for its argument and for the connection that it is moved
/// to: 280 bytes for each client.
#[allow(clippy::manual_async_fn)]
pub(super) fn serve(mut connection: Connection) -> impl Future<Output = ()> {
    async move {
        poll_fn(|cx| {
            // The task's own, which stays the same.
            connection.shared.wakers.borrow_mut().insert(connection.client, cx.waker().clone());
            Poll::Ready(())
        })
        .await;
        while let Turn::Over = poll_fn(|cx| connection.poll_turn(cx)).await {
            // Ready tasks come first, and then the system is asked for events, before this task goes on.
            tokio::task::yield_now().await;
        }
    }
}

impl Connection {
    pub(super) fn new(stream: Stream, client: ClientId, shared: Rc<Shared>) -> Connection {
        Connection {
            stream,
            client,
            shared,
            parser: Parser::new(),
            query: Vec::new(),
            upload: None,
            held: None,
            reply: Reply::new(),
            written: 0,
            phase: Phase::Reading,
            owes: 0,
            counted_unsent: false,
            told_unsent: false,
            gathered: 0,
            gives_way: false,
        }
    }

    /// A turn, timed: goes on until it is over, or until the socket has to be waited for.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        self.shared.engine.borrow_mut().begin_turn(self.shared.clock.ns(), TURN_US);
        let mut write_room = WRITE_MAX;
        let polled = self.poll_parts(cx, &mut write_room);
        let mut engine = self.shared.engine.borrow_mut();
        let has_written = write_room < WRITE_MAX;
        if has_written || engine.ledger.has_parts() {
            let now_ns = self.shared.clock.ns();
            engine.ledger.part(if has_written { ledger::WRITE } else { ledger::READ }, 1, now_ns);
            engine.end_turn(now_ns);
        }
        polled
    }

    /// What a turn consists of: send what is left, pay what is owed, receive, work, send.
    fn poll_parts(&mut self, cx: &mut Context<'_>, write_room: &mut usize) -> Poll<Turn> {
        let mut used_up = false;
        loop {
            let mut waits = false;
            let was_sent_more = self.take_outbox();
            let gathers = self.gathers();
            if !self.reply.is_empty() && !gathers {
                if self.shared.others_end.get() {
                    self.let_others_end();
                    return Poll::Ready(Turn::Over);
                }
                if self.gives_way {
                    self.give_way(cx);
                    return Poll::Pending;
                }
                self.gathered = 0;
                match self.poll_send(cx, write_room) {
                    Poll::Ready(Ok(())) if !self.reply.is_empty() && self.phase != Phase::Slicing => {
                        // The end of the server waits for the rest.
                        self.count_unsent(true);
                        self.tell_unsent();
                        return Poll::Ready(Turn::Over);
                    }
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Turn::Closed),
                    Poll::Pending => waits = true,
                }
            }
            self.count_unsent(waits || gathers);
            if waits || was_sent_more || self.told_unsent {
                self.tell_unsent();
            }
            if self.phase == Phase::Closing || self.shared.ending.get() {
                return if waits { Poll::Pending } else { Poll::Ready(Turn::Closed) };
            }
            if self.reply.len() > UNSENT_MAX && !matches!(self.phase, Phase::Slicing | Phase::Waiting | Phase::Parked) {
                return Poll::Pending;
            }
            if used_up || !self.has_time(*write_room) {
                if gathers {
                    self.gathered += 1;
                    self.keep_reply();
                }
                return Poll::Ready(Turn::Over);
            }
            used_up = match self.phase {
                Phase::Waiting if !self.shared.engine.borrow().holds.may_retry(self.client) => {
                    return Poll::Pending;
                }
                Phase::Parked if self.shared.engine.borrow().is_parked(self.client) => {
                    if ready!(self.poll_receive_ahead(cx)).is_err() {
                        return Poll::Ready(Turn::Closed);
                    }
                    true
                }
                Phase::Working | Phase::Slicing | Phase::Waiting | Phase::Parked => {
                    self.work_on_query();
                    true
                }
                _ => match ready!(self.poll_receive(cx)) {
                    Ok(filled) => filled,
                    Err(_) => return Poll::Ready(Turn::Closed),
                },
            } || self.phase != Phase::Reading;
        }
    }

    /// Whether its replies wait for those of the requests behind them.
    fn gathers(&self) -> bool {
        self.phase == Phase::Working
            && !self.reply.is_empty()
            && self.reply.len() <= GATHER_MAX
            && self.gathered < GATHER_TURNS
            && !self.shared.ending.get()
    }

    /// Whether the turn has time to work. Pays what is owed first, so long as it has. Reads the clock only where sending or paying
    /// may have taken long.
    fn has_time(&mut self, write_room: usize) -> bool {
        if self.owes == 0 && write_room == WRITE_MAX {
            return true;
        }
        let mut engine = self.shared.engine.borrow_mut();
        if self.owes == 0 && engine.ledger.has_parts() {
            // It has worked already, and looks whether there is more: nearly always there is not.
            return true;
        }
        if write_room < WRITE_MAX {
            engine.ledger.part(ledger::WRITE, 1, self.shared.clock.ns());
        }
        if self.owes > 0 {
            let now = self.shared.clock.at(engine.ledger.began_ns());
            engine.set_now(now);
            self.owes = engine.pay(self.owes);
        }
        self.owes == 0 && !engine.turn_is_over()
    }

    /// Writes what waits, up to the bound of a turn. Ready with all written, or with the bound reached.
    fn poll_send(&mut self, cx: &mut Context<'_>, room: &mut usize) -> Poll<io::Result<()>> {
        while *room > 0 && !self.reply.is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_SEGMENTS];
            let (count, _) = self.reply.io_slices(&mut slices, *room);
            let Poll::Ready(sent) = self.stream.poll_write_slices(cx, &slices[..count]) else {
                self.keep_reply();
                return Poll::Pending;
            };
            let sent = sent?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.reply.advance(sent);
            self.written += sent;
            *room -= sent;
        }
        if self.reply.is_empty() {
            let memory = self.reply.reclaim();
            self.take_back(memory);
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps the replies for the next turn: what this one has killed closes before anyone is told of it.
    #[cold]
    fn let_others_end(&mut self) {
        self.shared.others_end.set(false);
        self.keep_reply();
    }

    /// Goes behind all tasks that are ready, and sends then.
    fn give_way(&mut self, cx: &Context<'_>) {
        self.gives_way = false;
        self.keep_reply();
        self.count_unsent(true);
        cx.waker().wake_by_ref();
    }

    /// Keeps the replies for a later turn, in memory of their own.
    fn keep_reply(&mut self) {
        let memory = self.reply.settle();
        self.take_back(memory);
    }

    /// Takes back what was lent to a reply, for whoever is next.
    fn take_back(&self, memory: Vec<u8>) {
        let reply_memory = &mut self.shared.desk.borrow_mut().reply_memory;
        if (reply_memory.capacity()..=REPLY_MEMORY_MAX).contains(&memory.capacity()) {
            *reply_memory = memory;
        }
    }

    /// Reads once and works on what there is then. Whether the read filled its room, so that more may be there.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match &self.upload {
            Some(_) => self.poll_receive_upload(cx),
            None if self.query.len() <= SHORT => self.poll_receive_short(cx),
            None => self.poll_receive_long(cx),
        }
    }

    /// Reads into the pages of a large value.
    fn poll_receive_upload(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(self.stream.poll_read_ready(cx))?;
        let shared = Rc::clone(&self.shared);
        let upload = self.upload.as_mut().expect("there is one");
        let scratch = &mut shared.desk.borrow_mut().scratch;
        let mut borrowed = shared.engine.borrow_mut();
        let engine = &mut *borrowed;
        if upload.takes_memory() && engine.make_room_for(upload.len()) == Room::Later {
            // Keys go, or memory comes back: it is read on in the next turn.
            engine.ledger.part(EVICTION, 1, shared.clock.ns());
            return Poll::Ready(Ok(true));
        }
        let received = ready!(upload.poll_receive(cx, &self.stream, &mut engine.keyspace, scratch, UPLOAD_READ))?;
        if received == 0 {
            self.phase = Phase::Closing;
            return Poll::Ready(Ok(false));
        }
        engine.set_now(shared.clock.at(engine.ledger.began_ns()));
        engine.ledger.part(ledger::READ, 1, shared.clock.ns());
        let waiting = self.query.len();
        engine.note_io(self.client, received, std::mem::take(&mut self.written), waiting, &self.reply);
        let apart = upload.received();
        // This one, as a whole from the beginning, and those of the request that are here.
        let taken = self.parser.apart_bytes() + if upload.takes_memory() { upload.len() } else { 0 };
        engine.note_upload(self.client, taken as usize);
        if engine.crowd_in_debt() {
            shared.rest_ends.notify_one();
        }
        if upload.is_whole() {
            match self.upload.take().expect("there is one").finish() {
                Received::Value(value) => self.parser.put_apart(value),
                Received::Name(name) => self.parser.put_name_apart(name),
            }
        }
        let is_over = engine.turn_is_over();
        drop(borrowed);
        self.check_request_bytes(apart)?;
        // While a client sends as fast as this reads, no read fills its room and there is always more.
        Poll::Ready(Ok(received >= UPLOAD_READ || is_over))
    }

    /// Looks whether the argument that is awaited is large: then the rest of it is read into pages of its own.
    fn begin_upload(&mut self) {
        let Some(awaited) = self.parser.awaited_bulk().filter(|_| self.upload.is_none()) else { return };
        let mut engine = self.shared.engine.borrow_mut();
        let received = &self.query[awaited.at..];
        // One of which only the line's end is missing may as well stay.
        if awaited.len <= engine.keyspace.blob_threshold.min(NAME_BYTES_MAX).max(received.len() as u64) {
            return;
        }
        let kind = dispatch::takes_large(awaited.before.len(), |index| awaited.before[index].of(&self.query));
        let is_large = |kind: &LargeKind| match kind {
            LargeKind::Value => awaited.len > engine.keyspace.blob_threshold,
            LargeKind::Name => awaited.len > NAME_BYTES_MAX,
        };
        if let Some(kind) = kind.filter(is_large) {
            let upload = Upload::new(&mut engine.keyspace, kind, awaited.len, received);
            self.query.truncate(awaited.at);
            self.upload = Some(Box::new(upload));
        }
    }

    /// Reads into the scratch buffer, behind what is kept of an incomplete request.
    fn poll_receive_short(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let kept = self.query.len();
        if kept > 0 {
            // Before anything is copied.
            ready!(self.stream.poll_read_ready(cx))?;
        }
        let shared = Rc::clone(&self.shared);
        let desk = &mut *shared.desk.borrow_mut();
        desk.scratch[..kept].copy_from_slice(&self.query);
        let mut room = ReadBuf::new(&mut desk.scratch[kept..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        let received = room.filled().len();
        let filled = room.remaining() == 0;
        if received == 0 {
            self.phase = Phase::Closing;
            return Poll::Ready(Ok(false));
        }
        let bytes = &mut desk.scratch[..kept + received];
        let worked = self.work(bytes, received, &mut desk.batch, &mut desk.reply_memory);
        let rest = &bytes[worked.taken..];
        if rest.is_empty() {
            self.query = Vec::new();
        } else {
            self.query.clear();
            self.query.extend_from_slice(rest);
        }
        self.go_on_with(&worked);
        Poll::Ready(Ok(filled))
    }

    /// Reads into the query buffer, which holds the beginning of a long request.
    fn poll_receive_long(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(self.stream.poll_read_ready(cx))?;
        let have = self.query.len();
        let missing = self.parser.needed().map(|needed| needed - have);
        let read_max = missing.unwrap_or(SCRATCH).min(LONG_READ);
        if self.query.capacity() - have < read_max {
            match missing {
                Some(missing) => {
                    // And for what follows it: to grow then would move the pages of all that has arrived, 5 us a MiB.
                    if self.query.try_reserve_exact(missing.saturating_add(LONG_ROOM)).is_err() {
                        self.query.reserve_exact(missing.min(have.max(LONG_ROOM)));
                    }
                }
                None => self.query.reserve(read_max),
            }
        }
        let received = {
            let mut room = (&mut self.query).limit(read_max);
            ready!(pin!(self.stream.read_buf(&mut room)).poll(cx))?
        };
        if received == 0 {
            self.phase = Phase::Closing;
            return Poll::Ready(Ok(false));
        }
        self.check_request_bytes(0)?;
        if missing.is_some_and(|missing| received < missing) {
            let mut engine = self.shared.engine.borrow_mut();
            let now = self.shared.clock.at(engine.ledger.began_ns());
            engine.set_now(now);
            engine.ledger.part(ledger::READ, 1, self.shared.clock.ns());
            engine.note_io(self.client, received, std::mem::take(&mut self.written), self.query.len(), &self.reply);
        } else {
            self.work_on_query_with(received);
        }
        Poll::Ready(Ok(received == read_max))
    }

    /// Ends a connection whose client has sent more than it may of requests that are not carried out: what is in the query buffer, and
    /// `apart` bytes of a large value.
    #[inline]
    fn check_request_bytes(&self, apart: u64) -> io::Result<()> {
        let bytes = (self.query.len() + self.parser.names_held_bytes()) as u64 + apart;
        let engine = &mut *self.shared.engine.borrow_mut();
        if bytes <= engine.settings().client_query_buffer_limit {
            return Ok(());
        }
        engine.note_query_buffer_limit(self.client, bytes);
        Err(io::ErrorKind::FileTooLarge.into())
    }

    /// Reads what comes behind a request that is parked, up to [`AHEAD_MAX`], mostly to notice that the client has gone: then
    /// the request must not take anything any more.
    fn poll_receive_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.query.len() >= AHEAD_MAX {
            return Poll::Pending;
        }
        ready!(self.stream.poll_read_ready(cx))?;
        self.query.reserve(AHEAD_READ);
        let received = {
            let mut room = (&mut self.query).limit(AHEAD_READ);
            ready!(pin!(self.stream.read_buf(&mut room)).poll(cx))?
        };
        let mut engine = self.shared.engine.borrow_mut();
        let now = self.shared.clock.at(engine.ledger.began_ns());
        engine.set_now(now);
        engine.ledger.part(ledger::READ, 1, self.shared.clock.ns());
        let written = std::mem::take(&mut self.written);
        engine.note_io(self.client, received, written, self.query.len(), &self.reply);
        if received == 0 {
            engine.forget_parked(self.client);
            self.phase = Phase::Closing;
        }
        drop(engine);
        Poll::Ready(self.check_request_bytes(0))
    }

    /// Takes what others have written to the client, unless a long command is in the middle of its reply, or nothing comes behind
    /// the last one any more; whether there was something.
    fn take_outbox(&mut self) -> bool {
        let mut engine = self.shared.engine.borrow_mut();
        if engine.outbox.is_empty() || self.phase == Phase::Closing || engine.has_task(self.client) {
            return false;
        }
        let letters = engine.outbox.take(self.client);
        letters.map(|letters| self.reply.append(letters)).is_some()
    }

    /// Tells the engine how much waits to be sent: it bounds that, and others are told of it.
    fn tell_unsent(&mut self) {
        let written = std::mem::take(&mut self.written);
        let mut engine = self.shared.engine.borrow_mut();
        engine.note_io(self.client, 0, written, self.query.len(), &self.reply);
        self.shared.wake(&mut engine);
        self.told_unsent = !self.reply.is_empty();
    }

    fn work_on_query(&mut self) {
        self.work_on_query_with(0);
    }

    /// Works on the query buffer, whose last `received` bytes are new, and drops what is done with.
    fn work_on_query_with(&mut self, received: usize) {
        let shared = Rc::clone(&self.shared);
        let desk = &mut *shared.desk.borrow_mut();
        let mut query = std::mem::take(&mut self.query);
        let worked = self.work(&mut query, received, &mut desk.batch, &mut desk.reply_memory);
        if worked.taken < query.len() {
            if query.capacity() > LONG_ROOM && query.len() - worked.taken <= SHORT {
                self.query = query[worked.taken..].to_vec();
                self.shared.engine.borrow_mut().discard(query);
            } else {
                query.drain(..worked.taken);
                if query.len() <= SHORT {
                    query.shrink_to_fit();
                }
                self.query = query;
            }
        } else {
            self.shared.engine.borrow_mut().discard(query);
        }
        self.go_on_with(&worked);
    }

    /// Enters the phase that follows from what was worked on, once what is left of it is the query buffer.
    fn go_on_with(&mut self, worked: &Worked) {
        if self.phase == Phase::Closing {
            return;
        }
        self.phase = worked.next;
        // Otherwise the incomplete request is not the first in the buffer, or the parser has not looked for it yet.
        if self.phase == Phase::Reading {
            self.begin_upload();
        }
    }

    /// Parses and executes requests at the front of `bytes`, until there are no more or the turn is over.
    /// The last `received` bytes are new. Replies are written to `memory`, which is given back if there are none.
    fn work(&mut self, bytes: &mut [u8], received: usize, batch: &mut Batch, memory: &mut Vec<u8>) -> Worked {
        let shared = Rc::clone(&self.shared);
        let engine = &mut *shared.engine.borrow_mut();
        engine.set_now(shared.clock.at(engine.ledger.began_ns()));
        let debt_before = engine.copy_debt();
        engine.note_io(self.client, received, std::mem::take(&mut self.written), bytes.len(), &self.reply);
        shared.turns.set(shared.turns.get() + 1);
        let is_saturated = shared.saturation.count_turn();
        if self.reply.is_empty() {
            self.reply.lend(std::mem::take(memory));
        }

        let mut taken = 0;
        let mut requests = 0;
        let mut held = self.held.take();
        let next = loop {
            let (current, from, len) = match &mut held {
                Some(held) => (&mut held.batch, held.next, held.taken),
                None => match self.parser.parse(&mut bytes[taken..], batch, BATCH_MAX, &engine.limits(self.client)) {
                    Ok(len) => (&mut *batch, 0, len),
                    Err(error) => {
                        if !engine.client(self.client).is_muted() {
                            self.reply.error(&error.text());
                        }
                        break Phase::Closing;
                    }
                },
            };
            if current.is_empty() {
                taken += len;
                break Phase::Reading;
            }
            let executed = dispatch::execute(engine, self.client, current, from, &bytes[taken..], &mut self.reply);
            requests += executed.requests;
            if executed.requests > 0 && current.has_apart() {
                engine.discard(current.take_apart());
                engine.note_upload(self.client, 0);
            }
            if executed.cut {
                engine.discard(std::mem::take(&mut self.reply));
                break Phase::Closing;
            }
            if executed.close {
                break Phase::Closing;
            }
            let next = from + executed.requests;
            if next < current.len() {
                self.held = Some(match held {
                    Some(held) => Box::new(Held { next, ..*held }),
                    None => Box::new(Held { batch: std::mem::take(batch), next, taken: len }),
                });
                break match executed.pause {
                    None => Phase::Working,
                    Some(Pause::Slice) => Phase::Slicing,
                    Some(Pause::Wait) => Phase::Waiting,
                    Some(Pause::Park) => Phase::Parked,
                };
            }
            if let Some(spans) = current.take_excess() {
                engine.discard(spans);
            }
            held = None;
            taken += len;
            if taken == bytes.len() {
                break Phase::Reading;
            }
            if engine.turn_is_over() {
                break Phase::Working;
            }
        };
        self.gives_way = is_saturated && requests >= PIPELINE_MIN && next == Phase::Reading;
        self.owes += engine.copy_debt().saturating_sub(debt_before);
        shared.wake(engine);
        if engine.shutdown {
            shared.end.notify_one();
        }
        if self.reply.is_empty() {
            *memory = self.reply.reclaim();
        }
        Worked { taken, next }
    }

    /// Keeps count of the connections whose client has not taken all its replies.
    fn count_unsent(&mut self, waits: bool) {
        if waits != self.counted_unsent {
            self.counted_unsent = waits;
            let unsent = &self.shared.unsent;
            unsent.set(if waits { unsent.get() + 1 } else { unsent.get() - 1 });
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.count_unsent(false);
        self.shared.tasks.borrow_mut().remove(&self.client);
        let mut engine = self.shared.engine.borrow_mut();
        engine.begin_turn(self.shared.clock.ns(), 0);
        engine.note_io(self.client, 0, self.written, 0, &Reply::new());
        self.shared.wakers.borrow_mut().remove(&self.client);
        if let Some(Held { batch, next, .. }) = self.held.take().map(|held| *held)
            && engine.has_task(self.client)
        {
            engine.leave_task(self.client, OwnedRequest { bytes: std::mem::take(&mut self.query), batch, index: next });
        }
        engine.disconnect(self.client);
        dispatch::serve_parked(&mut engine);
        // Here, where it is timed.
        self.upload = None;
        engine.discard(self.parser.take_apart());
        if let Some(held) = self.held.take() {
            let Held { mut batch, .. } = *held;
            engine.discard(batch.take_apart());
        }
        engine.discard(std::mem::take(&mut self.reply));
        engine.discard(std::mem::take(&mut self.query));
        self.shared.wake(&mut engine);
        let now_ns = self.shared.clock.ns();
        engine.ledger.part(ledger::CLOSE, 1, now_ns);
        engine.end_turn(now_ns);
    }
}
