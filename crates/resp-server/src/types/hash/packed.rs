//! A small hash: all its fields in the entry of its key.
//!
//! ```text
//!  [flags] [field][value] [field][value] ...                      elements as in `types::packed`
//!  [flags] [field][value][expiry] [field][value][expiry] ...      with TIMED: the expiry has 8 bytes (ms, LE) or none
//! ```
//!
//! Fields stand in the order in which they came, as in Redis's listpack; with TIMED those that expire stand before the others,
//! the soonest first, so that the first field tells when the hash has to be looked at.

use super::{Encoding, Expiry, Millis};
use crate::types::packed::{self, Elements};

/// In the flags: Redis would have made a table of it.
const TABLE: u8 = 1;
/// In the flags: fields have a third element.
const TIMED: u8 = 2;
const FLAGS_BYTES: usize = 1;
const EXPIRY_BYTES: usize = size_of::<i64>();

/// A field of a small hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedField<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// When it expires.
    pub expires: Option<Millis>,
}

/// The fields of a small hash in order, those that have expired included.
#[derive(Clone, Copy, Debug)]
pub struct PackedFields<'a> {
    elements: Elements<'a>,
    timed: bool,
}

impl<'a> PackedFields<'a> {
    /// The fields in the bytes of a small hash.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> PackedFields<'a> {
        PackedFields { elements: Elements::new(&bytes[FLAGS_BYTES..]), timed: bytes[0] & TIMED != 0 }
    }

    /// Bytes of the fields that are still to come.
    fn rest_len(&self) -> usize {
        self.elements.rest().len()
    }

    /// The field of that name.
    #[inline]
    pub fn find_name(self, name: &[u8]) -> Option<PackedField<'a>> {
        let mut fields = self;
        fields.find(|field| field.name == name)
    }

    /// Whether no field can expire.
    #[inline]
    pub fn is_lasting(&self) -> bool {
        !self.timed
    }
}

impl<'a> Iterator for PackedFields<'a> {
    type Item = PackedField<'a>;

    #[inline]
    fn next(&mut self) -> Option<PackedField<'a>> {
        let name = self.elements.next()?;
        let value = self.elements.next().expect("a field has a value");
        let expires = if self.timed {
            let bytes = self.elements.next().expect("a field of a timed hash has a place for its expiry");
            bytes.try_into().ok().map(|bytes| Millis(i64::from_le_bytes(bytes)))
        } else {
            None
        };
        Some(PackedField { name, value, expires })
    }
}

/// What `OBJECT ENCODING` says of a small hash.
pub fn encoding(bytes: &[u8]) -> Encoding {
    match bytes[0] {
        flags if flags & TABLE != 0 => Encoding::Table,
        flags if flags & TIMED != 0 => Encoding::TimedListpack,
        _ => Encoding::Listpack,
    }
}

/// When the first field of a small hash expires, if one does. O(1).
pub fn next_expiry(bytes: &[u8]) -> Option<Millis> {
    PackedFields::new(bytes).next()?.expires
}

/// A small hash that is being changed.
#[derive(Clone, Debug)]
pub struct PackedHash {
    bytes: Vec<u8>,
}

impl Default for PackedHash {
    fn default() -> PackedHash {
        PackedHash { bytes: vec![0] }
    }
}

impl From<&[u8]> for PackedHash {
    fn from(bytes: &[u8]) -> PackedHash {
        PackedHash { bytes: bytes.to_vec() }
    }
}

impl PackedHash {
    /// Its bytes, to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it has more than `fields` fields, those that have expired included. O(1) for few bytes.
    pub fn has_more_than(&self, fields: usize) -> bool {
        // Each element has a byte that tells its length.
        const FIELD_BYTES_MIN: usize = 2;
        self.bytes.len() > FLAGS_BYTES + FIELD_BYTES_MIN * fields && self.fields().nth(fields).is_some()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == FLAGS_BYTES
    }

    /// What `OBJECT ENCODING` says of it.
    pub fn encoding(&self) -> Encoding {
        encoding(&self.bytes)
    }

    /// Lets it be told to be a table, from now on.
    pub fn become_table(&mut self) {
        self.bytes[0] |= TABLE;
    }

