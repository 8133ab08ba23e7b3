//! Commands that take something from the first of their keys that has it: LMPOP, ZMPOP, and those that wait for it if none has: BLPOP,
//! BRPOP, BLMPOP, BZPOPMIN, BZPOPMAX, BZMPOP.
//!
//! Up to [`KEYS_AT_ONCE_MAX`](crate::engine::holds::KEYS_AT_ONCE_MAX) keys are looked at at once. More are in slices, each held from
//! when it is looked at, so that all seem to be looked at in one moment. They are held until the request is parked, too.

use std::fmt::Debug;
use std::ops::Range;

use super::many::{Keys, are_many};
use crate::commands::{Flow, Outcome};
use crate::engine::holds::Access;
use crate::engine::tasks::{Holding, KEYS_PER_SLICE};
use crate::engine::{Engine, Progress, Slice, Sliced, Wait};
use crate::keyspace::Db;
use crate::proto::{Args, CommandError, Reply};

/// Takes what is `asked` from the key that is argument `at`, and replies; `None`, and no reply, if it has nothing.
pub(in crate::commands) type Take<A> =
    fn(asked: &A, db: &mut Db<'_>, args: &Args<'_>, at: usize, reply: &mut Reply) -> Result<Option<Flow>, CommandError>;

/// Takes from the first of some arguments that has something; replies with null if none has, or waits.
pub(in crate::commands) fn take_from_first<A: Debug + 'static>(
    (db, args, reply): (&mut Db<'_>, &Args<'_>, &mut Reply),
    keys: Range<usize>,
    asked: A,
    take: Take<A>,
    wait: Option<Wait>,
) -> Outcome {
    if are_many(keys.len()) {
        let next = keys.start;
        return Ok(Flow::Sliced(Box::new(First {
            keys,
            next,
            asked,
            take,
            wait,
            came_us: None,
            stage: Stage::Looking,
        })));
    }
    for at in keys {
        if let Some(flow) = take(&asked, db, args, at, reply)? {
            return Ok(flow);
        }
    }
    if let Some(wait) = wait {
        return Ok(Flow::Park(wait));
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
    /// What it does if nothing is found, but reply with null.
    wait: Option<Wait>,
    /// When its first slice was, on the monotonic clock.
    came_us: Option<u64>,
    stage: Stage,
}

/// What it does.
#[derive(Debug)]
enum Stage {
    /// It looks for the first key that has something.
    Looking,
    /// It takes what is left to take from that one.
    Taking(Box<dyn Sliced>),
    /// It takes its places in the queues of those who wait.
    Parking,
}

impl<A: Debug> Sliced for First<A> {
    fn holding(&self) -> Holding {
        Holding::AsItGoes(Access::Write)
    }

    fn room(&self) -> u64 {
        if let Stage::Taking(taking) = &self.stage { taking.room() } else { 0 }
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let parker = slice.parker().filter(|_| self.wait.is_some());
        match &mut self.stage {
            Stage::Taking(taking) => return taking.step(slice),
            // It was killed: what it would take would be lost.
            _ if parker.is_some_and(|client| slice.engine.client(client).killed) => return Ok(Progress::Close),
            Stage::Looking => {}
            Stage::Parking if slice.engine.step_parking(slice.args) => return Ok(Progress::More),
            Stage::Parking => return Ok(Progress::Parks),
        }
        let came_us = *self.came_us.get_or_insert(slice.engine.now().monotonic_us);
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
                    self.stage = Stage::Taking(taking);
                    return Ok(Progress::More);
                }
                Some(_) => return Ok(Progress::Done),
                None => self.next += 1,
            }
        }
        if self.next < keys_end {
            return Ok(Progress::More);
        }
        let (Some(client), Some(wait)) = (parker, &self.wait) else {
            slice.reply.null_array();
            return Ok(Progress::Done);
        };
        slice.engine.begin_parking(client, slice.args, wait, came_us);
        self.stage = Stage::Parking;
        Ok(Progress::More)
    }

    fn outlives_client(&self) -> bool {
        self.wait.is_none() || matches!(self.stage, Stage::Taking(_))
    }

    fn end(&mut self, engine: &mut Engine) {
        match &mut self.stage {
            Stage::Looking => {}
            Stage::Taking(taking) => taking.end(engine),
            Stage::Parking => engine.give_up_parking(),
        }
    }
}
