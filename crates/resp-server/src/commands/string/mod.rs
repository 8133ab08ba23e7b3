//! Commands about strings, and the numbers that strings hold.

pub(super) mod long;
pub mod range;

use super::arguments::{Since, Unit, integer, invalid_expire_time};
use super::generic::many::{self, Keys, Pairs};
use super::spec::{Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run};
use crate::engine::holds::Access;
use crate::keyspace::{Db, Event, Found, Millis, Ttl, check_key, string_too_long};
use crate::proto::{Args, CommandError, Reply, Value};
use crate::text::integer::parse_i64;
use crate::text::long_double::{self, LongDouble};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] = &[
    &SET,
    &GET,
    &SETNX,
    &SETEX,
    &PSETEX,
    &GETSET,
    &GETDEL,
    &GETEX,
    &MGET,
    &MSET,
    &MSETNX,
    &MSETEX,
    &INCR,
    &DECR,
    &INCRBY,
    &DECRBY,
    &INCRBYFLOAT,
    &APPEND,
    &STRLEN,
];

const KEY_SET: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ow, KeyFlag::Update])];
const KEY_INSERTED: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ow, KeyFlag::Insert])];
const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];
const KEY_UPDATED: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update])];

const SET: CommandSpec = CommandSpec {
    name: "set",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update, KeyFlag::VariableFlags])],
    large: Large::At(2),
    run: Run::Keys(set),
    doc: Doc {
        summary: "Sets a string, whatever the key held before.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        ..Doc::of(Group::String)
    },
};

fn set(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    if args.len() == 3 {
        let found = db.find(key);
        set_argument(db, found, args, 2, Ttl::Clear)?;
        db.changed(key, Event::Set);
        reply.ok();
        return Ok(Flow::Done);
    }
    let options = SetOptions::parse(args, 3, Form::Set)?;
    let expires = options.expires(db.now(), "set")?;
    let found = if options.get { db.read(key) } else { db.find(key) };
    // GET turns the reply into the old value, whether the new one is set or not.
    let old = if options.get { Some(db.string_apart(&found)?) } else { None };
    let refused = options.only.is_some_and(|only| only.refuses(found.exists()));
    if !refused {
        let ttl = match expires {
            Some(at) => Ttl::At(at),
            None if options.keep_ttl => Ttl::Keep,
            None => Ttl::Clear,
        };
        set_with_ttl(db, key, found, (args, 2), ttl)?;
    }
    match old {
        Some(old) => db.reply_apart(old, reply),
        None if refused => reply.null(),
        None => reply.ok(),
    }
    Ok(Flow::Done)
}

/// Sets a string to an argument, which may be large.
#[inline]
pub(super) fn set_argument(
    db: &mut Db<'_>,
    found: Found<'_>,
    args: &Args<'_>,
    index: usize,
    ttl: Ttl,
) -> Result<(), CommandError> {
    match args.take_value(index) {
        Value::Bytes(bytes) => db.set(found, bytes, ttl),
        blob => db.set_value(found, blob, ttl),
    }
}

/// Sets a string to an argument; one that expires in the past is not there any more.
pub(super) fn set_with_ttl(
    db: &mut Db<'_>,
    key: &[u8],
    found: Found<'_>,
    (args, index): (&Args<'_>, usize),
    ttl: Ttl,
) -> Result<(), CommandError> {
    match ttl {
        Ttl::At(at) if at < db.now() => {
            // As if it had been set, and found to have expired.
            if db.remove(found) {
                db.changed(key, Event::Set);
            } else {
                db.also(key, Event::New);
                db.also(key, Event::Set);
            }
            db.also(key, Event::Expire);
            db.also(key, Event::Expired);
        }
        Ttl::At(_) => {
            set_argument(db, found, args, index, ttl)?;
            db.changed(key, Event::Set);
            db.also(key, Event::Expire);
        }
        Ttl::Keep | Ttl::Clear => {
            set_argument(db, found, args, index, ttl)?;
            db.changed(key, Event::Set);
        }
    }
    Ok(())
}

/// Which command's options are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Set,
    GetEx,
    MSetEx,
}

/// When a string is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only {
    /// NX
    IfAbsent,
    /// XX
    IfPresent,
}

impl Only {
    /// Whether it is not set, if there is (`exists`) or is not such a key.
    pub(super) fn refuses(self, exists: bool) -> bool {
        exists == (self == Only::IfAbsent)
    }
}

