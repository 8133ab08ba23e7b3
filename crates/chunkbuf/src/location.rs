//! stub; the index branch brings it.

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location(pub(crate) u64);
