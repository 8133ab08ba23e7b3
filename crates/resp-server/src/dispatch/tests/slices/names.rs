//! Very long members, fields and elements: told whole, whatever their length, and looked through a part at a time.

use super::*;

/// Names are their own keys up to here.
const SHORT: usize = 65_534;
/// Elements of a list lie in blocks up to here.
const IN_BLOCK: usize = 16 * 1024;

/// Bytes that differ from place to place.
fn long(len: usize) -> String {
    (0..len).map(|at| char::from(b'a' + (at % 23) as u8)).collect()
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A reply in the end, and how many slices it took beside the first.
fn whole(clients: &mut Clients, client: ClientId, words: &[&str]) -> (String, usize) {
    let mut outcome = clients.ask(client, words);
    let mut slices = 0;
    while outcome == SLICE {
        slices += 1;
        outcome = clients.turn(client);
    }
    (outcome.expect("nobody holds the key"), slices)
}

/// All blobs are gone, and all memory of entries.
fn expect_nothing(clients: &mut Clients) {
    clients.run_jobs();
    let store = &clients.engine.keyspace.store;
    store.audit();
    assert_eq!((store.blob_usage().page_bytes, store.blob_usage().other_handles), (0, 0));
}

#[test]
fn a_name_is_told_whole_whatever_its_length() {
    for len in [SHORT - 1, SHORT, SHORT + 1, 65_536, 65_537, 200_000] {
        let mut clients = Clients::new();
        let client = clients.connect();
        let name = long(len);
        let told = bulk(&name);
        let replies = [
            (vec!["SADD", "s", &name], ":1\r\n".to_owned()),
            (vec!["SADD", "s", &name], ":0\r\n".to_owned()),
            (vec!["SISMEMBER", "s", &name], ":1\r\n".to_owned()),
            (vec!["SISMEMBER", "s", &name[1..]], ":0\r\n".to_owned()),
            (vec!["SMEMBERS", "s"], format!("*1\r\n{told}")),
            (vec!["SRANDMEMBER", "s"], told.clone()),
            (vec!["SRANDMEMBER", "s", "-3"], format!("*3\r\n{told}{told}{told}")),
            (vec!["SRANDMEMBER", "s", "3"], format!("*1\r\n{told}")),
            (vec!["SSCAN", "s", "0"], format!("*2\r\n$1\r\n0\r\n*1\r\n{told}")),
            (vec!["SSCAN", "s", "0", "MATCH", "abc*"], format!("*2\r\n$1\r\n0\r\n*1\r\n{told}")),
            (vec!["SSCAN", "s", "0", "MATCH", "b*"], "*2\r\n$1\r\n0\r\n*0\r\n".to_owned()),
            (vec!["SUNION", "s", "none"], format!("*1\r\n{told}")),
            (vec!["SUNIONSTORE", "union", "s", "none"], ":1\r\n".to_owned()),
            (vec!["COPY", "s", "copy"], ":1\r\n".to_owned()),
            (vec!["SPOP", "s"], told.clone()),
            (vec!["EXISTS", "s"], ":0\r\n".to_owned()),
            (vec!["SPOP", "union", "5"], format!("*1\r\n{told}")),
            (vec!["SMEMBERS", "copy"], format!("*1\r\n{told}")),
            (vec!["SREM", "copy", &name], ":1\r\n".to_owned()),
            (vec!["HSET", "h", &name, "1"], ":1\r\n".to_owned()),
            (vec!["HSET", "h", &name, "22"], ":0\r\n".to_owned()),
            (vec!["HGET", "h", &name], bulk("22")),
            (vec!["HEXPIRE", "h", "100", "FIELDS", "1", &name], "*1\r\n:1\r\n".to_owned()),
            (vec!["HKEYS", "h"], format!("*1\r\n{told}")),
            (vec!["HPERSIST", "h", "FIELDS", "1", &name], "*1\r\n:1\r\n".to_owned()),
            (vec!["HGETALL", "h"], format!("*2\r\n{told}$2\r\n22\r\n")),
            (vec!["HSCAN", "h", "0"], format!("*2\r\n$1\r\n0\r\n*2\r\n{told}$2\r\n22\r\n")),
            (vec!["HSCAN", "h", "0", "MATCH", "a*", "NOVALUES"], format!("*2\r\n$1\r\n0\r\n*1\r\n{told}")),
            (vec!["HRANDFIELD", "h"], told.clone()),
            (vec!["HRANDFIELD", "h", "-2"], format!("*2\r\n{told}{told}")),
            (vec!["HRANDFIELD", "h", "2", "WITHVALUES"], format!("*2\r\n{told}$2\r\n22\r\n")),
            (vec!["COPY", "h", "copy"], ":1\r\n".to_owned()),
            (vec!["HDEL", "h", &name], ":1\r\n".to_owned()),
            (vec!["HGETALL", "copy"], format!("*2\r\n{told}$2\r\n22\r\n")),
            (vec!["DEL", "copy"], ":1\r\n".to_owned()),
            (vec!["ZADD", "z", "1", &name], ":1\r\n".to_owned()),
            (vec!["ZADD", "z", "2", &name], ":0\r\n".to_owned()),
            (vec!["ZSCORE", "z", &name], bulk("2")),
            (vec!["ZRANGE", "z", "0", "-1"], format!("*1\r\n{told}")),
            (vec!["ZRANGE", "z", "0", "-1", "REV", "WITHSCORES"], format!("*2\r\n{told}$1\r\n2\r\n")),
            (vec!["ZRANGEBYLEX", "z", "[abc", "+"], format!("*1\r\n{told}")),
            (vec!["ZSCAN", "z", "0"], format!("*2\r\n$1\r\n0\r\n*2\r\n{told}$1\r\n2\r\n")),
            (vec!["ZRANDMEMBER", "z"], told.clone()),
            (vec!["ZRANDMEMBER", "z", "-2"], format!("*2\r\n{told}{told}")),
            (vec!["ZUNION", "2", "z", "none"], format!("*1\r\n{told}")),
            (vec!["ZRANGESTORE", "range", "z", "0", "-1"], ":1\r\n".to_owned()),
            (vec!["COPY", "z", "copy"], ":1\r\n".to_owned()),
            (vec!["ZPOPMIN", "z"], format!("*2\r\n{told}$1\r\n2\r\n")),
            (vec!["BZPOPMAX", "range", "0"], format!("*3\r\n$5\r\nrange\r\n{told}$1\r\n2\r\n")),
            (vec!["ZREM", "copy", &name], ":1\r\n".to_owned()),
            (vec!["DBSIZE"], ":0\r\n".to_owned()),
        ];
        for (request, expected) in replies {
            let (reply, _) = whole(&mut clients, client, &request);
            assert!(reply == expected, "{:?} of {len}: {reply:.60}", &request[..2]);
        }
        expect_nothing(&mut clients);
    }
}

#[test]
fn long_names_that_differ_at_their_end_stand_in_order() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let names: Vec<String> = ["", "1", "2", "21"].into_iter().map(|end| long(150_000) + end).collect();
    for name in names.iter().rev() {
        assert_eq!(clients.ask(client, &["ZADD", "z", "1", name]), ok(":1\r\n"));
    }
    let (reply, _) = whole(&mut clients, client, &["ZRANGE", "z", "0", "-1"]);
    assert!(reply == names.iter().fold("*4\r\n".to_owned(), |all, name| all + &bulk(name)));
    for (rank, name) in names.iter().enumerate() {
        assert_eq!(clients.ask(client, &["ZRANK", "z", name]), ok(&format!(":{rank}\r\n")));
    }
    whole(&mut clients, client, &["DEL", "z"]);
    expect_nothing(&mut clients);
}

