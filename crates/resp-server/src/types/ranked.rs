//! A sequence that counts: a B+tree whose inner nodes know how much lies under each child.
//!
//! ```text
//!   inner     weights [ 130 | 64 | 88 ]      how much lies under each child
//!             marks   [  a  |  k |  r ]      the first item under each child, as much of it as orders items
//!             nodes   [  .  |  . |  . ]
//!                       |
//!   leaf      items   [ a b c ... j ]        64 at most, in one allocation of 64 * size_of::<T>()
//! ```
//!
//! An item has a *weight*: 1 for a member of a sorted set, the number of elements for a node of a list. A *rank* counts weight: rank
//! r is in the item before which less than or equal to r, and with which more than r, lies. So an element is found by its rank, and
//! the rank of a place found by order ([`Ranked::partition_point`]) is told, both in O(log n).
//!
//! What always holds ([`Ranked::audit`]):
//!
//! 1. All leaves are equally deep; no node is empty but the root.
//! 2. A weight is the sum of the weights below it; a mark is that of the first item below it. (A mark of an item that is gone would
//!    be a valid bound, but one that its owner may be unable to compare.)
//! 3. A node that is not on the left or right edge of the tree is at least a quarter full.
//!
//! What is pushed at an end leaves full nodes behind, whichever end it is. Elsewhere a full node gives to a sibling before it is
//! split, so that leaves of random order are about four fifths full.
//!
//! Every change touches a path of nodes and at most one sibling at each level: no operation is O(n), but dropping the whole, for
//! which there is [`Ranked::free_some`]. Ranks that do not exist are mistakes of the caller's and panic.

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::mem::size_of;

/// Items of a leaf, at most.
pub const LEAF_ITEMS_MAX: usize = 64;

/// Children of an inner node, at most.
const CHILDREN_MAX: usize = 64;

/// A sibling takes items of a full node only if it has room for this many: fewer would have to be moved too often.
const ROOM_MIN: usize = 8;

/// Two nodes become one if this many places stay free: a merged node shall not be split by the next insertion.
const SPARE_AFTER_MERGE: usize = 8;

/// What a [`Ranked`] holds.
pub trait Item {
    /// As much of an item as is needed to order it; kept by inner nodes. `()` for a sequence that is not ordered.
    type Mark: Copy + PartialEq + Debug;

    /// What orders this item.
    fn mark(&self) -> Self::Mark;

    /// How many ranks the item takes, at least 1.
    fn weight(&self) -> u64;
}

/// The sequence. See the module for its shape and costs.
#[derive(Debug)]
pub struct Ranked<T: Item> {
    root: Node<T>,
    weight: u64,
    items: u64,
    nodes: NodeCount,
}

#[derive(Debug)]
enum Node<T: Item> {
    Leaf(Vec<T>),
    Inner(Box<Inner<T>>),
}

/// Three parallel lists, `CHILDREN_MAX` long at most: a search reads one of them.
#[derive(Debug)]
struct Inner<T: Item> {
    weights: Vec<u64>,
    marks: Vec<T::Mark>,
    nodes: Vec<Node<T>>,
}

/// Nodes of a tree, for its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct NodeCount {
    leaves: u64,
    inners: u64,
}

/// Where in the tree something is inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Front,
    Middle,
    Back,
}

impl<T: Item> Default for Ranked<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Item> Ranked<T> {
    /// A sequence of nothing. Allocates a leaf's worth with the first item.
    pub fn new() -> Self {
        Ranked { root: Node::Leaf(Vec::new()), weight: 0, items: 0, nodes: NodeCount { leaves: 1, inners: 0 } }
    }

