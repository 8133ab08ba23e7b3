//! What is known of how keys are used: when each was used last, or how often.
//!
//! Nothing of it stands with the keys. Here is a table of cells of four bytes, two or three for each key. Cells stand by the
//! key's hash, so who looks for a key that is used little reads a line of cells and asks the index for the keys of the lowest: two
//! or three cache misses for some seven keys.
//!
//! ```text
//!   hash   10 | 0110 | 1011 0100 1110 0101 | ...
//!          page  line   tag                      line: 16 cells, in no order     cell: what is measured | tag
//!
//!   page   number: the first bits of its hashes, reversed. So another page is put behind the others and takes half of the
//!          hashes of one of them: the table grows and shrinks by a page of 1 KiB in a step, at any size.
//! ```
//!
//! A page is split by going through its keys, some hundred and twenty, as cells do not know their hashes. A table that is made for very
//! many keys, or was overtaken by them, first grows to their number, and then the pages are filled in turn.
//!
//! * Two keys share a cell if 16 bits more than their line agree: one in ten thousand. They pass for the one used last.
//! * Where a line is full, its lowest cell goes, and its key is told to whoever evicts, for nothing would be known of it any more.
//!
//! | | a cell holds |
//! |---|---|
//! | [`Measure::Recency`] | a time in eighths of a second for about an hour, in steps of 4 minutes for 37 days |
//! | [`Measure::Frequency`] | a logarithmic counter and the time of its last change; it falls with time, as Redis's does |
//!
//! A time is kept modulo its range. [`Access::step`] comes to every cell in 20 minutes and writes anew what would be taken for
//! younger than it is some time later.

use chunkbuf::{Chunk, MapId, Store};

use crate::types::Millis;

/// What a table measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// When a key was used last.
    Recency,
    /// How often it is used.
    Frequency {
        /// How much more seldom each further use counts.
        log_factor: u32,
        /// Minutes after which a counter falls by one; 0: never.
        decay_minutes: u32,
    },
}

/// A range of hashes, and how much its keys are worth evicting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The greater, the less it is used.
    pub score: u32,
    /// The first hash of the range.
    pub hash: u64,
    /// How many of its first bits all hashes of the range have.
    pub bits: u32,
}

/// There is nothing in the cell.
const EMPTY: u16 = 0;

/// Cells of a line: of the cache, too.
const LINE: usize = 16;
/// log2 of the lines of a page.
const LINES_BITS: u32 = 4;
const CELL_BYTES: usize = 4;
const PAGE_BYTES: usize = (CELL_BYTES * LINE) << LINES_BITS;
const TAG_BITS: u32 = 16;
/// The first 32 bits of a hash tell pages apart, but no more than these are needed.
const PAGES_MAX: usize = 1 << 24;
/// Keys for each page: the table grows above that. Seven a line, which are ten where a page is not split yet: one line in
/// twenty-five is full there.
const KEYS_PER_PAGE: u64 = 7 << LINES_BITS;
/// It shrinks below this.
const KEYS_PER_PAGE_MIN: u64 = 2 << LINES_BITS;
/// Keys for each page beyond which most have no cell.
const KEYS_PER_PAGE_LOST: u64 = KEYS_PER_PAGE * 4;
/// Lines that are looked at for one sample, at most.
const LINES_MAX: usize = 4;
/// Keys without a cell that are remembered.
const CROWDED_OUT: usize = 64;
/// Milliseconds in which [`Access::step`] comes to every cell.
const SWEEP_MS: i64 = 20 * 60 * 1000;

/// Times of last use: `1..=RECENT` are recent, the others old.
mod recency {
    /// log2 of the milliseconds of a recent time's unit.
    pub(super) const TICK: u32 = 7;
    /// How many recent times there are.
    pub(super) const RECENT: u64 = 49_152;
    /// log2 of the milliseconds of an old time's unit.
    pub(super) const AGE: u32 = 18;
    /// How many old times there are.
    pub(super) const OLD: u64 = 65_535 - RECENT;
    /// An old time further back than this, in its unit, is kept there: 37 days.
    pub(super) const OLD_MAX: u64 = OLD * 3 / 4;

