//! Clients that keep values of keys, and are told when these change: CLIENT TRACKING.
//!
//! ```text
//!  a client that tracks reads a key -> table: key -> clients --the key changes--> each of them is told, and the key forgotten
//!  a client that asks for prefixes --a key below one changes--> noted there, and told at the end of the turn, all at once
//! ```
//!
//! 1. A client stands in the table until a key changes, whether it tracks any more or not, or has gone: who is told is decided then. But
//!    a key's list does not grow by those who have gone: they are taken out before it takes more memory.
//! 2. An invalidation goes by the outbox, so it comes behind the reply of the command that made it.
//! 3. At most `tracking-table-max-keys` keys are remembered. Beyond, keys are forgotten in order, and told as if they had changed.
//! 4. Prefixes of one client do not overlap.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

use bytes::Bytes;

use super::garbage::FreeInSteps;
use super::{ClientId, Engine};
use crate::keyspace::check_key;
use crate::proto::{Protocol, Reply};

/// Keys that are forgotten at once when there are too many.
const FORGOTTEN_AT_ONCE: usize = 100;
/// Clients of a key that are remembered without a look at who of them has gone.
const UNSEEN_CLIENTS: usize = 64;
/// Prefixes that are given up at once.
const GIVEN_UP_AT_ONCE: usize = 256;
/// Bytes that a key in the table takes beside its name, about, a client in its list, and a client's prefix.
const KEY_BYTES: usize = 72;
const PREFIX_BYTES: usize = 160;
const CLIENT_BYTES: usize = size_of::<ClientId>();

/// Which keys a client is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Those that it reads.
    #[default]
    Read,
    /// Those that it reads right after CLIENT CACHING YES.
    OptIn,
    /// Those that it reads, but not right after CLIENT CACHING NO.
    OptOut,
    /// All that begin with one of its prefixes.
    Broadcast,
}

impl Mode {
    /// Whether it is told of keys that it has not read.
    pub fn is_broadcast(self) -> bool {
        self == Mode::Broadcast
    }
}

/// How a client is told of keys that change.
#[derive(Debug, Default)]
pub struct Tracking {
    /// Which keys.
    pub mode: Mode,
    /// Who is told in its place.
    pub redirect: Option<ClientId>,
    /// Not of its own changes.
    pub no_loop: bool,
    /// CLIENT CACHING was the last command.
    pub caching: bool,
    /// Who is told in its place has gone.
    pub is_broken: bool,
    /// The beginnings of keys that it is told of.
    pub prefixes: BTreeSet<Bytes>,
    /// Bytes of these.
    pub prefix_bytes: usize,
    /// The keys of its command are remembered as it comes to them.
    pub as_it_goes: bool,
}

impl Tracking {
    /// Bytes of memory that its prefixes take, about. O(1)
    pub(super) fn memory_bytes(&self) -> usize {
        self.prefix_bytes + self.prefixes.len() * PREFIX_BYTES
    }

    /// Whether what its next command reads is remembered.
    fn remembers(&self) -> bool {
        match self.mode {
            Mode::Read => true,
            Mode::OptIn => self.caching,
            Mode::OptOut => !self.caching,
            Mode::Broadcast => false,
        }
    }
}

/// Keys of which a client is told that they are not what they were.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    /// All.
    All,
    /// An array of them, as it goes out.
    These(Bytes),
}

impl Keys {
    fn these<'a>(keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Keys {
        let mut reply = Reply::new();
        reply.array(keys.len());
        keys.for_each(|key| reply.bulk(key));
        Keys::These(reply.into_bytes())
    }

    /// As a client reads it that has asked in protocol `asked`. Redis writes the null in that one, whoever is told; here not
    /// to one that could not read it.
    fn write(&self, asked: Protocol, reply: &mut Reply) {
        const SHORT: usize = 1024;
        match self {
            Keys::These(array) if array.len() <= SHORT => reply.raw(array),
            Keys::These(array) => reply.raw_by_reference(array.clone()),
            Keys::All if asked == Protocol::Resp2 => reply.raw(b"$-1\r\n"),
            Keys::All => reply.null(),
        }
    }
}

