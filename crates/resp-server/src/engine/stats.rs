//! Counters: plain cells, each moved in one place, shown by INFO and cleared by CONFIG RESETSTAT.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::Now;

/// What has happened since the start or the last CONFIG RESETSTAT.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections that were accepted.
    pub connections_received: u64,
    /// Connections that were refused because there were `maxclients` already.
    pub connections_rejected: u64,
    /// Passwords that were wrong.
    pub auth_denied: u64,
    /// Clients that were closed because all together took too much memory.
    pub evicted_clients: u64,
    /// Clients that were closed because they sent too long a request.
    pub query_buffer_disconnections: u64,
    /// Commands that were carried out, those that answered with an error included.
    pub commands_processed: u64,
    /// Error replies.
    pub error_replies: u64,
    /// Reads from sockets that brought bytes.
    pub reads_processed: u64,
    /// Writes to sockets.
    pub writes_processed: u64,
    /// Bytes read from clients.
    pub net_input_bytes: u64,
    /// Bytes written to clients.
    pub net_output_bytes: u64,
    /// Clients that were closed because too much waited for them.
    pub output_limit_disconnections: u64,
    /// The most memory that was in use at a sample.
    pub memory_peak_bytes: u64,
    /// By command number.
    commands: Vec<CommandStats>,
    /// The present run of commands: see [`Stats::end_run`].
    run: Vec<Tallied>,
    /// By the first word of the error.
    errors: BTreeMap<Vec<u8>, u64>,
    rates: Rates,
}

/// What has happened to one command.
#[derive(Clone, Debug, Default)]
pub struct CommandStats {
    /// Its full name (`client|list`).
    pub name: &'static str,
    /// Times that it was carried out.
    pub calls: u64,
    /// Time that it took altogether. A batch's time is shared among its commands by their number: see
    /// [`crate::dispatch`].
    pub nanoseconds: u64,
    /// Times that it was refused before it ran.
    pub rejected_calls: u64,
    /// Times that it ran and answered with an error.
    pub failed_calls: u64,
    /// How long its calls took, in nanoseconds, 1 to [`CALL_NS_MAX`]; within 1%. None: no call was tracked.
    pub latency: Option<Box<Histogram<u64>>>,
}

/// The longest call that a histogram tells from longer ones: a second.
pub const CALL_NS_MAX: u64 = 1_000_000_000;

/// What a run of calls was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedRun {
    /// The command with the longest row of calls in it, the last of several.
    pub name: &'static str,
    /// How many calls that row had.
    pub calls: u64,
    /// Calls altogether.
    pub total: u64,
}

/// Calls of one command in a row within a run.
#[derive(Clone, Copy, Debug)]
struct Tallied {
    number: u32,
    count: u32,
    name: &'static str,
}

/// Kinds of errors that are counted apart; more than so many words are somebody playing.
const ERROR_KINDS_MAX: usize = 128;

impl Stats {
    /// The cell of command `number`, whose full name is `name`. O(1).
    #[inline]
    pub fn command(&mut self, number: usize, name: &'static str) -> &mut CommandStats {
        if number >= self.commands.len() {
            self.commands.resize(number + 1, CommandStats::default());
        }
        let cell = &mut self.commands[number];
        cell.name = name;
        cell
    }

    /// Counts a call in the present run. Calls of one command in a row, the rule in a pipeline, share a line. O(1), no memory
    /// after the first batches.
    #[inline]
    pub fn count_call(&mut self, number: u32, name: &'static str) {
        match self.run.last_mut() {
            Some(last) if last.number == number => last.count += 1,
            _ => self.run.push(Tallied { number, count: 1, name }),
        }
    }

    /// A call that was counted is parked: it is counted again when it is answered.
    pub fn uncount_call(&mut self, number: u32, name: &'static str) {
        let cell = self.command(number as usize, name);
        cell.calls = cell.calls.saturating_sub(1);
        self.commands_processed = self.commands_processed.saturating_sub(1);
    }

    /// Ends a run of calls that took so long altogether: the time is shared among them by their number, also in the histograms,
    /// which are kept if `tracked`. None: there was no call.
    pub fn end_run(&mut self, elapsed_ns: u64, tracked: bool) -> Option<EndedRun> {
        let run = std::mem::take(&mut self.run);
        let total: u64 = run.iter().map(|tallied| u64::from(tallied.count)).sum();
        for tallied in &run {
            let cell = self.command(tallied.number as usize, tallied.name);
            let count = u64::from(tallied.count);
            cell.calls += count;
            cell.nanoseconds += elapsed_ns * count / total;
            if tracked {
                let latency = cell.latency.get_or_insert_with(|| {
                    Box::new(Histogram::new_with_bounds(1, CALL_NS_MAX, 2).expect("the bounds are in order"))
                });
                latency.saturating_record_n((elapsed_ns / total).clamp(1, CALL_NS_MAX), count);
            }
        }
        let ended = run.iter().max_by_key(|tallied| tallied.count).map(|most| EndedRun {
            name: most.name,
            calls: u64::from(most.count),
            total,
        });
        self.commands_processed += total;
        self.run = run;
        self.run.clear();
        ended
    }

    /// The commands that something has happened to.
    pub fn commands(&self) -> impl Iterator<Item = &CommandStats> {
        self.commands.iter().filter(|cell| cell.calls + cell.rejected_calls + cell.failed_calls > 0)
    }

    /// Counts an error reply of this text (`ERR syntax error`).
    pub fn count_error(&mut self, text: &[u8]) {
        self.error_replies += 1;
        let word = text.split(|&byte| byte == b' ').next().unwrap_or_default();
        if let Some(count) = self.errors.get_mut(word) {
            *count += 1;
        } else if self.errors.len() < ERROR_KINDS_MAX {
            self.errors.insert(word.to_vec(), 1);
        }
    }

