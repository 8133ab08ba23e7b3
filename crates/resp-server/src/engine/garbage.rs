//! Memory that is done with and too much to be freed at once: returning 50 MB to the system takes milliseconds.
//!
//! A row of JOBS frees it a little at a time. What is small is freed where it falls.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

use crate::bits::lcs::Lcs;
use crate::keyspace::Snapshot;
use crate::keyspace::hashes::Hashes;
use crate::proto::{APART_AT_ONCE, Apart, Reply};
use crate::types::set::Source;

/// Bytes of a list that are given back in a step.
const STEP_BYTES: usize = 128 * 1024;
/// Segments of a reply that are freed in a step, most of them of 64 KiB, 5 to 10 us each.
const STEP_SEGMENTS: usize = 8;
/// Snapshots of strings, or small sets, that are dropped in a step.
const STEP_SNAPSHOTS: usize = 512;

/// What can be freed in steps.
pub trait FreeInSteps: Debug {
    /// Bytes of memory that it holds, about.
    fn held_bytes(&self) -> usize;

    /// Frees a bounded part of itself; whether there is more.
    fn free_some(&mut self) -> bool;
}

impl<T: Copy + Debug> FreeInSteps for Vec<T> {
    fn held_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }

    fn free_some(&mut self) -> bool {
        self.clear();
        let step = STEP_BYTES / size_of::<T>().max(1);
        self.shrink_to(self.capacity().saturating_sub(step));
        self.capacity() > step
    }
}

impl<V: Copy + Debug> FreeInSteps for BTreeMap<(u64, usize), V> {
    fn held_bytes(&self) -> usize {
        self.len() * size_of::<((u64, usize), V)>()
    }

    fn free_some(&mut self) -> bool {
        (0..STEP_BYTES / size_of::<((u64, usize), V)>()).all(|_| self.pop_first().is_some())
    }
}

impl FreeInSteps for Vec<Apart> {
    fn held_bytes(&self) -> usize {
        self.iter().map(Apart::held_bytes).sum()
    }

    fn free_some(&mut self) -> bool {
        self.truncate(self.len().saturating_sub(APART_AT_ONCE));
        !self.is_empty()
    }
}

impl FreeInSteps for Reply {
    fn held_bytes(&self) -> usize {
        self.len()
    }

    fn free_some(&mut self) -> bool {
        Reply::free_some(self, STEP_SEGMENTS)
    }
}

impl FreeInSteps for Hashes {
    fn held_bytes(&self) -> usize {
        self.memory_bytes()
    }

    fn free_some(&mut self) -> bool {
        Hashes::free_some(self)
    }
}

impl FreeInSteps for Lcs {
    fn held_bytes(&self) -> usize {
        self.memory_bytes()
    }

    fn free_some(&mut self) -> bool {
        Lcs::free_some(self)
    }
}

/// Pieces of memory, of any length each.
#[derive(Debug)]
pub struct Pages(pub Vec<Vec<u8>>);

impl FreeInSteps for Pages {
    fn held_bytes(&self) -> usize {
        self.0.iter().map(Vec::capacity).sum()
    }

    fn free_some(&mut self) -> bool {
        let mut freed = 0;
        while freed < STEP_BYTES
            && let Some(page) = self.0.last_mut()
        {
            let step = page.capacity().min(STEP_BYTES);
            page.clear();
            page.shrink_to(page.capacity() - step);
            freed += step;
            if page.capacity() == 0 {
                self.0.pop();
            }
        }
        !self.0.is_empty()
    }
}

impl FreeInSteps for Vec<Snapshot> {
    fn held_bytes(&self) -> usize {
        self.len() * (STEP_BYTES / STEP_SNAPSHOTS)
    }

    fn free_some(&mut self) -> bool {
        self.truncate(self.len().saturating_sub(STEP_SNAPSHOTS));
        self.shrink_to(self.capacity().saturating_sub(STEP_BYTES / size_of::<Snapshot>()).max(self.len()));
        !self.is_empty()
    }
}

impl FreeInSteps for Vec<Source<'static>> {
    fn held_bytes(&self) -> usize {
        self.len() * (STEP_BYTES / STEP_SNAPSHOTS)
    }

    fn free_some(&mut self) -> bool {
        self.truncate(self.len().saturating_sub(STEP_SNAPSHOTS));
        self.shrink_to(self.capacity().saturating_sub(STEP_BYTES / size_of::<Source<'_>>()).max(self.len()));
        !self.is_empty()
    }
}

/// What waits to be freed.
#[derive(Debug, Default)]
pub struct Garbage {
    heap: VecDeque<Box<dyn FreeInSteps>>,
}

impl Garbage {
    /// Takes something that is done with; frees it at once if it is small.
    pub fn add(&mut self, done: impl FreeInSteps + 'static) {
        if done.held_bytes() > STEP_BYTES {
            self.heap.push_back(Box::new(done));
        }
    }

    /// Whether there is nothing to free.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Frees a bounded part; whether there is more.
    pub fn step(&mut self) -> bool {
        if let Some(first) = self.heap.front_mut()
            && !first.free_some()
        {
            self.heap.pop_front();
        }
        !self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_goes_a_step_at_a_time() {
        let mut garbage = Garbage::default();
        assert!(!garbage.step());
        garbage.add(vec![7_u8; 3 * STEP_BYTES]);
        garbage.add(vec![7_u8; 10]);
        let mut reply = Reply::new();
        for _ in 0..=STEP_SEGMENTS {
            reply.bulk(&[7; STEP_BYTES / STEP_SEGMENTS]);
            reply.seal(1);
        }
        garbage.add(reply);
        let mut steps = 1;
        while garbage.step() {
            steps += 1;
        }
        assert_eq!(steps, 2 + 2);
    }
}
