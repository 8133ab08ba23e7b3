//! CLIENT TRACKING and its kin: values that clients keep (see [`crate::engine::tracking`]).

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Included, Unbounded};

use bytes::Bytes;

use super::{
    Arity::{AtLeast, Exactly},
    CommandSpec, Context, Doc, Flag, Flow, Group, Large, Outcome, Run,
};
use crate::engine::ClientId;
use crate::engine::tracking::{Mode, Tracking};
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

/// The options of a request.
#[derive(Debug, Default)]
struct Options<'a> {
    redirect: Option<ClientId>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
    prefixes: Vec<&'a [u8]>,
}

fn options<'a>(context: &Context<'_>, args: &Args<'a>) -> Result<Options<'a>, CommandError> {
    let mut options = Options::default();
    let mut at = 3;
    while at < args.len() {
        let has_more = at + 1 < args.len();
        if args.is(at, "redirect") && has_more {
            at += 1;
            if options.redirect.is_some() {
                return Err(CommandError::text_static("ERR A client can only redirect to a single other client"));
            }
            let id = parse_i64(args.at(at)).ok_or(CommandError::NotAnInteger)?;
            let target = u64::try_from(id).ok().map(ClientId);
            let target = target.filter(|&target| context.engine.clients.get(target).is_some());
            options.redirect =
                Some(target.ok_or(CommandError::text_static("ERR The client ID you want redirect to does not exist"))?);
        } else if args.is(at, "bcast") {
            options.broadcast = true;
        } else if args.is(at, "optin") {
            options.opt_in = true;
        } else if args.is(at, "optout") {
            options.opt_out = true;
        } else if args.is(at, "noloop") {
            options.no_loop = true;
        } else if args.is(at, "prefix") && has_more {
            at += 1;
            options.prefixes.push(args.at(at));
        } else {
            return Err(CommandError::Syntax);
        }
        at += 1;
    }
    Ok(options)
}

fn tracking(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    let options = options(context, args)?;
    if args.is(2, "on") {
        start(context, options)?;
    } else if args.is(2, "off") {
        context.engine.stop_tracking(context.client);
    } else {
        return Err(CommandError::Syntax);
    }
    reply.ok();
    Ok(Flow::Done)
}

fn start(context: &mut Context<'_>, options: Options<'_>) -> Result<(), CommandError> {
    let text = CommandError::text_static;
    let before = context.engine.client(context.client).tracking();
    if !options.broadcast && !options.prefixes.is_empty() {
        return Err(text("ERR PREFIX option requires BCAST mode to be enabled"));
    }
    if before.is_some_and(|before| before.mode.is_broadcast() != options.broadcast) {
        return Err(text(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a \
             different mode.",
        ));
    }
    if options.broadcast && (options.opt_in || options.opt_out) {
        return Err(text("ERR OPTIN and OPTOUT are not compatible with BCAST"));
    }
    if options.opt_in && options.opt_out {
        return Err(text("ERR You can't specify both OPTIN mode and OPTOUT mode"));
    }
    let mode_before = before.map(|before| before.mode);
    if options.opt_in && mode_before == Some(Mode::OptOut) || options.opt_out && mode_before == Some(Mode::OptIn) {
        return Err(text(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a \
             different mode.",
        ));
    }
    let none = BTreeSet::new();
    let prefixes = if options.broadcast {
        check_prefixes(&options.prefixes, before.map_or(&none, |before| &before.prefixes))?
    } else {
        none
    };
    let mode = match options {
        Options { broadcast: true, .. } => Mode::Broadcast,
        Options { opt_in: true, .. } => Mode::OptIn,
        Options { opt_out: true, .. } => Mode::OptOut,
        _ => Mode::Read,
    };
    let tracking =
        Tracking { mode, redirect: options.redirect, no_loop: options.no_loop, prefixes, ..Tracking::default() };
    context.engine.start_tracking(context.client, tracking);
    Ok(())
}

/// The prefixes that are new, the empty one if the request names none: unless two of them, or one and one of `before`, begin alike.
fn check_prefixes(asked: &[&[u8]], before: &BTreeSet<Bytes>) -> Result<BTreeSet<Bytes>, CommandError> {
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
    let mut new = BTreeSet::new();
    for prefix in asked {
        if let Some(other) = overlapping(before, prefix) {
            return Err(refusal(prefix, "' overlaps with an existing prefix '", other));
        }
        if let Some(other) = overlapping(&new, prefix) {
            return Err(refusal(other, "' overlaps with another provided prefix '", prefix));
        }
        new.insert(Bytes::copy_from_slice(prefix));
    }
    if asked.is_empty() {
        new.insert(Bytes::new());
    }
    Ok(new)
}

/// The first of some prefixes, none of which begins another, that begins like `prefix`. O(log n)
fn overlapping<'a>(prefixes: &'a BTreeSet<Bytes>, prefix: &[u8]) -> Option<&'a Bytes> {
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
