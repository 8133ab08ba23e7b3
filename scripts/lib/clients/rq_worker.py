"""RQ: queues, dependencies, retries and commands with real worker processes, which fork for each job."""

import datetime
import os
import pathlib
import sys

import redis

import check
from check import Program, eventually, fails, needs, options, port, same, true, url

env = {"CLIENTS_PORT": str(port), "PYTHONPATH": str(pathlib.Path(__file__).parent)}
os.environ.update(env)

import rq  # noqa: E402
from rq import Queue, Retry, Worker  # noqa: E402
from rq.command import send_shutdown_command, send_stop_job_command  # noqa: E402
from rq.exceptions import InvalidJobOperation  # noqa: E402
from rq.job import Job, JobStatus  # noqa: E402

import rq_jobs as jobs  # noqa: E402

r, notes = redis.Redis(port=port, **options), jobs.notes
results = needs("results, and jobs that fail for good", "xadd", "xrevrange")
scheduler = needs("the scheduler", "evalsha")
# With a result_ttl of 0 RQ keeps no result, and so needs no stream for it.
kept = {} if results else {"result_ttl": 0}
normal, urgent = Queue(connection=r), Queue("urgent", connection=r)
command = [sys.executable, "-m", "rq.cli", "worker", "--url", url, "urgent", "default"]


def noted():
    return notes.lrange("notes", 0, -1)


def queued():
    """What stands in queues while no worker runs."""
    same([normal.count, r.smembers("rq:queues")], [0, set()], "no queue yet")
    first = normal.enqueue(jobs.note, "first", **kept)
    same(
        [normal.count, normal.job_ids, first.get_status(), first.get_position()],
        [1, [first.id], JobStatus.QUEUED, 0],
        "a job is queued",
    )
    normal.enqueue(jobs.note, "second", at_front=True, **kept)
    urgent.enqueue(jobs.note, "urgent", **kept)
    unwanted = normal.enqueue(jobs.note, "unwanted", **kept)
    unwanted.cancel()
    same(
        [unwanted.get_status(refresh=True), unwanted.id in normal.canceled_job_registry, normal.count],
        [JobStatus.CANCELED, True, 2],
        "a job is cancelled",
    )
    fails(unwanted.cancel, InvalidJobOperation, "", "twice")
    removed = normal.enqueue(jobs.note, "removed", **kept)
    removed.delete()
    same([normal.count, Job.exists(removed.id, connection=r)], [2, False], "a job is deleted")
    same(Job.fetch(first.id, connection=r).args, ("first",), "a job is fetched")


def worked():
    eventually(noted, ["urgent", "second", "first"], "jobs in the order of their queues", 20)
    many = normal.enqueue_many([Queue.prepare_data(jobs.add, (number, 1), **kept) for number in range(10)])
    same(len(many), 10, "enqueue_many")
    eventually(lambda: sorted(map(int, notes.lrange("added", 0, -1))), list(range(1, 11)), "ten jobs", 30)
    blob = bytes(range(256)) * (2 << 12)
    normal.enqueue(jobs.length, blob, **kept)
    eventually(lambda: notes.lrange("lengths", 0, -1), [str(len(blob))], "an argument of 2 MiB")

    # Dependencies, retries, callbacks.
    notes.delete("notes")
    parent = normal.enqueue(jobs.sleep, 0.5, **kept)
    child = urgent.enqueue(jobs.note, "child", depends_on=parent, **kept)
    grandchild = normal.enqueue(jobs.note, "grandchild", depends_on=[parent, child], **kept)
    same([child.get_status(), child.id in urgent.deferred_job_registry], [JobStatus.DEFERRED, True], "a job waits for another")
    same(grandchild.id in normal.deferred_job_registry, True, "and one for two others")
    eventually(noted, ["begun", "ended", "child", "grandchild"], "they follow", 20)
    normal.enqueue(jobs.fail_at_first, "third time", 2, retry=Retry(max=3), **kept)
    eventually(lambda: [noted()[-1], notes.get("tries:third time")], ["third time", "3"], "a job is retried", 20)
    normal.enqueue(jobs.note, "this", on_success=jobs.succeeded, **kept)
    eventually(lambda: noted()[-2:], ["this", "success of this"], "a callback", 20)


