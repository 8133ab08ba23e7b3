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

use std::borrow::Cow;

use chunkbuf::{KEY_LEN_MAX, Slices, Store};

/// The longest name that is its own key, in bytes.
pub const SHORT_BYTES_MAX: usize = KEY_LEN_MAX - 1;

const DIGEST_BYTES: usize = 16;
const HEAD_BYTES: usize = KEY_LEN_MAX - DIGEST_BYTES;
const LENGTH_BYTES: usize = size_of::<u32>();

/// A name in the form in which a map takes it.
#[derive(Clone, Debug)]
pub struct Name<'a> {
    key: Cow<'a, [u8]>,
    length: [u8; LENGTH_BYTES],
    rest: &'a [u8],
}

impl<'a> Name<'a> {
    /// The form of `name`. O(1), but for a name of over 64 KiB, which is gone through.
    #[inline]
    pub fn new(store: &Store, name: &'a [u8]) -> Name<'a> {
        if name.len() <= SHORT_BYTES_MAX {
            return Name { key: Cow::Borrowed(name), length: [0; LENGTH_BYTES], rest: &[] };
        }
        let (head, rest) = name.split_at(HEAD_BYTES);
        let key = [head, &store.digest(name)].concat();
        debug_assert_eq!(key.len(), KEY_LEN_MAX);
        let length = u32::try_from(rest.len()).expect("no argument has 4 GiB").to_le_bytes();
        Name { key: Cow::Owned(key), length, rest }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// What goes in front of the value: two parts, without a byte if the name is its own key.
    #[inline]
    pub fn parts(&self) -> [&[u8]; 2] {
        if self.rest.is_empty() { [&[], &[]] } else { [&self.length, self.rest] }
    }

    /// Bytes of the [parts](Name::parts).
    #[inline]
    pub fn parts_len(&self) -> usize {
        if self.rest.is_empty() { 0 } else { LENGTH_BYTES + self.rest.len() }
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
        let end = LENGTH_BYTES + u32::from_le_bytes(length) as usize;
        let name = StoredName { head: key.slice(0..HEAD_BYTES), rest: Some(value.slice(LENGTH_BYTES..end)) };
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
    fn names_that_differ_in_their_last_byte_have_keys_of_their_own() {
        let store = Store::new(Options::default());
        let mut other = vec![7; 100_000];
        let name = other.clone();
        *other.last_mut().expect("it has bytes") = 8;
        assert_ne!(Name::new(&store, &name).key(), Name::new(&store, &other).key());
        assert_eq!(Name::new(&store, &name).key(), Name::new(&store, &name.clone()).key());
    }
}
