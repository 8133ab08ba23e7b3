//! A large value on pages of its own: shared in O(1), changed a page at a time.
//!
//! ```text
//!   Blob ─┐                    a node covers 1 MiB          a page owns a chunk of the pool
//!   Blob ─┴─> Root { len } ──┬─> Node ──┬─> Page  16 KiB    (the first node: small pages, so that a value
//!             a copy shares  │          ├─> Page  16 KiB     of some 100 KiB wastes little)
//!             the root       │          └─  (none)          (no page: zeros, and no memory)
//!                            ├─  (none)                     (no node: a MiB of zeros)
//!                            └─> Node ──┬─> Page  64 KiB    (all others: a granule of the pool)
//!                                       └─> Page  256 bytes (the last: the least power of two that holds it)
//! ```
//!
//! * A clone of a [`Blob`], or a [`BlobSlice`] of it, is a snapshot: it shares everything, and shows the bytes of its moment for
//!   as long as it lives. The store need not know of it, and it may be read and dropped on any thread.
//! * A write copies what it touches and somebody else shares: that page, the node above it, the root. What nobody shares is
//!   written in place. So APPEND and SETRANGE cost what they write, whatever the length and whoever reads.
//! * A write first takes all the memory that it needs, and then cannot fail: one that runs out of it changes nothing.
//! * Nothing is freed in bulk. The last handle that is dropped hands its root back to the store, whose steps take it apart.
//!
//! Invariants:
//! 1. References to nodes and pages, and the last one to a root, go away in calls of the store alone (the last handle of a root
//!    gives it to the queue). So what a write finds to be its own stays so, and no page is dropped past the pool.
//! 2. Bytes of a page at or behind the blob's length are arbitrary: whoever lets the blob grow over them without writing them
//!    zeroes them first.
//! 3. Pages wholly behind the length are room for an upload, and stand one behind another.
//!
//! A blob is never compacted: its pages are the pool's own sizes, and a page dies as a whole.

mod books;

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use crate::chunk::{Chunk, ChunkSize};
use crate::pool::{OutOfMemory, Pool, Purpose};
use crate::store::PutError;

pub use books::{BlobId, BlobUsage};
pub(crate) use books::{Blobs, Table};

use books::Returns;

/// Values longer than this many bytes are worth a blob: below it a page's slack and the nodes would show.
pub const BLOB_THRESHOLD: u64 = 64 * 1024;
/// The longest blob in bytes: 4 GiB. The root has 8 bytes for each MiB, written or not, and is copied as a whole.
pub const BLOB_LEN_MAX: u64 = 1 << 32;

const NODE_LOG2: u32 = 20;
const FIRST_PAGE_LOG2: u32 = 14;
const PAGE_LOG2: u32 = 16;
const PAGE_MAX: usize = 1 << PAGE_LOG2;

/// Pages that a step gives back, 200 ns each, and those of a node more.
pub(crate) const BLOB_PAGES: usize = 64;

const _: () = assert!(ChunkSize::MAX.bytes() >= PAGE_MAX as u64, "a page is one chunk");

/// What a range that was never written reads as, a page of it.
pub static ZEROS: [u8; PAGE_MAX] = [0; PAGE_MAX];

/// A large value, or a snapshot of one: a clone costs O(1) and shows the bytes of its moment.
///
/// It is written through its [`Store`](crate::Store), and given up by dropping it, anywhere.
pub struct Blob {
    /// `None` only while the handle is being dropped.
    root: Option<Arc<Root>>,
    returns: Arc<Returns>,
}

/// A part of a blob as it was when it was made. What has been [sent](BlobSlice::advance) is cut off its front.
#[derive(Clone)]
pub struct BlobSlice {
    blob: Blob,
    range: Range<u64>,
}

#[derive(Clone, Debug, Default)]
struct Root {
    len: u64,
    /// Bytes of the pages below, those shared with other roots included.
    page_bytes: u64,
    nodes: Vec<Option<Arc<Node>>>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    pages: Vec<Option<Arc<Page>>>,
}

/// A page may be shorter than its slot: what follows reads as zeros.
#[derive(Debug)]
struct Page {
    chunk: Chunk,
}

/// Where a page stands: of which node, which page, and the bytes of the blob that are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    node: usize,
    page: usize,
    start: u64,
    len: u64,
}

