//! Lists: elements in order, read and changed at both ends and by index.
//!
//! ```text
//!  packed   [flags][element][element] ...            up to 1 KiB in all, in the key's entry (see [`packed`])
//!  large    Ranked ──┬─> Node  block of elements     nodes under a counted B+tree, a block of the pool each (see [`node`])
//!                    ├─> Node  block of elements     4 KiB for small elements, up to 64 KiB for larger ones
//!                    └─> Node  blob                  an element over 16 KiB is on pages of its own
//! ```
//!
//! | of a large list | costs |
//! |---|---|
//! | push, pop at an end | the element |
//! | get, set by index | O(log n) and a walk in one node: some microseconds at most |
//! | insert, remove by index | that, and half a block is moved |
//! | walk in either direction | the elements |
//!
//! Small elements take two bytes beside their own, and a full list of them is packed in full blocks: 1,000,000 elements of 16 bytes
//! take 18.2 bytes each.
//!
//! Invariants (a test's audit checks them):
//! 1. No node is empty; the tree's weight is the number of elements.
//! 2. `held_bytes` is the sum over the nodes, and so is `listpack_bytes`.
//! 3. The heap of the tree is in the store's books.
//! 4. A change that returns an error has changed nothing: memory is taken before anything is moved.

pub mod encoding;
mod node;
pub mod packed;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use chunkbuf::{Blob, PutError, Store};

pub use encoding::Encoding;
pub use node::{ELEMENT_BYTES_MAX, End};

use super::ranked::{self, Ranked};
use super::{Collection, Large, Millis};
use encoding::LISTPACK_HEAD;
use node::{Entries, Node, entry_len};

/// An element where it lies.
#[derive(Clone, Copy, Debug)]
pub enum Element<'a> {
    /// In one piece.
    Bytes(&'a [u8]),
    /// On pages of its own.
    Blob(&'a Blob),
}

impl Element<'_> {
    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    #[inline]
    pub fn len(&self) -> u64 {
        match self {
            Element::Bytes(bytes) => bytes.len() as u64,
            Element::Blob(blob) => blob.len(),
        }
    }

    /// The element apart from the list. A blob is shared.
    pub fn to_owned(&self) -> OwnedElement {
        match self {
            Element::Bytes(bytes) => OwnedElement::Bytes(bytes.to_vec()),
            Element::Blob(blob) => OwnedElement::Blob((*blob).clone()),
        }
    }
}

/// Elements compared with the same bytes, one after another. Stops within a long one, and goes on there.
#[derive(Debug, Default)]
pub struct Comparing {
    /// Bytes at the beginning of the element that were compared and are the same.
    same: u64,
}

impl Comparing {
    /// Bytes that are compared for one of the budget's, which are meant to be copied.
    const AT_ONCE: u64 = 4;
    /// Bytes that are compared however little is left.
    const BYTES_MIN: u64 = 4096;

    /// Whether an element's bytes are `bytes`. `None`: they are as far as the budget went, and the same element is to be asked for again.
    #[inline]
    pub fn is(&mut self, element: Element<'_>, bytes: &[u8], budget: &mut u64) -> Option<bool> {
        match element {
            Element::Bytes(element) => {
                *budget = budget.saturating_sub(element.len().min(bytes.len()) as u64);
                Some(element == bytes)
            }
            Element::Blob(blob) if blob.len() != bytes.len() as u64 => Some(false),
            Element::Blob(blob) => self.goes_on(blob, bytes, budget),
        }
    }

    fn goes_on(&mut self, blob: &Blob, bytes: &[u8], budget: &mut u64) -> Option<bool> {
        let bytes_max = budget.saturating_mul(Comparing::AT_ONCE).max(Comparing::BYTES_MIN);
        let end = blob.len().min(self.same.saturating_add(bytes_max));
        *budget = budget.saturating_sub((end - self.same) / Comparing::AT_ONCE);
        let mut rest = &bytes[self.same as usize..end as usize];
        let is_same = blob.pieces(self.same..end).all(|piece| {
            let (now, later) = rest.split_at(piece.len());
            rest = later;
            now == piece
        });
        if is_same && end < blob.len() {
            self.same = end;
            return None;
        }
        self.same = 0;
        Some(is_same)
    }
}

