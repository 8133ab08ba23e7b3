"""A session of redis-py's synchronous client, from all commands that it has a method for to its cache and its reconnection."""

import threading
import time
import warnings

import redis
from redis.cache import CacheConfig

import check
from check import eventually, needs, options, port, protocol, same, true

# SETEX and its like are old, and still commands.
warnings.simplefilter("ignore", DeprecationWarning)


def fails(call, words, what):
    check.fails(call, redis.ResponseError, words, what)


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
same(popped, [(b"queue", b"job")], "BLPOP")

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

# Hashes.
same(r.hset("h", mapping={"a": 1, "b": "two", "c": 3.5}), 3, "HSET")
same(r.hgetall("h"), {"a": "1", "b": "two", "c": "3.5"}, "HGETALL")
same(r.hmget("h", "a", "nothing"), ["1", None], "HMGET")
same([r.hincrby("h", "a", 9), r.hincrbyfloat("h", "c", 0.25)], [10, 3.75], "HINCRBY, HINCRBYFLOAT")
same([r.hexists("h", "a"), r.hlen("h"), r.hstrlen("h", "b"), r.hdel("h", "b", "nothing")], [True, 3, 3, 1], "HEXISTS to HDEL")
same([sorted(r.hkeys("h")), sorted(r.hvals("h"))], [["a", "c"], ["10", "3.75"]], "HKEYS, HVALS")
same(dict(r.hscan_iter("h")), {"a": "10", "c": "3.75"}, "HSCAN")
same(sorted(r.hrandfield("h", 5)), ["a", "c"], "HRANDFIELD")
same(r.hset("many", mapping={f"field:{number}": number for number in range(3000)}), 3000, "HSET of 3,000 fields")
same(len(r.hgetall("many")), 3000, "HGETALL of 3,000 fields")
same(len(dict(r.hscan_iter("many", count=100))), 3000, "HSCAN of 3,000 fields")
if needs("times to live of fields", "hexpire", "hpexpire", "httl", "hpersist"):
    same(r.hexpire("h", 100, "a", "nothing"), [1, -2], "HEXPIRE")
    true(0 < r.httl("h", "a")[0] <= 100, "HTTL")
    same(r.hpersist("h", "a"), [1], "HPERSIST")
    same(r.hpexpire("h", 20, "c"), [1], "HPEXPIRE")
    eventually(lambda: r.hgetall("h"), {"a": "10"}, "a field that is due is gone")
if needs("HGETEX, HSETEX and HGETDEL", "hgetex", "hsetex", "hgetdel"):
    same(r.hsetex("h", mapping={"e": "v"}, ex=100), 1, "HSETEX")
    same([r.hgetex("h", "e", persist=True), r.hgetdel("h", "e")], [["v"], ["v"]], "HGETEX, HGETDEL")

# Lists.
same([r.rpush("l", "a", "b", "c"), r.lpush("l", "z"), r.rpushx("none", "x")], [3, 4, 0], "RPUSH, LPUSH, RPUSHX")
same([r.lrange("l", 0, -1), r.lindex("l", -1), r.llen("l")], [["z", "a", "b", "c"], "c", 4], "LRANGE, LINDEX, LLEN")
same([r.linsert("l", "before", "b", "n"), r.lset("l", 0, "y"), r.lrem("l", 1, "a")], [5, True, 1], "LINSERT, LSET, LREM")
same([r.lpos("l", "c"), r.lpos("l", "n", count=0), r.lpos("l", "none")], [3, [1], None], "LPOS")
same([r.lmove("l", "m", "LEFT", "RIGHT"), r.rpoplpush("l", "m")], ["y", "c"], "LMOVE, RPOPLPUSH")
same([r.lpop("m", 5), r.rpop("l"), r.lpop("none"), r.lpop("none", 2)], [["c", "y"], "b", None, None], "LPOP, RPOP")
fails(lambda: r.lset("l", 9, "x"), "index out of range", "LSET out of range")
same(r.ltrim("l", 5, 9), True, "LTRIM")
same(r.exists("l"), 0, "an empty list is gone")
r.rpush("l", *range(1, 6))
same(r.lmpop(2, "none", "l", direction="RIGHT", count=2), ["l", ["5", "4"]], "LMPOP")
same(r.sort("l", desc=True, alpha=True), ["3", "2", "1"], "SORT")
same(
    [r.blmove("l", "m", timeout=1), r.brpoplpush("l", "m", timeout=1), r.brpop(["l", "m"], 1)],
    ["1", "3", ("l", "2")],
    "BLMOVE, BRPOPLPUSH, BRPOP",
)
begun = time.monotonic()
same(
    [r.blpop("none", 0.2), r.blmpop(0.1, 1, "none", direction="LEFT"), r.bzpopmin("none", 0.1)], [None] * 3, "pops that time out"
)
true(0.35 < time.monotonic() - begun < 5, "their time-outs are kept")

