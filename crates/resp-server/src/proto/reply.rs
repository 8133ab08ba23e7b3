//! What a handler writes its answer to: RESP2 or RESP3, whichever the client has chosen.
//!
//! Replies are appended to one list of bytes, and a large value is queued by reference behind what was written before it, so
//! that the connection sends everything with one vectored write. Types that RESP2 lacks are written as RESP2 clients expect
//! them (a map as a flat array, a double as a bulk string, and so on), which is the rule of Redis.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use chunkbuf::BlobSlice;
use memmap2::MmapOptions;

use crate::types::name::StoredName;

/// Bytes from which on a segment has a mapping of its own, which goes back to the system by itself. From the heap, those of a long
/// reply would go back at once with the last of them, which was seen to take 0.2 to 2 ms, or never. Its pages come with the mapping:
/// one by one, as they are written, they took half as long again.
const MAPPED_BYTES_MIN: usize = 32 * 1024;

/// The version of the protocol that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The default of every connection.
    #[default]
    Resp2,
    /// Chosen with `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// Its number, as `HELLO` takes it.
    pub const fn version(self) -> i64 {
        match self {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }
}

/// Replies of one connection that are not sent yet, in order.
#[derive(Debug, Default)]
pub struct Reply {
    /// The protocol in which the next reply is written.
    pub protocol: Protocol,
    /// Whole segments that go out before `tail`.
    queue: VecDeque<Segment>,
    /// Bytes of `queue` altogether.
    queued_bytes: usize,
    /// Bytes of `queue` that belong to blobs.
    blob_bytes: usize,
    tail: Vec<u8>,
}

/// What goes out as it is.
#[derive(Debug)]
enum Segment {
    Bytes(Bytes),
    /// A part of a blob: its pages are looked up as they are sent.
    Blob(BlobSlice),
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Segment::Bytes(bytes) => bytes.len(),
            Segment::Blob(slice) => slice.len() as usize,
        }
    }

    fn advance(&mut self, bytes: usize) {
        match self {
            Segment::Bytes(segment) => segment.advance(bytes),
            Segment::Blob(slice) => slice.advance(bytes as u64),
        }
    }
}

/// Where an array's header of unknown length has to go.
#[derive(Debug)]
#[must_use = "an array that was begun must be ended"]
pub struct OpenArray {
    at: usize,
    segments: usize,
}

impl Reply {
    /// An empty reply in RESP2.
    pub fn new() -> Reply {
        Reply::default()
    }

    /// An empty reply in a protocol.
    pub fn speaking(protocol: Protocol) -> Reply {
        Reply { protocol, ..Reply::default() }
    }

    /// Bytes that wait to be sent.
    pub fn len(&self) -> usize {
        self.queued_bytes + self.tail.len()
    }

    /// Bytes that wait to be sent and are not those of blobs: the memory that the reply takes. What a blob takes is the store's
    /// to count, whoever refers to it.
    pub fn own_bytes(&self) -> usize {
        self.len() - self.blob_bytes
    }

