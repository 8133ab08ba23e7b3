//! Random operations on a store against a naive map, with an audit after each step.
//!
//! Every run prints its seed when it fails; `CHUNKBUF_SEED=n cargo test -p chunkbuf --test model` repeats it.

use std::collections::BTreeMap;

use chunkbuf::{Budget, MapId, Options, Store, UserFlags};

/// xorshift64*: enough for choosing operations, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

type Model = BTreeMap<Vec<u8>, (UserFlags, Vec<u8>)>;

struct Race {
    random: Random,
    store: Store,
    maps: Vec<(MapId, Model)>,
    /// Values pinned by a reader, and what they must stay.
    pinned: Vec<(Vec<bytes::Bytes>, Vec<u8>)>,
}

impl Race {
    fn new(seed: u64, options: Options) -> Race {
        let mut store = Store::new(Options { hash_key: [seed, !seed], ..options });
        let maps = (0..3).map(|_| (store.create(), Model::new())).collect();
        Race { random: Random(seed | 1), store, maps, pinned: Vec::new() }
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.random.below(60);
        let len = match number % 10 {
            0 => 0,
            1 => 300,
            _ => 6,
        };
        let mut key = format!("k{number:05}").into_bytes();
        key.resize(len.max(usize::from(!number.is_multiple_of(10))), b'.');
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.random.below(20) {
            0 => 0,
            1 => 20_000 + self.random.below(20_000),
            2 | 3 => self.random.below(3000),
            _ => self.random.below(40),
        };
        let first = self.random.next() as u8;
        (0..len).map(|index| first.wrapping_add(index as u8)).collect()
    }

    fn act(&mut self) {
        let chosen = self.random.below(self.maps.len() as u64) as usize;
        let map = self.maps[chosen].0;
        match self.random.below(100) {
            0..45 => {
                let (key, value) = (self.key(), self.value());
                let flags = [UserFlags::NONE, UserFlags::A, UserFlags::B][self.random.below(3) as usize];
                let before = self.maps[chosen].1.get(&key).cloned();
                match self.store.put(map, &key, flags, &value) {
                    Ok(was_there) => {
                        assert_eq!(was_there, before.is_some());
                        self.maps[chosen].1.insert(key, (flags, value));
                    }
                    // A failed put changes nothing; `check` will see.
                    Err(error) => assert_eq!(error, chunkbuf::PutError::OutOfMemory),
                }
            }
            45..65 => {
                let key = self.key();
                assert_eq!(self.store.remove(map, &key), self.maps[chosen].1.remove(&key).is_some());
            }
            65..70 => {
                let (key, value) = (self.key(), self.value());
                if let Ok(was_there) = self.store.replace(map, &key, UserFlags::A, &value) {
                    assert_eq!(was_there, self.maps[chosen].1.contains_key(&key));
                    if was_there {
                        self.maps[chosen].1.insert(key, (UserFlags::A, value));
                    }
                }
            }
            70..76 => self.overwrite_a_part(chosen),
            76..80 => self.pin(chosen),
            80..84 => drop(self.pinned.pop()),
            84 => {
                self.store.clear(map);
                self.maps[chosen].1.clear();
            }
            85 => {
                self.store.drop_map(map);
                self.maps[chosen] = (self.store.create(), Model::new());
            }
            86..90 => {
                let mut random = std::mem::replace(&mut self.random, Random(1));
                let found = self.store.random(map, || random.next());
                self.random = random;
                assert_eq!(found.is_none(), self.maps[chosen].1.is_empty());
                if let Some(location) = found {
                    assert!(self.maps[chosen].1.contains_key(&self.store.entry(map, location).key.to_vec()));
                }
            }
            _ => {
                let key = self.key();
                let found = self.store.get(map, &key).map(|entry| (entry.flags, entry.value.to_vec()));
                assert_eq!(found.as_ref(), self.maps[chosen].1.get(&key));
            }
        }
        let budget = match self.random.below(4) {
            0 => Budget { bytes: 1 + self.random.below(8), entries: 1 + self.random.below(8) as u32 },
            1 => Budget { bytes: 1 + self.random.below(400), entries: 64 },
            2 => Budget { bytes: 1 + self.random.below(5000), entries: 1024 },
            _ => return,
        };
        let idle = self.random.below(3) != 0;
        self.store.step(budget, idle);
    }

