//! What a monitoring system is told: a snapshot of counters, to be written as text elsewhere.
//!
//! Taking it costs some 20 us for the histogram of turns and 0.1 us for each command that was called: it is O(commands), whatever data and
//! clients there are. How it is named and formatted is the reader's business.

use super::Engine;

/// Counters and sizes as they are at one moment.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Single numbers.
    pub numbers: Vec<Number>,
    /// What has happened to each command that was called or refused.
    pub commands: Vec<OfCommand>,
    /// Databases that hold keys: their numbers, keys, and keys with a time to live.
    pub databases: Vec<(usize, u64, u64)>,
    /// How long turns of the event loop took.
    pub turns: Turns,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// Its name, the unit last.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Whether it only ever grows, but for CONFIG RESETSTAT.
    pub counts: bool,
    /// Its value.
    pub value: f64,
}

/// What has happened to a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OfCommand {
    /// Its full name.
    pub name: &'static str,
    /// Times that it was carried out.
    pub calls: u64,
    /// Seconds that this took altogether.
    pub seconds: f64,
    /// Times that it was refused.
    pub rejected: u64,
    /// Times that it answered with an error.
    pub failed: u64,
}

/// A histogram of turns.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// Bounds in seconds, and how many turns took as long or less but longer than the bound before.
    pub buckets: Vec<(f64, u64)>,
    /// How many turns there were.
    pub count: u64,
    /// What they took altogether.
    pub seconds: f64,
}

/// Nanoseconds: around the 50 us that a turn has, up to what nobody should ever see.
const BOUNDS_NS: [u64; 14] = [
    10_000,
    25_000,
    50_000,
    75_000,
    100_000,
    150_000,
    200_000,
    300_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    20_000_000,
    100_000_000,
];

impl Engine {
    /// Takes a snapshot.
    pub fn metrics(&self) -> Metrics {
        let mut numbers = Vec::with_capacity(48);
        self.add_counters(&mut numbers);
        self.add_sizes(&mut numbers);
        let commands = self.stats.commands().map(|command| OfCommand {
            name: command.name,
            calls: command.calls,
            seconds: command.nanoseconds as f64 / 1e9,
            rejected: command.rejected_calls,
            failed: command.failed_calls,
        });
        let databases = (0..self.keyspace.databases()).map(|db| (db, self.keyspace.usage(db)));
        let databases =
            databases.filter(|(_, usage)| usage.keys > 0).map(|(db, usage)| (db, usage.keys, usage.expires));
        let mut below = 0;
        let counts = self.ledger.counts_to(&BOUNDS_NS);
        let buckets = BOUNDS_NS.iter().zip(counts).map(|(&bound_ns, count)| {
            let own = count - std::mem::replace(&mut below, count);
            (bound_ns as f64 / 1e9, own)
        });
        Metrics {
            numbers,
            commands: commands.collect(),
            databases: databases.collect(),
            turns: Turns {
                buckets: buckets.collect(),
                count: self.ledger.turns(),
                seconds: self.ledger.total_ns() as f64 / 1e9,
            },
        }
    }

    fn add_counters(&self, numbers: &mut Vec<Number>) {
        let (stats, keys, store) = (&self.stats, &self.keyspace.stats, self.keyspace.store.usage());
        let mut counter =
            |name, help, value: u64| numbers.push(Number { name, help, counts: true, value: value as f64 });
        counter("connections_received", "Connections that were accepted", stats.connections_received);
        counter("connections_rejected", "Connections that were refused", stats.connections_rejected);
        counter("clients_evicted", "Clients closed because all took too much memory", stats.evicted_clients);
        counter("commands_processed", "Commands that were carried out", stats.commands_processed);
        counter("error_replies", "Errors that were answered", stats.error_replies);
        counter("net_input_bytes", "Bytes read from clients", stats.net_input_bytes);
        counter("net_output_bytes", "Bytes written to clients", stats.net_output_bytes);
        counter("keyspace_hits", "Reads of keys that were there", keys.keyspace_hits);
        counter("keyspace_misses", "Reads of keys that were not there", keys.keyspace_misses);
        counter("expired_keys", "Keys removed because their time had come", keys.expired_keys);
        counter("expired_fields", "Fields of hashes removed because their time had come", keys.expired_subkeys);
        counter("compaction_passes", "Passes of compaction that were begun", store.passes);
        counter("compaction_written_bytes", "Bytes that writes have appended to the store", store.written_bytes);
        counter("compaction_copied_bytes", "Bytes that compaction has copied", store.copied_bytes);
    }

