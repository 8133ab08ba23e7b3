//! Many maps and one pacer: the key space of a server.
//!
//! The store owns what its maps share: the pool of chunks, the memory of the indexes, the seed of the hash, and the decision of
//! when and what to compact. The trigger is the utilisation of the whole store, and one map compacts at a time, the one with
//! the most to gain, so that maps that filled together do not compact together.
//!
//! Work is never done behind the caller's back: writes only add to a debt in bytes ([`Store::debt`]), and [`Store::step`] pays it
//! in bounded steps. A caller that steps what it owes keeps memory under `live / target utilisation`; one that also steps when
//! it is idle gets it nearer to `live`.

mod blobs;
mod blocks;
mod entry;
mod gains;
mod hasher;
mod room;
mod shortage;

pub use blocks::BLOCK_BYTES_MAX;
pub use entry::{Entry, Key, PutError};
pub use hasher::Digest;

use std::collections::VecDeque;
use std::ops::Range;

use crate::blob::{BLOB_PAGES, BlobUsage, Blobs, Table};
use crate::buffer::{Buffer, Slices};
use crate::compaction::{Budget, Progress, Workshop};
use crate::entry::UserFlags;
use crate::index::{IndexMemory, IndexUsage, Remains};
use crate::location::Location;
use crate::map::{Changed, Map};
use crate::pool::{Pool, PoolUsage};
use crate::sizing;
use crate::usage::LogUsage;
use bytes::Bytes;

use gains::Gains;
use hasher::KeyHasher;

/// What a store is told at its beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Chunk sizes, 0..=1: 0 = small chunks, little memory open at the end; 1 = large chunks, few of them.
    pub p: f64,
    /// Bytes that the store may hold, index included; never exceeded. `u64::MAX`: no limit.
    pub memory_limit: u64,
    /// The share of live bytes below which a pass starts, 0.5..=0.95.
    pub target_utilisation: f64,
    /// The seed of the hash. Random in a server, so that nobody can choose keys that collide.
    pub hash_key: [u64; 2],
    /// The bits of the hash that are used: all of them, but in tests of what keys of one hash do.
    pub hash_mask: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { p: 0.25, memory_limit: u64::MAX, target_utilisation: 0.83, hash_key: [0, 0], hash_mask: u64::MAX }
    }
}

/// A map of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapId(u32);

/// Where the store's memory is, and what compaction has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Entries that are in the maps.
    pub live_bytes: u64,
    /// Entries that are not, and have not been left behind yet.
    pub dead_bytes: u64,
    /// Chunks of the maps, their open ends included.
    pub chunk_bytes: u64,
    /// Chunks of maps that were cleared or dropped, not yet given back, in bytes.
    pub garbage_bytes: u64,
    /// Memory from the system.
    pub pool: PoolUsage,
    /// The indexes.
    pub index: IndexUsage,
    /// Large values on pages of their own.
    pub blobs: BlobUsage,
    /// Chunks that were handed out as blocks, in bytes.
    pub block_bytes: u64,
    /// Heap of the store's user that counts under the limit.
    pub user_bytes: u64,
    /// Bytes of entries written by puts.
    pub written_bytes: u64,
    /// Bytes of entries copied by passes.
    pub copied_bytes: u64,
    /// Passes that have ended.
    pub passes: u64,
    /// Whether a pass runs.
    pub in_pass: bool,
    /// Bytes of work owed.
    pub debt_bytes: u64,
}

impl Usage {
    /// All bytes that count under the memory limit.
    pub fn held_bytes(&self) -> u64 {
        let outside = self.index.header_bytes + self.index.directory_bytes + self.blobs.heap_bytes + self.user_bytes;
        self.pool.held_bytes + outside
    }
}

