//! BITFIELD: integers of any width anywhere in a string.
//!
//! All operations are read before the first is carried out. Then each one sees what those before it did, but the string is written
//! only at the end: the bytes that change gather in an overlay over the string, and a run of them is one write. So an operation
//! costs the nine bytes at most that its field touches, whatever the string's length.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bit_offset;
use crate::bits::field::{FieldType, Overflow, WINDOW_BYTES, Window};
use crate::commands::arguments::integer;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::tasks::Holding;
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Edit, Event, Pieces, Snapshot, StringValue};
use crate::proto::{Args, CommandError, Reply};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&BITFIELD, &BITFIELD_RO];

/// One GET, SET or INCRBY.
struct Operation {
    act: Act,
    field: FieldType,
    /// The field's first bit.
    offset: u64,
    overflow: Overflow,
}

enum Act {
    Get,
    Set(i64),
    Add(i64),
}

impl Operation {
    fn writes(&self) -> bool {
        !matches!(self.act, Act::Get)
    }

    /// The field's first byte.
    fn first_byte(&self) -> usize {
        (self.offset / 8) as usize
    }

    /// Carries it out on the bytes from the field's first one on: what it answers, and how many of them it changed.
    fn apply(&self, window: &mut Window) -> (Option<i64>, usize) {
        let Operation { act, field, offset, overflow } = self;
        let shift = (offset % 8) as u32;
        let old = field.get(window, shift);
        let (new, answer) = match *act {
            Act::Get => (Some(old), old),
            Act::Set(value) => (field.fitted(value, *overflow), old),
            Act::Add(increment) => {
                let sum = field.sum(old, increment, *overflow);
                (sum, sum.unwrap_or(old))
            }
        };
        let Some(new) = new else { return (None, 0) };
        if new == old {
            return (Some(answer), 0);
        }
        field.set(window, shift, new);
        (Some(answer), field.bytes(shift))
    }

    /// The field's last byte.
    fn last_byte(&self) -> usize {
        ((self.offset + u64::from(self.field.bits()) - 1) / 8) as usize
    }
}

/// Reads the operations of a request, one after another; what OVERFLOW says holds for those behind it.
#[derive(Clone, Copy, Debug)]
struct Operations {
    /// The argument to go on with.
    index: usize,
    overflow: Overflow,
}

impl Operations {
    fn begin() -> Operations {
        Operations { index: 2, overflow: Overflow::default() }
    }

    /// The next operation, if there is one more.
    fn next(&mut self, args: &Args<'_>, bulk_len_max: u64) -> Result<Option<Operation>, CommandError> {
        while self.index < args.len() {
            let index = self.index;
            let following = args.len() - index - 1;
            let value_at = if args.is(index, "get") && following >= 2 {
                None
            } else if (args.is(index, "set") || args.is(index, "incrby")) && following >= 3 {
                Some(index + 3)
            } else if args.is(index, "overflow") && following >= 1 {
                self.overflow = overflow_named(args, index + 1)?;
                self.index += 2;
                continue;
            } else {
                return Err(CommandError::Syntax);
            };
            let field = FieldType::parse(args.at(index + 1)).ok_or(CommandError::text_static(
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
            ))?;
            let offset = bit_offset(args.at(index + 2), Some(field.bits()), bulk_len_max)?;
            let value = value_at.map(|at| integer(args.at(at))).transpose()?;
            let act = match value {
                None => Act::Get,
                Some(value) if args.is(index, "set") => Act::Set(value),
                Some(value) => Act::Add(value),
            };
            self.index += 3 + usize::from(value.is_some());
            return Ok(Some(Operation { act, field, offset, overflow: self.overflow }));
        }
        Ok(None)
    }
}

/// Reads all operations of a request.
fn parse(args: &Args<'_>, bulk_len_max: u64) -> Result<Vec<Operation>, CommandError> {
    let mut operations = Operations::begin();
    let mut all = Vec::new();
    while let Some(operation) = operations.next(args, bulk_len_max)? {
        all.push(operation);
    }
    Ok(all)
}

fn overflow_named(args: &Args<'_>, index: usize) -> Result<Overflow, CommandError> {
    [("wrap", Overflow::Wrap), ("sat", Overflow::Saturate), ("fail", Overflow::Fail)]
        .into_iter()
        .find_map(|(name, overflow)| args.is(index, name).then_some(overflow))
        .ok_or(CommandError::text_static("ERR Invalid OVERFLOW type specified"))
}

/// The bytes of a string of `len` from `at` on, zeros behind its end.
fn window_of<'a>(len: usize, at: usize, pieces: impl FnOnce(Range<usize>) -> Pieces<'a>) -> Window {
    let mut window = [0; WINDOW_BYTES];
    if at < len {
        let range = at..len.min(at + WINDOW_BYTES);
        window.iter_mut().zip(pieces(range).flatten()).for_each(|(byte, &old)| *byte = old);
    }
    window
}

