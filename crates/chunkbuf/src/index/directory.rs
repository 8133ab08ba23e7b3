//! From a hash to its segment: a radix tree by the hash's first bits.
//!
//! ```text
//!                 node, 2 bits: 00 01 10 11
//!                               |  |   \ /
//!             segment, depth 2 -+  |    +- segment, depth 1
//!                                  |
//!                            node, 1 bit: 0 1          (a child only under a node of 8 bits, in fact)
//!                                         | +- segment
//!                                         +- segment
//! ```
//!
//! A node resolves 1 to 8 bits with 2^bits entries. A segment whose depth is less than where the node ends stands in
//! several entries in a row. When a segment that has one entry splits, its node doubles, and from 8 bits on a child
//! takes its place; merges undo both. So no step copies more than 1 KiB, at any size of the map.

use super::segment::Segment;
use crate::arena::Arena;

/// Bits that a node resolves at most.
const NODE_BITS_MAX: u32 = 8;
const NODE_TAG: u32 = 1 << 31;

/// What an entry leads to: the number of a segment or of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

/// An entry, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    Segment(u32),
    Node(u32),
}

impl Entry {
    #[inline]
    pub(super) fn segment(id: u32) -> Entry {
        debug_assert!(id & NODE_TAG == 0);
        Entry(id)
    }

    #[inline]
    fn node(id: u32) -> Entry {
        debug_assert!(id & NODE_TAG == 0);
        Entry(id | NODE_TAG)
    }

    #[inline]
    pub(super) fn child(self) -> Child {
        if self.0 & NODE_TAG == 0 { Child::Segment(self.0) } else { Child::Node(self.0 & !NODE_TAG) }
    }
}

/// One node: 2^bits entries. (Fewer only while the tree is being taken down.)
#[derive(Default)]
pub(super) struct Node {
    bits: u32,
    entries: Vec<Entry>,
}

impl Node {
    #[inline]
    fn at(&self, aligned: u64) -> usize {
        (aligned >> (64 - self.bits)) as usize
    }
}

/// The nodes of all maps of a store.
pub(super) struct Nodes {
    nodes: Arena<Node>,
    entries: usize,
}

/// The node that a hash ends in.
struct Leaf {
    node: u32,
    /// Bits of the hash that lead to the node.
    base: u32,
}

impl Nodes {
    pub(super) fn new() -> Nodes {
        Nodes { nodes: Arena::new(), entries: 0 }
    }

    /// Bytes of all nodes in use, with their entries.
    pub(super) fn used_bytes(&self) -> u64 {
        (self.nodes.len() * size_of::<Node>() + self.entries * size_of::<Entry>()) as u64
    }

    /// Bytes held, vacancies included.
    pub(super) fn held_bytes(&self) -> u64 {
        self.nodes.held_bytes() + (self.entries * size_of::<Entry>()) as u64
    }

    /// Bytes that a split takes at most.
    pub(super) fn growth_bytes_max(&mut self) -> u64 {
        self.nodes.growth_bytes() + (size_of::<Entry>() << (NODE_BITS_MAX - 1)) as u64
    }

    /// The segment of a hash.
    #[inline]
    pub(super) fn segment(&self, root: Entry, hash: u64) -> u32 {
        let mut entry = root;
        let mut rest = hash;
        loop {
            match entry.child() {
                Child::Segment(id) => return id,
                Child::Node(id) => {
                    let node = self.nodes.get(id);
                    entry = node.entries[node.at(rest)];
                    rest <<= node.bits;
                }
            }
        }
    }

    /// Notes that the segment of `hash`, until now of `depth`, has been split: the upper half of its entries leads to
    /// `high`. O(256).
    pub(super) fn split(&mut self, root: &mut Entry, hash: u64, depth: u8, high: u32) {
        let depth = u32::from(depth);
        let Some(Leaf { node: id, base }) = self.leaf(*root, hash) else {
            *root = self.pair(*root, high);
            return;
        };
        let node = self.nodes.get_mut(id);
        if depth == base + node.bits {
            if node.bits == NODE_BITS_MAX {
                let at = node.at(hash << base);
                let low = node.entries[at];
                let child = self.pair(low, high);
                self.nodes.get_mut(id).entries[at] = child;
                return;
            }
            self.entries += node.entries.len();
            let mut doubled = Vec::with_capacity(node.entries.len() * 2);
            node.entries.iter().for_each(|&entry| doubled.extend([entry, entry]));
            node.entries = doubled;
            node.bits += 1;
        }
        let run = run(node, base, depth, hash);
        let middle = run.start + run.len() / 2;
        node.entries[middle..run.end].fill(Entry::segment(high));
    }

    /// The segment whose prefix of `depth` bits differs from the hash's in the last bit only, if the tree has one.
    pub(super) fn sibling(&self, root: Entry, segments: &Arena<Segment>, hash: u64, depth: u8) -> Option<u32> {
        let Leaf { node: id, base } = self.leaf(root, hash)?;
        let node = self.nodes.get(id);
        let first = run(node, base, u32::from(depth), hash ^ (1 << (64 - depth))).start;
        match node.entries[first].child() {
            Child::Segment(id) if segments.get(id).depth() == depth => Some(id),
            _ => None,
        }
    }

    /// Notes that the two siblings of `depth` that `hash` leads to have become the segment `merged`. O(256), and as
    /// much again for a node that is no longer needed.
    pub(super) fn merge(&mut self, root: &mut Entry, hash: u64, depth: u8, merged: u32) {
        let Leaf { node: id, base } = self.leaf(*root, hash).expect("siblings share a node");
        let node = self.nodes.get_mut(id);
        let run = run(node, base, u32::from(depth) - 1, hash);
        node.entries[run].fill(Entry::segment(merged));
        while node.bits > 1 && node.entries.chunks_exact(2).all(|pair| pair[0] == pair[1]) {
            self.entries -= node.entries.len() / 2;
            node.entries = node.entries.iter().copied().step_by(2).collect();
            node.bits -= 1;
        }
        if node.bits == 1 && node.entries[0] == node.entries[1] {
            self.replace(root, hash, id, Entry::segment(merged));
            self.remove(id);
        }
    }

