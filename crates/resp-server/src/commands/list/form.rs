//! Lists in either form, as their commands see them: found, pushed to, popped from, put back.
//!
//! A packed list is read whole, changed and written anew; a large one is changed where it lies. What is here does one bounded piece
//! of work: [`ELEMENTS_AT_ONCE`] elements or a slice's bytes. Whoever calls it goes on in slices with the rest.

use std::borrow::Cow;
use std::ops::Range;

use chunkbuf::{PutError, Store};

use crate::commands::arguments::integer;
use crate::keyspace::{Db, Event, Found, ValueType, View, put_error};
use crate::proto::{CommandError, Reply, Value};
use crate::types::list::packed::{self, PackedList};
use crate::types::list::{Element, End, List, OwnedElement};
use crate::types::{Collection, Large as _};

/// Elements that a command handles before others get their turn: 20 to 100 ns each.
pub(super) const ELEMENTS_AT_ONCE: u64 = 1_000;
/// Bytes of a reply that become a segment of their own, so that a long one is not moved as it grows.
const SEGMENT: usize = 64 * 1024;

/// A list where it lies.
#[derive(Debug)]
pub(in crate::commands) enum ListView<'a> {
    /// All its bytes.
    Packed(Cow<'a, [u8]>),
    /// Its large form.
    Large(&'a List),
}

/// The list that was found.
pub(in crate::commands) fn view<'a>(db: &'a Db<'_>, found: &Found<'_>) -> Result<Option<ListView<'a>>, CommandError> {
    Ok(db.collection(found, ValueType::List)?.map(|view| match view {
        View::Packed(bytes) => ListView::Packed(bytes),
        View::Large(collection) => ListView::Large(collection.as_list().expect("the key's type says so")),
    }))
}

/// The large list that was found, to change it; `None` if there is none, or a packed one. The key's type has been looked at.
pub(super) fn large<'a>(db: &'a mut Db<'_>, found: &Found<'_>) -> Option<(&'a mut List, &'a mut Store)> {
    let (collection, store) = db.large_mut(found)?;
    Some((collection.as_list_mut().expect("the key's type says so"), store))
}

/// The large list of a key that a task holds.
pub(super) fn held<'a>(db: &'a mut Db<'_>, found: &Found<'_>) -> (&'a mut List, &'a mut Store) {
    large(db, found).expect("a held list stays as it is")
}

impl ListView<'_> {
    /// How many elements there are. O(1), or a walk over 1 KiB.
    pub(in crate::commands) fn len(&self) -> u64 {
        match self {
            ListView::Packed(bytes) => packed::elements(bytes).count() as u64,
            ListView::Large(list) => list.len(),
        }
    }

    /// The element at `index`. O(log n), or a walk over 1 KiB.
    pub(super) fn get(&self, index: u64) -> Option<Element<'_>> {
        match self {
            ListView::Packed(bytes) => packed::elements(bytes).nth(index as usize).map(Element::Bytes),
            ListView::Large(list) => list.get(index),
        }
    }
}

/// An argument as an index into `len` elements, negative from the tail.
pub(super) fn index_argument(arg: &[u8], len: u64) -> Result<Option<u64>, CommandError> {
    let index = integer(arg)?;
    let index = if index < 0 { len.checked_sub(index.unsigned_abs()) } else { Some(index.unsigned_abs()) };
    Ok(index.filter(|&index| index < len))
}

/// The indexes from `start` to `end`, both negative from the tail, into `len` elements.
pub(super) fn range_of(start: i64, end: i64, len: u64) -> Range<u64> {
    let len = i64::try_from(len).expect("a list is shorter than 2^63 elements");
    let place = |at: i64| if at < 0 { at + len } else { at };
    let (start, last) = (place(start).max(0), place(end).min(len - 1));
    if start > last { 0..0 } else { start as u64..last as u64 + 1 }
}

/// `LEFT` or `RIGHT`.
pub(super) fn end_argument(arg: &[u8]) -> Result<End, CommandError> {
    match () {
        () if arg.eq_ignore_ascii_case(b"left") => Ok(End::Head),
        () if arg.eq_ignore_ascii_case(b"right") => Ok(End::Tail),
        () => Err(CommandError::Syntax),
    }
}

/// An argument as an element.
pub(super) fn as_element<'a>(value: &'a Value<'_>) -> Element<'a> {
    match value {
        Value::Bytes(bytes) => Element::Bytes(bytes),
        Value::Blob(blob) => Element::Blob(blob),
    }
}

/// Replies with an element; a large one by reference.
#[inline]
pub(super) fn reply_element(reply: &mut Reply, element: Element<'_>) {
    match element {
        Element::Bytes(bytes) => reply.bulk(bytes),
        Element::Blob(blob) => reply.bulk_blob(blob.slice(0..blob.len())),
    }
}