/// A prefix that clients have asked for.
#[derive(Debug, Default)]
struct Prefix {
    /// In order.
    clients: Vec<ClientId>,
    /// Keys that have changed in this turn, and who changed each last.
    keys: BTreeMap<Bytes, Option<ClientId>>,
}

/// Keys and who may keep their values, in order of their numbers.
type Remembered = BTreeMap<Bytes, Vec<ClientId>>;

impl FreeInSteps for Remembered {
    fn held_bytes(&self) -> usize {
        self.len() * KEY_BYTES
    }

    fn free_some(&mut self) -> bool {
        const STEP: usize = 512;
        (0..STEP).all(|_| self.pop_first().is_some())
    }
}

/// All that is tracked.
#[derive(Debug, Default)]
pub struct Table {
    remembered: Remembered,
    items: u64,
    name_bytes: u64,
    prefixes: BTreeMap<Bytes, Prefix>,
    /// Bytes that all clients' prefixes take.
    prefix_bytes: u64,
    /// How many prefixes there are of each length.
    prefix_lens: BTreeMap<usize, usize>,
    /// Prefixes below which keys have changed in this turn.
    changed: Vec<Bytes>,
    /// Those who track.
    clients: BTreeSet<ClientId>,
    /// The key that was forgotten last.
    forgotten: Bytes,
    /// Clients that have gone, with what is left of their prefixes.
    leavers: VecDeque<(ClientId, BTreeSet<Bytes>)>,
}

impl Table {
    /// How many clients track.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.remembered.len()
    }

    /// How often a key is remembered for a client.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// How many prefixes are asked for.
    pub fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    /// Bytes of memory that the table takes, about.
    pub fn memory_bytes(&self) -> u64 {
        self.prefix_bytes
            + self.name_bytes
            + (self.remembered.len() * KEY_BYTES) as u64
            + self.items * CLIENT_BYTES as u64
    }

    /// Bytes of memory that the prefixes of all clients take, about.
    pub fn prefix_bytes(&self) -> u64 {
        self.prefix_bytes
    }

    /// Whether something is to be told at the end of the turn.
    #[inline]
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Remembers that a client may keep a key's value. O(clients of the key) now and then, when they are twice as many as were connected
    /// the last time.
    fn remember(&mut self, client: ClientId, key: &[u8], is_connected: impl Fn(ClientId) -> bool) {
        if let Some(clients) = self.remembered.get_mut(key) {
            if clients.binary_search(&client).is_ok() {
                return;
            }
            if clients.len() == clients.capacity() && clients.len() >= UNSEEN_CLIENTS {
                let before = clients.len();
                clients.retain(|&client| is_connected(client));
                self.items -= (before - clients.len()) as u64;
                clients.reserve(clients.len());
            }
            let at = clients.partition_point(|&other| other < client);
            clients.insert(at, client);
            self.items += 1;
            return;
        }
        self.items += 1;
        self.name_bytes += key.len() as u64;
        self.remembered.insert(Bytes::copy_from_slice(key), vec![client]);
    }

    /// Forgets a key; who may keep its value.
    fn forget(&mut self, key: &[u8]) -> Option<Vec<ClientId>> {
        let clients = self.remembered.remove(key)?;
        self.items -= clients.len() as u64;
        self.name_bytes -= key.len() as u64;
        Some(clients)
    }

    /// Notes a change of a key below the prefixes that it has.
    fn note_below_prefixes(&mut self, key: &[u8], by: Option<ClientId>) {
        for &len in self.prefix_lens.keys().take_while(|&&len| len <= key.len()) {
            if let Some((name, prefix)) = self.prefixes.get_key_value(&key[..len])
                && prefix.keys.is_empty()
            {
                self.changed.push(name.clone());
            }
            if let Some(prefix) = self.prefixes.get_mut(&key[..len]) {
                prefix.keys.insert(Bytes::copy_from_slice(key), by);
            }
        }
    }

    fn add_prefix(&mut self, client: ClientId, name: &Bytes) {
        let prefix = self.prefixes.entry(name.clone()).or_default();
        if prefix.clients.is_empty() {
            *self.prefix_lens.entry(name.len()).or_default() += 1;
        }
        if let Err(at) = prefix.clients.binary_search(&client) {
            prefix.clients.insert(at, client);
            self.prefix_bytes += (name.len() + PREFIX_BYTES) as u64;
        }
    }

    fn remove_prefix(&mut self, client: ClientId, name: &Bytes) {
        let Some(prefix) = self.prefixes.get_mut(name) else { return };
        if let Ok(at) = prefix.clients.binary_search(&client) {
            prefix.clients.remove(at);
            self.prefix_bytes -= (name.len() + PREFIX_BYTES) as u64;
        }
        if prefix.clients.is_empty() {
            self.prefixes.remove(name);
            let count = self.prefix_lens.get_mut(&name.len()).expect("each prefix counts by its length");
            *count -= 1;
            if *count == 0 {
                self.prefix_lens.remove(&name.len());
            }
        }
    }
}

