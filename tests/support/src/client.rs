//! A blocking client over TCP or a unix socket, for tests that look at bytes as well as for those that look at replies.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::frame::{Frame, Protocol};

/// How long [`Client::ask`] and [`Client::reads_to_end`] wait at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection and what it has received.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    arrived: Vec<u8>,
    /// How replies are read; set it after `HELLO 3`.
    pub protocol: Protocol,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A request as an array of bulk strings.
#[must_use]
pub fn encode(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.as_ref().len()).as_bytes());
        out.extend_from_slice(arg.as_ref());
        out.extend_from_slice(b"\r\n");
    }
    out
}

impl Client {
    /// Connects to 127.0.0.1.
    ///
    /// # Errors
    /// The system's.
    pub fn tcp(port: u16) -> Result<Client> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: Stream::Tcp(stream), arrived: Vec::new(), protocol: Protocol::Resp2 })
    }

    /// Connects to a unix socket.
    ///
    /// # Errors
    /// The system's.
    pub fn unix(path: &Path) -> Result<Client> {
        let stream = UnixStream::connect(path)?;
        Ok(Client { stream: Stream::Unix(stream), arrived: Vec::new(), protocol: Protocol::Resp2 })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The system's.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Bytes that arrive within `patience`; none when nothing does.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] when the server has closed the connection, else the system's.
    pub fn receive_some(&mut self, patience: Duration) -> Result<Vec<u8>> {
        let mut buffer = vec![0; 64 * 1024];
        let received = match &mut self.stream {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.read(&mut buffer)
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.read(&mut buffer)
            }
        };
        match received {
            Ok(0) => Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            Ok(len) => {
                buffer.truncate(len);
                Ok(buffer)
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// The next reply.
    ///
    /// # Errors
    /// The connection ends, the bytes are no reply, or ten seconds pass.
    pub fn next_frame(&mut self) -> Result<Frame> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let decoded = Frame::decode(&self.arrived, self.protocol).map_err(Error::other)?;
            if let Some((frame, len)) = decoded {
                self.arrived.drain(..len);
                return Ok(frame);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(ErrorKind::TimedOut, "no reply"));
            }
            let bytes = self.receive_some(left)?;
            self.arrived.extend_from_slice(&bytes);
        }
    }

    /// Sends a request, words separated by blanks, and returns its reply as redis-cli prints it.
    ///
    /// # Panics
    /// No reply comes.
    pub fn ask(&mut self, request: &str) -> String {
        let words: Vec<&str> = request.split_whitespace().collect();
        self.ask_args(&words)
    }

    /// Sends a request and returns its reply as redis-cli prints it.
    ///
    /// # Panics
    /// No reply comes.
    pub fn ask_args(&mut self, args: &[impl AsRef<[u8]>]) -> String {
        self.send_bytes(&encode(args)).expect("the server takes the request");
        self.next_frame().expect("the server answers").printed()
    }

    /// Everything that arrives until the server closes the connection.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] when it stays open for ten seconds without a byte. A reset counts as an end.
    pub fn reads_to_end(&mut self) -> Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.arrived);
        loop {
            match self.receive_some(PATIENCE) {
                Ok(bytes) if bytes.is_empty() => {
                    return Err(Error::new(ErrorKind::TimedOut, "the connection stays open"));
                }
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                    return Ok(all);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Says that nothing more will be sent, and goes on reading.
    ///
    /// # Errors
    /// The system's.
    pub fn close_sending(&self) -> Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}
