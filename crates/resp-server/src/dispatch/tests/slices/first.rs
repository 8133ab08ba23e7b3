//! Requests of very many keys that take from the first which has something.

use super::parked::{PARKED, bulk};
use super::*;
use crate::engine::parked::PLACES_PER_STEP;

/// `LMPOP 2000 key:0 ... key:1999 after`
fn counted(command: &str, after: &str) -> Vec<String> {
    let mut request = of_keys(command, 0..MANY);
    request.insert(1, MANY.to_string());
    request.extend(after.split(' ').map(str::to_owned));
    request
}

#[test]
fn the_first_of_very_many_keys_is_looked_for_in_slices() {
    let mut clients = Clients::new();
    let (client, other, last) = (clients.connect(), clients.connect(), name(MANY - 1));
    for (command, after, push) in [
        ("lmpop", "left count 2", &["rpush", &last, "a", "b", "c"][..]),
        ("zmpop", "min count 2", &["zadd", &last, "1", "a", "2", "b", "3", "c"]),
    ] {
        assert_eq!(clients.ask(client, &counted(command, after)), SLICE);
        assert_eq!(clients.finish(client), "*-1\r\n", "{command}");
        clients.ask(other, push).unwrap();
        assert_eq!(clients.ask(client, &counted(command, after)), SLICE);
        // What it has looked at is held, and what it has not come to is not.
        assert_eq!(clients.ask(other, &["exists", &last]), ok(":1\r\n"));
        assert_eq!(clients.ask(other, &["exists", &name(0)]), WAIT);
        let mut slices = 1;
        let reply = loop {
            slices += 1;
            if let Ok(reply) = clients.turn(client) {
                break reply;
            }
        };
        assert!(slices >= MANY / KEYS_PER_SLICE, "{slices}");
        assert!(reply.starts_with("*2\r\n$8\r\nkey:1999\r\n*2\r\n"), "{reply}");
        assert_eq!(clients.turn(other), ok(":0\r\n"));
        // A key of another type ends it, if it comes to it.
        clients.ask(other, &["set", &name(1500), "x"]).unwrap();
        assert_eq!(clients.ask(client, &counted(command, after)), SLICE);
        let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        assert_eq!(clients.finish(client), wrong_type);
        clients.ask(other, &["del", &name(1500), &last]).unwrap();
        assert!(clients.engine.holds.is_idle());
    }
}

#[test]
fn many_elements_of_the_first_of_very_many_keys_are_taken_in_slices_too() {
    const ELEMENTS: usize = 5000;
    let mut clients = Clients::new();
    let (client, other, last) = (clients.connect(), clients.connect(), name(MANY - 1));
    let mut push = vec!["rpush".to_owned(), last.clone()];
    push.extend((0..ELEMENTS).map(|at| format!("{at:0>200}")));
    clients.ask(other, &push).unwrap_err();
    clients.finish(other);
    assert_eq!(clients.ask(client, &counted("lmpop", "left count 4999")), SLICE);
    let mut seen_popping = false;
    let reply = loop {
        if let Ok(reply) = clients.turn(client) {
            break reply;
        }
        seen_popping |= clients.engine.task_reply_bytes() > 0;
    };
    assert!(seen_popping);
    assert!(reply.starts_with("*2\r\n$8\r\nkey:1999\r\n*4999\r\n$200\r\n"));
    assert_eq!(clients.ask(other, &["llen", &last]), ok(":1\r\n"));
    // Who goes in the middle has asked all the same.
    assert_eq!(clients.ask(client, &counted("lmpop", "left")), SLICE);
    clients.leave(client);
    clients.run_jobs();
    assert_eq!(clients.ask(other, &["exists", &last]), ok(":0\r\n"));
    assert!(clients.engine.holds.is_idle());
}

/// Slices of a request of so many keys: until it has looked at all, and until it is parked.
const LOOKING: usize = MANY.div_ceil(KEYS_PER_SLICE);
const PARKING: usize = (MANY + 2).div_ceil(PLACES_PER_STEP);

/// `BLPOP key:0 ... key:1999 timeout`
fn waiting(command: &str, timeout: &str) -> Vec<String> {
    let mut request = of_keys(command, 0..MANY);
    request.push(timeout.to_owned());
    request
}

fn popped(key: usize, element: &str) -> String {
    let key = name(key);
    format!("*2\r\n${}\r\n{key}\r\n${}\r\n{element}\r\n", key.len(), element.len())
}

