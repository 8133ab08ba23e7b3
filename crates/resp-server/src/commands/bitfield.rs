//! BITFIELD: integers of any width anywhere in a string.
//!
//! All operations are read before the first is carried out. Then each one sees what those before it did, but the string is written
//! only at the end: the bytes that change gather in an overlay over the string, and a run of them is one write. So an operation
//! costs the nine bytes at most that its field touches, whatever the string's length.

use std::collections::BTreeMap;

use super::arguments::integer;
use super::bitmap::bit_offset;
use super::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::bits::field::{FieldType, Overflow, WINDOW_BYTES, Window};
use crate::keyspace::{Db, Event, StringValue};
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

    /// The field's last byte.
    fn last_byte(&self) -> usize {
        ((self.offset + u64::from(self.field.bits()) - 1) / 8) as usize
    }
}

/// Reads all operations of a request; what OVERFLOW says holds for those behind it.
fn parse(args: &Args<'_>, bulk_len_max: u64) -> Result<Vec<Operation>, CommandError> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::default();
    let mut index = 2;
    while index < args.len() {
        let following = args.len() - index - 1;
        let value_at = if args.is(index, "get") && following >= 2 {
            None
        } else if (args.is(index, "set") || args.is(index, "incrby")) && following >= 3 {
            Some(index + 3)
        } else if args.is(index, "overflow") && following >= 1 {
            overflow = overflow_named(args, index + 1)?;
            index += 2;
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
        operations.push(Operation { act, field, offset, overflow });
        index += 3 + usize::from(value.is_some());
    }
    Ok(operations)
}

fn overflow_named(args: &Args<'_>, index: usize) -> Result<Overflow, CommandError> {
    [("wrap", Overflow::Wrap), ("sat", Overflow::Saturate), ("fail", Overflow::Fail)]
        .into_iter()
        .find_map(|(name, overflow)| args.is(index, name).then_some(overflow))
        .ok_or(CommandError::text_static("ERR Invalid OVERFLOW type specified"))
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
        let mut window = [0; WINDOW_BYTES];
        if let Some(string) = self.string.as_ref().filter(|string| at < string.len()) {
            let range = at..string.len().min(at + WINDOW_BYTES);
            window.iter_mut().zip(string.pieces(range).flatten()).for_each(|(byte, &old)| *byte = old);
        }
        for (&changed, &byte) in self.changed.range(at..at + WINDOW_BYTES) {
            window[changed - at] = byte;
        }
        window
    }

    /// Carries out one operation; what it answers.
    fn apply(&mut self, operation: &Operation) -> Option<i64> {
        let Operation { act, field, offset, overflow } = operation;
        let (at, shift) = ((offset / 8) as usize, (offset % 8) as u32);
        let mut window = self.window(at);
        let old = field.get(&window, shift);
        let (new, answer) = match *act {
            Act::Get => return Some(old),
            Act::Set(value) => (field.fitted(value, *overflow)?, old),
            Act::Add(increment) => {
                let sum = field.sum(old, increment, *overflow)?;
                (sum, sum)
            }
        };
        if new != old {
            field.set(&mut window, shift, new);
            self.changed.extend((at..).zip(window).take(field.bytes(shift)));
        }
        Some(answer)
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
        match answer {
            Some(number) => reply.integer(*number),
            None => reply.null(),
        }
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
    let operations = parse(args, db.bulk_len_max())?;
    if operations.iter().any(Operation::writes) {
        return Err(CommandError::text_static("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    only_read(db, args, &operations, reply)
}

/// Whether a BITFIELD request only reads, as COMMAND GETKEYSANDFLAGS tells it: told from the words alone.
pub(super) fn only_gets(request: &Args<'_>) -> bool {
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
#[path = "bitfield/tests.rs"]
mod tests;
