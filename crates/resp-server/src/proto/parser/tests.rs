//! Tests of the request parser: Redis's rules one by one, every split of the bytes, large arguments received apart, and
//! redis-protocol as an oracle.

use chunkbuf::{Options, Store};
use proptest::prelude::*;

use super::*;
use crate::proto::{Args, Value};

/// Requests as lists of arguments, and what ended them.
type Outcome = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// Passes `bytes` in the given pieces, as a connection does; returns the requests and the error.
fn parse_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, requests_max: usize, limits: &Limits) -> Outcome {
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let mut buffer = Vec::new();
    let mut requests = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let taken = match parser.parse(&mut buffer, &mut batch, requests_max, limits) {
                Ok(taken) => taken,
                Err(error) => return (requests, Some(error)),
            };
            assert!(batch.len() <= requests_max);
            for index in 0..batch.len() {
                let args = batch.args(index, &buffer);
                requests.push(args.from(0).map(<[u8]>::to_vec).collect());
            }
            buffer.drain(..taken);
            if batch.is_empty() {
                break;
            }
        }
    }
    (requests, None)
}

fn parse_whole(bytes: &[u8]) -> Outcome {
    parse_pieces([bytes], usize::MAX, &Limits::default())
}

/// The outcome must be the same whole, split in two at every byte, and byte for byte.
fn parse(bytes: &[u8]) -> Outcome {
    let whole = parse_whole(bytes);
    let limits = Limits::default();
    if bytes.len() < 1024 {
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_eq!(parse_pieces([left, right], 2, &limits), whole, "split at {at}");
        }
        assert_eq!(parse_pieces(bytes.chunks(1), 1, &limits), whole, "byte for byte");
    }
    whole
}

fn requests(list: &[&[&[u8]]]) -> Vec<Vec<Vec<u8>>> {
    list.iter().map(|args| args.iter().map(|arg| arg.to_vec()).collect()).collect()
}

#[track_caller]
fn accepts(bytes: &[u8], expected: &[&[&[u8]]]) {
    assert_eq!(parse(bytes), (requests(expected), None));
}

#[track_caller]
fn refuses(bytes: &[u8], text: &str) {
    let (_, error) = parse(bytes);
    let error = error.unwrap_or_else(|| panic!("{} is refused", bytes.escape_ascii()));
    assert_eq!(
        error.text().escape_ascii().to_string(),
        format!("ERR Protocol error: {text}").escape_default().to_string()
    );
}

/// So many bytes `byte` behind `prefix`.
fn line(prefix: &[u8], byte: u8, len: usize) -> Vec<u8> {
    let mut line = prefix.to_vec();
    line.resize(prefix.len() + len, byte);
    line
}

#[test]
fn a_request_is_an_array_of_bulk_strings() {
    accepts(
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n*1\r\n$4\r\nPING\r\n",
        &[&[b"SET", b"k", b"hello"], &[b"PING"]],
    );
}

#[test]
fn a_bulk_may_hold_any_byte_or_none() {
    accepts(b"*2\r\n$0\r\n\r\n$5\r\n\r\n\0*1\r\n", &[&[b"", b"\r\n\0*1"]]);
}

#[test]
fn an_inline_command_is_a_line_of_words() {
    accepts(b"PING\r\nset  k\tv \nPING a\rb\r\n", &[&[b"PING"], &[b"set", b"k", b"v"], &[b"PING", b"a", b"b"]]);
}

#[test]
fn quotes_of_an_inline_command_are_unescaped_among_other_requests() {
    accepts(
        b"PING\r\nset k \"a\\x20\\\"b\" 'c\\'d'\r\nget 'k'\r\n*1\r\n$4\r\nPING\r\n",
        &[&[b"PING"], &[b"set", b"k", b"a \"b", b"c'd"], &[b"get", b"k"], &[b"PING"]],
    );
}

#[test]
fn requests_of_nothing_are_skipped() {
    accepts(b"*0\r\n*-1\r\n*-10\r\n\r\n\n  \t\r\nPING\r\n", &[&[b"PING"]]);
}

#[test]
fn the_byte_behind_a_cr_and_those_behind_a_bulk_are_not_looked_at() {
    accepts(b"*1\rX$4\rYPINGab*0\r-PING\r\n", &[&[b"PING"], &[b"PING"]]);
}

