//! What can be set: by the configuration file, by flags (which are lines of that file), and by CONFIG SET.
//!
//! [`Settings`] holds the values, typed. [`SETTINGS`] has a row for each: its name, when it may change, how it is read and
//! printed, and its bounds. All three ways go through the same rows, so a value that one accepts all accept. Nothing is
//! accepted that would do nothing; a few rows only report a fixed truth (`appendonly no`) and refuse anything else.

mod kinds;

pub use kinds::{Admitted, LogLevel, Password};

use super::eviction::Policy;
use crate::keyspace::notices::Classes;
use crate::text::glob::{self, Case};
use crate::text::integer::{parse_i64, parse_memory};
use crate::text::split;
use crate::types::Limits;

mod output;

pub use output::{ClientClass, OutputLimit, OutputLimits};

/// The values of all settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TCP port; 0: none.
    pub port: u16,
    /// Addresses to listen on. `*` is every IPv4 address, `::*` every IPv6 address; a leading `-` says that it does not
    /// matter when the address is not there. None: no TCP.
    pub bind: Vec<String>,
    /// TCP port of `/metrics`; 0: none.
    pub metrics_port: u16,
    /// The address that it is on.
    pub metrics_bind: String,
    /// Path of a Unix socket; empty: none.
    pub unixsocket: String,
    /// Permissions of the Unix socket; 0: as the process's umask says.
    pub unixsocketperm: u32,
    /// Length of the queue of connections that are not accepted yet.
    pub tcp_backlog: u32,
    /// Seconds of silence after which the system probes a connection; 0: never.
    pub tcp_keepalive: u32,
    /// Seconds of silence after which a client is disconnected; 0: never.
    pub timeout: u32,
    /// Clients at a time.
    pub maxclients: u32,
    /// Whether clients from elsewhere are refused while there is no password.
    pub protected_mode: bool,
    /// Who may use DEBUG.
    pub enable_debug_command: Admitted,
    /// The password; empty: none.
    pub requirepass: Password,
    /// Databases, numbered from 0.
    pub databases: u32,
    /// The longest bulk string of a request, in bytes.
    pub proto_max_bulk_len: u64,
    /// Bytes of requests that a client may have sent which are not carried out.
    pub client_query_buffer_limit: u64,
    /// Bytes of memory that all clients may take together; below 0: per cent of `maxmemory`; 0: no limit.
    pub maxmemory_clients: i64,
    /// Bytes of memory at which writes are refused; 0: no limit.
    pub maxmemory: u64,
    /// Which keys go when memory is short.
    pub maxmemory_policy: Policy,
    /// Keys among which one is chosen to go, at least.
    pub maxmemory_samples: u32,
    /// How much a request that finds memory short does to change that, 0 to 100.
    pub maxmemory_eviction_tenacity: u32,
    /// How much more seldom each further use of a key counts.
    pub lfu_log_factor: u32,
    /// Minutes after which the count of a key's uses falls by one; 0: never.
    pub lfu_decay_time: u32,
    /// Chunk sizes: 0 = small chunks and little slack, 1 = large chunks and few of them.
    pub chunk_size_p: f64,
    /// The live share of the store's memory below which compaction starts.
    pub target_utilisation: f64,
    /// Strings longer than this many bytes are kept as blobs, on pages of their own.
    pub blob_threshold: u64,
    /// When a collection is told to have its large encoding.
    pub limits: Limits,
    /// The events of keys that are published.
    pub notify_keyspace_events: Classes,
    /// How much may wait for a client.
    pub output_limits: OutputLimits,
    /// Keys that are remembered for clients that track; 0: as many as they read.
    pub tracking_table_max_keys: u64,
    /// Microseconds from which on a command is kept in the slow log; below 0: none is.
    pub slowlog_log_slower_than: i64,
    /// Entries of the slow log.
    pub slowlog_max_len: u64,
    /// Bytes of a request, and of a reply, from which on the command is kept as a large one; below 0: none is.
    pub large_request_bytes: i64,
    /// See [`large_request_bytes`](Settings::large_request_bytes).
    pub large_reply_bytes: i64,
    /// Entries of the logs of large requests and large replies.
    pub large_requests_max: u64,
    /// See [`large_requests_max`](Settings::large_requests_max).
    pub large_replies_max: u64,
    /// Milliseconds from which on something is a latency event; 0: nothing is.
    pub latency_monitor_threshold: u64,
    /// Whether each command has a histogram of how long its calls took.
    pub latency_tracking: bool,
    /// The percentiles of those histograms that INFO tells.
    pub latency_tracking_info_percentiles: Vec<f64>,
    /// How much is logged.
    pub loglevel: LogLevel,
    /// Path of the log; empty: standard output.
    pub logfile: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            port: 6379,
            bind: vec!["127.0.0.1".to_owned(), "-::1".to_owned()],
            metrics_port: 0,
            metrics_bind: "127.0.0.1".to_owned(),
            unixsocket: String::new(),
            unixsocketperm: 0,
            tcp_backlog: 511,
            tcp_keepalive: 300,
            timeout: 0,
            maxclients: 10_000,
            protected_mode: true,
            enable_debug_command: Admitted::Nobody,
            requirepass: Password::default(),
            databases: 16,
            proto_max_bulk_len: 512 << 20,
            client_query_buffer_limit: 1 << 30,
            maxmemory_clients: 0,
            maxmemory: 0,
            maxmemory_policy: Policy::NoEviction,
            maxmemory_samples: 5,
            maxmemory_eviction_tenacity: 10,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            chunk_size_p: 0.25,
            target_utilisation: 0.83,
            blob_threshold: chunkbuf::BLOB_THRESHOLD,
            limits: Limits::default(),
            notify_keyspace_events: Classes::default(),
            output_limits: OutputLimits::default(),
            tracking_table_max_keys: 1_000_000,
            slowlog_log_slower_than: 10_000,
            slowlog_max_len: 128,
            large_request_bytes: 1 << 20,
            large_reply_bytes: 1 << 20,
            large_requests_max: 128,
            large_replies_max: 128,
            latency_monitor_threshold: 0,
            latency_tracking: true,
            latency_tracking_info_percentiles: vec![50.0, 99.0, 99.9],
            loglevel: LogLevel::Notice,
            logfile: String::new(),
        }
    }
}

