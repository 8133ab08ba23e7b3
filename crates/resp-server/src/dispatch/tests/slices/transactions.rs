//! Transactions of many requests, or of long ones, and what other clients see of them.

use std::collections::BTreeMap;

use super::*;
use crate::engine::Now;

const QUEUED: &str = "+QUEUED\r\n";

impl Clients {
    /// MULTI, and requests that are queued.
    fn queue(&mut self, client: ClientId, requests: &[&str]) {
        assert_eq!(self.ask(client, &words("MULTI")), ok(OK));
        requests.iter().for_each(|request| self.queue_one(client, &words(request)));
    }

    fn queue_one(&mut self, client: ClientId, request: &[impl AsRef<[u8]>]) {
        let outcome = self.ask(client, request);
        assert_eq!(outcome.unwrap_or_else(|_| self.finish(client)), QUEUED);
    }

    fn exec(&mut self, client: ClientId) -> Outcome {
        self.ask(client, &words("EXEC"))
    }

    /// [`settle`](Clients::settle), with the jobs' turns first.
    fn settle_with_jobs(&mut self) -> HashMap<ClientId, String> {
        self.run_jobs();
        self.settle()
    }

    /// Nothing is left of any transaction.
    #[track_caller]
    fn check_clean(&mut self) {
        self.run_jobs();
        assert!(self.engine.holds.is_idle());
        assert!(self.engine.keyspace.watched.is_empty());
        self.engine.keyspace.watched.audit();
        self.engine.audit_parked();
        let list = self.engine.clients.iter().map(|client| client.queue().is_some());
        assert!(list.into_iter().all(|queues| !queues));
    }

    fn clock_at_ms(&mut self, ms: i64) {
        let begin = at_second(0);
        let now = Now { unix_us: begin.unix_us + ms * 1000, monotonic_us: begin.monotonic_us + ms as u64 * 1000 };
        self.engine.set_now(now);
    }
}

/// More requests than are carried out at once.
const LONG: usize = 300;

#[test]
fn a_short_transaction_is_carried_out_at_once() {
    let mut clients = Clients::new();
    let client = clients.connect();
    clients.queue(client, &["SET a 1", "INCR a", "GET a"]);
    assert_eq!(clients.exec(client), ok("*3\r\n+OK\r\n:2\r\n$1\r\n2\r\n"));
    clients.check_clean();
}

#[test]
fn of_a_long_one_nobody_sees_a_part() {
    let mut clients = Clients::new();
    let [long, reader, writer, other] = [(); 4].map(|()| clients.connect());
    assert_eq!(clients.ask(other, &words("SET far x")), ok(OK));
    clients.queue(long, &["INCR first"]);
    (0..LONG).for_each(|at| clients.queue_one(long, &["INCR".to_owned(), format!("k{}", at % 7)]));
    clients.queue_one(long, &words("INCR last"));
    assert_eq!(clients.exec(long), SLICE);
    assert_eq!(clients.ask(reader, &words("MGET first last")), WAIT);
    assert_eq!(clients.ask(writer, &words("SET last 10")), WAIT);
    assert_eq!(clients.ask(other, &words("GET far")), ok("$1\r\nx\r\n"));
    assert_eq!(clients.ask(other, &words("SET far y")), ok(OK));
    let reply = clients.finish(long);
    assert!(reply.starts_with(&format!("*{}\r\n:1\r\n", LONG + 2)) && reply.ends_with(":1\r\n"));
    assert_eq!(clients.turn(reader), ok("*2\r\n$1\r\n1\r\n$1\r\n1\r\n"));
    assert_eq!(clients.turn(writer), ok(OK));
    clients.check_clean();
}