#[test]
fn a_line_feed_alone_does_not_end_a_length() {
    refuses(b"*1\n$4\r\nPING\r\n", "invalid multibulk length");
    accepts(b"*1\r\n\n", &[]);
    refuses(b"*1\r\n$4\nPING\r\n", "invalid bulk length");
}

#[test]
fn a_nul_hides_the_rest_of_a_line() {
    accepts(b"PI\0NG\r\nPING\r\n", &[]);
    accepts(b"*\x001\r\n", &[]);
    accepts(b"*1\r\n$\0\r\n", &[]);
    refuses(&line(b"\0\r\n", b'\n', LINE_LEN_MAX), "too big inline request");
}

#[test]
fn a_number_of_arguments_is_a_plain_number() {
    for number in ["", "01", "-0", "+1", " 1", "1 ", "a", "1a", "2147483648"] {
        refuses(format!("PING\r\n*{number}\r\n").as_bytes(), "invalid multibulk length");
    }
    refuses(b"*9223372036854775808\r\n", "invalid multibulk length");
    refuses(b"*99999999999999999999999\r\n", "invalid multibulk length");
    accepts(b"*2147483647\r\n", &[]);
}

#[test]
fn a_length_is_a_plain_number_within_the_limit() {
    for number in ["", "-1", "04", "+4", "x", "536870913", "99999999999999999999"] {
        refuses(format!("*1\r\n${number}\r\n").as_bytes(), "invalid bulk length");
    }
    accepts(b"*1\r\n$536870912\r\n", &[]);
}

#[test]
fn an_argument_begins_with_a_dollar() {
    refuses(b"*1\r\nfoo\r\n", "expected '$', got 'f'");
    refuses(b"*2\r\n$4\r\nECHO\r\n:1\r\n", "expected '$', got ':'");
    refuses(b"*1\r\n\r\n", "expected '$', got '\r'");
    refuses(b"*1\r\n$1\r\na\r\n*1\r\n \r\n", "expected '$', got ' '");
    assert_eq!(parse(b"*1\r\n\xff\r\n").1, Some(ProtocolError::ExpectedDollar(0xff)));
    // Not before the line is whole.
    accepts(b"*1\r\nXYZ", &[]);
}

#[test]
fn quotes_must_match() {
    refuses(b"PING\r\nPING \"a\r\n", "unbalanced quotes in request");
    refuses(b"PING 'a b'c\r\n", "unbalanced quotes in request");
}

#[test]
fn a_line_may_be_64_kib_while_its_end_has_not_come() {
    for (prefix, byte, text) in [
        (&b"A"[..], b'A', "too big inline request"),
        (b"*", b'1', "too big mbulk count string"),
        (b"$", b'A', "too big inline request"),
    ] {
        accepts(&line(prefix, byte, LINE_LEN_MAX - 1), &[]);
        refuses(&line(prefix, byte, LINE_LEN_MAX), text);
    }
    accepts(&line(b"*1\r\n$", b'1', LINE_LEN_MAX - 1), &[]);
    refuses(&line(b"*1\r\n$", b'1', LINE_LEN_MAX), "too big bulk count string");
}

#[test]
fn requests_before_a_malformed_one_are_answered() {
    let (requests, error) = parse(b"PING\r\n*1\r\n$4\r\nPING\r\n*x\r\nPING\r\n");
    assert_eq!(requests.len(), 2);
    assert_eq!(error, Some(ProtocolError::MultibulkLength));
}

#[test]
fn an_unauthenticated_client_may_send_10_arguments_of_16_kib() {
    let limits = Limits { unauthenticated: true, ..Limits::default() };
    let outcome = |bytes: &[u8]| parse_pieces([bytes], 16, &limits).1;
    assert_eq!(outcome(b"*10\r\n$16384\r\n"), None);
    assert_eq!(outcome(b"*11\r\n"), Some(ProtocolError::UnauthenticatedMultibulk));
    assert_eq!(outcome(b"*1\r\n$16385\r\n"), Some(ProtocolError::UnauthenticatedBulk));
    assert_eq!(outcome(b"*1\r\n$536870913\r\n"), Some(ProtocolError::BulkLength));
}

