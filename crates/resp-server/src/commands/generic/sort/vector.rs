//! The elements that SORT puts in order: gathered, weighed and sorted a bounded part at a time.
//!
//! ```text
//!  items: [element | weight] [element | weight] ...      32 bytes each, whatever they hold
//!              |        |
//!              v        v
//!  pages: [bytes of elements and of what they are compared by ...] [...]      longs: [blob] [blob] ...
//! ```
//!
//! What is over 64 KiB is not copied: its blob is shared, and of a member's name only the beginning is in the pages.
//!
//! The sort is a merge sort from the bottom up: runs of [`RUN`] items are sorted where they stand, then pairs of runs are merged from
//! one list to another and back. It is stable, and a step of it compares as many items as it is told. Where some are not short, it
//! merges from single items on, and stops within a comparison.

use std::cmp::Ordering;

use chunkbuf::Blob;

use crate::engine::Engine;
use crate::engine::garbage::{FreeInSteps, Pages};
use crate::types::name::StoredName;

/// Bytes of the first page, and of the largest; a longer element has one of its own. Large pages are mappings of their own, which go
/// back to the system piece by piece.
const FIRST_PAGE_BYTES: usize = 4 * 1024;
const PAGE_BYTES: usize = 256 * 1024;
/// Items of the runs that are sorted at once.
const RUN: usize = 64;
/// What all have at most where runs are sorted at once, in bytes.
const SHORT_BYTES: usize = 512;
/// What has more bytes, and a blob, is not copied. No key is longer.
pub(super) const COPIED_BYTES_MAX: u64 = 65_535;
/// Bytes that are compared for one comparison.
const COMPARED_BYTES: usize = 384;
/// Bytes that are compared between two looks at how many are left.
const COMPARED_AT_ONCE: usize = 1024;
/// Blobs that are given up in a step.
const BLOBS_PER_STEP: usize = 512;
/// What one of them counts there, in bytes.
const BLOB_COST: usize = 256;

/// Some bytes in the pages.
#[derive(Clone, Copy, Debug)]
struct Text {
    page: u32,
    at: u32,
    len: u32,
}

/// What is kept of an element, or of what it is compared by.
#[derive(Clone, Copy, Debug)]
enum Kept {
    Text(Text),
    /// Of the long ones, this one.
    Long(u32),
}

/// One that is not copied.
#[derive(Debug)]
struct Long {
    /// What of it is no part of the blob, and stands before it.
    head: Text,
    rest: Blob,
}

/// The bytes of an element, or of what it is compared by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// In one piece.
    Bytes(&'a [u8]),
    /// Over 64 KiB: some bytes, or none, and a blob behind them.
    Long(&'a [u8], &'a Blob),
}

impl<'a> Content<'a> {
    /// How many they are.
    pub(super) fn len(self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Long(head, rest) => head.len() as u64 + rest.len(),
        }
    }

    /// Those from `at` on that lie in one piece: none at the end.
    pub(super) fn piece(self, at: u64) -> &'a [u8] {
        match self {
            Content::Bytes(head) | Content::Long(head, _) if at < head.len() as u64 => &head[at as usize..],
            Content::Long(head, rest) => {
                let at = at - head.len() as u64;
                rest.pieces(at..rest.len()).next().unwrap_or_default()
            }
            Content::Bytes(_) => &[],
        }
    }
}

/// What an element is compared by.
#[derive(Clone, Copy, Debug)]
enum Weight {
    /// A number; equal ones by the elements' bytes.
    Number(f64),
    /// Bytes; `None` stands before all.
    Text(Option<Kept>),
}

#[derive(Clone, Copy, Debug)]
struct Item {
    element: Kept,
    weight: Weight,
}

const _: () = assert!(size_of::<Item>() <= 32);

/// Elements in their order so far.
#[derive(Debug, Default)]
pub(super) struct Vector {
    pages: Vec<Vec<u8>>,
    longs: Vec<Long>,
    items: Vec<Item>,
    /// Bytes in `pages`.
    kept_bytes: usize,
    /// Bytes of the longest text in them.
    longest_bytes: usize,
    /// What a pass of merging has written.
    merged: Vec<Item>,
    sorting: Sorting,
    /// Bytes at the beginning of the two items that are being compared that are the same.
    same: u64,
}

/// Where the sort is.
#[derive(Clone, Copy, Debug, Default)]
enum Sorting {
    /// Runs before this item are sorted.
    Runs(usize),
    /// Pairs of runs of `width` items are merged; of the present pair, `left` and `right` items are.
    Pass { width: usize, left: usize, right: usize },
    #[default]
    NotBegun,
}

