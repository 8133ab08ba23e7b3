//! Members and fields over 64 KiB, which have another form from the moment they arrive.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use super::{MIB, TestServer, ask, await_info, bulk, expect, expect_long, long, request};

/// Sends a request and awaits its reply.
#[track_caller]
fn ask_args(stream: &mut UnixStream, args: &[&[u8]], expected: &[u8]) {
    stream.write_all(&request(args)).unwrap();
    expect_long(stream, expected);
}

#[test]
fn names_of_elements_are_found_whatever_their_length() {
    let server = TestServer::start();
    let mut client = server.connect();
    for len in [65_518, 65_519, 65_520, 65_534, 65_535, 65_536, 131_072, 1_000_000] {
        let name = long(len);
        // Which differ in the last byte, and by one.
        let mut other = name.clone();
        *other.last_mut().unwrap() ^= 1;
        let (longer, shorter) = ([&name[..], b"x"].concat(), name[..len - 1].to_vec());

        ask_args(&mut client, &[b"SADD", b"s", &name, b"a"], b":2\r\n");
        ask_args(&mut client, &[b"SADD", b"s", b"b", &name], b":1\r\n");
        ask_args(
            &mut client,
            &[b"SMISMEMBER", b"s", &other, &name, &longer, &shorter],
            b"*4\r\n:0\r\n:1\r\n:0\r\n:0\r\n",
        );
        ask_args(&mut client, &[b"SADD", b"s", &other, &longer], b":2\r\n");
        ask_args(&mut client, &[b"SREM", b"s", &shorter, &other, b"b", b"a"], b":3\r\n");
        ask_args(&mut client, &[b"SMOVE", b"s", b"t", &shorter], b":0\r\n");
        ask_args(&mut client, &[b"SMOVE", b"s", b"t", &name], b":1\r\n");
        ask_args(&mut client, &[b"SISMEMBER", b"s", &name], b":0\r\n");
        ask_args(&mut client, &[b"SMEMBERS", b"t"], &[&b"*1\r\n"[..], &bulk(&name)].concat());
        ask_args(&mut client, &[b"SUNIONSTORE", b"u", b"s", b"t"], b":2\r\n");
        ask_args(&mut client, &[b"SMISMEMBER", b"u", &name, &longer], b"*2\r\n:1\r\n:1\r\n");
        ask_args(&mut client, &[b"SINTER", b"u", b"t"], &[&b"*1\r\n"[..], &bulk(&name)].concat());
        ask_args(&mut client, &[b"SDIFF", b"u", b"t"], &[&b"*1\r\n"[..], &bulk(&longer)].concat());
        ask_args(&mut client, &[b"SUNION", b"t", b"t"], &[&b"*1\r\n"[..], &bulk(&name)].concat());

        ask_args(&mut client, &[b"HSET", b"h", b"f", b"small", &name, b"v", &other, &longer], b":3\r\n");
        ask_args(&mut client, &[b"HSETNX", b"h", &name, b"w"], b":0\r\n");
        ask_args(&mut client, &[b"HSETNX", b"h", &longer, b"1"], b":1\r\n");
        ask_args(&mut client, &[b"HINCRBY", b"h", &longer, b"2"], b":3\r\n");
        ask_args(&mut client, &[b"HINCRBYFLOAT", b"h", &longer, b"0.5"], b"$3\r\n3.5\r\n");
        ask_args(&mut client, &[b"HGET", b"h", &name], b"$1\r\nv\r\n");
        let told = [&b"*3\r\n"[..], &bulk(&longer), b"$-1\r\n$1\r\nv\r\n"].concat();
        ask_args(&mut client, &[b"HMGET", b"h", &other, &shorter, &name], &told);
        ask_args(&mut client, &[b"HEXISTS", b"h", &shorter], b":0\r\n");
        ask_args(&mut client, &[b"HSTRLEN", b"h", &name], b":1\r\n");
        let expiries = b"*2\r\n:1\r\n:-2\r\n";
        ask_args(&mut client, &[b"HEXPIRE", b"h", b"100", b"NX", b"FIELDS", b"2", &name, &shorter], expiries);
        ask_args(&mut client, &[b"HTTL", b"h", b"FIELDS", b"2", &name, &other], b"*2\r\n:100\r\n:-1\r\n");
        ask_args(&mut client, &[b"HPERSIST", b"h", b"FIELDS", b"1", &name], b"*1\r\n:1\r\n");
        ask_args(&mut client, &[b"HGETEX", b"h", b"PX", b"90000", b"FIELDS", b"1", &name], b"*1\r\n$1\r\nv\r\n");
        ask_args(&mut client, &[b"HPEXPIRE", b"h", b"0", b"FIELDS", b"1", &longer], b"*1\r\n:2\r\n");
        ask_args(&mut client, &[b"HGETDEL", b"h", b"FIELDS", b"2", &longer, &name], b"*2\r\n$-1\r\n$1\r\nv\r\n");
        ask_args(&mut client, &[b"HDEL", b"h", &shorter, &other, b"f"], b":2\r\n");

        // Of one score, so that they are ordered by their bytes.
        ask_args(&mut client, &[b"ZADD", b"z", b"CH", b"1", &longer, b"1", &name, b"1", &shorter], b":3\r\n");
        ask_args(&mut client, &[b"ZADD", b"z", b"NX", b"INCR", b"1", &other], b"$1\r\n1\r\n");
        let rank =
            |member: &[u8]| [&name, &other, &longer, &shorter].iter().filter(|against| &against[..] < member).count();
        for member in [&name, &other, &longer, &shorter] {
            ask_args(&mut client, &[b"ZRANK", b"z", member], format!(":{}\r\n", rank(member)).as_bytes());
        }
        ask_args(&mut client, &[b"ZINCRBY", b"z", b"1", &name], b"$1\r\n2\r\n");
        ask_args(&mut client, &[b"ZREVRANK", b"z", &name, b"WITHSCORE"], b"*2\r\n:0\r\n$1\r\n2\r\n");
        ask_args(&mut client, &[b"ZMSCORE", b"z", &name, &other, b"a"], b"*3\r\n$1\r\n2\r\n$1\r\n1\r\n$-1\r\n");
        ask_args(&mut client, &[b"ZREM", b"z", &shorter, b"a", &longer, &other], b":3\r\n");
        ask_args(&mut client, &[b"ZRANGE", b"z", b"0", b"-1"], &[&b"*1\r\n"[..], &bulk(&name)].concat());
        ask_args(&mut client, &[b"ZSCORE", b"z", &name], b"$1\r\n2\r\n");

        ask_args(&mut client, &[b"ZUNIONSTORE", b"y", b"2", b"z", b"u"], b":2\r\n");
        ask_args(&mut client, &[b"ZRANGE", b"y", b"0", b"0"], &[&b"*1\r\n"[..], &bulk(&longer)].concat());
        ask_args(&mut client, &[b"ZSCORE", b"y", &name], b"$1\r\n3\r\n");
        ask_args(&mut client, &[b"ZINTER", b"2", b"y", b"t"], &[&b"*1\r\n"[..], &bulk(&name)].concat());
        ask_args(&mut client, &[b"ZDIFF", b"2", b"u", b"z"], &[&b"*1\r\n"[..], &bulk(&longer)].concat());
        ask_args(&mut client, &[b"ZRANGESTORE", b"x", b"y", b"0", b"-1"], b":2\r\n");
        ask_args(&mut client, &[b"ZRANK", b"x", &name], b":1\r\n");

        client.write_all(b"MULTI\r\n").unwrap();
        client.write_all(&request(&[b"SADD", b"m", &name, &longer])).unwrap();
        client.write_all(&request(&[b"SREM", b"m", &longer])).unwrap();
        client.write_all(&request(&[b"HSET", b"n", &name, &name])).unwrap();
        client.write_all(&request(&[b"HGET", b"n", &name])).unwrap();
        client.write_all(b"EXEC\r\n").unwrap();
        expect(&mut client, b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
        expect_long(&mut client, &[&b"*4\r\n:2\r\n:1\r\n:1\r\n"[..], &bulk(&name)].concat());
        ask_args(&mut client, &[b"SMEMBERS", b"m"], &[&b"*1\r\n"[..], &bulk(&name)].concat());
        // Refused, and what arrived is dropped.
        ask_args(
            &mut client,
            &[b"SMOVE", b"s", b"t", &name, &name],
            b"-ERR wrong number of arguments for 'smove' command\r\n",
        );
        ask(&mut client, "DEL s t u z m n x y", ":8\r\n");
    }
    await_info(&mut client, "chunkbuf_blob_references", "0");
}

#[test]
fn a_name_that_breaks_off_leaves_nothing() {
    let server = TestServer::start();
    let mut client = server.connect();
    let whole = request(&[b"SADD", b"s", &long(40 * MIB)]);
    for end in [70_000, 20 * MIB] {
        let mut goes = server.connect();
        goes.write_all(&whole[..end]).unwrap();
        drop(goes);
    }
    await_info(&mut client, "connected_clients", "1");
    await_info(&mut client, "chunkbuf_blob_references", "0");
    ask(&mut client, "EXISTS s", ":0\r\n");
}

#[test]
fn a_long_name_on_its_way_stays_as_it_was_told() {
    let server = TestServer::start();
    let mut admin = server.connect();
    let name = long(20 * MIB);
    let told = bulk(&name);
    for (put, tell, expected) in [
        (&[&b"SADD"[..], b"k", &name][..], "SMEMBERS k", [&b"*1\r\n"[..], &told].concat()),
        (&[b"SADD", b"k", &name], "SPOP k", told.clone()),
        (&[b"HSET", b"k", &name, b"v"], "HGETALL k", [&b"*2\r\n"[..], &told, b"$1\r\nv\r\n"].concat()),
        (&[b"ZADD", b"k", b"1", &name], "ZRANGE k 0 -1 WITHSCORES", [&b"*2\r\n"[..], &told, b"$1\r\n1\r\n"].concat()),
        (&[b"RPUSH", b"k", &name], "LRANGE k 0 -1", [&b"*1\r\n"[..], &told].concat()),
    ] {
        let (mut reader, mut goes) = (server.connect(), server.connect());
        admin.write_all(&request(put)).unwrap();
        expect(&mut admin, b":1\r\n");
        reader.write_all(format!("{tell}\r\n").as_bytes()).unwrap();
        expect_long(&mut reader, &expected[..10]);
        if tell != "SPOP k" {
            goes.write_all(format!("{tell}\r\n").as_bytes()).unwrap();
            expect_long(&mut goes, &expected[..10]);
        }
        // Both replies are under way: the key goes, another takes its place, and one of the clients goes.
        admin.write_all(b"DEL k\r\nPING\r\n").unwrap();
        expect(&mut admin, if tell == "SPOP k" { b":0\r\n+PONG\r\n" } else { b":1\r\n+PONG\r\n" });
        let other = vec![b'!'; 20 * MIB];
        admin.write_all(&request(&[b"SADD", b"k", &other])).unwrap();
        expect(&mut admin, b":1\r\n");
        drop(goes);
        expect_long(&mut reader, &expected[10..]);
        drop(reader);
        ask(&mut admin, "DEL k", ":1\r\n");
        await_info(&mut admin, "connected_clients", "1");
        await_info(&mut admin, "chunkbuf_blob_references", "0");
    }
}
