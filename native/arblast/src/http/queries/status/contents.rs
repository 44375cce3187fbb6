//! What is in a model: correlators and their strength by indicator, and who leads each ranking.

use std::collections::BTreeMap;

use events::Json;
use events::json::{Number, Object};
use model::Model;

/// Strongest correlators that are listed for each indicator.
const STRONGEST: usize = 5;
/// Leading items that are listed for each ranking.
const LEADING: usize = 10;
/// Bins of the distribution of LLR for each factor of 2.
const BINS_PER_OCTAVE: i32 = 2;
/// Bins end at 2^32, and everything below 2^-8 is in the first.
const BINS: std::ops::RangeInclusive<i32> = -8 * BINS_PER_OCTAVE..=32 * BINS_PER_OCTAVE;

/// Looks at every correlator and every rank: seconds for a large model.
pub(super) fn described(model: &Model) -> Object {
    let indicators = model.indicators().map(|name| Json::from(indicator(model, name)));
    let rankings = model.rankings().map(|name| Json::from(ranking(model, name)));
    Object::new()
        .with("indicators", Json::Array(indicators.collect()))
        .with("rankings", Json::Array(rankings.collect()))
}

fn indicator(model: &Model, name: &str) -> Object {
    let (mut correlators, mut items, mut bins) = (0_u64, 0_u32, BTreeMap::new());
    let mut strongest = Best::new(STRONGEST);
    for row in 0..model.items() {
        let (before, id) = (correlators, model.item(row));
        for (thing, llr) in model.correlators(name, row) {
            correlators += 1;
            *bins.entry(bin(llr)).or_insert(0_u64) += 1;
            // Who views an item buys it: true, strong, and no news.
            if id != Some(thing) {
                strongest.offer(llr, (row, thing));
            }
        }
        items += u32::from(correlators > before);
    }
    let pair = |(llr, (row, thing)): &(f64, (u32, &str))| {
        let item = model.item(*row).unwrap_or_default();
        Object::new().with("item", item).with("thing", *thing).with("llr", real(*llr))
    };
    Object::new()
        .with("name", name)
        .with("correlators", correlators)
        .with("itemsWithCorrelators", items)
        .with("llr", distribution(&bins))
        .with("strongest", strongest.list.iter().map(pair).collect::<Vec<_>>())
}

/// Bins from the lowest to the highest that is not empty: `from` ≤ LLR < `to`.
fn distribution(bins: &BTreeMap<i32, u64>) -> Json {
    let (Some((first, _)), Some((last, _))) = (bins.first_key_value(), bins.last_key_value()) else {
        return Json::Array(Vec::new());
    };
    let described = |bin: i32| {
        let count = bins.get(&bin).copied().unwrap_or(0);
        Object::new().with("from", real(bound(bin))).with("to", real(bound(bin + 1))).with("count", count)
    };
    (*first..=*last).map(described).collect::<Vec<_>>().into()
}

/// The bin that an LLR falls into.
fn bin(llr: f64) -> i32 {
    // No logarithm: not above 0.
    #[expect(clippy::cast_possible_truncation, reason = "a cast to integer saturates, and bins are few")]
    let bin = (llr.max(f64::MIN_POSITIVE).log2() * f64::from(BINS_PER_OCTAVE)).floor() as i32;
    bin.clamp(*BINS.start(), *BINS.end())
}

/// Where a bin begins.
fn bound(bin: i32) -> f64 {
    (f64::from(bin) / f64::from(BINS_PER_OCTAVE)).exp2()
}

fn ranking(model: &Model, name: &str) -> Object {
    let (mut items, mut leading) = (0_u32, Best::new(LEADING));
    for row in 0..model.items() {
        if let Some((_, value)) = model.ranks(row).find(|(ranking, _)| *ranking == name) {
            items += 1;
            leading.offer(f64::from(value), row);
        }
    }
    let lead = |(value, row): &(f64, u32)| {
        Object::new().with("item", model.item(*row).unwrap_or_default()).with("value", real(*value))
    };
    Object::new()
        .with("name", name)
        .with("items", items)
        .with("top", leading.list.iter().map(lead).collect::<Vec<_>>())
}

fn real(value: f64) -> Json {
    Number::real(value).map_or(Json::Null, Json::Number)
}

/// The best few of what was offered, best first; of equals those that came first.
struct Best<T> {
    max: usize,
    list: Vec<(f64, T)>,
}

impl<T> Best<T> {
    fn new(max: usize) -> Self {
        Self { max, list: Vec::with_capacity(max + 1) }
    }

    fn offer(&mut self, value: f64, what: T) {
        let place = self.list.partition_point(|(other, _)| *other >= value);
        if place < self.max {
            self.list.insert(place, (value, what));
            self.list.truncate(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_llr_is_in_the_bin_whose_bounds_enclose_it() {
        for llr in [0.004, 0.5, 1.0, 1.4, 1.5, 5.0, 7.999, 8.0, 8.001, 1e6, 4e9] {
            let bin = bin(llr);
            assert!(bound(bin) <= llr && llr < bound(bin + 1), "{llr}: bin {bin}");
        }
        assert_eq!([bin(0.0), bin(-1.0), bin(f64::NAN)], [*BINS.start(); 3]);
        assert_eq!(bin(f64::INFINITY), *BINS.end());
    }

    #[test]
    fn bins_between_others_are_listed_though_empty() {
        let bins = BTreeMap::from([(bin(4.0), 3), (bin(8.0), 1)]);
        let described = distribution(&bins);
        let counts: Vec<i64> = described.as_array().unwrap().iter().map(count).collect();
        assert_eq!(counts, [3, 0, 1]);
        assert_eq!(distribution(&BTreeMap::new()).to_string(), "[]");
    }

    fn count(bin: &Json) -> i64 {
        bin.get("count").and_then(Json::as_i64).unwrap()
    }

    #[test]
    fn the_best_are_those_of_a_stable_sort() {
        let values: Vec<f64> = (0..100).map(|n| f64::from(n * 37 % 11)).collect();
        let mut best = Best::new(LEADING);
        (0..).zip(&values).for_each(|(place, value)| best.offer(*value, place));
        let mut sorted: Vec<(f64, i32)> = values.iter().copied().zip(0..).collect();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        assert_eq!(best.list, sorted[..LEADING]);
    }
}
