//! Sorted sets and sets combined: unions, intersections and differences, told, counted or stored.
//!
//! All are one piece of work: the members of one input after another are copied out in batches, looked for in the other inputs, and
//! put into a draft, which is told or becomes the value of a key. The inputs are held meanwhile. A set counts as a sorted set whose
//! scores are all 1.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use super::long::{self, Batch, Budget, Shape};
use crate::commands::arguments::integer;
use crate::commands::generic::many;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::holds::Access;
use crate::engine::tasks::{Holding, KEYS_PER_SLICE};
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Event, Found, ValueType, put_error};
use crate::proto::{Args, CommandError, Reply};
use crate::text::double::parse_f64;
use crate::types::ahead::{FAR, NEAR};
use crate::types::name::{GivenName, StoredName};
use crate::types::zset::{Direction, Draft, Encoding, Reader};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] =
    &[&ZUNION, &ZINTER, &ZDIFF, &ZINTERCARD, &ZUNIONSTORE, &ZINTERSTORE, &ZDIFFSTORE];

const KEYS_READ: &[KeySpec] = &[KeySpec::counted(2, 1, &[KeyFlag::Ro, KeyFlag::Access])];
const KEYS_STORED: &[KeySpec] =
    &[KeySpec::one(1, &[KeyFlag::Ow, KeyFlag::Update]), KeySpec::counted(3, 1, &[KeyFlag::Ro, KeyFlag::Access])];

/// The argument that is the key of the result, if there is one.
const TARGET: usize = 1;
/// Batches that are copied out in a slice, at most.
const BATCHES_MAX: usize = 16;

/// How inputs are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

/// What becomes of several scores of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            // Infinite ones of both signs.
            Aggregate::Sum => zero_for_nan(one + other),
            Aggregate::Min => {
                if other < one {
                    other
                } else {
                    one
                }
            }
            Aggregate::Max => {
                if other > one {
                    other
                } else {
                    one
                }
            }
        }
    }
}

fn zero_for_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What a command does with the members that it has found.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// Tells them.
    Tell {
        /// With their scores.
        with_scores: bool,
    },
    /// Tells how many there are, up to a limit.
    Count {
        /// At most so many.
        limit: u64,
    },
    /// Sets argument 1 to them.
    Store(Event),
}

