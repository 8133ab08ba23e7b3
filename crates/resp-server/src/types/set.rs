//! How a set lies in the store.
//!
//! ```text
//! packed: [flags u8] [i16, i32 or i64 LE] ...       what Redis calls an intset: ascending, all of one width
//!         [flags u8] [uvarint length][bytes] ...    any other: in the order in which the members came
//!
//!   flags: bits 0-1  what OBJECT ENCODING says: 0 intset, 1 listpack, 2 hashtable
//!          bits 2-3  bytes of an integer: 1 shifted left so many times
//!
//! large:  a map of the store: key = member, no value; the end of a very long member is a blob (see `types::name`)
//! ```
//!
//! What OBJECT ENCODING says is told by Redis's rules ([`Encoding`]), and says nothing of the form, but for one thing: integers in
//! binary are an intset. A set is packed up to 128 members or 512 integers of any size, and 4 KiB; a large one never becomes packed
//! by itself.
//!
//! Costs: a packed set is searched through, an intset by halves; a change copies it, 4 KiB at most. A large one costs a look-up a
//! member, and beside the members' bytes some 14 bytes each.

mod encoding;

use std::borrow::Cow;

use chunkbuf::{Entry, Key, Location, MapId, PutError, Store, UserFlags};

pub use encoding::Encoding;

use super::ahead::{self, look_ahead};
use super::name::{GivenName, Name, Prefix, SHORT_BYTES_MAX, StoredName};
use super::packed::{self, Elements};
use super::{Collection, Large, Limits, Millis, PACKED_BYTES_MAX};
use crate::text::integer::{append_i64, parse_i64};

/// Members of a packed set that are not integers in binary, which are searched through one by one.
const PACKED_LEN_MAX: usize = 128;
/// Bytes of a packed set of integers: 512 of 8 bytes, which is as many as an intset has by default.
const INTEGERS_BYTES_MAX: usize = PACKED_BYTES_MAX + 1;
/// Members that a step through a packed set visits.
const BITE: usize = 16;

/// A member where it lies.
#[derive(Clone, Copy, Debug)]
pub enum Member<'a> {
    /// Of an intset.
    Integer(i64),
    /// Of another packed set.
    Packed(&'a [u8]),
    /// Of a large set.
    Stored(StoredName<'a>),
}

impl<'a> Member<'a> {
    /// It as a name to be told; an integer is printed to `scratch`.
    #[inline]
    pub fn name<'s>(&self, scratch: &'s mut Vec<u8>) -> StoredName<'s>
    where
        'a: 's,
    {
        match self {
            Member::Stored(name) => *name,
            other => StoredName::from(other.as_slice(scratch)),
        }
    }

    /// Its bytes; they are gathered in `scratch` unless they lie in one piece.
    pub fn as_slice<'s>(&self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        match self {
            Member::Integer(value) => {
                scratch.clear();
                append_i64(scratch, *value);
                scratch
            }
            Member::Packed(bytes) => bytes,
            Member::Stored(name) => name.as_slice(scratch),
        }
    }
}

/// The bytes of a packed set, to be read.
#[derive(Clone, Copy)]
pub struct Packed<'a> {
    bytes: &'a [u8],
}

