//! The 80-bit floats in which Redis counts for INCRBYFLOAT and HINCRBYFLOAT, on any machine.
//!
//! Redis adds in C's `long double`, on x86-64 the x87 extended format, and clients see its last bits: 0.1 + 0.2 is `0.3`,
//! 3 times 0.1 is `0.3`, and 5e18 + 0.5 keeps its half. This file is that format in integers:
//!
//! ```text
//! value = +- significand * 2^exponent
//!         significand < 2^64, and >= 2^63 unless exponent = -16445 (below the normal range, or zero)
//!         exponent in -16445..=16320: from 3.6e-4951 to 1.18e4932
//! ```
//!
//! Reading, adding and writing each round once, to the nearest, halves to even. Text of up to 19 digits with small
//! exponents, which is what counters hold, needs no allocation; the rest goes through exact big integers, at most
//! some 33,000 bits wide and well under a millisecond.

use std::ops::Add;

use num_bigint::BigUint;

use super::float_text::{Binary, Digits, Magnitude, scan};

/// Bits of the significand.
const PRECISION: u32 = 64;
/// Exponent of the smallest step.
const EXPONENT_MIN: i64 = -16445;
/// Exponent of the largest finite values.
const EXPONENT_MAX: i64 = 16320;
/// The longest text that is read.
pub const TEXT_MAX: usize = 5 * 1024 - 1;
/// Decimal places that are written.
const PLACES: usize = 17;

/// A number of the x87 extended format. Small, `Copy`, without a NaN payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongDouble(Value);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Finite {
        negative: bool,
        significand: u64,
        exponent: i64,
    },
    Infinite {
        negative: bool,
    },
    /// Infinity minus infinity.
    Nan,
}

impl LongDouble {
    /// What a missing key or field counts from.
    pub const ZERO: Self = Self(Value::Finite { negative: false, significand: 0, exponent: EXPONENT_MIN });

    /// Reads a number as `strtold` does: decimal, hexadecimal (`0x1p-3`), `inf` and `infinity` in any case.
    ///
    /// Refused are blanks, NaN, text after the number, more than 5,119 bytes, and what is too large, or too small to
    /// be anything but zero. A value below the normal range loses bits and is accepted.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let number = scan(text)?;
        let negative = number.negative;
        let exact = match number.magnitude {
            Magnitude::Infinity => return Some(Self(Value::Infinite { negative })),
            Magnitude::Decimal(digits) | Magnitude::Hex(digits) if digits.is_zero() => {
                return Some(Self(Value::Finite { negative, significand: 0, exponent: EXPONENT_MIN }));
            }
            Magnitude::Hex(digits) => digits.hex_bits(),
            Magnitude::Decimal(digits) => decimal_bits(&digits)?,
        };
        let value = Self::rounded(negative, exact);
        // Digits must become neither infinity nor zero: the cases of ERANGE that Redis refuses.
        (value.is_finite() && !value.is_zero()).then_some(value)
    }

    /// Neither infinite nor NaN.
    pub fn is_finite(self) -> bool {
        matches!(self.0, Value::Finite { .. })
    }

    fn is_zero(self) -> bool {
        matches!(self.0, Value::Finite { significand: 0, .. })
    }

    fn rounded(negative: bool, exact: Binary) -> Self {
        let (significand, exponent) = exact.round(PRECISION, EXPONENT_MIN);
        Self(if exponent > EXPONENT_MAX {
            Value::Infinite { negative }
        } else {
            Value::Finite { negative, significand, exponent }
        })
    }

    /// Appends the number with 17 decimal places, rounded from its exact value, without the zeros at the end and the
    /// point before them; zero, also what rounds to it, is `0`. At most 4,934 bytes. The format of every reply and stored
    /// value of INCRBYFLOAT.
    ///
    /// What is not finite is written as `inf`, `-inf`, `nan`; the commands refuse it before.
    pub fn append_to(self, out: &mut Vec<u8>) {
        match self.0 {
            Value::Nan => out.extend_from_slice(b"nan"),
            Value::Infinite { negative: false } => out.extend_from_slice(b"inf"),
            Value::Infinite { negative: true } => out.extend_from_slice(b"-inf"),
            Value::Finite { negative, significand, exponent } => {
                let (whole, fraction) = split_at_point(significand, exponent);
                if negative && (whole != Whole::Small(0) || fraction != 0) {
                    out.push(b'-');
                }
                match whole {
                    Whole::Small(whole) => {
                        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
                    }
                    Whole::Big(whole) => out.extend_from_slice(whole.to_string().as_bytes()),
                }
                append_fraction(out, fraction);
            }
        }
    }
}

