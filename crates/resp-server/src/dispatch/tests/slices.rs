//! Several clients at once: long commands a slice at a time, in every order, and what the others see of them.
//!
//! [`Clients`] does what the event loop does with its connections, but in an order that the test chooses: a client's request
//! gets a turn, and another when the test says so. A client has one request at a time here.

use std::collections::HashMap;

use chunkbuf::Blob;

use crate::dispatch::{Pause, execute};
use crate::engine::tasks::{KEYS_PER_SLICE, OwnedRequest};
use crate::engine::{ClientId, Engine, Settings};
use crate::proto::{Batch, Reply, Span};

use super::{OK, OOM, at_second, peer};

/// Requests of many arguments.
mod arguments;
/// Clients that are killed, paused or muted.
mod control;
/// Requests of very many keys that take from the first.
mod first;
/// Long commands on hashes.
mod hashes;
/// Long commands on lists.
mod lists;
/// Very long members, fields and elements.
mod names;
/// Requests that wait for a key.
mod parked;
/// What is sent to clients by others.
mod push;
/// Long commands under a memory limit.
mod room;
/// Long commands on sets.
mod sets;
/// SORT of many elements.
mod sort;
/// Long commands on strings.
mod strings;
/// Transactions.
mod transactions;
/// Long commands on sorted sets.
mod zset;

/// A server and what its connections have under way.
struct Clients {
    engine: Engine,
    under_way: HashMap<ClientId, UnderWay>,
}

struct UnderWay {
    request: OwnedRequest,
    reply: Reply,
    pause: Pause,
}

/// The bytes of a whole reply, or why there is none yet.
type Outcome = Result<String, Pause>;

impl Clients {
    fn new() -> Clients {
        let mut settings = Settings::default();
        settings.apply_line(b"databases 4").unwrap();
        Clients { engine: Engine::new(settings, [1, 2], at_second(0)), under_way: HashMap::new() }
    }

    fn connect(&mut self) -> ClientId {
        self.engine.connect(peer(9)).unwrap()
    }

    /// A client's request, and its first turn.
    fn ask(&mut self, client: ClientId, words: &[impl AsRef<[u8]>]) -> Outcome {
        self.ask_with(client, words, None)
    }

    /// The same; the last word is received apart from the others, as a large value is.
    fn ask_large(&mut self, client: ClientId, words: &[&str], last: &[u8]) -> Outcome {
        let mut blob = self.engine.keyspace.store.new_blob();
        self.engine.keyspace.store.blob_append(&mut blob, last).expect("there is memory for the request");
        let words: Vec<&str> = words.iter().copied().chain([""]).collect();
        self.ask_with(client, &words, Some(blob))
    }

    fn ask_with(&mut self, client: ClientId, words: &[impl AsRef<[u8]>], apart: Option<Blob>) -> Outcome {
        assert!(!self.under_way.contains_key(&client), "a client waits for its reply before it goes on");
        let (mut bytes, mut batch) = (Vec::new(), Batch::new());
        for word in words.iter().map(AsRef::as_ref) {
            batch.push_arg(Span { start: bytes.len() as u32, len: word.len() as u32 });
            bytes.extend_from_slice(word);
        }
        batch.end_request();
        if let Some(blob) = apart {
            batch.put_apart(words.len() - 1, blob);
        }
        let request = OwnedRequest { bytes, batch, index: 0 };
        self.under_way.insert(client, UnderWay { request, reply: Reply::new(), pause: Pause::Slice });
        self.turn(client)
    }

    /// Another turn for a client, as the loop would give it: not while it waits and nobody has woken it.
    fn turn(&mut self, client: ClientId) -> Outcome {
        let this = self.under_way.get_mut(&client).expect("the client has a request");
        if this.pause == Pause::Wait && !self.engine.holds.may_retry(client) {
            return Err(Pause::Wait);
        }
        // As a connection does: not in the middle of a reply.
        if !self.engine.has_task(client)
            && let Some(letters) = self.engine.outbox.take(client)
        {
            this.reply.append(letters);
        }
        let OwnedRequest { bytes, batch, index } = &this.request;
        let executed = execute(&mut self.engine, client, batch, *index, bytes, &mut this.reply);
        self.engine.holds.audit();
        match executed.pause {
            Some(pause) => {
                assert_eq!(executed.requests, 0);
                this.pause = pause;
                Err(pause)
            }
            None => {
                assert_eq!(executed.requests, 1);
                let done = self.under_way.remove(&client).expect("it was there");
                // A character for each byte, whatever it is.
                Ok(done.reply.to_vec().into_iter().map(char::from).collect())
            }
        }
    }

