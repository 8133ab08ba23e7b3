//! The binary from outside: how it starts and ends, and how it treats clients that are rude, slow or gone.
//!
//! Every server listens on a free port of 127.0.0.1 and is gone when its test ends. With `EVENKEEL_BIN=redis-server` most of
//! these claims can be checked against Redis itself; those that are ours alone are left out then.

// The lint knows test functions, and not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use test_support::client::encode;
use test_support::play::Against;
use test_support::{Client, Frame, Launch, Protocol, Server, server};

const MIB: usize = 1024 * 1024;

fn binary() -> PathBuf {
    server::binary(env!("CARGO_BIN_EXE_evenkeel"))
}

fn start(args: &[&str]) -> Server {
    Server::start(&binary(), args).unwrap()
}

fn is_ours() -> bool {
    Server::kind(&binary()).unwrap() == Against::Evenkeel
}

/// Tries again until the claim holds, for what another process does in its own time.
fn eventually(claim: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "still not so: {claim}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends bytes on a new connection and returns all that comes until the server closes it.
fn last_words(server: &Server, bytes: &[u8]) -> String {
    let mut client = server.client();
    // The server may close before it has read all of it; what it said is what counts.
    let _ = client.send_bytes(bytes);
    String::from_utf8_lossy(&client.reads_to_end().unwrap()).into_owned()
}

// ---- start

#[test]
fn it_serves_on_its_port_and_says_so() {
    let mut server = start(&[]);
    assert_eq!(server.client().ask("PING"), "PONG");
    server.signal("TERM");
    server.wait().unwrap();
    let printed = server.printed();
    assert!(printed.contains(&server.port().to_string()), "{printed}");
}

#[test]
fn settings_come_from_a_file_and_flags_win() {
    let launch = Launch::new(&binary()).unwrap();
    let file = launch.folder().join("a file.conf");
    let lines = format!("# ours\nport {}\n\nbind 127.0.0.1\ndatabases 4\ntimeout \"7\"\n", launch.port());
    fs::write(&file, lines).unwrap();
    let server = launch.args(&[file.to_str().unwrap(), "--databases", "8"]).start().unwrap();
    let mut client = server.client();
    assert_eq!(client.ask("CONFIG GET databases"), "1) \"databases\"\n2) \"8\"");
    assert_eq!(client.ask("CONFIG GET timeout"), "1) \"timeout\"\n2) \"7\"");
    assert_eq!(client.ask("SELECT 7"), "OK");
    assert_eq!(client.ask("SELECT 8"), "(error) ERR DB index is out of range");
}

#[test]
fn an_unknown_setting_is_named_and_nothing_starts() {
    let (status, printed) =
        Launch::new(&binary()).unwrap().on_its_port().unwrap().args(&["--no-such-setting", "1"]).refused().unwrap();
    assert_eq!(status.code(), Some(1), "{printed}");
    assert!(printed.contains("no-such-setting"), "{printed}");
}

#[test]
fn an_unknown_setting_in_a_file_is_named_with_its_line() {
    let launch = Launch::new(&binary()).unwrap();
    let file = launch.folder().join("evenkeel.conf");
    fs::write(&file, format!("port {}\nno-such-setting 1\n", launch.port())).unwrap();
    let (status, printed) = launch.args(&[file.to_str().unwrap()]).refused().unwrap();
    assert_eq!(status.code(), Some(1), "{printed}");
    assert!(printed.contains("no-such-setting"), "{printed}");
    assert!(printed.contains("line 2"), "{printed}");
}

#[test]
fn a_value_that_makes_no_sense_is_refused() {
    for setting in [["--port", "banana"], ["--maxclients", "-1"], ["--databases", "0"]] {
        let (status, printed) =
            Launch::new(&binary()).unwrap().on_its_port().unwrap().args(&setting).refused().unwrap();
        assert_eq!(status.code(), Some(1), "{setting:?}: {printed}");
        assert!(printed.contains(&setting[0][2..]), "{setting:?} is named: {printed}");
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    let (status, printed) = Launch::new(&binary()).unwrap().args(&["no-such-file.conf"]).refused().unwrap();
    assert_eq!(status.code(), Some(1), "{printed}");
    assert!(printed.contains("no-such-file.conf"), "{printed}");
}

#[test]
fn a_port_in_use_is_an_error_and_not_a_second_server() {
    let first = start(&[]);
    let port = first.port().to_string();
    let (status, printed) =
        Launch::new(&binary()).unwrap().args(&["--port", &port, "--bind", "127.0.0.1"]).refused().unwrap();
    assert_eq!(status.code(), Some(1), "{printed}");
    assert!(printed.contains(&port), "{printed}");
    assert_eq!(first.client().ask("PING"), "PONG");
}

// ---- end

#[test]
fn a_signal_closes_cleanly() {
    for signal in ["TERM", "INT"] {
        let mut server = start(&[]);
        let mut client = server.client();
        assert_eq!(client.ask("SET k v"), "OK");
        server.signal(signal);
        let status = server.wait().unwrap();
        assert!(status.success(), "SIG{signal}: {status}\n{}", server.printed());
        assert_eq!(client.reads_to_end().unwrap(), b"", "the client sees an end, not half a reply");
    }
}

#[test]
fn shutdown_ends_the_process() {
    let mut server = start(&[]);
    server.client().send_bytes(b"SHUTDOWN NOSAVE\r\n").unwrap();
    assert!(server.wait().unwrap().success(), "{}", server.printed());
}

#[test]
fn the_port_is_free_again_after_the_end() {
    let mut first = start(&[]);
    let client = first.client();
    first.signal("TERM");
    first.wait().unwrap();
    drop(client);
    // Connections that the first server closed linger in the kernel; that must not keep a second one from starting.
    let launch = Launch::new(&binary()).unwrap().set_port(first.port());
    let second = launch.on_its_port().unwrap().start().unwrap();
    assert_eq!(second.client().ask("PING"), "PONG");
}

// ---- ways in

#[test]
fn a_unix_socket_serves_like_a_port_and_is_removed_at_the_end() {
    let launch = Launch::new(&binary()).unwrap();
    let socket = launch.folder().join("socket");
    let mut server = launch.on_its_port().unwrap().args(&["--unixsocket", socket.to_str().unwrap()]).start().unwrap();
    let mut client = Client::unix(&socket).unwrap();
    assert_eq!(client.ask("SET k v"), "OK");
    assert_eq!(server.client().ask("GET k"), "\"v\"");
    server.signal("TERM");
    assert!(server.wait().unwrap().success());
    assert!(!socket.exists(), "the socket's file stays behind");
}

#[test]
fn a_password_stands_before_everything() {
    let server = start(&["--requirepass", "sesame"]);
    let mut client = server.client();
    assert_eq!(client.ask("GET k"), "(error) NOAUTH Authentication required.");
    assert_eq!(client.ask("PING"), "(error) NOAUTH Authentication required.");
    assert_eq!(client.ask("AUTH wrong"), "(error) WRONGPASS invalid username-password pair or user is disabled.");
    let hello = client.ask("HELLO 3");
    let head = "(error) NOAUTH HELLO must be called with the client already authenticated, ";
    assert!(hello.starts_with(head), "{hello}");
    assert_eq!(client.ask("AUTH sesame"), "OK");
    assert_eq!(client.ask("GET k"), "(nil)");
    assert_eq!(server.client().ask("AUTH default sesame"), "OK");
    let mut named = server.client();
    named.protocol = Protocol::Resp3;
    assert!(named.ask("HELLO 3 AUTH default sesame SETNAME n").contains("\"proto\" => (integer) 3"));
    assert_eq!(named.ask("CLIENT GETNAME"), "\"n\"");
}

#[test]
fn before_the_password_requests_are_small() {
    let server = start(&["--requirepass", "sesame"]);
    assert_eq!(last_words(&server, b"*11\r\n"), "-ERR Protocol error: unauthenticated multibulk length\r\n");
    assert_eq!(
        last_words(&server, b"*2\r\n$4\r\nAUTH\r\n$16385\r\n"),
        "-ERR Protocol error: unauthenticated bulk length\r\n"
    );
}

// ---- bad input

#[test]
fn what_is_not_the_protocol_is_named_and_ends_the_connection() {
    let server = start(&[]);
    let long = |head: &str| [head.as_bytes(), &vec![b'1'; 70_000]].concat();
    let table: [(Vec<u8>, &str); 12] = [
        (b"*abc\r\n".to_vec(), "invalid multibulk length"),
        (b"*2147483648\r\n".to_vec(), "invalid multibulk length"),
        (b"*1\r\nabc\r\n".to_vec(), "expected '$', got 'a'"),
        (b"*1\r\n:5\r\n".to_vec(), "expected '$', got ':'"),
        (b"*1\r\n$abc\r\n".to_vec(), "invalid bulk length"),
        (b"*1\r\n$-1\r\n".to_vec(), "invalid bulk length"),
        (b"*2\r\n$3\r\nGET\r\n$536870913\r\n".to_vec(), "invalid bulk length"),
        (b"GET \"k\r\n".to_vec(), "unbalanced quotes in request"),
        (b"GET 'k'x\r\n".to_vec(), "unbalanced quotes in request"),
        (long(""), "too big inline request"),
        (long("*"), "too big mbulk count string"),
        (long("*1\r\n$"), "too big bulk count string"),
    ];
    for (bytes, words) in table {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert_eq!(last_words(&server, &bytes), format!("-ERR Protocol error: {words}\r\n"), "for {shown:?}");
    }
    assert_eq!(server.client().ask("PING"), "PONG");
}

#[test]
fn requests_before_a_protocol_error_are_answered_first() {
    let server = start(&[]);
    let words = last_words(&server, b"PING\r\n*1\r\n$4\r\nPING\r\n*1\r\nnonsense\r\n");
    assert_eq!(words, "+PONG\r\n+PONG\r\n-ERR Protocol error: expected '$', got 'n'\r\n");
}

#[test]
fn empty_requests_are_no_requests() {
    let server = start(&[]);
    let mut client = server.client();
    client.send_bytes(b"\r\n\r\n*0\r\n*-1\r\n   \r\nPING\r\n").unwrap();
    assert_eq!(client.next_frame().unwrap().printed(), "PONG");
    assert!(client.receive_some(Duration::from_millis(50)).unwrap().is_empty());
}

#[test]
fn an_announced_length_costs_no_memory_until_the_bytes_come() {
    let server = start(&[]);
    let before = server.resident_bytes();
    let mut clients: Vec<Client> = (0..40).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let announced: &[u8] = if number % 2 == 0 {
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nfirst bytes"
        } else {
            b"*2147483647\r\n$3\r\nDEL\r\n"
        };
        client.send_bytes(announced).unwrap();
    }
    // An answer on a later connection shows that the announcements were read.
    assert_eq!(server.client().ask("PING"), "PONG");
    thread::sleep(Duration::from_millis(100));
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 16 * MIB, "{grown} bytes for 40 announcements");
}

