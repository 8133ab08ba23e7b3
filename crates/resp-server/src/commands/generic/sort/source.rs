//! What SORT reads: the elements of a list, a set or a sorted set, some at a time, and fields of hashes.

use super::vector::Vector;
use crate::commands::list::form::{ListView, view};
use crate::commands::{hash, set, zset};
use crate::keyspace::{Db, Found, ValueType};
use crate::proto::CommandError;
use crate::types::hash::Value;
use crate::types::list::{Element, OwnedElement, packed};
use crate::types::zset::Direction;

/// Elements that are still to be collected: from one to before another, counted from the end if it goes down. Of a set, all of them:
/// there `next` is the cursor of its scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    next: u64,
    end: u64,
    descending: bool,
}

impl Walk {
    /// All `len` elements.
    pub(super) fn all(len: u64) -> Walk {
        Walk { next: 0, end: len, descending: false }
    }

    /// Those of a list or a sorted set between two places, in their order or, descending, in the opposite one.
    pub(super) fn part(start: u64, end: u64, descending: bool) -> Walk {
        Walk { next: start, end, descending }
    }
}

/// What the key holds that was found, and how many elements.
///
/// # Errors
/// When it cannot be sorted.
pub(super) fn length(db: &Db<'_>, found: &Found<'_>) -> Result<(Option<ValueType>, u64), CommandError> {
    let value_type = found.value_type();
    let len = match value_type {
        None => 0,
        Some(ValueType::List) => view(db, found)?.map_or(0, |list| list.len()),
        Some(ValueType::Set) => set::source(db, found)?.map_or(0, |set| set.len() as u64),
        Some(ValueType::SortedSet) => {
            zset::long::view(db, found)?.map_or(0, |view| zset::long::reader(db, &view).len())
        }
        Some(_) => return Err(CommandError::WrongType),
    };
    Ok((value_type, len))
}

/// Collects about `max` elements of what was found, or a slice's bytes; whether there are more.
pub(super) fn collect(db: &Db<'_>, found: &Found<'_>, walk: &mut Walk, vector: &mut Vector, max: usize) -> bool {
    let enough = vector.bytes() + db.slice_bytes();
    let (len_enough, bytes_enough) = (vector.len() + max.max(1), enough);
    let is_enough = |vector: &Vector| vector.len() >= len_enough || vector.bytes() >= bytes_enough;
    let held = "its type was looked at, and it is held since";
    match found.value_type() {
        Some(ValueType::List) => {
            let list = view(db, found).expect(held).expect(held);
            let before = vector.len();
            collect_list(&list, walk, vector, is_enough);
            walk.next += (vector.len() - before) as u64;
            walk.next < walk.end
        }
        Some(ValueType::SortedSet) => {
            let view = zset::long::view(db, found).expect(held).expect(held);
            let set = zset::long::reader(db, &view);
            let (ranks, direction) = if walk.descending {
                let len = set.len();
                (len - walk.end..len - walk.next, Direction::Backward)
            } else {
                (walk.next..walk.end, Direction::Forward)
            };
            walk.next += set.visit(ranks, direction, |member, _| {
                vector.push_name(member);
                !is_enough(vector)
            });
            walk.next < walk.end
        }
        Some(ValueType::Set) => {
            let set = set::source(db, found).expect(held).expect(held);
            let mut scratch = Vec::new();
            loop {
                walk.next = set.scan(db.store(), walk.next, |member| vector.push_name(member.name(&mut scratch)));
                if walk.next == 0 || is_enough(vector) {
                    return walk.next != 0;
                }
            }
        }
        _ => false,
    }
}

fn collect_list(list: &ListView<'_>, walk: &Walk, vector: &mut Vector, is_enough: impl Fn(&Vector) -> bool) {
    let count = (walk.end - walk.next) as usize;
    let mut push = |element: Element<'_>| {
        match element {
            Element::Bytes(bytes) => vector.push(bytes),
            Element::Blob(blob) => vector.push_blob(blob),
        }
        !is_enough(vector)
    };
    match list {
        ListView::Packed(bytes) => {
            let all = packed::elements(bytes).map(Element::Bytes);
            let skip = walk.next as usize;
            if walk.descending {
                let mut all: Vec<Element<'_>> = all.collect();
                all.reverse();
                for _ in all.into_iter().skip(skip).take(count).take_while(|element| push(*element)) {}
            } else {
                for _ in all.skip(skip).take(count).take_while(|element| push(*element)) {}
            }
        }
        ListView::Large(list) if walk.descending => {
            let from = crate::types::Large::len(*list) - walk.next;
            for _ in list.backward(from).take(count).take_while(|element| push(*element)) {}
        }
        ListView::Large(list) => for _ in list.forward(walk.next).take(count).take_while(|element| push(*element)) {},
    }
}

/// A string, if one was found: copied, unless it is a blob.
pub(super) fn string(db: &Db<'_>, found: &Found<'_>) -> Option<OwnedElement> {
    let value = db.string(found).ok()??;
    Some(match value.blob() {
        Some(blob) => OwnedElement::Blob(blob.clone()),
        None => OwnedElement::Bytes(value.to_vec()),
    })
}

/// A field's value, if a hash was found and has it: copied, unless it is a blob.
pub(super) fn hash_field(db: &Db<'_>, found: &Found<'_>, field: &[u8]) -> Option<OwnedElement> {
    let view = db.collection(found, ValueType::Hash).ok()??;
    let value = hash::edit::reader(db, &view).get(field.into())?;
    Some(match value {
        Value::Blob(blob) => OwnedElement::Blob(blob.clone()),
        short => OwnedElement::Bytes(short.to_vec()),
    })
}
