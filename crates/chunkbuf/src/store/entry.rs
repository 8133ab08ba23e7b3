//! What callers hand in and get out: keys with their hash, entries by reference, and why a put was refused.

use crate::buffer::{RawEntry, Slices};
use crate::entry::UserFlags;
use crate::pool::OutOfMemory;

/// A key with its hash, computed once by [`Store::key`](super::Store::key).
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) hash: u64,
}

impl<'a> Key<'a> {
    pub(crate) fn with_hash(bytes: &'a [u8], hash: u64) -> Key<'a> {
        Key { bytes, hash }
    }

    /// The key itself.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its hash under the store's seed.
    #[inline]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// A live entry by reference.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its key.
    pub key: Slices<'a>,
    /// The bits that its writer gave it.
    pub flags: UserFlags,
    /// Its value.
    pub value: Slices<'a>,
    /// Bytes that it takes in the log, header included.
    pub stored_len: u64,
}

impl<'a> From<RawEntry<'a>> for Entry<'a> {
    // So that what is not asked for is not made.
    #[inline(always)]
    fn from(entry: RawEntry<'a>) -> Entry<'a> {
        Entry {
            key: entry.key(),
            flags: entry.header.flags.user(),
            value: entry.value(),
            stored_len: entry.header.entry_len(),
        }
    }
}

/// Why a put was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutError {
    /// The key has more than 65,535 bytes.
    KeyTooLong,
    /// The value has more than 4 GiB - 64 KiB - 2 bytes.
    ValueTooLong,
    /// The memory limit would be exceeded, or the system has no memory.
    OutOfMemory,
    /// The map's log is 512 GiB long, but for a chunk.
    MapFull,
}

impl std::fmt::Display for PutError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PutError::KeyTooLong => "the key is longer than 65535 bytes",
            PutError::ValueTooLong => "the value is longer than 4 GiB",
            PutError::OutOfMemory => "out of memory",
            PutError::MapFull => "the map is full",
        })
    }
}

impl std::error::Error for PutError {}

impl From<OutOfMemory> for PutError {
    fn from(_: OutOfMemory) -> PutError {
        PutError::OutOfMemory
    }
}
