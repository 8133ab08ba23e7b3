//! The keyed hash of all keys of a store.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{self, Hasher128 as _};

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

/// [`Store::digest`](super::Store::digest) under way.
pub struct Digest(sip128::SipHasher13);

impl Digest {
    pub(super) fn new([one, two]: [u64; 2]) -> Digest {
        Digest(sip128::SipHasher13::new_with_keys(one.rotate_left(17), two ^ 0x6469_6765_7374))
    }

    /// Takes the next bytes. O(bytes)
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The digest of all bytes.
    pub fn finish(self) -> [u8; 16] {
        self.0.finish128().as_bytes()
    }
}