impl<'a> Packed<'a> {
    /// The set whose packed bytes these are.
    pub fn new(bytes: &'a [u8]) -> Packed<'a> {
        debug_assert!(!bytes.is_empty(), "a packed set has flags");
        Packed { bytes }
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(self) -> Encoding {
        match self.bytes[0] & 3 {
            0 => Encoding::Intset,
            1 => Encoding::Listpack,
            _ => Encoding::Hashtable,
        }
    }

    /// How many members there are. O(N), O(1) for an intset.
    #[allow(clippy::len_without_is_empty)] // an empty set is no set
    pub fn len(self) -> usize {
        match self.integers() {
            Some(integers) => integers.len(),
            None => Elements::new(&self.bytes[1..]).count(),
        }
    }

    /// Whether a member is there. O(N), O(log N) for an intset.
    pub fn contains(self, member: &[u8]) -> bool {
        match self.integers() {
            Some(integers) => parse_i64(member).is_some_and(|value| integers.position(value).is_ok()),
            None => Elements::new(&self.bytes[1..]).any(|element| element == member),
        }
    }

    /// All members, in the order in which Redis would tell them.
    pub fn members(self) -> Members<'a> {
        match self.integers() {
            Some(integers) => Members::Integers(integers),
            None => Members::Elements(Elements::new(&self.bytes[1..])),
        }
    }

    /// Visits some members and returns the next cursor, 0 at the end; start with 0. Each is visited once if the set stays.
    pub fn scan(self, cursor: u64, mut visit: impl FnMut(Member<'a>)) -> u64 {
        let rest = &self.bytes[(cursor as usize).max(1)..];
        let mut members = Packed { bytes: rest }.members_of(self.width());
        members.by_ref().take(BITE).for_each(&mut visit);
        match members.rest() {
            0 => 0,
            left => (self.bytes.len() - left) as u64,
        }
    }

    /// Member `index` in the order of [`members`](Packed::members). O(N), O(1) for an intset.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn nth(self, index: usize) -> Member<'a> {
        match self.integers() {
            Some(integers) => Member::Integer(integers.at(index)),
            None => self.members().nth(index).expect("the index is that of a member"),
        }
    }

    /// Bytes of an integer; `None`: the members are not integers in binary.
    fn width(self) -> Option<usize> {
        (self.encoding() == Encoding::Intset).then(|| 1 << (self.bytes[0] >> 2))
    }

    fn integers(self) -> Option<Integers<'a>> {
        Some(Integers { width: self.width()?, bytes: &self.bytes[1..] })
    }

    /// What members these bytes are, which are without flags.
    fn members_of(self, width: Option<usize>) -> Members<'a> {
        match width {
            Some(width) => Members::Integers(Integers { width, bytes: self.bytes }),
            None => Members::Elements(Elements::new(self.bytes)),
        }
    }
}

/// Integers in ascending order.
#[derive(Clone, Copy)]
pub struct Integers<'a> {
    width: usize,
    bytes: &'a [u8],
}

impl Integers<'_> {
    fn len(self) -> usize {
        self.bytes.len() / self.width
    }

    fn at(self, index: usize) -> i64 {
        let bytes = &self.bytes[index * self.width..(index + 1) * self.width];
        match *bytes {
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            _ => i64::from_le_bytes(bytes.try_into().expect("an integer has 2, 4 or 8 bytes")),
        }
    }

    /// Where the value is, or else where it would be.
    fn position(self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.at(middle).cmp(&value) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }
}

/// Bytes that an integer takes in an intset.
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