    fn add_sizes(&self, numbers: &mut Vec<Number>) {
        let store = self.keyspace.store.usage();
        let index_bytes = store.index.page_bytes + store.index.header_bytes + store.index.directory_bytes;
        let live_bytes = store.live_bytes + index_bytes + store.blobs.page_bytes;
        let uptime_us = self.now.monotonic_us - self.started.monotonic_us;
        let mut gauge = |name, help, value: f64| numbers.push(Number { name, help, counts: false, value });
        gauge("uptime_seconds", "Time since the start", uptime_us as f64 / 1e6);
        gauge("connected_clients", "Clients that are connected", self.clients.len() as f64);
        gauge("blocked_clients", "Clients that wait", (self.parked.len() + self.pause.postponed()) as f64);
        gauge("max_clients", "Clients that may be connected", self.settings.maxclients.into());
        gauge("clients_memory_bytes", "Memory that clients take", self.clients_bytes() as f64);
        gauge("memory_used_bytes", "Memory in use: data, index and clients' buffers", self.memory_used() as f64);
        gauge("memory_peak_bytes", "The most memory that was in use", self.stats.memory_peak_bytes as f64);
        gauge("memory_max_bytes", "The setting maxmemory, 0 for none", self.settings.maxmemory as f64);
        gauge("store_live_bytes", "Entries that are there", store.live_bytes as f64);
        gauge("store_dead_bytes", "Entries that are not there any more and not compacted yet", store.dead_bytes as f64);
        gauge("store_held_bytes", "Memory that the store holds", store.held_bytes() as f64);
        gauge("store_index_bytes", "The index", index_bytes as f64);
        gauge("store_blob_bytes", "Pages of large values", store.blobs.page_bytes as f64);
        gauge("store_blobs", "Large values", store.blobs.blobs as f64);
        let utilisation = if store.held_bytes() == 0 { 1.0 } else { live_bytes as f64 / store.held_bytes() as f64 };
        gauge("store_utilisation_ratio", "The live share of what the store holds", utilisation);
        gauge("compaction_debt_bytes", "Bytes that compaction still owes to writes", store.debt_bytes as f64);
        gauge("compaction_in_pass", "Whether a pass of compaction is under way", f64::from(u8::from(store.in_pass)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Now, Settings};

    #[test]
    fn a_snapshot_counts_every_turn_in_one_bucket() {
        let mut engine = Engine::new(Settings::default(), [1, 2], Now::default());
        for ns in [9_000, 10_000, 60_000, 400_000, 3_000_000, 50_000_000_000] {
            engine.begin_turn(0, 50);
            engine.ledger.part("test", 1, ns);
            engine.end_turn(ns);
        }
        let turns = engine.metrics().turns;
        let filled: Vec<(f64, u64)> = turns.buckets.iter().copied().filter(|&(_, count)| count > 0).collect();
        assert_eq!(filled, [(0.00001, 2), (0.000075, 1), (0.0005, 1), (0.005, 1)]);
        assert_eq!(turns.count, 6);
        assert!((turns.seconds - 50.003_479).abs() < 1e-9, "{}", turns.seconds);
    }

    #[test]
    fn names_are_given_once() {
        let engine = Engine::new(Settings::default(), [1, 2], Now::default());
        let mut names: Vec<&str> = engine.metrics().numbers.iter().map(|number| number.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
