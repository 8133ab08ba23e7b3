//! The event loop from outside: real sockets, one server for each test, in a thread of its own.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use resp_server::engine::Settings;
use resp_server::server::{Server, ServerError};

const MIB: usize = 1024 * 1024;

/// A server that runs, on a Unix socket and whatever else the test has set.
struct TestServer {
    path: PathBuf,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl TestServer {
    fn start() -> TestServer {
        TestServer::start_with(|_| {})
    }

    fn start_with(configure: impl FnOnce(&mut Settings)) -> TestServer {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("event-loop-{}-{number}.sock", std::process::id()));
        let mut settings = Settings { port: 0, unixsocket: path.to_str().unwrap().to_owned(), ..Settings::default() };
        configure(&mut settings);
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let server = Server::bind(settings)?;
            ready.send(()).unwrap();
            server.run()
        });
        is_ready.recv().expect("the server listens");
        TestServer { path, thread: Some(thread) }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn stop(&mut self) -> Result<(), ServerError> {
        let thread = self.thread.take().expect("the server is stopped once");
        while !thread.is_finished() {
            // Refused while the server is full, or gone: both are no matter.
            if let Ok(mut stream) = UnixStream::connect(&self.path) {
                let _ = stream.write_all(b"SHUTDOWN NOSAVE\r\n");
                let _ = stream.read(&mut [0; 64]);
            }
        }
        thread.join().expect("the server does not panic")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.thread.is_some() && !std::thread::panicking() {
            self.stop().expect("the server ends in order");
        }
    }
}

#[track_caller]
fn expect(stream: &mut impl Read, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[track_caller]
fn expect_end(stream: &mut impl Read, expected: &[u8]) {
    let mut got = Vec::new();
    match stream.read_to_end(&mut got) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string()),
    }
}

/// The request and the reply of an ECHO.
fn echo(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let bulk = [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    ([b"*2\r\n$4\r\nECHO\r\n", &bulk[..]].concat(), bulk)
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_request_in_single_bytes_is_answered() {
    let server = TestServer::start();
    let mut client = server.connect();
    let (request, reply) = echo(b"some bytes");
    for byte in [&request[..], b"PING\r\n"].concat() {
        client.write_all(&[byte]).unwrap();
    }
    expect(&mut client, &reply);
    expect(&mut client, b"+PONG\r\n");
}

#[test]
fn what_came_before_the_end_of_the_stream_is_answered() {
    let server = TestServer::start();
    let mut client = server.connect();
    let (request, reply) = echo(&vec![b'x'; 3 * MIB]);
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        writer.write_all(&[b"PING\r\n", &request[..], b"PING\r\n*1\r\n$4\r\nPI"].concat()).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    writing.join().unwrap();
    expect_end(&mut client, &[b"+PONG\r\n", &reply[..], b"+PONG\r\n"].concat());
}

#[test]
fn a_protocol_error_comes_behind_the_replies_and_closes() {
    let server = TestServer::start();
    for (request, reply) in [
        (&b"PING\r\n*1\r\n$536870913\r\n"[..], &b"+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"[..]),
        (b"*2147483648\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"PING\r\nPING 'a\r\n", b"+PONG\r\n-ERR Protocol error: unbalanced quotes in request\r\n"),
        (b"*1\r\n\r\n", b"-ERR Protocol error: expected '$', got ' '\r\n"),
    ] {
        let mut client = server.connect();
        client.write_all(request).unwrap();
        expect_end(&mut client, reply);
    }
}

#[test]
fn nothing_behind_quit_is_answered() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.write_all(b"PING\r\nQUIT\r\nPING\r\n").unwrap();
    expect_end(&mut client, b"+PONG\r\n+OK\r\n");
}

#[test]
fn a_pipeline_of_many_turns_is_answered_in_order_beside_others() {
    const REQUESTS: usize = 300_000;
    let server = TestServer::start();
    let mut client = server.connect();
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        for first in (0..REQUESTS).step_by(1000) {
            let part: Vec<u8> = (first..first + 1000).flat_map(|n| echo(n.to_string().as_bytes()).0).collect();
            writer.write_all(&part).unwrap();
        }
    });
    let mut other = server.connect();
    for n in 0..REQUESTS {
        expect(&mut client, &echo(n.to_string().as_bytes()).1);
        if n % 10_000 == 0 {
            other.write_all(b"PING\r\n").unwrap();
            expect(&mut other, b"+PONG\r\n");
        }
    }
    writing.join().unwrap();
}

#[test]
fn a_client_may_send_its_whole_pipeline_before_it_reads() {
    let server = TestServer::start();
    let mut client = server.connect();
    let (request, reply) = echo(&vec![b'x'; MIB]);
    for _ in 0..40 {
        client.write_all(&request).unwrap();
    }
    for _ in 0..40 {
        expect(&mut client, &reply);
    }
}

