//! Commands on long strings in slices: they answer as at once, others go on meanwhile, and whatever ends them in the middle leaves
//! nothing behind.

use super::*;

/// A server that goes on in slices of so many bytes, and whose strings of 1,000 bytes are blobs.
fn clients(slice_bytes: usize) -> Clients {
    let mut clients = Clients::new();
    clients.engine.keyspace.slice_bytes = slice_bytes;
    clients.engine.keyspace.blob_threshold = 1000;
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

    fn bytes(&mut self, len_max: usize) -> Vec<u8> {
        let len = self.below(len_max);
        let kind = self.below(4);
        (0..len).map(|_| if kind == 0 { 0 } else { self.below(if kind == 1 { 3 } else { 256 }) as u8 }).collect()
    }

    fn key(&mut self) -> String {
        format!("k{}", self.below(5))
    }

    fn range(&mut self) -> String {
        let mut end = || self.below(20_000) as i64 - 10_000;
        format!("{} {}", end(), end())
    }

    /// A request, and its last word if it comes apart.
    fn request(&mut self) -> (String, Option<Vec<u8>>) {
        let (key, range) = (self.key(), self.range());
        let bit = self.below(2);
        let request = match self.below(12) {
            0 => format!("BITCOUNT {key}"),
            1 => format!("BITCOUNT {key} {range} BIT"),
            2 => format!("BITCOUNT {key} {range}"),
            3 => format!("BITPOS {key} {bit}"),
            4 => format!("BITPOS {key} {bit} {range} BYTE"),
            5 => {
                let options = ["", " LEN", " IDX", " IDX WITHMATCHLEN MINMATCHLEN 3"][self.below(4)];
                format!("LCS {key} {}{options}", self.key())
            }
            6 | 7 => {
                let operator = ["AND", "OR", "XOR", "NOT", "DIFF", "DIFF1", "ANDOR", "ONE"][self.below(8)];
                let sources = if operator == "NOT" { 1 } else { 2 + self.below(4) };
                (0..sources).fold(format!("BITOP {operator} {key}"), |request, _| request + " " + &self.key())
            }
            8 => return (format!("APPEND {key}"), Some(self.bytes(9000))),
            9 => return (format!("SETRANGE {key} {}", self.below(3000)), Some(self.bytes(9000))),
            10 => (0..60).fold(format!("BITFIELD {key}"), |request, _| {
                let at = self.below(40_000);
                match self.below(4) {
                    0 => format!("{request} GET u16 {at}"),
                    1 => format!("{request} SET i7 {at} {}", self.below(64)),
                    2 => format!("{request} INCRBY u3 {at} {}", self.below(8)),
                    _ => format!("{request} OVERFLOW FAIL INCRBY u2 #{at} 1"),
                }
            }),
            _ => (0..60).fold(format!("BITFIELD_RO {key}"), |request, _| {
                format!("{request} GET i{} {}", 1 + self.below(64), self.below(40_000))
            }),
        };
        (request, None)
    }
}

#[test]
fn whatever_is_asked_is_answered_in_slices_as_at_once() {
    for (seed, slice_bytes) in [(1, 1), (2, 100), (3, 1000), (4, 4096), (5, 10_000)] {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let (mut whole, mut sliced) = (clients(usize::MAX), clients(slice_bytes));
        let (one, other) = (whole.connect(), sliced.connect());
        let mut in_slices = 0;
        for step in 0..400 {
            if step % 20 == 0 {
                let set = [b"SET".to_vec(), random.key().into_bytes(), random.bytes(3000)];
                assert_eq!(whole.ask(one, &set), sliced.ask(other, &set));
            }
            let (request, last) = random.request();
            let request = words(&request);
            let (expected, mut outcome) = match &last {
                Some(last) => (whole.ask_large(one, &request, last), sliced.ask_large(other, &request, last)),
                None => (whole.ask(one, &request), sliced.ask(other, &request)),
            };
            in_slices += usize::from(outcome == SLICE);
            while outcome == SLICE {
                outcome = sliced.turn(other);
            }
            assert_eq!(outcome, expected, "seed {seed}, step {step}: {request:?}");
            assert!(expected.is_ok() && sliced.engine.holds.is_idle());
            for key in 0..5 {
                let get = words(&format!("GET k{key}")).join(" ");
                assert_eq!(whole.ask(one, &words(&get)), sliced.ask(other, &words(&get)), "{request:?}");
            }
        }
        assert!(in_slices > 20, "{in_slices} with {slice_bytes}");
        sliced.run_jobs();
        sliced.engine.keyspace.store.audit();
        assert_eq!(sliced.engine.keyspace.store.blob_usage().other_handles, 0);
    }
}

