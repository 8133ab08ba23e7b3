//! The incremental request parser: bytes as they arrive, split anywhere, to requests as spans over those bytes.
//!
//! ```text
//!  *3\r\n $3\r\n SET\r\n $1\r\n k\r\n $5\r\n hel | lo\r\n PING\r\n
//!  |      |      |                         |
//!  |      |      a bulk: its bytes are never looked at, only counted
//!  |      a line with the bulk's length
//!  a line with the number of arguments; any other first byte begins an inline command, one line
//! ```
//!
//! What it promises:
//!
//! 1. It looks at no byte twice, however the bytes are split: where it stopped is part of its state. (The digits of one length,
//!    at most 20 bytes, are the exception.)
//! 2. Nothing is allocated for a request; and nothing is ever reserved by a number that the client announced.
//! 3. Its time is linear in the bytes passed and it does not recurse: a request is one flat list.
//! 4. What it accepts and refuses is what Redis accepts and refuses, habits included. A line ends at the first CR, and the byte
//!    behind it is not looked at; so are the two bytes behind a bulk. An inline command ends at LF, and a CR before it is
//!    dropped. A NUL hides the rest of a line, as if its end had not come yet. A count of 0 or less and an empty
//!    line are requests of nothing and skipped.
//!
//! Cost: about 30 ns for a small SET in a batch of 16.

use std::borrow::Cow;

use memchr::memchr2;

use chunkbuf::{Blob, KEY_LEN_MAX};

use super::args::{Apart, Batch, Span};
use crate::text::{integer, split};
use crate::types::name::{GivenName, LongName};

/// What a line may be long while its end has not come, in bytes.
pub const LINE_LEN_MAX: usize = 64 * 1024;
/// Arguments of a request before the client has authenticated.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
/// Bytes of a bulk before the client has authenticated.
const UNAUTHENTICATED_BULK_LEN_MAX: u64 = 16 * 1024;
const _: () = assert!(UNAUTHENTICATED_BULK_LEN_MAX > 99, "lengths of two digits are not compared with it");

/// What a request may be at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`: bytes of one argument.
    pub bulk_len_max: u64,
    /// Arguments of one request; 2,147,483,647 in Redis.
    pub args_max: i64,
    /// Whether the client still has to authenticate: 10 arguments of 16 KiB at most.
    pub unauthenticated: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bulk_len_max: 512 * 1024 * 1024, args_max: i32::MAX.into(), unauthenticated: false }
    }
}

/// Bytes that are no request. The client is told [`text`](ProtocolError::text), and the connection closes: what follows cannot
/// be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The number of arguments is no number, or too large.
    MultibulkLength,
    /// The length of an argument is no number, negative, or over `proto-max-bulk-len`.
    BulkLength,
    /// An argument begins with this byte instead of `$`.
    ExpectedDollar(u8),
    /// An inline command does not end.
    InlineTooBig,
    /// The line with the number of arguments does not end.
    MultibulkCountTooBig,
    /// The line with the length of an argument does not end.
    BulkCountTooBig,
    /// The quotes of an inline command do not match.
    UnbalancedQuotes,
    /// More arguments than a client may send before it has authenticated.
    UnauthenticatedMultibulk,
    /// A longer argument than a client may send before it has authenticated.
    UnauthenticatedBulk,
}

impl ProtocolError {
    /// What goes on the wire, without the leading `-` and the line's end.
    pub fn text(self) -> Cow<'static, [u8]> {
        Cow::Borrowed(match self {
            ProtocolError::MultibulkLength => b"ERR Protocol error: invalid multibulk length",
            ProtocolError::BulkLength => b"ERR Protocol error: invalid bulk length",
            ProtocolError::ExpectedDollar(byte) => {
                let mut text = b"ERR Protocol error: expected '$', got '".to_vec();
                text.extend([byte, b'\'']);
                return Cow::Owned(text);
            }
            ProtocolError::InlineTooBig => b"ERR Protocol error: too big inline request",
            ProtocolError::MultibulkCountTooBig => b"ERR Protocol error: too big mbulk count string",
            ProtocolError::BulkCountTooBig => b"ERR Protocol error: too big bulk count string",
            ProtocolError::UnbalancedQuotes => b"ERR Protocol error: unbalanced quotes in request",
            ProtocolError::UnauthenticatedMultibulk => b"ERR Protocol error: unauthenticated multibulk length",
            ProtocolError::UnauthenticatedBulk => b"ERR Protocol error: unauthenticated bulk length",
        })
    }
}

