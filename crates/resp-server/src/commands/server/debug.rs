//! DEBUG: what tests ask for and nobody else should. Refused unless the setting `enable-debug-command` allows it.
//!
//! As in Redis it is one command that reads its own subcommands, so each has the same flags and none is told by COMMAND. Of Redis's
//! there are those that mean something here; RELOAD and LOADAOF say that nothing is kept on disk.
//!
//! | subcommand | what it does |
//! |---|---|
//! | SLEEP | stops the server, and so all clients, for a time |
//! | OBJECT | tells where a value stands and how it is encoded |
//! | SET-ACTIVE-EXPIRE | stops the job that removes expired keys, or lets it go on |
//! | DIGEST, DIGEST-VALUE | 160 bits that are the same for the same data: Redis's, but for scores that are no whole numbers |
//! | PROTOCOL | a reply of each type of RESP |
//! | STRINGMATCH-LEN | matches a long string against a pattern |
//! | CHANGE-REPL-ID | gives the server another replication id |
//! | ERROR, LOG | answers with an error, writes to the log |
//! | QUICKLIST-PACKED-THRESHOLD | checks its argument: which elements stand alone in a list is no setting here |
//!
//! These commands are the exception to the rule that no command takes long: DIGEST goes through all data at once, as in Redis.

use crate::commands::{Arity::AtLeast, CommandSpec, Context, Doc, Flag, Flow, Group, Large, Outcome, Run, reply_help};
use crate::engine::Progress;
use crate::keyspace::{Db, ValueType};
use crate::proto::{Args, CommandError, Protocol, Reply, Span, until_nul};
use crate::text::double::parse_f64;
use crate::text::glob::{self, Case};
use crate::text::integer::{parse_i64, parse_memory};
use Flag::{Admin, Loading, Noscript, Protected, Stale};
use sha1_smol::Sha1;

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] = &[&DEBUG];

const DEBUG: CommandSpec = CommandSpec {
    name: "debug",
    arity: AtLeast(2),
    flags: &[Admin, Noscript, Loading, Stale, Protected],
    keys: &[],
    large: Large::None,
    run: Run::Server(debug),
    doc: Doc {
        summary: "Commands for tests of the server and of clients.",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Server)
    },
};

fn debug(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let name = args.at(1).to_ascii_lowercase();
    match (name.as_slice(), args.len()) {
        (b"help", 2) => help(reply),
        (b"sleep", 3) => {
            // What is no number is 0, as for C's strtod.
            let seconds = parse_f64(args.at(2)).filter(|seconds| (0.0..=SLEEP_SECONDS_MAX).contains(seconds));
            (context.engine.host.sleep_us)((seconds.unwrap_or(0.0) * 1e6) as u64);
            reply.ok();
        }
        (b"object", 3) => object(context, args.at(2), reply)?,
        (b"set-active-expire", 3) => {
            context.engine.set_active_expiry(parse_i64(args.at(2)).is_some_and(|value| value != 0));
            reply.ok();
        }
        (b"digest", 2) => {
            let digest = digest_of_all(context)?;
            reply.simple(&digest.to_string());
        }
        (b"digest-value", _) => {
            let db = context.engine.client(context.client).db;
            let mut digests = Vec::new();
            for key in args.from(2) {
                digests.push(digest_of_value(context, db, key)?);
            }
            reply.array(digests.len());
            digests.iter().for_each(|digest| reply.simple(&digest.to_string()));
        }
        (b"protocol", 3) => protocol(args.at(2), reply)?,
        (b"stringmatch-len", 4) => {
            let text = vec![b'a'; length(args.at(2))?];
            reply.integer(i64::from(glob::matches(args.at(3), &text, Case::Sensitive)));
        }
        (b"change-repl-id", 2) => {
            context.engine.change_replication_id();
            reply.ok();
        }
        (b"error", 3) => return Err(CommandError::Bytes(args.at(2).to_vec())),
        (b"log", 3) => {
            tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)));
            reply.ok();
        }
        (b"quicklist-packed-threshold", 3) => {
            parse_memory(args.at(2)).filter(|&bytes| bytes < 1 << 32).ok_or(CommandError::text_static(
                "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
            ))?;
            reply.ok();
        }
        (b"reload" | b"loadaof", _) => {
            return Err(CommandError::text_static("ERR persistence is not available in this version"));
        }
        _ => {
            let before = "ERR unknown subcommand or wrong number of arguments for '";
            return Err(CommandError::quoting(before, until_nul(args.at(1)), "'. Try DEBUG HELP."));
        }
    }
    Ok(Flow::Done)
}

