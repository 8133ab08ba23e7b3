//! What is written to a client by others than itself, until its connection takes it.
//!
//! A client's own requests write to the reply of its connection. What comes from elsewhere, such as the answer to a request
//! that was [parked](super::parked) or a message to a [subscriber](super::pubsub), is written here; the event loop is told which
//! clients have something, and the connection puts it behind its replies as soon as none of them is half-written. An entry exists
//! only while it holds something.
//!
//! **Limits.** What waits for a client, here and in its reply, is bounded by `client-output-buffer-limit`: one that is over the hard
//! limit of its class, or over the soft one for too long, is closed. Bytes count that the client owns and those that it only
//! refers to, beyond the first 16 KiB, as in Redis: what CLIENT LIST tells as `omem`. A client who has not
//! authenticated may have 1 KiB of them, whatever is set. While a client stays under the least of all limits nothing more is looked at.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use chunkbuf::BlobSlice;

use super::client::{Push, UNAUTHENTICATED_LISTED_MAX, UNLISTED_BYTES};
use super::clients::Slot;
use super::pubsub::Message;
use super::settings::{ClientClass, OutputLimit};
use super::{ClientId, Engine};
use crate::proto::{Protocol, Reply};

/// Bytes of one segment: a longer list of bytes is moved when it grows.
const SEGMENT: usize = 32 * 1024;
/// Bytes of a payload, or of what stands before it, up to which it is copied for each receiver.
const SHORT: usize = 1024;
/// Clients over a soft limit that a step of the job looks at.
const OVER_PER_STEP: usize = 128;

/// All clients' outboxes.
#[derive(Debug, Default)]
pub struct Outbox {
    letters: HashMap<ClientId, Reply>,
    own_bytes: usize,
    woken: VecDeque<ClientId>,
    /// Clients over the soft limit of their class, by the time at which they are closed for it.
    over: BTreeSet<(u64, ClientId)>,
    /// Clients that are to be closed.
    closing: Vec<ClientId>,
}

impl Outbox {
    /// Writes to a client, in its protocol, and has it woken.
    pub fn write<R>(&mut self, client: ClientId, protocol: Protocol, write: impl FnOnce(&mut Reply) -> R) -> R {
        let reply = match self.letters.entry(client) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.woken.push_back(client);
                entry.insert(Reply::new())
            }
        };
        let before = reply.own_bytes();
        reply.protocol = protocol;
        let written = write(reply);
        reply.seal(SEGMENT);
        self.own_bytes += reply.own_bytes() - before;
        written
    }

    /// Has a client woken: something of it can go on.
    pub fn wake(&mut self, client: ClientId) {
        self.woken.push_back(client);
    }

    /// What was written to a client since the last call.
    #[inline]
    pub fn take(&mut self, client: ClientId) -> Option<Reply> {
        if self.letters.is_empty() {
            return None;
        }
        let letters = self.letters.remove(&client)?;
        self.own_bytes -= letters.own_bytes();
        Some(letters)
    }

    /// Whether there is nothing for anybody.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// What waits for a client.
    pub(super) fn of(&self, client: ClientId) -> Option<&Reply> {
        self.letters.get(&client)
    }

    /// Bytes of memory that all of it takes.
    pub fn own_bytes(&self) -> usize {
        self.own_bytes
    }

    /// Whether some client is to be woken or closed.
    #[inline]
    pub fn has_woken(&self) -> bool {
        !self.woken.is_empty() || !self.closing.is_empty()
    }

    /// Clients that are to be woken, in order, as many as `max`; each is told at least once.
    pub fn take_woken(&mut self, max: usize) -> impl Iterator<Item = ClientId> + '_ {
        self.woken.drain(..max.min(self.woken.len()))
    }

    /// Clients whose connections are to be closed at once.
    pub fn take_closing(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.closing)
    }
}

/// Something that many clients may be sent.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Behind the byte that tells a push from an array, if it is a push.
    head: Bytes,
    is_push: bool,
    body: Option<Message>,
}

impl Frame {
    /// A push message of some words and a payload: in RESP2 an array.
    pub(super) fn push(words: &[&[u8]], last: &Message) -> Frame {
        let mut head = format!("{}\r\n", words.len() + 1).into_bytes();
        let mut bulk = |bytes: &[u8]| {
            head.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
            head.extend_from_slice(bytes);
            head.extend_from_slice(b"\r\n");
        };
        words.iter().for_each(|word| bulk(word));
        let body = match last {
            Message::Bytes(bytes) if bytes.len() <= SHORT => {
                bulk(bytes);
                None
            }
            long => Some(long.clone()),
        };
        Frame { head: head.into(), is_push: true, body }
    }

    /// Bytes that are a reply as they are, in either protocol.
    pub(super) fn raw(bytes: Vec<u8>) -> Frame {
        Frame { head: bytes.into(), is_push: false, body: None }
    }

    /// Writes it in the reply's protocol.
    pub(super) fn write(&self, reply: &mut Reply) {
        if self.is_push {
            reply.raw(if reply.protocol == Protocol::Resp3 { b">" } else { b"*" });
        }
        if self.head.len() <= 2 * SHORT {
            reply.raw(&self.head);
        } else {
            reply.raw_by_reference(self.head.clone());
        }
        match &self.body {
            None => {}
            Some(Message::Bytes(bytes)) => reply.bulk_by_reference(bytes.len(), std::iter::once(bytes.clone())),
            Some(Message::Blob(slice)) => reply.bulk_blob(BlobSlice::clone(slice)),
        }
    }
}

