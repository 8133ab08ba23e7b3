//! Any commands of several clients on a whole engine, with time and jobs between their turns.
//!
//! Commands are made from the table: the line that documents a command's arguments says of what kind each is, and which words may
//! come. On the whole they are valid; some have a word too few or too many, or another kind of argument in its place.
//!
//! 1. Nothing panics, and all books agree after any turn.
//! 2. A request has exactly one reply, which redis-protocol can read, unless its client is one that is sent more, or nothing.
//! 3. When all clients have gone, nothing is held, waits, or is watched.
//! 4. When everything is flushed, the data's memory has come back.
//!
//! Run with `cargo +nightly fuzz run engine_commands`.
#![no_main]

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use redis_protocol::{resp2, resp3};
use resp_server::commands::server::syntax::{self, Argument, Kind};
use resp_server::commands::{self, Arity, CommandSpec};
use resp_server::dispatch::{Pause, execute, serve_parked};
use resp_server::engine::tasks::OwnedRequest;
use resp_server::engine::{ClientId, Engine, Now, Peer, Settings};
use resp_server::proto::{Batch, Parser, Reply};

/// Acts of one input.
const ACTS_MAX: usize = 400;
const CLIENTS: usize = 4;
/// An audit, which looks at everything, comes once in so many acts.
const AUDIT_EVERY: usize = 8;
/// Turns in which all that is under way comes to its end, unless it waits.
const TURNS_MAX: usize = 20_000;

/// Keys of each type are the same few, so that commands meet values, and values of other types.
const KEYS: &[&[u8]] = &[b"a", b"b", b"c", b"d", b"e", b"f", b"", b"k\x00\r\n"];
const TEXTS: &[&[u8]] = &[
    b"", b"v", b"m1", b"m2", b"m3", b"10", b"-1", b"3.5", b"1e400", b"nan", b"\r\n$5\r\n", b"9223372036854775807", b"*", b"ch", b"-",
    b"+", b"[a", b"(b", b"(1",
];
const NUMBERS: &[&[u8]] = &[
    b"0", b"1", b"2", b"3", b"-1", b"-2", b"5", b"10", b"100", b"1000", b"9223372036854775807",
    b"-9223372036854775808", b"9223372036854775808", b"x", b"", b"1.5", b"01",
];
const DOUBLES: &[&[u8]] = &[
    b"0", b"1", b"-1", b"0.5", b"1.5", b"3", b"inf", b"-inf", b"nan", b"1e300", b"1e-300", b"", b"x", b"9007199254740993", b"0.01",
];
const PATTERNS: &[&[u8]] = &[b"*", b"a", b"?", b"[a-c]*", b"m*", b"\\*", b"[", b"", b"__key*__:*"];
/// Settings that tests of the whole may change, with values.
const SETTINGS: &[(&[u8], &[&[u8]])] = &[
    (b"notify-keyspace-events", &[b"KEA", b"", b"Kl", b"Egx", b"KEAmn"]),
    (b"list-max-listpack-size", &[b"-2", b"2", b"128"]),
    (b"hash-max-listpack-entries", &[b"2", b"128"]),
    (b"set-max-intset-entries", &[b"2", b"512"]),
    (b"zset-max-listpack-entries", &[b"2", b"128"]),
    (b"blob-threshold", &[b"16384", b"65536"]),
    (b"maxmemory", &[b"0", b"8mb", b"16mb"]),
    (b"maxmemory-policy", &[b"noeviction", b"allkeys-lru", b"allkeys-lfu", b"volatile-ttl", b"allkeys-random"]),
];

/// A command, or a command and its subcommand.
struct Row {
    words: Vec<&'static str>,
    spec: &'static CommandSpec,
    arguments: Vec<Argument>,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows = Vec::new();
    let mut add = |words: Vec<&'static str>, spec: &'static CommandSpec| {
        let arguments = syntax::parse(spec.doc.syntax).expect("a unit test reads all lines");
        rows.push(Row { words, spec, arguments });
    };
    for spec in commands::all() {
        match spec.name {
            // It ends the process, or sets what nobody could come in with; CONFIG SET has an act of its own.
            "shutdown" | "debug" => continue,
            _ => add(vec![spec.name], spec),
        }
        for &subcommand in spec.subcommands() {
            if (spec.name, subcommand.name) != ("config", "set") {
                add(vec![spec.name, subcommand.name], subcommand);
            }
        }
    }
    rows
});

