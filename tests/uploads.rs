//! Values that go from the socket straight into their pages, seen from outside: sent in odd pieces, refused, held up, broken
//! off, one byte at a time.
//!
//! Every server listens on a free port of 127.0.0.1 and is gone when its test ends.

// The lint knows test functions, and not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::thread;
use std::time::{Duration, Instant};

use test_support::client::encode;
use test_support::{Client, Frame, Launch, Server, server};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Values of more bytes are received apart.
const LARGE: usize = 64 * KIB;

fn launch() -> Launch {
    Launch::new(&server::binary(env!("CARGO_BIN_EXE_evenkeel"))).unwrap()
}

fn start(args: &[&str]) -> Server {
    Server::start(&server::binary(env!("CARGO_BIN_EXE_evenkeel")), args).unwrap()
}

/// Tries again until the claim holds, for what another process does in its own time.
fn eventually(claim: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "still not so: {claim}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Bytes that tell where they belong.
fn value(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251 + seed) as u8).collect()
}

/// Sends in pieces of odd lengths, with a breath between some of them, so that reads end anywhere.
fn send_in_pieces(client: &mut Client, mut bytes: &[u8], seed: usize) {
    let mut number = seed;
    while !bytes.is_empty() {
        let len = [1, 70_001, 13, 131_071, 4097, 300_007, 65_537, 2][number % 8];
        let (piece, rest) = bytes.split_at(len.min(bytes.len()));
        client.send_bytes(piece).unwrap();
        if number.is_multiple_of(3) && number < seed + 40 {
            thread::sleep(Duration::from_micros(200));
        }
        number += 1;
        bytes = rest;
    }
}

fn next(client: &mut Client) -> String {
    client.next_frame().unwrap().printed()
}

/// The string at a key, as it comes over the wire.
fn get(client: &mut Client, key: &str) -> Vec<u8> {
    client.send_bytes(&encode(&["GET", key])).unwrap();
    match client.next_frame().unwrap() {
        Frame::Bulk(bytes) => bytes,
        other => panic!("GET {key}: {}", other.printed().chars().take(100).collect::<String>()),
    }
}

/// A number that INFO tells.
fn info(client: &mut Client, field: &str) -> usize {
    client.send_bytes(&encode(&["INFO", "everything"])).unwrap();
    let Frame::Bulk(text) = client.next_frame().unwrap() else { panic!("INFO answers with a text") };
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().trim().parse().unwrap()
}

fn request(args: &[&[u8]]) -> Vec<u8> {
    encode(args)
}

