//! A log of entries on chunks: append, read, mark, merge.
//!
//! ```text
//!   offsets   start                                              end      capacity end
//!               v                                                 v            v
//!   ┌───────────┬─────────────┬─────────────┬─────────────────────┬────────────┐
//!   │ (released)│   chunk     │   chunk     │   chunk             │   open     │
//!   └───────────┴─────────────┴─────────────┴─────────────────────┴────────────┘
//!                    entries cross the borders wherever they fall
//! ```
//!
//! An **offset** is a position in the log; it never changes while the entry is in this buffer. Chunks may be of several sizes: a
//! **run** is a row of chunks of one size, and there are few runs (one for each time when the size changed), so an offset is
//! found in its chunk by looking at the last runs first and shifting.
//!
//! Costs: an append copies its bytes once; reading a header is one look at one chunk (two when it crosses a border).

#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use crate::chunk::{Chunk, ChunkSize};
use crate::entry::{Flags, HEADER_LEN_MAX, Header, KEY_LEN_BYTES, padding};
use crate::location::Offset;
use crate::pool::{OutOfMemory, Pool, Purpose};
use crate::sizing;
use crate::usage::LogUsage;

/// Bytes of an entry that are fetched ahead: most small ones are no longer. Their second line counts: with the first alone, a look-up of
/// one of a million keys of 16 bytes took a sixth longer.
const PREFETCHED: usize = 32;

/// A log of entries on chunks.
#[derive(Debug)]
pub struct Buffer {
    /// Chunks from the first that is still needed, in offset order.
    chunks: VecDeque<Chunk>,
    /// Chunks that stood before the first in `chunks` and were given back.
    released: u32,
    runs: Vec<Run>,
    start: u64,
    end: u64,
    capacity_end: u64,
    usage: LogUsage,
}

/// A row of chunks of one size.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The offset of its first byte.
    offset: u64,
    /// The number of its first chunk, counting released ones.
    chunk: u32,
    size: ChunkSize,
}

/// Where a byte stands: index in `chunks`, and the byte within the chunk.
#[derive(Clone, Copy, Debug)]
struct Place {
    chunk: usize,
    within: usize,
}

impl Buffer {
    /// An empty buffer whose first entry will have the offset `base`. Takes no memory.
    pub fn starting_at(base: Offset) -> Buffer {
        Buffer {
            chunks: VecDeque::new(),
            released: 0,
            runs: Vec::new(),
            start: base.get(),
            end: base.get(),
            capacity_end: base.get(),
            usage: LogUsage::default(),
        }
    }

    /// The offset of the first entry that is still kept.
    #[inline]
    pub fn start(&self) -> Offset {
        Offset::new(self.start)
    }

    /// The write offset: where the next entry will stand.
    #[inline]
    pub fn end(&self) -> Offset {
        Offset::new(self.end)
    }

    /// One past the last byte of the last chunk.
    pub fn capacity_end(&self) -> Offset {
        Offset::new(self.capacity_end)
    }

    /// The books.
    #[inline]
    pub fn usage(&self) -> &LogUsage {
        &self.usage
    }

    /// Size of the last chunk, if there is one.
    pub fn last_chunk_size(&self) -> Option<ChunkSize> {
        self.chunks.back().map(Chunk::size)
    }

    /// Appends a live entry whose value is `parts`, one after another. `size` is the chunk size for chunks that it needs.
    ///
    /// # Errors
    /// When the pool has no chunk; nothing has changed.
    pub fn append(
        &mut self,
        pool: &mut Pool,
        size: ChunkSize,
        flags: Flags,
        key: &[u8],
        parts: &[&[u8]],
    ) -> Result<Offset, OutOfMemory> {
        let value_len = parts.iter().map(|part| part.len()).sum();
        let header = Header::of_entry(key.len(), value_len, flags);
        let len = header.entry_len();
        self.reserve(pool, size, len)?;
        let offset = self.end;
        let mut head = [0; 10];
        let header_len = header.encode(&mut head);
        head[header_len..header_len + KEY_LEN_BYTES].copy_from_slice(&(key.len() as u16).to_le_bytes());
        let mut place = self.place(offset);
        self.write_at(&mut place, &head[..header_len + KEY_LEN_BYTES]);
        self.write_at(&mut place, key);
        for part in parts {
            self.write_at(&mut place, part);
        }
        self.end += len;
        self.usage.live_bytes += len;
        Ok(Offset::new(offset))
    }

