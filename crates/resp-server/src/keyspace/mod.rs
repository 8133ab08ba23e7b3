//! Databases of keys and values with a time to live, on one [`chunkbuf::Store`]. (Being written; signatures first.)
#![allow(missing_docs, clippy::todo, unused_variables)]

use chunkbuf::{MapId, Store};

pub use db::Db;
mod db {
    //! One database, as a handler sees it.
    use super::Keyspace;
    /// One database of the keyspace, at the time of the current batch.
    pub struct Db<'a> {
        pub(crate) keyspace: &'a mut Keyspace,
        pub(crate) index: usize,
    }
}

/// A point in time: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub i64);

/// All databases.
pub struct Keyspace {
    pub(crate) store: Store,
    pub(crate) maps: Vec<MapId>,
    /// The time of the current batch, handed in.
    pub(crate) now: Millis,
}

impl Keyspace {
    pub fn db(&mut self, index: usize) -> Db<'_> {
        Db { keyspace: self, index }
    }
}
