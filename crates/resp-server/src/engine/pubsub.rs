//! Publish and subscribe: who listens to which channels and patterns, and how a message gets to them.
//!
//! ```text
//!  PUBLISH, an event of a key -> Delivery -- a slice reaches all --> done, nobody has noticed
//!                                   |
//!                                   +-- there are more --> backlog -- slices, by its publisher or a row of JOBS --> done
//! ```
//!
//! A message is written to the [outbox](super::outbox) of each receiver; a payload that is not short is shared by reference. To find
//! the patterns that a channel matches only those are looked at whose literal beginning it has.
//!
//! 1. Deliveries are carried out in order, one after another: nothing that was published later overtakes.
//! 2. Who subscribes after a message was published does not receive it: a subscription knows which message was the last then.
//! 3. A subscriber's own request is carried out once everything published before it has been delivered, so that replies,
//!    confirmations and messages stand in the order in which they came about ([`Engine::must_deliver_first`]).
//! 4. A channel or pattern is in the table as long as it has a subscriber. Both tables are ordered trees: they never grow at once.
//! 5. A client that goes with many subscriptions leaves them to the job `deliveries`; nobody counts them any more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use bytes::Bytes;

use super::outbox::Frame;
use super::{ClientId, Engine};
use crate::text::glob::{self, Case};

pub use message::Message;
use patterns::Patterns;

mod message;
mod patterns;

/// Receivers, and bytes of patterns and channels compared, that a slice of a delivery takes: about 50 us.
const SLICE: usize = 128;
/// Bytes of a pattern and a channel that count as one receiver.
const MATCHED_BYTES: usize = 512;
/// Subscriptions that are given up at once.
const GIVEN_UP_AT_ONCE: usize = 256;
/// Bytes that a subscription takes beside its name, about: in the client's list and in the table.
const SUBSCRIPTION_BYTES: u64 = 160;
/// Deliveries that may wait before those who make more of them have to help.
const BACKLOG_MAX: usize = 256;

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A channel.
    Channel,
    /// All channels that match a pattern.
    Pattern,
    /// A channel of a shard: apart from other channels, and not reached by patterns.
    Shard,
}

/// Those who subscribe to one channel or pattern, in order.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Vec<(ClientId, u64)>);

impl Subscribers {
    fn place(&self, client: ClientId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&client, |&(other, _)| other)
    }

    /// Adds one who has heard of messages up to `since`; whether it is new.
    fn add(&mut self, client: ClientId, since: u64) -> bool {
        let place = self.place(client);
        if let Err(at) = place {
            self.0.insert(at, (client, since));
        }
        place.is_err()
    }

    fn remove(&mut self, client: ClientId) {
        if let Ok(at) = self.place(client) {
            self.0.remove(at);
        }
    }

    /// The first behind `after` who is to hear of message `number`.
    fn next(&self, after: Option<ClientId>, number: u64) -> Option<ClientId> {
        let from = after.map_or(0, |after| match self.place(after) {
            Ok(at) => at + 1,
            Err(at) => at,
        });
        self.0[from..].iter().find(|&&(_, since)| since < number).map(|&(client, _)| client)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a client subscribes to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    channels: BTreeSet<Bytes>,
    patterns: BTreeSet<Bytes>,
    shard_channels: BTreeSet<Bytes>,
    /// Bytes of all their names.
    name_bytes: usize,
}

impl Subscriptions {
    /// Bytes of memory that they take, about. O(1)
    pub(super) fn memory_bytes(&self) -> usize {
        self.name_bytes + self.len() * SUBSCRIPTION_BYTES as usize
    }

    /// What of one kind it subscribes to, in order.
    pub fn of(&self, kind: Kind) -> &BTreeSet<Bytes> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shard_channels,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut BTreeSet<Bytes> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard_channels,
        }
    }

    /// How many there are altogether.
    pub fn len(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shard_channels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number that a confirmation tells: channels and patterns together, those of shards apart.
    pub fn told(&self, kind: Kind) -> usize {
        match kind {
            Kind::Shard => self.shard_channels.len(),
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
        }
    }

    /// Some subscription.
    fn any(&self) -> Option<(Kind, Bytes)> {
        let first = |kind: Kind| self.of(kind).first().map(|name| (kind, name.clone()));
        first(Kind::Channel).or_else(|| first(Kind::Pattern)).or_else(|| first(Kind::Shard))
    }
}

