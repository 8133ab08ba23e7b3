//! The wheel in virtual time: ledgers, and a race against a naive model.

use std::collections::HashMap;

use super::*;

const TICK_MS: i64 = 1 << TICK_BITS;

/// All records that are due at `now`.
fn drain(wheel: &mut Wheel, now: i64) -> Vec<u32> {
    std::iter::from_fn(|| wheel.next_due(Millis(now))).collect()
}

/// A small generator for tests; its seed is its state.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn a_wheel_without_records_has_no_memory() {
    let mut wheel = Wheel::default();
    assert_eq!(drain(&mut wheel, i64::MAX), []);
    assert_eq!(wheel.memory_bytes(), 0);
    assert!(wheel.levels.is_none());
}

#[test]
fn a_record_comes_out_within_a_tick_after_it_is_due_and_not_before() {
    for at in [1_000, 1_007, 1_015, 1_016] {
        let mut wheel = Wheel::default();
        wheel.arm(7, Millis(at), Millis(990));
        assert_eq!(drain(&mut wheel, at), []);
        assert_eq!(drain(&mut wheel, at + TICK_MS), [7]);
        assert_eq!(wheel.records(), 0);
    }
}

#[test]
fn what_is_due_already_comes_out_at_the_end_of_the_tick() {
    let mut wheel = Wheel::default();
    wheel.arm(7, Millis(5), Millis(1_600));
    assert_eq!(drain(&mut wheel, 1_600 + TICK_MS), [7]);
}

#[test]
fn a_slot_of_a_level_is_drained_half_a_slot_before_it_begins() {
    for level in 1..LEVELS {
        let slot_ms = 1 << shift(level);
        let at = 3 * slot_ms;
        let mut wheel = Wheel::default();
        wheel.arm(7, Millis(at), Millis(0));
        assert_eq!(drain(&mut wheel, at - slot_ms / 2 - 1), []);
        assert_eq!(drain(&mut wheel, at - slot_ms / 2), [7], "level {level}");
    }
}

#[test]
fn a_record_armed_anew_whenever_it_comes_out_goes_down_level_by_level_and_is_in_time() {
    let mut wheel = Wheel::default();
    let at = 400 * 24 * 3_600_000 + 12_345;
    wheel.arm(7, Millis(at), Millis(0));
    let mut looked_up = 0;
    let mut now = 0;
    while now <= at {
        now += if at - now > 10_000_000 { 1_000_000 } else { 5 };
        for prefix in drain(&mut wheel, now) {
            looked_up += 1;
            if now <= at {
                wheel.arm(prefix, Millis(at), Millis(now));
            }
        }
        if wheel.records() == 0 {
            break;
        }
    }
    assert!((at + 1..=at + 2 * TICK_MS).contains(&now), "gone at {now}, due at {at}");
    assert!(looked_up <= LEVELS, "{looked_up} look-ups for one key");
}

#[test]
fn what_no_level_reaches_waits_in_the_last_slot_of_the_highest() {
    let mut wheel = Wheel::default();
    wheel.arm(7, Millis(i64::MAX), Millis(1_700_000_000_000));
    assert_eq!(drain(&mut wheel, 1_700_000_000_000 + (1 << 48)), []);
    assert_eq!(drain(&mut wheel, i64::MAX), [7]);
}

#[test]
fn what_is_due_goes_before_what_is_only_cascaded() {
    let mut wheel = Wheel::default();
    let slot_ms = 1 << shift(1);
    wheel.arm(1, Millis(4 * slot_ms + 10), Millis(0));
    let now = 4 * slot_ms - slot_ms / 2;
    wheel.arm(2, Millis(now - 100), Millis(now - 200));
    assert_eq!(drain(&mut wheel, now), [2, 1]);
}

#[test]
fn a_jump_of_years_costs_no_walk_over_empty_slots() {
    let mut wheel = Wheel::default();
    wheel.arm(7, Millis(100), Millis(0));
    let now = 50 * 365 * 24 * 3_600_000;
    assert_eq!(drain(&mut wheel, now), [7]);
    wheel.arm(8, Millis(now + 100), Millis(now));
    assert_eq!(drain(&mut wheel, now + 90), []);
    assert_eq!(drain(&mut wheel, now + 100 + TICK_MS), [8]);
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    let mut wheel = Wheel::default();
    let now = 1_000_000_000;
    wheel.arm(1, Millis(now + 50), Millis(now));
    let back = now - 3_600_000;
    // The old record comes out to be armed anew, and the new one at its time.
    wheel.arm(2, Millis(back + 50), Millis(back));
    assert_eq!(drain(&mut wheel, back), [1]);
    assert_eq!(drain(&mut wheel, back + 50 + TICK_MS), [2]);
    assert_eq!(wheel.records(), 0);
}

