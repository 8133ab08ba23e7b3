//! Commands on long sorted sets in slices: they answer as at once, others wait for their keys, and a key that expires in the middle is
//! told to its end.

use super::*;

/// A server that goes on in slices of so many bytes.
fn clients(slice_bytes: usize) -> Clients {
    let mut clients = Clients::new();
    clients.engine.keyspace.slice_bytes = slice_bytes;
    clients
}

/// Numbers below a bound, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn key(&mut self) -> String {
        format!("k{}", self.below(3))
    }

    /// Few scores, so that many members share one.
    fn score(&mut self) -> String {
        ["-inf", "-2.5", "0", "1", "1.5", "7", "(1", "(7", "+inf"][self.below(9) as usize].to_owned()
    }

    fn member(&mut self) -> String {
        format!("member:{}", self.below(700))
    }

    fn rank(&mut self) -> i64 {
        self.below(1000) as i64 - 500
    }

    fn request(&mut self) -> String {
        let (key, other) = (self.key(), self.key());
        match self.below(22) {
            0..4 => {
                let options = ["", "", " CH", " XX CH", " NX", " GT CH"][self.below(6) as usize];
                let pairs = (0..self.below(400) + 1).fold(String::new(), |pairs, _| {
                    pairs + " " + self.score().trim_start_matches('(') + " " + &self.member()
                });
                format!("ZADD {key}{options}{pairs}")
            }
            4 => (0..self.below(300) + 1).fold(format!("ZREM {key}"), |request, _| request + " " + &self.member()),
            5 => (0..self.below(300) + 1).fold(format!("ZMSCORE {key}"), |request, _| request + " " + &self.member()),
            6 => format!("ZRANGE {key} {} {} WITHSCORES", self.rank(), self.rank()),
            7 => format!("ZREVRANGE {key} {} {}", self.rank(), self.rank()),
            8 => {
                format!("ZRANGEBYSCORE {key} {} {} LIMIT {} {}", self.score(), self.score(), self.below(9), self.rank())
            }
            9 => format!("ZREVRANGEBYSCORE {key} {} {} WITHSCORES", self.score(), self.score()),
            10 => format!("ZRANGESTORE {other} {key} {} {}", self.rank(), self.rank()),
            11 => format!("ZREMRANGEBYRANK {key} {} {}", self.rank(), self.rank()),
            12 if self.below(3) == 0 => format!("ZREMRANGEBYSCORE {key} {} {}", self.score(), self.score()),
            13 => format!("ZPOPMIN {key} {}", self.below(300)),
            14 => format!("ZMPOP 2 {key} {other} MAX COUNT {}", 1 + self.below(300)),
            15 => format!("ZUNIONSTORE {} 2 {key} {other} WEIGHTS 2 1", self.key()),
            16 => format!("ZUNION 2 {key} {other} AGGREGATE MIN WITHSCORES"),
            17 => format!("ZINTER 3 {key} {other} {} WEIGHTS -1 2 3 WITHSCORES", self.key()),
            18 => format!("ZDIFF 3 {key} {other} {} WITHSCORES", self.key()),
            19 => format!("ZINTERCARD 2 {key} {other} LIMIT {}", self.below(200)),
            20 => format!("ZRANK {key} {}", self.member()),
            _ => format!("ZCOUNT {key} {} {}", self.score(), self.score()),
        }
    }
}

/// A server that never goes on in slices races one that always does; another client waits for the keys of what is written.
#[test]
fn what_is_done_in_slices_is_what_is_done_at_once() {
    for seed in 1..=4 {
        println!("seed {seed}");
        let mut random = Random(seed * 0x1234_5678_9abc);
        let (mut at_once, mut sliced) = (clients(usize::MAX), clients(3000));
        let (model, client, other) = (at_once.connect(), sliced.connect(), sliced.connect());
        let mut in_slices = 0;
        for _ in 0..400 {
            let request = random.request();
            let mut expected = at_once.ask(model, &words(&request));
            while expected.is_err() {
                expected = at_once.turn(model);
            }
            let mut outcome = sliced.ask(client, &words(&request));
            if outcome == SLICE && words(&request)[0] == "ZADD" {
                in_slices += 1;
                assert_eq!(sliced.ask(other, &["ZCARD", words(&request)[1]]), WAIT, "{request}");
            }
            while outcome == SLICE {
                outcome = sliced.turn(client);
            }
            assert_eq!(outcome, expected, "{request}");
            sliced.settle();
            assert!(sliced.engine.holds.is_idle());
        }
        assert!(in_slices > 20, "{in_slices} times in slices");
        sliced.run_jobs();
        sliced.engine.keyspace.store.audit();
    }
}

