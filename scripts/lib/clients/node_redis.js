// A session of node-redis (the package `redis`): commands, transactions, messages, its cache and its reconnection.

const { createClient, createClientPool, RESP_TYPES, WatchError } = require("redis");
const { BasicClientSideCache } = require("@redis/client/dist/lib/client/cache");
const { port, protocol, same, fails, eventually, needs, run } = require("./check.js");

const options = { url: `redis://127.0.0.1:${port}`, ...(protocol === "default" ? {} : { RESP: Number(protocol) }) };

async function connected(more = {}) {
  const client = createClient({ ...options, ...more });
  client.on("error", () => {}); // A connection that is lost is told here, and is what some of the checks are about.
  await client.connect();
  return client;
}

async function commands(r) {
  same(await r.ping(), "PONG", "PING");
  same(await r.set("k", "v", { expiration: { type: "EX", value: 100 } }), "OK", "SET EX");
  same([await r.get("k"), await r.get("none")], ["v", null], "GET");
  same(await r.set("k", "w", { condition: "NX" }), null, "SET NX");
  same(await r.set("k", "w", { condition: "XX", GET: true }), "v", "SET XX GET");
  same(
    [await r.ttl("none"), await r.expire("k", 100), await r.persist("k"), await r.ttl("k")],
    [-2, 1, 1, -1],
    "TTL, EXPIRE, PERSIST",
  );
  same(await r.mSet({ a: "1", b: "2" }), "OK", "MSET");
  same(await r.mGet(["a", "none", "b"]), ["1", null, "2"], "MGET");
  same(
    [await r.incr("n"), await r.incrBy("n", 41), await r.decr("n"), Number(await r.incrByFloat("n", 0.5))],
    [1, 42, 41, 41.5],
    "INCR",
  );
  same(
    [await r.exists(["a", "none"]), await r.type("a"), await r.copy("a", "c"), await r.del(["a", "none"])],
    [1, "string", 1, 1],
    "EXISTS to DEL",
  );
  same(
    [await r.append("text", "abc"), await r.setRange("text", 1, "XY"), await r.getRange("text", 0, -1)],
    [3, 3, "aXY"],
    "APPEND, SETRANGE",
  );
  same(await r.hSet("h", { a: "1", b: "two" }), 2, "HSET");
  same([await r.hGetAll("h"), await r.hmGet("h", ["b", "none"])], [{ a: "1", b: "two" }, ["two", null]], "HGETALL, HMGET");
  same(
    [await r.hIncrBy("h", "a", 4), (await r.hKeys("h")).sort(), await r.hDel("h", "b")],
    [5, ["a", "b"], 1],
    "HINCRBY, HKEYS, HDEL",
  );
  if (await needs("times to live of fields", "hexpire", "httl")) {
    same(await r.hExpire("h", ["a", "none"], 100), [1, -2], "HEXPIRE");
    same((await r.hTTL("h", "a"))[0] > 0, true, "HTTL");
  }
  same(
    [await r.rPush("l", ["a", "b", "c"]), await r.lRange("l", 0, -1), await r.lMove("l", "m", "LEFT", "RIGHT")],
    [3, ["a", "b", "c"], "a"],
    "lists",
  );
  same([await r.lPop("m"), await r.lPopCount("l", 5), await r.lPop("none")], ["a", ["b", "c"], null], "LPOP");
  same([await r.sAdd("s", ["a", "b"]), await r.sIsMember("s", "a"), await r.smIsMember("s", ["a", "x"])], [2, 1, [1, 0]], "sets");
  same((await r.sMembers("s")).sort(), ["a", "b"], "SMEMBERS");
  same(
    await r.zAdd("z", [
      { value: "a", score: 1 },
      { value: "b", score: 2.5 },
      { value: "c", score: Infinity },
    ]),
    3,
    "ZADD",
  );
  const scored = [
    { value: "a", score: 1 },
    { value: "b", score: 2.5 },
    { value: "c", score: Infinity },
  ];
  same(await r.zRangeWithScores("z", 0, -1), scored, "ZRANGE WITHSCORES");
  same(
    [await r.zScore("z", "b"), await r.zScore("z", "none"), await r.zRank("z", "b"), await r.zIncrBy("z", 1, "a")],
    [2.5, null, 1, 2],
    "ZSCORE",
  );
  same(
    [await r.zPopMin("z"), await r.zRange("z", "(2.5", "+inf", { BY: "SCORE" })],
    [{ value: "a", score: 2 }, ["c"]],
    "ZPOPMIN, ZRANGE BYSCORE",
  );
  same(
    [await r.setBit("bits", 7, 1), await r.bitCount("bits"), await r.sort("s", { ALPHA: true, DIRECTION: "DESC" })],
    [0, 1, ["b", "a"]],
    "SETBIT, SORT",
  );
  await fails(r.incr("h"), "WRONGTYPE", "INCR of a hash");
  await fails(r.sendCommand(["NOSUCH", "x"]), "unknown command 'NOSUCH'", "an unknown command");
  same((await r.info()).includes("redis_version:"), true, "INFO");
  same((await r.configGet("maxmemory*"))["maxmemory-policy"], "noeviction", "CONFIG GET");
  same((await r.clientInfo()).db, 0, "CLIENT INFO");
}

