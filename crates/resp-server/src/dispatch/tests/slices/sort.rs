//! SORT of many elements: collected, weighed, sorted and told in slices, and the same as at once.

use super::*;

const ELEMENTS: usize = 5000;

fn numbers() -> Vec<String> {
    (0..ELEMENTS).map(|at| (at * 7919 % ELEMENTS).to_string()).collect()
}

/// A list `l` of numbers in disorder, and a weight for each, which is the number from the other end.
fn with_numbers() -> (Clients, ClientId) {
    let mut clients = Clients::new();
    let client = clients.connect();
    for numbers in numbers().chunks(500) {
        let mut request = vec!["rpush".to_owned(), "l".to_owned()];
        request.extend_from_slice(numbers);
        clients.ask(client, &request).unwrap();
        let mut request = vec!["mset".to_owned()];
        for number in numbers {
            let weight = ELEMENTS - number.parse::<usize>().unwrap();
            request.extend([format!("w:{number}"), weight.to_string()]);
        }
        clients.ask(client, &request).unwrap();
    }
    (clients, client)
}

/// The strings of a reply that is an array.
fn elements(reply: &str) -> Vec<String> {
    reply.split("\r\n").skip(1).filter(|line| !line.is_empty() && !line.starts_with('$')).map(str::to_owned).collect()
}

