//! Commands that do two things to fields of a hash at once: get and remove, get and change the expiry, set with an expiry.

use super::edit::{FieldWork, Fields, HashEdit, each_field, new_value, reply_value};
use super::expiry::{NO_NUMBER, expire_field, field_expiry, named_fields};
use super::walk::SEGMENT;
use crate::commands::arguments::{Since, Unit};
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::{Db, Event, Millis};
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;
use crate::types::hash::Expiry;
use crate::types::name::GivenName;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[&HGETDEL, &HGETEX, &HSETEX];

const KEY_UPDATED: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Update])];

/// The values of fields as they were before the command changed something, to be replied with at the end.
#[derive(Debug)]
struct Values {
    each: Reply,
    len: usize,
}

impl Values {
    /// None yet, for this reply.
    fn of(reply: &Reply) -> Values {
        let mut each = Reply::new();
        each.protocol = reply.protocol;
        Values { each, len: 0 }
    }

    /// Adds the value of a field, or null; whether it is there.
    fn push(&mut self, edit: &HashEdit<'_>, db: &Db<'_>, name: GivenName<'_>) -> bool {
        let value = edit.reader(db).get(name);
        match value {
            Some(value) => reply_value(value, &mut self.each),
            None => self.each.null(),
        }
        self.each.seal(SEGMENT);
        self.len += 1;
        value.is_some()
    }

    fn reply(self, reply: &mut Reply) {
        reply.array(self.len);
        reply.append(self.each);
    }
}

const HGETDEL: CommandSpec = CommandSpec {
    name: "hgetdel",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete])],
    large: Large::Fields,
    run: Run::Keys(hgetdel),
    doc: Doc {
        summary: "Returns the values of fields of a hash, and removes them.",
        since: "8.0.0",
        complexity: "O(N) in the fields named.",
        syntax: "key FIELDS numfields field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hgetdel(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let edit = HashEdit::begin(db, args.at(1))?;
    let fields = named_fields(args, 2, NO_NUMBER)?;
    let work = GetAndRemove { values: Values::of(reply), expired: 0, removed: false };
    each_field(db, args, edit, fields, work, reply)
}

/// HGETDEL.
#[derive(Debug)]
struct GetAndRemove {
    values: Values,
    expired: u64,
    removed: bool,
}

impl FieldWork for GetAndRemove {
    fn visit(
        &mut self,
        edit: &mut HashEdit<'_>,
        db: &mut Db<'_>,
        args: &Args<'_>,
        index: usize,
    ) -> Result<bool, CommandError> {
        if self.values.push(edit, db, args.name(index)) {
            self.removed |= edit.remove(db, args.name(index));
        } else {
            self.expired += edit.remove_expired(db, args.name(index));
        }
        Ok(true)
    }

    fn finish(self, edit: HashEdit<'_>, db: &mut Db<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let key = edit.key();
        let is_gone = edit.end(db)?;
        db.tell_expired_fields(key, self.expired);
        if self.removed {
            db.changed(key, Event::HDel);
        }
        if is_gone {
            db.also(key, Event::Del);
        }
        self.values.reply(reply);
        Ok(())
    }
}

const TIMES: [(&str, Unit, Since); 4] = [
    ("ex", Unit::Seconds, Since::Now),
    ("px", Unit::Millis, Since::Now),
    ("exat", Unit::Seconds, Since::Epoch),
    ("pxat", Unit::Millis, Since::Epoch),
];

/// The unit and the beginning of a time that argument `index` announces.
fn time_option(args: &Args<'_>, index: usize) -> Option<(Unit, Since)> {
    TIMES.into_iter().find_map(|(word, unit, since)| args.is(index, word).then_some((unit, since)))
}

