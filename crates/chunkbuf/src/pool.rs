//! Where chunks come from: memory taken from the system in large pieces, cut into chunks, given back when free.
//!
//! ```text
//!   region: 4 MiB from the system                       a buddy allocator within each region
//!   ┌───────────────┬───────┬───┬─┬─┬───────────────┐   a free block of 2^k bytes is split in halves down to the size
//!   │     1 MiB     │ 512 K │256│ │ │               │   that is asked for, and merged with its buddy when both are free
//!   └───────────────┴───────┴───┴─┴─┴───────────────┘
//! ```
//!
//! * **Held** is what the system has given: memory is counted in granules of 64 KiB, from the moment when a chunk covers one
//!   until the granule is given back. The limit bounds held bytes, so it is conservative: a chunk counts before it is touched.
//! * **Warm** free blocks are backed by memory, **cold** ones are not. Chunks are cut from warm blocks first and from low
//!   addresses first, so that the rest falls free in large pieces.
//! * A region is for **small** chunks, of a granule at most, or for **large** ones: pages of the index and small chunks live
//!   longer, and would leave memory free in pieces that no large chunk fits in.
//! * Giving back is work of a bounded size ([`Pool::trim`]), asked for by whoever paces.
//!
//! The books: `used + free = regions`, and `used` is what the chunks that are out add up to.

#![allow(unsafe_code)]

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use bytes::Bytes;

use crate::chunk::{CHUNK_MIN_LOG2, Chunk, ChunkAddress, ChunkSize, Pin};

const REGION_LOG2: u8 = 22;
const REGION_BYTES: u64 = 1 << REGION_LOG2;
const GRANULE_LOG2: u8 = 16;
const GRANULE_BYTES: u64 = 1 << GRANULE_LOG2;
/// Smallest chunks in a region, as a shift.
const UNITS_LOG2: u8 = REGION_LOG2 - CHUNK_MIN_LOG2;
const ORDERS: usize = (REGION_LOG2 - CHUNK_MIN_LOG2) as usize + 1;
/// Regions that 32-bit chunk addresses can tell apart: 1 TiB.
const REGIONS_MAX: usize = 1 << (32 - UNITS_LOG2);

const _: () = assert!(REGION_BYTES / GRANULE_BYTES == 64, "residency of a region is one 64-bit word");

/// The memory limit would be passed, or the system has no memory left. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("out of memory")
    }
}

impl std::error::Error for OutOfMemory {}

/// What a chunk is for. The last part of the memory under the limit is kept for work that frees memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// New entries.
    Write,
    /// Copies that will let other memory go.
    Compaction,
}

/// The pool's books, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUsage {
    /// Backed by memory: what the limit bounds.
    pub held_bytes: u64,
    /// In chunks that are out, those in limbo included.
    pub used_bytes: u64,
    /// Given back by their owner while a reader still pins them.
    pub limbo_bytes: u64,
    /// Free, but still backed by memory, in blocks that can be given back to the system.
    pub warm_bytes: u64,
    /// Address space taken from the system.
    pub mapped_bytes: u64,
}

/// Source of chunks; one per store.
#[derive(Debug)]
pub struct Pool {
    regions: Vec<Option<RegionBooks>>,
    /// Numbers of `regions` that are `None`.
    vacant: Vec<u32>,
    /// Free blocks of each zone; those of a whole region, which belong to no zone, stand with the first.
    free: [FreeBlocks; 2],
    pins: HashMap<ChunkAddress, Arc<Pin>>,
    /// Given back while a reader pins them; the one that was looked at last stands last.
    limbo: VecDeque<Chunk>,
    usage: PoolUsage,
    limit_bytes: u64,
    /// Up to here compaction may go while more is held than the limit allows.
    overhang_bytes: u64,
    /// Bytes under the limit that are kept for those who were told that they would get them.
    promised_bytes: u64,
    /// Up to here the one who was promised room may go while it writes.
    granted_bytes: u64,
    /// Bytes outside the pool that count under the limit as well, by [`Outside`], and their sum.
    outside: [u64; 3],
    outside_bytes: u64,
}