#[test]
fn a_name_of_a_hash_that_expires_or_is_cleared_leaves_nothing() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let name = long(300_000);
    clients.ask(client, &["HSETEX", "h", "EX", "1", "FIELDS", "1", &name, "v"]).unwrap();
    clients.ask(client, &["HSET", "h", "other", "v"]).unwrap();
    clients.engine.set_now(at_second(5));
    clients.run_jobs();
    assert_eq!(clients.ask(client, &["HKEYS", "h"]), ok("*1\r\n$5\r\nother\r\n"));
    expect_nothing(&mut clients);
    for request in [&["SADD", "s", &name][..], &["ZADD", "z", "1", &name], &["HSET", "h", &name, "v"]] {
        clients.ask(client, request).unwrap();
    }
    assert_eq!(clients.ask(client, &["FLUSHALL"]), ok(OK));
    expect_nothing(&mut clients);
}

#[test]
fn a_name_for_which_there_is_no_memory_changes_nothing() {
    let mut clients = Clients::new();
    let client = clients.connect();
    for request in ["SADD s a", "HSET h a 1", "ZADD z 1 a"] {
        clients.ask(client, &words(request)).unwrap();
    }
    clients.ask(client, &words("CONFIG SET maxmemory 6mb")).unwrap();
    let name = long(20_000_000);
    for request in [&["SADD", "s", &name][..], &["ZADD", "z", "1", &name], &["HSET", "h", &name, "v"]] {
        let (reply, _) = whole(&mut clients, client, request);
        assert_eq!(reply, format!("-{OOM}\r\n"));
    }
    for request in ["SCARD s", "HLEN h", "ZCARD z"] {
        assert_eq!(clients.ask(client, &words(request)), ok(":1\r\n"));
    }
    expect_nothing(&mut clients);
}