    /// The segment of the tree's last entry.
    pub(super) fn last_segment(&self, root: Entry) -> u32 {
        let mut entry = root;
        loop {
            match entry.child() {
                Child::Segment(id) => return id,
                Child::Node(id) => entry = *self.nodes.get(id).entries.last().expect("an empty node is removed"),
            }
        }
    }

    /// Takes the last segment, and the nodes that are empty without it, off a tree that is being taken down. Returns
    /// what is left.
    pub(super) fn cut_last_segment(&mut self, root: Entry) -> Option<Entry> {
        let Child::Node(id) = root.child() else {
            return None;
        };
        let last = *self.nodes.get(id).entries.last().expect("an empty node is removed");
        let rest = self.cut_last_segment(last);
        let node = self.nodes.get_mut(id);
        let before = node.entries.len();
        if rest.is_none() {
            while node.entries.pop_if(|entry| *entry == last).is_some() {}
        }
        self.entries -= before - node.entries.len();
        if node.entries.is_empty() {
            self.nodes.remove(id);
            return None;
        }
        Some(root)
    }

    /// Calls `visit` with each segment and the lowest hash that leads to it. Panics on a broken node.
    pub(super) fn audit(&self, root: Entry, segments: &Arena<Segment>, visit: &mut impl FnMut(u32, u64)) {
        self.audit_below(root, segments, 0, 0, visit);
    }

    fn audit_below(
        &self,
        entry: Entry,
        segments: &Arena<Segment>,
        prefix: u64,
        base: u32,
        visit: &mut impl FnMut(u32, u64),
    ) {
        let id = match entry.child() {
            Child::Segment(id) => {
                assert_eq!(u32::from(segments.get(id).depth()), base, "the depth of segment {id}");
                return visit(id, prefix);
            }
            Child::Node(id) => id,
        };
        let node = self.nodes.get(id);
        assert!((1..=NODE_BITS_MAX).contains(&node.bits), "a node resolves 1 to 8 bits");
        assert_eq!(node.entries.len(), 1 << node.bits);
        let is_halved = node.entries.chunks_exact(2).any(|pair| pair[0] != pair[1]);
        assert!(is_halved, "node {id} is no larger than it must be");
        let mut at = 0;
        while at < node.entries.len() {
            let entry = node.entries[at];
            let (depth, width) = match entry.child() {
                Child::Node(_) => {
                    assert_eq!(node.bits, NODE_BITS_MAX, "only a full node has children");
                    (base + node.bits, 1)
                }
                Child::Segment(id) => {
                    let depth = u32::from(segments.get(id).depth());
                    assert!((base + 1..=base + node.bits).contains(&depth), "segment {id} belongs into node");
                    (depth, 1 << (base + node.bits - depth))
                }
            };
            assert!(at % width == 0 && node.entries[at..at + width].iter().all(|&other| other == entry));
            let prefix = prefix | (at as u64) << (64 - base - node.bits);
            self.audit_below(entry, segments, prefix, depth, visit);
            at += width;
        }
    }

    /// Bytes of the nodes of one tree. O(nodes).
    pub(super) fn tree_bytes(&self, root: Entry) -> u64 {
        let Child::Node(id) = root.child() else {
            return 0;
        };
        let entries = &self.nodes.get(id).entries;
        let below = entries.iter().map(|&entry| self.tree_bytes(entry)).sum::<u64>();
        (size_of::<Node>() + size_of_val(&entries[..])) as u64 + below
    }

    /// A new node of one bit.
    fn pair(&mut self, low: Entry, high: u32) -> Entry {
        self.entries += 2;
        Entry::node(self.nodes.insert(Node { bits: 1, entries: vec![low, Entry::segment(high)] }))
    }

    fn remove(&mut self, id: u32) {
        self.entries -= self.nodes.remove(id).entries.len();
    }

    /// The last node on the hash's way; `None` when the root is a segment.
    fn leaf(&self, root: Entry, hash: u64) -> Option<Leaf> {
        let mut leaf = None;
        let (mut entry, mut base) = (root, 0);
        while let Child::Node(id) = entry.child() {
            let node = self.nodes.get(id);
            entry = node.entries[node.at(hash << base)];
            leaf = Some(Leaf { node: id, base });
            base += node.bits;
        }
        leaf
    }

    /// Puts `new` where node `old` stands on the hash's way.
    fn replace(&mut self, root: &mut Entry, hash: u64, old: u32, new: Entry) {
        let (mut entry, mut base) = (*root, 0);
        if entry == Entry::node(old) {
            *root = new;
            return;
        }
        while let Child::Node(id) = entry.child() {
            let node = self.nodes.get_mut(id);
            let at = node.at(hash << base);
            entry = node.entries[at];
            if entry == Entry::node(old) {
                node.entries[at] = new;
                return;
            }
            base += node.bits;
        }
        unreachable!("the node stands on the way of a hash that led to it");
    }
}

/// The entries of the hash's prefix of `depth` bits, in a node that resolves the bits from `base` on.
fn run(node: &Node, base: u32, depth: u32, hash: u64) -> std::ops::Range<usize> {
    debug_assert!((base..=base + node.bits).contains(&depth));
    let width = 1 << (base + node.bits - depth);
    let start = node.at(hash << base) & !(width - 1);
    start..start + width
}
