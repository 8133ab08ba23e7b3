//! A segment: the slots of all keys whose hashes share a prefix, in hash order by line.
//!
//! ```text
//!  hash   |<- depth: the prefix ->|<- 14 bits: position ->|            |
//!  slot              |<-  lag   ->|                       |
//!                    |<----------- 23 bits: fragment ----------->|
//!                  window
//!
//!  home line = position * lines / 2^14
//!
//!  line   0          1          2          3          4  ...                   4 to 56 lines, on 1 to 14 blocks
//!  slots  [01111100] [11111111] [12233300] [44444444] [455..]                  the digit is a slot's home line
//!                     overflows             overflows
//! ```
//!
//! A slot that finds its home line full goes to the next one with room (after the last comes the first). Invariants,
//! between any two calls:
//!
//! 1. The lines from a slot's home up to the one before the slot's are full.
//! 2. A line's overflow bit is set exactly if some slot that is at home in it or before it lives past it.
//! 3. `0 <= depth - window <= LAG_MAX`: a slot always holds the 14 bits that decide its home.
//!
//! So a search reads on only while the bit says so, a removal leaves no gap behind which a slot could be missed, and a
//! segment of another size or depth is made from the slots alone, without reading keys. Each such rebuild is one pass
//! over at most 448 slots (about 1 us).

use std::ops::RangeInclusive;

use super::below;
use super::line::{self, FRAGMENT_BITS, Line, SLOTS, Slot};
use super::slab::{BLOCK_LINES, Block, Slab};
use crate::location::Location;
use crate::pool::{OutOfMemory, Pool};

/// Blocks of a segment at most. 14 handles and the rest of the header make one cache line.
pub(super) const BLOCKS_MAX: usize = 14;
/// Slots of the largest segment.
pub(super) const SLOTS_MAX: usize = BLOCKS_MAX * BLOCK_SLOTS;
/// Slots that a block is made to hold: 7/8 of what it could, so that few lines overflow.
pub(super) const BLOCK_ROOM: usize = BLOCK_SLOTS * 7 / 8;
/// The longest prefix: its position ends with the hash's last bit.
pub(super) const DEPTH_MAX: u8 = (64 - POSITION_BITS) as u8;

const BLOCK_SLOTS: usize = BLOCK_LINES * SLOTS;
const LINES_MAX: usize = BLOCKS_MAX * BLOCK_LINES;
const _: () = assert!(LINES_MAX <= 64, "a u64 has a bit for each line");
/// Bits of the hash, after the prefix, that decide a slot's home.
pub(super) const POSITION_BITS: u32 = 14;
/// How far the window may lag behind the prefix.
const LAG_MAX: u8 = (FRAGMENT_BITS - POSITION_BITS) as u8;
const WINDOW_MAX: u8 = (64 - FRAGMENT_BITS) as u8;
/// A segment gives a block back when the rest could hold this many slots more than there are: a quarter of a block, so
/// that growing and shrinking do not take turns.
const SHRINK_SLACK: usize = BLOCK_ROOM / 4;
const _: () = assert!(DEPTH_MAX == WINDOW_MAX + LAG_MAX);
const _: () = assert!(size_of::<Segment>() == 64);

/// The header of a segment. Its lines are the slab's.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub(super) struct Segment {
    blocks: [Block; BLOCKS_MAX],
    block_count: u8,
    depth: u8,
    window: u8,
    live: u16,
}

impl Segment {
    /// A segment that owns no block yet.
    pub(super) fn new(depth: u8, window: u8) -> Segment {
        debug_assert!(window <= depth && depth - window <= LAG_MAX && window <= WINDOW_MAX);
        Segment { depth, window, ..Segment::default() }
    }

    #[inline]
    pub(super) fn depth(&self) -> u8 {
        self.depth
    }

    /// Where in the hash the fragments start.
    #[cfg(test)]
    pub(super) fn window(&self) -> u8 {
        self.window
    }

    /// Slots in use.
    #[inline]
    pub(super) fn live(&self) -> usize {
        usize::from(self.live)
    }

    #[inline]
    pub(super) fn block_count(&self) -> usize {
        usize::from(self.block_count)
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks[..self.block_count()]
    }

    pub(super) fn blocks_mut(&mut self) -> &mut [Block] {
        let count = self.block_count();
        &mut self.blocks[..count]
    }

