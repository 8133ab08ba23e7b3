//! What can be asked of the server: a row a section of INFO.
//!
//! A section is lines of `field:value`, with Redis's names and formats where Redis has the field, for tools parse them. A
//! field is there if its value is true of this server: what Redis counts and this server never does is 0, as it is for a Redis that has not
//! done it. Details of Redis's own making are left out rather than invented.

use std::fmt::Write;

use super::pubsub::Kind;
use super::settings::print_percentage;
use super::{Engine, REDIS_VERSION};
use crate::text::integer::humanize;

/// A row: one section.
pub struct Section {
    /// Its name in lower case, as INFO takes it.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// When it is shown unasked.
    pub shown: Shown,
    /// Writes its lines.
    pub write: fn(&Engine, &mut Lines),
}

/// When a section is shown although it is not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Always: also by INFO alone.
    ByDefault,
    /// By `INFO all` and `INFO everything`.
    InAll,
}

/// Every section, in the order in which they are printed.
#[rustfmt::skip] // a table: one row a section
pub const INFO: &[Section] = &[
    Section { name: "server", title: "Server", shown: Shown::ByDefault, write: server },
    Section { name: "clients", title: "Clients", shown: Shown::ByDefault, write: clients },
    Section { name: "memory", title: "Memory", shown: Shown::ByDefault, write: memory },
    Section { name: "chunkbuf", title: "Chunkbuf", shown: Shown::ByDefault, write: chunkbuf },
    Section { name: "persistence", title: "Persistence", shown: Shown::ByDefault, write: persistence },
    Section { name: "stats", title: "Stats", shown: Shown::ByDefault, write: stats },
    Section { name: "replication", title: "Replication", shown: Shown::ByDefault, write: replication },
    Section { name: "cpu", title: "CPU", shown: Shown::ByDefault, write: cpu },
    Section { name: "modules", title: "Modules", shown: Shown::ByDefault, write: modules },
    Section { name: "commandstats", title: "Commandstats", shown: Shown::InAll, write: commandstats },
    Section { name: "latencystats", title: "Latencystats", shown: Shown::InAll, write: latencystats },
    Section { name: "stalls", title: "Stalls", shown: Shown::InAll, write: stalls },
    Section { name: "errorstats", title: "Errorstats", shown: Shown::ByDefault, write: errorstats },
    Section { name: "cluster", title: "Cluster", shown: Shown::ByDefault, write: cluster },
    Section { name: "keyspace", title: "Keyspace", shown: Shown::ByDefault, write: keyspace },
];

/// The lines of a section, being written.
#[derive(Debug, Default)]
pub struct Lines(String);

impl Lines {
    /// A line `name:value`.
    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        write!(self.0, "{name}:{value}\r\n").expect("writing to memory cannot fail");
    }

    /// A size in bytes: a line with the number, and one for people.
    fn size(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(&format!("{name}_human"), humanize(bytes));
    }
}

/// The sections that a request names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// A bit for each row of [`INFO`]. `None`: nothing is named.
    named: Option<u32>,
}

impl Asked {
    /// Those of one name.
    pub fn named(name: &[u8]) -> Asked {
        let mut asked = Asked::default();
        asked.add(name);
        asked
    }

    /// Adds what a name stands for, in any case: a section, `default`, `all`, `everything`. A name that is no section is no error and
    /// adds nothing.
    pub fn add(&mut self, name: &[u8]) {
        const { assert!(INFO.len() <= u32::BITS as usize) };
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        let (all, default) = (is("all") || is("everything"), is("default"));
        let is_meant = |section: &Section| all || is(section.name) || default && section.shown == Shown::ByDefault;
        let bits = (0..INFO.len()).filter(|&row| is_meant(&INFO[row])).fold(0, |bits, row| bits | 1 << row);
        self.named = Some(self.named.unwrap_or(0) | bits);
    }

