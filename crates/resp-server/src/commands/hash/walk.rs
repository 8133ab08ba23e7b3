//! Commands about many fields of a hash: all of them, some by a cursor, random ones, and those that a long HMGET names.
//!
//! What is short is done at once. What is longer goes on in slices that hold the key, at the time at which it began, so that the
//! reply shows the hash of one moment.

use super::edit::{reader, reply_value};
use crate::commands::arguments::integer;
use crate::commands::generic::walk::Pattern;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::tasks::Holding;
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::hashes::Hashes;
use crate::keyspace::{Db, ValueType, View};
use crate::proto::{Args, CommandError, Protocol, Reply};
use crate::text::integer::parse_u64_loose;
use crate::types::hash::packed::PackedFields;
use crate::types::hash::{Hash, Reader, Value};
use crate::types::name::{GivenName, StoredName};
use crate::types::{Collection, Large as _};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&HGETALL, &HKEYS, &HVALS, &HSCAN, &HRANDFIELD];

const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];

/// What a field costs, in the bytes of a slice: 170 are a slice.
pub(super) const FIELD_COST: usize = 384;
/// What a bite of the index costs, in the bytes of a slice.
const BITE_COST: usize = 32;
/// What a field costs that has expired and is passed over.
const EXPIRED_COST: usize = FIELD_COST / 4;
/// Bytes of a gathered reply that become a segment.
pub(super) const SEGMENT: usize = 64 * 1024;

/// A walk over a hash, or over the arguments of a request for its fields, that is replied with as it goes.
pub(super) trait Walk: std::fmt::Debug + Sized + 'static {
    /// Goes on for about so many bytes, a field counting as [`FIELD_COST`] at least; whether that was all.
    fn step(&mut self, db: &mut Db<'_>, args: &Args<'_>, cost: usize, reply: &mut Reply) -> bool;

    /// Called when it has ended in slices, for what must not be freed at once.
    fn end(self, engine: &mut Engine) {
        let _ = engine;
    }
}

/// Walks: at once if a slice is enough.
pub(super) fn walk<W: Walk>(db: &mut Db<'_>, args: &Args<'_>, mut walk: W, reply: &mut Reply) -> Outcome {
    if walk.step(db, args, db.slice_bytes(), reply) {
        return Ok(Flow::Done);
    }
    Ok(go_on_later(walk))
}

/// Goes on with a walk in slices.
#[cold]
pub(super) fn go_on_later<W: Walk>(walk: W) -> Flow {
    Flow::Sliced(Box::new(Walking { walk: Some(walk) }))
}

#[derive(Debug)]
struct Walking<W> {
    walk: Option<W>,
}

impl<W: Walk> Sliced for Walking<W> {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let (args, index) = (slice.args, slice.db);
        let walk = self.walk.as_mut().expect("it has not ended");
        let mut db = slice.engine.keyspace.db(index);
        let cost = db.slice_bytes();
        let is_done = walk.step(&mut db, args, cost, slice.reply);
        Ok(if is_done { Progress::Done } else { Progress::More })
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Some(walk) = self.walk.take() {
            walk.end(engine);
        }
    }
}

/// What a field and its value cost, in the bytes of a slice: what of the name is copied, and the value. A blob goes out by reference.
fn cost_of(name_len: usize, value: Value<'_>) -> usize {
    let value_len = if let Value::Blob(_) = value { 0 } else { value.len() };
    FIELD_COST.max(name_len + value_len)
}

/// Goes over some fields of a large hash, at about that cost, each once. The next cursor, 0 at the end.
fn walk_large(
    db: &Db<'_>,
    key: &[u8],
    mut cursor: u64,
    cost: usize,
    mut visit: impl FnMut(StoredName<'_>, Value<'_>),
) -> u64 {
    let mut spent = 0;
    with_large(db, key, |hash, db| {
        loop {
            cursor = hash.walk(db.store(), cursor, db.now(), |field| {
                let Some(field) = field else {
                    return spent += EXPIRED_COST;
                };
                spent += cost_of(field.name.head_len(), field.value);
                visit(field.name, field.value);
            });
            spent += BITE_COST;
            if cursor == 0 || spent >= cost {
                return cursor;
            }
        }
    })
}

/// Hands over the large hash of a key that nobody has changed since it was found to be one.
fn with_large<R>(db: &Db<'_>, key: &[u8], visit: impl FnOnce(&Hash, &Db<'_>) -> R) -> R {
    match db.held_collection(key) {
        Some(Collection::Hash(hash)) => visit(hash, db),
        _ => unreachable!("it was found to be a large hash, and is held"),
    }
}