impl Vector {
    /// Room for so many elements: a list of them that grew would have to be moved, and from some millions on that is a stall.
    pub(super) fn with_room(elements: usize) -> Vector {
        Vector { items: Vec::with_capacity(elements), ..Vector::default() }
    }

    /// How many elements there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Appends an element, which weighs nothing yet. O(its length)
    pub(super) fn push(&mut self, element: &[u8]) {
        let element = Kept::Text(self.keep(element));
        self.push_kept(element);
    }

    /// Appends one that is a blob. O(its length), up to 64 KiB
    pub(super) fn push_blob(&mut self, element: &Blob) {
        let element = self.keep_blob(element);
        self.push_kept(element);
    }

    /// Appends one that is a name. O(its length), up to 64 KiB
    pub(super) fn push_name(&mut self, element: StoredName<'_>) {
        let element = match element.rest().filter(|_| element.len() as u64 > COPIED_BYTES_MAX) {
            None => Kept::Text(self.keep_pieces(element.len(), element.pieces())),
            Some(rest) => {
                let head = self.keep_pieces(element.head_len(), element.head_pieces());
                self.keep_long(head, rest)
            }
        };
        self.push_kept(element);
    }

    fn push_kept(&mut self, element: Kept) {
        self.items.push(Item { element, weight: Weight::Text(None) });
    }

    /// Bytes of all that it keeps, the items included.
    pub(super) fn bytes(&self) -> usize {
        self.kept_bytes + self.items.len() * size_of::<Item>()
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn memory_bytes(&self) -> u64 {
        let items = (self.items.capacity() + self.merged.capacity()) * size_of::<Item>();
        (self.kept_bytes + items + self.longs.capacity() * size_of::<Long>()) as u64
    }

    /// The element at a place.
    pub(super) fn element(&self, at: usize) -> Content<'_> {
        self.content(self.items[at].element)
    }

    /// Sets what the element at a place is compared by to a number.
    pub(super) fn weigh_by_number(&mut self, at: usize, number: f64) {
        self.items[at].weight = Weight::Number(number);
    }

    /// Sets what the element at a place is compared by to a copy of these bytes.
    pub(super) fn weigh_by_text(&mut self, at: usize, bytes: &[u8]) {
        let text = Kept::Text(self.keep(bytes));
        self.items[at].weight = Weight::Text(Some(text));
    }

    /// Sets what the element at a place is compared by to a blob.
    pub(super) fn weigh_by_blob(&mut self, at: usize, blob: &Blob) {
        let kept = self.keep_blob(blob);
        self.items[at].weight = Weight::Text(Some(kept));
    }

    /// Sets what the element at a place is compared by to itself.
    pub(super) fn weigh_by_itself(&mut self, at: usize) {
        self.items[at].weight = Weight::Text(Some(self.items[at].element));
    }

    fn keep_blob(&mut self, blob: &Blob) -> Kept {
        if blob.len() > COPIED_BYTES_MAX {
            let head = self.keep(&[]);
            return self.keep_long(head, blob);
        }
        Kept::Text(self.keep_pieces(blob.len() as usize, blob.pieces(0..blob.len())))
    }

    fn keep_long(&mut self, head: Text, rest: &Blob) -> Kept {
        self.longs.push(Long { head, rest: rest.clone() });
        Kept::Long(self.longs.len() as u32 - 1)
    }

    #[inline]
    fn keep(&mut self, bytes: &[u8]) -> Text {
        self.keep_pieces(bytes.len(), std::iter::once(bytes))
    }

