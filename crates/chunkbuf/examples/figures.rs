//! Prints the figures that the crate promises, as markdown tables.
//!
//! `cargo run --release -p chunkbuf --example figures [ops] [growth] [memory] [steps] [churn] [--scale MIB]`
//!
//! Without a name: all of them. `--scale` is the live limit of the churn workloads in MiB (200 by default). Times are wall
//! clock of single calls on one thread, so a busy machine shows in them. Growth and steps are therefore run three times, and a call is
//! as long as in the quickest of its three runs: they are the same calls on the same bytes, so what is the store's own comes
//! back each time, and what the machine did in between does not.

use std::time::Instant;

use chunkbuf::{Budget, MapId, Options, Store, UserFlags};

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
}

fn store() -> (Store, MapId) {
    let mut store = Store::new(Options { hash_key: [0x5eed, 0xf00d], ..Options::default() });
    let map = store.create();
    (store, map)
}

fn key16(number: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// The `share` quantile of sorted samples.
fn quantile(sorted: &[u32], share: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    f64::from(sorted[index]) / 1000.0
}

/// Runs of the same calls.
const RUNS: usize = 3;

/// Prints how long calls took: in the first run, and the longest call when each counts as in the quickest of all runs.
fn print_times(name: &str, run: impl Fn() -> Vec<u32>) {
    let mut first = run();
    let mut least = first.clone();
    for _ in 1..RUNS {
        let again = run();
        assert_eq!(again.len(), least.len(), "all runs are the same calls");
        least.iter_mut().zip(again).for_each(|(least, nanos)| *least = nanos.min(*least));
    }
    first.sort_unstable();
    least.sort_unstable();
    let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(|share| quantile(&first, share));
    let (least_p99, least_max) = (quantile(&least, 0.99), quantile(&least, 1.0));
    println!(
        "| {name} | {p50:.1} | {p99:.1} | {p999:.1} | {max:.1} | {least_p99:.1} | {least_max:.1} | {} |",
        first.len()
    );
}

fn time(call: impl FnOnce()) -> u32 {
    let start = Instant::now();
    call();
    start.elapsed().as_nanos().min(u128::from(u32::MAX)) as u32
}

/// An operation on the store, given a random number of a key.
type Operation<'a> = Box<dyn FnMut(&mut Store, u64) + 'a>;

fn ops() {
    const KEYS: u64 = 1_000_000;
    println!("\n### One operation, 1 million keys of 16 bytes, values of 16 bytes, random order\n");
    println!("| operation | ns |\n|---|---|");
    let (mut store, map) = store();
    let mut random = Random(7);
    let mut each = |name: &str, mut call: Operation<'_>| {
        let start = Instant::now();
        for _ in 0..KEYS {
            call(&mut store, random.next() % KEYS);
        }
        println!("| {name} | {:.0} |", start.elapsed().as_nanos() as f64 / KEYS as f64);
    };
    let mut next = 0;
    each(
        "put, new",
        Box::new(|store, _| {
            store.put(map, &key16(next), UserFlags::NONE, &[1; 16]).expect("no limit");
            next += 1;
        }),
    );
    each(
        "get",
        Box::new(|store, number| {
            let entry = store.get(map, &key16(number)).expect("was put");
            assert_eq!(entry.value.len(), 16);
        }),
    );
    each("get, miss", Box::new(|store, number| assert!(store.get(map, &key16(number + KEYS)).is_none())));
    each(
        "overwrite, compaction included",
        Box::new(|store, number| {
            store.put(map, &key16(number), UserFlags::NONE, &[2; 16]).expect("no limit");
            if store.debt() >= 16 * 1024 {
                store.step(Budget::STEP, false);
            }
        }),
    );
    let mut next = 0;
    each(
        "remove",
        Box::new(|store, _| {
            assert!(store.remove(map, &key16(next * 7_919 % KEYS)));
            next += 1;
        }),
    );
}

