//! Clients that are killed, paused or do not listen, also in the middle of long commands.

use super::*;
use crate::dispatch::serve_parked;
use crate::engine::Now;

const PARKED: Outcome = Err(Pause::Park);

impl Clients {
    fn at_us(&mut self, us: u64) {
        let begin = at_second(0);
        self.engine.set_now(Now { unix_us: begin.unix_us + us as i64, monotonic_us: begin.monotonic_us + us });
        // Who was killed is not taken in between, so the jobs would go on for ever.
        (0..50).for_each(|_| {
            self.engine.run_jobs(false);
        });
        serve_parked(&mut self.engine);
        self.engine.audit_parked();
    }

    /// What the event loop does with clients that were killed.
    fn end_killed(&mut self) -> Vec<ClientId> {
        let killed = self.engine.take_killed(usize::MAX);
        killed.iter().for_each(|&client| self.leave(client));
        killed
    }

    fn kill(&mut self, by: ClientId, client: ClientId) {
        let id = client.0.to_string();
        assert_eq!(self.ask(by, &["CLIENT", "KILL", "ID", &id]), ok(":1\r\n"));
        assert_eq!(self.end_killed(), [client]);
    }
}

#[test]
fn a_paused_client_waits_and_a_reader_goes_on() {
    let mut clients = Clients::new();
    let [admin, writer, reader] = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask(admin, &words("CLIENT PAUSE 100 WRITE")), ok(OK));
    assert_eq!(clients.ask(writer, &words("SET k v")), PARKED);
    assert_eq!(clients.ask(reader, &words("GET k")), ok("$-1\r\n"));
    assert!(clients.engine.client(writer).blocked);
    // A write that is wrong in form is told so at once.
    assert!(clients.ask(reader, &words("SET k")).is_ok_and(|reply| reply.starts_with("-ERR wrong number")));
    assert_eq!(clients.engine.next_timeout_us(), Some(100_000));
    clients.at_us(99_999);
    assert_eq!(clients.turn(writer), PARKED);
    clients.at_us(100_000);
    assert!(clients.engine.outbox.take_woken(2).eq([writer]));
    assert_eq!(clients.turn(writer), ok(OK));
    assert!(!clients.engine.client(writer).blocked);
    assert_eq!(clients.engine.next_timeout_us(), None);
}

#[test]
fn a_pause_is_neither_shortened_nor_loosened_and_ends_at_once_when_asked() {
    let mut clients = Clients::new();
    let [admin, other] = [(); 2].map(|()| clients.connect());
    for request in ["CLIENT PAUSE 100 WRITE", "CLIENT PAUSE 50 WRITE"] {
        assert_eq!(clients.ask(admin, &words(request)), ok(OK));
    }
    assert_eq!(clients.engine.next_timeout_us(), Some(100_000));
    assert_eq!(clients.ask(other, &words("DEL k")), PARKED);
    assert_eq!(clients.ask(admin, &words("CLIENT UNPAUSE")), ok(OK));
    clients.at_us(1);
    assert_eq!(clients.turn(other), ok(":0\r\n"));

    assert_eq!(clients.ask(admin, &words("CLIENT PAUSE 100 ALL")), ok(OK));
    assert_eq!(clients.ask(admin, &words("CLIENT UNPAUSE")), PARKED);
    assert_eq!(clients.ask(other, &words("PING")), PARKED);
    clients.at_us(100_001);
    assert_eq!(clients.turn(admin), ok(OK));
    assert_eq!(clients.turn(other), ok("+PONG\r\n"));
}

#[test]
fn keys_stay_in_a_pause_and_clients_that_leave_are_forgotten() {
    let mut clients = Clients::new();
    let [admin, writer, other] = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask(admin, &words("SET k v PX 10")), ok(OK));
    assert_eq!(clients.ask(admin, &words("CLIENT PAUSE 200 WRITE")), ok(OK));
    assert_eq!(clients.ask(writer, &words("SET a b")), PARKED);
    assert_eq!(clients.ask(other, &words("SET b c")), PARKED);
    clients.at_us(150_000);
    assert_eq!(clients.ask(admin, &words("DBSIZE")), ok(":1\r\n"));
    clients.leave(writer);
    clients.kill(admin, other);
    clients.at_us(200_000);
    assert_eq!(clients.engine.pause.postponed(), 0);
    assert_eq!(clients.ask(admin, &words("DBSIZE")), ok(":0\r\n"));
}

#[test]
fn a_client_that_is_killed_while_it_waits_takes_nothing() {
    let mut clients = Clients::new();
    let [admin, first, second] = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask(first, &words("BLPOP l 0")), PARKED);
    assert_eq!(clients.ask(second, &words("BLPOP l 0")), PARKED);
    let id = first.0.to_string();
    assert_eq!(clients.ask(admin, &["CLIENT", "KILL", "ID", &id]), ok(":1\r\n"));
    // Before its connection has ended.
    assert_eq!(clients.ask(admin, &words("RPUSH l a")), ok(":1\r\n"));
    assert_eq!(clients.turn(second), ok("*2\r\n$1\r\nl\r\n$1\r\na\r\n"));
    assert_eq!(clients.end_killed(), [first]);
    assert_eq!(clients.ask(admin, &["CLIENT", "KILL", "ID", &id]), ok(":0\r\n"));
    clients.engine.audit_parked();
}

