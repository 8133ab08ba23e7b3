//! Glob patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET match them: bytes, not characters.
//!
//! | Pattern | Matches |
//! |---|---|
//! | `*` | any bytes, also none; several in a row are one |
//! | `?` | any one byte |
//! | `[abc]`, `[a-z]`, `[^abc]` | one byte that is, or is not, in the class |
//! | `\x` | the byte `x` itself, also in a class |
//! | other bytes | themselves |
//!
//! Redis's corners are kept, because clients can see them:
//!
//! 1. A class that is not closed ends with the pattern: `[ab` is `[ab]`, `[` matches nothing, `[^` any byte.
//! 2. The third byte of a range is taken as it is, be it `]` or `\`; a range may be turned round: `[z-a]`.
//! 3. A range compares signed bytes: those from 0x80 on come before all ASCII. (Case-blind, all but 0xff come after.)
//! 4. Case-blind matching knows ASCII only, and does not reach an escaped byte in a class.
//! 5. The empty text is matched by the empty pattern only, not by `*`. (KEYS and SCAN never ask about `*` alone.)
//! 6. Beyond 1,000 stars that all have to stretch, nothing matches.
//!
//! Cost: O(pattern * text) at worst, never exponential. If the part after a star fails, only that star is stretched: an
//! earlier star that takes more leaves the later parts less room, so it cannot help.

/// Whether letters that differ in case only are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `a` is not `A`: keys and channels.
    Sensitive,
    /// `a` is `A`: names of settings and commands.
    Blind,
}

/// Stars that may stretch in one match, counted without the one at the end.
const STARS_MAX: usize = 1000;

/// Whether the whole of `text` matches `pattern`. No allocation; the cost is this module's.
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let mut pattern = pattern;
    let mut text = text;
    let mut stars = 0;
    // What follows the last star, and the text from where it has been tried.
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', ..] = pattern {
            pattern = skip_stars(pattern);
            if pattern.is_empty() {
                return true;
            }
            stars += 1;
            if text.is_empty() || stars > STARS_MAX {
                return false;
            }
            last_star = Some((pattern, text));
        }
        // Everything but a star takes exactly one byte.
        match text {
            [] => {
                // Later starts leave even less text, so a star does not help.
                return pattern.is_empty();
            }
            [byte, rest @ ..] => match (take_one(pattern, *byte, case), last_star) {
                (Some(remaining), _) => {
                    pattern = remaining;
                    text = rest;
                }
                (None, None) => return false,
                (None, Some((after_star, [_, later @ ..]))) => {
                    pattern = after_star;
                    text = later;
                    last_star = Some((after_star, later));
                }
                (None, Some((_, []))) => return false,
            },
        }
    }
}

fn skip_stars(pattern: &[u8]) -> &[u8] {
    &pattern[pattern.iter().take_while(|&&byte| byte == b'*').count()..]
}

/// Matches one byte with the first element of a pattern that does not begin with a star; returns what follows the element.
fn take_one(pattern: &[u8], byte: u8, case: Case) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', class @ ..] => take_class(class, byte, case),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => same(*literal, byte, case).then_some(rest),
    }
}

/// Matches one byte with a class, given without its `[`; returns what follows the class.
fn take_class(class: &[u8], byte: u8, case: Case) -> Option<&[u8]> {
    let (inverted, mut class) = match class {
        [b'^', class @ ..] => (true, class),
        class => (false, class),
    };
    let mut found = false;
    loop {
        class = match class {
            [] => break,
            [b'\\', escaped, rest @ ..] => {
                found |= *escaped == byte;
                rest
            }
            [b']', rest @ ..] => {
                class = rest;
                break;
            }
            [first, b'-', last, rest @ ..] => {
                found |= in_range(*first, *last, byte, case);
                rest
            }
            [literal, rest @ ..] => {
                found |= same(*literal, byte, case);
                rest
            }
        };
    }
    (found != inverted).then_some(class)
}

fn in_range(first: u8, last: u8, byte: u8, case: Case) -> bool {
    // The ends are put in order before case is taken away: [Z-a] is then empty.
    let (low, high) = if first as i8 <= last as i8 { (first, last) } else { (last, first) };
    match case {
        Case::Sensitive => (low as i8..=high as i8).contains(&(byte as i8)),
        Case::Blind => (fold(low)..=fold(high)).contains(&fold(byte)),
    }
}

