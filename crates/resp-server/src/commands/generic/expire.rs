//! Commands about the time to live of a key.
//!
//! A point in time that is not in the future removes the key at once, with the event of a removal.

use crate::commands::arguments::{Since, Unit, integer, invalid_expire_time};
use crate::commands::spec::{
    AclCategory, Arity, CommandSpec, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run,
};
use crate::keyspace::{Db, Event, Millis};
use crate::proto::{Args, CommandError, Reply};

/// Table of contents.
pub(crate) const COMMANDS: &[&CommandSpec] =
    &[&EXPIRE, &PEXPIRE, &EXPIREAT, &PEXPIREAT, &TTL, &PTTL, &EXPIRETIME, &PEXPIRETIME, &PERSIST];

const KEY_UPDATED: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Rw, KeyFlag::Update])];
const KEY_READ: &[KeySpec] = &[KeySpec::one(1, &[KeyFlag::Ro, KeyFlag::Access])];

const EXPIRE: CommandSpec = CommandSpec {
    name: "expire",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(expire),
    doc: Doc {
        summary: "Lets a key expire after a number of seconds.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key seconds [NX | XX | GT | LT]",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn expire(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiry(db, args, reply, "expire", Unit::Seconds, Since::Now)
}

const PEXPIRE: CommandSpec = CommandSpec {
    name: "pexpire",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(pexpire),
    doc: Doc {
        summary: "Lets a key expire after a number of milliseconds.",
        since: "2.6.0",
        complexity: "O(1)",
        syntax: "key milliseconds [NX | XX | GT | LT]",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn pexpire(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiry(db, args, reply, "pexpire", Unit::Millis, Since::Now)
}

const EXPIREAT: CommandSpec = CommandSpec {
    name: "expireat",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(expireat),
    doc: Doc {
        summary: "Lets a key expire at a Unix time in seconds.",
        since: "1.2.0",
        complexity: "O(1)",
        syntax: "key unix-time-seconds [NX | XX | GT | LT]",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn expireat(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiry(db, args, reply, "expireat", Unit::Seconds, Since::Epoch)
}

const PEXPIREAT: CommandSpec = CommandSpec {
    name: "pexpireat",
    arity: Arity::AtLeast(3),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(pexpireat),
    doc: Doc {
        summary: "Lets a key expire at a Unix time in milliseconds.",
        since: "2.6.0",
        complexity: "O(1)",
        syntax: "key unix-time-milliseconds [NX | XX | GT | LT]",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn pexpireat(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    set_expiry(db, args, reply, "pexpireat", Unit::Millis, Since::Epoch)
}

/// Under which condition an expiry is set.
#[derive(Clone, Copy, Debug, Default)]
struct Condition {
    /// NX: only if there is none.
    if_none: bool,
    /// XX: only if there is one.
    if_some: bool,
    /// GT: only if it is later than the one there is; none counts as the latest.
    if_later: bool,
    /// LT: only if it is earlier than the one there is.
    if_earlier: bool,
}

impl Condition {
    fn parse(args: &Args<'_>) -> Result<Condition, CommandError> {
        let mut condition = Condition::default();
        for index in 3..args.len() {
            if args.is(index, "nx") {
                condition.if_none = true;
            } else if args.is(index, "xx") {
                condition.if_some = true;
            } else if args.is(index, "gt") {
                condition.if_later = true;
            } else if args.is(index, "lt") {
                condition.if_earlier = true;
            } else {
                return Err(CommandError::quoting("ERR Unsupported option ", args.at(index), ""));
            }
        }
        let others = condition.if_some || condition.if_later || condition.if_earlier;
        if condition.if_none && others {
            return Err(CommandError::text_static(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if condition.if_later && condition.if_earlier {
            return Err(CommandError::text_static("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    fn allows(self, old: Option<Millis>, new: Millis) -> bool {
        match old {
            Some(old) => !(self.if_none || self.if_later && new <= old || self.if_earlier && new >= old),
            None => !(self.if_some || self.if_later),
        }
    }
}

fn set_expiry(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, command: &str, unit: Unit, since: Since) -> Outcome {
    let condition = Condition::parse(args)?;
    let at = unit
        .to_millis(integer(args.at(2))?)
        .and_then(|millis| since.after(millis, db.now()))
        .ok_or_else(|| invalid_expire_time(command))?;

    let key = args.at(1);
    let found = db.find(key);
    if !found.exists() || !condition.allows(found.expires(), at) {
        reply.integer(0);
        return Ok(Flow::Done);
    }
    if at <= db.now() {
        db.remove(found);
        db.changed(key, Event::Del);
    } else {
        db.set_expiry(found, Some(at))?;
        db.changed(key, Event::Expire);
    }
    reply.integer(1);
    Ok(Flow::Done)
}

const TTL: CommandSpec = CommandSpec {
    name: "ttl",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(ttl),
    doc: Doc {
        summary: "Tells in how many seconds a key expires.",
        since: "1.0.0",
        complexity: "O(1)",
        syntax: "key",
        acl: &[AclCategory::Keyspace],
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Generic)
    },
};

fn ttl(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(db, args, reply, Unit::Seconds, Since::Now)
}

const PTTL: CommandSpec = CommandSpec {
    name: "pttl",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(pttl),
    doc: Doc {
        summary: "Tells in how many milliseconds a key expires.",
        since: "2.6.0",
        complexity: "O(1)",
        syntax: "key",
        acl: &[AclCategory::Keyspace],
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Generic)
    },
};

fn pttl(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(db, args, reply, Unit::Millis, Since::Now)
}

const EXPIRETIME: CommandSpec = CommandSpec {
    name: "expiretime",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(expiretime),
    doc: Doc {
        summary: "Tells the Unix time in seconds at which a key expires.",
        since: "7.0.0",
        complexity: "O(1)",
        syntax: "key",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn expiretime(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(db, args, reply, Unit::Seconds, Since::Epoch)
}

const PEXPIRETIME: CommandSpec = CommandSpec {
    name: "pexpiretime",
    arity: Arity::Exactly(2),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: KEY_READ,
    large: Large::None,
    run: Run::Keys(pexpiretime),
    doc: Doc {
        summary: "Tells the Unix time in milliseconds at which a key expires.",
        since: "7.0.0",
        complexity: "O(1)",
        syntax: "key",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn pexpiretime(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(db, args, reply, Unit::Millis, Since::Epoch)
}

/// -2: no such key; -1: it does not expire.
fn tell_expiry(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply, unit: Unit, since: Since) -> Outcome {
    let found = db.peek(args.at(1));
    db.count_read(args.at(1), &found);
    reply.integer(match (found.exists(), found.expires()) {
        (false, _) => -2,
        (true, None) => -1,
        (true, Some(at)) => unit.of_millis(match since {
            Since::Now => (at.0 - db.now().0).max(0),
            Since::Epoch => at.0,
        }),
    });
    Ok(Flow::Done)
}

const PERSIST: CommandSpec = CommandSpec {
    name: "persist",
    arity: Arity::Exactly(2),
    flags: &[Flag::Write, Flag::Fast],
    keys: KEY_UPDATED,
    large: Large::None,
    run: Run::Keys(persist),
    doc: Doc {
        summary: "Takes the expiry of a key away.",
        since: "2.2.0",
        complexity: "O(1)",
        syntax: "key",
        acl: &[AclCategory::Keyspace],
        ..Doc::of(Group::Generic)
    },
};

fn persist(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let key = args.at(1);
    let found = db.find(key);
    if found.expires().is_none() {
        reply.integer(0);
        return Ok(Flow::Done);
    }
    db.set_expiry(found, None)?;
    db.changed(key, Event::Persist);
    reply.integer(1);
    Ok(Flow::Done)
}

#[cfg(test)]
mod tests;
