//! What C's `strtod` family takes for a number, and the rounding of an exact value to a binary float.
//!
//! ```text
//! [+|-] ( digits [. [digits]] | . digits )  [ e [+|-] digits ]        decimal
//! [+|-] 0x ( hex [. [hex]] | . hex )        [ p [+|-] digits ]        hexadecimal
//! [+|-] inf | infinity                                               in any case
//! ```
//!
//! Redis wants the whole text used, no leading blank and no NaN; so does [`scan`]. What it returns still is text: how
//! it is rounded depends on the width of the float, and is exact in both ([`super::double`], [`super::long_double`]).

/// A text that has the form of a number.
pub(super) struct FloatText<'a> {
    /// Whether a minus sign came first.
    pub(super) negative: bool,
    /// What came after the sign.
    pub(super) magnitude: Magnitude<'a>,
}

/// A number without its sign.
pub(super) enum Magnitude<'a> {
    /// `inf` or `infinity`.
    Infinity,
    /// Digits in base 10, the exponent a power of 10.
    Decimal(Digits<'a>),
    /// Digits in base 16, the exponent a power of 2.
    Hex(Digits<'a>),
}

/// `whole.fraction` times a power, with the zeros at both ends trimmed away.
pub(super) struct Digits<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    /// The power that belongs to the last digit kept. Far beyond any float's range it is only known to be that.
    exponent: i64,
}

/// Written exponents are cut off here: far outside of every range, far from overflow however long the digits are.
const EXPONENT_LIMIT: i64 = 1 << 60;

/// Takes a text apart, or `None` if not all of it is a number. NaN in any spelling is refused. O(length).
pub(super) fn scan(text: &[u8]) -> Option<FloatText<'_>> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let magnitude = match rest {
        [b'0', b'x' | b'X', rest @ ..] => Magnitude::Hex(Digits::scan(rest, Base::Sixteen)?),
        _ if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") => Magnitude::Infinity,
        _ => Magnitude::Decimal(Digits::scan(rest, Base::Ten)?),
    };
    Some(FloatText { negative, magnitude })
}

/// The two bases, which differ in their digits, their exponent's letter and what a digit is worth to the exponent.
#[derive(Clone, Copy)]
enum Base {
    Ten,
    Sixteen,
}

impl Base {
    fn is_digit(self, byte: u8) -> bool {
        match self {
            Base::Ten => byte.is_ascii_digit(),
            Base::Sixteen => byte.is_ascii_hexdigit(),
        }
    }

    fn is_exponent_letter(self, byte: u8) -> bool {
        match self {
            Base::Ten => byte.eq_ignore_ascii_case(&b'e'),
            Base::Sixteen => byte.eq_ignore_ascii_case(&b'p'),
        }
    }

    fn exponent_per_digit(self) -> i64 {
        match self {
            Base::Ten => 1,
            Base::Sixteen => 4,
        }
    }
}

impl<'a> Digits<'a> {
    fn scan(text: &'a [u8], base: Base) -> Option<Self> {
        let (mut whole, rest) = take_digits(text, base);
        let (mut fraction, rest) = match rest {
            [b'.', rest @ ..] => take_digits(rest, base),
            rest => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let written = match rest {
            [] => 0,
            [letter, rest @ ..] if base.is_exponent_letter(*letter) => scan_exponent(rest)?,
            _ => return None,
        };

        whole = trim_start(whole);
        fraction = trim_end(fraction);
        let mut places = -(fraction.len() as i64);
        if whole.is_empty() {
            fraction = trim_start(fraction);
        }
        if fraction.is_empty() {
            let kept = trim_end(whole);
            places += (whole.len() - kept.len()) as i64;
            whole = kept;
        }
        Some(Self { whole, fraction, exponent: written + places * base.exponent_per_digit() })
    }

    /// Whether the value is zero, whatever its exponent.
    pub(super) fn is_zero(&self) -> bool {
        self.len() == 0
    }

    /// How many digits there are from the first that is not zero to the last.
    pub(super) fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// The power (of 10 or 2) that the last digit is multiplied by.
    pub(super) fn exponent(&self) -> i64 {
        self.exponent
    }

    /// The digits, as ASCII, most significant first.
    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// The value as `bits * 2^exponent`, plus something smaller than the last bit if `inexact`.
    /// For hexadecimal digits; those beyond 120 bits only decide `inexact`.
    pub(super) fn hex_bits(&self) -> Binary {
        const DIGITS_MAX: usize = 30;
        let bits = self.iter().take(DIGITS_MAX).fold(0, |bits, byte| bits << 4 | u128::from(hex_digit(byte)));
        let dropped = self.len().saturating_sub(DIGITS_MAX);
        // The last digit is not zero: they were trimmed.
        Binary { bits, exponent: self.exponent + 4 * dropped as i64, inexact: dropped > 0 }
    }
}

fn take_digits(text: &[u8], base: Base) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|&&byte| base.is_digit(byte)).count())
}

fn trim_start(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|&&byte| byte == b'0').count()..]
}

fn trim_end(digits: &[u8]) -> &[u8] {
    &digits[..digits.len() - digits.iter().rev().take_while(|&&byte| byte == b'0').count()]
}

fn scan_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits
        .iter()
        .fold(0_i64, |value, byte| value.saturating_mul(10).saturating_add(i64::from(byte - b'0')).min(EXPONENT_LIMIT));
    Some(if negative { -magnitude } else { magnitude })
}

/// The value of a hexadecimal digit; also used for `\xHH`.
pub(super) fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ => unreachable!("the caller saw that it is a hexadecimal digit"),
    }
}

/// `bits * 2^exponent`, or, if `inexact`, something strictly between that and `(bits + 1) * 2^exponent`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binary {
    pub(super) bits: u128,
    pub(super) exponent: i64,
    pub(super) inexact: bool,
}

impl Binary {
    /// `bits * 2^exponent` and nothing more.
    pub(super) fn exact(bits: u128, exponent: i64) -> Self {
        Self { bits, exponent, inexact: false }
    }

    /// Rounds to the nearest `significand * 2^exponent` with at most `precision` (<= 64) bits in the significand and no
    /// exponent under `exponent_min`, halves to even. The significand has exactly `precision` bits unless the value is
    /// below the normal range (or zero). If `inexact`, `bits` must have at least `precision + 2` bits, or the value
    /// reach below `exponent_min`.
    pub(super) fn round(self, precision: u32, exponent_min: i64) -> (u64, i64) {
        if self.bits == 0 {
            return (0, exponent_min);
        }
        let width = i64::from(u128::BITS - self.bits.leading_zeros());
        let exponent = (self.exponent + width - i64::from(precision)).max(exponent_min);
        let shift = exponent - self.exponent;
        if shift <= 0 {
            debug_assert!(!self.inexact, "a value that was cut off has more bits than are asked for");
            return ((self.bits << -shift) as u64, exponent);
        }
        if shift > width {
            // Under half of the smallest step.
            return (0, exponent_min);
        }
        // 1 <= shift <= width <= 128
        let half = 1_u128 << (shift - 1);
        let below = self.bits & (half | (half - 1));
        let kept = if shift == 128 { 0 } else { self.bits >> shift };
        let up = below > half || (below == half && (self.inexact || kept & 1 == 1));
        let rounded = kept + u128::from(up);
        if rounded >> precision == 0 {
            (rounded as u64, exponent)
        } else {
            ((rounded >> 1) as u64, exponent + 1) // All ones, rounded up to a power of two.
        }
    }
}