    /// Turns for all clients until nothing is under way; the replies.
    fn settle(&mut self) -> HashMap<ClientId, String> {
        let mut replies = HashMap::new();
        for _ in 0..100_000 {
            crate::dispatch::serve_parked(&mut self.engine);
            let mut clients: Vec<ClientId> = self.under_way.keys().copied().collect();
            clients.sort();
            if clients.is_empty() {
                return replies;
            }
            for client in clients {
                if let Ok(reply) = self.turn(client) {
                    replies.insert(client, reply);
                }
            }
        }
        panic!("clients wait for ever: {:?}", self.under_way.keys());
    }

    /// Turns for one client until it has its reply.
    fn finish(&mut self, client: ClientId) -> String {
        loop {
            match self.turn(client) {
                Ok(reply) => return reply,
                Err(Pause::Slice) => {}
                Err(Pause::Wait | Pause::Park) => panic!("it waits"),
            }
        }
    }

    /// A client goes in the middle of its request.
    fn leave(&mut self, client: ClientId) {
        if let Some(this) = self.under_way.remove(&client) {
            self.engine.leave_task(client, this.request);
        }
        self.engine.disconnect(client);
        self.engine.holds.audit();
    }

    /// The jobs run until they have nothing to do.
    fn run_jobs(&mut self) {
        while self.engine.run_jobs(true) {
            self.engine.holds.audit();
        }
    }
}

const MANY: usize = 2000;

fn name(number: usize) -> String {
    format!("key:{number}")
}

/// `command key:0 key:1 ...`
fn of_keys(command: &str, keys: impl IntoIterator<Item = usize>) -> Vec<String> {
    [command.to_owned()].into_iter().chain(keys.into_iter().map(name)).collect()
}

/// `MSET key:0 value key:1 value ...`
fn of_pairs(command: &str, keys: impl IntoIterator<Item = usize>, value: &str) -> Vec<String> {
    let pairs = keys.into_iter().flat_map(|key| [name(key), value.to_owned()]);
    [command.to_owned()].into_iter().chain(pairs).collect()
}

/// The values of an MGET's reply, each once: `1 of 2000` if all are the same.
fn values(reply: &str) -> (Vec<String>, usize) {
    let mut lines = reply.split_terminator("\r\n");
    let header = lines.next().unwrap();
    let mut distinct = Vec::new();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let value = if line == "$-1" { "nothing" } else { lines.next().unwrap() };
        count += 1;
        if !distinct.iter().any(|other| other == value) {
            distinct.push(value.to_owned());
        }
    }
    assert_eq!(header, format!("*{count}"));
    (distinct, count)
}

fn words(request: &str) -> Vec<&str> {
    request.split(' ').collect()
}

const SLICE: Outcome = Err(Pause::Slice);
const WAIT: Outcome = Err(Pause::Wait);

fn ok(reply: &str) -> Outcome {
    Ok(reply.to_owned())
}

#[test]
fn a_long_command_takes_slices_and_answers_as_a_short_one() {
    let mut clients = Clients::new();
    let client = clients.connect();
    for (request, reply) in [
        (of_pairs("MSET", 0..MANY, "x"), OK),
        (of_keys("EXISTS", 0..MANY + 5), ":2000\r\n"),
        (of_keys("TOUCH", 0..MANY), ":2000\r\n"),
        (of_pairs("MSETNX", (1..MANY + 1).rev(), "y"), ":0\r\n"),
        (of_keys("DEL", 0..MANY - 1), ":1999\r\n"),
        (of_keys("UNLINK", 0..MANY), ":1\r\n"),
        (of_pairs("MSETNX", 0..MANY, "y"), ":1\r\n"),
    ] {
        let mut slices = 1;
        let mut outcome = clients.ask(client, &request);
        while outcome == SLICE {
            slices += 1;
            outcome = clients.turn(client);
        }
        assert_eq!(outcome, ok(reply), "{}", request[0]);
        assert!(slices >= MANY / KEYS_PER_SLICE || reply == ":0\r\n", "{} took {slices} slices", request[0]);
        assert!(clients.engine.holds.is_idle());
    }
    assert_eq!(clients.ask(client, &of_keys("MGET", 0..MANY)), SLICE);
    assert_eq!(values(&clients.finish(client)), (vec!["y".to_owned()], MANY));
    assert_eq!(clients.ask(client, &words("DBSIZE")), ok(":2000\r\n"));
}

