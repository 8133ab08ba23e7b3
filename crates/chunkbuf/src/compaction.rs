//! The three-buffer scheme: a log that gets rid of its dead entries a step at a time.
//!
//! ```text
//!                    a pass                                        the end of the pass
//!
//!   source (A)   ┌──released──┬─▼──live, dead, live, ...──┐        (nothing left)
//!                └────────────┴───────────────────────────┘
//!                     copy │ the live ones, in order
//!                          v
//!   target (B)   ┌────────────▼···promised length···┐ pad ┐        ┌────────────────────┬───┬───────────┐
//!                └──────────────────────────────────┴─────┤   =>   │ B                  │pad│ C         │
//!   staging (C)                                           ├──────▼ └────────────────────┴───┴───────────┘
//!                 new entries: their offsets are final    └──────    the source of the next pass
//! ```
//!
//! * The **target**'s final length is known when the pass begins: the live bytes of the source at that moment. So the offset at
//!   which **staging** will stand behind it is known as well, and staging hands out final locations from its first entry. A
//!   location's generation tells the source from target and staging; the end of a pass moves chunks and copies nothing.
//! * An entry of the source that is removed during the pass becomes a **tombstone**: it is still copied, and dead in the target.
//!   Otherwise the target would come out shorter than promised.
//! * A step stops where its budget ends, in the middle of an entry if need be.
//! * Chunks of the source return to the pool as soon as the pass has left them behind.
//!
//! Invariants, asserted at every pass:
//! 1. between two entries, `target.end + source.live + source.tombstoned = promised`;
//! 2. when the source is used up, `target.end = promised`;
//! 3. staging starts at the capacity end of the target.

use crate::buffer::{Buffer, RawEntry, next_chunk_size};
use crate::chunk::ChunkSize;
use crate::entry::Flags;
use crate::index::{Index, IndexMemory};
use crate::location::{Generation, Location, Offset};
use crate::pool::{OutOfMemory, Pool, Purpose};
use crate::sizing;
use crate::usage::LogUsage;

/// What a step may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes copied, and bytes of chunks given back.
    pub bytes: u64,
    /// Entries looked at: each live one counts 4, each dead one 1, as a live one costs its index line as well.
    pub entries: u32,
}

impl Budget {
    /// A step of about 50 us: 48 KiB, 160 live entries or 640 dead ones.
    pub const STEP: Budget = Budget { bytes: 48 * 1024, entries: 640 };
    /// No bound: for tests and for whoever has the time.
    pub const UNLIMITED: Budget = Budget { bytes: u64::MAX, entries: u32::MAX };

    /// Whether nothing may be done any more.
    pub fn is_spent(&self) -> bool {
        self.bytes == 0 || self.entries == 0
    }

    fn spend(&mut self, bytes: u64, entries: u32) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.entries = self.entries.saturating_sub(entries);
    }
}

const LIVE_ENTRY_COST: u32 = 4;
/// Entries whose index lines are loaded together.
const BATCH: usize = 32;
/// An entry above this length is copied piece by piece.
const WHOLE_ENTRY_MAX: u64 = 16 * 1024;

/// The longest log: a pass rounds its length up to whole chunks, and what stands behind them needs offsets as well.
pub(crate) const LOG_LEN_MAX: u64 = Offset::MAX.get() - ChunkSize::MAX.bytes();

/// A log with a compaction that may be under way.
#[derive(Debug)]
pub(crate) struct Log {
    /// All entries while no pass runs; the source of the pass while one does.
    source: Buffer,
    /// The generation of locations in `source`.
    generation: Generation,
    state: State,
}

/// Where the compaction stands between two steps.
#[derive(Debug)]
enum State {
    /// No pass runs.
    Idle,
    /// Between two entries of the source.
    Scanning(Pass),
    /// In the middle of an entry of the source.
    Copying(Pass, InFlight),
}

/// A pass: what exists while one runs.
#[derive(Debug)]
struct Pass {
    target: Buffer,
    staging: Buffer,
    /// The target's length when the pass is over.
    promised: u64,
    chunk_size: ChunkSize,
}