const HGETEX: CommandSpec = CommandSpec {
    name: "hgetex",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update])],
    large: Large::Fields,
    run: Run::Keys(hgetex),
    doc: Doc {
        summary: "Returns the values of fields of a hash, and changes their expiry.",
        since: "8.0.0",
        complexity: "O(N) in the fields named.",
        syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] \
                 FIELDS numfields field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hgetex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let mut edit = HashEdit::begin(db, args.at(1))?;
    let mut fields_at = 2;
    let mut change = None;
    if let Some((unit, since)) = time_option(args, 2) {
        change = Some(Some(field_expiry(args.at(3), unit, since, db.now(), "hgetex")?));
        fields_at = 4;
    } else if args.is(2, "persist") {
        change = Some(None);
        fields_at = 3;
    }
    if fields_at + 1 >= args.len() {
        return Err(CommandError::Arity("hgetex"));
    }
    let fields = named_fields(args, fields_at, NO_NUMBER)?;
    if change.is_some() && edit.exists() {
        edit.become_timed(db);
    }
    let work = GetAndExpire { change, values: Values::of(reply), expired: 0, updated: false, removed: false };
    each_field(db, args, edit, fields, work, reply)
}

/// HGETEX.
#[derive(Debug)]
struct GetAndExpire {
    /// The new expiry, or none; `None`: it stays.
    change: Option<Option<Millis>>,
    values: Values,
    expired: u64,
    updated: bool,
    removed: bool,
}

impl FieldWork for GetAndExpire {
    fn visit(
        &mut self,
        edit: &mut HashEdit<'_>,
        db: &mut Db<'_>,
        args: &Args<'_>,
        index: usize,
    ) -> Result<bool, CommandError> {
        let name = args.name(index);
        if self.values.push(edit, db, name) {
            match self.change {
                None => {}
                Some(Some(at)) if expire_field(edit, db, name, at)? => self.removed = true,
                Some(Some(_)) => self.updated = true,
                Some(None) => {
                    let expires = edit.reader(db).find(name).and_then(|(_, expires)| expires);
                    if expires.is_some() {
                        edit.set_expiry(db, name, None)?;
                        self.updated = true;
                    }
                }
            }
        } else {
            self.expired += edit.remove_expired(db, name);
        }
        Ok(true)
    }

    fn finish(self, edit: HashEdit<'_>, db: &mut Db<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let key = edit.key();
        let is_gone = edit.end(db)?;
        db.tell_expired_fields(key, self.expired);
        if self.updated {
            db.changed(key, if self.change == Some(None) { Event::HPersist } else { Event::HExpire });
        } else if self.removed {
            db.changed(key, Event::HDel);
        }
        if is_gone {
            db.also(key, Event::Del);
        }
        self.values.reply(reply);
        Ok(())
    }
}

const HSETEX: CommandSpec = CommandSpec {
    name: "hsetex",
    arity: Arity::AtLeast(6),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::PairsOfFields,
    run: Run::Keys(hsetex),
    doc: Doc {
        summary: "Sets fields of a hash and their expiry.",
        since: "8.0.0",
        complexity: "O(N) in the fields set.",
        syntax: "key [NX | XX] [FNX | FXX] \
                 [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] \
                 FIELDS numfields field value [field value ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hsetex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let options = SetOptions::parse(args, db.now())?;
    let mut edit = HashEdit::begin(db, args.at(1))?;
    let suits_key = options.key.is_none_or(|only| edit.exists() == (only == Only::IfPresent));
    if !suits_key || options.only == Some(Only::IfPresent) && !edit.exists() {
        reply.integer(0);
        return Ok(Flow::Done);
    }
    let fields = options.fields;
    edit.ask_for_room(db, fields.len(), args.entry_bytes())?;
    let stage = if options.only.is_some() { Stage::Probe } else { Stage::Set };
    let work = SetAndExpire { options, stage, expired: 0, is_set: false, removed: false };
    each_field(db, args, edit, fields, work, reply)
}

/// When fields are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    /// NX: if the key is not there. FNX: if none of them is.
    IfAbsent,
    /// XX: if the key is there. FXX: if all of them are.
    IfPresent,
}

/// What HSETEX can be told.
#[derive(Clone, Copy, Debug)]
struct SetOptions {
    /// About the key, as in Valkey.
    key: Option<Only>,
    /// About the fields.
    only: Option<Only>,
    expiry: Expiry,
    fields: Fields,
}