fn growth() {
    const KEYS: u64 = 5_000_000;
    println!("\n### Inserts from 0 to 5 million keys of 16+16 bytes, one by one, us\n");
    println!(
        "| | p50 | p99 | p99.9 | max | p99 of the least | max of the least | inserts |\n|---|---|---|---|---|---|---|---|"
    );
    print_times("insert", || {
        let (mut store, map) = store();
        let mut nanos = Vec::with_capacity(KEYS as usize);
        for number in 0..KEYS {
            let key = key16(number);
            nanos.push(time(|| {
                store.put(map, &key, UserFlags::NONE, &[1; 16]).expect("no limit");
            }));
        }
        nanos
    });
}

fn memory() {
    println!("\n### Bytes beside key and value, for each key of 16+16 bytes\n");
    println!("| keys | index | headers | open chunk ends | pool | in all |\n|---|---|---|---|---|---|");
    for keys in [10_000, 100_000, 1_000_000, 3_000_000] {
        let (mut store, map) = store();
        for number in 0..keys {
            store.put(map, &key16(number), UserFlags::NONE, &[1; 16]).expect("no limit");
        }
        while store.step(Budget::STEP, true) {}
        let usage = store.usage();
        let per_key = |bytes: u64| bytes as f64 / keys as f64;
        println!(
            "| {keys} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
            per_key(usage.index.held_bytes()),
            per_key(usage.live_bytes) - 32.0,
            per_key(usage.chunk_bytes - usage.live_bytes - usage.dead_bytes),
            per_key(usage.pool.held_bytes - usage.chunk_bytes - usage.index.page_bytes),
            per_key(usage.held_bytes()) - 32.0,
        );
    }
}

fn steps() {
    println!("\n### One compaction step (48 KiB, 160 live entries or 640 dead ones at most), us\n");
    println!(
        "| entry | p50 | p99 | p99.9 | max | p99 of the least | max of the least | steps |\n|---|---|---|---|---|---|---|---|"
    );
    for (name, len) in
        [("28 B", 28), ("84 B", 84), ("220 B", 220), ("1 KiB", 1 << 10), ("64 KiB", 64 << 10), ("16 MiB", 16 << 20)]
    {
        print_times(name, || {
            let (mut store, map) = store();
            // Half of the entries are dead when the passes begin.
            let total: usize = 256 << 20;
            let entries = (total / len) as u64;
            let value = vec![7; len - 16];
            for number in 0..entries {
                store.put(map, &key16(number), UserFlags::NONE, &value).expect("no limit");
            }
            for number in (0..entries).step_by(2) {
                store.remove(map, &key16(number));
            }
            let mut nanos = Vec::new();
            let passes = store.usage().passes;
            while store.usage().passes == passes && nanos.len() < 10_000_000 {
                nanos.push(time(|| {
                    store.step(Budget::STEP, true);
                }));
            }
            nanos
        });
    }
}

/// Uniform sizes of a phase, key and value together.
type Sizes = (u64, u64);

/// The workloads of Rumble, Kejriwal, Ousterhout: Log-structured Memory for DRAM-based Storage, FAST 2014, table 1: sizes before,
/// the share that is deleted between, sizes after.
const CHURN: [(&str, Sizes, f64, Option<Sizes>); 8] = [
    ("W1", (100, 100), 0.0, None),
    ("W2", (100, 100), 0.0, Some((130, 130))),
    ("W3", (100, 100), 0.9, Some((130, 130))),
    ("W4", (100, 150), 0.0, Some((200, 250))),
    ("W5", (100, 150), 0.9, Some((200, 250))),
    ("W6", (100, 200), 0.5, Some((1_000, 2_000))),
    ("W7", (1_000, 2_000), 0.9, Some((1_500, 2_500))),
    ("W8", (50, 150), 0.9, Some((5_000, 15_000))),
];

struct Churn {
    store: Store,
    map: MapId,
    random: Random,
    /// Keys that are live.
    live: Vec<u64>,
    next_key: u64,
    limit: u64,
    held_max: u64,
    held_sum: f64,
    all_max: u64,
    samples: u64,
}

