//! Words of a request line, and bytes as redis-cli quotes them.
//!
//! ```text
//! SET "a b\x00" 'it\'s'   ->   [SET] [a b<0>] [it's]
//! a b<0>                  ->   "a b\x00"
//! ```

/// One word of a line: its bytes, and whether quotes were around it (`"@x"` is an argument where `@x` names a connection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The bytes, escapes resolved.
    pub bytes: Vec<u8>,
    /// Whether any part of the word was quoted.
    pub quoted: bool,
}

/// Splits a line into words by redis-cli's rules: blanks separate, `"..."` knows `\n \r \t \b \a \xHH` and `\<any>`, `'...'`
/// knows `\'` only, and a closing quote must end the word.
///
/// # Errors
/// Says which rule the line breaks.
pub fn split(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start().as_bytes();
    while !rest.is_empty() {
        let (word, after) = one_word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

fn one_word(mut rest: &[u8]) -> Result<(Word, &[u8]), String> {
    let mut word = Word { bytes: Vec::new(), quoted: false };
    while let Some((&byte, after)) = rest.split_first() {
        if byte.is_ascii_whitespace() {
            break;
        }
        if byte != b'"' && byte != b'\'' {
            word.bytes.push(byte);
            rest = after;
            continue;
        }
        word.quoted = true;
        rest =
            if byte == b'"' { double_quoted(after, &mut word.bytes)? } else { single_quoted(after, &mut word.bytes)? };
        if rest.first().is_some_and(|next| !next.is_ascii_whitespace()) {
            return Err("a closing quote must be followed by a blank".to_string());
        }
    }
    Ok((word, rest))
}

fn double_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], String> {
    loop {
        match rest {
            [] => return Err("a double quote is never closed".to_string()),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], String> {
    loop {
        match rest {
            [] => return Err("a single quote is never closed".to_string()),
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => {
                out.push(b'\'');
                rest = after;
            }
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// Bytes as redis-cli prints a bulk string: in double quotes, what is not printable ASCII escaped.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(line: &str) -> Vec<Vec<u8>> {
        split(line).unwrap().into_iter().map(|word| word.bytes).collect()
    }

    #[test]
    fn blanks_separate_words() {
        assert_eq!(bytes("  SET  k\tv "), [b"SET".to_vec(), b"k".to_vec(), b"v".to_vec()]);
        assert!(bytes("").is_empty());
    }

    #[test]
    fn double_quotes_resolve_escapes_and_single_quotes_do_not() {
        assert_eq!(bytes(r#""a b\x00\n\q""#), [b"a b\0\nq".to_vec()]);
        assert_eq!(bytes(r"'a\n it\'s'"), [br"a\n it's".to_vec()]);
        assert_eq!(bytes("\"\" ''"), [Vec::new(), Vec::new()]);
    }

    #[test]
    fn a_quote_that_does_not_end_its_word_is_refused() {
        assert!(split("\"a\"b").is_err());
        assert!(split("'a'b").is_err());
        assert!(split("\"a").is_err());
        assert!(split("'a").is_err());
    }

    #[test]
    fn quoting_and_splitting_are_inverse_for_every_byte() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&quoted(&all)), [all]);
    }
}
