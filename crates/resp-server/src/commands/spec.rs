//! One row a command: what dispatch, `COMMAND`, statistics and the documentation need to know of it.
//!
//! A family's file declares a `const` row directly above its function and lists it in `COMMANDS` at its top.

use crate::engine::{ClientId, Engine};
use crate::keyspace::Db;
use crate::proto::{Args, CommandError, Reply};

/// A command or a subcommand.
#[derive(Debug)]
pub struct CommandSpec {
    /// Its name in lower case; a subcommand's own part only (`setname` of `client|setname`).
    pub name: &'static str,
    /// How many arguments it takes, its name (and its container's) included.
    pub arity: Arity,
    /// What is true of it, in Redis's terms.
    pub flags: &'static [Flag],
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// What carries it out.
    pub run: Run,
    /// What people read of it.
    pub doc: Doc,
}

/// How many arguments a command takes, its name included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// That many.
    Exactly(u32),
    /// That many or more.
    AtLeast(u32),
}

/// What carries a command out.
#[derive(Clone, Copy)]
pub enum Run {
    /// It needs the client's database and nothing else.
    Keys(fn(&mut Db<'_>, &Args<'_>, &mut Reply) -> Outcome),
    /// It needs more of the server: clients, settings, statistics, other databases.
    Server(fn(&mut Context<'_>, &Args<'_>, &mut Reply) -> Outcome),
    /// It is a container: its second argument names one of these.
    Subcommands(&'static [&'static CommandSpec]),
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Run::Keys(_) => "Keys",
            Run::Server(_) => "Server",
            Run::Subcommands(_) => "Subcommands",
        })
    }
}

/// What a command that needs more than a database is given.
pub struct Context<'a> {
    /// The server.
    pub engine: &'a mut Engine,
    /// Who asks.
    pub client: ClientId,
}

/// What a handler returns.
pub type Outcome = Result<Flow, CommandError>;

/// How a command went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It is done and its reply is written.
    Done,
    /// It is done, and the connection closes once the reply is sent.
    Close,
}

/// Flags of a command, with the names that `COMMAND INFO` prints in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Flag {
    /// May change the data set.
    Write,
    /// Reads the data set.
    Readonly,
    /// Refused when memory is short.
    DenyOom,
    /// For administrators.
    Admin,
    /// About publish and subscribe.
    Pubsub,
    /// Not for scripts.
    Noscript,
    /// May block the client.
    Blocking,
    /// Allowed while the data set is loading.
    Loading,
    /// Allowed on a replica whose data is stale.
    Stale,
    /// Not shown to MONITOR.
    SkipMonitor,
    /// Not kept in the slow log.
    SkipSlowlog,
    /// Answers in O(1) or O(log n).
    Fast,
    /// Allowed before authentication.
    NoAuth,
    /// May be replicated although it is no write.
    MayReplicate,
    /// Not allowed in a transaction.
    NoMulti,
    /// Its keys cannot be told from its key specifications alone.
    MovableKeys,
    /// Allowed while a script is busy.
    AllowBusy,
    /// Not during asynchronous loading.
    NoAsyncLoading,
    /// Not touched by the client's key statistics... (kept for `SENTINEL`'s own flag list)
    Sentinel,
}

/// Where keys stand among the arguments, and what the command does with them.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// The first key's argument.
    pub first: u32,
    /// The last key's argument, from `first`; negative counts from the last argument (-1).
    pub last: i32,
    /// Arguments from one key to the next.
    pub step: u32,
    /// What happens to the key (`RW`, `RO`, `OW`, `RM` and `access`, `update`, `insert`, `delete`).
    pub flags: &'static [KeyFlag],
}

impl KeySpec {
    /// One key at argument `at`.
    pub const fn one(at: u32, flags: &'static [KeyFlag]) -> KeySpec {
        KeySpec { first: at, last: 0, step: 1, flags }
    }

    /// Keys from argument `first` to the last argument, every `step` arguments.
    pub const fn to_end(first: u32, step: u32, flags: &'static [KeyFlag]) -> KeySpec {
        KeySpec { first, last: -1, step, flags }
    }
}

/// What a command does with a key; the names are Redis's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFlag {
    /// Reads and writes it.
    Rw,
    /// Only reads it.
    Ro,
    /// Overwrites it.
    Ow,
    /// Removes it.
    Rm,
    /// Returns or uses the value.
    Access,
    /// Changes a value that is there.
    Update,
    /// Adds to the value.
    Insert,
    /// Deletes from the value.
    Delete,
    /// Whether the keys are accessed depends on an option.
    VariableFlags,
}

/// What people read of a command.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// One line, in our own words.
    pub summary: &'static str,
    /// The first version of Redis that had it.
    pub since: &'static str,
    /// The family.
    pub group: Group,
    /// How its time grows.
    pub complexity: &'static str,
    /// Its arguments as documentation writes them: `key value [NX | XX] [EX seconds | PX milliseconds]`.
    pub syntax: &'static str,
    /// Categories of access control beside those that flags and group imply.
    pub acl: &'static [AclCategory],
    /// Hints for clients (`nondeterministic_output` and the like).
    pub tips: &'static [&'static str],
    /// Since when it is deprecated and by what it is replaced.
    pub deprecated: Option<(&'static str, &'static str)>,
}

impl Doc {
    /// The defaults of a group; a row overrides what it needs.
    pub const fn of(group: Group) -> Doc {
        Doc {
            summary: "",
            since: "1.0.0",
            group,
            complexity: "O(1)",
            syntax: "",
            acl: &[],
            tips: &[],
            deprecated: None,
        }
    }
}

/// A family of commands, with the names that `COMMAND DOCS` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Bitmaps.
    Bitmap,
    /// The connection itself.
    Connection,
    /// Any key.
    Generic,
    /// The server itself.
    Server,
    /// Strings.
    String,
}

/// A category of access control that a row names by itself (`@read`, `@write`, `@fast` and the like come from the flags).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclCategory {
    /// Keys of any type.
    Keyspace,
    /// Dangerous in careless hands.
    Dangerous,
    /// For administrators.
    Admin,
    /// The connection itself.
    Connection,
}