/// Everybody's subscriptions, and messages under way.
#[derive(Debug, Default)]
pub struct PubSub {
    channels: BTreeMap<Bytes, Subscribers>,
    shard_channels: BTreeMap<Bytes, Subscribers>,
    patterns: Patterns,
    /// Clients with a subscription.
    clients: usize,
    /// Bytes of memory that all subscriptions take, about.
    memory_bytes: u64,
    backlog: VecDeque<Delivery>,
    /// The number of the last delivery.
    last: u64,
    /// Messages whose publisher waits to hear how many it has reached.
    asked: BTreeMap<u64, Option<u64>>,
    /// Clients that have gone, with what is left of their subscriptions.
    leavers: VecDeque<(ClientId, Subscriptions)>,
}

/// A message on its way.
#[derive(Debug)]
struct Delivery {
    number: u64,
    receivers: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Publish {
        shard: bool,
        channel: Bytes,
        message: Message,
        at: Cursor,
    },
    /// The same to each of these, the last first.
    Each {
        clients: Vec<ClientId>,
        frame: Frame,
    },
    /// An invalidation of keys to each of these who track.
    Invalidate {
        clients: Vec<ClientId>,
        keys: super::tracking::Keys,
    },
}

/// How far a message has come.
#[derive(Debug)]
enum Cursor {
    /// Subscribers of the channel up to this one have it.
    Channel {
        after: Option<ClientId>,
        frame: Option<Frame>,
    },
    /// Patterns with a literal beginning of this length are looked at, those up to `after` have been.
    Patterns {
        prefix: usize,
        after: Option<Bytes>,
    },
    /// Subscribers of the pattern up to this one have it.
    Pattern {
        prefix: usize,
        pattern: Bytes,
        after: Option<ClientId>,
        frame: Frame,
    },
    Done,
}

