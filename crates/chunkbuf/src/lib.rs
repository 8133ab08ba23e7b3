//! An embedded byte map: entries one after another on fixed-size chunks, compacted a step at a time.
//!
//! ```text
//!                         Store: many maps, one pacer, one memory limit
//!                           │
//!      ┌────────────────────┼───────────────────────────┐
//!      │ Map                │ Map                       │ Map ...
//!      │                    │
//!      │  Index  key hash ──┼─> location                     8-byte slots, about 10 bytes a key at any size
//!      │                    v
//!      │  Log    ┌──────────────┬──────────────┬─────┐       entries cross chunk borders wherever they fall
//!      │         │ entry│entry│entry│entry│ent│ry│open │       dead ones are left behind by a pass from source to target
//!      │         └──────────────┴──────────────┴─────┘
//!      └────────────────────┬───────────────────────────┘
//!                           v
//!                         Pool: chunks of 256 bytes to 1 MiB, cut from pieces of 4 MiB, given back when free
//! ```
//!
//! Everything that takes time is a step with a bound: [`Store::step`] copies at most so many bytes, in the middle of an entry
//! if need be; the index grows by a few lines at a time; a cleared map is freed a few chunks at a time.
//!
//! # Goals
//! * Little memory: 14 bytes a key beside key and value, and dead bytes a bounded share of the live ones at every moment.
//! * No stall: no call does work in proportion to the map, and none but a put and a get in proportion to a value.
//! * Nothing lost: a put that fails changes nothing; a limit on memory that is never exceeded.
//!
//! # Non-goals
//! * Threads: a store has one owner; values that were pinned can be read and dropped anywhere.
//! * Order: keys are in the order of their hashes.
//! * I/O, clocks, logging: whoever embeds the store brings them.
//!
//! ```
//! use chunkbuf::{Budget, Options, Store, UserFlags};
//!
//! let mut store = Store::new(Options::default());
//! let map = store.create();
//! store.put(map, b"cargo", UserFlags::NONE, b"heavy")?;
//! assert_eq!(store.get(map, b"cargo").expect("just put").value.to_vec(), b"heavy");
//! assert!(store.remove(map, b"cargo"));
//! while store.step(Budget::STEP, true) {} // the time is yours to choose
//! # Ok::<(), chunkbuf::PutError>(())
//! ```

pub mod arena;
pub mod blob;
pub mod buffer;
pub mod chunk;
pub mod compaction;
pub mod entry;
pub mod index;
pub mod location;
mod map;
pub mod pool;
pub mod sizing;
pub mod store;
pub mod usage;

pub use arena::Arena;
pub use blob::{BLOB_THRESHOLD, Blob, BlobId, BlobSlice, BlobUsage};
pub use buffer::{Pieces, Slices};
pub use chunk::Chunk;
pub use compaction::Budget;
pub use entry::{KEY_LEN_MAX, UserFlags, VALUE_LEN_MAX};
pub use location::{Generation, Location, Offset};
pub use store::{BLOCK_BYTES_MAX, Digest, Entry, Key, MapId, Options, PutError, Store, Usage};

/// The examples of the crate's README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