    /// The sum of all weights: the number of ranks.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// How many items there are, whatever their weights.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.weight == 0
    }

    /// What the tree takes in memory, without what its items own elsewhere; nothing without items. O(1).
    pub fn memory_bytes(&self) -> u64 {
        if self.items == 0 {
            return 0;
        }
        let leaf = LEAF_ITEMS_MAX * size_of::<T>();
        let child = size_of::<u64>() + size_of::<T::Mark>() + size_of::<Node<T>>();
        let inner = size_of::<Inner<T>>() + CHILDREN_MAX * child;
        self.nodes.leaves * leaf as u64 + self.nodes.inners * inner as u64
    }

    /// The item that `rank` is in, and how far into it; None behind the end. O(log n).
    pub fn get(&self, rank: u64) -> Option<(&T, u64)> {
        if rank >= self.weight {
            return None;
        }
        let (items, index, before) = self.leaf_at(rank);
        Some((&items[index], rank - before))
    }

    /// The first item.
    pub fn first(&self) -> Option<&T> {
        self.get(0).map(|(item, _)| item)
    }

    /// The last item.
    pub fn last(&self) -> Option<&T> {
        self.get(self.weight.checked_sub(1)?).map(|(item, _)| item)
    }

    /// The rank of the first item for which `is_before` is false, given that it is true for all items in front of that one; the
    /// weight of the whole if it is true for all. Asks about 6 times a level, O(log n).
    pub fn partition_point(&self, mut is_before: impl FnMut(T::Mark) -> bool) -> u64 {
        let mut node = &self.root;
        let mut rank = 0;
        loop {
            match node {
                Node::Leaf(items) => {
                    let index = items.partition_point(|item| is_before(item.mark()));
                    return rank + items[..index].iter().map(T::weight).sum::<u64>();
                }
                Node::Inner(inner) => {
                    let index = inner.marks[1..].partition_point(|mark| is_before(*mark));
                    rank += inner.weights[..index].iter().sum::<u64>();
                    node = &inner.nodes[index];
                }
            }
        }
    }

    /// Puts `item` so that it begins at `rank`, which must be where an item begins, or the end. O(log n).
    pub fn insert(&mut self, rank: u64, item: T) {
        assert!(rank <= self.weight, "an insertion behind the end");
        let weight = item.weight();
        assert!(weight > 0, "an item without weight has no rank");
        let place = match rank {
            _ if rank == self.weight => Place::Back,
            0 => Place::Front,
            _ => Place::Middle,
        };
        if self.root.is_full() {
            self.root = Node::above(std::mem::replace(&mut self.root, Node::Leaf(Vec::new())), self.weight);
            self.nodes.inners += 1;
        }
        insert_below(&mut self.root, rank, item, place, &mut self.nodes);
        self.weight += weight;
        self.items += 1;
    }

    /// Takes the item out that `rank` is in. O(log n).
    pub fn remove(&mut self, rank: u64) -> T {
        assert!(rank < self.weight, "a removal behind the end");
        let item = remove_below(&mut self.root, rank, self.weight, &mut self.nodes);
        self.weight -= item.weight();
        self.items -= 1;
        self.lower_the_root();
        item
    }

    /// Changes the item that `rank` is in; `change` is handed it and how far into it the rank is. Its weight may change, its place
    /// in the order may not. O(log n).
    pub fn update<R>(&mut self, rank: u64, change: impl FnOnce(&mut T, u64) -> R) -> R {
        assert!(rank < self.weight, "a change behind the end");
        let (result, was, is) = update_below(&mut self.root, rank, self.weight, change);
        self.weight = self.weight - was + is;
        result
    }

    /// Puts `item` in front of all.
    pub fn push_front(&mut self, item: T) {
        self.insert(0, item);
    }

    /// Puts `item` behind all.
    pub fn push_back(&mut self, item: T) {
        self.insert(self.weight, item);
    }

    /// Takes the first item.
    pub fn pop_front(&mut self) -> Option<T> {
        (!self.is_empty()).then(|| self.remove(0))
    }

    /// Takes the last item.
    pub fn pop_back(&mut self) -> Option<T> {
        (!self.is_empty()).then(|| self.remove(self.weight - 1))
    }

    /// The items from the one that `rank` is in to the last. O(log n) for the first, then a descent for each leaf.
    pub fn forward(&self, rank: u64) -> Forward<'_, T> {
        Forward { tree: self, leaf: [].iter(), rank, inside: true }
    }

    /// The items before `rank`, the nearest first, down to the first of all; the one that `rank - 1` is in is the first to come.
    pub fn backward(&self, rank: u64) -> Backward<'_, T> {
        Backward { tree: self, leaf: [].iter(), rank: rank.min(self.weight) }
    }

    /// Takes at most `leaves` leaves off the end and hands their items to `free`, the last leaf first. Returns whether there is more.
    pub fn free_some(&mut self, leaves: usize, mut free: impl FnMut(T)) -> bool {
        for _ in 0..leaves {
            let items = match &mut self.root {
                Node::Leaf(items) => std::mem::take(items),
                Node::Inner(inner) => inner.take_last_leaf(&mut self.nodes),
            };
            self.items -= items.len() as u64;
            for item in items {
                self.weight -= item.weight();
                free(item);
            }
            self.lower_the_root();
            if self.is_empty() {
                return false;
            }
        }
        true
    }

    /// The leaf that `rank` is in: its items, the index of the one with the rank, and the rank at which that one begins.
    fn leaf_at(&self, rank: u64) -> (&[T], usize, u64) {
        let mut node = &self.root;
        let mut weight = self.weight;
        let mut begin = 0;
        loop {
            match node {
                Node::Leaf(items) => {
                    let (index, before) = locate(items.iter().map(T::weight), weight, rank - begin);
                    return (items, index, begin + before);
                }
                Node::Inner(inner) => {
                    let (index, before) = locate(inner.weights.iter().copied(), weight, rank - begin);
                    begin += before;
                    weight = inner.weights[index];
                    node = &inner.nodes[index];
                }
            }
        }
    }

    /// A root with one child is not needed, one with none is an empty leaf.
    fn lower_the_root(&mut self) {
        while let Node::Inner(inner) = &mut self.root
            && inner.nodes.len() <= 1
        {
            self.nodes.inners -= 1;
            self.root = match inner.nodes.pop() {
                Some(child) => child,
                None => {
                    self.nodes.leaves += 1;
                    Node::Leaf(Vec::new())
                }
            };
        }
    }

    /// Checks what the module promises; panics if something does not hold. Reads everything: for tests.
    pub fn audit(&self) {
        let mut found = NodeCount::default();
        let (weight, items, _depth) = self.root.audit(&mut found, true, true);
        assert_eq!((weight, items, found), (self.weight, self.items, self.nodes), "weight, items, nodes");
    }
}

