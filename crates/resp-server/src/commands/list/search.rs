//! Lists: finding elements by their value, and changing the middle.
//!
//! A search walks over the elements, a slice at a time: in a slice, 64 KiB of them, of which each counts [`ELEMENT_COST`] bytes more. It
//! also stops within a long element that equals the one it looks for so far. What is removed by value goes node by node, and what
//! LTRIM cuts off goes in whole nodes.

use super::form::{ListView, as_element, held, large, put, put_as_large, range_of, view};
use super::long::{NODES_PER_SLICE, held_list};
use super::{KEY_INSERT, KEY_READ};
use crate::commands::arguments::integer;
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::tasks::Holding;
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Event, put_error};
use crate::proto::{Args, CommandError, Reply, Value};
use crate::types::Large as _;
use crate::types::list::packed::PackedList;
use crate::types::list::{Comparing, Element, End, List};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&LPOS, &LINSERT, &LREM, &LTRIM];

const KEY_DELETE: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Delete])];

/// What it costs to look at an element, in bytes of a slice: 3 to 5 ns.
const ELEMENT_COST: u64 = 16;

/// Segments of a reply under construction.
const SEGMENT: usize = 64 * 1024;

const LPOS: CommandSpec = CommandSpec {
    name: "lpos",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Readonly],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(lpos),
    doc: Doc {
        summary: "Returns the indexes of elements that equal one.",
        since: "6.0.6",
        complexity: "O(N) in the elements passed over.",
        syntax: "key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]",
        ..Doc::of(Group::List)
    },
};

fn lpos(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let mut search = Search::parse(args)?;
    let is_array = search.count.is_some();
    let found = db.read(args.at(1));
    let slice_bytes = db.slice_bytes() as u64;
    let Some(list) = view(db, &found)? else {
        if is_array {
            reply.array(0);
        } else {
            reply.null();
        }
        return Ok(Flow::Done);
    };
    search.left = search.left.min(list.len());
    let pivot = args.at(2);
    let is_done = match &list {
        ListView::Packed(bytes) => {
            let elements = PackedList::read(bytes).elements.into_iter().map(Element::Bytes);
            match search.from {
                End::Head => search.step(elements, list.len(), pivot, u64::MAX),
                End::Tail => search.step(elements.rev(), list.len(), pivot, u64::MAX),
            }
        }
        ListView::Large(list) => search.step_in(list, pivot, slice_bytes),
    };
    if !is_done {
        return Ok(Flow::Sliced(Box::new(search)));
    }
    search.finish(reply);
    Ok(Flow::Done)
}

/// LPOS under way.
#[derive(Debug)]
struct Search {
    from: End,
    /// Matches to pass over before the first that counts.
    skip: u64,
    /// COUNT: matches wanted, `Some(0)` for all; `None` for the first alone, not as an array.
    count: Option<u64>,
    /// Elements passed over so far.
    seen: u64,
    /// Elements that may be looked at still.
    left: u64,
    /// The indexes found, as they will be replied.
    found: Reply,
    matches: u64,
    comparing: Comparing,
}

impl Search {
    fn parse(args: &Args<'_>) -> Result<Search, CommandError> {
        let not_negative = |arg: &[u8], name: &str| {
            let value = integer(arg).ok().and_then(|value| u64::try_from(value).ok());
            value.ok_or_else(|| CommandError::Text(format!("ERR {name} can't be negative").into()))
        };
        let (mut rank, mut count, mut left) = (1, None, 0);
        let mut at = 3;
        while at < args.len() {
            let value = args.get(at + 1);
            match value {
                Some(value) if args.is(at, "RANK") => {
                    rank = integer(value)?;
                    match rank {
                        0 => return Err(CommandError::text_static(RANK_ZERO)),
                        i64::MIN => return Err(CommandError::text_static(RANK_RANGE)),
                        _ => {}
                    }
                }
                Some(value) if args.is(at, "COUNT") => count = Some(not_negative(value, "COUNT")?),
                Some(value) if args.is(at, "MAXLEN") => left = not_negative(value, "MAXLEN")?,
                _ => return Err(CommandError::Syntax),
            }
            at += 2;
        }
        Ok(Search {
            from: if rank > 0 { End::Head } else { End::Tail },
            skip: rank.unsigned_abs() - 1,
            count,
            seen: 0,
            left: if left == 0 { u64::MAX } else { left },
            found: Reply::new(),
            matches: 0,
            comparing: Comparing::default(),
        })
    }

