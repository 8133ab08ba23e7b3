// A session of ioredis with its defaults: `client_ioredis.js <port> default`. Prints one line, or fails at the first surprise.

const assert = require("node:assert");
const Redis = require("ioredis");

let checks = 0;
function same(got, expected, what) {
  checks += 1;
  assert.deepStrictEqual(got, expected, `${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(expected)}`);
}
async function fails(promise, words, what) {
  checks += 1;
  await assert.rejects(promise, (error) => error.message.includes(words), what);
}
// A reply of pairs, whichever protocol was spoken.
function pairs(reply) {
  if (Array.isArray(reply)) return Object.fromEntries(reply.reduce((all, item, at) => (at % 2 ? all[all.length - 1].push(item) : all.push([item]), all), []));
  return reply instanceof Map ? Object.fromEntries(reply) : { ...reply };
}

async function main() {
  const options = { port: Number(process.argv[2]), host: "127.0.0.1", maxRetriesPerRequest: 1, retryStrategy: null };
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
  same((await pipeline.exec()).every(([error, reply]) => error === null && reply === "OK"), true, "a pipeline of 1,000 SETs");
  const found = new Set();
  for await (const keys of r.scanStream({ match: "scan:*", count: 37 })) keys.forEach((key) => found.add(key));
  same(found.size, 1000, "SCAN");

  // Transactions.
  const done = await r.multi().set("t", 1).incr("t").exec();
  same(done, [[null, "OK"], [null, 2]], "MULTI, EXEC");
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
  same(await r.flushall(), "OK", "FLUSHALL");
  same(await r.dbsize(), 0, "DBSIZE after FLUSHALL");
  await r.quit();
  console.log(`ioredis ${require("ioredis/package.json").version}: ${checks} checks hold`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
