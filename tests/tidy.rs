//! Reads our own sources, and says where they break a rule that no compiler checks.
//!
//! Each rule is a function from a source to its complaints, and each has a test that a bad sample does fail: a rule that
//! cannot fail guards nothing. Where an exception is right, it is listed here by name, so that adding one is a decision.

// The lint knows test functions, and not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Files that may contain `unsafe`. Each block there carries `SAFETY:`, and Miri runs over them.
const UNSAFE_FILES: &[&str] = &[
    "crates/chunkbuf/src/buffer.rs",
    "crates/chunkbuf/src/chunk.rs",
    "crates/chunkbuf/src/pool.rs",
    "crates/chunkbuf/src/pool/tests.rs",
    // One call of the C library, which Miri does not know.
    "src/heap.rs",
];

/// Files that may be longer than [`LINES_MAX`].
const LONG_FILES: &[&str] = &[];

/// Past this a file becomes a folder.
const LINES_MAX: usize = 900;

/// Columns, counted in characters.
const COLUMNS_MAX: usize = 140;

/// The modules of `resp-server`, lowest first: each may use only those before it (and itself).
const RESP_SERVER_LAYERS: &[&str] =
    &["text", "types", "proto", "keyspace", "bits", "engine", "commands", "dispatch", "server"];

/// What `chunkbuf` never touches: it does no I/O, reads no clock, logs nothing and starts no thread.
const CHUNKBUF_NEVER: &[&str] =
    &["tokio", "tracing", "std::time", "std::fs", "std::net", "std::thread", "resp_server", "println!", "eprintln!"];

/// What the engine and all below it never touch: time, randomness and bytes are handed in.
const ENGINE_NEVER: &[&str] = &[
    "tokio",
    "std::time::Instant",
    "Instant::now",
    "SystemTime",
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "std::thread",
];

/// A source file: its path from the workspace's root, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

/// A line that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    line: usize,
    what: String,
}

fn complaint(line: usize, what: impl Into<String>) -> Complaint {
    Complaint { line, what: what.into() }
}

// ---- reading

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["src", "crates", "tests", "fuzz", "scripts"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 10, "the sources are not where this test looks for them");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = folder.read_dir() else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let relative = path.strip_prefix(root()).unwrap();
            found.push(Source { path: relative.to_string_lossy().replace('\\', "/"), text });
        }
    }
}

impl Source {
    /// Whether all of the file is test or benchmark code.
    fn is_test(&self) -> bool {
        let path = &self.path;
        let inner = |folder: &str| path.starts_with(folder) || path.contains(&format!("/{folder}"));
        inner("tests/") || inner("benches/") || inner("examples/") || inner("fuzz/") || path.ends_with("/tests.rs")
    }

    /// The lines of code, numbered from 1, without comments and without the contents of string literals. Lines inside
    /// `#[cfg(test)] mod` blocks come with `true`.
    fn code(&self) -> Vec<(usize, String, bool)> {
        let stripped = without_comments_and_strings(&self.text);
        let (mut in_tests, mut pending, mut depth) = (false, false, 0_i64);
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(stripped.lines()) {
            if !in_tests && line.contains("#[cfg(test)]") {
                (pending, depth) = (true, 0);
            }
            if pending || in_tests {
                let opens = i64::try_from(line.matches('{').count()).unwrap();
                let closes = i64::try_from(line.matches('}').count()).unwrap();
                depth += opens - closes;
                // `#[cfg(test)] mod tests;` ends at its semicolon, a block at its brace.
                in_tests = pending && opens > 0 || in_tests;
                lines.push((number, line.to_string(), true));
                if in_tests && depth <= 0 || pending && opens == 0 && line.trim_end().ends_with(';') {
                    (in_tests, pending) = (false, false);
                }
                pending &= !in_tests;
            } else {
                lines.push((number, line.to_string(), false));
            }
        }
        lines
    }
}

/// Blanks comments and the contents of literals, and keeps the lines' numbers.
fn without_comments_and_strings(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(len) = raw_string_len(rest, at.checked_sub(1).map(|before| bytes[before])) {
            len
        } else if rest.starts_with('"') {
            string_len(rest)
        } else {
            char_literal_len(rest)
        };
        if skipped == 0 {
            let next = rest.chars().next().expect("there is a rest");
            out.push(next);
            at += next.len_utf8();
        } else {
            out.push(' ');
            out.extend(rest[..skipped].matches('\n'));
            at += skipped;
        }
    }
    out
}

