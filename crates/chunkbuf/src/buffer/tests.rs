//! Ledger tests: every boundary at which an entry, a header or a run of chunks can fall.

use super::*;
use crate::entry::UserFlags;

const CHUNK: u64 = 256;

fn size(bytes: u64) -> ChunkSize {
    ChunkSize::at_least(bytes)
}

fn buffer() -> (Pool, Buffer) {
    (Pool::new(u64::MAX), Buffer::starting_at(Offset::new(0)))
}

fn append(buffer: &mut Buffer, pool: &mut Pool, key: &[u8], value: &[u8]) -> Offset {
    buffer.append(pool, size(CHUNK), Flags::NONE, key, &[value]).unwrap()
}

/// The length of the value with which an entry with an empty key takes `entry_len` bytes; there is none for a few lengths.
fn value_len(entry_len: u64) -> Option<usize> {
    (0..=entry_len as usize).find(|&len| Header::of_entry(0, len, Flags::NONE).entry_len() == entry_len)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 + len) as u8).collect()
}

#[test]
fn an_entry_is_header_key_length_key_and_value() {
    let (mut pool, mut buffer) = buffer();
    let offset = buffer.append(&mut pool, size(CHUNK), UserFlags::B.into(), b"key", &[b"va", b"", b"lue"]).unwrap();
    assert_eq!(offset, Offset::new(0));
    // Payload 2 + 3 + 5 = 10; header 10 << 4 | 8 = 168 = 0b1_0101000.
    let expected = [0b1010_1000, 1, 3, 0, b'k', b'e', b'y', b'v', b'a', b'l', b'u', b'e'];
    assert_eq!(buffer.slices(0, 12).to_vec(), expected);
    assert_eq!(buffer.end(), Offset::new(12));
    let entry = buffer.entry(offset);
    assert_eq!((entry.key().to_vec(), entry.value().to_vec()), (b"key".to_vec(), b"value".to_vec()));
    assert_eq!(entry.header.flags.user(), UserFlags::B);
    buffer.audit();
}

#[test]
fn an_entry_may_end_or_begin_at_every_byte_of_a_chunk_border() {
    // A first entry that leaves 0 to 12 bytes of the chunk, so that header, key length, key and value of the second are each
    // cut at every place.
    for left in 0..=12 {
        // Miri sees every cut of the head; long values are more of the same.
        for &len in if cfg!(miri) { &[3_usize][..] } else { &[0, 1, 200, 2000, 20_000, 300_000] } {
            let (mut pool, mut buffer) = buffer();
            let Some(first_len) = value_len(CHUNK - left) else { continue };
            append(&mut buffer, &mut pool, b"", &pattern(first_len));
            assert_eq!(buffer.end().get(), CHUNK - left);
            let value = pattern(len);
            let second = append(&mut buffer, &mut pool, b"second key", &value);
            let third = append(&mut buffer, &mut pool, b"", b"");
            let entry = buffer.entry(second);
            assert!(entry.has_key(b"second key") && !entry.has_key(b"second kez") && !entry.has_key(b"second"));
            assert_eq!(entry.value().to_vec(), value);
            assert_eq!(entry.value().pieces().flatten().copied().collect::<Vec<_>>(), value);
            assert_eq!(entry.value().slice(len / 3..len).to_vec(), value[len / 3..]);
            assert_eq!(buffer.entry(third).value().len(), 0);
            buffer.audit();
            // Marking cuts through the border as well.
            let live = buffer.usage().live_bytes;
            let len = buffer.header(second).0.entry_len();
            buffer.mark_deleted(second, len);
            assert_eq!(buffer.usage().live_bytes, live - len);
            assert!(buffer.header(second).0.flags.is_deleted());
            assert_eq!(buffer.entry(second).value().to_vec(), value);
            buffer.audit();
            buffer.discard(&mut pool, usize::MAX);
            assert_eq!(pool.usage().used_bytes, 0);
        }
    }
}

#[test]
fn an_entry_that_fills_its_chunk_takes_no_second_one() {
    let (mut pool, mut buffer) = buffer();
    append(&mut buffer, &mut pool, b"", &pattern(value_len(CHUNK).unwrap()));
    assert_eq!((buffer.usage().chunks, buffer.end()), (1, buffer.capacity_end()));
    append(&mut buffer, &mut pool, b"", b"");
    assert_eq!(buffer.usage().chunks, 2);
    buffer.audit();
}

