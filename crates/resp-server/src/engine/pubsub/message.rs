//! A message's payload.

use bytes::Bytes;
use chunkbuf::BlobSlice;

use crate::engine::outbox::Frame;
use crate::proto::Value;

/// What is published.
#[derive(Clone, Debug)]
pub enum Message {
    /// Bytes.
    Bytes(Bytes),
    /// A large value, on the pages that it was received into.
    Blob(BlobSlice),
}

impl Message {
    /// The message that is these bytes.
    pub fn copy_of(bytes: &[u8]) -> Message {
        Message::Bytes(Bytes::copy_from_slice(bytes))
    }

    /// An argument.
    pub fn of(value: Value<'_>) -> Message {
        match value {
            Value::Bytes(bytes) => Message::copy_of(bytes),
            Value::Blob(blob) => Message::Blob(blob.slice(0..blob.len())),
        }
    }

    /// How it reaches a subscriber, behind these words.
    pub(super) fn frame(&self, words: &[&[u8]]) -> Frame {
        Frame::push(words, self)
    }
}