    fn keep_pieces<'a>(&mut self, len: usize, pieces: impl Iterator<Item = &'a [u8]>) -> Text {
        self.kept_bytes += len;
        self.longest_bytes = self.longest_bytes.max(len);
        let has_room = self.pages.last().is_some_and(|page| page.capacity() - page.len() >= len);
        if !has_room {
            let page_bytes = self.kept_bytes.clamp(FIRST_PAGE_BYTES, PAGE_BYTES);
            self.pages.push(Vec::with_capacity(len.max(page_bytes)));
        }
        let number = self.pages.len() - 1;
        let page = &mut self.pages[number];
        let at = page.len();
        pieces.for_each(|piece| page.extend_from_slice(piece));
        Text { page: number as u32, at: at as u32, len: len as u32 }
    }

    fn text(&self, text: Text) -> &[u8] {
        &self.pages[text.page as usize][text.at as usize..][..text.len as usize]
    }

    fn content(&self, kept: Kept) -> Content<'_> {
        match kept {
            Kept::Text(text) => Content::Bytes(self.text(text)),
            Kept::Long(number) => {
                let long = &self.longs[number as usize];
                Content::Long(self.text(long.head), &long.rest)
            }
        }
    }

    /// Compares two items, of which `same` bytes were compared before and are the same. `None`: as many as were left are.
    fn compare(
        &self,
        (one, other): (&Item, &Item),
        descending: bool,
        same: &mut u64,
        left: &mut usize,
    ) -> Option<Ordering> {
        let order = match (one.weight, other.weight) {
            (Weight::Number(a), Weight::Number(b)) => {
                match a.partial_cmp(&b).expect("a number that is none was refused") {
                    Ordering::Equal => self.compare_bytes(one.element, other.element, same, left)?,
                    order => order,
                }
            }
            (Weight::Text(Some(a)), Weight::Text(Some(b))) => self.compare_bytes(a, b, same, left)?,
            (Weight::Text(a), Weight::Text(b)) => a.is_some().cmp(&b.is_some()),
            _ => unreachable!("all are weighed alike"),
        };
        *same = 0;
        Some(if descending { order.reverse() } else { order })
    }

    fn compare_bytes(&self, one: Kept, other: Kept, same: &mut u64, left: &mut usize) -> Option<Ordering> {
        let (one, other) = (self.content(one), self.content(other));
        if let (Content::Bytes(one), Content::Bytes(other)) = (one, other)
            && one.len().min(other.len()) <= SHORT_BYTES
        {
            return Some(one.cmp(other));
        }
        loop {
            let (here, there) = (one.piece(*same), other.piece(*same));
            let len = here.len().min(there.len()).min(COMPARED_AT_ONCE);
            if len == 0 {
                return Some(here.len().cmp(&there.len()));
            }
            let order = here[..len].cmp(&there[..len]);
            if order.is_ne() {
                return Some(order);
            }
            *same += len as u64;
            *left = left.saturating_sub(len);
            if *left == 0 {
                return None;
            }
        }
    }

    /// Goes on sorting for about `items` comparisons; whether all are in order.
    pub(super) fn sort_some(&mut self, descending: bool, items: usize) -> bool {
        let mut left = items;
        loop {
            match self.sorting {
                Sorting::NotBegun if self.longest_bytes <= SHORT_BYTES && self.longs.is_empty() => {
                    self.sorting = Sorting::Runs(0);
                }
                Sorting::NotBegun => self.sorting = Sorting::Pass { width: 1, left: 0, right: 0 },
                Sorting::Runs(from) if from < self.len() => {
                    let end = self.len().min(from + RUN);
                    let mut run = self.items[from..end].to_vec();
                    let compare = |one: &Item, other: &Item| {
                        let order = self.compare((one, other), descending, &mut 0, &mut 0);
                        order.expect("they are short")
                    };
                    run.sort_by(compare);
                    self.items[from..end].copy_from_slice(&run);
                    self.sorting = Sorting::Runs(end);
                    left = left.saturating_sub(RUN * RUN.ilog2() as usize);
                }
                Sorting::Runs(_) => self.sorting = Sorting::Pass { width: RUN, left: 0, right: 0 },
                Sorting::Pass { width, .. } if width >= self.len() => return true,
                Sorting::Pass { .. } => left = self.merge_some(descending, left),
            }
            if left == 0 {
                return matches!(self.sorting, Sorting::Pass { width, .. } if width >= self.len());
            }
        }
    }

    /// Merges up to `items` items; how many of these are left when a pass has ended.
    fn merge_some(&mut self, descending: bool, items: usize) -> usize {
        let Sorting::Pass { width, mut left, mut right } = self.sorting else {
            unreachable!("a pass is under way");
        };
        let len = self.len();
        self.merged.reserve(len - self.merged.len());
        let mut budget = items;
        while self.merged.len() < len {
            let begin = self.merged.len() - left - right;
            let middle = len.min(begin + width);
            let end = len.min(middle + width);
            let (one, other) = (begin + left, middle + right);
            let takes_left = if one == middle || other == end {
                other == end
            } else {
                let mut bytes = budget.saturating_mul(COMPARED_BYTES);
                let (mut same, items) = (self.same, (&self.items[one], &self.items[other]));
                let order = self.compare(items, descending, &mut same, &mut bytes);
                self.same = same;
                let Some(order) = order else {
                    self.sorting = Sorting::Pass { width, left, right };
                    return 0;
                };
                budget = (bytes / COMPARED_BYTES).max(1);
                order.is_le()
            };
            self.merged.push(self.items[if takes_left { one } else { other }]);
            if takes_left {
                left += 1;
            } else {
                right += 1;
            }
            if left + right == end - begin {
                (left, right) = (0, 0);
            }
            budget -= 1;
            if budget == 0 && self.merged.len() < len {
                self.sorting = Sorting::Pass { width, left, right };
                return 0;
            }
        }
        std::mem::swap(&mut self.items, &mut self.merged);
        self.merged.clear();
        self.sorting = Sorting::Pass { width: width * 2, left: 0, right: 0 };
        budget
    }

    /// Gives up everything, to be freed in steps.
    pub(super) fn discard(self, engine: &mut Engine) {
        engine.discard(self.items);
        engine.discard(self.merged);
        engine.discard(Pages(self.pages));
        engine.discard(self.longs);
    }
}

