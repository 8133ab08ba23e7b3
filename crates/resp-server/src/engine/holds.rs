//! Who holds which keys, and who waits for them.
//!
//! A long command is carried out in slices, with other clients' commands between them. So that it is atomic all the same,
//! it *holds* its keys: whoever wants to change a key that it reads, or to look at one that it changes, waits. Commands of one
//! slice hold nothing, as nothing comes between.
//!
//! ```text
//!  a place                 | is held by                       | and makes wait
//!  ------------------------+----------------------------------+------------------------------------------------
//!  a key of a database     | a task that reads or changes it  | who changes it; who reads or changes it
//!  a database              | every task in it                 | FLUSHDB; and DBSIZE, KEYS, SCAN, RANDOMKEY, while a task writes
//!  all keys of a database  | a transaction with such commands | who changes any key; who reads or changes any
//!  everything              | every task                       | FLUSHALL, SWAPDB
//!  bulk                    | the one task of many keys        | requests of many keys
//! ```
//!
//! What a transaction holds it names beforehand, as [`Claims`]: the keys of all its commands, each for the strongest access, and the
//! databases that some command goes over as a whole. One of very many keys is a bulk task, which holds its whole databases from its
//! start and its keys from when it comes to them.
//!
//! **Order.** Who waits has a ticket, a number in order of arrival, kept until the command is carried out. At each place the
//! tickets stand in a queue, and nobody passes an earlier ticket that wants what conflicts with it; newcomers come last.
//! Whoever is woken tries again from the start, and may have to wait at another of its places then. Behind one who waits for a
//! whole database nobody begins a task there: what may become one is told by what it names (`dispatch::holding`), and waits. The
//! others go on.
//!
//! **Serving.** A key that changes while clients wait for it is held for them until they are served, if that takes longer than a
//! step (see [`super::parked`]): newcomers wait, whoever they are. Tasks that run do not, or but for a while: what a task
//! may wait for goes on by itself.
//!
//! **Why there is no deadlock.** A task of at most [`KEYS_AT_ONCE_MAX`] keys takes all its holds at its start or has not
//! begun; once it runs it waits for nothing. The bulk task takes holds as it goes and may wait while it holds some, but only
//! for running tasks, never for those in the queues, and there is one bulk task at a time: all others that run wait for
//! nothing. So some running task can always go on, all end, and then the earliest ticket has nothing before it.
//!
//! **Cost.** With no task and no one who waits, nothing is looked up: [`Holds::is_idle`] is one bit of the gates. Else a command
//! pays a look-up or two for each of its keys. Keys are known by their 64-bit hash: two keys with one hash wait for each
//! other without need.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::ClientId;
use crate::keyspace::hashes::Hashes;

/// Keys that a task takes at once; a request of more is bulk.
pub const KEYS_AT_ONCE_MAX: usize = 1024;

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Its value is looked at.
    Read,
    /// It is changed, made or removed.
    Write,
}

/// Something that a request needs to be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A key.
    Key {
        /// The number of its database.
        db: u32,
        /// Its hash under the store's seed.
        hash: u64,
        /// What is done with it.
        access: Access,
    },
    /// All keys of a database, to look at.
    AllKeys(u32),
    /// All keys of a database, to remove or exchange.
    WholeDatabase(u32),
    /// All keys of all databases.
    Everything,
    /// To begin a task there: waits for who holds all keys, and for earlier tickets that want the whole database, or they might
    /// never have it.
    TaskIn(u32, Access),
    /// To begin a task anywhere: waits for earlier tickets that want everything.
    Task,
    /// To be the bulk task.
    Bulk,
    /// That those are served who wait for keys which were noted before so many others: see [`super::parked`].
    Served(u64),
}

/// Where a queue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Key(u32, u64),
    Database(u32),
    Everything,
    Bulk,
    Served,
}

impl Want {
    fn place(self) -> Place {
        match self {
            Want::Key { db, hash, .. } => Place::Key(db, hash),
            Want::AllKeys(db) | Want::WholeDatabase(db) | Want::TaskIn(db, _) => Place::Database(db),
            Want::Everything | Want::Task => Place::Everything,
            Want::Bulk => Place::Bulk,
            Want::Served(_) => Place::Served,
        }
    }

