//! Commands of the server: its settings, its state, its end.

pub mod command;
pub mod commandlog;
pub mod debug;
pub mod latency;
pub mod lolwut;
pub(super) mod memory;
pub mod replication;
pub mod slowlog;
pub mod syntax;

use super::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run, reply_help,
};
use crate::engine::config_file::rewritten;
use crate::engine::info::{Asked, info};
use crate::engine::settings::{SETTINGS, SetError, Settings, set_all};
use crate::engine::tasks::Holding;
use crate::engine::{EditUnderWay, Engine, Progress, Slice, Sliced};
use crate::keyspace::Db;
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;
use Flag::{Admin, AllowBusy, Fast, Loading, NoMulti, Noscript, Readonly, Sentinel, Stale};
use memory::{MEMORY_DOCTOR, MEMORY_MALLOC_STATS, MEMORY_PURGE, MEMORY_STATS};

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] = &[&CONFIG, &INFO, &MEMORY, &MONITOR, &SHUTDOWN, &TIME];

const CONFIG: CommandSpec = CommandSpec {
    name: "config",
    arity: AtLeast(2),
    flags: &[],
    keys: &[],
    large: Large::None,
    run: Run::Subcommands(&[&CONFIG_GET, &CONFIG_SET, &CONFIG_RESETSTAT, &CONFIG_REWRITE, &CONFIG_HELP]),
    doc: Doc {
        summary: "A container for commands about settings.",
        since: "2.0.0",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Server)
    },
};

const CONFIG_GET: CommandSpec = CommandSpec {
    name: "get",
    arity: AtLeast(3),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(config_get),
    doc: Doc {
        summary: "Tells the values of the settings whose names match.",
        since: "2.0.0",
        complexity: "O(N) in the number of patterns",
        syntax: "parameter:string [parameter:string ...]",
        ..Doc::of(Group::Server)
    },
};

fn config_get(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let mut asking = AskingSettings { next: 2, asked: Vec::new() };
    let is_done = asking.go_on(context.engine.settings(), args, reply);
    Ok(if is_done { Flow::Done } else { Flow::Sliced(Box::new(asking)) })
}

/// Settings being looked for, by one pattern after another.
#[derive(Debug)]
struct AskingSettings {
    /// The pattern to go on with.
    next: usize,
    /// Rows of those that are asked for, and the argument that named one.
    asked: Vec<(usize, Option<usize>)>,
}

impl AskingSettings {
    /// Patterns that a slice compares with all names, about 1 us each.
    const PER_SLICE: usize = 64;

    /// Goes on for a slice; whether that was all, and the reply is written.
    ///
    /// A name without a wildcard is told back as it was written, as Redis does: clients look their own spelling up in the reply.
    fn go_on(&mut self, settings: &Settings, args: &Args<'_>, reply: &mut Reply) -> bool {
        let end = args.len().min(self.next + AskingSettings::PER_SLICE);
        for at in self.next..end {
            let pattern = args.at(at);
            let name = Some(at).filter(|_| !pattern.iter().any(|byte| b"[*?".contains(byte)));
            for row in (0..SETTINGS.len()).filter(|&row| SETTINGS[row].matches(pattern)) {
                if !self.asked.iter().any(|&(other, _)| other == row) {
                    self.asked.push((row, name));
                }
            }
        }
        self.next = end;
        if end < args.len() {
            return false;
        }
        reply.map(self.asked.len());
        for &(row, name) in &self.asked {
            let setting = &SETTINGS[row];
            reply.bulk(name.map_or(setting.name.as_bytes(), |at| args.at(at)));
            reply.bulk(&setting.print(settings));
        }
        true
    }
}

impl Sliced for AskingSettings {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let is_done = self.go_on(slice.engine.settings(), slice.args, slice.reply);
        Ok(if is_done { Progress::Done } else { Progress::More })
    }
}

const CONFIG_SET: CommandSpec = CommandSpec {
    name: "set",
    arity: AtLeast(4),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(config_set),
    doc: Doc {
        summary: "Changes settings, all that are named or none.",
        since: "2.0.0",
        complexity: "O(N) in the number of settings",
        syntax: "parameter:string value [parameter:string value ...]",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..Doc::of(Group::Server)
    },
};

fn config_set(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> = (2..args.len()).step_by(2).map(|at| (args.at(at), args.at(at + 1))).collect();
    let failed = |name: &[u8], reason: &str| {
        CommandError::quoting("ERR CONFIG SET failed (possibly related to argument '", name, &format!("') - {reason}"))
    };
    let settings = set_all(context.engine.settings(), &pairs).map_err(|error| match error {
        SetError::Unknown(at) => {
            let before = "ERR Unknown option or number of arguments for CONFIG SET - '";
            CommandError::quoting(before, pairs[at].0, "'")
        }
        SetError::Failed(at, reason) => failed(pairs[at].0, &reason),
    })?;
    let clients_max = context.engine.host.clients_max;
    if settings.maxclients > context.engine.settings().maxclients.max(clients_max) {
        let reason = format!(
            "The operating system is not able to handle the specified number of clients, try with {clients_max}"
        );
        return Err(failed(b"maxclients", &reason));
    }
    context.engine.change_settings(settings);
    reply.ok();
    Ok(Flow::Done)
}

