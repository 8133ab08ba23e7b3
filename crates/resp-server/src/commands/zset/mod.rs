//! Sorted sets, a member at a time: scores set, changed, read and removed, ranks, random members, ZSCAN.
//!
//! Ranges are in [`range`], unions and their like in [`algebra`]; what they share
//! is in `long`.

pub mod algebra;
pub mod blocking;
pub(super) mod long;
pub mod pop;
pub mod range;

use super::arguments::integer;
use super::generic::many::Room;
use super::generic::walk::Pattern;
use super::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::{Db, Event, Found};
use crate::proto::{Args, CommandError, Reply};
use crate::text::double::{DoubleText, parse_f64, seventeen_digits};
use crate::text::integer::parse_u64_loose;
use crate::types::zset::{Change, Draft, Encoding, Reader};
use long::{Budget, Edit, Work, reader, view};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] =
    &[&ZADD, &ZINCRBY, &ZREM, &ZCARD, &ZSCORE, &ZMSCORE, &ZRANK, &ZREVRANK, &ZSCAN];

/// A key whose elements are not told.
const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro])];
const KEY_ACCESS: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];

/// Pairs up to which ZADD, or members up to which ZREM, is carried out at once.
const AT_ONCE_MAX: usize = 32;

const ZADD: CommandSpec = CommandSpec {
    name: "zadd",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Update])],
    large: Large::ScoredMembers,
    run: Run::Keys(zadd),
    doc: Doc {
        summary: "Gives members of a sorted set their scores; those that are not there are added.",
        since: "1.2.0",
        complexity: "O(log N) for each member; in slices beyond 32.",
        syntax: "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zadd(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (options, first) = AddOptions::parse(args)?;
    add(db, args, reply, options, first)
}

const ZINCRBY: CommandSpec = CommandSpec {
    name: "zincrby",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update])],
    large: Large::NameAt(3),
    run: Run::Keys(zincrby),
    doc: Doc {
        summary: "Adds a number to a member's score, which is 0 if it is not there.",
        since: "1.2.0",
        complexity: "O(log N)",
        syntax: "key increment member",
        ..Doc::of(Group::SortedSet)
    },
};

fn zincrby(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    add(db, args, reply, AddOptions { incr: true, ..AddOptions::default() }, 2)
}

/// What ZADD can be told.
#[derive(Clone, Copy, Debug, Default)]
struct AddOptions {
    only_new: bool,
    only_there: bool,
    only_greater: bool,
    only_less: bool,
    count_changed: bool,
    incr: bool,
}

impl AddOptions {
    /// The options, and the argument that is the first score.
    fn parse(args: &Args<'_>) -> Result<(AddOptions, usize), CommandError> {
        let mut options = AddOptions::default();
        let mut first = 2;
        loop {
            let option = match () {
                () if args.is(first, "nx") => &mut options.only_new,
                () if args.is(first, "xx") => &mut options.only_there,
                () if args.is(first, "gt") => &mut options.only_greater,
                () if args.is(first, "lt") => &mut options.only_less,
                () if args.is(first, "ch") => &mut options.count_changed,
                () if args.is(first, "incr") => &mut options.incr,
                () => break,
            };
            *option = true;
            first += 1;
        }
        let pairs = args.len() - first;
        if pairs == 0 || !pairs.is_multiple_of(2) {
            return Err(CommandError::Syntax);
        }
        let error = |text| Err(CommandError::text_static(text));
        if options.only_new && options.only_there {
            return error("ERR XX and NX options at the same time are not compatible");
        }
        let orders = usize::from(options.only_greater) + usize::from(options.only_less);
        if orders == 2 || (orders == 1 && options.only_new) {
            return error("ERR GT, LT, and/or NX options at the same time are not compatible");
        }
        if options.incr && pairs > 2 {
            return error("ERR INCR option supports a single increment-element pair");
        }
        Ok((options, first))
    }