#[test]
fn limits_may_change_between_the_requests_of_one_read() {
    let mut bytes = b"AUTH pw\r\n*11\r\n".to_vec();
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let mut limits = Limits { unauthenticated: true, ..Limits::default() };
    let taken = parser.parse(&mut bytes, &mut batch, 16, &limits).unwrap();
    assert_eq!((taken, batch.len()), (9, 1));
    limits.unauthenticated = false;
    let rest = &mut bytes[taken..];
    assert_eq!(parser.parse(rest, &mut batch, 16, &limits), Ok(0));
}

#[test]
fn what_is_missing_of_a_bulk_is_known_from_its_header_on() {
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let limits = Limits::default();
    let mut bytes = b"PING\r\n*2\r\n$4\r\nECHO\r\n$100000\r\nabc".to_vec();
    let taken = parser.parse(&mut bytes, &mut batch, 16, &limits).unwrap();
    assert_eq!(taken, 6);
    let header = b"*2\r\n$4\r\nECHO\r\n$100000\r\n".len();
    assert_eq!(parser.needed(), Some(header + 100_000 + 2));
}

#[test]
fn an_announced_count_reserves_nothing() {
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let mut bytes = b"*2147483647\r\n$500000000\r\n".to_vec();
    parser.parse(&mut bytes, &mut batch, 16, &Limits::default()).unwrap();
    assert_eq!(parser.args.capacity(), 0);
}

/// A request of a million arguments in 64-byte pieces takes as long as its bytes, not their square: the parser keeps its
/// arguments. (With arguments copied at each call this takes minutes.)
#[test]
fn a_request_in_many_pieces_is_not_parsed_again() {
    const ARGS: usize = 200_000;
    let mut bytes = format!("*{ARGS}\r\n").into_bytes();
    for _ in 0..ARGS {
        bytes.extend_from_slice(b"$1\r\na\r\n");
    }
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let limits = Limits::default();
    let mut end = 0;
    while end < bytes.len() {
        end = bytes.len().min(end + 64);
        let taken = parser.parse(&mut bytes[..end], &mut batch, 16, &limits).unwrap();
        assert_eq!(taken, if end == bytes.len() { end } else { 0 });
    }
    assert_eq!(batch.args(0, &bytes).len(), ARGS);
}

/// Passes `bytes` in the given pieces, as a connection does that receives arguments of more than `large` bytes apart.
fn parse_apart<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, large: usize) -> Outcome {
    let mut store = Store::new(Options::default());
    let (mut parser, mut batch, limits) = (Parser::new(), Batch::new(), Limits::default());
    let mut buffer = Vec::new();
    let mut requests = Vec::new();
    let mut upload = None;
    for mut piece in pieces {
        while !piece.is_empty() {
            if let Some((mut blob, left)) = upload.take() {
                let (value, rest) = piece.split_at(piece.len().min(left));
                store.blob_append(&mut blob, value).unwrap();
                piece = rest;
                match left - value.len() {
                    0 => parser.put_apart(Some(blob)),
                    left => upload = Some((blob, left)),
                }
                continue;
            }
            buffer.extend_from_slice(std::mem::take(&mut piece));
            loop {
                let taken = match parser.parse(&mut buffer, &mut batch, 2, &limits) {
                    Ok(taken) => taken,
                    Err(error) => return (requests, Some(error)),
                };
                requests.extend((0..batch.len()).map(|index| taken_whole(&batch.args(index, &buffer))));
                buffer.drain(..taken);
                if batch.is_empty() {
                    break;
                }
            }
            if let Some(awaited) = parser.awaited_bulk()
                && awaited.len as usize > large.max(buffer.len() - awaited.at)
            {
                let mut blob = store.new_blob();
                store.blob_append(&mut blob, &buffer[awaited.at..]).unwrap();
                upload = Some((blob, awaited.len as usize - (buffer.len() - awaited.at)));
                buffer.truncate(awaited.at);
            }
        }
    }
    (requests, None)
}

/// The arguments of a request, wherever they stand; those that stand apart are gone then.
fn taken_whole(args: &Args<'_>) -> Vec<Vec<u8>> {
    assert!(args.is_whole());
    let mut list = Vec::new();
    for index in 0..args.len() {
        let len = args.len_of(index);
        let arg = match args.take_value(index) {
            Value::Bytes(bytes) => bytes.to_vec(),
            Value::Blob(blob) => blob.pieces(0..blob.len()).collect::<Vec<_>>().concat(),
        };
        assert_eq!(arg.len() as u64, len);
        assert!(arg.starts_with(args.beginning(index, 8)));
        list.push(arg);
    }
    list
}

