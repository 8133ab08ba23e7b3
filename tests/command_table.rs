//! What hangs on the table of commands beside the server: the README's status table, and that the transcripts try every row.
//!
//! `EVENKEEL_WRITE_STATUS=1 cargo test --test command_table` writes the status table anew.

// The lint knows test functions, and not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use resp_server::commands::{self, CommandSpec};
use test_support::Transcript;
use test_support::transcript::What;

const BEGIN: &str = "<!-- status:begin -->\n";
const END: &str = "<!-- status:end -->";

/// A row a group, in the order in which the table of commands first names them: `GET, SET, CLIENT (ID, LIST)`.
fn status_table() -> String {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for spec in commands::all() {
        let name = spec.doc.group.name();
        let at = groups.iter().position(|group| group.0 == name).unwrap_or_else(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(shown(spec));
    }
    let mut table = "| group | works |\n|---|---|\n".to_string();
    for (name, commands) in groups {
        table += &format!("| {name} | {} |\n", commands.join(", "));
    }
    table
}

fn shown(spec: &CommandSpec) -> String {
    let name = spec.name.to_uppercase();
    let subcommands: Vec<String> = spec.subcommands().iter().map(|sub| sub.name.to_uppercase()).collect();
    if subcommands.is_empty() { name } else { format!("{name} ({})", subcommands.join(", ")) }
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
    let rows = commands::all().flat_map(|spec| {
        let subcommands = spec.subcommands().iter().map(|sub| format!("{}|{}", spec.name, sub.name));
        std::iter::once(spec.name.to_string()).chain(subcommands)
    });
    let missing: Vec<String> = rows.filter(|row| !tried.contains(row)).collect();
    assert!(missing.is_empty(), "no transcript in tests/transcripts tries {}", missing.join(", "));
}