#[test]
fn a_bulk_above_the_setting_is_refused() {
    let server = start(&["--proto-max-bulk-len", "1mb"]);
    assert_eq!(
        last_words(&server, b"*2\r\n$4\r\nECHO\r\n$1048577\r\n"),
        "-ERR Protocol error: invalid bulk length\r\n"
    );
    let value = vec![b'x'; MIB];
    assert_eq!(server.client().ask_args(&[b"SET".as_slice(), b"k", &value]), "OK");
}

#[test]
fn a_key_that_is_too_long_is_an_error_and_the_connection_lives() {
    if !is_ours() {
        return;
    }
    let server = start(&[]);
    let mut client = server.client();
    let longest = vec![b'k'; 65_535];
    assert_eq!(client.ask_args(&[b"SET".as_slice(), &longest, b"v"]), "OK");
    assert_eq!(client.ask_args(&[b"GET".as_slice(), &longest]), "\"v\"");
    let reply = client.ask_args(&[b"SET".as_slice(), &vec![b'k'; 65_536], b"v"]);
    assert!(reply.starts_with("(error) ERR ") && reply.contains("65535"), "{reply}");
    assert_eq!(client.ask("DBSIZE"), "(integer) 1");
}

// ---- rude clients

#[test]
fn a_flood_of_connections_stays_within_maxclients() {
    let server = start(&["--maxclients", "20"]);
    let mut flood: Vec<Client> = (0..100).map(|_| server.client()).collect();
    let mut served = 0;
    for client in &mut flood {
        // A refused connection may be reset while it still writes; either way its last words are read below.
        let _ = client.send_bytes(b"*1\r\n$4\r\nPI");
    }
    for client in &mut flood {
        match client.receive_some(Duration::from_millis(20)) {
            Ok(bytes) if bytes.is_empty() => served += 1,
            Ok(bytes) => assert_eq!(bytes, b"-ERR max number of clients reached\r\n"),
            Err(_) => {}
        }
    }
    assert!((19..=20).contains(&served), "{served} of 100 are served");
    drop(flood);
    eventually("places are free again", || {
        let mut client = server.client();
        client.send_bytes(b"PING\r\n").is_ok() && client.next_frame().is_ok_and(|frame| frame.printed() == "PONG")
    });
}