impl Clients {
    /// A client's request, and so many slices in all, none of which is the last.
    fn begin(&mut self, client: ClientId, request: &[String], slices: usize) {
        assert_eq!(self.ask(client, request), SLICE);
        for _ in 1..slices {
            self.engine.audit_parked();
            assert_eq!(self.turn(client), SLICE);
        }
    }

    /// The rest of the slices of a request that is parked then.
    fn end_parking(&mut self, client: ClientId) {
        let mut outcome = SLICE;
        while outcome == SLICE {
            self.engine.audit_parked();
            outcome = self.turn(client);
        }
        assert_eq!(outcome, PARKED);
        self.engine.audit_parked();
    }

    /// A client's request of very many keys, to its park.
    fn park_in_slices(&mut self, client: ClientId, request: &[String]) {
        self.begin(client, request, LOOKING + PARKING - 1);
        assert_eq!(self.turn(client), PARKED);
        assert!(self.engine.is_parked(client));
        self.engine.audit_parked();
    }

    /// Those who can be served are.
    fn serve(&mut self) {
        while crate::dispatch::serve_parked(&mut self.engine) {
            self.engine.audit_parked();
        }
    }

    /// The reply to one who was told, and goes on in slices.
    fn finish_told(&mut self, client: ClientId) -> String {
        loop {
            self.serve();
            match self.turn(client) {
                Ok(reply) => return reply,
                Err(pause) => assert_eq!(pause, Pause::Slice),
            }
        }
    }

    /// Nothing is left of those who have waited. `pusher` has nothing under way.
    fn is_left_of_nobody(&mut self, pusher: ClientId) {
        self.serve();
        // It may have had to wait for those whom it has served.
        assert_eq!(self.ask(pusher, &["ping"]), ok("+PONG\r\n"));
        self.run_jobs();
        self.engine.audit_parked();
        assert!(self.engine.parked.is_empty() && self.engine.keyspace.awaited.is_empty());
        assert!(self.engine.holds.is_idle());
    }

    fn calls(&self, command: &str) -> (u64, u64) {
        let stats = self.engine.stats.commands().find(|stats| stats.name == command);
        stats.map_or((0, 0), |stats| (stats.calls, stats.failed_calls))
    }
}

#[test]
fn who_waits_for_very_many_keys_is_served_at_any_of_them() {
    let mut clients = Clients::new();
    let (client, other, last) = (clients.connect(), clients.connect(), name(MANY - 1));
    let counted = |command, after| {
        let mut request = counted(command, after);
        request.insert(1, "0".to_owned());
        request
    };
    let member = "*3\r\n$8\r\nkey:1999\r\n$1\r\nx\r\n$1\r\n1\r\n";
    let members = "*2\r\n$8\r\nkey:1999\r\n*1\r\n*2\r\n$1\r\nx\r\n$1\r\n1\r\n";
    let elements = "*2\r\n$8\r\nkey:1999\r\n*1\r\n$1\r\nx\r\n";
    let element = &popped(MANY - 1, "x");
    for (request, push, reply) in [
        (waiting("blpop", "0"), &["rpush", &last, "x"][..], element.as_str()),
        (waiting("brpop", "0"), &["lpush", &last, "x"], element),
        (counted("blmpop", "left"), &["rpush", &last, "x"], elements),
        (waiting("bzpopmin", "0"), &["zadd", &last, "1", "x"], member),
        (waiting("bzpopmax", "0"), &["zadd", &last, "1", "x"], member),
        (counted("bzmpop", "min"), &["zadd", &last, "1", "x"], members),
    ] {
        assert_eq!(clients.ask(client, &request), SLICE);
        clients.end_parking(client);
        assert_eq!(clients.calls(&request[0]), (0, 0));
        assert_eq!(clients.ask(other, push), ok(":1\r\n"));
        assert!(!clients.engine.is_parked(client));
        clients.engine.audit_parked();
        assert_eq!(clients.ask(other, &["exists", &last]), WAIT, "what it was told of is its own");
        assert_eq!(clients.turn(client), SLICE);
        assert_eq!(clients.finish(client), reply);
        clients.serve();
        assert_eq!(clients.turn(other), ok(":0\r\n"));
        assert_eq!(clients.calls(&request[0]), (1, 0));
        clients.is_left_of_nobody(other);
    }
}