    fn overwrite_a_part(&mut self, chosen: usize) {
        let (key, at, byte) = (self.key(), self.random.next(), self.random.next() as u8);
        let (map, model) = &mut self.maps[chosen];
        let Some((_, value)) = model.get_mut(&key).filter(|(_, value)| !value.is_empty()) else { return };
        let at = (at % value.len() as u64) as usize;
        let end = value.len().min(at + 5);
        let bytes = vec![byte; end - at];
        let key = self.store.key(&key);
        let location = self.store.find(*map, &key).expect("the model has it");
        if self.store.write_in_place(*map, &key, location, at, &bytes) {
            value[at..end].copy_from_slice(&bytes);
        }
    }

    fn pin(&mut self, chosen: usize) {
        let key = self.key();
        let (map, model) = &self.maps[chosen];
        let Some((_, value)) = model.get(&key) else { return };
        let key = self.store.key(&key);
        let location = self.store.find(*map, &key).expect("the model has it");
        let from = value.len() / 3;
        self.pinned.push((self.store.pin(*map, &key, location, from..value.len()), value[from..].to_vec()));
    }

    fn check(&mut self) {
        self.store.audit();
        for (map, model) in &self.maps {
            assert_eq!(self.store.len(*map), model.len() as u64);
            for (key, (flags, value)) in model {
                let entry = self.store.get(*map, key).expect("the model has it");
                assert_eq!((entry.flags, entry.value.to_vec()), (*flags, value.clone()));
            }
        }
        for (pinned, value) in &self.pinned {
            assert_eq!(&pinned.concat(), value, "a pinned value stays as it was");
        }
    }

    fn run(mut self, operations: u32, check_every: u32) {
        for operation in 0..operations {
            self.act();
            assert!(self.store.held_bytes() <= self.store.options().memory_limit, "the limit is never exceeded");
            if operation % check_every == 0 {
                self.check();
            }
        }
        self.check();
        self.pinned.clear();
        for (map, _) in &self.maps {
            self.store.clear(*map);
        }
        let mut steps = 0;
        while self.store.step(Budget::STEP, true) {
            steps += 1;
            assert!(steps < 100_000, "an idle store comes to rest");
        }
        // A last look at the limbo: the pins have just ended.
        self.store.step(Budget::STEP, true);
        while self.store.step(Budget::STEP, true) {}
        self.store.audit();
        assert_eq!(self.store.usage().pool.used_bytes, 0, "an empty store holds no chunk");
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("CHUNKBUF_SEED") {
        Ok(seed) => vec![seed.parse().expect("CHUNKBUF_SEED is a number")],
        Err(_) if cfg!(miri) => vec![1],
        Err(_) => (1..=12).collect(),
    }
}

fn races(options: Options, operations: u32, check_every: u32) {
    let operations = if cfg!(miri) { 300 } else { operations };
    for seed in seeds() {
        let outcome = std::panic::catch_unwind(|| Race::new(seed, options).run(operations, check_every));
        assert!(outcome.is_ok(), "failed with CHUNKBUF_SEED={seed}");
    }
}

#[test]
fn a_store_agrees_with_a_naive_map_at_every_step() {
    races(Options::default(), 4000, 1);
}

#[test]
fn a_store_agrees_with_a_naive_map_over_a_long_run() {
    races(Options { p: 1.0, ..Options::default() }, 40_000, 500);
}

#[test]
fn a_store_near_its_limit_refuses_and_loses_nothing() {
    races(Options { memory_limit: 1 << 20, ..Options::default() }, 20_000, 100);
}