    /// Takes chunks until `len` more bytes fit.
    ///
    /// # Errors
    /// When the pool has no chunk; those taken by this call are given back.
    pub fn reserve(&mut self, pool: &mut Pool, size: ChunkSize, len: u64) -> Result<(), OutOfMemory> {
        let had = self.chunks.len();
        while self.capacity_end - self.end < len {
            if let Err(error) = self.add_chunk(pool, size, Purpose::Write) {
                while self.chunks.len() > had {
                    self.remove_last_chunk(pool);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes one chunk more.
    ///
    /// # Errors
    /// When the pool has none.
    pub fn add_chunk(&mut self, pool: &mut Pool, size: ChunkSize, purpose: Purpose) -> Result<(), OutOfMemory> {
        let chunk = pool.take(size, purpose)?;
        if self.runs.last().is_none_or(|run| run.size != size) {
            let number = self.released + self.chunks.len() as u32;
            self.runs.push(Run { offset: self.capacity_end, chunk: number, size });
        }
        self.usage.chunk_bytes += size.bytes();
        self.usage.chunks += 1;
        self.capacity_end += size.bytes();
        self.chunks.push_back(chunk);
        Ok(())
    }

    fn remove_last_chunk(&mut self, pool: &mut Pool) {
        let chunk = self.chunks.pop_back().expect("the caller has added a chunk");
        self.capacity_end -= chunk.size().bytes();
        self.usage.chunk_bytes -= chunk.size().bytes();
        self.usage.chunks -= 1;
        if self.runs.last().is_some_and(|run| run.offset >= self.capacity_end) {
            self.runs.pop();
        }
        pool.give(chunk);
    }

    /// The header of the entry at `offset`.
    #[inline]
    pub fn header(&self, offset: Offset) -> (Header, usize) {
        debug_assert!(offset.get() >= self.start && offset.get() < self.end);
        let Place { chunk, within } = self.place(offset.get());
        let bytes = &self.chunks[chunk].bytes()[within..];
        if bytes.len() >= HEADER_LEN_MAX { Header::decode(bytes) } else { self.header_across(offset) }
    }

    #[cold]
    fn header_across(&self, offset: Offset) -> (Header, usize) {
        let len = (self.end - offset.get()).min(HEADER_LEN_MAX as u64) as usize;
        let mut bytes = [0; HEADER_LEN_MAX];
        self.slices(offset.get(), len).copy_to(&mut bytes[..len]);
        Header::decode(&bytes[..len])
    }

    /// Has the first [`PREFETCHED`] bytes of the entry at `offset` brought to the cache, as far as they are on one chunk.
    #[inline]
    pub(crate) fn prefetch(&self, offset: Offset) {
        let Place { chunk, within } = self.place(offset.get());
        let chunk = &self.chunks[chunk];
        chunk.prefetch(within);
        chunk.prefetch((within + PREFETCHED - 1).min(chunk.bytes().len() - 1));
    }

    /// The entry at `offset`.
    #[inline(always)]
    pub fn entry(&self, offset: Offset) -> RawEntry<'_> {
        let Place { chunk, within } = self.place(offset.get());
        let bytes = &self.chunks[chunk].bytes()[within..];
        if bytes.len() >= HEADER_LEN_MAX + KEY_LEN_BYTES {
            let (header, header_len) = Header::decode(bytes);
            let len = header.payload_len as usize;
            if let Some(first @ &[low, high, ..]) = bytes.get(header_len..header_len + len) {
                let payload = Slices { buffer: self, offset: offset.get() + header_len as u64, len, first };
                return RawEntry { header, header_len, payload, key_len: usize::from(u16::from_le_bytes([low, high])) };
            }
        }
        self.entry_across(offset)
    }

    /// The entry at `offset`, which crosses a chunk border.
    #[inline(never)]
    fn entry_across(&self, offset: Offset) -> RawEntry<'_> {
        let (header, header_len) = self.header(offset);
        let payload = self.slices(offset.get() + header_len as u64, header.payload_len as usize);
        let mut key_len = [0; KEY_LEN_BYTES];
        payload.slice(0..KEY_LEN_BYTES).copy_to(&mut key_len);
        RawEntry { header, header_len, payload, key_len: usize::from(u16::from_le_bytes(key_len)) }
    }

    /// Bytes of the log, which may cross chunk borders.
    #[inline]
    pub(crate) fn slices(&self, offset: u64, len: usize) -> Slices<'_> {
        debug_assert!(offset >= self.start && offset + len as u64 <= self.capacity_end);
        if len == 0 {
            return Slices { buffer: self, offset, len, first: &[] };
        }
        let Place { chunk, within } = self.place(offset);
        let bytes = &self.chunks[chunk].bytes()[within..];
        Slices { buffer: self, offset, len, first: &bytes[..len.min(bytes.len())] }
    }

    /// Marks the live entry at `offset`, of `len` bytes, as dead for good.
    pub fn mark_deleted(&mut self, offset: Offset, len: u64) {
        self.set_flags(offset, Flags::DELETED);
        self.usage.live_bytes -= len;
        self.usage.dead_bytes += len;
    }

    /// Marks the live entry at `offset`, of `len` bytes, as removed while a pass copies this buffer.
    pub fn mark_tombstone(&mut self, offset: Offset, len: u64) {
        self.set_flags(offset, Flags::TOMBSTONE);
        self.usage.live_bytes -= len;
        self.usage.tombstoned_bytes += len;
    }

    /// Makes the copy at `offset` of an entry that died on the way, counted as live so far, dead.
    pub fn bury_tombstone(&mut self, offset: Offset, len: u64) {
        let place = self.place(offset.get());
        let first = self.chunks[place.chunk].bytes()[place.within];
        let (header, _) = self.header(offset);
        self.write_byte(place, Header::first_byte_with(first, header.flags.tombstone_to_deleted()));
        self.usage.live_bytes -= len;
        self.usage.dead_bytes += len;
    }

    fn set_flags(&mut self, offset: Offset, more: Flags) {
        let place = self.place(offset.get());
        let first = self.chunks[place.chunk].bytes()[place.within];
        let (header, _) = self.header(offset);
        assert!(header.flags.is_live(), "an entry dies once");
        self.write_byte(place, Header::first_byte_with(first, header.flags.with(more)));
    }

    fn write_byte(&mut self, place: Place, byte: u8) {
        // SAFETY: a header's first byte; pins cover values only.
        unsafe { self.chunks[place.chunk].write(place.within, &[byte]) }
    }

    /// Overwrites bytes of a value in place. `false`, and nothing done, when a reader pins a chunk of them.
    #[inline]
    pub(crate) fn overwrite(&mut self, pool: &mut Pool, offset: u64, bytes: &[u8]) -> bool {
        debug_assert!(offset >= self.start && offset + bytes.len() as u64 <= self.end);
        let mut place = self.place(offset);
        let first = &mut self.chunks[place.chunk];
        if !first.was_pinned() && bytes.len() <= first.size().bytes() as usize - place.within {
            // SAFETY: no pin covers the chunk.
            unsafe { first.write(place.within, bytes) };
            return true;
        }
        let mut chunk = place.chunk;
        let mut covered = 0;
        while covered < bytes.len() {
            if pool.has_pins(&mut self.chunks[chunk]) {
                return false;
            }
            let within = if chunk == place.chunk { place.within } else { 0 };
            covered += self.chunks[chunk].size().bytes() as usize - within;
            chunk += 1;
        }
        self.write_at(&mut place, bytes);
        true
    }

    /// Overwrites bytes of a copy that is being made here, which no reader can pin: the index does not know it yet. Other
    /// entries in its chunks may well be pinned.
    pub(crate) fn overwrite_copy(&mut self, offset: u64, bytes: &[u8]) {
        debug_assert!(offset >= self.start && offset + bytes.len() as u64 <= self.end);
        let mut place = self.place(offset);
        self.write_at(&mut place, bytes);
    }

    /// Bytes of a value by reference.
    pub(crate) fn pin(&mut self, pool: &mut Pool, offset: u64, len: usize) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let Place { mut chunk, mut within } = self.place(offset);
        let mut left = len;
        while left > 0 {
            let owner = &mut self.chunks[chunk];
            let piece = left.min(owner.size().bytes() as usize - within);
            // SAFETY: the bytes of a value are written again only by `overwrite`, which looks for pins first.
            pieces.push(unsafe { pool.pin(owner, within..within + piece) });
            left -= piece;
            chunk += 1;
            within = 0;
        }
        pieces
    }

