//! Values of which copies are kept along the trace: a copy shares what has not changed since.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that its copies share until one of them is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared<T>(Arc<T>);

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

/// Entries of a part of a [`SharedLog`].
const PART: usize = 256;

/// A list that grows and is seldom thinned out: a copy shares all of it but its last part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedLog<T> {
    whole: Vec<Arc<[T]>>,
    last: Vec<T>,
}

impl<T> Default for SharedLog<T> {
    fn default() -> Self {
        Self { whole: Vec::new(), last: Vec::new() }
    }
}

impl<T> SharedLog<T> {
    pub(super) fn push(&mut self, entry: T) {
        self.last.push(entry);
        if self.last.len() == PART {
            self.whole.push(std::mem::take(&mut self.last).into());
        }
    }

    /// Keeps the entries that are `wanted`. Nothing is shared with copies afterwards, unless all are.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&T) -> bool)
    where
        T: Clone,
    {
        if self.iter().all(&mut wanted) {
            return;
        }
        let old = std::mem::take(self);
        old.iter().filter(|entry| wanted(entry)).cloned().for_each(|entry| self.push(entry));
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.whole.len() * PART + self.last.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.whole.iter().flat_map(|part| part.iter()).chain(&self.last)
    }
}

impl<'l, T> IntoIterator for &'l SharedLog<T> {
    type Item = &'l T;
    type IntoIter = Box<dyn Iterator<Item = &'l T> + 'l>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_the_order_over_its_parts_and_copies_go_their_own_ways() {
        let mut log = SharedLog::default();
        (0..PART * 2 + 3).for_each(|at| log.push(at));
        let copy = log.clone();
        log.push(PART * 2 + 3);
        assert_eq!(log.iter().copied().collect::<Vec<_>>(), (0..PART * 2 + 4).collect::<Vec<_>>());
        assert_eq!((copy.len(), log.len()), (PART * 2 + 3, PART * 2 + 4));
        assert_eq!(copy.iter().next_back(), Some(&(PART * 2 + 2)));
        log.retain(|at| at % 2 == 0);
        assert_eq!(log.iter().copied().collect::<Vec<_>>(), (0..PART * 2 + 4).step_by(2).collect::<Vec<_>>());
        assert_eq!(copy.len(), PART * 2 + 3);
    }

    #[test]
    fn a_change_is_not_seen_by_copies() {
        let mut one = Shared::from(vec![1]);
        let copy = one.clone();
        one.push(2);
        assert_eq!((&*one, &*copy), (&vec![1, 2], &vec![1]));
    }
}
