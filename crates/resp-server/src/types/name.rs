//! Names of elements, of any length, as keys of a map.
//!
//! A field of a hash or a member of a set may be as long as a string, the key of a map 65,535 bytes. So a name of up to 65,534
//! bytes is its own key, and a longer one is known by its beginning and a digest of the whole; what its key does not hold
//! is a blob of the map, whose number stands in front of the value:
//!
//! ```text
//!  up to 65,534 bytes:  key = name                               value = [...]
//!  longer:              key = [first 65,519 bytes][digest: 16]   value = [blob of the rest: i32 LE][...]
//! ```
//!
//! So a long name is told and copied by reference, but for its beginning, and is not moved by compaction.
//!
//! No name of its own has 65,535 bytes, so the length of a key tells which of them it is. The digest is keyed with the store's seed:
//! nobody can make two names that share one.
//!
//! Who knows keys by their 64-bit hash alone needs another key for a name whose own has the hash of another's. Such a name is
//! *salted*: it has the longer form, whatever its length, with a digest of salt and name. If it is short, zeros fill its place in the
//! key, and the number says how many, 0 or below.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::iter;
use std::ops::Range;

use chunkbuf::{Blob, BlobId, Digest, KEY_LEN_MAX, MapId, PutError, Slices, Store};

/// The longest name that is its own key, in bytes.
pub const SHORT_BYTES_MAX: usize = KEY_LEN_MAX - 1;

const DIGEST_BYTES: usize = 16;
/// Bytes of a long name that its key holds.
pub const HEAD_BYTES: usize = KEY_LEN_MAX - DIGEST_BYTES;
const PREFIX_BYTES: usize = size_of::<i32>();

/// A name as a request brings it.
#[derive(Clone, Copy, Debug)]
pub struct GivenName<'a> {
    /// All of it, or its beginning.
    bytes: &'a [u8],
    /// The whole, if it was brought into its longer form while it was received.
    long: Option<&'a LongName>,
}

impl<'a> From<&'a [u8]> for GivenName<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> GivenName<'a> {
        GivenName { bytes, long: None }
    }
}

impl<'a> From<&'a LongName> for GivenName<'a> {
    fn from(long: &'a LongName) -> GivenName<'a> {
        GivenName { bytes: &long.key[..HEAD_BYTES], long: Some(long) }
    }
}

impl<'a> GivenName<'a> {
    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    #[inline]
    pub fn len(&self) -> usize {
        self.long.map_or(self.bytes.len(), |long| long.len)
    }

    /// Its beginning, or all of it: what has to be gone through to look it up.
    #[inline]
    pub fn beginning(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether all of it is here, as is needed to add it, and not just what it is found by.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.long.is_none_or(LongName::is_whole)
    }

    /// Its bytes, if they lie in one piece. Those of a name that does not are more than a packed collection has.
    #[inline]
    pub fn contiguous(&self) -> Option<&'a [u8]> {
        self.long.is_none().then_some(self.bytes)
    }
}

/// A name of over [`SHORT_BYTES_MAX`] bytes in its longer form.
#[derive(Debug)]
pub struct LongName {
    /// Its beginning and the digest.
    key: Vec<u8>,
    /// What the key does not hold; `None`: there was no memory for it.
    rest: Option<Blob>,
    /// Bytes of the whole.
    len: usize,
}

impl LongName {
    /// Whether all of it is here, and not just what it is found by.
    pub fn is_whole(&self) -> bool {
        self.rest.is_some()
    }
}

/// Names that were copied out of where they lie, to be worked on while the store changes. Of a long one the beginning is copied, and
/// the rest shared.
#[derive(Debug, Default)]
pub struct CopiedNames {
    bytes: Vec<u8>,
}

/// One of [`CopiedNames`].
#[derive(Debug)]
pub struct CopiedName(Copied);

#[derive(Debug)]
enum Copied {
    /// Among the bytes.
    Bytes(Range<usize>),
    Long(Box<LongName>),
}

