//! Requests that wait for a key. GETDEL stands for those that take something away, so that strings are all that is needed here.

use std::collections::VecDeque;

use super::*;
use crate::dispatch::lookup::lookup;
use crate::dispatch::serve_parked;
use crate::engine::Now;
use crate::engine::parked::{Unblock, Wait};
use crate::keyspace::ValueType;

impl Clients {
    /// A client's request as if its handler had found nothing.
    fn park(&mut self, client: ClientId, words: &[&str], timeout_us: Option<u64>) {
        let (mut bytes, mut batch) = (Vec::new(), Batch::new());
        for word in words {
            batch.push_arg(Span { start: bytes.len() as u32, len: word.len() as u32 });
            bytes.extend_from_slice(word.as_bytes());
        }
        batch.end_request();
        let wait = Wait { keys: 1..words.len(), value_type: ValueType::String, timeout_us };
        let command = lookup().command(words[0].as_bytes()).expect("a command");
        self.engine.park(client, (command.number, command.name), &batch.args(0, &bytes), &wait);
        let request = OwnedRequest { bytes, batch, index: 0 };
        self.under_way.insert(client, UnderWay { request, reply: Reply::new(), pause: Pause::Park });
        self.engine.audit_parked();
    }

    fn parked(&mut self, count: usize) -> Vec<ClientId> {
        let clients: Vec<ClientId> = (0..count).map(|_| self.connect()).collect();
        for &client in &clients {
            self.park(client, &["getdel", "k"], None);
        }
        clients
    }

    /// Turns for all clients until nothing is under way but what is parked; the replies.
    pub(super) fn settle_but_parked(&mut self) -> HashMap<ClientId, String> {
        let mut replies = HashMap::new();
        loop {
            let is_left = serve_parked(&mut self.engine);
            let mut clients: Vec<ClientId> = self.under_way.keys().copied().collect();
            clients.sort();
            clients.retain(|&client| match self.turn(client) {
                Ok(reply) => replies.insert(client, reply).is_some(),
                Err(pause) => pause != Pause::Park,
            });
            clients.retain(|client| self.under_way.contains_key(client));
            if clients.is_empty() && !is_left {
                return replies;
            }
        }
    }

    fn at_ms(&mut self, ms: i64) {
        let begin = at_second(0);
        self.engine
            .set_now(Now { unix_us: begin.unix_us + ms * 1000, monotonic_us: begin.monotonic_us + ms as u64 * 1000 });
        while self.engine.run_jobs(true) {}
        serve_parked(&mut self.engine);
        self.engine.audit_parked();
    }
}

pub(super) const PARKED: Outcome = Err(Pause::Park);

pub(super) fn bulk(text: &str) -> Outcome {
    Ok(format!("${}\r\n{text}\r\n", text.len()))
}

#[test]
fn who_waits_is_served_before_the_next_request_of_a_pipeline() {
    let mut clients = Clients::new();
    let waiter = clients.parked(1)[0];
    let pusher = clients.connect();
    let (mut bytes, mut batch) = (Vec::new(), Batch::new());
    for request in [&["set", "k", "v"][..], &["getdel", "k"]] {
        for word in request {
            batch.push_arg(Span { start: bytes.len() as u32, len: word.len() as u32 });
            bytes.extend_from_slice(word.as_bytes());
        }
        batch.end_request();
    }
    let mut reply = Reply::new();
    let executed = execute(&mut clients.engine, pusher, &batch, 0, &bytes, &mut reply);
    assert_eq!((executed.requests, &reply.to_vec()[..]), (2, &b"+OK\r\n$-1\r\n"[..]));
    assert!(clients.engine.outbox.take_woken(2).eq([waiter]));
    assert_eq!(clients.turn(waiter), bulk("v"));
    clients.engine.audit_parked();
}

#[test]
fn the_first_to_come_is_the_first_to_be_served() {
    let mut clients = Clients::new();
    let waiters = clients.parked(3);
    let pusher = clients.connect();
    for (at, &waiter) in waiters.iter().enumerate() {
        assert_eq!(clients.turn(waiter), PARKED);
        assert_eq!(clients.ask(pusher, &["set", "k", &at.to_string()]), Ok(OK.to_owned()));
        assert_eq!(clients.turn(waiter), bulk(&at.to_string()));
        clients.engine.audit_parked();
    }
    assert_eq!(clients.ask(pusher, &["set", "k", "rest"]), Ok(OK.to_owned()));
    assert_eq!(clients.ask(pusher, &["get", "k"]), bulk("rest"));
}