    pub(super) fn recent(now: u64) -> u16 {
        (1 + (now >> TICK) % RECENT) as u16
    }

    fn old(then: u64) -> u16 {
        (1 + RECENT + (then >> AGE) % OLD) as u16
    }

    /// Milliseconds since the time that a cell holds.
    pub(super) fn age(cell: u16, now: u64) -> u64 {
        let cell = u64::from(cell) - 1;
        let (unit, count, then) = if cell < RECENT { (TICK, RECENT, cell) } else { (AGE, OLD, cell - RECENT) };
        let units = ((now >> unit) % count + count - then) % count;
        // Just under a whole round is a time to come: the clock was set back.
        if units > count - count / 10 { 0 } else { units << unit }
    }

    /// The cell written anew, if it is time for that.
    pub(super) fn renewed(cell: u16, now: u64) -> u16 {
        let age = age(cell, now);
        let is_recent = u64::from(cell) <= RECENT;
        if is_recent && age > (RECENT / 2) << TICK {
            old(now.saturating_sub(age))
        } else if !is_recent && age > OLD_MAX << AGE {
            old(now.saturating_sub(OLD_MAX << AGE))
        } else {
            cell
        }
    }
}

/// Counters: `counter << 8 | time`.
mod frequency {
    /// What a new key begins with.
    pub(super) const NEW: u8 = 5;

    /// How counters fall.
    #[derive(Clone, Copy, Debug, Default)]
    pub(super) struct Decay {
        /// The time in units.
        pub(super) now: u8,
        /// Minutes of a unit.
        pub(super) unit: u64,
        /// Minutes after which a counter falls by one; 0: never.
        pub(super) minutes: u64,
    }

    impl Decay {
        pub(super) fn new(minutes: u32, now_ms: u64) -> Decay {
            // A round of the time is 16 periods at least.
            let (minutes, unit) = (u64::from(minutes), (u64::from(minutes) / 16).max(1));
            Decay { now: (now_ms / 60_000 / unit) as u8, unit, minutes }
        }

        /// Units since the cell's last change.
        pub(super) fn age(self, cell: u16) -> u8 {
            let units = self.now.wrapping_sub(cell as u8);
            if units > 230 { 0 } else { units }
        }

        /// What the counter has fallen to.
        pub(super) fn counter(self, cell: u16) -> u8 {
            let periods = (u64::from(self.age(cell)) * self.unit).checked_div(self.minutes).unwrap_or(0);
            ((cell >> 8) as u8).saturating_sub(periods.min(255) as u8)
        }

        pub(super) fn cell(self, counter: u8) -> u16 {
            // That of a counter of 0 at time 0 would be empty.
            (u16::from(counter) << 8 | u16::from(self.now)).max(1)
        }

        /// The cell written anew, if it is time for that.
        pub(super) fn renewed(self, cell: u16) -> u16 {
            let counter = self.counter(cell);
            if counter != (cell >> 8) as u8 || counter == 0 || self.age(cell) > 128 { self.cell(counter) } else { cell }
        }
    }
}

/// See the module.
pub(super) struct Access {
    measure: Measure,
    pages: Pages,
    /// As many low bits of a page's number as can matter.
    page_mask: usize,
    /// The pages from this one on may have no cells for keys that are there.
    filled: usize,
    /// Keys that have lost their cells.
    crowded_out: Vec<Candidate>,
    /// The time in milliseconds.
    now: u64,
    /// What is written when a key is used now.
    recent: u16,
    decay: frequency::Decay,
    /// Uses do not count: the client wants it so.
    paused: bool,
    /// State of the generator that counters are raised by.
    random: u64,
    /// The next page that the sweep comes to, and when.
    sweep: usize,
    sweep_at: i64,
}

/// Where a hash belongs.
#[derive(Clone, Copy)]
struct Place {
    page: usize,
    /// The first byte of its line on the page.
    at: usize,
    tag: u16,
}

impl Access {
    /// What the counter of a new key begins with.
    pub(super) const NEW_FREQUENCY: u8 = frequency::NEW;