impl Slot {
    /// The slot of byte `at`.
    fn of(at: u64) -> Slot {
        let node = at >> NODE_LOG2;
        let log2 = if node == 0 { FIRST_PAGE_LOG2 } else { PAGE_LOG2 };
        let page = (at & ((1 << NODE_LOG2) - 1)) >> log2;
        Slot { node: node as usize, page: page as usize, start: at >> log2 << log2, len: 1 << log2 }
    }

    fn end(&self) -> u64 {
        self.start + self.len
    }

    /// The part of `range` in this slot, counted from the slot's start.
    fn within(&self, range: &Range<u64>) -> Range<usize> {
        let clamp = |at: u64| (at.clamp(self.start, self.end()) - self.start) as usize;
        clamp(range.start)..clamp(range.end)
    }

    /// The slots that hold a byte of `range`.
    fn over(range: Range<u64>) -> impl Iterator<Item = Slot> {
        let first = (!range.is_empty()).then(|| Slot::of(range.start));
        std::iter::successors(first, move |slot| (slot.end() < range.end).then(|| Slot::of(slot.end())))
    }
}

/// Bytes of the heap for the two counts beside what an `Arc` holds.
const ARC_BYTES: usize = 2 * size_of::<usize>();
const PAGE_HEAP_BYTES: u64 = (ARC_BYTES + size_of::<Page>()) as u64;
const NODE_HEAP_BYTES_MAX: u64 = {
    let pages = 1 << (NODE_LOG2 - FIRST_PAGE_LOG2);
    (ARC_BYTES + size_of::<Node>() + pages * size_of::<Option<Arc<Page>>>()) as u64
};

impl Node {
    /// What it takes of the heap, its pages not included.
    fn heap_bytes(&self) -> u64 {
        (ARC_BYTES + size_of::<Node>() + size_of_val(&self.pages[..])) as u64
    }
}

impl Root {
    /// What it takes of the heap, its nodes not included; nothing before it has one.
    fn heap_bytes(&self) -> u64 {
        if self.nodes.is_empty() { 0 } else { Root::heap_bytes_with(self.nodes.len()) }
    }

    fn heap_bytes_with(nodes: usize) -> u64 {
        (ARC_BYTES + size_of::<Root>() + nodes * size_of::<Option<Arc<Node>>>()) as u64
    }

    fn page(&self, slot: Slot) -> Option<&Arc<Page>> {
        self.nodes.get(slot.node)?.as_ref()?.pages.get(slot.page)?.as_ref()
    }

    /// The page, if there is one that nobody else refers to. The root itself must be the caller's alone.
    fn own_page(&mut self, slot: Slot) -> Option<&mut Page> {
        let node = Arc::get_mut(self.nodes.get_mut(slot.node)?.as_mut()?)?;
        Arc::get_mut(node.pages.get_mut(slot.page)?.as_mut()?)
    }

    /// Where the slot's page goes; the node above it is made, or made the root's own. What that takes of the heap is added to
    /// `heap_bytes`.
    fn place(&mut self, slot: Slot, heap_bytes: &mut u64) -> &mut Option<Arc<Page>> {
        if self.nodes.len() <= slot.node {
            let before = self.heap_bytes();
            self.nodes.reserve_exact(slot.node + 1 - self.nodes.len());
            self.nodes.resize(slot.node + 1, None);
            *heap_bytes += self.heap_bytes() - before;
        }
        let node = &mut self.nodes[slot.node];
        let before = node.as_mut().and_then(Arc::get_mut).map_or(0, |node| node.heap_bytes());
        // Invariant 1: whoever shares the node still does when the reference that is replaced here goes.
        let node = Arc::make_mut(node.get_or_insert_default());
        if node.pages.len() <= slot.page {
            node.pages.resize(slot.page + 1, None);
        }
        *heap_bytes += node.heap_bytes() - before;
        &mut node.pages[slot.page]
    }

    /// The bytes from `at` on, up to `end` or as far as they lie together. Not empty if `at < end`.
    fn piece(&self, at: u64, end: u64) -> &[u8] {
        let slot = Slot::of(at);
        let range = slot.within(&(at..end));
        match self.page(slot).map(|page| page.chunk.bytes()) {
            Some(bytes) if range.start < bytes.len() => &bytes[range.start..range.end.min(bytes.len())],
            _ => &ZEROS[..range.len()],
        }
    }

