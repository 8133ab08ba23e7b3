//! Background work: compaction, expiry and whatever else the engine's jobs are, and clients that have been silent too long.
//!
//! | the loop is | what runs |
//! |---|---|
//! | idle | one bounded round of useful work after another, each after a look for new events, until there is none |
//! | busy | what is owed, one bounded round a time, between the connections' turns; a writer pays its part of it itself |
//! | asleep | a round after 10 ms, then less and less often, down to 10 a second; at once when something is pressing |

use std::rc::Rc;
use std::time::Duration;

use super::Shared;
use crate::dispatch;
use crate::engine::Engine;

/// Between two rounds while something happens.
const TICK: Duration = Duration::from_millis(10);
/// Between two rounds while nothing does. A key is gone 100 ms after it is due.
const TICK_ASLEEP: Duration = Duration::from_millis(100);
/// The search for silent clients, as the stall ledger names it.
const IDLE_CLIENTS: &str = "idle-clients";
/// Between two searches for silent clients, in microseconds.
const IDLE_CLIENTS_US: u64 = 1_000_000;

/// Runs for as long as the server does.
pub(super) async fn run(shared: Rc<Shared>) {
    let mut tick = TICK;
    let mut clients_due_us = 0;
    loop {
        let turns_before = shared.turns.get();
        rest(&shared, tick).await;
        shared.clock.adjust();

        let mut turns = shared.turns.get();
        let mut awake = turns != turns_before;
        // Anything useful until a connection has had a turn. Then what is owed, a round for each turn that the connections
        // have; the rest waits for the next tick.
        while round(&shared, turns == shared.turns.get()) {
            awake = true;
            turns = shared.turns.get();
            tokio::task::yield_now().await;
        }
        tick = if awake { TICK } else { (tick * 2).min(TICK_ASLEEP) };

        let now_us = shared.clock.monotonic_us();
        if now_us >= clients_due_us {
            clients_due_us = now_us + IDLE_CLIENTS_US;
            end_idle_clients(&shared);
        }
    }
}

/// Waits for so long, or until a time-out is due: those are kept to the millisecond.
async fn rest(shared: &Shared, tick: Duration) {
    let ends_us = shared.clock.monotonic_us() + tick.as_micros() as u64;
    loop {
        let due_us = shared.engine.borrow().next_timeout_us().unwrap_or(u64::MAX);
        let rest_ends_us = ends_us.min(due_us);
        let left_us = rest_ends_us.saturating_sub(shared.clock.monotonic_us());
        let must_go_on = |engine: &Engine| engine.is_pressed() || engine.has_woken();
        if left_us == 0 || must_go_on(&shared.engine.borrow()) {
            break;
        }
        shared.rest_ends_us.set(rest_ends_us);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_micros(left_us)) => {}
            () = shared.rest_ends.notified() => {}
        }
    }
    shared.rest_ends_us.set(0);
}

/// One bounded round of what is owed, or with `idle` of whatever the engine can usefully do; whether there is more to do.
fn round(shared: &Shared, idle: bool) -> bool {
    let mut engine = shared.engine.borrow_mut();
    let began_ns = shared.clock.ns();
    engine.begin_turn(began_ns, 0);
    engine.set_now(shared.clock.at(began_ns));
    let mut more = engine.run_jobs(idle);
    more |= dispatch::serve_parked(&mut engine);
    shared.wake(&mut engine);
    more |= engine.has_woken();
    let ended_ns = engine.ledger.mark_ns();
    engine.end_turn(ended_ns);
    more
}

fn end_idle_clients(shared: &Shared) {
    let silent = {
        let mut engine = shared.engine.borrow_mut();
        engine.begin_turn(shared.clock.ns(), 0);
        let silent = engine.idle_clients();
        let now_ns = shared.clock.ns();
        engine.ledger.part(IDLE_CLIENTS, 1, now_ns);
        engine.end_turn(now_ns);
        silent
    };
    let tasks = shared.tasks.borrow();
    for client in silent {
        if let Some(task) = tasks.get(&client) {
            tracing::debug!("closing the connection of client {}: it has been silent for too long", client.0);
            task.abort();
        }
    }
}
