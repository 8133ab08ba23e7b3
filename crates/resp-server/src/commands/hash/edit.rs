//! A hash as commands read and change it, whichever form it has; and the many fields of a long request, in slices.
//!
//! ```text
//!  HashEdit::begin(db, key)      Packed: a copy of the bytes   --grows-->  Apart: a large hash that no key has yet
//!        |                       Large: the key's own
//!   set, remove, set_expiry           |                                     |
//!        |                            v                                     v
//!  edit.end(db)                  put back, or the key is removed       put as the key's
//! ```
//!
//! Up to its end a change of a small hash shows nowhere, so that a command that runs out of memory has changed nothing. A large hash
//! is changed in place: who sets many fields of one asks for room first.

use std::fmt::Debug;

use crate::commands::generic::many::Room;
use crate::commands::spec::{Flow, Outcome};
use crate::engine::tasks::Holding;
use crate::engine::{Engine, Progress, Slice, Sliced};
use crate::keyspace::{Db, Found, Millis, ValueType, View, put_error};
use crate::proto::{self, Args, CommandError, Reply};
use crate::types::hash::packed::{self, PackedHash};
use crate::types::hash::{Expiry, Hash, NewValue, Reader, Value};
use crate::types::name::GivenName;
use crate::types::{Collection, Large as _, Limits, PACKED_BYTES_MAX};

use chunkbuf::Store;

/// What a field of a request may cost, in the bytes of a slice: 32 fields are a slice, 20 to 50 us, and several times that while the
/// index grows.
const FIELD_COST: usize = 2048;

/// The hash that a view shows, to be read now.
pub(in crate::commands) fn reader<'a>(db: &'a Db<'_>, view: &'a View<'a>) -> Reader<'a> {
    match view {
        View::Packed(bytes) => Reader::Packed(bytes, db.now()),
        View::Large(Collection::Hash(hash)) => Reader::Large(hash, db.store(), db.now()),
        View::Large(_) => unreachable!("the key was found to hold a hash"),
    }
}

/// Replies with a value: copied, but for one on pages of its own.
pub(super) fn reply_value(value: Value<'_>, reply: &mut Reply) {
    match value {
        Value::Packed(bytes) => reply.bulk(bytes),
        Value::Entry(slices) => match slices.contiguous() {
            Some(bytes) => reply.bulk(bytes),
            None => reply.bulk_pieces(slices.len(), slices.pieces()),
        },
        Value::Blob(blob) => reply.bulk_blob(blob.slice(0..blob.len())),
    }
}

/// An argument as the value of a field.
pub(super) fn new_value<'a>(args: &Args<'a>, index: usize) -> NewValue<'a> {
    match args.take_value(index) {
        proto::Value::Bytes(bytes) => NewValue::Bytes(bytes),
        proto::Value::Blob(blob) => NewValue::Blob(blob),
    }
}

/// A hash that is being changed.
#[derive(Debug)]
pub(super) struct HashEdit<'k> {
    key: &'k [u8],
    found: Found<'k>,
    state: State,
}

/// What of an edit outlives a slice.
#[derive(Debug)]
pub(super) struct State {
    form: Form,
    /// When the keyspace looks at its fields already.
    look: Option<Millis>,
    is_changed: bool,
    room: Room,
}

#[derive(Debug)]
enum Form {
    Packed(PackedHash),
    Apart(Hash),
    Large,
}