struct Client {
    id: ClientId,
    /// Requests that wait for the one under way.
    to_come: VecDeque<OwnedRequest>,
    under_way: Option<OwnedRequest>,
    /// Why that has not come to its end.
    pause: Option<Pause>,
    /// What was sent to it and is not counted yet.
    received: Vec<u8>,
    /// It may be sent more than its replies, or fewer.
    is_special: bool,
    closes: bool,
}

struct Server {
    engine: Engine,
    now: Now,
    clients: Vec<Client>,
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Unstructured::new(bytes);
    let mut server = Server::new();
    // It ends with the bytes.
    let _ = server.play(&mut input);
    server.end();
});

impl Server {
    fn new() -> Server {
        let mut settings = Settings::default();
        settings.apply_line(b"databases 3").expect("it is a setting");
        let now = Now { unix_us: 1_700_000_000_000_000, monotonic_us: 0 };
        let mut server = Server { engine: Engine::new(settings, [1, 2], now), now, clients: Vec::new() };
        for _ in 0..CLIENTS {
            let client = server.connect();
            server.clients.push(client);
        }
        server
    }

    fn connect(&mut self) -> Client {
        let peer = Peer { addr: "127.0.0.1:50000".to_owned(), laddr: "127.0.0.1:6379".to_owned(), fd: 8, unix: false };
        let id = self.engine.connect(peer).expect("there are few clients");
        Client {
            id,
            to_come: VecDeque::new(),
            under_way: None,
            pause: None,
            received: Vec::new(),
            is_special: false,
            closes: false,
        }
    }

    fn play(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        for count in 0..ACTS_MAX {
            if input.is_empty() {
                break;
            }
            self.act(input)?;
            self.see_to_killed();
            if count % AUDIT_EVERY == AUDIT_EVERY - 1 {
                self.audit();
            }
        }
        Ok(())
    }

    fn act(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let which = usize::from(u8::arbitrary(input)?) % CLIENTS;
        match u8::arbitrary(input)? {
            0..=199 => {
                let words = request(input)?;
                self.ask(which, &words);
            }
            200..=204 => {
                let &(name, values) = input.choose(SETTINGS)?;
                let value: &[u8] = input.choose(values)?;
                let words: Vec<Vec<u8>> = [&b"config"[..], b"set", name, value].map(<[u8]>::to_vec).into();
                self.ask(which, &words);
            }
            // A value of several pages; long collections grow by several of these.
            205..=209 => {
                let key = input.choose(KEYS)?.to_vec();
                let len = input.int_in_range(10_000..=200_000)?;
                self.ask(which, &[b"append".to_vec(), key, vec![b'x'; len]]);
            }
            210..=217 => {
                let name = *input.choose(&[&b"rpush"[..], b"sadd", b"zadd", b"hset"])?;
                let mut words = vec![name.to_vec(), input.choose(KEYS)?.to_vec()];
                let (first, count) = (u16::arbitrary(input)?, input.int_in_range(100..=1500)?);
                for number in (0..count).map(|step| u32::from(first) + step) {
                    if name.starts_with(b"z") || name.starts_with(b"h") {
                        words.push(number.to_string().into_bytes());
                    }
                    words.push(format!("m{number}").into_bytes());
                }
                self.ask(which, &words);
            }
            218..=227 => self.turn(which),
            228..=240 => {
                self.round(bool::arbitrary(input)?);
            }
            241..=246 => self.advance(*input.choose(&[0, 1_000, 5_000, 100_000, 2_000_000, 1_000_000_000])?),
            247..=249 => self.leave(which),
            _ => {
                for which in 0..CLIENTS {
                    self.turn(which);
                }
            }
        }
        Ok(())
    }

    /// A client sends a request.
    fn ask(&mut self, which: usize, words: &[Vec<u8>]) {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        let mut batch = Batch::new();
        let limits = self.engine.limits(self.clients[which].id);
        let Ok(taken) = Parser::new().parse(&mut bytes, &mut batch, 1, &limits) else {
            return self.leave(which);
        };
        assert_eq!((taken, batch.len()), (bytes.len(), 1), "a request is read as a whole");
        self.clients[which].to_come.push_back(OwnedRequest { bytes, batch, index: 0 });
        self.turn(which);
    }