    /// Whether two wants at one place exclude each other.
    fn conflicts(self, other: Want) -> bool {
        match (self, other) {
            (Want::Key { access: one, .. }, Want::Key { access: two, .. }) => one.max(two) == Access::Write,
            (Want::Bulk | Want::WholeDatabase(_) | Want::Everything, _) => true,
            (_, Want::WholeDatabase(_) | Want::Everything) => true,
            (Want::AllKeys(_), Want::TaskIn(_, access)) | (Want::TaskIn(_, access), Want::AllKeys(_)) => {
                access == Access::Write
            }
            _ => false,
        }
    }
}

/// All that a transaction needs.
#[derive(Debug, Default)]
pub struct Claims {
    /// Keys by database and hash, some more than once; none any more once they are too many.
    keys: Vec<(u32, u64, Access)>,
    /// The databases in which it does anything.
    databases: BTreeMap<u32, Use>,
    is_bulk: bool,
}

/// What a task does in a database.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// It changes keys.
    writes: bool,
    /// What it does with all keys, held or not.
    whole: Option<Access>,
}

impl Claims {
    /// A key of a database. O(1), now and then O(n log n) in [`KEYS_AT_ONCE_MAX`].
    pub fn add_key(&mut self, db: usize, hash: u64, access: Access) {
        self.add_use(db, access);
        if self.is_bulk {
            return;
        }
        self.keys.push((db as u32, hash, access));
        if self.keys.len() > 2 * KEYS_AT_ONCE_MAX {
            keep_strongest(&mut self.keys);
            if self.keys.len() > KEYS_AT_ONCE_MAX {
                self.is_bulk = true;
                self.keys = Vec::new();
            }
        }
    }

    /// Something that is done in a database, whatever with.
    pub fn add_use(&mut self, db: usize, access: Access) {
        self.databases.entry(db as u32).or_default().writes |= access == Access::Write;
    }

    /// All keys of a database.
    pub fn add_database(&mut self, db: usize, access: Access) {
        self.add_use(db, access);
        let whole = &mut self.databases.entry(db as u32).or_default().whole;
        *whole = (*whole).max(Some(access));
    }

    /// Whether its keys are taken one by one.
    pub fn is_bulk(&self) -> bool {
        self.is_bulk
    }

    /// Whether nothing is claimed.
    pub fn is_empty(&self) -> bool {
        self.databases.is_empty()
    }

    /// What has to be free before this begins. `may_be_long` says that it may become a task.
    pub fn wants(&self, may_be_long: bool) -> impl Iterator<Item = Want> + '_ {
        let databases = self.databases.iter().flat_map(move |(&db, of)| {
            let whole = of.whole.map(|access| match access {
                Access::Read => Want::AllKeys(db),
                Access::Write => Want::WholeDatabase(db),
            });
            let access = if of.writes || self.is_bulk { Access::Write } else { Access::Read };
            whole.into_iter().chain((may_be_long || self.is_bulk).then_some(Want::TaskIn(db, access)))
        });
        let databases = databases.chain(may_be_long.then_some(Want::Task));
        let keys = self.keys.iter().map(|&(db, hash, access)| Want::Key { db, hash, access });
        databases.chain(self.is_bulk.then_some(Want::Bulk)).chain(keys)
    }

    /// Its keys, by database and hash, as far as they are named.
    pub(super) fn named_keys(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.keys.iter().map(|&(db, hash, _)| (db as usize, hash))
    }

    /// The databases all of whose keys it needs.
    pub(super) fn whole_databases(&self) -> impl Iterator<Item = usize> + '_ {
        self.databases.iter().filter(|(_, of)| of.whole.is_some()).map(|(&db, _)| db as usize)
    }
}

/// Leaves each key once, for the strongest access.
fn keep_strongest(keys: &mut Vec<(u32, u64, Access)>) {
    keys.sort_unstable_by(|one, two| two.cmp(one));
    keys.dedup_by_key(|&mut (db, hash, _)| (db, hash));
}

/// What a running task holds; given back with [`Holds::release`].
#[derive(Debug)]
pub struct Held {
    databases: Vec<(u32, Use)>,
    /// By database and hash, each once.
    keys: Vec<(u32, u64, Access)>,
    is_bulk: bool,
}

