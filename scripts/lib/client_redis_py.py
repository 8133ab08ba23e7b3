"""A session of redis-py: `client_redis_py.py <port> <default|2|3>`. Prints one line, or fails at the first surprise."""

import sys
import threading
import time
import warnings

import redis

# SETEX and its like are old, and still commands.
warnings.simplefilter("ignore", DeprecationWarning)

checks = 0


def same(got, expected, what):
    global checks
    checks += 1
    assert got == expected, f"{what}: {got!r} instead of {expected!r}"


def true(holds, what):
    same(bool(holds), True, what)


def fails(call, words, what):
    try:
        got = call()
    except redis.ResponseError as error:
        true(words in str(error), f"{what}: {error}")
    else:
        raise AssertionError(f"{what}: {got!r} instead of an error")


port, protocol = int(sys.argv[1]), sys.argv[2]
options = {} if protocol == "default" else {"protocol": int(protocol)}
r = redis.Redis(port=port, decode_responses=True, **options)
raw = redis.Redis(port=port, client_name="raw", **options)

# Connection.
same(r.ping(), True, "PING")
same(r.echo("hello"), "hello", "ECHO")
true(r.client_id() > 0, "CLIENT ID")
same(raw.client_getname() in (b"raw", "raw"), True, "CLIENT GETNAME")
one = redis.Redis(port=port, db=5, single_connection_client=True, decode_responses=True, **options)
same(one.client_setname("one"), True, "CLIENT SETNAME")
same(one.client_info()["name"], "one", "CLIENT INFO")
same(int(one.client_info()["db"]), 5, "SELECT at the connection's start")
true(any(client["name"] == "one" for client in r.client_list()), "CLIENT LIST")
same(r.client_no_evict("on"), "OK", "CLIENT NO-EVICT")
same(one.set("k", "five"), True, "SET in database 5")
same(r.get("k"), None, "databases are apart")
one.close()

# Strings.
same(r.set("k", "v"), True, "SET")
same(r.get("k"), "v", "GET")
same(r.set("k", "w", nx=True), None, "SET NX")
same(r.set("k", "w", xx=True, get=True), "v", "SET XX GET")
same(r.set("t", "v", ex=100), True, "SET EX")
true(0 < r.ttl("t") <= 100, "TTL")
same(r.set("t", "w", keepttl=True), True, "SET KEEPTTL")
true(0 < r.pttl("t") <= 100_000, "PTTL")
same(r.setnx("k", "x"), False, "SETNX")
same(r.setex("e", 100, "v"), True, "SETEX")
same(r.psetex("p", 100_000, "v"), True, "PSETEX")
same(r.getset("k", "y"), "w", "GETSET")
same(r.getdel("k"), "y", "GETDEL")
same(r.getex("e", persist=True), "v", "GETEX")
same(r.ttl("e"), -1, "TTL after PERSIST")
same(r.mset({"a": 1, "b": 2}), True, "MSET")
same(r.msetnx({"b": 3, "c": 4}), False, "MSETNX")
same(r.mget("a", "b", "c"), ["1", "2", None], "MGET")
same(r.incr("n"), 1, "INCR")
same(r.incrby("n", 41), 42, "INCRBY")
same(r.decr("n"), 41, "DECR")
same(r.decrby("n", 1), 40, "DECRBY")
same(float(r.incrbyfloat("n", 2.5)), 42.5, "INCRBYFLOAT")
fails(lambda: r.incr("n"), "value is not an integer or out of range", "INCR of 42.5")
same(r.append("text", "abc"), 3, "APPEND")
same(r.strlen("text"), 3, "STRLEN")
binary = bytes(range(256)) * 4096
same(raw.set(b"\x00\xff", binary), True, "SET of 1 MiB")
same(raw.get(b"\x00\xff"), binary, "GET of 1 MiB")
raw.delete(b"\x00\xff")

# Keys.
same(r.exists("a", "b", "nothing", "a"), 3, "EXISTS")
same(r.touch("a", "nothing"), 1, "TOUCH")
same(r.type("a"), "string", "TYPE")
same(r.rename("a", "d"), True, "RENAME")
same(r.renamenx("d", "b"), False, "RENAMENX")
fails(lambda: r.rename("nothing", "x"), "no such key", "RENAME of nothing")
true(r.copy("d", "a"), "COPY")
same(sorted(r.keys("*")), ["a", "b", "d", "e", "n", "p", "t", "text"], "KEYS")
same(r.dbsize(), 8, "DBSIZE")
true(r.randomkey() in r.keys(), "RANDOMKEY")
same(r.delete("a", "nothing"), 1, "DEL")
same(r.unlink("b"), 1, "UNLINK")
with r.pipeline(transaction=False) as pipe:
    for number in range(1000):
        pipe.set(f"scan:{number}", number)
    same(pipe.execute(), [True] * 1000, "a pipeline of 1,000 SETs")
