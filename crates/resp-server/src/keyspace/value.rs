//! How a value lies in an entry of the store.
//!
//! ```text
//! [expiry: 6 or 14 bytes] [type: 1 byte] value ...
//!  with EXPIRES only       with TYPED only
//!
//! [expiry: 6 or 14 bytes] [type: 1 byte with APART] [number: 4 bytes LE]
//!                                                   of a blob in the map, which has the value's bytes, or of a collection
//! ```
//!
//! A collection has its type byte always, and behind it its packed form or, with the same bit, its number in the database's table of
//! large ones.
//!
//! EXPIRES and TYPED are the store's user flags, so a plain string without a time to live costs nothing beside its bytes. APART
//! is the highest bit of the type byte; the two below it are for short strings that Redis keeps otherwise than their bytes tell
//! ([`Kept`]).
//!
//! The expiry is milliseconds since the Unix epoch, little endian, in 6 bytes: enough until the year 10,889. Redis takes
//! times up to 2^63 - 1 all the same; those have six bytes of 0xFF, then the time in 8 bytes.

use std::ops::Range;

use bytes::Bytes;
use chunkbuf::{Blob, BlobId, Entry, Slices, UserFlags, blob};

use super::Millis;
use crate::text;

/// The entry's value begins with an expiry.
pub(super) const EXPIRES: UserFlags = UserFlags::A;
/// The entry's value has a type byte; without it, it is a string.
pub(super) const TYPED: UserFlags = UserFlags::B;

const SHORT_BYTES: usize = 6;
const LONG_BYTES: usize = SHORT_BYTES + 8;
/// All times under this one have the short form.
const SHORT_END: i64 = (1 << 48) - 1;
/// In the type byte: what follows is the number of a blob or of a collection.
const APART: u8 = 0x80;
/// In the type byte of a short string: it is [`Kept::Raw`], or [`Kept::Text`].
const RAW: u8 = 0x40;
const TEXT: u8 = 0x20;
const NUMBER_BYTES: usize = 4;
const HEAD_BYTES_MAX: usize = LONG_BYTES + 1 + NUMBER_BYTES;

/// What a key holds. The number is the type byte on disk and in entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ValueType {
    /// Bytes; integers and floats too.
    String = 0,
    /// A list.
    List = 1,
    /// A set.
    Set = 2,
    /// A sorted set.
    SortedSet = 3,
    /// A hash.
    Hash = 4,
    /// A stream.
    Stream = 6,
}

impl ValueType {
    const ALL: [ValueType; 6] =
        [ValueType::String, ValueType::List, ValueType::Set, ValueType::SortedSet, ValueType::Hash, ValueType::Stream];

    /// As `TYPE` prints it and `SCAN ... TYPE` takes it.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::String => "string",
            ValueType::List => "list",
            ValueType::Set => "set",
            ValueType::SortedSet => "zset",
            ValueType::Hash => "hash",
            ValueType::Stream => "stream",
        }
    }

    fn from_byte(byte: u8) -> ValueType {
        ValueType::ALL
            .into_iter()
            .find(|value_type| *value_type as u8 == byte)
            .expect("only type bytes of this table are ever written")
    }
}

/// The number of a large collection in its database's table. Another may have it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CollectionId(pub(super) u32);

/// What an entry names instead of having it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// The bytes of a string.
    Blob(BlobId),
    /// A large collection.
    Collection(CollectionId),
}

/// How Redis keeps a string up to [`EMBSTR_BYTES_MAX`], where its bytes do not tell. Only `OBJECT ENCODING` shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kept {
    /// As one that was set as a whole.
    #[default]
    AsSet,
    /// A part of it was written.
    Raw,
    /// As text, also if it reads as an integer: what INCRBYFLOAT makes.
    Text,
}

/// What stands before the value proper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// When the key expires.
    pub(super) expires: Option<Millis>,
    /// What the key holds.
    pub(super) value_type: ValueType,
    /// Bytes that the head takes.
    pub(super) len: usize,
    /// Where the value is, if it does not follow the head.
    pub(super) apart: Option<Apart>,
    /// For a short string.
    pub(super) kept: Kept,
}

impl Head {
    /// The head of a string without a time to live: nothing.
    pub(super) const PLAIN: Head =
        Head { expires: None, value_type: ValueType::String, len: 0, apart: None, kept: Kept::AsSet };

