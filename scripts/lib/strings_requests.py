"""Random requests about strings, keys and the server, for scripts/differential.

`Strings(source).words()` makes the words of a request from a random source.
"""

import random

DATABASES = 3
KEYS = [b"a", b"b", b"c", b"key:1", b"key:2", b"", b"\x00\xff\r\n", b"with blank", b"k" * 300, b"[x]*?", b"h\xc3\xa9"]
ONCE_TEXT = b"0123456789abcdef"
VALUES = [
    b"", b"0", b"-0", b"1", b"-1", b"+1", b"01", b" 1", b"1 ", b"10", b"9223372036854775807", b"-9223372036854775808",
    b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"1e400", b"3.14", b"3.0", b"1e3", b"-1.5e-7",
    b"0.1", b"1e17", b"5e-324", b"1.7976931348623157e308", b"inf", b"-inf", b"nan", b"0x10", b"0x1p3", b"1.", b".5", b".", b"e5",
    b"3.00000000000000000000000001", b"123456789.123456789123456789", b"9007199254740993", b"hello", b"two words", b"\x00",
    b"\xff\xfe\r\n\x00$5", b"*1\r\n$4\r\nPING\r\n", b"1\x00", b"x" * 44, b"x" * 45, b"y" * 1000, b"z" * 16383,
    b"z" * 16384, ONCE_TEXT * 1280, ONCE_TEXT * 4480,
]
SHORT = [word for word in VALUES if len(word) <= 65_535]
# For the commands about ranges and bits: a few hundred bytes, and past the size from which values are kept in another way.
BITS_OF = random.Random(1)
BITMAPS = [
    b"\xff" * 3, b"\x00" * 3, b"\x00\xff\xf0", b"foobar", bytes(range(256)), BITS_OF.randbytes(300), b"\xff" * 500, b"\x00" * 700 + b"\x01",
    BITS_OF.randbytes(65_536), b"\xff" * 65_537, b"\x00" * 131_072, BITS_OF.randbytes(200_003),
]
# Ends of values, of pages, of words, and what lies beside them.
PLACES = [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 100, 299, 300, 301, 16_383, 16_384, 65_535, 65_536, 65_537, 100_000, 131_072, 199_999]
ODD_PLACES = [
    b"", b"abc", b"1.5", b"01", b" 1", b"4294967295", b"4294967296", b"536870911", b"536870912", b"9223372036854775807",
    b"-9223372036854775808", b"9223372036854775808",
]
# Increments are small on the whole, so that INCRBYFLOAT meets numbers that can be added to.
NUMBERS = VALUES[1:36] + [b"1", b"2", b"-3", b"0.25", b"100", b"-7.5", b"1000000007"] * 2
# Far apart, so that no two are told apart by a clock's tick.
AWAY = [b"100", b"5000", b"250000", b"12000000", b"600000000"]
ODD_TIMES = [
    b"0", b"-1", b"-100", b"abc", b"", b"1.5", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775",
    b"9223372036854776", b"9223372036854775808", b"99999999999999999", b" 100", b"100 ",
]
# Seconds since 1970: long past and far to come.
EPOCHS = [b"1", b"1000000000", b"4000000000", b"5000000000", b"9000000000", b"99999999999"]
PATTERNS = [
    b"*", b"", b"a", b"key:*", b"key:?", b"[abc]", b"[^abc]", b"[a-c]*", b"[c-a]", b"\\[x\\]*", b"k*k", b"[x", b"*\x00*", b"h??",
    b"**", b"?", b"\\", b"[]", b"[^]", b"[\\]]", b"*\\", b"[a-", b"[a-]",
]
COUNTS = [b"1", b"10", b"1000", b"0", b"-1", b"abc", b"9223372036854775807", b"9223372036854775808"]