/// Free blocks by base-2 logarithm of their size less [`CHUNK_MIN_LOG2`], by address.
#[derive(Debug, Default)]
struct FreeBlocks {
    warm: [BTreeSet<u32>; ORDERS],
    cold: [BTreeSet<u32>; ORDERS],
}

/// Which chunks a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    /// Of a granule at most.
    Small,
    /// Of more.
    Large,
}

impl Zone {
    fn of(order: usize) -> Zone {
        if order_bytes(order) <= GRANULE_BYTES { Zone::Small } else { Zone::Large }
    }
}

/// Whose memory beside the pool counts under its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// Headers and nodes of the index.
    Index,
    /// What names the pages of blobs.
    Blobs,
    /// What the store's user keeps beside it.
    User,
}

#[derive(Debug)]
struct RegionBooks {
    region: Arc<Region>,
    /// What its chunks are, while there are any.
    zone: Zone,
    /// A bit for each granule that is backed by memory.
    resident: u64,
    used_bytes: u64,
}

impl Pool {
    /// A pool that will hold at most `limit_bytes`; it takes no memory yet.
    pub fn new(limit_bytes: u64) -> Pool {
        Pool {
            regions: Vec::new(),
            vacant: Vec::new(),
            free: Default::default(),
            pins: HashMap::new(),
            limbo: VecDeque::new(),
            usage: PoolUsage::default(),
            limit_bytes,
            overhang_bytes: 0,
            promised_bytes: 0,
            granted_bytes: 0,
            outside: [0; 3],
            outside_bytes: 0,
        }
    }

    /// Changes the limit. What is held already stays held; more is refused until it fits.
    pub fn set_limit(&mut self, limit_bytes: u64) {
        self.limit_bytes = limit_bytes;
        self.overhang_bytes = 0;
    }

    /// Lets compaction take two of the largest chunks beyond what is held now, for it may need them to get back under a limit
    /// that was lowered. What it has given back to the system it may not take again.
    pub fn allow_overhang(&mut self) {
        self.overhang_bytes = self.usage.held_bytes + self.outside_bytes + 2 * ChunkSize::MAX.bytes();
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit_bytes
    }

    /// Tells the pool of bytes beside it that count under the same limit.
    pub fn set_outside(&mut self, whose: Outside, bytes: u64) {
        self.outside[whose as usize] = bytes;
        self.outside_bytes = self.outside.iter().sum();
    }

    /// Whether `bytes` more beside the pool are under the limit. Warm memory goes if it must, a region of it at most.
    ///
    /// # Errors
    /// When they are not.
    pub fn admit_outside(&mut self, bytes: u64) -> Result<(), OutOfMemory> {
        let ceiling = self.write_ceiling();
        while !self.is_within(ceiling, bytes)? {}
        Ok(())
    }

    /// Whether so many bytes more are within the ceiling. If not, gives some warm memory back: look again then.
    fn is_within(&mut self, ceiling: u64, fresh: u64) -> Result<bool, OutOfMemory> {
        let excess = (self.usage.held_bytes + self.outside_bytes + fresh).saturating_sub(ceiling);
        // More than a region is missing only under a limit that was lowered: to get there is work for steps.
        if excess > self.usage.warm_bytes.min(REGION_BYTES) || excess > 0 && self.release_one(excess) == 0 {
            return Err(OutOfMemory);
        }
        Ok(excess == 0)
    }

    /// Bytes under the limit that only [`Purpose::Compaction`] may take: two of the largest chunks, less under a small limit.
    pub fn reserve(&self) -> u64 {
        if self.limit_bytes == u64::MAX { 0 } else { (self.limit_bytes / 8).min(2 * ChunkSize::MAX.bytes()) }
    }

    /// Keeps `bytes` under the limit in all: no [`Purpose::Write`] gets them while they are promised.
    pub fn set_promised(&mut self, bytes: u64) {
        self.promised_bytes = bytes;
    }

    /// Lets [`Purpose::Write`] take `bytes` more than is held now, whatever the limit has become; 0: not any more.
    pub fn grant(&mut self, bytes: u64) {
        self.granted_bytes = if bytes == 0 { 0 } else { self.usage.held_bytes + self.outside_bytes + bytes };
    }

