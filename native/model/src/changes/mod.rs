//! What has become of items since a model was made: an addition in memory that a search reads along with the model.

mod field;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use crate::bits::Bits;
use crate::search::shard;
use crate::{Model, PropertyPart};
pub(crate) use field::FieldChanges;
pub(crate) use order::{Kind, Orders};

/// An item as it is now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangedItem {
    /// Id of the item, known to the model or not.
    pub id: String,
    /// JSON text of all its properties; `None` if it has none.
    pub document: Option<String>,
    /// Its value in each ranking of the model, in their order.
    pub ranks: Vec<Option<f32>>,
    /// It is no longer an item: no search finds it.
    pub gone: bool,
}

/// Items that have changed since *one* model was made, new ones included. Immutable: [`with`](Self::with) gives the next.
///
/// The properties of a changed item are those given here and none that the model has; its correlators stay. Rows from
/// the number of the model's items on belong to new items, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct ItemChanges {
    /// By row.
    entries: Vec<(u32, Arc<Entry>)>,
    /// Rows of `entries`.
    changed: Bits,
    /// Rows that no search finds.
    gone: Vec<u32>,
    /// Rows of items that the model does not have.
    new: Arc<BTreeMap<String, u32>>,
    /// One per property of the model, in its order; then, by name, those that the model does not have.
    fields: Vec<Arc<FieldChanges>>,
    /// Set if the model's order of items does not hold.
    orders: Option<Arc<Orders>>,
}

#[derive(Debug)]
struct Entry {
    item: ChangedItem,
    shard: u8,
}

