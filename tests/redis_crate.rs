//! The `redis` crate with its defaults, in RESP2 and in RESP3: every command of the server, with its result checked.
//!
//! What this adds to the transcripts is a real client's connection set-up and its conversions to types.

// The lint knows test functions, and not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use redis::{Connection, FromRedisValue, Value, cmd};
use test_support::{Server, server};

/// Runs the script on a connection of each protocol, each on a fresh server.
fn on_both_protocols(script: fn(&mut Connection)) {
    let binary = server::binary(env!("CARGO_BIN_EXE_evenkeel"));
    for options in ["", "?protocol=resp3"] {
        let server = Server::start(&binary, &[]).unwrap();
        let url = format!("redis://127.0.0.1:{}/{options}", server.port());
        let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
        script(&mut connection);
    }
}

/// Sends a request, words separated by blanks, and converts its reply.
fn ask<T: FromRedisValue>(connection: &mut Connection, request: &str) -> T {
    match query(connection, request) {
        Ok(value) => value,
        Err(error) => panic!("{request}: {error}"),
    }
}

fn query<T: FromRedisValue>(connection: &mut Connection, request: &str) -> redis::RedisResult<T> {
    let mut words = request.split_whitespace();
    let mut command = cmd(words.next().unwrap());
    words.fold(&mut command, |command, word| command.arg(word)).query(connection)
}

/// The error that a request is answered with.
fn error(connection: &mut Connection, request: &str) -> String {
    query::<Value>(connection, request).expect_err(request).to_string()
}

fn set_of(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_string()).collect()
}

#[test]
fn connection_commands() {
    on_both_protocols(|c| {
        assert_eq!(ask::<String>(c, "PING"), "PONG");
        assert_eq!(ask::<String>(c, "PING hello"), "hello");
        assert_eq!(ask::<String>(c, "ECHO hello"), "hello");
        let id: i64 = ask(c, "CLIENT ID");
        assert!(id > 0);
        assert_eq!(ask::<String>(c, "CLIENT SETNAME worker"), "OK");
        assert_eq!(ask::<String>(c, "CLIENT GETNAME"), "worker");
        assert_eq!(ask::<String>(c, "CLIENT NO-EVICT on"), "OK");
        let info: String = ask(c, "CLIENT INFO");
        assert!(info.contains(&format!("id={id} ")) && info.contains("name=worker "), "{info}");
        let list: String = ask(c, "CLIENT LIST");
        assert!(list.contains(&format!("id={id} ")), "{list}");
        assert_eq!(ask::<String>(c, "SELECT 3"), "OK");
        assert_eq!(ask::<String>(c, "SET k three"), "OK");
        assert_eq!(ask::<String>(c, "SELECT 0"), "OK");
        assert_eq!(ask::<Option<String>>(c, "GET k"), None);
        assert!(error(c, "AUTH secret").contains("without any password configured"));
        assert!(error(c, "NOSUCH").contains("unknown command"));
    });
}

#[test]
fn hello_gives_the_fields_that_clients_read() {
    on_both_protocols(|c| {
        let hello: BTreeMap<String, Value> = ask(c, "HELLO");
        for field in ["server", "version", "proto", "id", "mode", "role", "modules"] {
            assert!(hello.contains_key(field), "{field} is missing: {hello:?}");
        }
    });
}

