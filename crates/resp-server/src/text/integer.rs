//! Integers as text: the strict form that commands take, the loose one of cursors and ids, and sizes in bytes.
//!
//! The strict form is the one that survives a round trip, so a value that parses may be stored as a number:
//! `parse_i64(text) == Some(n)` if and only if `text` is what [`append_i64`] writes for `n`.

use super::is_space;

/// The longest text of a 64-bit integer: `-9223372036854775808`.
pub const MAX_LEN: usize = 20;

/// Reads a signed integer strictly: no `+`, no leading zero, no blank, no `-0`, the full range of `i64`.
/// O(1): a text longer than [`MAX_LEN`] is refused unread.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = parse_u64(digits)?;
    if negative {
        // "-0" is not what zero is written as.
        if magnitude == 0 { None } else { 0_i64.checked_sub_unsigned(magnitude) }
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Reads an unsigned integer as strictly as [`parse_i64`] does, over the full range of `u64`.
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [] => None,
        [b'0'] => Some(0),
        [b'0', ..] => None,
        _ if text.len() > MAX_LEN => None,
        _ => text.iter().try_fold(0, |value, &byte| push_digit(value, byte)),
    }
}

/// Reads an unsigned integer as cursors and stream ids are read: what [`parse_i64`] accepts and is not negative, or
/// else whatever C's `strtoull` takes to its last byte: leading blanks, a sign, leading zeros.
///
/// A minus sign that gets this far negates modulo 2^64, as in C: `-01` is 18,446,744,073,709,551,615.
pub fn parse_u64_loose(text: &[u8]) -> Option<u64> {
    if let Some(value) = parse_i64(text) {
        return u64::try_from(value).ok();
    }
    let blanks = text.iter().take_while(|&&byte| is_space(byte)).count();
    let (negative, digits) = match &text[blanks..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0, |value, &byte| push_digit(value, byte))?;
    Some(if negative { magnitude.wrapping_neg() } else { magnitude })
}

/// `value * 10 + digit`, or `None` for a byte that is no digit and for an overflow.
fn push_digit(value: u64, byte: u8) -> Option<u64> {
    let digit = byte.wrapping_sub(b'0');
    if digit > 9 {
        return None;
    }
    value.checked_mul(10)?.checked_add(u64::from(digit))
}

/// Appends the decimal text of `value`.
pub fn append_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the decimal text of `value`.
pub fn append_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Digits of a memory size; one more is refused.
const MEMORY_DIGITS_MAX: usize = 127;

/// Reads a size in bytes as the configuration writes it: digits, then nothing or `b`, `k` (1000), `kb` (1024), `m`, `mb`,
/// `g`, `gb` in any case. No sign, no fraction, no blank.
///
/// Three habits of Redis are kept: no digits at all count as 0 (`""`, `"mb"`), digits beyond `u64` count as `u64::MAX`,
/// and the multiplication by the unit wraps around.
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = text.split_at(length);
    if length > MEMORY_DIGITS_MAX {
        return None;
    }
    let multiplier: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let count = digits.iter().try_fold(0, |value, &byte| push_digit(value, byte)).unwrap_or(u64::MAX);
    Some(count.wrapping_mul(multiplier))
}