/// A server with a string of 100,000 bytes at `long`, and three of its clients.
fn with_long_string(slice_bytes: usize) -> (Clients, [ClientId; 3]) {
    let mut clients = clients(slice_bytes);
    let three = [(); 3].map(|()| clients.connect());
    assert_eq!(clients.ask(three[0], &[b"SET", &b"long"[..], &[b'a'; 100_000]]), ok(OK));
    (clients, three)
}

#[test]
fn nobody_waits_for_those_who_only_read() {
    for (request, reply) in [
        ("BITCOUNT long", ":300000\r\n"),
        ("BITPOS zeros 1", ":-1\r\n"),
        ("BITPOS zeros 0 3", ":24\r\n"),
        ("LCS long short LEN", ":50\r\n"),
    ] {
        let (mut clients, [reader, writer, _]) = with_long_string(100);
        clients.ask(writer, &[b"SET", &b"short"[..], &[b'a'; 50]]).unwrap();
        clients.ask(writer, &words("SETBIT zeros 799999 0")).unwrap();
        let outcome = clients.ask(reader, &words(request));
        if outcome != SLICE {
            assert_eq!(outcome, ok(reply), "{request} is short");
            continue;
        }
        assert!(clients.engine.holds.is_idle(), "no gate is closed");
        assert_eq!(clients.ask(writer, &words("APPEND long zzz")), ok(":100003\r\n"));
        assert_eq!(clients.ask(writer, &words("SETRANGE long 0 zzz")), ok(":100003\r\n"));
        assert_eq!(clients.ask(writer, &words("DEL long short")), ok(":2\r\n"));
        assert_eq!(clients.ask(writer, &words("FLUSHALL")), ok(OK));
        assert_eq!(clients.finish(reader), reply, "as of its start");
    }
}

#[test]
fn writers_wait_for_those_who_write_and_see_all_or_nothing() {
    let large = [b'b'; 100_000];
    for (request, last, key, len) in [
        ("BITOP OR long long other", None, "long", 100_000),
        ("BITOP NOT other long", None, "other", 100_000),
        ("APPEND long", Some(&large), "long", 200_000),
        ("SETRANGE long 50000", Some(&large), "long", 150_000),
    ] {
        let (mut clients, [writer, reader, appender]) = with_long_string(1000);
        let request = words(request);
        let outcome = match last {
            Some(last) => clients.ask_large(writer, &request, last),
            None => clients.ask(writer, &request),
        };
        assert_eq!(outcome, SLICE);
        assert_eq!(clients.ask(reader, &words("GET unrelated")), ok("$-1\r\n"));
        assert_eq!(clients.ask(reader, &words(&format!("STRLEN {key}"))), WAIT, "{request:?}");
        assert_eq!(clients.ask(appender, &words("DEL long")), WAIT, "what it reads does not change either");
        assert_eq!(clients.finish(writer), format!(":{len}\r\n"));
        let replies = clients.settle();
        assert_eq!(replies[&reader], format!(":{len}\r\n"));
        assert_eq!(replies[&appender], ":1\r\n");
    }
}

