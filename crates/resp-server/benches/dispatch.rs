//! Time per request in a pipeline, without sockets and without a clock: `cargo bench -p resp-server --bench dispatch`.
//!
//! Each row parses and executes batches of 16 equal requests of one client, on one key, as redis-benchmark without `-r` sends
//! them; "item" is one request.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use resp_server::dispatch::execute;
use resp_server::engine::{Engine, Now, Peer, Settings};
use resp_server::proto::{Batch, Parser, Reply};

/// Requests in a batch.
const DEPTH: usize = 16;

/// What is sent.
const REQUESTS: [&str; 10] = [
    "PING",
    "SET key:000000000001 xxx",
    "GET key:000000000001",
    "INCR counter:000000000001",
    "RPUSH mylist xxx",
    "RPOP mylist",
    "SADD myset element:000000000001",
    "HSET myhash element:000000000001 xxx",
    "SPOP myset",
    "ZADD myzset 0 element:000000000001",
];

fn main() {
    divan::main();
}

#[divan::bench(args = REQUESTS)]
fn pipeline(bencher: Bencher<'_, '_>, request: &str) {
    let words: Vec<&str> = request.split(' ').collect();
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
    let mut bytes = bytes.repeat(DEPTH);
    let now = Now { unix_us: 1_700_000_000_000_000, monotonic_us: 0 };
    let mut engine = Engine::new(Settings::default(), [1, 2], now);
    let peer = Peer { addr: "127.0.0.1:50000".to_owned(), ..Peer::default() };
    let client = engine.connect(peer).expect("there is room for a client");
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let mut reply = Reply::new();
    let mut memory = Vec::with_capacity(16 * 1024);
    let limits = engine.limits(client);
    bencher.counter(ItemsCount::new(DEPTH)).bench_local(|| {
        let taken = parser.parse(black_box(&mut bytes), &mut batch, DEPTH, &limits).expect("they are well-formed");
        reply.lend(std::mem::take(&mut memory));
        let executed = execute(&mut engine, client, &batch, 0, &bytes, &mut reply);
        assert_eq!((taken, executed.requests), (bytes.len(), DEPTH));
        let len = reply.len();
        reply.advance(len);
        memory = reply.reclaim();
    });
}
