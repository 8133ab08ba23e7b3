//! Blobs by ledgers, and a race of random operations against plain vectors with an audit after each.

use super::*;
use crate::{Budget, MapId, Options, Store};

const SMALL: u64 = 1 << FIRST_PAGE_LOG2;
const LARGE: u64 = 1 << PAGE_LOG2;
const NODE: u64 = 1 << NODE_LOG2;

fn store(memory_limit: u64) -> Store {
    Store::new(Options { memory_limit, ..Options::default() })
}

fn bytes(len: u64, first: u8) -> Vec<u8> {
    // A prime number of bytes, over and over: no two pages are alike, and it is quick under Miri.
    let pattern: Vec<u8> = (0..251).map(|at| first.wrapping_add(at)).collect();
    let mut bytes = pattern.repeat(len as usize / 251 + 1);
    bytes.truncate(len as usize);
    bytes
}

/// Makes `bytes` at least `len` long. `Vec::resize` goes byte by byte under Miri, some minutes for a MiB.
fn grow(bytes: &mut Vec<u8>, len: u64, fill: u8) {
    bytes.extend_from_slice(&vec![fill; (len as usize).saturating_sub(bytes.len())]);
}

fn read(blob: &Blob) -> Vec<u8> {
    blob.pieces(0..blob.len()).collect::<Vec<_>>().concat()
}

fn settle(store: &mut Store) {
    while store.step(Budget::STEP, true) {
        if !cfg!(miri) {
            store.audit();
        }
    }
    store.audit();
}

fn page_bytes(store: &Store) -> u64 {
    store.blob_usage().page_bytes
}

#[test]
fn a_page_is_small_in_the_first_node_and_the_last_one_fits_its_bytes() {
    let mut store = store(u64::MAX);
    for (len, pages) in [
        (0, 0),
        (1, 256),
        (257, 512),
        (SMALL, SMALL),
        (SMALL + 1, SMALL + 256),
        (NODE, NODE),
        (NODE + 300, NODE + 512),
        (NODE + LARGE + LARGE / 2 + 1, NODE + 2 * LARGE),
    ] {
        let mut blob = store.new_blob();
        store.blob_write(&mut blob, 0, &bytes(len, 1)).expect("memory is not limited");
        assert_eq!((blob.len(), blob.page_bytes(), page_bytes(&store)), (len, pages, pages), "{len} bytes");
        assert!(read(&blob) == bytes(len, 1));
        drop(blob);
        settle(&mut store);
        assert_eq!(page_bytes(&store), 0);
    }
}

#[test]
fn a_gap_reads_as_zeros_and_takes_no_memory() {
    let mut store = store(u64::MAX);
    let mut blob = store.new_blob();
    store.blob_append(&mut blob, b"begin").expect("memory is not limited");
    store.blob_write(&mut blob, 536_870_911, b"x").expect("memory is not limited");
    assert_eq!(blob.len(), 536_870_912);
    assert_eq!(blob.page_bytes(), 256 + LARGE);
    assert_eq!([0, 4, 5, 255, 256, NODE, 536_870_910].map(|at| blob.byte(at)), [b'b', b'n', 0, 0, 0, 0, 0]);
    assert_eq!(blob.byte(536_870_911), b'x');
    assert!(blob.pieces(5..1000).collect::<Vec<_>>().concat() == ZEROS[5..1000]);
    // A byte in the gap brings one page.
    store.blob_write(&mut blob, 3 * NODE + 7, b"y").expect("memory is not limited");
    assert_eq!(blob.page_bytes(), 256 + 2 * LARGE);
    assert_eq!([6, 7, 8].map(|at| blob.byte(3 * NODE + at)), [0, b'y', 0]);
    store.audit();
}

#[test]
fn old_bytes_of_the_pool_never_show_in_a_gap() {
    let mut store = store(u64::MAX);
    for len in [1, 100, SMALL - 1, SMALL, NODE + 5] {
        // Chunks that held something.
        let mut blob = store.new_blob();
        store.blob_append(&mut blob, &vec![0xff; 2 * NODE as usize]).expect("memory is not limited");
        drop(blob);
        while page_bytes(&store) > 0 {
            store.step(Budget::STEP, false);
        }
        let mut blob = store.new_blob();
        store.blob_append(&mut blob, &bytes(len, 1)).expect("memory is not limited");
        store.blob_reserve(&mut blob, 300_000, 2 * NODE).expect("memory is not limited");
        let snapshot = (len == 100).then(|| blob.clone());
        store.blob_grow(&mut blob, len + 40).expect("memory is not limited");
        store.blob_write(&mut blob, len + 30_000, b"x").expect("memory is not limited");
        let mut model = bytes(len, 1);
        grow(&mut model, len + 30_000, 0);
        model.push(b'x');
        assert!(read(&blob) == model, "{len}");
        store.audit();
        drop(snapshot);
    }
}