fn in_order(range: impl Iterator<Item = usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn a_long_sort_takes_slices_and_sorts_as_a_short_one() {
    let (mut clients, client) = with_numbers();
    for (request, expected) in [
        ("sort l", in_order(0..ELEMENTS)),
        ("sort l desc", in_order((0..ELEMENTS).rev())),
        ("sort l by w:*", in_order((0..ELEMENTS).rev())),
        ("sort_ro l by w:* get w:* limit 10 4000", in_order(11..4011)),
        ("sort l by nosort limit 0 3000", numbers()[..3000].to_vec()),
        ("sort l by nosort desc", numbers().into_iter().rev().collect()),
    ] {
        assert_eq!(clients.ask(client, &words(request)), SLICE, "{request}");
        assert_eq!(elements(&clients.finish(client)), expected, "{request}");
    }
    assert_eq!(clients.ask(client, &words("sort l by w:* store sorted")), SLICE);
    assert_eq!(clients.finish(client), format!(":{ELEMENTS}\r\n"));
    let outcome = clients.ask(client, &words("lrange sorted 0 999"));
    let reply = outcome.unwrap_or_else(|_| clients.finish(client));
    assert_eq!(elements(&reply), in_order((ELEMENTS - 1000..ELEMENTS).rev()));
}

#[test]
fn what_a_sort_reads_stays_and_what_it_stores_is_not_seen_before_its_end() {
    let (mut clients, client) = with_numbers();
    let other = clients.connect();
    clients.ask(other, &words("set sorted before")).unwrap();
    assert_eq!(clients.ask(client, &words("sort l store sorted")), SLICE);
    assert_eq!(clients.ask(other, &words("rpush l 1")), WAIT);
    clients.finish(client);
    assert_eq!(clients.turn(other), ok(&format!(":{}\r\n", ELEMENTS + 1)));
    assert_eq!(clients.ask(client, &words("sort l store sorted")), SLICE);
    assert_eq!(clients.ask(other, &words("type sorted")), WAIT);
    // Its client goes: it writes, so it comes to its end.
    clients.leave(client);
    clients.run_jobs();
    assert_eq!(clients.turn(other), ok("+list\r\n"));
}

#[test]
fn a_sort_that_fails_in_its_middle_leaves_all_as_it_was() {
    let (mut clients, client) = with_numbers();
    clients.ask(client, &words("rpush l word")).unwrap();
    clients.ask(client, &words("set sorted before")).unwrap();
    assert_eq!(clients.ask(client, &words("sort l store sorted")), SLICE);
    assert_eq!(clients.finish(client), "-ERR One or more scores can't be converted into double\r\n");
    assert_eq!(clients.ask(client, &words("get sorted")), ok("$6\r\nbefore\r\n"));
}

#[test]
fn who_waits_for_what_a_sort_stores_is_served_at_its_end() {
    let (mut clients, client) = with_numbers();
    let waiter = clients.connect();
    assert_eq!(clients.ask(waiter, &words("blpop sorted 0")), Err(Pause::Park));
    assert_eq!(clients.ask(client, &words("sort l store sorted")), SLICE);
    assert_eq!(clients.turn(waiter), Err(Pause::Park));
    clients.finish(client);
    assert_eq!(clients.turn(waiter), ok("*2\r\n$6\r\nsorted\r\n$1\r\n0\r\n"));
    clients.engine.audit_parked();
}

#[test]
fn long_elements_are_compared_and_stored_in_slices_and_not_copied() {
    const LONG: usize = 3 << 20;
    let mut clients = Clients::new();
    let client = clients.connect();
    let elements: Vec<String> =
        ["c", "a", "b"].iter().map(|last| "x".repeat(LONG) + last).chain(["short".to_owned()]).collect();
    for element in &elements {
        let pushed = clients.ask_large(client, &["rpush", "l"], element.as_bytes());
        assert!(pushed.is_ok());
        let outcome = clients.ask(client, &["sadd", "s", element]);
        let reply = outcome.unwrap_or_else(|_| clients.finish(client));
        assert_eq!(reply, ":1\r\n");
    }
    let mut sorted = elements.clone();
    sorted.sort();
    let told = |elements: &[String]| {
        let bulks = elements.iter().map(|element| format!("${}\r\n{element}\r\n", element.len()));
        format!("*{}\r\n{}", elements.len(), bulks.collect::<String>())
    };
    let used = clients.engine.memory_used();
    for key in ["l", "s"] {
        let mut slices = 1;
        let mut outcome = clients.ask(client, &["sort", key, "alpha"]);
        while outcome == SLICE {
            assert!(clients.engine.memory_used() < used + LONG as u64, "{key}");
            slices += 1;
            outcome = clients.turn(client);
        }
        assert!(slices >= 20, "{key} took {slices}");
        assert!(outcome == Ok(told(&sorted)), "{key}");
        assert_eq!(clients.ask(client, &["sort", key, "alpha", "store", "sorted"]), SLICE);
        assert_eq!(clients.finish(client), ":4\r\n");
        let outcome = clients.ask(client, &["lrange", "sorted", "0", "-1"]);
        assert!(outcome == Ok(told(&sorted)), "{key}");
        // It is no number, and no key has so long a name.
        let outcome = clients.ask(client, &["sort", key]);
        let error = outcome.unwrap_or_else(|_| clients.finish(client));
        assert!(error.starts_with("-ERR One or more scores"), "{error}");
        let outcome = clients.ask(client, &["sort", key, "by", "*", "get", "*"]);
        let reply = outcome.unwrap_or_else(|_| clients.finish(client));
        assert_eq!(reply, "*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n");
    }
}

#[test]
fn long_values_are_weights_and_are_told_and_stored_without_a_copy() {
    const LONG: usize = 1 << 20;
    let mut clients = Clients::new();
    let client = clients.connect();
    clients.ask(client, &words("rpush l 1 2 3")).unwrap();
    for (number, last) in [("1", "c"), ("2", "a"), ("3", "b")] {
        let value = "x".repeat(LONG) + last;
        assert!(clients.ask_large(client, &["set", &format!("w:{number}")], value.as_bytes()).is_ok());
        assert!(clients.ask_large(client, &["hset", &format!("h:{number}"), "f"], value.as_bytes()).is_ok());
        // A number ends where a NUL byte does.
        let value = number.to_owned() + "\0" + &value;
        assert!(clients.ask_large(client, &["set", &format!("n:{number}")], value.as_bytes()).is_ok());
    }
    let expected = |last: &str| format!("${}\r\n{}{last}\r\n", LONG + 1, "x".repeat(LONG));
    let in_order = format!("*3\r\n{}{}{}", expected("a"), expected("b"), expected("c"));
    for request in ["sort l by w:* alpha get w:*", "sort l by h:*->f alpha get h:*->f"] {
        assert_eq!(clients.ask(client, &words(request)), SLICE, "{request}");
        assert!(clients.finish(client) == in_order, "{request}");
        assert_eq!(clients.ask(client, &words(&format!("{request} store t"))), SLICE);
        assert_eq!(clients.finish(client), ":3\r\n");
        assert!(clients.ask(client, &words("lrange t 0 -1")) == Ok(in_order.clone()), "{request}");
    }
    let outcome = clients.ask(client, &words("sort l by n:* desc"));
    let reply = outcome.unwrap_or_else(|_| clients.finish(client));
    assert_eq!(elements(&reply), ["3", "2", "1"]);
}

#[test]
fn no_text_is_taken_for_a_number_that_is_longer_than_a_key() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let refused = "-ERR One or more scores can't be converted into double\r\n";
    for (bytes, reply) in [(65_535, "*1\r\n$1\r\n3\r\n"), (65_536, refused)] {
        let one = "0".repeat(bytes - 1) + "1";
        clients.ask(client, &["del", "l"]).unwrap();
        assert_eq!(clients.ask(client, &["rpush", "l", "3", &one]), Ok(":2\r\n".to_owned()));
        let outcome = clients.ask(client, &words("sort l limit 1 1"));
        assert_eq!(outcome.unwrap_or_else(|_| clients.finish(client)), reply, "{bytes}");
    }
}
