"""`scripts/bench eviction`: how good a cache each server is in the same resident memory, and how well it keeps to its limit.

The client is a Rust program, tests/support/src/bin/cache.rs: it reads keys by Zipf's law and writes those that are missing. The
keys and values that it uses are four times maxmemory. Our server runs first. Redis, whose maxmemory does not count all that is
resident, runs twice: the second time with a maxmemory that gives it the resident memory of ours, and that run counts.
"""

import math
import re
import shutil
import subprocess
import threading
import time

from servers import Server, built, fail

MIB = 2**20
KEY = 16
# Lengths of values: smallest and largest. The logarithm is uniform.
WORKLOADS = {"small": (100, 100), "mixed": (16, 16 * 1024)}
POLICIES = ("allkeys-lru", "allkeys-lfu")
TIMES_MAXMEMORY = 4
# Reads for each key that fits: to fill the cache and come to a steady state, then to be counted.
WARM_UP, COUNTED = 6, 4
# What we promise.
OVER_SHARE, OVER_BYTES = 1.02, 32 * MIB
OWN_P999_US = 200


def eviction(options, redis, ours):
    """All workloads and policies on both servers. Returns whether every reply was right and every promise kept."""
    client = built("cache")
    maxmemory = options.maxmemory
    print(f"maxmemory {maxmemory / MIB:.0f} MiB; a promise: never resident above {limit(maxmemory) / MIB:.0f} MiB\n")
    print("| values | policy | server | hit rate | resident, MiB: mean | peak | requests/s | slowest pipeline, ms | own p99.9, µs | refused |")
    print("|---|---|---|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    kept = True
    for workload in options.workloads.split(","):
        for policy in options.policies.split(","):
            mine = run(options, client, ours, "Evenkeel", workload, policy, maxmemory)
            print(told(workload, policy, mine), flush=True)
            first = run(options, client, redis, "Redis", workload, policy, maxmemory)
            grown = (mine["mean"] - first["empty"]) / (first["mean"] - first["empty"])
            theirs = run(options, client, redis, "Redis", workload, policy, int(maxmemory * grown))
            print(told(workload, policy, theirs), flush=True)
            if options.verbose:
                for row in (mine, theirs):
                    print(f"<!-- {row['server']}, resident MiB over time: {series(row['samples'])} -->", flush=True)
            kept &= mine["hit_rate"] >= theirs["hit_rate"] and mine["peak"] <= limit(maxmemory) and not mine["refused"]
            kept &= mine["own_p999"] <= OWN_P999_US
    return kept


def limit(maxmemory):
    return maxmemory * OVER_SHARE + OVER_BYTES


def told(workload, policy, row):
    own = f"{row['own_p999']:.0f}" if row["own_p999"] else "–"
    return (
        f"| {workload} | {policy} | {row['server']} | {100 * row['hit_rate']:.2f}% | {row['mean'] / MIB:.1f} | {row['peak'] / MIB:.1f} "
        f"| {row['rate']:,.0f} | {row['slowest_us'] / 1000:.1f} | {own} | {row['refused']} |"
    )


def series(samples, count=20):
    """Some of the samples."""
    step = max(1, len(samples) // count)
    return " ".join(f"{bytes / MIB:.0f}" for bytes in samples[::step])


def run(options, client, binary, name, workload, policy, maxmemory):
    """One server under one load."""
    smallest, largest = WORKLOADS[workload]
    mean = smallest if smallest == largest else (largest - smallest) / math.log(largest / smallest)
    keys = int(TIMES_MAXMEMORY * options.maxmemory / (KEY + mean))
    fitting = keys // TIMES_MAXMEMORY
    settings = ["--maxmemory", str(maxmemory), "--maxmemory-policy", policy]
    with Server(binary, name, options.server_core if shutil.which("taskset") else None, settings) as server:
        empty = server.resident_bytes()
        watch = Watch(server)
        pin = ["taskset", "-c", str(options.client_core)] if shutil.which("taskset") else []
        numbers = [server.port, keys, smallest, largest, WARM_UP * fitting, COUNTED * fitting]
        with subprocess.Popen([*pin, client, *map(str, numbers)], stdout=subprocess.PIPE, text=True) as process:
            figures = {}
            for line in process.stdout:
                word, _, rest = line.strip().partition(" ")
                if word == "warm":
                    watch.warm = len(watch.samples)
                elif word == "figures":
                    figures = {field: float(value) for field, value in (pair.split("=") for pair in rest.split())}
                else:
                    fail(f"{name}: {line.strip()}")
        watch.stop()
        if not figures:
            fail(f"{name}: the client ended without figures")
        stalls = info(server, "stalls")
        own = re.search(r"stall_own_p99\.9_us:([0-9.]+)", stalls)
    steady = watch.samples[watch.warm :] or watch.samples
    return {
        "server": name, "hit_rate": figures["hits"] / figures["reads"], "rate": figures["reads"] / figures["seconds"],
        "refused": int(figures["refused"]), "slowest_us": figures["slowest_us"], "empty": empty, "samples": watch.samples,
        "stalls": stalls, "mean": sum(steady) / len(steady), "peak": max(watch.samples), "own_p999": float(own[1]) if own else 0,
    }  # fmt: skip


def info(server, section):
    """The text of a section of INFO."""
    with server.connect() as connection, connection.makefile("rb") as replies:
        connection.sendall(f"INFO {section}\r\n".encode())
        return replies.read(int(replies.readline()[1:])).decode()


class Watch:
    """Looks at a server's resident memory fifty times a second, until it is stopped."""

    def __init__(self, server):
        self.samples = []
        self.warm = 0
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self):
        while not self._ended.is_set():
            self.samples.append(self._server.resident_bytes())
            time.sleep(0.02)

    def stop(self):
        self._ended.set()
        self._thread.join()
