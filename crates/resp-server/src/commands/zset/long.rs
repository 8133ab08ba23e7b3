//! What the commands on sorted sets share: reading one, changing one, and going on in slices.
//!
//! ```text
//!  handler -> Work::step -> all done: Work::finish, the reply is whole
//!                 |
//!                 +-> more: a task that holds the keys
//! ```
//!
//! A slice is counted in bytes ([`Budget`]): a member costs its own and [`MEMBER_BYTES`] for the way to
//! it, six times that if it is changed. What a long command
//! writes it writes to a [`Draft`], which becomes the key's value at the end, or to a large sorted set where it is: nobody else
//! sees that before the end.

use std::fmt::Debug;
use std::ops::Range;

use crate::engine::tasks::Holding;
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Event, Found, Ttl, ValueType, View, put_error};
use crate::proto::{Args, CommandError, Protocol, Reply};
use crate::text::double::DoubleText;
use crate::types::name::{CopiedName, CopiedNames, GivenName, StoredName};
use crate::types::zset::{Change, Direction, Draft, Encoding, Packed, Reader, SortedSet};
use crate::types::{Collection, Large as _};

use crate::commands::{Flow, Outcome};

/// What visiting a member costs, in bytes copied that take as long.
const MEMBER_BYTES: usize = 512;
/// What a change costs for each member of equal score that it reads to find its place, some 0.2 us, in the same bytes.
const TIE_BYTES: usize = 192;
/// What changing one costs, compared with visiting one.
const CHANGE: usize = 6;

/// Some work on sorted sets that may be long.
pub(super) trait Work: Debug + 'static {
    /// Goes on for about as much as `budget` allows; whether it is done. It looks its keys up with [`Db::find_held`].
    ///
    /// # Errors
    /// The command's; it has ended then, and written nothing to the reply.
    fn step(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        budget: Budget,
    ) -> Result<bool, CommandError>;

    /// Once `step` has done its part. What it does is O(1).
    ///
    /// # Errors
    /// The command's.
    fn finish(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let _ = (db, args, reply);
        Ok(())
    }

    /// What it will still take of the memory: see [`Sliced::room`].
    fn room(&self) -> u64 {
        0
    }

    /// What it has built and not put, when it has ended.
    fn rest(&mut self) -> Option<Draft> {
        None
    }
}

/// What is left of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(usize);

impl Budget {
    /// A slice.
    pub(super) fn of(db: &Db<'_>) -> Budget {
        Budget(db.slice_bytes())
    }

    /// For what was seen to be short.
    pub(super) fn whole() -> Budget {
        Budget(usize::MAX)
    }

    /// Pays for a member of so many bytes; whether something is left.
    pub(super) fn pay(&mut self, member_len: usize) -> bool {
        self.0 = self.0.saturating_sub(MEMBER_BYTES + member_len);
        self.0 > 0
    }

    /// Pays for a member of so many bytes that is written as well; whether something is left.
    pub(super) fn pay_change(&mut self, member_len: usize) -> bool {
        self.pay(2 * member_len + (CHANGE - 1) * MEMBER_BYTES)
    }

    /// Pays for so many members of equal score that a change has read.
    pub(super) fn pay_ties(&mut self, ties: u64) {
        self.0 = self.0.saturating_sub(ties as usize * TIE_BYTES);
    }

    /// As much of it as makes changes of a draft as dear as they are while it is packed.
    pub(super) fn for_draft(self, draft: Option<&Draft>) -> Budget {
        /// Packed bytes that take as long to go through several times as a change of a large sorted set does.
        const BYTES: usize = 256;
        self.divided(1 + draft.map_or(0, Draft::packed_bytes) / BYTES)
    }

    /// A part of it.
    pub(super) fn divided(self, parts: usize) -> Budget {
        Budget(self.0 / parts.max(1))
    }

    /// Pays for a member that is passed over; whether something is left.
    pub(super) fn pay_little(&mut self) -> bool {
        self.0 = self.0.saturating_sub(MEMBER_BYTES / 16);
        self.0 > 0
    }

