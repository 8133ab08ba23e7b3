"""A client of scripts/soak and the model that it holds the server to.

Each client owns its keys, so its model is exact: it knows the reply to every request to the byte before it is sent. Keys without a time
to live are used in pipelines; keys with one are asked one by one, because only their replies tell on which side of the
moment a request fell.
"""

import random
import select
import socket
import struct
import time

KIB, MIB = 2**10, 2**20
KEYS_MAX = 30
EXPIRING_MAX = 12
MODEL_BYTES_MAX = 64 * MIB
VALUE_BYTES_MAX = 24 * MIB
SLOW_MAX = 4
PATIENCE_SECONDS = 60
# The server's clock may have been read a little before or after ours.
CLOCK_SECONDS = 0.05
# Where values change their form: Redis's embedded strings, chunks, our blobs.
BORDERS = [44, 1024, 16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, MIB]


class Wrong(Exception):
    """The server answered what it must not, or nothing."""


def request(*words):
    """A request; words are bytes, text or numbers."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if not isinstance(word, bytes):
            word = str(word).encode()
        parts += [b"$%d\r\n" % len(word), word, b"\r\n"]
    return b"".join(parts)


def bulk(value):
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


def number(value):
    return b":%d\r\n" % value


OK = b"+OK\r\n"


class Slow:
    """A reader of one reply that takes its time; the key may change meanwhile, the reply may not."""

    def __init__(self, server, key, value):
        self.socket = server.connect()
        self.socket.sendall(request("GET", key))
        self.expected = memoryview(bulk(value))
        self.place = 0
        # Once its first bytes are there the command has been executed, and what comes after cannot change it.
        self.read(16)

    def read(self, most):
        """Reads a little; true when that was the end."""
        received = self.socket.recv(min(most, len(self.expected) - self.place))
        if not received or self.expected[self.place : self.place + len(received)] != received:
            raise Wrong(f"a slow reader gets a wrong byte, or none, after byte {self.place} of {len(self.expected)}")
        self.place += len(received)
        return self.place == len(self.expected)


class Client:
    """A client with keys of its own. `known` are the commands that may be used, in upper case."""

    def __init__(self, server, number_of_client, seed, known):
        self.server = server
        self.name = number_of_client
        self.random = random.Random(f"{seed}:{number_of_client}")
        self.pool = self.random.randbytes(VALUE_BYTES_MAX + MIB)
        self.known = known
        self.socket = server.connect()
        self.values = {}
        # key -> (value, earliest moment, latest moment) of its expiry
        self.expiring = {}
        self.slow = []
        self.counts = {}
        self.bytes = 0
        self.step = 0
        self.last = "nothing"
        self.acts = [act for act, commands in ACTS if all(command in known for command in commands)]
        self.weights = [WEIGHTS.get(act.__name__, 4) for act in self.acts]

    # ---- bytes over the socket

    def exchange(self, out, expected, connection=None, most_at_once=None):
        """Sends and receives at the same time, and compares as bytes come."""
        connection = connection or self.socket
        connection.setblocking(False)
        out, expected = memoryview(out), memoryview(expected)
        sent = received = 0
        poll = select.poll()
        while sent < len(out) or received < len(expected):
            poll.register(connection, select.POLLIN | (select.POLLOUT if sent < len(out) else 0))
            events = poll.poll(PATIENCE_SECONDS * 1000)
            if not events:
                raise Wrong(f"no answer within {PATIENCE_SECONDS} s, after {received} of {len(expected)} bytes")
            try:
                if events[0][1] & ~select.POLLOUT:
                    part = connection.recv(1 << 18)
                    if not part:
                        raise Wrong("the server closed the connection")
                    if expected[received : received + len(part)] != part:
                        self.differs(bytes(expected[received : received + len(part)]), part, received)
                    received += len(part)
                if sent < len(out) and events[0][1] & select.POLLOUT:
                    sent += connection.send(out[sent : sent + (most_at_once or 1 << 18)])
            except BlockingIOError:
                pass
        connection.setblocking(True)
        connection.settimeout(PATIENCE_SECONDS)
        self.bytes += len(out) + len(expected)

    def differs(self, expected, arrived, before):
        place = next((i for i, (a, b) in enumerate(zip(expected, arrived)) if a != b), min(len(expected), len(arrived)))
        cut = slice(max(place - 20, 0), place + 60)
        raise Wrong(f"byte {before + place} of the replies: {expected[cut]!r} expected, {arrived[cut]!r} received")

    def ask(self, *words):
        """A request alone, and its reply: an int, bytes or None."""
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.sendall(request(*words))
        reply = b""
        while b"\r\n" not in reply:
            reply += self._more()
        head, _, rest = reply.partition(b"\r\n")
        if head[:1] == b":":
            done, value = rest == b"", int(head[1:])
        elif head == b"$-1":
            done, value = rest == b"", None
        elif head[:1] == b"$":
            parts, length, wanted = [rest], len(rest), int(head[1:]) + 2
            while length < wanted:
                parts.append(self._more())
                length += len(parts[-1])
            rest = b"".join(parts)
            done, value = length == wanted and rest.endswith(b"\r\n"), rest[:-2]
        else:
            done, value = rest == b"" and head[:1] == b"+", head[1:]
        if not done:
            raise Wrong(f"{words[0]} is answered {reply[:100]!r}")
        self.bytes += len(rest)
        return value

    def _more(self):
        received = self.socket.recv(1 << 18)
        if not received:
            raise Wrong("the server closed the connection")
        return received

    # ---- choices

    def length(self):
        """Mostly small, often near a border, now and then very large."""
        die = self.random.random()
        if die < 0.40:
            return self.random.randrange(100)
        if die < 0.60:
            return self.random.randrange(100, 5000)
        if die < 0.78:
            return self.random.randrange(5000, 64 * KIB)
        if die < 0.90:
            return max(0, self.random.choice(BORDERS) + self.random.randrange(-20, 4))
        if die < 0.99:
            return self.random.randrange(64 * KIB, MIB)
        return self.random.randrange(MIB, 12 * MIB)

    def content(self, length=None):
        length = self.length() if length is None else length
        at = self.random.randrange(len(self.pool) - length)
        return self.pool[at : at + length]

    def key(self):
        return f"c{self.name}:{self.random.randrange(KEYS_MAX)}"

    def large_key(self):
        """A key whose value is worth reading slowly, if there is one."""
        large = [key for key, value in self.values.items() if len(value) > 128 * KIB]
        return self.random.choice(large) if large else None

    # ---- steps

    def run(self, deadline):
        while time.monotonic() < deadline:
            self.step += 1
            die = self.random.random()
            if die < 0.72:
                self.pipeline()
            elif die < 0.92:
                self.touch_expiring()
            elif die < 0.95:
                self.begin_slow()
            elif die < 0.975:
                self.break_off()
            else:
                self.half_close()
            self.read_slowly()
            self.keep_within_memory()

    def plan(self, count):
        """Requests and the replies that they must get; the model is changed as if they had run."""
        out, expected = [], []
        for _ in range(count):
            act = self.random.choices(self.acts, self.weights)[0]
            self.counts[act.__name__] = self.counts.get(act.__name__, 0) + 1
            asked, reply = act(self)
            out.append(asked)
            expected.append(reply)
            if sum(map(len, out)) + sum(map(len, expected)) > 16 * MIB:
                break
        return b"".join(out), b"".join(expected)

    def pipeline(self):
        self.last = "a pipeline"
        out, expected = self.plan(self.random.choice([1, 1, 2, 5, 20]))
        # Some in small pieces, so that requests are cut anywhere.
        small = self.random.random() < 0.15 and len(out) < 40 * KIB
        self.exchange(out, expected, most_at_once=self.random.randrange(1, 700) if small else None)

    def count(self, what):
        self.last = what
        self.counts[what] = self.counts.get(what, 0) + 1

    def begin_slow(self):
        key = self.large_key()
        if key is None or len(self.slow) >= SLOW_MAX:
            return
        self.count("slow reader")
        self.slow.append(Slow(self.server, key, self.values[key]))

    def read_slowly(self):
        for slow in list(self.slow):
            die = self.random.random()
            if die > 0.3:
                continue
            # One in some hundred breaks off.
            if die < 0.003 or slow.read(self.random.choice([1, 1000, 64 * KIB, 256 * KIB])):
                slow.socket.close()
                self.slow.remove(slow)

    def break_off(self):
        """An upload that ends in the middle changes nothing."""
        self.count("broken-off upload")
        words = [self.random.choice(["SET", "APPEND"]), self.key(), self.content()]
        whole = request(*words)
        connection = self.server.connect()
        connection.sendall(whole[: self.random.randrange(1, len(whole))])
        if self.random.random() < 0.5:
            # A reset in place of an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def half_close(self):
        """Whole requests before the end of what a client sends are executed. Replies may be cut short by the end, not wrong."""
        self.count("half-closed socket")
        out, expected = self.plan(self.random.randrange(1, 6))
        if self.random.random() < 0.3:
            out += request("SET", self.key(), self.content(200))[:-20]
        with self.server.connect() as connection:
            self.half_closed_exchange(connection, memoryview(out), expected)

    def half_closed_exchange(self, connection, out, expected):
        connection.setblocking(False)
        sent, arrived, open_still = 0, bytearray(), True
        poll = select.poll()
        while open_still:
            poll.register(connection, select.POLLIN | (select.POLLOUT if sent < len(out) else 0))
            events = poll.poll(PATIENCE_SECONDS * 1000)
            if not events:
                raise Wrong("a half-closed connection is neither answered nor closed")
            try:
                if events[0][1] & ~select.POLLOUT:
                    part = connection.recv(1 << 18)
                    arrived += part
                    open_still = bool(part)
                if sent < len(out) and events[0][1] & select.POLLOUT:
                    sent += connection.send(out[sent : sent + (1 << 18)])
                    if sent == len(out):
                        connection.shutdown(socket.SHUT_WR)
            except BlockingIOError:
                pass
            except ConnectionResetError:
                open_still = False
        if sent < len(out):
            raise Wrong("the server closed the connection")
        if not expected.startswith(arrived):
            self.differs(expected, bytes(arrived), 0)
        answered = "half-closed, answered in full" if len(arrived) == len(expected) else "half-closed, answered in part"
        self.counts[answered] = self.counts.get(answered, 0) + 1
        self.bytes += len(out) + len(arrived)

    def keep_within_memory(self):
        while sum(map(len, self.values.values())) > MODEL_BYTES_MAX:
            key = max(self.values, key=lambda key: len(self.values[key]))
            del self.values[key]
            self.exchange(request("DEL", key), number(1))

    # ---- keys with a time to live

    def touch_expiring(self):
        self.count("keys that expire")
        key = f"e{self.name}:{self.random.randrange(EXPIRING_MAX)}"
        act = self.random.choice(["set", "set", "pexpire", "get", "get", "exists", "pttl", "persist", "del", "append"])
        self.last = f"{act} of a key that expires"
        sent = time.monotonic()
        value, earliest, latest = self.expiring.get(key, (None, 0, 0))
        if act in ("set", "pexpire"):
            value = self.content(min(self.length(), MIB))
            ttl = self.random.choice([20, 100, 500, 2000, 60_000])
            if act == "set":
                self.must(self.ask("SET", key, value, "PX", ttl), b"OK")
            else:
                self.must(self.ask("SET", key, value), b"OK")
                sent = time.monotonic()
                self.must(self.ask("PEXPIRE", key, ttl), 1)
            self.expiring[key] = (value, sent + ttl / 1000 - CLOCK_SECONDS, time.monotonic() + ttl / 1000 + CLOCK_SECONDS)
            return
        if act == "append":
            # It must be certain that the key is there, or the value would not be.
            if value is None or earliest < sent + 20:
                return
            more = self.content(self.random.randrange(2000))
            self.must(self.ask("APPEND", key, more), len(value) + len(more))
            self.expiring[key] = (value + more, earliest, latest)
            return
        words = {"get": ["GET", key], "exists": ["EXISTS", key], "pttl": ["PTTL", key], "persist": ["PERSIST", key], "del": ["DEL", key]}
        reply = self.ask(*words[act])
        answered = time.monotonic()
        alive = reply not in (None, 0, -2)
        if alive and (value is None or sent > latest):
            raise Wrong(f"{key} is there {sent - latest:.3f} s after it expired")
        if not alive and value is not None and answered < earliest:
            raise Wrong(f"{key} is gone {earliest - answered:.3f} s before it expires")
        if not alive:
            self.expiring.pop(key, None)
        elif act == "get":
            self.must(reply, value)
        elif act == "pttl":
            if not 1000 * (earliest - answered) - 1 <= reply <= 1000 * (latest - sent) + 1:
                raise Wrong(f"PTTL {key} is {reply}")
        elif act == "persist":
            self.must(self.ask("PTTL", key), -1)
            self.must(self.ask("GETDEL", key), value)
            del self.expiring[key]
        elif act == "del":
            del self.expiring[key]

    def must(self, reply, expected):
        if reply != expected:
            cut = [value[:60] if isinstance(value, bytes) else value for value in (expected, reply)]
            raise Wrong(f"{cut[0]!r} expected, {cut[1]!r} received")

    # ---- the end

    def finish(self):
        """Reads every slow reply to its end, and every value."""
        self.last = "the end of slow readers"
        for slow in self.slow:
            while not slow.read(1 << 18):
                pass
            slow.socket.close()
        self.slow = []
        self.last = "the last look at every value"
        for key in [f"c{self.name}:{place}" for place in range(KEYS_MAX)]:
            self.exchange(request("GET", key), bulk(self.values.get(key)))
        for key in [f"e{self.name}:{place}" for place in range(EXPIRING_MAX)]:
            self.ask("DEL", key)

    def close(self):
        for slow in self.slow:
            slow.socket.close()
        self.socket.close()


# ---- acts on keys without a time to live: a request, its reply, and the model after it


def set_(client):
    key, value = client.key(), client.content()
    client.values[key] = value
    return request("SET", key, value), OK


def setnx(client):
    key, value = client.key(), client.content(client.random.randrange(1000))
    absent = key not in client.values
    client.values.setdefault(key, value)
    return request("SETNX", key, value), number(absent)


def getset(client):
    key, value = client.key(), client.content()
    old = client.values.get(key)
    client.values[key] = value
    return request("GETSET", key, value), bulk(old)


def get(client):
    key = client.key()
    return request("GET", key), bulk(client.values.get(key))


def getdel(client):
    key = client.key()
    return request("GETDEL", key), bulk(client.values.pop(key, None))


def strlen(client):
    key = client.key()
    return request("STRLEN", key), number(len(client.values.get(key, b"")))


def append(client):
    key = client.key()
    more = client.content(client.random.choice([0, 1, 100, 1000, 20_000, 200_000]))
    old = client.values.get(key, b"")
    if len(old) + len(more) > VALUE_BYTES_MAX:
        return strlen(client)
    client.values[key] = old + more
    return request("APPEND", key, more), number(len(old) + len(more))


def getrange(client):
    key = client.key()
    value = client.values.get(key, b"")
    first = client.random.randrange(len(value) + 10)
    last = first + client.random.choice([0, 10, 1000, 100_000, 2**40])
    return request("GETRANGE", key, first, last), bulk(value[first : last + 1])


def setrange(client):
    key = client.key()
    old = client.values.get(key, b"")
    part = client.content(client.random.choice([0, 1, 100, 5000, 100_000]))
    at = client.random.randrange(len(old) + client.random.choice([1, 1000, 300_000]))
    if part and at + len(part) <= VALUE_BYTES_MAX:
        client.values[key] = b"".join([old[:at], bytes(max(0, at - len(old))), part, old[at + len(part) :]])
    elif part:
        return strlen(client)
    return request("SETRANGE", key, at, part), number(len(client.values.get(key, b"")))


def setbit(client):
    key = client.key()
    old = client.values.get(key, b"")
    at = client.random.randrange(8 * (len(old) + 100))
    bit = client.random.randrange(2)
    value = bytearray(old) + bytes(max(0, at // 8 + 1 - len(old)))
    mask = 0x80 >> at % 8
    before = int(bool(value[at // 8] & mask))
    value[at // 8] = value[at // 8] | mask if bit else value[at // 8] & ~mask
    client.values[key] = bytes(value)
    return request("SETBIT", key, at, bit), number(before)


def getbit(client):
    key = client.key()
    value = client.values.get(key, b"")
    at = client.random.randrange(8 * (len(value) + 100))
    bit = value[at // 8] >> (7 - at % 8) & 1 if at // 8 < len(value) else 0
    return request("GETBIT", key, at), number(bit)


def bitcount(client):
    key = client.key()
    return request("BITCOUNT", key), number(int.from_bytes(client.values.get(key, b"")).bit_count())


def delete(client):
    keys = sorted({client.key() for _ in range(client.random.randrange(1, 5))})
    there = sum(client.values.pop(key, None) is not None for key in keys)
    return request(client.random.choice(["DEL", "UNLINK"]), *keys), number(there)


def exists(client):
    keys = [client.key() for _ in range(client.random.randrange(1, 5))]
    return request("EXISTS", *keys), number(sum(key in client.values for key in keys))


def mset(client):
    pairs = {client.key(): client.content() for _ in range(client.random.randrange(1, 5))}
    client.values |= pairs
    return request("MSET", *[word for pair in pairs.items() for word in pair]), OK


def mget(client):
    keys = [client.key() for _ in range(client.random.randrange(1, 5))]
    return request("MGET", *keys), b"*%d\r\n" % len(keys) + b"".join(bulk(client.values.get(key)) for key in keys)


def rename(client):
    there = sorted(client.values)
    if not there:
        return set_(client)
    key, new = client.random.choice(there), client.key()
    client.values[new] = client.values.pop(key)
    return request("RENAME", key, new), OK


def copy(client):
    key, new = client.key(), client.key()
    if key == new:
        return get(client)
    if key in client.values:
        client.values[new] = client.values[key]
    return request("COPY", key, new, "REPLACE"), number(key in client.values)


def persist(client):
    return request("PERSIST", client.key()), number(0)


ACTS = [
    (set_, ["SET"]),
    (setnx, ["SETNX"]),
    (getset, ["GETSET"]),
    (get, ["GET"]),
    (getdel, ["GETDEL"]),
    (strlen, ["STRLEN"]),
    (append, ["APPEND", "STRLEN"]),
    (getrange, ["GETRANGE"]),
    (setrange, ["SETRANGE", "STRLEN"]),
    (setbit, ["SETBIT"]),
    (getbit, ["GETBIT"]),
    (bitcount, ["BITCOUNT"]),
    (delete, ["DEL", "UNLINK"]),
    (exists, ["EXISTS"]),
    (mset, ["MSET"]),
    (mget, ["MGET"]),
    (rename, ["RENAME"]),
    (copy, ["COPY", "GET"]),
    (persist, ["PERSIST"]),
]
# Weights of acts by function; 4 for those that are not named.
WEIGHTS = {"set_": 10, "append": 8, "setrange": 8, "get": 8, "getrange": 6, "bitcount": 1, "delete": 5, "persist": 1}
COMMANDS = sorted({command for _, commands in ACTS for command in commands})
