//! A session of the crate `redis`, blocking.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::{
    Client, Commands, Connection, ConnectionLike, ExistenceCheck, Pipeline, RedisResult, SetExpiry, SetOptions, cmd,
    pipe,
};

use crate::check::{Server, bytes, eventually, fails, field, same};

fn connection(server: &Server) -> Connection {
    Client::open(server.url()).expect("a URL").get_connection().expect("a connection")
}

pub fn session(server: &Server) {
    let mut c = connection(server);
    commands(server, &mut c).expect("commands");
    pipelines(&mut c, &mut connection(server)).expect("pipelines");
    waits(server, &mut c).expect("waits");
    messages(server, &mut c).expect("messages");
    connections(server, &mut c).expect("connections");
    if server.has("scripts", &["eval", "evalsha"]) {
        let script = redis::Script::new("return {KEYS[1], ARGV[1]}");
        let got: (String, u32) = script.key("k").arg(7).invoke(&mut c).expect("a script");
        same(got, ("k".to_string(), 7), "a script");
    }
    if server.has("streams", &["xadd", "xlen"]) {
        same(c.xadd::<_, _, _, _, String>("stream", "1-1", &[("a", 1)]), Ok("1-1".to_string()), "XADD");
        same(c.xlen("stream"), Ok(1), "XLEN");
    }
    same(c.flushall::<String>(), Ok("OK".to_string()), "FLUSHALL");
    same(cmd("DBSIZE").query(&mut c), Ok(0), "DBSIZE");
}

fn commands(server: &Server, c: &mut Connection) -> RedisResult<()> {
    same(cmd("PING").query(c), Ok("PONG".to_string()), "PING");
    same(c.set("k", "v"), Ok(true), "SET");
    same(c.get("k"), Ok("v".to_string()), "GET");
    same(c.get("none"), Ok(None::<String>), "GET of nothing");
    let options =
        SetOptions::default().conditional_set(ExistenceCheck::XX).get(true).with_expiration(SetExpiry::EX(100));
    same(c.set_options("k", "w", options), Ok(Some("v".to_string())), "SET XX GET EX");
    same(c.ttl::<_, i64>("k").map(|ttl| (1..=100).contains(&ttl)), Ok(true), "TTL");
    same([c.persist("k")?, c.ttl("k")?, c.ttl("none")?], [1, -1, -2], "PERSIST, TTL");
    same(c.mset(&[("a", 1), ("b", 2)]), Ok(true), "MSET");
    same(c.mget(&["a", "none", "b"]), Ok(vec![Some(1), None, Some(2)]), "MGET");
    same([c.incr("n", 41)?, c.incr("n", 1)?, c.decr("n", 2)?], [41, 42, 40], "INCRBY, DECRBY");
    same(c.incr("n", 0.5), Ok(40.5), "INCRBYFLOAT");
    same([c.exists("k")?, c.exists("none")?, c.del(&["a", "none"])?], [1, 0, 1], "EXISTS, DEL");
    let binary = [0, 255, b'\r', b'\n'];
    same(c.append::<_, _, i32>(&binary, &binary)? + c.append::<_, _, i32>(&binary, "x")?, 9, "APPEND");
    same(c.getrange(&binary, -2, -1), Ok(b"\nx".to_vec()), "GETRANGE");
    let large = bytes(8 << 20);
    same(c.set("large", &large), Ok(true), "SET of 8 MiB");
    same(c.get::<_, Vec<u8>>("large")? == large, true, "GET of 8 MiB");

    same(c.hset_multiple("h", &[("a", 1), ("b", 2)]), Ok(true), "HSET");
    same(c.hgetall("h"), Ok(BTreeMap::from([("a".to_string(), 1), ("b".to_string(), 2)])), "HGETALL");
    same([c.hincr("h", "a", 9)?, c.hdel("h", "b")?, c.hlen("h")?], [10, 1, 1], "HINCRBY, HDEL, HLEN");
    if server.has("times to live of fields", &["hexpire", "httl"]) {
        same(c.hexpire("h", 100, redis::ExpireOption::NONE, &["a", "none"]), Ok(vec![1, -2]), "HEXPIRE");
        same(c.httl::<_, _, Vec<i64>>("h", &["a"])?[0] > 0, true, "HTTL");
    }
    same([c.rpush("l", &["a", "b", "c"])?, c.lpush("l", "z")?, c.llen("l")?], [3, 4, 4], "RPUSH, LPUSH, LLEN");
    same(c.lrange("l", 0, -1), Ok(["z", "a", "b", "c"].map(str::to_string).to_vec()), "LRANGE");
    same(c.lpop("l", None), Ok("z".to_string()), "LPOP");
    same(c.rpop("l", std::num::NonZeroUsize::new(2)), Ok(vec!["c".to_string(), "b".to_string()]), "RPOP of two");
    same([c.sadd("s", &[1, 2, 3])?, c.srem("s", 3)?], [3, 1], "SADD, SREM");
    same(c.smembers("s"), Ok(BTreeSet::from([1, 2])), "SMEMBERS");
    same([c.sismember("s", 1)?, c.sismember("s", 9)?], [true, false], "SISMEMBER");
    same(c.zadd_multiple("z", &[(1.5, "a"), (2.0, "b"), (f64::INFINITY, "c")]), Ok(3), "ZADD");
    let scores = [("a", 1.5), ("b", 2.0), ("c", f64::INFINITY)].map(|(member, score)| (member.to_string(), score));
    same(c.zrange_withscores("z", 0, -1), Ok(scores.to_vec()), "ZRANGE WITHSCORES");
    same(c.zrangebyscore("z", "(1.5", "+inf"), Ok(vec!["b".to_string(), "c".to_string()]), "ZRANGEBYSCORE");
    same((c.zrank("z", "b")?, c.zscore("z", "none")?), (1, None::<f64>), "ZRANK, ZSCORE");
    same(c.zpopmin("z", 1), Ok(vec![("a".to_string(), 1.5)]), "ZPOPMIN");
    same([c.setbit("bits", 9, true)?, c.getbit("bits", 9)?], [false, true], "SETBIT, GETBIT");

    fails(c.incr::<_, _, i64>("h", 1), "WRONGTYPE", "INCR of a hash");
    fails(c.incr::<_, _, i64>("k", 1), "not an integer", "INCR of a text");
    fails(cmd("NOSUCH").arg("x").query::<()>(c), "unknown command 'NOSUCH'", "an unknown command");
    let info: String = cmd("INFO").query(c)?;
    same(info.contains("redis_version:"), true, "INFO");
    let typed: redis::InfoDict = cmd("INFO").query(c)?;
    same(typed.get::<String>("role"), Some("master".to_string()), "INFO as a table");
    Ok(())
}

