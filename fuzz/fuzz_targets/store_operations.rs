//! Any sequence of operations on a store of several maps, against naive maps.
//!
//! 1. A store and the naive maps agree on every key, flag and value, wherever a step stops, down to one byte.
//! 2. A put that is refused changes nothing, and held bytes never pass a limit that was there from the start.
//! 3. Pinned bytes stay as they were, whatever becomes of their entry, its map or the store.
//! 4. All books agree, and a store that was emptied holds nothing.
//!
//! Run with `cargo +nightly fuzz run store_operations`.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use bytes::Bytes;
use chunkbuf::{Budget, MapId, Options, Store, UserFlags};
use libfuzzer_sys::fuzz_target;

/// Operations of one input; more of them find nothing that fewer do not.
const OPERATIONS_MAX: usize = 600;
const MAPS: usize = 3;
/// An audit, which looks at everything, comes once in so many operations.
const AUDIT_EVERY: usize = 32;

#[derive(Arbitrary, Debug)]
struct Input {
    p: u8,
    /// In granules of 64 KiB; 0 for none.
    limit: u8,
    /// Keeps only so many bits of a seed, for nothing but other hashes.
    seed: u8,
    operations: Vec<(u8, Operation)>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Put { key: u8, len: u16, fill: u8, is_long: bool },
    PutMany { first: u8, count: u8, len: u8 },
    Replace { key: u8, len: u16, fill: u8 },
    Remove { key: u8 },
    RemoveMany { first: u8, count: u8 },
    Overwrite { key: u8, at: u16, len: u8, fill: u8 },
    Pin { key: u8, from: u16, len: u16 },
    Unpin { which: u8 },
    Step { bytes: u16, entries: u8, is_idle: bool },
    StepByte,
    Pay,
    Scan,
    Random { numbers: [u64; 2] },
    Clear,
    DropAndCreate,
    Limit { granules: u8 },
    P { p: u8 },
}

type Model = BTreeMap<Vec<u8>, (UserFlags, Vec<u8>)>;

struct Race {
    store: Store,
    maps: Vec<(MapId, Model)>,
    pinned: Vec<(Vec<Bytes>, Vec<u8>)>,
    /// Whether the limit was never lowered, so that what is held is under it.
    is_limit_kept: bool,
}

fuzz_target!(|input: Input| {
    let mut race = Race::new(&input);
    for (count, (map, operation)) in input.operations.iter().take(OPERATIONS_MAX).enumerate() {
        race.act(usize::from(*map) % MAPS, operation);
        if race.is_limit_kept {
            assert!(race.store.held_bytes() <= race.store.options().memory_limit, "the limit is never exceeded");
        }
        if count % AUDIT_EVERY == AUDIT_EVERY - 1 {
            race.check();
        }
    }
    race.check();
    race.end();
});

fn limit_of(granules: u8) -> u64 {
    if granules == 0 { u64::MAX } else { u64::from(granules) << 16 }
}

/// Keys of few and of many bytes, so that headers, lengths and keys fall across borders.
fn key_of(number: u8) -> Vec<u8> {
    let len = match number % 16 {
        0 => 1000,
        1 => 0,
        rest => usize::from(rest),
    };
    if len == 0 { Vec::new() } else { vec![number; len] }
}

fn value_of(len: usize, fill: u8) -> Vec<u8> {
    (0..len).map(|at| fill.wrapping_add((at / 3) as u8)).collect()
}

impl Race {
    fn new(input: &Input) -> Race {
        let mut store = Store::new(Options {
            p: f64::from(input.p) / 255.0,
            memory_limit: limit_of(input.limit),
            hash_key: [u64::from(input.seed), 0],
            ..Options::default()
        });
        let maps = (0..MAPS).map(|_| (store.create(), Model::new())).collect();
        Race { store, maps, pinned: Vec::new(), is_limit_kept: true }
    }