impl ItemChanges {
    /// Nothing has changed.
    pub fn none() -> &'static Self {
        static NONE: LazyLock<ItemChanges> = LazyLock::new(ItemChanges::default);
        &NONE
    }

    /// Number of changed items.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Has nothing changed?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// These changes and then `items`, which replace earlier ones of the same ids; of equal ids the last counts.
    /// `properties` are the fields of `items`, by name, with rows that are indexes into `items`. Always give the same `model`.
    #[must_use]
    pub fn with(&self, model: &Model, items: Vec<ChangedItem>, properties: Vec<PropertyPart>) -> Self {
        let mut next = self.clone();
        let rows: Vec<u32> = items.iter().map(|item| next.row_for(model, &item.id)).collect();
        let touched: Bits = rows.iter().copied().collect();
        let last: BTreeMap<u32, usize> = rows.iter().copied().zip(0..).collect();
        let stays = |index: u32| {
            let row = rows.get(index as usize)?;
            (last.get(row) == Some(&(index as usize))).then_some(*row)
        };
        let newly: Vec<(u32, u8)> = last
            .iter()
            .filter(|(row, _)| **row < model.items() && !self.changed.contains(**row))
            .map(|(row, index)| (*row, items.get(*index).map_or(0, |item| shard(&item.id))))
            .collect();

        let mut entries: BTreeMap<u32, Arc<Entry>> = BTreeMap::new();
        for (row, item) in rows.iter().zip(items) {
            let entry = Entry { shard: shard(&item.id), item };
            entries.insert(*row, Arc::new(entry));
        }
        let reordered = entries.iter().any(|(row, entry)| self.ranks_differ(model, *row, &entry.item));
        next.entries.retain(|(row, _)| !touched.contains(*row));
        next.entries.extend(entries);
        next.entries.sort_unstable_by_key(|(row, _)| *row);
        next.changed = next.entries.iter().map(|(row, _)| *row).collect();
        let gone = next.entries.iter().filter(|(_, entry)| entry.item.gone);
        next.gone = gone.map(|(row, _)| *row).collect();
        next.change_fields(model, &touched, &newly, properties, stays);
        if reordered {
            next.orders = Some(Arc::default());
        }
        next
    }

    /// What is known of these items, in the form that [`with`](Self::with) takes; nothing of items that have not changed.
    pub fn of(&self, model: &Model, items: &BTreeSet<String>) -> (Vec<ChangedItem>, Vec<PropertyPart>) {
        let rows = items.iter().filter_map(|id| model.find(id).or_else(|| self.find(id)));
        let rows: BTreeSet<u32> = rows.filter(|row| self.changed.contains(*row)).collect();
        let places: BTreeMap<u32, u32> = rows.iter().copied().zip(0..).collect();
        let items = rows.iter().filter_map(|row| self.item(*row).cloned()).collect();
        let parts = self.fields.iter().map(|field| field.part(&places));
        (items, parts.filter(|part| !part.is_empty()).collect())
    }

    /// The row of an item, which gets one if it is new.
    fn row_for(&mut self, model: &Model, id: &str) -> u32 {
        if let Some(row) = model.find(id).or_else(|| self.find(id)) {
            return row;
        }
        let row = model.items().saturating_add(u32::try_from(self.new.len()).unwrap_or(u32::MAX));
        Arc::make_mut(&mut self.new).insert(id.to_owned(), row);
        row
    }

    /// Does the order of items known so far not hold for this item?
    fn ranks_differ(&self, model: &Model, row: u32, item: &ChangedItem) -> bool {
        match self.entry(row) {
            Some(before) => before.item.ranks != item.ranks,
            None if row >= model.items() => true,
            None => !(0..).zip(&item.ranks).all(|(ranking, rank)| model.rank(ranking, row) == *rank),
        }
    }

    fn change_fields(
        &mut self,
        model: &Model,
        touched: &Bits,
        newly: &[(u32, u8)],
        properties: Vec<PropertyPart>,
        row_of: impl Fn(u32) -> Option<u32>,
    ) {
        let mut parts: BTreeMap<String, PropertyPart> =
            properties.into_iter().map(|part| (part.name.clone(), part)).collect();
        let mut fields = std::mem::take(&mut self.fields);
        let of_model = model.property_fields();
        if fields.is_empty() {
            fields = of_model.iter().map(|field| Arc::new(FieldChanges::new(&field.name))).collect();
        }
        let mut others = fields.split_off(of_model.len());
        for ((field, described), _) in fields.iter_mut().zip(model.described()).zip(of_model) {
            let part = parts.remove(&field.name);
            let hides = newly.iter().filter(|(row, _)| described.contains(*row)).map(|(_, shard)| *shard);
            FieldChanges::change(field, touched, part, &row_of, |row| self.shard(row));
            FieldChanges::hide(field, hides);
        }
        for field in &mut others {
            let part = parts.remove(&field.name);
            FieldChanges::change(field, touched, part, &row_of, |row| self.shard(row));
        }
        for (name, part) in parts {
            let mut field = Arc::new(FieldChanges::new(&name));
            FieldChanges::change(&mut field, touched, Some(part), &row_of, |row| self.shard(row));
            others.push(field);
        }
        others.retain(|field| field.is_used());
        others.sort_by(|a, b| a.name.cmp(&b.name));
        fields.extend(others);
        self.fields = fields;
    }

    fn entry(&self, row: u32) -> Option<&Entry> {
        if !self.changed.contains(row) {
            return None;
        }
        let at = self.entries.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        self.entries.get(at).map(|(_, entry)| entry.as_ref())
    }

    /// The item at a row, if it has changed.
    pub(crate) fn item(&self, row: u32) -> Option<&ChangedItem> {
        self.entry(row).map(|entry| &entry.item)
    }

    /// Shard of a changed item.
    pub(crate) fn shard(&self, row: u32) -> Option<u8> {
        self.entry(row).map(|entry| entry.shard)
    }

    /// Row of a new item.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.new.get(id).copied()
    }

    /// Number of new items.
    pub(crate) fn added(&self) -> u32 {
        u32::try_from(self.new.len()).unwrap_or(u32::MAX)
    }

    /// Rows that have changed.
    pub(crate) fn rows(&self) -> &Bits {
        &self.changed
    }

    /// Changed rows, ascending.
    pub(crate) fn each_row(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().map(|(row, _)| *row)
    }

    /// Rows of items that are none any more.
    pub(crate) fn gone(&self) -> &[u32] {
        &self.gone
    }

    /// The changes of a property: those of the model come first, in its order.
    pub(crate) fn field(&self, index: usize) -> Option<&FieldChanges> {
        self.fields.get(index).map(Arc::as_ref)
    }

    /// Index of a property that the model, with `of_model` properties, does not have.
    pub(crate) fn other_field(&self, of_model: usize, name: &str) -> Option<usize> {
        let others = self.fields.get(of_model..)?;
        let at = others.binary_search_by(|field| field.name.as_str().cmp(name)).ok()?;
        Some(of_model + at)
    }

    pub(crate) fn orders(&self) -> Option<&Orders> {
        self.orders.as_deref()
    }
}
