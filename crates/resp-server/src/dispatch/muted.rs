//! Requests of clients that do not want their reply (CLIENT REPLY), and of those that were killed.
//!
//! One bit of the gates leads here, so the way of all other requests knows nothing of it. A reply that is not wanted is written to a
//! place of its own and dropped; what the command does is the same. A reply is wanted if it is when it is written, so that of
//! CLIENT REPLY ON is, and that of a request which was parked goes by the state at its end.

use super::call::{Next, Turn};
use super::lookup::Resolved;
use crate::engine::{Engine, Replies, Slot};
use crate::proto::{Args, Reply};

impl Turn {
    /// The way of a request for which some gate is closed, or that is wrong in form.
    #[cold]
    pub(super) fn with_care(
        &mut self,
        engine: &mut Engine,
        resolved: Resolved<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Next {
        if engine.clients.at(self.slot()).killed {
            return Next::Close;
        }
        self.unless_muted(engine, resolved, reply, |turn, engine, reply| turn.ask_gates(engine, resolved, args, reply))
    }

    /// Carries out what `run` does for the client, whose reply it writes to where it is told.
    #[cold]
    pub(super) fn unless_muted(
        &mut self,
        engine: &mut Engine,
        resolved: Resolved<'_>,
        reply: &mut Reply,
        run: impl FnOnce(&mut Turn, &mut Engine, &mut Reply) -> Next,
    ) -> Next {
        let slot = self.slot();
        if !engine.clients.at(slot).is_muted() {
            return run(self, engine, reply);
        }
        begin(engine, slot);
        // What confirms a subscription is a message, and no reply, unless it is only queued.
        let confirms = !engine.clients.at(slot).is_queueing()
            && matches!(resolved, Resolved::Found(command) if command.spec.is_about_subscriptions());
        let mut unheard = Reply::speaking(reply.protocol);
        let next = run(self, engine, &mut unheard);
        reply.protocol = unheard.protocol;
        if engine.clients.at(slot).is_muted() && !confirms {
            engine.discard(unheard);
        } else {
            reply.append(unheard);
        }
        if matches!(next, Next::Done)
            && let Some(letters) = engine.outbox.take(self.client)
        {
            reply.append(letters);
        }
        if matches!(next, Next::Done | Next::Close) {
            end(engine, slot);
        }
        self.look_at_gates(engine);
        next
    }
}

/// A request begins: its reply is the next one.
fn begin(engine: &mut Engine, slot: Slot) {
    let client = engine.clients.at_mut(slot);
    if client.replies == Replies::SkipNext {
        client.replies = Replies::SkipThis;
    }
}

/// A request has ended, whatever it has made of the client's wish.
pub(super) fn end(engine: &mut Engine, slot: Slot) {
    let client = engine.clients.at_mut(slot);
    if client.replies == Replies::SkipThis {
        client.replies = Replies::All;
    }
}
