//! The fold of `$set`, `$unset` and `$delete` into the current properties of entities.
//!
//! The special events of an entity, ordered by (event time in ms, `$set` < `$unset` < `$delete`, creation time, event
//! id), are applied one after the other to a state that begins as *absent*: `$set` creates the entity and replaces
//! values by key, `$unset` removes keys, `$delete` makes it absent again. What results depends on the events alone:
//! [`PropertyFold`] takes them in any order and keeps only what may still count.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::json::{Json, Object};
use crate::{Event, EventRef, EventTime, Result};

/// An entity with its current properties.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityProperties {
    /// Id of the entity.
    pub id: String,
    /// Sorted by key; may be empty.
    pub properties: Object,
    /// Event time of the earliest special event, also if before a `$delete`; ms since 1970.
    pub first_updated: i64,
    /// Event time of the latest special event; ms since 1970.
    pub last_updated: i64,
}

/// Collects the special events of entities of *one* type. Other events are ignored.
#[derive(Debug, Default)]
pub struct PropertyFold {
    entities: BTreeMap<Box<str>, State>,
}

/// Place of an event in the order of the fold.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    event_time: i64,
    change: Change,
    creation_time: i64,
    event_id: Box<str>,
}

/// In the order in which simultaneous changes apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Set,
    Unset,
    Delete,
}

#[derive(Debug)]
struct State {
    first_updated: i64,
    last_updated: i64,
    last_set: Option<Arc<Stamp>>,
    last_delete: Option<Arc<Stamp>>,
    /// What was done to keys: compacted up to `compact`, the newest appended behind.
    writes: Vec<Write>,
    compact: usize,
}

/// The value that a key got, or `None` if it was unset.
#[derive(Debug)]
struct Write {
    key: Box<str>,
    stamp: Arc<Stamp>,
    value: Option<Json>,
}

impl PropertyFold {
    /// Nothing collected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event as a store lends it. `Kind::Corrupt` if its properties are no JSON object.
    pub fn push(&mut self, event: &EventRef<'_>) -> Result<()> {
        let Some(change) = Change::of(event.event) else { return Ok(()) };
        let properties = match change {
            Change::Delete => Object::new(),
            _ => event.parse_properties()?,
        };
        let stamp = Stamp {
            event_time: event.event_time.millis,
            change,
            creation_time: event.creation_time.millis,
            event_id: event.event_id.into(),
        };
        self.apply(event.entity_id, stamp, properties);
        Ok(())
    }

    /// Takes an owned event. Events without an id count as having the smallest.
    pub fn push_event(&mut self, event: &Event) {
        let Some(change) = Change::of(&event.event) else { return };
        let stamp = Stamp {
            event_time: event.event_time.millis,
            change,
            creation_time: event.creation_time.millis,
            event_id: event.event_id.as_deref().unwrap_or_default().into(),
        };
        self.apply(&event.entity.id, stamp, event.properties.clone());
    }

    /// The entities that exist, sorted by id.
    pub fn finish(self) -> Vec<EntityProperties> {
        self.entities.into_iter().filter_map(|(id, state)| state.finish(id)).collect()
    }

    /// Visits special events, not many more than keys with a value, that fold to the same state as all that were taken: for
    /// another fold of entities of this type. Their ids and times are those of the events they stand for.
    pub fn into_events(self, mut visit: impl FnMut(&EventRef<'_>)) {
        for (id, state) in self.entities {
            state.into_events(&id, &mut visit);
        }
    }

    fn apply(&mut self, entity_id: &str, stamp: Stamp, properties: Object) {
        match self.entities.get_mut(entity_id) {
            Some(state) => state.apply(stamp, properties),
            None => {
                let mut state = State::new(stamp.event_time);
                state.apply(stamp, properties);
                self.entities.insert(entity_id.into(), state);
            }
        }
    }
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Set => "$set",
            Self::Unset => "$unset",
            Self::Delete => "$delete",
        }
    }

    fn of(event: &str) -> Option<Self> {
        match event {
            "$set" => Some(Change::Set),
            "$unset" => Some(Change::Unset),
            "$delete" => Some(Change::Delete),
            _ => None,
        }
    }
}

impl State {
    fn new(event_time: i64) -> Self {
        Self {
            first_updated: event_time,
            last_updated: event_time,
            last_set: None,
            last_delete: None,
            writes: Vec::new(),
            compact: 0,
        }
    }

    fn apply(&mut self, stamp: Stamp, properties: Object) {
        self.first_updated = self.first_updated.min(stamp.event_time);
        self.last_updated = self.last_updated.max(stamp.event_time);
        let stamp = Arc::new(stamp);
        let is_set = match stamp.change {
            Change::Delete => {
                self.last_delete = self.last_delete.take().max(Some(stamp));
                return;
            }
            Change::Set => {
                self.last_set = self.last_set.take().max(Some(Arc::clone(&stamp)));
                true
            }
            Change::Unset => false,
        };
        if self.last_delete.as_ref().is_some_and(|delete| *delete > stamp) {
            return;
        }
        self.writes.extend(properties.into_iter().map(|(key, value)| Write {
            key: key.into_boxed_str(),
            stamp: Arc::clone(&stamp),
            value: is_set.then_some(value),
        }));
        // Doubling before each compaction keeps the cost of sorting O(log n) per write.
        if self.writes.len() > 2 * self.compact + 8 {
            self.compact();
        }
    }

