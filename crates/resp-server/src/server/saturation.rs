//! Whether the event loop is the one that others wait for.

use std::cell::Cell;

use super::host;

/// Turns of connections without a sleep between them after which the loop counts as saturated: more than it has between two sleeps while
/// it is the loop that waits for its clients.
const SATURATED_TURNS: u32 = 8;

/// Counts the turns of connections since the loop last slept.
#[derive(Debug, Default)]
pub(super) struct Saturation {
    turns: Cell<u32>,
    /// How long the loop had slept in all at the last of them.
    slept_ns: Cell<u64>,
}

impl Saturation {
    /// Counts a turn; whether the loop has gone from one to the next for a while.
    pub(super) fn count_turn(&self) -> bool {
        self.count_turn_at(host::slept_ns())
    }

    fn count_turn_at(&self, slept_ns: u64) -> bool {
        let has_slept = self.slept_ns.replace(slept_ns) != slept_ns;
        self.turns.set(if has_slept { 0 } else { self.turns.get().saturating_add(1) });
        self.turns.get() >= SATURATED_TURNS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_saturated_until_it_sleeps() {
        let saturation = Saturation::default();
        for slept_ns in [100, 250] {
            let turns: Vec<bool> = (0..10).map(|_| saturation.count_turn_at(slept_ns)).collect();
            assert_eq!(turns, [false, false, false, false, false, false, false, false, true, true]);
        }
        assert!(!saturation.count_turn_at(251));
    }
}