# What comes behind the names of commands about the server.
FLUSHDB_WORDS = [[], [b"ASYNC"], [b"SYNC"], [b"foo"], [b"ASYNC", b"SYNC"]]
FLUSHALL_WORDS = [[b"foo"], [b"ASYNC", b"x"], [b"ASYNC"]]
HELLO_WORDS = [[], [b"2"], [b"3"], [b"3"], [b"4"], [b"abc"], [b"3", b"AUTH", b"a", b"b"], [b"2", b"SETNAME", b"me"], [b"3", b"SETNAME", b"a b"], [b"3", b"AUTH", b"default", b"any"], [b"3", b"foo"], [b"3", b"AUTH", b"x"], [b"-3"], [b""]]
CLIENT_WORDS = [
    [b"id"], [b"getname"], [b"getname"], [b"setname", b"me"], [b"setname", b""], [b"setname", b"a b"], [b"setname", b"\xff"],
    [b"info"], [b"list"], [b"list", b"type", b"normal"], [b"list", b"type", b"foo"], [b"list", b"id", b"x"], [b"list", b"id", b"99999999"],
    [b"list", b"foo"], [b"no-evict", b"on"], [b"no-evict", b"off"], [b"no-evict", b"x"], [b"nosuch"], [b"id", b"x"], [b"setname"], [b"list", b"id"], [b"list", b"type"],
    [b"list", b"type", b"pubsub"], [b"\r\n"],
]
CONFIG_WORDS = [
    [b"get", b"save"], [b"get", b"appendonly"], [b"get", b"databases"], [b"get", b"nosuch"], [b"get", b"maxmemory"], [b"get", b"maxmemory-policy"],
    [b"get", b"timeout", b"TIMEOUT"], [b"get", b"maxmemor[xy]"], [b"get"], [b"set", b"nosuch", b"1"], [b"set", b"timeout"], [b"set", b"timeout", b"abc"], [b"set", b"timeout", b"-1"], [b"set", b"timeout", b"0"],
    [b"set", b"maxmemory", b"x"], [b"set", b"databases", b"4"], [b"set", b"timeout", b"0", b"timeout", b"0"], [b"set", b"timeout", b"0", b"nosuch", b"1"],
    [b"nosuch"], [b"set", b"timeout", b"0", b"x"], [b"set", b"maxmemory", b"0"], [b"set", b"timeout", b"1.5"], [b"resetstat"], [b"resetstat", b"x"],
    [b"set", b"proto-max-bulk-len", b"1"], [b"set", b"proto-max-bulk-len", b"512mb"],
]
INFO_WORDS = [[], [b"server"], [b"nosuch"], [b"all"], [b"everything"], [b"keyspace", b"server"]]
SHUTDOWN_WORDS = [[b"foo"], [b"save", b"nosave"], [b"abort", b"now"], [b"abort"], [b"nosave", b"abort"]]
AUTH_WORDS = [[b"x"], [b"default", b"x"], [b"nobody", b"x"], [b"a", b"b", b"c"], []]
COMMAND_WORDS = [
    [b"getkeys", b"set", b"a", b"b"], [b"getkeys", b"mset", b"a", b"1", b"b", b"2"], [b"getkeys", b"get", b"a", b"b"], [b"getkeys", b"ping", b"a"], [b"getkeys", b"nosuch", b"a"], [b"getkeys"],
    [b"getkeys", b"copy", b"a", b"b"], [b"getkeysandflags", b"rename", b"a", b"b"], [b"getkeysandflags", b"set", b"a", b"b", b"get"], [b"nosuch"], [b"list", b"foo"], [b"list", b"filterby", b"aclcat", b"nosuch"],
    [b"getkeys", b"del", b"a", b"b", b"c"], [b"getkeys", b"mset", b"a", b"1", b"b"], [b"getkeys", b"memory", b"usage", b"a"], [b"count", b"x"], [b"info", b"nosuch"], [b"docs", b"nosuch"], [b"info", b"nosuch", b"client|nosuch"],
]

# Each name as often as it comes, relative to the others.
NAMES = (
    "set set set set get get setnx setex psetex getset getdel getex getex mget mset msetnx incr decr incrby decrby "
    "incrbyfloat incrbyfloat append strlen del unlink exists touch type rename renamenx copy copy randomkey keys scan "
    "dbsize flushdb expire pexpire expireat pexpireat expire ttl pttl expiretime pexpiretime persist ping echo select "
    "hello client config info time memory nosuch shutdown reset auth swaps command flushall "
    "bitmap bitmap bitmap setrange setrange getrange getrange substr lcs setbit setbit getbit bitcount bitcount bitpos bitpos "
    "bitop bitop bitop bitfield bitfield bitfield bitfield_ro".split()
)


