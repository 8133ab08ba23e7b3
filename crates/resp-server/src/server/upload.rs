//! A large argument on its way from the socket to where it will live.
//!
//! Once the parser knows the length of an argument that may be large (the command's row says which), its bytes are read into the
//! pages of a blob, a few at a time: they are copied once, by the system, and no buffer grows with them. An upload that ends early
//! is dropped, and its pages go back. If there is no memory for it, the rest is received and forgotten, so that the request
//! after it is found; the command is refused then.
//!
//! The name of an element takes the form in which a map has it on the way: its beginning, a digest of all of it, and a blob of the
//! rest. So the command finds or adds it without going through it; without memory for the rest it can still be found.

use std::io::{self, IoSliceMut};
use std::task::{Context, Poll, ready};

use chunkbuf::Blob;

use super::stream::Stream;
use crate::commands::LargeKind;
use crate::keyspace::Keyspace;
use crate::types::name::{HEAD_BYTES as LONG_NAME_HEAD_BYTES, LongName, LongNameDraft};

/// Pages that are read into at once: four of the first, small ones, and one that was begun.
const PAGES: usize = 5;

/// A large argument that is being received.
pub(super) struct Upload {
    content: Content,
    /// Bytes of the whole.
    len: u64,
    received: u64,
}

enum Content {
    Value(Blob),
    Name(LongNameDraft),
    /// There was no memory.
    Nothing,
}

/// A large argument that was received.
pub(super) enum Received {
    /// `None`: there was no memory for it.
    Value(Option<Blob>),
    Name(LongName),
}

impl Upload {
    /// An argument of `len` bytes, which begins with `received` and does not end there.
    pub(super) fn new(keyspace: &mut Keyspace, kind: LargeKind, len: u64, received: &[u8]) -> Upload {
        debug_assert!((received.len() as u64) < len, "some of it is still to come");
        let content = match kind {
            LargeKind::Value => Content::Value(keyspace.store.new_blob()),
            LargeKind::Name => Content::Name(LongNameDraft::new(&keyspace.store)),
        };
        let mut upload = Upload { content, len, received: 0 };
        let behind = upload.push_head(received);
        upload.received = received.len() as u64;
        let blob_len = upload.blob_len();
        if let Some(blob) = upload.blob_mut() {
            let store = &mut keyspace.store;
            let reserved = store.blob_reserve(blob, behind.len() as u64, blob_len);
            if reserved.and_then(|()| store.blob_append(blob, behind)).is_err() {
                upload.give_up();
                upload.pass(behind);
            } else {
                upload.note_growth(behind.len() as u64);
            }
        }
        upload
    }

    /// The blob that its bytes are read into, or what is behind the beginning of a name.
    fn blob_mut(&mut self) -> Option<&mut Blob> {
        match &mut self.content {
            Content::Value(blob) => Some(blob),
            Content::Name(draft) => draft.rest_mut(),
            Content::Nothing => None,
        }
    }

    /// Bytes that the blob will have in the end.
    fn blob_len(&self) -> u64 {
        match &self.content {
            Content::Name(_) => self.len - LONG_NAME_HEAD_BYTES as u64,
            Content::Value(_) | Content::Nothing => self.len,
        }
    }

    /// Takes as many of these bytes as are the beginning of a name; the others.
    fn push_head<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Content::Name(draft) = &mut self.content else { return bytes };
        let (head, behind) = bytes.split_at(bytes.len().min(draft.head_missing()));
        draft.push_head(head);
        behind
    }

    /// There is no memory for more: what is received of a name is what it is found by, of a value nothing.
    fn give_up(&mut self) {
        match &mut self.content {
            Content::Name(draft) => draft.give_up_rest(),
            content => *content = Content::Nothing,
        }
    }

    /// These bytes came and are not kept.
    fn pass(&mut self, bytes: &[u8]) {
        if let Content::Name(draft) = &mut self.content {
            draft.pass(bytes);
        }
    }

    /// So many bytes were added to the blob.
    fn note_growth(&mut self, bytes: u64) {
        if let Content::Name(draft) = &mut self.content {
            draft.rest_grew(bytes);
        }
    }

    /// Bytes of the whole.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether what is received goes to memory.
    pub(super) fn takes_memory(&self) -> bool {
        match &self.content {
            Content::Value(_) => true,
            Content::Name(draft) => draft.keeps_rest(),
            Content::Nothing => false,
        }
    }

    /// Whether all of it was received.
    pub(super) fn is_whole(&self) -> bool {
        self.received == self.len
    }

    /// Bytes that have arrived.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// What was received.
    pub(super) fn finish(self) -> Received {
        match self.content {
            Content::Value(blob) => Received::Value(Some(blob)),
            Content::Name(draft) => Received::Name(draft.finish()),
            Content::Nothing => Received::Value(None),
        }
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
        let mut left = (self.len - self.received).min(bytes_max as u64);
        let blob_len = self.blob_len();
        let head_missing = match &self.content {
            Content::Name(draft) => draft.head_missing() as u64,
            Content::Value(_) | Content::Nothing => 0,
        };
        if head_missing > 0 {
            left = left.min(head_missing);
        }
        let store = &mut keyspace.store;
        if head_missing == 0
            && let Some(blob) = self.blob_mut()
            && store.blob_reserve(blob, left, blob_len).is_err()
        {
            if store.has_garbage() {
                // Memory is on its way back: what an overwritten value has left, say.
                store.free(false);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.give_up();
        }
        let received = match self.blob_mut().filter(|_| head_missing == 0) {
            Some(blob) => {
                let mut slices = [const { None }; PAGES].map(|_: Option<()>| IoSliceMut::new(&mut []));
                let mut count = 0;
                for (slice, room) in slices.iter_mut().zip(blob.room(left)) {
                    *slice = IoSliceMut::new(room);
                    count += 1;
                }
                let received = ready!(stream.poll_read_slices(cx, &mut slices[..count]))?;
                blob.filled(received as u64);
                self.note_growth(received as u64);
                received
            }
            None => {
                let room = scratch.len().min(left as usize);
                let received = ready!(stream.poll_read_slices(cx, &mut [IoSliceMut::new(&mut scratch[..room])]))?;
                if head_missing > 0 {
                    self.push_head(&scratch[..received]);
                } else {
                    self.pass(&scratch[..received]);
                }
                received
            }
        };
        self.received += received as u64;
        Poll::Ready(Ok(received))
    }
}
