//! Sockets, timers and signals: everything around the engine.
//!
//! ```text
//!   listener --accepts--> connection (a task each): read -> parse -> execute -> write
//!                              |                                 |
//!                            desk: one scratch buffer,        engine: one borrow a batch
//!                            one batch, for all of them           |
//!   jobs (a task): compaction, expiry, idle clients --------------+
//!   signals: SIGTERM, SIGINT --> everything ends in order
//! ```
//!
//! One thread and one tokio runtime drive it all. A task runs until it waits, so the bound on what a *turn* of a connection may do
//! (see [`connection`]) is what keeps the others' replies steady; between turns of busy connections the system is asked for
//! new events.
//!
//! * [`listener`]: TCP and Unix sockets, and what an accepted connection is set to.
//! * [`connection`]: a client's turn.
//! * [`jobs`]: background work, in idle time and when it is owed.
//! * [`metrics`]: `/metrics` for Prometheus, by another thread.
//! * [`files`]: what is written to disk, by another thread.
//! * [`saturation`]: whether the loop has more to do than time for it.
//! * [`clock`], [`signals`], [`descriptors`], [`host`]: the process's surroundings.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::engine::{ClientId, Engine, Settings};

use clock::Clock;
use connection::Desk;
use saturation::Saturation;

mod clock;
mod connection;
mod descriptors;
mod files;
mod host;
mod jobs;
mod listener;
mod metrics;
mod saturation;
mod signals;
mod stream;
mod upload;

/// Turns between two looks for new events of the system while tasks are ready. tokio's own 61 lets a busy loop look too late.
const TURNS_PER_LOOK: u32 = 31;
/// Connections that a turn ends because their client was killed, some 0.3 us each; each then has a turn for its own end.
const ENDED_AT_ONCE: usize = 128;
/// Connections that are woken at once, some 0.4 us each.
const WAKES_AT_ONCE: usize = 256;
/// How long the end waits for clients to take the replies that they are owed.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The runtime, or a signal handler, could not be set up.
    #[error("cannot set up the event loop")]
    Runtime(#[source] io::Error),
    /// An address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Address and port, or path.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Neither an address nor a Unix socket is left to listen on.
    #[error("there is nothing to listen on: no TCP port and no Unix socket")]
    NothingToListenOn,
}

/// What all connections and jobs share.
struct Shared {
    engine: RefCell<Engine>,
    clock: Clock,
    /// The buffers of whichever connection has its turn.
    desk: RefCell<Desk>,
    /// How to end the task of each client.
    tasks: RefCell<HashMap<ClientId, AbortHandle>>,
    /// How to wake the task of each client, whatever it waits for.
    wakers: RefCell<HashMap<ClientId, Waker>>,
    /// When the jobs will look for work next, on the monotonic clock, in microseconds.
    rest_ends_us: Cell<u64>,
    /// Told when they have to look earlier.
    rest_ends: Notify,
    /// Turns of connections since the start.
    turns: Cell<u64>,
    saturation: Saturation,
    /// Connections whose client has not taken all its replies.
    unsent: Cell<usize>,
    /// Told when the engine wants the server to end.
    end: Notify,
    /// Set once the server ends: nothing more is read.
    ending: Cell<bool>,
    /// Whether connections are being ended whose client was killed, and nobody has let them go first yet.
    others_end: Cell<bool>,
}

impl Shared {
    /// Wakes connections whose client may go on or is sent something, in order and some at a time, closes those that are to be closed,
    /// and wakes the jobs if one of them is due before they meant to look. After whatever may have ended a long command, or answered or
    /// parked a request.
    fn wake(&self, engine: &mut Engine) {
        let is_due = engine.next_timeout_us().is_some_and(|due_us| due_us < self.rest_ends_us.get());
        if engine.clients.has_killed() {
            self.end_killed(engine);
        }
        if is_due || engine.is_pressed() {
            self.rest_ends.notify_one();
        }
        if !engine.has_woken() {
            return;
        }
        let wakers = self.wakers.borrow();
        let mut left = WAKES_AT_ONCE;
        let woken = engine.holds.take_woken(left).inspect(|_| left -= 1);
        woken.filter_map(|client| wakers.get(&client)).for_each(Waker::wake_by_ref);
        let woken = engine.outbox.take_woken(left);
        woken.filter_map(|client| wakers.get(&client)).for_each(Waker::wake_by_ref);
        if engine.has_woken() {
            self.rest_ends.notify_one();
        }
        for client in engine.outbox.take_closing() {
            tracing::warn!("closing the connection of client {}: too much waits for it", client.0);
            if let Some(task) = self.tasks.borrow().get(&client) {
                task.abort();
            }
        }
    }
}

impl Shared {
    /// Ends some connections whose client was killed; the jobs see to the others.
    #[cold]
    fn end_killed(&self, engine: &mut Engine) {
        let tasks = self.tasks.borrow();
        self.others_end.set(true);
        for client in engine.take_killed(ENDED_AT_ONCE) {
            if let Some(task) = tasks.get(&client) {
                task.abort();
            }
        }
    }
}

