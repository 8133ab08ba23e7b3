//! Where an entry stands: 40 bits that the index stores for each key.
//!
//! ```text
//!   bit 39       bits 38..0
//!  +------------+-----------------------------+
//!  | generation |  offset + 1                 |   all zero: no location
//!  +------------+-----------------------------+
//! ```
//!
//! The offset is stored plus one, so that no location is all zero and a zero slot of the index means "empty".

use std::num::NonZeroU64;

const OFFSET_BITS: u32 = 39;

/// A position in a buffer, in bytes from the start of its log. A buffer is at most 512 GiB long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(u64);

impl Offset {
    /// The largest offset that a [`Location`] can hold: 512 GiB - 2.
    pub const MAX: Offset = Offset((1 << OFFSET_BITS) - 2);

    /// The position `bytes` after the start. Panics beyond [`Offset::MAX`].
    #[inline]
    pub const fn new(bytes: u64) -> Offset {
        assert!(bytes <= Offset::MAX.0, "an offset fits 39 bits");
        Offset(bytes)
    }

    /// Bytes from the start of the log.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Which of two logs an offset belongs to: a compaction's source, or its target and staging. The end of a pass makes
/// the target's generation the map's, so an index never has to be rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Generation {
    /// The first, and after every second pass.
    #[default]
    Even,
    /// After the first pass, the third, and so on.
    Odd,
}

impl Generation {
    /// The generation of the other log.
    #[inline]
    pub const fn other(self) -> Generation {
        match self {
            Generation::Even => Generation::Odd,
            Generation::Odd => Generation::Even,
        }
    }
}

/// Where an entry stands: the log, and the offset in it. 8 bytes in memory, of which [`Location::BITS`] bits are used.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location(NonZeroU64);

impl Location {
    /// Bits that a location needs in a slot of the index.
    pub const BITS: u32 = OFFSET_BITS + 1;

    /// The entry at `offset` of the log of `generation`.
    #[inline]
    pub const fn new(generation: Generation, offset: Offset) -> Location {
        let bits = (generation as u64) << OFFSET_BITS | (offset.0 + 1);
        Location(NonZeroU64::new(bits).expect("offset + 1 is not zero"))
    }

    /// The log that the entry is in.
    #[inline]
    pub const fn generation(self) -> Generation {
        if self.0.get() >> OFFSET_BITS == 0 { Generation::Even } else { Generation::Odd }
    }

    /// Where in its log the entry starts.
    #[inline]
    pub const fn offset(self) -> Offset {
        Offset((self.0.get() & ((1 << OFFSET_BITS) - 1)) - 1)
    }

    /// The low [`Location::BITS`] bits of a slot; never zero.
    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0.get()
    }

    /// The reverse of [`Location::bits`]; `None` for zero. Bits above the 40 must be clear.
    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Option<Location> {
        debug_assert!(bits >> Location::BITS == 0);
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Location(bits)),
            None => None,
        }
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}@{}", self.generation(), self.offset().get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_gives_back_what_it_was_made_of() {
        for generation in [Generation::Even, Generation::Odd] {
            for offset in [0, 1, 255, 1 << 38, Offset::MAX.get()] {
                let location = Location::new(generation, Offset::new(offset));
                assert_eq!(location.generation(), generation);
                assert_eq!(location.offset().get(), offset);
                assert_eq!(location.bits() >> Location::BITS, 0);
                assert_eq!(Location::from_bits(location.bits()), Some(location));
            }
        }
    }

    #[test]
    fn no_location_is_zero_bits() {
        assert_ne!(Location::new(Generation::Even, Offset::new(0)).bits(), 0);
        assert_eq!(Location::from_bits(0), None);
        assert_eq!(size_of::<Option<Location>>(), 8);
    }

    #[test]
    #[should_panic(expected = "39 bits")]
    fn an_offset_past_the_last_is_refused() {
        Offset::new(Offset::MAX.get() + 1);
    }
}