#[test]
fn a_request_of_many_slices_is_part_of_it_like_any_other() {
    let mut clients = Clients::new();
    let [long, other] = [(); 2].map(|()| clients.connect());
    clients.queue(long, &["SET before 1"]);
    clients.queue_one(long, &of_pairs("MSET", 0..MANY, "new"));
    clients.queue_one(long, &of_keys("EXISTS", 0..MANY));
    clients.queue_one(long, &words("INCR before"));
    assert_eq!(clients.exec(long), SLICE);
    // It is one of very many keys, and has those that it has come to.
    assert_eq!(clients.ask(other, &words("GET before")), WAIT);
    for _ in 0..3 {
        assert_eq!(clients.turn(long), SLICE);
        assert_eq!(clients.turn(other), WAIT);
    }
    assert_eq!(clients.finish(long), "*4\r\n+OK\r\n+OK\r\n:2000\r\n:2\r\n");
    assert_eq!(clients.turn(other), ok("$1\r\n2\r\n"));
    clients.check_clean();
}

#[test]
fn one_of_very_many_keys_may_wait_in_its_middle_and_nobody_sees_that() {
    let mut clients = Clients::new();
    for leaves in [false, true] {
        let [first, bulk, reader] = [(); 3].map(|()| clients.connect());
        clients.queue(first, &[]);
        (0..LONG).for_each(|_| clients.queue_one(first, &words("INCR shared")));
        clients.queue(bulk, &["SET early x"]);
        clients.queue_one(bulk, &of_pairs("MSET", 0..MANY, "new"));
        clients.queue_one(bulk, &words("DEL shared early"));
        clients.queue_one(bulk, &of_keys("DEL", 0..MANY));
        assert_eq!(clients.exec(first), SLICE);
        let mut outcome = clients.exec(bulk);
        while outcome == SLICE {
            outcome = clients.turn(bulk);
        }
        assert_eq!(outcome, WAIT);
        assert_eq!(clients.ask(reader, &words("MGET early key:0")), WAIT);
        if leaves {
            clients.leave(bulk);
        }
        clients.finish(first);
        let replies = clients.settle_with_jobs();
        assert_eq!(replies[&reader], "*2\r\n$-1\r\n$-1\r\n");
        assert_eq!(replies.get(&bulk).map(String::as_str), (!leaves).then_some("*4\r\n+OK\r\n+OK\r\n:2\r\n:2000\r\n"));
        clients.check_clean();
    }
}

#[test]
fn a_long_error_is_one_reply_of_several() {
    let mut clients = Clients::new();
    let long = clients.connect();
    clients.queue(long, &[]);
    let key = "x".repeat(70_000);
    let mut pairs = of_pairs("MSET", 0..MANY, "new");
    pairs.extend([key, "v".to_owned()]);
    clients.queue_one(long, &pairs);
    clients.queue_one(long, &of_keys("EXISTS", 0..MANY));
    assert_eq!(clients.exec(long), SLICE);
    let error = "-ERR key is too long (65535 bytes at most)\r\n";
    assert_eq!(clients.finish(long), format!("*2\r\n{error}:0\r\n"));
    clients.check_clean();
}

#[test]
fn exec_waits_before_it_begins() {
    let mut clients = Clients::new();
    let [long, client, other] = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask(long, &of_pairs("MSET", 0..MANY, "new")), SLICE);
    assert_eq!(clients.turn(long), SLICE);
    clients.queue(client, &["SET unrelated x", "GET key:0"]);
    assert_eq!(clients.exec(client), WAIT);
    assert_eq!(clients.ask(other, &words("GET unrelated")), ok("$-1\r\n"));
    assert_eq!(clients.turn(client), WAIT);
    assert_eq!(clients.finish(long), OK);
    assert_eq!(clients.turn(client), ok("*2\r\n+OK\r\n$3\r\nnew\r\n"));
    clients.check_clean();
}

#[test]
fn a_watched_key_may_change_while_exec_waits() {
    let mut clients = Clients::new();
    let [long, client, other] = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask(client, &words("WATCH w")), ok(OK));
    assert_eq!(clients.ask(long, &of_pairs("MSET", 0..MANY, "new")), SLICE);
    assert_eq!(clients.turn(long), SLICE);
    clients.queue(client, &["SET unrelated x", "GET key:0"]);
    assert_eq!(clients.exec(client), WAIT);
    assert_eq!(clients.ask(other, &words("SET w 1")), ok(OK));
    assert_eq!(clients.finish(long), OK);
    assert_eq!(clients.turn(client), ok("*-1\r\n"));
    clients.check_clean();
}

