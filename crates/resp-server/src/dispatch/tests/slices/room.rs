//! Long commands under a memory limit: they are refused before they change anything, or come to their end.

use super::*;

const MEMBERS: usize = 10_000;

/// `command key 0:xxx 1:xxx ...` of members of 400 bytes, each with what `pair` puts before and behind it.
fn of_members(words: &[&str], pair: impl Fn(String) -> Vec<String>) -> Vec<String> {
    let members = (0..MEMBERS).map(|number| format!("{number}:{}", "x".repeat(400)));
    words.iter().map(|&word| word.to_owned()).chain(members.flat_map(pair)).collect()
}

/// The long commands that change a large collection where it lies, what they answer, and one that makes such a collection.
fn in_place() -> Vec<(Vec<String>, String, Vec<String>)> {
    let long = "y".repeat(300);
    let begin = |command: &str| -> Vec<String> {
        let members = (0..30).map(|at| format!("{at}{long}"));
        [command.to_owned(), "k".to_owned()].into_iter().chain(members).collect()
    };
    let pairs = |command: &str| -> Vec<String> {
        let pairs = (0..30).flat_map(|at| [at.to_string(), format!("{at}{long}")]);
        [command.to_owned(), "k".to_owned()].into_iter().chain(pairs).collect()
    };
    let added = format!(":{MEMBERS}\r\n");
    vec![
        (of_members(&["SADD", "k"], |member| vec![member]), added.clone(), begin("SADD")),
        (of_members(&["ZADD", "k"], |member| vec!["1".to_owned(), member]), added.clone(), pairs("ZADD")),
        (of_members(&["HSET", "k"], |member| vec![member, "v".to_owned()]), added.clone(), pairs("HSET")),
        (of_members(&["RPUSH", "k"], |member| vec![member]), format!(":{}\r\n", MEMBERS + 30), begin("RPUSH")),
    ]
}

fn with_limit(limit: &str) -> (Clients, [ClientId; 2]) {
    let mut clients = Clients::new();
    let two = [(); 2].map(|()| clients.connect());
    assert_eq!(clients.ask(two[0], &words(&format!("CONFIG SET maxmemory {limit}"))), ok(OK));
    (clients, two)
}

/// Sets values until that is refused; how many were set.
fn fill(clients: &mut Clients, client: ClientId, prefix: &str) -> usize {
    let value = "z".repeat(60_000);
    for number in 0..1000 {
        let outcome = clients.ask(client, &["SET", &format!("{prefix}{number}"), &value]);
        if outcome != ok(OK) {
            assert_eq!(outcome, Ok(format!("-{OOM}\r\n")));
            return number;
        }
        while clients.engine.run_jobs(true) {}
    }
    panic!("memory never ends");
}

#[test]
fn what_others_take_meanwhile_is_not_what_a_long_command_was_promised() {
    for (request, reply, make) in in_place() {
        let (mut clients, [writer, other]) = with_limit("16mb");
        clients.ask(writer, &make).expect("a short one");
        for number in 0..150 {
            let set = ["SET", &format!("before{number}"), &"z".repeat(60_000)];
            assert_eq!(clients.ask(other, &set), ok(OK));
        }
        let room = clients.engine.keyspace.store.room_bytes();
        let mut outcome = clients.ask(writer, &request);
        assert_eq!(outcome, SLICE, "{}", request[0]);
        let mut filled = None;
        while outcome == SLICE {
            // Whatever it has to look at before, it has begun to write by now.
            if filled.is_none() && clients.engine.keyspace.store.room_bytes() + 50_000 < room {
                filled = Some(fill(&mut clients, other, "meanwhile"));
            }
            outcome = clients.turn(writer);
        }
        assert!(filled.is_some());
        assert_eq!(outcome, Ok(reply), "{}", request[0]);
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
    }
}

#[test]
fn a_limit_that_is_lowered_meanwhile_does_not_break_a_promise() {
    for (request, reply, make) in in_place() {
        let (mut clients, [writer, other]) = with_limit("16mb");
        clients.ask(writer, &make).expect("a short one");
        let room = clients.engine.keyspace.store.room_bytes();
        let mut outcome = clients.ask(writer, &request);
        while outcome == SLICE {
            if clients.engine.keyspace.store.room_bytes() + 50_000 < room {
                assert_eq!(clients.ask(other, &words("CONFIG SET maxmemory 1")), ok(OK));
                assert_eq!(clients.ask(other, &words("SET x y")), Ok(format!("-{OOM}\r\n")));
                break;
            }
            outcome = clients.turn(writer);
        }
        assert_eq!(outcome, SLICE, "{}", request[0]);
        assert_eq!(clients.finish(writer), reply, "{}", request[0]);
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
    }
}

#[test]
fn without_room_for_all_nothing_is_changed() {
    for (request, _, make) in in_place() {
        let (mut clients, [writer, other]) = with_limit("16mb");
        clients.ask(writer, &make).expect("a short one");
        assert!(fill(&mut clients, other, "before") > 200);
        for number in 0..30 {
            assert_eq!(clients.ask(other, &["DEL", &format!("before{number}")]), ok(":1\r\n"));
        }
        clients.run_jobs();
        let before = clients.ask(other, &words("DEBUG DIGEST-VALUE k"));
        let mut outcome = clients.ask(writer, &request);
        while outcome == SLICE {
            outcome = clients.turn(writer);
        }
        assert_eq!(outcome, Ok(format!("-{OOM}\r\n")), "{}", request[0]);
        assert_eq!(clients.ask(other, &words("DEBUG DIGEST-VALUE k")), before, "{}", request[0]);
        let len = match &*request[0] {
            "SADD" => "SCARD k",
            "ZADD" => "ZCARD k",
            "HSET" => "HLEN k",
            _ => "LLEN k",
        };
        assert_eq!(clients.ask(other, &words(len)), ok(":30\r\n"));
        // The promise of one that has ended, or has gone, is no longer kept.
        assert!(fill(&mut clients, other, "after") >= 5);
    }
}

