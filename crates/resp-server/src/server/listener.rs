//! Where the server listens, and what an accepted connection is set to.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use super::connection::{self, Connection};
use super::stream::Stream;
use super::{ServerError, Shared};
use crate::engine::{Peer, Settings, ledger};

/// Probes without an answer after which a silent connection is given up.
const KEEPALIVE_PROBES: u32 = 3;
/// Scrapers that may wait to be accepted.
const METRICS_BACKLOG: i32 = 16;
/// How long accepting rests when the system has no descriptor or no memory for a connection. The connection stays in the
/// queue, so trying again at once would spin.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A socket that listens, not yet known to the event loop.
pub(super) struct Socket {
    /// Address and port, or path.
    pub(super) address: String,
    socket: socket2::Socket,
    /// The path, if it is a Unix socket.
    unix: Option<PathBuf>,
}

/// A socket that the event loop watches.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Socket {
    pub(super) fn unix_path(&self) -> Option<PathBuf> {
        self.unix.clone()
    }

    /// The socket, for another thread to listen on.
    pub(super) fn into_std(self) -> std::net::TcpListener {
        self.socket.into()
    }

    /// Hands the socket to the event loop, within which this must be called.
    pub(super) fn listen(self) -> Result<Listener, ServerError> {
        let listener = match self.unix {
            None => TcpListener::from_std(self.socket.into()).map(Listener::Tcp),
            Some(path) => UnixListener::from_std(self.socket.into()).map(|listener| Listener::Unix(listener, path)),
        };
        listener.map_err(|source| ServerError::Listen { address: self.address, source })
    }
}

/// Listens on every address of the settings, and on the Unix socket if there is to be one.
pub(super) fn bind(settings: &Settings) -> Result<Vec<Socket>, ServerError> {
    let mut sockets = Vec::new();
    let backlog = i32::try_from(settings.tcp_backlog).unwrap_or(i32::MAX);
    if settings.port != 0 {
        for entry in &settings.bind {
            let (host, optional) = entry.strip_prefix('-').map_or((entry.as_str(), false), |host| (host, true));
            match bind_tcp(host, settings.port, backlog) {
                Ok(socket) => sockets.push(socket),
                Err(error) if optional && is_absence(&error) => {
                    tracing::debug!("not listening on {host}, which is optional: {error}");
                }
                Err(source) => {
                    return Err(ServerError::Listen { address: format!("{host}:{}", settings.port), source });
                }
            }
        }
    }
    if !settings.unixsocket.is_empty() {
        let address = settings.unixsocket.clone();
        let socket = bind_unix(&address, settings.unixsocketperm, backlog);
        sockets.push(socket.map_err(|source| ServerError::Listen { address, source })?);
    }
    if sockets.is_empty() {
        return Err(ServerError::NothingToListenOn);
    }
    Ok(sockets)
}

/// Listens where the metrics are to be served, if they are.
pub(super) fn bind_metrics(settings: &Settings) -> Result<Option<Socket>, ServerError> {
    if settings.metrics_port == 0 {
        return Ok(None);
    }
    let socket = bind_tcp(&settings.metrics_bind, settings.metrics_port, METRICS_BACKLOG);
    let address = format!("{}:{}", settings.metrics_bind, settings.metrics_port);
    socket.map(Some).map_err(|source| ServerError::Listen { address, source })
}

/// Whether the address, or its whole family, is not there; rather than taken or forbidden.
fn is_absence(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::NOPROTOOPT | Errno::OPNOTSUPP)
    ) || error.kind() == io::ErrorKind::NotFound
}

fn bind_tcp(host: &str, port: u16, backlog: i32) -> io::Result<Socket> {
    let ip = match host {
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "::*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => {
            let mut found = (host, port).to_socket_addrs()?;
            found.next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?.ip()
        }
    };
    let address = SocketAddr::new(ip, port);
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // The IPv4 addresses are entries of their own.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(Socket { address: address.to_string(), socket, unix: None })
}

fn bind_unix(path: &str, permissions: u32, backlog: i32) -> io::Result<Socket> {
    // A socket that an earlier process left behind; were it anything that cannot be removed, binding would fail.
    let _ = std::fs::remove_file(path);
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    if permissions != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))?;
    }
    socket.listen(backlog)?;
    Ok(Socket { address: path.to_owned(), socket, unix: Some(PathBuf::from(path)) })
}

/// Accepts connections for as long as the server runs, and starts a task for each.
pub(super) async fn accept(listener: Listener, shared: Rc<Shared>, keepalive: Duration) {
    let mut complained = false;
    loop {
        // The turn begins with the call that brings the connection, not with the wait for it.
        let mut began_ns = 0;
        let mut begin = || began_ns = shared.clock.ns();
        let accepted = match &listener {
            Listener::Tcp(listener) => {
                let accepted = poll_fn(|cx| {
                    begin();
                    listener.poll_accept(cx)
                });
                accepted.await.map(|(stream, addr)| {
                    set_up(&stream, keepalive);
                    let laddr = stream.local_addr().map_or_else(|_| String::new(), |laddr| laddr.to_string());
                    let fd = stream.as_raw_fd();
                    (Stream::Tcp(stream), Peer { addr: addr.to_string(), laddr, fd, unix: false })
                })
            }
            Listener::Unix(listener, path) => {
                let accepted = poll_fn(|cx| {
                    begin();
                    listener.poll_accept(cx)
                });
                accepted.await.map(|(stream, _)| {
                    let addr = format!("{}:0", path.display());
                    let fd = stream.as_raw_fd();
                    (Stream::Unix(stream), Peer { addr: addr.clone(), laddr: addr, fd, unix: true })
                })
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                complained = false;
                start(stream, peer, &shared);
                let mut engine = shared.engine.borrow_mut();
                engine.begin_turn(began_ns, 0);
                let now_ns = shared.clock.ns();
                engine.ledger.part(ledger::ACCEPT, 1, now_ns);
                engine.end_turn(now_ns);
            }
            // The client was gone before we came.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if !complained {
                    tracing::warn!("cannot accept a connection: {error}");
                    complained = true;
                }
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Small replies go out at once, and a peer that vanished is noticed. A client that is gone already is no matter here.
fn set_up(stream: &tokio::net::TcpStream, keepalive: Duration) {
    let _ = stream.set_nodelay(true);
    if !keepalive.is_zero() {
        let interval = (keepalive / KEEPALIVE_PROBES).max(Duration::from_secs(1));
        let probes = TcpKeepalive::new().with_time(keepalive).with_interval(interval).with_retries(KEEPALIVE_PROBES);
        let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
    }
}

/// Makes a client of a connection, or tells it why not.
fn start(stream: Stream, peer: Peer, shared: &Rc<Shared>) {
    let connected = {
        let mut engine = shared.engine.borrow_mut();
        engine.set_now(shared.clock.now());
        engine.connect(peer)
    };
    match connected {
        Ok(client) => {
            let task = connection::serve(Connection::new(stream, client, Rc::clone(shared)));
            let task = tokio::task::spawn_local(task).abort_handle();
            shared.tasks.borrow_mut().insert(client, task);
        }
        Err(refusal) => {
            let line = [b"-", &refusal.text()[..], b"\r\n"].concat();
            // What does not fit in the empty socket of a new connection is not worth waiting for.
            let _ = stream.send_now(&line);
        }
    }
}
