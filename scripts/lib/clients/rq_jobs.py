"""The jobs that rq_worker.py queues. They note what they did in database 1, so that a result is not the only proof."""

import os
import time

import redis

notes = redis.Redis(port=int(os.environ["CLIENTS_PORT"]), db=1, decode_responses=True)


def add(a, b):
    notes.rpush("added", a + b)
    return a + b


def note(name):
    notes.rpush("notes", name)


def length(value):
    notes.rpush("lengths", len(value))
    return value


def fail():
    raise ValueError("as it should")


def fail_at_first(name, times):
    if notes.incr(f"tries:{name}") <= times:
        raise ConnectionError("not yet")
    notes.rpush("notes", name)


def sleep(seconds):
    notes.rpush("notes", "begun")
    time.sleep(seconds)
    notes.rpush("notes", "ended")


def succeeded(job, connection, result):
    notes.rpush("notes", f"success of {job.args[0]}")
