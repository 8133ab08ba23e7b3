//! The index: from a key's hash to where its entry stands, in about 10 bytes a key, at any size, without a stall.
//!
//! ```text
//!   hash  0110 1011 0100 ...
//!         |--------|                      directory: a radix tree by the first bits
//!             |
//!             v
//!          segment                        a header of 64 bytes: up to 14 blocks, depth, window, count
//!             |  |---|  position          which of its 4 to 56 lines: in hash order
//!             v
//!          line: 8 slots, 64 bytes        slot = 23 bits of the hash | overflow | 40 bits of location
//! ```
//!
//! A segment grows and shrinks by a block of four lines; a full one splits in two by the next bit of the hash, and two
//! sparse siblings merge. All of that moves slots by the hash bits that they hold: no key is read, except when a
//! segment has split ten times since its fragments were taken, and then the keys of this one segment (at most 448).
//! So the longest step of an insert or a removal is bounded at any size of the map: there is no doubling, and no
//! rehashing in the background.
//!
//! A slot holds no key and no whole hash. Whoever asks brings the comparison ([`Index::find`] takes a closure), and two
//! keys with one hash are just two slots. The hash should be seeded: 449 keys whose hashes agree in the first 50 bits
//! do not fit, and [`Index::reserve`] says so.
//!
//! Files: `line` (eight slots), `slab` (blocks of lines, from the pool), `segment` (where slots live and how they
//! move), `directory` (the radix tree).
//!
//! Cost: find, relocate, prefetch: one cache miss for the line, and the directory's, which are few. Insert and remove: the
//! same, and once in about 28 a rebuild of the segment (1 to 2 us). Memory: 8 bytes a slot at a load of 0.84 on
//! average, and 0.25 for header and directory.

mod directory;
mod line;
mod segment;
mod slab;
#[cfg(test)]
mod tests;

use crate::arena::Arena;
use crate::location::Location;
use crate::pool::{OutOfMemory, Outside, Pool};
use directory::{Entry, Nodes};
use segment::{BLOCK_ROOM, BLOCKS_MAX, DEPTH_MAX, POSITION_BITS, SLOTS_MAX, Segment};
use slab::{BLOCK_BYTES, Slab};

/// Siblings merge when both have no more slots than this together: little more than half of what makes one split, so
/// that splits and merges do not take turns.
const MERGE_SLOTS: usize = BLOCKS_MAX * BLOCK_ROOM * 4 / 7;

/// Tries of [`Index::random`] before it takes what comes. With a good hash every second try succeeds.
const RANDOM_TRIES: u32 = 100;

/// One map's index. It owns its segments in an [`IndexMemory`], which every call must be given: always the same one. An
/// index that is dropped without [`Index::clear`] leaves them there. 24 bytes; an empty one owns nothing.
#[derive(Default)]
pub struct Index {
    root: Option<Entry>,
    len: u64,
    bytes: u64,
}

/// What all indexes of a store share: lines, segment headers and directory nodes.
pub struct IndexMemory {
    slab: Slab,
    segments: Arena<Segment>,
    nodes: Nodes,
    sweep: Option<Sweep>,
}

/// A sweep of [`IndexMemory::tidy`] on its way.
struct Sweep {
    /// The next segment to look at.
    next: u32,
    /// Pages from this one on are to be emptied.
    keep_pages: usize,
}

/// What was in an index that has been cleared, on its way back to the pool.
#[must_use = "it holds memory until it is released"]
pub struct Remains {
    root: Option<Entry>,
}

/// Where the memory of the indexes is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexUsage {
    /// Blocks of 256 bytes that segments own.
    pub blocks_used: u64,
    /// Blocks on pages held that no segment owns.
    pub blocks_free: u64,
    /// Pages held from the pool.
    pub pages: u64,
    /// Bytes of these pages.
    pub page_bytes: u64,
    /// Bytes of segment headers, vacancies included. Not from the pool.
    pub header_bytes: u64,
    /// Bytes of directory nodes. Not from the pool.
    pub directory_bytes: u64,
}

impl IndexUsage {
    /// All bytes held.
    pub fn held_bytes(&self) -> u64 {
        self.page_bytes + self.header_bytes + self.directory_bytes
    }
}

impl Index {
    /// An empty index. Owns nothing.
    pub fn new() -> Index {
        Index::default()
    }

