//! Requests in, replies out, in process and in virtual time: every command of the connection and server families, every
//! gate, in both protocols.

use crate::engine::{ClientId, Engine, Now, Peer, Settings, ThreadTime};
use crate::proto::{Batch, Reply, Span};
use crate::text::split;

use super::{Executed, execute};

/// Several clients, and commands of many slices.
mod slices;

/// A server with clients.
struct Server {
    engine: Engine,
    client: ClientId,
}

impl Server {
    /// A server with the given lines of configuration, and one client.
    fn new(lines: &[&str]) -> Server {
        let mut settings = Settings::default();
        for line in lines {
            settings.apply_line(line.as_bytes()).unwrap();
        }
        let mut engine = Engine::new(settings, [1, 2], at_second(0));
        let client = engine.connect(peer(1)).unwrap();
        Server { engine, client }
    }

    /// Another client; requests come from it from now on.
    fn connect(&mut self) -> ClientId {
        self.client = self.engine.connect(peer(self.client.0 + 1)).unwrap();
        self.client
    }

    /// The bytes of the reply to one request, whose words are quoted as in a configuration file.
    fn ask(&mut self, request: &str) -> String {
        let (reply, _) = self.batch(&[request]);
        reply
    }

    /// The bytes of the replies to many requests that arrive together.
    fn batch(&mut self, requests: &[&str]) -> (String, Executed) {
        let mut bytes = Vec::new();
        let mut batch = Batch::new();
        for request in requests {
            for word in split::split(request.as_bytes()).unwrap() {
                batch.push_arg(Span { start: bytes.len() as u32, len: word.len() as u32 });
                bytes.extend(word);
            }
            batch.end_request();
        }
        let mut reply = Reply::new();
        let executed = execute(&mut self.engine, self.client, &batch, 0, &bytes, &mut reply);
        (String::from_utf8_lossy(&reply.to_vec()).into_owned(), executed)
    }

    #[track_caller]
    fn check(&mut self, table: &[(&str, &str)]) {
        for (request, reply) in table {
            assert_eq!(self.ask(request), *reply, "{request}");
        }
    }

    /// A table of requests and the errors that they get.
    #[track_caller]
    fn check_errors(&mut self, table: &[(&str, &str)]) {
        for (request, error) in table {
            assert_eq!(self.ask(request), format!("-{error}\r\n"), "{request}");
        }
    }
}

fn peer(port: u64) -> Peer {
    Peer { addr: format!("127.0.0.1:{port}"), laddr: "127.0.0.1:6379".to_owned(), fd: 8, unix: false }
}

fn at_second(second: u64) -> Now {
    Now { unix_us: 1_700_000_000_123_456 + second as i64 * 1_000_000, monotonic_us: second * 1_000_000 }
}

const OK: &str = "+OK\r\n";
const NOAUTH: &str = "NOAUTH Authentication required.";
const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";
const SYNTAX: &str = "ERR syntax error";