/// Every command that takes a large value, with one of `len` bytes; then what it wrote is read back.
fn every_command(client: &mut Client, len: usize) {
    let (one, two) = (value(len, 1), value(len, 2));
    client.ask("FLUSHALL");
    type Row<'a> = (&'a [&'a [u8]], &'a str, &'a [(&'a str, &'a [u8])]);
    let table: [Row<'_>; 10] = [
        (&[b"SET", b"a", &one], "OK", &[("a", &one)]),
        (&[b"SETNX", b"b", &two], "(integer) 1", &[("b", &two)]),
        (&[b"SETNX", b"b", &one], "(integer) 0", &[("b", &two)]),
        (&[b"SETEX", b"c", b"100", &one], "OK", &[("c", &one)]),
        (&[b"PSETEX", b"c", b"100000", &two], "OK", &[("c", &two)]),
        (&[b"MSET", b"a", &two, b"s", b"small", b"b", &one], "OK", &[("a", &two), ("s", b"small"), ("b", &one)]),
        (&[b"MSETNX", b"d", &two, b"e", &one], "(integer) 1", &[("d", &two), ("e", &one)]),
        (&[b"MSETEX", b"2", b"f", &two, b"g", &one, b"EX", b"100"], "(integer) 1", &[("f", &two), ("g", &one)]),
        (&[b"SET", b"b", &two, b"EX", b"100", b"XX"], "OK", &[("b", &two)]),
        (&[b"SET", b"b", &one, b"NX"], "(nil)", &[("b", &two)]),
    ];
    for (number, (args, reply, written)) in table.iter().enumerate() {
        send_in_pieces(client, &request(args), number);
        assert_eq!(next(client), *reply, "request {number} with {len} bytes");
        for (key, bytes) in *written {
            assert!(get(client, key) == *bytes, "{key} after request {number} with {len} bytes");
        }
    }
    for args in [&[&b"GETSET"[..], b"a", &one][..], &[b"SET", b"a", &two, b"GET"]] {
        let before = get(client, "a");
        send_in_pieces(client, &request(args), 5);
        assert!(client.next_frame().unwrap() == Frame::Bulk(before), "the old value comes back");
    }
    assert!(get(client, "a") == two);
    for command in ["ECHO", "PING"] {
        send_in_pieces(client, &request(&[command.as_bytes(), &one]), 3);
        assert!(client.next_frame().unwrap() == Frame::Bulk(one.clone()), "{command}");
    }
    let mut expected = get(client, "a");
    send_in_pieces(client, &request(&[b"APPEND", b"a", &one]), 4);
    expected.extend_from_slice(&one);
    assert_eq!(next(client), format!("(integer) {}", expected.len()));
    assert!(get(client, "a") == expected, "APPEND of {len} bytes");
    send_in_pieces(client, &request(&[b"SETRANGE", b"a", b"77", &two]), 6);
    expected[77..77 + len].copy_from_slice(&two);
    assert_eq!(next(client), format!("(integer) {}", expected.len()));
    assert!(get(client, "a") == expected, "SETRANGE of {len} bytes");
    send_in_pieces(client, &request(&[b"SETRANGE", b"new", b"100000", &two]), 7);
    assert_eq!(next(client), format!("(integer) {}", len + 100_000));
    assert!(get(client, "new") == [vec![0; 100_000], two].concat());
}

#[test]
fn every_command_gets_its_large_values_whole() {
    let server = start(&[]);
    for len in [LARGE - 1, LARGE, LARGE + 1, MIB] {
        every_command(&mut server.client(), len);
    }
}

#[test]
fn a_very_large_value_is_whole_over_tcp_and_over_a_unix_socket() {
    let launch = launch();
    let socket = launch.folder().join("socket");
    let server = launch.on_its_port().unwrap().args(&["--unixsocket", socket.to_str().unwrap()]).start().unwrap();
    let bytes = value(40 * MIB, 3);
    for mut client in [server.client(), Client::unix(&socket).unwrap()] {
        send_in_pieces(&mut client, &request(&[b"SET", b"k", &bytes]), 0);
        assert_eq!(next(&mut client), "OK");
        assert!(get(&mut client, "k") == bytes);
        every_command(&mut client, LARGE + 1);
    }
}

/// The line's end may arrive with the value, or a part of it: then nothing of the value is to come.
#[test]
fn a_request_may_be_cut_anywhere_whatever_counts_as_large() {
    let server = start(&["--blob-threshold", "1kb"]);
    let mut client = server.client();
    let bytes = value(1025, 4);
    let all = [request(&[b"PING"]), request(&[b"MSET", b"a", &bytes, b"b", &bytes]), request(&[b"PING"])].concat();
    for cut in (1..80).chain(1040..1140).chain(all.len() - 40..all.len()) {
        let (left, right) = all.split_at(cut);
        client.send_bytes(left).unwrap();
        // The first reply, if there is one, says that what was sent has been read.
        thread::sleep(Duration::from_micros(500));
        client.send_bytes(right).unwrap();
        assert_eq!([next(&mut client), next(&mut client), next(&mut client)], ["PONG", "OK", "PONG"], "cut at {cut}");
        assert!(get(&mut client, "a") == bytes && get(&mut client, "b") == bytes, "cut at {cut}");
        assert_eq!(client.ask("DEL a b"), "(integer) 2");
    }
}

/// Requests before the large one fill their turn, or go on in slices: what is left of them then stands before its
/// beginning in the buffer. Its place was counted from the buffer's start, and its first bytes were lost.
#[test]
fn a_large_value_behind_a_long_pipeline_is_whole() {
    let server = start(&[]);
    let mut client = server.client();
    let bytes = value(200_000, 5);
    let set = request(&[b"SET", b"k", &bytes]);
    let pings = request(&[b"PING"]);
    for count in [1, 100, 127, 128, 129, 500, 1_100, 2_000, 4_000] {
        client.send_bytes(&[pings.repeat(count), set.clone(), pings.clone()].concat()).unwrap();
        (0..count).for_each(|_| assert_eq!(next(&mut client), "PONG"));
        assert_eq!([next(&mut client), next(&mut client)], ["OK", "PONG"], "behind {count} requests");
        assert!(get(&mut client, "k") == bytes, "behind {count} requests");
    }
    for keys in [1_025, 2_000, 4_000] {
        let names: Vec<String> = (0..keys).map(|key| format!("k:{key}")).collect();
        let words: Vec<&str> = ["EXISTS"].into_iter().chain(names.iter().map(String::as_str)).collect();
        client.send_bytes(&[encode(&words), pings.clone(), set.clone(), pings.clone()].concat()).unwrap();
        let replies: Vec<String> = (0..4).map(|_| next(&mut client)).collect();
        assert_eq!(replies, ["(integer) 0", "PONG", "OK", "PONG"], "behind {keys} keys");
        assert!(get(&mut client, "k") == bytes, "behind {keys} keys");
        // Both names stand at the same place of their requests.
        let pairs = |count: usize| names[..count].iter().flat_map(|name| [name.as_bytes(), b"v"]);
        let many: Vec<&[u8]> = [&b"MSET"[..]].into_iter().chain(pairs(keys)).collect();
        let large: Vec<&[u8]> = [&b"MSET"[..], b"k", &bytes].into_iter().chain(pairs(600)).collect();
        client.send_bytes(&[encode(&many), encode(&large), pings.clone()].concat()).unwrap();
        assert_eq!([next(&mut client), next(&mut client), next(&mut client)], ["OK", "OK", "PONG"]);
        assert!(get(&mut client, "k") == bytes, "behind {keys} pairs");
        assert_eq!(client.ask("FLUSHALL"), "OK");
    }
}

#[test]
fn what_is_refused_does_not_confuse_what_follows() {
    let server = start(&[]);
    let mut client = server.client();
    let bytes = value(10 * MIB, 6);
    client.ask("SET k old");
    let table: [(&[&[u8]], &str); 16] = [
        (&[b"SET", b"k", &bytes, b"NX"], "(nil)"),
        (&[b"SET", b"none", &bytes, b"XX"], "(nil)"),
        (&[b"SET", b"k", &bytes, b"nonsense"], "(error) ERR syntax error"),
        (&[b"SET", b"k", &bytes, b"EX", b"0"], "(error) ERR invalid expire time in 'set' command"),
        (&[b"GETSET", b"k", &bytes, b"x"], "(error) ERR wrong number of arguments for 'getset' command"),
        (&[b"PING", &bytes, b"x"], "(error) ERR wrong number of arguments for 'ping' command"),
        (&[b"MSET", b"k", &bytes, b"x"], "(error) ERR wrong number of arguments for 'mset' command"),
        (&[b"SETEX", b"k", b"-1", &bytes], "(error) ERR invalid expire time in 'setex' command"),
        (&[b"SETRANGE", b"k", b"-1", &bytes], "(error) ERR offset is out of range"),
        (
            &[b"SETRANGE", b"k", b"536870912", &bytes],
            "(error) ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        ),
        (&[b"MSETNX", b"new", &bytes, b"k", b"x"], "(integer) 0"),
        (&[b"MSETEX", b"0", b"k", &bytes], "(error) ERR invalid numkeys value"),
        (&[b"GET", b"k", &bytes], "(error) ERR wrong number of arguments for 'get' command"),
        (&[b"EXPIRE", b"k", &bytes], "(error) ERR argument is too long (131072 bytes at most)"),
        (&[b"GET", b"k"], "\"old\""),
        (&[b"DBSIZE"], "(integer) 1"),
    ];
    for (number, (args, reply)) in table.iter().enumerate() {
        send_in_pieces(&mut client, &request(args), number);
        assert_eq!(next(&mut client), *reply, "request {number}");
    }
    send_in_pieces(&mut client, &request(&[b"NOSUCH", b"k", &vec![b'x'; 10 * MIB]]), 0);
    assert!(next(&mut client).starts_with("(error) ERR unknown command 'NOSUCH', with args beginning with: 'k' 'xxx"));
    send_in_pieces(&mut client, &request(&[b"SET", &bytes[..MIB], b"v"]), 0);
    assert!(next(&mut client).contains("65535"), "a key has its limit");
    send_in_pieces(&mut client, &request(&[b"SET", &bytes[..MIB], &bytes]), 0);
    assert!(next(&mut client).contains("65535"), "a key has its limit");
    assert_eq!(client.ask("GET k"), "\"old\"");
    eventually("nothing stays behind", || info(&mut client, "chunkbuf_blob_bytes") == 0);
}

#[test]
fn what_was_broken_off_leaves_nothing_behind() {
    let server = start(&[]);
    let mut watcher = server.client();
    let set = request(&[b"MSET", b"a", &value(300_000, 7), b"b", &value(200_000, 8)]);
    let before = info(&mut watcher, "used_memory");
    let header = set.len() - 200_000 - 2;
    let cuts = [20, 40, 65_536, 65_600, 131_072, 300_030, 300_035, 300_036, 300_038];
    for cut in cuts.into_iter().chain([header - 9, header - 1, header, header + 1, set.len() - 3, set.len() - 1]) {
        let mut client = server.client();
        client.send_bytes(&set[..cut]).unwrap();
        if cut % 2 == 0 {
            client.close_sending().unwrap();
            assert_eq!(client.reads_to_end().unwrap(), b"", "cut at {cut}");
        }
    }
    eventually("the others are gone", || info(&mut watcher, "connected_clients") == 1);
    eventually("their pages are back", || info(&mut watcher, "chunkbuf_blob_bytes") == 0);
    eventually("their memory is back", || info(&mut watcher, "used_memory") < before + 2 * MIB);
    assert_eq!(watcher.ask("DBSIZE"), "(integer) 0");
}

#[test]
fn what_was_sent_whole_before_the_end_is_answered() {
    let server = start(&[]);
    let mut client = server.client();
    let set = request(&[b"SET", b"k", &value(MIB, 9)]);
    client.send_bytes(&[set.clone(), request(&[b"STRLEN", b"k"])].concat()).unwrap();
    client.close_sending().unwrap();
    assert_eq!(client.reads_to_end().unwrap(), b"+OK\r\n:1048576\r\n");
    let mut client = server.client();
    client.send_bytes(&[set, request(&[b"QUIT"]), request(&[b"DEL", b"k"])].concat()).unwrap();
    assert_eq!(client.reads_to_end().unwrap(), b"+OK\r\n+OK\r\n");
    // QUIT and the beginning of a large value in one read.
    let mut client = server.client();
    let begun = &request(&[b"SET", b"k", &value(MIB, 9)])[..60_000];
    client.send_bytes(&[&request(&[b"QUIT"])[..], begun].concat()).unwrap();
    assert_eq!(client.reads_to_end().unwrap(), b"+OK\r\n");
    assert_eq!(server.client().ask("STRLEN k"), "(integer) 1048576");
}

#[test]
fn a_value_for_which_there_is_no_memory_is_refused_and_the_old_one_stays() {
    const OOM: &str = "(error) OOM command not allowed when used memory > 'maxmemory'.";
    let server = start(&["--maxmemory", "64mb"]);
    let mut client = server.client();
    let (old, large) = (value(20 * MIB, 10), value(100 * MIB, 11));
    assert_eq!(client.ask_args(&[&b"SET"[..], b"k", &old]), "OK");
    for args in [&[&b"SET"[..], b"k", &large][..], &[b"APPEND", b"k", &large], &[b"MSET", b"j", b"v", b"k", &large]] {
        client.send_bytes(&request(args)).unwrap();
        client.send_bytes(&request(&[b"PING"])).unwrap();
        assert_eq!([next(&mut client), next(&mut client)], [OOM, "PONG"]);
        assert!(get(&mut client, "k") == old, "the old value stays");
        assert_eq!(client.ask("DBSIZE"), "(integer) 1");
        eventually("its pages are back", || info(&mut client, "chunkbuf_blob_bytes") < 21 * MIB);
    }
    // Values that fit beside the old one can be set for ever, as fast as they come.
    let sets = request(&[b"SET", b"k", &old]).repeat(20);
    client.send_bytes(&sets).unwrap();
    (0..20).for_each(|number| assert_eq!(next(&mut client), "OK", "SET {number}"));
}

#[test]
fn the_limit_of_a_bulk_and_the_password_come_before_its_first_byte() {
    let server = start(&["--proto-max-bulk-len", "2mb", "--requirepass", "sesame"]);
    let mut stranger = server.client();
    stranger.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nbytes").unwrap();
    assert_eq!(stranger.reads_to_end().unwrap(), b"-ERR Protocol error: unauthenticated bulk length\r\n");
    let mut client = server.client();
    client.ask("AUTH sesame");
    assert_eq!(client.ask_args(&[&b"SET"[..], b"k", &value(2 * MIB, 0)]), "OK");
    let refused = "(error) ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    assert_eq!(client.ask_args(&[&b"APPEND"[..], b"k", &value(MIB, 0)]), refused);
    client.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2097153\r\nbytes").unwrap();
    assert_eq!(client.reads_to_end().unwrap(), b"-ERR Protocol error: invalid bulk length\r\n");
}

#[test]
fn a_value_that_waits_for_a_long_command_is_not_lost() {
    let server = start(&[]);
    let bytes = value(MIB, 12);
    let names: Vec<String> = (0..100_000).map(|key| format!("k:{key}")).collect();
    let pairs = names.iter().flat_map(|name| [name.as_str(), "v"]);
    let mset = encode(&["MSET"].into_iter().chain(pairs).collect::<Vec<_>>());
    let set = request(&[b"SET", b"k:0", &bytes]);
    for leaves in [false, true] {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut client = server.client();
                    for _ in 0..3 {
                        client.send_bytes(&mset).unwrap();
                        assert_eq!(next(&mut client), "OK");
                    }
                });
            }
            for _ in 0..40 {
                let mut client = server.client();
                client.send_bytes(&set).unwrap();
                if !leaves {
                    assert_eq!(next(&mut client), "OK");
                }
            }
        });
    }
    let mut client = server.client();
    eventually("the others are gone", || info(&mut client, "connected_clients") == 1);
    assert_eq!(client.ask_args(&[&b"SET"[..], b"k:0", &bytes]), "OK");
    assert!(get(&mut client, "k:0") == bytes);
    eventually("one value is there", || info(&mut client, "chunkbuf_blob_bytes") <= 2 * MIB);
}

