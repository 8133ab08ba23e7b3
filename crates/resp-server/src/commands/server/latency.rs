//! LATENCY: events that took long (see [`crate::engine::latency`]), and how long the calls of each command took.

use crate::commands::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, Large, Outcome, Run, find, reply_help,
};
use crate::engine::latency::Event;
use crate::engine::stats::{CALL_NS_MAX, CommandStats};
use crate::proto::{Args, CommandError, Reply};
use Flag::{Admin, Loading, Noscript, Stale};

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] = &[&LATENCY];

const LATENCY: CommandSpec = CommandSpec {
    name: "latency",
    arity: AtLeast(2),
    flags: &[],
    keys: &[],
    large: Large::None,
    run: Run::Subcommands(&[
        &LATENCY_DOCTOR,
        &LATENCY_GRAPH,
        &LATENCY_HELP,
        &LATENCY_HISTOGRAM,
        &LATENCY_HISTORY,
        &LATENCY_LATEST,
        &LATENCY_RESET,
    ]),
    doc: Doc {
        summary: "A container for commands about latency.",
        since: "2.8.13",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Server)
    },
};

/// A subcommand's tips but for RESET and HELP.
const TIPS: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

const LATENCY_DOCTOR: CommandSpec = CommandSpec {
    name: "doctor",
    arity: Exactly(2),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(latency_doctor),
    doc: Doc {
        summary: "Tells in words which latency events there were, and what may be done.",
        since: "2.8.13",
        tips: TIPS,
        ..Doc::of(Group::Server)
    },
};

fn latency_doctor(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    let engine = &mut *context.engine;
    let threshold = engine.settings.latency_monitor_threshold;
    let mut text = String::new();
    if engine.latency.events().len() == 0 {
        text += &match threshold {
            0 => "Nothing is watched: the latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> turns it \
                  on. INFO stalls tells the longest turns of the event loop at any time.\n"
                .to_owned(),
            ms => format!("All is well: nothing took {ms} ms or longer.\n"),
        };
        reply.verbatim("txt", text.as_bytes());
        return Ok(Flow::Done);
    }
    text += "Some events took long:\n\n";
    let now = engine.unix_seconds();
    for (at, (name, event)) in engine.latency.events().enumerate() {
        let (mean, deviation) = event.mean_and_deviation_ms();
        let spikes = event.samples().len();
        text += &format!(
            "{}. {name}: {spikes} latency spikes (average {mean}ms, mean deviation {deviation}ms, period {:.2} sec). Worst all \
             time event {}ms.\n",
            at + 1,
            event.period_seconds(now),
            event.ms_max
        );
    }
    text += "\nWhat may help:\n\n";
    text += "- INFO stalls names the causes of the longest turns of the event loop, and when they were.\n";
    let slower_than = engine.settings.slowlog_log_slower_than;
    let slowlog_is_blind = slower_than < 0 || slower_than as u64 / 1000 > threshold;
    if engine.latency.events().any(|(name, _)| name.ends_with("command")) {
        if slowlog_is_blind {
            text += &format!(
                "- The slow log does not keep all commands that took this long: CONFIG SET slowlog-log-slower-than {}.\n",
                threshold.saturating_mul(1000)
            );
        }
        text += "- SLOWLOG GET tells which commands were slow.\n";
    }
    text += "- No command and no job should take longer than 1 ms. Where the machine is busy with other work, the whole process \
             waits, whatever it was doing: compare the processor's load at those times.\n";
    reply.verbatim("txt", text.as_bytes());
    Ok(Flow::Done)
}

const LATENCY_GRAPH: CommandSpec = CommandSpec {
    name: "graph",
    arity: Exactly(3),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(latency_graph),
    doc: Doc {
        summary: "Draws the samples of a latency event.",
        since: "2.8.13",
        syntax: "event:string",
        tips: TIPS,
        ..Doc::of(Group::Server)
    },
};

fn latency_graph(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let (name, event) = context
        .engine
        .latency
        .event(args.at(2))
        .ok_or_else(|| CommandError::quoting("ERR No samples available for event '", args.at(2), "'"))?;
    reply.verbatim("txt", graph(name, event, context.engine.unix_seconds()).as_bytes());
    Ok(Flow::Done)
}

