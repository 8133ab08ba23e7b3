//! A node of a large list: elements one behind another in a block of memory, with room at both ends.
//!
//! ```text
//!   block   [ room ][len][bytes][len] [len][bytes][len] ... [room ]
//!                   ^ start                                 ^ end
//!   len     0xxxxxxx             below 128 bytes
//!           1xxxxxxx xxxxxxxx    below 32 KiB, high bits first; mirrored behind the bytes, so that it reads from its end
//! ```
//!
//! * An element has its length on both sides: a list is read, and popped, from either end. An element of less than 128 bytes takes
//!   two bytes beside its own.
//! * A push costs the element while there is room on its side. When that side is full, the elements are moved so that the room is
//!   shared by both sides; when all is full, a larger block is taken, up to [`block_bytes_max`]; then it is another node's turn.
//! * In the middle the shorter side is moved: 2 KiB at most where elements are small.
//! * An element is found by its index by stepping from the nearer end. Blocks over 4 KiB hold few elements, so that this is at most
//!   about a thousand steps of 2 ns.
//! * An element over [`ELEMENT_BYTES_MAX`] is a blob and a node by itself.

use std::ops::Range;

use chunkbuf::{Blob, Chunk, PutError, Store};

use super::encoding::listpack_len;
use crate::types::ranked;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is.
    Head,
    /// Where index -1 is.
    Tail,
}

/// The longest element in bytes that lies in a block; four of them fit the largest one. Longer ones are blobs: a quarter of a block
/// could be left open behind them, and from here on a reply refers to a blob's pages instead of copying them.
pub const ELEMENT_BYTES_MAX: usize = 16 * 1024 - 4;

/// The block of a node of small elements.
const BLOCK_BYTES: usize = 4 * 1024;
/// The largest block.
const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// A block should hold this many elements at least, as far as the largest block does.
const ELEMENTS_MIN: usize = 8;
/// Elements that a block of more than [`BLOCK_BYTES`] holds at most: it is for few large ones.
const ELEMENTS_IN_LARGE_MAX: u32 = 256;

/// Bytes of a length of up to 32 KiB, on one side.
const fn len_bytes(len: usize) -> usize {
    if len < 0x80 { 1 } else { 2 }
}

/// Bytes that an element of `len` bytes takes in a block.
pub(super) const fn entry_len(len: usize) -> usize {
    len + 2 * len_bytes(len)
}

/// How large a block may become for an element that takes `entry` bytes.
const fn block_bytes_max(entry: usize) -> usize {
    if ELEMENTS_MIN * entry <= BLOCK_BYTES {
        BLOCK_BYTES
    } else if ELEMENTS_MIN * entry >= BLOCK_BYTES_MAX {
        BLOCK_BYTES_MAX
    } else {
        (ELEMENTS_MIN * entry).next_power_of_two()
    }
}

const _: () = assert!(4 * entry_len(ELEMENT_BYTES_MAX) == BLOCK_BYTES_MAX, "the largest element leaves nothing open");

/// Elements in a block. Must end by [`Node::free`]: a block that is dropped is lost to its store.
#[derive(Debug)]
pub(super) struct Block {
    chunk: Chunk,
    start: u32,
    end: u32,
    count: u32,
    /// Bytes that Redis's listpack would take for these elements.
    listpack_bytes: u32,
}

/// Some elements of a block, in order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entries<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let first = *self.bytes.first()?;
        let (len, side) = if first < 0x80 {
            (usize::from(first), 1)
        } else {
            (usize::from(first & 0x7F) << 8 | usize::from(self.bytes[1]), 2)
        };
        let (entry, rest) = self.bytes.split_at(len + 2 * side);
        self.bytes = rest;
        Some(&entry[side..side + len])
    }
}