/// Items in order. Made by [`Ranked::forward`].
#[derive(Debug)]
pub struct Forward<'a, T: Item> {
    tree: &'a Ranked<T>,
    leaf: std::slice::Iter<'a, T>,
    /// The rank at which what follows `leaf` begins; at first a rank inside of the first item.
    rank: u64,
    /// No leaf has been read yet.
    inside: bool,
}

impl<'a, T: Item> Iterator for Forward<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        if self.leaf.as_slice().is_empty() {
            if self.rank >= self.tree.weight {
                return None;
            }
            let (items, index, begin) = self.tree.leaf_at(self.rank);
            debug_assert!(self.inside || begin == self.rank);
            self.inside = false;
            self.leaf = items[index..].iter();
            self.rank = begin + self.leaf.as_slice().iter().map(T::weight).sum::<u64>();
        }
        self.leaf.next()
    }
}

/// Items in the opposite order. Made by [`Ranked::backward`].
#[derive(Debug)]
pub struct Backward<'a, T: Item> {
    tree: &'a Ranked<T>,
    leaf: std::slice::Iter<'a, T>,
    /// What is in front of `leaf` ends here.
    rank: u64,
}

impl<'a, T: Item> Iterator for Backward<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        if self.leaf.as_slice().is_empty() {
            if self.rank == 0 {
                return None;
            }
            let (items, index, begin) = self.tree.leaf_at(self.rank - 1);
            self.leaf = items[..=index].iter();
            self.rank = begin - items[..index].iter().map(T::weight).sum::<u64>();
        }
        self.leaf.next_back()
    }
}

/// Which of the parts that weigh `weights`, `total` in all, holds `rank`, and what lies before that part. Counts from the nearer end:
/// both ends are where most lists are read and written.
fn locate(weights: impl DoubleEndedIterator<Item = u64> + ExactSizeIterator, total: u64, rank: u64) -> (usize, u64) {
    debug_assert!(rank < total);
    if rank < total / 2 {
        let mut before = 0;
        for (index, weight) in weights.enumerate() {
            if rank < before + weight {
                return (index, before);
            }
            before += weight;
        }
    } else {
        let mut begin = total;
        for (index, weight) in weights.enumerate().rev() {
            begin -= weight;
            if rank >= begin {
                return (index, begin);
            }
        }
    }
    unreachable!("a rank below the total is in one of the parts")
}

