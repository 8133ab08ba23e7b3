"""A session of redis-py's asyncio client: many connections in one thread, pipelines, messages, waits that are cancelled."""

import asyncio
import time

import redis
import redis.asyncio as aio

import check
from check import needs, options, port, same, true


async def fails(awaitable, error, words, what):
    try:
        got = await awaitable
    except error as raised:
        true(words in str(raised), f"{what}: {raised}")
    else:
        raise AssertionError(f"{what}: {got!r} instead of {error.__name__}")


async def eventually(call, expected, what, seconds=15):
    deadline = time.monotonic() + seconds
    while (got := await call()) != expected and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    same(got, expected, f"{what}, within {seconds} s")


async def commands(r, raw):
    same(await r.ping(), True, "PING")
    same(await r.set("k", "v", ex=100), True, "SET EX")
    same([await r.get("k"), await r.get("none"), 0 < await r.ttl("k") <= 100], ["v", None, True], "GET, TTL")
    same(await r.mset({"a": 1, "b": 2}), True, "MSET")
    same(await r.mget("a", "none", "b"), ["1", None, "2"], "MGET")
    same(await asyncio.gather(*(r.incr("counter") for _ in range(80))) and await r.get("counter"), "80", "80 INCRs at once")
    same(await r.hset("h", mapping={"a": 1, "b": 2}), 2, "HSET")
    same(await r.hgetall("h"), {"a": "1", "b": "2"}, "HGETALL")
    same([await r.sadd("s", *range(100)), await r.smismember("s", [1, 100])], [100, [1, 0]], "SADD, SMISMEMBER")
    same(len({member async for member in r.sscan_iter("s", count=7)}), 100, "SSCAN")
    same(await r.zadd("z", {"a": 1.5, "b": 2}), 2, "ZADD")
    same(await r.zrange("z", 0, -1, withscores=True), [("a", 1.5), ("b", 2.0)], "ZRANGE WITHSCORES")
    await fails(r.incr("h"), redis.ResponseError, "wrong kind of value", "INCR of a hash")
    await fails(r.execute_command("NOSUCH", "x"), redis.ResponseError, "unknown command 'NOSUCH'", "an unknown command")
    large = bytes(range(256)) * (4 << 12)
    same(await raw.set(b"\x00\r\n\xff", large), True, "SET of 4 MiB")
    got = await asyncio.gather(*(raw.get(b"\x00\r\n\xff") for _ in range(8)))
    true(all(value == large for value in got), "eight GETs of 4 MiB at once")


async def pipelines(r):
    async with r.pipeline(transaction=False) as pipe:
        for number in range(5000):
            pipe.set(f"p:{number}", number)
        same(set(await pipe.execute()), {True}, "a pipeline of 5,000 SETs")
    same(len({key async for key in r.scan_iter("p:*", count=500)}), 5000, "SCAN")
    async with r.pipeline() as pipe:
        same(await pipe.set("t", 1).incr("t").rpush("tl", "a", "b").execute(), [True, 2, 2], "MULTI, EXEC")
    async with r.pipeline() as pipe:
        await pipe.watch("t")
        value = int(await pipe.get("t"))
        await r.set("t", 7)
        pipe.multi()
        pipe.set("t", value + 1)
        await fails(pipe.execute(), redis.WatchError, "", "EXEC after a watched key has changed")
    same(await r.get("t"), "7", "and nothing is done")

    async def count_up(pipe):
        value = int(await pipe.get("t"))
        pipe.multi()
        pipe.set("t", value + 1)

    await asyncio.gather(*(r.transaction(count_up, "t") for _ in range(10)))
    same(await r.get("t"), "17", "ten transactions that watch the same key")
    async with r.pipeline() as pipe:
        got = await pipe.incr("t").lpush("t", 1).incr("t").execute(raise_on_error=False)
        same([got[0], type(got[1]), got[2]], [18, redis.ResponseError, 19], "an error within a transaction")