    fn has(&self, row: usize) -> bool {
        self.named.map_or(INFO[row].shown == Shown::ByDefault, |named| named >> row & 1 == 1)
    }
}

/// The text of INFO for the sections that are asked for; those by default if none is named.
pub fn info(engine: &Engine, asked: Asked) -> String {
    let mut lines = Lines::default();
    for (_, section) in INFO.iter().enumerate().filter(|&(row, _)| asked.has(row)) {
        if !lines.0.is_empty() {
            lines.0.push_str("\r\n");
        }
        lines.0.push_str("# ");
        lines.0.push_str(section.title);
        lines.0.push_str("\r\n");
        (section.write)(engine, &mut lines);
    }
    lines.0
}

fn server(engine: &Engine, lines: &mut Lines) {
    let uptime_us = engine.now.monotonic_us - engine.started.monotonic_us;
    let uptime_seconds = uptime_us / 1_000_000;
    lines.field("redis_version", REDIS_VERSION);
    lines.field("server_name", "evenkeel");
    lines.field("evenkeel_version", env!("CARGO_PKG_VERSION"));
    lines.field("redis_git_sha1", "00000000");
    lines.field("redis_git_dirty", 0);
    lines.field("redis_mode", "standalone");
    lines.field("os", &engine.host.os);
    lines.field("arch_bits", usize::BITS);
    lines.field("multiplexing_api", "tokio");
    lines.field("process_id", engine.host.process_id);
    lines.field("process_supervised", "no");
    lines.field("run_id", &engine.run_id);
    lines.field("tcp_port", engine.settings.port);
    lines.field("server_time_usec", engine.now.unix_us);
    lines.field("uptime_in_seconds", uptime_seconds);
    lines.field("uptime_in_days", uptime_seconds / 86_400);
    lines.field("hz", 10);
    lines.field("configured_hz", 10);
    lines.field("lru_clock", (engine.now.unix_us / 1_000_000) & 0xff_ffff);
    lines.field("executable", &engine.host.executable);
    lines.field("config_file", &engine.host.config_file);
    lines.field("io_threads_active", 0);
    for (number, host) in engine.settings.bind.iter().enumerate().filter(|_| engine.settings.port != 0) {
        let host = host.trim_start_matches('-');
        lines.field(&format!("listener{number}"), format_args!("name=tcp,bind={host},port={}", engine.settings.port));
    }
}

fn clients(engine: &Engine, lines: &mut Lines) {
    let most = |of: fn(&super::Client) -> usize| engine.clients.iter().map(of).max().unwrap_or(0);
    lines.field("connected_clients", engine.clients.len());
    lines.field("cluster_connections", 0);
    lines.field("maxclients", engine.settings.maxclients);
    lines.field("client_recent_max_input_buffer", most(|client| client.query_buffer_bytes));
    lines.field("client_recent_max_output_buffer", most(|client| client.reply_bytes));
    lines.field("blocked_clients", engine.parked.len() + engine.pause.postponed());
    lines.field("tracking_clients", engine.tracking.clients());
    lines.field("pubsub_clients", engine.pubsub.clients());
    lines.field("watching_clients", engine.keyspace.watched.watchers());
    lines.field("clients_in_timeout_table", engine.parked.with_deadline());
    lines.field("total_watched_keys", engine.keyspace.watched.keys());
    lines.field("total_blocking_keys", engine.keyspace.awaited.len());
    lines.field("total_blocking_keys_on_nokey", 0);
}