    /// A table of one page, on which nothing is known: keys that are there will pass for being used now, or as often as new ones.
    pub(super) fn new(store: &mut Store, measure: Measure, now: Millis, seed: u64) -> Access {
        let mut access = Access {
            measure,
            pages: Pages::default(),
            page_mask: 1,
            filled: 0,
            crowded_out: Vec::new(),
            now: 0,
            recent: 1,
            decay: frequency::Decay::default(),
            paused: false,
            random: seed | 1,
            sweep: 0,
            sweep_at: now.0 + SWEEP_MS,
        };
        access.set_now(now);
        // Without memory there is no page, and nothing is known of any key.
        access.pages.add(store);
        access
    }

    /// Gives its memory back to the store.
    pub(super) fn give_back(self, store: &mut Store) {
        self.pages.blocks.into_iter().for_each(|block| store.give_block(block));
    }

    /// What it measures.
    pub(super) fn measure(&self) -> Measure {
        self.measure
    }

    /// Changes how counters grow and fall, or does nothing where the other thing is measured.
    pub(super) fn adjust(&mut self, measure: Measure) {
        if std::mem::discriminant(&measure) == std::mem::discriminant(&self.measure) {
            self.measure = measure;
            self.set_now(Millis(self.now as i64));
        }
    }

    /// Tells the time.
    pub(super) fn set_now(&mut self, now: Millis) {
        self.now = now.0.max(0) as u64;
        match self.measure {
            Measure::Recency => self.recent = recency::recent(self.now),
            Measure::Frequency { decay_minutes, .. } => self.decay = frequency::Decay::new(decay_minutes, self.now),
        }
    }

    /// Whether uses count from now on.
    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// A key is used.
    #[inline]
    pub(super) fn touch(&mut self, hash: u64) {
        if !self.paused {
            self.touch_anyway(hash);
        }
    }

    /// A key is used, and that counts in any case.
    pub(super) fn touch_anyway(&mut self, hash: u64) {
        let Some(place) = self.place(hash) else { return };
        let Some(at) = self.find(place) else {
            let new = self.new_value();
            return self.insert(place, new);
        };
        let value = match self.measure {
            Measure::Recency => self.recent,
            Measure::Frequency { log_factor, .. } => {
                let (old, _) = self.cell(place.page, at);
                self.counted(old, log_factor)
            }
        };
        self.set_cell(place.page, at, value, place.tag);
    }

    /// What a counter is after another use.
    fn counted(&mut self, value: u16, log_factor: u32) -> u16 {
        let mut counter = self.decay.counter(value);
        let beyond = u64::from(counter.saturating_sub(frequency::NEW));
        if counter < u8::MAX && self.next_random().is_multiple_of(beyond * u64::from(log_factor) + 1) {
            counter += 1;
        }
        self.decay.cell(counter)
    }

    /// There is a new key.
    pub(super) fn born(&mut self, hash: u64) {
        let new = self.new_value();
        self.set(hash, new);
    }

    fn set(&mut self, hash: u64, value: u16) {
        let Some(place) = self.place(hash) else { return };
        match self.find(place) {
            Some(at) => self.set_cell(place.page, at, value, place.tag),
            None => self.insert(place, value),
        }
    }

    /// A key has got another name: what is known of it goes along.
    pub(super) fn moved(&mut self, from: u64, to: u64) {
        if let Some(value) = self.value(from) {
            self.set(to, value);
        }
    }

    /// Milliseconds since the key was used, if that is measured and known.
    pub(super) fn idle_ms(&self, hash: u64) -> Option<u64> {
        let value = self.value(hash)?;
        (self.measure == Measure::Recency).then(|| recency::age(value, self.now))
    }

    /// How often the key is used, as the counter tells it, if that is measured and known.
    pub(super) fn frequency(&self, hash: u64) -> Option<u8> {
        let value = self.value(hash)?;
        (self.measure != Measure::Recency).then(|| self.decay.counter(value))
    }

    /// How much the key of this hash is worth evicting; `None`: nothing is known of it.
    pub(super) fn score(&self, hash: u64) -> Option<u32> {
        Some(self.score_of(self.value(hash)?))
    }

    /// A key of which nothing is known any more, for want of a cell.
    pub(super) fn take_crowded_out(&mut self) -> Option<Candidate> {
        self.crowded_out.pop()
    }

