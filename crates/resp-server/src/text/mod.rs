//! Bytes to numbers, patterns and words, and back, exactly as Redis reads and writes them.
//!
//! | File | What it reads or writes |
//! |---|---|
//! | [`integer`] | the strict 64-bit integers of commands, memory sizes of the configuration |
//! | [`double`] | 64-bit floats: scores, RESP3 doubles |
//! | [`long_double`] | the 80-bit floats in which INCRBYFLOAT and HINCRBYFLOAT count |
//! | [`glob`] | the patterns of KEYS, SCAN, PSUBSCRIBE and CONFIG GET |
//! | [`split`] | inline commands and configuration lines, cut into words; words quoted again |
//!
//! Nothing here knows the rest of the crate. Every function is a pure one of its arguments, and none allocates unless it
//! returns or fills an owned buffer. Where the versions of Redis differ, 7.4 is followed.

pub mod double;
mod float_text;
pub mod glob;
pub mod integer;
pub mod long_double;
pub mod quote;
pub mod split;

/// What C calls white space in the "C" locale: blank, tab, newline, vertical tab, form feed, carriage return.
/// (`u8::is_ascii_whitespace` leaves out the vertical tab.)
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
