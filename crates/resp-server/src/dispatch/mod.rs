//! From a parsed request to its reply: look-up, gates, call, after-effects. (Being written; signatures first.)
#![allow(missing_docs, clippy::todo, unused_variables)]

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
    client: ClientId,
    batch: &Batch,
    from: usize,
    bytes: &[u8],
    reply: &mut Reply,
) -> Executed {
    todo!()
}