const CONFIG_RESETSTAT: CommandSpec = CommandSpec {
    name: "resetstat",
    arity: Exactly(2),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(config_resetstat),
    doc: Doc {
        summary: "Sets the counters that INFO shows back to nothing.",
        since: "2.0.0",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..Doc::of(Group::Server)
    },
};

fn config_resetstat(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    context.engine.reset_stats();
    reply.ok();
    Ok(Flow::Done)
}

const CONFIG_REWRITE: CommandSpec = CommandSpec {
    name: "rewrite",
    arity: Exactly(2),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(config_rewrite),
    doc: Doc {
        summary: "Writes what is set to the configuration file, whose comments and order stay.",
        since: "2.8.0",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..Doc::of(Group::Server)
    },
};

fn config_rewrite(context: &mut Context<'_>, _: &Args<'_>, _: &mut Reply) -> Outcome {
    let path = context.engine.host.config_file.clone();
    if path.is_empty() {
        return Err(CommandError::text_static("ERR The server is running without a config file"));
    }
    let settings = context.engine.settings().clone();
    let edit = (context.engine.host.edit_file)(path, Box::new(move |old| rewritten(&old, &settings)));
    Ok(Flow::Sliced(Box::new(Rewrite(edit))))
}

/// CONFIG REWRITE under way: looks at each turn whether the file is written.
#[derive(Debug)]
struct Rewrite(EditUnderWay);

impl Sliced for Rewrite {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        match self.0.poll() {
            None => return Ok(Progress::More),
            Some(Ok(())) => slice.reply.ok(),
            Some(Err(reason)) => {
                return Err(CommandError::Text(format!("ERR Rewriting config file: {reason}").into()));
            }
        }
        Ok(Progress::Done)
    }
}

const CONFIG_HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Exactly(2),
    flags: &[Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(config_help),
    doc: Doc { summary: "Tells what CONFIG can do.", since: "5.0.0", ..Doc::of(Group::Server) },
};

fn config_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(
        reply,
        "CONFIG",
        &[
            "GET <pattern> [<pattern> ...]",
            "    The settings whose names match a pattern, with their values.",
            "RESETSTAT",
            "    Set the counters of INFO back to nothing.",
            "REWRITE",
            "    Write what is set to the configuration file.",
            "SET <setting> <value> [<setting> <value> ...]",
            "    Change settings, all that are named or none.",
        ],
    );
    Ok(Flow::Done)
}

const INFO: CommandSpec = CommandSpec {
    name: "info",
    arity: AtLeast(1),
    flags: &[Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(info_command),
    doc: Doc {
        summary: "Tells how the server is: all sections shown by default, or those named.",
        syntax: "[section:string [section:string ...]]",
        acl: &[super::AclCategory::Dangerous],
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        ..Doc::of(Group::Server)
    },
};

fn info_command(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let mut asking = AskingSections { next: 1, asked: Asked::default() };
    let is_done = asking.go_on(context.engine, args, reply);
    Ok(if is_done { Flow::Done } else { Flow::Sliced(Box::new(asking)) })
}

/// The sections of INFO that a request names being gathered.
#[derive(Debug)]
struct AskingSections {
    /// The name to go on with.
    next: usize,
    asked: Asked,
}

impl AskingSections {
    /// Names that a slice reads, some 50 ns each.
    const PER_SLICE: usize = 1024;

    /// Goes on for a slice; whether that was all, and the reply is written.
    fn go_on(&mut self, engine: &Engine, args: &Args<'_>, reply: &mut Reply) -> bool {
        let end = args.len().min(self.next + AskingSections::PER_SLICE);
        (self.next..end).for_each(|at| self.asked.add(args.at(at)));
        self.next = end;
        if end < args.len() {
            return false;
        }
        reply.verbatim("txt", info(engine, self.asked).as_bytes());
        true
    }
}

impl Sliced for AskingSections {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let is_done = self.go_on(slice.engine, slice.args, slice.reply);
        Ok(if is_done { Progress::Done } else { Progress::More })
    }
}

const MONITOR: CommandSpec = CommandSpec {
    name: "monitor",
    arity: Exactly(1),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(monitor),
    doc: Doc { summary: "Shows the connection all commands of all clients from now on.", ..Doc::of(Group::Server) },
};

