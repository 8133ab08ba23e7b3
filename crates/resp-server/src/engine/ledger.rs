//! The stall ledger: how long every turn of the event loop took, and what took most of the long ones.
//!
//! A *turn* is what runs without letting anything else run: one poll of a connection (read, execute, write), one round of
//! jobs, one accepted connection. While it lasts, every client waits; so the longest turn is the longest stall that
//! the server can cause, and the ledger is the server's promise as a number that can be looked up (`INFO stalls`).
//!
//! ```text
//!  began            mark          mark            mark                end
//!    |---- read -----|--- set x16 --|- compaction --|----- write ------|
//!          part           part           part             part            the longest part names the turn
//! ```
//!
//! 1. Always on. A turn costs one record in a histogram and a few comparisons, about 20 ns, beside its clock readings.
//! 2. The ledger reads no clock: times are handed in, in nanoseconds of one monotonic clock.
//! 3. Parts of one cause add up within a turn, so that ten short runs of SET outweigh one longer write.
//! 4. A turn also lasts while the system runs something else on its processor. Of turns past [`LONG_NS`] that time, *away*, is told
//!    apart: it is not the server's doing, and no smaller step of its own makes it shorter. What a hypervisor takes is not seen.
//! 5. The ten turns that were longest without the time away are kept, with their cause and the time of day.
//!
//! Times in the histograms are within 1%; the maxima and the worst ten are exact. Some 60 KiB, allocated once.

use hdrhistogram::Histogram;

/// Turns that are kept as the worst.
pub const WORST: usize = 10;
/// The longest turn that the histogram tells from longer ones: a minute.
const TURN_NS_MAX: u64 = 60_000_000_000;
/// Causes that are told apart within a turn; the shortest make room for others.
const PARTS: usize = 6;

/// The cause of time spent on receiving from a socket and on parsing.
pub const READ: &str = "read";
/// The cause of time spent on sending to a socket.
pub const WRITE: &str = "write";
/// The cause of time spent on taking up a new connection.
pub const ACCEPT: &str = "accept";
/// The cause of time spent on letting go of a closed connection's buffers.
pub const CLOSE: &str = "close";

/// A turn so long is asked how much of it the thread was away; of a shorter one none is assumed.
pub const LONG_NS: u64 = 100_000;
/// How old the reading may be that the time away is counted from. What the thread was away before the turn, but after that
/// reading, counts for the turn.
const READING_NS: u64 = 250_000;

/// What the event loop's thread has done since it began, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadTime {
    /// It ran, as user or in the system.
    pub ran_ns: u64,
    /// It had nothing to do and waited for events.
    pub slept_ns: u64,
}

impl ThreadTime {
    fn sum(self) -> u64 {
        self.ran_ns + self.slept_ns
    }
}

/// One of the longest turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// How long the turn took.
    pub ns: u64,
    /// For how much of that, at least, the system ran something else.
    pub away_ns: u64,
    /// What took most of it: a command's full name (`config|get`), a job's name, [`READ`], [`WRITE`], [`ACCEPT`], [`CLOSE`].
    pub cause: &'static str,
    /// How long that took.
    pub cause_ns: u64,
    /// How many commands (steps, reads) of that cause there were.
    pub count: u64,
    /// The time of day when it began, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// How long turns took since the start or the last reset.
#[derive(Debug)]
pub struct Ledger {
    turns: Histogram<u64>,
    max_ns: u64,
    total_ns: u64,
    /// The turns without the time away.
    own: Histogram<u64>,
    max_own_ns: u64,
    /// Longest first, without the time away.
    worst: Vec<Stall>,
    /// A turn that is not longer is none of the worst.
    worst_above_ns: u64,
    /// When the thread's times were read, and what they were.
    read_at_ns: u64,
    read: ThreadTime,
    began_ns: u64,
    mark_ns: u64,
    parts: [Part; PARTS],
    /// How many of `parts` this turn has.
    parts_len: usize,
}

/// What a cause took of the present turn.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    cause: &'static str,
    ns: u64,
    count: u64,
}

