//! Replies: decoded by `redis-protocol`, printed as redis-cli prints them on a terminal.
//!
//! ```text
//! *2\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n      1) (integer) 1
//!                                            2) 1) "a"
//!                                               2) (nil)
//! ```
//!
//! Three limits come with the decoder. A double is a number here, not the digits that were sent: it prints with the shortest
//! digits that read back as it. A RESP3 set that holds aggregates (the key specifications of `COMMAND INFO`) is refused, so
//! such replies are looked at in RESP2. And a number that a set holds twice is seen once.

use redis_protocol::{resp2, resp3};

use crate::quote::quoted;

/// The protocol that a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// A reply of either protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// `+OK`
    Status(String),
    /// `-ERR ...`, with its prefix.
    Error(String),
    /// `:1`
    Integer(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` or `_`
    Nil,
    /// `,1.5`
    Double(f64),
    /// `#t`
    Boolean(bool),
    /// `(123`, its digits.
    BigNumber(String),
    /// `=`, without the three letters of its format.
    Verbatim(Vec<u8>),
    /// `*`
    Array(Vec<Frame>),
    /// `%`, in the order sent.
    Map(Vec<(Frame, Frame)>),
    /// `~`, in the order sent.
    Set(Vec<Frame>),
    /// `>`
    Push(Vec<Frame>),
}

impl Frame {
    /// The first reply in `bytes` and its length on the wire, or `None` when it is not complete yet.
    ///
    /// # Errors
    /// The bytes are no reply of `protocol`, with the decoder's words.
    pub fn decode(bytes: &[u8], protocol: Protocol) -> Result<Option<(Frame, usize)>, String> {
        // The decoder takes an empty buffer for an error in some versions; nothing is never a whole reply.
        if bytes.is_empty() {
            return Ok(None);
        }
        let shown = || quoted(&bytes[..bytes.len().min(80)]);
        match protocol {
            Protocol::Resp2 => resp2::decode::decode(bytes)
                .map(|found| found.map(|(frame, len)| (from_resp2(frame), len)))
                .map_err(|error| format!("not RESP2 ({error}): {}", shown())),
            Protocol::Resp3 => resp3::decode::complete::decode_range(bytes)
                .map(|found| found.map(|(frame, len)| (from_resp3(frame, bytes), len)))
                .map_err(|error| format!("not RESP3 ({error}): {}", shown())),
        }
    }

    /// Whether this is an error reply.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Frame::Error(_))
    }

    /// The reply as redis-cli prints it on a terminal, without the final line feed.
    #[must_use]
    pub fn printed(&self) -> String {
        let mut out = String::new();
        self.print(&mut out, "");
        out
    }

    fn print(&self, out: &mut String, indent: &str) {
        match self {
            Frame::Status(text) => out.push_str(text),
            Frame::Error(text) => out.push_str(&format!("(error) {text}")),
            Frame::Integer(number) => out.push_str(&format!("(integer) {number}")),
            Frame::Bulk(bytes) => out.push_str(&quoted(bytes)),
            Frame::Nil => out.push_str("(nil)"),
            Frame::Double(number) => out.push_str(&format!("(double) {number}")),
            Frame::Boolean(truth) => out.push_str(if *truth { "(true)" } else { "(false)" }),
            Frame::BigNumber(digits) => out.push_str(&format!("(big number) {digits}")),
            Frame::Verbatim(bytes) => {
                out.push_str(String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']));
            }
            Frame::Array(items) => print_items(out, indent, items, ')', "(empty array)"),
            Frame::Set(items) => print_items(out, indent, items, '~', "(empty set)"),
            Frame::Push(items) => print_items(out, indent, items, ')', "(empty push)"),
            Frame::Map(pairs) => print_pairs(out, indent, pairs),
        }
    }

    fn is_filled_aggregate(&self) -> bool {
        match self {
            Frame::Array(items) | Frame::Set(items) | Frame::Push(items) => !items.is_empty(),
            Frame::Map(pairs) => !pairs.is_empty(),
            _ => false,
        }
    }
}

