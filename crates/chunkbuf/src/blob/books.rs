//! Whose the blobs are: a table for each map, the queue of what was given up, and the books of their pages.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Blob, Node, PAGE_HEAP_BYTES, Page, Root};
use crate::arena::Arena;
use crate::pool::{Outside, Pool};

/// The number of a blob in the table of its map: what an entry keeps of it, in 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobId(NonZeroU32);

impl BlobId {
    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The id with a number that [`get`](BlobId::get) gave.
    pub fn new(number: u32) -> Option<BlobId> {
        NonZeroU32::new(number).map(BlobId)
    }

    /// Its number in the arena of the table.
    fn place(self) -> u32 {
        self.0.get() - 1
    }
}

/// Books of all blobs of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlobUsage {
    /// Blobs in the tables of maps.
    pub blobs: u64,
    /// Handles beside those: snapshots that readers hold, uploads, values of maps that were cleared.
    pub other_handles: u64,
    /// Bytes of pages, whoever holds them.
    pub page_bytes: u64,
    /// Bytes of the heap for what names the pages. Of a value that is nearly all gap this is most.
    pub heap_bytes: u64,
}

/// Roots that their last handles have given up, on whatever thread, until the store takes them apart.
///
/// A reference to a root goes away under the lock of the list and not otherwise. So whoever sees there that a root has others
/// may drop his own: the last one always comes into the list.
#[derive(Default)]
pub(super) struct Returns {
    roots: Mutex<Pile>,
    /// How many `roots` are: the store asks for it all the time.
    waiting: AtomicUsize,
    /// Handles that live.
    handles: AtomicUsize,
}

/// Roots in no order. Of a million that wait no list is ever moved.
#[derive(Default)]
struct Pile {
    full: Vec<Vec<Arc<Root>>>,
    top: Vec<Arc<Root>>,
}

impl Pile {
    const ROOTS: usize = 512;

    fn push(&mut self, root: Arc<Root>) {
        if self.top.len() == Pile::ROOTS {
            self.full.push(std::mem::take(&mut self.top));
        }
        self.top.push(root);
    }

    fn pop(&mut self) -> Option<Arc<Root>> {
        if self.top.is_empty() {
            self.top = self.full.pop().unwrap_or_default();
        }
        self.top.pop()
    }

    fn len(&self) -> usize {
        self.full.len() * Pile::ROOTS + self.top.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Root>> {
        self.full.iter().chain([&self.top]).flatten()
    }
}

impl Returns {
    fn lock(&self) -> MutexGuard<'_, Pile> {
        // No panic can leave the list half changed.
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, root: Arc<Root>) {
        let mut roots = self.lock();
        if Arc::strong_count(&root) > 1 {
            drop(root);
        } else {
            roots.push(root);
            self.waiting.store(roots.len(), Ordering::Relaxed);
        }
        self.handles.fetch_sub(1, Ordering::Relaxed);
    }

    fn pop(&self) -> Option<Root> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut roots = self.lock();
        let root = roots.pop()?;
        self.waiting.store(roots.len(), Ordering::Relaxed);
        Some(Arc::into_inner(root).expect("a root in the list has no other reference"))
    }

    /// Makes a root its handle's own, by a copy if it is shared. What has been seen to be its own before still is.
    pub(super) fn make_own<'a>(&self, root: &'a mut Arc<Root>) -> &'a mut Root {
        if Arc::get_mut(root).is_none() {
            let _roots = self.lock();
            return Arc::make_mut(root);
        }
        Arc::get_mut(root).expect("just seen")
    }

    fn handle(self: &Arc<Returns>, root: Arc<Root>) -> Blob {
        self.handles.fetch_add(1, Ordering::Relaxed);
        Blob { root: Some(root), returns: Arc::clone(self) }
    }
}

impl Clone for Blob {
    fn clone(&self) -> Blob {
        self.returns.handle(Arc::clone(self.root()))
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if let Some(root) = self.root.take() {
            self.returns.push(root);
        }
    }
}

/// What a store knows of its blobs altogether.
#[derive(Default)]
pub(crate) struct Blobs {
    returns: Arc<Returns>,
    /// Nodes of the root that is being taken apart.
    dying: Vec<Option<Arc<Node>>>,
    /// Blobs in tables of maps.
    attached: u64,
    page_bytes: u64,
    heap_bytes: u64,
}

impl Blobs {
    /// An empty value.
    pub(crate) fn create(&self) -> Blob {
        self.returns.handle(Arc::default())
    }

    /// Whether `blob` is one of these.
    pub(crate) fn owns(&self, blob: &Blob) -> bool {
        Arc::ptr_eq(&self.returns, &blob.returns)
    }

    pub(crate) fn usage(&self) -> BlobUsage {
        let handles = self.returns.handles.load(Ordering::Relaxed) as u64;
        BlobUsage {
            blobs: self.attached,
            other_handles: handles - self.attached,
            page_bytes: self.page_bytes,
            heap_bytes: self.heap_bytes,
        }
    }

    /// Whether there is something to take apart.
    pub(crate) fn in_debt(&self) -> bool {
        !self.dying.is_empty() || self.returns.waiting.load(Ordering::Relaxed) > 0
    }

    /// Takes apart what was given up, and gives its pages back, up to the node in which `pages` of them are reached. What
    /// others still refer to is left to them. Whether there is more.
    pub(crate) fn free_some(&mut self, pool: &mut Pool, pages: usize) -> bool {
        let mut looked = 0;
        while looked < pages {
            looked += 1;
            match self.dying.pop() {
                Some(node) => {
                    if let Some(node) = node.and_then(Arc::into_inner) {
                        self.heap_bytes -= node.heap_bytes();
                        looked += node.pages.len();
                        node.pages.into_iter().flatten().for_each(|page| self.release(pool, page));
                    }
                }
                None => match self.returns.pop() {
                    Some(root) => {
                        self.heap_bytes -= root.heap_bytes();
                        self.dying = root.nodes;
                    }
                    None => break,
                },
            }
        }
        self.note_heap(pool, 0);
        self.in_debt()
    }

