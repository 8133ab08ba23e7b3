//! The elements that SORT puts in order: gathered, weighed and sorted a bounded part at a time.
//!
//! ```text
//!  items: [element | weight] [element | weight] ...      32 bytes each, whatever they hold
//!              |        |
//!              v        v
//!  pages: [bytes of elements and of what they are compared by ...] [...]
//! ```
//!
//! The sort is a merge sort from the bottom up: runs of [`RUN`] items are sorted where they stand, then pairs of runs are merged from
//! one list to another and back. It is stable, and a step of it compares as many items as it is told.

use std::cmp::Ordering;

use crate::engine::Engine;
use crate::engine::garbage::Pages;

/// Bytes of the first page, and of the largest; a longer element has one of its own. Large pages are mappings of their own, which go
/// back to the system piece by piece.
const FIRST_PAGE_BYTES: usize = 4 * 1024;
const PAGE_BYTES: usize = 256 * 1024;
/// Items of the runs that are sorted at once.
const RUN: usize = 64;

/// Some bytes in the pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    page: u32,
    at: u32,
    len: u32,
}

/// What an element is compared by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Weight {
    /// A number; equal ones by the elements' bytes.
    Number(f64),
    /// Bytes; `None` stands before all.
    Text(Option<Text>),
}

#[derive(Clone, Copy, Debug)]
struct Item {
    element: Text,
    weight: Weight,
}

const _: () = assert!(size_of::<Item>() <= 32);

/// Elements in their order so far.
#[derive(Debug, Default)]
pub(super) struct Vector {
    pages: Vec<Vec<u8>>,
    items: Vec<Item>,
    /// Bytes in `pages`.
    kept_bytes: usize,
    /// What a pass of merging has written.
    merged: Vec<Item>,
    sorting: Sorting,
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
        let element = self.keep(element);
        self.items.push(Item { element, weight: Weight::Text(None) });
    }

    /// Bytes of all that it keeps, the items included.
    pub(super) fn bytes(&self) -> usize {
        self.kept_bytes + self.items.len() * size_of::<Item>()
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.kept_bytes + (self.items.capacity() + self.merged.capacity()) * size_of::<Item>()) as u64
    }

    /// The element at a place.
    pub(super) fn element(&self, at: usize) -> &[u8] {
        self.text(self.items[at].element)
    }

    /// Sets what the element at a place is compared by to a number.
    pub(super) fn weigh_by_number(&mut self, at: usize, number: f64) {
        self.items[at].weight = Weight::Number(number);
    }

    /// Sets what the element at a place is compared by to a copy of these bytes.
    pub(super) fn weigh_by_text(&mut self, at: usize, bytes: &[u8]) {
        let text = self.keep(bytes);
        self.items[at].weight = Weight::Text(Some(text));
    }

    /// Sets what the element at a place is compared by to itself.
    pub(super) fn weigh_by_itself(&mut self, at: usize) {
        self.items[at].weight = Weight::Text(Some(self.items[at].element));
    }

    fn keep(&mut self, bytes: &[u8]) -> Text {
        let len = bytes.len();
        self.kept_bytes += len;
        let has_room = self.pages.last().is_some_and(|page| page.capacity() - page.len() >= len);
        if !has_room {
            let page_bytes = self.kept_bytes.clamp(FIRST_PAGE_BYTES, PAGE_BYTES);
            self.pages.push(Vec::with_capacity(len.max(page_bytes)));
        }
        let number = self.pages.len() - 1;
        let page = &mut self.pages[number];
        let at = page.len();
        page.extend_from_slice(bytes);
        Text { page: number as u32, at: at as u32, len: len as u32 }
    }

    fn text(&self, text: Text) -> &[u8] {
        &self.pages[text.page as usize][text.at as usize..][..text.len as usize]
    }

    fn compare(&self, one: &Item, other: &Item, descending: bool) -> Ordering {
        let order = match (one.weight, other.weight) {
            (Weight::Number(a), Weight::Number(b)) => {
                let order = a.partial_cmp(&b).expect("a number that is none was refused");
                order.then_with(|| self.text(one.element).cmp(self.text(other.element)))
            }
            (Weight::Text(a), Weight::Text(b)) => a.map(|a| self.text(a)).cmp(&b.map(|b| self.text(b))),
            _ => unreachable!("all are weighed alike"),
        };
        if descending { order.reverse() } else { order }
    }

    /// Goes on sorting for about `items` comparisons; whether all are in order.
    pub(super) fn sort_some(&mut self, descending: bool, items: usize) -> bool {
        let mut left = items;
        loop {
            match self.sorting {
                Sorting::NotBegun => self.sorting = Sorting::Runs(0),
                Sorting::Runs(from) if from < self.len() => {
                    let end = self.len().min(from + RUN);
                    let mut run = self.items[from..end].to_vec();
                    run.sort_by(|one, other| self.compare(one, other, descending));
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
            let takes_left = one < middle
                && (other == end
                    || self.compare(&self.items[one], &self.items[other], descending) != Ordering::Greater);
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                let sorted: Vec<&[u8]> = (0..len).map(|at| vector.element(at)).collect();
                assert_eq!(sorted, expected.iter().map(String::as_bytes).collect::<Vec<_>>(), "{len} {budget}");
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
        let sorted: Vec<&[u8]> = (0..4).map(|at| vector.element(at)).collect();
        assert_eq!(sorted, [b"d", b"b", b"a", b"c"]);
    }

    #[test]
    fn a_long_element_has_a_page_of_its_own() {
        let mut vector = Vector::default();
        let long = vec![b'x'; 3 * PAGE_BYTES];
        for element in [&b"short"[..], &long, b"short too"] {
            vector.push(element);
        }
        assert_eq!(
            (vector.element(0), vector.element(1), vector.element(2)),
            (&b"short"[..], &long[..], &b"short too"[..])
        );
    }
}