/// A row: one setting.
pub struct Setting {
    /// Its name in lower case.
    pub name: &'static str,
    /// The setting of which it is another name.
    pub alias_of: Option<&'static str>,
    /// When it may change.
    pub change: Change,
    /// How it is read and printed.
    pub value: Value,
}

/// When a setting may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Before the server starts only.
    AtStart,
    /// Before the server starts only, where Redis changes it at any time: CONFIG SET takes the value that it has, and no other.
    Kept,
    /// Also by CONFIG SET.
    AnyTime,
}

/// How a setting is read and printed. Integers are `i128`, wide enough for `u64` and for what is below zero.
pub enum Value {
    /// `yes` or `no`.
    Bool(fn(&Settings) -> bool, fn(&mut Settings, bool)),
    /// A whole number within bounds, both included.
    Integer(Unit, i128, i128, fn(&Settings) -> i128, fn(&mut Settings, i128)),
    /// A number within bounds, both included.
    Number(f64, f64, fn(&Settings) -> f64, fn(&mut Settings, f64)),
    /// Percentages: as many as one likes, each from 0 to 100.
    Percentages(fn(&Settings) -> &[f64], fn(&mut Settings, Vec<f64>)),
    /// One word of a list, by its place there.
    Choice(&'static [&'static str], fn(&Settings) -> usize, fn(&mut Settings, usize)),
    /// Any bytes.
    Bytes(fn(&Settings) -> &[u8], fn(&mut Settings, Vec<u8>)),
    /// A path: text in UTF-8.
    Text(fn(&Settings) -> &str, fn(&mut Settings, String)),
    /// Several words.
    Words(fn(&Settings) -> &[String], fn(&mut Settings, Vec<String>)),
    /// Classes of events, a letter each.
    Events(fn(&Settings) -> Classes, fn(&mut Settings, Classes)),
    /// Words in groups of four: a class of clients, its hard and its soft limit, and seconds.
    ByClass(fn(&Settings) -> &OutputLimits, fn(&mut Settings, OutputLimits)),
    /// Always this value; setting it to anything else is refused with this reason.
    Fixed(&'static str, &'static str),
}

/// How a whole number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Decimal.
    Plain,
    /// Bytes: `100`, `1kb` (1,024), `1k` (1,000), `2gb`.
    Memory,
    /// Bytes, or per cent of something, which are kept below 0: `5%`.
    MemoryOrPercent,
    /// Octal, as permissions are.
    Octal,
}

use kinds::{ADMITTED, LOG_LEVELS};

use Change::{AnyTime, AtStart, Kept};
use Unit::{Memory, MemoryOrPercent, Octal, Plain};
use Value::{Bool, ByClass, Bytes, Choice, Events, Fixed, Integer, Number, Percentages, Text, Words};