#[test]
fn who_waits_for_several_keys_waits_for_none_once_it_is_served() {
    let mut clients = Clients::new();
    let (waiter, pusher) = (clients.connect(), clients.connect());
    clients.park(waiter, &["mget", "a", "b", "a"], None);
    assert_eq!(clients.engine.keyspace.awaited.len(), 2);
    assert_eq!(clients.ask(pusher, &["set", "b", "x"]), Ok(OK.to_owned()));
    assert_eq!(clients.turn(waiter), Ok("*3\r\n$-1\r\n$1\r\nx\r\n$-1\r\n".to_owned()));
    assert!(clients.engine.keyspace.awaited.is_empty());
}

#[test]
fn a_key_that_comes_by_another_way_or_to_another_database_is_told_apart() {
    let mut clients = Clients::new();
    let (waiter, pusher) = (clients.connect(), clients.connect());
    clients.ask(pusher, &["select", "1"]).unwrap();
    clients.park(waiter, &["getdel", "k"], None);
    clients.ask(pusher, &["set", "k", "elsewhere"]).unwrap();
    assert_eq!(clients.turn(waiter), PARKED);
    clients.ask(pusher, &["move", "k", "0"]).unwrap();
    assert_eq!(clients.turn(waiter), bulk("elsewhere"));
    clients.ask(pusher, &["select", "0"]).unwrap();
    for request in [&["rename", "made", "k"][..], &["copy", "made", "k"]] {
        clients.ask(pusher, &["set", "made", "x"]).unwrap();
        clients.park(waiter, &["getdel", "k"], None);
        clients.ask(pusher, request).unwrap();
        assert_eq!(clients.turn(waiter), bulk("x"));
    }
}

#[test]
fn time_is_up_at_its_millisecond() {
    let mut clients = Clients::new();
    let (early, late, never) = (clients.connect(), clients.connect(), clients.connect());
    clients.park(late, &["getdel", "k"], Some(1_500_000));
    clients.park(early, &["getdel", "k"], Some(20_000));
    clients.park(never, &["getdel", "k"], None);
    assert_eq!(clients.engine.next_timeout_us(), Some(20_000));
    clients.at_ms(19);
    assert_eq!(clients.turn(early), PARKED);
    clients.at_ms(20);
    assert_eq!(clients.turn(early), Ok("*-1\r\n".to_owned()));
    clients.at_ms(1_499);
    assert_eq!(clients.turn(late), PARKED);
    clients.at_ms(1_500);
    assert_eq!(clients.turn(late), Ok("*-1\r\n".to_owned()));
    clients.at_ms(1_000_000_000);
    assert_eq!(clients.turn(never), PARKED);
    assert_eq!(clients.engine.next_timeout_us(), None);
    let stats = clients.engine.stats.commands().find(|stats| stats.name == "getdel").unwrap();
    assert_eq!((stats.calls, stats.failed_calls), (2, 0));
}

#[test]
fn a_wait_can_be_ended_by_others() {
    let mut clients = Clients::new();
    let waiters = clients.parked(2);
    let other = clients.connect();
    let id = |at: usize| waiters[at].0.to_string();
    let list = clients.ask(other, &["client", "list"]).unwrap();
    assert_eq!(list.matches(" flags=b ").count(), 2, "{list}");
    let info = clients.ask(other, &["info", "clients"]).unwrap();
    for field in ["blocked_clients:2", "clients_in_timeout_table:0", "total_blocking_keys:1"] {
        assert!(info.contains(&format!("{field}\r\n")), "{field}");
    }
    assert_eq!(clients.ask(other, &["client", "unblock", &id(0)]), Ok(":1\r\n".to_owned()));
    assert_eq!(clients.ask(other, &["client", "unblock", &id(0)]), Ok(":0\r\n".to_owned()));
    assert_eq!(clients.ask(other, &["client", "unblock", &id(1), "ERROR"]), Ok(":1\r\n".to_owned()));
    assert_eq!(clients.turn(waiters[0]), Ok("*-1\r\n".to_owned()));
    let error = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
    assert_eq!(clients.turn(waiters[1]), Ok(error.to_owned()));
    assert_eq!(clients.ask(other, &["client", "unblock", &other.0.to_string()]), Ok(":0\r\n".to_owned()));
    clients.engine.audit_parked();
}

