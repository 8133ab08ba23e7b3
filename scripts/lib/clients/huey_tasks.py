"""The huey application that huey_consumer.py runs, with the kind of storage that CLIENTS_STORAGE names."""

import os
import time

import huey
import redis
from huey import crontab

kind = os.environ["CLIENTS_STORAGE"]
app = getattr(huey, kind)(kind, url=os.environ["CLIENTS_URL"], notify_result=True)
notes = redis.Redis(port=int(os.environ["CLIENTS_PORT"]), db=1, decode_responses=True)


@app.task()
def add(a, b):
    return a + b


@app.task()
def total(numbers):
    return sum(numbers)


@app.task()
def echo(value):
    return value


@app.task()
def note(value):
    notes.rpush("notes", value)


@app.task()
def divide(a, b):
    return a / b


@app.task(retries=2)
def flaky(name):
    if notes.incr(f"tries:{name}") < 3:
        raise ConnectionError("not yet")
    return "at last"


@app.task(retries=1, retry_delay=1)
def flaky_later(name):
    if notes.incr(f"tries:{name}") < 2:
        raise ConnectionError("not yet")
    return "later"


@app.task()
def locked(seconds):
    with app.lock_task("the lock"):
        time.sleep(seconds)
        return "had the lock"


@app.task()
def limited():
    with app.rate_limit("the limit", 3, 3600, retry=False):
        return "within the limit"


@app.periodic_task(crontab(minute="*"))
def every_minute():
    notes.incr("minutes")