/// Every setting.
#[rustfmt::skip] // a table: one row a setting
pub const SETTINGS: &[Setting] = &[
    // Where it listens, and to whom.
    row("port", Kept, Integer(Plain, 0, 65_535, |s| s.port.into(), |s, v| s.port = v as u16)),
    row("bind", Kept, Words(|s| &s.bind, |s, v| s.bind = v)),
    row("metrics-port", Kept, Integer(Plain, 0, 65_535, |s| s.metrics_port.into(), |s, v| s.metrics_port = v as u16)),
    row("metrics-bind", Kept, Text(|s| &s.metrics_bind, |s, v| s.metrics_bind = v)),
    row("unixsocket", AtStart, Text(|s| &s.unixsocket, |s, v| s.unixsocket = v)),
    row("unixsocketperm", AtStart, Integer(Octal, 0, 0o777, |s| s.unixsocketperm.into(), |s, v| s.unixsocketperm = v as u32)),
    row("tcp-backlog", AtStart, Integer(Plain, 0, INT_MAX, |s| s.tcp_backlog.into(), |s, v| s.tcp_backlog = v as u32)),
    row("tcp-keepalive", Kept, Integer(Plain, 0, INT_MAX, |s| s.tcp_keepalive.into(), |s, v| s.tcp_keepalive = v as u32)),
    row("timeout", AnyTime, Integer(Plain, 0, INT_MAX, |s| s.timeout.into(), |s, v| s.timeout = v as u32)),
    row("maxclients", AnyTime, Integer(Plain, 1, u32::MAX as i128, |s| s.maxclients.into(), |s, v| s.maxclients = v as u32)),
    row("protected-mode", AnyTime, Bool(|s| s.protected_mode, |s, v| s.protected_mode = v)),
    row(
        "enable-debug-command",
        AtStart,
        Choice(
            &["no", "yes", "local"],
            |s| s.enable_debug_command as usize,
            |s, v| s.enable_debug_command = ADMITTED[v],
        ),
    ),
    row("requirepass", AnyTime, Bytes(|s| &s.requirepass.0, |s, v| s.requirepass = Password(v))),
    // What it holds.
    row("databases", AtStart, Integer(Plain, 1, DATABASES_MAX, |s| s.databases.into(), |s, v| s.databases = v as u32)),
    row(
        "proto-max-bulk-len",
        AnyTime,
        Integer(Memory, 1 << 20, i64::MAX as i128, |s| s.proto_max_bulk_len.into(), |s, v| s.proto_max_bulk_len = v as u64),
    ),
    row(
        "client-query-buffer-limit",
        AnyTime,
        Integer(Memory, 1 << 20, I64_MAX, |s| s.client_query_buffer_limit.into(), |s, v| s.client_query_buffer_limit = v as u64),
    ),
    row(
        "maxmemory-clients",
        AnyTime,
        Integer(MemoryOrPercent, -100, I64_MAX, |s| s.maxmemory_clients.into(), |s, v| s.maxmemory_clients = v as i64),
    ),
    row("maxmemory", AnyTime, Integer(Memory, 0, u64::MAX as i128, |s| s.maxmemory.into(), |s, v| s.maxmemory = v as u64)),
    row("maxmemory-policy", AnyTime, Choice(&Policy::NAMES, |s| s.maxmemory_policy as usize, |s, v| s.maxmemory_policy = Policy::ALL[v])),
    row("maxmemory-samples", AnyTime, Integer(Plain, 1, 64, |s| s.maxmemory_samples.into(), |s, v| s.maxmemory_samples = v as u32)),
    row(
        "maxmemory-eviction-tenacity",
        AnyTime,
        Integer(Plain, 0, 100, |s| s.maxmemory_eviction_tenacity.into(), |s, v| s.maxmemory_eviction_tenacity = v as u32),
    ),
    row("lfu-log-factor", AnyTime, Integer(Plain, 0, INT_MAX, |s| s.lfu_log_factor.into(), |s, v| s.lfu_log_factor = v as u32)),
    row("lfu-decay-time", AnyTime, Integer(Plain, 0, INT_MAX, |s| s.lfu_decay_time.into(), |s, v| s.lfu_decay_time = v as u32)),
    row("chunk-size-p", AnyTime, Number(0.0, 1.0, |s| s.chunk_size_p, |s, v| s.chunk_size_p = v)),
    row("target-utilisation", AnyTime, Number(0.5, 0.95, |s| s.target_utilisation, |s, v| s.target_utilisation = v)),
    row(
        "blob-threshold",
        AnyTime,
        Integer(Memory, 1 << 10, 1 << 20, |s| s.blob_threshold.into(), |s, v| s.blob_threshold = v as u64),
    ),
    // What OBJECT ENCODING tells.
    row(
        "hash-max-listpack-entries",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.limits.hash_max_listpack_entries as i128, |s, v| s.limits.hash_max_listpack_entries = v as usize),
    ),
    alias(
        "hash-max-ziplist-entries",
        "hash-max-listpack-entries",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.limits.hash_max_listpack_entries as i128, |s, v| s.limits.hash_max_listpack_entries = v as usize),
    ),
    row(
        "hash-max-listpack-value",
        AnyTime,
        Integer(Memory, 0, I64_MAX, |s| s.limits.hash_max_listpack_value as i128, |s, v| s.limits.hash_max_listpack_value = v as usize),
    ),
    alias(
        "hash-max-ziplist-value",
        "hash-max-listpack-value",
        AnyTime,
        Integer(Memory, 0, I64_MAX, |s| s.limits.hash_max_listpack_value as i128, |s, v| s.limits.hash_max_listpack_value = v as usize),
    ),
    row(
        "set-max-intset-entries",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.limits.set_max_intset_entries as i128, |s, v| s.limits.set_max_intset_entries = v as usize),
    ),
    row(
        "set-max-listpack-entries",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.limits.set_max_listpack_entries as i128, |s, v| s.limits.set_max_listpack_entries = v as usize),
    ),
    row(
        "set-max-listpack-value",
        AnyTime,
        Integer(Memory, 0, I64_MAX, |s| s.limits.set_max_listpack_value as i128, |s, v| s.limits.set_max_listpack_value = v as usize),
    ),
    row(
        "zset-max-listpack-entries",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.limits.zset_max_listpack_entries as i128, |s, v| s.limits.zset_max_listpack_entries = v as usize),
    ),
    alias(
        "zset-max-ziplist-entries",
        "zset-max-listpack-entries",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.limits.zset_max_listpack_entries as i128, |s, v| s.limits.zset_max_listpack_entries = v as usize),
    ),
    row(
        "zset-max-listpack-value",
        AnyTime,
        Integer(Memory, 0, I64_MAX, |s| s.limits.zset_max_listpack_value as i128, |s, v| s.limits.zset_max_listpack_value = v as usize),
    ),
    alias(
        "zset-max-ziplist-value",
        "zset-max-listpack-value",
        AnyTime,
        Integer(Memory, 0, I64_MAX, |s| s.limits.zset_max_listpack_value as i128, |s, v| s.limits.zset_max_listpack_value = v as usize),
    ),
    row("list-compress-depth", AnyTime, Fixed("0", "lists are not compressed")),
    row(
        "list-max-listpack-size",
        AnyTime,
        Integer(Plain, I32_MIN, I32_MAX, |s| s.limits.list_max_listpack_size.into(), |s, v| s.limits.list_max_listpack_size = v as i64),
    ),
    alias(
        "list-max-ziplist-size",
        "list-max-listpack-size",
        AnyTime,
        Integer(Plain, I32_MIN, I32_MAX, |s| s.limits.list_max_listpack_size.into(), |s, v| s.limits.list_max_listpack_size = v as i64),
    ),
    row("save", AnyTime, Fixed("", "persistence is not available in this version")),
    row("appendonly", AnyTime, Fixed("no", "persistence is not available in this version")),
    row("notify-keyspace-events", AnyTime, Events(|s| s.notify_keyspace_events, |s, v| s.notify_keyspace_events = v)),
    row("client-output-buffer-limit", AnyTime, ByClass(|s| &s.output_limits, |s, v| s.output_limits = v)),
    row(
        "tracking-table-max-keys",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.tracking_table_max_keys.into(), |s, v| s.tracking_table_max_keys = v as u64),
    ),
    row("appendfsync", AnyTime, Fixed("everysec", "persistence is not available in this version")),
    row("no-appendfsync-on-rewrite", AnyTime, Fixed("no", "persistence is not available in this version")),
    row("auto-aof-rewrite-percentage", AnyTime, Fixed("100", "persistence is not available in this version")),
    row("auto-aof-rewrite-min-size", AnyTime, Fixed("67108864", "persistence is not available in this version")),
    row("stop-writes-on-bgsave-error", AnyTime, Fixed("no", "persistence is not available in this version: no write is stopped")),
    // What it watches.
    row(
        "slowlog-log-slower-than",
        AnyTime,
        Integer(Plain, -1, I64_MAX, |s| s.slowlog_log_slower_than.into(), |s, v| s.slowlog_log_slower_than = v as i64),
    ),
    row("slowlog-max-len", AnyTime, Integer(Plain, 0, I64_MAX, |s| s.slowlog_max_len.into(), |s, v| s.slowlog_max_len = v as u64)),
    alias(
        "commandlog-execution-slower-than",
        "slowlog-log-slower-than",
        AnyTime,
        Integer(Plain, -1, I64_MAX, |s| s.slowlog_log_slower_than.into(), |s, v| s.slowlog_log_slower_than = v as i64),
    ),
    alias(
        "commandlog-slow-execution-max-len",
        "slowlog-max-len",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.slowlog_max_len.into(), |s, v| s.slowlog_max_len = v as u64),
    ),
    row(
        "commandlog-request-larger-than",
        AnyTime,
        Integer(Plain, -1, I64_MAX, |s| s.large_request_bytes.into(), |s, v| s.large_request_bytes = v as i64),
    ),
    row(
        "commandlog-large-request-max-len",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.large_requests_max.into(), |s, v| s.large_requests_max = v as u64),
    ),
    row(
        "commandlog-reply-larger-than",
        AnyTime,
        Integer(Plain, -1, I64_MAX, |s| s.large_reply_bytes.into(), |s, v| s.large_reply_bytes = v as i64),
    ),
    row(
        "commandlog-large-reply-max-len",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.large_replies_max.into(), |s, v| s.large_replies_max = v as u64),
    ),
    row(
        "latency-monitor-threshold",
        AnyTime,
        Integer(Plain, 0, I64_MAX, |s| s.latency_monitor_threshold.into(), |s, v| s.latency_monitor_threshold = v as u64),
    ),
    row("latency-tracking", AnyTime, Bool(|s| s.latency_tracking, |s, v| s.latency_tracking = v)),
    row(
        "latency-tracking-info-percentiles",
        AnyTime,
        Percentages(|s| &s.latency_tracking_info_percentiles, |s, v| s.latency_tracking_info_percentiles = v),
    ),
    // How it frees: always in steps.
    row("lazyfree-lazy-eviction", AnyTime, Fixed("yes", FREES_LAZILY)),
    row("lazyfree-lazy-expire", AnyTime, Fixed("yes", FREES_LAZILY)),
    row("lazyfree-lazy-server-del", AnyTime, Fixed("yes", FREES_LAZILY)),
    row("lazyfree-lazy-user-del", AnyTime, Fixed("yes", FREES_LAZILY)),
    row("lazyfree-lazy-user-flush", AnyTime, Fixed("yes", FREES_LAZILY)),
    row("activerehashing", AnyTime, Fixed("yes", "the index always grows in steps")),
    row("activedefrag", AnyTime, Fixed("no", "there is compaction instead, which is always on")),
    // What it is not.
    row("cluster-enabled", AtStart, Fixed("no", "cluster mode is not available in this version")),
    alias("slaveof", "replicaof", AtStart, Fixed("", "replication is not available in this version")),
    row("replicaof", AtStart, Fixed("", "replication is not available in this version")),
    alias("min-slaves-to-write", "min-replicas-to-write", AnyTime, Fixed("0", "replication is not available in this version")),
    row("min-replicas-to-write", AnyTime, Fixed("0", "replication is not available in this version")),
    row("tls-port", AnyTime, Fixed("0", "TLS is not available in this version")),
    row("aclfile", AtStart, Fixed("", "access control lists are not available in this version")),
    row("enable-module-command", AtStart, Fixed("no", "modules are not available in this version")),
    row("enable-protected-configs", AtStart, Fixed("no", "what is set at the start only cannot be set later")),
    row("syslog-enabled", AtStart, Fixed("no", "the log goes to the standard output or to a file")),
    // How it runs.
    row("hz", AnyTime, Fixed("10", "work in the background has no frequency of its own here: it is done as it comes up")),
    row("dynamic-hz", AnyTime, Fixed("yes", "work in the background has no frequency of its own here: it is done as it comes up")),
    row("io-threads", AtStart, Fixed("1", "more threads are not available in this version")),
    row("supervised", AtStart, Fixed("no", "a supervisor is not told anything in this version")),
    row("daemonize", AtStart, Fixed("no", "running in the background is not available in this version: use a supervisor")),
    row(
        "loglevel",
        Kept,
        Choice(
            &["debug", "verbose", "notice", "warning", "nothing"],
            |s| s.loglevel as usize,
            |s, v| s.loglevel = LOG_LEVELS[v],
        ),
    ),
    row("logfile", AtStart, Text(|s| &s.logfile, |s, v| s.logfile = v)),
];

