//! The longest common subsequence of two strings, 64 cells of the table at a time.
//!
//! The table of lengths `L(i, j)`, of the first `i` bytes of `a` and the first `j` of `b`, grows by 0 or 1 from each cell to the
//! next one in its row. So a row is kept as one bit a cell, set where it grows, and a row follows from the one before by an
//! addition over whole words (Crochemore et al., "A fast and practical bit-vector algorithm for the longest common subsequence
//! problem", 2001; Hyyrö, "Bit-parallel LCS-length computation revisited", 2004):
//!
//! ```text
//! same = where b has the byte a[i]           one row of bits for each byte that is in a
//! u    = level & same                        level: a bit is clear where the row grows
//! level = (level + u) | (level & !same)      the carry runs through all words of the row
//! ```
//!
//! The way back, from the last cell to the first, needs no more than these bits. Where the bytes differ it goes up if the
//! upper cell is greater than the left one, else left; and the upper one is greater just where the row grows into this cell.
//! Among several subsequences of that length this is the one that Redis answers.
//!
//! Cost: `a.len() * b.len() / 64` words, and as many bits of memory as the table has cells if the way back is asked for, where
//! the plain method takes a step and 32 bits a cell. Beside it one row of bits for each byte value that is in `a`.

use crate::keyspace::Snapshot;

/// A piece that both strings have, and that the subsequence has as a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Where it begins in `a`.
    pub a: usize,
    /// Where it begins in `b`.
    pub b: usize,
    /// Its length in bytes, at least 1.
    pub len: usize,
}

/// Finds the longest common subsequence of two strings.
#[derive(Debug)]
pub struct Lcs {
    a: Snapshot,
    b: Snapshot,
    /// The table's rows; `None` if only the length is asked for.
    table: Option<BitTable>,
    /// For each byte value the place of its row in `same`, 0 if it is not in `a`, 1 for the first row.
    row_of: [u16; 256],
    /// How many byte values are in `a`.
    rows: usize,
    /// For each byte value that is in `a` a row of `words` words: where `b` has it.
    same: Vec<u64>,
    /// The row that is worked on: clear where it grows.
    level: Vec<u64>,
    stage: Stage,
    len: usize,
    /// Last one first.
    matches: Vec<Match>,
}

/// How far it is. Each stage may stop anywhere.
#[derive(Debug)]
enum Stage {
    /// Which bytes are in `a`.
    Alphabet {
        at: usize,
    },
    /// Room for the rows, cleared.
    Room,
    /// Where they are in `b`.
    Places {
        at: usize,
    },
    /// The table, row by row, word by word.
    Rows {
        row: usize,
        word: usize,
        carry: bool,
    },
    /// How often the last row grows, which is the length, word by word.
    Sum {
        word: usize,
    },
    /// The way back: the cell (i, j) comes next; `open` is the match that the last step belongs to.
    Back {
        i: usize,
        j: usize,
        open: Option<Match>,
    },
    Done,
}

/// What a step costs, in the bytes of a budget: about as long as it takes to count the bits of so many bytes.
mod cost {
    /// A byte of `a` looked at.
    pub(super) const ALPHABET: usize = 4;
    /// A word cleared.
    pub(super) const CLEAR: usize = 8;
    /// A byte of `b` looked at.
    pub(super) const PLACE: usize = 8;
    /// A word of a row.
    pub(super) const WORD: usize = 16;
    /// A row begun.
    pub(super) const ROW: usize = 64;
    /// A cell on the way back.
    pub(super) const BACK: usize = 64;
}

impl Lcs {
    /// Begins; `matches` says whether more than the length is asked for.
    pub fn new(a: Snapshot, b: Snapshot, matches: bool) -> Lcs {
        Lcs {
            a,
            b,
            table: matches.then(BitTable::default),
            row_of: [0; 256],
            rows: 0,
            same: Vec::new(),
            level: Vec::new(),
            stage: Stage::Alphabet { at: 0 },
            len: 0,
            matches: Vec::new(),
        }
    }