impl Churn {
    /// Bytes held for entries: all but the index.
    fn held(&self) -> u64 {
        let usage = self.store.memory();
        usage.0 - usage.1
    }

    fn sample(&mut self) {
        let held = self.held();
        self.held_max = self.held_max.max(held);
        self.all_max = self.all_max.max(self.store.held_bytes());
        self.held_sum += held as f64;
        self.samples += 1;
    }

    fn delete_one(&mut self) {
        let chosen = self.random.next() as usize % self.live.len();
        let key = self.live.swap_remove(chosen);
        assert!(self.store.remove(self.map, &key.to_le_bytes()));
    }

    /// Writes five times the live limit, with random deletes that hold the live bytes at it.
    fn phase(&mut self, (low, high): Sizes) {
        let value = vec![3; high as usize];
        let end = self.store.usage().written_bytes + 5 * self.limit;
        let mut written = self.store.usage().written_bytes;
        while written < end {
            let len = self.random.within(low, high) - 8;
            self.next_key += 1;
            self.store
                .put(self.map, &self.next_key.to_le_bytes(), UserFlags::NONE, &value[..len as usize])
                .expect("no limit");
            written += len + 8;
            self.live.push(self.next_key);
            while self.store.live_bytes() > self.limit {
                self.delete_one();
            }
            while self.store.debt() >= 16 * 1024 {
                self.store.step(Budget::STEP, false);
            }
            self.sample();
        }
    }

    fn delete_share(&mut self, share: f64) {
        let keep = (self.live.len() as f64 * (1.0 - share)) as usize;
        while self.live.len() > keep {
            self.delete_one();
            self.sample();
        }
    }

    fn idle(&mut self) -> f64 {
        while self.store.step(Budget::STEP, true) {}
        self.held() as f64 / self.store.live_bytes() as f64
    }
}

fn churn(scale_mib: u64) {
    println!("\n### Memory under churn, live limit {scale_mib} MiB\n");
    println!(
        "Held: chunks and what the pool keeps warm, without the index. Last column: with the index, at its peak.\n"
    );
    println!(
        "| workload | held/limit mean | held/limit max | copied/written | held/live idle | idle after -90% | with index max |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, before, deleted, after) in CHURN {
        let (store, map) = store();
        let limit = scale_mib << 20;
        let mut churn = Churn {
            store,
            map,
            random: Random(11),
            live: Vec::new(),
            next_key: 0,
            limit,
            held_max: 0,
            held_sum: 0.0,
            all_max: 0,
            samples: 0,
        };
        churn.phase(before);
        if let Some(after) = after {
            churn.delete_share(deleted);
            churn.phase(after);
        }
        let usage = churn.store.usage();
        let copied = usage.copied_bytes as f64 / usage.written_bytes as f64;
        let (mean, max) = (churn.held_sum / churn.samples as f64 / limit as f64, churn.held_max as f64 / limit as f64);
        let with_index = churn.all_max as f64 / limit as f64;
        let idle = churn.idle();
        churn.delete_share(0.9);
        let idle_after = churn.idle();
        println!("| {name} | {mean:.3} | {max:.3} | {copied:.2} | {idle:.3} | {idle_after:.3} | {with_index:.3} |");
    }
}

fn main() {
    let mut names = Vec::new();
    let mut scale_mib = 200;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--scale" => {
                scale_mib = arguments.next().and_then(|text| text.parse().ok()).expect("--scale takes a number of MiB");
            }
            name @ ("ops" | "growth" | "memory" | "steps" | "churn") => names.push(name.to_owned()),
            other => panic!("unknown argument {other}: ops, growth, memory, steps, churn, --scale MIB"),
        }
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name);
    if wanted("ops") {
        ops();
    }
    if wanted("growth") {
        growth();
    }
    if wanted("memory") {
        memory();
    }
    if wanted("steps") {
        steps();
    }
    if wanted("churn") {
        churn(scale_mib);
    }
}