/// The entry that is being copied: the first of the source, half of it behind the target's last complete entry.
#[derive(Debug)]
struct InFlight {
    hash: u64,
    target: Offset,
    len: u64,
    copied: u64,
}

/// What a log needs of its store while it works.
pub(crate) struct Workshop<'a> {
    pub(crate) pool: &'a mut Pool,
    pub(crate) index: &'a mut Index,
    pub(crate) memory: &'a mut IndexMemory,
    pub(crate) hash: &'a dyn Fn(&[u8]) -> u64,
    pub(crate) scratch: &'a mut Vec<u8>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The budget is spent; the pass goes on.
    More,
    /// The pass is over.
    Finished,
    /// The pool has no chunk for the target; the pass goes on when it has.
    NoMemory,
}

impl Log {
    /// An empty log; takes no memory.
    pub(crate) fn new() -> Log {
        Log { source: Buffer::starting_at(Offset::new(0)), generation: Generation::default(), state: State::Idle }
    }

    /// The books of all three buffers together.
    pub(crate) fn usage(&self) -> LogUsage {
        match &self.state {
            State::Idle => *self.source.usage(),
            State::Scanning(pass) | State::Copying(pass, _) => {
                *self.source.usage() + *pass.target.usage() + *pass.staging.usage()
            }
        }
    }

    /// Bytes that the pass, if one runs, has still to write to the target, and the size of its chunks.
    pub(crate) fn left_to_copy(&self) -> Option<(u64, ChunkSize)> {
        match &self.state {
            State::Idle => None,
            State::Scanning(pass) | State::Copying(pass, _) => {
                Some((pass.promised - pass.target.end().get(), pass.chunk_size))
            }
        }
    }

    /// Whether a pass runs.
    pub(crate) fn in_pass(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Appends an entry: behind the log, or to staging while a pass runs.
    pub(crate) fn append(
        &mut self,
        pool: &mut Pool,
        p: f64,
        flags: Flags,
        key: &[u8],
        parts: &[&[u8]],
    ) -> Result<Location, OutOfMemory> {
        let held = self.usage().entry_bytes() + parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let (buffer, generation) = match &mut self.state {
            State::Idle => (&mut self.source, self.generation),
            State::Scanning(pass) | State::Copying(pass, _) => (&mut pass.staging, self.generation.other()),
        };
        let size = next_chunk_size(buffer, held, p);
        let offset = buffer.append(pool, size, flags, key, parts)?;
        Ok(Location::new(generation, offset))
    }

    /// The write offset: the end of the log as a location would count it.
    pub(crate) fn end(&self) -> Offset {
        match &self.state {
            State::Idle => self.source.end(),
            State::Scanning(pass) | State::Copying(pass, _) => pass.staging.end(),
        }
    }

    /// The entry at `location`.
    #[inline]
    pub(crate) fn entry(&self, location: Location) -> RawEntry<'_> {
        self.buffer_of(location).entry(location.offset())
    }

    /// Has the first bytes of an entry brought to the cache.
    #[inline]
    pub(crate) fn prefetch(&self, location: Location) {
        self.buffer_of(location).prefetch(location.offset());
    }

    #[inline]
    fn buffer_of(&self, location: Location) -> &Buffer {
        match &self.state {
            State::Scanning(pass) | State::Copying(pass, _) if location.generation() != self.generation => {
                if location.offset() < pass.staging.start() { &pass.target } else { &pass.staging }
            }
            _ => {
                debug_assert_eq!(location.generation(), self.generation);
                &self.source
            }
        }
    }

    #[inline]
    fn buffer_of_mut(&mut self, location: Location) -> &mut Buffer {
        match &mut self.state {
            State::Scanning(pass) | State::Copying(pass, _) if location.generation() != self.generation => {
                if location.offset() < pass.staging.start() { &mut pass.target } else { &mut pass.staging }
            }
            _ => &mut self.source,
        }
    }