    /// Leaves the newest write of each key, sorted by key, and none from before the last `$delete`.
    fn compact(&mut self) {
        // Stable, so that of equal keys in one event the last wins.
        self.writes.sort_by(|a, b| (&a.key, &a.stamp).cmp(&(&b.key, &b.stamp)));
        self.writes.dedup_by(|later, earlier| {
            let same = later.key == earlier.key;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        if let Some(delete) = &self.last_delete {
            self.writes.retain(|write| write.stamp > *delete);
        }
        self.compact = self.writes.len();
    }

    fn into_events(mut self, entity_id: &str, visit: &mut impl FnMut(&EventRef<'_>)) {
        self.compact();
        let mut lend = |stamp: &Stamp, properties: &Object| {
            visit(&EventRef {
                event_id: &stamp.event_id,
                event: stamp.change.name(),
                entity_type: "",
                entity_id,
                target: None,
                properties: &properties.to_string(),
                event_time: EventTime::utc(stamp.event_time),
                pr_id: None,
                tags: "",
                creation_time: EventTime::utc(stamp.creation_time),
            });
        };
        // An `$unset` of nothing tells the time and changes nothing.
        let at =
            |event_time| Stamp { event_time, change: Change::Unset, creation_time: 0, event_id: "".into() };
        lend(&at(self.first_updated), &Object::new());
        lend(&at(self.last_updated), &Object::new());
        for stamp in [&self.last_set, &self.last_delete].into_iter().flatten() {
            lend(stamp, &Object::new());
        }
        self.writes.sort_by(|a, b| a.stamp.cmp(&b.stamp));
        for group in self.writes.chunk_by(|a, b| a.stamp == b.stamp) {
            let value = |write: &Write| write.value.clone().unwrap_or(Json::Null);
            let properties = group.iter().map(|write| (write.key.to_string(), value(write))).collect();
            group.first().into_iter().for_each(|write| lend(&write.stamp, &properties));
        }
    }

    fn finish(mut self, id: Box<str>) -> Option<EntityProperties> {
        if self.last_set <= self.last_delete {
            return None;
        }
        self.compact();
        let properties = self.writes.into_iter().filter_map(|write| Some((write.key.into(), write.value?)));
        Some(EntityProperties {
            id: id.into(),
            properties: properties.collect(),
            first_updated: self.first_updated,
            last_updated: self.last_updated,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Entity, Kind};

    fn event(id: &str, name: &str, entity: &str, time: i64, created: i64, properties: &str) -> Event {
        let Ok(Json::Object(properties)) = crate::json::parse(properties.as_bytes()) else {
            panic!("an object")
        };
        Event {
            event_id: Some(id.into()),
            event: name.into(),
            entity: Entity { kind: "item".into(), id: entity.into() },
            target: None,
            properties,
            event_time: EventTime { millis: time, offset_seconds: 3600 },
            pr_id: None,
            tags: Vec::new(),
            creation_time: EventTime::utc(created),
        }
    }

    fn fold(events: &[Event]) -> Vec<EntityProperties> {
        let mut fold = PropertyFold::new();
        for event in events {
            fold.push(&event.lend(&event.texts())).unwrap();
        }
        fold.finish()
    }

    /// The definition: sort, then apply one after the other to a map.
    fn naive(events: &[Event]) -> Vec<EntityProperties> {
        let rank = |event: &Event| ["$set", "$unset", "$delete"].iter().position(|name| *name == event.event);
        let mut events: Vec<&Event> = events.iter().filter(|event| rank(event).is_some()).collect();
        events.sort_by_key(|event| {
            (event.event_time.millis, rank(event), event.creation_time.millis, event.event_id.clone())
        });
        let ids: std::collections::BTreeSet<&str> =
            events.iter().map(|event| event.entity.id.as_str()).collect();
        let state_of = |id: &str| {
            let own: Vec<_> = events.iter().filter(|event| event.entity.id == id).collect();
            let mut state: Option<BTreeMap<String, Json>> = None;
            for event in &own {
                match (event.event.as_str(), &mut state) {
                    ("$set", state) => {
                        let changes = event.properties.clone().into_iter();
                        state.get_or_insert_default().extend(changes);
                    }
                    ("$unset", Some(state)) => {
                        state.retain(|key, _| !event.properties.contains(key));
                    }
                    ("$delete", state) => *state = None,
                    _ => {}
                }
            }
            Some(EntityProperties {
                id: id.to_owned(),
                properties: state?.into_iter().collect(),
                first_updated: own.first()?.event_time.millis,
                last_updated: own.last()?.event_time.millis,
            })
        };
        ids.into_iter().filter_map(state_of).collect()
    }

    #[test]
    fn folds_in_the_canonical_order() {
        let history = [
            event("1", "$set", "a", 10, 0, r#"{"x":1,"y":{"deep":1},"x":2}"#),
            event("2", "$set", "a", 20, 0, r#"{"y":{"other":1},"z":null}"#),
            event("3", "$unset", "a", 20, 0, r#"{"z":"","never":""}"#),
            event("4", "$set", "empty", 5, 0, "{}"),
            event("5", "$unset", "ghost", 5, 0, r#"{"x":1}"#),
            event("6", "$set", "gone", 5, 0, r#"{"x":1}"#),
            event("7", "$delete", "gone", 5, 0, r#"{"ignored":1}"#),
            event("8", "$set", "back", 5, 0, r#"{"old":1}"#),
            event("9", "$delete", "back", 6, 0, "{}"),
            event("10", "$set", "back", 7, 0, r#"{"new":1}"#),
            event("11", "buy", "bought", 7, 0, "{}"),
        ];
        let shown: Vec<String> = fold(&history)
            .iter()
            .map(|entity| {
                format!(
                    "{} {} {}..{}",
                    entity.id, entity.properties, entity.first_updated, entity.last_updated
                )
            })
            .collect();
        let expected = [r#"a {"x":2,"y":{"other":1}} 10..20"#, r#"back {"new":1} 5..7"#, "empty {} 5..5"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn ties_go_by_creation_then_id() {
        let set = |id: &str, created: i64, value: &str| {
            event(id, "$set", "a", 1, created, &format!("{{\"x\":{value}}}"))
        };
        let value = |events: &[Event]| fold(events)[0].properties.get("x").cloned();
        assert_eq!(value(&[set("a", 2, "1"), set("b", 1, "2")]), Some(Json::from(1)));
        assert_eq!(value(&[set("b", 1, "1"), set("a", 1, "2")]), Some(Json::from(1)));
    }

    #[test]
    fn damaged_properties_are_reported() {
        let event = event("e1", "$set", "a", 1, 1, "{}");
        let texts = event.texts();
        let mut lent = event.lend(&texts);
        for damaged in ["", "{", "[]"] {
            lent.properties = damaged;
            let error = PropertyFold::new().push(&lent).unwrap_err();
            assert_eq!(error.kind(), Kind::Corrupt);
            assert!(error.to_string().starts_with("event e1: stored properties: "), "{error}");
        }
    }

    #[test]
    fn many_keys_one_by_one_take_no_quadratic_time() {
        let mut fold = PropertyFold::new();
        for i in 0..50_000 {
            fold.push_event(&event("e", "$set", "a", i, 0, &format!("{{\"k{i}\":1}}")));
        }
        assert_eq!(fold.finish()[0].properties.len(), 50_000);
    }

    fn arbitrary_event() -> impl Strategy<Value = Event> {
        let name =
            prop_oneof![4 => Just("$set"), 2 => Just("$unset"), 1 => Just("$delete"), 1 => Just("buy")];
        let properties = proptest::collection::vec((0..5u8, 0..9i64), 0..5);
        (name, 0..3u8, 0..6i64, 0..3i64, properties).prop_map(|(name, entity, time, created, properties)| {
            let object: Object =
                properties.into_iter().map(|(key, value)| (format!("k{key}"), Json::from(value))).collect();
            event("", name, &format!("e{entity}"), time, created, &object.to_string())
        })
    }

    fn arbitrary_history() -> impl Strategy<Value = (Vec<Event>, Vec<Event>)> {
        proptest::collection::vec(arbitrary_event(), 0..60).prop_flat_map(|mut events| {
            for (i, event) in events.iter_mut().enumerate() {
                event.event_id = Some(format!("{:02}", i * 37 % 60));
            }
            (Just(events.clone()), Just(events).prop_shuffle())
        })
    }

    proptest! {
        #[test]
        fn equals_the_definition_in_any_order((events, shuffled) in arbitrary_history()) {
            let expected = naive(&events);
            prop_assert_eq!(&fold(&events), &expected);
            prop_assert_eq!(&fold(&shuffled), &expected);
            let mut owned = PropertyFold::new();
            shuffled.iter().for_each(|event| owned.push_event(event));
            prop_assert_eq!(owned.finish(), &expected[..]);
            let mut carried = PropertyFold::new();
            let (left, right) = shuffled.split_at(shuffled.len() / 3);
            for part in [right, left] {
                let mut fold = PropertyFold::new();
                part.iter().for_each(|event| fold.push_event(event));
                fold.into_events(|event| carried.push(event).unwrap());
            }
            prop_assert_eq!(carried.finish(), expected);
        }
    }
}