impl Engine {
    /// Writes to a client from elsewhere, in its protocol; whether it is there.
    pub(crate) fn send(&mut self, to: ClientId, write: impl FnOnce(&mut Reply)) -> bool {
        let Some(client) = self.clients.get(to) else { return false };
        if client.closing {
            return true;
        }
        let (protocol, in_reply) = (client.protocol, client.waiting_bytes);
        let waiting = self.outbox.write(to, protocol, |reply| {
            write(reply);
            reply.len()
        });
        if (in_reply + waiting) as u64 >= self.settings.output_limits.least {
            self.check_output(to, in_reply);
        }
        true
    }

    /// Whether what waits for a client is to be looked at, now that its reply has `in_reply` bytes.
    #[inline]
    pub(crate) fn may_be_over(&self, slot: Slot, in_reply: usize) -> bool {
        in_reply as u64 >= self.settings.output_limits.least
            || in_reply > UNLISTED_BYTES + UNAUTHENTICATED_LISTED_MAX && !self.clients.at(slot).authenticated
    }

    /// Whether a client is over its limit now that its reply has `in_reply` bytes: then it is closed at once.
    #[cold]
    pub(crate) fn check_output(&mut self, id: ClientId, in_reply: usize) -> bool {
        let now_us = self.now.monotonic_us;
        let waiting = in_reply + self.outbox.of(id).map_or(0, Reply::len);
        let waiting = waiting.saturating_sub(UNLISTED_BYTES) as u64;
        let Some(client) = self.clients.get_mut(id) else { return false };
        if client.closing {
            return true;
        }
        let OutputLimit { hard, soft, seconds } = self.settings.output_limits.of(client.class());
        let over_soft = soft != 0 && waiting >= soft;
        let before = client.push.as_ref().and_then(|push| push.over_until_us);
        let until = over_soft.then(|| before.unwrap_or_else(|| now_us + seconds * 1_000_000));
        if until != before {
            client.push_mut().over_until_us = until;
            before.map(|before| self.outbox.over.remove(&(before, id)));
            until.map(|until| self.outbox.over.insert((until, id)));
        }
        let is_over = hard != 0 && waiting >= hard
            || until.is_some_and(|until| now_us > until)
            || !client.authenticated && waiting > UNAUTHENTICATED_LISTED_MAX as u64;
        if is_over {
            self.stats.output_limit_disconnections += 1;
            self.close(id);
        }
        is_over
    }

    /// Has the connection of a client closed at once, without what waits for it.
    pub(crate) fn close(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id)
            && !client.closing
        {
            client.closing = true;
            self.outbox.closing.push(id);
            if let Some(letters) = self.outbox.take(id) {
                self.garbage.add(letters);
            }
        }
    }

    /// Whether somebody's time over a soft limit is up.
    pub(super) fn output_in_debt(&self) -> bool {
        self.outbox.over.first().is_some_and(|&(until, _)| self.now.monotonic_us > until)
    }

    /// Closes some clients who were over a soft limit for too long; whether there are more.
    pub(super) fn step_output(&mut self) -> bool {
        for _ in 0..OVER_PER_STEP {
            match self.outbox.over.first() {
                Some(&(until, client)) if self.now.monotonic_us > until => {
                    self.outbox.over.pop_first();
                    let in_reply = self.clients.get(client).map_or(0, |client| client.waiting_bytes);
                    self.check_output(client, in_reply);
                }
                _ => return false,
            }
        }
        self.output_in_debt()
    }

    /// The client goes, and with it what was written to it.
    pub(super) fn forget_output(&mut self, id: ClientId) {
        if let Some(letters) = self.outbox.take(id) {
            self.garbage.add(letters);
        }
        let until = self.clients.get(id).and_then(|client| client.push.as_ref()?.over_until_us);
        until.map(|until| self.outbox.over.remove(&(until, id)));
    }
}

impl super::Client {
    /// What is special about what others write to it, made at the first need.
    pub(crate) fn push_mut(&mut self) -> &mut Push {
        self.push.get_or_insert_default()
    }

    /// The class whose limits hold for it.
    pub(crate) fn class(&self) -> ClientClass {
        match &self.push {
            Some(push) if !push.subscriptions.is_empty() => ClientClass::Pubsub,
            _ => ClientClass::Normal,
        }
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
        assert!(outbox.take_woken(2).eq([client]));
        assert_eq!(outbox.own_bytes(), 8);
        assert_eq!(outbox.take(client).unwrap().to_vec(), b"+OK\r\n_\r\n");
        assert_eq!(outbox.own_bytes(), 0);
        assert!(outbox.take(client).is_none() && !outbox.has_woken());
    }

    #[test]
    fn a_long_payload_is_shared_by_all_who_receive_it() {
        let payload = Message::copy_of(&[b'x'; SHORT + 1]);
        let frame = Frame::push(&[b"message", b"c"], &payload);
        for (protocol, first) in [(Protocol::Resp2, b'*'), (Protocol::Resp3, b'>')] {
            let mut reply = Reply::speaking(protocol);
            frame.write(&mut reply);
            let bytes = reply.to_vec();
            assert_eq!(bytes[0], first);
            let expected = format!("3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1025\r\n{}\r\n", "x".repeat(SHORT + 1));
            assert_eq!(&bytes[1..], expected.as_bytes());
        }
        let Message::Bytes(payload) = payload else { unreachable!("these are bytes") };
        assert!(!payload.is_unique());
    }
}
