//! Many maps and one pacer: the key space of a server. (Signatures first; the bodies follow.)
#![allow(clippy::todo, unused_variables, missing_docs, dead_code)]

use bytes::Bytes;

use crate::location::Location;

/// The longest key in bytes.
pub const KEY_LEN_MAX: usize = 65_535;

pub struct Options {
    /// Chunk sizes: 0 = small chunks, little slack; 1 = large chunks, few of them.
    pub p: f64,
    /// Bytes that the store may hold from the system; never exceeded. `u64::MAX`: no limit.
    pub memory_limit: u64,
    /// Live share below which compaction starts, 0.5..=0.95.
    pub target_utilisation: f64,
    /// Seed of the hash.
    pub hash_key: [u64; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapId(u32);

/// Two bits of the entry header that the store keeps for its user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserFlags(u8);
impl UserFlags {
    pub const NONE: UserFlags = UserFlags(0);
    pub const A: UserFlags = UserFlags(1);
    pub const B: UserFlags = UserFlags(2);
    pub const fn with(self, other: UserFlags) -> UserFlags {
        UserFlags(self.0 | other.0)
    }
    pub const fn has(self, other: UserFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A key with its hash, computed once per command by [`Store::key`].
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    bytes: &'a [u8],
    hash: u64,
}
impl<'a> Key<'a> {
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// Bytes that may cross chunk borders.
#[derive(Clone, Copy)]
pub struct Slices<'a>(&'a Store);
impl<'a> Slices<'a> {
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// All bytes, when they lie in one chunk (nearly always).
    pub fn contiguous(&self) -> Option<&'a [u8]> {
        todo!()
    }
    /// The bytes as one slice; copies into `scratch` when they cross a chunk border.
    pub fn as_slice<'s>(&self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        todo!()
    }
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        std::iter::empty()
    }
    pub fn to_vec(&self) -> Vec<u8> {
        todo!()
    }
    /// A part of the bytes; panics when out of range.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Slices<'a> {
        todo!()
    }
}

/// A live entry.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub key: Slices<'a>,
    pub flags: UserFlags,
    pub value: Slices<'a>,
}

/// Why a put was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutError {
    KeyEmptyOrTooLong,
    ValueTooLong,
    OutOfMemory,
    MapFull,
}

/// What a step may do at most.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub bytes: u64,
    pub entries: u32,
}

/// Where the store's memory is (fields follow).
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub held_bytes: u64,
    pub live_bytes: u64,
    pub dead_bytes: u64,
    pub index_bytes: u64,
}

pub struct Store {}

impl Store {
    pub fn new(options: Options) -> Store {
        todo!()
    }
    pub fn set_memory_limit(&mut self, bytes: u64) {
        todo!()
    }
    pub fn set_target_utilisation(&mut self, share: f64) {
        todo!()
    }
    /// O(1), no memory until the first put.
    pub fn create(&mut self) -> MapId {
        todo!()
    }
    /// O(1); the memory is freed by steps.
    pub fn drop_map(&mut self, map: MapId) {
        todo!()
    }
    /// O(1); the memory is freed by steps.
    pub fn clear(&mut self, map: MapId) {
        todo!()
    }
    pub fn len(&self, map: MapId) -> u64 {
        todo!()
    }
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        todo!()
    }
    /// Starts loading the index line of a key: for many keys at once.
    pub fn touch(&self, map: MapId, key: &Key<'_>) {
        todo!()
    }
    /// Where the key's entry stands, valid until the next call that takes `&mut self`.
    pub fn find(&self, map: MapId, key: &Key<'_>) -> Option<Location> {
        todo!()
    }
    pub fn entry(&self, map: MapId, location: Location) -> Entry<'_> {
        todo!()
    }
    pub fn get(&self, map: MapId, key: &[u8]) -> Option<Entry<'_>> {
        todo!()
    }
    /// Puts `parts`, one after another, as the value. `old` is what `find` returned for the key just now.
    pub fn put_at(
        &mut self,
        map: MapId,
        key: &Key<'_>,
        old: Option<Location>,
        flags: UserFlags,
        parts: &[&[u8]],
    ) -> Result<(), PutError> {
        todo!()
    }
    /// Whether the key was there.
    pub fn put(&mut self, map: MapId, key: &[u8], flags: UserFlags, value: &[u8]) -> Result<bool, PutError> {
        todo!()
    }
    pub fn remove_at(&mut self, map: MapId, key: &Key<'_>, location: Location) {
        todo!()
    }
    pub fn remove(&mut self, map: MapId, key: &[u8]) -> bool {
        todo!()
    }
    /// Overwrites bytes of the value in place (same length), in the copy too if a step is moving it. `false`, and nothing
    /// done, when a reader pins the chunk: put a new value then.
    pub fn write_in_place(&mut self, map: MapId, location: Location, at: usize, bytes: &[u8]) -> bool {
        todo!()
    }
    /// The value's bytes `range` by reference; they stay whole while the entry is removed, moved or its chunk released.
    pub fn pin(&mut self, map: MapId, location: Location, range: std::ops::Range<usize>) -> Vec<Bytes> {
        todo!()
    }
    /// One bounded bite of a scan: visits entries, returns the next cursor, 0 at the end. Guarantee as Redis's SCAN.
    pub fn scan(&self, map: MapId, cursor: u64, visit: impl FnMut(Location, Entry<'_>)) -> u64 {
        todo!()
    }
    /// Visits the entries (normally one) whose hash begins with the 32 bits `prefix`: for structures that store 4 bytes a key.
    pub fn scan_prefix(&self, map: MapId, prefix: u32, visit: impl FnMut(Location, Entry<'_>)) {
        todo!()
    }
    pub fn random(&self, map: MapId, random: impl FnMut() -> u64) -> Option<Location> {
        todo!()
    }
    /// Bytes of work that the writes so far have made necessary.
    pub fn debt(&self) -> u64 {
        todo!()
    }
    /// Does owed work, or with `idle` any useful work, up to the budget; whether there is more.
    pub fn step(&mut self, budget: Budget, idle: bool) -> bool {
        todo!()
    }
    pub fn usage(&self) -> Usage {
        todo!()
    }
}