impl Engine {
    /// A client tracks from now on, or otherwise than before; it keeps the prefixes that it has.
    pub(crate) fn start_tracking(&mut self, client: ClientId, tracking: Tracking) {
        let push = self.client_mut(client).push_mut();
        let before = push.tracking.take().unwrap_or_default();
        push.tracking = Some(Tracking {
            prefixes: before.prefixes,
            prefix_bytes: before.prefix_bytes,
            caching: before.caching,
            ..tracking
        });
        self.tracking.clients.insert(client);
        self.note_tracked();
    }

    /// A client that tracks is told of all keys with this prefix, too.
    pub(crate) fn add_prefix(&mut self, client: ClientId, prefix: Bytes) {
        if let Some(tracking) = self.tracking_of(client)
            && tracking.prefixes.insert(prefix.clone())
        {
            tracking.prefix_bytes += prefix.len();
            self.tracking.add_prefix(client, &prefix);
        }
    }

    /// Ends some of a client's prefixes, and with the last of them its tracking; whether there are more.
    pub(crate) fn stop_tracking(&mut self, client: ClientId) -> bool {
        for _ in 0..GIVEN_UP_AT_ONCE {
            let Some(tracking) = self.tracking_of(client) else { return false };
            match tracking.prefixes.pop_first() {
                Some(prefix) => {
                    tracking.prefix_bytes -= prefix.len();
                    self.tracking.remove_prefix(client, &prefix);
                }
                None => {
                    self.client_mut(client).push_mut().tracking = None;
                    self.tracking.clients.remove(&client);
                    self.note_tracked();
                    return false;
                }
            }
        }
        true
    }

    /// The client goes.
    pub(super) fn leave_tracking(&mut self, client: ClientId) {
        if self.stop_tracking(client)
            && let Some(tracking) = self.client_mut(client).push_mut().tracking.take()
        {
            self.tracking.leavers.push_back((client, tracking.prefixes));
            self.tracking.clients.remove(&client);
            self.note_tracked();
        }
    }

    fn step_leavers_of_prefixes(&mut self) {
        let Some((client, mut left)) = self.tracking.leavers.pop_front() else { return };
        for prefix in (0..GIVEN_UP_AT_ONCE).map_while(|_| left.pop_first()).collect::<Vec<_>>() {
            self.tracking.remove_prefix(client, &prefix);
        }
        if !left.is_empty() {
            self.tracking.leavers.push_front((client, left));
        }
    }

    fn note_tracked(&mut self) {
        let tracked = !self.tracking.clients.is_empty() || !self.tracking.remembered.is_empty();
        self.keyspace.notices.set_tracked(tracked);
    }

    fn tracking_of(&mut self, client: ClientId) -> Option<&mut Tracking> {
        self.clients.get_mut(client)?.push.as_deref_mut()?.tracking.as_mut()
    }

    /// Whether the keys that a client's command reads are to be [remembered](Engine::remember_key). With `as_it_goes` that is done
    /// as the command comes to each: see [`remember_as_it_goes`](Engine::remember_as_it_goes).
    pub(crate) fn begin_remembering(&mut self, client: ClientId, as_it_goes: bool) -> bool {
        let Some(tracking) = self.tracking_of(client) else { return false };
        let remembers = tracking.remembers();
        tracking.as_it_goes = remembers && as_it_goes;
        remembers && !as_it_goes
    }