    /// Keys.
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True without keys.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the blocks, headers and nodes that this index owns.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The location of the key with this hash that `is_key` says yes to. `is_key` is asked about slots whose hash agrees
    /// in 13 bits or more beyond the segment's: nearly always the key itself or none.
    #[inline]
    pub fn find(&self, memory: &IndexMemory, hash: u64, is_key: impl FnMut(Location) -> bool) -> Option<Location> {
        let segment = memory.segments.get(self.segment(memory, hash)?);
        segment.find(&memory.slab, hash, is_key)
    }

    /// Has the cache line brought that [`Index::find`] and [`Index::relocate`] will want. Calls in a row overlap: that is what it
    /// is for.
    #[inline]
    pub fn prefetch(&self, memory: &IndexMemory, hash: u64) {
        if let Some(id) = self.segment(memory, hash) {
            memory.segments.get(id).prefetch(&memory.slab, hash);
        }
    }

    /// Makes room for one slot at `hash`, so that the next [`Index::insert`] with this hash, if no other comes before
    /// it, cannot fail. Grows or splits one segment at most in nearly all calls; `hash_of` is asked for the hashes of a
    /// segment's keys (448 at most) when these have run out of bits, each time with a location that it will be asked for a little
    /// later, to be fetched meanwhile.
    ///
    /// Fails when the pool has no page, or when 448 keys agree in their first 50 bits with this one. All keys are as
    /// before then.
    #[inline]
    pub fn reserve(
        &mut self,
        memory: &mut IndexMemory,
        pool: &mut Pool,
        hash: u64,
        hash_of: impl FnMut(Location, Option<Location>) -> u64,
    ) -> Result<(), OutOfMemory> {
        if let Some(id) = self.segment(memory, hash)
            && memory.segments.get(id).has_room()
        {
            return Ok(());
        }
        self.make_room(memory, pool, hash, hash_of)
    }

    /// Gives back what [`Index::reserve`] took for a first slot that did not come.
    pub fn release_if_empty(&mut self, memory: &mut IndexMemory, pool: &mut Pool) {
        if self.len == 0 && self.root.is_some() {
            self.tighten(memory, pool, 0);
        }
    }

    /// Adds a slot. [`Index::reserve`] must have made room for it. That the key is not there yet is the caller's to know.
    #[inline]
    pub fn insert(&mut self, memory: &mut IndexMemory, hash: u64, location: Location) {
        let id = self.segment(memory, hash).expect("room has been reserved");
        memory.segments.get_mut(id).insert(&mut memory.slab, hash, location);
        self.len += 1;
    }

    /// The entry that stood at `from` stands at `to` now. False when no slot says `from`.
    #[inline]
    pub fn relocate(&mut self, memory: &mut IndexMemory, hash: u64, from: Location, to: Location) -> bool {
        match self.segment(memory, hash) {
            Some(id) => memory.segments.get(id).relocate(&mut memory.slab, hash, from, to),
            None => false,
        }
    }

    /// Removes the slot of `location`. False when there is none. Gives memory back as it can; needs none.
    #[inline]
    pub fn remove(&mut self, memory: &mut IndexMemory, pool: &mut Pool, hash: u64, location: Location) -> bool {
        let Some(id) = self.segment(memory, hash) else {
            return false;
        };
        let segment = memory.segments.get_mut(id);
        if !segment.remove(&mut memory.slab, hash, location) {
            return false;
        }
        self.len -= 1;
        if segment.is_loose() || self.len == 0 {
            self.tighten(memory, pool, hash);
        }
        true
    }