/// An element apart from a list.
#[derive(Debug)]
pub enum OwnedElement {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// A blob that has them.
    Blob(Blob),
}

impl OwnedElement {
    /// The element as one to read.
    pub fn as_element(&self) -> Element<'_> {
        match self {
            OwnedElement::Bytes(bytes) => Element::Bytes(bytes),
            OwnedElement::Blob(blob) => Element::Blob(blob),
        }
    }
}

/// A list in its large form.
#[derive(Debug)]
pub struct List {
    nodes: Ranked<Node>,
    /// Bytes that Redis's listpack would take for all elements, without its head.
    listpack_bytes: u64,
    /// Bytes of all nodes' blocks and blobs.
    held_bytes: u64,
    encoding: Encoding,
}

impl Default for List {
    fn default() -> List {
        List::new(Encoding::Listpack)
    }
}

/// Leaves of the tree that are given back in a step: 64 nodes each, 100 ns a node.
const FREE_LEAVES: usize = 4;

impl Large for List {
    fn len(&self) -> u64 {
        self.nodes.weight()
    }

    fn free_some(&mut self, store: &mut Store) -> bool {
        let before = self.nodes.memory_bytes();
        let more = self.nodes.free_some(FREE_LEAVES, |node| node.free(store));
        store.count_heap(before, self.nodes.memory_bytes());
        more
    }

    fn memory_bytes(&self, _: &Store) -> u64 {
        self.held_bytes + self.nodes.memory_bytes() + size_of::<List>() as u64
    }

    fn new_copy(&self, _store: &mut Store) -> Collection {
        Collection::List(List::new(self.encoding))
    }

    /// A node a call; the target knows how far it is.
    fn copy_some(
        &self,
        store: &mut Store,
        target: &mut Collection,
        _cursor: &mut u64,
        _now: Millis,
    ) -> Result<bool, PutError> {
        let Collection::List(target) = target else { unreachable!("a copy is of the same kind") };
        List::copy_some(self, store, target, 1)
    }
}

impl List {
    /// A list of nothing, which says that it has this encoding. Takes no memory.
    pub fn new(encoding: Encoding) -> List {
        List { nodes: Ranked::new(), listpack_bytes: 0, held_bytes: 0, encoding }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What `OBJECT ENCODING` says.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Does a change that puts `count` elements of `bytes` bytes in. The encoding follows what will be, unless there is no memory for it.
    ///
    /// # Errors
    /// The change's, which has changed nothing then.
    pub fn grow(
        &mut self,
        max_listpack_size: i64,
        bytes: u64,
        count: u64,
        change: impl FnOnce(&mut List) -> Result<(), PutError>,
    ) -> Result<(), PutError> {
        let (before, listpack_bytes) = (self.encoding, LISTPACK_HEAD + self.listpack_bytes + bytes);
        self.encoding = before.grown(max_listpack_size, listpack_bytes, self.len() + count);
        change(self).inspect_err(|_| self.encoding = before)
    }

    /// Notes that elements were removed.
    pub fn has_shrunk(&mut self, max_listpack_size: i64) {
        let listpack_bytes = LISTPACK_HEAD + self.listpack_bytes;
        self.encoding = self.encoding.shrunk(max_listpack_size, listpack_bytes, self.len());
    }

    /// The element at `index`. O(log n).
    pub fn get(&self, index: u64) -> Option<Element<'_>> {
        let (node, into) = self.nodes.get(index)?;
        Some(match node {
            Node::Blob(blob) => Element::Blob(blob),
            Node::Block(block) => {
                let entry = block.entries_from(into as u32).next();
                Element::Bytes(entry.expect("the node has as many elements as it weighs"))
            }
        })
    }

