//! Publish and subscribe. What is confirmed stands in the reply of the client that asks, in RESP3 as a push; what is published
//! comes through the outbox (see [`crate::engine::pubsub`]).

use super::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Large, Outcome, Run, reply_help,
};
use crate::engine::pubsub::{Kind, Message, Published};
use crate::engine::tasks::Holding;
use crate::engine::{ClientId, Engine, Progress, Slice, Sliced};
use crate::proto::{Args, CommandError, Reply};
use crate::text::glob::{self, Case};
use Flag::{Fast, Loading, MayReplicate, Noscript, Sentinel, Stale};
use bytes::Bytes;

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] =
    &[&SUBSCRIBE, &UNSUBSCRIBE, &PSUBSCRIBE, &PUNSUBSCRIBE, &SSUBSCRIBE, &SUNSUBSCRIBE, &PUBLISH, &SPUBLISH, &PUBSUB];

/// Channels or patterns of a request, or of an answer, that a slice takes.
const PER_SLICE: usize = 128;
/// Bytes of their names that it takes.
const BYTES_PER_SLICE: usize = 64 * 1024;

const SUBSCRIBE: CommandSpec = CommandSpec {
    name: "subscribe",
    arity: AtLeast(2),
    flags: &[Flag::Pubsub, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(subscribe),
    doc: Doc {
        summary: "Has messages on channels sent to the connection.",
        since: "2.0.0",
        complexity: "O(N log M) in the number of channels, of M that there are",
        syntax: "channel:string [channel:string ...]",
        ..Doc::of(Group::Pubsub)
    },
};

fn subscribe(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    confirm(context, Change { kind: Kind::Channel, subscribes: true, next: 1, client: context.client }, args, reply)
}

const UNSUBSCRIBE: CommandSpec = CommandSpec {
    name: "unsubscribe",
    arity: AtLeast(1),
    flags: &[Flag::Pubsub, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(unsubscribe),
    doc: Doc {
        summary: "Ends SUBSCRIBE, for some channels or all.",
        since: "2.0.0",
        complexity: "O(N log M) in the number of channels, of M that there are",
        syntax: "[channel:string [channel:string ...]]",
        ..Doc::of(Group::Pubsub)
    },
};

fn unsubscribe(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    confirm(context, Change { kind: Kind::Channel, subscribes: false, next: 1, client: context.client }, args, reply)
}

const PSUBSCRIBE: CommandSpec = CommandSpec {
    name: "psubscribe",
    arity: AtLeast(2),
    flags: &[Flag::Pubsub, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(psubscribe),
    doc: Doc {
        summary: "Has messages on all channels that match a pattern sent to the connection.",
        since: "2.0.0",
        complexity: "O(N log M) in the number of patterns, of M that there are",
        syntax: "pattern [pattern ...]",
        ..Doc::of(Group::Pubsub)
    },
};

fn psubscribe(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    confirm(context, Change { kind: Kind::Pattern, subscribes: true, next: 1, client: context.client }, args, reply)
}

const PUNSUBSCRIBE: CommandSpec = CommandSpec {
    name: "punsubscribe",
    arity: AtLeast(1),
    flags: &[Flag::Pubsub, Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(punsubscribe),
    doc: Doc {
        summary: "Ends PSUBSCRIBE, for some patterns or all.",
        since: "2.0.0",
        complexity: "O(N log M) in the number of patterns, of M that there are",
        syntax: "[pattern [pattern ...]]",
        ..Doc::of(Group::Pubsub)
    },
};

fn punsubscribe(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    confirm(context, Change { kind: Kind::Pattern, subscribes: false, next: 1, client: context.client }, args, reply)
}

const SSUBSCRIBE: CommandSpec = CommandSpec {
    name: "ssubscribe",
    arity: AtLeast(2),
    flags: &[Flag::Pubsub, Noscript, Loading, Stale],
    keys: &[KeySpec::to_end(1, 1, &[KeyFlag::NotKey])],
    large: Large::None,
    run: Run::Server(ssubscribe),
    doc: Doc {
        summary: "Has messages on channels of a shard sent to the connection.",
        since: "7.0.0",
        complexity: "O(N log M) in the number of channels, of M that there are",
        syntax: "shardchannel:string [shardchannel:string ...]",
        ..Doc::of(Group::Pubsub)
    },
};

fn ssubscribe(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if context.engine.client(context.client).is_executing() {
        return Err(CommandError::text_static("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    }
    confirm(context, Change { kind: Kind::Shard, subscribes: true, next: 1, client: context.client }, args, reply)
}

const SUNSUBSCRIBE: CommandSpec = CommandSpec {
    name: "sunsubscribe",
    arity: AtLeast(1),
    flags: &[Flag::Pubsub, Noscript, Loading, Stale],
    keys: &[KeySpec::to_end(1, 1, &[KeyFlag::NotKey])],
    large: Large::None,
    run: Run::Server(sunsubscribe),
    doc: Doc {
        summary: "Ends SSUBSCRIBE, for some channels or all.",
        since: "7.0.0",
        complexity: "O(N log M) in the number of channels, of M that there are",
        syntax: "[shardchannel:string [shardchannel:string ...]]",
        ..Doc::of(Group::Pubsub)
    },
};

fn sunsubscribe(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    confirm(context, Change { kind: Kind::Shard, subscribes: false, next: 1, client: context.client }, args, reply)
}

/// Subscriptions that a request begins or ends, each confirmed by a message of its own.
#[derive(Debug)]
struct Change {
    kind: Kind,
    subscribes: bool,
    /// The argument that is next; where the request names none: 1 until the first is ended.
    next: usize,
    client: ClientId,
}

fn confirm(context: &mut Context<'_>, mut change: Change, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if change.go_on(context.engine, args, reply) {
        return Ok(Flow::Done);
    }
    Ok(Flow::Sliced(Box::new(change)))
}

impl Change {
    fn word(&self) -> &'static str {
        match (self.kind, self.subscribes) {
            (Kind::Channel, true) => "subscribe",
            (Kind::Channel, false) => "unsubscribe",
            (Kind::Pattern, true) => "psubscribe",
            (Kind::Pattern, false) => "punsubscribe",
            (Kind::Shard, true) => "ssubscribe",
            (Kind::Shard, false) => "sunsubscribe",
        }
    }

    /// Goes on for a slice; whether that was all.
    fn go_on(&mut self, engine: &mut Engine, args: &Args<'_>, reply: &mut Reply) -> bool {
        let mut bytes = 0;
        for _ in 0..PER_SLICE {
            if bytes > BYTES_PER_SLICE {
                return false;
            }
            if args.len() > 1 {
                let Some(name) = args.get(self.next) else { return true };
                self.next += 1;
                bytes += name.len();
                self.confirm(engine, Some(name), reply);
                continue;
            }
            match engine.first_subscription(self.client, self.kind) {
                Some(name) => {
                    bytes += name.len();
                    self.confirm(engine, Some(&name), reply);
                    self.next = 2;
                }
                None if self.next == 1 => {
                    self.confirm(engine, None, reply);
                    return true;
                }
                None => return true,
            }
        }
        reply.seal(BYTES_PER_SLICE);
        if args.len() > 1 {
            self.next == args.len()
        } else {
            engine.first_subscription(self.client, self.kind).is_none()
        }
    }

    fn confirm(&self, engine: &mut Engine, name: Option<&[u8]>, reply: &mut Reply) {
        let count = match (name, self.subscribes) {
            (Some(name), true) => engine.subscribe(self.client, self.kind, name),
            (name, _) => engine.unsubscribe(self.client, self.kind, name.unwrap_or_default()),
        };
        reply.push(3);
        reply.bulk(self.word().as_bytes());
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.count(count);
    }
}

impl Sliced for Change {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        // What was published before the next confirmation stands before it, each of which is whole.
        if let Some(letters) = slice.engine.outbox.take(self.client) {
            slice.reply.append(letters);
        }
        let done = self.go_on(slice.engine, slice.args, slice.reply);
        Ok(if done { Progress::Done } else { Progress::More })
    }
}

const PUBLISH: CommandSpec = CommandSpec {
    name: "publish",
    arity: Exactly(3),
    flags: &[Flag::Pubsub, Loading, Stale, Fast, MayReplicate, Sentinel],
    keys: &[],
    large: Large::At(2),
    run: Run::Server(publish),
    doc: Doc {
        summary: "Sends a message to all who subscribe to a channel, or to a pattern that it matches.",
        since: "2.0.0",
        complexity: "O(N+M) in the number of receivers, and of patterns that begin like the channel",
        syntax: "channel:string message",
        ..Doc::of(Group::Pubsub)
    },
};

fn publish(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    send(context.engine, false, args, reply)
}

const SPUBLISH: CommandSpec = CommandSpec {
    name: "spublish",
    arity: Exactly(3),
    flags: &[Flag::Pubsub, Loading, Stale, Fast, MayReplicate],
    keys: &[KeySpec::one(1, &[KeyFlag::NotKey])],
    large: Large::At(2),
    run: Run::Server(spublish),
    doc: Doc {
        summary: "Sends a message to all who subscribe to a channel of a shard.",
        since: "7.0.0",
        complexity: "O(N) in the number of receivers",
        syntax: "shardchannel:string message",
        ..Doc::of(Group::Pubsub)
    },
};

fn spublish(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    send(context.engine, true, args, reply)
}

fn send(engine: &mut Engine, shard: bool, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    match engine.publish(shard, args.at(1), || Message::of(args.take_value(2))) {
        Published::To(receivers) => {
            reply.integer(receivers as i64);
            Ok(Flow::Done)
        }
        Published::UnderWay(number) => {
            engine.ask_receivers(number);
            Ok(Flow::Sliced(Box::new(Publishing(number))))
        }
    }
}

/// PUBLISH to many: its reply says how many they were.
#[derive(Debug)]
struct Publishing(u64);

impl Sliced for Publishing {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        slice.engine.go_on_delivering();
        let Some(receivers) = slice.engine.receivers(self.0) else { return Ok(Progress::More) };
        slice.reply.integer(receivers as i64);
        Ok(Progress::Done)
    }

    fn end(&mut self, engine: &mut Engine) {
        engine.forget_receivers(self.0);
    }
}

const PUBSUB: CommandSpec = CommandSpec {
    name: "pubsub",
    arity: AtLeast(2),
    flags: &[],
    keys: &[],
    large: Large::None,
    run: Run::Subcommands(&[
        &PUBSUB_CHANNELS,
        &PUBSUB_NUMSUB,
        &PUBSUB_NUMPAT,
        &PUBSUB_SHARDCHANNELS,
        &PUBSUB_SHARDNUMSUB,
        &PUBSUB_HELP,
    ]),
    doc: Doc {
        summary: "A container for commands about subscriptions.",
        since: "2.8.0",
        complexity: "Depends on subcommand.",
        ..Doc::of(Group::Pubsub)
    },
};

const PUBSUB_CHANNELS: CommandSpec = CommandSpec {
    name: "channels",
    arity: AtLeast(2),
    flags: &[Flag::Pubsub, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(channels),
    doc: Doc {
        summary: "Lists the channels that somebody subscribes to.",
        since: "2.8.0",
        complexity: "O(N) in the number of channels",
        syntax: "[pattern]",
        ..Doc::of(Group::Pubsub)
    },
};

fn channels(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    list(false, context, args, reply)
}

const PUBSUB_SHARDCHANNELS: CommandSpec = CommandSpec {
    name: "shardchannels",
    arity: AtLeast(2),
    flags: &[Flag::Pubsub, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(shardchannels),
    doc: Doc {
        summary: "Lists the channels of shards that somebody subscribes to.",
        since: "7.0.0",
        complexity: "O(N) in the number of channels",
        syntax: "[pattern]",
        ..Doc::of(Group::Pubsub)
    },
};

fn shardchannels(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    list(true, context, args, reply)
}

fn list(shard: bool, context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len() > 3 {
        let before = "ERR unknown subcommand or wrong number of arguments for '";
        return Err(CommandError::quoting(before, args.at(1), "'. Try PUBSUB HELP."));
    }
    let mut listing = Listing { shard, after: None, count: 0, names: Reply::new() };
    if listing.go_on(context.engine, args) {
        listing.tell(reply);
        return Ok(Flow::Done);
    }
    Ok(Flow::Sliced(Box::new(listing)))
}

/// A list of channels being made: in slices if they are many. One that is there all the time is on it.
#[derive(Debug)]
struct Listing {
    shard: bool,
    /// The channel that was looked at last.
    after: Option<Bytes>,
    count: usize,
    names: Reply,
}

impl Listing {
    /// Goes on for a slice; whether that was all.
    fn go_on(&mut self, engine: &Engine, args: &Args<'_>) -> bool {
        let pattern = args.get(2);
        let mut bytes = 0;
        let mut last = None;
        let mut looked_at = 0;
        for (name, is_there) in engine.pubsub.names(self.shard, self.after.as_ref()).take(PER_SLICE) {
            looked_at += 1;
            last = Some(name.clone());
            bytes += name.len() + pattern.map_or(0, <[u8]>::len);
            if is_there && pattern.is_none_or(|pattern| glob::matches(pattern, name, Case::Sensitive)) {
                self.names.bulk(name);
                self.count += 1;
            }
            if bytes > BYTES_PER_SLICE {
                break;
            }
        }
        self.names.seal(BYTES_PER_SLICE);
        self.after = last.or(self.after.take());
        looked_at < PER_SLICE && bytes <= BYTES_PER_SLICE
    }

    fn tell(&mut self, reply: &mut Reply) {
        reply.array(self.count);
        reply.append(std::mem::take(&mut self.names));
    }
}

impl Sliced for Listing {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        if !self.go_on(slice.engine, slice.args) {
            return Ok(Progress::More);
        }
        self.tell(slice.reply);
        Ok(Progress::Done)
    }

    fn end(&mut self, engine: &mut Engine) {
        engine.discard(std::mem::take(&mut self.names));
    }
}

const PUBSUB_NUMSUB: CommandSpec = CommandSpec {
    name: "numsub",
    arity: AtLeast(2),
    flags: &[Flag::Pubsub, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(numsub),
    doc: Doc {
        summary: "Counts those who subscribe to channels, patterns aside.",
        since: "2.8.0",
        complexity: "O(N log M) in the number of channels that are asked for, of M that there are",
        syntax: "[channel:string [channel:string ...]]",
        ..Doc::of(Group::Pubsub)
    },
};

fn numsub(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    count_each(context, Counting { shard: false, next: 2 }, args, reply)
}

const PUBSUB_SHARDNUMSUB: CommandSpec = CommandSpec {
    name: "shardnumsub",
    arity: AtLeast(2),
    flags: &[Flag::Pubsub, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(shardnumsub),
    doc: Doc {
        summary: "Counts those who subscribe to channels of shards.",
        since: "7.0.0",
        complexity: "O(N log M) in the number of channels that are asked for, of M that there are",
        syntax: "[shardchannel:string [shardchannel:string ...]]",
        ..Doc::of(Group::Pubsub)
    },
};

fn shardnumsub(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    count_each(context, Counting { shard: true, next: 2 }, args, reply)
}

/// Subscribers of channels being counted, each as it is then.
#[derive(Debug)]
struct Counting {
    shard: bool,
    next: usize,
}

fn count_each(context: &mut Context<'_>, mut counting: Counting, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.array((args.len() - 2) * 2);
    if counting.go_on(context.engine, args, reply) {
        return Ok(Flow::Done);
    }
    Ok(Flow::Sliced(Box::new(counting)))
}

impl Counting {
    fn go_on(&mut self, engine: &Engine, args: &Args<'_>, reply: &mut Reply) -> bool {
        let mut bytes = 0;
        for _ in 0..PER_SLICE {
            let Some(channel) = args.get(self.next).filter(|_| bytes <= BYTES_PER_SLICE) else { break };
            self.next += 1;
            bytes += channel.len();
            reply.bulk(channel);
            reply.count(engine.pubsub.subscribers(self.shard, channel));
        }
        reply.seal(BYTES_PER_SLICE);
        self.next == args.len()
    }
}

impl Sliced for Counting {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        let done = self.go_on(slice.engine, slice.args, slice.reply);
        Ok(if done { Progress::Done } else { Progress::More })
    }
}

const PUBSUB_NUMPAT: CommandSpec = CommandSpec {
    name: "numpat",
    arity: Exactly(2),
    flags: &[Flag::Pubsub, Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(numpat),
    doc: Doc { summary: "Counts the patterns that somebody subscribes to.", since: "2.8.0", ..Doc::of(Group::Pubsub) },
};

fn numpat(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.count(context.engine.pubsub.len(Kind::Pattern));
    Ok(Flow::Done)
}

const PUBSUB_HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: Exactly(2),
    flags: &[Loading, Stale],
    keys: &[],
    large: Large::None,
    run: Run::Server(help),
    doc: Doc { summary: "Tells what PUBSUB can do.", since: "6.2.0", ..Doc::of(Group::Pubsub) },
};

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply_help(
        reply,
        "PUBSUB",
        &[
            "CHANNELS [<pattern>]",
            "    The channels that somebody subscribes to, all or those that match.",
            "NUMPAT",
            "    How many patterns somebody subscribes to.",
            "NUMSUB [<channel> ...]",
            "    How many subscribe to each of these channels; patterns do not count.",
            "SHARDCHANNELS [<pattern>]",
            "    The channels of shards that somebody subscribes to, all or those that match.",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    How many subscribe to each of these channels of shards.",
        ],
    );
    Ok(Flow::Done)
}
