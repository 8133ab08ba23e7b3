//! A loop that computes, in turns about as long as a server's: whatever lasts longer is the machine's doing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::Result;

/// What a turn should take.
const TURN: Duration = Duration::from_micros(50);

/// Computes for so many seconds and prints `name=value ...`, in nanoseconds: how long turns took by the clock, and by the time that
/// the thread ran (`own`), as the server's ledger has it.
pub(crate) fn run(seconds: &str) -> Result {
    let measured = Duration::from_secs_f64(seconds.parse()?);
    let rounds = rounds_of_a_turn();
    let (mut all, mut own) = (Vec::new(), Vec::new());
    let began = Instant::now();
    while began.elapsed() < measured {
        let (clock, ran) = (Instant::now(), thread_ran());
        compute(rounds);
        all.push(clock.elapsed().as_nanos());
        own.push((thread_ran() - ran).as_nanos());
    }
    all.sort_unstable();
    own.sort_unstable();
    let at = |sorted: &[u128], quantile: f64| sorted[((sorted.len() - 1) as f64 * quantile) as usize];
    println!(
        "p50_ns={} p999_ns={} max_ns={} own_p999_ns={} own_max_ns={}",
        at(&all, 0.5),
        at(&all, 0.999),
        at(&all, 1.0),
        at(&own, 0.999),
        at(&own, 1.0)
    );
    Ok(())
}

/// How much of [`compute`] makes a turn: by the fastest of some, which nothing interrupted.
fn rounds_of_a_turn() -> u64 {
    const TRIED: u64 = 10_000;
    let fastest = (0..200).map(|_| {
        let began = Instant::now();
        compute(TRIED);
        began.elapsed()
    });
    let fastest = fastest.min().unwrap_or(TURN).max(Duration::from_nanos(1));
    (u128::from(TRIED) * TURN.as_nanos() / fastest.as_nanos()) as u64
}

fn compute(rounds: u64) {
    let mut state = black_box(1_u64);
    for _ in 0..rounds {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

fn thread_ran() -> Duration {
    let ran = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(ran.tv_sec as u64, ran.tv_nsec as u32)
}