/// The table of holds and of those who wait.
#[derive(Debug, Default)]
pub struct Holds {
    /// Tasks that run.
    running: usize,
    /// Keys of tasks that took theirs at once.
    keys: HashMap<(u32, u64), Holders>,
    bulk: Option<Bulk>,
    /// By number; grows to the highest that a task ran in.
    databases: Vec<InDatabase>,
    queues: HashMap<Place, VecDeque<Waiter>>,
    waiting: HashMap<ClientId, Waiting>,
    last_ticket: u64,
    woken: VecDeque<ClientId>,
    releases: u64,
    /// Keys whose change others waited for who are not all served yet, and whether they are being served now.
    served: HashMap<(u32, u64), Serving>,
    /// Keys that have been noted and done with so far: see [`Want::Served`].
    served_count: u64,
}

/// How far those are served who waited for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// They are, a few at a time.
    Now,
    /// What they need beside it is held by a task.
    Later,
}

/// Those who hold a key: readers, or one who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holders {
    Readers(u32),
    Writer,
}

/// The bulk task's keys, all for the same access.
#[derive(Debug)]
struct Bulk {
    access: Access,
    /// Those that it has taken, and that nobody else may begin to use: hashes that differ between databases.
    hashes: Hashes,
}

impl Bulk {
    /// A hash of its own for a key of each database; that of the key in the first.
    fn hash_in(db: u32, hash: u64) -> u64 {
        hash ^ u64::from(db).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn holds(&self, db: u32, hash: u64) -> bool {
        self.hashes.contains(Bulk::hash_in(db, hash))
    }
}

/// Tasks in a database.
#[derive(Clone, Copy, Debug, Default)]
struct InDatabase {
    running: u32,
    writing: u32,
    /// Those of them that hold all keys to look at.
    reading_all: u32,
    /// Those that hold all keys to change them: one at most.
    writing_all: u32,
}

impl InDatabase {
    /// Whether somebody holds all keys against this.
    fn excludes(self, access: Access) -> bool {
        self.writing_all > 0 || access == Access::Write && self.reading_all > 0
    }

    /// Counts a task in, or with -1 out.
    fn count(&mut self, of: Use, by: i32) {
        let add = |counter: &mut u32, counts: bool| *counter = counter.wrapping_add_signed(if counts { by } else { 0 });
        add(&mut self.running, true);
        add(&mut self.writing, of.writes);
        add(&mut self.reading_all, of.whole == Some(Access::Read));
        add(&mut self.writing_all, of.whole == Some(Access::Write));
    }
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    ticket: u64,
    client: ClientId,
    want: Want,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    ticket: u64,
    place: Place,
    /// It may try again.
    woken: bool,
}

/// The ticket of the bulk task when it waits: before all others.
const FIRST: u64 = 0;
/// As a ticket: none yet, behind all others.
const NEWCOMER: u64 = u64::MAX;

impl Holds {
    /// Whether no task runs and nobody waits, so that no request has to be looked at.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty() && self.served.is_empty()
    }

    /// Whether a request of `client` has to wait for this, which is one of the things that it wants.
    pub fn blocks(&self, client: ClientId, want: Want) -> bool {
        let ticket = self.waiting.get(&client).map_or(NEWCOMER, |waiting| waiting.ticket);
        self.is_held_against(want)
            || self.queues.get(&want.place()).is_some_and(|queue| {
                let earlier = queue.iter().take_while(|other| other.ticket < ticket);
                earlier.into_iter().any(|other| other.want.conflicts(want))
            })
    }

    /// Puts the client in the queue for what [`blocks`](Holds::blocks) it; with its ticket, if it has waited before.
    pub fn wait(&mut self, client: ClientId, want: Want) {
        let ticket = match self.waiting.get(&client) {
            Some(waiting) => waiting.ticket,
            None => {
                self.last_ticket += 1;
                self.last_ticket
            }
        };
        self.wait_with(ticket, client, want);
    }

    fn wait_with(&mut self, ticket: u64, client: ClientId, want: Want) {
        let place = want.place();
        let before = self.waiting.insert(client, Waiting { ticket, place, woken: false });
        let queue = self.queues.entry(place).or_default();
        if before.is_some_and(|before| before.place == place) {
            let own = queue.iter_mut().find(|waiter| waiter.client == client);
            own.expect("who waits stands in the queue of its place").want = want;
            return;
        }
        let at = queue.partition_point(|other| other.ticket < ticket);
        queue.insert(at, Waiter { ticket, client, want });
        if let Some(before) = before {
            self.leave(before.place, client);
        }
    }

    /// Takes a client that waits no longer out of the queues: its command is carried out, or it has gone.
    pub fn stop_waiting(&mut self, client: ClientId) {
        if let Some(waiting) = self.waiting.remove(&client) {
            self.leave(waiting.place, client);
        }
    }