    /// Drops a reference to a page; the last one gives it back.
    pub(super) fn release(&mut self, pool: &mut Pool, page: Arc<Page>) {
        if let Some(page) = Arc::into_inner(page) {
            self.page_bytes -= page.chunk.size().bytes();
            self.heap_bytes -= PAGE_HEAP_BYTES;
            pool.give(page.chunk);
        }
    }

    pub(super) fn note_taken(&mut self, page_bytes: u64) {
        self.page_bytes += page_bytes;
        self.heap_bytes += PAGE_HEAP_BYTES;
    }

    /// Adds what roots and nodes have grown by, and tells the pool, whose limit bounds it.
    pub(super) fn note_heap(&mut self, pool: &mut Pool, grown_bytes: u64) {
        self.heap_bytes += grown_bytes;
        pool.set_outside(Outside::Blobs, self.heap_bytes);
    }

    /// Panics when the books are not what the tables of all maps, those that were `cleared`, and the queue say. Pages that
    /// only a reader refers to cannot be counted: while there are other handles, the sum may be less. Cost: all pages.
    pub(crate) fn audit<'a>(&self, tables: impl Iterator<Item = &'a Table>, cleared: impl Iterator<Item = &'a Table>) {
        let (mut seen, mut seen_nodes, mut seen_roots) = (HashSet::new(), HashSet::new(), HashSet::new());
        let (mut seen_bytes, mut heap_bytes) = (0, 0);
        let mut count = |root: Option<&Arc<Root>>, nodes: &[Option<Arc<Node>>]| -> u64 {
            let is_new = root.is_some_and(|root| seen_roots.insert(Arc::as_ptr(root)));
            heap_bytes += root.filter(|_| is_new).map_or(0, |root| root.heap_bytes());
            let mut page_bytes = 0;
            for node in nodes.iter().flatten() {
                heap_bytes += if seen_nodes.insert(Arc::as_ptr(node)) { node.heap_bytes() } else { 0 };
                for page in node.pages.iter().flatten() {
                    let size = page.chunk.size().bytes();
                    page_bytes += size;
                    if seen.insert(Arc::as_ptr(page)) {
                        seen_bytes += size;
                        heap_bytes += PAGE_HEAP_BYTES;
                    }
                }
            }
            page_bytes
        };
        let mut attached = 0;
        for blob in tables.flat_map(|table| table.blobs.iter().flatten()) {
            attached += 1;
            assert_eq!(
                count(Some(blob.root()), &blob.root().nodes),
                blob.page_bytes(),
                "a root knows the bytes of its pages"
            );
        }
        assert_eq!(attached, self.attached, "blobs in tables are counted");
        let mut discarded = 0;
        for blob in cleared.flat_map(|table| table.blobs.iter().flatten()) {
            discarded += 1;
            count(Some(blob.root()), &blob.root().nodes);
        }
        let roots = self.returns.lock();
        assert_eq!(roots.len(), self.returns.waiting.load(Ordering::Relaxed), "roots that wait are counted");
        for root in roots.iter() {
            count(Some(root), &root.nodes);
        }
        count(None, &self.dying);
        assert!(seen_bytes <= self.page_bytes, "pages are counted once");
        if self.usage().other_handles == discarded {
            assert_eq!(seen_bytes, self.page_bytes, "pages in the books are pages that somebody refers to");
            assert_eq!(heap_bytes, self.heap_bytes, "what names them is counted");
        }
    }
}

/// The blobs of a map, by their ids.
#[derive(Default)]
pub(crate) struct Table {
    /// `None` only while the blob is [borrowed](Table::borrow).
    blobs: Arena<Option<Blob>>,
}

impl Table {
    pub(crate) fn get(&self, id: BlobId) -> &Blob {
        self.blobs.get(id.place()).as_ref().expect("the id is of a blob in the table")
    }

    /// The blob, while its place in the table stays empty: to be [put back](Table::put_back).
    pub(crate) fn borrow(&mut self, id: BlobId) -> Blob {
        self.blobs.get_mut(id.place()).take().expect("the id is of a blob in the table")
    }

    pub(crate) fn put_back(&mut self, id: BlobId, blob: Blob) {
        *self.blobs.get_mut(id.place()) = Some(blob);
    }

    pub(crate) fn attach(&mut self, blobs: &mut Blobs, blob: Blob) -> BlobId {
        blobs.attached += 1;
        let number = self.blobs.insert(Some(blob)).checked_add(1).and_then(NonZeroU32::new);
        BlobId(number.expect("fewer than 2^32 blobs, and more than none"))
    }

    pub(crate) fn detach(&mut self, blobs: &mut Blobs, id: BlobId) -> Blob {
        let blob = self.blobs.remove(id.place()).expect("the id is of a blob in the table");
        blobs.attached -= 1;
        blob
    }

    /// Takes the table off the books of what is attached; it is left to [`discard_some`](Table::discard_some).
    pub(crate) fn discard(&mut self, blobs: &mut Blobs) {
        blobs.attached -= self.blobs.len() as u64;
    }

    /// Gives up at most 64 blobs of a discarded table; whether none is left.
    pub(crate) fn discard_some(&mut self) -> bool {
        self.blobs.drop_page();
        self.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blobs.len() == 0
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> u64 {
        self.blobs.held_bytes()
    }
}
