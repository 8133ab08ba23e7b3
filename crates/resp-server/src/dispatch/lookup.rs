//! Which command a request names.
//!
//! Every command and subcommand gets a number, its full name (`client|list`) and the mask of gates that concern it, once, at
//! the first request. A name's hash takes its length and at most 16 of its bytes with bit 5 set, which makes letters
//! lower-case; what other bytes that confuses, the comparison at the end tells apart. Some 5-10 ns.

use std::sync::LazyLock;

use super::gates::{self, Gates};
use crate::commands::connection::PING_OF_SUBSCRIBER;
use crate::commands::{self, CommandSpec};
use crate::proto::Args;

/// A command as dispatch sees it.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) spec: &'static CommandSpec,
    /// Its name with its container's: `client|list`.
    pub(super) name: &'static str,
    /// Its place in the statistics.
    pub(super) number: u32,
    /// The gates that concern it.
    pub(super) gates: Gates,
    /// Whether a request that names a subcommand means that and not the command itself.
    is_container: bool,
    subcommands: Vec<Command>,
}

/// What a request names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resolved<'a> {
    /// A command or a subcommand.
    Found(&'a Command),
    /// A container, but none of its subcommands.
    NoSuchSubcommand(&'a Command),
    /// Nothing that we know.
    NoSuchCommand,
}

/// All commands by name.
#[derive(Debug)]
pub(super) struct Lookup {
    commands: Vec<Command>,
    /// PING of a connection that subscribes to something.
    ping_of_subscriber: Command,
    /// Open addressing: 0 is free, otherwise one more than the index of a command.
    slots: Box<[u16; SLOTS]>,
}

/// Four or more for each command, so that most names are found at the first probe.
const SLOTS: usize = 2048;

static LOOKUP: LazyLock<Lookup> = LazyLock::new(Lookup::new);

/// The table, built at the first call.
pub(super) fn lookup() -> &'static Lookup {
    &LOOKUP
}

/// Whether argument `index` of the named command may be large.
pub(crate) fn takes_large(name: &[u8], index: usize) -> bool {
    lookup().command(name).is_some_and(|command| command.spec.large.is_at(index))
}

impl Lookup {
    fn new() -> Lookup {
        let mut number = 0;
        let commands: Vec<Command> = commands::all().map(|spec| Command::new(spec, spec.name, &mut number)).collect();
        assert!(commands.len() * 4 <= SLOTS, "the table has room to spare");
        let mut slots = Box::new([0; SLOTS]);
        for (index, command) in commands.iter().enumerate() {
            let mut at = home(command.name.as_bytes());
            while slots[at] != 0 {
                at = (at + 1) % SLOTS;
            }
            slots[at] = index as u16 + 1;
        }
        let ping = commands.iter().find(|command| command.name == "ping").expect("there is a PING").number;
        let ping_of_subscriber = Command { number: ping, ..Command::new(&PING_OF_SUBSCRIBER, "ping", &mut number) };
        Lookup { commands, ping_of_subscriber, slots }
    }

    /// The command of that name.
    #[inline]
    pub(super) fn command(&self, name: &[u8]) -> Option<&Command> {
        let mut at = home(name);
        loop {
            let index = self.slots[at].checked_sub(1)?;
            let command = &self.commands[usize::from(index)];
            if command.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(command);
            }
            at = (at + 1) % SLOTS;
        }
    }

    /// The command in the place of one that a RESP2 connection asks for which subscribes to something.
    #[cold]
    pub(super) fn of_subscriber<'a>(&'a self, command: &'a Command) -> &'a Command {
        if command.number == self.ping_of_subscriber.number { &self.ping_of_subscriber } else { command }
    }

    /// What a request names.
    #[inline]
    pub(super) fn resolve(&self, args: &Args<'_>) -> Resolved<'_> {
        match self.command(args.at(0)) {
            None => Resolved::NoSuchCommand,
            Some(command) if !command.is_container || args.len() == 1 => Resolved::Found(command),
            Some(container) => container.resolve_subcommand(args.at(1)),
        }
    }
}

impl Command {
    fn new(spec: &'static CommandSpec, name: &'static str, number: &mut u32) -> Command {
        let own_number = *number;
        *number += 1;
        let subcommands = spec
            .subcommands()
            .iter()
            .map(|sub| {
                // Once a process: the table lives as long as it does.
                let name = Box::leak(format!("{name}|{}", sub.name).into_boxed_str());
                Command::new(sub, name, number)
            })
            .collect();
        Command {
            spec,
            name,
            number: own_number,
            gates: gates::concerning(spec),
            is_container: !spec.subcommands().is_empty(),
            subcommands,
        }
    }

    #[cold]
    fn resolve_subcommand(&self, name: &[u8]) -> Resolved<'_> {
        self.subcommands
            .iter()
            .find(|sub| sub.spec.name.as_bytes().eq_ignore_ascii_case(name))
            .map_or(Resolved::NoSuchSubcommand(self), Resolved::Found)
    }
}

/// The slot where the search for a name begins.
#[inline]
fn home(name: &[u8]) -> usize {
    const LOWER: u64 = 0x2020_2020_2020_2020;
    // Any odd number with well-mixed bits would do: this is 2^64 divided by the golden ratio.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (head, tail) = ends(name);
    let mixed = ((head | LOWER) ^ (tail | LOWER).rotate_left(29) ^ name.len() as u64).wrapping_mul(FACTOR);
    (mixed >> (64 - SLOTS.ilog2())) as usize
}

/// The first and the last bytes of a name, up to eight each; they may overlap.
#[inline]
fn ends(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
    } else if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
        (u64::from(head), u64::from(tail))
    } else {
        let byte = |at: usize| u64::from(name.get(at).copied().unwrap_or(0));
        (byte(0) | byte(1) << 8 | byte(2) << 16, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case_and_nothing_else_is() {
        for (index, command) in lookup().commands.iter().enumerate() {
            for name in [command.name.to_owned(), command.name.to_uppercase()] {
                let found = lookup().command(name.as_bytes()).expect("found");
                assert!(std::ptr::eq(found, &lookup().commands[index]));
            }
            for wrong in [format!("{}x", command.name), format!("x{}", command.name)] {
                assert!(lookup().command(wrong.as_bytes()).is_none_or(|other| other.name == wrong));
            }
        }
        for wrong in ["", "p", "pin", "ping\0", "p\x09ng", "PI\x0eG", "x".repeat(1000).as_str()] {
            assert!(lookup().command(wrong.as_bytes()).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_are_given_once() {
        let mut numbers = Vec::new();
        for command in &lookup().commands {
            numbers.push(command.number);
            numbers.extend(command.subcommands.iter().map(|sub| sub.number));
        }
        numbers.sort_unstable();
        let expected: Vec<u32> = (0..numbers.len() as u32).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn most_names_are_found_at_the_first_probe() {
        let table = lookup();
        let displaced = table
            .commands
            .iter()
            .enumerate()
            .filter(|(index, command)| usize::from(table.slots[home(command.name.as_bytes())]) != index + 1)
            .count();
        assert!(displaced * 4 <= table.commands.len(), "{displaced}");
    }
}