    /// Whether the client waits.
    pub fn is_waiting(&self, client: ClientId) -> bool {
        self.waiting.contains_key(&client)
    }

    /// Whether the client waits for something that may have become free since it last tried.
    pub fn may_retry(&self, client: ClientId) -> bool {
        self.waiting.get(&client).is_none_or(|waiting| waiting.woken)
    }

    /// Whether some client may try again.
    #[inline]
    pub fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// Clients that may try again, in the order in which they should; each is told once.
    pub fn take_woken(&mut self, max: usize) -> impl Iterator<Item = ClientId> + '_ {
        self.woken.drain(..max.min(self.woken.len()))
    }

    /// How often something was released: what was held may be free once this has changed.
    pub fn releases(&self) -> u64 {
        self.releases
    }

    /// Registers a task that holds no key, or all these, from now on; nothing [`blocks`](Holds::blocks) it.
    pub fn begin(&mut self, db: usize, keys: Vec<(u64, Access)>) -> Held {
        let db = db as u32;
        let writes = keys.iter().any(|&(_, access)| access == Access::Write);
        let keys = keys.into_iter().map(|(hash, access)| (db, hash, access)).collect();
        self.enter(Held { databases: vec![(db, Use { writes, whole: None })], keys, is_bulk: false })
    }

    /// Registers the bulk task, which takes its keys as it goes; nothing [`blocks`](Holds::blocks) it.
    pub fn begin_bulk(&mut self, db: usize, access: Access) -> Held {
        self.become_bulk(access);
        let writes = access == Access::Write;
        self.enter(Held { databases: vec![(db as u32, Use { writes, whole: None })], keys: Vec::new(), is_bulk: true })
    }

    /// Registers a task that holds all that is claimed, or takes its keys as it goes if they are too many; nothing
    /// [`blocks`](Holds::blocks) it.
    pub fn begin_claims(&mut self, claims: Claims) -> Held {
        let Claims { keys, databases, is_bulk } = claims;
        if is_bulk {
            // Whatever it does with them: who shared a key with it might find it expired, and remove it.
            self.become_bulk(Access::Write);
        }
        for (&db, of) in &databases {
            if let Some(access) = of.whole {
                let want = if access == Access::Read { Want::AllKeys(db) } else { Want::WholeDatabase(db) };
                assert!(!self.is_held_by_task(want), "a task begins when its databases are free");
            }
        }
        let databases = databases.into_iter().map(|(db, of)| (db, Use { writes: of.writes || is_bulk, ..of }));
        self.enter(Held { databases: databases.collect(), keys, is_bulk })
    }

    fn become_bulk(&mut self, access: Access) {
        assert!(self.bulk.is_none(), "there is one bulk task at a time");
        self.bulk = Some(Bulk { access, hashes: Hashes::default() });
    }

    fn enter(&mut self, mut held: Held) -> Held {
        // A key that is named twice is held once, for the stronger access.
        keep_strongest(&mut held.keys);
        for &(db, hash, access) in &held.keys {
            let free = !self.is_held_by_task(Want::Key { db, hash, access });
            assert!(free, "a task begins when its keys are free");
            let holders = self.keys.entry((db, hash)).or_insert(Holders::Readers(0));
            match (access, holders) {
                (Access::Read, Holders::Readers(count)) => *count += 1,
                (_, holders) => *holders = Holders::Writer,
            }
        }
        self.running += 1;
        for &(db, of) in &held.databases {
            let db = db as usize;
            if db >= self.databases.len() {
                self.databases.resize(db + 1, InDatabase::default());
            }
            self.databases[db].count(of, 1);
        }
        held
    }

    /// The bulk task takes another key; `false` if another task holds it: then it waits, at the front of the queue if its
    /// client is still there, and tries again.
    pub fn take_in_bulk(&mut self, client: Option<ClientId>, db: usize, hash: u64) -> bool {
        let db = db as u32;
        let bulk = self.bulk.as_mut().expect("the bulk task asks");
        let access = bulk.access;
        let others = self.keys.get(&(db, hash));
        let excluded = others.is_some_and(|&holders| holders == Holders::Writer || access == Access::Write);
        // What is served later may wait for this task.
        if excluded || self.served.get(&(db, hash)) == Some(&Serving::Now) {
            if let Some(client) = client {
                self.wait_with(FIRST, client, Want::Key { db, hash, access });
            }
            return false;
        }
        bulk.hashes.insert(Bulk::hash_in(db, hash));
        if let Some(client) = client
            && !self.waiting.is_empty()
        {
            self.stop_waiting(client);
        }
        true
    }

    /// The bulk task, which has just begun, holds these keys at once, as those that a bulk task [held](Holds::release) before it: against
    /// newcomers. It takes each when it comes to it all the same, as another task may have it still. O(its first slice)
    pub(crate) fn hold_in_bulk(&mut self, keys: Hashes) {
        self.bulk.as_mut().expect("it has begun").hashes = keys;
    }

    /// Whether a bulk task held this key among those: for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn are_held_in(keys: &Hashes, key: (u32, u64)) -> bool {
        keys.contains(Bulk::hash_in(key.0, key.1))
    }

    /// Gives back what a task holds, at its end, and wakes those who waited for it. Returns the keys of the bulk task.
    /// O(its keys); of the bulk task, and of one that holds a whole database: O(places at which somebody waits).
    pub(crate) fn release(&mut self, held: Held) -> Option<Hashes> {
        self.releases += 1;
        self.running -= 1;
        for &(db, of) in &held.databases {
            self.databases[db as usize].count(of, -1);
        }
        for &(db, hash, _) in &held.keys {
            match self.keys.get_mut(&(db, hash)) {
                Some(Holders::Readers(count)) if *count > 1 => *count -= 1,
                _ => drop(self.keys.remove(&(db, hash))),
            }
            self.wake(Place::Key(db, hash));
        }
        let mut freed = None;
        if held.is_bulk {
            let bulk = self.bulk.take().expect("the bulk task ends");
            self.wake_keys(|db, hash| bulk.holds(db, hash));
            self.wake(Place::Bulk);
            freed = Some(bulk.hashes);
        }
        for &(db, of) in &held.databases {
            if of.whole.is_some() {
                self.wake_keys(|other, _| other == db);
            }
            self.wake(Place::Database(db));
        }
        self.wake(Place::Everything);
        freed
    }

    /// Wakes those who wait for the keys that are `freed`. O(places at which somebody waits)
    fn wake_keys(&mut self, freed: impl Fn(u32, u64) -> bool) {
        let is_freed = |place: &&Place| matches!(place, Place::Key(db, hash) if freed(*db, *hash));
        let mut places: Vec<Place> = self.queues.keys().filter(is_freed).copied().collect();
        // The earliest first, whatever the order of the table.
        places.sort_by_key(|place| self.queues[place].front().map(|first| first.ticket));
        places.into_iter().for_each(|place| self.wake(place));
    }

    /// Whether a running task holds a key, for whatever access.
    pub fn is_held(&self, db: usize, hash: u64) -> bool {
        self.running > 0 && self.is_held_by_task(Want::Key { db: db as u32, hash, access: Access::Write })
    }

    /// Whether something of a database, or of all of them, is waited for, so that requests which may become tasks have to be told
    /// from others.
    pub(crate) fn is_database_wanted(&self, db: u32) -> bool {
        self.queues.contains_key(&Place::Database(db)) || self.queues.contains_key(&Place::Everything)
    }

    /// A key is held, but not against tasks that run, until those who waited for its change are [served](Holds::end_serving).
    pub(crate) fn begin_serving(&mut self, key: (u32, u64), serving: Serving) {
        if self.served.insert(key, serving) == Some(Serving::Now) && serving == Serving::Later {
            // The bulk task may have it.
            self.releases += 1;
            self.wake(Place::Key(key.0, key.1));
        }
    }

    /// Whether a key is held for those who are being served: for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_being_served(&self, key: (u32, u64)) -> bool {
        self.served.get(&key) == Some(&Serving::Now)
    }

    /// Those who waited for a key are served, or wait on: whoever else wants it may try.
    pub(crate) fn end_serving(&mut self, key: (u32, u64)) {
        if self.served.remove(&key).is_some() {
            self.releases += 1;
            self.wake(Place::Key(key.0, key.1));
            self.wake(Place::Database(key.0));
            self.wake(Place::Everything);
        }
    }

    /// So many of the keys that were noted are done with: whoever waits for that may try.
    pub(crate) fn note_served(&mut self, count: u64) {
        if self.served_count != count {
            self.served_count = count;
            self.wake(Place::Served);
        }
    }

    /// Whether the client waits for others to be served, and has to go on waiting.
    pub(crate) fn waits_until_served(&mut self, client: ClientId) -> bool {
        let Some(Waiting { place: Place::Served, .. }) = self.waiting.get(&client) else { return false };
        let queue = &self.queues[&Place::Served];
        let own =
            queue.iter().find(|waiter| waiter.client == client).expect("who waits stands in the queue of its place");
        if self.is_held_against(own.want) {
            self.waiting.get_mut(&client).expect("just seen").woken = false;
            return true;
        }
        self.stop_waiting(client);
        false
    }

    /// Whether a running task holds what a request wants, or those who are being served do, whoever else waits for it.
    pub(crate) fn is_held_against(&self, want: Want) -> bool {
        let is_served = match want {
            _ if self.served.is_empty() => false,
            Want::Key { db, hash, .. } => self.served.contains_key(&(db, hash)),
            Want::AllKeys(db) | Want::WholeDatabase(db) => self.served.keys().any(|key| key.0 == db),
            Want::Everything => true,
            Want::TaskIn(..) | Want::Task | Want::Bulk | Want::Served(_) => false,
        };
        is_served || self.is_held_by_task(want)
    }

    /// Whether a running task holds what a request wants.
    pub(crate) fn is_held_by_task(&self, want: Want) -> bool {
        match want {
            Want::Key { db, hash, access } => {
                let excludes = |other: Access| access.max(other) == Access::Write;
                let by_bulk = self.bulk.as_ref().is_some_and(|bulk| excludes(bulk.access) && bulk.holds(db, hash));
                by_bulk
                    || self.in_database(db).excludes(access)
                    || self.keys.get(&(db, hash)).is_some_and(|holders| match holders {
                        Holders::Readers(_) => excludes(Access::Read),
                        Holders::Writer => true,
                    })
            }
            Want::AllKeys(db) => self.in_database(db).writing > 0,
            Want::WholeDatabase(db) => self.in_database(db).running > 0,
            Want::Everything => self.running > 0,
            Want::TaskIn(db, access) => self.in_database(db).excludes(access),
            Want::Task => false,
            Want::Bulk => self.bulk.is_some(),
            Want::Served(count) => self.served_count < count,
        }
    }

    fn in_database(&self, db: u32) -> InDatabase {
        self.databases.get(db as usize).copied().unwrap_or_default()
    }

    fn leave(&mut self, place: Place, client: ClientId) {
        let queue = self.queues.get_mut(&place).expect("who waits stands in a queue");
        let at = queue.iter().position(|waiter| waiter.client == client);
        queue.remove(at.expect("who waits stands in the queue of its place"));
        if queue.is_empty() {
            self.queues.remove(&place);
        } else {
            self.wake(place);
        }
    }

    /// Wakes the first of a queue, and those behind it that it does not exclude.
    fn wake(&mut self, place: Place) {
        let Some(queue) = self.queues.get(&place) else { return };
        let first = queue.front().expect("an empty queue is removed").want;
        let together = queue.iter().enumerate().take_while(|(at, waiter)| *at == 0 || !waiter.want.conflicts(first));
        for (_, waiter) in together {
            let waiting = self.waiting.get_mut(&waiter.client).expect("who stands in a queue waits");
            if !waiting.woken {
                waiting.woken = true;
                self.woken.push_back(waiter.client);
            }
        }
    }

    /// Panics when the books do not agree: for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn audit(&self) {
        let standing: usize = self.queues.values().map(VecDeque::len).sum();
        assert_eq!(standing, self.waiting.len());
        for (place, queue) in &self.queues {
            assert!(!queue.is_empty() && queue.iter().is_sorted_by_key(|waiter| waiter.ticket));
            assert!(
                queue
                    .iter()
                    .all(|waiter| waiter.want.place() == *place && self.waiting[&waiter.client].place == *place)
            );
            // Nobody sleeps in front of an open door.
            let first = queue.front().expect("not empty");
            assert!(self.waiting[&first.client].woken || self.is_held_against(first.want), "{first:?}");
        }
        for database in &self.databases {
            assert!(database.running as usize <= self.running && database.writing <= database.running);
            assert!(database.writing_all <= 1 && database.reading_all + database.writing_all <= database.running);
        }
        assert!(self.running > 0 || self.keys.is_empty() && self.bulk.is_none());
    }
}
