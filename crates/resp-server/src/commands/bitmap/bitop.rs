//! BITOP: strings combined bit by bit.
//!
//! First the strings are gathered, as snapshots, then the result is built window by window, apart from the keyspace, and put at
//! the end: so whatever fails before has changed nothing. Both go on in slices if they are long:
//!
//! ```text
//! gather key after key  ->  combine window after window, string after string  ->  put
//! up to 128 keys            64 KiB of strings                                      O(1)
//! ```

use chunkbuf::Blob;

use crate::bits::operator::{Combine, Operator};
use crate::commands::generic::many;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::holds::Access;
use crate::engine::tasks::{Holding, KEYS_PER_SLICE};
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Event, Snapshot, Ttl};
use crate::proto::{Args, CommandError, Reply, Value};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&BITOP];

const BITOP: CommandSpec = CommandSpec {
    name: "bitop",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(2, &[KeyFlag::Ow, KeyFlag::Update]), KeySpec::to_end(3, 1, &[KeyFlag::Ro, KeyFlag::Access])],
    large: Large::None,
    run: Run::Keys(bitop),
    doc: Doc {
        summary: "Combines strings bit by bit and stores the result.",
        since: "2.6.0",
        complexity: "O(N) in the bytes of all strings.",
        syntax: "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey:key key [key ...]",
        ..Doc::of(Group::Bitmap)
    },
};

fn bitop(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let operator = Operator::named(args.at(1)).ok_or(CommandError::Syntax)?;
    if operator == Operator::Not && args.len() != 4 {
        return Err(CommandError::text_static("ERR BITOP NOT must be called with a single source key."));
    }
    if operator.needs_two() && args.len() < 5 {
        let name = operator.name();
        return Err(CommandError::Text(
            format!("ERR BITOP {name} must be called with at least two source keys.").into(),
        ));
    }
    let is_many = many::are_many(args.len() - TARGET);
    let mut task = BitOp { operator, is_many, next: FIRST_SOURCE, sources: Vec::new(), combining: None };
    // Of very many keys, each is looked at when it is held.
    if !is_many && task.gather(db, args)? && task.bytes() <= db.slice_bytes() {
        let mut combining = task.combine(db);
        while !combining.step(db, usize::MAX)? {}
        // The sources first: a chunk that is pinned would not be written in place.
        drop(combining.combine.take_sources());
        combining.finish(db, args, reply)?;
        return Ok(Flow::Done);
    }
    Ok(Flow::Sliced(Box::new(task)))
}

/// The argument that is the key of the result.
const TARGET: usize = 2;
/// The argument that is the first string's key.
const FIRST_SOURCE: usize = 3;
/// A window stays in the processor's cache.
const WINDOW_BYTES: usize = 16 * 1024;

/// BITOP under way.
#[derive(Debug)]
struct BitOp {
    operator: Operator,
    /// Its keys are held as it comes to them.
    is_many: bool,
    /// The argument whose string is gathered next.
    next: usize,
    sources: Vec<Snapshot>,
    /// From when all strings are gathered.
    combining: Option<Combining>,
}

impl BitOp {
    /// Gathers the strings of a slice's worth of keys; whether those are all.
    fn gather(&mut self, db: &mut Db<'_>, args: &Args<'_>) -> Result<bool, CommandError> {
        let end = args.len().min(self.next + KEYS_PER_SLICE);
        while self.next < end {
            let found = db.read(args.at(self.next));
            self.sources.push(db.snapshot_of_many(&found)?);
            self.next += 1;
        }
        Ok(self.next == args.len())
    }

    /// Bytes to go through, those behind the end of a shorter string included.
    fn bytes(&self) -> usize {
        let longest = self.sources.iter().map(Snapshot::len).max().unwrap_or(0);
        longest.saturating_mul(self.sources.len())
    }

    fn combine(&mut self, db: &Db<'_>) -> Combining {
        let combine = Combine::new(self.operator, std::mem::take(&mut self.sources));
        Combining { window: vec![0; combine.result_len().min(WINDOW_BYTES)], result: db.new_blob(), combine }
    }
}

impl Sliced for BitOp {
    fn holding(&self) -> Holding {
        if self.is_many { Holding::AsItGoes(Access::Write) } else { Holding::Keys }
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let args = slice.args;
        let Some(combining) = &mut self.combining else {
            if self.is_many {
                let first = if self.next == FIRST_SOURCE { TARGET } else { self.next };
                let end = args.len().min(self.next + KEYS_PER_SLICE);
                if !(first..end).all(|at| slice.take(args.at(at))) {
                    return Ok(Progress::Waits);
                }
            }
            let mut db = slice.db();
            if self.next == args.len() || self.gather(&mut db, args)? {
                self.combining = Some(self.combine(&db));
            }
            return Ok(Progress::More);
        };
        let mut db = slice.engine.keyspace.db(slice.db);
        let bytes = db.slice_bytes();
        if !combining.step(&mut db, bytes)? {
            return Ok(Progress::More);
        }
        combining.finish(&mut db, args, slice.reply)?;
        Ok(Progress::Done)
    }

    fn end(&mut self, engine: &mut Engine) {
        let combined = self.combining.take().map(|mut combining| combining.combine.take_sources());
        engine.discard(combined.unwrap_or_else(|| std::mem::take(&mut self.sources)));
    }
}

/// A result that is being built.
#[derive(Debug)]
struct Combining {
    combine: Combine,
    /// All of a result that fits it.
    window: Vec<u8>,
    /// What is done of a longer one.
    result: Blob,
}

impl Combining {
    /// Goes through about so many bytes; whether the result is whole.
    fn step(&mut self, db: &mut Db<'_>, bytes: usize) -> Result<bool, CommandError> {
        let mut left = bytes;
        while left > 0 {
            match self.combine.step(&mut self.window, &mut left) {
                None => return Ok(false),
                Some(0) => return Ok(true),
                Some(filled) if filled == self.combine.result_len() => return Ok(true),
                Some(filled) => db.blob_append(&mut self.result, &self.window[..filled])?,
            }
        }
        Ok(false)
    }

    /// Puts the result, or removes the key if it has no byte, and replies with its length.
    fn finish(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let (key, len) = (args.at(TARGET), self.combine.result_len());
        let found = db.find(key);
        if len > 0 {
            let value = if len <= self.window.len() {
                Value::Bytes(&self.window)
            } else {
                Value::Blob(std::mem::replace(&mut self.result, db.new_blob()))
            };
            db.set_edited(found, value, Ttl::Clear)?;
            db.changed(key, Event::Set);
        } else if db.remove(found) {
            db.changed(key, Event::Del);
        }
        reply.count(len);
        Ok(())
    }
}
