//! Requests that wait for a key, over sockets: the binary, many clients, real time.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use test_support::client::encode;
use test_support::{Client, Server, server};

fn start() -> Server {
    Server::start(&server::binary(env!("CARGO_BIN_EXE_evenkeel")), &[]).unwrap()
}

/// Waits until so many clients are blocked.
fn await_blocked(client: &mut Client, count: usize) {
    let line = format!("blocked_clients:{count}\\r\\n");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !client.ask("INFO clients").contains(&line) {
        assert!(Instant::now() < deadline, "{count} clients should be blocked: {}", client.ask("INFO clients"));
    }
}

fn printed(client: &mut Client) -> String {
    client.next_frame().unwrap().printed()
}

#[test]
fn many_clients_get_each_element_once_in_the_order_in_which_they_came() {
    const WAITERS: usize = 300;
    let server = start();
    let mut pusher = server.client();
    let mut waiters: Vec<Client> = (0..WAITERS).map(|_| server.client()).collect();
    for (at, waiter) in waiters.iter_mut().enumerate() {
        waiter.send_bytes(b"BLPOP none q 0\r\n").unwrap();
        if at % 50 == 0 {
            await_blocked(&mut pusher, at + 1);
        }
    }
    await_blocked(&mut pusher, WAITERS);
    // One by one, then many at once, and a pop of the pusher's own behind each push.
    for at in 0..WAITERS / 2 {
        pusher.send_bytes(format!("RPUSH q {at}\r\nLPOP q\r\n").as_bytes()).unwrap();
        assert_eq!(printed(&mut pusher), "(integer) 1");
        assert_eq!(printed(&mut pusher), "(nil)", "the pusher takes nothing from those who wait");
    }
    let rest: Vec<String> = (WAITERS / 2..WAITERS + 1).map(|at| at.to_string()).collect();
    pusher.send_bytes(format!("RPUSH q {}\r\nLRANGE q 0 -1\r\n", rest.join(" ")).as_bytes()).unwrap();
    assert_eq!(printed(&mut pusher), format!("(integer) {}", rest.len()));
    assert_eq!(printed(&mut pusher), format!("1) \"{WAITERS}\""));
    let got: BTreeSet<String> = waiters.iter_mut().map(printed).collect();
    assert_eq!(got.len(), WAITERS, "nobody waits on, and none has what another has");
    await_blocked(&mut pusher, 0);
}

#[test]
fn requests_behind_one_that_waits_wait_too() {
    let server = start();
    let (mut waiter, mut pusher) = (server.client(), server.client());
    waiter.send_bytes(b"PING first\r\nBLPOP q 0\r\nPING second\r\nBLPOP q 0\r\n").unwrap();
    assert_eq!(printed(&mut waiter), "\"first\"");
    await_blocked(&mut pusher, 1);
    waiter.send_bytes(b"PING third\r\n").unwrap();
    waiter.send_bytes(&encode(&["SET", "long", &"x".repeat(100_000)])).unwrap();
    waiter.send_bytes(b"STRLEN long\r\n").unwrap();
    assert!(waiter.receive_some(Duration::from_millis(50)).unwrap().is_empty());
    assert_eq!(pusher.ask("RPUSH q a b"), "(integer) 2");
    for expected in ["1) \"q\"\n2) \"a\"", "\"second\"", "1) \"q\"\n2) \"b\"", "\"third\"", "OK", "(integer) 100000"] {
        assert_eq!(printed(&mut waiter), expected);
    }
}

#[test]
fn who_has_gone_takes_nothing() {
    let server = start();
    let mut pusher = server.client();
    for round in 0..20 {
        let mut gone = server.client();
        gone.send_bytes(b"BLPOP q 0\r\nPING\r\n").unwrap();
        await_blocked(&mut pusher, 1);
        if round % 2 == 0 {
            gone.close_sending().unwrap();
        } else {
            drop(gone);
        }
        await_blocked(&mut pusher, 0);
        assert_eq!(pusher.ask("RPUSH q x"), "(integer) 1");
        assert_eq!(pusher.ask("LPOP q"), "\"x\"");
    }
    assert!(pusher.ask("INFO clients").contains("total_blocking_keys:0\\r\\n"));
}

#[test]
fn time_is_kept_to_some_milliseconds() {
    let server = start();
    let mut client = server.client();
    // Long enough for the jobs to have fallen asleep.
    std::thread::sleep(Duration::from_millis(300));
    for seconds in [0.02, 0.115, 0.25, 0.001] {
        let began = Instant::now();
        assert_eq!(client.ask(&format!("BLPOP none {seconds}")), "(nil)");
        let took = began.elapsed().as_secs_f64();
        assert!(took >= seconds, "{took} of {seconds}");
        // The machine may be busy; a clock that ticks ten times a second would show.
        assert!(took < seconds + 0.05, "{took} of {seconds}");
    }
}

#[test]
fn a_wait_ends_by_order() {
    let server = start();
    let (mut waiter, mut other) = (server.client(), server.client());
    let id = waiter.ask("CLIENT ID").trim_start_matches("(integer) ").to_owned();
    for (how, expected) in
        [("", "(nil)"), ("TIMEOUT", "(nil)"), ("ERROR", "(error) UNBLOCKED client unblocked via CLIENT UNBLOCK")]
    {
        waiter.send_bytes(b"BLPOP q 0\r\n").unwrap();
        await_blocked(&mut other, 1);
        assert_eq!(other.ask(&format!("CLIENT UNBLOCK {id} {how}")), "(integer) 1");
        assert_eq!(printed(&mut waiter), expected);
        assert_eq!(other.ask(&format!("CLIENT UNBLOCK {id}")), "(integer) 0");
    }
    assert_eq!(waiter.ask("PING"), "PONG");
}
