//! Words of a line: inline commands and the configuration file, where words may be quoted, and the way back.
//!
//! ```text
//! set key "two words\r\n\x00"   'it\'s'   pl"ain"      ->  set | key | two words<CR><LF><NUL> | it's | plain
//! ```
//!
//! 1. White space separates words. Inside a plain word the vertical tab and the form feed do not end it.
//! 2. In double quotes `\n \r \t \b \a` and `\xHH` are bytes, and a backslash before any other byte is that byte.
//! 3. In single quotes only `\'` is an escape.
//! 4. A quote may open inside a word (`pl"ain"`); a closing one must end it: white space or the end follows.
//! 5. A NUL ends the line. (Redis reads lines as C strings.)
//!
//! Words never grow by unescaping, so [`split_in_place`] leaves them in the line's own bytes. Both directions are O(length).

use super::float_text::hex_digit;
use super::is_space;

/// A quote was left open, or something follows a closing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unbalanced quotes")]
pub struct Unbalanced;

/// Splits a line into words, unescaping within `line`, and appends where each is: (start, length) into `line`.
///
/// On an error `spans` is as it was before; the bytes of `line` are spoilt. `line` is shorter than 4 GiB.
pub fn split_in_place(line: &mut [u8], spans: &mut Vec<(u32, u32)>) -> Result<(), Unbalanced> {
    assert!(u32::try_from(line.len()).is_ok(), "a line is shorter than 4 GiB");
    let spans_before = spans.len();
    let mut words = Words { line, read: 0 };
    loop {
        match words.next_word() {
            Ok(Some((start, end))) => spans.push((start as u32, (end - start) as u32)),
            Ok(None) => return Ok(()),
            Err(unbalanced) => {
                spans.truncate(spans_before);
                return Err(unbalanced);
            }
        }
    }
}

/// Splits a line into words of their own.
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
    let mut line = line.to_vec();
    let mut spans = Vec::new();
    split_in_place(&mut line, &mut spans)?;
    Ok(spans.iter().map(|&(start, length)| line[start as usize..][..length as usize].to_vec()).collect())
}

/// A line being split: words are written behind the place that is read.
struct Words<'a> {
    line: &'a mut [u8],
    /// The next byte to read.
    read: usize,
}

impl Words<'_> {
    /// The byte `ahead` of the next one; NUL at the end, which a NUL is, too.
    fn peek(&self, ahead: usize) -> u8 {
        self.line.get(self.read + ahead).copied().unwrap_or(0)
    }

    /// Reads a word and returns its start and end, or `None` at the end of the line.
    fn next_word(&mut self) -> Result<Option<(usize, usize)>, Unbalanced> {
        while is_space(self.peek(0)) {
            self.read += 1;
        }
        if self.peek(0) == 0 {
            return Ok(None);
        }
        let start = self.read;
        let mut end = start;
        loop {
            match self.peek(0) {
                0 | b' ' | b'\n' | b'\r' | b'\t' => return Ok(Some((start, end))),
                b'"' => {
                    self.read += 1;
                    return Ok(Some((start, self.double_quoted(end)?)));
                }
                b'\'' => {
                    self.read += 1;
                    return Ok(Some((start, self.single_quoted(end)?)));
                }
                byte => self.take(1, byte, &mut end),
            }
        }
    }

    /// Takes `count` bytes of the line for one byte of the word.
    fn take(&mut self, count: usize, byte: u8, end: &mut usize) {
        self.line[*end] = byte;
        *end += 1;
        self.read += count;
        debug_assert!(*end <= self.read, "a word never grows");
    }

    /// Reads to the closing double quote, writing from `end` on; returns the new end.
    fn double_quoted(&mut self, mut end: usize) -> Result<usize, Unbalanced> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (0, _) => return Err(Unbalanced),
                (b'"', _) => return self.close().map(|()| end),
                (b'\\', b'x') if self.peek(2).is_ascii_hexdigit() && self.peek(3).is_ascii_hexdigit() => {
                    let byte = hex_digit(self.peek(2)) << 4 | hex_digit(self.peek(3));
                    self.take(4, byte, &mut end);
                }
                (b'\\', escaped) if escaped != 0 => self.take(2, unescape(escaped), &mut end),
                (byte, _) => self.take(1, byte, &mut end),
            }
        }
    }

    /// Reads to the closing single quote, writing from `end` on; returns the new end.
    fn single_quoted(&mut self, mut end: usize) -> Result<usize, Unbalanced> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (0, _) => return Err(Unbalanced),
                (b'\'', _) => return self.close().map(|()| end),
                (b'\\', b'\'') => self.take(2, b'\'', &mut end),
                (byte, _) => self.take(1, byte, &mut end),
            }
        }
    }

    /// Steps over a closing quote, which must end the word.
    fn close(&mut self) -> Result<(), Unbalanced> {
        self.read += 1;
        let next = self.peek(0);
        if next == 0 || is_space(next) { Ok(()) } else { Err(Unbalanced) }
    }
}

fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// Writes bytes as a double-quoted word of printable ASCII that [`split`] reads back: for CONFIG REWRITE, MONITOR and
/// error texts.
pub fn quote(bytes: &[u8]) -> String {
    const HEX: [u8; 16] = *b"0123456789abcdef";

    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            0x07 => quoted.push_str("\\a"),
            0x08 => quoted.push_str("\\b"),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => {
                quoted.push_str("\\x");
                quoted.push(char::from(HEX[usize::from(byte >> 4)]));
                quoted.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a word has to be [`quote`]d so that [`split`] reads it back: it is empty, or holds a blank, a quote, a backslash
/// or a byte that is not printable ASCII.
pub fn needs_quotes(word: &[u8]) -> bool {
    word.is_empty() || word.iter().any(|byte| !matches!(byte, b'!'..=b'~') || matches!(byte, b'"' | b'\'' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_splits_as_in_redis() {
        let table: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b" \t\r\n\x0b\x0c ", &[]),
            (b"PING", &[b"PING"]),
            (b"  SET  key\tvalue \r\n", &[b"SET", b"key", b"value"]),
            (b"a \"\" ''", &[b"a", b"", b""]),
            (b"\"two words\" 'and two'", &[b"two words", b"and two"]),
            (br#""\n\r\t\b\a""#, &[b"\n\r\t\x08\x07"]),
            (br#""\"\\\q\'" "#, &[b"\"\\q'"]),
            (br#""\x00\xfF\x41""#, &[b"\0\xffA"]),
            (br#""\x4" "\xg0" "\X41""#, &[b"x4", b"xg0", b"X41"]),
            (br"'\n\x41\\x' '\''", &[br"\n\x41\\x", b"'"]),
            (br#"'"' "'""#, &[b"\"", b"'"]),
            (br#"pl"ain" it'self'"#, &[b"plain", b"itself"]),
            (br"plain\n \x41", &[br"plain\n", br"\x41"]),
            (b"a\x0bb\x0cc", &[b"a\x0bb\x0cc"]),
            (b"\x0ba", &[b"a"]),
            (b"\"a\"\x0bb", &[b"a", b"b"]),
            (b"\"a\nb\"", &[b"a\nb"]),
            (b"a b\0c d", &[b"a", b"b"]),
            (b"\"a\"\0b", &[b"a"]),
            (b"\xff\x80 \xc3\xa4", &[b"\xff\x80", b"\xc3\xa4"]),
        ];
        for (line, words) in table {
            assert_eq!(split(line).unwrap(), *words, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_quote_left_open_or_followed_by_a_word_is_refused() {
        let table: &[&[u8]] = &[
            b"\"",
            b"'",
            b"a \"b",
            b"a 'b",
            b"\"a\"b",
            b"'a'b",
            b"\"a\"\"b\"",
            b"'a''b'",
            b"\"a'",
            b"'a\"",
            br#""a\""#,
            br"'a\'",
            br#""\"#,
            br"'\",
            br#""\x4"#,
            br#"pl"ai"n"#,
            b"it's",
            b"\"a\0b\"",
            b"'a\0b'",
        ];
        for line in table {
            assert_eq!(split(line), Err(Unbalanced), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn spans_are_appended_and_left_alone_by_a_bad_line() {
        let mut spans = vec![(7, 7)];
        let mut line = *br#"set "\x61b" c"#;
        split_in_place(&mut line, &mut spans).unwrap();
        assert_eq!(spans, [(7, 7), (0, 3), (4, 2), (12, 1)]);
        assert_eq!(&line[4..6], b"ab");
        assert_eq!(split_in_place(&mut b"a b \"c".to_vec(), &mut spans), Err(Unbalanced));
        assert_eq!(spans.len(), 4);
    }

    #[test]
    fn quoting_shows_every_byte_as_printable_ascii() {
        assert_eq!(quote(b""), r#""""#);
        assert_eq!(quote(b"a 'b' \"c\" \\"), r#""a 'b' \"c\" \\""#);
        assert_eq!(quote(b"\n\r\t\x07\x08"), r#""\n\r\t\a\b""#);
        assert_eq!(quote(b"\0\x0b\x1b\x7f\x80\xff ~"), r#""\x00\x0b\x1b\x7f\x80\xff ~""#);
    }

    proptest! {
        #[test]
        fn whatever_is_quoted_splits_into_itself(words: Vec<Vec<u8>>) {
            let line: Vec<String> = words.iter().map(|word| quote(word)).collect();
            prop_assert_eq!(split(line.join(" ").as_bytes()).unwrap(), words);
        }

        #[test]
        fn a_word_that_needs_no_quotes_splits_into_itself(word: Vec<u8>) {
            if !needs_quotes(&word) {
                prop_assert_eq!(split(&word).unwrap(), vec![word]);
            }
        }

        #[test]
        fn words_lie_in_the_line_in_order(line in "[ab\"'\\\\x4 \t\0\x0b]{0,20}") {
            let mut line = line.into_bytes();
            let mut spans = Vec::new();
            if split_in_place(&mut line, &mut spans).is_ok() {
                let mut end = 0;
                for (start, length) in spans {
                    prop_assert!(start >= end);
                    end = start + length;
                }
                prop_assert!(end as usize <= line.len());
            }
        }
    }
}
