//! A timing wheel that costs 4 bytes for each key with a time to live.
//!
//! It stores no keys, only the top 32 bits of their hashes. When a bucket is due, its records come out one by one
//! ([`Wheel::next_due`]) and the owner looks up the entries whose hashes begin with that prefix: what has expired is removed,
//! what expires later is armed again at its real time, what is gone is forgotten. So nothing is ever deleted from the wheel, a
//! key whose expiry moves to later needs no new record, and the cascade from level to level is that same look-up.
//!
//! ```text
//! level  a slot lasts   64 slots reach     drained
//!   0    16 ms          1 s                when it is over
//!   1    512 ms         32 s               256 ms before it begins
//!   2    16 s           17 min             8 s before
//!   3    8.7 min        9.3 h              4 min before
//!   ...  x 32           x 32               half a slot before
//!   8    557 years      35,000 years       (what lies beyond waits in the last slot, and again)
//! ```
//!
//! A slot of a level lasts 32 of the level below, which reaches 64 of its own: so it can be drained before it begins, a bounded
//! step at a time, and its records still find room below.
//!
//! Invariants:
//! 1. For each entry with an expiry there is a record that comes out no later than 16 ms after the expiry is due (or later
//!    by as much as the owner is late with draining).
//! 2. A record in slot `s` of a level has `next <= s < next + 64`, so a slot's number modulo 64 is unambiguous.
//! 3. A bucket holds a prefix at most a few times: a group of it is deduplicated before it may grow or split, so keys that are
//!    given an expiry again and again cannot flood it.
//!
//! The wheel reads no clock: every call is given the time. A clock that is set back does not delay anything: the records then
//! all come out once and are armed anew.

/// A point in time: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub i64);

impl Millis {
    /// Whether what expires at this time has expired at `now`: only after that millisecond, as in Redis.
    #[inline]
    pub fn is_past(self, now: Millis) -> bool {
        now > self
    }
}

/// log2 of a level-0 slot in milliseconds.
const TICK_BITS: u32 = 4;
/// log2 of how many slots of the level below a slot lasts.
const RATIO_BITS: u32 = 5;
const SLOTS: u64 = 64;
const LEVELS: usize = 9;
/// Records of a group: sorted in some 10 us.
const GROUP_MAX: usize = 1_024;
/// A clock that goes back further than this is a clock that was set.
const SETBACK_MS: i64 = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Wheel {
    /// Nothing is allocated before the first key with a time to live.
    levels: Option<Box<[Level; LEVELS]>>,
    /// Buckets of a time before the clock was set back, to be armed anew.
    backlog: Vec<Bucket>,
    /// What `clear` left, to be freed a little at a time.
    discarded: Vec<Bucket>,
    /// The last time seen.
    now: Millis,
    records: u64,
}

#[derive(Debug)]
struct Level {
    /// The first slot that is not drained yet, counted from the epoch.
    next: u64,
    /// Bit `s % 64`: slot `s` has records.
    occupied: u64,
    slots: [Bucket; SLOTS as usize],
    /// The slot before `next`, as far as it is not drained yet.
    draining: Bucket,
}

impl Wheel {
    /// How many records it holds; at least one for each distinct prefix of keys with an expiry.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Promises that `prefix` comes out of [`next_due`](Wheel::next_due) once `at` is past. O(log n) in the records of its
    /// bucket, and now and then a sort of a thousand.
    pub(crate) fn arm(&mut self, prefix: u32, at: Millis, now: Millis) {
        self.observe(now);
        let levels = self.levels.get_or_insert_with(|| new_levels(now));
        if self.records == 0 {
            for (level, wheel) in levels.iter_mut().enumerate() {
                wheel.next = wheel.next.max(frontier(level, now));
            }
        }
        let (level, slot) = place(levels, at);
        let wheel = &mut levels[level];
        debug_assert!(wheel.next <= slot && slot < wheel.next + SLOTS);
        wheel.occupied |= 1 << (slot % SLOTS);
        let dropped = wheel.slots[(slot % SLOTS) as usize].insert(prefix);
        self.records = self.records + 1 - dropped;
    }

    /// The next record whose time has come, or nearly so. The nearest time goes first: a bucket that is cascaded early
    /// waits for what is due.
    pub(crate) fn next_due(&mut self, now: Millis) -> Option<u32> {
        if self.records == 0 {
            return None;
        }
        self.observe(now);
        let prefix = self.pop_due(now)?;
        self.records -= 1;
        Some(prefix)
    }

