//! Sorted sets and sets combined: unions, intersections and differences, told, counted or stored.
//!
//! All are one piece of work: the members of one input after another are copied out in batches, looked for in the other inputs, and
//! put into a draft, which is told or becomes the value of a key. The inputs are held meanwhile. A set counts as a sorted set whose
//! scores are all 1.

use std::ops::Range;

use super::long::{self, Batch, Budget, Shape, Work};
use crate::commands::arguments::integer;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::{Db, Event, Found, ValueType, put_error};
use crate::proto::{Args, CommandError, Reply};
use crate::text::double::parse_f64;
use crate::types::ahead::{FAR, NEAR};
use crate::types::zset::{Direction, Draft, Encoding};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] =
    &[&ZUNION, &ZINTER, &ZDIFF, &ZINTERCARD, &ZUNIONSTORE, &ZINTERSTORE, &ZDIFFSTORE];

const KEYS_READ: &[KeySpec] = &[KeySpec::counted(2, 1, &[KeyFlag::Ro, KeyFlag::Access])];
const KEYS_STORED: &[KeySpec] =
    &[KeySpec::one(1, &[KeyFlag::Ow, KeyFlag::Update]), KeySpec::counted(3, 1, &[KeyFlag::Ro, KeyFlag::Access])];

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

/// One of the sorted sets or sets that are combined.
#[derive(Clone, Copy, Debug)]
struct Input {
    /// The argument that is its key.
    at: usize,
    kind: Kind,
    len: u64,
    weight: f64,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Missing,
    SortedSet,
    Set,
}

impl Input {
    /// The input that is argument `at`.
    fn find(db: &mut Db<'_>, args: &Args<'_>, at: usize) -> Result<Input, CommandError> {
        let found = db.read(args.at(at));
        let (kind, len) = match found.value_type() {
            None => (Kind::Missing, 0),
            Some(ValueType::Set) => (Kind::Set, set_input::len(db, &found)?),
            Some(_) => {
                let view = long::view(db, &found)?;
                (Kind::SortedSet, view.map_or(0, |view| long::reader(db, &view).len()))
            }
        };
        Ok(Input { at, kind, len, weight: 1.0 })
    }

    /// A member's score, without its weight.
    fn score(&self, db: &Db<'_>, args: &Args<'_>, member: &[u8]) -> Option<f64> {
        match self.kind {
            Kind::Missing => None,
            Kind::SortedSet => long::read_kept(db, args.at(self.at), |set| set.score(member))?,
            Kind::Set => set_input::contains(db, &db.find_held(args.at(self.at)), member).then_some(1.0),
        }
    }

    /// Copies more members out, for about `budget`. `cursor` begins with 0; the next one, or `None` at the end.
    fn copy(&self, db: &Db<'_>, args: &Args<'_>, cursor: u64, mut budget: Budget, batch: &mut Batch) -> Option<u64> {
        let mut push = |member: &[u8], score: f64| {
            batch.push(member, score);
            // What is copied out is looked for and put somewhere.
            budget.pay_change(member.len())
        };
        match self.kind {
            Kind::Missing => None,
            Kind::SortedSet => {
                let visit =
                    |set: crate::types::zset::Reader<'_>| set.visit(cursor..self.len, Direction::Forward, &mut push);
                let next = cursor + long::read_kept(db, args.at(self.at), visit)?;
                (next < self.len).then_some(next)
            }
            Kind::Set => {
                let found = db.find_held(args.at(self.at));
                let mut cursor = cursor;
                loop {
                    let mut left = true;
                    cursor = set_input::scan(db, &found, cursor, |member| left = push(member, 1.0));
                    if cursor == 0 || !left {
                        return (cursor != 0).then_some(cursor);
                    }
                }
            }
        }
    }
}