#[test]
fn watch_waits_for_who_changes_the_key() {
    let mut clients = Clients::new();
    let [long, client] = [(); 2].map(|()| clients.connect());
    assert_eq!(clients.ask(long, &of_pairs("MSET", 0..MANY, "new")), SLICE);
    assert_eq!(clients.turn(long), SLICE);
    assert_eq!(clients.ask(client, &words("WATCH key:0")), WAIT);
    assert_eq!(clients.finish(long), OK);
    assert_eq!(clients.turn(client), ok(OK));
    clients.queue(client, &["GET key:0"]);
    assert_eq!(clients.exec(client), ok("*1\r\n$3\r\nnew\r\n"));
    clients.check_clean();
}

#[test]
fn very_many_keys_are_watched_in_slices() {
    let mut clients = Clients::new();
    let [client, other] = [(); 2].map(|()| clients.connect());
    for touches in [false, true] {
        assert_eq!(clients.ask(client, &of_keys("WATCH", 0..MANY)), SLICE);
        assert_eq!(clients.finish(client), OK);
        assert_eq!(clients.engine.keyspace.watched.keys(), MANY);
        if touches {
            assert_eq!(clients.ask(other, &words("SET key:1999 x")), ok(OK));
        }
        clients.queue(client, &["PING"]);
        assert_eq!(clients.exec(client), ok(if touches { "*-1\r\n" } else { "*1\r\n+PONG\r\n" }));
        clients.check_clean();
    }
    // Who goes in its middle watches nothing.
    assert_eq!(clients.ask(client, &of_keys("WATCH", 0..MANY)), SLICE);
    clients.leave(client);
    clients.check_clean();
}

#[test]
fn what_goes_over_a_database_holds_all_of_it() {
    let mut clients = Clients::new();
    let [long, one, two, elsewhere] = [(); 4].map(|()| clients.connect());
    assert_eq!(clients.ask(one, &of_pairs("MSET", 0..MANY, "x")), SLICE);
    assert_eq!(clients.finish(one), OK);
    assert_eq!(clients.ask(elsewhere, &words("SELECT 1")), ok(OK));
    // To look at: others may look, and not change.
    clients.queue(long, &["DBSIZE", "KEYS *", "DBSIZE"]);
    assert_eq!(clients.exec(long), SLICE);
    assert_eq!(clients.ask(one, &words("GET key:7")), ok("$1\r\nx\r\n"));
    assert_eq!(clients.ask(one, &words("SET unrelated x")), WAIT);
    assert_eq!(clients.ask(two, &words("DBSIZE")), ok(":2000\r\n"));
    assert_eq!(clients.ask(two, &words("FLUSHDB")), WAIT);
    assert_eq!(clients.ask(elsewhere, &words("SET unrelated x")), ok(OK));
    let reply = clients.finish(long);
    assert!(reply.starts_with("*3\r\n:2000\r\n*2000\r\n") && reply.ends_with(":2000\r\n"));
    assert_eq!(clients.turn(one), ok(OK));
    assert_eq!(clients.turn(two), ok(OK));
    // To change: others wait.
    clients.queue(long, &["FLUSHDB"]);
    (0..LONG).for_each(|_| clients.queue_one(long, &words("INCR n")));
    assert_eq!(clients.exec(long), SLICE);
    assert_eq!(clients.ask(one, &words("GET unrelated")), WAIT);
    assert_eq!(clients.ask(two, &words("DBSIZE")), WAIT);
    assert_eq!(clients.ask(elsewhere, &words("GET unrelated")), ok("$1\r\nx\r\n"));
    clients.finish(long);
    assert_eq!(clients.turn(one), ok("$-1\r\n"));
    assert_eq!(clients.turn(two), ok(":1\r\n"));
    clients.check_clean();
}