#[test]
fn who_goes_leaves_nothing_behind() {
    let mut clients = Clients::new();
    let waiters = clients.parked(3);
    let pusher = clients.connect();
    clients.engine.disconnect(waiters[0]);
    clients.engine.audit_parked();
    clients.ask(pusher, &["set", "k", "v"]).unwrap();
    // It was served, and goes before it has taken note.
    clients.engine.disconnect(waiters[1]);
    assert!(clients.engine.outbox.take(waiters[1]).is_none());
    assert_eq!(clients.turn(waiters[2]), PARKED);
    clients.engine.disconnect(waiters[2]);
    clients.engine.audit_parked();
    assert!(clients.engine.parked.is_empty() && clients.engine.keyspace.awaited.is_empty());
}

#[test]
fn a_held_key_is_ready_when_it_is_released() {
    let mut clients = Clients::new();
    let waiter = clients.parked(1)[0];
    let long = clients.connect();
    let mut request = vec!["mset".to_owned(), "k".to_owned(), "v".to_owned()];
    (0..1500).for_each(|at| request.extend([format!("key:{at}"), "x".to_owned()]));
    let mut seen_held = false;
    let mut outcome = clients.ask(long, &request);
    while outcome.is_err() {
        assert_eq!(clients.turn(waiter), PARKED);
        seen_held |= clients.engine.keyspace.db(0).find(b"k").exists();
        outcome = clients.turn(long);
    }
    assert!(seen_held, "the key was set and held for some slices");
    assert_eq!(clients.turn(waiter), bulk("v"));
    clients.engine.audit_parked();
}

#[test]
fn no_wake_up_is_lost_among_many_clients() {
    const KEYS: u64 = 5;
    let mut clients = Clients::new();
    let pusher = clients.connect();
    let mut idle: Vec<ClientId> = (0..60).map(|_| clients.connect()).collect();
    // Who waits at each key, and what each key holds, as they should be.
    let mut queues: Vec<VecDeque<ClientId>> = vec![VecDeque::new(); KEYS as usize];
    let mut random = 7_u64;
    let mut next = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    for round in 0..3000 {
        let key = next(KEYS) as usize;
        let name = format!("k{key}");
        match next(5) {
            0 | 1 if !idle.is_empty() => {
                let client = idle.swap_remove(next(idle.len() as u64) as usize);
                // Only what has found nothing is parked.
                clients.ask(pusher, &["del", &name]).unwrap();
                clients.park(client, &["getdel", &name], None);
                queues[key].push_back(client);
            }
            2 if queues[key].len() > 1 => {
                let at = next(queues[key].len() as u64) as usize;
                let client = queues[key].remove(at).unwrap();
                clients.engine.unblock(client, Unblock::Timeout);
                assert_eq!(clients.turn(client), Ok("*-1\r\n".to_owned()));
                idle.push(client);
            }
            3 if queues[key].len() > 2 => {
                let client = queues[key].pop_back().unwrap();
                clients.engine.disconnect(client);
                clients.under_way.remove(&client);
                idle.push(clients.connect());
            }
            _ => {
                let value = round.to_string();
                assert_eq!(clients.ask(pusher, &["set", &name, &value]), Ok(OK.to_owned()));
                if let Some(client) = queues[key].pop_front() {
                    assert_eq!(clients.turn(client), bulk(&value), "round {round}");
                    idle.push(client);
                }
                let rest = queues[key].iter().copied().collect::<Vec<_>>();
                rest.into_iter().for_each(|client| assert_eq!(clients.turn(client), PARKED, "round {round}"));
            }
        }
        clients.engine.audit_parked();
    }
}