same(len(set(r.scan_iter(match="scan:*", count=37))), 1000, "SCAN")

# Time to live.
same(r.expire("d", 100), True, "EXPIRE")
same(r.expire("d", 50, gt=True), False, "EXPIRE GT")
same(r.pexpire("d", 60_000, lt=True), True, "PEXPIRE LT")
same(r.expireat("d", 33177117420), True, "EXPIREAT")
same(r.expiretime("d"), 33177117420, "EXPIRETIME")
same(r.pexpireat("d", 33177117420123), True, "PEXPIREAT")
same(r.pexpiretime("d"), 33177117420123, "PEXPIRETIME")
same(r.persist("d"), True, "PERSIST")
same(r.set("short", "v", px=30), True, "SET PX")
time.sleep(0.08)
same(r.get("short"), None, "a key that is due is gone")

# Transactions.
with r.pipeline() as pipe:
    same(pipe.set("t", 1).incr("t").lpush("tl", "a", "b").execute(), [True, 2, 2], "MULTI, EXEC")
with r.pipeline() as pipe:
    pipe.watch("t")
    same(pipe.get("t"), "2", "GET after WATCH")
    r.set("t", 7)
    pipe.multi()
    pipe.incr("t")
    try:
        pipe.execute()
    except redis.WatchError:
        true(True, "EXEC after a watched key has changed")
    else:
        raise AssertionError("EXEC although a watched key has changed")
same(r.transaction(lambda pipe: pipe.multi() or pipe.incrby("t", 3), "t"), [10], "a transaction function")

# Messages, and events of keys.
same(r.config_set("notify-keyspace-events", "Kg$"), True, "CONFIG SET notify-keyspace-events")
with r.pubsub() as listener:
    listener.subscribe("news")
    listener.psubscribe("n?w*", "__keyspace@0__:t")
    same([listener.get_message(timeout=5)["type"] for _ in range(3)], ["subscribe", "psubscribe", "psubscribe"], "SUBSCRIBE")
    same(r.publish("news", "ahoy"), 2, "PUBLISH")
    got = sorted(listener.get_message(timeout=5)["type"] for _ in range(2))
    same(got, ["message", "pmessage"], "a message")
    same(r.pubsub_numsub("news"), [("news", 1)], "PUBSUB NUMSUB")
    r.set("t", 1)
    same(listener.get_message(timeout=5)["data"], "set", "an event of a key")
same(r.config_set("notify-keyspace-events", ""), True, "CONFIG SET notify-keyspace-events")

# A queue that somebody waits at.
popped = []
waiter = threading.Thread(target=lambda: popped.append(raw.blpop("queue", timeout=5)))
waiter.start()
while not r.info("clients")["blocked_clients"]:
    time.sleep(0.01)
same(r.rpush("queue", "job"), 1, "RPUSH")
waiter.join()
same([[bytes(part) for part in pair] for pair in popped], [[b"queue", b"job"]], "BLPOP")

# Clients.
true(any(client["name"] == "raw" for client in r.client_list()), "CLIENT LIST")
victim = redis.Redis(port=port, client_name="victim", **options)
victim.ping()
same(r.client_kill_filter(_id=victim.client_id()), 1, "CLIENT KILL")

# The server.
same(r.config_set("timeout", 77), True, "CONFIG SET")
same(r.config_get("timeout"), {"timeout": "77"}, "CONFIG GET")
same(r.config_resetstat(), True, "CONFIG RESETSTAT")
fails(lambda: r.config_set("no-such-setting", 1), "no-such-setting", "CONFIG SET of an unknown setting")
info = r.info()
for field in ("redis_version", "connected_clients", "used_memory", "total_commands_processed", "db0"):
    true(field in info, f"INFO has {field}")
true(info["db0"]["keys"] > 1000, "INFO counts keys")
r.get("d")
true("cmdstat_get" in r.info("commandstats"), "INFO commandstats")
true(r.command_count() > 50, "COMMAND COUNT")
true("get" in r.command(), "COMMAND")
same(r.command_getkeys("MSET", "a", 1, "b", 2), ["a", "b"], "COMMAND GETKEYS")
true("getdel" in r.command_list(), "COMMAND LIST")
fails(lambda: r.execute_command("NOSUCH", "x"), "unknown command 'NOSUCH', with args beginning with: 'x'", "an unknown command")
same(r.flushdb(), True, "FLUSHDB")
same(r.dbsize(), 0, "DBSIZE after FLUSHDB")
same(r.flushall(), True, "FLUSHALL")

print(f"redis-py {redis.__version__}: {checks} checks hold")
