//! How good a list of recommendations was: one number per list, then means with their uncertainty.
//!
//! With k the length that is judged, h(i) = 1 if the thing at place i turned out right and 0 otherwise, H(i) the sum of
//! the first i of them, and R the number of things that would have been right:
//!
//! | Metric | Formula |
//! |---|---|
//! | precision@k | H(k) / k, also if the list is shorter |
//! | recall@k | H(k) / R |
//! | hit rate@k | 1 if H(k) > 0, else 0 |
//! | average precision@k, whose mean is MAP@k | Σ h(i) · H(i) / i over i ≤ k, divided by min(k, R) |
//! | NDCG@k | Σ h(i) / log₂(i + 1) over i ≤ k, divided by the same sum for a list that begins with min(k, R) right things |
//!
//! Precision, recall and average precision: Manning, Raghavan, Schütze, *Introduction to Information Retrieval* (2008),
//! chapter 8; average precision is cut off at k, so that a perfect list of length k has 1. NDCG: Järvelin and Kekäläinen,
//! "Cumulated gain-based evaluation of IR techniques" (2002), with gains 0 and 1.

/// A number per list of recommendations; greater is better, 1 is perfect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Mean of average precision: right things, weighted by how far above they stand.
    Map,
    /// Normalized discounted cumulative gain: the same with a milder weight.
    Ndcg,
    /// Share of the list that was right.
    Precision,
    /// Share of the right things that the list had.
    Recall,
    /// Share of lists with at least one right thing.
    HitRate,
}

impl Metric {
    /// All, in the order in which they are reported.
    pub const ALL: [Self; 5] = [Self::Map, Self::Ndcg, Self::Precision, Self::Recall, Self::HitRate];

    /// Its member in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Ndcg => "ndcg",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::HitRate => "hitRate",
        }
    }
}

/// One value per metric, in the order of [`Metric::ALL`].
pub(crate) type Values = [f64; Metric::ALL.len()];

/// What a list is worth. `hits`: for each place whether the thing there was right, best first; `right`: R, at least 1.
pub(crate) fn values(hits: &[bool], right: usize, k: usize) -> Values {
    let (mut found, mut precisions, mut gain, mut ideal) = (0.0, 0.0, 0.0, 0.0);
    let best = k.min(right);
    for place in 0..k {
        let discount = 1.0 / libm::log2(real(place + 2));
        if hits.get(place) == Some(&true) {
            found += 1.0;
            precisions += found / real(place + 1);
            gain += discount;
        }
        if place < best {
            ideal += discount;
        }
    }
    let hit = if found > 0.0 { 1.0 } else { 0.0 };
    [precisions / real(best), gain / ideal, found / real(k), found / real(right), hit]
}

/// A mean over users, and how far it may be off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation / √n: other users like these would give a mean that differs by about as much. `None` for
    /// fewer than two users.
    pub standard_error: Option<f64>,
}

impl Estimate {
    /// A normally distributed value lies within so many standard deviations in 95 of 100 cases.
    pub const NORMAL_95: f64 = 1.96;

    /// Of at least one value. Sums in the given order, so that equal input gives equal bits.
    pub(crate) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let number = real(values.clone().count());
        let mean = values.clone().sum::<f64>() / number;
        let squares: f64 = values.map(|value| (value - mean) * (value - mean)).sum();
        let standard_error = (number > 1.0).then(|| libm::sqrt(squares / (number - 1.0) / number));
        Self { mean, standard_error }
    }

    /// Half the width of the interval that holds the true mean with 95 % probability; needs some 30 users to be right.
    pub fn margin_95(&self) -> Option<f64> {
        self.standard_error.map(|error| Self::NORMAL_95 * error)
    }

    /// Is it other than 0, with 95 % probability?
    pub fn differs_from_0(&self) -> bool {
        self.margin_95().is_some_and(|margin| self.mean.abs() > margin)
    }
}

