//! What runs in the background: a row a job.
//!
//! A job is stepped, never run to its end: a round ([`Engine::run_jobs`]) gives each job that is in debt one bounded step, so
//! that each moves on in every round and none takes more than its share. Steps are bounded in bytes and entries, which is
//! deterministic; how many rounds fit between two connections is the event loop's business.

use chunkbuf::Budget;

use super::Engine;

/// A row: one background job.
pub struct Job {
    /// Its name, as the stall ledger and INFO show it.
    pub name: &'static str,
    /// Whether it has work that must not wait for an idle moment.
    pub in_debt: fn(&Engine) -> bool,
    /// Does one bounded step, of what is owed or, with `idle`, of anything useful. Whether there is more of that.
    pub step: fn(&mut Engine, idle: bool) -> bool,
}

impl Job {
    /// The name of its steps among the latency events, Redis's where that has the job.
    fn event(&self) -> &'static str {
        match self.name {
            "expiry" => "expire-cycle",
            "eviction" => "eviction-cycle",
            name => name,
        }
    }
}

/// Every background job.
pub const JOBS: &[Job] = &[
    Job {
        name: "compaction",
        in_debt: |engine| engine.keyspace.store.copy_debt() > 0,
        step: |engine, idle| engine.keyspace.store.compact(Budget::STEP, idle),
    },
    Job { name: "timeouts", in_debt: |engine| engine.timeouts_in_debt(), step: |engine, _| engine.step_timeouts() },
    Job { name: "places", in_debt: |engine| engine.parked.has_given_up(), step: |engine, _| engine.step_places() },
    Job { name: "pause", in_debt: |engine| engine.pause_in_debt(), step: |engine, _| engine.step_pause() },
    Job { name: "crowd", in_debt: |engine| engine.crowd_in_debt(), step: |engine, _| engine.step_crowd() },
    // The event loop ends their connections after each round, some at a time.
    Job {
        name: "killed",
        in_debt: |engine| engine.clients.has_killed(),
        step: |engine, _| engine.clients.has_killed(),
    },
    Job { name: "orphans", in_debt: |engine| engine.orphans_in_debt(), step: |engine, _| engine.step_orphans() },
    Job {
        name: "garbage",
        in_debt: |engine| {
            engine.keyspace.store.has_garbage()
                || engine.keyspace.freeing() > 0
                || engine.keyspace.has_discarded()
                || engine.keyspace.watched.has_forgotten()
                || !engine.garbage.is_empty()
        },
        step: |engine, idle| {
            // A discarded collection leaves its map to the store: no more of those than the store keeps up with.
            let is_behind = engine.keyspace.store.has_garbage();
            let discarded = if is_behind { engine.keyspace.has_discarded() } else { engine.keyspace.free_discarded() };
            let forgotten = engine.keyspace.watched.forget_some();
            let more = engine.keyspace.store.free(idle) | discarded | forgotten | engine.garbage.step();
            if !engine.keyspace.store.is_taking_apart() && !engine.keyspace.has_discarded() {
                engine.keyspace.note_freed();
            }
            more
        },
    },
    Job { name: "deliveries", in_debt: |engine| engine.pubsub.in_debt(), step: |engine, _| engine.step_deliveries() },
    Job { name: "output-limits", in_debt: |engine| engine.output_in_debt(), step: |engine, _| engine.step_output() },
    Job { name: "tracking", in_debt: |engine| engine.tracking_in_debt(), step: |engine, _| engine.step_tracking() },
    Job { name: "eviction", in_debt: |engine| engine.eviction_in_debt(), step: |engine, _| engine.step_eviction() },
    Job { name: "expiry", in_debt: |engine| engine.expiry_in_debt(), step: |engine, _| engine.step_expiry() },
];

impl Engine {
    /// Pays at most `owed` bytes of the debt to compaction that writes have made, until the turn has had its time. What is
    /// left of `owed`; a debt that cannot be paid now (a reader pins what would be freed) is forgiven.
    pub fn pay(&mut self, mut owed: u64) -> u64 {
        let [compaction, ..] = JOBS else { unreachable!("it is the first row") };
        while owed > 0 && !self.turn_is_over() {
            let before = self.copy_debt();
            (compaction.step)(self, false);
            let now_ns = (self.host.clock_ns)();
            self.ledger.part(compaction.name, 1, now_ns);
            match before.saturating_sub(self.copy_debt()) {
                0 => return 0,
                paid => owed = owed.saturating_sub(paid),
            }
        }
        owed
    }

    /// Bytes that writes have made it necessary to copy and that are not copied yet.
    #[inline]
    pub fn copy_debt(&self) -> u64 {
        self.keyspace.store.copy_debt()
    }
}

impl Engine {
    /// Whether clients are to be woken or closed.
    #[inline]
    pub fn has_woken(&self) -> bool {
        self.holds.has_woken() || self.outbox.has_woken()
    }

    /// Whether some job is not to wait for the time at which it would look next: requests that wait can be served, messages are on their
    /// way, or clients have to go.
    pub fn is_pressed(&self) -> bool {
        self.has_ready() || self.is_delivering() || self.clients.has_killed() || self.crowd_in_debt()
    }
}

/// Look-ups in a step of active expiry, some 200 ns each.
const EXPIRY_LOOKUPS: u32 = 256;

/// How long keys may be due before the next round looks for them: a tenth of the 100 ms that is promised.
const EXPIRY_INTERVAL_US: u64 = 10_000;

/// One round: a step of each job that is in debt, or with `idle` of each that has anything useful to do. Whether some job has
/// more to do.
pub(super) fn run(engine: &mut Engine, idle: bool) -> bool {
    let mut more = false;
    for job in JOBS {
        if idle || (job.in_debt)(engine) {
            more |= (job.step)(engine, idle);
            let now_ns = (engine.host.clock_ns)();
            let ns = engine.ledger.part(job.name, 1, now_ns);
            engine.note_event(job.event(), ns);
        }
    }
    more
}

/// Where active expiry is.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// Keys that are due were left when the last step ended.
    unfinished: bool,
    /// When that was, on the monotonic clock.
    last_us: u64,
    /// Nothing is removed before it is asked for: a test wants it so.
    stopped: bool,
}

impl Engine {
    /// Stops the job that removes keys whose time has come, or lets it go on. They are absent for every command all the same.
    pub(crate) fn set_active_expiry(&mut self, active: bool) {
        self.expiry.stopped = !active;
    }

    fn expiry_in_debt(&self) -> bool {
        if self.expiry.stopped || self.is_paused(true) || self.pubsub.is_behind() {
            return false;
        }
        self.expiry.unfinished || self.now.monotonic_us >= self.expiry.last_us + EXPIRY_INTERVAL_US
    }

    fn step_expiry(&mut self) -> bool {
        if self.expiry.stopped || self.is_paused(true) || self.pubsub.is_behind() {
            return false;
        }
        let holds = &self.holds;
        self.expiry.unfinished = self.keyspace.expire_step_but(EXPIRY_LOOKUPS, |db, hash| holds.is_held(db, hash));
        self.expiry.last_us = self.now.monotonic_us;
        self.expiry.unfinished
    }
}