    /// Tells of the keys of lines near a random hash, until it were `keys`, or some lines were empty.
    pub(super) fn sample(&self, hash: u64, keys: usize, mut tell: impl FnMut(Candidate)) {
        let Some(Place { page, at, .. }) = self.place(hash) else { return };
        let mut seen = 0;
        for line in 0..LINES_MAX {
            let first = (at + line * LINE * CELL_BYTES) % PAGE_BYTES;
            for at in (first..first + LINE * CELL_BYTES).step_by(CELL_BYTES) {
                let (value, _) = self.cell(page, at);
                if value != EMPTY {
                    seen += 1;
                    tell(self.candidate(page, at, self.score_of(value)));
                }
            }
            if seen >= keys {
                break;
            }
        }
    }

    /// The key of this hash is gone.
    pub(super) fn forget(&mut self, hash: u64) {
        if let Some(place) = self.place(hash)
            && let Some(at) = self.find(place)
        {
            self.set_cell(place.page, at, EMPTY, 0);
        }
    }

    /// Whether [`step`](Access::step) has something to do for so many keys.
    pub(super) fn in_debt(&self, keys: u64) -> bool {
        self.pages.len() > 0
            && (self.wants_more(keys)
                || self.filled < self.pages.len()
                || self.wants_less(keys)
                || self.now as i64 >= self.sweep_at)
    }

    /// Grows or shrinks by a page, fills one, or goes through one that the sweep has come to. `maps` have the keys.
    pub(super) fn step(&mut self, store: &mut Store, maps: &[MapId], keys: u64) {
        if self.pages.len() == 0 {
        } else if self.wants_more(keys) {
            self.grow(store, maps, keys);
        } else if self.filled < self.pages.len() {
            self.fill(store, maps, self.filled, self.depth(self.filled), &[]);
            self.filled += 1;
        } else if self.wants_less(keys) {
            self.shrink(store);
        } else if self.now as i64 >= self.sweep_at {
            self.sweep_page();
        }
    }

    fn wants_more(&self, keys: u64) -> bool {
        keys > self.pages.len() as u64 * KEYS_PER_PAGE && self.pages.len() < PAGES_MAX
    }

    fn wants_less(&self, keys: u64) -> bool {
        self.pages.len() > 1 && keys < self.pages.len() as u64 * KEYS_PER_PAGE_MIN
    }

    /// Adds a page, which takes half the keys of another one. Without memory nothing happens. A table that is much too small has lost
    /// most of what it knew, and its pages would take long to be split: they are filled once there are enough.
    fn grow(&mut self, store: &mut Store, maps: &[MapId], keys: u64) {
        if keys > self.pages.len() as u64 * KEYS_PER_PAGE_LOST {
            self.filled = 0;
        }
        let (number, parent) = (self.pages.len(), parent_of(self.pages.len()));
        let (known, depth) = (self.known(parent), self.depth(parent));
        if !self.pages.add(store) {
            return;
        }
        self.pages.get_mut(parent).fill(0);
        self.set_mask();
        if parent < self.filled {
            self.fill(store, maps, parent, depth, &known);
            self.filled += usize::from(self.filled == number);
        }
    }

    /// All that a page holds, with the hashes as far as they are known, in their order.
    fn known(&self, page: usize) -> Vec<(u64, u16)> {
        let cells = (0..PAGE_BYTES).step_by(CELL_BYTES).filter(|&at| self.cell(page, at).0 != EMPTY);
        let mut known: Vec<_> = cells.map(|at| (self.candidate(page, at, 0).hash, self.cell(page, at).0)).collect();
        known.sort_unstable();
        known
    }

    /// Gives a cell to each key that has none of those whose hashes begin as a page's do, with `depth` bits: with what is `known` of
    /// them, or as for a new one. O(those keys), some 0.2 us each.
    fn fill(&mut self, store: &Store, maps: &[MapId], page: usize, depth: u32, known: &[(u64, u16)]) {
        let mask = !(u64::MAX >> (depth + LINES_BITS + TAG_BITS));
        for &map in maps {
            store.scan_range(map, (page as u64).reverse_bits(), depth, |hash, _| {
                let place = self.place(hash).expect("there are pages");
                if self.find(place).is_none() {
                    let at = known.binary_search_by_key(&(hash & mask), |&(known, _)| known);
                    let value = at.map_or_else(|_| self.new_value(), |at| known[at].1);
                    self.insert(place, value);
                }
            });
        }
    }