    /// Reads the head of an entry.
    #[inline]
    pub(super) fn decode(entry: &Entry<'_>) -> Head {
        if entry.flags == UserFlags::NONE {
            return Head::PLAIN;
        }
        let mut buffer = [0; HEAD_BYTES_MAX];
        let bytes = first_bytes(entry.value, &mut buffer);
        let mut len = 0;
        let expires = entry.flags.has(EXPIRES).then(|| {
            let mut short = [0; 8];
            short[..SHORT_BYTES].copy_from_slice(&bytes[..SHORT_BYTES]);
            len = SHORT_BYTES;
            match i64::from_le_bytes(short) {
                SHORT_END => {
                    len = LONG_BYTES;
                    let long = &bytes[SHORT_BYTES..LONG_BYTES];
                    Millis(i64::from_le_bytes(long.try_into().expect("a range of 8 bytes")))
                }
                short => Millis(short),
            }
        });
        let mut value_type = ValueType::String;
        let mut apart = None;
        let mut kept = Kept::AsSet;
        if entry.flags.has(TYPED) {
            value_type = ValueType::from_byte(bytes[len] & !(APART | RAW | TEXT));
            let is_apart = bytes[len] & APART != 0;
            kept = match bytes[len] & (RAW | TEXT) {
                RAW => Kept::Raw,
                TEXT => Kept::Text,
                _ => Kept::AsSet,
            };
            len += 1;
            if is_apart {
                let number = bytes[len..len + NUMBER_BYTES].try_into().expect("a range of 4 bytes");
                let number = u32::from_le_bytes(number);
                len += NUMBER_BYTES;
                apart = Some(match value_type {
                    ValueType::String => {
                        Apart::Blob(BlobId::new(number).expect("only numbers of blobs are ever written"))
                    }
                    _ => Apart::Collection(CollectionId(number)),
                });
            }
        }
        Head { expires, value_type, len, apart, kept }
    }
}

/// A head in its stored form.
pub(super) struct HeadBytes {
    bytes: [u8; HEAD_BYTES_MAX],
    len: usize,
    /// The expiry in it.
    pub(super) expires: Option<Millis>,
    /// The flags that go with it.
    pub(super) flags: UserFlags,
    /// What it names.
    pub(super) apart: Option<Apart>,
}

impl HeadBytes {
    /// Writes a head. A key that has expired is never written, so `expires` is not negative.
    pub(super) fn new(expires: Option<Millis>, value_type: ValueType, apart: Option<Apart>) -> HeadBytes {
        HeadBytes::with(expires, value_type, apart, Kept::AsSet)
    }

    /// The head of a string of that length in its entry.
    pub(super) fn of_string(expires: Option<Millis>, len: usize, kept: Kept) -> HeadBytes {
        let kept = if len <= EMBSTR_BYTES_MAX { kept } else { Kept::AsSet };
        HeadBytes::with(expires, ValueType::String, None, kept)
    }

    /// The same head with another expiry.
    pub(super) fn again(head: &Head, expires: Option<Millis>) -> HeadBytes {
        HeadBytes::with(expires, head.value_type, head.apart, head.kept)
    }

    fn with(expires: Option<Millis>, value_type: ValueType, apart: Option<Apart>, kept: Kept) -> HeadBytes {
        let mut head = HeadBytes { bytes: [0; HEAD_BYTES_MAX], len: 0, expires, flags: UserFlags::NONE, apart };
        if let Some(Millis(at)) = expires {
            assert!(at >= 0, "an expiry before 1970 is in the past");
            head.flags = head.flags.with(EXPIRES);
            head.append(&at.min(SHORT_END).to_le_bytes()[..SHORT_BYTES]);
            if at >= SHORT_END {
                head.append(&at.to_le_bytes());
            }
        }
        if value_type != ValueType::String || apart.is_some() || kept != Kept::AsSet {
            head.flags = head.flags.with(TYPED);
            let apart = if apart.is_some() { APART } else { 0 };
            let kept = match kept {
                Kept::AsSet => 0,
                Kept::Raw => RAW,
                Kept::Text => TEXT,
            };
            head.append(&[value_type as u8 | apart | kept]);
        }
        if let Some(apart) = apart {
            let number = match apart {
                Apart::Blob(id) => id.get(),
                Apart::Collection(id) => id.0,
            };
            head.append(&number.to_le_bytes());
        }
        head
    }

    /// The bytes to store before the value.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

/// The first bytes of `slices`, as many as `buffer` holds or there are, wherever chunks end.
fn first_bytes<'a>(slices: Slices<'a>, buffer: &'a mut [u8]) -> &'a [u8] {
    if let Some(bytes) = slices.contiguous() {
        return bytes;
    }
    let mut len = 0;
    for piece in slices.pieces() {
        let take = piece.len().min(buffer.len() - len);
        buffer[len..len + take].copy_from_slice(&piece[..take]);
        len += take;
        if len == buffer.len() {
            break;
        }
    }
    &buffer[..len]
}

/// A string value where it lies in the store, in whichever form.
#[derive(Clone, Copy)]
pub struct StringValue<'a>(Form<'a>);

