//! What is sent to clients by others: messages to very many, and what comes between the slices of a long command.

use super::*;
use crate::engine::pubsub::Message;

impl Clients {
    /// What was sent to a client.
    fn sent(&mut self, client: ClientId) -> String {
        let letters = self.engine.outbox.take(client).map_or(Vec::new(), |letters| letters.to_vec());
        letters.into_iter().map(char::from).collect()
    }

    fn subscribers(&mut self, count: usize, command: &str, name: &str) -> Vec<ClientId> {
        let clients: Vec<ClientId> = (0..count).map(|_| self.connect()).collect();
        for &client in &clients {
            self.ask(client, &[command, name]).expect("a short request");
        }
        clients
    }
}

fn message(channel: &str, text: &str) -> String {
    format!("*3\r\n$7\r\nmessage\r\n${}\r\n{channel}\r\n${}\r\n{text}\r\n", channel.len(), text.len())
}

fn confirmed(word: &str, name: &str, count: usize) -> String {
    format!("*3\r\n${}\r\n{word}\r\n${}\r\n{name}\r\n:{count}\r\n", word.len(), name.len())
}

#[test]
fn a_message_to_very_many_goes_out_in_slices_and_says_how_many_have_it() {
    let mut clients = Clients::new();
    let subscribers = clients.subscribers(1000, "subscribe", "c");
    let publisher = clients.connect();
    assert_eq!(clients.ask(publisher, &["publish", "c", "one"]), Err(Pause::Slice));
    let reached = subscribers.iter().filter(|&&client| clients.engine.outbox.take(client).is_some()).count();
    assert!((1..500).contains(&reached), "{reached} have it after a slice");
    assert_eq!(clients.finish(publisher), ":1000\r\n");
    let rest = subscribers.iter().filter(|&&client| clients.engine.outbox.take(client).is_some()).count();
    assert_eq!(reached + rest, 1000);
}

#[test]
fn later_messages_do_not_overtake() {
    let mut clients = Clients::new();
    let many = clients.subscribers(600, "subscribe", "c");
    let last = *many.last().expect("there are many");
    clients.ask(last, &["subscribe", "d"]).expect("a short request");
    let (one, two) = (clients.connect(), clients.connect());
    assert_eq!(clients.ask(one, &["publish", "c", "first"]), Err(Pause::Slice));
    assert_eq!(clients.ask(two, &["publish", "d", "second"]), Err(Pause::Slice));
    let replies = clients.settle();
    assert_eq!((&replies[&one][..], &replies[&two][..]), (":600\r\n", ":1\r\n"));
    assert_eq!(clients.sent(last), message("c", "first") + &message("d", "second"));
}

#[test]
fn what_was_published_before_stands_before_the_end_of_a_subscription_and_not_behind_its_begin() {
    let mut clients = Clients::new();
    let many = clients.subscribers(600, "subscribe", "c");
    let last = *many.last().expect("there are many");
    let late = clients.connect();
    let publisher = clients.connect();
    assert_eq!(clients.ask(publisher, &["publish", "c", "x"]), Err(Pause::Slice));
    assert_eq!(clients.ask(late, &["subscribe", "c"]), Ok(confirmed("subscribe", "c", 1)));
    assert_eq!(clients.ask(last, &["unsubscribe"]), Err(Pause::Slice), "it waits for the message");
    let replies = clients.settle();
    assert_eq!(replies[&publisher], ":600\r\n");
    assert_eq!(replies[&last], message("c", "x") + &confirmed("unsubscribe", "c", 0));
    assert_eq!(clients.sent(late), "", "it was published before");
}

#[test]
fn who_goes_is_not_waited_for_and_not_counted() {
    let mut clients = Clients::new();
    let many = clients.subscribers(600, "psubscribe", "c*");
    let publisher = clients.connect();
    assert_eq!(clients.ask(publisher, &["publish", "cc", "x"]), Err(Pause::Slice));
    for &client in &many[300..] {
        clients.engine.disconnect(client);
    }
    assert_eq!(clients.finish(publisher), ":300\r\n");
    let asker = clients.connect();
    assert_eq!(clients.ask(asker, &["pubsub", "numpat"]), Ok(":1\r\n".to_owned()));
    for &client in &many[..300] {
        clients.engine.disconnect(client);
    }
    assert_eq!(clients.ask(asker, &["pubsub", "numpat"]), Ok(":0\r\n".to_owned()));
}