/// The bytes that operations have changed so far, over the string as it is.
struct Overlay<'a> {
    string: Option<StringValue<'a>>,
    changed: BTreeMap<usize, u8>,
}

impl Overlay<'_> {
    fn string_len(&self) -> usize {
        self.string.as_ref().map_or(0, StringValue::len)
    }

    /// The bytes from `at` on, zeros behind the end.
    fn window(&self, at: usize) -> Window {
        let mut window = match &self.string {
            Some(string) => window_of(string.len(), at, |range| string.pieces(range)),
            None => [0; WINDOW_BYTES],
        };
        for (&changed, &byte) in self.changed.range(at..at + WINDOW_BYTES) {
            window[changed - at] = byte;
        }
        window
    }

    /// Carries out one operation; what it answers.
    fn apply(&mut self, operation: &Operation) -> Option<i64> {
        let at = operation.first_byte();
        let mut window = self.window(at);
        let (answer, changed) = operation.apply(&mut window);
        self.changed.extend((at..).zip(window).take(changed));
        answer
    }

    /// Runs of changed bytes that follow one another, with the place of the first.
    fn runs(self) -> Vec<(usize, Vec<u8>)> {
        let mut runs: Vec<(usize, Vec<u8>)> = Vec::new();
        for (at, byte) in self.changed {
            match runs.last_mut() {
                Some((start, run)) if *start + run.len() == at => run.push(byte),
                _ => runs.push((at, vec![byte])),
            }
        }
        runs
    }
}

const BITFIELD: CommandSpec = CommandSpec {
    name: "bitfield",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update, KeyFlag::VariableFlags])
        .noted("Whether the key is written depends on the operations: GET alone only reads it")],
    large: Large::None,
    run: Run::Keys(bitfield),
    doc: Doc {
        summary: "Reads and changes integers of any width in a string.",
        since: "3.2.0",
        complexity: "O(1) for each operation.",
        syntax: "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] \
                 <SET encoding offset value:integer | INCRBY encoding offset increment>] ...",
        ..Doc::of(Group::Bitmap)
    },
};

fn bitfield(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if are_many(db, args) {
        return Ok(LongBitField::begin(false));
    }
    let operations = parse(args, db.bulk_len_max())?;
    let Some(last_byte) = operations.iter().filter(|one| one.writes()).map(Operation::last_byte).max() else {
        return only_read(db, args, &operations, reply);
    };
    let key = args.at(1);
    let found = db.find(key);
    let mut overlay = Overlay { string: db.string(&found)?, changed: BTreeMap::new() };
    let answers: Vec<Option<i64>> = operations.iter().map(|operation| overlay.apply(operation)).collect();
    // The string grows to the last field that a SET or INCRBY names, even if the field stays as it is.
    if overlay.string_len() <= last_byte {
        overlay.changed.entry(last_byte).or_insert(0);
    }
    // The last run first, so that the string grows once.
    let mut runs = overlay.runs().into_iter().rev();
    if let Some((at, run)) = runs.next() {
        db.write_range(found, at, &run)?;
        for (at, run) in runs {
            let found = db.find(key);
            db.write_range(found, at, &run)?;
        }
        db.changed(key, Event::SetBit);
    } else {
        db.be_edited(found)?;
    }
    reply_answers(&answers, reply);
    Ok(Flow::Done)
}

fn only_read(db: &mut Db<'_>, args: &Args<'_>, operations: &[Operation], reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let mut overlay = Overlay { string: db.string(&found)?, changed: BTreeMap::new() };
    let answers: Vec<Option<i64>> = operations.iter().map(|operation| overlay.apply(operation)).collect();
    reply_answers(&answers, reply);
    Ok(Flow::Done)
}

fn reply_answers(answers: &[Option<i64>], reply: &mut Reply) {
    reply.array(answers.len());
    for answer in answers {
        reply_answer(*answer, reply);
    }
}

fn reply_answer(answer: Option<i64>, reply: &mut Reply) {
    match answer {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

const BITFIELD_RO: CommandSpec = CommandSpec {
    name: "bitfield_ro",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])],
    large: Large::None,
    run: Run::Keys(bitfield_ro),
    doc: Doc {
        summary: "Reads integers of any width in a string.",
        since: "6.0.0",
        complexity: "O(1) for each operation.",
        syntax: "key [GET encoding offset [GET encoding offset ...]]",
        ..Doc::of(Group::Bitmap)
    },
};

fn bitfield_ro(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if are_many(db, args) {
        return Ok(LongBitField::begin(true));
    }
    let operations = parse(args, db.bulk_len_max())?;
    if operations.iter().any(Operation::writes) {
        return Err(only_reads());
    }
    only_read(db, args, &operations, reply)
}

fn only_reads() -> CommandError {
    CommandError::text_static("ERR BITFIELD_RO only supports the GET subcommand")
}