    fn act(&mut self, chosen: usize, operation: &Operation) {
        let (map, model) = (self.maps[chosen].0, &mut self.maps[chosen].1);
        match *operation {
            Operation::Put { key, len, fill, is_long } => {
                let len = if is_long { usize::from(len) } else { usize::from(len % 300) };
                self.put(chosen, key_of(key), fill, value_of(len, fill));
            }
            Operation::PutMany { first, count, len } => {
                for number in (0..=count).map(|step| first.wrapping_add(step)) {
                    self.put(chosen, key_of(number), number, value_of(usize::from(len), number));
                }
            }
            Operation::Replace { key, len, fill } => {
                let (key, value) = (key_of(key), value_of(usize::from(len), fill));
                if let Ok(was_there) = self.store.replace(map, &key, UserFlags::B, &value) {
                    assert_eq!(was_there, model.contains_key(&key));
                    if was_there {
                        model.insert(key, (UserFlags::B, value));
                    }
                }
            }
            Operation::Remove { key } => {
                let key = key_of(key);
                assert_eq!(self.store.remove(map, &key), model.remove(&key).is_some());
            }
            Operation::RemoveMany { first, count } => {
                for key in (0..=count).map(|step| key_of(first.wrapping_add(step))) {
                    assert_eq!(self.store.remove(map, &key), model.remove(&key).is_some());
                }
            }
            Operation::Overwrite { key, at, len, fill } => {
                let key = key_of(key);
                let Some((_, value)) = model.get_mut(&key) else { return };
                let at = usize::from(at).min(value.len());
                let end = value.len().min(at + usize::from(len));
                let bytes = vec![fill; end - at];
                let hashed = self.store.key(&key);
                let location = self.store.find(map, &hashed).expect("the model has it");
                if self.store.write_in_place(map, &hashed, location, at, &bytes) {
                    value[at..end].copy_from_slice(&bytes);
                }
            }
            Operation::Pin { key, from, len } => {
                let key = key_of(key);
                let Some((_, value)) = model.get(&key) else { return };
                let from = usize::from(from).min(value.len());
                let range = from..value.len().min(from + usize::from(len));
                let hashed = self.store.key(&key);
                let location = self.store.find(map, &hashed).expect("the model has it");
                self.pinned.push((self.store.pin(map, &hashed, location, range.clone()), value[range].to_vec()));
            }
            Operation::Unpin { which } => {
                if !self.pinned.is_empty() {
                    let which = usize::from(which) % self.pinned.len();
                    let (pieces, value) = self.pinned.swap_remove(which);
                    assert_eq!(pieces.concat(), value, "a pinned value stays as it was");
                }
            }
            Operation::Step { bytes, entries, is_idle } => {
                let budget = Budget { bytes: u64::from(bytes) + 1, entries: u32::from(entries) + 1 };
                self.store.step(budget, is_idle);
            }
            Operation::StepByte => {
                self.store.step(Budget { bytes: 1, entries: 1 }, true);
            }
            Operation::Pay => {
                for _ in 0..64 {
                    if self.store.debt() == 0 {
                        break;
                    }
                    self.store.step(Budget { bytes: 1 << 12, entries: 256 }, false);
                }
            }
            Operation::Scan => {
                let (mut seen, mut cursor) = (0, 0);
                loop {
                    cursor = self.store.scan(map, cursor, |_, entry| {
                        assert!(model.contains_key(&entry.key.to_vec()));
                        seen += 1;
                    });
                    if cursor == 0 {
                        break;
                    }
                }
                assert_eq!(seen, model.len(), "a scan without writes visits each key once");
            }
            Operation::Random { numbers } => {
                let mut calls = 0;
                let found = self.store.random(map, || {
                    calls += 1;
                    numbers[calls % 2].wrapping_mul(calls as u64)
                });
                assert_eq!(found.is_none(), model.is_empty());
                if let Some(location) = found {
                    assert!(model.contains_key(&self.store.entry(map, location).key.to_vec()));
                }
            }
            Operation::Clear => {
                self.store.clear(map);
                model.clear();
            }
            Operation::DropAndCreate => {
                self.store.drop_map(map);
                self.maps[chosen] = (self.store.create(), Model::new());
            }
            Operation::Limit { granules } => {
                let limit = limit_of(granules);
                self.is_limit_kept &= limit >= self.store.options().memory_limit;
                self.store.set_memory_limit(limit);
            }
            Operation::P { p } => self.store.set_p(f64::from(p) / 255.0),
        }
    }

    fn put(&mut self, chosen: usize, key: Vec<u8>, fill: u8, value: Vec<u8>) {
        let (map, model) = (self.maps[chosen].0, &mut self.maps[chosen].1);
        let flags = [UserFlags::NONE, UserFlags::A, UserFlags::B][usize::from(fill) % 3];
        let before = self.store.usage().live_bytes;
        match self.store.put(map, &key, flags, &value) {
            Ok(was_there) => assert_eq!(model.insert(key, (flags, value)).is_some(), was_there),
            Err(error) => {
                assert_eq!(error, chunkbuf::PutError::OutOfMemory);
                assert_eq!(self.store.usage().live_bytes, before);
            }
        }
    }

    fn check(&self) {
        self.store.audit();
        for (map, model) in &self.maps {
            assert_eq!(self.store.len(*map), model.len() as u64);
            for (key, (flags, value)) in model {
                let entry = self.store.get(*map, key).expect("the model has it");
                assert_eq!(entry.flags, *flags);
                assert!(entry.value == value[..]);
            }
        }
        for (pieces, value) in &self.pinned {
            assert!(&pieces.concat() == value, "a pinned value stays as it was");
        }
    }

    /// Empties the store, first with the pins and then without, and lets some of them outlive it.
    fn end(mut self) {
        for (map, _) in &self.maps {
            self.store.clear(*map);
        }
        self.maps.clear();
        let outliving = self.pinned.split_off(self.pinned.len() / 2);
        self.pinned.clear();
        let mut steps = 0;
        while self.store.step(Budget::STEP, true) {
            steps += 1;
            assert!(steps < 100_000, "an idle store comes to rest");
        }
        for _ in 0..OPERATIONS_MAX {
            self.store.step(Budget::STEP, true);
        }
        self.store.audit();
        let usage = self.store.usage();
        assert_eq!(usage.pool.used_bytes, usage.pool.limbo_bytes, "an emptied store holds what is pinned");
        assert!(!outliving.is_empty() || usage.pool.used_bytes == 0);
        drop(self.store);
        for (pieces, value) in outliving {
            assert!(pieces.concat() == value, "a pin outlives the store");
        }
    }
}
