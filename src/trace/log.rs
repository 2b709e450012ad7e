//! The list that a trace is made of: it only grows, and what stands in it is never moved again.

use std::ops::{Index, IndexMut, Range};

/// Entries of a piece, as a power of two.
const PIECE_BITS: u32 = 16;
/// Entries of a piece.
const PIECE: usize = 1 << PIECE_BITS;

/// A list that is added to for as long as a run lasts. It is kept in pieces, because one that lies in one place is copied
/// as a whole each time that it outgrows that place, and for a while takes twice the memory.
#[derive(Clone, Debug)]
pub struct Log<T> {
    /// Pieces of [`PIECE`] entries each.
    full: Vec<Vec<T>>,
    /// What came after them.
    last: Vec<T>,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new() }
    }
}

impl<T> Log<T> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        (self.full.len() << PIECE_BITS) + self.last.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty() && self.full.is_empty()
    }

    /// Adds one.
    pub fn push(&mut self, entry: T) {
        if self.last.len() == PIECE {
            self.full.push(std::mem::replace(&mut self.last, Vec::with_capacity(PIECE)));
        }
        self.last.push(entry);
    }

    /// The one at this place.
    pub fn get(&self, at: usize) -> Option<&T> {
        (at < self.len()).then(|| &self[at])
    }

    /// The latest one.
    pub fn last(&self) -> Option<&T> {
        self.last.last()
    }

    /// All of them, in order.
    pub fn iter(&self) -> Entries<'_, T> {
        self.range(0..self.len())
    }

    /// Those from this place on.
    pub fn since(&self, from: usize) -> Entries<'_, T> {
        self.range(from..self.len())
    }

    /// Those at these places, as far as they are there.
    pub fn range(&self, places: Range<usize>) -> Entries<'_, T> {
        Entries { log: self, places: places.start..places.end.min(self.len()) }
    }
}

/// Entries of a [`Log`], in order. To pass over some costs nothing, however many they are: `skip` and `step_by` go by
/// [`Iterator::nth`], and a trace is often read from where it was read to before.
#[derive(Debug)]
pub struct Entries<'a, T> {
    log: &'a Log<T>,
    places: Range<usize>,
}

impl<T> Clone for Entries<'_, T> {
    fn clone(&self) -> Self {
        Self { log: self.log, places: self.places.clone() }
    }
}

impl<'a, T> Iterator for Entries<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.places.next().map(|at| &self.log[at])
    }

    fn nth(&mut self, n: usize) -> Option<&'a T> {
        self.places.nth(n).map(|at| &self.log[at])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl<'a, T> IntoIterator for &'a Log<T> {
    type Item = &'a T;
    type IntoIter = Entries<'a, T>;

    fn into_iter(self) -> Entries<'a, T> {
        self.iter()
    }
}

impl<T> DoubleEndedIterator for Entries<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.places.next_back().map(|at| &self.log[at])
    }
}

impl<T> ExactSizeIterator for Entries<'_, T> {}

impl<T> Index<usize> for Log<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        match self.full.get(at >> PIECE_BITS) {
            Some(piece) => &piece[at & (PIECE - 1)],
            None => &self.last[at - (self.full.len() << PIECE_BITS)],
        }
    }
}

impl<T> IndexMut<usize> for Log<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        let n_full = self.full.len() << PIECE_BITS;
        match self.full.get_mut(at >> PIECE_BITS) {
            Some(piece) => &mut piece[at & (PIECE - 1)],
            None => &mut self.last[at - n_full],
        }
    }
}

impl<T> Extend<T> for Log<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push(entry));
    }
}

impl<T> FromIterator<T> for Log<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut log = Self::default();
        log.extend(entries);
        log
    }
}

#[cfg(test)]
mod tests {
    use super::{Log, PIECE};

    #[test]
    fn entries_stand_where_they_were_added() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 3] {
            let log: Log<usize> = (0..len).collect();
            assert_eq!((log.len(), log.is_empty()), (len, len == 0));
            assert!(log.iter().copied().eq(0..len));
            assert_eq!(log.last().copied(), len.checked_sub(1));
            for at in [0, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, len, len + PIECE, usize::MAX] {
                assert_eq!(log.get(at).copied(), (at < len).then_some(at), "{at} of {len}");
            }
            assert!(log.since(PIECE).copied().eq(PIECE..len));
            assert!(log.range(PIECE - 1..PIECE + 1).copied().eq(PIECE - 1..len.min(PIECE + 1)));
            assert!(log.iter().rev().copied().eq((0..len).rev()));
            assert!(log.iter().enumerate().skip(PIECE).map(|(at, _)| at).eq(PIECE..len));
        }
    }
}
