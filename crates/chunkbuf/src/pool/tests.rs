//! Tests of the pool: the books, the limit, pins, and memory that goes back.

use super::*;

fn unlimited() -> Pool {
    Pool::new(u64::MAX)
}

const SMALL: ChunkSize = ChunkSize::MIN;
const LARGE: ChunkSize = ChunkSize::MAX;

#[test]
fn a_new_pool_holds_nothing() {
    let pool = unlimited();
    assert_eq!(pool.usage(), PoolUsage::default());
    pool.audit();
}

#[test]
fn a_small_chunk_costs_one_granule_and_gives_it_back() {
    let mut pool = unlimited();
    let chunk = pool.take(SMALL, Purpose::Write).unwrap();
    assert_eq!(pool.usage().held_bytes, GRANULE_BYTES);
    assert_eq!(pool.usage().used_bytes, 256);
    pool.audit();
    pool.give(chunk);
    assert_eq!(pool.usage().used_bytes, 0);
    assert_eq!(pool.usage().warm_bytes, GRANULE_BYTES);
    pool.audit();
    assert!(!pool.trim(0, u64::MAX));
    assert_eq!(pool.usage().held_bytes, 0);
    assert_eq!(pool.usage().mapped_bytes, 0);
    pool.audit();
}

#[test]
fn chunks_do_not_overlap() {
    let mut pool = unlimited();
    let mut chunks = Vec::new();
    for round in 0..if cfg!(miri) { 12 } else { 200u32 } {
        let size = ChunkSize::at_least(256 << (round % 6));
        let mut chunk = pool.take(size, Purpose::Write).unwrap();
        chunk.words_mut().fill(u64::from(round));
        chunks.push((round, chunk));
    }
    pool.audit();
    for (round, chunk) in chunks {
        assert!(chunk.words().iter().all(|&word| word == u64::from(round)));
        pool.give(chunk);
    }
    pool.audit();
}

#[test]
fn warm_memory_is_used_again_before_cold_memory() {
    let mut pool = unlimited();
    let first = pool.take(LARGE, Purpose::Write).unwrap();
    let second = pool.take(LARGE, Purpose::Write).unwrap();
    pool.give(first);
    assert_eq!(pool.usage().held_bytes, 2 * LARGE.bytes());
    let third = pool.take(LARGE, Purpose::Write).unwrap();
    assert_eq!(pool.usage().held_bytes, 2 * LARGE.bytes());
    pool.give(second);
    pool.give(third);
    pool.audit();
}

#[test]
fn the_limit_is_never_passed_and_a_refusal_changes_nothing() {
    let mut pool = Pool::new(16 << 20);
    let mut chunks = Vec::new();
    while let Ok(chunk) = pool.take(LARGE, Purpose::Write) {
        chunks.push(chunk);
        assert!(pool.usage().held_bytes <= 14 << 20);
    }
    assert_eq!(chunks.len(), 14, "the reserve of two chunks is left");
    let before = pool.usage();
    assert!(pool.take(LARGE, Purpose::Write).is_err());
    assert_eq!(PoolUsage { mapped_bytes: 0, ..pool.usage() }, PoolUsage { mapped_bytes: 0, ..before });
    chunks.push(pool.take(LARGE, Purpose::Compaction).unwrap());
    chunks.push(pool.take(LARGE, Purpose::Compaction).unwrap());
    assert!(pool.take(SMALL, Purpose::Compaction).is_err());
    pool.audit();
    for chunk in chunks {
        pool.give(chunk);
    }
    pool.audit();
}

#[test]
fn near_the_limit_warm_memory_makes_room_for_other_sizes() {
    let mut pool = Pool::new(4 << 20);
    let mut small = Vec::new();
    while let Ok(chunk) = pool.take(ChunkSize::at_least(GRANULE_BYTES), Purpose::Write) {
        small.push(chunk);
    }
    for chunk in small.drain(..) {
        pool.give(chunk);
    }
    let large = pool.take(LARGE, Purpose::Write).unwrap();
    assert!(pool.usage().held_bytes <= 4 << 20);
    pool.give(large);
    pool.audit();
}

