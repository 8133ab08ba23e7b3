//! One database, as a handler sees it.
//!
//! A handler looks a key up once ([`Db::read`] or [`Db::find`]) and hands what it found to the calls that follow, so that a command
//! costs one hash and one look-up:
//!
//! ```text
//! let found = db.find(key);
//! let value = db.string(&found)?.and_then(|value| value.integer());
//! db.set(found, text, Ttl::Keep)?;
//! db.changed(key, Event::IncrBy);
//! ```
//!
//! A [`Found`] is good until the next write or look-up that removes an expired key; debug builds check it. Look up all keys
//! of a command before writing the first.

use chunkbuf::{BlobId, Key, Location, PutError, Store};

use super::value::{Apart, CollectionId, Head, HeadBytes, Kept};
use super::{Event, Keyspace, Millis, ValueType, is_past};
use crate::proto::CommandError;
use crate::types::{Limits, ahead};

/// The longest key in bytes.
const KEY_BYTES_MAX: usize = 65_535;

/// One database of the keyspace, at the time of the current batch.
pub struct Db<'a> {
    pub(super) keyspace: &'a mut Keyspace,
    pub(super) index: usize,
}

/// What became of looking for a key.
#[derive(Debug)]
#[must_use]
pub struct Found<'k> {
    /// `None` if the key is longer than any key can be; then it is not there.
    key: Option<Key<'k>>,
    pub(super) place: Option<Place>,
    /// The keyspace's `writes` at the time.
    writes: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) location: Location,
    pub(super) head: Head,
}

/// What happens to a key's time to live when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// It stays as it is.
    Keep,
    /// The key does not expire any more.
    Clear,
    /// The key expires at this time, which is not past.
    At(Millis),
}

impl Ttl {
    /// When the key expires then, if it expired at `old`.
    #[inline]
    pub(super) fn expires(self, old: Option<Millis>) -> Option<Millis> {
        match self {
            Ttl::Keep => old,
            Ttl::Clear => None,
            Ttl::At(at) => Some(at),
        }
    }
}

impl Found<'_> {
    /// Whether the key is there.
    #[inline]
    pub fn exists(&self) -> bool {
        self.place.is_some()
    }

    /// Whether the key is longer than any key can be.
    pub(super) fn is_impossible(&self) -> bool {
        self.key.is_none()
    }

    /// When the key expires, if it is there and does.
    #[inline]
    pub fn expires(&self) -> Option<Millis> {
        self.place?.head.expires
    }

    /// How Redis keeps it, if it is a short string and its bytes do not tell.
    pub(super) fn kept(&self) -> Kept {
        self.place.map_or(Kept::AsSet, |place| place.head.kept)
    }

    /// The blob that the entry names, if it does.
    #[inline]
    pub(super) fn blob(&self) -> Option<BlobId> {
        match self.place?.head.apart {
            Some(Apart::Blob(id)) => Some(id),
            _ => None,
        }
    }

    /// The number of the large collection that the entry names, if it does.
    #[inline]
    pub(super) fn collection(&self) -> Option<CollectionId> {
        match self.place?.head.apart {
            Some(Apart::Collection(id)) => Some(id),
            _ => None,
        }
    }

    /// What the entry names, if it names something.
    #[inline]
    fn apart(&self) -> Option<Apart> {
        self.place?.head.apart
    }

    /// The key that was found or written: not one that is longer than any can be.
    #[inline]
    pub(super) fn stored_key(&self) -> &Key<'_> {
        self.key.as_ref().expect("a key in the store has a length that it may have")
    }

    /// A number that tells where the entry stands, if the key is there: the same as long as it is changed where it lies.
    pub fn address(&self) -> Option<u64> {
        Some(self.place?.location.offset().get())
    }

    /// The bytes of the key; none of one that is longer than any can be.
    pub(super) fn key_bytes(&self) -> &[u8] {
        self.key.as_ref().map_or(&[], Key::bytes)
    }

    /// What the key holds, if it is there.
    pub fn value_type(&self) -> Option<ValueType> {
        Some(self.place?.head.value_type)
    }
}