fn pipelines(c: &mut Connection, other: &mut Connection) -> RedisResult<()> {
    let mut many = Pipeline::new();
    for number in 0..3000 {
        many.set(format!("p:{number}"), number).ignore();
    }
    many.get("p:2999");
    same(many.query(c), Ok((2999,)), "a pipeline of 3,000 SETs");
    let found: BTreeSet<String> = c.scan_match("p:*")?.collect::<RedisResult<_>>()?;
    same(found.len(), 3000, "SCAN");
    for number in 0..500 {
        c.hset::<_, _, _, ()>("wide", number, number)?;
    }
    let fields: BTreeMap<u32, u32> = c.hscan::<_, (u32, u32)>("wide")?.collect::<RedisResult<_>>()?;
    same(fields, (0..500).map(|number| (number, number)).collect::<BTreeMap<_, _>>(), "HSCAN");

    let got = pipe().atomic().set("t", 1).ignore().incr("t", 1).rpush("tl", &[1, 2]).query(c);
    same(got, Ok((2, 2)), "MULTI, EXEC");
    cmd("WATCH").arg("t").exec(c)?;
    let before: i32 = c.get("t")?;
    other.set::<_, _, ()>("t", 7)?;
    same(pipe().atomic().set("t", before + 1).query(c), Ok(None::<(String,)>), "EXEC after a watched key has changed");
    let mut tries = 0;
    let got: (i32,) = redis::transaction(c, &["t"], |c, pipe| {
        let value: i32 = c.get("t")?;
        tries += 1;
        if tries < 3 {
            other.incr::<_, _, ()>("t", 10)?;
        }
        pipe.set("t", value + 1).ignore().get("t").query(c)
    })?;
    same((got, tries), ((28,), 3), "a transaction that is tried three times");
    fails(pipe().incr("t", 1).lpush("t", 1).incr("t", 1).query::<()>(c), "WRONGTYPE", "an error within a pipeline");
    same(c.get("t"), Ok(30), "and the rest is done");
    let aborted = pipe().atomic().incr("t", 1).cmd("NOSUCH").query::<()>(c);
    same(aborted.is_err(), true, "a transaction with an unknown command");
    same(c.get("t"), Ok(30), "and nothing is done");
    Ok(())
}