#[test]
fn a_pinned_chunk_is_not_used_again_until_its_reader_is_done() {
    let mut pool = unlimited();
    let mut chunk = pool.take(SMALL, Purpose::Write).unwrap();
    // SAFETY: nothing is pinned yet.
    unsafe { chunk.write(8, b"steady") };
    // SAFETY: the bytes are not written again.
    let pinned = unsafe { pool.pin(&mut chunk, 8..14) };
    // SAFETY: the pin covers other bytes.
    unsafe { chunk.write(0, b"changed") };
    pool.give(chunk);
    assert_eq!(pool.usage().limbo_bytes, 256);
    pool.sweep_limbo(8);
    assert_eq!(pool.usage().limbo_bytes, 256);
    let mut other = pool.take(SMALL, Purpose::Write).unwrap();
    other.words_mut().fill(u64::MAX);
    assert_eq!(&pinned[..], b"steady");
    let copy = pinned.clone();
    drop(pinned);
    pool.sweep_limbo(8);
    assert_eq!(pool.usage().limbo_bytes, 256);
    drop(copy);
    pool.sweep_limbo(8);
    assert_eq!(pool.usage().limbo_bytes, 0);
    pool.give(other);
    pool.audit();
}

#[test]
fn a_pin_outlives_the_pool() {
    let mut pool = unlimited();
    let mut chunk = pool.take(SMALL, Purpose::Write).unwrap();
    // SAFETY: nothing is pinned yet.
    unsafe { chunk.write(0, b"whole") };
    // SAFETY: the bytes are not written again.
    let pinned = unsafe { pool.pin(&mut chunk, 0..5) };
    pool.give(chunk);
    drop(pool);
    assert_eq!(&pinned[..], b"whole");
}

#[test]
fn a_pin_can_end_on_another_thread() {
    let mut pool = unlimited();
    let mut chunk = pool.take(SMALL, Purpose::Write).unwrap();
    // SAFETY: nothing is pinned yet.
    unsafe { chunk.write(0, b"afar") };
    // SAFETY: the bytes are not written again.
    let pinned = unsafe { pool.pin(&mut chunk, 0..4) };
    pool.give(chunk);
    std::thread::spawn(move || assert_eq!(&pinned[..], b"afar")).join().unwrap();
    pool.sweep_limbo(1);
    assert_eq!(pool.usage().limbo_bytes, 0);
}

#[test]
fn every_chunk_in_limbo_has_its_turn() {
    // Looks took turns at the first and the last chunk only: two slow readers kept all others' memory.
    let mut pool = unlimited();
    let mut pins = Vec::new();
    for _ in 0..5 {
        let mut chunk = pool.take(SMALL, Purpose::Write).unwrap();
        // SAFETY: the bytes are not written again.
        pins.push(unsafe { pool.pin(&mut chunk, 0..4) });
        pool.give(chunk);
    }
    pins.drain(1..4);
    for _ in 0..5 {
        pool.sweep_limbo(1);
    }
    assert_eq!(pool.usage().limbo_bytes, 2 * 256, "the two that are still read");
    pins.clear();
    pool.sweep_limbo(2);
    assert_eq!(pool.usage().limbo_bytes, 0);
    pool.audit();
}

#[test]
#[should_panic(expected = "where it came from")]
fn a_chunk_of_another_pool_is_refused() {
    // Safe code could have two owners of one block: both pools' first chunks have the same number.
    let (mut pool, mut other) = (unlimited(), unlimited());
    let _chunk = pool.take(SMALL, Purpose::Write).unwrap();
    pool.give(other.take(SMALL, Purpose::Write).unwrap());
}

#[test]
fn small_chunks_leave_the_regions_of_large_ones_whole() {
    let mut pool = Pool::new(u64::MAX);
    let (small, large) = (ChunkSize::at_least(GRANULE_BYTES), ChunkSize::MAX);
    let take = |pool: &mut Pool, size| pool.take(size, Purpose::Write).expect("no limit");
    let mut kept = Vec::new();
    let mut passing = Vec::new();
    for _ in 0..32 {
        kept.push(take(&mut pool, small));
        passing.push(take(&mut pool, large));
    }
    passing.into_iter().for_each(|chunk| pool.give(chunk));
    pool.audit();
    assert_eq!(pool.warm_for(large), 32 * large.bytes(), "all of it is there for large chunks again");
    while pool.trim(0, u64::MAX) {}
    assert_eq!(pool.usage().held_bytes, 32 * small.bytes());
    kept.into_iter().for_each(|chunk| pool.give(chunk));
    pool.audit();
    assert_eq!(pool.usage().used_bytes, 0);
}
