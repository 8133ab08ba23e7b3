// A session of ioredis: commands, transactions, messages, streams of keys, and its reconnection.

const Redis = require("ioredis");
const { port, protocol, same, fails, eventually, needs, run } = require("./check.js");

// A reply of pairs, whichever protocol was spoken.
function pairs(reply) {
  if (!Array.isArray(reply)) return reply;
  return Object.fromEntries(Array.from({ length: reply.length / 2 }, (_, at) => [reply[2 * at], reply[2 * at + 1]]));
}

run(`ioredis ${require("ioredis/package.json").version}`, async () => {
  const options = { port, host: "127.0.0.1", ...(protocol === "default" ? {} : { protocol: Number(protocol) }) };
  const r = new Redis(options);
  const failure = new Promise((_, reject) => r.on("error", reject));
  await Promise.race([new Promise((ready) => r.on("ready", ready)), failure]);

  // Connection.
  same(await r.ping(), "PONG", "PING");
  same(await r.echo("hello"), "hello", "ECHO");
  same((await r.client("ID")) > 0, true, "CLIENT ID");
  const named = new Redis({ ...options, connectionName: "named", db: 5 });
  same(await named.client("GETNAME"), "named", "CLIENT GETNAME");
  same(await named.set("k", "five"), "OK", "SET in database 5");
  same(await r.get("k"), null, "databases are apart");
  same(String(await r.client("LIST")).includes("name=named"), true, "CLIENT LIST");
  same(await named.quit(), "OK", "QUIT");

  // Strings.
  same(await r.set("k", "v"), "OK", "SET");
  same(await r.get("k"), "v", "GET");
  same(await r.set("k", "w", "NX"), null, "SET NX");
  same(await r.set("k", "w", "EX", 100, "XX", "GET"), "v", "SET EX XX GET");
  same((await r.ttl("k")) > 0, true, "TTL");
  same(await r.setnx("k", "x"), 0, "SETNX");
  same(await r.setex("e", 100, "v"), "OK", "SETEX");
  same(await r.psetex("p", 100000, "v"), "OK", "PSETEX");
  same(await r.getset("k", "y"), "w", "GETSET");
  same(await r.getdel("k"), "y", "GETDEL");
  same(await r.getex("e", "PERSIST"), "v", "GETEX");
  same(await r.mset({ a: 1, b: 2 }), "OK", "MSET");
  same(await r.msetnx({ b: 3, c: 4 }), 0, "MSETNX");
  same(await r.mget("a", "b", "c"), ["1", "2", null], "MGET");
  same(await r.incr("n"), 1, "INCR");
  same(await r.incrby("n", 41), 42, "INCRBY");
  same(await r.decr("n"), 41, "DECR");
  same(await r.decrby("n", 1), 40, "DECRBY");
  same(Number(await r.incrbyfloat("n", 2.5)), 42.5, "INCRBYFLOAT");
  await fails(r.incr("n"), "value is not an integer or out of range", "INCR of 42.5");
  same(await r.append("text", "abc"), 3, "APPEND");
  same(await r.strlen("text"), 3, "STRLEN");
  const bytes = Buffer.alloc(1 << 20, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
  same(await r.set("bytes", bytes), "OK", "SET of 1 MiB");
  same((await r.getBuffer("bytes")).equals(bytes), true, "GET of 1 MiB");

  // Keys and time.
  same(await r.exists("a", "b", "nothing", "a"), 3, "EXISTS");
  same(await r.touch("a"), 1, "TOUCH");
  same(await r.type("a"), "string", "TYPE");
  same(await r.rename("a", "d"), "OK", "RENAME");
  same(await r.renamenx("d", "b"), 0, "RENAMENX");
  same(await r.copy("d", "a"), 1, "COPY");
  same((await r.keys("*")).sort(), ["a", "b", "bytes", "d", "e", "n", "p", "text"], "KEYS");
  same(await r.dbsize(), 8, "DBSIZE");
  same(typeof (await r.randomkey()), "string", "RANDOMKEY");
  same(await r.del("a", "nothing"), 1, "DEL");
  same(await r.unlink("b"), 1, "UNLINK");
  same(await r.expire("d", 100), 1, "EXPIRE");
  same(await r.expire("d", 50, "GT"), 0, "EXPIRE GT");
  same(await r.pexpireat("d", 33177117420123), 1, "PEXPIREAT");
  same(await r.pexpiretime("d"), 33177117420123, "PEXPIRETIME");
  same(await r.persist("d"), 1, "PERSIST");
  const pipeline = r.pipeline();
  for (let number = 0; number < 1000; number += 1) pipeline.set(`scan:${number}`, number);
  same(
    (await pipeline.exec()).every(([error, reply]) => error === null && reply === "OK"),
    true,
    "a pipeline of 1,000 SETs",
  );
  const found = new Set();
  for await (const keys of r.scanStream({ match: "scan:*", count: 37 })) keys.forEach((key) => found.add(key));
  same(found.size, 1000, "SCAN");

  // Transactions.
  const done = await r.multi().set("t", 1).incr("t").exec();
  same(
    done,
    [
      [null, "OK"],
      [null, 2],
    ],
    "MULTI, EXEC",
  );
  await r.watch("t");
  const other = r.duplicate();
  await other.set("t", 7);
  same(await r.multi().incr("t").exec(), null, "EXEC after a watched key has changed");

  // Messages.
  const listener = r.duplicate();
  const heard = new Promise((resolve) => listener.on("message", (channel, text) => resolve([channel, text])));
  same(await listener.subscribe("news"), 1, "SUBSCRIBE");
  same(await other.publish("news", "ahoy"), 1, "PUBLISH");
  same(await heard, ["news", "ahoy"], "a message");
  await listener.quit();

  // A queue that somebody waits at.
  const waits = other.blpop("queue", 5);
  same(await r.rpush("queue", "job"), 1, "RPUSH");
  same(await waits, ["queue", "job"], "BLPOP");
  await other.quit();

  // The server.
  same(await r.config("SET", "timeout", "77"), "OK", "CONFIG SET");
  same(pairs(await r.config("GET", "timeout")), { timeout: "77" }, "CONFIG GET");
  same((await r.info()).includes("redis_version:"), true, "INFO");
  same((await r.command("COUNT")) > 50, true, "COMMAND COUNT");
  await fails(r.call("NOSUCH", "x"), "unknown command 'NOSUCH'", "an unknown command");

  // Collections.
  same(
    [await r.hset("h", { a: 1, b: "two" }), pairs(await r.hgetall("h")), await r.hmget("h", "b", "x")],
    [2, { a: "1", b: "two" }, ["two", null]],
    "hashes",
  );
  same(
    [await r.hincrby("h", "a", 4), await r.hdel("h", "b", "x"), await r.hexists("h", "b")],
    [5, 1, 0],
    "HINCRBY, HDEL, HEXISTS",
  );
  same([await r.rpush("l", "a", "b", "c"), await r.lrange("l", 0, -1), await r.lpos("l", "c")], [3, ["a", "b", "c"], 2], "lists");
  same(
    [await r.lmove("l", "m", "LEFT", "RIGHT"), await r.lpop("l", 5), await r.rpop("m")],
    ["a", ["b", "c"], "a"],
    "LMOVE, LPOP, RPOP",
  );
  same([await r.sadd("s", "a", "b"), (await r.smembers("s")).sort(), await r.sismember("s", "x")], [2, ["a", "b"], 0], "sets");
  same(
    [await r.zadd("z", 1, "a", 2.5, "b"), await r.zrange("z", 0, -1), Number(await r.zscore("z", "b"))],
    [2, ["a", "b"], 2.5],
    "sorted sets",
  );
  same(
    [await r.zrangebyscore("z", "(1", "+inf"), await r.zrank("z", "b"), await r.zrem("z", "a", "x")],
    [["b"], 1, 1],
    "ZRANGEBYSCORE, ZRANK, ZREM",
  );
  await r.hset("wide", Object.fromEntries(Array.from({ length: 2000 }, (_, number) => [`f${number}`, number])));
  const fields = new Set();
  for await (const reply of r.hscanStream("wide", { count: 100 })) reply.forEach((item, at) => at % 2 === 0 && fields.add(item));
  same(fields.size, 2000, "HSCAN");
  await fails(r.incr("h"), "WRONGTYPE", "INCR of a hash");

  // Pipelines and transactions, with errors.
  const mixed = await r.pipeline().set("p", 1).lpush("p", 2).incr("p").exec();
  same([mixed[0][1], mixed[1][0].message.startsWith("WRONGTYPE"), mixed[2][1]], ["OK", true, 2], "an error within a pipeline");
  const failing = await r.multi().incr("p").lpush("p", 2).incr("p").exec();
  same(
    [failing[0][1], failing[1][0].message.startsWith("WRONGTYPE"), failing[2][1]],
    [3, true, 4],
    "an error within a transaction",
  );
  await fails(r.multi().incr("p").call("NOSUCH", "x").exec(), "EXECABORT", "a transaction with an unknown command");
  same(await r.get("p"), "4", "which does nothing");
  const automatic = r.duplicate({ enableAutoPipelining: true });
  const replies = await Promise.all(Array.from({ length: 2000 }, () => automatic.incr("automatic")));
  same([Math.max(...replies), new Set(replies).size], [2000, 2000], "2,000 INCRs that are pipelined by themselves");

  // Large values, and messages with patterns and bytes.
  const large = Buffer.alloc(6 << 20, bytes);
  same([await r.set("large", large), (await r.getBuffer("large")).equals(large)], ["OK", true], "SET and GET of 6 MiB");
  const key = Buffer.from([0, 255, 13, 10]);
  same(
    [await r.hset("blobs", key, bytes), (await r.hgetBuffer("blobs", key)).equals(bytes)],
    [1, true],
    "a hash with a binary field and 1 MiB",
  );
  const ear = r.duplicate();
  const texts = [];
  ear.on("messageBuffer", (channel, message) => texts.push([channel.toString(), message.equals(bytes)]));
  ear.on("pmessage", (pattern, channel, message) => texts.push([pattern, channel, message.length > 0]));
  same([await ear.subscribe("bytes", "more"), await ear.psubscribe("b?tes")], [2, 3], "SUBSCRIBE, PSUBSCRIBE");
  same(await r.publish("bytes", bytes), 2, "PUBLISH of 1 MiB");
  await eventually(
    () => texts.slice().sort(),
    [
      ["b?tes", "bytes", true],
      ["bytes", true],
    ],
    "a message of 1 MiB",
  );

  // Reconnection: of a subscriber with its subscriptions, of a client with its database, and of one that waits.
  texts.length = 0;
  same(await r.client("KILL", "TYPE", "pubsub"), 1, "CLIENT KILL TYPE pubsub");
  await eventually(
    async () => [await r.pubsub("NUMPAT"), await r.pubsub("NUMSUB", "more")],
    [1, ["more", 1]],
    "the subscriber subscribes again",
  );
  same(await r.publish("bytes", bytes), 2, "PUBLISH");
  await eventually(
    () => texts.slice().sort(),
    [
      ["b?tes", "bytes", true],
      ["bytes", true],
    ],
    "and hears",
  );
  ear.disconnect();
  const lost = new Redis({ ...options, db: 6, connectionName: "lost" });
  same([await lost.set("k", "six"), await r.client("KILL", "ID", await lost.client("ID"))], ["OK", 1], "CLIENT KILL ID");
  await eventually(async () => [await lost.get("k"), await lost.client("GETNAME")], ["six", "lost"], "the client connects again");
  const popped = lost.blpop("later", 20);
  await eventually(async () => /blocked_clients:(\d+)/.exec(await r.info("clients"))[1], "1", "it waits");
  same(await r.client("KILL", "ID", /id=(\d+) [^\n]*name=lost/.exec(await r.client("LIST"))[1]), 1, "CLIENT KILL of who waits");
  await eventually(async () => /blocked_clients:(\d+)/.exec(await r.info("clients"))[1], "1", "it waits again");
  same(
    [await automatic.select(6), await automatic.rpush("later", "job"), await popped],
    ["OK", 1, ["later", "job"]],
    "and gets what it waited for",
  );
  lost.disconnect();
  automatic.disconnect();

  // Passwords.
  same(await r.config("SET", "requirepass", "secret"), "OK", "CONFIG SET requirepass");
  const wrong = new Redis({ ...options, password: "wrong", retryStrategy: null, maxRetriesPerRequest: 0 });
  wrong.on("error", () => {});
  same(
    await wrong.get("k").then(
      () => "a reply",
      (error) => error instanceof Error,
    ),
    true,
    "a wrong password",
  );
  wrong.disconnect();
  const right = new Redis(
    `redis://default:secret@127.0.0.1:${port}/6`,
    protocol === "default" ? {} : { protocol: Number(protocol) },
  );
  same([await right.get("k"), await right.config("SET", "requirepass", "")], ["six", "OK"], "the password");
  right.disconnect();

  // What scripts and streams are needed for.
  if (await needs("commands that are scripts", "eval", "evalsha")) {
    r.defineCommand("both", { numberOfKeys: 1, lua: "return {KEYS[1], ARGV[1]}" });
    same(
      [await r.both("k", "v"), await r.both("k", "w")],
      [
        ["k", "v"],
        ["k", "w"],
      ],
      "a command that is a script",
    );
  }
  if (await needs("streams", "xadd", "xrange")) {
    same(
      [await r.xadd("stream", "1-1", "a", 1), await r.xrange("stream", "-", "+")],
      ["1-1", [["1-1", ["a", "1"]]]],
      "XADD, XRANGE",
    );
  }

  // The end.
  same(await r.flushall(), "OK", "FLUSHALL");
  same(await r.dbsize(), 0, "DBSIZE after FLUSHALL");
  await r.quit();
});
