//! What handlers do with collections: find one in either form, put it back, give it up.
//!
//! ```text
//!  entry: [head: type] packed bytes            small: written anew with each change
//!  entry: [head: type, number] --> Table       large: changed where it is
//!                                    | its key goes: O(1)
//!                                    v
//!                                Discarded, freed a step at a time
//! ```
//!
//! A handler reads a [`View`]. What it changes it puts back with [`Db::put_packed`], or changes in place with [`Db::large_mut`]; a
//! collection that has outgrown its entry is put with [`Db::put_large`] once, and stays large. One that is empty is no
//! collection: its key is to be removed.

use std::borrow::Cow;
use std::collections::VecDeque;

use chunkbuf::{Arena, Store};

use super::db::{Db, Found, Place, Ttl, put_error};
use super::value::{Apart, CollectionId, Head, HeadBytes};
use super::{Keyspace, ValueType};
use crate::proto::CommandError;
use crate::types::{Collection, Large as _};

/// The large collections of a database, by number.
pub(super) type Table = Arena<Option<Box<Collection>>>;

/// Large collections that are done with.
#[derive(Default)]
pub(super) struct Discarded {
    single: VecDeque<Box<Collection>>,
    /// Of databases that were cleared.
    tables: Vec<Table>,
}

/// A collection where it lies.
#[derive(Debug)]
pub enum View<'a> {
    /// Its bytes, as [`Db::put_packed`] was given them. Copied only if a chunk ends among them.
    Packed(Cow<'a, [u8]>),
    /// What [`Db::put_large`] was given.
    Large(&'a Collection),
}

impl Db<'_> {
    /// The collection that was found, `None` if nothing was, an error if it is of another type. O(1), but for packed bytes that
    /// have to be put together.
    pub fn collection(&self, found: &Found<'_>, value_type: ValueType) -> Result<Option<View<'_>>, CommandError> {
        self.check(found);
        let Some(Place { location, head }) = found.place else {
            return Ok(None);
        };
        if head.value_type != value_type {
            return Err(CommandError::WrongType);
        }
        if let Some(Apart::Collection(id)) = head.apart {
            return Ok(Some(View::Large(self.large(id))));
        }
        let value = self.keyspace.store.value(self.map(), location);
        let packed = value.slice(head.len..value.len());
        let packed = packed.contiguous().map_or_else(|| Cow::Owned(packed.to_vec()), Cow::Borrowed);
        Ok(Some(View::Packed(packed)))
    }

    /// The large collection of a key that a task holds, whether its time has come or not: time stands still for the task. `None` if
    /// there is none, or a packed one.
    pub fn held_collection(&self, key: &[u8]) -> Option<&Collection> {
        match Head::decode(&self.keyspace.store.get(self.map(), key)?).apart {
            Some(Apart::Collection(id)) => Some(self.large(id)),
            _ => None,
        }
    }

    /// Sets the key that was found to a packed collection; its expiry stays. A failed call changes nothing. In place if the
    /// bytes are as many as before.
    pub fn put_packed(&mut self, found: Found<'_>, value_type: ValueType, packed: &[u8]) -> Result<(), CommandError> {
        self.set_packed(found, value_type, packed, Ttl::Keep)
    }

    /// [`put_packed`](Db::put_packed), with a word on the expiry.
    pub fn set_packed(
        &mut self,
        found: Found<'_>,
        value_type: ValueType,
        packed: &[u8],
        ttl: Ttl,
    ) -> Result<(), CommandError> {
        let expires = ttl.expires(found.expires());
        if let Some(Place { location, head }) = found.place {
            self.check(&found);
            let map = self.map();
            let store = &mut self.keyspace.store;
            if head.value_type == value_type
                && head.apart.is_none()
                && head.expires == expires
                && store.rewrite_in_place(map, found.stored_key(), location, head.len, packed)
            {
                self.keyspace.writes += 1;
                return Ok(());
            }
        }
        let head = HeadBytes::new(expires, value_type, None);
        self.put(&found, &head, &[head.as_slice(), packed])
    }

    /// Sets the key that was found to a large collection; its expiry stays. A failed call changes nothing and discards the
    /// collection.
    pub fn put_large(
        &mut self,
        found: Found<'_>,
        value_type: ValueType,
        collection: Box<Collection>,
    ) -> Result<(), CommandError> {
        self.set_large(found, value_type, collection, Ttl::Keep)
    }

    /// [`put_large`](Db::put_large), with a word on the expiry.
    pub fn set_large(
        &mut self,
        found: Found<'_>,
        value_type: ValueType,
        collection: Box<Collection>,
        ttl: Ttl,
    ) -> Result<(), CommandError> {
        let id = self.keyspace.keep_collection(self.index, collection);
        let head = HeadBytes::new(ttl.expires(found.expires()), value_type, Some(Apart::Collection(id)));
        let outcome = self.put(&found, &head, &[head.as_slice()]);
        if outcome.is_err() {
            self.keyspace.release(self.index, Some(Apart::Collection(id)));
        }
        outcome
    }

    /// The large collection that was found, and the store, to change it; `None` if there is none, or a packed one. What was found
    /// stays good.
    pub fn large_mut(&mut self, found: &Found<'_>) -> Option<(&mut Collection, &mut Store)> {
        self.check(found);
        let id = found.collection()?;
        let Keyspace { store, databases, .. } = &mut *self.keyspace;
        let collection = databases[self.index].collections.get_mut(id.0).as_deref_mut();
        Some((collection.expect("the entry names one that is there"), store))
    }

    /// An empty collection for a copy of the large one that was found; `None` if there is none, or a packed one.
    pub fn begin_copy(&mut self, found: &Found<'_>) -> Option<Box<Collection>> {
        let (collection, store) = self.large_mut(found)?;
        Some(Box::new(collection.new_copy(store)))
    }

    /// Copies some elements of the large collection of a key that is held since the copy [began](Db::begin_copy), and moves the
    /// cursor on, 0 at the beginning; whether there are more.
    pub fn copy_some(&mut self, key: &[u8], copy: &mut Collection, cursor: &mut u64) -> Result<bool, CommandError> {
        let now = self.now();
        let entry = self.keyspace.store.get(self.map(), key).expect("the key is held");
        let Some(Apart::Collection(id)) = Head::decode(&entry).apart else {
            unreachable!("it was found to be a large collection, and is held");
        };
        let Keyspace { store, databases, .. } = &mut *self.keyspace;
        let source = databases[self.index].collections.get(id.0).as_deref().expect("the entry names one that is there");
        source.copy_some(store, copy, cursor, now).map_err(put_error)
    }

    /// Sets the key that was found to a copy that is whole. A failed call changes nothing and discards the copy.
    pub fn put_copy(
        &mut self,
        found: Found<'_>,
        value_type: ValueType,
        copy: Box<Collection>,
        ttl: Ttl,
    ) -> Result<(), CommandError> {
        let key = found.key_bytes().to_vec();
        self.set_large(found, value_type, copy, ttl)?;
        if value_type == ValueType::Hash {
            self.take_over_fields(&key);
        }
        Ok(())
    }

    /// Gives up a large collection that no key has. O(1), it is freed by steps.
    pub fn discard(&mut self, collection: Box<Collection>) {
        self.keyspace.discard(collection);
    }

    pub(super) fn large(&self, id: CollectionId) -> &Collection {
        let collection = self.keyspace.databases[self.index].collections.get(id.0).as_deref();
        collection.expect("the entry names one that is there")
    }
}

impl Keyspace {
    /// Gives up a large collection that no key has. O(1), it is freed by steps.
    pub fn discard(&mut self, collection: Box<Collection>) {
        self.freeing += 1;
        self.discarded.single.push_back(collection);
    }

    /// Keys and collections whose memory is on its way back.
    pub fn freeing(&self) -> u64 {
        self.freeing
    }

    /// All that was given up has been freed.
    pub fn note_freed(&mut self) {
        self.stats.lazyfreed += std::mem::take(&mut self.freeing);
    }

    /// Whether there are collections to free.
    pub fn has_discarded(&self) -> bool {
        let Discarded { single, tables } = &self.discarded;
        !single.is_empty() || !tables.is_empty()
    }

    /// Frees a bounded part of what was discarded; whether there is more.
    pub fn free_discarded(&mut self) -> bool {
        /// Small ones that a step frees.
        const AT_ONCE: usize = 8;
        let Discarded { single, tables } = &mut self.discarded;
        for _ in 0..AT_ONCE {
            if single.is_empty()
                && let Some(table) = tables.last_mut()
            {
                match table.pop() {
                    Some(collection) => single.extend(collection),
                    None => drop(tables.pop()),
                }
            }
            let Some(first) = single.front_mut() else { break };
            if first.free_some(&mut self.store) {
                break;
            }
            single.pop_front();
        }
        self.has_discarded()
    }

    pub(super) fn keep_collection(&mut self, index: usize, collection: Box<Collection>) -> CollectionId {
        CollectionId(self.databases[index].collections.insert(Some(collection)))
    }

    /// A number for a collection that is not there yet.
    pub(super) fn reserve_collection(&mut self, index: usize) -> CollectionId {
        CollectionId(self.databases[index].collections.insert(None))
    }

    /// Puts the collection at the number that was reserved for it.
    pub(super) fn fill_collection(&mut self, index: usize, id: CollectionId, collection: Box<Collection>) {
        *self.databases[index].collections.get_mut(id.0) = Some(collection);
    }

    /// The collection does not come.
    pub(super) fn unreserve_collection(&mut self, index: usize, id: CollectionId) {
        self.databases[index].collections.remove(id.0);
    }

    pub(super) fn take_collection(&mut self, index: usize, id: CollectionId) -> Box<Collection> {
        self.databases[index].collections.remove(id.0).expect("the entry names one that is there")
    }

    /// Discards all collections of a database. O(1).
    pub(super) fn discard_collections(&mut self, index: usize) {
        let table = std::mem::take(&mut self.databases[index].collections);
        if !table.is_empty() {
            self.discarded.tables.push(table);
        }
    }
}

impl Drop for Keyspace {
    /// What large collections have of the store goes back to it first.
    fn drop(&mut self) {
        (0..self.databases.len()).for_each(|index| self.discard_collections(index));
        while self.free_discarded() {}
        self.measure_access(None);
    }
}
