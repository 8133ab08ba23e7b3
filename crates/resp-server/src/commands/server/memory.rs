//! MEMORY subcommands about the server's memory: STATS, DOCTOR, MALLOC-STATS, PURGE.

use std::fmt::Write;

use crate::commands::{Arity::Exactly, CommandSpec, Context, Doc, Flow, Group, Large, Outcome, Run};
use crate::engine::Engine;
use crate::engine::info::{Asked, info};
use crate::proto::{Args, Reply};
use crate::text::integer::humanize;

pub(super) const MEMORY_STATS: CommandSpec = CommandSpec {
    name: "stats",
    arity: Exactly(2),
    flags: &[],
    keys: &[],
    large: Large::None,
    run: Run::Server(memory_stats),
    doc: Doc {
        summary: "Tells where the server's memory is.",
        since: "4.0.0",
        complexity: "O(N) in the number of databases",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        ..Doc::of(Group::Server)
    },
};

/// What STATS and DOCTOR look at, in bytes.
struct Memory {
    used: u64,
    peak: u64,
    startup: u64,
    clients: u64,
    dataset: u64,
    index: u64,
    /// What the allocator of chunks holds, and what else is in use.
    active: u64,
    resident: u64,
    keys: u64,
}

impl Memory {
    fn of(engine: &Engine) -> Memory {
        let usage = engine.keyspace.store.usage();
        let used = engine.memory_used();
        Memory {
            used,
            peak: engine.stats.memory_peak_bytes.max(used),
            startup: engine.startup_bytes(),
            clients: engine.clients_bytes(),
            dataset: usage.live_bytes + usage.blobs.page_bytes,
            index: usage.index.page_bytes + usage.index.header_bytes + usage.index.directory_bytes,
            active: usage.pool.held_bytes.max(used),
            resident: (engine.host.resident_bytes)(),
            keys: (0..engine.keyspace.databases()).map(|db| engine.keyspace.usage(db).keys).sum(),
        }
    }

