// An Express application with sessions in Redis (express-session, connect-redis and node-redis), asked over HTTP by several browsers.

const express = require("express");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");
const { port, protocol, same, eventually, run } = require("./check.js");

const version = (name) => require(`${__dirname}/node_modules/${name}/package.json`).version;

function application(client, store) {
  const app = express();
  app.use(express.json({ limit: "16mb" }));
  app.use(
    session({ store, secret: "a secret of a test", resave: false, saveUninitialized: false, cookie: { maxAge: 1000 * 1000 } }),
  );
  app.post("/add/:item", (request, response) => {
    request.session.basket = [...(request.session.basket ?? []), request.params.item];
    response.json(request.session.basket);
  });
  app.get("/basket", (request, response) => response.json(request.session.basket ?? null));
  app.post("/blob", (request, response) => {
    request.session.blob = request.body.blob;
    response.json(request.body.blob.length);
  });
  app.get("/blob", (request, response) => response.json(request.session.blob));
  app.post("/login", (request, response, next) => {
    const basket = request.session.basket;
    request.session.regenerate((error) => {
      if (error) return next(error);
      Object.assign(request.session, { basket, user: "sailor" });
      return response.json("welcome");
    });
  });
  app.get("/me", (request, response) => response.json(request.session.user ?? "nobody"));
  app.post("/logout", (request, response, next) =>
    request.session.destroy((error) => (error ? next(error) : response.json("bye"))),
  );
  return new Promise((resolve) => {
    const server = app.listen(0, "127.0.0.1", () => resolve(server));
  });
}

// A visitor with a cookie of its own.
function browser(server) {
  let cookie = "";
  const ask = async (method, page, body) => {
    const headers = { cookie, ...(body === undefined ? {} : { "content-type": "application/json" }) };
    const address = `http://127.0.0.1:${server.address().port}${page}`;
    const response = await fetch(address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const given = response.headers.get("set-cookie");
    if (given) cookie = given.split(";")[0];
    if (response.status !== 200) throw new Error(`${method} ${page}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  return {
    get: (page) => ask("GET", page),
    post: (page, body) => ask("POST", page, body),
    key: () => `sess:${decodeURIComponent(cookie).slice("connect.sid=s:".length).split(".")[0]}`,
  };
}

run(
  `Express ${version("express")}'s sessions, with connect-redis ${version("connect-redis")} and node-redis ${version("redis")}`,
  async () => {
    const options = { url: `redis://127.0.0.1:${port}`, ...(protocol === "default" ? {} : { RESP: Number(protocol) }) };
    const client = createClient(options);
    client.on("error", () => {}); // A lost connection is told here, and is what the last check is about.
    await client.connect();
    const r = await createClient(options).connect();
    const store = new RedisStore({ client });
    const server = await application(client, store);

    const [one, two] = [browser(server), browser(server)];
    same(await one.get("/basket"), null, "a basket of nobody");
    same(await store.length(), 0, "no session before there is something in it");
    same(
      [await one.post("/add/tea"), await one.post("/add/milk"), await two.post("/add/rum")],
      [["tea"], ["tea", "milk"], ["rum"]],
      "two baskets",
    );
    same([await one.get("/basket"), await two.get("/basket")], [["tea", "milk"], ["rum"]], "each keeps its own");
    same([await store.length(), (await store.ids()).length, (await store.all()).length], [2, 2, 2], "two sessions");
    const ttl = await r.ttl(one.key());
    same(ttl > 900 && ttl <= 1000, true, "a session's time to live");
    await r.expire(one.key(), 10);
    await one.get("/basket");
    same((await r.ttl(one.key())) > 900, true, "which a visit renews");

    const blob = "0123456789abcdef\u00e4\u6f22\n".repeat(150000);
    same([await one.post("/blob", { blob }), (await one.get("/blob")) === blob], [blob.length, true], "some MiB in a session");
    same((await r.strLen(one.key())) > blob.length, true, "on the server");

    const before = one.key();
    same([await one.post("/login"), await one.get("/me"), await two.get("/me")], ["welcome", "sailor", "nobody"], "a login");
    same(
      [one.key() !== before, await r.exists(before), await one.get("/basket")],
      [true, 0, ["tea", "milk"]],
      "gives the session a new name",
    );
    await r.del(two.key());
    same(await two.get("/basket"), null, "a session that was deleted is empty");
    await r.pExpire(one.key(), 50);
    await eventually(() => r.exists(one.key()), 0, "a session that is due is gone");
    same(await one.get("/me"), "nobody", "and its visitor is nobody");
    const three = browser(server);
    same(
      [await three.post("/login"), await three.post("/logout"), await three.get("/me")],
      ["welcome", "bye", "nobody"],
      "a logout",
    );
    same(await r.keys("sess:*"), [], "removes the session");

    // Three hundred sessions, then none.
    const visitors = Array.from({ length: 300 }, () => browser(server));
    same(
      await Promise.all(visitors.map((visitor, at) => visitor.post(`/add/${at}`))),
      visitors.map((_, at) => [String(at)]),
      "300 browsers",
    );
    same(
      [await store.length(), (await store.all()).map(({ basket }) => Number(basket[0])).sort((a, b) => a - b)],
      [300, visitors.map((_, at) => at)],
      "300 sessions",
    );
    await store.clear();
    same([await store.length(), await visitors[7].get("/basket")], [0, null], "all sessions are removed");

    // The application's connection is lost and comes again.
    await one.post("/add/salt");
    same(await r.sendCommand(["CLIENT", "KILL", "ID", String(await client.clientId())]), 1, "CLIENT KILL of the application");
    await eventually(() => one.get("/basket"), ["salt"], "the application connects again");
    server.close();
  },
);