impl DoubleEndedIterator for Entries<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let last = *self.bytes.last()?;
        let (len, side) = if last < 0x80 {
            (usize::from(last), 1)
        } else {
            (usize::from(last & 0x7F) << 8 | usize::from(self.bytes[self.bytes.len() - 2]), 2)
        };
        let (rest, entry) = self.bytes.split_at(self.bytes.len() - len - 2 * side);
        self.bytes = rest;
        Some(&entry[side..side + len])
    }
}

/// Writes an entry over `gap`, which has just its length.
fn write_entry(gap: &mut [u8], element: &[u8]) {
    let (len, size) = (element.len(), gap.len());
    debug_assert_eq!(size, entry_len(len));
    if len < 0x80 {
        (gap[0], gap[size - 1]) = (len as u8, len as u8);
        gap[1..=len].copy_from_slice(element);
    } else {
        let [high, low] = [0x80 | (len >> 8) as u8, len as u8];
        (gap[0], gap[1], gap[size - 2], gap[size - 1]) = (high, low, low, high);
        gap[2..2 + len].copy_from_slice(element);
    }
}

impl Block {
    /// An empty block that is to be filled from the other end than `end`: its room is at `end`.
    pub(super) fn new(chunk: Chunk, end: End) -> Block {
        let edge = match end {
            End::Head => chunk.bytes().len() as u32,
            End::Tail => 0,
        };
        Block { chunk, start: edge, end: edge, count: 0, listpack_bytes: 0 }
    }

    /// Bytes of its memory.
    fn size(&self) -> usize {
        self.chunk.bytes().len()
    }

    /// Bytes of its elements, with their lengths.
    pub(super) fn used(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// All elements.
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries { bytes: &self.chunk.bytes()[self.start as usize..self.end as usize] }
    }

