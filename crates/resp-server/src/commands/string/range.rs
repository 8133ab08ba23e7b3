//! Commands about a part of a string, and LCS, which compares two.
//!
//! SETRANGE costs what it writes, GETRANGE what it returns.

use super::long::{self, Computation};
use crate::bits::covered;
use crate::bits::lcs::{Lcs, Match};
use crate::commands::arguments::integer;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::Engine;
use crate::keyspace::{Db, Event, Snapshot, string_too_long};
use crate::proto::{Args, CommandError, Reply, Value};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&SETRANGE, &GETRANGE, &SUBSTR, &LCS];

const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];

const SETRANGE: CommandSpec = CommandSpec {
    name: "setrange",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Update])],
    large: Large::At(3),
    run: Run::Keys(setrange),
    doc: Doc {
        summary: "Overwrites a part of a string, which grows with zeros as far as need be.",
        since: "2.2.0",
        complexity: "O(N) in the bytes written.",
        syntax: "key offset value",
        ..Doc::of(Group::String)
    },
};

fn setrange(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (key, bytes_len) = (args.at(1), args.len_of(3));
    let offset =
        u64::try_from(integer(args.at(2))?).map_err(|_| CommandError::text_static("ERR offset is out of range"))?;
    let found = db.find(key);
    let old_len = db.string(&found)?.map_or(0, |value| value.len());
    if bytes_len == 0 {
        reply.count(old_len);
        return Ok(Flow::Done);
    }
    if offset.saturating_add(bytes_len) > db.bulk_len_max() {
        return Err(string_too_long());
    }
    let len = match args.take_value(3) {
        Value::Bytes(bytes) => db.write_range(found, offset as usize, bytes)?,
        Value::Blob(blob) => {
            return long::graft(db, key, found, (offset as usize, blob), Event::SetRange, reply);
        }
    };
    db.changed(key, Event::SetRange);
    reply.count(len);
    Ok(Flow::Done)
}

const GETRANGE: CommandSpec = CommandSpec {
    name: "getrange",
    arity: Arity::Exactly(4),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(getrange),
    doc: Doc {
        summary: "Returns a part of a string.",
        since: "2.4.0",
        complexity: "O(N) in the bytes returned.",
        syntax: "key start end",
        ..Doc::of(Group::String)
    },
};

fn getrange(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
    let found = db.read(args.at(1));
    let len = db.string(&found)?.map_or(0, |value| value.len());
    // Both from the end and the wrong way round is nothing, even where both lie before the first byte.
    let backwards = start < 0 && end < 0 && start > end;
    let range = if backwards { 0..0 } else { covered(start, end, len as u64) };
    if range.is_empty() {
        reply.bulk(b"");
    } else {
        db.reply_range(&found, range.start as usize..range.end as usize, reply)?;
    }
    Ok(Flow::Done)
}

const SUBSTR: CommandSpec = CommandSpec {
    name: "substr",
    arity: Arity::Exactly(4),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(getrange),
    doc: Doc {
        summary: "Returns a part of a string.",
        since: "1.0.0",
        complexity: "O(N) in the bytes returned.",
        syntax: "key start end",
        deprecated: Some(("2.0.0", "`GETRANGE`")),
        ..Doc::of(Group::String)
    },
};

const LCS: CommandSpec = CommandSpec {
    name: "lcs",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly],
    keys: &[KeySpec { first: 1, last: 1, ..KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access]) }],
    large: Large::None,
    run: Run::Keys(lcs),
    doc: Doc {
        summary: "Finds the longest common subsequence of two strings.",
        since: "7.0.0",
        complexity: "O(N*M) in the lengths of the strings, 64 steps at a time.",
        syntax: "key1:key key2:key [LEN] [IDX] [MINMATCHLEN min-match-len:integer] [WITHMATCHLEN]",
        ..Doc::of(Group::String)
    },
};

fn lcs(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    // Redis looks at the keys first.
    let strings = [whole(db, args.at(1)), whole(db, args.at(2))];
    let [Ok(a), Ok(b)] = strings else {
        return Err(CommandError::text_static("ERR The specified keys must contain string values"));
    };
    let options = LcsOptions::parse(args)?;
    check_lcs_size(a.len() as u64, b.len() as u64, db.bulk_len_max())?;
    let lcs = Lcs::new(a, b, options.idx || !options.len);
    Ok(long::compute(db, Comparison { lcs, options, told: None }, reply))
}

