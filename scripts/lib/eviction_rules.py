"""`scripts/bench eviction-rules`: what may go when memory is short, and what never may.

| policy | what is tried | what must hold |
|---|---|---|
| volatile-* | lasting keys fill half of maxmemory, volatile ones of three times maxmemory follow | nothing is refused; no lasting key goes |
| | then lasting keys alone are written | they are refused once nothing volatile is left, and not before |
| noeviction | keys are written past maxmemory | what is refused has changed nothing, and no key goes |

Under each, resident memory stays within maxmemory, 2 per cent and 32 MiB. Lasting keys are overwritten, appended to and deleted meanwhile,
some volatile keys become lasting (PERSIST), and at the end each lasting key is compared byte for byte. Values are of mixed lengths, a few
of them large ones and collections.
"""

import random

from eviction import MIB, Watch, limit
from servers import Server, fail

POLICIES = ("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "noeviction")
PIPELINE = 32
OOM = b"-OOM command not allowed when used memory > 'maxmemory'."
# Writes past the first that is refused.
INSIST = 3000
# The lengths of values: the logarithm is uniform; one in so many is a large one.
SHORTEST, LONGEST = 16, 16 * 1024
LARGE, LARGE_EVERY = 150_000, 400
# Bytes that a change of a lasting key adds, about.
MEAN = 2000


def rules(options, binary):
    """All policies. Returns whether everything held."""
    print(f"maxmemory {options.maxmemory / MIB:.0f} MiB; never resident above {limit(options.maxmemory) / MIB:.0f} MiB\n")
    print("| policy | lasting keys | volatile keys written | evicted | refused | peak resident, MiB |")
    print("|---|--:|--:|--:|--:|--:|", flush=True)
    wrong = []
    for policy in options.policies.split(","):
        settings = ["--maxmemory", str(options.maxmemory), "--maxmemory-policy", policy]
        with Server(binary, "the server", args=settings) as server:
            watch = Watch(server)
            run = Run(server, policy, options.maxmemory, wrong)
            (run.noeviction if policy == "noeviction" else run.volatile)()
            watch.stop()
            peak = max(watch.samples)
            told = [policy, f"{len(run.lasting):,}", f"{run.volatile_keys:,}", f"{run.evicted():,}", f"{run.refused:,}", f"{peak / MIB:.1f}"]
            print(f"| {' | '.join(told)} |", flush=True)
            if peak > limit(options.maxmemory):
                run.complain(f"resident memory was {peak / MIB:.1f} MiB")
    for line in wrong:
        print(line)
    return not wrong


class Run:
    """A server under one policy, and what it must still have."""

    def __init__(self, server, policy, maxmemory, wrong):
        self.policy, self.maxmemory, self.wrong = policy, maxmemory, wrong
        self.connection = server.connect()
        self.replies = self.connection.makefile("rb", 1 << 18)
        self.random = random.Random(policy)
        # What each lasting key holds: bytes, or the fields of a hash.
        self.lasting = {}
        self.volatile_keys = self.refused = self.last = 0

    def complain(self, text):
        self.wrong.append(f"{self.policy}: {text}")

    # -- what is asked

    def ask(self, requests):
        """The replies to a pipeline."""
        self.connection.sendall(b"".join(map(encoded, requests)))
        return [self.reply() for _ in requests]

    def reply(self):
        line = self.replies.readline()
        if not line.endswith(b"\r\n"):
            fail(f"{self.policy}: the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.replies.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else line[:-2]

    def evicted(self):
        return int(self.info("stats").get("evicted_keys", 0))

    def info(self, section):
        lines = self.ask([("INFO", section)])[0].decode().split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)

    # -- what is written

    def value(self):
        self.last += 1
        if self.last % LARGE_EVERY == 0:
            length = LARGE
        else:
            length = int(SHORTEST * (LONGEST / SHORTEST) ** self.random.random())
        pattern = b"%d:%x;" % (self.last, self.random.getrandbits(64))
        return (pattern * (length // len(pattern) + 1))[:length]

    def change_of_lasting(self, make_room=True):
        """A request that changes the lasting keys, and what they are when it was carried out."""
        choice = self.random.random()
        known = self.random.choice(list(self.lasting)) if self.lasting and choice < 0.3 else None
        if known is not None and make_room and choice < 0.05:
            return ("DEL", known), (known, None)
        if known is not None and isinstance(self.lasting[known], bytes) and choice < 0.15:
            suffix = self.value()[:100]
            return ("APPEND", known, suffix), (known, self.lasting[known] + suffix)
        value = self.value()
        if choice > 0.95:
            fields = {b"f%d" % at: value[at : at + 40] for at in range(self.random.randrange(1, 30))}
            key = b"hash:%d" % self.last
            return ("HSET", key, *[word for pair in fields.items() for word in pair]), (key, fields)
        known = known if known is not None and isinstance(self.lasting[known], bytes) else b"lasting:%d" % self.last
        return ("SET", known, value), (known, value)

    def change(self, count, make_room=True):
        """Changes so many lasting keys, each known by what was answered; how many changes were refused."""
        refused = 0
        while count > 0:
            # Of each key one change in a pipeline.
            changes = {}
            for _ in range(min(PIPELINE, count)):
                request, (key, after) = self.change_of_lasting(make_room)
                changes.setdefault(key, (request, after))
            for answer, (key, (request, after)) in zip(self.ask([request for request, _ in changes.values()]), changes.items()):
                if answer == OOM:
                    refused += 1
                elif isinstance(answer, bytes) and answer.startswith(b"-"):
                    self.complain(f"{request[0]} is answered with {answer.decode()}")
                elif after is None:
                    self.lasting.pop(key)
                else:
                    self.lasting[key] = after
            count -= max(1, len(changes))
        self.refused += refused
        return refused

    def change_until_refused(self):
        for _ in range(4 * self.maxmemory // (PIPELINE * MEAN)):
            if self.change(PIPELINE, make_room=False):
                return
        self.complain("four times maxmemory is written and nothing refused")

    # -- the policies

    def volatile(self):
        while int(self.info("memory")["used_memory"]) < self.maxmemory / 2:
            if self.change(PIPELINE):
                return self.complain("a write is refused although half of the memory is free")
        written = 0
        while written < 3 * self.maxmemory:
            values = [self.value() for _ in range(PIPELINE)]
            requests = [("SET", b"volatile:%d" % (self.last + at), value, "EX", 100_000 + at) for at, value in enumerate(values)]
            self.volatile_keys += len(requests)
            written += sum(map(len, values))
            refused = sum(answer != b"+OK" for answer in self.ask(requests))
            refused += self.change(1)
            if refused:
                return self.complain(f"{refused} writes are refused although volatile keys are there")
            # One of them is to last from now on, if it is still there.
            key, value = self.random.choice(requests)[1:3]
            if self.ask([("PERSIST", key)])[0] == 1:
                self.lasting[key] = value
            self.look_at_some()
            if self.wrong:
                return
        if not self.evicted():
            self.complain("nothing was evicted")
        self.check("while volatile keys went")
        # Nothing but lasting keys from now on.
        self.change_until_refused()
        left = int(self.ask([("DBSIZE",)])[0]) - len(self.lasting)
        if left > 0:
            self.complain(f"a write was refused although {left} volatile keys were left")
        self.change(INSIST, make_room=False)
        self.check("when nothing volatile was left")

    def noeviction(self):
        self.change_until_refused()
        self.change(INSIST, make_room=False)
        if self.evicted():
            self.complain(f"{self.evicted()} keys were evicted")
        self.check("when memory was short")
        gone = self.random.sample(list(self.lasting), len(self.lasting) // 4)
        self.ask([("DEL", *gone)])
        for key in gone:
            del self.lasting[key]
        if self.change(10 * PIPELINE):
            self.complain("a write is refused although a quarter of the keys was deleted")
        self.check("when a part was deleted")

    # -- what must be there

    def look_at_some(self):
        for key in self.random.sample(list(self.lasting), 2):
            self.compare(key, self.ask([self.read(key)])[0])

    def read(self, key):
        return ("GET" if isinstance(self.lasting[key], bytes) else "HGETALL", key)

    def compare(self, key, answer):
        expected = self.lasting[key]
        if isinstance(answer, list):
            answer = dict(zip(answer[::2], answer[1::2])) or None
        if answer != expected:
            self.complain(f"{key.decode()} " + ("is gone" if answer is None else "is not what it was"))

    def check(self, when):
        """Every lasting key, and that there is no other that lasts."""
        keys = list(self.lasting)
        before = len(self.wrong)
        for first in range(0, len(keys), PIPELINE):
            some = keys[first : first + PIPELINE]
            for key, answer in zip(some, self.ask([self.read(key) for key in some])):
                self.compare(key, answer)
                if len(self.wrong) > before + 5:
                    return self.complain(f"and more, {when}")
        if self.policy == "noeviction" and int(self.ask([("DBSIZE",)])[0]) != len(keys):
            self.complain(f"there are keys that were refused, {when}")


def encoded(request):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in request]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
