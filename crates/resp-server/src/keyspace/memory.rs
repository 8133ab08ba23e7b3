//! What a key costs.

use super::Db;
use crate::types::Large as _;

/// The most that a key is charged for the index, in bytes. The index takes about 10 bytes a key; with few keys most of it is
/// room for more of them, which is no key's share.
const INDEX_BYTES_MAX: u64 = 16;

impl Db<'_> {
    /// Bytes that a key and its value take: the entry with its header, the key's share of the index, and the pages of a blob,
    /// also those that it shares, or a large collection. `None` if the key is
    /// not there. Cost: O(databases), whatever the value's length.
    pub fn memory_bytes(&mut self, key: &[u8]) -> Option<u64> {
        let found = self.find(key);
        if !found.exists() {
            return None;
        }
        let (blob, collection) = (found.blob(), found.collection());
        let store = &self.keyspace.store;
        let map = self.keyspace.databases[self.index].map;
        let entry_bytes = store.get(map, key)?.stored_len;
        let index = store.index_usage();
        let index_bytes = index.page_bytes + index.header_bytes + index.directory_bytes;
        let keys: u64 = self.keyspace.databases.iter().map(|database| store.len(database.map)).sum();
        let blob_bytes = blob.map_or(0, |id| store.blob(map, id).page_bytes());
        let collection_bytes = collection.map_or(0, |id| self.large(id).memory_bytes(store));
        Some(entry_bytes + blob_bytes + collection_bytes + index_bytes.div_ceil(keys.max(1)).min(INDEX_BYTES_MAX))
    }
}
