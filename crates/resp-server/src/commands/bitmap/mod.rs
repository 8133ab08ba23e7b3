//! Commands about the bits of a string: one bit, or the bits of a range. BITFIELD and BITOP have files of their own,
//! [`bitfield`] and [`bitop`]; the arithmetic is [`bits`](crate::bits)'s.
//!
//! Bit 0 is the most significant bit of byte 0. SETBIT costs the byte that it writes, whatever the string's length.

pub mod bitfield;
pub mod bitop;

use std::ops::Range;

use super::arguments::integer;
use super::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use super::string::long::{self, Computation};
use crate::bits::count::Count;
use crate::bits::position::Position;
use crate::bits::{bytes_of, covered, from_its_first_byte};
use crate::keyspace::{Db, Event, Found, Snapshot};
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&SETBIT, &GETBIT, &BITCOUNT, &BITPOS];

const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];

/// A bit's place in a string. With `width`, `#n` is the place of the n-th field of so many bits.
pub(super) fn bit_offset(arg: &[u8], width: Option<u32>, bulk_len_max: u64) -> Result<u64, CommandError> {
    let offset = match (arg, width) {
        // Redis multiplies modulo 2^64, too.
        ([b'#', number @ ..], Some(width)) => parse_i64(number).map(|number| number.wrapping_mul(i64::from(width))),
        _ => parse_i64(arg),
    };
    offset
        .and_then(|offset| u64::try_from(offset).ok())
        .filter(|offset| offset / 8 < bulk_len_max)
        .ok_or(CommandError::text_static("ERR bit offset is not an integer or out of range"))
}

/// Which bit of its byte, as a mask.
fn mask(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

/// The byte at `at` of the string that was found, and whether there is one; 0 if there is none.
fn byte_at(db: &Db<'_>, found: &Found<'_>, at: usize) -> Result<(u8, bool), CommandError> {
    let value = db.string(found)?.filter(|value| at < value.len());
    Ok(value.map_or((0, false), |value| (value.byte(at), true)))
}

const SETBIT: CommandSpec = CommandSpec {
    name: "setbit",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update])],
    large: Large::None,
    run: Run::Keys(setbit),
    doc: Doc {
        summary: "Sets or clears a bit of a string, which grows with zeros as far as need be, and returns what it was.",
        since: "2.2.0",
        complexity: "O(1)",
        syntax: "key offset value:integer",
        ..Doc::of(Group::Bitmap)
    },
};

