//! Sets combined: what they have in common, what any of them has, what one has and others have not.
//!
//! ```text
//! gather the sets  ->  members, a bite at a time, of the smallest (SINTER), the first (SDIFF) or each (SUNION)
//!                      |  those that the other sets have (SINTER) or have not
//!                      v
//!                      the reply, a count, or a set that is built apart and put at the end
//! ```
//!
//! A command goes on in slices if that is more than a few thousand look-ups or 64 KiB; nobody ever sees a part of a result. What
//! is built apart counts under the memory limit like any other set.
//!
//! The union for a reply needs no set: a member is told if no set before its own has it. That is a look-up for each of those,
//! so from nine sets on, and for a command that stores, the union is built.

use std::ops::Range;

use super::long::Budget;
use super::source;
use crate::commands::arguments::integer;
use crate::commands::generic::many;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::holds::Access;
use crate::engine::tasks::{Holding, KEYS_PER_SLICE};
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Event, Ttl, ValueType, put_error};
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;
use crate::types::Collection;
use crate::types::name::{CopiedName, CopiedNames};
use crate::types::set::{Encoding, Growing, Source};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] =
    &[&SINTER, &SINTERCARD, &SINTERSTORE, &SUNION, &SUNIONSTORE, &SDIFF, &SDIFFSTORE];

const KEYS_READ: &[KeySpec] = &[KeySpec::to_end(1, 1, &[KeyFlag::Ro, KeyFlag::Access])];
const SOURCES: KeySpec = KeySpec::to_end(2, 1, &[KeyFlag::Ro, KeyFlag::Access]);

const SINTER: CommandSpec = CommandSpec {
    name: "sinter",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly],
    keys: KEYS_READ,
    large: Large::None,
    run: Run::Keys(|db, args, reply| run(db, args, reply, What::reply(Operator::Inter, 1..args.len()))),
    doc: Doc {
        summary: "Lists the members that all of some sets have.",
        since: "1.0.0",
        complexity: "O(N*M) in the members of the smallest set and the number of sets; in slices beyond 1,000.",
        syntax: "key [key ...]",
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Set)
    },
};

const SINTERCARD: CommandSpec = CommandSpec {
    name: "sintercard",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::MovableKeys],
    keys: &[KeySpec::counted(2, 1, &[KeyFlag::Ro, KeyFlag::Access])],
    large: Large::None,
    run: Run::Keys(sintercard),
    doc: Doc {
        summary: "Counts the members that all of some sets have.",
        since: "7.0.0",
        complexity: "O(N*M) in the members of the smallest set and the number of sets; in slices beyond 1,000.",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        ..Doc::of(Group::Set)
    },
};

fn sintercard(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let keys = usize::try_from(integer(args.at(1)).unwrap_or(0)).ok().filter(|&keys| keys > 0);
    let keys = keys.ok_or(CommandError::text_static("ERR numkeys should be greater than 0"))?;
    if keys > args.len() - 2 {
        return Err(CommandError::text_static("ERR Number of keys can't be greater than number of args"));
    }
    let end = 2 + keys;
    let (mut at, mut limit) = (end, 0);
    while at < args.len() {
        let value = args.get(at + 1).filter(|_| args.is(at, "limit")).ok_or(CommandError::Syntax)?;
        limit = integer(value)
            .ok()
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or(CommandError::text_static("ERR LIMIT can't be negative"))?;
        at += 2;
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    run(db, args, reply, What { operator: Operator::Inter, keys: 2..end, store: false, limit: Some(limit) })
}

const SINTERSTORE: CommandSpec = CommandSpec {
    name: "sinterstore",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Update]), SOURCES],
    large: Large::None,
    run: Run::Keys(|db, args, reply| run(db, args, reply, What::store(Operator::Inter, 2..args.len()))),
    doc: Doc {
        summary: "Stores the members that all of some sets have.",
        since: "1.0.0",
        complexity: "O(N*M) in the members of the smallest set and the number of sets; in slices beyond 1,000.",
        syntax: "destination key [key ...]",
        ..Doc::of(Group::Set)
    },
};

const SUNION: CommandSpec = CommandSpec {
    name: "sunion",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly],
    keys: KEYS_READ,
    large: Large::None,
    run: Run::Keys(|db, args, reply| run(db, args, reply, What::reply(Operator::Union, 1..args.len()))),
    doc: Doc {
        summary: "Lists the members that any of some sets has.",
        since: "1.0.0",
        complexity: "O(N) in the members of all sets; in slices beyond 1,000.",
        syntax: "key [key ...]",
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Set)
    },
};

