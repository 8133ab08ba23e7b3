//! Commands about the time to live of a hash's fields.
//!
//! A field whose time is not in the future goes at once, and the key goes with its last field. A request names its fields at its
//! end: `FIELDS numfields field ...`.

use super::edit::{FieldWork, Fields, HashEdit, each_field, reader};
use super::walk::{FIELD_COST, SEGMENT, Walk, go_on_later};
use crate::commands::arguments::{Since, Unit, integer, invalid_expire_time};
use crate::commands::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::keyspace::{Db, Event, Millis, ValueType};
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;
use crate::types::hash::{Reader, Value};
use crate::types::name::GivenName;

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] =
    &[&HEXPIRE, &HPEXPIRE, &HEXPIREAT, &HPEXPIREAT, &HTTL, &HPTTL, &HEXPIRETIME, &HPEXPIRETIME, &HPERSIST];

const KEY_UPDATED: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Update])];
const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];

/// The latest time at which a field can expire, as in Redis: in the year 4199.
const AT_MAX: i64 = (1 << 46) - 1;
/// What is told of a field that is not there.
const NO_FIELD: i64 = -2;
/// What is told of a field that does not expire.
const NO_EXPIRY: i64 = -1;

/// A time that an argument names for the named command.
pub(super) fn field_expiry(
    arg: &[u8],
    unit: Unit,
    since: Since,
    now: Millis,
    command: &str,
) -> Result<Millis, CommandError> {
    let value = integer(arg)?;
    if value < 0 {
        return Err(CommandError::text_static("ERR invalid expire time, must be >= 0"));
    }
    unit.to_millis(value)
        .and_then(|millis| since.after(millis, now))
        .filter(|at| at.0 <= AT_MAX)
        .ok_or_else(|| invalid_expire_time(command))
}

/// The fields that a request names from argument `at` on: `FIELDS numfields field ...`.
pub(super) fn named_fields(args: &Args<'_>, at: usize, no_number: &'static str) -> Result<Fields, CommandError> {
    if !args.is(at, "fields") {
        return Err(CommandError::text_static("ERR Mandatory argument FIELDS is missing or not at the right position"));
    }
    let count = args.get(at + 1).and_then(parse_i64).filter(|&count| count > 0);
    let count = count.ok_or(CommandError::text_static(no_number))?;
    if count as usize != args.len() - at - 2 {
        return Err(CommandError::text_static("ERR The `numfields` parameter must match the number of arguments"));
    }
    Ok(Fields { first: at + 2, end: args.len(), step: 1 })
}

/// What is said to a number of fields that is none, by all but HEXPIRE and its kin.
pub(super) const NO_NUMBER: &str = "ERR Number of fields must be a positive integer";