#[test]
fn databases_are_exchanged_within_a_long_one() {
    let mut clients = Clients::new();
    let [long, other] = [(); 2].map(|()| clients.connect());
    assert_eq!(clients.ask(other, &words("SET k zero")), ok(OK));
    clients.queue(long, &["SELECT 1", "SET k one PX 5", "SWAPDB 0 1", "GET k"]);
    (0..LONG).for_each(|_| clients.queue_one(long, &words("SELECT 0")));
    clients.queue_one(long, &words("GET k"));
    clients.queue_one(long, &words("COPY k k DB 2"));
    assert_eq!(clients.exec(long), SLICE);
    assert_eq!(clients.ask(other, &words("GET k")), WAIT);
    // Time stands still for it.
    clients.clock_at_ms(100);
    clients.run_jobs();
    let reply = clients.finish(long);
    assert!(reply.contains("+OK\r\n$4\r\nzero\r\n+OK\r\n") && reply.ends_with("+OK\r\n$3\r\none\r\n:1\r\n"), "{reply}");
    assert_eq!(clients.turn(other), ok("$-1\r\n"));
    clients.check_clean();
}

#[test]
fn keys_do_not_expire_in_its_middle() {
    let mut clients = Clients::new();
    let [long, other] = [(); 2].map(|()| clients.connect());
    for key in ["read", "written", "bulk"] {
        assert_eq!(clients.ask(other, &["SET", key, "x", "PX", "10"]), ok(OK));
    }
    clients.queue(long, &["GET read", "APPEND written y", "PTTL read"]);
    (0..LONG).for_each(|_| clients.queue_one(long, &words("PING")));
    clients.queue_one(long, &words("GET read"));
    clients.queue_one(long, &words("APPEND written z"));
    clients.queue_one(long, &words("PTTL read"));
    assert_eq!(clients.exec(long), SLICE);
    clients.clock_at_ms(20);
    clients.run_jobs();
    // It shares the key, and finds it expired.
    assert_eq!(clients.ask(other, &words("GET read")), ok("$-1\r\n"));
    let reply = clients.finish(long);
    assert!(reply.ends_with("$1\r\nx\r\n:3\r\n:10\r\n"), "{reply}");
    assert_eq!(clients.ask(other, &words("EXISTS read written")), ok(":0\r\n"));
    clients.check_clean();
}

#[test]
fn who_waits_for_a_key_is_served_at_its_end() {
    let mut clients = Clients::new();
    let [long, waiter, other] = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask(waiter, &words("BLPOP l 0")), Err(Pause::Park));
    clients.queue(long, &["RPUSH l a b"]);
    (0..LONG).for_each(|_| clients.queue_one(long, &words("PING")));
    clients.queue_one(long, &words("LPOP l"));
    assert_eq!(clients.exec(long), SLICE);
    assert_eq!(clients.ask(other, &words("PING")), ok("+PONG\r\n"));
    assert_eq!(clients.turn(waiter), Err(Pause::Park));
    assert!(clients.finish(long).ends_with("$1\r\na\r\n"));
    assert_eq!(clients.turn(waiter), ok("*2\r\n$1\r\nl\r\n$1\r\nb\r\n"));
    clients.check_clean();
}

