//! The engine without commands: who may connect, what is counted, what time does.

use super::*;

fn at(seconds: u64) -> Now {
    Now { unix_us: 1_700_000_000_000_000 + seconds as i64 * 1_000_000, monotonic_us: seconds * 1_000_000 }
}

fn engine(lines: &[&str]) -> Engine {
    let mut settings = Settings::default();
    for line in lines {
        settings.apply_line(line.as_bytes()).unwrap();
    }
    Engine::new(settings, [1, 2], at(0))
}

fn peer(addr: &str) -> Peer {
    Peer { addr: addr.to_owned(), ..Peer::default() }
}

fn refusal(engine: &mut Engine, addr: &str) -> String {
    let error = engine.connect(peer(addr)).expect_err("refused");
    String::from_utf8_lossy(&error.text()).into_owned()
}

#[test]
fn no_more_clients_than_maxclients_are_connected() {
    let mut engine = engine(&["maxclients 2"]);
    let first = engine.connect(peer("127.0.0.1:1")).unwrap();
    engine.connect(peer("127.0.0.1:2")).unwrap();
    assert_eq!(refusal(&mut engine, "127.0.0.1:3"), "ERR max number of clients reached");
    engine.disconnect(first);
    engine.connect(peer("127.0.0.1:4")).unwrap();
    assert_eq!(engine.stats.connections_rejected, 1);
}

#[test]
fn without_a_password_only_local_clients_are_served() {
    let mut open = engine(&[]);
    for local in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        open.connect(peer(local)).unwrap();
    }
    let unix = Peer { unix: true, addr: "/run/socket:0".to_owned(), ..Peer::default() };
    open.connect(unix).unwrap();
    for remote in ["10.0.0.1:1", "[2001:db8::1]:1", "garbage"] {
        assert!(refusal(&mut open, remote).starts_with("DENIED "));
    }
    engine(&["requirepass x"]).connect(peer("10.0.0.1:1")).unwrap();
    engine(&["protected-mode no"]).connect(peer("10.0.0.1:1")).unwrap();
}

#[test]
fn silent_clients_are_found_when_there_is_a_timeout() {
    let mut engine = engine(&["timeout 10"]);
    let silent = engine.connect(peer("127.0.0.1:1")).unwrap();
    let busy = engine.connect(peer("127.0.0.1:2")).unwrap();
    engine.set_now(at(8));
    engine.note_io(busy, 10, 0, 0, &Reply::new());
    engine.set_now(at(10));
    assert_eq!(engine.idle_clients(), []);
    engine.set_now(at(11));
    assert_eq!(engine.idle_clients(), [silent]);
}

#[test]
fn the_buffers_of_clients_are_memory_in_use_until_they_go() {
    let mut engine = engine(&[]);
    let before = engine.memory_used();
    let client = engine.connect(peer("127.0.0.1:1")).unwrap();
    let mut reply = Reply::new();
    reply.raw(&[0; 200]);
    engine.note_io(client, 100, 50, 1000, &reply);
    assert_eq!(engine.memory_used(), before + 1200);
    engine.note_io(client, 0, 0, 10, &Reply::new());
    assert_eq!(engine.memory_used(), before + 10);
    engine.disconnect(client);
    assert_eq!(engine.memory_used(), before);
    assert_eq!(engine.stats.net_input_bytes, 100);
    assert_eq!(engine.stats.net_output_bytes, 50);
    assert_eq!(engine.stats.reads_processed, 1);
}

#[test]
fn a_client_is_held_to_small_requests_until_it_has_shown_the_password() {
    let mut engine = engine(&["requirepass x"]);
    let client = engine.connect(peer("127.0.0.1:1")).unwrap();
    assert!(engine.limits(client).unauthenticated);
    engine.client_mut(client).authenticated = true;
    assert!(!engine.limits(client).unauthenticated);
}

#[test]
fn two_runs_have_different_ids_of_forty_digits() {
    let id = |seed| Engine::new(Settings::default(), seed, at(0)).run_id;
    assert_eq!(id([1, 2]).len(), 40);
    assert_ne!(id([1, 2]), id([1, 3]));
}

#[test]
fn every_line_of_info_is_a_title_or_a_field() {
    let engine = engine(&[]);
    let text = info::info(&engine, info::Asked::named(b"everything"));
    for line in text.split_terminator("\r\n") {
        assert!(line.is_empty() || line.starts_with("# ") || line.contains(':'), "{line}");
    }
    for section in info::INFO {
        assert_eq!(section.title.to_ascii_lowercase(), section.name);
        assert!(text.contains(&format!("# {}\r\n", section.title)));
    }
    assert!(!info::info(&engine, info::Asked::default()).contains("# Commandstats"));
    assert_eq!(info::info(&engine, info::Asked::named(b"nosuch")), "");
}
