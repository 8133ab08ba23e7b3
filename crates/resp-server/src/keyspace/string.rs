//! What handlers do with strings: read them, reply with them, set them, change a part of them.
//!
//! A string up to the blob threshold lies in its entry and is written anew where it changes its length; a longer one is a blob,
//! which changes page by page (see [`super::value`]). Here is the one place that knows both forms and how one becomes the
//! other: a string becomes a blob when it grows past the threshold, and lies in its entry again when it is set to a short one.
//!
//! | | in its entry | blob |
//! |---|---|---|
//! | reply | copied below 16 KiB, else by reference | by reference |
//! | append, write a range | O(length), at most the threshold; in place if the length stays | O(bytes written) |
//! | copy, rename, expiry | O(length) | O(1) |

use std::ops::Range;

use bytes::Bytes;
use chunkbuf::{Blob, BlobSlice};

use super::db::{Db, Found, Place, Ttl, put_error, string_too_long};
use super::value::{Apart, EMBSTR_BYTES_MAX, HeadBytes, Kept, Pieces, StringEncoding};
use super::{Millis, StringValue, ValueType};
use crate::proto::{CommandError, Reply, Value};

/// Values from this size on are not copied into a reply, or into another entry by way of a scratch buffer, but referred to.
const BY_REFERENCE_BYTES: usize = 16 * 1024;
/// The same for one of many values, of which no more memory may be taken than the request has itself, about.
const OF_MANY_BYTES: usize = 256;

/// A string that is changed apart from its key, which shows nothing of it before the end: see [`Db::begin_edit`].
#[derive(Debug)]
pub struct Edit {
    target: Blob,
}

impl Edit {
    /// Bytes of the string, as changed so far.
    pub fn len(&self) -> usize {
        self.target.len() as usize
    }

    /// Whether it has no byte.
    pub fn is_empty(&self) -> bool {
        self.target.is_empty()
    }

    /// The bytes of a range, as changed so far.
    ///
    /// # Panics
    /// When the range is not within the string.
    pub fn pieces(&self, range: Range<usize>) -> Pieces<'_> {
        Pieces::of_blob(self.target.pieces(range.start as u64..range.end as u64))
    }
}

/// A large value on its way into a string: see [`Db::begin_graft`].
#[derive(Debug)]
pub struct Graft {
    edit: Edit,
    /// Where the next byte goes.
    at: u64,
    /// What is still to be written.
    source: BlobSlice,
}

impl Graft {
    /// Bytes that are still to be written.
    pub fn bytes_left(&self) -> u64 {
        self.source.len()
    }
}

/// Bytes of a string apart from the store: they stay as they are whatever is written, and may go to another thread.
pub struct Snapshot(Stored);

/// Bytes of a value in a form that outlives writes to the store.
pub(super) enum Stored {
    Copied(Vec<u8>),
    Pinned(Vec<Bytes>),
    Blob(BlobSlice),
}

impl Default for Snapshot {
    /// No bytes.
    fn default() -> Snapshot {
        Snapshot::from(Vec::new())
    }
}

impl From<Vec<u8>> for Snapshot {
    fn from(bytes: Vec<u8>) -> Snapshot {
        Snapshot(Stored::Copied(bytes))
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Snapshot {
    /// How many bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        match &self.0 {
            Stored::Copied(bytes) => bytes.len(),
            Stored::Pinned(pieces) => pieces.iter().map(Bytes::len).sum(),
            Stored::Blob(slice) => slice.len() as usize,
        }
    }

    /// The bytes of a range, in order and in pieces of which none is empty. O(1), but O(pieces before it) for a string that lies
    /// in its entry, whose pieces are few.
    ///
    /// # Panics
    /// When the range is not within the string.
    pub fn pieces(&self, range: Range<usize>) -> Pieces<'_> {
        match &self.0 {
            Stored::Copied(bytes) => Pieces::of_slice(&bytes[range]),
            Stored::Pinned(pieces) => Pieces::of_shared(pieces, range),
            Stored::Blob(slice) => Pieces::of_blob(slice.pieces_of(range.start as u64..range.end as u64)),
        }
    }

    /// The byte `at`, which is within the string. Costs what [`pieces`](Snapshot::pieces) does.
    pub fn byte(&self, at: usize) -> u8 {
        self.pieces(at..at + 1).next().expect("the byte is within the string")[0]
    }
}

