//! Several strings combined bit by bit, as BITOP does: the shorter ones go on with zeros to the length of the longest.
//!
//! The result comes in windows of whatever size the caller has room for. In a window the first string is laid down, and each
//! further one is worked into it by a plain loop over bytes, which the compiler makes vector code of.

use crate::keyspace::Snapshot;

/// How strings are combined. X is the first, Y are the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Set in all.
    And,
    /// Set in any.
    Or,
    /// Set in an odd number of them.
    Xor,
    /// Clear in X; there are no others.
    Not,
    /// Set in X and in no Y.
    Diff,
    /// Clear in X and set in some Y.
    Diff1,
    /// Set in X and in some Y.
    AndOr,
    /// Set in exactly one.
    One,
}

impl Operator {
    const NAMES: [(&'static str, Operator); 8] = [
        ("AND", Operator::And),
        ("OR", Operator::Or),
        ("XOR", Operator::Xor),
        ("NOT", Operator::Not),
        ("DIFF", Operator::Diff),
        ("DIFF1", Operator::Diff1),
        ("ANDOR", Operator::AndOr),
        ("ONE", Operator::One),
    ];

    /// The operator of a name in any case.
    pub fn named(name: &[u8]) -> Option<Operator> {
        let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        Operator::NAMES.into_iter().find_map(|(known, operator)| is(known).then_some(operator))
    }

    /// Its name in capitals.
    pub fn name(self) -> &'static str {
        let named = Operator::NAMES.into_iter().find(|(_, operator)| *operator == self);
        named.expect("every operator has a name").0
    }

    /// Whether it tells the first string from the others, and so needs two.
    pub fn needs_two(self) -> bool {
        matches!(self, Operator::Diff | Operator::Diff1 | Operator::AndOr)
    }

    /// Works a part of a further string into the window's result so far and what is noted beside it.
    fn work_in(self, result: &mut [u8], noted: &mut [u8], part: &[u8]) {
        let pairs = result.iter_mut().zip(part);
        match self {
            Operator::And => pairs.for_each(|(byte, other)| *byte &= other),
            Operator::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operator::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operator::Diff => pairs.for_each(|(byte, other)| *byte &= !other),
            // Noted: what is set in some Y.
            Operator::Diff1 | Operator::AndOr => {
                noted.iter_mut().zip(part).for_each(|(some, other)| *some |= other);
            }
            // The result so far: set in any. Noted: set in more than one.
            Operator::One => pairs.zip(noted).for_each(|((any, other), more)| {
                *more |= *any & other;
                *any |= other;
            }),
            Operator::Not => unreachable!("it has one string"),
        }
    }

    /// Makes the window's result final.
    fn finish(self, result: &mut [u8], noted: &[u8]) {
        let pairs = result.iter_mut().zip(noted);
        match self {
            Operator::And | Operator::Or | Operator::Xor | Operator::Diff => {}
            Operator::Not => result.iter_mut().for_each(|byte| *byte = !*byte),
            Operator::Diff1 => pairs.for_each(|(byte, some)| *byte = !*byte & some),
            Operator::AndOr => pairs.for_each(|(byte, some)| *byte &= some),
            Operator::One => pairs.for_each(|(any, more)| *any &= !more),
        }
    }
}

/// What a string costs in each window beside its bytes, in bytes.
const SOURCE_COST: usize = 64;

/// Combines strings, a window at a time.
#[derive(Debug)]
pub struct Combine {
    operator: Operator,
    sources: Vec<Snapshot>,
    at: usize,
    len: usize,
    /// The string to work into the window next.
    nth: usize,
    /// As long as the largest window so far, for the operators that note something.
    noted: Vec<u8>,
}

impl Combine {
    /// Combines `sources`: one for [`Operator::Not`], one or more for the others.
    pub fn new(operator: Operator, sources: Vec<Snapshot>) -> Combine {
        assert!(!sources.is_empty() && (operator != Operator::Not || sources.len() == 1));
        let len = sources.iter().map(Snapshot::len).max().unwrap_or(0);
        Combine { operator, sources, at: 0, len, nth: 0, noted: Vec::new() }
    }

