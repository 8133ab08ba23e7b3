//! Which command a request names.
//!
//! Every command and subcommand gets a number, its full name (`client|list`) and the mask of gates that concern it, once, at
//! the first request. A name is looked at as two words, its first and its last eight bytes, with bit 5 of each byte set, which
//! makes letters lower-case. Up to 16 letters are those words and their number, so these are hashed and compared; longer names and
//! those with other bytes in them, which bit 5 confuses, are compared byte by byte as well. Some 5 ns.

use std::sync::LazyLock;

use super::gates::{self, Gates};
use crate::commands::connection::PING_OF_SUBSCRIBER;
use crate::commands::{self, CommandSpec, LargeKind};
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
    /// Open addressing.
    slots: Box<[Slot; SLOTS]>,
}

/// A place in the table: free while no name is so long as `len` says.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    name: Folded,
    /// Which of the commands it is.
    index: u16,
    /// Whether a name with the same words may be another one.
    needs_comparison: bool,
}

/// A name as the table sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Folded {
    head: u64,
    tail: u64,
    len: usize,
}

/// Two or more for each command, so that most names are found at the first probe.
const SLOTS: usize = 1024;

static LOOKUP: LazyLock<Lookup> = LazyLock::new(Lookup::new);

/// The table, built at the first call.
pub(super) fn lookup() -> &'static Lookup {
    &LOOKUP
}

/// Whether argument `index` of a request may be large, and as what; `before` looks at those before it, of which the first is the
/// command's name.
pub(crate) fn takes_large<'a>(index: usize, before: impl Fn(usize) -> &'a [u8]) -> Option<LargeKind> {
    lookup().command(before(0))?.spec.large.at(index, before)
}

impl Lookup {
    fn new() -> Lookup {
        let mut number = 0;
        let commands: Vec<Command> = commands::all().map(|spec| Command::new(spec, spec.name, &mut number)).collect();
        assert!(commands.len() * 2 <= SLOTS, "the table has room to spare");
        let mut slots = Box::new([Slot::default(); SLOTS]);
        for (index, command) in commands.iter().enumerate() {
            let bytes = command.name.as_bytes();
            let name = Folded::new(bytes);
            let mut at = name.home();
            while slots[at].name.len > 0 {
                at = (at + 1) % SLOTS;
            }
            let needs_comparison = bytes.len() > 16 || !bytes.iter().all(u8::is_ascii_lowercase);
            slots[at] = Slot { name, index: index as u16, needs_comparison };
        }
        let ping = commands.iter().find(|command| command.name == "ping").expect("there is a PING").number;
        let ping_of_subscriber = Command { number: ping, ..Command::new(&PING_OF_SUBSCRIBER, "ping", &mut number) };
        Lookup { commands, ping_of_subscriber, slots }
    }

    /// The command of that name.
    #[inline(always)]
    pub(super) fn command(&self, name: &[u8]) -> Option<&Command> {
        let folded = Folded::new(name);
        let mut at = folded.home();
        loop {
            let slot = &self.slots[at];
            if slot.name == folded {
                let command = &self.commands[usize::from(slot.index)];
                if !slot.needs_comparison || command.name.as_bytes().eq_ignore_ascii_case(name) {
                    return Some(command);
                }
            }
            if slot.name.len == 0 {
                return None;
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
    #[inline(always)]
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

impl Folded {
    #[inline]
    fn new(name: &[u8]) -> Folded {
        const LOWER: u64 = 0x2020_2020_2020_2020;
        let (head, tail) = if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
            (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
        } else if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
            let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
            (u64::from(head), u64::from(tail))
        } else {
            let byte = |at: usize| u64::from(name.get(at).copied().unwrap_or(0));
            (byte(0) | byte(1) << 8 | byte(2) << 16, 0)
        };
        Folded { head: head | LOWER, tail: tail | LOWER, len: name.len() }
    }

    /// The slot where the search begins.
    #[inline]
    fn home(&self) -> usize {
        // Any odd number with well-mixed bits would do: this is 2^64 divided by the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (self.head ^ self.tail.rotate_left(29) ^ self.len as u64).wrapping_mul(FACTOR);
        (mixed >> (64 - SLOTS.ilog2())) as usize
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
    fn names_and_values_of_any_length_are_found_wherever_they_stand() {
        for (request, names, values) in [
            ("HSETEX k FIELDS 2 f v g w", &[4, 6][..], &[5, 7][..]),
            ("hsetex k fnx fields 2 f v g w", &[5, 7], &[6, 8]),
            ("HSETEX k EX 10 FXX FIELDS 1 f v", &[7], &[8]),
            ("HSETEX fields KEEPTTL FIELDS 1 fields fields", &[5], &[6]),
            ("HSETEX k a b c d FIELDS 1 f v", &[], &[]),
            ("HSET k FIELDS 1 f v", &[2, 4], &[3, 5]),
            ("HSETNX k f v", &[2], &[3]),
            ("HGETEX k FIELDS 2 f g", &[4, 5], &[]),
            ("HEXPIRE k 10 NX FIELDS 1 f", &[6], &[]),
            ("ZADD k 1 m 2 n", &[3, 5], &[]),
            ("zadd k nx GT ch 1 nx 2 n", &[6, 8], &[]),
            ("ZADD k INCR", &[], &[]),
            ("ZRANGE k m n", &[], &[]),
            ("SMOVE s t m", &[3], &[]),
            ("SADD s m n", &[2, 3], &[]),
        ] {
            let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
            let found = |kind: LargeKind| -> Vec<usize> {
                (1..words.len()).filter(|&index| takes_large(index, |at| words[at]) == Some(kind)).collect()
            };
            assert_eq!(found(LargeKind::Name), names, "{request}");
            assert_eq!(found(LargeKind::Value), values, "{request}");
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
            .filter(|(index, command)| {
                let first = table.slots[Folded::new(command.name.as_bytes()).home()];
                first.name.len == 0 || usize::from(first.index) != *index
            })
            .count();
        assert!(displaced * 4 <= table.commands.len(), "{displaced}");
    }
}