const HGETALL: CommandSpec = CommandSpec {
    name: "hgetall",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(hgetall),
    doc: Doc {
        summary: "Returns all fields of a hash with their values.",
        since: "2.0.0",
        complexity: "O(N) in the fields of the hash.",
        syntax: "key",
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Hash)
    },
};

fn hgetall(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_all(db, args, Part::Both, reply)
}

const HKEYS: CommandSpec = CommandSpec {
    name: "hkeys",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(hkeys),
    doc: Doc {
        summary: "Returns all fields of a hash.",
        since: "2.0.0",
        complexity: "O(N) in the fields of the hash.",
        syntax: "key",
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Hash)
    },
};

fn hkeys(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_all(db, args, Part::Names, reply)
}

const HVALS: CommandSpec = CommandSpec {
    name: "hvals",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(hvals),
    doc: Doc {
        summary: "Returns the values of all fields of a hash.",
        since: "2.0.0",
        complexity: "O(N) in the fields of the hash.",
        syntax: "key",
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Hash)
    },
};

fn hvals(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_all(db, args, Part::Values, reply)
}

/// What of each field is replied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Names,
    Values,
    Both,
}

impl Part {
    fn header(self, len: usize, reply: &mut Reply) {
        match self {
            Part::Both => reply.map(len),
            _ => reply.array(len),
        }
    }

    #[inline]
    fn field(self, name: StoredName<'_>, value: Value<'_>, reply: &mut Reply) {
        if self != Part::Values {
            reply.bulk_name(name);
        }
        if self != Part::Names {
            reply_value(value, reply);
        }
    }
}

fn reply_all(db: &mut Db<'_>, args: &Args<'_>, part: Part, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let now = db.now();
    let len = match db.collection(&found, ValueType::Hash)? {
        None => {
            part.header(0, reply);
            return Ok(Flow::Done);
        }
        Some(View::Packed(bytes)) => {
            let fields = PackedFields::new(&bytes).filter(|field| !field.expires.is_some_and(|at| at.is_past(now)));
            part.header(fields.clone().count(), reply);
            fields.for_each(|field| part.field(field.name.into(), Value::Packed(field.value), reply));
            return Ok(Flow::Done);
        }
        Some(View::Large(hash)) => hash.len() as usize,
    };
    let is_exact = with_large(db, args.at(1), |hash, _| hash.is_lasting());
    let gathered = if is_exact {
        part.header(len, reply);
        None
    } else {
        Some(Reply::new())
    };
    walk(db, args, All { part, cursor: 0, gathered, len: 0 }, reply)
}

/// HGETALL, HKEYS or HVALS of a large hash.
#[derive(Debug)]
struct All {
    part: Part,
    cursor: u64,
    /// The fields so far, of a hash of which some may have expired: their number is known at the end.
    gathered: Option<Reply>,
    len: usize,
}

impl Walk for All {
    fn step(&mut self, db: &mut Db<'_>, args: &Args<'_>, cost: usize, reply: &mut Reply) -> bool {
        let target = self.gathered.as_mut().unwrap_or(reply);
        self.cursor = walk_large(db, args.at(1), self.cursor, cost, |name, value| {
            self.part.field(name, value, target);
            self.len += 1;
        });
        if self.cursor != 0 {
            if let Some(gathered) = &mut self.gathered {
                gathered.seal(SEGMENT);
            }
            return false;
        }
        if let Some(gathered) = self.gathered.take() {
            self.part.header(self.len, reply);
            reply.append(gathered);
        }
        true
    }

    fn end(self, engine: &mut Engine) {
        if let Some(gathered) = self.gathered {
            engine.discard(gathered);
        }
    }
}

/// HMGET: the values of the fields that are arguments 2 and up.
pub(super) fn get_many(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let view = db.collection(&found, ValueType::Hash)?;
    reply.array(args.len() - 2);
    let mut work = GetMany { next: 2 };
    let reader = view.as_ref().map(|view| reader(db, view));
    if work.go_on(reader, args, db.slice_bytes(), reply) {
        let met = reader.filter(|reader| !reader.is_lasting());
        let expired: Vec<GivenName<'_>> =
            met.map_or_else(Vec::new, |reader| args.names(2).filter(|&name| reader.has_expired(name)).collect());
        if !expired.is_empty() {
            db.expire_these_fields(args.at(1), &expired);
        }
        return Ok(Flow::Done);
    }
    Ok(go_on_later(work))
}

#[derive(Debug)]
struct GetMany {
    next: usize,
}

