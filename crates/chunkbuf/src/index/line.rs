//! A line: eight slots in one cache line, and what can be asked of all eight at once.
//!
//! ```text
//!   bits 63..41   bit 40     bits 39..0
//!  +-------------+----------+-----------+
//!  |  fragment   | overflow | location  |   one slot, 8 bytes; location all zero: empty
//!  +-------------+----------+-----------+
//! ```
//!
//! The fragment is 23 bits of the key's hash, on top of the slot, so that `hash << window` lines up with it. The
//! overflow bit belongs to the line and is used in its first slot only: some slot that is at home in this line or in
//! one before it lives past this line, so a search must go on.

use crate::location::Location;

/// Slots in a line: 64 bytes, one cache line.
pub(super) const SLOTS: usize = 8;
/// Bits of the hash that a slot holds.
pub(super) const FRAGMENT_BITS: u32 = 23;

const LOCATION_MASK: u64 = (1 << Location::BITS) - 1;
const OVERFLOW: u64 = 1 << Location::BITS;
const FRAGMENT_MASK: u64 = !(LOCATION_MASK | OVERFLOW);
const _: () = assert!(FRAGMENT_BITS + 1 + Location::BITS == 64);

/// Eight raw slots; the first carries the overflow bit.
pub(super) type Line = [u64; SLOTS];

/// One slot without the line's overflow bit: a fragment and, unless it is empty, a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u64);

impl Slot {
    pub(super) const EMPTY: Slot = Slot(0);

    /// The slot of a key with this hash, in a segment whose fragments start at bit `window` of it.
    #[inline]
    pub(super) fn new(hash: u64, window: u8, location: Location) -> Slot {
        Slot(((hash << window) & FRAGMENT_MASK) | location.bits())
    }

    /// Slot `at` of a line.
    #[inline]
    pub(super) fn of(line: &Line, at: usize) -> Slot {
        Slot(line[at] & !OVERFLOW)
    }

    /// `None`: the slot is empty.
    #[inline]
    pub(super) fn location(self) -> Option<Location> {
        Location::from_bits(self.0 & LOCATION_MASK)
    }

    /// The slot as a line holds it, with a clear overflow bit.
    #[inline]
    pub(super) fn raw(self) -> u64 {
        self.0
    }

    /// The fragment in the top bits; what is below them is not the hash's.
    #[inline]
    pub(super) fn fragment_on_top(self) -> u64 {
        self.0
    }

    /// The same key's slot in a segment whose fragments start at bit `to` instead of `from`. `prefix` holds the bits
    /// above `from`, which the slot does not; `to` must not be past `from`.
    pub(super) fn with_window(self, prefix: u64, from: u8, to: u8) -> Slot {
        debug_assert!(to <= from);
        let above = prefix & !(u64::MAX >> from);
        let hash = above | ((self.0 & FRAGMENT_MASK) >> from);
        Slot(((hash << to) & FRAGMENT_MASK) | (self.0 & LOCATION_MASK))
    }
}

/// Writes slot `at`, leaving the line's overflow bit as it is.
#[inline]
pub(super) fn set(line: &mut Line, at: usize, slot: Slot) {
    line[at] = slot.0 | (line[at] & OVERFLOW);
}

/// True when a search must go on past this line.
#[inline]
pub(super) fn overflows(line: &Line) -> bool {
    line[0] & OVERFLOW != 0
}

/// Sets or clears the overflow bit.
#[inline]
pub(super) fn set_overflows(line: &mut Line, overflows: bool) {
    line[0] = (line[0] & !OVERFLOW) | (u64::from(overflows) << Location::BITS);
}

/// Which slots have the fragment that is on top of `aligned` (= hash << window). Empty slots may be among them.
#[inline]
pub(super) fn with_fragment(line: &Line, aligned: u64) -> Lanes {
    Lanes::where_(line, |slot| (slot ^ aligned) >> (64 - FRAGMENT_BITS) == 0)
}

