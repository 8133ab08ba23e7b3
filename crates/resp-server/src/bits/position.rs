//! The first bit that is set, or clear.
//!
//! Words of eight bytes are skipped as long as they hold nothing but the other kind; the first other word, read with its first
//! byte on top, tells the place by its leading bits.

use std::ops::Range;

use crate::keyspace::Snapshot;

/// The first bit of `bytes` that is set (`bit`) or clear. O(n).
pub fn first(bytes: &[u8], bit: bool) -> Option<u64> {
    let flip = if bit { 0 } else { u64::MAX };
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, &word) in words.iter().enumerate() {
        let word = u64::from_be_bytes(word) ^ flip;
        if word != 0 {
            return Some(64 * at as u64 + u64::from(word.leading_zeros()));
        }
    }
    let before = 64 * words.len() as u64;
    let found = |(at, &byte): (usize, &u8)| {
        let byte = byte ^ flip as u8;
        (byte != 0).then(|| before + 8 * at as u64 + u64::from(byte.leading_zeros()))
    };
    rest.iter().enumerate().find_map(found)
}

/// Looks for the first bit of a kind in a range of a string.
#[derive(Debug)]
pub struct Position {
    of: Snapshot,
    bit: bool,
    /// The next bit to look at, the first of its byte unless the search is over.
    at: u64,
    end: u64,
    found: Option<u64>,
}

impl Position {
    /// Looks for a bit that is set (`bit`) or clear among bits `range` of `of`; they lie within it.
    pub fn new(of: Snapshot, range: Range<u64>, bit: bool) -> Position {
        let mut position = Position { of, bit, at: range.start, end: range.end, found: None };
        // The bits up to the first whole byte, seven at most.
        while position.at < position.end && !position.at.is_multiple_of(8) {
            let byte = position.of.byte((position.at / 8) as usize);
            if (byte >> (7 - position.at % 8) & 1 == 1) == bit {
                position.end_at(position.at);
            } else {
                position.at += 1;
            }
        }
        position
    }

    /// Looks on over `budget_bytes`; whether the search is over.
    pub fn step(&mut self, budget_bytes: usize) -> bool {
        let first_byte = (self.at / 8) as usize;
        let end_byte = (self.end.div_ceil(8) as usize).min(first_byte.saturating_add(budget_bytes));
        if self.at < self.end {
            let mut skipped = 0;
            let found = self.of.pieces(first_byte..end_byte).find_map(|piece| {
                let found = first(piece, self.bit).map(|place| skipped + place);
                skipped += 8 * piece.len() as u64;
                found
            });
            match found {
                Some(place) => self.end_at(self.at + place),
                None => self.at = self.end.min(8 * end_byte as u64),
            }
        }
        self.at == self.end
    }

    /// The place of the bit, if there is one; asked when the search is over.
    pub fn found(&self) -> Option<u64> {
        debug_assert_eq!(self.at, self.end, "the search is over");
        self.found
    }

    /// Ends the search at a place, which may lie behind the range in its last byte.
    fn end_at(&mut self, place: u64) {
        self.found = (place < self.end).then_some(place);
        self.at = self.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8], range: Range<u64>, bit: bool) -> Option<u64> {
        range.into_iter().find(|bit_at| (bytes[(bit_at / 8) as usize] >> (7 - bit_at % 8) & 1 == 1) == bit)
    }

    fn found(bytes: &[u8], range: Range<u64>, bit: bool, budget: usize) -> Option<u64> {
        let mut position = Position::new(bytes.to_vec().into(), range, bit);
        while !position.step(budget) {}
        position.found()
    }

    #[test]
    fn every_range_of_a_few_bytes_is_searched_as_bit_by_bit() {
        for bytes in [&[0xff, 0xff, 0xff][..], &[0, 0, 0], &[0, 0x10, 0], &[0xff, 0xef, 0xff], &[0x81, 0x3c, 0x55]] {
            let bits = 8 * bytes.len() as u64;
            for bit in [false, true] {
                for start in 0..=bits {
                    for end in start..=bits {
                        assert_eq!(found(bytes, start..end, bit, 1), naive(bytes, start..end, bit), "{start}..{end}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_lone_bit_is_found_wherever_it_is(
            len in 1_usize..400,
            at in any::<prop::sample::Index>(),
            start in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
            bit in any::<bool>(),
            budget in 1_usize..100,
        ) {
            let mut bytes = vec![if bit { 0 } else { 0xff }; len];
            let at = at.index(8 * len);
            bytes[at / 8] ^= 0x80 >> (at % 8);
            let start = start.index(8 * len);
            let range = start as u64..(start + 1 + cut.index(8 * len - start)) as u64;
            prop_assert_eq!(found(&bytes, range.clone(), bit, budget), naive(&bytes, range, bit));
            prop_assert_eq!(first(&bytes, bit), Some(at as u64));
        }
    }
}
