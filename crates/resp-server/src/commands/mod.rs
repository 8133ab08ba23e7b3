//! What a client may ask: one row and one function a command; one folder a family.
//!
//! | folder | file | commands |
//! |---|---|---|
//! | [`string`] | | strings, and the numbers that strings hold |
//! | | [`range`](string::range) | parts of a string: GETRANGE, SETRANGE, LCS |
//! | | `long` | the long forms of commands on one or two strings |
//! | [`bitmap`] | | the bits of a string: SETBIT, BITCOUNT, BITPOS ... |
//! | | [`bitop`](bitmap::bitop) | BITOP: strings combined bit by bit |
//! | | [`bitfield`](bitmap::bitfield) | BITFIELD: integers of any width in a string |
//! | [`list`] | | pushing, popping, reading by index |
//! | | [`search`](list::search) | elements by value, and the middle of a list: LPOS, LINSERT, LREM, LTRIM |
//! | | [`moving`](list::moving) | from list to list, and from the first of several: LMOVE, RPOPLPUSH, LMPOP |
//! | | [`blocking`](list::blocking) | commands that wait for a list: BLPOP, BLMOVE, BLMPOP ... |
//! | | `form`, `long` | lists in either form, as their commands see them; the long forms of pushes, pops and LRANGE |
//! | [`set`] | | SADD, SMEMBERS, SPOP ... |
//! | | [`algebra`](set::algebra) | sets combined: SINTER, SUNION, SDIFF and their STORE forms |
//! | | `long` | the long forms of commands on one set |
//! | [`zset`] | | sorted sets, a member at a time: ZADD, ZSCORE, ZRANK ... |
//! | | [`range`](zset::range) | by ranges: ZRANGE, ZCOUNT, ZREMRANGEBYSCORE ... |
//! | | [`pop`](zset::pop) | from the ends and at random: ZPOPMIN, ZMPOP, ZRANDMEMBER |
//! | | [`algebra`](zset::algebra) | sorted sets and sets combined: ZUNIONSTORE, ZINTER, ZDIFF ... |
//! | | [`blocking`](zset::blocking) | commands that wait for a sorted set: BZPOPMIN, BZPOPMAX, BZMPOP |
//! | | `long` | what all of these share, and their long forms |
//! | [`hash`] | | fields of a hash: HSET, HGET, HDEL, HINCRBY ... |
//! | | [`walk`](hash::walk) | many of them: HGETALL, HSCAN, HRANDFIELD ... |
//! | | [`expiry`](hash::expiry) | their time to live: HEXPIRE, HTTL, HPERSIST ... |
//! | | [`both`](hash::both) | two things at once: HGETDEL, HGETEX, HSETEX |
//! | | `edit` | a hash as commands change it, in either form, at once or in slices |
//! | [`generic`] | | keys, whatever they hold: DEL, RENAME, COPY, SCAN, FLUSHALL ... |
//! | | [`expire`](generic::expire) | the time to live of a key |
//! | | [`object`](generic::object) | OBJECT: how a value is kept |
//! | | [`sort`](generic::sort) | SORT and SORT_RO |
//! | | `copying` | COPY of a large collection, whatever its type |
//! | | `many` | the long forms of MGET, MSET, DEL ... of very many keys |
//! | | `walk` | the long forms of KEYS and SCAN |
//! | [`connection`] | | of the connection itself: PING, HELLO, AUTH, SELECT, CLIENT ... |
//! | | `control` | CLIENT KILL, PAUSE, REPLY |
//! | | [`tracking`](connection::tracking) | CLIENT TRACKING and its kin |
//! | [`transaction`] | | MULTI, EXEC, WATCH ... |
//! | [`pubsub`] | | SUBSCRIBE, PUBLISH and their kin, PUBSUB |
//! | [`server`] | | of the server: CONFIG, INFO, SHUTDOWN, TIME, MEMORY |
//! | | `memory` | MEMORY STATS, DOCTOR, MALLOC-STATS, PURGE |
//! | | [`command`](server::command) | COMMAND: the commands about commands |
//! | | [`syntax`](server::syntax) | reads a row's syntax line for COMMAND DOCS |
//! | | [`latency`](server::latency) | LATENCY: what took long, and how long commands take |
//! | | [`slowlog`](server::slowlog) | SLOWLOG: the commands that took long |
//! | | [`commandlog`](server::commandlog) | COMMANDLOG: those, and what was large |
//! | | [`debug`](server::debug) | DEBUG: for tests |
//! | | [`replication`](server::replication) | ROLE, WAIT, WAITAOF, MODULE: of what there is none |
//! | | [`lolwut`](server::lolwut) | LOLWUT |
//! | | [`spec`] | what a row is |
//! | | `arguments` | arguments that many commands share: integers, units of time |

mod arguments;
pub mod bitmap;
pub mod connection;
pub mod generic;
pub mod hash;
pub mod list;
pub mod pubsub;
pub mod server;
pub mod set;
pub mod spec;
pub mod string;
pub mod transaction;
pub mod zset;

#[cfg(test)]
pub(crate) mod testing;

pub use spec::{
    ARGUMENT_BYTES_MAX, AclCategory, Arity, CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large,
    LargeKind, Outcome, Run,
};

use crate::proto::Reply;