    fn pop_due(&mut self, now: Millis) -> Option<u32> {
        for (index, level) in self.levels.as_mut()?.iter_mut().enumerate() {
            loop {
                if let Some(prefix) = level.draining.pop() {
                    return Some(prefix);
                }
                if !level.begin_draining(frontier(index, now)) {
                    break;
                }
            }
        }
        while let Some(bucket) = self.backlog.last_mut() {
            match bucket.pop() {
                Some(prefix) => return Some(prefix),
                None => drop(self.backlog.pop()),
            }
        }
        None
    }

    /// Takes a record of the nearest time out before its time has come, and tells a time before which what it stands for was
    /// to expire: what expires later has moved. The owner removes what is found or arms it again. O(levels).
    pub(crate) fn take_earliest(&mut self, now: Millis) -> Option<(u32, Millis)> {
        if let Some(prefix) = self.next_due(now) {
            // What is handed out early is drained half a slot ahead: of the highest levels that is long.
            let levels = self.levels.as_ref()?.iter().enumerate().rev();
            let drained = levels.filter(|(_, level)| !level.draining.groups.is_empty());
            let end = drained.map(|(index, level)| end_of(index, level.next - 1)).max();
            return Some((prefix, end.unwrap_or(now)));
        }
        if self.records == 0 {
            return None;
        }
        let levels = self.levels.as_mut()?;
        let earliest = levels.iter().enumerate().filter(|(_, level)| level.occupied != 0).map(|(index, level)| {
            let slot = level.first_occupied();
            // By their ends: a slot of a level that begins as early as one below it reaches far beyond that.
            (end_of(index, slot), index, slot)
        });
        let (_, index, slot) = earliest.min()?;
        let level = &mut levels[index];
        let bucket = &mut level.slots[(slot % SLOTS) as usize];
        let prefix = bucket.pop();
        if bucket.records == 0 {
            *bucket = Bucket::default();
            level.occupied &= !(1 << (slot % SLOTS));
        }
        self.records -= u64::from(prefix.is_some());
        Some((prefix?, end_of(index, slot)))
    }

    /// A record by chance, each with the same. It stays if it `leads` to something, and is forgotten otherwise: then `None`. Also
    /// `None` while there is none. O(slots).
    pub(crate) fn random(&mut self, mut random: impl FnMut() -> u64, leads: impl FnOnce(u32) -> bool) -> Option<u32> {
        if self.records == 0 {
            return None;
        }
        let mut left = ((u128::from(random()) * u128::from(self.records)) >> 64) as u64;
        let levels = self.levels.iter_mut().flat_map(|levels| levels.iter_mut());
        let buckets = levels.flat_map(|level| level.slots.iter_mut().chain([&mut level.draining]));
        for bucket in buckets.chain(&mut self.backlog) {
            if left < bucket.records {
                let (group, at) = bucket.pick(&mut random)?;
                let prefix = bucket.groups[group].records[at];
                if leads(prefix) {
                    return Some(prefix);
                }
                bucket.groups[group].records.swap_remove(at);
                bucket.records -= 1;
                self.records -= 1;
                return None;
            }
            left -= bucket.records;
        }
        None
    }

    /// Forgets the record of what is gone, if it stands where it would be put for its expiry: otherwise it leads to nothing in its
    /// time. O(levels), and a search in a thousand records.
    pub(crate) fn disarm(&mut self, prefix: u32, at: Millis) {
        let Some(levels) = self.levels.as_mut() else { return };
        let at = at.0.max(0) as u64;
        for (index, level) in levels.iter_mut().enumerate() {
            let slot = at >> shift(index);
            let is_ahead = (level.next..level.next + SLOTS).contains(&slot);
            if is_ahead && level.occupied & 1 << (slot % SLOTS) != 0 {
                let bucket = &mut level.slots[(slot % SLOTS) as usize];
                if bucket.remove(prefix) {
                    self.records -= 1;
                    if bucket.records == 0 {
                        *bucket = Bucket::default();
                        level.occupied &= !(1 << (slot % SLOTS));
                    }
                    return;
                }
            }
        }
    }

    /// Forgets all records in O(1); their memory is freed by [`free_some`](Wheel::free_some).
    pub(crate) fn clear(&mut self) {
        self.take_buckets(|wheel| &mut wheel.discarded);
        self.discarded.append(&mut self.backlog);
        self.records = 0;
    }

