//! The slow log: commands that took longer than `slowlog-log-slower-than`, the latest first. The logs of commands whose request or reply
//! was large are of the same kind, with bytes in place of microseconds.
//!
//! Bounded: at most `slowlog-max-len` entries, each of at most [`ARGS_MAX`] arguments and the client's name, of at most
//! [`ARG_BYTES_MAX`] bytes and a remark about the rest. Passwords are not kept. Which commands are timed one by one, and which in
//! runs, is dispatch's (see [`crate::dispatch`]).

use std::collections::VecDeque;

use crate::proto::{ARG_HEAD, Args};

/// Arguments of a command that are kept; of a longer one, the last of these says how many more there were.
pub const ARGS_MAX: usize = 32;
/// Bytes of an argument that are kept; behind them stands how many more there were.
pub const ARG_BYTES_MAX: usize = 128;
const _: () = assert!(ARG_BYTES_MAX <= ARG_HEAD, "so much is remembered of a large argument");
/// What stands for a password.
pub(super) const HIDDEN: &[u8] = b"(redacted)";

/// A slow command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 0; never used twice, also after a reset.
    pub id: u64,
    /// When it ran, in seconds since the Unix epoch.
    pub unix_seconds: i64,
    /// How long it took, in microseconds; or the bytes of what was large.
    pub us: u64,
    /// Its arguments, its name first, shortened.
    pub args: Vec<Vec<u8>>,
    /// The address of the client.
    pub addr: String,
    /// The name of the client, shortened.
    pub name: Vec<u8>,
}

/// The log.
#[derive(Debug, Default)]
pub struct SlowLog {
    /// Latest first.
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl SlowLog {
    /// Adds an entry, and drops the oldest beyond `len_max`.
    pub fn add(&mut self, entry: Entry, len_max: usize) {
        self.entries.push_front(Entry { id: self.next_id, ..entry });
        self.next_id += 1;
        self.entries.truncate(len_max);
    }

    /// The entries, latest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all entries.
    pub fn reset(&mut self) {
        self.entries.clear();
    }
}

/// The arguments of a request as the log keeps them: shortened, and without passwords.
pub fn shortened(args: &Args<'_>) -> Vec<Vec<u8>> {
    let kept = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let mut short = Vec::with_capacity(ARGS_MAX.min(args.len()));
    for at in 0..kept {
        if is_secret(args, at) {
            short.push(HIDDEN.to_vec());
            continue;
        }
        short.push(cut(args.beginning(at, ARG_BYTES_MAX), args.len_of(at)));
    }
    if kept < args.len() {
        short.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    short
}

/// The name of a client as the log keeps it.
pub fn shortened_name(name: &[u8]) -> Vec<u8> {
    cut(&name[..name.len().min(ARG_BYTES_MAX)], name.len() as u64)
}

/// The beginning of what has `len` bytes, and behind it how many more there are.
fn cut(beginning: &[u8], len: u64) -> Vec<u8> {
    let mut text = beginning.to_vec();
    let more = len - beginning.len() as u64;
    if more > 0 {
        text.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
    }
    text
}

/// Whether an argument is a password, or a name that goes with one: all of AUTH, those behind HELLO's AUTH, and the value of
/// CONFIG SET requirepass.
pub(super) fn is_secret(args: &Args<'_>, at: usize) -> bool {
    if args.is(0, "auth") {
        return at > 0;
    }
    if args.is(0, "hello") {
        let auth = (2..args.len()).find(|&at| args.is(at, "auth"));
        return auth.is_some_and(|auth| at == auth + 1 || at == auth + 2);
    }
    args.is(0, "config") && args.is(1, "set") && at >= 3 && at % 2 == 1 && args.is(at - 1, "requirepass")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Span;

    fn short(words: &[&str]) -> Vec<String> {
        let bytes = words.concat();
        let mut start = 0;
        let spans: Vec<Span> = words
            .iter()
            .map(|word| {
                let span = Span { start, len: word.len() as u32 };
                start += span.len;
                span
            })
            .collect();
        let short = shortened(&Args::new(bytes.as_bytes(), &spans));
        short.into_iter().map(|arg| String::from_utf8(arg).unwrap()).collect()
    }

    fn entry(us: u64) -> Entry {
        Entry { id: 0, unix_seconds: 1, us, args: Vec::new(), addr: String::new(), name: Vec::new() }
    }

    #[test]
    fn a_long_argument_is_cut_with_a_remark() {
        let longest = "a".repeat(ARG_BYTES_MAX);
        assert_eq!(short(&["set", "k", &longest])[2], longest);
        let (long, cut) = (format!("{longest}bc"), format!("{longest}... (2 more bytes)"));
        assert_eq!(short(&["set", "k", &long])[2], cut);
        assert_eq!(shortened_name(long.as_bytes()), cut.as_bytes());
        assert_eq!(shortened_name(longest.as_bytes()), longest.as_bytes());
    }

    #[test]
    fn of_many_arguments_the_last_that_is_kept_counts_the_rest() {
        let words = |count: usize| vec!["x"; count];
        assert_eq!(short(&words(ARGS_MAX)), words(ARGS_MAX));
        let cut = short(&words(ARGS_MAX + 1));
        assert_eq!(cut.len(), ARGS_MAX);
        assert_eq!(cut[ARGS_MAX - 2..], ["x", "... (2 more arguments)"]);
    }

    #[test]
    fn passwords_are_not_kept() {
        let hidden = "(redacted)";
        assert_eq!(short(&["AUTH", "me", "pw"]), ["AUTH", hidden, hidden]);
        let hello = short(&["hello", "3", "auth", "me", "pw", "setname", "x"]);
        assert_eq!(hello, ["hello", "3", "auth", hidden, hidden, "setname", "x"]);
        let config = short(&["config", "set", "timeout", "0", "requirepass", "pw", "port", "requirepass"]);
        assert_eq!(config, ["config", "set", "timeout", "0", "requirepass", hidden, "port", "requirepass"]);
        assert_eq!(short(&["config", "get", "requirepass"])[2], "requirepass");
    }

    #[test]
    fn the_latest_are_kept_and_numbers_go_on() {
        let mut log = SlowLog::default();
        (0..5).for_each(|us| log.add(entry(us), 3));
        let kept: Vec<_> = log.entries().map(|entry| (entry.id, entry.us)).collect();
        assert_eq!(kept, [(4, 4), (3, 3), (2, 2)]);
        log.reset();
        log.add(entry(9), 3);
        assert_eq!(log.entries().next().unwrap().id, 5);
        log.add(entry(9), 0);
        assert_eq!(log.entries().len(), 0);
    }
}