#[test]
fn string_commands() {
    on_both_protocols(|c| {
        assert_eq!(ask::<String>(c, "SET k v"), "OK");
        assert_eq!(ask::<Option<String>>(c, "GET k").as_deref(), Some("v"));
        assert_eq!(ask::<Option<String>>(c, "SET k w NX"), None);
        assert_eq!(ask::<Option<String>>(c, "SET k w XX GET").as_deref(), Some("v"));
        assert_eq!(ask::<i64>(c, "SETNX k x"), 0);
        assert_eq!(ask::<i64>(c, "SETNX n 10"), 1);
        assert_eq!(ask::<String>(c, "SETEX e 100 v"), "OK");
        assert_eq!(ask::<String>(c, "PSETEX p 100000 v"), "OK");
        assert!((1..=100).contains(&ask::<i64>(c, "TTL e")));
        assert_eq!(ask::<Option<String>>(c, "GETSET k y").as_deref(), Some("w"));
        assert_eq!(ask::<Option<String>>(c, "GETDEL k").as_deref(), Some("y"));
        assert_eq!(ask::<Option<String>>(c, "GETEX e PERSIST").as_deref(), Some("v"));
        assert_eq!(ask::<i64>(c, "TTL e"), -1);
        assert_eq!(ask::<String>(c, "MSET a 1 b 2"), "OK");
        assert_eq!(ask::<i64>(c, "MSETNX b 3 c 4"), 0);
        let values: Vec<Option<i64>> = ask(c, "MGET a b c");
        assert_eq!(values, [Some(1), Some(2), None]);
        assert_eq!(ask::<i64>(c, "INCR n"), 11);
        assert_eq!(ask::<i64>(c, "DECR n"), 10);
        assert_eq!(ask::<i64>(c, "INCRBY n 32"), 42);
        assert_eq!(ask::<i64>(c, "DECRBY n 2"), 40);
        assert!((ask::<f64>(c, "INCRBYFLOAT n 2.5") - 42.5).abs() < 1e-9);
        assert!(error(c, "INCR n").contains("not an integer"));
        assert_eq!(ask::<i64>(c, "APPEND text abc"), 3);
        assert_eq!(ask::<i64>(c, "APPEND text def"), 6);
        assert_eq!(ask::<i64>(c, "STRLEN text"), 6);
        let binary: Vec<u8> = (0..=255).collect();
        cmd("SET").arg("bytes").arg(&binary).exec(c).unwrap();
        assert_eq!(cmd("GET").arg("bytes").query::<Vec<u8>>(c).unwrap(), binary);
    });
}

#[test]
fn key_commands() {
    on_both_protocols(|c| {
        ask::<()>(c, "MSET a 1 b 2 c 3");
        assert_eq!(ask::<i64>(c, "EXISTS a b a nothing"), 3);
        assert_eq!(ask::<i64>(c, "TOUCH a nothing"), 1);
        assert_eq!(ask::<String>(c, "TYPE a"), "string");
        assert_eq!(ask::<String>(c, "TYPE nothing"), "none");
        assert_eq!(ask::<BTreeSet<String>>(c, "KEYS *"), set_of(&["a", "b", "c"]));
        assert_eq!(ask::<i64>(c, "DBSIZE"), 3);
        assert!(set_of(&["a", "b", "c"]).contains(&ask::<String>(c, "RANDOMKEY")));
        assert_eq!(ask::<String>(c, "RENAME a d"), "OK");
        assert_eq!(ask::<i64>(c, "RENAMENX d b"), 0);
        assert!(error(c, "RENAME nothing x").contains("no such key"));
        assert_eq!(ask::<i64>(c, "COPY d e"), 1);
        assert_eq!(ask::<i64>(c, "COPY d e DB 1"), 1);
        assert_eq!(ask::<i64>(c, "DEL d nothing"), 1);
        assert_eq!(ask::<i64>(c, "UNLINK e"), 1);
        assert_eq!(ask::<String>(c, "FLUSHDB"), "OK");
        assert_eq!(ask::<Option<String>>(c, "RANDOMKEY"), None);
        ask::<()>(c, "SELECT 1");
        assert_eq!(ask::<i64>(c, "DBSIZE"), 1);
        assert_eq!(ask::<String>(c, "FLUSHALL"), "OK");
        assert_eq!(ask::<i64>(c, "DBSIZE"), 0);
    });
}