#[test]
fn a_publisher_that_goes_leaves_its_message_to_the_job() {
    let mut clients = Clients::new();
    let many = clients.subscribers(600, "subscribe", "c");
    let publisher = clients.connect();
    assert_eq!(clients.ask(publisher, &["publish", "c", "x"]), Err(Pause::Slice));
    clients.under_way.remove(&publisher);
    clients.engine.disconnect(publisher);
    while clients.engine.run_jobs(false) {}
    for client in many {
        assert_eq!(clients.sent(client), message("c", "x"));
    }
    assert!(clients.engine.pubsub.is_idle());
}

#[test]
fn many_subscriptions_begin_and_end_in_slices_with_messages_in_their_place() {
    let mut clients = Clients::new();
    let (client, publisher) = (clients.connect(), clients.connect());
    let names: Vec<String> = (0..1000).map(|number| format!("c{number:03}")).collect();
    let request: Vec<&str> = std::iter::once("subscribe").chain(names.iter().map(String::as_str)).collect();
    assert_eq!(clients.ask(client, &request), Err(Pause::Slice));
    let all: String = names.iter().enumerate().map(|(at, name)| confirmed("subscribe", name, at + 1)).collect();
    assert_eq!(clients.finish(client), all);
    assert_eq!(clients.ask(client, &["unsubscribe"]), Err(Pause::Slice));
    // Of a channel that is still subscribed to, and of one that is not any more.
    assert_eq!(clients.ask(publisher, &["publish", "c999", "x"]), Ok(":1\r\n".to_owned()));
    assert_eq!(clients.ask(publisher, &["publish", "c000", "y"]), Ok(":0\r\n".to_owned()));
    let reply = clients.finish(client);
    let (before, behind) = reply.split_once(&message("c999", "x")).expect("the message is there");
    assert!(!before.contains("c999") && behind.ends_with(&confirmed("unsubscribe", "c999", 0)));
    assert_eq!(clients.sent(client), "");
    let asker = clients.connect();
    assert_eq!(clients.ask(asker, &["pubsub", "channels"]), Ok("*0\r\n".to_owned()));
}

#[test]
fn a_client_with_very_many_subscriptions_goes_in_steps_and_counts_no_more() {
    let mut clients = Clients::new();
    let (client, other) = (clients.connect(), clients.connect());
    for number in 0..2000 {
        clients.engine.subscribe(client, crate::engine::pubsub::Kind::Channel, format!("c{number:04}").as_bytes());
    }
    clients.ask(other, &["subscribe", "c1999"]).expect("a short request");
    clients.engine.disconnect(client);
    assert_eq!(clients.engine.pubsub.clients(), 1);
    let asker = clients.connect();
    let numsub = clients.ask(asker, &["pubsub", "numsub", "c1998", "c1999"]).expect("a short request");
    assert_eq!(numsub, "*4\r\n$5\r\nc1998\r\n:0\r\n$5\r\nc1999\r\n:1\r\n");
    let one = "*1\r\n$5\r\nc1999\r\n";
    assert_eq!(clients.ask(asker, &["pubsub", "channels"]), Err(Pause::Slice));
    assert_eq!(clients.finish(asker), one);
    while clients.engine.run_jobs(false) {}
    assert_eq!(clients.ask(asker, &["pubsub", "channels"]), Ok(one.to_owned()));
    assert!(!clients.engine.pubsub.in_debt());
}

#[test]
fn a_large_message_is_shared_by_its_receivers() {
    let mut clients = Clients::new();
    let subscribers = clients.subscribers(20, "subscribe", "c");
    let publisher = clients.connect();
    let text = "x".repeat(3 << 20);
    let before = clients.engine.memory_used();
    let reply = clients.ask_large(publisher, &["publish", "c"], text.as_bytes());
    assert_eq!(reply, Ok(":20\r\n".to_owned()));
    assert!(clients.engine.memory_used() - before < 2 * text.len() as u64, "the pages are counted once");
    for client in subscribers {
        assert!(clients.sent(client) == message("c", &text));
    }
}

