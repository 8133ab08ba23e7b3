//! Signals: SIGTERM and SIGINT end the server in order; SIGHUP (a closed terminal) does nothing.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) struct Signals {
    term: Signal,
    int: Signal,
    /// Never looked at: being listened for, it does not kill the process.
    _hup: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            _hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to end; returns its name.
    pub(super) async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}