    /// Gives the last page back: what it holds goes to the page that it was split from.
    fn shrink(&mut self, store: &mut Store) {
        let (last, parent) = (self.pages.len() - 1, parent_of(self.pages.len() - 1));
        let known = [self.known(last), self.known(parent)].concat();
        self.pages.get_mut(parent).fill(0);
        self.pages.remove_last(store);
        self.set_mask();
        self.filled = self.filled.min(self.pages.len());
        self.sweep %= self.pages.len();
        known.into_iter().for_each(|(hash, value)| self.set(hash, value));
    }

    fn set_mask(&mut self) {
        self.page_mask = (2 << self.pages.len().ilog2()) - 1;
    }

    fn sweep_page(&mut self) {
        for at in (0..PAGE_BYTES).step_by(CELL_BYTES) {
            let (value, tag) = self.cell(self.sweep, at);
            if value != EMPTY {
                let renewed = match self.measure {
                    Measure::Recency => recency::renewed(value, self.now),
                    Measure::Frequency { .. } => self.decay.renewed(value),
                };
                self.set_cell(self.sweep, at, renewed, tag);
            }
        }
        self.sweep = (self.sweep + 1) % self.pages.len();
        self.sweep_at = self.now as i64 + SWEEP_MS / self.pages.len() as i64;
    }

    #[inline]
    fn place(&self, hash: u64) -> Option<Place> {
        let mut page = ((hash >> 32) as u32).reverse_bits() as usize & self.page_mask;
        if page >= self.pages.len() {
            page &= self.page_mask >> 1;
            if page >= self.pages.len() {
                return None;
            }
        }
        let own = hash << self.depth(page);
        let line = (own >> (64 - LINES_BITS)) as usize;
        Some(Place { page, at: line * LINE * CELL_BYTES, tag: (own >> (64 - LINES_BITS - TAG_BITS)) as u16 })
    }

    /// How many first bits the hashes of a page have in common.
    #[inline]
    fn depth(&self, page: usize) -> u32 {
        // As many as the mask has, or one less if the page's other half is not split off.
        let level = self.page_mask.count_ones() - 1;
        let half = 1_usize << level;
        level + u32::from(page >= half || page + half < self.pages.len())
    }

    /// The byte of the cell that has the tag, if there is one.
    #[inline]
    fn find(&self, place: Place) -> Option<usize> {
        let line = &self.pages.get(place.page)[place.at..place.at + LINE * CELL_BYTES];
        let is_it = |cell: &[u8]| cell[2..] == place.tag.to_le_bytes() && cell[..2] != EMPTY.to_le_bytes();
        Some(place.at + CELL_BYTES * line.chunks_exact(CELL_BYTES).position(is_it)?)
    }

    /// Gives a key a cell of its line that is free, or the one that is worth least, whose key has none then.
    fn insert(&mut self, place: Place, value: u16) {
        let cells = (place.at..place.at + LINE * CELL_BYTES).step_by(CELL_BYTES);
        let worth = |&at: &usize| match self.cell(place.page, at).0 {
            EMPTY => u32::MAX,
            value => self.score_of(value),
        };
        let at = cells.max_by_key(worth).expect("a line has cells");
        if worth(&at) != u32::MAX && self.crowded_out.len() < CROWDED_OUT {
            let candidate = self.candidate(place.page, at, u32::MAX);
            self.crowded_out.push(candidate);
        }
        self.set_cell(place.page, at, value, place.tag);
    }

    /// The range of hashes that a cell stands for.
    fn candidate(&self, page: usize, at: usize, score: u32) -> Candidate {
        let depth = self.depth(page);
        let line = (at / (LINE * CELL_BYTES)) as u64;
        let (_, tag) = self.cell(page, at);
        let own = line << (64 - LINES_BITS) | u64::from(tag) << (64 - LINES_BITS - TAG_BITS);
        Candidate { score, hash: (page as u64).reverse_bits() | own >> depth, bits: depth + LINES_BITS + TAG_BITS }
    }

