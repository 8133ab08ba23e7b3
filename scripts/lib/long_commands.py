"""bench long-commands: how long each command holds the loop when it is as long as one can make it.

A row is a request of very many keys, elements or bytes, on data made for it. After each the ledger's longest turn, without the time that the
system gave to others, is asked for: that is how long every other client had to wait. Ours only: Redis holds its loop for all of a command.
"""

import contextlib
import os
import socket
import threading
import time

from servers import Server

LIMIT_US = 1000


class Refused(Exception):
    """An error for an answer: then the row measured something else."""


class Client:
    """A connection that asks and waits for the answer."""

    def __init__(self, server):
        self.socket = server.connect()
        self.replies = self.socket.makefile("rb", 1 << 20)

    def send(self, *words):
        self.socket.sendall(encoded(words))

    def read(self):
        """A reply: bytes, an integer, a list or None; an error is raised."""
        line = self.replies.readline()
        if not line:
            raise ConnectionError("the server has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind in b"$=":
            return None if rest == b"-1" else self.replies.read(int(rest) + 2)[:-2]
        if kind in b"*~>%":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest) * (2 if kind == b"%" else 1))]
        if kind == b"-":
            raise Refused(rest.decode(errors="replace"))
        return int(rest) if kind == b":" else rest

    def ask(self, *words):
        self.send(*words)
        return self.read()

    def pipeline(self, requests):
        """Sends all while it reads."""
        sending = threading.Thread(target=lambda: self.socket.sendall(b"".join(map(encoded, requests))))
        sending.start()
        answers = [self.read() for _ in requests]
        sending.join()
        return answers

    def close(self):
        # What is behind makefile keeps the socket open.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def encoded(words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def with_each(words, other):
    return [word for pair in words for word in (pair, other)]


def simple(*requests):
    """Rows of one request each, which is their name."""
    return [(request, lambda client, _, words=request.split(): client.ask(*words)) for request in requests]


