//! What the sessions share: checks that are counted, and a list of what had to be left out.

use std::collections::HashSet;
use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

static CHECKS: AtomicUsize = AtomicUsize::new(0);
static LEFT_OUT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The server that is tried, and in which protocol.
pub struct Server {
    pub port: u16,
    /// `2`, `3`, or nothing for the library's own choice.
    pub protocol: Option<u8>,
    known: HashSet<String>,
}

impl Server {
    pub fn new(port: u16, protocol: &str) -> Server {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("the server");
        connection.write_all(b"COMMAND LIST\r\nQUIT\r\n").expect("a request");
        let mut text = String::new();
        connection.read_to_string(&mut text).expect("a reply");
        let names = text.split("\r\n").filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        Server { port, protocol: protocol.parse().ok(), known: names.map(str::to_string).collect() }
    }

    /// A URL with the protocol in it, where one is asked for.
    pub fn url(&self) -> String {
        let protocol = self.protocol.map(|number| format!("?protocol=resp{number}")).unwrap_or_default();
        format!("redis://127.0.0.1:{}/{protocol}", self.port)
    }

    /// Whether the server has the commands that something needs; it is noted as left out when not.
    pub fn has(&self, what: &str, commands: &[&str]) -> bool {
        let missing = commands.iter().filter(|name| !self.known.contains(**name));
        let missing: Vec<String> = missing.map(|name| name.to_uppercase()).collect();
        if !missing.is_empty() {
            LEFT_OUT.lock().expect("one thread").push(format!("{what}, needs {}", missing.join(" and ")));
        }
        missing.is_empty()
    }
}

fn shown(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    if text.len() < 400 { text } else { format!("{:.300}... ({} bytes)", text, text.len()) }
}

#[track_caller]
pub fn same<T: PartialEq + Debug>(got: T, expected: T, what: &str) {
    CHECKS.fetch_add(1, Ordering::Relaxed);
    assert!(got == expected, "{what}: {} instead of {}", shown(&got), shown(&expected));
}

/// An error with these words in its text.
#[track_caller]
pub fn fails<T: Debug, E: ToString>(got: Result<T, E>, words: &str, what: &str) {
    match got {
        Ok(got) => panic!("{what}: {} instead of an error", shown(&got)),
        Err(error) => same(error.to_string().contains(words), true, &format!("{what}: {}", error.to_string())),
    }
}

const PATIENCE: Duration = Duration::from_secs(15);

/// A call that comes to give this in time.
pub fn eventually<T: PartialEq + Debug>(mut call: impl FnMut() -> T, expected: T, what: &str) {
    let begun = Instant::now();
    loop {
        let got = call();
        if got == expected || begun.elapsed() > PATIENCE {
            return same(got, expected, what);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The same for a call that is a future.
pub async fn eventually_async<T: PartialEq + Debug>(mut call: impl AsyncFnMut() -> T, expected: T, what: &str) {
    let begun = Instant::now();
    loop {
        let got = call().await;
        if got == expected || begun.elapsed() > PATIENCE {
            return same(got, expected, what);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Bytes of all kinds.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..=255).cycle().take(length).collect()
}

/// The value of a field of INFO.
pub fn field(info: &str, name: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

/// The version of a crate, as this program was built with it.
fn version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let package =
        lock.split("[[package]]").find(|package| package.lines().any(|line| line == format!("name = \"{name}\"")));
    let version = package.and_then(|package| package.lines().find_map(|line| line.strip_prefix("version = ")));
    version.expect("a crate that is a dependency").trim_matches('"')
}

pub fn done(client: &str) {
    let name = client.split('-').next().expect("a first word");
    let kind = if client.ends_with("tokio") { ", tokio" } else { "" };
    println!("{name} {}{kind}: {} checks hold", version(name), CHECKS.load(Ordering::Relaxed));
    for line in LEFT_OUT.lock().expect("one thread").iter() {
        println!("left out: {line}");
    }
}
