//! CLIENT TRACKING and its kin: values that clients keep (see [`crate::engine::tracking`]).

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Included, Unbounded};

use bytes::Bytes;

use crate::commands::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, Large, Outcome, Run,
};
use crate::engine::tasks::Holding;
use crate::engine::tracking::{Mode, Tracking};
use crate::engine::{ClientId, Engine, Progress, Slice, Sliced};
use crate::proto::{Args, CommandError, Reply, until_nul};
use crate::text::integer::parse_i64;
use Flag::{Loading, Noscript, Sentinel, Stale};

pub(super) const TRACKING: CommandSpec = CommandSpec {
    name: "tracking",
    arity: AtLeast(3),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(tracking),
    doc: Doc {
        summary: "Has the connection told when keys change whose values it keeps.",
        since: "6.0.0",
        complexity: "O(1), with prefixes O(N log N) in their number",
        syntax: "<ON | OFF> [REDIRECT client-id] [PREFIX prefix:string [PREFIX prefix:string ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
        ..Doc::of(Group::Connection)
    },
};

/// CLIENT TRACKING under way: in slices if it has many prefixes.
#[derive(Debug)]
struct Request {
    client: ClientId,
    /// The argument that is read next.
    next: usize,
    redirect: Option<ClientId>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
    /// The arguments that are prefixes.
    prefixes: Vec<usize>,
    /// How many of them have been looked at.
    checked: usize,
    /// Those, until they are added to the client's.
    new: BTreeSet<Bytes>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reading,
    Checking,
    Adding,
    Ending,
}

/// Arguments, or prefixes, that a slice takes.
const PER_SLICE: usize = 128;

fn tracking(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let mut request = Request {
        client: context.client,
        next: 3,
        redirect: None,
        broadcast: false,
        opt_in: false,
        opt_out: false,
        no_loop: false,
        prefixes: Vec::new(),
        checked: 0,
        new: BTreeSet::new(),
        stage: Stage::Reading,
    };
    if request.go_on(context.engine, args)? {
        reply.ok();
        return Ok(Flow::Done);
    }
    Ok(Flow::Sliced(Box::new(request)))
}

impl Sliced for Request {
    fn holding(&self) -> Holding {
        Holding::Nothing
    }

    fn step(&mut self, slice: &mut Slice<'_>) -> Result<Progress, CommandError> {
        if !self.go_on(slice.engine, slice.args)? {
            return Ok(Progress::More);
        }
        slice.reply.ok();
        Ok(Progress::Done)
    }
}

impl Request {
    /// Goes on for a slice; whether that was all.
    fn go_on(&mut self, engine: &mut Engine, args: &Args<'_>) -> Result<bool, CommandError> {
        if self.stage == Stage::Reading {
            for _ in 0..PER_SLICE {
                if self.next >= args.len() {
                    self.stage = self.decide(engine, args)?;
                    break;
                }
                self.read_option(engine, args)?;
            }
        }
        match self.stage {
            Stage::Reading => Ok(false),
            Stage::Ending => Ok(!engine.stop_tracking(self.client)),
            Stage::Checking => {
                for _ in 0..PER_SLICE {
                    let Some(&at) = self.prefixes.get(self.checked) else {
                        self.begin(engine);
                        break;
                    };
                    self.checked += 1;
                    self.check_prefix(engine, args.at(at))?;
                }
                Ok(self.stage == Stage::Adding && self.add_some(engine))
            }
            Stage::Adding => Ok(self.add_some(engine)),
        }
    }

