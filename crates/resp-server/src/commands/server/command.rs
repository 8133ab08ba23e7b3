//! COMMAND: the commands about commands. All that they tell comes from the rows.

use super::syntax::{self, Argument, Kind};
use crate::commands::bitmap::bitfield::only_gets;
use crate::commands::generic::many;
use crate::commands::spec::{AclCategory, KeyFlag};
use crate::commands::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, KeySpec, Large, Outcome, Run, all, find, reply_help,
};
use crate::engine::tasks::{BYTES_PER_SLICE, Holding};
use crate::engine::{Progress, Slice, Sliced};
use crate::proto::{Args, CommandError, Reply};
use crate::text::glob::{self, Case};
use Flag::{Loading, Sentinel, Stale};

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] = &[&COMMAND];

const COMMAND: CommandSpec = CommandSpec {
    name: "command",
    arity: AtLeast(1),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::BareOr(
        command,
        &[
            &COMMAND_COUNT,
            &COMMAND_DOCS,
            &COMMAND_GETKEYS,
            &COMMAND_GETKEYSANDFLAGS,
            &COMMAND_HELP,
            &COMMAND_INFO,
            &COMMAND_LIST,
        ],
    ),
    doc: Doc {
        summary: "Tells about all commands what COMMAND INFO tells about one.",
        since: "2.8.13",
        complexity: "O(N) in the number of commands",
        acl: &[AclCategory::Connection],
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Server)
    },
};

fn command(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.array(all().count());
    Ok(Flow::Sliced(Box::new(All { tell: reply_info, next: 0 })))
}

/// All commands being told of, some at a time: 1 us each for COMMAND, and 1 to 4 for its DOCS.
#[derive(Debug)]
struct All {
    tell: fn(Option<&CommandSpec>, &CommandSpec, &mut Reply),
    /// The number of the command to go on with.
    next: usize,
}

impl Sliced for All {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        const PER_SLICE: usize = 24;
        let mut told = 0;
        for spec in all().skip(self.next).take(PER_SLICE) {
            (self.tell)(None, spec, slice.reply);
            told += 1;
        }
        self.next += told;
        slice.reply.seal(BYTES_PER_SLICE);
        Ok(if told < PER_SLICE { Progress::Done } else { Progress::More })
    }
}

const COMMAND_COUNT: CommandSpec = CommandSpec {
    name: "count",
    arity: Exactly(2),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(command_count),
    doc: Doc {
        summary: "Counts the commands, subcommands apart.",
        since: "2.8.13",
        acl: &[AclCategory::Connection],
        ..Doc::of(Group::Server)
    },
};

fn command_count(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.count(all().count());
    Ok(Flow::Done)
}

const COMMAND_INFO: CommandSpec = CommandSpec {
    name: "info",
    arity: AtLeast(2),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(command_info),
    doc: Doc {
        summary: "Tells what a program needs to know of commands: arity, flags, keys.",
        since: "2.8.13",
        complexity: "O(N) in the number of commands named",
        syntax: "[command-name [command-name ...]]",
        acl: &[AclCategory::Connection],
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Server)
    },
};

fn command_info(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len() == 2 {
        return command(context, args, reply);
    }
    reply.array(args.len() - 2);
    tell_named(Told::Info, args, reply)
}

/// Names that a slice looks up: about 1 us each.
const NAMES_PER_SLICE: usize = 64;

/// What is told of the commands that a request names.
#[derive(Clone, Copy, Debug)]
enum Told {
    Info,
    /// Those that there are: so many so far. They are counted before the first is told.
    Count(usize),
    Docs,
}

/// The commands that a request names being told of.
#[derive(Debug)]
struct Naming {
    told: Told,
    /// The name to go on with.
    next: usize,
}

/// Tells of the commands that are named from argument 2 on: at once, or in slices if they are many.
fn tell_named(told: Told, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let mut naming = Naming { told, next: 2 };
    Ok(if naming.go_on(args, reply) { Flow::Done } else { Flow::Sliced(Box::new(naming)) })
}

