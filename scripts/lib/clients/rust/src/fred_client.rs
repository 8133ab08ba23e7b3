//! A session of the crate `fred`: commands, pipelines, transactions, a subscriber that connects again, tracking.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fred::bytes::Bytes;
use fred::prelude::*;
use fred::types::client::ClientKillFilter;
use fred::types::{CustomCommand, InfoKind, RespVersion};
use futures_util::TryStreamExt;
use futures_util::future::{join_all, try_join_all};
use tokio::time::timeout;

use crate::check::{self, eventually_async, fails, field, same};

fn builder(server: &check::Server) -> Builder {
    let mut builder =
        Builder::from_config(Config::from_url(&format!("redis://127.0.0.1:{}", server.port)).expect("a URL"));
    if let Some(protocol) = server.protocol {
        let version = if protocol == 3 { RespVersion::RESP3 } else { RespVersion::RESP2 };
        builder.with_config(|config| config.version = version);
    }
    builder.set_policy(ReconnectPolicy::new_constant(0, 50));
    builder
}

async fn client(server: &check::Server) -> FredResult<Client> {
    let client = builder(server).build()?;
    client.init().await?;
    Ok(client)
}

pub async fn session(server: &check::Server) {
    let c = client(server).await.expect("a connection");
    commands(server, &c).await.expect("commands");
    pipelines(server, &c).await.expect("pipelines");
    waits(server, &c).await.expect("waits");
    messages(server, &c).await.expect("messages");
    connections(server, &c).await.expect("connections");
    if server.protocol == Some(3) {
        tracking(server, &c).await.expect("tracking");
    }
    if server.has("streams", &["xadd", "xlen"]) {
        same(
            c.xadd::<String, _, _, _, _>("stream", false, None, "1-1", ("a", 1)).await.expect("XADD"),
            "1-1".to_string(),
            "XADD",
        );
    }
    c.flushall::<()>(false).await.expect("FLUSHALL");
    same(c.dbsize::<u32>().await.expect("DBSIZE"), 0, "DBSIZE after FLUSHALL");
    c.quit().await.expect("QUIT");
}

fn name(text: &str) -> String {
    text.to_string()
}

