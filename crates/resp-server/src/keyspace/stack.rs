//! A list that grows and shrinks at its end, and is never moved: a `Vec` of millions that doubles copies all of them at once, which takes
//! milliseconds.

/// Items of a page.
const PAGE: usize = 512;

/// The list, in pages. Empty, it takes no memory.
#[derive(Debug)]
pub(crate) struct Stack<T> {
    /// Full, but for the last; none is empty.
    pages: Vec<Vec<T>>,
}

impl<T> Default for Stack<T> {
    fn default() -> Stack<T> {
        Stack { pages: Vec::new() }
    }
}

impl<T> Stack<T> {
    /// How many items there are. O(1)
    pub(crate) fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Adds an item at the end. O(1)
    pub(crate) fn push(&mut self, item: T) {
        match self.pages.last_mut() {
            Some(last) if last.len() < PAGE => last.push(item),
            _ => self.pages.push(vec![item]),
        }
    }

    /// Takes the item at the end. O(1)
    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.pages.last_mut()?;
        let item = last.pop();
        if last.is_empty() {
            self.pages.pop();
        }
        item
    }

    /// The items in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_popped_in_the_opposite_order_across_pages() {
        let mut stack = Stack::default();
        assert!(stack.is_empty() && stack.pop().is_none());
        for number in 0..3 * PAGE {
            stack.push(number);
            assert_eq!(stack.len(), number + 1);
        }
        assert!(stack.iter().copied().eq(0..3 * PAGE));
        for number in (0..3 * PAGE).rev() {
            assert_eq!((stack.pop(), stack.len()), (Some(number), number));
        }
        assert!(stack.is_empty());
    }
}
