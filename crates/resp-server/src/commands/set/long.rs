//! Commands on one set, a slice at a time.
//!
//! Each is a [`Step`]: the handler has it go on for as much as may be done at once, and if that was not all, a task that holds the
//! key goes on with the rest. What reads a large set reads it through a view, which stays good while the task runs; what changes one
//! looks it up in each slice.

use std::fmt::Debug;

use super::{note_removal, put, put_rest, source};
use crate::commands::generic::many::Room;
use crate::commands::generic::walk::Pattern;
use crate::commands::{Flow, Outcome};
use crate::engine::tasks::Holding;
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::hashes::Hashes;
use crate::keyspace::{Db, Event, Found, Keyspace, put_error};
use crate::proto::{Args, CommandError, Reply};
use crate::types::Limits;
use crate::types::set::{Edit, Encoding, Growing, Packed, Source, View};

/// Bytes of members that become a segment of a reply that is gathered apart.
const SEGMENT: usize = 64 * 1024;
/// Members up to which a set that has lost nearly all is written anew, packed.
const REPACK_MAX: usize = 128;

/// How much may still be done before others get their turn, in bytes.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    /// What a member costs beside its bytes: a look-up takes some 0.1 to 0.4 us.
    pub(super) const MEMBER: usize = 256;
    /// What it costs beside that to add or remove it: 0.5 to 1 us, several while the index grows.
    const CHANGE: usize = 1792;
    /// What a random choice costs beside that: nothing that it looks at is in the cache.
    const CHOICE: usize = 256;

    /// For a handler: some 240 members to look at, 32 to change.
    pub(super) fn at_once(db: &Db<'_>) -> Budget {
        Budget(db.slice_bytes())
    }

    /// For a slice: some 240 members to look at.
    pub(super) fn of_slice(db: &Db<'_>) -> Budget {
        Budget(db.slice_bytes())
    }

    /// Something was done with a member of so many bytes.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(Budget::MEMBER + bytes);
    }

    /// A member of so many bytes was added or removed.
    #[inline]
    pub(super) fn spend_change(&mut self, bytes: usize) {
        self.spend(bytes + Budget::CHANGE);
    }

    /// Whether it is others' turn.
    #[inline]
    pub(super) fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// A command on the set that is argument 1, which can stop anywhere.
pub(super) trait Step: Debug + 'static {
    /// Goes on within the budget, and at least a little; whether it is done and has replied. `found` is the key.
    ///
    /// # Errors
    /// The command's; it has ended then.
    fn step(
        &mut self,
        db: &mut Db<'_>,
        found: Found<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        budget: &mut Budget,
    ) -> Result<bool, CommandError>;

    /// What it will still take of the memory: see [`Sliced::room`].
    fn room(&self) -> u64 {
        0
    }

    /// Gives up what it has built in the store and not put. Called once it has ended, done or not.
    fn free(&mut self, db: &mut Db<'_>) {
        let _ = db;
    }

    /// Gives up memory that is too much to be freed at once.
    fn discard(&mut self, engine: &mut Engine) {
        let _ = engine;
    }
}

/// Carries a command out: at once if that is all.
pub(super) fn run(
    db: &mut Db<'_>,
    found: Found<'_>,
    args: &Args<'_>,
    reply: &mut Reply,
    mut step: impl Step,
) -> Outcome {
    let outcome = step.step(db, found, args, reply, &mut Budget::at_once(db));
    if matches!(outcome, Ok(false)) {
        return Ok(Flow::Sliced(Box::new(InSlices { step })));
    }
    step.free(db);
    outcome.map(|_| Flow::Done)
}

#[derive(Debug)]
struct InSlices<S> {
    step: S,
}

impl<S: Step> Sliced for InSlices<S> {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let mut db = slice.engine.keyspace.db(slice.db);
        let found = db.find(slice.args.at(1));
        let mut budget = Budget::of_slice(&db);
        let is_done = self.step.step(&mut db, found, slice.args, slice.reply, &mut budget)?;
        Ok(if is_done { Progress::Done } else { Progress::More })
    }

    fn room(&self) -> u64 {
        self.step.room()
    }

    fn end(&mut self, engine: &mut Engine) {
        self.step.free(&mut engine.keyspace.db(0));
        self.step.discard(engine);
    }
}

