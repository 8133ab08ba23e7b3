"""Conversations: random steps of several connections that concern each other, for scripts/differential.

Transactions, messages and events of keys, clients that wait for keys and are woken or unblocked, client-side caching, muted replies, in RESP2 and
RESP3. After each step all that every connection has received is compared as one stream, so the order of replies and of what comes
unasked is compared as well.

When that is due is known without knowing what each connection does: a step is over after two round trips of a further connection. Bytes that
were sent before those are read by then, what follows from them (clients woken, their own pipelines, messages) is done at the end of
the same turn of Redis's event loop, and written. Ours is given more round trips as long as it differs.

What must differ, and is settled by `are_alike`:
- numbers of clients; channels and what UNSUBSCRIBE without channels says, which come in the order of a hash table;
- where a client's messages from its own commands stand: behind the reply since Redis 7.2, before in front of it, or within that of EXEC;
- where invalidations stand: for BCAST Redis tells of keys once a turn of its event loop, all together;
- the null for all keys, which Redis writes in the protocol of who asked, whoever is told; what one who is killed is not sent any more.

Not asked, because Redis 7.4 does otherwise than 7.0, or by accident (each has its place in `Conversations`):
- several keys that come about at once, or hold another type, with one who waits for both: since 7.2 the request is run again;
- NOLOOP, and SWAPDB with BCAST, with clients that wait: since 7.2 those who are served change keys themselves;
- a value that is overwritten by SORT STORE or the like, which wakes nobody in Redis although it is of the type that is waited for;
- QUIT of one who is not answered, which Redis never closes; `n` together with `A` in notify-keyspace-events, which a CONFIG SET
  that fails takes away; TRACKING OFF right behind a change that BCAST is to tell of;
- SUBSCRIBE in a transaction of one who is not answered; time-outs that end; random members.
"""

import select
import time

from wire import Difference, Incomplete, Link, Replies, encoded, shown

CONNECTIONS = 5
STEPS = 250
# Seconds after which streams that differ will not become the same.
PATIENCE_S = 0.5

# Numbers of clients are larger than this.
IDS_FROM = 2000

# What a server must know to be asked any of it.
COMMANDS = (
    "multi exec discard watch unwatch subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe publish spublish pubsub blpop brpop blmove "
    "brpoplpush blmpop bzpopmin bzpopmax bzmpop swapdb move reset sort copy rename client|unblock client|tracking client|caching client|reply "
    "client|kill client|trackinginfo client|getredir"
).split()  # fmt: skip

LISTS, ZSETS, STRINGS, OTHERS = [b"l1", b"l2", b"l3"], [b"z1", b"z2"], [b"x", b"y"], [b"h", b"s"]
KEYS = LISTS + ZSETS + STRINGS + OTHERS
# What is stored as a whole: no key of these ever holds anything else. Overwriting another value wakes nobody in Redis.
STORED_LIST, STORED_ZSET = b"ls", b"zs"
# Several keys are waited for in some programs only, where these hold nothing else but lists or sorted sets, and no two of them come about at
# once: Redis 7.0 takes the one that was ready first, and since 7.2 the request is run again, from its first key on.
SEVERAL_LISTS, SEVERAL_ZSETS = [b"m1", b"m2", b"m3"], [b"w1", b"w2"]
CHANNELS = [b"ch1", b"ch2", b"ch3", b"other"]
PATTERNS = [b"ch*", b"*", b"ch[12]", b"nosuch", b"__key*__:*", b"__keyspace@0__:*", b"__keyevent@*__:*", b"__keyevent@1__:lpush"]
FLAGS = [b"KEA", b"KEA", b"AKE", b"Kl", b"Ez", b"Elg$", b"KEx", b"Km", b"KEg", b"E$", b"Ksh", b"KEn", b"AE", b"", b"KEAm", b"Kt", b"Ed", b"Q", b"KQ", b"lz"]
WAITS = [b"0", b"0", b"0", b"100", b"1000", b"0.0"]
ODD_WAITS = [b"-1", b"abc", b""]
SIDES = [b"LEFT", b"RIGHT", b"left", b"right"]