/// The members of a packed set, in order.
pub enum Members<'a> {
    /// Of an intset.
    Integers(Integers<'a>),
    /// Of any other.
    Elements(Elements<'a>),
}

impl Members<'_> {
    /// Bytes not yet read.
    fn rest(&self) -> usize {
        match self {
            Members::Integers(integers) => integers.bytes.len(),
            Members::Elements(elements) => elements.rest().len(),
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        match self {
            Members::Integers(integers) if integers.bytes.is_empty() => None,
            Members::Integers(integers) => {
                let first = integers.at(0);
                integers.bytes = &integers.bytes[integers.width..];
                Some(Member::Integer(first))
            }
            Members::Elements(elements) => elements.next().map(Member::Packed),
        }
    }
}

/// A packed set that is changed, apart from the store.
#[derive(Clone, Debug)]
pub struct Edit {
    bytes: Vec<u8>,
}

/// The set would be larger than a packed one may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl Edit {
    /// A set without members.
    pub fn new(encoding: Encoding) -> Edit {
        Edit { bytes: vec![flags(encoding, 2)] }
    }

    /// The set whose packed bytes these are.
    pub fn of(bytes: Vec<u8>) -> Edit {
        Edit { bytes }
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// To be read.
    pub fn packed(&self) -> Packed<'_> {
        Packed::new(&self.bytes)
    }

    /// Says that OBJECT ENCODING says something else from now on.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn set_encoding(&mut self, encoding: Encoding) -> Result<(), Overflow> {
        let before = self.packed().encoding();
        if before == encoding {
            return Ok(());
        }
        if before == Encoding::Intset {
            let mut text = vec![flags(encoding, 1)];
            let mut scratch = Vec::new();
            for member in self.packed().members() {
                packed::push(&mut text, member.as_slice(&mut scratch));
            }
            if text.len() > PACKED_BYTES_MAX || self.packed().len() > PACKED_LEN_MAX {
                return Err(Overflow);
            }
            self.bytes = text;
        } else if encoding == Encoding::Intset {
            let integers = Edit::of_integers(self.packed().members().map(|member| match member {
                Member::Packed(text) => parse_i64(text).expect("the caller has seen that all are integers"),
                Member::Integer(_) | Member::Stored(_) => unreachable!("no intset before, nor large"),
            }));
            *self = integers?;
        } else {
            self.bytes[0] = flags(encoding, 1);
        }
        Ok(())
    }

    /// An intset of these integers, each of which comes once.
    fn of_integers(integers: impl Iterator<Item = i64>) -> Result<Edit, Overflow> {
        let mut integers: Vec<i64> = integers.collect();
        integers.sort_unstable();
        let width = integers.iter().copied().map(width_of).max().unwrap_or(2);
        let mut bytes = vec![flags(Encoding::Intset, width)];
        integers.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()[..width]));
        if bytes.len() > INTEGERS_BYTES_MAX { Err(Overflow) } else { Ok(Edit { bytes }) }
    }

    /// Adds a member; whether it was not there. O(N).
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn add(&mut self, member: &[u8], limits: &Limits) -> Result<bool, Overflow> {
        let before = self.packed();
        if before.contains(member) {
            return Ok(false);
        }
        let len = before.len();
        let encoding = before.encoding().with(len, member.into(), || longest_integer(before), limits);
        if encoding == Encoding::Intset {
            return self.insert(parse_i64(member).expect("an intset stays one with an integer")).map(|()| true);
        }
        let is_text = before.encoding() != Encoding::Intset;
        if len == PACKED_LEN_MAX
            || is_text && self.bytes.len() + packed::encoded_len(member.len()) > PACKED_BYTES_MAX
            || packed::encoded_len(member.len()) >= PACKED_BYTES_MAX
        {
            return Err(Overflow);
        }
        let undo = (!is_text).then(|| self.bytes.clone());
        self.set_encoding(encoding)?;
        packed::push(&mut self.bytes, member);
        if self.bytes.len() > PACKED_BYTES_MAX {
            self.bytes = undo.expect("what was text has been measured");
            return Err(Overflow);
        }
        Ok(true)
    }

    /// Puts an integer that is not there in its place in an intset.
    fn insert(&mut self, value: i64) -> Result<(), Overflow> {
        let integers = self.packed().integers().expect("it is an intset");
        let (old, new) = (integers.width, width_of(value));
        if new > old {
            // A wider one is less than all others, or greater.
            let all = (0..integers.len()).map(|index| integers.at(index)).chain([value]);
            *self = Edit::of_integers(all)?;
            return Ok(());
        }
        if self.bytes.len() + old > INTEGERS_BYTES_MAX {
            return Err(Overflow);
        }
        let at = 1 + old * integers.position(value).expect_err("the integer is not there");
        self.bytes.splice(at..at, value.to_le_bytes().into_iter().take(old));
        Ok(())
    }

    /// Removes a member; whether it was there. O(N).
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let range = match self.packed().integers() {
            Some(integers) => {
                let found = parse_i64(member).and_then(|value| integers.position(value).ok());
                found.map(|index| 1 + index * integers.width..1 + (index + 1) * integers.width)
            }
            None => {
                let mut elements = Elements::new(&self.bytes[1..]);
                loop {
                    let start = self.bytes.len() - elements.rest().len();
                    match elements.next() {
                        Some(element) if element == member => {
                            break Some(start..self.bytes.len() - elements.rest().len());
                        }
                        Some(_) => {}
                        None => break None,
                    }
                }
            }
        };
        range.map(|range| drop(self.bytes.drain(range))).is_some()
    }

    /// Whether no member is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == 1
    }
}

fn flags(encoding: Encoding, width: usize) -> u8 {
    encoding as u8 | (width.trailing_zeros() as u8) << 2
}

/// The length of the longest integer of an intset, as text.
fn longest_integer(set: Packed<'_>) -> usize {
    let Some(integers) = set.integers().filter(|integers| integers.len() > 0) else { return 0 };
    let mut text = Vec::new();
    let ends = [integers.at(0), integers.at(integers.len() - 1)];
    let lens = ends.map(|value| {
        text.clear();
        append_i64(&mut text, value);
        text.len()
    });
    lens[0].max(lens[1])
}

/// A large set. It owns its map: free it with [`free_some`](Large::free_some).
#[derive(Debug)]
pub struct Set {
    map: MapId,
    len: usize,
    encoding: Encoding,
    /// Blobs of members: how many bytes.
    blob_bytes: u64,
}