# Sets.
same([r.sadd("s", "a", "b", "c"), r.sadd("s", "a"), r.scard("s"), r.srem("s", "c", "none")], [3, 0, 3, 1], "SADD, SCARD, SREM")
same([r.smembers("s"), r.sismember("s", "a"), r.smismember("s", ["a", "x"])], [{"a", "b"}, 1, [1, 0]], "SMEMBERS, SMISMEMBER")
r.sadd("s2", "b", "d")
same(
    [set(r.sinter("s", "s2")), set(r.sunion("s", "s2")), set(r.sdiff("s", "s2"))], [{"b"}, {"a", "b", "d"}, {"a"}], "set algebra"
)
same([r.sinterstore("s3", "s", "s2"), r.sintercard(2, ["s", "s2"]), r.smove("s", "s2", "a")], [1, 1, True], "SINTERSTORE, SMOVE")
same([sorted(r.sscan_iter("s2")), r.srandmember("s"), r.spop("s")], [["a", "b", "d"], "b", "b"], "SSCAN, SRANDMEMBER, SPOP")

# Sorted sets.
same(
    [r.zadd("z", {"a": 1, "b": 2.5, "c": 3}), r.zadd("z", {"a": 9}, nx=True), r.zadd("z", {"a": 4}, gt=True, ch=True)],
    [3, 0, 1],
    "ZADD",
)
same(
    [r.zscore("z", "b"), r.zmscore("z", ["a", "none"]), r.zcard("z"), r.zcount("z", "(2.5", "+inf")],
    [2.5, [4.0, None], 3, 2],
    "ZSCORE to ZCOUNT",
)
same([r.zrange("z", 0, -1, withscores=True), r.zrevrange("z", 0, 0)], [[["b", 2.5], ["c", 3.0], ["a", 4.0]], ["a"]], "ZRANGE")
same(
    [
        r.zrange("z", "(2.5", 10, byscore=True, offset=0, num=1),
        r.zrangebyscore("z", 3, 4),
        r.zrank("z", "a"),
        r.zrevrank("z", "none"),
    ],
    [["c"], ["c", "a"], 2, None],
    "ZRANGE BYSCORE, ZRANK",
)
same([r.zincrby("z", 0.5, "b"), r.zrem("z", "none"), r.zrandmember("z", 1) != []], [3.0, 0, True], "ZINCRBY, ZREM, ZRANDMEMBER")
r.zadd("y", {"a": 10, "d": 1})
same(
    [r.zunionstore("u", {"z": 2, "y": 1}), r.zinter(["z", "y"]), r.zdiff(["z", "y"])],
    [4, ["a"], ["b", "c"]],
    "ZUNIONSTORE, ZINTER, ZDIFF",
)
same(r.zrange("u", 0, -1, withscores=True), [["d", 1.0], ["b", 6.0], ["c", 6.0], ["a", 18.0]], "weights")
same(
    [[member for member, _ in r.zpopmin("u", 1)], [member for member, _ in r.zpopmax("u", 2)]],
    [["d"], ["a", "c"]],
    "ZPOPMIN, ZPOPMAX",
)
same([r.bzpopmax(["none", "u"], 1), r.bzpopmin("u", 0.05)], [["u", "b", 6.0], None], "BZPOPMAX, BZPOPMIN")
key, popped = r.zmpop(1, ["y"], min=True)
same([key, [(member, float(score)) for member, score in popped]], ["y", [("d", 1.0)]], "ZMPOP")
same(dict(r.zscan_iter("z")), {"a": 4.0, "b": 3.0, "c": 3.0}, "ZSCAN")
same(
    [r.zremrangebyrank("z", 0, 0), r.zremrangebyscore("z", 3, 3), r.zlexcount("z", "-", "+")],
    [1, 1, 1],
    "ZREMRANGEBY..., ZLEXCOUNT",
)