/// SADD.
#[derive(Debug)]
pub(super) struct Adding {
    /// What is put at the end; `None`: the set is large, and changed where it is.
    growing: Option<Growing>,
    /// Whether there is something to put although no member was added.
    converted: bool,
    /// The argument to go on with.
    next: usize,
    added: usize,
    room: Room,
}

impl Adding {
    /// To a set, `None`: to a new one.
    pub(super) fn new(limits: &Limits, set: Option<Source<'_>>, args: &Args<'_>) -> Adding {
        let count = args.len() - 2;
        let (mut growing, mut converted) = (None, false);
        match set {
            None => growing = Some(Growing::new(Encoding::of_new(args.name(2), count, limits))),
            Some(Source::Packed(bytes)) => {
                let encoding = Packed::new(&bytes).encoding();
                converted = encoding.before_adding(count, limits) != encoding;
                growing = Some(Growing::Packed(Edit::of(bytes.into_owned())));
            }
            Some(Source::Large(_)) => {}
        }
        Adding { growing, converted, next: 2, added: 0, room: Room::default() }
    }

    /// Adds members in place; whether those were all.
    fn step_large(
        &mut self,
        db: &mut Db<'_>,
        found: &Found<'_>,
        args: &Args<'_>,
        budget: &mut Budget,
    ) -> Result<bool, CommandError> {
        let limits = *db.limits();
        let count = args.len() - 2;
        if self.next == 2 && count > 1 {
            self.room = Room::ask(db, args.entry_bytes(), count)?;
        }
        let (collection, store) = db.large_mut(found).expect("a key that is held keeps what it has");
        let set = collection.set_mut();
        if self.next == 2 {
            set.set_encoding(set.view().encoding().before_adding(count, &limits));
        }
        while self.next < args.len() && !budget.is_spent() {
            let member = args.name(self.next);
            set.look_ahead(store, |ahead| args.get(self.next + ahead));
            self.added += usize::from(set.add(store, member, &limits).map_err(put_error)?);
            budget.spend_change(member.beginning().len());
            self.room.spend(member.beginning().len());
            self.next += 1;
        }
        Ok(self.next == args.len())
    }
}

impl Step for Adding {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        found: Found<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        budget: &mut Budget,
    ) -> Result<bool, CommandError> {
        let key = args.at(1);
        let Some(growing) = &mut self.growing else {
            let outcome = self.step_large(db, &found, args, budget);
            if matches!(outcome, Ok(false)) {
                return Ok(false);
            }
            if self.added > 0 {
                db.changed(key, Event::Sadd);
            }
            outcome?;
            reply.count(self.added);
            return Ok(true);
        };
        let limits = *db.limits();
        if self.converted && self.next == 2 {
            growing.set_encoding(db.store_mut(), Encoding::Hashtable).map_err(put_error)?;
        }
        while self.next < args.len() {
            if budget.is_spent() {
                return Ok(false);
            }
            let member = args.name(self.next);
            growing.look_ahead(db.store(), |ahead| args.get(self.next + ahead));
            self.added += usize::from(growing.add(db.store_mut(), member, &limits).map_err(put_error)?);
            budget.spend_change(member.beginning().len());
            self.next += 1;
        }
        if self.added > 0 || self.converted {
            let set = self.growing.take().expect("just seen");
            put(db, found, set)?;
        }
        if self.added > 0 {
            db.changed(key, Event::Sadd);
        }
        reply.count(self.added);
        Ok(true)
    }

    fn room(&self) -> u64 {
        self.room.left()
    }

    fn free(&mut self, db: &mut Db<'_>) {
        if let Some(growing) = &mut self.growing {
            growing.clear(db.store_mut());
        }
    }
}

/// SREM.
#[derive(Debug)]
pub(super) struct Removing {
    /// What is put at the end; `None`: the set is large, and changed where it is.
    edit: Option<Edit>,
    /// The argument to go on with.
    next: usize,
    removed: usize,
}

impl Removing {
    pub(super) fn new(set: Source<'_>) -> Removing {
        let edit = match set {
            Source::Packed(bytes) => Some(Edit::of(bytes.into_owned())),
            Source::Large(_) => None,
        };
        Removing { edit, next: 2, removed: 0 }
    }
}