#[test]
fn a_push_waits_until_a_sliced_reply_is_whole() {
    let mut clients = Clients::new();
    let (client, other) = (clients.connect(), clients.connect());
    clients.ask(client, &["hello", "3"]).expect("a short request");
    clients.ask(client, &["subscribe", "c"]).expect("a short request");
    let keys: Vec<String> = (0..3000).map(|number| format!("k{number}")).collect();
    let request: Vec<&str> = std::iter::once("mget").chain(keys.iter().map(String::as_str)).collect();
    assert_eq!(clients.ask(client, &request), Err(Pause::Slice));
    assert_eq!(clients.ask(other, &["publish", "c", "x"]), Ok(":1\r\n".to_owned()));
    let waiting = clients.engine.outbox.take(client).expect("it is in the outbox");
    assert!(clients.engine.has_task(client));
    clients.engine.outbox.write(client, crate::proto::Protocol::Resp3, |reply| reply.append(waiting));
    let request = clients.under_way.get_mut(&client).expect("it is under way");
    // As the connection does: what is in the outbox stays there meanwhile.
    loop {
        let OwnedRequest { bytes, batch, index } = &request.request;
        let executed = execute(&mut clients.engine, client, batch, *index, bytes, &mut request.reply);
        if executed.pause.is_none() {
            break;
        }
    }
    let reply = String::from_utf8(request.reply.to_vec()).expect("text");
    let nulls = "_\r\n".repeat(3000);
    assert_eq!(reply, format!("*3000\r\n{nulls}>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"));
}

#[test]
fn very_many_patterns_are_looked_at_in_slices_and_few_of_them() {
    let mut clients = Clients::new();
    let client = clients.connect();
    for number in 0..5000 {
        let kind = crate::engine::pubsub::Kind::Pattern;
        clients.engine.subscribe(client, kind, format!("user:{number}:*").as_bytes());
        clients.engine.subscribe(client, kind, format!("*:{number}").as_bytes());
    }
    let publisher = clients.connect();
    assert_eq!(clients.ask(publisher, &["publish", "user:77:x:88", "m"]), Err(Pause::Slice));
    assert_eq!(clients.finish(publisher), ":2\r\n");
    while clients.ask(client, &["punsubscribe"]).is_err() {
        clients.finish(client);
    }
    clients.engine.subscribe(client, crate::engine::pubsub::Kind::Pattern, b"user:77:*");
    assert_eq!(clients.ask(publisher, &["publish", "user:77:x:88", "m"]), Ok(":1\r\n".to_owned()));
}

#[test]
fn events_faster_than_they_go_out_make_their_client_wait() {
    let mut clients = Clients::new();
    let setter = clients.connect();
    clients.ask(setter, &["config", "set", "notify-keyspace-events", "KEA"]).expect("a short request");
    let many = clients.subscribers(300, "psubscribe", "*");
    let mut waited = false;
    let bystander = clients.connect();
    for number in 0..400 {
        match clients.ask(setter, &["set", "k", &number.to_string()]) {
            Ok(_) => {}
            Err(pause) => {
                assert_eq!(pause, Pause::Slice);
                waited = true;
                assert!(clients.ask(bystander, &["get", "k"]).is_ok(), "who makes none does not wait");
                clients.finish(setter);
            }
        }
    }
    assert!(waited, "the backlog is bounded");
    while clients.engine.run_jobs(false) {}
    for client in many {
        assert_eq!(clients.sent(client).matches("pmessage").count(), 800);
    }
}

