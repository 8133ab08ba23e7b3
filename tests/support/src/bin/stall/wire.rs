//! A blocking connection that reads replies without keeping them: a bulk goes through a buffer of 256 KiB.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::Result;
use crate::content::Content;

/// Large values are sent in pieces of this size: large enough for few system calls, small enough that the kernel's copy of one
/// does not keep the prober from the core that both share.
pub(crate) const PIECE: usize = 64 * 1024;

const BUFFER: usize = 256 * 1024;

/// No reply takes longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// What has arrived and was not taken: `buffer[at..end]`.
    at: usize,
    end: usize,
}

impl Wire {
    /// Connects to 127.0.0.1.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn connect(port: u16) -> Result<Wire> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, buffer: vec![0; BUFFER].into_boxed_slice(), at: 0, end: 0 })
    }

    /// The sending half, for another thread.
    pub(crate) fn sender(&self) -> Result<TcpStream> {
        Ok(self.stream.try_clone()?)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result {
        Ok(self.stream.write_all(bytes)?)
    }

    /// A request of short words.
    pub(crate) fn request(&mut self, words: &[&str]) -> Result {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.send(text.as_bytes())
    }

    /// A bulk of `len` bytes of a content, from `at` on, made as it is sent.
    pub(crate) fn send_bulk(&mut self, content: Content, at: u64, len: u64) -> Result {
        let mut piece = vec![0; PIECE];
        self.send(format!("${len}\r\n").as_bytes())?;
        let mut sent = 0;
        while sent < len {
            let part = usize::try_from(len - sent).unwrap_or(PIECE).min(PIECE);
            content.fill(at + sent, &mut piece[..part]);
            self.send(&piece[..part])?;
            sent += part as u64;
        }
        self.send(b"\r\n")
    }

    fn receive(&mut self) -> Result {
        if self.at == self.end {
            (self.at, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, self.end - self.at);
        }
        match self.stream.read(&mut self.buffer[self.end..])? {
            0 => Err("the server closed the connection".into()),
            received => {
                self.end += received;
                Ok(())
            }
        }
    }

    /// The next `len` bytes, at most the buffer's.
    pub(crate) fn take(&mut self, len: usize) -> Result<&[u8]> {
        while self.end - self.at < len {
            self.receive()?;
        }
        self.at += len;
        Ok(&self.buffer[self.at - len..self.at])
    }

    /// What has arrived, `most` bytes at most, at least one.
    pub(crate) fn some(&mut self, most: usize) -> Result<&[u8]> {
        if self.at == self.end {
            self.receive()?;
        }
        let from = self.at;
        self.at = self.end.min(from.saturating_add(most));
        Ok(&self.buffer[from..self.at])
    }

    /// A line without its end.
    pub(crate) fn line(&mut self) -> Result<String> {
        loop {
            let arrived = &self.buffer[self.at..self.end];
            if let Some(len) = arrived.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&arrived[..len]).into_owned();
                self.at += len + 2;
                return Ok(line);
            }
            if arrived.len() == self.buffer.len() {
                return Err("a line without an end".into());
            }
            self.receive()?;
        }
    }

    /// Reads a line that must be this one.
    pub(crate) fn expect(&mut self, expected: &str) -> Result {
        let line = self.line()?;
        if line == expected { Ok(()) } else { Err(format!("{expected:?} expected, {line:.200?} received").into()) }
    }

    /// Reads a bulk that must be `len` bytes of a content from `at` on.
    pub(crate) fn expect_bulk(&mut self, content: Content, at: u64, len: u64) -> Result {
        self.expect_parts(len, |place, bytes| content.check(at + place, bytes))
    }

    /// Reads a bulk of `len` bytes and shows its parts, with their places, as they arrive.
    pub(crate) fn expect_parts(&mut self, len: u64, mut part: impl FnMut(u64, &[u8]) -> Result) -> Result {
        self.expect(&format!("${len}"))?;
        let mut place = 0;
        while place < len {
            let bytes = self.some(usize::try_from(len - place).unwrap_or(BUFFER))?;
            part(place, bytes)?;
            place += bytes.len() as u64;
        }
        self.expect("")
    }
}