    /// The elements from `index` on.
    pub(super) fn entries_from(&self, index: u32) -> Entries<'_> {
        Entries { bytes: &self.chunk.bytes()[self.offset(index)..self.end as usize] }
    }

    /// The elements before `index`.
    pub(super) fn entries_before(&self, index: u32) -> Entries<'_> {
        Entries { bytes: &self.chunk.bytes()[self.start as usize..self.offset(index)] }
    }

    /// Where element `index` begins; the end for the one behind the last. Steps from the nearer end.
    fn offset(&self, index: u32) -> usize {
        assert!(index <= self.count, "the element is in the block");
        let mut entries = self.entries();
        if index <= self.count / 2 {
            for _ in 0..index {
                entries.next();
            }
            self.end as usize - entries.bytes.len()
        } else {
            for _ in index..self.count {
                entries.next_back();
            }
            self.start as usize + entries.bytes.len()
        }
    }

    /// Whether an entry of so many bytes can be written without another block.
    fn fits(&self, entry: usize) -> bool {
        self.used() + entry <= self.size() && (self.size() <= BLOCK_BYTES || self.count < ELEMENTS_IN_LARGE_MAX)
    }

    /// Bytes of the block that it should have to take an entry of so many bytes, if it may.
    fn size_with(&self, entry: usize) -> Option<usize> {
        let bytes = self.used() + entry;
        let is_crowded = bytes > BLOCK_BYTES && self.count >= ELEMENTS_IN_LARGE_MAX;
        (bytes <= block_bytes_max(entry) && !is_crowded).then_some(bytes)
    }

    /// Moves the elements to another chunk that holds them, with all room but `behind` bytes in front of them; returns the old one.
    fn move_to(&mut self, mut chunk: Chunk, behind: usize) -> Chunk {
        let bytes = chunk.bytes_mut();
        let end = bytes.len() - behind;
        let start = end - self.used();
        bytes[start..end].copy_from_slice(self.entries().bytes);
        (self.start, self.end) = (start as u32, end as u32);
        std::mem::replace(&mut self.chunk, chunk)
    }

    /// Opens a gap of `len` bytes, for which there is room, in front of what begins at offset `at`; returns where it begins.
    fn open_gap(&mut self, at: usize, len: usize) -> usize {
        let (start, end, size) = (self.start as usize, self.end as usize, self.size());
        debug_assert!(self.used() + len <= size && (start..=end).contains(&at));
        let (left, right) = (at - start, end - at);
        let (room_before, room_behind) = (start, size - end);
        let bytes = self.chunk.bytes_mut();
        if room_behind >= len && (right <= left || room_before < len) {
            bytes.copy_within(at..end, at + len);
            self.end += len as u32;
            at
        } else if room_before >= len {
            bytes.copy_within(start..at, start - len);
            self.start -= len as u32;
            at - len
        } else {
            // Neither side has it alone. The room that will be left is shared by both, so that this is not soon done again.
            let new_start = (room_before + room_behind - len) / 2;
            let gap = new_start + left;
            if new_start <= start {
                bytes.copy_within(start..at, new_start);
                bytes.copy_within(at..end, gap + len);
            } else {
                bytes.copy_within(at..end, gap + len);
                bytes.copy_within(start..at, new_start);
            }
            (self.start, self.end) = (new_start as u32, (gap + len + right) as u32);
            gap
        }
    }

    /// Forgets the bytes of a range of offsets, which holds whole entries: the shorter side moves over them. Returns where what was
    /// behind them begins now.
    fn close_gap(&mut self, gap: Range<usize>) -> usize {
        let (start, end) = (self.start as usize, self.end as usize);
        let len = gap.len();
        let bytes = self.chunk.bytes_mut();
        if gap.start - start < end - gap.end {
            bytes.copy_within(start..gap.start, start + len);
            self.start += len as u32;
            gap.end
        } else {
            bytes.copy_within(gap.end..end, gap.start);
            self.end -= len as u32;
            gap.start
        }
    }

    fn count_in(&mut self, element: &[u8]) {
        self.count += 1;
        self.listpack_bytes += listpack_len(element) as u32;
    }

    /// Puts an element, for which there is room, in front of element `index`, or behind the last.
    pub(super) fn insert(&mut self, index: u32, element: &[u8]) {
        let entry = entry_len(element.len());
        let offset = self.offset(index);
        let gap = self.open_gap(offset, entry);
        write_entry(&mut self.chunk.bytes_mut()[gap..gap + entry], element);
        self.count_in(element);
    }

    /// Puts an element, for which there is room, at an end.
    pub(super) fn push(&mut self, end: End, element: &[u8]) {
        let index = match end {
            End::Head => 0,
            End::Tail => self.count,
        };
        self.insert(index, element);
    }

    /// Removes elements `range`. Costs the shorter of what is before and behind them.
    pub(super) fn remove(&mut self, range: Range<u32>) {
        let from = self.offset(range.start);
        let mut entries = self.entries_from(range.start);
        let mut listpack_bytes = 0;
        for element in (range.start..range.end).map_while(|_| entries.next()) {
            listpack_bytes += listpack_len(element) as u32;
        }
        let to = self.end as usize - entries.bytes.len();
        self.close_gap(from..to);
        self.count -= range.end - range.start;
        self.listpack_bytes -= listpack_bytes;
    }

    /// Overwrites element `index`, if there is room for that; whether there was.
    pub(super) fn replace(&mut self, index: u32, element: &[u8]) -> bool {
        let offset = self.offset(index);
        let (old_entry, old_listpack_len) = {
            let old = self.entries_from(index).next().expect("the element is in the block");
            (entry_len(old.len()), listpack_len(old))
        };
        let entry = entry_len(element.len());
        if self.used() - old_entry + entry > self.size() {
            return false;
        }
        let gap = if entry == old_entry {
            offset
        } else {
            let offset = self.close_gap(offset..offset + old_entry);
            self.open_gap(offset, entry)
        };
        write_entry(&mut self.chunk.bytes_mut()[gap..gap + entry], element);
        self.listpack_bytes -= old_listpack_len as u32;
        self.listpack_bytes += listpack_len(element) as u32;
        true
    }

    /// Removes the elements from `index` on that equal `element`, at most `max` of them; how many those were.
    pub(super) fn remove_equal(&mut self, index: u32, element: &[u8], max: u64) -> u64 {
        let mut read = self.offset(index);
        let mut write = read;
        let end = self.end as usize;
        let entry = entry_len(element.len());
        let bytes = self.chunk.bytes_mut();
        let mut removed = 0;
        // A run of entries that stay is moved at once, when the next one goes or the end is there.
        let mut run = read;
        while read < end && removed < max {
            let mut entries = Entries { bytes: &bytes[read..end] };
            let is_equal = entries.next() == Some(element);
            let next = end - entries.bytes.len();
            if is_equal {
                bytes.copy_within(run..read, write);
                write += read - run;
                run = next;
                removed += 1;
            }
            read = next;
        }
        if removed > 0 {
            bytes.copy_within(run..end, write);
            self.end = (write + end - run) as u32;
        }
        debug_assert_eq!(end - self.end as usize, removed as usize * entry);
        self.count -= removed as u32;
        self.listpack_bytes -= removed as u32 * listpack_len(element) as u32;
        removed
    }

    /// The index from which on there are `max` elements that equal `element`, or 0 if there are fewer.
    pub(super) fn last_equal(&self, element: &[u8], max: u64) -> u32 {
        let mut left = max;
        let mut index = self.count;
        for other in self.entries().rev() {
            index -= 1;
            if other == element {
                left -= 1;
                if left == 0 {
                    return index;
                }
            }
        }
        0
    }

    /// Moves the elements `range`, which begins or ends where the block does, to a block of their own on `chunk`, whose room is
    /// then on the side of `room`.
    pub(super) fn split(&mut self, range: Range<u32>, chunk: Chunk, room: End) -> Block {
        debug_assert!(range.start == 0 || range.end == self.count);
        let offsets = self.offset(range.start)..self.offset(range.end);
        let mut other = Block::new(chunk, room);
        let moved = Entries { bytes: &self.chunk.bytes()[offsets.clone()] };
        let listpack_bytes: u32 = moved.map(|element| listpack_len(element) as u32).sum();
        let at = other.open_gap(other.start as usize, offsets.len());
        other.chunk.bytes_mut()[at..at + offsets.len()].copy_from_slice(moved.bytes);
        other.count = range.end - range.start;
        other.listpack_bytes = listpack_bytes;
        self.close_gap(offsets);
        self.count -= other.count;
        self.listpack_bytes -= listpack_bytes;
        other
    }

    /// How many elements it has.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of the elements before `index`, with their lengths.
    pub(super) fn bytes_before(&self, index: u32) -> usize {
        self.offset(index) - self.start as usize
    }

    /// Whether less than a quarter of it is used.
    pub(super) fn is_sparse(&self) -> bool {
        self.used() < self.size() / 4
    }

    /// Whether it can take over all elements of `other` and have an eighth to spare: a merged node shall not soon be split.
    pub(super) fn has_room_for(&self, other: &Block) -> bool {
        let is_crowded = self.size() > BLOCK_BYTES && self.count + other.count > ELEMENTS_IN_LARGE_MAX;
        self.used() + other.used() <= self.size() / 8 * 7 && !is_crowded
    }

    /// Takes over all elements of `other`, which comes behind or in front of this one and for which there is room.
    pub(super) fn absorb(&mut self, end: End, other: &Block) {
        let at = match end {
            End::Head => self.start,
            End::Tail => self.end,
        };
        let gap = self.open_gap(at as usize, other.used());
        self.chunk.bytes_mut()[gap..gap + other.used()].copy_from_slice(other.entries().bytes);
        self.count += other.count;
        self.listpack_bytes += other.listpack_bytes;
    }
}

