//! A short list, all in its key's entry.
//!
//! ```text
//!  [flags: 1 byte] [element] [element] ...       elements as in [`crate::types::packed`]
//!     bit 0: OBJECT ENCODING says quicklist
//! ```
//!
//! Every change writes it anew, so it is kept to [`PACKED_BYTES_MAX`] bytes, which is less than for other types: a list is
//! pushed to and popped from more often than it is read.

use chunkbuf::{PutError, Store};

use super::encoding::{LISTPACK_HEAD, listpack_len};
use super::{Element, Encoding, End, List};
use crate::types::packed::{self, Elements};

/// A list of more bytes takes its large form.
pub const PACKED_BYTES_MAX: usize = 1024;

const QUICKLIST: u8 = 1;

/// The elements of a short list, to be changed and written anew.
#[derive(Clone, Debug)]
pub struct PackedList<'a> {
    /// All elements in order.
    pub elements: Vec<&'a [u8]>,
    encoding: Encoding,
}

impl<'a> PackedList<'a> {
    /// A list of nothing.
    pub fn new() -> PackedList<'a> {
        PackedList { elements: Vec::new(), encoding: Encoding::Listpack }
    }

    /// Reads what [`write`](PackedList::write) has written.
    pub fn read(bytes: &'a [u8]) -> PackedList<'a> {
        PackedList { elements: elements(bytes).collect(), encoding: encoding(bytes) }
    }

    /// The bytes to put into the entry; `None` if those were more than a packed list has.
    pub fn write(&self) -> Option<Vec<u8>> {
        let len: usize = self.elements.iter().map(|element| packed::encoded_len(element.len())).sum();
        (len < PACKED_BYTES_MAX).then(|| {
            let mut bytes = Vec::with_capacity(1 + len);
            bytes.push(if self.encoding == Encoding::Quicklist { QUICKLIST } else { 0 });
            self.elements.iter().for_each(|element| packed::push(&mut bytes, element));
            bytes
        })
    }

    /// Puts an element at an end.
    pub fn push(&mut self, end: End, element: &'a [u8]) {
        match end {
            End::Head => self.elements.insert(0, element),
            End::Tail => self.elements.push(element),
        }
    }

    /// The large list of the same elements.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn to_large(&self, store: &mut Store) -> Result<List, PutError> {
        let mut list = List::new(self.encoding);
        for element in &self.elements {
            if let Err(error) = list.push(store, End::Tail, Element::Bytes(element)) {
                list.free(store);
                return Err(error);
            }
        }
        Ok(list)
    }

    /// Notes, before it is done, that `count` elements of `bytes` bytes will be put in.
    pub fn will_grow(&mut self, max_listpack_size: i64, bytes: u64, count: u64) {
        let (listpack_bytes, len) = (self.listpack_bytes() + bytes, self.elements.len() as u64 + count);
        self.encoding = self.encoding.grown(max_listpack_size, listpack_bytes, len);
    }

    /// Notes that elements were removed.
    pub fn has_shrunk(&mut self, max_listpack_size: i64) {
        let (listpack_bytes, len) = (self.listpack_bytes(), self.elements.len() as u64);
        self.encoding = self.encoding.shrunk(max_listpack_size, listpack_bytes, len);
    }

    fn listpack_bytes(&self) -> u64 {
        LISTPACK_HEAD + self.elements.iter().map(|element| listpack_len(element) as u64).sum::<u64>()
    }
}

impl Default for PackedList<'_> {
    fn default() -> Self {
        PackedList::new()
    }
}

/// The elements of a packed list.
pub fn elements(bytes: &[u8]) -> Elements<'_> {
    Elements::new(&bytes[1..])
}

/// What `OBJECT ENCODING` says of a packed list.
pub fn encoding(bytes: &[u8]) -> Encoding {
    if bytes[0] & QUICKLIST == 0 { Encoding::Listpack } else { Encoding::Quicklist }
}