    /// Bytes of the result altogether: as many as of the longest string.
    pub fn result_len(&self) -> usize {
        self.len
    }

    /// Goes on with the next bytes of the result in `window`, which must be as it was left until they are final: `None` before.
    /// Then how many they are: all that fit, fewer at the end, 0 behind it. It goes through one string of a window at least and
    /// takes what that costs off `left_bytes`.
    pub fn step(&mut self, window: &mut [u8], left_bytes: &mut usize) -> Option<usize> {
        let Combine { operator, at, len, noted, .. } = self;
        let size = window.len().min(*len - *at);
        if size == 0 {
            return Some(0);
        }
        let result = &mut window[..size];
        if self.nth == 0 && matches!(operator, Operator::Diff1 | Operator::AndOr | Operator::One) {
            noted.clear();
            noted.resize(size, 0);
        }
        while let Some(source) = self.sources.get(self.nth) {
            let end = (*at + size).min(source.len());
            let mut written = 0;
            for piece in source.pieces((*at).min(end)..end) {
                let part = written..written + piece.len();
                if self.nth == 0 {
                    result[part].copy_from_slice(piece);
                } else {
                    let noted = if noted.is_empty() { &mut [][..] } else { &mut noted[part.clone()] };
                    operator.work_in(&mut result[part], noted, piece);
                }
                written += piece.len();
            }
            // Zeros behind its end: they matter where it is laid down, and to AND.
            if self.nth == 0 || *operator == Operator::And {
                result[written..].fill(0);
            }
            self.nth += 1;
            *left_bytes = left_bytes.saturating_sub(size + SOURCE_COST);
            if *left_bytes == 0 && self.nth < self.sources.len() {
                return None;
            }
        }
        operator.finish(result, noted);
        *at += size;
        self.nth = 0;
        Some(size)
    }

    /// The strings, once nothing is to be combined any more.
    pub fn take_sources(&mut self) -> Vec<Snapshot> {
        std::mem::take(&mut self.sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(operator: Operator, sources: &[Vec<u8>]) -> Vec<u8> {
        let len = sources.iter().map(Vec::len).max().unwrap();
        let bit = |source: &Vec<u8>, at: usize| source.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
        let mut result = vec![0; len];
        for at in 0..8 * len {
            let first = bit(&sources[0], at);
            let others = sources[1..].iter().filter(|source| bit(source, at)).count();
            let set = others + usize::from(first);
            let is_set = match operator {
                Operator::And => set == sources.len(),
                Operator::Or => set > 0,
                Operator::Xor => set % 2 == 1,
                Operator::Not => !first,
                Operator::Diff => first && others == 0,
                Operator::Diff1 => !first && others > 0,
                Operator::AndOr => first && others > 0,
                Operator::One => set == 1,
            };
            result[at / 8] |= u8::from(is_set) << (7 - at % 8);
        }
        result
    }

    fn combined(operator: Operator, sources: &[Vec<u8>], window: usize, budget: usize) -> Vec<u8> {
        let mut combine = Combine::new(operator, sources.iter().cloned().map(Snapshot::from).collect());
        let (mut result, mut window) = (Vec::new(), vec![0xa5; window]);
        loop {
            let mut left = budget;
            match combine.step(&mut window, &mut left) {
                None => assert_eq!(left, 0),
                Some(0) => break,
                Some(len) => result.extend_from_slice(&window[..len]),
            }
        }
        assert_eq!(result.len(), combine.result_len());
        result
    }

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!(Operator::named(b"aNdOr"), Some(Operator::AndOr));
        assert_eq!(Operator::named(b"and "), None);
        assert!(Operator::NAMES.into_iter().all(|(name, operator)| operator.name() == name));
    }

    proptest! {
        #[test]
        fn strings_of_any_lengths_are_combined_as_bit_by_bit(
            sources in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..6),
            operator in prop::sample::select(Operator::NAMES.map(|(_, operator)| operator).to_vec()),
            window in 1_usize..130,
            budget in 1_usize..1000,
        ) {
            let sources = if operator == Operator::Not { &sources[..1] } else { &sources[..] };
            prop_assert_eq!(combined(operator, sources, window, budget), naive(operator, sources));
        }
    }
}