/// What SET, GETEX and MSETEX can be told.
#[derive(Clone, Copy, Default)]
struct SetOptions<'a> {
    only: Option<Only>,
    get: bool,
    keep_ttl: bool,
    persist: bool,
    /// A number, its unit and what it counts from.
    expire: Option<(&'a [u8], Unit, Since)>,
}

impl<'a> SetOptions<'a> {
    /// Options in any order. An option may come twice; then the last one counts.
    fn parse(args: &Args<'a>, first: usize, form: Form) -> Result<SetOptions<'a>, CommandError> {
        let mut options = SetOptions::default();
        let mut index = first;
        while index < args.len() {
            let set = form != Form::GetEx;
            let lasting = options.keep_ttl || options.persist;
            if set && args.is(index, "nx") && options.only != Some(Only::IfPresent) {
                options.only = Some(Only::IfAbsent);
            } else if set && args.is(index, "xx") && options.only != Some(Only::IfAbsent) {
                options.only = Some(Only::IfPresent);
            } else if form == Form::Set && args.is(index, "get") {
                options.get = true;
            } else if set && args.is(index, "keepttl") && options.expire.is_none() {
                options.keep_ttl = true;
            } else if !set && args.is(index, "persist") && options.expire.is_none() {
                options.persist = true;
            } else if let Some((unit, since)) = time_option(args, index)
                && !lasting
                && options.expire.is_none_or(|(_, u, s)| (u, s) == (unit, since))
            {
                index += 1;
                let value = args.get(index).ok_or(CommandError::Syntax)?;
                options.expire = Some((value, unit, since));
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        Ok(options)
    }

    /// The point in time that the options name, for the named command.
    fn expires(&self, now: Millis, command: &str) -> Result<Option<Millis>, CommandError> {
        self.expire.map(|(value, unit, since)| expiry(value, unit, since, now, command)).transpose()
    }
}

fn time_option(args: &Args<'_>, index: usize) -> Option<(Unit, Since)> {
    [
        ("ex", Unit::Seconds, Since::Now),
        ("px", Unit::Millis, Since::Now),
        ("exat", Unit::Seconds, Since::Epoch),
        ("pxat", Unit::Millis, Since::Epoch),
    ]
    .into_iter()
    .find_map(|(name, unit, since)| args.is(index, name).then_some((unit, since)))
}

/// An expiry as SET takes it: the number must be positive, unlike that of EXPIRE.
fn expiry(value: &[u8], unit: Unit, since: Since, now: Millis, command: &str) -> Result<Millis, CommandError> {
    let value = integer(value)?;
    (value > 0)
        .then(|| unit.to_millis(value))
        .flatten()
        .and_then(|millis| since.after(millis, now))
        .ok_or_else(|| invalid_expire_time(command))
}

const GET: CommandSpec = CommandSpec {
    name: "get",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(get),
    doc: Doc {
        summary: "Returns a string.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key",
        ..Doc::of(Group::String)
    },
};

fn get(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    db.reply_string(&found, reply)?;
    Ok(Flow::Done)
}

const SETNX: CommandSpec = CommandSpec {
    name: "setnx",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_INSERTED,
    large: Large::At(2),
    run: Run::Keys(setnx),
    doc: Doc {
        summary: "Sets a string if there is no such key.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key value",
        deprecated: Some(("2.6.12", "`SET` with the `NX` argument")),
        ..Doc::of(Group::String)
    },
};

fn setnx(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let found = db.find(key);
    if found.exists() {
        reply.integer(0);
        return Ok(Flow::Done);
    }
    set_argument(db, found, args, 2, Ttl::Clear)?;
    db.changed(key, Event::Set);
    reply.integer(1);
    Ok(Flow::Done)
}

const SETEX: CommandSpec = CommandSpec {
    name: "setex",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KEY_SET,
    large: Large::At(3),
    run: Run::Keys(setex),
    doc: Doc {
        summary: "Sets a string that expires after a number of seconds.",
        since: "2.0.0",
        complexity: "O(1)",
        syntax: "key seconds value",
        deprecated: Some(("2.6.12", "`SET` with the `EX` argument")),
        ..Doc::of(Group::String)
    },
};

fn setex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiring(db, args, reply, Unit::Seconds, "setex")
}

const PSETEX: CommandSpec = CommandSpec {
    name: "psetex",
    arity: Arity::Exactly(4),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KEY_SET,
    large: Large::At(3),
    run: Run::Keys(psetex),
    doc: Doc {
        summary: "Sets a string that expires after a number of milliseconds.",
        since: "2.6.0",
        complexity: "O(1)",
        syntax: "key milliseconds value",
        deprecated: Some(("2.6.12", "`SET` with the `PX` argument")),
        ..Doc::of(Group::String)
    },
};

fn psetex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiring(db, args, reply, Unit::Millis, "psetex")
}

fn set_expiring(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, unit: Unit, command: &str) -> Outcome {
    let key = args.at(1);
    let at = expiry(args.at(2), unit, Since::Now, db.now(), command)?;
    let found = db.find(key);
    set_with_ttl(db, key, found, (args, 3), Ttl::At(at))?;
    reply.ok();
    Ok(Flow::Done)
}

const GETSET: CommandSpec = CommandSpec {
    name: "getset",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::At(2),
    run: Run::Keys(getset),
    doc: Doc {
        summary: "Sets a string and returns the one before.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key value",
        deprecated: Some(("6.2.0", "`SET` with the `!GET` argument")),
        ..Doc::of(Group::String)
    },
};

fn getset(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let found = db.read(key);
    let old = db.string_apart(&found)?;
    set_argument(db, found, args, 2, Ttl::Clear)?;
    db.changed(key, Event::Set);
    db.reply_apart(old, reply);
    Ok(Flow::Done)
}

const GETDEL: CommandSpec = CommandSpec {
    name: "getdel",
    arity: Arity::Exactly(2),
    flags: &[Flag::Write, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete])],
    large: Large::None,
    run: Run::Keys(getdel),
    doc: Doc {
        summary: "Returns a string and removes its key.",
        since: "6.2.0",
        complexity: "O(1)",
        syntax: "key",
        ..Doc::of(Group::String)
    },
};