#[derive(Clone, Copy)]
enum Form<'a> {
    Entry(Slices<'a>),
    Blob(&'a Blob),
}

/// Bytes up to which Redis keeps a string that was set as a whole in one piece with its header.
pub(super) const EMBSTR_BYTES_MAX: usize = 44;

/// How Redis would keep a string; `OBJECT ENCODING` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringEncoding {
    /// A 64-bit integer.
    Int,
    /// At most 44 bytes that were set as a whole.
    EmbStr,
    /// Any other.
    Raw,
}

impl StringEncoding {
    /// As `OBJECT ENCODING` prints it.
    pub fn name(self) -> &'static str {
        match self {
            StringEncoding::Int => "int",
            StringEncoding::EmbStr => "embstr",
            StringEncoding::Raw => "raw",
        }
    }
}

impl<'a> StringValue<'a> {
    pub(super) fn new(bytes: Slices<'a>) -> StringValue<'a> {
        StringValue(Form::Entry(bytes))
    }

    pub(super) fn of_blob(blob: &'a Blob) -> StringValue<'a> {
        StringValue(Form::Blob(blob))
    }

    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    #[inline]
    pub fn len(&self) -> usize {
        match self.0 {
            Form::Entry(bytes) => bytes.len(),
            Form::Blob(blob) => blob.len() as usize,
        }
    }

    /// The bytes of a range, in order and in pieces of at most 1 MiB, none of them empty. A gap in a blob comes as zeros.
    ///
    /// # Panics
    /// When the range is not within the string.
    pub fn pieces(&self, range: Range<usize>) -> Pieces<'a> {
        match self.0 {
            Form::Entry(bytes) => Pieces(Parts::Entry(bytes.slice(range).pieces())),
            Form::Blob(blob) => Pieces(Parts::Blob(blob.pieces(range.start as u64..range.end as u64))),
        }
    }

    /// The byte `at`, which is within the string. O(1).
    pub fn byte(&self, at: usize) -> u8 {
        self.pieces(at..at + 1).next().expect("the byte is within the string")[0]
    }

    /// All its bytes, if they lie in one piece of an entry, as those of a short string nearly always do.
    #[inline]
    pub fn contiguous(&self) -> Option<&'a [u8]> {
        match self.0 {
            Form::Entry(bytes) => bytes.contiguous(),
            Form::Blob(_) => None,
        }
    }

    /// The blob that has its bytes, if one does.
    pub fn blob(&self) -> Option<&'a Blob> {
        match self.0 {
            Form::Entry(_) => None,
            Form::Blob(blob) => Some(blob),
        }
    }

    /// Appends the bytes of a range to `target`.
    ///
    /// # Panics
    /// When the range is not within the string.
    pub fn copy_range(&self, range: Range<usize>, target: &mut Vec<u8>) {
        target.reserve(range.len());
        self.pieces(range).for_each(|piece| target.extend_from_slice(piece));
    }

    /// A copy of all its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.copy_range(0..self.len(), &mut bytes);
        bytes
    }

    /// The value as an integer, if it reads as one. O(1).
    pub fn integer(&self) -> Option<i64> {
        match self.0 {
            Form::Entry(bytes) if bytes.len() <= text::integer::MAX_LEN => {
                let mut buffer = [0; text::integer::MAX_LEN];
                text::integer::parse_i64(first_bytes(bytes, &mut buffer))
            }
            _ => None,
        }
    }

    /// How Redis keeps it if it was set as a whole.
    pub(super) fn encoding(&self) -> StringEncoding {
        if self.integer().is_some() {
            StringEncoding::Int
        } else if self.len() <= EMBSTR_BYTES_MAX {
            StringEncoding::EmbStr
        } else {
            StringEncoding::Raw
        }
    }
}

/// Bytes of a string in order; see [`StringValue::pieces`].
#[derive(Clone, Debug)]
pub struct Pieces<'a>(Parts<'a>);

