//! Plays a transcript: sends what it says and compares what comes back.
//!
//! The player knows no socket. Whoever calls it hands in one function that carries out an [`Act`]: over TCP ([`over_tcp`])
//! with real time, or in process on an engine with virtual time.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crate::client::{Client, encode};
use crate::frame::{Frame, Protocol};
use crate::pattern;
use crate::quote::quoted;
use crate::server::Server;
use crate::transcript::{Step, Transcript, What};

/// How long a reply may take before the transcript fails.
const REPLY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a client that is expected to wait is watched for a reply that should not come.
const SILENCE: Duration = Duration::from_millis(40);

/// What the player asks of the side that reaches the server.
#[derive(Debug)]
pub enum Act<'a> {
    /// Send these bytes; a connection that is named for the first time is opened before. Answer: nothing.
    Send {
        /// `""` for the first connection.
        connection: &'a str,
        /// A whole request.
        bytes: &'a [u8],
    },
    /// Answer with bytes that have arrived and were not handed out before; wait at most this long for the first of them, and
    /// answer with none when nothing came. In process nothing more can come, and there is no need to wait.
    Receive {
        /// A connection that was opened by a `Send`.
        connection: &'a str,
        /// Real time that may pass.
        patience: Duration,
    },
    /// Let time pass: sleep, or move the virtual clock and run the jobs that it makes due. Answer: nothing.
    Advance(Duration),
}

/// What differs between one server and another while a transcript plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// Ours: every step.
    Evenkeel,
    /// A Redis of this version: steps that are ours alone are left out.
    Redis([u32; 3]),
}

/// Plays a transcript.
///
/// # Errors
/// `file:line: > REQUEST`, the difference, and both texts; or what `act` could not do.
pub fn play(
    transcript: &Transcript,
    against: Against,
    act: &mut dyn FnMut(Act<'_>) -> Result<Vec<u8>, String>,
) -> Result<(), String> {
    let mut player = Player { resp3: transcript.resp3, connections: HashMap::new(), numbers: HashMap::new(), act };
    for step in &transcript.steps {
        player.step(step, against).map_err(|what| format!("{}:{}: {what}", transcript.name, step.line))?;
    }
    for (name, connection) in &player.connections {
        if connection.waiting {
            return Err(format!("{}: the reply to @{name} is never looked at", transcript.name));
        }
    }
    Ok(())
}

/// Why a transcript is not played against this server, if it is not.
#[must_use]
pub fn skipped(transcript: &Transcript, against: Against) -> Option<String> {
    let Against::Redis(version) = against else {
        return None;
    };
    if transcript.only_evenkeel {
        return Some("ours alone".to_string());
    }
    let [major, minor, _] = transcript.redis_since.filter(|since| version < *since)?;
    Some(format!("needs Redis {major}.{minor}"))
}

/// Plays a file against a server that is started for it alone.
///
/// # Errors
/// The file cannot be read or parsed, the server does not start, or what [`play`] finds.
pub fn play_file(path: &Path, binary: &Path) -> Result<Option<String>, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let transcript = Transcript::parse(&name, &text)?;
    let against = Server::kind(binary)?;
    if let Some(why) = skipped(&transcript, against) {
        return Ok(Some(why));
    }
    let settings: Vec<&str> = transcript.settings.iter().map(String::as_str).collect();
    let server = Server::start(binary, &settings).map_err(|error| format!("{name}: {error}"))?;
    over_tcp(&transcript, against, server.port()).map(|()| None)
}

/// Plays a transcript against a server on 127.0.0.1, in real time.
///
/// # Errors
/// As [`play`].
pub fn over_tcp(transcript: &Transcript, against: Against, port: u16) -> Result<(), String> {
    let mut clients: HashMap<String, Client> = HashMap::new();
    let mut act = |act: Act<'_>| -> Result<Vec<u8>, String> {
        let failed = |error: std::io::Error| error.to_string();
        match act {
            Act::Send { connection, bytes } => {
                if !clients.contains_key(connection) {
                    clients.insert(connection.to_string(), Client::tcp(port).map_err(failed)?);
                }
                let client = clients.get_mut(connection).expect("it was inserted above");
                client.send_bytes(bytes).map_err(failed)?;
                Ok(Vec::new())
            }
            Act::Receive { connection, patience } => {
                clients.get_mut(connection).ok_or("an unknown connection")?.receive_some(patience).map_err(failed)
            }
            Act::Advance(by) => {
                std::thread::sleep(by);
                Ok(Vec::new())
            }
        }
    };
    play(transcript, against, &mut act)
}