impl CopiedNames {
    /// Forgets all names.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Copies a name. One that is or may be [salted](Name::salted) is to be copied with [`copy_whole`](CopiedNames::copy_whole).
    #[inline]
    pub fn copy(&mut self, name: StoredName<'_>) -> CopiedName {
        match name.rest {
            Some(rest) => CopiedName(Copied::Long(Box::new(LongName {
                key: name.to_parts().0,
                rest: Some(rest.clone()),
                len: name.len(),
            }))),
            None => self.copy_whole(name),
        }
    }

    /// Copies a name with all its bytes.
    #[inline]
    pub fn copy_whole(&mut self, name: StoredName<'_>) -> CopiedName {
        let start = self.bytes.len();
        match name.contiguous() {
            Some(bytes) => self.bytes.extend_from_slice(bytes),
            None => self.bytes.extend(name.pieces().flatten()),
        }
        CopiedName(Copied::Bytes(start..self.bytes.len()))
    }

    /// A name.
    #[inline]
    pub fn get<'a>(&'a self, name: &'a CopiedName) -> GivenName<'a> {
        match &name.0 {
            Copied::Bytes(range) => self.bytes[range.clone()].into(),
            Copied::Long(long) => (&**long).into(),
        }
    }
}

/// A [`LongName`] that is being received, in pieces: each is gone through once, so that nobody has to go through the whole.
pub struct LongNameDraft {
    head: Vec<u8>,
    rest: Option<Blob>,
    digest: Digest,
    /// Bytes so far.
    len: usize,
}

impl LongNameDraft {
    /// Nothing of it yet.
    pub fn new(store: &Store) -> LongNameDraft {
        let (head, rest) = (Vec::with_capacity(KEY_LEN_MAX), Some(store.new_blob()));
        LongNameDraft { head, rest, digest: store.begin_digest(), len: 0 }
    }

    /// Bytes that are to be [pushed](LongNameDraft::push_head) before any others.
    pub fn head_missing(&self) -> usize {
        HEAD_BYTES - self.head.len()
    }

    /// Takes the next bytes, of which no more are missing.
    pub fn push_head(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.head_missing());
        self.head.extend_from_slice(bytes);
        self.pass(bytes);
    }

    /// Where the bytes behind the head go, unless there was no memory for them.
    pub fn rest_mut(&mut self) -> Option<&mut Blob> {
        self.rest.as_mut()
    }

    /// Whether there is memory for the rest so far.
    pub fn keeps_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// There is no memory for the rest.
    pub fn give_up_rest(&mut self) {
        self.rest = None;
    }

    /// So many bytes were added to the [rest](LongNameDraft::rest_mut).
    pub fn rest_grew(&mut self, bytes: u64) {
        let Some(rest) = &self.rest else { return };
        let end = rest.len();
        rest.pieces(end - bytes..end).for_each(|piece| self.digest.update(piece));
        self.len += bytes as usize;
    }

    /// The next bytes came, and are not kept.
    pub fn pass(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.len += bytes.len();
    }

    /// The name, all of which is there.
    pub fn finish(self) -> LongName {
        let mut key = self.head;
        debug_assert_eq!(key.len(), HEAD_BYTES);
        key.extend_from_slice(&self.digest.finish());
        LongName { key, rest: self.rest, len: self.len }
    }
}