#[test]
fn a_long_answer_goes_on_in_slices() {
    const ELEMENTS: usize = 900;
    let mut clients = Clients::new();
    let (waiter, pusher) = (clients.connect(), clients.connect());
    assert_eq!(clients.ask(waiter, &words("blmpop 0 1 q left count 100000")), PARKED);
    let mut request = vec!["rpush".to_owned(), "q".to_owned()];
    request.extend((0..ELEMENTS).map(|at| format!("{at:0>200}")));
    let pushed = clients.ask(pusher, &request);
    assert_eq!(pushed.unwrap_or_else(|_| clients.finish(pusher)), format!(":{ELEMENTS}\r\n"));
    assert!(!clients.engine.is_parked(waiter));
    let reply = clients.finish(waiter);
    assert_eq!(reply.matches("$200\r\n").count(), ELEMENTS);
    assert!(reply.starts_with(&format!("*2\r\n$1\r\nq\r\n*{ELEMENTS}\r\n")));
    assert_eq!(clients.ask(pusher, &words("exists q")), Ok(":0\r\n".to_owned()));
    clients.engine.audit_parked();
}

#[test]
fn a_list_with_elements_for_all_serves_all_and_a_move_serves_who_waits_for_its_target() {
    let mut clients = Clients::new();
    let waiters: Vec<ClientId> = (0..4).map(|_| clients.connect()).collect();
    let pusher = clients.connect();
    assert_eq!(clients.ask(waiters[0], &words("blmove a b left right 0")), PARKED);
    assert_eq!(clients.ask(waiters[1], &words("brpoplpush b c 0")), PARKED);
    assert_eq!(clients.ask(waiters[2], &words("blpop c 0")), PARKED);
    assert_eq!(clients.ask(waiters[3], &words("bzpopmin c d 0")), PARKED);
    clients.ask(pusher, &words("rpush a x y")).unwrap();
    assert_eq!(clients.turn(waiters[0]), bulk("x"));
    assert_eq!(clients.turn(waiters[1]), bulk("x"));
    assert_eq!(clients.turn(waiters[2]), Ok("*2\r\n$1\r\nc\r\n$1\r\nx\r\n".to_owned()));
    assert_eq!(clients.turn(waiters[3]), PARKED);
    assert_eq!(clients.ask(pusher, &words("llen a")), Ok(":1\r\n".to_owned()));
    clients.ask(pusher, &words("zadd c 1 m")).unwrap();
    assert_eq!(clients.turn(waiters[3]), Ok("*3\r\n$1\r\nc\r\n$1\r\nm\r\n$1\r\n1\r\n".to_owned()));
    clients.engine.audit_parked();
}

/// Requests of one client, one after another, as far as they go at once.
struct Pipeline {
    client: ClientId,
    bytes: Vec<u8>,
    batch: Batch,
    next: usize,
    reply: Reply,
}

impl Pipeline {
    fn new(client: ClientId, requests: &[Vec<String>]) -> Pipeline {
        let (mut bytes, mut batch) = (Vec::new(), Batch::new());
        for request in requests {
            for word in request {
                batch.push_arg(Span { start: bytes.len() as u32, len: word.len() as u32 });
                bytes.extend_from_slice(word.as_bytes());
            }
            batch.end_request();
        }
        Pipeline { client, bytes, batch, next: 0, reply: Reply::new() }
    }

    fn turn(&mut self, engine: &mut Engine) -> Option<Pause> {
        let executed = execute(engine, self.client, &self.batch, self.next, &self.bytes, &mut self.reply);
        self.next += executed.requests;
        engine.holds.audit();
        engine.audit_parked();
        executed.pause
    }
}