    /// The score that a member gets which has `old`; `None`: it keeps that, or is not added.
    fn score(self, old: Option<f64>, given: f64) -> Result<Option<f64>, CommandError> {
        let Some(old) = old else {
            return Ok((!self.only_there).then_some(given));
        };
        if self.only_new {
            return Ok(None);
        }
        let new = if self.incr { old + given } else { given };
        if new.is_nan() {
            return Err(CommandError::text_static("ERR resulting score is not a number (NaN)"));
        }
        let refused = (self.only_less && new >= old) || (self.only_greater && new <= old);
        Ok((!refused).then_some(new))
    }

    /// Whether it matters what score a member has.
    fn ask_for_old(self) -> bool {
        self.only_new || self.only_there || self.only_greater || self.only_less || self.incr
    }
}

fn add(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, options: AddOptions, first: usize) -> Outcome {
    let mut adding = Adding {
        options,
        first,
        next: first,
        longest: 0,
        edit: None,
        added: 0,
        moved: 0,
        score: None,
        room: Room::default(),
    };
    let key = args.at(1);
    if (args.len() - first) / 2 > AT_ONCE_MAX || args.entry_bytes() > db.slice_bytes() as u64 {
        let _ = db.find(key);
        return long::run(db, args, reply, adding);
    }
    let mut budget = Budget::whole();
    adding.check(args, &mut budget)?;
    let found = db.find(key);
    adding.begin(db, &found, args)?;
    let outcome = adding.apply(db, &found, args, &mut budget);
    if outcome.is_ok() {
        adding.end(db, key, found, reply)?;
    }
    long::discard_draft(db, adding.rest());
    outcome.map(|_| Flow::Done)
}

/// ZADD under way.
#[derive(Debug)]
struct Adding {
    options: AddOptions,
    /// The argument that is the first score.
    first: usize,
    /// The score to go on with: to check it until there is an edit.
    next: usize,
    /// Bytes of the longest member.
    longest: usize,
    /// `None` before all scores are checked.
    edit: Option<Edit>,
    added: i64,
    moved: i64,
    /// What INCR made of the score, or left.
    score: Option<f64>,
    room: Room,
}

