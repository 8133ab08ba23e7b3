//! All that the server is besides its sockets: keyspace, clients, settings, statistics, background jobs.
//!
//! The engine is stepped. It opens no socket and no file and reads no clock: the event loop (or a test) tells the time with
//! [`Engine::set_now`], hands in requests through [`crate::dispatch::execute`], and gives the background jobs their turns with
//! [`Engine::run_jobs`]. What only the process can know, such as its resident memory, comes through [`Host`].
//!
//! | file | what lives there |
//! |---|---|
//! | [`settings`] | `SETTINGS`: what CONFIG knows |
//! | [`config_file`] | what CONFIG REWRITE makes of the configuration file |
//! | [`info`] | `INFO`: what can be asked of the server |
//! | [`jobs`] | `JOBS`: what runs in the background |
//! | [`client`], [`clients`] | a connected client, and the table of them |
//! | [`stats`] | counters |
//! | [`metrics`] | what a monitoring system is told |
//! | [`ledger`] | how long every turn took, and what took most of the long ones |
//! | [`latency`], [`slowlog`] | what LATENCY and SLOWLOG tell |
//! | [`tasks`] | long commands, a slice at a time |
//! | [`holds`] | who holds which keys, and who waits for them |
//! | [`parked`] | requests that wait for a key |
//! | [`pause`] | CLIENT PAUSE: who waits for its end |
//! | [`crowd`] | how much memory clients may take together |
//! | [`transaction`] | what clients watch and have queued |
//! | [`outbox`] | what is written to a client by others |
//! | [`pubsub`] | who subscribes to what, and messages under way |
//! | [`monitors`] | clients that see all commands |
//! | [`tracking`] | clients that keep values, and are told when these change |
//! | [`garbage`] | what is too much to be freed at once |
//! | [`memory`] | how much is in use, and what is done when it is short |
//! | [`eviction`] | which keys go then |

pub mod client;
pub mod clients;
pub mod config_file;
pub mod crowd;
pub mod eviction;
pub mod garbage;
pub mod holds;
pub mod info;
pub mod jobs;
pub mod latency;
pub mod ledger;
pub mod memory;
pub mod metrics;
pub mod monitors;
pub mod outbox;
pub mod parked;
pub mod pause;
pub mod pubsub;
pub mod settings;
pub mod slowlog;
pub mod stats;
pub mod tasks;
pub mod tracking;
pub mod transaction;

use std::net::{IpAddr, SocketAddr};

use chunkbuf::Store;

use crate::keyspace::{Keyspace, Millis};
use crate::proto::{CommandError, Limits, Reply};

pub use client::{Client, Replies};
pub use clients::{Clients, Slot};
pub use ledger::{Ledger, ThreadTime};
pub use parked::Wait;
pub use settings::{LogLevel, Settings};
pub use stats::Stats;
pub use tasks::{Progress, Slice, Sliced};

/// The version of Redis that we answer like: what clients read to know which commands there are.
pub const REDIS_VERSION: &str = "7.4.0";

/// A client's number, as `CLIENT ID` tells it; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// A reading of the clocks, taken by the event loop once a turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Microseconds since the Unix epoch.
    pub unix_us: i64,
    /// Microseconds since the process began; never goes back.
    pub monotonic_us: u64,
}

/// What the event loop knows of a new connection.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// `127.0.0.1:51234`, or the socket's path and `:0`.
    pub addr: String,
    /// The address it connected to.
    pub laddr: String,
    /// The number of its file descriptor.
    pub fd: i32,
    /// Whether it came through the Unix socket.
    pub unix: bool,
}

impl Peer {
    /// Whether it is on this machine, as far as its address tells.
    pub(crate) fn is_local(&self) -> bool {
        self.unix
            || self.addr.parse::<SocketAddr>().is_ok_and(|addr| match addr.ip() {
                IpAddr::V4(ip) => ip.is_loopback(),
                IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
            })
    }
}