    /// The elements from `index` on. O(log n) for the first.
    pub fn forward(&self, index: u64) -> Forward<'_> {
        let mut nodes = self.nodes.forward(index);
        let mut entries = Entries::default();
        if let Some((Node::Block(block), into)) = self.nodes.get(index) {
            entries = block.entries_from(into as u32);
            nodes.next();
        }
        Forward { nodes, entries }
    }

    /// The elements before `index`, the nearest first. O(log n) for the first.
    pub fn backward(&self, index: u64) -> Backward<'_> {
        let mut nodes = self.nodes.backward(index);
        let mut entries = Entries::default();
        if let Some(last) = index.min(self.len()).checked_sub(1)
            && let Some((Node::Block(block), into)) = self.nodes.get(last)
        {
            entries = block.entries_before(into as u32 + 1);
            nodes.next();
        }
        Backward { nodes, entries }
    }

    /// Puts an element at an end. Costs the element.
    ///
    /// # Errors
    /// When there is no memory. Nothing has changed then.
    pub fn push(&mut self, store: &mut Store, end: End, element: Element<'_>) -> Result<(), PutError> {
        let index = match end {
            End::Head => 0,
            End::Tail => self.len(),
        };
        match Form::of(store, element)? {
            Form::Blob(blob) => self.add(store, index, Node::Blob(blob)),
            Form::Bytes(bytes) => {
                if !self.put_at_end_of(store, index.saturating_sub(1), end, &bytes)? {
                    let node = Node::with(store, end, &bytes, self.next_block_bytes())?;
                    self.add(store, index, node);
                }
            }
        }
        Ok(())
    }

    /// Puts elements at an end, one after another: all or none.
    ///
    /// # Errors
    /// When there is no memory. Nothing has changed then.
    pub fn push_all<'a>(
        &mut self,
        store: &mut Store,
        max_listpack_size: i64,
        end: End,
        elements: impl Iterator<Item = Element<'a>> + Clone,
    ) -> Result<(), PutError> {
        let (bytes, count) =
            elements.clone().fold((0, 0), |(bytes, count), element| (bytes + element.len(), count + 1));
        let before = self.len();
        self.grow(max_listpack_size, bytes, count, |list| {
            for element in elements {
                if let Err(error) = list.push(store, end, element) {
                    list.remove_some(store, end, list.len() - before, usize::MAX);
                    return Err(error);
                }
            }
            Ok(())
        })
    }

    /// Puts an element in front of the one at `index`, or behind the last. O(log n), and half a block is moved.
    ///
    /// # Errors
    /// When there is no memory. Nothing has changed then.
    ///
    /// # Panics
    /// When `index` is behind the end.
    pub fn insert(&mut self, store: &mut Store, index: u64, element: Element<'_>) -> Result<(), PutError> {
        let Some((_, into)) = self.nodes.get(index) else {
            assert_eq!(index, self.len(), "an insertion behind the end");
            return self.push(store, End::Tail, element);
        };
        if index == 0 {
            return self.push(store, End::Head, element);
        }
        match Form::of(store, element)? {
            Form::Blob(blob) => {
                if into > 0 {
                    self.split(store, index, None)?;
                }
                self.add(store, index, Node::Blob(blob));
            }
            Form::Bytes(bytes) => {
                let put = self.edit(index, |node, into| {
                    let block = node.make_room(store, End::Tail, bytes.len())?;
                    Ok::<_, PutError>(block.map(|block| block.insert(into, &bytes)))
                })?;
                if put.is_some() {
                    return Ok(());
                }
                if into > 0 {
                    return self.split(store, index, Some(&bytes));
                }
                if !self.put_at_end_of(store, index - 1, End::Tail, &bytes)? {
                    let node = Node::with(store, End::Tail, &bytes, 0)?;
                    self.add(store, index, node);
                }
            }
        }
        Ok(())
    }

    /// Puts an element in the place of the one at `index`. As [`insert`](List::insert), and less if there is room for it.
    ///
    /// # Errors
    /// When there is no memory. Nothing has changed then.
    ///
    /// # Panics
    /// When there is no such element.
    pub fn set(&mut self, store: &mut Store, index: u64, element: Element<'_>) -> Result<(), PutError> {
        if let Element::Bytes(bytes) = element
            && bytes.len() <= ELEMENT_BYTES_MAX
            && self.edit(index, |node, into| match node {
                Node::Block(block) => block.replace(into, bytes),
                Node::Blob(_) => false,
            })
        {
            return Ok(());
        }
        self.insert(store, index, element)?;
        self.remove(store, index + 1);
        Ok(())
    }

    /// Removes the element at `index`. O(log n), and half a block is moved.
    ///
    /// # Panics
    /// When there is no such element.
    pub fn remove(&mut self, store: &mut Store, index: u64) {
        self.pop_at(store, index, |_| ());
        if index > 0 && index < self.len() {
            self.tidy(store, index);
        }
    }

    /// Takes the element at an end: shows it to `visit` and removes it. `None` if there is none.
    pub fn pop<R>(&mut self, store: &mut Store, end: End, visit: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let last = self.len().checked_sub(1)?;
        let index = match end {
            End::Head => 0,
            End::Tail => last,
        };
        Some(self.pop_at(store, index, visit))
    }

    /// Removes at most `max` elements at an end, of about `nodes` nodes; how many those were.
    pub fn remove_some(&mut self, store: &mut Store, end: End, max: u64, nodes: usize) -> u64 {
        let mut removed = 0;
        for _ in 0..nodes {
            if removed == max {
                break;
            }
            let index = match end {
                End::Head => 0,
                End::Tail => self.len().saturating_sub(1),
            };
            let Some((node, _)) = self.nodes.get(index) else {
                break;
            };
            let (weight, left) = (ranked::Item::weight(node), max - removed);
            if weight <= left {
                self.take(store, index).free(store);
                removed += weight;
                continue;
            }
            let (count, left) = (weight as u32, left as u32);
            self.edit(index, |node, _| {
                let Node::Block(block) = node else { unreachable!("a blob weighs 1") };
                block.remove(if end == End::Head { 0..left } else { count - left..count });
                node.shrink(store);
            });
            return max;
        }
        removed
    }

    /// Goes on to remove elements that equal `element`, at most `max`, by one node. `kept` elements at the end `from` have been looked at
    /// and stay, and do not equal it. `None`: the node is a long element, which was not compared to its end.
    pub fn remove_equal(
        &mut self,
        store: &mut Store,
        (from, kept): (End, u64),
        (element, max): (&[u8], u64),
        comparing: &mut Comparing,
        budget: &mut u64,
    ) -> Option<Removed> {
        /// What a node costs beside what is compared.
        const NODE_COST: u64 = 256;
        let index = match from {
            End::Head => kept,
            End::Tail => self.len() - 1 - kept,
        };
        let (node, into) = self.nodes.get(index).expect("there are elements that were not looked at");
        let begin = index - into;
        let weight = ranked::Item::weight(node);
        *budget = budget.saturating_sub(NODE_COST);
        let (equal, first) = match node {
            Node::Blob(blob) => (u64::from(comparing.is(Element::Blob(blob), element, budget)?), 0),
            Node::Block(block) => {
                *budget = budget.saturating_sub(node.held_bytes());
                let equal = block.entries().filter(|other| *other == element).take(max as usize).count();
                (equal as u64, if from == End::Tail && equal > 0 { block.last_equal(element, max) } else { 0 })
            }
        };
        if equal == weight {
            self.take(store, begin).free(store);
        } else if equal > 0 {
            self.edit(begin, |node, _| {
                let Node::Block(block) = node else { unreachable!("a blob weighs 1") };
                let removed = block.remove_equal(first, element, max);
                assert_eq!(removed, equal, "what was counted is removed");
            });
            self.tidy(store, begin);
        }
        let end = begin + weight - equal;
        let kept = match from {
            End::Head => end,
            End::Tail => self.len() - begin,
        };
        Some(Removed { kept, removed: equal })
    }

    /// Goes on to copy this list to `target`, which is what earlier calls made of an empty one, by about `bytes` bytes. Whether there is
    /// more.
    ///
    /// # Errors
    /// When there is no memory. What was copied stays in `target`.
    pub fn copy_some(&self, store: &mut Store, target: &mut List, bytes: u64) -> Result<bool, PutError> {
        let stop = target.held_bytes.saturating_add(bytes);
        target.encoding = self.encoding;
        for node in self.nodes.forward(target.len()) {
            if target.held_bytes >= stop {
                return Ok(true);
            }
            let copy = node.copy(store)?;
            target.add(store, target.len(), copy);
        }
        Ok(false)
    }

    /// Frees it at once: for a list of few nodes.
    pub(crate) fn free(mut self, store: &mut Store) {
        while self.free_some(store) {}
    }

    /// Bytes of a new block at an end: a quarter of what is there, so that a list of a few elements has a small one.
    fn next_block_bytes(&self) -> usize {
        (self.held_bytes / 4) as usize
    }

    /// Puts an element at the end of the node that `index` is in, if there is one with room for it; whether there was.
    fn put_at_end_of(&mut self, store: &mut Store, index: u64, end: End, element: &[u8]) -> Result<bool, PutError> {
        if self.is_empty() {
            return Ok(false);
        }
        self.edit(index, |node, _| {
            let block = node.make_room(store, end, element.len())?;
            Ok(block.map(|block| block.push(end, element)).is_some())
        })
    }

    /// Makes two nodes of the one that `index` is in, which does not begin there: the second begins with `element`, if there is one, and
    /// then with what is at `index`; or `element` ends the first.
    fn split(&mut self, store: &mut Store, index: u64, element: Option<&[u8]>) -> Result<(), PutError> {
        let Some((Node::Block(block), into)) = self.nodes.get(index) else {
            unreachable!("a blob begins at its index");
        };
        let (begin, into) = (index - into, into as u32);
        let before = block.bytes_before(into);
        let is_left = before <= block.used() / 2;
        let (range, bytes) = if is_left { (0..into, before) } else { (into..block.count(), block.used() - before) };
        let room = if is_left { End::Tail } else { End::Head };
        let chunk = store.take_block(bytes + element.map_or(0, |element| entry_len(element.len())))?;
        let mut moved = self.edit(index, |node, _| {
            let Node::Block(block) = node else { unreachable!("it is a block") };
            block.split(range, chunk, room)
        });
        if let Some(element) = element {
            moved.push(room, element);
        }
        self.add(store, if is_left { begin } else { index }, Node::Block(moved));
        Ok(())
    }

    /// Shows the element at `index` to `visit` and removes it.
    fn pop_at<R>(&mut self, store: &mut Store, index: u64, visit: impl FnOnce(Element<'_>) -> R) -> R {
        let (node, _) = self.nodes.get(index).expect("there is such an element");
        if ranked::Item::weight(node) == 1 {
            let node = self.take(store, index);
            let outcome = match &node {
                Node::Blob(blob) => visit(Element::Blob(blob)),
                Node::Block(block) => visit(Element::Bytes(block.entries().next().expect("it weighs 1"))),
            };
            node.free(store);
            return outcome;
        }
        self.edit(index, |node, into| {
            let Node::Block(block) = node else { unreachable!("a blob weighs 1") };
            let outcome = visit(Element::Bytes(block.entries_from(into).next().expect("it is in the node")));
            block.remove(into..into + 1);
            node.shrink(store);
            outcome
        })
    }

    /// Lets a neighbour take over the node that `index` is in, if there is little in it.
    fn tidy(&mut self, store: &mut Store, index: u64) {
        let Some((Node::Block(block), into)) = self.nodes.get(index) else {
            return;
        };
        if !block.is_sparse() {
            return;
        }
        let begin = index - into;
        let behind = begin + u64::from(block.count());
        let takes = |at: Option<u64>| match at.and_then(|at| self.nodes.get(at)) {
            Some((Node::Block(other), _)) => other.has_room_for(block),
            _ => false,
        };
        let (neighbour, end) = if takes(begin.checked_sub(1)) {
            (begin - 1, End::Tail)
        } else if takes(Some(behind)) {
            (begin, End::Head)
        } else {
            self.edit(index, |node, _| node.shrink(store));
            return;
        };
        let node = self.take(store, begin);
        self.edit(neighbour, |other, _| {
            if let (Node::Block(other), Node::Block(block)) = (other, &node) {
                other.absorb(end, block);
            }
        });
        node.free(store);
    }

    /// Changes the node that `index` is in, which must not become empty, and keeps the books.
    fn edit<R>(&mut self, index: u64, change: impl FnOnce(&mut Node, u32) -> R) -> R {
        let List { nodes, listpack_bytes, held_bytes, .. } = self;
        nodes.update(index, |node, into| {
            *listpack_bytes -= node.listpack_bytes();
            *held_bytes -= node.held_bytes();
            let outcome = change(node, into as u32);
            *listpack_bytes += node.listpack_bytes();
            *held_bytes += node.held_bytes();
            outcome
        })
    }

    /// Puts a node so that it begins at `index`.
    fn add(&mut self, store: &mut Store, index: u64, node: Node) {
        self.listpack_bytes += node.listpack_bytes();
        self.held_bytes += node.held_bytes();
        let before = self.nodes.memory_bytes();
        self.nodes.insert(index, node);
        store.count_heap(before, self.nodes.memory_bytes());
    }

    /// Takes the node out that `index` is in.
    fn take(&mut self, store: &mut Store, index: u64) -> Node {
        let before = self.nodes.memory_bytes();
        let node = self.nodes.remove(index);
        store.count_heap(before, self.nodes.memory_bytes());
        self.listpack_bytes -= node.listpack_bytes();
        self.held_bytes -= node.held_bytes();
        node
    }

    /// Panics when an invariant does not hold. Cost: everything; for tests.
    #[cfg(test)]
    pub(crate) fn audit(&self) {
        self.nodes.audit();
        self.nodes.forward(0).for_each(Node::audit);
        let nodes = || self.nodes.forward(0);
        assert_eq!(nodes().map(Node::held_bytes).sum::<u64>(), self.held_bytes, "held bytes are counted");
        assert_eq!(nodes().map(Node::listpack_bytes).sum::<u64>(), self.listpack_bytes, "listpack bytes are counted");
    }
}