impl Naming {
    /// Goes on for a slice; whether that was all.
    fn go_on(&mut self, args: &Args<'_>, reply: &mut Reply) -> bool {
        let reply_max = reply.len() + BYTES_PER_SLICE;
        for _ in 0..NAMES_PER_SLICE {
            if let Told::Count(found) = self.told
                && self.next == args.len()
            {
                reply.map(found);
                *self = Naming { told: Told::Docs, next: 2 };
            }
            let Some(name) = args.get(self.next).filter(|_| reply.len() < reply_max) else { break };
            self.next += 1;
            match (&mut self.told, find(name)) {
                (Told::Info, Some((container, spec))) => reply_info(container, spec, reply),
                (Told::Info, None) => reply.null(),
                (Told::Count(found), Some(_)) => *found += 1,
                (Told::Docs, Some((container, spec))) => reply_docs(container, spec, reply),
                (Told::Count(_) | Told::Docs, None) => {}
            }
        }
        reply.seal(BYTES_PER_SLICE);
        self.next == args.len() && !matches!(self.told, Told::Count(_))
    }
}

impl Sliced for Naming {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let is_done = self.go_on(slice.args, slice.reply);
        Ok(if is_done { Progress::Done } else { Progress::More })
    }
}

/// The ten facts of COMMAND INFO.
fn reply_info(container: Option<&CommandSpec>, spec: &CommandSpec, reply: &mut Reply) {
    let keys = KeyRange::of(spec.keys);
    reply.array(10);
    reply.bulk(full_name(container, spec).as_bytes());
    reply.integer(spec.arity.printed());
    reply_names(spec.flags.iter().filter_map(|flag| flag.name()), "", reply);
    reply.integer(keys.first);
    reply.integer(keys.last);
    reply.integer(keys.step);
    reply_names(spec.categories().map(AclCategory::name), "@", reply);
    reply.set(spec.doc.tips.len());
    for tip in spec.doc.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(spec.keys.len());
    for key_spec in spec.keys {
        reply_key_spec(key_spec, reply);
    }
    let subcommands = spec.subcommands();
    if subcommands.is_empty() {
        reply.set(0);
    } else {
        reply.array(subcommands.len());
    }
    for sub in subcommands {
        reply_info(Some(spec), sub, reply);
    }
}

/// A set of simple strings.
fn reply_names(names: impl Iterator<Item = &'static str> + Clone, prefix: &str, reply: &mut Reply) {
    reply.set(names.clone().count());
    for name in names {
        reply.simple(&format!("{prefix}{name}"));
    }
}

fn reply_key_spec(spec: &KeySpec, reply: &mut Reply) {
    reply.map(if spec.notes.is_empty() { 3 } else { 4 });
    if !spec.notes.is_empty() {
        reply.bulk(b"notes");
        reply.bulk(spec.notes.as_bytes());
    }
    reply.bulk(b"flags");
    reply_names(spec.flags.iter().map(|flag| flag.name()), "", reply);
    if spec.search.is_some() {
        for name in ["begin_search", "find_keys"] {
            reply.bulk(name.as_bytes());
            reply.map(2);
            reply.bulk(b"type");
            reply.bulk(b"unknown");
            reply.bulk(b"spec");
            reply.map(0);
        }
        return;
    }
    reply.bulk(b"begin_search");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"index");
    reply.bulk(b"spec");
    reply.map(1);
    reply.bulk(b"index");
    reply.integer(i64::from(spec.first) - i64::from(spec.counted));
    reply.bulk(b"find_keys");
    reply.map(2);
    reply.bulk(b"type");
    if spec.counted {
        // Counted from where the search began, the argument that says how many.
        reply.bulk(b"keynum");
        reply.bulk(b"spec");
        reply.map(3);
        for (name, number) in [("keynumidx", 0), ("firstkey", 1), ("keystep", spec.step)] {
            reply.bulk(name.as_bytes());
            reply.integer(i64::from(number));
        }
        return;
    }
    reply.bulk(b"range");
    reply.bulk(b"spec");
    reply.map(3);
    reply.bulk(b"lastkey");
    reply.integer(i64::from(spec.last));
    reply.bulk(b"keystep");
    reply.integer(i64::from(spec.step));
    reply.bulk(b"limit");
    reply.integer(0);
}

/// The older way to say where the keys are: one range that covers the ranges of all specifications.
struct KeyRange {
    first: i64,
    last: i64,
    step: i64,
}