class Client:
    """In the place of a word: the number of a connection's client, which each server has its own."""

    def __init__(self, link):
        self.link = link

    def __repr__(self):
        return f"<id:{self.link}>"


def bytes_of(requests, ids, side):
    """The bytes of requests, for one of the servers."""
    return b"".join(encoded([b"%d" % ids[word.link][side] if isinstance(word, Client) else word for word in words]) for words in requests)


class Said:
    """A step: requests of one connection, sent together."""

    def __init__(self, link, requests, insists=False):
        self.link, self.requests, self.insists = link, requests, insists
        self.count = len(requests)

    def __str__(self):
        return f"connection {self.link}{' (even while it waits)' if self.insists else ''}: " + "; ".join(
            " ".join(str(word) if isinstance(word, Client) else repr(word)[1:] for word in words) for words in self.requests
        )

    def apart(self):
        """The same as steps of one request each."""
        return [Said(self.link, [words], self.insists) for words in self.requests]

    def begin(self, pair):
        """Sends it to both."""
        talk = pair.conversation = pair.conversation or Conversation(pair)
        if self.link in talk.maybe_waiting and talk.waits(self.link) and not self.insists:
            return
        for side in (0, 1):
            talk.links[self.link][side].send(bytes_of(self.requests, talk.ids, side))
        talk.ends_transaction = any(words[0] == b"exec" for words in self.requests)
        if any(words[0][:1] in b"bB" for words in self.requests):
            talk.maybe_waiting.add(self.link)

    def finish(self, pair):
        """Compares what all connections have received; raises `Difference`."""
        pair.conversation.settle()