/// Chunks that a busy step gives back from cleared maps and finished readers.
const GARBAGE_CHUNKS: usize = 8;
/// Cleared maps that a step finishes with, if they are small.
const GARBAGE_MAPS: usize = 8;
/// Index blocks that a step gives back from cleared maps.
const GARBAGE_BLOCKS: usize = 64;
/// Maps that are looked at when no list has one to compact, some 20 us.
const MAPS_LOOKED_AT: usize = 256;
/// Segments of the index that a step looks at while it evacuates pages.
const TIDY_SEGMENTS: usize = 16;
/// Bytes that a step gives back to the system.
const TRIM_BYTES: u64 = 128 * 1024;
/// Share of live bytes below which an idle store starts a pass.
const IDLE_UTILISATION: f64 = 0.95;
/// Targets that can be set: 1 would copy for ever, and an idle store never leaves more dead than the last of them allows.
const UTILISATION: std::ops::RangeInclusive<f64> = 0.5..=IDLE_UTILISATION;
/// The part of the memory limit beyond which compaction works harder.
const TIGHT_SHARE: f64 = 0.85;
/// Share of live bytes below which a pass starts beyond that: each byte that is written there costs 17 to be copied.
const TIGHT_UTILISATION: f64 = 0.92;

/// Maps of byte keys to byte values in compacted logs, under one memory limit.
pub struct Store {
    options: Options,
    hasher: KeyHasher,
    pool: Pool,
    memory: IndexMemory,
    blobs: Blobs,
    /// Each on its own, so that a table of many grows without moving much.
    maps: Vec<Option<Box<Map>>>,
    free_ids: Vec<u32>,
    garbage: VecDeque<Garbage>,
    garbage_bytes: u64,
    /// The map that compacts.
    compacting: Option<MapId>,
    gains: Gains,
    /// The map that was looked at last for a gain that is in no list.
    look_at: u32,
    /// Sums over all maps, kept up to date with every change.
    live_bytes: u64,
    unlive_bytes: u64,
    debt: f64,
    /// Bytes to copy for each byte written while this pass runs.
    pace: f64,
    written_bytes: u64,
    copied_bytes: u64,
    passes: u64,
    /// Chunks that were handed out as blocks, in bytes.
    block_bytes: u64,
    /// Room that is kept for some writers.
    promised_bytes: u64,
    /// Heap of the store's user that counts under the limit.
    user_bytes: u64,
    scratch: Vec<u8>,
}

/// What is left of a cleared map.
struct Garbage {
    blobs: Table,
    buffers: Vec<Buffer>,
    index: Remains,
}

impl Garbage {
    fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.buffers.is_empty() && self.index.is_empty()
    }
}

impl Store {
    /// A store without maps. Takes no memory.
    pub fn new(options: Options) -> Store {
        assert!((0.0..=1.0).contains(&options.p), "P is between 0 and 1");
        assert!(UTILISATION.contains(&options.target_utilisation), "the target utilisation is between 0.5 and 0.95");
        Store {
            hasher: KeyHasher::new(&options),
            pool: Pool::new(options.memory_limit),
            memory: IndexMemory::new(),
            blobs: Blobs::default(),
            maps: Vec::new(),
            free_ids: Vec::new(),
            garbage: VecDeque::new(),
            garbage_bytes: 0,
            compacting: None,
            gains: Gains::new(),
            look_at: 0,
            live_bytes: 0,
            unlive_bytes: 0,
            debt: 0.0,
            pace: 0.0,
            written_bytes: 0,
            copied_bytes: 0,
            passes: 0,
            block_bytes: 0,
            promised_bytes: 0,
            user_bytes: 0,
            scratch: Vec::new(),
            options,
        }
    }

    /// What the store was told, later changes included.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes the memory limit. What is held stays held; writes that need memory are refused until it fits. To get there
    /// compaction may hold 2 MiB more than what is held now.
    pub fn set_memory_limit(&mut self, bytes: u64) {
        if bytes != self.options.memory_limit {
            self.options.memory_limit = bytes;
            self.pool.set_limit(bytes);
            self.pool.allow_overhang();
        }
    }

    /// Changes the share of live bytes below which a pass starts.
    pub fn set_target_utilisation(&mut self, share: f64) {
        assert!(UTILISATION.contains(&share), "the target utilisation is between 0.5 and 0.95");
        self.options.target_utilisation = share;
    }

    /// Changes P; buffers follow as they take new chunks.
    pub fn set_p(&mut self, p: f64) {
        assert!((0.0..=1.0).contains(&p), "P is between 0 and 1");
        self.options.p = p;
    }

