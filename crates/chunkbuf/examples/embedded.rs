//! A word counter: the store as an embedded map, with compaction stepped between two lines of input.
//!
//! `cargo run --release -p chunkbuf --example embedded < README.md`

use std::io::BufRead;

use chunkbuf::{Budget, Options, Store, UserFlags};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut store = Store::new(Options { memory_limit: 64 << 20, ..Options::default() });
    let counts = store.create();
    for line in std::io::stdin().lock().lines() {
        for word in line?.split_whitespace() {
            let count = match store.get(counts, word.as_bytes()) {
                Some(entry) => u64::from_le_bytes(entry.value.to_vec().as_slice().try_into()?),
                None => 0,
            };
            store.put(counts, word.as_bytes(), UserFlags::NONE, &(count + 1).to_le_bytes())?;
        }
        while store.debt() > 0 {
            store.step(Budget::STEP, false);
        }
    }
    let mut words = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = store.scan(counts, cursor, |_, entry| {
            let count = u64::from_le_bytes(entry.value.to_vec().try_into().expect("every value is a count"));
            words.push((count, String::from_utf8_lossy(&entry.key.to_vec()).into_owned()));
        });
        if cursor == 0 {
            break;
        }
    }
    words.sort_by(|one, other| other.cmp(one));
    for (count, word) in words.iter().take(10) {
        println!("{count:6} {word}");
    }
    let usage = store.usage();
    println!("{} words, {} live bytes in {} of chunks", store.len(counts), usage.live_bytes, usage.chunk_bytes);
    Ok(())
}