/// Writes a number of bytes as INFO's `*_human` fields show it: `800B`, `1.00K`, `2.50M`, ... up to `P`.
/// From 1024 P on it is bytes again.
pub fn humanize(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    // The place of the leading bit, in steps of ten: 0 for bytes, 1 for K, and so on.
    let step = bytes.checked_ilog2().unwrap_or(0) / 10;
    match step.checked_sub(1).and_then(|index| UNITS.get(index as usize)) {
        Some(unit) => format!("{:.2}{unit}", bytes as f64 / (1_u64 << (10 * step)) as f64),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_strict_form_is_what_an_integer_is_written_as() {
        let table: &[(&[u8], Option<i64>)] = &[
            (b"0", Some(0)),
            (b"7", Some(7)),
            (b"-1", Some(-1)),
            (b"10", Some(10)),
            (b"9223372036854775807", Some(i64::MAX)),
            (b"9223372036854775808", None),
            (b"-9223372036854775808", Some(i64::MIN)),
            (b"-9223372036854775809", None),
            (b"18446744073709551615", None),
            (b"99999999999999999999", None),
            (b"100000000000000000000", None),
            (b"", None),
            (b"-", None),
            (b"-0", None),
            (b"+1", None),
            (b"01", None),
            (b"-01", None),
            (b"00", None),
            (b" 1", None),
            (b"1 ", None),
            (b"1\0", None),
            (b"1.0", None),
            (b"1e3", None),
            (b"--1", None),
            (b"0x10", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_i64(text), *expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn the_unsigned_strict_form_has_the_full_range() {
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"99999999999999999999"), None);
        assert_eq!(parse_u64(b"-1"), None);
        assert_eq!(parse_u64(b"007"), None);
    }

    #[test]
    fn the_loose_form_is_what_strtoull_takes_except_plain_negatives() {
        let table: &[(&[u8], Option<u64>)] = &[
            (b"0", Some(0)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"007", Some(7)),
            (b"+7", Some(7)),
            (b" \t\n\x0b\x0c\r7", Some(7)),
            (b"000000000000000000000000000000000000007", Some(7)),
            (b"-1", None),
            (b"-01", Some(u64::MAX)),
            (b"-0", Some(0)),
            (b"-18446744073709551615", Some(1)),
            (b"-18446744073709551616", None),
            (b"", None),
            (b" ", None),
            (b"+", None),
            (b"- 1", None),
            (b"7 ", None),
            (b"7a", None),
            (b"0x7", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_u64_loose(text), *expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_memory_size_takes_units_of_1000_and_of_1024() {
        let table: &[(&[u8], Option<u64>)] = &[
            (b"0", Some(0)),
            (b"100", Some(100)),
            (b"0100", Some(100)),
            (b"100b", Some(100)),
            (b"1k", Some(1000)),
            (b"1kb", Some(1024)),
            (b"1K", Some(1000)),
            (b"1Kb", Some(1024)),
            (b"2m", Some(2_000_000)),
            (b"2MB", Some(2 << 20)),
            (b"3g", Some(3_000_000_000)),
            (b"3gB", Some(3 << 30)),
            (b"1t", None),
            (b"1tb", None),
            (b"1kib", None),
            (b"1 kb", None),
            (b" 1kb", None),
            (b"1kb ", None),
            (b"1.5gb", None),
            (b"-1", None),
            (b"-1kb", None),
            (b"+1", None),
            (b"abc", None),
            // Habits, not intentions.
            (b"", Some(0)),
            (b"mb", Some(0)),
            (b"18446744073709551616", Some(u64::MAX)),
            (b"18446744073709551615kb", Some(0_u64.wrapping_sub(1024))),
        ];
        for (text, expected) in table {
            assert_eq!(parse_memory(text), *expected, "{}", text.escape_ascii());
        }
        assert_eq!(parse_memory(&[b'0'; MEMORY_DIGITS_MAX]), Some(0));
        assert_eq!(parse_memory(&[b'0'; MEMORY_DIGITS_MAX + 1]), None);
    }

    #[test]
    fn a_humanized_size_has_two_decimals_from_1024_on() {
        let table: &[(u64, &str)] = &[
            (0, "0B"),
            (1, "1B"),
            (800, "800B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (1536, "1.50K"),
            ((1 << 20) - 1, "1024.00K"),
            (1 << 20, "1.00M"),
            (5 << 19, "2.50M"),
            (1 << 30, "1.00G"),
            (1 << 40, "1.00T"),
            (1 << 50, "1.00P"),
            ((1 << 60) - 1, "1024.00P"),
            (1 << 60, "1152921504606846976B"),
            (u64::MAX, "18446744073709551615B"),
        ];
        for (bytes, expected) in table {
            assert_eq!(humanize(*bytes), *expected);
        }
    }

    proptest! {
        #[test]
        fn every_integer_survives_the_round_trip(signed: i64, unsigned: u64) {
            let mut text = Vec::new();
            append_i64(&mut text, signed);
            prop_assert_eq!(parse_i64(&text), Some(signed));
            text.clear();
            append_u64(&mut text, unsigned);
            prop_assert_eq!(parse_u64(&text), Some(unsigned));
            prop_assert_eq!(parse_u64_loose(&text), Some(unsigned));
        }

        #[test]
        fn a_text_that_parses_is_the_text_that_would_be_written(text in "[-+ 0-9]{0,22}") {
            if let Some(value) = parse_i64(text.as_bytes()) {
                prop_assert_eq!(value.to_string(), text);
            }
        }

        #[test]
        fn the_strict_form_agrees_with_the_standard_library_on_canonical_text(value: i128) {
            let text = value.to_string();
            prop_assert_eq!(parse_i64(text.as_bytes()), text.parse::<i64>().ok());
            prop_assert_eq!(parse_u64(text.as_bytes()), text.parse::<u64>().ok());
        }
    }
}