    /// A client's command reads a key.
    pub(crate) fn remember_key(&mut self, client: ClientId, key: &[u8]) {
        if check_key(key).is_err() {
            // It never changes.
            return;
        }
        let clients = &self.clients;
        self.tracking.remember(client, key, |client| clients.get(client).is_some());
        if self.remembers_too_many() {
            self.forget_some();
        }
    }

    /// A client's long command has come to a key.
    pub(super) fn remember_as_it_goes(&mut self, client: ClientId, key: &[u8]) {
        if self.tracking_of(client).is_some_and(|tracking| tracking.as_it_goes) {
            self.remember_key(client, key);
        }
    }

    /// CLIENT CACHING holds for one command, which has ended.
    pub(crate) fn end_caching(&mut self, client: ClientId) {
        if let Some(tracking) = self.tracking_of(client) {
            tracking.caching = false;
        }
    }

    /// A key is not what it was; `by` has changed it.
    pub(crate) fn invalidate(&mut self, key: &[u8], by: Option<ClientId>) {
        if !self.tracking.prefixes.is_empty() {
            self.tracking.note_below_prefixes(key, by);
        }
        self.invalidate_remembered(key, by);
    }

    fn invalidate_remembered(&mut self, key: &[u8], by: Option<ClientId>) {
        let Some(mut clients) = self.tracking.forget(key) else { return };
        clients.retain(|&client| {
            let tracking = self.clients.get(client).and_then(|client| client.tracking());
            tracking.is_some_and(|tracking| !(tracking.mode.is_broadcast() || tracking.no_loop && by == Some(client)))
        });
        if !clients.is_empty() {
            self.send_invalidation(clients, Keys::these(std::iter::once(key)));
        }
        if self.tracking.remembered.is_empty() {
            self.note_tracked();
        }
    }

    /// All keys of a database went: all who track are told that all did.
    pub(crate) fn invalidate_all(&mut self) {
        let remembered = std::mem::take(&mut self.tracking.remembered);
        (self.tracking.items, self.tracking.name_bytes) = (0, 0);
        self.garbage.add(remembered);
        self.note_tracked();
        let clients: Vec<ClientId> = self.tracking.clients.iter().copied().collect();
        if !clients.is_empty() {
            self.send_invalidation(clients, Keys::All);
        }
    }

    /// The turn ends: tells of changes below prefixes.
    #[cold]
    pub fn tell_broadcasts(&mut self) {
        let mut changed = std::mem::take(&mut self.tracking.changed);
        changed.sort_unstable();
        for name in changed {
            let Some(prefix) = self.tracking.prefixes.get_mut(&name) else { continue };
            let keys = std::mem::take(&mut prefix.keys);
            let mut everybody = prefix.clients.clone();
            let who_changed: BTreeSet<ClientId> = keys.values().flatten().copied().collect();
            let apart: Vec<ClientId> = who_changed
                .into_iter()
                .filter(|&client| {
                    let tracking = self.clients.get(client).and_then(|client| client.tracking());
                    tracking.is_some_and(|tracking| tracking.no_loop) && everybody.binary_search(&client).is_ok()
                })
                .collect();
            everybody.retain(|client| apart.binary_search(client).is_err());
            if !everybody.is_empty() {
                self.send_invalidation(everybody, Keys::these(keys.keys().map(|key| &key[..])));
            }
            for client in apart {
                let others: Vec<&[u8]> =
                    keys.iter().filter(|&(_, &by)| by != Some(client)).map(|(key, _)| &key[..]).collect();
                if !others.is_empty() {
                    self.send_invalidation(vec![client], Keys::these(others.into_iter()));
                }
            }
        }
    }