    /// How many members can be removed for it, at least 1.
    pub(super) fn removals(self) -> u64 {
        (self.0 / (CHANGE * MEMBER_BYTES)).max(1) as u64
    }
}

/// Does the work: at once if a slice is enough.
pub(super) fn run(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, mut work: impl Work) -> Outcome {
    let outcome = match work.step(db, args, reply, Budget::of(db)) {
        Ok(false) => return Ok(Flow::Sliced(Box::new(Long { work }))),
        Ok(true) => work.finish(db, args, reply),
        Err(error) => Err(error),
    };
    discard(work.rest(), |set| db.discard(set));
    outcome.map(|()| Flow::Done)
}

/// Gives up what was built.
pub(super) fn discard_draft(db: &mut Db<'_>, draft: Option<Draft>) {
    discard(draft, |set| db.discard(set));
}

fn discard(draft: Option<Draft>, how: impl FnOnce(Box<Collection>)) {
    if let Some(Draft::Large(set)) = draft {
        how(Box::new(Collection::SortedSet(set)));
    }
}

/// Work that goes on in slices.
#[derive(Debug)]
struct Long<W> {
    work: W,
}

impl<W: Work> Sliced for Long<W> {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let mut db = slice.engine.keyspace.db(slice.db);
        let budget = Budget::of(&db);
        if !self.work.step(&mut db, slice.args, slice.reply, budget)? {
            return Ok(Progress::More);
        }
        self.work.finish(&mut db, slice.args, slice.reply)?;
        Ok(Progress::Done)
    }

    fn room(&self) -> u64 {
        self.work.room()
    }

    fn end(&mut self, engine: &mut Engine) {
        discard(self.work.rest(), |set| engine.keyspace.discard(set));
    }
}

/// The sorted set that was found; `None` if nothing was. [`reader`] reads it.
pub(in crate::commands) fn view<'a>(db: &'a Db<'_>, found: &Found<'_>) -> Result<Option<View<'a>>, CommandError> {
    db.collection(found, ValueType::SortedSet)
}

/// Reads what [`view`] returned.
pub(in crate::commands) fn reader<'a>(db: &'a Db<'_>, view: &'a View<'a>) -> Reader<'a> {
    match view {
        View::Packed(bytes) => Reader::Packed(Packed::new(bytes)),
        View::Large(collection) => Reader::Large(sorted_set(collection), db.store()),
    }
}

/// Reads the sorted set of a key that a long command keeps; `None` if there is none.
pub(super) fn read_kept<R>(db: &Db<'_>, key: &[u8], read: impl FnOnce(Reader<'_>) -> R) -> Option<R> {
    let found = db.find_held(key);
    let view = view(db, &found).ok()??;
    Some(read(reader(db, &view)))
}

fn sorted_set(collection: &Collection) -> &SortedSet {
    match collection {
        Collection::SortedSet(set) => set,
        _ => unreachable!("the entry says what it names"),
    }
}

/// A sorted set under change: where it is if it is large, else apart.
#[derive(Debug)]
pub(super) enum Edit {
    /// The key has a large one.
    InPlace,
    /// What the key is to have.
    Apart(Draft),
}

impl Edit {
    /// Of the sorted set that was found; `None` if nothing was.
    pub(super) fn begin(db: &Db<'_>, found: &Found<'_>) -> Result<Option<Edit>, CommandError> {
        Ok(view(db, found)?.map(|view| match view {
            View::Packed(bytes) => Edit::Apart(Draft::Packed(bytes.into_owned())),
            View::Large(_) => Edit::InPlace,
        }))
    }

    /// Of a new sorted set.
    pub(super) fn new(encoding: Encoding) -> Edit {
        Edit::Apart(Draft::new(encoding))
    }

