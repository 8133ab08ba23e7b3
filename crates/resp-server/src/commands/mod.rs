//! What a client may ask: one row and one function a command; one file a family.
//!
//! | file | commands |
//! |---|---|
//! | [`connection`] | of the connection itself: PING, HELLO, AUTH, SELECT, CLIENT ... |
//! | [`server`] | of the server: CONFIG, INFO, SHUTDOWN, TIME, MEMORY |
//! | [`command`] | COMMAND: the commands about commands |
//! | [`syntax`] | reads a row's syntax line for COMMAND DOCS |
//! | [`spec`] | what a row is |

mod arguments;
pub mod command;
pub mod connection;
pub mod expire;
pub mod generic;
pub mod server;
pub mod spec;
pub mod string;
pub mod syntax;

pub use spec::{AclCategory, Arity, CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Outcome, Run};

use crate::proto::Reply;

/// Every command: the lists of the families, one after another.
pub const COMMANDS: &[&[&CommandSpec]] =
    &[connection::COMMANDS, server::COMMANDS, command::COMMANDS, string::COMMANDS, generic::COMMANDS, expire::COMMANDS];

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