#[test]
fn very_many_are_served_in_steps_and_nobody_comes_between() {
    const WAITERS: usize = 500;
    let mut clients = Clients::new();
    let waiters: Vec<ClientId> = (0..WAITERS).map(|_| clients.connect()).collect();
    for &waiter in &waiters {
        assert_eq!(clients.ask(waiter, &words("blpop l 0")), PARKED);
    }
    let (pusher, other, late, flusher) = (clients.connect(), clients.connect(), clients.connect(), clients.connect());
    let push = ["rpush", "l"].into_iter().map(str::to_owned).chain((0..=WAITERS).map(|at| at.to_string())).collect();
    let mut pipeline = Pipeline::new(pusher, &[push, vec!["llen".to_owned(), "l".to_owned()], vec!["ping".to_owned()]]);
    let mut pause = pipeline.turn(&mut clients.engine);
    while pipeline.next == 0 {
        assert_eq!(pause, Some(Pause::Slice));
        pause = pipeline.turn(&mut clients.engine);
    }
    assert_eq!((pipeline.next, pause), (1, Some(Pause::Wait)));
    let served = |clients: &Clients| waiters.iter().filter(|&&waiter| !clients.engine.is_parked(waiter)).count();
    let after_one = served(&clients);
    assert!((1..100).contains(&after_one), "{after_one} in a step");
    assert!(waiters[after_one..].iter().all(|&waiter| clients.engine.is_parked(waiter)), "first come first served");
    // Others go on, but for the list, and do not serve those who wait for it.
    assert_eq!(clients.ask(other, &words("set x 1")), ok(OK));
    assert_eq!(clients.ask(other, &words("lpop l")), WAIT);
    assert_eq!(clients.ask(late, &words("blpop l 0")), WAIT);
    assert_eq!(clients.ask(flusher, &words("flushall")), WAIT);
    assert_eq!(served(&clients), after_one);
    let mut steps = 1;
    loop {
        assert_eq!(pipeline.turn(&mut clients.engine), Some(Pause::Wait));
        assert_eq!(pipeline.next, 1);
        let before = served(&clients);
        steps += 1;
        if !serve_parked(&mut clients.engine) {
            break;
        }
        assert!((before + 1..before + 100).contains(&served(&clients)));
    }
    assert!(steps > 4, "{steps}");
    assert_eq!(served(&clients), WAITERS);
    for (at, &waiter) in waiters.iter().enumerate() {
        let element = at.to_string();
        assert_eq!(clients.turn(waiter), Ok(format!("*2\r\n$1\r\nl\r\n${}\r\n{at}\r\n", element.len())));
    }
    // Who waited for the list comes first to what is left.
    assert_eq!(clients.turn(other), bulk(&WAITERS.to_string()));
    assert_eq!(clients.turn(late), PARKED);
    assert_eq!(pipeline.turn(&mut clients.engine), None);
    assert_eq!(pipeline.reply.to_vec(), format!(":{}\r\n:0\r\n+PONG\r\n", WAITERS + 1).into_bytes());
    assert_eq!(clients.turn(flusher), ok(OK));
    assert!(clients.engine.holds.is_idle());
    clients.engine.audit_parked();
}

#[test]
fn what_changes_while_others_are_served_comes_in_its_turn() {
    let mut clients = Clients::new();
    let waiters: Vec<ClientId> = (0..200).map(|_| clients.connect()).collect();
    for &waiter in &waiters {
        assert_eq!(clients.ask(waiter, &words("blpop l 0")), PARKED);
    }
    let (at_m, gone, pusher, second) = (clients.connect(), clients.connect(), clients.connect(), clients.connect());
    assert_eq!(clients.ask(at_m, &words("blpop m 0")), PARKED);
    assert_eq!(clients.ask(gone, &words("blpop n 0")), PARKED);
    let push: Vec<String> =
        ["rpush", "l"].into_iter().map(str::to_owned).chain((0..200).map(|at| at.to_string())).collect();
    assert_eq!(clients.ask(pusher, &push), ok(":200\r\n"));
    assert_eq!(clients.ask(second, &words("rpush m x")), ok(":1\r\n"));
    assert_eq!(clients.turn(at_m), PARKED);
    assert_eq!(clients.ask(second, &words("lpop m")), WAIT, "it waits until its own push is served");
    assert_eq!(clients.ask(pusher, &words("rpush n y")), WAIT, "so does the first");
    // Those who wait go in the middle, all of them at one key.
    clients.engine.unblock(waiters[199], Unblock::Timeout);
    clients.engine.disconnect(gone);
    clients.under_way.remove(&gone);
    let replies = clients.settle_but_parked();
    assert_eq!(replies[&at_m], "*2\r\n$1\r\nm\r\n$1\r\nx\r\n");
    assert_eq!(replies[&second], "$-1\r\n");
    assert_eq!(replies[&pusher], ":1\r\n");
    assert_eq!(replies[&waiters[199]], "*-1\r\n");
    assert_eq!(clients.ask(second, &words("lrange l 0 -1")), Ok("*1\r\n$3\r\n199\r\n".to_owned()));
    assert!(clients.engine.holds.is_idle());
    clients.engine.audit_parked();
}

