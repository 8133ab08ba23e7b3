//! Hashes: fields with values, each of which may expire.
//!
//! ```text
//!  small ([packed])           [flags][field][value]...             all in the entry of the key
//!
//!  large ([`Hash`])           map: field -> [expiry: 8 bytes LE, with TIMED] [rest of a long name] value
//!                                                                                      or [blob's number: 4 bytes LE, with BLOB]
//!                             wheel: 4 bytes for each field that expires
//! ```
//!
//! A large hash is a map of the store, so that a change of a field costs that field. Values over 64 KiB are blobs of the map: they are
//! replied with by reference. Fields that expire are found by a wheel of the hash's own, as keys are by their database's.
//!
//! Nothing here removes what has expired by itself: who reads is handed only what has not at the time that he tells, and
//! [`Hash::expire_some`] and [`PackedHash::expire`] remove the rest. `len` counts it until then, as in Redis.
//!
//! Invariants of a large hash:
//! 1. `len` is the number of entries of the map, `timed` that of those with an expiry.
//! 2. Each entry with an expiry has a record in the wheel.
//! 3. Each blob of the map is named by exactly one entry.

pub mod packed;

use chunkbuf::{BLOB_THRESHOLD, Blob, BlobId, Entry, Key, Location, MapId, PutError, Slices, Store, UserFlags};

use super::ahead::{self, look_ahead};
use super::name::{GivenName, Name, Prefix, StoredName};
use super::wheel::{Millis, Wheel};
use super::{Collection, Large};
use packed::{PackedFields, PackedHash};

/// The entry's value begins with an expiry.
const TIMED: UserFlags = UserFlags::A;
/// The field's value is a blob.
const BLOB: UserFlags = UserFlags::B;
const EXPIRY_BYTES: usize = size_of::<i64>();
const BLOB_ID_BYTES: usize = size_of::<u32>();
/// Groups of a wheel's records, 4 KiB each, that are freed in a step.
const FREED_GROUPS: u32 = 64;

/// How Redis would keep a hash; `OBJECT ENCODING` tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Few fields, all short.
    #[default]
    Listpack,
    /// The same, and fields of it have had an expiry.
    TimedListpack,
    /// Anything else.
    Table,
}

impl Encoding {
    /// As `OBJECT ENCODING` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Listpack => "listpack",
            Encoding::TimedListpack => "listpackex",
            Encoding::Table => "hashtable",
        }
    }
}

/// What happens to a field's expiry when it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It stays as it is.
    Keep,
    /// The field does not expire any more.
    Clear,
    /// It expires at this time.
    At(Millis),
}

impl Expiry {
    /// When the field expires then, if it expired at `old`.
    #[inline]
    fn after(self, old: Option<Millis>) -> Option<Millis> {
        match self {
            Expiry::Keep => old,
            Expiry::Clear => None,
            Expiry::At(at) => Some(at),
        }
    }
}

/// A value on its way into a hash.
#[derive(Debug)]
pub enum NewValue<'a> {
    /// To be copied.
    Bytes(&'a [u8]),
    /// On pages of its own, which the hash takes over.
    Blob(Blob),
}

impl NewValue<'_> {
    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        match self {
            NewValue::Bytes(bytes) => bytes.len(),
            NewValue::Blob(blob) => blob.len() as usize,
        }
    }
}

/// A value where it lies.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// In a small hash.
    Packed(&'a [u8]),
    /// In an entry of a large one.
    Entry(Slices<'a>),
    /// On pages of its own.
    Blob(&'a Blob),
}

impl<'a> Value<'a> {
    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Value::Packed(bytes) => bytes.len(),
            Value::Entry(slices) => slices.len(),
            Value::Blob(blob) => blob.len() as usize,
        }
    }

    /// All its bytes, if they lie in one piece.
    #[inline]
    pub fn contiguous(&self) -> Option<&'a [u8]> {
        match self {
            Value::Packed(bytes) => Some(bytes),
            Value::Entry(slices) => slices.contiguous(),
            Value::Blob(_) => None,
        }
    }

    /// A copy of all its bytes. O(length).
    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Value::Packed(bytes) => bytes.to_vec(),
            Value::Entry(slices) => slices.to_vec(),
            Value::Blob(blob) => blob.pieces(0..blob.len()).collect::<Vec<_>>().concat(),
        }
    }
}

