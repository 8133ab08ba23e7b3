//! 64-bit floats as text: scores of sorted sets, RESP3 doubles, arguments in seconds.
//!
//! Reading is C's `strtod` on the whole text ([`parse_f64`]). Writing is [`DoubleText`]: the fewest digits that read back as
//! the same number, laid out by Redis's rules, which are those of the fpconv library that it has used since 7.2:
//!
//! | The number | Layout | Example |
//! |---|---|---|
//! | whole, at most 2^62 | all digits | `1000000000000000000` |
//! | larger, at most 7 zeros after its digits | all digits | `12345678901234568000000` |
//! | at most 6 digits after the point, or under 10,000 and at least 0.001 | plain | `0.000015`, `1234.5678901234` |
//! | all others | `d.ddd`, `e+` or `e-`, exponent unpadded | `1.23456789012345e+4`, `1e-7` |
//!
//! One difference is accepted: fpconv (Grisu2) misses the shortest digits in about one of a thousand numbers of 17
//! digits. Ours are the shortest and the closest, always, and read back as the same number.

use std::ops::Deref;

use super::float_text::{Digits, Magnitude, scan};

/// From this length on a text is cut down before it is read.
const LONG_TEXT: usize = 1024;
/// No 64-bit float, nor the middle between two, has more significant digits; what follows only matters by not being zero.
const DIGITS_MAX: usize = 768;

/// Reads a float as `strtod` does, rounded to nearest: decimal, hexadecimal (`0x1p-3`), `inf` and `infinity` in any case.
///
/// Refused are blanks, NaN, text after the number, and what is too large, or too small to be anything but zero.
/// A value below the normal range loses bits and is accepted. O(length).
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let number = scan(text)?;
    let magnitude = match number.magnitude {
        Magnitude::Infinity => f64::INFINITY,
        Magnitude::Decimal(digits) | Magnitude::Hex(digits) if digits.is_zero() => 0.0,
        Magnitude::Hex(digits) => in_range(round_hex(&digits))?,
        Magnitude::Decimal(_) if text.len() < LONG_TEXT => {
            let text = std::str::from_utf8(text).expect("the scan saw only digits, signs, a point and an e");
            let value: f64 = text.parse().expect("the standard library reads every decimal that the scan accepts");
            in_range(value.abs())?
        }
        Magnitude::Decimal(digits) => in_range(round_long_decimal(&digits))?,
    };
    Some(if number.negative { -magnitude } else { magnitude })
}

/// `None` for what digits other than zeros must not become: the cases of ERANGE that Redis refuses.
fn in_range(magnitude: f64) -> Option<f64> {
    (magnitude != 0.0 && magnitude.is_finite()).then_some(magnitude)
}

fn round_hex(digits: &Digits<'_>) -> f64 {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    const EXPONENT_MIN: i64 = f64::MIN_EXP as i64 - f64::MANTISSA_DIGITS as i64;
    const EXPONENT_MAX: i64 = f64::MAX_EXP as i64 - f64::MANTISSA_DIGITS as i64;

    let (significand, exponent) = digits.hex_bits().round(f64::MANTISSA_DIGITS, EXPONENT_MIN);
    if exponent > EXPONENT_MAX {
        return f64::INFINITY;
    }
    if significand >> FRACTION_BITS == 0 {
        return f64::from_bits(significand); // Below the normal range.
    }
    let biased = (exponent - EXPONENT_MIN + 1) as u64;
    f64::from_bits(biased << FRACTION_BITS | (significand & ((1 << FRACTION_BITS) - 1)))
}

/// Keeps the digits that can matter, so that neither the length nor a huge exponent that makes up for it counts.
fn round_long_decimal(digits: &Digits<'_>) -> f64 {
    let kept = digits.len().min(DIGITS_MAX);
    let dropped = digits.len() - kept;
    let mut text: String = digits.iter().take(kept).map(char::from).collect();
    let mut exponent = digits.exponent().saturating_add(dropped as i64);
    if dropped > 0 {
        text.push('1');
        exponent -= 1;
    }
    format!("{text}e{exponent}").parse().expect("digits and an exponent are a decimal")
}

