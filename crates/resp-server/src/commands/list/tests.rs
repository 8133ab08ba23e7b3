//! Lists against a plain one, by random requests: short and long ones, in both forms and from one to the other.

use std::collections::VecDeque;

use crate::commands::testing::{ask, ask_words, check, keyspace};
use crate::keyspace::{Keyspace, View};
use crate::proto::Reply;
use crate::types::list::{Encoding, packed};

type Model = VecDeque<Vec<u8>>;

/// Numbers below a bound, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn element(&mut self, len_max: usize) -> Vec<u8> {
        let len = match self.below(30) {
            0..15 => self.below(4),
            15..26 => self.below(100),
            26..29 => self.below(5000.min(len_max)),
            _ => self.below(len_max),
        };
        vec![b'a' + self.below(3) as u8; len]
    }
}

/// An array of bulk strings as [`ask_words`] tells it.
fn array<'a>(elements: impl ExactSizeIterator<Item = &'a Vec<u8>>) -> String {
    elements.fold(String::new(), |text, element| text + &bulk(Some(element)) + " ")
}

fn bulk(element: Option<&Vec<u8>>) -> String {
    element.map_or("$-1".to_owned(), |element| format!("${} {}", element.len(), String::from_utf8_lossy(element)))
}

/// Whether the list at `l` is in its large form; `None` if there is none.
fn is_large(keyspace: &mut Keyspace) -> Option<bool> {
    let mut db = keyspace.db(0);
    let found = db.find(b"l");
    let view = db.collection(&found, crate::keyspace::ValueType::List).unwrap()?;
    Some(matches!(view, View::Large(_)))
}

fn step(keyspace: &mut Keyspace, model: &mut Model, random: &mut Random, len_max: usize) {
    let len = model.len();
    let is_head = random.below(2) == 0;
    let index = random.below(len + 2) as i64 - if is_head { 0 } else { len as i64 + 1 };
    let place = usize::try_from(if index < 0 { index + len as i64 } else { index }).ok().filter(|&at| at < len);
    let element = random.element(len_max);
    let index_text = index.to_string();
    let side = |left: &'static str, right: &'static str| if is_head { left } else { right }.as_bytes();
    let mut ask = |words: &[&[u8]]| ask_words(keyspace, words, &mut Reply::new());
    match random.below(12) {
        0..3 => {
            let elements: Vec<Vec<u8>> = (0..1 + random.below(3)).map(|_| random.element(len_max)).collect();
            let mut words = vec![side("LPUSH", "RPUSH"), b"l"];
            words.extend(elements.iter().map(|element| &element[..]));
            assert_eq!(ask(&words), format!(":{}", len + elements.len()));
            for element in elements {
                if is_head { model.push_front(element) } else { model.push_back(element) }
            }
        }
        3 => {
            let expected = if is_head { model.pop_front() } else { model.pop_back() };
            assert_eq!(ask(&[side("LPOP", "RPOP"), b"l"]), bulk(expected.as_ref()).trim_end());
        }
        4 if random.below(4) == 0 => {
            let count = random.below(len + 3);
            let mut taken: Vec<Vec<u8>> = Vec::new();
            while taken.len() < count
                && let Some(element) = if is_head { model.pop_front() } else { model.pop_back() }
            {
                taken.push(element);
            }
            let expected =
                if len == 0 { "*-1".to_owned() } else { format!("*{} {}", taken.len(), array(taken.iter())) };
            let reply = ask(&[side("LPOP", "RPOP"), b"l", count.to_string().as_bytes()]);
            assert_eq!(reply, expected.trim_end());
        }
        5 => {
            assert_eq!(ask(&[b"LINDEX", b"l", index_text.as_bytes()]), bulk(place.map(|at| &model[at])).trim_end());
        }
        6 | 7 => {
            let reply = ask(&[b"LSET", b"l", index_text.as_bytes(), &element]);
            match place {
                Some(at) => {
                    assert_eq!(reply, "+OK");
                    model[at] = element;
                }
                None => assert!(reply.starts_with("-ERR "), "{reply}"),
            }
        }
        8 | 9 => {
            let pivot = random.element(20);
            let reply = ask(&[b"LINSERT", b"l", side("BEFORE", "AFTER"), &pivot, &element]);
            match model.iter().position(|other| *other == pivot) {
                Some(at) => {
                    model.insert(at + usize::from(!is_head), element);
                    assert_eq!(reply, format!(":{}", len + 1));
                }
                None => assert_eq!(reply, if len == 0 { ":0" } else { ":-1" }),
            }
        }
        10 if random.below(3) == 0 => {
            let element = random.element(20);
            let max = 1 + random.below(4);
            let count = if is_head { max.to_string() } else { format!("-{max}") };
            let reply = ask(&[b"LREM", b"l", count.as_bytes(), &element]);
            let mut equal: Vec<usize> = (0..len).filter(|&at| model[at] == element).collect();
            if !is_head {
                equal.reverse();
            }
            equal.truncate(max);
            equal.sort_unstable();
            equal.iter().rev().for_each(|&at| drop(model.remove(at)));
            assert_eq!(reply, format!(":{}", equal.len()));
        }
        11 if random.below(6) == 0 => {
            let (start, end) = (random.below(len.min(300) / 8 + 2), random.below(len.min(300) / 8 + 2));
            let stop = len.saturating_sub(1 + end);
            let reply = ask(&[b"LTRIM", b"l", start.to_string().as_bytes(), stop.to_string().as_bytes()]);
            assert_eq!(reply, "+OK");
            *model = model.iter().take(stop + 1).skip(start).cloned().collect();
        }
        _ => {
            let equal = model.iter().position(|other| *other == element);
            let expected = equal.map_or("$-1".to_owned(), |at| format!(":{at}"));
            assert_eq!(ask(&[b"LPOS", b"l", &element]), expected);
        }
    }
}

