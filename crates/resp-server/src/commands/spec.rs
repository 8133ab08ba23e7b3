//! One row a command: what dispatch, `COMMAND`, statistics and the documentation need to know of it.
//!
//! A family's file declares a `const` row directly above its function and lists it in `COMMANDS` at its top.

use std::ops::Range;

use crate::engine::transaction::Queue;
use crate::engine::{ClientId, Engine, Sliced, Wait};
use crate::keyspace::Db;
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;

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
    /// Which of its arguments may be large: those are received on pages of their own.
    pub large: Large,
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

/// Which arguments may be of any length: values, which a handler asks for with [`Args::take_value`], and names of elements, which it asks
/// for with [`Args::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Large {
    /// None.
    None,
    /// This one, a value.
    At(usize),
    /// This one, a value, and all behind it.
    From(usize),
    /// This one, a value, and every second one behind it.
    EverySecondFrom(usize),
    /// This one, a name.
    NameAt(usize),
    /// This one, a name, and all behind it.
    NamesFrom(usize),
    /// Names and values in turn, from this one on, a name.
    PairsFrom(usize),
    /// Names behind `FIELDS numfields`.
    Fields,
    /// Names and values in turn behind `FIELDS numfields`.
    PairsOfFields,
    /// The members of ZADD: behind its options every second one is a name.
    ScoredMembers,
}

/// An argument that may be of any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeKind {
    /// A value.
    Value,
    /// The name of an element.
    Name,
}

impl Large {
    /// Whether argument `index` may be large, and as what; `before` looks at those before it.
    pub fn at<'a>(self, index: usize, before: impl Fn(usize) -> &'a [u8]) -> Option<LargeKind> {
        use LargeKind::{Name, Value};
        // A name at `first`, and a value behind it.
        let pair = |first: usize| match index.checked_sub(first) {
            Some(behind) if behind % 2 == 0 => Some(Name),
            Some(_) => Some(Value),
            None => None,
        };
        // Before the word FIELDS are the name, the key, a condition and a time. Where that time is the word, it is refused. Behind it
        // is their number.
        let fields = || {
            let word = (2..index.min(6)).find(|&at| before(at).eq_ignore_ascii_case(b"fields"))?;
            (index >= word + 2).then_some(word + 2)
        };
        match self {
            Large::None => None,
            Large::At(at) => (index == at).then_some(Value),
            Large::From(first) => (index >= first).then_some(Value),
            Large::EverySecondFrom(first) => (index >= first && (index - first).is_multiple_of(2)).then_some(Value),
            Large::NameAt(at) => (index == at).then_some(Name),
            Large::NamesFrom(first) => (index >= first).then_some(Name),
            Large::PairsFrom(first) => pair(first),
            Large::Fields => fields().map(|_| Name),
            Large::PairsOfFields => fields().and_then(pair),
            Large::ScoredMembers => {
                const OPTIONS: [&[u8]; 6] = [b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"];
                let is_option = |at: &usize| OPTIONS.iter().any(|word| before(*at).eq_ignore_ascii_case(word));
                let first_score = (2..index).find(|at| !is_option(at))?;
                (!(index - first_score).is_multiple_of(2)).then_some(Name)
            }
        }
    }
}

/// Bytes of an argument that is neither a value, nor a key, nor the name of an element: words, numbers, patterns, channels. Whoever
/// copies, compares or hashes such a one goes through all of it at once: 0.1 to 0.3 ms for as many, and 2 to 6 ms for a pattern.
/// Redis's own tests have patterns of 100,000 bytes.
pub const ARGUMENT_BYTES_MAX: usize = 128 * 1024;

impl CommandSpec {
    /// Whether argument `index` may be longer than [`ARGUMENT_BYTES_MAX`].
    pub fn takes_long_at(&self, index: usize, args: &Args<'_>) -> bool {
        self.large.at(index, |at| args.beginning(at, usize::MAX)).is_some()
            || self.takes_key_at(index, args)
            || self.takes_sought_at(index)
    }

    /// Whether argument `index` is an element of a list that is looked for: they are compared in slices.
    fn takes_sought_at(&self, index: usize) -> bool {
        matches!((self.name, index), ("lpos", 2) | ("lrem" | "linsert", 3))
    }

    /// Whether argument `index` is a key. How long that may be is its handler's to say: one that is too long is merely not there.
    pub fn takes_key_at(&self, index: usize, args: &Args<'_>) -> bool {
        let names_keys = |keys: &&KeySpec| !keys.flags.contains(&KeyFlag::NotKey);
        self.keys.iter().filter(names_keys).any(|keys| keys.includes(args, index))
    }
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
    /// A container that also does something by itself, when it has no second argument (`COMMAND`).
    BareOr(fn(&mut Context<'_>, &Args<'_>, &mut Reply) -> Outcome, &'static [&'static CommandSpec]),
}

