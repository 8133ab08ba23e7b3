//! Names of elements, of any length, as keys of a map.
//!
//! A field of a hash or a member of a set may be as long as a string, the key of a map 65,535 bytes. So a name of up to 65,534
//! bytes is its own key, and a longer one is known by its beginning and a digest of the whole; what its key does not hold
//! lies in front of the value:
//!
//! ```text
//!  up to 65,534 bytes:  key = name                               value = [...]
//!  longer:              key = [first 65,519 bytes][digest: 16]   value = [length: u32 LE][the rest of the name][...]
//! ```
//!
//! No name of its own has 65,535 bytes, so the length of a key tells which of them it is. The digest is keyed with the store's seed:
//! nobody can make two names that share one.
//!
//! Who knows keys by their 64-bit hash alone needs another key for a name whose own has the hash of another's. Such a name is
//! *salted*: it has the longer form, whatever its length, with a digest of salt and name. If it is short, zeros fill its place in the
//! key, and the length says how many, below 0.

use std::borrow::Cow;

use chunkbuf::{KEY_LEN_MAX, Slices, Store};

/// The longest name that is its own key, in bytes.
pub const SHORT_BYTES_MAX: usize = KEY_LEN_MAX - 1;

const DIGEST_BYTES: usize = 16;
const HEAD_BYTES: usize = KEY_LEN_MAX - DIGEST_BYTES;
const LENGTH_BYTES: usize = size_of::<i32>();

/// A name in the form in which a map takes it.
#[derive(Clone, Debug)]
pub struct Name<'a> {
    key: Cow<'a, [u8]>,
    /// Bytes of `rest`; below 0: of the zeros in the key.
    length: [u8; LENGTH_BYTES],
    rest: &'a [u8],
    is_long: bool,
}

impl<'a> Name<'a> {
    /// The form of `name`. O(1), but for a name of over 64 KiB, which is gone through.
    #[inline]
    pub fn new(store: &Store, name: &'a [u8]) -> Name<'a> {
        if name.len() <= SHORT_BYTES_MAX {
            return Name { key: Cow::Borrowed(name), length: [0; LENGTH_BYTES], rest: &[], is_long: false };
        }
        Name::long(name, store.digest(name))
    }

    /// The form of a name that has a salt, or none if that is 0.
    pub fn salted(store: &Store, name: &'a [u8], salt: u32) -> Name<'a> {
        if salt == 0 {
            return Name::new(store, name);
        }
        Name::long(name, store.digest(&[&salt.to_le_bytes(), name].concat()))
    }

    fn long(name: &'a [u8], digest: [u8; DIGEST_BYTES]) -> Name<'a> {
        let (head, rest) = name.split_at(name.len().min(HEAD_BYTES));
        let zeros = HEAD_BYTES - head.len();
        let key = [head, &vec![0; zeros], &digest].concat();
        debug_assert_eq!(key.len(), KEY_LEN_MAX);
        let length = i32::try_from(rest.len()).expect("no name has 2 GiB") - zeros as i32;
        Name { key: Cow::Owned(key), length: length.to_le_bytes(), rest, is_long: true }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// What goes in front of the value: two parts, without a byte if the name is its own key.
    #[inline]
    pub fn parts(&self) -> [&[u8]; 2] {
        if self.is_long { [&self.length, self.rest] } else { [&[], &[]] }
    }

    /// Bytes of the [parts](Name::parts).
    #[inline]
    pub fn parts_len(&self) -> usize {
        if self.is_long { LENGTH_BYTES + self.rest.len() } else { 0 }
    }
}

/// A name where it lies in an entry.
#[derive(Clone, Copy, Debug)]
pub struct StoredName<'a> {
    head: Slices<'a>,
    rest: Option<Slices<'a>>,
}

impl<'a> StoredName<'a> {
    /// Tells an entry's name from what the value is without it. O(1).
    #[inline]
    pub fn split(key: Slices<'a>, value: Slices<'a>) -> (StoredName<'a>, Slices<'a>) {
        if key.len() <= SHORT_BYTES_MAX {
            return (StoredName { head: key, rest: None }, value);
        }
        let mut length = [0; LENGTH_BYTES];
        value.slice(0..LENGTH_BYTES).copy_to(&mut length);
        let length = i32::from_le_bytes(length);
        let end = LENGTH_BYTES + length.max(0) as usize;
        let head = key.slice(0..HEAD_BYTES - length.min(0).unsigned_abs() as usize);
        let name = StoredName { head, rest: Some(value.slice(LENGTH_BYTES..end)) };
        (name, value.slice(end..value.len()))
    }

    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    #[inline]
    pub fn len(&self) -> usize {
        self.head.len() + self.rest.map_or(0, |rest| rest.len())
    }

    /// Its bytes, in order and in pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.head.pieces().chain(self.rest.into_iter().flat_map(|rest| rest.pieces()))
    }

    /// Its bytes as one slice; they are copied to `scratch` when they do not lie in one piece.
    #[inline]
    pub fn as_slice<'s>(&self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        if self.rest.is_none()
            && let Some(bytes) = self.head.contiguous()
        {
            return bytes;
        }
        scratch.clear();
        scratch.extend(self.pieces().flatten());
        scratch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chunkbuf::{Options, UserFlags};

    #[test]
    fn a_name_of_any_length_reads_back_beside_its_value() {
        let mut store = Store::new(Options::default());
        let map = store.create();
        let lens = [0, 1, 100, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, SHORT_BYTES_MAX + 2, 200_000];
        for len in lens {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let name = Name::new(&store, &bytes);
            let [length, rest] = name.parts();
            assert_eq!(length.len() + rest.len(), name.parts_len());
            let key = store.key(name.key());
            store.put_at(map, &key, None, UserFlags::NONE, &[length, rest, b"value"]).expect("memory is not limited");
            let (_, entry) = store.find_entry(map, &key).expect("just put");
            let (stored, value) = StoredName::split(entry.key, entry.value);
            assert_eq!((stored.len(), value.to_vec()), (len, b"value".to_vec()));
            assert_eq!(stored.as_slice(&mut Vec::new()), bytes);
        }
        assert_eq!(store.len(map), lens.len() as u64);
    }

    #[test]
    fn a_salted_name_has_another_key_and_reads_back() {
        let mut store = Store::new(Options::default());
        let map = store.create();
        for len in [0, 1, 100, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, 200_000] {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            assert_eq!(Name::salted(&store, &bytes, 0).key(), Name::new(&store, &bytes).key());
            for salt in [1, 2] {
                let name = Name::salted(&store, &bytes, salt);
                let [length, rest] = name.parts();
                assert_eq!(length.len() + rest.len(), name.parts_len());
                let key = store.key(name.key());
                assert!(store.find(map, &key).is_none());
                store.put_at(map, &key, None, UserFlags::NONE, &[length, rest, b"v"]).expect("memory is not limited");
                let (_, entry) = store.find_entry(map, &key).expect("just put");
                let (stored, value) = StoredName::split(entry.key, entry.value);
                assert_eq!((stored.len(), value.to_vec()), (len, b"v".to_vec()));
                assert_eq!(stored.as_slice(&mut Vec::new()), bytes);
            }
        }
    }

    #[test]
    fn names_that_differ_in_their_last_byte_have_keys_of_their_own() {
        let store = Store::new(Options::default());
        let mut other = vec![7; 100_000];
        let name = other.clone();
        *other.last_mut().expect("it has bytes") = 8;
        assert_ne!(Name::new(&store, &name).key(), Name::new(&store, &other).key());
        assert_eq!(Name::new(&store, &name).key(), Name::new(&store, &name.clone()).key());
    }
}
