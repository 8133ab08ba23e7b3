//! The floor of `scripts/bench`: a server that receives, counts and sends, and does nothing else.
//!
//! ```text
//! floor --port PORT
//! ```
//!
//! Every request has the reply `+PONG`, whatever it asks for. What it takes of the processor is what the system's sockets take, and no
//! server that answers with a receive and a send a batch takes less.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::ExitCode;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// What went wrong, in a sentence.
type Error = Box<dyn std::error::Error>;

const PONG: &[u8] = b"+PONG\r\n";
/// A setting and its value: redis-benchmark asks for two before it begins.
const SETTING: &[u8] = b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n";
const RECEIVED_MAX: usize = 64 << 10;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(port) = args.iter().position(|arg| arg == "--port").and_then(|at| args.get(at + 1)?.parse().ok()) else {
        eprintln!("usage: floor --port PORT");
        return ExitCode::from(2);
    };
    match serve(port) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16) -> Result<std::convert::Infallible, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(listener.as_raw_fd() as u64), EventFlags::IN)?;
    // By their descriptors, which are small numbers.
    let mut clients: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Vec::with_capacity(1024);
    let mut received = vec![0; RECEIVED_MAX];
    let mut replies = Vec::new();
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            let fd = event.data.u64() as usize;
            if fd == listener.as_raw_fd() as usize {
                let (client, _) = listener.accept()?;
                client.set_nodelay(true)?;
                client.set_nonblocking(true)?;
                let fd = client.as_raw_fd() as usize;
                epoll::add(&epoll, &client, EventData::new_u64(fd as u64), EventFlags::IN)?;
                clients.resize_with(clients.len().max(fd + 1), || None);
                clients[fd] = Some(client);
            } else if !answer(clients[fd].as_mut(), &mut received, &mut replies) {
                clients[fd] = None;
            }
        }
    }
}

/// Answers what a client has sent. False when it has gone.
fn answer(client: Option<&mut TcpStream>, received: &mut [u8], replies: &mut Vec<u8>) -> bool {
    let Some(client) = client else { return true };
    let bytes = match client.read(received) {
        Ok(0) => return false,
        Ok(len) => &received[..len],
        Err(error) => return error.kind() == ErrorKind::WouldBlock,
    };
    let reply = if bytes.windows(6).take(32).any(|word| word == b"CONFIG") { SETTING } else { PONG };
    replies.clear();
    for _ in 0..requests(bytes) {
        replies.extend_from_slice(reply);
    }
    // They are few: a socket that does not take them is a client that does not read.
    client.write_all(replies).is_ok()
}

/// How many requests begin in what came; redis-benchmark sends no other asterisk than the one at the beginning.
fn requests(bytes: &[u8]) -> usize {
    let count = |wanted: u8| bytes.iter().filter(|byte| **byte == wanted).count();
    match bytes.contains(&b'*') {
        true => count(b'*'),
        // Inline ones, or the rest of one that has been counted.
        false if bytes.ends_with(b"PING\r\n") => count(b'\n'),
        false => 0,
    }
}
