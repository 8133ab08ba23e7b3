//! Bytes to requests, replies to bytes: RESP2, RESP3 and inline commands.
//!
//! * [`args`]: a request as ranges over the bytes it arrived in.
//! * [`parser`]: the incremental parser; it never looks at a byte twice.
//! * [`reply`]: what a handler writes its answer to.
//! * [`error`]: the exact wire text of every error.

pub mod args;
pub mod error;
pub mod parser;
pub mod reply;

pub(crate) use args::APART_AT_ONCE;
pub use args::{Apart, Args, Batch, HEAD as ARG_HEAD, Span, Value};
pub use error::{CommandError, until_nul};
pub use parser::{Limits, Parser, ProtocolError};
pub use reply::{Protocol, Reply};
