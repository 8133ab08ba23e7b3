//! The incremental request parser. (Being written; signatures first.)
#![allow(missing_docs, clippy::todo, unused_variables)]

use super::args::Batch;

/// What a request may be at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`.
    pub bulk_len_max: u64,
    /// Arguments of one request: 1,048,576 as in Redis (INT_MAX since 7.0: check), 10 before authentication.
    pub args_max: i64,
    /// Whether the client still has to authenticate: 10 arguments of 16 KiB at most.
    pub unauthenticated: bool,
}

/// A protocol error; the reply is `-ERR Protocol error: <text>` and the connection closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError(pub String);

#[derive(Debug, Default)]
pub struct Parser {}

impl Parser {
    /// Parses complete requests at the front of `bytes` into `batch`, at most `requests_max`. Returns how many bytes those
    /// requests took; the caller keeps the rest and passes it again, at the front, with more bytes behind: the parser
    /// goes on where it stopped. Inline arguments with quotes are unescaped in place.
    pub fn parse(
        &mut self,
        bytes: &mut [u8],
        batch: &mut Batch,
        requests_max: usize,
        limits: &Limits,
    ) -> Result<usize, ProtocolError> {
        todo!()
    }
}