    /// Segments that wait to be sent before what was written last.
    pub fn segments(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.tail.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string; `text` must not contain CR or LF.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error line. A line must not hold CR and LF: at the end of `text` they are dropped, within it they become spaces.
    pub fn error(&mut self, text: &[u8]) {
        let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        let text = &text[..end];
        self.tail.push(b'-');
        self.tail.extend(text.iter().map(|&byte| if byte == b'\r' || byte == b'\n' { b' ' } else { byte }));
        self.tail.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A count or a length as an integer.
    #[inline]
    pub fn count(&mut self, value: usize) {
        self.header(b':', value as i64);
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, value: &[u8]) {
        self.header(b'$', value.len() as i64);
        self.tail.extend_from_slice(value);
        self.tail.extend_from_slice(b"\r\n");
    }

    /// An integer as a bulk string.
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A bulk string of `len` bytes that comes in pieces.
    pub fn bulk_pieces<'a>(&mut self, len: usize, pieces: impl Iterator<Item = &'a [u8]>) {
        self.header(b'$', len as i64);
        let before = self.tail.len();
        for piece in pieces {
            self.tail.extend_from_slice(piece);
        }
        debug_assert_eq!(self.tail.len() - before, len, "the pieces make up the announced length");
        self.tail.extend_from_slice(b"\r\n");
    }

    /// A bulk string of `len` bytes that is sent by reference: its bytes are pinned, not copied.
    pub fn bulk_by_reference(&mut self, len: usize, pieces: impl Iterator<Item = Bytes>) {
        self.header(b'$', len as i64);
        self.seal_tail();
        for piece in pieces {
            self.queued_bytes += piece.len();
            self.queue.push_back(Segment::Bytes(piece));
        }
        self.tail.extend_from_slice(b"\r\n");
    }

    /// A bulk string that is sent by reference: a part of a blob as it is now. O(1), whatever its length.
    pub fn bulk_blob(&mut self, slice: BlobSlice) {
        self.header(b'$', slice.len() as i64);
        self.push_blob(slice);
    }

    /// The end of a bulk string.
    fn push_blob(&mut self, slice: BlobSlice) {
        let len = slice.len() as usize;
        self.seal_tail();
        self.queued_bytes += len;
        self.blob_bytes += len;
        self.queue.push_back(Segment::Blob(slice));
        self.tail.extend_from_slice(b"\r\n");
    }

    /// A bulk string that is the name of an element. Copied, but for what a very long one has beside its beginning.
    #[inline]
    pub fn bulk_name(&mut self, name: StoredName<'_>) {
        match (name.contiguous(), name.rest()) {
            (Some(bytes), _) => self.bulk(bytes),
            (None, None) => self.bulk_pieces(name.len(), name.head_pieces()),
            (None, Some(rest)) => {
                self.bulk_and_blob(name.head_len(), name.head_pieces(), rest.slice(0..rest.len()));
            }
        }
    }

    /// A bulk string of which `len` bytes come in pieces and are copied, and the rest is sent by reference.
    pub fn bulk_and_blob<'a>(&mut self, len: usize, pieces: impl Iterator<Item = &'a [u8]>, rest: BlobSlice) {
        self.header(b'$', (len as u64 + rest.len()) as i64);
        self.seal_tail();
        self.push_segment(segment_of(len, pieces));
        self.push_blob(rest);
    }

    /// Null: `$-1` in RESP2, `_` in RESP3.
    #[inline]
    pub fn null(&mut self) {
        self.tail.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// A null where an array was expected: `*-1` in RESP2, `_` in RESP3.
    pub fn null_array(&mut self) {
        self.tail.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The header of an array; `len` values follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len as i64);
    }

    /// The header of a set; `len` values follow.
    pub fn set(&mut self, len: usize) {
        self.header(if self.protocol == Protocol::Resp3 { b'~' } else { b'*' }, len as i64);
    }