#[test]
fn a_snapshot_shows_its_moment_and_a_write_copies_one_page() {
    let mut store = store(u64::MAX);
    let mut blob = store.new_blob();
    let old = bytes(3 * NODE, 1);
    store.blob_append(&mut blob, &old).expect("memory is not limited");
    let snapshot = blob.slice(5..3 * NODE);
    assert_eq!(page_bytes(&store), 3 * NODE);
    store.blob_write(&mut blob, 2 * NODE - 1, b"ab").expect("memory is not limited");
    assert_eq!(page_bytes(&store), 3 * NODE + 2 * LARGE, "the write touched two pages");
    store.blob_write(&mut blob, 2 * NODE - 1, b"cd").expect("memory is not limited");
    assert_eq!(page_bytes(&store), 3 * NODE + 2 * LARGE, "and they are its own now");
    assert!(snapshot.pieces().collect::<Vec<_>>().concat() == old[5..]);
    assert_eq!(
        [2 * NODE - 2, 2 * NODE - 1, 2 * NODE].map(|at| blob.byte(at)),
        [old[2 * NODE as usize - 2], b'c', b'd']
    );
    drop(blob);
    settle(&mut store);
    assert_eq!(page_bytes(&store), 3 * NODE, "what the snapshot refers to stays");
    assert!(snapshot.pieces().collect::<Vec<_>>().concat() == old[5..]);
    drop(snapshot);
    settle(&mut store);
    assert_eq!(page_bytes(&store), 0);
}

#[test]
fn a_write_without_memory_changes_nothing() {
    let mut store = store(2 << 20);
    let mut blob = store.new_blob();
    store.blob_append(&mut blob, &bytes(1_000_000, 1)).expect("it fits");
    let before = store.held_bytes();
    let pages = page_bytes(&store);
    for at in [0, 1_000_000, 5_000_000] {
        let snapshot = blob.clone();
        assert_eq!(store.blob_write(&mut blob, at, &bytes(1_500_000, 9)), Err(PutError::OutOfMemory));
        assert!(read(&blob) == bytes(1_000_000, 1) && read(&snapshot) == bytes(1_000_000, 1));
        assert_eq!(page_bytes(&store), pages);
        assert!(store.held_bytes() <= 2 << 20 && before <= store.held_bytes());
        drop(snapshot);
        settle(&mut store);
    }
    assert_eq!(store.blob_write(&mut blob, BLOB_LEN_MAX, b"x"), Err(PutError::ValueTooLong));
    assert_eq!(store.blob_write(&mut blob, u64::MAX, b"x"), Err(PutError::ValueTooLong));
    assert_eq!(store.blob_reserve(&mut blob, 1, BLOB_LEN_MAX + 1), Err(PutError::ValueTooLong));
}

#[test]
fn an_upload_is_read_into_its_pages() {
    let mut store = store(u64::MAX);
    let total = NODE + 3 * LARGE + 100;
    let source = bytes(total, 7);
    let mut blob = store.new_blob();
    let mut step = 1;
    while blob.len() < total {
        let left = total - blob.len();
        store.blob_reserve(&mut blob, 100_000, total).expect("memory is not limited");
        let mut at = blob.len() as usize;
        let before = at;
        for room in blob.room(left.min(step)) {
            room.copy_from_slice(&source[at..at + room.len()]);
            at += room.len();
        }
        assert!(at - before >= left.min(step).min(100_000) as usize, "so much was reserved");
        blob.filled((at - before) as u64);
        step = step * 3 + 1;
    }
    assert!(read(&blob) == source);
    assert_eq!(blob.page_bytes(), NODE + 3 * LARGE + 256, "no page is larger than the value wants");
    store.audit();
}

#[test]
fn room_that_is_not_used_goes_with_the_blob() {
    let mut store = store(u64::MAX);
    let mut blob = store.new_blob();
    store.blob_reserve(&mut blob, 1 << 18, 1 << 30).expect("memory is not limited");
    assert_eq!(blob.room(u64::MAX).map(|room| room.len() as u64).sum::<u64>(), 1 << 18);
    assert!(blob.is_empty());
    drop(blob);
    settle(&mut store);
    assert_eq!(store.usage().pool.used_bytes, 0);
}