const SUNIONSTORE: CommandSpec = CommandSpec {
    name: "sunionstore",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Ow, KeyFlag::Update]), SOURCES],
    large: Large::None,
    run: Run::Keys(|db, args, reply| run(db, args, reply, What::store(Operator::Union, 2..args.len()))),
    doc: Doc {
        summary: "Stores the members that any of some sets has.",
        since: "1.0.0",
        complexity: "O(N) in the members of all sets; in slices beyond 1,000.",
        syntax: "destination key [key ...]",
        ..Doc::of(Group::Set)
    },
};

const SDIFF: CommandSpec = CommandSpec {
    name: "sdiff",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly],
    keys: KEYS_READ,
    large: Large::None,
    run: Run::Keys(|db, args, reply| run(db, args, reply, What::reply(Operator::Diff, 1..args.len()))),
    doc: Doc {
        summary: "Lists the members of a set that others have not.",
        since: "1.0.0",
        complexity: "O(N*M) in the members of the first set and the number of sets; in slices beyond 1,000.",
        syntax: "key [key ...]",
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Set)
    },
};

const SDIFFSTORE: CommandSpec = CommandSpec {
    name: "sdiffstore",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Ow, KeyFlag::Update]), SOURCES],
    large: Large::None,
    run: Run::Keys(|db, args, reply| run(db, args, reply, What::store(Operator::Diff, 2..args.len()))),
    doc: Doc {
        summary: "Stores the members of a set that others have not.",
        since: "1.0.0",
        complexity: "O(N*M) in the members of the first set and the number of sets; in slices beyond 1,000.",
        syntax: "destination key [key ...]",
        ..Doc::of(Group::Set)
    },
};

/// The argument that is the key of the result, if there is one.
const TARGET: usize = 1;
/// Sets up to which a union for a reply is told without being built.
const UNION_TOLD_MAX: usize = 8;
/// Members of a result that is built whose places are fetched together.
const KEPT_AHEAD: usize = 16;
/// Bytes of members that become a segment of the reply.
const SEGMENT: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Inter,
    Union,
    Diff,
}

/// What is asked for.
#[derive(Clone, Debug)]
struct What {
    operator: Operator,
    /// The arguments that are the keys of sets.
    keys: Range<usize>,
    /// Whether the result is stored at argument [`TARGET`].
    store: bool,
    /// Only the number of members is asked for, and how far to count.
    limit: Option<usize>,
}

impl What {
    fn reply(operator: Operator, keys: Range<usize>) -> What {
        What { operator, keys, store: false, limit: None }
    }

    fn store(operator: Operator, keys: Range<usize>) -> What {
        What { operator, keys, store: true, limit: None }
    }
}

/// Carries a command out, at once if it is short.
fn run(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, what: What) -> Outcome {
    let is_many = many::are_many(what.keys.len() + usize::from(what.store));
    let next = what.keys.start;
    let mut task = Algebra { what, is_many, next, gathered: Gathered::default(), combining: None };
    // Of very many keys, each is looked at when it is held.
    if !is_many && task.gather(db, args)? {
        let mut combining = Combining::new(&task.what, std::mem::take(&mut task.gathered), db);
        let mut budget = Budget::at_once(db);
        let outcome = match combining.step(db, &mut budget) {
            Ok(true) => combining.finish(db, args, &task.what, &mut budget, reply),
            other => other,
        };
        if !matches!(outcome, Ok(false)) {
            combining.sink.free(db);
            return outcome.map(|_| Flow::Done);
        }
        task.combining = Some(combining);
    }
    Ok(Flow::Sliced(Box::new(task)))
}

/// The sets that there are.
#[derive(Debug, Default)]
struct Gathered {
    sets: Vec<Source<'static>>,
    /// Whether a key was not there.
    any_missing: bool,
    /// Whether the first key was not there.
    first_missing: bool,
    /// Whether the first key came again.
    first_again: bool,
    /// Whether some set is no intset.
    any_text: bool,
    /// Members of the smallest set, and which it is.
    smallest: Option<(usize, usize)>,
    /// Members of all sets together.
    members: usize,
}

impl Gathered {
    fn add(&mut self, set: Source<'static>) {
        let len = set.len();
        self.any_text |= set.encoding() != Encoding::Intset;
        if self.smallest.is_none_or(|(smallest, _)| len < smallest) {
            self.smallest = Some((len, self.sets.len()));
        }
        self.members = self.members.saturating_add(len);
        self.sets.push(set);
    }
}