    /// What a cell holds, and its tag.
    #[inline]
    fn cell(&self, page: usize, at: usize) -> (u16, u16) {
        let bytes = &self.pages.get(page)[at..at + CELL_BYTES];
        (u16::from_le_bytes([bytes[0], bytes[1]]), u16::from_le_bytes([bytes[2], bytes[3]]))
    }

    #[inline]
    fn set_cell(&mut self, page: usize, at: usize, value: u16, tag: u16) {
        let cell = u32::from(tag) << 16 | u32::from(value);
        self.pages.get_mut(page)[at..at + CELL_BYTES].copy_from_slice(&cell.to_le_bytes());
    }

    fn value(&self, hash: u64) -> Option<u16> {
        let place = self.place(hash)?;
        Some(self.cell(place.page, self.find(place)?).0)
    }

    fn new_value(&self) -> u16 {
        match self.measure {
            Measure::Recency => self.recent,
            Measure::Frequency { .. } => self.decay.cell(frequency::NEW),
        }
    }

    #[inline]
    fn score_of(&self, value: u16) -> u32 {
        match self.measure {
            Measure::Recency => (recency::age(value, self.now) >> recency::TICK) as u32,
            Measure::Frequency { .. } => {
                let seldom = u8::MAX - self.decay.counter(value);
                u32::from(seldom) << 8 | u32::from(self.decay.age(value))
            }
        }
    }

    fn next_random(&mut self) -> u64 {
        // Xorshift: the lowest bits alone would do.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("measure", &self.measure)
            .field("pages", &self.pages.len())
            .finish_non_exhaustive()
    }
}

/// Pages on blocks of the store: of 8 KiB at first, and then of 64 KiB, as small blocks among others would keep memory from being
/// given back in larger pieces. Only the last page comes and goes.
#[derive(Default)]
struct Pages {
    blocks: Vec<Chunk>,
    count: usize,
}

impl Pages {
    /// Pages of a small block, as a shift; and of a large one. So many small blocks stand before the large ones.
    const SMALL: u32 = 3;
    const LARGE: u32 = 6;
    const SMALL_BLOCKS: usize = 8;

    fn len(&self) -> usize {
        self.count
    }

    /// The block of a page, and the first byte there.
    #[inline]
    fn place(page: usize) -> (usize, usize) {
        let in_small = Pages::SMALL_BLOCKS << Pages::SMALL;
        let (block, within) = match page.checked_sub(in_small) {
            None => (page >> Pages::SMALL, page & ((1 << Pages::SMALL) - 1)),
            Some(page) => (Pages::SMALL_BLOCKS + (page >> Pages::LARGE), page & ((1 << Pages::LARGE) - 1)),
        };
        (block, within * PAGE_BYTES)
    }

    /// Adds a page of empty cells; whether there was memory.
    fn add(&mut self, store: &mut Store) -> bool {
        let (block, _) = Pages::place(self.count);
        if block == self.blocks.len() {
            let pages = if block < Pages::SMALL_BLOCKS { 1 << Pages::SMALL } else { 1 << Pages::LARGE };
            let Ok(taken) = store.take_block(pages * PAGE_BYTES) else { return false };
            self.blocks.push(taken);
        }
        self.count += 1;
        self.get_mut(self.count - 1).fill(0);
        true
    }

    fn remove_last(&mut self, store: &mut Store) {
        self.count -= 1;
        let (block, within) = Pages::place(self.count);
        if within == 0 {
            store.give_block(self.blocks.remove(block));
        }
    }

    #[inline]
    fn get(&self, page: usize) -> &[u8] {
        let (block, at) = Pages::place(page);
        &self.blocks[block].bytes()[at..at + PAGE_BYTES]
    }

    #[inline]
    fn get_mut(&mut self, page: usize) -> &mut [u8] {
        let (block, at) = Pages::place(page);
        &mut self.blocks[block].bytes_mut()[at..at + PAGE_BYTES]
    }
}

/// The page that page `number` is split from.
fn parent_of(number: usize) -> usize {
    number - (1 << number.ilog2())
}

#[cfg(test)]
#[path = "access/tests.rs"]
mod tests;