    /// Goes on over a list; whether the search has ended.
    fn step_in(&mut self, list: &List, pivot: &[u8], bytes: u64) -> bool {
        let len = list.len();
        match self.from {
            End::Head => self.step(list.forward(self.seen), len, pivot, bytes),
            End::Tail => self.step(list.backward(len - self.seen), len, pivot, bytes),
        }
    }

    /// Goes on over elements of a list of `len`, by a budget of bytes; whether the search has ended.
    fn step<'a>(&mut self, elements: impl Iterator<Item = Element<'a>>, len: u64, pivot: &[u8], bytes: u64) -> bool {
        let mut budget = bytes;
        for element in elements.take(usize::try_from(self.left).unwrap_or(usize::MAX)) {
            let Some(is_equal) = self.comparing.is(element, pivot, &mut budget) else { return false };
            let index = if self.from == End::Head { self.seen } else { len - 1 - self.seen };
            self.seen += 1;
            self.left -= 1;
            if is_equal {
                if self.skip > 0 {
                    self.skip -= 1;
                } else {
                    self.found.count(index as usize);
                    self.matches += 1;
                    if self.matches == self.count.unwrap_or(1) {
                        return true;
                    }
                }
            }
            let Some(left) = budget.checked_sub(ELEMENT_COST) else {
                return self.left == 0;
            };
            budget = left;
        }
        true
    }

    fn finish(&mut self, reply: &mut Reply) {
        let found = std::mem::take(&mut self.found);
        match self.count {
            Some(_) => reply.array(self.matches as usize),
            None if self.matches == 0 => return reply.null(),
            None => {}
        }
        reply.append(found);
    }
}

const RANK_ZERO: &str = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start \
                         from the end of the list";
const RANK_RANGE: &str = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";

impl Sliced for Search {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let db = &slice.engine.keyspace.db(slice.db);
        let list = held_list(db, slice.args.at(1));
        let is_done = self.step_in(list, slice.args.at(2), db.slice_bytes() as u64);
        self.found.seal(SEGMENT);
        if !is_done {
            return Ok(Progress::More);
        }
        self.finish(slice.reply);
        Ok(Progress::Done)
    }

    fn end(&mut self, engine: &mut Engine) {
        engine.discard(std::mem::take(&mut self.found));
    }
}

const LINSERT: CommandSpec = CommandSpec {
    name: "linsert",
    arity: Arity::Exactly(5),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KEY_INSERT,
    large: Large::At(4),
    run: Run::Keys(linsert),
    doc: Doc {
        summary: "Puts an element before or behind the first one that equals another.",
        since: "2.2.0",
        complexity: "O(N) in the elements passed over.",
        syntax: "key <BEFORE | AFTER> pivot element",
        ..Doc::of(Group::List)
    },
};

fn linsert(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let is_behind = args.is(2, "AFTER");
    if !is_behind && !args.is(2, "BEFORE") {
        return Err(CommandError::Syntax);
    }
    let (key, pivot) = (args.at(1), args.at(3));
    let found = db.find(key);
    let Some(list) = view(db, &found)? else {
        reply.count(0);
        return Ok(Flow::Done);
    };
    let ListView::Packed(bytes) = list else {
        let mut insert = Insert { is_behind, next: 0, comparing: Comparing::default() };
        if insert.go_on(db, args, reply)? {
            return Ok(Flow::Done);
        }
        return Ok(Flow::Sliced(Box::new(insert)));
    };
    let bytes = bytes.into_owned();
    let mut list = PackedList::read(&bytes);
    let Some(index) = list.elements.iter().position(|element| *element == pivot) else {
        reply.integer(-1);
        return Ok(Flow::Done);
    };
    let index = index + usize::from(is_behind);
    let value = args.take_value(4);
    list.will_grow(db.limits().list_max_listpack_size, value.len(), 1);
    let len = list.elements.len() + 1;
    match &value {
        Value::Bytes(element) => {
            list.elements.insert(index, element);
            put(db, found, &list)?;
        }
        Value::Blob(_) => {
            put_as_large(db, found, &list, |list, store| list.insert(store, index as u64, as_element(&value)))?;
        }
    }
    db.changed(key, Event::LInsert);
    reply.count(len);
    Ok(Flow::Done)
}

