"""Server processes for the scripts: ours and Redis's, on free ports of 127.0.0.1, gone when the script ends.

EVENKEEL_BIN names another binary to be used in place of ours; a redis-server will do, to try a script itself.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def fail(message, code=1):
    """Ends the script with a message."""
    print(f"{pathlib.Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(code)


def our_binary(profile="release"):
    """The path of our server, built if need be."""
    named = os.environ.get("EVENKEEL_BIN")
    if named:
        # Servers run in folders of their own.
        return os.path.abspath(shutil.which(named) or fail(f"EVENKEEL_BIN={named} is not a program"))
    return built("evenkeel", "evenkeel", profile)


def built(program, package="test-support", profile="release"):
    """The path of a program of ours, built if need be."""
    if not shutil.which("cargo"):
        fail("cargo is missing; our programs are built with it (https://rustup.rs)", 2)
    command = ["cargo", "build", "--quiet", "--package", package, "--bin", program]
    if subprocess.run(command + (["--release"] if profile == "release" else []), cwd=ROOT).returncode != 0:
        fail(f"{program} does not build")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / profile / program)


def tool(name, package):
    """The path of a program that must be installed."""
    return shutil.which(name) or fail(f"{name} is missing; it comes with the package {package} (apt-get install {package})", 2)


def is_redis(binary):
    """Whether a binary is Redis's, which knows settings that ours does not."""
    text = subprocess.run([binary, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    return text.startswith("Redis server")


def version(binary):
    """What a binary says of itself, on one line."""
    text = subprocess.run([binary, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    return " ".join(text.split()[:3])


class Server:
    """A running server. Use it in a `with`: it is stopped by its own process id at the end."""

    def __init__(self, binary, name, core=None, args=()):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="evenkeel-script-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", *args]
        if is_redis(binary):
            command += ["--save", "", "--appendonly", "no"]
        if core is not None:
            command = [tool("taskset", "util-linux"), "-c", str(core), *command]
        self.log = open(pathlib.Path(self.folder) / "output.log", "wb")
        # taskset replaces itself by the server, so the process id is the server's.
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT
        )
        self._wait_until_it_answers()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                printed = pathlib.Path(self.log.name).read_text(errors="replace")
                self.stop()
                fail(f"{self.name} ended at its start:\n{printed}")
            try:
                with self.connect() as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(64) == b"+PONG\r\n":
                        return
            except OSError:
                pass
            time.sleep(0.02)
        self.stop()
        fail(f"{self.name} does not answer")

    def connect(self):
        """A new connection."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def cpu_seconds(self):
        """CPU time the process has used, in user and system mode, in steps of the system's tick (10 ms)."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        """Resident memory of the process."""
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def stop(self):
        """Stops the server and removes its folder."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