impl Set {
    /// A set without members, of which OBJECT ENCODING says `encoding`. O(1).
    pub fn new(store: &mut Store, encoding: Encoding) -> Set {
        Set { map: store.create(), len: 0, encoding, blob_bytes: 0 }
    }

    /// A large set with the members of a packed one.
    ///
    /// # Errors
    /// There is no such set then.
    pub fn of_packed(store: &mut Store, packed: Packed<'_>) -> Result<Set, PutError> {
        let mut set = Set::new(store, packed.encoding());
        let mut scratch = Vec::new();
        for member in packed.members() {
            if let Err(error) = set.put(store, member.as_slice(&mut scratch).into()) {
                set.free_some(store);
                return Err(error);
            }
        }
        Ok(set)
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Says that OBJECT ENCODING says something else from now on.
    pub fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    /// To be read, also while nothing borrows the set.
    pub fn view(&self) -> View {
        View { map: self.map, len: self.len, encoding: self.encoding }
    }

    /// Whether a member is there. O(1).
    pub fn contains(&self, store: &Store, member: GivenName<'_>) -> bool {
        self.view().contains(store, member)
    }

    /// The map that has its members.
    pub(super) fn map(&self) -> MapId {
        self.map
    }

    /// Prepares for members to be looked up (see [`look_ahead`]).
    #[inline]
    pub fn look_ahead<'a>(&self, store: &Store, name_at: impl Fn(usize) -> Option<&'a [u8]>) {
        look_ahead(store, self.map, name_at);
    }

    /// Adds a member; whether it was not there. O(1).
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn add(&mut self, store: &mut Store, member: GivenName<'_>, limits: &Limits) -> Result<bool, PutError> {
        let added = self.put(store, member)?;
        if added && self.encoding != Encoding::Hashtable {
            self.encoding = self.encoding.with(self.len - 1, member.into(), || 0, limits);
        }
        Ok(added)
    }

    fn put(&mut self, store: &mut Store, member: GivenName<'_>) -> Result<bool, PutError> {
        let name = Name::new(store, member);
        let key = store.key(name.key());
        if store.find(self.map, &key).is_some() {
            return Ok(false);
        }
        let prefix = name.put_rest(store, self.map)?;
        self.put_new(store, &key, prefix)?;
        Ok(true)
    }

    /// Puts the entry of a member that is not there.
    fn put_new(&mut self, store: &mut Store, key: &Key<'_>, prefix: Prefix) -> Result<(), PutError> {
        let outcome = store.put_at(self.map, key, None, UserFlags::NONE, &[prefix.as_slice()]);
        if outcome.is_err() {
            prefix.release(store, self.map);
            return outcome;
        }
        self.blob_bytes += prefix.rest_len(store, self.map);
        self.len += 1;
        Ok(())
    }

    /// Removes a member; whether it was there. O(1).
    pub fn remove(&mut self, store: &mut Store, member: GivenName<'_>) -> bool {
        let name = Name::new(store, member);
        let key = store.key(name.key());
        let Some(location) = store.find(self.map, &key) else { return false };
        self.remove_at(store, &key, location);
        true
    }

    fn remove_at(&mut self, store: &mut Store, key: &Key<'_>, location: Location) {
        let prefix = (key.bytes().len() > SHORT_BYTES_MAX)
            .then(|| Prefix::split(key.bytes().len(), store.value(self.map, location)).0);
        store.remove_at(self.map, key, location);
        if let Some(prefix) = prefix {
            self.blob_bytes -= prefix.release(store, self.map);
        }
        self.len -= 1;
    }

    /// Removes any member, each with the same chance, by the random numbers that are handed in; `take` is shown it before. `false`:
    /// there is none. O(1).
    pub fn pop(&mut self, store: &mut Store, random: impl FnMut() -> u64, take: impl FnOnce(Member<'_>)) -> bool {
        let Some(location) = store.random(self.map, random) else { return false };
        let entry = store.entry(self.map, location);
        take(stored(store, self.map, entry));
        let key = entry.key.to_vec();
        let key = store.key(&key);
        self.remove_at(store, &key, location);
        true
    }
}

impl Large for Set {
    /// O(1).
    fn len(&self) -> u64 {
        self.len as u64
    }

    /// O(1): the store frees what a map held by its own steps.
    fn free_some(&mut self, store: &mut Store) -> bool {
        store.drop_map(self.map);
        false
    }

    /// With its index and its dead bytes. O(1).
    fn memory_bytes(&self, store: &Store) -> u64 {
        size_of::<Set>() as u64 + store.map_bytes(self.map) + self.blob_bytes
    }

