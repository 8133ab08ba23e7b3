//! How much memory is in use, and what is done when it is more than `maxmemory`.
//!
//! ```text
//!   in use = what the store holds + what clients take + what else is resident
//!            |                                           |
//!            | counted at every change                   | asked of the system a hundred times a second:
//!            v                                           v   resident - counted - ALLOWANCE
//!            entries, index, blobs, blocks               trees and tables on the heap, the allocator's own, code
//! ```
//!
//! Evicting a key frees nothing at once: its entry is dead, and compaction gives the memory back. So two figures are compared
//! with the limit:
//!
//! * **in use** is what is there. Over the limit nothing that needs memory is carried out.
//! * **settled** is what will be there when compaction begins again: live entries with the dead ones that it lets be, and all that is
//!   no entry. So each key that goes makes it less, whatever compaction has come to. Over the goal, a little below the limit,
//!   keys go, a bounded number with each write, and with each round of the job.
//!
//! What the store holds and has free counts in neither: writes take it first, so what is held does not grow by them.
//!
//! A request that finds memory short ([`Engine::make_room`]) evicts; waits a slice at a time while memory is on its way back, each
//! slice doing a step of that; and is refused when nothing is. Without a policy that evicts it is refused as soon as what comes
//! back cannot be enough.
//!
//! The part of what is resident that is not counted, [`ALLOWANCE`], is what a server has without any data. So resident memory
//! stays below `maxmemory` and that.

use chunkbuf::Budget;

use super::Engine;
use super::eviction::Attempt;

/// Bytes that are resident and not counted: code, stacks, and what an allocator needs.
const ALLOWANCE: u64 = 16 << 20;
/// Microseconds between two looks at what is resident.
const LOOK_US: u64 = 10_000;
/// Dead entries may be so much of all before they count as on their way back: a little less than where compaction begins.
const UTILISATION: f64 = 0.91;
/// The share of the limit, and the bytes at most, that the goal lies below it.
const BELOW_LIMIT: (u64, u64) = (64, 2 << 20);
/// Within so many bytes of the limit each write looks whether it is passed. A turn does not write as much.
const NEAR: u64 = 1 << 20;
/// Victims of a round of the job, if they go in [`EVICT_NS`].
const VICTIMS_PER_STEP: u32 = 16;
/// Nanoseconds after which no other key is taken along, beyond those that a write is to take in any case.
const EVICT_NS: u64 = 20_000;
/// Victims of a write in any case: more than it brings, as a rule.
const VICTIMS_MIN: u32 = 2;
/// Microseconds for which nothing is tried by the job after nothing was found to evict.
const NOTHING_US: u64 = 20_000;

/// What a request can expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is memory.
    Made,
    /// There will be: it is to try again in its next turn.
    Later,
    /// There is none.
    Refused,
}

/// What is known beside what the store tells.
#[derive(Debug, Default)]
pub struct Memory {
    /// Bytes that are resident beside what is counted and [`ALLOWANCE`], as of the last look.
    beside: u64,
    /// When that was, on the monotonic clock.
    looked_us: u64,
    /// When the job found nothing to evict.
    nothing_us: Option<u64>,
    /// Since when the limit is passed.
    exceeded_since_us: Option<u64>,
    /// For how long it was passed before.
    exceeded_us: u64,
}

impl Memory {
    /// Forgets what was counted for INFO.
    pub(super) fn reset(&mut self) {
        self.exceeded_us = 0;
    }
}

impl Engine {
    /// Bytes of memory in use. O(1).
    #[inline]
    pub fn memory_used(&self) -> u64 {
        self.counted_bytes() + self.memory.beside
    }

    fn counted_bytes(&self) -> u64 {
        self.keyspace.store.held_bytes()
            + self.buffer_bytes
            + self.keyspace.watched.memory_bytes()
            + self.outbox.own_bytes() as u64
            + self.tracking.memory_bytes()
            + self.pubsub.memory_bytes()
    }

    /// Tells how many bytes of the process are resident, by which the count is set right.
    pub fn note_resident(&mut self, bytes: u64) {
        self.memory.beside = bytes.saturating_sub(self.counted_bytes() + ALLOWANCE);
    }

    /// Bytes in use, but for those that the store has free, which writes take first; and those that were promised where room is made
    /// for them afterwards.
    fn wanted_bytes(&self) -> u64 {
        let store = &self.keyspace.store;
        let promised = if self.keyspace.evicts { store.promised_bytes() } else { 0 };
        self.memory_used() - store.warm_bytes() + promised
    }

    /// Whether more than `maxmemory` is in use.
    pub(crate) fn out_of_memory(&self) -> bool {
        self.wanted_bytes() > self.settings.memory_limit()
    }