    /// One step of a scan: calls `visit` with the locations of some keys (8 or fewer as a rule, 448 at most, and
    /// sometimes none), and returns the cursor for the next step, 0 at the end. A scan starts with 0.
    ///
    /// Every key that is there from the first step to the last is visited at least once, whatever happens in between;
    /// without changes in between, exactly once. Any number may be given as a cursor.
    ///
    /// A cursor is a position in the order of the hashes, which no growth, split or merge changes; it is written with its
    /// bits reversed, because it then is a small number in a small map.
    pub fn scan(&self, memory: &IndexMemory, cursor: u64, visit: impl FnMut(Location)) -> u64 {
        let hash = cursor.reverse_bits();
        let Some(id) = self.segment(memory, hash) else {
            return 0;
        };
        let segment = memory.segments.get(id);
        let depth = u32::from(segment.depth());
        let start = hash & !low_bits(64 - depth);
        if segment.live() > 0 {
            // The step covers the hashes from the cursor to the end of its home line: a whole position, which every
            // slot of the segment can be compared with. By the next step the segment may be another, whose slots know
            // fewer bits than the cursor has: then it is rounded down, and a few keys come again.
            let home = segment.home_of_position((hash << depth) >> (64 - POSITION_BITS));
            segment.visit_home(&memory.slab, home, &(hash..=u64::MAX), visit);
            if home + 1 < segment.lines() {
                let next = start | segment.first_position(home + 1) << (64 - POSITION_BITS - depth);
                return next.reverse_bits();
            }
        }
        (start | low_bits(64 - depth)).wrapping_add(1).reverse_bits()
    }

    /// Calls `visit` with the location of each key whose hash begins with the first `bits` bits of `hash`, and perhaps
    /// with one whose hash is a neighbour's. One line, when there are more bits than it takes to tell lines apart.
    pub fn visit_prefix(&self, memory: &IndexMemory, hash: u64, bits: u32, mut visit: impl FnMut(Location)) {
        let (mut first, last) = (hash & !low_bits(64 - bits), hash | low_bits(64 - bits));
        while let Some(id) = self.segment(memory, first) {
            let segment = memory.segments.get(id);
            segment.visit_hashes(&memory.slab, &(first..=last), &mut visit);
            let end = first | low_bits(64 - u32::from(segment.depth()));
            if end >= last {
                return;
            }
            first = end + 1;
        }
    }