#[test]
fn many_uploads_of_a_byte_at_a_time_take_little_memory_and_nobodys_time() {
    const CLIENTS: usize = 200;
    let server = start(&[]);
    let mut watcher = server.client();
    let mut slow: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    for client in &mut slow {
        client.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\n").unwrap();
    }
    for _ in 0..10 {
        for client in &mut slow {
            client.send_bytes(b"x").unwrap();
        }
        assert_eq!(watcher.ask("PING"), "PONG");
    }
    let list = watcher.ask("CLIENT LIST");
    assert_eq!(list.matches(" name=").count(), CLIENTS + 1, "{list}");
    let taken = info(&mut watcher, "chunkbuf_blob_bytes");
    assert!(taken <= CLIENTS * 96 * KIB, "{taken} bytes for {CLIENTS} uploads");
    drop(slow);
    eventually("their pages are back", || info(&mut watcher, "chunkbuf_blob_bytes") == 0);
}

#[test]
fn large_values_of_a_request_count_for_its_client_until_it_is_carried_out() {
    let server = start(&[]);
    let (mut client, mut admin) = (server.client(), server.client());
    let bytes = |admin: &mut Client| info(admin, "mem_clients_normal");
    let before = bytes(&mut admin);
    let (one, two) = (value(MIB, 1), value(2 * MIB, 2));
    let whole = request(&[b"MSET", b"a", &one, b"b", &two]);
    // Of the second value not even half: it counts as it was announced.
    client.send_bytes(&whole[..2 * MIB]).unwrap();
    eventually("both values count", || bytes(&mut admin) > before + 3 * MIB);
    client.send_bytes(&whole[2 * MIB..]).unwrap();
    assert_eq!(next(&mut client), "OK");
    assert!(bytes(&mut admin) < before + LARGE);
    // Queued, they count until they are discarded.
    assert_eq!(client.ask("MULTI"), "OK");
    client.send_bytes(&whole).unwrap();
    assert_eq!(next(&mut client), "QUEUED");
    assert!((before + 3 * MIB..before + 3 * MIB + LARGE).contains(&bytes(&mut admin)));
    assert_eq!(client.ask("DISCARD"), "OK");
    assert!(bytes(&mut admin) < before + LARGE);
    assert_eq!(get(&mut admin, "b"), two);
}

#[test]
fn the_slow_log_shows_how_a_large_value_begins_and_how_long_it_is() {
    let server = start(&["--slowlog-log-slower-than", "0"]);
    let mut client = server.client();
    let bytes = vec![b'x'; 100_000];
    assert_eq!(client.ask_args(&[&b"SET"[..], b"k", &bytes]), "OK");
    let shown = client.ask("SLOWLOG GET 1");
    let expected = format!("3) \"{}... (99872 more bytes)\"", "x".repeat(128));
    assert!(shown.contains(&expected), "{shown}");
}