    /// A new, empty map. O(1), and no memory until the first put.
    pub fn create(&mut self) -> MapId {
        match self.free_ids.pop() {
            Some(id) => {
                self.maps[id as usize] = Some(Box::new(Map::new()));
                MapId(id)
            }
            None => {
                self.maps.push(Some(Box::new(Map::new())));
                MapId(u32::try_from(self.maps.len() - 1).expect("fewer than 2^32 maps"))
            }
        }
    }

    /// Drops a map. O(1); its memory is given back by steps.
    pub fn drop_map(&mut self, map: MapId) {
        self.clear(map);
        self.maps[map.0 as usize] = None;
        self.free_ids.push(map.0);
    }

    /// Empties a map. O(1); its memory is given back by steps.
    pub fn clear(&mut self, map: MapId) {
        let Map { mut index, log, mut blobs } = std::mem::replace(self.map_mut(map), Map::new());
        blobs.discard(&mut self.blobs);
        let usage = log.usage();
        self.live_bytes -= usage.live_bytes;
        self.unlive_bytes -= usage.unlive_bytes();
        if self.compacting == Some(map) {
            self.end_pass();
        }
        let mut buffers = log.into_buffers();
        buffers.retain(|buffer| buffer.usage().chunks > 0);
        self.garbage_bytes += usage.chunk_bytes;
        let garbage = Garbage { blobs, buffers, index: index.clear() };
        if !garbage.is_empty() {
            self.garbage.push_back(garbage);
        }
    }

    /// Keys of a map.
    pub fn len(&self, map: MapId) -> u64 {
        self.map(map).index.len()
    }

    /// Whether a map has no key.
    pub fn is_empty(&self, map: MapId) -> bool {
        self.len(map) == 0
    }

    /// Bytes of memory that a map takes, dead entries and its index included; those of its blobs are not. O(1).
    pub fn map_bytes(&self, map: MapId) -> u64 {
        let map = self.map(map);
        map.log.usage().chunk_bytes + map.index.bytes()
    }