/// LINSERT under way in a large list.
#[derive(Debug)]
struct Insert {
    is_behind: bool,
    /// The index to go on looking from.
    next: u64,
    comparing: Comparing,
}

impl Insert {
    /// Goes on looking for the pivot, and inserts the element where it is; whether it has replied.
    fn go_on(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<bool, CommandError> {
        let (key, pivot) = (args.at(1), args.at(3));
        let max_listpack_size = db.limits().list_max_listpack_size;
        let mut budget = db.slice_bytes() as u64;
        let found = db.find_held(key);
        let (list, store) = held(db, &found);
        let mut is_found = false;
        for element in list.forward(self.next) {
            match self.comparing.is(element, pivot, &mut budget) {
                None => return Ok(false),
                Some(true) => {
                    is_found = true;
                    break;
                }
                Some(false) => {}
            }
            self.next += 1;
            match budget.checked_sub(ELEMENT_COST) {
                Some(left) => budget = left,
                None => return Ok(false),
            }
        }
        if !is_found {
            reply.integer(-1);
            return Ok(true);
        }
        let value = args.take_value(4);
        let index = self.next + u64::from(self.is_behind);
        let insert = list.grow(max_listpack_size, value.len(), 1, |list| list.insert(store, index, as_element(&value)));
        insert.map_err(put_error)?;
        reply.count(list.len() as usize);
        db.changed(key, Event::LInsert);
        Ok(true)
    }
}

impl Sliced for Insert {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let db = &mut slice.engine.keyspace.db(slice.db);
        Ok(if self.go_on(db, slice.args, slice.reply)? { Progress::Done } else { Progress::More })
    }
}

const LREM: CommandSpec = CommandSpec {
    name: "lrem",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write],
    keys: KEY_DELETE,
    large: Large::None,
    run: Run::Keys(lrem),
    doc: Doc {
        summary: "Removes elements that equal one: the first, the last, or all. The key goes with the last one.",
        since: "1.0.0",
        complexity: "O(N) in the elements passed over.",
        syntax: "key count element",
        ..Doc::of(Group::List)
    },
};

fn lrem(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let count = integer(args.at(2))?;
    let (key, element) = (args.at(1), args.at(3));
    let found = db.find(key);
    let Some(list) = view(db, &found)? else {
        reply.count(0);
        return Ok(Flow::Done);
    };
    let from = if count < 0 { End::Tail } else { End::Head };
    let max = if count == 0 { u64::MAX } else { count.unsigned_abs() };
    let ListView::Packed(bytes) = list else {
        let mut remove = Remove { from, left: max, kept: 0, removed: 0, comparing: Comparing::default() };
        if remove.go_on(db, args, reply) {
            return Ok(Flow::Done);
        }
        return Ok(Flow::Sliced(Box::new(remove)));
    };
    let bytes = bytes.into_owned();
    let mut list = PackedList::read(&bytes);
    let before = list.elements.len();
    let mut left = max;
    let stays = |other: &&[u8]| {
        let goes = left > 0 && *other == element;
        left -= u64::from(goes);
        !goes
    };
    if from == End::Head {
        list.elements.retain(stays);
    } else {
        list.elements.reverse();
        list.elements.retain(stays);
        list.elements.reverse();
    }
    let removed = before - list.elements.len();
    if removed > 0 {
        list.has_shrunk(db.limits().list_max_listpack_size);
        let emptied = put(db, found, &list)?;
        note_removal(db, key, Event::LRem, emptied);
    }
    reply.count(removed);
    Ok(Flow::Done)
}

/// Notes a change that removed elements, all of them if it `emptied` the list.
fn note_removal(db: &mut Db<'_>, key: &[u8], event: Event, emptied: bool) {
    db.changed(key, event);
    if emptied {
        db.also(key, Event::Del);
    }
}

/// LREM under way in a large list.
#[derive(Debug)]
struct Remove {
    from: End,
    /// Elements to remove still, at most.
    left: u64,
    /// Elements at the end `from` that were looked at and stay.
    kept: u64,
    removed: u64,
    comparing: Comparing,
}

