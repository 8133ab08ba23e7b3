//! Sets in both forms against a naive one, and what is said of their encoding against a table.

use std::collections::BTreeSet;

use chunkbuf::Options;

use super::*;

fn store() -> Store {
    Store::new(Options::default())
}

/// Numbers below a bound, the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of few members, of every kind.
    fn member(&mut self, kinds: usize) -> Vec<u8> {
        let number = self.below(60) as i64 - 20;
        match self.below(kinds) {
            0 | 1 => number.to_string().into_bytes(),
            2 => (number * 2_000).to_string().into_bytes(),
            3 => (number * 200_000_000_000).to_string().into_bytes(),
            4 => format!("0{number}").into_bytes(),
            5 => vec![number as u8; self.below(30)],
            6 => format!("{number:>200}").into_bytes(),
            _ => vec![b'x'; 65_530 + self.below(10)],
        }
    }
}

fn members(store: &Store, set: &Source<'_>) -> Vec<Vec<u8>> {
    let (mut all, mut cursor, mut scratch) = (Vec::new(), 0, Vec::new());
    loop {
        cursor = set.scan(store, cursor, |member| all.push(member.as_slice(&mut scratch).to_vec()));
        if cursor == 0 {
            return all;
        }
    }
}

/// A set as Redis would keep it: its members in the order of their additions.
#[derive(Clone, Default)]
struct Naive(Vec<Vec<u8>>);

impl Naive {
    fn add(&mut self, member: &[u8]) -> bool {
        let is_new = !self.0.iter().any(|other| other == member);
        if is_new {
            self.0.push(member.to_vec());
        }
        is_new
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        let at = self.0.iter().position(|other| other == member);
        at.map(|at| self.0.remove(at)).is_some()
    }
}

#[test]
fn both_forms_do_what_a_naive_set_does() {
    let limits = Limits::default();
    for seed in 1..25_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let kinds = [2, 4, 5, 6, 7, 8][seed as usize % 6];
        let mut store = store();
        let first = random.member(kinds);
        let mut growing = Growing::new(Encoding::of_new(first[..].into(), 1, &limits));
        let mut large = Set::new(&mut store, growing.encoding());
        let mut naive = Naive::default();
        // Integers are sorted as long as they are alone.
        let mut was_text = growing.encoding() != Encoding::Intset;
        for step in 0..if kinds == 8 { 60 } else { 250 } {
            let member = if step == 0 { first.clone() } else { random.member(kinds) };
            if random.below(3) > 0 {
                let before = growing.encoding();
                let added = naive.add(&member);
                assert_eq!(growing.add(&mut store, member[..].into(), &limits).expect("memory is not limited"), added);
                assert_eq!(large.add(&mut store, member[..].into(), &limits).expect("memory is not limited"), added);
                if before == Encoding::Intset && growing.encoding() != Encoding::Intset {
                    let end = naive.0.len() - 1;
                    naive.0[..end].sort_by_key(|member| parse_i64(member));
                    was_text = true;
                }
                was_text |= before != Encoding::Intset;
            } else {
                let removed = naive.remove(&member);
                assert_eq!(large.remove(&mut store, member[..].into()), removed);
                match &mut growing {
                    Growing::Packed(edit) => assert_eq!(edit.remove(&member), removed),
                    Growing::Large(set) => assert_eq!(set.remove(&mut store, member[..].into()), removed),
                }
            }
            let probe = random.member(kinds);
            let is_there = naive.0.contains(&probe);
            assert_eq!(growing.source().contains(&store, probe[..].into()), is_there, "seed {seed}, step {step}");
            assert_eq!(large.contains(&store, probe[..].into()), is_there);
            let len = naive.0.len();
            assert_eq!((growing.len(), large.len() as usize), (len, len));
            let told = members(&store, &growing.source());
            if let Growing::Packed(edit) = &growing {
                let mut expected = naive.0.clone();
                if !was_text {
                    assert_eq!(growing.encoding(), Encoding::Intset);
                    expected.sort_by_key(|member| parse_i64(member));
                }
                assert_eq!(told, expected, "seed {seed}, step {step}");
                if len > 0 {
                    let index = random.below(len);
                    assert_eq!(edit.packed().nth(index).as_slice(&mut Vec::new()), expected[index]);
                }
            }
            let sorted: BTreeSet<Vec<u8>> = naive.0.iter().cloned().collect();
            assert_eq!(told.len(), len, "each once");
            assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), sorted);
            let of_large = members(&store, &Source::Large(large.view()));
            assert_eq!(of_large.len(), len, "each once");
            assert_eq!(of_large.into_iter().collect::<BTreeSet<_>>(), sorted);
        }
        let (mut copy, mut cursor) = (large.new_copy(&mut store), 0);
        while large.copy_some(&mut store, &mut copy, &mut cursor, Millis(0)).expect("memory is not limited") {}
        let Collection::Set(mut copy) = copy else { unreachable!("a copy of a set is one") };
        assert_eq!(members(&store, &Source::Large(copy.view())).len(), naive.0.len());
        while large.len() > 0 {
            let mut popped = Vec::new();
            assert!(large.pop(
                &mut store,
                || random.next(),
                |member| {
                    popped = member.as_slice(&mut Vec::new()).to_vec();
                }
            ));
            assert!(naive.remove(&popped) && copy.remove(&mut store, popped[..].into()));
        }
        assert_eq!((naive.0.len(), copy.len()), (0, 0));
        growing.clear(&mut store);
        [large, copy].into_iter().for_each(|mut set| while set.free_some(&mut store) {});
        while store.step(chunkbuf::Budget::STEP, true) {}
        store.audit();
        assert_eq!(store.usage().pool.used_bytes, 0, "nothing is left");
    }
}

