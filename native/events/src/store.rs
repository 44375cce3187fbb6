//! The contract of an event store.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use crate::{Error, Event, EventRef, Kind, Result};

/// Where events live: one app and one of its channels (`None` = the default channel).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Id of the app.
    pub app: u32,
    /// Id of a named channel.
    pub channel: Option<u32>,
}

/// Which events. All members are ANDed; `default()` is everything, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// `event_time >= start`, ms.
    pub start: Option<i64>,
    /// `event_time < until`, ms.
    pub until: Option<i64>,
    /// Type of the entity.
    pub entity_type: Option<String>,
    /// Id of the entity.
    pub entity_id: Option<String>,
    /// Any of these names; `None` = every name.
    pub events: Option<Vec<String>>,
    /// Target type: `Some(None)` demands that there is no target.
    pub target_type: Option<Option<String>>,
    /// Target id: `Some(None)` demands that there is no target.
    pub target_id: Option<Option<String>>,
    /// At most this many, counted after filtering.
    pub limit: Option<usize>,
    /// Newest first.
    pub reversed: bool,
}

impl EventFilter {
    /// Does `event` pass? Says nothing of order and limit.
    pub fn matches(&self, event: &EventRef<'_>) -> bool {
        let allows =
            |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        let demands = |wanted: &Option<Option<String>>, text: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| wanted.as_deref() == text)
        };
        let time = event.event_time.millis;
        self.start.is_none_or(|start| time >= start)
            && self.until.is_none_or(|until| time < until)
            && allows(&self.entity_type, event.entity_type)
            && allows(&self.entity_id, event.entity_id)
            && self.events.as_ref().is_none_or(|names| names.iter().any(|name| name == event.event))
            && demands(&self.target_type, event.target.map(|(kind, _)| kind))
            && demands(&self.target_id, event.target.map(|(_, id)| id))
    }
}

/// An event as it was seen. The same id may stand for another event later, with another creation time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventVersion {
    /// Id of the event.
    pub id: String,
    /// Its event time, ms.
    pub event_time: i64,
    /// Its creation time, ms.
    pub creation_time: i64,
}

impl EventVersion {
    /// The version that was lent.
    pub fn of(event: &EventRef<'_>) -> Self {
        Self {
            id: event.event_id.to_owned(),
            event_time: event.event_time.millis,
            creation_time: event.creation_time.millis,
        }
    }
}

/// A state of a scope, to ask later what has changed since. Only the store that gave it can make sense of it; the default
/// is before anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// Distinguishes a scope that was removed and made again from what it was before.
    pub life: u128,
    /// Counts events that were added.
    pub added: u64,
    /// Counts special events that were replaced or deleted.
    pub revised: u64,
}

impl Position {
    /// Whoever knows all changes since this position knows all since `other`, too.
    pub fn covers(&self, other: &Self) -> bool {
        self.life == other.life && self.added <= other.added && self.revised <= other.revised
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}-{}", self.life, self.added, self.revised)
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (life, rest) = text.split_once('-')?;
            let (added, revised) = rest.split_once('-')?;
            let life = u128::from_str_radix(life, 16).ok()?;
            Some(Self { life, added: added.parse().ok()?, revised: revised.parse().ok()? })
        };
        read().ok_or_else(|| {
            Error::new(Kind::Invalid, format!("\"{text}\" is no position in a store, as 1f-20-3 is"))
        })
    }
}

/// What [`EventStore::changes`] could tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Up to where they were told.
    pub now: Position,
    /// Every entity was named. If not, any may have changed.
    pub complete: bool,
}

impl Changes {
    /// Of a scope that is not there: nothing, for who knew that.
    pub fn of_nothing(since: Position) -> Self {
        Self { now: Position::default(), complete: since == Position::default() }
    }
}

/// Called per event; `Break` ends the visit early, without an error. It may read from the same store, but not write.
pub type Visit<'a> = &'a mut dyn FnMut(&EventRef<'_>) -> ControlFlow<()>;

/// What an entity did, as much of it as a query needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed<'a> {
    /// Name of the event.
    pub event: &'a str,
    /// Type and id of the target entity.
    pub target: Option<(&'a str, &'a str)>,
    /// Event time, ms.
    pub millis: i64,
}

impl<'a> From<&EventRef<'a>> for Deed<'a> {
    fn from(event: &EventRef<'a>) -> Self {
        Self { event: event.event, target: event.target, millis: event.event_time.millis }
    }
}