/// Columns of a graph; more samples go into another graph below.
const GRAPH_COLUMNS: usize = 80;
/// Rows of a graph, without its labels.
const GRAPH_ROWS: u64 = 4;
/// How full a cell is, from its lowest third on.
const GRAPH_CELLS: [char; 3] = ['_', 'o', '#'];

/// Redis's drawing: a bar for each sample from the lowest to the highest, and below it, from top to bottom, how long ago it was.
///
/// ```text
///    #
///    |
///    |
/// _#_|
///
/// 4321
/// ssss
/// ```
fn graph(name: &str, event: &Event, now_seconds: i64) -> String {
    let samples = event.samples();
    let highest = samples.iter().map(|sample| sample.ms).max().unwrap_or(0);
    let lowest = samples.iter().map(|sample| sample.ms).min().unwrap_or(0);
    let range = (highest - lowest).max(1);
    let cells = GRAPH_CELLS.len() as u64;
    let steps = cells * GRAPH_ROWS;
    let mut text = format!("{name} - high {highest} ms, low {lowest} ms (all time high {} ms)\n", event.ms_max);
    text += &"-".repeat(GRAPH_COLUMNS);
    text.push('\n');
    for (at, part) in samples.chunks(GRAPH_COLUMNS).enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let bars: Vec<u64> = part.iter().map(|sample| ((sample.ms - lowest) * steps / range).min(steps - 1)).collect();
        for row in (0..GRAPH_ROWS).rev() {
            text.extend(bars.iter().map(|&bar| match bar.checked_sub(row * cells) {
                None => ' ',
                Some(above) => GRAPH_CELLS.get(above as usize).copied().unwrap_or('|'),
            }));
            text.push('\n');
        }
        text.extend(part.iter().map(|_| ' '));
        text.push('\n');
        let labels: Vec<String> = part.iter().map(|sample| ago(now_seconds - sample.unix_seconds)).collect();
        let rows = labels.iter().map(String::len).max().unwrap_or(0);
        for row in 0..rows {
            text.extend(labels.iter().map(|label| label.as_bytes().get(row).map_or(' ', |&byte| char::from(byte))));
            text.push('\n');
        }
    }
    text
}

/// A time as the graph's labels tell it: in the largest unit that is full.
fn ago(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

const LATENCY_HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Exactly(2),
    flags: &[Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(latency_help),
    doc: Doc { summary: "Tells what LATENCY can do.", since: "2.8.13", ..Doc::of(Group::Server) },
};

fn latency_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(
        reply,
        "LATENCY",
        &[
            "DOCTOR",
            "    Which events took long, in words.",
            "GRAPH <event>",
            "    A drawing of an event's samples.",
            "HISTORY <event>",
            "    The samples of an event: time in seconds, and milliseconds.",
            "LATEST",
            "    The latest sample of every event, and its longest.",
            "RESET [<event> ...]",
            "    Forget these events, or all.",
            "HISTOGRAM [<command> ...]",
            "    How many calls of these commands, or of all, took at most 1, 2, 4, ... microseconds.",
        ],
    );
    Ok(Flow::Done)
}

const LATENCY_HISTOGRAM: CommandSpec = CommandSpec {
    name: "histogram",
    arity: AtLeast(2),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(latency_histogram),
    doc: Doc {
        summary: "Tells how many calls of commands took at most 1, 2, 4, ... microseconds.",
        since: "7.0.0",
        complexity: "O(N) in the number of commands told",
        syntax: "[command:string [command:string ...]]",
        tips: TIPS,
        ..Doc::of(Group::Server)
    },
};

