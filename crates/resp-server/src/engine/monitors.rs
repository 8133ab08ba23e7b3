//! Clients that see all commands: MONITOR.
//!
//! A line is written once and shared by all monitors. What it shows is bounded, as a request is not: an argument that was received
//! on pages of its own, and what is beyond [`LINE_BYTES_MAX`], is told by its length.

use super::outbox::Frame;
use super::slowlog::{HIDDEN, is_secret};
use super::{ClientId, Engine};
use crate::proto::{ARG_HEAD, Args};
use crate::text::quote;

/// Bytes of a line after which no argument is shown any more, and of one argument.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Clients that see all commands, in the order in which they began.
#[derive(Debug, Default)]
pub struct Monitors(Vec<ClientId>);

impl Monitors {
    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Engine {
    /// Makes a client a monitor; whether it was none.
    pub(crate) fn begin_monitoring(&mut self, client: ClientId) -> bool {
        let was = std::mem::replace(&mut self.client_mut(client).push_mut().is_monitor, true);
        if !was {
            self.monitors.0.push(client);
        }
        !was
    }

    /// The client is no monitor any more.
    pub(crate) fn leave_monitors(&mut self, client: ClientId) {
        if let Some(push) = self.client_mut(client).push.as_deref_mut()
            && std::mem::take(&mut push.is_monitor)
        {
            self.monitors.0.retain(|&other| other != client);
        }
    }

    /// Shows a client's request to all monitors.
    pub(crate) fn feed_monitors(&mut self, client: ClientId, args: &Args<'_>) {
        let line = self.monitor_line(client, args);
        self.send_to_each(self.monitors.0.clone(), Frame::raw(line));
    }

    fn monitor_line(&self, client: ClientId, args: &Args<'_>) -> Vec<u8> {
        let (now_us, client) = (self.now.unix_us, self.client(client));
        let (seconds, us) = (now_us.div_euclid(1_000_000), now_us.rem_euclid(1_000_000));
        let from =
            if client.peer.unix { format!("unix:{}", self.settings.unixsocket) } else { client.peer.addr.clone() };
        let mut line = format!("+{seconds}.{us:06} [{} {from}]", client.db).into_bytes();
        for at in 0..args.len() {
            line.push(b' ');
            if line.len() > LINE_BYTES_MAX {
                line.extend_from_slice(format!("... ({} more arguments)", args.len() - at).as_bytes());
                break;
            }
            if is_secret(args, at) {
                quote::quote(HIDDEN, &mut line);
                continue;
            }
            let len = args.len_of(at);
            // Of one that stands apart, and may have been taken, the beginning is known.
            let is_here = args.at(at).len() as u64 == len;
            let shown = if is_here { args.at(at) } else { args.beginning(at, ARG_HEAD) };
            let shown = &shown[..shown.len().min(LINE_BYTES_MAX)];
            quote::quote(shown, &mut line);
            let more = len - shown.len() as u64;
            if more > 0 {
                line.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
            }
        }
        line.extend_from_slice(b"\r\n");
        line
    }
}