impl<'k> HashEdit<'k> {
    /// Looks the key up; one that is not there is a hash without fields.
    pub(super) fn begin(db: &mut Db<'_>, key: &'k [u8]) -> Result<HashEdit<'k>, CommandError> {
        let found = db.find(key);
        let (form, look) = match db.collection(&found, ValueType::Hash)? {
            None => (Form::Packed(PackedHash::default()), None),
            Some(View::Packed(bytes)) => (Form::Packed(PackedHash::from(&bytes[..])), packed::next_expiry(&bytes)),
            Some(View::Large(_)) => (Form::Large, db.next_look_at_fields(&found)),
        };
        Ok(HashEdit { key, found, state: State { form, look, is_changed: false, room: Room::default() } })
    }

    /// The same for a command about one field. One that has expired is removed first, as in Redis, and the key if that was its last.
    pub(super) fn begin_at(db: &mut Db<'_>, key: &'k [u8], field: GivenName<'_>) -> Result<HashEdit<'k>, CommandError> {
        let edit = HashEdit::begin(db, key)?;
        if !edit.reader(db).has_expired(field) {
            return Ok(edit);
        }
        db.expire_these_fields(key, &[field]);
        HashEdit::begin(db, key)
    }

    /// Goes on with a hash whose key is held, at the time at which it was begun.
    fn resume(db: &mut Db<'_>, key: &'k [u8], state: State) -> HashEdit<'k> {
        HashEdit { key, found: db.find(key), state }
    }

    /// The key.
    pub(super) fn key(&self) -> &'k [u8] {
        self.key
    }

    /// Whether the key was there.
    pub(super) fn exists(&self) -> bool {
        self.found.exists()
    }

    /// The hash as it is now.
    pub(super) fn reader<'a>(&'a self, db: &'a Db<'_>) -> Reader<'a> {
        match &self.state.form {
            Form::Packed(packed) => Reader::Packed(packed.as_bytes(), db.now()),
            Form::Apart(hash) => Reader::Large(hash, db.store(), db.now()),
            Form::Large => match db.collection(&self.found, ValueType::Hash) {
                Ok(Some(View::Large(Collection::Hash(hash)))) => Reader::Large(hash, db.store(), db.now()),
                _ => unreachable!("it was found to be a large hash"),
            },
        }
    }

    /// Whether it has no field.
    pub(super) fn is_empty(&self, db: &Db<'_>) -> bool {
        match &self.state.form {
            Form::Packed(packed) => packed.is_empty(),
            _ => self.reader(db).len_stored() == 0,
        }
    }

    /// Asks for room for so many fields, of `bytes` altogether, if they are several and the hash is changed in place. O(1).
    pub(super) fn ask_for_room(&mut self, db: &Db<'_>, fields: usize, bytes: u64) -> Result<(), CommandError> {
        if self.is_in_place() && fields > 1 {
            self.state.room = Room::ask(db, bytes, fields)?;
        }
        Ok(())
    }

    /// Whether it is the key's own hash that is changed, where it lies.
    pub(super) fn is_in_place(&self) -> bool {
        matches!(self.state.form, Form::Large)
    }

    /// Prepares for the fields behind argument `index` to be looked up.
    #[inline]
    fn look_ahead(&self, db: &Db<'_>, args: &Args<'_>, fields: Fields, index: usize) {
        if !matches!(self.state.form, Form::Packed(_)) {
            self.reader(db).look_ahead(|ahead| {
                let index = index + ahead * fields.step;
                args.get(index).filter(|_| index < fields.end)
            });
        }
    }

    /// Prepares for so many fields to be set, as Redis does, which takes them all for new.
    pub(super) fn expect(&mut self, db: &mut Db<'_>, fields: usize) {
        if fields > db.limits().hash_max_listpack_entries {
            match &mut self.state.form {
                Form::Packed(packed) => packed.become_table(),
                _ => self.large(db).0.become_table(),
            }
        }
    }

    /// Lets its encoding be one whose fields can expire.
    pub(super) fn become_timed(&mut self, db: &mut Db<'_>) {
        match &mut self.state.form {
            Form::Packed(packed) => packed.become_timed(),
            _ => self.large(db).0.become_timed(),
        }
        self.state.is_changed = true;
    }

    /// Sets a field; whether there was none of that name. After an error the edit is of no use: drop it.
    pub(super) fn set(
        &mut self,
        db: &mut Db<'_>,
        name: GivenName<'_>,
        value: NewValue<'_>,
        expiry: Expiry,
    ) -> Result<bool, CommandError> {
        let now = db.now();
        let Limits { hash_max_listpack_entries: fields_max, hash_max_listpack_value: len_max, .. } = *db.limits();
        let is_long = name.len() > len_max || value.len() > len_max;
        self.state.is_changed = true;
        if let Form::Packed(packed) = &mut self.state.form {
            if is_long {
                packed.become_table();
            }
            match (name.contiguous(), &value) {
                (Some(name), NewValue::Bytes(bytes)) if name.len() + bytes.len() < PACKED_BYTES_MAX => {
                    let is_new = packed.set(name, bytes, expiry, now);
                    if packed.has_more_than(fields_max) {
                        packed.become_table();
                    }
                    if packed.as_bytes().len() > PACKED_BYTES_MAX {
                        self.grow(db)?;
                    }
                    return Ok(is_new);
                }
                _ => self.grow(db)?,
            }
        }
        let (hash, store) = self.large(db);
        let outcome = hash.set(store, name, value, expiry, now);
        if is_long || hash.len() > fields_max as u64 {
            hash.become_table();
        }
        outcome.map_err(|error| {
            self.give_up(db);
            put_error(error)
        })
    }

    /// Removes a field; whether it was there, if only as one that has expired.
    pub(super) fn remove(&mut self, db: &mut Db<'_>, name: GivenName<'_>) -> bool {
        let now = db.now();
        let removed = match &mut self.state.form {
            Form::Packed(packed) => name.contiguous().is_some_and(|name| packed.remove(name).is_some()),
            _ => {
                let (hash, store) = self.large(db);
                let before = hash.len();
                hash.remove(store, name, now);
                hash.len() < before
            }
        };
        self.state.is_changed |= removed;
        removed
    }

    /// Removes a field if it has expired; how many that were.
    pub(super) fn remove_expired(&mut self, db: &mut Db<'_>, name: GivenName<'_>) -> u64 {
        u64::from(self.reader(db).has_expired(name) && self.remove(db, name))
    }

    /// Lets a field that is there expire at a time, or never. After an error the edit is of no use: drop it.
    pub(super) fn set_expiry(
        &mut self,
        db: &mut Db<'_>,
        name: GivenName<'_>,
        expires: Option<Millis>,
    ) -> Result<(), CommandError> {
        let now = db.now();
        self.state.is_changed = true;
        if let Form::Packed(packed) = &mut self.state.form {
            if let Some(name) = name.contiguous() {
                packed.set_expiry(name, expires);
            }
            return if packed.as_bytes().len() > PACKED_BYTES_MAX { self.grow(db) } else { Ok(()) };
        }
        let (hash, store) = self.large(db);
        hash.set_expiry(store, name, expires, now).map_err(|error| {
            self.give_up(db);
            put_error(error)
        })
    }

    /// Ends it: what was changed is the key's, which goes with its last field; whether it went. A failed call changes nothing of a
    /// small hash.
    pub(super) fn end(self, db: &mut Db<'_>) -> Result<bool, CommandError> {
        let HashEdit { key, found, state: State { form, look, is_changed, .. } } = self;
        if !is_changed {
            return Ok(false);
        }
        let now = db.now();
        let next = match form {
            Form::Packed(packed) if packed.is_empty() => return Ok(db.remove(found)),
            Form::Packed(packed) => {
                db.put_packed(found, ValueType::Hash, packed.as_bytes())?;
                packed::next_expiry(packed.as_bytes())
            }
            Form::Apart(hash) => {
                let next = hash.next_look(now);
                db.put_large(found, ValueType::Hash, Box::new(Collection::Hash(hash)))?;
                next
            }
            Form::Large => {
                let Some((Collection::Hash(hash), _)) = db.large_mut(&found) else {
                    unreachable!("it was found to be a large hash");
                };
                let next = hash.next_look(now);
                if hash.len() == 0 {
                    return Ok(db.remove(found));
                }
                next
            }
        };
        if let Some(next) = next
            && look.is_none_or(|look| next < look)
        {
            let key_hash = db.store().key(key).hash();
            db.look_at_fields(key_hash, next);
        }
        Ok(false)
    }

    /// Takes the large form.
    #[cold]
    fn grow(&mut self, db: &mut Db<'_>) -> Result<(), CommandError> {
        let now = db.now();
        if let Form::Packed(packed) = &self.state.form {
            self.state.form = Form::Apart(Hash::from_packed(db.store_mut(), packed, now).map_err(put_error)?);
        }
        Ok(())
    }

    /// The large hash, and where it lies.
    fn large<'d>(&'d mut self, db: &'d mut Db<'_>) -> (&'d mut Hash, &'d mut Store) {
        match &mut self.state.form {
            Form::Packed(_) => unreachable!("the caller has seen the form"),
            Form::Apart(hash) => (hash, db.store_mut()),
            Form::Large => match db.large_mut(&self.found) {
                Some((Collection::Hash(hash), store)) => (hash, store),
                _ => unreachable!("it was found to be a large hash"),
            },
        }
    }

    /// Gives up what no key has.
    fn give_up(&mut self, db: &mut Db<'_>) {
        if let Form::Apart(_) = self.state.form
            && let Form::Apart(hash) = std::mem::replace(&mut self.state.form, Form::Packed(PackedHash::default()))
        {
            db.discard(Box::new(Collection::Hash(hash)));
        }
    }
}

