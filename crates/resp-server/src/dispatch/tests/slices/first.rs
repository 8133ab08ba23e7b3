//! Requests of very many keys that take from the first which has something.

use super::*;

/// `LMPOP 2000 key:0 ... key:1999 after`
fn counted(command: &str, after: &str) -> Vec<String> {
    let mut request = of_keys(command, 0..MANY);
    request.insert(1, MANY.to_string());
    request.extend(after.split(' ').map(str::to_owned));
    request
}

#[test]
fn the_first_of_very_many_keys_is_looked_for_in_slices() {
    let mut clients = Clients::new();
    let (client, other, last) = (clients.connect(), clients.connect(), name(MANY - 1));
    for (command, after, push) in [
        ("lmpop", "left count 2", &["rpush", &last, "a", "b", "c"][..]),
        ("zmpop", "min count 2", &["zadd", &last, "1", "a", "2", "b", "3", "c"]),
    ] {
        assert_eq!(clients.ask(client, &counted(command, after)), SLICE);
        assert_eq!(clients.finish(client), "*-1\r\n", "{command}");
        clients.ask(other, push).unwrap();
        assert_eq!(clients.ask(client, &counted(command, after)), SLICE);
        // What it has looked at is held, and what it has not come to is not.
        assert_eq!(clients.ask(other, &["exists", &last]), ok(":1\r\n"));
        assert_eq!(clients.ask(other, &["exists", &name(0)]), WAIT);
        let mut slices = 1;
        let reply = loop {
            slices += 1;
            if let Ok(reply) = clients.turn(client) {
                break reply;
            }
        };
        assert!(slices >= MANY / KEYS_PER_SLICE, "{slices}");
        assert!(reply.starts_with("*2\r\n$8\r\nkey:1999\r\n*2\r\n"), "{reply}");
        assert_eq!(clients.turn(other), ok(":0\r\n"));
        // A key of another type ends it, if it comes to it.
        clients.ask(other, &["set", &name(1500), "x"]).unwrap();
        assert_eq!(clients.ask(client, &counted(command, after)), SLICE);
        let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        assert_eq!(clients.finish(client), wrong_type);
        clients.ask(other, &["del", &name(1500), &last]).unwrap();
        assert!(clients.engine.holds.is_idle());
    }
}

#[test]
fn many_elements_of_the_first_of_very_many_keys_are_taken_in_slices_too() {
    const ELEMENTS: usize = 5000;
    let mut clients = Clients::new();
    let (client, other, last) = (clients.connect(), clients.connect(), name(MANY - 1));
    let mut push = vec!["rpush".to_owned(), last.clone()];
    push.extend((0..ELEMENTS).map(|at| format!("{at:0>200}")));
    clients.ask(other, &push).unwrap_err();
    clients.finish(other);
    assert_eq!(clients.ask(client, &counted("lmpop", "left count 4999")), SLICE);
    let mut seen_popping = false;
    let reply = loop {
        if let Ok(reply) = clients.turn(client) {
            break reply;
        }
        seen_popping |= clients.engine.task_reply_bytes() > 0;
    };
    assert!(seen_popping);
    assert!(reply.starts_with("*2\r\n$8\r\nkey:1999\r\n*4999\r\n$200\r\n"));
    assert_eq!(clients.ask(other, &["llen", &last]), ok(":1\r\n"));
    // Who goes in the middle has asked all the same.
    assert_eq!(clients.ask(client, &counted("lmpop", "left")), SLICE);
    clients.leave(client);
    clients.run_jobs();
    assert_eq!(clients.ask(other, &["exists", &last]), ok(":0\r\n"));
    assert!(clients.engine.holds.is_idle());
}