    /// Tells a client that tracks, or who is told in its place.
    pub(super) fn send_invalidated(&mut self, client: ClientId, keys: &Keys) {
        let Some(origin) = self.clients.get(client) else { return };
        let Some(tracking) = origin.tracking() else { return };
        let (asked, redirect) = (origin.protocol, tracking.redirect);
        if let Some(gone) = redirect.filter(|&to| self.clients.get(to).is_none()) {
            if let Some(tracking) = self.tracking_of(client) {
                tracking.is_broken = true;
            }
            if asked == Protocol::Resp3 {
                self.send(client, |reply| {
                    reply.push(2);
                    reply.bulk(b"tracking-redir-broken");
                    reply.integer(gone.0 as i64);
                });
            }
            return;
        }
        let target = redirect.unwrap_or(client);
        let told = self.client(target);
        if told.protocol == Protocol::Resp3 {
            self.send(target, |reply| {
                reply.push(2);
                reply.bulk(b"invalidate");
                keys.write(asked, reply);
            });
        } else if redirect.is_some() && told.is_subscriber() {
            self.send(target, |reply| {
                reply.push(3);
                reply.bulk(b"message");
                reply.bulk(b"__redis__:invalidate");
                keys.write(Protocol::Resp2, reply);
            });
        }
    }

    /// Whether the job has something to do.
    pub(super) fn tracking_in_debt(&self) -> bool {
        self.remembers_too_many() || !self.tracking.leavers.is_empty()
    }

    /// Whether more keys are remembered than shall be.
    fn remembers_too_many(&self) -> bool {
        let keys_max = self.settings.tracking_table_max_keys;
        keys_max != 0 && self.tracking.remembered.len() as u64 > keys_max
    }

    /// A step of the job: whether there is more to do.
    pub(super) fn step_tracking(&mut self) -> bool {
        self.step_leavers_of_prefixes();
        self.forget_some();
        self.tracking_in_debt()
    }

    /// Forgets some keys that are too many.
    fn forget_some(&mut self) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            if !self.remembers_too_many() {
                return;
            }
            let table = &mut self.tracking;
            let behind = (Excluded(std::mem::take(&mut table.forgotten)), Unbounded);
            let next = table.remembered.range::<Bytes, _>(behind).next().or_else(|| table.remembered.first_key_value());
            let Some((key, _)) = next else { return };
            table.forgotten = key.clone();
            let key = key.clone();
            self.invalidate_remembered(&key, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_remembered_once_for_each_client_and_forgotten_with_all() {
        let mut table = Table::default();
        for client in [3, 1, 3, 2] {
            table.remember(ClientId(client), b"k", |_| true);
        }
        table.remember(ClientId(1), b"other", |_| true);
        assert_eq!((table.keys(), table.items()), (2, 4));
        assert_eq!(table.forget(b"k"), Some([1, 2, 3].map(ClientId).to_vec()));
        assert_eq!(table.forget(b"k"), None);
        assert_eq!((table.keys(), table.items()), (1, 1));
        table.forget(b"other");
        assert_eq!(table.memory_bytes(), 0);
    }

    #[test]
    fn clients_that_come_and_go_do_not_make_a_keys_list_longer() {
        let mut table = Table::default();
        for client in 0..100_000 {
            // One in a thousand stays.
            table.remember(ClientId(client), b"k", |client| client.0 % 1000 == 0);
            assert!(table.items() <= 64 + 4 * (client / 1000 + 1), "{} after {client}", table.items());
        }
        let clients = table.forget(b"k").unwrap();
        assert!((0..100).all(|stays| clients.binary_search(&ClientId(stays * 1000)).is_ok()));
        assert_eq!((table.items(), table.memory_bytes()), (0, 0));
    }

    #[test]
    fn a_change_is_noted_below_each_prefix_of_the_key() {
        let mut table = Table::default();
        for prefix in ["", "a", "ab", "b"] {
            table.add_prefix(ClientId(1), &Bytes::from(prefix));
        }
        table.note_below_prefixes(b"abc", Some(ClientId(7)));
        table.note_below_prefixes(b"a", None);
        assert_eq!(table.changed, ["", "a", "ab"]);
        assert_eq!(table.prefixes[&b"a"[..]].keys.len(), 2);
        table.remove_prefix(ClientId(1), &Bytes::from("a"));
        assert_eq!(table.prefix_lens.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
        table.remove_prefix(ClientId(1), &Bytes::from("b"));
        assert_eq!(table.prefix_lens.keys().copied().collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn a_large_table_is_freed_in_steps() {
        let mut table = Remembered::new();
        for key in 0..1300_u32 {
            table.insert(Bytes::copy_from_slice(&key.to_be_bytes()), Vec::new());
        }
        assert!(table.free_some() && table.free_some());
        assert!(!table.free_some() && table.is_empty());
    }
}
