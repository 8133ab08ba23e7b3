//! SORT and SORT_RO: the elements of a list, a set or a sorted set in order, by themselves or by other keys.
//!
//! ```text
//!  collect -> weigh (BY: a look-up each) -> sort -> reply, or gather a list for STORE (GET: look-ups each)
//! ```
//!
//! Each of the four goes on in slices where a slice is not enough; meanwhile the key that is sorted does not change and the one
//! that is stored is not seen, as their holds make others wait. Keys that patterns name are held by nobody: a sort in slices sees
//! each of them as it is when it comes to it. What is compared and what is stored is copied; of what is over 64 KiB the pages are shared.

mod source;
mod target;
mod vector;

use source::Walk;
use target::NewList;
use vector::{COPIED_BYTES_MAX, Content, Vector};

use crate::commands::arguments::integer;
use crate::commands::spec::{
    AclCategory, Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run,
};
use crate::commands::zset;
use crate::engine::tasks::Holding;
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Event, ValueType};
use crate::proto::{Args, CommandError, Reply, until_nul};
use crate::text::double::parse_f64;
use crate::types::list::OwnedElement;
use chunkbuf::Blob;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&SORT, &SORT_RO];

const BY_AND_GET: KeySpec = KeySpec::searched(|_| None, &[KeyFlag::Ro, KeyFlag::Access]).noted(
    "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
);

const STORE: KeySpec = KeySpec::searched(stored_key, &[KeyFlag::Ow, KeyFlag::Update]).noted(
    "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
);

const ACL: &[AclCategory] = &[AclCategory::Set, AclCategory::SortedSet, AclCategory::List, AclCategory::Dangerous];

const SORT: CommandSpec = CommandSpec {
    name: "sort",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Write, Flag::DenyOom, Flag::MovableKeys],
    keys: &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access]), BY_AND_GET, STORE],
    large: Large::None,
    run: Run::Keys(|db, args, reply| sort(db, args, false, reply)),
    doc: Doc {
        summary: "Sorts the elements of a list, a set or a sorted set, and replies with them or stores them as a list.",
        since: "1.0.0",
        complexity: "O(N+M*log(N)) for N elements of which M are asked for; with BY and GET a look-up for each.",
        syntax: "key [BY by-pattern:pattern] [LIMIT offset:integer count] [GET get-pattern:pattern [GET get-pattern:pattern ...]] \
                 [ASC | DESC] [ALPHA] [STORE destination:key]",
        acl: ACL,
        ..Doc::of(Group::Generic)
    },
};

const SORT_RO: CommandSpec = CommandSpec {
    name: "sort_ro",
    flags: &[Flag::Readonly, Flag::MovableKeys],
    keys: &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access]), BY_AND_GET],
    run: Run::Keys(|db, args, reply| sort(db, args, true, reply)),
    doc: Doc {
        summary: "Sorts the elements of a list, a set or a sorted set, and replies with them.",
        since: "7.0.0",
        syntax: "key [BY by-pattern:pattern] [LIMIT offset:integer count] [GET get-pattern:pattern [GET get-pattern:pattern ...]] \
                 [ASC | DESC] [ALPHA]",
        ..SORT.doc
    },
    ..SORT
};

/// The argument that names the key to store at: the last one behind a STORE that is no argument of another option.
fn stored_key(request: &Args<'_>) -> Option<usize> {
    let mut found = None;
    let mut at = 2;
    while at < request.len() {
        if request.is(at, "limit") {
            at += 2;
        } else if request.is(at, "get") || request.is(at, "by") {
            at += 1;
        } else if request.is(at, "store") && at + 1 < request.len() {
            at += 1;
            found = Some(at);
        }
        at += 1;
    }
    found
}

/// What a request asks for. Patterns and keys are told by their arguments.
#[derive(Debug)]
struct Plan {
    /// Compare bytes, not numbers.
    alpha: bool,
    descending: bool,
    by: Option<usize>,
    /// Leave the elements in the order that they have.
    unsorted: bool,
    gets: Vec<usize>,
    store: Option<usize>,
    offset: i64,
    /// Less than 0: all.
    count: i64,
}

