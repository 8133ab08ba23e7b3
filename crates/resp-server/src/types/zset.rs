//! Sorted sets: members of any bytes, ordered by a score, and by their bytes where scores are equal.
//!
//! ```text
//!  packed   [flags u8] [length: uvarint][member][score: 8 bytes] ...          in order
//!
//!  large    map:    member -> score: 8 bytes                                  in the store
//!           ranks:  (score, hash of the member) ...                           in order, a counted B+tree (types::ranked)
//! ```
//!
//! Scores are little-endian floats, never NaN. A large set's tree knows members by the store's hash only, 16 bytes each; the members
//! themselves are looked up where scores are equal and when they are told. What holds of a large set:
//!
//! 1. Each item of the tree is one entry of the map, with the same bits of the score, and the other way round.
//! 2. The tree is in order.
//! 3. No two entries have one hash: a member that would have that of another is [salted](Name::salted). Of ten million members, two
//!    would in 3 sets of a million. Who adds a member looks for the hash; others pay nothing until a set has had such a member.
//!
//! Costs of a large set: a look-up by member O(1); its rank, a change, a removal, the rank of a bound O(log N), where members have to
//! be read on equal scores; N members in order: N look-ups by hash.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::ops::Range;

use chunkbuf::{Entry, Key, Location, MapId, PutError, Slices, Store, UserFlags};

use super::ahead::{FAR, NEAR, look_ahead};
use super::name::{GivenName, Name, Prefix, StoredName};
use super::packed::{Elements, encoded_len, push};
use super::ranked::{Item, Ranked};
use super::{Collection, Large, Limits, Millis, PACKED_BYTES_MAX};

const SCORE_BYTES: usize = size_of::<f64>();

/// What OBJECT ENCODING says. Once a skip list, always a skip list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Few members, all short.
    Listpack,
    /// All others.
    Skiplist,
}

impl Encoding {
    /// Of a new set that a request is to add `count` members to, of which the longest has `longest` bytes.
    pub fn of(count: u64, longest: usize, limits: &Limits) -> Encoding {
        Encoding::Listpack.with(count, longest, limits)
    }

    /// With a member of `member_len` bytes more, which makes it `len` members.
    #[must_use]
    pub fn with(self, len: u64, member_len: usize, limits: &Limits) -> Encoding {
        let fits = len <= limits.zset_max_listpack_entries as u64 && member_len <= limits.zset_max_listpack_value;
        if fits { self } else { Encoding::Skiplist }
    }

    /// The name that clients see.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Listpack => "listpack",
            Encoding::Skiplist => "skiplist",
        }
    }

    /// A score as it is kept: a list pack has whole numbers as integers, so that its zero has no sign.
    fn keeps(self, score: f64) -> f64 {
        match self {
            Encoding::Listpack => score + 0.0,
            Encoding::Skiplist => score,
        }
    }

    fn flags(self) -> u8 {
        match self {
            Encoding::Listpack => 0,
            Encoding::Skiplist => 1,
        }
    }

    fn of_flags(flags: u8) -> Encoding {
        if flags == 0 { Encoding::Listpack } else { Encoding::Skiplist }
    }
}

/// What setting a score did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The member is new.
    Added,
    /// It had another score.
    Moved,
    /// It had this score.
    None,
}

/// A place between members: what is before it, and what behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut<'a> {
    /// Before all members.
    Begin,
    /// Behind all members.
    End,
    /// Before the members of this score, or behind them.
    Score {
        /// Not NaN.
        at: f64,
        /// Behind them.
        after: bool,
    },
    /// Before this member, or behind it, whether it is there or not. It says something of sets whose scores are all the same.
    Member {
        /// Its bytes.
        at: &'a [u8],
        /// Behind it.
        after: bool,
    },
}