    /// Appends bytes that a pass moves here, without touching the count of live bytes. The caller has seen to the capacity.
    pub(crate) fn extend(&mut self, bytes: Slices<'_>) {
        if bytes.is_empty() {
            return;
        }
        let mut place = self.place(self.end);
        for piece in bytes.pieces() {
            self.write_at(&mut place, piece);
        }
        self.end += bytes.len() as u64;
    }

    /// Counts the entry that was moved to the end of this buffer.
    pub(crate) fn count_moved(&mut self, len: u64) {
        self.usage.live_bytes += len;
    }

    /// Lets the first entry go, of `len` bytes with these flags: it is dead, or has been moved. Chunks that are no longer
    /// needed return to the pool.
    pub(crate) fn consume(&mut self, pool: &mut Pool, len: u64, flags: Flags) {
        // Padding is dead as well; which of the two a deleted entry was does not matter, as long as the sum is right.
        if flags.is_live() {
            self.usage.live_bytes -= len;
        } else if flags.is_tombstone() {
            self.usage.tombstoned_bytes -= len;
        } else {
            let dead = len.min(self.usage.dead_bytes);
            self.usage.dead_bytes -= dead;
            self.usage.padding_bytes -= len - dead;
        }
        self.start += len;
        while let Some(chunk) = self.chunks.front() {
            let size = chunk.size().bytes();
            let chunk_end = self.first_chunk_offset() + size;
            if chunk_end > self.start {
                break;
            }
            self.release_first(pool);
        }
    }

