//! Commands on large sets in slices: they answer as at once, are atomic, and whatever ends them in the middle leaves nothing behind.

use super::*;

/// `SADD key m0 m1 ...`
fn sadd(key: &str, numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    let members = numbers.into_iter().map(|number| format!("m{number}"));
    ["SADD".to_owned(), key.to_owned()].into_iter().chain(members).collect()
}

impl Clients {
    /// Asks, and takes turns until there is a reply.
    fn ask_all(&mut self, client: ClientId, request: &[impl AsRef<[u8]>]) -> String {
        match self.ask(client, request) {
            Ok(reply) => reply,
            Err(Pause::Slice) => self.finish(client),
            Err(Pause::Wait | Pause::Park) => panic!("it waits"),
        }
    }

    /// The same in words.
    fn say(&mut self, client: ClientId, request: &str) -> String {
        self.ask_all(client, &words(request))
    }
}

/// The elements of a reply, sorted.
fn elements(reply: &str) -> Vec<&str> {
    let mut lines = reply.split_terminator("\r\n");
    let header = lines.next().unwrap();
    assert!(header.starts_with('*'), "{header} begins an array");
    let mut elements: Vec<&str> = lines.filter(|line| !line.starts_with('$') && !line.starts_with('*')).collect();
    elements.sort_unstable();
    elements
}

/// A server with sets of 5,000 members: `a` m0 ..., `b` m2500 ..., and three clients.
fn with_large_sets() -> (Clients, [ClientId; 3]) {
    let mut clients = Clients::new();
    let three = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask_all(three[0], &sadd("a", 0..5000)), ":5000\r\n");
    assert_eq!(clients.ask_all(three[0], &sadd("b", 2500..7500)), ":5000\r\n");
    (clients, three)
}

#[test]
fn long_commands_on_sets_take_slices_and_answer_as_short_ones() {
    let (mut clients, [client, ..]) = with_large_sets();
    for (request, len) in [
        ("SMEMBERS a", 5000),
        ("SINTER a b", 2500),
        ("SUNION a b", 7500),
        ("SUNION a b a b a b a b a b", 7500),
        ("SDIFF a b", 2500),
        ("SRANDMEMBER a 5000", 5000),
        ("SRANDMEMBER a 4000", 4000),
        ("SRANDMEMBER a 1500", 1500),
        ("SSCAN a 0 COUNT 100000", 5001),
    ] {
        assert_eq!(clients.ask(client, &words(request)), SLICE, "{request}");
        let reply = clients.finish(client);
        let mut told = elements(&reply);
        assert_eq!(told.len(), len, "{request}");
        told.dedup();
        assert_eq!(told.len(), len, "{request}: each once");
    }
    for (request, reply) in [
        ("SINTERCARD 2 a b", ":2500\r\n"),
        ("SINTERCARD 2 a b LIMIT 2000", ":2000\r\n"),
        ("SINTERSTORE c a b", ":2500\r\n"),
        ("SUNIONSTORE d a b", ":7500\r\n"),
        ("SDIFFSTORE e a b", ":2500\r\n"),
        ("SDIFFSTORE d d a", ":2500\r\n"),
        ("SCARD d", ":2500\r\n"),
        ("SINTERCARD 2 d e", ":0\r\n"),
    ] {
        assert_eq!(clients.say(client, request), reply, "{request}");
    }
    assert_eq!(clients.say(client, "SRANDMEMBER a -3000").matches("$").count(), 3000);
    assert_eq!(elements(&clients.say(client, "SPOP a 4990")).len(), 4990);
    assert_eq!(clients.say(client, "SCARD a"), ":10\r\n");
    assert_eq!(elements(&clients.say(client, "SPOP b 5000")).len(), 5000);
    assert_eq!(clients.say(client, "EXISTS b"), ":0\r\n");
    let mut request = sadd("c", 2500..5000);
    request[0] = "SMISMEMBER".to_owned();
    assert_eq!(clients.ask_all(client, &request).matches(":1\r\n").count(), 2500);
    request[0] = "SREM".to_owned();
    assert_eq!(clients.ask_all(client, &request), ":2500\r\n");
    assert_eq!(clients.say(client, "EXISTS c"), ":0\r\n");
    assert!(clients.engine.holds.is_idle());
    clients.say(client, "FLUSHALL");
    clients.run_jobs();
    clients.engine.keyspace.store.audit();
    assert_eq!(clients.engine.keyspace.store.usage().pool.used_bytes, 0, "nothing is left");
}