const ZUNION: CommandSpec = CommandSpec {
    name: "zunion",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::MovableKeys],
    keys: KEYS_READ,
    large: Large::None,
    run: Run::Keys(zunion),
    doc: Doc {
        summary: "Returns the members that any of some sorted sets has.",
        since: "6.2.0",
        complexity: "O(N log N) for N members of all inputs; in slices beyond 20.",
        syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zunion(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    combine(db, args, reply, "zunion", Operation::Union, Purpose::Tell { with_scores: false })
}

const ZINTER: CommandSpec = CommandSpec {
    name: "zinter",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::MovableKeys],
    keys: KEYS_READ,
    large: Large::None,
    run: Run::Keys(zinter),
    doc: Doc {
        summary: "Returns the members that all of some sorted sets have.",
        since: "6.2.0",
        complexity: "O(N K) for N members of the smallest of K inputs; in slices beyond 20.",
        syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zinter(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    combine(db, args, reply, "zinter", Operation::Inter, Purpose::Tell { with_scores: false })
}

const ZDIFF: CommandSpec = CommandSpec {
    name: "zdiff",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::MovableKeys],
    keys: KEYS_READ,
    large: Large::None,
    run: Run::Keys(zdiff),
    doc: Doc {
        summary: "Returns the members that the first of some sorted sets has and no other.",
        since: "6.2.0",
        complexity: "O(N K) for N members of the first of K inputs; in slices beyond 20.",
        syntax: "numkeys key [key ...] [WITHSCORES]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zdiff(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    combine(db, args, reply, "zdiff", Operation::Diff, Purpose::Tell { with_scores: false })
}

const ZINTERCARD: CommandSpec = CommandSpec {
    name: "zintercard",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly, Flag::MovableKeys],
    keys: KEYS_READ,
    large: Large::None,
    run: Run::Keys(zintercard),
    doc: Doc {
        summary: "Counts the members that all of some sorted sets have, up to a limit.",
        since: "7.0.0",
        complexity: "O(N K) for N members of the smallest of K inputs; in slices beyond 20.",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zintercard(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    combine(db, args, reply, "zintercard", Operation::Inter, Purpose::Count { limit: u64::MAX })
}

const ZUNIONSTORE: CommandSpec = CommandSpec {
    name: "zunionstore",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::MovableKeys],
    keys: KEYS_STORED,
    large: Large::None,
    run: Run::Keys(zunionstore),
    doc: Doc {
        summary: "Sets a key to the members that any of some sorted sets has.",
        since: "2.0.0",
        complexity: "O(N log N) for N members of all inputs; in slices beyond 20.",
        syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zunionstore(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    combine(db, args, reply, "zunionstore", Operation::Union, Purpose::Store(Event::ZunionStore))
}

const ZINTERSTORE: CommandSpec = CommandSpec {
    name: "zinterstore",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::MovableKeys],
    keys: KEYS_STORED,
    large: Large::None,
    run: Run::Keys(zinterstore),
    doc: Doc {
        summary: "Sets a key to the members that all of some sorted sets have.",
        since: "2.0.0",
        complexity: "O(N K) for N members of the smallest of K inputs; in slices beyond 20.",
        syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zinterstore(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    combine(db, args, reply, "zinterstore", Operation::Inter, Purpose::Store(Event::ZinterStore))
}

const ZDIFFSTORE: CommandSpec = CommandSpec {
    name: "zdiffstore",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::MovableKeys],
    keys: KEYS_STORED,
    large: Large::None,
    run: Run::Keys(zdiffstore),
    doc: Doc {
        summary: "Sets a key to the members that the first of some sorted sets has and no other.",
        since: "6.2.0",
        complexity: "O(N K) for N members of the first of K inputs; in slices beyond 20.",
        syntax: "destination numkeys key [key ...]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zdiffstore(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    combine(db, args, reply, "zdiffstore", Operation::Diff, Purpose::Store(Event::ZdiffStore))
}

/// What an input is. One that is not there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SortedSet,
    Set,
}

/// The sorted set or set that is a key's, and how many members it has.
fn look_at(db: &mut Db<'_>, key: &[u8]) -> Result<Option<(Kind, u64)>, CommandError> {
    let found = db.read(key);
    Ok(match found.value_type() {
        None => None,
        Some(ValueType::Set) => Some((Kind::Set, set_input::len(db, &found)?)),
        Some(_) => {
            let view = long::view(db, &found)?;
            view.map(|view| (Kind::SortedSet, long::reader(db, &view).len()))
        }
    })
}

/// A member's score in an input, without its weight.
fn score(db: &Db<'_>, key: &[u8], kind: Kind, member: GivenName<'_>) -> Option<f64> {
    match kind {
        Kind::SortedSet => long::read_kept(db, key, |set| set.score(member))?,
        Kind::Set => set_input::contains(db, &db.find_held(key), member).then_some(1.0),
    }
}

/// Copies more members of an input out, for about `budget`. `cursor` begins with 0; the next one, or `None` at the end.
fn copy(db: &Db<'_>, key: &[u8], kind: Kind, mut cursor: u64, mut budget: Budget, batch: &mut Batch) -> Option<u64> {
    let mut push = |set: Option<&Reader<'_>>, member: StoredName<'_>, score: f64| {
        batch.push(set, member, score);
        // What is copied out is looked for and put somewhere.
        budget.pay_change(member.head_len())
    };
    match kind {
        Kind::SortedSet => long::read_kept(db, key, |set| {
            let visit = |member: StoredName<'_>, score| push(Some(&set), member, score);
            let next = cursor + set.visit(cursor..set.len(), Direction::Forward, visit);
            (next < set.len()).then_some(next)
        })?,
        Kind::Set => {
            let found = db.find_held(key);
            loop {
                let mut left = true;
                cursor = set_input::scan(db, &found, cursor, |member| left = push(None, member, 1.0));
                if cursor == 0 || !left {
                    return (cursor != 0).then_some(cursor);
                }
            }
        }
    }
}

/// Reads how many inputs there are and begins.
fn combine(
    db: &mut Db<'_>,
    args: &Args<'_>,
    reply: &mut Reply,
    name: &str,
    operation: Operation,
    purpose: Purpose,
) -> Outcome {
    let number_at = if matches!(purpose, Purpose::Store(_)) { 2 } else { 1 };
    let number = integer(args.at(number_at))?;
    if number < 1 {
        let text = format!("ERR at least 1 input key is needed for '{name}' command");
        return Err(CommandError::Text(text.into()));
    }
    let first = number_at + 1;
    let keys = usize::try_from(number).ok().filter(|&keys| keys <= args.len() - first).ok_or(CommandError::Syntax)?;
    let keys = first..first + keys;
    let stores = matches!(purpose, Purpose::Store(_));
    let is_many = many::are_many(keys.len() + usize::from(stores));
    let mut combining = Combining {
        operation,
        aggregate: Aggregate::Sum,
        purpose,
        is_many,
        stage: Stage::Look { next: keys.start },
        keys,
        weights: 0..0,
        nothing: false,
        inputs: BTreeMap::new(),
        cursor: Some(0),
        batch: Batch::default(),
        asked: (0, 0),
        count: 0,
        draft: Some(Draft::new(Encoding::Skiplist)),
        longest: 0,
    };
    // Of very many keys, each is looked at when it is held.
    if !is_many {
        let outcome = combining.go_on(db, args, reply, Budget::of(db));
        if !matches!(outcome, Ok(false)) {
            long::discard_draft(db, combining.draft.take());
            return outcome.map(|_| Flow::Done);
        }
    }
    Ok(Flow::Sliced(Box::new(combining)))
}

/// Where an input stands among those that are combined: by its length, as in Redis, and then by its argument. Those of a difference
/// by their argument alone.
type Place = (u64, usize);

/// A combination under way.
#[derive(Debug)]
struct Combining {
    operation: Operation,
    aggregate: Aggregate,
    purpose: Purpose,
    /// Its keys are held as it comes to them.
    is_many: bool,
    stage: Stage,
    /// The arguments that are the keys of inputs.
    keys: Range<usize>,
    /// The arguments that are their weights, if there are any.
    weights: Range<usize>,
    /// There can be no member.
    nothing: bool,
    /// The inputs that are to be read, and those in which members are looked for. In a tree, so that very many are put in order a few
    /// at a time.
    inputs: BTreeMap<Place, Kind>,
    /// How far the first of them is read; `None`: to its end.
    cursor: Option<u64>,
    /// Members of it that are not in the result yet, with their scores so far.
    batch: Batch,
    /// The last input in which they were looked for.
    asked: Place,
    /// Members counted, if they are only counted.
    count: u64,
    /// Members found. `None` once they are stored. A skip list, as in Redis, until it is stored: its zeros have signs.
    draft: Option<Draft>,
    /// Bytes of the longest of them.
    longest: usize,
}

#[derive(Debug)]
enum Stage {
    /// The inputs are looked at, from this argument on: which there are.
    Look { next: usize },
    /// The options are read, from this argument on.
    Read { next: usize },
    /// Members are found.
    Find,
    /// Those of these ranks are told.
    Tell(Range<u64>),
}

impl Combining {
    /// Goes on for about as much as `budget` allows; whether it is done.
    fn go_on(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        mut budget: Budget,
    ) -> Result<bool, CommandError> {
        if let Stage::Look { next } = self.stage {
            self.stage = match self.look(db, args, next, &mut budget)? {
                next if next == self.keys.end => Stage::Read { next },
                next => Stage::Look { next },
            };
        }
        if let Stage::Read { next } = self.stage {
            self.stage = match self.read_options(args, next, &mut budget)? {
                next if next == args.len() => Stage::Find,
                next => Stage::Read { next },
            };
        }
        if let Stage::Find = self.stage {
            // Small inputs are done with at once.
            let mut batches = self.inputs.len().clamp(1, BATCHES_MAX);
            let budget = budget.divided(batches);
            while !self.find(db, args, budget)? {
                batches -= 1;
                if batches == 0 {
                    return Ok(false);
                }
            }
            let len = self.draft.as_ref().map_or(0, |draft| draft.reader(db.store()).len());
            match self.purpose {
                Purpose::Count { .. } => reply.integer(self.count as i64),
                Purpose::Tell { with_scores } => {
                    Shape::of(with_scores, reply.protocol).header(len, reply);
                    self.stage = Stage::Tell(0..len);
                }
                Purpose::Store(event) => {
                    let mut draft = self.draft.take().expect("it has not ended");
                    draft.set_encoding(Encoding::of(len, self.longest, db.limits()));
                    long::store(db, args.at(TARGET), draft, event, reply)?;
                }
            }
        }
        match (&mut self.stage, self.purpose) {
            (Stage::Look { .. } | Stage::Read { .. }, _) => Ok(false),
            (Stage::Tell(ranks), Purpose::Tell { with_scores }) => {
                let shape = Shape::of(with_scores, reply.protocol);
                let set = self.draft.as_ref().expect("it has not ended").reader(db.store());
                long::tell(&set, ranks, Direction::Forward, shape, reply, budget);
                Ok(ranks.is_empty())
            }
            _ => Ok(true),
        }
    }

    /// Looks at the inputs from argument `next` on; the one to go on with.
    fn look(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        mut next: usize,
        budget: &mut Budget,
    ) -> Result<usize, CommandError> {
        let end = self.keys.end.min(next + KEYS_PER_SLICE);
        let mut left = true;
        while next < end && left {
            let is_needed = match self.operation {
                Operation::Inter => true,
                Operation::Diff => next == self.keys.start,
                Operation::Union => false,
            };
            match look_at(db, args.at(next))? {
                None => self.nothing |= is_needed,
                Some((kind, len)) => {
                    let len = if self.operation == Operation::Diff { 0 } else { len };
                    self.inputs.insert((len, next), kind);
                }
            }
            left = budget.pay(args.at(next).len());
            next += 1;
        }
        Ok(next)
    }

    /// Reads the options from argument `index` on; the one to go on with.
    fn read_options(&mut self, args: &Args<'_>, mut index: usize, budget: &mut Budget) -> Result<usize, CommandError> {
        let weighs = self.operation != Operation::Diff && !matches!(self.purpose, Purpose::Count { .. });
        let mut more = true;
        while index < args.len() && more {
            let left = args.len() - index;
            match &mut self.purpose {
                _ if self.weights.contains(&index) => {
                    let error = CommandError::text_static("ERR weight value is not a float");
                    parse_f64(args.at(index)).ok_or(error)?;
                }
                _ if weighs && left > self.keys.len() && args.is(index, "weights") => {
                    self.weights = index + 1..index + 1 + self.keys.len();
                }
                _ if weighs && left > 1 && args.is(index, "aggregate") => {
                    index += 1;
                    self.aggregate = match () {
                        () if args.is(index, "sum") => Aggregate::Sum,
                        () if args.is(index, "min") => Aggregate::Min,
                        () if args.is(index, "max") => Aggregate::Max,
                        () => return Err(CommandError::Syntax),
                    };
                }
                Purpose::Tell { with_scores } if args.is(index, "withscores") => *with_scores = true,
                Purpose::Count { limit } if left > 1 && args.is(index, "limit") => {
                    index += 1;
                    let error = CommandError::text_static("ERR LIMIT can't be negative");
                    let value =
                        crate::text::integer::parse_i64(args.at(index)).and_then(|value| u64::try_from(value).ok());
                    *limit = match value.ok_or(error)? {
                        0 => u64::MAX,
                        value => value,
                    };
                }
                _ => return Err(CommandError::Syntax),
            }
            index += 1;
            more = budget.pay_little();
        }
        Ok(index)
    }

    /// The weight of the input whose key is argument `at`.
    fn weight(&self, args: &Args<'_>, at: usize) -> f64 {
        if self.weights.is_empty() {
            return 1.0;
        }
        parse_f64(args.at(self.weights.start + at - self.keys.start)).expect("it was read")
    }

    /// Goes on to find members; whether all are found.
    fn find(&mut self, db: &mut Db<'_>, args: &Args<'_>, budget: Budget) -> Result<bool, CommandError> {
        let Some((&place, &kind)) = self.inputs.first_key_value().filter(|_| !self.nothing) else {
            return Ok(true);
        };
        if self.batch.is_empty()
            && let Some(cursor) = self.cursor
        {
            let budget = budget.for_draft(self.draft.as_ref());
            self.cursor = copy(db, args.at(place.1), kind, cursor, budget, &mut self.batch);
            let weight = self.weight(args, place.1);
            self.batch.retain(|_, score| Some(zero_for_nan(weight * score)));
            self.asked = place;
        }
        if self.operation != Operation::Union && !self.ask_others(db, args, budget) {
            return Ok(false);
        }
        if self.keep(db)? {
            return Ok(true);
        }
        if self.cursor.is_none() && self.operation == Operation::Union {
            self.inputs.pop_first();
            self.cursor = Some(0);
            return Ok(self.inputs.is_empty());
        }
        Ok(self.cursor.is_none())
    }

    /// Looks for the members of the batch in the other inputs, and drops them for what those have; whether all were asked.
    fn ask_others(&mut self, db: &Db<'_>, args: &Args<'_>, mut budget: Budget) -> bool {
        let mut left = true;
        while !self.batch.is_empty()
            && let Some((&place, &kind)) = self.inputs.range((Bound::Excluded(self.asked), Bound::Unbounded)).next()
        {
            if !left {
                return false;
            }
            let (key, weight) = (args.at(place.1), self.weight(args, place.1));
            self.batch.retain(|member, so_far| {
                left = budget.pay(member.beginning().len());
                let other = score(db, key, kind, member);
                match self.operation {
                    Operation::Diff => other.is_none().then_some(so_far),
                    _ => other.map(|other| self.aggregate.of(so_far, other * weight)),
                }
            });
            self.asked = place;
        }
        true
    }

    /// Adds the members of the batch to the result; whether no more need be counted.
    fn keep(&mut self, db: &mut Db<'_>) -> Result<bool, CommandError> {
        let batch = std::mem::take(&mut self.batch);
        if let Purpose::Count { limit } = self.purpose {
            self.count = limit.min(self.count + batch.len() as u64);
            return Ok(self.count == limit);
        }
        let limits = *db.limits();
        let draft = self.draft.as_mut().expect("it has not ended");
        let (mut far, mut near) = (batch.iter().skip(FAR), batch.iter().skip(NEAR));
        for (member, score) in batch.iter() {
            let (far, near) = (far.next(), near.next());
            draft.look_ahead(db.store(), |ahead| Some(if ahead == FAR { far } else { near }?.0.beginning()));
            let old = match self.operation {
                Operation::Union => draft.reader(db.store()).score(member),
                Operation::Inter | Operation::Diff => None,
            };
            let score = old.map_or(score, |old| self.aggregate.of(old, score));
            draft.set(db.store_mut(), &limits, member, score).map_err(put_error)?;
            self.longest = self.longest.max(member.len());
        }
        Ok(false)
    }
}

impl Sliced for Combining {
    fn holding(&self) -> Holding {
        match (self.is_many, self.purpose) {
            (false, _) => Holding::Keys,
            (true, Purpose::Store(_)) => Holding::AsItGoes(Access::Write),
            (true, _) => Holding::AsItGoes(Access::Read),
        }
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        if let Stage::Look { next } = self.stage
            && self.is_many
        {
            let stores = matches!(self.purpose, Purpose::Store(_));
            let target = (stores && next == self.keys.start).then_some(TARGET);
            let end = self.keys.end.min(next + KEYS_PER_SLICE);
            if !target.into_iter().chain(next..end).all(|at| slice.take(slice.args.at(at))) {
                return Ok(Progress::Waits);
            }
        }
        let mut db = slice.engine.keyspace.db(slice.db);
        let budget = Budget::of(&db);
        let is_done = self.go_on(&mut db, slice.args, slice.reply, budget)?;
        Ok(if is_done { Progress::Done } else { Progress::More })
    }

    fn end(&mut self, engine: &mut Engine) {
        long::discard_draft(&mut engine.keyspace.db(0), self.draft.take());
        engine.discard(std::mem::take(&mut self.inputs));
    }
}

/// Sets as inputs.
mod set_input {
    use super::{CommandError, Db, Found};
    use super::{GivenName, StoredName};
    use crate::commands::set;

    /// How many members the set has that was found.
    pub(super) fn len(db: &Db<'_>, found: &Found<'_>) -> Result<u64, CommandError> {
        Ok(set::source(db, found)?.map_or(0, |set| set.len() as u64))
    }

    /// Whether it has this member.
    pub(super) fn contains(db: &Db<'_>, found: &Found<'_>, member: GivenName<'_>) -> bool {
        let set = set::source(db, found).ok().flatten();
        set.is_some_and(|set| set.contains(db.store(), member))
    }

    /// Visits some of its members and returns the next cursor, 0 at the end; start with 0.
    pub(super) fn scan(db: &Db<'_>, found: &Found<'_>, cursor: u64, mut visit: impl FnMut(StoredName<'_>)) -> u64 {
        let Some(set) = set::source(db, found).ok().flatten() else {
            return 0;
        };
        let mut scratch = Vec::new();
        set.scan(db.store(), cursor, |member| visit(member.name(&mut scratch)))
    }
}