/// A server that listens.
///
/// # Example
///
/// ```no_run
/// use resp_server::engine::Settings;
/// use resp_server::server::Server;
///
/// let server = Server::bind(Settings::default())?;
/// println!("listening on {}", server.addresses().join(", "));
/// server.run()?;
/// # Ok::<(), resp_server::server::ServerError>(())
/// ```
pub struct Server {
    settings: Settings,
    sockets: Vec<listener::Socket>,
    metrics: Option<listener::Socket>,
    config_file: String,
}

impl Server {
    /// Raises the limit of open files as far as `maxclients` needs and the system allows (and lowers `maxclients` where it
    /// does not), and listens on all addresses of the settings.
    ///
    /// # Errors
    ///
    /// An address that is not marked as optional cannot be listened on, or none is left.
    pub fn bind(mut settings: Settings) -> Result<Server, ServerError> {
        descriptors::make_room_for_clients(&mut settings);
        let sockets = listener::bind(&settings)?;
        let metrics = listener::bind_metrics(&settings)?;
        Ok(Server { settings, sockets, metrics, config_file: String::new() })
    }

    /// Tells INFO which file the settings came from.
    pub fn with_config_file(self, path: String) -> Server {
        Server { config_file: path, ..self }
    }

    /// Where the server listens: addresses with ports, and the path of the Unix socket.
    pub fn addresses(&self) -> Vec<String> {
        self.sockets.iter().map(|socket| socket.address.clone()).collect()
    }

    /// Serves until SIGTERM, SIGINT or a SHUTDOWN command; then stops accepting, sends what is owed, and returns.
    ///
    /// # Errors
    ///
    /// The system refuses what an event loop needs. Nothing that a client does is an error here.
    pub fn run(self) -> Result<(), ServerError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .event_interval(TURNS_PER_LOOK)
            .on_thread_park(host::falls_asleep)
            .on_thread_unpark(host::wakes_up)
            .build_local(LocalOptions::default())
            .map_err(ServerError::Runtime)?;
        runtime.block_on(serve(self))
    }
}

/// Listens and serves; [`Server::bind`] and [`Server::run`] in one.
///
/// # Errors
///
/// As these two.
pub fn run(settings: Settings) -> Result<(), ServerError> {
    Server::bind(settings)?.run()
}

async fn serve(server: Server) -> Result<(), ServerError> {
    let Server { settings, sockets, metrics, config_file } = server;
    let mut signals = signals::Signals::new().map_err(ServerError::Runtime)?;
    let clock = Clock::new();
    let keepalive = Duration::from_secs(settings.tcp_keepalive.into());
    let mut engine = Engine::new(settings, random_seed(), clock.now());
    engine.host = host::of_this_process(config_file);
    let shared = Rc::new(Shared {
        engine: RefCell::new(engine),
        clock,
        desk: RefCell::new(Desk::new()),
        tasks: RefCell::new(HashMap::new()),
        wakers: RefCell::new(HashMap::new()),
        rest_ends_us: Cell::new(0),
        rest_ends: Notify::new(),
        turns: Cell::new(0),
        saturation: Saturation::default(),
        unsent: Cell::new(0),
        end: Notify::new(),
        ending: Cell::new(false),
        others_end: Cell::new(false),
    });

    let mut unix_paths: Vec<PathBuf> = Vec::new();
    let mut acceptors = Vec::new();
    for socket in sockets {
        unix_paths.extend(socket.unix_path());
        let listener = socket.listen()?;
        acceptors.push(tokio::task::spawn_local(listener::accept(listener, Rc::clone(&shared), keepalive)));
    }
    let jobs = tokio::task::spawn_local(jobs::run(Rc::clone(&shared)));
    let metrics = match metrics {
        Some(socket) => Some(metrics::start(socket.into_std(), Rc::clone(&shared)).map_err(ServerError::Runtime)?),
        None => None,
    };

    tokio::select! {
        name = signals.end() => tracing::info!("received {name}, shutting down"),
        () = shared.end.notified() => tracing::info!("SHUTDOWN was called, shutting down"),
    }

    shared.ending.set(true);
    acceptors.iter().for_each(tokio::task::JoinHandle::abort);
    jobs.abort();
    if let Some(metrics) = metrics {
        metrics.abort();
    }
    for path in unix_paths {
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!("cannot remove the Unix socket {}: {error}", path.display());
        }
    }
    let farewell = async {
        while shared.unsent.get() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Turns that are under way come to their end first.
    tokio::task::yield_now().await;
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        tracing::warn!("{} clients did not take all their replies", shared.unsent.get());
    }
    for task in shared.tasks.borrow().values() {
        task.abort();
    }
    tracing::info!("bye");
    Ok(())
}

/// 128 bits that nobody outside knows: from the system's randomness, which seeds the standard library's hash tables.
fn random_seed() -> [u64; 2] {
    [RandomState::new().hash_one(0_u8), RandomState::new().hash_one(1_u8)]
}