fn print_items(out: &mut String, indent: &str, items: &[Frame], mark: char, empty: &str) {
    if items.is_empty() {
        out.push_str(empty);
        return;
    }
    let digits = items.len().to_string().len();
    let inner = format!("{indent}{:width$}", "", width = digits + 2);
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push('\n');
            out.push_str(indent);
        }
        out.push_str(&format!("{:>digits$}{mark} ", place + 1));
        item.print(out, &inner);
    }
}

fn print_pairs(out: &mut String, indent: &str, pairs: &[(Frame, Frame)]) {
    if pairs.is_empty() {
        out.push_str("(empty hash)");
        return;
    }
    let digits = pairs.len().to_string().len();
    let inner = format!("{indent}{:width$}", "", width = digits + 2);
    for (place, (key, value)) in pairs.iter().enumerate() {
        if place > 0 {
            out.push('\n');
            out.push_str(indent);
        }
        out.push_str(&format!("{:>digits$}# ", place + 1));
        key.print(out, &inner);
        out.push_str(" => ");
        if value.is_filled_aggregate() {
            out.push('\n');
            out.push_str(&inner);
        }
        value.print(out, &inner);
    }
}

fn from_resp2(frame: resp2::types::OwnedFrame) -> Frame {
    use resp2::types::OwnedFrame as Owned;
    match frame {
        Owned::SimpleString(text) => Frame::Status(String::from_utf8_lossy(&text).into_owned()),
        Owned::Error(text) => Frame::Error(text),
        Owned::Integer(number) => Frame::Integer(number),
        Owned::BulkString(bytes) => Frame::Bulk(bytes),
        Owned::Array(items) => Frame::Array(items.into_iter().map(from_resp2).collect()),
        Owned::Null => Frame::Nil,
    }
}