    /// The header of a map; `len` pairs of a key and a value follow.
    pub fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', 2 * len as i64),
            Protocol::Resp3 => self.header(b'%', len as i64),
        }
    }

    /// The header of a push message (RESP3; an array in RESP2); `len` values follow.
    pub fn push(&mut self, len: usize) {
        self.header(if self.protocol == Protocol::Resp3 { b'>' } else { b'*' }, len as i64);
    }

    /// A boolean: `#t` in RESP3, 1 or 0 in RESP2.
    pub fn boolean(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.integer(i64::from(value)),
            Protocol::Resp3 => self.line(b'#', if value { b"t" } else { b"f" }),
        }
    }

    /// A double, already printed (see [`crate::text::double`]): `,` in RESP3, a bulk string in RESP2.
    pub fn double(&mut self, printed: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(printed),
            Protocol::Resp3 => self.line(b',', printed),
        }
    }

    /// Text for people: a verbatim string in RESP3, a bulk string in RESP2. `format` has three letters (`txt`).
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                debug_assert_eq!(format.len(), 3);
                self.header(b'=', text.len() as i64 + 4);
                self.tail.extend_from_slice(format.as_bytes());
                self.tail.push(b':');
                self.tail.extend_from_slice(text);
                self.tail.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Text for people as [`verbatim`](Reply::verbatim), gathered as the [raw](Reply::raw) bytes of another reply, which are not copied
    /// if they are many.
    pub fn verbatim_gathered(&mut self, format: &str, text: Reply) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'$', text.len() as i64),
            Protocol::Resp3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.tail.extend_from_slice(format.as_bytes());
                self.tail.push(b':');
            }
        }
        self.append(text);
        self.tail.extend_from_slice(b"\r\n");
    }

    /// Begins an array whose length is known only at its end.
    pub fn begin_array(&mut self) -> OpenArray {
        OpenArray { at: self.tail.len(), segments: self.queue.len() }
    }

    /// Ends an array that [`begin_array`](Reply::begin_array) began: `len` values were written since. Moves what was written
    /// since then by the length of the header.
    pub fn end_array(&mut self, open: OpenArray, len: usize) {
        assert_eq!(open.segments, self.queue.len(), "no value by reference within an array of unknown length");
        let mut header = Vec::with_capacity(16);
        header.push(b'*');
        header.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
        header.extend_from_slice(b"\r\n");
        self.tail.splice(open.at..open.at, header);
    }

    /// Appends a whole other reply: by reference, unless it is short. O(its segments).
    pub fn append(&mut self, mut other: Reply) {
        const SHORT: usize = 16 * 1024;
        if other.queue.is_empty() && other.tail.len() <= SHORT {
            self.tail.extend_from_slice(&other.tail);
            return;
        }
        self.seal_tail();
        other.seal_tail();
        self.queued_bytes += other.queued_bytes;
        self.blob_bytes += other.blob_bytes;
        self.queue.append(&mut other.queue);
    }

    /// Forgets and frees up to `segments` segments from the end, with all that was written since the last; whether there are
    /// more. For replies that nobody waits for any more.
    pub fn free_some(&mut self, segments: usize) -> bool {
        self.tail = Vec::new();
        for segment in (0..segments).map_while(|_| self.queue.pop_back()) {
            self.queued_bytes -= segment.len();
        }
        !self.queue.is_empty()
    }

    /// Bytes that are a reply already.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Bytes that are a reply already, by reference.
    pub fn raw_by_reference(&mut self, bytes: Bytes) {
        self.seal_tail();
        self.queued_bytes += bytes.len();
        self.queue.push_back(Segment::Bytes(bytes));
    }

    /// A reply that was written to memory alone, as bytes to be sent many times.
    ///
    /// # Panics
    /// When it refers to other memory.
    pub fn into_bytes(self) -> Bytes {
        assert!(self.queue.is_empty(), "nothing was sealed or written by reference");
        Bytes::from(self.tail)
    }

    /// All bytes that wait to be sent.
    #[cfg(test)]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for segment in &self.queue {
            match segment {
                Segment::Bytes(segment) => bytes.extend_from_slice(segment),
                Segment::Blob(slice) => slice.pieces().for_each(|piece| bytes.extend_from_slice(piece)),
            }
        }
        bytes.extend_from_slice(&self.tail);
        bytes
    }

    /// Lends memory for what is written next, so that a reply that is sent at once allocates nothing. What the memory held
    /// is forgotten. Without effect when the reply has memory of its own.
    pub fn lend(&mut self, mut memory: Vec<u8>) {
        if self.tail.capacity() == 0 {
            memory.clear();
            self.tail = memory;
        }
    }

    /// Takes back the memory of a reply that is sent, lent or not; the reply then holds none.
    ///
    /// # Panics
    ///
    /// When something waits to be sent.
    pub fn reclaim(&mut self) -> Vec<u8> {
        assert!(self.is_empty(), "a reply that waits to be sent needs its memory");
        self.queue = VecDeque::new();
        std::mem::take(&mut self.tail)
    }

    /// Makes what was written since the last segment a segment of its own, once it is `len_min` bytes long: so that replies
    /// which wait for a slow client do not gather in one list that is moved when it grows. Copies it.
    pub fn seal(&mut self, len_min: usize) {
        if self.tail.len() >= len_min {
            self.seal_tail();
        }
    }

    /// Takes back the memory that was [lent](Reply::lend), for a client that is slow to take what was written to it: long parts are
    /// sealed, and short ones move to memory that they fill by half at least, to be sealed with what comes behind them.
    pub fn settle(&mut self) -> Vec<u8> {
        if self.tail.len() >= MAPPED_BYTES_MIN {
            self.seal_tail();
            return std::mem::take(&mut self.tail);
        }
        if self.tail.capacity() / 2 <= self.tail.len() {
            return Vec::new();
        }
        let own = self.tail.to_vec();
        std::mem::replace(&mut self.tail, own)
    }

    /// Fills `slices` with what is to be sent next, `bytes_max` bytes at most, and returns how many slices and bytes
    /// those are.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>], bytes_max: usize) -> (usize, usize) {
        let mut count = 0;
        let mut bytes = 0;
        for segment in &self.queue {
            if count == slices.len() || bytes == bytes_max {
                return (count, bytes);
            }
            match segment {
                Segment::Bytes(segment) if segment.is_empty() => {}
                Segment::Bytes(segment) => {
                    let len = segment.len().min(bytes_max - bytes);
                    slices[count] = IoSlice::new(&segment[..len]);
                    count += 1;
                    bytes += len;
                }
                Segment::Blob(slice) => {
                    let (more, len) = slice.io_slices(&mut slices[count..], bytes_max - bytes);
                    count += more;
                    bytes += len;
                }
            }
        }
        let len = self.tail.len().min(bytes_max - bytes);
        if count < slices.len() && len > 0 {
            slices[count] = IoSlice::new(&self.tail[..len]);
            return (count + 1, bytes + len);
        }
        (count, bytes)
    }

    /// Forgets the first `sent` bytes; they have been sent. O(segments that are done with).
    ///
    /// # Panics
    ///
    /// When fewer bytes wait.
    pub fn advance(&mut self, mut sent: usize) {
        assert!(sent <= self.len(), "what was sent was there to be sent");
        if self.queue.is_empty() && sent == self.tail.len() {
            self.tail.clear();
            return;
        }
        if sent > self.queued_bytes {
            let sent_of_tail = sent - self.queued_bytes;
            if self.tail.len() - sent_of_tail < MAPPED_BYTES_MIN {
                self.tail.drain(..sent_of_tail);
                sent = self.queued_bytes;
            } else {
                self.seal_tail();
            }
        }
        self.queued_bytes -= sent;
        while let Some(first) = self.queue.front_mut() {
            let len = sent.min(first.len());
            if matches!(first, Segment::Blob(_)) {
                self.blob_bytes -= len;
            }
            if len < first.len() {
                first.advance(len);
                break;
            }
            sent -= len;
            self.queue.pop_front();
        }
    }

    #[inline]
    fn header(&mut self, kind: u8, value: i64) {
        self.tail.push(kind);
        self.tail.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.tail.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.tail.push(kind);
        self.tail.extend_from_slice(text);
        self.tail.extend_from_slice(b"\r\n");
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.push_segment(segment_of(self.tail.len(), std::iter::once(&self.tail[..])));
            self.tail.clear();
        }
    }

    fn push_segment(&mut self, segment: Bytes) {
        self.queued_bytes += segment.len();
        self.queue.push_back(Segment::Bytes(segment));
    }
}

