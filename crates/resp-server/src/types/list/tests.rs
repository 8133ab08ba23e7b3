//! A large list against a plain one, by random operations, with and without memory.

use std::collections::VecDeque;

use chunkbuf::{Options, Store};

use super::*;

fn store(memory_limit: u64) -> Store {
    Store::new(Options { memory_limit, ..Options::default() })
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Mostly short, sometimes longer than a block of small elements, or than any element in a block.
    fn element(&mut self, largest: u64) -> Vec<u8> {
        let len = match self.below(60) {
            0..20 => 3,
            20..40 => self.below(40),
            40..52 => self.below(300),
            52..57 => self.below(5_000.min(largest)),
            57..59 => self.below(20_000.min(largest)),
            _ => self.below(largest),
        };
        let byte = b'a' + self.below(3) as u8;
        vec![byte; len as usize]
    }
}

fn bytes_of(element: Element<'_>) -> Vec<u8> {
    match element {
        Element::Bytes(bytes) => bytes.to_vec(),
        Element::Blob(blob) => blob.pieces(0..blob.len()).collect::<Vec<_>>().concat(),
    }
}

/// A list and what it should be.
struct Pair {
    store: Store,
    list: List,
    model: VecDeque<Vec<u8>>,
}

impl Pair {
    fn new(memory_limit: u64) -> Pair {
        Pair { store: store(memory_limit), list: List::default(), model: VecDeque::new() }
    }

    fn check(&self) {
        self.list.audit();
        assert_eq!(self.list.len(), self.model.len() as u64);
        assert!(self.list.forward(0).map(bytes_of).eq(self.model.iter().cloned()), "forward");
        assert!(self.list.backward(self.list.len()).map(bytes_of).eq(self.model.iter().rev().cloned()), "backward");
    }

    fn step(&mut self, random: &mut Random, largest: u64) {
        let Pair { store, list, model } = self;
        let len = model.len() as u64;
        let end = if random.below(2) == 0 { End::Head } else { End::Tail };
        match random.below(16) {
            0..5 => {
                let element = random.element(largest);
                if list.push(store, end, Element::Bytes(&element)).is_ok() {
                    match end {
                        End::Head => model.push_front(element),
                        End::Tail => model.push_back(element),
                    }
                }
            }
            5..8 => {
                let (at, element) = (random.below(len + 1), random.element(largest));
                if list.insert(store, at, Element::Bytes(&element)).is_ok() {
                    model.insert(at as usize, element);
                }
            }
            8..10 => {
                let expected = match end {
                    End::Head => model.pop_front(),
                    End::Tail => model.pop_back(),
                };
                assert_eq!(list.pop(store, end, bytes_of), expected);
            }
            10 if len > 0 => {
                let at = random.below(len);
                list.remove(store, at);
                model.remove(at as usize);
            }
            11..13 if len > 0 => {
                let (at, element) = (random.below(len), random.element(largest));
                if list.set(store, at, Element::Bytes(&element)).is_ok() {
                    model[at as usize] = element;
                }
            }
            13 => {
                let max = random.below(len / 4 + 2);
                let removed = list.remove_some(store, end, max, 1 + random.below(3) as usize);
                assert!(removed <= max);
                match end {
                    End::Head => drop(model.drain(..removed as usize)),
                    End::Tail => model.truncate((len - removed) as usize),
                }
            }
            14 if random.below(8) == 0 => remove_equal(self, random, end),
            _ if len > 0 => {
                let at = random.below(len);
                assert_eq!(list.get(at).map(bytes_of).as_ref(), model.get(at as usize));
                assert_eq!(list.forward(at).next().map(bytes_of).as_ref(), model.get(at as usize));
                assert_eq!(list.backward(at + 1).next().map(bytes_of).as_ref(), model.get(at as usize));
                assert_eq!(list.get(at).map(|element| is(element, &model[at as usize])), Some(true));
            }
            _ => assert!(list.get(len).is_none()),
        }
    }
}