impl Cut<'_> {
    /// Whether a member is before the cut; `compare` compares the member with others.
    fn is_behind(&self, score: f64, compare: impl FnOnce(&[u8]) -> Ordering) -> bool {
        match *self {
            Cut::Begin => false,
            Cut::End => true,
            Cut::Score { at, after } => score < at || (after && score == at),
            Cut::Member { at, after } => {
                let order = compare(at);
                order.is_lt() || (after && order.is_eq())
            }
        }
    }
}

/// Which way members are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest score.
    Forward,
    /// From the highest score.
    Backward,
}

/// A sorted set to be read, in either form.
#[derive(Clone, Copy, Debug)]
pub enum Reader<'a> {
    /// In its entry.
    Packed(Packed<'a>),
    /// In a map and a tree.
    Large(&'a SortedSet, &'a Store),
}

impl<'a> Reader<'a> {
    /// What OBJECT ENCODING says.
    pub fn encoding(&self) -> Encoding {
        match self {
            Reader::Packed(packed) => packed.encoding(),
            Reader::Large(set, _) => set.encoding,
        }
    }

    /// How many members there are.
    #[allow(clippy::len_without_is_empty)] // an empty set is no set
    pub fn len(&self) -> u64 {
        match self {
            Reader::Packed(packed) => packed.pairs().count() as u64,
            Reader::Large(set, _) => set.ranks.weight(),
        }
    }

    /// A member's score.
    pub fn score(&self, member: GivenName<'_>) -> Option<f64> {
        match self {
            Reader::Packed(packed) => {
                let member = member.contiguous()?;
                packed.pairs().find(|pair| pair.member == member).map(|pair| pair.score)
            }
            Reader::Large(set, store) => set.score(store, member),
        }
    }

    /// Whether it may have members whose names are [salted](Name::salted).
    pub fn is_salted(&self) -> bool {
        matches!(self, Reader::Large(set, _) if set.salts > 0)
    }

    /// How many members of equal score changes of the set have read so far: some 20 each where all scores are the same.
    pub fn ties(&self) -> u64 {
        match self {
            Reader::Packed(_) => 0,
            Reader::Large(set, _) => set.ties,
        }
    }

    /// Prepares for members to be looked up, where that takes time (see [`look_ahead`]).
    #[inline]
    pub fn look_ahead<'n>(&self, name_at: impl Fn(usize) -> Option<&'n [u8]>) {
        if let Reader::Large(set, store) = self {
            look_ahead(store, set.map, name_at);
        }
    }

    /// A member's rank, from the lowest score, and its score.
    pub fn rank(&self, member: GivenName<'_>) -> Option<(u64, f64)> {
        match self {
            Reader::Packed(packed) => {
                let member = member.contiguous()?;
                let (rank, pair) = packed.pairs().enumerate().find(|(_, pair)| pair.member == member)?;
                Some((rank as u64, pair.score))
            }
            Reader::Large(set, store) => set.rank(store, member, &mut 0),
        }
    }

    /// How many members are before a cut.
    pub fn rank_of(&self, cut: Cut<'_>) -> u64 {
        match self {
            Reader::Packed(packed) => {
                let is_before = |pair: &Pair<'_>| cut.is_behind(pair.score, |at| pair.member.cmp(at));
                packed.pairs().take_while(is_before).count() as u64
            }
            Reader::Large(set, store) => set.ranks.partition_point(|item| {
                cut.is_behind(item.score, |at| set.with_member(store, item, |member| member.compare(&at.into())))
            }),
        }
    }

    /// The ranks of what lies between two cuts.
    pub fn between(&self, from: Cut<'_>, to: Cut<'_>) -> Range<u64> {
        let start = self.rank_of(from);
        start..self.rank_of(to).max(start)
    }

    /// Visits the members of some ranks, with their scores, until all are visited or `visit` says false. Returns how many were.
    pub fn visit(
        &self,
        ranks: Range<u64>,
        direction: Direction,
        visit: impl FnMut(StoredName<'_>, f64) -> bool,
    ) -> u64 {
        match self {
            Reader::Packed(packed) => packed.visit(ranks, direction, visit),
            Reader::Large(set, store) => set.visit(store, ranks, direction, visit),
        }
    }

    /// Visits some members with their scores, in no order, and returns the next cursor, 0 at the end; start with 0. Those that are
    /// there from the first call to the last are visited at least once. All at once if they are packed.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(StoredName<'_>, f64)) -> u64 {
        match self {
            Reader::Packed(packed) => {
                packed.pairs().for_each(|pair| visit(pair.member.into(), pair.score));
                0
            }
            Reader::Large(set, store) => store.scan(set.map, cursor, |_, entry| {
                let (member, score) = set.split(store, &entry);
                visit(member, score);
            }),
        }
    }
}