impl SetOptions {
    fn parse(args: &Args<'_>, now: Millis) -> Result<SetOptions, CommandError> {
        const ONE_EXPIRY: CommandError =
            CommandError::text_static("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
        let (mut key, mut only, mut expiry) = (None, None, None);
        let mut index = 2;
        while index < args.len() {
            if args.is(index, "fields") {
                let fields = SetOptions::fields(args, index)?;
                return Ok(SetOptions { key, only, expiry: expiry.unwrap_or(Expiry::Clear), fields });
            }
            if let Some((unit, since)) = time_option(args, index) {
                if expiry.is_some() {
                    return Err(ONE_EXPIRY);
                }
                index += 1;
                let time = args.get(index).ok_or(CommandError::text_static("ERR missing expire time"))?;
                expiry = Some(Expiry::At(field_expiry(time, unit, since, now, "hsetex")?));
            } else if args.is(index, "keepttl") {
                if expiry.is_some() {
                    return Err(ONE_EXPIRY);
                }
                expiry = Some(Expiry::Keep);
            } else if args.is(index, "fxx") || args.is(index, "fnx") {
                if only.is_some() {
                    return Err(CommandError::text_static("ERR Only one of FXX or FNX arguments can be specified"));
                }
                only = Some(if args.is(index, "fxx") { Only::IfPresent } else { Only::IfAbsent });
            } else if args.is(index, "xx") || args.is(index, "nx") {
                if key.is_some() {
                    return Err(CommandError::text_static("ERR Only one of NX or XX arguments can be specified"));
                }
                key = Some(if args.is(index, "xx") { Only::IfPresent } else { Only::IfAbsent });
            } else {
                return Err(CommandError::quoting("ERR unknown argument: ", args.at(index), ""));
            }
            index += 1;
        }
        // Redis never comes here: it would stop with an assertion.
        Err(CommandError::text_static("ERR Mandatory argument FIELDS is missing or not at the right position"))
    }

    /// The fields and values behind `FIELDS numfields`.
    fn fields(args: &Args<'_>, at: usize) -> Result<Fields, CommandError> {
        let wrong_number = CommandError::Arity("hsetex");
        if at + 3 >= args.len() {
            return Err(wrong_number);
        }
        let count = parse_i64(args.at(at + 1)).filter(|count| (1..=i64::from(i32::MAX)).contains(count));
        let count = count.ok_or(CommandError::text_static("ERR invalid number of fields"))?;
        if args.len() - at - 2 != 2 * count as usize {
            return Err(wrong_number);
        }
        Ok(Fields { first: at + 2, end: args.len(), step: 2 })
    }
}

/// HSETEX.
#[derive(Debug)]
struct SetAndExpire {
    options: SetOptions,
    stage: Stage,
    expired: u64,
    is_set: bool,
    removed: bool,
}

/// What is done with each field in turn before the next stage begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Whether it is there.
    Probe,
    /// It is set.
    Set,
}

impl FieldWork for SetAndExpire {
    fn visit(
        &mut self,
        edit: &mut HashEdit<'_>,
        db: &mut Db<'_>,
        args: &Args<'_>,
        index: usize,
    ) -> Result<bool, CommandError> {
        let name = args.name(index);
        if self.stage == Stage::Probe {
            let is_there = edit.reader(db).get(name).is_some();
            if !is_there {
                self.expired += edit.remove_expired(db, name);
            }
            return Ok(is_there == (self.options.only == Some(Only::IfPresent)));
        }
        if !self.is_set {
            edit.expect(db, self.options.fields.len());
            self.is_set = true;
        }
        let expiry = self.options.expiry;
        if let Expiry::At(at) = expiry
            && at <= db.now()
        {
            edit.remove(db, name);
            self.removed = true;
        } else {
            edit.set(db, name, new_value(args, index + 1), expiry)?;
        }
        Ok(true)
    }

    fn again(&mut self) -> bool {
        let again = self.stage == Stage::Probe;
        self.stage = Stage::Set;
        again
    }

    fn finish(self, edit: HashEdit<'_>, db: &mut Db<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let (key, had_key) = (edit.key(), edit.exists());
        reply.integer(i64::from(self.is_set));
        let is_gone = edit.end(db)? || self.removed && !had_key;
        db.tell_expired_fields(key, self.expired);
        if self.is_set {
            db.changed(key, Event::HSet);
        }
        match self.options.expiry {
            _ if !self.is_set => {}
            Expiry::At(_) if self.removed => db.also(key, Event::HDel),
            Expiry::At(_) => db.also(key, Event::HExpire),
            Expiry::Keep | Expiry::Clear => {}
        }
        if is_gone {
            db.also(key, Event::Del);
        }
        Ok(())
    }
}
