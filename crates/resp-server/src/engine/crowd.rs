//! How much memory clients may take together (`maxmemory-clients`), and which of them go when it is more: the largest, until it is less.
//!
//! What all take is known at any time, from the books that every turn keeps; whom to close is searched for only when that is too
//! much, in O(clients), by a row of JOBS. A client that has asked for it with CLIENT NO-EVICT stays. So that clients which may not go
//! do not cause a search a turn, one that was in vain is repeated after [`RETRY_US`] at the earliest.

use std::collections::BinaryHeap;

use super::{Client, ClientId, Engine};
use crate::proto::Reply;

/// Clients that a step of the job closes, some 1 us each.
const CLOSED_PER_STEP: usize = 64;
/// Microseconds between a search in vain and the next.
const RETRY_US: u64 = 10_000;
/// Bytes that a client takes beside its buffers, about: itself, its addresses, its places in tables.
const CLIENT_BYTES: u64 = size_of::<Client>() as u64 + 128;
/// A limit below this would close clients that do next to nothing. Redis's bound.
const LIMIT_BYTES_MIN: u64 = 128 * 1024;

/// What is known of the memory that clients take.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Bytes that all clients may take.
    limit_bytes: u64,
    /// Bytes of large values that clients are sending, with those that are still to come, and that they have queued.
    pub(super) value_bytes: u64,
    /// Until when on the monotonic clock no search is worth while.
    rests_until_us: u64,
}

impl Default for Crowd {
    fn default() -> Crowd {
        Crowd { limit_bytes: u64::MAX, value_bytes: 0, rests_until_us: 0 }
    }
}

impl Engine {
    /// Takes up the settings that bound what clients take.
    pub(super) fn apply_crowd_limit(&mut self) {
        self.crowd.limit_bytes = match self.settings.maxmemory_clients {
            0 => u64::MAX,
            percent @ ..0 if self.settings.maxmemory == 0 => {
                debug_assert!(percent >= -100, "the setting is a percentage below zero");
                u64::MAX
            }
            percent @ ..0 => {
                let share = u128::from(self.settings.maxmemory) * u128::from(percent.unsigned_abs()) / 100;
                (share as u64).max(LIMIT_BYTES_MIN)
            }
            bytes => (bytes as u64).max(LIMIT_BYTES_MIN),
        };
        self.crowd.rests_until_us = 0;
    }

    /// Bytes that all clients take, about: buffers, what waits for them, what they subscribe to and watch. O(1).
    #[inline]
    pub fn clients_bytes(&self) -> u64 {
        self.buffer_bytes
            + self.crowd.value_bytes
            + self.clients.len() as u64 * CLIENT_BYTES
            + self.outbox.own_bytes() as u64
            + self.pubsub.memory_bytes()
            + self.tracking.prefix_bytes()
            + self.keyspace.watched.memory_bytes()
    }

    /// Whether clients take too much and some may go.
    #[inline]
    pub fn crowd_in_debt(&self) -> bool {
        self.clients_bytes() >= self.crowd.limit_bytes && self.now.monotonic_us >= self.crowd.rests_until_us
    }

    /// Closes some of the largest clients, until all take less than they may; whether more have to go.
    pub(super) fn step_crowd(&mut self) -> bool {
        if !self.crowd_in_debt() {
            return false;
        }
        let mut total = 0;
        let mut by_size: BinaryHeap<(u64, ClientId)> = BinaryHeap::new();
        for client in self.clients.iter() {
            let waiting = self.outbox.of(client.id).map_or(0, Reply::own_bytes);
            let bytes = (client.memory_bytes() + self.watching(client).bytes + waiting) as u64;
            total += bytes;
            if !client.no_evict {
                by_size.push((bytes, client.id));
            }
        }
        for _ in 0..CLOSED_PER_STEP {
            if total < self.crowd.limit_bytes {
                break;
            }
            let Some((bytes, client)) = by_size.pop() else { break };
            tracing::debug!("closing the connection of client {}: clients take more than maxmemory-clients", client.0);
            self.kill(client);
            self.stats.evicted_clients += 1;
            total -= bytes;
        }
        if total < self.crowd.limit_bytes || by_size.is_empty() {
            self.crowd.rests_until_us = self.now.monotonic_us + RETRY_US;
            return false;
        }
        true
    }

    /// Clients that were killed and whose connections are to be ended, at most so many; each is told once.
    pub fn take_killed(&mut self, max: usize) -> Vec<ClientId> {
        self.clients.take_killed(max)
    }

    /// Closes a client's connection. To all who ask it has gone at once: it waits for nothing and is in no list; a long command
    /// that it has under way is given up or goes on without it when the connection ends. Without effect if it has gone already.
    pub fn kill(&mut self, client: ClientId) {
        if self.clients.get(client).is_some() {
            self.forget_pushed(client);
        }
        if self.clients.kill(client) {
            self.forget_parked(client);
            self.holds.stop_waiting(client);
        }
    }
}