    /// Its fields in order.
    pub fn fields(&self) -> PackedFields<'_> {
        PackedFields::new(&self.bytes)
    }

    /// Sets a field; whether there was none of that name. What has expired at `now` was not there. O(bytes).
    pub fn set(&mut self, name: &[u8], value: &[u8], expiry: Expiry, now: Millis) -> bool {
        let Some((at, len, old)) = self.locate(name) else {
            let expires = expiry.after(None);
            self.insert(name, value, expires);
            return true;
        };
        let old_expires = old.expires;
        let is_new = old_expires.is_some_and(|at| at.is_past(now));
        let expires = expiry.after(old_expires.filter(|_| !is_new));
        if expires == old_expires {
            let value_at = at + packed::encoded_len(name.len());
            let value_len = packed::encoded_len(old.value.len());
            packed::splice(&mut self.bytes, value_at, value_len, value);
        } else {
            self.bytes.drain(at..at + len);
            self.insert(name, value, expires);
        }
        is_new
    }

    /// Lets a field that is there expire at a time, or never. Moves it where it belongs. O(bytes).
    pub fn set_expiry(&mut self, name: &[u8], expires: Option<Millis>) {
        let Some((at, len, old)) = self.locate(name) else { return };
        let value = old.value.to_vec();
        self.bytes.drain(at..at + len);
        self.insert(name, &value, expires);
    }

    /// Makes room for expiries, whether one is set or not: Redis changes the encoding before it looks at the fields.
    pub fn become_timed(&mut self) {
        if self.bytes[0] & TIMED == 0 {
            let mut timed = Vec::with_capacity(self.bytes.len() * 3 / 2);
            timed.push(self.bytes[0] | TIMED);
            for field in self.fields() {
                push_field(&mut timed, field.name, field.value, Some(None));
            }
            self.bytes = timed;
        }
    }

    /// Removes a field; the one that was there. O(bytes).
    pub fn remove(&mut self, name: &[u8]) -> Option<Option<Millis>> {
        let (at, len, old) = self.locate(name)?;
        let expires = old.expires;
        self.bytes.drain(at..at + len);
        Some(expires)
    }

    /// Removes the fields that have expired at `now`; how many. O(bytes).
    pub fn expire(&mut self, now: Millis) -> usize {
        let mut fields = self.fields();
        let (mut end, mut expired) = (FLAGS_BYTES, 0);
        while let Some(field) = fields.next()
            && field.expires.is_some_and(|at| at.is_past(now))
        {
            end = self.bytes.len() - fields.rest_len();
            expired += 1;
        }
        self.bytes.drain(FLAGS_BYTES..end);
        expired
    }

    /// Where a field stands, the bytes it takes, and the field.
    fn locate(&self, name: &[u8]) -> Option<(usize, usize, PackedField<'_>)> {
        let mut fields = self.fields();
        loop {
            let at = self.bytes.len() - fields.rest_len();
            let field = fields.next()?;
            if field.name == name {
                return Some((at, self.bytes.len() - fields.rest_len() - at, field));
            }
        }
    }

    /// Puts a field where it belongs: at the end, or before those that expire later or never.
    fn insert(&mut self, name: &[u8], value: &[u8], expires: Option<Millis>) {
        if expires.is_some() {
            self.become_timed();
        }
        let timed = self.bytes[0] & TIMED != 0;
        let Some(new) = expires else {
            push_field(&mut self.bytes, name, value, timed.then_some(None));
            return;
        };
        let mut fields = self.fields();
        let at = loop {
            let at = self.bytes.len() - fields.rest_len();
            match fields.next() {
                Some(field) if field.expires.is_some_and(|other| other <= new) => {}
                _ => break at,
            }
        };
        let mut field = Vec::new();
        push_field(&mut field, name, value, Some(expires));
        self.bytes.splice(at..at, field);
    }
}

fn push_field(bytes: &mut Vec<u8>, name: &[u8], value: &[u8], expires: Option<Option<Millis>>) {
    packed::push(bytes, name);
    packed::push(bytes, value);
    match expires {
        None => {}
        Some(None) => packed::push(bytes, &[]),
        Some(Some(Millis(at))) => packed::push(bytes, &at.to_le_bytes()),
    }
}

const _: () = assert!(EXPIRY_BYTES == 8, "an expiry is told from none by its length");

#[cfg(test)]
mod tests {
    use super::*;

    fn names(hash: &PackedHash) -> Vec<String> {
        hash.fields().map(|field| String::from_utf8_lossy(field.name).into_owned()).collect()
    }

    const NOW: Millis = Millis(1_000);

    #[test]
    fn fields_stand_as_they_came_and_those_that_expire_stand_before_them_by_their_time() {
        let mut hash = PackedHash::default();
        for name in ["a", "b", "c", "d"] {
            assert!(hash.set(name.as_bytes(), b"1", Expiry::Clear, NOW));
        }
        assert!(!hash.set(b"b", b"22", Expiry::Clear, NOW));
        assert_eq!(names(&hash), ["a", "b", "c", "d"]);
        assert_eq!((hash.encoding(), next_expiry(hash.as_bytes())), (Encoding::Listpack, None));
        hash.set_expiry(b"c", Some(Millis(3_000)));
        hash.set_expiry(b"b", Some(Millis(2_000)));
        hash.set_expiry(b"d", Some(Millis(3_000)));
        assert_eq!(names(&hash), ["b", "c", "d", "a"]);
        assert_eq!((hash.encoding(), next_expiry(hash.as_bytes())), (Encoding::TimedListpack, Some(Millis(2_000))));
        hash.set(b"c", b"new", Expiry::Keep, NOW);
        assert_eq!(names(&hash), ["b", "c", "d", "a"]);
        hash.set(b"c", b"new", Expiry::Clear, NOW);
        assert_eq!(names(&hash), ["b", "d", "a", "c"]);
        assert_eq!(hash.expire(Millis(2_000)), 0);
        assert_eq!(hash.expire(Millis(2_001)), 1);
        assert_eq!(names(&hash), ["d", "a", "c"]);
        assert_eq!(hash.remove(b"d"), Some(Some(Millis(3_000))));
        assert_eq!(hash.remove(b"d"), None);
        assert_eq!(hash.encoding(), Encoding::TimedListpack);
        hash.become_table();
        assert_eq!(hash.encoding(), Encoding::Table);
        let hash = PackedHash::from(hash.as_bytes());
        assert_eq!([0, 1, 2].map(|fields| hash.has_more_than(fields)), [true, true, false]);
    }

    #[test]
    fn a_field_that_has_expired_is_new_when_it_is_set() {
        let mut hash = PackedHash::default();
        hash.set(b"f", b"1", Expiry::At(Millis(1_500)), NOW);
        assert!(!hash.set(b"f", b"2", Expiry::Keep, Millis(1_500)));
        assert!(hash.set(b"f", b"3", Expiry::Keep, Millis(1_501)));
        assert_eq!(hash.fields().next().expect("it has a field").expires, None);
        assert!(hash.has_more_than(0) && !hash.has_more_than(1));
    }
}