impl Step for Removing {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        found: Found<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        budget: &mut Budget,
    ) -> Result<bool, CommandError> {
        let mut large = if self.edit.is_none() { db.large_mut(&found) } else { None };
        let mut is_empty = false;
        while self.next < args.len() && !is_empty {
            if budget.is_spent() {
                return Ok(false);
            }
            let member = args.name(self.next);
            let removed = match (&mut self.edit, &mut large) {
                (Some(edit), _) => {
                    let removed = member.contiguous().is_some_and(|member| edit.remove(member));
                    is_empty = edit.is_empty();
                    removed
                }
                (None, Some((collection, store))) => {
                    let set = collection.set_mut();
                    set.look_ahead(store, |ahead| args.get(self.next + ahead));
                    let removed = set.remove(store, member);
                    is_empty = collection.set().view().len() == 0;
                    removed
                }
                (None, None) => unreachable!("a key that is held keeps what it has"),
            };
            self.removed += usize::from(removed);
            budget.spend_change(member.beginning().len());
            self.next += 1;
        }
        if self.removed > 0 {
            let emptied = match &self.edit {
                Some(edit) => put_rest(db, found, edit)?,
                None => is_empty && db.remove(found),
            };
            note_removal(db, args.at(1), Event::Srem, emptied);
        }
        reply.count(self.removed);
        Ok(true)
    }
}

/// SMISMEMBER of many members.
#[derive(Debug)]
pub(super) struct Asking {
    set: Option<Source<'static>>,
    /// The argument to go on with.
    next: usize,
}

impl Asking {
    pub(super) fn new(set: Option<Source<'static>>) -> Asking {
        Asking { set, next: 2 }
    }
}

impl Step for Asking {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        _found: Found<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        budget: &mut Budget,
    ) -> Result<bool, CommandError> {
        while self.next < args.len() && !budget.is_spent() {
            let member = args.name(self.next);
            if let Some(set) = &self.set {
                set.look_ahead(db.store(), |ahead| args.get(self.next + ahead));
            }
            reply.integer(i64::from(self.set.as_ref().is_some_and(|set| set.contains(db.store(), member))));
            budget.spend(member.beginning().len());
            self.next += 1;
        }
        Ok(self.next == args.len())
    }
}

/// All members, behind a header that was written.
#[derive(Debug)]
pub(super) struct Telling {
    /// Where to go on in a large set; `None`: all was told.
    rest: Option<(View, u64)>,
    /// Whether the key is removed at the end: it is an SPOP of all.
    removes: bool,
}

impl Telling {
    /// Tells a packed set at once.
    pub(super) fn new(set: Source<'_>, reply: &mut Reply) -> Telling {
        let rest = match set {
            Source::Large(view) => Some((view, 0)),
            Source::Packed(bytes) => {
                let mut scratch = Vec::new();
                for member in Packed::new(&bytes).members() {
                    reply.bulk(member.as_slice(&mut scratch));
                }
                None
            }
        };
        Telling { rest, removes: false }
    }

    /// And removes the key.
    pub(super) fn and_remove(self) -> Telling {
        Telling { removes: true, ..self }
    }
}

impl Step for Telling {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        found: Found<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        budget: &mut Budget,
    ) -> Result<bool, CommandError> {
        let mut scratch = Vec::new();
        while let Some((view, cursor)) = &mut self.rest {
            if budget.is_spent() {
                return Ok(false);
            }
            *cursor = view.scan(db.store(), *cursor, |member| {
                let member = member.name(&mut scratch);
                reply.bulk_name(member);
                budget.spend(member.head_len());
            });
            budget.spend(0);
            if *cursor == 0 {
                self.rest = None;
            }
        }
        if self.removes && db.remove(found) {
            note_removal(db, args.at(1), Event::Spop, true);
        }
        Ok(true)
    }
}

/// A number below `end`, each with the same chance.
pub(super) fn below(seed: &mut u64, end: usize) -> usize {
    ((u128::from(Keyspace::next_random(seed)) * end as u128) >> 64) as usize
}

/// Replies with a random member of a set; the bytes that were copied.
pub(super) fn reply_random(store: &chunkbuf::Store, set: &Source<'_>, seed: &mut u64, reply: &mut Reply) -> usize {
    let mut scratch = Vec::new();
    let member = match set {
        Source::Packed(bytes) => Packed::new(bytes).nth(below(seed, set.len())),
        Source::Large(view) => view.random(store, || Keyspace::next_random(seed)).expect("a set has a member"),
    };
    let member = member.name(&mut scratch);
    reply.bulk_name(member);
    member.head_len()
}