    /// True when one more slot fits without growing.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.live() < self.block_count() * BLOCK_ROOM
    }

    /// True when a block could be spared.
    #[inline]
    pub(super) fn is_loose(&self) -> bool {
        self.live() + BLOCK_ROOM + SHRINK_SLACK <= self.block_count() * BLOCK_ROOM
    }

    #[inline]
    pub(super) fn find(&self, slab: &Slab, hash: u64, mut is_key: impl FnMut(Location) -> bool) -> Option<Location> {
        let aligned = hash << self.window;
        let home = self.home_of_hash(hash);
        let mut at = home;
        loop {
            let line = self.line(slab, at);
            for lane in line::with_fragment(line, aligned) {
                if let Some(location) = Slot::of(line, lane).location()
                    && is_key(location)
                {
                    return Some(location);
                }
            }
            at = self.after(at);
            if !line::overflows(line) || at == home {
                return None;
            }
        }
    }

    /// Has the home line of a hash brought to the cache.
    #[inline]
    pub(super) fn prefetch(&self, slab: &Slab, hash: u64) {
        let home = self.home_of_hash(hash);
        slab.prefetch(self.blocks[home / BLOCK_LINES], home % BLOCK_LINES);
    }

    /// Adds a slot. The segment must have an empty one.
    #[inline]
    pub(super) fn insert(&mut self, slab: &mut Slab, hash: u64, location: Location) {
        debug_assert!(self.live() < self.block_count() * BLOCK_SLOTS);
        let mut at = self.home_of_hash(hash);
        loop {
            let line = self.line_mut(slab, at);
            if let Some(lane) = line::empty(line).first() {
                line::set(line, lane, Slot::new(hash, self.window, location));
                self.live += 1;
                return;
            }
            line::set_overflows(line, true);
            at = self.after(at);
        }
    }

    /// Overwrites the location in the slot of `from`. False when there is no such slot.
    #[inline]
    pub(super) fn relocate(&self, slab: &mut Slab, hash: u64, from: Location, to: Location) -> bool {
        let Some((at, lane)) = self.position(slab, hash, from) else {
            return false;
        };
        line::set(self.line_mut(slab, at), lane, Slot::new(hash, self.window, to));
        true
    }

    /// Removes the slot of `location`. False when there is no such slot.
    #[inline]
    pub(super) fn remove(&mut self, slab: &mut Slab, hash: u64, location: Location) -> bool {
        let Some((at, lane)) = self.position(slab, hash, location) else {
            return false;
        };
        let line = self.line_mut(slab, at);
        line::set(line, lane, Slot::EMPTY);
        let overflows = line::overflows(line);
        self.live -= 1;
        let home = self.home_of_hash(hash);
        if overflows || at != home {
            self.repair(slab, home, at, lane);
        }
        true
    }

    /// Calls `visit` with the location of each slot that is at home in line `home` and whose hash, as far as the slot
    /// knows it, lies in `hashes`. That is: every slot whose hash lies in there, and perhaps a neighbour.
    pub(super) fn visit_home(
        &self,
        slab: &Slab,
        home: usize,
        hashes: &RangeInclusive<u64>,
        mut visit: impl FnMut(Location),
    ) {
        let known = self.known();
        let (first, last) = self.aligned_part(hashes);
        let mut at = home;
        loop {
            let line = self.line(slab, at);
            for lane in line::live(line) {
                let slot = Slot::of(line, lane);
                let aligned = self.aligned(slot) & known;
                if (first & known <= aligned && aligned <= last)
                    && self.home_of_slot(slot) == home
                    && let Some(location) = slot.location()
                {
                    visit(location);
                }
            }
            at = self.after(at);
            if !line::overflows(line) || at == home {
                return;
            }
        }
    }

    /// Like [`Segment::visit_home`], for all homes that the hashes have in this segment: each line is read once, however many
    /// slots stand away from their homes. The first of them is of this segment, the last need not be.
    pub(super) fn visit_hashes(&self, slab: &Slab, hashes: &RangeInclusive<u64>, mut visit: impl FnMut(Location)) {
        let known = self.known();
        let (first, last) = self.aligned_part(hashes);
        let first_home = self.home_of_position(position_of(first));
        let last_home = self.home_of_position(position_of(last));
        let mut at = first_home;
        let mut is_past = false;
        loop {
            let line = self.line(slab, at);
            for lane in line::live(line) {
                let slot = Slot::of(line, lane);
                let aligned = self.aligned(slot) & known;
                if (first & known <= aligned && aligned <= last)
                    && let Some(location) = slot.location()
                {
                    visit(location);
                }
            }
            is_past |= at == last_home;
            at = self.after(at);
            if is_past && !line::overflows(line) || at == first_home {
                return;
            }
        }
    }

    /// The bits of a hash, without the prefix, that the slots know: hashes of a segment differ in those.
    fn known(&self) -> u64 {
        !(u64::MAX >> (FRAGMENT_BITS - u32::from(self.depth - self.window)))
    }

    /// What `hashes` covers of this segment, with the prefix shifted out. The first hash is of this segment.
    fn aligned_part(&self, hashes: &RangeInclusive<u64>) -> (u64, u64) {
        let (first, last) = (*hashes.start(), *hashes.end());
        let is_within = self.depth == 0 || (first ^ last) >> (64 - self.depth) == 0;
        (first << self.depth, if is_within { last << self.depth | !(u64::MAX << self.depth) } else { u64::MAX })
    }

    /// A slot in use, each with the same chance: that at a place by chance, unless few places are in use. There is one.
    pub(super) fn random(&self, slab: &Slab, mut random: impl FnMut() -> u64) -> Option<Location> {
        /// Counting through the lines instead takes as long.
        const TRIES: usize = 16;
        for _ in 0..TRIES {
            let place = below(random(), self.lines() * SLOTS);
            let location = Slot::of(self.line(slab, place / SLOTS), place % SLOTS).location();
            if location.is_some() {
                return location;
            }
        }
        self.nth(slab, below(random(), self.live()))
    }

    /// The location in the `nth` slot in use, in no particular order; `nth` is less than [`Segment::live`].
    fn nth(&self, slab: &Slab, mut nth: usize) -> Option<Location> {
        for &block in self.blocks() {
            for line in slab.lines(block) {
                let mut live = line::live(line);
                if nth < live.count() {
                    return live.nth(nth).and_then(|lane| Slot::of(line, lane).location());
                }
                nth -= live.count();
            }
        }
        None
    }

    /// The line that a position (14 bits) is at home in.
    #[inline]
    pub(super) fn home_of_position(&self, position: u64) -> usize {
        (position as usize * self.lines()) >> POSITION_BITS
    }

    /// The first position of a line; 2^14 for the line past the last.
    pub(super) fn first_position(&self, line: usize) -> u64 {
        ((line << POSITION_BITS).div_ceil(self.lines())) as u64
    }

    #[inline]
    pub(super) fn lines(&self) -> usize {
        self.block_count() * BLOCK_LINES
    }

    #[inline]
    fn home_of_hash(&self, hash: u64) -> usize {
        self.home_of_position(position_of(hash << self.depth))
    }

    #[inline]
    fn home_of_slot(&self, slot: Slot) -> usize {
        self.home_of_position(position_of(self.aligned(slot)))
    }

    /// The slot's bits of the hash, from the first after the prefix on.
    #[inline]
    fn aligned(&self, slot: Slot) -> u64 {
        slot.fragment_on_top() << (self.depth - self.window)
    }

    #[inline]
    fn line<'s>(&self, slab: &'s Slab, at: usize) -> &'s Line {
        slab.line(self.blocks[at / BLOCK_LINES], at % BLOCK_LINES)
    }

    #[inline]
    fn line_mut<'s>(&self, slab: &'s mut Slab, at: usize) -> &'s mut Line {
        slab.line_mut(self.blocks[at / BLOCK_LINES], at % BLOCK_LINES)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.lines() { 0 } else { at + 1 }
    }

    /// Lines from `from` on to `to`, around the end.
    #[inline]
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.lines() - from }
    }

    /// Line and lane of the slot of `location`.
    #[inline]
    fn position(&self, slab: &Slab, hash: u64, location: Location) -> Option<(usize, usize)> {
        let wanted = Slot::new(hash, self.window, location);
        let home = self.home_of_hash(hash);
        let mut at = home;
        loop {
            let line = self.line(slab, at);
            if let Some(lane) = line::equal(line, wanted).first() {
                return Some((at, lane));
            }
            at = self.after(at);
            if !line::overflows(line) || at == home {
                return None;
            }
        }
    }

    /// Restores invariants 1 and 2 after a slot at home in line `home` was taken out of line `at`: slots from further
    /// on move back into the hole until no slot wants it, then the lines in between learn what still passes them.
    fn repair(&self, slab: &mut Slab, home: usize, at: usize, lane: usize) {
        let (mut hole, mut hole_lane) = (at, lane);
        let mut passed = self.distance(home, at);
        while line::overflows(self.line(slab, hole)) {
            let (next, next_lane) = self.displaced_past(slab, hole);
            let moved = Slot::of(self.line(slab, next), next_lane);
            line::set(self.line_mut(slab, hole), hole_lane, moved);
            line::set(self.line_mut(slab, next), next_lane, Slot::EMPTY);
            passed += self.distance(hole, next);
            (hole, hole_lane) = (next, next_lane);
            if passed >= self.lines() {
                // Once around: only a segment of the greatest depth can be so full.
                let slots = self.gather(slab);
                self.place(slab, &slots);
                return;
            }
        }
        // Nothing passes the line of the last hole, so what passes a line from `home` on lives at or before it.
        let mut reach = 0;
        let mut line_at = hole;
        for _ in 0..passed {
            let line = self.line(slab, line_at);
            let displaced =
                line::live(line).map(|lane| self.distance(self.home_of_slot(Slot::of(line, lane)), line_at));
            reach = displaced.fold(reach, usize::max);
            line_at = if line_at == 0 { self.lines() - 1 } else { line_at - 1 };
            line::set_overflows(self.line_mut(slab, line_at), reach > 0);
            reach = reach.saturating_sub(1);
        }
    }

    /// The nearest slot past line `hole` that is at home in it or before it. The line's overflow bit says there is one.
    fn displaced_past(&self, slab: &Slab, hole: usize) -> (usize, usize) {
        let mut at = hole;
        for past in 1..self.lines() {
            at = self.after(at);
            let line = self.line(slab, at);
            let mut live = line::live(line);
            if let Some(lane) = live.find(|&lane| self.distance(self.home_of_slot(Slot::of(line, lane)), at) >= past) {
                return (at, lane);
            }
        }
        unreachable!("an overflow bit is set only while a slot lives past its line");
    }

    /// Copies all slots in use out. The lines are fetched together: a tenth off filling and emptying a map of a million keys.
    pub(super) fn gather(&self, slab: &Slab) -> Slots {
        let mut slots = Slots::new();
        for &block in self.blocks() {
            (0..BLOCK_LINES).for_each(|line| slab.prefetch(block, line));
        }
        for &block in self.blocks() {
            slab.lines(block).iter().for_each(|line| slots.push_line(line));
        }
        debug_assert_eq!(slots.len, self.live());
        slots
    }

    /// Makes these the segment's slots, whatever its blocks held before.
    pub(super) fn refill(&mut self, slab: &mut Slab, slots: &Slots) {
        self.live = slots.len as u16;
        self.place(slab, slots);
    }

    fn place(&self, slab: &mut Slab, slots: &Slots) {
        assert!(slots.len <= self.block_count() * BLOCK_SLOTS, "the slots fit");
        let mut image = [[0; SLOTS]; LINES_MAX];
        let mut filled = [0u8; LINES_MAX];
        // One bit a line, set when a slot passes it.
        let mut passed = 0u64;
        for &slot in slots.as_slice() {
            let mut at = self.home_of_slot(slot);
            while usize::from(filled[at]) == SLOTS {
                passed |= 1 << at;
                at = self.after(at);
            }
            image[at][usize::from(filled[at])] = slot.raw();
            filled[at] += 1;
        }
        for (at, line) in image.iter_mut().enumerate() {
            line::set_overflows(line, passed >> at & 1 == 1);
        }
        for (&block, lines) in self.blocks().iter().zip(image.chunks_exact(BLOCK_LINES)) {
            slab.write(block, lines);
        }
    }

    /// One block more, and the slots spread over it. On error nothing changed.
    pub(super) fn grow(&mut self, slab: &mut Slab, pool: &mut Pool) -> Result<(), OutOfMemory> {
        let slots = self.gather(slab);
        self.add_block(slab, pool)?;
        self.place(slab, &slots);
        Ok(())
    }

    /// One block less.
    pub(super) fn shrink(&mut self, slab: &mut Slab, pool: &mut Pool) {
        let slots = self.gather(slab);
        self.give_block(slab, pool);
        self.place(slab, &slots);
    }

    /// Parts the segment by the next bit of the hash: `self` keeps the slots without the bit, the returned segment has
    /// those with it. `hash_of` is asked for all keys at once when the slots have run out of bits, and otherwise never: see
    /// [`Index::reserve`](super::Index::reserve).
    /// On error nothing changed.
    pub(super) fn split(
        &mut self,
        slab: &mut Slab,
        pool: &mut Pool,
        mut hash_of: impl FnMut(Location, Option<Location>) -> u64,
    ) -> Result<Segment, OutOfMemory> {
        assert!(self.depth < DEPTH_MAX, "there is a next bit");
        let (mut low, mut high) = (Slots::new(), Slots::new());
        for &slot in self.gather(slab).as_slice() {
            if self.aligned(slot) >> 63 == 0 { low.push(slot) } else { high.push(slot) }
        }
        let depth = self.depth + 1;
        let window = if depth - self.window > LAG_MAX { depth.min(WINDOW_MAX) } else { self.window };
        let mut sibling = Segment::new(depth, window);
        for _ in BLOCKS_MAX..blocks_for(low.len) + blocks_for(high.len) {
            if let Err(error) = sibling.add_block(slab, pool) {
                sibling.give_blocks(slab, pool, BLOCKS_MAX);
                return Err(error);
            }
        }
        if window != self.window {
            low.refresh(window, &mut hash_of);
            high.refresh(window, &mut hash_of);
        }
        self.depth = depth;
        self.window = window;
        self.share_blocks(slab, pool, &mut sibling, blocks_for(low.len), blocks_for(high.len));
        self.refill(slab, &low);
        sibling.refill(slab, &high);
        Ok(sibling)
    }

    /// Takes over the slots of the sibling, whose prefix differs in the last bit only. `prefix` is any hash of this
    /// segment. Takes no block from the slab and reads no key.
    pub(super) fn merge(&mut self, slab: &mut Slab, pool: &mut Pool, mut sibling: Segment, prefix: u64) {
        assert!(self.depth > 0 && self.depth == sibling.depth, "they are siblings");
        let depth = self.depth - 1;
        let window = self.window.min(sibling.window).min(depth);
        let mut slots = Slots::new();
        let sibling_prefix = prefix ^ (1 << (63 - depth));
        for (segment, prefix) in [(&*self, prefix), (&sibling, sibling_prefix)] {
            for &slot in segment.gather(slab).as_slice() {
                slots.push(slot.with_window(prefix, segment.window, window));
            }
        }
        self.depth = depth;
        self.window = window;
        self.share_blocks(slab, pool, &mut sibling, blocks_for(slots.len), 0);
        self.refill(slab, &slots);
    }

    /// Parts the blocks of both into `own` and `others`; what is left over goes back.
    fn share_blocks(&mut self, slab: &mut Slab, pool: &mut Pool, other: &mut Segment, own: usize, others: usize) {
        assert!(own + others <= self.block_count() + other.block_count(), "the blocks suffice");
        while self.block_count() < own && other.block_count() > others {
            self.push_block(other.pop_block());
        }
        while self.block_count() > own && other.block_count() < others {
            other.push_block(self.pop_block());
        }
        while self.block_count() > own {
            self.give_block(slab, pool);
        }
        while other.block_count() > others {
            other.give_block(slab, pool);
        }
    }

    /// A first block, empty. On error nothing changed.
    pub(super) fn open(&mut self, slab: &mut Slab, pool: &mut Pool) -> Result<(), OutOfMemory> {
        self.add_block(slab, pool)?;
        self.refill(slab, &Slots::new());
        Ok(())
    }

    /// Gives back `count` blocks, or as many as there are, with all that is on them. Returns how many.
    pub(super) fn give_blocks(&mut self, slab: &mut Slab, pool: &mut Pool, count: usize) -> usize {
        let given = count.min(self.block_count());
        (0..given).for_each(|_| self.give_block(slab, pool));
        given
    }

    fn add_block(&mut self, slab: &mut Slab, pool: &mut Pool) -> Result<(), OutOfMemory> {
        let block = slab.take(pool)?;
        self.push_block(block);
        Ok(())
    }

    fn give_block(&mut self, slab: &mut Slab, pool: &mut Pool) {
        let block = self.pop_block();
        slab.give(pool, block);
    }

    fn push_block(&mut self, block: Block) {
        self.blocks[self.block_count()] = block;
        self.block_count += 1;
    }

    fn pop_block(&mut self) -> Block {
        self.block_count -= 1;
        self.blocks[self.block_count()]
    }

    /// Panics when the header and the lines disagree, an invariant does not hold, or a slot is not of this prefix.
    pub(super) fn audit(&self, slab: &Slab, prefix: u64) {
        assert!(self.window <= self.depth && self.depth - self.window <= LAG_MAX && self.window <= WINDOW_MAX);
        assert!((1..=BLOCKS_MAX).contains(&self.block_count()));
        assert!(self.live() <= self.block_count() * BLOCK_SLOTS);
        let lines: Vec<Line> = self.blocks().iter().flat_map(|&block| slab.lines(block)).copied().collect();
        let mut live = 0;
        let mut passed = vec![false; lines.len()];
        for (at, line) in lines.iter().enumerate() {
            for lane in line::live(line) {
                live += 1;
                let known = Slot::of(line, lane).with_window(prefix, self.window, self.window);
                assert_eq!(known, Slot::of(line, lane), "a slot is a fragment and a location");
                let strangers =
                    (known.fragment_on_top() ^ (prefix << self.window)) & !(u64::MAX >> (self.depth - self.window));
                assert_eq!(strangers, 0, "a slot of line {at} belongs to another segment");
                let mut between = self.home_of_slot(Slot::of(line, lane));
                while between != at {
                    passed[between] = true;
                    between = self.after(between);
                }
            }
        }
        assert_eq!(live, self.live(), "the header's count is the lines'");
        for (at, line) in lines.iter().enumerate() {
            assert_eq!(line::overflows(line), passed[at], "the overflow bit of line {at} (invariant 2)");
            assert!(!passed[at] || line::empty(line).count() == 0, "line {at} is passed, so it is full (invariant 1)");
        }
    }
}