#[test]
fn who_goes_in_its_middle_leaves_it_to_its_end_and_no_hold() {
    let mut clients = Clients::new();
    for bulk in [false, true] {
        let [long, other] = [(); 2].map(|()| clients.connect());
        assert_eq!(clients.ask(other, &words("FLUSHALL")), ok(OK));
        clients.queue(long, &["SELECT 2", "INCR n", "CLIENT INFO", "CLIENT SETNAME ghost", "BLPOP none 0"]);
        if bulk {
            clients.queue_one(long, &of_pairs("MSET", 0..MANY, "x"));
        }
        (0..LONG).for_each(|_| clients.queue_one(long, &words("INCR n")));
        clients.queue_one(long, &words("CLIENT LIST"));
        clients.queue_one(long, &words("SET last 1"));
        assert_eq!(clients.exec(long), SLICE);
        clients.leave(long);
        assert_eq!(clients.ask(other, &words("CLIENT LIST")).unwrap().matches("id=").count(), 1);
        assert_eq!(clients.ask(other, &words("SELECT 2")), ok(OK));
        assert_eq!(clients.ask(other, &words("GET n")), WAIT);
        clients.run_jobs();
        assert_eq!(clients.turn(other), ok(&format!("$3\r\n{}\r\n", LONG + 1)));
        assert_eq!(clients.ask(other, &words("GET last")), ok("$1\r\n1\r\n"));
        assert_eq!(clients.engine.clients.len(), 1);
        clients.leave(other);
        clients.check_clean();
    }
}

#[test]
fn one_that_only_reads_ends_with_its_client() {
    let mut clients = Clients::new();
    let [long, other] = [(); 2].map(|()| clients.connect());
    clients.queue(long, &[]);
    clients.queue_one(long, &of_keys("MGET", 0..MANY));
    clients.queue_one(long, &words("DBSIZE"));
    assert_eq!(clients.exec(long), SLICE);
    assert_eq!(clients.ask(other, &words("SET key:0 x")), WAIT);
    clients.leave(long);
    assert_eq!(clients.turn(other), ok(OK));
    clients.check_clean();
}

#[test]
fn who_goes_while_it_waits_or_before_exec_leaves_nothing() {
    let mut clients = Clients::new();
    let [long, waits, queues] = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask(long, &of_pairs("MSET", 0..MANY, "new")), SLICE);
    assert_eq!(clients.turn(long), SLICE);
    clients.queue(waits, &["SET key:0 mine"]);
    assert_eq!(clients.exec(waits), WAIT);
    assert_eq!(clients.ask(queues, &words("WATCH a b c")), ok(OK));
    clients.queue(queues, &["SET a 1"]);
    clients.leave(waits);
    clients.leave(queues);
    assert_eq!(clients.finish(long), OK);
    assert_eq!(clients.ask(long, &words("GET key:0")), ok("$3\r\nnew\r\n"));
    clients.check_clean();
}

#[test]
fn large_values_and_long_requests_are_queued_and_not_copied_at_once() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let value = vec![b'v'; 300_000];
    clients.queue(client, &["PING"]);
    assert_eq!(clients.ask_large(client, &["SET", "large"], &value), ok(QUEUED));
    // Among the bytes of its request.
    let text = "t".repeat(200_000);
    assert_eq!(clients.ask(client, &["SADD", "s", &text]), SLICE);
    assert_eq!(clients.finish(client), QUEUED);
    clients.queue_one(client, &words("STRLEN large"));
    let client_bytes = clients.engine.client(client).memory_bytes();
    assert!((500_000..600_000).contains(&client_bytes), "{client_bytes}");
    let used = clients.engine.memory_used();
    assert_eq!(clients.exec(client), SLICE);
    assert_eq!(clients.finish(client), "*4\r\n+PONG\r\n+OK\r\n:1\r\n:300000\r\n");
    assert!(clients.engine.client(client).memory_bytes() < 1_000);
    clients.run_jobs();
    assert!(clients.engine.memory_used() < used + 200_000);
    assert_eq!(clients.ask(client, &words("GETRANGE large 299998 -1")), ok("$2\r\nvv\r\n"));
    // One that was discarded is freed.
    let blobs = clients.engine.keyspace.store.blob_usage().page_bytes;
    let taken = clients.engine.clients_bytes();
    assert!(taken < 1_000, "{taken}");
    clients.queue(client, &[]);
    assert_eq!(clients.ask_large(client, &["SET", "other"], &value), ok(QUEUED));
    assert_eq!(clients.ask(client, &words("DISCARD")), ok(OK));
    clients.check_clean();
    assert_eq!(clients.engine.keyspace.store.blob_usage().page_bytes, blobs);
    assert_eq!(clients.engine.clients_bytes(), taken);
    assert_eq!(clients.ask(client, &words("EXISTS other")), ok(":0\r\n"));
}

