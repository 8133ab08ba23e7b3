//! Members of sorted sets from the ends and at random: ZPOPMIN, ZPOPMAX, ZMPOP, ZRANDMEMBER.
//!
//! What is popped is told once the rest is put: a pop that finds no memory for a smaller packed set has changed nothing.

use std::ops::Range;

use super::long::{self, Budget, Edit, Shape, Work, reader, view};
use crate::commands::arguments::integer;
use crate::commands::generic::first::take_from_first;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::{Db, Event, Found, Keyspace};
use crate::proto::{Args, CommandError, Protocol, Reply};
use crate::text::integer::parse_i64;
use crate::types::zset::Direction;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&ZPOPMIN, &ZPOPMAX, &ZMPOP, &ZRANDMEMBER];

const KEY_ACCESS: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];
const KEY_POP: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete])];

const ZPOPMIN: CommandSpec = CommandSpec {
    name: "zpopmin",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_POP,
    large: Large::None,
    run: Run::Keys(zpopmin),
    doc: Doc {
        summary: "Takes the members with the lowest scores.",
        since: "5.0.0",
        complexity: "O(M log N) for M members taken; in slices beyond 128.",
        syntax: "key [count]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zpopmin(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    pop_one_key(db, args, reply, Direction::Forward)
}

const ZPOPMAX: CommandSpec = CommandSpec {
    name: "zpopmax",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_POP,
    large: Large::None,
    run: Run::Keys(zpopmax),
    doc: Doc {
        summary: "Takes the members with the highest scores.",
        since: "5.0.0",
        complexity: "O(M log N) for M members taken; in slices beyond 128.",
        syntax: "key [count]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zpopmax(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    pop_one_key(db, args, reply, Direction::Backward)
}

fn pop_one_key(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, direction: Direction) -> Outcome {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = args.get(2).map(|count| {
        let error = CommandError::text_static("ERR value is out of range, must be positive");
        parse_i64(count).and_then(|count| u64::try_from(count).ok()).ok_or(error)
    });
    let count = count.transpose()?;
    let found = db.find(args.at(1));
    if view(db, &found)?.is_none() || count == Some(0) {
        reply.array(0);
        return Ok(Flow::Done);
    }
    let shape = match reply.protocol {
        Protocol::Resp3 if count.is_some() => Shape::Pairs,
        _ => Shape::Flat,
    };
    let told = Reply::speaking(reply.protocol);
    pop(db, args, reply, (1, &found), (count.unwrap_or(1), direction, shape), told)
}

/// Takes up to a count of members from an end of the sorted set that was found for argument `key_at`, and replies with `told` and
/// with them.
fn pop(
    db: &mut Db<'_>,
    args: &Args<'_>,
    reply: &mut Reply,
    (key_at, found): (usize, &Found<'_>),
    (count, direction, shape): (u64, Direction, Shape),
    mut told: Reply,
) -> Outcome {
    let edit = Edit::begin(db, found)?.expect("the caller has found it");
    let len = edit.read(db, found, |set| set.len());
    let count = count.min(len);
    shape.header(count, &mut told);
    let popping = Popping { key_at, count, direction, shape, edit: Some(edit), told };
    long::run(db, args, reply, popping)
}

/// Bytes that become a segment of a reply.
const SEGMENT: usize = 64 * 1024;

/// Members that are still to be taken from an end.
#[derive(Debug)]
struct Popping {
    key_at: usize,
    count: u64,
    direction: Direction,
    shape: Shape,
    edit: Option<Edit>,
    /// The reply so far: it counts if what is left can be put.
    told: Reply,
}

impl Work for Popping {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        _: &mut Reply,
        mut budget: Budget,
    ) -> Result<bool, CommandError> {
        let found = db.find_held(args.at(self.key_at));
        let edit = self.edit.as_mut().expect("it has not ended");
        let all = edit.read(db, &found, |set| {
            let len = set.len();
            let ranks = match self.direction {
                Direction::Forward => 0..self.count,
                Direction::Backward => len - self.count..len,
            };
            let taken = set.visit(ranks, self.direction, |member, score| {
                self.shape.member(member, score, &mut self.told);
                budget.pay_change(member.head_len())
            });
            self.count -= taken;
            match self.direction {
                Direction::Forward => 0..taken,
                Direction::Backward => len - taken..len,
            }
        });
        edit.remove_ranks(db, &found, all);
        self.told.seal(SEGMENT);
        Ok(self.count == 0)
    }

    fn finish(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let key = args.at(self.key_at);
        let found = db.find(key);
        let event = match self.direction {
            Direction::Forward => Event::ZpopMin,
            Direction::Backward => Event::ZpopMax,
        };
        self.edit.take().expect("it has not ended").end(db, key, found, event)?;
        reply.append(std::mem::take(&mut self.told));
        Ok(())
    }
}

const ZMPOP: CommandSpec = CommandSpec {
    name: "zmpop",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::MovableKeys],
    keys: &[KeySpec::counted(2, 1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete])],
    large: Large::None,
    run: Run::Keys(zmpop),
    doc: Doc {
        summary: "Takes members from an end of the first of some sorted sets that is there.",
        since: "7.0.0",
        complexity: "O(K + M log N) for K keys and M members taken; in slices beyond 1,024 keys or 128 members.",
        syntax: "numkeys key [key ...] <MIN | MAX> [COUNT count]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zmpop(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let asked = MultiPop::parse(args, 1)?;
    take_from_first((db, args, reply), asked.keys.clone(), asked, pop_many_with_key, None)
}

/// Takes members from an end of the sorted set at the key that is argument `at` and replies with the key and them, as ZMPOP does; `None`,
/// and no reply, if there is none.
///
/// # Errors
/// When the key is of another type.
pub(super) fn pop_many_with_key(
    asked: &MultiPop,
    db: &mut Db<'_>,
    args: &Args<'_>,
    at: usize,
    reply: &mut Reply,
) -> Result<Option<Flow>, CommandError> {
    let key = args.at(at);
    let found = db.find(key);
    if view(db, &found)?.is_none() {
        return Ok(None);
    }
    let mut told = Reply::speaking(reply.protocol);
    told.array(2);
    told.bulk(key);
    pop(db, args, reply, (at, &found), (asked.count, asked.direction, Shape::Pairs), told).map(Some)
}

/// What ZMPOP was asked for.
#[derive(Clone, Debug)]
pub(super) struct MultiPop {
    /// The arguments that are keys.
    pub(super) keys: Range<usize>,
    /// From which end.
    pub(super) direction: Direction,
    /// Members to take at most.
    pub(super) count: u64,
}

impl MultiPop {
    /// Reads the arguments from `first` on, which is the number of keys.
    pub(super) fn parse(args: &Args<'_>, first: usize) -> Result<MultiPop, CommandError> {
        let positive = |arg: &[u8], error| {
            parse_i64(arg)
                .filter(|&number| number > 0)
                .map(|number| number as u64)
                .ok_or(CommandError::text_static(error))
        };
        let keys = positive(args.at(first), "ERR numkeys should be greater than 0")?;
        let end =
            usize::try_from(keys).ok().and_then(|keys| keys.checked_add(first + 1)).ok_or(CommandError::Syntax)?;
        let direction = match () {
            () if args.is(end, "min") => Direction::Forward,
            () if args.is(end, "max") => Direction::Backward,
            () => return Err(CommandError::Syntax),
        };
        let mut count = None;
        let mut index = end + 1;
        while index < args.len() {
            if count.is_some() || !args.is(index, "count") || index + 1 == args.len() {
                return Err(CommandError::Syntax);
            }
            count = Some(positive(args.at(index + 1), "ERR count should be greater than 0")?);
            index += 2;
        }
        Ok(MultiPop { keys: first + 1..end, direction, count: count.unwrap_or(1) })
    }
}

const ZRANDMEMBER: CommandSpec = CommandSpec {
    name: "zrandmember",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zrandmember),
    doc: Doc {
        summary: "Returns random members.",
        since: "6.2.0",
        complexity: "O(M log N) for M members told, O(N) for more than 256 that differ; in slices beyond 500.",
        syntax: "key [count [WITHSCORES]]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::SortedSet)
    },
};

