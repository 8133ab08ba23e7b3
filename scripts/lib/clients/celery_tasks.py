"""The Celery application that celery_worker.py runs: Redis is its broker and keeps its results.

CLIENTS_URL is the server's address. With CLIENTS_WITHOUT_SCRIPTS set, the application uses Celery's own settings for a broker
without scripts: acknowledgements are not kept on the server, and its control queues do not expire.
"""

import os
import time

import redis
from celery import Celery

url = os.environ["CLIENTS_URL"]
app = Celery("celery_tasks", broker=f"{url}/0", backend=f"{url}/1")
app.conf.update(
    beat_schedule={"tick": {"task": "celery_tasks.tick", "schedule": 0.5}},
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 6, "unacked_restore_interval": 1},
    result_expires=1000,
    task_routes={"celery_tasks.push": {"queue": "pushes"}, "celery_tasks.tick": {"queue": "ticks"}},
    task_track_started=True,
)
if os.environ.get("CLIENTS_WITHOUT_SCRIPTS"):
    app.conf.update(broker_transport_options={"ack_emulation": False}, control_queue_expires=None, event_queue_expires=None)

notes = redis.Redis.from_url(f"{url}/2", decode_responses=True)


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def echo(value):
    return value


@app.task(ignore_result=True)
def tick():
    notes.incr("ticks")


@app.task(ignore_result=True)
def push(value):
    notes.rpush("pushed", value)


@app.task
def note_time():
    return time.time()


@app.task
def divide(a, b):
    return a / b


@app.task(bind=True, autoretry_for=(ConnectionError,), default_retry_delay=0.2, max_retries=3)
def flaky(self, failures):
    if self.request.retries < failures:
        raise ConnectionError(f"failure {self.request.retries}")
    return self.request.retries


@app.task(bind=True)
def slow(self, seconds):
    notes.rpush("begun", self.request.id)
    for step in range(10):
        self.update_state(state="PROGRESS", meta={"step": step})
        time.sleep(seconds / 10)
    notes.rpush("ended", self.request.id)
    return seconds


@app.task(bind=True, acks_late=True)
def late(self):
    if notes.rpush("late", self.request.id) == 1:
        time.sleep(60)
    return "done"