/// Whether an element's bytes are these, by as many steps as it takes.
fn is(element: Element<'_>, bytes: &[u8]) -> bool {
    let mut comparing = Comparing::default();
    loop {
        if let Some(is) = comparing.is(element, bytes, &mut 1) {
            return is;
        }
    }
}

fn remove_equal(pair: &mut Pair, random: &mut Random, end: End) {
    let Pair { store, list, model } = pair;
    let mut element = random.element(100);
    if random.below(2) == 0
        && let Some(other) = model.get(random.below(model.len() as u64 + 1) as usize)
    {
        element = other.clone();
    }
    let mut comparing = Comparing::default();
    let max = if random.below(2) == 0 { u64::MAX } else { 1 + random.below(5) };
    let (mut kept, mut removed) = (0, 0);
    while kept < list.len() && removed < max {
        let looked_for = (&element[..], max - removed);
        let Some(step) = list.remove_equal(store, (end, kept), looked_for, &mut comparing, &mut 1) else { continue };
        assert!(step.kept > kept || step.removed > 0, "it goes on");
        kept = step.kept;
        removed += step.removed;
    }
    let mut left = max;
    let mut keep = |other: &Vec<u8>| {
        let goes = left > 0 && *other == element;
        left -= u64::from(goes);
        !goes
    };
    match end {
        End::Head => model.retain(keep),
        End::Tail => {
            let mut kept: VecDeque<Vec<u8>> = model.drain(..).rev().filter(|other| keep(other)).collect();
            kept.make_contiguous().reverse();
            *model = kept;
        }
    }
}

#[test]
fn a_long_element_is_compared_in_steps_to_its_last_byte() {
    let mut store = Store::new(chunkbuf::Options::default());
    for len in [ELEMENT_BYTES_MAX, ELEMENT_BYTES_MAX + 1, 65_536, 65_537, 1_000_000] {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut list = List::default();
        list.push(&mut store, End::Tail, Element::Bytes(&bytes)).expect("memory is not limited");
        let element = list.get(0).expect("just pushed");
        assert!(is(element, &bytes));
        assert!(!is(element, &bytes[1..]) && !is(element, &[&bytes[..], b"x"].concat()));
        for at in [0, len / 2, len - 1] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!is(element, &other), "byte {at} of {len} differs");
        }
        let (mut comparing, mut steps) = (Comparing::default(), 1);
        while comparing.is(element, &bytes, &mut 1).is_none() {
            steps += 1;
        }
        assert_eq!(steps, if len > ELEMENT_BYTES_MAX { len.div_ceil(Comparing::BYTES_MIN as usize) } else { 1 });
        while list.free_some(&mut store) {}
    }
}

#[test]
fn a_list_is_what_a_plain_one_would_be() {
    for seed in 0..12 {
        let mut random = Random(seed);
        let mut pair = Pair::new(u64::MAX);
        let largest = [200, 3_000, 100_000][seed as usize % 3];
        for step in 0..3_000 {
            pair.step(&mut random, largest);
            if step % 50 == 0 {
                pair.check();
            }
        }
        pair.check();
        let Pair { mut store, mut list, .. } = pair;
        while list.free_some(&mut store) {}
        while store.step(chunkbuf::Budget::STEP, true) {}
        assert_eq!(store.usage().pool.used_bytes, 0, "seed {seed}: all is given back");
        store.audit();
    }
}

#[test]
fn what_finds_no_memory_changes_nothing() {
    for seed in 0..6 {
        let mut random = Random(seed);
        let mut pair = Pair::new(4 << 20);
        for step in 0..4_000 {
            let before = pair.list.len();
            pair.step(&mut random, 100_000);
            if pair.list.len() == before || step % 100 == 0 {
                pair.check();
            }
            while pair.store.step(chunkbuf::Budget::STEP, true) {}
        }
        pair.list.free(&mut pair.store);
    }
}