#[test]
fn a_slice_is_sent_piece_by_piece() {
    let mut store = store(u64::MAX);
    let mut blob = store.new_blob();
    let source = bytes(NODE + 1000, 3);
    store.blob_append(&mut blob, &source).expect("memory is not limited");
    store.blob_grow(&mut blob, 2 * NODE).expect("memory is not limited");
    let mut slice = blob.slice(10..2 * NODE);
    let mut sent = Vec::new();
    while !slice.is_empty() {
        let mut slices = [IoSlice::new(&[]); 3];
        // Later in writes that nothing but the slices bounds.
        let bytes_max = if sent.len() as u64 > NODE { usize::MAX } else { 50_000 };
        let (count, len) = slice.io_slices(&mut slices, bytes_max);
        assert!(count > 0 && len <= bytes_max);
        slices[..count].iter().for_each(|slice| sent.extend_from_slice(slice));
        slice.advance(len as u64);
    }
    let mut expected = source[10..].to_vec();
    grow(&mut expected, 2 * NODE - 10, 0);
    assert!(sent == expected);
    assert!(blob.slice(10..2 * NODE).slice(5..9).pieces().collect::<Vec<_>>().concat() == expected[5..9]);
}

#[test]
fn blobs_of_a_cleared_map_are_freed_in_bounded_steps() {
    let blobs = if cfg!(miri) { 2 } else { 10 };
    let mut store = store(u64::MAX);
    let map = store.create();
    for _ in 0..blobs {
        let mut blob = store.new_blob();
        store.blob_append(&mut blob, &bytes(NODE, 1)).expect("memory is not limited");
        store.attach(map, blob);
    }
    assert_eq!(store.blob_usage().blobs, blobs);
    store.drop_map(map);
    let usage = store.blob_usage();
    assert_eq!((usage.blobs, usage.other_handles, usage.page_bytes), (0, blobs, blobs * NODE));
    let mut steps = 0;
    while store.debt() > 0 {
        let before = page_bytes(&store);
        store.step(Budget::STEP, false);
        assert!(before - page_bytes(&store) <= NODE, "a step frees a node of small pages at most");
        if !cfg!(miri) {
            store.audit();
        }
        steps += 1;
    }
    assert!(steps >= blobs);
    assert_eq!(page_bytes(&store), 0);
}

#[test]
fn an_id_is_used_again_and_a_blob_is_found_by_it() {
    let mut store = store(u64::MAX);
    let map = store.create();
    let ids: Vec<BlobId> = (1..=3)
        .map(|len| {
            let mut blob = store.new_blob();
            store.blob_append(&mut blob, &bytes(len, 1)).expect("memory is not limited");
            store.attach(map, blob)
        })
        .collect();
    assert_eq!(ids.iter().map(|&id| store.blob(map, id).len()).collect::<Vec<_>>(), [1, 2, 3]);
    drop(store.detach(map, ids[1]));
    let blob = store.new_blob();
    assert_eq!(store.attach(map, blob), ids[1]);
    store.edit_blob(map, ids[1], |store, blob| store.blob_append(blob, b"four")).expect("memory is not limited");
    assert_eq!(read(store.blob(map, ids[1])), b"four");
    assert_eq!(BlobId::new(ids[1].get()), Some(ids[1]));
    store.audit();
}

/// The table was one list. When it grew it was copied, and when its last blob went it was freed, as a whole: milliseconds
/// at a million blobs, which a value of 256 bytes behind a gap makes cheap to have.
#[test]
fn a_table_moves_no_blob_when_it_grows_and_keeps_no_empty_page() {
    const BLOBS: usize = if cfg!(miri) { 300 } else { 100_000 };
    let (mut blobs, mut table) = (Blobs::default(), Table::default());
    let mut attach = |table: &mut Table| {
        let blob = blobs.create();
        table.attach(&mut blobs, blob)
    };
    let before: Vec<BlobId> = (0..BLOBS).map(|_| attach(&mut table)).collect();
    let id = attach(&mut table);
    let place = std::ptr::from_ref(table.get(id));
    let behind: Vec<BlobId> = (0..BLOBS).map(|_| attach(&mut table)).collect();
    assert_eq!(std::ptr::from_ref(table.get(id)), place, "a blob stays where it is");
    for id in before.into_iter().chain(behind) {
        drop(table.detach(&mut blobs, id));
    }
    assert_eq!(table.held_bytes(), 64 * size_of::<Blob>() as u64, "one page is left");
    drop(table.detach(&mut blobs, id));
    assert!(table.is_empty());
}

