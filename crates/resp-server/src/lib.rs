//! The Redis protocol and its commands on a [`chunkbuf`] store.
//!
//! ```text
//!  bytes in                                                             bytes out
//!     |                                                                     ^
//!  proto::Parser -> Args -> dispatch (lookup, gates) -> commands ------> proto::Reply
//!                                                          |
//!                                                       keyspace  -> chunkbuf::Store
//! ```
//!
//! The modules in the order in which they may use one another, lowest first (a test checks it):
//!
//! | module | what lives there |
//! |---|---|
//! | [`text`] | integers, doubles, patterns and quoting, as Redis reads and prints them |
//! | [`types`] | collections: how hashes, lists, sets and sorted sets lie in the store |
//! | [`proto`] | requests from bytes, replies to bytes, the wire text of every error |
//! | [`keyspace`] | databases of keys and values with a time to live, on the store |
//! | [`bits`] | the arithmetic of long strings: counting, finding and combining bits, bit fields, subsequences |
//! | [`engine`] | all that the server is besides its sockets: keyspace, clients, settings, statistics, jobs |
//! | [`commands`] | one row and one function a command, a file a family |
//! | [`dispatch`] | from a parsed request to its reply: look-up, gates, call, after-effects |
//! | [`server`] | sockets, timers, signals: the only module that does I/O or reads a clock |
//!
//! The engine is stepped: it opens no socket and reads no clock; time and randomness are handed in. So tests drive it with
//! virtual time, and the event loop decides how much it does in a turn.

pub mod bits;
pub mod commands;
pub mod dispatch;
pub mod engine;
pub mod keyspace;
pub mod proto;
pub mod server;
pub mod text;
pub mod types;