#[test]
fn nobody_passes_one_whose_other_key_is_held() {
    let mut clients = Clients::new();
    let (mover, popper, long, pusher, other) =
        (clients.connect(), clients.connect(), clients.connect(), clients.connect(), clients.connect());
    assert_eq!(clients.ask(mover, &words("blmove a to left left 0")), PARKED);
    assert_eq!(clients.ask(popper, &words("blpop a 0")), PARKED);
    let push: Vec<String> =
        ["rpush", "to"].into_iter().map(str::to_owned).chain((0..5000).map(|at| format!("{at:0>200}"))).collect();
    assert_eq!(clients.ask(long, &push), SLICE);
    assert_eq!(clients.ask(pusher, &words("rpush a x")), ok(":1\r\n"));
    assert_eq!((clients.turn(mover), clients.turn(popper)), (PARKED, PARKED));
    assert_eq!(clients.ask(pusher, &words("get unrelated")), ok("$-1\r\n"));
    assert_eq!(clients.ask(other, &words("lpop a")), WAIT, "the element is another's");
    assert_eq!(clients.finish(long), ":5000\r\n");
    assert_eq!(clients.turn(mover), bulk("x"));
    assert_eq!(clients.turn(other), ok("$-1\r\n"));
    assert_eq!(clients.turn(popper), PARKED);
    assert_eq!(clients.ask(pusher, &words("lindex to 0")), bulk("x"));
    assert!(clients.engine.holds.is_idle());
    clients.engine.audit_parked();
}

#[test]
fn who_waited_for_many_keys_leaves_them_in_steps() {
    let mut clients = Clients::new();
    let (pusher, second) = (clients.connect(), clients.connect());
    let request = |keys: std::ops::Range<usize>| {
        let mut request = of_keys("blpop", keys);
        request.push("0".to_owned());
        request
    };
    assert_eq!(clients.ask(second, &["blpop", &name(0), &name(799), "0"]), PARKED);
    for how in 0..4 {
        let first = clients.connect();
        assert_eq!(clients.ask(first, &request(1..800)), PARKED);
        clients.engine.audit_parked();
        match how {
            0 => assert_eq!(clients.ask(pusher, &["rpush", &name(700), "x"]), ok(":1\r\n")),
            1 => assert!(clients.engine.unblock(first, Unblock::Timeout)),
            2 => assert!(clients.engine.unblock(first, Unblock::Error)),
            _ => clients.leave(first),
        }
        serve_parked(&mut clients.engine);
        assert_eq!(clients.engine.keyspace.awaited.len(), 800, "nothing is taken away at once");
        clients.engine.audit_parked();
        if how < 3 {
            assert!(clients.turn(first).is_ok());
            // Parked again while its old places are there: what it has left does not count, and what it has does.
            assert_eq!(clients.ask(first, &request(1..500)), PARKED);
            assert_eq!(clients.ask(pusher, &["rpush", &name(600), "x"]), ok(":1\r\n"));
            assert_eq!(clients.turn(first), PARKED);
            assert_eq!(clients.ask(pusher, &["lpop", &name(600)]), bulk("x"));
            assert_eq!(clients.ask(pusher, &["rpush", &name(499), "y"]), ok(":1\r\n"));
            serve_parked(&mut clients.engine);
            assert_eq!(clients.turn(first), ok("*2\r\n$7\r\nkey:499\r\n$1\r\ny\r\n"));
        }
        let mut steps = 0;
        while clients.engine.parked.has_given_up() {
            clients.engine.run_jobs(false);
            clients.engine.audit_parked();
            steps += 1;
        }
        assert!(steps > 5, "{steps}");
        assert_eq!(clients.engine.keyspace.awaited.len(), 2);
    }
    assert_eq!(clients.turn(second), PARKED);
    // It stands behind one who has gone and whose place is still there.
    let third = clients.connect();
    clients.leave(second);
    assert_eq!(clients.ask(third, &request(0..800)), PARKED);
    let fourth = clients.connect();
    assert_eq!(clients.ask(fourth, &["blpop", &name(5), "0"]), PARKED);
    clients.leave(third);
    assert_eq!(clients.ask(pusher, &["rpush", &name(5), "z"]), ok(":1\r\n"));
    assert_eq!(clients.turn(fourth), ok("*2\r\n$5\r\nkey:5\r\n$1\r\nz\r\n"));
    clients.run_jobs();
    clients.engine.audit_parked();
    assert!(clients.engine.parked.is_empty() && clients.engine.keyspace.awaited.is_empty());
}