/// Reads the arguments and begins.
fn combine(
    db: &mut Db<'_>,
    args: &Args<'_>,
    reply: &mut Reply,
    name: &str,
    operation: Operation,
    mut purpose: Purpose,
) -> Outcome {
    let number_at = if matches!(purpose, Purpose::Store(_)) { 2 } else { 1 };
    let number = integer(args.at(number_at))?;
    if number < 1 {
        let text = format!("ERR at least 1 input key is needed for '{name}' command");
        return Err(CommandError::Text(text.into()));
    }
    let first = number_at + 1;
    let keys = usize::try_from(number).ok().filter(|&keys| keys <= args.len() - first).ok_or(CommandError::Syntax)?;
    let inputs: Result<Vec<Input>, CommandError> = (first..first + keys).map(|at| Input::find(db, args, at)).collect();
    let mut inputs = inputs?;
    let aggregate = parse_options(args, first + keys, operation, &mut inputs, &mut purpose)?;
    if operation != Operation::Diff {
        inputs.sort_by_key(|input| input.len);
    }
    let combining = Combining {
        operation,
        aggregate,
        purpose,
        nothing: operation == Operation::Inter && inputs.iter().any(|input| input.len == 0),
        inputs,
        input: 0,
        cursor: 0,
        count: 0,
        draft: Some(Draft::new(Encoding::Skiplist)),
        longest: 0,
        untold: None,
    };
    long::run(db, args, reply, combining)
}

