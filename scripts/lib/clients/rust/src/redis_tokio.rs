//! A session of the crate `redis` on tokio: a multiplexed connection, a manager that connects again, messages, its cache.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use redis::aio::{ConnectionManagerConfig, MultiplexedConnection, transaction_async};
use redis::caching::CacheConfig;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, PushKind, RedisResult, cmd, pipe};
use tokio::time::timeout;

use crate::check::{Server, bytes, eventually_async, fails, field, same};

pub async fn session(server: &Server) {
    let client = Client::open(server.url()).expect("a URL");
    let c = client.get_multiplexed_async_connection().await.expect("a connection");
    commands(c.clone()).await.expect("commands");
    transactions(&client, c.clone()).await.expect("transactions");
    waits(&client, c.clone()).await.expect("waits");
    messages(&client, c.clone()).await.expect("messages");
    manager(server, &client, c.clone()).await.expect("a manager");
    if server.protocol == Some(3) {
        cache(&client, c.clone()).await.expect("a cache");
    }
    if server.has("scripts", &["eval", "evalsha"]) {
        let script = redis::Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
        same(script.key("by-script").arg(7).invoke_async(&mut c.clone()).await, Ok(7), "a script");
    }
    same(c.clone().flushall().await, Ok("OK".to_string()), "FLUSHALL");
}

async fn commands(mut c: MultiplexedConnection) -> RedisResult<()> {
    same(c.set("k", "v").await, Ok(true), "SET");
    same(c.get("k").await, Ok(Some("v".to_string())), "GET");
    let incremented = join_all((0..1000).map(|_| {
        let mut c = c.clone();
        async move { c.incr::<_, _, u32>("n", 1).await }
    }));
    let incremented: BTreeSet<u32> = incremented.await.into_iter().collect::<RedisResult<_>>()?;
    same(incremented, (1..=1000).collect::<BTreeSet<u32>>(), "1,000 INCRs at once over one connection");
    same(c.hset_multiple("h", &[("a", 1), ("b", 2)]).await, Ok(true), "HSET");
    same(c.hmget("h", &["a", "none"]).await, Ok(vec![Some(1), None]), "HMGET");
    same(c.zadd_multiple("z", &[(1, "a"), (2, "b")]).await, Ok(2), "ZADD");
    same(c.zrange_withscores("z", 0, -1).await, Ok(vec![("a".to_string(), 1.0), ("b".to_string(), 2.0)]), "ZRANGE");
    same(c.sadd("s", (0..1000).collect::<Vec<u32>>()).await, Ok(1000), "SADD");
    let members: Vec<RedisResult<u32>> = c.sscan("s").await?.collect().await;
    let members: BTreeSet<u32> = members.into_iter().collect::<RedisResult<_>>()?;
    same(members.len(), 1000, "SSCAN");
    let large = bytes(4 << 20);
    same(c.set(&[0, 255, 13, 10], &large).await, Ok(true), "SET of 4 MiB");
    let copies = try_join_all((0..8).map(|_| {
        let mut c = c.clone();
        async move { c.get::<_, Vec<u8>>(&[0, 255, 13, 10]).await }
    }));
    same(copies.await?.iter().all(|copy| *copy == large), true, "eight GETs of 4 MiB at once");
    fails(c.incr::<_, _, i64>("h", 1).await, "WRONGTYPE", "INCR of a hash");
    fails(cmd("NOSUCH").arg("x").query_async::<()>(&mut c).await, "unknown command 'NOSUCH'", "an unknown command");
    Ok(())
}

async fn transactions(client: &Client, mut c: MultiplexedConnection) -> RedisResult<()> {
    let got = pipe().atomic().set("t", 1).ignore().incr("t", 1).lpush("tl", &[1, 2]).query_async(&mut c).await;
    same(got, Ok((2, 2)), "MULTI, EXEC");
    let mut many = redis::Pipeline::new();
    for number in 0..3000 {
        many.set(format!("p:{number}"), number).ignore();
    }
    same(many.get("p:2999").query_async(&mut c).await, Ok((2999,)), "a pipeline of 3,000 SETs");
    // Five connections add one to the same key, ten times each, and try again whenever another was quicker.
    let counters = (0..5).map(async |_| {
        let own = client.get_multiplexed_async_connection().await?;
        for _ in 0..10 {
            let step = async |mut c: MultiplexedConnection, mut pipe: redis::Pipeline| {
                let value: u32 = c.get::<_, Option<u32>>("shared").await?.unwrap_or(0);
                pipe.set("shared", value + 1).query_async::<Option<(String,)>>(&mut c).await
            };
            transaction_async(own.clone(), &["shared"], step).await?;
        }
        RedisResult::Ok(())
    });
    try_join_all(counters).await?;
    same(c.get("shared").await, Ok(50), "50 transactions that watch the same key");
    fails(
        pipe().atomic().incr("t", 1).lpush("t", 1).query_async::<()>(&mut c).await,
        "WRONGTYPE",
        "an error within a transaction",
    );
    same(c.get("t").await, Ok(3), "and the rest is done");
    Ok(())
}

