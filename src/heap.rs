//! The C library's allocator, told to take large pieces of memory from the system one by one.
//!
//! By itself it learns: once a piece of 16 MiB was freed, pieces up to that size come from one heap, whose free end goes back to the
//! system all at once as soon as the last piece on it is freed. That was 15 MiB and 1.8 ms in a single step of a long SORT,
//! and all clients waited. Pieces from [`LARGE_BYTES`] on are mappings of their own now, always: what frees a list a
//! step at a time gives it back a step at a time, and a list that grows is moved by its page table and not copied.

#![allow(unsafe_code)]

/// Pieces of so many bytes are mappings of their own; what the library begins with.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: i32 = 128 * 1024;

/// Sets the allocator up; before any other thread begins.
pub(crate) fn set_up() {
    // SAFETY: a setting of the allocator by itself: it touches no memory that is in use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
    }
}