/// A list of an element, another that differs from it in its last byte, and it again.
fn with_long_elements(len: usize) -> (Clients, [ClientId; 2], String) {
    let mut clients = Clients::new();
    clients.engine.keyspace.slice_bytes = 4096;
    let (client, other) = (clients.connect(), clients.connect());
    let element = long(len);
    let almost = element[..len - 1].to_owned() + "!";
    let (reply, _) = whole(&mut clients, client, &["RPUSH", "l", &almost, &element, "x", &element, &almost]);
    assert_eq!(reply, ":5\r\n");
    (clients, [client, other], element)
}

#[test]
fn long_elements_are_looked_for_in_slices_to_their_last_byte() {
    for len in [IN_BLOCK - 1, IN_BLOCK, IN_BLOCK + 1, 65_536, 1_000_000] {
        let (mut clients, [client, _], element) = with_long_elements(len);
        let almost = element[..len - 1].to_owned() + "!";
        let absent = element[..len - 1].to_owned() + "?";
        let all = |elements: &[&String]| {
            elements.iter().fold(format!("*{}\r\n", elements.len()), |all, element| all + &bulk(element))
        };
        let (x, y) = ("x".to_owned(), "y".to_owned());
        for (request, expected) in [
            (vec!["LPOS", "l", &element], ":1\r\n".to_owned()),
            (vec!["LPOS", "l", &element, "RANK", "-1"], ":3\r\n".to_owned()),
            (vec!["LPOS", "l", &element, "COUNT", "0"], "*2\r\n:1\r\n:3\r\n".to_owned()),
            (vec!["LPOS", "l", &absent, "COUNT", "0"], "*0\r\n".to_owned()),
            (vec!["LPOS", "l", &element[1..]], "$-1\r\n".to_owned()),
            (vec!["LINSERT", "l", "AFTER", &element, "y"], ":6\r\n".to_owned()),
            (vec!["LINSERT", "l", "AFTER", &absent, "y"], ":-1\r\n".to_owned()),
            (vec!["LREM", "l", "-1", &element], ":1\r\n".to_owned()),
            (vec!["LREM", "l", "0", &absent], ":0\r\n".to_owned()),
            (vec!["LRANGE", "l", "0", "-1"], all(&[&almost, &element, &y, &x, &almost])),
            (vec!["LREM", "l", "1", &almost], ":1\r\n".to_owned()),
            (vec!["LREM", "l", "0", &element], ":1\r\n".to_owned()),
            (vec!["LRANGE", "l", "0", "-1"], all(&[&y, &x, &almost])),
        ] {
            let (reply, slices) = whole(&mut clients, client, &request);
            assert!(reply == expected, "{:?} of {len}: {reply:.60}", request[0]);
            if len == 1_000_000 && matches!(request[0], "LPOS" | "LINSERT" | "LREM") && request.len() > 3 {
                assert!(slices > 20, "{:?} took {slices} slices", request[0]);
            }
        }
        whole(&mut clients, client, &["DEL", "l"]);
        expect_nothing(&mut clients);
    }
}

#[test]
fn who_writes_waits_for_a_comparison_and_one_whose_client_goes_ends_as_it_should() {
    for (command, len_after) in [("LREM", 3), ("LPOS", 5), ("LINSERT", 6)] {
        for leaves in [false, true] {
            let (mut clients, [client, other], element) = with_long_elements(1_000_000);
            let request = match command {
                "LREM" => vec!["LREM", "l", "0", &element],
                "LPOS" => vec!["LPOS", "l", &element],
                _ => vec!["LINSERT", "l", "BEFORE", &element, "y"],
            };
            assert_eq!(clients.ask(client, &request), SLICE);
            assert_eq!(clients.ask(other, &["RPOP", "l"]), WAIT);
            assert_eq!(clients.turn(client), SLICE);
            if leaves {
                clients.leave(client);
                clients.run_jobs();
            } else {
                clients.finish(client);
            }
            assert!(clients.turn(other).unwrap().ends_with("!\r\n"));
            assert_eq!(
                clients.ask(other, &["LLEN", "l"]),
                ok(&format!(":{}\r\n", len_after - 1)),
                "{command} {leaves}"
            );
            clients.ask(other, &["DEL", "l"]).unwrap();
            expect_nothing(&mut clients);
        }
    }
}
