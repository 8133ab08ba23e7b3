//! Any bytes, split anywhere, against the same bytes whole and against redis-protocol.
//!
//! 1. Requests and errors do not depend on how the bytes are split, nor on how many requests a call may return.
//! 2. What redis-protocol reads as an array of bulk strings is that request here, unless a number is not plain (`*01`).
//! 3. Requests that are well-formed are read as they were meant, by both, wherever their bytes are split in two.
//!
//! Run with `cargo +nightly fuzz run request_parser`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
use resp_server::proto::{Batch, Limits, Parser, ProtocolError};

type Request = Vec<Vec<u8>>;

/// The oracle recurses once for each nested array.
const INPUT_MAX: usize = 4096;

/// Bytes of which every split is tried.
const SPLITS_MAX: usize = 512;

fuzz_target!(|input: (u8, Vec<u8>, Vec<Request>, Vec<u8>)| {
    let (requests_max, cuts, requests, bytes) = input;
    let bytes = &bytes[..bytes.len().min(INPUT_MAX)];
    let requests_max = usize::from(requests_max).max(1);

    let whole = parse([bytes], usize::MAX);
    assert_eq!(parse(bytes.chunks(1), 1), whole, "byte for byte");
    assert_eq!(parse(pieces(bytes, &cuts), requests_max), whole, "in pieces");
    compare_with_oracle(bytes);
    well_formed(requests.into_iter().filter(|words| !words.is_empty()).collect());
});

/// Requests as they should be sent.
fn well_formed(requests: Vec<Request>) {
    let mut bytes = Vec::new();
    for words in &requests {
        let begin = bytes.len();
        bytes.extend(format!("*{}\r\n", words.len()).bytes());
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).bytes());
            bytes.extend_from_slice(word);
            bytes.extend(b"\r\n");
        }
        let frames = words.iter().cloned().map(OwnedFrame::BulkString).collect();
        let len = bytes.len() - begin;
        assert_eq!(decode(&bytes[begin..]), Ok(Some((OwnedFrame::Array(frames), len))));
    }
    let meant = (requests, None);
    assert_eq!(parse([&bytes[..]], usize::MAX), meant);
    assert_eq!(parse(bytes.chunks(1), 1), meant, "byte for byte");
    for at in 1..bytes.len().min(SPLITS_MAX) {
        assert_eq!(parse([&bytes[..at], &bytes[at..]], usize::MAX), meant, "split at {at}");
    }
}

/// `bytes` in pieces of the lengths that `cuts` names, the last one with the rest.
fn pieces<'a>(mut bytes: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &cut in cuts {
        let (piece, rest) = bytes.split_at(usize::from(cut).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

/// What a connection makes of bytes that arrive in such pieces.
fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, requests_max: usize) -> (Vec<Request>, Option<ProtocolError>) {
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let mut buffer = Vec::new();
    let mut requests = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let taken = match parser.parse(&mut buffer, &mut batch, requests_max, &Limits::default()) {
                Ok(taken) => taken,
                Err(error) => return (requests, Some(error)),
            };
            assert!(batch.len() <= requests_max);
            for index in 0..batch.len() {
                requests.push(batch.args(index, &buffer).from(0).map(<[u8]>::to_vec).collect());
            }
            buffer.drain(..taken);
            if let Some(needed) = parser.needed() {
                assert!(needed > buffer.len(), "what is awaited is not there yet");
            }
            if batch.is_empty() {
                break;
            }
        }
    }
    (requests, None)
}

fn compare_with_oracle(bytes: &[u8]) {
    let Ok(Some((OwnedFrame::Array(frames), len))) = decode(bytes) else { return };
    let mut args = Vec::new();
    for frame in frames {
        let OwnedFrame::BulkString(arg) = frame else { return };
        args.push(arg);
    }
    if args.is_empty() {
        return;
    }
    match parse([&bytes[..len]], 1) {
        (requests, None) => assert_eq!(requests, [args]),
        (requests, Some(ProtocolError::MultibulkLength | ProtocolError::BulkLength)) => assert!(requests.is_empty()),
        (_, Some(error)) => panic!("{error:?}"),
    }
}