/// What a step of [`List::remove_equal`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Elements at the end where it began that have been looked at and stay.
    pub kept: u64,
    /// Elements that it removed.
    pub removed: u64,
}

/// How a new element lies.
enum Form<'a> {
    Bytes(Cow<'a, [u8]>),
    Blob(Blob),
}

impl<'a> Form<'a> {
    fn of(store: &mut Store, element: Element<'a>) -> Result<Form<'a>, PutError> {
        Ok(match element {
            Element::Bytes(bytes) if bytes.len() <= ELEMENT_BYTES_MAX => Form::Bytes(Cow::Borrowed(bytes)),
            Element::Bytes(bytes) => {
                let mut blob = store.new_blob();
                store.blob_append(&mut blob, bytes)?;
                Form::Blob(blob)
            }
            Element::Blob(blob) if blob.len() <= ELEMENT_BYTES_MAX as u64 => {
                let pieces: Vec<&[u8]> = blob.pieces(0..blob.len()).collect();
                Form::Bytes(Cow::Owned(pieces.concat()))
            }
            Element::Blob(blob) => Form::Blob(blob.clone()),
        })
    }
}

/// Elements in order. Made by [`List::forward`].
#[derive(Debug)]
pub struct Forward<'a> {
    nodes: ranked::Forward<'a, Node>,
    /// What is left of the node before those.
    entries: Entries<'a>,
}

impl<'a> Iterator for Forward<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            if let Some(bytes) = self.entries.next() {
                return Some(Element::Bytes(bytes));
            }
            match self.nodes.next()? {
                Node::Blob(blob) => return Some(Element::Blob(blob)),
                Node::Block(block) => self.entries = block.entries(),
            }
        }
    }
}

/// Elements in the opposite order. Made by [`List::backward`].
#[derive(Debug)]
pub struct Backward<'a> {
    nodes: ranked::Backward<'a, Node>,
    /// What is left of the node behind those.
    entries: Entries<'a>,
}

impl<'a> Iterator for Backward<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            if let Some(bytes) = self.entries.next_back() {
                return Some(Element::Bytes(bytes));
            }
            match self.nodes.next()? {
                Node::Blob(blob) => return Some(Element::Blob(blob)),
                Node::Block(block) => self.entries = block.entries(),
            }
        }
    }
}
