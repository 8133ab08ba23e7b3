//! Sorted sets by ranges: of ranks, of scores, of members; told, counted, stored and removed.
//!
//! Whatever a range is given by, it is a range of ranks once its ends are found, in O(log N): then LIMIT is arithmetic, a count
//! needs no walk, and a long command goes on by rank.

use std::ops::Range;

use super::long::{self, Batch, Budget, Edit, Shape, Work, reader, view};
use crate::commands::arguments::integer;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::{Db, Event};
use crate::proto::{Args, CommandError, Reply};
use crate::text::double::parse_bound;
use crate::types::zset::{Cut, Direction, Draft, Encoding, Reader};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[
    &ZRANGE,
    &ZREVRANGE,
    &ZRANGEBYSCORE,
    &ZREVRANGEBYSCORE,
    &ZRANGEBYLEX,
    &ZREVRANGEBYLEX,
    &ZRANGESTORE,
    &ZCOUNT,
    &ZLEXCOUNT,
    &ZREMRANGEBYRANK,
    &ZREMRANGEBYSCORE,
    &ZREMRANGEBYLEX,
];

const KEY_ACCESS: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];
const KEY_DELETE: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Delete])];

/// What the ends of a range are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// Two ends.
#[derive(Clone, Copy, Debug)]
enum Ends<'a> {
    /// Ranks, below 0 from the other end, the last included.
    Ranks(i64, i64),
    /// Scores or members.
    Cuts(Cut<'a>, Cut<'a>),
}

impl<'a> Ends<'a> {
    /// Reads the arguments `first`, the lower end, and `second`.
    fn parse(by: By, first: &'a [u8], second: &'a [u8]) -> Result<Ends<'a>, CommandError> {
        Ok(match by {
            By::Rank => Ends::Ranks(integer(first)?, integer(second)?),
            By::Score => score_cut(first, false)
                .zip(score_cut(second, true))
                .map(|(from, to)| Ends::Cuts(from, to))
                .ok_or(CommandError::text_static("ERR min or max is not a float"))?,
            By::Lex => member_cut(first, false)
                .zip(member_cut(second, true))
                .map(|(from, to)| Ends::Cuts(from, to))
                .ok_or(CommandError::text_static("ERR min or max not valid string range item"))?,
        })
    }

    /// The ranks between them, from the lowest score whatever the direction in which ranks are given.
    fn ranks(&self, set: &Reader<'_>, direction: Direction) -> Range<u64> {
        match *self {
            Ends::Cuts(from, to) => set.between(from, to),
            Ends::Ranks(first, last) => {
                let len = set.len() as i64;
                let from_end = |rank: i64| if rank < 0 { rank.saturating_add(len) } else { rank };
                let start = from_end(first).max(0);
                let end = from_end(last).min(len - 1).saturating_add(1);
                if start >= end {
                    return 0..0;
                }
                let (start, end) = match direction {
                    Direction::Forward => (start, end),
                    Direction::Backward => (len - end, len - start),
                };
                start as u64..end as u64
            }
        }
    }
}

/// An end of a range of scores; `is_upper`: the upper one.
fn score_cut(text: &[u8], is_upper: bool) -> Option<Cut<'_>> {
    let (number, is_open) = text.strip_prefix(b"(").map_or((text, false), |number| (number, true));
    Some(Cut::Score { at: parse_bound(number)?, after: is_upper != is_open })
}

/// An end of a range of members.
fn member_cut(text: &[u8], is_upper: bool) -> Option<Cut<'_>> {
    match text {
        [b'-'] | [b'-', 0, ..] => Some(Cut::Begin),
        [b'+'] | [b'+', 0, ..] => Some(Cut::End),
        [b'(', at @ ..] => Some(Cut::Member { at, after: !is_upper }),
        [b'[', at @ ..] => Some(Cut::Member { at, after: is_upper }),
        _ => None,
    }
}

/// What ZRANGE and its kin were asked for.
#[derive(Clone, Copy, Debug)]
struct Query<'a> {
    ends: Ends<'a>,
    direction: Direction,
    with_scores: bool,
    /// Members to pass over and to tell, below 0: none and all.
    limit: Option<(i64, i64)>,
}