    /// Goes on for about `budget_bytes`; whether it is done.
    pub fn step(&mut self, budget_bytes: usize) -> bool {
        // At least one unit of any stage, so that each step gets on.
        let mut left = budget_bytes.max(cost::ROW + cost::WORD);
        while left >= cost::ROW + cost::WORD {
            left = match self.stage {
                Stage::Alphabet { at } => self.alphabet(at, left),
                Stage::Room => self.room(left),
                Stage::Places { at } => self.places(at, left),
                Stage::Rows { row, word, carry } => self.rows(row, word, carry, left),
                Stage::Sum { word } => self.sum(word, left),
                Stage::Back { i, j, open } => self.back(i, j, open, left),
                Stage::Done => return true,
            };
        }
        matches!(self.stage, Stage::Done)
    }

    /// The length of the subsequence; asked when it is done.
    pub fn subsequence_len(&self) -> usize {
        debug_assert!(matches!(self.stage, Stage::Done));
        self.len
    }

    /// The pieces that the subsequence consists of, the last one first; none unless they were asked for. Asked when it is done.
    pub fn matches(&self) -> &[Match] {
        debug_assert!(matches!(self.stage, Stage::Done));
        &self.matches
    }

    /// The subsequence, if matches were asked for, in pieces. Asked when it is done.
    pub fn subsequence(&self) -> impl Iterator<Item = &[u8]> {
        self.matches().iter().rev().flat_map(|found| self.a.pieces(found.a..found.a + found.len))
    }

    /// Bytes of memory that it holds beside the strings.
    pub fn memory_bytes(&self) -> usize {
        let table = self.table.as_ref().map_or(0, |table| table.blocks.len() * BLOCK_WORDS);
        8 * (self.same.capacity() + self.level.capacity() + table)
    }

    /// Frees a part of that, 512 KiB about, when it is of no use any more; whether there is more.
    pub fn free_some(&mut self) -> bool {
        const WORDS: usize = 8 * BLOCK_WORDS;
        if let Some(table) = self.table.as_mut().filter(|table| !table.blocks.is_empty()) {
            table.blocks.truncate(table.blocks.len().saturating_sub(WORDS / BLOCK_WORDS));
            return true;
        }
        let rows = if self.same.capacity() > 0 { &mut self.same } else { &mut self.level };
        rows.clear();
        rows.shrink_to(rows.capacity().saturating_sub(WORDS));
        self.same.capacity() + self.level.capacity() > 0
    }

    fn words(&self) -> usize {
        self.b.len().div_ceil(64)
    }

    fn alphabet(&mut self, at: usize, left: usize) -> usize {
        let end = self.a.len().min(at + left / cost::ALPHABET);
        for &byte in self.a.pieces(at..end).flatten() {
            self.row_of[usize::from(byte)] = 1;
        }
        self.stage = Stage::Alphabet { at: end };
        if end == self.a.len() {
            let mut rows = 0;
            for row in self.row_of.iter_mut().filter(|row| **row > 0) {
                rows += 1;
                *row = rows;
            }
            self.same = Vec::with_capacity(usize::from(rows) * self.words());
            self.level = Vec::with_capacity(self.words());
            self.rows = usize::from(rows);
            self.stage = Stage::Room;
        }
        left - (end - at) * cost::ALPHABET
    }

    fn room(&mut self, left: usize) -> usize {
        let (same_len, level_len) = (self.rows * self.words(), self.words());
        let same = (same_len - self.same.len()).min(left / cost::CLEAR);
        let level = (level_len - self.level.len()).min(left / cost::CLEAR - same);
        self.same.resize(self.same.len() + same, 0);
        self.level.resize(self.level.len() + level, u64::MAX);
        if self.same.len() == same_len && self.level.len() == level_len {
            self.stage = Stage::Places { at: 0 };
        }
        left - (same + level) * cost::CLEAR
    }