# Bits, and types.
same([r.setbit("bits", 7, 1), r.getbit("bits", 7), r.bitcount("bits"), r.bitpos("bits", 1)], [0, 1, 1, 7], "SETBIT to BITPOS")
same([r.bitop("NOT", "inverse", "bits"), r.bitcount("inverse")], [1, 7], "BITOP")
same(r.bitfield("bits").set("u8", 8, 200).incrby("u8", 8, 100).execute(), [0, 44], "BITFIELD")
same(
    [r.setrange("text", 3, "def"), r.getrange("text", 1, -2), r.lcs("text", "text", len=True)],
    [6, "bcde", 6],
    "SETRANGE, GETRANGE, LCS",
)
fails(lambda: r.lpush("text", "x"), "wrong kind of value", "a list's command on a string")
same([r.object("encoding", "z"), r.memory_usage("text") > 0], ["listpack", True], "OBJECT ENCODING, MEMORY USAGE")
same(r.move("bits", 3), True, "MOVE")

# Errors in a pipeline come where they belong.
with r.pipeline(transaction=False) as pipe:
    got = pipe.set("p1", 1).lpush("p1", 2).incr("p1").execute(raise_on_error=False)
    same([got[0], type(got[1]), got[2]], [True, redis.ResponseError, 2], "an error within a pipeline")
with r.pipeline() as pipe:
    got = pipe.incr("p1").hset("p1", "a", 1).incr("p1").execute(raise_on_error=False)
    same([got[0], type(got[1]), got[2]], [3, redis.ResponseError, 4], "an error within a transaction")
with r.pipeline() as pipe:
    pipe.set("p1", 9).execute_command("NOSUCH", "x")
    try:
        pipe.execute()
    except redis.RedisError as error:
        true("NOSUCH" in str(error) or "discarded" in str(error), f"a transaction with an unknown command: {error}")
    else:
        raise AssertionError("a transaction with an unknown command was executed")
same(r.get("p1"), "4", "an aborted transaction does nothing")

# Large values, and binary ones.
large = bytes(range(256)) * (8 << 12)
same(raw.set(b"large\r\n\x00", large), True, "SET of 8 MiB")
true(raw.get(b"large\r\n\x00") == large, "GET of 8 MiB")
same(
    raw.getrange(b"large\r\n\x00", 4_000_000, 4_000_003),
    bytes(byte % 256 for byte in range(4_000_000, 4_000_004)),
    "GETRANGE of 8 MiB",
)
same([raw.append(b"large\r\n\x00", b"end"), raw.strlen(b"large\r\n\x00")], [len(large) + 3] * 2, "APPEND to 8 MiB")
same(raw.hset("blobs", mapping={b"\xff\xfe": large[: 2 << 20], b"": b"\r\n"}), 2, "HSET of 2 MiB")
true(raw.hgetall("blobs") == {b"\xff\xfe": large[: 2 << 20], b"": b"\r\n"}, "HGETALL with 2 MiB")
with raw.pipeline() as pipe:
    for number in range(16):
        pipe.set(f"mib:{number}", large[: 1 << 20])
    pipe.mget(*(f"mib:{number}" for number in range(16)))
    got = pipe.execute()