impl CommandSpec {
    /// Whether it changes data, or is told to replicas: such commands stop in a pause of writes.
    pub const fn may_write(&self) -> bool {
        self.is(Flag::Write) || self.is(Flag::MayReplicate)
    }

    /// Whether it begins or ends subscriptions.
    pub fn is_about_subscriptions(&self) -> bool {
        self.doc.group == Group::Pubsub && self.name.ends_with("subscribe")
    }

    /// Its subcommands; none unless it is a container.
    pub const fn subcommands(&self) -> &'static [&'static CommandSpec] {
        match self.run {
            Run::Subcommands(subcommands) | Run::BareOr(_, subcommands) => subcommands,
            Run::Keys(_) | Run::Server(_) => &[],
        }
    }

    /// Whether it is EXEC.
    pub fn is_exec(&self) -> bool {
        self.doc.group == Group::Transactions && self.name == "exec"
    }

    /// Whether a client in a transaction has it carried out at once: all others are queued.
    pub fn is_never_queued(&self) -> bool {
        match self.doc.group {
            Group::Transactions => matches!(self.name, "multi" | "exec" | "discard" | "watch"),
            Group::Connection => matches!(self.name, "quit" | "reset"),
            _ => false,
        }
    }

    /// Whether what it looks at or changes may be held by others.
    pub fn touches_keys(&self) -> bool {
        let names_keys = self.keys.iter().any(|keys| !keys.flags.contains(&KeyFlag::NotKey));
        self.is(Flag::Write) || self.is(Flag::Readonly) || names_keys
    }

    /// Whether it has the flag. O(flags), also at compile time.
    pub const fn is(&self, flag: Flag) -> bool {
        let mut at = 0;
        while at < self.flags.len() {
            if self.flags[at] as u8 == flag as u8 {
                return true;
            }
            at += 1;
        }
        false
    }
}

impl Arity {
    /// Whether a request of `count` arguments, the name included, has the right number.
    pub const fn admits(self, count: usize) -> bool {
        match self {
            Arity::Exactly(exactly) => count == exactly as usize,
            Arity::AtLeast(least) => count >= least as usize,
        }
    }

    /// As `COMMAND INFO` prints it: negative for "or more".
    pub const fn printed(self) -> i64 {
        match self {
            Arity::Exactly(count) => count as i64,
            Arity::AtLeast(count) => -(count as i64),
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Run::Keys(_) => "Keys",
            Run::Server(_) => "Server",
            Run::Subcommands(_) => "Subcommands",
            Run::BareOr(..) => "BareOr",
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
#[derive(Debug)]
pub enum Flow {
    /// It is done and its reply is written.
    Done,
    /// It is done, and the connection closes once the reply is sent.
    Close,
    /// It is long and has only begun: slices carry it out.
    Sliced(Box<dyn Sliced>),
    /// It carries out the requests of a transaction.
    Transaction(Box<Queue>),
    /// It has found nothing, changed nothing and written nothing: it is run again when a key that it waits for is ready.
    Park(Wait),
}

/// What is true of a command. [`name`](Flag::name) is what `COMMAND INFO` prints, in this order; some are not printed.
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
    /// May be replicated although it is no write. Not printed.
    MayReplicate,
    /// May be called without any key although it has key positions.
    NoMandatoryKeys,
    /// Not during asynchronous loading.
    NoAsyncLoading,
    /// Not allowed in a transaction.
    NoMulti,
    /// Its keys cannot be told from its key specifications alone.
    MovableKeys,
    /// Allowed while a script is busy.
    AllowBusy,
    /// A Sentinel process, which has few commands, serves it too. Not printed.
    Sentinel,
    /// Refused unless a setting of its own allows it. Not printed.
    Protected,
    /// Reaches keys that its arguments do not name (`SCAN`, `RANDOMKEY`). Not printed.
    TouchesArbitraryKeys,
}

impl Flag {
    /// The name that `COMMAND INFO` prints; `None` for flags that it keeps to itself.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Flag::Write => "write",
            Flag::Readonly => "readonly",
            Flag::DenyOom => "denyoom",
            Flag::Admin => "admin",
            Flag::Pubsub => "pubsub",
            Flag::Noscript => "noscript",
            Flag::Blocking => "blocking",
            Flag::Loading => "loading",
            Flag::Stale => "stale",
            Flag::SkipMonitor => "skip_monitor",
            Flag::SkipSlowlog => "skip_slowlog",
            Flag::Fast => "fast",
            Flag::NoAuth => "no_auth",
            Flag::NoMandatoryKeys => "no_mandatory_keys",
            Flag::NoAsyncLoading => "no_async_loading",
            Flag::NoMulti => "no_multi",
            Flag::MovableKeys => "movablekeys",
            Flag::AllowBusy => "allow_busy",
            Flag::MayReplicate | Flag::Sentinel | Flag::Protected | Flag::TouchesArbitraryKeys => return None,
        })
    }
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
    /// The argument before `first` says how many keys there are; `last` says nothing then.
    pub counted: bool,
    /// What finds the one key in a request where no position tells it; `first` and `last` say nothing then. `None` of it: this
    /// request has no such key.
    pub search: Option<fn(&Args<'_>) -> Option<usize>>,
    /// What happens to the key (`RW`, `RO`, `OW`, `RM` and `access`, `update`, `insert`, `delete`).
    pub flags: &'static [KeyFlag],
    /// A remark for readers of `COMMAND INFO`; empty for none.
    pub notes: &'static str,
}