    /// Whether a write has to ask for memory, for the rest of the turn.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        let limit = self.settings.memory_limit();
        limit != u64::MAX && self.wanted_bytes() + NEAR > limit
    }

    /// For how many microseconds the limit was passed before, and is passed now.
    pub(super) fn exceeded_us(&self) -> [u64; 2] {
        let current = self.memory.exceeded_since_us.map_or(0, |since| self.now.monotonic_us.saturating_sub(since));
        [self.memory.exceeded_us + current, current]
    }

    /// Sees to it that there is memory for a request, in bounded time.
    #[cold]
    pub(crate) fn make_room(&mut self) -> Room {
        // Some microseconds by default, and up to a slice.
        let tenacity = self.settings.maxmemory_eviction_tenacity;
        self.evict_some(VICTIMS_MIN + tenacity / 2);
        if !self.note_excess() {
            return Room::Made;
        }
        if (self.keyspace.evicts || self.can_come_back()) && self.bring_back() {
            return Room::Later;
        }
        // What is dead is not worth a pass, or cannot be compacted without memory.
        match self.evict_one() {
            Attempt::Gone | Attempt::Vain => Room::Later,
            Attempt::Nothing => Room::Refused,
        }
    }

    /// [`make_room`](Engine::make_room) for a large value of so many bytes while it is received. For one that cannot be kept nothing
    /// goes; nor is it refused here.
    pub(crate) fn make_room_for(&mut self, bytes: u64) -> Room {
        let limit = self.settings.memory_limit();
        if !self.keyspace.evicts || !self.is_short_of_memory() || bytes > limit / 8 * 7 {
            Room::Made
        } else {
            self.make_room()
        }
    }

    /// Evicts up to so many keys while more is settled than the goal allows, and that takes no long time. Whether there may be more to
    /// evict.
    fn evict_some(&mut self, victims: u32) -> bool {
        if !self.keyspace.evicts {
            return false;
        }
        let ends_ns = (self.host.clock_ns)() + EVICT_NS;
        for victim in 0..victims {
            if self.settled_bytes() <= self.goal() {
                return false;
            }
            if victim >= VICTIMS_MIN && (self.host.clock_ns)() >= ends_ns {
                return true;
            }
            if self.takes_apart() {
                // What the last victims give back is not known yet.
                self.take_apart();
                return true;
            }
            match self.evict_one() {
                Attempt::Gone => {}
                Attempt::Vain => return true,
                Attempt::Nothing => {
                    self.memory.nothing_us = Some(self.now.monotonic_us);
                    return false;
                }
            }
        }
        true
    }

    /// What will be in use, but for what is free, when compaction begins again: more than now, where it has just come to its end.
    fn settled_bytes(&self) -> u64 {
        let store = &self.keyspace.store;
        // What is free is no part of what is wanted.
        let returning = store.returning_bytes(UTILISATION) - store.warm_bytes() as i64;
        self.wanted_bytes().saturating_add_signed(-returning)
    }

    fn goal(&self) -> u64 {
        let limit = self.settings.memory_limit();
        limit - (limit / BELOW_LIMIT.0).min(BELOW_LIMIT.1)
    }

    /// Whether what is on its way back may be enough.
    fn can_come_back(&self) -> bool {
        self.takes_apart() || self.settled_bytes() <= self.settings.memory_limit()
    }

    /// Whether values are being taken apart, so that it is not known how much comes back.
    fn takes_apart(&self) -> bool {
        self.keyspace.store.is_taking_apart() || self.keyspace.has_discarded() || !self.garbage.is_empty()
    }

    fn take_apart(&mut self) {
        if !self.keyspace.store.is_taking_apart() {
            self.keyspace.free_discarded();
        }
        self.keyspace.store.free(false);
        self.garbage.step();
    }

    /// One step of bringing memory back; whether anything was done.
    fn bring_back(&mut self) -> bool {
        if self.takes_apart() || self.keyspace.store.has_garbage() {
            self.take_apart();
            return true;
        }
        self.keyspace.store.tighten(Budget::STEP)
    }

    /// Notes since when the limit is passed; whether it is.
    fn note_excess(&mut self) -> bool {
        let exceeded = self.out_of_memory();
        let now_us = self.now.monotonic_us;
        match (exceeded, self.memory.exceeded_since_us) {
            (true, None) => self.memory.exceeded_since_us = Some(now_us),
            (false, Some(since_us)) => {
                self.memory.exceeded_us += now_us.saturating_sub(since_us);
                self.memory.exceeded_since_us = None;
            }
            _ => {}
        }
        exceeded
    }

    /// Whether the job has something to do.
    pub(super) fn eviction_in_debt(&self) -> bool {
        if self.keyspace.access_in_debt() {
            return true;
        }
        if self.settings.maxmemory == 0 {
            return self.memory.exceeded_since_us.is_some();
        }
        let now_us = self.now.monotonic_us;
        now_us >= self.memory.looked_us + LOOK_US
            || self.keyspace.evicts
                && self.memory.nothing_us.is_none_or(|nothing_us| now_us >= nothing_us + NOTHING_US)
                && self.settled_bytes() > self.goal()
    }

    /// One bounded step: looks at what is resident, evicts, and lets the table of uses grow. Whether there is more to do.
    pub(super) fn step_eviction(&mut self) -> bool {
        let now_us = self.now.monotonic_us;
        if self.settings.maxmemory == 0 {
            self.memory.beside = 0;
        } else if now_us >= self.memory.looked_us + LOOK_US {
            self.memory.looked_us = now_us;
            self.note_resident((self.host.resident_bytes)());
        }
        // A page of the table takes as long as many victims.
        let grows = self.keyspace.access_in_debt();
        self.keyspace.step_access();
        let more = self.evict_some(if grows { VICTIMS_MIN } else { VICTIMS_PER_STEP });
        self.note_excess();
        more || self.keyspace.access_in_debt()
    }
}

#[cfg(test)]
#[path = "memory/tests.rs"]
mod tests;
