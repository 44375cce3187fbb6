//! An opened snapshot: what an item is, and what belongs to it.

use std::path::Path;
use std::sync::OnceLock;

use crate::array::Array;
use crate::bits::Bits;
use crate::error::Result;
use crate::format::{Bytes, FieldAt, Layout, read};
use crate::search::Shards;
use crate::{DictionaryView, Explanation, Hit, SearchPlan, View};

/// An immutable snapshot of correlators, properties and rankings, mapped from its file. Everything in it was checked when
/// it was opened, so nothing below fails. Items go by row: 0, 1, 2… in byte order of their ids.
///
/// Shared between threads as it is; each thread that searches keeps about 13 bytes per item of working memory.
#[derive(Debug)]
pub struct Model {
    bytes: Bytes,
    layout: Layout,
    shards: OnceLock<Shards>,
    described: OnceLock<Vec<Bits>>,
}

/// Sizes of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Users that the correlators were counted over.
    pub users: u32,
    /// Items, with or without correlators.
    pub items: u32,
    /// Correlators over all indicators.
    pub correlators: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Model {
    /// Maps and checks a snapshot file. Reads it once: some gigabytes a second.
    ///
    /// # Errors
    /// `Io`; `Version` for a format that this program does not read; `Corrupt` for anything else that is not as written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Bytes::map(path).and_then(Self::new).map_err(|error| error.at(path.display()))
    }

    /// A snapshot in memory.
    ///
    /// # Errors
    /// As [`open`](Self::open), without `Io`.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::new(Bytes::Owned(bytes))
    }

    fn new(bytes: Bytes) -> Result<Self> {
        let layout = read(bytes.as_ref())?;
        Ok(Self { bytes, layout, shards: OnceLock::new(), described: OnceLock::new() })
    }

    /// The snapshot as in its file.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Sizes.
    pub fn counts(&self) -> Counts {
        let correlators = |field: &FieldAt| field.postings(self.as_bytes()).rows.len() as u64;
        Counts {
            users: self.layout.users,
            items: self.layout.items,
            correlators: self.indicator_fields().map(correlators).sum(),
            bytes: self.as_bytes().len() as u64,
        }
    }

    /// Number of items.
    pub fn items(&self) -> u32 {
        self.layout.items
    }

    /// Item ids in the order of rows.
    pub fn ids(&self) -> DictionaryView<'_> {
        self.layout.ids.view(self.as_bytes())
    }

    /// Id of an item; `None` beyond the last row.
    pub fn item(&self, row: u32) -> Option<&str> {
        (row < self.items()).then(|| self.ids().get(row))
    }

    /// Row of an item.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.ids().find(id)
    }

    /// Names of the indicators, the primary first.
    pub fn indicators(&self) -> impl Iterator<Item = &str> {
        self.indicator_fields().map(|field| field.name.as_str())
    }

    /// Correlators of an item under an indicator with their LLR, strongest first. None for an unknown indicator or row.
    pub fn correlators(&self, indicator: &str, row: u32) -> impl Iterator<Item = (&str, f64)> {
        let field = self.indicator_fields().find(|field| field.name == indicator);
        field.into_iter().flat_map(move |field| {
            let things = field.values(self.as_bytes());
            field.correlators(self.as_bytes(), row).map(move |(thing, llr)| (things.get(thing), llr))
        })
    }

    /// JSON text of an item's properties; `None` if it has none.
    pub fn document(&self, row: u32) -> Option<&str> {
        Some(self.layout.documents.view(self.as_bytes()).get(row)).filter(|text| !text.is_empty())
    }

    /// Names of the rankings in sort order.
    pub fn rankings(&self) -> impl Iterator<Item = &str> {
        self.layout.rankings.iter().map(|(name, _)| name.as_str())
    }

    /// Every ranking in which the item has a value, in sort order.
    pub fn ranks(&self, row: u32) -> impl Iterator<Item = (&str, f32)> {
        (0..).zip(self.rankings()).filter_map(move |(ranking, name)| Some((name, self.rank(ranking, row)?)))
    }

    /// Value of the ranking with this index, if the item has one.
    pub(crate) fn rank(&self, ranking: usize, row: u32) -> Option<f32> {
        let (_, span) = self.layout.rankings.get(ranking)?;
        let ranks = Array::<f32>::new(self.as_bytes().get(span.clone())?);
        ranks.get(row as usize).filter(|rank| !rank.is_nan())
    }

    /// Do the rankings leave the order of two items open?
    pub(crate) fn same_ranks(&self, a: u32, b: u32) -> bool {
        (0..self.layout.rankings.len()).all(|ranking| self.rank(ranking, a) == self.rank(ranking, b))
    }

    /// Item rows, best ranked first; equally ranked by row.
    pub(crate) fn order(&self) -> Array<'_, u32> {
        Array::new(self.as_bytes().get(self.layout.order.clone()).unwrap_or_default())
    }

    /// Place of each item in [`order`](Self::order).
    pub(crate) fn positions(&self) -> Array<'_, u32> {
        Array::new(self.as_bytes().get(self.layout.positions.clone()).unwrap_or_default())
    }

    /// Indicators, then properties.
    pub(crate) fn fields(&self) -> &[FieldAt] {
        &self.layout.fields
    }

    fn indicator_fields(&self) -> impl Iterator<Item = &FieldAt> {
        self.layout.fields.iter().take(self.layout.indicators)
    }

    /// Number of indicators.
    pub(crate) fn indicator_count(&self) -> usize {
        self.layout.indicators
    }

    /// The properties, by name.
    pub(crate) fn property_fields(&self) -> &[FieldAt] {
        self.layout.fields.get(self.layout.indicators..).unwrap_or_default()
    }

    /// Names of the properties that items have values of, sorted.
    pub fn properties(&self) -> impl Iterator<Item = &str> {
        self.property_fields().iter().map(|field| field.name.as_str())
    }

    /// Every (item row, text) of a property, by text. None for an unknown property.
    pub fn keywords(&self, property: &str) -> impl Iterator<Item = (u32, &str)> {
        self.property(property).into_iter().flat_map(move |field| {
            let (values, postings) = (field.values(self.as_bytes()), field.postings(self.as_bytes()));
            (0..)
                .zip(values.iter())
                .flat_map(move |(value, text)| postings.of(value).iter().map(move |row| (row, text)))
        })
    }

    /// Every (item row, number) of a property, by row. None for an unknown property.
    pub fn numbers(&self, property: &str) -> impl Iterator<Item = (u32, f64)> {
        self.property(property).into_iter().flat_map(|field| field.numbers(self.as_bytes()).iter())
    }

    /// Every (item row, date in ms since 1970) of a property, by row. None for an unknown property.
    pub fn dates(&self, property: &str) -> impl Iterator<Item = (u32, i64)> {
        self.property(property).into_iter().flat_map(|field| field.dates(self.as_bytes()).iter())
    }

    fn property(&self, name: &str) -> Option<&FieldAt> {
        let properties = self.property_fields();
        let at = properties.binary_search_by(|field| field.name.as_str().cmp(name)).ok()?;
        properties.get(at)
    }

    /// Per property: items that have a value.
    pub(crate) fn described(&self) -> &[Bits] {
        let rows = |field: &FieldAt| field.postings(self.as_bytes()).rows.iter().collect();
        self.described.get_or_init(|| self.property_fields().iter().map(rows).collect())
    }

    /// Is it a thing of the primary indicator, though it may have no correlators?
    pub fn is_primary_thing(&self, id: &str) -> bool {
        let primary = self.indicator_fields().next();
        primary.is_some_and(|field| field.values(self.as_bytes()).find(id).is_some())
    }

    pub(crate) fn shards(&self) -> &Shards {
        self.shards.get_or_init(|| Shards::new(self))
    }

    /// [`View::search`] in the model as it was made.
    pub fn search(&self, plan: &SearchPlan) -> Vec<Hit> {
        View::from(self).search(plan)
    }

    /// [`View::explain`] in the model as it was made.
    pub fn explain(&self, plan: &SearchPlan, row: u32) -> Explanation {
        View::from(self).explain(plan, row)
    }
}