fn memory(engine: &Engine, lines: &mut Lines) {
    let dataset = engine.keyspace.store.live_bytes() + engine.keyspace.store.blob_usage().page_bytes;
    let used = engine.memory_used();
    let peak = engine.stats.memory_peak_bytes.max(used);
    let resident = (engine.host.resident_bytes)();
    lines.size("used_memory", used);
    lines.size("used_memory_rss", resident);
    lines.size("used_memory_peak", peak);
    lines.field("used_memory_peak_perc", format_args!("{:.2}%", percent(used, peak)));
    lines.field("used_memory_overhead", used.saturating_sub(dataset));
    lines.field("used_memory_startup", engine.startup_bytes);
    lines.field("used_memory_dataset", dataset);
    lines.field("used_memory_dataset_perc", format_args!("{:.2}%", percent(dataset, used)));
    let pool = engine.keyspace.store.usage().pool;
    lines.field("allocator_allocated", used);
    lines.field("allocator_active", pool.held_bytes.max(used));
    lines.field("allocator_resident", resident);
    lines.field("allocator_muzzy", 0);
    lines.size("total_system_memory", engine.host.system_memory_bytes);
    for name in ["used_memory_lua", "used_memory_vm_eval"] {
        lines.field(name, 0);
    }
    lines.field("used_memory_lua_human", humanize(0));
    for name in ["used_memory_scripts_eval", "number_of_cached_scripts", "number_of_functions", "number_of_libraries"] {
        lines.field(name, 0);
    }
    lines.field("used_memory_vm_functions", 0);
    lines.size("used_memory_vm_total", 0);
    lines.field("used_memory_functions", 0);
    lines.size("used_memory_scripts", 0);
    lines.size("maxmemory", engine.settings.maxmemory);
    lines.field("maxmemory_policy", engine.settings.maxmemory_policy.name());
    let active = pool.held_bytes.max(used);
    lines.field("allocator_frag_ratio", format_args!("{:.2}", ratio(active, used)));
    lines.field("allocator_frag_bytes", active - used);
    lines.field("allocator_rss_ratio", format_args!("{:.2}", ratio(resident, active)));
    lines.field("allocator_rss_bytes", resident as i64 - active as i64);
    lines.field("rss_overhead_ratio", format_args!("{:.2}", 1.0));
    lines.field("rss_overhead_bytes", 0);
    lines.field("mem_fragmentation_ratio", format_args!("{:.2}", ratio(resident, used)));
    lines.field("mem_fragmentation_bytes", resident as i64 - used as i64);
    for name in
        ["mem_not_counted_for_evict", "mem_replication_backlog", "mem_total_replication_buffers", "mem_clients_slaves"]
    {
        lines.field(name, 0);
    }
    lines.field("mem_clients_normal", engine.clients_bytes());
    lines.field("mem_cluster_links", 0);
    lines.field("mem_aof_buffer", 0);
    lines.field("mem_allocator", "chunkbuf");
    lines.field("mem_overhead_db_hashtable_rehashing", 0);
    lines.field("active_defrag_running", 0);
    lines.field("lazyfree_pending_objects", engine.keyspace.freeing());
    lines.field("lazyfreed_objects", engine.keyspace.stats.lazyfreed);
}