#[test]
fn others_go_on_but_for_the_keys_that_are_held() {
    let mut clients = Clients::new();
    let (long, other, third) = (clients.connect(), clients.connect(), clients.connect());
    assert_eq!(clients.ask(long, &of_pairs("MSET", 0..MANY, "new")), SLICE);
    assert_eq!(clients.turn(long), SLICE);
    // The first keys are written, the last not yet: those are free, for they come after all who have them now.
    assert_eq!(clients.ask(other, &words("GET unrelated")), ok("$-1\r\n"));
    assert_eq!(clients.ask(other, &words("SET unrelated x")), ok(OK));
    assert_eq!(clients.ask(other, &words("SET key:1999 old")), ok(OK));
    assert_eq!(clients.ask(other, &words("PING")), ok("+PONG\r\n"));
    assert_eq!(clients.ask(other, &words("GET key:0")), WAIT);
    assert_eq!(clients.turn(other), WAIT);
    assert_eq!(clients.ask(third, &words("COPY unrelated key:1")), WAIT);
    assert_eq!(clients.finish(long), OK);
    assert_eq!(clients.turn(other), ok("$3\r\nnew\r\n"));
    assert_eq!(clients.turn(third), ok(":0\r\n"));
    assert_eq!(clients.ask(third, &words("GET key:1999")), ok("$3\r\nnew\r\n"));
}

#[test]
fn readers_share_and_writers_wait() {
    let mut clients = Clients::new();
    let (long, reader, writer) = (clients.connect(), clients.connect(), clients.connect());
    clients.ask(long, &of_pairs("MSET", 0..MANY, "old")).unwrap_err();
    clients.finish(long);
    assert_eq!(clients.ask(long, &of_keys("MGET", 0..MANY)), SLICE);
    assert_eq!(clients.ask(reader, &words("MGET key:0 key:1999")), ok("*2\r\n$3\r\nold\r\n$3\r\nold\r\n"));
    assert_eq!(clients.ask(writer, &words("DEL key:0")), WAIT);
    // Who comes after a writer that waits waits too, or the writer might wait for ever.
    assert_eq!(clients.ask(reader, &words("GET key:0")), WAIT);
    assert_eq!(values(&clients.finish(long)).0, ["old"]);
    assert_eq!(clients.turn(reader), WAIT);
    assert_eq!(clients.turn(writer), ok(":1\r\n"));
    assert_eq!(clients.turn(reader), ok("$-1\r\n"));
}

#[test]
fn those_who_wait_for_a_key_go_on_in_the_order_in_which_they_came() {
    let mut clients = Clients::new();
    let long = clients.connect();
    clients.ask(long, &of_pairs("MSET", 0..MANY, "")).unwrap_err();
    assert_eq!(clients.turn(long), SLICE);
    let appenders: Vec<ClientId> = (0..20).map(|_| clients.connect()).collect();
    for (number, &client) in appenders.iter().enumerate() {
        let letter = char::from(b'a' + number as u8);
        assert_eq!(clients.ask(client, &words(&format!("APPEND key:0 {letter}"))), WAIT);
    }
    clients.finish(long);
    // A newcomer comes last, and turns in another order change nothing.
    let newcomer = clients.connect();
    assert_eq!(clients.ask(newcomer, &words("APPEND key:0 !")), WAIT);
    let mut left = appenders;
    while !left.is_empty() {
        let before = left.len();
        left = left.into_iter().rev().filter(|&client| clients.turn(client).is_err()).collect();
        left.sort();
        assert_eq!(left.len(), before - 1, "one after another");
    }
    assert_eq!(clients.turn(newcomer), ok(":21\r\n"));
    assert_eq!(clients.ask(newcomer, &words("GET key:0")), ok("$21\r\nabcdefghijklmnopqrst!\r\n"));
}