async fn waits(client: &Client, mut c: MultiplexedConnection) -> RedisResult<()> {
    // A multiplexed connection gives up after half a second, and BLPOP would hold it; one that waits has no such limit.
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let mut waiter = client.get_multiplexed_async_connection_with_config(&patient).await?;
    let popped = tokio::spawn(async move { waiter.blpop::<_, (String, String)>("queue", 10.0).await });
    let mut info = c.clone();
    let mut waiting = async || {
        field(&cmd("INFO").arg("clients").query_async::<String>(&mut info).await.expect("INFO"), "blocked_clients")
    };
    eventually_async(&mut waiting, Some(1), "one waits").await;
    same(c.rpush("queue", "job").await, Ok(1), "RPUSH");
    same(popped.await.expect("a task"), Ok(("queue".to_string(), "job".to_string())), "BLPOP");
    let mut hasty = client.get_multiplexed_async_connection_with_config(&patient).await?;
    let given_up = timeout(Duration::from_millis(100), hasty.blpop::<_, (String, String)>("queue", 0.0)).await;
    same(given_up.is_err(), true, "a wait that is given up");
    drop(hasty);
    eventually_async(&mut waiting, Some(0), "is known to the server when its connection goes").await;
    same(c.rpush("queue", "kept").await, Ok(1), "RPUSH");
    same(c.lpop("queue", None).await, Ok("kept".to_string()), "and nobody has taken it");
    Ok(())
}

async fn messages(client: &Client, mut c: MultiplexedConnection) -> RedisResult<()> {
    let (mut sink, mut stream) = client.get_async_pubsub().await?.split();
    sink.subscribe("news").await?;
    sink.psubscribe("n?ws").await?;
    same(c.publish("news", "ahoy").await, Ok(2), "PUBLISH");
    let mut heard = Vec::new();
    for _ in 0..2 {
        let message =
            timeout(Duration::from_secs(10), stream.next()).await.expect("a message in time").expect("a message");
        heard.push((message.from_pattern(), message.get_payload::<String>()?));
    }
    heard.sort();
    same(heard, vec![(false, "ahoy".to_string()), (true, "ahoy".to_string())], "a message and one by a pattern");
    sink.unsubscribe("news").await?;
    same(c.publish("news", bytes(1 << 20)).await, Ok(1), "PUBLISH after UNSUBSCRIBE");
    let message = timeout(Duration::from_secs(10), stream.next()).await.expect("a message in time").expect("a message");
    same(message.get_payload_bytes() == bytes(1 << 20), true, "a message of 1 MiB");
    Ok(())
}

/// The manager connects again by itself, and in RESP3 subscribes again.
async fn manager(server: &Server, client: &Client, mut c: MultiplexedConnection) -> RedisResult<()> {
    let mut managed = client.get_connection_manager().await?;
    let id: u64 = cmd("CLIENT").arg("ID").query_async(&mut managed).await?;
    same(cmd("CLIENT").arg("KILL").arg("ID").arg(id).query_async(&mut c).await, Ok(1), "CLIENT KILL of a manager");
    let mut again = managed.clone();
    eventually_async(async || again.get::<_, String>("k").await.ok(), Some("v".to_string()), "it connects again").await;
    same(cmd("CLIENT").arg("ID").query_async::<u64>(&mut managed).await? > id, true, "with a new connection");
    if server.protocol != Some(3) {
        return Ok(());
    }
    let (sender, mut pushes) = tokio::sync::mpsc::unbounded_channel();
    let config = ConnectionManagerConfig::new().set_push_sender(sender).set_automatic_resubscription();
    let mut listener = client.get_connection_manager_with_config(config).await?;
    listener.subscribe("again").await?;
    same(c.publish("again", "one").await, Ok(1), "PUBLISH");
    same(listener.get("k").await, Ok("v".to_string()), "a subscriber asks for keys as well");
    let id: u64 = cmd("CLIENT").arg("ID").query_async(&mut listener).await?;
    same(cmd("CLIENT").arg("KILL").arg("ID").arg(id).query_async(&mut c).await, Ok(1), "CLIENT KILL of a subscriber");
    let mut publisher = c.clone();
    eventually_async(async || publisher.publish("again", "two").await, Ok(1), "it subscribes again").await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let push = timeout(Duration::from_secs(10), pushes.recv()).await.expect("a push in time").expect("a push");
        if push.kind == PushKind::Message {
            heard.push(redis::from_redis_value::<String>(push.data[1].clone())?);
        }
    }
    same(heard, vec!["one".to_string(), "two".to_string()], "and hears");
    Ok(())
}

async fn cache(client: &Client, mut c: MultiplexedConnection) -> RedisResult<()> {
    let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::default());
    let mut cached = client.get_multiplexed_async_connection_with_config(&config).await?;
    for _ in 0..10 {
        same(cached.get("k").await, Ok("v".to_string()), "GET with a cache");
    }
    let statistics = cached.get_cache_statistics().expect("a cache");
    same((statistics.hit, statistics.miss), (9, 1), "asks the server once");
    c.set::<_, _, ()>("k", "changed").await?;
    let mut again = cached.clone();
    eventually_async(async || again.get("k").await, Ok("changed".to_string()), "another's SET invalidates").await;
    c.del::<_, ()>("k").await?;
    eventually_async(async || again.get("k").await, Ok(None::<String>), "another's DEL invalidates").await;
    Ok(())
}
