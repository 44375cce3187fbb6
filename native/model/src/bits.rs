//! A set of item rows.

/// One bit per item. Rows beyond the end are never contained; setting them does nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// Empty, for rows below `len`. Reuses its memory.
    pub(crate) fn reset(&mut self, len: u32) {
        self.words.clear();
        self.words.resize(len.div_ceil(64) as usize, 0);
    }

    /// All rows below `len`.
    pub(crate) fn fill(&mut self, len: u32) {
        self.words.clear();
        self.words.resize((len / 64) as usize, u64::MAX);
        if !len.is_multiple_of(64) {
            self.words.push((1 << (len % 64)) - 1);
        }
    }

    #[inline]
    pub(crate) fn contains(&self, row: u32) -> bool {
        self.words.get((row / 64) as usize).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    #[inline]
    pub(crate) fn insert(&mut self, row: u32) {
        if let Some(word) = self.words.get_mut((row / 64) as usize) {
            *word |= 1 << (row % 64);
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, row: u32) {
        if let Some(word) = self.words.get_mut((row / 64) as usize) {
            *word &= !(1 << (row % 64));
        }
    }

    /// Keeps what is in `other`, too.
    pub(crate) fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(other.words.iter().chain(std::iter::repeat(&0))) {
            *word &= other;
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0u32..).step_by(64).zip(&self.words).flat_map(|(base, word)| {
            let rest = |word: &u64| Some(word & word.wrapping_sub(1)).filter(|word| *word > 0);
            std::iter::successors(Some(*word).filter(|word| *word > 0), rest)
                .map(move |word| base + word.trailing_zeros())
        })
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(rows: I) -> Self {
        let mut bits = Self::default();
        for row in rows {
            let words = (row / 64) as usize + 1;
            bits.words.resize(bits.words.len().max(words), 0);
            bits.insert(row);
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_set(rows in prop::collection::btree_set(0u32..300, 0..100), len in 0u32..300) {
            let bits: Bits = rows.iter().copied().collect();
            prop_assert_eq!(bits.iter().collect::<BTreeSet<_>>(), rows.clone());
            prop_assert_eq!(bits.len() as usize, rows.len());
            let mut all = Bits::default();
            all.fill(len);
            prop_assert_eq!(all.iter().collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
            all.intersect(&bits);
            prop_assert!((0..400).all(|row| all.contains(row) == (row < len && rows.contains(&row))));
            rows.iter().for_each(|row| all.remove(*row));
            prop_assert_eq!(all.len(), 0);
        }
    }
}