    /// Bytes that may be held at most once [`Purpose::Write`] has got what it asks for.
    pub fn write_ceiling(&self) -> u64 {
        let ceiling = (self.limit_bytes - self.reserve()).saturating_sub(self.promised_bytes);
        ceiling.max(self.granted_bytes)
    }

    /// The books.
    pub fn usage(&self) -> PoolUsage {
        self.usage
    }

    /// A chunk with arbitrary content.
    ///
    /// Costs a few searches in small trees; a system call for each new region of 4 MiB, and when the limit is near.
    ///
    /// # Errors
    /// When held bytes would pass the limit, or the system refuses; nothing has changed.
    pub fn take(&mut self, size: ChunkSize, purpose: Purpose) -> Result<Chunk, OutOfMemory> {
        let ceiling = match purpose {
            Purpose::Write => self.write_ceiling(),
            Purpose::Compaction => self.limit_bytes.max(self.overhang_bytes),
        };
        let order = usize::from(size.log2() - CHUNK_MIN_LOG2);
        let (unit, mut found) = loop {
            let (unit, found) = self.find_free(order)?;
            let fresh = u64::from(self.cold_granules(unit, order).count_ones()) * GRANULE_BYTES;
            // Warm memory elsewhere may make room; the block that was found may go with it, so look again.
            if self.is_within(ceiling, fresh)? {
                break (unit, found);
            }
        };
        self.remove_free(unit, found);
        self.regions[split(unit).0].as_mut().expect("a free block belongs to a region").zone = Zone::of(order);
        while found > order {
            found -= 1;
            self.insert_free(unit + (1 << found), found);
        }
        let mask = granule_mask(unit, order);
        let (number, within) = split(unit);
        let books = self.regions[number].as_mut().expect("a free block belongs to a region");
        let fresh = mask & !books.resident;
        books.resident |= mask;
        books.used_bytes += size.bytes();
        self.usage.held_bytes += u64::from(fresh.count_ones()) * GRANULE_BYTES;
        self.usage.used_bytes += size.bytes();
        let start = books.region.at(within);
        // SAFETY: the block was free and is out of the free sets now, so nobody else owns it; regions are mapped and zeroed at
        // first, and aligned to a page.
        Ok(unsafe { Chunk::from_raw(start, ChunkAddress(unit), size) })
    }

    /// Takes a chunk back. If a reader still pins it, its memory is used again only after the pin has ended.
    ///
    /// # Panics
    /// When the chunk is another pool's: this one would hand out memory of the same address twice.
    pub fn give(&mut self, mut chunk: Chunk) {
        let (number, within) = split(chunk.address().0);
        let books = self.regions.get(number).and_then(Option::as_ref);
        // No two regions that have chunks out share an address, so the address tells whose chunk it is.
        assert!(
            books.is_some_and(|books| books.region.at(within) == chunk.start()),
            "a chunk goes back where it came from"
        );
        if chunk.was_pinned() && self.has_pins(&mut chunk) {
            self.usage.limbo_bytes += chunk.size().bytes();
            self.limbo.push_back(chunk);
        } else {
            self.free(chunk);
        }
    }

    /// Shared bytes over `range` of the chunk. They stay as they are while the chunk is given back, and longer.
    ///
    /// # Safety
    /// The owner does not write these bytes again before it gives the chunk back.
    pub(crate) unsafe fn pin(&mut self, chunk: &mut Chunk, range: Range<usize>) -> Bytes {
        let (number, _) = split(chunk.address().0);
        let region = &self.regions[number].as_ref().expect("a chunk belongs to a region").region;
        let pin = self.pins.entry(chunk.address()).or_insert_with(|| chunk.new_pin(Arc::clone(region)));
        chunk.note_pin();
        // SAFETY: the caller's promise, and `free` waits for the last pin.
        unsafe { pin.bytes(range) }
    }

    /// Whether a reader pins the chunk now.
    pub(crate) fn has_pins(&mut self, chunk: &mut Chunk) -> bool {
        if !chunk.was_pinned() {
            return false;
        }
        let address = chunk.address();
        if self.pins.get(&address).is_some_and(|pin| Arc::strong_count(pin) > 1) {
            return true;
        }
        // What readers read happened before they let go; what is written next happens after.
        fence(Ordering::Acquire);
        self.pins.remove(&address);
        chunk.forget_pins();
        false
    }

