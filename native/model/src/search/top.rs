//! The best k of a stream of keys.

/// Keeps the k largest distinct keys. Holds at most 2 k keys: when full, the lower half is cut off, so that a key costs one
/// comparison once the threshold stands.
#[derive(Debug)]
pub(super) struct Top {
    keys: Vec<u64>,
    k: usize,
    threshold: u64,
}

impl Top {
    /// Reuses the memory of `keys`.
    pub(super) fn new(mut keys: Vec<u64>, k: usize) -> Self {
        keys.clear();
        Self { keys, k, threshold: if k == 0 { u64::MAX } else { 0 } }
    }

    /// Could `key` still be among the best? (Keys are > 0.)
    pub(super) fn wants(&self, key: u64) -> bool {
        key > self.threshold
    }

    pub(super) fn push(&mut self, key: u64) {
        if !self.wants(key) {
            return;
        }
        self.keys.push(key);
        if self.keys.len() >= self.k.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.keys.len() > self.k {
            let (_, lowest, _) = self.keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.threshold = *lowest;
            self.keys.truncate(self.k);
        }
    }

    /// The best k, largest first.
    pub(super) fn into_sorted(mut self) -> Vec<u64> {
        self.cut();
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        self.keys
    }
}

/// One integer that orders hits: higher score first, then lower position.
pub(super) fn key(score: f32, position: u32) -> u64 {
    let bits = score.to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ordered) << 32 | u64::from(!position)
}

/// Score and position of a [`key`].
pub(super) fn unkey(key: u64) -> (f32, u32) {
    let [ordered, position] =
        [key >> 32, key & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(0));
    let bits = if ordered >> 31 == 1 { ordered ^ 1 << 31 } else { !ordered };
    (f32::from_bits(bits), !position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_order_as_pairs(a: f32, b: f32, p: u32, q: u32) {
            prop_assert_eq!(unkey(key(a, p)).0.to_bits(), a.to_bits());
            prop_assert_eq!(unkey(key(a, p)).1, p);
            prop_assert_eq!(key(a, p).cmp(&key(b, q)), a.total_cmp(&b).then(q.cmp(&p)));
        }

        #[test]
        fn equals_sort_and_cut(keys in prop::collection::hash_set(1u64..500, 0..200), k in 0usize..60) {
            let mut top = Top::new(Vec::new(), k);
            keys.iter().for_each(|key| top.push(*key));
            let mut expected: Vec<u64> = keys.into_iter().collect();
            expected.sort_unstable_by(|a, b| b.cmp(a));
            expected.truncate(k);
            prop_assert_eq!(top.into_sorted(), expected);
        }
    }
}
