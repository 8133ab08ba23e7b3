//! The index's lines, four to a block, on chunks from the pool.
//!
//! ```text
//!  page (a chunk of 64 KiB)                          block = 256 bytes
//!  +-------+-------+-------+-- ... --+-------+      +------+------+------+------+
//!  | block | block | hole  |         | block |      | line | line | line | line |
//!  +-------+-------+-------+-- ... --+-------+      +------+------+------+------+
//! ```
//!
//! One slab serves all maps of a store, so that many small maps share pages. The lowest hole is filled first, and a
//! page without blocks goes back to the pool at once. The first pages are smaller (4 to 32 KiB, eight of each), so
//! that the page that is being filled is a small part of the whole. Taking and giving a block is O(1).

use super::line::{Line, SLOTS};
use crate::arena::LowestFirst;
use crate::chunk::{Chunk, ChunkSize};
use crate::pool::{OutOfMemory, Pool, Purpose};

/// Lines in a block.
pub(super) const BLOCK_LINES: usize = 4;
/// Bytes of a block.
pub(super) const BLOCK_BYTES: usize = BLOCK_LINES * size_of::<Line>();

const PAGE_BLOCKS_MAX: usize = 256;
const PAGE_BLOCKS_FIRST: usize = 16;
const PAGES_OF_A_SIZE: usize = 8;
const MASK_WORDS: usize = PAGE_BLOCKS_MAX / 64;

/// The number of a block: its page, and its place there. It has one owner, and is not copied beyond it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Block(u32);

impl Block {
    #[inline]
    fn new(page: usize, at: usize) -> Block {
        Block(u32::try_from(page * PAGE_BLOCKS_MAX + at).expect("an index is smaller than 1 TiB"))
    }

    #[inline]
    fn page(self) -> usize {
        self.0 as usize / PAGE_BLOCKS_MAX
    }

    #[inline]
    fn at(self) -> usize {
        self.0 as usize % PAGE_BLOCKS_MAX
    }
}

pub(super) struct Slab {
    /// Page by page, up to the highest held; `None`: given back to the pool.
    chunks: Vec<Option<Chunk>>,
    /// One bit a block of the page, set when it is free.
    free: Vec<[u64; MASK_WORDS]>,
    /// Pages held that have a free block.
    open: LowestFirst,
    /// Pages given back.
    absent: LowestFirst,
    pages_held: usize,
    blocks_held: usize,
    blocks_used: usize,
}

/// Blocks of a page: eight pages each of 16, 32, 64 and 128, and 256 from then on.
fn page_blocks(page: usize) -> usize {
    (PAGE_BLOCKS_FIRST << (page / PAGES_OF_A_SIZE).min(4)).min(PAGE_BLOCKS_MAX)
}

impl Slab {
    pub(super) fn new() -> Slab {
        Slab {
            chunks: Vec::new(),
            free: Vec::new(),
            open: LowestFirst::new(),
            absent: LowestFirst::new(),
            pages_held: 0,
            blocks_held: 0,
            blocks_used: 0,
        }
    }

    /// The lowest free block; a new page when there is none. What it holds is arbitrary.
    pub(super) fn take(&mut self, pool: &mut Pool) -> Result<Block, OutOfMemory> {
        let page = match self.open.first() {
            Some(page) => page,
            None => self.take_page(pool)?,
        };
        Ok(self.take_from(page))
    }

    /// Gives a block back, and its page to the pool if that was the last.
    pub(super) fn give(&mut self, pool: &mut Pool, block: Block) {
        let (page, at) = (block.page(), block.at());
        let free = &mut self.free[page];
        assert!(free[at / 64] >> (at % 64) & 1 == 0, "a block is given back once");
        free[at / 64] |= 1 << (at % 64);
        self.blocks_used -= 1;
        self.open.insert(page);
        let free_count = free.iter().map(|word| word.count_ones() as usize).sum::<usize>();
        if free_count == page_blocks(page) {
            self.give_page(pool, page);
        }
    }

    #[inline]
    pub(super) fn line(&self, block: Block, line: usize) -> &Line {
        &self.page_lines(block)[block.at() * BLOCK_LINES + line]
    }

    #[inline]
    pub(super) fn line_mut(&mut self, block: Block, line: usize) -> &mut Line {
        let chunk = self.chunks[block.page()].as_mut().expect("a block in use is on a page held");
        let (lines, _) = chunk.words_mut().as_chunks_mut::<SLOTS>();
        &mut lines[block.at() * BLOCK_LINES + line]
    }