    /// Any key, each with the same chance; `None` without keys. `random` gives 64 random bits a call.
    ///
    /// A segment found by a random hash is kept with a chance in proportion to its keys and to how seldom it is found.
    /// That is exact for hashes worth the name; for others it still gives a key.
    pub fn random(&self, memory: &IndexMemory, mut random: impl FnMut() -> u64) -> Option<Location> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..RANDOM_TRIES {
            let segment = memory.segments.get(self.segment(memory, random())?);
            // What the map would hold, were all of it like this segment: between half and twice what it does hold.
            let alike = (segment.live() as u128) << segment.depth();
            let limit = if segment.depth() == 0 { u128::from(self.len) } else { u128::from(self.len) * 2 };
            if (u128::from(random()) * limit) >> 64 < alike {
                return segment.random(&memory.slab, random);
            }
        }
        let mut hash = random();
        loop {
            let segment = memory.segments.get(self.segment(memory, hash)?);
            if segment.live() > 0 {
                return segment.random(&memory.slab, random);
            }
            hash = (hash | low_bits(64 - u32::from(segment.depth()))).wrapping_add(1);
        }
    }

    /// Empties the index in O(1). What it held is to be released, in as many steps as one likes.
    pub fn clear(&mut self) -> Remains {
        Remains { root: std::mem::take(self).root }
    }

    /// Panics on any broken invariant: counts, homes, overflow bits, prefixes, and blocks with two owners. O(keys).
    pub fn audit(&self, memory: &IndexMemory) {
        let mut live = 0;
        let mut bytes = 0;
        let mut owned = std::collections::HashSet::new();
        let nodes_bytes = self.root.map_or(0, |root| memory.nodes.tree_bytes(root));
        if let Some(root) = self.root {
            memory.nodes.audit(root, &memory.segments, &mut |id, prefix| {
                assert!(memory.segments.lives(id));
                let segment = memory.segments.get(id);
                segment.audit(&memory.slab, prefix);
                live += segment.live() as u64;
                bytes += (segment.block_count() * BLOCK_BYTES + size_of::<Segment>()) as u64;
                segment.blocks().iter().for_each(|&block| assert!(owned.insert(block), "{block:?} has two owners"));
            });
        }
        assert_eq!(live, self.len, "the count of keys is the segments'");
        assert_eq!(bytes + nodes_bytes, self.bytes, "the bytes are the segments' and nodes'");
        assert_eq!(self.len == 0 && self.root.is_none(), self.bytes == 0, "an empty index owns nothing");
    }

    #[inline]
    fn segment(&self, memory: &IndexMemory, hash: u64) -> Option<u32> {
        Some(memory.nodes.segment(self.root?, hash))
    }

    #[cold]
    fn make_room(
        &mut self,
        memory: &mut IndexMemory,
        pool: &mut Pool,
        hash: u64,
        mut hash_of: impl FnMut(Location, Option<Location>) -> u64,
    ) -> Result<(), OutOfMemory> {
        let bytes_before = memory.used_bytes();
        let made = loop {
            let Some(id) = self.segment(memory, hash) else {
                match self.open(memory, pool) {
                    Ok(()) => continue,
                    Err(error) => break Err(error),
                }
            };
            let segment = memory.segments.get_mut(id);
            if segment.has_room() {
                break Ok(());
            }
            let grown = if segment.block_count() < BLOCKS_MAX {
                segment.grow(&mut memory.slab, pool)
            } else if segment.depth() < DEPTH_MAX {
                self.split(memory, pool, hash, id, &mut hash_of)
            } else if segment.live() < SLOTS_MAX {
                break Ok(());
            } else {
                Err(OutOfMemory)
            };
            if grown.is_err() {
                break grown;
            }
        };
        self.bytes += memory.used_bytes() - bytes_before;
        memory.tell(pool);
        made
    }

    /// The first segment, for all hashes.
    fn open(&mut self, memory: &mut IndexMemory, pool: &mut Pool) -> Result<(), OutOfMemory> {
        memory.admit_segment(pool)?;
        let mut segment = Segment::new(0, 0);
        segment.open(&mut memory.slab, pool)?;
        self.root = Some(Entry::segment(memory.segments.insert(segment)));
        Ok(())
    }

    fn split(
        &mut self,
        memory: &mut IndexMemory,
        pool: &mut Pool,
        hash: u64,
        id: u32,
        hash_of: impl FnMut(Location, Option<Location>) -> u64,
    ) -> Result<(), OutOfMemory> {
        memory.tell(pool);
        memory.admit_segment(pool)?;
        let segment = memory.segments.get_mut(id);
        let depth = segment.depth();
        let high = segment.split(&mut memory.slab, pool, hash_of)?;
        let high = memory.segments.insert(high);
        let root = self.root.as_mut().expect("a segment has a root above it");
        memory.nodes.split(root, hash, depth, high);
        Ok(())
    }

    /// Gives back what the segment of `hash` can spare after a removal: a block, itself to a merge, or all.
    #[cold]
    fn tighten(&mut self, memory: &mut IndexMemory, pool: &mut Pool, hash: u64) {
        let bytes_before = memory.used_bytes();
        let mut id = self.segment(memory, hash).expect("a slot was just removed from it");
        if memory.segments.get(id).is_loose() {
            memory.segments.get_mut(id).shrink(&mut memory.slab, pool);
        }
        while let Some(sibling) = self.mergeable(memory, hash, id) {
            let sibling = memory.segments.remove(sibling);
            let segment = memory.segments.get_mut(id);
            let depth = segment.depth();
            segment.merge(&mut memory.slab, pool, sibling, hash);
            let root = self.root.as_mut().expect("a segment has a root above it");
            memory.nodes.merge(root, hash, depth, id);
            id = self.segment(memory, hash).expect("merging removes no last segment");
        }
        if self.len == 0 {
            let mut segment = memory.segments.remove(id);
            assert_eq!(segment.depth(), 0, "segments without slots have merged");
            segment.give_blocks(&mut memory.slab, pool, BLOCKS_MAX);
            self.root = None;
        }
        self.bytes -= bytes_before - memory.used_bytes();
        memory.tell(pool);
    }

    /// The sibling of the segment, if both fit easily into one.
    fn mergeable(&self, memory: &IndexMemory, hash: u64, id: u32) -> Option<u32> {
        let segment = memory.segments.get(id);
        if segment.depth() == 0 || segment.live() > MERGE_SLOTS {
            return None;
        }
        let sibling = memory.nodes.sibling(self.root?, &memory.segments, hash, segment.depth())?;
        (segment.live() + memory.segments.get(sibling).live() <= MERGE_SLOTS).then_some(sibling)
    }
}

