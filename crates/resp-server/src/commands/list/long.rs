//! The long forms of pushes, pops and LRANGE: very many elements, or long ones, a slice at a time.
//!
//! They hold their keys, so that nobody sees a list half changed.
//!
//! * Pushes to a list that is large already change it in place, and take back what they have pushed if there is no memory for the
//!   rest. To a short list, or to none, a large one is built apart and put at the end.
//! * Pops and LRANGE reply with the count first and then with the elements as they come to them: they cannot fail.

use std::ops::Range;

use super::form::{ELEMENTS_AT_ONCE, ListView, as_element, held, note_pop, pop_some, push_event, reply_some, view};
use crate::engine::tasks::Holding;
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, ValueType, put_error};
use crate::proto::{Args, CommandError, Value};
use crate::types::list::packed::PackedList;
use crate::types::list::{End, List};
use crate::types::{Collection, Large as _};

use super::FIRST_ELEMENT;
use crate::commands::generic::many::Room;

/// What an element takes beside its own bytes, where those are few.
const ELEMENT_BYTES: u64 = 4;
/// Nodes that are taken off in a slice.
pub(super) const NODES_PER_SLICE: usize = 64;

/// A push of many elements to the key that is argument 1.
#[derive(Debug)]
pub(super) struct PushMany {
    end: End,
    /// The argument to go on with.
    next: usize,
    stage: Stage,
    room: Room,
}

#[derive(Debug)]
enum Stage {
    /// Elements go to a list that no key has yet. `None` once it has one.
    Apart(Option<Box<Collection>>),
    /// Elements go to the key's list, which had so many at the beginning.
    InPlace(u64),
    /// There was no memory for all: elements go until there are as many as at the beginning.
    TakeBack(u64),
}

impl PushMany {
    /// Nothing pushed yet.
    ///
    /// # Errors
    /// When there is no memory: as far as can be told before anything is written.
    pub(super) fn new(db: &mut Db<'_>, args: &Args<'_>, end: End) -> Result<PushMany, CommandError> {
        let room = Room::of_bytes(db, args.extent() as u64 + (args.len() as u64 * ELEMENT_BYTES))?;
        let found = db.find(args.at(1));
        let old = match view(db, &found)? {
            Some(ListView::Large(list)) => {
                let stage = Stage::InPlace(list.len());
                return Ok(PushMany { end, next: FIRST_ELEMENT, stage, room });
            }
            Some(ListView::Packed(bytes)) => Some(bytes.into_owned()),
            None => None,
        };
        let short = old.as_deref().map_or_else(PackedList::new, PackedList::read);
        let list = short.to_large(db.store_mut()).map_err(put_error)?;
        let stage = Stage::Apart(Some(Box::new(Collection::List(list))));
        Ok(PushMany { end, next: FIRST_ELEMENT, stage, room: Room::default() })
    }

    /// A slice's worth of arguments, from the next one on.
    fn values<'a>(&self, args: &Args<'a>, slice_bytes: usize) -> Vec<Value<'a>> {
        let last = args.len().min(self.next + ELEMENTS_AT_ONCE as usize);
        let mut bytes = 0;
        let mut values = Vec::new();
        for at in self.next..last {
            let value = args.take_value(at);
            if let Value::Bytes(value) = value {
                bytes += value.len();
            }
            values.push(value);
            if bytes >= slice_bytes {
                break;
            }
        }
        values
    }
}

impl Sliced for PushMany {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let (args, end) = (slice.args, self.end);
        let key = args.at(1);
        let db = &mut slice.engine.keyspace.db(slice.db);
        let max_listpack_size = db.limits().list_max_listpack_size;
        if let Stage::TakeBack(len) = self.stage {
            let found = db.find_held(key);
            let (list, store) = held(db, &found);
            let left = list.len() - len;
            if list.remove_some(store, end, left, NODES_PER_SLICE) < left {
                return Ok(Progress::More);
            }
            list.has_shrunk(max_listpack_size);
            return Err(CommandError::OutOfMemory);
        }
        let values = self.values(args, db.slice_bytes());
        let elements = values.iter().map(as_element);
        self.next += values.len();
        let bytes: u64 = values.iter().map(|value| value.len() + ELEMENT_BYTES).sum();
        self.room.spend_bytes(bytes);
        let len = match &mut self.stage {
            Stage::Apart(apart) => {
                let list = list_of(apart);
                list.push_all(db.store_mut(), max_listpack_size, end, elements).map_err(put_error)?;
                list.len()
            }
            Stage::InPlace(before) => {
                let found = db.find_held(key);
                let (list, store) = held(db, &found);
                if list.push_all(store, max_listpack_size, end, elements).is_err() {
                    self.stage = Stage::TakeBack(*before);
                    return Ok(Progress::More);
                }
                list.len()
            }
            Stage::TakeBack(_) => unreachable!("it has returned"),
        };
        if self.next < args.len() {
            return Ok(Progress::More);
        }
        if let Stage::Apart(apart) = &mut self.stage {
            let found = db.find_held(key);
            db.put_large(found, ValueType::List, apart.take().expect("it is put once"))?;
        }
        db.changed(key, push_event(end));
        slice.reply.count(len as usize);
        Ok(Progress::Done)
    }

    fn room(&self) -> u64 {
        self.room.left()
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Stage::Apart(Some(_)) = self.stage
            && let Stage::Apart(Some(list)) = std::mem::replace(&mut self.stage, Stage::Apart(None))
        {
            engine.keyspace.discard(list);
        }
    }
}

fn list_of(apart: &mut Option<Box<Collection>>) -> &mut List {
    let list = apart.as_mut().and_then(|collection| collection.as_list_mut());
    list.expect("it is a list, and not put before the end")
}

/// The rest of a pop of many elements, whose number is replied.
#[derive(Debug)]
pub(super) struct PopMany {
    key: Vec<u8>,
    end: End,
    left: u64,
}

impl PopMany {
    /// Goes on to take `left` elements, which are there, off an end of the list at `key`.
    pub(super) fn new(key: &[u8], end: End, left: u64) -> PopMany {
        PopMany { key: key.to_vec(), end, left }
    }
}

impl Sliced for PopMany {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let db = &mut slice.engine.keyspace.db(slice.db);
        let found = db.find_held(&self.key);
        let popped = pop_some(db, found, self.end, self.left, slice.reply)?;
        self.left -= popped.count;
        if self.left > 0 {
            return Ok(Progress::More);
        }
        note_pop(db, &self.key, self.end, popped.emptied);
        Ok(Progress::Done)
    }
}

/// The rest of a LRANGE of the key that is argument 1; the number of elements is replied.
#[derive(Debug)]
pub(super) struct ReadMany {
    /// The index to go on with.
    next: u64,
    /// The first index behind the range.
    end: u64,
}

impl ReadMany {
    /// Goes on with these elements of a large list.
    pub(super) fn new(range: Range<u64>) -> ReadMany {
        ReadMany { next: range.start, end: range.end }
    }
}

impl Sliced for ReadMany {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let db = &slice.engine.keyspace.db(slice.db);
        let list = held_list(db, slice.args.at(1));
        self.next += reply_some(slice.reply, list.forward(self.next), self.end - self.next, db.slice_bytes());
        Ok(if self.next < self.end { Progress::More } else { Progress::Done })
    }
}

/// The large list of a key that is held, and was found to have one.
pub(super) fn held_list<'d>(db: &'d Db<'_>, key: &[u8]) -> &'d List {
    db.held_collection(key).and_then(Collection::as_list).expect("a key that is held keeps what it has")
}