impl Stall {
    /// How long the turn took without the time away.
    pub fn own_ns(&self) -> u64 {
        self.ns - self.away_ns
    }
}

impl Default for Ledger {
    fn default() -> Ledger {
        let turns = Histogram::new_with_bounds(1, TURN_NS_MAX, 2).expect("the bounds are in order");
        Ledger {
            own: turns.clone(),
            turns,
            max_ns: 0,
            total_ns: 0,
            max_own_ns: 0,
            worst: Vec::with_capacity(WORST),
            worst_above_ns: 0,
            read_at_ns: 0,
            read: ThreadTime::default(),
            began_ns: 0,
            mark_ns: 0,
            parts: [Part::default(); PARTS],
            parts_len: 0,
        }
    }
}

impl Ledger {
    /// A turn begins. `thread_time` is asked from time to time: it is a system call.
    #[inline]
    pub fn begin_turn(&mut self, now_ns: u64, thread_time: fn() -> ThreadTime) {
        if now_ns.saturating_sub(self.read_at_ns) > READING_NS {
            (self.read_at_ns, self.read) = (now_ns, thread_time());
        }
        self.began_ns = now_ns;
        self.mark_ns = now_ns;
        self.parts_len = 0;
    }

    /// When the present turn began.
    #[inline]
    pub fn began_ns(&self) -> u64 {
        self.began_ns
    }

    /// The time of the last part's end, or of the turn's beginning: a clock reading that is nearly fresh and costs none.
    #[inline]
    pub fn mark_ns(&self) -> u64 {
        self.mark_ns
    }

    /// Whether this turn has done anything that was noted.
    #[inline]
    pub fn has_parts(&self) -> bool {
        self.parts_len > 0
    }

    /// The time since the last part, or since the turn began, was spent on `cause`, `count` times. Returns that time.
    #[inline]
    pub fn part(&mut self, cause: &'static str, count: u64, now_ns: u64) -> u64 {
        let ns = now_ns.saturating_sub(self.mark_ns);
        self.mark_ns = now_ns;
        // Names are constants, so one address is one cause; a constant that has two addresses is merely two parts.
        let parts = &mut self.parts[..self.parts_len];
        if let Some(part) = parts.iter_mut().find(|part| std::ptr::eq(part.cause, cause)) {
            part.ns += ns;
            part.count += count;
        } else if self.parts_len < PARTS {
            self.parts[self.parts_len] = Part { cause, ns, count };
            self.parts_len += 1;
        } else if let Some(shortest) = parts.iter_mut().min_by_key(|part| part.ns).filter(|part| part.ns < ns) {
            *shortest = Part { cause, ns, count };
        }
        ns
    }

    /// The turn ends; it is counted if anything was noted. `unix_us` is the time of day. Returns how long it took.
    #[inline]
    pub fn end_turn(&mut self, now_ns: u64, unix_us: i64, thread_time: fn() -> ThreadTime) -> u64 {
        let ns = now_ns.saturating_sub(self.began_ns);
        if self.parts_len > 0 {
            let away_ns = if ns >= LONG_NS { self.away_ns(now_ns, thread_time()).min(ns) } else { 0 };
            self.turns.saturating_record(ns);
            self.own.saturating_record(ns - away_ns);
            self.max_ns = self.max_ns.max(ns);
            self.total_ns += ns;
            if ns - away_ns > self.worst_above_ns {
                self.keep(ns, away_ns, unix_us);
            }
        }
        self.parts_len = 0;
        ns
    }

    /// How long the thread neither ran nor slept since its times were read last; they are `read` now. Too little rather than too
    /// much: the system's part of falling asleep and of waking up counts as both.
    #[cold]
    fn away_ns(&mut self, now_ns: u64, read: ThreadTime) -> u64 {
        let passed = now_ns.saturating_sub(self.read_at_ns);
        let away_ns = passed.saturating_sub(read.sum().saturating_sub(self.read.sum()));
        (self.read_at_ns, self.read) = (now_ns, read);
        away_ns
    }