    /// The offset of the first byte of the first chunk that is still here.
    fn first_chunk_offset(&self) -> u64 {
        let run = self.runs.iter().rev().find(|run| run.chunk <= self.released).expect("a chunk is in a run");
        run.offset + (u64::from(self.released - run.chunk) << run.size.log2())
    }

    fn release_first(&mut self, pool: &mut Pool) {
        let chunk = self.chunks.pop_front().expect("the caller has looked");
        self.usage.chunk_bytes -= chunk.size().bytes();
        self.usage.chunks -= 1;
        self.released += 1;
        pool.give(chunk);
    }

    /// Gives back at most `chunks` chunks of a buffer that nobody needs any more; whether all are gone.
    pub(crate) fn discard(&mut self, pool: &mut Pool, chunks: usize) -> bool {
        for _ in 0..chunks {
            match self.chunks.pop_back() {
                Some(chunk) => {
                    self.usage.chunk_bytes -= chunk.size().bytes();
                    self.usage.chunks -= 1;
                    pool.give(chunk);
                }
                None => return true,
            }
        }
        self.chunks.is_empty()
    }

    /// Fills the last chunk to its end with dead entries.
    fn pad(&mut self) {
        let len = self.capacity_end - self.end;
        let mut offset = self.end;
        for header in padding(len) {
            let mut bytes = [0; 10];
            let header_len = header.encode(&mut bytes);
            let mut place = self.place(offset);
            self.write_at(&mut place, &bytes[..header_len]);
            offset += header.entry_len();
        }
        self.end = self.capacity_end;
        self.usage.padding_bytes += len;
    }