#[test]
fn whole_databases_wait_for_those_who_change_them() {
    let mut clients = Clients::new();
    let (long, other) = (clients.connect(), clients.connect());
    clients.ask(long, &of_pairs("MSET", 0..MANY, "x")).unwrap_err();
    for (request, reply) in [("DBSIZE", ":2000\r\n"), ("FLUSHDB", OK), ("RANDOMKEY", "$-1\r\n"), ("FLUSHALL", OK)] {
        let client = clients.connect();
        assert_eq!(clients.ask(client, &words(request)), WAIT, "{request}");
        let scan = clients.connect();
        assert_eq!(clients.ask(scan, &words("SCAN 0")), WAIT);
        assert_eq!(clients.ask(other, &words("SELECT 1")), ok("+OK\r\n"));
        assert_eq!(clients.ask(other, &words("DBSIZE")), ok(":0\r\n"), "the other databases are free");
        let replies = clients.settle();
        assert_eq!(replies[&client], reply, "{request}");
        clients.ask(long, &of_keys("DEL", 0..MANY)).unwrap_err();
    }
}

#[test]
fn a_client_that_goes_leaves_no_hold_and_its_writes_are_whole() {
    let mut clients = Clients::new();
    let (writer, waiter, reader) = (clients.connect(), clients.connect(), clients.connect());
    clients.ask(writer, &of_pairs("MSET", 0..MANY, "x")).unwrap_err();
    assert_eq!(clients.turn(writer), SLICE);
    assert_eq!(clients.ask(waiter, &words("GET key:0")), WAIT);
    assert_eq!(clients.ask(reader, &words("DBSIZE")), WAIT);
    clients.leave(writer);
    clients.leave(waiter);
    assert_eq!(clients.turn(reader), WAIT, "the orphan goes on");
    assert!(clients.engine.in_debt());
    clients.run_jobs();
    assert_eq!(clients.turn(reader), ok(":2000\r\n"));
    assert!(clients.engine.holds.is_idle());

    // One that only reads is of no use to anybody.
    let lister = clients.connect();
    clients.ask(lister, &of_keys("MGET", 0..MANY)).unwrap_err();
    assert_eq!(clients.ask(reader, &words("DEL key:0")), WAIT);
    clients.leave(lister);
    assert_eq!(clients.turn(reader), ok(":1\r\n"));
    let lister = clients.connect();
    clients.ask(lister, &words("KEYS *")).unwrap_err();
    clients.leave(lister);
    assert!(clients.engine.holds.is_idle());
    assert_eq!(clients.ask(reader, &words("FLUSHALL")), ok(OK));
}

#[test]
fn a_long_mset_without_memory_for_all_writes_nothing() {
    let mut clients = Clients::new();
    let client = clients.connect();
    assert_eq!(clients.ask(client, &words("CONFIG SET maxmemory 8mb")), ok(OK));
    let request = of_pairs("MSET", 0..MANY, &"v".repeat(10_000));
    assert_eq!(clients.ask(client, &request), Ok(format!("-{OOM}\r\n")));
    assert_eq!(clients.ask(client, &words("DBSIZE")), ok(":0\r\n"));
    let too_long = "k".repeat(65_536);
    let mut request = of_pairs("MSET", 0..MANY, "v");
    request.extend([too_long, "v".to_owned()]);
    assert!(clients.ask(client, &request).is_ok_and(|reply| reply.starts_with("-ERR key is too long")));
    assert_eq!(clients.ask(client, &words("DBSIZE")), ok(":0\r\n"));
}

