//! Property tests: any sequence of operations, shrunk to its smallest when it fails.

use std::collections::BTreeMap;

use chunkbuf::{Budget, Options, Store, UserFlags};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Operation {
    Put { key: u8, len: u16, fill: u8 },
    Remove { key: u8 },
    Step { bytes: u16, entries: u8, idle: bool },
    Scan,
    Clear,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (any::<u8>(), prop_oneof![0..64u16, 0..2000u16, 15_000..20_000u16], any::<u8>())
            .prop_map(|(key, len, fill)| Operation::Put { key, len, fill }),
        4 => any::<u8>().prop_map(|key| Operation::Remove { key }),
        6 => (1..5000u16, 1..=255u8, any::<bool>())
            .prop_map(|(bytes, entries, idle)| Operation::Step { bytes, entries, idle }),
        1 => Just(Operation::Scan),
        1 => Just(Operation::Clear),
    ]
}

/// Keys of every length from 0 to 255.
fn key_of(number: u8) -> Vec<u8> {
    vec![number; usize::from(number)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 200 }, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_agrees_with_a_map(
        p in 0.0..=1.0f64,
        operations in prop::collection::vec(operation(), 1..if cfg!(miri) { 40 } else { 400 }),
    ) {
        let mut store = Store::new(Options { p, ..Options::default() });
        let map = store.create();
        let mut model = BTreeMap::new();
        for operation in operations {
            match operation {
                Operation::Put { key, len, fill } => {
                    let value = vec![fill; usize::from(len)];
                    store.put(map, &key_of(key), UserFlags::NONE, &value).expect("no limit");
                    model.insert(key_of(key), value);
                }
                Operation::Remove { key } => {
                    prop_assert_eq!(store.remove(map, &key_of(key)), model.remove(&key_of(key)).is_some());
                }
                Operation::Step { bytes, entries, idle } => {
                    store.step(Budget { bytes: bytes.into(), entries: entries.into() }, idle);
                }
                Operation::Scan => {
                    let mut seen = BTreeMap::new();
                    let mut cursor = 0;
                    loop {
                        cursor = store.scan(map, cursor, |_, entry| {
                            seen.insert(entry.key.to_vec(), entry.value.to_vec());
                        });
                        if cursor == 0 {
                            break;
                        }
                    }
                    prop_assert_eq!(&seen, &model);
                }
                Operation::Clear => {
                    store.clear(map);
                    model.clear();
                }
            }
        }
        store.audit();
        for (key, value) in &model {
            prop_assert_eq!(&store.get(map, key).expect("the model has it").value.to_vec(), value);
        }
        while store.step(Budget::STEP, true) {}
        store.audit();
    }

    #[test]
    fn a_scan_returns_every_key_that_stays(
        kept in 1..300u16,
        churned in 0..3000u16,
        steps in prop::collection::vec((any::<bool>(), 1..200u16), 1..60),
    ) {
        let mut store = Store::new(Options::default());
        let map = store.create();
        let kept_keys: Vec<Vec<u8>> = (0..kept).map(|number| format!("kept{number}").into_bytes()).collect();
        for key in &kept_keys {
            store.put(map, key, UserFlags::NONE, b"").expect("no limit");
        }
        let mut seen = std::collections::BTreeSet::new();
        let (mut cursor, mut changed, mut rounds) = (0, 0, 0);
        let mut steps = steps.iter().cycle();
        loop {
            cursor = store.scan(map, cursor, |_, entry| {
                seen.insert(entry.key.to_vec());
            });
            rounds += 1;
            prop_assert!(rounds < 100_000, "a scan ends");
            if cursor == 0 {
                break;
            }
            // Grow and shrink the map between the bites.
            let &(grow, count) = steps.next().expect("a cycle has no end");
            for _ in 0..count {
                if grow && changed < churned {
                    store.put(map, &changed.to_be_bytes(), UserFlags::NONE, b"").expect("no limit");
                    changed += 1;
                } else if !grow && changed > 0 {
                    changed -= 1;
                    store.remove(map, &changed.to_be_bytes());
                }
            }
        }
        prop_assert!(kept_keys.iter().all(|key| seen.contains(key)));
    }
}
