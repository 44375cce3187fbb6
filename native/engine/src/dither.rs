//! Dithering: results are spread at random, so that people do not always see the same, and what stands below the first page
//! gets its chance.
//!
//! After Dunning and Friedman, *Practical Machine Learning: Innovations in Recommendation* (O'Reilly 2014): results are
//! sorted anew by ln r + N(0, ln σ), where r is the rank of a result, from 1. The logarithm keeps the top together and mixes
//! the rest more and more. Here ln σ is the standard deviation, so that σ is a factor of the rank; 1 changes nothing.
//!
//! The noise is a hash of seed, number of the period, who or what is asked for, and item: the same from every index and
//! on every machine, and the same for every page.

use model::{Found, ModelIndex, SearchPlan};

use crate::hash::Hash;
use crate::plan::Request;

/// So many of the best results change places, and none behind them. The number does not depend on the page, or else an item
/// could be on two.
const WINDOW: usize = 500;

/// How results are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dither {
    /// σ ≥ 1: most results are sorted as if their rank were at most this many times better or worse.
    pub sigma: f64,
    /// Another seed, another order.
    pub seed: i64,
    /// How long an order stays, ms > 0.
    pub period_ms: i64,
}

impl Default for Dither {
    fn default() -> Self {
        Self { sigma: 1.5, seed: 0, period_ms: 86_400_000 }
    }
}

impl Dither {
    /// What is absent in `change` stays.
    pub(crate) fn with(self, change: &DitherChange) -> Self {
        Self {
            sigma: change.sigma.unwrap_or(self.sigma),
            seed: change.seed.unwrap_or(self.seed),
            period_ms: change.period_ms.unwrap_or(self.period_ms),
        }
    }
}

/// What a query says of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DitherChange {
    /// As [`Dither::sigma`].
    pub sigma: Option<f64>,
    /// As [`Dither::seed`].
    pub seed: Option<i64>,
    /// As [`Dither::period_ms`].
    pub period_ms: Option<i64>,
}

impl DitherChange {
    /// Do not.
    pub const OFF: Self = Self { sigma: Some(1.0), seed: None, period_ms: None };
}

/// How the results of one answer were spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dithered {
    /// In force.
    pub dither: Dither,
    /// When the order changes, ms since 1970.
    pub until_ms: i64,
    /// So many of the best results were spread.
    pub window: usize,
}

/// The dithered order of one request.
pub(crate) struct Dithering {
    dither: Dither,
    period: i64,
    /// Of all that is the same for every item.
    hash: Hash,
}

impl Dithering {
    /// `None` if results keep their order.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        let dither = match (request.config.dither, &request.query.dither) {
            (engines, Some(change)) => engines.unwrap_or_default().with(change),
            (engines, None) => engines?,
        };
        let period = request.now_ms.div_euclid(dither.period_ms.max(1));
        let hash = Hash::new(dither.seed.cast_unsigned()).with(&period.to_le_bytes());
        (dither.sigma > 1.0).then(|| Self { dither, period, hash: identified(hash, request) })
    }

    /// What to tell of it.
    pub fn told(&self) -> Dithered {
        let until_ms = self.period.saturating_add(1).saturating_mul(self.dither.period_ms);
        Dithered { dither: self.dither, until_ms, window: WINDOW }
    }

    /// The page that `plan` asks for, out of the dithered order. With each hit its rank, from 1, before.
    pub fn page<I: ModelIndex>(&self, index: &I, plan: &SearchPlan) -> Result<Vec<(usize, Found)>, I::Error> {
        if plan.num == 0 {
            return Ok(Vec::new());
        }
        let end = plan.from.saturating_add(plan.num);
        let best = index.search(&SearchPlan { from: 0, num: end.max(WINDOW), ..plan.clone() })?;
        let spread = self.order(best.iter().take(WINDOW).map(|found| found.item.as_str()));
        let order = spread.into_iter().chain(WINDOW..best.len());
        Ok(order.skip(plan.from).take(plan.num).map(|index| (index + 1, best[index].clone())).collect())
    }

    /// The new order of these items, best first before: their indexes.
    fn order<'i>(&self, items: impl Iterator<Item = &'i str>) -> Vec<usize> {
        let deviation = libm::log(self.dither.sigma);
        let key = |(rank, item): (u32, &str)| {
            libm::log(f64::from(rank)) + deviation * self.hash.with(item.as_bytes()).normal()
        };
        let keys: Vec<f64> = (1..).zip(items).map(key).collect();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        // Stable: equal keys stay as they were.
        order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
        order
    }
}

