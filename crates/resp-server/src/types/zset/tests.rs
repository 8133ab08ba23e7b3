//! Sorted sets in both forms against a plain list, by random operations.

use chunkbuf::Options;

use super::*;

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

type Model = Vec<(f64, Vec<u8>)>;

fn store() -> Store {
    Store::new(Options { hash_key: [3, 4], ..Options::default() })
}

fn read_all(reader: &Reader<'_>, ranks: Range<u64>, direction: Direction) -> Model {
    let mut all = Model::new();
    reader.visit(ranks, direction, |member, score| {
        all.push((score, member.as_slice(&mut Vec::new()).to_vec()));
        true
    });
    all
}

fn assert_same(draft: &Draft, store: &Store, model: &Model, random: &mut Random) {
    if let Draft::Large(set) = draft {
        set.audit(store);
    }
    let reader = draft.reader(store);
    let len = model.len() as u64;
    assert_eq!(reader.len(), len);
    assert_eq!(&read_all(&reader, 0..len, Direction::Forward), model);
    let (one, other) = (random.below(len + 1), random.below(len + 1));
    let ranks = one.min(other)..one.max(other);
    let mut part = model[ranks.start as usize..ranks.end as usize].to_vec();
    assert_eq!(read_all(&reader, ranks.clone(), Direction::Forward), part);
    part.reverse();
    assert_eq!(read_all(&reader, ranks, Direction::Backward), part);
    for after in [false, true] {
        let at = random.below(9) as f64 - 1.0;
        let expected = model.iter().filter(|(score, _)| *score < at || (after && *score == at)).count() as u64;
        assert_eq!(reader.rank_of(Cut::Score { at, after }), expected);
    }
    assert_eq!((reader.rank_of(Cut::Begin), reader.rank_of(Cut::End)), (0, len));
    let mut scanned = Model::new();
    let mut cursor = 0;
    loop {
        cursor = reader.scan(cursor, |member, score| scanned.push((score, member.as_slice(&mut Vec::new()).to_vec())));
        if cursor == 0 {
            break;
        }
    }
    scanned.sort_by(|one, other| one.partial_cmp(other).unwrap());
    assert_eq!(&scanned, model);
}

/// Few scores, so that most are shared; a few members are longer than a key of a map can be.
#[test]
fn both_forms_do_what_a_sorted_list_does() {
    // The last two have many members of one hash.
    for (seed, members, long, hash_mask) in [
        (1, 30, 0, u64::MAX),
        (2, 60, 0, u64::MAX),
        (3, 1500, 0, u64::MAX),
        (4, 400, 20, u64::MAX),
        (5, 3000, 0, u64::MAX),
        (6, 300, 0, 0xff8 << 52 | 7),
        (7, 200, 5, 0xff << 56 | 7),
    ] {
        println!("seed {seed}");
        let mut random = Random(seed * 77_777);
        let mut store = Store::new(Options { hash_mask, ..Options::default() });
        let limits = Limits::default();
        let (mut draft, mut model) = (Draft::new(Encoding::Listpack), Model::new());
        for step in 0..6000_u64 {
            let number = random.below(members);
            let mut member = format!("m{number}").into_bytes();
            if number < long {
                member.resize(70_000, b'x');
            }
            let there = model.iter().position(|(_, name)| *name == member);
            let grows = step / 2000 % 2 == 0;
            if random.below(10) < if grows { 7 } else { 3 } {
                let score = random.below(7) as f64;
                let expected = match there {
                    None => Change::Added,
                    Some(at) if model[at].0 == score => Change::None,
                    Some(_) => Change::Moved,
                };
                assert_eq!(draft.set(&mut store, &limits, member[..].into(), score), Ok(expected));
                if let Some(at) = there {
                    model.remove(at);
                }
                let item = (score, member.clone());
                let at = model.partition_point(|other| *other < item);
                model.insert(at, item);
                let reader = draft.reader(&store);
                assert_eq!(reader.rank(member[..].into()), Some((at as u64, score)));
            } else if random.below(20) == 0 && !model.is_empty() {
                let from = random.below(model.len() as u64);
                let to = (from + 1 + random.below(5)).min(model.len() as u64);
                draft.remove_ranks(&mut store, from..to);
                model.drain(from as usize..to as usize);
            } else {
                assert_eq!(draft.remove(&mut store, member[..].into()), there.is_some());
                if let Some(at) = there {
                    model.remove(at);
                }
                assert_eq!(draft.reader(&store).score(member[..].into()), None);
            }
            assert_eq!(draft.is_empty(), model.is_empty());
            if step % 211 == 0 {
                assert_same(&draft, &store, &model, &mut random);
            }
            while store.debt() > 0 {
                store.step(chunkbuf::Budget::STEP, false);
            }
        }
        assert_eq!(matches!(draft, Draft::Large(_)), members > 500 || long > 0);
        free(draft, &mut store);
    }
}