def watched():
    workers = Worker.all(connection=r)
    same(
        [len(workers), sorted(workers[0].queue_names()), Worker.count(connection=r)],
        [1, ["default", "urgent"], 1],
        "a worker is registered",
    )
    true(workers[0].successful_job_count >= 16, f"with its number of jobs: {workers[0].successful_job_count}")
    eventually(lambda: Worker.find_by_key(workers[0].key, connection=r).get_state(), "idle", "it is idle")
    same(
        [queue.name for queue in sorted(Queue.all(connection=r), key=lambda queue: queue.name)],
        ["default", "urgent"],
        "queues are known",
    )
    return workers[0]


def kept_results():
    job = normal.enqueue(jobs.add, 20, 3)
    same(job.latest_result(timeout=20).return_value, 23, "a result is waited for")
    same(
        [job.get_status(refresh=True), job.return_value(), job.id in normal.finished_job_registry],
        [JobStatus.FINISHED, 23, True],
        "a result",
    )
    true(400 < r.ttl(f"rq:results:{job.id}") <= 500, "which is kept for its time")
    failed = normal.enqueue(jobs.fail)
    eventually(lambda: failed.get_status(refresh=True), JobStatus.FAILED, "a job that fails")
    same(
        ["ValueError: as it should" in failed.latest_result().exc_string, failed.id in normal.failed_job_registry],
        [True, True],
        "with its traceback",
    )
    failed.requeue()
    eventually(lambda: len(failed.results()), 2, "is queued again, and fails again")
    stopped = normal.enqueue(jobs.sleep, 60)
    eventually(lambda: stopped.get_status(refresh=True), JobStatus.STARTED, "a long job begins")
    send_stop_job_command(r, stopped.id)
    eventually(lambda: stopped.get_status(refresh=True), JobStatus.STOPPED, "and is stopped")
    blob = bytes(range(256)) * (1 << 12)
    true(normal.enqueue(jobs.length, blob).latest_result(timeout=20).return_value == blob, "a result of 1 MiB")


def scheduled():
    notes.delete("notes")
    later = normal.enqueue_in(datetime.timedelta(seconds=1), jobs.note, "later", **kept)
    same([later.get_status(), later.id in normal.scheduled_job_registry], [JobStatus.SCHEDULED, True], "a job is scheduled")
    eventually(noted, ["later"], "and comes", 20)
    normal.enqueue(jobs.note, "once", job_id="unique", unique=True, **kept)
    fails(
        lambda: [normal.enqueue(jobs.note, "twice", job_id="unique", unique=True, **kept) for _ in range(2)],
        Exception,
        "",
        "a job's name is unique",
    )
    eventually(noted, ["later", "once"], "and its job is done", 20)


def lost_connections(worker):
    # RQ's worker survives a lost connection where it waits for jobs, and only there.
    eventually(
        lambda: [normal.count, Worker.find_by_key(worker.key, connection=r).get_state()], [0, "idle"], "the worker is idle"
    )
    notes.delete("notes")
    true(r.client_kill_filter(_type="normal", skipme=True) >= 1, "CLIENT KILL of the worker's connections")
    r.client_kill_filter(_type="pubsub", skipme=True)
    normal.enqueue(jobs.note, "after", **kept)
    eventually(noted, ["after"], "the worker connects again", 30)
    eventually(
        lambda: r.pubsub_numsub(f"rq:pubsub:{worker.name}"), [(f"rq:pubsub:{worker.name}".encode(), 1)], "and hears commands", 30
    )


queued()
with Program([*command, *(["--with-scheduler"] if scheduler else [])], env) as program:
    worked()
    worker = watched()
    if results:
        kept_results()
    if scheduler:
        scheduled()
    lost_connections(worker)
    send_shutdown_command(r, worker.name)
    same(program.process.wait(timeout=30), 0, "a worker ends by a command")
same(Worker.count(connection=r), 0, "and is no longer registered")

notes.delete("notes")
for number in range(3):
    normal.enqueue(jobs.note, number, **kept)
with Program([*command, "--burst"], env) as program:
    same(program.process.wait(timeout=60), 0, "a worker that ends when there is nothing left")
same([noted(), normal.count], [["0", "1", "2"], 0], "has done all")
if needs("a queue that is emptied", "evalsha"):
    normal.enqueue(jobs.note, "x")
    same([normal.empty(), normal.count], [1, 0], "a queue is emptied")

check.done(f"RQ {rq.VERSION}, with redis-py {redis.__version__}")