/// What is to become of the content of a file.
pub type Edit = Box<dyn FnOnce(Vec<u8>) -> Vec<u8> + Send>;

/// A change of a file that is under way elsewhere.
pub struct EditUnderWay(Box<dyn FnMut() -> Option<Result<(), String>>>);

impl EditUnderWay {
    /// One whose outcome `poll` tells once there is one.
    pub fn new(poll: impl FnMut() -> Option<Result<(), String>> + 'static) -> EditUnderWay {
        EditUnderWay(Box::new(poll))
    }

    /// How it ended, if it has: an error is what the system says.
    pub fn poll(&mut self) -> Option<Result<(), String>> {
        (self.0)()
    }
}

impl std::fmt::Debug for EditUnderWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EditUnderWay")
    }
}

/// What only the process can know. The functions ask the system and are called by INFO alone, but for the clocks.
#[derive(Clone, Debug)]
pub struct Host {
    /// The number of the process.
    pub process_id: u32,
    /// The path of the program.
    pub executable: String,
    /// The path of the configuration file; empty: none.
    pub config_file: String,
    /// The system's name, release and machine.
    pub os: String,
    /// Bytes of memory that the machine has.
    pub system_memory_bytes: u64,
    /// Clients that the process has file descriptors for: CONFIG SET does not take `maxclients` beyond it.
    pub clients_max: u32,
    /// Bytes of memory that the process has resident. Asked by INFO, and a hundred times a second where memory is limited.
    pub resident_bytes: fn() -> u64,
    /// Microseconds of processor time that the process has taken: as user, in the system.
    pub cpu_us: fn() -> (u64, u64),
    /// A monotonic clock in nanoseconds, the one that [`Now::monotonic_us`] is read from. Read twice a batch to learn how long
    /// its commands took, and once for each step of a job.
    pub clock_ns: fn() -> u64,
    /// Begins to change a file's content, to be done in one step and by others than the caller, who must not wait.
    pub edit_file: fn(String, Edit) -> EditUnderWay,
    /// Stops the calling thread for so many microseconds: what DEBUG SLEEP is for.
    pub sleep_us: fn(u64),
    /// What the event loop's thread has done: see [`ledger`]. Read at most some thousand times a second.
    pub thread_time: fn() -> ThreadTime,
}

impl Default for Host {
    /// A process that knows nothing of itself and whose clock stands still: what tests want.
    fn default() -> Host {
        Host {
            process_id: 0,
            executable: String::new(),
            config_file: String::new(),
            os: String::new(),
            system_memory_bytes: 0,
            clients_max: u32::MAX,
            resident_bytes: || 0,
            cpu_us: || (0, 0),
            clock_ns: || 0,
            edit_file: |_, _| EditUnderWay::new(|| Some(Err("there are no files".to_owned()))),
            sleep_us: |_| (),
            thread_time: ThreadTime::default,
        }
    }
}