async function many(r) {
  const replies = await Promise.all(Array.from({ length: 5000 }, (_, number) => r.set(`p:${number}`, number.toString())));
  same(
    replies.every((reply) => reply === "OK"),
    true,
    "5,000 SETs in one pipeline",
  );
  const found = new Set();
  for await (const keys of r.scanIterator({ MATCH: "p:*", COUNT: 300 })) keys.forEach((key) => found.add(key));
  same(found.size, 5000, "SCAN");
  await r.hSet("large-hash", Object.fromEntries(Array.from({ length: 2000 }, (_, number) => [`f${number}`, `${number}`])));
  let fields = 0;
  for await (const entries of r.hScanIterator("large-hash", { COUNT: 100 })) fields += entries.length;
  same(fields, 2000, "HSCAN");
  const bytes = Buffer.alloc(6 << 20, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
  const binary = r.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  same(await r.set("large", bytes), "OK", "SET of 6 MiB");
  same((await binary.get("large")).equals(bytes), true, "GET of 6 MiB");
  same(await r.hSet("blobs", Buffer.from([0, 255, 13, 10]), bytes.subarray(0, 1 << 20)), 1, "HSET of 1 MiB with a binary field");
  same((await binary.hGet("blobs", Buffer.from([0, 255, 13, 10]))).equals(bytes.subarray(0, 1 << 20)), true, "HGET of 1 MiB");
}

async function transactions(r) {
  same(await r.multi().set("t", "1").incr("t").hSet("th", "f", "v").exec(), ["OK", 2, 1], "MULTI, EXEC");
  same(await r.multi().get("t").ping().execAsPipeline(), ["2", "PONG"], "a pipeline without a transaction");
  await r.watch("t");
  const other = await connected();
  await other.set("t", "7");
  await r
    .multi()
    .incr("t")
    .exec()
    .then(
      () => {
        throw new Error("EXEC although a watched key has changed");
      },
      (error) => same(error instanceof WatchError, true, `EXEC after a watched key has changed: ${error}`),
    );
  same(await r.get("t"), "7", "and nothing is done");
  await r
    .multi()
    .incr("t")
    .lPush("t", "x")
    .incr("t")
    .exec()
    .then(
      () => {
        throw new Error("no error of a transaction's command");
      },
      (error) =>
        same([error.errorIndexes, error.replies[0], error.replies[2]], [[1], 8, 9], `an error within a transaction: ${error}`),
    );
  const pool = await createClientPool(options, { minimum: 2, maximum: 6 }).connect();
  await Promise.all(
    Array.from({ length: 6 }, () =>
      pool.execute(async (client) => {
        for (let counted = 0; counted < 10;) {
          await client.watch("shared");
          const value = Number(await client.get("shared"));
          counted += await client
            .multi()
            .set("shared", String(value + 1))
            .exec()
            .then(
              () => 1,
              () => 0,
            );
        }
      }),
    ),
  );
  same(await pool.get("shared"), "60", "60 transactions of a pool that watch the same key");
  pool.destroy();
  other.destroy();
}

async function waits(r) {
  const waiters = await Promise.all([connected(), connected(), connected()]);
  const popped = waiters.map((waiter) => waiter.blPop(["none", "queue"], 10));
  await eventually(async () => /blocked_clients:(\d+)/.exec(await r.info("clients"))[1], "3", "three wait");
  same(await r.rPush("queue", ["1", "2", "3"]), 3, "RPUSH");
  same((await Promise.all(popped)).map(({ key, element }) => key + element).sort(), ["queue1", "queue2", "queue3"], "BLPOP");
  const moved = waiters[0].blMove("queue", "done", "LEFT", "RIGHT", 5);
  const least = waiters[1].bzPopMin("by-score", 5);
  same([await r.rPush("queue", "4"), await r.zAdd("by-score", { value: "x", score: 4 })], [1, 1], "RPUSH, ZADD");
  same([await moved, await least], ["4", { key: "by-score", value: "x", score: 4 }], "BLMOVE, BZPOPMIN");
  same(await waiters[2].blPop("none", 0.1), null, "BLPOP that times out");
  waiters.forEach((waiter) => waiter.destroy());
}

async function messages(r) {
  const listener = await connected();
  const heard = [];
  const bytes = Buffer.alloc(2 << 20, "x\r\n\0");
  await listener.subscribe("news", (text, channel) => heard.push([channel, text]));
  await listener.pSubscribe("n?ws", (text, channel) => heard.push(["pattern", channel, text]));
  await listener.sSubscribe("shard", (text, channel) => heard.push([channel, text]));
  same(
    [await r.publish("news", "ahoy"), await r.sPublish("shard", "there"), await r.publish("nobody", "x")],
    [2, 1, 0],
    "PUBLISH, SPUBLISH",
  );
  await eventually(
    () => heard.slice().sort(),
    [
      ["news", "ahoy"],
      ["pattern", "news", "ahoy"],
      ["shard", "there"],
    ],
    "messages",
  );
  const large = new Promise((resolve) => listener.subscribe("large", resolve, true));
  await eventually(async () => (await r.pubSubNumSub(["large"])).large, 1, "PUBSUB NUMSUB");
  same(await r.publish("large", bytes), 1, "PUBLISH of 2 MiB");
  same((await large).equals(bytes), true, "a message of 2 MiB");
  await listener.unsubscribe("news");
  same(await r.publish("news", "again"), 1, "PUBLISH after UNSUBSCRIBE");
  await eventually(() => heard.pop(), ["pattern", "news", "again"], "its other subscriptions stay");
  same(protocol === "2" || (await listener.get("k")) === "w", true, "in RESP3 a subscriber asks for keys as well");

  // The listener's connection is lost and comes again by itself, with all its subscriptions.
  heard.length = 0;
  same(await r.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]), 1, "CLIENT KILL TYPE pubsub");
  await eventually(() => r.pubSubNumPat(), 1, "the subscriber subscribes again");
  await eventually(() => r.publish("large", "x"), 1, "to all channels");
  same(await r.publish("news", "after"), 1, "PUBLISH");
  await eventually(() => heard, [["pattern", "news", "after"]], "and hears");
  listener.destroy();
}

