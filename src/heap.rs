//! The program's allocator: memory that is freed goes back to the system at once, and never much of it in one step.
//!
//! ```text
//!   up to 64 KiB   mimalloc, a page of which (64 KiB, or 512 KiB for pieces over 10 KiB) goes back as soon as nothing is left on it
//!   more           a mapping of its own: it comes untouched, grows by its page table without being copied, and goes back by itself
//! ```
//!
//! The limit `maxmemory` is on what the process holds, so what is freed and kept counts like data. The C library's heap gives back what
//! lies at its end only: after a client that watched a million keys all of 150 MiB stayed, a server with a limit of 100 MiB refused
//! every write from there on. Where its end was free, up to 16 MiB went at once (1.8 ms), and what it had put off joining took some
//! request 15 ms.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::{NonNull, copy_nonoverlapping, null_mut};

use libmimalloc_sys::{mi_option_set, mi_option_t};
use mimalloc::MiMalloc;
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

/// Pieces of more bytes are mappings of their own.
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// A mapping begins at a multiple of this at least.
const PAGE_BYTES: usize = 4096;
/// `mi_option_purge_delay` of `mimalloc.h`, which the crate does not name: milliseconds that a page without pieces is kept.
const PURGE_DELAY: mi_option_t = 15;

#[global_allocator]
static HEAP: Heap = Heap;

/// Sets the allocator up; before any other thread begins.
pub(crate) fn set_up() {
    // SAFETY: a setting of the allocator by itself: it touches no memory that is in use.
    unsafe { mi_option_set(PURGE_DELAY, 0) }
}

struct Heap;

/// Whether a piece is a mapping of its own: a matter of its layout alone, so it is known again when the piece is freed.
fn is_mapped(bytes: usize, align: usize) -> bool {
    bytes > PIECE_BYTES_MAX && align <= PAGE_BYTES
}

/// Zeroed memory that the system gives; null if it has none.
fn map(bytes: usize) -> *mut u8 {
    // SAFETY: a new mapping at a place that the system chooses lies over nothing.
    let start = unsafe { mmap_anonymous(null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
    start.map_or(null_mut(), <*mut _>::cast)
}

// SAFETY: a layout's size and alignment alone say which of the two allocators a piece comes from, so it goes back to the one that has
// given it. A mapping is aligned to a page, and as large as was asked for at least. Nothing here panics or allocates.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout.size(), layout.align()) {
            return map(layout.size());
        }
        // SAFETY: the caller's promise: the layout is not empty.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout.size(), layout.align()) {
            return map(layout.size());
        }
        // SAFETY: the caller's promise: the layout is not empty.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if is_mapped(layout.size(), layout.align()) {
            // SAFETY: the caller's promise: the piece was allocated with this layout, so it is all of a mapping, and nothing uses it
            // any more. The system refuses only what is no mapping, or to split one.
            let _ = unsafe { munmap(piece.cast(), layout.size()) };
            return;
        }
        // SAFETY: the caller's promise, and the piece is mimalloc's.
        unsafe { MiMalloc.dealloc(piece, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let (was, is) = (is_mapped(layout.size(), layout.align()), is_mapped(bytes, layout.align()));
        if !was && !is {
            // SAFETY: the caller's promise, and the piece is mimalloc's before and afterwards.
            return unsafe { MiMalloc.realloc(piece, layout, bytes) };
        }
        if was && is {
            // SAFETY: the caller's promise: the piece is all of a mapping, and its old place is not used after this. The system
            // leaves it as it was if it has no memory.
            let moved = unsafe { mremap(piece.cast(), layout.size(), bytes, MremapFlags::MAYMOVE) };
            return moved.map_or(null_mut(), <*mut _>::cast);
        }
        // SAFETY: the caller's promises: the new size is not 0, nor too large with this alignment; the old piece has `layout.size()`
        // bytes and is not used after this; a new piece does not overlap it.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
            if let Some(new) = NonNull::new(new) {
                copy_nonoverlapping(piece, new.as_ptr(), layout.size().min(bytes));
                self.dealloc(piece, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the process that are resident.
    fn resident() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux tells it");
        pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * PAGE_BYTES
    }

    #[test]
    fn a_piece_keeps_its_bytes_as_it_grows_and_shrinks_across_the_border() {
        let sizes = [1, 100, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 3 << 20, 40 << 20, 200_000, PIECE_BYTES_MAX, 7];
        let byte = |at: usize| (at * 31 % 251) as u8;
        let mut bytes: Vec<u8> = Vec::new();
        for size in sizes {
            bytes.truncate(size);
            bytes.shrink_to_fit();
            bytes.reserve_exact(size - bytes.len());
            assert!(bytes.iter().enumerate().all(|(at, &is)| is == byte(at)), "{size}");
            for at in bytes.len()..size {
                bytes.push(byte(at));
            }
        }
    }

    #[test]
    fn memory_is_zeroed_and_aligned_as_asked() {
        for size in [24, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 1 << 20] {
            drop(vec![0xff_u8; size]);
            assert!(vec![0_u8; size].iter().all(|&byte| byte == 0));
            for align in [1, 8, PAGE_BYTES, 2 * PAGE_BYTES] {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                // SAFETY: the layout is not empty, and the piece is freed with the same one.
                unsafe {
                    let piece = HEAP.alloc(layout);
                    assert!(!piece.is_null() && piece.addr().is_multiple_of(align), "{size} at {align}");
                    piece.write_bytes(1, size);
                    HEAP.dealloc(piece, layout);
                }
            }
        }
    }

    #[test]
    fn what_is_freed_goes_back_to_the_system_although_something_behind_it_stays() {
        set_up();
        let mut pieces: Vec<Box<[u8; 100]>> = (0..1_000_000).map(|_| Box::new([1; 100])).collect();
        let behind = Box::new([1_u8; 100]);
        let full = resident();
        pieces.clear();
        assert!(resident() + (50 << 20) < full, "{full} became {}", resident());
        drop(behind);
    }
}
