//! What others are told of a command: events of keys, values that clients keep, and MONITOR.
//!
//! A command's events are noted while it runs and told right after it, before any other request; what they write to the command's
//! own client comes behind its reply. What has to be known of *every* command of a client (its keys are remembered for it, it is
//! shown to monitors) takes the way of the gates, so that nobody else pays for it.

use super::holding;
use super::lookup::Command;
use crate::commands::Flag;
use crate::engine::holds::KEYS_AT_ONCE_MAX;
use crate::engine::pubsub::Message;
use crate::engine::{Client, ClientId, Engine};
use crate::keyspace::Event;
use crate::keyspace::notices::{Class, Notice};
use crate::proto::{Args, Protocol};

/// Tells what was noted; `by` has made it happen.
pub(super) fn tell_notices(engine: &mut Engine, by: Option<ClientId>) {
    while let Some(notice) = engine.keyspace.notices.take() {
        match notice {
            Notice::Flush => engine.invalidate_all(),
            Notice::Key { db, key, event } => {
                if event.is_change() {
                    engine.invalidate(&key, by);
                }
                if engine.keyspace.notices.is_published(event) {
                    publish(engine, db, &key, event);
                }
            }
        }
    }
}

fn publish(engine: &mut Engine, db: usize, key: &[u8], event: Event) {
    let (classes, name) = (engine.keyspace.notices.classes(), event.name().as_bytes());
    if classes.has(Class::Keyspace) {
        let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
        engine.publish(false, &channel, || Message::copy_of(name));
    }
    if classes.has(Class::Keyevent) {
        let channel = [format!("__keyevent@{db}__:").as_bytes(), name].concat();
        engine.publish(false, &channel, || Message::copy_of(key));
    }
}

/// Whether all that a client asks is looked at: it is shown, the keys that it reads are remembered, or its PING is answered
/// otherwise.
pub(super) fn is_watched(engine: &Engine, client: &Client) -> bool {
    !engine.monitors.is_empty() || client.tracking().is_some() || is_only_subscriber(client)
}

/// Whether a client can do little else than subscribe: all that it is sent are messages.
pub(super) fn is_only_subscriber(client: &Client) -> bool {
    client.protocol == Protocol::Resp2 && client.is_subscriber()
}

/// Before a command: whether the keys that it reads are remembered behind it.
pub(super) fn begin_watching(engine: &mut Engine, client: ClientId, command: &Command, args: &Args<'_>) -> bool {
    let many = holding::key_count(command.spec, args) > KEYS_AT_ONCE_MAX && holding::takes_as_it_goes(command.spec);
    command.spec.is(Flag::Readonly) && engine.begin_remembering(client, many)
}

/// Behind a command that was carried out, or has begun.
pub(super) fn end_watching(engine: &mut Engine, client: ClientId, command: &Command, args: &Args<'_>, remembers: bool) {
    if remembers {
        for at in command.spec.keys.iter().filter_map(|keys| keys.positions(args)).flatten() {
            engine.remember_key(client, args.at(at));
        }
    }
    let is_shown = !command.spec.is(Flag::Admin) && !command.spec.is(Flag::SkipMonitor);
    if is_shown && !engine.monitors.is_empty() {
        engine.feed_monitors(client, args);
    }
}
