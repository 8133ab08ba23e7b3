//! Requests of very many arguments that are no keys: they take slices and answer as short ones.

use super::*;

/// `head` and so many times `tail`, in slices; the reply.
fn of_many(clients: &mut Clients, client: ClientId, head: &str, tail: &str, times: usize) -> String {
    let request: Vec<&str> = words(head).into_iter().chain((0..times).flat_map(|_| words(tail))).collect();
    assert_eq!(clients.ask(client, &request), SLICE, "{head} {tail} ...");
    assert_eq!(clients.turn(client), SLICE, "{head} {tail} ...");
    clients.finish(client)
}

#[test]
fn the_commands_that_a_request_names_are_told_in_slices() {
    let mut clients = Clients::new();
    let client = clients.connect();
    for protocol in ["HELLO 2", "HELLO 3"] {
        clients.ask(client, &words(protocol)).unwrap();
        for command in ["COMMAND INFO", "COMMAND DOCS"] {
            let short = clients.ask(client, &words(&format!("{command} get nosuch config|get"))).unwrap();
            let (header, told) = short.split_once("\r\n").unwrap();
            let told_of: usize = header[1..].parse().unwrap();
            let long = of_many(&mut clients, client, command, "get nosuch config|get", 500);
            assert_eq!(long, format!("{}{}\r\n{}", &header[..1], 500 * told_of, told.repeat(500)));
        }
    }
    // The names are few, and what is to be told of them is long.
    let request: Vec<&str> = words("COMMAND DOCS").into_iter().chain(["client"; 20]).collect();
    assert_eq!(clients.ask(client, &request), SLICE);
    let long = clients.finish(client);
    let short = clients.ask(client, &words("COMMAND DOCS client")).unwrap();
    assert_eq!(long.len() - "%20\r\n".len(), 20 * (short.len() - "%1\r\n".len()));
}

#[test]
fn all_commands_are_told_of_in_slices() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let names: Vec<&str> = crate::commands::all().map(|spec| spec.name).collect();
    for protocol in ["HELLO 2", "HELLO 3"] {
        clients.ask(client, &words(protocol)).unwrap();
        for (all, some) in
            [("COMMAND", "COMMAND INFO"), ("COMMAND INFO", "COMMAND INFO"), ("COMMAND DOCS", "COMMAND DOCS")]
        {
            let mut slices = 1;
            let mut outcome = clients.ask(client, &words(all));
            while outcome == SLICE {
                slices += 1;
                outcome = clients.turn(client);
            }
            assert!(slices > names.len() / 32, "{all} took {slices} slices");
            let request: Vec<&str> = words(some).into_iter().chain(names.iter().copied()).collect();
            assert_eq!(clients.ask(client, &request), SLICE);
            assert!(outcome.unwrap() == clients.finish(client), "{all}");
        }
    }
}

#[test]
fn settings_are_looked_for_in_slices() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let short = clients.ask(client, &words("CONFIG GET nosuch *policy* MaxMemory maxmemory")).unwrap();
    assert!(short.starts_with("*4\r\n") && short.contains("MaxMemory"), "{short}");
    let long = of_many(&mut clients, client, "CONFIG GET", "nosuch *policy* MaxMemory maxmemory", 1000);
    assert_eq!(long, short);
}

#[test]
fn sections_of_info_are_named_in_slices() {
    let mut clients = Clients::new();
    let client = clients.connect();
    let short = clients.ask(client, &words("INFO nosuch replication CLUSTER")).unwrap();
    assert!(short.contains("# Replication") && short.contains("# Cluster") && !short.contains("# Server"), "{short}");
    let long = of_many(&mut clients, client, "INFO", "nosuch CLUSTER replication", 2000);
    assert_eq!(long, short);
}

#[test]
fn the_keys_of_a_request_are_told_in_slices() {
    let mut clients = Clients::new();
    let client = clients.connect();
    for command in ["COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS"] {
        for (few, head, tail) in [
            ("MSET k value", "MSET", "k value"),
            ("ZUNION 1 k AGGREGATE SUM", "ZUNION 2000", "k"),
            ("UNLINK k", "UNLINK", "k"),
        ] {
            let short = clients.ask(client, &words(&format!("{command} {few}"))).unwrap();
            let long = of_many(&mut clients, client, &format!("{command} {head}"), tail, 2000);
            assert_eq!(long, short.strip_prefix("*1\r\n").unwrap().repeat(2000).replacen("", "*2000\r\n", 1));
        }
        // Of two specifications.
        let short = clients.ask(client, &words(&format!("{command} SUNIONSTORE k k"))).unwrap();
        let long = of_many(&mut clients, client, &format!("{command} SUNIONSTORE k"), "k", 2000);
        let (_, last) = short.split_at(short.rfind("$1\r\nk\r\n").unwrap());
        assert!(long.starts_with("*2001\r\n") && long.ends_with(last), "{command}");
        assert_eq!(long.matches("k\r\n").count(), 2001);
    }
    let request: Vec<&str> = words("COMMAND GETKEYS ZUNION x").into_iter().chain(["k"; 5000]).collect();
    assert_eq!(clients.ask(client, &request), ok("-ERR Invalid arguments specified for command\r\n"));
}
