//! What has become of items since a model was trained: `$set`, `$unset` and `$delete` count without another train.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use events::json::Object;
use events::properties::{EntityProperties, PropertyFold};
use events::{Changes, EventFilter, EventRef, EventStore, Position, Scope};
use model::{ChangedItem, ItemChanges, Model, View};

use crate::config::RankingKind;
use crate::items::{self, ITEM, ItemFields};
use crate::{EngineConfig, Result, ranking};

/// Follows the items of one scope for one model. An item is always the fold of all of its special events, so it does not
/// matter in which order they arrive, and it is what training would make of it.
pub struct LiveItems {
    config: EngineConfig,
    events: Arc<dyn EventStore>,
    scope: Scope,
    /// All changes up to here are in `changes`.
    seen: Position,
    changes: Arc<ItemChanges>,
    /// Items that changed since somebody asked.
    told: BTreeSet<String>,
}

/// An item and its properties, if it has any.
type Item = (String, Option<Object>);

impl LiveItems {
    /// For a model whose training read a state of the store at or after `position`. Nothing is read yet. If the position is
    /// not known, the first [`advance`](Self::advance) compares all items with the model.
    pub fn new(
        config: EngineConfig,
        events: Arc<dyn EventStore>,
        scope: Scope,
        position: Option<Position>,
    ) -> Self {
        let changes = Arc::new(ItemChanges::none().clone());
        Self { config, events, scope, seen: position.unwrap_or_default(), changes, told: BTreeSet::new() }
    }

    /// What changed, as far as it was read.
    pub fn changes(&self) -> &Arc<ItemChanges> {
        &self.changes
    }

    /// Items that have changed since this was asked last, for who tells another index of them.
    pub fn take_changed(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.told)
    }

    /// Reads what is new; gives whether that makes a difference. Little work if nothing happened. Always give the same `model`.
    ///
    /// # Errors
    /// Whatever the store reports; then nothing has changed here, and a repetition begins at the same place.
    pub fn advance(&mut self, model: &Model) -> Result<bool> {
        let mut named = BTreeSet::new();
        let mut name = |kind: &str, id: &str| {
            if kind == ITEM {
                named.insert(id.to_owned());
            }
        };
        let Changes { now, complete } = self.events.changes(self.scope, self.seen, &mut name)?;
        let (known, items) = if complete {
            let items = named.into_iter().map(|id| self.read(id)).collect::<Result<Vec<_>>>()?;
            (Arc::clone(&self.changes), items)
        } else {
            (Arc::new(ItemChanges::none().clone()), self.read_all(model)?)
        };
        let view = View::new(model, &known);
        let document = |id: &str| view.find(id).and_then(|row| view.document(row));
        let differs =
            |(id, properties): &Item| properties.as_ref().map(Object::to_string).as_deref() != document(id);
        let items: Vec<Item> = items.into_iter().filter(differs).collect();
        self.seen = now;
        if items.is_empty() && complete {
            return Ok(false);
        }
        self.told.extend(items.iter().map(|(id, _)| id.clone()));
        self.changes = Arc::new(changed(&self.config, model, &known, items));
        Ok(true)
    }

    /// The item as its events have it now.
    fn read(&self, id: String) -> Result<Item> {
        let filter = EventFilter {
            entity_type: Some(ITEM.to_owned()),
            entity_id: Some(id.clone()),
            ..EventFilter::default()
        };
        let found = fold(|visit| self.events.find(self.scope, &filter, visit))?;
        Ok((id, found.into_iter().next().map(|item| item.properties)))
    }

    /// All items that the store or the model knows properties of.
    fn read_all(&self, model: &Model) -> Result<Vec<Item>> {
        let found = fold(|visit| self.events.scan(self.scope, visit))?;
        let described: BTreeSet<&str> = found.iter().map(|item| item.id.as_str()).collect();
        let forgotten = (0..model.items()).filter(|row| model.document(*row).is_some());
        let forgotten = forgotten.filter_map(|row| model.item(row)).filter(|id| !described.contains(id));
        let mut items: Vec<Item> = forgotten.map(|id| (id.to_owned(), None)).collect();
        drop(described);
        items.extend(found.into_iter().map(|item| (item.id, Some(item.properties))));
        Ok(items)
    }
}

/// Folds the events that `visit_all` visits.
fn fold(visit_all: impl FnOnce(events::Visit<'_>) -> events::Result<()>) -> Result<Vec<EntityProperties>> {
    let mut fold = PropertyFold::new();
    let mut failure = None;
    visit_all(&mut |event: &EventRef<'_>| match items::describe(&mut fold, event) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failure.map_or_else(|| Ok(fold.finish()), |error| Err(error.into()))
}

/// The changes known so far and `items`.
fn changed(config: &EngineConfig, model: &Model, known: &ItemChanges, items: Vec<Item>) -> ItemChanges {
    let mut fields = ItemFields::new(config);
    let mut changed = Vec::with_capacity(items.len());
    for (index, (id, properties)) in (0..).zip(items) {
        if let Some(properties) = &properties {
            fields.push(index, properties);
        }
        let row = model.find(&id);
        changed.push(ChangedItem {
            document: properties.as_ref().map(Object::to_string),
            ranks: ranks(config, model, row, &id, properties.as_ref()),
            gone: properties.is_none() && !row.is_some_and(|row| has_evidence(config, model, row)),
            id,
        });
    }
    // What the fields leave out, training reports.
    known.with(model, changed, fields.finish().0)
}

/// The item's values in the rankings of the model: those that rest on its properties as they are now, counts as trained.
fn ranks(
    config: &EngineConfig,
    model: &Model,
    row: Option<u32>,
    id: &str,
    properties: Option<&Object>,
) -> Vec<Option<f32>> {
    let trained = |name: &str| {
        let rank = |row| model.ranks(row).find(|(ranking, _)| *ranking == name).map(|(_, rank)| rank);
        row.and_then(rank)
    };
    let now = |name: &str| {
        let configured = config.rankings.iter().find(|ranking| ranking.name == name);
        match (configured.map(|ranking| ranking.kind), configured, properties) {
            (Some(RankingKind::UserDefined), Some(ranking), _) => {
                properties.and_then(|properties| items::user_defined(ranking, properties))
            }
            (Some(RankingKind::Random), _, Some(_)) => Some(ranking::random(config.seed, name, id)),
            _ => trained(name),
        }
    };
    model.rankings().map(now).collect()
}

/// Would the item be in the model without its properties? It is if people chose it.
fn has_evidence(config: &EngineConfig, model: &Model, row: u32) -> bool {
    let counted = |name: &str| {
        let counts = |kind| !matches!(kind, RankingKind::UserDefined | RankingKind::Random);
        config.rankings.iter().any(|ranking| ranking.name == name && counts(ranking.kind))
    };
    model.item(row).is_some_and(|id| model.is_primary_thing(id))
        || model.indicators().any(|name| model.correlators(name, row).next().is_some())
        || model.ranks(row).any(|(name, _)| counted(name))
}
