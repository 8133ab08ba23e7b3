//! The table of connected clients.
//!
//! Clients sit in slots that are reused; a map leads from a client's number, which is never reused, to its slot. The command
//! path looks the number up once a batch and then goes by slot. Lists are in the order of the numbers, which is the order in
//! which the clients came.
//!
//! A client that was killed has gone for all who ask ([`get`](Clients::get), lists, counts), but keeps its slot until its connection has
//! ended: the event loop is told whom to end by [`take_killed`](Clients::take_killed).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::{Client, ClientId, Now, Peer};

/// Where a client sits, as long as it is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

/// All connected clients.
#[derive(Debug, Default)]
pub struct Clients {
    slots: Vec<Option<Client>>,
    free: Vec<Slot>,
    by_id: HashMap<ClientId, Slot, BuildHasherDefault<NumberHasher>>,
    /// Those that were killed and whose connection has not ended.
    killed: HashMap<ClientId, Slot>,
    /// Those of them whose connection nobody was told to end, the last one first.
    untold: Vec<ClientId>,
    last_id: u64,
}

/// Hashes numbers that the server has given itself, one after another: nobody chooses them, so nothing has to be hidden.
#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a client's number is one u64");
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        // The table takes its place from the low bits and compares the highest: this is 2^64 divided by the golden ratio.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Clients {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Adds a client and gives it the next number.
    pub fn add(&mut self, peer: Peer, authenticated: bool, now: Now) -> ClientId {
        self.last_id += 1;
        self.put(Client::new(ClientId(self.last_id), peer, authenticated, now))
    }

    /// Puts a client back, or one in its place; its number.
    pub(super) fn put(&mut self, client: Client) -> ClientId {
        let id = client.id;
        let client = Some(client);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot.0] = client;
                slot
            }
            None => {
                self.slots.push(client);
                Slot(self.slots.len() - 1)
            }
        };
        self.by_id.insert(id, slot);
        id
    }

    /// Removes a client; nothing happens if there is none of that number.
    pub fn remove(&mut self, id: ClientId) -> Option<Client> {
        let slot = self.by_id.remove(&id).or_else(|| self.killed.remove(&id))?;
        self.free.push(slot);
        self.slots[slot.0].take()
    }

    /// Kills a client; whether it was there.
    pub(super) fn kill(&mut self, id: ClientId) -> bool {
        let Some(slot) = self.by_id.remove(&id) else { return false };
        self.at_mut(slot).killed = true;
        self.killed.insert(id, slot);
        self.untold.push(id);
        true
    }

    /// Whether some connection is to be ended.
    #[inline]
    pub fn has_killed(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Clients whose connections are to be ended, at most so many; each is told once.
    pub fn take_killed(&mut self, max: usize) -> Vec<ClientId> {
        self.untold.split_off(self.untold.len().saturating_sub(max))
    }

    /// Where the client sits, also if it was killed. O(1), some 3 ns.
    #[inline]
    pub fn slot(&self, id: ClientId) -> Option<Slot> {
        self.by_id.get(&id).or_else(|| self.killed.get(&id)).copied()
    }

    /// The client in a slot. Panics if it has gone since [`slot`](Clients::slot) told.
    #[inline]
    pub fn at(&self, slot: Slot) -> &Client {
        self.slots[slot.0].as_ref().expect("a slot is asked for while its client is connected")
    }

    /// The client in a slot, to change it. Panics as [`at`](Clients::at) does.
    #[inline]
    pub fn at_mut(&mut self, slot: Slot) -> &mut Client {
        self.slots[slot.0].as_mut().expect("a slot is asked for while its client is connected")
    }

    /// The client of that number.
    pub fn get(&self, id: ClientId) -> Option<&Client> {
        Some(self.at(*self.by_id.get(&id)?))
    }

    /// The client of that number, to change it.
    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        let slot = *self.by_id.get(&id)?;
        Some(self.at_mut(slot))
    }

    /// All clients in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().flatten().filter(|client| !client.killed)
    }

    /// The numbers of all clients, in order. O(n log n): 10,000 take some 200 us.
    pub fn ids(&self) -> Vec<ClientId> {
        let mut ids: Vec<ClientId> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(clients: &mut Clients) -> ClientId {
        clients.add(Peer::default(), true, Now::default())
    }

    #[test]
    fn a_number_is_never_used_twice_though_a_slot_is() {
        let mut clients = Clients::default();
        let first = add(&mut clients);
        let second = add(&mut clients);
        let slot = clients.slot(first).unwrap();
        clients.remove(first);
        clients.remove(first);
        assert_eq!(clients.slot(first), None);
        let third = add(&mut clients);
        assert_eq!(clients.slot(third), Some(slot));
        assert_eq!((first.0, second.0, third.0), (1, 2, 3));
        assert_eq!(clients.len(), 2);
        assert_eq!(clients.ids(), [second, third]);
    }

    #[test]
    fn a_client_that_was_killed_keeps_its_slot_and_nothing_else() {
        let mut clients = Clients::default();
        let (first, second) = (add(&mut clients), add(&mut clients));
        assert!(clients.kill(first) && !clients.kill(first) && clients.has_killed());
        assert!(clients.slot(first).is_some() && clients.get(first).is_none());
        assert_eq!((clients.len(), clients.ids()), (1, vec![second]));
        assert_eq!(clients.iter().count(), 1);
        assert_eq!((clients.take_killed(0), clients.take_killed(9)), (vec![], vec![first]));
        assert!(!clients.has_killed());
        clients.remove(first);
        assert_eq!(clients.slot(first), None);
    }
}
