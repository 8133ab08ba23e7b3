//! From a parsed request to its reply.
//!
//! ```text
//!  Args -> lookup: which command? -> GATES: any reason to refuse? -> handler -> AFTER: what follows from it -> Reply
//! ```
//!
//! * `lookup`: the command of a name, in any case, through one small table of hashes.
//! * `gates`: the `GATES` table, the ordered reasons to refuse; one test of bits when there is none.
//! * `large`: notes commands whose request or reply was large.
//! * `lookahead`: keys of requests to come, brought to the cache meanwhile.
//! * `holding`: which keys a request needs, and whether it has to wait for them.
//! * `exec`: queues the requests of a transaction, and carries them out.
//! * `muted`: requests whose reply is not wanted.
//! * `news`: what others are told of a command.
//! * `parked`: runs requests again that waited for a key.
//! * `call`: a turn of a connection: its requests one after another, up to a budget, and what follows from each.
//!
//! How long a command took is known as precisely as is cheap. The clock is read at the ends of a run of commands that touch
//! keys only, and the run's time is shared among its commands by their number; a command that reaches further (INFO, CONFIG)
//! is timed by itself. So a sum over all commands is exact, and a single command's share in a mixed pipeline is a mean. While
//! `slowlog-log-slower-than` or `latency-monitor-threshold` asks for times under 1 ms, every command is timed by itself.

mod call;
mod exec;
mod gates;
mod holding;
mod large;
mod lookahead;
mod lookup;
mod muted;
mod news;
mod parked;

pub use call::{Executed, Pause, execute};
pub(crate) use lookup::takes_large;
pub use parked::serve_parked;

#[cfg(test)]
mod tests;
