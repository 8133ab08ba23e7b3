//! Chunks for what an owner of a store keeps beside its maps, under the same limit: the nodes of a list, for one.

use super::{PutError, Store};
use crate::chunk::{Chunk, ChunkSize};
use crate::pool::Purpose;

/// The largest block, in bytes.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;

impl Store {
    /// A chunk of `bytes` or more: the next power of two, 256 bytes to [`BLOCK_BYTES_MAX`]. What it holds is what its last owner left.
    /// It counts under the memory limit until it is given back with [`give_block`](Store::give_block); the store never moves it.
    ///
    /// # Errors
    /// The limit would be exceeded, or the system has no memory.
    ///
    /// # Panics
    /// When `bytes` is more than the largest block has.
    pub fn take_block(&mut self, bytes: usize) -> Result<Chunk, PutError> {
        assert!(bytes <= BLOCK_BYTES_MAX, "a block has at most 1 MiB");
        let size = ChunkSize::at_least(bytes as u64);
        let block = self.pool.take(size, Purpose::Write)?;
        self.block_bytes += size.bytes();
        Ok(block)
    }

    /// Takes a block back.
    pub fn give_block(&mut self, block: Chunk) {
        self.block_bytes -= block.size().bytes();
        self.pool.give(block);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Options, PutError, Store};

    #[test]
    fn blocks_count_under_the_limit_until_they_are_given_back() {
        let mut store = Store::new(Options { memory_limit: 1 << 20, ..Options::default() });
        let mut blocks = Vec::new();
        let refused = loop {
            match store.take_block(5000) {
                Ok(mut block) => {
                    assert_eq!(block.bytes().len(), 8192);
                    block.bytes_mut()[8191] = 7;
                    blocks.push(block);
                }
                Err(error) => break error,
            }
        };
        assert_eq!(refused, PutError::OutOfMemory);
        assert!((64..=128).contains(&blocks.len()), "{}", blocks.len());
        assert!(store.held_bytes() <= 1 << 20);
        store.audit();
        blocks.into_iter().for_each(|block| store.give_block(block));
        store.audit();
        assert_eq!(store.usage().block_bytes, 0);
        store.take_block(1).map(|block| store.give_block(block)).expect("there is room again");
    }

    #[test]
    fn an_entry_is_found_by_the_hash_of_its_key() {
        let mut store = Store::new(Options::default());
        let map = store.create();
        for n in 0..1000_u32 {
            store.put(map, &n.to_le_bytes(), crate::UserFlags::NONE, &[]).expect("no limit");
        }
        for n in 0..1000_u32 {
            let hash = store.key(&n.to_le_bytes()).hash();
            let mut found = Vec::new();
            store.with_hash(map, hash, |_, entry| found.push(entry.key.to_vec()));
            assert_eq!(found, [n.to_le_bytes()]);
            store.with_hash(map, hash ^ 1, |_, _| panic!("nobody has this hash"));
        }
    }

    #[test]
    fn digests_differ_between_stores_and_texts() {
        let store = Store::new(Options::default());
        let other = Store::new(Options { hash_key: [1, 2], ..Options::default() });
        assert_eq!(store.digest(b"one"), store.digest(b"one"));
        assert_ne!(store.digest(b"one"), store.digest(b"two"));
        assert_ne!(store.digest(b"one"), other.digest(b"one"));
    }
}