#[test]
fn what_does_not_exist_is_refused_in_the_words_of_redis() {
    let long = "x".repeat(200);
    let cut = "x".repeat(128);
    Server::new(&[]).check_errors(&[
        ("foo", "ERR unknown command 'foo', with args beginning with: "),
        ("FOO a \"b c\"", "ERR unknown command 'FOO', with args beginning with: 'a' 'b c' "),
        (&long, &format!("ERR unknown command '{cut}', with args beginning with: ")),
        (&format!("foo {long} b"), &format!("ERR unknown command 'foo', with args beginning with: '{cut}' ")),
        // The quotes and the blank count: 126 bytes are used, so two are left.
        (
            &format!("foo {} abc d", &long[..123]),
            &format!("ERR unknown command 'foo', with args beginning with: '{}' 'ab' ", &long[..123]),
        ),
        ("\"a\\x00b\" \"c\\x00d\"", "ERR unknown command 'a', with args beginning with: 'c' "),
        ("\"get\\nx\"", "ERR unknown command 'get x', with args beginning with: "),
        ("client foo", "ERR unknown subcommand 'foo'. Try CLIENT HELP."),
        ("client FOO bar", "ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
        ("config foo", "ERR unknown subcommand 'foo'. Try CONFIG HELP."),
        ("command foo", "ERR unknown subcommand 'foo'. Try COMMAND HELP."),
    ]);
}

#[test]
fn a_wrong_number_of_arguments_is_refused_with_the_full_name() {
    let wrong = |name: &str| format!("ERR wrong number of arguments for '{name}' command");
    Server::new(&[]).check_errors(&[
        ("get", &wrong("get")),
        ("get a b", &wrong("get")),
        ("PING a b", &wrong("ping")),
        ("echo", &wrong("echo")),
        ("client", &wrong("client")),
        ("config", &wrong("config")),
        ("memory", &wrong("memory")),
        ("client setname", &wrong("client|setname")),
        ("CLIENT GETNAME x", &wrong("client|getname")),
        ("client help x", &wrong("client|help")),
        ("config get", &wrong("config|get")),
        ("config set port", &wrong("config|set")),
        ("config resetstat x", &wrong("config|resetstat")),
        ("command count x", &wrong("command|count")),
        ("command getkeys", &wrong("command|getkeys")),
        ("time x", &wrong("time")),
        ("reset x", &wrong("reset")),
        ("select", &wrong("select")),
        ("auth", &wrong("auth")),
        ("memory usage", &wrong("memory|usage")),
    ]);
}

/// A longest argument for each `*` of a request, or one byte more.
fn with_long(request: &str, bytes: usize) -> String {
    request.replace('*', &"x".repeat(bytes))
}

#[test]
fn an_argument_that_is_no_value_key_or_name_is_at_most_128_kib_long() {
    let longest = crate::commands::ARGUMENT_BYTES_MAX;
    let too_long = "-ERR argument is too long (131072 bytes at most)\r\n";
    for request in [
        "config get *",
        "config set * x",
        "config set maxmemory *",
        "client setname *",
        "client setinfo lib-name *",
        "client list id *",
        "hello 3 setname *",
        "auth *",
        "select *",
        "info *",
        "command info *",
        "command docs get *",
        "command getkeys set * v",
        "slowlog get *",
        "keys *",
        "scan *",
        "scan 0 match *",
        "hscan k 0 match *",
        "sscan k *",
        "expire k *",
        "set k v ex *",
        "getrange k * 1",
        "bitfield k set * 0 1",
        "lcs a b *",
        "lrange k * 1",
        "lpos k v rank *",
        "linsert k * v v",
        "lmpop * k left",
        "sort k by *",
        "sort k get *",
        "publish * m",
        "spublish * m",
        "subscribe c *",
        "psubscribe *",
        "ssubscribe *",
        "unsubscribe *",
        "pubsub channels *",
        "debug object k *",
    ] {
        let mut server = Server::new(&[]);
        assert_ne!(server.ask(&with_long(request, longest)), too_long, "{request}");
        server.connect();
        assert_eq!(server.ask(&with_long(request, longest + 1)), too_long, "{request}");
    }
}

#[test]
fn values_keys_and_names_may_be_long() {
    let mut server = Server::new(&[]);
    let long = |request: &str| with_long(request, crate::commands::ARGUMENT_BYTES_MAX + 1);
    for (request, reply) in [
        ("get *", "$-1\r\n"),
        ("del a *", ":0\r\n"),
        ("object encoding *", "$-1\r\n"),
        ("sort k store *", ":0\r\n"),
        ("set * v", "-ERR key is too long (65535 bytes at most)\r\n"),
        ("mset k * l *", OK),
        // Nobody can wait for it, and what another key has is left there.
        ("blpop * q 1", "-ERR key is too long (65535 bytes at most)\r\n"),
        ("blmpop 0 2 q * left", "-ERR key is too long (65535 bytes at most)\r\n"),
        ("blmove q * left left 0", "-ERR key is too long (65535 bytes at most)\r\n"),
        ("bzpopmin * z 1", "-ERR key is too long (65535 bytes at most)\r\n"),
        ("set k *", OK),
        ("rpush q a *", ":2\r\n"),
        ("lset q 0 *", OK),
        ("lpos q *", ":0\r\n"),
        ("linsert q before * *", ":3\r\n"),
        ("lrem q 0 *", ":3\r\n"),
        ("sadd s *", ":1\r\n"),
        ("zadd z 1 *", ":1\r\n"),
        ("hset h * *", ":1\r\n"),
        ("publish c *", ":0\r\n"),
    ] {
        assert_eq!(server.ask(&long(request)), reply, "{request}");
    }
    for request in ["blpop * 1", "blpop q * * 1", "brpoplpush nosuch * 1", "bzmpop 1 2 z * min"] {
        assert_eq!(
            server.ask(&with_long(request, 65_536)),
            "-ERR key is too long (65535 bytes at most)\r\n",
            "{request}"
        );
    }
    // Many that are long together only.
    let many = with_long("subscribe * a* b*", 60_000);
    assert_eq!(server.ask(&many).matches("subscribe").count(), 3);
}

#[test]
fn a_key_that_is_too_long_is_not_tracked_for_it_never_changes() {
    let mut server = Server::new(&[]);
    server.ask("hello 3");
    server.check(&[("client tracking on", OK), ("get k", "_\r\n")]);
    server.ask(&with_long("get *", crate::commands::ARGUMENT_BYTES_MAX + 1));
    assert!(server.ask("info stats").contains("tracking_total_keys:1\r\n"));
}

#[test]
fn a_request_with_an_argument_that_is_too_long_is_not_queued_and_ends_its_transaction() {
    let mut server = Server::new(&[]);
    let long = with_long("expire k *", crate::commands::ARGUMENT_BYTES_MAX + 1);
    let (reply, _) = server.batch(&["multi", "set k v", &long, "exec", "get k"]);
    assert_eq!(
        reply,
        "+OK\r\n+QUEUED\r\n-ERR argument is too long (131072 bytes at most)\r\n\
         -EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n"
    );
}

#[test]
fn a_client_must_show_the_password_before_anything_else() {
    let mut server = Server::new(&["requirepass secret"]);
    let hello = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
                 <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
    server.check_errors(&[
        ("ping", NOAUTH),
        ("get x", NOAUTH),
        ("command", NOAUTH),
        // What the request is comes before who asks.
        ("nosuch", "ERR unknown command 'nosuch', with args beginning with: "),
        ("set x", "ERR wrong number of arguments for 'set' command"),
        ("client foo", "ERR unknown subcommand 'foo'. Try CLIENT HELP."),
        ("hello", hello),
        ("hello 3", hello),
        ("auth wrong", WRONGPASS),
        ("auth default wrong", WRONGPASS),
        ("auth other secret", WRONGPASS),
        ("auth a b c", SYNTAX),
        ("hello 3 auth default wrong", WRONGPASS),
        ("ping", NOAUTH),
    ]);
    server.check(&[("auth secret", OK), ("ping", "+PONG\r\n"), ("reset", "+RESET\r\n")]);
    server.check_errors(&[("ping", NOAUTH)]);
    server.check(&[("auth default secret", OK), ("ping", "+PONG\r\n")]);
    server.connect();
    assert!(server.ask("hello 2 auth default secret").starts_with("*14\r\n"));
    server.check(&[("ping", "+PONG\r\n")]);
    server.connect();
    server.check(&[("quit", OK)]);
}

#[test]
fn a_password_set_later_concerns_those_who_come_later() {
    let mut server = Server::new(&[]);
    server.check_errors(&[
        (
            "auth x",
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration \
             is correct?",
        ),
        ("auth a b", WRONGPASS),
    ]);
    server.check(&[("auth default anything", OK), ("config set requirepass secret", OK), ("ping", "+PONG\r\n")]);
    server.connect();
    server.check_errors(&[("ping", NOAUTH)]);
}

#[test]
fn replies_that_a_client_does_not_read_are_few_before_it_has_authenticated() {
    let mut server = Server::new(&["requirepass secret"]);
    let (_, executed) = server.batch(&["ping"; 400]);
    assert!(!executed.cut, "{executed:?}");
    let (_, executed) = server.batch(&["ping"; 600]);
    assert!(executed.cut, "{executed:?}");
    server.connect();
    let mut requests = vec!["auth secret"];
    requests.extend(["get x"; 5000]);
    let (_, executed) = server.batch(&requests);
    assert!(!executed.cut, "{executed:?}");
}

#[test]
fn a_pipeline_sees_its_own_authentication() {
    let mut server = Server::new(&["requirepass secret"]);
    let (reply, executed) = server.batch(&["ping", "auth secret", "ping", "reset", "ping"]);
    assert_eq!(reply, format!("-{NOAUTH}\r\n+OK\r\n+PONG\r\n+RESET\r\n-{NOAUTH}\r\n"));
    assert_eq!(executed, Executed { requests: 5, close: false, cut: false, pause: None });
}

#[test]
fn writes_that_need_memory_are_refused_over_maxmemory() {
    let mut server = Server::new(&[]);
    server.check(&[("set k v", OK), ("config set maxmemory 1", OK)]);
    server.check_errors(&[
        ("set a b", OOM),
        ("incr n", OOM),
        ("set a", "ERR wrong number of arguments for 'set' command"),
    ]);
    server.check(&[("get k", "$1\r\nv\r\n"), ("del k", ":1\r\n"), ("config set maxmemory 0", OK), ("set a b", OK)]);
}

#[test]
fn the_commands_of_the_connection_answer_as_redis_does() {
    let mut server = Server::new(&[]);
    server.check(&[
        ("ping", "+PONG\r\n"),
        ("PiNg hello", "$5\r\nhello\r\n"),
        ("ping \"\"", "$0\r\n\r\n"),
        ("echo hello", "$5\r\nhello\r\n"),
        ("select 1", OK),
        ("select 15", OK),
        ("select 0", OK),
        ("client id", ":1\r\n"),
        ("client getname", "$-1\r\n"),
        ("client setname me", OK),
        ("client getname", "$2\r\nme\r\n"),
        ("client setname \"\"", OK),
        ("client getname", "$-1\r\n"),
        ("client setinfo lib-name lib", OK),
        ("client setinfo LIB-VER 1.2", OK),
        ("client no-evict on", OK),
        ("client no-touch ON", OK),
        ("client list type pubsub", "$0\r\n\r\n"),
        ("client list type slave", "$0\r\n\r\n"),
        ("client list id 99 -1", "$0\r\n\r\n"),
        ("reset", "+RESET\r\n"),
    ]);
    server.check_errors(&[
        ("select 16", "ERR DB index is out of range"),
        ("select -1", "ERR DB index is out of range"),
        ("select a", "ERR value is not an integer or out of range"),
        ("select 99999999999", "ERR value is out of range, value must between -2147483648 and 2147483647"),
        ("client setname \"a b\"", "ERR Client names cannot contain spaces, newlines or special characters."),
        ("client setinfo lib-name \"a b\"", "ERR lib-name cannot contain spaces, newlines or special characters."),
        ("client setinfo Foo bar", "ERR Unrecognized option 'Foo'"),
        ("client list type foo", "ERR Unknown client type 'foo'"),
        ("client list id a", "ERR Invalid client ID"),
        ("client list id", SYNTAX),
        ("client list foo", SYNTAX),
        ("client list type normal extra", SYNTAX),
        ("client no-evict foo", SYNTAX),
        ("client no-touch foo", SYNTAX),
    ]);
}

#[test]
fn clients_are_listed_in_the_order_in_which_they_came() {
    let mut server = Server::new(&[]);
    server.ask("client setname first");
    server.connect();
    server.check(&[("select 3", OK), ("hello 3 setname second", HELLO_3), ("client no-touch on", OK)]);
    server.engine.set_now(at_second(7));
    let list = server.ask("client list");
    let lines: Vec<&str> = list.split('\n').collect();
    assert!(lines[0].starts_with('='), "a verbatim string");
    assert!(
        lines[1]
            .starts_with("txt:id=1 addr=127.0.0.1:1 laddr=127.0.0.1:6379 fd=8 name=first age=7 idle=7 flags=N db=0 ")
    );
    assert!(
        lines[2].starts_with("id=2 addr=127.0.0.1:2 laddr=127.0.0.1:6379 fd=8 name=second age=7 idle=0 flags=T db=3 ")
    );
    assert!(lines[2].ends_with(" cmd=client|list user=default redir=-1 resp=3 lib-name= lib-ver="));
    assert_eq!(lines.len(), 5);
    assert_eq!(server.ask("client list id 2").matches("id=").count(), 1);
    assert!(server.ask("client info").contains("txt:id=2 "));
}

const HELLO_3: &str = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:2\r\n\
                       $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

#[test]
fn hello_chooses_the_protocol_at_once() {
    let mut server = Server::new(&[]);
    server.connect();
    server.check(&[
        ("hello 3", HELLO_3),
        ("hello", HELLO_3),
        ("client getname", "_\r\n"),
        ("config get port", "%1\r\n$4\r\nport\r\n$4\r\n6379\r\n"),
        ("reset", "+RESET\r\n"),
        ("client getname", "$-1\r\n"),
        ("config get port", "*2\r\n$4\r\nport\r\n$4\r\n6379\r\n"),
    ]);
    server.check_errors(&[
        ("hello a", "ERR Protocol version is not an integer or out of range"),
        ("hello 1", "NOPROTO unsupported protocol version"),
        ("hello 4 auth a b", "NOPROTO unsupported protocol version"),
        ("hello 3 auth", "ERR Syntax error in HELLO option 'auth'"),
        ("hello 3 auth a", "ERR Syntax error in HELLO option 'auth'"),
        ("hello 3 setname", "ERR Syntax error in HELLO option 'setname'"),
        ("hello 3 foo", "ERR Syntax error in HELLO option 'foo'"),
        ("hello 3 setname \"a b\"", "ERR Client names cannot contain spaces, newlines or special characters."),
        ("hello 3 auth a b", WRONGPASS),
    ]);
    assert_eq!(server.ask("client getname"), "$-1\r\n", "what failed changed nothing");
}

#[test]
fn after_quit_nothing_more_is_carried_out() {
    let mut server = Server::new(&[]);
    let (reply, executed) = server.batch(&["ping", "QUIT now", "ping"]);
    assert_eq!(reply, "+PONG\r\n+OK\r\n");
    assert_eq!(executed, Executed { requests: 2, close: true, cut: false, pause: None });
}

#[test]
fn a_request_that_a_browser_sends_closes_the_connection_without_a_word() {
    for line in ["POST / HTTP/1.1", "host: localhost"] {
        let (reply, executed) = Server::new(&[]).batch(&[line, "ping"]);
        assert_eq!(reply, "");
        assert_eq!(executed, Executed { requests: 1, close: true, cut: false, pause: None });
    }
}

#[test]
fn a_turn_ends_with_its_budget_and_goes_on_where_it_ended() {
    let mut server = Server::new(&[]);
    let (reply, executed) = server.batch(&vec!["ping"; 1500]);
    assert_eq!((reply.len(), executed.requests), (1024 * 7, 1024));

    let large = format!("set k {}", "x".repeat(100_000));
    let (_, executed) = server.batch(&[&large[..]; 10]);
    assert_eq!(executed.requests, 3, "256 KiB of requests are reached by the third");

    server.ask(&format!("set k {}", "x".repeat(30_000)));
    let (_, executed) = server.batch(&["get k"; 10]);
    assert_eq!(executed.requests, 3, "64 KiB of replies are reached by the third");
}

#[test]
fn settings_are_told_and_changed_as_redis_does() {
    let mut server = Server::new(&[]);
    server.check(&[
        ("config get save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"),
        ("config get appendonly", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n"),
        ("config get nosuch", "*0\r\n"),
        ("config get TIMEOUT tim* timeout", "*2\r\n$7\r\nTIMEOUT\r\n$1\r\n0\r\n"),
        (
            "config get max*clients databas?s",
            "*6\r\n$10\r\nmaxclients\r\n$5\r\n10000\r\n$17\r\nmaxmemory-clients\r\n$1\r\n0\r\n$9\r\ndatabases\r\n$2\r\n16\r\n",
        ),
        ("config set maxmemory 1GB timeout 5", OK),
        ("config get maxmemory timeout", "*4\r\n$9\r\nmaxmemory\r\n$10\r\n1073741824\r\n$7\r\ntimeout\r\n$1\r\n5\r\n"),
        ("config set save \"\"", OK),
        ("config set appendonly no", OK),
        ("config set maxmemory-policy noeviction", OK),
        ("config set target-utilisation 0.9 chunk-size-p 0.25", OK),
        ("config get target-utilisation", "*2\r\n$18\r\ntarget-utilisation\r\n$3\r\n0.9\r\n"),
    ]);
    let failed = |argument: &str, reason: &str| {
        format!("ERR CONFIG SET failed (possibly related to argument '{argument}') - {reason}")
    };
    let no_persistence = "persistence is not available in this version";
    server.check_errors(&[
        ("config set foo 1", "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
        ("config set timeout 7 foo 1", "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
        ("config set timeout 7 foo", SYNTAX),
        ("config set timeout 7 databases 3", &failed("databases", "can't set immutable config")),
        ("config set TCP-BACKLOG 1", &failed("TCP-BACKLOG", "can't set immutable config")),
        ("config set port 1", &failed("port", "it can only be changed at the start in this version")),
        ("config set timeout 7 maxmemory abc", &failed("maxmemory", "argument must be a memory value")),
        ("config set timeout 7 timeout 8", &failed("timeout", "duplicate parameter")),
        ("config set timeout -1", &failed("timeout", "argument must be between 0 and 2147483647 inclusive")),
        ("config set timeout x", &failed("timeout", "argument couldn't be parsed into an integer")),
        ("config set maxclients 0", &failed("maxclients", "argument must be between 1 and 4294967295 inclusive")),
        ("config set protected-mode maybe", &failed("protected-mode", "argument must be 'yes' or 'no'")),
        (
            "config set proto-max-bulk-len 1",
            &failed("proto-max-bulk-len", "argument must be between 1048576 and 9223372036854775807 inclusive"),
        ),
        ("config set save \"60 1\"", &failed("save", no_persistence)),
        ("config set appendonly yes", &failed("appendonly", no_persistence)),
        (
            "config set maxmemory-policy lru",
            &failed(
                "maxmemory-policy",
                "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, \
                 allkeys-lfu, allkeys-random, noeviction",
            ),
        ),
        (
            "config set notify-keyspace-events KEAy",
            &failed("notify-keyspace-events", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        ),
    ]);
    server.engine.host.clients_max = 20_000;
    server.check(&[("config set maxclients 20000", OK)]);
    server.check_errors(&[(
        "config set timeout 7 maxclients 20001",
        &failed(
            "maxclients",
            "The operating system is not able to handle the specified number of clients, try with 20000",
        ),
    )]);
    assert!(server.ask("config get timeout").ends_with("$1\r\n5\r\n"), "what failed changed nothing");
}

#[test]
fn info_tells_what_was_done_and_config_resetstat_forgets_it() {
    let mut server = Server::new(&[]);
    server.engine.host.clock_ns = {
        // Each reading is 1 us after the last.
        || {
            static NOW: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
            NOW.fetch_add(1000, std::sync::atomic::Ordering::Relaxed)
        }
    };
    server.batch(&["set k v", "get k", "get nothing", "get k", "set k", "incr k", "nosuch", "select 99"]);
    let info = server.ask("info everything");
    for line in [
        "redis_version:7.4.0\r\n",
        "server_name:evenkeel\r\n",
        "redis_mode:standalone\r\n",
        "connected_clients:1\r\n",
        "maxmemory_policy:noeviction\r\n",
        "loading:0\r\n",
        "role:master\r\n",
        "keyspace_hits:2\r\n",
        "keyspace_misses:1\r\n",
        "total_commands_processed:6\r\n",
        "total_error_replies:4\r\n",
        "errorstat_ERR:count=4\r\n",
        "db0:keys=1,expires=0,avg_ttl=0,subexpiry=0\r\n",
        "cmdstat_get:calls=3,",
        "cmdstat_set:calls=1,usec=0,usec_per_call=0.20,rejected_calls=1,failed_calls=0\r\n",
        "cmdstat_incr:calls=1,usec=0,usec_per_call=0.20,rejected_calls=0,failed_calls=1\r\n",
        "cmdstat_select:calls=1,usec=1,usec_per_call=1.00,rejected_calls=0,failed_calls=1\r\n",
    ] {
        assert!(info.contains(line), "{line} in {info}");
    }
    assert!(!server.ask("info").contains("Commandstats"));
    assert!(server.ask("info commandstats keyspace").contains("# Commandstats\r\n"));
    server.check(&[
        ("info nosuch", "$0\r\n\r\n"),
        ("INFO Cluster", "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n"),
        ("info cluster nosuch", "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n"),
        ("config resetstat", OK),
    ]);
    let info = server.ask("info all");
    assert!(info.contains("keyspace_hits:0\r\n") && !info.contains("cmdstat_get") && !info.contains("errorstat_"));
    assert!(info.contains("cmdstat_config|resetstat:calls=1,"));
    assert!(info.contains("db0:keys=1,"), "the data stays");
}

#[test]
fn shutdown_ends_the_server_unless_it_is_asked_for_what_it_cannot_do() {
    let mut server = Server::new(&[]);
    let save = "ERR persistence is not available in this version: use SHUTDOWN NOSAVE";
    server.check_errors(&[
        ("shutdown foo", SYNTAX),
        ("shutdown save nosave", SYNTAX),
        ("shutdown abort now", SYNTAX),
        ("shutdown nosave abort", SYNTAX),
        ("shutdown nosave foo", SYNTAX),
        ("shutdown abort", "ERR No shutdown in progress."),
        ("shutdown save", save),
        ("shutdown save force now", save),
    ]);
    assert!(!server.engine.shutdown);
    for request in ["shutdown", "shutdown nosave", "SHUTDOWN NOW FORCE NOSAVE"] {
        let mut server = Server::new(&[]);
        let (reply, executed) = server.batch(&[request, "set k v"]);
        assert_eq!((reply.as_str(), executed), ("", Executed { requests: 1, close: true, cut: false, pause: None }));
        assert!(server.engine.shutdown);
    }
}

#[test]
fn time_and_memory_are_told() {
    let mut server = Server::new(&[]);
    server.check(&[("time", "*2\r\n$10\r\n1700000000\r\n$6\r\n123456\r\n"), ("memory usage nothing", "$-1\r\n")]);
    server.ask("set k v");
    let small: u64 = server.ask("memory usage k samples 5")[1..].trim_end().parse().unwrap();
    server.ask(&format!("set k {}", "v".repeat(1001)));
    let large: u64 = server.ask("memory usage k")[1..].trim_end().parse().unwrap();
    assert!((1000..1010).contains(&(large - small)), "{small} {large}");
    server.check_errors(&[
        ("memory usage k samples", SYNTAX),
        ("memory usage k samples -1", SYNTAX),
        ("memory usage k foo 1", SYNTAX),
        ("memory usage k foo", SYNTAX),
        ("memory usage k samples x", "ERR value is not an integer or out of range"),
    ]);
}

#[test]
fn help_is_an_array_of_simple_strings() {
    let mut server = Server::new(&[]);
    for container in ["client", "config", "command", "memory"] {
        let reply = server.ask(&format!("{container} help"));
        let upper = container.to_uppercase();
        let (header, lines) = reply.split_once("\r\n").unwrap();
        assert_eq!(header, format!("*{}", lines.matches("\r\n").count()));
        assert!(lines.starts_with(&format!("+{upper} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n")));
        assert!(lines.split_terminator("\r\n").all(|line| line.starts_with('+')));
    }
}

#[test]
fn commands_are_told_about_as_redis_does() {
    let mut server = Server::new(&[]);
    let get = "*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n\
               *6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n\
               *2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n\
               *6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n";
    let count = "*10\r\n$13\r\ncommand|count\r\n:2\r\n~2\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n~2\r\n+@slow\r\n+@connection\r\n\
                 ~0\r\n~0\r\n~0\r\n";
    server.check(&[
        ("command info nosuch get|x", "*2\r\n$-1\r\n$-1\r\n"),
        ("command info GET", &format!("*1\r\n{get}")),
        ("command docs nosuch client|x", "*0\r\n"),
        ("command getkeys set a b", "*1\r\n$1\r\na\r\n"),
        ("command getkeys mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("command getkeys mset a 1 b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("command getkeys memory usage k", "*1\r\n$1\r\nk\r\n"),
        ("command getkeysandflags get a", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n"),
        ("command getkeysandflags set a b", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n"),
        ("command getkeysandflags set a b get", "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n"),
        ("command list filterby module x", "*0\r\n"),
        ("command list filterby aclcat nosuch", "*0\r\n"),
        ("command list filterby pattern client|s*", "*2\r\n$14\r\nclient|setname\r\n$14\r\nclient|setinfo\r\n"),
    ]);
    server.check_errors(&[
        ("command getkeys nosuch x", "ERR Invalid command specified"),
        ("command getkeys client foo x", "ERR Invalid command specified"),
        ("command getkeys ping", "ERR The command has no key arguments"),
        ("command getkeys client list", "ERR The command has no key arguments"),
        ("command getkeys get a b", "ERR Invalid number of arguments specified for command"),
        ("command list foo", SYNTAX),
        ("command list filterby", SYNTAX),
        ("command list filterby foo bar", SYNTAX),
        ("command list filterby pattern", SYNTAX),
    ]);
    server.ask("hello 3");
    server.check(&[
        ("command info command|count nosuch", &format!("*2\r\n{count}_\r\n")),
        (
            "command docs client|id echo",
            &format!(
                "%2\r\n$9\r\nclient|id\r\n%4\r\n{}$4\r\necho\r\n%5\r\n{}$9\r\narguments\r\n*1\r\n%3\r\n$4\r\nname\r\n$7\r\nmessage\r\n\
                 $4\r\ntype\r\n$6\r\nstring\r\n$12\r\ndisplay_text\r\n$7\r\nmessage\r\n",
                docs("Tells the connection's number, which is never used twice.", "5.0.0"),
                docs("Answers the message.", "1.0.0"),
            ),
        ),
    ]);
    let total = crate::commands::all().count();
    assert_eq!(server.ask("command count"), format!(":{total}\r\n"));
    let listed = server.ask("command list");
    assert!(listed.contains("\r\nclient|list\r\n") && listed.contains("\r\nget\r\n"));
}

fn docs(summary: &str, since: &str) -> String {
    format!(
        "$7\r\nsummary\r\n${}\r\n{summary}\r\n$5\r\nsince\r\n$5\r\n{since}\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n\
         $10\r\ncomplexity\r\n$4\r\nO(1)\r\n",
        summary.len()
    )
}

#[test]
fn databases_are_apart() {
    let mut server = Server::new(&["databases 2"]);
    let (reply, _) = server.batch(&["set k v", "select 1", "get k", "select 2", "select 0", "get k"]);
    assert_eq!(reply, "+OK\r\n+OK\r\n$-1\r\n-ERR DB index is out of range\r\n+OK\r\n$1\r\nv\r\n");
}

#[test]
fn looking_ahead_changes_no_reply() {
    let mut server = Server::new(&[]);
    for start in (0..30_000).step_by(100) {
        let sets: Vec<String> = (start..start + 100).map(|n| format!("set key:{n} {n}")).collect();
        server.batch(&sets.iter().map(String::as_str).collect::<Vec<_>>());
    }
    // Each kind of request in turn, with and without arguments, removing and adding keys that are looked ahead at.
    let kinds =
        ["get key:{}", "incr key:{}", "ping", "del key:{}", "set key:{} 7", "get other:{}", "getdel key:{}", "dbsize"];
    for len in [1, 5, 9, 100] {
        let requests: Vec<String> =
            (0..len).map(|n| kinds[n % kinds.len()].replace("{}", &(n * 7919 / 3 % 30_000).to_string())).collect();
        let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
        let mut twin = Server::new(&[]);
        for request in &requests {
            let key = request.split(' ').nth(1).unwrap_or("");
            let value = server.ask(&format!("get {key}"));
            if let Some(value) = value.split("\r\n").nth(1).filter(|value| !value.is_empty()) {
                twin.ask(&format!("set {key} {value}"));
            }
        }
        let sizes = |server: &mut Server| server.engine.keyspace.db(0).len();
        let (before, twin_before) = (sizes(&mut server), sizes(&mut twin));
        let (together, executed) = server.batch(&requests);
        assert_eq!(executed.requests, len);
        let mut one_by_one = String::new();
        for request in &requests {
            let reply = twin.ask(request);
            match *request {
                "dbsize" => one_by_one += &format!(":{}\r\n", sizes(&mut twin) + before - twin_before),
                _ => one_by_one += &reply,
            }
        }
        assert_eq!(together, one_by_one);
    }
}

/// A clock that is `step_ns` later at each reading.
macro_rules! ticking_clock {
    ($step_ns:expr) => {
        || {
            static NOW: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
            NOW.fetch_add($step_ns, std::sync::atomic::Ordering::Relaxed)
        }
    };
}

#[test]
fn a_long_batch_ends_when_the_turn_has_had_its_time_and_goes_on_later() {
    let mut server = Server::new(&[]);
    server.engine.host.clock_ns = ticking_clock!(10_000);
    let requests = vec!["set k v"; 128];
    assert_eq!(server.batch(&requests).1.requests, 128, "outside of turns nothing is late");

    let now_ns = (server.engine.host.clock_ns)();
    server.engine.begin_turn(now_ns, 25);
    let executed = server.batch(&requests).1;
    assert!((16..=64).contains(&executed.requests), "{executed:?}");
    assert!(server.engine.turn_is_over());

    // A turn that is over already still moves on, and a small batch is never cut.
    server.engine.begin_turn(now_ns, 0);
    assert!((16..=64).contains(&server.batch(&requests).1.requests));
    assert_eq!(server.batch(&requests[..16]).1.requests, 16);
}

#[test]
fn the_ledger_names_a_turn_after_its_longest_part() {
    let mut server = Server::new(&[]);
    server.engine.host.clock_ns = ticking_clock!(10_000);
    server.engine.host.thread_time = || ThreadTime { ran_ns: u64::MAX / 2, slept_ns: 0 };
    let now_ns = (server.engine.host.clock_ns)();
    server.engine.begin_turn(now_ns, 100);
    server.batch(&["get a", "get b", "set k v", "client id", "client id", "client id", "client id"]);
    let end_ns = (server.engine.host.clock_ns)();
    server.engine.end_turn(end_ns);
    let worst = server.engine.ledger.worst()[0];
    assert_eq!((worst.cause, worst.count, worst.at_ms), ("client|id", 4, 1_700_000_000_123));
    let info = server.ask("info stalls");
    assert!(info.contains("stall_turns:1\r\n"), "{info}");
    assert!(info.contains(&format!(
        "stall_worst_1:us={}.000,away_us={}.{:03},cause=client|id,at=1700000000123,",
        worst.ns / 1000,
        worst.away_ns / 1000,
        worst.away_ns % 1000
    )));
    server.check(&[("config resetstat", OK)]);
    assert!(server.ask("info stalls").contains("stall_turns:0\r\n"));
}

#[test]
fn commands_are_timed_one_by_one_while_what_is_slow_is_under_a_millisecond() {
    let mut server = Server::new(&["slowlog-log-slower-than 100"]);
    server.engine.host.clock_ns = ticking_clock!(200_000);
    server.batch(&["set a 1", "get a", "incr a"]);
    assert_eq!(server.ask("slowlog len"), ":3\r\n");
    let log = server.ask("slowlog get 2");
    assert!(log.contains("$7\r\nslowlog\r\n") && log.contains("$4\r\nincr\r\n$1\r\na\r\n"), "{log}");
}

#[test]
fn of_a_run_of_several_commands_none_is_accused() {
    let mut server = Server::new(&["slowlog-log-slower-than 2000"]);
    server.engine.host.clock_ns = ticking_clock!(5_000_000);
    server.batch(&["set a 1", "get a"]);
    assert_eq!(server.ask("slowlog len"), ":0\r\n");
    // Alone, it is known; and so is what is timed by itself anyway.
    server.check(&[("config set slowlog-max-len 1", OK), ("get a", "$1\r\n1\r\n")]);
    assert!(server.ask("slowlog get").contains("$3\r\nget\r\n$1\r\na\r\n"));
}

#[test]
fn a_slow_run_is_a_latency_event_once_there_is_a_threshold() {
    let mut server = Server::new(&[]);
    server.engine.host.clock_ns = ticking_clock!(5_000_000);
    server.check(&[("set a 1", OK), ("latency latest", "*0\r\n"), ("config set latency-monitor-threshold 5", OK)]);
    server.check(&[("get a", "$1\r\n1\r\n"), ("set a 2", OK)]);
    let second = 1_700_000_000;
    server.check(&[
        (
            "latency latest",
            &format!("*2\r\n*4\r\n$7\r\ncommand\r\n:{second}\r\n:5\r\n:5\r\n*4\r\n$12\r\nfast-command\r\n:{second}\r\n:5\r\n:5\r\n"),
        ),
        ("latency history fast-command", &format!("*1\r\n*2\r\n:{second}\r\n:5\r\n")),
        ("latency reset fast-command nosuch", ":1\r\n"),
    ]);
    server.engine.set_now(at_second(1));
    server.engine.run_jobs(false);
    assert!(server.ask("latency latest").contains("expire-cycle"));
    let doctor = server.ask("latency doctor");
    assert!(doctor.contains("command: ") && doctor.contains("slowlog-log-slower-than 5000"), "{doctor}");
}