#[test]
fn a_set_is_built_of_a_few_members_a_slice() {
    let (mut clients, [client, ..]) = with_large_sets();
    for (request, members) in [("SUNIONSTORE d a b", 7500), ("SDIFFSTORE d a none", 5000), ("SINTERSTORE d a a", 5000)]
    {
        let mut slices = 1;
        let mut outcome = clients.ask(client, &words(request));
        while outcome == SLICE {
            slices += 1;
            outcome = clients.turn(client);
        }
        assert_eq!(outcome, ok(&format!(":{members}\r\n")));
        assert!(slices > members / 40, "{request} took {slices} slices");
    }
}

#[test]
fn sets_are_answered_about_in_the_smallest_slices_as_at_once() {
    let (mut whole, mut sliced) = (Clients::new(), Clients::new());
    whole.engine.keyspace.slice_bytes = usize::MAX;
    sliced.engine.keyspace.slice_bytes = 1;
    let (one, other) = (whole.connect(), sliced.connect());
    let mut state = 88_172_645_463_325_252_u64;
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let mut in_slices = 0;
    for step in 0..1200 {
        let mut key = || format!("k{}", below(5));
        let (first, second, third) = (key(), key(), key());
        let request = match below(14) {
            kind @ 0..4 => {
                let count = [1, 3, 30, 200][kind as usize];
                (0..count).fold(format!("SADD {first}"), |request, _| match below(3) {
                    0 if kind > 0 => format!("{request} w{}", below(150)),
                    _ => format!("{request} {}", below(400)),
                })
            }
            4 => (0..20).fold(format!("SREM {first}"), |request, _| format!("{request} {}", below(400))),
            5 => format!("SMEMBERS {first}"),
            6 => format!("SINTER {first} {second}"),
            7 => format!("SUNION {first} {second} {third}"),
            8 => format!("SDIFF {first} {second} {third}"),
            9 => format!("SINTERSTORE {first} {second} {third}"),
            10 => format!("SUNIONSTORE {first} {second} {third}"),
            11 => format!("SDIFFSTORE {first} {second} {third}"),
            12 => format!("SMOVE {first} {second} {}", below(400)),
            _ => format!("SINTERCARD 2 {first} {second} LIMIT {}", below(5)),
        };
        let request = words(&request);
        let expected = whole.ask_all(one, &request);
        let mut outcome = sliced.ask(other, &request);
        in_slices += usize::from(outcome == SLICE);
        while outcome == SLICE {
            outcome = sliced.turn(other);
        }
        let reply = outcome.unwrap();
        if expected.starts_with('*') {
            assert_eq!(elements(&reply), elements(&expected), "step {step}: {request:?}");
        } else {
            assert_eq!(reply, expected, "step {step}: {request:?}");
        }
        assert!(sliced.engine.holds.is_idle());
        if below(40) == 0 {
            let del = format!("DEL {first}");
            assert_eq!(whole.say(one, &del), sliced.say(other, &del));
        }
    }
    assert!(in_slices > 200, "{in_slices}");
    for mut clients in [whole, sliced] {
        let client = clients.connect();
        clients.say(client, "FLUSHALL");
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
        assert_eq!(clients.engine.keyspace.store.usage().pool.used_bytes, 0, "nothing is left");
    }
}