async fn commands(server: &check::Server, c: &Client) -> FredResult<()> {
    same(c.ping::<String>(None).await?, name("PONG"), "PING");
    same(c.set::<String, _, _>("k", "v", Some(Expiration::EX(100)), None, false).await?, name("OK"), "SET EX");
    same(c.get::<Option<String>, _>("k").await?, Some(name("v")), "GET");
    same(c.get::<Option<String>, _>("none").await?, None, "GET of nothing");
    same(c.set::<Option<String>, _, _>("k", "w", None, Some(SetOptions::NX), false).await?, None, "SET NX");
    same(
        c.set::<Option<String>, _, _>("k", "w", None, Some(SetOptions::XX), true).await?,
        Some(name("v")),
        "SET XX GET",
    );
    same(c.expire::<bool, _>("k", 100, None).await?, true, "EXPIRE");
    same((1..=100).contains(&c.ttl::<i64, _>("k").await?), true, "TTL");
    c.mset(vec![("a", 1), ("b", 2)]).await?;
    same(c.mget::<Vec<Option<u32>>, _>(vec!["a", "none", "b"]).await?, vec![Some(1), None, Some(2)], "MGET");
    same(c.incr_by::<i64, _>("n", 41).await? + c.incr::<i64, _>("n").await?, 83, "INCRBY, INCR");
    same(c.incr_by_float::<f64, _>("n", 0.5).await?, 42.5, "INCRBYFLOAT");
    same(c.del::<u32, _>(vec!["a", "none"]).await?, 1, "DEL");

    same(c.hset::<u32, _, _>("h", vec![("a", 1), ("b", 2)]).await?, 2, "HSET");
    same(
        c.hgetall::<BTreeMap<String, u32>, _>("h").await?,
        BTreeMap::from([(name("a"), 1), (name("b"), 2)]),
        "HGETALL",
    );
    same(c.hincrby::<i64, _, _>("h", "a", 9).await? + c.hdel::<i64, _, _>("h", "b").await?, 11, "HINCRBY, HDEL");
    same(c.rpush::<u32, _, _>("l", vec!["a", "b", "c"]).await?, 3, "RPUSH");
    same(c.lrange::<Vec<String>, _>("l", 0, -1).await?, vec![name("a"), name("b"), name("c")], "LRANGE");
    same(c.lpop::<Vec<String>, _>("l", Some(2)).await?, vec![name("a"), name("b")], "LPOP");
    same(c.sadd::<u32, _, _>("s", vec![1, 2, 3]).await?, 3, "SADD");
    same(c.smembers::<BTreeSet<u32>, _>("s").await?, BTreeSet::from([1, 2, 3]), "SMEMBERS");
    same(
        c.zadd::<u32, _, _>("z", None, None, false, false, vec![(1.5, "a"), (2.0, "b"), (f64::INFINITY, "c")]).await?,
        3,
        "ZADD",
    );
    let scored: Vec<(String, f64)> = c.zrange("z", 0, -1, None, false, None, true).await?;
    same(scored, vec![(name("a"), 1.5), (name("b"), 2.0), (name("c"), f64::INFINITY)], "ZRANGE WITHSCORES");
    same(c.zscore::<Option<f64>, _, _>("z", "none").await?, None, "ZSCORE of nothing");
    same(c.zpopmin::<Vec<(String, f64)>, _>("z", Some(1)).await?, vec![(name("a"), 1.5)], "ZPOPMIN");

    let (key, large) = (Key::from(&[0, 255, 13, 10][..]), Bytes::from(check::bytes(8 << 20)));
    c.set::<(), _, _>(&key, large.clone(), None, None, false).await?;
    same(c.get::<Bytes, _>(&key).await? == large, true, "SET and GET of 8 MiB");
    same(c.strlen::<usize, _>(&key).await?, large.len(), "STRLEN");
    same(c.getrange::<Bytes, _>(&key, 255, 256).await?, Bytes::from_static(&[255, 0]), "GETRANGE");
    let copies = try_join_all((0..6).map(|_| c.get::<Bytes, _>(&key))).await?;
    same(copies.iter().all(|copy| *copy == large), true, "six GETs of 8 MiB at once");

    fails(c.incr::<i64, _>("h").await, "WRONGTYPE", "INCR of a hash");
    let unknown = CustomCommand::new_static("NOSUCH", None::<u16>, false);
    fails(c.custom::<(), _>(unknown, vec!["x"]).await, "unknown command 'NOSUCH'", "an unknown command");
    same(c.info::<String>(Some(InfoKind::Server)).await?.contains("redis_version:"), true, "INFO");
    let policy: BTreeMap<String, String> = c.config_get("maxmemory-policy").await?;
    same(policy, BTreeMap::from([(name("maxmemory-policy"), name("noeviction"))]), "CONFIG GET");
    if server.has("times to live of fields", &["hexpire", "httl"]) {
        let hexpire = CustomCommand::new_static("HEXPIRE", None::<u16>, false);
        same(
            c.custom::<Vec<i32>, _>(hexpire, vec!["h", "100", "FIELDS", "2", "a", "none"]).await?,
            vec![1, -2],
            "HEXPIRE",
        );
    }
    Ok(())
}

