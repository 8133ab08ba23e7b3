//! Keys of a map that are looked up next, brought to the processor's cache meanwhile.
//!
//! In a map that is larger than the cache a look-up waits twice for memory: for the index line and for the entry. Where the keys
//! of many look-ups are known beforehand, the waits can overlap:
//!
//! ```text
//!   look-up   n          n + NEAR                n + FAR
//!             now        its entry is fetched    its index line is fetched
//! ```

use chunkbuf::{MapId, Store};

/// Look-ups ahead whose entry is fetched.
pub const NEAR: usize = 4;
/// Look-ups ahead whose index line is fetched.
pub const FAR: usize = 8;
/// Index lines that are fetched before the first of their entries.
const TOGETHER: usize = 16;
/// Names longer than this are not hashed once more for it.
pub const NAME_BYTES_MAX: usize = 256;

/// Fetches what look-ups of all these names will read; for a handful of them that come next.
pub fn fetch<'a>(store: &Store, map: MapId, names: impl Iterator<Item = &'a [u8]>) {
    let mut names = names.filter(|name| name.len() <= NAME_BYTES_MAX);
    let mut hashes = [0; TOGETHER];
    let mut count = TOGETHER;
    while count == TOGETHER {
        count = 0;
        for (hash, name) in hashes.iter_mut().zip(&mut names) {
            *hash = store.key(name).hash();
            store.prefetch(map, *hash);
            count += 1;
        }
        hashes[..count].iter().for_each(|&hash| store.prefetch_entry(map, hash));
    }
}

/// Fetches what the look-ups to come will read; `name_at(n)` is the name of the `n`th of them from now, if there is one. About 30 ns.
#[inline]
pub fn look_ahead<'a>(store: &Store, map: MapId, name_at: impl Fn(usize) -> Option<&'a [u8]>) {
    let hash_at = |ahead| {
        let name = name_at(ahead).filter(|name| name.len() <= NAME_BYTES_MAX)?;
        Some(store.key(name).hash())
    };
    if let Some(hash) = hash_at(FAR) {
        store.prefetch(map, hash);
    }
    if let Some(hash) = hash_at(NEAR) {
        store.prefetch_entry(map, hash);
    }
}