/// Where one connection's request ends that has not arrived whole: the parser's memory from one read to the next.
///
/// All places are relative to the first byte of that request, which the caller keeps at the front of what it passes.
#[derive(Debug, Default)]
pub struct Parser {
    awaited: Awaited,
    /// Where what is awaited begins.
    at: usize,
    /// Bytes from `at` on in which the end of the awaited line is known not to be.
    searched: usize,
    /// The arguments that are complete, when a call ended within the request.
    args: Vec<Span>,
    /// Those of them that stand apart, if there are any.
    apart: Option<Box<StandsApart>>,
}

/// Arguments of an incomplete request that stand apart.
#[derive(Debug, Default)]
struct StandsApart {
    list: Vec<Apart>,
    /// Bytes of them that are here.
    bytes: u64,
    /// Bytes of the heap that the names among them take.
    names_bytes: usize,
}

/// An argument that is awaited and whose length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwaitedBulk<'a> {
    /// The arguments before it, the command's name among them.
    pub before: &'a [Span],
    /// Bytes of it.
    pub len: u64,
    /// Where it begins, from the start of the request.
    pub at: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Awaited {
    /// The first line of a request.
    #[default]
    FirstLine,
    /// The length of an argument, of which so many are to come.
    BulkLength { args: u32 },
    /// An argument of `len` bytes and its line's end, the first of so many that are to come.
    Bulk { args: u32, len: usize },
}

/// What came of looking for one request.
enum Found {
    /// Its arguments are in the batch; it ends here.
    Request { end: usize },
    /// A request of nothing ends here.
    Nothing { end: usize },
    /// Bytes are missing, or the request is to be the first of a batch.
    Later,
}

impl Parser {
    /// A parser at the start of a request.
    pub fn new() -> Parser {
        Parser::default()
    }

    /// Parses the complete requests at the front of `bytes`, at most `requests_max`, into `batch`, whose old contents are
    /// forgotten. Returns how many bytes they took.
    ///
    /// The caller executes the batch, drops those bytes, and passes the rest, at the front and with more bytes behind, in
    /// the next call. `batch` is empty when `bytes` holds no complete request. A batch may end before a complete request:
    /// an inline command with quotes comes first in its batch, as it is unescaped in place.
    ///
    /// # Errors
    ///
    /// The first request is malformed. Requests before a malformed one are returned first, so that they are answered, and
    /// may change what the limits are.
    ///
    /// # Panics
    ///
    /// When `bytes` is 4 GiB or longer.
    pub fn parse(
        &mut self,
        bytes: &mut [u8],
        batch: &mut Batch,
        requests_max: usize,
        limits: &Limits,
    ) -> Result<usize, ProtocolError> {
        assert!(u32::try_from(bytes.len()).is_ok(), "spans address less than 4 GiB");
        batch.clear();
        let mut taken = 0;
        if self.awaited != Awaited::FirstLine {
            // The request was begun in an earlier call, so its arguments are not in the batch.
            let mut args = std::mem::take(&mut self.args);
            match self.arguments_begun(bytes, &mut args, limits) {
                Ok(Found::Request { end }) => {
                    batch.adopt(args);
                    batch.set_apart(self.take_apart());
                    taken = end;
                }
                Ok(_) => {
                    self.args = args;
                    return Ok(0);
                }
                Err(error) => return Err(error),
            }
        }
        while batch.len() < requests_max {
            match self.request(bytes, taken, batch, limits) {
                Ok(Found::Request { end }) => {
                    batch.end_request();
                    taken = end;
                }
                Ok(Found::Nothing { end }) => taken = end,
                Ok(Found::Later) => break,
                Err(error) if batch.is_empty() => return Err(error),
                // It is found again at once when it is the first.
                Err(_) => break,
            }
        }
        if self.awaited != Awaited::FirstLine {
            let base = taken as u32;
            self.args.extend(batch.take_open().map(|span| Span { start: span.start - base, len: span.len }));
        }
        Ok(taken)
    }