    fn read_option(&mut self, engine: &Engine, args: &Args<'_>) -> Result<(), CommandError> {
        let at = self.next;
        let has_more = at + 1 < args.len();
        if args.is(at, "redirect") && has_more {
            if self.redirect.is_some() {
                return Err(CommandError::text_static("ERR A client can only redirect to a single other client"));
            }
            let id = parse_i64(args.at(at + 1)).ok_or(CommandError::NotAnInteger)?;
            let target = u64::try_from(id).ok().map(ClientId);
            let target = target.filter(|&target| engine.clients.get(target).is_some());
            let none = CommandError::text_static("ERR The client ID you want redirect to does not exist");
            self.redirect = Some(target.ok_or(none)?);
            self.next += 1;
        } else if args.is(at, "bcast") {
            self.broadcast = true;
        } else if args.is(at, "optin") {
            self.opt_in = true;
        } else if args.is(at, "optout") {
            self.opt_out = true;
        } else if args.is(at, "noloop") {
            self.no_loop = true;
        } else if args.is(at, "prefix") && has_more {
            self.prefixes.push(at + 1);
            self.next += 1;
        } else {
            return Err(CommandError::Syntax);
        }
        self.next += 1;
        Ok(())
    }

    /// What is to be done, once all options are read.
    fn decide(&self, engine: &Engine, args: &Args<'_>) -> Result<Stage, CommandError> {
        let text = CommandError::text_static;
        if args.is(2, "off") {
            return Ok(Stage::Ending);
        }
        if !args.is(2, "on") {
            return Err(CommandError::Syntax);
        }
        let before = engine.client(self.client).tracking().map(|before| before.mode);
        if !self.broadcast && !self.prefixes.is_empty() {
            return Err(text("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        if before.is_some_and(|before| before.is_broadcast() != self.broadcast) {
            return Err(text(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with \
                 a different mode.",
            ));
        }
        if self.broadcast && (self.opt_in || self.opt_out) {
            return Err(text("ERR OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if self.opt_in && self.opt_out {
            return Err(text("ERR You can't specify both OPTIN mode and OPTOUT mode"));
        }
        if self.opt_in && before == Some(Mode::OptOut) || self.opt_out && before == Some(Mode::OptIn) {
            return Err(text(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with \
                 a different mode.",
            ));
        }
        Ok(Stage::Checking)
    }

    /// Takes a prefix, unless it and another one, new or old, begin alike.
    fn check_prefix(&mut self, engine: &Engine, prefix: &[u8]) -> Result<(), CommandError> {
        let refusal = |asked: &[u8], middle: &str, other: &[u8]| {
            let parts: [&[u8]; 5] = [
                b"ERR Prefix '",
                until_nul(asked),
                middle.as_bytes(),
                until_nul(other),
                b"'. Prefixes for a single client must not overlap.",
            ];
            CommandError::Bytes(parts.concat())
        };
        let before = engine.client(self.client).tracking();
        if let Some(other) = before.and_then(|before| overlapping(&before.prefixes, prefix)) {
            return Err(refusal(prefix, "' overlaps with an existing prefix '", other));
        }
        if let Some(other) = overlapping(&self.new, prefix) {
            return Err(refusal(other, "' overlaps with another provided prefix '", prefix));
        }
        self.new.insert(Bytes::copy_from_slice(prefix));
        Ok(())
    }

    /// All is as it should be: the client tracks, and gets its new prefixes; the empty one if the request names none.
    fn begin(&mut self, engine: &mut Engine) {
        if self.broadcast && self.prefixes.is_empty() {
            self.new.insert(Bytes::new());
        }
        let mode = match self {
            Request { broadcast: true, .. } => Mode::Broadcast,
            Request { opt_in: true, .. } => Mode::OptIn,
            Request { opt_out: true, .. } => Mode::OptOut,
            _ => Mode::Read,
        };
        let (redirect, no_loop) = (self.redirect, self.no_loop);
        engine.start_tracking(self.client, Tracking { mode, redirect, no_loop, ..Tracking::default() });
        self.stage = Stage::Adding;
    }

    /// Adds some of the new prefixes; whether those were all.
    fn add_some(&mut self, engine: &mut Engine) -> bool {
        for prefix in (0..PER_SLICE).map_while(|_| self.new.pop_first()) {
            engine.add_prefix(self.client, prefix);
        }
        self.new.is_empty()
    }
}

/// The first of some prefixes, none of which begins another, that begins like `prefix`. Only the empty one, which is there once BCAST was
/// asked without any, stands beside others. O(log n)
fn overlapping<'a>(prefixes: &'a BTreeSet<Bytes>, prefix: &[u8]) -> Option<&'a Bytes> {
    if let Some(empty) = prefixes.first().filter(|first| first.is_empty()) {
        return Some(empty);
    }
    let before = prefixes.range::<[u8], _>((Unbounded, Excluded(prefix))).next_back();
    let after = prefixes.range::<[u8], _>((Included(prefix), Unbounded)).next();
    before.filter(|before| prefix.starts_with(before)).or_else(|| after.filter(|after| after.starts_with(prefix)))
}

pub(super) const CACHING: CommandSpec = CommandSpec {
    name: "caching",
    arity: Exactly(3),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(caching),
    doc: Doc {
        summary: "Says of the next command whether the connection keeps what it reads.",
        since: "6.0.0",
        syntax: "<YES | NO>",
        ..Doc::of(Group::Connection)
    },
};

fn caching(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let push = context.engine.client_mut(context.client).push.as_deref_mut();
    let Some(tracking) = push.and_then(|push| push.tracking.as_mut()) else {
        return Err(CommandError::text_static(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    let (mode, refusal) = if args.is(2, "yes") {
        (Mode::OptIn, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
    } else if args.is(2, "no") {
        (Mode::OptOut, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
    } else {
        return Err(CommandError::Syntax);
    };
    if tracking.mode != mode {
        return Err(CommandError::text_static(refusal));
    }
    tracking.caching = true;
    reply.ok();
    Ok(Flow::Done)
}

pub(super) const GETREDIR: CommandSpec = CommandSpec {
    name: "getredir",
    arity: Exactly(2),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(getredir),
    doc: Doc {
        summary: "Tells which connection is told of keys that change in place of this one.",
        since: "6.0.0",
        ..Doc::of(Group::Connection)
    },
};

fn getredir(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    reply.integer(redirect(context.engine.client(context.client).tracking()));
    Ok(Flow::Done)
}

/// The number of who is told in its place: 0 for nobody, -1 for a client that does not track.
fn redirect(tracking: Option<&Tracking>) -> i64 {
    tracking.map_or(-1, |tracking| tracking.redirect.map_or(0, |to| to.0 as i64))
}

pub(super) const TRACKINGINFO: CommandSpec = CommandSpec {
    name: "trackinginfo",
    arity: Exactly(2),
    flags: &[Noscript, Loading, Stale, Sentinel],
    keys: &[],
    large: Large::None,
    run: Run::Server(trackinginfo),
    doc: Doc {
        summary: "Tells how the connection is told of keys that change.",
        since: "6.2.0",
        complexity: "O(N) in the number of its prefixes",
        ..Doc::of(Group::Connection)
    },
};

fn trackinginfo(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply) -> Outcome {
    let tracking = context.engine.client(context.client).tracking();
    let mut flags = vec![if tracking.is_some() { "on" } else { "off" }];
    if let Some(tracking) = tracking {
        let (mode, caching) = match tracking.mode {
            Mode::Read => (None, ""),
            Mode::Broadcast => (Some("bcast"), ""),
            Mode::OptIn => (Some("optin"), "caching-yes"),
            Mode::OptOut => (Some("optout"), "caching-no"),
        };
        flags.extend(mode);
        flags.extend((tracking.caching && !caching.is_empty()).then_some(caching));
        flags.extend(tracking.no_loop.then_some("noloop"));
        flags.extend(tracking.is_broken.then_some("broken_redirect"));
    }
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.integer(redirect(tracking));
    reply.bulk(b"prefixes");
    reply.array(tracking.map_or(0, |tracking| tracking.prefixes.len()));
    tracking.into_iter().flat_map(|tracking| &tracking.prefixes).for_each(|prefix| reply.bulk(prefix));
    Ok(Flow::Done)
}