/// With the user, or else the items that are asked about. Neither the page nor rules, so that items keep their noise
/// while somebody turns pages or filters.
fn identified(hash: Hash, request: &Request<'_>) -> Hash {
    // No text has such a byte: what stands before it cannot be mistaken for what follows.
    const END: &[u8] = &[0xff];
    let text = |hash: Hash, text: &String| hash.with(text.as_bytes()).with(END);
    let query = request.query;
    if let Some(user) = &query.user {
        return text(hash.with(b"user").with(END), user);
    }
    let mut items: Vec<&String> = query.item_set.iter().collect();
    items.sort_unstable();
    items.dedup();
    query.item.iter().chain(items).fold(hash.with(b"items").with(END), text)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn dithering(sigma: f64, seed: u64) -> Dithering {
        let dither = Dither { sigma, ..Dither::default() };
        Dithering { dither, period: 0, hash: Hash::new(seed) }
    }

    fn order(dithering: &Dithering, items: &[String]) -> Vec<usize> {
        dithering.order(items.iter().map(String::as_str))
    }

    fn items(number: usize) -> Vec<String> {
        (0..number).map(|item| format!("item {item}")).collect()
    }

    proptest! {
        #[test]
        fn every_item_stays_once_and_equal_input_gives_equal_order(
            items in prop::collection::vec("[a-z]{0,4}", 0..60), sigma in 1.0..1e6f64, seed: u64,
        ) {
            let found = order(&dithering(sigma, seed), &items);
            prop_assert_eq!(&found, &order(&dithering(sigma, seed), &items));
            let mut sorted = found;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..items.len()).collect::<Vec<_>>());
        }

        #[test]
        fn sigma_one_changes_nothing(items in prop::collection::vec("[a-z]{0,4}", 0..60), seed: u64) {
            prop_assert_eq!(order(&dithering(1.0, seed), &items), (0..items.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_noise_is_normal() {
        let numbers: Vec<f64> =
            (0..20_000_u32).map(|i| Hash::new(7).with(&i.to_le_bytes()).normal()).collect();
        let share = |within: f64| numbers.iter().filter(|x| x.abs() < within).count() as f64 / 20_000.0;
        let mean = numbers.iter().sum::<f64>() / 20_000.0;
        let variance = numbers.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        for (within, expected) in [(0.5, 0.3829), (1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)] {
            assert!((share(within) - expected).abs() < 0.015, "{within}: {}", share(within));
        }
    }

    /// The place of an item becomes its rank times a factor that is e to the power of the noise.
    #[test]
    fn the_top_stays_near_the_top_and_more_sigma_mixes_more() {
        let items = items(200);
        let first_page = |sigma: f64| {
            let mut met = HashMap::<usize, u32>::new();
            for seed in 0..400 {
                for item in order(&dithering(sigma, seed), &items).into_iter().take(10) {
                    *met.entry(item).or_default() += 1;
                }
            }
            met
        };
        let share = |met: &HashMap<usize, u32>, of: std::ops::Range<usize>| {
            of.map(|item| f64::from(met.get(&item).copied().unwrap_or(0)) / 400.0).sum::<f64>()
        };
        let (little, much) = (first_page(1.5), first_page(3.0));
        assert!(share(&little, 0..3) > 2.9, "of the first three on the first page: {}", share(&little, 0..3));
        assert!(share(&little, 0..10) > 8.0 && share(&much, 0..10) < share(&little, 0..10) - 1.0);
        assert!(share(&much, 0..3) > 2.4 && share(&much, 20..200) > 0.5, "{}", share(&much, 20..200));
        assert!(little.len() > 14 && much.len() > little.len(), "{} {}", little.len(), much.len());
    }
}