fn free(draft: Draft, store: &mut Store) {
    if let Draft::Large(mut set) = draft {
        while set.free_some(store) {}
        while store.step(chunkbuf::Budget::STEP, true) {}
        assert_eq!(store.live_bytes(), 0);
    }
}

#[test]
fn members_are_cut_by_their_bytes() {
    let mut store = store();
    for count in [50_u32, 5000] {
        let mut draft = Draft::new(Encoding::Listpack);
        for number in 0..count {
            let member = format!("{:05}", number * 2);
            draft.set(&mut store, &Limits::default(), member.as_bytes().into(), 0.0).unwrap();
        }
        let reader = draft.reader(&store);
        let cut = |at: &str, after| reader.rank_of(Cut::Member { at: at.as_bytes(), after });
        assert_eq!((cut("00010", false), cut("00010", true)), (5, 6));
        assert_eq!((cut("00011", false), cut("00011", true)), (6, 6));
        assert_eq!((cut("", true), cut("x", false)), (0, u64::from(count)));
        assert_eq!(reader.between(Cut::Begin, Cut::Member { at: b"00010", after: true }), 0..6);
        assert_eq!(reader.between(Cut::End, Cut::Begin), u64::from(count)..u64::from(count));
        free(draft, &mut store);
    }
}

#[test]
fn zero_is_one_score_whatever_its_sign() {
    let mut store = store();
    let mut draft = Draft::new(Encoding::Listpack);
    let limits = Limits::default();
    assert_eq!(draft.set(&mut store, &limits, b"a"[..].into(), 0.0), Ok(Change::Added));
    assert_eq!(draft.set(&mut store, &limits, b"a"[..].into(), -0.0), Ok(Change::None));
    for number in 0..2000 {
        let score = if number % 2 == 0 { 0.0 } else { -0.0 };
        draft.set(&mut store, &limits, format!("m{number:04}").as_bytes().into(), score).unwrap();
    }
    let reader = draft.reader(&store);
    assert_eq!(reader.rank(b"m0001"[..].into()).map(|(rank, _)| rank), Some(2));
    assert!(reader.rank(b"m1999"[..].into()).unwrap().1.is_sign_negative());
    // The first were added to a list pack.
    assert!(reader.rank(b"m0001"[..].into()).unwrap().1.is_sign_positive());
    free(draft, &mut store);
}

#[test]
fn the_encoding_is_told_by_the_settings_and_never_goes_back() {
    let mut store = store();
    let limits = Limits { zset_max_listpack_entries: 3, zset_max_listpack_value: 5, ..Limits::default() };
    let mut draft = Draft::new(Encoding::of(1, 1, &limits));
    for (member, name) in [("a", "listpack"), ("b", "listpack"), ("ccccc", "listpack"), ("d", "skiplist")] {
        draft.set(&mut store, &limits, member.as_bytes().into(), 1.0).unwrap();
        assert_eq!(draft.reader(&store).encoding().name(), name);
    }
    draft.remove_ranks(&mut store, 1..4);
    assert_eq!(draft.reader(&store).encoding(), Encoding::Skiplist);
    let mut draft = Draft::new(Encoding::of(1, 1, &limits));
    draft.set(&mut store, &limits, b"longer"[..].into(), 1.0).unwrap();
    assert_eq!(draft.reader(&store).encoding(), Encoding::Skiplist);
}

#[test]
fn a_copy_is_made_in_steps() {
    let mut store = store();
    let mut draft = Draft::new(Encoding::Listpack);
    for number in 0..3000_u32 {
        draft.set(&mut store, &Limits::default(), number.to_be_bytes()[..].into(), f64::from(number % 5)).unwrap();
    }
    let Draft::Large(set) = &draft else { panic!("it is large") };
    let mut copy = SortedSet::new(&mut store, Encoding::Listpack);
    let mut steps = 1;
    while set.copy_some(&mut copy, &mut store, 10_000).unwrap() {
        steps += 1;
    }
    assert!((30..60).contains(&steps), "{steps}");
    copy.audit(&store);
    let (one, other) = (Reader::Large(set, &store), Reader::Large(&copy, &store));
    assert_eq!(read_all(&one, 0..3000, Direction::Forward), read_all(&other, 0..3000, Direction::Forward));
    assert_eq!(other.encoding(), Encoding::Skiplist);
}

#[test]
fn without_memory_nothing_changes() {
    let mut store = Store::new(Options { memory_limit: 3 << 20, ..Options::default() });
    let mut draft = Draft::new(Encoding::Listpack);
    let limits = Limits::default();
    let mut added = 0_u32;
    let member = |number: u32| format!("{number:0200}").into_bytes();
    while draft.set(&mut store, &limits, member(added)[..].into(), f64::from(added)).is_ok() {
        added += 1;
    }
    assert!(added > 100, "{added}");
    let Draft::Large(set) = &draft else { panic!("it is large") };
    set.audit(&store);
    assert_eq!(set.len(), u64::from(added));
    free(draft, &mut store);
}