/// Called per deed, as [`Visit`] is per event.
pub type VisitDeed<'a> = &'a mut dyn FnMut(&Deed<'_>) -> ControlFlow<()>;

/// Called with type and id of an entity.
pub type VisitEntity<'a> = &'a mut dyn FnMut(&str, &str);

/// Keeps events. Every operation may be called from several threads and, where the store allows it, several processes.
pub trait EventStore: Send + Sync {
    /// Makes `scope` ready for events. Idempotent.
    fn init(&self, scope: Scope) -> Result<()>;

    /// Removes all events of `scope`; `init` is needed before the next append. Idempotent.
    fn remove(&self, scope: Scope) -> Result<()>;

    /// Stores validated events and gives their ids, in order. On return they are durable (fsynced), all or none of
    /// the call. An event with an id that is there already replaces it; within one call the last of equal ids wins.
    fn append(&self, scope: Scope, events: &[Event]) -> Result<Vec<String>>;

    /// The event with this id.
    fn get(&self, scope: Scope, event_id: &str) -> Result<Option<Event>>;

    /// Deletes one event durably; `false` if there was none.
    fn delete(&self, scope: Scope, event_id: &str) -> Result<bool>;

    /// Deletes durably everything that this entity did or that was set on it (not events that target it); gives the number.
    fn delete_entity(&self, scope: Scope, entity_type: &str, entity_id: &str) -> Result<u64>;

    /// Removes all of `old` and stores all of `new` as [`append`](Self::append) does, durably, both or nothing. Gives
    /// `false` and does nothing unless every event of `old` is still there as it was seen: whoever decides on what he
    /// read takes nothing away that came after.
    fn replace(&self, scope: Scope, old: &[EventVersion], new: &[Event]) -> Result<bool>;

    /// Visits matching events by (`event_time`, `creation_time`, `event_id`), descending when `reversed`.
    /// With `entity_type` and `entity_id` set this is an index lookup: the history of an entity.
    fn find(&self, scope: Scope, filter: &EventFilter, visit: Visit<'_>) -> Result<()>;

    /// Visits what an entity (type, id) did, newest first, in the order of [`find`](Self::find). Every query reads this, so a
    /// store that has an index by entity answers from the index alone.
    fn history(&self, scope: Scope, entity: (&str, &str), visit: VisitDeed<'_>) -> Result<()> {
        let filter = EventFilter {
            entity_type: Some(entity.0.to_owned()),
            entity_id: Some(entity.1.to_owned()),
            reversed: true,
            ..EventFilter::default()
        };
        self.find(scope, &filter, &mut |event| visit(&Deed::from(event)))
    }

    /// Visits every event of one consistent state of the store, in any order, as fast as the store can. For training and export.
    fn scan(&self, scope: Scope, visit: Visit<'_>) -> Result<()>;

    /// Names the entities whose special events (those with a `$` in front) were added, replaced or deleted since a position;
    /// an entity may be named several times, or without need. Little work if there is little to tell, so that it
    /// can be asked several times a second. A store that keeps no record of changes never tells them completely.
    fn changes(&self, _scope: Scope, _since: Position, _visit: VisitEntity<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }

    /// Could events be stored now? Writes about a MiB durably, and removes it. For whoever waits after `Kind::Unavailable`.
    fn check_writable(&self) -> Result<()> {
        Ok(())
    }

    /// Number of events in `scope`: an estimate is enough (progress bars).
    fn count(&self, scope: Scope) -> Result<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventTime;

    const LENT: EventRef<'_> = EventRef {
        event_id: "e1",
        event: "buy",
        entity_type: "user",
        entity_id: "u1",
        target: Some(("item", "i1")),
        properties: "{}",
        event_time: EventTime { millis: 10, offset_seconds: 3600 },
        pr_id: None,
        tags: "",
        creation_time: EventTime::utc(99),
    };

    fn matches(change: impl Fn(&mut EventFilter)) -> bool {
        let mut filter = EventFilter::default();
        change(&mut filter);
        filter.matches(&LENT)
    }

    #[test]
    fn each_member_allows_and_refuses() {
        let some = |text: &str| Some(text.to_owned());
        assert!(matches(|_| {}));
        assert!(matches(|f| (f.limit, f.reversed) = (Some(0), true)));
        assert!(matches(|f| f.start = Some(10)));
        assert!(!matches(|f| f.start = Some(11)));
        assert!(matches(|f| f.until = Some(11)));
        assert!(!matches(|f| f.until = Some(10)));
        assert!(matches(|f| f.entity_type = some("user")));
        assert!(!matches(|f| f.entity_type = some("item")));
        assert!(matches(|f| f.entity_id = some("u1")));
        assert!(!matches(|f| f.entity_id = some("")));
        assert!(matches(|f| f.events = Some(vec!["view".into(), "buy".into()])));
        assert!(!matches(|f| f.events = Some(vec!["view".into()])));
        assert!(!matches(|f| f.events = Some(vec![])));
        assert!(matches(|f| f.target_type = Some(some("item"))));
        assert!(!matches(|f| f.target_type = Some(some("i1"))));
        assert!(!matches(|f| f.target_type = Some(None)));
        assert!(matches(|f| f.target_id = Some(some("i1"))));
        assert!(!matches(|f| f.target_id = Some(some("item"))));
        assert!(!matches(|f| f.target_id = Some(None)));
        assert!(!matches(|f| (f.start, f.entity_id) = (Some(0), some("u2"))), "members are ANDed");
    }

    #[test]
    fn positions_are_written_and_read_and_compared() {
        let position = Position { life: u128::MAX, added: u64::MAX, revised: 7 };
        assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        for wrong in ["", "1-2", "1-2-3-4", "x-1-2", "1--2", "1-2-3 "] {
            assert_eq!(wrong.parse::<Position>().unwrap_err().kind(), Kind::Invalid, "{wrong}");
        }
        let earlier = Position { added: 3, ..position };
        assert!(earlier.covers(&position) && earlier.covers(&earlier) && !position.covers(&earlier));
        assert!(!earlier.covers(&Position { life: 1, ..position }), "another life");
        assert!(!earlier.covers(&Position { revised: 6, ..position }));
    }

    #[test]
    fn the_absence_of_a_target_can_be_demanded() {
        let lent = EventRef { target: None, ..LENT };
        let demanding =
            |target_type, target_id| EventFilter { target_type, target_id, ..EventFilter::default() };
        assert!(demanding(Some(None), Some(None)).matches(&lent));
        assert!(!demanding(Some(Some("item".into())), None).matches(&lent));
        assert!(!demanding(None, Some(Some("i1".into()))).matches(&lent));
    }
}