    /// Marks the live entry at `location` as removed; returns its length.
    pub(crate) fn remove(&mut self, location: Location) -> u64 {
        let from_source = location.generation() == self.generation;
        let in_pass = self.in_pass();
        let buffer = self.buffer_of_mut(location);
        let (header, _) = buffer.header(location.offset());
        if in_pass && from_source {
            // The pass has not left this entry behind, or the index would know its copy: it is still to be copied.
            buffer.mark_tombstone(location.offset(), header.entry_len());
        } else {
            buffer.mark_deleted(location.offset(), header.entry_len());
        }
        header.entry_len()
    }

    /// Overwrites a part of a value in place. `false`: a reader pins it.
    pub(crate) fn overwrite(&mut self, pool: &mut Pool, location: Location, at: usize, bytes: &[u8]) -> bool {
        let entry = self.entry(location);
        let room = entry.value_len().checked_sub(at);
        assert!(room.is_some_and(|room| bytes.len() <= room), "the range is within the value");
        let within = entry.value_at() + at as u64;
        self.overwrite_within(pool, location, within, bytes)
    }

    /// Overwrites a value in place from `at` to its end, if `bytes` are as many. `false`: they are not, or a reader pins it.
    #[inline]
    pub(crate) fn rewrite(&mut self, pool: &mut Pool, location: Location, at: usize, bytes: &[u8]) -> bool {
        let entry = self.entry(location);
        let within = entry.value_at() + at as u64;
        entry.value_len() == at + bytes.len() && self.overwrite_within(pool, location, within, bytes)
    }

    /// Overwrites bytes of an entry, counted from its start; in its copy as well if a step is moving it.
    #[inline]
    fn overwrite_within(&mut self, pool: &mut Pool, location: Location, within: u64, bytes: &[u8]) -> bool {
        if !self.buffer_of_mut(location).overwrite(pool, location.offset().get() + within, bytes) {
            return false;
        }
        if let State::Copying(pass, flight) = &mut self.state
            && location.generation() == self.generation
            && location.offset() == self.source.start()
            && within < flight.copied
        {
            let copied = bytes.len().min((flight.copied - within) as usize);
            pass.target.overwrite_copy(flight.target.get() + within, &bytes[..copied]);
        }
        true
    }

    /// A part of a value by reference.
    pub(crate) fn pin(&mut self, pool: &mut Pool, location: Location, at: usize, len: usize) -> Vec<bytes::Bytes> {
        let entry = self.entry(location);
        let room = entry.value().len().checked_sub(at);
        assert!(room.is_some_and(|room| len <= room), "the range is within the value");
        let offset = location.offset().get() + entry.value_at() + at as u64;
        self.buffer_of_mut(location).pin(pool, offset, len)
    }

    /// Begins a pass. Takes no memory yet.
    pub(crate) fn begin_pass(&mut self, p: f64) {
        assert!(!self.in_pass(), "one pass at a time");
        let promised = self.source.usage().live_bytes;
        assert_eq!(self.source.usage().tombstoned_bytes, 0, "no tombstone outside a pass");
        let chunk_size = sizing::chunk_size(promised, p, self.source.last_chunk_size());
        self.state = State::Scanning(Pass {
            target: Buffer::starting_at(Offset::new(0)),
            staging: Buffer::starting_at(target_capacity(promised, chunk_size)),
            promised,
            chunk_size,
        });
    }

    /// Goes on with the pass, up to the budget. When no pass runs, it is finished.
    pub(crate) fn step(&mut self, shop: &mut Workshop<'_>, budget: &mut Budget) -> Progress {
        loop {
            let outcome = match &self.state {
                State::Idle => return Progress::Finished,
                State::Scanning(_) if self.source.start() == self.source.end() => {
                    self.finish(shop.pool);
                    return Progress::Finished;
                }
                _ if budget.is_spent() => return Progress::More,
                State::Scanning(_) => self.scan(shop, budget),
                State::Copying(..) => self.copy_on(shop, budget),
            };
            if outcome.is_err() {
                return Progress::NoMemory;
            }
        }
    }