/// A year: longer than any test waits, and far from what the system's calls take.
const SLEEP_SECONDS_MAX: f64 = 365.0 * 86_400.0;

fn help(reply: &mut Reply) {
    reply_help(
        reply,
        "DEBUG",
        &[
            "CHANGE-REPL-ID",
            "    Give the server another replication id.",
            "DIGEST",
            "    160 bits of all data.",
            "DIGEST-VALUE <key> [<key> ...]",
            "    160 bits of each value.",
            "ERROR <text>",
            "    Answer with this error.",
            "LOG <text>",
            "    Write to the log.",
            "OBJECT <key>",
            "    Where a value stands, and how it is encoded.",
            "PROTOCOL <type>",
            "    Answer with a reply of a type.",
            "QUICKLIST-PACKED-THRESHOLD <bytes>",
            "    Without effect here.",
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Stop removing expired keys that nobody asks for, or go on.",
            "SLEEP <seconds>",
            "    Stop the server for a time.",
            "STRINGMATCH-LEN <length> <pattern>",
            "    Whether so many letters a match a pattern.",
        ],
    );
}

fn length(word: &[u8]) -> Result<usize, CommandError> {
    const LENGTH_MAX: i64 = 64 << 20;
    let length = parse_i64(word).filter(|length| (0..=LENGTH_MAX).contains(length));
    length.map(|length| length as usize).ok_or(CommandError::NotAnInteger)
}

/// `Value at:0x1234 refcount:1 encoding:int lru:4321 lru_seconds_idle:10`. The address is the entry's place in its log: it stays
/// while a value is changed where it lies, and compaction moves it. When it was used last is told unless it is kept how often it is.
/// The length of a serialized value, which Redis tells as well, is not known here.
fn object(context: &mut Context<'_>, key: &[u8], reply: &mut Reply) -> Result<(), CommandError> {
    let index = context.engine.client(context.client).db;
    let unix_seconds = context.engine.unix_seconds();
    let mut db = context.engine.keyspace.db(index);
    let found = db.peek(key);
    let idle_seconds = db.idle_ms(&found).map(|ms| ms / 1000);
    let (Some(address), Some(value_type)) = (found.address(), found.value_type()) else {
        return Err(CommandError::NoSuchKey);
    };
    let encoding = match db.string_encoding(&found) {
        Ok(Some(encoding)) => encoding.name().to_owned(),
        _ => encoding_of_collection(context, index, key).unwrap_or_else(|| value_type.name().to_owned()),
    };
    let used = idle_seconds.map_or(String::new(), |idle| {
        /// Redis keeps so many bits of the second in which a key was used.
        const KEPT: i64 = (1 << 24) - 1;
        format!(" lru:{} lru_seconds_idle:{idle}", (unix_seconds - idle as i64) & KEPT)
    });
    reply.simple(&format!("Value at:0x{address:012x} refcount:1 encoding:{encoding}{used}"));
    Ok(())
}

/// What OBJECT ENCODING tells, if there is that command.
fn encoding_of_collection(context: &mut Context<'_>, db: usize, key: &[u8]) -> Option<String> {
    let answer = asked(context, db, &[b"object", b"encoding", key])?.ok()?;
    Some(String::from_utf8_lossy(bulks(&answer).first()?).into_owned())
}

