"""Random requests about hashes, lists, sets and sorted sets, and what may differ between two right answers to them.

For scripts/differential. `Collections(source, known).words()` makes the words of a request from a random source, out of those
commands that `known` names. What is not asked, because a right answer is one of several and the data would go apart: SPOP of
some elements, ranges by lex of members whose scores differ, SORT of a set by nothing with a limit.
"""

from wire import Astray

HASHES = [b"h1", b"h2", b"h3"]
LISTS = [b"l1", b"l2", b"l3"]
SETS = [b"s1", b"s2", b"s3", b"s4"]
ZSETS = [b"z1", b"z2", b"z3", b"z4"]
# All members of these have the score 0. No other command writes them.
LEX_ZSETS = [b"zl1", b"zl2"]
STRINGS = [b"str", b"weight_1", b"weight_2", b"weight_a", b"weight_b"]
KEYS = HASHES + LISTS + SETS + ZSETS + LEX_ZSETS
ANY_KEYS = HASHES + LISTS + SETS + ZSETS + [b"nosuch", b"str"]

# SORT ALPHA compares up to the first NUL byte: no two may be alike until there.
SMALL = [b"a", b"b", b"c", b"d", b"e", b"foo", b"bar", b"", b"0", b"1", b"2", b"3", b"-1", b"10", b"1.5", b"-0", b"007", b"x y", b"z\x00y", b"\xff\r\n", b"[x]*"]
INTEGERS = [b"127", b"128", b"-129", b"32767", b"32768", b"-32769", b"2147483648", b"-2147483649", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808"]
LONG = [b"m" * 63, b"m" * 64, b"m" * 65, b"n" * 300, b"o" * 1023, b"p" * 4090, b"q" * 5000]
LONGEST = [b"r" * 20_000, b"s" * 33_000, b"t" * 65_534, b"u" * 65_535, b"u" * 65_536, b"v" * 70_000]
NUMBERS = [b"0", b"1", b"-1", b"5", b"100", b"-37", b"9223372036854775807", b"-9223372036854775808", b"abc", b"", b"1.5", b"9223372036854775808", b" 1"]
FLOATS = [
    b"0", b"1", b"-1", b"1.5", b"3.14", b"-2.25", b"0.1", b"1e3", b"1e300", b"-1e-300", b"100000000000000000", b"123456789.125", b"1e17", b"1e21",
    b"inf", b"-inf", b"+inf", b"nan", b"abc", b"", b"0x10", b"-0", b"3.0", b"1e400", b" 1", b"17179869184.5", b"4503599627370497.5",
]
LEX = [b"-", b"+", b"[a", b"(a", b"[c", b"(m", b"[foo", b"(", b"[", b"[m2", b"(m5", b"a", b"", b"[\xff"]
COUNTS = [b"0", b"1", b"2", b"3", b"10", b"1000", b"-1", b"-2", b"abc", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808"]
ALL = b"10000000"
PATTERNS = [b"*", b"m*", b"*1*", b"foo", b"[ab]", b"?", b""]

# Each name with how often it comes, relative to the others.
OFTEN = {
    "hset": 6, "hmset": 1, "hsetnx": 1, "hget": 2, "hmget": 2, "hdel": 3, "hlen": 1, "hstrlen": 1, "hexists": 1, "hgetall": 2, "hkeys": 1, "hvals": 1,
    "hincrby": 2, "hincrbyfloat": 2, "hrandfield": 2, "hscan": 1,
    "lpush": 3, "rpush": 4, "lpushx": 1, "rpushx": 1, "lpop": 2, "rpop": 2, "llen": 1, "lindex": 2, "lset": 2, "linsert": 2, "lrange": 4, "ltrim": 2, "lrem": 2,
    "lpos": 2, "lmove": 2, "rpoplpush": 1, "lmpop": 1, "blpop": 0.1, "brpop": 0.1, "blmove": 0.1, "brpoplpush": 0.1, "blmpop": 0.1,
    "sadd": 6, "srem": 3, "smembers": 2, "sismember": 1, "smismember": 1, "scard": 1, "smove": 2, "srandmember": 2, "spop": 1, "sinter": 1, "sunion": 1,
    "sdiff": 1, "sinterstore": 1, "sunionstore": 1, "sdiffstore": 1, "sintercard": 1, "sscan": 1,
    "zadd": 8, "zrem": 3, "zscore": 1, "zmscore": 1, "zincrby": 2, "zcard": 1, "zcount": 1, "zlexcount": 1, "zrank": 1, "zrevrank": 1, "zrange": 4, "zrevrange": 1,
    "zrangebyscore": 2, "zrevrangebyscore": 1, "zrangebylex": 1, "zrevrangebylex": 1, "zrangestore": 1, "zremrangebyrank": 1, "zremrangebyscore": 1,
    "zremrangebylex": 1, "zpopmin": 1, "zpopmax": 1, "zmpop": 1, "zunion": 1, "zinter": 1, "zdiff": 1, "zunionstore": 1, "zinterstore": 1, "zdiffstore": 1,
    "zintercard": 1, "zrandmember": 1, "zscan": 1, "bzpopmin": 0.1, "bzpopmax": 0.1, "bzmpop": 0.1,
    "sort": 3, "sort_ro": 1, "object": 3, "del": 2, "unlink": 1, "type": 1, "rename": 0.5, "renamenx": 0.5, "copy": 1, "expire": 0.5, "persist": 0.5, "exists": 1,
    "set": 1, "get": 0.5, "move": 0.3,
}  # fmt: skip


class Collections:
    """Makes requests from a random source."""

    def __init__(self, source, known):
        self.source = source
        self.names = [name for name in OFTEN if name in known]
        # Each as often as it comes.
        self.urn = [name for name in self.names for _ in range(round(10 * OFTEN[name]))]
        self.families = {name: (name.encode(), getattr(self, "family_" + family(name))) for name in self.names}

    def some(self, of, most=0.95):
        """One of a family's keys, at times any key."""
        if self.source.random() < most:
            return self.source.choice(of)
        return self.source.choice(ANY_KEYS)

    def element(self):
        at = self.source.random()
        if at < 0.4:
            return self.source.choice(SMALL)
        if at < 0.85:
            return b"m%d" % self.source.randrange(400)
        if at < 0.95:
            return b"%d" % self.source.randrange(-300, 300)
        if at < 0.98:
            return self.source.choice(INTEGERS)
        return self.source.choice(LONG) if at < 0.998 else self.source.choice(LONGEST)

    def elements(self, most=300):
        """Few, or at times many; at times all of a kind."""
        count = self.source.choice([1, 1, 1, 2, 3, 5, 20, 60, most]) if self.source.random() < 0.5 else self.source.choice([1, 2])
        if self.source.random() < 0.2:
            return [b"%d" % self.source.randrange(-600, 600) for _ in range(count)]
        if count >= 20:
            first = self.source.randrange(400)
            return [b"m%d" % (first + step) for step in range(count)]
        return [self.element() for _ in range(count)]

    def index(self):
        if self.source.random() < 0.03:
            return self.source.choice(NUMBERS)
        return b"%d" % self.source.choice([0, 0, 1, 2, 5, 10, 100, 1000, -1, -1, -2, -3, -10, -100, self.source.randrange(-300, 300)])

    def score(self):
        at = self.source.random()
        if at < 0.5:
            return b"%d" % self.source.randrange(-20, 200)
        return self.source.choice(FLOATS[:16] if at < 0.95 else FLOATS)

    def bound(self):
        score = self.score()
        return b"(" + score if self.source.random() < 0.3 else score

    def limit(self):
        return self.source.choice([[], [], [b"LIMIT", self.index(), self.index()], [b"LIMIT", b"1", b"3"], [b"LIMIT", b"0"]])

    def numkeys(self, of):
        keys = [self.some(of) for _ in range(self.source.choice([1, 2, 2, 3]))]
        count = b"%d" % len(keys)
        if self.source.random() < 0.04:
            count = self.source.choice([b"0", b"-1", b"abc", b"5", b""])
        return [count, *keys]

    def words(self):
        """The words of a request."""
        name = self.source.choice(self.urn)
        word, arguments = self.families[name]
        return [word, *arguments(name)]

    # ---- one function a family: the arguments of a request

    def family_hash(self, name):
        choice, key = self.source.choice, self.some(HASHES)
        match name:
            case "hset" | "hmset":
                return [key, *(word for field in self.elements(150) for word in (field, self.element()))]
            case "hsetnx":
                return [key, self.element(), self.element()]
            case "hget" | "hstrlen" | "hexists":
                return [key, self.element()]
            case "hmget" | "hdel":
                return [key, *self.elements(100)]
            case "hincrby":
                return [key, self.element(), choice(NUMBERS)]
            case "hincrbyfloat":
                return [key, self.element(), choice(FLOATS)]
            case "hrandfield":
                return [key, *choice([[], [choice(COUNTS[:8])], [ALL], [ALL, b"WITHVALUES"], [choice(COUNTS[:8]), b"withvalues"], [choice(COUNTS[8:])], [ALL, b"foo"]])]
            case "hscan":
                return [key, *self.scan()]
        return [key]

    def scan(self):
        words = [b"abc" if self.source.random() < 0.03 else b"0"]
        for _ in range(self.source.choice([0, 1, 2])):
            words += self.source.choice([[b"MATCH", self.source.choice(PATTERNS)], [b"COUNT", self.source.choice(COUNTS[1:9])], [b"COUNT", b"1000"], [b"foo"]])
        return words

    def family_list(self, name):
        choice, key = self.source.choice, self.some(LISTS)
        where = lambda: choice([b"LEFT", b"RIGHT", b"left", b"foo" if self.source.random() < 0.1 else b"right"])  # noqa: E731
        wait = b"0.001" if self.source.random() < 0.9 else choice([b"-1", b"abc"])
        match name:
            case "lpush" | "rpush" | "lpushx" | "rpushx":
                return [key, *self.elements()]
            case "lpop" | "rpop":
                return [key, *choice([[], [], [choice(COUNTS)], [b"2"]])]
            case "llen":
                return [key]
            case "lindex":
                return [key, self.index()]
            case "lset":
                return [key, self.index(), self.element()]
            case "linsert":
                return [key, choice([b"BEFORE", b"after", b"AFTER", b"foo" if self.source.random() < 0.1 else b"before"]), self.element(), self.element()]
            case "lrange" | "ltrim":
                if name == "ltrim" and self.source.random() < 0.5:
                    return [key, b"0", b"200"]
                return [key, self.index(), self.index()]
            case "lrem":
                return [key, choice([b"0", b"1", b"-1", b"2", b"-3", b"abc" if self.source.random() < 0.1 else b"0"]), self.element()]
            case "lpos":
                words = [key, self.element()]
                for _ in range(choice([0, 1, 1, 2, 3])):
                    words += choice([[b"RANK", choice([b"1", b"-1", b"2", b"-2", b"0", b"abc"])], [b"COUNT", choice([b"0", b"1", b"2", b"-1"])], [b"MAXLEN", choice([b"0", b"1", b"10", b"-1"])], [b"foo"]])
                return words
            case "lmove":
                return [key, self.some(LISTS), where(), where()]
            case "blmove":
                return [key, self.some(LISTS), where(), where(), wait]
            case "rpoplpush":
                return [key, self.some(LISTS)]
            case "brpoplpush":
                return [key, self.some(LISTS), wait]
            case "lmpop" | "blmpop":
                first = [wait] if name == "blmpop" else []
                return [*first, *self.numkeys(LISTS), where(), *choice([[], [b"COUNT", choice(COUNTS)], [b"COUNT", b"3"]])]
        return [key, self.some(LISTS), wait]

    def family_set(self, name):
        choice, key = self.source.choice, self.some(SETS)
        match name:
            case "sadd" | "srem" | "smismember":
                return [key, *self.elements(600 if name == "sadd" and self.source.random() < 0.1 else 100)]
            case "sismember":
                return [key, self.element()]
            case "smove":
                return [key, self.some(SETS), self.element()]
            case "srandmember":
                return [key, *choice([[], [ALL], [choice(COUNTS)]])]
            case "spop":
                return [key, choice([ALL, ALL, b"0", b"-1", b"abc"])]
            case "sinter" | "sunion" | "sdiff":
                return [key, *(self.some(SETS) for _ in range(choice([0, 1, 1, 2])))]
            case "sinterstore" | "sunionstore" | "sdiffstore":
                return [key, *(self.some(SETS) for _ in range(choice([1, 2, 2, 3])))]
            case "sintercard":
                return [*self.numkeys(SETS), *choice([[], [b"LIMIT", choice(COUNTS)], [b"foo"]])]
            case "sscan":
                return [key, *self.scan()]
        return [key]

    def family_zset(self, name):
        choice, key = self.source.choice, self.some(ZSETS)
        with_scores = choice([[], [b"WITHSCORES"], [b"withscores"], [b"foo"] if self.source.random() < 0.1 else []])
        wait = b"0.001" if self.source.random() < 0.9 else choice([b"-1", b"abc"])
        if "lex" in name or (name in ("zadd", "zrem") and self.source.random() < 0.15):
            key = choice(LEX_ZSETS)
            match name:
                case "zadd":
                    return [key, *(word for member in self.elements() for word in (b"0", member))]
                case "zrem":
                    return [key, *self.elements(50)]
                case "zrangebylex" | "zrevrangebylex":
                    return [key, choice(LEX), choice(LEX), *self.limit()]
            return [key, choice(LEX), choice(LEX)]
        match name:
            case "zadd":
                options = []
                for _ in range(choice([0, 0, 0, 1, 1, 2, 3])):
                    options.append(choice([b"NX", b"XX", b"GT", b"LT", b"CH", b"ch", b"INCR" if self.source.random() < 0.5 else b"CH"]))
                members = self.elements()[: 1 if b"INCR" in options and self.source.random() < 0.9 else 600]
                return [key, *options, *(word for member in members for word in (self.score(), member))]
            case "zrem" | "zmscore":
                return [key, *self.elements(100)]
            case "zscore" | "zrank" | "zrevrank":
                return [key, self.element()]
            case "zincrby":
                return [key, self.score(), self.element()]
            case "zcount" | "zremrangebyscore":
                return [key, self.bound(), self.bound()]
            case "zrange" | "zrangestore":
                first = [self.some(ZSETS)] if name == "zrangestore" else []
                if self.source.random() < 0.15:
                    tail = choice([[b"BYLEX"], [b"BYLEX", b"REV"], [b"BYLEX", *self.limit()]])
                    return [*first, choice(LEX_ZSETS), choice(LEX), choice(LEX), *tail] if name == "zrange" else [*first, key, b"0", b"-1", b"foo"]
                tail = choice([[], [], [b"REV"], [b"BYSCORE"], [b"BYSCORE", b"REV"], [b"BYSCORE", *self.limit()], self.limit()])
                by_score = b"BYSCORE" in tail
                ends = [self.bound(), self.bound()] if by_score else [self.index(), self.index()]
                return [*first, key, *ends, *tail, *(with_scores if name == "zrange" else [])]
            case "zrevrange":
                return [key, self.index(), self.index(), *with_scores]
            case "zrangebyscore" | "zrevrangebyscore":
                return [key, self.bound(), self.bound(), *with_scores, *self.limit()]
            case "zremrangebyrank":
                return [key, self.index(), self.index()]
            case "zpopmin" | "zpopmax":
                return [key, *choice([[], [b"2"], [choice(COUNTS)]])]
            case "zmpop" | "bzmpop":
                first = [wait] if name == "bzmpop" else []
                return [*first, *self.numkeys(ZSETS), choice([b"MIN", b"MAX", b"min", b"foo"]), *choice([[], [b"COUNT", choice(COUNTS)], [b"COUNT", b"3"]])]
            case "bzpopmin" | "bzpopmax":
                return [key, self.some(ZSETS), wait]
            case "zunion" | "zinter" | "zdiff" | "zunionstore" | "zinterstore" | "zdiffstore":
                keys = self.numkeys(ZSETS + SETS[:2])
                words = [self.some(ZSETS)] if name.endswith("store") else []
                words += keys
                if "diff" not in name and self.source.random() < 0.3:
                    words += [b"WEIGHTS", *(self.score() for _ in keys[1:])]
                if "diff" not in name and self.source.random() < 0.3:
                    words += [b"AGGREGATE", choice([b"SUM", b"MIN", b"max", b"foo"])]
                return words if name.endswith("store") else [*words, *with_scores]
            case "zintercard":
                return [*self.numkeys(ZSETS + SETS[:1]), *choice([[], [b"LIMIT", choice(COUNTS)]])]
            case "zrandmember":
                return [key, *choice([[], [ALL], [ALL, b"WITHSCORES"], [choice(COUNTS)]])]
            case "zscan":
                return [key, *self.scan()]
        return [key]

    def family_sort(self, name):
        choice = self.source.choice
        key = self.some(LISTS + SETS + ZSETS)
        words = [key]
        by = choice([None, None, b"weight_*", b"h1->*", b"nosort"])
        if by is not None:
            words += [b"BY", by]
        order = choice([[], [b"ALPHA"], [b"ALPHA"], [b"DESC"], [b"ALPHA", b"DESC"], [b"foo"] if self.source.random() < 0.1 else []])
        # Elements that weigh the same as texts come in any order, and so does a set that is not sorted.
        ties = by is not None and (b"ALPHA" in order or by == b"nosort")
        if not ties and self.source.random() < 0.3:
            words += [b"LIMIT", self.index(), self.index()]
        if self.source.random() < 0.3:
            words += [b"GET", choice([b"#", b"weight_*", b"h2->*", b"nosuch_*"])]
        words += order
        if name == "sort" and not ties and self.source.random() < 0.2:
            words += [b"STORE", self.some(LISTS)]
        return words

    def family_key(self, name):
        choice = self.source.choice
        any_key = lambda: choice(HASHES + LISTS + SETS + ZSETS)  # noqa: E731
        match name:
            case "object":
                return [choice([b"encoding", b"ENCODING", b"refcount", b"freq", b"nosuch", b"encoding"]), choice(KEYS + [b"nosuch"])]
            case "del" | "unlink":
                return [choice(KEYS)]
            case "rename" | "renamenx":
                return [any_key(), any_key()]
            case "copy":
                return [any_key(), any_key(), *choice([[], [b"REPLACE"], [b"DB", b"1"]])]
            case "move":
                return [any_key(), b"%d" % self.source.randrange(3)]
            case "expire":
                return [choice(KEYS), choice([b"100", b"-1", b"100000"])]
            case "set":
                return [choice(STRINGS), choice([b"1", b"2", b"-7.5", b"abc", b"1e5"])]
            case "get":
                return [choice(STRINGS + KEYS)]
        return [choice(KEYS)]


def family(name):
    """Which function makes the arguments of a command."""
    if name in ("sort", "sort_ro"):
        return "sort"
    if name in ("object", "del", "unlink", "type", "rename", "renamenx", "copy", "expire", "persist", "exists", "set", "get", "move"):
        return "key"
    if name.startswith(("z", "bz")):
        return "zset"
    return {"h": "hash", "s": "set"}.get(name[0], "list")


# ---- what may differ

UNORDERED = {b"smembers", b"sinter", b"sunion", b"sdiff", b"hkeys", b"hvals", b"spop"}
RANDOM = {b"srandmember", b"hrandfield", b"zrandmember"}


def pairs(items):
    """A flat list of a map's or a scan's, as sorted pairs."""
    return sorted(zip(items[::2], items[1::2]))


def plain(reply):
    """A reply with its floats as Python prints them: Redis 7.0 has 17 digits where 7.4 has as few as tell the number.

    Zero has no sign: in Redis a score's is lost in the small encoding and kept in the large one.
    """
    kind, held = reply
    if isinstance(held, list):
        return (kind, [plain(item) for item in held])
    if held == b"-0":
        return (kind, b"0")
    if kind in (b"$", b",") and (len(held) > 15 or b"." in held or b"e" in held):
        try:
            return (kind, repr(float(held)).encode())
        except ValueError:
            pass
    return reply


def settled(words, ours, theirs):
    """Both replies with what may differ made alike."""
    name = words[0].lower() if words else b""
    if name.startswith((b"z", b"bz")):
        ours, theirs = plain(ours), plain(theirs)
    if name in (b"zrank", b"zrevrank") and len(words) > 3 and ours[0] == theirs[0] == b"-":
        # Since 7.2 there may be WITHSCORE.
        return theirs, theirs
    if name in (b"sort", b"sort_ro") and ours[0] != b"-" and theirs[1] == b"ERR One or more scores can't be converted into double":
        # Redis 7.0 looks at an errno that an earlier command may have left.
        if b"store" in map(bytes.lower, words):
            raise Astray
        return theirs, theirs
    if ours[0] != theirs[0] or not isinstance(ours[1], list):
        if name == b"object" and {ours[1], theirs[1]} in ({b"listpack", b"quicklist"}, {b"listpack", b"hashtable"}) and ours[1] == b"listpack":
            # Since 7.2 short lists are listpacks, and short sets of what is no integer too.
            return theirs, theirs
        if name == b"object" and (ours[1], theirs[1]) == (b"listpack", b"skiplist"):
            # SORT makes a skiplist of a small sorted set in Redis, for good.
            return theirs, theirs
        if name in RANDOM and len(words) == 2 and ours[0] == theirs[0] == b"$":
            return theirs, theirs
        return ours, theirs
    if not isinstance(theirs[1], list):
        return ours, theirs
    if name in UNORDERED:
        return (ours[0], sorted(ours[1])), (theirs[0], sorted(theirs[1]))
    if name == b"hgetall":
        return (ours[0], pairs(ours[1])), (theirs[0], pairs(theirs[1]))
    if name in RANDOM:
        if words[2] == ALL:
            flat = len(words) > 3 and (not ours[1] or ours[1][0][0] != b"*")
            return tuple((reply[0], pairs(reply[1]) if flat else sorted(reply[1])) for reply in (ours, theirs))
        return (b"*", len(ours[1])), (b"*", len(theirs[1]))
    if name in (b"hscan", b"sscan", b"zscan") and len(ours[1]) == len(theirs[1]) == 2:
        (_, our_cursor), (_, our_items) = ours[1]
        (_, their_cursor), (_, their_items) = theirs[1]
        if our_cursor != b"0" or their_cursor != b"0":
            return (b"*", []), (b"*", [])
        sort = sorted if name == b"sscan" else pairs
        return (b"*", sort(our_items)), (b"*", sort(their_items))
    options = {word.upper() for word in words[2:]}
    if name in (b"sort", b"sort_ro") and (b"NOSORT" in options or options >= {b"BY", b"ALPHA"}):
        # A set is not sorted, or what weighs the same: see `family_sort`.
        return (b"*", sorted(ours[1])), (b"*", sorted(theirs[1]))
    return ours, theirs


def same_in_any_order(words, ours, theirs):
    """Whether both replies hold the same texts, or pairs of texts, in any order, where that is all that is asked. Told from bytes, which is
    ten times as fast as from trees; False may also mean that it cannot be told so."""
    name = words[0].lower()
    if name in UNORDERED:
        width = 2
    elif name == b"hgetall" or name in RANDOM and len(words) == 4 and words[2] == ALL:
        width = 4
    elif name in RANDOM and len(words) == 3 and words[2] == ALL:
        width = 2
    else:
        return False
    both = []
    for held in (ours, theirs):
        # The one text with a line's end in it would hide where the others end.
        header, *lines, rest = held.replace(b"\xff\r\n\r\n", b"\xff..\r\n").split(b"\r\n")
        # As many lines as that means that no text has such an end within it.
        texts = int(header[1:]) * (2 if header[:1] == b"%" else 1) if header[:1] in (b"*", b"~", b"%") else -1
        if len(lines) != 2 * texts or rest or 2 * texts % width:
            return False
        both.append((header, sorted(zip(*(lines[at::width] for at in range(width))))))
    return both[0] == both[1]


# What tells all of a value, by its type.
READ = {
    b"string": [b"GET"], b"hash": [b"HGETALL"], b"list": [b"LRANGE", b"0", b"-1"], b"set": [b"SMEMBERS"], b"zset": [b"ZRANGE", b"0", b"-1", b"WITHSCORES"],
}  # fmt: skip


def value(link, key, ordered):
    """A key's type, encoding and value; `ordered` says that the server knows OBJECT, and so what has an order."""
    kind = link.ask(b"TYPE", key)[1]
    if kind not in READ:
        return (kind, None, None)
    encoding = link.ask(b"OBJECT", b"ENCODING", key) if ordered else (b"$", None)
    command, *rest = READ[kind]
    held = link.ask(command, key, *rest)
    if kind == b"hash" and not (ordered and encoding[1] == b"listpack"):
        held = pairs(held[1])
    if kind == b"set" and not (ordered and encoding[1] == b"intset"):
        held = sorted(held[1])
    if kind == b"zset":
        held = plain(held)
    if kind in (b"string", b"zset") or kind in (b"list", b"set") and encoding[1] in (b"listpack", b"quicklist", b"hashtable"):
        encoding = None
    return (kind, encoding, held)