/// Large arguments apart or not, whole or in pieces, the requests are the same.
fn same_apart(bytes: &[u8]) {
    let whole = parse_whole(bytes);
    for large in [0, 3, 6] {
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_eq!(parse_apart([left, right], large), whole, "split at {at}, large from {large}");
        }
        for len in 1..8 {
            assert_eq!(parse_apart(bytes.chunks(len), large), whole, "{len} at a time, large from {large}");
        }
    }
}

#[test]
fn large_arguments_are_received_apart_among_other_requests() {
    same_apart(
        b"*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\n\r\n*1\r\n$4\r\n\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
    );
}

#[test]
fn a_request_may_have_several_large_arguments_side_by_side_and_apart() {
    same_apart(b"*7\r\n$4\r\nMSET\r\n$1\r\na\r\n$8\r\n01234567\r\n$7\r\nlongkey\r\n$0\r\n\r\n$1\r\nb\r\n$5\r\n\0\r\n$1\r\nGET k\r\n");
}

#[test]
fn what_is_malformed_behind_a_large_argument_is_refused_as_ever() {
    same_apart(b"*3\r\n$3\r\nSET\r\n$7\r\n0123456\r\n:1\r\n");
    same_apart(b"*2\r\n$3\r\nSET\r\n$7\r\n0123456\r\n*1\r\n$-1\r\nPING\r\n");
    // The two bytes behind it are not looked at.
    same_apart(b"*2\r\n$3\r\nGET\r\n$7\r\n0123456abPING\r\n");
}

#[test]
fn an_argument_for_which_there_was_no_memory_makes_its_request_incomplete() {
    let (mut parser, mut batch, limits) = (Parser::new(), Batch::new(), Limits::default());
    let mut bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\n".to_vec();
    assert_eq!(parser.parse(&mut bytes, &mut batch, 16, &limits), Ok(0));
    let awaited = parser.awaited_bulk().unwrap();
    let before: Vec<&[u8]> = awaited.before.iter().map(|span| span.of(&bytes)).collect();
    assert_eq!((before, awaited.len, awaited.at), (vec![&b"SET"[..], b"k"], 9, bytes.len()));
    parser.put_apart(None);
    bytes.extend_from_slice(b"\r\nGET k\r\n");
    assert_eq!(parser.parse(&mut bytes, &mut batch, 16, &limits), Ok(bytes.len()));
    assert_eq!(batch.len(), 2);
    let args = batch.args(0, &bytes);
    assert!(!args.is_whole());
    assert_eq!((args.len(), args.len_of(1), args.len_of(2), args.beginning(2, 8)), (3, 1, 9, &b""[..]));
    assert!(batch.args(1, &bytes).is_whole());
}

#[test]
fn a_name_is_never_received_apart() {
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    parser.parse(&mut b"*3\r\n$100000\r\nSET".to_vec(), &mut batch, 16, &Limits::default()).unwrap();
    assert_eq!(parser.awaited_bulk(), None);
}

/// A request with two arguments, `len` bytes apart each, over the bytes that are returned with it.
fn two_apart(store: &mut Store, len: usize) -> (Batch, Vec<u8>) {
    let (mut parser, mut batch, limits) = (Parser::new(), Batch::new(), Limits::default());
    let mut bytes = b"*5\r\n$4\r\nMSET\r\n$1\r\na\r\n".to_vec();
    for (letter, behind) in [(b'x', &b"\r\n$1\r\nb\r\n"[..]), (b'y', b"\r\n")] {
        bytes.extend_from_slice(format!("${len}\r\n").as_bytes());
        assert_eq!(parser.parse(&mut bytes, &mut batch, 16, &limits), Ok(0));
        let mut blob = store.new_blob();
        store.blob_append(&mut blob, &vec![letter; len]).unwrap();
        parser.put_apart(Some(blob));
        bytes.extend_from_slice(behind);
    }
    assert_eq!(parser.parse(&mut bytes, &mut batch, 16, &limits), Ok(bytes.len()));
    (batch, bytes)
}

