//! Fixed-size items in pages of 64, and the set that finds the lowest vacancy: the headers and nodes of the index, the
//! blobs of a map, and whatever a store's owner knows by number.
//!
//! Both exist so that nothing large is ever copied: an arena grows by a page, never by moving what it has, and fills
//! its lowest hole first, so that the pages at the top become empty and go.

const PAGE_ITEMS: usize = 64;

/// Items by number. A number stays with its item until [`Arena::remove`].
pub struct Arena<T> {
    /// `None`: no item lives there, the page is given back.
    pages: Vec<Option<Box<[T; PAGE_ITEMS]>>>,
    /// One bit an item.
    occupied: Vec<u64>,
    /// Pages with a vacancy, the ones given back among them.
    open: LowestFirst,
    len: usize,
    pages_held: usize,
}

impl<T> Default for Arena<T> {
    fn default() -> Arena<T> {
        Arena { pages: Vec::new(), occupied: Vec::new(), open: LowestFirst::new(), len: 0, pages_held: 0 }
    }
}

impl<T: Default> Arena<T> {
    /// No items and no memory.
    pub fn new() -> Arena<T> {
        Arena::default()
    }

    /// Item `id`, which must live. O(1).
    #[inline]
    pub fn get(&self, id: u32) -> &T {
        let page = self.pages[id as usize / PAGE_ITEMS].as_ref().expect("the item lives");
        &page[id as usize % PAGE_ITEMS]
    }

    /// Item `id`, which must live. O(1).
    #[inline]
    pub fn get_mut(&mut self, id: u32) -> &mut T {
        let page = self.pages[id as usize / PAGE_ITEMS].as_mut().expect("the item lives");
        &mut page[id as usize % PAGE_ITEMS]
    }

    /// Puts the item at the lowest vacancy and returns its number.
    pub fn insert(&mut self, item: T) -> u32 {
        let page = self.open.first().unwrap_or_else(|| {
            self.pages.push(None);
            self.occupied.push(0);
            self.open.insert(self.pages.len() - 1);
            self.pages.len() - 1
        });
        let items = self.pages[page].get_or_insert_with(|| {
            self.pages_held += 1;
            Box::new(std::array::from_fn(|_| T::default()))
        });
        let at = self.occupied[page].trailing_ones() as usize;
        items[at] = item;
        self.occupied[page] |= 1 << at;
        if self.occupied[page] == u64::MAX {
            self.open.remove(page);
        }
        self.len += 1;
        u32::try_from(page * PAGE_ITEMS + at).expect("fewer than 2^32 items")
    }

    /// Bytes of the page that the next [`Arena::insert`] takes; mostly 0.
    pub(crate) fn growth_bytes(&mut self) -> u64 {
        let has_room = self.open.first().is_some_and(|page| self.pages[page].is_some());
        if has_room { 0 } else { size_of::<[T; PAGE_ITEMS]>() as u64 }
    }

    /// Takes the item out; its number is free for another.
    pub fn remove(&mut self, id: u32) -> T {
        let (page, at) = (id as usize / PAGE_ITEMS, id as usize % PAGE_ITEMS);
        assert!(self.lives(id), "the item lives");
        let item = std::mem::take(self.get_mut(id));
        self.occupied[page] &= !(1 << at);
        self.open.insert(page);
        if self.occupied[page] == 0 {
            self.pages[page] = None;
            self.pages_held -= 1;
        }
        self.len -= 1;
        item
    }

    /// Takes out the items of the last page that has any.
    pub(crate) fn drop_page(&mut self) {
        while let Some(page) = self.pages.pop() {
            let occupied = self.occupied.pop().expect("a word for each page");
            self.open.remove(self.pages.len());
            self.len -= occupied.count_ones() as usize;
            if page.is_some() {
                self.pages_held -= 1;
                break;
            }
        }
    }

    /// Takes out the item with the highest number. O(1), but for pages that are empty.
    pub fn pop(&mut self) -> Option<T> {
        loop {
            let page = self.pages.len().checked_sub(1)?;
            match self.occupied[page] {
                0 => {
                    self.pages.pop();
                    self.occupied.pop();
                    self.open.remove(page);
                }
                bits => return Some(self.remove((page * PAGE_ITEMS) as u32 + bits.ilog2())),
            }
        }
    }