/// A container stands for its subcommands. What was never called, or is no command, is left out.
fn latency_histogram(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let tracked: Vec<&CommandStats> =
        context.engine.stats.commands().filter(|command| command.latency.is_some()).collect();
    let mut told: Vec<&CommandStats> = Vec::new();
    if args.len() == 2 {
        told = tracked;
    } else {
        for name in args.from(2) {
            let Some((container, spec)) = find(name) else { continue };
            told.extend(tracked.iter().filter(|command| match (container, command.name.split_once('|')) {
                (Some(container), Some((first, second))) => first == container.name && second == spec.name,
                (None, Some((first, _))) => first == spec.name,
                (None, None) => command.name == spec.name,
                (Some(_), None) => false,
            }));
        }
    }
    reply.map(told.len());
    for command in told {
        reply.bulk(command.name.as_bytes());
        let levels = cumulative(command);
        reply.map(2);
        reply.bulk(b"calls");
        reply.count(levels.last().map_or(0, |&(_, calls)| calls) as usize);
        reply.bulk(b"histogram_usec");
        reply.map(levels.len());
        for (us, calls) in levels {
            reply.integer(us as i64);
            reply.integer(calls as i64);
        }
    }
    Ok(Flow::Done)
}

/// How many calls took at most so many microseconds: Redis's levels, powers of two of 1,024 ns and the width of the histogram's
/// slot there, and of those only where the number grows.
fn cumulative(command: &CommandStats) -> Vec<(u64, u64)> {
    const FIRST_NS: u64 = 1024;
    const SLOTS_TO_DOUBLE: u64 = 128;
    let Some(latency) = &command.latency else { return Vec::new() };
    let mut levels: Vec<(u64, u64)> = Vec::new();
    let mut level_ns = FIRST_NS;
    let mut calls = 0;
    for slot in latency.iter_recorded() {
        while slot.value_iterated_to() > level_end_ns(level_ns) {
            level_ns *= 2;
        }
        calls += slot.count_since_last_iteration();
        let us = level_end_ns(level_ns) / 1000;
        match levels.last_mut() {
            Some(last) if last.0 == us => last.1 = calls,
            _ => levels.push((us, calls)),
        }
    }
    return levels;

    /// The last value that falls into the slot in which a level begins; the last level ends where the histogram does.
    fn level_end_ns(level_ns: u64) -> u64 {
        const END_NS: u64 = CALL_NS_MAX.next_power_of_two();
        if level_ns >= END_NS { END_NS - 1 } else { level_ns + level_ns / SLOTS_TO_DOUBLE - 1 }
    }
}

const LATENCY_HISTORY: CommandSpec = CommandSpec {
    name: "history",
    arity: Exactly(3),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(latency_history),
    doc: Doc {
        summary: "Tells the samples of a latency event.",
        since: "2.8.13",
        syntax: "event:string",
        tips: TIPS,
        ..Doc::of(Group::Server)
    },
};

fn latency_history(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let samples = context.engine.latency.event(args.at(2)).map_or(&[][..], |(_, event)| event.samples());
    reply.array(samples.len());
    for sample in samples {
        reply.array(2);
        reply.integer(sample.unix_seconds);
        reply.integer(sample.ms as i64);
    }
    Ok(Flow::Done)
}

const LATENCY_LATEST: CommandSpec = CommandSpec {
    name: "latest",
    arity: Exactly(2),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(latency_latest),
    doc: Doc {
        summary: "Tells the latest sample of every latency event.",
        since: "2.8.13",
        tips: TIPS,
        ..Doc::of(Group::Server)
    },
};

fn latency_latest(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    let events = context.engine.latency.events();
    reply.array(events.len());
    for (name, event) in events {
        let latest = event.latest();
        reply.array(4);
        reply.bulk(name.as_bytes());
        reply.integer(latest.unix_seconds);
        reply.integer(latest.ms as i64);
        reply.integer(event.ms_max as i64);
    }
    Ok(Flow::Done)
}

const LATENCY_RESET: CommandSpec = CommandSpec {
    name: "reset",
    arity: AtLeast(2),
    flags: &[Admin, Noscript, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(latency_reset),
    doc: Doc {
        summary: "Forgets latency events, those that are named or all.",
        since: "2.8.13",
        syntax: "[event:string [event:string ...]]",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..Doc::of(Group::Server)
    },
};

fn latency_reset(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let monitor = &mut context.engine.latency;
    let forgotten =
        if args.len() == 2 { monitor.forget_all() } else { args.from(2).filter(|name| monitor.forget(name)).count() };
    reply.count(forgotten);
    Ok(Flow::Done)
}

#[cfg(test)]
mod tests;