/// The bound of C's `int`, which Redis names in its errors.
const INT_MAX: i128 = i32::MAX as i128;

/// The bound of C's `long long`.
const I32_MIN: i128 = i32::MIN as i128;
const I32_MAX: i128 = i32::MAX as i128;
const I64_MAX: i128 = i64::MAX as i128;

/// Databases at most. Redis has no bound of its own; ours keeps a slip of the keyboard from taking gigabytes at start.
const DATABASES_MAX: i128 = 65_536;

const FREES_LAZILY: &str = "what is removed is always freed in steps";

const WRONG_NUMBER: &str = "wrong number of arguments";

const fn row(name: &'static str, change: Change, value: Value) -> Setting {
    Setting { name, alias_of: None, change, value }
}

/// Another name of a setting, which goes by it in files that are older.
const fn alias(name: &'static str, alias_of: &'static str, change: Change, value: Value) -> Setting {
    Setting { name, alias_of: Some(alias_of), change, value }
}

impl Setting {
    /// The row of a name in any case.
    pub fn find(name: &[u8]) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether its name matches a glob pattern in any case.
    pub fn matches(&self, pattern: &[u8]) -> bool {
        glob::matches(pattern, self.name.as_bytes(), Case::Blind)
    }

    /// Sets the value that `words` spell; one word except for lists. On an error, whose text is Redis's, nothing changes.
    pub fn set<W: AsRef<[u8]>>(&self, settings: &mut Settings, words: &[W]) -> Result<(), String> {
        if let Words(_, set) = self.value {
            let words = words.iter().map(|word| utf8(word.as_ref())).collect::<Result<Vec<_>, _>>()?;
            let none = words.len() == 1 && words[0].is_empty();
            set(settings, if none { Vec::new() } else { words });
            return Ok(());
        }
        if let Fixed(value, refusal) = self.value {
            let asked = words.iter().map(AsRef::as_ref).collect::<Vec<_>>();
            return match asked[..] {
                [] => Err(WRONG_NUMBER.to_owned()),
                [word] if word.eq_ignore_ascii_case(value.as_bytes()) => Ok(()),
                _ => Err(refusal.to_owned()),
            };
        }
        if let Percentages(_, set) = self.value {
            set(settings, read_percentages(words)?);
            return Ok(());
        }
        if let ByClass(get, set) = self.value {
            let limits = output::read(get(settings), words)?;
            set(settings, limits);
            return Ok(());
        }
        let [word] = words else {
            return Err(WRONG_NUMBER.to_owned());
        };
        let word = word.as_ref();
        match self.value {
            Bool(_, set) => {
                let value = if word.eq_ignore_ascii_case(b"yes") {
                    true
                } else if word.eq_ignore_ascii_case(b"no") {
                    false
                } else {
                    return Err("argument must be 'yes' or 'no'".to_owned());
                };
                set(settings, value);
            }
            Integer(unit, min, max, _, set) => {
                let value = read_integer(unit, word)?;
                if unit == MemoryOrPercent && value < min {
                    return Err(format!("percentage argument must be less or equal to {}", -min));
                }
                if value < min || value > max {
                    let (min, max) = (print_integer(unit, min), print_integer(unit, max));
                    return Err(format!("argument must be between {min} and {max} inclusive"));
                }
                set(settings, value);
            }
            Number(min, max, _, set) => {
                let value = crate::text::double::parse_f64(word).ok_or("argument couldn't be parsed into a number")?;
                if !(min..=max).contains(&value) {
                    return Err(format!("argument must be between {min} and {max} inclusive"));
                }
                set(settings, value);
            }
            Choice(names, _, set) => {
                let at = names.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word)).ok_or_else(|| {
                    let names = names.join(", ");
                    format!("argument(s) must be one of the following: {names}")
                })?;
                set(settings, at);
            }
            Bytes(_, set) => set(settings, word.to_vec()),
            Text(_, set) => set(settings, utf8(word)?),
            Events(_, set) => {
                let refusal = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
                set(settings, Classes::parse(word).ok_or(refusal)?);
            }
            Words(..) | Percentages(..) | ByClass(..) | Fixed(..) => unreachable!("they return above"),
        }
        Ok(())
    }

    /// The value as CONFIG GET prints it.
    pub fn print(&self, settings: &Settings) -> Vec<u8> {
        match self.value {
            Bool(get, _) => if get(settings) { "yes" } else { "no" }.into(),
            Integer(unit, _, _, get, _) => print_integer(unit, get(settings)).into(),
            Number(_, _, get, _) => get(settings).to_string().into(),
            Choice(names, get, _) => names[get(settings)].into(),
            Bytes(get, _) => get(settings).to_vec(),
            Text(get, _) => get(settings).into(),
            Words(get, _) => get(settings).join(" ").into(),
            Percentages(get, _) => {
                get(settings).iter().map(|&value| print_percentage(value)).collect::<Vec<_>>().join(" ").into()
            }
            Events(get, _) => get(settings).print().into(),
            ByClass(get, _) => get(settings).print().into(),
            Fixed(value, _) => value.into(),
        }
    }
}