/// Where the store's memory is and how compaction does.
fn chunkbuf(engine: &Engine, lines: &mut Lines) {
    let usage = engine.keyspace.store.usage();
    let (pool, index) = (usage.pool, usage.index);
    let index_bytes = index.page_bytes + index.header_bytes + index.directory_bytes;
    let live_bytes = usage.live_bytes + index_bytes + usage.blobs.page_bytes;
    lines.field("chunkbuf_chunk_size_p", engine.settings.chunk_size_p);
    lines.field("chunkbuf_target_utilisation", engine.settings.target_utilisation);
    lines.field("chunkbuf_utilisation", format_args!("{:.4}", ratio(live_bytes, usage.held_bytes())));
    // The entries: what they are, and the chunks they lie on.
    lines.field("chunkbuf_live_bytes", usage.live_bytes);
    lines.field("chunkbuf_dead_bytes", usage.dead_bytes);
    lines.field("chunkbuf_chunk_bytes", usage.chunk_bytes);
    lines.field("chunkbuf_garbage_bytes", usage.garbage_bytes);
    // Large values: how many, who else refers to them (replies, uploads), and their pages, whoever does.
    lines.field("chunkbuf_blobs", usage.blobs.blobs);
    lines.field("chunkbuf_blob_references", usage.blobs.other_handles);
    lines.field("chunkbuf_blob_bytes", usage.blobs.page_bytes);
    // Compaction.
    lines.field("chunkbuf_passes", usage.passes);
    lines.field("chunkbuf_in_pass", u8::from(usage.in_pass));
    lines.field("chunkbuf_debt_bytes", usage.debt_bytes);
    lines.field("chunkbuf_written_bytes", usage.written_bytes);
    lines.field("chunkbuf_copied_bytes", usage.copied_bytes);
    // The pool of chunks.
    lines.field("chunkbuf_held_bytes", usage.held_bytes());
    lines.field("chunkbuf_pool_held_bytes", pool.held_bytes);
    lines.field("chunkbuf_pool_used_bytes", pool.used_bytes);
    lines.field("chunkbuf_pool_pinned_bytes", pool.limbo_bytes);
    lines.field("chunkbuf_pool_free_bytes", pool.warm_bytes);
    lines.field("chunkbuf_pool_mapped_bytes", pool.mapped_bytes);
    // The index.
    lines.field("chunkbuf_index_bytes", index_bytes);
    lines.field("chunkbuf_index_blocks_used", index.blocks_used);
    lines.field("chunkbuf_index_blocks_free", index.blocks_free);
}

fn persistence(engine: &Engine, lines: &mut Lines) {
    lines.field("loading", 0);
    lines.field("async_loading", 0);
    for name in ["current_cow_peak", "current_cow_size", "current_cow_size_age"] {
        lines.field(name, 0);
    }
    lines.field("current_fork_perc", "0.00");
    lines.field("current_save_keys_processed", 0);
    lines.field("current_save_keys_total", 0);
    lines.field("rdb_changes_since_last_save", engine.keyspace.stats.dirty);
    lines.field("rdb_bgsave_in_progress", 0);
    // As in Redis, which takes its start for a save.
    lines.field("rdb_last_save_time", engine.started.unix_us.div_euclid(1_000_000));
    lines.field("rdb_last_bgsave_status", "ok");
    lines.field("rdb_last_bgsave_time_sec", -1);
    lines.field("rdb_current_bgsave_time_sec", -1);
    for name in ["rdb_saves", "rdb_last_cow_size", "rdb_last_load_keys_expired", "rdb_last_load_keys_loaded"] {
        lines.field(name, 0);
    }
    lines.field("aof_enabled", 0);
    lines.field("aof_rewrite_in_progress", 0);
    lines.field("aof_rewrite_scheduled", 0);
    lines.field("aof_last_rewrite_time_sec", -1);
    lines.field("aof_current_rewrite_time_sec", -1);
    lines.field("aof_last_bgrewrite_status", "ok");
    lines.field("aof_rewrites", 0);
    lines.field("aof_rewrites_consecutive_failures", 0);
    lines.field("aof_last_write_status", "ok");
    for name in ["aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"] {
        lines.field(name, 0);
    }
}