/// Reads what stands at the beginning or the end of a range of scores: as C's `strtod` on a C string, blanks in front and all. So
/// nothing at all is 0, and what is too large or too small is infinite or 0. `None`: it is NaN, or something follows the number.
pub fn parse_bound(text: &[u8]) -> Option<f64> {
    let text = &text[..memchr::memchr(0, text).unwrap_or(text.len())];
    let number = &text[text.iter().take_while(|&&byte| super::is_space(byte)).count()..];
    match parse_f64(number) {
        Some(value) => Some(value),
        None if text.is_empty() => Some(0.0),
        None => {
            let number = scan(number)?;
            // It is a number, and out of range.
            let is_large = match number.magnitude {
                Magnitude::Infinity => true,
                Magnitude::Decimal(digits) | Magnitude::Hex(digits) => {
                    digits.exponent().saturating_add(digits.len() as i64) > 0
                }
            };
            let magnitude = if is_large { f64::INFINITY } else { 0.0 };
            Some(if number.negative { -magnitude } else { magnitude })
        }
    }
}

/// A float with 17 digits, as `printf("%.17g")` writes it: scores in ZSCAN.
pub fn seventeen_digits(value: f64) -> String {
    const DIGITS: i32 = 17;
    if !value.is_finite() || value == 0.0 {
        return DoubleText::new(value).escape_ascii().to_string();
    }
    // One digit, a point, 16 digits, the exponent.
    let text = format!("{value:.16e}");
    let (mantissa, exponent) = text.split_once('e').expect("that is its form");
    let exponent: i32 = exponent.parse().expect("that is its form");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let digits: String = mantissa.chars().filter(|&digit| digit != '.').collect();
    let digits = digits.trim_end_matches('0');
    let point = (exponent + 1).max(0) as usize;
    if !(-4..DIGITS).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{dot}{rest}e{exponent_sign}{:02}", exponent.abs());
    }
    if exponent < 0 {
        return format!("{sign}0.{:0>width$}", digits, width = digits.len() + (-exponent - 1) as usize);
    }
    if digits.len() <= point {
        return format!("{sign}{digits:0<point$}");
    }
    let (whole, fraction) = digits.split_at(point);
    format!("{sign}{whole}.{fraction}")
}

/// The longest text: sign, 17 digits, 7 zeros.
const TEXT_MAX: usize = 25;

/// A float written as Redis writes it, on the stack. Dereferences to its bytes; at most 25 of them.
#[derive(Clone, Copy)]
pub struct DoubleText {
    bytes: [u8; TEXT_MAX],
    len: u8,
}

impl DoubleText {
    /// Writes `value`: `inf`, `-inf`, `nan`, `0`, `-0`, or by the rules in this module's table. Some tens of nanoseconds.
    pub fn new(value: f64) -> Self {
        /// Whole numbers up to here are written in full.
        const WHOLE_MAX: f64 = (1_u64 << 62) as f64;

        let mut text = Self { bytes: [0; TEXT_MAX], len: 0 };
        if value.is_nan() {
            text.push(b"nan");
        } else if value.is_infinite() {
            text.push(if value < 0.0 { b"-inf" } else { b"inf" });
        } else if value == 0.0 {
            text.push(if value.is_sign_negative() { b"-0" } else { b"0" });
        } else if value.abs() <= WHOLE_MAX && value.trunc() == value {
            text.push(itoa::Buffer::new().format(value as i64).as_bytes());
        } else {
            text.push_shortest(value);
        }
        text
    }

    fn push_shortest(&mut self, value: f64) {
        if value < 0.0 {
            self.push(b"-");
        }
        let shortest = Shortest::of(value.abs());
        let digits = shortest.digits();
        let count = digits.len() as i32;
        // Where the point is, counted from the first digit, and the power of ten of the first digit.
        let point = count + shortest.exponent;
        let power = point - 1;

        if shortest.exponent >= 0 && power.abs() < count + 7 {
            self.push(digits);
            self.push_zeros(shortest.exponent);
        } else if shortest.exponent < 0 && (shortest.exponent > -7 || power.abs() < 4) {
            if point > 0 {
                let (whole, fraction) = digits.split_at(point as usize);
                self.push(whole);
                self.push(b".");
                self.push(fraction);
            } else {
                self.push(b"0.");
                self.push_zeros(-point);
                self.push(digits);
            }
        } else {
            self.push(&digits[..1]);
            if count > 1 {
                self.push(b".");
                self.push(&digits[1..]);
            }
            self.push(if power < 0 { b"e-" } else { b"e+" });
            self.push(itoa::Buffer::new().format(power.unsigned_abs()).as_bytes());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }

    fn push_zeros(&mut self, count: i32) {
        for _ in 0..count {
            self.push(b"0");
        }
    }
}

impl Deref for DoubleText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for DoubleText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.escape_ascii())
    }
}

/// The digits of a finite positive float, no zero at either end: the value is `digits * 10^exponent`.
struct Shortest {
    bytes: [u8; 17],
    len: usize,
    exponent: i32,
}