/// An expiry takes little, but its field is written anew.
#[test]
fn fields_get_an_expiry_all_or_none() {
    let (mut clients, [writer, other]) = with_limit("16mb");
    let value = "v".repeat(400);
    let fields: Vec<String> = (0..MEMBERS).map(|number| format!("f{number}")).collect();
    for part in fields.chunks(1000) {
        let pairs = part.iter().flat_map(|field| [field.clone(), value.clone()]);
        let request: Vec<String> = ["HSET".to_owned(), "k".to_owned()].into_iter().chain(pairs).collect();
        let mut outcome = clients.ask(writer, &request);
        while outcome == SLICE {
            outcome = clients.turn(writer);
        }
        assert_eq!(outcome, ok(":1000\r\n"));
    }
    let numfields = fields.len().to_string();
    let request = |words: &[&str]| -> Vec<String> {
        let words = words.iter().copied().chain(["FIELDS", &numfields]).map(str::to_owned);
        words.chain(fields.clone()).collect()
    };
    assert!(fill(&mut clients, other, "before") > 100);
    let run = |clients: &mut Clients, request: &[String]| {
        let mut outcome = clients.ask(writer, request);
        while outcome == SLICE {
            outcome = clients.turn(writer);
        }
        outcome.unwrap()
    };
    for number in 0..30 {
        assert_eq!(clients.ask(other, &["DEL", &format!("before{number}")]), ok(":1\r\n"));
    }
    clients.run_jobs();
    assert_eq!(run(&mut clients, &request(&["HEXPIRE", "k", "100"])), format!("-{OOM}\r\n"));
    assert_eq!(run(&mut clients, &request(&["HTTL", "k"])).matches(":-1\r\n").count(), MEMBERS);
    assert_eq!(clients.ask(other, &words("CONFIG SET maxmemory 0")), ok(OK));
    assert_eq!(run(&mut clients, &request(&["HEXPIRE", "k", "100"])).matches(":1\r\n").count(), MEMBERS);
    assert_eq!(run(&mut clients, &request(&["HPERSIST", "k"])).matches(":1\r\n").count(), MEMBERS);
    assert_eq!(run(&mut clients, &request(&["HTTL", "k"])).matches(":-1\r\n").count(), MEMBERS);
}

#[test]
fn a_promise_ends_with_its_command() {
    let (mut clients, [_, other]) = with_limit("16mb");
    let room = clients.engine.keyspace.store.room_bytes();
    let (request, _, make) = in_place().remove(0);
    clients.ask(other, &make).expect("a short one");
    let writer = clients.connect();
    assert_eq!(clients.ask(writer, &request), SLICE);
    assert!(clients.engine.keyspace.store.room_bytes() < room - 4_000_000);
    clients.leave(writer);
    clients.run_jobs();
    assert_eq!(clients.ask(other, &words("SCARD k")), ok(&format!(":{}\r\n", MEMBERS + 30)));
    assert_eq!(clients.ask(other, &words("FLUSHALL")), ok(OK));
    clients.run_jobs();
    assert!(clients.engine.keyspace.store.room_bytes() > room - 500_000);
}

/// The heap of the trees that rank members and elements counts as memory in use, and is given up with them.
#[test]
fn what_ranks_members_counts_as_memory() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let heap = |clients: &Clients| clients.engine.keyspace.store.user_heap_bytes();
    assert_eq!(heap(&clients), 0);
    for key in ["a", "b"] {
        for from in (0..20_000).step_by(1000) {
            let pairs = (from..from + 1000).fold(format!("ZADD {key}"), |request, at| format!("{request} {at} m{at}"));
            let mut outcome = clients.ask(client, &words(&pairs));
            while outcome == SLICE {
                outcome = clients.turn(client);
            }
        }
    }
    let of_two = heap(&clients);
    assert!((2 * 20_000 * 16..2 * 20_000 * 24).contains(&of_two), "{of_two}");
    assert_eq!(clients.engine.memory_used(), clients.engine.keyspace.store.held_bytes());
    for request in ["ZREMRANGEBYRANK a 0 9999", "ZUNIONSTORE c 2 a b", "ZPOPMIN b 10000", "COPY a d"] {
        let mut outcome = clients.ask(client, &words(request));
        while outcome == SLICE {
            outcome = clients.turn(client);
        }
    }
    assert!(heap(&clients) > of_two);
    let push: Vec<String> =
        ["RPUSH", "l"].into_iter().map(str::to_owned).chain((0..500).map(|at| format!("{at:0>900}"))).collect();
    let before = heap(&clients);
    let mut outcome = clients.ask(client, &push);
    while outcome == SLICE {
        outcome = clients.turn(client);
    }
    assert!(heap(&clients) > before, "a list has such a tree too");
    clients.ask(client, &words("FLUSHALL")).unwrap();
    clients.run_jobs();
    assert_eq!(heap(&clients), 0);
    clients.engine.keyspace.store.audit();
}
