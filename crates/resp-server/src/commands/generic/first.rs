//! Commands that take something from the first of their keys that has it: LMPOP, ZMPOP.
//!
//! Up to [`KEYS_AT_ONCE_MAX`](crate::engine::holds::KEYS_AT_ONCE_MAX) keys are looked at at once. More are in slices, each held from
//! when it is looked at, so that all seem to be looked at in one moment.

use std::fmt::Debug;
use std::ops::Range;

use super::many::{Keys, are_many};
use crate::commands::{Flow, Outcome};
use crate::engine::holds::Access;
use crate::engine::tasks::{Holding, KEYS_PER_SLICE};
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::Db;
use crate::proto::{Args, CommandError, Reply};

/// Takes what is `asked` from the key that is argument `at`, and replies; `None`, and no reply, if it has nothing.
pub(in crate::commands) type Take<A> =
    fn(asked: &A, db: &mut Db<'_>, args: &Args<'_>, at: usize, reply: &mut Reply) -> Result<Option<Flow>, CommandError>;

/// Takes from the first of some arguments that has something; replies with null if none has.
pub(in crate::commands) fn take_from_first<A: Debug + 'static>(
    (db, args, reply): (&mut Db<'_>, &Args<'_>, &mut Reply),
    keys: Range<usize>,
    asked: A,
    take: Take<A>,
) -> Outcome {
    if are_many(keys.len()) {
        let next = keys.start;
        return Ok(Flow::Sliced(Box::new(First { keys, next, asked, take, taking: None })));
    }
    for at in keys {
        if let Some(flow) = take(&asked, db, args, at, reply)? {
            return Ok(flow);
        }
    }
    reply.null_array();
    Ok(Flow::Done)
}

/// Such a command of very many keys.
#[derive(Debug)]
struct First<A> {
    keys: Range<usize>,
    /// The key, by its argument, to go on with.
    next: usize,
    asked: A,
    take: Take<A>,
    /// What is left to do with the one that has something.
    taking: Option<Box<dyn Sliced>>,
}

impl<A: Debug> Sliced for First<A> {
    fn holding(&self) -> Holding {
        Holding::AsItGoes(Access::Write)
    }

    fn room(&self) -> u64 {
        self.taking.as_ref().map_or(0, |taking| taking.room())
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        if let Some(taking) = &mut self.taking {
            return taking.step(slice);
        }
        let Range { start: first, end: keys_end } = self.keys;
        let keys = Keys { first, end: keys_end, step: 1 };
        let end = keys_end.min(self.next + KEYS_PER_SLICE);
        while self.next < end {
            if !slice.take(slice.args.at(self.next)) {
                return Ok(Progress::Waits);
            }
            let mut db = slice.engine.keyspace.db(slice.db);
            keys.look_ahead(&db, slice.args, self.next);
            match (self.take)(&self.asked, &mut db, slice.args, self.next, slice.reply)? {
                Some(Flow::Sliced(taking)) => {
                    self.taking = Some(taking);
                    return Ok(Progress::More);
                }
                Some(_) => return Ok(Progress::Done),
                None => self.next += 1,
            }
        }
        if self.next < keys_end {
            return Ok(Progress::More);
        }
        slice.reply.null_array();
        Ok(Progress::Done)
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Some(mut taking) = self.taking.take() {
            taking.end(engine);
        }
    }
}
