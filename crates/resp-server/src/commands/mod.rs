//! What a client may ask: one row and one function a command; one file a family.
//!
//! | file | commands |
//! |---|---|
//! | [`connection`] | of the connection itself: PING, HELLO, AUTH, SELECT, CLIENT ... |
//! | `client_control` | CLIENT KILL, PAUSE, REPLY |
//! | [`string`] | strings, and the numbers that strings hold |
//! | [`string_range`] | parts of a string: GETRANGE, SETRANGE, LCS |
//! | [`bitmap`] | the bits of a string: SETBIT, BITCOUNT, BITPOS ... |
//! | [`bitop`] | BITOP: strings combined bit by bit |
//! | [`bitfield`] | BITFIELD: integers of any width in a string |
//! | [`set`] | sets of strings: SADD, SMEMBERS, SPOP ... |
//! | [`set_algebra`] | sets combined: SINTER, SUNION, SDIFF and their STORE forms |
//! | [`zset`] | sorted sets, a member at a time: ZADD, ZSCORE, ZRANK ... |
//! | [`zset_range`] | sorted sets by ranges: ZRANGE, ZCOUNT, ZREMRANGEBYSCORE ... |
//! | [`zset_pop`] | sorted sets from the ends and at random: ZPOPMIN, ZMPOP, ZRANDMEMBER |
//! | [`zset_algebra`] | sorted sets and sets combined: ZUNIONSTORE, ZINTER, ZDIFF ... |
//! | [`hash`] | fields of a hash: HSET, HGET, HDEL, HINCRBY ... |
//! | [`hash_walk`] | many fields of a hash: HGETALL, HSCAN, HRANDFIELD ... |
//! | [`hash_expiry`] | the time to live of fields: HEXPIRE, HTTL, HPERSIST ... |
//! | [`hash_both`] | two things at once: HGETDEL, HGETEX, HSETEX |
//! | [`blocking`] | commands that wait for a list: BLPOP, BLMOVE, BLMPOP ... |
//! | [`blocking_zset`] | commands that wait for a sorted set: BZPOPMIN, BZPOPMAX, BZMPOP |
//! | [`transaction`] | transactions: MULTI, EXEC, WATCH ... |
//! | [`generic`] | keys, whatever they hold: DEL, RENAME, COPY, SCAN, FLUSHALL ... |
//! | [`replication`] | ROLE, WAIT, WAITAOF, MODULE: of what there is none |
//! | [`lolwut`] | LOLWUT |
//! | [`object`] | OBJECT: how a value is kept |
//! | [`sort`] | SORT and SORT_RO |
//! | [`expire`] | the time to live of a key |
//! | [`list`] | lists: pushing, popping, reading by index |
//! | [`list_move`] | from list to list, and from the first of several: LMOVE, RPOPLPUSH, LMPOP |
//! | [`list_search`] | elements by value, and the middle of a list: LPOS, LINSERT, LREM, LTRIM |
//! | `list_form` | lists in either form, as their commands see them |
//! | `list_long` | the long forms of pushes, pops and LRANGE |
//! | [`server`] | of the server: CONFIG, INFO, SHUTDOWN, TIME, MEMORY |
//! | `memory` | MEMORY STATS, DOCTOR, MALLOC-STATS, PURGE |
//! | [`debug`] | DEBUG: for tests |
//! | [`latency`] | LATENCY: what took long, and how long commands take |
//! | [`commandlog`] | COMMANDLOG: those, and what was large |
//! | [`slowlog`] | SLOWLOG: the commands that took long |
//! | [`pubsub`] | SUBSCRIBE, PUBLISH and their kin, PUBSUB |
//! | [`tracking`] | CLIENT TRACKING and its kin |
//! | [`command`] | COMMAND: the commands about commands |
//! | `copying` | COPY of a large collection, whatever its type |
//! | `hash_edit` | a hash as commands change it, in either form, at once or in slices |
//! | `long` | the long forms of commands on one or two strings |
//! | `many` | the long forms of MGET, MSET, DEL ... of very many keys |
//! | `set_long` | the long forms of commands on one set |
//! | `zset_long` | what commands on sorted sets share, and their long forms |
//! | `walk` | the long forms of KEYS and SCAN |
//! | [`syntax`] | reads a row's syntax line for COMMAND DOCS |
//! | [`spec`] | what a row is |

mod arguments;
pub mod bitfield;
pub mod bitmap;
pub mod bitop;
pub mod blocking;
pub mod blocking_zset;
mod client_control;
pub mod command;
pub mod commandlog;
pub mod connection;
mod copying;
pub mod debug;
pub mod expire;
pub mod generic;
pub mod hash;
pub mod hash_both;
mod hash_edit;
pub mod hash_expiry;
pub mod hash_walk;
pub mod latency;
pub mod list;
mod list_form;
mod list_long;
pub mod list_move;
pub mod list_search;
pub mod lolwut;
mod long;
mod many;
mod memory;
pub mod object;
pub mod pubsub;
pub mod replication;
pub mod server;
pub mod set;
pub mod set_algebra;
mod set_long;
pub mod slowlog;
pub mod sort;
pub mod spec;
pub mod string;
pub mod string_range;
pub mod syntax;
pub mod tracking;
pub mod transaction;
mod walk;
pub mod zset;
pub mod zset_algebra;
mod zset_long;
pub mod zset_pop;
pub mod zset_range;

#[cfg(test)]
pub(crate) mod testing;

pub use spec::{
    AclCategory, Arity, CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run,
};

use crate::proto::Reply;

/// Every command: the lists of the families, one after another.
pub const COMMANDS: &[&[&CommandSpec]] = &[
    connection::COMMANDS,
    server::COMMANDS,
    debug::COMMANDS,
    latency::COMMANDS,
    slowlog::COMMANDS,
    pubsub::COMMANDS,
    command::COMMANDS,
    string::COMMANDS,
    string_range::COMMANDS,
    bitmap::COMMANDS,
    bitop::COMMANDS,
    bitfield::COMMANDS,
    set::COMMANDS,
    set_algebra::COMMANDS,
    zset::COMMANDS,
    zset_range::COMMANDS,
    zset_pop::COMMANDS,
    zset_algebra::COMMANDS,
    list::COMMANDS,
    list_search::COMMANDS,
    list_move::COMMANDS,
    hash::COMMANDS,
    hash_walk::COMMANDS,
    hash_expiry::COMMANDS,
    hash_both::COMMANDS,
    blocking::COMMANDS,
    blocking_zset::COMMANDS,
    transaction::COMMANDS,
    generic::COMMANDS,
    object::COMMANDS,
    sort::COMMANDS,
    expire::COMMANDS,
    replication::COMMANDS,
    lolwut::COMMANDS,
    commandlog::COMMANDS,
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