fn add_many(clients: &mut Clients, client: ClientId, key: &str, count: usize) {
    let pairs = (0..count).fold(format!("ZADD {key}"), |request, number| format!("{request} {number} m{number}"));
    let mut outcome = clients.ask(client, &words(&pairs));
    while outcome == SLICE {
        outcome = clients.turn(client);
    }
    assert_eq!(outcome, ok(&format!(":{count}\r\n")));
}

#[test]
fn a_key_that_expires_in_the_middle_is_told_to_its_end_and_is_gone_for_others() {
    let mut clients = clients(3000);
    let (client, other) = (clients.connect(), clients.connect());
    add_many(&mut clients, client, "z", 2000);
    assert_eq!(clients.ask(other, &words("PEXPIRE z 1000")), ok(":1\r\n"));
    assert_eq!(clients.ask(client, &words("ZRANGE z 0 -1")), SLICE);
    clients.engine.set_now(at_second(5));
    clients.run_jobs();
    assert_eq!(clients.ask(other, &words("ZCARD z")), ok(":0\r\n"));
    assert_eq!(clients.ask(other, &words("RANDOMKEY")), ok("$-1\r\n"));
    let reply = clients.finish(client);
    assert!(reply.starts_with("*2000\r\n") && reply.ends_with("m1999\r\n"), "{}", reply.len());
    assert_eq!(clients.ask(other, &words("EXISTS z")), ok(":0\r\n"));
    // What is written in slices goes with the key.
    add_many(&mut clients, client, "z", 2000);
    assert_eq!(clients.ask(other, &words("PEXPIRE z 1000")), ok(":1\r\n"));
    assert_eq!(clients.ask(client, &words("ZREMRANGEBYRANK z 0 999")), SLICE);
    clients.engine.set_now(at_second(10));
    assert_eq!(clients.finish(client), ":1000\r\n");
    assert_eq!(clients.ask(other, &words("ZCARD z")), ok(":0\r\n"));
    clients.run_jobs();
    assert_eq!(clients.engine.keyspace.store.live_bytes(), 0);
}

#[test]
fn who_goes_in_the_middle_leaves_nothing_but_what_was_to_be_written() {
    let mut clients = clients(3000);
    let (client, reader, writer) = (clients.connect(), clients.connect(), clients.connect());
    add_many(&mut clients, client, "z", 2000);
    assert_eq!(clients.ask(reader, &words("ZUNION 1 z")), SLICE);
    clients.leave(reader);
    assert_eq!(clients.ask(writer, &words("ZRANGESTORE to z 0 -1")), SLICE);
    clients.leave(writer);
    clients.run_jobs();
    assert_eq!(clients.ask(client, &words("ZCARD to")), ok(":2000\r\n"));
    assert_eq!(clients.ask(client, &words("DEL z to")), ok(":2\r\n"));
    clients.run_jobs();
    assert_eq!(clients.engine.keyspace.store.live_bytes(), 0);
}

