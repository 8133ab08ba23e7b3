//! All that the server is besides its sockets. (A stand-in that answers PING, ECHO, QUIT, SHUTDOWN and `+OK`.)
#![allow(missing_docs)]

use std::collections::HashMap;

use crate::proto::{CommandError, Limits};

pub mod settings;
pub use settings::{LogLevel, Settings};

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
    settings: Settings,
    clients: HashMap<ClientId, u64>,
    next: u64,
    now: Now,
    /// Set by SHUTDOWN: the event loop ends when it sees it.
    pub shutdown: bool,
}

impl Engine {
    pub fn new(settings: Settings, _seed: [u64; 2], now: Now) -> Engine {
        Engine { settings, clients: HashMap::new(), next: 0, now, shutdown: false }
    }
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }
    pub fn connect(&mut self, _peer: Peer) -> Result<ClientId, CommandError> {
        if self.clients.len() >= self.settings.maxclients as usize {
            return Err(CommandError::text_static("ERR max number of clients reached"));
        }
        self.next += 1;
        self.clients.insert(ClientId(self.next), self.now.monotonic_us);
        Ok(ClientId(self.next))
    }
    pub fn disconnect(&mut self, client: ClientId) {
        self.clients.remove(&client);
    }
    pub fn limits(&self, _client: ClientId) -> Limits {
        Limits { bulk_len_max: self.settings.proto_max_bulk_len, ..Limits::default() }
    }
    pub fn note_io(
        &mut self,
        client: ClientId,
        _read_bytes: usize,
        _written_bytes: usize,
        _query_buffer_bytes: usize,
        _reply_bytes: usize,
    ) {
        self.clients.insert(client, self.now.monotonic_us);
    }
    pub fn run_jobs(&mut self, _idle: bool) -> bool {
        false
    }
    pub fn in_debt(&self) -> bool {
        false
    }
    pub fn idle_clients(&mut self) -> Vec<ClientId> {
        let timeout_us = u64::from(self.settings.timeout) * 1_000_000;
        if timeout_us == 0 {
            return Vec::new();
        }
        let now = self.now.monotonic_us;
        self.clients.iter().filter(|(_, seen)| now - **seen > timeout_us).map(|(client, _)| *client).collect()
    }
}