#[test]
fn a_client_that_goes_in_the_middle_leaves_neither_hold_nor_memory() {
    let large = [b'b'; 100_000];
    for (request, last) in [
        ("BITCOUNT long", None),
        ("BITPOS zeros 1", None),
        ("LCS long long IDX", None),
        ("BITOP NOT other long", None),
        ("APPEND long", Some(&large)),
        ("SETRANGE long 3", Some(&large)),
    ] {
        let (mut clients, [goes, stays, _]) = with_long_string(1000);
        clients.ask(stays, &words("SETBIT zeros 799999 0")).unwrap();
        clients.engine.keyspace.bulk_len_max = 1 << 40;
        let request = words(request);
        let outcome = match last {
            Some(last) => clients.ask_large(goes, &request, last),
            None => clients.ask(goes, &request),
        };
        assert_eq!(outcome, SLICE, "{request:?}");
        assert_eq!(clients.turn(goes), SLICE);
        clients.leave(goes);
        clients.run_jobs();
        assert!(clients.engine.holds.is_idle());
        // What writes has written all.
        let len = match request[0] {
            "APPEND" => 200_000,
            "SETRANGE" => 100_003,
            _ => 100_000,
        };
        assert_eq!(clients.ask(stays, &words("STRLEN long")), ok(&format!(":{len}\r\n")));
        clients.ask(stays, &words("DEL long other zeros")).unwrap();
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
        let usage = clients.engine.keyspace.store.blob_usage();
        assert_eq!((usage.blobs, usage.other_handles, usage.page_bytes), (0, 0, 0), "{request:?}");
    }
}

#[test]
fn without_memory_in_the_middle_nothing_changes() {
    let large = vec![b'b'; 3 << 20];
    for request in
        ["APPEND long", "SETRANGE long 7", "SETRANGE none 7", "BITOP OR long huge long", "BITOP NOT none huge"]
    {
        let (mut clients, [writer, other, _]) = with_long_string(1000);
        clients.engine.keyspace.bulk_len_max = 1 << 40;
        let request = words(request);
        let is_large = request[0] != "BITOP";
        if !is_large {
            assert_eq!(clients.ask(other, &words("SETBIT huge 400000000 1")), ok(":0\r\n"));
        }
        assert_eq!(clients.ask(other, &words("CONFIG SET maxmemory 6mb")), ok(OK));
        let mut outcome =
            if is_large { clients.ask_large(writer, &request, &large) } else { clients.ask(writer, &request) };
        let mut fill = 0;
        while outcome == SLICE {
            // Others take what is left meanwhile.
            if is_large && fill < 200 {
                fill += 1;
                let value = vec![b'v'; 100_000];
                let _ = clients.ask(other, &[b"SET", format!("fill:{fill}").as_bytes(), &value]);
            }
            outcome = clients.turn(writer);
        }
        assert_eq!(outcome, Ok(format!("-{OOM}\r\n")), "{request:?}");
        assert!(clients.engine.holds.is_idle());
        assert_eq!(clients.ask(other, &words("CONFIG SET maxmemory 0")), ok(OK));
        assert_eq!(clients.ask(other, &words("BITCOUNT long 0 99999")).map(|_| ()), Err(Pause::Slice));
        assert_eq!(clients.finish(other), ":300000\r\n");
        assert_eq!(clients.ask(other, &words("STRLEN long")), ok(":100000\r\n"));
        assert_eq!(clients.ask(other, &words("EXISTS none")), ok(":0\r\n"));
        clients.run_jobs();
        clients.engine.keyspace.store.audit();
        assert_eq!(clients.engine.keyspace.store.blob_usage().other_handles, 0);
    }
}