#[test]
fn who_waits_for_very_many_keys_is_served_in_its_turn() {
    let mut clients = Clients::new();
    let (before, client, behind, other) = (clients.connect(), clients.connect(), clients.connect(), clients.connect());
    let one = ["blpop", &name(1234), "0"];
    assert_eq!(clients.ask(before, &one), PARKED);
    clients.park_in_slices(client, &waiting("blpop", "0"));
    assert_eq!(clients.ask(behind, &one), PARKED);
    assert_eq!(clients.ask(other, &["rpush", &name(1234), "a"]), ok(":1\r\n"));
    assert_eq!(clients.turn(before), Ok(popped(1234, "a")));
    assert_eq!((clients.turn(client), clients.turn(behind)), (PARKED, PARKED));
    assert_eq!(clients.ask(other, &["rpush", &name(1234), "b", "c"]), ok(":2\r\n"));
    assert_eq!(clients.turn(behind), PARKED, "nobody passes");
    assert_eq!(clients.finish_told(client), popped(1234, "b"));
    clients.serve();
    assert_eq!(clients.turn(behind), Ok(popped(1234, "c")));
    clients.is_left_of_nobody(other);
}

#[test]
fn two_who_wait_for_very_many_keys_are_served_one_after_the_other() {
    let mut clients = Clients::new();
    let (first, second, other) = (clients.connect(), clients.connect(), clients.connect());
    clients.park_in_slices(first, &waiting("blpop", "0"));
    clients.park_in_slices(second, &waiting("blpop", "0"));
    let both = ["rpush".to_owned(), name(1999), "a".to_owned(), "b".to_owned()];
    assert_eq!(clients.ask(other, &both), ok(":2\r\n"));
    assert_eq!(clients.turn(second), PARKED);
    assert_eq!(clients.finish_told(first), popped(1999, "a"));
    clients.serve();
    assert_eq!(clients.finish_told(second), popped(1999, "b"));
    clients.is_left_of_nobody(other);
}

#[test]
fn who_is_told_holds_all_its_keys_from_then_on() {
    let mut clients = Clients::new();
    let (client, behind, other, late) = (clients.connect(), clients.connect(), clients.connect(), clients.connect());
    clients.park_in_slices(client, &waiting("blpop", "0"));
    assert_eq!(clients.ask(behind, &["blpop", &name(1500), "0"]), PARKED);
    assert_eq!(clients.ask(other, &["rpush", &name(1999), "x"]), ok(":1\r\n"));
    // It has looked at the first keys by now, and would prefer what comes to one that it has not looked at yet.
    assert_eq!(clients.ask(late, &["rpush", &name(1500), "y"]), WAIT);
    assert_eq!(clients.finish_told(client), popped(1999, "x"));
    clients.serve();
    assert_eq!(clients.turn(late), ok(":1\r\n"));
    assert_eq!(clients.turn(behind), Ok(popped(1500, "y")));
    clients.is_left_of_nobody(other);
    // Two keys change at one moment: it takes from the one that it prefers, although others stand behind it at that, too.
    clients.park_in_slices(client, &waiting("blpop", "0"));
    assert_eq!(clients.ask(behind, &["blpop", &name(1500), "0"]), PARKED);
    for request in [&["multi"][..], &["rpush", &name(1999), "x"], &["rpush", &name(1500), "y"], &["exec"]] {
        clients.ask(other, request).unwrap();
    }
    assert_eq!(clients.finish_told(client), popped(1500, "y"));
    clients.serve();
    assert_eq!(clients.turn(behind), PARKED);
    assert_eq!(clients.ask(other, &["llen", &name(1999)]), ok(":1\r\n"));
    clients.leave(behind);
    clients.is_left_of_nobody(other);
}

#[test]
fn who_is_told_while_another_request_of_very_many_keys_runs_waits_for_that() {
    let mut clients = Clients::new();
    let (client, long, other) = (clients.connect(), clients.connect(), clients.connect());
    clients.park_in_slices(client, &waiting("blpop", "0"));
    assert_eq!(clients.ask(long, &of_keys("exists", 5000..5000 + MANY)), SLICE);
    assert_eq!(clients.ask(other, &["rpush", &name(3), "x"]), ok(":1\r\n"));
    assert_eq!(clients.turn(client), PARKED);
    assert_eq!(clients.ask(other, &["lpop", &name(3)]), WAIT);
    assert_eq!(clients.finish(long), ":0\r\n");
    assert_eq!(clients.turn(client), ok(&popped(3, "x")));
    clients.leave(long);
    clients.serve();
    assert_eq!(clients.turn(other), ok("$-1\r\n"));
    clients.is_left_of_nobody(other);
}