#[test]
fn a_key_armed_a_million_times_takes_the_memory_of_one_group() {
    let mut wheel = Wheel::default();
    for round in 0..1_000_000 {
        wheel.arm(round % 100, Millis(100_000), Millis(0));
    }
    assert!(wheel.records() <= GROUP_MAX as u64 + 1);
    assert!(wheel.memory_bytes() <= 3 * GROUP_MAX * size_of::<u32>());
    let drained = drain(&mut wheel, 200_000);
    assert!((0..100).all(|prefix| drained.contains(&prefix)));
}

#[test]
fn many_distinct_keys_armed_again_and_again_are_deduplicated_too() {
    let mut wheel = Wheel::default();
    let mut random = Random(1);
    let prefixes: Vec<u32> = (0..100_000).map(|_| random.below(1 << 32) as u32).collect();
    for _ in 0..20 {
        for &prefix in &prefixes {
            wheel.arm(prefix, Millis(100_000_000), Millis(0));
        }
    }
    assert!(wheel.records() < 300_000, "{} records of 100,000 keys", wheel.records());
}

#[test]
fn a_record_costs_less_than_five_bytes() {
    let mut wheel = Wheel::default();
    let mut random = Random(2);
    const KEYS: usize = 1_000_000;
    for _ in 0..KEYS {
        wheel.arm(random.below(1 << 32) as u32, Millis(3_600_000), Millis(0));
    }
    let bytes = wheel.memory_bytes() as f64 / KEYS as f64;
    assert!(bytes < 5.0, "{bytes} bytes a record");
}

#[test]
fn a_cleared_wheel_is_empty_at_once_and_frees_its_memory_in_steps() {
    let mut wheel = Wheel::default();
    let mut random = Random(3);
    for _ in 0..50_000 {
        wheel.arm(random.below(1 << 32) as u32, Millis(3_600_000), Millis(0));
    }
    wheel.clear();
    assert_eq!((wheel.records(), drain(&mut wheel, i64::MAX).len()), (0, 0));
    wheel.arm(7, Millis(10), Millis(0));
    let mut steps = 0;
    while wheel.free_some(1) {
        steps += 1;
    }
    assert!(steps > 50_000 / GROUP_MAX);
    assert_eq!(drain(&mut wheel, 100), [7]);
}

/// Keys get expiries that move to and fro, look-ups are few at times, time jumps: after a drain without a bound, all that is due is
/// out, and every key with an expiry still has its record.
#[test]
fn the_wheel_never_loses_a_key() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut wheel = Wheel::default();
        let mut model: HashMap<u32, i64> = HashMap::new();
        let mut now: i64 = 1_700_000_000_000;
        for _ in 0..3_000 {
            now += match random.below(20) {
                0 => 1 << random.below(24),
                1..=10 => random.below(40) as i64,
                _ => 0,
            };
            let prefix = random.below(300) as u32;
            match random.below(10) {
                0 => drop(model.remove(&prefix)),
                1..=7 => {
                    let reach = 1 << random.below(31);
                    let at = now + 1 + random.below(reach) as i64;
                    let old = model.insert(prefix, at);
                    // As the keyspace does: an expiry that moved to later has its record.
                    if old.is_none_or(|old| at < old) {
                        wheel.arm(prefix, Millis(at), Millis(now));
                    }
                }
                _ => {
                    let budget = if random.below(2) == 0 { 3 } else { usize::MAX };
                    let mut drained = 0;
                    while drained < budget {
                        let Some(prefix) = wheel.next_due(Millis(now)) else {
                            break;
                        };
                        drained += 1;
                        match model.get(&prefix) {
                            Some(&at) if now > at => drop(model.remove(&prefix)),
                            Some(&at) => wheel.arm(prefix, Millis(at), Millis(now)),
                            None => {}
                        }
                    }
                    if drained < budget {
                        let late = model.values().filter(|&&at| at + TICK_MS < now).count();
                        assert_eq!(late, 0, "seed {seed}: keys past their time have no record that is due");
                    }
                }
            }
        }
        now += 1 << 32;
        while let Some(prefix) = wheel.next_due(Millis(now)) {
            model.remove(&prefix);
        }
        assert!(model.is_empty(), "seed {seed}: {} keys were lost", model.len());
    }
}