/// Bytes of a segment of the answers of very many operations.
const SEGMENT_BYTES: usize = 64 * 1024;
/// What an operation of three or four arguments costs when they are carried out at once, in the bytes of a slice.
const OPERATION_COST: usize = 256;
/// What reading it, or carrying it out, costs in slices: some 45 ns.
const OPERATION_COST_SLICED: usize = 64;

/// Operations that a slice reads or carries out.
fn operations_per_slice(db: &Db<'_>) -> usize {
    (db.slice_bytes() / OPERATION_COST_SLICED).max(1)
}

/// Whether a request of so many operations is to be carried out in slices.
fn are_many(db: &Db<'_>, args: &Args<'_>) -> bool {
    args.len() / 3 > db.slice_bytes() / OPERATION_COST
}

/// BITFIELD of very many operations. They are read twice rather than kept: first all to see whether they can be carried out,
/// then each when it is. What they write goes to the string apart from its key, and becomes its value at the end.
#[derive(Debug)]
struct LongBitField {
    only_reads: bool,
    operations: Operations,
    /// How many there are, as far as they have been read for the first time.
    count: usize,
    /// The last byte that any SET or INCRBY names.
    last_byte: Option<usize>,
    /// From when all have been read once.
    string: Option<LongString>,
    answers: Reply,
}

/// The string that operations see.
#[derive(Debug)]
enum LongString {
    Read(Snapshot),
    /// And whether it has changed.
    Written(Edit, bool),
}

impl LongBitField {
    fn begin(only_reads: bool) -> Flow {
        Flow::Sliced(Box::new(LongBitField {
            only_reads,
            operations: Operations::begin(),
            count: 0,
            last_byte: None,
            string: None,
            answers: Reply::new(),
        }))
    }

    /// Reads so many operations; whether those were all.
    fn read(&mut self, db: &Db<'_>, args: &Args<'_>, count: usize) -> Result<bool, CommandError> {
        for _ in 0..count {
            let Some(operation) = self.operations.next(args, db.bulk_len_max())? else { return Ok(true) };
            if operation.writes() {
                if self.only_reads {
                    return Err(only_reads());
                }
                self.last_byte = self.last_byte.max(Some(operation.last_byte()));
            }
            self.count += 1;
        }
        Ok(false)
    }

    /// Sets the string apart. It grows to the last field that is written at once.
    fn open(&mut self, db: &mut Db<'_>, key: &[u8]) -> Result<LongString, CommandError> {
        let Some(last_byte) = self.last_byte else {
            let found = db.read(key);
            return Ok(LongString::Read(db.string_apart(&found)?.unwrap_or_default()));
        };
        let found = db.find(key);
        let mut edit = db.begin_edit(&found)?;
        let grows = edit.len() <= last_byte;
        if grows {
            db.edit(&mut edit, last_byte, &[0])?;
        }
        Ok(LongString::Written(edit, grows))
    }
}

impl Sliced for LongBitField {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let (args, key) = (slice.args, slice.args.at(1));
        let mut db = slice.engine.keyspace.db(slice.db);
        let count = operations_per_slice(&db);
        let Some(string) = &mut self.string else {
            if self.read(&db, args, count)? {
                self.string = Some(self.open(&mut db, key)?);
                self.operations = Operations::begin();
                self.answers.protocol = slice.reply.protocol;
            }
            return Ok(Progress::More);
        };
        for _ in 0..count {
            let Some(operation) = self.operations.next(args, db.bulk_len_max())? else {
                if let Some(LongString::Written(edit, true)) = self.string.take() {
                    let found = db.find(key);
                    db.end_edit(found, edit)?;
                    db.changed(key, Event::SetBit);
                }
                slice.reply.array(self.count);
                slice.reply.append(std::mem::take(&mut self.answers));
                return Ok(Progress::Done);
            };
            let at = operation.first_byte();
            let mut window = match string {
                LongString::Read(string) => window_of(string.len(), at, |range| string.pieces(range)),
                LongString::Written(edit, _) => window_of(edit.len(), at, |range| edit.pieces(range)),
            };
            let (answer, changed) = operation.apply(&mut window);
            if let LongString::Written(edit, has_changed) = string
                && changed > 0
            {
                db.edit(edit, at, &window[..changed])?;
                *has_changed = true;
            }
            reply_answer(answer, &mut self.answers);
        }
        self.answers.seal(SEGMENT_BYTES);
        Ok(Progress::More)
    }

    fn end(&mut self, engine: &mut Engine) {
        engine.discard(std::mem::take(&mut self.answers));
    }
}

/// Whether a BITFIELD request only reads, as COMMAND GETKEYSANDFLAGS tells it: told from the words alone.
pub(in crate::commands) fn only_gets(request: &Args<'_>) -> bool {
    let mut index = 2;
    while index < request.len() {
        let following = request.len() - index - 1;
        if request.is(index, "get") && following >= 2 {
            index += 3;
        } else if request.is(index, "overflow") && following >= 1 {
            index += 2;
        } else {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests;
