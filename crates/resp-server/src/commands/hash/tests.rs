//! Hashes against a naive model: random requests over small and large ones, their conversions, and time that passes.

use std::collections::BTreeMap;

use crate::commands::testing::{START, ask, ask_words, check, keyspace};
use crate::keyspace::{Keyspace, Millis};
use crate::proto::Reply;

/// A hash as anybody would write it.
type Model = BTreeMap<String, (String, Option<i64>)>;

/// A small generator for tests; its seed is its state.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn value(&mut self) -> String {
        match self.below(40) {
            0 => "v".repeat(5_000),
            1..=4 => "long value ".repeat(1 + self.below(10) as usize),
            _ => self.below(1_000).to_string(),
        }
    }
}

fn bulk(value: Option<&String>) -> String {
    value.map_or("$-1".into(), |value| format!("${} {value}", value.len()).trim_end().to_string())
}

/// The model's answer to a request, which it carries out.
fn expected(model: &mut Model, words: &[String], now: i64) -> String {
    model.retain(|_, (_, expires)| expires.is_none_or(|at| at >= now));
    let field = words.get(2).cloned().unwrap_or_default();
    match &words[0][..] {
        "HSET" => {
            let pairs = words[2..].chunks(2);
            let created = pairs.filter(|pair| model.insert(pair[0].clone(), (pair[1].clone(), None)).is_none());
            format!(":{}", created.count())
        }
        "HSETNX" => {
            let is_new = !model.contains_key(&field);
            model.entry(field).or_insert((words[3].clone(), None));
            format!(":{}", i64::from(is_new))
        }
        "HDEL" => format!(":{}", words[2..].iter().filter(|field| model.remove(*field).is_some()).count()),
        "HGET" => bulk(model.get(&field).map(|(value, _)| value)),
        "HEXISTS" => format!(":{}", i64::from(model.contains_key(&field))),
        "HSTRLEN" => format!(":{}", model.get(&field).map_or(0, |(value, _)| value.len())),
        "HINCRBY" => {
            let old = model.get(&field).map_or("0", |(value, _)| value);
            let Ok(old) = old.parse::<i64>() else {
                return "-ERR hash value is not an integer".into();
            };
            let new = old + words[3].parse::<i64>().expect("an increment");
            model.entry(field).or_insert((String::new(), None)).0 = new.to_string();
            format!(":{new}")
        }
        "HPEXPIRE" => {
            let at = now + words[2].parse::<i64>().expect("a time");
            let Some((_, expires)) = model.get_mut(&words[5]) else { return "*1 :-2".into() };
            *expires = Some(at);
            if at > now {
                return "*1 :1".into();
            }
            model.remove(&words[5]);
            "*1 :2".into()
        }
        "HPERSIST" => {
            let Some((_, expires)) = model.get_mut(&words[4]) else { return "*1 :-2".into() };
            format!("*1 :{}", if expires.take().is_some() { 1 } else { -1 })
        }
        "HPTTL" => {
            let Some((_, expires)) = model.get(&words[4]) else { return "*1 :-2".into() };
            format!("*1 :{}", expires.map_or(-1, |at| at - now))
        }
        other => panic!("the model does not know {other}"),
    }
}

fn request(random: &mut Random, fields: u64) -> Vec<String> {
    let field = format!("field:{}", random.below(fields));
    let key = "h".to_string();
    let word = |word: &str| word.to_string();
    match random.below(16) {
        0..=4 => {
            let mut words = vec![word("HSET"), key, field, random.value()];
            for _ in 0..random.below(3) {
                words.extend([format!("field:{}", random.below(fields)), random.value()]);
            }
            words
        }
        5 => vec![word("HSETNX"), key, field, random.value()],
        6 | 7 => vec![word("HDEL"), key, field, format!("field:{}", random.below(fields))],
        8 => vec![word("HGET"), key, field],
        9 => vec![word("HEXISTS"), key, field],
        10 => vec![word("HSTRLEN"), key, field],
        11 => vec![word("HINCRBY"), key, field, random.below(100).to_string()],
        12 | 13 => {
            let millis = random.below(3_000) / 10 * 10;
            vec![word("HPEXPIRE"), key, millis.to_string(), word("FIELDS"), word("1"), field]
        }
        14 => vec![word("HPERSIST"), key, word("FIELDS"), word("1"), field],
        _ => vec![word("HPTTL"), key, word("FIELDS"), word("1"), field],
    }
}