class Strings:
    """Makes requests from a random source."""

    def __init__(self, source):
        self.source = source

    def key(self):
        return self.source.choice(KEYS[:5] if self.source.random() < 0.8 else KEYS)

    def value(self):
        return self.source.choice(VALUES)

    def number(self):
        return self.source.choice(NUMBERS)

    def away(self):
        return self.source.choice(AWAY if self.source.random() < 0.85 else ODD_TIMES)

    def away_ms(self):
        time_s = self.away()
        return time_s + b"000" if time_s in AWAY else time_s

    def epoch(self, past=True):
        # Redis's SET keeps a key whose time is past until it is asked for, and DBSIZE counts it until then; ours does not.
        return self.source.choice(EPOCHS[0 if past else 2 :] if self.source.random() < 0.85 else ODD_TIMES)

    def epoch_ms(self, past=True):
        time_s = self.epoch(past)
        return time_s + b"000" if time_s in EPOCHS else time_s

    def set_options(self, getex=False):
        words = []
        for _ in range(self.source.choice([0, 1, 1, 1, 2, 2, 3, 4])):
            words += self.source.choice(
                [
                    lambda: [b"NX"], lambda: [b"XX"], lambda: [b"GET"], lambda: [b"KEEPTTL"], lambda: [b"PERSIST"],
                    lambda: [b"EX", self.away()], lambda: [b"PX", self.away_ms()],
                    lambda: [b"EXAT", self.epoch(getex)], lambda: [b"PXAT", self.epoch_ms(getex)], lambda: [b"EX"], lambda: [b"foo"],
                ][(4 if getex and self.source.random() < 0.8 else 0) :][: 5 if getex and self.source.random() < 0.9 else 11]
            )()
        return words

    def place(self, bits=False):
        """Where something begins or ends, from either end: a byte, or with `bits` a bit."""
        if self.source.random() < 0.06:
            return self.source.choice(ODD_PLACES)
        place = self.source.choice(PLACES[:14] if self.source.random() < 0.6 else PLACES) * (8 if bits else 1)
        place += self.source.randrange(-9, 10) if self.source.random() < 0.5 else 0
        return b"%d" % (-place if self.source.random() < 0.35 else place)

    def offset(self, bits=False):
        """Where something is written: not negative, on the whole, and not so far that values take up all memory."""
        place = self.place(bits)
        if place.isdigit() and 3_000_000 < int(place) < 1 << 32:
            place = b"5"
        return place.lstrip(b"-") if self.source.random() < 0.95 else place

    def field(self):
        """A type and an offset of BITFIELD."""
        kind = b"%s%d" % (self.source.choice([b"i", b"u"]), self.source.choice([1, 2, 3, 5, 8, 8, 16, 31, 32, 33, 62, 63]))
        if self.source.random() < 0.1:
            kind = self.source.choice([b"i64", b"i64", b"i64", b"u64", b"i0", b"U8", b"x", b"i65", b"u08", b""])
        offset = self.offset(bits=True)
        return [kind, b"#%d" % self.source.randrange(200) if self.source.random() < 0.3 else offset]

    def field_operation(self):
        choice = self.source.choice
        number = b"%d" % choice([0, 1, -1, 2, 127, 128, -128, -129, 255, 256, 1 << 31, -(1 << 31), (1 << 62) - 1, -(1 << 62) - 1, (1 << 63) - 1, -(1 << 63), self.source.randrange(-(1 << 40), 1 << 40)])
        number = choice(ODD_PLACES) if self.source.random() < 0.02 else number
        return choice(
            [
                lambda: [b"GET", *self.field()], lambda: [b"SET", *self.field(), number], lambda: [b"INCRBY", *self.field(), number],
                lambda: [b"OVERFLOW", choice([b"WRAP", b"sat", b"SAT", b"FAIL", b"FAIL", b"foo" if self.source.random() < 0.1 else b"wrap"])],
            ]
        )()

    def words(self):
        """The words of a random request."""
        while skipped(words := self.any_words()):
            pass
        return words

    def any_words(self):
        choice, key, value = self.source.choice, self.key, self.value
        name = choice(NAMES)
        words = [name.encode()]
        match name:
            case "set":
                words += [key(), value(), *self.set_options()]
            case "get" | "getdel" | "incr" | "decr" | "strlen" | "type" | "ttl" | "pttl" | "expiretime" | "pexpiretime" | "persist":
                words += [key()]
            case "bitmap":
                words = [b"set", key(), choice(BITMAPS[:8] if self.source.random() < 0.6 else BITMAPS)]
            case "setrange":
                words += [key(), self.offset(), choice([b"", b"x", value(), choice(BITMAPS)])]
            case "getrange" | "substr":
                words += [key(), self.place(), self.place()]
            case "lcs":
                words += [key(), key()]
                for _ in range(choice([0, 1, 1, 2, 3])):
                    words += choice([[b"LEN"], [b"IDX"], [b"IDX"], [b"WITHMATCHLEN"], [b"MINMATCHLEN", choice([b"0", b"2", b"5", b"-1", b"x"])], [b"MINMATCHLEN"], [b"foo"]])
            case "setbit":
                words += [key(), self.offset(bits=True), choice([b"0", b"1", b"0", b"1", b"0", b"1", b"2", b"-1", b"a"])]
            case "getbit":
                words += [key(), self.offset(bits=True)]
            case "bitcount":
                in_bits = choice([False, True])
                words += [key()]
                words += choice([[], [self.place(in_bits), self.place(in_bits)], [self.place(in_bits), self.place(in_bits), b"BIT" if in_bits else b"byte"], [self.place()] if self.source.random() < 0.1 else []])
                words += [b"foo"] if self.source.random() < 0.03 else []
            case "bitpos":
                in_bits = choice([False, True])
                words += [key(), b"2" if self.source.random() < 0.03 else choice([b"0", b"1"])]
                words += choice([[], [self.place()], [self.place(), self.place()], [self.place(in_bits), self.place(in_bits), b"bit" if in_bits else b"BYTE"]])
                words += [b"foo"] if self.source.random() < 0.03 else []
            case "bitop":
                operator = choice([b"AND", b"or", b"XOR", b"NOT", b"foo" if self.source.random() < 0.1 else b"and"])
                sources = 1 if operator == b"NOT" and self.source.random() < 0.9 else choice([1, 2, 2, 3, 5])
                words += [operator, *(key() for _ in range(1 + sources))]
            case "bitfield":
                words += [key(), *(word for _ in range(choice([0, 1, 1, 2, 3, 8])) for word in self.field_operation())]
            case "bitfield_ro":
                words += [key(), *(word for _ in range(choice([0, 1, 2, 5])) for word in [b"GET", *self.field()])]
                words += self.field_operation() if self.source.random() < 0.1 else []
            case "setnx" | "getset" | "append":
                words += [key(), value()]
            case "setex":
                words += [key(), self.away(), value()]
            case "psetex":
                words += [key(), self.away_ms(), value()]
            case "getex":
                words += [key(), *self.set_options(getex=True)]
            case "mget" | "del" | "unlink" | "exists" | "touch":
                words += [key() for _ in range(choice([1, 1, 2, 3, 6]))]
            case "mset" | "msetnx":
                words += [word for _ in range(choice([1, 2, 4])) for word in (key(), value())]
                words += [key()] if self.source.random() < 0.1 else []
            case "incrby" | "decrby" | "incrbyfloat":
                words += [key(), self.number()]
            case "rename" | "renamenx":
                words += [key(), key()]
            case "copy":
                words += [key(), key()]
                for _ in range(choice([0, 0, 1, 1, 2])):
                    words += choice([[b"REPLACE"], [b"DB", b"%d" % self.source.randrange(DATABASES)], [b"DB", self.number()], [b"DB"], [b"foo"]])
            case "keys":
                words += [choice(PATTERNS)]
            case "scan":
                words += [choice([b"0", b"0", b"0", b"abc", b"1x", b"99999999999999999999"])]
                for _ in range(choice([0, 1, 2])):
                    words += choice([[b"MATCH", choice(PATTERNS)], [b"COUNT", choice(COUNTS)], [b"TYPE", choice([b"string", b"STRING", b"list", b"nosuch"])], [b"COUNT"], [b"foo", b"x"]])
            case "flushdb":
                words += choice(FLUSHDB_WORDS)
            case "flushall":
                words += choice(FLUSHALL_WORDS)
            case "expire" | "pexpire" | "expireat" | "pexpireat":
                at = {"expire": self.away, "pexpire": self.away_ms, "expireat": self.epoch, "pexpireat": self.epoch_ms}[name]()
                words += [key(), at]
                for _ in range(choice([0, 0, 1, 1, 2])):
                    option = choice([b"NX", b"XX", b"GT", b"LT", b"foo", b"nx"])
                    words.append(option)
                # Equal times from now may be told apart by a tick on one server only.
                if name in ("expire", "pexpire") and at[:1] in b"12356789" and any(word in (b"GT", b"LT") for word in words):
                    digits = b"%d" % self.source.randrange(10**7, 10**9)
                    words[2] = digits if name == "expire" else digits + b"000"
            case "ping" | "echo":
                words += choice([[], [value()], [value(), value()]])
            case "select":
                words += [b"%d" % self.source.randrange(DATABASES)] if self.source.random() < 0.7 else [choice([b"16", b"-1", b"abc", b"2147483648", b"99999999999999999999", b""])]
            case "hello":
                words += choice(HELLO_WORDS)
            case "client":
                words += choice(CLIENT_WORDS)
            case "config":
                words += choice(CONFIG_WORDS)
            case "info":
                words += choice(INFO_WORDS)
            case "memory":
                words += choice([[b"usage", key()], [b"usage", key(), b"samples", b"5"], [b"usage", b"nosuch"], [b"usage", key(), b"samples"], [b"usage", key(), b"samples", b"-1"], [b"usage"], [b"nosuch"], [b"usage", key(), b"foo", b"1"]])
            case "nosuch":
                words = choice([[b"nosuch"], [b"nosuch", b"a", b"b"], [b"x" * 200, b"y" * 200], [b"a\r\nb", b"c\r\nd\x00"], [b""], [b"nosuch", b"%s", value()], [b"get|x"], [b"client|id"], [b"GET\x00"]])
            case "shutdown":
                words += choice(SHUTDOWN_WORDS)
            case "auth":
                words += choice(AUTH_WORDS)
            case "command":
                words += choice(COMMAND_WORDS)
            case "swaps":
                # Any command with any number of any arguments, of which any may be a key: none longer than ours may be.
                short = choice(SHORT)
                words = [choice([b"set", b"GET", b"Expire", b"copy", b"getex", b"mset", b"incrby", b"keys", b"client", b"hello", b"psetex", b"rename", b"dbsize", b"type", b"persist", b"echo"])]
                words += [choice([key(), short, self.number(), b"NX", b"EX", b"DB"]) for _ in range(choice([0, 1, 1, 2, 3, 5]))]
        return words if name in ("nosuch", "shutdown", "scan") else mangled(self.source, words)


