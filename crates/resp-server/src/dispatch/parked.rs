//! Serves parked requests whose keys are ready (see [`crate::engine::parked`]).
//!
//! Called wherever a key may have changed or become free: after each command, each slice of a long one, each round of jobs and the
//! end of a client. A request is run like any other, by its own client, so gates, statistics and what it changes are the same;
//! what it makes ready itself (BLMOVE's target) is served after those before it.

use super::call::{Next, Turn};
use super::holding;
use super::lookup::{Resolved, lookup};
use super::news;
use crate::engine::{ClientId, Engine};
use crate::keyspace::KeyPlace;
use crate::proto::Reply;

/// What a step of serving may cost: some 50 us.
const STEP: usize = 128;
/// What running a request again costs.
const RUN: usize = 4;
/// Keys of such a request that cost 1 in that measure.
const KEYS: usize = 4;

/// Tells what has happened to keys, and runs parked requests again that may find something now, first come first served at each key:
/// as many as a step may. What is left is held for those who wait for it; whether something is.
pub fn serve_parked(engine: &mut Engine) -> bool {
    news::tell_notices(engine, None);
    let is_left = serve(engine);
    if engine.tracking.has_changed() {
        engine.tell_broadcasts();
    }
    is_left
}

/// Runs parked requests again: [`serve_parked`] within another client's turn.
pub(super) fn serve(engine: &mut Engine) -> bool {
    if !engine.has_ready() || !engine.begin_serving() {
        return false;
    }
    let mut left = STEP;
    while left > 0
        && let Some((key, ticket)) = engine.next_ready()
    {
        match serve_key(engine, key, ticket, &mut left) {
            End::Served => engine.key_is_served(key),
            End::Held => engine.serve_after_release(key),
            End::StepIsOver(ticket) => engine.serve_on(key, ticket),
        }
    }
    engine.end_serving()
}

/// How far the queue of a key was served.
enum End {
    /// All are served that can be.
    Served,
    /// The first that is not needs what a task holds.
    Held,
    /// It goes on with this ticket.
    StepIsOver(u64),
}

fn serve_key(engine: &mut Engine, key: KeyPlace, mut ticket: u64, left: &mut usize) -> End {
    // Looked up once, and again after each request that was run: a long queue for another type costs little.
    let mut known = None;
    while let Some(candidate) = engine.parked.candidate(key, ticket) {
        if *left == 0 {
            return End::StepIsOver(candidate.ticket);
        }
        *left -= 1;
        ticket = candidate.ticket + 1;
        let Some(value_type) = candidate.value_type else { continue };
        let here = *known.get_or_insert_with(|| {
            let args = engine.parked.request(candidate.client).args();
            engine.keyspace.db(key.0 as usize).find(args.at(candidate.argument)).value_type()
        });
        let Some(here) = here else { break };
        if here != value_type {
            continue;
        }
        if needs_what_is_held(engine, key, candidate.client) {
            return End::Held;
        }
        *left = left.saturating_sub(RUN + engine.parked.request(candidate.client).args().len() / KEYS);
        run_again(engine, candidate.client);
        known = None;
    }
    End::Served
}

fn needs_what_is_held(engine: &Engine, key: KeyPlace, client: ClientId) -> bool {
    let args = engine.parked.request(client).args();
    let Resolved::Found(command) = lookup().resolve(&args) else {
        unreachable!("the request has been carried out");
    };
    holding::is_held(engine, key, command, &args)
}

/// Runs a parked request; its answer goes to the client's outbox, and the beginning of a long one to where its connection finds it.
fn run_again(engine: &mut Engine, client: ClientId) {
    let parked = engine.take_up(client).expect("a candidate is parked");
    let earlier = engine.outbox.take(client);
    let mut answer = Reply::new();
    answer.protocol = engine.client(client).protocol;
    let next = Turn::new(engine, client).run_again(engine, &parked.request.args(), &mut answer);
    let protocol = answer.protocol;
    let mut all = earlier.unwrap_or_default();
    if engine.client(client).is_muted() {
        engine.discard(answer);
    } else {
        all.append(answer);
    }
    match next {
        Next::Park(_) => engine.park_again(client, parked),
        Next::Done | Next::Close => {
            engine.give_up_places(parked);
            engine.note_answered(client);
        }
        // Its connection goes on with it; nothing may come between.
        Next::Pause(_) => {
            engine.go_on_as_task(parked);
            return engine.begin_answer(client, all);
        }
    }
    if all.is_empty() {
        engine.outbox.wake(client);
    } else {
        engine.outbox.write(client, protocol, |reply| reply.append(all));
    }
}
