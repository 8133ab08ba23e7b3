//! Integers of 1 to 64 bits anywhere in a string, as BITFIELD reads and writes them.
//!
//! ```text
//!  byte      0        1        2           9 at most
//!  bits  ......vv vvvvvvvv vv......       the first bit of the field is its most significant one
//!        shift 6, 12 bits
//! ```
//!
//! A field of 64 bits that begins within a byte reaches into a ninth one: a [`Window`] holds all bytes that any field touches.

/// The bytes from the one in which a field begins; zeros behind the end of the string.
pub type Window = [u8; WINDOW_BYTES];

/// As many bytes as a field may touch.
pub const WINDOW_BYTES: usize = 9;

/// The type of a field: `i1` to `i64`, `u1` to `u63`. Values of all of them fit `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldType {
    signed: bool,
    bits: u32,
}

/// What becomes of a number that does not fit its field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Its lowest bits are kept.
    #[default]
    Wrap,
    /// The number of the type that is nearest to it.
    Saturate,
    /// The field stays as it is.
    Fail,
}

impl FieldType {
    /// Reads `u8`, `i16` and the like: in lower case, without leading zeros.
    pub fn parse(text: &[u8]) -> Option<FieldType> {
        let (signed, bits_max) = match text.first()? {
            b'i' => (true, 64),
            b'u' => (false, 63),
            _ => return None,
        };
        let bits = crate::text::integer::parse_i64(&text[1..])?;
        (1..=bits_max).contains(&bits).then_some(FieldType { signed, bits: bits as u32 })
    }

    /// Its width.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// How many bytes a field touches that begins at bit `shift` of a byte.
    pub fn bytes(self, shift: u32) -> usize {
        (shift + self.bits).div_ceil(8) as usize
    }

    /// The field that begins at bit `shift` (0 to 7) of the window.
    pub fn get(self, window: &Window, shift: u32) -> i64 {
        let bits = (whole(window) >> self.behind(shift)) as u64 & self.mask();
        if self.signed { self.extended(bits) } else { bits as i64 }
    }

    /// Writes the lowest bits of `value` to the field that begins at bit `shift` (0 to 7) of the window.
    pub fn set(self, window: &mut Window, shift: u32, value: i64) {
        let behind = self.behind(shift);
        let others = whole(window) & !(u128::from(self.mask()) << behind);
        let written = others | u128::from(value as u64 & self.mask()) << behind;
        window.copy_from_slice(&written.to_be_bytes()[16 - WINDOW_BYTES..]);
    }

    /// `value` as far as the type can hold it; `None` if it cannot and shall fail.
    pub fn fitted(self, value: i64, overflow: Overflow) -> Option<i64> {
        self.sum(value, 0, overflow)
    }

    /// `value + increment` as far as the type can hold it; `None` if it cannot and shall fail.
    ///
    /// Where the value itself is out of range, as only that of a SET can be, this is Redis's arithmetic to the letter: of an
    /// unsigned type it is taken as a 64-bit number without sign, and of a signed type narrower than 64 bits it counts as too
    /// large also if it is so far below that its distance from the greatest number does not fit 64 bits.
    pub fn sum(self, value: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        let (least, greatest) = self.limits();
        let (too_large, too_small) = if !self.signed {
            let unsigned = value as u64;
            let sum = i128::from(unsigned) + i128::from(increment);
            (unsigned > greatest as u64 || sum > i128::from(greatest), sum < 0)
        } else if self.bits == 64 {
            let sum = value.checked_add(increment);
            (sum.is_none() && increment > 0, sum.is_none() && increment < 0)
        } else {
            let (above, below) = (greatest.wrapping_sub(value), least.wrapping_sub(value));
            (value > greatest || increment > above, value < least || increment < below)
        };
        if !too_large && !too_small {
            return Some(value.wrapping_add(increment));
        }
        match overflow {
            Overflow::Wrap => {
                let bits = value.wrapping_add(increment) as u64 & self.mask();
                Some(if self.signed { self.extended(bits) } else { bits as i64 })
            }
            Overflow::Saturate => Some(if too_large { greatest } else { least }),
            Overflow::Fail => None,
        }
    }