/// A field of a large hash where it lies.
#[derive(Clone, Copy, Debug)]
pub struct StoredField<'a> {
    /// Its name.
    pub name: StoredName<'a>,
    /// Its value.
    pub value: Value<'a>,
    /// When it expires.
    pub expires: Option<Millis>,
}

impl StoredField<'_> {
    /// Itself, unless it has expired at `now`.
    #[inline]
    fn unless_expired(self, now: Millis) -> Option<Self> {
        (!self.expires.is_some_and(|at| at.is_past(now))).then_some(self)
    }
}

/// A hash in its large form.
#[derive(Debug)]
pub struct Hash {
    map: MapId,
    /// `false`: given back.
    has_map: bool,
    len: u64,
    /// Fields with an expiry.
    timed: u64,
    wheel: Option<Box<Wheel>>,
    encoding: Encoding,
    /// Blobs of values and of names: how many bytes.
    blob_bytes: u64,
}

/// What of an entry does not change with its place.
#[derive(Clone, Copy, Debug)]
struct Old {
    location: Location,
    expires: Option<Millis>,
    prefix: Prefix,
    blob: Option<BlobId>,
    /// Where the value begins in the entry.
    value_at: usize,
}

impl Hash {
    /// A hash without fields. O(1).
    pub fn new(store: &mut Store, encoding: Encoding) -> Hash {
        let map = store.create();
        Hash { map, has_map: true, len: 0, timed: 0, wheel: None, encoding, blob_bytes: 0 }
    }

    /// The large form of a small hash.
    ///
    /// # Errors
    /// When there is no memory; nothing is left of it then.
    pub fn from_packed(store: &mut Store, packed: &PackedHash, now: Millis) -> Result<Hash, PutError> {
        let mut hash = Hash::new(store, packed.encoding());
        for field in packed.fields() {
            let expiry = field.expires.map_or(Expiry::Clear, Expiry::At);
            if let Err(error) = hash.set(store, field.name.into(), NewValue::Bytes(field.value), expiry, now) {
                while hash.free_some(store) {}
                return Err(error);
            }
        }
        Ok(hash)
    }

    /// What `OBJECT ENCODING` says of it.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Lets it be told to be a table, from now on.
    pub fn become_table(&mut self) {
        self.encoding = Encoding::Table;
    }

    /// Lets it be told to be one whose fields expire, unless it is a table.
    pub fn become_timed(&mut self) {
        if self.encoding == Encoding::Listpack {
            self.encoding = Encoding::TimedListpack;
        }
    }

    /// Whether no field expires.
    #[inline]
    pub fn is_lasting(&self) -> bool {
        self.timed == 0
    }

    /// The field of a name, unless it has expired. O(1).
    #[inline]
    pub fn get<'s>(&self, store: &'s Store, name: GivenName<'_>, now: Millis) -> Option<StoredField<'s>> {
        let name = Name::new(store, name);
        let (_, entry) = store.find_entry(self.map, &store.key(name.key()))?;
        self.read(store, &entry).unless_expired(now)
    }

    /// Whether there is a field of that name that has expired.
    fn has_expired(&self, store: &Store, name: GivenName<'_>, now: Millis) -> bool {
        let name = Name::new(store, name);
        let old = self.find(store, &store.key(name.key()));
        old.and_then(|old| old.expires).is_some_and(|at| at.is_past(now))
    }

    /// The map that has its fields, while it is there.
    pub(super) fn map(&self) -> Option<MapId> {
        self.has_map.then_some(self.map)
    }