#[test]
fn there_is_nothing_to_hand_out_before_the_next_look() {
    let seed = 0x10ca1;
    let mut random = Random(seed);
    for round in 0..300 {
        let mut wheel = Wheel::default();
        let mut now = 1_700_000_000_000 + random.below(1 << 30) as i64;
        assert_eq!(wheel.next_look(Millis(now)), None);
        for prefix in 0..1 + random.below(5) as u32 {
            let reach = 1 << random.below(40);
            wheel.arm(prefix, Millis(now + random.below(reach) as i64), Millis(now));
        }
        while let Some(Millis(look)) = wheel.next_look(Millis(now)) {
            let what = format!("round {round} of seed {seed:#x}: {look} from {now}");
            assert!(look > now || now == look, "{what}");
            if look > now {
                assert_eq!(drain(&mut wheel, look - 1), [], "{what}");
            }
            now = look;
            let before = wheel.records();
            let out = drain(&mut wheel, now);
            assert!(!out.is_empty() && out.len() as u64 <= before, "{what}");
        }
    }
}

#[test]
fn the_earliest_record_comes_out_before_its_time() {
    let mut wheel = Wheel::default();
    let now = Millis(1_700_000_000_000);
    let mut times: Vec<i64> = Vec::new();
    for prefix in 0..2_000_u32 {
        let at = now.0 + 1 + (i64::from(prefix) * 7_919) % 5_000_000;
        times.push(at);
        wheel.arm(prefix, Millis(at), now);
    }
    let mut last = 0;
    for _ in 0..2_000 {
        let (prefix, end) = wheel.take_earliest(now).expect("there are more");
        let at = times[prefix as usize];
        assert!(at <= end.0, "{at} is told to be before {end:?}");
        // Within a slot, which lasts between a sixty-fourth and half of the time that is left.
        let slack = 64 + (at - now.0) / 2;
        assert!(at + slack >= last, "{at} after {last}");
        last = last.max(at);
    }
    assert_eq!((wheel.take_earliest(now), wheel.records()), (None, 0));
    // What is armed later comes in time.
    wheel.arm(7, Millis(now.0 + 40), now);
    assert_eq!(drain(&mut wheel, now.0 + 39), []);
    assert_eq!(drain(&mut wheel, now.0 + 100), [7]);
}

#[test]
fn each_record_has_the_same_chance() {
    let mut wheel = Wheel::default();
    let now = Millis(1_700_000_000_000);
    assert_eq!(wheel.random(|| 1, |_| true), None);
    // Few in the first bucket, very many in another one.
    for prefix in 0..10_u32 {
        wheel.arm(prefix, Millis(now.0 + 20), now);
    }
    for prefix in 10..10_000_u32 {
        wheel.arm(prefix.wrapping_mul(400_000), Millis(now.0 + 100_000), now);
    }
    let mut random = Random(5);
    let mut few = 0;
    for _ in 0..20_000 {
        few += u32::from(wheel.random(|| random.below(1 << 31) << 33, |_| true).expect("there are some") < 10);
    }
    assert!((5..=45).contains(&few), "{few} of 20 expected");
    assert_eq!(wheel.records(), 10_000);
    // What leads to nothing is forgotten.
    let before = wheel.records();
    assert_eq!(wheel.random(|| random.below(1 << 31) << 33, |_| false), None);
    assert_eq!(wheel.records(), before - 1);
}

#[test]
fn the_record_of_what_is_gone_is_forgotten() {
    let mut wheel = Wheel::default();
    let now = Millis(1_700_000_000_000);
    let at = |prefix: u32| Millis(now.0 + 1 + (i64::from(prefix) * 7_919) % 50_000_000);
    (0..5_000).for_each(|prefix| wheel.arm(prefix, at(prefix), now));
    (0..5_000).for_each(|prefix| wheel.disarm(prefix, at(prefix)));
    assert_eq!(wheel.records(), 0);
    assert_eq!(drain(&mut wheel, now.0 + 60_000_000), []);
    // One that has moved stays.
    wheel.arm(7, Millis(now.0 + 60_000_100), Millis(now.0 + 60_000_000));
    wheel.disarm(7, Millis(now.0 + 90_000_000));
    assert_eq!(wheel.records(), 1);
}
