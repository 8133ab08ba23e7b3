//! What the process knows of itself and of its machine, for INFO: read from Linux's `/proc`.
//!
//! What cannot be read is told as nothing: 0, or an empty text.

use std::cell::Cell;
use std::fs::read_to_string;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::engine::{Host, ThreadTime};

/// What this process knows of itself. `config_file` is the path of its configuration file, empty if it has none.
pub(super) fn of_this_process(config_file: String) -> Host {
    LazyLock::force(&BEGAN);
    let executable = std::env::current_exe().unwrap_or_default();
    Host {
        process_id: std::process::id(),
        executable: executable.to_string_lossy().into_owned(),
        config_file,
        os: operating_system(),
        system_memory_bytes: kibibytes("/proc/meminfo", "MemTotal:"),
        clients_max: clients_max(),
        resident_bytes,
        cpu_us,
        clock_ns,
        edit_file: super::files::edit,
        sleep_us: |us| std::thread::sleep(Duration::from_micros(us)),
        thread_time,
    }
}

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The monotonic clock of the process, in nanoseconds. About 30 ns.
pub(super) fn clock_ns() -> u64 {
    BEGAN.elapsed().as_nanos() as u64
}

thread_local! {
    /// When this thread fell asleep, if it sleeps, and how long it has slept before.
    static SLEEP: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// The event loop has nothing to do: its thread is about to wait for events.
pub(super) fn falls_asleep() {
    SLEEP.with(|sleep| sleep.set((clock_ns(), sleep.get().1)));
}

/// There are events.
pub(super) fn wakes_up() {
    SLEEP.with(|sleep| {
        let (since, slept) = sleep.get();
        sleep.set((0, slept + clock_ns().saturating_sub(since)));
    });
}

/// How long this thread has slept, in nanoseconds: while that stays the same it is awake.
pub(super) fn slept_ns() -> u64 {
    SLEEP.with(Cell::get).1
}

/// What this thread has done. About 0.2 us, a system call.
fn thread_time() -> ThreadTime {
    let ran = clock_gettime(ClockId::ThreadCPUTime);
    ThreadTime { ran_ns: ran.tv_sec as u64 * 1_000_000_000 + ran.tv_nsec as u64, slept_ns: slept_ns() }
}

/// `Linux 6.1.0 x86_64`
fn operating_system() -> String {
    let word = |name: &str| {
        let text = read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    format!("{} {} {}", word("ostype"), word("osrelease"), std::env::consts::ARCH)
}

/// The bytes that a line of a file tells in KiB: `VmRSS:      6504 kB`.
fn kibibytes(path: &str, field: &str) -> u64 {
    let text = read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// Bytes of memory that the process has resident. Some 5 us: `status` has the figure as well, among many that cost more.
pub(super) fn resident_bytes() -> u64 {
    static PAGE_BYTES: LazyLock<u64> = LazyLock::new(page_bytes);
    let pages = read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * *PAGE_BYTES
}

/// Bytes of a page of memory, from the pairs of words that the system has given the process at its start.
fn page_bytes() -> u64 {
    const AT_PAGESZ: u64 = 6;
    let words = std::fs::read("/proc/self/auxv").unwrap_or_default();
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    let mut pairs = words.chunks_exact(16).map(|pair| (word(pair), word(&pair[8..])));
    pairs.find(|&(name, _)| name == AT_PAGESZ).map_or(4096, |(_, value)| value)
}

/// Clients that there are file descriptors for, beside those that the server itself needs.
fn clients_max() -> u32 {
    const RESERVED: u32 = 32;
    let limits = read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft_limit = files.and_then(|limits| limits.split_whitespace().next()?.parse::<u32>().ok());
    soft_limit.map_or(u32::MAX, |files| files.saturating_sub(RESERVED))
}

/// Microseconds of processor time, as user and in the system.
pub(super) fn cpu_us() -> (u64, u64) {
    // Linux tells them in ticks of a hundredth of a second, whatever the kernel's own tick is.
    const TICK_US: u64 = 10_000;
    let stat = read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name, in parentheses, may hold anything; utime and stime are the 12th and 13th field behind it.
    let behind_name = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let mut ticks = behind_name.split_whitespace().skip(11).map(|field| field.parse().unwrap_or(0));
    let mut next_us = || ticks.next().unwrap_or(0) * TICK_US;
    (next_us(), next_us())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let host = of_this_process("evenkeel.conf".to_owned());
        assert_eq!(host.process_id, std::process::id());
        assert!(host.os.starts_with("Linux "), "{}", host.os);
        assert!(host.clients_max > 0);
        let resident_bytes = (host.resident_bytes)();
        assert!(resident_bytes > 0 && resident_bytes < host.system_memory_bytes);
        let told = kibibytes("/proc/self/status", "VmRSS:");
        assert!(resident_bytes.abs_diff(told) < 8 << 20, "{resident_bytes}, {told}");
        let before = (host.clock_ns)();
        let spent = || {
            let (user_us, system_us) = (host.cpu_us)();
            user_us + system_us
        };
        let begun_us = spent();
        while spent() == begun_us {}
        assert!((host.clock_ns)() > before);
    }

    #[test]
    fn a_thread_knows_how_long_it_ran_and_slept() {
        let before = thread_time();
        falls_asleep();
        let slept_from = clock_ns();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let slept_at_least = clock_ns() - slept_from;
        wakes_up();
        while thread_time().ran_ns < before.ran_ns + 1_000_000 {}
        assert!(thread_time().slept_ns - before.slept_ns >= slept_at_least);
    }
}