/// Every handle went to the queue. So a thousand replies with a value left a thousand references to be taken apart, and a
/// write to the value behind them copied the root, a node and a page, of which nobody held another copy any more.
#[test]
fn a_snapshot_that_is_gone_shares_nothing_and_owes_nothing() {
    let mut store = store(u64::MAX);
    let mut blob = store.new_blob();
    store.blob_append(&mut blob, &bytes(200_000, 1)).expect("memory is not limited");
    let pages = page_bytes(&store);
    let replies: Vec<BlobSlice> = (0..1000).map(|at| blob.slice(at..2 * at)).collect();
    drop(replies);
    assert_eq!(store.blob_usage().other_handles, 1);
    assert_eq!(store.debt(), 0);
    store.blob_write(&mut blob, 5, b"in place").expect("memory is not limited");
    assert_eq!(page_bytes(&store), pages);
    // The last handle is the one that owes.
    let slice = blob.slice(0..10);
    drop(blob);
    assert_eq!(store.debt(), 0);
    drop(slice);
    assert!(store.debt() > 0);
    settle(&mut store);
    assert_eq!(page_bytes(&store), 0);
}

/// A byte behind a gap of 512 MiB takes a page of 256 bytes, and a root of 4 KiB on the heap that no limit knew of: a client
/// could take a hundred times the limit.
#[test]
fn what_names_the_pages_is_under_the_limit() {
    const LIMIT: u64 = if cfg!(miri) { 512 << 10 } else { 4 << 20 };
    let mut store = store(LIMIT);
    let map = store.create();
    let mut blobs = 0;
    loop {
        let mut blob = store.new_blob();
        if store.blob_write(&mut blob, (1 << 29) - LARGE, b"x").is_err() {
            break;
        }
        store.attach(map, blob);
        blobs += 1;
        assert!(blobs < 1000, "each takes 4 KiB");
    }
    assert!(blobs > LIMIT / 8192);
    assert!(store.held_bytes() <= LIMIT && store.held_bytes() == store.usage().held_bytes());
    store.audit();
    // So does a copy that goes its own way.
    let id = BlobId::new(1).expect("not 0");
    let mut copy = store.blob(map, id).clone();
    assert_eq!(store.blob_write(&mut copy, 0, b"x"), Err(PutError::OutOfMemory));
    assert_eq!(copy.byte(0), 0);
    drop(copy);
    // A write in place needs nothing.
    store.set_memory_limit(LIMIT / 2);
    let written = store.edit_blob(map, id, |store, blob| store.blob_write(blob, (1 << 29) - LARGE, b"y"));
    assert_eq!(written, Ok(()));
    store.clear(map);
    settle(&mut store);
    assert_eq!(store.blob_usage(), BlobUsage::default());
}

/// Between two requests that arrive together there is no step, and Redis frees at once what DEL removes.
#[test]
fn what_was_given_up_makes_room_for_a_write() {
    let mut store = store(8 << 20);
    for fill in 0..if cfg!(miri) { 2 } else { 10 } {
        let mut blob = store.new_blob();
        store.blob_append(&mut blob, &bytes(5 * NODE, fill)).expect("the one before was given up");
        assert!(cfg!(miri) || read(&blob) == bytes(5 * NODE, fill));
    }
    // But not what a reader still shows.
    let mut blob = store.new_blob();
    store.blob_append(&mut blob, &bytes(5 * NODE, 1)).expect("the one before was given up");
    let slice = blob.slice(0..5);
    drop(blob);
    let mut blob = store.new_blob();
    assert_eq!(store.blob_append(&mut blob, &bytes(5 * NODE, 2)), Err(PutError::OutOfMemory));
    assert!(slice.pieces().collect::<Vec<_>>().concat() == bytes(5, 1));
    drop((slice, blob));
    settle(&mut store);
    assert_eq!(store.blob_usage(), BlobUsage::default());
}