    fn places(&mut self, at: usize, left: usize) -> usize {
        let end = self.b.len().min(at + left / cost::PLACE);
        let words = self.words();
        for (place, &byte) in (at..end).zip(self.b.pieces(at..end).flatten()) {
            if let Some(row) = self.row_of[usize::from(byte)].checked_sub(1) {
                self.same[usize::from(row) * words + place / 64] |= 1 << (place % 64);
            }
        }
        self.stage = Stage::Places { at: end };
        if end == self.b.len() {
            self.stage = Stage::Rows { row: 0, word: 0, carry: false };
        }
        left - (end - at) * cost::PLACE
    }

    fn rows(&mut self, row: usize, word: usize, carry: bool, left: usize) -> usize {
        if row == self.a.len() || self.b.len() == 0 {
            self.stage = Stage::Sum { word: 0 };
            return left;
        }
        let words = self.words();
        let byte = self.a.byte(row);
        let same = (usize::from(self.row_of[usize::from(byte)]) - 1) * words;
        let end = words.min(word + (left - cost::ROW) / cost::WORD);
        let mut carry = carry;
        for at in word..end {
            let (level, same) = (self.level[at], self.same[same + at]);
            let (sum, over) = level.overflowing_add(level & same);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            carry = over | over_again;
            let next = sum | (level & !same);
            self.level[at] = next;
            if let Some(table) = &mut self.table {
                table.push(!next, (self.b.len() - 64 * at).min(64) as u32);
            }
        }
        self.stage = if end == words {
            Stage::Rows { row: row + 1, word: 0, carry: false }
        } else {
            Stage::Rows { row, word: end, carry }
        };
        left - cost::ROW - (end - word) * cost::WORD
    }

    fn sum(&mut self, word: usize, left: usize) -> usize {
        let end = self.words().min(word + left / cost::CLEAR);
        let bits = |at: usize| u64::MAX >> (64 - (self.b.len() - 64 * at).min(64));
        let words = (word..end).zip(&self.level[word..end]);
        self.len += words.map(|(at, level)| (!level & bits(at)).count_ones() as usize).sum::<usize>();
        self.stage = if end < self.words() {
            Stage::Sum { word: end }
        } else if self.table.is_some() {
            Stage::Back { i: self.a.len(), j: self.b.len(), open: None }
        } else {
            Stage::Done
        };
        left - (end - word) * cost::CLEAR
    }

