//! Sockets, timers and signals.

pub mod host;