fn stats(engine: &Engine, lines: &mut Lines) {
    let stats = &engine.stats;
    let keys = &engine.keyspace.stats;
    let [commands, input, output, turns, turns_us] = stats.per_second();
    let kib = |bytes: u64| bytes as f64 / 1024.0;
    lines.field("total_connections_received", stats.connections_received);
    lines.field("total_commands_processed", stats.commands_processed);
    lines.field("instantaneous_ops_per_sec", commands);
    lines.field("total_net_input_bytes", stats.net_input_bytes);
    lines.field("total_net_output_bytes", stats.net_output_bytes);
    lines.field("total_net_repl_input_bytes", 0);
    lines.field("total_net_repl_output_bytes", 0);
    lines.field("instantaneous_input_kbps", format_args!("{:.2}", kib(input)));
    lines.field("instantaneous_output_kbps", format_args!("{:.2}", kib(output)));
    lines.field("instantaneous_input_repl_kbps", "0.00");
    lines.field("instantaneous_output_repl_kbps", "0.00");
    lines.field("rejected_connections", stats.connections_rejected);
    for name in ["sync_full", "sync_partial_ok", "sync_partial_err"] {
        lines.field(name, 0);
    }
    lines.field("expired_subkeys", keys.expired_subkeys);
    lines.field("expired_keys", keys.expired_keys);
    lines.field("expired_stale_perc", "0.00");
    lines.field("expired_time_cap_reached_count", 0);
    lines.field("expire_cycle_cpu_milliseconds", 0);
    lines.field("evicted_keys", keys.evicted_keys);
    lines.field("evicted_clients", stats.evicted_clients);
    lines.field("evicted_scripts", 0);
    let [total_us, current_us] = engine.exceeded_us();
    lines.field("total_eviction_exceeded_time", total_us / 1000);
    lines.field("current_eviction_exceeded_time", current_us / 1000);
    lines.field("keyspace_hits", keys.keyspace_hits);
    lines.field("keyspace_misses", keys.keyspace_misses);
    lines.field("pubsub_channels", engine.pubsub.len(Kind::Channel));
    lines.field("pubsub_patterns", engine.pubsub.len(Kind::Pattern));
    lines.field("pubsubshard_channels", engine.pubsub.len(Kind::Shard));
    lines.field("latest_fork_usec", 0);
    lines.field("total_forks", 0);
    for name in ["migrate_cached_sockets", "slave_expires_tracked_keys", "active_defrag_hits", "active_defrag_misses"] {
        lines.field(name, 0);
    }
    for name in
        ["active_defrag_key_hits", "active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time"]
    {
        lines.field(name, 0);
    }
    lines.field("tracking_total_keys", engine.tracking.keys());
    lines.field("tracking_total_items", engine.tracking.items());
    lines.field("tracking_total_prefixes", engine.tracking.prefixes());
    lines.field("unexpected_error_replies", 0);
    lines.field("total_error_replies", stats.error_replies);
    lines.field("client_query_buffer_limit_disconnections", stats.query_buffer_disconnections);
    lines.field("client_output_buffer_limit_disconnections", stats.output_limit_disconnections);
    lines.field("total_reads_processed", stats.reads_processed);
    lines.field("total_writes_processed", stats.writes_processed);
    lines.field("io_threaded_reads_processed", 0);
    lines.field("io_threaded_writes_processed", 0);
    // A cycle of Redis's event loop is a turn of ours.
    lines.field("eventloop_cycles", engine.ledger.turns());
    lines.field("eventloop_duration_sum", engine.ledger.total_ns() / 1000);
    let commands_ns: u64 = stats.commands().map(|command| command.nanoseconds).sum();
    lines.field("eventloop_duration_cmd_sum", commands_ns / 1000);
    lines.field("instantaneous_eventloop_cycles_per_sec", turns);
    lines.field("instantaneous_eventloop_duration_usec", turns_us / turns.max(1));
    lines.field("acl_access_denied_auth", stats.auth_denied);
    for name in ["acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel"] {
        lines.field(name, 0);
    }
}

fn replication(engine: &Engine, lines: &mut Lines) {
    lines.field("role", "master");
    lines.field("connected_slaves", 0);
    lines.field("master_failover_state", "no-failover");
    lines.field("master_replid", &engine.replication_id);
    lines.field("master_replid2", "0".repeat(40));
    lines.field("master_repl_offset", 0);
    lines.field("second_repl_offset", -1);
    for name in ["repl_backlog_active", "repl_backlog_size", "repl_backlog_first_byte_offset", "repl_backlog_histlen"] {
        lines.field(name, 0);
    }
}