#[derive(Default)]
struct Connection {
    protocol: Protocol,
    /// Bytes that arrived and are not looked at yet.
    arrived: Vec<u8>,
    /// A request was sent whose reply is still to come.
    waiting: bool,
}

struct Player<'a> {
    resp3: bool,
    connections: HashMap<String, Connection>,
    /// What CLIENT ID has answered, by the connection that asked.
    numbers: HashMap<String, i64>,
    act: &'a mut dyn FnMut(Act<'_>) -> Result<Vec<u8>, String>,
}

impl Player<'_> {
    fn step(&mut self, step: &Step, against: Against) -> Result<(), String> {
        match &step.what {
            What::Advance(by) => (self.act)(Act::Advance(*by)).map(drop),
            What::Arrival { connection, reply, unordered } => {
                let state = self.connections.get_mut(connection).ok_or("no such connection")?;
                state.waiting = false;
                let (frame, reply) = (self.next_frame(connection)?, self.numbered_lines(reply));
                pattern::compare(&reply, &frame.printed(), *unordered).map_err(|what| format!("@{connection}: {what}"))
            }
            What::Request { only_evenkeel: true, .. } if against != Against::Evenkeel => Ok(()),
            What::Request { connection, args, reply, unordered, .. } => {
                let request = args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" ");
                let args: Vec<Vec<u8>> = args.iter().map(|arg| self.numbered(arg)).collect();
                let reply = self.numbered_lines(reply);
                self.request(connection, &args, &reply, *unordered).map_err(|what| format!("> {request}: {what}"))
            }
        }
    }

    fn request(&mut self, connection: &str, args: &[Vec<u8>], reply: &[String], unordered: bool) -> Result<(), String> {
        if !self.connections.contains_key(connection) {
            self.connections.insert(connection.to_string(), Connection::default());
            if self.resp3 {
                let hello = self.ask(connection, &[b"HELLO".to_vec(), b"3".to_vec()])?;
                if hello.is_error() {
                    return Err(format!("HELLO 3 is refused: {}", hello.printed()));
                }
            }
        }
        if reply.is_empty() {
            self.send(connection, args)?;
            return self.expect_silence(connection);
        }
        let frame = self.ask(connection, args)?;
        if let Frame::Integer(number) = frame
            && args.len() == 2
            && args[1].eq_ignore_ascii_case(b"ID")
        {
            self.numbers.insert(connection.to_string(), number);
        }
        pattern::compare(reply, &frame.printed(), unordered)
    }

    /// Puts the number of each connection in the place of `<id:name>`.
    fn numbered(&self, text: &[u8]) -> Vec<u8> {
        let mut text = String::from_utf8(text.to_vec()).map_err(std::string::FromUtf8Error::into_bytes);
        if let Ok(text) = &mut text {
            for (name, number) in &self.numbers {
                *text = text.replace(&format!("<id:{name}>"), &number.to_string());
            }
        }
        text.map_or_else(|bytes| bytes, String::into_bytes)
    }

    fn numbered_lines(&self, lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8_lossy(&self.numbered(line.as_bytes())).into_owned()).collect()
    }

    /// Sends a request and follows the protocol that its reply switches to.
    fn ask(&mut self, connection: &str, args: &[Vec<u8>]) -> Result<Frame, String> {
        let is =
            |place: usize, word: &[u8]| args.get(place).is_some_and(|arg: &Vec<u8>| arg.eq_ignore_ascii_case(word));
        let switches_to = if is(0, b"HELLO") && is(1, b"3") {
            Some(Protocol::Resp3)
        } else if (is(0, b"HELLO") && is(1, b"2")) || is(0, b"RESET") {
            Some(Protocol::Resp2)
        } else {
            None
        };
        let before = self.connections[connection].protocol;
        self.send(connection, args)?;
        if let Some(protocol) = switches_to {
            self.state(connection).protocol = protocol;
        }
        let frame = self.next_frame(connection)?;
        if frame.is_error() {
            self.state(connection).protocol = before;
        }
        Ok(frame)
    }

    fn state(&mut self, connection: &str) -> &mut Connection {
        self.connections.get_mut(connection).expect("a connection is entered before its first request")
    }

    fn send(&mut self, connection: &str, args: &[Vec<u8>]) -> Result<(), String> {
        (self.act)(Act::Send { connection, bytes: &encode(args) }).map(drop)
    }

    fn expect_silence(&mut self, connection: &str) -> Result<(), String> {
        let bytes = (self.act)(Act::Receive { connection, patience: SILENCE })?;
        self.state(connection).waiting = true;
        if bytes.is_empty() { Ok(()) } else { Err(format!("no reply was expected yet, got {}", quoted(&bytes))) }
    }

    fn next_frame(&mut self, connection: &str) -> Result<Frame, String> {
        loop {
            let state = self.state(connection);
            if let Some((frame, len)) = Frame::decode(&state.arrived, state.protocol)? {
                state.arrived.drain(..len);
                return Ok(frame);
            }
            let bytes = (self.act)(Act::Receive { connection, patience: REPLY_PATIENCE })?;
            if bytes.is_empty() {
                return Err("no reply".to_string());
            }
            self.state(connection).arrived.extend_from_slice(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `text` against a server that answers each request with the next of `replies`.
    fn play_with(text: &str, replies: &[&str]) -> Result<(), String> {
        let transcript = Transcript::parse("t", text).unwrap();
        let mut replies = replies.iter();
        let mut pending: HashMap<String, Vec<u8>> = HashMap::new();
        play(&transcript, Against::Evenkeel, &mut |act| match act {
            Act::Send { connection, .. } => {
                let reply = replies.next().ok_or("more requests than replies")?;
                pending.entry(connection.to_string()).or_default().extend_from_slice(reply.as_bytes());
                Ok(Vec::new())
            }
            Act::Receive { connection, .. } => Ok(std::mem::take(pending.entry(connection.to_string()).or_default())),
            Act::Advance(_) => Ok(Vec::new()),
        })
    }

    #[test]
    fn a_reply_that_differs_is_reported_with_its_line() {
        assert_eq!(play_with("> PING\nPONG", &["+PONG\r\n"]), Ok(()));
        let error = play_with("# c\n> PING\nPONG", &["+PING\r\n"]).unwrap_err();
        assert!(error.starts_with("t:2: > \"PING\": line 1 differs"), "{error}");
    }

    #[test]
    fn a_missing_reply_fails() {
        assert!(play_with("> PING\nPONG", &[""]).unwrap_err().contains("no reply"));
    }

    #[test]
    fn a_reply_to_one_that_should_wait_fails() {
        assert!(play_with("> BLPOP l 0 @w\n", &["*-1\r\n"]).unwrap_err().contains("no reply was expected yet"));
    }

    #[test]
    fn a_waiting_reply_must_be_looked_at_in_the_end() {
        assert!(play_with("> BLPOP l 0 @w\n", &[""]).unwrap_err().contains("never looked at"));
    }

    #[test]
    fn hello_switches_the_decoder_unless_it_is_refused() {
        let switch = "> HELLO 3\n1# \"proto\" => (integer) 3\n> GET k\n(nil)\n> RESET\nRESET\n> GET k\n(nil)";
        assert_eq!(play_with(switch, &["%1\r\n$5\r\nproto\r\n:3\r\n", "_\r\n", "+RESET\r\n", "$-1\r\n"]), Ok(()));
        let refused = "> HELLO 3\n(error) NOAUTH no\n> GET k\n(nil)";
        assert_eq!(play_with(refused, &["-NOAUTH no\r\n", "$-1\r\n"]), Ok(()));
    }

    #[test]
    fn an_old_redis_is_not_asked_for_what_it_cannot_know() {
        let transcript = Transcript::parse("t", "# redis >= 7.4\n> PING\nPONG").unwrap();
        assert!(skipped(&transcript, Against::Redis([7, 0, 15])).is_some());
        assert!(skipped(&transcript, Against::Redis([7, 4, 0])).is_none());
        assert!(skipped(&transcript, Against::Evenkeel).is_none());
    }
}