    /// Bytes of warm free blocks that a chunk of this size fits in. Index pages and small chunks between them can leave much warm
    /// memory in pieces that are too small. O(sizes).
    pub(crate) fn warm_for(&self, size: ChunkSize) -> u64 {
        let order = usize::from(size.log2() - CHUNK_MIN_LOG2);
        let blocks = |zone: Zone, order: usize| self.free[zone as usize].warm[order].len() as u64 * order_bytes(order);
        (order..ORDERS - 1).map(|larger| blocks(Zone::of(order), larger)).sum::<u64>() + blocks(Zone::Small, ORDERS - 1)
    }

    /// Frees chunks in limbo whose readers have finished; looks at no more than `chunks` of them, one after another in turn.
    pub fn sweep_limbo(&mut self, chunks: usize) {
        for _ in 0..chunks.min(self.limbo.len()) {
            let Some(mut chunk) = self.limbo.pop_front() else { return };
            if self.has_pins(&mut chunk) {
                self.limbo.push_back(chunk);
            } else {
                self.usage.limbo_bytes -= chunk.size().bytes();
                self.free(chunk);
            }
        }
    }

    /// Gives free memory back to the system until at most `keep_bytes` of it are warm, `budget_bytes` at most in this call.
    /// Returns whether there is more to give. A system call for each row of granules.
    pub fn trim(&mut self, keep_bytes: u64, budget_bytes: u64) -> bool {
        let mut given = 0;
        while self.usage.warm_bytes > keep_bytes {
            if given >= budget_bytes {
                return true;
            }
            let excess = self.usage.warm_bytes - keep_bytes;
            match self.release_one(excess.min(budget_bytes - given)) {
                0 => return false,
                bytes => given += bytes,
            }
        }
        false
    }

    /// Checks the books against the free blocks; panics on a difference. Cost: all blocks.
    pub fn audit(&self) {
        let mut free_bytes = 0;
        let mut warm_bytes = 0;
        for order in 0..ORDERS {
            for (blocks, is_warm) in [(0, true), (0, false), (1, true), (1, false)] {
                let FreeBlocks { warm, cold } = &self.free[blocks];
                for &unit in if is_warm { &warm[order] } else { &cold[order] } {
                    assert_eq!(self.blocks_of(unit, order), blocks, "a block is in the zone of its region");
                    free_bytes += order_bytes(order);
                    let resident = self.resident_bytes(unit, order);
                    warm_bytes += resident;
                    assert_eq!(
                        resident > 0 || order_bytes(order) < GRANULE_BYTES,
                        is_warm,
                        "a block is in the set that fits it"
                    );
                }
            }
        }
        let regions = self.regions.iter().flatten();
        let mapped: u64 = regions.clone().map(|_| REGION_BYTES).sum();
        let used: u64 = regions.clone().map(|books| books.used_bytes).sum();
        let held: u64 = regions.map(|books| u64::from(books.resident.count_ones()) * GRANULE_BYTES).sum();
        assert_eq!(self.usage.used_bytes, used, "used bytes");
        assert_eq!(self.usage.used_bytes + free_bytes, mapped, "used and free make up the regions");
        assert_eq!(self.usage.mapped_bytes, mapped, "mapped bytes");
        assert_eq!(self.usage.held_bytes, held, "held bytes");
        assert_eq!(self.usage.warm_bytes, warm_bytes, "warm bytes");
        assert_eq!(
            self.usage.limbo_bytes,
            self.limbo.iter().map(|chunk| chunk.size().bytes()).sum::<u64>(),
            "limbo bytes"
        );
    }