    /// The least and the greatest number.
    fn limits(self) -> (i64, i64) {
        if self.signed {
            let greatest = (self.mask() >> 1) as i64;
            (-greatest - 1, greatest)
        } else {
            (0, self.mask() as i64)
        }
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// How many bits of the window lie behind the field.
    fn behind(self, shift: u32) -> u32 {
        debug_assert!(shift < 8, "a window begins with the field's first byte");
        8 * WINDOW_BYTES as u32 - shift - self.bits
    }

    /// The number that `bits` are with a sign.
    fn extended(self, bits: u64) -> i64 {
        let unused = 64 - self.bits;
        (bits << unused) as i64 >> unused
    }
}

/// The window as one number.
fn whole(window: &Window) -> u128 {
    let mut bytes = [0; 16];
    bytes[16 - WINDOW_BYTES..].copy_from_slice(window);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> FieldType {
        FieldType::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a type"))
    }

    #[test]
    fn types_are_read_strictly() {
        for text in ["i1", "i64", "u1", "u63"] {
            of(text);
        }
        for text in ["", "i", "u", "i0", "u0", "i65", "u64", "I8", "U8", "i08", "i-1", "x8", "8", "i8 ", "u+8"] {
            assert_eq!(FieldType::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_number_that_does_not_fit_wraps_saturates_or_fails() {
        use Overflow::{Fail, Saturate, Wrap};
        const MAX: i64 = i64::MAX;
        const MIN: i64 = i64::MIN;
        const I63_MAX: i64 = (1 << 62) - 1;
        for (kind, value, increment, wrapped, saturated) in [
            ("u8", 255, 1, 0, 255),
            ("u8", 0, -1, 255, 0),
            ("u8", 100, MIN, 100, 0),
            ("u8", 100, MAX, 99, 255),
            ("u8", -1, 0, 255, 255),
            ("u8", MIN, 0, 0, 255),
            ("i8", 127, 1, -128, 127),
            ("i8", -128, -1, 127, -128),
            ("i8", -100, MIN, -100, -128),
            ("i8", 200, 0, -56, 127),
            ("i8", -200, 0, 56, -128),
            ("i8", MIN, 0, 0, 127),
            ("i63", -I63_MAX - 2, 0, I63_MAX, I63_MAX),
            ("i63", I63_MAX, MAX, I63_MAX - 1, I63_MAX),
            ("i64", MAX, 1, MIN, MAX),
            ("i64", -1, MIN, MAX, MIN),
            ("u63", MAX, 1, 0, MAX),
            ("u63", 4, MAX, 3, MAX),
            ("u63", -5, 0, MAX - 4, MAX),
            ("u63", 0, -1, MAX, 0),
            ("i1", 1, 0, -1, 0),
            ("u1", 1, 1, 0, 1),
        ] {
            let sum = |overflow| of(kind).sum(value, increment, overflow);
            assert_eq!(sum(Wrap), Some(wrapped), "{kind} {value} + {increment}");
            assert_eq!(sum(Saturate), Some(saturated), "{kind} {value} + {increment}");
            assert_eq!(sum(Fail), None, "{kind} {value} + {increment}");
        }
        assert_eq!(of("i64").sum(1, MIN, Fail), Some(MIN + 1));
        assert_eq!(of("u63").sum(5, MIN, Saturate), Some(0));
    }

    proptest! {
        #[test]
        fn a_field_reads_back_and_no_other_bit_changes(
            window in any::<[u8; WINDOW_BYTES]>(), shift in 0_u32..8, bits in 1_u32..=64, signed in any::<bool>(), value in any::<i64>(),
        ) {
            let kind = FieldType { signed, bits: if signed { bits } else { bits.min(63) } };
            let Some(value) = kind.fitted(value, Overflow::Wrap) else { panic!("wrapping never fails") };
            let mut written = window;
            kind.set(&mut written, shift, value);
            prop_assert_eq!(kind.get(&written, shift), value);
            let bit = |window: &Window, at: u32| window[at as usize / 8] >> (7 - at % 8) & 1;
            for at in (0..8 * WINDOW_BYTES as u32).filter(|at| !(shift..shift + kind.bits).contains(at)) {
                prop_assert_eq!(bit(&written, at), bit(&window, at));
            }
            let read = (shift..shift + kind.bits).fold(0_u64, |read, at| read << 1 | u64::from(bit(&written, at)));
            prop_assert_eq!(read, value as u64 & kind.mask());
            prop_assert!(kind.bytes(shift) <= WINDOW_BYTES);
        }

        #[test]
        fn sums_in_range_are_sums(bits in 1_u32..=64, signed in any::<bool>(), value in any::<i64>(), increment in any::<i64>()) {
            let kind = FieldType { signed, bits: if signed { bits } else { bits.min(63) } };
            let value = kind.fitted(value, Overflow::Wrap).unwrap_or_default();
            let (least, greatest) = kind.limits();
            let sum = i128::from(value) + i128::from(increment);
            let exact = i64::try_from(sum).ok().filter(|sum| (least..=greatest).contains(sum));
            prop_assert_eq!(kind.sum(value, increment, Overflow::Fail), exact);
            let clamped = sum.clamp(i128::from(least), i128::from(greatest));
            prop_assert_eq!(kind.sum(value, increment, Overflow::Saturate).map(i128::from), Some(clamped));
            let wrapped = kind.sum(value, increment, Overflow::Wrap).map(|sum| sum as u64 & kind.mask());
            prop_assert_eq!(wrapped, Some(sum as u64 & kind.mask()));
        }
    }
}