async def waits(r):
    takers = [asyncio.create_task(r.blpop(["queue"], 10)) for _ in range(10)]

    async def waiting():
        return (await r.info("clients"))["blocked_clients"]

    await eventually(waiting, 10, "ten wait")
    same(await r.rpush("queue", *range(10)), 10, "RPUSH")
    same(sorted(int(value) for _, value in await asyncio.gather(*takers)), list(range(10)), "BLPOP for each of them")
    begun = time.monotonic()
    same(await r.bzpopmin("none", 0.15), None, "BZPOPMIN that times out")
    true(0.1 < time.monotonic() - begun < 5, "after its time")
    waiter = asyncio.create_task(r.blpop(["queue"], 0))
    await eventually(waiting, 1, "one waits for ever")
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    await eventually(waiting, 0, "until it is cancelled")
    same([await r.rpush("queue", "kept"), await r.lpop("queue")], [1, "kept"], "and it takes nothing")


async def messages(r):
    async with r.pubsub() as listener:
        await listener.subscribe("news", "other")
        await listener.psubscribe("n?w*")
        kinds = [(await listener.get_message(timeout=5))["type"] for _ in range(3)]
        same(kinds, ["subscribe", "subscribe", "psubscribe"], "SUBSCRIBE, PSUBSCRIBE")
        same(await asyncio.gather(*(r.publish("news", number) for number in range(80))), [2] * 80, "80 PUBLISHes at once")
        got = [await listener.get_message(timeout=5) for _ in range(160)]
        for kind in ("message", "pmessage"):
            same(sorted(int(message["data"]) for message in got if message["type"] == kind), list(range(80)), f"each {kind}")
        victim = next(client["id"] for client in await r.client_list() if int(client["psub"]) == 1)
        same(await r.client_kill_filter(_id=victim), 1, "CLIENT KILL of the subscriber")
        again = []

        async def kinds_heard():
            message = await listener.get_message(timeout=0.05, ignore_subscribe_messages=True)
            again.extend([message["type"]] if message else [])
            return (sorted(again), await r.pubsub_numsub("news"), await r.pubsub_numpat())

        await eventually(kinds_heard, ([], [("news", 1)], 1), "it subscribes again")
        same(await r.publish("news", "after"), 2, "PUBLISH")
        await eventually(kinds_heard, (["message", "pmessage"], [("news", 1)], 1), "and hears")


async def connections(r):
    async with aio.Redis(port=port, db=3, client_name="third", single_connection_client=True, **options) as third:
        same([await third.client_getname() in ("third", b"third"), await third.dbsize()], [True, 0], "a name and a database")
        before = await third.client_id()
        same(await r.client_kill_filter(_id=before), 1, "CLIENT KILL of a connection")
        same(
            [await third.set("k", 3), await third.client_id() > before],
            [True, True],
            "the next command comes with a new connection",
        )
        same([await third.dbsize(), await r.get("k")], [1, "v"], "to the same database")
    pool = aio.BlockingConnectionPool(port=port, max_connections=3, decode_responses=True, **options)
    async with aio.Redis(connection_pool=pool) as few:
        same(set(await asyncio.gather(*(few.get("k") for _ in range(100)))), {"v"}, "100 GETs by three connections")
    await pool.disconnect()


async def main():
    r = aio.Redis(port=port, decode_responses=True, **options)
    raw = aio.Redis(port=port, **options)
    await commands(r, raw)
    await pipelines(r)
    await waits(r)
    await messages(r)
    await connections(r)
    if needs("locks", "evalsha"):
        async with r.lock("lock", timeout=10):
            same(await r.lock("lock").acquire(blocking=False), False, "a lock that another has")
        same(await r.exists("lock"), 0, "a released lock is gone")
    same(await r.flushall(), True, "FLUSHALL")
    await r.aclose()
    await raw.aclose()


asyncio.run(main())
check.done(f"redis-py {redis.__version__}, asyncio")
