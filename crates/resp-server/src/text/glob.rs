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
//! Cost: a short pattern on a short text is matched as it stands. If the part after a star fails, only that star is stretched: an
//! earlier star that takes more leaves the later parts less room, so it cannot help. That is O(pattern * text) at worst: seconds for a
//! pattern and a key of 64 KiB. So where both are longer the pattern is taken apart first ([`Glob`]):
//!
//! ```text
//!  head * middle * middle * tail      head and tail have their place; each middle is looked for behind the one before
//! ```
//!
//! A middle of plain bytes is found in O(text), one with `?` and classes in O(text * its length / 64).

use std::cell::OnceCell;
use std::ops::Range;

use memchr::memmem;

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

/// The product of the lengths of pattern and text up to which they are matched as they stand: 1 us at most.
const PLAIN_MAX: usize = 512;
/// The same where the pattern would be taken apart for one text only: 8 us.
const PLAIN_ONCE_MAX: usize = 4096;

/// Whether the whole of `text` matches `pattern`. The cost is this module's; case-blind, for names of settings and commands, that of
/// the plain way, whatever the lengths.
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    match case {
        Case::Sensitive if pattern.len() * text.len() > PLAIN_ONCE_MAX => Glob::new(pattern).matches(text),
        _ => matches_plainly(pattern, text, case),
    }
}

/// A pattern for many texts, in which case matters.
#[derive(Clone, Debug)]
pub struct Pattern {
    bytes: Box<[u8]>,
    /// Once it is needed.
    glob: OnceCell<Glob>,
}

impl Pattern {
    /// A pattern. O(its length)
    pub fn new(bytes: &[u8]) -> Pattern {
        Pattern { bytes: bytes.into(), glob: OnceCell::new() }
    }

    /// Whether the whole of `text` matches.
    #[inline]
    pub fn matches(&self, text: &[u8]) -> bool {
        if self.bytes.len() * text.len() <= PLAIN_MAX {
            return matches_plainly(&self.bytes, text, Case::Sensitive);
        }
        self.glob.get_or_init(|| Glob::new(&self.bytes)).matches(text)
    }
}

/// A pattern taken apart at its stars.
#[derive(Clone, Debug)]
struct Glob {
    /// What the stars separate: without a star, one part.
    parts: Vec<Part>,
    /// Bytes that a text must have at least.
    len_min: usize,
}

/// Elements of a pattern that follow one another, none of them a star.
#[derive(Clone, Debug)]
enum Part {
    Bytes(Vec<u8>),
    Elements(Vec<Element>),
}

/// What one byte has to be.
#[derive(Clone, Debug)]
enum Element {
    Byte(u8),
    Any,
    Class(Box<Class>),
}

/// A bit for each byte.
type Class = [u64; 4];

impl Glob {
    fn new(mut pattern: &[u8]) -> Glob {
        let mut parts = Vec::new();
        let mut part = Vec::new();
        while let [first, rest @ ..] = pattern {
            let element;
            (element, pattern) = match (first, rest) {
                (b'*', _) => {
                    parts.push(Part::new(std::mem::take(&mut part)));
                    pattern = skip_stars(pattern);
                    continue;
                }
                (b'?', _) => (Element::Any, rest),
                (b'[', _) => {
                    let (class, rest) = read_class(rest);
                    (Element::Class(Box::new(class)), rest)
                }
                (b'\\', [literal, rest @ ..]) => (Element::Byte(*literal), rest),
                (literal, _) => (Element::Byte(*literal), rest),
            };
            part.push(element);
        }
        parts.push(Part::new(part));
        Glob { len_min: parts.iter().map(Part::len).sum(), parts }
    }

    fn matches(&self, text: &[u8]) -> bool {
        if text.is_empty() {
            return self.parts.len() == 1 && self.len_min == 0;
        }
        if text.len() < self.len_min {
            return false;
        }
        let (head, rest) = self.parts.split_first().expect("there is one part at least");
        let Some((tail, middles)) = rest.split_last() else {
            return text.len() == head.len() && head.matches(text);
        };
        let stars = rest.len() - usize::from(tail.len() == 0);
        let (before, after) = (head.len(), text.len() - tail.len());
        if stars > STARS_MAX || !head.matches(&text[..before]) || !tail.matches(&text[after..]) {
            return false;
        }
        let mut left = &text[before..after];
        middles.iter().all(|middle| {
            let found = middle.find(left);
            left = found.clone().map_or(&[], |found| &left[found.end..]);
            found.is_some()
        })
    }
}