/// The bytes of a packed sorted set, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    bytes: &'a [u8],
}

/// A member of a packed set.
#[derive(Clone, Copy, Debug)]
struct Pair<'a> {
    /// Where it begins, in bytes from the flags.
    at: usize,
    member: &'a [u8],
    score: f64,
}

impl<'a> Packed<'a> {
    /// The set whose packed bytes these are.
    pub fn new(bytes: &'a [u8]) -> Packed<'a> {
        debug_assert!(!bytes.is_empty(), "a packed set has flags");
        Packed { bytes }
    }

    fn encoding(self) -> Encoding {
        Encoding::of_flags(self.bytes[0])
    }

    fn pairs(self) -> Pairs<'a> {
        Pairs { len: self.bytes.len(), rest: &self.bytes[1..] }
    }

    fn visit(self, ranks: Range<u64>, direction: Direction, mut visit: impl FnMut(StoredName<'_>, f64) -> bool) -> u64 {
        let len = ranks.end.saturating_sub(ranks.start) as usize;
        let pairs = self.pairs().skip(ranks.start as usize).take(len);
        let mut visited = 0;
        let mut each = |pair: Pair<'_>| {
            visited += 1;
            visit(pair.member.into(), pair.score)
        };
        match direction {
            Direction::Forward => for _ in pairs.take_while(|pair| each(*pair)) {},
            Direction::Backward => {
                for _ in pairs.collect::<Vec<_>>().into_iter().rev().take_while(|pair| each(*pair)) {}
            }
        }
        visited
    }
}

/// The members of a packed set, in order.
#[derive(Clone, Debug)]
struct Pairs<'a> {
    /// Of all bytes, flags included.
    len: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let at = self.len - self.rest.len();
        let mut elements = Elements::new(self.rest);
        let member = elements.next()?;
        let (score, behind) = elements.rest().split_first_chunk().expect("a score is behind each member");
        self.rest = behind;
        Some(Pair { at, member, score: f64::from_le_bytes(*score) })
    }
}

/// A sorted set that is built or changed apart from its key: packed while it is small.
#[derive(Debug)]
pub enum Draft {
    /// What is to be put as a packed collection, [`PACKED_BYTES_MAX`] bytes at most.
    Packed(Vec<u8>),
    /// What is to be put as a large one.
    Large(SortedSet),
}

impl Draft {
    /// Nothing yet.
    pub fn new(encoding: Encoding) -> Draft {
        Draft::Packed(vec![encoding.flags()])
    }

    /// To read what there is so far.
    pub fn reader<'a>(&'a self, store: &'a Store) -> Reader<'a> {
        match self {
            Draft::Packed(bytes) => Reader::Packed(Packed::new(bytes)),
            Draft::Large(set) => Reader::Large(set, store),
        }
    }

