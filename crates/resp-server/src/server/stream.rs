//! A connected socket of either family.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(cx),
            Stream::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Reads into `slices`, one after another, what is there.
    pub(super) fn poll_read_slices(
        &self,
        cx: &mut Context<'_>,
        slices: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            let read = match self {
                Stream::Tcp(stream) => stream.try_read_vectored(slices),
                Stream::Unix(stream) => stream.try_read_vectored(slices),
            };
            match read {
                // The socket was not as ready as it was said to be; now that is known.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Sends what fits without waiting, and without asking the event loop, which does not know a new socket yet: a last
    /// word to a client that is refused.
    pub(super) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => SockRef::from(stream).send(bytes),
            Stream::Unix(stream) => SockRef::from(stream).send(bytes),
        }
    }

    /// Writes what fits. One slice goes out as a plain write, which also notices a full socket without another call.
    pub(super) fn poll_write_slices(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self, slices) {
            (Stream::Tcp(stream), [only]) => Pin::new(stream).poll_write(cx, only),
            (Stream::Tcp(stream), many) => Pin::new(stream).poll_write_vectored(cx, many),
            (Stream::Unix(stream), [only]) => Pin::new(stream).poll_write(cx, only),
            (Stream::Unix(stream), many) => Pin::new(stream).poll_write_vectored(cx, many),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, room),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, room),
        }
    }
}