#[test]
fn a_held_key_does_not_expire_under_its_holder() {
    let mut clients = Clients::new();
    let (long, other) = (clients.connect(), clients.connect());
    clients.ask(long, &of_pairs("MSET", 0..MANY, "x")).unwrap_err();
    clients.finish(long);
    assert_eq!(clients.ask(other, &words("PEXPIRE key:0 1500")), ok(":1\r\n"));
    assert_eq!(clients.ask(other, &words("PEXPIRE key:1999 1500")), ok(":1\r\n"));
    clients.ask(long, &of_keys("MGET", 0..MANY)).unwrap_err();
    clients.engine.set_now(at_second(2));
    clients.run_jobs();
    assert_eq!(clients.ask(other, &words("DBSIZE")), ok(":1999\r\n"), "the free one is gone");
    clients.finish(long);
    clients.engine.set_now(at_second(3));
    clients.run_jobs();
    assert_eq!(clients.ask(other, &words("DBSIZE")), ok(":1998\r\n"));
}

#[test]
fn keys_answers_as_of_its_start_in_slices() {
    let mut clients = Clients::new();
    let (lister, writer, flusher) = (clients.connect(), clients.connect(), clients.connect());
    clients.ask(writer, &of_pairs("MSET", 0..5 * MANY, "x")).unwrap_err();
    clients.finish(writer);
    let mut expected: Vec<String> = (0..5 * MANY).map(name).filter(|key| key.ends_with('7')).collect();
    expected.sort();
    assert_eq!(clients.ask(lister, &words("KEYS *7")), SLICE);
    for number in 0.. {
        let outcome = clients.turn(lister);
        if let Ok(reply) = outcome {
            let mut listed: Vec<&str> = reply.split("\r\n").filter(|line| line.starts_with("key:")).collect();
            assert!(reply.starts_with(&format!("*{}\r\n", listed.len())));
            listed.sort_unstable();
            assert_eq!(listed, expected);
            break;
        }
        let at = number * 37;
        for key in at..at + 30 {
            clients.ask(writer, &words(&format!("DEL key:{key}"))).unwrap();
            clients.ask(writer, &words(&format!("SET key:new:{key}7 x"))).unwrap();
        }
        if number == 3 {
            assert_eq!(clients.ask(flusher, &words("FLUSHALL")), WAIT);
        }
    }
    assert_eq!(clients.turn(flusher), ok(OK));
}

#[test]
fn what_is_freed_in_the_background_is_counted_once_it_is() {
    let mut clients = Clients::new();
    let client = clients.connect();
    clients.ask(client, &of_pairs("MSET", 0..900, "x")).unwrap();
    clients.ask(client, &words("FLUSHALL")).unwrap();
    let counts = |clients: &Clients| (clients.engine.keyspace.freeing(), clients.engine.keyspace.stats.lazyfreed);
    assert_eq!(counts(&clients), (900, 0));
    clients.run_jobs();
    assert_eq!(counts(&clients), (0, 900));
}

#[test]
fn a_scan_of_a_huge_count_tells_every_key_once_in_slices() {
    let mut clients = Clients::new();
    let client = clients.connect();
    clients.ask(client, &of_pairs("MSET", 0..2 * MANY, "x")).unwrap_err();
    clients.finish(client);
    assert_eq!(clients.ask(client, &words("SCAN 0 COUNT 9223372036854775807 MATCH key:* TYPE string")), SLICE);
    let reply = clients.finish(client);
    assert!(reply.starts_with("*2\r\n$1\r\n0\r\n*4000\r\n"), "{}", &reply[..40]);
    assert_eq!(reply.matches("key:").count(), 4000);
}

#[test]
fn a_scan_of_long_keys_goes_on_in_slices_and_so_does_one_that_removes_many() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let long = |number: usize| format!("{number:0>60000}");
    for number in 0..40 {
        clients.ask(client, &words(&format!("SET {} v", long(number)))).unwrap();
    }
    for request in ["SCAN 0 COUNT 1000", "SCAN 0 COUNT 1000 MATCH x", "KEYS x"] {
        assert_eq!(clients.ask(client, &words(request)), SLICE, "{request}");
        let reply = clients.finish(client);
        assert_eq!(reply.matches("$60000").count(), if request.ends_with('x') { 0 } else { 40 }, "{request}");
    }
    clients.ask(client, &words("FLUSHALL")).unwrap();
    for number in 0..900 {
        clients.ask(client, &words(&format!("SET key:{number} v PX 10"))).unwrap();
    }
    clients.engine.set_now(at_second(9));
    assert_eq!(clients.ask(client, &words("SCAN 0 COUNT 1000")), SLICE);
    assert_eq!(clients.finish(client), "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_eq!(clients.ask(client, &words("DBSIZE")), ok(":0\r\n"));
}