impl KeySpec {
    /// One key at argument `at`.
    pub const fn one(at: u32, flags: &'static [KeyFlag]) -> KeySpec {
        KeySpec { first: at, last: 0, step: 1, counted: false, search: None, flags, notes: "" }
    }

    /// Keys from argument `first` to the last argument, every `step` arguments.
    pub const fn to_end(first: u32, step: u32, flags: &'static [KeyFlag]) -> KeySpec {
        KeySpec { first, last: -1, step, counted: false, search: None, flags, notes: "" }
    }

    /// Keys from argument `first` on, every `step` arguments, as many as the argument before it says.
    pub const fn counted(first: u32, step: u32, flags: &'static [KeyFlag]) -> KeySpec {
        KeySpec { counted: true, ..KeySpec::to_end(first, step, flags) }
    }

    /// One key, or none, wherever `search` finds it in a request.
    pub const fn searched(search: fn(&Args<'_>) -> Option<usize>, flags: &'static [KeyFlag]) -> KeySpec {
        KeySpec { search: Some(search), ..KeySpec::one(0, flags) }
    }

    /// The same with a remark.
    pub const fn noted(self, notes: &'static str) -> KeySpec {
        KeySpec { notes, ..self }
    }

    /// The arguments of a request that are keys; those past its end are left out. `None` if the argument that counts them is
    /// no such number, or more than there are.
    pub fn positions(&self, request: &Args<'_>) -> Option<impl ExactSizeIterator<Item = usize> + use<>> {
        Some(self.range(request)?.step_by(self.step()))
    }

    /// Whether argument `index` of a request is a key. O(1), but where it has to be searched for.
    pub fn includes(&self, request: &Args<'_>, index: usize) -> bool {
        let range = self.range(request).filter(|range| range.contains(&index));
        range.is_some_and(|range| (index - range.start).is_multiple_of(self.step()))
    }

    fn step(&self) -> usize {
        self.step.max(1) as usize
    }

    /// Arguments from the first key to the last, or to the request's end.
    fn range(&self, request: &Args<'_>) -> Option<Range<usize>> {
        let count = request.len();
        if let Some(search) = self.search {
            return Some(search(request).map_or(0..0, |at| at..at + 1));
        }
        let first = self.first as usize;
        let last = if self.counted {
            let keys = usize::try_from(parse_i64(request.get(first - 1)?)?).ok().filter(|&keys| keys > 0)?;
            let last = first.saturating_add((keys - 1).saturating_mul(self.step()));
            (last < count).then_some(last)?
        } else if self.last >= 0 {
            first + self.last as usize
        } else {
            count.saturating_sub(self.last.unsigned_abs() as usize)
        };
        Some(first..last.saturating_add(1).min(count))
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
    /// The argument is no key, but goes where the key of that name would (a channel, a slot).
    NotKey,
    /// The specification does not find all keys.
    Incomplete,
    /// Which of these flags hold depends on the arguments.
    VariableFlags,
}

impl KeyFlag {
    /// The name that `COMMAND INFO` prints.
    pub const fn name(self) -> &'static str {
        match self {
            KeyFlag::Rw => "RW",
            KeyFlag::Ro => "RO",
            KeyFlag::Ow => "OW",
            KeyFlag::Rm => "RM",
            KeyFlag::Access => "access",
            KeyFlag::Update => "update",
            KeyFlag::Insert => "insert",
            KeyFlag::Delete => "delete",
            KeyFlag::NotKey => "not_key",
            KeyFlag::Incomplete => "incomplete",
            KeyFlag::VariableFlags => "variable_flags",
        }
    }
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
    /// Its arguments as documentation writes them: `key value [NX | XX] [EX seconds | PX milliseconds]`. The grammar, and
    /// how a name tells its type, are [`crate::commands::server::syntax`]'s.
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

/// A family of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Bitmaps.
    Bitmap,
    /// The connection itself.
    Connection,
    /// Any key.
    Generic,
    /// Lists.
    List,
    /// Hashes.
    Hash,
    /// Publish and subscribe.
    Pubsub,
    /// The server itself.
    Server,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Strings.
    String,
    /// Transactions.
    Transactions,
}

impl Group {
    /// The name that `COMMAND DOCS` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Bitmap => "bitmap",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::List => "list",
            Group::Hash => "hash",
            Group::Pubsub => "pubsub",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::String => "string",
            Group::Transactions => "transactions",
        }
    }

    /// The category of access control that its commands belong to.
    pub const fn category(self) -> Option<AclCategory> {
        match self {
            Group::Bitmap => Some(AclCategory::Bitmap),
            Group::Connection => Some(AclCategory::Connection),
            Group::List => Some(AclCategory::List),
            Group::Hash => Some(AclCategory::Hash),
            // SORT is generic and not of the key space: rows say it themselves.
            Group::Generic => None,
            // The flag says it.
            Group::Pubsub => None,
            Group::Server => None,
            Group::Set => Some(AclCategory::Set),
            Group::SortedSet => Some(AclCategory::SortedSet),
            Group::String => Some(AclCategory::String),
            Group::Transactions => Some(AclCategory::Transaction),
        }
    }
}

