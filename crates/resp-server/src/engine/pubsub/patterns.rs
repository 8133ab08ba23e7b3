//! Patterns and who subscribes to them, by the literal beginning that a channel must have to match.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use bytes::Bytes;

use super::Subscribers;

/// Bytes of a literal beginning that are looked at.
const PREFIX_MAX: usize = 32;

/// All patterns that have a subscriber.
#[derive(Debug)]
pub(super) struct Patterns {
    /// By literal beginning and pattern.
    table: BTreeMap<(Bytes, Bytes), Subscribers>,
    /// How many have a literal beginning of each length.
    lens: [usize; PREFIX_MAX + 1],
}

impl Default for Patterns {
    fn default() -> Patterns {
        Patterns { table: BTreeMap::new(), lens: [0; PREFIX_MAX + 1] }
    }
}

/// The bytes at the beginning of a pattern that stand for themselves.
fn prefix(pattern: &Bytes) -> Bytes {
    let len = pattern.iter().take(PREFIX_MAX).take_while(|byte| !b"*?[\\".contains(byte)).count();
    pattern.slice(..len)
}

impl Patterns {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn get(&self, pattern: &Bytes) -> Option<&Subscribers> {
        self.table.get(&(prefix(pattern), pattern.clone()))
    }

    /// Changes who subscribes to a pattern; it goes with the last of them.
    pub(super) fn change(&mut self, pattern: &Bytes, change: impl FnOnce(&mut Subscribers)) {
        let prefix = prefix(pattern);
        let len = prefix.len();
        let place = (prefix, pattern.clone());
        let before = self.table.len();
        let subscribers = self.table.entry(place.clone()).or_default();
        self.lens[len] += usize::from(subscribers.is_empty());
        change(subscribers);
        if subscribers.is_empty() {
            self.table.remove(&place);
            self.lens[len] -= 1;
        }
        debug_assert!(self.table.len().abs_diff(before) <= 1);
    }

    /// The next pattern that a channel may match, and the length of its literal beginning: of those with one of at least `prefix`
    /// bytes, and among those with just that behind `after`. O(log n) for each length that there is.
    pub(super) fn next(&self, channel: &Bytes, prefix: usize, after: Option<&Bytes>) -> Option<(usize, &Bytes)> {
        let mut after = after;
        for len in prefix..=PREFIX_MAX.min(channel.len()) {
            let after = after.take();
            if self.lens[len] == 0 {
                continue;
            }
            let beginning = channel.slice(..len);
            let from = match after {
                Some(after) => Excluded((beginning.clone(), after.clone())),
                None => Included((beginning.clone(), Bytes::new())),
            };
            if let Some(((found, pattern), _)) = self.table.range((from, Unbounded)).next()
                && *found == beginning
            {
                return Some((len, pattern));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ClientId;
    use crate::text::glob::{self, Case};

    fn candidates(patterns: &Patterns, channel: &str) -> Vec<String> {
        let channel = Bytes::copy_from_slice(channel.as_bytes());
        let (mut found, mut prefix, mut after) = (Vec::new(), 0, None);
        while let Some((len, pattern)) = patterns.next(&channel, prefix, after.as_ref()) {
            found.push(String::from_utf8_lossy(pattern).into_owned());
            (prefix, after) = (len, Some(pattern.clone()));
        }
        found
    }

    #[test]
    fn each_pattern_that_matches_is_met_once_and_few_others() {
        let long = "x".repeat(2 * PREFIX_MAX);
        let all =
            ["*", "?b*", "", "a", "a*", "ab[c]", "a\\*", "abc", "b*", &long, &format!("{long}*")].map(str::to_owned);
        let mut patterns = Patterns::default();
        for pattern in &all {
            patterns.change(&Bytes::from(pattern.clone()), |subscribers| {
                subscribers.add(ClientId(1), 0);
            });
        }
        for channel in ["", "a", "ab", "abc", "a*", "c", &long, &format!("{long}y")] {
            let met = candidates(&patterns, channel);
            for pattern in &all {
                let times = met.iter().filter(|other| *other == pattern).count();
                let matches = glob::matches(pattern.as_bytes(), channel.as_bytes(), Case::Sensitive);
                assert!(times <= 1 && (times == 1 || !matches), "{pattern:?} and {channel:?}: {times}");
            }
            assert!(!met.contains(&"b*".to_owned()));
        }
        for pattern in &all {
            patterns.change(&Bytes::from(pattern.clone()), |subscribers| subscribers.remove(ClientId(1)));
        }
        assert_eq!((patterns.len(), patterns.lens), (0, [0; PREFIX_MAX + 1]));
    }
}