fn zrandmember(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    if args.len() == 2 {
        let found = db.read(key);
        let len = view(db, &found)?.map(|view| reader(db, &view).len());
        let Some(len) = len else {
            reply.null();
            return Ok(Flow::Done);
        };
        let rank = db.random() % len;
        let view = view(db, &found)?.expect("just seen");
        reader(db, &view).visit(rank..rank + 1, Direction::Forward, |member, score| {
            Shape::Members.member(member, score, reply);
            true
        });
        return Ok(Flow::Done);
    }
    let out_of_range = |least: i64, greatest: i64| {
        CommandError::Text(format!("ERR value is out of range, value must between {least} and {greatest}").into())
    };
    let count = integer(args.at(2))?;
    if count == i64::MIN {
        return Err(out_of_range(-i64::MAX, i64::MAX));
    }
    let with_scores = match args.len() {
        3 => false,
        4 if args.is(3, "withscores") => true,
        _ => return Err(CommandError::Syntax),
    };
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::text_static("ERR value is out of range"));
    }
    let found = db.read(key);
    let len = view(db, &found)?.map_or(0, |view| reader(db, &view).len());
    if len == 0 || count == 0 {
        reply.array(0);
        return Ok(Flow::Done);
    }
    let shape = Shape::of(with_scores, reply.protocol);
    let told = if count < 0 { count.unsigned_abs() } else { (count as u64).min(len) };
    shape.header(told, reply);
    let picking = match count {
        ..0 => Picking::Any { left: told, len },
        _ if told == len => Picking::From { left: told, ranks: 0..len },
        _ if told <= Picking::DISTINCT_MAX => Picking::These { ranks: distinct(db, told, len), next: 0 },
        _ => Picking::From { left: told, ranks: 0..len },
    };
    long::run(db, args, reply, RandomMembers { picking, shape })
}