    /// Prepares for members to be looked up, where that takes time (see [`look_ahead`]).
    #[inline]
    pub fn look_ahead<'n>(&self, store: &Store, name_at: impl Fn(usize) -> Option<&'n [u8]>) {
        self.reader(store).look_ahead(name_at);
    }

    /// Bytes that each change goes through because they are packed.
    pub fn packed_bytes(&self) -> usize {
        match self {
            Draft::Packed(bytes) => bytes.len(),
            Draft::Large(_) => 0,
        }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        match self {
            Draft::Packed(bytes) => bytes.len() == 1,
            Draft::Large(set) => set.ranks.is_empty(),
        }
    }

    /// Says what the encoding is, if that is not what additions one by one have made it. What is packed and becomes a list pack
    /// loses the signs of its zeros, as in Redis.
    pub fn set_encoding(&mut self, encoding: Encoding) {
        match self {
            Draft::Packed(bytes) => {
                bytes[0] = encoding.flags();
                if encoding == Encoding::Listpack {
                    let zeros = Packed::new(bytes).pairs().filter(|pair| pair.score == 0.0);
                    let at: Vec<usize> = zeros.map(|pair| pair.at + encoded_len(pair.member.len())).collect();
                    at.into_iter().for_each(|at| bytes[at..at + SCORE_BYTES].fill(0));
                }
            }
            Draft::Large(set) => set.encoding = encoding,
        }
    }

    /// Gives a member a score.
    ///
    /// # Errors
    /// The store's; nothing has changed then.
    pub fn set(
        &mut self,
        store: &mut Store,
        limits: &Limits,
        member: GivenName<'_>,
        score: f64,
    ) -> Result<Change, PutError> {
        let bytes = match self {
            Draft::Large(set) => return set.set(store, limits, member, score),
            Draft::Packed(bytes) => bytes,
        };
        let Some(packable) = member.contiguous() else {
            let mut set = SortedSet::of_packed(store, limits, bytes)?;
            let outcome = set.set(store, limits, member, score);
            match outcome {
                Ok(_) => *self = Draft::Large(set),
                Err(_) => while set.free_some(store) {},
            }
            return outcome;
        };
        if bytes.len() + packable.len() + SCORE_BYTES < PACKED_BYTES_MAX {
            return Ok(set_packed(bytes, limits, packable, score));
        }
        // It may not fit: on a copy, so that nothing has changed if there is no memory.
        let mut changed = bytes.clone();
        let change = set_packed(&mut changed, limits, packable, score);
        if changed.len() <= PACKED_BYTES_MAX {
            *bytes = changed;
        } else {
            *self = Draft::Large(SortedSet::of_packed(store, limits, &changed)?);
        }
        Ok(change)
    }

    /// Takes a member out; whether it was there.
    pub fn remove(&mut self, store: &mut Store, member: GivenName<'_>) -> bool {
        match self {
            Draft::Large(set) => set.remove(store, member),
            Draft::Packed(bytes) => {
                let pair = member
                    .contiguous()
                    .and_then(|member| Packed::new(bytes).pairs().find(|pair| pair.member == member));
                let Some(pair) = pair else { return false };
                let at = pair.at;
                remove_packed(bytes, at);
                true
            }
        }
    }

    /// Takes out the members of some ranks, which are there.
    pub fn remove_ranks(&mut self, store: &mut Store, ranks: Range<u64>) {
        match self {
            Draft::Large(set) => set.remove_ranks(store, ranks),
            Draft::Packed(bytes) => {
                let at = |rank: u64| Packed::new(bytes).pairs().nth(rank as usize).map_or(bytes.len(), |pair| pair.at);
                let gone = at(ranks.start)..at(ranks.end);
                bytes.drain(gone);
            }
        }
    }
}

/// Puts a member with its score where it belongs among packed ones. O(bytes).
fn set_packed(bytes: &mut Vec<u8>, limits: &Limits, member: &[u8], score: f64) -> Change {
    let packed = Packed::new(bytes);
    let change = match packed.pairs().find(|pair| pair.member == member) {
        Some(pair) if pair.score == score => return Change::None,
        Some(pair) => {
            let at = pair.at;
            remove_packed(bytes, at);
            Change::Moved
        }
        None => {
            let len = packed.pairs().count() as u64 + 1;
            bytes[0] = packed.encoding().with(len, member.len(), limits).flags();
            Change::Added
        }
    };
    let score = Packed::new(bytes).encoding().keeps(score);
    let mut behind = Packed::new(bytes).pairs().skip_while(|pair| (pair.score, pair.member) < (score, member));
    let at = behind.next().map_or(bytes.len(), |pair| pair.at);
    let mut pair = Vec::with_capacity(member.len() + SCORE_BYTES + 2);
    push(&mut pair, member);
    pair.extend_from_slice(&score.to_le_bytes());
    bytes.splice(at..at, pair);
    change
}