    /// The key with its hash.
    #[inline]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.hasher.hash(bytes) }
    }

    /// Has the index line of the key of this [hash](Key::hash) brought to the cache. For many keys at once: the loads overlap. Without
    /// effect when the map is no more.
    #[inline]
    pub fn prefetch(&self, map: MapId, hash: u64) {
        if let Some(map) = &self.maps[map.0 as usize] {
            map.index.prefetch(&self.memory, hash);
        }
    }

    /// Has the beginning of the key's entry brought to the cache, by what its index line tells; call
    /// [`prefetch`](Store::prefetch) some time before. Nothing is compared, so it may be another key's entry, rarely.
    #[inline]
    pub fn prefetch_entry(&self, map: MapId, hash: u64) {
        let Some(map) = &self.maps[map.0 as usize] else { return };
        map.index.find(&self.memory, hash, |location| {
            map.log.prefetch(location);
            false
        });
    }

    /// Where the key's entry stands; valid until the next call that takes `&mut self`.
    #[inline]
    pub fn find(&self, map: MapId, key: &Key<'_>) -> Option<Location> {
        self.map(map).find(&self.memory, key)
    }

    /// The entry at a location that [`find`](Store::find), [`scan`](Store::scan) or [`random`](Store::random) has just given.
    #[inline]
    pub fn entry(&self, map: MapId, location: Location) -> Entry<'_> {
        self.map(map).entry(location).into()
    }

    /// The value of the entry at such a location.
    #[inline(always)]
    pub fn value(&self, map: MapId, location: Location) -> Slices<'_> {
        self.map(map).entry(location).value()
    }

    /// [`find`](Store::find) and [`entry`](Store::entry) in one look.
    #[inline(always)]
    pub fn find_entry(&self, map: MapId, key: &Key<'_>) -> Option<(Location, Entry<'_>)> {
        let (location, entry) = self.map(map).find_entry(&self.memory, key)?;
        Some((location, entry.into()))
    }

    /// Visits the live entries of a map whose key has this hash: one, as a rule, or none. For tables that know keys by
    /// their [`Key::hash`]. Cost: a look-up, and a hash for each entry that the index takes for one.
    pub fn with_hash(&self, map: MapId, hash: u64, mut visit: impl FnMut(Location, Entry<'_>)) {
        let map = self.map(map);
        let mut scratch = Vec::new();
        map.index.find(&self.memory, hash, |location| {
            let entry = map.log.entry(location);
            if self.hasher.hash(entry.key().as_slice(&mut scratch)) == hash {
                visit(location, entry.into());
            }
            false
        });
    }

    /// Whether some entry of a map has this hash. Cost: a look-up.
    pub fn has_hash(&self, map: MapId, hash: u64) -> bool {
        let mut found = false;
        self.with_hash(map, hash, |_, _| found = true);
        found
    }

    /// The books of the indexes. O(1).
    pub fn index_usage(&self) -> IndexUsage {
        self.memory.usage()
    }

    /// 16 bytes that stand for `bytes` under the store's seed: nobody who does not know it can make two that are the same.
    pub fn digest(&self, bytes: &[u8]) -> [u8; 16] {
        let mut digest = self.begin_digest();
        digest.update(bytes);
        digest.finish()
    }

    /// [`digest`](Store::digest) of bytes that come in pieces.
    pub fn begin_digest(&self) -> Digest {
        Digest::new(self.options.hash_key)
    }

    /// The entry of a key.
    pub fn get(&self, map: MapId, key: &[u8]) -> Option<Entry<'_>> {
        let location = self.find(map, &self.key(key))?;
        Some(self.entry(map, location))
    }

    /// Puts `parts`, one after another, as the value of `key`. `old` is what [`find`](Store::find) has just returned for it.
    ///
    /// # Errors
    /// Nothing has changed then; the old value is as it was.
    pub fn put_at(
        &mut self,
        map: MapId,
        key: &Key<'_>,
        old: Option<Location>,
        flags: UserFlags,
        parts: &[&[u8]],
    ) -> Result<(), PutError> {
        let Store { maps, memory, pool, hasher, options, .. } = self;
        let target = maps[map.0 as usize].as_mut().expect("the map exists");
        let Changed { born_bytes, died_bytes } =
            target.put(memory, pool, options.p, |bytes| hasher.hash(bytes), key, old, flags, parts)?;
        self.live_bytes += born_bytes;
        self.written_bytes += born_bytes;
        if died_bytes > 0 {
            self.note_death(map, died_bytes);
        }
        if self.compacting.is_some() {
            self.debt += self.pace * born_bytes as f64;
        } else if self.wants_pass(self.busy_target()) {
            self.debt += sizing::pace(self.live_bytes, self.unlive_bytes) * born_bytes as f64;
        }
        Ok(())
    }

    /// Puts a value; whether the key was there.
    ///
    /// # Errors
    /// Nothing has changed then; the old value is as it was.
    pub fn put(&mut self, map: MapId, key: &[u8], flags: UserFlags, value: &[u8]) -> Result<bool, PutError> {
        let key = self.key(key);
        let old = self.find(map, &key);
        self.put_at(map, &key, old, flags, &[value])?;
        Ok(old.is_some())
    }

    /// Puts a value only if the key is there; whether it was.
    ///
    /// # Errors
    /// Nothing has changed then; the old value is as it was.
    pub fn replace(&mut self, map: MapId, key: &[u8], flags: UserFlags, value: &[u8]) -> Result<bool, PutError> {
        let key = self.key(key);
        match self.find(map, &key) {
            Some(old) => self.put_at(map, &key, Some(old), flags, &[value]).map(|()| true),
            None => Ok(false),
        }
    }

    /// Removes the entry at `location`, which is what [`find`](Store::find) has just returned for the key.
    pub fn remove_at(&mut self, map: MapId, key: &Key<'_>, location: Location) {
        let Store { maps, memory, pool, .. } = self;
        let target = maps[map.0 as usize].as_mut().expect("the map exists");
        let died_bytes = target.remove(memory, pool, key, location);
        self.note_death(map, died_bytes);
    }

    /// Removes a key; whether it was there.
    pub fn remove(&mut self, map: MapId, key: &[u8]) -> bool {
        let key = self.key(key);
        match self.find(map, &key) {
            Some(location) => {
                self.remove_at(map, &key, location);
                true
            }
            None => false,
        }
    }

    /// Overwrites bytes of a value in place, from byte `at` on; its length stays. `location` is what [`find`](Store::find) has
    /// just returned for the key. `false`, and nothing done, when a reader pins a chunk of the bytes: put a new value then.
    ///
    /// # Panics
    /// When the range is not within the value, or the key is not at the location.
    pub fn write_in_place(&mut self, map: MapId, key: &Key<'_>, location: Location, at: usize, bytes: &[u8]) -> bool {
        let (target, pool) = self.map_with_entry(map, key, location);
        target.log.overwrite(pool, location, at, bytes)
    }

    /// Overwrites a value from byte `at` to its end, if `bytes` has just that length and no reader pins a chunk of it; whether it
    /// did. `location` is what [`find`](Store::find) has just returned for the key, which debug builds check: it is on the way of
    /// every overwrite, and a look at the index costs as much as all the rest of it.
    #[inline]
    pub fn rewrite_in_place(&mut self, map: MapId, key: &Key<'_>, location: Location, at: usize, bytes: &[u8]) -> bool {
        debug_assert_eq!(self.find(map, key), Some(location), "the key is at the location");
        let Store { maps, pool, .. } = self;
        let target = maps[map.0 as usize].as_mut().expect("the map exists");
        target.log.rewrite(pool, location, at, bytes)
    }

    /// The bytes `range` of a value by reference; `location` is what [`find`](Store::find) has just returned for the key. They
    /// stay as they are while the entry is removed, overwritten or moved, and its chunk released; the chunks stay in memory
    /// as long as a part of them is pinned.
    ///
    /// # Panics
    /// When the range is not within the value, or the key is not at the location.
    pub fn pin(&mut self, map: MapId, key: &Key<'_>, location: Location, range: Range<usize>) -> Vec<Bytes> {
        let (target, pool) = self.map_with_entry(map, key, location);
        target.log.pin(pool, location, range.start, range.len())
    }

    /// One bounded bite of a scan: visits some entries and returns the next cursor, 0 at the end; start with 0. Every key that is
    /// in the map from the first call to the last is visited at least once, whatever is written meanwhile.
    pub fn scan(&self, map: MapId, cursor: u64, mut visit: impl FnMut(Location, Entry<'_>)) -> u64 {
        let mut next = 0;
        self.in_bites(
            map,
            |fetch| next = self.map(map).index.scan(&self.memory, cursor, fetch),
            |location| visit(location, self.entry(map, location)),
        );
        next
    }

    /// Visits the locations that `walk` passes to what it is given, in order. All entries of a bite are fetched before the first of
    /// them is visited: the loads overlap.
    #[inline]
    fn in_bites(&self, map: MapId, walk: impl FnOnce(&mut dyn FnMut(Location)), mut visit: impl FnMut(Location)) {
        /// About the slots of an index line.
        const BITE: usize = 8;
        let log = &self.map(map).log;
        let mut bite = [None; BITE];
        let mut fetched = 0;
        walk(&mut |location| {
            log.prefetch(location);
            bite[fetched] = Some(location);
            fetched += 1;
            if fetched == BITE {
                bite.into_iter().flatten().for_each(&mut visit);
                fetched = 0;
            }
        });
        bite[..fetched].iter().flatten().copied().for_each(visit);
    }

    /// Visits the entries, normally one, whose hash begins with the 32 bits `prefix`. For structures that keep 4 bytes a key.
    pub fn scan_prefix(&self, map: MapId, prefix: u32, mut visit: impl FnMut(Location, Entry<'_>)) {
        let mut scratch = Vec::new();
        self.map(map).index.visit_prefix(&self.memory, u64::from(prefix) << 32, 32, |location| {
            let entry = self.entry(map, location);
            if self.hasher.hash(entry.key.as_slice(&mut scratch)) >> 32 == u64::from(prefix) {
                visit(location, entry);
            }
        });
    }

    /// An entry chosen with equal chance, by the random numbers that are handed in.
    pub fn random(&self, map: MapId, random: impl FnMut() -> u64) -> Option<Location> {
        self.map(map).index.random(&self.memory, random)
    }

    /// Bytes of work that the writes so far have made necessary: to copy, and to give back to the system. Above 0, the next
    /// [`step`](Store::step) has something to do.
    pub fn debt(&self) -> u64 {
        let warm = self.pool.usage().warm_bytes.saturating_sub(self.warm_to_keep(false));
        self.debt as u64 + warm + u64::from(!self.garbage.is_empty() || self.blobs.in_debt())
    }

    /// Does what is owed, or with `idle` anything that makes memory tighter, up to the budget. Returns whether there is more.
    /// Both halves of the work, [`compact`](Store::compact) and [`free`](Store::free), for callers that need not tell them apart.
    pub fn step(&mut self, budget: Budget, idle: bool) -> bool {
        let more = self.compact(budget, idle);
        self.free(idle) || more
    }

    /// The part of the debt that writes have made: bytes to be copied, so that memory does not grow with them.
    #[inline]
    pub fn copy_debt(&self) -> u64 {
        self.debt as u64
    }

    /// Copies what is owed, or with `idle` as long as it makes memory tighter, up to the budget. Whether there is more.
    pub fn compact(&mut self, budget: Budget, idle: bool) -> bool {
        let mut more = false;
        if self.compacting.is_none() {
            let target = if idle { IDLE_UTILISATION } else { self.busy_target() };
            if self.wants_pass(target) {
                self.begin_pass();
            } else {
                self.debt = 0.0;
            }
        }
        if self.compacting.is_some() && (idle || self.debt >= 1.0) {
            more |= self.step_pass(budget, idle);
        }
        if idle {
            more |= self.memory.tidy(&mut self.pool, TIDY_SEGMENTS);
        } else {
            self.memory.tidy(&mut self.pool, 1);
        }
        more
    }

    /// Whether there is something to [`free`](Store::free) that is known to be free.
    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty() || self.blobs.in_debt() || self.pool.usage().warm_bytes > self.warm_to_keep(false)
    }

    /// Gives some of what nobody needs any more back, to the pool and from there to the system. Whether there is more.
    pub fn free(&mut self, idle: bool) -> bool {
        self.pool.sweep_limbo(GARBAGE_CHUNKS);
        let mut more = self.free_garbage();
        more |= self.blobs.free_some(&mut self.pool, BLOB_PAGES);
        let keep = self.warm_to_keep(idle);
        more |= self.pool.trim(keep, TRIM_BYTES);
        more
    }

    /// Where the memory is. O(1).
    pub fn usage(&self) -> Usage {
        let (pool, index, blobs) = (self.pool.usage(), self.memory.usage(), self.blobs.usage());
        let others = self.garbage_bytes + pool.limbo_bytes + index.page_bytes + blobs.page_bytes + self.block_bytes;
        Usage {
            live_bytes: self.live_bytes,
            dead_bytes: self.unlive_bytes,
            chunk_bytes: pool.used_bytes - others,
            garbage_bytes: self.garbage_bytes,
            pool,
            index,
            blobs,
            block_bytes: self.block_bytes,
            user_bytes: self.user_bytes,
            written_bytes: self.written_bytes,
            copied_bytes: self.copied_bytes,
            passes: self.passes,
            in_pass: self.compacting.is_some(),
            debt_bytes: self.debt as u64,
        }
    }

    /// Entries of all maps by their state, and the chunks beneath them. Cost: all maps.
    pub fn log_usage(&self) -> LogUsage {
        self.maps.iter().flatten().fold(LogUsage::default(), |sum, map| sum + map.log.usage())
    }

    /// Bytes that count under the memory limit. O(1).
    pub fn held_bytes(&self) -> u64 {
        self.pool.usage().held_bytes + self.memory.outside_bytes() + self.blobs.usage().heap_bytes + self.user_bytes
    }

    /// Bytes that the pool holds from the system, and how many of them are pages of the index. O(1).
    pub fn memory(&self) -> (u64, u64) {
        (self.pool.usage().held_bytes, self.memory.usage().page_bytes)
    }

    /// The books of blobs. O(1).
    pub fn blob_usage(&self) -> BlobUsage {
        self.blobs.usage()
    }

    /// Bytes of live entries of all maps. O(1).
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Panics when an invariant does not hold. Cost: everything; for tests.
    pub fn audit(&self) {
        self.pool.audit();
        self.memory.audit();
        for map in self.maps.iter().flatten() {
            map.audit(&self.memory, |key| self.hasher.hash(key));
        }
        let maps = self.maps.iter().flatten();
        self.blobs.audit(maps.map(|map| &map.blobs), self.garbage.iter().map(|garbage| &garbage.blobs));
        let (usage, log) = (self.usage(), self.log_usage());
        assert_eq!(self.live_bytes, log.live_bytes, "live bytes are counted with every change");
        assert_eq!(self.unlive_bytes, log.unlive_bytes(), "dead bytes are counted with every change");
        let garbage = self.garbage.iter().flat_map(|garbage| &garbage.buffers);
        let garbage_bytes: u64 = garbage.map(|buffer| buffer.usage().chunk_bytes).sum();
        assert_eq!(self.garbage_bytes, garbage_bytes, "garbage is counted with every change");
        assert_eq!(
            usage.pool.used_bytes,
            log.chunk_bytes
                + usage.garbage_bytes
                + usage.pool.limbo_bytes
                + usage.index.page_bytes
                + usage.blobs.page_bytes
                + usage.block_bytes,
            "chunks in the pool's books are chunks held by somebody"
        );
        let in_pass = self.maps.iter().flatten().filter(|map| map.log.in_pass()).count();
        assert_eq!(in_pass, usize::from(self.compacting.is_some()), "one map compacts at a time");
    }

    /// The map and the pool, to pin or write bytes of an entry. That the entry is there is asked of the index: bytes at a place
    /// that is out of date may be written to later although they are pinned.
    fn map_with_entry(&mut self, map: MapId, key: &Key<'_>, location: Location) -> (&mut Map, &mut Pool) {
        let Store { maps, memory, pool, .. } = self;
        let map = maps[map.0 as usize].as_deref_mut().expect("the map exists");
        let found = map.index.find(memory, key.hash, |at| at == location);
        assert!(found.is_some(), "the key is at the location");
        (map, pool)
    }

    fn map(&self, map: MapId) -> &Map {
        self.maps[map.0 as usize].as_deref().expect("the map exists")
    }

    fn map_mut(&mut self, map: MapId) -> &mut Map {
        self.maps[map.0 as usize].as_deref_mut().expect("the map exists")
    }

    fn note_death(&mut self, map: MapId, bytes: u64) {
        self.live_bytes -= bytes;
        let before = self.unlive_bytes;
        self.unlive_bytes += bytes;
        // A map is listed anew when its dead bytes may have reached the next power of two. Looking at the map's own books each time
        // would cost more than looking when the store's have moved by a part of the smallest gain worth a pass.
        const LOOK_EVERY: u64 = sizing::DEAD_BYTES_MIN / 4;
        if bytes >= LOOK_EVERY || before / LOOK_EVERY != self.unlive_bytes / LOOK_EVERY {
            self.list_gain(map);
        }
    }

    fn list_gain(&mut self, map: MapId) {
        let dead = self.map(map).log.usage().unlive_bytes();
        self.gains.list(map, dead);
    }

    fn wants_pass(&self, target: f64) -> bool {
        sizing::wants_pass(self.live_bytes, self.unlive_bytes, target)
    }

    /// Free memory that is not given back to the system. What a pass leaves behind is what it needs next: fresh memory would cost
    /// a page fault for every 4 KiB. So a share of it stays, small enough not to show in the peak; beside that a smaller one,
    /// in a busy store a little more.
    fn warm_to_keep(&self, idle: bool) -> u64 {
        let pass = self.compacting.and_then(|map| self.map(map).log.left_to_copy());
        let held = self.pool.usage().held_bytes;
        let needed = pass.map_or(0, |(bytes, size)| bytes.min(self.pool.warm_for(size)).min(held / 64));
        let share = held / 128;
        needed + if idle { share.min(1 << 20) } else { share + 2 * TRIM_BYTES }
    }

    /// The utilisation that writes at full speed must keep: as set, and tighter when memory is short.
    fn busy_target(&self) -> f64 {
        let is_tight = self.pool.usage().held_bytes as f64 > TIGHT_SHARE * self.options.memory_limit as f64;
        let target = self.options.target_utilisation;
        if is_tight { TIGHT_UTILISATION.max(target) } else { target }
    }

    /// Chooses the map with the most to gain and begins its pass.
    fn begin_pass(&mut self) {
        let Some((map, live, dead)) = self.choose_map() else {
            self.debt = 0.0;
            return;
        };
        self.pace = sizing::pace(live, dead);
        let p = self.options.p;
        self.map_mut(map).log.begin_pass(p);
        self.compacting = Some(map);
    }

    /// The map that frees the most for the least copying, with its live and dead bytes.
    fn choose_map(&mut self) -> Option<(MapId, u64, u64)> {
        let Store { maps, gains, look_at, .. } = self;
        let books = |map: MapId| {
            let usage = maps[map.0 as usize].as_ref().map(|map| map.log.usage());
            usage.map_or((0, 0), |usage| (usage.live_bytes, usage.unlive_bytes()))
        };
        gains.choose(books).or_else(|| {
            // The lists are kept by sampling deaths, so a gain spread over very many maps can escape them: some maps are looked
            // at each time, in turn.
            for _ in 0..maps.len().min(MAPS_LOOKED_AT) {
                *look_at = (*look_at + 1) % maps.len() as u32;
                gains.list(MapId(*look_at), books(MapId(*look_at)).1);
            }
            gains.choose(books)
        })
    }

    /// Goes on with the pass; whether there is more to do.
    fn step_pass(&mut self, budget: Budget, idle: bool) -> bool {
        let map = self.compacting.expect("a pass runs");
        let allowed = if idle { budget.bytes } else { budget.bytes.min((self.debt as u64).max(1)) };
        let mut left = Budget { bytes: allowed, ..budget };
        let Store { maps, memory, pool, hasher, scratch, .. } = self;
        let target = maps[map.0 as usize].as_mut().expect("the map exists");
        let before = target.log.usage();
        let hash = |bytes: &[u8]| hasher.hash(bytes);
        let mut shop = Workshop { pool, index: &mut target.index, memory, hash: &hash, scratch };
        let progress = target.log.step(&mut shop, &mut left);
        let after = target.log.usage();
        let copied = allowed - left.bytes;
        self.copied_bytes += copied;
        self.unlive_bytes = self.unlive_bytes + after.unlive_bytes() - before.unlive_bytes();
        self.debt = (self.debt - copied as f64).max(0.0);
        match progress {
            Progress::More => idle || self.debt >= 1.0,
            Progress::Finished => {
                self.passes += 1;
                self.end_pass();
                self.list_gain(map);
                idle || self.wants_pass(self.busy_target())
            }
            // Waiting for memory: stepping again at once would only look again.
            Progress::NoMemory => {
                self.debt = 0.0;
                false
            }
        }
    }

    fn end_pass(&mut self) {
        self.compacting = None;
        self.debt = 0.0;
    }

    /// Gives back some of what cleared maps have left, one map's or the last of several small ones'; whether there is more.
    fn free_garbage(&mut self) -> bool {
        for _ in 0..GARBAGE_MAPS {
            let Some(garbage) = self.garbage.front_mut() else { return false };
            if !garbage.blobs.discard_some() {
                break;
            }
            if let Some(buffer) = garbage.buffers.last_mut() {
                let before = buffer.usage().chunk_bytes;
                let is_gone = buffer.discard(&mut self.pool, GARBAGE_CHUNKS);
                self.garbage_bytes -= before - buffer.usage().chunk_bytes;
                if is_gone {
                    garbage.buffers.pop();
                }
                if !is_gone || !garbage.buffers.is_empty() {
                    break;
                }
            }
            if !garbage.index.release(&mut self.memory, &mut self.pool, GARBAGE_BLOCKS) {
                break;
            }
            self.garbage.pop_front();
        }
        !self.garbage.is_empty()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Every chunk goes back, so that the pool can unmap its regions.
        for index in 0..self.maps.len() {
            if self.maps[index].is_some() {
                self.clear(MapId(index as u32));
            }
        }
        while self.free_garbage() {}
        while self.blobs.free_some(&mut self.pool, usize::MAX) {}
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("options", &self.options).field("usage", &self.usage()).finish_non_exhaustive()
    }
}
