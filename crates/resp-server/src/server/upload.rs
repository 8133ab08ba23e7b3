//! A large value on its way from the socket to where it will live.
//!
//! Once the parser knows the length of an argument that may be large (the command's row says which), its bytes are read into the
//! pages of a blob, a few at a time: they are copied once, by the system, and no buffer grows with them. An upload that ends early
//! is dropped, and its pages go back. If there is no memory for it, the rest is received and forgotten, so that the request
//! after it is found; the command is refused then.

use std::io::{self, IoSliceMut};
use std::task::{Context, Poll, ready};

use chunkbuf::Blob;

use super::stream::Stream;
use crate::keyspace::Keyspace;

/// Pages that are read into at once: four of the first, small ones, and one that was begun.
const PAGES: usize = 5;

/// A large value that is being received.
pub(super) struct Upload {
    /// `None`: there was no memory.
    value: Option<Blob>,
    /// Bytes of the whole value.
    len: u64,
    received: u64,
}

impl Upload {
    /// A value of `len` bytes, which begins with `received` and does not end there.
    pub(super) fn new(keyspace: &mut Keyspace, len: u64, received: &[u8]) -> Upload {
        debug_assert!((received.len() as u64) < len, "some of it is still to come");
        let mut upload = Upload { value: Some(keyspace.store.new_blob()), len, received: received.len() as u64 };
        if let Some(blob) = &mut upload.value {
            let store = &mut keyspace.store;
            let reserved = store.blob_reserve(blob, upload.received, len);
            if reserved.and_then(|()| store.blob_append(blob, received)).is_err() {
                upload.value = None;
            }
        }
        upload
    }

    /// Bytes of the whole value.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether what is received goes to memory.
    pub(super) fn takes_memory(&self) -> bool {
        self.value.is_some()
    }

    /// Whether all of it was received.
    pub(super) fn is_whole(&self) -> bool {
        self.received == self.len
    }

    /// Bytes that have arrived.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// The value; `None` if there was no memory for it.
    pub(super) fn into_value(self) -> Option<Blob> {
        self.value
    }

    /// Reads at most `bytes_max` bytes more; how many they were. 0 when the client has sent its last.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream,
        keyspace: &mut Keyspace,
        scratch: &mut [u8],
        bytes_max: usize,
    ) -> Poll<io::Result<usize>> {
        let left = (self.len - self.received).min(bytes_max as u64);
        let store = &mut keyspace.store;
        if let Some(blob) = &mut self.value
            && store.blob_reserve(blob, left, self.len).is_err()
        {
            if store.has_garbage() {
                // Memory is on its way back: what an overwritten value has left, say.
                store.free(false);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.value = None;
        }
        let received = match &mut self.value {
            Some(blob) => {
                let mut slices = [const { None }; PAGES].map(|_: Option<()>| IoSliceMut::new(&mut []));
                let mut count = 0;
                for (slice, room) in slices.iter_mut().zip(blob.room(left)) {
                    *slice = IoSliceMut::new(room);
                    count += 1;
                }
                let received = ready!(stream.poll_read_slices(cx, &mut slices[..count]))?;
                blob.filled(received as u64);
                received
            }
            None => {
                let room = scratch.len().min(left as usize);
                ready!(stream.poll_read_slices(cx, &mut [IoSliceMut::new(&mut scratch[..room])]))?
            }
        };
        self.received += received as u64;
        Poll::Ready(Ok(received))
    }
}
