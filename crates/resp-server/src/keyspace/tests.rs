//! The keyspace against ledgers and a naive model, in virtual time.

use chunkbuf::{Options, Store};

/// A small store that may hold `memory_limit` bytes.
pub(crate) fn store(memory_limit: u64) -> Store {
    Store::new(Options { p: 0.0, memory_limit, target_utilisation: 0.8, hash_key: [1, 2] })
}