impl Db<'_> {
    /// The time of the current batch; for a long command, that at which it began.
    #[inline]
    pub fn now(&self) -> Millis {
        self.keyspace.as_of.unwrap_or(self.keyspace.now)
    }

    /// The longest string that a command may build, in bytes.
    pub fn bulk_len_max(&self) -> u64 {
        self.keyspace.bulk_len_max
    }

    /// Bytes that a command may go through at once, [`SLICE_BYTES`](super::SLICE_BYTES); what is longer goes on in slices.
    pub fn slice_bytes(&self) -> usize {
        self.keyspace.slice_bytes
    }

    /// The store, to read large collections.
    pub fn store(&self) -> &Store {
        &self.keyspace.store
    }

    /// The store, to build and change large collections.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.keyspace.store
    }

    /// When a collection is told to have its large encoding.
    pub fn limits(&self) -> &Limits {
        &self.keyspace.limits
    }

    /// A random number.
    pub fn random(&mut self) -> u64 {
        Keyspace::next_random(&mut self.keyspace.random)
    }

    /// How many keys there are, those included that have expired and are not removed yet.
    pub fn len(&self) -> u64 {
        self.keyspace.store.len(self.map())
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks a key up for a command that writes it. An expired key is removed and not there. It is a use of the key.
    #[inline]
    pub fn find<'k>(&mut self, key: &'k [u8]) -> Found<'k> {
        let found = self.peek(key);
        if let Some(access) = &mut self.keyspace.access
            && let (Some(key), Some(_)) = (&found.key, &found.place)
        {
            access.touch(key.hash());
        }
        found
    }

    /// [`find`](Db::find) that is no use of the key.
    #[inline]
    pub fn peek<'k>(&mut self, key: &'k [u8]) -> Found<'k> {
        let key = (key.len() <= KEY_BYTES_MAX).then(|| self.keyspace.store.key(key));
        let place = key.and_then(|key| self.place(&key));
        Found { key, place, writes: self.keyspace.writes }
    }

    /// [`find`](Db::find) that is a use of the key also for a client whose commands are none.
    pub fn touch<'k>(&mut self, key: &'k [u8]) -> Found<'k> {
        let found = self.peek(key);
        if let Some(access) = &mut self.keyspace.access
            && found.exists()
        {
            access.touch_anyway(found.stored_key().hash());
        }
        found
    }

    /// Looks a key up whether it has expired or not, for a long command that holds it and has found it before.
    pub fn find_held<'k>(&self, key: &'k [u8]) -> Found<'k> {
        let key = (key.len() <= KEY_BYTES_MAX).then(|| self.keyspace.store.key(key));
        let entry = key.and_then(|key| self.keyspace.store.find_entry(self.map(), &key));
        let place = entry.map(|(location, entry)| Place { location, head: Head::decode(&entry) });
        Found { key, place, writes: self.keyspace.writes }
    }

    /// Looks a key up for a command that reads it: [`find`](Db::find), counted as a hit or a miss.
    #[inline]
    pub fn read<'k>(&mut self, key: &'k [u8]) -> Found<'k> {
        let found = self.find(key);
        self.count_read(key, &found);
        found
    }

    /// Fetches what look-ups of these few keys will read, where the database is larger than the cache.
    #[inline]
    pub fn fetch<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        if self.keyspace.outgrows_cache(self.index) {
            ahead::fetch(&self.keyspace.store, self.map(), keys);
        }
    }

    /// Counts a look-up as a hit or a miss.
    #[inline]
    pub fn count_read(&mut self, key: &[u8], found: &Found<'_>) {
        if found.exists() {
            self.keyspace.stats.keyspace_hits += 1;
        } else {
            self.keyspace.stats.keyspace_misses += 1;
            if self.keyspace.notices.are_wanted() {
                self.keyspace.notices.note(self.index, key, Event::KeyMiss);
            }
        }
    }

    /// Gives the key that was found an expiry, which is not past, or takes it away; whether there was a key. The bytes of a value
    /// in its entry are copied only if there was no expiry, or none is to be; those of a blob or a large collection never.
    pub fn set_expiry(&mut self, found: Found<'_>, expires: Option<Millis>) -> Result<bool, CommandError> {
        let Some(Place { location, head: old }) = found.place else {
            return Ok(false);
        };
        self.check(&found);
        if old.expires == expires {
            return Ok(true);
        }
        let head = HeadBytes::again(&old, expires);
        let map = self.map();
        if old.len == head.as_slice().len()
            && old.expires.is_some()
            && self.keyspace.store.write_in_place(map, found.stored_key(), location, 0, head.as_slice())
        {
            self.written(&found, expires);
            return Ok(true);
        }
        if old.apart.is_some() {
            self.put(&found, &head, &[head.as_slice()])?;
            return Ok(true);
        }
        let stored = self.stored(&found, 0..self.value_len(location, &old));
        self.put_stored(&found, &head, stored, b"")?;
        Ok(true)
    }

    /// Removes the key that was found; whether there was one. O(1).
    pub fn remove(&mut self, found: Found<'_>) -> bool {
        let apart = found.apart();
        let removed = self.remove_entry(found);
        if removed {
            self.keyspace.release(self.index, apart);
        }
        removed
    }

    /// Removes the entry that was found; what it names is the caller's then.
    fn remove_entry(&mut self, found: Found<'_>) -> bool {
        self.check(&found);
        let (Some(key), Some(place)) = (found.key, found.place) else {
            return false;
        };
        let map = self.map();
        self.keyspace.store.remove_at(map, &key, place.location);
        self.keyspace.writes += 1;
        self.keyspace.databases[self.index].account(place.head.expires, None);
        if !self.unwatched() {
            self.keyspace.note_death(self.index, &key, place.head.expires);
        }
        true
    }

    /// Puts what `source` holds, its expiry included, at `target`, which was looked up in database `target_db`. A failed call
    /// changes nothing. The source must be there. A blob is shared, not copied; a large collection is not for this call.
    pub fn copy(&mut self, source: &Found<'_>, target_db: usize, target: &Found<'_>) -> Result<(), CommandError> {
        let place = source.place.expect("the caller has found the source");
        match place.head.apart {
            Some(Apart::Blob(id)) => {
                let blob = self.keyspace.store.blob(self.map(), id).clone();
                return self.keyspace.db(target_db).put_blob(target, place.head.expires, blob);
            }
            Some(Apart::Collection(_)) => unreachable!("a large collection is copied in slices"),
            None => {}
        }
        let head = HeadBytes::again(&place.head, place.head.expires);
        let stored = self.stored(source, 0..self.value_len(place.location, &place.head));
        let mut target_db = self.keyspace.db(target_db);
        target_db.put_stored(target, &head, stored, b"")?;
        if place.head.value_type == ValueType::Hash {
            target_db.take_over_fields(target.stored_key().bytes());
        }
        Ok(())
    }

    /// Makes the key that `source` found become `target`, its expiry included. A failed call changes nothing. The source must be
    /// there, and be another key. O(length) for what lies in its entry, else O(1).
    pub fn rename(&mut self, source: Found<'_>, target: Found<'_>) -> Result<(), CommandError> {
        self.move_to(source, self.index, target)
    }

    /// [`rename`](Db::rename) to a `target` that was looked up in database `target_db`.
    pub fn move_to(&mut self, source: Found<'_>, target_db: usize, target: Found<'_>) -> Result<(), CommandError> {
        let moved = source.collection();
        match moved {
            None => self.copy(&source, target_db, &target)?,
            Some(id) => {
                self.hand_over(&source, id, target_db, &target)?;
                if source.value_type() == Some(ValueType::Hash) {
                    self.keyspace.db(target_db).take_over_fields(target.stored_key().bytes());
                }
            }
        }
        let key = source.key.expect("the caller has found the source");
        if let Some(access) = &mut self.keyspace.access {
            access.moved(key.hash(), target.stored_key().hash());
        }
        // The put may have moved the source, and could not have removed it.
        let location = self.keyspace.store.find(self.map(), &key);
        let place = source.place.map(|place| Place { location: location.expect("nothing removed it"), ..place });
        let writes = self.keyspace.writes;
        let source = Found { place, writes, ..source };
        if moved.is_some() {
            self.remove_entry(source)
        } else {
            self.remove(source)
        };
        Ok(())
    }

    /// Puts the large collection of `source` at `target`. The source's entry names it still, and is to be removed.
    fn hand_over(
        &mut self,
        source: &Found<'_>,
        id: CollectionId,
        target_db: usize,
        target: &Found<'_>,
    ) -> Result<(), CommandError> {
        let head = source.place.expect("it was found").head;
        let moves = target_db != self.index;
        let at_target = if moves { self.keyspace.reserve_collection(target_db) } else { id };
        let head = HeadBytes::new(head.expires, head.value_type, Some(Apart::Collection(at_target)));
        let outcome = self.keyspace.db(target_db).put(target, &head, &[head.as_slice()]);
        match outcome {
            Ok(()) if moves => {
                let collection = self.keyspace.take_collection(self.index, id);
                self.keyspace.fill_collection(target_db, at_target, collection);
            }
            Err(_) if moves => self.keyspace.unreserve_collection(target_db, at_target),
            _ => {}
        }
        outcome
    }

    /// A random key that has not expired; `None` if there is none. Expired ones that are met are removed.
    pub fn random_key(&mut self) -> Option<Vec<u8>> {
        /// Those that are kept are met again and again.
        const TRIES_MAX: usize = 10_000;
        for _ in 0..TRIES_MAX {
            let map = self.map();
            let Keyspace { store, random, .. } = &mut *self.keyspace;
            let location = store.random(map, || Keyspace::next_random(random))?;
            let key = store.entry(map, location).key.to_vec();
            if self.peek(&key).exists() {
                return Some(key);
            }
        }
        None
    }

    /// Visits some keys with what they hold, and returns the next cursor, 0 at the end. A key that is there from the first call
    /// to the last is visited at least once. One that has expired comes with `None`. O(1), a few keys a call.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(chunkbuf::Slices<'_>, Option<ValueType>)) -> u64 {
        let now = self.now();
        self.keyspace.store.scan(self.map(), cursor, |_, entry| {
            let head = Head::decode(&entry);
            let expired = head.expires.is_some_and(|at| is_past(at, now));
            visit(entry.key, (!expired).then_some(head.value_type));
        })
    }

    /// Whether memory for `bytes` more is left under the limit, as far as can be told before it is tried. O(1).
    pub fn has_room(&self, bytes: u64) -> bool {
        let store = &self.keyspace.store;
        store.has_room(bytes) || self.keyspace.evicts && bytes <= store.options().memory_limit / 2
    }

    /// Bytes of memory that the keys take, with values but for those that are apart. O(1).
    pub fn map_bytes(&self) -> u64 {
        self.keyspace.store.map_bytes(self.map())
    }

    /// Removes all keys; O(1), the memory is freed by steps. Returns how many there were.
    pub fn clear(&mut self) -> u64 {
        debug_assert!(!self.is_walked(), "who clears a database waits for those who walk over it");
        let (map, keys) = (self.map(), self.len());
        if keys > 0 {
            self.keyspace.watched.note_cleared(self.index as u32);
        }
        self.keyspace.store.clear(map);
        self.keyspace.writes += 1;
        self.keyspace.stats.dirty += keys;
        self.keyspace.freeing += keys;
        let database = &mut self.keyspace.databases[self.index];
        database.expires = 0;
        database.expiry_sum = 0;
        database.wheel.clear();
        database.fields.clear();
        database.unfinished.clear();
        self.keyspace.discard_collections(self.index);
        self.keyspace.notices.note_flush();
        keys
    }

    /// Notes a change of a key. Whatever follows from a write hangs here and nowhere else.
    #[inline]
    pub fn changed(&mut self, key: &[u8], event: Event) {
        self.keyspace.stats.dirty += 1;
        self.also(key, event);
    }

    /// A second event of a change that [`changed`](Db::changed) has noted, or of one that no client made.
    #[inline]
    pub fn also(&mut self, key: &[u8], event: Event) {
        if self.keyspace.is_observed() {
            self.tell(key, event);
        }
    }

    /// Tells those who want to know of changes, in this order.
    #[cold]
    fn tell(&mut self, key: &[u8], event: Event) {
        if !self.keyspace.awaited.is_empty() || !self.keyspace.watched.is_empty() {
            let place = (self.index as u32, self.keyspace.store.key(key).hash());
            self.keyspace.awaited.note(place);
            self.keyspace.watched.note(place, event);
        }
        self.keyspace.notices.note(self.index, key, event);
    }

    pub(super) fn map(&self) -> chunkbuf::MapId {
        self.keyspace.databases[self.index].map
    }

    /// Where the key is, unless it has expired: then it is removed.
    #[inline]
    fn place(&mut self, key: &Key<'_>) -> Option<Place> {
        let map = self.map();
        let (location, entry) = self.keyspace.store.find_entry(map, key)?;
        let head = Head::decode(&entry);
        match head.expires {
            Some(at) if is_past(at, self.now()) => {
                if self.keyspace.is_kept(self.index, key.hash(), at) {
                    return None;
                }
                self.keyspace.remove_expired(self.index, key, location, at, head.apart);
                None
            }
            _ => Some(Place { location, head }),
        }
    }

    #[inline]
    pub(super) fn check(&self, found: &Found<'_>) {
        debug_assert!(
            found.place.is_none() || found.writes == self.keyspace.writes,
            "a key was written between look-up and use"
        );
    }

    /// Bytes of a value behind its head, in its entry.
    fn value_len(&self, location: Location, head: &Head) -> usize {
        self.keyspace.store.value(self.map(), location).len() - head.len
    }

    /// Puts an entry made of `parts`, which begin with `head`. What the entry named and does not
    /// name now is given up.
    pub(super) fn put(&mut self, found: &Found<'_>, head: &HeadBytes, parts: &[&[u8]]) -> Result<(), CommandError> {
        self.check(found);
        let key = found.key.as_ref().ok_or_else(key_too_long)?;
        let old = found.place.map(|place| place.location);
        let map = self.map();
        self.keyspace.store.put_at(map, key, old, head.flags, parts).map_err(put_error)?;
        if found.apart() != head.apart {
            self.keyspace.release(self.index, found.apart());
        }
        self.written(found, head.expires);
        Ok(())
    }

    /// Keeps the books after a write of the entry that was found.
    #[inline]
    fn written(&mut self, found: &Found<'_>, expires: Option<Millis>) {
        self.keyspace.writes += 1;
        if !found.exists() {
            if !self.unwatched() {
                self.keyspace.note_birth(self.index, found.stored_key().hash());
            }
            if let Some(access) = &mut self.keyspace.access {
                access.born(found.stored_key().hash());
            }
        }
        if !found.exists() && self.keyspace.notices.are_wanted() {
            self.keyspace.notices.note(self.index, found.stored_key().bytes(), Event::New);
        }
        let old = found.expires();
        if old.is_some() || expires.is_some() {
            let key = found.stored_key();
            let now = self.keyspace.now;
            self.keyspace.databases[self.index].arm(key.hash(), old, expires, now);
        }
    }
}

/// Refuses a key that is longer than any key can be, for a command that must know before it writes another one.
pub(crate) fn check_key(key: &[u8]) -> Result<(), CommandError> {
    if key.len() <= KEY_BYTES_MAX { Ok(()) } else { Err(key_too_long()) }
}

fn key_too_long() -> CommandError {
    CommandError::text_static("ERR key is too long (65535 bytes at most)")
}

/// What a command answers when the store refuses to put something.
pub(crate) fn put_error(error: PutError) -> CommandError {
    match error {
        PutError::OutOfMemory => CommandError::OutOfMemory,
        PutError::KeyTooLong => key_too_long(),
        PutError::ValueTooLong => string_too_long(),
        PutError::MapFull => CommandError::text_static("ERR the database is full (512 GiB at most)"),
    }
}

/// What a command answers that would build a string longer than `proto-max-bulk-len`.
pub(crate) fn string_too_long() -> CommandError {
    CommandError::text_static("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
}