#[test]
fn keys_of_a_request_of_very_many_are_remembered_as_it_comes_to_them() {
    let mut clients = Clients::new();
    let (client, other) = (clients.connect(), clients.connect());
    clients.ask(client, &["hello", "3"]).expect("a short request");
    clients.ask(client, &["client", "tracking", "on"]).expect("a short request");
    let keys: Vec<String> = (0..3000).map(|number| format!("k{number}")).collect();
    let request: Vec<&str> = std::iter::once("mget").chain(keys.iter().map(String::as_str)).collect();
    assert_eq!(clients.ask(client, &request), Err(Pause::Slice));
    clients.finish(client);
    assert_eq!(clients.engine.tracking.keys(), 3000);
    clients.ask(other, &["set", "k2999", "v"]).expect("a short request");
    assert_eq!(clients.sent(client), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$5\r\nk2999\r\n");
}

#[test]
fn a_client_beyond_its_limit_is_sent_nothing_any_more() {
    let mut clients = Clients::new();
    let subscriber = clients.subscribers(1, "subscribe", "c")[0];
    let admin = clients.connect();
    let setting = ["config", "set", "client-output-buffer-limit", "pubsub 10000 4000 2"];
    clients.ask(admin, &setting).expect("a short request");
    let line = |clients: &mut Clients| {
        let id = subscriber.0.to_string();
        clients.ask(admin, &["client", "list", "id", &id]).expect("a short request")
    };
    // The first 16 KiB do not count.
    let half = Message::copy_of(&[b'x'; 16 * 1024 + 5000]);
    let channel = b"c";
    // Over the soft limit, but not for long enough; then under it again.
    clients.engine.publish(false, channel, || half.clone());
    clients.engine.set_now(at_second(1));
    while clients.engine.run_jobs(false) {}
    assert_eq!(clients.engine.outbox.take_closing(), []);
    clients.sent(subscriber);
    clients.engine.note_io(subscriber, 0, 5000, 0, &Reply::new());
    clients.engine.set_now(at_second(10));
    while clients.engine.run_jobs(false) {}
    assert_eq!(clients.engine.outbox.take_closing(), []);
    // For too long.
    clients.engine.publish(false, channel, || half.clone());
    assert!(line(&mut clients).contains(" flags=P "));
    clients.engine.set_now(at_second(13));
    while clients.engine.run_jobs(false) {}
    assert_eq!(clients.engine.outbox.take_closing(), [subscriber]);
    assert!(line(&mut clients).contains(" flags=PA "));
    clients.engine.publish(false, channel, || half.clone());
    assert!(clients.engine.outbox.take(subscriber).is_none(), "it takes nothing any more");
    clients.engine.disconnect(subscriber);

    // At the hard limit, at once.
    let subscriber = clients.subscribers(1, "subscribe", "c")[0];
    clients.engine.publish(false, channel, || half.clone());
    clients.engine.publish(false, channel, || half.clone());
    assert_eq!(clients.engine.outbox.take_closing(), [subscriber]);
    assert_eq!(clients.engine.stats.output_limit_disconnections, 2);
}

#[test]
fn very_many_prefixes_are_asked_for_and_given_up_in_slices() {
    let mut clients = Clients::new();
    let (client, other) = (clients.connect(), clients.connect());
    clients.ask(client, &["hello", "3"]).expect("a short request");
    let ask = |clients: &mut Clients, client| {
        let mut request: Vec<String> = ["client", "tracking", "on", "bcast"].map(str::to_owned).to_vec();
        request.extend((0..1000).flat_map(|number| ["prefix".to_owned(), format!("p{number:03}")]));
        assert_eq!(clients.ask(client, &request), Err(Pause::Slice));
        assert_eq!(clients.finish(client), OK);
        assert_eq!(clients.engine.tracking.prefixes(), 1000);
    };
    ask(&mut clients, client);
    clients.ask(other, &["mset", "p999x", "v", "none", "v"]).expect("a short request");
    assert_eq!(clients.sent(client), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$5\r\np999x\r\n");
    assert_eq!(clients.ask(client, &["client", "tracking", "off"]), Err(Pause::Slice));
    assert_eq!(clients.finish(client), OK);
    assert_eq!((clients.engine.tracking.prefixes(), clients.engine.tracking.clients()), (0, 0));
    ask(&mut clients, client);
    assert_eq!(clients.ask(client, &["reset"]), Err(Pause::Slice));
    assert_eq!(clients.finish(client), "+RESET\r\n");
    ask(&mut clients, client);
    clients.engine.disconnect(client);
    assert_eq!(clients.engine.tracking.clients(), 0);
    while clients.engine.run_jobs(false) {}
    assert_eq!(clients.engine.tracking.prefixes(), 0);
}
