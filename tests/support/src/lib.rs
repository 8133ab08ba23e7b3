//! What the tests share: transcripts, the player that holds a server to them, and the means to reach a server.
//!
//! ```text
//!  tests/transcripts/*.txt --> Transcript --> play() --> Act --> a server over TCP, or an engine in process
//!                                               ^                          |
//!                                               +---- Frame <--- bytes <---+
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | [`quote`] | words on a request line, and bytes as redis-cli quotes them |
//! | [`frame`] | replies: decoded by `redis-protocol`, printed as redis-cli prints them |
//! | [`pattern`] | comparing printed replies, with wildcards and with order left open |
//! | [`transcript`] | the text format of transcripts |
//! | [`mod@play`] | sends what a transcript says and compares what comes back |
//! | [`client`] | a blocking client over TCP or a unix socket |
//! | [`server`] | server processes, ours or Redis's, on free ports of 127.0.0.1 |
//!
//! Nothing here shares code with the server: an oracle that is wrong in the same way proves nothing.

pub mod client;
pub mod frame;
pub mod pattern;
pub mod play;
pub mod quote;
pub mod server;
pub mod transcript;

pub use client::Client;
pub use frame::{Frame, Protocol};
pub use play::{Act, play};
pub use server::{Launch, Server};
pub use transcript::Transcript;
