//! Fixed-size blocks of memory, and readers' pins on them.
//!
//! A [`Chunk`] is handed out by the [`Pool`](crate::pool::Pool) and has one owner until it is given back; it is not `Clone`.
//! Its size is a power of two from 256 bytes to 1 MiB.
//!
//! ```text
//!   Pool ──take──> Chunk ──give──> Pool
//!                    │ pin
//!                    v
//!                  Pin (Arc) <── Bytes, Bytes, ... in replies; the memory stays as long as one of them lives
//! ```
//!
//! The memory is always initialised: the system hands it out zeroed, and a chunk that is used again holds old bytes.
//!
//! # Soundness
//! 1. A chunk's region stays mapped while the chunk exists: the pool unmaps a region only when no chunk of it is out, and a
//!    pool that is dropped with chunks still out leaves their regions mapped.
//! 2. A chunk's bytes are written through `&mut Chunk` only.
//! 3. A pin covers bytes that nobody writes while it lives; [`Chunk::write`] is `unsafe` for this reason alone. Other bytes of
//!    a pinned chunk may be written: writing goes through the raw pointer and makes no reference to the bytes around it.
//! 4. A chunk goes back to the pool that it came from; [`Pool::give`](crate::pool::Pool::give) refuses any other.

#![allow(unsafe_code)]

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use bytes::Bytes;

use crate::pool::Region;

/// Base-2 logarithm of the smallest chunk.
pub const CHUNK_MIN_LOG2: u8 = 8;
/// Base-2 logarithm of the largest chunk.
pub const CHUNK_MAX_LOG2: u8 = 20;

/// The size of a chunk: a power of two, 256 bytes to 1 MiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkSize(u8);

impl ChunkSize {
    /// 256 bytes.
    pub const MIN: ChunkSize = ChunkSize(CHUNK_MIN_LOG2);
    /// 1 MiB.
    pub const MAX: ChunkSize = ChunkSize(CHUNK_MAX_LOG2);

    /// The largest size that is at most `bytes`, or the smallest size there is.
    pub const fn at_most(bytes: u64) -> ChunkSize {
        let log2 = if bytes == 0 { 0 } else { 63 - bytes.leading_zeros() as u8 };
        ChunkSize(if log2 < CHUNK_MIN_LOG2 {
            CHUNK_MIN_LOG2
        } else if log2 > CHUNK_MAX_LOG2 {
            CHUNK_MAX_LOG2
        } else {
            log2
        })
    }

    /// The smallest size that holds `bytes`, or the largest size there is.
    pub const fn at_least(bytes: u64) -> ChunkSize {
        let floor = ChunkSize::at_most(bytes);
        if floor.bytes() < bytes && floor.0 < CHUNK_MAX_LOG2 { ChunkSize(floor.0 + 1) } else { floor }
    }

    /// The size in bytes.
    #[inline]
    pub const fn bytes(self) -> u64 {
        1 << self.0
    }

    /// Base-2 logarithm of the size in bytes.
    #[inline]
    pub const fn log2(self) -> u8 {
        self.0
    }
}

impl std::fmt::Debug for ChunkSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}B", self.bytes())
    }
}

/// Where a chunk stands in the pool's address space, in units of the smallest chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChunkAddress(pub(crate) u32);

/// A block of memory with one owner. Given back with [`Pool::give`](crate::pool::Pool::give); one that is merely dropped is
/// missing from the pool's books for good.
#[derive(Debug)]
pub struct Chunk {
    start: NonNull<u8>,
    address: ChunkAddress,
    size: ChunkSize,
    /// A pin was taken since the chunk left the pool. It may have ended; the pool knows.
    pinned: bool,
}