#[test]
fn nobody_sees_a_half_of_what_is_stored_or_changes_what_it_comes_from() {
    let (mut clients, [writer, reader, other]) = with_large_sets();
    clients.say(other, "SADD d old");
    assert_eq!(clients.ask(writer, &words("SUNIONSTORE d a b")), SLICE);
    assert_eq!(clients.ask(reader, &words("SCARD unrelated")), ok(":0\r\n"));
    assert_eq!(clients.ask(reader, &words("SMEMBERS d")), WAIT);
    assert_eq!(clients.ask(other, &words("SREM a m1")), WAIT);
    assert_eq!(clients.turn(writer), SLICE);
    assert_eq!(clients.finish(writer), ":7500\r\n");
    let replies = clients.settle();
    assert_eq!(elements(&replies[&reader]).len(), 7500);
    assert_eq!(replies[&other], ":1\r\n");

    // Readers share, a writer waits.
    assert_eq!(clients.ask(reader, &words("SMEMBERS d")), SLICE);
    assert_eq!(clients.ask(other, &words("SISMEMBER d m1")), ok(":1\r\n"));
    assert_eq!(clients.ask(writer, &words("SPOP d 7500")), WAIT);
    assert_eq!(elements(&clients.finish(reader)).len(), 7500);
    assert_eq!(clients.turn(writer), SLICE);
    assert_eq!(clients.ask(other, &words("SCARD d")), WAIT);
    assert_eq!(elements(&clients.finish(writer)).len(), 7500);
    assert_eq!(clients.turn(other), ok(":0\r\n"));

    // Members are added and removed at one moment.
    assert_eq!(clients.ask(writer, &sadd("new", 0..3000)), SLICE);
    assert_eq!(clients.ask(reader, &words("SCARD new")), WAIT);
    assert_eq!(clients.finish(writer), ":3000\r\n");
    assert_eq!(clients.turn(reader), ok(":3000\r\n"));
    assert_eq!(clients.ask(writer, &sadd("new", 2000..6000)), SLICE);
    assert_eq!(clients.ask(reader, &words("SCARD new")), WAIT);
    assert_eq!(clients.finish(writer), ":3000\r\n");
    assert_eq!(clients.turn(reader), ok(":6000\r\n"));
}

#[test]
fn a_client_that_goes_in_the_middle_leaves_its_writes_and_nothing_else() {
    for (request, key, len) in [
        ("SMEMBERS a", "a", 5000),
        ("SRANDMEMBER a 1500", "a", 5000),
        ("SUNION a b a b a b a b a b", "a", 5000),
        ("SSCAN a 0 COUNT 5000", "a", 5000),
        ("SUNIONSTORE d a b", "d", 7500),
        ("SINTERSTORE a a b", "a", 2500),
        ("SPOP a 4000", "a", 1000),
        ("SPOP a 5000", "a", 0),
    ] {
        let (mut clients, [goes, stays, _]) = with_large_sets();
        assert_eq!(clients.ask(goes, &words(request)), SLICE, "{request}");
        assert_eq!(clients.turn(goes), SLICE, "{request}");
        clients.leave(goes);
        clients.run_jobs();
        assert!(clients.engine.holds.is_idle());
        assert_eq!(clients.say(stays, &format!("SCARD {key}")), format!(":{len}\r\n"), "{request}");
        clients.say(stays, "FLUSHALL");
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
        assert_eq!(clients.engine.keyspace.store.usage().pool.used_bytes, 0, "{request}");
    }
}

#[test]
fn a_set_that_expires_while_it_is_told_is_told_to_its_end() {
    for request in [
        "SMEMBERS a",
        "SRANDMEMBER a 4000",
        "SINTER a a",
        "SSCAN a 0 COUNT 5000",
        "SUNION a b",
        "SORT a ALPHA",
        "SORT a BY nosort",
    ] {
        let (mut clients, [reader, other, _]) = with_large_sets();
        clients.say(other, "PEXPIRE a 1500");
        assert_eq!(clients.ask(reader, &words(request)), SLICE);
        clients.engine.set_now(at_second(2));
        // A reader shares the key, and finds that it is gone.
        assert_eq!(clients.ask(other, &words("EXISTS a")), ok(":0\r\n"));
        for _ in 0..10 {
            clients.engine.run_jobs(true);
        }
        let least = if request.starts_with("SRAND") { 4000 } else { 5000 };
        assert!(elements(&clients.finish(reader)).len() >= least, "{request}");
        clients.say(other, "FLUSHALL");
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
        assert_eq!(clients.engine.keyspace.store.usage().pool.used_bytes, 0, "{request}");
    }
}