/// Inserts into a node that is not full. Makes room on the way down, so that a split never has to go up.
fn insert_below<T: Item>(root: &mut Node<T>, rank: u64, item: T, place: Place, count: &mut NodeCount) {
    let mut node = root;
    let mut rank = rank;
    loop {
        match node {
            Node::Leaf(items) => {
                items.reserve_exact(LEAF_ITEMS_MAX - items.len());
                let index = boundary(items.iter().map(T::weight), rank, place);
                items.insert(index, item);
                return;
            }
            Node::Inner(inner) => {
                let mut index = inner.child_for(&mut rank, place);
                if inner.nodes[index].is_full() {
                    if place != Place::Middle && matches!(inner.nodes[index], Node::Leaf(_)) {
                        let index = if place == Place::Front { 0 } else { inner.nodes.len() };
                        let (weight, mark) = (item.weight(), item.mark());
                        let mut leaf = Vec::with_capacity(LEAF_ITEMS_MAX);
                        leaf.push(item);
                        inner.insert(index, weight, mark, Node::Leaf(leaf));
                        count.leaves += 1;
                        return;
                    }
                    rank += inner.weights[..index].iter().sum::<u64>();
                    inner.make_room(index, place, count);
                    index = inner.child_for(&mut rank, place);
                }
                inner.weights[index] += item.weight();
                if rank == 0 {
                    inner.marks[index] = item.mark();
                }
                node = &mut inner.nodes[index];
            }
        }
    }
}

/// The index in front of which `rank` begins.
fn boundary(weights: impl ExactSizeIterator<Item = u64>, rank: u64, place: Place) -> usize {
    match place {
        Place::Front => 0,
        Place::Back => weights.len(),
        Place::Middle => {
            let mut before = 0;
            let mut index = 0;
            for weight in weights {
                if before >= rank {
                    break;
                }
                before += weight;
                index += 1;
            }
            assert_eq!(before, rank, "an insertion into the middle of an item");
            index
        }
    }
}

fn remove_below<T: Item>(node: &mut Node<T>, rank: u64, weight: u64, count: &mut NodeCount) -> T {
    match node {
        Node::Leaf(items) => {
            let (index, _) = locate(items.iter().map(T::weight), weight, rank);
            items.remove(index)
        }
        Node::Inner(inner) => {
            let (index, before) = locate(inner.weights.iter().copied(), weight, rank);
            let item = remove_below(&mut inner.nodes[index], rank - before, inner.weights[index], count);
            inner.weights[index] -= item.weight();
            inner.mend(index, count);
            item
        }
    }
}

/// Returns what `change` says, and the weight before and after.
fn update_below<T: Item, R>(
    node: &mut Node<T>,
    rank: u64,
    weight: u64,
    change: impl FnOnce(&mut T, u64) -> R,
) -> (R, u64, u64) {
    match node {
        Node::Leaf(items) => {
            let (index, before) = locate(items.iter().map(T::weight), weight, rank);
            let was = items[index].weight();
            let result = change(&mut items[index], rank - before);
            let is = items[index].weight();
            assert!(is > 0, "an item without weight has no rank");
            (result, was, is)
        }
        Node::Inner(inner) => {
            let (index, before) = locate(inner.weights.iter().copied(), weight, rank);
            let (result, was, is) = update_below(&mut inner.nodes[index], rank - before, inner.weights[index], change);
            inner.weights[index] = inner.weights[index] - was + is;
            inner.marks[index] = inner.nodes[index].mark();
            (result, was, is)
        }
    }
}

impl<T: Item> Node<T> {
    /// A new root with `child` as its only child.
    fn above(child: Node<T>, weight: u64) -> Self {
        let mut inner = Inner::new();
        inner.insert(0, weight, child.mark(), child);
        Node::Inner(Box::new(inner))
    }