impl Part {
    fn new(elements: Vec<Element>) -> Part {
        let byte = |element: &Element| match element {
            Element::Byte(byte) => Some(*byte),
            _ => None,
        };
        match elements.iter().map(byte).collect() {
            Some(bytes) => Part::Bytes(bytes),
            None => Part::Elements(elements),
        }
    }

    fn len(&self) -> usize {
        match self {
            Part::Bytes(bytes) => bytes.len(),
            Part::Elements(elements) => elements.len(),
        }
    }

    /// Whether it matches a text of its own length.
    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Part::Bytes(bytes) => bytes == text,
            Part::Elements(elements) => elements.iter().zip(text).all(|(element, &byte)| element.is(byte)),
        }
    }

    /// The first place in a text that it matches.
    fn find(&self, text: &[u8]) -> Option<Range<usize>> {
        let start = match self {
            Part::Bytes(bytes) => memmem::find(text, bytes)?,
            Part::Elements(elements) => find_elements(elements, text)?,
        };
        Some(start..start + self.len())
    }
}

/// The first place in a text that some elements match. All starts are tried together: a bit says that the elements up to there have
/// matched the bytes up to the present one.
fn find_elements(elements: &[Element], text: &[u8]) -> Option<usize> {
    if elements.len() > text.len() {
        return None;
    }
    let words = elements.len().div_ceil(64);
    let mut any = vec![0_u64; words];
    for at in (0..elements.len()).filter(|&at| matches!(elements[at], Element::Any)) {
        any[at / 64] |= 1 << (at % 64);
    }
    // For each byte the elements that it can be.
    let mut can_be = any.repeat(256);
    for (at, element) in elements.iter().enumerate() {
        let bytes = match element {
            Element::Byte(byte) => *byte..=*byte,
            Element::Class(_) => 0..=u8::MAX,
            Element::Any => continue,
        };
        for byte in bytes.filter(|&byte| element.is(byte)) {
            can_be[usize::from(byte) * words + at / 64] |= 1 << (at % 64);
        }
    }
    let mut matched = vec![0_u64; words];
    let last = elements.len() - 1;
    for (at, &byte) in text.iter().enumerate() {
        let mut carry = 1;
        for (word, can_be) in matched.iter_mut().zip(&can_be[usize::from(byte) * words..]) {
            let next = *word >> 63;
            *word = (*word << 1 | carry) & can_be;
            carry = next;
        }
        if matched[last / 64] >> (last % 64) & 1 == 1 {
            return Some(at + 1 - elements.len());
        }
    }
    None
}

impl Element {
    fn is(&self, byte: u8) -> bool {
        match self {
            Element::Byte(literal) => *literal == byte,
            Element::Any => true,
            Element::Class(class) => class[usize::from(byte / 64)] >> (byte % 64) & 1 == 1,
        }
    }
}

/// The bytes that are in a class, given without its `[`, and what follows it.
fn read_class(class: &[u8]) -> (Class, &[u8]) {
    let mut bytes: Class = [0; 4];
    let mut items = ClassItems::new(class);
    let inverted = items.inverted;
    for item in items.by_ref() {
        let (low, high) = match item {
            ClassItem::Escaped(byte) | ClassItem::Byte(byte) => (byte, byte),
            ClassItem::Range(first, last) => in_order(first, last),
        };
        for byte in low as i8..=high as i8 {
            bytes[usize::from(byte as u8 / 64)] |= 1 << (byte as u8 % 64);
        }
    }
    if inverted {
        bytes.iter_mut().for_each(|word| *word = !*word);
    }
    (bytes, items.rest)
}

/// What a class consists of.
enum ClassItem {
    Escaped(u8),
    Byte(u8),
    Range(u8, u8),
}

/// The items of a class, given without its `[`; behind the last, `rest` is what follows the class.
struct ClassItems<'a> {
    rest: &'a [u8],
    inverted: bool,
    is_closed: bool,
}