true(got[:16] == [True] * 16 and got[16] == [large[: 1 << 20]] * 16, "a transaction of 16 SETs and an MGET of 1 MiB each")
listener = raw.pubsub()
listener.subscribe("large")
same(listener.get_message(timeout=5)["type"], "subscribe", "SUBSCRIBE")
same(raw.publish("large", large[: 3 << 20]), 1, "PUBLISH of 3 MiB")
true(listener.get_message(timeout=5)["data"] == large[: 3 << 20], "a message of 3 MiB")
listener.unsubscribe("large")
same(listener.get_message(timeout=5)["type"], "unsubscribe", "UNSUBSCRIBE")
listener.close()

# Messages for handlers in a thread, by shard channels too.
heard = []
listener = r.pubsub(ignore_subscribe_messages=True)
listener.subscribe(**{"by-handler": lambda message: heard.append(message["data"])})
listener.psubscribe(**{"by-pattern:*": lambda message: heard.append((message["pattern"], message["channel"]))})
thread = listener.run_in_thread(sleep_time=0.01, daemon=True)
eventually(lambda: [r.pubsub_numsub("by-handler"), r.pubsub_numpat()], [[("by-handler", 1)], 1], "PUBSUB NUMSUB, NUMPAT")
with r.pipeline() as pipe:
    same(
        pipe.publish("by-handler", "one").publish("by-pattern:x", "two").publish("nobody", "x").execute(),
        [1, 1, 0],
        "PUBLISH in a transaction",
    )
eventually(lambda: heard, ["one", ("by-pattern:*", "by-pattern:x")], "messages for handlers")
thread.stop()
thread.join()
with r.pubsub() as listener:
    listener.ssubscribe("shard")
    same(listener.get_message(timeout=5)["type"], "ssubscribe", "SSUBSCRIBE")
    same(r.spublish("shard", "ahoy"), 1, "SPUBLISH")
    same(listener.get_message(timeout=5)["data"], "ahoy", "a message of a shard channel")
    if protocol == "2":
        # In RESP3 redis-py takes the answer's letters for a message.
        listener.ping()
        same(listener.get_message(timeout=5)["type"], "pong", "PING of a subscriber")


# Twenty threads draw on one counter and one queue; the optimists among them watch it.
def count_up():
    for _ in range(20):
        r.transaction(
            lambda pipe: (value := int(pipe.get("counter") or 0), pipe.multi(), pipe.set("counter", value + 1)), "counter"
        )


threads = [threading.Thread(target=count_up) for _ in range(5)]
taken = []
threads += [threading.Thread(target=lambda: taken.append(r.blpop(["jobs"], 10)[1])) for _ in range(15)]
for thread in threads:
    thread.start()
with r.pipeline() as pipe:
    for number in range(15):
        pipe.rpush("jobs", number)
    pipe.execute()
for thread in threads:
    thread.join()
same(r.get("counter"), "100", "100 transactions that watch the same key")
same(sorted(map(int, taken)), list(range(15)), "15 jobs for 15 who wait")

# Reconnection.
with redis.Redis(port=port, client_name="lost", single_connection_client=True, decode_responses=True, **options) as lost:
    before = lost.client_id()
    same(r.client_kill_filter(_id=before), 1, "CLIENT KILL of a connection")
    same(lost.get("counter"), "100", "the next command comes with a new connection")
    same([lost.client_getname(), lost.client_id() > before], ["lost", True], "which has the name again")
listener = redis.Redis(port=port, client_name="listener", decode_responses=True, **options).pubsub(ignore_subscribe_messages=True)
listener.subscribe("again")
listener.psubscribe("ag*n")
while listener.get_message(timeout=0.2):
    pass
number = next(client["id"] for client in r.client_list() if client["name"] == "listener")
same(r.client_kill_filter(_id=number), 1, "CLIENT KILL of a subscriber")
heard = []


def kinds_heard():
    message = listener.get_message(timeout=0.05)
    if message:
        heard.append(message["type"])
    return sorted(heard)