/// The server.
pub struct Engine {
    /// The data.
    pub keyspace: Keyspace,
    /// What can be set; change it with [`change_settings`](Engine::change_settings).
    pub(crate) settings: Settings,
    /// Who is connected.
    pub(crate) clients: Clients,
    /// What has happened.
    pub(crate) stats: Stats,
    /// How long turns took. The event loop tells it where they begin and end.
    pub ledger: Ledger,
    pub(crate) latency: latency::Monitor,
    pub(crate) slowlog: slowlog::SlowLog,
    pub(crate) large_requests: slowlog::SlowLog,
    pub(crate) large_replies: slowlog::SlowLog,
    /// What long commands hold, and who waits for it.
    pub holds: holds::Holds,
    /// Long commands under way.
    tasks: tasks::Tasks,
    /// Requests that wait for a key.
    pub(crate) parked: parked::Parked,
    /// Whether clients are paused, and who waits for the end of that.
    pub(crate) pause: pause::Pause,
    /// What is written to clients by others.
    pub outbox: outbox::Outbox,
    /// Who subscribes to what.
    pub(crate) pubsub: pubsub::PubSub,
    /// Clients that see all commands.
    pub(crate) monitors: monitors::Monitors,
    /// Clients that keep values.
    pub(crate) tracking: tracking::Table,
    /// What is freed in steps.
    pub(crate) garbage: garbage::Garbage,
    /// What the process knows of itself.
    pub host: Host,
    /// Set by SHUTDOWN: the event loop ends when it sees it.
    pub shutdown: bool,
    now: Now,
    /// When the present turn should end, on the clock of [`Host::clock_ns`].
    turn_ends_ns: u64,
    /// When the engine began.
    started: Now,
    /// 40 hexadecimal digits that no other run has.
    run_id: String,
    /// 40 more, which DEBUG CHANGE-REPL-ID changes.
    replication_id: String,
    /// Bytes in use when it began.
    startup_bytes: u64,
    /// What is known of the memory that clients take.
    crowd: crowd::Crowd,
    /// Bytes in the buffers of all clients.
    buffer_bytes: u64,
    expiry: jobs::Expiry,
    /// What is known of memory beside what the store tells.
    pub(crate) memory: memory::Memory,
    eviction: eviction::Eviction,
}

impl Engine {
    /// A server without clients and data. `seed` is randomness from outside: it keys the hash of the store, so it must not be
    /// guessable where clients are not trusted.
    pub fn new(settings: Settings, seed: [u64; 2], now: Now) -> Engine {
        let store = Store::new(chunkbuf::Options {
            p: settings.chunk_size_p,
            memory_limit: settings.store_limit(),
            target_utilisation: settings.target_utilisation,
            hash_key: seed,
            hash_mask: u64::MAX,
        });
        let mut random = SplitMix(seed[0] ^ seed[1].rotate_left(32));
        let databases = settings.databases as usize;
        let mut forty_digits = || -> String { (0..5).map(|_| format!("{:08x}", random.next() >> 32)).collect() };
        let (run_id, replication_id) = (forty_digits(), forty_digits());
        let mut engine = Engine {
            keyspace: Keyspace::new(store, databases, random.next()),
            settings,
            clients: Clients::default(),
            stats: Stats::default(),
            ledger: Ledger::default(),
            latency: latency::Monitor::default(),
            slowlog: slowlog::SlowLog::default(),
            large_requests: slowlog::SlowLog::default(),
            large_replies: slowlog::SlowLog::default(),
            holds: holds::Holds::default(),
            tasks: tasks::Tasks::default(),
            parked: parked::Parked::default(),
            pause: pause::Pause::default(),
            crowd: crowd::Crowd::default(),
            outbox: outbox::Outbox::default(),
            pubsub: pubsub::PubSub::default(),
            monitors: monitors::Monitors::default(),
            tracking: tracking::Table::default(),
            garbage: garbage::Garbage::default(),
            host: Host::default(),
            shutdown: false,
            now,
            turn_ends_ns: u64::MAX,
            started: now,
            run_id,
            replication_id,
            startup_bytes: 0,
            buffer_bytes: 0,
            expiry: jobs::Expiry::default(),
            memory: memory::Memory::default(),
            eviction: eviction::Eviction::default(),
        };
        engine.apply_settings();
        engine.set_now(now);
        engine.startup_bytes = engine.memory_used();
        engine
    }

    /// Tells the time; it stands still until the next call. The event loop calls this once a turn, before anything else.
    pub fn set_now(&mut self, now: Now) {
        debug_assert!(now.monotonic_us >= self.now.monotonic_us);
        self.now = now;
        self.keyspace.set_now(Millis(now.unix_us.div_euclid(1000)));
        if self.stats.sample_due(now) {
            let memory_bytes = self.memory_used();
            self.stats.sample(now, memory_bytes, [self.ledger.turns(), self.ledger.total_ns() / 1000]);
        }
    }