#[derive(Clone, Debug)]
enum Parts<'a> {
    Entry(chunkbuf::Pieces<'a>),
    Blob(blob::Pieces<'a>),
    /// The rest of a piece, the pieces behind it, and how many bytes of all these are left.
    Shared(&'a [u8], std::slice::Iter<'a, Bytes>, usize),
}

impl<'a> Pieces<'a> {
    pub(super) fn of_blob(pieces: blob::Pieces<'a>) -> Pieces<'a> {
        Pieces(Parts::Blob(pieces))
    }

    pub(super) fn of_slice(bytes: &'a [u8]) -> Pieces<'a> {
        Pieces(Parts::Shared(bytes, [].iter(), bytes.len()))
    }

    /// A range of what `pieces` make up.
    pub(super) fn of_shared(pieces: &'a [Bytes], range: Range<usize>) -> Pieces<'a> {
        let mut pieces = pieces.iter();
        let mut skip = range.start;
        let first = loop {
            match pieces.next() {
                Some(piece) if piece.len() <= skip => skip -= piece.len(),
                Some(piece) => break &piece[skip..],
                None => break &[],
            }
        };
        Pieces(Parts::Shared(first, pieces, range.len()))
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Parts::Entry(pieces) => pieces.next(),
            Parts::Blob(pieces) => pieces.next(),
            Parts::Shared(_, _, 0) => None,
            Parts::Shared(rest, pieces, left) => {
                while rest.is_empty() {
                    *rest = pieces.next().expect("the range is within the string");
                }
                let piece = &rest[..rest.len().min(*left)];
                *left -= piece.len();
                *rest = &[];
                Some(piece)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chunkbuf::Store;

    fn stored(head: &HeadBytes, value: &[u8]) -> (Head, Vec<u8>) {
        let mut store = super::super::tests::store(u64::MAX);
        let map = store.create();
        let whole = [head.as_slice(), value].concat();
        store.put(map, b"k", head.flags, &whole).expect("memory is not limited");
        fn read(store: &Store, map: chunkbuf::MapId) -> (Head, Vec<u8>) {
            let entry = store.get(map, b"k").expect("just put");
            let head = Head::decode(&entry);
            (head, entry.value.to_vec()[head.len..].to_vec())
        }
        read(&store, map)
    }

    #[test]
    fn a_plain_string_has_no_head() {
        let head = HeadBytes::new(None, ValueType::String, None);
        assert_eq!(head.as_slice(), b"");
        assert_eq!(head.flags, UserFlags::NONE);
        assert_eq!(stored(&head, b"value"), (Head::PLAIN, b"value".to_vec()));
    }

    #[test]
    fn every_head_reads_back() {
        let times = [0, 1, 1_700_000_000_000, SHORT_END - 1, SHORT_END, i64::MAX];
        for expires in times.into_iter().map(|at| Some(Millis(at))).chain([None]) {
            for value_type in ValueType::ALL {
                let apart = |number| match value_type {
                    ValueType::String => BlobId::new(number).map(Apart::Blob),
                    _ => Some(Apart::Collection(CollectionId(number))),
                };
                for (value, apart) in
                    [(&b""[..], None), (b"v", None), (&[7; 100], None), (b"", apart(1)), (b"", apart(u32::MAX))]
                {
                    let bytes = HeadBytes::new(expires, value_type, apart);
                    let (head, rest) = stored(&bytes, value);
                    assert_eq!(head.expires, expires);
                    assert_eq!(head.apart, apart);
                    assert_eq!(head.value_type, value_type);
                    assert_eq!(head.len, bytes.as_slice().len());
                    assert_eq!(rest, value);
                }
            }
        }
    }

    #[test]
    fn a_short_string_that_is_kept_otherwise_has_a_byte_that_says_so_whatever_its_expiry() {
        for kept in [Kept::Raw, Kept::Text] {
            let bytes = HeadBytes::of_string(None, 44, kept);
            assert_eq!(bytes.as_slice().len(), 1);
            let (head, rest) = stored(&bytes, b"value");
            assert_eq!((head.kept, head.expires, head.value_type, head.apart), (kept, None, ValueType::String, None));
            assert_eq!(rest, b"value");
            let (head, _) = stored(&HeadBytes::again(&head, Some(Millis(7))), b"value");
            assert_eq!((head.kept, head.expires, head.len), (kept, Some(Millis(7)), 7));
            assert_eq!(HeadBytes::of_string(None, 45, kept).as_slice(), b"");
        }
    }

    #[test]
    fn an_expiry_takes_6_bytes_until_the_year_10889_and_14_after() {
        let bytes = |at| HeadBytes::new(Some(Millis(at)), ValueType::String, None).as_slice().len();
        assert_eq!(bytes(SHORT_END - 1), 6);
        assert_eq!(bytes(SHORT_END), 14);
    }

    #[test]
    fn the_encoding_is_told_from_the_value() {
        let mut store = super::super::tests::store(u64::MAX);
        let map = store.create();
        let long = [b'x'; 45];
        for (value, name) in [
            (&b"12"[..], "int"),
            (b"-9223372036854775808", "int"),
            (b"9223372036854775808", "embstr"),
            (b"012", "embstr"),
            (b"", "embstr"),
            (&long[..44], "embstr"),
            (&long[..], "raw"),
        ] {
            store.put(map, b"k", UserFlags::NONE, value).expect("memory is not limited");
            let entry = store.get(map, b"k").expect("just put");
            assert_eq!(StringValue::new(entry.value).encoding().name(), name);
        }
    }
}