#[test]
fn what_stands_apart_is_known_by_its_beginning_and_length_when_it_was_taken() {
    let mut store = Store::new(Options::default());
    let (batch, bytes) = two_apart(&mut store, 100_000);
    let args = batch.args(0, &bytes);
    let Value::Blob(value) = args.take_value(4) else { panic!("it stands apart") };
    assert_eq!((value.len(), value.byte(0)), (100_000, b'y'));
    assert!(!args.is_whole(), "one was taken");
    assert_eq!((args.len_of(2), args.len_of(3), args.len_of(4)), (100_000, 1, 100_000));
    assert_eq!(
        (args.beginning(2, 3), args.beginning(3, 3), args.beginning(4, 3)),
        (&b"xxx"[..], &b"b"[..], &b"yyy"[..])
    );
}

#[test]
#[should_panic(expected = "what stands apart is taken once")]
fn what_stands_apart_is_taken_once() {
    let mut store = Store::new(Options::default());
    let (batch, bytes) = two_apart(&mut store, 10);
    drop(batch.args(0, &bytes).take_value(2));
    batch.args(0, &bytes).take_value(2);
}

#[test]
fn what_was_not_taken_goes_back_to_the_store_with_the_batch() {
    let mut store = Store::new(Options::default());
    let (mut batch, _) = two_apart(&mut store, 100_000);
    assert!(store.usage().blobs.page_bytes >= 200_000);
    batch.clear();
    while store.debt() > 0 {
        store.step(chunkbuf::Budget::STEP, false);
    }
    assert_eq!(store.usage().blobs.page_bytes, 0);
}

/// What redis-protocol makes of the same bytes; `None` at the end of complete frames.
fn oracle(mut bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
    let mut requests = Vec::new();
    while let Some((frame, len)) = decode(bytes).expect("the bytes are well-formed") {
        let OwnedFrame::Array(args) = frame else { panic!("a request is an array") };
        let args = args.into_iter().map(|arg| match arg {
            OwnedFrame::BulkString(bytes) => bytes,
            other => panic!("an argument is a bulk string, not {other:?}"),
        });
        requests.push(args.collect());
        bytes = &bytes[len..];
    }
    requests
}

/// Parts of requests, well-formed more often than not when put together.
const PIECES: &[&[u8]] = &[
    b"*1\r\n",
    b"*2\r\n",
    b"*0\r\n",
    b"$1\r\n",
    b"$0\r\n",
    b"a\r\n",
    b"\r\n",
    b"PING\r\n",
    b"\"q\\\"\" 'x'\r\n",
    b"'\r\n",
    b"*",
    b"$2\r\nab",
    b"\n",
    b"\r",
];

/// Parts of requests with arguments of several lengths.
const LARGE_PIECES: &[&[u8]] = &[
    b"*2\r\n$3\r\nSET\r\n",
    b"*3\r\n$4\r\nMSET\r\n",
    b"$7\r\n\r\n*1\r\n\"\r\n",
    b"$4\r\n$4\r\n\r\n",
    b"$9\r\n123456789\r\n",
    b"$1\r\na\r\n",
    b"$5\r\n",
    b"PING 'x'\r\n",
];

proptest! {
    #[test]
    fn well_formed_requests_are_what_redis_protocol_reads(
        list in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..6),
            1..6,
        ),
        cut in 0_usize..30,
    ) {
        let mut bytes = Vec::new();
        for args in &list {
            bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
            for arg in args {
                bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
                bytes.extend_from_slice(arg);
                bytes.extend_from_slice(b"\r\n");
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        let (requests, error) = parse(&bytes);
        prop_assert_eq!(error, None);
        prop_assert_eq!(requests, oracle(&bytes));
    }

    #[test]
    fn large_arguments_are_the_same_apart_or_not(
        pieces in prop::collection::vec(prop::sample::select(LARGE_PIECES), 0..12),
    ) {
        same_apart(&pieces.concat());
    }

    #[test]
    fn any_bytes_mean_the_same_however_they_are_split(
        bytes in prop::collection::vec(
            prop::sample::select(b"*$0123 \r\n\"'\\xa\0\xff".as_slice()),
            0..60,
        ),
    ) {
        parse(&bytes);
    }

    #[test]
    fn nearly_well_formed_requests_mean_the_same_however_they_are_split(
        pieces in prop::collection::vec(
            prop::sample::select(PIECES),
            0..16,
        ),
    ) {
        parse(&pieces.concat());
    }
}