/// A second MONITOR is not answered, as in Redis.
fn monitor(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    if context.engine.client(context.client).is_executing() {
        return Err(CommandError::text_static("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    if context.engine.begin_monitoring(context.client) {
        reply.ok();
    }
    Ok(Flow::Done)
}

const MEMORY: CommandSpec = CommandSpec {
    name: "memory",
    arity: AtLeast(2),
    flags: &[],
    keys: &[],
    large: Large::None,
    run: Run::Subcommands(&[
        &MEMORY_DOCTOR,
        &MEMORY_HELP,
        &MEMORY_MALLOC_STATS,
        &MEMORY_PURGE,
        &MEMORY_STATS,
        &MEMORY_USAGE,
    ]),
    doc: Doc {
        summary: "A container for commands about memory.",
        since: "4.0.0",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Server)
    },
};

const MEMORY_USAGE: CommandSpec = CommandSpec {
    name: "usage",
    arity: AtLeast(3),
    flags: &[Readonly],
    keys: &[KeySpec::one(2, &[KeyFlag::Ro])],
    large: Large::None,
    run: Run::Keys(memory_usage),
    doc: Doc {
        summary: "Tells the bytes that a key and its value take: the entry, and its share of the index.",
        since: "4.0.0",
        complexity: "O(1)",
        syntax: "key [SAMPLES count]",
        ..Doc::of(Group::Server)
    },
};

fn memory_usage(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let mut at = 3;
    while at < args.len() {
        if !args.is(at, "SAMPLES") || at + 1 >= args.len() {
            return Err(CommandError::Syntax);
        }
        // How many elements to look at: a string has none, so the number is only checked.
        let samples = parse_i64(args.at(at + 1)).ok_or(CommandError::NotAnInteger)?;
        if samples < 0 {
            return Err(CommandError::Syntax);
        }
        at += 2;
    }
    match db.memory_bytes(args.at(2)) {
        Some(bytes) => reply.integer(bytes as i64),
        None => reply.null(),
    }
    Ok(Flow::Done)
}

const MEMORY_HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Exactly(2),
    flags: &[Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(memory_help),
    doc: Doc { summary: "Tells what MEMORY can do.", since: "4.0.0", ..Doc::of(Group::Server) },
};

fn memory_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(
        reply,
        "MEMORY",
        &[
            "DOCTOR",
            "    What looks wrong with the server's memory.",
            "MALLOC-STATS",
            "    What the store's own allocator holds.",
            "PURGE",
            "    Give free memory back to the system.",
            "STATS",
            "    Where the server's memory is.",
            "USAGE <key> [SAMPLES <count>]",
            "    The bytes that a key and its value take. The number of samples makes no difference to strings.",
        ],
    );
    Ok(Flow::Done)
}

const SHUTDOWN: CommandSpec = CommandSpec {
    name: "shutdown",
    arity: AtLeast(1),
    flags: &[Admin, Noscript, Loading, Stale, NoMulti, Sentinel, AllowBusy],
    keys: &[],
    large: Large::None,
    run: Run::Server(shutdown),
    doc: Doc {
        summary: "Ends the server. The data is not kept in this version.",
        syntax: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
        ..Doc::of(Group::Server)
    },
};

/// There is nothing to wait for and nothing to save, so NOW and FORCE change nothing and ABORT always comes too late.
fn shutdown(context: &mut Context<'_>, args: &Args<'_>, _: &mut Reply) -> Outcome {
    let asks = |word: &str| (1..args.len()).any(|at| args.is(at, word));
    let known = ["NOSAVE", "SAVE", "NOW", "FORCE", "ABORT"];
    if (1..args.len()).any(|at| !known.iter().any(|word| args.is(at, word))) {
        return Err(CommandError::Syntax);
    }
    let other_than_abort = known[..4].iter().any(|word| asks(word));
    if (asks("ABORT") && other_than_abort) || (asks("SAVE") && asks("NOSAVE")) {
        return Err(CommandError::Syntax);
    }
    if asks("ABORT") {
        return Err(CommandError::text_static("ERR No shutdown in progress."));
    }
    if asks("SAVE") {
        return Err(CommandError::text_static("ERR persistence is not available in this version: use SHUTDOWN NOSAVE"));
    }
    context.engine.shutdown = true;
    Ok(Flow::Close)
}

const TIME: CommandSpec = CommandSpec {
    name: "time",
    arity: Exactly(1),
    flags: &[Loading, Stale, Fast],
    keys: &[],
    large: Large::None,
    run: Run::Server(time),
    doc: Doc {
        summary: "Tells the server's time: seconds since 1970, and microseconds.",
        since: "2.6.0",
        tips: &["nondeterministic_output"],
        ..Doc::of(Group::Server)
    },
};

fn time(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    const SECOND_US: i64 = 1_000_000;
    let now_us = context.engine.now().unix_us;
    reply.array(2);
    reply.bulk_integer(now_us.div_euclid(SECOND_US));
    reply.bulk_integer(now_us.rem_euclid(SECOND_US));
    Ok(Flow::Done)
}