/// All fields and values, sorted.
fn all(keyspace: &mut Keyspace) -> Vec<(String, String)> {
    let mut reply = Reply::new();
    ask_words(keyspace, &[b"HGETALL", b"h"], &mut reply);
    let bytes = String::from_utf8(reply.to_vec()).expect("all of it is text");
    let mut words = bytes.split("\r\n").skip(1).filter(|word| !word.is_empty()).filter(|word| !word.starts_with('$'));
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        pairs.push((name.to_string(), value.to_string()));
    }
    pairs.sort();
    pairs
}

#[test]
fn random_requests_are_answered_as_a_naive_hash_would_in_either_form() {
    // Few fields stay in the key's entry, many do not; between them a hash goes from one form to the other.
    for (seed, fields) in [(1, 5), (2, 30), (3, 150), (4, 600)] {
        let mut random = Random(seed);
        let mut keyspace = keyspace(u64::MAX);
        let mut model = Model::new();
        let mut now = START;
        for step in 0..3_000 {
            now.0 += random.below(20) as i64;
            keyspace.set_now(now);
            let words = request(&mut random, fields);
            // HDEL counts what has expired and is there still.
            if random.below(20) == 0 || words[0] == "HDEL" {
                while keyspace.expire_step(100) {}
            }
            let what = format!("step {step} of seed {seed}: {}", words.join(" "));
            let expected = expected(&mut model, &words, now.0);
            let bytes: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            assert_eq!(ask_words(&mut keyspace, &bytes, &mut Reply::new()), expected, "{what}");
            if step % 50 == 0 {
                let pairs = model.iter().filter(|(_, (_, expires))| expires.is_none_or(|at| at >= now.0));
                let pairs: Vec<_> = pairs.map(|(name, (value, _))| (name.clone(), value.clone())).collect();
                assert_eq!(all(&mut keyspace), pairs, "{what}");
            }
        }
        // What can expire does, and the key with it.
        let lasting = model.values().any(|(_, expires)| expires.is_none());
        now.0 += 10_000;
        keyspace.set_now(now);
        while keyspace.expire_step(100) {}
        assert_eq!(ask(&mut keyspace, "EXISTS h"), format!(":{}", i64::from(lasting)));
        ask(&mut keyspace, "DEL h");
        while keyspace.free_discarded() {}
        while keyspace.store.step(chunkbuf::Budget::STEP, true) {}
        assert_eq!(keyspace.store.live_bytes(), 0);
        keyspace.store.audit();
    }
}

#[test]
fn fields_and_values_of_any_length_come_back() {
    let mut keyspace = keyspace(u64::MAX);
    let lens = [0, 1, 64, 65, 4_000, 4_096, 65_534, 65_535, 70_000, 300_000];
    for len in lens {
        let long = vec![b'x'; len];
        let reply = ask_words(&mut keyspace, &[b"HSET", b"h", &long, b"short", b"name", &long], &mut Reply::new());
        assert!(reply == ":2" || reply == ":1", "{reply}");
        assert_eq!(ask_words(&mut keyspace, &[b"HGET", b"h", &long], &mut Reply::new()), "$5 short");
        let reply = ask_words(&mut keyspace, &[b"HSTRLEN", b"h", b"name"], &mut Reply::new());
        assert_eq!(reply, format!(":{len}"));
        let mut value = Reply::new();
        ask_words(&mut keyspace, &[b"HGET", b"h", b"name"], &mut value);
        assert_eq!(value.to_vec(), [format!("${len}\r\n").as_bytes(), &long, b"\r\n"].concat());
    }
    assert_eq!(ask(&mut keyspace, "HLEN h"), format!(":{}", lens.len() + 1));
    for len in lens {
        let long = vec![b'x'; len];
        assert_eq!(ask_words(&mut keyspace, &[b"HDEL", b"h", &long], &mut Reply::new()), ":1");
    }
    check(&mut keyspace, &[("HLEN h", ":1"), ("HDEL h name", ":1"), ("EXISTS h", ":0")]);
    while keyspace.free_discarded() {}
    keyspace.store.audit();
    while keyspace.store.step(chunkbuf::Budget::STEP, true) {}
    assert_eq!(keyspace.store.blob_usage().page_bytes, 0);
}