#[test]
fn a_large_collection_that_expires_while_it_is_copied_is_copied_to_its_end() {
    let (mut clients, [reader, other, _]) = with_large_sets();
    clients.say(other, "PEXPIRE a 1500");
    assert_eq!(clients.ask(reader, &words("COPY a d")), SLICE);
    clients.engine.set_now(at_second(2));
    assert_eq!(clients.ask(other, &words("EXISTS a")), ok(":0\r\n"));
    assert_eq!(clients.finish(reader), ":1\r\n");
    // The copy has expired with it.
    assert_eq!(clients.say(other, "EXISTS a d"), ":0\r\n");
    clients.run_jobs();
    clients.engine.keyspace.store.audit();
}

#[test]
fn a_set_that_expires_while_it_is_changed_is_gone() {
    for (request, reply) in [("SPOP a 4000", "*"), ("SPOP a 5000", "*5000\r\n"), ("SADD", ":")] {
        let (mut clients, [writer, other, _]) = with_large_sets();
        clients.say(other, "PEXPIRE a 1500");
        let outcome = if request == "SADD" {
            clients.ask(writer, &sadd("a", 4000..9000))
        } else {
            clients.ask(writer, &words(request))
        };
        assert_eq!(outcome, SLICE);
        clients.engine.set_now(at_second(2));
        let whole = clients.finish(writer);
        assert!(whole.starts_with(reply), "{request}");
        if reply.starts_with('*') {
            let header: usize = whole[1..whole.find('\r').unwrap()].parse().unwrap();
            assert_eq!(elements(&whole).len(), header, "the header tells what follows");
        }
        assert_eq!(clients.say(other, "EXISTS a"), ":0\r\n");
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
    }
}

#[test]
fn without_memory_in_the_middle_the_old_set_stays() {
    let (mut clients, [writer, other, _]) = with_large_sets();
    for number in 0..40 {
        let long = "x".repeat(1000);
        let members = (0..100).map(|at| format!("{long}{number}:{at}"));
        let request: Vec<String> = ["SADD".to_owned(), "long".to_owned()].into_iter().chain(members).collect();
        assert_eq!(clients.ask_all(writer, &request), ":100\r\n");
    }
    clients.say(other, "SADD d old");
    assert_eq!(clients.say(other, "CONFIG SET maxmemory 6mb"), OK);
    for request in ["SUNIONSTORE d long a b", "SUNIONSTORE long long a", "SDIFFSTORE d long a"] {
        assert_eq!(clients.say(writer, request), format!("-{OOM}\r\n"), "{request}");
        assert!(clients.engine.holds.is_idle());
        assert_eq!(clients.say(other, "SMEMBERS d"), "*1\r\n$3\r\nold\r\n");
        assert_eq!(clients.say(other, "SCARD long"), ":4000\r\n");
    }
    clients.run_jobs();
    clients.engine.keyspace.store.audit();
}