#[test]
fn a_string_that_expires_meanwhile_is_gone_and_what_was_appended_with_it() {
    let (mut clients, [writer, other, _]) = with_long_string(1000);
    assert_eq!(clients.ask(other, &words("PEXPIRE long 1500")), ok(":1\r\n"));
    assert_eq!(clients.ask_large(writer, &["APPEND", "long"], &[b'b'; 100_000]), SLICE);
    clients.engine.set_now(at_second(2));
    clients.run_jobs();
    assert_eq!(clients.finish(writer), ":200000\r\n");
    assert_eq!(clients.ask(other, &words("EXISTS long")), ok(":0\r\n"));

    // One that does not expire, and one that is not there.
    for (request, len) in [("APPEND fresh", 100_000), ("APPEND fresh", 200_000), ("SETRANGE new 5", 100_005)] {
        let mut outcome = clients.ask_large(writer, &words(request), &[b'b'; 100_000]);
        while outcome == SLICE {
            outcome = clients.turn(writer);
        }
        assert_eq!(outcome, ok(&format!(":{len}\r\n")));
    }
    assert_eq!(clients.ask(other, &words("PEXPIRE fresh 1500")), ok(":1\r\n"));
    assert_eq!(clients.ask_large(writer, &["APPEND", "fresh"], &[b'b'; 100_000]), SLICE);
    assert_eq!(clients.finish(writer), ":300000\r\n");
    assert_eq!(clients.ask(other, &words("PTTL fresh")), ok(":1500\r\n"), "its time stays");
    clients.run_jobs();
    clients.engine.keyspace.store.audit();
}

#[test]
fn bitop_of_very_many_keys_holds_them_as_it_goes() {
    let mut clients = Clients::new();
    let (long, other) = (clients.connect(), clients.connect());
    clients.ask(long, &of_pairs("MSET", 0..MANY, "a")).unwrap_err();
    clients.finish(long);
    clients.ask(other, &words("SET key:1990 b")).unwrap();
    let keys: Vec<String> = (0..MANY).map(name).collect();
    let request = |operator: &str, target: &str| -> Vec<String> {
        ["BITOP", operator, target].into_iter().map(str::to_owned).chain(keys.clone()).collect()
    };
    assert_eq!(clients.ask(long, &request("OR", "key:0")), SLICE);
    assert_eq!(clients.ask(other, &words("GET key:0")), WAIT);
    assert_eq!(clients.finish(long), ":1\r\n");
    assert_eq!(clients.turn(other), ok("$1\r\nc\r\n"));
    // Nothing left of strings that are not there: the key of the result is removed.
    clients.ask(long, &of_keys("DEL", 1..MANY)).unwrap_err();
    clients.finish(long);
    clients.ask(other, &words("DEL key:0")).unwrap();
    clients.ask(other, &words("SET target x")).unwrap();
    assert_eq!(clients.ask(long, &request("XOR", "target")), SLICE);
    assert_eq!(clients.finish(long), ":0\r\n");
    assert_eq!(clients.ask(other, &words("EXISTS target")), ok(":0\r\n"));
    clients.ask(other, &words("SET target x")).unwrap();
    assert!(clients.ask(long, &request("DIFF", "target")) == SLICE);
    clients.leave(long);
    assert_eq!(clients.ask(other, &words("EXISTS target")), WAIT);
    clients.run_jobs();
    assert_eq!(clients.turn(other), ok(":0\r\n"));
    assert!(clients.engine.holds.is_idle());
}