impl Shortest {
    fn of(value: f64) -> Self {
        let mut buffer = zmij::Buffer::new();
        // One of "123.0", "0.00012", "1.5e-7", "1e21": digits, perhaps a point, perhaps an exponent.
        let text = buffer.format_finite(value);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut shortest = Self { bytes: [0; 17], len: 0, exponent: 0 };
        let mut zeros = 0;
        for byte in mantissa.bytes().filter(|&byte| byte != b'.') {
            if byte == b'0' {
                zeros += 1;
                continue;
            }
            // Zeros between digits count; those before the first and after the last do not.
            if shortest.len > 0 {
                shortest.bytes[shortest.len..shortest.len + zeros].fill(b'0');
                shortest.len += zeros;
            }
            zeros = 0;
            shortest.bytes[shortest.len] = byte;
            shortest.len += 1;
        }
        let places = mantissa.find('.').map_or(0, |point| mantissa.len() - point - 1);
        let written: i32 = exponent.parse().expect("an exponent is a small integer");
        shortest.exponent = written - places as i32 + zeros as i32;
        shortest
    }

    fn digits(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        String::from_utf8(DoubleText::new(value).to_vec()).unwrap()
    }

    #[test]
    fn a_float_is_laid_out_by_the_rules_of_fpconv() {
        let table: &[(f64, &str)] = &[
            (0.0, "0"),
            (-0.0, "-0"),
            (f64::NAN, "nan"),
            (-f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (1.0, "1"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (3.25, "3.25"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3.0, "0.3333333333333333"),
            (123456.789, "123456.789"),
            // Whole numbers are written in full up to 2^62, then as far as seven zeros.
            (4611686018427387904.0, "4611686018427387904"),
            (-4611686018427387904.0, "-4611686018427387904"),
            (4611686018427388928.0, "4611686018427389000"),
            (1e18, "1000000000000000000"),
            (5e18, "5e+18"),
            (1e20, "1e+20"),
            (1e21, "1e+21"),
            (1.2345678901234568e22, "12345678901234568000000"),
            (1.2345678901234567e23, "123456789012345670000000"),
            (1.2345678901234568e24, "1.2345678901234568e+24"),
            (-1.2345678901234567e23, "-123456789012345670000000"),
            // Small ones stay plain for six places, whatever their size ...
            (0.000001, "0.000001"),
            (0.000015, "0.000015"),
            (0.0000001, "1e-7"),
            (0.0000015, "1.5e-6"),
            (12345.678901, "12345.678901"),
            // ... or for as many as they need if they are between 0.001 and 10,000.
            (0.0012345678, "0.0012345678"),
            (0.00012345678, "1.2345678e-4"),
            (1234.56789012, "1234.56789012"),
            (12345.6789012, "1.23456789012e+4"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN, "-1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
            (1e100, "1e+100"),
            (1e-100, "1e-100"),
            (1e305, "1e+305"),
        ];
        for (value, expected) in table {
            assert_eq!(text(*value), *expected);
        }
    }

    #[test]
    fn a_float_is_read_as_strtod_reads_it() {
        let table: &[(&[u8], f64)] = &[
            (b"0", 0.0),
            (b"-0", -0.0),
            (b"007", 7.0),
            (b"+5", 5.0),
            (b"5.", 5.0),
            (b".5", 0.5),
            (b"-.5e1", -5.0),
            (b"1e3", 1000.0),
            (b"1E+3", 1000.0),
            (b"1e-3", 0.001),
            (b"0e999999999999999999999999", 0.0),
            (b"0x0p999999999999999999999", 0.0),
            (b"inf", f64::INFINITY),
            (b"+INF", f64::INFINITY),
            (b"-inf", f64::NEG_INFINITY),
            (b"Infinity", f64::INFINITY),
            (b"0x10", 16.0),
            (b"0X1.8p1", 3.0),
            (b"-0x.8", -0.5),
            (b"0x1.p-3", 0.125),
            (b"0x1.fffffffffffffp1023", f64::MAX),
            (b"0x1.fffffffffffff7fffffffffffffffffffffffffp1023", f64::MAX),
            (b"0x1.00000000000008p0", 1.0),
            (b"0x1.00000000000008000000000000000000000000000001p0", 1.0 + f64::EPSILON),
            (b"0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
            (b"0x1p-1022", f64::MIN_POSITIVE),
            (b"0x1p-1074", 5e-324),
            (b"0x1.8p-1074", 1e-323),
            (b"0x0.fffffffffffff8p-1022", f64::MIN_POSITIVE),
            (b"1.7976931348623157e308", f64::MAX),
            (b"5e-324", 5e-324),
            (b"3e-324", 5e-324),
            (b"9007199254740993", 9007199254740992.0),
        ];
        for (text, expected) in table {
            let value = parse_f64(text).unwrap_or_else(|| panic!("{} is refused", text.escape_ascii()));
            assert_eq!(value.to_bits(), expected.to_bits(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_float_or_out_of_range_is_refused() {
        let refused: &[&[u8]] = &[
            b"",
            b" ",
            b" 1",
            b"1 ",
            b"\t1",
            b"1\0",
            b"\0",
            b"+",
            b"-",
            b".",
            b"+.",
            b"e5",
            b".e5",
            b"1e",
            b"1e+",
            b"1e 5",
            b"1..",
            b"1.2.3",
            b"1,5",
            b"--1",
            b"+-1",
            b"abc",
            b"1a",
            b"nan",
            b"NAN",
            b"-nan",
            b"nan(1)",
            b"infin",
            b"in",
            b"infinity1",
            b"0x",
            b"0x.",
            b"0xg",
            b"0x1p",
            b"0x1p+",
            b"0x1e5p1p",
            b"0x.p1",
            b"1p3",
            b"1e309",
            b"-1e309",
            b"1e99999999999999999999",
            b"1.7976931348623159e308",
            b"0x1p1024",
            b"0x1.fffffffffffff8p1023",
            b"1e-324",
            b"2e-324",
            b"-1e-400",
            b"1e-99999999999999999999",
            b"0x1p-1075",
            b"0x1p-99999999999999999999",
        ];
        for text in refused {
            assert_eq!(parse_f64(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn neither_length_nor_a_huge_exponent_costs_exactness() {
        let zeros = "0".repeat(700_000);
        assert_eq!(parse_f64(format!("0.{zeros}1e700001").as_bytes()), Some(1.0));
        assert_eq!(parse_f64(format!("1{zeros}e-700000").as_bytes()), Some(1.0));
        assert_eq!(parse_f64(format!("1{zeros}").as_bytes()), None);
        assert_eq!(parse_f64(format!("0.{zeros}").as_bytes()), Some(0.0));
        // The middle between two floats goes to the even one; the slightest thing after it decides otherwise.
        assert_eq!(parse_f64(format!("9007199254740993.{zeros}").as_bytes()), Some(9007199254740992.0));
        assert_eq!(parse_f64(format!("9007199254740993.{zeros}1").as_bytes()), Some(9007199254740994.0));
    }

    proptest! {
        #[test]
        fn every_float_survives_the_round_trip(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            let text = DoubleText::new(value);
            prop_assert_eq!(parse_f64(&text).map(f64::to_bits), Some(bits), "{:?}", text);
        }

        #[test]
        fn decimals_of_everyday_use_come_back_as_they_were_typed(whole in 0_u32..10_000_000, cents in 1_u32..100) {
            let typed = format!("{whole}.{cents:02}");
            let typed = typed.trim_end_matches('0');
            prop_assert_eq!(text(typed.parse().unwrap()), typed);
        }

        #[test]
        fn hexadecimal_is_read_exactly(significand in 1_u64..1 << 53, exponent in -1074_i32..=971) {
            let expected = significand as f64 * 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2);
            prop_assert_eq!(parse_f64(format!("0x{significand:x}p{exponent}").as_bytes()), Some(expected));
        }

        #[test]
        fn anything_the_standard_library_refuses_is_refused(text in "[-+0-9.eExXpP]{0,12}") {
            if text.parse::<f64>().is_err() && !text.contains(['x', 'X']) {
                prop_assert_eq!(parse_f64(text.as_bytes()), None);
            }
        }
    }

    #[test]
    fn bounds_are_read_as_strtod_reads_them() {
        for (text, value) in [
            ("", Some(0.0)),
            ("5", Some(5.0)),
            (" \t5", Some(5.0)),
            ("+inf", Some(f64::INFINITY)),
            ("-1e999", Some(f64::NEG_INFINITY)),
            ("1e-999", Some(0.0)),
            ("0x10", Some(16.0)),
            ("5\0x", Some(5.0)),
            (" ", None),
            ("5 ", None),
            ("nan", None),
            ("x", None),
        ] {
            assert_eq!(parse_bound(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn seventeen_digits_are_those_of_printf() {
        for (value, text) in [
            (0.1, "0.10000000000000001"),
            (3.0, "3"),
            (-2.5, "-2.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.5e300, "1.5000000000000001e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (120.0, "120"),
            (f64::INFINITY, "inf"),
            (-0.0, "-0"),
        ] {
            assert_eq!(seventeen_digits(value), text);
        }
    }
}
