//! How many bits are set.
//!
//! Words of eight bytes are counted at a time; the compiler turns the plain loop over them into vector code, which at 64 KiB in
//! cache is as fast as a hand-made table or carry-save tree on the processors that we run on.

use std::ops::Range;

use super::{bytes_of, from_its_first_byte};
use crate::keyspace::Snapshot;

/// How many bits of `bytes` are set. O(n).
pub fn ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words: u64 = words.iter().map(|&word| u64::from(u64::from_ne_bytes(word).count_ones())).sum();
    in_words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// Counts the bits of a range of a string that are set.
#[derive(Debug)]
pub struct Count {
    of: Snapshot,
    /// The next byte to count.
    at: usize,
    end: usize,
    ones: u64,
    /// Bits that are set in the first and the last byte and lie outside the range.
    outside: u64,
}

impl Count {
    /// Counts bits `range` of `of`; they lie within it.
    pub fn new(of: Snapshot, range: Range<u64>) -> Count {
        let (bytes, bits) = (bytes_of(&range), from_its_first_byte(&range));
        let mut outside = 0;
        if !bytes.is_empty() {
            let before = of.byte(bytes.start) & !(0xff >> bits.start);
            let behind = of.byte(bytes.end - 1) & (0xff_u16 >> ((bits.end - 1) % 8 + 1)) as u8;
            outside = u64::from(before.count_ones() + behind.count_ones());
        }
        Count { of, at: bytes.start, end: bytes.end, ones: 0, outside }
    }

    /// Counts on for `budget_bytes`; whether it is done.
    pub fn step(&mut self, budget_bytes: usize) -> bool {
        let end = self.at.saturating_add(budget_bytes).min(self.end);
        self.ones += self.of.pieces(self.at..end).map(ones).sum::<u64>();
        self.at = end;
        self.at == self.end
    }

    /// How many bits are set; asked when it is done.
    pub fn ones(&self) -> u64 {
        debug_assert_eq!(self.at, self.end, "all bytes are counted");
        self.ones - self.outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8], range: Range<u64>) -> u64 {
        range.map(|bit| u64::from(bytes[(bit / 8) as usize] >> (7 - bit % 8) & 1)).sum()
    }

    fn counted(bytes: &[u8], range: Range<u64>, budget: usize) -> u64 {
        let mut count = Count::new(bytes.to_vec().into(), range);
        while !count.step(budget) {}
        count.ones()
    }

    #[test]
    fn every_range_of_a_few_bytes_is_counted_as_bit_by_bit() {
        for bytes in [&[0xff, 0xff, 0xff][..], &[0, 0, 0], &[0x81, 0x3c, 0x55], &[0xaa]] {
            let bits = 8 * bytes.len() as u64;
            for start in 0..bits {
                for end in start + 1..=bits {
                    assert_eq!(counted(bytes, start..end, 1), naive(bytes, start..end), "{start}..{end}");
                }
            }
        }
        assert_eq!(counted(&[], 0..0, 1), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted_as_bit_by_bit(
            bytes in prop::collection::vec(any::<u8>(), 1..600),
            start in any::<prop::sample::Index>(),
            len in any::<prop::sample::Index>(),
            budget in 1_usize..100,
        ) {
            let bits = 8 * bytes.len();
            let start = start.index(bits);
            let end = start + 1 + len.index(bits - start);
            let range = start as u64..end as u64;
            prop_assert_eq!(counted(&bytes, range.clone(), budget), naive(&bytes, range));
            prop_assert_eq!(ones(&bytes), naive(&bytes, 0..bits as u64));
        }
    }
}