#[test]
fn who_is_told_waits_for_a_key_that_a_long_command_has_and_is_before_those_who_wait_for_it_too() {
    let mut clients = Clients::new();
    let (client, long, other, popper) = (clients.connect(), clients.connect(), clients.connect(), clients.connect());
    clients.park_in_slices(client, &waiting("blpop", "0"));
    let push = ["rpush".to_owned(), name(1500)].into_iter().chain((0..5000).map(|at| format!("{at:0>200}")));
    assert_eq!(clients.ask(long, &push.collect::<Vec<_>>()), SLICE);
    assert_eq!(clients.ask(popper, &["lpop", &name(1500)]), WAIT);
    assert_eq!(clients.ask(other, &["rpush", &name(1999), "x"]), ok(":1\r\n"));
    let mut outcome = SLICE;
    while outcome == SLICE {
        outcome = clients.turn(client);
    }
    assert_eq!(outcome, WAIT);
    assert_eq!(clients.finish(long), ":5000\r\n");
    assert_eq!(clients.turn(popper), WAIT);
    assert_eq!(clients.finish(client), popped(1500, &format!("{:0>200}", 0)));
    clients.serve();
    assert_eq!(clients.turn(popper), bulk(&format!("{:0>200}", 1)));
    clients.is_left_of_nobody(other);
}

#[test]
fn a_change_while_it_looks_is_seen_or_waits_and_one_while_it_parks_waits() {
    let mut clients = Clients::new();
    let others = [clients.connect(), clients.connect()];
    for slices in 1..LOOKING + PARKING {
        let client = clients.connect();
        clients.begin(client, &waiting("blpop", "0"), slices);
        // Before the step and behind it.
        let [first, last] = [0, MANY - 1];
        let is_free = slices < LOOKING;
        assert_eq!(clients.ask(others[0], &["rpush", &name(first), "x"]), WAIT);
        let outcome = clients.ask(others[1], &["rpush", &name(last), "y"]);
        assert_eq!(outcome, if is_free { ok(":1\r\n") } else { WAIT }, "{slices}");
        if is_free {
            assert_eq!(clients.finish(client), popped(last, "y"));
            assert_eq!(clients.turn(others[0]), ok(":1\r\n"));
        } else {
            clients.end_parking(client);
            assert_eq!(clients.turn(others[0]), ok(":1\r\n"));
            assert_eq!(clients.turn(client), Ok(popped(first, "x")));
            assert_eq!(clients.turn(others[1]), ok(":1\r\n"));
        }
        clients.serve();
        assert_eq!(clients.ask(others[0], &["del", &name(first), &name(last)]), ok(":1\r\n"));
        clients.is_left_of_nobody(others[1]);
        clients.leave(client);
    }
}

#[test]
fn a_wait_for_very_many_keys_ends_with_its_time_and_by_others() {
    let mut clients = Clients::new();
    let (client, other) = (clients.connect(), clients.connect());
    // The time is that of its first slice.
    clients.begin(client, &waiting("blpop", "1.5"), LOOKING);
    clients.engine.set_now(crate::engine::Now { monotonic_us: 1_000_000, ..at_second(0) });
    let unblock = ["client".to_owned(), "unblock".to_owned(), client.0.to_string(), "error".to_owned()];
    assert_eq!(clients.ask(other, &unblock), ok(":0\r\n"), "it does not wait yet");
    clients.end_parking(client);
    assert_eq!(clients.engine.next_timeout_us(), Some(1_500_000));
    clients.engine.run_jobs(false);
    assert_eq!(clients.turn(client), PARKED);
    clients.engine.set_now(crate::engine::Now { monotonic_us: 1_500_000, ..at_second(0) });
    clients.engine.run_jobs(false);
    assert_eq!(clients.turn(client), ok("*-1\r\n"));
    clients.is_left_of_nobody(other);
    clients.park_in_slices(client, &waiting("blpop", "0"));
    assert_eq!(clients.ask(other, &unblock), ok(":1\r\n"));
    assert_eq!(clients.turn(client), ok("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"));
    assert_eq!(clients.calls("blpop"), (2, 1));
    clients.is_left_of_nobody(other);
}

