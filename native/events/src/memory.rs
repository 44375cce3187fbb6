//! Event store and registry in memory: the reference that says what a store must do, and what tests use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use crate::{
    AccessKey, App, Changes, Channel, DeclaredEvents, EngineInstance, Entity, Error, Event, EventFilter,
    EventStore, EventTexts, EventVersion, Kind, NewApp, NewChannel, Position, Registry, Result, Scope, Visit,
    VisitEntity,
};

/// Keeps everything in memory, in plain maps under one lock; nothing is durable.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Events by id. A scope is here from `init` to `remove`.
    events: BTreeMap<Scope, BTreeMap<String, Event>>,
    /// Of the scopes in `events`.
    journals: BTreeMap<Scope, Journal>,
    lives: u128,
    generated_ids: u128,
    apps: BTreeMap<u32, App>,
    last_app: u32,
    access_keys: BTreeMap<String, AccessKey>,
    channels: BTreeMap<u32, Channel>,
    last_channel: u32,
    instances: BTreeMap<String, EngineInstance>,
}

/// Every change of a special event, in order.
#[derive(Debug, Default)]
struct Journal {
    life: u128,
    entities: Vec<Entity>,
}

impl Journal {
    fn note(&mut self, event: &Event) {
        if event.event.starts_with('$') {
            self.entities.push(event.entity.clone());
        }
    }

    fn position(&self) -> Position {
        Position { life: self.life, added: self.entities.len() as u64, revised: 0 }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing panics between the parts of a change, so that a panic of another thread leaves none half-made.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Copies of the matching events, so that a visitor may call the store.
    fn matching(&self, scope: Scope, filter: &EventFilter) -> Vec<Event> {
        let state = self.state();
        let events = state.events.get(&scope).into_iter().flat_map(BTreeMap::values);
        let no_texts = EventTexts::default();
        events.filter(|event| filter.matches(&event.lend(&no_texts))).cloned().collect()
    }
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, text)
}

fn visit_all(events: &[Event], visit: Visit<'_>) {
    for event in events {
        if visit(&event.lend(&event.texts())).is_break() {
            return;
        }
    }
}

impl State {
    fn scope(&mut self, scope: Scope) -> Result<&mut BTreeMap<String, Event>> {
        let unknown = || Error::new(Kind::NotFound, format!("{scope:?} is not initialised"));
        self.events.get_mut(&scope).ok_or_else(unknown)
    }

    fn append(&mut self, scope: Scope, events: &[Event]) -> Result<Vec<String>> {
        self.scope(scope)?;
        let mut ids = Vec::with_capacity(events.len());
        for event in events {
            let id = event.event_id.clone().unwrap_or_else(|| self.generate_id(scope));
            let event = Event { event_id: Some(id.clone()), ..event.clone() };
            self.note(scope, &event);
            let before = self.scope(scope)?.insert(id.clone(), event);
            before.iter().for_each(|before| self.note(scope, before));
            ids.push(id);
        }
        Ok(ids)
    }

    fn note(&mut self, scope: Scope, event: &Event) {
        self.journals.entry(scope).or_default().note(event);
    }

    /// Removes the events of `scope` for which `goes`; gives their number.
    fn take(&mut self, scope: Scope, goes: impl Fn(&str, &Event) -> bool) -> usize {
        let Some(events) = self.events.get_mut(&scope) else { return 0 };
        let (journal, before) = (self.journals.entry(scope).or_default(), events.len());
        events.retain(|id, event| {
            let goes = goes(id, event);
            if goes {
                journal.note(event);
            }
            !goes
        });
        before - events.len()
    }

    /// A new event id: 32 hexadecimal digits.
    fn generate_id(&mut self, scope: Scope) -> String {
        loop {
            self.generated_ids += 1;
            let id = format!("{:032x}", self.generated_ids);
            if !self.events.get(&scope).is_some_and(|events| events.contains_key(&id)) {
                return id;
            }
        }
    }
}

impl EventStore for MemoryStore {
    fn init(&self, scope: Scope) -> Result<()> {
        let mut state = self.state();
        if !state.events.contains_key(&scope) {
            state.lives += 1;
            let journal = Journal { life: state.lives, ..Journal::default() };
            state.journals.insert(scope, journal);
            state.events.insert(scope, BTreeMap::new());
        }
        Ok(())
    }

    fn remove(&self, scope: Scope) -> Result<()> {
        let mut state = self.state();
        state.events.remove(&scope);
        state.journals.remove(&scope);
        Ok(())
    }

    fn append(&self, scope: Scope, events: &[Event]) -> Result<Vec<String>> {
        self.state().append(scope, events)
    }

    fn get(&self, scope: Scope, event_id: &str) -> Result<Option<Event>> {
        Ok(self.state().events.get(&scope).and_then(|events| events.get(event_id)).cloned())
    }

    fn delete(&self, scope: Scope, event_id: &str) -> Result<bool> {
        Ok(self.state().take(scope, |id, _| id == event_id) > 0)
    }

    fn delete_entity(&self, scope: Scope, entity_type: &str, entity_id: &str) -> Result<u64> {
        let of_entity = |event: &Event| event.entity.kind == entity_type && event.entity.id == entity_id;
        Ok(self.state().take(scope, |_, event| of_entity(event)) as u64)
    }

    fn replace(&self, scope: Scope, old: &[EventVersion], new: &[Event]) -> Result<bool> {
        let mut state = self.state();
        let events = state.scope(scope)?;
        let seen = |version: &EventVersion| {
            events.get(&version.id).is_some_and(|event| {
                (event.event_time.millis, event.creation_time.millis)
                    == (version.event_time, version.creation_time)
            })
        };
        if !old.iter().all(seen) {
            return Ok(false);
        }
        let ids: BTreeSet<&str> = old.iter().map(|version| version.id.as_str()).collect();
        state.take(scope, |id, _| ids.contains(id));
        state.append(scope, new)?;
        Ok(true)
    }