#[test]
fn opposite_orders_of_keys_come_to_an_end() {
    let mut clients = Clients::new();
    let everyone: Vec<ClientId> = (0..12).map(|_| clients.connect()).collect();
    for (number, &client) in everyone.iter().enumerate() {
        let request = match number % 4 {
            0 => of_pairs("MSET", 0..MANY, "up"),
            1 => of_pairs("MSET", (0..MANY).rev(), "down"),
            2 => of_keys("MGET", (0..MANY).rev()),
            _ => of_keys("DEL", [MANY - 1, 0]),
        };
        // Some have to wait at once, some begin.
        let _ = clients.ask(client, &request);
    }
    clients.settle();
    assert!(clients.engine.holds.is_idle());
}

/// The heart of it: nobody ever sees a half-done command.
///
/// Every client does one of these on the same 1,500 keys, in any order, a turn at a time: set all of them to a number of its own,
/// read all, remove all, count those that there are, list them, or one of these with two keys only. What a read shows must
/// have been so at one moment: one number for all, all or none.
#[test]
fn no_client_ever_sees_a_half_done_command() {
    const KEYS: usize = 1500;
    for seed in 1..=6_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let mut clients = Clients::new();
        let mut everyone: Vec<ClientId> = (0..10).map(|_| clients.connect()).collect();
        let mut asked: HashMap<ClientId, String> = HashMap::new();
        let mut replies = 0;
        for step in 0..9000 {
            let at = below(everyone.len() as u64) as usize;
            let client = everyone[at];
            if below(150) == 0 {
                clients.leave(client);
                asked.remove(&client);
                everyone[at] = clients.connect();
                continue;
            }
            if below(10) == 0 {
                clients.engine.run_jobs(true);
            }
            let is_asked = asked.contains_key(&client);
            let outcome = if is_asked {
                clients.turn(client)
            } else {
                let two = [below(KEYS as u64) as usize, below(KEYS as u64) as usize];
                let reversed = below(2) == 0;
                let all = (0..KEYS).map(|key| if reversed { KEYS - 1 - key } else { key });
                let request = match below(11) {
                    0 | 1 => of_pairs("MSET", all, &step.to_string()),
                    2 | 3 => of_keys("MGET", all),
                    4 => of_keys("DEL", all),
                    5 => of_keys("EXISTS", all),
                    6 => words("KEYS *").into_iter().map(str::to_owned).collect(),
                    7 => words("DBSIZE").into_iter().map(str::to_owned).collect(),
                    8 => of_pairs("MSETNX", all, &step.to_string()),
                    9 => words("SCAN 0 COUNT 100000").into_iter().map(str::to_owned).collect(),
                    _ => of_keys("MGET", two),
                };
                asked.insert(client, request[0].clone());
                clients.ask(client, &request)
            };
            let Ok(reply) = outcome else { continue };
            replies += 1;
            let command = asked.remove(&client).unwrap();
            let claim = format!("seed {seed}, step {step}: {command}: {}", &reply[..reply.len().min(60)]);
            match command.as_str() {
                "MGET" => assert_eq!(values(&reply).0.len(), 1, "{claim}: {:?}", values(&reply)),
                "EXISTS" | "DEL" | "DBSIZE" => assert!([":0\r\n", ":1500\r\n"].contains(&&reply[..]), "{claim}"),
                "KEYS" => {
                    let mut keys: Vec<&str> = reply.split("\r\n").filter(|line| line.starts_with("key:")).collect();
                    keys.sort_unstable();
                    keys.dedup();
                    assert!([0, KEYS].contains(&keys.len()), "{claim}");
                    assert!(reply.starts_with(&format!("*{}\r\n", keys.len())), "{claim}");
                }
                "MSET" => assert_eq!(reply, OK, "{claim}"),
                "SCAN" => {}
                _ => assert!([":0\r\n", ":1\r\n"].contains(&&reply[..]), "{claim}"),
            }
        }
        assert!(replies > 100, "{replies}");
        clients.settle();
        clients.run_jobs();
        assert!(clients.engine.holds.is_idle());
        clients.engine.keyspace.store.audit();
    }
}