    /// Prepares for fields to be looked up (see [`look_ahead`]).
    #[inline]
    pub fn look_ahead<'a>(&self, store: &Store, name_at: impl Fn(usize) -> Option<&'a [u8]>) {
        look_ahead(store, self.map, name_at);
    }

    /// Sets a field; whether there was none of that name. One that has expired at `now` was not there. O(length), for a blob O(1);
    /// a value of the same length is written in place.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn set(
        &mut self,
        store: &mut Store,
        name: GivenName<'_>,
        value: NewValue<'_>,
        expiry: Expiry,
        now: Millis,
    ) -> Result<bool, PutError> {
        let name = Name::new(store, name);
        let key = store.key(name.key());
        self.set_key(store, &key, |store, map| name.put_rest(store, map), (value, expiry), now)
    }

    /// [`set`](Hash::set), by the key of a name; `new_prefix` makes what goes in front of the value if it is new.
    #[inline]
    fn set_key(
        &mut self,
        store: &mut Store,
        key: &Key<'_>,
        new_prefix: impl FnOnce(&mut Store, MapId) -> Result<Prefix, PutError>,
        (value, expiry): (NewValue<'_>, Expiry),
        now: Millis,
    ) -> Result<bool, PutError> {
        let old = self.find(store, key);
        let lives = old.is_some_and(|old| !old.expires.is_some_and(|at| at.is_past(now)));
        let old_expires = old.and_then(|old| old.expires);
        let expires = expiry.after(old_expires.filter(|_| lives));
        let value = match value {
            NewValue::Bytes(bytes) if bytes.len() as u64 > BLOB_THRESHOLD => {
                let mut blob = store.new_blob();
                store.blob_append(&mut blob, bytes)?;
                NewValue::Blob(blob)
            }
            value => value,
        };
        let id_bytes: [u8; BLOB_ID_BYTES];
        let (bytes, blob) = match value {
            NewValue::Bytes(bytes) => {
                if let Some(Old { location, blob: None, value_at, .. }) = old
                    && expires == old_expires
                    && store.rewrite_in_place(self.map, key, location, value_at, bytes)
                {
                    return Ok(!lives);
                }
                (bytes, None)
            }
            NewValue::Blob(blob) => {
                let len = blob.len();
                let id = store.attach(self.map, blob);
                id_bytes = id.get().to_le_bytes();
                (&id_bytes[..], Some((id, len)))
            }
        };
        let prefix = match old {
            Some(old) => Ok(old.prefix),
            None => new_prefix(store, self.map),
        };
        let expiry_bytes = expires.map(|Millis(at)| at.to_le_bytes());
        let head = expiry_bytes.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        let mut flags = if expires.is_some() { TIMED } else { UserFlags::NONE };
        if blob.is_some() {
            flags = flags.with(BLOB);
        }
        let location = old.map(|old| old.location);
        let put = prefix.and_then(|prefix| {
            let put = store.put_at(self.map, key, location, flags, &[head, prefix.as_slice(), bytes]);
            match old {
                None if put.is_err() => {
                    prefix.release(store, self.map);
                }
                None => self.blob_bytes += prefix.rest_len(store, self.map),
                Some(_) => {}
            }
            put
        });
        if let Err(error) = put {
            if let Some((id, _)) = blob {
                drop(store.detach(self.map, id));
            }
            return Err(error);
        }
        self.release(store, old.and_then(|old| old.blob));
        self.blob_bytes += blob.map_or(0, |(_, len)| len);
        self.len += u64::from(old.is_none());
        self.note_expiry(key.hash(), old_expires, expires, now);
        Ok(!lives)
    }

    /// Lets a field that is there expire at a time, or never. O(1), but for an expiry that appears or goes: O(length).
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn set_expiry(
        &mut self,
        store: &mut Store,
        name: GivenName<'_>,
        expires: Option<Millis>,
        now: Millis,
    ) -> Result<(), PutError> {
        let name = Name::new(store, name);
        let key = store.key(name.key());
        let Some(old) = self.find(store, &key) else { return Ok(()) };
        if old.expires == expires {
            return Ok(());
        }
        let bytes = expires.map(|Millis(at)| at.to_le_bytes());
        let head = bytes.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        let in_place =
            old.expires.is_some() && expires.is_some() && store.write_in_place(self.map, &key, old.location, 0, head);
        if !in_place {
            let entry = store.entry(self.map, old.location);
            let rest =
                entry.value.slice(if old.expires.is_some() { EXPIRY_BYTES } else { 0 }..entry.value.len()).to_vec();
            let flags = if old.blob.is_some() { BLOB } else { UserFlags::NONE };
            let flags = if expires.is_some() { flags.with(TIMED) } else { flags };
            store.put_at(self.map, &key, Some(old.location), flags, &[head, &rest])?;
        }
        self.note_expiry(key.hash(), old.expires, expires, now);
        Ok(())
    }

    /// Removes a field; whether it was there and had not expired. O(1).
    pub fn remove(&mut self, store: &mut Store, name: GivenName<'_>, now: Millis) -> bool {
        let name = Name::new(store, name);
        let key = store.key(name.key());
        let Some(old) = self.find(store, &key) else { return false };
        self.remove_at(store, &key, old);
        !old.expires.is_some_and(|at| at.is_past(now))
    }

    /// Visits some fields and returns the next cursor, 0 at the end; begin with 0. A field that is there from the first call to the
    /// last is visited at least once, one that has expired as `None`: it costs time too. O(1), a few fields a call.
    pub fn scan<'s>(
        &self,
        store: &'s Store,
        cursor: u64,
        now: Millis,
        mut visit: impl FnMut(Option<StoredField<'s>>),
    ) -> u64 {
        store.scan(self.map, cursor, |location, _| {
            visit(self.read(store, &store.entry(self.map, location)).unless_expired(now));
        })
    }

    /// [`scan`](Hash::scan) that visits each field just once, for a walk in slices during which nobody writes: the store may rearrange
    /// its index between them, and then a plain scan goes back a little. Costs a hash for each field more.
    pub fn walk<'s>(
        &self,
        store: &'s Store,
        cursor: u64,
        now: Millis,
        mut visit: impl FnMut(Option<StoredField<'s>>),
    ) -> u64 {
        // A cursor is the position in the order of the hashes, with its bits reversed.
        let position = cursor.reverse_bits();
        let mut scratch = Vec::new();
        store.scan(self.map, cursor, |location, entry| {
            if store.key(entry.key.as_slice(&mut scratch)).hash() >= position {
                visit(self.read(store, &store.entry(self.map, location)).unless_expired(now));
            }
        })
    }

    /// A field, each as likely as the others; `None` also if that one has expired.
    pub fn random<'s>(&self, store: &'s Store, now: Millis, random: impl FnMut() -> u64) -> Option<StoredField<'s>> {
        let location = store.random(self.map, random)?;
        self.read(store, &store.entry(self.map, location)).unless_expired(now)
    }

    /// Removes fields that have expired, with at most so many look-ups, which it counts down; how many it removed, and whether there
    /// may be more.
    pub fn expire_some(&mut self, store: &mut Store, now: Millis, lookups: &mut u32) -> (u64, bool) {
        let before = self.len;
        while *lookups > 0 {
            *lookups -= 1;
            let Some(wheel) = self.wheel.as_mut() else { return (before - self.len, false) };
            let Some(prefix) = wheel.next_due(now) else {
                return (before - self.len, false);
            };
            let mut expired: Vec<Vec<u8>> = Vec::new();
            store.scan_prefix(self.map, prefix, |_, entry| match expiry_of(&entry) {
                Some(at) if at.is_past(now) => expired.push(entry.key.to_vec()),
                Some(at) => wheel.arm(prefix, at, now),
                None => {}
            });
            for bytes in &expired {
                let key = store.key(bytes);
                let old = self.find(store, &key).expect("just seen");
                self.remove_at(store, &key, old);
            }
        }
        (before - self.len, true)
    }

    /// When [`expire_some`](Hash::expire_some) has something to do, at the earliest. O(1).
    pub fn next_look(&self, now: Millis) -> Option<Millis> {
        self.wheel.as_ref()?.next_look(now)
    }

    /// Panics when an invariant does not hold. Cost: everything; for tests.
    #[cfg(test)]
    pub(crate) fn audit(&self, store: &Store) {
        let (mut cursor, mut timed) = (0, 0);
        loop {
            cursor = store.scan(self.map, cursor, |_, entry| timed += u64::from(expiry_of(&entry).is_some()));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((self.len, self.timed), (store.len(self.map), timed));
        assert!(self.wheel.as_ref().map_or(0, |wheel| wheel.records()) >= timed.min(1));
    }

    /// Reads an entry.
    #[inline]
    fn read<'s>(&self, store: &'s Store, entry: &Entry<'s>) -> StoredField<'s> {
        let (expires, value) = match expiry_of(entry) {
            None => (None, entry.value),
            expires => (expires, entry.value.slice(EXPIRY_BYTES..entry.value.len())),
        };
        let (name, value) = StoredName::split(store, self.map, entry.key, value);
        let value = match blob_of(entry, value) {
            Some(id) => Value::Blob(store.blob(self.map, id)),
            None => Value::Entry(value),
        };
        StoredField { name, value, expires }
    }

    #[inline]
    fn find(&self, store: &Store, key: &Key<'_>) -> Option<Old> {
        let (location, entry) = store.find_entry(self.map, key)?;
        let expires = expiry_of(&entry);
        let head = if expires.is_some() { EXPIRY_BYTES } else { 0 };
        let behind = if head == 0 { entry.value } else { entry.value.slice(head..entry.value.len()) };
        let (prefix, value) = Prefix::split(entry.key.len(), behind);
        let value_at = entry.value.len() - value.len();
        Some(Old { location, expires, prefix, blob: blob_of(&entry, value), value_at })
    }

    fn remove_at(&mut self, store: &mut Store, key: &Key<'_>, old: Old) {
        store.remove_at(self.map, key, old.location);
        self.release(store, old.blob);
        self.blob_bytes -= old.prefix.release(store, self.map);
        self.len -= 1;
        self.timed -= u64::from(old.expires.is_some());
    }

    fn release(&mut self, store: &mut Store, blob: Option<BlobId>) {
        if let Some(id) = blob {
            self.blob_bytes -= store.detach(self.map, id).len();
        }
    }

    /// Keeps invariants 1 and 2 when an expiry changes, appears or goes. One that moved to later has its record already.
    #[inline]
    fn note_expiry(&mut self, hash: u64, old: Option<Millis>, new: Option<Millis>, now: Millis) {
        self.timed -= u64::from(old.is_some());
        let Some(at) = new else { return };
        self.timed += 1;
        if old.is_none_or(|old| at < old) {
            self.wheel.get_or_insert_default().arm((hash >> 32) as u32, at, now);
        }
    }
}