fn setbit(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let offset = bit_offset(args.at(2), None, db.bulk_len_max())?;
    let on = match parse_i64(args.at(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(CommandError::text_static("ERR bit is not an integer or out of range")),
    };
    let found = db.find(key);
    let at = (offset / 8) as usize;
    let (old, exists) = byte_at(db, &found, at)?;
    let new = if on { old | mask(offset) } else { old & !mask(offset) };
    if new != old || !exists {
        db.write_range(found, at, &[new])?;
        db.changed(key, Event::SetBit);
    } else {
        db.be_edited(found)?;
    }
    reply.integer(i64::from(old & mask(offset) != 0));
    Ok(Flow::Done)
}

const GETBIT: CommandSpec = CommandSpec {
    name: "getbit",
    arity: Arity::Exactly(3),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(getbit),
    doc: Doc {
        summary: "Returns a bit of a string.",
        since: "2.2.0",
        complexity: "O(1)",
        syntax: "key offset",
        ..Doc::of(Group::Bitmap)
    },
};

fn getbit(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let offset = bit_offset(args.at(2), None, db.bulk_len_max())?;
    let found = db.read(args.at(1));
    let (byte, _) = byte_at(db, &found, (offset / 8) as usize)?;
    reply.integer(i64::from(byte & mask(offset) != 0));
    Ok(Flow::Done)
}

/// Whether a range counts bits rather than bytes, by argument `index`, if that is there.
fn counts_bits(args: &Args<'_>, index: usize) -> Result<bool, CommandError> {
    match args.get(index) {
        None => Ok(false),
        Some(_) if args.is(index, "byte") => Ok(false),
        Some(_) if args.is(index, "bit") => Ok(true),
        Some(_) => Err(CommandError::Syntax),
    }
}

/// Slices of 256 KiB: counting and searching go through 64 KiB in 4 us, 11 us from cold memory.
const FACTOR: usize = 4;

/// The bits of a string of `len` bytes that `start` and `end` cover.
fn bits_covered(start: i64, end: i64, in_bits: bool, len: usize) -> Range<u64> {
    if in_bits {
        covered(start, end, 8 * len as u64)
    } else {
        let bytes = covered(start, end, len as u64);
        8 * bytes.start..8 * bytes.end
    }
}

/// The bytes of the string that was found in which the bits of a range lie, apart from the store, and the range as seen from the
/// first of them.
fn bits_apart(db: &mut Db<'_>, found: &Found<'_>, bits: &Range<u64>) -> Result<(Snapshot, Range<u64>), CommandError> {
    let bytes = db.snapshot(found, bytes_of(bits))?.unwrap_or_default();
    Ok((bytes, from_its_first_byte(bits)))
}

const BITCOUNT: CommandSpec = CommandSpec {
    name: "bitcount",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(bitcount),
    doc: Doc {
        summary: "Counts the bits of a string that are set.",
        since: "2.6.0",
        complexity: "O(N) in the bytes looked at.",
        syntax: "key [start end [BYTE | BIT]]",
        ..Doc::of(Group::Bitmap)
    },
};

fn bitcount(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let range = match args.len() {
        2 => None,
        4 | 5 => Some((integer(args.at(2))?, integer(args.at(3))?, counts_bits(args, 4)?)),
        _ => return Err(CommandError::Syntax),
    };
    let found = db.read(args.at(1));
    let len = db.string(&found)?.map_or(0, |value| value.len());
    let bits = match range {
        None => 0..8 * len as u64,
        // Both from the end and the wrong way round is nothing, even where both lie before the first byte.
        Some((start, end, _)) if start < 0 && end < 0 && start > end => 0..0,
        Some((start, end, in_bits)) => bits_covered(start, end, in_bits, len),
    };
    let (bytes, bits) = bits_apart(db, &found, &bits)?;
    Ok(long::compute(db, Count::new(bytes, bits), reply))
}

impl Computation for Count {
    const FACTOR: usize = FACTOR;

    fn step(&mut self, bytes: usize, reply: &mut Reply) -> bool {
        let is_done = Count::step(self, bytes);
        if is_done {
            reply.integer(self.ones() as i64);
        }
        is_done
    }
}

const BITPOS: CommandSpec = CommandSpec {
    name: "bitpos",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(bitpos),
    doc: Doc {
        summary: "Finds the first bit of a string that is set, or clear.",
        since: "2.8.7",
        complexity: "O(N) in the bytes looked at.",
        syntax: "key bit:integer [start [end [BYTE | BIT]]]",
        ..Doc::of(Group::Bitmap)
    },
};

fn bitpos(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let bit = match integer(args.at(2))? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::text_static("ERR The bit argument must be 1 or 0.")),
    };
    if args.len() > 6 {
        return Err(CommandError::Syntax);
    }
    let start = args.get(3).map_or(Ok(0), integer)?;
    let in_bits = counts_bits(args, 5)?;
    let end = args.get(4).map(integer).transpose()?;
    let found = db.read(args.at(1));
    let Some(len) = db.string(&found)?.map(|value| value.len()) else {
        // As if it were zeros without end.
        reply.integer(if bit { -1 } else { 0 });
        return Ok(Flow::Done);
    };
    let bits = bits_covered(start, end.unwrap_or(-1), in_bits, len);
    let before = bits.start / 8 * 8;
    let (bytes, range) = bits_apart(db, &found, &bits)?;
    let position = Position::new(bytes, range, bit);
    // Who names no end sees zeros behind the string, but only from within it.
    let otherwise = if !bit && end.is_none() && !bits.is_empty() { bits.end as i64 } else { -1 };
    Ok(long::compute(db, Search { position, before, otherwise }, reply))
}

/// BITPOS under way.
#[derive(Debug)]
struct Search {
    position: Position,
    /// Bits of the string before those that are searched.
    before: u64,
    /// The answer if there is no such bit.
    otherwise: i64,
}

impl Computation for Search {
    const FACTOR: usize = FACTOR;

    fn step(&mut self, bytes: usize, reply: &mut Reply) -> bool {
        let is_done = self.position.step(bytes);
        if is_done {
            reply.integer(self.position.found().map_or(self.otherwise, |place| (self.before + place) as i64));
        }
        is_done
    }
}

#[cfg(test)]
mod tests;