/// Which slots are exactly this one.
#[inline]
pub(super) fn equal(line: &Line, wanted: Slot) -> Lanes {
    Lanes::where_(line, |slot| slot & !OVERFLOW == wanted.0)
}

/// Which slots hold no key.
#[inline]
pub(super) fn empty(line: &Line) -> Lanes {
    Lanes::where_(line, |slot| slot & LOCATION_MASK == 0)
}

/// Which slots hold a key.
#[inline]
pub(super) fn live(line: &Line) -> Lanes {
    Lanes::where_(line, |slot| slot & LOCATION_MASK != 0)
}

/// A set of the slots of one line; iterates over their places, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes(u32);

impl Lanes {
    #[inline]
    fn where_(line: &Line, test: impl Fn(u64) -> bool) -> Lanes {
        let mut lanes = 0;
        for (at, &slot) in line.iter().enumerate() {
            lanes |= u32::from(test(slot)) << at;
        }
        Lanes(lanes)
    }

    #[inline]
    pub(super) fn first(self) -> Option<usize> {
        (self.0 != 0).then_some(self.0.trailing_zeros() as usize)
    }

    #[inline]
    pub(super) fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

impl Iterator for Lanes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let first = self.first()?;
        self.0 &= self.0 - 1;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::{Generation, Offset};

    fn location(offset: u64) -> Location {
        Location::new(Generation::Odd, Offset::new(offset))
    }

    #[test]
    fn the_overflow_bit_and_the_first_slot_do_not_disturb_each_other() {
        let mut line = [0; SLOTS];
        let slot = Slot::new(u64::MAX, 0, location(Offset::MAX.get()));
        set_overflows(&mut line, true);
        set(&mut line, 0, slot);
        assert!(overflows(&line));
        assert_eq!(Slot::of(&line, 0), slot);
        set_overflows(&mut line, false);
        assert!(!overflows(&line));
        assert_eq!(Slot::of(&line, 0), slot);
        set_overflows(&mut line, true);
        set(&mut line, 0, Slot::EMPTY);
        assert!(overflows(&line));
        assert_eq!(empty(&line).count(), SLOTS);
    }

    #[test]
    fn lanes_name_the_slots_that_match_and_no_others() {
        let mut line = [0; SLOTS];
        let hash = 0xabcd_ef01_2345_6789;
        set(&mut line, 2, Slot::new(hash, 5, location(7)));
        set(&mut line, 6, Slot::new(hash, 5, location(8)));
        set(&mut line, 7, Slot::new(!hash, 5, location(9)));
        set_overflows(&mut line, true);
        assert_eq!(with_fragment(&line, hash << 5).collect::<Vec<_>>(), [2, 6]);
        assert_eq!(equal(&line, Slot::new(hash, 5, location(8))).collect::<Vec<_>>(), [6]);
        assert_eq!(live(&line).collect::<Vec<_>>(), [2, 6, 7]);
        assert_eq!(empty(&line).collect::<Vec<_>>(), [0, 1, 3, 4, 5]);
        assert_eq!(empty(&line).first(), Some(0));
        assert_eq!(Slot::of(&line, 6).location(), Some(location(8)));
        assert_eq!(Slot::of(&line, 0).location(), None);
    }

    #[test]
    fn a_window_moves_back_without_the_key() {
        let hash = 0x9e37_79b9_7f4a_7c15;
        for from in 0..=41 {
            for to in 0..=from {
                let slot = Slot::new(hash, from, location(3));
                let bits_kept = u64::MAX << (64 - FRAGMENT_BITS - u32::from(from));
                let expected = Slot::new(hash & bits_kept, to, location(3));
                // The prefix may hold anything below the window: it is the slot that counts there.
                let prefix = hash ^ (u64::MAX >> from);
                assert_eq!(slot.with_window(prefix, from, to), expected, "from {from} to {to}");
            }
        }
    }
}