    /// Frees the memory of at most `groups` groups of 4 KiB that [`clear`](Wheel::clear) left; whether there is more.
    pub(crate) fn free_some(&mut self, groups: u32) -> bool {
        for _ in 0..groups {
            let Some(bucket) = self.discarded.last_mut() else {
                return false;
            };
            if bucket.groups.pop().is_none() {
                self.discarded.pop();
            }
        }
        !self.discarded.is_empty()
    }

    /// When [`next_due`](Wheel::next_due) may have something to hand out, at the earliest; `None` while there is no record.
    /// At a time before it there is nothing to be done. O(1).
    pub(crate) fn next_look(&self, now: Millis) -> Option<Millis> {
        if self.records == 0 {
            return None;
        }
        let levels = self.levels.as_ref();
        let is_late = !self.backlog.is_empty()
            || levels.is_some_and(|levels| levels.iter().any(|level| !level.draining.groups.is_empty()));
        if is_late {
            return Some(now);
        }
        let slots = levels?.iter().enumerate().filter(|(_, level)| level.occupied != 0).map(|(index, level)| {
            let slot = level.first_occupied();
            // The inverse of `frontier`: the first moment at which it lies behind the slot.
            let at =
                if index == 0 { (slot + 1) << TICK_BITS } else { (slot << shift(index)) - (1 << (shift(index) - 1)) };
            Millis(i64::try_from(at).unwrap_or(i64::MAX).max(now.0))
        });
        slots.min()
    }

    /// Bytes of memory that it takes. O(slots).
    pub(crate) fn memory_bytes(&self) -> usize {
        let levels = self.levels.iter().flat_map(|levels| levels.iter());
        levels.flat_map(|level| level.slots.iter().chain([&level.draining])).map(Bucket::memory_bytes).sum()
    }

    fn observe(&mut self, now: Millis) {
        if now.0 < self.now.0.saturating_sub(SETBACK_MS) {
            self.take_buckets(|wheel| &mut wheel.backlog);
        }
        self.now = now;
    }

    /// Moves all buckets to one of the lists; the levels start anew.
    fn take_buckets(&mut self, list: impl FnOnce(&mut Wheel) -> &mut Vec<Bucket>) {
        if let Some(mut levels) = self.levels.take() {
            let list = list(self);
            for level in levels.iter_mut() {
                let buckets = level.slots.iter_mut().chain([&mut level.draining]);
                list.extend(buckets.filter(|bucket| !bucket.groups.is_empty()).map(std::mem::take));
            }
        }
    }
}

/// log2 of a slot of this level, in milliseconds.
const fn shift(level: usize) -> u32 {
    TICK_BITS + RATIO_BITS * level as u32
}

/// The end of a slot.
fn end_of(level: usize, slot: u64) -> Millis {
    Millis(i64::try_from((slot + 1) << shift(level)).unwrap_or(i64::MAX))
}

/// The first slot of a level that need not be drained yet: level 0 drains what is over, the others half a slot ahead.
fn frontier(level: usize, now: Millis) -> u64 {
    let now = now.0.max(0) as u64;
    if level == 0 {
        now >> shift(0)
    } else {
        let ahead = 1 << (shift(level) - 1);
        ((now + ahead) >> shift(level)) + 1
    }
}

/// The lowest level that reaches `at`, and the slot. Where it has passed the slot already (its owner is late with the
/// levels below), or no level reaches so far: the last slot below, which is early, and early is always right.
fn place(levels: &[Level; LEVELS], at: Millis) -> (usize, u64) {
    let at = at.0.max(0) as u64;
    for (index, level) in levels.iter().enumerate() {
        let slot = at >> shift(index);
        if slot < level.next + SLOTS {
            return match index {
                0 => (0, slot.max(level.next)),
                _ if slot >= level.next => (index, slot),
                _ => (index - 1, levels[index - 1].next + SLOTS - 1),
            };
        }
    }
    (LEVELS - 1, levels[LEVELS - 1].next + SLOTS - 1)
}

fn new_levels(now: Millis) -> Box<[Level; LEVELS]> {
    Box::new(std::array::from_fn(|level| Level {
        next: frontier(level, now),
        occupied: 0,
        slots: std::array::from_fn(|_| Bucket::default()),
        draining: Bucket::default(),
    }))
}

impl Level {
    /// The first slot that has records, if there is one.
    fn first_occupied(&self) -> u64 {
        let ahead = self.occupied.rotate_right((self.next % SLOTS) as u32);
        self.next + u64::from(ahead.trailing_zeros())
    }