#[test]
fn a_value_may_end_at_4_gib_and_not_behind() {
    let mut store = store(u64::MAX);
    let mut blob = store.new_blob();
    assert_eq!(store.blob_write(&mut blob, BLOB_LEN_MAX - 1, b"xy"), Err(PutError::ValueTooLong));
    assert_eq!(store.blob_grow(&mut blob, BLOB_LEN_MAX + 1), Err(PutError::ValueTooLong));
    assert_eq!((blob.len(), blob.page_bytes()), (0, 0));
    store.blob_write(&mut blob, BLOB_LEN_MAX - 1, b"x").expect("memory is not limited");
    let snapshot = blob.slice(BLOB_LEN_MAX - 3..BLOB_LEN_MAX);
    for outcome in [
        store.blob_append(&mut blob, b""),
        store.blob_reserve(&mut blob, u64::MAX, BLOB_LEN_MAX),
        store.blob_write(&mut blob, BLOB_LEN_MAX - LARGE - 1, b"ab"),
        store.blob_write(&mut blob, BLOB_LEN_MAX - 1, b"y"),
    ] {
        assert_eq!(outcome, Ok(()));
    }
    assert_eq!(store.blob_append(&mut blob, b"z"), Err(PutError::ValueTooLong));
    assert_eq!(blob.room(u64::MAX).count(), 0);
    assert_eq!((blob.len(), blob.byte(BLOB_LEN_MAX - 1), blob.byte(BLOB_LEN_MAX - LARGE)), (BLOB_LEN_MAX, b'y', b'b'));
    assert_eq!(snapshot.pieces().collect::<Vec<_>>().concat(), [0, 0, b'x']);
    drop((blob, snapshot));
    settle(&mut store);
    assert_eq!(store.blob_usage(), BlobUsage::default());
}

#[test]
fn a_slice_may_outlive_its_store_and_be_dropped_by_another_thread() {
    let mut store = store(u64::MAX);
    let map = store.create();
    let mut blob = store.new_blob();
    store.blob_append(&mut blob, &bytes(200_000, 1)).expect("memory is not limited");
    let slices = [blob.slice(0..100_000), blob.slice(100_000..200_000)];
    store.attach(map, blob);
    let [first, second] = slices;
    std::thread::spawn(move || drop(first)).join().expect("nothing panics there");
    drop(store);
    assert!(second.pieces().collect::<Vec<_>>().concat() == bytes(200_000, 1)[100_000..]);
}

/// xorshift64*: enough for choosing operations, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }

    /// Near a border of pages or nodes as often as not.
    fn place(&mut self, end: u64) -> u64 {
        let at = self.below(end + 1);
        match self.below(4) {
            0 => (at & !(SMALL - 1)).saturating_sub(self.below(2)),
            1 => (at & !(LARGE - 1)).saturating_sub(self.below(2)),
            2 if end > NODE => (NODE - self.below(300)).min(end),
            _ => at,
        }
    }
}

/// Blobs of a map beside what they must be, uploads, and snapshots that readers hold.
struct Race {
    random: Random,
    store: Store,
    map: MapId,
    blobs: Vec<(BlobId, Vec<u8>)>,
    upload: Option<(Blob, Vec<u8>)>,
    snapshots: Vec<(BlobSlice, Vec<u8>)>,
    refused: u32,
}

impl Race {
    /// Beyond the first node, but under Miri, where each byte tells.
    const LEN_MAX: u64 = if cfg!(miri) { 8 * SMALL } else { NODE + 5 * LARGE };