/// `count` ranks below `len` that differ, in random order: Floyd's way, then shuffled. O(count^2), for few.
fn distinct(db: &mut Db<'_>, count: u64, len: u64) -> Vec<u64> {
    let mut ranks: Vec<u64> = Vec::new();
    for highest in len - count..len {
        let rank = db.random() % (highest + 1);
        ranks.push(if ranks.contains(&rank) { highest } else { rank });
    }
    for at in (1..ranks.len()).rev() {
        ranks.swap(at, (db.random() % (at as u64 + 1)) as usize);
    }
    ranks
}

/// How random members are chosen.
#[derive(Debug)]
enum Picking {
    /// So many, whether they differ or not, of a set of `len`.
    Any {
        /// To be told.
        left: u64,
        /// Members of the set.
        len: u64,
    },
    /// These, from `next` on.
    These {
        /// What was chosen.
        ranks: Vec<u64>,
        /// The index of the next.
        next: usize,
    },
    /// So many different ones of these ranks, in order: each rank's chance is that of all others, given how many are left.
    From {
        /// To be told.
        left: u64,
        /// To choose from.
        ranks: Range<u64>,
    },
}

impl Picking {
    /// Ranks that are chosen at once.
    const DISTINCT_MAX: u64 = 256;

    /// The next rank; `None`: there is none. Also whether it is chosen.
    fn next(&mut self, random: u64) -> Option<(u64, bool)> {
        match self {
            Picking::Any { left, len } => {
                *left = left.checked_sub(1)?;
                Some((random % *len, true))
            }
            Picking::These { ranks, next } => {
                *next += 1;
                Some((*ranks.get(*next - 1)?, true))
            }
            Picking::From { left, ranks } => {
                if *left == 0 {
                    return None;
                }
                let among = ranks.end - ranks.start;
                let rank = ranks.next()?;
                let chosen = random % among < *left;
                *left -= u64::from(chosen);
                Some((rank, chosen))
            }
        }
    }
}

/// ZRANDMEMBER with a count under way.
#[derive(Debug)]
struct RandomMembers {
    picking: Picking,
    shape: Shape,
}

impl Work for RandomMembers {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        mut budget: Budget,
    ) -> Result<bool, CommandError> {
        // One seed a slice: the store is only read while members are told.
        let mut random = db.random();
        let done = long::read_kept(db, args.at(1), |set| {
            loop {
                let Some((rank, chosen)) = self.picking.next(Keyspace::next_random(&mut random)) else {
                    return true;
                };
                let mut left = true;
                if chosen {
                    set.visit(rank..rank + 1, Direction::Forward, |member, score| {
                        self.shape.member(member, score, reply);
                        left = budget.pay(member.head_len());
                        true
                    });
                } else {
                    left = budget.pay_little();
                }
                if !left {
                    return false;
                }
            }
        });
        Ok(done.unwrap_or(true))
    }
}