    fn len(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(inner) => inner.nodes.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF_ITEMS_MAX,
            Node::Inner(_) => CHILDREN_MAX,
        }
    }

    fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// The mark of its first item. There is one.
    fn mark(&self) -> T::Mark {
        match self {
            Node::Leaf(items) => items[0].mark(),
            Node::Inner(inner) => inner.marks[0],
        }
    }

    /// Takes what is from `index` on into a new node. Returns it with its weight.
    fn split_off(&mut self, index: usize, count: &mut NodeCount) -> (Node<T>, u64) {
        match self {
            Node::Leaf(items) => {
                let mut right = Vec::with_capacity(LEAF_ITEMS_MAX);
                right.extend(items.drain(index..));
                count.leaves += 1;
                let weight = right.iter().map(T::weight).sum();
                (Node::Leaf(right), weight)
            }
            Node::Inner(inner) => {
                let mut right = Inner::new();
                right.weights.extend(inner.weights.drain(index..));
                right.marks.extend(inner.marks.drain(index..));
                right.nodes.extend(inner.nodes.drain(index..));
                count.inners += 1;
                let weight = right.weights.iter().sum();
                (Node::Inner(Box::new(right)), weight)
            }
        }
    }

    /// Moves the first `len` entries of `right` behind this node's. Returns their weight.
    fn take_from_right(&mut self, right: &mut Node<T>, len: usize) -> u64 {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) => {
                let weight = right[..len].iter().map(T::weight).sum();
                left.extend(right.drain(..len));
                weight
            }
            (Node::Inner(left), Node::Inner(right)) => {
                let weight = right.weights[..len].iter().sum();
                left.weights.extend(right.weights.drain(..len));
                left.marks.extend(right.marks.drain(..len));
                left.nodes.extend(right.nodes.drain(..len));
                weight
            }
            _ => unreachable!("siblings are of one kind (1)"),
        }
    }

    /// Moves the last `len` entries of this node in front of those of `right`. Returns their weight.
    fn give_to_right(&mut self, right: &mut Node<T>, len: usize) -> u64 {
        let from = self.len() - len;
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) => {
                let weight = left[from..].iter().map(T::weight).sum();
                right.splice(..0, left.drain(from..));
                weight
            }
            (Node::Inner(left), Node::Inner(right)) => {
                let weight = left.weights[from..].iter().sum();
                right.weights.splice(..0, left.weights.drain(from..));
                right.marks.splice(..0, left.marks.drain(from..));
                right.nodes.splice(..0, left.nodes.drain(from..));
                weight
            }
            _ => unreachable!("siblings are of one kind (1)"),
        }
    }

    /// Weight, number of items and depth.
    fn audit(&self, count: &mut NodeCount, is_left_edge: bool, is_right_edge: bool) -> (u64, u64, u32) {
        let is_root = is_left_edge && is_right_edge;
        assert!(is_root || self.len() > 0, "no node is empty (1)");
        assert!(self.len() <= self.capacity(), "no node is too full");
        assert!(is_left_edge || is_right_edge || self.len() >= self.capacity() / 4, "a quarter full (3)");
        match self {
            Node::Leaf(items) => {
                count.leaves += 1;
                assert!(items.capacity() <= LEAF_ITEMS_MAX, "a leaf of {} places", items.capacity());
                (items.iter().map(T::weight).sum(), items.len() as u64, 0)
            }
            Node::Inner(inner) => {
                count.inners += 1;
                let len = inner.nodes.len();
                assert_eq!((inner.weights.len(), inner.marks.len()), (len, len), "three lists of one length");
                let (mut weight, mut items) = (0, 0);
                let mut depths = Vec::new();
                for (index, node) in inner.nodes.iter().enumerate() {
                    let child = node.audit(count, is_left_edge && index == 0, is_right_edge && index == len - 1);
                    assert_eq!(child.0, inner.weights[index], "a child's weight (2)");
                    assert_eq!(node.mark(), inner.marks[index], "a child's mark (2)");
                    weight += child.0;
                    items += child.1;
                    depths.push(child.2);
                }
                assert!(depths.iter().all(|depth| *depth == depths[0]), "equally deep (1)");
                (weight, items, depths[0] + 1)
            }
        }
    }
}

impl<T: Item> Inner<T> {
    fn new() -> Self {
        Inner {
            weights: Vec::with_capacity(CHILDREN_MAX),
            marks: Vec::with_capacity(CHILDREN_MAX),
            nodes: Vec::with_capacity(CHILDREN_MAX),
        }
    }

    fn insert(&mut self, index: usize, weight: u64, mark: T::Mark, node: Node<T>) {
        self.weights.insert(index, weight);
        self.marks.insert(index, mark);
        self.nodes.insert(index, node);
    }