    fn back(&mut self, i: usize, j: usize, open: Option<Match>, left: usize) -> usize {
        let table = self.table.as_ref().expect("the way back was asked for");
        let (mut i, mut j, mut open, mut left) = (i, j, open, left);
        while i > 0 && j > 0 && left >= cost::BACK {
            left -= cost::BACK;
            if self.a.byte(i - 1) == self.b.byte(j - 1) {
                (i, j) = (i - 1, j - 1);
                open = Some(Match { a: i, b: j, len: open.map_or(1, |open| open.len + 1) });
                continue;
            }
            self.matches.extend(open.take());
            if table.is_set((i - 1) * self.b.len() + j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        self.stage = Stage::Back { i, j, open };
        if i == 0 || j == 0 {
            self.matches.extend(open);
            self.stage = Stage::Done;
        }
        left
    }
}

/// Bits in order, in blocks, so that growing moves none.
#[derive(Debug, Default)]
struct BitTable {
    blocks: Vec<Vec<u64>>,
    /// The bits that do not fill a word yet, and how many.
    open: u64,
    open_bits: u32,
}

/// 64 KiB.
const BLOCK_WORDS: usize = 8 * 1024;

impl BitTable {
    /// Appends the lowest `count` bits, 1 to 64.
    #[inline]
    fn push(&mut self, bits: u64, count: u32) {
        let bits = bits & u64::MAX >> (64 - count);
        self.open |= bits << self.open_bits;
        self.open_bits += count;
        if self.open_bits >= 64 {
            let (full, over) = (self.open, self.open_bits - 64);
            self.push_word(full);
            self.open = if over == 0 { 0 } else { bits >> (count - over) };
            self.open_bits = over;
        }
    }

    #[inline]
    fn push_word(&mut self, word: u64) {
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK_WORDS => block.push(word),
            _ => {
                let mut block = Vec::with_capacity(BLOCK_WORDS);
                block.push(word);
                self.blocks.push(block);
            }
        }
    }

    fn is_set(&self, at: usize) -> bool {
        let word = at / 64;
        let block = self.blocks.get(word / BLOCK_WORDS);
        let word = block.and_then(|block| block.get(word % BLOCK_WORDS)).copied().unwrap_or(self.open);
        word >> (at % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The plain table, and the way back through it as Redis's answers show it.
    fn naive(a: &[u8], b: &[u8]) -> (usize, Vec<Match>) {
        let mut lengths = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                lengths[i][j] = if a[i - 1] == b[j - 1] {
                    lengths[i - 1][j - 1] + 1
                } else {
                    lengths[i - 1][j].max(lengths[i][j - 1])
                };
            }
        }
        let (mut i, mut j, mut pairs) = (a.len(), b.len(), Vec::new());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                pairs.push((i, j));
            } else if lengths[i - 1][j] > lengths[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        let mut matches: Vec<Match> = Vec::new();
        for (a, b) in pairs {
            match matches.last_mut() {
                Some(last) if (last.a, last.b) == (a + 1, b + 1) => *last = Match { a, b, len: last.len + 1 },
                _ => matches.push(Match { a, b, len: 1 }),
            }
        }
        (lengths[a.len()][b.len()], matches)
    }

    fn check(a: &[u8], b: &[u8], budget: usize) {
        let (len, matches) = naive(a, b);
        let mut whole = Lcs::new(a.to_vec().into(), b.to_vec().into(), true);
        while !whole.step(budget) {}
        assert_eq!((whole.subsequence_len(), whole.matches()), (len, &matches[..]));
        let subsequence: Vec<u8> = whole.subsequence().flatten().copied().collect();
        assert_eq!(subsequence.len(), len);
        let mut length = Lcs::new(a.to_vec().into(), b.to_vec().into(), false);
        while !length.step(budget) {}
        assert_eq!((length.subsequence_len(), length.matches()), (len, &[][..]));
    }

    #[test]
    fn the_example_of_the_documentation() {
        let mut lcs = Lcs::new(b"ohmytext".to_vec().into(), b"mynewtext".to_vec().into(), true);
        assert!(lcs.step(usize::MAX / 2));
        assert_eq!(lcs.matches(), [Match { a: 4, b: 5, len: 4 }, Match { a: 2, b: 0, len: 2 }]);
        assert_eq!(lcs.subsequence().collect::<Vec<_>>().concat(), b"mytext");
    }

    #[test]
    fn strings_around_the_length_of_a_word() {
        for len in [0, 1, 2, 63, 64, 65, 127, 128, 129, 200] {
            for other in [0, 1, 63, 64, 65, 130] {
                let a: Vec<u8> = (0..len).map(|at| (at * 7 % 5) as u8).collect();
                let b: Vec<u8> = (0..other).map(|at| (at * 3 % 7) as u8).collect();
                check(&a, &b, 1);
                check(&a, &a, usize::MAX / 2);
            }
        }
    }

    #[test]
    fn a_table_of_several_blocks_reads_back() {
        let mut table = BitTable::default();
        let bit = |at: usize| at * at % 7 < 3;
        let (mut at, mut count) = (0, 1);
        while at < 3 * 64 * BLOCK_WORDS {
            let bits = (0..count).fold(0, |bits, offset| bits | u64::from(bit(at + offset)) << offset);
            table.push(bits | u64::MAX.checked_shl(count as u32).unwrap_or(0), count as u32);
            (at, count) = (at + count, count % 64 + 1);
        }
        assert!(table.blocks.len() >= 3);
        assert!((0..at).all(|place| table.is_set(place) == bit(place)));
    }

    proptest! {
        #[test]
        fn any_strings_have_the_subsequence_of_the_plain_table(
            letters in 1_u8..6,
            a in prop::collection::vec(any::<u8>(), 0..160),
            b in prop::collection::vec(any::<u8>(), 0..160),
            budget in 1_usize..20_000,
        ) {
            let few = |bytes: Vec<u8>| -> Vec<u8> { bytes.into_iter().map(|byte| byte % letters).collect() };
            check(&few(a), &few(b), budget);
        }
    }
}