/// A category of access control. A row names only those that its flags and its group do not imply (see
/// [`CommandSpec::categories`]). The order is that in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclCategory {
    /// Keys of any type.
    Keyspace,
    /// Reads data.
    Read,
    /// Writes data.
    Write,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Lists.
    List,
    /// Hashes.
    Hash,
    /// Strings.
    String,
    /// Bitmaps.
    Bitmap,
    /// HyperLogLogs.
    HyperLogLog,
    /// Geographic indexes.
    Geo,
    /// Streams.
    Stream,
    /// Publish and subscribe.
    Pubsub,
    /// For administrators.
    Admin,
    /// Answers in O(1) or O(log n).
    Fast,
    /// All that is not fast.
    Slow,
    /// May block the client.
    Blocking,
    /// Dangerous in careless hands.
    Dangerous,
    /// The connection itself.
    Connection,
    /// Transactions.
    Transaction,
    /// Scripts.
    Scripting,
}

impl AclCategory {
    /// All categories, in the order in which they are printed.
    pub const ALL: [AclCategory; 21] = [
        AclCategory::Keyspace,
        AclCategory::Read,
        AclCategory::Write,
        AclCategory::Set,
        AclCategory::SortedSet,
        AclCategory::List,
        AclCategory::Hash,
        AclCategory::String,
        AclCategory::Bitmap,
        AclCategory::HyperLogLog,
        AclCategory::Geo,
        AclCategory::Stream,
        AclCategory::Pubsub,
        AclCategory::Admin,
        AclCategory::Fast,
        AclCategory::Slow,
        AclCategory::Blocking,
        AclCategory::Dangerous,
        AclCategory::Connection,
        AclCategory::Transaction,
        AclCategory::Scripting,
    ];

    /// Its name, without the `@`.
    pub const fn name(self) -> &'static str {
        match self {
            AclCategory::Keyspace => "keyspace",
            AclCategory::Read => "read",
            AclCategory::Write => "write",
            AclCategory::Set => "set",
            AclCategory::SortedSet => "sortedset",
            AclCategory::List => "list",
            AclCategory::Hash => "hash",
            AclCategory::String => "string",
            AclCategory::Bitmap => "bitmap",
            AclCategory::HyperLogLog => "hyperloglog",
            AclCategory::Geo => "geo",
            AclCategory::Stream => "stream",
            AclCategory::Pubsub => "pubsub",
            AclCategory::Admin => "admin",
            AclCategory::Fast => "fast",
            AclCategory::Slow => "slow",
            AclCategory::Blocking => "blocking",
            AclCategory::Dangerous => "dangerous",
            AclCategory::Connection => "connection",
            AclCategory::Transaction => "transaction",
            AclCategory::Scripting => "scripting",
        }
    }
}

impl CommandSpec {
    /// The categories of access control that the command is in: what its flags say, its group (unless it is a mere
    /// container), and those that its row names.
    pub fn categories(&self) -> impl Iterator<Item = AclCategory> + Clone + '_ {
        AclCategory::ALL.into_iter().filter(|&category| {
            let implied = match category {
                AclCategory::Read => self.is(Flag::Readonly),
                AclCategory::Write => self.is(Flag::Write),
                AclCategory::Admin | AclCategory::Dangerous => self.is(Flag::Admin),
                AclCategory::Pubsub => self.is(Flag::Pubsub),
                AclCategory::Blocking => self.is(Flag::Blocking),
                AclCategory::Fast => self.is(Flag::Fast),
                AclCategory::Slow => !self.is(Flag::Fast),
                _ => false,
            };
            let container = matches!(self.run, Run::Subcommands(_));
            implied || (!container && self.doc.group.category() == Some(category)) || self.doc.acl.contains(&category)
        })
    }
}
