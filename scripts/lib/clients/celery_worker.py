"""A Celery application with Redis as broker and result backend, and a real worker process with its beat."""

import datetime
import os
import pathlib
import sys
import threading
import time

import celery
import kombu
import redis
from celery.exceptions import TaskRevokedError, TimeoutError

import check
from check import Program, eventually, fails, needs, port, same, true

env = {"CLIENTS_URL": f"redis://127.0.0.1:{port}", "PYTHONPATH": str(pathlib.Path(__file__).parent)}
scripts = needs("acknowledgements that the server keeps, and control queues that expire", "evalsha")
if not scripts:
    env["CLIENTS_WITHOUT_SCRIPTS"] = "1"
os.environ.update(env)

import celery_tasks as tasks  # noqa: E402

r, notes = redis.Redis(port=port), tasks.notes
options = "worker --concurrency 4 --task-events --queues celery,pushes,ticks --loglevel INFO"
command = [sys.executable, "-m", "celery", "--app", "celery_tasks", *options.split()]


def use():
    eventually(
        lambda: [list(answer.values())[0] for answer in tasks.app.control.ping(timeout=0.5)],
        [{"ok": "pong"}],
        "a ping of the worker",
        40,
    )
    listening = threading.Event()
    events = []

    def listen():
        with tasks.app.connection() as connection:
            receiver = tasks.app.events.Receiver(
                connection, handlers={"*": lambda event: events.append((event["type"], event.get("uuid")))}
            )
            listening.set()
            try:
                receiver.capture(timeout=25, limit=None)
            except Exception:
                pass

    threading.Thread(target=listen, daemon=True).start()
    listening.wait()
    simple()
    observed(events)
    canvas()
    later()
    revoked()
    queues()
    lost_connections()
    beat = int(notes.get("ticks"))
    true(beat > 3, f"beat ticks: {beat}")


def simple():
    result = tasks.add.delay(2, 3)
    same([result.get(timeout=20), result.state, result.successful()], [5, "SUCCESS", True], "a task")
    same(tasks.app.AsyncResult(result.id).get(timeout=5), 5, "its result by its name")
    true(900 < redis.Redis(port=port, db=1).ttl(f"celery-task-meta-{result.id}") <= 1000, "a result is kept for its time")
    result.forget()
    same(tasks.app.AsyncResult(result.id).state, "PENDING", "a result is forgotten")
    results = [tasks.add.delay(number, number) for number in range(100)]
    same([result.get(timeout=20) for result in results], [2 * number for number in range(100)], "100 tasks")
    value = {"text": "\u00e4\u6f22\r\n\0" * 200_000, "list": list(range(50_000))}
    true(tasks.echo.delay(value).get(timeout=30) == value, "some MiB there and back")
    fails(lambda: tasks.divide.delay(1, 0).get(timeout=20), ZeroDivisionError, "division by zero", "a task that fails")
    failed = tasks.divide.delay(1, 0)
    failed.get(timeout=20, propagate=False)
    same([failed.state, "ZeroDivisionError" in failed.traceback], ["FAILURE", True], "its state and its traceback")
    same(tasks.flaky.delay(2).get(timeout=20), 2, "a task that is tried three times")
    fails(lambda: tasks.flaky.delay(9).get(timeout=20), ConnectionError, "failure 3", "a task that fails four times")
    running = tasks.slow.delay(2)
    eventually(lambda: running.state == "PROGRESS" and running.info["step"] > 2, True, "a running task tells its state")
    fails(lambda: running.get(timeout=0.1), TimeoutError, "", "a wait that is too short")
    same(running.get(timeout=20), 2, "and it ends")


def observed(events):
    watched = tasks.add.delay(20, 30)
    same(watched.get(timeout=20), 50, "a task that is observed")
    for kind in ("task-received", "task-started", "task-succeeded"):
        eventually(lambda: (kind, watched.id) in events, True, f"the event {kind}", 10)


def canvas():
    same((tasks.add.s(1, 2) | tasks.add.s(10) | tasks.add.s(100)).apply_async().get(timeout=20), 113, "a chain")
    together = celery.group(tasks.add.s(number, 1) for number in range(30)).apply_async()
    same([together.get(timeout=20), together.completed_count()], [list(range(1, 31)), 30], "a group")
    together.save()
    same(
        celery.result.GroupResult.restore(together.id, app=tasks.app).get(timeout=5), list(range(1, 31)), "a group that is saved"
    )
    same(
        tasks.add.chunks(zip(range(20), range(20)), 5).apply_async().get(timeout=20),
        [[2 * (5 * part + at) for at in range(5)] for part in range(4)],
        "chunks",
    )
    if needs("chords", "evalsha"):
        same(celery.chord(tasks.add.s(number, number) for number in range(20))(tasks.total.s()).get(timeout=30), 380, "a chord")
        chained = tasks.add.s(1, 1) | celery.group(tasks.add.s(1), tasks.add.s(2)) | tasks.total.s()
        same(chained.apply_async().get(timeout=30), 7, "a chain with a group within, which becomes a chord")
        broken = celery.chord([tasks.add.s(1, 1), tasks.divide.s(1, 0)])(tasks.total.s())
        fails(lambda: broken.get(timeout=30), Exception, "division by zero", "a chord with a task that fails")