impl Db<'_> {
    /// The string that was found, `None` if nothing was, an error if it is of another type.
    #[inline]
    pub fn string(&self, found: &Found<'_>) -> Result<Option<StringValue<'_>>, CommandError> {
        self.check(found);
        let Some(Place { location, head }) = found.place else {
            return Ok(None);
        };
        if head.value_type != ValueType::String {
            return Err(CommandError::WrongType);
        }
        let store = &self.keyspace.store;
        if let Some(Apart::Blob(id)) = head.apart {
            return Ok(Some(StringValue::of_blob(store.blob(self.map(), id))));
        }
        let value = store.value(self.map(), location);
        let value = match head.len {
            0 => value,
            skip => value.slice(skip..value.len()),
        };
        Ok(Some(StringValue::new(value)))
    }

    /// Replies with the string that was found, or null: small ones copied, large ones by reference. Whether it was there.
    #[inline]
    pub fn reply_string(&mut self, found: &Found<'_>, reply: &mut Reply) -> Result<bool, CommandError> {
        let Some(value) = self.string(found)? else {
            reply.null();
            return Ok(false);
        };
        let len = value.len();
        match value.contiguous() {
            Some(bytes) if len < BY_REFERENCE_BYTES => reply.bulk(bytes),
            _ => self.reply_part(found, 0..len, reply),
        }
        Ok(true)
    }

    /// Replies with a range of the string that was found, or null: short ones copied, long ones by reference. Whether the
    /// string was there.
    ///
    /// # Panics
    /// When the range is not within the string.
    pub fn reply_range(
        &mut self,
        found: &Found<'_>,
        range: Range<usize>,
        reply: &mut Reply,
    ) -> Result<bool, CommandError> {
        let is_there = self.string(found)?.is_some();
        if is_there {
            self.reply_part(found, range, reply);
        } else {
            reply.null();
        }
        Ok(is_there)
    }

    fn reply_part(&mut self, found: &Found<'_>, range: Range<usize>, reply: &mut Reply) {
        let value = self.string(found).ok().flatten().expect("the caller has seen the string");
        if range.len() < BY_REFERENCE_BYTES {
            reply.bulk_pieces(range.len(), value.pieces(range));
            return;
        }
        match self.stored(found, range) {
            Stored::Copied(bytes) => reply.bulk(&bytes),
            Stored::Pinned(pieces) => reply.bulk_by_reference(pieces.iter().map(Bytes::len).sum(), pieces.into_iter()),
            Stored::Blob(slice) => reply.bulk_blob(slice),
        }
    }

    /// A range of the string that was found, apart from the store: for a reply after a write that may fail, and for long commands
    /// that only read. O(1) for a blob, at most 16 KiB are copied otherwise.
    ///
    /// # Panics
    /// When the range is not within the string.
    pub fn snapshot(&mut self, found: &Found<'_>, range: Range<usize>) -> Result<Option<Snapshot>, CommandError> {
        let is_there = self.string(found)?.is_some();
        Ok(is_there.then(|| Snapshot(self.stored(found, range))))
    }

    /// [`snapshot`](Db::snapshot) of a whole string for one of very many that are looked at together: more than 256 bytes are not
    /// copied. Nothing if there is no string.
    pub fn snapshot_of_many(&mut self, found: &Found<'_>) -> Result<Snapshot, CommandError> {
        let Some(len) = self.string(found)?.map(|value| value.len()) else {
            return Ok(Snapshot::default());
        };
        Ok(Snapshot(self.stored_from(found, 0..len, OF_MANY_BYTES)))
    }

    /// All of the string that was found, apart from the store.
    pub fn string_apart(&mut self, found: &Found<'_>) -> Result<Option<Snapshot>, CommandError> {
        let Some(len) = self.string(found)?.map(|value| value.len()) else {
            return Ok(None);
        };
        self.snapshot(found, 0..len)
    }

    /// Replies with a string that was set apart, or null.
    pub fn reply_apart(&mut self, value: Option<Snapshot>, reply: &mut Reply) {
        match value {
            None => reply.null(),
            Some(Snapshot(Stored::Copied(bytes))) => {
                reply.bulk(&bytes);
                self.keep_scratch(bytes);
            }
            Some(Snapshot(Stored::Pinned(pieces))) => {
                let len = pieces.iter().map(Bytes::len).sum();
                reply.bulk_by_reference(len, pieces.into_iter());
            }
            Some(Snapshot(Stored::Blob(slice))) => reply.bulk_blob(slice),
        }
    }

    /// Sets a string. A failed call changes nothing.
    ///
    /// Over a value of the same length it is written in place: no bytes die, nothing has to be compacted.
    #[inline]
    pub fn set(&mut self, found: Found<'_>, value: &[u8], ttl: Ttl) -> Result<(), CommandError> {
        if value.len() as u64 > self.keyspace.blob_threshold {
            return self.set_long(found, value, ttl);
        }
        let old = found.expires();
        let new = ttl.expires(old);
        let head = HeadBytes::new(new, ValueType::String, None);
        if new == old && self.overwrite(&found, value) {
            return Ok(());
        }
        let parts = [head.as_slice(), value];
        let parts = if new.is_none() { &parts[1..] } else { &parts };
        self.put(&found, &head, parts)
    }

    #[cold]
    fn set_long(&mut self, found: Found<'_>, value: &[u8], ttl: Ttl) -> Result<(), CommandError> {
        self.check(&found);
        let mut blob = self.new_blob();
        self.blob_append(&mut blob, value)?;
        self.put_blob(&found, ttl.expires(found.expires()), blob)
    }

    /// Sets a string to bytes, which are copied, or to a blob, which is not. A failed call changes nothing.
    pub fn set_value(&mut self, found: Found<'_>, value: Value<'_>, ttl: Ttl) -> Result<(), CommandError> {
        match value {
            Value::Bytes(bytes) => self.set(found, bytes, ttl),
            Value::Blob(blob) if blob.len() > self.keyspace.blob_threshold => {
                self.check(&found);
                self.put_blob(&found, ttl.expires(found.expires()), blob)
            }
            Value::Blob(blob) => {
                let bytes = blob.pieces(0..blob.len()).collect::<Vec<_>>().concat();
                self.set(found, &bytes, ttl)
            }
        }
    }

    /// Appends to the string that was found, or sets it; its length then. A failed call changes nothing.
    pub fn append(&mut self, found: Found<'_>, suffix: &[u8]) -> Result<usize, CommandError> {
        let Some(value) = self.string(&found)? else {
            self.set(found, suffix, Ttl::Keep)?;
            return Ok(suffix.len());
        };
        let (old_len, expires) = (value.len(), found.expires());
        let new_len = old_len + suffix.len();
        if found.blob().is_some() || new_len as u64 > self.keyspace.blob_threshold {
            self.write_blob(&found, old_len, suffix)?;
            return Ok(new_len);
        }
        let head = HeadBytes::of_string(expires, new_len, Kept::Raw);
        let stored = self.stored(&found, 0..old_len);
        self.put_stored(&found, &head, stored, suffix)?;
        Ok(new_len)
    }

    /// Writes `bytes` over the string that was found, from byte `offset` on, and returns its length then. It grows if it must,
    /// with zeros up to the offset; a key that is not there is a string without a byte. Its expiry stays. A failed call changes
    /// nothing. How long a string may be is the caller's to check.
    pub fn write_range(&mut self, found: Found<'_>, offset: usize, bytes: &[u8]) -> Result<usize, CommandError> {
        let old_len = self.string(&found)?.map_or(0, |value| value.len());
        let end = offset.checked_add(bytes.len()).ok_or_else(string_too_long)?;
        let new_len = old_len.max(end);
        if found.blob().is_some() || new_len as u64 > self.keyspace.blob_threshold {
            self.write_blob(&found, offset, bytes)?;
            return Ok(new_len);
        }
        let map = self.map();
        if let Some(Place { location, head }) = found.place
            && end <= old_len
            && (head.kept == Kept::Raw || old_len > EMBSTR_BYTES_MAX)
            && self.keyspace.store.write_in_place(map, found.stored_key(), location, head.len + offset, bytes)
        {
            self.keyspace.writes += 1;
            return Ok(new_len);
        }
        let mut value = Vec::with_capacity(new_len);
        if let Some(old) = self.string(&found)? {
            old.copy_range(0..old_len, &mut value);
        }
        value.resize(new_len, 0);
        value[offset..end].copy_from_slice(bytes);
        let head = HeadBytes::of_string(found.expires(), new_len, Kept::Raw);
        self.put(&found, &head, &[head.as_slice(), &value])?;
        Ok(new_len)
    }

    /// Sets a string as [`set_value`](Db::set_value) does, but to what was not given as a whole: Redis keeps it raw.
    pub fn set_edited(&mut self, found: Found<'_>, value: Value<'_>, ttl: Ttl) -> Result<(), CommandError> {
        if value.len() > EMBSTR_BYTES_MAX as u64 {
            return self.set_value(found, value, ttl);
        }
        let bytes = match value {
            Value::Bytes(bytes) => bytes.to_vec(),
            Value::Blob(blob) => blob.pieces(0..blob.len()).collect::<Vec<_>>().concat(),
        };
        self.put_kept(&found, &bytes, ttl, Kept::Raw)
    }

    /// Sets a string to the text of a number, which Redis keeps as text also if it is an integer. A failed call changes nothing.
    pub fn set_float(&mut self, found: Found<'_>, text: &[u8], ttl: Ttl) -> Result<(), CommandError> {
        match crate::text::integer::parse_i64(text) {
            Some(_) => self.put_kept(&found, text, ttl, Kept::Text),
            None => self.set(found, text, ttl),
        }
    }

    fn put_kept(&mut self, found: &Found<'_>, bytes: &[u8], ttl: Ttl, kept: Kept) -> Result<(), CommandError> {
        let head = HeadBytes::of_string(ttl.expires(found.expires()), bytes.len(), kept);
        self.put(found, &head, &[head.as_slice(), bytes])
    }

    /// What a command does that writes a part of the string that was found, and finds nothing to write.
    pub fn be_edited(&mut self, found: Found<'_>) -> Result<(), CommandError> {
        let Some(value) = self.string(&found)? else { return Ok(()) };
        if found.kept() == Kept::Raw || value.len() > EMBSTR_BYTES_MAX {
            return Ok(());
        }
        let bytes = value.to_vec();
        self.set_edited(found, Value::Bytes(&bytes), Ttl::Keep)
    }

    /// How Redis would keep the string that was found, `None` if nothing was.
    pub fn string_encoding(&self, found: &Found<'_>) -> Result<Option<StringEncoding>, CommandError> {
        let value = self.string(found)?;
        Ok(value.map(|value| match found.kept() {
            Kept::AsSet => value.encoding(),
            Kept::Raw => StringEncoding::Raw,
            Kept::Text => StringEncoding::EmbStr,
        }))
    }

    /// Begins to change the string that was found, which may be none, in steps: the key shows nothing of it before
    /// [`end_edit`](Db::end_edit). Costs O(1), or a copy of a string in its entry.
    pub fn begin_edit(&mut self, found: &Found<'_>) -> Result<Edit, CommandError> {
        let len = self.string(found)?.map_or(0, |value| value.len());
        let map = self.map();
        let target = match found.blob() {
            Some(id) => self.keyspace.store.blob(map, id).clone(),
            None => {
                let mut target = self.new_blob();
                if found.exists() {
                    let old = Snapshot(self.stored(found, 0..len));
                    old.pieces(0..len).try_for_each(|piece| self.blob_append(&mut target, piece))?;
                }
                target
            }
        };
        Ok(Edit { target })
    }

    /// Writes bytes from byte `at` on; what lies between the end and them reads as zeros. A failed call changes nothing.
    pub fn edit(&mut self, edit: &mut Edit, at: usize, bytes: &[u8]) -> Result<(), CommandError> {
        self.blob_write(&mut edit.target, at as u64, bytes)
    }

    /// Makes what was edited the value of the key, which nobody has changed since [`begin_edit`](Db::begin_edit); its length.
    pub fn end_edit(&mut self, found: Found<'_>, edit: Edit) -> Result<usize, CommandError> {
        let len = edit.len();
        self.set_edited(found, Value::Blob(edit.target), Ttl::Keep)?;
        Ok(len)
    }

    /// Begins to write a large value over the string that was found, from byte `offset` on: as
    /// [`write_range`](Db::write_range) does, but in steps, as an [edit](Db::begin_edit).
    pub fn begin_graft(&mut self, found: &Found<'_>, offset: usize, source: Blob) -> Result<Graft, CommandError> {
        let edit = self.begin_edit(found)?;
        Ok(Graft { edit, at: offset as u64, source: source.slice(0..source.len()) })
    }

    /// Writes about so many bytes more; whether that was all. After an error the graft is of no use: drop it.
    pub fn graft_step(&mut self, graft: &mut Graft, bytes: usize) -> Result<bool, CommandError> {
        let mut left = bytes as u64;
        while left > 0
            && let Some(piece) = graft.source.pieces().next()
        {
            let piece = &piece[..piece.len().min(left as usize)];
            let piece_len = piece.len() as u64;
            self.keyspace.store.blob_write(&mut graft.edit.target, graft.at, piece).map_err(put_error)?;
            graft.at += piece_len;
            graft.source.advance(piece_len);
            left -= piece_len;
        }
        Ok(graft.source.is_empty())
    }

    /// Ends as [`end_edit`](Db::end_edit) does.
    pub fn end_graft(&mut self, found: Found<'_>, graft: Graft) -> Result<usize, CommandError> {
        debug_assert!(graft.source.is_empty(), "all of it was written");
        self.end_edit(found, graft.edit)
    }

    /// A value to be built apart from the keyspace, and then [set](Db::set_value); dropped anywhere, it leaves nothing behind.
    pub fn new_blob(&self) -> Blob {
        self.keyspace.store.new_blob()
    }

    /// Appends to a value that is being built. A failed call changes nothing.
    pub fn blob_append(&mut self, blob: &mut Blob, bytes: &[u8]) -> Result<(), CommandError> {
        self.keyspace.store.blob_append(blob, bytes).map_err(put_error)
    }

    /// Writes bytes to a value that is being built, from byte `at` on; what lies before them reads as zeros. A failed call
    /// changes nothing.
    pub fn blob_write(&mut self, blob: &mut Blob, at: u64, bytes: &[u8]) -> Result<(), CommandError> {
        self.keyspace.store.blob_write(blob, at, bytes).map_err(put_error)
    }

    /// Writes to the blob that was found; to one that begins with the string in its entry if it was none.
    fn write_blob(&mut self, found: &Found<'_>, offset: usize, bytes: &[u8]) -> Result<(), CommandError> {
        self.check(found);
        let map = self.map();
        let store = &mut self.keyspace.store;
        if let Some(id) = found.blob() {
            store.edit_blob(map, id, |store, blob| store.blob_write(blob, offset as u64, bytes)).map_err(put_error)?;
            self.keyspace.writes += 1;
            return Ok(());
        }
        let mut blob = store.new_blob();
        if let Some(old_len) = self.string(found)?.map(|value| value.len()) {
            let old = Snapshot(self.stored(found, 0..old_len));
            let store = &mut self.keyspace.store;
            let copied = old.pieces(0..old_len).try_for_each(|piece| store.blob_append(&mut blob, piece));
            copied.map_err(put_error)?;
        }
        self.blob_write(&mut blob, offset as u64, bytes)?;
        self.put_blob(found, found.expires(), blob)
    }

    /// Puts a blob as the string that was found.
    pub(super) fn put_blob(
        &mut self,
        found: &Found<'_>,
        expires: Option<Millis>,
        blob: Blob,
    ) -> Result<(), CommandError> {
        let map = self.map();
        let id = self.keyspace.store.attach(map, blob);
        let head = HeadBytes::new(expires, ValueType::String, Some(Apart::Blob(id)));
        let outcome = self.put(found, &head, &[head.as_slice()]);
        if outcome.is_err() {
            drop(self.keyspace.store.detach(map, id));
        }
        outcome
    }

    /// Writes `value` over a string of the same length in its entry, if it may be; whether it did.
    #[inline]
    fn overwrite(&mut self, found: &Found<'_>, value: &[u8]) -> bool {
        let Some(Place { location, head }) = found.place else {
            return false;
        };
        self.check(found);
        let map = self.map();
        let store = &mut self.keyspace.store;
        let done = head.value_type == ValueType::String
            && head.apart.is_none()
            && head.kept == Kept::AsSet
            && store.rewrite_in_place(map, found.stored_key(), location, head.len, value);
        self.keyspace.writes += u64::from(done);
        done
    }

    /// A range of the value that was found, in a form that outlives writes to the store.
    pub(super) fn stored(&mut self, found: &Found<'_>, range: Range<usize>) -> Stored {
        self.stored_from(found, range, BY_REFERENCE_BYTES)
    }

    /// The same; from `by_reference` bytes on it is not copied.
    fn stored_from(&mut self, found: &Found<'_>, range: Range<usize>, by_reference: usize) -> Stored {
        self.check(found);
        let Place { location, head } = found.place.expect("the caller has found it");
        let map = self.map();
        let store = &mut self.keyspace.store;
        if let Some(Apart::Blob(id)) = head.apart {
            return Stored::Blob(store.blob(map, id).slice(range.start as u64..range.end as u64));
        }
        let range = head.len + range.start..head.len + range.end;
        if range.len() >= by_reference {
            return Stored::Pinned(store.pin(map, found.stored_key(), location, range));
        }
        let mut scratch = std::mem::take(&mut self.keyspace.scratch);
        scratch.clear();
        let value = self.keyspace.store.value(map, location).slice(range);
        for piece in value.pieces() {
            scratch.extend_from_slice(piece);
        }
        Stored::Copied(scratch)
    }

    /// Puts head, a stored value that is no blob, and suffix as the entry that was found.
    pub(super) fn put_stored(
        &mut self,
        found: &Found<'_>,
        head: &HeadBytes,
        stored: Stored,
        suffix: &[u8],
    ) -> Result<(), CommandError> {
        match stored {
            Stored::Copied(bytes) => {
                let outcome = self.put(found, head, &[head.as_slice(), &bytes, suffix]);
                self.keep_scratch(bytes);
                outcome
            }
            Stored::Pinned(pieces) => {
                let mut parts = vec![head.as_slice()];
                parts.extend(pieces.iter().map(|piece| &piece[..]));
                parts.push(suffix);
                self.put(found, head, &parts)
            }
            Stored::Blob(_) => unreachable!("the caller shares blobs instead"),
        }
    }

    /// The scratch buffer comes back for the next use. It never grew beyond what is copied rather than pinned.
    fn keep_scratch(&mut self, scratch: Vec<u8>) {
        debug_assert!(scratch.len() < BY_REFERENCE_BYTES);
        self.keyspace.scratch = scratch;
    }
}

#[cfg(test)]
#[path = "string/tests.rs"]
mod tests;