#[test]
fn a_long_write_of_a_client_that_is_killed_comes_to_its_end_and_a_long_read_ends() {
    let mut clients = Clients::new();
    let [admin, writer, reader, waiter] = [(); 4].map(|()| clients.connect());
    assert_eq!(clients.ask(writer, &of_pairs("MSET", 0..MANY, "x")), SLICE);
    assert_eq!(clients.turn(writer), SLICE);
    assert_eq!(clients.ask(waiter, &words("SET key:0 y")), WAIT);
    clients.kill(admin, waiter);
    clients.kill(admin, writer);
    clients.run_jobs();
    assert_eq!(clients.ask(admin, &words("DBSIZE")), ok(":2000\r\n"));
    assert_eq!(clients.ask(reader, &of_keys("MGET", 0..MANY)), SLICE);
    clients.kill(admin, reader);
    clients.run_jobs();
    assert!(clients.engine.holds.is_idle());
    assert_eq!(clients.ask(admin, &words("GET key:0")), ok("$1\r\nx\r\n"));
}

#[test]
fn a_killed_client_gets_nothing_done_although_its_connection_lasts() {
    let mut clients = Clients::new();
    let [admin, other] = [(); 2].map(|()| clients.connect());
    let id = other.0.to_string();
    assert_eq!(clients.ask(admin, &["CLIENT", "KILL", "ID", &id]), ok(":1\r\n"));
    assert_eq!(clients.ask(other, &words("SET k v")), ok(""));
    assert_eq!(clients.ask(admin, &words("GET k")), ok("$-1\r\n"));
    assert_eq!(clients.ask(admin, &["CLIENT", "LIST", "ID", &id]), ok("$0\r\n\r\n"));
}

#[test]
fn a_subscriber_and_a_monitor_that_are_killed_get_nothing_more() {
    let mut clients = Clients::new();
    let [admin, subscriber, monitor, tracker] = [(); 4].map(|()| clients.connect());
    assert!(clients.ask(subscriber, &words("SUBSCRIBE channel")).is_ok());
    assert!(clients.ask(monitor, &words("MONITOR")).is_ok());
    assert!(clients.ask(tracker, &words("CLIENT TRACKING ON BCAST")).is_ok());
    for client in [subscriber, monitor, tracker] {
        let id = client.0.to_string();
        assert_eq!(clients.ask(admin, &["CLIENT", "KILL", "ID", &id]), ok(":1\r\n"));
    }
    // Before their connections have ended.
    assert_eq!(clients.ask(admin, &words("PUBLISH channel message")), ok(":0\r\n"));
    assert_eq!(clients.ask(admin, &words("SET k v")), ok(OK));
    assert_eq!(clients.engine.pubsub.clients(), 0);
    assert_eq!(clients.engine.tracking.clients(), 0);
    for client in [subscriber, monitor, tracker] {
        assert!(clients.engine.outbox.take(client).is_none());
    }
    clients.end_killed();
    clients.run_jobs();
    assert_eq!(clients.ask(admin, &words("PUBLISH channel message")), ok(":0\r\n"));
}

#[test]
fn in_a_transaction_no_reply_is_given_from_where_it_is_not_wanted_to_where_it_is() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let mut check =
        |request: &str, reply: &str| assert_eq!(clients.ask(client, &words(request)), ok(reply), "{request}");
    check("MULTI", OK);
    for request in ["SET k v", "CLIENT REPLY OFF", "GET k", "CLIENT REPLY ON", "GET k", "CLIENT REPLY OFF", "PING"] {
        check(request, "+QUEUED\r\n");
    }
    check("EXEC", "*7\r\n+OK\r\n+OK\r\n$1\r\nv\r\n");
    check("PING", "");
}

#[test]
fn who_wants_no_reply_gets_none_and_the_command_is_carried_out() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let mut check =
        |request: &str, reply: &str| assert_eq!(clients.ask(client, &words(request)), ok(reply), "{request}");
    check("CLIENT REPLY OFF", "");
    for request in ["SET k v", "GET", "nosuch", "CLIENT REPLY SKIP", "PING", "CLIENT REPLY maybe"] {
        check(request, "");
    }
    check("CLIENT REPLY ON", OK);
    check("GET k", "$1\r\nv\r\n");
    for request in ["SET k w", "GET", "nosuch", "HELLO 3", "CLIENT REPLY SKIP"] {
        check("CLIENT REPLY SKIP", "");
        check(request, "");
    }
    check("GET k", "");
    check("GET nothing", "_\r\n");
    check("CLIENT REPLY SKIP", "");
    check("CLIENT REPLY ON", OK);
    check("CLIENT REPLY SKIP", "");
    check("CLIENT REPLY OFF", "");
    check("RESET", "+RESET\r\n");
    check("CLIENT REPLY SKIP", "");
    check("RESET", "");
    check("PING", "+PONG\r\n");
}