    /// The kinds of errors, in alphabetical order, and how often each was sent.
    pub fn errors(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.errors.iter().map(|(word, &count)| (&word[..], count))
    }

    /// Begins anew; the peak of memory begins at what is in use now.
    pub fn reset(&mut self, memory_bytes: u64) {
        *self = Stats { memory_peak_bytes: memory_bytes, ..Stats::default() };
    }

    /// Whether a sample is due.
    pub fn sample_due(&self, now: Now) -> bool {
        now.monotonic_us >= self.rates.last_us + SAMPLE_US
    }

    /// Takes a sample: for the rates, and for the peak of memory. `turns` are the number of turns and the microseconds that they took.
    pub fn sample(&mut self, now: Now, memory_bytes: u64, [turns, turns_us]: [u64; 2]) {
        self.memory_peak_bytes = self.memory_peak_bytes.max(memory_bytes);
        let counters = [self.commands_processed, self.net_input_bytes, self.net_output_bytes, turns, turns_us];
        self.rates.sample(now, counters);
    }

    /// Commands, bytes read and bytes written, turns and their microseconds in a second, over the last 1.6 seconds.
    pub fn per_second(&self) -> [u64; COUNTERS] {
        self.rates.mean()
    }
}

/// Microseconds from one sample to the next, at least.
const SAMPLE_US: u64 = 100_000;
const SAMPLES: usize = 16;
const COUNTERS: usize = 5;

/// The last rates of the counters.
#[derive(Debug, Default)]
struct Rates {
    last_us: u64,
    last: [u64; COUNTERS],
    samples: [[u64; COUNTERS]; SAMPLES],
    next: usize,
}

impl Rates {
    fn sample(&mut self, now: Now, counters: [u64; COUNTERS]) {
        let elapsed_us = (now.monotonic_us - self.last_us).max(1);
        let mut rate = [0; COUNTERS];
        for at in 0..COUNTERS {
            let moved = u128::from(counters[at].saturating_sub(self.last[at]));
            rate[at] = (moved * 1_000_000 / u128::from(elapsed_us)) as u64;
        }
        if elapsed_us >= SAMPLE_US * SAMPLES as u64 {
            // Nobody looked for longer than the window: it holds this one rate.
            self.samples = [rate; SAMPLES];
        } else {
            self.samples[self.next] = rate;
            self.next = (self.next + 1) % SAMPLES;
        }
        self.last_us = now.monotonic_us;
        self.last = counters;
    }

    fn mean(&self) -> [u64; COUNTERS] {
        let mut mean = [0; COUNTERS];
        for sample in &self.samples {
            for at in 0..COUNTERS {
                mean[at] += sample[at];
            }
        }
        mean.map(|sum| sum / SAMPLES as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(monotonic_us: u64) -> Now {
        Now { unix_us: 0, monotonic_us }
    }

    #[test]
    fn a_rate_is_the_mean_of_the_last_samples() {
        let mut stats = Stats::default();
        for sample in 1..=32 {
            assert!(stats.sample_due(at(sample * SAMPLE_US)));
            stats.commands_processed += 10;
            stats.sample(at(sample * SAMPLE_US), 5, [sample, 3 * sample]);
            assert!(!stats.sample_due(at(sample * SAMPLE_US)));
        }
        assert_eq!(stats.per_second(), [100, 0, 0, 10, 30]);
        stats.sample(at(100 * SAMPLE_US), 3, [32, 96]);
        assert_eq!(stats.per_second(), [0; COUNTERS]);
        assert_eq!(stats.memory_peak_bytes, 5);
    }

    #[test]
    fn the_time_of_a_run_is_shared_by_the_number_of_calls() {
        let mut stats = Stats::default();
        for (number, name) in [(1, "get"), (1, "get"), (4, "set"), (1, "get")] {
            stats.count_call(number, name);
        }
        let ended = stats.end_run(4000, true);
        assert_eq!(ended, Some(EndedRun { name: "get", calls: 2, total: 4 }));
        assert_eq!(stats.end_run(1000, true), None);
        let latency = stats.command(1, "get").latency.as_ref().expect("tracked");
        assert_eq!((latency.len(), latency.count_at(1000)), (3, 3));
        let seen: Vec<_> = stats.commands().map(|cell| (cell.name, cell.calls, cell.nanoseconds)).collect();
        assert_eq!(seen, [("get", 3, 3000), ("set", 1, 1000)]);
        assert_eq!(stats.commands_processed, 4);
    }

    #[test]
    fn errors_are_counted_by_their_first_word_up_to_a_bound() {
        let mut stats = Stats::default();
        stats.count_error(b"ERR one");
        stats.count_error(b"ERR two");
        stats.count_error(b"WRONGTYPE x");
        let errors: Vec<_> = stats.errors().collect();
        assert_eq!(errors, [(&b"ERR"[..], 2), (b"WRONGTYPE", 1)]);
        for kind in 0..1000 {
            stats.count_error(format!("KIND{kind}").as_bytes());
        }
        assert_eq!(stats.errors().count(), ERROR_KINDS_MAX);
        assert_eq!(stats.error_replies, 1003);
    }

    #[test]
    fn a_reset_clears_all_and_keeps_the_memory_in_use_as_peak() {
        let mut stats = Stats::default();
        stats.command(3, "get").calls = 1;
        stats.count_error(b"ERR");
        stats.memory_peak_bytes = 100;
        stats.reset(40);
        assert_eq!(stats.commands().count(), 0);
        assert_eq!((stats.error_replies, stats.memory_peak_bytes), (0, 40));
    }
}