impl FreeInSteps for Vec<Long> {
    fn held_bytes(&self) -> usize {
        self.len() * BLOB_COST
    }

    fn free_some(&mut self) -> bool {
        self.truncate(self.len().saturating_sub(BLOBS_PER_STEP));
        !self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All bytes of an element.
    fn whole(content: Content<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < content.len() {
            bytes.extend_from_slice(content.piece(bytes.len() as u64));
        }
        assert!(content.piece(content.len()).is_empty());
        bytes
    }

    #[test]
    fn any_number_of_elements_is_sorted_whatever_the_steps() {
        for len in [0, 1, 2, RUN - 1, RUN, RUN + 1, 2 * RUN, 5 * RUN + 3, 1000] {
            for (budget, descending) in [(1, false), (7, true), (1_000_000, false)] {
                let mut vector = Vector::default();
                let mut expected = Vec::new();
                let mut number = 12_345_u64;
                for at in 0..len {
                    number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let element = format!("{}", (number >> 33) % 500);
                    vector.push(element.as_bytes());
                    vector.weigh_by_number(at, element.parse().unwrap());
                    expected.push(element);
                }
                while !vector.sort_some(descending, budget) {}
                expected.sort_by_key(|element| element.parse::<u64>().unwrap());
                if descending {
                    expected.reverse();
                }
                let sorted: Vec<Vec<u8>> = (0..len).map(|at| whole(vector.element(at))).collect();
                assert!(sorted.iter().map(Vec::as_slice).eq(expected.iter().map(String::as_bytes)), "{len} {budget}");
            }
        }
    }

    #[test]
    fn equal_weights_keep_their_order_and_no_weight_comes_first() {
        let mut vector = Vector::default();
        for (at, (element, weight)) in [("a", "2"), ("b", "1"), ("c", "2"), ("d", "")].into_iter().enumerate() {
            vector.push(element.as_bytes());
            if !weight.is_empty() {
                vector.weigh_by_text(at, weight.as_bytes());
            }
        }
        while !vector.sort_some(false, 1) {}
        let sorted: Vec<Vec<u8>> = (0..4).map(|at| whole(vector.element(at))).collect();
        assert_eq!(sorted, [b"d", b"b", b"a", b"c"]);
    }

    #[test]
    fn an_element_that_is_no_blob_has_a_page_of_its_own_if_it_is_long() {
        let mut vector = Vector::default();
        let long = vec![b'x'; 3 * PAGE_BYTES];
        let elements = [&b"short"[..], &long, b"short too"];
        elements.iter().for_each(|element| vector.push(element));
        for (at, element) in elements.into_iter().enumerate() {
            assert!(matches!(vector.element(at), Content::Bytes(bytes) if bytes == element));
        }
    }

    #[test]
    fn blobs_are_shared_and_compared_piece_by_piece_also_with_what_is_short() {
        let mut store = chunkbuf::Store::new(chunkbuf::Options::default());
        let same = vec![b'm'; 300_000];
        let elements: Vec<Vec<u8>> = vec![
            [&same[..], b"z"].concat(),
            same.clone(),
            b"n".to_vec(),
            [&same[..200_000], b"a"].concat(),
            [&same[..], b"b"].concat(),
            same[..1000].to_vec(),
            same.clone(),
            Vec::new(),
        ];
        let mut vector = Vector::default();
        for (at, element) in elements.iter().enumerate() {
            let mut blob = store.new_blob();
            store.blob_append(&mut blob, element).expect("memory is not limited");
            match element.len() {
                0..=1000 => vector.push(element),
                _ => vector.push_blob(&blob),
            }
            vector.weigh_by_itself(at);
        }
        assert!(vector.bytes() < 10_000 && vector.longs.len() == 5);
        let mut slices = 1;
        while !vector.sort_some(false, 1) {
            slices += 1;
        }
        assert!(slices > 4 * 300_000 / COMPARED_AT_ONCE, "{slices}");
        let mut expected = elements;
        expected.sort();
        assert!((0..expected.len()).all(|at| whole(vector.element(at)) == expected[at]));
    }
}