    /// Puts `next`, which starts where this buffer's last chunk ends, behind this buffer, by moving its chunks: no byte is
    /// copied. The open end of the last chunk becomes a padding entry, unless `next` is empty.
    pub(crate) fn splice(&mut self, mut next: Buffer) {
        if next.chunks.is_empty() {
            assert_eq!(next.end, next.start, "a buffer without chunks has no entries");
            return;
        }
        assert_eq!(next.start, self.capacity_end, "staging begins where the target's chunks end");
        assert_eq!(next.released, 0, "staging has released nothing");
        self.pad();
        let shift = self.released + self.chunks.len() as u32;
        for run in next.runs {
            match self.runs.last() {
                Some(last) if last.size == run.size => {}
                _ => self.runs.push(Run { chunk: run.chunk + shift, ..run }),
            }
        }
        self.chunks.append(&mut next.chunks);
        self.end = next.end;
        self.capacity_end = next.capacity_end;
        self.usage += next.usage;
    }

    /// Which chunk holds the byte at `offset`.
    #[inline]
    fn place(&self, offset: u64) -> Place {
        let run = self.runs.iter().rev().find(|run| run.offset <= offset).expect("an offset within the buffer");
        let in_run = offset - run.offset;
        Place {
            chunk: (u64::from(run.chunk) + (in_run >> run.size.log2()) - u64::from(self.released)) as usize,
            within: (in_run & (run.size.bytes() - 1)) as usize,
        }
    }

    /// Writes `bytes` from `place` on, across chunk borders, and moves `place` behind them.
    #[inline]
    fn write_at(&mut self, place: &mut Place, mut bytes: &[u8]) {
        loop {
            let Some(chunk) = self.chunks.get_mut(place.chunk) else {
                debug_assert!(bytes.is_empty());
                return;
            };
            let room = chunk.size().bytes() as usize - place.within;
            let (now, later) = bytes.split_at(bytes.len().min(room));
            // SAFETY: pins cover values of complete entries only; these bytes are beyond the last complete entry, or the caller is
            // `overwrite`, which has looked for pins.
            unsafe { chunk.write(place.within, now) };
            place.within += now.len();
            if place.within == chunk.size().bytes() as usize {
                *place = Place { chunk: place.chunk + 1, within: 0 };
            }
            if later.is_empty() {
                return;
            }
            bytes = later;
        }
    }

    /// Checks the accounting equation and the chunks; panics on a difference. Cost: all entries.
    pub fn audit(&self) {
        let usage = self.usage;
        assert_eq!(usage.entry_bytes(), self.end - self.start, "live + tombstoned + dead + padding = end - start");
        assert_eq!(usage.chunk_bytes, self.chunks.iter().map(|chunk| chunk.size().bytes()).sum::<u64>());
        assert_eq!(usage.chunks, self.chunks.len() as u64);
        if !self.chunks.is_empty() {
            assert_eq!(self.first_chunk_offset() + usage.chunk_bytes, self.capacity_end);
        }
        let (mut live, mut tombstoned, mut deleted) = (0, 0, 0);
        let mut offset = self.start;
        while offset < self.end {
            let (header, _) = self.header(Offset::new(offset));
            let sum = match header.flags {
                flags if flags.is_live() => &mut live,
                flags if flags.is_tombstone() => &mut tombstoned,
                _ => &mut deleted,
            };
            *sum += header.entry_len();
            offset += header.entry_len();
        }
        assert_eq!(offset, self.end, "entries end at the write offset");
        assert_eq!((live, tombstoned), (usage.live_bytes, usage.tombstoned_bytes));
        assert_eq!(deleted, usage.dead_bytes + usage.padding_bytes);
    }
}

/// The size of chunk that `buffer` takes next when its map holds `bytes` in all.
pub(crate) fn next_chunk_size(buffer: &Buffer, bytes: u64, p: f64) -> ChunkSize {
    sizing::chunk_size(bytes, p, buffer.last_chunk_size())
}

/// An entry as it stands in a buffer.
#[derive(Clone, Copy)]
pub struct RawEntry<'a> {
    /// Its header.
    pub header: Header,
    /// Bytes of the header.
    pub header_len: usize,
    payload: Slices<'a>,
    key_len: usize,
}