#[test]
fn the_fields_of_a_hash_that_moves_still_expire() {
    for fields in [3, 500] {
        let mut keyspace = keyspace(u64::MAX);
        for number in 0..fields {
            ask(&mut keyspace, &format!("HSET h field:{number} value:{number}"));
        }
        ask(&mut keyspace, "HPEXPIRE h 100 FIELDS 2 field:0 field:1");
        check(&mut keyspace, &[("RENAME h g", "+OK"), ("HPTTL g FIELDS 2 field:0 field:2", "*2 :100 :-1")]);
        keyspace.set_now(Millis(START.0 + 200));
        while keyspace.expire_step(100) {}
        assert_eq!(ask(&mut keyspace, "HLEN g"), format!(":{}", fields - 2));
        assert_eq!(keyspace.stats.expired_subkeys, 2);
    }
}

/// A hash `h` of so many fields, without `field:20`, whose first eight have expired and are still there.
fn with_expired_fields(fields: usize) -> Keyspace {
    let mut keyspace = keyspace(u64::MAX);
    for number in 0..fields {
        ask(&mut keyspace, &format!("HSET h field:{number} value:{number}"));
    }
    ask(&mut keyspace, "HDEL h field:20");
    ask(&mut keyspace, "HPEXPIRE h 100 FIELDS 8 field:0 field:1 field:2 field:3 field:4 field:5 field:6 field:7");
    keyspace.set_now(Millis(START.0 + 200));
    keyspace
}

/// Fields of `h`, expired ones that are still there included.
fn stored(keyspace: &mut Keyspace) -> u64 {
    ask(keyspace, "HLEN h")[1..].parse().expect("a number")
}

#[test]
fn a_field_that_has_expired_goes_with_the_first_request_that_asks_for_it() {
    // Each request removes one more; whatever they are, they are answered as if it had been gone before.
    let requests = [
        ("HGET h field:0", "$-1"),
        ("HEXISTS h field:1", ":0"),
        ("HSTRLEN h field:2", ":0"),
        ("HMGET h field:3 field:3 field:20", "*3 $-1 $-1 $-1"),
        ("HDEL h field:4 field:4", ":1"),
    ];
    for fields in [20, 800] {
        let mut keyspace = with_expired_fields(fields);
        let before = stored(&mut keyspace);
        for (removed, (request, reply)) in (1..).zip(requests) {
            assert_eq!(ask(&mut keyspace, request), reply, "{request}");
            assert_eq!(stored(&mut keyspace), before - removed, "{request}");
        }
        check(&mut keyspace, &[("HINCRBY h field:5 1", ":1"), ("HSETNX h field:6 v", ":1")]);
        assert_eq!(stored(&mut keyspace), before - 5);
        ask(&mut keyspace, "HRANDFIELD h 1");
        assert_eq!(stored(&mut keyspace), before - 6);
        assert_eq!(keyspace.stats.expired_subkeys, 4 + 2 + 1);
        keyspace.store.audit();
    }
}

#[test]
fn commands_that_do_two_things_remove_fields_that_have_expired() {
    let requests = [
        ("HGETDEL h FIELDS 2 field:0 field:20", "*2 $-1 $-1"),
        ("HGETEX h FIELDS 1 field:1", "*1 $-1"),
        ("HGETEX h EX 100 FIELDS 1 field:2", "*1 $-1"),
        ("HSETEX h FXX FIELDS 1 field:3 v", ":0"),
        ("HSETEX h FXX FIELDS 2 field:4 v field:5 v", ":0"),
    ];
    for fields in [20, 800] {
        let mut keyspace = with_expired_fields(fields);
        let before = stored(&mut keyspace);
        for (removed, (request, reply)) in (1..).zip(requests) {
            assert_eq!(ask(&mut keyspace, request), reply, "{request}");
            assert_eq!(stored(&mut keyspace), before - removed, "{request}");
            assert_eq!(keyspace.stats.expired_subkeys, removed, "{request}");
        }
        check(&mut keyspace, &[("HSETEX h FNX FIELDS 2 field:6 v field:7 v", ":1")]);
        assert_eq!((stored(&mut keyspace), keyspace.stats.expired_subkeys), (before - 5, 7));
        keyspace.store.audit();
    }
    for request in ["HGETDEL g FIELDS 1 f", "HGETEX g FIELDS 1 f", "HSETEX g FXX FIELDS 1 f v"] {
        let mut keyspace = keyspace(u64::MAX);
        check(&mut keyspace, &[("HSETEX g PX 100 FIELDS 1 f v", ":1")]);
        keyspace.set_now(Millis(START.0 + 200));
        ask(&mut keyspace, request);
        check(&mut keyspace, &[("EXISTS g", ":0")]);
    }
}