fn protocol(name: &[u8], reply: &mut Reply) -> Result<(), CommandError> {
    let protocol_3 = reply.protocol == Protocol::Resp3;
    match name.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12_345),
        b"double" => reply.double(b"3.141"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => {
            // RESP2 has no attributes: they are left out there.
            if protocol_3 {
                reply.raw(b"|1\r\n");
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.integer(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if !protocol_3 => {
            return Err(CommandError::text_static("ERR RESP2 is not supported by this command"));
        }
        b"push" => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        b"bignum" if protocol_3 => reply.raw(b"(1234567999999999999999999999999999999\r\n"),
        b"bignum" => reply.bulk(b"1234567999999999999999999999999999999"),
        _ => {
            return Err(CommandError::text_static(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

/// 160 bits of data, made as Redis makes them, so that the two can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest([u8; 20]);

impl Digest {
    /// Adds bytes whose order among others does not matter.
    fn xor(&mut self, bytes: &[u8]) {
        let hash = Sha1::from(bytes).digest().bytes();
        self.0.iter_mut().zip(hash).for_each(|(ours, theirs)| *ours ^= theirs);
    }

    /// Adds bytes whose order matters.
    fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::from(self.0).digest().bytes();
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Of all databases.
fn digest_of_all(context: &mut Context<'_>) -> Result<Digest, CommandError> {
    let mut all = Digest::default();
    for index in 0..context.engine.keyspace.databases() {
        let mut db = context.engine.keyspace.db(index);
        let keys = keys(&mut db);
        if !keys.is_empty() {
            all.mix(&(index as u32).to_be_bytes());
        }
        for key in keys {
            let mut digest = Digest::default();
            digest.mix(&key);
            add_value(context, index, &key, &mut digest)?;
            all.xor(&digest.0);
        }
    }
    Ok(all)
}

/// All keys that have not expired, each once.
fn keys(db: &mut Db<'_>) -> std::collections::BTreeSet<Vec<u8>> {
    let mut keys = std::collections::BTreeSet::new();
    let mut cursor = 0;
    loop {
        cursor = db.scan(cursor, |key, holds| {
            if holds.is_some() {
                keys.insert(key.to_vec());
            }
        });
        if cursor == 0 {
            return keys;
        }
    }
}

/// Of one value; zeros if there is none.
fn digest_of_value(context: &mut Context<'_>, db: usize, key: &[u8]) -> Result<Digest, CommandError> {
    let mut digest = Digest::default();
    add_value(context, db, key, &mut digest)?;
    Ok(digest)
}

/// Adds the value of a key. It is asked for as a client would, so nothing here knows how values are kept.
fn add_value(context: &mut Context<'_>, index: usize, key: &[u8], digest: &mut Digest) -> Result<(), CommandError> {
    let mut db = context.engine.keyspace.db(index);
    let found = db.find(key);
    let Some(value_type) = found.value_type() else {
        return Ok(());
    };
    let expires = found.expires().is_some();
    digest.mix(&u32::from(value_type as u8).to_be_bytes());
    let request: &[&[u8]] = match value_type {
        ValueType::String => &[b"get", key],
        ValueType::List => &[b"lrange", key, b"0", b"-1"],
        ValueType::Set => &[b"smembers", key],
        ValueType::SortedSet => &[b"zrange", key, b"0", b"-1", b"withscores"],
        ValueType::Hash => &[b"hgetall", key],
        ValueType::Stream => &[b"xrange", key, b"-", b"+"],
    };
    let missing = || CommandError::text_static("ERR there is no digest of this type of value");
    let answer = asked(context, index, request).ok_or_else(missing)??;
    let elements = bulks(&answer);
    match value_type {
        ValueType::Set => elements.iter().for_each(|member| digest.xor(member)),
        ValueType::SortedSet | ValueType::Hash => {
            for pair in elements.chunks(2) {
                let mut element = Digest::default();
                pair.iter().for_each(|part| element.mix(part));
                digest.xor(&element.0);
            }
        }
        ValueType::String | ValueType::List | ValueType::Stream => {
            elements.iter().for_each(|element| digest.mix(element));
        }
    }
    if expires {
        digest.xor(b"!!expire!!");
    }
    Ok(())
}

/// What a command answers in RESP2, carried out to its end at once in database `db`; `None` if there is no such command.
fn asked(context: &mut Context<'_>, db: usize, words: &[&[u8]]) -> Option<Result<Vec<u8>, CommandError>> {
    let (_, mut spec) = crate::commands::find(words[0])?;
    if !spec.subcommands().is_empty() {
        spec = crate::commands::find(&[words[0], b"|", words[1]].concat())?.1;
    }
    let Run::Keys(run) = spec.run else {
        return None;
    };
    let bytes = words.concat();
    let mut start = 0;
    let spans: Vec<Span> = words
        .iter()
        .map(|word| {
            let span = Span { start, len: word.len() as u32 };
            start += span.len;
            span
        })
        .collect();
    let args = Args::new(&bytes, &spans);
    let mut reply = Reply::new();
    Some(to_end(context, db, &args, &mut reply, run).map(|()| gathered(reply)))
}

type Handler = fn(&mut Db<'_>, &Args<'_>, &mut Reply) -> Outcome;

fn to_end(
    context: &mut Context<'_>,
    db: usize,
    args: &Args<'_>,
    reply: &mut Reply,
    run: Handler,
) -> Result<(), CommandError> {
    let Flow::Sliced(task) = run(&mut context.engine.keyspace.db(db), args, reply)? else {
        return Ok(());
    };
    // Nothing else runs until it has ended, so it need not hold its keys.
    let own = std::mem::replace(&mut context.engine.client_mut(context.client).db, db);
    context.engine.begin_task(context.client, task, false, |_| Vec::new());
    context.engine.client_mut(context.client).db = own;
    loop {
        match context.engine.step_task(context.client, args, reply)? {
            Progress::Done | Progress::Close => return Ok(()),
            Progress::More => {}
            Progress::Waits | Progress::Parks => unreachable!("a command that reads one key waits for no other"),
        }
    }
}

/// All bytes of a reply.
fn gathered(mut reply: Reply) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 64];
        let (count, len) = reply.io_slices(&mut slices, usize::MAX);
        slices[..count].iter().for_each(|slice| bytes.extend_from_slice(slice));
        reply.advance(len);
    }
    bytes
}

/// The bulk strings of a RESP2 reply, in order, however arrays are nested.
fn bulks(mut reply: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(end) = memchr::memchr(b'\n', reply) {
        let (line, rest) = reply.split_at(end + 1);
        reply = rest;
        if let Some(len) = line.strip_prefix(b"$")
            && let Some(len) = parse_i64(len.trim_ascii_end()).and_then(|len| usize::try_from(len).ok())
        {
            found.push(&rest[..len]);
            reply = &rest[len + b"\r\n".len()..];
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_strings_are_found_in_nested_replies() {
        assert_eq!(bulks(b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n$4\r\n\r\n$9\r\n$0\r\n\r\n"), [&b"a"[..], b"\r\n$9", b""]);
        assert_eq!(bulks(b"$-1\r\n"), [b""; 0]);
    }

    #[test]
    fn order_matters_where_bytes_are_mixed_and_not_where_they_are_added() {
        let made = |add: fn(&mut Digest, &[u8]), words: [&[u8]; 2]| {
            let mut digest = Digest::default();
            words.iter().for_each(|word| add(&mut digest, word));
            digest
        };
        assert_eq!(made(Digest::xor, [b"a", b"b"]), made(Digest::xor, [b"b", b"a"]));
        assert_ne!(made(Digest::mix, [b"a", b"b"]), made(Digest::mix, [b"b", b"a"]));
    }
}