    /// Writes to pages that exist and are the root's own.
    fn fill(&mut self, at: u64, mut bytes: &[u8]) {
        for slot in Slot::over(at..at + bytes.len() as u64) {
            let range = slot.within(&(at..BLOB_LEN_MAX));
            let (now, later) = bytes.split_at(bytes.len().min(range.len()));
            let page = self.own_page(slot).expect("the page was made ready");
            page.chunk.bytes_mut()[range.start..range.start + now.len()].copy_from_slice(now);
            bytes = later;
        }
    }
}

impl Page {
    /// Makes the page like `old`, with zeros where that ends, but for the bytes `skip`, which stay arbitrary.
    fn compose(&mut self, old: &[u8], skip: Range<usize>) {
        let bytes = self.chunk.bytes_mut();
        let skip = skip.start.min(bytes.len())..skip.end.min(bytes.len());
        for part in [0..skip.start, skip.end..bytes.len()] {
            let old = &old[part.start.min(old.len())..part.end.min(old.len())];
            let (copied, zeroed) = bytes[part].split_at_mut(old.len());
            copied.copy_from_slice(old);
            zeroed.fill(0);
        }
    }
}

impl Blob {
    fn root(&self) -> &Arc<Root> {
        self.root.as_ref().expect("a blob has a root until it is dropped")
    }

    /// Bytes of the value.
    #[inline]
    pub fn len(&self) -> u64 {
        self.root().len
    }

    /// Whether it has no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the pages that it refers to, those shared with others included. Ranges never written have none.
    pub fn page_bytes(&self) -> u64 {
        self.root().page_bytes
    }

    /// The byte `at`, which is within the value.
    pub fn byte(&self, at: u64) -> u8 {
        assert!(at < self.len(), "the byte is within the value");
        self.root().piece(at, at + 1)[0]
    }

    /// The bytes of a range, a piece for each page; none is empty.
    ///
    /// # Panics
    /// When the range is not within the value.
    pub fn pieces(&self, range: Range<u64>) -> Pieces<'_> {
        self.check(&range);
        Pieces { root: self.root(), range }
    }

    /// A part of the value as it is now. O(1).
    ///
    /// # Panics
    /// When the range is not within the value.
    pub fn slice(&self, range: Range<u64>) -> BlobSlice {
        self.check(&range);
        BlobSlice { blob: self.clone(), range }
    }

    /// Room behind the value for at most `bytes_max` bytes, as far as it was [reserved](crate::Store::blob_reserve): to read a
    /// socket into. Ends at the first page that a snapshot shares.
    pub fn room(&mut self, bytes_max: u64) -> impl Iterator<Item = &mut [u8]> {
        let root = self.root.as_mut().and_then(Arc::get_mut);
        let len = root.as_ref().map_or(0, |root| root.len);
        let first = Slot::of(len);
        let mut left = bytes_max as usize;
        let nodes = root.map_or(&mut [][..], |root| &mut root.nodes[..]).iter_mut().enumerate().skip(first.node);
        let own = nodes.map_while(|(number, node)| Some((number, Arc::get_mut(node.as_mut()?)?)));
        let pages = own.flat_map(move |(number, node)| {
            let skipped = if number == first.node { first.page } else { 0 };
            node.pages.iter_mut().enumerate().skip(skipped).map(move |(page, place)| (number, page, place))
        });
        pages
            .map_while(move |(number, page, place)| {
                let bytes = Arc::get_mut(place.as_mut()?)?.chunk.bytes_mut();
                let is_first = (number, page) == (first.node, first.page);
                let from = if is_first { (len - first.start) as usize } else { 0 };
                let to = bytes.len().min(from.saturating_add(left));
                let room = bytes.get_mut(from..to).unwrap_or_default();
                left -= room.len();
                Some(room)
            })
            .filter(|room| !room.is_empty())
    }

    /// Lets the value grow over the first `bytes` of its [room](Blob::room), which have been written.
    ///
    /// # Panics
    /// When there is not so much room.
    pub fn filled(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let root = self.root.as_mut().and_then(Arc::get_mut).expect("room is there only while nobody shares the blob");
        let len = root.len + bytes;
        let last = Slot::of(len - 1);
        let end = root.own_page(last).map_or(0, |page| last.start + page.chunk.size().bytes());
        assert!(len <= end, "what was filled was room");
        root.len = len;
    }

    fn check(&self, range: &Range<u64>) {
        assert!(range.start <= range.end && range.end <= self.len(), "the range is within the value");
    }
}