/// LCS under way.
#[derive(Debug)]
struct Comparison {
    lcs: Lcs,
    options: LcsOptions,
    /// Matches that have been replied with or passed over; `None`: it is not there yet.
    told: Option<usize>,
}

impl Computation for Comparison {
    /// What LCS counts as 64 KiB takes 35 to 50 us.
    const FACTOR: usize = 1;

    fn step(&mut self, bytes: usize, reply: &mut Reply) -> bool {
        if self.told.is_none() && !self.lcs.step(bytes) {
            return false;
        }
        if self.options.idx {
            return self.reply_matches((bytes / MATCH_COST).max(1), reply);
        }
        if self.options.len {
            reply.count(self.lcs.subsequence_len());
        } else {
            reply.bulk_pieces(self.lcs.subsequence_len(), self.lcs.subsequence());
        }
        true
    }

    fn end(self, engine: &mut Engine) {
        engine.discard(self.lcs);
    }
}

/// What it costs to reply with a match, in the bytes of a budget.
const MATCH_COST: usize = 128;

impl Comparison {
    /// A map: the matches as ranges of both strings, and the length. At most so many matches; whether that was all.
    fn reply_matches(&mut self, matches_max: usize, reply: &mut Reply) -> bool {
        let LcsOptions { match_len_min, with_match_len, .. } = self.options;
        let matches = self.lcs.matches();
        let is_shown = |found: &&Match| found.len as i64 >= match_len_min;
        let told = *self.told.get_or_insert_with(|| {
            reply.map(2);
            reply.bulk(b"matches");
            reply.array(matches.iter().filter(is_shown).count());
            0
        });
        let end = matches.len().min(told.saturating_add(matches_max));
        for found in matches[told..end].iter().filter(is_shown) {
            reply.array(2 + usize::from(with_match_len));
            for start in [found.a, found.b] {
                reply.array(2);
                reply.count(start);
                reply.count(start + found.len - 1);
            }
            if with_match_len {
                reply.count(found.len);
            }
        }
        self.told = Some(end);
        if end < matches.len() {
            return false;
        }
        reply.bulk(b"len");
        reply.count(self.lcs.subsequence_len());
        true
    }
}

/// A string apart from the store; an empty one if there is no key.
fn whole(db: &mut Db<'_>, key: &[u8]) -> Result<Snapshot, CommandError> {
    let found = db.read(key);
    let len = db.string(&found)?.map_or(0, |value| value.len());
    Ok(db.snapshot(&found, 0..len)?.unwrap_or_default())
}

/// Refuses what Redis refuses: strings whose table of 32-bit lengths would be larger than a string may be. Ours takes a bit a
/// cell, but the bound is also one on the time.
fn check_lcs_size(a: u64, b: u64, bulk_len_max: u64) -> Result<(), CommandError> {
    const LEN_END: u64 = u32::MAX as u64 - 1;
    if a >= LEN_END || b >= LEN_END {
        return Err(CommandError::text_static("ERR String too long for LCS"));
    }
    // The product of two 32-bit numbers fits 64 bits, four times that may not.
    if ((a + 1) * (b + 1)).saturating_mul(4) > bulk_len_max {
        return Err(CommandError::text_static(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    Ok(())
}

/// What LCS can be told.
#[derive(Debug, Default)]
struct LcsOptions {
    len: bool,
    idx: bool,
    /// Matches shorter than this are not shown; not negative.
    match_len_min: i64,
    with_match_len: bool,
}

impl LcsOptions {
    fn parse(args: &Args<'_>) -> Result<LcsOptions, CommandError> {
        let mut options = LcsOptions::default();
        let mut index = 3;
        while index < args.len() {
            if args.is(index, "idx") {
                options.idx = true;
            } else if args.is(index, "len") {
                options.len = true;
            } else if args.is(index, "withmatchlen") {
                options.with_match_len = true;
            } else if args.is(index, "minmatchlen") && index + 1 < args.len() {
                index += 1;
                options.match_len_min = integer(args.at(index))?.max(0);
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        if options.len && options.idx {
            return Err(CommandError::text_static("ERR If you want both the length and indexes, please just use IDX."));
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests;