/// The arguments of a request that name fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// The first of them.
    pub(super) first: usize,
    /// The first argument behind the last of them and its value.
    pub(super) end: usize,
    /// Arguments from one to the next.
    pub(super) step: usize,
}

impl Fields {
    /// How many they are.
    pub(super) fn len(&self) -> usize {
        (self.end - self.first).div_ceil(self.step)
    }
}

/// What a command does with each of its fields.
pub(super) trait FieldWork: Debug + Sized + 'static {
    /// Does it with the one that is argument `index`; whether the others are to be done too. An error ends the command.
    fn visit(
        &mut self,
        edit: &mut HashEdit<'_>,
        db: &mut Db<'_>,
        args: &Args<'_>,
        index: usize,
    ) -> Result<bool, CommandError>;

    /// Called when all fields were visited: whether they are to be visited again, for another stage.
    fn again(&mut self) -> bool {
        false
    }

    /// Ends the edit, tells what happened and replies.
    fn finish(self, edit: HashEdit<'_>, db: &mut Db<'_>, reply: &mut Reply) -> Result<(), CommandError>;
}

/// Does a command's work with each of the fields: at once, or in slices if they are many. The key is argument 1.
pub(super) fn each_field<W: FieldWork>(
    db: &mut Db<'_>,
    args: &Args<'_>,
    mut edit: HashEdit<'_>,
    fields: Fields,
    mut work: W,
    reply: &mut Reply,
) -> Outcome {
    if fields.len() > db.slice_bytes() / FIELD_COST || args.entry_bytes() > db.slice_bytes() as u64 {
        return Ok(Flow::Sliced(Box::new(EachField { work: Some((work, edit.state)), fields, next: fields.first })));
    }
    let mut go_on = true;
    while go_on {
        for index in (fields.first..fields.end).step_by(fields.step) {
            edit.look_ahead(db, args, fields, index);
            go_on &= work.visit(&mut edit, db, args, index)?;
            if !go_on {
                break;
            }
        }
        go_on &= work.again();
    }
    work.finish(edit, db, reply)?;
    Ok(Flow::Done)
}