/// Replies with elements until a slice is full, at most `max`; how many those were.
pub(super) fn reply_some<'a>(
    reply: &mut Reply,
    elements: impl Iterator<Item = Element<'a>>,
    max: u64,
    slice_bytes: usize,
) -> u64 {
    let stop = reply.own_bytes().saturating_add(slice_bytes);
    let mut count = 0;
    for element in elements.take(max.min(ELEMENTS_AT_ONCE) as usize) {
        reply_element(reply, element);
        count += 1;
        if reply.own_bytes() >= stop {
            break;
        }
    }
    reply.seal(SEGMENT);
    count
}

/// Puts a short list that was changed back, in its large form if it has become too long. Its key goes with its last element.
/// Whether it has gone. A failed call changes nothing.
pub(super) fn put(db: &mut Db<'_>, found: Found<'_>, list: &PackedList<'_>) -> Result<bool, CommandError> {
    if list.elements.is_empty() {
        return Ok(db.remove(found));
    }
    match list.write() {
        Some(bytes) => db.put_packed(found, ValueType::List, &bytes)?,
        None => put_as_large(db, found, list, |_, _| Ok(()))?,
    }
    Ok(false)
}

/// Puts a short list that was changed back in its large form, after one more change. A failed call changes nothing.
pub(super) fn put_as_large(
    db: &mut Db<'_>,
    found: Found<'_>,
    list: &PackedList<'_>,
    change: impl FnOnce(&mut List, &mut Store) -> Result<(), PutError>,
) -> Result<(), CommandError> {
    let store = db.store_mut();
    let mut large = list.to_large(store).map_err(put_error)?;
    match change(&mut large, store) {
        Ok(()) => db.put_large(found, ValueType::List, Box::new(Collection::List(large))),
        Err(error) => {
            large.free(store);
            Err(put_error(error))
        }
    }
}

/// Puts elements at an end of the list that was found, one after another, and returns its length. A failed call changes nothing.
pub(super) fn push<'a>(
    db: &mut Db<'_>,
    found: Found<'_>,
    end: End,
    elements: impl ExactSizeIterator<Item = Element<'a>> + Clone,
) -> Result<u64, CommandError> {
    let max_listpack_size = db.limits().list_max_listpack_size;
    let old = match view(db, &found)? {
        None => Vec::new(),
        Some(ListView::Packed(bytes)) => bytes.into_owned(),
        Some(ListView::Large(_)) => {
            let (list, store) = large(db, &found).expect("just seen");
            list.push_all(store, max_listpack_size, end, elements).map_err(put_error)?;
            return Ok(list.len());
        }
    };
    let mut list = if old.is_empty() { PackedList::new() } else { PackedList::read(&old) };
    let len = (list.elements.len() + elements.len()) as u64;
    let bytes: u64 = elements.clone().map(|element| element.len()).sum();
    if old.len() as u64 + bytes < packed::PACKED_BYTES_MAX as u64 {
        list.will_grow(max_listpack_size, bytes, elements.len() as u64);
        let pieces = elements.clone().filter_map(|element| match element {
            Element::Bytes(bytes) => Some(bytes),
            Element::Blob(_) => None,
        });
        let before = list.elements.len();
        match end {
            End::Tail => list.elements.extend(pieces),
            End::Head => {
                let mut pushed: Vec<&[u8]> = pieces.collect();
                pushed.reverse();
                pushed.append(&mut list.elements);
                list.elements = pushed;
            }
        }
        if list.elements.len() - before == elements.len() {
            put(db, found, &list)?;
            return Ok(len);
        }
        list = PackedList::read(&old);
    }
    put_as_large(db, found, &list, |large, store| large.push_all(store, max_listpack_size, end, elements))?;
    Ok(len)
}

/// What became of taking elements off a list.
pub(super) struct Popped {
    /// How many.
    pub(super) count: u64,
    /// The key has gone with the last one.
    pub(super) emptied: bool,
}

