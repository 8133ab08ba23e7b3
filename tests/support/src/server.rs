//! Server processes, ours or Redis's: on 127.0.0.1, on a free port, in a folder of their own, gone when dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::play::Against;
use crate::transcript::version_numbers;

/// How long a server may take to answer after its start, and to end after a signal.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where a server's output goes, in its folder.
const LOG: &str = "output.log";

/// A running server; dropping it kills the process and removes its folder.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    folder: PathBuf,
}

/// How a server is started when [`Server::start`] is not enough.
#[derive(Debug)]
pub struct Launch {
    command: Command,
    port: u16,
    folder: PathBuf,
    password: Option<String>,
}

impl Launch {
    /// A launch of `binary`, with no argument yet, in a fresh folder, with a free port set aside.
    ///
    /// # Errors
    /// No folder or no port is to be had.
    pub fn new(binary: &Path) -> Result<Launch, String> {
        let folder = fresh_folder().map_err(|error| format!("no folder for the server: {error}"))?;
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        let mut command = Command::new(binary);
        // To a file: a pipe that nobody reads would stop a server that logs a lot.
        let log = || File::create_new(folder.join(LOG)).and_then(|log| Ok((log.try_clone()?, log)));
        let (stdout, stderr) = log().map_err(|error| format!("no log for the server: {error}"))?;
        command.current_dir(&folder).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        Ok(Launch { command, port, folder, password: None })
    }

    /// The port that was set aside; nothing is told of it unless an argument or a file does.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Takes this port instead of the one that was set aside.
    #[must_use]
    pub fn set_port(mut self, port: u16) -> Launch {
        self.port = port;
        self
    }

    /// The folder that the server runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Launch {
        self.command.args(args);
        self
    }

    /// Adds `--port` and `--bind` for the port that was set aside, and for Redis what keeps it from writing files.
    ///
    /// # Errors
    /// The binary does not tell its version.
    pub fn on_its_port(self) -> Result<Launch, String> {
        let kind = Server::kind(Path::new(self.command.get_program()))?;
        let port = self.port.to_string();
        let launch = self.args(&["--port", &port, "--bind", "127.0.0.1"]);
        Ok(match kind {
            Against::Evenkeel => launch,
            Against::Redis(_) => launch.args(&["--save", "", "--appendonly", "no", "--daemonize", "no"]),
        })
    }

    /// The password that the first PING gives.
    #[must_use]
    pub fn password(mut self, password: &str) -> Launch {
        self.password = Some(password.to_string());
        self
    }

    /// Starts the server and waits until it answers PING on its port.
    ///
    /// # Errors
    /// It ends instead, or does not answer in time; with what it printed.
    pub fn start(mut self) -> Result<Server, String> {
        let child = self.command.spawn().map_err(|error| format!("{:?}: {error}", self.command.get_program()))?;
        let mut server = Server { child, port: self.port, folder: self.folder };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if answers(server.port, self.password.as_deref()) {
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("the server ended at its start ({status}): {}", server.printed()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("the server does not answer".to_string())
    }

    /// Starts the server, expecting it to refuse: its status and all that it printed.
    ///
    /// # Errors
    /// It is still running after a while.
    pub fn refused(mut self) -> Result<(ExitStatus, String), String> {
        let child = self.command.spawn().map_err(|error| error.to_string())?;
        let mut server = Server { child, port: self.port, folder: self.folder };
        let status = server.wait()?;
        Ok((status, server.printed()))
    }
}

impl Server {
    /// Starts `binary` on a free port with further arguments, and waits until it answers.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn start(binary: &Path, args: &[&str]) -> Result<Server, String> {
        let mut launch = Launch::new(binary)?.on_its_port()?.args(args);
        if let Some(at) = args.iter().position(|arg| *arg == "--requirepass") {
            launch = launch.password(args.get(at + 1).copied().unwrap_or_default());
        }
        launch.start()
    }

    /// Whose server a binary is, by what it prints for `--version`.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn kind(binary: &Path) -> Result<Against, String> {
        let output = Command::new(binary)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split(" v=").nth(1).and_then(|rest| version_numbers(rest.split(' ').next()?));
        Ok(match version {
            Some(version) if text.starts_with("Redis server") => Against::Redis(version),
            _ => Against::Evenkeel,
        })
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new connection.
    ///
    /// # Panics
    /// The server refuses it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::tcp(self.port).expect("the server accepts connections")
    }

    /// Sends a signal by name (`TERM`, `INT`), through the system's `kill`.
    ///
    /// # Panics
    /// The signal cannot be sent.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} could not be sent");
    }

    /// Waits for the process to end.
    ///
    /// # Errors
    /// It does not within 15 seconds.
    pub fn wait(&mut self) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("the server is still running".to_string())
    }

    /// All that the server has printed so far, on both streams.
    #[must_use]
    pub fn printed(&self) -> String {
        let bytes = fs::read(self.folder.join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The process's resident memory in bytes.
    ///
    /// # Panics
    /// The system does not tell.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its status tells VmRSS");
        let kib: usize = line.trim().trim_end_matches(" kB").trim().parse().expect("VmRSS is a number of KiB");
        kib * 1024
    }
}

/// The server binary that tests run: the one named by `EVENKEEL_BIN`, else the one that cargo built for them, whose path is
/// `built`.
#[must_use]
pub fn binary(built: &str) -> PathBuf {
    std::env::var_os("EVENKEEL_BIN").map_or_else(|| PathBuf::from(built), PathBuf::from)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and its folder may never have been used: neither is an error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn answers(port: u16, password: Option<&str>) -> bool {
    let Ok(mut client) = Client::tcp(port) else {
        return false;
    };
    let ask = |client: &mut Client, request: &[u8]| {
        client.send_bytes(request).is_ok() && client.next_frame().is_ok_and(|frame| !frame.is_error())
    };
    if let Some(password) = password {
        let auth = crate::client::encode(&["AUTH", password]);
        return ask(&mut client, &auth);
    }
    ask(&mut client, b"PING\r\n")
}

/// A port that nobody listens on. Another process could take it before the server does; the start then fails and says so.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn fresh_folder() -> std::io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("evenkeel-test-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
