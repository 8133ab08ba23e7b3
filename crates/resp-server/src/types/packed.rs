//! Elements one after another: what packed collections consist of.
//!
//! ```text
//!  [length: uvarint][bytes] [length][bytes] ...
//! ```
//!
//! An element below 128 bytes costs one byte beside its own. There is no count and no index: who looks for an element walks, over
//! [`PACKED_BYTES_MAX`](super::PACKED_BYTES_MAX) bytes at most.

use integer_encoding::VarInt;

/// Bytes that an element of `len` bytes takes.
#[inline]
pub fn encoded_len(len: usize) -> usize {
    (len as u64).required_space() + len
}

/// Appends an element.
#[inline]
pub fn push(into: &mut Vec<u8>, element: &[u8]) {
    let mut length = [0; 10];
    let bytes = (element.len() as u64).encode_var(&mut length);
    into.extend_from_slice(&length[..bytes]);
    into.extend_from_slice(element);
}

/// Puts an element in the place of the bytes `at..at + old_len` of `bytes`; with an `old_len` of 0 before what is there.
pub fn splice(bytes: &mut Vec<u8>, at: usize, old_len: usize, element: &[u8]) {
    let mut length = [0; 10];
    let length_bytes = (element.len() as u64).encode_var(&mut length);
    let length = &length[..length_bytes];
    let (new_len, end) = (length.len() + element.len(), bytes.len());
    if new_len > old_len {
        bytes.resize(end + new_len - old_len, 0);
    }
    bytes.copy_within(at + old_len..end, at + new_len);
    bytes.truncate(end + new_len - old_len);
    bytes[at..][..length.len()].copy_from_slice(length);
    bytes[at + length.len()..][..element.len()].copy_from_slice(element);
}

/// The elements of some bytes, in order.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// The elements that `bytes` consist of.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Elements<'a> {
        Elements { rest: bytes }
    }

    /// The bytes of those that are still to come. The position of the next element is the whole length less this one's.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let first = *self.rest.first()?;
        let (len, from) = if first < 0x80 {
            (usize::from(first), 1)
        } else {
            let (len, from) = u64::decode_var(self.rest).expect("elements are written whole");
            (len as usize, from)
        };
        let (element, rest) = self.rest[from..].split_at(len);
        self.rest = rest;
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_length_read_back() {
        let elements: Vec<Vec<u8>> =
            [0, 1, 127, 128, 129, 16_383, 16_384, 70_000].map(|len| vec![len as u8; len]).into();
        let mut bytes = Vec::new();
        for element in &elements {
            let before = bytes.len();
            push(&mut bytes, element);
            assert_eq!(bytes.len() - before, encoded_len(element.len()));
        }
        let mut read = Elements::new(&bytes);
        for element in &elements {
            assert_eq!(read.next(), Some(&element[..]));
        }
        assert_eq!((read.next(), read.rest()), (None, &[][..]));
    }

    #[test]
    fn an_element_is_replaced_inserted_and_removed_where_it_stands() {
        let mut bytes = Vec::new();
        [&b"one"[..], b"two", b"three"].into_iter().for_each(|element| push(&mut bytes, element));
        let read = |bytes: &[u8]| Elements::new(bytes).map(<[u8]>::to_vec).collect::<Vec<_>>();
        splice(&mut bytes, 4, 4, &[b'x'; 200]);
        assert_eq!(read(&bytes), [b"one".to_vec(), vec![b'x'; 200], b"three".to_vec()]);
        splice(&mut bytes, 0, 0, b"zero");
        assert_eq!(read(&bytes)[..2], [b"zero".to_vec(), b"one".to_vec()]);
        bytes.drain(5..9);
        assert_eq!(read(&bytes).len(), 3);
    }
}