/// Takes the pair out that begins at `at`.
fn remove_packed(bytes: &mut Vec<u8>, at: usize) {
    let mut elements = Elements::new(&bytes[at..]);
    elements.next();
    let end = bytes.len() - elements.rest().len() + SCORE_BYTES;
    bytes.drain(at..end);
}

/// An item of a large set's tree.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scored {
    score: f64,
    /// The store's, of the key under which the map has the member.
    hash: u64,
}

impl Item for Scored {
    type Mark = Scored;

    fn mark(&self) -> Scored {
        *self
    }

    #[inline]
    fn weight(&self) -> u64 {
        1
    }
}

/// A sorted set in its large form.
#[derive(Debug)]
pub struct SortedSet {
    map: MapId,
    ranks: Ranked<Scored>,
    encoding: Encoding,
    /// The greatest salt that a member has had.
    salts: u32,
    /// Members of equal score that changes have read so far, to find places among them.
    ties: u64,
    /// Blobs of members: how many bytes.
    blob_bytes: u64,
}

/// An entry's score, and what is in front of it.
fn split_score(entry: &Entry<'_>) -> (Prefix, f64) {
    let (prefix, score) = Prefix::split(entry.key.len(), entry.value);
    (prefix, read_score(score))
}

fn read_score(value: Slices<'_>) -> f64 {
    let mut bytes = [0; SCORE_BYTES];
    value.copy_to(&mut bytes);
    f64::from_le_bytes(bytes)
}

impl SortedSet {
    /// The map that has its members.
    pub(super) fn map(&self) -> MapId {
        self.map
    }

    /// An empty set with a map of its own. Takes no memory of the store yet.
    pub fn new(store: &mut Store, encoding: Encoding) -> SortedSet {
        SortedSet { map: store.create(), ranks: Ranked::new(), encoding, salts: 0, ties: 0, blob_bytes: 0 }
    }

    /// What packed bytes hold, some hundred members at most.
    ///
    /// # Errors
    /// The store's; nothing is left then.
    fn of_packed(store: &mut Store, limits: &Limits, bytes: &[u8]) -> Result<SortedSet, PutError> {
        let packed = Packed::new(bytes);
        let mut set = SortedSet::new(store, packed.encoding());
        for pair in packed.pairs() {
            if let Err(error) = set.set(store, limits, pair.member.into(), pair.score) {
                while set.free_some(store) {}
                return Err(error);
            }
        }
        Ok(set)
    }