/// Blocks that a segment with this many slots is given.
pub(super) fn blocks_for(live: usize) -> usize {
    live.div_ceil(BLOCK_ROOM).clamp(1, BLOCKS_MAX)
}

/// The position of a hash whose prefix has been shifted out.
#[inline]
fn position_of(aligned: u64) -> u64 {
    aligned >> (64 - POSITION_BITS)
}

/// Slots on their way from one layout to another; lives on the stack.
pub(super) struct Slots {
    /// One more than can be in use: [`Slots::push_line`] writes before it knows.
    slots: [Slot; SLOTS_MAX + 1],
    len: usize,
}

impl Slots {
    fn new() -> Slots {
        Slots { slots: [Slot::EMPTY; SLOTS_MAX + 1], len: 0 }
    }

    #[inline]
    fn push(&mut self, slot: Slot) {
        self.slots[self.len] = slot;
        self.len += 1;
    }

    /// Adds the slots in use of a line. Without a branch: whether a slot is in use cannot be predicted.
    #[inline]
    fn push_line(&mut self, line: &Line) {
        for lane in 0..SLOTS {
            let slot = Slot::of(line, lane);
            self.slots[self.len] = slot;
            self.len += usize::from(slot.location().is_some());
        }
    }

    fn as_slice(&self) -> &[Slot] {
        &self.slots[..self.len]
    }

    /// Gives each slot the fragment at `window`, from its key's hash. All hashes are asked for one right after the
    /// other, so that the reads of the keys overlap.
    fn refresh(&mut self, window: u8, hash_of: &mut impl FnMut(Location, Option<Location>) -> u64) {
        /// Keys ahead that are fetched.
        const AHEAD: usize = 8;
        for at in 0..self.len {
            let location = self.slots[at].location().expect("a gathered slot is in use");
            let later = self.slots[..self.len].get(at + AHEAD).and_then(|slot| slot.location());
            self.slots[at] = Slot::new(hash_of(location, later), window, location);
        }
    }
}