#[test]
fn what_is_queued_counts_and_is_bounded_by_the_limit_of_memory() {
    let mut clients = Clients::new();
    let client = clients.connect();
    assert_eq!(clients.ask(client, &words("CONFIG SET maxmemory 10mb")), ok(OK));
    clients.queue(client, &[]);
    let value = "v".repeat(50_000);
    let mut queued = 0;
    loop {
        match clients.ask(client, &["SET", "k", &value]) {
            Ok(reply) if reply == QUEUED => queued += 1,
            Ok(reply) => break assert_eq!(reply, format!("-{OOM}\r\n")),
            Err(_) => panic!("it is short"),
        }
    }
    assert!((100..220).contains(&queued), "{queued}");
    assert!(clients.exec(client).unwrap().starts_with("-EXECABORT"));
    clients.check_clean();
    assert_eq!(clients.ask(client, &["SET", "k", &value]), ok(OK));
}

#[test]
fn transactions_of_several_clients_are_as_one_after_another() {
    const KEYS: u64 = 6;
    for seed in 1..12_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let mut clients = Clients::new();
        let ids: Vec<ClientId> = (0..5).map(|_| clients.connect()).collect();
        // What all transactions that have ended have added. Who reads all keys holds them to its end, so that it reads this.
        let mut state: BTreeMap<String, i64> = BTreeMap::new();
        let mut pending: HashMap<ClientId, Option<Vec<(String, i64)>>> = HashMap::new();
        for _ in 0..400 {
            let client = ids[below(5) as usize];
            let outcome = if clients.under_way.contains_key(&client) {
                clients.turn(client)
            } else if below(3) == 0 {
                // A reader of all keys, long for being padded.
                clients.queue(client, &["GET k0"]);
                (0..below(2) * 200).for_each(|_| clients.queue_one(client, &words("PING")));
                (1..KEYS).for_each(|key| clients.queue_one(client, &["GET".to_owned(), format!("k{key}")]));
                pending.insert(client, None);
                clients.exec(client)
            } else {
                let mut added = Vec::new();
                clients.queue(client, &[]);
                let many = below(4) == 0;
                for _ in 0..=below(3) {
                    let (key, by) = (format!("k{}", below(KEYS)), below(100) as i64);
                    clients.queue_one(client, &["INCRBY", &key, &by.to_string()]);
                    (0..below(2) * 100).for_each(|_| clients.queue_one(client, &words("PING")));
                    added.push((key, by));
                }
                if many {
                    clients.queue_one(client, &of_keys("EXISTS", 0..1500));
                    let (key, by) = (format!("k{}", below(KEYS)), 1000);
                    clients.queue_one(client, &["INCRBY", &key, "1000"]);
                    added.push((key, by));
                }
                pending.insert(client, Some(added));
                clients.exec(client)
            };
            let Ok(reply) = outcome else { continue };
            match pending.remove(&client).expect("it has one") {
                Some(added) => added.iter().for_each(|(key, by)| *state.entry(key.clone()).or_default() += by),
                None => {
                    let lines: Vec<&str> = reply.split("\r\n").filter(|line| !line.starts_with(['*', '+'])).collect();
                    let mut lines = lines.into_iter();
                    let mut read = BTreeMap::new();
                    for key in 0..KEYS {
                        let header = lines.next().expect("a reply for each key");
                        if header != "$-1" {
                            let value = lines.next().expect("behind its length").parse().expect("a number");
                            read.insert(format!("k{key}"), value);
                        }
                    }
                    assert_eq!(read, state, "seed {seed}");
                }
            }
        }
        let _ = clients.settle();
        clients.check_clean();
    }
}