    /// Bytes from the start of the request to the end of the argument that is awaited, if it is one whose length is known:
    /// so many must be in the buffer before another call is of use.
    pub fn needed(&self) -> Option<usize> {
        match self.awaited {
            Awaited::Bulk { len, .. } => Some(self.at.saturating_add(len).saturating_add(2)),
            Awaited::FirstLine | Awaited::BulkLength { .. } => None,
        }
    }

    /// The argument that is awaited, if its length is known and it is not the command's name.
    pub fn awaited_bulk(&self) -> Option<AwaitedBulk<'_>> {
        match self.awaited {
            Awaited::Bulk { len, .. } if !self.args.is_empty() => {
                Some(AwaitedBulk { before: &self.args, len: len as u64, at: self.at })
            }
            _ => None,
        }
    }

    /// Bytes of arguments of the request that is awaited that stand apart and are here.
    pub fn apart_bytes(&self) -> u64 {
        self.apart.as_ref().map_or(0, |apart| apart.bytes)
    }

    /// Bytes of the heap that names of the request that is awaited take.
    pub fn names_held_bytes(&self) -> usize {
        self.apart.as_ref().map_or(0, |apart| apart.names_bytes)
    }

    /// What stands apart of the request that is awaited, which is given up.
    pub fn take_apart(&mut self) -> Vec<Apart> {
        self.apart.take().map_or_else(Vec::new, |apart| apart.list)
    }

    /// Takes the argument that is awaited as one that stands apart: the caller has received it beside the request's bytes, which go
    /// on, where it would begin, with the end of its line. `None`: there was no memory for it.
    ///
    /// # Panics
    /// When no argument is awaited.
    pub fn put_apart(&mut self, value: Option<Blob>) {
        self.apart.get_or_insert_default().bytes += value.as_ref().map_or(0, Blob::len);
        self.go_on_behind(|index, len| Apart::new(index, len, value));
    }

    /// [`put_apart`](Parser::put_apart) for the name of an element.
    ///
    /// # Panics
    /// When no argument is awaited.
    pub fn put_name_apart(&mut self, name: LongName) {
        let bytes = if name.is_whole() { GivenName::from(&name).len() } else { KEY_LEN_MAX };
        let apart = self.apart.get_or_insert_default();
        apart.bytes += bytes as u64;
        apart.names_bytes += KEY_LEN_MAX;
        self.go_on_behind(|index, _| Apart::of_name(index, name));
    }

    fn go_on_behind(&mut self, apart: impl FnOnce(usize, u64) -> Apart) {
        let Awaited::Bulk { args, len } = self.awaited else {
            panic!("an argument is awaited");
        };
        self.apart.get_or_insert_default().list.push(apart(self.args.len(), len as u64));
        // Among the bytes it is empty; the end of its line is still to come.
        self.awaited = Awaited::Bulk { args, len: 0 };
    }

    /// Looks for the request that begins at `start`.
    #[inline]
    fn request(
        &mut self,
        bytes: &mut [u8],
        start: usize,
        batch: &mut Batch,
        limits: &Limits,
    ) -> Result<Found, ProtocolError> {
        let (count, next) = match short_line(bytes, start, b'*') {
            Some((count, next)) => (count as i64, next),
            None => match bytes.get(start) {
                None => return Ok(Found::Later),
                Some(b'*') => match self.count_in_full(bytes, start)? {
                    Some(count) => count,
                    None => return Ok(Found::Later),
                },
                Some(_) => return self.inline(bytes, start, batch),
            },
        };
        if count > limits.args_max.min(u32::MAX.into()) {
            return Err(ProtocolError::MultibulkLength);
        }
        if limits.unauthenticated && count > UNAUTHENTICATED_ARGS_MAX {
            return Err(ProtocolError::UnauthenticatedMultibulk);
        }
        self.searched = 0;
        if count <= 0 {
            return Ok(Found::Nothing { end: next });
        }
        self.arguments(bytes, start, next, count as u32, None, batch.spans_mut(), limits)
    }

    /// Goes on with the arguments of the request that begins at `start`, of which `args` are to come, the first of them at `at`: its
    /// length, unless that is known, and it. Appends those that are complete to `spans`.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)] // what the parser keeps of a request only when it stays incomplete
    fn arguments(
        &mut self,
        bytes: &[u8],
        start: usize,
        mut at: usize,
        mut args: u32,
        mut known_len: Option<usize>,
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Found, ProtocolError> {
        loop {
            let len = match known_len.take() {
                Some(len) => len,
                None => match self.bulk_length(bytes, at, limits) {
                    Ok(Some((len, next))) => {
                        at = next;
                        len
                    }
                    other => {
                        self.at = at - start;
                        self.awaited = Awaited::BulkLength { args };
                        return other.map(|_| Found::Later);
                    }
                },
            };
            if bytes.len() - at < len.saturating_add(2) {
                self.at = at - start;
                self.awaited = Awaited::Bulk { args, len };
                return Ok(Found::Later);
            }
            spans.push(Span { start: at as u32, len: len as u32 });
            at += len + 2;
            args -= 1;
            if args == 0 {
                return Ok(Found::Request { end: at });
            }
        }
    }

    /// [`arguments`](Parser::arguments) of the request that was begun in an earlier call.
    #[cold]
    fn arguments_begun(
        &mut self,
        bytes: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Found, ProtocolError> {
        let (args, known_len) = match self.awaited {
            Awaited::BulkLength { args } => (args, None),
            Awaited::Bulk { args, len } => (args, Some(len)),
            Awaited::FirstLine => unreachable!("the first line has been read"),
        };
        let found = self.arguments(bytes, 0, self.at, args, known_len, spans, limits)?;
        if matches!(found, Found::Request { .. }) {
            self.at = 0;
            self.awaited = Awaited::FirstLine;
        }
        Ok(found)
    }

    /// The number of arguments of the request that begins at `start`, from any first line, and where its first argument begins;
    /// `None`: the line is not whole.
    #[inline(never)]
    fn count_in_full(&mut self, bytes: &[u8], start: usize) -> Result<Option<(i64, usize)>, ProtocolError> {
        if self.searched == 0
            && let Some((count, next)) = positive_number(bytes, start + 1)
        {
            return Ok(Some((count as i64, next)));
        }
        let Some(end) = self.line_end(bytes, start, ProtocolError::MultibulkCountTooBig)? else {
            return Ok(None);
        };
        let count = integer::parse_i64(&bytes[start + 1..end]).ok_or(ProtocolError::MultibulkLength)?;
        Ok(Some((count, end + 2)))
    }

    /// The length of the argument whose first line begins at `at`, and where its bytes begin; `None`: the line is not whole.
    #[inline(always)]
    fn bulk_length(
        &mut self,
        bytes: &[u8],
        at: usize,
        limits: &Limits,
    ) -> Result<Option<(usize, usize)>, ProtocolError> {
        match short_line(bytes, at, b'$') {
            Some((len, next)) if len as u64 <= limits.bulk_len_max => {
                self.searched = 0;
                Ok(Some((len, next)))
            }
            _ => self.bulk_length_in_full(bytes, at, limits),
        }
    }

    /// [`bulk_length`](Parser::bulk_length) of any line.
    #[inline(never)]
    fn bulk_length_in_full(
        &mut self,
        bytes: &[u8],
        at: usize,
        limits: &Limits,
    ) -> Result<Option<(usize, usize)>, ProtocolError> {
        let Some(&lead) = bytes.get(at) else { return Ok(None) };
        let (len, next) = match positive_number(bytes, at + 1) {
            Some(number) if lead == b'$' && self.searched == 0 => number,
            _ => {
                let Some(end) = self.line_end(bytes, at, ProtocolError::BulkCountTooBig)? else {
                    return Ok(None);
                };
                if lead != b'$' {
                    return Err(ProtocolError::ExpectedDollar(lead));
                }
                let len = integer::parse_i64(&bytes[at + 1..end]).and_then(|len| u64::try_from(len).ok());
                (len.ok_or(ProtocolError::BulkLength)?, end + 2)
            }
        };
        check_bulk_length(len, limits)?;
        self.searched = 0;
        Ok(Some((len as usize, next)))
    }

    /// Where the CR is that ends the line from `at` on, once the byte behind it is there as well.
    fn line_end(&mut self, bytes: &[u8], at: usize, too_big: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        if let Some(end) = self.search(bytes, at, b'\r') {
            return Ok((end + 1 < bytes.len()).then_some(end));
        }
        if bytes.len() - at > LINE_LEN_MAX {
            return Err(too_big);
        }
        Ok(None)
    }

    /// Looks for `wanted` from `at` on, where it was not looked for yet; a NUL before it hides it.
    fn search(&mut self, bytes: &[u8], at: usize, wanted: u8) -> Option<usize> {
        let from = at + self.searched;
        let found = memchr2(wanted, 0, &bytes[from..]).map(|distance| from + distance);
        self.searched = found.unwrap_or(bytes.len()) - at;
        found.filter(|&place| bytes[place] == wanted)
    }

    /// Looks for the end of the inline command that begins at `start`, and splits it into words in place.
    fn inline(&mut self, bytes: &mut [u8], start: usize, batch: &mut Batch) -> Result<Found, ProtocolError> {
        let Some(newline) = self.search(bytes, start, b'\n') else {
            if bytes.len() - start > LINE_LEN_MAX {
                return Err(ProtocolError::InlineTooBig);
            }
            return Ok(Found::Later);
        };
        let line = &mut bytes[start..newline];
        let line_len = line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len);
        let line = &mut line[..line_len];
        if !batch.is_empty() && memchr2(b'"', b'\'', line).is_some() {
            // Unescaping changes the bytes. If it fails, the line must not be looked at again, so it is tried only where
            // its error is returned at once.
            return Ok(Found::Later);
        }
        let mut words = std::mem::take(&mut batch.words);
        words.clear();
        let split = split::split_in_place(line, &mut words);
        for &(at, len) in &words {
            batch.push_arg(Span { start: start as u32 + at, len });
        }
        let empty = words.is_empty();
        batch.words = words;
        split.map_err(|split::Unbalanced| ProtocolError::UnbalancedQuotes)?;
        self.searched = 0;
        let end = newline + 1;
        Ok(if empty { Found::Nothing { end } } else { Found::Request { end } })
    }
}

