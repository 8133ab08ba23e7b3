//! Latency events, what `LATENCY` tells: a ring of samples for each kind of event that took `latency-monitor-threshold`
//! milliseconds or longer.
//!
//! Kinds: `command` and `fast-command` (by the command's flag), `expire-cycle`, and the other jobs by their names. Two
//! samples within one second are one, the larger. The monitor is empty, and costs a comparison, while the threshold is 0.

use std::collections::BTreeMap;

/// Samples that are kept of a kind.
pub const SAMPLES: usize = 160;

/// One second in which the event took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since the Unix epoch.
    pub unix_seconds: i64,
    /// The longest within that second, in milliseconds.
    pub ms: u64,
}

/// What is known of a kind of event.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Oldest first, one at least.
    samples: Vec<Sample>,
    /// The longest ever, in milliseconds.
    pub ms_max: u64,
}

/// All kinds of events that have taken place, by name.
#[derive(Debug, Default)]
pub struct Monitor {
    events: BTreeMap<&'static str, Event>,
}

impl Monitor {
    /// Notes that an event took so long. O([`SAMPLES`]) at most.
    pub fn add(&mut self, event: &'static str, unix_seconds: i64, ms: u64) {
        let event = self.events.entry(event).or_default();
        event.ms_max = event.ms_max.max(ms);
        match event.samples.last_mut() {
            Some(last) if last.unix_seconds == unix_seconds => last.ms = last.ms.max(ms),
            _ => {
                if event.samples.len() == SAMPLES {
                    event.samples.remove(0);
                }
                event.samples.push(Sample { unix_seconds, ms });
            }
        }
    }

    /// The kinds that have taken place, in alphabetical order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = (&'static str, &Event)> {
        self.events.iter().map(|(&name, event)| (name, event))
    }

    /// The kind of that name, if it has taken place.
    pub fn event(&self, name: &[u8]) -> Option<(&'static str, &Event)> {
        self.events().find(|(known, _)| known.as_bytes() == name)
    }

    /// Forgets a kind; whether there was anything to forget.
    pub fn forget(&mut self, name: &[u8]) -> bool {
        let known = self.event(name).map(|(known, _)| known);
        known.is_some_and(|known| self.events.remove(known).is_some())
    }

    /// Forgets all kinds; how many there were.
    pub fn forget_all(&mut self) -> usize {
        std::mem::take(&mut self.events).len()
    }
}

impl Event {
    /// The samples, oldest first.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The latest sample.
    pub fn latest(&self) -> Sample {
        *self.samples.last().expect("an event is there from its first sample on")
    }

    /// Milliseconds on average over the samples, and how far they are from that on average.
    pub fn mean_and_deviation_ms(&self) -> (u64, u64) {
        let count = self.samples.len() as u64;
        let mean = self.samples.iter().map(|sample| sample.ms).sum::<u64>() / count;
        let deviation = self.samples.iter().map(|sample| sample.ms.abs_diff(mean)).sum::<u64>() / count;
        (mean, deviation)
    }

    /// Seconds from one sample to the next on average, up to now.
    pub fn period_seconds(&self, now_seconds: i64) -> f64 {
        let first = self.samples[0].unix_seconds;
        (now_seconds - first).max(0) as f64 / self.samples.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_a_second_is_its_sample() {
        let mut monitor = Monitor::default();
        for (second, ms) in [(10, 5), (10, 9), (10, 7), (11, 2)] {
            monitor.add("command", second, ms);
        }
        let (_, event) = monitor.event(b"command").unwrap();
        assert_eq!(event.samples(), [Sample { unix_seconds: 10, ms: 9 }, Sample { unix_seconds: 11, ms: 2 }]);
        assert_eq!((event.latest().ms, event.ms_max), (2, 9));
        assert_eq!(event.mean_and_deviation_ms(), (5, 3));
        assert!(monitor.event(b"COMMAND").is_none());
    }

    #[test]
    fn the_last_samples_are_kept_and_the_maximum_of_all() {
        let mut monitor = Monitor::default();
        for second in 0..SAMPLES as i64 + 5 {
            monitor.add("command", second, 1000 - second as u64);
        }
        let (_, event) = monitor.event(b"command").unwrap();
        assert_eq!((event.samples().len(), event.samples()[0].unix_seconds, event.ms_max), (SAMPLES, 5, 1000));
    }

    #[test]
    fn kinds_are_forgotten_by_name_or_all_at_once() {
        let mut monitor = Monitor::default();
        for event in ["a", "b", "c"] {
            monitor.add(event, 1, 1);
        }
        assert!(monitor.forget(b"b") && !monitor.forget(b"b") && !monitor.forget(b"nosuch"));
        assert_eq!(monitor.forget_all(), 2);
        assert_eq!(monitor.events().len(), 0);
    }
}