fn waits(server: &Server, c: &mut Connection) -> RedisResult<()> {
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            let mut waiter = connection(server);
            std::thread::spawn(move || waiter.blpop::<_, (String, u32)>(&["none", "queue"], 10.0))
        })
        .collect();
    let waiting =
        |c: &mut Connection| field(&cmd("INFO").arg("clients").query::<String>(c).expect("INFO"), "blocked_clients");
    eventually(|| waiting(c), Some(5), "five wait");
    same(c.rpush("queue", &[0, 1, 2, 3, 4]), Ok(5), "RPUSH");
    let mut got: Vec<_> =
        waiters.into_iter().map(|waiter| waiter.join().expect("a thread").expect("a pop").1).collect();
    got.sort_unstable();
    same(got, vec![0, 1, 2, 3, 4], "BLPOP for each of them");
    same(c.blpop("none", 0.1), Ok(None::<(String, String)>), "BLPOP that times out");
    same(c.bzpopmin("none", 0.1), Ok(None::<(String, String, f64)>), "BZPOPMIN that times out");
    c.zadd::<_, _, _, ()>("by-score", "x", 4.5)?;
    same(c.bzpopmin("by-score", 1.0), Ok(("by-score".to_string(), "x".to_string(), 4.5)), "BZPOPMIN");
    Ok(())
}

fn messages(server: &Server, c: &mut Connection) -> RedisResult<()> {
    let mut listening = connection(server);
    let mut listener = listening.as_pubsub();
    listener.set_read_timeout(Some(Duration::from_secs(10)))?;
    listener.subscribe(&["news", "large"])?;
    listener.psubscribe("n?ws")?;
    let large = bytes(2 << 20);
    same([c.publish("news", "ahoy")?, c.publish("large", &large)?, c.publish("nobody", "x")?], [2, 1, 0], "PUBLISH");
    let mut heard = [listener.get_message()?, listener.get_message()?]
        .map(|message| (message.from_pattern(), message.get_payload()));
    heard.sort_unstable_by_key(|(by_pattern, _)| *by_pattern);
    same(heard, [(false, Ok("ahoy".to_string())), (true, Ok("ahoy".to_string()))], "a message and one by a pattern");
    same(listener.get_message()?.get_payload_bytes() == large, true, "a message of 2 MiB");
    listener.unsubscribe("news")?;
    same(c.publish("news", "again"), Ok(1), "PUBLISH after UNSUBSCRIBE");
    same(listener.get_message()?.get_pattern(), Ok("n?ws".to_string()), "comes by the pattern");
    drop(listener);
    same(listening.get("k"), Ok("w".to_string()), "a connection that listens no more");
    Ok(())
}

fn connections(server: &Server, c: &mut Connection) -> RedisResult<()> {
    let mut lost = connection(server);
    let id: u64 = cmd("CLIENT").arg("ID").query(&mut lost)?;
    same(cmd("CLIENT").arg("KILL").arg("ID").arg(id).query(c), Ok(1), "CLIENT KILL");
    let error = lost.get::<_, String>("k").expect_err("a dropped connection");
    same((error.is_connection_dropped(), lost.is_open()), (true, false), "a connection that is lost says so");
    same(connection(server).get("k"), Ok("w".to_string()), "a new one works");
    cmd("CONFIG").arg("SET").arg("requirepass").arg("secret").exec(c)?;
    let with = |user: &str| Client::open(server.url().replace("127", &format!("{user}@127")))?.get_connection();
    fails(with("").and_then(|mut c| c.get::<_, String>("k")), "NOAUTH", "no password");
    same(with(":wrong").is_err(), true, "a wrong password");
    same(with("default:secret")?.get("k"), Ok("w".to_string()), "the password");
    cmd("CONFIG").arg("SET").arg("requirepass").arg("").exec(c)?;
    let mut fifth =
        Client::open(server.url().replacen(&format!("{}/", server.port), &format!("{}/5", server.port), 1))?
            .get_connection()?;
    same(fifth.exists("k"), Ok(false), "another database");
    Ok(())
}