async fn pipelines(server: &check::Server, c: &Client) -> FredResult<()> {
    let pipeline = c.pipeline();
    for number in 0..3000 {
        pipeline.set::<(), _, _>(format!("p:{number}"), number, None, None, false).await?;
    }
    same(pipeline.all::<Vec<String>>().await?, vec![name("OK"); 3000], "a pipeline of 3,000 SETs");
    let found: Vec<Key> = c.scan_buffered("p:*", Some(100), None).try_collect().await?;
    same(found.into_iter().map(|key| key.into_bytes()).collect::<BTreeSet<_>>().len(), 3000, "SCAN");
    let counted = join_all((0..1000).map(|_| c.incr::<u32, _>("counter"))).await;
    let counted: BTreeSet<u32> = counted.into_iter().collect::<FredResult<_>>()?;
    same(counted, (1..=1000).collect(), "1,000 INCRs at once over one connection");

    let transaction = c.multi();
    transaction.set::<(), _, _>("t", 1, None, None, false).await?;
    transaction.incr::<(), _>("t").await?;
    transaction.rpush::<(), _, _>("tl", vec![1, 2]).await?;
    same(transaction.exec::<(String, u32, u32)>(true).await?, (name("OK"), 2, 2), "MULTI, EXEC");
    let other = client(server).await?;
    c.watch("t").await?;
    other.set::<(), _, _>("t", 7, None, None, false).await?;
    let transaction = c.multi();
    transaction.incr::<(), _>("t").await?;
    same(transaction.exec::<Value>(true).await?.is_null(), true, "EXEC after a watched key has changed");
    same(c.get::<u32, _>("t").await?, 7, "and nothing is done");
    let pipeline = c.pipeline();
    pipeline.incr::<(), _>("t").await?;
    pipeline.lpush::<(), _, _>("t", 1).await?;
    pipeline.incr::<(), _>("t").await?;
    let results = pipeline.try_all::<u32>().await;
    same(
        (results[0].clone().ok(), results[1].is_err(), results[2].clone().ok()),
        (Some(8), true, Some(9)),
        "an error within a pipeline",
    );
    let transaction = c.multi();
    transaction.incr::<(), _>("t").await?;
    let unknown = CustomCommand::new_static("NOSUCH", None::<u16>, false);
    let queued = transaction.custom::<Value, _>(unknown, vec!["x"]).await;
    let executed = transaction.exec::<Value>(true).await;
    same(queued.is_err() || executed.is_err(), true, "a transaction with an unknown command");
    same(c.get::<u32, _>("t").await?, 9, "and nothing is done");
    other.quit().await
}

async fn waits(server: &check::Server, c: &Client) -> FredResult<()> {
    let waiters = try_join_all((0..4).map(|_| client(server))).await?;
    let popped: Vec<_> = waiters
        .iter()
        .cloned()
        .map(|waiter| tokio::spawn(async move { waiter.blpop::<(String, u32), _>(vec!["none", "queue"], 10.0).await }))
        .collect();
    eventually_async(
        async || field(&c.info::<String>(Some(InfoKind::Clients)).await.expect("INFO"), "blocked_clients"),
        Some(4),
        "four wait",
    )
    .await;
    same(c.rpush::<u32, _, _>("queue", vec![0, 1, 2, 3]).await?, 4, "RPUSH");
    let mut got = Vec::new();
    for waiter in popped {
        got.push(waiter.await.expect("a task")?.1);
    }
    got.sort_unstable();
    same(got, vec![0, 1, 2, 3], "BLPOP for each of them");
    fails(
        waiters[0].blpop::<Value, _>("none", 0.1).await,
        "timed out",
        "BLPOP that times out, which is an error in fred",
    );
    c.zadd::<(), _, _>("by-score", None, None, false, false, (4.5, "x")).await?;
    same(
        waiters[1].bzpopmin::<(String, String, f64), _>("by-score", 1.0).await?,
        (name("by-score"), name("x"), 4.5),
        "BZPOPMIN",
    );
    for waiter in waiters {
        waiter.quit().await?;
    }
    Ok(())
}

