//! The limit of open files: each client needs one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::engine::Settings;

/// Files that the server itself may have open: sockets it listens on, the log, the event queue. Redis keeps as many.
const RESERVED: u64 = 32;

/// Raises the limit of open files so that `maxclients` clients fit, as far as the system allows; lowers `maxclients` to what
/// fits, and says so in the log.
pub(super) fn make_room_for_clients(settings: &mut Settings) {
    let wanted = u64::from(settings.maxclients) + RESERVED;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return;
    }
    let reached = [Some(wanted), limit.maximum]
        .into_iter()
        .flatten()
        .filter(|&files| files > current)
        .find(|&files| {
            let maximum = limit.maximum.map(|maximum| maximum.max(files));
            setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum }).is_ok()
        })
        .unwrap_or(current);
    if reached < wanted {
        let fitting = u32::try_from(reached.saturating_sub(RESERVED)).unwrap_or(u32::MAX).max(1);
        tracing::warn!(
            "the system allows {reached} open files, {wanted} are needed for maxclients {}; maxclients is now {fitting}. \
             Raise it with 'ulimit -n'.",
            settings.maxclients,
        );
        settings.maxclients = fitting;
    } else {
        tracing::debug!("raised the limit of open files from {current} to {reached}");
    }
}