async function connections(r) {
  const named = await connected({ name: "named", database: 4 });
  same(
    [await named.clientGetName(), await named.set("k", "four"), await r.get("k")],
    ["named", "OK", "w"],
    "a name and a database",
  );
  const before = await named.clientId();
  same(await r.sendCommand(["CLIENT", "KILL", "ID", String(before)]), 1, "CLIENT KILL ID");
  await eventually(
    async () => [await named.get("k"), await named.clientGetName(), (await named.clientId()) > before],
    ["four", "named", true],
    "the client connects again, with its name and database",
  );
  named.destroy();
  same(await r.configSet("requirepass", "secret"), "OK", "CONFIG SET requirepass");
  await fails(
    connected({ socket: { reconnectStrategy: false } }).then((client) => client.get("k")),
    "NOAUTH",
    "no password",
  );
  await fails(connected({ password: "wrong", socket: { reconnectStrategy: false } }), "WRONGPASS", "a wrong password");
  const right = await connected({ password: "secret" });
  same([await right.get("k"), await right.configSet("requirepass", "")], ["w", "OK"], "the password");
  right.destroy();
}

async function cache(r) {
  const clientSideCache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: "LRU" });
  const cached = await connected({ clientSideCache });
  const calls = async () => /cmdstat_get:calls=(\d+)/.exec(await r.info("commandstats"))[1];
  await r.set("cached", "one");
  same([await cached.get("cached"), await cached.get("cached")], ["one", "one"], "GET with a cache");
  const before = await calls();
  for (let again = 0; again < 10; again += 1) await cached.get("cached");
  same([await calls(), clientSideCache.stats().hitCount], [before, 11], "GET from the cache asks the server nothing");
  await r.set("cached", "two");
  await eventually(() => cached.get("cached"), "two", "another's SET invalidates");
  await r.flushDb();
  await eventually(() => cached.get("cached"), null, "another's FLUSHDB invalidates");
  cached.destroy();
}

run(`node-redis ${require("redis/package.json").version}`, async () => {
  const r = await connected();
  await commands(r);
  await many(r);
  await transactions(r);
  await waits(r);
  await messages(r);
  await connections(r);
  if (protocol !== "2") await cache(r);
  if (await needs("scripts", "eval", "evalsha")) {
    same(await r.eval("return {KEYS[1], ARGV[1]}", { keys: ["k"], arguments: ["v"] }), ["k", "v"], "EVAL");
  }
  if (await needs("streams", "xadd", "xrange")) {
    same(await r.xAdd("stream", "1-1", { a: "1" }), "1-1", "XADD");
    same(
      (await r.xRange("stream", "-", "+")).map(({ id, message }) => [id, message]),
      [["1-1", { a: "1" }]],
      "XRANGE",
    );
  }
  same(await r.flushAll(), "OK", "FLUSHALL");
  await r.close();
});
