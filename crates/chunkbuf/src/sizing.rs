//! Decisions about size and pace, as pure functions: which chunk size next, when a pass starts, how fast it must go.
//!
//! # Chunk sizes
//! A chunk is a small share of the bytes that its buffer holds, from 1/256 at `P = 0` to 1/16 at `P = 1`. Larger chunks: fewer of
//! them to keep track of, more memory open at the end. The size changes only when the wish has moved by a factor of two or
//! more, so that a buffer that breathes does not flap.
//!
//! # Pace
//! Let `d` be the share of dead bytes when a pass starts and `L` the live bytes. A pass copies `L` bytes and frees `L / (1 - d)`.
//! If for every byte written meanwhile at least `(1 - d) / d` bytes are copied, memory does not grow during the pass at all, so
//! its peak is `L / (1 - d)`. We pay half as much again.

use crate::chunk::ChunkSize;

/// Dead bytes below which a pass is not worth its start.
pub const DEAD_BYTES_MIN: u64 = 16 * 1024;
/// How much faster than break-even a pass runs.
const PACE_MARGIN: f64 = 1.5;
/// Bytes copied per byte written, at least: a pass that was started shall end even when break-even asks for little.
const PACE_MIN: f64 = 2.0;
/// Bytes copied per byte written, at most: beyond this the writer would only move bytes.
const PACE_MAX: f64 = 32.0;

/// The chunk size for a buffer that will hold `bytes`, under the setting `p` in 0..=1.
pub fn chunk_size(bytes: u64, p: f64, current: Option<ChunkSize>) -> ChunkSize {
    debug_assert!((0.0..=1.0).contains(&p));
    let wish = bytes as f64 * (-8.0 + 4.0 * p).exp2();
    match current {
        // Hysteresis: stay within a factor of two either way.
        Some(size) if wish >= size.bytes() as f64 / 2.0 && wish < 2.0 * size.bytes() as f64 => size,
        _ => ChunkSize::at_most(wish as u64),
    }
}

/// Whether so many dead bytes beside so many live ones call for a pass, when at least `target` of all bytes shall be live.
pub fn wants_pass(live_bytes: u64, dead_bytes: u64, target: f64) -> bool {
    dead_bytes >= DEAD_BYTES_MIN && dead_bytes as f64 > (1.0 - target) * (live_bytes + dead_bytes) as f64
}

/// Bytes to copy for each byte written while a pass runs that copies `live_bytes` and frees `dead_bytes` besides.
pub fn pace(live_bytes: u64, dead_bytes: u64) -> f64 {
    (PACE_MARGIN * live_bytes as f64 / dead_bytes.max(1) as f64).clamp(PACE_MIN, PACE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_a_sixteenth_at_most() {
        for bytes in (0..40).map(|log2| 1u64 << log2) {
            for p in [0.0, 0.25, 0.5, 0.75, 1.0] {
                let size = chunk_size(bytes, p, None);
                assert!(size == ChunkSize::MIN || size.bytes() * 16 <= bytes, "{bytes} bytes, p {p}: {size:?}");
            }
        }
    }

    #[test]
    fn p_chooses_between_few_large_chunks_and_many_small_ones() {
        assert_eq!(chunk_size(1 << 20, 0.0, None).bytes(), 1 << 12);
        assert_eq!(chunk_size(1 << 20, 0.5, None).bytes(), 1 << 14);
        assert_eq!(chunk_size(1 << 20, 1.0, None).bytes(), 1 << 16);
    }

    #[test]
    fn sizes_grow_and_shrink_with_hysteresis() {
        let at_1_mib = chunk_size(1 << 20, 1.0, None);
        assert_eq!(chunk_size((2 << 20) - 16, 1.0, Some(at_1_mib)), at_1_mib);
        assert_eq!(chunk_size(1 << 19, 1.0, Some(at_1_mib)), at_1_mib);
        assert!(chunk_size(2 << 20, 1.0, Some(at_1_mib)) > at_1_mib);
        assert!(chunk_size((1 << 19) - 16, 1.0, Some(at_1_mib)) < at_1_mib);
    }

    #[test]
    fn a_pass_starts_when_the_dead_share_passes_the_target() {
        assert!(!wants_pass(1 << 20, 0, 0.8));
        assert!(!wants_pass(0, DEAD_BYTES_MIN - 1, 0.8));
        assert!(wants_pass(0, DEAD_BYTES_MIN, 0.8));
        assert!(!wants_pass(81 << 20, 19 << 20, 0.8));
        assert!(wants_pass(80 << 20, (20 << 20) + 1, 0.8));
    }

    #[test]
    fn the_pace_pays_for_the_pass_half_as_fast_again_as_break_even() {
        assert_eq!(pace(80, 20), 6.0);
        assert_eq!(pace(0, 20), PACE_MIN);
        assert_eq!(pace(80, 0), PACE_MAX);
    }
}