/// What the leaves of a list hold.
#[derive(Debug)]
pub(super) enum Node {
    /// Elements in a block; never none.
    Block(Block),
    /// One large element.
    Blob(Blob),
}

impl ranked::Item for Node {
    type Mark = ();

    fn mark(&self) {}

    fn weight(&self) -> u64 {
        match self {
            Node::Block(block) => u64::from(block.count),
            Node::Blob(_) => 1,
        }
    }
}

impl Node {
    /// A node of one element, which fits a block, with room at `end`: its block has `bytes` at least.
    ///
    /// # Errors
    /// When there is no memory.
    pub(super) fn with(store: &mut Store, end: End, element: &[u8], bytes: usize) -> Result<Node, PutError> {
        let entry = entry_len(element.len());
        let mut block = Block::new(store.take_block(bytes.clamp(entry, block_bytes_max(entry)))?, end);
        block.push(end, element);
        Ok(Node::Block(block))
    }

    /// Makes room for an element of `len` bytes if the node may have it; whether there is now.
    ///
    /// # Errors
    /// When there is no memory. Nothing has changed then.
    pub(super) fn make_room(
        &mut self,
        store: &mut Store,
        end: End,
        len: usize,
    ) -> Result<Option<&mut Block>, PutError> {
        let Node::Block(block) = self else {
            return Ok(None);
        };
        let entry = entry_len(len);
        if !block.fits(entry) {
            let Some(bytes) = block.size_with(entry) else {
                return Ok(None);
            };
            let chunk = store.take_block(bytes)?;
            let behind = match end {
                End::Head => 0,
                End::Tail => chunk.bytes().len() - block.used(),
            };
            store.give_block(block.move_to(chunk, behind));
        }
        Ok(Some(block))
    }

