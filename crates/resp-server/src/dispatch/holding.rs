//! Which keys a request needs: whether it has to wait for those that hold them, and what it holds itself when it is long.
//!
//! The command's row says it all: its key positions and what is done there, and for a command without keys whether it reads
//! or writes, for then it means all keys of the database. EXEC needs what its queued requests need, which was noted as they came.

use super::lookup::Command;
use crate::commands::{CommandSpec, Flag, KeyFlag, Run};
use crate::engine::holds::{Access, Claims, KEYS_AT_ONCE_MAX, Want};
use crate::engine::{ClientId, Engine, Slice};
use crate::keyspace::{KeyPlace, check_key};
use crate::proto::Args;

/// Requests of a transaction up to which it is taken not to become a task.
const FEW: usize = 16;

/// Whether the request has to wait. If so, its client has been put in the queue; otherwise it stands in none any more.
pub(super) fn must_wait(engine: &mut Engine, client: ClientId, db: usize, command: &Command, args: &Args<'_>) -> bool {
    let obstacle = match engine.client(client).queue().filter(|_| command.spec.is_exec()) {
        Some(queue) => queue.claims.wants(queue.len() > FEW).find(|want| engine.holds.blocks(client, *want)),
        None => obstacle(engine, client, db, command.spec, args),
    };
    match obstacle {
        Some(want) => engine.holds.wait(client, want),
        None => engine.holds.stop_waiting(client),
    }
    engine.holds.is_waiting(client)
}

/// Whether a running task holds what a parked request needs that is to be run as `key` is ready, whoever else waits for it.
pub(super) fn is_held(engine: &Engine, key: KeyPlace, command: &Command, args: &Args<'_>) -> bool {
    if engine.holds.is_idle() {
        return false;
    }
    let is_held = |want| engine.holds.is_held_by_task(want);
    let (db, ready) = key;
    let want = |(hash, access)| Want::Key { db, hash, access };
    if is_bulk(command.spec, args) {
        // It waits for the others as it comes to them.
        return [Want::Bulk, Want::TaskIn(db, Access::Write), want((ready, Access::Write))].into_iter().any(is_held);
    }
    keys(engine, command.spec, args).map(want).any(is_held)
}

/// Whether the request becomes the task of very many keys, which takes them as it goes.
fn is_bulk(spec: &CommandSpec, args: &Args<'_>) -> bool {
    takes_as_it_goes(spec) && key_count(spec, args) > KEYS_AT_ONCE_MAX
}

/// The first of the things that the request wants which is not free.
fn obstacle(engine: &Engine, client: ClientId, db: usize, spec: &CommandSpec, args: &Args<'_>) -> Option<Want> {
    let is_blocked = |want: &Want| engine.holds.blocks(client, *want);
    let own = db as u32;
    let databases = 0..engine.keyspace.databases() as u32;
    let writes = spec.is(Flag::Write);
    let reaches_far = reaches_far(spec);
    if spec.keys.is_empty() {
        return match (writes, reaches_far) {
            // The one that becomes a task which others wait for.
            (false, _) if spec.name == "keys" => [Want::AllKeys(own), Want::Task].into_iter().find(is_blocked),
            (false, _) => Some(Want::AllKeys(own)).filter(is_blocked),
            (true, false) => Some(Want::WholeDatabase(own)).filter(is_blocked),
            (true, true) => Some(Want::Everything).filter(is_blocked),
        };
    }
    if engine.holds.is_database_wanted(own) && may_be_long(engine, db, spec, args) {
        let access = if writes { Access::Write } else { Access::Read };
        let blocked = [Want::TaskIn(own, access), Want::Task].into_iter().find(is_blocked);
        if blocked.is_some() {
            return blocked;
        }
    }
    if key_count(spec, args) > KEYS_AT_ONCE_MAX {
        let access = if writes { Access::Write } else { Access::Read };
        let blocked = [Want::TaskIn(own, access), Want::Bulk].into_iter().find(is_blocked);
        if blocked.is_some() || takes_as_it_goes(spec) {
            return blocked;
        }
    }
    let keys = keys(engine, spec, args);
    if reaches_far {
        let in_all = |(hash, access)| databases.clone().map(move |db| Want::Key { db, hash, access });
        return keys.flat_map(in_all).find(is_blocked);
    }
    keys.map(|(hash, access)| Want::Key { db: own, hash, access }).find(is_blocked)
}