    fn new_copy(&self, store: &mut Store) -> Collection {
        Collection::Set(Set::new(store, self.encoding))
    }

    fn copy_some(
        &self,
        store: &mut Store,
        target: &mut Collection,
        cursor: &mut u64,
        _now: Millis,
    ) -> Result<bool, PutError> {
        let Collection::Set(target) = target else { unreachable!("a copy is of the same kind") };
        let mut members: Vec<(Vec<u8>, Prefix)> = Vec::new();
        *cursor = store.scan(self.map, *cursor, |_, entry| {
            members.push((entry.key.to_vec(), Prefix::split(entry.key.len(), entry.value).0));
        });
        ahead::fetch(store, target.map, members.iter().map(|(key, _)| &key[..]));
        for (key, prefix) in &members {
            let key = store.key(key);
            // A scan that goes on after a while may go back a little.
            if store.find(target.map, &key).is_none() {
                let prefix = prefix.share(store, self.map, target.map);
                target.put_new(store, &key, prefix)?;
            }
        }
        Ok(*cursor != 0)
    }
}

impl Collection {
    /// The set that it is.
    ///
    /// # Panics
    /// When it is something else.
    pub fn set(&self) -> &Set {
        match self {
            Collection::Set(set) => set,
            _ => unreachable!("the type of the key has been checked"),
        }
    }

    /// The same, to be changed.
    pub fn set_mut(&mut self) -> &mut Set {
        match self {
            Collection::Set(set) => set,
            _ => unreachable!("the type of the key has been checked"),
        }
    }
}

fn stored<'a>(store: &'a Store, map: MapId, entry: Entry<'a>) -> Member<'a> {
    Member::Stored(StoredName::split(store, map, entry.key, entry.value).0)
}

/// A large set to be read. Good as long as the set is there, and a scan's promises as long as nobody changes it.
#[derive(Clone, Copy, Debug)]
pub struct View {
    map: MapId,
    len: usize,
    encoding: Encoding,
}

impl View {
    /// How many members there are. O(1).
    #[allow(clippy::len_without_is_empty)] // an empty set is no set
    pub fn len(self) -> usize {
        self.len
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(self) -> Encoding {
        self.encoding
    }

    /// Whether a member is there. O(1).
    pub fn contains(self, store: &Store, member: GivenName<'_>) -> bool {
        let name = Name::new(store, member);
        store.find(self.map, &store.key(name.key())).is_some()
    }

    /// Visits some members, most often a few, and returns the next cursor, 0 at the end; start with 0. A member that is there from
    /// the first call to the last is visited, and just once if the set does not change.
    pub fn scan(self, store: &Store, cursor: u64, mut visit: impl FnMut(Member<'_>)) -> u64 {
        store.scan(self.map, cursor, |_, entry| visit(stored(store, self.map, entry)))
    }

    /// Any member, each with the same chance, by the random numbers that are handed in. O(1).
    pub fn random(self, store: &Store, random: impl FnMut() -> u64) -> Option<Member<'_>> {
        let location = store.random(self.map, random)?;
        Some(stored(store, self.map, store.entry(self.map, location)))
    }
}

/// A set in either form, to be read from beginning to end while nobody changes it.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// Its packed bytes.
    Packed(Cow<'a, [u8]>),
    /// A large one.
    Large(View),
}

impl Source<'_> {
    /// How many members there are.
    #[allow(clippy::len_without_is_empty)] // an empty set is no set
    pub fn len(&self) -> usize {
        match self {
            Source::Packed(bytes) => Packed::new(bytes).len(),
            Source::Large(view) => view.len(),
        }
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(&self) -> Encoding {
        match self {
            Source::Packed(bytes) => Packed::new(bytes).encoding(),
            Source::Large(view) => view.encoding(),
        }
    }

    /// Whether a member is there.
    pub fn contains(&self, store: &Store, member: GivenName<'_>) -> bool {
        match self {
            Source::Packed(bytes) => member.contiguous().is_some_and(|member| Packed::new(bytes).contains(member)),
            Source::Large(view) => view.contains(store, member),
        }
    }

    /// Prepares for members to be looked up, where that takes time (see [`look_ahead`]).
    #[inline]
    pub fn look_ahead<'n>(&self, store: &Store, name_at: impl Fn(usize) -> Option<&'n [u8]>) {
        if let Source::Large(view) = self {
            look_ahead(store, view.map, name_at);
        }
    }

