//! Transcripts in process: the files of `tests/transcripts` on an engine of their own, in virtual time.
//!
//! The same files run over TCP in the root package's tests. Here `@advance` moves a clock instead of sleeping, so that a
//! transcript may let a year pass.

// The lint knows test functions, and not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::IoSlice;
use std::path::Path;
use std::time::Duration;

use resp_server::dispatch::{Pause, execute, serve_parked};
use resp_server::engine::tasks::OwnedRequest;
use resp_server::engine::{ClientId, Engine, Now, Peer, Settings};
use resp_server::proto::{Batch, Parser};
use test_support::play::Against;
use test_support::{Act, Transcript, play};

/// An engine, its clients by the names that the transcript gives them, and its clock.
struct Server {
    engine: Engine,
    now: Now,
    clients: HashMap<String, Connection>,
}

struct Connection {
    id: ClientId,
    /// What was answered and not handed out yet.
    answered: Vec<u8>,
    /// A request that is long, or that waits.
    under_way: Option<OwnedRequest>,
}

impl Server {
    /// `settings` are flags, as on the command line: `["--maxmemory", "1mb"]`.
    fn new(settings: &[String]) -> Server {
        let mut parsed = Settings::default();
        for pair in settings.chunks(2) {
            let line = format!("{} {}", pair[0].trim_start_matches("--"), pair[1]);
            parsed.apply_line(line.as_bytes()).unwrap();
        }
        let now = Now { unix_us: 1_700_000_000_000_000, monotonic_us: 0 };
        Server { engine: Engine::new(parsed, [1, 2], now), now, clients: HashMap::new() }
    }

    fn act(&mut self, act: Act<'_>) -> Result<Vec<u8>, String> {
        match act {
            Act::Send { connection, bytes } => {
                if !self.clients.contains_key(connection) {
                    let addr = format!("127.0.0.1:{}", 50_000 + self.clients.len());
                    let peer = Peer { addr, laddr: "127.0.0.1:6379".to_string(), fd: 8, unix: false };
                    let id = self.engine.connect(peer).map_err(|_| "the engine refuses the client")?;
                    self.clients
                        .insert(connection.to_string(), Connection { id, answered: Vec::new(), under_way: None });
                }
                self.send(connection, bytes)?;
                Ok(Vec::new())
            }
            Act::Receive { connection, .. } => {
                self.go_on(connection);
                let client = self.clients.get_mut(connection).ok_or("an unknown connection")?;
                Ok(std::mem::take(&mut client.answered))
            }
            Act::Advance(by) => {
                self.advance(by);
                Ok(Vec::new())
            }
        }
    }

    fn send(&mut self, connection: &str, bytes: &[u8]) -> Result<(), String> {
        self.go_on(connection);
        let client = self.clients.get_mut(connection).unwrap();
        let (mut bytes, mut batch) = (bytes.to_vec(), Batch::new());
        let limits = self.engine.limits(client.id);
        let taken = Parser::new().parse(&mut bytes, &mut batch, 1, &limits).map_err(|error| format!("{error:?}"))?;
        assert_eq!((taken, batch.len()), (bytes.len(), 1), "a transcript sends whole requests");
        assert!(client.under_way.is_none(), "a client waits for its reply before it goes on");
        client.under_way = Some(OwnedRequest { bytes, batch, index: 0 });
        self.go_on(connection);
        Ok(())
    }

    /// Does what the connection's task would do: takes what is in the outbox, and goes on with the request as far as it can.
    fn go_on(&mut self, connection: &str) {
        let Some(client) = self.clients.get_mut(connection) else { return };
        loop {
            let is_half_written = self.engine.has_task(client.id);
            let outbox = if is_half_written { None } else { self.engine.outbox.take(client.id) };
            let mut reply = outbox.unwrap_or_default();
            let (mut pause, mut closes) = (None, false);
            if let Some(request) = client.under_way.take_if(|_| !self.engine.is_parked(client.id)) {
                let executed = execute(&mut self.engine, client.id, &request.batch, 0, &request.bytes, &mut reply);
                (pause, closes) = (executed.pause, executed.close);
                client.under_way = pause.map(|_| request);
            }
            while !reply.is_empty() {
                let mut slices = [IoSlice::new(&[]); 64];
                let (count, len) = reply.io_slices(&mut slices, usize::MAX);
                slices[..count].iter().for_each(|slice| client.answered.extend_from_slice(slice));
                reply.advance(len);
            }
            if closes {
                self.engine.disconnect(client.id);
            }
            if pause != Some(Pause::Slice) {
                break;
            }
        }
        for killed in self.engine.take_killed(usize::MAX) {
            self.clients.retain(|_, client| client.id != killed);
            self.engine.disconnect(killed);
        }
    }

    fn advance(&mut self, by: Duration) {
        let us = u64::try_from(by.as_micros()).unwrap();
        self.now.monotonic_us += us;
        self.now.unix_us += i64::try_from(us).unwrap();
        self.engine.set_now(self.now);
        // Enough rounds for what little a transcript leaves to the jobs.
        for _ in 0..100 {
            self.engine.run_jobs(true);
            serve_parked(&mut self.engine);
        }
    }
}

#[test]
fn every_transcript_holds_in_virtual_time() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/transcripts");
    let mut failures = Vec::new();
    let mut played = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let transcript = Transcript::parse(&name, &std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut server = Server::new(&transcript.settings);
        failures.extend(play(&transcript, Against::Evenkeel, &mut |act| server.act(act)).err());
        played += 1;
    }
    assert!(played > 0, "no transcripts in {}", folder.display());
    assert!(failures.is_empty(), "{} of {played} transcripts fail\n{}", failures.len(), failures.join("\n"));
}