fn string_len(rest: &str) -> usize {
    let mut escaped = false;
    for (place, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string_len(rest: &str, before: Option<u8>) -> Option<usize> {
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() && byte != b'b' || byte == b'_') {
        return None;
    }
    let after = rest.strip_prefix('r')?;
    let marks = after.len() - after.trim_start_matches('#').len();
    after[marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    let body = &after[marks + 1..];
    Some(body.find(&end).map_or(rest.len(), |found| 1 + marks + 1 + found + end.len()))
}

/// The length of a character literal, 0 for a lifetime or anything else.
fn char_literal_len(rest: &str) -> usize {
    let mut chars = rest.char_indices();
    let (Some((_, '\'')), Some((_, first))) = (chars.next(), chars.next()) else {
        return 0;
    };
    if first == '\\' {
        return rest[3..].find('\'').map_or(0, |end| 3 + end + 1);
    }
    match chars.next() {
        Some((end, '\'')) => end + 1,
        _ => 0,
    }
}

// ---- the rules

fn module_doc(source: &Source) -> Vec<Complaint> {
    let first = source.text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    match first {
        Some(line) if line.starts_with("//!") && line.len() > 10 => Vec::new(),
        _ => vec![complaint(1, "the file does not begin by saying what it is (`//! ...`)")],
    }
}

fn import_direction(source: &Source) -> Vec<Complaint> {
    let mut found = Vec::new();
    if let Some(inner) = source.path.strip_prefix("crates/resp-server/src/") {
        let module = inner.split(['/', '.']).next().unwrap_or_default();
        let Some(layer) = RESP_SERVER_LAYERS.iter().position(|name| *name == module) else {
            return found;
        };
        for (line, code, in_tests) in source.code() {
            for above in RESP_SERVER_LAYERS[layer + 1..].iter().filter(|_| !in_tests && !source.is_test()) {
                if mentions_module(&code, above) {
                    found.push(complaint(line, format!("`{module}` is below `{above}` and may not use it")));
                }
            }
        }
    }
    found
}

/// Whether a line names `crate::module`, also inside braces: `use crate::{engine, text}`.
fn mentions_module(code: &str, module: &str) -> bool {
    if let Some(list) = code.split("crate::{").nth(1) {
        return words(list.split('}').next().unwrap_or(list)).any(|word| word == module);
    }
    code.split("crate::").skip(1).any(|rest| words(rest).next() == Some(module))
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn forbidden_outside(source: &Source) -> Vec<Complaint> {
    let path = &source.path;
    let below_server = RESP_SERVER_LAYERS[..RESP_SERVER_LAYERS.len() - 1]
        .iter()
        .any(|layer| path.starts_with(&format!("crates/resp-server/src/{layer}")));
    let never = if path.starts_with("crates/chunkbuf/src/") {
        CHUNKBUF_NEVER
    } else if below_server {
        ENGINE_NEVER
    } else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (line, code, in_tests) in source.code() {
        for name in never.iter().filter(|name| !in_tests && !source.is_test() && code.contains(**name)) {
            found.push(complaint(line, format!("`{name}` has no place here: I/O and clocks are the event loop's")));
        }
    }
    found
}

fn unsafe_code(source: &Source) -> Vec<Complaint> {
    if UNSAFE_FILES.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let lines = source.code().into_iter().filter(|(_, code, _)| words(code).any(|word| word == "unsafe"));
    lines.map(|(line, ..)| complaint(line, "`unsafe` in a file that is not listed for it")).collect()
}

fn unwraps(source: &Source) -> Vec<Complaint> {
    if source.is_test() && !source.path.starts_with("tests/support/") {
        return Vec::new();
    }
    let lines = source.code().into_iter().filter(|(_, code, in_tests)| !in_tests && code.contains(".unwrap()"));
    lines.map(|(line, ..)| complaint(line, "`unwrap()` outside tests: `expect(\"why it holds\")`")).collect()
}

fn long_lines(source: &Source) -> Vec<Complaint> {
    let lines = (1..).zip(source.text.lines()).map(|(line, text)| (line, text.chars().count()));
    lines
        .filter(|(_, columns)| *columns > COLUMNS_MAX)
        .map(|(line, columns)| complaint(line, format!("{columns} columns, at most {COLUMNS_MAX}")))
        .collect()
}

fn long_file(source: &Source) -> Vec<Complaint> {
    let lines = source.text.lines().count();
    if lines <= LINES_MAX || LONG_FILES.contains(&source.path.as_str()) {
        return Vec::new();
    }
    vec![complaint(lines, format!("{lines} lines: past {LINES_MAX} a file becomes a folder, or is named as long"))]
}

/// Work left open needs a reason on its line: `// TODO(reason): ...`.
fn open_work(source: &Source) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (line, text) in (1..).zip(source.text.lines()) {
        for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")] {
            let Some(after) = text.split(mark).nth(1) else {
                continue;
            };
            let alone = !text.split(mark).next().unwrap_or_default().ends_with(|c: char| c.is_alphanumeric());
            let reason = after.strip_prefix('(').and_then(|rest| rest.split_once("):"));
            if alone && !after.starts_with(|c: char| c.is_alphanumeric()) && reason.is_none_or(|(why, _)| why.len() < 5)
            {
                found.push(complaint(line, format!("{mark} without a reason")));
            }
        }
    }
    found
}

fn ignored_tests(source: &Source) -> Vec<Complaint> {
    let lines = source.code().into_iter().filter(|(_, code, _)| code.contains("#[ignore"));
    lines.map(|(line, ..)| complaint(line, "a test that is never run")).collect()
}

type Rule = (&'static str, fn(&Source) -> Vec<Complaint>);

const RULES: &[Rule] = &[
    ("module doc", module_doc),
    ("import direction", import_direction),
    ("forbidden outside", forbidden_outside),
    ("unsafe code", unsafe_code),
    ("unwraps", unwraps),
    ("long lines", long_lines),
    ("long file", long_file),
    ("open work", open_work),
    ("ignored tests", ignored_tests),
];

#[test]
fn our_sources_keep_the_rules() {
    let mut report = String::new();
    for source in sources() {
        for (rule, check) in RULES {
            for Complaint { line, what } in check(&source) {
                writeln!(report, "{}:{line}: {what} ({rule})", source.path).unwrap();
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn files_that_are_listed_as_exceptions_exist_and_need_it() {
    let sources = sources();
    for path in UNSAFE_FILES {
        let source = sources.iter().find(|source| source.path == *path);
        let needs = source.is_some_and(|source| source.text.contains("unsafe"));
        assert!(needs, "{path} is listed for unsafe code and has none");
    }
    for path in LONG_FILES {
        let source = sources.iter().find(|source| source.path == *path);
        let needs = source.is_some_and(|source| source.text.lines().count() > LINES_MAX);
        assert!(needs, "{path} is listed as long and is not");
    }
}

// ---- the README

/// Commands that a newcomer needs, in the order in which the README tells them.
const README_COMMANDS: &[&str] = &["cargo run --release", "redis-cli", "cargo test --workspace", "scripts/bench"];

fn missing_in_readme(readme: &str) -> Option<&'static str> {
    let mut rest = readme;
    README_COMMANDS.iter().copied().find(|command| match rest.split_once(command) {
        Some((_, after)) => {
            rest = after;
            false
        }
        None => true,
    })
}

/// Scripts that a text names and that are not there.
fn scripts_that_are_not_there(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let names = text.split("scripts/").skip(1).map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default());
    let names = names.map(|name| name.trim_end_matches('.')).filter(|name| !name.is_empty() && !exists(name));
    names.map(str::to_string).collect()
}

#[test]
fn the_readme_tells_its_commands_in_order() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert_eq!(missing_in_readme(&readme), None, "missing, or not in this order: {README_COMMANDS:?}");
}

#[test]
fn documents_name_only_scripts_that_are_there() {
    for document in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "ARCHITECTURE.md"] {
        let Ok(text) = fs::read_to_string(root().join(document)) else {
            continue;
        };
        let missing = scripts_that_are_not_there(&text, |name| root().join("scripts").join(name).exists());
        assert!(missing.is_empty(), "{document} names scripts that are not there: {missing:?}");
    }
}

// ---- each rule can fail

fn sample(path: &str, text: &str) -> Source {
    Source { path: path.to_string(), text: text.to_string() }
}

/// The lines that a rule complains about in a sample.
fn lines(rule: fn(&Source) -> Vec<Complaint>, path: &str, text: &str) -> Vec<usize> {
    rule(&sample(path, text)).into_iter().map(|complaint| complaint.line).collect()
}

#[test]
fn a_file_without_a_doc_is_found() {
    assert_eq!(lines(module_doc, "src/a.rs", "use std::fs;\n"), [1]);
    assert_eq!(lines(module_doc, "src/a.rs", "//! A.\n"), [1], "two letters say nothing");
    assert!(lines(module_doc, "src/a.rs", "#![no_main]\n//! What this is.\n").is_empty());
}

#[test]
fn an_import_upwards_is_found() {
    let proto = "crates/resp-server/src/proto/mod.rs";
    assert_eq!(lines(import_direction, proto, "use crate::text;\nuse crate::engine::Engine;\n"), [2]);
    assert_eq!(lines(import_direction, proto, "use crate::{text, dispatch};\n"), [1]);
    assert_eq!(lines(import_direction, proto, "fn f() { crate::server::g() }\n"), [1]);
    assert!(lines(import_direction, proto, "// crate::server is above\n").is_empty());
    assert!(lines(import_direction, proto, "#[cfg(test)]\nmod tests {\n use crate::engine;\n}\n").is_empty());
    assert!(lines(import_direction, "crates/resp-server/src/server/mod.rs", "use crate::engine;\n").is_empty());
}

#[test]
fn a_clock_in_chunkbuf_or_the_engine_is_found() {
    let text = "fn now() {\n    std::time::Instant::now();\n}\n";
    assert_eq!(lines(forbidden_outside, "crates/chunkbuf/src/map.rs", text), [2]);
    assert!(!lines(forbidden_outside, "crates/resp-server/src/engine/mod.rs", text).is_empty());
    assert!(lines(forbidden_outside, "crates/resp-server/src/server/mod.rs", text).is_empty());
    assert_eq!(lines(forbidden_outside, "crates/chunkbuf/src/map.rs", "use tracing::info;\n"), [1]);
}

#[test]
fn unsafe_outside_the_list_is_found() {
    let text = "fn f() {\n    unsafe { g() }\n}\n";
    assert_eq!(lines(unsafe_code, "crates/chunkbuf/src/map.rs", text), [2]);
    assert!(lines(unsafe_code, UNSAFE_FILES[0], text).is_empty());
    assert!(lines(unsafe_code, "src/a.rs", "// unsafe\nlet a = \"unsafe\"; #![deny(unsafe_code)]\n").is_empty());
}

#[test]
fn an_unwrap_outside_tests_is_found() {
    let text = "fn f() { a.unwrap() }\n#[cfg(test)]\nmod tests {\n fn g() { a.unwrap() }\n}\nfn h() { b.unwrap() }\n";
    assert_eq!(lines(unwraps, "src/a.rs", text), [1, 6]);
    assert_eq!(lines(unwraps, "src/a.rs", "#[cfg(test)]\nmod tests;\nfn h() { b.unwrap() }\n"), [3]);
    assert_eq!(lines(unwraps, "tests/support/src/a.rs", "fn h() { b.unwrap() }\n"), [1]);
    assert!(lines(unwraps, "tests/a.rs", text).is_empty());
}

#[test]
fn what_is_too_long_is_found() {
    let wide = format!("{}\n{}\n", "x".repeat(COLUMNS_MAX), "x".repeat(COLUMNS_MAX + 1));
    assert_eq!(lines(long_lines, "src/a.rs", &wide), [2]);
    assert!(lines(long_file, "src/a.rs", &"\n".repeat(LINES_MAX)).is_empty());
    assert_eq!(lines(long_file, "src/a.rs", &"\n".repeat(LINES_MAX + 1)), [LINES_MAX + 1]);
}

#[test]
fn open_work_without_a_reason_is_found() {
    let bare = concat!("// TO", "DO later\n");
    let reasoned = concat!("// TO", "DO(tokio 2 will have it): use it\n");
    assert_eq!(lines(open_work, "src/a.rs", &format!("{reasoned}{bare}")), [2]);
    assert_eq!(lines(open_work, "src/a.rs", concat!("// FIX", "ME\n")), [1]);
}

#[test]
fn an_ignored_test_is_found() {
    assert_eq!(lines(ignored_tests, "tests/a.rs", "#[test]\n#[ignore]\nfn f() {}\n"), [2]);
    assert_eq!(lines(ignored_tests, "tests/a.rs", "#[ignore = \"slow\"]\n"), [1]);
}

#[test]
fn a_readme_without_its_commands_is_found() {
    let good = README_COMMANDS.join("\nthen\n");
    assert_eq!(missing_in_readme(&good), None);
    assert_eq!(missing_in_readme(&good.replace("cargo test --workspace", "")), Some("cargo test --workspace"));
    let swapped: Vec<&str> = README_COMMANDS.iter().rev().copied().collect();
    assert!(missing_in_readme(&swapped.join("\n")).is_some(), "the order counts");
    assert_eq!(scripts_that_are_not_there("run `scripts/a` or scripts/b.", |name| name == "b"), ["a"]);
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = concat!(
        "let a = \"// \\\" unsafe\"; // unsafe\n",
        "let b = r#\"un\"safe\"#; let c = '\"'; let d = '\\''; f::<'a>(); /* x\n",
        "y */ z"
    );
    let code = without_comments_and_strings(text);
    assert!(!code.contains("unsafe") && !code.contains('x') && code.contains("f::<'a>()"), "{code}");
    assert_eq!(code.lines().count(), 3);
    assert!(code.lines().nth(2).unwrap().contains('z'));
}