    /// Takes the present turn among the worst.
    #[cold]
    fn keep(&mut self, ns: u64, away_ns: u64, unix_us: i64) {
        let own_ns = ns - away_ns;
        self.max_own_ns = self.max_own_ns.max(own_ns);
        let longest = self.parts[..self.parts_len].iter().max_by_key(|part| part.ns).copied().unwrap_or_default();
        let Part { cause, ns: cause_ns, count } = longest;
        let at = self.worst.partition_point(|worse| worse.own_ns() >= own_ns);
        self.worst.truncate(WORST - 1);
        self.worst.insert(at, Stall { ns, away_ns, cause, cause_ns, count, at_ms: unix_us.div_euclid(1000) });
        if self.worst.len() == WORST {
            self.worst_above_ns = self.worst[WORST - 1].own_ns();
        }
    }

    /// How many turns there were.
    pub fn turns(&self) -> u64 {
        self.turns.len()
    }

    /// The time in nanoseconds that `quantile` (0 to 1) of all turns did not exceed; 0 if there was none.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.turns.value_at_quantile(quantile).min(self.max_ns)
    }

    /// The time that all turns took, in nanoseconds.
    pub fn total_ns(&self) -> u64 {
        self.total_ns
    }

    /// For each of `bounds_ns`, which ascend, how many turns took as long or less, within 1%. O(buckets of the histogram), some 20 us.
    pub fn counts_to(&self, bounds_ns: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds_ns.len()];
        for bucket in self.turns.iter_recorded() {
            let at =
                bounds_ns.partition_point(|&bound| bound < self.turns.lowest_equivalent(bucket.value_iterated_to()));
            if let Some(count) = counts.get_mut(at) {
                *count += bucket.count_since_last_iteration();
            }
        }
        let mut sum = 0;
        counts.iter_mut().for_each(|count| {
            sum += *count;
            *count = sum;
        });
        counts
    }

    /// The longest turn, in nanoseconds.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// [`quantile_ns`](Ledger::quantile_ns) of the turns without the time away.
    pub fn own_quantile_ns(&self, quantile: f64) -> u64 {
        self.own.value_at_quantile(quantile).min(self.max_own_ns)
    }

    /// The longest turn without the time away, in nanoseconds.
    pub fn max_own_ns(&self) -> u64 {
        self.max_own_ns
    }

    /// The turns that were longest without the time away, the longest first.
    pub fn worst(&self) -> &[Stall] {
        &self.worst
    }

    /// Forgets all turns but the present one.
    pub fn reset(&mut self) {
        self.turns.reset();
        self.own.reset();
        self.max_ns = 0;
        self.total_ns = 0;
        self.max_own_ns = 0;
        self.worst.clear();
        self.worst_above_ns = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;

    /// The clocks of a thread that has run all the time.
    fn never_away() -> ThreadTime {
        ThreadTime { ran_ns: u64::MAX / 2, slept_ns: 0 }
    }

    /// A turn of one part that takes so long.
    fn turn(ledger: &mut Ledger, cause: &'static str, ns: u64) {
        ledger.begin_turn(1000, never_away);
        ledger.part(cause, 1, 1000 + ns);
        ledger.end_turn(1000 + ns, SECOND_US, never_away);
    }

    #[test]
    fn a_turn_is_named_after_the_cause_that_took_most_of_it_altogether() {
        let mut ledger = Ledger::default();
        ledger.begin_turn(0, never_away);
        ledger.part(READ, 1, 30);
        ledger.part("set", 16, 70);
        ledger.part("compaction", 1, 120);
        ledger.part("set", 4, 160);
        ledger.part(WRITE, 1, 220);
        ledger.end_turn(220, 5 * SECOND_US, never_away);
        assert_eq!(ledger.worst(), [Stall { ns: 220, away_ns: 0, cause: "set", cause_ns: 80, count: 20, at_ms: 5000 }]);
        assert_eq!((ledger.turns(), ledger.max_ns()), (1, 220));
    }

    #[test]
    fn with_many_causes_the_longest_is_still_found() {
        const NAMES: [&str; 20] =
            ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"];
        for (longest, longest_name) in NAMES.into_iter().enumerate() {
            let mut ledger = Ledger::default();
            ledger.begin_turn(0, never_away);
            for (at, name) in NAMES.into_iter().enumerate() {
                let ns = if at == longest { 100 } else { 10 };
                ledger.part(name, 1, ledger.mark_ns() + ns);
            }
            ledger.end_turn(ledger.mark_ns(), 0, never_away);
            assert_eq!(ledger.worst()[0].cause, longest_name);
        }
    }

    #[test]
    fn a_turn_in_which_nothing_was_noted_does_not_count() {
        let mut ledger = Ledger::default();
        ledger.begin_turn(0, never_away);
        ledger.end_turn(500, 0, never_away);
        assert_eq!((ledger.turns(), ledger.max_ns()), (0, 0));
    }

    #[test]
    fn the_worst_ten_are_kept_longest_first() {
        let mut ledger = Ledger::default();
        for ns in [5, 200, 7, 90, 90, 30, 1, 2, 3, 4, 6, 8, 9, 300] {
            turn(&mut ledger, READ, ns);
        }
        let kept: Vec<u64> = ledger.worst().iter().map(|stall| stall.ns).collect();
        assert_eq!(kept, [300, 200, 90, 90, 30, 9, 8, 7, 6, 5]);
        assert_eq!((ledger.turns(), ledger.max_ns()), (14, 300));
    }

    #[test]
    fn quantiles_are_within_a_hundredth_and_never_above_the_maximum() {
        let mut ledger = Ledger::default();
        for us in 1..=1000 {
            turn(&mut ledger, READ, us * 1000);
        }
        for (quantile, us) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let told = ledger.quantile_ns(quantile) as f64 / 1000.0;
            assert!((told / us - 1.0).abs() < 0.01, "{quantile}: {told}");
        }
        assert_eq!(ledger.quantile_ns(1.0), 1_000_000);
        turn(&mut ledger, READ, TURN_NS_MAX * 2);
        assert_eq!(ledger.max_ns(), TURN_NS_MAX * 2);
    }

    #[test]
    fn a_reset_in_the_middle_of_a_turn_leaves_that_turn_to_be_counted() {
        let mut ledger = Ledger::default();
        turn(&mut ledger, READ, 900);
        ledger.begin_turn(0, never_away);
        ledger.part(READ, 1, 10);
        ledger.reset();
        assert_eq!((ledger.turns(), ledger.worst()), (0, &[][..]));
        ledger.end_turn(50, 0, never_away);
        assert_eq!((ledger.turns(), ledger.max_ns()), (1, 50));
        assert_eq!(ledger.worst().len(), 1);
    }

    #[test]
    fn the_time_that_the_system_took_is_told_apart() {
        // The times were read at 300 us. Up to 5 ms the thread ran for 600 us and slept for 100: it was away for 4 ms.
        let mut ledger = Ledger::default();
        ledger.begin_turn(300_000, || ThreadTime { ran_ns: 200_000, slept_ns: 100_000 });
        ledger.part(READ, 1, 310_000);
        ledger.end_turn(310_000, 0, || unreachable!("a short turn does not ask"));
        ledger.begin_turn(450_000, || unreachable!("the times are fresh"));
        ledger.part(WRITE, 1, 5_000_000);
        ledger.end_turn(5_000_000, 0, || ThreadTime { ran_ns: 800_000, slept_ns: 200_000 });
        let longest = ledger.worst()[0];
        assert_eq!((longest.cause, longest.ns, longest.away_ns), (WRITE, 4_550_000, 4_000_000));
        assert_eq!((ledger.max_ns(), ledger.max_own_ns()), (4_550_000, 550_000));
        assert_eq!((ledger.quantile_ns(1.0), ledger.own_quantile_ns(1.0)), (4_550_000, 550_000));
        // The next long turn counts from there.
        ledger.begin_turn(5_100_000, || unreachable!("the times are fresh"));
        ledger.part(READ, 1, 5_300_000);
        ledger.end_turn(5_300_000, 0, || ThreadTime { ran_ns: 1_100_000, slept_ns: 200_000 });
        assert_eq!(ledger.worst()[1].away_ns, 0);
    }
}