impl Adding {
    /// Goes on to look whether all scores are numbers; whether it has looked at all.
    fn check(&mut self, args: &Args<'_>, budget: &mut Budget) -> Result<bool, CommandError> {
        while self.next < args.len() {
            parse_f64(args.at(self.next)).ok_or(CommandError::NotAFloat)?;
            self.longest = self.longest.max(args.name(self.next + 1).len());
            self.next += 2;
            if !budget.pay(0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Begins to change what was found.
    fn begin(&mut self, db: &mut Db<'_>, found: &Found<'_>, args: &Args<'_>) -> Result<(), CommandError> {
        let pairs = (args.len() - self.first) as u64 / 2;
        let limits = *db.limits();
        let edit = match Edit::begin(db, found)? {
            Some(mut edit) => {
                if pairs > limits.zset_max_listpack_entries as u64 {
                    edit.set_encoding(db, found, Encoding::Skiplist);
                }
                edit
            }
            None => Edit::new(Encoding::of(pairs, self.longest, &limits)),
        };
        if pairs > 1 && matches!(edit, Edit::InPlace) {
            self.room = Room::ask(db, args.entry_bytes(), pairs as usize)?;
        }
        self.edit = Some(edit);
        self.next = self.first;
        Ok(())
    }

    /// Goes on to set scores; whether all are set.
    fn apply(
        &mut self,
        db: &mut Db<'_>,
        found: &Found<'_>,
        args: &Args<'_>,
        budget: &mut Budget,
    ) -> Result<bool, CommandError> {
        let edit = self.edit.as_mut().expect("it has begun");
        while self.next < args.len() {
            let member = args.name(self.next + 1);
            let given = parse_f64(args.at(self.next)).expect("all were checked");
            self.next += 2;
            edit.read(db, found, |set| set.look_ahead(|ahead| args.get(self.next - 1 + 2 * ahead)));
            let ties = edit.ties(db, found);
            let options = self.options;
            let old = if options.ask_for_old() { edit.read(db, found, |set| set.score(member)) } else { None };
            let new = if options.ask_for_old() { options.score(old, given)? } else { Some(given) };
            self.score = new;
            if let Some(new) = new {
                match edit.set(db, found, member, new)? {
                    Change::Added => self.added += 1,
                    Change::Moved => self.moved += 1,
                    Change::None => {}
                }
            }
            self.room.spend(member.beginning().len());
            budget.pay_ties(edit.ties(db, found) - ties);
            if !budget.pay_change(member.beginning().len()) {
                return Ok(self.next == args.len());
            }
        }
        Ok(true)
    }

    fn end(&mut self, db: &mut Db<'_>, key: &[u8], found: Found<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let Adding { options, added, moved, .. } = *self;
        if added + moved > 0 {
            let event = if options.incr { Event::Zincr } else { Event::Zadd };
            self.edit.take().expect("it has begun").end(db, key, found, event)?;
        }
        match self.score {
            Some(score) if options.incr => reply.double(&DoubleText::new(score)),
            None if options.incr => reply.null(),
            _ => reply.integer(added + if options.count_changed { moved } else { 0 }),
        }
        Ok(())
    }
}

impl Work for Adding {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        _: &mut Reply,
        mut budget: Budget,
    ) -> Result<bool, CommandError> {
        if self.edit.is_none() {
            if !self.check(args, &mut budget)? {
                return Ok(false);
            }
            let found = db.find_held(args.at(1));
            self.begin(db, &found, args)?;
            return Ok(false);
        }
        let found = db.find_held(args.at(1));
        self.apply(db, &found, args, &mut budget)
    }

    fn finish(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let found = db.find(args.at(1));
        self.end(db, args.at(1), found, reply)
    }

    fn room(&self) -> u64 {
        self.room.left()
    }

    fn rest(&mut self) -> Option<Draft> {
        self.edit.take()?.into_draft()
    }
}

const ZREM: CommandSpec = CommandSpec {
    name: "zrem",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Delete])],
    large: Large::NamesFrom(2),
    run: Run::Keys(zrem),
    doc: Doc {
        summary: "Removes members from a sorted set, and the key with the last.",
        since: "1.2.0",
        complexity: "O(log N) for each member; in slices beyond 32.",
        syntax: "key member [member ...]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zrem(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let found = db.find(key);
    let Some(edit) = Edit::begin(db, &found)? else {
        reply.integer(0);
        return Ok(Flow::Done);
    };
    let mut removing = Removing { edit: Some(edit), next: 2, removed: 0 };
    if args.len() > AT_ONCE_MAX || args.entry_bytes() > db.slice_bytes() as u64 {
        return long::run(db, args, reply, removing);
    }
    removing.apply(db, &found, args, Budget::whole());
    removing.end(db, key, found, reply)?;
    Ok(Flow::Done)
}

/// ZREM under way.
#[derive(Debug)]
struct Removing {
    edit: Option<Edit>,
    /// The member to go on with.
    next: usize,
    removed: i64,
}

impl Removing {
    fn apply(&mut self, db: &mut Db<'_>, found: &Found<'_>, args: &Args<'_>, mut budget: Budget) -> bool {
        let edit = self.edit.as_mut().expect("it has not ended");
        while self.next < args.len() {
            let member = args.name(self.next);
            edit.read(db, found, |set| set.look_ahead(|ahead| args.get(self.next + ahead)));
            let ties = edit.ties(db, found);
            self.removed += i64::from(edit.remove(db, found, member));
            budget.pay_ties(edit.ties(db, found) - ties);
            self.next += 1;
            if !budget.pay_change(member.beginning().len()) {
                return self.next == args.len();
            }
        }
        true
    }

    fn end(&mut self, db: &mut Db<'_>, key: &[u8], found: Found<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        if self.removed > 0 {
            self.edit.take().expect("it has not ended").end(db, key, found, Event::Zrem)?;
        }
        reply.integer(self.removed);
        Ok(())
    }
}