#[test]
fn what_is_told_of_the_encoding_is_what_redis_tells() {
    let limits = Limits {
        set_max_intset_entries: 4,
        set_max_listpack_entries: 3,
        set_max_listpack_value: 5,
        ..Limits::default()
    };
    use Encoding::{Hashtable, Intset, Listpack};
    for (count, members, encoding) in [
        (1, "1", Intset),
        (1, "a", Listpack),
        (4, "1 2 3 4", Intset),
        (5, "1 2 3 4 5", Hashtable),
        (1, "1 2 3 4 5", Hashtable),
        (4, "a 2", Hashtable),
        (3, "a 2 3", Listpack),
        (1, "a b c d", Hashtable),
        (1, "1 2 a", Listpack),
        (1, "1 2 3 a", Hashtable),
        (1, "1 123456 a", Hashtable),
        (1, "1 -1234 a", Listpack),
        (1, "1 abcdef", Hashtable),
        (1, "a abcde", Listpack),
        (1, "abcdef", Hashtable),
        (1, "a abcdef", Hashtable),
        (4, "1 a", Listpack),
        (4, "01 2", Hashtable),
        (1, "1 9223372036854775808", Hashtable),
    ] {
        let mut store = store();
        let members: Vec<&[u8]> = members.split(' ').map(str::as_bytes).collect();
        let first = Encoding::of_new(members[0].into(), count, &limits);
        let (mut growing, mut large) = (Growing::new(first), Set::new(&mut store, first));
        for member in &members {
            growing.add(&mut store, (*member).into(), &limits).expect("memory is not limited");
            large.add(&mut store, (*member).into(), &limits).expect("memory is not limited");
        }
        assert_eq!(growing.encoding(), encoding, "{members:?}");
        // It does not go back.
        for member in &members[1..] {
            match &mut growing {
                Growing::Packed(edit) => assert!(edit.remove(member)),
                Growing::Large(set) => assert!(set.remove(&mut store, (*member).into())),
            }
        }
        assert_eq!(growing.encoding(), encoding);
    }
    assert_eq!(Intset.before_adding(4, &limits), Intset);
    assert_eq!(Intset.before_adding(5, &limits), Hashtable);
    assert_eq!(Listpack.before_adding(4, &limits), Hashtable);
    assert_eq!([Intset, Listpack, Hashtable].map(Encoding::name), ["intset", "listpack", "hashtable"]);
}