#[test]
fn who_goes_while_it_looks_or_parks_or_is_parked_leaves_nothing() {
    let mut clients = Clients::new();
    let other = clients.connect();
    for (slices, kill) in (1..=LOOKING + PARKING).flat_map(|slices| [(slices, false), (slices, true)]) {
        let client = clients.connect();
        clients.begin(client, &waiting("blpop", "0"), slices.min(LOOKING + PARKING - 1));
        if slices == LOOKING + PARKING {
            clients.end_parking(client);
        }
        let is_parked = clients.engine.is_parked(client);
        if !is_parked {
            assert_eq!(clients.ask(other, &["rpush", &name(0), "x"]), WAIT);
        }
        if kill {
            clients.engine.kill(client);
            clients.engine.take_killed(usize::MAX);
            // Its connection may have a turn before it ends.
            if slices % 2 == 0 && clients.engine.has_task(client) {
                clients.turn(client).unwrap();
            }
        }
        clients.leave(client);
        clients.engine.audit_parked();
        let push = ["rpush", &name(0), "x"];
        let pushed = if is_parked { clients.ask(other, &push) } else { clients.turn(other) };
        assert_eq!(pushed, ok(":1\r\n"));
        assert_eq!(clients.ask(other, &["lpop", &name(0)]), bulk("x"), "{slices} {kill}");
        clients.is_left_of_nobody(other);
    }
}

#[test]
fn what_one_who_goes_was_told_of_is_for_those_behind_it() {
    let mut clients = Clients::new();
    let other = clients.connect();
    for (turns, kill) in [(0, false), (0, true), (5, false), (5, true)] {
        let (client, behind) = (clients.connect(), clients.connect());
        clients.park_in_slices(client, &waiting("blpop", "0"));
        assert_eq!(clients.ask(behind, &["blpop", &name(1999), "0"]), PARKED);
        assert_eq!(clients.ask(other, &["rpush", &name(1999), "x"]), ok(":1\r\n"));
        (0..turns).for_each(|_| assert_eq!(clients.turn(client), SLICE));
        if kill {
            clients.engine.kill(client);
            clients.engine.take_killed(usize::MAX);
        }
        clients.leave(client);
        clients.serve();
        assert_eq!(clients.turn(behind), Ok(popped(1999, "x")));
        clients.is_left_of_nobody(other);
    }
}

#[test]
fn very_many_elements_are_taken_to_the_end_for_one_who_goes_in_the_middle() {
    const ELEMENTS: usize = 5000;
    let mut clients = Clients::new();
    let (client, other) = (clients.connect(), clients.connect());
    let mut request = counted("blmpop", "left count 4999");
    request.insert(1, "0".to_owned());
    assert_eq!(clients.ask(client, &request), SLICE);
    clients.end_parking(client);
    let mut push = vec!["rpush".to_owned(), name(1999)];
    push.extend((0..ELEMENTS).map(|at| format!("{at:0>200}")));
    assert_eq!(clients.ask(other, &push), SLICE);
    assert_eq!(clients.finish(other), format!(":{ELEMENTS}\r\n"));
    while clients.engine.task_reply_bytes() == 0 {
        assert_eq!(clients.turn(client), SLICE);
    }
    clients.leave(client);
    clients.run_jobs();
    assert_eq!(clients.ask(other, &["llen", &name(1999)]), ok(":1\r\n"));
    clients.is_left_of_nobody(other);
}

#[test]
fn a_key_of_another_type_among_very_many_is_an_error_and_in_a_transaction_nobody_waits() {
    let mut clients = Clients::new();
    let (client, other) = (clients.connect(), clients.connect());
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    clients.ask(other, &["set", &name(1500), "x"]).unwrap();
    assert_eq!(clients.ask(client, &waiting("blpop", "0")), SLICE);
    assert_eq!(clients.finish(client), wrong_type);
    clients.ask(other, &["del", &name(1500)]).unwrap();
    // One that came while it waited: it is met when it is run again.
    clients.park_in_slices(client, &waiting("blpop", "0"));
    clients.ask(other, &["set", &name(1500), "x"]).unwrap();
    assert_eq!(clients.turn(client), PARKED);
    assert_eq!(clients.ask(other, &["rpush", &name(1600), "y"]), ok(":1\r\n"));
    assert_eq!(clients.finish(client), wrong_type);
    clients.serve();
    assert_eq!(clients.ask(other, &["del", &name(1500), &name(1600)]), ok(":2\r\n"));
    clients.is_left_of_nobody(other);
    for same in [false, true] {
        clients.ask(client, &["multi"]).unwrap();
        let mut request = waiting("blpop", "0");
        if same {
            request[1..=MANY].fill(name(1));
        }
        assert_eq!(clients.ask(client, &request), ok("+QUEUED\r\n"));
        assert_eq!(clients.ask(client, &["rpush", &name(1), "z"]), ok("+QUEUED\r\n"));
        assert_eq!(clients.ask(client, &request), ok("+QUEUED\r\n"));
        assert_eq!(clients.ask(client, &["exec"]), SLICE);
        assert_eq!(clients.finish(client), "*3\r\n*-1\r\n:1\r\n*2\r\n$5\r\nkey:1\r\n$1\r\nz\r\n");
        clients.is_left_of_nobody(other);
    }
}