def rows(count):
    """Names, and what is done: a function of a client and one that makes more clients. In order: some need what others have made."""
    keys = [f"key:{number}" for number in range(count)]
    none = [f"none:{number}" for number in range(count)]
    few = keys[: count // 10]
    large = os.urandom(1 << 20) * 32
    names = [b"%06d" % number + large[:70_000] for number in range(200)]

    def ask(*words):
        return lambda client, _: client.ask(*words)

    def subscriptions(subscribe, unsubscribe):
        def run(client, _):
            for words in ([subscribe, *keys], [unsubscribe]):
                client.send(*words)
                for _ in keys:
                    client.read()

        return run

    def leaving(*words):
        def run(client, _):
            client.send(*words)
            time.sleep(0.5)
            client.close()
            time.sleep(0.5)

        return run

    def transaction(client, _):
        client.pipeline([["MULTI"]] + [["SET", key, "x"] for key in keys])
        client.ask("EXEC")

    def published(client, more):
        subscribers = more(3000)
        for subscriber in subscribers:
            subscriber.ask("SUBSCRIBE", "news")
        client.ask("PUBLISH", "news", "hello")
        for subscriber in subscribers:
            subscriber.read()

    def blocked(client, more):
        waiting = more(3000)
        for waiter in waiting:
            waiter.send("BLPOP", "jobs", "0")
        time.sleep(0.5)
        client.ask("RPUSH", "jobs", *range(3000))
        for waiter in waiting:
            waiter.read()

    def killed(client, more):
        for other in more(3000):
            other.ask("PING")
        client.ask("CLIENT", "LIST")
        client.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        time.sleep(0.5)

    numbered = [word for number, key in enumerate(keys) for word in (number, key)]
    return [
        ("SET, pipelined", lambda client, _: client.pipeline([["SET", key, "value"] for key in keys])),
        ("MGET", ask("MGET", *keys)),
        ("MSET", ask("MSET", *with_each(keys, "w"))),
        ("MSETNX", ask("MSETNX", *with_each(none, "w"))),
        ("EXISTS", ask("EXISTS", *keys)),
        ("DEL", ask("DEL", *none)),
        ("WATCH, then gone", leaving("WATCH", *keys)),
        ("WATCH again", ask("WATCH", *keys)),
        ("MULTI, SETs, EXEC", transaction),
        ("SUBSCRIBE, UNSUBSCRIBE", subscriptions("SUBSCRIBE", "UNSUBSCRIBE")),
        ("PSUBSCRIBE, PUNSUBSCRIBE", subscriptions("PSUBSCRIBE", "PUNSUBSCRIBE")),
        ("SUBSCRIBE, then gone", leaving("SUBSCRIBE", *keys)),
        ("PUBLISH to 3,000", published),
        ("BLPOP, in vain", ask("BLPOP", *none, "0.5")),
        ("BLPOP, then gone", leaving("BLPOP", *none, "0")),
        ("BZPOPMIN, in vain", ask("BZPOPMIN", *none, "0.5")),
        ("LMPOP of nothing", ask("LMPOP", len(none), *none, "LEFT")),
        ("ZMPOP of nothing", ask("ZMPOP", len(none), *none, "MIN")),
        ("RPUSH to 3,000 who wait", blocked),
        ("CLIENT KILL of 3,000", killed),
        ("SADD", ask("SADD", "set", *keys)),
        ("SADD of integers", ask("SADD", "integers", *range(count))),
        ("HSET", ask("HSET", "hash", *with_each(keys, "w"))),
        ("ZADD", ask("ZADD", "zset", *numbered)),
        ("ZADD of one score", ask("ZADD", "lex", *[word for key in keys for word in (0, key)])),
        ("RPUSH", ask("RPUSH", "list", *keys)),
        *simple(
            "SMEMBERS set", "HGETALL hash", "LRANGE list 0 -1", "ZRANGE zset 0 -1 WITHSCORES", "ZRANGEBYSCORE zset -inf +inf", "ZRANGEBYLEX lex - +",
            f"SRANDMEMBER set -{count}", f"HRANDFIELD hash -{count} WITHVALUES", f"ZRANDMEMBER zset -{count}", "SSCAN set 0 COUNT 10000000",
            "HSCAN hash 0 COUNT 10000000", "ZSCAN zset 0 COUNT 10000000", "SCAN 0 COUNT 10000000", "KEYS *", "KEYS *zzz*", "LPOS list none COUNT 0",
            f"LINSERT list BEFORE key:{count // 2} x", "LREM list 0 none", "LTRIM list 1000 -1000", "ZCOUNT zset -inf +inf",
            "ZRANGESTORE copy zset 0 -1", "ZUNIONSTORE union 2 zset lex", "ZINTER 2 zset set", "ZDIFF 2 zset none", "SUNIONSTORE sunion set integers",
            "SINTERSTORE sinter set set", "SDIFFSTORE sdiff integers set", "SORT list ALPHA", "SORT integers DESC STORE sorted", "SORT zset BY nosort",
            "COPY hash hash2", "COPY zset zset2", "RENAME hash2 hash3", "DEL hash3", "SET zset2 x", "ZREMRANGEBYRANK copy 0 -1",
            f"ZPOPMIN union {count}", f"SPOP sunion {count}", f"LPOP list {count // 2}", "MEMORY USAGE hash SAMPLES 0", "COMMAND", "COMMAND DOCS",
            "CONFIG GET *", "INFO everything",
        ),
        ("HMGET", ask("HMGET", "hash", *keys)),
        ("HEXPIRE", ask("HEXPIRE", "hash", 100, "FIELDS", count, *keys)),
        ("HPERSIST", ask("HPERSIST", "hash", "FIELDS", count, *keys)),
        ("HSETEX", ask("HSETEX", "hash", "EX", 100, "FIELDS", count, *with_each(keys, "w"))),
        ("HDEL", ask("HDEL", "hash", *keys)),
        ("SREM", ask("SREM", "set", *keys)),
        ("ZREM", ask("ZREM", "zset", *keys)),
        ("ZREM of one score", ask("ZREM", "lex", *keys)),
        ("SADD to many sets", lambda client, _: client.pipeline([["SADD", f"s:{key}", "a", key] for key in few])),
        ("SUNIONSTORE of many", ask("SUNIONSTORE", "many", *[f"s:{key}" for key in few])),
        ("SINTERCARD of many", ask("SINTERCARD", len(few), *[f"s:{key}" for key in few])),
        ("ZUNIONSTORE of many", ask("ZUNIONSTORE", "many", len(few), *[f"s:{key}" for key in few])),
        ("ZINTERCARD of many", ask("ZINTERCARD", len(few), *[f"s:{key}" for key in few])),
        ("BITOP of many", ask("BITOP", "OR", "bits", *few)),
        ("BITFIELD", ask("BITFIELD", "bits", *[word for at in range(count // 4) for word in ("INCRBY", "u8", at * 8, 1)])),
        ("COMMAND INFO", ask("COMMAND", "INFO", *["get"] * (count // 2))),
        ("COMMAND GETKEYS", ask("COMMAND", "GETKEYS", "MSET", *with_each(keys, "w"))),
        ("CONFIG GET of many", ask("CONFIG", "GET", *["maxm*"] * (count // 10))),
        ("KEYS, a long pattern", lambda client, _: (client.ask("SET", "a" * 65_000, "x"), client.ask("KEYS", "*" + "a" * 30_000 + "b"))),
        ("KEYS, a long class", ask("KEYS", "*[" + "a" * 30_000 + "]c")),
        ("SET of 32 MiB", ask("SET", "large", large)),
        ("GET of 32 MiB", ask("GET", "large")),
        ("BITCOUNT of 32 MiB", ask("BITCOUNT", "large")),
        ("BITOP of 32 MiB", ask("BITOP", "NOT", "large2", "large")),
        ("ECHO of 32 MiB", ask("ECHO", large)),
        ("PUBLISH of 32 MiB", ask("PUBLISH", "news", large)),
        ("HSET of 32 MiB", ask("HSET", "lhash", "field", large)),
        ("HGETALL of 32 MiB", ask("HGETALL", "lhash")),
        ("RPUSH of 32 MiB", ask("RPUSH", "llist", large)),
        ("LRANGE of 32 MiB", ask("LRANGE", "llist", 0, -1)),
        ("HSETEX of 32 MiB", ask("HSETEX", "lhash", "EX", 100, "FIELDS", 1, "field", large)),
        ("LINSERT of 32 MiB", ask("LINSERT", "llist", "AFTER", large, large)),
        ("LPOS of 32 MiB", ask("LPOS", "llist", large, "COUNT", 0)),
        ("SORT of 32 MiB", ask("SORT", "llist", "ALPHA")),
        ("LREM of 32 MiB", ask("LREM", "llist", 0, large)),
        ("SADD of 64 KiB", ask("SADD", "lset", large[: 64 << 10])),
        ("SMEMBERS of 64 KiB", ask("SMEMBERS", "lset")),
        ("SADD of 8 MiB", ask("SADD", "lset", large[: 8 << 20])),
        ("SMEMBERS of 8 MiB", ask("SMEMBERS", "lset")),
        ("COPY of 8 MiB", ask("COPY", "lset", "lset2")),
        ("SPOP of 8 MiB", ask("SPOP", "lset", 2)),
        ("HSET of a field of 8 MiB", ask("HSET", "lhash", large[: 8 << 20], "x")),
        ("HKEYS of 8 MiB", ask("HKEYS", "lhash")),
        ("ZADD of 8 MiB", ask("ZADD", "lzset", 1, large[: 8 << 20])),
        ("ZRANGE of 8 MiB", ask("ZRANGE", "lzset", 0, -1)),
        ("HSET of 200 long fields", ask("HSET", "lhash", *(word for name in names for word in (name, "x")))),
        ("HMGET of 200 long fields", ask("HMGET", "lhash", *names)),
        ("HDEL of 200 long fields", ask("HDEL", "lhash", *names)),
        ("SADD of 200 long members", ask("SADD", "lset", *names)),
        ("SMISMEMBER of 200 long members", ask("SMISMEMBER", "lset", *names)),
        ("SREM of 200 long members", ask("SREM", "lset", *names)),
        ("FLUSHALL", lambda client, _: (client.ask("FLUSHALL"), time.sleep(0.5))),
    ]


def long_commands(options, ours):
    """Prints the longest turn of each row; whether all answered."""
    args = ["--enable-debug-command", "yes", "--maxclients", "20000"]
    count = min(options.keys, 200_000)
    wanted = options.rows.split(",") if options.rows else None
    past, right = [], True
    with Server(ours, "Evenkeel", args=args) as server, contextlib.closing(Client(server)) as ledger:
        if options.server_nice is not None:
            os.setpriority(os.PRIO_PROCESS, server.process.pid, options.server_nice)
        # Whatever closes other clients closes no pubsub client.
        ledger.ask("HELLO", "3")
        ledger.ask("SUBSCRIBE", "none")
        for name, run in rows(count):
            if wanted and name not in wanted:
                continue
            clients = []

            def more(number):
                clients.extend(Client(server) for _ in range(number))
                return clients

            client = Client(server)
            time.sleep(0.2)
            ledger.ask("CONFIG", "RESETSTAT")
            try:
                run(client, more)
            except (ConnectionError, Refused) as error:
                print(f"{name}: {error}")
                right = False
            time.sleep(0.05)
            stalls = dict(line.split(":", 1) for line in ledger.ask("INFO", "stalls").decode().splitlines() if ":" in line)
            longest = float(stalls["stall_own_max_us"])
            cause = stalls.get("stall_worst_1", "").partition("cause=")[2].partition(",")[0]
            print(f"{name:<40} {longest:>10,.0f} µs  {cause}", flush=True)
            if longest > LIMIT_US:
                past.append(f"{name} ({longest:,.0f})")
            for other in [client, *clients]:
                with contextlib.suppress(OSError):
                    other.close()
    print(f"\n{count:,} keys, elements or arguments a row where nothing else is said; the longest turn, of the server's own time.")
    print(f"Past {LIMIT_US} µs: {', '.join(past) or 'none'}.")
    return right
