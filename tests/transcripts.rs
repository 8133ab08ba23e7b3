//! Transcripts against the binary, over TCP: each file of `tests/transcripts` with a server of its own.
//!
//! The same files are proved against a real Redis by `scripts/transcripts-on-redis`, and played in process, with virtual
//! time, by the tests of `resp-server`. How they read: `tests/support/src/transcript.rs`.

// The lint knows test functions, and not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use test_support::play::play_file;
use test_support::server;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = folder.read_dir().expect("tests/transcripts is a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(!files.is_empty(), "no transcripts in {}", folder.display());
    files
}

#[test]
fn every_transcript_holds_over_tcp() {
    let binary = server::binary(env!("CARGO_BIN_EXE_evenkeel"));
    let failures: Vec<String> = files().iter().filter_map(|file| play_file(file, &binary).err()).collect();
    assert!(failures.is_empty(), "{} transcripts fail\n{}", failures.len(), failures.join("\n"));
}