#[test]
fn a_key_that_is_named_very_often_is_waited_for_once() {
    let mut clients = Clients::new();
    let (client, other) = (clients.connect(), clients.connect());
    let mut request = waiting("blpop", "0");
    request[1..=MANY].fill(name(1));
    clients.park_in_slices(client, &request);
    assert_eq!(clients.engine.keyspace.awaited.len(), 1);
    // It finds it in its first slice.
    assert_eq!(clients.ask(other, &["rpush", &name(1), "x"]), ok(":1\r\n"));
    assert_eq!(clients.turn(client), Ok(popped(1, "x")));
    clients.is_left_of_nobody(other);
}

#[test]
fn no_element_and_no_wake_up_is_lost_among_many_who_wait_for_very_many_keys() {
    const KEYS: u64 = 1200;
    let mut random = 11_u64;
    let mut next = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut clients = Clients::new();
    let mut all: Vec<ClientId> = (0..8).map(|_| clients.connect()).collect();
    let (mut pushed, mut popped, mut left) = (0, 0, 0);
    for round in 0..8000 {
        let at = next(all.len() as u64) as usize;
        let client = all[at];
        let key = name(next(9) as usize * 140);
        let outcome = if let Some(under_way) = clients.under_way.get(&client) {
            // Whoever goes in the middle has taken nothing, unless it has its answer, or the place of that, already.
            let goes = under_way.request.bytes.starts_with(b"blpop") && next(300) == 0;
            if goes && (clients.engine.is_parked(client) || clients.engine.has_task(client)) {
                clients.leave(client);
                all[at] = clients.connect();
                left += 1;
                continue;
            }
            clients.turn(client)
        } else {
            match next(4) {
                0 => {
                    let mut keys: Vec<usize> = (0..KEYS as usize).collect();
                    keys.rotate_left(next(KEYS) as usize);
                    let mut request = of_keys("blpop", keys);
                    request.push("0".to_owned());
                    clients.ask(client, &request)
                }
                1 => clients.ask(client, &["blpop", &key, "0"]),
                2 => clients.ask(client, &["rpush", &key, "x"]),
                _ => clients.ask(client, &["lpop", &key]),
            }
        };
        if let Ok(reply) = outcome {
            pushed += usize::from(reply.starts_with(':'));
            popped += usize::from(reply.ends_with("$1\r\nx\r\n"));
        }
        if next(3) == 0 {
            clients.engine.run_jobs(false);
            crate::dispatch::serve_parked(&mut clients.engine);
        }
        if round % 8 == 0 {
            clients.engine.audit_parked();
        }
    }
    for (_, reply) in clients.settle_but_parked() {
        pushed += usize::from(reply.starts_with(':'));
        popped += usize::from(reply.ends_with("$1\r\nx\r\n"));
    }
    clients.engine.audit_parked();
    let asker = clients.connect();
    let length = |clients: &mut Clients, key| {
        let reply = clients.ask(asker, &["llen", &name(key)]).unwrap();
        reply[1..].trim_end().parse::<usize>().unwrap()
    };
    let lengths: Vec<usize> = (0..KEYS as usize).map(|key| length(&mut clients, key)).collect();
    assert_eq!(pushed, popped + lengths.iter().sum::<usize>(), "{popped} were popped");
    assert!(popped > 20 && left > 5, "{popped} {left}");
    // Nobody waits for what is there.
    for (client, under_way) in &clients.under_way {
        assert!(clients.engine.is_parked(*client));
        let args = under_way.request.args();
        assert!((1..args.len() - 1).all(|at| !clients.engine.keyspace.db(0).find(args.at(at)).exists()));
    }
}