/// [`each_field`] in slices. Time stands still for it, as for every task, so that no field expires in its middle.
#[derive(Debug)]
struct EachField<W> {
    /// `None`: it has ended.
    work: Option<(W, State)>,
    fields: Fields,
    /// The argument to go on with.
    next: usize,
}

impl<W: FieldWork> EachField<W> {
    fn go_on(&mut self, db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Result<Progress, CommandError> {
        let (mut work, state) = self.work.take().expect("it has not ended");
        let mut edit = HashEdit::resume(db, args.at(1), state);
        let mut cost = 0;
        loop {
            let index = self.next;
            if index >= self.fields.end {
                if !work.again() {
                    break;
                }
                self.next = self.fields.first;
                continue;
            }
            if cost >= db.slice_bytes() {
                self.work = Some((work, edit.state));
                return Ok(Progress::More);
            }
            let arguments = index..(index + self.fields.step).min(args.len());
            let bytes = arguments.map(|index| args.entry_bytes_of(index)).sum::<usize>();
            cost += FIELD_COST + bytes;
            edit.state.room.spend(bytes);
            self.next += self.fields.step;
            edit.look_ahead(db, args, self.fields, index);
            if !work.visit(&mut edit, db, args, index)? {
                break;
            }
        }
        work.finish(edit, db, reply)?;
        Ok(Progress::Done)
    }
}

impl<W: FieldWork> Sliced for EachField<W> {
    fn holding(&self) -> Holding {
        Holding::Keys
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let (args, index) = (slice.args, slice.db);
        self.go_on(&mut slice.engine.keyspace.db(index), args, slice.reply)
    }

    fn room(&self) -> u64 {
        self.work.as_ref().map_or(0, |(_, state)| state.room.left())
    }

    fn end(&mut self, engine: &mut Engine) {
        if let Some((_, State { form: Form::Apart(hash), .. })) = self.work.take() {
            engine.keyspace.discard(Box::new(Collection::Hash(hash)));
        }
    }
}