fn read_integer(unit: Unit, word: &[u8]) -> Result<i128, &'static str> {
    match unit {
        Plain => parse_i64(word).map(i128::from).ok_or("argument couldn't be parsed into an integer"),
        Memory => parse_memory(word).map(i128::from).ok_or("argument must be a memory value"),
        MemoryOrPercent => {
            let percent = word.strip_suffix(b"%").and_then(parse_i64).filter(|&percent| percent >= 0);
            let bytes = || parse_memory(word).map(i128::from);
            percent
                .map(|percent| -i128::from(percent))
                .or_else(bytes)
                .ok_or("argument must be a memory or percent value")
        }
        Octal => std::str::from_utf8(word)
            .ok()
            .and_then(|text| u32::from_str_radix(text, 8).ok())
            .map(i128::from)
            .ok_or("argument couldn't be parsed as an octal number"),
    }
}

/// A percentage with as many decimals as it needs, six at most.
pub(super) fn print_percentage(value: f64) -> String {
    let printed = format!("{value:.6}");
    printed.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Words of numbers; one empty word is none. The texts name the only setting of the kind, as Redis's do.
fn read_percentages<W: AsRef<[u8]>>(words: &[W]) -> Result<Vec<f64>, String> {
    if words.len() == 1 && words[0].as_ref().is_empty() {
        return Ok(Vec::new());
    }
    let read = |word: &W| {
        let value = crate::text::double::parse_f64(word.as_ref()).filter(|value| !value.is_nan());
        let value = value.ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&value) {
            return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".to_owned());
        }
        Ok(value)
    };
    words.iter().map(read).collect()
}

