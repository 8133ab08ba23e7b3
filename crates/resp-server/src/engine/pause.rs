//! CLIENT PAUSE: for a while no client's commands are carried out, or none that write.
//!
//! ```text
//!  a request -> the gate "clients are not paused" -> postponed: it stays at the front of its connection, which notices if its
//!                                                    client goes and does nothing else
//!            the time is up, CLIENT UNPAUSE -> a row of JOBS wakes who was postponed, in order of arrival, some at a time
//! ```
//!
//! What stops is what clients begin. Long commands that have begun go on to their end, the time-outs of parked requests end them as
//! ever, and keys are not removed by the expiry job, so that the data stands still where it can.

use std::collections::{BTreeMap, HashMap};

use super::{ClientId, Engine};

/// What a pause stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Paused {
    /// Commands that may write.
    Writes,
    /// All commands.
    All,
}

/// The pause, and who waits for its end.
#[derive(Debug, Default)]
pub struct Pause {
    /// What it stops, and until when on the monotonic clock.
    current: Option<(Paused, u64)>,
    /// Who was postponed, in order of arrival.
    postponed: BTreeMap<u64, ClientId>,
    tickets: HashMap<ClientId, u64>,
    last_ticket: u64,
}

/// Clients that a step of the job wakes, some 0.3 us each.
const WOKEN_PER_STEP: usize = 128;

impl Pause {
    /// How many clients wait for the end of the pause.
    pub fn postponed(&self) -> usize {
        self.postponed.len()
    }

    /// Whether a client does.
    #[inline]
    pub fn is_postponed(&self, client: ClientId) -> bool {
        !self.tickets.is_empty() && self.tickets.contains_key(&client)
    }

    fn forget(&mut self, client: ClientId) {
        if let Some(ticket) = self.tickets.remove(&client) {
            self.postponed.remove(&ticket);
        }
    }
}

impl Engine {
    /// Pauses clients until a time on the monotonic clock. A pause that is there already is neither shortened nor loosened.
    pub(crate) fn pause(&mut self, what: Paused, until_us: u64) {
        let (what, until_us) = match self.pause_now() {
            Some((before, ends_us)) => (what.max(before), until_us.max(ends_us)),
            None => (what, until_us),
        };
        self.pause.current = Some((what, until_us));
    }

    /// Ends the pause.
    pub(crate) fn unpause(&mut self) {
        self.pause.current = None;
    }

    fn pause_now(&self) -> Option<(Paused, u64)> {
        self.pause.current.filter(|&(_, ends_us)| ends_us > self.now.monotonic_us)
    }

    /// Whether commands have to wait for the end of a pause: those that may write, or any.
    #[inline]
    pub fn is_paused(&self, writes: bool) -> bool {
        self.pause.current.is_some() && self.pause_now().is_some_and(|(what, _)| writes || what == Paused::All)
    }

    /// The request at the front of the client's connection waits for the end of the pause.
    pub(crate) fn postpone(&mut self, client: ClientId) {
        if !self.pause.is_postponed(client) {
            self.pause.last_ticket += 1;
            self.pause.postponed.insert(self.pause.last_ticket, client);
            self.pause.tickets.insert(client, self.pause.last_ticket);
            self.client_mut(client).blocked = true;
        }
    }

    /// The client goes.
    pub(super) fn forget_postponed(&mut self, client: ClientId) {
        self.pause.forget(client);
    }

    /// When the end of the pause, or of the wait for it, is to be seen to, on the monotonic clock.
    pub(super) fn pause_due_us(&self) -> Option<u64> {
        match self.pause.current {
            Some((_, ends_us)) => Some(ends_us),
            None if self.pause.postponed.is_empty() => None,
            None => Some(0),
        }
    }

    /// Whether that time has come.
    pub(super) fn pause_in_debt(&self) -> bool {
        self.pause_due_us().is_some_and(|due_us| due_us <= self.now.monotonic_us)
    }

    /// Ends a pause whose time is up and wakes some who waited for that; whether there are more.
    pub(super) fn step_pause(&mut self) -> bool {
        if !self.pause_in_debt() {
            return false;
        }
        self.pause.current = None;
        for _ in 0..WOKEN_PER_STEP {
            let Some((_, client)) = self.pause.postponed.pop_first() else { break };
            self.pause.tickets.remove(&client);
            let now_us = self.now.monotonic_us;
            let woken = self.client_mut(client);
            woken.blocked = false;
            woken.last_interaction_us = now_us;
            self.outbox.wake(client);
        }
        !self.pause.postponed.is_empty()
    }
}
