//! Bytes of a string apart from the store: they stay as they are, whatever is written meanwhile.
//!
//! What a command reads that goes on for longer than a turn may last. Small ranges are copied, large ones pin the chunks in which
//! they lie.

use std::ops::Range;

use bytes::Bytes;

/// A range of a string, as it was when the snapshot was taken. Made by [`Db::snapshot`](super::Db::snapshot).
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pieces: Vec<Bytes>,
    /// Where each piece ends.
    ends: Vec<usize>,
}

impl Snapshot {
    /// A snapshot of bytes that come in pieces.
    pub(super) fn new(mut pieces: Vec<Bytes>) -> Snapshot {
        pieces.retain(|piece| !piece.is_empty());
        let ends = pieces.iter().scan(0, |end, piece| {
            *end += piece.len();
            Some(*end)
        });
        Snapshot { ends: ends.collect(), pieces }
    }

    /// How many bytes there are.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The bytes of a range in order, in pieces of which none is empty. O(log pieces) to begin.
    ///
    /// # Panics
    /// When the range is not within the snapshot.
    pub fn pieces(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> {
        assert!(range.start <= range.end && range.end <= self.len(), "the range is within the snapshot");
        let first = self.ends.partition_point(|&end| end <= range.start);
        let mut at = range.start;
        let spans = self.ends[first..].iter().zip(&self.pieces[first..]);
        spans.map_while(move |(&end, piece)| {
            let start = end - piece.len();
            let span = at.max(start)..range.end.min(end);
            at = end;
            (!span.is_empty()).then(|| &piece[span.start - start..span.end - start])
        })
    }

    /// The byte at `at`, which is within the snapshot. O(log pieces).
    pub fn byte(&self, at: usize) -> u8 {
        self.pieces(at..at + 1).next().expect("one byte is one piece")[0]
    }
}

impl From<Vec<u8>> for Snapshot {
    fn from(bytes: Vec<u8>) -> Snapshot {
        Snapshot::new(vec![bytes.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_of_pieces_is_what_it_is_of_the_whole() {
        let whole = b"abcdefghij";
        for cuts in [vec![0, 10], vec![0, 1, 4, 10], vec![0, 5, 5, 9, 10]] {
            let pieces = cuts.windows(2).map(|cut| Bytes::copy_from_slice(&whole[cut[0]..cut[1]]));
            let snapshot = Snapshot::new(pieces.collect());
            assert_eq!(snapshot.len(), whole.len());
            for start in 0..=whole.len() {
                for end in start..=whole.len() {
                    let pieces: Vec<&[u8]> = snapshot.pieces(start..end).collect();
                    assert_eq!(pieces.concat(), &whole[start..end]);
                    assert!(pieces.iter().all(|piece| !piece.is_empty()));
                }
            }
            assert!((0..whole.len()).all(|at| snapshot.byte(at) == whole[at]));
        }
        assert_eq!(Snapshot::default().pieces(0..0).count(), 0);
    }
}
