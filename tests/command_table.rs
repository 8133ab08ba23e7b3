//! What hangs on the table of commands beside the server: the README's status table, which tells of every command of Redis 7.4 whether it
//! is there, and that the transcripts try every row.
//!
//! `EVENKEEL_WRITE_STATUS=1 cargo test --test command_table` writes the status table anew.

// The lint knows test functions, and not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use resp_server::commands::{self, CommandSpec};
use test_support::Transcript;
use test_support::transcript::What;

const BEGIN: &str = "<!-- status:begin -->\n";
const END: &str = "<!-- status:end -->";

/// Every command of Redis 7.4, subcommands as `client|list`, with its group.
const REDIS: &str = include_str!("../crates/resp-server/tests/data/redis-7.4.csv");

/// Full names and groups of what Redis 7.4 has, in order.
fn of_redis() -> impl Iterator<Item = (&'static str, &'static str)> {
    REDIS.lines().skip(1).map(|line| line.split_once(',').expect("a name and a group"))
}

/// Full names of our rows, subcommands included, with the rows.
fn ours() -> BTreeMap<String, &'static CommandSpec> {
    let with_subcommands = |spec: &'static CommandSpec| {
        let subcommands = spec.subcommands().iter().map(move |&sub| (format!("{}|{}", spec.name, sub.name), sub));
        std::iter::once((spec.name.to_string(), spec)).chain(subcommands)
    };
    commands::all().flat_map(with_subcommands).collect()
}

/// A row a group, in the order in which the table of commands first names them, then those of which we have nothing: what we have, and
/// what Redis 7.4 has beside it. `GET, SET, CLIENT (ID, LIST)`.
fn status_table() -> String {
    let ours = ours();
    let mut groups: Vec<(&str, Vec<String>, Vec<String>)> = Vec::new();
    let mut group = |name| {
        groups.iter().position(|group| group.0 == name).unwrap_or_else(|| {
            groups.push((name, Vec::new(), Vec::new()));
            groups.len() - 1
        })
    };
    let here: Vec<(usize, String)> =
        commands::all().map(|spec| (group(spec.doc.group.name()), shown(spec.name, subcommands_of(spec)))).collect();
    let mut missing: Vec<(usize, String)> = Vec::new();
    for (name, of_group) in of_redis().filter(|(name, _)| !name.contains('|')) {
        let subcommands = of_redis().filter_map(|(full, _)| full.strip_prefix(name)?.strip_prefix('|'));
        let absent: Vec<&str> = subcommands.filter(|sub| !ours.contains_key(&format!("{name}|{sub}"))).collect();
        if !ours.contains_key(name) || !absent.is_empty() {
            missing.push((group(of_group), shown(name, absent.into_iter())));
        }
    }
    here.into_iter().for_each(|(at, text)| groups[at].1.push(text));
    missing.into_iter().for_each(|(at, text)| groups[at].2.push(text));
    let mut table = "| group | works | not yet |\n|---|---|---|\n".to_string();
    for (name, here, missing) in groups {
        table += &format!("| {name} | {} | {} |\n", here.join(", "), missing.join(", "));
    }
    table
}

fn subcommands_of(spec: &'static CommandSpec) -> impl Iterator<Item = &'static str> {
    spec.subcommands().iter().map(|sub| sub.name)
}

fn shown<'a>(name: &str, subcommands: impl Iterator<Item = &'a str>) -> String {
    let subcommands: Vec<String> = subcommands.map(str::to_uppercase).collect();
    let name = name.to_uppercase();
    if subcommands.is_empty() { name } else { format!("{name} ({})", subcommands.join(", ")) }
}

#[test]
fn what_redis_7_4_does_not_have_is_of_a_later_version() {
    let redis: BTreeSet<&str> = of_redis().map(|(name, _)| name).collect();
    for (name, spec) in ours() {
        let mut version = spec.doc.since.split('.').map(|number| number.parse::<u32>().unwrap());
        let is_later = (version.next(), version.next()) > (Some(7), Some(4));
        assert!(redis.contains(&name[..]) != is_later, "{name}, which is there since {}", spec.doc.since);
    }
}

#[test]
fn each_command_of_redis_7_4_stands_in_one_column_of_the_status_table() {
    let table = status_table();
    let cells: Vec<&str> = table.lines().skip(2).flat_map(|row| row.split('|').skip(2).take(2)).collect();
    let mut told: Vec<String> = Vec::new();
    for (cell, is_here) in cells.iter().zip([true, false].into_iter().cycle()) {
        // At commas that are not within parentheses.
        let mut depth = 0;
        let entries = cell.split(|letter| {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            letter == ',' && depth == 0
        });
        for entry in entries.map(|entry| entry.trim().to_lowercase()).filter(|entry| !entry.is_empty()) {
            let (name, subcommands) = entry.trim_end_matches(')').split_once(" (").unwrap_or((&entry, ""));
            told.extend(subcommands.split(", ").filter(|sub| !sub.is_empty()).map(|sub| format!("{name}|{sub}")));
            // In the second column a container of which we have a part stands for its absent subcommands alone.
            if is_here || !ours().contains_key(name) {
                told.push(name.to_string());
            }
        }
    }
    let all: BTreeSet<String> = of_redis().map(|(name, _)| name.to_string()).chain(ours().into_keys()).collect();
    told.sort();
    assert_eq!(told, all.into_iter().collect::<Vec<_>>());
}

#[test]
fn the_readme_lists_the_commands_that_there_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let begin = readme.find(BEGIN).expect("README.md has a status table") + BEGIN.len();
    let end = begin + readme[begin..].find(END).expect("the status table ends");
    let table = status_table();
    if std::env::var_os("EVENKEEL_WRITE_STATUS").is_some() {
        fs::write(&path, [&readme[..begin], &table, &readme[end..]].concat()).unwrap();
        return;
    }
    assert!(
        readme[begin..end] == table,
        "README.md's status table is not what the table of commands says; to write it anew:\n\n    \
         EVENKEEL_WRITE_STATUS=1 cargo test --test command_table\n"
    );
}

#[test]
fn every_row_is_tried_in_a_transcript() {
    let mut tried = BTreeSet::new();
    for entry in Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let transcript = Transcript::parse(&path.to_string_lossy(), &fs::read_to_string(&path).unwrap()).unwrap();
        for step in transcript.steps {
            let What::Request { args, reply, .. } = step.what else { continue };
            // What only shows how it is refused shows little; but SHUTDOWN leaves nobody to tell the rest, LATENCY GRAPH draws
            // only what took long, and CONFIG REWRITE needs a file, which tests of the binary give it.
            let name = String::from_utf8_lossy(&args[0]).to_lowercase();
            if reply.first().is_some_and(|line| line.starts_with("(error)"))
                && !matches!(&name[..], "shutdown" | "latency" | "config")
            {
                continue;
            }
            if let Some(second) = args.get(1) {
                tried.insert(format!("{name}|{}", String::from_utf8_lossy(second).to_lowercase()));
            }
            tried.insert(name);
        }
    }
    let missing: Vec<String> = ours().into_keys().filter(|row| !tried.contains(row)).collect();
    assert!(missing.is_empty(), "no transcript in tests/transcripts tries {}", missing.join(", "));
}