/// Reads the options, from argument `index` on.
fn parse_options(
    args: &Args<'_>,
    mut index: usize,
    operation: Operation,
    inputs: &mut [Input],
    purpose: &mut Purpose,
) -> Result<Aggregate, CommandError> {
    let mut aggregate = Aggregate::Sum;
    while index < args.len() {
        let left = args.len() - index;
        let weighs = operation != Operation::Diff && !matches!(purpose, Purpose::Count { .. });
        match purpose {
            _ if weighs && left > inputs.len() && args.is(index, "weights") => {
                for input in inputs.iter_mut() {
                    index += 1;
                    let error = CommandError::text_static("ERR weight value is not a float");
                    input.weight = parse_f64(args.at(index)).ok_or(error)?;
                }
            }
            _ if weighs && left > 1 && args.is(index, "aggregate") => {
                index += 1;
                aggregate = match () {
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
                let value = crate::text::integer::parse_i64(args.at(index)).and_then(|value| u64::try_from(value).ok());
                *limit = match value.ok_or(error)? {
                    0 => u64::MAX,
                    value => value,
                };
            }
            _ => return Err(CommandError::Syntax),
        }
        index += 1;
    }
    Ok(aggregate)
}

/// A combination under way.
#[derive(Debug)]
struct Combining {
    operation: Operation,
    aggregate: Aggregate,
    purpose: Purpose,
    /// There can be no member.
    nothing: bool,
    inputs: Vec<Input>,
    /// The input that is being read, and how far.
    input: usize,
    cursor: u64,
    /// Members counted, if they are only counted.
    count: u64,
    /// Members found. `None` once they are stored. A skip list, as in Redis, until it is stored: its zeros have signs.
    draft: Option<Draft>,
    /// Bytes of the longest of them.
    longest: usize,
    /// Once all are found: what is still to be told.
    untold: Option<Range<u64>>,
}

impl Combining {
    /// Goes on to find members; whether all are found.
    fn find(&mut self, db: &mut Db<'_>, args: &Args<'_>, budget: Budget) -> Result<bool, CommandError> {
        let inputs_read = if self.operation == Operation::Union { self.inputs.len() } else { 1 };
        if self.nothing || self.input == inputs_read {
            return Ok(true);
        }
        let input = self.inputs[self.input];
        let budget = budget.for_draft(self.draft.as_ref());
        let mut batch = Batch::default();
        // Each member is looked for in all other inputs.
        let budget = if self.operation == Operation::Union { budget } else { budget.divided(self.inputs.len()) };
        match input.copy(db, args, self.cursor, budget, &mut batch) {
            Some(cursor) => self.cursor = cursor,
            None => {
                self.input += 1;
                self.cursor = 0;
            }
        }
        let (mut far, mut near) = (batch.iter().skip(FAR), batch.iter().skip(NEAR));
        for (member, score) in batch.iter() {
            if let Some(draft) = &self.draft {
                let (far, near) = (far.next(), near.next());
                draft.look_ahead(db.store(), |ahead| Some(if ahead == FAR { far } else { near }?.0));
            }
            let score = zero_for_nan(input.weight * score);
            let score = match self.operation {
                Operation::Union => {
                    let draft = self.draft.as_ref().expect("it has not ended");
                    let old = draft.reader(db.store()).score(member);
                    Some(old.map_or(score, |old| self.aggregate.of(old, score)))
                }
                Operation::Inter => self.inter(db, args, member, score),
                Operation::Diff => {
                    let is_elsewhere = self.inputs[1..].iter().any(|other| other.score(db, args, member).is_some());
                    (!is_elsewhere).then_some(score)
                }
            };
            let Some(score) = score else { continue };
            if let Purpose::Count { limit } = self.purpose {
                self.count += 1;
                if self.count == limit {
                    return Ok(true);
                }
                continue;
            }
            let limits = *db.limits();
            let draft = self.draft.as_mut().expect("it has not ended");
            draft.set(db.store_mut(), &limits, member, score).map_err(put_error)?;
            self.longest = self.longest.max(member.len());
        }
        Ok(self.input == inputs_read)
    }

    /// The score of a member of the first input, if all others have it.
    fn inter(&self, db: &Db<'_>, args: &Args<'_>, member: &[u8], score: f64) -> Option<f64> {
        self.inputs[1..].iter().try_fold(score, |score, other| {
            Some(self.aggregate.of(score, other.score(db, args, member)? * other.weight))
        })
    }
}

impl Work for Combining {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        budget: Budget,
    ) -> Result<bool, CommandError> {
        if self.untold.is_none() {
            // Small inputs are done with at once.
            let batches = self.inputs.len().min(BATCHES_MAX);
            for _ in 0..batches {
                if self.find(db, args, budget.divided(batches))? {
                    self.untold = Some(0..0);
                    break;
                }
            }
            if self.untold.is_none() {
                return Ok(false);
            }
            let len = self.draft.as_ref().map_or(0, |draft| draft.reader(db.store()).len());
            match self.purpose {
                Purpose::Count { .. } => reply.integer(self.count as i64),
                Purpose::Tell { with_scores } => {
                    Shape::of(with_scores, reply.protocol).header(len, reply);
                    self.untold = Some(0..len);
                }
                Purpose::Store(_) => {}
            }
        }
        let (Some(ranks), Purpose::Tell { with_scores }) = (&mut self.untold, self.purpose) else {
            return Ok(true);
        };
        let shape = Shape::of(with_scores, reply.protocol);
        let set = self.draft.as_ref().expect("it has not ended").reader(db.store());
        long::tell(&set, ranks, Direction::Forward, shape, reply, budget);
        Ok(ranks.is_empty())
    }

    fn finish(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        match self.purpose {
            Purpose::Store(event) => {
                let mut draft = self.draft.take().expect("it has not ended");
                let len = draft.reader(db.store()).len();
                draft.set_encoding(Encoding::of(len, self.longest, db.limits()));
                long::store(db, args.at(1), draft, event, reply)
            }
            Purpose::Tell { .. } | Purpose::Count { .. } => Ok(()),
        }
    }

    fn rest(&mut self) -> Option<Draft> {
        self.draft.take()
    }
}

/// Sets as inputs.
mod set_input {
    use super::{CommandError, Db, Found};
    use crate::commands::set;

    /// How many members the set has that was found.
    pub(super) fn len(db: &Db<'_>, found: &Found<'_>) -> Result<u64, CommandError> {
        Ok(set::source(db, found)?.map_or(0, |set| set.len() as u64))
    }

    /// Whether it has this member.
    pub(super) fn contains(db: &Db<'_>, found: &Found<'_>, member: &[u8]) -> bool {
        let set = set::source(db, found).ok().flatten();
        set.is_some_and(|set| set.contains(db.store(), member))
    }

    /// Visits some of its members and returns the next cursor, 0 at the end; start with 0.
    pub(super) fn scan(db: &Db<'_>, found: &Found<'_>, cursor: u64, mut visit: impl FnMut(&[u8])) -> u64 {
        let Some(set) = set::source(db, found).ok().flatten() else {
            return 0;
        };
        let mut scratch = Vec::new();
        set.scan(db.store(), cursor, |member| visit(member.as_slice(&mut scratch)))
    }
}
