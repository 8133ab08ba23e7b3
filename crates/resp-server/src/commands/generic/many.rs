//! Commands of very many keys: the long forms of MGET, EXISTS, TOUCH, DEL, UNLINK, MSET, MSETNX and MSETEX.
//!
//! Up to [`KEYS_AT_ONCE_MAX`] keys they are carried out at once, where they stand in their families' files. Beyond that they
//! go on in slices, hold each key from when they come to it to their end, and so seem to happen at one moment: that at which
//! they hold all of them.

use std::convert::Infallible;

use crate::engine::holds::{Access, KEYS_AT_ONCE_MAX};
use crate::engine::tasks::{BYTES_PER_SLICE, Holding, KEYS_PER_SLICE};
use crate::engine::{Progress, Slice, Sliced};
use crate::keyspace::{Db, Event, Ttl, check_key};
use crate::proto::{Args, CommandError, Reply};

use crate::commands::Flow;
use crate::commands::string::{Only, set_argument, set_with_ttl};

/// Keys that are fetched together before the first of them is looked up.
const KEYS_AHEAD: usize = 16;
/// Keys whose length a slice checks, some 2 ns each.
const CHECKS_PER_SLICE: usize = 16 * 1024;
/// What an entry takes beside its key and value: header, lengths, its share of the index.
const ENTRY_BYTES: u64 = 24;

/// Whether a request of so many keys is to be carried out in slices.
#[inline]
pub(in crate::commands) fn are_many(keys: usize) -> bool {
    keys > KEYS_AT_ONCE_MAX
}

/// The arguments of a request that are keys: every `step`th from `first` on, before `end`.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Keys {
    pub(in crate::commands) first: usize,
    pub(in crate::commands) end: usize,
    pub(in crate::commands) step: usize,
}

impl Keys {
    /// All arguments.
    pub(in crate::commands) fn all(args: &Args<'_>) -> Keys {
        Keys { first: 1, end: args.len(), step: 1 }
    }

    /// Keys that are followed by a value each.
    pub(in crate::commands) fn of_pairs(args: &Args<'_>) -> Keys {
        Keys { first: 1, end: args.len(), step: 2 }
    }

    /// Their arguments, to be looked up in this order: what some look-ups wait for overlaps.
    pub(in crate::commands) fn each<E>(
        self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        mut visit: impl FnMut(&mut Db<'_>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        (self.first..self.end).step_by(self.step).try_for_each(|at| {
            self.look_ahead(db, args, at);
            visit(db, at)
        })
    }

    /// The sum of what `visit` says of each.
    pub(super) fn sum(self, db: &mut Db<'_>, args: &Args<'_>, visit: impl Fn(&mut Db<'_>, &[u8]) -> i64) -> i64 {
        let mut sum = 0;
        let Ok(()) = self.each(db, args, |db, at| -> Result<(), Infallible> {
            sum += visit(db, args.at(at));
            Ok(())
        });
        sum
    }

    /// Fetches what the look-ups from argument `at` on will read, once for [`KEYS_AHEAD`] of them.
    #[inline]
    pub(super) fn look_ahead(self, db: &Db<'_>, args: &Args<'_>, at: usize) {
        let bite = self.step * KEYS_AHEAD;
        if (at - self.first).is_multiple_of(bite) && at + self.step < self.end {
            db.fetch((at..self.end.min(at + bite)).step_by(self.step).map(|at| args.at(at)));
        }
    }
}