fn getdel(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let found = db.read(key);
    if db.reply_string(&found, reply)? {
        db.remove(found);
        db.changed(key, Event::Del);
    }
    Ok(Flow::Done)
}

const GETEX: CommandSpec = CommandSpec {
    name: "getex",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(getex),
    doc: Doc {
        summary: "Returns a string and changes when it expires.",
        since: "6.2.0",
        complexity: "O(1)",
        syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
        ..Doc::of(Group::String)
    },
};

fn getex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let options = SetOptions::parse(args, 2, Form::GetEx)?;
    let found = db.read(key);
    if db.string(&found)?.is_none() {
        reply.null();
        return Ok(Flow::Done);
    }
    let expires = options.expires(db.now(), "getex")?;
    let value = db.string_apart(&found)?;
    match expires {
        Some(at) if at <= db.now() => {
            db.remove(found);
            db.changed(key, Event::Del);
        }
        Some(at) => {
            db.set_expiry(found, Some(at))?;
            db.changed(key, Event::Expire);
        }
        None if options.persist && found.expires().is_some() => {
            db.set_expiry(found, None)?;
            db.changed(key, Event::Persist);
        }
        None => {}
    }
    db.reply_apart(value, reply);
    Ok(Flow::Done)
}

const MGET: CommandSpec = CommandSpec {
    name: "mget",
    arity: Arity::AtLeast(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: &[KeySpec::to_end(1, 1, &[KeyFlag::Ro, KeyFlag::Access])],
    large: Large::None,
    run: Run::Keys(mget),
    doc: Doc {
        summary: "Returns the strings of many keys.",
        since: "1.0.0",
        complexity: "O(N) in the number of keys.",
        syntax: "key [key ...]",
        tips: &["request_policy:multi_shard"],
        ..Doc::of(Group::String)
    },
};

fn mget(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.array(args.len() - 1);
    if many::are_many(args.len() - 1) {
        return Ok(many::each_key(Access::Read, reply_if_string, |_, _| {}));
    }
    Keys::all(args).each(db, args, |db, at| {
        reply_if_string(db, args.at(at), reply);
        Ok(())
    })?;
    Ok(Flow::Done)
}

/// Replies with the string of a key, or null; a sum of such replies means nothing.
fn reply_if_string(db: &mut Db<'_>, key: &[u8], reply: &mut Reply) -> i64 {
    let found = db.read(key);
    if db.reply_string(&found, reply).is_err() {
        reply.null();
    }
    0
}

const MSET: CommandSpec = CommandSpec {
    name: "mset",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::to_end(1, 2, &[KeyFlag::Ow, KeyFlag::Update])],
    large: Large::EverySecondFrom(2),
    run: Run::Keys(mset),
    doc: Doc {
        summary: "Sets many strings.",
        since: "1.0.1",
        complexity: "O(N) in the number of keys.",
        syntax: "key value [key value ...]",
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        ..Doc::of(Group::String)
    },
};