#[test]
fn hgetex_says_that_arguments_are_missing_before_it_says_which() {
    let mut keyspace = keyspace(u64::MAX);
    let arity = "-ERR wrong number of arguments for 'hgetex' command";
    for request in ["HGETEX h PXAT 1 1", "HGETEX h EX 100 FIELDS"] {
        assert_eq!(ask(&mut keyspace, request), arity, "{request}");
    }
}

#[test]
fn hsetex_can_depend_on_the_key_as_in_valkey() {
    let mut keyspace = keyspace(u64::MAX);
    check(
        &mut keyspace,
        &[
            ("HSETEX h XX FIELDS 1 f v", ":0"),
            ("HSETEX h NX FXX FIELDS 1 f v", ":0"),
            ("EXISTS h", ":0"),
            ("HSETEX h NX FNX FIELDS 1 f v", ":1"),
            ("HSETEX h NX FIELDS 1 g v", ":0"),
            ("HSETEX h XX FNX FIELDS 1 f w", ":0"),
            ("HSETEX h XX EX 10 FIELDS 1 f w", ":1"),
            ("HGETALL h", "*2 $1 f $1 w"),
            ("HTTL h FIELDS 1 f", "*1 :10"),
            ("HSETEX h NX XX FIELDS 1 f v", "-ERR Only one of NX or XX arguments can be specified"),
        ],
    );
}

#[test]
fn a_hash_goes_with_its_last_field_that_is_asked_for_unless_somebody_keeps_it() {
    let mut keyspace = keyspace(u64::MAX);
    for is_kept in [true, false] {
        check(&mut keyspace, &[("HSET h f v", ":1"), ("HPEXPIRE h 100 FIELDS 1 f", "*1 :1")]);
        let hash = keyspace.store.key(b"h").hash();
        if is_kept {
            keyspace.keep(0, hash);
        }
        let now = keyspace.now();
        keyspace.set_now(Millis(now.0 + 200));
        check(&mut keyspace, &[("HGET h f", "$-1"), ("EXISTS h", if is_kept { ":1" } else { ":0" })]);
        if is_kept {
            keyspace.let_go_of(0, hash);
            check(&mut keyspace, &[("HGET h f", "$-1"), ("EXISTS h", ":0")]);
        }
    }
}

#[test]
fn a_large_hash_whose_fields_are_all_due_goes_step_by_step_without_a_pause() {
    const FIELDS: u64 = 3_000;
    let mut keyspace = keyspace(u64::MAX);
    for number in 0..FIELDS {
        ask(&mut keyspace, &format!("HSETEX h PX 100 FIELDS 1 field:{number} value:{number}"));
    }
    keyspace.set_now(Millis(START.0 + 200));
    let mut steps = 0;
    while keyspace.expire_step(100) {
        steps += 1;
    }
    assert!(steps >= FIELDS / 101, "{steps}");
    assert_eq!(ask(&mut keyspace, "EXISTS h"), ":0");
    assert_eq!(keyspace.stats.expired_subkeys, FIELDS);
}

#[test]
fn a_hash_that_grows_beyond_memory_stays_as_it_was() {
    let mut keyspace = keyspace(4 << 20);
    ask(&mut keyspace, "HSET h f v");
    let large = vec![b'x'; 8 << 20];
    for field in [&b"f"[..], b"g"] {
        let reply = ask_words(&mut keyspace, &[b"HSET", b"h", b"a", b"1", field, &large], &mut Reply::new());
        assert!(reply.starts_with("-OOM"), "{reply}");
    }
    check(&mut keyspace, &[("HGETALL h", "*2 $1 f $1 v"), ("HLEN h", ":1")]);
    while keyspace.free_discarded() {}
    keyspace.store.audit();
}
