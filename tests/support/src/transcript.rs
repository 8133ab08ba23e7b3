//! The text format of transcripts: what a client types into redis-cli and what it sees.
//!
//! ```text
//! # A list that becomes empty is removed.         a comment: the claims that follow
//! > RPUSH l a b                                   a request, quoted as for redis-cli
//! (integer) 2                                     its reply, as redis-cli prints it
//! > BLPOP m 5          @waiter                    another connection; no reply below: it waits
//! > RPUSH m x
//! (integer) 1
//! @waiter                                         now the reply that @waiter was waiting for
//! 1) "m"
//! 2) "x"
//! @advance 1500ms                                 lets time pass (`ms` or `s`)
//! ```
//!
//! Options stand in comment lines. In the head, before the first request: `# redis >= 7.4` (an older Redis is not asked),
//! `# resp3` (connections begin with `HELLO 3`), `# settings --maxmemory 1mb` (the server is started with them), `# only
//! evenkeel: why` (Redis is not asked). Directly above a request: `# unordered` (elements come in any order) and `# only
//! evenkeel: why` for this request alone.
//!
//! `<id:name>` stands for the number of a connection that has asked for it with CLIENT ID.
//!
//! Bulk strings are always in quotes, also those that redis-cli shows raw (INFO, CLIENT LIST): `"# Server\r\n<any>"`.
//!
//! An empty line ends a reply. A reply whose own line begins with `#`, `>` or `@`, or is empty, is left to `...` (see
//! [`crate::pattern`]).

use std::time::Duration;

use crate::quote;

/// A parsed transcript.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The file's name, for messages.
    pub name: String,
    /// The oldest Redis that behaves like this, `[major, minor, patch]`.
    pub redis_since: Option<[u32; 3]>,
    /// Whether connections begin with `HELLO 3`.
    pub resp3: bool,
    /// Arguments that the server is started with.
    pub settings: Vec<String>,
    /// Whether this is ours alone and Redis is not asked.
    pub only_evenkeel: bool,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens, and the line that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number of its line in the file, from 1.
    pub line: usize,
    /// What happens.
    pub what: What,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A request is sent, and unless `reply` is empty its reply is awaited.
    Request {
        /// The connection, `""` for the first.
        connection: String,
        /// The request's arguments, its name first.
        args: Vec<Vec<u8>>,
        /// The reply's lines; none when the client is expected to wait.
        reply: Vec<String>,
        /// Whether elements may come in any order.
        unordered: bool,
        /// Whether a Redis server is spared this request.
        only_evenkeel: bool,
    },
    /// A reply arrives on a connection that was waiting, or a push message.
    Arrival {
        /// The connection.
        connection: String,
        /// The reply's lines.
        reply: Vec<String>,
        /// Whether elements may come in any order.
        unordered: bool,
    },
    /// Time passes.
    Advance(Duration),
}

impl Transcript {
    /// Parses a transcript; `name` is for messages.
    ///
    /// # Errors
    /// `name:line: what is wrong there`.
    pub fn parse(name: &str, text: &str) -> Result<Transcript, String> {
        let mut transcript = Transcript { name: name.to_string(), ..Transcript::default() };
        let mut next = NextStep::default();
        // Whether a line that stands for itself belongs to the last step's reply.
        let mut in_reply = false;
        for (line, text) in (1..).zip(text.lines()) {
            let wrong = |what: &str| format!("{name}:{line}: {what}");
            let text = text.trim_end();
            if let Some(comment) = text.strip_prefix('#') {
                transcript.comment(comment.trim(), &mut next).map_err(|what| wrong(&what))?;
                in_reply = false;
            } else if let Some(request) = text.strip_prefix("> ") {
                let what = next.request(request).map_err(|what| wrong(&what))?;
                transcript.steps.push(Step { line, what });
                in_reply = true;
            } else if let Some(word) = text.strip_prefix('@') {
                let what = next.at(word).map_err(|what| wrong(&what))?;
                in_reply = matches!(what, What::Arrival { .. });
                transcript.steps.push(Step { line, what });
            } else if text.is_empty() {
                in_reply = false;
            } else {
                match transcript.steps.last_mut() {
                    Some(Step { what: What::Request { reply, .. } | What::Arrival { reply, .. }, .. }) if in_reply => {
                        reply.push(text.to_string());
                    }
                    _ => return Err(wrong("a reply without a request directly above")),
                }
            }
        }
        match transcript.steps.iter().find(|step| matches!(&step.what, What::Arrival { reply, .. } if reply.is_empty()))
        {
            Some(step) => Err(format!("{name}:{}: the reply that arrives is missing", step.line)),
            None => Ok(transcript),
        }
    }

    fn comment(&mut self, comment: &str, next: &mut NextStep) -> Result<(), String> {
        let in_head = self.steps.is_empty();
        if comment == "unordered" {
            next.unordered = true;
        } else if comment == "resp3" && in_head {
            self.resp3 = true;
        } else if let Some(version) = comment.strip_prefix("redis >= ").filter(|_| in_head) {
            self.redis_since = Some(version_numbers(version).ok_or("not a version")?);
        } else if let Some(settings) = comment.strip_prefix("settings ").filter(|_| in_head) {
            let words = quote::split(settings)?;
            self.settings = words.into_iter().map(|word| String::from_utf8_lossy(&word.bytes).into_owned()).collect();
        } else if let Some(why) = comment.strip_prefix("only evenkeel") {
            if why.strip_prefix(':').is_none_or(|why| why.trim().is_empty()) {
                return Err("say why: `# only evenkeel: <reason>`".to_string());
            }
            if in_head {
                self.only_evenkeel = true;
            } else {
                next.only_evenkeel = true;
            }
        }
        Ok(())
    }
}

