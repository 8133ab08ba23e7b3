//! How an entry looks: header, key, value, one after another.
//!
//! ```text
//!   ┌────────────────────────────┬───────────────┬──────────┬────────────┐
//!   │ header: uvarint            │ key length    │ key      │ value      │
//!   │ payload length << 4 | flags│ u16 LE        │ N bytes  │ M bytes    │
//!   └────────────────────────────┴───────────────┴──────────┴────────────┘
//!                                 └──── payload: 2 + N + M bytes ────────┘
//!
//!   flags, in the lowest bits of the header's first byte:
//!     bit 0  Deleted     dead for good; the compactor skips it by its header alone
//!     bit 1  Tombstone   removed during a pass, still copied, dead in the target
//!     bit 2  A  ┐
//!     bit 3  B  ┴ for the store's user
//! ```
//!
//! The uvarint is LEB128, least significant group first. So the flags stand in the first byte, and marking an entry writes one
//! byte. A padding entry is a deleted entry of any payload length, 0 included; its payload is never looked at.

use integer_encoding::VarInt;

/// Bits of the header below the payload length.
pub const FLAG_BITS: u32 = 4;
/// Bytes of the key's length.
pub const KEY_LEN_BYTES: usize = 2;
/// The longest key in bytes.
pub const KEY_LEN_MAX: usize = u16::MAX as usize;
/// The longest value in bytes: 4 GiB - 2 - 64 KiB, so that the payload's length fits 32 bits with the longest key as well.
pub const VALUE_LEN_MAX: usize = u32::MAX as usize - KEY_LEN_BYTES - KEY_LEN_MAX;
/// The longest header in bytes.
pub const HEADER_LEN_MAX: usize = 6;

const _: () = assert!((u32::MAX as u64) << FLAG_BITS < 1 << (7 * HEADER_LEN_MAX), "a header fits its bytes");
const _: () = assert!(FLAG_BITS <= 7, "the flags are in the header's first byte");

/// The state of an entry, readable without its payload.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// Live, nothing set.
    pub const NONE: Flags = Flags(0);
    /// Dead for good.
    pub const DELETED: Flags = Flags(1);
    /// Removed during a pass: still copied, dead in the target.
    pub const TOMBSTONE: Flags = Flags(2);
    const MASK: u8 = (1 << FLAG_BITS) - 1;

    /// Whether the entry is in the map: neither deleted nor a tombstone.
    #[inline]
    pub const fn is_live(self) -> bool {
        self.0 & (Flags::DELETED.0 | Flags::TOMBSTONE.0) == 0
    }

    /// Whether it is dead for good.
    #[inline]
    pub const fn is_deleted(self) -> bool {
        self.0 & Flags::DELETED.0 != 0
    }

    /// Whether it was removed during a pass and is still to be copied.
    #[inline]
    pub const fn is_tombstone(self) -> bool {
        self.0 & Flags::TOMBSTONE.0 != 0
    }

    /// The user's two bits.
    #[inline]
    pub const fn user(self) -> UserFlags {
        UserFlags(self.0 >> 2)
    }

    /// What a tombstone becomes in the target.
    pub const fn tombstone_to_deleted(self) -> Flags {
        Flags(self.0 & !Flags::TOMBSTONE.0 | Flags::DELETED.0)
    }

    /// These flags and `more`.
    pub const fn with(self, more: Flags) -> Flags {
        Flags(self.0 | more.0)
    }
}

impl From<UserFlags> for Flags {
    fn from(user: UserFlags) -> Flags {
        Flags(user.0 << 2)
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [(1, "Deleted"), (2, "Tombstone"), (4, "A"), (8, "B")];
        let set: Vec<_> = names.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| *name).collect();
        write!(f, "Flags({})", if set.is_empty() { "live".to_owned() } else { set.join("|") })
    }
}

/// Two bits of the header that the store keeps for its user and never reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserFlags(u8);

impl UserFlags {
    /// Neither bit.
    pub const NONE: UserFlags = UserFlags(0);
    /// The first bit.
    pub const A: UserFlags = UserFlags(1);
    /// The second bit.
    pub const B: UserFlags = UserFlags(2);

