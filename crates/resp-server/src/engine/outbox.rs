//! What is written to a client by others than itself, until its connection takes it.
//!
//! A client's own requests write to the reply of its connection. What comes from elsewhere, such as the answer to a request
//! that was [parked](super::parked), is written here; the event loop is told which clients have something, and the connection
//! puts it behind its replies as soon as none of them is half-written. An entry exists only while it holds something.

use std::collections::HashMap;

use super::ClientId;
use crate::proto::{Protocol, Reply};

/// All clients' outboxes.
#[derive(Debug, Default)]
pub struct Outbox {
    letters: HashMap<ClientId, Reply>,
    woken: Vec<ClientId>,
}

impl Outbox {
    /// Writes to a client, in its protocol, and has it woken.
    pub fn write<R>(&mut self, client: ClientId, protocol: Protocol, write: impl FnOnce(&mut Reply) -> R) -> R {
        let reply = self.letters.entry(client).or_default();
        reply.protocol = protocol;
        let written = write(reply);
        self.wake(client);
        written
    }

    /// Has a client woken: something of it can go on.
    pub fn wake(&mut self, client: ClientId) {
        self.woken.push(client);
    }

    /// What was written to a client since the last call.
    #[inline]
    pub fn take(&mut self, client: ClientId) -> Option<Reply> {
        if self.letters.is_empty() {
            return None;
        }
        self.letters.remove(&client)
    }

    /// Whether some client is to be woken.
    #[inline]
    pub fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// Clients that are to be woken, in order; each is told at least once.
    pub fn take_woken(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.woken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_taken_once_and_in_order() {
        let mut outbox = Outbox::default();
        let client = ClientId(3);
        assert!(outbox.take(client).is_none());
        outbox.write(client, Protocol::Resp2, Reply::ok);
        outbox.write(client, Protocol::Resp3, Reply::null);
        assert_eq!(outbox.take_woken(), [client, client]);
        assert_eq!(outbox.take(client).unwrap().to_vec(), b"+OK\r\n_\r\n");
        assert!(outbox.take(client).is_none() && !outbox.has_woken());
    }
}