impl GetMany {
    fn go_on(&mut self, reader: Option<Reader<'_>>, args: &Args<'_>, cost: usize, reply: &mut Reply) -> bool {
        let mut spent = 0;
        while self.next < args.len() && spent < cost {
            if let Some(reader) = &reader {
                reader.look_ahead(|ahead| args.get(self.next + ahead));
            }
            let name = args.name(self.next);
            spent += name.beginning().len();
            match reader.and_then(|reader| reader.get(name)) {
                Some(value) => {
                    spent += cost_of(0, value);
                    reply_value(value, reply);
                }
                None => {
                    spent += FIELD_COST;
                    reply.null();
                }
            }
            self.next += 1;
        }
        self.next == args.len()
    }
}

impl Walk for GetMany {
    fn step(&mut self, db: &mut Db<'_>, args: &Args<'_>, cost: usize, reply: &mut Reply) -> bool {
        let found = db.find(args.at(1));
        let view = db.collection(&found, ValueType::Hash).expect("it was found to be a hash, and is held");
        self.go_on(view.as_ref().map(|view| reader(db, view)), args, cost, reply)
    }
}

const HSCAN: CommandSpec = CommandSpec {
    name: "hscan",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(hscan),
    doc: Doc {
        summary: "Lists some fields of a hash, and a cursor to go on from.",
        since: "2.8.0",
        complexity: "O(COUNT) a call, O(N) for all calls until the cursor is 0.",
        syntax: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Hash)
    },
};

fn hscan(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let cursor = parse_u64_loose(args.at(2)).ok_or(CommandError::text_static("ERR invalid cursor"))?;
    let found = db.read(args.at(1));
    let view = db.collection(&found, ValueType::Hash)?;
    if view.is_none() {
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        return Ok(Flow::Done);
    }
    let mut scan = Scan {
        cursor,
        left: 10,
        bites_left: 0,
        pattern: Pattern::all(),
        part: Part::Both,
        found: Reply::new(),
        len: 0,
    };
    let mut index = 3;
    while index < args.len() {
        if args.is(index, "novalues") {
            scan.part = Part::Names;
            index += 1;
            continue;
        }
        let value = args.get(index + 1).ok_or(CommandError::Syntax)?;
        if args.is(index, "count") {
            scan.left = u64::try_from(integer(value)?).ok().filter(|&count| count > 0).ok_or(CommandError::Syntax)?;
        } else if args.is(index, "match") {
            scan.pattern = Pattern::new(value);
        } else {
            return Err(CommandError::Syntax);
        }
        index += 2;
    }
    scan.bites_left = scan.left.saturating_mul(10);
    if let Some(View::Packed(bytes)) = view {
        let now = db.now();
        let fields = PackedFields::new(&bytes).filter(|field| !field.expires.is_some_and(|at| at.is_past(now)));
        fields.for_each(|field| scan.tell(field.name.into(), Value::Packed(field.value)));
        scan.cursor = 0;
        scan.finish(reply);
        return Ok(Flow::Done);
    }
    walk(db, args, scan, reply)
}

/// HSCAN of a large hash.
#[derive(Debug)]
struct Scan {
    cursor: u64,
    /// Fields to look at.
    left: u64,
    /// A sparse index takes many bites for few fields: those are bounded too.
    bites_left: u64,
    pattern: Pattern,
    part: Part,
    found: Reply,
    /// Elements of `found`.
    len: usize,
}

impl Scan {
    fn tell(&mut self, name: StoredName<'_>, value: Value<'_>) {
        if self.pattern.matches_name(name) {
            self.part.field(name, value, &mut self.found);
            self.len += if self.part == Part::Both { 2 } else { 1 };
        }
    }

    fn finish(&mut self, reply: &mut Reply) {
        reply.array(2);
        reply.bulk(self.cursor.to_string().as_bytes());
        reply.array(self.len);
        reply.append(std::mem::take(&mut self.found));
    }
}

impl Walk for Scan {
    fn step(&mut self, db: &mut Db<'_>, args: &Args<'_>, cost: usize, reply: &mut Reply) -> bool {
        let mut spent = 0;
        with_large(db, args.at(1), |hash, db| {
            while spent < cost {
                let mut visited = 0;
                self.cursor = hash.scan(db.store(), self.cursor, db.now(), |field| {
                    let Some(field) = field else {
                        return spent += EXPIRED_COST;
                    };
                    spent += cost_of(self.pattern.cost_of(field.name), field.value);
                    visited += 1;
                    self.tell(field.name, field.value);
                });
                spent += BITE_COST;
                self.left = self.left.saturating_sub(visited);
                self.bites_left -= 1;
                if self.cursor == 0 || self.left == 0 || self.bites_left == 0 {
                    self.finish(reply);
                    return true;
                }
            }
            self.found.seal(SEGMENT);
            false
        })
    }