impl Plan {
    fn read(args: &Args<'_>, read_only: bool) -> Result<Plan, CommandError> {
        let mut plan = Plan {
            alpha: false,
            descending: false,
            by: None,
            unsorted: false,
            gets: Vec::new(),
            store: None,
            offset: 0,
            count: -1,
        };
        let mut at = 2;
        while at < args.len() {
            let left = args.len() - at - 1;
            if args.is(at, "asc") {
                plan.descending = false;
            } else if args.is(at, "desc") {
                plan.descending = true;
            } else if args.is(at, "alpha") {
                plan.alpha = true;
            } else if args.is(at, "limit") && left >= 2 {
                plan.offset = integer(args.at(at + 1))?;
                plan.count = integer(args.at(at + 2))?;
                at += 2;
            } else if !read_only && args.is(at, "store") && left >= 1 {
                at += 1;
                plan.store = Some(at);
            } else if args.is(at, "by") && left >= 1 {
                at += 1;
                plan.by = Some(at);
                // A pattern without a star is the same for all: they stay as they are. Once said, it is not unsaid.
                plan.unsorted |= !until_nul(args.at(at)).contains(&b'*');
            } else if args.is(at, "get") && left >= 1 {
                at += 1;
                plan.gets.push(at);
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        Ok(plan)
    }

    /// The elements, of `len` in order, that are asked for: from the first to before the second.
    fn window(&self, len: u64) -> (u64, u64) {
        let start = self.offset.max(0) as u64;
        if start >= len {
            return (0, 0);
        }
        let end = if self.count < 0 { len } else { len.min(start.saturating_add(self.count as u64)) };
        (start, end)
    }
}

/// What a pattern means for an element.
enum Named<'a> {
    /// `#`
    Element,
    /// There is no star in it.
    Nothing,
    Key(Vec<u8>),
    Field(Vec<u8>, &'a [u8]),
}

impl<'a> Named<'a> {
    /// The first star becomes the element; behind it `->` and a name mean a field of a hash. No key is as long as a long element.
    fn by(pattern: &'a [u8], element: Content<'_>) -> Named<'a> {
        if pattern == b"#" {
            return Named::Element;
        }
        let Some(star) = until_nul(pattern).iter().position(|&byte| byte == b'*') else {
            return Named::Nothing;
        };
        let Content::Bytes(element) = element else {
            return Named::Nothing;
        };
        let (prefix, rest) = (&pattern[..star], &pattern[star + 1..]);
        let arrow = until_nul(rest).windows(2).position(|pair| pair == b"->");
        match arrow.filter(|&at| until_nul(rest).len() > at + 2) {
            Some(at) => Named::Field([prefix, element, &rest[..at]].concat(), &rest[at + 2..]),
            None => Named::Key([prefix, element, rest].concat()),
        }
    }

    /// The value of a key or a field.
    fn fetch(&self, db: &mut Db<'_>) -> Option<OwnedElement> {
        match self {
            Named::Element | Named::Nothing => None,
            Named::Key(key) => {
                let found = db.read(key);
                source::string(db, &found)
            }
            Named::Field(key, field) => {
                let found = db.read(key);
                source::hash_field(db, &found, field)
            }
        }
    }

    /// Replies with the value, or null.
    fn reply(&self, db: &mut Db<'_>, element: Content<'_>, reply: &mut Reply) {
        match self {
            Named::Element => match element {
                Content::Bytes(bytes) => reply.bulk(bytes),
                Content::Long([], blob) => reply.bulk_blob(blob.slice(0..blob.len())),
                Content::Long(head, rest) => {
                    reply.bulk_and_blob(head.len(), std::iter::once(head), rest.slice(0..rest.len()));
                }
            },
            Named::Key(key) => {
                let found = db.read(key);
                if found.value_type() == Some(ValueType::String) {
                    db.reply_string(&found, reply).expect("it is a string");
                } else {
                    reply.null();
                }
            }
            Named::Nothing | Named::Field(..) => match self.fetch(db) {
                Some(OwnedElement::Bytes(value)) => reply.bulk(&value),
                Some(OwnedElement::Blob(blob)) => reply.bulk_blob(blob.slice(0..blob.len())),
                None => reply.null(),
            },
        }
    }
}

/// The number that an element is compared by: all of it up to a NUL byte, as C's `strtod` reads it; the empty one is 0.
fn number(text: &[u8]) -> Option<f64> {
    let text = until_nul(text);
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    parse_f64(&text[blanks..])
}

/// The number that a blob is compared by. A text that would not be copied is taken for none unless a NUL byte ends it early, though
/// zeros may make a number as long.
fn number_in(blob: &Blob) -> Option<f64> {
    let shown = blob.len().min(COPIED_BYTES_MAX);
    let text = blob.pieces(0..shown).collect::<Vec<_>>().concat();
    if shown < blob.len() && !text.contains(&0) { None } else { number(&text) }
}

fn sort(db: &mut Db<'_>, args: &Args<'_>, read_only: bool, reply: &mut Reply) -> Outcome {
    let mut plan = Plan::read(args, read_only)?;
    let mut found = db.read(args.at(1));
    if found.value_type() == Some(ValueType::SortedSet) {
        // Redis sorts a skip list, and leaves it.
        zset::long::become_skiplist(db, found);
        found = db.find(args.at(1));
    }
    let (value_type, len) = source::length(db, &found)?;
    if plan.unsorted && value_type == Some(ValueType::Set) && plan.store.is_some() {
        // A set has no order of its own, and what is stored must not depend on chance.
        (plan.unsorted, plan.alpha, plan.by) = (false, true, None);
    }
    let (start, end) = plan.window(len);
    // Elements that stay in an order of their own are not collected to be left out.
    let (walk, elements, window) = match value_type {
        Some(ValueType::List | ValueType::SortedSet) if plan.unsorted => {
            let elements = (end - start) as usize;
            (Walk::part(start, end, plan.descending), elements, (0, elements))
        }
        _ => (Walk::all(len), len as usize, (start as usize, end as usize)),
    };
    let mut sorting = Sorting {
        plan,
        window,
        vector: Vector::with_room(elements),
        stage: Stage::Collect(walk),
        list: None,
        joined: None,
        asks: !read_only,
        counted: 0,
    };
    let outcome = sorting.go_on(db, args, reply);
    match outcome {
        Ok(true) => Ok(Flow::Done),
        Ok(false) => Ok(Flow::Sliced(Box::new(sorting))),
        Err(error) => {
            if let Some(list) = sorting.list.take() {
                list.free(db.store_mut());
            }
            Err(error)
        }
    }
}

/// What a look-up counts beside its bytes, in bytes of a slice.
const LOOK_UP_BYTES: usize = 512;
/// What an element counts beside its bytes.
const ELEMENT_BYTES: usize = 32;
/// What it counts beside that where it is collected or told: it is waited for, and what is written takes new memory.
const VISIT_BYTES: usize = 48;
/// Bytes of a long element that are copied at once where it is stored in one piece.
const JOINED_BYTES: usize = 16 * 1024;
/// What a comparison counts: it waits for the bytes of two elements.
const COMPARISON_BYTES: usize = 96;

/// A sort under way.
#[derive(Debug)]
struct Sorting {
    plan: Plan,
    /// The elements in order that are asked for, of those that are collected.
    window: (usize, usize),
    vector: Vector,
    stage: Stage,
    /// For STORE: until it is stored.
    list: Option<NewList>,
    /// The beginning of a long element that is stored in one piece.
    joined: Option<Blob>,
    /// Whether it is refused when there is no memory for what it gathers, as commands are that may store something.
    asks: bool,
    /// Bytes of what it gathers that are in the store's books.
    counted: u64,
}

#[derive(Debug)]
enum Stage {
    Collect(Walk),
    /// Elements from this one on are to be weighed.
    Weigh(usize),
    Sort,
    /// The reply's header is to be written, if it is an array.
    Begin,
    /// Of this element, what this GET asks for, the first one if there is none, is to be told.
    Tell(usize, usize),
}

impl Sorting {
    /// Goes on for a slice; whether it is done.
    fn go_on(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<bool, CommandError> {
        let mut left = db.slice_bytes();
        loop {
            match &mut self.stage {
                Stage::Collect(walk) => {
                    let found = db.find(args.at(1));
                    let (len, bytes) = (self.vector.len(), self.vector.bytes());
                    // Members of a sorted set are looked up, each by itself.
                    let is_ranked = found.value_type() == Some(ValueType::SortedSet);
                    let visit_bytes = if is_ranked { LOOK_UP_BYTES } else { VISIT_BYTES };
                    let elements = left / (ELEMENT_BYTES + visit_bytes);
                    let more = source::collect(db, &found, walk, &mut self.vector, elements);
                    left = left.saturating_sub(self.vector.bytes() - bytes);
                    left = left.saturating_sub((self.vector.len() - len) * visit_bytes);
                    if !more {
                        self.stage = if self.plan.unsorted { Stage::Begin } else { Stage::Weigh(0) };
                    }
                }
                Stage::Weigh(next) if *next < self.vector.len() => {
                    let at = *next;
                    *next += 1;
                    left = left.saturating_sub(self.weigh(db, args, at)?);
                }
                Stage::Weigh(_) => self.stage = Stage::Sort,
                Stage::Sort => {
                    let comparisons = (left / COMPARISON_BYTES).max(1);
                    if !self.vector.sort_some(self.plan.descending, comparisons) {
                        return Ok(false);
                    }
                    // How many it took is not told: about as many as there are elements.
                    left = left.saturating_sub(self.vector.len() * COMPARISON_BYTES);
                    self.stage = Stage::Begin;
                }
                Stage::Begin => {
                    let (start, end) = self.window;
                    if self.plan.store.is_none() {
                        reply.array((end - start) * self.plan.gets.len().max(1));
                    } else {
                        self.list = Some(NewList::default());
                    }
                    self.stage = Stage::Tell(start, 0);
                }
                &mut Stage::Tell(at, get) if at < self.window.1 => {
                    left = left.saturating_sub(self.tell(db, args, (at, get), reply)?);
                    let is_last = get + 1 >= self.plan.gets.len();
                    if self.joined.is_none() {
                        self.stage = if is_last { Stage::Tell(at + 1, 0) } else { Stage::Tell(at, get + 1) };
                    }
                }
                Stage::Tell(..) => {
                    if let Some(store) = self.plan.store {
                        let list = self.list.take().expect("it was begun");
                        store_list(db, args.at(store), list, reply)?;
                    }
                    return Ok(true);
                }
            }
            if left == 0 {
                return Ok(false);
            }
        }
    }

    /// Counts what it has gathered as memory in use, between two slices.
    ///
    /// # Errors
    /// When there is none left. Nothing has been replied then, for it gathers before it tells.
    fn count(&mut self, db: &mut Db<'_>) -> Result<(), CommandError> {
        let bytes = self.vector.memory_bytes();
        db.store_mut().count_heap(self.counted, bytes);
        let grows = bytes > std::mem::replace(&mut self.counted, bytes);
        if grows && self.asks && !db.has_room(0) { Err(CommandError::OutOfMemory) } else { Ok(()) }
    }

    /// Looks up what an element is compared by; what that counts in bytes.
    fn weigh(&mut self, db: &mut Db<'_>, args: &Args<'_>, at: usize) -> Result<usize, CommandError> {
        let Plan { by, alpha, .. } = self.plan;
        let element = self.vector.element(at);
        let Some(by) = by else {
            if alpha {
                self.vector.weigh_by_itself(at);
                return Ok(ELEMENT_BYTES);
            }
            let (number, bytes) = match element {
                Content::Bytes(bytes) => (number(bytes), bytes.len()),
                Content::Long([], blob) => (number_in(blob), COPIED_BYTES_MAX as usize),
                // So much is the beginning of a name.
                Content::Long(head, _) => (Some(head).filter(|head| head.contains(&0)).and_then(number), head.len()),
            };
            self.vector.weigh_by_number(at, number.ok_or(NOT_A_DOUBLE)?);
            return Ok(ELEMENT_BYTES + bytes);
        };
        let weight = Named::by(args.at(by), element).fetch(db);
        let bytes = match &weight {
            Some(OwnedElement::Bytes(bytes)) => bytes.len(),
            Some(OwnedElement::Blob(blob)) => blob.len().min(COPIED_BYTES_MAX) as usize,
            None => 0,
        };
        match weight {
            None if alpha => {}
            None => self.vector.weigh_by_number(at, 0.0),
            Some(OwnedElement::Bytes(bytes)) if alpha => self.vector.weigh_by_text(at, &bytes),
            Some(OwnedElement::Blob(blob)) if alpha => self.vector.weigh_by_blob(at, &blob),
            Some(weight) => {
                let number = match &weight {
                    OwnedElement::Bytes(bytes) => number(bytes),
                    OwnedElement::Blob(blob) => number_in(blob),
                };
                self.vector.weigh_by_number(at, number.ok_or(NOT_A_DOUBLE)?);
            }
        }
        Ok(LOOK_UP_BYTES + bytes)
    }

    /// Tells an element, or what a GET asks for, to the client or to the list; what that counts in bytes. One that is being joined is not
    /// told yet.
    fn tell(
        &mut self,
        db: &mut Db<'_>,
        args: &Args<'_>,
        (at, get): (usize, usize),
        reply: &mut Reply,
    ) -> Result<usize, CommandError> {
        let element = self.vector.element(at);
        let pattern = self.plan.gets.get(get).map_or(&b"#"[..], |&at| args.at(at));
        let named = Named::by(pattern, element);
        let counts = if matches!(named, Named::Element) { ELEMENT_BYTES + VISIT_BYTES } else { LOOK_UP_BYTES };
        let Some(list) = &mut self.list else {
            let before = reply.own_bytes();
            named.reply(db, element, reply);
            return Ok(counts + reply.own_bytes() - before);
        };
        let value = match (&named, element) {
            (Named::Element, Content::Bytes(bytes)) => OwnedElement::Bytes(bytes.to_vec()),
            (Named::Element, Content::Long([], blob)) => OwnedElement::Blob(blob.clone()),
            (Named::Element, long) => {
                let mut joined = self.joined.take().unwrap_or_else(|| db.new_blob());
                let piece = long.piece(joined.len());
                let piece = &piece[..piece.len().min(JOINED_BYTES)];
                db.blob_append(&mut joined, piece)?;
                if joined.len() < long.len() {
                    self.joined = Some(joined);
                    return Ok(piece.len());
                }
                OwnedElement::Blob(joined)
            }
            _ => named.fetch(db).unwrap_or(OwnedElement::Bytes(Vec::new())),
        };
        list.push(db, value.as_element())?;
        Ok(counts + if let OwnedElement::Bytes(bytes) = value { bytes.len() } else { 0 })
    }
}

const NOT_A_DOUBLE: CommandError = CommandError::text_static("ERR One or more scores can't be converted into double");

fn store_list(db: &mut Db<'_>, key: &[u8], list: NewList, reply: &mut Reply) -> Result<(), CommandError> {
    let len = list.len();
    let found = db.find(key);
    if len > 0 {
        list.put(db, found)?;
        db.changed(key, Event::SortStore);
    } else if db.remove(found) {
        db.changed(key, Event::Del);
    }
    reply.count(len);
    Ok(())
}

impl Sliced for Sorting {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let mut db = slice.engine.keyspace.db(slice.db);
        if self.go_on(&mut db, slice.args, slice.reply)? {
            return Ok(Progress::Done);
        }
        self.count(&mut db)?;
        Ok(Progress::More)
    }

    fn end(&mut self, engine: &mut Engine) {
        engine.keyspace.store.count_heap(self.counted, 0);
        if let Some(list) = self.list.take().and_then(NewList::into_large) {
            engine.keyspace.discard(list);
        }
        std::mem::take(&mut self.vector).discard(engine);
    }
}