    fn find(&self, scope: Scope, filter: &EventFilter, visit: Visit<'_>) -> Result<()> {
        let mut events = self.matching(scope, filter);
        events.sort_by(|a, b| {
            let order = |event: &Event| (event.event_time.millis, event.creation_time.millis);
            order(a).cmp(&order(b)).then_with(|| a.event_id.cmp(&b.event_id))
        });
        if filter.reversed {
            events.reverse();
        }
        events.truncate(filter.limit.unwrap_or(usize::MAX));
        visit_all(&events, visit);
        Ok(())
    }

    fn scan(&self, scope: Scope, visit: Visit<'_>) -> Result<()> {
        visit_all(&self.matching(scope, &EventFilter::default()), visit);
        Ok(())
    }

    fn changes(&self, scope: Scope, since: Position, visit: VisitEntity<'_>) -> Result<Changes> {
        let state = self.state();
        let Some(journal) = state.journals.get(&scope) else { return Ok(Changes::of_nothing(since)) };
        let now = journal.position();
        if !since.covers(&now) {
            return Ok(Changes { now, complete: false });
        }
        let seen = usize::try_from(since.added).unwrap_or(usize::MAX);
        journal.entities.iter().skip(seen).for_each(|entity| visit(&entity.kind, &entity.id));
        Ok(Changes { now, complete: true })
    }

    fn count(&self, scope: Scope) -> Result<u64> {
        Ok(self.state().events.get(&scope).map_or(0, BTreeMap::len) as u64)
    }
}

impl Registry for MemoryStore {
    fn create_app(&self, app: &NewApp) -> Result<App> {
        let mut state = self.state();
        app.check(state.apps.values())?;
        let id = match app.id {
            Some(id) => id,
            None => state.last_app.checked_add(1).ok_or_else(|| invalid("no app id is left"))?,
        };
        state.last_app = state.last_app.max(id);
        let app = App { id, name: app.name.clone(), description: app.description.clone(), declared: None };
        state.apps.insert(id, app.clone());
        Ok(app)
    }

    fn apps(&self) -> Result<Vec<App>> {
        Ok(self.state().apps.values().cloned().collect())
    }

    fn delete_app(&self, id: u32) -> Result<bool> {
        let mut state = self.state();
        state.channels.retain(|_, channel| channel.app != id);
        state.access_keys.retain(|_, key| key.app != id);
        Ok(state.apps.remove(&id).is_some())
    }

    fn declare_events(&self, app: u32, declared: Option<&DeclaredEvents>) -> Result<bool> {
        let mut state = self.state();
        let Some(app) = state.apps.get_mut(&app) else { return Ok(false) };
        app.declared = declared.cloned();
        Ok(true)
    }

    fn create_access_key(&self, key: &AccessKey) -> Result<()> {
        let mut state = self.state();
        if state.access_keys.contains_key(&key.key) {
            return Err(invalid("this access key exists already"));
        }
        state.access_keys.insert(key.key.clone(), key.clone());
        Ok(())
    }

    fn access_keys(&self, app: Option<u32>) -> Result<Vec<AccessKey>> {
        let state = self.state();
        let keys = state.access_keys.values().filter(|key| app.is_none_or(|app| key.app == app));
        Ok(keys.cloned().collect())
    }

    fn access_key(&self, key: &str) -> Result<Option<AccessKey>> {
        Ok(self.state().access_keys.get(key).cloned())
    }

    fn delete_access_key(&self, key: &str) -> Result<bool> {
        Ok(self.state().access_keys.remove(key).is_some())
    }

    fn rotate_access_key(&self, old: &str, new: &AccessKey, old_expires_ms: i64) -> Result<bool> {
        let mut state = self.state();
        if state.access_keys.contains_key(&new.key) {
            return Err(invalid("this access key exists already"));
        }
        let Some(old) = state.access_keys.get_mut(old) else { return Ok(false) };
        old.expires_ms = Some(old.expires_ms.map_or(old_expires_ms, |expires| expires.min(old_expires_ms)));
        state.access_keys.insert(new.key.clone(), new.clone());
        Ok(true)
    }

    fn create_channel(&self, new: &NewChannel) -> Result<Channel> {
        let mut state = self.state();
        new.check(state.channels.values())?;
        let id = match new.id {
            Some(id) => id,
            None => state.last_channel.checked_add(1).ok_or_else(|| invalid("no channel id is left"))?,
        };
        state.last_channel = state.last_channel.max(id);
        let channel = Channel { id, name: new.name.clone(), app: new.app };
        state.channels.insert(id, channel.clone());
        Ok(channel)
    }

    fn channels(&self, app: u32) -> Result<Vec<Channel>> {
        Ok(self.state().channels.values().filter(|channel| channel.app == app).cloned().collect())
    }

    fn delete_channel(&self, id: u32) -> Result<bool> {
        Ok(self.state().channels.remove(&id).is_some())
    }

    fn put_instance(&self, instance: &EngineInstance) -> Result<()> {
        self.state().instances.insert(instance.id.clone(), instance.clone());
        Ok(())
    }

    fn instances(&self) -> Result<Vec<EngineInstance>> {
        let mut instances: Vec<_> = self.state().instances.values().cloned().collect();
        // Stable: by id within the same start.
        instances.sort_by_key(|instance| std::cmp::Reverse(instance.start_ms));
        Ok(instances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[test]
    fn conforms_as_event_store() {
        conformance::event_store(MemoryStore::new, |store| store);
    }

    #[test]
    fn conforms_as_registry() {
        conformance::registry(MemoryStore::new, |store| store);
    }
}