    /// The child to insert at `rank` into, which becomes the rank in that child. Between two children, it is the end of the first:
    /// so what is inserted is a child's first only at the very front.
    fn child_for(&self, rank: &mut u64, place: Place) -> usize {
        let index = match place {
            Place::Front => 0,
            Place::Back => self.nodes.len() - 1,
            Place::Middle => {
                let mut end = 0;
                let reaches = |weight: &u64| {
                    end += weight;
                    end >= *rank
                };
                self.weights.iter().position(reaches).expect("a rank in the middle is below the total")
            }
        };
        *rank -= self.weights[..index].iter().sum::<u64>();
        index
    }

    /// Makes room in or beside the full child at `index`, for an insertion at `place`. This node is not full.
    fn make_room(&mut self, index: usize, place: Place, count: &mut NodeCount) {
        let room = |node: &Node<T>| node.capacity() - node.len();
        if place == Place::Middle {
            if index > 0 && room(&self.nodes[index - 1]) >= ROOM_MIN {
                return self.move_left(index, room(&self.nodes[index - 1]) / 2);
            }
            if index + 1 < self.nodes.len() && room(&self.nodes[index + 1]) >= ROOM_MIN {
                return self.move_right(index, room(&self.nodes[index + 1]) / 2);
            }
        }
        let len = self.nodes[index].len();
        let at = match place {
            Place::Front => 1,
            Place::Middle => len / 2,
            Place::Back => len - 1,
        };
        let (right, weight) = self.nodes[index].split_off(at, count);
        self.weights[index] -= weight;
        self.insert(index + 1, weight, right.mark(), right);
    }

    /// Moves the first `len` entries of the child at `index` to the one on its left.
    fn move_left(&mut self, index: usize, len: usize) {
        let (left, right) = self.nodes.split_at_mut(index);
        let weight = left[index - 1].take_from_right(&mut right[0], len);
        self.weights[index - 1] += weight;
        self.weights[index] -= weight;
        if right[0].len() > 0 {
            self.marks[index] = right[0].mark();
        }
    }

    /// Moves the last `len` entries of the child at `index` to the one on its right.
    fn move_right(&mut self, index: usize, len: usize) {
        let (left, right) = self.nodes.split_at_mut(index + 1);
        let weight = left[index].give_to_right(&mut right[0], len);
        self.weights[index] -= weight;
        self.weights[index + 1] += weight;
        self.marks[index + 1] = right[0].mark();
    }

    /// After a removal below the child at `index`: drops it if it is empty, joins it with a sibling if they fit into one, takes from
    /// one if it is less than a quarter full.
    fn mend(&mut self, index: usize, count: &mut NodeCount) {
        let (len, capacity) = (self.nodes[index].len(), self.nodes[index].capacity());
        if len == 0 {
            return self.drop_empty(index, count);
        }
        self.marks[index] = self.nodes[index].mark();
        if len >= capacity / 2 {
            return;
        }
        let left = index.checked_sub(1).map(|left| self.nodes[left].len());
        let right = self.nodes.get(index + 1).map(Node::len);
        let fits = |other: usize| len + other + SPARE_AFTER_MERGE <= capacity;
        match (left, right) {
            (Some(other), _) if fits(other) => {
                self.move_left(index, len);
                self.drop_empty(index, count);
            }
            (_, Some(other)) if fits(other) => {
                self.move_left(index + 1, other);
                self.drop_empty(index + 1, count);
            }
            _ if len >= capacity / 4 => {}
            (Some(other), _) => self.move_right(index - 1, (other - len) / 2),
            (None, Some(other)) => self.move_left(index + 1, (other - len) / 2),
            (None, None) => {}
        }
    }

    fn drop_empty(&mut self, index: usize, count: &mut NodeCount) {
        self.weights.remove(index);
        self.marks.remove(index);
        let node = self.nodes.remove(index);
        debug_assert_eq!(node.len(), 0);
        match node {
            Node::Leaf(_) => count.leaves -= 1,
            Node::Inner(_) => count.inners -= 1,
        }
    }

    /// Takes the items of the last leaf below; what is empty then is dropped.
    fn take_last_leaf(&mut self, count: &mut NodeCount) -> Vec<T> {
        let last = self.nodes.len() - 1;
        let items = match &mut self.nodes[last] {
            Node::Leaf(items) => std::mem::take(items),
            Node::Inner(inner) => inner.take_last_leaf(count),
        };
        self.weights[last] -= items.iter().map(T::weight).sum::<u64>();
        if self.nodes[last].len() == 0 {
            self.drop_empty(last, count);
        }
        items
    }
}
