//! The arithmetic of long strings: what bitmap commands and LCS compute, apart from keys, arguments and replies.
//!
//! | file | what it computes |
//! |---|---|
//! | [`count`] | how many bits of a range are set |
//! | [`position`] | the first bit of a range that is set, or clear |
//! | [`operator`] | several strings combined bit by bit |
//! | [`field`] | integers of 1 to 64 bits anywhere in a string |
//! | [`lcs`] | the longest common subsequence of two strings |
//!
//! Each file has a plain function of bytes, or several, and where strings may be long a task on top: a value that owns
//! [snapshots](crate::keyspace::Snapshot) of what it reads and goes on by bounded steps, so that whoever drives it decides how
//! long it may hold a turn. A task knows no key and nobody has to wait for it: what it reads does not change any more.
//!
//! Bits are counted as Redis counts them: bit 0 is the most significant bit of byte 0.

pub mod count;
pub mod field;
pub mod lcs;
pub mod operator;
pub mod position;

use std::ops::Range;

/// What a client's `start` and `end` cover, the last one included, in a string of `len` units: a negative place counts from the
/// end, and what lies outside is cut off. Empty if nothing is left.
pub fn covered(start: i64, end: i64, len: u64) -> Range<u64> {
    let len = i64::try_from(len).expect("a string is shorter than 2^60 bytes");
    let place = |at: i64| if at < 0 { (at + len).max(0) } else { at };
    let (start, last) = (place(start), place(end).min(len - 1));
    if start > last { 0..0 } else { start as u64..last as u64 + 1 }
}

/// The bytes in which the bits of a range lie.
pub fn bytes_of(bits: &Range<u64>) -> Range<usize> {
    (bits.start / 8) as usize..bits.end.div_ceil(8) as usize
}

/// The range seen from the first of its [bytes](bytes_of).
pub fn from_its_first_byte(bits: &Range<u64>) -> Range<u64> {
    let before = bits.start / 8 * 8;
    bits.start - before..bits.end - before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_what_there_is() {
        for (start, end, len, range) in [
            (0, -1, 10, 0..10),
            (0, 9, 10, 0..10),
            (0, 10, 10, 0..10),
            (-3, -1, 10, 7..10),
            (-3, -2, 10, 7..9),
            (5, 3, 10, 0..0),
            (10, 20, 10, 0..0),
            (-100, 2, 10, 0..3),
            (-100, -100, 10, 0..1),
            (1, -100, 10, 0..0),
            (0, -1, 0, 0..0),
            (0, 0, 0, 0..0),
            (-1, -1, 0, 0..0),
            (i64::MIN, i64::MAX, 10, 0..10),
            (i64::MAX, i64::MAX, 10, 0..0),
        ] {
            assert_eq!(covered(start, end, len), range, "{start} {end} of {len}");
        }
    }

    #[test]
    fn bits_lie_in_whole_bytes() {
        for (bits, bytes, seen) in
            [(0..8, 0..1, 0..8), (7..9, 0..2, 7..9), (16..17, 2..3, 0..1), (9..23, 1..3, 1..15), (0..0, 0..0, 0..0)]
        {
            assert_eq!(bytes_of(&bits), bytes);
            assert_eq!(from_its_first_byte(&bits), seen);
        }
    }
}
