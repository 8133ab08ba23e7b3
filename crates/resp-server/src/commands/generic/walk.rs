//! The long forms of KEYS and SCAN: walks over a database, in slices.
//!
//! Both hold nothing, so that everybody else goes on. KEYS answers with the keys that there were at its start, each once: the
//! keyspace notes for it which are born and die meanwhile (see [`Keyspace::begin_walk`](crate::keyspace::Keyspace::begin_walk)).
//! SCAN promises less, and a long one needs no more than a short one: a key that is there all the time is told.

use crate::engine::tasks::{BYTES_PER_SLICE, Holding, KEYS_PER_SLICE};
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, ValueType, WalkBudget, WalkId};
use crate::proto::{CommandError, Reply};
use crate::text::glob;
use crate::types::name::StoredName;

use crate::commands::Flow;

/// Keys, or the COUNT of a SCAN, up to which a walk is carried out at once.
pub(super) const KEYS_MAX: u64 = 1024;
/// Bytes of keys with their values, up to which KEYS is carried out at once.
pub(super) const BYTES_MAX: u64 = 1 << 20;
/// Bites of the index in a slice, most of them of a few keys.
const BITES_PER_SLICE: usize = 1024;
/// Bytes of keys that become a segment of the reply.
const SEGMENT: usize = 64 * 1024;

/// A pattern for keys, members or fields.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Pattern {
    /// `None`: all, the empty one too, which no pattern but the empty one matches.
    glob: Option<glob::Pattern>,
}

impl Pattern {
    /// Every key matches it.
    pub(in crate::commands) fn all() -> Pattern {
        Pattern { glob: None }
    }

    pub(in crate::commands) fn new(pattern: &[u8]) -> Pattern {
        Pattern { glob: (pattern != b"*").then(|| glob::Pattern::new(pattern)) }
    }

    pub(in crate::commands) fn matches(&self, key: &[u8]) -> bool {
        self.glob.as_ref().is_none_or(|pattern| pattern.matches(key))
    }

    /// [`matches`](Pattern::matches), of a name where it lies. One that is in pieces is put together to be compared.
    pub(in crate::commands) fn matches_name(&self, name: StoredName<'_>) -> bool {
        self.glob.as_ref().is_none_or(|pattern| pattern.matches(name.as_slice(&mut Vec::new())))
    }

    /// Bytes that it costs to compare a name and to tell it.
    pub(in crate::commands) fn cost_of(&self, name: StoredName<'_>) -> usize {
        if self.glob.is_none() { name.head_len() } else { name.len() }
    }
}

/// KEYS in slices, over the keys that there are now.
pub(super) fn keys(db: &mut Db<'_>, pattern: Pattern) -> Flow {
    Flow::Sliced(Box::new(Keys { walk: db.begin_walk(), pattern, found: Reply::new(), len: 0 }))
}

#[derive(Debug)]
struct Keys {
    walk: WalkId,
    pattern: Pattern,
    /// The elements of the reply, whose number is known at the end.
    found: Reply,
    len: usize,
}

impl Sliced for Keys {
    fn holding(&self) -> Holding {
        Holding::Database
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let budget = WalkBudget { keys: 2 * KEYS_PER_SLICE, bites: BITES_PER_SLICE, bytes: BYTES_PER_SLICE };
        let more = slice.engine.keyspace.walk(self.walk, budget, |key| {
            if self.pattern.matches(key) {
                self.found.bulk(key);
                self.len += 1;
            }
        });
        self.found.seal(SEGMENT);
        if more {
            return Ok(Progress::More);
        }
        slice.reply.array(self.len);
        slice.reply.append(std::mem::take(&mut self.found));
        Ok(Progress::Done)
    }

    fn end(&mut self, engine: &mut Engine) {
        let passed_over = engine.keyspace.end_walk(self.walk);
        engine.discard(passed_over);
        engine.discard(std::mem::take(&mut self.found));
    }
}

