//! Sockets, timers and signals.
