// What the Node.js scripts share: checks that are counted, and a list of what had to be left out, as in check.py.
// A script is called with a port and a protocol: `ioredis.js <port> <default|2|3>`.

const assert = require("node:assert");
const net = require("node:net");

const port = Number(process.argv[2]);
const protocol = process.argv[3];
const leftOut = [];
let checks = 0;
let known = null;

function shown(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length < 400 ? text : `${text.slice(0, 300)}... (${text.length} characters)`;
}

// Objects without a prototype and instances of other classes count as the plain objects that they look like.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (value && typeof value === "object" && !Buffer.isBuffer(value) && !(value instanceof Error)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value;
}

function same(got, expected, what) {
  checks += 1;
  assert.deepStrictEqual(plain(got), plain(expected), `${what}: ${shown(got)} instead of ${shown(expected)}`);
}

async function fails(promise, words, what) {
  checks += 1;
  await assert.rejects(promise, (error) => error.message.includes(words), what);
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A call that comes to give this in time; a call that throws meanwhile is tried again.
async function eventually(call, expected, what, seconds = 15) {
  const deadline = Date.now() + 1000 * seconds;
  for (;;) {
    const got = await Promise.resolve()
      .then(call)
      .catch((error) => error);
    if (Date.now() > deadline) return same(got, expected, `${what}, within ${seconds} s`);
    try {
      assert.deepStrictEqual(plain(got), plain(expected));
      checks += 1;
      return undefined;
    } catch {
      await pause(20);
    }
  }
}

// Whether the server has the commands that something needs; it is noted as left out when not.
async function needs(what, ...commands) {
  if (known === null) {
    const socket = net.connect(port, "127.0.0.1");
    socket.end("COMMAND LIST\r\nQUIT\r\n");
    let text = "";
    for await (const part of socket) text += part;
    known = new Set(text.split("\r\n").filter((line) => /^[a-z]/.test(line)));
  }
  const missing = commands.filter((name) => !known.has(name)).map((name) => name.toUpperCase());
  if (missing.length > 0) leftOut.push(`${what}, needs ${missing.join(" and ")}`);
  return missing.length === 0;
}

// Runs a script's main function and prints what it comes to.
function run(name, main) {
  main()
    .then(() => {
      console.log(`${name}: ${checks} checks hold`);
      for (const line of leftOut) console.log(`left out: ${line}`);
      process.exit(0);
    })
    .catch((error) => {
      console.error(error);
      process.exit(1);
    });
}

module.exports = { port, protocol, same, fails, eventually, needs, pause, run };