/// Goes through all arguments of a request, which are keys, in slices. `visit` does what is to be done with one, and returns
/// what it adds to a sum; `finish` replies with the sum.
pub(in crate::commands) fn each_key(
    access: Access,
    visit: fn(&mut Db<'_>, &[u8], &mut Reply) -> i64,
    finish: fn(i64, &mut Reply),
) -> Flow {
    Flow::Sliced(Box::new(EachKey { access, visit, finish, next: 1, sum: 0 }))
}

#[derive(Debug)]
struct EachKey {
    access: Access,
    visit: fn(&mut Db<'_>, &[u8], &mut Reply) -> i64,
    finish: fn(i64, &mut Reply),
    /// The argument to go on with.
    next: usize,
    sum: i64,
}

impl Sliced for EachKey {
    fn holding(&self) -> Holding {
        Holding::AsItGoes(self.access)
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let end = slice.args.len().min(self.next + KEYS_PER_SLICE);
        let reply_max = slice.reply.len() + BYTES_PER_SLICE;
        while self.next < end && slice.reply.len() < reply_max {
            let key = slice.args.at(self.next);
            if !slice.take(key) {
                return Ok(Progress::Waits);
            }
            let mut db = slice.engine.keyspace.db(slice.db);
            Keys::all(slice.args).look_ahead(&db, slice.args, self.next);
            self.sum += (self.visit)(&mut db, key, slice.reply);
            self.next += 1;
        }
        if self.next < slice.args.len() {
            return Ok(Progress::More);
        }
        (self.finish)(self.sum, slice.reply);
        Ok(Progress::Done)
    }
}

/// What MSET, MSETNX and MSETEX have to do.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Pairs {
    /// The argument that is the first key.
    pub(in crate::commands) first: usize,
    /// The first argument behind the last value.
    pub(in crate::commands) end: usize,
    /// What must be true of all keys, or none is set.
    pub(in crate::commands) only: Option<Only>,
    /// The time to live of all.
    pub(in crate::commands) ttl: Ttl,
}

/// Sets pairs of arguments in slices, all or none. `finish` replies with whether they were set.
///
/// Whether there is memory for all is told before anything is written, as far as it can be.
pub(in crate::commands) fn set_pairs(pairs: Pairs, finish: fn(bool, &mut Reply)) -> Flow {
    let stage = if pairs.only.is_some() { Stage::Probe } else { Stage::Check };
    Flow::Sliced(Box::new(SetPairs { pairs, finish, stage, next: pairs.first, room: Room::default() }))
}

/// Room for what a request is about to change, asked for before the first change and used up as it goes on.
#[derive(Debug, Default)]
pub(in crate::commands) struct Room(u64);

impl Room {
    /// For so many entries, of `bytes` in all: those of the request they come from, most often, which is to the safe side. O(1).
    ///
    /// # Errors
    /// When there is not so much.
    pub(in crate::commands) fn ask(db: &Db<'_>, bytes: u64, entries: usize) -> Result<Room, CommandError> {
        Room::of_bytes(db, bytes + entries as u64 * ENTRY_BYTES)
    }

    /// For so many bytes.
    ///
    /// # Errors
    /// When there are not so many.
    pub(in crate::commands) fn of_bytes(db: &Db<'_>, bytes: u64) -> Result<Room, CommandError> {
        if db.has_room(bytes) { Ok(Room(bytes)) } else { Err(CommandError::OutOfMemory) }
    }

    /// An entry of so many bytes is written.
    pub(in crate::commands) fn spend(&mut self, bytes: usize) {
        self.spend_bytes(bytes as u64 + ENTRY_BYTES);
    }

    /// So many bytes are written.
    pub(in crate::commands) fn spend_bytes(&mut self, bytes: u64) {
        self.0 = self.0.saturating_sub(bytes);
    }

    /// Bytes that are left.
    pub(in crate::commands) fn left(&self) -> u64 {
        self.0
    }
}

/// An error if there is no memory for the pairs of a request.
pub(in crate::commands) fn check_room(db: &Db<'_>, args: &Args<'_>) -> Result<(), CommandError> {
    Room::ask(db, args.extent() as u64, args.len() / 2).map(|_| ())
}

#[derive(Debug)]
struct SetPairs {
    pairs: Pairs,
    finish: fn(bool, &mut Reply),
    stage: Stage,
    /// The key, by its argument, to go on with.
    next: usize,
    room: Room,
}

/// What is done with each key in turn before the next stage begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Whether it is there, if that matters.
    Probe,
    /// Whether its length is one that a key may have.
    Check,
    /// It is set.
    Set,
}

impl Sliced for SetPairs {
    fn holding(&self) -> Holding {
        Holding::AsItGoes(Access::Write)
    }

    fn room(&self) -> u64 {
        self.room.left()
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let args = slice.args;
        let keys_max = match self.stage {
            Stage::Check => CHECKS_PER_SLICE,
            Stage::Probe | Stage::Set => KEYS_PER_SLICE,
        };
        let Pairs { first, end: pairs_end, only, ttl } = self.pairs;
        let keys = Keys { first, end: pairs_end, step: 2 };
        let end = pairs_end.min(self.next + 2 * keys_max);
        let mut bytes = 0;
        while self.next < end && bytes < BYTES_PER_SLICE {
            let key = args.at(self.next);
            match self.stage {
                Stage::Check => check_key(key)?,
                Stage::Probe | Stage::Set if !slice.take(key) => return Ok(Progress::Waits),
                Stage::Probe => {
                    keys.look_ahead(&slice.db(), args, self.next);
                    if only.is_some_and(|only| only.refuses(slice.db().find(key).exists())) {
                        (self.finish)(false, slice.reply);
                        return Ok(Progress::Done);
                    }
                    bytes += key.len();
                }
                Stage::Set => {
                    let db = &mut slice.db();
                    keys.look_ahead(db, args, self.next);
                    let found = db.find(key);
                    set_with_ttl(db, key, found, (args, self.next + 1), ttl)?;
                    let pair_len = key.len() + args.at(self.next + 1).len();
                    self.room.spend(pair_len);
                    bytes += pair_len;
                }
            }
            self.next += 2;
        }
        if self.next < pairs_end {
            return Ok(Progress::More);
        }
        self.next = first;
        self.stage = match self.stage {
            Stage::Probe => Stage::Check,
            Stage::Check => {
                self.room = Room::ask(&slice.db(), args.extent() as u64, args.len() / 2)?;
                Stage::Set
            }
            Stage::Set => {
                (self.finish)(true, slice.reply);
                return Ok(Progress::Done);
            }
        };
        Ok(Progress::More)
    }
}

/// Sets one of many strings: argument `index` to the one behind it.
pub(in crate::commands) fn set(db: &mut Db<'_>, args: &Args<'_>, index: usize) -> Result<(), CommandError> {
    let key = args.at(index);
    let found = db.find(key);
    set_argument(db, found, args, index + 1, Ttl::Clear)?;
    db.changed(key, Event::Set);
    Ok(())
}
