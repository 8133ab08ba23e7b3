//! What the server knows of one connected client.

use super::pubsub::{Kind, Subscriptions};
use super::tracking::Tracking;
use super::transaction::{Transaction, Watching};
use super::{ClientId, Now, Peer};
use crate::proto::Protocol;

/// Bytes of what waits for a client that are not of the list of it, as `omem` and the limits understand that: Redis keeps so many in a
/// buffer of the client's own.
pub(super) const UNLISTED_BYTES: usize = 16 * 1024;
/// Bytes beyond those that may wait for a client who has not authenticated: it is closed rather than be kept replies that it does not
/// read.
pub(super) const UNAUTHENTICATED_LISTED_MAX: usize = 1024;

/// Which of its replies a client wants: CLIENT REPLY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// All.
    All,
    /// Not that to its next request.
    SkipNext,
    /// Not that to the present request.
    SkipThis,
    /// None.
    None,
}

/// A connected client. Its sockets and buffers are the event loop's; here is what commands can see and change.
#[derive(Debug)]
pub struct Client {
    /// Its number.
    pub id: ClientId,
    /// Where it is, as the event loop told.
    pub peer: Peer,
    /// The database that its commands use.
    pub db: usize,
    /// The protocol of its replies.
    pub protocol: Protocol,
    /// Whether it has shown the password, or none was needed when it came.
    pub authenticated: bool,
    /// The name that it gave itself; empty: none.
    pub name: Vec<u8>,
    /// The library that it uses, as that told.
    pub lib_name: Vec<u8>,
    /// The library's version, as that told.
    pub lib_ver: Vec<u8>,
    /// Never chosen when clients are evicted.
    pub no_evict: bool,
    /// Its reads do not count as use of a key.
    pub no_touch: bool,
    /// Its request is [parked](super::parked).
    pub blocked: bool,
    /// What it watches and has queued, if anything.
    pub(super) transaction: Option<Box<Transaction>>,
    /// Its connection is about to be closed, and takes nothing any more.
    pub closing: bool,
    /// What others write to it; none for most clients.
    pub push: Option<Box<Push>>,
    /// It was killed: nothing more is carried out for it, and its connection ends as soon as it may.
    pub killed: bool,
    /// Which of its replies it wants.
    pub replies: Replies,
    /// The full name of the command that it sent last (`client|list`), its current one included.
    pub last_command: Option<&'static str>,
    /// When it came, on the monotonic clock, in microseconds.
    pub connected_us: u64,
    /// When it last sent something, on the same clock.
    pub last_interaction_us: u64,
    /// Bytes of arguments of the batch that is being carried out.
    pub args_bytes: usize,
    /// Bytes in its query buffer.
    pub query_buffer_bytes: usize,
    /// Bytes of a large value that it is sending, on pages that are the store's.
    pub upload_bytes: usize,
    /// Bytes of replies that wait to be sent, those of values that are sent by reference left out.
    pub reply_bytes: usize,
    /// Bytes of replies that wait to be sent.
    pub waiting_bytes: usize,
    /// Segments that these are in.
    pub waiting_segments: usize,
    /// Bytes that its [parked](super::parked) request takes, with the places in queues.
    pub parked_bytes: usize,
    /// Bytes that it has sent since it came.
    pub read_bytes: u64,
    /// Bytes that it has been sent.
    pub written_bytes: u64,
}

/// What others may write to a client, which asks for it.
#[derive(Debug, Default)]
pub struct Push {
    /// What it subscribes to.
    pub subscriptions: Subscriptions,
    /// How it is told of keys that change; none: it is not.
    pub tracking: Option<Tracking>,
    /// It sees all commands.
    pub is_monitor: bool,
    /// Its next request waits until this [delivery](super::pubsub) has reached all.
    pub behind: Option<u64>,
    /// It has made messages while very many were under way, and helps before it makes more.
    pub makes_more: bool,
    /// It is over the soft limit of its class, and closed at this time on the monotonic clock.
    pub over_until_us: Option<u64>,
}

impl Push {
    /// Bytes of memory that it takes, about. O(1)
    fn memory_bytes(&self) -> usize {
        let tracking = self.tracking.as_ref().map_or(0, Tracking::memory_bytes);
        size_of::<Push>() + self.subscriptions.memory_bytes() + tracking
    }