    /// Takes the first slot before `frontier` that has records; whether there was one. O(1), however long ago that was.
    fn begin_draining(&mut self, frontier: u64) -> bool {
        if self.next >= frontier {
            return false;
        }
        let ahead = self.occupied.rotate_right((self.next % SLOTS) as u32);
        let slot = self.next + u64::from(ahead.trailing_zeros());
        if ahead == 0 || slot >= frontier {
            self.next = frontier;
            return false;
        }
        self.occupied &= !(1 << (slot % SLOTS));
        self.draining = std::mem::take(&mut self.slots[(slot % SLOTS) as usize]);
        self.next = slot + 1;
        true
    }
}

/// A multiset of prefixes in groups by range, each small enough to be sorted in microseconds.
#[derive(Debug, Default)]
struct Bucket {
    /// Ascending; the first one begins at 0.
    groups: Vec<Group>,
    /// Records of all groups.
    records: u64,
}

#[derive(Debug)]
struct Group {
    /// The least prefix that belongs here.
    first: u32,
    /// In no order.
    records: Vec<u32>,
}

impl Bucket {
    /// Adds a record; how many others were found to be duplicates and dropped.
    fn insert(&mut self, prefix: u32) -> u64 {
        if self.groups.is_empty() {
            self.groups.reserve_exact(1);
            self.groups.push(Group { first: 0, records: Vec::new() });
        }
        let mut index = self.groups.partition_point(|group| group.first <= prefix) - 1;
        let mut dropped = 0;
        if self.groups[index].records.len() == GROUP_MAX {
            dropped = self.groups[index].deduplicate();
            // Split only what would soon be full again.
            if self.groups[index].records.len() > GROUP_MAX / 2 {
                let upper = self.groups[index].split();
                let above = prefix >= upper.first;
                self.groups.insert(index + 1, upper);
                index += usize::from(above);
            }
        }
        self.groups[index].push(prefix);
        self.records = self.records + 1 - dropped;
        dropped
    }

    fn pop(&mut self) -> Option<u32> {
        while let Some(group) = self.groups.last_mut() {
            match group.records.pop() {
                Some(prefix) => {
                    self.records -= 1;
                    return Some(prefix);
                }
                None => drop(self.groups.pop()),
            }
        }
        None
    }

    /// Takes a record out; whether it was there.
    fn remove(&mut self, prefix: u32) -> bool {
        let Some(index) = self.groups.partition_point(|group| group.first <= prefix).checked_sub(1) else {
            return false;
        };
        let records = &mut self.groups[index].records;
        let Some(at) = records.iter().position(|&record| record == prefix) else { return false };
        records.swap_remove(at);
        self.records -= 1;
        true
    }

    /// The place of a record by chance, its group's and its own there: a group's by its share of the largest there may be, so that
    /// each has the same.
    fn pick(&self, mut random: impl FnMut() -> u64) -> Option<(usize, usize)> {
        /// Where groups are thin, the last of them gives one in any case.
        const TRIES_MAX: u32 = 64;
        let mut below = |end: usize| ((u128::from(random()) * end as u128) >> 64) as usize;
        let most = if self.groups.len() == 1 { self.groups[0].records.len() } else { GROUP_MAX };
        for _ in 0..TRIES_MAX {
            let (group, at) = (below(self.groups.len()), below(most));
            if at < self.groups[group].records.len() {
                return Some((group, at));
            }
        }
        let group = self.groups.iter().position(|group| !group.records.is_empty())?;
        Some((group, self.groups[group].records.len() - 1))
    }

    fn memory_bytes(&self) -> usize {
        let records = |group: &Group| group.records.capacity() * size_of::<u32>();
        self.groups.capacity() * size_of::<Group>() + self.groups.iter().map(records).sum::<usize>()
    }
}

impl Group {
    /// Grows by an eighth, not by doubling: the slack counts against 4 bytes a key.
    fn push(&mut self, prefix: u32) {
        const GROW_MIN: usize = 8;
        if self.records.len() == self.records.capacity() {
            self.records.reserve_exact(GROW_MIN.max(self.records.len() / 8));
        }
        self.records.push(prefix);
    }

    /// Sorts, and drops what is there twice; how many that were.
    fn deduplicate(&mut self) -> u64 {
        let before = self.records.len();
        self.records.sort_unstable();
        self.records.dedup();
        (before - self.records.len()) as u64
    }

    /// Splits off the upper half of sorted distinct records.
    fn split(&mut self) -> Group {
        let upper = self.records.split_off(self.records.len() / 2);
        self.records.shrink_to(self.records.len() + self.records.len() / 8);
        Group { first: upper[0], records: upper }
    }
}

#[cfg(test)]
#[path = "wheel/tests.rs"]
mod tests;