impl KeyRange {
    fn of(specs: &[KeySpec]) -> KeyRange {
        let none = KeyRange { first: 0, last: 0, step: 0 };
        specs.iter().filter(|spec| !spec.counted && spec.search.is_none()).fold(none, |range, spec| {
            let first = i64::from(spec.first);
            let last = match i64::from(spec.last) {
                from_the_end @ ..0 => from_the_end,
                from_the_first => first + from_the_first,
            };
            if range.first == 0 {
                return KeyRange { first, last, step: i64::from(spec.step) };
            }
            KeyRange {
                first: range.first.min(first),
                // A range that ends at the last argument (-1) covers any other.
                last: if range.last < 0 || last < 0 { range.last.min(last) } else { range.last.max(last) },
                step: 1,
            }
        })
    }
}

fn full_name(container: Option<&CommandSpec>, spec: &CommandSpec) -> String {
    match container {
        Some(container) => format!("{}|{}", container.name, spec.name),
        None => spec.name.to_owned(),
    }
}

const COMMAND_DOCS: CommandSpec = CommandSpec {
    name: "docs",
    arity: AtLeast(2),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(command_docs),
    doc: Doc {
        summary: "Tells what a person needs to know of commands: summary, arguments, cost.",
        since: "7.0.0",
        complexity: "O(N) in the number of commands named",
        syntax: "[command-name [command-name ...]]",
        acl: &[AclCategory::Connection],
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Server)
    },
};

fn command_docs(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len() == 2 {
        reply.map(all().count());
        return Ok(Flow::Sliced(Box::new(All { tell: reply_docs, next: 0 })));
    }
    tell_named(Told::Count(0), args, reply)
}

