//! Sessions of Rust's client libraries: `evenkeel-clients <redis|redis-tokio|fred> <port> <default|2|3>`.
//!
//! Prints what was tried and how many checks hold, then one line for each thing that had to be left out, or fails at the first
//! surprise, as the scripts beside it do.

mod check;
mod fred_client;
mod redis_sync;
mod redis_tokio;

use check::Server;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, client, port, protocol] = arguments.as_slice() else {
        panic!("three arguments: a client, a port, a protocol");
    };
    let server = Server::new(port.parse().expect("a port"), protocol);
    let alone = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match client.as_str() {
        "redis" => redis_sync::session(&server),
        "redis-tokio" => alone().block_on(redis_tokio::session(&server)),
        "fred" => alone().block_on(fred_client::session(&server)),
        other => panic!("no client {other}"),
    }
    check::done(client);
}