/// A copy of `len` bytes that come in pieces, which takes the memory that they need and no more.
fn segment_of<'a>(len: usize, pieces: impl Iterator<Item = &'a [u8]>) -> Bytes {
    if len >= MAPPED_BYTES_MIN
        && let Ok(mut mapping) = MmapOptions::new().len(len).populate().map_anon()
    {
        let mut rest = &mut mapping[..];
        for piece in pieces {
            let (now, later) = rest.split_at_mut(piece.len());
            now.copy_from_slice(piece);
            rest = later;
        }
        return Bytes::from_owner(mapping);
    }
    let mut bytes = Vec::with_capacity(len);
    pieces.for_each(|piece| bytes.extend_from_slice(piece));
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends all of the reply in writes of at most `step` bytes over at most `slices` slices.
    fn drain(reply: &mut Reply, step: usize, slices: usize) -> Vec<u8> {
        let mut sent = Vec::new();
        while !reply.is_empty() {
            let before = reply.len();
            let mut room = vec![IoSlice::new(&[]); slices];
            let (count, bytes) = reply.io_slices(&mut room, step);
            assert!(bytes > 0 && bytes <= step);
            assert_eq!(room[..count].iter().map(|slice| slice.len()).sum::<usize>(), bytes);
            room[..count].iter().for_each(|slice| sent.extend_from_slice(slice));
            reply.advance(bytes);
            assert_eq!(reply.len(), before - bytes);
        }
        sent
    }

    #[test]
    fn replies_leave_in_order_whatever_a_write_takes() {
        for step in [1, 2, 3, 7, 100] {
            for slices in [1, 2, 16] {
                let mut reply = Reply::new();
                reply.ok();
                reply.bulk_by_reference(6, ["abc", "", "def"].into_iter().map(Bytes::from));
                reply.seal(100);
                reply.integer(7);
                reply.seal(1);
                reply.null();
                let sent = drain(&mut reply, step, slices);
                assert_eq!(sent, b"+OK\r\n$6\r\nabcdef\r\n:7\r\n$-1\r\n");
                assert_eq!(reply.queued_bytes, 0);
            }
        }
    }

    #[test]
    fn a_blob_leaves_in_its_place_and_is_no_memory_of_the_reply() {
        let mut store = chunkbuf::Store::new(chunkbuf::Options::default());
        let mut blob = store.new_blob();
        store.blob_append(&mut blob, b"begin").expect("memory is not limited");
        store.blob_write(&mut blob, 100_000, b"end").expect("memory is not limited");
        let value = blob.pieces(0..blob.len()).collect::<Vec<_>>().concat();
        for step in [1_000, 7_777, 1_000_000] {
            for slices in [1, 2, 16] {
                let mut reply = Reply::new();
                reply.ok();
                reply.bulk_blob(blob.slice(0..100_003));
                reply.bulk_blob(blob.slice(3..3));
                reply.bulk_blob(blob.slice(3..5));
                reply.integer(7);
                let expected = [b"+OK\r\n$100003\r\n", &value[..], b"\r\n$0\r\n\r\n$2\r\nin\r\n:7\r\n"].concat();
                assert!(reply.to_vec() == expected);
                assert_eq!(reply.own_bytes(), expected.len() - 100_003 - 2);
                assert!(drain(&mut reply, step, slices) == expected);
                assert_eq!((reply.queued_bytes, reply.blob_bytes), (0, 0));
                drop(reply.reclaim());
            }
        }
        drop(blob);
        while store.step(chunkbuf::Budget::STEP, true) {}
        assert_eq!(store.usage().pool.used_bytes, 0);
    }

    #[test]
    fn of_a_very_long_name_only_the_beginning_is_memory_of_the_reply() {
        use crate::types::name::Name;

        let mut store = chunkbuf::Store::new(chunkbuf::Options::default());
        let map = store.create();
        let bytes: Vec<u8> = (0..1_000_000).map(|at| (at % 251) as u8).collect();
        let name = Name::new(&store, bytes[..].into());
        let prefix = name.put_rest(&mut store, map).expect("memory is not limited");
        let key = store.key(name.key());
        let flags = chunkbuf::UserFlags::NONE;
        store.put_at(map, &key, None, flags, &[prefix.as_slice()]).expect("memory is not limited");
        let (_, entry) = store.find_entry(map, &key).expect("just put");
        let (stored, _) = StoredName::split(&store, map, entry.key, entry.value);
        let mut reply = Reply::new();
        reply.ok();
        reply.bulk_name(stored);
        reply.bulk_name(b"short"[..].into());
        let expected = [b"+OK\r\n$1000000\r\n", &bytes[..], b"\r\n$5\r\nshort\r\n"].concat();
        assert!(reply.own_bytes() < 66_000 && reply.to_vec() == expected);
        prefix.release(&mut store, map);
        assert!(drain(&mut reply, 7_777, 16) == expected, "it is sent although the name has gone");
    }

    #[test]
    fn an_error_is_one_line_whatever_its_text() {
        for (text, line) in [
            (&b"ERR a\r\nb"[..], &b"-ERR a  b\r\n"[..]),
            (b"ERR a\r\n", b"-ERR a\r\n"),
            (b"ERR \n\n\r", b"-ERR \r\n"),
            (b"\r\n", b"-\r\n"),
            (b"", b"-\r\n"),
        ] {
            let mut reply = Reply::new();
            reply.error(text);
            assert_eq!(reply.to_vec(), line);
        }
    }

    #[test]
    fn lent_memory_comes_back_when_all_is_sent() {
        let mut reply = Reply::new();
        reply.lend(Vec::with_capacity(1000));
        reply.ok();
        assert_eq!(drain(&mut reply, 1000, 4), b"+OK\r\n");
        assert_eq!(reply.reclaim().capacity(), 1000);
        assert_eq!(reply.tail.capacity(), 0);
    }

    #[test]
    fn a_reply_that_waits_gives_back_what_it_was_lent_and_gathers_in_long_segments() {
        let mut reply = Reply::new();
        reply.lend(Vec::with_capacity(100_000));
        reply.ok();
        assert_eq!(reply.settle().capacity(), 100_000);
        let mut expected = b"+OK\r\n".to_vec();
        for _ in 0..100 {
            reply.bulk(&[b'x'; 1000]);
            expected.extend(b"$1000\r\n");
            expected.extend([b'x'; 1000]);
            expected.extend(b"\r\n");
            reply.settle();
            assert!(reply.tail.capacity() <= 2 * MAPPED_BYTES_MIN);
        }
        assert!(reply.segments() <= expected.len() / MAPPED_BYTES_MIN);
        assert!(drain(&mut reply, 777, 16) == expected);
    }

    #[test]
    fn memory_is_not_lent_over_a_reply_that_waits() {
        let mut reply = Reply::new();
        reply.ok();
        reply.lend(Vec::with_capacity(1000));
        assert_eq!(drain(&mut reply, 1000, 4), b"+OK\r\n");
    }
}