impl<'a> Query<'a> {
    /// Reads the arguments behind the key, which is argument `key_at`. `by` and `direction` are said by the command's name, or, if they
    /// are `None`, by its options; one that `stores` has no scores to show.
    fn parse(
        args: &Args<'a>,
        key_at: usize,
        by: Option<By>,
        direction: Option<Direction>,
        stores: bool,
    ) -> Result<Query<'a>, CommandError> {
        let (mut asked_by, mut asked_direction) = (by, direction);
        let (mut with_scores, mut limit) = (false, None);
        let mut index = key_at + 3;
        while index < args.len() {
            if !stores && args.is(index, "withscores") {
                with_scores = true;
            } else if args.is(index, "limit") && index + 2 < args.len() {
                limit = Some((integer(args.at(index + 1))?, integer(args.at(index + 2))?));
                index += 2;
            } else if asked_direction.is_none() && args.is(index, "rev") {
                asked_direction = Some(Direction::Backward);
            } else if asked_by.is_none() && args.is(index, "bylex") {
                asked_by = Some(By::Lex);
            } else if asked_by.is_none() && args.is(index, "byscore") {
                asked_by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        let direction = asked_direction.unwrap_or(Direction::Forward);
        let by = asked_by.unwrap_or(By::Rank);
        if by == By::Rank && limit.is_some_and(|(_, count)| count != -1) {
            return Err(CommandError::text_static(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if by == By::Lex && with_scores {
            return Err(CommandError::text_static(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (first, second) = (args.at(key_at + 1), args.at(key_at + 2));
        let ends = match direction {
            Direction::Backward if by != By::Rank => Ends::parse(by, second, first)?,
            _ => Ends::parse(by, first, second)?,
        };
        let limit = limit.filter(|_| by != By::Rank);
        Ok(Query { ends, direction, with_scores, limit })
    }

    /// The ranks that are asked for.
    fn ranks(&self, set: &Reader<'_>) -> Range<u64> {
        let Range { start, end } = self.ends.ranks(set, self.direction);
        let Some((offset, count)) = self.limit else {
            return start..end;
        };
        let Ok(offset) = u64::try_from(offset) else {
            return 0..0;
        };
        let left = (end - start).saturating_sub(offset);
        let len = u64::try_from(count).map_or(left, |count| count.min(left));
        match self.direction {
            Direction::Forward => start + (end - start - left)..start + (end - start - left) + len,
            Direction::Backward => start + left - len..start + left,
        }
    }
}

const ZRANGE: CommandSpec = CommandSpec {
    name: "zrange",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zrange),
    doc: Doc {
        summary: "Returns the members of a range.",
        since: "1.2.0",
        complexity: "O(log N + M) for M members told; in slices beyond 500.",
        syntax: "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zrange(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    range(db, args, reply, None, None)
}

const ZREVRANGE: CommandSpec = CommandSpec {
    name: "zrevrange",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zrevrange),
    doc: Doc {
        summary: "Returns the members of a range of ranks, from the highest score.",
        since: "1.2.0",
        complexity: "O(log N + M) for M members told; in slices beyond 500.",
        syntax: "key start stop [WITHSCORES]",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` argument")),
        ..Doc::of(Group::SortedSet)
    },
};

fn zrevrange(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    range(db, args, reply, Some(By::Rank), Some(Direction::Backward))
}

const ZRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "zrangebyscore",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zrangebyscore),
    doc: Doc {
        summary: "Returns the members of a range of scores.",
        since: "1.0.5",
        complexity: "O(log N + M) for M members told; in slices beyond 500.",
        syntax: "key min max [WITHSCORES] [LIMIT offset count]",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
        ..Doc::of(Group::SortedSet)
    },
};

fn zrangebyscore(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    range(db, args, reply, Some(By::Score), Some(Direction::Forward))
}

const ZREVRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "zrevrangebyscore",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zrevrangebyscore),
    doc: Doc {
        summary: "Returns the members of a range of scores, from the highest.",
        since: "2.2.0",
        complexity: "O(log N + M) for M members told; in slices beyond 500.",
        syntax: "key max min [WITHSCORES] [LIMIT offset count]",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
        ..Doc::of(Group::SortedSet)
    },
};

fn zrevrangebyscore(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    range(db, args, reply, Some(By::Score), Some(Direction::Backward))
}

const ZRANGEBYLEX: CommandSpec = CommandSpec {
    name: "zrangebylex",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zrangebylex),
    doc: Doc {
        summary: "Returns the members of a range of members, where scores are all the same.",
        since: "2.8.9",
        complexity: "O(log N + M) for M members told; in slices beyond 500.",
        syntax: "key min max [LIMIT offset count]",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
        ..Doc::of(Group::SortedSet)
    },
};

fn zrangebylex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    range(db, args, reply, Some(By::Lex), Some(Direction::Forward))
}

const ZREVRANGEBYLEX: CommandSpec = CommandSpec {
    name: "zrevrangebylex",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Readonly],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zrevrangebylex),
    doc: Doc {
        summary: "Returns the members of a range of members, from the last, where scores are all the same.",
        since: "2.8.9",
        complexity: "O(log N + M) for M members told; in slices beyond 500.",
        syntax: "key max min [LIMIT offset count]",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
        ..Doc::of(Group::SortedSet)
    },
};

fn zrevrangebylex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    range(db, args, reply, Some(By::Lex), Some(Direction::Backward))
}

fn range(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, by: Option<By>, direction: Option<Direction>) -> Outcome {
    let query = Query::parse(args, 1, by, direction, false)?;
    let key = args.at(1);
    let found = db.read(key);
    let Some(found_view) = view(db, &found)? else {
        reply.array(0);
        return Ok(Flow::Done);
    };
    let set = reader(db, &found_view);
    let mut ranks = query.ranks(&set);
    let shape = Shape::of(query.with_scores, reply.protocol);
    shape.header(ranks.end - ranks.start, reply);
    long::tell(&set, &mut ranks, query.direction, shape, reply, Budget::of(db));
    if ranks.is_empty() {
        return Ok(Flow::Done);
    }
    drop(found_view);
    let telling = Telling { ranks, direction: query.direction, shape };
    long::run(db, args, reply, telling)
}

/// The ranks that are still to be told of the key that is argument 1.
#[derive(Debug)]
struct Telling {
    ranks: Range<u64>,
    direction: Direction,
    shape: Shape,
}

impl Work for Telling {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        reply: &mut Reply,
        budget: Budget,
    ) -> Result<bool, CommandError> {
        long::read_kept(db, args.at(1), |set| {
            long::tell(&set, &mut self.ranks, self.direction, self.shape, reply, budget);
        });
        Ok(self.ranks.is_empty())
    }
}

const ZRANGESTORE: CommandSpec = CommandSpec {
    name: "zrangestore",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Ow, KeyFlag::Update]), KeySpec::one(2, &[KeyFlag::Ro, KeyFlag::Access])],
    large: Large::None,
    run: Run::Keys(zrangestore),
    doc: Doc {
        summary: "Sets a key to the members of a range, with their scores.",
        since: "6.2.0",
        complexity: "O(log N + M log M) for M members stored; in slices beyond 128.",
        syntax: "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
        ..Doc::of(Group::SortedSet)
    },
};

fn zrangestore(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let query = Query::parse(args, 2, None, None, true)?;
    let source = args.at(2);
    let found = db.read(source);
    let ranks = view(db, &found)?.map_or(0..0, |view| query.ranks(&reader(db, &view)));
    let storing = Storing { ranks, draft: Some(Draft::new(Encoding::of(0, 0, db.limits()))) };
    long::run(db, args, reply, storing)
}

/// ZRANGESTORE under way.
#[derive(Debug)]
struct Storing {
    /// Still to be copied.
    ranks: Range<u64>,
    draft: Option<Draft>,
}

impl Work for Storing {
    fn step(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        _: &mut Reply,
        mut budget: Budget,
    ) -> Result<bool, CommandError> {
        let mut batch = Batch::default();
        budget = budget.for_draft(self.draft.as_ref());
        long::read_kept(db, args.at(2), |set| {
            self.ranks.start += set.visit(self.ranks.clone(), Direction::Forward, |member, score| {
                batch.push(Some(&set), member, score);
                budget.pay_change(member.head_len())
            });
        });
        let draft = self.draft.as_mut().expect("it has not ended");
        long::add_all(db, draft, &batch)?;
        Ok(self.ranks.is_empty())
    }

    fn finish(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let draft = self.draft.take().expect("it has not ended");
        long::store(db, args.at(1), draft, Event::ZrangeStore, reply)
    }

    fn rest(&mut self) -> Option<Draft> {
        self.draft.take()
    }
}

const ZCOUNT: CommandSpec = CommandSpec {
    name: "zcount",
    arity: Arity::Exactly(4),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zcount),
    doc: Doc {
        summary: "Counts the members of a range of scores.",
        since: "2.0.0",
        complexity: "O(log N)",
        syntax: "key min max",
        ..Doc::of(Group::SortedSet)
    },
};

fn zcount(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    count(db, args, reply, By::Score)
}

const ZLEXCOUNT: CommandSpec = CommandSpec {
    name: "zlexcount",
    arity: Arity::Exactly(4),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_ACCESS,
    large: Large::None,
    run: Run::Keys(zlexcount),
    doc: Doc {
        summary: "Counts the members of a range of members, where scores are all the same.",
        since: "2.8.9",
        complexity: "O(log N)",
        syntax: "key min max",
        ..Doc::of(Group::SortedSet)
    },
};

fn zlexcount(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    count(db, args, reply, By::Lex)
}

fn count(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, by: By) -> Outcome {
    let ends = Ends::parse(by, args.at(2), args.at(3))?;
    let found = db.read(args.at(1));
    let ranks = view(db, &found)?.map_or(0..0, |view| ends.ranks(&reader(db, &view), Direction::Forward));
    reply.integer((ranks.end - ranks.start) as i64);
    Ok(Flow::Done)
}

const ZREMRANGEBYRANK: CommandSpec = CommandSpec {
    name: "zremrangebyrank",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write],
    keys: KEY_DELETE,
    large: Large::None,
    run: Run::Keys(zremrangebyrank),
    doc: Doc {
        summary: "Removes the members of a range of ranks.",
        since: "2.0.0",
        complexity: "O(M log N) for M members removed; in slices beyond 128.",
        syntax: "key start stop",
        ..Doc::of(Group::SortedSet)
    },
};

fn zremrangebyrank(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    remove_range(db, args, reply, By::Rank, Event::ZremRangeByRank)
}

const ZREMRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "zremrangebyscore",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write],
    keys: KEY_DELETE,
    large: Large::None,
    run: Run::Keys(zremrangebyscore),
    doc: Doc {
        summary: "Removes the members of a range of scores.",
        since: "1.2.0",
        complexity: "O(M log N) for M members removed; in slices beyond 128.",
        syntax: "key min max",
        ..Doc::of(Group::SortedSet)
    },
};

fn zremrangebyscore(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    remove_range(db, args, reply, By::Score, Event::ZremRangeByScore)
}

const ZREMRANGEBYLEX: CommandSpec = CommandSpec {
    name: "zremrangebylex",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write],
    keys: KEY_DELETE,
    large: Large::None,
    run: Run::Keys(zremrangebylex),
    doc: Doc {
        summary: "Removes the members of a range of members, where scores are all the same.",
        since: "2.8.9",
        complexity: "O(M log N) for M members removed; in slices beyond 128.",
        syntax: "key min max",
        ..Doc::of(Group::SortedSet)
    },
};

fn zremrangebylex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    remove_range(db, args, reply, By::Lex, Event::ZremRangeByLex)
}

fn remove_range(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, by: By, event: Event) -> Outcome {
    let ends = Ends::parse(by, args.at(2), args.at(3))?;
    let key = args.at(1);
    let found = db.find(key);
    let Some(found_view) = view(db, &found)? else {
        reply.integer(0);
        return Ok(Flow::Done);
    };
    let ranks = ends.ranks(&reader(db, &found_view), Direction::Forward);
    drop(found_view);
    let len = ranks.end - ranks.start;
    let edit = Edit::begin(db, &found)?;
    long::run(db, args, reply, Removing { ranks, len, edit, event })
}

/// ZREMRANGEBY* under way.
#[derive(Debug)]
struct Removing {
    /// Still to be removed.
    ranks: Range<u64>,
    len: u64,
    edit: Option<Edit>,
    event: Event,
}

impl Work for Removing {
    fn step(&mut self, db: &mut Db<'_>, args: &Args<'_>, _: &mut Reply, budget: Budget) -> Result<bool, CommandError> {
        let found = db.find_held(args.at(1));
        let Range { start, end } = self.ranks;
        let now = (end - start).min(budget.removals());
        if let Some(edit) = &mut self.edit {
            // From the end: so the ranks before it stay.
            edit.remove_ranks(db, &found, end - now..end);
        }
        self.ranks.end -= now;
        Ok(self.ranks.is_empty())
    }

    fn finish(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let (key, edit) = (args.at(1), self.edit.take());
        let found = db.find(key);
        if self.len > 0
            && let Some(edit) = edit
        {
            edit.end(db, key, found, self.event)?;
        }
        reply.integer(self.len as i64);
        Ok(())
    }
}