async fn messages(server: &check::Server, c: &Client) -> FredResult<()> {
    let listener = builder(server).build_subscriber_client()?;
    listener.init().await?;
    let mut messages = listener.message_rx();
    let _resubscribing = listener.manage_subscriptions();
    listener.subscribe(vec!["news", "large"]).await?;
    listener.psubscribe("n?ws").await?;
    listener.ssubscribe("shard").await?;
    let large = Bytes::from(check::bytes(2 << 20));
    same(c.publish::<u32, _, _>("news", "ahoy").await?, 2, "PUBLISH");
    same(c.spublish::<u32, _, _>("shard", "there").await?, 1, "SPUBLISH");
    same(c.publish::<u32, _, _>("large", large.clone()).await?, 1, "PUBLISH of 2 MiB");
    let mut heard = Vec::new();
    for _ in 0..4 {
        let message =
            timeout(Duration::from_secs(10), messages.recv()).await.expect("a message in time").expect("a message");
        heard.push((message.channel.to_string(), message.value.into_bytes().unwrap_or_default()));
    }
    heard.sort();
    let ahoy = (name("news"), Bytes::from_static(b"ahoy"));
    let expected = vec![(name("large"), large), ahoy.clone(), ahoy, (name("shard"), Bytes::from_static(b"there"))];
    same(heard == expected, true, "messages by channel, pattern and shard channel, one of 2 MiB");

    // Its connection is lost, comes again, and has its subscriptions again.
    let kill = CustomCommand::new_static("CLIENT", None::<u16>, false);
    same(c.custom::<u32, _>(kill, vec!["KILL", "TYPE", "pubsub"]).await?, 1, "CLIENT KILL TYPE pubsub");
    eventually_async(
        async || c.pubsub_numpat::<u32>().await.expect("PUBSUB NUMPAT"),
        1,
        "the subscriber subscribes again",
    )
    .await;
    eventually_async(async || c.spublish::<u32, _, _>("shard", "after").await.expect("SPUBLISH"), 1, "to all").await;
    let message =
        timeout(Duration::from_secs(10), messages.recv()).await.expect("a message in time").expect("a message");
    same(message.value.into_string(), Some(name("after")), "and hears");
    listener.quit().await
}

async fn connections(server: &check::Server, c: &Client) -> FredResult<()> {
    let mut builder = builder(server);
    builder.with_config(|config| config.database = Some(6));
    let lost = builder.build()?;
    lost.init().await?;
    lost.set::<(), _, _>("k", "six", None, None, false).await?;
    let id: i64 = lost.client_id().await?;
    same(c.client_kill::<u32>(vec![ClientKillFilter::ID(id.to_string())]).await?, 1, "CLIENT KILL");
    eventually_async(
        async || lost.get::<Option<String>, _>("k").await.ok().flatten(),
        Some(name("six")),
        "it connects again, to its database",
    )
    .await;
    same(lost.client_id::<i64>().await? > id, true, "with a new connection");
    lost.quit().await?;

    c.config_set("requirepass", "secret").await?;
    let mut builder = self::builder(server);
    builder.with_config(|config| config.password = Some(name("wrong")));
    let wrong = builder.set_policy(ReconnectPolicy::new_constant(1, 10)).build()?;
    same(wrong.init().await.is_err(), true, "a wrong password");
    let mut builder = self::builder(server);
    builder.with_config(|config| config.password = Some(name("secret")));
    let right = builder.build()?;
    right.init().await?;
    same(right.get::<String, _>("k").await?, name("w"), "the password");
    right.config_set("requirepass", "").await?;
    right.quit().await
}

async fn tracking(server: &check::Server, c: &Client) -> FredResult<()> {
    let tracked = client(server).await?;
    let mut invalidations = tracked.invalidation_rx();
    tracked.start_tracking(None, false, false, false, false).await?;
    tracked.get::<(), _>("k").await?;
    c.set::<(), _, _>("k", "changed", None, None, false).await?;
    let told = timeout(Duration::from_secs(10), invalidations.recv())
        .await
        .expect("an invalidation in time")
        .expect("an invalidation");
    same(told.keys, vec![Key::from("k")], "another's SET invalidates");
    tracked.stop_tracking().await?;
    tracked.quit().await
}