class Conversation:
    """Several connections to both servers."""

    def __init__(self, pair):
        self.pair = pair
        self.links, self.ids, self.maybe_waiting = {}, {}, set()
        # Whose each number of a client is or was, by side.
        self.names = ({}, {})
        # Whether the present step has an EXEC.
        self.ends_transaction = False
        for side, link in enumerate(pair.controls):
            # No number of a client is to be taken for a count.
            while int(link.ask(b"CLIENT", b"ID")[1]) < IDS_FROM:
                for _ in range(IDS_FROM // 10):
                    pair.servers[side].connect().close()
                link = pair.controls[side] = Link(pair.servers[side])
        for number in range(CONNECTIONS):
            self.connect(number)

    def connect(self, number):
        """A new connection of this number to each."""
        links = self.links[number] = self.pair.links_of(number)
        self.ids[number] = [int(link.ask(b"CLIENT", b"ID")[1]) for link in links]
        for names, own in zip(self.names, self.ids[number]):
            names[b"%d" % own] = b"id of %d" % number
        self.maybe_waiting.discard(number)
        if number % 2:
            for link in links:
                link.ask(b"HELLO", b"3")

    def fence(self):
        """A round trip of a connection that does nothing else."""
        for link in self.pair.controls:
            link.send(b"PING\r\n")
        for link in self.pair.controls:
            link.until(b"+PONG\r\n")

    def waits(self, number):
        """Whether a connection waits for a key."""
        waits = []
        for side, link in enumerate(self.pair.controls):
            text = link.ask(b"CLIENT", b"LIST", b"ID", b"%d" % self.ids[number][side])[1]
            waits.append(b"b" in text.partition(b" flags=")[2].partition(b" ")[0])
        if waits[0] != waits[1]:
            raise Difference(f"connection {number} waits: ours {waits[0]}, Redis {waits[1]}")
        if not waits[0]:
            self.maybe_waiting.discard(number)
        return waits[0]

    def settle(self):
        """Takes what has come; raises `Difference` if it does not become the same on both sides."""
        self.fence()
        self.fence()
        deadline = time.monotonic() + PATIENCE_S
        ended = self.take()
        while differing := self.differing(ended):
            if time.monotonic() > deadline:
                number, left, right = differing
                raise Difference(f"connection {number} receives:\n    ours  {left}\n    Redis {right}")
            time.sleep(0.001)
            self.fence()
            ended |= self.take()
        for number in {number for number, _ in ended}:
            self.pair.forget(number)
            self.connect(number)

    def take(self):
        """Reads what there is, and tells which links have ended."""
        ended = set()
        sockets = {link.socket: (number, side) for number, links in self.links.items() for side, link in enumerate(links)}
        while ready := select.select(sockets, [], [], 0)[0]:
            for socket in ready:
                number, side = sockets[socket]
                try:
                    received = socket.recv(1 << 18)
                except ConnectionError:
                    received = b""
                self.links[number][side].held += received
                if not received:
                    ended.add((number, side))
                    del sockets[socket]
        return ended

    def differing(self, ended):
        """A connection whose sides have not received the same, and what they have; what is the same is done with."""
        for number, (ours, theirs) in self.links.items():
            if ((number, 0) in ended) != ((number, 1) in ended):
                return number, "ends" if (number, 0) in ended else "goes on", "ends" if (number, 1) in ended else "goes on"
            # Redis drops what one that is killed has not been sent yet.
            is_end = (number, 0) in ended and bytes(ours.held).startswith(theirs.held)
            if ours.held != theirs.held and not is_end and not self.are_alike(number):
                return number, bytes(ours.held), bytes(theirs.held)
            ours.held.clear()
            theirs.held.clear()
        return None

    def are_alike(self, number):
        """Whether what a connection's sides have received is the same but for what must differ."""
        try:
            (replies, messages), (their_replies, their_messages) = (
                Stream(link.held).parts(names) for link, names in zip(self.links[number], self.names)
            )
        except Incomplete:
            return False
        if settled(replies) != settled(their_replies):
            return False
        # Invalidations may stand anywhere: for BCAST they come behind all that a turn of the event loop has answered; and since Redis 7.2
        # those of a client's own command are in front of its messages.
        ours, invalid = halves(messages)
        theirs, their_invalid = halves(their_messages)
        return (
            settled(message for *_, message in invalid) == settled(message for *_, message in their_invalid)
            and settled(message for *_, message in ours) == settled(message for *_, message in theirs)
            and all(self.may_stand(*pair) for pair in zip(ours, theirs))
        )

    def may_stand(self, ours, theirs):
        """Whether a message may stand where ours does, among as many replies. Since Redis 7.2 what a client's own command has sent to it comes
        behind the command's reply; before, it was in front of it, or in the midst of that of EXEC."""
        (at, within, _), (their_at, their_within, _) = ours, theirs
        if their_within and not within:
            return at > their_at
        return at - their_at in (0, 1) or self.ends_transaction and at > their_at


class Stream(Replies):
    """What a connection has received."""

    def __init__(self, held):
        super().__init__(bytes(held))
        self.within = []

    def parts(self, names):
        """All replies, and all messages, each with how many replies are before it, and whether it stands within the next one: in that of EXEC,
        before Redis 7.2."""
        replies, messages = [], []
        while not self.is_at_end():
            tree = plain(super().reply(), names)
            messages += [(len(replies), True, plain(message, names)) for message in self.within]
            self.within.clear()
            if is_message(tree):
                messages.append((len(replies), False, tree))
            else:
                replies.append(tree)
        return replies, messages

    def reply(self):
        """A reply within another."""
        while is_message(tree := super().reply()):
            self.within.append(tree)
        return tree


def is_message(tree):
    """Whether it is something published, or an invalidation."""
    return isinstance(tree[1], list) and len(tree[1]) > 1 and tree[1][0][1] in (b"message", b"pmessage", b"smessage", b"invalidate")


def halves(messages):
    """What was published, and what invalidates."""
    invalid = [b"invalidate" in (run_of(message)[0] or ()) for *_, message in messages]
    return [one for one, is_so in zip(messages, invalid) if not is_so], [one for one, is_so in zip(messages, invalid) if is_so]


ENDS = (b"unsubscribe", b"punsubscribe", b"sunsubscribe")


def settled(trees):
    """Replies with what comes in any order made alike: runs of what UNSUBSCRIBE without channels says, in the order of a hash table; of one
    message for several patterns, the same; and of keys that have changed: for BCAST Redis tells of them once a turn of its event loop."""
    flat, out, run, last = [], [], [], None
    for tree in trees:
        # A reply of EXEC holds the first of the answers of UNSUBSCRIBE, and the others follow it.
        flat += [(tree[0], len(tree[1])), *tree[1]] if isinstance(tree[1], list) and any(run_of(one)[0] for one in tree[1]) else [tree]
    for tree in [*flat, None]:
        kind, what = run_of(tree) if tree else (None, [])
        if run and kind != last:
            out.append((last, sorted(set(run) if b"invalidate" in last else run)))
            run = []
        last = kind
        run += what
        # How many are left is counted down, whatever is gone.
        out += [tree] if kind is None else [tree[1][2]] if kind[1] in ENDS else []
    return out


def run_of(tree):
    """For what comes in any order among its like: what they have in common, and what not."""
    kind, held = tree
    if not isinstance(held, list) or not held:
        return None, []
    if held[0][1] in ENDS:
        return (kind, held[0][1]), [held[1]]
    if len(held) == 4 and held[0][1] == b"pmessage":
        return (kind, b"pmessage", held[2], held[3]), [held[1]]
    if held[0][1] == b"invalidate" or held[0][1] == b"message" and held[1][1] == b"__redis__:invalidate":
        return (kind, b"invalidate"), [(b"all", b"")] if held[-1][1] == b"" else held[-1][1]
    return None, []


def plain(tree, names):
    """One reply with what must differ made alike."""
    kind, held = tree
    if isinstance(held, list):
        if len(held) == 14 and held[0][1] == b"server":
            # HELLO: the version.
            held = held[:3] + held[4:]
        held = [plain(one, names) for one in held]
        if held and kind in (b"*", b"~") and all(one[0] == b"$" and one[1] in CHANNELS for one in held):
            held.sort()
        return (kind, held)
    if kind == b":" and held in names:
        return (kind, names[held])
    return tree


class Conversations:
    """Makes steps from a random source."""

    steps = STEPS

    def __init__(self, source):
        self.source = source
        kinds = {
            self.writes: 30, self.transaction: 12, self.piece: 8, self.wait: 14, self.unblock: 5, self.message: 10, self.subscription: 8, self.cache: 8,
            self.manner: 5, self.notify: 2, self.end: 1,
        }  # fmt: skip
        self.urn = [kind for kind, often in kinds.items() for _ in range(often)]

    def begin(self):
        """A new program."""
        source = self.source
        self.waits = source.choice(("for none", "for one", "for one", "for several"))
        # SWAPDB makes several keys come about at once.
        self.swaps = self.waits != "for several" and source.random() < 0.6
        # Before Redis 7.2 who was served had not changed the key that it was served from.
        self.has_loops = self.waits == "for none"
        self.broadcasts = self.has_loops or not self.swaps
        # To a client that is not answered Redis sends those parts of the reply of EXEC that confirm a subscription.
        self.mutes = source.random() < 0.4

    def step(self):
        """A random step."""
        requests = self.source.choice(self.urn)()
        if self.source.random() < 0.01:
            requests[self.source.randrange(len(requests))] = self.mistake()
        return Said(self.source.randrange(CONNECTIONS), requests, self.source.random() < 0.03)

    # ---- words

    def key(self, of):
        return self.source.choice(of if self.source.random() < 0.92 else KEYS)

    def value(self):
        return self.source.choice((b"a", b"b", b"c", b"1", b"2", b"10", b"long" * 30))

    def sides(self, count):
        return [self.source.choice(SIDES) for _ in range(count)]

    def db(self):
        return self.source.choice((b"0", b"0", b"0", b"1", b"2"))

    def mistake(self):
        return self.source.choice(
            ([b"nosuch"], [b"get"], [b"incr", b"l1"], [b"lpush", b"x", b"v"], [b"set", b"x", b"v", b"foo"], [b"zadd", b"z1", b"nan", b"m"], [b"select", b"99"], [b"exec", b"x"],
             [b"multi", b"x"], [b"watch"], [b"publish", b"ch1"], [b"subscribe"], [b"client", b"reply", b"foo"], [b"client", b"unblock", b"abc"], [b"blpop", b"l1", b"-1"],
             [b"client", b"nosuch"], [b"pubsub", b"nosuch"], [b"swapdb", b"0", b"99"], [b"move", b"x", b"99"], [b"discard", b"x"], [b"client", b"caching", b"foo"])
        )  # fmt: skip

    # ---- requests

    def write(self):
        """A request that changes keys, or reads one."""
        source, key, value = self.source, self.key, self.value
        a_list, zset, string, any_key = (lambda: key(LISTS)), (lambda: key(ZSETS)), (lambda: key(STRINGS)), (lambda: source.choice(KEYS))
        at = source.randrange(48)
        match at:
            case 0 | 1 | 2 | 3 | 4:
                return [source.choice((b"lpush", b"rpush", b"LPUSH")), a_list(), *(value() for _ in range(source.choice((1, 1, 1, 2, 3))))]
            case 5 | 6 | 7:
                return [b"zadd", zset(), *(word for _ in range(source.choice((1, 1, 2, 3))) for word in (b"%d" % source.randrange(9), value()))]
            case 8 | 9 | 10 | 11:
                return [b"set", string(), value(), *source.choice(((), (), (b"EX", b"1000"), (b"NX",), (b"XX",), (b"GET",), (b"KEEPTTL",)))]
            case 12 | 13:
                return [b"get", string()]
            case 14:
                return [source.choice((b"incr", b"decr", b"getdel", b"strlen")), string()]
            case 15:
                return [source.choice((b"append", b"getset", b"setnx")), string(), value()]
            case 16:
                return [source.choice((b"expire", b"pexpire")), any_key(), source.choice((b"1000000", b"-1", b"100000"))]
            case 17:
                return [source.choice((b"persist", b"type", b"exists")), any_key()]
            case 18 | 19:
                return [source.choice((b"del", b"unlink")), *(any_key() for _ in range(source.choice((1, 1, 2, 3))))]
            case 20 | 21 | 22:
                return [source.choice((b"rename", b"rename", b"renamenx")), any_key(), any_key()]
            case 23 | 24:
                return [b"copy", any_key(), any_key(), *source.choice(((), (b"REPLACE",), (b"DB", b"1"), (b"DB", b"0", b"REPLACE")))]
            case 25:
                return [b"move", any_key(), self.db()]
            case 26:
                return [b"swapdb", self.db(), self.db()] if self.swaps else [b"dbsize"]
            case 27:
                return [source.choice((b"flushdb", b"flushall")) if source.random() < 0.3 else b"dbsize"]
            case 28 | 29:
                return [b"sort", key(LISTS + ZSETS), b"ALPHA", b"STORE", STORED_LIST]
            case 30:
                return [source.choice((b"lpop", b"rpop")), a_list(), *source.choice(((), (b"2",)))]
            case 31:
                return [b"lmove", a_list(), a_list(), *self.sides(2)]
            case 32:
                return [b"rpoplpush", a_list(), a_list()]
            case 33:
                return [b"lmpop", b"2", a_list(), a_list(), *self.sides(1)]
            case 34:
                return source.choice(([b"ltrim", a_list(), b"0", b"1"], [b"lrem", a_list(), b"0", value()], [b"lset", a_list(), b"0", value()], [b"rpushx", a_list(), value()]))
            case 35:
                return [b"lrange", a_list(), b"0", b"-1"]
            case 36:
                return [source.choice((b"zpopmin", b"zpopmax")), zset(), *source.choice(((), (b"2",)))]
            case 37:
                return source.choice(([b"zunionstore", STORED_ZSET, b"2", zset(), zset()], [b"zrangestore", STORED_ZSET, zset(), b"0", b"-1"], [b"zincrby", zset(), b"1", value()], [b"zrem", zset(), value()]))
            case 38:
                return [b"zrange", zset(), b"0", b"-1"]
            case 39:
                return source.choice(([b"hset", b"h", value(), value()], [b"hdel", b"h", value()], [b"hincrby", b"h", b"n", b"1"], [b"hget", b"h", value()]))
            case 40:
                return source.choice(([b"sadd", b"s", value()], [b"srem", b"s", value()], [b"scard", b"s"], [b"sinterstore", any_key(), b"s"], [b"smove", b"s", any_key(), value()]))
            case 41:
                return source.choice(([b"mset", string(), value(), any_key(), value()], [b"msetnx", string(), value(), string(), value()], [b"mget", string(), string(), any_key()]))
            case 42:
                return source.choice(([b"setrange", string(), b"2", value()], [b"setbit", string(), b"3", b"1"], [b"getex", string(), b"EX", b"1000"], [b"incrbyfloat", string(), b"0.5"]))
            case 43:
                return [b"select", self.db()]
            case 44:
                return [b"linsert", a_list(), b"BEFORE", value(), value()]
            case 45:
                return [b"bitop", b"OR", any_key(), string(), string()]
        return [b"ping"] if at == 46 else [b"echo", value()]

    def several(self):
        """A change of what several are waited for."""
        source, a_list, zset = self.source, self.source.choice(SEVERAL_LISTS), self.source.choice(SEVERAL_ZSETS)
        return [
            source.choice(
                ([source.choice((b"lpush", b"rpush")), a_list, self.value(), self.value()], [b"zadd", zset, b"1", self.value(), b"2", self.value()], [b"rpush", a_list, self.value()],
                 [b"rename", a_list, source.choice(SEVERAL_LISTS)], [b"lmove", a_list, source.choice(SEVERAL_LISTS), b"LEFT", b"RIGHT"], [b"copy", zset, source.choice(SEVERAL_ZSETS)],
                 [b"del", a_list, zset], [b"move", a_list, self.db()], [b"lpop", a_list], [b"zpopmin", zset])
            )
        ]  # fmt: skip

    def writes(self):
        if self.waits == "for several" and self.source.random() < 0.2:
            return self.several()
        return [self.write() for _ in range(self.source.choice((1, 1, 2, 3, 5)))]

    def blocking(self):
        """A request that waits, if there is nothing."""
        source = self.source
        wait = source.choice(WAITS if source.random() < 0.97 else ODD_WAITS)
        lists, zsets = [self.key([*LISTS, STORED_LIST])], [self.key([*ZSETS, STORED_ZSET])]
        if self.waits == "for several" and source.random() < 0.6:
            lists = [source.choice(SEVERAL_LISTS) for _ in range(source.choice((2, 3)))]
            zsets = [source.choice(SEVERAL_ZSETS) for _ in range(2)]
        count = source.choice(([], [b"COUNT", b"2"]))
        match source.randrange(8):
            case 0 | 1:
                return [source.choice((b"blpop", b"brpop")), *lists, wait]
            case 2:
                return [b"blmove", self.key(LISTS), self.key(LISTS), *self.sides(2), wait]
            case 3:
                return [b"brpoplpush", self.key(LISTS), self.key(LISTS), wait]
            case 4:
                return [b"blmpop", wait, b"%d" % len(lists), *lists, source.choice(SIDES), *count]
            case 5 | 6:
                return [source.choice((b"bzpopmin", b"bzpopmax")), *zsets, wait]
        return [b"bzmpop", wait, b"%d" % len(zsets), *zsets, source.choice((b"MIN", b"MAX")), *count]

    def wait(self):
        if self.waits == "for none":
            return self.writes()
        behind = self.source.choice(([], [], [[b"ping"]], [[b"echo", self.value()]], [self.write()]))
        return [self.blocking(), *behind]

    def unblock(self):
        return [[b"client", b"unblock", self.client(), *self.source.choice(((), (), (b"TIMEOUT",), (b"ERROR",)))]]

    def client(self):
        return Client(self.source.randrange(CONNECTIONS))

    def any_request(self):
        """What may stand in a transaction."""
        makers = (self.write, self.write, self.write, self.write, self.blocking, self.publish, self.mistake, self.caching, self.publish if self.mutes else self.subscribe)
        return self.source.choice(makers if self.source.random() < 0.5 else (self.write,))()

    def transaction(self):
        source = self.source
        before = [[b"watch", self.source.choice(KEYS)]] if source.random() < 0.1 else []
        queued = [self.any_request() for _ in range(source.choice((0, 1, 1, 2, 3, 4, 6)))]
        return [*before, [b"multi"], *queued, [b"exec" if source.random() < 0.9 else b"discard"]]

    def piece(self):
        """A part of a transaction."""
        if self.mutes:
            return self.transaction()
        source = self.source
        watch = [b"watch", *(source.choice(KEYS) for _ in range(source.choice((1, 1, 2, 4))))]
        return [source.choice(([b"multi"], [b"multi"], [b"exec"], [b"exec"], [b"exec"], [b"discard"], watch, watch, watch, [b"unwatch"]))]

    def channels(self):
        return [self.source.choice(CHANNELS) for _ in range(self.source.choice((1, 1, 2, 3)))]

    def publish(self):
        if self.source.random() < 0.2:
            return self.source.choice(
                ([b"pubsub", b"channels"], [b"pubsub", b"channels", b"ch*"], [b"pubsub", b"numsub", *CHANNELS], [b"pubsub", b"numpat"], [b"pubsub", b"numsub"],
                 [b"pubsub", b"shardchannels"], [b"pubsub", b"shardnumsub", *CHANNELS], [b"pubsub", b"shardchannels", b"ch1"])
            )  # fmt: skip
        return [self.source.choice((b"publish", b"publish", b"spublish")), self.source.choice(CHANNELS), self.value()]

    def message(self):
        return [self.publish() for _ in range(self.source.choice((1, 1, 2, 4)))]

    def subscribe(self):
        source = self.source
        return source.choice(
            ([b"subscribe", *self.channels()], [b"psubscribe", *(source.choice(PATTERNS) for _ in range(source.choice((1, 1, 2))))], [b"ssubscribe", *self.channels()],
             [b"subscribe", *self.channels()], [b"unsubscribe", *self.channels()], [b"unsubscribe"], [b"punsubscribe"], [b"punsubscribe", source.choice(PATTERNS)],
             [b"sunsubscribe"], [b"sunsubscribe", *self.channels()])
        )  # fmt: skip

    def subscription(self):
        return [self.subscribe() for _ in range(self.source.choice((1, 1, 2)))] + self.source.choice(([], [], [[b"ping"]], [[b"ping", b"x"]], [self.publish()]))

    def caching(self):
        source = self.source
        prefixes = source.choice(((), (), (b"PREFIX", b"l"), (b"PREFIX", b"x", b"PREFIX", b"z"), (b"PREFIX", b"x", b"PREFIX", b"xy")))
        redirect = [b"REDIRECT", self.client()] if source.random() < 0.25 else []
        how = source.choice(([], [], [b"OPTIN"], [b"OPTOUT"], list(prefixes), [b"OPTIN", b"OPTOUT"]))
        if self.broadcasts and source.random() < 0.4:
            how = source.choice(([b"BCAST", *prefixes], [b"BCAST"], [b"OPTIN", b"BCAST"]))
        if self.has_loops and source.random() < 0.3:
            how = [*how, b"NOLOOP"]
        return source.choice(
            ([b"client", b"tracking", b"on", *how, *redirect], [b"client", b"tracking", b"on", *how, *redirect], [b"client", b"tracking", b"off"] if not self.broadcasts else [b"ping"], [b"client", b"caching", b"yes"],
             [b"client", b"caching", b"no"], [b"client", b"trackinginfo"], [b"client", b"getredir"], [b"get", source.choice(KEYS)], [b"mget", *STRINGS], [b"llen", self.key(LISTS)])
        )  # fmt: skip

    def cache(self):
        return [self.caching() for _ in range(self.source.choice((1, 2, 3)))]

    def manner(self):
        """How the connection itself is: its protocol, database, name, whether it is answered."""
        source = self.source
        mute = source.choice((b"on", b"on", b"skip", b"off") if self.mutes else (b"on",))
        return [
            source.choice(
                ([b"hello", b"3"], [b"hello", b"2"], [b"hello"], [b"reset"], [b"reset"], [b"select", self.db()], [b"client", b"reply", mute], [b"client", b"setname", b"me"], [b"client", b"getname"])
            ),
            *source.choice(([], [[b"ping"]], [self.write()], [self.write(), [b"client", b"reply", b"on"]])),
        ]  # fmt: skip

    def notify(self):
        return [[b"config", b"set", b"notify-keyspace-events", self.source.choice(FLAGS)], *self.source.choice(([], [[b"config", b"get", b"notify-keyspace-events"]]))]

    def end(self):
        # Redis closes behind the reply of QUIT, and so never where there is none.
        return self.source.choice(([[b"reset"], [b"quit"]], [[b"client", b"kill", b"ID", self.client()]], [[b"client", b"kill", b"id", self.client(), b"skipme", b"no"]]))
