//! An embedded byte map: entries one after another on fixed-size chunks, compacted a step at a time.

pub mod chunk;
pub mod index;
pub mod location;
pub mod pool;
pub mod store;

pub use location::Location;
pub use store::{Budget, Entry, Key, MapId, Options, PutError, Slices, Store, Usage, UserFlags};