def later():
    begun = time.time()
    delayed = tasks.note_time.apply_async(countdown=2.5)
    at = tasks.note_time.apply_async(eta=tasks.app.now() + datetime.timedelta(seconds=2))
    eventually(
        lambda: sum(len(found) for found in tasks.app.control.inspect(timeout=0.5).scheduled().values()),
        2,
        "two tasks are scheduled",
        5,
    )
    true(delayed.get(timeout=20) - begun >= 2.4, "a task with a countdown")
    true(at.get(timeout=20) - begun >= 1.9, "a task with a time")
    stale = tasks.note_time.apply_async(countdown=1, expires=0.2)
    fails(lambda: stale.get(timeout=20), TaskRevokedError, "expired", "a task that is too late")


def revoked():
    unborn = tasks.slow.apply_async([1], countdown=3)
    unborn.revoke()
    fails(lambda: unborn.get(timeout=20), TaskRevokedError, "revoked", "a task that is revoked before it begins")
    running = tasks.slow.delay(50)
    eventually(lambda: notes.lpos("begun", running.id) is not None, True, "a long task begins")
    same(
        [task["id"] for found in tasks.app.control.inspect(timeout=0.5).active().values() for task in found],
        [running.id],
        "inspect shows it",
    )
    running.revoke(terminate=True)
    fails(lambda: running.get(timeout=20), TaskRevokedError, "terminated", "a task that is terminated")
    same([notes.lpos("begun", unborn.id), notes.lpos("ended", running.id)], [None, None], "neither came to its end")


def queues():
    tasks.app.control.cancel_consumer("pushes", reply=True, timeout=1)
    for number in range(20):
        tasks.push.apply_async([number], priority=[0, 3, 6, 9][number % 4])
    waiting = {key.decode(): r.llen(key) for key in r.keys("pushes*")}
    # Redis has no priorities: kombu has a list for each.
    same(sorted(waiting.values()), [5, 5, 5, 5], f"20 messages in four lists of priorities: {waiting}")
    tasks.app.control.add_consumer("pushes", reply=True, timeout=1)
    eventually(lambda: sorted(map(int, notes.lrange("pushed", 0, -1))), list(range(20)), "a worker takes them all")
    tasks.app.control.cancel_consumer("pushes", reply=True, timeout=1)
    for number in range(7):
        tasks.push.delay(number)
    same([r.llen("pushes"), tasks.app.amqp.queues["pushes"].bind(tasks.app.connection()).purge()], [7, 7], "a queue is purged")


def lost_connections():
    # All but ours: the worker's, its children's, and those that we wait for results with.
    same(r.client_kill_filter(_type="normal", skipme=True) >= 3, True, "CLIENT KILL of the worker's connections")
    same(r.client_kill_filter(_type="pubsub", skipme=True) >= 1, True, "and of its subscribers")
    results = [tasks.add.delay(number, 1) for number in range(10)]
    same([result.get(timeout=40) for result in results], list(range(1, 11)), "the worker connects again")
    eventually(lambda: len(tasks.app.control.ping(timeout=0.5)), 1, "and hears of control messages", 30)


with Program([*command, "--beat"], env) as worker:
    use()
    final = tasks.slow.delay(1.5)
    eventually(lambda: notes.lpos("begun", final.id) is not None, True, "a last task begins")
    same([worker.stop(), final.get(timeout=5)], [0, 1.5], "a worker that is stopped ends what it has begun")
queued = tasks.add.delay(1, 1)
same([r.llen("celery"), queued.state], [1, "PENDING"], "a task waits for a worker")
with Program(command, env) as worker:
    same(queued.get(timeout=40), 2, "the next worker takes it")
    if scripts:
        lost = tasks.late.delay()
        eventually(lambda: notes.llen("late"), 1, "a task that is acknowledged late begins")
        same(r.hlen("unacked") >= 1, True, "and is kept as not acknowledged")
        worker.kill()
if scripts:
    with Program(command, env) as worker:
        same(lost.get(timeout=40), "done", "what a killed worker had begun is given to another")
        same(notes.lrange("late", 0, -1), [lost.id] * 2, "once")

check.done(f"Celery {celery.__version__} (kombu {kombu.__version__}), with redis-py {redis.__version__}")