#[test]
fn a_set_becomes_large_one_member_past_what_may_be_packed() {
    let limits = Limits { set_max_intset_entries: 10_000, set_max_listpack_entries: 10_000, ..Limits::default() };
    let mut store = store();
    // Integers of 8, 4 and 2 bytes.
    for (base, count) in [(i64::MAX - 20_000, 512), (100_000, 1024), (0, 2048)] {
        let mut growing = Growing::new(Encoding::Intset);
        for number in 0..=count {
            assert!(matches!(growing, Growing::Packed(_)), "{number} of {count}");
            growing
                .add(&mut store, (base + number).to_string().as_bytes().into(), &limits)
                .expect("memory is not limited");
        }
        assert!(matches!(growing, Growing::Large(_)));
        assert_eq!((growing.encoding(), growing.len() as i64), (Encoding::Intset, count + 1));
        growing.clear(&mut store);
    }
    // Short members, and long ones.
    for (pad, count) in [(4, PACKED_LEN_MAX), (1023, 3), (4094, 0), (4093, 1)] {
        let mut growing = Growing::new(Encoding::Listpack);
        for number in 0..=count {
            assert!(matches!(growing, Growing::Packed(_)), "{number} of {count}");
            let member = format!("{number:>pad$}");
            growing.add(&mut store, member.as_bytes().into(), &limits).expect("memory is not limited");
        }
        assert!(matches!(growing, Growing::Large(_)), "{count} of {pad}");
        growing.clear(&mut store);
    }
}

#[test]
fn integers_become_an_intset_again_where_they_fit() {
    let limits = Limits::default();
    let mut store = store();
    for (count, is_packed) in [(3, true), (129, true), (512, true)] {
        let mut growing = Growing::new(Encoding::Hashtable);
        for number in 0..count {
            growing
                .add(&mut store, (number * 7_000_000_000_i64).to_string().as_bytes().into(), &limits)
                .expect("memory is not limited");
        }
        assert_eq!(growing.encoding(), Encoding::Hashtable);
        growing.set_encoding(&mut store, Encoding::Intset).expect("memory is not limited");
        assert_eq!(matches!(growing, Growing::Packed(_)), is_packed);
        assert_eq!((growing.encoding(), growing.len() as i64), (Encoding::Intset, count));
        let told = members(&store, &growing.source());
        assert!(told.iter().map(|member| parse_i64(member)).is_sorted());
        // And a hashtable, as a request of very many members makes it.
        growing.set_encoding(&mut store, Encoding::Hashtable).expect("memory is not limited");
        assert_eq!((growing.encoding(), growing.len() as i64), (Encoding::Hashtable, count));
        growing.clear(&mut store);
    }
    while store.step(chunkbuf::Budget::STEP, true) {}
    assert_eq!(store.usage().pool.used_bytes, 0);
}

#[test]
fn without_memory_nothing_changes() {
    let limits = Limits::default();
    let mut store = Store::new(Options { memory_limit: 1 << 20, ..Options::default() });
    let mut growing = Growing::new(Encoding::Hashtable);
    let mut added = 0;
    loop {
        let member = format!("{added:>1000}");
        match growing.add(&mut store, member.as_bytes().into(), &limits) {
            Ok(is_new) => assert!(is_new),
            Err(error) => break assert_eq!(error, PutError::OutOfMemory),
        }
        added += 1;
    }
    assert_eq!((growing.len(), members(&store, &growing.source()).len()), (added, added));
    // A packed set that cannot become large stays.
    let mut packed = Growing::new(Encoding::Hashtable);
    (0..4).for_each(|number| {
        packed.add(&mut store, format!("{number:>1000}").as_bytes().into(), &limits).expect("no memory is needed");
    });
    let mut failed = None;
    while failed.is_none() && packed.len() < 5 {
        failed = packed.add(&mut store, [b'y'; 60_000][..].into(), &limits).err();
    }
    if failed.is_some() {
        assert_eq!((packed.len(), matches!(packed, Growing::Packed(_))), (4, true));
    }
    growing.clear(&mut store);
    packed.clear(&mut store);
    while store.step(chunkbuf::Budget::STEP, true) {}
    store.audit();
    assert_eq!(store.usage().pool.used_bytes, 0);
}