    /// A turn of the event loop begins at `now_ns` on the clock of [`Host::clock_ns`]. Whatever can choose stops `bound_us`
    /// microseconds later: a batch ends between two requests, and the jobs between two rounds.
    #[inline]
    pub fn begin_turn(&mut self, now_ns: u64, bound_us: u64) {
        self.ledger.begin_turn(now_ns, self.host.thread_time);
        self.turn_ends_ns = now_ns.saturating_add(bound_us * 1000);
    }

    /// The turn ends.
    #[inline]
    pub fn end_turn(&mut self, now_ns: u64) {
        self.ledger.end_turn(now_ns, self.now.unix_us, self.host.thread_time);
        self.turn_ends_ns = u64::MAX;
    }

    /// When the present turn should end, on the clock of [`Host::clock_ns`]; outside of turns: never.
    #[inline]
    pub fn turn_ends_ns(&self) -> u64 {
        self.turn_ends_ns
    }

    /// Whether the present turn has had its time, as far as is known without reading the clock.
    #[inline]
    pub fn turn_is_over(&self) -> bool {
        self.ledger.mark_ns() >= self.turn_ends_ns
    }

    /// Notes a latency event that took so long, if that is long enough to be one.
    #[inline]
    pub(crate) fn note_event(&mut self, event: &'static str, ns: u64) {
        let ms = ns / 1_000_000;
        if ms > 0 && self.settings.latency_monitor_threshold != 0 && ms >= self.settings.latency_monitor_threshold {
            let unix_seconds = self.unix_seconds();
            self.latency.add(event, unix_seconds, ms);
        }
    }

    /// The time of day in whole seconds since the Unix epoch, as it was told last.
    pub(crate) fn unix_seconds(&self) -> i64 {
        self.now.unix_us.div_euclid(1_000_000)
    }

    /// The time that was told last.
    pub fn now(&self) -> Now {
        self.now
    }

