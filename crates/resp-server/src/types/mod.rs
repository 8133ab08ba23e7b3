//! Hashes, lists, sets and sorted sets: how a collection lies in the store.
//!
//! ```text
//!           small                                   large
//!  key -> [head][flags][element][element]...       key -> [head: number] -> Collection
//!         all in the key's entry                          a chunkbuf map, or nodes on chunks: elements' bytes in chunks,
//!         (packed)                                        index structures of fixed size beside them
//! ```
//!
//! Which form a collection has is decided by its bytes alone ([`PACKED_BYTES_MAX`]): a change of a packed one writes it anew, a
//! change of a large one costs the element. What `OBJECT ENCODING` tells is something else: the name that Redis would use, by
//! Redis's settings ([`Limits`]) and as sticky as there. It is kept with the collection, in either form.
//!
//! The forms know no protocol, no databases and no clock; what they take from the store they are handed with each call.

pub mod ahead;
pub mod hash;
pub mod list;
pub mod name;
pub mod packed;
pub mod ranked;
pub mod set;
pub(crate) mod wheel;
pub mod zset;

use std::fmt::Debug;

use chunkbuf::{MapId, PutError, Store};

use hash::Hash;
pub use wheel::Millis;

/// A collection of more bytes, flags and lengths included, takes its large form. A change of a packed one writes it anew, so this
/// bounds what a change costs; beside many smaller ones a large one's own structures would show.
pub const PACKED_BYTES_MAX: usize = 4096;

/// From when on a collection is told to have its large encoding: the settings of these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fields of a hash.
    pub hash_max_listpack_entries: usize,
    /// Bytes of a field or of its value.
    pub hash_max_listpack_value: usize,
    /// Elements of a node of a list; below 0: -1 to -5 for 4, 8, 16, 32, 64 KiB.
    pub list_max_listpack_size: i64,
    /// Integers of a set.
    pub set_max_intset_entries: usize,
    /// Members of a set.
    pub set_max_listpack_entries: usize,
    /// Bytes of a set's member.
    pub set_max_listpack_value: usize,
    /// Members of a sorted set.
    pub zset_max_listpack_entries: usize,
    /// Bytes of a sorted set's member.
    pub zset_max_listpack_value: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            list_max_listpack_size: -2,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
        }
    }
}

/// What every large form can do.
#[allow(clippy::len_without_is_empty)] // one without elements goes with its key
pub trait Large: Debug {
    /// How many elements it has.
    fn len(&self) -> u64;

    /// Gives back a bounded part of what it holds, some tens of microseconds' worth; whether there is more. Nothing else is asked of
    /// it from the first call on.
    fn free_some(&mut self, store: &mut Store) -> bool;

    /// Bytes that it takes, about: for people.
    fn memory_bytes(&self, store: &Store) -> u64;

    /// An empty one of its kind, for a copy. O(1).
    fn new_copy(&self, store: &mut Store) -> Collection;

    /// Copies some elements to `target`, which [`new_copy`](Large::new_copy) made, and moves `cursor` on, which is 0 at the beginning.
    /// Nobody writes to this one meanwhile. O(1), a few elements a call, so that the caller counts them; whether there are more.
    ///
    /// # Errors
    /// When there is no memory for the copy, which is then to be given up.
    fn copy_some(
        &self,
        store: &mut Store,
        target: &mut Collection,
        cursor: &mut u64,
        now: Millis,
    ) -> Result<bool, PutError>;
}

/// A collection in its large form.
#[derive(Debug)]
pub enum Collection {
    /// A set.
    Set(set::Set),
    /// A sorted set.
    SortedSet(zset::SortedSet),
    /// A list.
    List(list::List),
    /// A hash.
    Hash(Hash),
}

impl Collection {
    /// The list that it is.
    pub fn as_list(&self) -> Option<&list::List> {
        if let Collection::List(list) = self { Some(list) } else { None }
    }

    /// The list that it is, to change it.
    pub fn as_list_mut(&mut self) -> Option<&mut list::List> {
        if let Collection::List(list) = self { Some(list) } else { None }
    }

    /// The map of the store that has its members or fields; a list has none.
    pub fn map(&self) -> Option<MapId> {
        match self {
            Collection::Set(set) => Some(set.map()),
            Collection::SortedSet(set) => Some(set.map()),
            Collection::List(_) => None,
            Collection::Hash(hash) => hash.map(),
        }
    }

    fn form(&self) -> &dyn Large {
        match self {
            Collection::Set(set) => set,
            Collection::SortedSet(set) => set,
            Collection::List(list) => list,
            Collection::Hash(hash) => hash,
        }
    }

    fn form_mut(&mut self) -> &mut dyn Large {
        match self {
            Collection::Set(set) => set,
            Collection::SortedSet(set) => set,
            Collection::List(list) => list,
            Collection::Hash(hash) => hash,
        }
    }
}

impl Large for Collection {
    fn len(&self) -> u64 {
        self.form().len()
    }

    fn free_some(&mut self, store: &mut Store) -> bool {
        self.form_mut().free_some(store)
    }

    fn memory_bytes(&self, store: &Store) -> u64 {
        self.form().memory_bytes(store)
    }

    fn new_copy(&self, store: &mut Store) -> Collection {
        self.form().new_copy(store)
    }

    fn copy_some(
        &self,
        store: &mut Store,
        target: &mut Collection,
        cursor: &mut u64,
        now: Millis,
    ) -> Result<bool, PutError> {
        self.form().copy_some(store, target, cursor, now)
    }
}