impl Remove {
    /// Goes on, node by node; whether it has replied.
    fn go_on(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> bool {
        let (key, element) = (args.at(1), args.at(3));
        let max_listpack_size = db.limits().list_max_listpack_size;
        let mut budget = db.slice_bytes() as u64;
        let found = db.find_held(key);
        let (list, store) = held(db, &found);
        while self.left > 0 && self.kept < list.len() {
            if budget == 0 {
                return false;
            }
            let looked_for = (element, self.left);
            let step = list.remove_equal(store, (self.from, self.kept), looked_for, &mut self.comparing, &mut budget);
            let Some(step) = step else { return false };
            self.kept = step.kept;
            self.removed += step.removed;
            self.left -= step.removed;
        }
        if self.removed > 0 {
            list.has_shrunk(max_listpack_size);
            let emptied = list.is_empty();
            if emptied {
                db.remove(found);
            }
            note_removal(db, key, Event::LRem, emptied);
        }
        reply.count(self.removed as usize);
        true
    }
}

impl Sliced for Remove {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let db = &mut slice.engine.keyspace.db(slice.db);
        Ok(if self.go_on(db, slice.args, slice.reply) { Progress::Done } else { Progress::More })
    }
}

const LTRIM: CommandSpec = CommandSpec {
    name: "ltrim",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write],
    keys: KEY_DELETE,
    large: Large::None,
    run: Run::Keys(ltrim),
    doc: Doc {
        summary: "Cuts a list to the elements from one index to another. The key goes if there are none.",
        since: "1.0.0",
        complexity: "O(N) in the elements removed, by nodes of some hundreds.",
        syntax: "key start:integer stop:integer",
        ..Doc::of(Group::List)
    },
};

fn ltrim(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
    let key = args.at(1);
    let found = db.find(key);
    let Some(list) = view(db, &found)? else {
        reply.ok();
        return Ok(Flow::Done);
    };
    let len = list.len();
    let range = range_of(start, end, len);
    if range.is_empty() {
        db.remove(found);
        note_removal(db, key, Event::LTrim, true);
        reply.ok();
        return Ok(Flow::Done);
    }
    if let ListView::Packed(bytes) = list {
        let bytes = bytes.into_owned();
        let mut list = PackedList::read(&bytes);
        list.elements.truncate(range.end as usize);
        list.elements.drain(..range.start as usize);
        list.has_shrunk(db.limits().list_max_listpack_size);
        if range.end - range.start < len {
            put(db, found, &list)?;
        }
        note_removal(db, key, Event::LTrim, false);
        reply.ok();
        return Ok(Flow::Done);
    }
    let mut trim = Trim { head: range.start, tail: len - range.end };
    if trim.go_on(db, key, reply) {
        return Ok(Flow::Done);
    }
    Ok(Flow::Sliced(Box::new(trim)))
}

/// LTRIM under way in a large list, of which something stays.
#[derive(Debug)]
struct Trim {
    /// Elements to remove still at the head.
    head: u64,
    /// Elements to remove still at the tail.
    tail: u64,
}

impl Trim {
    /// Goes on, by whole nodes; whether it has replied.
    fn go_on(&mut self, db: &mut Db<'_>, key: &[u8], reply: &mut Reply) -> bool {
        let max_listpack_size = db.limits().list_max_listpack_size;
        let nodes = (db.slice_bytes() / NODE_BYTES).clamp(1, NODES_PER_SLICE);
        let found = db.find_held(key);
        let (list, store) = large(db, &found).expect("a held list stays as it is");
        self.head -= list.remove_some(store, End::Head, self.head, nodes);
        if self.head == 0 {
            self.tail -= list.remove_some(store, End::Tail, self.tail, nodes);
        }
        if self.head + self.tail > 0 {
            return false;
        }
        list.has_shrunk(max_listpack_size);
        note_removal(db, key, Event::LTrim, false);
        reply.ok();
        true
    }
}

/// What a node that is given back counts, in bytes of a slice.
const NODE_BYTES: usize = 1024;

impl Sliced for Trim {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let db = &mut slice.engine.keyspace.db(slice.db);
        Ok(if self.go_on(db, slice.args.at(1), slice.reply) { Progress::Done } else { Progress::More })
    }
}
