"""What the Python scripts share: checks that are counted, and a list of what had to be left out.

A script is called with a port and a protocol: `redis_py.py <port> <default|2|3>`. It prints what it is and how many checks
hold, then one line for each thing left out, or it fails at the first surprise. What is left out is only what the server says
that it has no commands for (`needs`); so nothing is left out of a run against Redis, and nothing stays left out by oversight.
"""

import os
import signal
import subprocess
import sys
import time
import traceback

port, protocol = int(sys.argv[1]), sys.argv[2]
# What redis-py is given beside the port, and the same in a URL.
options = {} if protocol == "default" else {"protocol": int(protocol)}
url = f"redis://127.0.0.1:{port}" + ("" if protocol == "default" else f"?protocol={protocol}")

_count = 0
_left_out = []
_known = None


def same(got, expected, what):
    global _count
    _count += 1
    if plain(got) != plain(expected):
        raise AssertionError(f"{what}: {shown(got)} instead of {shown(expected)}")


def plain(value):
    """The same with lists for tuples: which of them redis-py gives depends on the protocol."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def shown(value):
    text = repr(value)
    return text if len(text) < 400 else f"{text[:300]}... ({len(text)} characters)"


def true(holds, what):
    same(bool(holds), True, what)


def fails(call, error, words, what):
    """A call that raises this error, with these words in its text."""
    try:
        got = call()
    except error as raised:
        true(words in str(raised), f"{what}: {raised}")
    else:
        raise AssertionError(f"{what}: {shown(got)} instead of {error.__name__}")


def eventually(call, expected, what, seconds=15):
    """A call that comes to give this in time; a call that raises meanwhile is tried again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            got = call()
        except Exception as raised:
            got = raised
        if plain(got) == plain(expected) or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    same(got, expected, f"{what}, within {seconds} s")


def needs(what, *commands):
    """Whether the server has the commands that something needs; it is noted as left out when not."""
    global _known
    if _known is None:
        import redis

        _known = set(redis.Redis(port=port).command_list())
        _known = {name.decode() if isinstance(name, bytes) else name for name in _known}
    missing = [name.upper() for name in commands if name not in _known]
    if missing:
        _left_out.append(f"{what}, needs {' and '.join(missing)}")
    return not missing


def done(name):
    print(f"{name}: {_count} checks hold")
    for line in _left_out:
        print(f"left out: {line}")


class Program:
    """A process beside the script, such as a worker; its output is shown when a check fails while it runs."""

    def __init__(self, command, env=None, stop_signal=None):
        self.command, self.stop_signal = command, stop_signal
        self.log = open("program.log", "w+b")
        streams = {"stdin": subprocess.DEVNULL, "stdout": self.log, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(command, env={**os.environ, **(env or {})}, start_new_session=True, **streams)

    def __enter__(self):
        return self

    def output(self):
        with open(self.log.name, errors="replace") as log:
            return log.read()

    def stop(self, seconds=20):
        """Ends it politely; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal) if self.stop_signal else self.process.terminate()
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        """Ends it and its children at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __exit__(self, kind, error, trace):
        if kind is not None:
            traceback.print_exception(kind, error, trace)
            print(f"--- what {os.path.basename(self.command[0])} printed last", file=sys.stderr)
            print("\n".join(self.output().splitlines()[-60:]), file=sys.stderr)
        self.stop()
        self.log.close()
        if kind is not None:
            sys.exit(1)