/// A decoded RESP3 reply, whose texts are ranges of `bytes`.
fn from_resp3(frame: resp3::types::RangeFrame, bytes: &[u8]) -> Frame {
    use resp3::types::RangeFrame as Range;
    let slice = |(from, to): (usize, usize)| bytes[from..to].to_vec();
    let text = |range| String::from_utf8_lossy(&slice(range)).into_owned();
    let all = |frames: Vec<Range>| frames.into_iter().map(|frame| from_resp3(frame, bytes)).collect();
    match frame {
        Range::BlobString { data, .. } | Range::ChunkedString(data) => Frame::Bulk(slice(data)),
        Range::BlobError { data, .. } | Range::SimpleError { data, .. } => Frame::Error(text(data)),
        Range::SimpleString { data, .. } => Frame::Status(text(data)),
        Range::Boolean { data, .. } => Frame::Boolean(data),
        Range::Null => Frame::Nil,
        Range::Number { data, .. } => Frame::Integer(data),
        Range::Double { data, .. } => Frame::Double(data),
        Range::BigNumber { data, .. } => Frame::BigNumber(text(data)),
        Range::VerbatimString { data, .. } => Frame::Verbatim(slice(data)),
        Range::Array { data, .. } => Frame::Array(all(data)),
        Range::Push { data, .. } => Frame::Push(all(data)),
        Range::Set { data, .. } => Frame::Set(data.into_iter().map(|item| from_resp3(item, bytes)).collect()),
        Range::Map { data, .. } => {
            let mut pairs: Vec<(Range, Range)> = data.into_iter().collect();
            // The decoder fills its map from the last pair to the first.
            pairs.reverse();
            Frame::Map(
                pairs.into_iter().map(|(key, value)| (from_resp3(key, bytes), from_resp3(value, bytes))).collect(),
            )
        }
        Range::Hello { .. } => Frame::Error("the server sent HELLO as a reply".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(bytes: &str, protocol: Protocol) -> String {
        let (frame, len) = Frame::decode(bytes.as_bytes(), protocol).unwrap().unwrap();
        assert_eq!(len, bytes.len());
        frame.printed()
    }

    #[test]
    fn scalars_print_as_redis_cli_prints_them() {
        let resp2 = |bytes| printed(bytes, Protocol::Resp2);
        assert_eq!(resp2("+OK\r\n"), "OK");
        assert_eq!(resp2("-ERR no\r\n"), "(error) ERR no");
        assert_eq!(resp2(":-7\r\n"), "(integer) -7");
        assert_eq!(resp2("$3\r\na\"\n\r\n"), r#""a\"\n""#);
        assert_eq!(resp2("$-1\r\n"), "(nil)");
        assert_eq!(resp2("*-1\r\n"), "(nil)");
        assert_eq!(resp2("*0\r\n"), "(empty array)");
        let resp3 = |bytes| printed(bytes, Protocol::Resp3);
        assert_eq!(resp3(",3.141\r\n"), "(double) 3.141");
        assert_eq!(resp3(",inf\r\n"), "(double) inf");
        assert_eq!(resp3("#t\r\n"), "(true)");
        assert_eq!(resp3("#f\r\n"), "(false)");
        assert_eq!(resp3("_\r\n"), "(nil)");
        assert_eq!(resp3("~0\r\n"), "(empty set)");
        assert_eq!(resp3("%0\r\n"), "(empty hash)");
        assert_eq!(resp3("=8\r\ntxt:a\nb\n\r\n"), "a\nb");
    }

    // Printed by redis-cli 7.0.15 for: EVAL 'return {{1,2},{1,{2,3}},1,2,3,4,5,6,7,8}' 0
    #[test]
    fn nested_arrays_indent_by_the_width_of_the_largest_index() {
        let wire =
            "*10\r\n*2\r\n:1\r\n:2\r\n*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n";
        let expected = [
            " 1) 1) (integer) 1",
            "    2) (integer) 2",
            " 2) 1) (integer) 1",
            "    2) 1) (integer) 2",
            "       2) (integer) 3",
            " 3) (integer) 1",
            " 4) (integer) 2",
            " 5) (integer) 3",
            " 6) (integer) 4",
            " 7) (integer) 5",
            " 8) (integer) 6",
            " 9) (integer) 7",
            "10) (integer) 8",
        ];
        assert_eq!(printed(wire, Protocol::Resp2), expected.join("\n"));
    }

    // As redis-cli 7.0.15 prints COMMAND DOCS GET in RESP3 (shortened, some texts as statuses).
    #[test]
    fn an_aggregate_in_a_map_begins_on_a_line_of_its_own() {
        let wire = "%1\r\n$3\r\nget\r\n%2\r\n+since\r\n$5\r\n1.0.0\r\n+arguments\r\n*1\r\n%1\r\n+name\r\n$3\r\nkey\r\n";
        let expected =
            ["1# \"get\" => ", "   1# since => \"1.0.0\"", "   2# arguments => ", "      1) 1# name => \"key\""];
        assert_eq!(printed(wire, Protocol::Resp3), expected.join("\n"));
    }

    #[test]
    fn a_map_keeps_the_order_in_which_it_was_sent() {
        let wire = "%3\r\n+z\r\n:1\r\n+a\r\n:2\r\n+m\r\n:3\r\n";
        assert_eq!(printed(wire, Protocol::Resp3), "1# z => (integer) 1\n2# a => (integer) 2\n3# m => (integer) 3");
    }

    #[test]
    fn every_cut_of_a_reply_is_incomplete_and_not_an_error() {
        for (wire, protocol) in
            [("*2\r\n$3\r\nabc\r\n:12\r\n", Protocol::Resp2), ("%1\r\n$1\r\na\r\n,1.5\r\n", Protocol::Resp3)]
        {
            for cut in 0..wire.len() {
                assert_eq!(Frame::decode(&wire.as_bytes()[..cut], protocol), Ok(None), "cut at {cut}");
            }
        }
        assert!(Frame::decode(b"?\r\n", Protocol::Resp2).is_err());
    }
}