    pub(super) fn read<R>(&self, db: &Db<'_>, found: &Found<'_>, read: impl FnOnce(Reader<'_>) -> R) -> R {
        match self {
            Edit::Apart(draft) => read(draft.reader(db.store())),
            Edit::InPlace => {
                let view = view(db, found).ok().flatten().expect("a key that is held keeps what it has");
                read(reader(db, &view))
            }
        }
    }

    /// Members of equal score that changes have read so far.
    pub(super) fn ties(&self, db: &Db<'_>, found: &Found<'_>) -> u64 {
        self.read(db, found, |set| set.ties())
    }

    /// Gives a member a score.
    pub(super) fn set(
        &mut self,
        db: &mut Db<'_>,
        found: &Found<'_>,
        member: GivenName<'_>,
        score: f64,
    ) -> Result<Change, CommandError> {
        let limits = *db.limits();
        let outcome = match self {
            Edit::Apart(draft) => draft.set(db.store_mut(), &limits, member, score),
            Edit::InPlace => in_place(db, found, |set, store| set.set(store, &limits, member, score)),
        };
        outcome.map_err(put_error)
    }

    /// Says what the encoding is.
    pub(super) fn set_encoding(&mut self, db: &mut Db<'_>, found: &Found<'_>, encoding: Encoding) {
        match self {
            Edit::Apart(draft) => draft.set_encoding(encoding),
            Edit::InPlace => in_place(db, found, |set, _| set.set_encoding(encoding)),
        }
    }

    /// Takes a member out; whether it was there.
    pub(super) fn remove(&mut self, db: &mut Db<'_>, found: &Found<'_>, member: GivenName<'_>) -> bool {
        match self {
            Edit::Apart(draft) => draft.remove(db.store_mut(), member),
            Edit::InPlace => in_place(db, found, |set, store| set.remove(store, member)),
        }
    }

    /// Takes the members of some ranks out, which are there.
    pub(super) fn remove_ranks(&mut self, db: &mut Db<'_>, found: &Found<'_>, ranks: Range<u64>) {
        match self {
            Edit::Apart(draft) => draft.remove_ranks(db.store_mut(), ranks),
            Edit::InPlace => in_place(db, found, |set, store| set.remove_ranks(store, ranks)),
        }
    }

    /// Gives the key what was made of it, or removes it if that is nothing; `event` is what has happened to it.
    pub(super) fn end(self, db: &mut Db<'_>, key: &[u8], found: Found<'_>, event: Event) -> Result<(), CommandError> {
        let is_empty = match &self {
            Edit::Apart(draft) => draft.is_empty(),
            Edit::InPlace => in_place(db, &found, |set, _| set.len() == 0),
        };
        if is_empty {
            discard(self.into_draft(), |set| db.discard(set));
            db.changed(key, event);
            if db.remove(found) {
                db.also(key, Event::Del);
            }
            return Ok(());
        }
        if let Edit::Apart(draft) = self {
            put(db, found, draft, Ttl::Keep)?;
        }
        db.changed(key, event);
        Ok(())
    }

    /// What there is apart from the key.
    pub(super) fn into_draft(self) -> Option<Draft> {
        match self {
            Edit::Apart(draft) => Some(draft),
            Edit::InPlace => None,
        }
    }
}

fn in_place<R>(
    db: &mut Db<'_>,
    found: &Found<'_>,
    change: impl FnOnce(&mut SortedSet, &mut chunkbuf::Store) -> R,
) -> R {
    let (collection, store) = db.large_mut(found).expect("a key that is held keeps what it has");
    match collection {
        Collection::SortedSet(set) => change(set, store),
        _ => unreachable!("the entry says what it names"),
    }
}

/// Lets the sorted set that was found be told to be a skip list. Without memory it stays what it was.
pub(in crate::commands) fn become_skiplist(db: &mut Db<'_>, found: Found<'_>) {
    let Ok(Some(mut edit)) = Edit::begin(db, &found) else { return };
    if edit.read(db, &found, |set| set.encoding()) == Encoding::Skiplist {
        return;
    }
    edit.set_encoding(db, &found, Encoding::Skiplist);
    if let Edit::Apart(draft) = edit {
        // A byte of it changes, where it lies.
        let _ = put(db, found, draft, Ttl::Keep);
    }
}

/// Sets the key that was found to a sorted set that has members.
pub(super) fn put(db: &mut Db<'_>, found: Found<'_>, draft: Draft, ttl: Ttl) -> Result<(), CommandError> {
    match draft {
        Draft::Packed(bytes) => db.set_packed(found, ValueType::SortedSet, &bytes, ttl),
        Draft::Large(set) => db.set_large(found, ValueType::SortedSet, Box::new(Collection::SortedSet(set)), ttl),
    }
}

/// Sets a key to what a command has built, whatever it had before, or removes it if that is nothing, and replies with the
/// number of members.
pub(super) fn store(
    db: &mut Db<'_>,
    key: &[u8],
    draft: Draft,
    event: Event,
    reply: &mut Reply,
) -> Result<(), CommandError> {
    let found = db.find(key);
    if draft.is_empty() {
        discard(Some(draft), |set| db.discard(set));
        if db.remove(found) {
            db.changed(key, Event::Del);
        }
        reply.integer(0);
        return Ok(());
    }
    let len = draft.reader(db.store()).len();
    put(db, found, draft, Ttl::Clear)?;
    db.changed(key, event);
    reply.integer(len as i64);
    Ok(())
}

/// How members and scores stand in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Members alone.
    Members,
    /// Members, each followed by its score.
    Flat,
    /// Arrays of a member and its score.
    Pairs,
}