/// A command under way.
#[derive(Debug)]
struct Algebra {
    what: What,
    /// Its keys are held as it comes to them.
    is_many: bool,
    /// The argument whose set is gathered next.
    next: usize,
    gathered: Gathered,
    /// From when all sets are gathered.
    combining: Option<Combining>,
}

impl Algebra {
    /// Gathers the sets of a slice's worth of keys; whether those are all.
    fn gather(&mut self, db: &mut Db<'_>, args: &Args<'_>) -> Result<bool, CommandError> {
        let What { keys, .. } = &self.what;
        let end = keys.end.min(self.next + KEYS_PER_SLICE);
        while self.next < end {
            let key = args.at(self.next);
            let found = db.read(key);
            let set = source(db, &found)?.map(Source::into_owned);
            let is_first = self.next == keys.start;
            self.gathered.any_missing |= set.is_none();
            self.gathered.first_missing |= is_first && set.is_none();
            self.gathered.first_again |= !is_first && key == args.at(keys.start);
            set.into_iter().for_each(|set| self.gathered.add(set));
            self.next += 1;
        }
        Ok(self.next == keys.end)
    }
}

impl Sliced for Algebra {
    fn holding(&self) -> Holding {
        match (self.is_many, self.what.store) {
            (false, _) => Holding::Keys,
            (true, false) => Holding::AsItGoes(Access::Read),
            (true, true) => Holding::AsItGoes(Access::Write),
        }
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let args = slice.args;
        if self.combining.is_none() {
            if self.is_many {
                let end = self.what.keys.end.min(self.next + KEYS_PER_SLICE);
                let target = (self.what.store && self.next == self.what.keys.start).then_some(TARGET);
                if !target.into_iter().chain(self.next..end).all(|at| slice.take(args.at(at))) {
                    return Ok(Progress::Waits);
                }
            }
            let mut db = slice.db();
            if self.next == self.what.keys.end || self.gather(&mut db, args)? {
                self.combining = Some(Combining::new(&self.what, std::mem::take(&mut self.gathered), &db));
            }
            return Ok(Progress::More);
        }
        let mut db = slice.engine.keyspace.db(slice.db);
        let mut budget = Budget::of_slice(&db);
        let combining = self.combining.as_mut().expect("just seen");
        let is_done = combining.step(&mut db, &mut budget)?
            && combining.finish(&mut db, args, &self.what, &mut budget, slice.reply)?;
        Ok(if is_done { Progress::Done } else { Progress::More })
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Some(combining) = &mut self.combining {
            combining.sink.free(&mut engine.keyspace.db(0));
            engine.discard(std::mem::take(&mut combining.told));
            engine.discard(std::mem::take(&mut combining.sets));
            engine.discard(std::mem::take(&mut combining.spare));
        }
        engine.discard(std::mem::take(&mut self.gathered.sets));
    }
}

/// Where members go.
#[derive(Debug)]
enum Sink {
    /// To the reply.
    Told,
    /// They are counted, so far at most.
    Counted(usize),
    /// To a set.
    Built(Growing),
}

impl Sink {
    fn free(&mut self, db: &mut Db<'_>) {
        if let Sink::Built(set) = self {
            set.clear(db.store_mut());
        }
    }
}

/// The sets are gathered.
#[derive(Debug)]
struct Combining {
    operator: Operator,
    sets: Vec<Source<'static>>,
    /// Sets that do not matter.
    spare: Vec<Source<'static>>,
    /// The set whose members are gone through.
    at: usize,
    /// How far.
    cursor: u64,
    /// Members that are being looked up, and in which set next; empty: a bite is to be taken.
    bite: Bite,
    /// Members of the result, or of the reply as far as it is told.
    len: usize,
    /// The reply's elements.
    told: Reply,
    sink: Sink,
    /// Whether all members so far are integers.
    only_integers: bool,
    /// No members are left to go through: the result is being told, from this cursor on.
    telling: Option<u64>,
}

/// A few members, one after another.
#[derive(Debug, Default)]
struct Bite {
    names: CopiedNames,
    members: Vec<CopiedName>,
    /// The set in which they are looked up next.
    next: usize,
}

impl Bite {
    /// Takes the next members of a set; the cursor behind them.
    fn take(&mut self, db: &Db<'_>, set: &Source<'_>, cursor: u64) -> u64 {
        let Bite { names, members, next } = self;
        names.clear();
        members.clear();
        *next = 0;
        let mut scratch = Vec::new();
        set.scan(db.store(), cursor, |member| members.push(names.copy(member.name(&mut scratch))))
    }
}

