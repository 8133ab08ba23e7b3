//! The C library's allocator, set up against calls that take long.
//!
//! 1. Large pieces of memory come from the system one by one. By itself the allocator learns: once a piece of 16 MiB was freed, pieces
//!    up to that size come from one heap, whose free end goes back to the system all at once as soon as the last piece on it is freed.
//!    That was 15 MiB and 1.8 ms in a single step of a long SORT, and all clients waited. Pieces from [`LARGE_BYTES`] on are mappings of
//!    their own now, unless the heap has a free piece as large: what frees a list a step at a time gives it back a step at a time, and a
//!    list that grows is moved by its page table and not copied.
//! 2. A small piece that is freed is joined with its free neighbours at once. By itself the allocator leaves that for later, for all of
//!    them together: after a client with 200,000 subscriptions had gone, some request that wanted a large piece waited 15 ms for it.

#![allow(unsafe_code)]

/// Pieces of so many bytes are mappings of their own; what the library begins with.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: i32 = 128 * 1024;

/// Sets the allocator up; before any other thread begins.
pub(crate) fn set_up() {
    // SAFETY: settings of the allocator by itself: they touch no memory that is in use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        libc::mallopt(libc::M_MXFAST, 0);
    }
}