fn mset(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Arity("mset"));
    }
    if many::are_many(args.len() / 2) {
        let pairs = Pairs { first: 1, end: args.len(), only: None, ttl: Ttl::Clear };
        return Ok(many::set_pairs(pairs, |_, reply| reply.ok()));
    }
    set_all(db, args)?;
    reply.ok();
    Ok(Flow::Done)
}

const MSETNX: CommandSpec = CommandSpec {
    name: "msetnx",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::to_end(1, 2, &[KeyFlag::Ow, KeyFlag::Insert])],
    large: Large::EverySecondFrom(2),
    run: Run::Keys(msetnx),
    doc: Doc {
        summary: "Sets many strings if none of the keys is there.",
        since: "1.0.1",
        complexity: "O(N) in the number of keys.",
        syntax: "key value [key value ...]",
        ..Doc::of(Group::String)
    },
};

fn msetnx(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Arity("msetnx"));
    }
    if many::are_many(args.len() / 2) {
        let pairs = Pairs { first: 1, end: args.len(), only: Some(Only::IfAbsent), ttl: Ttl::Clear };
        return Ok(many::set_pairs(pairs, |set, reply| reply.integer(i64::from(set))));
    }
    let any_exists = args.from(1).step_by(2).any(|key| db.find(key).exists());
    if !any_exists {
        set_all(db, args)?;
    }
    reply.integer(i64::from(!any_exists));
    Ok(Flow::Done)
}

const MSETEX: CommandSpec = CommandSpec {
    name: "msetex",
    arity: Arity::AtLeast(4),
    flags: &[Flag::Write, Flag::DenyOom, Flag::MovableKeys],
    keys: &[KeySpec::counted(2, 2, &[KeyFlag::Ow, KeyFlag::Update])],
    large: Large::EverySecondFrom(3),
    run: Run::Keys(msetex),
    doc: Doc {
        summary: "Sets many strings with one expiry.",
        since: "8.4.0",
        complexity: "O(N) in the number of keys.",
        syntax: "numkeys key value [key value ...] [NX | XX] \
                 [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        ..Doc::of(Group::String)
    },
};

fn msetex(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let numkeys = parse_i64(args.at(1))
        .and_then(|number| usize::try_from(number).ok())
        .filter(|number| (1..=i32::MAX as usize).contains(number))
        .ok_or(CommandError::text_static("ERR invalid numkeys value"))?;
    let pairs_end = 2 + 2 * numkeys;
    if args.len() < pairs_end {
        return Err(CommandError::text_static("ERR wrong number of key-value pairs"));
    }
    let options = SetOptions::parse(args, pairs_end, Form::MSetEx)?;
    let ttl = match options.expires(db.now(), "msetex")? {
        Some(at) => Ttl::At(at),
        None if options.keep_ttl => Ttl::Keep,
        None => Ttl::Clear,
    };
    if many::are_many(numkeys) {
        let pairs = Pairs { first: 2, end: pairs_end, only: options.only, ttl };
        return Ok(many::set_pairs(pairs, |set, reply| reply.integer(i64::from(set))));
    }
    let mut keys = args.from(2).step_by(2).take(numkeys);
    let refused = options.only.is_some_and(|only| keys.clone().any(|key| only.refuses(db.find(key).exists())));
    if !refused {
        keys.try_for_each(check_key)?;
        many::check_room(db, args)?;
        Keys { first: 2, end: pairs_end, step: 2 }.each(db, args, |db, index| {
            let key = args.at(index);
            let found = db.find(key);
            set_with_ttl(db, key, found, (args, index + 1), ttl)
        })?;
    }
    reply.integer(i64::from(!refused));
    Ok(Flow::Done)
}

/// Sets each pair of arguments, or none if there is a key that cannot be, or no memory for all as far as can be told.
fn set_all(db: &mut Db<'_>, args: &Args<'_>) -> Result<(), CommandError> {
    args.from(1).step_by(2).try_for_each(check_key)?;
    many::check_room(db, args)?;
    Keys::of_pairs(args).each(db, args, |db, index| many::set(db, args, index))
}

const INCR: CommandSpec = CommandSpec {
    name: "incr",
    arity: Arity::Exactly(2),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(incr),
    doc: Doc {
        summary: "Adds 1 to an integer.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key",
        ..Doc::of(Group::String)
    },
};

fn incr(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    add(db, args.at(1), 1, reply)
}

const DECR: CommandSpec = CommandSpec {
    name: "decr",
    arity: Arity::Exactly(2),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(decr),
    doc: Doc {
        summary: "Takes 1 from an integer.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key",
        ..Doc::of(Group::String)
    },
};

