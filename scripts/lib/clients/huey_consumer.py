"""huey: tasks, pipelines, chords, locks and limits with a real consumer, over each of its kinds of Redis storage."""

import importlib
import os
import pathlib
import signal
import sys
import time

import redis

import check
from check import Program, eventually, fails, needs, port, same, true, url

env = {"CLIENTS_PORT": str(port), "CLIENTS_URL": url, "PYTHONPATH": str(pathlib.Path(__file__).parent)}
r = redis.Redis(port=port)
notes = redis.Redis(port=port, db=1, decode_responses=True)
scheduler = needs("the scheduler, with delays and the delays of retries", "evalsha")
locks_with_time = needs("locks with a time to live in huey's own hash", "hexpire")


def wait(result):
    return result(blocking=True, timeout=30)


def storage(kind):
    for key in notes.keys():
        notes.delete(key)
    os.environ.update(env, CLIENTS_STORAGE=kind)
    sys.modules.pop("huey_tasks", None)
    tasks = importlib.import_module("huey_tasks")
    app = tasks.app
    # What is queued before there is a consumer.
    revoked = tasks.note("revoked")
    revoked.revoke()
    for number in range(3):
        tasks.note(f"kept {number}")
    if "Priority" in kind:
        app.enqueue(tasks.note.s("urgent", priority=9))
    same(
        [len(app), app.is_revoked(revoked.task)],
        [5 if "Priority" in kind else 4, True],
        f"{kind}: tasks are queued, and one is revoked",
    )
    command = [sys.executable, "-m", "huey.bin.huey_consumer", "huey_tasks.app", "-w", "4", "-k", "thread"]
    with Program(command, {**env, "CLIENTS_STORAGE": kind}, stop_signal=signal.SIGINT) as consumer:
        expected = [f"kept {number}" for number in range(3)] + (["urgent"] if "Priority" in kind else [])
        eventually(
            lambda: sorted(notes.lrange("notes", 0, -1)),
            expected,
            f"{kind}: what was queued is done, and what was revoked is not",
        )
        use(kind, tasks, app)
        slow = tasks.locked(1)
        eventually(lambda: app.is_locked("the lock"), True, f"{kind}: a last task runs")
        same([consumer.stop(), slow()], [0, "had the lock"], f"{kind}: a consumer that is stopped ends what it has begun")
    same(len(app), 0, f"{kind}: nothing is left")
    app.flush()


def use(kind, tasks, app):
    same(wait(tasks.add(2, 3)), 5, f"{kind}: a task")
    same([wait(result) for result in [tasks.add(number, 1) for number in range(60)]], list(range(1, 61)), f"{kind}: 60 tasks")
    blob = bytes(range(256)) * (4 << 10)
    true(wait(tasks.echo(blob)) == blob, f"{kind}: 1 MiB there and back")
    fails(
        lambda: wait(tasks.divide(1, 0)), tasks.huey.exceptions.TaskException, "ZeroDivisionError", f"{kind}: a task that fails"
    )
    tried = tasks.flaky("x")
    eventually(lambda: (tried.reset(), tried())[1], "at last", f"{kind}: a task that is tried three times")

    # Tasks that follow each other.
    chain = app.enqueue(tasks.add.s(1, 2).then(tasks.add, 10).then(tasks.add, 100))
    same(chain.get(blocking=True, timeout=30), [3, 13, 113], f"{kind}: a pipeline")
    mapped = tasks.add.map([(number, number) for number in range(20)])
    same(mapped.get(blocking=True, timeout=30), [2 * number for number in range(20)], f"{kind}: a map")
    together = app.enqueue(tasks.huey.group([tasks.add.s(number, 1) for number in range(10)]).then(tasks.total))
    same(together.get(blocking=True, timeout=30), 55, f"{kind}: a chord")

    # Revoked and restored.
    tasks.note.revoke()
    same([tasks.note.is_revoked(), wait_none(tasks.note("never"))], [True, True], f"{kind}: a kind of task is revoked")
    tasks.note.restore()
    tasks.note("again")
    eventually(lambda: notes.lrange("notes", -1, -1), ["again"], f"{kind}: and restored")

    # Locks, limits, periods.
    first = tasks.locked(0.7)
    eventually(lambda: app.is_locked("the lock"), True, f"{kind}: a lock is taken")
    fails(
        lambda: wait(tasks.locked(0)), tasks.huey.exceptions.TaskException, "unable to acquire lock", f"{kind}: by one at a time"
    )
    same([wait(first), app.is_locked("the lock")], ["had the lock", False], f"{kind}: and given back")
    if locks_with_time or "Expire" in kind:
        brief = app.lock_task("brief", ttl=1)
        same([brief.acquire(), app.is_locked("brief")], [True, True], f"{kind}: a lock with a time to live")
        eventually(lambda: app.is_locked("brief"), False, f"{kind}: which ends by itself", 5)
    limits = []
    for _ in range(5):
        try:
            limits.append(wait(tasks.limited()))
        except tasks.huey.exceptions.TaskException as error:
            limits.append("RateLimitExceeded" in str(error))
    same(limits, ["within the limit"] * 3 + [True] * 2, f"{kind}: a limit of three an hour")
    eventually(lambda: int(notes.get("minutes") or 0) >= 1, True, f"{kind}: a periodic task")
    if scheduler:
        begun = time.time()
        same(wait(tasks.add.schedule((4, 5), delay=1)), 9, f"{kind}: a task with a delay")
        true(0.9 < time.time() - begun < 10, f"{kind}: comes after its delay")
        tried = tasks.flaky_later("y")
        eventually(lambda: (tried.reset(), tried())[1], "later", f"{kind}: a task that is tried again later")
    else:
        later = tasks.note.schedule(("later",), delay=3600)
        eventually(
            lambda: [app.scheduled_count(), [task.id for task in app.scheduled()]],
            [1, [later.id]],
            f"{kind}: a task with a delay is kept",
        )
        app.storage.flush_schedule()

    # The consumer's connections are lost; it tries again. Who queues tasks does not, so our own are closed before.
    app.storage.pool.disconnect()
    true(r.client_kill_filter(_type="normal", skipme=True) >= 1, f"{kind}: CLIENT KILL of the consumer's connections")
    same(
        [wait(result) for result in [tasks.add(number, 2) for number in range(10)]],
        list(range(2, 12)),
        f"{kind}: the consumer connects again",
    )


def wait_none(result):
    """Whether a result does not come."""
    time.sleep(0.3)
    return result() is None


for kind in ("RedisHuey", "RedisExpireHuey", "PriorityRedisHuey"):
    storage(kind)

import huey  # noqa: E402

check.done(f"huey {huey.__version__}, with redis-py {redis.__version__}")