    /// A free block of at least `order`, a warm one first: its unit and its order. Maps a region when there is none.
    fn find_free(&mut self, order: usize) -> Result<(u32, usize), OutOfMemory> {
        let own = &self.free[Zone::of(order) as usize];
        let whole = &self.free[0];
        for (own, whole) in [(&own.warm, &whole.warm), (&own.cold, &whole.cold)] {
            for (found, set) in
                own.iter().enumerate().take(ORDERS - 1).skip(order).chain([(ORDERS - 1, &whole[ORDERS - 1])])
            {
                if let Some(&unit) = set.first() {
                    return Ok((unit, found));
                }
            }
        }
        let number = match self.vacant.pop() {
            Some(number) => number as usize,
            None if self.regions.len() < REGIONS_MAX => {
                self.regions.push(None);
                self.regions.len() - 1
            }
            None => return Err(OutOfMemory),
        };
        let Some(region) = Region::map(REGION_BYTES as usize) else {
            self.vacant.push(number as u32);
            return Err(OutOfMemory);
        };
        self.regions[number] =
            Some(RegionBooks { region: Arc::new(region), zone: Zone::Small, resident: 0, used_bytes: 0 });
        self.usage.mapped_bytes += REGION_BYTES;
        let unit = (number as u32) << UNITS_LOG2;
        self.insert_free(unit, ORDERS - 1);
        Ok((unit, ORDERS - 1))
    }

    /// Gives at most `bytes` of the highest warm block back to the system, a granule at least; returns how many, 0 when no
    /// block is warm.
    fn release_one(&mut self, bytes: u64) -> u64 {
        let smallest = usize::from(GRANULE_LOG2 - CHUNK_MIN_LOG2);
        for order in smallest..ORDERS {
            let highest = |blocks: &FreeBlocks| blocks.warm[order].last().copied();
            let Some(unit) = highest(&self.free[0]).max(highest(&self.free[1])) else { continue };
            self.remove_free(unit, order);
            let (number, _) = split(unit);
            let books = self.regions[number].as_mut().expect("a free block belongs to a region");
            // The last granules that are resident, as far as they stand together.
            let resident = books.resident & granule_mask(unit, order);
            let last = 63 - resident.leading_zeros();
            let together = (resident << (63 - last)).leading_ones();
            let count = together.min((bytes >> GRANULE_LOG2).clamp(1, 64) as u32);
            let first = last + 1 - count;
            let mask = (u64::MAX >> (64 - count)) << first;
            books.resident &= !mask;
            let released = u64::from(count) << GRANULE_LOG2;
            self.usage.held_bytes -= released;
            self.overhang_bytes = self.overhang_bytes.saturating_sub(released);
            if order == ORDERS - 1 && books.resident == 0 {
                self.regions[number] = None;
                self.vacant.push(number as u32);
                self.usage.mapped_bytes -= REGION_BYTES;
            } else {
                books.region.discard((first as usize) << GRANULE_LOG2, released as usize);
                self.insert_free(unit, order);
            }
            return released;
        }
        0
    }

    fn free(&mut self, chunk: Chunk) {
        let mut unit = chunk.address().0;
        let mut order = usize::from(chunk.size().log2() - CHUNK_MIN_LOG2);
        let (number, _) = split(unit);
        self.regions[number].as_mut().expect("a chunk belongs to a region").used_bytes -= chunk.size().bytes();
        self.usage.used_bytes -= chunk.size().bytes();
        while order < ORDERS - 1 {
            let buddy = unit ^ (1 << order);
            let free = &self.free[self.blocks_of(buddy, order)];
            if !free.warm[order].contains(&buddy) && !free.cold[order].contains(&buddy) {
                break;
            }
            self.remove_free(buddy, order);
            unit &= !(1 << order);
            order += 1;
        }
        self.insert_free(unit, order);
    }

    fn insert_free(&mut self, unit: u32, order: usize) {
        let resident = self.resident_bytes(unit, order);
        self.usage.warm_bytes += resident;
        let is_warm = resident > 0 || order_bytes(order) < GRANULE_BYTES;
        let blocks = &mut self.free[self.blocks_of(unit, order)];
        let sets = if is_warm { &mut blocks.warm } else { &mut blocks.cold };
        sets[order].insert(unit);
    }

    fn remove_free(&mut self, unit: u32, order: usize) {
        self.usage.warm_bytes -= self.resident_bytes(unit, order);
        let free = &mut self.free[self.blocks_of(unit, order)];
        let was_there = free.warm[order].remove(&unit) || free.cold[order].remove(&unit);
        assert!(was_there, "a free block is in one of the sets");
    }

    /// Which of the free blocks a block stands with if it is free.
    fn blocks_of(&self, unit: u32, order: usize) -> usize {
        let books = self.regions[split(unit).0].as_ref().expect("a block belongs to a region");
        if order == ORDERS - 1 { 0 } else { books.zone as usize }
    }