fn decr(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    add(db, args.at(1), -1, reply)
}

const INCRBY: CommandSpec = CommandSpec {
    name: "incrby",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(incrby),
    doc: Doc {
        summary: "Adds to an integer.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key increment",
        ..Doc::of(Group::String)
    },
};

fn incrby(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    add(db, args.at(1), integer(args.at(2))?, reply)
}

const DECRBY: CommandSpec = CommandSpec {
    name: "decrby",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(decrby),
    doc: Doc {
        summary: "Takes from an integer.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key decrement",
        ..Doc::of(Group::String)
    },
};

fn decrby(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let increment =
        integer(args.at(2))?.checked_neg().ok_or(CommandError::text_static("ERR decrement would overflow"))?;
    add(db, args.at(1), increment, reply)
}

/// Adds to the integer at `key`, 0 if there is none; its expiry stays.
fn add(db: &mut Db<'_>, key: &[u8], increment: i64, reply: &mut Reply) -> Outcome {
    let found = db.find(key);
    let old = match db.string(&found)? {
        Some(value) => value.integer().ok_or(CommandError::NotAnInteger)?,
        None => 0,
    };
    let new =
        old.checked_add(increment).ok_or(CommandError::text_static("ERR increment or decrement would overflow"))?;
    let mut text = itoa::Buffer::new();
    db.set(found, text.format(new).as_bytes(), Ttl::Keep)?;
    db.changed(key, Event::IncrBy);
    reply.integer(new);
    Ok(Flow::Done)
}

const INCRBYFLOAT: CommandSpec = CommandSpec {
    name: "incrbyfloat",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(incrbyfloat),
    doc: Doc {
        summary: "Adds to a number with decimal places.",
        since: "2.6.0",
        complexity: "O(1)",
        syntax: "key increment:double",
        ..Doc::of(Group::String)
    },
};

fn incrbyfloat(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let found = db.find(key);
    let mut text = Vec::new();
    let old = match db.string(&found)? {
        Some(value) if value.len() > long_double::TEXT_MAX => None,
        Some(value) => {
            value.copy_range(0..value.len(), &mut text);
            LongDouble::parse(&text)
        }
        None => Some(LongDouble::ZERO),
    };
    let increment = LongDouble::parse(args.at(2));
    let (Some(old), Some(increment)) = (old, increment) else {
        return Err(CommandError::NotAFloat);
    };
    let new = old + increment;
    if !new.is_finite() {
        return Err(CommandError::text_static("ERR increment would produce NaN or Infinity"));
    }
    text.clear();
    new.append_to(&mut text);
    db.set_float(found, &text, Ttl::Keep)?;
    db.changed(key, Event::IncrByFloat);
    reply.bulk(&text);
    Ok(Flow::Done)
}

const APPEND: CommandSpec = CommandSpec {
    name: "append",
    arity: Arity::Exactly(3),
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Insert])],
    large: Large::At(2),
    run: Run::Keys(append),
    doc: Doc {
        summary: "Adds bytes to the end of a string.",
        since: "2.0.0",
        complexity: "O(N) in the length of the string up to 64 KiB, then O(N) in what is added.",
        syntax: "key value",
        ..Doc::of(Group::String)
    },
};

fn append(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let found = db.find(key);
    let old_len = db.string(&found)?.map(|value| value.len());
    if old_len.is_some_and(|len| len as u64 + args.len_of(2) > db.bulk_len_max()) {
        return Err(string_too_long());
    }
    let len = match (args.take_value(2), old_len) {
        (Value::Bytes(suffix), _) => db.append(found, suffix)?,
        (blob, None) => {
            let len = blob.len() as usize;
            db.set_value(found, blob, Ttl::Keep)?;
            len
        }
        (Value::Blob(suffix), Some(len)) => return long::graft(db, key, found, (len, suffix), Event::Append, reply),
    };
    db.changed(key, Event::Append);
    reply.count(len);
    Ok(Flow::Done)
}

const STRLEN: CommandSpec = CommandSpec {
    name: "strlen",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: &[KeySpec::one(1, &[KeyFlag::Ro])],
    large: Large::None,
    run: Run::Keys(strlen),
    doc: Doc {
        summary: "Returns the length of a string.",
        since: "2.2.0",
        complexity: "O(1)",
        syntax: "key",
        ..Doc::of(Group::String)
    },
};

fn strlen(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let found = db.read(args.at(1));
    let len = db.string(&found)?.map_or(0, |value| value.len());
    reply.count(len);
    Ok(Flow::Done)
}

#[cfg(test)]
mod tests;
