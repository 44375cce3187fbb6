//! A model together with what has changed since: what a search reads.

use crate::changes::ItemChanges;
use crate::format::FieldAt;
use crate::search::Shards;
use crate::{DictionaryView, Model};

/// A model and the changes of its items. A query takes one from beginning to end.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub(crate) model: &'a Model,
    pub(crate) changes: &'a ItemChanges,
}

impl<'a> From<&'a Model> for View<'a> {
    /// The model as it was made.
    fn from(model: &'a Model) -> Self {
        Self { model, changes: ItemChanges::none() }
    }
}

impl<'a> View<'a> {
    /// `changes` must have been made for this `model`.
    pub fn new(model: &'a Model, changes: &'a ItemChanges) -> Self {
        Self { model, changes }
    }

    /// The model, which correlators come from.
    pub fn model(self) -> &'a Model {
        self.model
    }

    /// Number of rows: items of the model, then new ones.
    pub fn items(self) -> u32 {
        self.model.items().saturating_add(self.changes.added())
    }

    /// Id of an item; `None` beyond the last row.
    pub fn item(self, row: u32) -> Option<&'a str> {
        self.model.item(row).or_else(|| self.changes.item(row).map(|item| item.id.as_str()))
    }

    /// Row of an item.
    pub fn find(self, id: &str) -> Option<u32> {
        self.model.find(id).or_else(|| self.changes.find(id))
    }

    /// JSON text of an item's properties; `None` if it has none.
    pub fn document(self, row: u32) -> Option<&'a str> {
        match self.changes.item(row) {
            Some(item) => item.document.as_deref(),
            None => self.model.document(row),
        }
    }

    /// Every ranking in which the item has a value, in sort order.
    pub fn ranks(self, row: u32) -> impl Iterator<Item = (&'a str, f32)> {
        (0..)
            .zip(self.model.rankings())
            .filter_map(move |(ranking, name)| Some((name, self.rank(ranking, row)?)))
    }

    /// Value of the ranking with this index, if the item has one. One zero, as in a snapshot.
    pub(crate) fn rank(self, ranking: usize, row: u32) -> Option<f32> {
        match self.changes.item(row) {
            Some(item) => item
                .ranks
                .get(ranking)
                .copied()
                .flatten()
                .filter(|rank| !rank.is_nan())
                .map(|rank| rank + 0.0),
            None => self.model.rank(ranking, row),
        }
    }

    /// Does a changed item stand elsewhere in an order than the model says?
    pub(crate) fn is_moved(self, row: u32) -> bool {
        let rankings = self.model.rankings().count();
        let ranks_differ =
            || (0..rankings).any(|ranking| self.rank(ranking, row) != self.model.rank(ranking, row));
        row >= self.model.items() || ranks_differ()
    }

    /// Shard of an item.
    pub(crate) fn shard(self, row: u32) -> u8 {
        let shards: &Shards = self.model.shards();
        shards.of(row).or_else(|| self.changes.shard(row)).unwrap_or_default()
    }

    /// Index of a field: indicators, properties of the model, properties that only changed items have.
    pub(crate) fn field(self, name: &str) -> Option<usize> {
        self.model.indicators().position(|indicator| indicator == name).or_else(|| self.property(name))
    }

    /// Index of a property, even if an indicator has the same name.
    pub(crate) fn property(self, name: &str) -> Option<usize> {
        let properties = self.model.property_fields();
        let of_model = properties.binary_search_by(|field| field.name.as_str().cmp(name)).ok();
        let index = of_model.or_else(|| self.changes.other_field(properties.len(), name))?;
        Some(index + self.model.indicator_count())
    }

    /// Name of the field with an index.
    pub(crate) fn field_name(self, field: usize) -> &'a str {
        match self.model.fields().get(field) {
            Some(at) => &at.name,
            None => self.field_changes(field).map_or("", |field| field.name.as_str()),
        }
    }

    /// The field as the model has it.
    pub(crate) fn model_field(self, field: usize) -> Option<&'a FieldAt> {
        self.model.fields().get(field)
    }

    /// The changes of a field, if it is a property and anything has changed.
    pub(crate) fn field_changes(self, field: usize) -> Option<&'a crate::changes::FieldChanges> {
        self.changes.field(field.checked_sub(self.model.indicator_count())?)
    }

    /// Values that a field has in the model.
    pub(crate) fn values(self, field: usize) -> Option<DictionaryView<'a>> {
        self.model_field(field).map(|at| at.values(self.model.as_bytes()))
    }
}