const HEXPIRE: CommandSpec = CommandSpec {
    name: "hexpire",
    arity: Arity::AtLeast(6),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::Fields,
    run: Run::Keys(hexpire),
    doc: Doc {
        summary: "Lets fields of a hash expire after a number of seconds.",
        since: "7.4.0",
        complexity: "O(N) in the fields named.",
        syntax: "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hexpire(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiries(db, args, reply, "hexpire", Unit::Seconds, Since::Now)
}

const HPEXPIRE: CommandSpec = CommandSpec {
    name: "hpexpire",
    arity: Arity::AtLeast(6),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::Fields,
    run: Run::Keys(hpexpire),
    doc: Doc {
        summary: "Lets fields of a hash expire after a number of milliseconds.",
        since: "7.4.0",
        complexity: "O(N) in the fields named.",
        syntax: "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hpexpire(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiries(db, args, reply, "hpexpire", Unit::Millis, Since::Now)
}

const HEXPIREAT: CommandSpec = CommandSpec {
    name: "hexpireat",
    arity: Arity::AtLeast(6),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::Fields,
    run: Run::Keys(hexpireat),
    doc: Doc {
        summary: "Lets fields of a hash expire at a Unix time in seconds.",
        since: "7.4.0",
        complexity: "O(N) in the fields named.",
        syntax: "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hexpireat(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiries(db, args, reply, "hexpireat", Unit::Seconds, Since::Epoch)
}

const HPEXPIREAT: CommandSpec = CommandSpec {
    name: "hpexpireat",
    arity: Arity::AtLeast(6),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::Fields,
    run: Run::Keys(hpexpireat),
    doc: Doc {
        summary: "Lets fields of a hash expire at a Unix time in milliseconds.",
        since: "7.4.0",
        complexity: "O(N) in the fields named.",
        syntax: "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hpexpireat(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiries(db, args, reply, "hpexpireat", Unit::Millis, Since::Epoch)
}

fn set_expiries(
    db: &mut Db<'_>,
    args: &Args<'_>,
    reply: &mut Reply,
    command: &str,
    unit: Unit,
    since: Since,
) -> Outcome {
    let mut edit = HashEdit::begin(db, args.at(1))?;
    let at = field_expiry(args.at(2), unit, since, db.now(), command)?;
    let condition =
        [("nx", Condition::None), ("xx", Condition::Some), ("gt", Condition::Later), ("lt", Condition::Earlier)];
    let condition = condition.into_iter().find_map(|(word, condition)| args.is(3, word).then_some(condition));
    let fields_at = if condition.is_some() { 4 } else { 3 };
    let fields = named_fields(args, fields_at, "ERR Parameter `numFields` should be greater than 0")?;
    if edit.exists() {
        edit.become_timed(db);
    }
    let condition = condition.unwrap_or(Condition::Any);
    let work = SetExpiries { at, condition, answers: Answers::default(), room: Rewriting::of(&edit, fields) };
    each_field(db, args, edit, fields, work, reply)
}

/// Under which condition an expiry is set.
#[derive(Clone, Copy, Debug)]
enum Condition {
    Any,
    /// NX: only if there is none.
    None,
    /// XX: only if there is one.
    Some,
    /// GT: only if it is later than the one there is; none counts as the latest.
    Later,
    /// LT: only if it is earlier than the one there is.
    Earlier,
}

impl Condition {
    fn allows(self, old: Option<Millis>, new: Millis) -> bool {
        match self {
            Condition::Any => true,
            Condition::None => old.is_none(),
            Condition::Some => old.is_some(),
            Condition::Later => old.is_some_and(|old| new > old),
            Condition::Earlier => old.is_none_or(|old| new < old),
        }
    }
}

/// An integer for each field, to be replied with at the end.
#[derive(Debug, Default)]
struct Answers {
    each: Reply,
    len: usize,
    /// The greatest: it tells the most of what was done.
    greatest: Option<i64>,
}

impl Answers {
    fn push(&mut self, answer: i64) {
        self.each.integer(answer);
        self.each.seal(SEGMENT);
        self.len += 1;
        self.greatest = self.greatest.max(Some(answer));
    }

    fn reply(self, reply: &mut Reply) {
        reply.array(self.len);
        reply.append(self.each);
    }
}

/// An expiry that appears or goes has its field's entry written anew. In a hash that is changed where it lies, all fields are visited
/// twice: first to measure these entries, so that there is room for all of them or none is written.
#[derive(Clone, Copy, Debug)]
enum Rewriting {
    /// Of so many fields; so many bytes so far.
    Measure(usize, u64),
    /// All are measured.
    Ask(usize, u64),
    Write,
}

impl Rewriting {
    fn of(edit: &HashEdit<'_>, fields: Fields) -> Rewriting {
        if edit.is_in_place() && fields.len() > 1 { Rewriting::Measure(fields.len(), 0) } else { Rewriting::Write }
    }

    /// Visits a field whose entry is written anew if `changes` says so of its expiry; whether it is to be written now.
    fn visit(
        &mut self,
        edit: &mut HashEdit<'_>,
        db: &Db<'_>,
        name: GivenName<'_>,
        changes: impl FnOnce(Option<Millis>) -> bool,
    ) -> Result<bool, CommandError> {
        match self {
            Rewriting::Measure(_, bytes) => {
                if let Some((value, old)) = edit.reader(db).find(name)
                    && changes(old)
                {
                    let value_len = if let Value::Blob(_) = value { 0 } else { value.len() };
                    *bytes += (name.len() + value_len) as u64;
                }
                return Ok(false);
            }
            Rewriting::Ask(fields, bytes) => {
                edit.ask_for_room(db, *fields, *bytes)?;
                *self = Rewriting::Write;
            }
            Rewriting::Write => {}
        }
        Ok(true)
    }

    /// All fields were visited; whether they are to be visited again.
    fn again(&mut self) -> bool {
        let Rewriting::Measure(fields, bytes) = *self else { return false };
        *self = Rewriting::Ask(fields, bytes);
        true
    }
}

/// HEXPIRE and its kin.
#[derive(Debug)]
struct SetExpiries {
    at: Millis,
    condition: Condition,
    answers: Answers,
    room: Rewriting,
}

impl SetExpiries {
    const REFUSED: i64 = 0;
    const SET: i64 = 1;
    const REMOVED: i64 = 2;
}

impl FieldWork for SetExpiries {
    fn visit(
        &mut self,
        edit: &mut HashEdit<'_>,
        db: &mut Db<'_>,
        args: &Args<'_>,
        index: usize,
    ) -> Result<bool, CommandError> {
        let name = args.name(index);
        if !self.room.visit(edit, db, name, |old| old.is_none())? {
            return Ok(true);
        }
        let answer = match edit.reader(db).find(name) {
            None => NO_FIELD,
            Some((_, old)) if !self.condition.allows(old, self.at) => Self::REFUSED,
            Some(_) => apply_expiry(edit, db, name, self.at)?,
        };
        self.answers.push(answer);
        Ok(true)
    }

    fn again(&mut self) -> bool {
        self.room.again()
    }

    fn finish(self, edit: HashEdit<'_>, db: &mut Db<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let key = edit.key();
        let is_gone = edit.end(db)?;
        match self.answers.greatest {
            Some(Self::REMOVED) => db.changed(key, Event::HDel),
            Some(Self::SET) => db.changed(key, Event::HExpire),
            _ => {}
        }
        if is_gone {
            db.also(key, Event::Del);
        }
        self.answers.reply(reply);
        Ok(())
    }
}

/// Lets a field that is there expire, or removes it if its time is past; what HEXPIRE answers.
fn apply_expiry(
    edit: &mut HashEdit<'_>,
    db: &mut Db<'_>,
    name: GivenName<'_>,
    at: Millis,
) -> Result<i64, CommandError> {
    if at <= db.now() {
        edit.remove(db, name);
        return Ok(SetExpiries::REMOVED);
    }
    edit.set_expiry(db, name, Some(at))?;
    Ok(SetExpiries::SET)
}

/// [`apply_expiry`]; whether the field was removed.
pub(super) fn expire_field(
    edit: &mut HashEdit<'_>,
    db: &mut Db<'_>,
    name: GivenName<'_>,
    at: Millis,
) -> Result<bool, CommandError> {
    Ok(apply_expiry(edit, db, name, at)? == SetExpiries::REMOVED)
}

const HTTL: CommandSpec = CommandSpec {
    name: "httl",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::Fields,
    run: Run::Keys(httl),
    doc: Doc {
        summary: "Tells in how many seconds fields of a hash expire.",
        since: "7.4.0",
        complexity: "O(N) in the fields named.",
        syntax: "key FIELDS numfields field [field ...]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Hash)
    },
};

fn httl(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_expiries(db, args, reply, Unit::Seconds, Since::Now)
}

const HPTTL: CommandSpec = CommandSpec {
    name: "hpttl",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::Fields,
    run: Run::Keys(hpttl),
    doc: Doc {
        summary: "Tells in how many milliseconds fields of a hash expire.",
        since: "7.4.0",
        complexity: "O(N) in the fields named.",
        syntax: "key FIELDS numfields field [field ...]",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Hash)
    },
};

fn hpttl(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_expiries(db, args, reply, Unit::Millis, Since::Now)
}

const HEXPIRETIME: CommandSpec = CommandSpec {
    name: "hexpiretime",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::Fields,
    run: Run::Keys(hexpiretime),
    doc: Doc {
        summary: "Tells the Unix times in seconds at which fields of a hash expire.",
        since: "7.4.0",
        complexity: "O(N) in the fields named.",
        syntax: "key FIELDS numfields field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hexpiretime(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_expiries(db, args, reply, Unit::Seconds, Since::Epoch)
}

const HPEXPIRETIME: CommandSpec = CommandSpec {
    name: "hpexpiretime",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::Fields,
    run: Run::Keys(hpexpiretime),
    doc: Doc {
        summary: "Tells the Unix times in milliseconds at which fields of a hash expire.",
        since: "7.4.0",
        complexity: "O(N) in the fields named.",
        syntax: "key FIELDS numfields field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hpexpiretime(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_expiries(db, args, reply, Unit::Millis, Since::Epoch)
}

fn tell_expiries(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, unit: Unit, since: Since) -> Outcome {
    let found = db.read(args.at(1));
    let view = db.collection(&found, ValueType::Hash)?;
    let fields = named_fields(args, 2, NO_NUMBER)?;
    reply.array(fields.len());
    let mut work = TellExpiries { next: fields.first, unit, since };
    if work.go_on(view.as_ref().map(|view| reader(db, view)), args, (db.now(), db.slice_bytes()), reply) {
        return Ok(Flow::Done);
    }
    Ok(go_on_later(work))
}

/// HTTL and its kin.
#[derive(Debug)]
struct TellExpiries {
    next: usize,
    unit: Unit,
    since: Since,
}

impl TellExpiries {
    fn go_on(
        &mut self,
        reader: Option<Reader<'_>>,
        args: &Args<'_>,
        (now, cost): (Millis, usize),
        reply: &mut Reply,
    ) -> bool {
        let mut spent = 0;
        while self.next < args.len() && spent < cost {
            let name = args.name(self.next);
            spent += FIELD_COST + name.beginning().len();
            reply.integer(match reader.and_then(|reader| reader.find(name)) {
                None => NO_FIELD,
                Some((_, None)) => NO_EXPIRY,
                // Unlike TTL, this rounds up.
                Some((_, Some(at))) => {
                    let millis = match self.since {
                        Since::Now => at.0 - now.0,
                        Since::Epoch => at.0,
                    };
                    match self.unit {
                        Unit::Seconds => (millis + 999) / 1_000,
                        Unit::Millis => millis,
                    }
                }
            });
            self.next += 1;
        }
        self.next == args.len()
    }
}

impl Walk for TellExpiries {
    fn step(&mut self, db: &mut Db<'_>, args: &Args<'_>, cost: usize, reply: &mut Reply) -> bool {
        let found = db.find(args.at(1));
        let view = db.collection(&found, ValueType::Hash).expect("it was found to be a hash, and is held");
        self.go_on(view.as_ref().map(|view| reader(db, view)), args, (db.now(), cost), reply)
    }
}

const HPERSIST: CommandSpec = CommandSpec {
    name: "hpersist",
    arity: Arity::AtLeast(5),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::Fields,
    run: Run::Keys(hpersist),
    doc: Doc {
        summary: "Takes the expiry of fields of a hash away.",
        since: "7.4.0",
        complexity: "O(N) in the fields named.",
        syntax: "key FIELDS numfields field [field ...]",
        ..Doc::of(Group::Hash)
    },
};

fn hpersist(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let edit = HashEdit::begin(db, args.at(1))?;
    let fields = named_fields(args, 2, NO_NUMBER)?;
    let work = Persist { answers: Answers::default(), room: Rewriting::of(&edit, fields) };
    each_field(db, args, edit, fields, work, reply)
}

/// HPERSIST.
#[derive(Debug)]
struct Persist {
    answers: Answers,
    room: Rewriting,
}

impl Persist {
    const DONE: i64 = 1;
}

impl FieldWork for Persist {
    fn visit(
        &mut self,
        edit: &mut HashEdit<'_>,
        db: &mut Db<'_>,
        args: &Args<'_>,
        index: usize,
    ) -> Result<bool, CommandError> {
        let name = args.name(index);
        if !self.room.visit(edit, db, name, |old| old.is_some())? {
            return Ok(true);
        }
        let answer = match edit.reader(db).find(name) {
            None => NO_FIELD,
            Some((_, None)) => NO_EXPIRY,
            Some((_, Some(_))) => {
                edit.set_expiry(db, name, None)?;
                Self::DONE
            }
        };
        self.answers.push(answer);
        Ok(true)
    }

    fn again(&mut self) -> bool {
        self.room.again()
    }

    fn finish(self, edit: HashEdit<'_>, db: &mut Db<'_>, reply: &mut Reply) -> Result<(), CommandError> {
        let key = edit.key();
        edit.end(db)?;
        if self.answers.greatest == Some(Self::DONE) {
            db.changed(key, Event::HPersist);
        }
        self.answers.reply(reply);
        Ok(())
    }
}