    /// An entry's member and score.
    fn split<'a>(&self, store: &'a Store, entry: &Entry<'a>) -> (StoredName<'a>, f64) {
        let (member, score) = StoredName::split(store, self.map, entry.key, entry.value);
        (member, read_score(score))
    }

    /// The form in which the map has a member, or would have it if it had no twin.
    #[inline]
    fn name<'m>(&self, store: &Store, member: GivenName<'m>) -> Name<'m> {
        if self.salts == 0 { Name::new(store, member) } else { self.name_among_salted(store, member) }
    }

    #[cold]
    fn name_among_salted<'m>(&self, store: &Store, member: GivenName<'m>) -> Name<'m> {
        let mut names = (0..=self.salts).map(|salt| Name::salted(store, member, salt));
        let found = names.find(|name| store.find(self.map, &store.key(name.key())).is_some());
        found.unwrap_or_else(|| Name::new(store, member))
    }

    /// The form for a member that is to be added, with a hash that no other has.
    #[cold]
    fn salted<'m>(&mut self, store: &Store, member: GivenName<'m>) -> Name<'m> {
        let mut salted = (1..).map(|salt| (salt, Name::salted(store, member, salt)));
        let free = salted.find(|(_, name)| !store.has_hash(self.map, store.key(name.key()).hash()));
        let (salt, name) = free.expect("there are more salts than members");
        self.salts = self.salts.max(salt);
        name
    }

    fn score(&self, store: &Store, member: GivenName<'_>) -> Option<f64> {
        let name = self.name(store, member);
        let (_, entry) = store.find_entry(self.map, &store.key(name.key()))?;
        Some(split_score(&entry).1)
    }

    fn rank(&self, store: &Store, member: GivenName<'_>, ties: &mut u64) -> Option<(u64, f64)> {
        let name = self.name(store, member);
        let key = store.key(name.key());
        let (_, entry) = store.find_entry(self.map, &key)?;
        let (stored, score) = self.split(store, &entry);
        let member = if member.is_whole() { member.into() } else { stored };
        Some((self.place(store, member, Scored { score, hash: key.hash() }, ties), score))
    }

    /// The rank that `member` has as this item, or would have. Counts the members that it reads.
    fn place(&self, store: &Store, member: StoredName<'_>, item: Scored, ties: &mut u64) -> u64 {
        self.ranks.partition_point(|other| {
            // Its own hash: the member itself (3).
            let is_tie = other.score == item.score && other.hash != item.hash;
            *ties += u64::from(is_tie);
            other.score < item.score || (is_tie && self.with_member(store, other, |name| name.compare(&member).is_lt()))
        })
    }

    /// Shows the member of an item.
    fn with_member<R>(&self, store: &Store, item: Scored, see: impl FnOnce(StoredName<'_>) -> R) -> R {
        let mut see = Some(see);
        let mut seen = None;
        store.with_hash(self.map, item.hash, |_, entry| {
            let (member, score) = self.split(store, &entry);
            if score.to_bits() == item.score.to_bits()
                && let Some(see) = see.take()
            {
                seen = Some(see(member));
            }
        });
        seen.expect("each item is an entry (1)")
    }

    /// Gives a member a score.
    ///
    /// # Errors
    /// The store's; nothing has changed then.
    pub fn set(
        &mut self,
        store: &mut Store,
        limits: &Limits,
        member: GivenName<'_>,
        score: f64,
    ) -> Result<Change, PutError> {
        let mut name = self.name(store, member);
        let mut key = store.key(name.key());
        let old = store.find_entry(self.map, &key).map(|(location, entry)| (location, split_score(&entry)));
        if old.is_none() && store.has_hash(self.map, key.hash()) {
            name = self.salted(store, member);
            key = store.key(name.key());
        }
        let encoding = match old {
            Some(_) => self.encoding,
            None => self.encoding.with(self.ranks.weight() + 1, member.len(), limits),
        };
        let score = encoding.keeps(score);
        let bytes = score.to_le_bytes();
        let mut ties = self.ties;
        let change = match old {
            Some((_, (_, old))) if old == score => return Ok(Change::None),
            Some((location, (prefix, old))) => {
                let prefix = prefix.as_slice();
                if !store.write_in_place(self.map, &key, location, prefix.len(), &bytes) {
                    store.put_at(self.map, &key, Some(location), UserFlags::NONE, &[prefix, &bytes])?;
                }
                let rank = self.place(store, member.into(), Scored { score: old, hash: key.hash() }, &mut ties);
                let item = self.change_ranks(store, |ranks| ranks.remove(rank));
                debug_assert_eq!(item, Scored { score: old, hash: key.hash() });
                Change::Moved
            }
            None => {
                let prefix = name.put_rest(store, self.map)?;
                self.put_new(store, &key, prefix, score)?;
                self.encoding = encoding;
                Change::Added
            }
        };
        let item = Scored { score, hash: key.hash() };
        let rank = self.place(store, member.into(), item, &mut ties);
        self.ties = ties;
        self.change_ranks(store, |ranks| ranks.insert(rank, item));
        Ok(change)
    }

    /// Puts the entry of a member that is not there.
    fn put_new(&mut self, store: &mut Store, key: &Key<'_>, prefix: Prefix, score: f64) -> Result<(), PutError> {
        let parts = [prefix.as_slice(), &score.to_le_bytes()];
        let outcome = store.put_at(self.map, key, None, UserFlags::NONE, &parts);
        match outcome {
            Ok(()) => self.blob_bytes += prefix.rest_len(store, self.map),
            Err(_) => {
                prefix.release(store, self.map);
            }
        }
        outcome
    }

    fn remove_at(&mut self, store: &mut Store, key: &Key<'_>, location: Location) {
        let (prefix, _) = split_score(&store.entry(self.map, location));
        store.remove_at(self.map, key, location);
        self.blob_bytes -= prefix.release(store, self.map);
    }

    /// Takes a member out; whether it was there.
    pub fn remove(&mut self, store: &mut Store, member: GivenName<'_>) -> bool {
        let mut ties = self.ties;
        let Some((rank, _)) = self.rank(store, member, &mut ties) else {
            return false;
        };
        self.ties = ties;
        self.change_ranks(store, |ranks| ranks.remove(rank));
        let name = self.name(store, member);
        let key = store.key(name.key());
        let location = store.find(self.map, &key).expect("it has a rank");
        self.remove_at(store, &key, location);
        true
    }

    /// Takes the members of some ranks out, which are there.
    pub fn remove_ranks(&mut self, store: &mut Store, ranks: Range<u64>) {
        ranks.clone().for_each(|_| self.remove_rank(store, ranks.start));
    }

    fn remove_rank(&mut self, store: &mut Store, rank: u64) {
        let item = self.change_ranks(store, |ranks| ranks.remove(rank));
        let mut found = None;
        store.with_hash(self.map, item.hash, |location, entry| {
            if split_score(&entry).1.to_bits() == item.score.to_bits() {
                found = Some((location, entry.key.to_vec()));
            }
        });
        let (location, key) = found.expect("each item is an entry (1)");
        let key = store.key(&key);
        self.remove_at(store, &key, location);
    }

    fn visit(
        &self,
        store: &Store,
        ranks: Range<u64>,
        direction: Direction,
        mut visit: impl FnMut(StoredName<'_>, f64) -> bool,
    ) -> u64 {
        let len = ranks.end.saturating_sub(ranks.start) as usize;
        let each = |item: &Scored| self.with_member(store, *item, |member| visit(member, item.score));
        match direction {
            Direction::Forward => self.walk(store, || self.ranks.forward(ranks.start).take(len), each),
            Direction::Backward => self.walk(store, || self.ranks.backward(ranks.end).take(len), each),
        }
    }

    /// Goes through items, fetching those to come, until one says that it is enough; how many it was.
    fn walk<'a, I: Iterator<Item = &'a Scored>>(
        &self,
        store: &Store,
        items: impl Fn() -> I,
        mut each: impl FnMut(&Scored) -> bool,
    ) -> u64 {
        let (mut far, mut near) = (items(), items());
        for _ in 0..NEAR {
            self.fetch_next(store, far.next(), None);
        }
        for _ in NEAR..FAR {
            self.fetch_next(store, far.next(), near.next());
        }
        let mut visited = 0;
        for item in items() {
            self.fetch_next(store, far.next(), near.next());
            visited += 1;
            if !each(item) {
                break;
            }
        }
        visited
    }

    /// Goes on to copy this set to `target`, which is new or has got what earlier calls copied, about `bytes` of it; whether there
    /// is more.
    ///
    /// # Errors
    /// The store's.
    pub fn copy_some(&self, target: &mut SortedSet, store: &mut Store, bytes: usize) -> Result<bool, PutError> {
        /// What a member costs beside its bytes.
        const MEMBER: usize = 128;
        (target.encoding, target.salts) = (self.encoding, self.salts);
        let mut left = bytes;
        let begin = target.ranks.weight();
        let (mut far, mut near) = (self.ranks.forward(begin), self.ranks.forward(begin));
        for _ in 0..NEAR {
            self.fetch_next(store, far.next(), None);
        }
        for item in self.ranks.forward(begin) {
            let next = far.next();
            self.fetch_next(store, next, near.next());
            if let Some(next) = next {
                store.prefetch(target.map, next.hash);
            }
            let mut found = None;
            store.with_hash(self.map, item.hash, |_, entry| {
                let (prefix, score) = split_score(&entry);
                if score.to_bits() == item.score.to_bits() {
                    found = Some((entry.key.to_vec(), prefix));
                }
            });
            let (key, prefix) = found.expect("each item is an entry (1)");
            let prefix = prefix.share(store, self.map, target.map);
            target.put_new(store, &store.key(&key), prefix, item.score)?;
            target.change_ranks(store, |ranks| ranks.push_back(*item));
            match left.checked_sub(MEMBER + key.len()) {
                Some(less) => left = less,
                None => return Ok(target.ranks.weight() < self.ranks.weight()),
            }
        }
        Ok(false)
    }

    /// Fetches the entries of items that come next in a walk: `far` and `near` go before it.
    #[inline]
    fn fetch_next(&self, store: &Store, far: Option<&Scored>, near: Option<&Scored>) {
        if let Some(item) = far {
            store.prefetch(self.map, item.hash);
        }
        if let Some(item) = near {
            store.prefetch_entry(self.map, item.hash);
        }
    }

    /// Changes the tree, and keeps its heap in the store's books.
    fn change_ranks<R>(&mut self, store: &mut Store, change: impl FnOnce(&mut Ranked<Scored>) -> R) -> R {
        let before = self.ranks.memory_bytes();
        let outcome = change(&mut self.ranks);
        store.count_heap(before, self.ranks.memory_bytes());
        outcome
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Says what the encoding is.
    pub fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    /// Checks what the module promises; for tests.
    pub fn audit(&self, store: &Store) {
        self.ranks.audit();
        assert_eq!(store.len(self.map), self.ranks.weight(), "items and entries (1)");
        let mut last: Option<(f64, Vec<u8>)> = None;
        for item in self.ranks.forward(0) {
            let member = self.with_member(store, *item, |member| member.as_slice(&mut Vec::new()).to_vec());
            if let Some((score, name)) = &last {
                assert!((*score, name) < (item.score, &member), "in order (2)");
            }
            last = Some((item.score, member));
        }
    }
}

impl Large for SortedSet {
    fn len(&self) -> u64 {
        self.ranks.weight()
    }

    fn free_some(&mut self, store: &mut Store) -> bool {
        /// About 1,000 items in 16 KiB.
        const LEAVES: usize = 16;
        if self.change_ranks(store, |ranks| ranks.free_some(LEAVES, drop)) {
            return true;
        }
        store.drop_map(self.map);
        false
    }

    fn memory_bytes(&self, store: &Store) -> u64 {
        store.map_bytes(self.map) + self.ranks.memory_bytes() + self.blob_bytes
    }

    fn new_copy(&self, store: &mut Store) -> Collection {
        Collection::SortedSet(SortedSet::new(store, self.encoding))
    }

    fn copy_some(
        &self,
        store: &mut Store,
        target: &mut Collection,
        _cursor: &mut u64,
        _now: Millis,
    ) -> Result<bool, PutError> {
        /// What is copied in one go.
        const BYTES: usize = 1024;
        let Collection::SortedSet(target) = target else { unreachable!("a copy is of the same kind") };
        SortedSet::copy_some(self, target, store, BYTES)
    }
}