#[test]
fn sets_of_very_many_keys_are_held_as_it_goes() {
    let mut clients = Clients::new();
    let (long, other) = (clients.connect(), clients.connect());
    for number in 0..MANY {
        clients.say(other, &format!("SADD key:{number} {} x", number % 700));
    }
    let keys: Vec<String> = (0..MANY).map(name).collect();
    let request =
        |start: &str| -> Vec<String> { words(start).into_iter().map(str::to_owned).chain(keys.clone()).collect() };
    assert_eq!(clients.ask(long, &request("SUNIONSTORE key:0")), SLICE);
    assert_eq!(clients.ask(other, &words("SCARD key:0")), WAIT);
    assert_eq!(clients.finish(long), ":701\r\n");
    assert_eq!(clients.turn(other), ok(":701\r\n"));
    assert_eq!(clients.ask_all(long, &request("SINTER")), "*1\r\n$1\r\nx\r\n");
    assert_eq!(elements(&clients.ask_all(long, &request("SUNION"))).len(), 701);
    assert_eq!(clients.ask_all(long, &request("SDIFF")), "*0\r\n");
    assert_eq!(clients.ask_all(long, &request(&format!("SINTERCARD {MANY}"))), ":1\r\n");
    clients.say(other, "SET key:1500 string");
    assert!(clients.ask_all(long, &request("SINTERSTORE d")).starts_with("-WRONGTYPE"));
    assert!(clients.engine.holds.is_idle());
}

/// Commands that overlap held a waiting FLUSHALL up for ever.
#[test]
fn who_waits_for_a_whole_database_has_it_when_those_have_ended_who_came_before() {
    for flush in ["FLUSHALL", "FLUSHDB"] {
        let (mut clients, [reader, flusher, late]) = with_large_sets();
        let (elsewhere, other) = (clients.connect(), clients.connect());
        clients.say(other, "SET x 1");
        clients.say(other, "RPUSH small a b c");
        assert_eq!(clients.ask(reader, &words("SMEMBERS a")), SLICE);
        assert_eq!(clients.ask(flusher, &words(flush)), WAIT);
        assert_eq!(clients.ask(late, &words("SMEMBERS b")), WAIT, "it would be long");
        assert_eq!(clients.ask(elsewhere, &words("SELECT 1")), ok(OK));
        for (request, reply) in
            [("GET x", "$1\r\n1\r\n"), ("SISMEMBER b m3000", ":1\r\n"), ("LRANGE small 1 1", "*1\r\n$1\r\nb\r\n")]
        {
            assert_eq!(clients.ask(other, &words(request)), ok(reply), "what is short goes on");
        }
        let many = sadd("many", 0..2000);
        if flush == "FLUSHDB" {
            assert_eq!(clients.ask_all(elsewhere, &many), ":2000\r\n", "another database is not concerned");
        } else {
            assert_eq!(clients.ask(elsewhere, &many), WAIT);
        }
        assert_eq!(clients.turn(late), WAIT);
        clients.finish(reader);
        assert_eq!(clients.turn(late), WAIT, "it came later");
        assert_eq!(clients.turn(flusher), ok(OK));
        let replies = clients.settle();
        assert_eq!(replies[&late], "*0\r\n");
        assert!(clients.engine.holds.is_idle());
    }
}

/// Readers of very many sets share them: who finds one of them expired must not take it away from the others.
#[test]
fn a_set_that_expires_among_very_many_is_read_to_its_end() {
    let (mut clients, [reader, other, _]) = with_large_sets();
    clients.say(other, "PEXPIRE a 1000");
    let mut request = vec!["SUNION".to_owned(), "a".to_owned()];
    request.extend((0..MANY).map(name));
    assert_eq!(clients.ask(reader, &request), SLICE);
    for _ in 0..MANY / KEYS_PER_SLICE + 3 {
        assert_eq!(clients.turn(reader), SLICE);
    }
    clients.engine.set_now(at_second(5));
    assert_eq!(clients.ask(other, &words("SCARD a")), ok(":0\r\n"));
    clients.run_jobs();
    assert_eq!(elements(&clients.finish(reader)).len(), 5000);
    assert_eq!(clients.ask(other, &words("EXISTS a")), ok(":0\r\n"));
    clients.say(other, "FLUSHALL");
    clients.run_jobs();
    assert_eq!(clients.engine.keyspace.store.usage().pool.used_bytes, 0, "nothing is left");
}