impl Large for Hash {
    fn len(&self) -> u64 {
        self.len
    }

    fn free_some(&mut self, store: &mut Store) -> bool {
        if self.has_map {
            // The store frees what was in it by steps of its own.
            store.drop_map(self.map);
            self.has_map = false;
            if let Some(wheel) = &mut self.wheel {
                wheel.clear();
            }
        }
        self.wheel.as_mut().is_some_and(|wheel| wheel.free_some(FREED_GROUPS))
    }

    fn memory_bytes(&self, store: &Store) -> u64 {
        let wheel = self.wheel.as_ref().map_or(0, |wheel| wheel.memory_bytes());
        size_of::<Hash>() as u64 + store.map_bytes(self.map) + self.blob_bytes + wheel as u64
    }

    fn new_copy(&self, store: &mut Store) -> Collection {
        Collection::Hash(Hash::new(store, self.encoding))
    }

    /// Fields that have expired are copied too. Blobs are shared, those of names as well.
    fn copy_some(
        &self,
        store: &mut Store,
        target: &mut Collection,
        cursor: &mut u64,
        now: Millis,
    ) -> Result<bool, PutError> {
        let Collection::Hash(target) = target else { unreachable!("a copy is of the same kind") };
        /// A field apart from the store.
        struct Copied {
            key: Vec<u8>,
            prefix: Prefix,
            expiry: Expiry,
            value: Result<Vec<u8>, Blob>,
        }
        let mut fields: Vec<Copied> = Vec::new();
        *cursor = self.walk(store, *cursor, Millis(i64::MIN), |field| {
            let Some(field) = field else { return };
            let (key, prefix) = field.name.to_parts();
            fields.push(Copied {
                key,
                prefix,
                expiry: field.expires.map_or(Expiry::Clear, Expiry::At),
                value: if let Value::Blob(blob) = field.value { Err(blob.clone()) } else { Ok(field.value.to_vec()) },
            });
        });
        ahead::fetch(store, target.map, fields.iter().map(|field| &field.key[..]));
        for Copied { key, prefix, expiry, value } in fields {
            let value = match &value {
                Ok(bytes) => NewValue::Bytes(bytes),
                Err(blob) => NewValue::Blob(blob.clone()),
            };
            let key = store.key(&key);
            let share = |store: &mut Store, to| Ok(prefix.share(store, self.map, to));
            target.set_key(store, &key, share, (value, expiry), now)?;
        }
        Ok(*cursor != 0)
    }
}