    /// Resident bytes of a block, in whole granules; 0 for a block smaller than one, which cannot be given back.
    fn resident_bytes(&self, unit: u32, order: usize) -> u64 {
        if order_bytes(order) < GRANULE_BYTES {
            return 0;
        }
        let books = self.regions[split(unit).0].as_ref().expect("a block belongs to a region");
        u64::from((books.resident & granule_mask(unit, order)).count_ones()) * GRANULE_BYTES
    }

    fn cold_granules(&self, unit: u32, order: usize) -> u64 {
        let books = self.regions[split(unit).0].as_ref().expect("a block belongs to a region");
        granule_mask(unit, order) & !books.resident
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Soundness 1 of the chunk module: memory of chunks that are still out stays mapped.
        for chunk in std::mem::take(&mut self.limbo) {
            let (number, _) = split(chunk.address().0);
            self.regions[number].as_mut().expect("a chunk belongs to a region").used_bytes -= chunk.size().bytes();
        }
        for books in self.regions.drain(..).flatten() {
            if books.used_bytes > 0 {
                std::mem::forget(books.region);
            }
        }
    }
}

fn order_bytes(order: usize) -> u64 {
    1 << (order + usize::from(CHUNK_MIN_LOG2))
}

/// The region's number, and the byte within the region.
fn split(unit: u32) -> (usize, usize) {
    ((unit >> UNITS_LOG2) as usize, ((unit & ((1 << UNITS_LOG2) - 1)) as usize) << CHUNK_MIN_LOG2)
}

/// The granules of its region that a block touches.
fn granule_mask(unit: u32, order: usize) -> u64 {
    let (_, within) = split(unit);
    let first = within >> GRANULE_LOG2;
    let count = (order_bytes(order) >> GRANULE_LOG2).max(1);
    if count == 64 { u64::MAX } else { ((1 << count) - 1) << first }
}

/// A piece of address space from the system, unmapped when the last reference is dropped.
#[derive(Debug)]
pub(crate) struct Region {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a region is only an address range; who reads and writes in it is settled by chunks and pins.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    fn at(&self, within: usize) -> NonNull<u8> {
        assert!(within < self.len);
        // SAFETY: within the mapping (asserted), so the pointer stays in bounds and is not null.
        unsafe { self.start.add(within) }
    }

    #[cfg(not(miri))]
    fn map(len: usize) -> Option<Region> {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        // SAFETY: a new private mapping at an address of the system's choice touches no existing memory.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        };
        Some(Region { start: NonNull::new(start.ok()?.cast())?, len })
    }

    /// Gives the memory behind the range back; it reads as zeros afterwards.
    #[cfg(not(miri))]
    fn discard(&self, within: usize, len: usize) {
        use rustix::mm::{Advice, madvise};
        assert!(within + len <= self.len);
        // SAFETY: the range is within the mapping (asserted) and belongs to no chunk: the caller holds it as a free block. An error
        // leaves the memory as it was, which is as good: free blocks have arbitrary content.
        let _ = unsafe { madvise(self.start.as_ptr().add(within).cast(), len, Advice::LinuxDontNeed) };
    }

    #[cfg(miri)]
    fn layout(len: usize) -> std::alloc::Layout {
        std::alloc::Layout::from_size_align(len, 4096).expect("a region's size and alignment are valid")
    }

    #[cfg(miri)]
    fn map(len: usize) -> Option<Region> {
        // SAFETY: the layout's size is not zero.
        let start = unsafe { std::alloc::alloc_zeroed(Region::layout(len)) };
        Some(Region { start: NonNull::new(start)?, len })
    }

    #[cfg(miri)]
    fn discard(&self, _within: usize, _len: usize) {}
}

impl Drop for Region {
    fn drop(&mut self) {
        #[cfg(not(miri))]
        // SAFETY: the last reference is going; no chunk and no pin refers to the mapping any more.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        #[cfg(miri)]
        // SAFETY: allocated with this layout in `map`.
        unsafe {
            std::alloc::dealloc(self.start.as_ptr(), Region::layout(self.len));
        }
    }
}

#[cfg(test)]
mod tests;
