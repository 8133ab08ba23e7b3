//! What a store does with blobs: large values on pages of their own (see [`crate::blob`]).

use super::{MapId, PutError, Store};
use crate::blob::{Blob, BlobId};

impl Store {
    /// A large value, empty as yet, that no map has. Takes no memory.
    pub fn new_blob(&self) -> Blob {
        self.blobs.create()
    }

    /// Gives a map a blob, to be named by an entry's value: the store reads no values, so the caller takes it back with
    /// [`detach`](Store::detach) when that entry dies. A map that is cleared gives up all its blobs.
    pub fn attach(&mut self, map: MapId, blob: Blob) -> BlobId {
        assert!(self.blobs.owns(&blob), "a blob stays with its store");
        let Store { maps, blobs, .. } = self;
        maps[map.0 as usize].as_mut().expect("the map exists").blobs.attach(blobs, blob)
    }

    /// Takes a blob out of a map. Its id may be given to another one.
    ///
    /// # Panics
    /// When there is no such blob.
    pub fn detach(&mut self, map: MapId, id: BlobId) -> Blob {
        let Store { maps, blobs, .. } = self;
        maps[map.0 as usize].as_mut().expect("the map exists").blobs.detach(blobs, id)
    }

    /// A blob of a map: to read it, or to clone it, which is a snapshot.
    ///
    /// # Panics
    /// When there is no such blob.
    pub fn blob(&self, map: MapId, id: BlobId) -> &Blob {
        self.map(map).blobs.get(id)
    }

    /// Changes a blob of a map with what the store does to blobs.
    ///
    /// # Panics
    /// When there is no such blob.
    pub fn edit_blob<R>(&mut self, map: MapId, id: BlobId, edit: impl FnOnce(&mut Store, &mut Blob) -> R) -> R {
        let mut blob = self.map_mut(map).blobs.borrow(id);
        let outcome = edit(self, &mut blob);
        self.map_mut(map).blobs.put_back(id, blob);
        outcome
    }

    /// Writes bytes to a blob from byte `at` on. It grows if it must; a gap before `at` reads as zeros and takes no memory. Costs
    /// what is written, and a copy of the page where a part of one is written that a snapshot shares.
    ///
    /// # Errors
    /// When there is no memory, or the blob would be longer than [`BLOB_LEN_MAX`](crate::blob::BLOB_LEN_MAX); nothing has
    /// changed then.
    pub fn blob_write(&mut self, blob: &mut Blob, at: u64, bytes: &[u8]) -> Result<(), PutError> {
        assert!(self.blobs.owns(blob), "a blob stays with its store");
        self.blobs.write(&mut self.pool, blob, at, bytes)
    }

    /// Writes bytes to the end of a blob, as [`blob_write`](Store::blob_write) does.
    ///
    /// # Errors
    /// As there.
    pub fn blob_append(&mut self, blob: &mut Blob, bytes: &[u8]) -> Result<(), PutError> {
        let len = blob.len();
        self.blob_write(blob, len, bytes)
    }

    /// Makes a blob `len` bytes long, if it is shorter: with zeros that take no memory.
    ///
    /// # Errors
    /// As [`blob_write`](Store::blob_write).
    pub fn blob_grow(&mut self, blob: &mut Blob, len: u64) -> Result<(), PutError> {
        if len > blob.len() { self.blob_write(blob, len, b"") } else { Ok(()) }
    }

    /// Makes [room](Blob::room) behind a blob for `bytes` more, but for none beyond `total`, its length in the end: pages are
    /// taken in the sizes that fit that.
    ///
    /// # Errors
    /// As [`blob_write`](Store::blob_write).
    pub fn blob_reserve(&mut self, blob: &mut Blob, bytes: u64, total: u64) -> Result<(), PutError> {
        assert!(self.blobs.owns(blob), "a blob stays with its store");
        self.blobs.reserve(&mut self.pool, blob, bytes, total)
    }
}