    /// What is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sets everything anew and makes it act. What may only change at the start stays.
    pub fn change_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.apply_settings();
    }

    fn apply_settings(&mut self) {
        let store = &mut self.keyspace.store;
        store.set_memory_limit(self.settings.store_limit());
        store.set_target_utilisation(self.settings.target_utilisation);
        store.set_p(self.settings.chunk_size_p);
        self.keyspace.bulk_len_max = self.settings.proto_max_bulk_len;
        self.keyspace.blob_threshold = self.settings.blob_threshold;
        self.keyspace.limits = self.settings.limits;
        self.keyspace.notices.set_classes(self.settings.notify_keyspace_events);
        self.apply_crowd_limit();
        self.apply_policy();
    }

    /// Registers a client, or says why not: the connection gets the error and is closed.
    pub fn connect(&mut self, peer: Peer) -> Result<ClientId, CommandError> {
        if self.clients.len() >= self.settings.maxclients as usize {
            self.stats.connections_rejected += 1;
            return Err(CommandError::text_static("ERR max number of clients reached"));
        }
        let no_password = self.settings.requirepass.is_empty();
        if self.settings.protected_mode && no_password && !peer.is_local() {
            self.stats.connections_rejected += 1;
            return Err(CommandError::text_static(DENIED));
        }
        self.stats.connections_received += 1;
        Ok(self.clients.add(peer, no_password, self.now))
    }

    /// Forgets a client whose connection is closed, with what it waits for and what it has under way.
    pub fn disconnect(&mut self, client: ClientId) {
        self.forget_task(client);
        self.forget_parked(client);
        let Some(slot) = self.clients.slot(client) else { return };
        self.discard_transaction(client);
        self.forget_pushed(client);
        let this = self.clients.at(slot);
        self.buffer_bytes -= (this.query_buffer_bytes + this.reply_bytes) as u64;
        self.crowd.value_bytes -= this.upload_bytes as u64;
        self.clients.remove(client);
    }

    /// Nobody writes to a client any more, and what was written is dropped.
    fn forget_pushed(&mut self, client: ClientId) {
        if self.clients.slot(client).is_some_and(|slot| self.clients.at(slot).push.is_some()) {
            self.leave_pubsub(client);
            self.leave_monitors(client);
            self.leave_tracking(client);
        }
        self.forget_output(client);
    }

    /// A connected client. Panics if it is not connected.
    pub fn client(&self, client: ClientId) -> &Client {
        self.clients.at(self.clients.slot(client).expect("commands come from connected clients"))
    }

    /// A connected client, to change it. Panics if it is not connected.
    pub fn client_mut(&mut self, client: ClientId) -> &mut Client {
        let slot = self.clients.slot(client).expect("commands come from connected clients");
        self.clients.at_mut(slot)
    }

    /// A client's line in CLIENT LIST, if it is connected.
    pub(crate) fn describe_client(&self, client: ClientId, line: &mut Vec<u8>) -> bool {
        let Some(client) = self.clients.get(client) else { return false };
        let outbox = self.outbox.of(client.id).map_or((0, 0), |letters| (letters.len(), letters.segments() + 1));
        client.describe(self.now, outbox, self.watching(client), line);
        true
    }

    /// What this client's requests may be at most right now.
    pub fn limits(&self, client: ClientId) -> Limits {
        let authenticated = self.client(client).authenticated;
        Limits {
            bulk_len_max: self.settings.proto_max_bulk_len,
            args_max: i64::from(i32::MAX),
            unauthenticated: !authenticated,
        }
    }

    /// Counts what went over a connection since the last call (`read_bytes`, `written_bytes`) and what its buffers hold now.
    pub fn note_io(
        &mut self,
        client: ClientId,
        read_bytes: usize,
        written_bytes: usize,
        query_buffer_bytes: usize,
        reply: &Reply,
    ) {
        let reply_bytes = reply.own_bytes();
        self.stats.reads_processed += u64::from(read_bytes > 0);
        self.stats.writes_processed += u64::from(written_bytes > 0);
        self.stats.net_input_bytes += read_bytes as u64;
        self.stats.net_output_bytes += written_bytes as u64;
        let now = self.now;
        let client = self.client_mut(client);
        if read_bytes > 0 {
            client.last_interaction_us = now.monotonic_us;
        }
        client.read_bytes += read_bytes as u64;
        client.written_bytes += written_bytes as u64;
        let before = (client.query_buffer_bytes + client.reply_bytes) as u64;
        client.query_buffer_bytes = query_buffer_bytes;
        client.reply_bytes = reply_bytes;
        client.waiting_bytes = reply.len();
        client.waiting_segments = reply.segments();
        let over = client.push.as_ref().is_some_and(|push| push.over_until_us.is_some()).then_some(client.id);
        self.buffer_bytes = self.buffer_bytes - before + (query_buffer_bytes + reply_bytes) as u64;
        if let Some(client) = over {
            self.check_output(client, reply.len());
        }
    }

    /// Counts so many bytes of large values of the request that a client is sending: memory that it takes or will take, although it is in
    /// the store's books.
    pub fn note_upload(&mut self, client: ClientId, bytes: usize) {
        let client = self.client_mut(client);
        let before = std::mem::replace(&mut client.upload_bytes, bytes);
        self.crowd.value_bytes = self.crowd.value_bytes - before as u64 + bytes as u64;
    }

    /// Counts a connection that ends because its client has sent so many bytes of requests that are not carried out.
    #[cold]
    pub fn note_query_buffer_limit(&mut self, client: ClientId, bytes: u64) {
        tracing::warn!("closing the connection of client {}: {bytes} bytes of requests are not carried out", client.0);
        self.stats.query_buffer_disconnections += 1;
    }

    /// Takes what a connection is done with, to be freed in steps if it is large. O(1), or the cost of freeing 1 MiB.
    pub fn discard(&mut self, done: impl garbage::FreeInSteps + 'static) {
        self.garbage.add(done);
    }

    /// One bounded round of the JOBS table: what is owed, or with `idle` anything useful. Whether there is more to do.
    pub fn run_jobs(&mut self, idle: bool) -> bool {
        jobs::run(self, idle)
    }

    /// Whether some job is in debt, so that the loop runs a round between two connections.
    pub fn in_debt(&self) -> bool {
        jobs::JOBS.iter().any(|job| (job.in_debt)(self))
    }

    /// Clients that have been silent for longer than the `timeout` setting, and whose command is not what keeps them so, for the
    /// loop to close. O(clients) when that
    /// setting is not 0: ask about once a second.
    pub fn idle_clients(&mut self) -> Vec<ClientId> {
        let timeout_us = u64::from(self.settings.timeout) * 1_000_000;
        if timeout_us == 0 {
            return Vec::new();
        }
        self.clients
            .iter()
            .filter(|client| self.now.monotonic_us - client.last_interaction_us > timeout_us)
            .filter(|client| !client.is_subscriber() && !client.is_monitor())
            .filter(|client| !client.blocked && !self.has_task(client.id) && !self.holds.is_waiting(client.id))
            .map(|client| client.id)
            .collect()
    }

    /// Panics when the books do not agree: for the fuzzer. O(everything). Parked requests that can be served are.
    #[cfg(fuzzing)]
    pub fn audit(&self) {
        self.keyspace.store.audit();
        self.keyspace.audit_expiries();
        self.keyspace.watched.audit();
        self.holds.audit();
        self.audit_parked();
        let buffers: usize = self
            .clients
            .iter()
            .map(|client| client.query_buffer_bytes + client.reply_bytes + client.parked_bytes + client.queue_bytes())
            .sum();
        assert_eq!(self.buffer_bytes, buffers as u64);
    }

    /// Whether nothing is left of any client, and of no command: for the fuzzer.
    #[cfg(fuzzing)]
    pub fn is_at_rest(&self) -> bool {
        self.clients.is_empty()
            && self.holds.is_idle()
            && self.parked.is_empty()
            && self.keyspace.awaited.is_empty()
            && self.keyspace.watched.is_empty()
            && self.pubsub.is_idle()
            && self.outbox.is_empty()
            && self.garbage.is_empty()
    }

    /// Bytes of memory that the data takes, without the table of the use of keys, which is given up: for the fuzzer.
    #[cfg(fuzzing)]
    pub fn data_bytes(&mut self) -> u64 {
        self.keyspace.give_up_access();
        self.keyspace.store.usage().pool.used_bytes
    }

    /// Bytes of memory that were in use when the server began.
    pub(crate) fn startup_bytes(&self) -> u64 {
        self.startup_bytes
    }

    /// Gives the server another replication id, as if its data were another's from now on.
    pub(crate) fn change_replication_id(&mut self) {
        let mut random = SplitMix(self.keyspace.db(0).random());
        self.replication_id = (0..5).map(|_| format!("{:08x}", random.next() >> 32)).collect();
    }

    /// Clears the statistics.
    pub(crate) fn reset_stats(&mut self) {
        let memory_bytes = self.memory_used();
        self.stats.reset(memory_bytes);
        self.memory.reset();
        let dirty = self.keyspace.stats.dirty;
        self.keyspace.stats = crate::keyspace::Stats { dirty, ..Default::default() };
        self.ledger.reset();
    }
}

/// What a client from elsewhere is told in protected mode. The first word is Redis's.
const DENIED: &str = "DENIED This server is in protected mode: it has no password, so it serves only clients on its own \
     machine. To let others in, set a password (requirepass), or turn the protection off with CONFIG SET protected-mode no \
     from the machine itself or with protected-mode no in the configuration file, if nobody else can reach the port.";

/// SplitMix64: enough to stretch a seed.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