impl Work for Removing {
    fn step(&mut self, db: &mut Db<'_>, args: &Args<'_>, _: &mut Reply, budget: Budget) -> Result<bool, CommandError> {
        let found = db.find_held(args.at(1));
        Ok(self.apply(db, &found, args, budget))
    }

    fn finish(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let found = db.find(args.at(1));
        self.end(db, args.at(1), found, reply)
    }

    fn rest(&mut self) -> Option<Draft> {
        self.edit.take()?.into_draft()
    }
}

/// Reads the sorted set of argument 1; `None` if there is none.
fn read<R>(db: &mut Db<'_>, args: &Args<'_>, read: impl FnOnce(Reader<'_>) -> R) -> Result<Option<R>, CommandError> {
    let found = db.read(args.at(1));
    let view = view(db, &found)?;
    Ok(view.as_ref().map(|view| read(reader(db, view))))
}

const ZCARD: CommandSpec = CommandSpec {
    name: "zcard",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(zcard),
    doc: Doc {
        summary: "Counts the members of a sorted set.",
        since: "1.2.0",
        complexity: "O(1)",
        syntax: "key",
        ..Doc::of(Group::SortedSet)
    },
};

fn zcard(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let len = read(db, args, |set| set.len())?;
    reply.integer(len.unwrap_or(0) as i64);
    Ok(Flow::Done)
}

const ZSCORE: CommandSpec = CommandSpec {
    name: "zscore",
    arity: Arity::Exactly(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_ACCESS,
    large: Large::NameAt(2),
    run: Run::Keys(zscore),
    doc: Doc {
        summary: "Returns a member's score.",
        since: "1.2.0",
        complexity: "O(1)",
        syntax: "key member",
        ..Doc::of(Group::SortedSet)
    },
};

fn zscore(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let score = read(db, args, |set| set.score(args.name(2)))?;
    reply_score(score.flatten(), reply);
    Ok(Flow::Done)
}

fn reply_score(score: Option<f64>, reply: &mut Reply) {
    match score {
        Some(score) => reply.double(&DoubleText::new(score)),
        None => reply.null(),
    }
}

const ZMSCORE: CommandSpec = CommandSpec {
    name: "zmscore",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_ACCESS,
    large: Large::NamesFrom(2),
    run: Run::Keys(zmscore),
    doc: Doc {
        summary: "Returns the scores of some members.",
        since: "6.2.0",
        complexity: "O(N) in the members given; in slices beyond 500.",
        syntax: "key member [member ...]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zmscore(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let found = db.read(key);
    view(db, &found)?;
    reply.array(args.len() - 2);
    long::run(db, args, reply, Scores { next: 2 })
}

/// ZMSCORE under way: the member to go on with.
#[derive(Debug)]
struct Scores {
    next: usize,
}

impl Work for Scores {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        mut budget: Budget,
    ) -> Result<bool, CommandError> {
        let found = db.find_held(args.at(1));
        let view = view(db, &found)?;
        let set = view.as_ref().map(|view| reader(db, view));
        while self.next < args.len() {
            let member = args.name(self.next);
            if let Some(set) = &set {
                set.look_ahead(|ahead| args.get(self.next + ahead));
            }
            reply_score(set.and_then(|set| set.score(member)), reply);
            self.next += 1;
            if !budget.pay(member.beginning().len()) {
                break;
            }
        }
        Ok(self.next == args.len())
    }
}

const ZRANK: CommandSpec = CommandSpec {
    name: "zrank",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_ACCESS,
    large: Large::NameAt(2),
    run: Run::Keys(zrank),
    doc: Doc {
        summary: "Counts the members before one, from the lowest score.",
        since: "2.0.0",
        complexity: "O(log N)",
        syntax: "key member [WITHSCORE]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zrank(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    rank(db, args, reply, "zrank", |rank, _| rank)
}

const ZREVRANK: CommandSpec = CommandSpec {
    name: "zrevrank",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_ACCESS,
    large: Large::NameAt(2),
    run: Run::Keys(zrevrank),
    doc: Doc {
        summary: "Counts the members before one, from the highest score.",
        since: "2.0.0",
        complexity: "O(log N)",
        syntax: "key member [WITHSCORE]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zrevrank(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    rank(db, args, reply, "zrevrank", |rank, len| len - 1 - rank)
}

/// ZRANK and ZREVRANK: `turn` makes of a rank and a length what is told.
fn rank(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, name: &'static str, turn: fn(u64, u64) -> u64) -> Outcome {
    let with_score = match args.len() {
        3 => false,
        4 if args.is(3, "withscore") => true,
        4 => return Err(CommandError::Syntax),
        _ => return Err(CommandError::Arity(name)),
    };
    let ranked = read(db, args, |set| set.rank(args.name(2)).map(|(rank, score)| (turn(rank, set.len()), score)))?;
    match ranked.flatten() {
        Some((rank, score)) => {
            if with_score {
                reply.array(2);
            }
            reply.integer(rank as i64);
            if with_score {
                reply.double(&DoubleText::new(score));
            }
        }
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(Flow::Done)
}

const ZSCAN: CommandSpec = CommandSpec {
    name: "zscan",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zscan),
    doc: Doc {
        summary: "Lists some members with their scores, and a cursor to go on from.",
        since: "2.8.0",
        complexity: "O(COUNT) a call, O(N) for all calls until the cursor is 0.",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::SortedSet)
    },
};

fn zscan(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let cursor = parse_u64_loose(args.at(2)).ok_or(CommandError::text_static("ERR invalid cursor"))?;
    let key = args.at(1);
    let found = db.read(key);
    let Some(view) = view(db, &found)? else {
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        return Ok(Flow::Done);
    };
    let mut scanning = Scanning { cursor, count: 10, pattern: Pattern::all(), visited: 0, found: Reply::new(), len: 0 };
    let mut index = 3;
    while index < args.len() {
        let value = args.get(index + 1).ok_or(CommandError::Syntax)?;
        if args.is(index, "count") {
            scanning.count =
                u64::try_from(integer(value)?).ok().filter(|&count| count > 0).ok_or(CommandError::Syntax)?;
        } else if args.is(index, "match") {
            scanning.pattern = Pattern::new(value);
        } else {
            return Err(CommandError::Syntax);
        }
        index += 2;
    }
    drop(view);
    long::run(db, args, reply, scanning)
}

/// ZSCAN under way.
#[derive(Debug)]
struct Scanning {
    cursor: u64,
    /// Members to look at, at least.
    count: u64,
    pattern: Pattern,
    visited: u64,
    /// The elements of the reply, whose number is known at the end.
    found: Reply,
    len: usize,
}

impl Work for Scanning {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        mut budget: Budget,
    ) -> Result<bool, CommandError> {
        /// Bites of a sparse index visit few members or none.
        const BITE: usize = 128;
        const SEGMENT: usize = 64 * 1024;
        let done = long::read_kept(db, args.at(1), |set| {
            let in_full = set.encoding() == Encoding::Skiplist;
            loop {
                let mut left = budget.pay(BITE);
                self.cursor = set.scan(self.cursor, |member, score| {
                    self.visited += 1;
                    left = budget.pay(self.pattern.cost_of(member));
                    if self.pattern.matches_name(member) {
                        self.found.bulk_name(member);
                        // As Redis does: shortest from a list pack, with 17 digits from a table.
                        if in_full {
                            self.found.bulk(seventeen_digits(score).as_bytes());
                        } else {
                            self.found.bulk(&DoubleText::new(score));
                        }
                        self.len += 2;
                    }
                });
                if self.cursor == 0 || self.visited >= self.count {
                    return true;
                }
                if !left {
                    return false;
                }
            }
        });
        if done == Some(false) {
            self.found.seal(SEGMENT);
            return Ok(false);
        }
        reply.array(2);
        reply.bulk(self.cursor.to_string().as_bytes());
        reply.array(self.len);
        reply.append(std::mem::take(&mut self.found));
        Ok(true)
    }
}