    /// Has a line brought to the cache.
    #[inline]
    pub(super) fn prefetch(&self, block: Block, line: usize) {
        let chunk = self.chunks[block.page()].as_ref().expect("a block in use is on a page held");
        chunk.prefetch((block.at() * BLOCK_LINES + line) * size_of::<Line>());
    }

    /// All lines of a block.
    #[inline]
    pub(super) fn lines(&self, block: Block) -> &[Line] {
        let first = block.at() * BLOCK_LINES;
        &self.page_lines(block)[first..first + BLOCK_LINES]
    }

    /// Overwrites all lines of a block.
    #[inline]
    pub(super) fn write(&mut self, block: Block, lines: &[Line]) {
        let chunk = self.chunks[block.page()].as_mut().expect("a block in use is on a page held");
        let first = block.at() * BLOCK_LINES;
        chunk.words_mut().as_chunks_mut::<SLOTS>().0[first..first + BLOCK_LINES].copy_from_slice(lines);
    }

    #[inline]
    fn page_lines(&self, block: Block) -> &[Line] {
        let chunk = self.chunks[block.page()].as_ref().expect("a block in use is on a page held");
        chunk.words().as_chunks::<SLOTS>().0
    }

    /// True when more than the highest page and a sixteenth of what is used lies free: worth a sweep.
    pub(super) fn is_sparse(&self) -> bool {
        let highest = self.chunks.len().saturating_sub(1);
        self.blocks_free() > page_blocks(highest) + self.blocks_used / 16
    }

    /// One more than the highest page that would be needed if the blocks in use filled the lowest pages held.
    pub(super) fn pages_needed(&self) -> usize {
        let mut blocks = 0;
        for (page, chunk) in self.chunks.iter().enumerate() {
            if blocks >= self.blocks_used {
                return page;
            }
            if chunk.is_some() {
                blocks += page_blocks(page);
            }
        }
        self.chunks.len()
    }

    /// Where the block's lines are now: moved to the lowest hole, if it stood at or past page `keep` and there is a hole
    /// below. Takes nothing from the pool.
    pub(super) fn move_below(&mut self, pool: &mut Pool, block: Block, keep: usize) -> Block {
        if block.page() < keep {
            return block;
        }
        let Some(page) = self.open.first().filter(|&page| page < keep) else {
            return block;
        };
        let target = self.take_from(page);
        for line in 0..BLOCK_LINES {
            *self.line_mut(target, line) = *self.line(block, line);
        }
        self.give(pool, block);
        target
    }

    fn take_from(&mut self, page: usize) -> Block {
        let free = &mut self.free[page];
        let word = free.iter().position(|&word| word != 0).expect("an open page has a free block");
        let at = word * 64 + free[word].trailing_zeros() as usize;
        free[word] &= free[word] - 1;
        if free.iter().all(|&word| word == 0) {
            self.open.remove(page);
        }
        self.blocks_used += 1;
        Block::new(page, at)
    }

    fn take_page(&mut self, pool: &mut Pool) -> Result<usize, OutOfMemory> {
        let absent = self.absent.first();
        let page = absent.unwrap_or(self.chunks.len());
        let blocks = page_blocks(page);
        let chunk = pool.take(ChunkSize::at_least((blocks * BLOCK_BYTES) as u64), Purpose::Write)?;
        if absent.is_none() {
            self.chunks.push(None);
            self.free.push([0; MASK_WORDS]);
        }
        self.absent.remove(page);
        self.chunks[page] = Some(chunk);
        for (word, mask) in self.free[page].iter_mut().enumerate() {
            *mask = match blocks.saturating_sub(word * 64) {
                64.. => u64::MAX,
                rest => (1 << rest) - 1,
            };
        }
        self.open.insert(page);
        self.pages_held += 1;
        self.blocks_held += blocks;
        Ok(page)
    }

    fn give_page(&mut self, pool: &mut Pool, page: usize) {
        let chunk = self.chunks[page].take().expect("a page with free blocks is held");
        pool.give(chunk);
        self.free[page] = [0; MASK_WORDS];
        self.open.remove(page);
        self.absent.insert(page);
        self.pages_held -= 1;
        self.blocks_held -= page_blocks(page);
        while let Some(None) = self.chunks.last() {
            self.chunks.pop();
            self.free.pop();
            self.absent.remove(self.chunks.len());
        }
    }

    pub(super) fn blocks_used(&self) -> usize {
        self.blocks_used
    }

    pub(super) fn blocks_free(&self) -> usize {
        self.blocks_held - self.blocks_used
    }

    pub(super) fn pages_held(&self) -> usize {
        self.pages_held
    }

    /// Bytes of the pages held.
    pub(super) fn held_bytes(&self) -> u64 {
        (self.blocks_held * BLOCK_BYTES) as u64
    }