impl From<i64> for LongDouble {
    /// Exact: 64 bits fit.
    fn from(value: i64) -> Self {
        Self::rounded(value < 0, Binary::exact(u128::from(value.unsigned_abs()), 0))
    }
}

impl Add for LongDouble {
    type Output = Self;

    /// The sum, rounded once. Opposite infinities give NaN, too large a sum infinity: the caller asks [`Self::is_finite`].
    fn add(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Value::Nan, _) | (_, Value::Nan) => Self(Value::Nan),
            (Value::Infinite { negative: a }, Value::Infinite { negative: b }) if a != b => Self(Value::Nan),
            (Value::Infinite { .. }, _) => self,
            (_, Value::Infinite { .. }) => other,
            (Value::Finite { exponent: a, .. }, Value::Finite { exponent: b, .. }) => {
                if a >= b {
                    add_finite(self.0, other.0)
                } else {
                    add_finite(other.0, self.0)
                }
            }
        }
    }
}

/// `high + low`, both finite, the exponent of `high` not the smaller one.
fn add_finite(high: Value, low: Value) -> LongDouble {
    /// Bits kept below the significand of `high`. Two more above it take the carry of the sum.
    const GUARD: u32 = 62;

    let (
        Value::Finite { negative, significand: high, exponent },
        Value::Finite { negative: low_negative, significand: low, exponent: low_exponent },
    ) = (high, low)
    else {
        unreachable!("the caller matched both as finite");
    };

    let high = u128::from(high) << GUARD;
    let low = u128::from(low) << GUARD;
    let distance = u32::try_from(exponent - low_exponent).expect("the exponent of `high` is not the smaller one");
    let aligned = low.checked_shr(distance).unwrap_or(0);
    // Bits are lost only at a distance beyond GUARD, where `high` is normal and the sum keeps at least 125 bits.
    let inexact = aligned.checked_shl(distance) != Some(low) && low != 0;
    let exponent = exponent - i64::from(GUARD);

    let (negative, bits) = if negative == low_negative {
        (negative, high + aligned)
    } else if high >= aligned {
        // What was lost is taken away as well: the truth lies just under high - aligned.
        (negative, high - aligned - u128::from(inexact))
    } else {
        // Only at distance 0 (which it is, too, if `high` is below the normal range): nothing is lost.
        debug_assert!(!inexact);
        (low_negative, aligned - high)
    };
    // x - x is +0 when rounding to nearest; -0 is the sum of two of its kind only.
    let negative = negative && (bits != 0 || low_negative);
    LongDouble::rounded(negative, Binary { bits, exponent, inexact })
}

