//! A loop that computes, in turns about as long as a server's: whatever lasts longer is the machine's doing. And one that takes new memory
//! in each turn, as a long reply does: the system finds and clears a page for each that is written first, and where the machine
//! is a guest, its host may have to do the same before.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use memmap2::MmapMut;
use rustix::time::{ClockId, clock_gettime};

use super::Result;

/// What a turn should take.
const TURN: Duration = Duration::from_micros(50);
/// New memory in a turn, and for how many turns it is kept: 256 MiB altogether.
const NEW_BYTES: usize = 64 * 1024;
const KEPT: usize = 4096;

/// Does each for so many seconds and prints `name=value ...`, in nanoseconds: how long turns took by the clock, and by the time that
/// the thread ran (`own`), as the server's ledger has it.
pub(crate) fn run(seconds: &str) -> Result {
    let measured = Duration::from_secs_f64(seconds.parse()?);
    let rounds = rounds_of_a_turn();
    let computing = Turns::measure(measured, || compute(rounds));
    let mut taken = VecDeque::new();
    let mut failed = false;
    let taking = Turns::measure(measured, || {
        if taken.len() == KEPT {
            taken.pop_front();
        }
        match MmapMut::map_anon(NEW_BYTES) {
            Ok(mut memory) => {
                memory.fill(1);
                taken.push_back(memory);
            }
            Err(_) => failed = true,
        }
    });
    if failed {
        return Err("there is no memory".into());
    }
    computing.print("");
    taking.print("new_");
    println!();
    Ok(())
}

/// How long turns took, in order.
struct Turns {
    all: Vec<u128>,
    /// By the time that the thread ran.
    own: Vec<u128>,
}

impl Turns {
    fn measure(measured: Duration, mut turn: impl FnMut()) -> Turns {
        let (mut all, mut own) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while began.elapsed() < measured {
            let (clock, ran) = (Instant::now(), thread_ran());
            turn();
            all.push(clock.elapsed().as_nanos());
            own.push((thread_ran() - ran).as_nanos());
        }
        all.sort_unstable();
        own.sort_unstable();
        Turns { all, own }
    }

    fn print(&self, of: &str) {
        let at = |sorted: &[u128], quantile: f64| sorted[((sorted.len() - 1) as f64 * quantile) as usize];
        print!(
            "{of}p50_ns={} {of}p999_ns={} {of}max_ns={} ",
            at(&self.all, 0.5),
            at(&self.all, 0.999),
            at(&self.all, 1.0)
        );
        print!("{of}own_p999_ns={} {of}own_max_ns={} ", at(&self.own, 0.999), at(&self.own, 1.0));
    }
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