eventually(
    lambda: (kinds_heard(), r.pubsub_numsub("again"), r.pubsub_numpat()), ([], [("again", 1)], 1), "a subscriber subscribes again"
)
same(r.publish("again", "x"), 2, "PUBLISH to it")
eventually(kinds_heard, ["message", "pmessage"], "and hears")
listener.close()

# Passwords.
same(r.config_set("requirepass", "secret"), True, "CONFIG SET requirepass")
check.fails(redis.Redis(port=port, **options).ping, redis.AuthenticationError, "", "no password")
check.fails(redis.Redis(port=port, password="wrong", **options).ping, redis.AuthenticationError, "", "a wrong password")
same(redis.Redis(port=port, password="secret", **options).ping(), True, "the password")
same(redis.Redis.from_url(f"redis://default:secret@127.0.0.1:{port}/2", **options).ping(), True, "a URL with user and password")
same(r.config_set("requirepass", ""), True, "CONFIG SET requirepass to nothing")

# The client's own cache, for which redis-py wants Redis 7.4.
if protocol != "2" and needs("the client's own cache", "hexpire"):
    cached = redis.Redis(port=port, cache_config=CacheConfig(), decode_responses=True, **options)
    r.mset({"c1": "one", "c2": "two"})
    same([cached.get("c1"), cached.get("c1"), cached.get("c2")], ["one", "one", "two"], "GET with a cache")
    same(cached.get_cache().size, 2, "two keys are in the cache")
    calls = r.info("commandstats")["cmdstat_get"]["calls"]
    same([cached.get("c1") for _ in range(10)], ["one"] * 10, "GET from the cache")
    same(r.info("commandstats")["cmdstat_get"]["calls"], calls, "which asks the server nothing")
    r.set("c1", "changed")
    eventually(lambda: cached.get("c1"), "changed", "another's SET invalidates")
    r.delete("c2")
    eventually(lambda: cached.get("c2"), None, "another's DEL invalidates")
    r.flushdb()
    eventually(lambda: cached.get("c1"), None, "another's FLUSHDB invalidates")
    cached.close()

# What scripts and the other types are needed for.
if needs("locks", "evalsha"):
    lock = r.lock("lock", timeout=10)
    same([lock.acquire(), r.lock("lock").acquire(blocking=False), lock.owned()], [True, False, True], "a lock")
    same([lock.extend(5), lock.reacquire()], [True, True], "a lock is extended")
    lock.release()
    same(r.exists("lock"), 0, "a released lock is gone")
    check.fails(lock.release, redis.exceptions.LockError, "", "a lock is released twice")
if needs("registered scripts", "evalsha", "script"):
    script = r.register_script("return {KEYS[1], ARGV[1], redis.call('INCRBY', KEYS[1], ARGV[1])}")
    same(
        [script(keys=["by-script"], args=[2]), script(keys=["by-script"], args=[3])],
        [["by-script", "2", 2], ["by-script", "3", 5]],
        "a script",
    )
    with r.pipeline() as pipe:
        script(keys=["by-script"], args=[4], client=pipe)
        same(pipe.execute(), [["by-script", "4", 9]], "a script in a transaction")
if needs("streams", "xadd", "xread", "xrange"):
    same(r.xadd("stream", {"a": 1}, id="1-1"), "1-1", "XADD")
    same(r.xrange("stream"), [("1-1", {"a": "1"})], "XRANGE")
if needs("HyperLogLog", "pfadd", "pfcount"):
    same([r.pfadd("hll", "a", "b", "a"), r.pfcount("hll")], [1, 2], "PFADD, PFCOUNT")
if needs("geo", "geoadd", "geodist"):
    same(r.geoadd("geo", [13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"]), 2, "GEOADD")
    same(round(r.geodist("geo", "Palermo", "Catania", unit="km")), 166, "GEODIST")

# The end.
same(r.flushdb(), True, "FLUSHDB")
same(r.dbsize(), 0, "DBSIZE after FLUSHDB")
same(r.flushall(), True, "FLUSHALL")

check.done(f"redis-py {redis.__version__}")
