//! A large set of 64-bit hashes that grows and goes without a stall.
//!
//! A table of a million entries that doubles moves half a million of them at once, which takes milliseconds. This set is
//! cut in 1,024 small tables by bits of the hash: each doubles by itself, and they are freed a few at a time.
//!
//! Costs: 10 to 20 bytes a hash; an insertion into a set of ten million may move ten thousand hashes, some 50 us.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Tables of a set; 48 bytes each while they are empty.
const PARTS: usize = 1024;
/// Tables freed in a step.
const FREED: usize = 16;

/// The set. Empty, it takes no memory.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    parts: Vec<HashSet<u64, BuildHasherDefault<AsItIs>>>,
}

impl Hashes {
    /// Adds a hash; whether it was not there.
    pub(crate) fn insert(&mut self, hash: u64) -> bool {
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, HashSet::default);
        }
        self.parts[part(hash)].insert(hash)
    }

    /// Whether a hash is there.
    #[inline]
    pub(crate) fn contains(&self, hash: u64) -> bool {
        !self.parts.is_empty() && self.parts[part(hash)].contains(&hash)
    }

    /// Bytes of memory that the tables take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.parts.iter().map(|part| size_of_val(part) + part.capacity() * (size_of::<u64>() + 1)).sum()
    }

    /// Gives back a bounded part of the memory of a set that is done with; whether there is more.
    pub(crate) fn free_some(&mut self) -> bool {
        self.parts.truncate(self.parts.len().saturating_sub(FREED));
        !self.parts.is_empty()
    }
}

/// The tables themselves use the lowest and the highest bits.
fn part(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

/// A hash needs no hashing.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_once_and_freeing_ends() {
        let spread = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut hashes = Hashes::default();
        assert!(!hashes.contains(7) && !hashes.free_some());
        for number in 0..10_000 {
            assert!(hashes.insert(spread(number)));
            assert!(!hashes.insert(spread(number)));
        }
        for number in 0..20_000 {
            assert_eq!(hashes.contains(spread(number)), number < 10_000);
        }
        let mut steps = 1;
        while hashes.free_some() {
            steps += 1;
        }
        assert_eq!(steps, PARTS / FREED);
    }
}