/// The options that stand above the next step.
#[derive(Default)]
struct NextStep {
    unordered: bool,
    only_evenkeel: bool,
}

impl NextStep {
    fn request(&mut self, line: &str) -> Result<What, String> {
        let NextStep { unordered, only_evenkeel } = std::mem::take(self);
        let mut words = quote::split(line)?;
        let is_name = |word: &quote::Word| !word.quoted && word.bytes.len() > 1 && word.bytes[0] == b'@';
        let connection = words.pop_if(|word| is_name(word)).map_or(Vec::new(), |word| word.bytes[1..].to_vec());
        if words.is_empty() {
            return Err("an empty request".to_string());
        }
        Ok(What::Request {
            connection: String::from_utf8_lossy(&connection).into_owned(),
            args: words.into_iter().map(|word| word.bytes).collect(),
            reply: Vec::new(),
            unordered,
            only_evenkeel,
        })
    }

    fn at(&mut self, word: &str) -> Result<What, String> {
        let NextStep { unordered, .. } = std::mem::take(self);
        if let Some(time) = word.strip_prefix("advance ") {
            return duration(time.trim())
                .map(What::Advance)
                .ok_or_else(|| "not a time, such as 150ms or 2s".to_string());
        }
        if word.is_empty() || word.contains(char::is_whitespace) {
            return Err("neither `@name` nor `@advance <time>`".to_string());
        }
        Ok(What::Arrival { connection: word.to_string(), reply: Vec::new(), unordered })
    }
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(number) = text.strip_suffix("ms") {
        return number.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

/// `7.0.15` or `7.4` as three numbers.
#[must_use]
pub fn version_numbers(text: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    for (place, part) in text.trim().split('.').enumerate() {
        *numbers.get_mut(place)? = part.parse().ok()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Transcript, String> {
        Transcript::parse("t", text)
    }

    #[test]
    fn a_request_and_its_reply_belong_together() {
        let transcript = parse("# claim\n> SET k \"a b\"\nOK\n\n> GET k   @two\n\"a b\"\n").unwrap();
        assert_eq!(transcript.steps.len(), 2);
        assert_eq!(transcript.steps[1].line, 5);
        let What::Request { connection, args, reply, .. } = &transcript.steps[1].what else { panic!() };
        assert_eq!((connection.as_str(), args.len(), reply.as_slice()), ("two", 2, ["\"a b\"".to_string()].as_slice()));
    }

    #[test]
    fn a_quoted_at_sign_is_an_argument() {
        let transcript = parse("> ECHO \"@x\"\n\"@x\"").unwrap();
        let What::Request { connection, args, .. } = &transcript.steps[0].what else { panic!() };
        assert_eq!((connection.as_str(), args.len()), ("", 2));
    }

    #[test]
    fn options_of_the_head_hold_for_the_file_and_those_above_a_request_for_it() {
        let transcript = parse(
            "# redis >= 7.4\n# resp3\n# settings --maxmemory 1mb\n\n# unordered\n> KEYS *\n1) \"a\"\n> PING\nPONG",
        )
        .unwrap();
        assert_eq!(transcript.redis_since, Some([7, 4, 0]));
        assert!(transcript.resp3);
        assert_eq!(transcript.settings, ["--maxmemory", "1mb"]);
        let unordered: Vec<bool> =
            transcript.steps.iter().map(|step| matches!(step.what, What::Request { unordered: true, .. })).collect();
        assert_eq!(unordered, [true, false]);
    }

    #[test]
    fn a_deviation_from_redis_gives_its_reason() {
        assert!(parse("# only evenkeel\n> PING\nPONG").is_err());
        assert!(parse("# only evenkeel: keys are shorter\n> PING\nPONG").unwrap().only_evenkeel);
        let transcript = parse("> PING\nPONG\n# only evenkeel: why\n> PING\nPONG").unwrap();
        assert!(!transcript.only_evenkeel);
        assert!(matches!(transcript.steps[1].what, What::Request { only_evenkeel: true, .. }));
    }

    #[test]
    fn time_passes_in_milliseconds_or_seconds() {
        let transcript = parse("@advance 1500ms\n@advance 2s").unwrap();
        assert_eq!(transcript.steps[0].what, What::Advance(Duration::from_millis(1500)));
        assert_eq!(transcript.steps[1].what, What::Advance(Duration::from_secs(2)));
        assert!(parse("@advance soon").is_err());
    }

    #[test]
    fn what_is_malformed_is_named_with_its_line() {
        assert_eq!(parse("OK").unwrap_err(), "t:1: a reply without a request directly above");
        assert_eq!(parse("\n> ").unwrap_err(), "t:2: a reply without a request directly above");
        assert!(parse("> GET \"k").unwrap_err().starts_with("t:1: "));
        assert_eq!(parse("> PING\n\nPONG").unwrap_err(), "t:3: a reply without a request directly above");
        assert_eq!(parse("@waiter\n").unwrap_err(), "t:1: the reply that arrives is missing");
    }
}