    /// Whether anything may be on its way to the client.
    pub fn is_reached(&self) -> bool {
        self.is_monitor || self.tracking.is_some() || !self.subscriptions.is_empty()
    }
}

impl Client {
    /// A client that has just come.
    pub fn new(id: ClientId, peer: Peer, authenticated: bool, now: Now) -> Client {
        Client {
            id,
            peer,
            db: 0,
            protocol: Protocol::default(),
            authenticated,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            no_evict: false,
            no_touch: false,
            blocked: false,
            transaction: None,
            closing: false,
            push: None,
            killed: false,
            replies: Replies::All,
            last_command: None,
            connected_us: now.monotonic_us,
            last_interaction_us: now.monotonic_us,
            args_bytes: 0,
            query_buffer_bytes: 0,
            upload_bytes: 0,
            reply_bytes: 0,
            waiting_bytes: 0,
            waiting_segments: 0,
            parked_bytes: 0,
            read_bytes: 0,
            written_bytes: 0,
        }
    }

    /// Back to what it was when it came, but for the library's name and version, which still are true. `authenticated` says
    /// whether it needs no password.
    pub fn reset(&mut self, authenticated: bool) {
        self.db = 0;
        self.protocol = Protocol::default();
        self.authenticated = authenticated;
        self.name.clear();
        self.no_evict = false;
        self.no_touch = false;
        if self.replies != Replies::SkipThis {
            self.replies = Replies::All;
        }
    }

    /// Whether a reply that is written now is not sent.
    #[inline]
    pub fn is_muted(&self) -> bool {
        self.replies != Replies::All
    }

    /// What stands in its place when it goes in the middle of a long command that needs it. Its transaction is that one's then.
    pub(super) fn take_over(&mut self) -> Client {
        let connected = Now { unix_us: 0, monotonic_us: self.connected_us };
        Client {
            db: self.db,
            protocol: self.protocol,
            name: self.name.clone(),
            lib_name: self.lib_name.clone(),
            lib_ver: self.lib_ver.clone(),
            no_evict: self.no_evict,
            no_touch: self.no_touch,
            transaction: self.transaction.take(),
            last_command: self.last_command,
            last_interaction_us: self.last_interaction_us,
            ..Client::new(self.id, self.peer.clone(), self.authenticated, connected)
        }
    }