#[test]
fn offsets_are_found_in_chunks_of_mixed_sizes() {
    let (mut pool, mut buffer) = buffer();
    let mut offsets = Vec::new();
    for (number, chunk) in [256, 256, 1024, 4096, 512, 256, 8192, 8192, 256].into_iter().enumerate() {
        for entry in 0..if cfg!(miri) { 3 } else { 20 } {
            let value = pattern(number * 31 + entry * 13);
            let key = [number as u8, entry as u8];
            offsets.push((buffer.append(&mut pool, size(chunk), Flags::NONE, &key, &[&value]).unwrap(), key, value));
        }
    }
    for (offset, key, value) in &offsets {
        let entry = buffer.entry(*offset);
        assert!(entry.has_key(key));
        assert_eq!(entry.value().to_vec(), *value);
    }
    buffer.audit();
    // And while the front is given back, entry by entry.
    for (index, (offset, _, _)) in offsets.iter().enumerate() {
        let (header, _) = buffer.header(*offset);
        buffer.consume(&mut pool, header.entry_len(), header.flags);
        if let Some((next, key, value)) = offsets.get(index + 1) {
            assert!(buffer.entry(*next).has_key(key));
            assert_eq!(buffer.entry(*next).value().to_vec(), *value);
        }
        buffer.audit();
    }
    assert!(buffer.usage().chunks <= 1);
}

#[test]
fn an_append_that_runs_out_of_chunks_changes_nothing() {
    let mut pool = Pool::new(1 << 20);
    let mut buffer = Buffer::starting_at(Offset::new(0));
    append(&mut buffer, &mut pool, b"k", b"v");
    let (before, held) = (*buffer.usage(), pool.usage().used_bytes);
    let value = vec![0; 2 << 20];
    assert!(buffer.append(&mut pool, size(64 << 10), Flags::NONE, b"k", &[&value]).is_err());
    assert_eq!((*buffer.usage(), pool.usage().used_bytes), (before, held));
    append(&mut buffer, &mut pool, b"l", b"w");
    buffer.audit();
}

#[test]
fn a_splice_moves_chunks_and_pads_the_seam() {
    for left in (0..CHUNK).step_by(if cfg!(miri) { 50 } else { 1 }) {
        let (mut pool, mut first) = buffer();
        let Some(len) = value_len(CHUNK - left) else { continue };
        let one = append(&mut first, &mut pool, b"", &pattern(len));
        let mut second = Buffer::starting_at(first.capacity_end());
        let two = second.append(&mut pool, size(1024), Flags::NONE, b"two", &[&pattern(2000)]).unwrap();
        let used = pool.usage().used_bytes;
        first.splice(second);
        assert_eq!(pool.usage().used_bytes, used, "a splice takes and gives no chunk");
        assert_eq!(first.usage().padding_bytes, left);
        assert_eq!(first.entry(one).value().to_vec(), pattern(len));
        assert_eq!(first.entry(two).value().to_vec(), pattern(2000));
        first.audit();
        let three = append(&mut first, &mut pool, b"three", &pattern(500));
        assert_eq!(first.entry(three).value().to_vec(), pattern(500));
        first.audit();
    }
}

#[test]
fn an_empty_buffer_splices_without_padding() {
    let (mut pool, mut first) = buffer();
    append(&mut first, &mut pool, b"a", b"b");
    let end = first.end();
    let second = Buffer::starting_at(first.capacity_end());
    first.splice(second);
    assert_eq!((first.end(), first.usage().padding_bytes), (end, 0));
    first.audit();
}

#[test]
fn pinned_bytes_stay_and_are_not_overwritten() {
    let (mut pool, mut buffer) = buffer();
    let value = pattern(1000);
    let offset = append(&mut buffer, &mut pool, b"pinned", &value);
    let at = buffer.entry(offset).value_at();
    let pinned = buffer.pin(&mut pool, at, value.len());
    assert!(!buffer.overwrite(&mut pool, at + 700, b"new"), "a reader holds these bytes");
    let len = buffer.header(offset).0.entry_len();
    buffer.mark_deleted(offset, len);
    let (header, _) = buffer.header(offset);
    buffer.consume(&mut pool, len, header.flags);
    buffer.discard(&mut pool, usize::MAX);
    assert!(pool.usage().limbo_bytes > 0);
    assert_eq!(pinned.concat(), value);
    drop(pinned);
    pool.sweep_limbo(100);
    assert_eq!(pool.usage().used_bytes, 0);
    pool.audit();
}

#[test]
fn bytes_are_overwritten_in_place_across_a_border() {
    let (mut pool, mut buffer) = buffer();
    let mut value = pattern(1000);
    let offset = append(&mut buffer, &mut pool, b"key", &value);
    let at = buffer.entry(offset).value_at();
    assert!(buffer.overwrite(&mut pool, at + 100, &[0xee; 600]));
    value[100..700].fill(0xee);
    assert_eq!(buffer.entry(offset).value().to_vec(), value);
    // A pin that has ended is no hindrance.
    drop(buffer.pin(&mut pool, at, 1000));
    assert!(buffer.overwrite(&mut pool, at, &[1; 1000]));
    assert_eq!(buffer.entry(offset).value().to_vec(), [1; 1000]);
    buffer.audit();
}
