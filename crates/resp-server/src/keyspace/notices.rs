//! Events of keys that somebody is to be told of: keyspace notifications, and values that clients keep.
//!
//! While a command runs its events are noted here in order ([`Db::changed`](super::Db::changed) and its like); right after it they
//! are told (`Engine::tell_notices`). What is asked for is known beforehand, so while nobody asks an event costs one look.

use std::collections::VecDeque;

use super::Event;

/// A class of events, by which clients choose what they want to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Class {
    /// Of any key: deleted, renamed, given an expiry.
    Generic = 1 << 0,
    /// Of strings.
    String = 1 << 1,
    /// Of lists.
    List = 1 << 2,
    /// Of sets.
    Set = 1 << 3,
    /// Of hashes.
    Hash = 1 << 4,
    /// Of sorted sets.
    SortedSet = 1 << 5,
    /// Keys whose time had come.
    Expired = 1 << 6,
    /// Keys that were removed for want of memory.
    Evicted = 1 << 7,
    /// Of streams.
    Stream = 1 << 8,
    /// Of what modules add.
    Module = 1 << 9,
    /// Keys that were not there before.
    New = 1 << 10,
    /// Not a class: tell of a key on the channel of its name.
    Keyspace = 1 << 11,
    /// Not a class: tell of a key on the channel of the event.
    Keyevent = 1 << 12,
    /// Keys that were looked for in vain.
    KeyMiss = 1 << 13,
}

/// The letters of the setting, in the order in which it is printed.
const LETTERS: [(Class, u8); 14] = [
    (Class::Generic, b'g'),
    (Class::String, b'$'),
    (Class::List, b'l'),
    (Class::Set, b's'),
    (Class::Hash, b'h'),
    (Class::SortedSet, b'z'),
    (Class::Expired, b'x'),
    (Class::Evicted, b'e'),
    (Class::Stream, b't'),
    (Class::Module, b'd'),
    (Class::New, b'n'),
    (Class::Keyspace, b'K'),
    (Class::Keyevent, b'E'),
    (Class::KeyMiss, b'm'),
];

/// The classes that somebody wants to hear of: the setting `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u16);

impl Classes {
    /// What `A` stands for: all but new keys and misses.
    const ALL: u16 = (1 << 10) - 1;

    /// Whether a class, or one of the two ways to tell, is among them.
    #[inline]
    pub fn has(self, class: Class) -> bool {
        self.0 & class as u16 != 0
    }

    /// Reads the setting; none: there is a letter that is none of the classes'.
    pub fn parse(text: &[u8]) -> Option<Classes> {
        text.iter().try_fold(Classes(0), |classes, &letter| match letter {
            b'A' => Some(Classes(classes.0 | Classes::ALL)),
            _ => {
                let (class, _) = LETTERS.iter().find(|&&(_, other)| other == letter)?;
                Some(Classes(classes.0 | *class as u16))
            }
        })
    }

    /// The setting as it is printed: `A` where it can stand, then what there is beside. As in Redis, `A` stands for `n` too.
    pub fn print(self) -> String {
        let all = self.0 & Classes::ALL == Classes::ALL;
        let mut text = String::from(if all { "A" } else { "" });
        for (class, letter) in LETTERS {
            let is_told = !all || (class as u16) > Class::New as u16;
            if is_told && self.has(class) {
                text.push(letter.into());
            }
        }
        text
    }

    /// Whether events of a class are told in some way.
    #[inline]
    fn wants(self, class: Class) -> bool {
        self.has(class) && (self.has(Class::Keyspace) || self.has(Class::Keyevent))
    }
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// An event of a key, in a database.
    Key { db: usize, key: Box<[u8]>, event: Event },
    /// All keys of one or more databases went.
    Flush,
}

/// What happened and is not told yet.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    classes: Classes,
    /// Some client keeps values.
    tracked: bool,
    noted: VecDeque<Notice>,
}

impl Notices {
    /// What the setting asks for.
    pub(crate) fn set_classes(&mut self, classes: Classes) {
        self.classes = classes;
    }

    /// The setting.
    pub(crate) fn classes(&self) -> Classes {
        self.classes
    }

    /// Whether somebody keeps values, and is to be told when they change.
    pub(crate) fn set_tracked(&mut self, tracked: bool) {
        self.tracked = tracked;
    }

    /// Whether anything might have to be noted.
    #[inline]
    pub(crate) fn are_wanted(&self) -> bool {
        self.tracked || self.classes != Classes::default()
    }

    /// Whether an event is to be published.
    pub(crate) fn is_published(&self, event: Event) -> bool {
        self.classes.wants(event.class())
    }

    /// Notes an event, if somebody wants it.
    #[cold]
    pub(crate) fn note(&mut self, db: usize, key: &[u8], event: Event) {
        if self.is_published(event) || self.tracked && event.is_change() {
            self.noted.push_back(Notice::Key { db, key: key.into(), event });
        }
    }

    /// Notes that a database was emptied.
    pub(crate) fn note_flush(&mut self) {
        if self.tracked && self.noted.back() != Some(&Notice::Flush) {
            self.noted.push_back(Notice::Flush);
        }
    }

    /// Whether there is nothing to tell.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.noted.is_empty()
    }

    /// What happened first.
    pub(crate) fn take(&mut self) -> Option<Notice> {
        self.noted.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_printed_as_redis_does() {
        for (text, printed) in [
            ("", ""),
            ("KEA", "AKE"),
            ("K$lshzxeg", "g$lshzxeK"),
            ("Em", "Em"),
            ("KEAnm", "AKEm"),
            ("g$lshzxetd", "A"),
            ("nE", "nE"),
            ("AAg", "A"),
        ] {
            let classes = Classes::parse(text.as_bytes()).expect("letters of classes");
            assert_eq!(classes.print(), printed, "{text}");
        }
        assert_eq!(Classes::parse(b"KEy"), None);
    }

    #[test]
    fn only_what_is_wanted_is_noted() {
        let mut notices = Notices::default();
        assert!(!notices.are_wanted());
        notices.set_classes(Classes::parse(b"A").expect("letters of classes"));
        notices.note(0, b"k", Event::Set);
        assert!(notices.is_empty(), "there is no way to tell it");
        notices.set_classes(Classes::parse(b"K$").expect("letters of classes"));
        notices.note(3, b"k", Event::Set);
        notices.note(3, b"k", Event::Expire);
        notices.note(3, b"k", Event::New);
        assert_eq!(notices.take(), Some(Notice::Key { db: 3, key: (*b"k").into(), event: Event::Set }));
        assert_eq!(notices.take(), None);
        notices.set_tracked(true);
        notices.note(0, b"k", Event::Expire);
        notices.note(0, b"k", Event::KeyMiss);
        notices.note_flush();
        notices.note_flush();
        assert_eq!(notices.take(), Some(Notice::Key { db: 0, key: (*b"k").into(), event: Event::Expire }));
        assert_eq!((notices.take(), notices.take()), (Some(Notice::Flush), None));
    }
}
