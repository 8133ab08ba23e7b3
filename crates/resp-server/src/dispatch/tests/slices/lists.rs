//! Long commands on lists in slices: they answer as at once, nobody sees a list half changed, and whatever ends them in the middle
//! leaves nothing behind.

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
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn element(&mut self) -> String {
        let len = if self.below(30) == 0 { self.below(20_000) } else { self.below(3) };
        ["a", "b", "c"][self.below(3)].repeat(len + 1)
    }

    fn key(&mut self) -> String {
        format!("k{}", self.below(3))
    }

    fn request(&mut self) -> String {
        let (key, other, element) = (self.key(), self.key(), self.element());
        let side = ["LEFT", "RIGHT"][self.below(2)];
        let end = &side[..1];
        let (at, count) = (self.below(60), self.below(200));
        match self.below(12) {
            0..3 => (0..self.below(60)).fold(format!("{end}PUSH {key} x"), |all, _| all + " " + &self.element()),
            3 => format!("{end}POP {key} {}", self.below(120)),
            4 | 5 => format!("LRANGE {key} {at} {}", at + count),
            6 => format!("LPOS {key} {element} COUNT {} RANK {}1", self.below(4), ["", "-"][self.below(2)]),
            7 => format!("LINSERT {key} BEFORE {element} {}", self.element()),
            8 => format!("LREM {key} {} {element}", self.below(8) as i64 - 4),
            9 => format!("LTRIM {key} {} -{}", self.below(30), 1 + self.below(30)),
            10 => format!("LMPOP 2 {key} {other} {side} COUNT {count}"),
            _ => format!("LMOVE {key} {other} {side} LEFT"),
        }
    }
}

#[test]
fn whatever_is_asked_of_a_list_is_answered_in_slices_as_at_once() {
    for (seed, slice_bytes) in [(1, 1), (2, 100), (3, 1000), (4, 4096)] {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let (mut whole, mut sliced) = (clients(usize::MAX), clients(slice_bytes));
        let (one, other) = (whole.connect(), sliced.connect());
        let mut in_slices = 0;
        for step in 0..600 {
            let request = random.request();
            let expected = whole.ask(one, &words(&request));
            let mut outcome = sliced.ask(other, &words(&request));
            in_slices += usize::from(outcome == SLICE);
            while outcome == SLICE {
                outcome = sliced.turn(other);
            }
            assert!(outcome == expected, "seed {seed}, step {step}: {request:.100}");
            assert!(expected.is_ok() && sliced.engine.holds.is_idle());
            if step % 10 == 0 {
                for key in 0..3 {
                    let all = format!("LRANGE k{key} 0 -1");
                    let expected = whole.ask(one, &words(&all)).unwrap();
                    let outcome = sliced.ask(other, &words(&all));
                    let all = outcome.unwrap_or_else(|_| sliced.finish(other));
                    assert!(all == expected, "seed {seed}, step {step}: k{key} after {request:.100}");
                }
            }
        }
        assert!(in_slices > 50, "{in_slices} with {slice_bytes}");
        sliced.ask(other, &words("DEL k0 k1 k2")).unwrap();
        sliced.run_jobs();
        sliced.engine.keyspace.store.audit();
        assert_eq!(sliced.engine.keyspace.store.usage().block_bytes, 0);
    }
}

const LONG: usize = 5_000;

/// `command key 0 1 2 ...`
fn of_numbers(command: &str, count: usize) -> Vec<String> {
    let numbers = (0..count).map(|number| number.to_string());
    command.split(' ').map(str::to_owned).chain(numbers).collect()
}

/// A server with a list of 5,000 numbers at `long`, and three of its clients.
fn with_long_list() -> (Clients, [ClientId; 3]) {
    let mut clients = clients(1000);
    let three = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask(three[0], &of_numbers("RPUSH long", LONG)), SLICE);
    assert_eq!(clients.finish(three[0]), format!(":{LONG}\r\n"));
    (clients, three)
}

#[test]
fn nobody_sees_a_list_half_changed() {
    for (request, len) in [
        (of_numbers("RPUSH long", LONG), 2 * LONG),
        (of_numbers("LPUSH short", LONG), LONG),
        (words("LPOP long 3000").into_iter().map(str::to_owned).collect(), LONG - 3000),
        (words("RPOP long 4999").into_iter().map(str::to_owned).collect(), 1),
        (words("RPOP long 5000").into_iter().map(str::to_owned).collect(), 0),
        (words("LTRIM long 2000 -2001").into_iter().map(str::to_owned).collect(), LONG - 4000),
        (words("LREM long 0 4000").into_iter().map(str::to_owned).collect(), LONG - 1),
        (words("LINSERT long AFTER 4000 x").into_iter().map(str::to_owned).collect(), LONG + 1),
    ] {
        let (mut clients, [writer, reader, popper]) = with_long_list();
        let key = request[1].clone();
        assert_eq!(clients.ask(writer, &request), SLICE, "{:.20}", request.join(" "));
        assert_eq!(clients.ask(reader, &words(&format!("LLEN {key}"))), WAIT);
        assert_eq!(clients.ask(popper, &words("GET other")), ok("$-1\r\n"), "the others go on");
        clients.finish(writer);
        assert_eq!(clients.turn(reader), ok(&format!(":{len}\r\n")));
        assert!(clients.engine.holds.is_idle());
    }
    for request in ["LRANGE long 0 -1", "LPOS long 4999", "LPOS long x COUNT 0"] {
        let (mut clients, [reader, other, writer]) = with_long_list();
        assert_eq!(clients.ask(reader, &words(request)), SLICE);
        assert_eq!(clients.ask(other, &words("LINDEX long -1")), ok("$4\r\n4999\r\n"), "readers share");
        assert_eq!(clients.ask(writer, &words("LPOP long")), WAIT);
        clients.finish(reader);
        assert_eq!(clients.turn(writer), ok("$1\r\n0\r\n"));
    }
}