    /// Handles a row of entries at the front of the source: dead ones are dropped, small ones copied together. A long one
    /// becomes the entry in flight.
    fn scan(&mut self, shop: &mut Workshop<'_>, budget: &mut Budget) -> Result<(), OutOfMemory> {
        let State::Scanning(pass) = &mut self.state else { unreachable!("scan is for Scanning") };
        let source = &mut self.source;

        // Choose: which entries, within what the budget allows.
        let mut batch = [Moving::default(); BATCH];
        let mut chosen = 0;
        let mut offset = source.start().get();
        let mut planned = *budget;
        let mut copied = 0;
        let mut long = None;
        while chosen < BATCH && offset < source.end().get() && !planned.is_spent() {
            let at = Offset::new(offset);
            let (header, _) = source.header(at);
            let len = header.entry_len();
            let mut moving = Moving { len, flags: header.flags, hash: 0 };
            if moving.copied() > WHOLE_ENTRY_MAX || moving.copied() > planned.bytes {
                long = Some(len);
                break;
            }
            if header.flags.is_live() {
                moving.hash = (shop.hash)(source.entry(at).key().as_slice(shop.scratch));
                shop.index.prefetch(shop.memory, moving.hash);
            }
            planned.spend(moving.copied(), moving.cost());
            copied += moving.copied();
            batch[chosen] = moving;
            chosen += 1;
            offset += len;
        }

        // Act: the memory first, then one entry after another. Without memory go on as far as none is needed: what is dropped
        // may give some back.
        if let Err(error) = pass.grow(shop.pool, copied) {
            let room = pass.target.capacity_end().get() - pass.target.end().get();
            chosen = fitting(&batch[..chosen], room);
            if chosen == 0 {
                return Err(error);
            }
            long = None;
            planned = *budget;
            batch[..chosen].iter().for_each(|moving| planned.spend(moving.copied(), moving.cost()));
        }
        for moving in &batch[..chosen] {
            let from = source.start();
            if !moving.flags.is_deleted() {
                let to = pass.target.end();
                pass.target.extend(source.slices(from.get(), moving.len as usize));
                pass.target.count_moved(moving.len);
                if moving.flags.is_live() {
                    let from = Location::new(self.generation, from);
                    let to = Location::new(self.generation.other(), to);
                    let moved = shop.index.relocate(shop.memory, moving.hash, from, to);
                    assert!(moved, "the index knows every live entry");
                } else {
                    pass.target.bury_tombstone(to, moving.len);
                }
            }
            source.consume(shop.pool, moving.len, moving.flags);
        }
        *budget = planned;
        if let Some(len) = long {
            let hash = (shop.hash)(source.entry(source.start()).key().as_slice(shop.scratch));
            let flight = InFlight { hash, target: pass.target.end(), len, copied: 0 };
            let State::Scanning(pass) = std::mem::replace(&mut self.state, State::Idle) else {
                unreachable!("scan is for Scanning")
            };
            self.state = State::Copying(pass, flight);
        } else {
            self.check_promise();
        }
        Ok(())
    }

    /// Copies as much of the entry in flight as the budget allows, and completes it when it is whole.
    fn copy_on(&mut self, shop: &mut Workshop<'_>, budget: &mut Budget) -> Result<(), OutOfMemory> {
        let State::Copying(pass, flight) = &mut self.state else { unreachable!("copy_on is for Copying") };
        let piece = (flight.len - flight.copied).min(budget.bytes);
        pass.grow(shop.pool, piece)?;
        let from = self.source.start().get() + flight.copied;
        pass.target.extend(self.source.slices(from, piece as usize));
        flight.copied += piece;
        budget.spend(piece, 0);
        if flight.copied < flight.len {
            return Ok(());
        }
        budget.spend(0, LIVE_ENTRY_COST);
        pass.target.count_moved(flight.len);
        // What happened to the entry while it was copied is written in the source's header.
        let at = self.source.start();
        let (header, _) = self.source.header(at);
        if header.flags.is_live() {
            let from = Location::new(self.generation, at);
            let to = Location::new(self.generation.other(), flight.target);
            let moved = shop.index.relocate(shop.memory, flight.hash, from, to);
            assert!(moved, "the index knows every live entry");
        } else {
            pass.target.bury_tombstone(flight.target, flight.len);
        }
        self.source.consume(shop.pool, flight.len, header.flags);
        let State::Copying(pass, _) = std::mem::replace(&mut self.state, State::Idle) else {
            unreachable!("copy_on is for Copying")
        };
        self.state = State::Scanning(pass);
        self.check_promise();
        Ok(())
    }