impl Combining {
    fn new(what: &What, gathered: Gathered, db: &Db<'_>) -> Combining {
        let Gathered { any_missing, first_missing, first_again, .. } = gathered;
        let operator = what.operator;
        let is_empty = match operator {
            Operator::Inter => any_missing,
            Operator::Union => false,
            Operator::Diff => first_missing || first_again,
        };
        // What is not needed may be too much to be freed at once.
        let (gathered, spare) = if is_empty { (Gathered::default(), gathered.sets) } else { (gathered, Vec::new()) };
        let first = first_encoding(operator, &gathered, db);
        let Gathered { mut sets, any_text, smallest, .. } = gathered;
        let sink = match what.limit {
            Some(limit) => Sink::Counted(limit),
            None if what.store => Sink::Built(Growing::new(first)),
            // In order, as they come from an intset.
            None if operator == Operator::Union && (!any_text || sets.len() > UNION_TOLD_MAX) => {
                Sink::Built(Growing::new(Encoding::Intset))
            }
            None => Sink::Told,
        };
        // The smallest first; of very many, that one alone.
        match smallest {
            Some((_, at)) if operator == Operator::Inter && many::are_many(sets.len()) => sets.swap(0, at),
            _ if operator == Operator::Inter => sets.sort_by_key(Source::len),
            _ => {}
        }
        Combining {
            operator,
            sets,
            spare,
            at: 0,
            cursor: 0,
            bite: Bite::default(),
            len: 0,
            told: Reply::new(),
            sink,
            only_integers: true,
            telling: None,
        }
    }

    /// Goes on within the budget; whether all members have been gone through.
    fn step(&mut self, db: &mut Db<'_>, budget: &mut Budget) -> Result<bool, CommandError> {
        loop {
            let ends = match self.operator {
                Operator::Union => self.sets.len(),
                Operator::Inter | Operator::Diff => self.sets.len().min(1),
            };
            if self.at == ends && self.bite.members.is_empty() || self.is_enough() {
                return Ok(true);
            }
            if budget.is_spent() {
                return Ok(false);
            }
            if self.bite.members.is_empty() {
                self.cursor = self.bite.take(db, &self.sets[self.at], self.cursor);
                // The set itself needs not be asked.
                self.bite.next = usize::from(self.operator != Operator::Union);
                budget.spend(0);
            }
            self.look_up(db, budget);
            if self.bite.next < self.others_end() && !self.bite.members.is_empty() {
                return Ok(false);
            }
            self.keep(db, budget)?;
            if !self.bite.members.is_empty() {
                return Ok(false);
            }
            if self.cursor == 0 {
                self.at += 1;
            }
        }
    }

    /// Whether no more need be counted.
    fn is_enough(&self) -> bool {
        matches!(self.sink, Sink::Counted(limit) if self.len >= limit)
    }

    /// Up to which set the members of the present one are looked up.
    fn others_end(&self) -> usize {
        match (self.operator, &self.sink) {
            (Operator::Inter | Operator::Diff, _) => self.sets.len(),
            (Operator::Union, Sink::Built(_)) => 0,
            (Operator::Union, _) => self.at,
        }
    }

    /// Drops members of the bite for what other sets have, as far as the budget goes.
    fn look_up(&mut self, db: &Db<'_>, budget: &mut Budget) {
        let end = self.others_end();
        let Bite { names, members, next } = &mut self.bite;
        while *next < end && !members.is_empty() && !budget.is_spent() {
            let other = &self.sets[*next];
            other.fetch(db.store(), members.iter().map(|member| names.get(member).beginning()));
            members.retain(|member| {
                budget.spend(0);
                other.contains(db.store(), names.get(member)) == (self.operator == Operator::Inter)
            });
            *next += 1;
        }
    }

    /// Adds what is left of the bite to the result, as far as the budget goes, but a member at least.
    fn keep(&mut self, db: &mut Db<'_>, budget: &mut Budget) -> Result<(), CommandError> {
        let limits = *db.limits();
        let Bite { names, members, .. } = &mut self.bite;
        let mut kept = 0;
        while let Some(member) = members.get(kept).map(|member| names.get(member)) {
            if let Sink::Built(set) = &self.sink
                && kept.is_multiple_of(KEPT_AHEAD)
            {
                let next = members.iter().skip(kept).take(KEPT_AHEAD);
                set.source().fetch(db.store(), next.map(|member| names.get(member).beginning()));
            }
            budget.spend(member.beginning().len());
            match &mut self.sink {
                Sink::Told => self.told.bulk_name(member.into()),
                Sink::Counted(_) => {}
                Sink::Built(set) => {
                    budget.spend_change(0);
                    self.only_integers = self.only_integers && member.contiguous().and_then(parse_i64).is_some();
                    set.add(db.store_mut(), member, &limits).map_err(put_error)?;
                }
            }
            self.len += 1;
            kept += 1;
            if budget.is_spent() {
                break;
            }
        }
        members.drain(..kept);
        self.told.seal(SEGMENT);
        Ok(())
    }