impl Shape {
    /// As WITHSCORES has it: the protocols differ.
    pub(super) fn of(with_scores: bool, protocol: Protocol) -> Shape {
        match (with_scores, protocol) {
            (false, _) => Shape::Members,
            (true, Protocol::Resp2) => Shape::Flat,
            (true, Protocol::Resp3) => Shape::Pairs,
        }
    }

    /// The header of a reply of `len` members.
    pub(super) fn header(self, len: u64, reply: &mut Reply) {
        let len = len as usize;
        reply.array(if self == Shape::Flat { 2 * len } else { len });
    }

    /// A member.
    pub(super) fn member(self, member: StoredName<'_>, score: f64, reply: &mut Reply) {
        if self == Shape::Pairs {
            reply.array(2);
        }
        reply.bulk_name(member);
        if self != Shape::Members {
            reply.double(&DoubleText::new(score));
        }
    }
}

/// Replies with the members of some ranks until all are told or the slice is over; takes those that are told from `ranks`.
pub(super) fn tell(
    reader: &Reader<'_>,
    ranks: &mut Range<u64>,
    direction: Direction,
    shape: Shape,
    reply: &mut Reply,
    mut budget: Budget,
) {
    let told = reader.visit(ranks.clone(), direction, |member, score| {
        shape.member(member, score, reply);
        budget.pay(member.head_len())
    });
    match direction {
        Direction::Forward => ranks.start += told,
        Direction::Backward => ranks.end -= told,
    }
}

/// Members copied out of where they lie, to be worked on while the store changes.
#[derive(Debug, Default)]
pub(super) struct Batch {
    names: CopiedNames,
    /// Each member and its score.
    members: Vec<(CopiedName, f64)>,
}

impl Batch {
    /// Adds a copy of a member of `set`, or of none.
    pub(super) fn push(&mut self, set: Option<&Reader<'_>>, member: StoredName<'_>, score: f64) {
        let copied = match set {
            Some(set) if set.is_salted() => self.names.copy_whole(member),
            _ => self.names.copy(member),
        };
        self.members.push((copied, score));
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (GivenName<'_>, f64)> {
        self.members.iter().map(|(member, score)| (self.names.get(member), *score))
    }

    /// Gives each member the score that `visit` says, or drops it.
    pub(super) fn retain(&mut self, mut visit: impl FnMut(GivenName<'_>, f64) -> Option<f64>) {
        let Batch { names, members } = self;
        members.retain_mut(|(member, score)| {
            let new = visit(names.get(member), *score);
            *score = new.unwrap_or(*score);
            new.is_some()
        });
    }
}

/// Gives the members of a batch their scores in what a command builds.
pub(super) fn add_all(db: &mut Db<'_>, draft: &mut Draft, batch: &Batch) -> Result<(), CommandError> {
    let limits = *db.limits();
    for (member, score) in batch.iter() {
        draft.set(db.store_mut(), &limits, member, score).map_err(put_error)?;
    }
    Ok(())
}