#[test]
fn a_scan_returns_every_key() {
    on_both_protocols(|c| {
        let mut fill = redis::pipe();
        for number in 0..1_000 {
            fill.set(format!("key:{number}"), number).ignore();
        }
        fill.exec(c).unwrap();
        let (mut cursor, mut found) = (0_u64, BTreeSet::new());
        loop {
            let (next, keys): (u64, Vec<String>) = ask(c, &format!("SCAN {cursor} MATCH key:* COUNT 37 TYPE string"));
            found.extend(keys);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(found.len(), 1_000);
    });
}

#[test]
fn expiry_commands() {
    on_both_protocols(|c| {
        ask::<()>(c, "SET k v");
        assert_eq!(ask::<i64>(c, "TTL k"), -1);
        assert_eq!(ask::<i64>(c, "PTTL nothing"), -2);
        assert_eq!(ask::<i64>(c, "EXPIRE k 100"), 1);
        assert_eq!(ask::<i64>(c, "EXPIRE k 50 GT"), 0);
        assert_eq!(ask::<i64>(c, "EXPIRE k 50 LT"), 1);
        assert_eq!(ask::<i64>(c, "EXPIRE k 10 NX"), 0);
        assert_eq!(ask::<i64>(c, "PEXPIRE k 60000 XX"), 1);
        assert!((1..=60_000).contains(&ask::<i64>(c, "PTTL k")));
        assert_eq!(ask::<i64>(c, "EXPIREAT k 33177117420"), 1);
        assert_eq!(ask::<i64>(c, "EXPIRETIME k"), 33_177_117_420);
        assert_eq!(ask::<i64>(c, "PEXPIREAT k 33177117420123"), 1);
        assert_eq!(ask::<i64>(c, "PEXPIRETIME k"), 33_177_117_420_123);
        assert_eq!(ask::<i64>(c, "PERSIST k"), 1);
        assert_eq!(ask::<i64>(c, "PERSIST k"), 0);
        assert_eq!(ask::<i64>(c, "EXPIRE k -1"), 1);
        assert_eq!(ask::<i64>(c, "EXISTS k"), 0);
    });
}

#[test]
fn server_commands() {
    on_both_protocols(|c| {
        let count: usize = ask(c, "COMMAND COUNT");
        let all: Vec<Value> = ask(c, "COMMAND");
        let names: Vec<String> = ask(c, "COMMAND LIST");
        assert_eq!(all.len(), count);
        assert!(names.len() >= count && names.iter().any(|name| name == "getdel"), "subcommands are listed too");
        assert_eq!(ask::<Vec<String>>(c, "COMMAND GETKEYS MSET a 1 b 2"), ["a", "b"]);
        let info: Vec<Value> = ask(c, "COMMAND INFO get nosuch");
        assert!(info.len() == 2 && info[1] == Value::Nil, "{info:?}");
        let docs: BTreeMap<String, Value> = ask(c, "COMMAND DOCS get set");
        assert_eq!(docs.keys().collect::<Vec<_>>(), ["get", "set"]);
        assert_eq!(ask::<String>(c, "CONFIG SET timeout 77"), "OK");
        let settings: BTreeMap<String, String> = ask(c, "CONFIG GET timeout");
        assert_eq!(settings.get("timeout").map(String::as_str), Some("77"));
        assert!(error(c, "CONFIG SET no-such-setting 1").contains("no-such-setting"));
        assert_eq!(ask::<String>(c, "CONFIG RESETSTAT"), "OK");
        ask::<()>(c, "SET k v EX 100");
        let info: redis::InfoDict = ask(c, "INFO");
        let version: String = info.get("redis_version").unwrap();
        assert!(version.starts_with("7."), "{version}");
        for field in
            ["uptime_in_seconds", "connected_clients", "used_memory", "total_commands_processed", "keyspace_hits"]
        {
            assert!(info.get::<String>(field).is_some(), "{field} is missing");
        }
        let keyspace: String = info.get("db0").unwrap();
        assert!(keyspace.starts_with("keys=1,expires=1,avg_ttl="), "{keyspace}");
        let stats: String = ask(c, "INFO commandstats");
        assert!(stats.contains("cmdstat_set:calls=1,"), "{stats}");
    });
}

#[test]
fn a_pipeline_of_the_crate_comes_back_in_order() {
    on_both_protocols(|c| {
        let mut pipe = redis::pipe();
        for number in 0..5_000_i64 {
            pipe.cmd("ECHO").arg(number);
        }
        let replies: Vec<i64> = pipe.query(c).unwrap();
        assert!(replies.into_iter().eq(0..5_000));
    });
}

#[test]
fn quit_ends_the_connection() {
    on_both_protocols(|c| {
        assert_eq!(ask::<String>(c, "QUIT"), "OK");
        assert!(query::<Value>(c, "PING").is_err());
    });
}