fn print_integer(unit: Unit, value: i128) -> String {
    match unit {
        Plain | Memory => value.to_string(),
        MemoryOrPercent if value < 0 => format!("{}%", -value),
        MemoryOrPercent => value.to_string(),
        Octal => format!("{value:o}"),
    }
}

fn utf8(word: &[u8]) -> Result<String, String> {
    String::from_utf8(word.to_vec()).map_err(|_| "argument must be text in UTF-8".to_owned())
}

impl Settings {
    /// Takes one line of a configuration file in redis.conf's syntax: a name and its value, quoted where need be. Empty lines
    /// and comments are fine and do nothing.
    pub fn apply_line(&mut self, line: &[u8]) -> Result<(), String> {
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            return Ok(());
        }
        let words = split::split(line).map_err(|_| "unbalanced quotes".to_owned())?;
        let Some((name, values)) = words.split_first() else {
            return Ok(());
        };
        let shown = String::from_utf8_lossy(name).into_owned();
        let setting = Setting::find(name).ok_or_else(|| format!("unknown setting '{shown}'"))?;
        setting.set(self, values).map_err(|reason| format!("{shown}: {reason}"))
    }

    /// Bytes in use above which commands that need memory are refused.
    pub fn memory_limit(&self) -> u64 {
        match self.maxmemory {
            0 => u64::MAX,
            bytes => bytes,
        }
    }

    /// Nanoseconds from which on a run of commands concerns the slow log or the latency monitor.
    pub fn slow_ns(&self) -> u64 {
        let slowlog = u64::try_from(self.slowlog_log_slower_than).map_or(u64::MAX, |us| us.saturating_mul(1000));
        let monitor = match self.latency_monitor_threshold {
            0 => u64::MAX,
            ms => ms.saturating_mul(1_000_000),
        };
        slowlog.min(monitor)
    }

    /// Bytes of a request or a reply from which on it may be a large one.
    pub fn large_bytes(&self) -> usize {
        let bytes = |setting: i64| usize::try_from(setting).unwrap_or(usize::MAX);
        bytes(self.large_request_bytes).min(bytes(self.large_reply_bytes)).max(1)
    }

    /// Bytes that the store never holds more than: a little above `maxmemory`, as commands that Redis does not refuse there
    /// (EXPIRE, RENAME) may have to write an entry anew, and the last part below a limit is compaction's.
    pub fn store_limit(&self) -> u64 {
        const ROOM_MAX: u64 = 4 << 20;
        match self.maxmemory {
            0 => u64::MAX,
            bytes => bytes.saturating_add((bytes / 4).min(ROOM_MAX)),
        }
    }
}

