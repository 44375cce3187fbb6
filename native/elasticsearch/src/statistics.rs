//! How many items have a value, and how many any value of the field: what weights are made of.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use events::json::Object;
use events::{Json, Result};
use model::Scoring;

use crate::Index;
use crate::mapping::Holder;

/// Shards that [`Scoring::Es5Compat`] counts by.
pub(crate) const SHARDS: usize = 5;
/// Counts that one request asks for.
const BATCH: usize = 500;
/// Counts that are remembered at most.
const REMEMBERED: usize = 200_000;

/// What is counted: a value of a field, or, without one, any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted {
    pub(crate) holder: Holder,
    pub(crate) field: String,
    /// As it is indexed.
    pub(crate) value: Option<String>,
}

impl Counted {
    fn condition(&self) -> Object {
        let path = self.holder.path(&self.field);
        match &self.value {
            Some(value) => Object::new().with("term", Object::new().with(path, value.as_str())),
            None => Object::new().with("exists", Object::new().with("field", path)),
        }
    }
}

/// Items by shard of [`Scoring::Es5Compat`]; for [`Scoring::Global`] all of them first.
pub(crate) type Counts = [u32; SHARDS];

/// Counts of indicators, which never change in an index, by whether they are by shard.
#[derive(Debug, Default)]
pub(crate) struct Cache(BTreeMap<(bool, Counted), Counts>);

impl Index {
    /// Counts what is `wanted`: indicators once, properties each time, since items change.
    pub(crate) fn counts(&self, wanted: Vec<Counted>, scoring: Scoring) -> Result<BTreeMap<Counted, Counts>> {
        let by_shard = scoring == Scoring::Es5Compat;
        let mut counts = BTreeMap::new();
        let mut missing = Vec::new();
        {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            for counted in wanted {
                let key = (by_shard, counted);
                match cache.0.get(&key) {
                    Some(known) => drop(counts.insert(key.1, *known)),
                    None => missing.push(key.1),
                }
            }
        }
        for batch in missing.chunks(BATCH) {
            let answered = self.ask_counts(batch, by_shard)?;
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.0.len() > REMEMBERED {
                cache.0.clear();
            }
            for (counted, count) in batch.iter().zip(answered) {
                if counted.holder == Holder::Indicator {
                    cache.0.insert((by_shard, counted.clone()), count);
                }
                counts.insert(counted.clone(), count);
            }
        }
        Ok(counts)
    }

    fn ask_counts(&self, wanted: &[Counted], by_shard: bool) -> Result<Vec<Counts>> {
        let conditions: Vec<Json> = wanted.iter().map(|counted| counted.condition().into()).collect();
        let mut count = Object::new().with("filters", Object::new().with("filters", Json::Array(conditions)));
        if by_shard {
            let terms = Object::new().with("field", "shard").with("size", 5);
            count.push("aggs", Object::new().with("shards", Object::new().with("terms", terms)));
        }
        let body = Object::new()
            .with("size", 0)
            .with("track_total_hits", false)
            .with("aggs", Object::new().with("counts", count));
        let json = self.search_for(&body.to_string(), &format!("count values in {}", self.name))?;
        let buckets =
            json.get("aggregations").and_then(|aggs| aggs.get("counts")?.get("buckets")?.as_array());
        let buckets = buckets.unwrap_or_default().iter();
        let counts =
            buckets.map(|bucket| if by_shard { shards(bucket) } else { [number(bucket), 0, 0, 0, 0] });
        Ok(counts.chain(std::iter::repeat([0; SHARDS])).take(wanted.len()).collect())
    }
}

fn number(bucket: &Json) -> u32 {
    let count = bucket.get("doc_count").and_then(Json::as_i64).unwrap_or(0);
    u32::try_from(count).unwrap_or(0)
}

fn shards(bucket: &Json) -> Counts {
    let mut counts = [0; SHARDS];
    let buckets = bucket.get("shards").and_then(|shards| shards.get("buckets")?.as_array());
    for bucket in buckets.unwrap_or_default() {
        let shard = bucket.get("key").and_then(Json::as_i64).and_then(|key| usize::try_from(key).ok());
        if let Some(count) = shard.and_then(|shard| counts.get_mut(shard)) {
            *count = number(bucket);
        }
    }
    counts
}