    fn overhead(&self) -> u64 {
        self.used.saturating_sub(self.dataset)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A value of the map.
enum Told {
    Count(i64),
    Ratio(f64),
    /// A database: bytes of its index, as far as they can be told apart, and of expiries.
    Database(i64, i64),
}

fn memory_stats(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    use Told::{Count, Database, Ratio};
    let engine = &*context.engine;
    let memory = Memory::of(engine);
    let count = |bytes: u64| Count(bytes as i64);
    let per_key = memory.used.saturating_sub(memory.startup).checked_div(memory.keys).unwrap_or(0);
    let mut told = vec![
        ("peak.allocated".to_owned(), count(memory.peak)),
        ("total.allocated".to_owned(), count(memory.used)),
        ("startup.allocated".to_owned(), count(memory.startup)),
        ("replication.backlog".to_owned(), Count(0)),
        ("clients.slaves".to_owned(), Count(0)),
        ("clients.normal".to_owned(), count(memory.clients)),
        ("cluster.links".to_owned(), Count(0)),
        ("aof.buffer".to_owned(), Count(0)),
        ("lua.caches".to_owned(), Count(0)),
        ("functions.caches".to_owned(), Count(0)),
    ];
    for db in 0..engine.keyspace.databases() {
        let usage = engine.keyspace.usage(db);
        if usage.keys > 0 {
            // The index's share of a key, and what the timing wheel keeps of one that expires.
            let index = u128::from(memory.index) * u128::from(usage.keys) / u128::from(memory.keys.max(1));
            told.push((format!("db.{db}"), Database(index as i64, usage.expires as i64 * 4)));
        }
    }
    let of_rest: [(&str, Told); 21] = [
        ("overhead.db.hashtable.lut", count(memory.index)),
        ("overhead.db.hashtable.rehashing", Count(0)),
        ("overhead.total", count(memory.overhead())),
        ("db.dict.rehashing.count", Count(0)),
        ("keys.count", count(memory.keys)),
        ("keys.bytes-per-key", count(per_key)),
        ("dataset.bytes", count(memory.dataset)),
        ("dataset.percentage", Ratio(100.0 * ratio(memory.dataset, memory.used))),
        ("peak.percentage", Ratio(100.0 * ratio(memory.used, memory.peak))),
        ("allocator.allocated", count(memory.used)),
        ("allocator.active", count(memory.active)),
        ("allocator.resident", count(memory.resident)),
        ("allocator.muzzy", Count(0)),
        ("allocator-fragmentation.ratio", Ratio(ratio(memory.active, memory.used))),
        ("allocator-fragmentation.bytes", count(memory.active - memory.used)),
        ("allocator-rss.ratio", Ratio(ratio(memory.resident, memory.active))),
        ("allocator-rss.bytes", Count(memory.resident as i64 - memory.active as i64)),
        ("rss-overhead.ratio", Ratio(1.0)),
        ("rss-overhead.bytes", Count(0)),
        ("fragmentation", Ratio(ratio(memory.resident, memory.used))),
        ("fragmentation.bytes", Count(memory.resident as i64 - memory.used as i64)),
    ];
    told.extend(of_rest.map(|(name, value)| (name.to_owned(), value)));

    reply.map(told.len());
    for (name, value) in told {
        reply.bulk(name.as_bytes());
        match value {
            Count(count) => reply.integer(count),
            Ratio(ratio) => reply.double(ratio.to_string().as_bytes()),
            Database(main, expires) => {
                reply.map(2);
                reply.bulk(b"overhead.hashtable.main");
                reply.integer(main);
                reply.bulk(b"overhead.hashtable.expires");
                reply.integer(expires);
            }
        }
    }
    Ok(Flow::Done)
}

pub(super) const MEMORY_DOCTOR: CommandSpec = CommandSpec {
    name: "doctor",
    run: Run::Server(memory_doctor),
    doc: Doc { summary: "Tells what looks wrong with the server's memory.", complexity: "O(1)", ..MEMORY_STATS.doc },
    ..MEMORY_STATS
};

fn memory_doctor(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    let clients = context.engine.clients.len() as u64;
    reply.verbatim("txt", advice(&Memory::of(context.engine), clients).as_bytes());
    Ok(Flow::Done)
}

/// What looks wrong, and what helps.
fn advice(memory: &Memory, clients: u64) -> String {
    const LITTLE: u64 = 5 << 20;
    if memory.used < LITTLE {
        return "There is very little data here: nothing can be said about its memory yet.\n".to_owned();
    }
    let mut text = String::new();
    let mut complain =
        |what: std::fmt::Arguments<'_>| writeln!(text, " * {what}").expect("writing to memory cannot fail");
    if ratio(memory.peak, memory.used) > 1.5 {
        complain(format_args!(
            "At its peak the server used {}, now it is {}. What is free goes back to the system in idle time.",
            humanize(memory.peak),
            humanize(memory.used)
        ));
    }
    if ratio(memory.active, memory.used) > 1.25 && memory.active - memory.used > LITTLE {
        complain(format_args!(
            "The store holds {} for {} in use. Compaction brings that back; a higher target-utilisation makes it begin earlier.",
            humanize(memory.active),
            humanize(memory.used)
        ));
    }
    if ratio(memory.resident, memory.active) > 1.5 && memory.resident - memory.active > 2 * LITTLE {
        complain(format_args!(
            "The process has {} resident, {} of them are not data: long replies or requests that are under way, or the heap.",
            humanize(memory.resident),
            humanize(memory.resident - memory.active)
        ));
    }
    if clients > 0 && memory.clients / clients > 200 << 10 {
        complain(format_args!(
            "Clients take {} each: they send faster than they are served, or do not read. See CLIENT LIST, maxmemory-clients.",
            humanize(memory.clients / clients)
        ));
    }
    if text.is_empty() {
        return "Nothing looks wrong with this server's memory.\n".to_owned();
    }
    format!("What looks wrong with this server's memory:\n\n{text}")
}

pub(super) const MEMORY_MALLOC_STATS: CommandSpec = CommandSpec {
    name: "malloc-stats",
    run: Run::Server(memory_malloc_stats),
    doc: Doc { summary: "Tells what the store's own allocator holds.", complexity: "O(1)", ..MEMORY_STATS.doc },
    ..MEMORY_STATS
};

fn memory_malloc_stats(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    let text = info(context.engine, Asked::named(b"chunkbuf"));
    reply.verbatim("txt", text.as_bytes());
    Ok(Flow::Done)
}

pub(super) const MEMORY_PURGE: CommandSpec = CommandSpec {
    name: "purge",
    run: Run::Server(memory_purge),
    doc: Doc {
        summary: "Gives free memory back to the system: a step of it now, the rest in idle time, as ever.",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..MEMORY_STATS.doc
    },
    ..MEMORY_STATS
};

fn memory_purge(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    context.engine.keyspace.store.free(true);
    reply.ok();
    Ok(Flow::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doctor_names_what_is_wrong_and_only_that() {
        const MIB: u64 = 1 << 20;
        let sound = || Memory {
            used: 100 * MIB,
            peak: 110 * MIB,
            startup: 0,
            clients: MIB,
            dataset: 90 * MIB,
            index: 5 * MIB,
            active: 105 * MIB,
            resident: 110 * MIB,
            keys: 1000,
        };
        assert!(advice(&Memory { used: MIB, ..sound() }, 1).contains("very little"));
        assert!(advice(&sound(), 100).contains("Nothing"));
        for (memory, word) in [
            (Memory { peak: 300 * MIB, ..sound() }, "peak"),
            (Memory { active: 200 * MIB, resident: 200 * MIB, ..sound() }, "target-utilisation"),
            (Memory { resident: 300 * MIB, ..sound() }, "resident"),
            (Memory { clients: 90 * MIB, ..sound() }, "CLIENT LIST"),
        ] {
            let text = advice(&memory, 100);
            assert!(text.contains(word) && text.matches(" * ").count() == 1, "{text}");
        }
    }
}