/// Notes what a request needs that will be carried out in database `db` as part of a transaction. O(its keys, up to those that
/// are taken at once)
pub(super) fn claim(engine: &Engine, claims: &mut Claims, db: usize, spec: &CommandSpec, args: &Args<'_>) {
    if !spec.touches_keys() {
        return;
    }
    let access = if spec.is(Flag::Write) { Access::Write } else { Access::Read };
    let databases = if reaches_far(spec) { 0..engine.keyspace.databases() } else { db..db + 1 };
    if spec.keys.is_empty() {
        databases.for_each(|db| claims.add_database(db, access));
        return;
    }
    if matches!(spec.name, "sort" | "sort_ro") && args.len() > 2 {
        // Its patterns may name any key.
        claims.add_database(db, Access::Read);
    }
    databases.clone().for_each(|db| claims.add_use(db, access));
    for (hash, access) in keys(engine, spec, args) {
        if claims.is_bulk() {
            return;
        }
        databases.clone().for_each(|db| claims.add_key(db, hash, access));
    }
}

/// Takes the keys of a request for a task that takes them as it goes, before the request is carried out in database `db`; `false`:
/// it has to wait. What takes its keys itself is left to it.
pub(super) fn take_keys(slice: &mut Slice<'_>, db: usize, spec: &CommandSpec, args: &Args<'_>) -> bool {
    if spec.keys.is_empty() || is_bulk(spec, args) {
        return true;
    }
    let databases = if reaches_far(spec) { 0..slice.engine.keyspace.databases() } else { db..db + 1 };
    let keys: Vec<(u64, Access)> = keys(slice.engine, spec, args).collect();
    keys.iter().all(|&(hash, _)| databases.clone().all(|db| slice.take_in(db, hash)))
}

/// What runs with all of the server may reach into other databases (COPY): there it is taken to want the same keys.
fn reaches_far(spec: &CommandSpec) -> bool {
    spec.is(Flag::Write) && !matches!(spec.run, Run::Keys(_))
}

/// Whether a request may become a task: told from its length, from that of what its keys hold, and from its name. Asked only while
/// somebody waits for a whole database, so that those who are not long need not wait behind.
fn may_be_long(engine: &Engine, db: usize, spec: &CommandSpec, args: &Args<'_>) -> bool {
    /// With fewer arguments, and each of fewer bytes, a request is short in itself.
    const ARGUMENTS_MAX: usize = 64;
    const BYTES_MAX: u64 = 8 * 1024;
    /// With fewer keys, and all small, so is what it looks at.
    const KEYS_MAX: usize = 8;
    /// Fast is what takes one element: these may take many.
    const COUNTED: &[&str] = &["lpop", "rpop", "spop", "zpopmin", "zpopmax"];
    /// Long with few and small elements.
    const SLOW: &[&str] = &["sort", "sort_ro"];
    if args.len() > ARGUMENTS_MAX || (0..args.len()).any(|at| args.len_of(at) > BYTES_MAX) || SLOW.contains(&spec.name)
    {
        return true;
    }
    if spec.is(Flag::Fast) && !COUNTED.contains(&spec.name) {
        return false;
    }
    let mut keys = 0;
    let names = spec.keys.iter().filter_map(|spec| spec.positions(args)).flatten();
    names.into_iter().any(|at| {
        keys += 1;
        keys > KEYS_MAX || engine.keyspace.is_apart(db, args.at(at))
    })
}

/// Whether the command takes its keys one by one when they are very many. The others, whose requests seldom have so many, take
/// them at their start.
pub(super) fn takes_as_it_goes(spec: &CommandSpec) -> bool {
    const NAMES: &[&str] = &[
        "mget",
        "mset",
        "msetnx",
        "msetex",
        "del",
        "unlink",
        "exists",
        "touch",
        "watch",
        "bitop",
        "sinter",
        "sintercard",
        "sinterstore",
        "sunion",
        "sunionstore",
        "sdiff",
        "sdiffstore",
        "zinter",
        "zintercard",
        "zinterstore",
        "zunion",
        "zunionstore",
        "zdiff",
        "zdiffstore",
        "lmpop",
        "zmpop",
        "blpop",
        "brpop",
        "blmpop",
        "bzpopmin",
        "bzpopmax",
        "bzmpop",
    ];
    NAMES.contains(&spec.name)
}

/// The keys of a request by their hash, and what is done with them. One that is too long is never there, so nobody needs it.
pub(super) fn keys<'a>(
    engine: &'a Engine,
    spec: &'a CommandSpec,
    args: &'a Args<'_>,
) -> impl Iterator<Item = (u64, Access)> + 'a {
    spec.keys.iter().flat_map(move |keys| {
        let only_read = keys.flags.contains(&KeyFlag::Ro);
        let access = if only_read { Access::Read } else { Access::Write };
        keys.positions(args)
            .into_iter()
            .flatten()
            .filter(|&at| check_key(args.at(at)).is_ok())
            .map(move |at| (engine.keyspace.store.key(args.at(at)).hash(), access))
    })
}

pub(super) fn key_count(spec: &CommandSpec, args: &Args<'_>) -> usize {
    spec.keys.iter().map(|keys| keys.positions(args).map_or(0, |positions| positions.size_hint().0)).sum()
}