/// Every command: the lists of the families, one after another.
pub const COMMANDS: &[&[&CommandSpec]] = &[
    connection::COMMANDS,
    server::COMMANDS,
    server::debug::COMMANDS,
    server::latency::COMMANDS,
    server::slowlog::COMMANDS,
    pubsub::COMMANDS,
    server::command::COMMANDS,
    string::COMMANDS,
    string::range::COMMANDS,
    bitmap::COMMANDS,
    bitmap::bitop::COMMANDS,
    bitmap::bitfield::COMMANDS,
    set::COMMANDS,
    set::algebra::COMMANDS,
    zset::COMMANDS,
    zset::range::COMMANDS,
    zset::pop::COMMANDS,
    zset::algebra::COMMANDS,
    list::COMMANDS,
    list::search::COMMANDS,
    list::moving::COMMANDS,
    hash::COMMANDS,
    hash::walk::COMMANDS,
    hash::expiry::COMMANDS,
    hash::both::COMMANDS,
    list::blocking::COMMANDS,
    zset::blocking::COMMANDS,
    transaction::COMMANDS,
    generic::COMMANDS,
    generic::object::COMMANDS,
    generic::sort::COMMANDS,
    generic::expire::COMMANDS,
    server::replication::COMMANDS,
    server::lolwut::COMMANDS,
    server::commandlog::COMMANDS,
];

/// All commands in the order of the table, without subcommands.
pub fn all() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().flat_map(|family| family.iter().copied())
}

/// A command or subcommand and its container, by its full name (`get`, `client|list`) in any case. O(commands): for commands
/// about commands; dispatch has a table.
pub fn find(name: &[u8]) -> Option<(Option<&'static CommandSpec>, &'static CommandSpec)> {
    let is = |spec: &CommandSpec, word: &[u8]| spec.name.as_bytes().eq_ignore_ascii_case(word);
    let mut words = name.splitn(2, |&byte| byte == b'|');
    let first = words.next()?;
    let command = all().find(|spec| is(spec, first))?;
    match words.next() {
        None => Some((None, command)),
        Some(second) => {
            let subcommands = command.subcommands().iter();
            let sub = subcommands.copied().find(|sub| is(sub, second))?;
            Some((Some(command), sub))
        }
    }
}

/// The reply of a container's HELP: an array of simple strings, a title, `lines`, and a word on HELP itself.
pub(crate) fn reply_help(reply: &mut Reply, container: &str, lines: &[&str]) {
    reply.array(lines.len() + 3);
    reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for line in lines {
        reply.simple(line);
    }
    reply.simple("HELP");
    reply.simple("    Shows this text.");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Redis 7.4 (for MSETEX, 8.4) says of the commands that we have: name, arity, since, group, flags, named categories, tips.
    const REDIS: &str = include_str!("../../tests/data/commands.csv");

    /// Our rows with their full names, subcommands included.
    fn rows() -> impl Iterator<Item = (String, &'static CommandSpec)> {
        all().flat_map(|spec| {
            let subcommands = spec.subcommands().iter();
            let subcommands = subcommands.map(|&sub| (format!("{}|{}", spec.name, sub.name), sub));
            std::iter::once((spec.name.to_owned(), spec)).chain(subcommands)
        })
    }

    #[test]
    fn every_row_says_what_redis_says_of_the_command() {
        let mut known = 0;
        for line in REDIS.lines().skip(1) {
            let [name, arity, since, group, flags, categories, tips] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("seven fields in {line}");
            };
            let (_, spec) = find(name.as_bytes()).unwrap_or_else(|| panic!("there is no {name}"));
            known += 1;
            assert_eq!(spec.arity.printed().to_string(), arity, "arity of {name}");
            assert_eq!(spec.doc.since, since, "{name}");
            assert_eq!(spec.doc.group.name(), group, "{name}");
            let plain = |text: &str| text.to_ascii_lowercase().replace('_', "");
            let mut ours: Vec<String> = spec.flags.iter().map(|flag| plain(&format!("{flag:?}"))).collect();
            ours.sort();
            let mut theirs: Vec<String> = flags.split_whitespace().map(plain).collect();
            theirs.sort();
            assert_eq!(ours, theirs, "flags of {name}");
            let mut named = categories.split_whitespace().map(plain);
            assert!(
                named.all(|category| spec.categories().any(|ours| ours.name() == category)),
                "{name} is not in all of {categories}"
            );
            let named: Vec<String> = categories.split_whitespace().map(plain).collect();
            let implied = |category: AclCategory| {
                use AclCategory::{Admin, Blocking, Dangerous, Fast, Pubsub, Read, Slow, Write};
                matches!(category, Admin | Blocking | Dangerous | Fast | Pubsub | Read | Slow | Write)
            };
            for category in spec.categories().filter(|&category| !implied(category)) {
                assert!(named.contains(&category.name().to_owned()), "{name} is in {category:?}");
            }
            let mut ours: Vec<&str> = spec.doc.tips.to_vec();
            let mut theirs: Vec<&str> = tips.split_whitespace().collect();
            ours.sort_unstable();
            theirs.sort_unstable();
            assert_eq!(ours, theirs, "tips of {name}");
        }
        assert_eq!(known, rows().count(), "every row is compared");
    }

    #[test]
    fn every_row_is_documented() {
        for (name, spec) in rows() {
            assert!(spec.doc.summary.ends_with('.'), "{name}: a summary is a sentence");
            assert!(!spec.doc.complexity.is_empty(), "{name}");
            assert!(!spec.name.chars().any(|letter| letter.is_ascii_uppercase()), "{name}");
        }
    }

    #[test]
    fn a_row_with_keys_writes_or_reads() {
        for (name, spec) in rows() {
            let touches = spec.is(Flag::Write) || spec.is(Flag::Readonly);
            let names_no_key = spec.keys.iter().all(|keys| keys.flags.contains(&KeyFlag::NotKey));
            assert!(names_no_key || touches || name == "watch", "{name}");
            assert!(!(spec.is(Flag::Write) && spec.is(Flag::Readonly)), "{name}");
            assert!(spec.is(Flag::Write) || !spec.is(Flag::DenyOom), "{name}");
        }
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names: Vec<String> = rows().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
