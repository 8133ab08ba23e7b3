//! The keyed hash of all keys of a store.

use siphasher::sip::SipHasher13;

use super::Options;

/// SipHash under the store's seed, cut to the bits that are used.
pub(super) struct KeyHasher {
    sip: SipHasher13,
    mask: u64,
}

impl KeyHasher {
    pub(super) fn new(options: &Options) -> KeyHasher {
        let [one, two] = options.hash_key;
        KeyHasher { sip: SipHasher13::new_with_keys(one, two), mask: options.hash_mask }
    }

    #[inline]
    pub(super) fn hash(&self, bytes: &[u8]) -> u64 {
        self.sip.hash(bytes) & self.mask
    }
}