/// C's `tolower` of a signed byte: bytes from 0x80 on lose their sign, but 0xff, which it takes for the end of a file.
fn fold(byte: u8) -> i16 {
    if byte == 0xff { -1 } else { i16::from(byte.to_ascii_lowercase()) }
}

fn same(a: u8, b: u8, case: Case) -> bool {
    match case {
        Case::Sensitive => a == b,
        Case::Blind => a.eq_ignore_ascii_case(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sensitive(pattern: &[u8], text: &[u8]) -> bool {
        matches(pattern, text, Case::Sensitive)
    }

    fn blind(pattern: &[u8], text: &[u8]) -> bool {
        matches(pattern, text, Case::Blind)
    }

    /// Pattern, texts that match, texts that do not.
    type Row = (&'static [u8], &'static [&'static [u8]], &'static [&'static [u8]]);

    #[test]
    fn patterns_match_as_in_redis() {
        let table: &[Row] = &[
            (b"", &[b""], &[b"a"]),
            (b"abc", &[b"abc"], &[b"", b"ab", b"abcd", b"ABC"]),
            (b"?", &[b"a", b"*", b"\xff"], &[b"", b"ab"]),
            (b"h?llo", &[b"hello", b"h?llo"], &[b"hllo", b"heello"]),
            (b"*", &[b"a", b"abc"], &[]),
            (b"a*", &[b"a", b"ab", b"a*"], &[b"", b"ba"]),
            (b"*a", &[b"a", b"ba", b"aaa"], &[b"", b"ab"]),
            (b"*a*", &[b"a", b"bab"], &[b"", b"b"]),
            (b"a**b***", &[b"ab", b"axb", b"abc"], &[b"a", b"a*"]),
            (b"*?", &[b"a", b"abc"], &[b""]),
            (b"?*", &[b"a", b"abc"], &[b""]),
            (b"*ab*ab", &[b"abab", b"abxabab"], &[b"ab", b"ababa"]),
            (b"h[ae]llo", &[b"hello", b"hallo"], &[b"hillo", b"hllo"]),
            (b"h[a-e]llo", &[b"hello", b"hbllo"], &[b"hfllo"]),
            (b"h[e-a]llo", &[b"hello", b"hbllo"], &[b"hfllo"]),
            (b"h[^e]llo", &[b"hallo", b"h^llo"], &[b"hello", b"hllo"]),
            (b"[e^]", &[b"e", b"^"], &[b"x"]),
            (b"[*?]", &[b"*", b"?"], &[b"a"]),
            (b"\\*", &[b"*"], &[b"a", b"\\*"]),
            (b"\\?\\[\\\\", &[b"?[\\"], &[]),
            (b"a\\", &[b"a\\"], &[b"a"]),
            (b"\\a", &[b"a"], &[b"\\a"]),
            (b"[\\]]", &[b"]"], &[b"\\"]),
            (b"[\\a-c]", &[b"a", b"-", b"c"], &[b"b"]),
            (b"a\0b*", &[b"a\0b", b"a\0bc"], &[b"a"]),
        ];
        check(table);
    }

    #[test]
    fn classes_have_the_corners_of_redis() {
        let table: &[Row] = &[
            // Not closed.
            (b"[", &[], &[b"[", b"a"]),
            (b"[^", &[b"[", b"a"], &[b"ab"]),
            (b"[ab", &[b"a", b"b"], &[b"[", b"[ab", b"c"]),
            (b"[^ab", &[b"c"], &[b"a"]),
            (b"[a-", &[b"a", b"-"], &[b"b"]),
            (b"[a\\", &[b"a", b"\\"], &[b"b"]),
            (b"x[a-c", &[b"xb"], &[b"x", b"xd"]),
            // Empty.
            (b"[]", &[], &[b"", b"]", b"a", b"[]"]),
            (b"[^]", &[b"a", b"]"], &[b""]),
            (b"[]a]", &[], &[b"a]", b"]"]),
            // A range that takes the closing bracket, or a backslash.
            (b"[a-]", &[b"a", b"]", b"_"], &[b"-", b"b"]),
            (b"[a-]b]", &[b"b", b"^"], &[b"-"]),
            (b"[!-\\]", &[b"!", b"A", b"\\"], &[b"a"]),
            (b"[--/]", &[b"-", b".", b"/"], &[b"0"]),
            (b"[a--]", &[b"-", b"A", b"a"], &[b"b"]),
            // Signed bytes.
            (b"[a-\xff]", &[b"\xff", b"\0", b"A", b"a"], &[b"b", b"\x80"]),
            (b"[\x80-\xff]", &[b"\x80", b"\xc3", b"\xff"], &[b"\x7f", b"\0"]),
        ];
        check(table);
    }

    fn check(table: &[Row]) {
        for (pattern, matching, others) in table {
            for text in *matching {
                assert!(sensitive(pattern, text), "{} ~ {}", pattern.escape_ascii(), text.escape_ascii());
            }
            for text in *others {
                assert!(!sensitive(pattern, text), "{} !~ {}", pattern.escape_ascii(), text.escape_ascii());
            }
        }
    }

    #[test]
    fn case_blind_matching_leaves_escapes_in_classes_alone() {
        assert!(blind(b"MaxMemory*", b"maxmemory-policy"));
        assert!(blind(b"\\A", b"a"));
        assert!(blind(b"[A-C]", b"b"));
        assert!(blind(b"[a-c]", b"B"));
        assert!(blind(b"[B]", b"b"));
        assert!(!blind(b"[^B]", b"b"));
        assert!(!blind(b"[\\B]", b"b"));
        // 'Z' < 'a', but 'z' > 'a'.
        assert!(!blind(b"[Z-a]", b"z"));
        assert!(!blind(b"\xc3\x84", b"\xc3\xa4"));
        // Signed bytes put these ends in order as 0x80 and '[', which is empty once 0x80 has lost its sign.
        assert!(sensitive(b"[[-\x80]", b"\xff"));
        assert!(!blind(b"[[-\x80]", b"\xff"));
        assert!(blind(b"[\x80-\xfe]", b"\xc3"));
    }

    #[test]
    fn a_star_alone_does_not_match_the_empty_text() {
        assert!(!sensitive(b"*", b""));
        assert!(!sensitive(b"**", b""));
        assert!(sensitive(b"a*", b"a"));
    }

    #[test]
    fn a_thousand_stars_may_stretch_and_one_more_may_not() {
        let text = [b'a'; STARS_MAX + 1];
        assert!(sensitive(&b"*a".repeat(STARS_MAX), &text));
        assert!(!sensitive(&b"*a".repeat(STARS_MAX + 1), &text));
        let ends_in_a_star = [b"*a".repeat(STARS_MAX), b"*".to_vec()].concat();
        assert!(sensitive(&ends_in_a_star, &text));
    }

    #[test]
    fn a_pattern_made_to_explode_takes_no_time() {
        let pattern = [b"a*".repeat(500), b"b".to_vec()].concat();
        assert!(!sensitive(&pattern, &[b'a'; 10_000]));
    }

    /// The definition, word for word: a star tries every length. Exponential.
    fn naive(pattern: &[u8], text: &[u8], case: Case) -> bool {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|taken| naive(rest, &text[taken..], case)),
            (_, []) => pattern.is_empty(),
            (_, [byte, later @ ..]) => take_one(pattern, *byte, case).is_some_and(|rest| naive(rest, later, case)),
        }
    }

    proptest! {
        #[test]
        fn stretching_only_the_last_star_finds_every_match(
            pattern in "[ab*?\\[\\]^\\\\-]{0,10}",
            text in "[abA-]{1,10}",
            case in prop_oneof![Just(Case::Sensitive), Just(Case::Blind)],
        ) {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text, case), naive(pattern, text, case));
        }

        #[test]
        fn an_escaped_text_matches_itself_only(text in prop::collection::vec(any::<u8>(), 0..20), other: Vec<u8>) {
            let pattern: Vec<u8> = text.iter().flat_map(|&byte| [b'\\', byte]).collect();
            prop_assert!(sensitive(&pattern, &text));
            prop_assert_eq!(sensitive(&pattern, &other), text == other);
        }
    }
}
