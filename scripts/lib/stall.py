"""`scripts/bench stall` and `scripts/bench stall-memory`: what small requests and memory feel of large values and long commands.

The clients that measure and load are a Rust program, tests/support/src/bin/stall: a prober in Python would add tens of
microseconds of its own. This file starts servers and clients, pins them, and prints.

Who stands where: the server on one core, prober and load on another. The prober takes that core whenever it has something to do
(real-time priority where the system grants it, else the load is made nice), so what the load costs itself is not measured.
Both servers are measured so, one row after the other in one run: trust the comparison, not the microseconds.
"""

import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time

from servers import Server, built, fail

KIB, MIB = 2**10, 2**20

# What the project promises for every row: see `judge`.
LEDGER_MAX_US = 1000
LEDGER_P999_US = 200
QUIET_TIMES, QUIET_PLUS_US = 1.2, 100
# A server that waits longer for its core while the prober alone is there shares it with something else.
BUSY_MS = 5
COPY_FREE_MIB = {"overwrite": 2, "readers": 16}


def size_text(size):
    """A size as people write it."""
    for unit, name in ((2**30, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


# ---- latencies


class Wrong(Exception):
    """A server answered what it must not, or nothing."""


def stall(options, redis, ours):
    """All rows on both servers. Returns whether every reply was right."""
    clients = built("stall")
    rows = [line.split("\t") for line in subprocess.run([clients, "rows"], capture_output=True, text=True).stdout.splitlines()]
    names = [name for name, _, _ in rows]
    wanted = options.rows.split(",") if options.rows else names
    for name in wanted:
        if name not in names:
            fail(f"there is no row {name}; there are {', '.join(names)}", 2)
    bench = Latencies(options, clients)
    right = True
    figures = {}
    for name, commands, title in rows:
        if name not in wanted:
            continue
        title = title.replace("{size}", size_text(options.size)).replace("{keys}", f"{options.keys:,}")
        title = title.replace("{keys*5}", f"{5 * options.keys:,}")
        for server_name, binary in (("Redis", redis), ("Evenkeel", ours)):
            try:
                row = median([bench.measure(name, commands.split(), server_name, binary) for _ in range(options.rounds)])
            except Wrong as wrong:
                right = False
                row = {"note": f"WRONG: {wrong}"}
            figures[name, server_name] = {"title": title, **row}
            line = f"{title:<46} {server_name:<9} {told(row)}"
            print(line, file=sys.stderr if options.markdown else sys.stdout, flush=True)
    print(f"\n{bench.where()}")
    print(f"Medians of {options.rounds} rounds, maxima included.")
    print(f"{bench.machine()}\n")
    if options.markdown:
        table(wanted, figures)
    judge(wanted, figures)
    return right


class Latencies:
    """Measures rows, each on a fresh server."""

    def __init__(self, options, clients):
        self.options = options
        self.clients = clients
        self.pinned = bool(shutil.which("taskset")) and (os.cpu_count() or 1) >= 2
        self.priority = "unknown"

    def where(self):
        options = self.options
        cores = f"the server pinned to core {options.server_core}, prober and load to core {options.client_core}"
        if not self.pinned:
            cores = "nothing pinned (it takes taskset and two cores)"
        if options.server_nice is not None:
            cores += f"; the servers' niceness is {options.server_nice}"
        return f"{cores}; {self.priority}. Latency is counted from when a request was due. The figures are comparisons within this run."

    def machine(self):
        """What the server's core does to loops without a server: one that computes in turns as long as a server's, and one that
        takes new memory in each turn."""
        options = self.options
        pin = ["taskset", "-c", str(options.server_core)] if self.pinned else []
        nice = ["nice", "-n", str(options.server_nice)] if options.server_nice is not None else []
        told = []
        for _ in range(options.rounds):
            ran = subprocess.run([*pin, *nice, self.clients, "machine", str(options.seconds)], capture_output=True, text=True, check=True)
            told.append({name: float(value) / 1000 for name, value in fields(ran.stdout)})
        row = median(told)

        def text(of):
            clock, own = (f"p99.9 {us(row[of + name + 'p999_ns'])}, max {us(row[of + name + 'max_ns'])}" for name in ("", "own_"))
            return f"{clock}, own {own} µs"

        return (
            f"The machine by itself, on the server's core: a loop that computes in turns of {us(row['p50_ns'])} µs, {text('')}; "
            f"one that takes 64 KiB of new memory in a turn, {us(row['new_p50_ns'])} µs, {text('new_')}."
        )

    def measure(self, name, commands, server_name, binary):
        """The figures of one row on one server, in microseconds; or a note why there are none."""
        options = self.options
        with Server(binary, server_name, options.server_core if self.pinned else None) as server:
            missing = [command.upper() for command in commands if not knows(server, command)]
            if missing:
                return {"note": f"no {', '.join(missing)}"}
            if options.server_nice is not None:
                os.setpriority(os.PRIO_PROCESS, server.process.pid, options.server_nice)
            waited = waited_seconds(server)
            pin = ["taskset", "-c", str(options.client_core)] if self.pinned else []
            command = [*pin, self.clients, "run", name, str(server.port), str(options.size), str(options.keys)]
            with subprocess.Popen(
                [*command, str(options.seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as process:
                answer = self._run(process)
            waited = waited_seconds(server) - waited
            if server.process.poll() is not None:
                printed = pathlib.Path(server.log.name).read_text(errors="replace")[-500:]
                raise Wrong(f"{server_name} has ended: {printed}; {answer.get('wrong', '')}")
        if "wrong" in answer or "figures" not in answer:
            raise Wrong(answer.get("wrong", "the clients ended without figures"))
        figures = {field: int(value) for field, value in fields(answer["figures"])}
        row = {field.removesuffix("_ns"): value / 1000 for field, value in figures.items() if field.endswith("_ns")}
        row |= {"samples": figures["samples"], "repeats": figures["repeats"], "waited_ms": waited * 1000}
        return row | ledger(dict(fields(answer.get("ledger", ""))))

    def _run(self, process):
        """Sets the clients' priorities, starts them, and returns what they print by its first word."""
        answer = {}
        for line in process.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            answer[word] = rest
            if word == "threads":
                load, prober = map(int, rest.split())
                self.priority = prioritise(load, prober)
                process.stdin.write("\n")
                process.stdin.flush()
        process.wait()
        return answer


def median(rows):
    """Figure by figure; of a row that has notes instead, the first."""
    for row in rows:
        if "note" in row:
            return row
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0] if name != "ledger_cause"}
    longest = max(rows, key=lambda row: row.get("own_max", 0))
    return middle | ({"ledger_cause": longest["ledger_cause"]} if "ledger_cause" in longest else {})


def fields(text):
    return [word.split("=", 1) for word in text.split() if "=" in word]


def prioritise(load, prober):
    """Lets the prober's thread go before the load's, and says how."""
    try:
        os.sched_setscheduler(prober, os.SCHED_FIFO, os.sched_param(1))
        return "the prober runs with real-time priority"
    except (PermissionError, AttributeError):
        pass
    try:
        os.setpriority(os.PRIO_PROCESS, load, 19)
        return "the load is nice, the prober is not"
    except PermissionError:
        return "prober and load have the same priority, so that the prober's figures hold some of the load's"


def waited_seconds(server):
    """How long the server's main thread has been ready to run and has not run."""
    try:
        with open(f"/proc/{server.process.pid}/schedstat") as stat:
            return int(stat.read().split()[1]) / 1e9
    except OSError:
        return 0.0


def knows(server, command):
    """Whether a server knows a command."""
    with server.connect() as connection:
        connection.sendall(b"*3\r\n$7\r\nCOMMAND\r\n$4\r\nINFO\r\n$%d\r\n%s\r\n" % (len(command), command.encode()))
        reply = b""
        while reply.count(b"\r\n") < 2:
            received = connection.recv(65536)
            if not received:
                raise Wrong("COMMAND INFO is not answered")
            reply += received
    head, row = reply.split(b"\r\n")[:2]
    if head != b"*1":
        raise Wrong(f"COMMAND INFO answers {reply[:100]!r}")
    return row not in (b"*-1", b"$-1", b"_")


def ledger(fields):
    """p99.9 and max of the server's own ledger, in microseconds, with and without what the system gave to others, and the worst
    cause. Nothing for a server that keeps none."""
    if "stall_max_us" not in fields:
        return {}
    found = {
        "ledger_p999": float(fields["stall_p99.9_us"]),
        "ledger_max": float(fields["stall_max_us"]),
        "own_p999": float(fields["stall_own_p99.9_us"]),
        "own_max": float(fields["stall_own_max_us"]),
    }
    if cause := re.search("cause=([^,]+)", fields.get("stall_worst_1", "")):
        found["ledger_cause"] = cause[1]
    return found


def us(value):
    """Microseconds as a person reads them."""
    return "-" if value is None else f"{value:,.0f}"


def told(row):
    if "note" in row:
        return row["note"]
    text = f"p50 {us(row['p50'])}  p99 {us(row['p99'])}  p99.9 {us(row['p999'])}  max {us(row['max'])} us"
    text += f"  | {row['samples']} requests, {row['repeats']} times; prober late p99.9 {us(row['late_p999'])}, max {us(row['late_max'])}"
    text += f"; server waited for its core {row['waited_ms']:.0f} ms"
    if "ledger_max" in row:
        text += f" | ledger p99.9 {us(row['ledger_p999'])}, max {us(row['ledger_max'])}"
        text += f", own p99.9 {us(row['own_p999'])}, max {us(row['own_max'])}"
        text += f" ({row['ledger_cause']})" if "ledger_cause" in row else ""
    return text


def table(names, figures):
    """The README's table."""
    print("Small GET and SET, 2,000 a second, latency in µs from when each was due, while another client does:\n")
    print("| meanwhile | Redis p50 | p99 | p99.9 | max | Evenkeel p50 | p99 | p99.9 | max | ledger p99.9 | max | own p99.9 | max |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name in names:
        cells = []
        for server in ("Redis", "Evenkeel"):
            row = figures[name, server]
            if "note" in row:
                cells += [row["note"].split(":")[0], "–", "–", "–"]
            else:
                cells += [us(row[figure]) for figure in ("p50", "p99", "p999", "max")]
        ours = figures[name, "Evenkeel"]
        cells += [us(ours.get(figure)) for figure in ("ledger_p999", "ledger_max", "own_p999", "own_max")]
        print(f"| {ours['title']} | {' | '.join(cells)} |")
    print()


def judge(names, figures):
    """Says which rows do not keep what the project promises."""
    quiet = figures.get(("quiet", "Evenkeel"), {}).get("p999")
    below, untold = [], []
    for name in names:
        row = figures[name, "Evenkeel"]
        if "note" in row:
            untold.append(name)
            continue
        if quiet is not None and row["p999"] > QUIET_TIMES * quiet + QUIET_PLUS_US:
            below.append(f"{name} (p99.9 {us(row['p999'])})")
        if row.get("own_max", 0) > LEDGER_MAX_US:
            below.append(f"{name} (ledger's own max {us(row['own_max'])})")
        if row.get("own_p999", 0) > LEDGER_P999_US:
            below.append(f"{name} (ledger's own p99.9 {us(row['own_p999'])})")
        if "ledger_max" not in row and "no ledger" not in untold:
            untold.append("no ledger")
    promise = f"ledger's own max {LEDGER_MAX_US} µs, own p99.9 {LEDGER_P999_US} µs, p99.9 {QUIET_TIMES} x quiet + {QUIET_PLUS_US} µs"
    print(f"Past what we promise ({promise}): {', '.join(below) or 'nothing'}.")
    waited = max((figures.get(("quiet", server), {}).get("waited_ms", 0) for server in ("Redis", "Evenkeel")), default=0)
    if waited > BUSY_MS:
        print(f"The machine was busy: beside nothing else a server waited {waited:.0f} ms for its core. Latencies hold what others did.")
    if untold:
        print(f"Not judged: {', '.join(untold)}.")


# ---- memory


class Memory:
    """Resident memory of a server, its peak included, and a guard: past `most` bytes the server is stopped, not the machine."""

    def __init__(self, server, most):
        self.server = server
        self.pid = server.process.pid
        self.most = most
        self.exceeded = False
        self.sampled = 0
        self.running = True
        # The kernel's own peak, where it can be reset; samples otherwise, and for the guard.
        self.kernel = self._reset()
        self.sampler = threading.Thread(target=self._sample, daemon=True)
        self.sampler.start()

    def _status(self, name):
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * KIB
        return 0

    def _reset(self):
        try:
            with open(f"/proc/{self.pid}/clear_refs", "w") as clear:
                clear.write("5")
            return True
        except OSError:
            return False

    def _sample(self):
        while self.running:
            try:
                resident = self._status("VmRSS")
            except OSError:
                return
            self.sampled = max(self.sampled, resident)
            if resident > self.most and not self.exceeded:
                self.exceeded = True
                self.server.process.kill()
            time.sleep(0.005)

    def begin(self):
        """Forgets the peak so far, and returns what is resident now."""
        self._reset()
        self.sampled = 0
        return self.now()

    def now(self):
        return self._status("VmRSS")

    def peak(self):
        return max(self.sampled, self._status("VmHWM") if self.kernel else 0)

    def end(self):
        self.running = False
        self.sampler.join()


def pattern(size):
    """A megabyte that is repeated; 251 is prime, so that no power of two repeats it."""
    return (bytes(range(251)) * (MIB // 251 + 1))[: min(MIB, size)]


def send_set(connection, size):
    """SET big, of `size` bytes."""
    connection.sendall(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % size)
    block = memoryview(pattern(size))
    sent = 0
    while sent < size:
        part = min(len(block), size - sent)
        connection.sendall(block[:part])
        sent += part
    connection.sendall(b"\r\n")
    reply = b""
    while not reply.endswith(b"\r\n"):
        received = connection.recv(100)
        if not received:
            raise Wrong("the server closed the connection")
        reply += received
    if reply != b"+OK\r\n":
        raise Wrong(f"SET is answered {reply!r}")


class Reader:
    """A client that asks for `big` and takes its time."""

    def __init__(self, server, size):
        self.connection = server.connect()
        self.head = b"$%d\r\n" % size
        self.size = len(self.head) + size + 2
        self.block = pattern(size)
        self.read = 0
        self.connection.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n")

    def some(self, most):
        """Reads a little and compares it."""
        received = self.connection.recv(most)
        if not received:
            raise Wrong("the server closed the connection of a slow reader")
        place = self.read
        self.read += len(received)
        while received:
            if place < len(self.head):
                expected = self.head[place:]
            elif place < self.size - 2:
                at = place - len(self.head)
                expected = self.block[at % len(self.block) :][: self.size - 2 - place]
            else:
                expected = b"\r\n"[place - self.size :]
            part = min(len(expected), len(received))
            if received[:part] != expected[:part]:
                raise Wrong(f"a slow reader gets a wrong byte after byte {place}")
            received = received[part:]
            place += part

    def rest(self):
        while self.read < self.size:
            self.some(1 << 20)


def memory(options, redis, ours):
    """The memory rows on both servers. Returns whether every reply was right."""
    right = True
    files, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most_files, 8192) if most_files > 0 else 8192, most_files))
    print("| meanwhile | server | resident before, MiB | peak, MiB | more than before, MiB | promised |")
    print("|---|---|--:|--:|--:|---|", flush=True)
    below = []
    for server_name, binary in (("Redis", redis), ("Evenkeel", ours)):
        try:
            memory_of(options, server_name, binary, below)
        except (Wrong, OSError) as wrong:
            right = False
            print(f"| WRONG | {server_name} | {wrong} | | | |", flush=True)
    print("\nPeak resident size of the process, by the kernel (VmHWM) where it can be reset.", end=" ")
    print(f"Past what we promise: {', '.join(below) or 'nothing'}.")
    return right


def memory_of(options, name, binary, below):
    size = options.size
    # A server that copies the value for each reader must not take the machine with it.
    most = min(available_bytes() * 3 // 4, max(16 * size, 4 * 2**30))
    with Server(binary, name, options.server_core if shutil.which("taskset") else None) as server:
        memory = Memory(server, most)
        try:
            memory_rows(options, name, server, memory, below)
        except (Wrong, OSError) as wrong:
            if memory.exceeded:
                raise Wrong(f"stopped: it took more than {most // MIB:,} MiB") from wrong
            raise
        finally:
            memory.end()


def available_bytes():
    with open("/proc/meminfo") as info:
        return next(int(line.split()[1]) for line in info if line.startswith("MemAvailable:")) * KIB


def memory_rows(options, name, server, memory, below):
    size = options.size

    def row(title, before, peak, promise, allowed):
        print(f"| {title} | {name} | {before / MIB:,.1f} | {peak / MIB:,.1f} | {(peak - before) / MIB:,.1f} | {promise} |", flush=True)
        if name == "Evenkeel" and peak - before > allowed:
            below.append(title)

    empty = memory.begin()
    with server.connect() as connection:
        send_set(connection, size)
        row(f"SET of {size_text(size)}", empty, memory.peak(), "", 1e18)
        before = memory.begin()
        send_set(connection, size)
        allowed = COPY_FREE_MIB["overwrite"] * MIB
        title = f"SET over {size_text(size)}"
        # What the process took before the first value counts as old, too.
        row(title, before, memory.peak(), f"new + {COPY_FREE_MIB['overwrite']} MiB", size + allowed)
    time.sleep(1)
    for count in (100, 1000):
        count = min(count, options.readers)
        readers = []
        # As many as two gigabytes of copies allow; a server that makes none is given all of them.
        before = memory.begin()
        try:
            for _ in range(count):
                readers.append(Reader(server, size))
                readers[-1].some(64 * KIB)
                if memory.now() - before > min(2 * 2**30, memory.most // 2):
                    break
            for _ in range(3):
                time.sleep(0.1)
                for reader in readers:
                    reader.some(64 * KIB)
            time.sleep(0.3)
            peak = memory.peak()
            title = f"{len(readers):,} slow GETs of {size_text(size)}"
            if len(readers) < count:
                title += f" ({count:,} do not fit)"
            row(title, before, peak, f"{COPY_FREE_MIB['readers']} MiB" if count <= 100 else "",
                COPY_FREE_MIB["readers"] * MIB if count <= 100 else 1e18)
            readers[0].rest()
        finally:
            for reader in readers:
                reader.connection.close()
        time.sleep(1)
        if options.readers <= 100:
            break
