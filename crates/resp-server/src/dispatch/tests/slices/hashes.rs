//! Long commands on hashes in slices: they answer as at once, and what others see of them is the hash of one moment.

use super::*;

/// A server that goes on in slices of so many bytes.
fn clients(slice_bytes: usize) -> Clients {
    let mut clients = Clients::new();
    clients.engine.keyspace.slice_bytes = slice_bytes;
    clients
}

/// A reply in the end, and how many slices it took beside the first.
fn whole(clients: &mut Clients, client: ClientId, words: &[impl AsRef<[u8]>]) -> (String, usize) {
    let mut outcome = clients.ask(client, words);
    let mut slices = 0;
    while outcome == SLICE {
        slices += 1;
        outcome = clients.turn(client);
    }
    (outcome.expect("nobody holds the key"), slices)
}

/// A request with so many fields, and values if `values`.
fn many(head: &str, fields: std::ops::Range<usize>, values: bool) -> Vec<String> {
    let mut words: Vec<String> = head.split(' ').map(String::from).collect();
    for field in fields {
        words.push(format!("field:{field}"));
        if values {
            words.push(format!("value of {field}"));
        }
    }
    words
}

/// The elements of an array of bulk strings, sorted.
fn sorted(reply: &str) -> Vec<String> {
    let mut words: Vec<String> =
        reply.split("\r\n").skip(1).filter(|word| !word.starts_with('$')).map(String::from).collect();
    words.sort();
    words
}

const FIELDS: usize = 1_000;

#[test]
fn requests_of_many_fields_answer_in_slices_as_at_once() {
    for slice_bytes in [256, 5_000, 65_536] {
        let (mut whole_server, mut sliced) = (clients(usize::MAX), clients(slice_bytes));
        let (one, other) = (whole_server.connect(), sliced.connect());
        let requests = [
            many("HSET h", 0..FIELDS, true),
            many("HSET h", 10..20, true),
            many("HMGET h", 0..FIELDS + 5, false),
            many(&format!("HPEXPIRE h 100000 FIELDS {}", FIELDS / 2), 0..FIELDS / 2, false),
            many(&format!("HPTTL h FIELDS {FIELDS}"), 0..FIELDS, false),
            many("HGETALL h", 0..0, false),
            many(&format!("HPERSIST h FIELDS {FIELDS}"), 0..FIELDS, false),
            many("HGETALL h", 0..0, false),
            many("HKEYS h", 0..0, false),
            many("HVALS h", 0..0, false),
            many("HSCAN h 0 COUNT 10000", 0..0, false),
            many("HRANDFIELD h 10000 WITHVALUES", 0..0, false),
            many("COPY h copy", 0..0, false),
            many("HGETALL copy", 0..0, false),
            many("HSETEX h FNX FIELDS 1000", 500..1_500, true),
            many("HSETEX h FXX PX 50000 FIELDS 1000", 0..1_000, true),
            many("HGETEX h PERSIST FIELDS 700", 0..700, false),
            many("HGETDEL h FIELDS 600", 0..600, false),
            many("HDEL h", 0..FIELDS - 1, false),
            many("HGETALL h", 0..0, false),
            many("HDEL h", 0..FIELDS, false),
            many("EXISTS h copy", 0..0, false),
            // Of a hash that is not there.
            many(&format!("HPEXPIRE h 100000 FIELDS {FIELDS}"), 0..FIELDS, false),
            many(&format!("HPERSIST h FIELDS {FIELDS}"), 0..FIELDS, false),
            many(&format!("HGETDEL h FIELDS {FIELDS}"), 0..FIELDS, false),
            many(&format!("HGETEX h EX 1 FIELDS {FIELDS}"), 0..FIELDS, false),
            many("EXISTS h", 0..0, false),
        ];
        let mut in_slices = 0;
        for request in requests {
            let (expected, _) = whole(&mut whole_server, one, &request);
            let (reply, slices) = whole(&mut sliced, other, &request);
            assert_eq!(reply, expected, "{} ... in slices of {slice_bytes}", request[..2].join(" "));
            in_slices += usize::from(slices > 0);
            assert!(sliced.engine.holds.is_idle());
        }
        assert!(in_slices >= 8, "{in_slices} with {slice_bytes}");
        sliced.run_jobs();
        sliced.engine.keyspace.store.audit();
    }
}

#[test]
fn a_random_part_has_as_many_different_fields_as_were_asked_for() {
    let mut clients = clients(2_000);
    let client = clients.connect();
    whole(&mut clients, client, &many("HSET h", 0..FIELDS, true));
    for timed in [false, true] {
        if timed {
            whole(&mut clients, client, &many("HPEXPIRE h 1 FIELDS 300", 0..300, false));
            clients.engine.keyspace.set_now(crate::keyspace::Millis(clients.engine.keyspace.now().0 + 10));
        }
        let live = if timed { 700 } else { FIELDS };
        for count in [1, 30, 300, 650, 2_000] {
            let (reply, _) = whole(&mut clients, client, &many(&format!("HRANDFIELD h {count}"), 0..0, false));
            let mut fields = sorted(&reply);
            let told = fields.len();
            fields.dedup();
            assert_eq!((told, fields.len()), (count.min(live) + 1, count.min(live) + 1), "the last word is empty");
            let (reply, _) = whole(&mut clients, client, &many(&format!("HRANDFIELD h -{count}"), 0..0, false));
            assert_eq!(sorted(&reply).len(), count + 1);
        }
        let (reply, _) = whole(&mut clients, client, &["HGETALL", "h"]);
        assert!(reply.starts_with(&format!("*{}\r\n", 2 * live)), "{}", &reply[..20]);
    }
}

#[test]
fn who_writes_waits_for_a_long_read_and_who_reads_does_not() {
    let mut clients = clients(2_000);
    let [reader, writer, other] = [(); 3].map(|()| clients.connect());
    whole(&mut clients, reader, &many("HSET h", 0..FIELDS, true));
    assert_eq!(clients.ask(reader, &["HGETALL", "h"]), SLICE);
    assert_eq!(clients.ask(writer, &["HSET", "h", "field:1", "new"]), WAIT);
    assert_eq!(clients.ask(other, &["SET", "k", "v"]), ok(OK));
    let mut reply = clients.turn(reader);
    while reply == SLICE {
        reply = clients.turn(reader);
    }
    let reply = reply.expect("it ends");
    assert_eq!(sorted(&reply).len(), 2 * FIELDS + 1);
    assert!(!reply.contains("new"));
    assert_eq!(clients.turn(writer), ok(":0\r\n"));
}

#[test]
fn a_key_whose_time_comes_in_the_middle_of_a_long_command_is_there_to_its_end() {
    let mut clients = clients(2_000);
    let client = clients.connect();
    whole(&mut clients, client, &many("HSET h", 0..FIELDS, true));
    whole(&mut clients, client, &["PEXPIRE", "h", "100"]);
    assert_eq!(clients.ask(client, &["HGETALL", "h"]), SLICE);
    let now = clients.engine.keyspace.now();
    clients.engine.keyspace.set_now(crate::keyspace::Millis(now.0 + 1_000));
    let mut reply = clients.turn(client);
    while reply == SLICE {
        reply = clients.turn(client);
    }
    assert_eq!(sorted(&reply.expect("it ends")).len(), 2 * FIELDS + 1);
    assert_eq!(clients.ask(client, &["EXISTS", "h"]), ok(":0\r\n"));
}