fn cpu(engine: &Engine, lines: &mut Lines) {
    let (user_us, system_us) = (engine.host.cpu_us)();
    let seconds = |us: u64| us as f64 / 1e6;
    lines.field("used_cpu_sys", format_args!("{:.6}", seconds(system_us)));
    lines.field("used_cpu_user", format_args!("{:.6}", seconds(user_us)));
    lines.field("used_cpu_sys_children", format_args!("{:.6}", 0.0));
    lines.field("used_cpu_user_children", format_args!("{:.6}", 0.0));
}

/// There are none.
fn modules(_: &Engine, _: &mut Lines) {}

fn commandstats(engine: &Engine, lines: &mut Lines) {
    for command in engine.stats.commands() {
        let usec = command.nanoseconds / 1000;
        let usec_per_call = match command.calls {
            0 => 0.0,
            calls => command.nanoseconds as f64 / 1000.0 / calls as f64,
        };
        lines.field(
            &format!("cmdstat_{}", command.name),
            format_args!(
                "calls={},usec={usec},usec_per_call={usec_per_call:.2},rejected_calls={},failed_calls={}",
                command.calls, command.rejected_calls, command.failed_calls
            ),
        );
    }
}

/// `p99.9=12.031`: within 1%, as the histograms are.
fn latencystats(engine: &Engine, lines: &mut Lines) {
    let percentiles = &engine.settings.latency_tracking_info_percentiles;
    for command in engine.stats.commands() {
        let Some(latency) = &command.latency else { continue };
        let told = percentiles.iter().map(|percent| {
            let ns = latency.value_at_quantile(percent / 100.0);
            format!("p{}={}", print_percentage(*percent), microseconds(ns))
        });
        let told = told.collect::<Vec<_>>().join(",");
        lines.field(&format!("latency_percentiles_usec_{}", command.name), told);
    }
}

/// How long turns of the event loop took, and how long without the time that the system gave to others: see [`super::ledger`].
fn stalls(engine: &Engine, lines: &mut Lines) {
    let ledger = &engine.ledger;
    lines.field("stall_turns", ledger.turns());
    const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];
    for (name, quantile) in QUANTILES {
        lines.field(&format!("stall_{name}_us"), microseconds(ledger.quantile_ns(quantile)));
    }
    lines.field("stall_max_us", microseconds(ledger.max_ns()));
    for (name, quantile) in QUANTILES {
        lines.field(&format!("stall_own_{name}_us"), microseconds(ledger.own_quantile_ns(quantile)));
    }
    lines.field("stall_own_max_us", microseconds(ledger.max_own_ns()));
    for (at, stall) in ledger.worst().iter().enumerate() {
        lines.field(
            &format!("stall_worst_{}", at + 1),
            format_args!(
                "us={},away_us={},cause={},at={},cause_us={},count={}",
                microseconds(stall.ns),
                microseconds(stall.away_ns),
                stall.cause,
                stall.at_ms,
                microseconds(stall.cause_ns),
                stall.count
            ),
        );
    }
}

/// Nanoseconds as microseconds with three decimals.
fn microseconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1000, ns % 1000)
}

fn errorstats(engine: &Engine, lines: &mut Lines) {
    for (word, count) in engine.stats.errors() {
        let word = String::from_utf8_lossy(word);
        lines.field(&format!("errorstat_{word}"), format_args!("count={count}"));
    }
}

fn cluster(_: &Engine, lines: &mut Lines) {
    lines.field("cluster_enabled", 0);
}

fn keyspace(engine: &Engine, lines: &mut Lines) {
    for index in 0..engine.keyspace.databases() {
        let usage = engine.keyspace.usage(index);
        if usage.keys > 0 {
            lines.field(
                &format!("db{index}"),
                format_args!("keys={},expires={},avg_ttl={},subexpiry=0", usage.keys, usage.expires, usage.avg_ttl),
            );
        }
    }
}

/// `part / whole`, 0 if there is no whole.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * ratio(part, whole)
}
