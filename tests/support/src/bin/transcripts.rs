//! Plays transcripts against any server binary: `transcripts <server> <file>...`
//!
//! One line a file; ends with 1 when a transcript does not hold. `scripts/transcripts-on-redis` uses it to prove the
//! transcripts themselves.

use std::path::Path;
use std::process::ExitCode;

use test_support::play::play_file;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(binary) = args.next() else {
        eprintln!("usage: transcripts <server> <file>...");
        return ExitCode::from(2);
    };
    let (mut held, mut skipped, mut failed) = (0, 0, 0);
    for file in args {
        match play_file(Path::new(&file), Path::new(&binary)) {
            Ok(None) => {
                held += 1;
                println!("holds    {file}");
            }
            Ok(Some(why)) => {
                skipped += 1;
                println!("skipped  {file} ({why})");
            }
            Err(what) => {
                failed += 1;
                println!("FAILS    {what}");
            }
        }
    }
    println!("{held} transcripts hold, {skipped} skipped, {failed} fail");
    if failed > 0 || held + skipped == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