/// Decimal digits as bits, enough of them to be rounded; `None` if they are out of every range.
fn decimal_bits(digits: &Digits<'_>) -> Option<Binary> {
    /// `10^DECADE_MAX` is more than any finite value, `10^DECADE_MIN` less than half of the smallest.
    const DECADE_MAX: i64 = 4933;
    const DECADE_MIN: i64 = -4951;
    /// Digits, and powers of ten, that fit 64 bits.
    const SMALL: usize = 19;

    // The value is in 10^(decade - 1) .. 10^decade.
    let decade = digits.len() as i64 + digits.exponent();
    if decade > DECADE_MAX || decade <= DECADE_MIN {
        return None;
    }
    let power = digits.exponent();
    if digits.len() <= SMALL && power.unsigned_abs() <= SMALL as u64 {
        let value = digits.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        let factor = 10_u64.pow(power.unsigned_abs() as u32);
        return Some(if power >= 0 {
            Binary::exact(u128::from(value) * u128::from(factor), 0)
        } else {
            let spare = value.leading_zeros();
            let numerator = u128::from(value << spare) << 64;
            divide_small(numerator, u128::from(factor), -64 - i64::from(spare))
        });
    }

    let value = digits.iter().collect::<Vec<u8>>();
    let value = BigUint::parse_bytes(&value, 10).expect("digits, at least one");
    let factor = BigUint::from(10_u32).pow(power.unsigned_abs() as u32);
    Some(if power >= 0 { top_bits(&(value * factor), 0, false) } else { divide_big(value, &factor) })
}

/// `numerator / factor * 2^exponent`, for a numerator with its highest bit set and a factor of 10 to 10^19.
fn divide_small(numerator: u128, factor: u128, exponent: i64) -> Binary {
    // The quotient has 64 to 125 bits (2^127 / 10^19 > 2^63). Two more are drawn from the remainder: what rounding to
    // 64 needs beside `inexact`.
    let remainder = (numerator % factor) << 2;
    Binary {
        bits: (numerator / factor) << 2 | (remainder / factor),
        exponent: exponent - 2,
        inexact: !remainder.is_multiple_of(factor),
    }
}

fn divide_big(value: BigUint, factor: &BigUint) -> Binary {
    // Enough zeros below for a quotient of at least 127 bits.
    let shift = (128 + factor.bits()).saturating_sub(value.bits());
    let numerator = value << shift;
    let quotient = &numerator / factor;
    let inexact = &quotient * factor != numerator;
    top_bits(&quotient, -(shift as i64), inexact)
}

/// The highest 128 bits of `value * 2^exponent`.
fn top_bits(value: &BigUint, exponent: i64, inexact: bool) -> Binary {
    let shift = value.bits().saturating_sub(128);
    let bits = u128::try_from(value >> shift).expect("128 bits are left");
    let lost = value.trailing_zeros().is_some_and(|zeros| zeros < shift);
    Binary { bits, exponent: exponent + shift as i64, inexact: inexact || lost }
}

/// The part before the point.
#[derive(PartialEq)]
enum Whole {
    Small(u128),
    Big(BigUint),
}

/// The whole part and the 17 places after the point, as an integer, rounded half to even.
fn split_at_point(significand: u64, exponent: i64) -> (Whole, u64) {
    const SCALE: u128 = 10_u128.pow(PLACES as u32);

    let shift = exponent.unsigned_abs();
    if exponent >= 0 {
        let whole = if shift <= 64 {
            Whole::Small(u128::from(significand) << shift)
        } else {
            Whole::Big(BigUint::from(significand) << shift)
        };
        return (whole, 0);
    }
    if shift >= 128 {
        // Under 2^-64, which is under half of the last place.
        return (Whole::Small(0), 0);
    }
    // 1 <= shift <= 127
    let significand = u128::from(significand);
    let whole = significand >> shift;
    let below_point = (significand - (whole << shift)) * SCALE; // < 2^64 * 10^17 < 2^121
    let half = 1_u128 << (shift - 1);
    let fraction = below_point >> shift;
    let rest = below_point - (fraction << shift);
    let fraction = fraction + u128::from(rest > half || (rest == half && fraction & 1 == 1));
    if fraction == SCALE { (Whole::Small(whole + 1), 0) } else { (Whole::Small(whole), fraction as u64) }
}

fn append_fraction(out: &mut Vec<u8>, mut fraction: u64) {
    if fraction == 0 {
        return;
    }
    let mut places = PLACES;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        places -= 1;
    }
    out.push(b'.');
    let start = out.len();
    out.resize(start + places, b'0');
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
}

#[cfg(test)]
mod tests;
