//! Any bytes, split anywhere, against the same bytes whole and against redis-protocol.
//!
//! 1. Requests and errors do not depend on how the bytes are split, nor on how many requests a call may return.
//! 2. What redis-protocol reads as an array of bulk strings is that request here, unless a number is not plain (`*01`).
//!
//! Run with `cargo +nightly fuzz run request_parser`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
use resp_server::proto::{Batch, Limits, Parser, ProtocolError};

type Request = Vec<Vec<u8>>;

/// The oracle recurses once for each nested array.
const INPUT_MAX: usize = 4096;

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (requests_max, cuts, bytes) = input;
    let bytes = &bytes[..bytes.len().min(INPUT_MAX)];
    let requests_max = usize::from(requests_max).max(1);

    let whole = parse([bytes], usize::MAX);
    assert_eq!(parse(bytes.chunks(1), 1), whole, "byte for byte");
    assert_eq!(parse(pieces(bytes, &cuts), requests_max), whole, "in pieces");
    compare_with_oracle(bytes);
});

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