#[test]
fn a_client_that_does_not_read_is_not_read_and_stalls_nobody() {
    const ECHOES: usize = 200;
    let server = TestServer::start();
    let mut slow = server.connect();
    let (request, reply) = echo(&vec![b'x'; MIB]);
    let mut writer = slow.try_clone().unwrap();
    let (sent, is_sent) = mpsc::channel();
    let writing = std::thread::spawn(move || {
        for number in 0..ECHOES {
            writer.write_all(&request).unwrap();
            sent.send(number).unwrap();
        }
    });
    // The server stops reading at some point: no request goes through for a while.
    let mut taken = 0;
    while is_sent.recv_timeout(Duration::from_millis(300)).is_ok() {
        taken += 1;
    }
    assert!((10..ECHOES).contains(&taken), "{taken} requests were read");
    let mut other = server.connect();
    other.write_all(b"PING\r\n").unwrap();
    expect(&mut other, b"+PONG\r\n");
    for _ in 0..ECHOES {
        expect(&mut slow, &reply);
    }
    writing.join().unwrap();
}

#[test]
fn a_long_request_arrives_in_any_pieces() {
    let server = TestServer::start();
    let bytes: Vec<u8> = (0..9 * MIB as u32).map(|n| (n % 251) as u8).collect();
    let (request, reply) = echo(&bytes);
    for piece in [1000, 65_536, 100_001, request.len() - 1, request.len()] {
        let mut client = server.connect();
        let mut writer = client.try_clone().unwrap();
        let all = [b"PING\r\n", &request[..], b"PING\r\n"].concat();
        let writing = std::thread::spawn(move || {
            all.chunks(piece).for_each(|piece| writer.write_all(piece).unwrap());
        });
        expect(&mut client, b"+PONG\r\n");
        let mut got = vec![0; reply.len()];
        client.read_exact(&mut got).unwrap();
        assert!(got == reply, "the same bytes in pieces of {piece}");
        expect(&mut client, b"+PONG\r\n");
        writing.join().unwrap();
    }
}

#[test]
fn an_announced_length_takes_no_memory() {
    let server = TestServer::start();
    let before = resident_bytes();
    let mut clients: Vec<UnixStream> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"*2\r\n$4\r\nECHO\r\n$500000000\r\n").unwrap();
        client.write_all(&[b'x'; 20_000]).unwrap();
    }
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    let mut other = server.connect();
    other.write_all(b"PING\r\n").unwrap();
    expect(&mut other, b"+PONG\r\n");
    // The other tests run beside this one, so the bound is loose: what was announced are 100 GB.
    assert!(resident_bytes().saturating_sub(before) < 1024 * MIB);
}

#[test]
fn clients_beyond_maxclients_are_told_and_closed() {
    let server = TestServer::start_with(|settings| settings.maxclients = 2);
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.write_all(b"PING\r\n").unwrap();
        expect(client, b"+PONG\r\n");
    }
    expect_end(&mut server.connect(), b"-ERR max number of clients reached\r\n");
    let [first, mut second] = clients;
    drop(first);
    second.write_all(b"PING\r\n").unwrap();
    expect(&mut second, b"+PONG\r\n");
    // There is room again as soon as the server has seen the first one go.
    for attempt in 0.. {
        let mut third = server.connect();
        let answered = third.write_all(b"PING\r\n").is_ok() && matches!(third.read(&mut [0]), Ok(1)) && {
            let mut rest = [0; 6];
            third.read_exact(&mut rest).is_ok() && &rest == b"PONG\r\n"
        };
        if answered {
            break;
        }
        assert!(attempt < 1000, "the place of a client that left is free");
    }
}

#[test]
fn a_silent_client_is_closed_after_the_timeout() {
    let server = TestServer::start_with(|settings| settings.timeout = 1);
    let mut client = server.connect();
    client.write_all(b"PING\r\n").unwrap();
    expect_end(&mut client, b"+PONG\r\n");
}

#[test]
fn shutdown_sends_what_is_owed_and_removes_the_socket() {
    let mut server = TestServer::start();
    let mut client = server.connect();
    let (request, reply) = echo(&vec![b'x'; 4 * MIB]);
    client.write_all(&request).unwrap();
    expect(&mut client, &reply[..10]);
    let stopping = std::thread::spawn(move || {
        server.stop().unwrap();
        server.path.clone()
    });
    expect_end(&mut client, &reply[10..]);
    let path = stopping.join().unwrap();
    assert!(!Path::new(&path).exists());
}

/// A port of 127.0.0.1 on which nothing listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn tcp_is_served_on_every_address_that_is_there() {
    let port = free_port();
    let server = TestServer::start_with(|settings| {
        settings.port = port;
        // The last two are reserved for documentation: no machine has them.
        settings.bind = ["127.0.0.1", "127.0.0.2", "-192.0.2.1", "-2001:db8::1"].map(str::to_owned).to_vec();
    });
    for host in ["127.0.0.1", "127.0.0.2"] {
        let mut client = TcpStream::connect((host, port)).unwrap();
        client.write_all(b"PING\r\n").unwrap();
        expect(&mut client, b"+PONG\r\n");
    }
    drop(server);
}

#[test]
fn an_address_that_is_taken_or_missing_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for bind in ["127.0.0.1", "-127.0.0.1", "192.0.2.1"] {
        let settings = Settings { port, bind: vec![bind.to_owned()], ..Settings::default() };
        assert!(matches!(Server::bind(settings), Err(ServerError::Listen { .. })), "{bind}");
    }
    let settings = Settings { port, bind: vec!["-192.0.2.1".to_owned()], ..Settings::default() };
    assert!(matches!(Server::bind(settings), Err(ServerError::NothingToListenOn)));
}