impl BlobSlice {
    /// Bytes that it shows.
    #[inline]
    pub fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether there is no byte.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The bytes, a piece for each page; none is empty.
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces { root: self.blob.root(), range: self.range.clone() }
    }

    /// The bytes of a range of it, as [`pieces`](BlobSlice::pieces) gives them.
    ///
    /// # Panics
    /// When the range is not within it.
    pub fn pieces_of(&self, range: Range<u64>) -> Pieces<'_> {
        assert!(range.start <= range.end && range.end <= self.len(), "the range is within the slice");
        let start = self.range.start;
        Pieces { root: self.blob.root(), range: start + range.start..start + range.end }
    }

    /// A part of it. O(1).
    ///
    /// # Panics
    /// When the range is not within it.
    pub fn slice(&self, range: Range<u64>) -> BlobSlice {
        assert!(range.start <= range.end && range.end <= self.len(), "the range is within the slice");
        let start = self.range.start;
        BlobSlice { blob: self.blob.clone(), range: start + range.start..start + range.end }
    }

    /// Forgets the first `bytes`.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn advance(&mut self, bytes: u64) {
        assert!(bytes <= self.len(), "what is forgotten was there");
        self.range.start += bytes;
    }

    /// Fills `slices` with the first bytes, `bytes_max` at most, and returns how many slices and bytes those are.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>], bytes_max: usize) -> (usize, usize) {
        let end = self.range.end.min(self.range.start.saturating_add(bytes_max as u64));
        let pieces = Pieces { root: self.blob.root(), range: self.range.start..end };
        let (mut count, mut bytes) = (0, 0);
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
            bytes += piece.len();
        }
        (count, bytes)
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob of {} bytes", self.len())
    }
}

impl std::fmt::Debug for BlobSlice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bytes {:?} of a {:?}", self.range, self.blob)
    }
}

/// The pieces of a range of a blob, in order.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    root: &'a Root,
    range: Range<u64>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.range.is_empty() {
            return None;
        }
        let piece = self.root.piece(self.range.start, self.range.end);
        self.range.start += piece.len() as u64;
        Some(piece)
    }
}

impl Blobs {
    /// Writes `bytes` from byte `at` on. The value grows if it must; a gap before `at` reads as zeros and takes no memory.
    ///
    /// # Errors
    /// When there is no memory, or the value would be too long; nothing has changed.
    pub(crate) fn write(&mut self, pool: &mut Pool, blob: &mut Blob, at: u64, bytes: &[u8]) -> Result<(), PutError> {
        let range = at..at.checked_add(bytes.len() as u64).ok_or(PutError::ValueTooLong)?;
        let len = blob.len().max(range.end);
        if len > BLOB_LEN_MAX {
            return Err(PutError::ValueTooLong);
        }
        let root = self.make_ready(pool, blob, range, len)?;
        root.fill(at, bytes);
        root.len = len;
        Ok(())
    }

    /// Makes room for `bytes` more behind the value, whose pages are sized for a value of `total` bytes.
    ///
    /// # Errors
    /// When there is no memory, or the value would be too long; nothing has changed.
    pub(crate) fn reserve(&mut self, pool: &mut Pool, blob: &mut Blob, bytes: u64, total: u64) -> Result<(), PutError> {
        if total > BLOB_LEN_MAX {
            return Err(PutError::ValueTooLong);
        }
        let len = blob.len();
        let end = len.saturating_add(bytes).min(total).max(len);
        self.make_ready(pool, blob, len..end, total.max(len))?;
        Ok(())
    }