def mangled(source, words):
    """At times with too few words, or too many, or in capitals."""
    # SPOP with fewer words would take any member.
    if source.random() < 0.02 and words[0] != b"spop":
        words = words[: source.randrange(1, len(words) + 1)] if source.random() < 0.5 else [*words, b"extra"]
    if source.random() < 0.1:
        words[0] = words[0].upper()
    return words


SKIPPED_NAMES = {b"flushall", b"command", b"shutdown", b"hello", b"client", b"quit"}


def skipped(words):
    """Whether it would stop the server, or Redis 7.0 answers otherwise than 7.4 (see `NEWER_THAN_REDIS_7_0` in the script)."""
    if words[0].lower() not in SKIPPED_NAMES:
        return False
    lower = [word.lower() for word in words]
    return (
        (lower[0] == b"flushall" and len(lower) == 1)
        or (lower[0] == b"command" and (len(lower) == 1 or lower[1:] in ([b"info"], [b"docs"], [b"list"], [b"count"])))
        or (lower[0] == b"shutdown" and (len(lower) == 1 or lower[1:] in ([b"nosave"], [b"save"])))
        or (lower[:2] in ([b"command", b"getkeys"], [b"command", b"getkeysandflags"]) and len(lower) == 3)
        or (lower[0] == b"hello" and b"auth" in lower and len(lower) > 5)
        or (lower[:2] in ([b"client", b"setinfo"], [b"client", b"no-touch"]))
        or (lower[0] == b"quit")
    )
