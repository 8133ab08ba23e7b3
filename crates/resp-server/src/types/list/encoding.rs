//! What Redis would call a list's form: `listpack` or `quicklist`, for `OBJECT ENCODING`.
//!
//! Redis keeps a short list in one listpack, and from a limit on (`list-max-listpack-size`) in a quicklist, a chain of them. When
//! a quicklist has shrunk to one node of at most half the limit, it becomes a listpack again. The limit is one of bytes, so the bytes
//! that a listpack would take are counted beside ours; `listpack.c` describes them:
//!
//! ```text
//!  listpack   total bytes (4) | elements (2) | entry ... | end (1)
//!  entry      kind, length | bytes | length of these two, for reading backwards (1 to 5)
//!             what reads as an integer of 7, 13, 16, 24, 32 or 64 bits takes 1, 2, 3, 4, 5 or 9 bytes in all instead of the first two
//!             a string of less than 64 bytes, 4 KiB, or more has 1, 2 or 5 bytes in front of it
//! ```
//!
//! That a quicklist has one node is told from its bytes: they would fit one. A quicklist of two small nodes, the ends of a chain whose
//! middle was removed, stays a quicklist in Redis; here it is a listpack then.

use crate::text::integer::{MAX_LEN, parse_i64};

/// What `OBJECT ENCODING` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// One listpack.
    Listpack,
    /// More than that.
    Quicklist,
}

/// Bytes of a listpack without entries.
pub(super) const LISTPACK_HEAD: u64 = 7;

/// A node that is limited by its elements has no more bytes than this either.
const COUNTED_BYTES_MAX: u64 = 8192;

impl Encoding {
    /// As `OBJECT ENCODING` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Listpack => "listpack",
            Encoding::Quicklist => "quicklist",
        }
    }

    /// The encoding of a list that is about to have so many elements, which take a listpack of so many bytes (Redis counts those to
    /// come without what is around them).
    pub(super) fn grown(self, max_listpack_size: i64, listpack_bytes: u64, count: u64) -> Encoding {
        let exceeds = match Limit::of(max_listpack_size) {
            Limit::Bytes(bytes) => listpack_bytes > bytes,
            Limit::Count(elements) => listpack_bytes > COUNTED_BYTES_MAX || count > elements,
        };
        if exceeds { Encoding::Quicklist } else { self }
    }

    /// The encoding of a list that has become shorter and has so many elements now.
    pub(super) fn shrunk(self, max_listpack_size: i64, listpack_bytes: u64, count: u64) -> Encoding {
        let is_small = match Limit::of(max_listpack_size) {
            Limit::Bytes(bytes) => listpack_bytes <= bytes / 2,
            Limit::Count(elements) => count <= elements / 2 && listpack_bytes <= COUNTED_BYTES_MAX,
        };
        if is_small { Encoding::Listpack } else { self }
    }
}

/// What `list-max-listpack-size` means.
enum Limit {
    Bytes(u64),
    Count(u64),
}

impl Limit {
    fn of(max_listpack_size: i64) -> Limit {
        match u64::try_from(max_listpack_size) {
            Ok(count) => Limit::Count(count.max(1)),
            Err(_) => Limit::Bytes(4096 << (max_listpack_size.max(-5) + 1).unsigned_abs()),
        }
    }
}

/// Bytes that an element takes in a listpack.
pub(super) fn listpack_len(element: &[u8]) -> usize {
    match integer_len(element) {
        // So short that its length behind it takes a byte.
        Some(bytes) => bytes + 1,
        None => listpack_len_of_string(element.len() as u64) as usize,
    }
}

/// Bytes that an element of so many bytes which is no integer takes in a listpack.
pub(super) fn listpack_len_of_string(len: u64) -> u64 {
    let front = match len {
        0..64 => 1,
        64..4096 => 2,
        _ => 5,
    };
    let back = match front + len {
        0..128 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    front + len + back
}

/// Bytes of an element in front of its length, if a listpack takes it for an integer.
#[inline]
fn integer_len(element: &[u8]) -> Option<usize> {
    if element.len() > MAX_LEN || !element.first().is_some_and(|&first| first == b'-' || first.is_ascii_digit()) {
        return None;
    }
    Some(match parse_i64(element)? {
        0..=127 => 1,
        -4096..=4095 => 2,
        -0x8000..=0x7FFF => 3,
        -0x80_0000..=0x7F_FFFF => 4,
        -0x8000_0000..=0x7FFF_FFFF => 5,
        _ => 9,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_bytes_below_zero_and_elements_above() {
        let grown = |size, bytes, count| Encoding::Listpack.grown(size, bytes, count) == Encoding::Quicklist;
        for (size, bytes) in
            [(-1, 4096), (-2, 8192), (-3, 16_384), (-4, 32_768), (-5, 65_536), (-6, 65_536), (i64::MIN, 65_536)]
        {
            assert!(!grown(size, bytes, 1_000_000) && grown(size, bytes + 1, 1), "{size}");
        }
        for (size, count) in [(0, 1), (1, 1), (2, 2), (128, 128)] {
            assert!(!grown(size, 8192, count) && grown(size, 0, count + 1) && grown(size, 8193, count), "{size}");
        }
    }

    #[test]
    fn a_quicklist_of_half_the_limit_is_a_listpack_again() {
        let shrunk = |size, bytes, count| Encoding::Quicklist.shrunk(size, bytes, count) == Encoding::Listpack;
        assert!(shrunk(-2, 4096, 1000) && !shrunk(-2, 4097, 1));
        assert!(shrunk(5, 100, 2) && !shrunk(5, 100, 3));
        assert!(!shrunk(1, 10, 1));
        assert_eq!(Encoding::Listpack.shrunk(-2, 8192, 1), Encoding::Listpack);
    }

    #[test]
    fn elements_are_as_long_as_in_a_listpack() {
        for (element, len) in [
            (&b""[..], 2),
            (b"a", 3),
            (b"0", 2),
            (b"127", 2),
            (b"128", 3),
            (b"-1", 3),
            (b"-4096", 3),
            (b"4096", 4),
            (b"32768", 5),
            (b"8388608", 6),
            (b"2147483648", 10),
            (b"-9223372036854775808", 10),
            (b"9223372036854775808", 21),
            (b"01", 4),
            (b"-", 3),
            (&[b'x'; 63], 65),
            (&[b'x'; 64], 67),
            (&[b'x'; 125], 128),
            (&[b'x'; 126], 130),
            (&[b'x'; 4096], 4103),
        ] {
            assert_eq!(listpack_len(element), len, "{}", element.escape_ascii());
        }
    }
}
