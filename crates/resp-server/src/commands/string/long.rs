//! Commands on long strings, a slice at a time: what BITCOUNT, BITPOS and LCS compute, and what APPEND and SETRANGE write.
//!
//! The handler does the first slice itself. If that was all, as for strings of ordinary length, the reply is there and
//! nothing else happens; else a task goes on with what is left. BITOP and BITFIELD have their tasks in their own files.

use std::fmt::Debug;

use chunkbuf::Blob;

use crate::commands::{Flow, Outcome};
use crate::engine::tasks::Holding;
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Event, Found, Graft};
use crate::proto::{CommandError, Reply};

/// Something that is computed from strings apart from the store: nobody has to wait for it, and it cannot fail.
pub(in crate::commands) trait Computation: Debug + Sized + 'static {
    /// How many times [`Db::slice_bytes`] make a slice: a byte is cheaper here than one that is copied.
    const FACTOR: usize;

    /// Goes on for about so many bytes, in its own measure, and replies when it is done; whether it is.
    fn step(&mut self, bytes: usize, reply: &mut Reply) -> bool;

    /// Called when it has ended in slices, for what must not be freed at once.
    fn end(self, engine: &mut Engine) {
        let _ = engine;
    }
}

/// Computes: at once if a slice is enough.
pub(in crate::commands) fn compute<C: Computation>(db: &Db<'_>, mut computation: C, reply: &mut Reply) -> Flow {
    if computation.step(slice_of::<C>(db), reply) {
        return Flow::Done;
    }
    Flow::Sliced(Box::new(Computing(Some(computation))))
}

fn slice_of<C: Computation>(db: &Db<'_>) -> usize {
    db.slice_bytes().saturating_mul(C::FACTOR)
}

/// A computation under way; `None` once it has ended.
#[derive(Debug)]
struct Computing<C>(Option<C>);

impl<C: Computation> Sliced for Computing<C> {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let bytes = slice_of::<C>(&slice.db());
        let computation = self.0.as_mut().expect("it has not ended");
        Ok(if computation.step(bytes, slice.reply) { Progress::Done } else { Progress::More })
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Some(computation) = self.0.take() {
            computation.end(engine);
        }
    }
}

/// Writes a large value over the string that was found, from a byte on, and replies with its length then: at once if a slice is
/// enough. The key shows all of it or nothing.
pub(super) fn graft(
    db: &mut Db<'_>,
    key: &[u8],
    found: Found<'_>,
    (offset, source): (usize, Blob),
    event: Event,
    reply: &mut Reply,
) -> Outcome {
    let mut graft = db.begin_graft(&found, offset, source)?;
    if db.graft_step(&mut graft, db.slice_bytes())? {
        finish_graft(db, key, found, graft, event, reply)?;
        return Ok(Flow::Done);
    }
    Ok(Flow::Sliced(Box::new(Grafting { graft: Some(graft), event })))
}

fn finish_graft(
    db: &mut Db<'_>,
    key: &[u8],
    found: Found<'_>,
    graft: Graft,
    event: Event,
    reply: &mut Reply,
) -> Result<(), CommandError> {
    let len = db.end_graft(found, graft)?;
    db.changed(key, event);
    reply.count(len);
    Ok(())
}

/// APPEND or SETRANGE of a large value, to the key that is argument 1.
#[derive(Debug)]
struct Grafting {
    /// `None` once it has ended.
    graft: Option<Graft>,
    event: Event,
}

impl Sliced for Grafting {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let mut db = slice.engine.keyspace.db(slice.db);
        let graft = self.graft.as_mut().expect("it has not ended");
        if !db.graft_step(graft, db.slice_bytes())? {
            return Ok(Progress::More);
        }
        let (graft, key) = (self.graft.take().expect("just seen"), slice.args.at(1));
        let found = db.find(key);
        finish_graft(&mut db, key, found, graft, self.event, slice.reply)?;
        Ok(Progress::Done)
    }
}
