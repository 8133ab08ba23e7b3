//! Large hashes: a race against a naive model, and their books.

use std::collections::BTreeMap;

use chunkbuf::Options;

use super::*;

const NOW: Millis = Millis(1_000_000);

fn store() -> Store {
    Store::new(Options::default())
}

/// A small generator for tests; its seed is its state.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn all(hash: &Hash, store: &Store, now: Millis) -> BTreeMap<Vec<u8>, (Vec<u8>, Option<Millis>)> {
    let mut fields = BTreeMap::new();
    let mut cursor = 0;
    loop {
        cursor = hash.scan(store, cursor, now, |field| {
            let Some(field) = field else { return };
            let mut scratch = Vec::new();
            fields.insert(field.name.as_slice(&mut scratch).to_vec(), (field.value.to_vec(), field.expires));
        });
        if cursor == 0 {
            return fields;
        }
    }
}

#[test]
fn any_operations_leave_what_a_naive_hash_would_have() {
    let seed = 0x5eed;
    let mut random = Random(seed);
    let mut store = store();
    let mut hash = Hash::new(&mut store, Encoding::Table);
    let mut model: BTreeMap<Vec<u8>, (Vec<u8>, Option<Millis>)> = BTreeMap::new();
    let mut now = NOW;
    for step in 0..20_000 {
        now.0 += random.below(3) as i64;
        model.retain(|_, (_, expires)| !expires.is_some_and(|at| at.is_past(now)));
        let mut name = format!("field {}", random.below(200)).into_bytes();
        if random.below(100) == 0 {
            name.resize(70_000, b'.');
        }
        let what = format!("step {step} of seed {seed:#x}");
        match random.below(10) {
            0..=4 => {
                let len = if random.below(300) == 0 { 100_000 } else { random.below(20) as usize };
                let value = vec![b'a' + random.below(26) as u8; len];
                let old = model.get(&name).and_then(|(_, expires)| *expires);
                let (expiry, expires) = match random.below(3) {
                    0 => (Expiry::Keep, old),
                    1 => (Expiry::Clear, None),
                    _ => {
                        let at = Millis(now.0 + random.below(2_000) as i64);
                        (Expiry::At(at), Some(at))
                    }
                };
                let is_new = hash
                    .set(&mut store, name[..].into(), NewValue::Bytes(&value), expiry, now)
                    .expect("there is memory");
                assert_eq!(is_new, model.insert(name, (value, expires)).is_none(), "{what}");
            }
            5 | 6 => {
                assert_eq!(hash.remove(&mut store, name[..].into(), now), model.remove(&name).is_some(), "{what}");
            }
            7 => {
                let expires = (random.below(3) > 0).then(|| Millis(now.0 + random.below(2_000) as i64));
                if let Some((_, old)) = model.get_mut(&name) {
                    *old = expires;
                    hash.set_expiry(&mut store, name[..].into(), expires, now).expect("there is memory");
                }
            }
            8 => {
                let field = hash.get(&store, name[..].into(), now).map(|field| (field.value.to_vec(), field.expires));
                assert_eq!(field, model.get(&name).cloned(), "{what}");
            }
            _ => {
                let (_, more) = hash.expire_some(&mut store, now, &mut 1_000);
                assert!(!more, "{what}");
                // A tick of the wheel is 16 ms.
                assert!(hash.len() >= model.len() as u64, "{what}");
                assert!(hash.next_look(now).is_none_or(|at| at > now), "{what}");
            }
        }
        if step % 500 == 0 {
            assert_eq!(all(&hash, &store, now), model, "{what}");
            hash.audit(&store);
            store.audit();
        }
    }
    assert_eq!(all(&hash, &store, now), model);
    let mut copy = hash.new_copy(&mut store);
    let mut cursor = 0;
    while hash.copy_some(&mut store, &mut copy, &mut cursor, now).expect("there is memory") {}
    let Collection::Hash(mut copy) = copy else { unreachable!("it is a hash") };
    assert_eq!(all(&copy, &store, now), model);
    assert!(copy.memory_bytes(&store) > 0);
    for hash in [&mut hash, &mut copy] {
        while hash.free_some(&mut store) {}
    }
    while store.step(chunkbuf::Budget::STEP, true) {}
    assert_eq!((store.live_bytes(), store.blob_usage().page_bytes), (0, 0));
}

#[test]
fn all_fields_that_expire_at_once_go_in_bounded_steps() {
    const FIELDS: u64 = 5_000;
    let mut store = store();
    let mut hash = Hash::new(&mut store, Encoding::Table);
    let at = Millis(NOW.0 + 100);
    for number in 0..FIELDS {
        let name = number.to_string();
        let expiry = if number % 2 == 0 { Expiry::At(at) } else { Expiry::Clear };
        hash.set(&mut store, name.as_bytes().into(), NewValue::Bytes(b"v"), expiry, NOW).expect("there is memory");
    }
    let look = hash.next_look(NOW).expect("fields expire");
    assert!(look <= Millis(at.0 + 16), "{look:?}");
    let now = Millis(at.0 + 32);
    let mut removed = 0;
    loop {
        let (some, more) = hash.expire_some(&mut store, now, &mut 100);
        assert!(some <= 101);
        removed += some;
        if !more {
            break;
        }
    }
    assert_eq!((removed, hash.len(), hash.is_lasting()), (FIELDS / 2, FIELDS / 2, true));
    assert_eq!(hash.next_look(now), None);
    hash.audit(&store);
}

#[test]
fn a_put_without_memory_changes_nothing() {
    let mut store = Store::new(Options { memory_limit: 1 << 20, ..Options::default() });
    let mut hash = Hash::new(&mut store, Encoding::Table);
    hash.set(&mut store, b"f"[..].into(), NewValue::Bytes(b"old"), Expiry::Clear, NOW).expect("there is memory");
    let large = vec![0; 2 << 20];
    for name in [&b"f"[..], b"g"] {
        hash.set(&mut store, name.into(), NewValue::Bytes(&large), Expiry::Clear, NOW)
            .expect_err("there is not so much");
    }
    assert_eq!(hash.len(), 1);
    assert_eq!(hash.get(&store, b"f"[..].into(), NOW).expect("it is there").value.to_vec(), b"old");
    hash.audit(&store);
}
