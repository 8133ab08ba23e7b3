//! The list that SORT stores: gathered apart from any key, packed as long as it is short.

use chunkbuf::Store;

use crate::keyspace::{Db, Found, Ttl, ValueType, put_error};
use crate::proto::CommandError;
use crate::types::Collection;
use crate::types::list::packed::{PACKED_BYTES_MAX, PackedList};
use crate::types::list::{Element, Encoding, End, List};
use crate::types::packed::encoded_len;

/// A list in the making.
#[derive(Debug, Default)]
pub(super) struct NewList {
    /// All elements while they are few.
    short: Vec<Vec<u8>>,
    short_bytes: usize,
    large: Option<List>,
    len: usize,
}

impl NewList {
    /// How many elements it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends an element.
    ///
    /// # Errors
    /// When there is no memory.
    pub(super) fn push(&mut self, db: &mut Db<'_>, element: Element<'_>) -> Result<(), CommandError> {
        self.len += 1;
        self.short_bytes += encoded_len(element.len() as usize);
        if let Element::Bytes(bytes) = element
            && self.large.is_none()
            && self.short_bytes < PACKED_BYTES_MAX
        {
            self.short.push(bytes.to_vec());
            return Ok(());
        }
        let store = db.store_mut();
        let list = self.large.get_or_insert_with(|| List::new(Encoding::Listpack));
        for earlier in std::mem::take(&mut self.short) {
            list.push(store, End::Tail, Element::Bytes(&earlier)).map_err(put_error)?;
        }
        list.push(store, End::Tail, element).map_err(put_error)
    }

    /// Sets the key that was found to the list, which has an element. It has no expiry then.
    ///
    /// # Errors
    /// When there is no memory. The list is gone then, and the key is as it was.
    pub(super) fn put(self, db: &mut Db<'_>, found: Found<'_>) -> Result<(), CommandError> {
        let max_listpack_size = db.limits().list_max_listpack_size;
        if let Some(mut list) = self.large {
            // It has grown already, and is told so at once.
            list.grow(max_listpack_size, 0, 0, |_| Ok(())).map_err(put_error)?;
            return db.set_large(found, ValueType::List, Box::new(Collection::List(list)), Ttl::Clear);
        }
        let mut list = PackedList::new();
        list.elements = self.short.iter().map(Vec::as_slice).collect();
        list.will_grow(max_listpack_size, 0, 0);
        let bytes = list.write().expect("it was kept short");
        db.set_packed(found, ValueType::List, &bytes, Ttl::Clear)
    }

    /// Gives up a list that is not put, at once: one that a slice has made.
    pub(super) fn free(self, store: &mut Store) {
        if let Some(list) = self.large {
            list.free(store);
        }
    }

    /// What is to be freed in steps of a list that is not put.
    pub(super) fn into_large(self) -> Option<Box<Collection>> {
        self.large.map(|list| Box::new(Collection::List(list)))
    }
}