impl Remains {
    /// True when there is nothing to release.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Gives back at most `blocks` blocks, and the headers and nodes that go with them. True when nothing is left.
    pub fn release(&mut self, memory: &mut IndexMemory, pool: &mut Pool, blocks: usize) -> bool {
        let mut budget = blocks;
        while let Some(root) = self.root {
            if budget == 0 {
                memory.tell(pool);
                return false;
            }
            let id = memory.nodes.last_segment(root);
            let segment = memory.segments.get_mut(id);
            budget -= segment.give_blocks(&mut memory.slab, pool, budget);
            if segment.block_count() == 0 {
                memory.segments.remove(id);
                self.root = memory.nodes.cut_last_segment(root);
            }
        }
        memory.tell(pool);
        true
    }
}

impl IndexMemory {
    /// Holds nothing yet.
    pub fn new() -> IndexMemory {
        IndexMemory { slab: Slab::new(), segments: Arena::new(), nodes: Nodes::new(), sweep: None }
    }

    /// Evacuates: when many blocks lie free, moves blocks from the highest pages into holes of lower ones, so that pages
    /// return to the pool. Looks at no more than `segments` segments a call (moving at most 14 blocks of each) and says
    /// whether there is more to do. The indexes may change between calls. Takes nothing from the pool.
    pub fn tidy(&mut self, pool: &mut Pool, segments: usize) -> bool {
        if self.sweep.is_none() && !self.slab.is_sparse() {
            return false;
        }
        let slab = &mut self.slab;
        let sweep = self.sweep.get_or_insert_with(|| Sweep { next: 0, keep_pages: slab.pages_needed() });
        for _ in 0..segments {
            if sweep.next >= self.segments.end() {
                self.sweep = None;
                return self.slab.is_sparse();
            }
            if self.segments.lives(sweep.next) {
                for block in self.segments.get_mut(sweep.next).blocks_mut() {
                    *block = slab.move_below(pool, *block, sweep.keep_pages);
                }
            }
            sweep.next += 1;
        }
        true
    }

    /// Where the memory is. O(1).
    pub fn usage(&self) -> IndexUsage {
        IndexUsage {
            blocks_used: self.slab.blocks_used() as u64,
            blocks_free: self.slab.blocks_free() as u64,
            pages: self.slab.pages_held() as u64,
            page_bytes: self.slab.held_bytes(),
            header_bytes: self.segments.held_bytes(),
            directory_bytes: self.nodes.held_bytes(),
        }
    }

    /// Panics when the shared books disagree, or a block has two owners or none. O(pages + segments).
    pub fn audit(&self) {
        self.slab.audit();
        let mut owned = std::collections::HashSet::new();
        for id in (0..self.segments.end()).filter(|&id| self.segments.lives(id)) {
            let blocks = self.segments.get(id).blocks();
            blocks.iter().for_each(|&block| assert!(owned.insert(block), "{block:?} has two owners"));
        }
        assert_eq!(owned.len(), self.slab.blocks_used(), "every block in use has an owner");
    }

    /// Bytes of headers and nodes: not from the pool, but under its limit.
    pub fn outside_bytes(&self) -> u64 {
        self.segments.held_bytes() + self.nodes.held_bytes()
    }

    fn tell(&self, pool: &mut Pool) {
        pool.set_outside(Outside::Index, self.outside_bytes());
    }

    /// Whether one more segment, with what the directory needs for it, is under the pool's limit.
    fn admit_segment(&mut self, pool: &mut Pool) -> Result<(), OutOfMemory> {
        pool.admit_outside(self.segments.growth_bytes() + self.nodes.growth_bytes_max())
    }

    /// Bytes of all blocks, headers and nodes in use.
    fn used_bytes(&self) -> u64 {
        let blocks = self.slab.blocks_used() * BLOCK_BYTES;
        let headers = self.segments.len() * size_of::<Segment>();
        (blocks + headers) as u64 + self.nodes.used_bytes()
    }
}

impl Default for IndexMemory {
    fn default() -> IndexMemory {
        IndexMemory::new()
    }
}

/// The lowest `count` bits, 0 to 64 of them.
fn low_bits(count: u32) -> u64 {
    u64::MAX.checked_shr(64 - count).unwrap_or(0)
}

/// A number below `end`, from 64 random bits.
fn below(random: u64, end: usize) -> usize {
    ((u128::from(random) * end as u128) >> 64) as usize
}
