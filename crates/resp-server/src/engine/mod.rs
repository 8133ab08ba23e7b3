//! All that the server is besides its sockets. (Being written; signatures first.)
#![allow(missing_docs, clippy::todo, unused_variables)]

use crate::keyspace::Keyspace;
use crate::proto::{CommandError, Limits};

/// A client's number, as `CLIENT ID` tells it; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// A reading of the clocks, taken by the event loop once a turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Microseconds since the Unix epoch.
    pub unix_us: i64,
    /// Microseconds since the process began; never goes back.
    pub monotonic_us: u64,
}

/// What the event loop knows of a new connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `127.0.0.1:51234`, or the socket's path and `:0`.
    pub addr: String,
    /// The address it connected to.
    pub laddr: String,
    pub fd: i32,
    pub unix: bool,
}

pub struct Engine {
    pub keyspace: Keyspace,
    /// Set by SHUTDOWN: the event loop ends when it sees it.
    pub shutdown: bool,
}

impl Engine {
    // pub fn new(settings: Settings, seed: [u64; 2], now: Now) -> Engine
    pub fn set_now(&mut self, now: Now) {
        todo!()
    }
    /// Registers a client, or says why not (`ERR max number of clients reached`).
    pub fn connect(&mut self, peer: Peer) -> Result<ClientId, CommandError> {
        todo!()
    }
    pub fn disconnect(&mut self, client: ClientId) {
        todo!()
    }
    /// What this client's requests may be at most right now.
    pub fn limits(&self, client: ClientId) -> Limits {
        todo!()
    }
    /// The buffers of a connection, for CLIENT LIST and the byte counts of INFO.
    pub fn note_io(
        &mut self,
        client: ClientId,
        read_bytes: usize,
        written_bytes: usize,
        query_buffer_bytes: usize,
        reply_bytes: usize,
    ) {
        todo!()
    }
    /// One bounded round of the JOBS table: what is owed, or with `idle` anything useful. Whether there is more to do.
    pub fn run_jobs(&mut self, idle: bool) -> bool {
        todo!()
    }
    /// Whether some job is in debt, so that the loop runs a round between two connections.
    pub fn in_debt(&self) -> bool {
        todo!()
    }
    /// Clients that have been silent for longer than the `timeout` setting, for the loop to close.
    pub fn idle_clients(&mut self) -> Vec<ClientId> {
        todo!()
    }
}