    /// Makes all pages of `range` exist and be the blob's own; new ones are as large as a value of `len` bytes wants them. The
    /// bytes of the range, and all behind the value, are arbitrary then; a gap between the value and the range is zero. Costs the pages of
    /// the range; the root and the nodes above them if a snapshot shares those.
    fn make_ready<'a>(
        &mut self,
        pool: &mut Pool,
        blob: &'a mut Blob,
        range: Range<u64>,
        len: u64,
    ) -> Result<&'a mut Root, OutOfMemory> {
        let root = blob.root.as_mut().expect("a blob has a root until it is dropped");
        let old_len = root.len;
        let has_gap = range.start > old_len;
        // The page in which the value ends: where it grows over the rest of it without writing, that rest is zeroed.
        let tail = Slot::of(old_len);
        let tail = (has_gap && tail.start < old_len && root.page(tail).is_some()).then_some(tail);

        // First what can fail: a chunk for each page that is missing, shared or too short. Room before a gap does not count.
        let mut chunks: Vec<(Slot, Chunk)> = Vec::new();
        let mut own = Arc::get_mut(root);
        for slot in tail.into_iter().chain(Slot::over(range.clone()).filter(|slot| Some(*slot) != tail)) {
            let is_room = slot.start >= old_len;
            let page = own.as_mut().and_then(|root| root.own_page(slot)).filter(|_| !(has_gap && is_room));
            let within = slot.within(&range);
            let needed = if within.is_empty() { 0 } else { within.end as u64 };
            if page.is_some_and(|page| page.chunk.size().bytes() >= needed) {
                continue;
            }
            let size = ChunkSize::at_least((len - slot.start).min(slot.len));
            match self.take(pool, size) {
                Ok(chunk) => chunks.push((slot, chunk)),
                Err(error) => return Err(Blobs::give_up(pool, chunks, error)),
            }
        }
        // And what names them, at the most.
        let nodes = chunks.chunk_by(|(a, _), (b, _)| a.node == b.node).count() as u64;
        let end = chunks.last().map_or(0, |(slot, _)| slot.node + 1).max(root.nodes.len());
        let copied = if Arc::get_mut(root).is_some() { root.heap_bytes() } else { 0 };
        let named = chunks.len() as u64 * PAGE_HEAP_BYTES + nodes * NODE_HEAP_BYTES_MAX;
        let fresh = Root::heap_bytes_with(end) - copied + named;
        // A write in place takes none, and is none too many when the limit is reached.
        if fresh > 0
            && let Err(error) = pool.admit_outside(fresh)
        {
            return Err(Blobs::give_up(pool, chunks, error));
        }

        // From here on nothing fails.
        let (shared, mut heap_bytes) = (Arc::as_ptr(root), 0);
        let root = blob.returns.make_own(root);
        if std::ptr::from_ref(root) != shared {
            heap_bytes += root.heap_bytes();
        }
        if has_gap {
            self.cut_room(pool, root, &mut heap_bytes);
        }
        let skip = range.start..if range.end >= old_len { u64::MAX } else { range.end };
        for (slot, chunk) in chunks {
            let size = chunk.size().bytes();
            let mut page = Page { chunk };
            let place = root.place(slot, &mut heap_bytes);
            let old = place.take();
            let old_bytes = old.as_ref().map_or(&[][..], |old| old.chunk.bytes());
            let old_size = old_bytes.len() as u64;
            page.compose(old_bytes, slot.within(&skip));
            *place = Some(Arc::new(page));
            root.page_bytes = root.page_bytes + size - old_size;
            self.note_taken(size);
            if let Some(old) = old {
                self.release(pool, old);
            }
        }
        if let Some(tail) = tail {
            let page = root.own_page(tail).expect("the page was made ready");
            let bytes = page.chunk.bytes_mut();
            let gap = tail.within(&(old_len..range.start));
            let end = gap.end.min(bytes.len());
            bytes[gap.start.min(end)..end].fill(0);
        }
        self.note_heap(pool, heap_bytes);
        Ok(root)
    }

    /// A chunk for a page. Where there is no memory, what was given up and only waits to be freed makes room, a step's worth of it:
    /// who removes a large value and sets another one at once is not refused.
    fn take(&mut self, pool: &mut Pool, size: ChunkSize) -> Result<Chunk, OutOfMemory> {
        pool.take(size, Purpose::Write).or_else(|error| {
            if !self.in_debt() {
                return Err(error);
            }
            self.free_some(pool, BLOB_PAGES);
            pool.take(size, Purpose::Write)
        })
    }

    /// Gives chunks back that were taken for a write that cannot be.
    fn give_up(pool: &mut Pool, chunks: Vec<(Slot, Chunk)>, error: OutOfMemory) -> OutOfMemory {
        chunks.into_iter().for_each(|(_, chunk)| pool.give(chunk));
        error
    }

    /// Gives back the room behind the value.
    fn cut_room(&mut self, pool: &mut Pool, root: &mut Root, heap_bytes: &mut u64) {
        let last = Slot::of(root.len);
        let mut slot = if last.start < root.len { Slot::of(last.end()) } else { last };
        while root.page(slot).is_some() {
            let page = root.place(slot, heap_bytes).take().expect("just seen");
            root.page_bytes -= page.chunk.size().bytes();
            self.release(pool, page);
            slot = Slot::of(slot.end());
        }
    }
}

#[cfg(test)]
mod tests;