/// What a SCAN was asked for.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where it goes on.
    pub(super) cursor: u64,
    /// Keys to look at, at least, unless it comes to the end.
    pub(super) count: u64,
    /// Which keys are told.
    pub(super) pattern: Pattern,
    /// The name of the type of which a key must be.
    pub(super) type_name: Option<Vec<u8>>,
}

/// How far a SCAN came.
#[derive(Debug, Default)]
struct Scanned {
    /// Keys looked at.
    visited: u64,
    /// A sparse index takes many bites for few keys: those are bounded too.
    bites: u64,
    found: Reply,
    len: usize,
}

impl Scan {
    /// Looks at more keys, until all that was asked for is done, or about `cost` short ones are looked at. Whether there is more.
    ///
    /// Those that have expired are removed.
    fn step(&mut self, db: &mut Db<'_>, scanned: &mut Scanned, cost: u64) -> bool {
        let mut expired = Vec::new();
        let more = self.look(db, scanned, cost, &mut expired);
        for key in expired {
            let _ = db.find(&key);
        }
        more
    }

    fn look(&mut self, db: &Db<'_>, scanned: &mut Scanned, cost: u64, expired: &mut Vec<Vec<u8>>) -> bool {
        /// To remove one takes as long as to look at several.
        const EXPIRED_COST: u64 = 4;
        /// Bytes of a key that take as long as a short one.
        const LONG: usize = 128;
        let mut scratch = Vec::new();
        let mut spent = 0;
        // Where keys are few, most bites are for nothing.
        let last_bite = scanned.bites + 2 * cost;
        loop {
            self.cursor = db.scan(self.cursor, |key, holds| {
                scanned.visited += 1;
                let own = 1 + (key.len() / LONG) as u64;
                let Some(value_type) = holds else {
                    spent += EXPIRED_COST * own;
                    return expired.push(key.to_vec());
                };
                spent += own;
                if self.type_name.as_ref().is_none_or(|name| is_type(name, value_type)) {
                    let key = key.as_slice(&mut scratch);
                    if self.pattern.matches(key) {
                        scanned.found.bulk(key);
                        scanned.len += 1;
                    }
                }
            });
            scanned.bites += 1;
            if self.cursor == 0 || scanned.visited >= self.count || scanned.bites >= self.count.saturating_mul(10) {
                return false;
            }
            if spent >= cost || scanned.bites >= last_bite {
                return true;
            }
        }
    }

    /// Replies with the cursor and what was found.
    fn finish(&self, scanned: Scanned, reply: &mut Reply) {
        reply.array(2);
        reply.bulk(self.cursor.to_string().as_bytes());
        reply.array(scanned.len);
        reply.append(scanned.found);
    }
}

fn is_type(name: &[u8], value_type: ValueType) -> bool {
    name.eq_ignore_ascii_case(value_type.name().as_bytes())
}

/// SCAN: at once up to [`KEYS_MAX`], and what is more, or longer, in slices.
pub(super) fn scan(mut scan: Scan, db: &mut Db<'_>, reply: &mut Reply) -> Flow {
    let mut scanned = Scanned::default();
    let is_long = scan.count > KEYS_MAX && db.len() > KEYS_MAX;
    if is_long || scan.step(db, &mut scanned, KEYS_MAX) {
        return Flow::Sliced(Box::new(LongScan { scan, scanned: Some(scanned) }));
    }
    scan.finish(scanned, reply);
    Flow::Done
}

#[derive(Debug)]
struct LongScan {
    scan: Scan,
    /// `None` once it is replied with.
    scanned: Option<Scanned>,
}

impl Sliced for LongScan {
    fn holding(&self) -> Holding {
        Holding::Database
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let mut db = slice.engine.keyspace.db(slice.db);
        let mut scanned = self.scanned.take().expect("it goes on until it has replied");
        if self.scan.step(&mut db, &mut scanned, 2 * KEYS_PER_SLICE as u64) {
            scanned.found.seal(SEGMENT);
            self.scanned = Some(scanned);
            return Ok(Progress::More);
        }
        self.scan.finish(scanned, slice.reply);
        Ok(Progress::Done)
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Some(scanned) = self.scanned.take() {
            engine.discard(scanned.found);
        }
    }
}