    /// Invariant 1.
    fn check_promise(&self) {
        if let State::Scanning(pass) = &self.state {
            let source = self.source.usage();
            assert_eq!(
                pass.target.end().get() + source.live_bytes + source.tombstoned_bytes,
                pass.promised,
                "what is copied and what is still to be copied make up the promised length"
            );
        }
    }

    /// Puts staging behind the target and makes both the source of the next pass.
    fn finish(&mut self, pool: &mut Pool) {
        let State::Scanning(Pass { mut target, staging, promised, .. }) =
            std::mem::replace(&mut self.state, State::Idle)
        else {
            unreachable!("a pass ends between two entries")
        };
        assert_eq!(target.end().get(), promised, "the target's write offset is what was promised");
        assert_eq!(target.capacity_end(), staging.start(), "staging starts where the target's chunks end");
        let gone = self.source.discard(pool, usize::MAX);
        assert!(gone, "the source keeps no chunk");
        target.splice(staging);
        self.source = target;
        self.generation = self.generation.other();
    }

    /// The buffers of a log that nobody needs any more, for giving their chunks back.
    pub(crate) fn into_buffers(self) -> Vec<Buffer> {
        match self.state {
            State::Idle => vec![self.source],
            State::Scanning(pass) | State::Copying(pass, _) => vec![self.source, pass.target, pass.staging],
        }
    }

    /// Panics when an invariant does not hold. Cost: all entries.
    pub(crate) fn audit(&self) {
        self.source.audit();
        match &self.state {
            State::Idle => assert_eq!(self.source.usage().tombstoned_bytes, 0, "no tombstone outside a pass"),
            State::Scanning(pass) => {
                pass.target.audit();
                pass.staging.audit();
                self.check_promise();
            }
            // The target ends in a half-copied entry, which no equation covers yet.
            State::Copying(pass, flight) => {
                pass.staging.audit();
                assert!(flight.copied < flight.len);
                assert_eq!(pass.target.end().get(), flight.target.get() + flight.copied);
            }
        }
    }
}

impl Pass {
    /// Takes the target's next chunks, so that `len` more bytes fit.
    fn grow(&mut self, pool: &mut Pool, len: u64) -> Result<(), OutOfMemory> {
        while self.target.capacity_end().get() - self.target.end().get() < len {
            let left = self.promised - self.target.capacity_end().get();
            let size = if left >= self.chunk_size.bytes() { self.chunk_size } else { ChunkSize::at_least(left) };
            self.target.add_chunk(pool, size, Purpose::Compaction)?;
        }
        Ok(())
    }
}

/// How many of the entries can be handled when the target has room for so many bytes.
fn fitting(batch: &[Moving], mut room: u64) -> usize {
    let fits = |moving: &&Moving| {
        let fits = moving.copied() <= room;
        room = room.saturating_sub(moving.copied());
        fits
    };
    batch.iter().take_while(fits).count()
}

/// Where a target of so many bytes ends: all of its chunks have one size but the last, which is the smallest that holds
/// the rest.
fn target_capacity(promised: u64, chunk_size: ChunkSize) -> Offset {
    let rest = promised % chunk_size.bytes();
    let last = if rest == 0 { 0 } else { ChunkSize::at_least(rest).bytes() };
    Offset::new(promised - rest + last)
}

/// An entry that a batch moves or drops.
#[derive(Clone, Copy, Default)]
struct Moving {
    len: u64,
    flags: Flags,
    hash: u64,
}

impl Moving {
    /// Bytes that it takes in the target.
    fn copied(&self) -> u64 {
        if self.flags.is_deleted() { 0 } else { self.len }
    }

    /// What it takes of a budget's entries.
    fn cost(&self) -> u32 {
        if self.flags.is_deleted() { 1 } else { LIVE_ENTRY_COST }
    }
}

#[cfg(test)]
mod tests;