    /// The items, as they are numbered.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.end()).filter(|&id| self.lives(id)).map(|id| self.get(id))
    }

    /// True when `id` names an item.
    pub fn lives(&self, id: u32) -> bool {
        self.occupied.get(id as usize / PAGE_ITEMS).is_some_and(|bits| bits >> (id as usize % PAGE_ITEMS) & 1 == 1)
    }

    /// One more than the largest number in use, or a little more.
    pub(crate) fn end(&self) -> u32 {
        (self.pages.len() * PAGE_ITEMS) as u32
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the pages held.
    pub(crate) fn held_bytes(&self) -> u64 {
        (self.pages_held * size_of::<[T; PAGE_ITEMS]>()) as u64
    }
}

/// A set of small integers that gives its lowest. Insert and remove are O(1); the lowest is found a word at a time, from
/// where it was found before.
pub(crate) struct LowestFirst {
    words: Vec<u64>,
    /// No word before this one has a bit.
    hint: usize,
}

impl LowestFirst {
    pub(crate) fn new() -> LowestFirst {
        LowestFirst { words: Vec::new(), hint: 0 }
    }

    pub(crate) fn insert(&mut self, member: usize) {
        let word = member / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (member % 64);
        self.hint = self.hint.min(word);
    }

    pub(crate) fn remove(&mut self, member: usize) {
        if let Some(word) = self.words.get_mut(member / 64) {
            *word &= !(1 << (member % 64));
        }
    }

    pub(crate) fn first(&mut self) -> Option<usize> {
        while let Some(word) = self.words.get(self.hint) {
            if *word != 0 {
                return Some(self.hint * 64 + word.trailing_zeros() as usize);
            }
            self.hint += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_pop_from_the_highest_to_none() {
        let mut arena = Arena::new();
        (0..130u32).for_each(|n| assert_eq!(arena.insert(n), n));
        assert_eq!((arena.remove(129), arena.remove(100)), (129, 100));
        let popped: Vec<u32> = std::iter::from_fn(|| arena.pop()).collect();
        assert_eq!(popped, (0..129).rev().filter(|&n| n != 100).collect::<Vec<_>>());
        assert_eq!((arena.len(), arena.held_bytes()), (0, 0));
    }

    #[test]
    fn the_lowest_vacancy_is_filled_first() {
        let mut arena = Arena::new();
        for n in 0..200u32 {
            assert_eq!(arena.insert(n), n);
        }
        assert_eq!(arena.remove(150), 150);
        assert_eq!(arena.remove(3), 3);
        assert_eq!(arena.insert(1003), 3);
        assert_eq!(arena.insert(1150), 150);
        assert_eq!(arena.insert(1200), 200);
        assert_eq!((*arena.get(3), *arena.get(150), arena.len()), (1003, 1150, 201));
    }

    #[test]
    fn a_page_without_items_is_given_back() {
        let mut arena = Arena::new();
        (0..129u32).for_each(|n| assert_eq!(arena.insert(n), n));
        let full = arena.held_bytes();
        (64..128).for_each(|id| assert_eq!(arena.remove(id), id));
        assert_eq!(arena.held_bytes(), full / 3 * 2);
        assert!(arena.lives(128) && arena.lives(63) && !arena.lives(64));
        assert_eq!(arena.insert(7), 64);
        assert_eq!(arena.held_bytes(), full);
    }

    #[test]
    fn the_lowest_of_a_set_follows_inserts_and_removes() {
        let mut set = LowestFirst::new();
        assert_eq!(set.first(), None);
        set.insert(500);
        set.insert(70);
        assert_eq!(set.first(), Some(70));
        set.remove(70);
        assert_eq!(set.first(), Some(500));
        set.insert(2);
        assert_eq!(set.first(), Some(2));
        set.remove(2);
        set.remove(500);
        set.remove(100_000);
        assert_eq!(set.first(), None);
    }
}