    fn act(&mut self) {
        let Race { random, store, map, .. } = self;
        let fill = random.below(256) as u8;
        match random.below(100) {
            0..15 => {
                let mut blob = store.new_blob();
                let source = bytes(random.place(Self::LEN_MAX / 2), fill);
                match store.blob_append(&mut blob, &source) {
                    Ok(()) => self.blobs.push((store.attach(*map, blob), source)),
                    Err(_) => self.refused += 1,
                }
            }
            15..60 if !self.blobs.is_empty() => {
                let chosen = random.below(self.blobs.len() as u64) as usize;
                let (id, model) = &mut self.blobs[chosen];
                let len = model.len() as u64;
                let at = match random.below(5) {
                    0 | 1 => len,
                    2 => random.place(Self::LEN_MAX),
                    _ => random.place(len),
                };
                let most = if random.below(4) == 0 { 3 * LARGE } else { 300 };
                let source = bytes(random.below(most.min(Self::LEN_MAX - at) + 1), fill);
                let outcome = store.edit_blob(*map, *id, |store, blob| store.blob_write(blob, at, &source));
                match outcome {
                    Ok(()) => {
                        let end = at as usize + source.len();
                        grow(model, end as u64, 0);
                        model[at as usize..end].copy_from_slice(&source);
                    }
                    Err(_) => self.refused += 1,
                }
            }
            60..70 if !self.blobs.is_empty() => {
                let (id, model) = &self.blobs[random.below(self.blobs.len() as u64) as usize];
                let (from, to) = (random.place(model.len() as u64), random.place(model.len() as u64));
                let range = from.min(to)..from.max(to);
                let slice = store.blob(*map, *id).slice(range.clone());
                self.snapshots.push((slice, model[range.start as usize..range.end as usize].to_vec()));
            }
            70..74 if !self.blobs.is_empty() => {
                let (id, model) = &self.blobs[random.below(self.blobs.len() as u64) as usize];
                let (copy, model) = (store.blob(*map, *id).clone(), model.clone());
                self.blobs.push((store.attach(*map, copy), model));
            }
            74..84 if !self.blobs.is_empty() => {
                let chosen = random.below(self.blobs.len() as u64) as usize;
                let (id, _) = self.blobs.swap_remove(chosen);
                drop(store.detach(*map, id));
            }
            84..90 if !self.snapshots.is_empty() => {
                let chosen = random.below(self.snapshots.len() as u64) as usize;
                drop(self.snapshots.swap_remove(chosen));
            }
            90..97 => self.upload_some(fill),
            97 => {
                store.clear(*map);
                self.blobs.clear();
            }
            _ => {}
        }
        if self.random.below(3) == 0 {
            self.store.step(Budget::STEP, self.random.below(2) == 0);
        }
    }

    fn upload_some(&mut self, fill: u8) {
        let Race { random, store, .. } = self;
        let (mut blob, mut model) = self.upload.take().unwrap_or_else(|| (store.new_blob(), Vec::new()));
        let total = Self::LEN_MAX.max(blob.len());
        if store.blob_reserve(&mut blob, random.below(200_000), total).is_err() {
            self.refused += 1;
        }
        let wanted = random.below(200_000).min(total - blob.len());
        let mut filled = 0;
        for room in blob.room(wanted) {
            room.fill(fill);
            filled += room.len();
        }
        blob.filled(filled as u64);
        let len = model.len() + filled;
        grow(&mut model, len as u64, fill);
        match random.below(4) {
            0 => self.blobs.push((store.attach(self.map, blob), model)),
            1 => drop(blob),
            _ => self.upload = Some((blob, model)),
        }
    }

    fn check(&self) {
        self.store.audit();
        for (id, model) in &self.blobs {
            assert!(read(self.store.blob(self.map, *id)) == *model, "a blob is what was written");
        }
        for (slice, model) in &self.snapshots {
            assert!(slice.pieces().collect::<Vec<_>>().concat() == *model, "a snapshot stays as it was");
        }
        assert!(self.store.held_bytes() <= self.store.options().memory_limit, "the limit is never exceeded");
    }

    fn run(seed: u64, memory_limit: u64, operations: u32) {
        let mut store = Store::new(Options { memory_limit, ..Options::default() });
        let map = store.create();
        let (random, blobs, snapshots) = (Random(seed | 1), Vec::new(), Vec::new());
        let mut race = Race { random, store, map, blobs, upload: None, snapshots, refused: 0 };
        for operation in 0..operations {
            race.act();
            if !cfg!(miri) || operation % 8 == 0 {
                race.check();
            }
        }
        assert!(cfg!(miri) || (race.refused > 0) == (memory_limit < u64::MAX), "the limit is met, if there is one");
        race.snapshots.clear();
        race.upload = None;
        race.store.clear(map);
        settle(&mut race.store);
        assert_eq!(race.store.blob_usage(), BlobUsage::default());
        assert_eq!(race.store.usage().pool.used_bytes, 0, "an empty store holds no chunk");
    }
}

fn races(memory_limit: u64) {
    let seeds = match std::env::var("CHUNKBUF_SEED") {
        Ok(seed) => vec![seed.parse().expect("CHUNKBUF_SEED is a number")],
        Err(_) if cfg!(miri) => vec![1],
        Err(_) => (1..=6).collect(),
    };
    for seed in seeds {
        let operations = if cfg!(miri) { 40 } else { 500 };
        let outcome = std::panic::catch_unwind(|| Race::run(seed, memory_limit, operations));
        assert!(outcome.is_ok(), "failed with CHUNKBUF_SEED={seed}");
    }
}

#[test]
fn blobs_agree_with_plain_vectors_at_every_step() {
    races(u64::MAX);
}

#[test]
fn blobs_near_the_limit_are_refused_and_lose_nothing() {
    races(4 << 20);
}