#[test]
fn replies_of_long_commands_and_of_those_that_wait_are_skipped_whole() {
    let mut clients = Clients::new();
    let [client, other] = [(); 2].map(|()| clients.connect());
    assert_eq!(clients.ask(client, &of_pairs("MSET", 0..MANY, "x")), SLICE);
    assert_eq!(clients.finish(client), OK);
    for mode in ["SKIP", "OFF"] {
        assert_eq!(clients.ask(client, &["CLIENT", "REPLY", mode]), ok(""));
        assert_eq!(clients.ask(client, &of_keys("MGET", 0..MANY)), SLICE);
        assert_eq!(clients.finish(client), "");
        if mode == "SKIP" {
            assert_eq!(clients.ask(client, &words("PING")), ok("+PONG\r\n"));
            assert_eq!(clients.ask(client, &words("CLIENT REPLY SKIP")), ok(""));
        }
        assert_eq!(clients.ask(client, &words("BLPOP l 0")), PARKED);
        assert_eq!(clients.ask(other, &words("RPUSH l a")), ok(":1\r\n"));
        assert!(clients.engine.outbox.take_woken(2).eq([client]));
        assert_eq!(clients.turn(client), ok(""));
    }
    assert_eq!(clients.ask(client, &words("CLIENT REPLY ON")), ok(OK));
    assert_eq!(clients.ask(other, &words("LLEN l")), ok(":0\r\n"));
}

#[test]
fn the_largest_clients_go_first_and_who_may_not_go_stays() {
    let mut clients = Clients::new();
    let all: Vec<ClientId> = (0..5).map(|_| clients.connect()).collect();
    for (number, &client) in all.iter().enumerate() {
        clients.engine.note_io(client, 1, 0, (number + 1) * 100_000, &Reply::new());
    }
    assert_eq!(clients.ask(all[4], &words("CLIENT NO-EVICT ON")), ok(OK));
    clients.engine.note_io(all[4], 1, 0, 500_000, &Reply::new());
    assert_eq!(clients.ask(all[0], &words("CONFIG SET maxmemory-clients 900kb")), ok(OK));
    clients.at_us(1000);
    assert_eq!(clients.end_killed(), [all[3], all[2]]);
    assert_eq!(clients.engine.clients.ids(), [all[0], all[1], all[4]]);
    assert_eq!(clients.engine.stats.evicted_clients, 2);
    // As a share of the memory that all may take, and never less than what clients need to be there.
    for setting in ["maxmemory 10mb", "maxmemory-clients 1%"] {
        assert_eq!(clients.ask(all[0], &words(&format!("CONFIG SET {setting}"))), ok(OK));
    }
    clients.at_us(20_000);
    assert_eq!(clients.end_killed(), [all[1], all[0]]);
    assert_eq!(clients.engine.clients.ids(), [all[4]]);
    clients.at_us(40_000);
    assert_eq!(clients.engine.clients.ids(), [all[4]]);
}

#[test]
fn what_a_client_watches_asks_to_be_told_and_does_not_take_counts_as_its_memory() {
    let mut clients = Clients::new();
    let admin = clients.connect();
    let before = clients.engine.clients_bytes();
    assert_eq!(clients.ask(admin, &words("CONFIG SET maxmemory-clients 150kb")), ok(OK));
    let requests = ["WATCH", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "CLIENT TRACKING ON BCAST", "MONITOR"];
    for (second, request) in (1..).zip(requests) {
        clients.at_us(second * 1_000_000);
        let client = clients.connect();
        let mut words = words(request);
        let names: Vec<String> = (1000..3000).map(|number| format!("n{number}")).collect();
        match request {
            "MONITOR" => {}
            "CLIENT TRACKING ON BCAST" => names.iter().for_each(|name| words.extend(["PREFIX", name])),
            _ => words.extend(names.iter().map(String::as_str)),
        }
        if clients.ask(client, &words) == Err(Pause::Slice) {
            clients.finish(client);
        }
        if request == "MONITOR" {
            let long = "x".repeat(2000);
            (0..100).for_each(|_| clients.ask(admin, &["ECHO", &long]).map(drop).expect("a short request"));
        }
        assert!(clients.engine.is_pressed(), "the jobs are not to wait after {request}");
        clients.at_us(second * 1_000_000);
        assert_eq!(clients.end_killed(), [client], "{request}");
        clients.at_us(second * 1_000_000);
        assert_eq!(clients.engine.clients_bytes(), before, "{request}");
    }
}