#[test]
fn a_long_msetex_does_what_its_options_say() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let pairs = of_pairs("", 0..MANY, "x");
    let request = |options: &str| -> Vec<String> {
        let options = options.split_terminator(' ').map(str::to_owned);
        ["MSETEX".to_owned(), MANY.to_string()].into_iter().chain(pairs[1..].iter().cloned()).chain(options).collect()
    };
    for (options, reply, ttl) in [
        ("XX EX 100", ":0\r\n", ":-2\r\n"),
        ("NX EX 100", ":1\r\n", ":100\r\n"),
        ("NX PX 5000", ":0\r\n", ":100\r\n"),
        ("XX KEEPTTL", ":1\r\n", ":100\r\n"),
        ("PX 5000", ":1\r\n", ":5\r\n"),
        ("", ":1\r\n", ":-1\r\n"),
        ("EXAT 1", ":1\r\n", ":-2\r\n"),
    ] {
        let mut outcome = clients.ask(client, &request(options));
        while outcome == SLICE {
            outcome = clients.turn(client);
        }
        assert_eq!(outcome, ok(reply), "{options}");
        assert_eq!(clients.ask(client, &words("TTL key:1999")), ok(ttl), "{options}");
        let count = if ttl == ":-2\r\n" { 0 } else { MANY };
        assert_eq!(clients.ask(client, &words("DBSIZE")), ok(&format!(":{count}\r\n")), "{options}");
    }
    assert!(clients.ask(client, &request("EX 0")).is_ok_and(|reply| reply.starts_with("-ERR invalid expire time")));
    assert_eq!(clients.ask(client, &words("CONFIG SET maxmemory 8mb")), ok(OK));
    let mut large = of_pairs("", 0..MANY, &"v".repeat(10_000));
    large.splice(0..1, ["MSETEX".to_owned(), MANY.to_string()]);
    assert_eq!(clients.ask(client, &large), Ok(format!("-{OOM}\r\n")));
    assert_eq!(clients.ask(client, &words("DBSIZE")), ok(":0\r\n"));
}

#[test]
fn very_many_fields_are_written_at_one_moment_or_not_at_all() {
    let mut clients = Clients::new();
    let (writer, other) = (clients.connect(), clients.connect());
    let fields = |count: usize, end: &str| -> Vec<String> {
        let sets = (0..count).map(|at| format!(" SET u8 #{} 255", 70 * at)).collect::<String>();
        format!("BITFIELD fields{sets}{end}").split(' ').map(str::to_owned).collect()
    };
    assert_eq!(clients.ask(writer, &fields(3000, " SET u8 x 1")), SLICE);
    assert_eq!(clients.finish(writer), "-ERR bit offset is not an integer or out of range\r\n");
    assert_eq!(clients.ask(other, &words("EXISTS fields")), ok(":0\r\n"));
    assert_eq!(clients.ask(writer, &fields(3000, " GET u8 #70")), SLICE);
    assert_eq!(clients.ask(other, &words("BITCOUNT fields")), WAIT);
    let reply = clients.finish(writer);
    assert!(reply.starts_with("*3001\r\n:0\r\n") && reply.ends_with(":0\r\n:255\r\n"));
    assert_eq!(clients.turn(other), ok(":24000\r\n"));
    clients.run_jobs();
    clients.engine.keyspace.store.audit();
}

#[test]
fn very_many_clients_are_listed_in_slices() {
    let mut clients = Clients::new();
    let everyone: Vec<ClientId> = (0..500).map(|_| clients.connect()).collect();
    assert_eq!(clients.ask(everyone[0], &words("CLIENT LIST")), SLICE);
    clients.leave(everyone[499]);
    let reply = clients.finish(everyone[0]);
    let lines: Vec<&str> = reply.split('\n').filter(|line| line.starts_with("id=")).collect();
    assert!(lines[0].starts_with(&format!("id={} ", everyone[0].0)));
    assert!(lines[498].starts_with(&format!("id={} ", everyone[498].0)));
    assert_eq!(lines.len(), 499, "one has gone meanwhile");
    let (header, rest) = reply.split_once("\r\n").unwrap();
    assert_eq!(header, format!("${}", rest.len() - 2));

    let asked: String = (0..200).map(|number| format!(" {}", everyone[number].0)).collect();
    assert_eq!(clients.ask(everyone[0], &words(&format!("CLIENT LIST ID{asked} x"))), SLICE);
    assert_eq!(clients.finish(everyone[0]), "-ERR Invalid client ID\r\n");
}