/// A command's name and the map of what there is to say about it.
fn reply_docs(container: Option<&CommandSpec>, spec: &CommandSpec, reply: &mut Reply) {
    let doc = &spec.doc;
    let arguments = syntax::parse(doc.syntax).expect("a test reads the syntax of every row");
    let subcommands = spec.subcommands();
    let fields = 4
        + 3 * usize::from(doc.deprecated.is_some())
        + usize::from(!arguments.is_empty())
        + usize::from(!subcommands.is_empty());

    reply.bulk(full_name(container, spec).as_bytes());
    reply.map(fields);
    for (field, text) in
        [("summary", doc.summary), ("since", doc.since), ("group", doc.group.name()), ("complexity", doc.complexity)]
    {
        reply.bulk(field.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if let Some((since, instead)) = doc.deprecated {
        reply.bulk(b"doc_flags");
        reply.set(1);
        reply.simple("deprecated");
        reply.bulk(b"deprecated_since");
        reply.bulk(since.as_bytes());
        reply.bulk(b"replaced_by");
        reply.bulk(instead.as_bytes());
    }
    if !arguments.is_empty() {
        let mut keys = 0;
        reply.bulk(b"arguments");
        reply_arguments(&arguments, &mut keys, spec.keys.len(), reply);
    }
    if !subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(subcommands.len());
        for sub in subcommands {
            reply_docs(Some(spec), sub, reply);
        }
    }
}

/// A list of arguments. `keys` counts the keys so far: the first is found by the first key specification, and so on.
fn reply_arguments(arguments: &[Argument], keys: &mut usize, key_specs: usize, reply: &mut Reply) {
    reply.array(arguments.len());
    for argument in arguments {
        let inner = argument.kind.inner();
        let is_key = matches!(argument.kind, Kind::Key);
        let flags = [
            (argument.optional, "optional"),
            (argument.multiple, "multiple"),
            (argument.multiple_token, "multiple_token"),
        ];
        let flags = flags.into_iter().filter(|&(set, _)| set).map(|(_, name)| name);
        let has_flags = flags.clone().next().is_some();
        let fields = 2
            + usize::from(inner.is_empty())
            + usize::from(is_key)
            + usize::from(argument.token.is_some())
            + usize::from(has_flags)
            + usize::from(!inner.is_empty());

        reply.map(fields);
        reply.bulk(b"name");
        reply.bulk(argument.name.as_bytes());
        reply.bulk(b"type");
        reply.bulk(argument.kind.name().as_bytes());
        if inner.is_empty() {
            reply.bulk(b"display_text");
            reply.bulk(argument.name.as_bytes());
        }
        if is_key {
            reply.bulk(b"key_spec_index");
            reply.count((*keys).min(key_specs.saturating_sub(1)));
            *keys += 1;
        }
        if let Some(token) = &argument.token {
            reply.bulk(b"token");
            reply.bulk(token.as_bytes());
        }
        if has_flags {
            reply.bulk(b"flags");
            reply_names(flags, "", reply);
        }
        if !inner.is_empty() {
            reply.bulk(b"arguments");
            reply_arguments(inner, keys, key_specs, reply);
        }
    }
}

const COMMAND_LIST: CommandSpec = CommandSpec {
    name: "list",
    arity: AtLeast(2),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(command_list),
    doc: Doc {
        summary: "Lists the names of commands and subcommands.",
        since: "7.0.0",
        complexity: "O(N) in the number of commands",
        syntax: "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
        acl: &[AclCategory::Connection],
        tips: &["nondeterministic_output_order"],
        ..Doc::of(Group::Server)
    },
};

fn command_list(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let by = |word: &str| args.len() == 5 && args.is(2, "FILTERBY") && args.is(3, word);
    if args.len() == 2 {
        reply_list(|_, _| true, reply);
    } else if by("MODULE") {
        reply.array(0); // there are no modules
    } else if by("ACLCAT") {
        let is = |category: AclCategory| args.is(4, category.name());
        reply_list(|_, spec| spec.categories().any(is), reply);
    } else if by("PATTERN") {
        reply_list(|name, _| glob::matches(args.at(4), name.as_bytes(), Case::Blind), reply);
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(Flow::Done)
}

/// The full names of those commands and subcommands that `is_asked` wants.
fn reply_list(is_asked: impl Fn(&str, &CommandSpec) -> bool, reply: &mut Reply) {
    let mut names = Vec::new();
    for spec in all() {
        let subcommands = spec.subcommands().iter().map(|&sub| (full_name(Some(spec), sub), sub));
        for (name, spec) in std::iter::once((full_name(None, spec), spec)).chain(subcommands) {
            if is_asked(&name, spec) {
                names.push(name);
            }
        }
    }
    reply.array(names.len());
    for name in names {
        reply.bulk(name.as_bytes());
    }
}

const COMMAND_GETKEYS: CommandSpec = CommandSpec {
    name: "getkeys",
    arity: AtLeast(3),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(command_getkeys),
    doc: Doc {
        summary: "Tells which arguments of a command are keys.",
        since: "2.8.13",
        complexity: "O(N) in the number of arguments",
        syntax: "command [arg [arg ...]]",
        acl: &[AclCategory::Connection],
        ..Doc::of(Group::Server)
    },
};

fn command_getkeys(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_keys(args, false, reply)
}

const COMMAND_GETKEYSANDFLAGS: CommandSpec = CommandSpec {
    name: "getkeysandflags",
    arity: AtLeast(3),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(command_getkeysandflags),
    doc: Doc {
        summary: "Tells which arguments of a command are keys, and what it does with them.",
        since: "7.0.0",
        complexity: "O(N) in the number of arguments",
        syntax: "command [arg [arg ...]]",
        acl: &[AclCategory::Connection],
        ..Doc::of(Group::Server)
    },
};

fn command_getkeysandflags(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    tell_keys(args, true, reply)
}

/// The keys of a request being told.
#[derive(Debug)]
struct TellingKeys {
    /// What is still to be told of the keys of each specification, and what the request does with them.
    keys: Vec<(many::Keys, &'static [KeyFlag])>,
    with_flags: bool,
}

/// Tells the keys of the request from argument 2 on: at once, or in slices if they are many.
fn tell_keys(args: &Args<'_>, with_flags: bool, reply: &mut Reply) -> Outcome {
    let request = args.tail(2);
    let spec = named_spec(&request)?;
    let (mut keys, mut count) = (Vec::new(), 0);
    for key_spec in spec.keys {
        let positions = key_spec.positions(&request);
        let invalid = CommandError::text_static("ERR Invalid arguments specified for command");
        let mut positions = positions.ok_or(invalid)?;
        let (len, step) = (positions.len(), key_spec.step.max(1) as usize);
        let first = positions.next().unwrap_or(0);
        keys.push((many::Keys { first, end: first + len * step, step }, flags_in(spec, key_spec, &request)));
        count += len;
    }
    reply.array(count);
    let mut telling = TellingKeys { keys, with_flags };
    Ok(if telling.go_on(&request, reply) { Flow::Done } else { Flow::Sliced(Box::new(telling)) })
}

impl TellingKeys {
    /// Keys that a slice tells, 50 ns each and more with their flags.
    const PER_SLICE: usize = 512;

    /// Goes on for a slice; whether that was all.
    fn go_on(&mut self, request: &Args<'_>, reply: &mut Reply) -> bool {
        let reply_max = reply.len() + BYTES_PER_SLICE;
        let mut left = TellingKeys::PER_SLICE;
        for (keys, flags) in &mut self.keys {
            while keys.first < keys.end {
                if left == 0 || reply.len() >= reply_max {
                    reply.seal(BYTES_PER_SLICE);
                    return false;
                }
                if self.with_flags {
                    reply.array(2);
                }
                reply.bulk(request.at(keys.first));
                if self.with_flags {
                    reply_names(flags.iter().map(|flag| flag.name()), "", reply);
                }
                keys.first += keys.step;
                left -= 1;
            }
        }
        true
    }
}

impl Sliced for TellingKeys {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let is_done = self.go_on(&slice.args.tail(2), slice.reply);
        Ok(if is_done { Progress::Done } else { Progress::More })
    }
}

/// The row of the command that a request names, if it has keys and admits so many arguments.
fn named_spec(request: &Args<'_>) -> Result<&'static CommandSpec, CommandError> {
    let invalid = |text| Err(CommandError::text_static(text));
    let command = all().find(|spec| request.is(0, spec.name));
    let spec = match command {
        Some(container) if request.len() > 1 && !container.subcommands().is_empty() => {
            container.subcommands().iter().copied().find(|sub| request.is(1, sub.name))
        }
        found => found,
    };
    let Some(spec) = spec else {
        return invalid("ERR Invalid command specified");
    };
    if spec.keys.is_empty() {
        return invalid("ERR The command has no key arguments");
    }
    if !spec.arity.admits(request.len()) {
        return invalid("ERR Invalid number of arguments specified for command");
    }
    Ok(spec)
}

/// What a request does with the keys of a specification: where that depends on the arguments (`variable_flags`), what these
/// arguments make of it: SET reads the old value with GET and else only overwrites it, and BITFIELD with nothing but GET only
/// reads.
fn flags_in(spec: &CommandSpec, keys: &KeySpec, request: &Args<'_>) -> &'static [KeyFlag] {
    if !keys.flags.contains(&KeyFlag::VariableFlags) {
        return keys.flags;
    }
    if spec.name == "bitfield" {
        return if only_gets(request) {
            &[KeyFlag::Ro, KeyFlag::Access]
        } else {
            &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update]
        };
    }
    let reads = spec.name == "set" && (3..request.len()).any(|at| request.is(at, "GET"));
    if reads { &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update] } else { &[KeyFlag::Ow, KeyFlag::Update] }
}

const COMMAND_HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Exactly(2),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(command_help),
    doc: Doc {
        summary: "Tells what COMMAND can do.",
        since: "5.0.0",
        acl: &[AclCategory::Connection],
        ..Doc::of(Group::Server)
    },
};

fn command_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(
        reply,
        "COMMAND",
        &[
            "(no subcommand)",
            "    Arity, flags and keys of all commands.",
            "COUNT",
            "    How many commands there are.",
            "DOCS [<command> ...]",
            "    Summary, arguments and cost of commands, or of all.",
            "GETKEYS <command> [<arg> ...]",
            "    Which arguments are keys.",
            "GETKEYSANDFLAGS <command> [<arg> ...]",
            "    Which arguments are keys, and what is done with them.",
            "INFO [<command> ...]",
            "    Arity, flags and keys of commands, or of all.",
            "LIST [FILTERBY (MODULE <module>|ACLCAT <category>|PATTERN <pattern>)]",
            "    The names of commands and subcommands.",
        ],
    );
    Ok(Flow::Done)
}