#[test]
fn a_list_answers_as_a_plain_one_in_both_forms() {
    for seed in 1..=9 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut keyspace = keyspace(u64::MAX);
        let mut model = Model::new();
        let len_max = [100, 5_000, 100_000][seed as usize % 3];
        let (mut large, mut packed) = (0, 0);
        for number in 0..1500 {
            step(&mut keyspace, &mut model, &mut random, len_max);
            let form = is_large(&mut keyspace);
            assert_eq!(form.is_none(), model.is_empty(), "the key goes with the last element");
            large += u32::from(form == Some(true));
            packed += u32::from(form == Some(false));
            if number % 25 == 0 {
                let all = ask_words(&mut keyspace, &[b"LRANGE", b"l", b"0", b"-1"], &mut Reply::new());
                assert_eq!(all, format!("*{} {}", model.len(), array(model.iter())).trim_end(), "seed {seed}");
                assert_eq!(ask(&mut keyspace, "LLEN l"), format!(":{}", model.len()));
            }
            if model.len() > 600 || number % 300 == 299 {
                ask(&mut keyspace, "DEL l");
                model.clear();
            }
        }
        assert!(large > 100 && packed > 50, "both forms: {large}, {packed}");
        ask(&mut keyspace, "DEL l");
        while keyspace.free_discarded() {}
        keyspace.store.audit();
        assert_eq!(keyspace.store.usage().block_bytes, 0, "all is given back");
    }
}

fn encoding(keyspace: &mut Keyspace) -> Encoding {
    let mut db = keyspace.db(0);
    let found = db.find(b"l");
    match db.collection(&found, crate::keyspace::ValueType::List).unwrap().expect("there is a list") {
        View::Packed(bytes) => packed::encoding(&bytes),
        View::Large(collection) => collection.as_list().unwrap().encoding(),
    }
}

#[test]
fn the_encoding_follows_the_setting_and_comes_back_at_half_of_it() {
    let mut keyspace = keyspace(u64::MAX);
    let push = |keyspace: &mut Keyspace, len: usize| {
        ask_words(keyspace, &[b"RPUSH", b"l", &vec![b'x'; len]], &mut Reply::new());
    };
    // 8 KiB, of which 7 bytes are the listpack's own; an element of 1,000 takes 1,004.
    (0..8).for_each(|_| push(&mut keyspace, 1_000));
    push(&mut keyspace, 8192 - 7 - 8 * 1_004);
    assert_eq!((encoding(&mut keyspace), is_large(&mut keyspace)), (Encoding::Listpack, Some(true)));
    push(&mut keyspace, 1);
    assert_eq!(encoding(&mut keyspace), Encoding::Quicklist);
    (0..5).for_each(|_| drop(ask(&mut keyspace, "LPOP l")));
    assert_eq!(encoding(&mut keyspace), Encoding::Listpack, "3 of 1,000, one of 153, and the last");
    // By elements: a short list is as much a quicklist.
    keyspace.limits.list_max_listpack_size = 4;
    check(&mut keyspace, &[("DEL l", ":1"), ("RPUSH l a b c d", ":4")]);
    assert_eq!((encoding(&mut keyspace), is_large(&mut keyspace)), (Encoding::Listpack, Some(false)));
    check(&mut keyspace, &[("LPUSH l e", ":5")]);
    assert_eq!((encoding(&mut keyspace), is_large(&mut keyspace)), (Encoding::Quicklist, Some(false)));
    check(&mut keyspace, &[("LPOP l 2", "*2 $1 e $1 a")]);
    assert_eq!(encoding(&mut keyspace), Encoding::Quicklist);
    for request in ["LREM l 1 b", "LTRIM l 0 1", "LSET l 0 b", "RPOP l"] {
        check(&mut keyspace, &[("DEL l", ":1"), ("RPUSH l a b c d e", ":5"), ("LTRIM l 0 2", "+OK")]);
        assert_eq!(encoding(&mut keyspace), Encoding::Quicklist);
        ask(&mut keyspace, request);
        let expected = if request.starts_with("LSET") { Encoding::Quicklist } else { Encoding::Listpack };
        assert_eq!(encoding(&mut keyspace), expected, "{request}");
    }
}

#[test]
fn a_list_that_finds_no_memory_is_as_before() {
    let mut keyspace = keyspace(6 << 20);
    let small = [b'x'; 40];
    for _ in 0..100 {
        ask_words(&mut keyspace, &[b"RPUSH", b"l", &small], &mut Reply::new());
    }
    let before = ask(&mut keyspace, "LRANGE l 0 -1");
    let mut fill = 0;
    while ask_words(&mut keyspace, &[b"RPUSH", b"fill", &[b'f'; 16_000]], &mut Reply::new()).starts_with(':') {
        fill += 1;
    }
    assert!(fill > 50, "{fill}");
    let long = vec![b'y'; 200_000];
    for words in [
        vec![&b"RPUSH"[..], b"l", b"a", b"b", &long, b"c"],
        vec![b"LPUSH", b"l", b"a", &long],
        vec![b"RPUSH", b"none", b"a", &long],
        vec![b"LSET", b"l", b"3", &long],
        vec![b"LINSERT", b"l", b"AFTER", &small, &long],
    ] {
        let reply = ask_words(&mut keyspace, &words, &mut Reply::new());
        assert!(reply.starts_with("-OOM "), "{reply}");
        assert_eq!(ask(&mut keyspace, "LRANGE l 0 -1"), before);
        assert_eq!(ask(&mut keyspace, "LLEN none"), ":0");
        assert_eq!(ask(&mut keyspace, "LLEN fill"), format!(":{fill}"));
    }
    keyspace.store.audit();
}