#[test]
fn a_client_that_goes_in_the_middle_leaves_a_list_as_if_it_had_stayed() {
    for (request, len) in [
        (of_numbers("RPUSH long", LONG), 2 * LONG),
        (of_numbers("LPUSH short", LONG), LONG),
        (of_numbers("LPOP long 3000", 0), LONG - 3000),
        (of_numbers("LTRIM long 2000 -2001", 0), LONG - 4000),
        (of_numbers("LRANGE long 0 -1", 0), LONG),
        (of_numbers("LPOS long x", 0), LONG),
    ] {
        let (mut clients, [goes, stays, _]) = with_long_list();
        assert_eq!(clients.ask(goes, &request), SLICE);
        assert_eq!(clients.turn(goes), SLICE, "{:.20}", request.join(" "));
        clients.leave(goes);
        clients.run_jobs();
        assert!(clients.engine.holds.is_idle());
        assert_eq!(clients.ask(stays, &words(&format!("LLEN {}", request[1]))), ok(&format!(":{len}\r\n")));
        clients.ask(stays, &words("DEL long short")).unwrap();
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
        assert_eq!(clients.engine.keyspace.store.usage().block_bytes, 0);
    }
}

#[test]
fn a_push_that_builds_a_list_and_finds_no_memory_in_its_middle_changes_nothing() {
    for (key, len) in [("short", 1), ("none", 0)] {
        for command in ["RPUSH", "LPUSH"] {
            let (mut clients, [writer, other, _]) = with_long_list();
            clients.ask(other, &words("RPUSH short x")).unwrap();
            let before = ["0", "-1"].map(|at| clients.ask(other, &words(&format!("LINDEX {key} {at}"))));
            assert_eq!(clients.ask(other, &words("CONFIG SET maxmemory 8mb")), ok(OK));
            let request: Vec<String> =
                [command, key].into_iter().map(str::to_owned).chain((0..500).map(|_| "v".repeat(8_000))).collect();
            let mut outcome = clients.ask(writer, &request);
            let mut fill = 0;
            while outcome == SLICE {
                // Others take what is left meanwhile.
                fill += 1;
                let _ = clients.ask(other, &[b"SET", format!("fill:{fill}").as_bytes(), &[b'v'; 60_000]]);
                outcome = clients.turn(writer);
            }
            assert_eq!(outcome, Ok(format!("-{OOM}\r\n")), "{command} {key}");
            assert!(fill > 10, "it was under way");
            assert!(clients.engine.holds.is_idle());
            assert_eq!(clients.ask(other, &words(&format!("LLEN {key}"))), ok(&format!(":{len}\r\n")));
            let after = ["0", "-1"].map(|at| clients.ask(other, &words(&format!("LINDEX {key} {at}"))));
            assert_eq!(after, before);
            clients.run_jobs();
            clients.engine.keyspace.store.audit();
        }
    }
}

#[test]
fn a_list_that_expires_meanwhile_is_there_to_the_end_of_the_command() {
    for (request, beginning) in [
        ("LRANGE long 0 -1", "*5000\r\n$1\r\n0\r\n"),
        ("LPOP long 4000", "*4000\r\n$1\r\n0\r\n"),
        ("LTRIM long 2000 -2001", "+OK\r\n"),
        ("LPOS long 4999", ":4999\r\n"),
    ] {
        let (mut clients, [client, other, _]) = with_long_list();
        assert_eq!(clients.ask(other, &words("PEXPIRE long 1500")), ok(":1\r\n"));
        assert_eq!(clients.ask(client, &words(request)), SLICE);
        clients.engine.set_now(at_second(2));
        clients.run_jobs();
        if request.starts_with("LRANGE") || request.starts_with("LPOS") {
            assert_eq!(clients.ask(other, &words("LLEN long")), ok(":0\r\n"), "who reads too removes it");
            clients.run_jobs();
        }
        let reply = clients.finish(client);
        assert!(reply.starts_with(beginning), "{reply:.40}");
        assert_eq!(clients.ask(other, &words("EXISTS long")), ok(":0\r\n"));
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
        assert_eq!(clients.engine.keyspace.store.usage().block_bytes, 0);
    }
}