impl PubSub {
    /// Clients with a subscription.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Bytes of memory that all subscriptions take, about.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Channels (or patterns) that have a subscriber. O(1) but for those who are going.
    pub fn len(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel => self.channels.len(),
            Kind::Shard => self.shard_channels.len(),
            Kind::Pattern => self.patterns.len(),
        }
    }

    fn channels(&self, shard: bool) -> &BTreeMap<Bytes, Subscribers> {
        if shard { &self.shard_channels } else { &self.channels }
    }

    /// How many subscribe to a channel. O(log n)
    pub fn subscribers(&self, shard: bool, channel: &[u8]) -> usize {
        let kind = if shard { Kind::Shard } else { Kind::Channel };
        let all = self.channels(shard).get(channel).map_or(0, |subscribers| subscribers.0.len());
        all - self.leavers.iter().filter(|(_, left)| left.of(kind).contains(channel)).count()
    }

    /// The channels behind `after` in order, and whether each has a subscriber who is not about to go.
    pub fn names(&self, shard: bool, after: Option<&Bytes>) -> impl Iterator<Item = (&Bytes, bool)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let leaving = self.leavers.len();
        let range = self.channels(shard).range::<Bytes, _>((from, Bound::Unbounded));
        range.map(move |(name, all)| (name, all.0.len() > leaving || self.subscribers(shard, name) > 0))
    }

    /// Whether somebody might hear of what is published there.
    fn has_listeners(&self, shard: bool, channel: &[u8]) -> bool {
        (!shard && self.patterns.len() > 0) || self.channels(shard).contains_key(channel)
    }

    /// Whether nothing is under way.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Whether so much is under way that who makes more of it has to help, and no more is made in the background.
    #[inline]
    pub fn is_behind(&self) -> bool {
        self.backlog.len() > BACKLOG_MAX
    }

    /// Whether the job has something to do.
    pub fn in_debt(&self) -> bool {
        !self.backlog.is_empty() || !self.leavers.is_empty()
    }

    fn table(&mut self, kind: Kind, name: &Bytes, change: impl FnOnce(&mut Subscribers)) {
        let table = match kind {
            Kind::Pattern => return self.patterns.change(name, change),
            Kind::Channel => &mut self.channels,
            Kind::Shard => &mut self.shard_channels,
        };
        // Looked up first: what is there does not take a name.
        match table.get_mut(name) {
            Some(subscribers) => {
                change(subscribers);
                if subscribers.is_empty() {
                    table.remove(name);
                }
            }
            None => {
                let mut subscribers = Subscribers::default();
                change(&mut subscribers);
                if !subscribers.is_empty() {
                    table.insert(name.clone(), subscribers);
                }
            }
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// So many have it.
    To(u64),
    /// It is under way, with this number: see [`Engine::ask_receivers`].
    UnderWay(u64),
}

impl Engine {
    /// Subscribes a client, whose number of subscriptions the confirmation tells is returned. O(log n)
    pub(crate) fn subscribe(&mut self, client: ClientId, kind: Kind, name: &[u8]) -> usize {
        let since = self.pubsub.last;
        let push = self.client_mut(client).push_mut();
        let was_none = push.subscriptions.is_empty();
        if !push.subscriptions.of(kind).contains(name) {
            let name = Bytes::copy_from_slice(name);
            push.subscriptions.of_mut(kind).insert(name.clone());
            push.subscriptions.name_bytes += name.len();
            self.pubsub.clients += usize::from(was_none);
            self.pubsub.memory_bytes += name.len() as u64 + SUBSCRIPTION_BYTES;
            self.pubsub.table(kind, &name, |subscribers| {
                subscribers.add(client, since);
            });
        }
        self.told(client, kind)
    }

    /// Ends a client's subscription, if it is one; the number that the confirmation tells. O(log n)
    pub(crate) fn unsubscribe(&mut self, client: ClientId, kind: Kind, name: &[u8]) -> usize {
        if let Some(push) = self.client_mut(client).push.as_deref_mut()
            && let Some(name) = push.subscriptions.of_mut(kind).take(name)
        {
            push.subscriptions.name_bytes -= name.len();
            self.pubsub.clients -= usize::from(push.subscriptions.is_empty());
            self.pubsub.memory_bytes -= name.len() as u64 + SUBSCRIPTION_BYTES;
            self.pubsub.table(kind, &name, |subscribers| subscribers.remove(client));
        }
        self.told(client, kind)
    }

    fn told(&self, client: ClientId, kind: Kind) -> usize {
        self.client(client).push.as_ref().map_or(0, |push| push.subscriptions.told(kind))
    }

    /// The first of a client's subscriptions of a kind.
    pub(crate) fn first_subscription(&self, client: ClientId, kind: Kind) -> Option<Bytes> {
        self.client(client).push.as_ref()?.subscriptions.of(kind).first().cloned()
    }

    /// Ends some of a client's subscriptions, whatever they are; whether there are more.
    pub(crate) fn unsubscribe_some(&mut self, client: ClientId) -> bool {
        for _ in 0..GIVEN_UP_AT_ONCE {
            let Some((kind, name)) = self.client(client).push.as_ref().and_then(|push| push.subscriptions.any()) else {
                return false;
            };
            self.unsubscribe(client, kind, &name);
        }
        self.client(client).push.as_ref().is_some_and(|push| !push.subscriptions.is_empty())
    }

    /// The client goes.
    pub(super) fn leave_pubsub(&mut self, client: ClientId) {
        if self.unsubscribe_some(client)
            && let Some(push) = self.client_mut(client).push.as_deref_mut()
        {
            let left = std::mem::take(&mut push.subscriptions);
            self.pubsub.clients -= 1;
            self.pubsub.leavers.push_back((client, left));
        }
    }

    fn step_leavers(&mut self) {
        let Some((client, left)) = self.pubsub.leavers.front_mut() else { return };
        let client = *client;
        let names: Vec<_> = (0..GIVEN_UP_AT_ONCE)
            .map_while(|_| {
                let (kind, name) = left.any()?;
                left.of_mut(kind).remove(&name);
                Some((kind, name))
            })
            .collect();
        let done = left.is_empty();
        for (kind, name) in names {
            self.pubsub.memory_bytes -= name.len() as u64 + SUBSCRIPTION_BYTES;
            self.pubsub.table(kind, &name, |subscribers| subscribers.remove(client));
        }
        if done {
            self.pubsub.leavers.pop_front();
        }
    }

    /// Publishes a message.
    pub(crate) fn publish(&mut self, shard: bool, channel: &[u8], message: impl FnOnce() -> Message) -> Published {
        if !self.pubsub.has_listeners(shard, channel) {
            return Published::To(0);
        }
        let at = Cursor::Channel { after: None, frame: None };
        self.send_out(What::Publish { shard, channel: Bytes::copy_from_slice(channel), message: message(), at })
    }

    /// Writes the same to each of some clients, in order behind what is under way.
    pub(crate) fn send_to_each(&mut self, mut clients: Vec<ClientId>, frame: Frame) {
        clients.reverse();
        self.send_out(What::Each { clients, frame });
    }

    /// Tells each of some clients who track that keys are not what they were.
    pub(super) fn send_invalidation(&mut self, mut clients: Vec<ClientId>, keys: super::tracking::Keys) {
        clients.reverse();
        self.send_out(What::Invalidate { clients, keys });
    }

    fn send_out(&mut self, what: What) -> Published {
        self.pubsub.last += 1;
        let number = self.pubsub.last;
        let mut delivery = Delivery { number, receivers: 0, what };
        if self.pubsub.backlog.is_empty() && self.deliver(&mut delivery, SLICE) {
            return Published::To(delivery.receivers);
        }
        self.pubsub.backlog.push_back(delivery);
        Published::UnderWay(number)
    }

    /// Somebody wants to know how many message `number`, which is under way, will have reached.
    pub(crate) fn ask_receivers(&mut self, number: u64) {
        self.pubsub.asked.insert(number, None);
    }

    /// How many the message has reached that was [asked](Engine::ask_receivers) for, once that is known.
    pub(crate) fn receivers(&self, number: u64) -> Option<u64> {
        self.pubsub.asked.get(&number).copied().flatten()
    }

    /// Nobody wants to know any more.
    pub(crate) fn forget_receivers(&mut self, number: u64) {
        self.pubsub.asked.remove(&number);
    }

    /// Goes on for a slice with what is under way.
    pub(crate) fn go_on_delivering(&mut self) {
        let mut room = SLICE;
        while room > 0
            && let Some(mut delivery) = self.pubsub.backlog.pop_front()
        {
            let before = delivery.receivers;
            if !self.deliver(&mut delivery, room) {
                self.pubsub.backlog.push_front(delivery);
                return;
            }
            if let Some(asked) = self.pubsub.asked.get_mut(&delivery.number) {
                *asked = Some(delivery.receivers);
            }
            room = room.saturating_sub(1 + (delivery.receivers - before) as usize);
        }
    }

    /// Whether messages are under way that no slice has reached all receivers with.
    #[inline]
    pub fn is_delivering(&self) -> bool {
        !self.pubsub.is_idle()
    }

    /// A step of the job: whether there is more to do.
    pub(super) fn step_deliveries(&mut self) -> bool {
        self.step_leavers();
        self.go_on_delivering();
        self.pubsub.in_debt()
    }

    /// How many messages there have been.
    #[inline]
    pub(crate) fn deliveries(&self) -> u64 {
        self.pubsub.last
    }

    /// A client's turn has ended that began after so many messages: if it has made more although very many are under way, it helps
    /// with them at its next one.
    #[cold]
    pub(crate) fn note_deliveries(&mut self, client: ClientId, before: u64) {
        if self.pubsub.last > before && self.pubsub.is_behind() {
            self.client_mut(client).push_mut().makes_more = true;
        }
    }

    /// Whether a client has to wait before its next request, because messages that were published before have not reached it,
    /// or because it makes them faster than they go out. A slice of them goes out meanwhile.
    #[cold]
    pub(crate) fn must_deliver_first(&mut self, client: ClientId) -> bool {
        let last = self.pubsub.last;
        if let Some(push) = self.client_mut(client).push.as_deref_mut()
            && push.is_reached()
        {
            push.behind = push.behind.or(Some(last));
        }
        let must = |engine: &Engine| {
            let Some(first) = engine.pubsub.backlog.front() else { return false };
            let Some(push) = &engine.client(client).push else { return false };
            let is_behind = push.behind.is_some_and(|behind| first.number <= behind);
            is_behind || push.makes_more && engine.pubsub.is_behind()
        };
        let waits = must(self) && {
            self.go_on_delivering();
            must(self)
        };
        if !waits && let Some(push) = self.client_mut(client).push.as_deref_mut() {
            push.behind = None;
            push.makes_more = false;
        }
        waits
    }

    /// Carries a delivery on by about `room` receivers; whether it is done.
    fn deliver(&mut self, delivery: &mut Delivery, mut room: usize) -> bool {
        let Delivery { number, receivers, what } = delivery;
        match what {
            What::Each { clients, frame } => {
                while room > 0
                    && let Some(client) = clients.pop()
                {
                    room -= 1;
                    *receivers += u64::from(self.send(client, |reply| frame.write(reply)));
                }
                clients.is_empty()
            }
            What::Invalidate { clients, keys } => {
                while room > 0
                    && let Some(client) = clients.pop()
                {
                    room -= 1;
                    self.send_invalidated(client, keys);
                }
                clients.is_empty()
            }
            What::Publish { shard, channel, message, at } => {
                while room > 0 && !matches!(at, Cursor::Done) {
                    self.advance(*number, *shard, channel, message, at, receivers, &mut room);
                }
                matches!(at, Cursor::Done)
            }
        }
    }

    /// One step of a published message.
    #[expect(clippy::too_many_arguments, reason = "the parts of a delivery, each changed apart")]
    fn advance(
        &mut self,
        number: u64,
        shard: bool,
        channel: &Bytes,
        message: &Message,
        at: &mut Cursor,
        receivers: &mut u64,
        room: &mut usize,
    ) {
        match at {
            Cursor::Channel { after, frame } => {
                let next = self.pubsub.channels(shard).get(channel).and_then(|all| all.next(*after, number));
                let Some(client) = next else {
                    let patterns = !shard && self.pubsub.patterns.len() > 0;
                    *at = if patterns { Cursor::Patterns { prefix: 0, after: None } } else { Cursor::Done };
                    return;
                };
                let word = if shard { "smessage" } else { "message" };
                let frame = frame.get_or_insert_with(|| message.frame(&[word.as_bytes(), channel]));
                *after = Some(client);
                *room -= 1;
                *receivers += u64::from(self.send(client, |reply| frame.write(reply)));
            }
            Cursor::Patterns { prefix, after } => match self.pubsub.patterns.next(channel, *prefix, after.as_ref()) {
                None => *at = Cursor::Done,
                Some((found, pattern)) => {
                    let cost = 1 + (pattern.len() + channel.len()) / MATCHED_BYTES;
                    *room = room.saturating_sub(cost);
                    if glob::matches(pattern, channel, Case::Sensitive) {
                        let (pattern, frame) = (pattern.clone(), message.frame(&[b"pmessage", pattern, channel]));
                        *at = Cursor::Pattern { prefix: found, pattern, after: None, frame };
                    } else {
                        let pattern = pattern.clone();
                        *at = Cursor::Patterns { prefix: found, after: Some(pattern) };
                    }
                }
            },
            Cursor::Pattern { prefix, pattern, after, frame } => {
                let next = self.pubsub.patterns.get(pattern).and_then(|all| all.next(*after, number));
                let Some(client) = next else {
                    *at = Cursor::Patterns { prefix: *prefix, after: Some(std::mem::take(pattern)) };
                    return;
                };
                *after = Some(client);
                *room = room.saturating_sub(1);
                *receivers += u64::from(self.send(client, |reply| frame.write(reply)));
            }
            Cursor::Done => {}
        }
    }
}