/// Takes `count` random members, fewer than there are, from a packed set and replies with them; what is left of it.
pub(super) fn take_some(set: Packed<'_>, count: usize, (limits, mut seed): (&Limits, u64), reply: &mut Reply) -> Edit {
    let len = set.len();
    let mut choice = Choice { wanted: count, left: len };
    let mut scratch = Vec::new();
    let mut rest = Edit::new(encoding_of_rest(set.encoding(), len, count));
    for member in set.members() {
        let member = member.as_slice(&mut scratch);
        if choice.takes(&mut seed) {
            reply.bulk(member);
        } else {
            rest.add(member, limits).expect("it is a part of a packed set");
        }
    }
    rest
}

/// What OBJECT ENCODING says at first of what is left when `count` of `len` members go. As in Redis, a set that loses five sixths
/// at once is built anew.
fn encoding_of_rest(before: Encoding, len: usize, count: usize) -> Encoding {
    let is_built_anew = (len - count) * 5 <= count;
    if is_built_anew && before == Encoding::Hashtable { Encoding::Listpack } else { before }
}

/// Chooses some of a known number of things that come one by one, every choice with the same chance.
#[derive(Debug)]
struct Choice {
    /// Things still to be chosen.
    wanted: usize,
    /// Things still to come.
    left: usize,
}

impl Choice {
    /// Whether the next one is chosen.
    fn takes(&mut self, seed: &mut u64) -> bool {
        let takes = below(seed, self.left) < self.wanted;
        self.wanted -= usize::from(takes);
        self.left -= 1;
        takes
    }
}

/// SRANDMEMBER with a count, behind a header that was written.
#[derive(Debug)]
pub(super) struct Picking {
    set: Source<'static>,
    seed: u64,
    way: Way,
}

/// How members are picked.
#[derive(Debug)]
enum Way {
    /// So many more, any of them again.
    WithRepeats(usize),
    /// So many more that are not among those picked before, which are few.
    Distinct(usize, Hashes),
    /// Many: the set is gone through.
    Through(Choice, u64),
}

impl Picking {
    /// Any members, `count` of them.
    pub(super) fn with_repeats(set: Source<'static>, count: usize, seed: u64) -> Picking {
        Picking { set, seed, way: Way::WithRepeats(count) }
    }

    /// `count` distinct members, fewer than there are.
    pub(super) fn distinct(set: Source<'static>, count: usize, seed: u64) -> Picking {
        let len = set.len();
        let way = match set {
            Source::Large(_) if count < len / 3 => Way::Distinct(count, Hashes::default()),
            _ => Way::Through(Choice { wanted: count, left: len }, 0),
        };
        Picking { set, seed, way }
    }
}

impl Step for Picking {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        _found: Found<'_>,
        _args: &Args<'_>,
        reply: &mut Reply,
        budget: &mut Budget,
    ) -> Result<bool, CommandError> {
        let Picking { set, seed, way } = self;
        let mut scratch = Vec::new();
        loop {
            if let Way::WithRepeats(0) | Way::Distinct(0, _) | Way::Through(Choice { wanted: 0, .. }, _) = way {
                return Ok(true);
            }
            if budget.is_spent() {
                return Ok(false);
            }
            match way {
                Way::WithRepeats(left) => {
                    budget.spend(Budget::CHOICE + reply_random(db.store(), set, seed, reply));
                    *left -= 1;
                }
                Way::Distinct(left, picked) => {
                    let Source::Large(view) = set else { unreachable!("a packed set is gone through") };
                    let member = view.random(db.store(), || Keyspace::next_random(seed)).expect("a set has a member");
                    let member = member.name(&mut scratch);
                    if picked.insert(member.hash(db.store())) {
                        reply.bulk_name(member);
                        *left -= 1;
                    }
                    budget.spend(Budget::CHOICE + member.head_len());
                }
                Way::Through(choice, cursor) => {
                    *cursor = set.scan(db.store(), *cursor, |member| {
                        if choice.takes(seed) {
                            let member = member.name(&mut scratch);
                            reply.bulk_name(member);
                            budget.spend(member.head_len());
                        } else {
                            budget.spend(0);
                        }
                    });
                    budget.spend(0);
                }
            }
        }
    }

    fn discard(&mut self, engine: &mut Engine) {
        if let Way::Distinct(_, picked) = &mut self.way {
            engine.discard(std::mem::take(picked));
        }
    }
}

