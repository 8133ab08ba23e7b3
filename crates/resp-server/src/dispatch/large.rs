//! Notes commands whose request or reply was large, for COMMANDLOG.
//!
//! A turn looks after every [`LOOK`](super::call) of work, or after less if less is large; so what it costs is paid by what is large.

use super::call::Turn;
use super::lookup::Resolved;
use crate::commands::Flag;
use crate::engine::Engine;
use crate::engine::slowlog::{Entry, shortened, shortened_name};
use crate::proto::Args;

impl Turn {
    /// A request has been carried out, and has had so many bytes of reply.
    #[cold]
    pub(super) fn note_large(&self, engine: &mut Engine, args: &Args<'_>, reply_bytes: usize) {
        let is_large = |bytes: u64, from: i64| u64::try_from(from).is_ok_and(|from| bytes >= from);
        let request_bytes = args.extent() as u64 + args.apart_len();
        let settings = engine.settings();
        let request = is_large(request_bytes, settings.large_request_bytes);
        let reply = is_large(reply_bytes as u64, settings.large_reply_bytes);
        let (requests_max, replies_max) = (settings.large_requests_max, settings.large_replies_max);
        if !(request || reply) {
            return;
        }
        let Resolved::Found(command) = self.resolve(args) else { return };
        if command.spec.is(Flag::SkipSlowlog) {
            return;
        }
        let client = engine.clients.at(self.slot());
        let entry = |bytes: u64| Entry {
            id: 0,
            unix_seconds: engine.unix_seconds(),
            us: bytes,
            args: shortened(args),
            addr: client.peer.addr.clone(),
            name: shortened_name(&client.name),
        };
        let (request, reply) = (request.then(|| entry(request_bytes)), reply.then(|| entry(reply_bytes as u64)));
        let max = |setting: u64| usize::try_from(setting).unwrap_or(usize::MAX);
        if let Some(entry) = request {
            engine.large_requests.add(entry, max(requests_max));
        }
        if let Some(entry) = reply {
            engine.large_replies.add(entry, max(replies_max));
        }
    }
}