/// Counts here are far below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "numbers of users and places")]
pub(crate) fn real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The textbook, word for word: no sharing between metrics, ids instead of hits, logarithms of the standard library.
    fn textbook(list: &[u32], right: &BTreeSet<u32>, k: usize) -> Values {
        let shown: Vec<u32> = list.iter().copied().take(k).collect();
        let hits = |upto: usize| shown.iter().take(upto).filter(|thing| right.contains(thing)).count() as f64;
        let mut precisions = Vec::new();
        for (index, thing) in shown.iter().enumerate() {
            if right.contains(thing) {
                precisions.push(hits(index + 1) / (index as f64 + 1.0));
            }
        }
        let map = precisions.iter().sum::<f64>() / right.len().min(k) as f64;
        let gain = |right_at: &dyn Fn(usize) -> bool| -> f64 {
            (1..=k).filter(|&rank| right_at(rank)).map(|rank| 2_f64.ln() / (rank as f64 + 1.0).ln()).sum()
        };
        let dcg = gain(&|rank| shown.get(rank - 1).is_some_and(|thing| right.contains(thing)));
        let ideal = gain(&|rank| rank <= right.len());
        let any = f64::from(u8::from(shown.iter().any(|thing| right.contains(thing))));
        [map, dcg / ideal, hits(k) / k as f64, hits(k) / right.len() as f64, any]
    }

    proptest! {
        #[test]
        fn equal_the_textbook(
            list in prop::collection::vec(0_u32..30, 0..25),
            right in prop::collection::btree_set(0_u32..30, 1..12),
            k in 1_usize..30,
        ) {
            let mut seen = BTreeSet::new();
            let list: Vec<u32> = list.into_iter().filter(|thing| seen.insert(*thing)).collect();
            let hits: Vec<bool> = list.iter().map(|thing| right.contains(thing)).collect();
            let expected = textbook(&list, &right, k);
            for (found, expected) in values(&hits, right.len(), k).into_iter().zip(expected) {
                prop_assert!((found - expected).abs() < 1e-12, "{} instead of {}", found, expected);
                prop_assert!((0.0..=1.0 + 1e-12).contains(&found));
            }
        }

        #[test]
        fn estimates_equal_the_textbook(values in prop::collection::vec(-2.0..2.0_f64, 1..40)) {
            let estimate = Estimate::of(values.iter().copied());
            let number = values.len() as f64;
            let mean = values.iter().sum::<f64>() / number;
            prop_assert!((estimate.mean - mean).abs() < 1e-12);
            prop_assert_eq!(estimate.standard_error.is_some(), values.len() > 1);
            if let Some(error) = estimate.standard_error {
                // variance by the mean of squares instead of squared distances
                let squares = values.iter().map(|value| value * value).sum::<f64>() / number;
                let variance = (squares - mean * mean).max(0.0) * number / (number - 1.0);
                prop_assert!((error - (variance / number).sqrt()).abs() < 1e-6);
            }
        }
    }

    /// Right things at places 1, 3 and 6 of a list of 6; four would have been right.
    #[test]
    fn a_list_by_hand() {
        let hits = [true, false, true, false, false, true];
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        let [map, ndcg, precision, recall, hit] = values(&hits, 4, 6);
        close(map, (1.0 + 2.0 / 3.0 + 3.0 / 6.0) / 4.0);
        close(ndcg, (1.0 + 0.5 + 0.356_207_187_1) / (1.0 + 0.630_929_753_6 + 0.5 + 0.430_676_558_1));
        close(precision, 0.5);
        close(recall, 0.75);
        close(hit, 1.0);
        let [map, ndcg, precision, recall, hit] = values(&hits, 4, 2);
        close(map, 1.0 / 2.0);
        close(ndcg, 1.0 / (1.0 + 0.630_929_753_6));
        close(precision, 0.5);
        close(recall, 0.25);
        close(hit, 1.0);
    }

    #[test]
    fn perfect_is_one_and_nothing_is_zero() {
        for (right, k) in [(1, 1), (1, 10), (10, 10), (30, 10)] {
            let perfect: Vec<bool> = (0..k).map(|place| place < right).collect();
            let [map, ndcg, _, _, hit] = values(&perfect, right, k);
            assert_eq!((map, ndcg, hit), (1.0, 1.0, 1.0), "{right} {k}");
            assert_eq!(values(&[], right, k), [0.0; 5]);
            assert_eq!(values(&[false; 40], right, k), [0.0; 5]);
        }
    }

    #[test]
    fn a_difference_needs_more_than_its_error() {
        let estimate = |values: &[f64]| Estimate::of(values.iter().copied());
        assert!(!estimate(&[1.0]).differs_from_0(), "one user proves nothing");
        assert!(estimate(&[1.0, 1.0]).differs_from_0());
        assert!(!estimate(&[0.0, 0.0]).differs_from_0());
        assert!(!estimate(&[1.0, -1.0, 0.5]).differs_from_0());
    }
}