#[test]
fn very_many_sorted_sets_are_combined_in_slices_and_held_as_they_are_come_to() {
    let combined = |head: &str, tail: &str| -> Vec<String> {
        let keys = of_keys(&format!("{head} {MANY}"), 0..MANY).join(" ");
        words(format!("{keys}{tail}").as_str()).into_iter().map(String::from).collect()
    };
    for slice_bytes in [3000, 65_536] {
        let mut clients = clients(slice_bytes);
        let (client, other) = (clients.connect(), clients.connect());
        for number in 0..MANY {
            let added = clients.ask(client, &words(&format!("ZADD key:{number} 1 a -1 b 0 m{number}")));
            assert_eq!(added, ok(":3\r\n"));
        }
        let weights = format!(" WEIGHTS{} AGGREGATE SUM", " 2".repeat(MANY));
        let wrong_weight = format!(" WEIGHTS{} x", " 2".repeat(MANY - 1));
        for (head, tail, reply) in [
            ("ZUNIONSTORE union", &*weights, ":2002\r\n"),
            ("ZUNIONSTORE union", &wrong_weight, "-ERR weight value is not a float\r\n"),
            ("ZUNION", " AGGREGATE", "-ERR syntax error\r\n"),
            ("ZINTER", " WITHSCORES", "*4\r\n$1\r\nb\r\n$5\r\n-2000\r\n$1\r\na\r\n$4\r\n2000\r\n"),
            ("ZINTER", " AGGREGATE MAX WITHSCORES", "*4\r\n$1\r\nb\r\n$2\r\n-1\r\n$1\r\na\r\n$1\r\n1\r\n"),
            ("ZINTERCARD", "", ":2\r\n"),
            ("ZINTERCARD", " LIMIT 1", ":1\r\n"),
            ("ZINTERSTORE inter", "", ":2\r\n"),
            ("ZDIFF", "", "*1\r\n$2\r\nm0\r\n"),
            ("ZDIFFSTORE diff", "", ":1\r\n"),
        ] {
            assert_eq!(clients.ask(client, &combined(head, tail)), SLICE, "{head}");
            assert_eq!(clients.ask(other, &words("ZADD key:1999 0 m1999")), ok(":0\r\n"), "it is not come to yet");
            assert_eq!(clients.ask(other, &words("ZADD key:0 0 m0")), WAIT, "{head}");
            assert_eq!(clients.finish(client), reply, "{head}{tail:.20}");
            assert_eq!(clients.turn(other), ok(":0\r\n"));
            assert!(clients.engine.holds.is_idle());
        }
        assert_eq!(
            clients.ask(client, &words("ZMSCORE union a b m7")),
            ok("*3\r\n$4\r\n4000\r\n$5\r\n-4000\r\n$1\r\n0\r\n")
        );
        // As part of a transaction, and after the client has gone.
        assert_eq!(clients.ask(client, &words("MULTI")), ok(OK));
        assert_eq!(clients.ask(client, &combined("ZDIFFSTORE union", "")), ok("+QUEUED\r\n"));
        assert_eq!(clients.ask(client, &words("EXEC")), SLICE);
        assert_eq!(clients.finish(client), "*1\r\n:1\r\n");
        assert_eq!(clients.ask(client, &combined("ZUNIONSTORE union", "")), SLICE);
        clients.leave(client);
        clients.run_jobs();
        assert_eq!(clients.ask(other, &words("ZCARD union")), ok(":2002\r\n"));
        // One that is no sorted set.
        assert_eq!(clients.ask(other, &words("SET key:1999 x")), ok(OK));
        assert_eq!(clients.ask(other, &combined("ZUNION", " WEIGHTS")), SLICE);
        assert!(clients.finish(other).starts_with("-WRONGTYPE"));
        assert_eq!(clients.ask(other, &words("FLUSHALL")), ok(OK));
        clients.run_jobs();
        assert_eq!(clients.engine.keyspace.store.live_bytes(), 0);
    }
}

#[test]
fn changes_among_members_of_one_score_are_fewer_a_slice() {
    const MEMBERS: usize = 4000;
    let mut clients = Clients::new();
    let client = clients.connect();
    let mut slices_of = |request: &[String], reply: &str| {
        let mut slices = 1;
        let mut outcome = clients.ask(client, request);
        while outcome == SLICE {
            slices += 1;
            outcome = clients.turn(client);
        }
        assert_eq!(outcome, ok(reply));
        slices
    };
    let [distinct, same] = [true, false].map(|distinct| {
        let key = if distinct { "z" } else { "lex" }.to_owned();
        let pairs = (0..MEMBERS).flat_map(|at| [if distinct { at } else { 0 }.to_string(), format!("m{at}")]);
        let adding: Vec<String> = ["zadd".to_owned(), key.clone()].into_iter().chain(pairs).collect();
        let names = (0..MEMBERS).map(|at| format!("m{at}"));
        let removing: Vec<String> = ["zrem".to_owned(), key].into_iter().chain(names).collect();
        [slices_of(&adding, ":4000\r\n"), slices_of(&removing, ":4000\r\n")]
    });
    assert!(same[0] * 2 > distinct[0] * 3 && same[1] * 2 > distinct[1] * 3, "{same:?} {distinct:?}");
}