fn check_bulk_length(len: u64, limits: &Limits) -> Result<(), ProtocolError> {
    if len > limits.bulk_len_max {
        return Err(ProtocolError::BulkLength);
    }
    if limits.unauthenticated && len > UNAUTHENTICATED_BULK_LEN_MAX {
        return Err(ProtocolError::UnauthenticatedBulk);
    }
    Ok(())
}

/// The line behind `lead` that begins at `at`, if it is one of one digit or two, as nearly all are, and a byte more is there: its
/// number, and where what follows it begins. No such length is too long for a client that has not authenticated.
#[inline(always)]
fn short_line(bytes: &[u8], at: usize, lead: u8) -> Option<(usize, usize)> {
    match *bytes.get(at..)?.first_chunk::<5>()? {
        [first, digit @ b'1'..=b'9', b'\r', ..] if first == lead => Some((usize::from(digit - b'0'), at + 4)),
        [first, tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _] if first == lead => {
            Some((usize::from(tens - b'0') * 10 + usize::from(ones - b'0'), at + 5))
        }
        _ => None,
    }
}

/// The number of at most 18 digits, not beginning with 0, at `at`, if a whole line's end follows: and where the next line begins.
/// All else (0, negative, incomplete, malformed) is `None`.
fn positive_number(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut digits = bytes.get(at..)?.iter();
    let first = digits.next()?.wrapping_sub(b'1');
    if first > 8 {
        return None;
    }
    let mut number = u64::from(first) + 1;
    for (place, &byte) in digits.enumerate().take(18) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let next = at + place + 3;
            return (byte == b'\r' && next <= bytes.len()).then_some((number, next));
        }
        number = number * 10 + u64::from(digit);
    }
    None
}

#[cfg(test)]
mod tests;