// SAFETY: a chunk owns its bytes (soundness 1 and 2); nothing in it depends on the thread.
unsafe impl Send for Chunk {}
// SAFETY: `&Chunk` gives read access only.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// A chunk over memory of `region`.
    ///
    /// # Safety
    /// `start..start + size` is mapped, initialised, aligned to 256 bytes and owned by nobody else until the chunk is gone.
    pub(crate) unsafe fn from_raw(start: NonNull<u8>, address: ChunkAddress, size: ChunkSize) -> Chunk {
        Chunk { start, address, size, pinned: false }
    }

    /// Its size.
    #[inline]
    pub fn size(&self) -> ChunkSize {
        self.size
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn address(&self) -> ChunkAddress {
        self.address
    }

    pub(crate) fn was_pinned(&self) -> bool {
        self.pinned
    }

    pub(crate) fn forget_pins(&mut self) {
        self.pinned = false;
    }

    /// All its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: soundness 1 and 2: mapped, initialised, and not written while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size.bytes() as usize) }
    }

    /// All its bytes, to write; for pages of blobs, which are never pinned.
    ///
    /// # Panics
    /// When the chunk was ever pinned.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        assert!(!self.pinned, "a blob's pages are never pinned");
        // SAFETY: soundness 1 and 2: mapped and initialised; `&mut self` is the only access, as there is no pin.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.size.bytes() as usize) }
    }

    /// Asks the processor to load the cache line of byte `at`; does nothing where it cannot be asked. Unlike a read it waits
    /// for nothing, so that many of them overlap: a step over 28-byte entries takes a third of the time with it.
    #[inline]
    pub fn prefetch(&self, at: usize) {
        debug_assert!(at < self.size.bytes() as usize);
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch reads nothing that a program can see, whatever the address.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(self.start.as_ptr().wrapping_add(at).cast());
        }
    }

    /// Copies `bytes` into the chunk at `at`.
    ///
    /// # Safety
    /// No pin covers a byte of `at..at + bytes.len()`.
    ///
    /// # Panics
    /// When the range is not within the chunk.
    #[inline]
    pub(crate) unsafe fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(at <= self.size.bytes() as usize && bytes.len() <= self.size.bytes() as usize - at);
        // SAFETY: the range is within the chunk (asserted); no pin covers it (the caller's promise), so `bytes` cannot
        // overlap it: they would have to be a pin's, or borrowed from this chunk, which is borrowed mutably.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len()) }
    }

    /// The chunk as 64-bit words in the machine's order; for the index, which pins nothing.
    #[inline]
    pub fn words(&self) -> &[u64] {
        // SAFETY: as for `bytes`; a chunk is aligned to 256 bytes, its size is a multiple of 8, any bits are a u64.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast::<u64>(), self.size.bytes() as usize / 8) }
    }

    /// The chunk as 64-bit words to write.
    ///
    /// # Panics
    /// When the chunk was ever pinned.
    #[inline]
    pub fn words_mut(&mut self) -> &mut [u64] {
        assert!(!self.pinned, "index memory is never pinned");
        // SAFETY: as for `words`; `&mut self` is the only access, as there is no pin.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast::<u64>(), self.size.bytes() as usize / 8) }
    }

    /// A pin on this chunk, to be kept in the pool's books.
    pub(crate) fn new_pin(&self, region: Arc<Region>) -> Arc<Pin> {
        Arc::new(Pin { _region: region, start: self.start, len: self.size.bytes() as usize })
    }

    /// Marks that a pin exists.
    pub(crate) fn note_pin(&mut self) {
        self.pinned = true;
    }
}

/// Keeps a chunk's memory as it is while replies refer to it.
#[derive(Debug)]
pub(crate) struct Pin {
    _region: Arc<Region>,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a pin only reads, and only bytes that nobody writes (soundness 3).
unsafe impl Send for Pin {}
// SAFETY: as above.
unsafe impl Sync for Pin {}

impl Pin {
    /// The pinned bytes `range` as shared bytes.
    ///
    /// # Safety
    /// Nobody writes these bytes until the chunk has come back to the pool and the pool has seen the last pin end.
    pub(crate) unsafe fn bytes(self: &Arc<Pin>, range: Range<usize>) -> Bytes {
        assert!(range.start <= range.end && range.end <= self.len);
        Bytes::from_owner(PinnedRange { pin: Arc::clone(self), range })
    }
}

/// The owner behind shared bytes.
struct PinnedRange {
    pin: Arc<Pin>,
    range: Range<usize>,
}

impl AsRef<[u8]> for PinnedRange {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the range is within the chunk (asserted where it was made); the region is kept mapped by the pin, and the bytes
        // are not written while it lives (soundness 3).
        unsafe { std::slice::from_raw_parts(self.pin.start.as_ptr().add(self.range.start), self.range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_within_their_bounds() {
        assert_eq!(ChunkSize::at_most(0).bytes(), 256);
        assert_eq!(ChunkSize::at_most(511).bytes(), 256);
        assert_eq!(ChunkSize::at_most(512).bytes(), 512);
        assert_eq!(ChunkSize::at_most(u64::MAX).bytes(), 1 << 20);
        assert_eq!(ChunkSize::at_least(0).bytes(), 256);
        assert_eq!(ChunkSize::at_least(256).bytes(), 256);
        assert_eq!(ChunkSize::at_least(257).bytes(), 512);
        assert_eq!(ChunkSize::at_least(u64::MAX).bytes(), 1 << 20);
    }
}