/// A name in the form in which a map takes it.
#[derive(Clone, Debug)]
pub struct Name<'a> {
    key: Cow<'a, [u8]>,
    /// What the key does not hold.
    rest: Rest<'a>,
    /// Bytes of the key between name and digest; `None`: the name is its own key.
    zeros: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Rest<'a> {
    Bytes(&'a [u8]),
    Blob(&'a Blob),
    /// There was no memory for it.
    Missing,
}

impl<'a> Rest<'a> {
    fn of(long: &'a LongName) -> Rest<'a> {
        long.rest.as_ref().map_or(Rest::Missing, Rest::Blob)
    }
}

impl<'a> Name<'a> {
    /// The form of `name`. O(1), but for one of over 64 KiB that lies in one piece, which is gone through.
    #[inline]
    pub fn new(store: &Store, name: GivenName<'a>) -> Name<'a> {
        if name.bytes.len() <= SHORT_BYTES_MAX && name.long.is_none() {
            return Name { key: Cow::Borrowed(name.bytes), rest: Rest::Bytes(&[]), zeros: None };
        }
        Name::of_long(store, name)
    }

    #[cold]
    fn of_long(store: &Store, name: GivenName<'a>) -> Name<'a> {
        match name.long {
            Some(long) => Name { key: Cow::Borrowed(&long.key), rest: Rest::of(long), zeros: Some(0) },
            None => Name::with_digest(name, store.digest(name.bytes)),
        }
    }

    /// The form of a name that has a salt, or none if that is 0.
    pub fn salted(store: &Store, name: GivenName<'a>, salt: u32) -> Name<'a> {
        let plain = Name::new(store, name);
        if salt == 0 {
            return plain;
        }
        // Of the plain key, which has the digest of a long name in it.
        Name::with_digest(name, store.digest(&[&salt.to_le_bytes(), plain.key()].concat()))
    }

    fn with_digest(name: GivenName<'a>, digest: [u8; DIGEST_BYTES]) -> Name<'a> {
        let (head, rest) = name.bytes.split_at(name.bytes.len().min(HEAD_BYTES));
        let rest = name.long.map_or(Rest::Bytes(rest), Rest::of);
        let zeros = HEAD_BYTES - head.len();
        let key = [head, &vec![0; zeros], &digest].concat();
        debug_assert_eq!(key.len(), KEY_LEN_MAX);
        Name { key: Cow::Owned(key), rest, zeros: Some(zeros) }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Puts what the key does not hold into a blob of the map, for an entry that is to be put; what goes in front of its value.
    ///
    /// # Errors
    /// When there is no memory.
    #[inline]
    pub fn put_rest(&self, store: &mut Store, map: MapId) -> Result<Prefix, PutError> {
        let Some(zeros) = self.zeros else { return Ok(Prefix::NONE) };
        let blob = match self.rest {
            Rest::Bytes([]) => return Ok(Prefix::of(-(zeros as i32))),
            Rest::Bytes(bytes) => {
                let mut blob = store.new_blob();
                store.blob_append(&mut blob, bytes)?;
                blob
            }
            Rest::Blob(blob) => blob.clone(),
            Rest::Missing => return Err(PutError::OutOfMemory),
        };
        Ok(Prefix::naming(store.attach(map, blob)))
    }
}

/// What stands in front of the value in the entry of a name: nothing if the name is its own key.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    bytes: [u8; PREFIX_BYTES],
    len: u8,
}

impl Prefix {
    const NONE: Prefix = Prefix { bytes: [0; PREFIX_BYTES], len: 0 };

    fn of(number: i32) -> Prefix {
        Prefix { bytes: number.to_le_bytes(), len: PREFIX_BYTES as u8 }
    }

    fn naming(id: BlobId) -> Prefix {
        Prefix::of(i32::try_from(id.get()).expect("a map has fewer than 2^31 blobs"))
    }

    /// Tells it from what the value is without it, in an entry with a key of `key_len` bytes.
    #[inline]
    pub fn split(key_len: usize, value: Slices<'_>) -> (Prefix, Slices<'_>) {
        if key_len <= SHORT_BYTES_MAX {
            return (Prefix::NONE, value);
        }
        let mut bytes = [0; PREFIX_BYTES];
        value.slice(0..PREFIX_BYTES).copy_to(&mut bytes);
        (Prefix { bytes, len: PREFIX_BYTES as u8 }, value.slice(PREFIX_BYTES..value.len()))
    }

    /// Its bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn number(self) -> i32 {
        i32::from_le_bytes(self.bytes)
    }

    fn rest(self) -> Option<BlobId> {
        BlobId::new(self.number().max(0) as u32)
    }

    /// The prefix for the same name in another map, which shares the blob.
    pub fn share(self, store: &mut Store, from: MapId, to: MapId) -> Prefix {
        let Some(id) = self.rest() else { return self };
        let rest = store.blob(from, id).clone();
        Prefix::naming(store.attach(to, rest))
    }

    /// Bytes of the blob that it names. O(1).
    #[inline]
    pub fn rest_len(self, store: &Store, map: MapId) -> u64 {
        self.rest().map_or(0, |id| store.blob(map, id).len())
    }

    /// Gives up the blob of an entry that is dead, or was not put; its length.
    #[inline]
    pub fn release(self, store: &mut Store, map: MapId) -> u64 {
        self.rest().map_or(0, |id| store.detach(map, id).len())
    }
}

/// A name where it lies.
#[derive(Clone, Copy, Debug)]
pub struct StoredName<'a> {
    key: Key<'a>,
    /// Bytes of the key that are the name's.
    head_len: usize,
    prefix: Prefix,
    rest: Option<&'a Blob>,
}

#[derive(Clone, Copy, Debug)]
enum Key<'a> {
    Bytes(&'a [u8]),
    Slices(Slices<'a>),
}

impl<'a> From<&'a [u8]> for StoredName<'a> {
    /// One that lies in one piece.
    #[inline]
    fn from(name: &'a [u8]) -> StoredName<'a> {
        StoredName { key: Key::Bytes(name), head_len: name.len(), prefix: Prefix::NONE, rest: None }
    }
}

impl<'a> From<GivenName<'a>> for StoredName<'a> {
    /// One that is [whole](GivenName::is_whole).
    #[inline]
    fn from(name: GivenName<'a>) -> StoredName<'a> {
        debug_assert!(name.is_whole());
        StoredName { rest: name.long.and_then(|long| long.rest.as_ref()), ..name.bytes.into() }
    }
}

impl<'a> StoredName<'a> {
    /// Tells an entry's name from what the value is without it. O(1).
    #[inline]
    pub fn split(store: &'a Store, map: MapId, key: Slices<'a>, value: Slices<'a>) -> (StoredName<'a>, Slices<'a>) {
        let (prefix, value) = Prefix::split(key.len(), value);
        if prefix.len == 0 {
            return (StoredName { key: Key::Slices(key), head_len: key.len(), prefix, rest: None }, value);
        }
        let head_len = HEAD_BYTES - prefix.number().min(0).unsigned_abs() as usize;
        let rest = prefix.rest().map(|id| store.blob(map, id));
        (StoredName { key: Key::Slices(key), head_len, prefix, rest }, value)
    }

    /// A copy of its key, and its prefix, which is to be [shared](Prefix::share) with another map.
    pub fn to_parts(&self) -> (Vec<u8>, Prefix) {
        let key = match self.key {
            Key::Bytes(bytes) => bytes.to_vec(),
            Key::Slices(slices) => slices.to_vec(),
        };
        (key, self.prefix)
    }

    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    #[inline]
    pub fn len(&self) -> usize {
        self.head_len + self.rest.map_or(0, |rest| rest.len() as usize)
    }

    /// The length of its beginning, which has to be copied to be told.
    #[inline]
    pub fn head_len(&self) -> usize {
        self.head_len
    }

    /// Its beginning, in order and in pieces: all of it, unless it has a [rest](StoredName::rest).
    pub fn head_pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, slices) = match self.key {
            Key::Bytes(bytes) => (Some(bytes), None),
            Key::Slices(slices) => (None, Some(slices.slice(0..self.head_len))),
        };
        bytes.into_iter().chain(slices.into_iter().flat_map(|slices| slices.pieces()))
    }

    /// What is behind its beginning.
    #[inline]
    pub fn rest(&self) -> Option<&'a Blob> {
        self.rest
    }

    /// Its bytes, in order and in pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.head_pieces().chain(self.rest.into_iter().flat_map(|rest| rest.pieces(0..rest.len())))
    }

    /// Its bytes, if they lie in one piece.
    #[inline]
    pub fn contiguous(&self) -> Option<&'a [u8]> {
        match (self.key, self.rest) {
            (_, Some(_)) => None,
            (Key::Bytes(bytes), None) => Some(bytes),
            (Key::Slices(slices), None) => slices.contiguous().map(|bytes| &bytes[..self.head_len]),
        }
    }

    /// Its bytes as one slice; they are copied to `scratch` when they do not lie in one piece.
    #[inline]
    pub fn as_slice<'s>(&self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        if let Some(bytes) = self.contiguous() {
            return bytes;
        }
        scratch.clear();
        scratch.extend(self.pieces().flatten());
        scratch
    }

    /// A number that stands for it among the names of its map. Costs its beginning.
    pub fn hash(&self, store: &Store) -> u64 {
        match self.key {
            Key::Bytes(bytes) => store.key(bytes).hash(),
            Key::Slices(slices) => store.key(slices.as_slice(&mut Vec::new())).hash(),
        }
    }

    /// Compares its bytes with another's, as far as they are the same.
    pub fn compare(&self, other: &StoredName<'_>) -> Ordering {
        if let (Some(bytes), Some(others)) = (self.contiguous(), other.contiguous()) {
            return bytes.cmp(others);
        }
        let (mut pieces, mut others) = (self.pieces(), other.pieces());
        let (mut piece, mut against): (&[u8], &[u8]) = (&[], &[]);
        loop {
            piece = iter::once(piece).chain(&mut pieces).find(|piece| !piece.is_empty()).unwrap_or_default();
            against = iter::once(against).chain(&mut others).find(|piece| !piece.is_empty()).unwrap_or_default();
            let same = piece.len().min(against.len());
            match piece[..same].cmp(&against[..same]) {
                Ordering::Equal if same > 0 => (piece, against) = (&piece[same..], &against[same..]),
                // One of them has come to its end.
                Ordering::Equal => return piece.len().cmp(&against.len()),
                decided => return decided,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chunkbuf::{Options, UserFlags};

    fn rest_len(name: &Name<'_>) -> u64 {
        match name.rest {
            Rest::Bytes(bytes) => bytes.len() as u64,
            Rest::Blob(blob) => blob.len(),
            Rest::Missing => 0,
        }
    }

    /// A name that is received in pieces of so many bytes.
    fn receive(store: &mut Store, bytes: &[u8], piece: usize) -> LongName {
        let mut draft = LongNameDraft::new(store);
        let mut left = bytes;
        while !left.is_empty() {
            let missing = draft.head_missing();
            let max = if missing > 0 { missing.min(piece) } else { piece };
            let (now, later) = left.split_at(max.min(left.len()));
            if missing > 0 {
                draft.push_head(now);
            } else {
                store.blob_append(draft.rest_mut().expect("it is kept"), now).expect("memory is not limited");
                draft.rest_grew(now.len() as u64);
            }
            left = later;
        }
        draft.finish()
    }

    /// Puts an entry of this name with a value, and finds it.
    fn put<'s>(store: &'s mut Store, map: MapId, name: &Name<'_>) -> StoredName<'s> {
        let prefix = name.put_rest(store, map).expect("memory is not limited");
        assert_eq!(prefix.rest_len(store, map), rest_len(name));
        let key = store.key(name.key());
        store.put_at(map, &key, None, UserFlags::NONE, &[prefix.as_slice(), b"value"]).expect("memory is not limited");
        let (_, entry) = store.find_entry(map, &key).expect("just put");
        let (stored, value) = StoredName::split(store, map, entry.key, entry.value);
        assert_eq!(value.to_vec(), b"value");
        stored
    }

    #[test]
    fn a_name_of_any_length_reads_back_beside_its_value() {
        let mut store = Store::new(Options::default());
        let map = store.create();
        let lens = [0, 1, 100, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, SHORT_BYTES_MAX + 2, 200_000];
        for len in lens {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let name = Name::new(&store, bytes[..].into());
            let stored = put(&mut store, map, &name);
            assert_eq!((stored.len(), stored.rest().is_some()), (len, len > SHORT_BYTES_MAX));
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
            assert_eq!(Name::salted(&store, bytes[..].into(), 0).key(), Name::new(&store, bytes[..].into()).key());
            for salt in [1, 2] {
                let name = Name::salted(&store, bytes[..].into(), salt);
                assert!(store.find(map, &store.key(name.key())).is_none());
                let stored = put(&mut store, map, &name);
                assert_eq!(stored.len(), len);
                assert_eq!(stored.as_slice(&mut Vec::new()), bytes);
            }
        }
    }

    #[test]
    fn a_stored_name_compares_as_its_bytes_do() {
        let mut store = Store::new(Options::default());
        let map = store.create();
        for len in [0, 5, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, 200_000] {
            let bytes = vec![7; len];
            let name = Name::new(&store, bytes[..].into());
            let stored = put(&mut store, map, &name);
            let others =
                [0, 1, 5, 6, HEAD_BYTES, HEAD_BYTES + 1, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, 199_999, 200_001];
            for other_len in others.into_iter().chain([len]) {
                let mut other = vec![7; other_len];
                assert_eq!(stored.compare(&other[..].into()), bytes.cmp(&other));
                for last in [6, 8] {
                    if let Some(end) = other.last_mut() {
                        *end = last;
                        assert_eq!(stored.compare(&other[..].into()), bytes.cmp(&other));
                    }
                }
            }
        }
    }

    #[test]
    fn a_blob_is_shared_with_a_copy_and_goes_with_the_last_of_them() {
        let mut store = Store::new(Options::default());
        let (map, other) = (store.create(), store.create());
        let bytes = vec![7; 200_000];
        let name = Name::new(&store, bytes[..].into());
        let prefix = name.put_rest(&mut store, map).expect("memory is not limited");
        let held = store.usage().blobs.page_bytes;
        let copy = prefix.share(&mut store, map, other);
        assert_eq!(store.usage().blobs.page_bytes, held);
        assert_eq!(prefix.release(&mut store, map), rest_len(&name));
        assert_eq!(copy.rest_len(&store, other), rest_len(&name));
        assert_eq!(copy.release(&mut store, other), rest_len(&name));
        while store.step(chunkbuf::Budget::STEP, true) {}
        assert_eq!(store.usage().blobs.page_bytes, 0);
    }

    #[test]
    fn a_name_has_one_form_however_it_comes() {
        let mut store = Store::new(Options::default());
        let map = store.create();
        for len in [SHORT_BYTES_MAX + 1, SHORT_BYTES_MAX + 2, 100_000, 300_000] {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            for piece in [1_000, 65_536] {
                let long = receive(&mut store, &bytes, piece);
                let given = GivenName::from(&long);
                assert_eq!((given.len(), given.contiguous()), (len, None));
                for salt in [0, 1] {
                    let whole = Name::salted(&store, bytes[..].into(), salt);
                    let received = Name::salted(&store, given, salt);
                    assert!(received.key() == whole.key(), "{len} bytes by {piece} with salt {salt}");
                    assert_eq!(rest_len(&received), rest_len(&whole));
                }
                let mut other = bytes.clone();
                assert_eq!(StoredName::from(given).compare(&other[..].into()), Ordering::Equal);
                *other.last_mut().expect("it has bytes") += 1;
                assert_eq!(StoredName::from(given).compare(&other[..].into()), Ordering::Less);
                assert_eq!(StoredName::from(&other[..]).compare(&given.into()), Ordering::Greater);
            }
            let long = receive(&mut store, &bytes, 65_536);
            let name = Name::new(&store, (&long).into());
            let stored = put(&mut store, map, &name);
            assert!(stored.pieces().flatten().eq(&bytes));
        }
    }

    #[test]
    fn names_that_differ_in_their_last_byte_have_keys_of_their_own() {
        let store = Store::new(Options::default());
        let mut other = vec![7; 100_000];
        let name = other.clone();
        *other.last_mut().expect("it has bytes") = 8;
        assert_ne!(Name::new(&store, name[..].into()).key(), Name::new(&store, other[..].into()).key());
        assert_eq!(Name::new(&store, name[..].into()).key(), Name::new(&store, name.clone()[..].into()).key());
    }
}