/// Takes elements off an end of the list that was found, and is there, until a slice is full, at most `max`, and replies with each.
/// A failed call changes nothing and replies nothing.
pub(super) fn pop_some(
    db: &mut Db<'_>,
    found: Found<'_>,
    end: End,
    max: u64,
    reply: &mut Reply,
) -> Result<Popped, CommandError> {
    let (max_listpack_size, slice_bytes) = (db.limits().list_max_listpack_size, db.slice_bytes());
    if let Some((list, store)) = large(db, &found) {
        let count = match end {
            End::Head => reply_some(reply, list.forward(0), max, slice_bytes),
            End::Tail => reply_some(reply, list.backward(list.len()), max, slice_bytes),
        };
        let emptied = count == list.len();
        if emptied {
            db.remove(found);
        } else {
            list.remove_some(store, end, count, usize::MAX);
            list.has_shrunk(max_listpack_size);
        }
        return Ok(Popped { count, emptied });
    }
    let Some(ListView::Packed(bytes)) = view(db, &found)? else {
        unreachable!("a list that is there is packed or large");
    };
    let bytes = bytes.into_owned();
    let mut list = PackedList::read(&bytes);
    let count = list.elements.len().min(max as usize);
    let taken: Vec<&[u8]> = match end {
        End::Head => list.elements.drain(..count).collect(),
        End::Tail => list.elements.drain(list.elements.len() - count..).rev().collect(),
    };
    list.has_shrunk(max_listpack_size);
    let emptied = put(db, found, &list)?;
    taken.into_iter().for_each(|element| reply.bulk(element));
    Ok(Popped { count: count as u64, emptied })
}

/// Notes that elements were taken off an end of a list.
pub(super) fn note_pop(db: &mut Db<'_>, key: &[u8], end: End, emptied: bool) {
    db.changed(key, if end == End::Head { Event::LPop } else { Event::RPop });
    if emptied {
        db.also(key, Event::Del);
    }
}

/// The event of a push.
pub(super) fn push_event(end: End) -> Event {
    if end == End::Head { Event::LPush } else { Event::RPush }
}

/// Takes the element at one end of a list and puts it at one end of another, which may be the same, and replies with it. `None`, and no
/// reply, if there is no list to take it from. A failed call changes nothing. O(1), whatever the element's length.
///
/// # Errors
/// When one of the keys is of another type, or there is no memory.
pub(super) fn move_element(
    db: &mut Db<'_>,
    (source, from): (&[u8], End),
    (target, to): (&[u8], End),
    reply: &mut Reply,
) -> Result<Option<()>, CommandError> {
    // A look-up that meets a key that has expired removes it, and what was found before is not good any more.
    let found_target = db.find(target);
    let found = db.find(source);
    if !found.exists() {
        return Ok(None);
    }
    view(db, &found)?;
    view(db, &found_target)?;
    let Some(list) = view(db, &found)? else { return Ok(None) };
    let index = if from == End::Head { 0 } else { list.len() - 1 };
    let element = list.get(index).expect("a list is not empty").to_owned();
    if !db.has_room(ROOM_TO_MOVE) {
        return Err(CommandError::OutOfMemory);
    }
    if source == target {
        rotate(db, found, (from, to), &element)?;
        db.changed(target, push_event(to));
        reply_element(reply, element.as_element());
        note_moved(db, source, from, false);
        return Ok(Some(()));
    }
    push(db, found_target, to, std::iter::once(element.as_element()))?;
    db.changed(target, push_event(to));
    let found = db.find(source);
    let emptied = match pop_some(db, found, from, 1, &mut Reply::new()) {
        Ok(popped) => popped.emptied,
        Err(error) => {
            // There was room a moment ago, and what is put back is not longer than what is there.
            let found_target = db.find(target);
            pop_some(db, found_target, to, 1, &mut Reply::new())?;
            return Err(error);
        }
    };
    reply_element(reply, element.as_element());
    note_moved(db, source, from, emptied);
    Ok(Some(()))
}

/// Memory for two short lists that are written anew.
const ROOM_TO_MOVE: u64 = 8 * 1024;

fn note_moved(db: &mut Db<'_>, source: &[u8], from: End, emptied: bool) {
    db.also(source, if from == End::Head { Event::LPop } else { Event::RPop });
    if emptied {
        db.also(source, Event::Del);
    }
}

/// Moves the element at one end of a list, which is `element`, to an end of the same list.
fn rotate(
    db: &mut Db<'_>,
    found: Found<'_>,
    (from, to): (End, End),
    element: &OwnedElement,
) -> Result<(), CommandError> {
    if from == to {
        return Ok(());
    }
    if let Some((list, store)) = large(db, &found) {
        list.push(store, to, element.as_element()).map_err(put_error)?;
        list.remove_some(store, from, 1, 1);
        return Ok(());
    }
    let Some(ListView::Packed(bytes)) = view(db, &found)? else {
        unreachable!("a list that is there is packed or large");
    };
    let bytes = bytes.into_owned();
    let mut list = PackedList::read(&bytes);
    match from {
        End::Head => list.elements.rotate_left(1),
        End::Tail => list.elements.rotate_right(1),
    }
    put(db, found, &list)?;
    Ok(())
}
