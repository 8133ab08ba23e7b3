//! From a parsed request to its reply: look-up, gates, call, after-effects. (A stand-in.)

use crate::engine::{ClientId, Engine};
use crate::proto::{Batch, Reply};

/// What came of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Requests carried out; fewer than there were when the turn's budget ended: call again with `from` advanced.
    pub requests: usize,
    /// The connection closes once the reply is sent (QUIT, or a refused client).
    pub close: bool,
}

/// Carries out the requests of `batch` from number `from` on, in order, until the batch or the turn's budget ends.
pub fn execute(
    engine: &mut Engine,
    _client: ClientId,
    batch: &Batch,
    from: usize,
    bytes: &[u8],
    reply: &mut Reply,
) -> Executed {
    for index in from..batch.len() {
        let args = batch.args(index, bytes);
        if args.is(0, "ping") && args.len() == 1 {
            reply.simple("PONG");
        } else if args.is(0, "ping") || args.is(0, "echo") {
            reply.bulk(args.at(1));
        } else if args.is(0, "quit") || args.is(0, "shutdown") {
            reply.ok();
            engine.shutdown = args.is(0, "shutdown");
            return Executed { requests: index + 1 - from, close: true };
        } else {
            reply.ok();
        }
        if args.is(0, "pause") {
            return Executed { requests: index + 1 - from, close: false };
        }
    }
    Executed { requests: batch.len() - from, close: false }
}
