//! Keys that somebody waits for, and which of them have changed.
//!
//! Whoever waits (see [`crate::engine::parked`]) has its keys entered here; [`Db::changed`](super::Db::changed) looks each changed
//! key up and notes it as ready. What a key holds then, and who is served, is not decided here. While nobody waits a change
//! costs the look at one length; otherwise a hash and a look-up, O(log n).

use std::collections::{BTreeMap, VecDeque};

/// A key by the number of its database and its 64-bit hash. Two keys with one hash are noted together: whoever is told of the
/// other one looks in vain and waits on.
pub type KeyPlace = (u32, u64);

/// The keys that are waited for.
#[derive(Debug, Default)]
pub struct Awaited {
    /// A tree: a hash table of a million keys grows in one step of milliseconds.
    keys: BTreeMap<KeyPlace, Noted>,
    ready: VecDeque<KeyPlace>,
    /// Keys that were taken from `ready` so far.
    taken: u64,
    /// Keys that had been noted when that was last asked for.
    seen: u64,
}

/// How often a key was entered, and whether it stands among those that are ready.
#[derive(Clone, Copy, Debug, Default)]
struct Noted {
    entered: u32,
    is_ready: bool,
}

impl Awaited {
    /// Whether nobody waits for any key.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys are waited for.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Somebody waits for a key; once more, if others do.
    pub fn enter(&mut self, key: KeyPlace) {
        self.keys.entry(key).or_default().entered += 1;
    }

    /// One who waited for a key does so no longer.
    pub fn leave(&mut self, key: KeyPlace) {
        let noted = self.keys.get_mut(&key).expect("a key is left as often as it was entered");
        noted.entered -= 1;
        if noted.entered == 0 {
            self.keys.remove(&key);
        }
    }

    /// A key has changed, or is to be looked at again; whether somebody waits for it.
    pub fn note(&mut self, key: KeyPlace) -> bool {
        let Some(noted) = self.keys.get_mut(&key) else { return false };
        if !std::mem::replace(&mut noted.is_ready, true) {
            self.ready.push_back(key);
        }
        true
    }

    /// All keys of some databases have changed. O(keys that are waited for)
    pub(super) fn note_databases(&mut self, databases: [u32; 2]) {
        let keys: Vec<KeyPlace> = self.keys.keys().filter(|key| databases.contains(&key.0)).copied().collect();
        for key in keys {
            self.note(key);
        }
    }

    /// Whether a key is among those that have changed and were not taken.
    pub fn is_ready(&self, key: KeyPlace) -> bool {
        self.keys.get(&key).is_some_and(|noted| noted.is_ready)
    }

    /// The keys that have changed and were not taken.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn ready(&self) -> impl Iterator<Item = KeyPlace> + '_ {
        self.ready.iter().copied()
    }

    /// Whether some key has changed.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether some key has changed since [`take_news`](Awaited::take_news).
    #[inline]
    pub fn has_news(&self) -> bool {
        !self.ready.is_empty() && self.noted() != self.seen
    }

    /// The keys that have changed since the last call and were not taken, the last one first.
    pub fn take_news(&mut self) -> impl Iterator<Item = KeyPlace> + '_ {
        let news = (self.noted() - self.seen) as usize;
        self.seen = self.noted();
        self.ready.iter().rev().take(news).copied()
    }

    /// How many times a key has become ready so far. O(1)
    pub fn noted(&self) -> u64 {
        self.taken + self.ready.len() as u64
    }

    /// Whether some of the keys that [`take_news`](Awaited::take_news) told were not taken.
    pub fn has_old(&self) -> bool {
        self.seen > self.taken
    }

    /// How many of these were taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The key that changed first, which is noted no longer. Those who waited for it may have gone.
    pub fn take_ready(&mut self) -> Option<KeyPlace> {
        let key = self.ready.pop_front()?;
        self.taken += 1;
        if let Some(noted) = self.keys.get_mut(&key) {
            noted.is_ready = false;
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_ready_once_however_often_it_changes() {
        let mut awaited = Awaited::default();
        awaited.note((0, 7));
        assert!(!awaited.has_ready(), "nobody waits for it");
        awaited.enter((0, 7));
        awaited.enter((0, 7));
        awaited.enter((1, 7));
        for key in [(0, 7), (1, 7), (0, 7), (0, 8)] {
            awaited.note(key);
        }
        assert_eq!(awaited.take_ready(), Some((0, 7)));
        awaited.note((0, 7));
        assert_eq!(awaited.take_ready(), Some((1, 7)));
        assert_eq!(awaited.take_ready(), Some((0, 7)));
        assert_eq!(awaited.take_ready(), None);
    }

    #[test]
    fn a_key_that_changes_when_nobody_waits_for_it_any_more_is_not_noted() {
        let mut awaited = Awaited::default();
        awaited.enter((0, 7));
        awaited.enter((0, 7));
        awaited.note((0, 7));
        awaited.leave((0, 7));
        assert_eq!(awaited.len(), 1);
        awaited.leave((0, 7));
        assert!(awaited.is_empty());
        assert_eq!(awaited.take_ready(), Some((0, 7)), "it was noted before");
        assert!(!awaited.note((0, 7)) && !awaited.has_ready());
    }

    #[test]
    fn what_is_new_is_told_once() {
        let mut awaited = Awaited::default();
        (0..4).for_each(|hash| awaited.enter((0, hash)));
        awaited.note((0, 0));
        assert_eq!(awaited.take_ready(), Some((0, 0)));
        assert!(!awaited.has_news() && !awaited.has_old());
        awaited.note((0, 1));
        awaited.note((0, 2));
        assert!(awaited.has_news() && !awaited.has_old());
        assert_eq!(awaited.take_news().collect::<Vec<_>>(), [(0, 2), (0, 1)]);
        assert!(!awaited.has_news() && awaited.has_old());
        awaited.note((0, 3));
        awaited.note((0, 2));
        assert_eq!(awaited.take_ready(), Some((0, 1)));
        assert_eq!(awaited.take_news().collect::<Vec<_>>(), [(0, 3)]);
        assert_eq!((awaited.noted(), awaited.taken()), (4, 2));
    }
}
