//! Bytes in quotes, as MONITOR and DEBUG show them.

/// Appends bytes in double quotes: what is printable in ASCII as it is, the rest escaped.
pub fn quote(bytes: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            0x07 => text.extend_from_slice(b"\\a"),
            0x08 => text.extend_from_slice(b"\\b"),
            b' '..=b'~' => text.push(byte),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                text.extend_from_slice(b"\\x");
                text.push(DIGITS[usize::from(byte >> 4)]);
                text.push(DIGITS[usize::from(byte & 15)]);
            }
        }
    }
    text.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_printable_is_escaped() {
        let mut text = Vec::new();
        quote(b"a \"b\"\\\r\n\t\x07\x08\0\x7f\xff~", &mut text);
        assert_eq!(text, br#""a \"b\"\\\r\n\t\a\b\x00\x7f\xff~""#);
    }
}