    /// Bytes of memory that it takes, buffers included; what it watches and what waits for it in the outbox are not known here.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Client>()
            + self.peer.addr.len()
            + self.peer.laddr.len()
            + self.name.len()
            + self.lib_name.len()
            + self.lib_ver.len()
            + self.query_buffer_bytes
            + self.upload_bytes
            + self.reply_bytes
            + self.parked_bytes
            + self.queue_bytes()
            + self.queued_apart_bytes()
            + self.push.as_ref().map_or(0, |push| push.memory_bytes())
    }

    /// How it is told of keys that change, if it is.
    pub fn tracking(&self) -> Option<&Tracking> {
        self.push.as_ref()?.tracking.as_ref()
    }

    /// Whether it sees all commands.
    pub fn is_monitor(&self) -> bool {
        self.push.as_ref().is_some_and(|push| push.is_monitor)
    }

    /// Whether it subscribes to something.
    pub fn is_subscriber(&self) -> bool {
        self.push.as_ref().is_some_and(|push| !push.subscriptions.is_empty())
    }

    /// Its line in CLIENT LIST, in the format of Redis 7.4, without the line's end. `outbox` is what waits for it there: bytes and
    /// segments.
    pub fn describe(&self, now: Now, outbox: (usize, usize), watching: Watching, line: &mut Vec<u8>) {
        use std::io::Write;
        const SECOND_US: u64 = 1_000_000;
        let age = now.monotonic_us.saturating_sub(self.connected_us) / SECOND_US;
        let idle = now.monotonic_us.saturating_sub(self.last_interaction_us) / SECOND_US;
        let mut flags = String::new();
        let tracking = self.tracking();
        let (multi, multi_bytes) = self.queued().map_or((-1, 0), |(requests, bytes)| (requests as i64, bytes));
        for (set, letter) in [
            (self.is_monitor(), 'O'),
            (self.is_subscriber(), 'P'),
            (multi >= 0, 'x'),
            (self.blocked, 'b'),
            (tracking.is_some(), 't'),
            (tracking.is_some_and(|tracking| tracking.is_broken), 'R'),
            (tracking.is_some_and(|tracking| tracking.mode.is_broadcast()), 'B'),
            (watching.is_touched, 'd'),
            (self.closing, 'A'),
            (self.peer.unix, 'U'),
            (self.no_evict, 'e'),
            (self.no_touch, 'T'),
        ] {
            if set {
                flags.push(letter);
            }
        }
        if flags.is_empty() {
            flags.push('N');
        }
        let pending = self.waiting_bytes + outbox.0;
        let listed = pending.saturating_sub(UNLISTED_BYTES);
        let first = pending - listed;
        let segments = if listed > 0 { (self.waiting_segments + outbox.1).max(1) } else { 0 };
        let count = |kind| self.push.as_ref().map_or(0, |push| push.subscriptions.of(kind).len());
        let mut print = |text: std::fmt::Arguments<'_>, bytes: &[u8]| {
            line.write_fmt(text).expect("writing to memory cannot fail");
            line.extend_from_slice(bytes);
        };
        print(
            format_args!(
                "id={} addr={} laddr={} fd={} name=",
                self.id.0, self.peer.addr, self.peer.laddr, self.peer.fd
            ),
            &self.name,
        );
        print(
            format_args!(
                " age={age} idle={idle} flags={flags} db={} sub={} psub={} ssub={} multi={multi} watch={}",
                self.db,
                count(Kind::Channel),
                count(Kind::Pattern),
                count(Kind::Shard),
                watching.keys
            ),
            b"",
        );
        print(
            format_args!(
                " qbuf={} qbuf-free=0 argv-mem={} multi-mem={multi_bytes} rbs={first} rbp={first} obl={first} oll={segments} omem={listed}",
                self.query_buffer_bytes, self.args_bytes
            ),
            b"",
        );
        print(
            format_args!(
                " tot-mem={} events={} cmd={} user=default redir={} resp={} lib-name=",
                self.memory_bytes() + watching.bytes + outbox.0,
                if pending > 0 { "rw" } else { "r" },
                self.last_command.unwrap_or("NULL"),
                tracking.map_or(-1, |tracking| tracking.redirect.map_or(0, |to| to.0 as i64)),
                self.protocol.version()
            ),
            &self.lib_name,
        );
        print(format_args!(" lib-ver="), &self.lib_ver);
    }
}

/// Whether a name that a client gives fits on a line of CLIENT LIST: printable ASCII without blanks.
pub fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_described_in_the_format_of_redis_7_4() {
        let at = |seconds: u64| Now { unix_us: 0, monotonic_us: seconds * 1_000_000 };
        let peer = Peer { addr: "127.0.0.1:50000".to_owned(), laddr: "127.0.0.1:6379".to_owned(), fd: 8, unix: false };
        let mut client = Client::new(ClientId(7), peer, true, at(10));
        client.name = b"me".to_vec();
        client.last_command = Some("client|list");
        client.lib_name = b"lib".to_vec();
        client.last_interaction_us = at(12).monotonic_us;
        let mut line = Vec::new();
        client.describe(at(15), (0, 0), Watching::default(), &mut line);
        let expected = format!(
            "id=7 addr=127.0.0.1:50000 laddr=127.0.0.1:6379 fd=8 name=me age=5 idle=3 flags=N db=0 sub=0 psub=0 ssub=0 \
             multi=-1 watch=0 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem={} events=r \
             cmd=client|list user=default redir=-1 resp=2 lib-name=lib lib-ver=",
            client.memory_bytes()
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn a_reset_forgets_all_but_the_library() {
        let mut client = Client::new(ClientId(1), Peer::default(), true, Now::default());
        client.db = 3;
        client.protocol = Protocol::Resp3;
        client.name = b"me".to_vec();
        client.lib_name = b"lib".to_vec();
        client.no_evict = true;
        client.no_touch = true;
        client.reset(false);
        assert_eq!((client.db, client.protocol), (0, Protocol::Resp2));
        assert!(!client.authenticated && !client.no_evict && !client.no_touch);
        assert!(client.name.is_empty());
        assert_eq!(client.lib_name, b"lib");
    }

    #[test]
    fn a_plain_name_has_no_blank_and_no_control_byte() {
        assert!(is_plain(b"") && is_plain(b"a!~"));
        for name in [&b"a b"[..], b"a\n", b"\x7f", b"\x80"] {
            assert!(!is_plain(name));
        }
    }
}