    /// A turn of a connection: what its task of the event loop does.
    fn turn(&mut self, which: usize) {
        let Server { engine, clients, .. } = self;
        let client = &mut clients[which];
        let is_half_written = engine.has_task(client.id);
        let mut reply = if is_half_written { None } else { engine.outbox.take(client.id) }.unwrap_or_default();
        if client.under_way.is_none() {
            client.under_way = client.to_come.pop_front();
            client.pause = None;
        }
        drain(&mut reply, &mut client.received);
        client.look_at_news();
        let may_go_on = match client.pause {
            Some(Pause::Wait) => engine.holds.may_retry(client.id),
            Some(Pause::Park) => !engine.is_parked(client.id),
            Some(Pause::Slice) | None => true,
        };
        if may_go_on && let Some(request) = client.under_way.take() {
            client.is_special |= is_special(&request);
            let executed = execute(engine, client.id, &request.batch, 0, &request.bytes, &mut reply);
            drain(&mut reply, &mut client.received);
            client.pause = executed.pause;
            if executed.pause.is_some() {
                assert_eq!(executed.requests, 0);
                client.under_way = Some(request);
            } else {
                assert_eq!(executed.requests, 1);
                client.look_at_reply();
                client.closes |= executed.close || executed.cut;
            }
        }
        if client.closes {
            self.leave(which);
        }
    }

    /// A round of jobs.
    fn round(&mut self, idle: bool) -> bool {
        let more = self.engine.run_jobs(idle) | serve_parked(&mut self.engine);
        self.engine.holds.take_woken(usize::MAX).for_each(drop);
        self.engine.outbox.take_woken(usize::MAX).for_each(drop);
        for closing in self.engine.outbox.take_closing() {
            if let Some(which) = self.clients.iter().position(|client| client.id == closing) {
                self.leave(which);
            }
        }
        more
    }

    fn advance(&mut self, us: u64) {
        self.now.monotonic_us += us;
        self.now.unix_us += us as i64;
        self.engine.set_now(self.now);
    }

    /// A connection ends, and another one comes.
    fn leave(&mut self, which: usize) {
        self.go(which);
        self.clients[which] = self.connect();
    }

    fn go(&mut self, which: usize) {
        let client = &mut self.clients[which];
        if let Some(request) = client.under_way.take() {
            self.engine.leave_task(client.id, request);
        }
        self.engine.disconnect(client.id);
    }

    fn see_to_killed(&mut self) {
        for killed in self.engine.take_killed(usize::MAX) {
            if let Some(which) = self.clients.iter().position(|client| client.id == killed) {
                self.leave(which);
            }
        }
    }

    fn audit(&mut self) {
        while serve_parked(&mut self.engine) {}
        self.engine.audit();
    }

    /// Everybody goes, everything is flushed, and nothing is left.
    fn end(mut self) {
        for _ in 0..TURNS_MAX {
            (0..CLIENTS).for_each(|which| self.turn(which));
            self.see_to_killed();
            self.round(true);
            let waits = |client: &Client| client.pause.is_some_and(|pause| pause == Pause::Park);
            if self.clients.iter().all(|client| client.under_way.is_none() && client.to_come.is_empty() || waits(client)) {
                break;
            }
        }
        self.audit();
        (0..CLIENTS).for_each(|which| self.go(which));
        self.engine.take_killed(usize::MAX);
        self.clients.clear();
        // A pause ends with time.
        self.advance(1 << 60);
        let last = self.connect();
        self.clients.push(last);
        self.ask(0, &[b"flushall".to_vec()]);
        for _ in 0..TURNS_MAX {
            if self.clients[0].under_way.is_none() {
                break;
            }
            self.turn(0);
            self.round(true);
        }
        assert!(self.clients[0].under_way.is_none(), "FLUSHALL comes to its end");
        self.go(0);
        for _ in 0..TURNS_MAX {
            if !self.round(true) && self.engine.is_at_rest() && self.engine.data_bytes() == 0 {
                break;
            }
        }
        self.engine.audit();
        assert!(self.engine.is_at_rest(), "nothing is left of anybody");
        assert_eq!(self.engine.data_bytes(), 0, "an emptied server holds nothing");
    }
}

impl Client {
    /// What came while no reply of its own was half-written.
    fn look_at_news(&mut self) {
        if self.under_way.is_none() || self.pause == Some(Pause::Park) {
            if self.pause == Some(Pause::Park) {
                // Its reply may be among it, and stays until the request has ended.
                return;
            }
            let rest = frames(&self.received).1;
            assert_eq!(rest, self.received.len(), "whole replies: {:?}", show(&self.received));
            self.received.clear();
        }
    }