    /// Both these and `other`.
    pub const fn with(self, other: UserFlags) -> UserFlags {
        UserFlags(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: UserFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes behind the header.
    pub payload_len: u32,
    /// The entry's state.
    pub flags: Flags,
}

impl Header {
    /// The header of an entry with a key and a value of these lengths.
    #[inline]
    pub fn of_entry(key_len: usize, value_len: usize, flags: Flags) -> Header {
        debug_assert!(key_len <= KEY_LEN_MAX && value_len <= VALUE_LEN_MAX);
        Header { payload_len: (KEY_LEN_BYTES + key_len + value_len) as u32, flags }
    }

    #[inline]
    fn word(self) -> u64 {
        u64::from(self.payload_len) << FLAG_BITS | u64::from(self.flags.0)
    }

    /// Bytes that the header takes, 1 to 6.
    #[inline]
    pub fn encoded_len(self) -> usize {
        let bits = 64 - (self.word() | 1).leading_zeros() as usize;
        bits.div_ceil(7)
    }

    /// Bytes of the whole entry.
    #[inline]
    pub fn entry_len(self) -> u64 {
        self.encoded_len() as u64 + u64::from(self.payload_len)
    }

    /// Writes the header to the front of `bytes`; returns its length.
    #[inline]
    pub fn encode(self, bytes: &mut [u8; 10]) -> usize {
        self.word().encode_var(bytes)
    }

    /// Reads a header from the front of `bytes`, which holds it whole.
    ///
    /// # Panics
    /// When there is no header: a log that does not read back is corrupt, and must not go on.
    #[inline]
    pub fn decode(bytes: &[u8]) -> (Header, usize) {
        // One and two bytes cover payloads up to 1,023 bytes: nearly all entries.
        let (word, len) = match *bytes {
            [first, ..] if first < 0x80 => (u64::from(first), 1),
            [first, second, ..] if second < 0x80 => (u64::from(first & 0x7f) | u64::from(second) << 7, 2),
            _ => u64::decode_var(bytes).expect("an entry begins with a header"),
        };
        let payload_len = u32::try_from(word >> FLAG_BITS).expect("a payload's length fits 32 bits");
        (Header { payload_len, flags: Flags(word as u8 & Flags::MASK) }, len)
    }

    /// The header's first byte with other flags.
    #[inline]
    pub fn first_byte_with(first: u8, flags: Flags) -> u8 {
        first & !Flags::MASK | flags.0
    }
}

/// The headers of the padding entries that fill exactly `len` bytes: one, or two for the lengths that one cannot have (a
/// payload one byte longer would need a longer header).
pub fn padding(len: u64) -> impl Iterator<Item = Header> {
    let deleted = |payload_len: u64| Header {
        payload_len: u32::try_from(payload_len).expect("padding is shorter than a chunk"),
        flags: Flags::DELETED,
    };
    let single = |len: u64| {
        (1..=len.min(HEADER_LEN_MAX as u64))
            .map(|header_len| deleted(len - header_len))
            .find(|header| header.entry_len() == len)
    };
    let pair = match single(len) {
        Some(header) => [Some(header), None],
        None if len == 0 => [None, None],
        None => [Some(deleted(0)), single(len - 1)],
    };
    debug_assert_eq!(pair.iter().flatten().map(|header| header.entry_len()).sum::<u64>(), len);
    pair.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_grows_by_a_byte_at_each_uvarint_boundary() {
        for (payload_len, header_len) in [
            (0, 1),
            ((1 << (7 - FLAG_BITS)) - 1, 1),
            (1 << (7 - FLAG_BITS), 2),
            ((1 << (14 - FLAG_BITS)) - 1, 2),
            (1 << (14 - FLAG_BITS), 3),
            ((1 << (21 - FLAG_BITS)) - 1, 3),
            (1 << (21 - FLAG_BITS), 4),
            ((1 << (28 - FLAG_BITS)) - 1, 4),
            (1 << (28 - FLAG_BITS), 5),
            ((1 << (35 - FLAG_BITS)) - 1, 5),
            (1 << (35 - FLAG_BITS), 6),
            (u32::MAX, 6),
        ] {
            for flags in [Flags::NONE, Flags::DELETED, Flags::TOMBSTONE, UserFlags::B.with(UserFlags::A).into()] {
                let header = Header { payload_len, flags };
                let mut bytes = [0; 10];
                assert_eq!(header.encode(&mut bytes), header_len, "{header:?}");
                assert_eq!(header.encoded_len(), header_len, "{header:?}");
                assert_eq!(Header::decode(&bytes[..header_len]), (header, header_len));
            }
        }
    }

    #[test]
    fn the_longest_key_with_the_longest_value_fits() {
        // With one byte more the length wrapped to 0, and the entry's bytes were taken for entries.
        assert_eq!(Header::of_entry(KEY_LEN_MAX, VALUE_LEN_MAX, Flags::NONE).payload_len, u32::MAX);
    }

    #[test]
    fn the_header_is_the_uvarint_of_length_and_flags() {
        let mut bytes = [0; 10];
        let header = Header::of_entry(16, 16, UserFlags::A.into());
        let len = header.encode(&mut bytes);
        // (2 + 16 + 16) << 4 | 4 = 548 = 0b100_0100100
        assert_eq!(&bytes[..len], &[0b1010_0100, 0b100]);
    }

    #[test]
    fn flags_change_in_the_first_byte_alone() {
        for payload_len in [0, 7, 8, 1023, 1024, u32::MAX] {
            let mut bytes = [0; 10];
            let len = Header { payload_len, flags: Flags::NONE }.encode(&mut bytes);
            bytes[0] = Header::first_byte_with(bytes[0], Flags::DELETED);
            assert_eq!(Header::decode(&bytes[..len]), (Header { payload_len, flags: Flags::DELETED }, len));
        }
    }

    #[test]
    fn a_tombstone_becomes_deleted_and_keeps_the_users_bits() {
        let flags = Flags::from(UserFlags::B).with(Flags::TOMBSTONE);
        assert!(!flags.is_live() && !flags.is_deleted());
        let dead = flags.tombstone_to_deleted();
        assert!(dead.is_deleted() && !dead.is_tombstone());
        assert_eq!(dead.user(), UserFlags::B);
    }

    #[test]
    fn padding_fills_every_length_exactly() {
        let lengths = (0..=if cfg!(miri) { 200 } else { 5000 }).chain([
            1 << 14,
            131_070,
            131_071,
            131_072,
            131_073,
            131_074,
            131_075,
            (1 << 20) - 1,
        ]);
        for len in lengths {
            let headers: Vec<_> = padding(len).collect();
            assert_eq!(headers.iter().map(|header| header.entry_len()).sum::<u64>(), len);
            assert!(headers.len() <= 2 && headers.iter().all(|header| header.flags == Flags::DELETED));
        }
        assert_eq!(padding(1).count(), 1);
        assert_eq!(padding(9).count(), 2, "8 + a one-byte header is one short, 7 + a two-byte header cannot be");
    }
}