    /// Panics when the books and the bits disagree. O(pages).
    pub(super) fn audit(&self) {
        let (mut pages, mut held, mut free) = (0, 0, 0);
        for (page, chunk) in self.chunks.iter().enumerate() {
            let free_here = self.free[page].iter().map(|word| word.count_ones() as usize).sum::<usize>();
            match chunk {
                Some(chunk) => {
                    assert_eq!(chunk.words().len() * 8, page_blocks(page) * BLOCK_BYTES);
                    assert!(free_here < page_blocks(page), "page {page} is held and empty");
                    pages += 1;
                    held += page_blocks(page);
                    free += free_here;
                }
                None => assert_eq!(free_here, 0, "page {page} is given back and has free blocks"),
            }
        }
        assert!(self.chunks.last().is_none_or(Option::is_some), "the highest page is held");
        assert_eq!((pages, held, free), (self.pages_held, self.blocks_held, self.blocks_free()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::pool_with;
    use super::*;

    #[test]
    fn the_first_pages_are_small_and_each_is_filled_before_the_next() {
        let (mut pool, mut slab) = (pool_with(u64::MAX), Slab::new());
        let mut blocks = Vec::new();
        let mut capacity = 0;
        for pages in 1..=40 {
            capacity += [16, 32, 64, 128, 256][(pages - 1) / 8];
            while blocks.len() < capacity {
                blocks.push(slab.take(&mut pool).unwrap());
                assert_eq!(slab.pages_held(), pages);
            }
            assert_eq!((slab.blocks_used(), slab.blocks_free()), (capacity, 0));
            slab.audit();
        }
    }

    #[test]
    fn an_empty_page_goes_back_to_the_pool_and_a_hole_is_filled_lowest_first() {
        let (mut pool, mut slab) = (pool_with(u64::MAX), Slab::new());
        let blocks: Vec<_> = (0..112).map(|_| slab.take(&mut pool).unwrap()).collect();
        assert_eq!(slab.held_bytes(), 112 * 256);
        blocks[16..48].iter().for_each(|&block| slab.give(&mut pool, block));
        assert_eq!(slab.held_bytes(), 80 * 256);
        slab.give(&mut pool, blocks[100]);
        slab.give(&mut pool, blocks[5]);
        assert_eq!(slab.take(&mut pool), Ok(blocks[5]));
        assert_eq!(slab.take(&mut pool), Ok(blocks[100]));
        assert_eq!(slab.take(&mut pool), Ok(blocks[16]));
        slab.audit();
    }

    #[test]
    fn a_refused_page_changes_nothing() {
        // Two granules of 64 KiB, a part of which is kept for compaction: one, which twelve pages fill.
        let (mut pool, mut slab) = (pool_with(2 << 16), Slab::new());
        let blocks: Vec<_> = (0..256).map(|_| slab.take(&mut pool).unwrap()).collect();
        assert_eq!(slab.take(&mut pool), Err(OutOfMemory));
        assert_eq!((slab.blocks_used(), slab.pages_held()), (256, 12));
        slab.give(&mut pool, blocks[3]);
        assert_eq!(slab.take(&mut pool), Ok(blocks[3]));
        slab.audit();
    }

    #[test]
    #[should_panic(expected = "given back once")]
    fn a_block_given_back_twice_is_noticed() {
        let (mut pool, mut slab) = (pool_with(u64::MAX), Slab::new());
        let block = slab.take(&mut pool).unwrap();
        slab.take(&mut pool).unwrap();
        slab.give(&mut pool, block);
        slab.give(&mut pool, block);
    }

    #[test]
    fn lines_keep_what_was_written_to_them_and_move_below() {
        let (mut pool, mut slab) = (pool_with(u64::MAX), Slab::new());
        let blocks: Vec<_> = (0..48).map(|_| slab.take(&mut pool).unwrap()).collect();
        for (n, &block) in blocks.iter().enumerate() {
            slab.write(block, &std::array::from_fn::<Line, 4, _>(|line| [(n * 4 + line) as u64; 8]));
        }
        slab.give(&mut pool, blocks[7]);
        assert_eq!(slab.move_below(&mut pool, blocks[3], 1), blocks[3]);
        assert_eq!(slab.move_below(&mut pool, blocks[40], 1), blocks[7]);
        assert_eq!(slab.line(blocks[7], 2), &[40 * 4 + 2; 8]);
        assert_eq!(slab.move_below(&mut pool, blocks[41], 1), blocks[41], "no hole below");
        assert_eq!(slab.lines(blocks[41])[3], [41 * 4 + 3; 8]);
        slab.audit();
    }
}