    /// Replies, or puts the result and replies with its length; whether that is done.
    fn finish(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        what: &What,
        budget: &mut Budget,
        reply: &mut Reply,
    ) -> Result<bool, CommandError> {
        match &mut self.sink {
            Sink::Told => {
                reply.set(self.len);
                reply.append(std::mem::take(&mut self.told));
                Ok(true)
            }
            Sink::Counted(limit) => {
                reply.count(self.len.min(*limit));
                Ok(true)
            }
            Sink::Built(set) if what.store => {
                if self.operator == Operator::Inter
                    && self.only_integers
                    && set.len() <= db.limits().set_max_intset_entries
                {
                    set.set_encoding(db.store_mut(), Encoding::Intset).map_err(put_error)?;
                }
                let set = std::mem::replace(set, Growing::new(Encoding::Intset));
                store(db, args.at(TARGET), self.operator, set, reply)?;
                Ok(true)
            }
            Sink::Built(set) => {
                let mut cursor = self.telling.unwrap_or_else(|| {
                    reply.set(set.len());
                    0
                });
                let mut scratch = Vec::new();
                loop {
                    cursor = set.source().scan(db.store(), cursor, |member| {
                        let member = member.name(&mut scratch);
                        reply.bulk_name(member);
                        budget.spend(member.head_len());
                    });
                    budget.spend(0);
                    if cursor == 0 {
                        return Ok(true);
                    }
                    if budget.is_spent() {
                        self.telling = Some(cursor);
                        return Ok(false);
                    }
                }
            }
        }
    }
}

/// Sets a key to a result and replies with its length; the key goes if that is nothing.
fn store(db: &mut Db<'_>, key: &[u8], operator: Operator, set: Growing, reply: &mut Reply) -> Result<(), CommandError> {
    let len = set.len();
    let found = db.find(key);
    if len == 0 {
        if db.remove(found) {
            db.changed(key, Event::Del);
        }
    } else {
        match set {
            Growing::Packed(edit) => db.set_packed(found, ValueType::Set, edit.bytes(), Ttl::Clear)?,
            Growing::Large(set) => {
                db.set_large(found, ValueType::Set, Box::new(Collection::Set(set)), Ttl::Clear)?;
            }
        }
        let event = match operator {
            Operator::Inter => Event::SinterStore,
            Operator::Union => Event::SunionStore,
            Operator::Diff => Event::SdiffStore,
        };
        db.changed(key, event);
    }
    reply.count(len);
    Ok(())
}

/// What OBJECT ENCODING says of a stored result before its first member, so that at the end it says what Redis would.
fn first_encoding(operator: Operator, gathered: &Gathered, db: &Db<'_>) -> Encoding {
    let sets = &gathered.sets;
    match (operator, gathered.smallest) {
        (Operator::Inter, Some((_, at))) if sets[at].encoding() != Encoding::Intset => Encoding::Listpack,
        // Redis has two ways for a difference, and with the second the result has had all members of the first set.
        (Operator::Diff, Some(_)) => {
            let first_way = sets[0].len().saturating_mul(sets.len()) / 2 <= gathered.members;
            if first_way { Encoding::Intset } else { encoding_when_copied(&sets[0], db) }
        }
        _ => Encoding::Intset,
    }
}

/// What OBJECT ENCODING would say of a new set that the members of a set are added to one by one.
fn encoding_when_copied(set: &Source<'_>, db: &Db<'_>) -> Encoding {
    let limits = db.limits();
    if set.len() > limits.set_max_intset_entries.max(limits.set_max_listpack_entries) {
        return Encoding::Hashtable;
    }
    let (mut encoding, mut len, mut longest) = (Encoding::Intset, 0, 0);
    let (mut cursor, mut scratch) = (0, Vec::new());
    loop {
        cursor = set.scan(db.store(), cursor, |member| {
            let member = member.name(&mut scratch);
            encoding = encoding.with(len, member, || longest, limits);
            longest = longest.max(member.len());
            len += 1;
        });
        if cursor == 0 || encoding == Encoding::Hashtable {
            return encoding;
        }
    }
}