    /// Prepares for a few members to be looked up, where that takes time (see [`ahead::fetch`]).
    pub fn fetch<'n>(&self, store: &Store, names: impl Iterator<Item = &'n [u8]>) {
        if let Source::Large(view) = self {
            ahead::fetch(store, view.map, names);
        }
    }

    /// Visits some members, 16 or about so many, and returns the next cursor, 0 at the end; start with 0.
    pub fn scan(&self, store: &Store, cursor: u64, visit: impl FnMut(Member<'_>)) -> u64 {
        match self {
            Source::Packed(bytes) => Packed::new(bytes).scan(cursor, visit),
            Source::Large(view) => view.scan(store, cursor, visit),
        }
    }

    /// The same apart from the store.
    pub fn into_owned(self) -> Source<'static> {
        match self {
            Source::Packed(bytes) => Source::Packed(Cow::Owned(bytes.into_owned())),
            Source::Large(view) => Source::Large(view),
        }
    }
}

/// A set that grows, and becomes large when it must; apart from any key.
#[derive(Debug)]
pub enum Growing {
    /// Still packed.
    Packed(Edit),
    /// Large; who drops it frees it first.
    Large(Set),
}

impl Growing {
    /// A set without members.
    pub fn new(encoding: Encoding) -> Growing {
        Growing::Packed(Edit::new(encoding))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        match self {
            Growing::Packed(edit) => edit.packed().len(),
            Growing::Large(set) => set.view().len(),
        }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(&self) -> Encoding {
        match self {
            Growing::Packed(edit) => edit.packed().encoding(),
            Growing::Large(set) => set.encoding(),
        }
    }

    /// To be read as it is now.
    pub fn source(&self) -> Source<'_> {
        match self {
            Growing::Packed(edit) => Source::Packed(Cow::Borrowed(edit.bytes())),
            Growing::Large(set) => Source::Large(set.view()),
        }
    }

    /// Prepares for members to be looked up, where that takes time (see [`look_ahead`]).
    #[inline]
    pub fn look_ahead<'a>(&self, store: &Store, name_at: impl Fn(usize) -> Option<&'a [u8]>) {
        if let Growing::Large(set) = self {
            set.look_ahead(store, name_at);
        }
    }

    /// Adds a member; whether it was not there.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn add(&mut self, store: &mut Store, member: GivenName<'_>, limits: &Limits) -> Result<bool, PutError> {
        if let Growing::Packed(edit) = self {
            match member.contiguous().ok_or(Overflow).and_then(|member| edit.add(member, limits)) {
                Ok(added) => return Ok(added),
                Err(Overflow) => *self = Growing::Large(Set::of_packed(store, edit.packed())?),
            }
        }
        let Growing::Large(set) = self else { unreachable!("it has just become large") };
        set.add(store, member, limits)
    }

    /// Says that OBJECT ENCODING says something else from now on: `intset` only of integers alone. O(N), and N is at most what
    /// Redis allows of that encoding, unless nothing has to be done.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn set_encoding(&mut self, store: &mut Store, encoding: Encoding) -> Result<(), PutError> {
        match self {
            Growing::Packed(edit) => {
                if edit.set_encoding(encoding) == Err(Overflow) {
                    let mut set = Set::of_packed(store, edit.packed())?;
                    set.set_encoding(encoding);
                    *self = Growing::Large(set);
                }
            }
            Growing::Large(set) if encoding == Encoding::Intset && set.len <= (INTEGERS_BYTES_MAX - 1) / 2 => {
                let mut integers = Vec::new();
                let (mut cursor, mut scratch) = (0, Vec::new());
                loop {
                    cursor = set
                        .view()
                        .scan(store, cursor, |member| integers.extend(parse_i64(member.as_slice(&mut scratch))));
                    if cursor == 0 {
                        break;
                    }
                }
                match Edit::of_integers(integers.into_iter()) {
                    Ok(edit) => {
                        set.free_some(store);
                        *self = Growing::Packed(edit);
                    }
                    Err(Overflow) => set.set_encoding(encoding),
                }
            }
            Growing::Large(set) => set.set_encoding(encoding),
        }
        Ok(())
    }

    /// Frees what is large; it has no member then.
    pub fn clear(&mut self, store: &mut Store) {
        if let Growing::Large(set) = self {
            while set.free_some(store) {}
        }
        *self = Growing::new(Encoding::Intset);
    }
}

#[cfg(test)]
mod tests;