    /// Moves few elements in a large block to a smaller one, if there is memory for that.
    pub(super) fn shrink(&mut self, store: &mut Store) {
        const SHRINK_AT: usize = 8;
        if let Node::Block(block) = self
            && block.used() * SHRINK_AT <= block.size()
            && block.size() > BLOCK_BYTES_MIN
            && let Ok(chunk) = store.take_block(block.size() / (SHRINK_AT / 2))
        {
            let behind = (chunk.bytes().len() - block.used()) / 2;
            store.give_block(block.move_to(chunk, behind));
        }
    }

    /// Bytes that it holds of the store.
    pub(super) fn held_bytes(&self) -> u64 {
        match self {
            Node::Block(block) => block.size() as u64,
            Node::Blob(blob) => blob.page_bytes(),
        }
    }

    /// Bytes that Redis's listpack would take for its elements.
    pub(super) fn listpack_bytes(&self) -> u64 {
        match self {
            Node::Block(block) => u64::from(block.listpack_bytes),
            Node::Blob(blob) => super::encoding::listpack_len_of_string(blob.len()),
        }
    }

    /// The same elements on memory of their own; those of a blob are shared.
    ///
    /// # Errors
    /// When there is no memory.
    pub(super) fn copy(&self, store: &mut Store) -> Result<Node, PutError> {
        Ok(match self {
            Node::Blob(blob) => Node::Blob(blob.clone()),
            Node::Block(block) => {
                let mut copy = Block::new(store.take_block(block.used())?, End::Tail);
                copy.absorb(End::Tail, block);
                Node::Block(copy)
            }
        })
    }

    /// Gives back what it holds.
    pub(super) fn free(self, store: &mut Store) {
        match self {
            Node::Block(block) => store.give_block(block.chunk),
            Node::Blob(blob) => drop(blob),
        }
    }

    /// Panics when something does not hold that the module promises.
    #[cfg(test)]
    pub(super) fn audit(&self) {
        if let Node::Block(block) = self {
            assert!(block.count > 0, "a node has elements");
            assert_eq!(block.entries().count(), block.count as usize, "elements are counted");
            assert!(block.entries().eq(block.entries().rev().collect::<Vec<_>>().into_iter().rev()), "both ways");
            let listpack_bytes: usize = block.entries().map(listpack_len).sum();
            assert_eq!(listpack_bytes, block.listpack_bytes as usize, "the bytes of the listpack are counted");
        }
    }
}

/// The smallest block that there is.
const BLOCK_BYTES_MIN: usize = 256;