/// Why CONFIG SET failed; nothing has changed.
#[derive(Debug, PartialEq, Eq)]
pub enum SetError {
    /// The position of the name that is no setting.
    Unknown(usize),
    /// The position of the pair that is at fault, and what is wrong with it.
    Failed(usize, String),
}

/// Sets all pairs of a name and a value, or none: returns the settings as they shall be. The value of a list is its words
/// with blanks between them.
pub fn set_all(settings: &Settings, pairs: &[(&[u8], &[u8])]) -> Result<Settings, SetError> {
    // All names first, then all values: a bad name is reported even behind a bad value.
    let mut rows: Vec<&'static Setting> = Vec::with_capacity(pairs.len());
    for (at, &(name, _)) in pairs.iter().enumerate() {
        let setting = Setting::find(name).ok_or(SetError::Unknown(at))?;
        if setting.change == AtStart {
            return Err(SetError::Failed(at, "can't set immutable config".to_owned()));
        }
        if rows.iter().any(|row| std::ptr::eq(*row, setting)) {
            return Err(SetError::Failed(at, "duplicate parameter".to_owned()));
        }
        rows.push(setting);
    }
    let mut changed = settings.clone();
    for (at, (setting, &(_, value))) in rows.iter().zip(pairs).enumerate() {
        let words: Vec<&[u8]> = match setting.value {
            Words(..) | Percentages(..) => value.split(|&byte| byte == b' ').collect(),
            ByClass(..) => value.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect(),
            _ => vec![value],
        };
        setting.set(&mut changed, &words).map_err(|reason| SetError::Failed(at, reason))?;
        if setting.change == Kept && setting.print(&changed) != setting.print(settings) {
            return Err(SetError::Failed(at, "it can only be changed at the start in this version".to_owned()));
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> Settings {
        let mut settings = Settings::default();
        for line in lines {
            settings.apply_line(line.as_bytes()).unwrap_or_else(|reason| panic!("{line}: {reason}"));
        }
        settings
    }

    fn printed(settings: &Settings, name: &str) -> String {
        let setting = Setting::find(name.as_bytes()).expect("a setting");
        String::from_utf8(setting.print(settings)).expect("text")
    }

    #[test]
    fn a_configuration_file_in_redis_syntax_is_read_line_by_line() {
        let settings = after(&[
            "# a comment",
            "",
            "   PORT 6380  ",
            "bind 127.0.0.1 -::1",
            "requirepass \"two words\\n\"",
            "maxmemory 1gb",
            "save \"\"",
            "appendonly no",
            "maxmemory-policy noeviction",
            "unixsocketperm 700",
            "target-utilisation 0.9",
            "loglevel warning",
        ]);
        assert_eq!(settings.port, 6380);
        assert_eq!(settings.bind, ["127.0.0.1", "-::1"]);
        assert_eq!(settings.requirepass.0, b"two words\n");
        assert_eq!(settings.maxmemory, 1 << 30);
        assert_eq!(settings.unixsocketperm, 0o700);
        assert_eq!(settings.loglevel, LogLevel::Warning);
        assert_eq!(printed(&settings, "unixsocketperm"), "700");
        assert_eq!(printed(&settings, "target-utilisation"), "0.9");
        assert_eq!(printed(&settings, "bind"), "127.0.0.1 -::1");
    }

    #[test]
    fn a_line_that_means_nothing_is_a_clear_error() {
        let mut settings = Settings::default();
        for (line, error) in [
            ("nosuch 1", "unknown setting 'nosuch'"),
            ("port", "port: wrong number of arguments"),
            ("port 1 2", "port: wrong number of arguments"),
            ("port x", "port: argument couldn't be parsed into an integer"),
            ("port 65536", "port: argument must be between 0 and 65535 inclusive"),
            ("logfile \"open", "unbalanced quotes"),
            ("maxmemory 1tb", "maxmemory: argument must be a memory value"),
            ("protected-mode maybe", "protected-mode: argument must be 'yes' or 'no'"),
            ("save 3600 1", "save: persistence is not available in this version"),
            ("save", "save: wrong number of arguments"),
            ("save \"3600 1\"", "save: persistence is not available in this version"),
            ("appendonly yes", "appendonly: persistence is not available in this version"),
            (
                "maxmemory-policy lru",
                "maxmemory-policy: argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, \
                 allkeys-lru, allkeys-lfu, allkeys-random, noeviction",
            ),
            ("maxmemory-samples 65", "maxmemory-samples: argument must be between 1 and 64 inclusive"),
            ("chunk-size-p 1.5", "chunk-size-p: argument must be between 0 and 1 inclusive"),
            ("chunk-size-p x", "chunk-size-p: argument couldn't be parsed into a number"),
            ("unixsocketperm 888", "unixsocketperm: argument couldn't be parsed as an octal number"),
        ] {
            assert_eq!(settings.apply_line(line.as_bytes()), Err(error.to_owned()), "{line}");
        }
        assert_eq!(settings.port, 6379);
    }

    #[test]
    fn what_every_row_prints_it_also_reads() {
        let defaults = Settings::default();
        for setting in SETTINGS {
            let mut copy = defaults.clone();
            let printed = setting.print(&defaults);
            let words: Vec<&[u8]> = match setting.value {
                Words(..) | Percentages(..) | ByClass(..) => printed.split(|&byte| byte == b' ').collect(),
                _ => vec![&printed],
            };
            setting.set(&mut copy, &words).unwrap();
            assert_eq!(setting.print(&copy), printed, "{}", setting.name);
        }
    }

    #[test]
    fn the_rows_have_names_of_their_own_in_lower_case() {
        for (at, setting) in SETTINGS.iter().enumerate() {
            assert_eq!(setting.name, setting.name.to_ascii_lowercase());
            assert!(SETTINGS[..at].iter().all(|other| other.name != setting.name));
        }
    }

    #[test]
    fn many_are_set_at_once_or_none() {
        let settings = Settings::default();
        let changed = set_all(&settings, &[(b"timeout", b"5"), (b"MAXMEMORY", b"1mb")]).unwrap();
        assert_eq!((changed.timeout, changed.maxmemory), (5, 1 << 20));
        for (pairs, error) in [
            ([(&b"timeout"[..], &b"x"[..]), (b"nosuch", b"1")], SetError::Unknown(1)),
            (
                [(b"timeout", b"5"), (b"maxmemory", b"x")],
                SetError::Failed(1, "argument must be a memory value".to_owned()),
            ),
            ([(b"timeout", b"5"), (b"Timeout", b"6")], SetError::Failed(1, "duplicate parameter".to_owned())),
            ([(b"databases", b"5"), (b"nosuch", b"6")], SetError::Failed(0, "can't set immutable config".to_owned())),
        ] {
            assert_eq!(set_all(&settings, &pairs).unwrap_err(), error);
        }
    }

    #[test]
    fn a_password_matches_itself_only() {
        let password = Password(b"secret".to_vec());
        assert!(password.matches(b"secret"));
        for other in [&b""[..], b"secre", b"secret2", b"Secret", b"secret\0"] {
            assert!(!password.matches(other));
        }
        assert_eq!(format!("{password:?}"), "(hidden)");
    }
}