    fn end(self, engine: &mut Engine) {
        engine.discard(self.found);
    }
}

const HRANDFIELD: CommandSpec = CommandSpec {
    name: "hrandfield",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(hrandfield),
    doc: Doc {
        summary: "Returns fields of a hash, each as likely as the others.",
        since: "6.2.0",
        complexity: "O(N) in the fields returned; O(fields of the hash) for a third of them or more, all different.",
        syntax: "key [count [WITHVALUES]]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Hash)
    },
};

fn hrandfield(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let Some(count) = args.get(2) else {
        return random_field(db, args, reply);
    };
    let count = integer(count)?;
    if count == i64::MIN {
        return Err(CommandError::text_static(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    let part = match args.len() {
        3 => Part::Names,
        4 if args.is(3, "withvalues") => Part::Both,
        _ => return Err(CommandError::Syntax),
    };
    if part == Part::Both && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::text_static("ERR value is out of range"));
    }
    db.expire_due_fields(args.at(1));
    let found = db.read(args.at(1));
    let now = db.now();
    let view = db.collection(&found, ValueType::Hash)?;
    if count == 0 || view.is_none() {
        reply.array(0);
        return Ok(Flow::Done);
    }
    if let Some(View::Packed(bytes)) = &view {
        let fields = PackedFields::new(bytes).filter(|field| !field.expires.is_some_and(|at| at.is_past(now)));
        let fields: Vec<(Vec<u8>, Vec<u8>)> = fields.map(|field| (field.name.to_vec(), field.value.to_vec())).collect();
        if fields.is_empty() {
            reply.array(0);
            return Ok(Flow::Done);
        }
        let random = if count < 0 {
            pairs_header(part, count.unsigned_abs() as usize, reply);
            Random::Packed { fields, left: count.unsigned_abs() }
        } else {
            let wanted = fields.len().min(count as usize);
            pairs_header(part, wanted, reply);
            select(db, &fields, wanted, |(name, value)| pair(part, name[..].into(), Value::Packed(value), reply));
            return Ok(Flow::Done);
        };
        return walk(db, args, RandomFields { part, random }, reply);
    }
    let (len, is_lasting) = with_large(db, args.at(1), |hash, _| (hash.len(), hash.is_lasting()));
    let random = if !is_lasting {
        // How many have not expired is not known before they are counted.
        Random::Count { count, cursor: 0, live: 0 }
    } else {
        Random::of(count, len, |len| pairs_header(part, len as usize, reply))
    };
    walk(db, args, RandomFields { part, random }, reply)
}

/// HRANDFIELD without a count.
fn random_field(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    /// Fields that have expired are met, and passed over, so often.
    const TRIES: usize = 100;
    db.expire_due_fields(args.at(1));
    let found = db.read(args.at(1));
    let now = db.now();
    let live = match db.collection(&found, ValueType::Hash)? {
        None => 0,
        Some(View::Packed(bytes)) => {
            let fields = PackedFields::new(&bytes).filter(|field| !field.expires.is_some_and(|at| at.is_past(now)));
            let live = fields.clone().count();
            if live > 0 {
                let bytes = bytes.into_owned();
                let mut fields =
                    PackedFields::new(&bytes).filter(|field| !field.expires.is_some_and(|at| at.is_past(now)));
                let chosen = fields.nth(below(db, live as u64) as usize);
                reply.bulk(chosen.expect("there are so many").name);
                return Ok(Flow::Done);
            }
            0
        }
        Some(View::Large(_)) => 1,
    };
    for _ in 0..TRIES * live {
        let mut seed = db.random();
        let is_told = with_large(db, args.at(1), |hash, db| {
            let field = hash.random(db.store(), now, || next(&mut seed));
            field.is_some_and(|field| {
                reply.bulk_name(field.name);
                true
            })
        });
        if is_told {
            return Ok(Flow::Done);
        }
    }
    reply.null();
    Ok(Flow::Done)
}

/// The header of fields, or of fields with their values: pairs of their own in RESP3, one flat list in RESP2.
fn pairs_header(part: Part, len: usize, reply: &mut Reply) {
    let flat = part == Part::Both && reply.protocol == Protocol::Resp2;
    reply.array(if flat { 2 * len } else { len });
}

fn pair(part: Part, name: StoredName<'_>, value: Value<'_>, reply: &mut Reply) {
    if part == Part::Both && reply.protocol == Protocol::Resp3 {
        reply.array(2);
    }
    part.field(name, value, reply);
}

/// A random number below `end`, which is not 0.
fn below(db: &mut Db<'_>, end: u64) -> u64 {
    ((u128::from(db.random()) * u128::from(end)) >> 64) as u64
}

/// The next of a sequence of random numbers that begins with one of the database's (SplitMix64).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Visits `wanted` of the items, each as likely as the others, in their order.
fn select<T>(db: &mut Db<'_>, items: &[T], mut wanted: usize, mut visit: impl FnMut(&T)) {
    for (at, item) in items.iter().enumerate() {
        if wanted > 0 && below(db, (items.len() - at) as u64) < wanted as u64 {
            wanted -= 1;
            visit(item);
        }
    }
}

/// HRANDFIELD with a count.
#[derive(Debug)]
struct RandomFields {
    part: Part,
    random: Random,
}

#[derive(Debug)]
enum Random {
    /// Any fields of a small hash, so many.
    Packed { fields: Vec<(Vec<u8>, Vec<u8>)>, left: u64 },
    /// Of a large hash of which some may have expired: those that have not are counted.
    Count { count: i64, cursor: u64, live: u64 },
    /// Any fields, so many.
    Any { left: u64 },
    /// So many different ones, few of all.
    Few { left: u64, seen: Hashes },
    /// So many different ones of so many: as a walk comes to one, it is chosen by the chance that it has.
    Many { wanted: u64, of: u64, cursor: u64 },
}

impl Random {
    /// How to choose `count` of `len` fields; `header` is told how many that are.
    fn of(count: i64, len: u64, header: impl FnOnce(u64)) -> Random {
        /// A walk over all is worth it for this part of them.
        const PART: u64 = 3;
        let wanted = count.unsigned_abs();
        if count < 0 {
            let left = if len == 0 { 0 } else { wanted };
            header(left);
            return Random::Any { left };
        }
        let wanted = wanted.min(len);
        header(wanted);
        if wanted * PART < len {
            Random::Few { left: wanted, seen: Hashes::default() }
        } else {
            Random::Many { wanted, of: len, cursor: 0 }
        }
    }
}

impl Walk for RandomFields {
    fn step(&mut self, db: &mut Db<'_>, args: &Args<'_>, cost: usize, reply: &mut Reply) -> bool {
        let (part, key) = (self.part, args.at(1));
        let mut spent = 0;
        match &mut self.random {
            Random::Packed { fields, left } => {
                while *left > 0 && spent < cost {
                    let (name, value) = &fields[below(db, fields.len() as u64) as usize];
                    let value = Value::Packed(value);
                    spent += cost_of(name.len(), value);
                    pair(part, name[..].into(), value, reply);
                    *left -= 1;
                }
                *left == 0
            }
            Random::Count { count, cursor, live } => {
                *cursor = walk_large(db, key, *cursor, cost, |_, _| *live += 1);
                if *cursor != 0 {
                    return false;
                }
                self.random = Random::of(*count, *live, |len| pairs_header(part, len as usize, reply));
                self.step(db, args, cost, reply)
            }
            Random::Any { left } => {
                let mut seed = db.random();
                with_large(db, key, |hash, db| {
                    while *left > 0 && spent < cost {
                        let field = hash.random(db.store(), db.now(), || next(&mut seed));
                        spent += field.map_or(FIELD_COST, |field| cost_of(field.name.head_len(), field.value));
                        if let Some(field) = field {
                            pair(part, field.name, field.value, reply);
                            *left -= 1;
                        }
                    }
                    *left == 0
                })
            }
            Random::Few { left, seen } => {
                let mut seed = db.random();
                with_large(db, key, |hash, db| {
                    while *left > 0 && spent < cost {
                        let field = hash.random(db.store(), db.now(), || next(&mut seed));
                        spent += field.map_or(FIELD_COST, |field| cost_of(field.name.head_len(), field.value));
                        let Some(field) = field else { continue };
                        if seen.insert(field.name.hash(db.store())) {
                            pair(part, field.name, field.value, reply);
                            *left -= 1;
                        }
                    }
                    *left == 0
                })
            }
            Random::Many { wanted, of, cursor } => {
                let mut seed = db.random();
                *cursor = walk_large(db, key, *cursor, cost, |name, value| {
                    let chance = ((u128::from(next(&mut seed)) * u128::from(*of)) >> 64) as u64;
                    *of -= 1;
                    if chance < *wanted {
                        *wanted -= 1;
                        pair(part, name, value, reply);
                    }
                });
                *cursor == 0
            }
        }
    }

    fn end(self, engine: &mut Engine) {
        if let Random::Few { seen, .. } = self.random {
            engine.discard(seen);
        }
    }
}