#[test]
fn a_silent_client_is_closed_after_the_timeout_and_a_busy_one_is_not() {
    let server = start(&["--timeout", "1"]);
    let (mut silent, mut busy) = (server.client(), server.client());
    assert_eq!(silent.ask("PING"), "PONG");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2_500) {
        assert_eq!(busy.ask("PING"), "PONG");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(silent.reads_to_end().unwrap(), b"");
}

#[test]
fn a_half_closed_connection_gets_its_replies() {
    let server = start(&[]);
    let mut client = server.client();
    client.send_bytes(&encode(&["PING"]).repeat(100)).unwrap();
    client.close_sending().unwrap();
    assert_eq!(client.reads_to_end().unwrap(), b"+PONG\r\n".repeat(100));
}

#[test]
fn half_a_request_and_then_an_end_leaves_nothing_behind() {
    let server = start(&[]);
    for _ in 0..50 {
        let mut client = server.client();
        client.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n0123456789").unwrap();
    }
    let mut client = server.client();
    eventually("only this client is left", || client.ask("INFO clients").contains("connected_clients:1\\r"));
    assert_eq!(client.ask("DBSIZE"), "(integer) 0");
}

#[test]
fn a_client_that_vanishes_with_replies_unread_harms_nobody() {
    let server = start(&[]);
    let value = vec![b'x'; MIB];
    server.client().ask_args(&[b"SET".as_slice(), b"k", &value]);
    for _ in 0..10 {
        let mut client = server.client();
        client.send_bytes(&encode(&["GET", "k"]).repeat(20)).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    let mut client = server.client();
    eventually("only this client is left", || client.ask("INFO clients").contains("connected_clients:1\\r"));
    assert_eq!(client.ask("STRLEN k"), "(integer) 1048576");
}

#[test]
fn a_client_that_does_not_read_does_not_stop_the_others() {
    let server = start(&[]);
    let value = vec![b'x'; MIB];
    server.client().ask_args(&[b"SET".as_slice(), b"k", &value]);
    let mut deaf = server.client();
    deaf.send_bytes(&encode(&["GET", "k"]).repeat(50)).unwrap();
    let mut client = server.client();
    for _ in 0..100 {
        let begun = Instant::now();
        assert_eq!(client.ask("PING"), "PONG");
        assert!(begun.elapsed() < Duration::from_secs(2), "a PING beside a deaf client took {:?}", begun.elapsed());
    }
}

// ---- order and size

#[test]
fn a_pipeline_is_answered_in_order() {
    let server = start(&[]);
    let mut client = server.client();
    let count = 20_000;
    let requests: Vec<u8> = (0..count).flat_map(|number| encode(&["ECHO", &number.to_string()])).collect();
    let mut expected = Vec::new();
    for number in 0..count {
        let text = number.to_string();
        expected.extend_from_slice(format!("${}\r\n{text}\r\n", text.len()).as_bytes());
    }
    client.send_bytes(&requests).unwrap();
    client.close_sending().unwrap();
    assert_eq!(client.reads_to_end().unwrap(), expected);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = start(&[]);
    let mut client = server.client();
    for byte in encode(&["SET", "key", "value"]).iter().chain(b"GET key\r\n") {
        client.send_bytes(&[*byte]).unwrap();
    }
    assert_eq!(client.next_frame().unwrap().printed(), "OK");
    assert_eq!(client.next_frame().unwrap().printed(), "\"value\"");
}

#[test]
fn a_large_value_comes_back_as_it_went() {
    let server = start(&[]);
    let mut client = server.client();
    let value: Vec<u8> = (0..32 * MIB).map(|at| (at % 251) as u8).collect();
    assert_eq!(client.ask_args(&[b"SET".as_slice(), b"k", &value]), "OK");
    client.send_bytes(&encode(&["GET", "k"])).unwrap();
    assert!(client.next_frame().unwrap() == Frame::Bulk(value), "the bytes differ");
}

#[test]
fn above_maxmemory_writes_are_refused_and_reads_go_on() {
    let server = start(&["--maxmemory", "32mb"]);
    let mut client = server.client();
    let value = vec![b'x'; 64 * 1024];
    let refused = (0..1_000).find_map(|number| {
        let reply = client.ask_args(&[b"SET".as_slice(), format!("k{number}").as_bytes(), &value]);
        (reply != "OK").then_some(reply)
    });
    assert_eq!(refused.as_deref(), Some("(error) OOM command not allowed when used memory > 'maxmemory'."));
    assert_eq!(client.ask("STRLEN k0"), "(integer) 65536");
    // What Redis does not count among the writes that need memory is not refused.
    assert_eq!(client.ask("EXPIRE k0 100"), "(integer) 1");
    assert_eq!(client.ask("RENAME k0 renamed"), "OK");
    assert_eq!(client.ask("PERSIST renamed"), "(integer) 1");
    assert_eq!(client.ask("STRLEN renamed"), "(integer) 65536");
    assert_eq!(client.ask("FLUSHALL"), "OK");
    eventually("there is room again", || client.ask("SET k v") == "OK");
}

// ---- long commands among others

#[test]
fn nobody_sees_a_long_command_half_done() {
    const KEYS: usize = 3000;
    const ROUNDS: usize = 15;
    let server = start(&[]);
    let keys: Vec<String> = (0..KEYS).map(|key| format!("key:{key}")).collect();
    let set_all = |number: usize| {
        let pairs = keys.iter().flat_map(|key| [key.clone(), number.to_string()]);
        encode(&[String::from("MSET")].into_iter().chain(pairs).collect::<Vec<_>>())
    };
    let words =
        |command: &str| encode(&[command].into_iter().chain(keys.iter().map(String::as_str)).collect::<Vec<_>>());
    let (get_all, count_all) = (words("MGET"), words("EXISTS"));
    server.client().send_bytes(&set_all(0)).unwrap();
    thread::scope(|scope| {
        for writer in 1..=3 {
            let (server, set_all) = (&server, &set_all);
            scope.spawn(move || {
                let mut client = server.client();
                for round in 0..ROUNDS {
                    client.send_bytes(&set_all(writer + 10 * round)).unwrap();
                    assert_eq!(client.next_frame().unwrap().printed(), "OK");
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = server.client();
                for _ in 0..ROUNDS {
                    client.send_bytes(&get_all).unwrap();
                    let Frame::Array(values) = client.next_frame().unwrap() else {
                        panic!("MGET answers with an array")
                    };
                    assert_eq!(values.len(), KEYS);
                    assert!(values.iter().all(|value| *value == values[0]), "two values at one moment");
                    client.send_bytes(&count_all).unwrap();
                    let count = client.next_frame().unwrap().printed();
                    assert!([0, KEYS].map(|count| format!("(integer) {count}")).contains(&count), "{count}");
                }
            });
        }
    });
}

#[test]
fn a_long_command_is_whole_though_its_client_has_gone() {
    let server = start(&[]);
    let pairs = (0..200_000).flat_map(|key| [format!("key:{key}"), String::from("x")]);
    let request = encode(&[String::from("MSET")].into_iter().chain(pairs).collect::<Vec<_>>());
    let mut client = server.client();
    client.send_bytes(&request).unwrap();
    drop(client);
    let mut other = server.client();
    // DBSIZE may come before the request has arrived, but it does not see half of it.
    eventually("all keys are there", || match other.ask("DBSIZE").as_str() {
        "(integer) 0" => false,
        "(integer) 200000" => true,
        size => panic!("{size} keys"),
    });
    other.send_bytes(&encode(&["KEYS", "*99"])).unwrap();
    let Frame::Array(keys) = other.next_frame().unwrap() else { panic!("KEYS answers with an array") };
    assert_eq!(keys.len(), 2000);
}

// ---- what tools ask first

#[test]
fn redis_benchmark_can_ask_its_first_questions() {
    let server = start(&[]);
    let mut client = server.client();
    for setting in ["save", "appendonly"] {
        let reply = client.ask(&format!("CONFIG GET {setting}"));
        assert!(reply.starts_with(&format!("1) \"{setting}\"\n2) ")), "{reply}");
    }
}