impl<'a> ClassItems<'a> {
    fn new(class: &'a [u8]) -> ClassItems<'a> {
        match class {
            [b'^', rest @ ..] => ClassItems { rest, inverted: true, is_closed: false },
            rest => ClassItems { rest, inverted: false, is_closed: false },
        }
    }
}

impl Iterator for ClassItems<'_> {
    type Item = ClassItem;

    #[inline]
    fn next(&mut self) -> Option<ClassItem> {
        if self.is_closed {
            return None;
        }
        let (item, rest) = match self.rest {
            [] => (None, &[][..]),
            [b'\\', escaped, rest @ ..] => (Some(ClassItem::Escaped(*escaped)), rest),
            [b']', rest @ ..] => {
                self.is_closed = true;
                (None, rest)
            }
            [first, b'-', last, rest @ ..] => (Some(ClassItem::Range(*first, *last)), rest),
            [literal, rest @ ..] => (Some(ClassItem::Byte(*literal)), rest),
        };
        self.rest = rest;
        item
    }
}

fn matches_plainly(pattern: &[u8], text: &[u8], case: Case) -> bool {
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
    let mut items = ClassItems::new(class);
    let inverted = items.inverted;
    let mut found = false;
    for item in items.by_ref() {
        found |= match item {
            ClassItem::Escaped(escaped) => escaped == byte,
            ClassItem::Byte(literal) => same(literal, byte, case),
            ClassItem::Range(first, last) => in_range(first, last, byte, case),
        };
    }
    (found != inverted).then_some(items.rest)
}

fn in_range(first: u8, last: u8, byte: u8, case: Case) -> bool {
    // The ends are put in order before case is taken away: [Z-a] is then empty.
    let (low, high) = in_order(first, last);
    match case {
        Case::Sensitive => (low as i8..=high as i8).contains(&(byte as i8)),
        Case::Blind => (fold(low)..=fold(high)).contains(&fold(byte)),
    }
}

/// The ends of a range, as signed bytes.
fn in_order(first: u8, last: u8) -> (u8, u8) {
    if first as i8 <= last as i8 { (first, last) } else { (last, first) }
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
        let plainly = matches_plainly(pattern, text, Case::Sensitive);
        assert_eq!(Glob::new(pattern).matches(text), plainly, "{} ~ {}", pattern.escape_ascii(), text.escape_ascii());
        assert_eq!(Pattern::new(pattern).matches(text), plainly);
        assert_eq!(matches(pattern, text, Case::Sensitive), plainly);
        plainly
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

    #[test]
    fn a_long_pattern_on_a_long_text_is_no_product_of_the_two() {
        let text = [b'a'; 65_535];
        for pattern in [
            [b"*".to_vec(), vec![b'a'; 30_000], b"b".to_vec()].concat(),
            [b"*[".to_vec(), vec![b'a'; 30_000], b"]c".to_vec()].concat(),
            [b"*".to_vec(), b"a?".repeat(15_000), b"b*".to_vec()].concat(),
        ] {
            // Plainly it takes seconds.
            assert!(!Pattern::new(&pattern).matches(&text));
        }
        let pattern = [b"*".to_vec(), b"a?".repeat(15_000), b"*a".to_vec()].concat();
        assert!(Pattern::new(&pattern).matches(&text));
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
            prop_assert_eq!(Glob::new(pattern).matches(text), naive(pattern, text, Case::Sensitive));
        }

        #[test]
        fn a_pattern_taken_apart_matches_what_it_matches_as_it_stands(
            pattern in "[ab*?\\[\\]]{0,140}",
            text in "[ab]{1,200}",
        ) {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Glob::new(pattern).matches(text), matches_plainly(pattern, text, Case::Sensitive));
        }

        #[test]
        fn an_escaped_text_matches_itself_only(text in prop::collection::vec(any::<u8>(), 0..20), other: Vec<u8>) {
            let pattern: Vec<u8> = text.iter().flat_map(|&byte| [b'\\', byte]).collect();
            prop_assert!(sensitive(&pattern, &text));
            prop_assert_eq!(sensitive(&pattern, &other), text == other);
        }
    }
}