impl<'a> RawEntry<'a> {
    /// The key.
    #[inline(always)]
    pub fn key(&self) -> Slices<'a> {
        self.payload.slice(KEY_LEN_BYTES..KEY_LEN_BYTES + self.key_len)
    }

    /// The value.
    #[inline(always)]
    pub fn value(&self) -> Slices<'a> {
        self.payload.slice(KEY_LEN_BYTES + self.key_len..self.payload.len)
    }

    /// Whether its key is `key`.
    #[inline(always)]
    pub fn has_key(&self, key: &[u8]) -> bool {
        if self.key_len != key.len() {
            return false;
        }
        match self.payload.first.get(KEY_LEN_BYTES..KEY_LEN_BYTES + key.len()) {
            Some(bytes) => bytes == key,
            None => self.key() == *key,
        }
    }

    /// Bytes of the value.
    #[inline]
    pub(crate) fn value_len(&self) -> usize {
        self.payload.len - KEY_LEN_BYTES - self.key_len
    }

    /// Where the value begins, in bytes from the entry's offset.
    #[inline]
    pub(crate) fn value_at(&self) -> u64 {
        (self.header_len + KEY_LEN_BYTES + self.key_len) as u64
    }
}

/// Bytes of a log by reference, which may cross chunk borders.
#[derive(Clone, Copy)]
pub struct Slices<'a> {
    buffer: &'a Buffer,
    offset: u64,
    len: usize,
    /// The bytes up to the first chunk border: nearly always all of them.
    first: &'a [u8],
}

impl<'a> Slices<'a> {
    /// How many bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All bytes as one slice, when they lie in one chunk.
    #[inline]
    pub fn contiguous(&self) -> Option<&'a [u8]> {
        (self.first.len() == self.len).then_some(self.first)
    }

    /// All bytes as one slice; they are copied to `scratch` when they cross a chunk border.
    #[inline]
    pub fn as_slice<'s>(&self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        if let Some(bytes) = self.contiguous() {
            return bytes;
        }
        scratch.clear();
        scratch.extend(self.pieces().flatten());
        scratch
    }

    /// The bytes, a piece for each chunk.
    #[inline]
    pub fn pieces(&self) -> Pieces<'a> {
        Pieces { rest: *self }
    }

    /// A copy of the bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        for piece in self.pieces() {
            bytes.extend_from_slice(piece);
        }
        bytes
    }

    /// Copies the bytes to `target`, which has their length.
    pub fn copy_to(&self, mut target: &mut [u8]) {
        for piece in self.pieces() {
            let (now, later) = target.split_at_mut(piece.len());
            now.copy_from_slice(piece);
            target = later;
        }
        assert!(target.is_empty(), "the target has the length of the source");
    }

    /// A part of the bytes.
    ///
    /// # Panics
    /// When the range is not within them.
    #[inline(always)]
    pub fn slice(&self, range: Range<usize>) -> Slices<'a> {
        assert!(range.start <= range.end && range.end <= self.len);
        let len = range.len();
        match self.first.get(range.clone()) {
            Some(first) => Slices { buffer: self.buffer, offset: self.offset + range.start as u64, len, first },
            None => self.buffer.slices(self.offset + range.start as u64, len),
        }
    }
}

impl PartialEq<[u8]> for Slices<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        let mut rest = other;
        self.len == other.len()
            && self.pieces().all(|piece| {
                let (now, later) = rest.split_at(piece.len());
                rest = later;
                now == piece
            })
    }
}

impl std::fmt::Debug for Slices<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes at {}", self.len, self.offset)
    }
}

/// The pieces of [`Slices`], in order; none is empty.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    rest: Slices<'a>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let piece = self.rest.first;
        self.rest = if piece.len() == self.rest.len {
            Slices { len: 0, first: &[], ..self.rest }
        } else {
            self.rest.buffer.slices(self.rest.offset + piece.len() as u64, self.rest.len - piece.len())
        };
        Some(piece)
    }
}

#[cfg(test)]
mod tests;
