//! The clients of `scripts/bench stall`: one that measures small requests, and one that loads the server meanwhile.
//!
//! ```text
//! stall rows                                   the rows, one a line: name, commands it needs, title, with tabs between
//! stall run ROW PORT SIZE KEYS SECONDS         one row against a server on 127.0.0.1, whose data is flushed before and after
//! stall machine SECONDS                        what the machine does to a loop that computes, for comparison
//! ```
//!
//! `run` prints `threads LOAD PROBE` (the system's thread ids, so that the caller can pin and prioritise them), waits for a line on
//! its standard input, runs, and prints `figures name=value ...` and a `ledger name=value ...` with what `INFO stalls` says, if
//! the server knows that section. A wrong reply, or none, ends it with 1 and a line that says which.
//!
//! Both clients are threads of one process, because the load alone knows from when to when a measurement counts. The load makes and
//! checks its bytes as it goes (see [`content`]), so that it holds no value itself.

mod collections;
mod content;
mod load;
mod machine;
mod probe;
mod rows;
mod wire;

use std::io::{BufRead as _, stdin};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use load::{Load, Scale};
use probe::{Counting, Figures};
use rows::Row;

/// What went wrong, in a sentence.
type Error = Box<dyn std::error::Error + Send + Sync>;
/// What a step returns.
type Result<T = ()> = std::result::Result<T, Error>;

/// How long the prober runs before anything is counted.
const WARM_UP: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["rows"] => {
            for row in rows::all() {
                println!("{}\t{}\t{}", row.name, row.commands.join(" "), row.title);
            }
            Ok(())
        }
        ["run", name, port, size, keys, seconds] => prepare(name, port, size, keys, seconds),
        ["machine", seconds] => machine::run(seconds),
        _ => Err("stall rows | stall run ROW PORT SIZE KEYS SECONDS | stall machine SECONDS".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("wrong {error}");
            ExitCode::FAILURE
        }
    }
}

fn prepare(name: &str, port: &str, size: &str, keys: &str, seconds: &str) -> Result {
    let row = rows::all().find(|row| row.name == name).ok_or_else(|| format!("there is no row {name}"))?;
    let scale = Scale { size: size.parse()?, keys: keys.parse()?, measured: Duration::from_secs_f64(seconds.parse()?) };
    run(row, port.parse()?, scale)
}

fn run(row: &Row, port: u16, scale: Scale) -> Result {
    let counting = Arc::new(Counting::default());
    let mut load = Load::new(port, scale, Arc::clone(&counting))?;
    load.flush()?;
    let (started, start) = channel();
    let (told, tell) = channel();
    let (shared, may_miss) = (Arc::clone(&counting), row.flushes);
    let prober = thread::spawn(move || -> Result<Figures> {
        let told = told;
        told.send(thread_id()?)?;
        start.recv()?;
        probe::run(port, may_miss, &shared)
    });
    println!("threads {} {}", thread_id()?, tell.recv()?);
    stdin().lock().read_line(&mut String::new())?;
    started.send(())?;
    thread::sleep(WARM_UP);

    // After an error the load's connection may be in the middle of a reply, and is asked nothing more.
    let loaded = (row.run)(&mut load).and_then(|()| load.ledger());
    counting.end();
    let figures = prober.join().map_err(|_| "the prober panicked")?.map_err(|error| format!("the prober: {error}"))?;
    let ledger = loaded.map_err(|error| format!("the load: {error}"))?;
    println!("figures {figures} repeats={} counted_ms={}", load.repeats(), load.counted().as_millis());
    println!("ledger {ledger}");
    load.flush()
}

/// The system's number of the calling thread.
fn thread_id() -> Result<String> {
    let link = std::fs::read_link("/proc/thread-self")?;
    Ok(link.file_name().ok_or("no thread in /proc")?.to_string_lossy().into_owned())
}