    /// A request has ended: its reply is there.
    fn look_at_reply(&mut self) {
        let (count, len) = frames(&self.received);
        assert_eq!(len, self.received.len(), "whole replies: {:?}", show(&self.received));
        assert!(self.is_special || count == 1, "{count} replies: {:?}", show(&self.received));
        self.received.clear();
    }
}

fn show(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(500)].escape_ascii().to_string()
}

/// How many replies there are, and how many bytes they take.
fn frames(bytes: &[u8]) -> (usize, usize) {
    let (mut count, mut at) = (0, 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let len = match resp2::decode::decode(rest) {
            Ok(Some((_, len))) => len,
            _ => match resp3::decode::complete::decode(rest) {
                Ok(Some((_, len))) => len,
                _ => break,
            },
        };
        count += 1;
        at += len;
    }
    (count, at)
}

fn drain(reply: &mut Reply, received: &mut Vec<u8>) {
    while !reply.is_empty() {
        let mut slices = [IoSlice::new(&[]); 64];
        let (count, len) = reply.io_slices(&mut slices, usize::MAX);
        slices[..count].iter().for_each(|slice| received.extend_from_slice(slice));
        reply.advance(len);
    }
}

/// Whether the client may get more or fewer replies than requests from this one on.
fn is_special(request: &OwnedRequest) -> bool {
    let args = request.args();
    let name = args.from(0).next().unwrap_or_default().to_ascii_lowercase();
    name.ends_with(b"subscribe") || matches!(&name[..], b"monitor" | b"client" | b"reset" | b"hello")
}

/// A request from the table.
fn request(input: &mut Unstructured<'_>) -> Result<Vec<Vec<u8>>> {
    let row = input.choose(&ROWS)?;
    let mut words: Vec<Vec<u8>> = row.words.iter().map(|word| word.as_bytes().to_vec()).collect();
    for argument in &row.arguments {
        add(argument, input, &mut words)?;
    }
    match u8::arbitrary(input)? {
        0..=3 => words.truncate(words.len() - 1),
        4..=7 => words.push(input.choose(TEXTS)?.to_vec()),
        8..=11 => {
            let at = input.choose_index(words.len())?;
            words[at] = input.choose(TEXTS)?.to_vec();
        }
        // As many as it takes, whatever its options.
        12..=20 => {
            if let Arity::Exactly(count) = row.spec.arity {
                words.resize(count as usize + row.words.len() - 1, b"1".to_vec());
            }
        }
        _ => {}
    }
    // Not every number of words is a request.
    if words.is_empty() {
        words.push(b"ping".to_vec());
    }
    count_keys(&mut words, input)?;
    Ok(words)
}

/// Says as many keys, or fields, as there seem to be, where a number says so.
fn count_keys(words: &mut [Vec<u8>], input: &mut Unstructured<'_>) -> Result<()> {
    if u8::arbitrary(input)? < 16 {
        return Ok(());
    }
    for at in 0..words.len() {
        if words[at] == COUNTED {
            let keys = words[at + 1..].iter().take_while(|word| KEYS.contains(&&word[..]) || word.starts_with(b"m")).count();
            words[at] = keys.to_string().into_bytes();
        }
    }
    Ok(())
}

/// Stands where a number of keys is to come.
const COUNTED: &[u8] = b"numkeys";

fn add(argument: &Argument, input: &mut Unstructured<'_>, words: &mut Vec<Vec<u8>>) -> Result<()> {
    if argument.optional && u8::arbitrary(input)? < 160 {
        return Ok(());
    }
    let times = if argument.multiple { input.int_in_range(1..=4)? } else { 1 };
    for time in 0..times {
        if let Some(token) = &argument.token
            && (time == 0 || argument.multiple_token)
            && !token.is_empty()
        {
            words.push(token.as_bytes().to_vec());
        }
        let word: &[u8] = match &argument.kind {
            Kind::PureToken => continue,
            Kind::OneOf(choices) => {
                let choice = input.choose(choices)?;
                add(choice, input, words)?;
                continue;
            }
            Kind::Block(parts) => {
                for part in parts {
                    add(part, input, words)?;
                }
                continue;
            }
            Kind::Key => input.choose(KEYS)?,
            Kind::Integer if argument.name.starts_with("num") => COUNTED,
            Kind::Integer | Kind::UnixTime => input.choose(NUMBERS)?,
            Kind::Double => input.choose(DOUBLES)?,
            Kind::Pattern => input.choose(PATTERNS)?,
            Kind::String => input.choose(TEXTS)?,
        };
        words.push(word.to_vec());
    }
    Ok(())
}