#[test]
fn a_million_elements_of_16_bytes_take_about_18_bytes_each() {
    for end in [End::Head, End::Tail] {
        let mut store = store(u64::MAX);
        let mut list = List::default();
        let count = 200_000;
        for n in 0..count {
            list.push(&mut store, end, Element::Bytes(format!("{n:016}").as_bytes())).unwrap();
        }
        let each = list.memory_bytes(&store) as f64 / f64::from(count);
        assert!(each < 18.4, "{each} bytes an element");
        list.free(&mut store);
    }
}

#[test]
fn a_queue_holds_no_more_than_its_elements() {
    let mut store = store(u64::MAX);
    let mut list = List::default();
    for n in 0..200_000_u32 {
        list.push(&mut store, End::Tail, Element::Bytes(&n.to_le_bytes())).unwrap();
        if n >= 100 {
            assert_eq!(list.pop(&mut store, End::Head, bytes_of).unwrap(), (n - 100).to_le_bytes());
        }
    }
    list.audit();
    assert_eq!(list.len(), 100);
    assert!(list.memory_bytes(&store) < 20_000, "{}", list.memory_bytes(&store));
    list.free(&mut store);
}

#[test]
fn a_list_that_was_emptied_by_removals_is_small() {
    let mut store = store(u64::MAX);
    let mut list = List::default();
    for n in 0..50_000_u32 {
        list.push(&mut store, End::Tail, Element::Bytes(&n.to_le_bytes())).unwrap();
    }
    let mut random = Random(1);
    while list.len() > 500 {
        let at = random.below(list.len());
        list.remove(&mut store, at);
    }
    list.audit();
    assert!(list.held_bytes < 500 * 6 * 10, "{} bytes for 500 elements", list.held_bytes);
    list.free(&mut store);
}

#[test]
fn a_copy_is_made_in_steps_and_shares_only_blobs() {
    let mut store = store(u64::MAX);
    let mut list = List::default();
    for n in 0..3_000_usize {
        let element = vec![n as u8; if n % 500 == 0 { 70_000 } else { n % 90 }];
        list.push(&mut store, End::Tail, Element::Bytes(&element)).unwrap();
    }
    let mut copy = List::default();
    let mut steps = 1;
    while list.copy_some(&mut store, &mut copy, 10_000).unwrap() {
        steps += 1;
    }
    assert!(steps > 10);
    copy.audit();
    let expected: Vec<Vec<u8>> = list.forward(0).map(bytes_of).collect();
    list.free(&mut store);
    assert!(copy.forward(0).map(bytes_of).eq(expected));
    copy.free(&mut store);
    while store.step(chunkbuf::Budget::STEP, true) {}
    assert_eq!(store.usage().pool.used_bytes, 0);
}

#[test]
fn a_packed_list_reads_back_and_becomes_a_large_one() {
    let mut packed = packed::PackedList::new();
    let long = [b'x'; 200];
    for element in [&b"one"[..], b"", &long, b"4"] {
        packed.push(End::Tail, element);
    }
    packed.push(End::Head, b"zero");
    packed.will_grow(3, 10, 5);
    let bytes = packed.write().unwrap();
    assert_eq!(packed::encoding(&bytes), Encoding::Quicklist);
    let mut read = packed::PackedList::read(&bytes);
    assert_eq!(read.elements, [&b"zero"[..], b"one", b"", &long, b"4"]);
    read.has_shrunk(10);
    assert_eq!(packed::encoding(&read.write().unwrap()), Encoding::Listpack);
    for _ in 0..5 {
        read.push(End::Tail, &long);
    }
    assert!(read.write().is_none());
    let mut store = store(u64::MAX);
    let list = read.to_large(&mut store).unwrap();
    assert!(list.forward(0).map(bytes_of).eq(read.elements.iter().map(|element| element.to_vec())));
    list.free(&mut store);
}
