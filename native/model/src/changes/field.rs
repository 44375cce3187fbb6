//! The values of one property in the items that have changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::PropertyPart;
use crate::bits::Bits;
use crate::search::SHARDS;

/// What takes the place of the model's values for changed items.
#[derive(Debug, Clone)]
pub(crate) struct FieldChanges {
    pub(crate) name: String,
    /// By text, then row; each pair once.
    keywords: Vec<(Arc<str>, u32)>,
    /// By row.
    pub(crate) numbers: Vec<(u32, f64)>,
    /// By row.
    pub(crate) dates: Vec<(u32, i64)>,
    /// By shard: changed items that have a value now.
    shown: [u32; SHARDS],
    /// By shard: changed items that have a value in the model.
    hidden: [u32; SHARDS],
}

impl FieldChanges {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            keywords: Vec::new(),
            numbers: Vec::new(),
            dates: Vec::new(),
            shown: [0; SHARDS],
            hidden: [0; SHARDS],
        }
    }

    /// Does any item have a value?
    pub(super) fn is_used(&self) -> bool {
        !(self.keywords.is_empty() && self.numbers.is_empty() && self.dates.is_empty())
    }

    fn has_any(&self, rows: &Bits) -> bool {
        self.keywords.iter().any(|(_, row)| rows.contains(*row))
            || self.numbers.iter().any(|(row, _)| rows.contains(*row))
            || self.dates.iter().any(|(row, _)| rows.contains(*row))
    }

    /// Takes away what the `touched` rows had, and adds `part` in their place: its rows are translated by `row_of`, and
    /// left out where that is `None`. A field that stays as it was is not copied.
    pub(super) fn change(
        field: &mut Arc<Self>,
        touched: &Bits,
        part: Option<PropertyPart>,
        row_of: impl Fn(u32) -> Option<u32>,
        shard: impl Fn(u32) -> Option<u8>,
    ) {
        if part.is_none() && !field.has_any(touched) {
            return;
        }
        let next = Arc::make_mut(field);
        next.keywords.retain(|(_, row)| !touched.contains(*row));
        next.numbers.retain(|(row, _)| !touched.contains(*row));
        next.dates.retain(|(row, _)| !touched.contains(*row));
        if let Some(part) = part {
            let PropertyPart { keywords, numbers, dates, .. } = part;
            let keywords = keywords.into_iter().filter_map(|(row, text)| Some((text.into(), row_of(row)?)));
            next.keywords.extend(keywords);
            next.numbers.extend(numbers.into_iter().filter_map(|(row, value)| Some((row_of(row)?, value))));
            next.dates.extend(dates.into_iter().filter_map(|(row, value)| Some((row_of(row)?, value))));
        }
        // Nearly sorted already, which these sorts notice.
        next.keywords.sort();
        next.keywords.dedup();
        next.numbers.sort_by_key(|(row, _)| *row);
        next.dates.sort_by_key(|(row, _)| *row);
        let rows: Bits = next.keywords.iter().map(|(_, row)| *row).collect();
        next.shown = [0; SHARDS];
        for shard in rows.iter().filter_map(shard) {
            count(&mut next.shown, shard);
        }
    }

    /// The values of the rows in `places`, which are translated.
    pub(super) fn part(&self, places: &BTreeMap<u32, u32>) -> PropertyPart {
        let place = |row: &u32| places.get(row).copied();
        let keywords = self.keywords.iter().filter_map(|(text, row)| Some((place(row)?, text.to_string())));
        PropertyPart {
            name: self.name.clone(),
            keywords: keywords.collect(),
            numbers: self.numbers.iter().filter_map(|(row, value)| Some((place(row)?, *value))).collect(),
            dates: self.dates.iter().filter_map(|(row, value)| Some((place(row)?, *value))).collect(),
        }
    }

    /// More changed items, by their shards, have a value in the model.
    pub(super) fn hide(field: &mut Arc<Self>, shards: impl Iterator<Item = u8>) {
        for shard in shards {
            count(&mut Arc::make_mut(field).hidden, shard);
        }
    }

    /// Changed items that have the value, ascending by row.
    pub(crate) fn with_value(&self, value: &str) -> &[(Arc<str>, u32)] {
        let start = self.keywords.partition_point(|(text, _)| **text < *value);
        let rest = self.keywords.get(start..).unwrap_or_default();
        let len = rest.partition_point(|(text, _)| **text == *value);
        rest.get(..len).unwrap_or_default()
    }

    /// Items with a value by shard, if the model has `documents`.
    pub(crate) fn documents_by_shard(&self, documents: [u32; SHARDS]) -> [u32; SHARDS] {
        let sum = |shard: usize| (documents[shard] + self.shown[shard]).saturating_sub(self.hidden[shard]);
        std::array::from_fn(sum)
    }

    /// Items with a value, if the model has `documents`.
    pub(crate) fn documents(&self, documents: u32) -> u32 {
        let sum = |shards: [u32; SHARDS]| shards.into_iter().sum::<u32>();
        (documents + sum(self.shown)).saturating_sub(sum(self.hidden))
    }
}

fn count(shards: &mut [u32; SHARDS], shard: u8) {
    if let Some(count) = shards.get_mut(usize::from(shard)) {
        *count += 1;
    }
}
