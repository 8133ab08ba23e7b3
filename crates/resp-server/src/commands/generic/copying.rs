//! COPY of a large collection, of whatever type, in slices.
//!
//! The copy grows apart from the keyspace and becomes the target's value at the end, by one step. Both keys are held until then; a target
//! in another database is not, so that it is looked at once more.

use crate::engine::tasks::{BYTES_PER_SLICE, Holding};
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Event, Found, Keyspace, Ttl, ValueType};
use crate::proto::{Args, CommandError, Reply};
use crate::types::Collection;

use crate::commands::Flow;

/// Steps of a collection's own measure, a few elements each, in a slice.
const STEPS_PER_SLICE: usize = 4;

/// Copies the large collection that was found at argument 1 to argument 2 of database `target_db`, and replies with 1; with 0 if there is
/// a key at the end and it must not be replaced.
pub(super) fn copy(db: &mut Db<'_>, found: &Found<'_>, target_db: usize, replace: bool) -> Flow {
    let copy = db.begin_copy(found).expect("the caller has found a large collection");
    Flow::Sliced(Box::new(Copying {
        copy: Some(copy),
        value_type: found.value_type().expect("it was found"),
        ttl: found.expires().map_or(Ttl::Clear, Ttl::At),
        cursor: 0,
        target_db,
        replace,
    }))
}

#[derive(Debug)]
struct Copying {
    /// `None` once it is the target's.
    copy: Option<Box<Collection>>,
    value_type: ValueType,
    ttl: Ttl,
    cursor: u64,
    target_db: usize,
    replace: bool,
}

impl Copying {
    fn go_on(
        &mut self,
        keyspace: &mut Keyspace,
        source_db: usize,
        args: &Args<'_>,
        reply: &mut Reply,
    ) -> Result<Progress, CommandError> {
        let copy = self.copy.as_deref_mut().expect("it has not ended");
        let mut db = keyspace.db(source_db);
        let bytes = |db: &Db<'_>| db.store().live_bytes() + db.store().held_bytes();
        let bytes_max = bytes(&db) + BYTES_PER_SLICE as u64;
        let mut steps = 0;
        while db.copy_some(args.at(1), copy, &mut self.cursor)? {
            steps += 1;
            if steps >= STEPS_PER_SLICE || bytes(&db) > bytes_max {
                return Ok(Progress::More);
            }
        }
        let mut db = keyspace.db(self.target_db);
        let target = args.at(2);
        let found = db.find(target);
        let is_free = self.replace || !found.exists();
        if is_free {
            let copy = self.copy.take().expect("just seen");
            let replaces = found.exists();
            db.put_copy(found, self.value_type, copy, self.ttl)?;
            if replaces {
                db.also(target, Event::New);
            }
            db.changed(target, Event::CopyTo);
        }
        reply.integer(i64::from(is_free));
        Ok(Progress::Done)
    }
}

impl Sliced for Copying {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let (args, source_db) = (slice.args, slice.db);
        if self.target_db != source_db {
            // The target is held in the source's database alone. Nobody waits for this one there, so it comes to its end: what
            // wants to begin looks at its target first.
            let target = slice.engine.keyspace.store.key(args.at(2)).hash();
            if slice.is_held(self.target_db, target) {
                return Ok(Progress::More);
            }
        }
        self.go_on(&mut slice.engine.keyspace, source_db, args, slice.reply)
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Some(copy) = self.copy.take() {
            engine.keyspace.discard(copy);
        }
    }
}