/// SPOP of some members of a large set.
#[derive(Debug)]
pub(super) struct Popping {
    count: usize,
    popped: usize,
    /// What was popped; the header comes at the end, for the key may expire before.
    found: Reply,
}

impl Popping {
    /// Of so many members, fewer than there are.
    pub(super) fn new(count: usize) -> Popping {
        Popping { count, popped: 0, found: Reply::new() }
    }
}

impl Step for Popping {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        found: Found<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        budget: &mut Budget,
    ) -> Result<bool, CommandError> {
        let mut seed = db.random();
        let mut scratch = Vec::new();
        if let Some((collection, store)) = db.large_mut(&found) {
            let set = collection.set_mut();
            while self.popped < self.count {
                if budget.is_spent() {
                    self.found.seal(SEGMENT);
                    return Ok(false);
                }
                set.pop(
                    store,
                    || Keyspace::next_random(&mut seed),
                    |member| {
                        let member = member.name(&mut scratch);
                        self.found.bulk_name(member);
                        budget.spend_change(Budget::CHOICE + member.head_len());
                    },
                );
                self.popped += 1;
            }
            repack(db, found, self.count);
        }
        db.changed(args.at(1), Event::Spop);
        reply.set(self.popped);
        reply.append(std::mem::take(&mut self.found));
        Ok(true)
    }

    fn discard(&mut self, engine: &mut Engine) {
        engine.discard(std::mem::take(&mut self.found));
    }
}

/// Writes a large set anew, packed, that has lost `count` members at once and has few now. Without memory it stays as it is.
fn repack(db: &mut Db<'_>, found: Found<'_>, count: usize) {
    let limits = *db.limits();
    let Ok(Some(Source::Large(view))) = source(db, &found) else { return };
    if view.len() > REPACK_MAX || view.len() * 5 > count {
        return;
    }
    let mut rest = Edit::new(encoding_of_rest(view.encoding(), view.len() + count, count));
    let (mut cursor, mut scratch, mut fits) = (0, Vec::new(), true);
    loop {
        cursor = view.scan(db.store(), cursor, |member| {
            fits &= rest.add(member.as_slice(&mut scratch), &limits).is_ok();
        });
        if cursor == 0 || !fits {
            break;
        }
    }
    if fits {
        // What it has cost is the old form's to give back; without memory for the new one that stays.
        let _ = put(db, found, Growing::Packed(rest));
    }
}

/// SSCAN of a large set.
#[derive(Debug)]
pub(super) struct Scanning {
    view: View,
    cursor: u64,
    count: u64,
    pattern: Pattern,
    visited: u64,
    /// A sparse index takes many bites for few members: those are bounded too.
    bites: u64,
    found: Reply,
    len: usize,
}

impl Scanning {
    /// From a cursor on, until `count` members are looked at.
    pub(super) fn new(view: View, cursor: u64, count: u64, pattern: Pattern) -> Scanning {
        Scanning { view, cursor, count, pattern, visited: 0, bites: 0, found: Reply::new(), len: 0 }
    }
}

impl Step for Scanning {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        _found: Found<'_>,
        _args: &Args<'_>,
        reply: &mut Reply,
        budget: &mut Budget,
    ) -> Result<bool, CommandError> {
        let mut scratch = Vec::new();
        loop {
            self.cursor = self.view.scan(db.store(), self.cursor, |member| {
                self.visited += 1;
                let member = member.name(&mut scratch);
                budget.spend(self.pattern.cost_of(member));
                if self.pattern.matches_name(member) {
                    self.found.bulk_name(member);
                    self.len += 1;
                }
            });
            self.bites += 1;
            budget.spend(0);
            if self.cursor == 0 || self.visited >= self.count || self.bites >= self.count.saturating_mul(10) {
                break;
            }
            if budget.is_spent() {
                self.found.seal(SEGMENT);
                return Ok(false);
            }
        }
        reply.array(2);
        reply.bulk(self.cursor.to_string().as_bytes());
        reply.array(self.len);
        reply.append(std::mem::take(&mut self.found));
        Ok(true)
    }

    fn discard(&mut self, engine: &mut Engine) {
        engine.discard(std::mem::take(&mut self.found));
    }
}