/// When an entry expires.
#[inline]
fn expiry_of(entry: &Entry<'_>) -> Option<Millis> {
    entry.flags.has(TIMED).then(|| {
        let mut bytes = [0; EXPIRY_BYTES];
        entry.value.slice(0..EXPIRY_BYTES).copy_to(&mut bytes);
        Millis(i64::from_le_bytes(bytes))
    })
}

/// The blob that the value of an entry names, if it does.
#[inline]
fn blob_of(entry: &Entry<'_>, value: Slices<'_>) -> Option<BlobId> {
    entry.flags.has(BLOB).then(|| {
        let mut bytes = [0; BLOB_ID_BYTES];
        value.copy_to(&mut bytes);
        BlobId::new(u32::from_le_bytes(bytes)).expect("only numbers of blobs are ever written")
    })
}

/// A hash to be read, in either form, at one time: what has expired then is not there.
#[derive(Clone, Copy, Debug)]
pub enum Reader<'a> {
    /// The bytes of a small one.
    Packed(&'a [u8], Millis),
    /// A large one and where it lies.
    Large(&'a Hash, &'a Store, Millis),
}

impl<'a> Reader<'a> {
    /// The value of a field. O(1), or O(bytes) in a small hash.
    #[inline]
    pub fn get(&self, name: GivenName<'_>) -> Option<Value<'a>> {
        self.find(name).map(|(value, _)| value)
    }

    /// The value of a field, and when it expires.
    #[inline]
    pub fn find(&self, name: GivenName<'_>) -> Option<(Value<'a>, Option<Millis>)> {
        match *self {
            Reader::Packed(bytes, now) => {
                let field = PackedFields::new(bytes).find_name(name.contiguous()?)?;
                let lives = !field.expires.is_some_and(|at| at.is_past(now));
                lives.then_some((Value::Packed(field.value), field.expires))
            }
            Reader::Large(hash, store, now) => hash.get(store, name, now).map(|field| (field.value, field.expires)),
        }
    }

    /// Whether there is a field of that name that has expired, and so is not [found](Reader::get).
    pub fn has_expired(&self, name: GivenName<'_>) -> bool {
        match *self {
            Reader::Packed(bytes, now) => {
                let fields = PackedFields::new(bytes);
                let has_passed = |field: packed::PackedField<'_>| field.expires.is_some_and(|at| at.is_past(now));
                let field = || fields.find_name(name.contiguous()?);
                !fields.is_lasting() && field().is_some_and(has_passed)
            }
            Reader::Large(hash, store, now) => !hash.is_lasting() && hash.has_expired(store, name, now),
        }
    }

    /// Whether no field can expire.
    pub fn is_lasting(&self) -> bool {
        match *self {
            Reader::Packed(bytes, _) => PackedFields::new(bytes).is_lasting(),
            Reader::Large(hash, ..) => hash.is_lasting(),
        }
    }

    /// Prepares for fields to be looked up, where that takes time (see [`look_ahead`]).
    #[inline]
    pub fn look_ahead<'n>(&self, name_at: impl Fn(usize) -> Option<&'n [u8]>) {
        if let Reader::Large(hash, store, _) = self {
            hash.look_ahead(store, name_at);
        }
    }

    /// How many fields there are, those that have expired and are not removed yet included. O(1), or O(bytes).
    pub fn len_stored(&self) -> u64 {
        match *self {
            Reader::Packed(bytes, _) => PackedFields::new(bytes).count() as u64,
            Reader::Large(hash, ..) => hash.len(),
        }
    }

    /// What `OBJECT ENCODING` says of it.
    pub fn encoding(&self) -> Encoding {
        match *self {
            Reader::Packed(bytes, _) => packed::encoding(bytes),
            Reader::Large(hash, ..) => hash.encoding(),
        }
    }
}

#[cfg(test)]
#[path = "hash/tests.rs"]
mod tests;
