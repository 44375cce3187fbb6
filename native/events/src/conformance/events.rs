//! What every event store must do.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::json::{Json, Object};
use crate::{
    Changes, Deed, Entity, Event, EventFilter, EventStore, EventTime, EventVersion, Kind, Position, Scope,
};

const SCOPE: Scope = Scope { app: 1, channel: None };

/// Runs the suite. `fresh` makes an empty store; `reopen` closes a store and opens it again.
pub fn event_store<S: EventStore>(fresh: impl Fn() -> S, reopen: impl Fn(S) -> S) {
    let initialised = || {
        let store = fresh();
        store.init(SCOPE).unwrap();
        store
    };
    verbatim(initialised(), &reopen);
    ids(initialised(), &reopen);
    upsert(initialised(), &reopen);
    filters(&initialised());
    order_and_limits(&initialised());
    histories(&initialised());
    early_break(&initialised());
    deletion(initialised(), &reopen);
    replacement(initialised(), &reopen);
    scopes(fresh(), &reopen);
    large(initialised(), &reopen);
    concurrent_writers(initialised(), &reopen);
    visitor_may_read(&initialised());
    changes(initialised(), &reopen);
}

/// A plain event: `user` did `name` to `item` at `millis`.
fn event(name: &str, user: &str, item: &str, millis: i64) -> Event {
    let entity = |kind: &str, id: &str| Entity { kind: kind.into(), id: id.into() };
    Event {
        event_id: None,
        event: name.into(),
        entity: entity("user", user),
        target: Some(entity("item", item)),
        properties: Object::new(),
        event_time: EventTime::utc(millis),
        pr_id: None,
        tags: Vec::new(),
        creation_time: EventTime::utc(1_000_000),
    }
}

fn with_id(id: &str, event: Event) -> Event {
    Event { event_id: Some(id.into()), ..event }
}

/// The ids of what `find` visits.
fn found(store: &impl EventStore, scope: Scope, filter: &EventFilter) -> Vec<String> {
    let mut ids = Vec::new();
    let collect = &mut |event: &crate::EventRef<'_>| {
        ids.push(event.event_id.to_owned());
        ControlFlow::Continue(())
    };
    store.find(scope, filter, collect).unwrap();
    ids
}

/// The ids of what `scan` visits, sorted.
fn scanned(store: &impl EventStore, scope: Scope) -> Vec<String> {
    let mut ids = Vec::new();
    let collect = &mut |event: &crate::EventRef<'_>| {
        ids.push(event.event_id.to_owned());
        ControlFlow::Continue(())
    };
    store.scan(scope, collect).unwrap();
    ids.sort();
    ids
}

/// Everything, oldest first.
fn all(store: &impl EventStore, scope: Scope) -> Vec<String> {
    found(store, scope, &EventFilter::default())
}

/// Every member comes back as it went in, by every road.
fn verbatim<S: EventStore>(store: S, reopen: impl Fn(S) -> S) {
    let nested = Json::from(vec![Json::Null, Json::from(-7), Json::from("ü\"\\\u{0}\n🦀")]);
    let properties = Object::new()
        .with("z", 1)
        .with("a", nested)
        .with("", Object::new().with("deep", true))
        .with("big", crate::json::parse(b"123456789012345678901234567890").unwrap());
    let rich = Event {
        event_id: Some("id with / ü \u{0} 🦀".into()),
        event: "$et-ü".into(),
        entity: Entity { kind: "тип\u{0}".into(), id: "\u{0}\u{1}\u{10ffff}".into() },
        target: Some(Entity { kind: " ".into(), id: "日本".into() }),
        properties,
        event_time: EventTime { millis: -62_135_596_800_001, offset_seconds: -28_801 },
        pr_id: Some("pr".into()),
        tags: vec!["one".into(), "two".into()],
        creation_time: EventTime { millis: i64::MAX, offset_seconds: 3600 },
    };
    let plain = Event { event_time: EventTime::utc(i64::MIN), target: None, ..event("buy", "u", "-", 0) };
    let plain = with_id("plain", plain);
    let given = [plain, rich];
    let ids = store.append(SCOPE, &given).unwrap();
    assert_eq!(ids, ["plain", "id with / ü \u{0} 🦀"], "given ids are kept");
    let store = reopen(store);
    for (id, event) in ids.iter().zip(&given) {
        assert_eq!(store.get(SCOPE, id).unwrap().as_ref(), Some(event), "get gives what was appended");
    }
    let mut visited = Vec::new();
    let collect = &mut |event: &crate::EventRef<'_>| {
        visited.push(event.to_event().unwrap());
        ControlFlow::Continue(())
    };
    store.find(SCOPE, &EventFilter::default(), collect).unwrap();
    assert_eq!(visited, given, "find lends what was appended");
    visited.clear();
    let collect = &mut |event: &crate::EventRef<'_>| {
        visited.push(event.to_event().unwrap());
        ControlFlow::Continue(())
    };
    store.scan(SCOPE, collect).unwrap();
    visited.sort_by_key(|event| event.event_time);
    assert_eq!(visited, given, "scan lends what was appended");
}

/// Stores make ids, never the same twice, not even after reopening: 32 lower-case hexadecimal digits, or what PredictionIO
/// makes where it keeps the same rows: 43 digits of URL-safe Base64.
fn ids<S: EventStore>(store: S, reopen: impl Fn(S) -> S) {
    let batch: Vec<Event> = (0..100).map(|i| event("buy", "u", "same", i / 10)).collect();
    let mut ids = store.append(SCOPE, &batch).unwrap();
    let store = reopen(store);
    ids.extend(store.append(SCOPE, &batch).unwrap());
    for id in &ids {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let hex = id.len() == 32 && id.bytes().all(is_hex);
        assert!(hex || id.len() == 43 && id.bytes().all(is_base64), "generated id {id}");
        assert_eq!(store.get(SCOPE, id).unwrap().unwrap().event_id.as_deref(), Some(id.as_str()));
    }
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 200, "generated ids differ");
    assert_eq!(scanned(&store, SCOPE), sorted);
    assert_eq!(store.append(SCOPE, &[]).unwrap(), Vec::<String>::new(), "an empty batch is nothing");
    assert_eq!(store.get(SCOPE, "unknown").unwrap(), None);
    assert_eq!(store.get(SCOPE, "").unwrap(), None);
    assert_eq!(store.get(SCOPE, &"x".repeat(100_000)).unwrap(), None, "an absurd id is just unknown");
}

/// The same id replaces: no trace of the old event is left in any index.
fn upsert<S: EventStore>(store: S, reopen: impl Fn(S) -> S) {
    let old = with_id("a", event("view", "old", "i1", 10));
    let new = with_id("a", event("buy", "new", "i2", 20));
    store.append(SCOPE, &[old.clone(), with_id("b", event("view", "old", "i1", 15))]).unwrap();
    store.append(SCOPE, std::slice::from_ref(&new)).unwrap();
    let store = reopen(store);
    assert_eq!(store.get(SCOPE, "a").unwrap(), Some(new.clone()));
    assert_eq!(all(&store, SCOPE), ["b", "a"], "replaced, and in the order of its new time");
    assert_eq!(scanned(&store, SCOPE), ["a", "b"]);
    assert_eq!(found(&store, SCOPE, &of_entity("old")), ["b"], "the old entity has it no more");
    assert_eq!(found(&store, SCOPE, &of_entity("new")), ["a"]);
    let until = EventFilter { until: Some(15), ..EventFilter::default() };
    assert_eq!(found(&store, SCOPE, &until), Vec::<String>::new(), "nor has its old time");
    // Within one call the last wins; its id is given for both.
    let ids = store.append(SCOPE, &[new.clone(), old.clone()]).unwrap();
    assert_eq!(ids, ["a", "a"]);
    assert_eq!(store.get(SCOPE, "a").unwrap(), Some(old.clone()));
    assert_eq!(found(&store, SCOPE, &of_entity("new")), Vec::<String>::new());
    // The same event again changes nothing.
    store.append(SCOPE, &[old.clone(), old.clone()]).unwrap();
    store.append(SCOPE, std::slice::from_ref(&old)).unwrap();
    assert_eq!(all(&store, SCOPE), ["a", "b"]);
    let fresh_ids = [with_id("c", event("view", "x", "1", 1)), with_id("c", event("view", "y", "2", 2))];
    store.append(SCOPE, &fresh_ids).unwrap();
    let store = reopen(store);
    assert_eq!(store.get(SCOPE, "c").unwrap(), Some(fresh_ids[1].clone()), "also for an id new in this call");
    assert_eq!(all(&store, SCOPE), ["c", "a", "b"]);
    assert_eq!(found(&store, SCOPE, &of_entity("x")), Vec::<String>::new());
}

fn of_entity(id: &str) -> EventFilter {
    let (kind, id) = (Some("user".to_owned()), Some(id.to_owned()));
    EventFilter { entity_type: kind, entity_id: id, ..EventFilter::default() }
}

/// Each member of the filter alone, and all pairs of them, against the definition.
fn filters(store: &impl EventStore) {
    let mut events = Vec::new();
    for (i, name) in ["buy", "view", "buyer", "$set"].into_iter().enumerate() {
        for (j, user) in ["u", "u1", "u10", ""].into_iter().enumerate() {
            for (k, kind) in ["user", "item", "use"].into_iter().enumerate() {
                let time = i64::try_from((i * 7 + j * 3 + k * 5) % 11).unwrap() - 5;
                let mut event = event(name, user, ["i", "i1"][(i + j + k) % 2], time);
                event.entity.kind = kind.into();
                match (j + k) % 3 {
                    0 => event.target = None,
                    1 => event.target.as_mut().unwrap().kind = "user".into(),
                    _ => {}
                }
                events.push(with_id(&format!("{i}{j}{k}"), event));
            }
        }
    }
    store.append(SCOPE, &events).unwrap();
    let texts = crate::EventTexts::default();
    for filter in filter_pairs() {
        let mut expected: Vec<&Event> =
            events.iter().filter(|event| filter.matches(&event.lend(&texts))).collect();
        expected.sort_by_key(|event| (event.event_time.millis, event.event_id.clone()));
        let expected: Vec<_> = expected.iter().map(|event| event.event_id.clone().unwrap()).collect();
        assert_eq!(found(store, SCOPE, &filter), expected, "{filter:?}");
    }
}

/// A change to a filter that sets one member.
type Part = fn(&mut EventFilter);

fn filter_pairs() -> Vec<EventFilter> {
    let parts: [Part; 17] = [
        |_| {},
        |f| f.start = Some(0),
        |f| f.start = Some(i64::MIN),
        |f| f.until = Some(2),
        |f| f.until = Some(i64::MIN),
        |f| f.until = Some(i64::MAX),
        |f| f.entity_type = Some("user".into()),
        |f| f.entity_id = Some("u1".into()),
        |f| f.entity_id = Some(String::new()),
        |f| f.events = Some(vec!["buy".into()]),
        |f| f.events = Some(vec!["view".into(), "$set".into(), "view".into(), "none".into()]),
        |f| f.events = Some(vec![]),
        |f| f.target_type = Some(None),
        |f| f.target_type = Some(Some("item".into())),
        |f| f.target_id = Some(None),
        |f| f.target_id = Some(Some("i1".into())),
        |f| (f.entity_type, f.entity_id) = (Some("user".into()), Some("u".into())),
    ];
    let mut filters = Vec::new();
    for one in parts {
        for other in parts {
            let mut filter = EventFilter::default();
            one(&mut filter);
            other(&mut filter);
            filters.push(filter);
        }
    }
    filters
}

/// (event time, creation time, id); descending when reversed; the limit counts after filtering. Pages by time join.
fn order_and_limits(store: &impl EventStore) {
    let at = |id: &str, time: i64, created: i64| {
        let creation_time = EventTime::utc(created);
        with_id(id, Event { creation_time, ..event("buy", "u", "i", time) })
    };
    let later_zone = |event: Event| {
        let event_time = EventTime { offset_seconds: 7200, ..event.event_time };
        Event { event_time, ..event }
    };
    let batch = [
        at("e", 5, 5),
        at("d", 5, 6),
        later_zone(at("a", 5, 5)),
        at("f", -5, 9),
        at("b", 7, 0),
        at("é", 5, 5),
        at("E", 5, 5),
    ];
    store.append(SCOPE, &batch).unwrap();
    store.append(SCOPE, &[with_id("x", event("view", "other", "i", 6))]).unwrap();
    let ordered = ["f", "E", "a", "e", "é", "d", "b"];
    for by_entity in [true, false] {
        let mut filter = of_entity("u");
        if !by_entity {
            filter = EventFilter { events: Some(vec!["buy".into()]), ..EventFilter::default() };
        }
        assert_eq!(found(store, SCOPE, &filter), ordered);
        for limit in 0..9 {
            let limited = EventFilter { limit: Some(limit), ..filter.clone() };
            assert_eq!(found(store, SCOPE, &limited), ordered[..limit.min(7)], "limit {limit}");
            let reversed = EventFilter { reversed: true, ..limited };
            let mut expected = ordered;
            expected.reverse();
            assert_eq!(found(store, SCOPE, &reversed), expected[..limit.min(7)], "reversed, limit {limit}");
        }
        let huge = EventFilter { limit: Some(usize::MAX), ..filter.clone() };
        assert_eq!(found(store, SCOPE, &huge), ordered);
        let pages = [(None, Some(5)), (Some(5), Some(6)), (Some(6), None)];
        let joined =
            pages.map(|(start, until)| found(store, SCOPE, &EventFilter { start, until, ..filter.clone() }));
        assert_eq!(joined.concat(), ordered, "pages by time join without gap or overlap");
    }
}

/// `history` is a `find` that says less: with and without target, long ids, times beyond any calendar, many names.
fn histories(store: &impl EventStore) {
    let long = "长".repeat(90);
    let mut events = Vec::new();
    let times = [i64::MIN, -(1 << 47), -(1 << 47) + 1, -1, 0, 1, 5, 5, (1 << 47) - 1, 1 << 47, i64::MAX];
    for (i, time) in times.into_iter().cycle().take(120).enumerate() {
        let user = ["u", "u1", long.as_str()][i % 3];
        let target = ["i", long.as_str(), "é"][i % 4 % 3];
        let mut event = event(&format!("e{}", i % 7), user, target, time);
        event.creation_time = EventTime::utc(i64::try_from(i % 5).unwrap());
        if i % 5 == 0 {
            event.target = None;
        }
        events.push(event);
    }
    events.iter().step_by(9).for_each(|event| _ = store.append(SCOPE, std::slice::from_ref(event)).unwrap());
    store.append(SCOPE, &events).unwrap();
    let owned = |deed: &Deed<'_>| {
        (deed.event.to_owned(), deed.target.map(|(kind, id)| (kind.to_owned(), id.to_owned())), deed.millis)
    };
    for (user, number) in [("u", 54), ("u1", 40), (long.as_str(), 40), ("nobody", 0), ("", 0)] {
        let (mut expected, mut deeds) = (Vec::new(), Vec::new());
        let filter = EventFilter { reversed: true, ..of_entity(user) };
        let collect = &mut |event: &crate::EventRef<'_>| {
            expected.push(owned(&Deed::from(event)));
            ControlFlow::Continue(())
        };
        store.find(SCOPE, &filter, collect).unwrap();
        let collect = &mut |deed: &Deed<'_>| {
            deeds.push(owned(deed));
            ControlFlow::Continue(())
        };
        store.history(SCOPE, ("user", user), collect).unwrap();
        assert_eq!(deeds, expected, "{user}");
        assert_eq!(deeds.len(), number, "{user}");
    }
    let nothing = &mut |_: &Deed<'_>| unreachable!("an item did nothing");
    store.history(SCOPE, ("item", "u"), nothing).unwrap();
    store.history(Scope { app: 99, channel: None }, ("user", "u"), nothing).unwrap();
}

/// `Break` ends a visit without an error.
fn early_break(store: &impl EventStore) {
    let batch: Vec<Event> = (0..50).map(|i| event("buy", "u", "i", i)).collect();
    store.append(SCOPE, &batch).unwrap();
    let mut visits = 0;
    let mut three = |_: &crate::EventRef<'_>| {
        visits += 1;
        if visits % 3 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.find(SCOPE, &EventFilter::default(), &mut three).unwrap();
    store.find(SCOPE, &of_entity("u"), &mut three).unwrap();
    store.scan(SCOPE, &mut three).unwrap();
    assert_eq!(visits, 9);
    let mut first = |_: &Deed<'_>| {
        visits += 1;
        ControlFlow::Break(())
    };
    store.history(SCOPE, ("user", "u"), &mut first).unwrap();
    assert_eq!(visits, 10);
}

/// By id, and everything of an entity, but not what targets it.
fn deletion<S: EventStore>(store: S, reopen: impl Fn(S) -> S) {
    let mut set = with_id("set", event("$set", "u1", "-", 1));
    set.target = None;
    let mut item = with_id("item", event("view", "u1", "i", 2));
    item.entity.kind = "item".into();
    let mut target = with_id("target", event("follow", "u2", "u1", 3));
    target.target = Some(Entity { kind: "user".into(), id: "u1".into() });
    let buys: Vec<Event> =
        (0..1000).map(|i| with_id(&format!("buy{i:03}"), event("buy", "u1", "i", i))).collect();
    let prefix = with_id("prefix", event("buy", "u1 ", "i", 5));
    store.append(SCOPE, &[set, item, target, prefix]).unwrap();
    store.append(SCOPE, &buys).unwrap();
    assert!(store.delete(SCOPE, "buy007").unwrap());
    assert!(!store.delete(SCOPE, "buy007").unwrap(), "only once");
    assert!(!store.delete(SCOPE, "unknown").unwrap());
    let store = reopen(store);
    assert_eq!(store.get(SCOPE, "buy007").unwrap(), None);
    assert_eq!(found(&store, SCOPE, &of_entity("u1")).len(), 1000);
    assert_eq!(store.delete_entity(SCOPE, "user", "u1").unwrap(), 1000);
    assert_eq!(store.delete_entity(SCOPE, "user", "u1").unwrap(), 0);
    assert_eq!(store.delete_entity(SCOPE, "user", "nobody").unwrap(), 0);
    let store = reopen(store);
    assert_eq!(all(&store, SCOPE), ["item", "target", "prefix"]);
    assert_eq!(scanned(&store, SCOPE), ["item", "prefix", "target"]);
    assert_eq!(store.get(SCOPE, "buy008").unwrap(), None);
    store.append(SCOPE, &[with_id("buy007", event("buy", "u1", "i", 0))]).unwrap();
    assert_eq!(found(&store, SCOPE, &of_entity("u1")), ["buy007"], "a deleted id can come again");
}

/// What was seen goes and what is new comes, in every index; if anything is not as it was seen, nothing happens.
fn replacement<S: EventStore>(store: S, reopen: impl Fn(S) -> S) {
    let batch: Vec<Event> = (0..20)
        .map(|i| Event { event_id: (i % 2 == 0).then(|| format!("own{i:02}")), ..event("view", "u", "i", i) })
        .collect();
    let ids = store.append(SCOPE, &batch).unwrap();
    let seen = |i: usize| EventVersion {
        id: ids[i].clone(),
        event_time: batch[i].event_time.millis,
        creation_time: batch[i].creation_time.millis,
    };
    assert!(store.replace(SCOPE, &[], &[]).unwrap(), "nothing for nothing");
    let other_time = EventVersion { event_time: 99, ..seen(3) };
    let other_creation = EventVersion { creation_time: 0, ..seen(3) };
    let unknown = EventVersion { id: "unknown".into(), ..seen(3) };
    for wrong in [other_time, other_creation, unknown] {
        let new = [event("buy", "u", "i", 0), with_id(&ids[1], event("buy", "u", "i", 0))];
        assert!(!store.replace(SCOPE, &[seen(2), wrong, seen(4)], &new).unwrap());
        assert_eq!(all(&store, SCOPE), ids, "nothing happened");
        assert_eq!(store.get(SCOPE, &ids[1]).unwrap().unwrap().event, "view");
    }
    // 0 to 7 go, two of them twice; 8 and 9 are replaced in place, a new one comes.
    let old: Vec<EventVersion> = [0, 1].into_iter().chain(0..10).map(seen).collect();
    let mut new = [8, 9].map(|i| with_id(&ids[i], event("buy", "v", "i", 100))).to_vec();
    new.push(with_id("new", event("buy", "v", "i", 101)));
    assert!(store.replace(SCOPE, &old, &new).unwrap());
    let mut expected = ids[10..].to_vec();
    let mut replaced = ids[8..10].to_vec();
    replaced.sort();
    expected.extend(replaced);
    expected.push("new".into());
    let store = reopen(store);
    assert_eq!(all(&store, SCOPE), expected);
    assert_eq!(found(&store, SCOPE, &of_entity("v")), expected[10..]);
    assert_eq!(found(&store, SCOPE, &of_entity("u")), expected[..10]);
    assert_eq!(store.get(SCOPE, &ids[8]).unwrap(), Some(new[0].clone()));
    assert_eq!(store.get(SCOPE, &ids[9]).unwrap(), Some(new[1].clone()));
    assert!(ids[..8].iter().all(|id| store.get(SCOPE, id).unwrap().is_none()));
    assert!(!store.replace(SCOPE, &old, &[]).unwrap(), "that is done");
    let elsewhere = Scope { app: 99, channel: None };
    assert_eq!(store.replace(elsewhere, &[seen(11)], &[]).unwrap_err().kind(), Kind::NotFound);
}

/// Nothing leaks between apps and channels; `remove` takes one scope only.
fn scopes<S: EventStore>(store: S, reopen: impl Fn(S) -> S) {
    let scope = |app, channel| Scope { app, channel };
    let scopes = [
        scope(1, None),
        scope(1, Some(1)),
        scope(2, None),
        scope(2, Some(2)),
        scope(256, None),
        scope(u32::MAX, None),
    ];
    for (i, scope) in scopes.into_iter().enumerate() {
        store.init(scope).unwrap();
        store.init(scope).unwrap();
        assert_eq!(store.count(scope).unwrap(), 0, "a new scope is empty");
        store.append(scope, &[with_id("same", event("buy", &format!("u{i}"), "i", 0))]).unwrap();
        store.init(scope).unwrap();
    }
    let store = reopen(store);
    for (i, scope) in scopes.into_iter().enumerate() {
        assert_eq!(all(&store, scope), ["same"]);
        assert_eq!(scanned(&store, scope), ["same"]);
        assert_eq!(store.get(scope, "same").unwrap().unwrap().entity.id, format!("u{i}"));
        assert_eq!(found(&store, scope, &of_entity("u1")).len(), usize::from(i == 1));
        assert!(store.count(scope).unwrap() > 0);
    }
    assert!(store.delete(scopes[1], "same").unwrap());
    assert_eq!(store.delete_entity(scopes[2], "user", "u2").unwrap(), 1);
    store.remove(scopes[0]).unwrap();
    store.remove(scopes[0]).unwrap();
    let store = reopen(store);
    for (i, scope) in scopes.into_iter().enumerate() {
        assert_eq!(scanned(&store, scope).len(), usize::from(i > 2), "{scope:?}");
    }
    store.init(scopes[0]).unwrap();
    assert_eq!(store.get(scopes[0], "same").unwrap(), None);
    assert_eq!(found(&store, scopes[0], &of_entity("u0")), Vec::<String>::new());
    store.append(scopes[0], &[with_id("again", event("buy", "u0", "i", 0))]).unwrap();
    assert_eq!(all(&store, scopes[0]), ["again"]);
}

/// Ids and names at the limit of validation, properties of 1 MB, and ids that share long prefixes.
fn large<S: EventStore>(store: S, reopen: impl Fn(S) -> S) {
    let long = |byte: char| byte.to_string().repeat(crate::MAX_NAME_BYTES);
    let twin = |last: char| format!("{}{last}", "x".repeat(1023));
    let mut huge = with_id(&long('e'), event(&long('n'), &long('u'), &long('i'), 0));
    huge.entity.kind = long('k');
    huge.pr_id = Some(long('p'));
    huge.properties.insert("text", "ü".repeat(500_000));
    huge.properties.insert("list", vec![7; 100_000]);
    let twins = [
        with_id(&twin('1'), event("buy", &twin('a'), "i", 1)),
        with_id(&twin('2'), event("buy", &twin('b'), "i", 1)),
    ];
    store.append(SCOPE, std::slice::from_ref(&huge)).unwrap();
    store.append(SCOPE, &twins).unwrap();
    let store = reopen(store);
    assert_eq!(store.get(SCOPE, &long('e')).unwrap(), Some(huge.clone()));
    assert_eq!(found(&store, SCOPE, &of_entity(&twin('a'))), [twin('1')]);
    assert_eq!(found(&store, SCOPE, &of_entity(&twin('b'))), [twin('2')]);
    let by_entity = EventFilter { entity_type: Some(long('k')), ..of_entity(&long('u')) };
    assert_eq!(found(&store, SCOPE, &by_entity), [long('e')]);
    assert!(store.delete(SCOPE, &twin('1')).unwrap());
    assert_eq!(store.delete_entity(SCOPE, &long('k'), &long('u')).unwrap(), 1);
    assert_eq!(scanned(&store, SCOPE), [twin('2')]);
}

/// Writers in parallel lose nothing, and readers see whole batches only.
fn concurrent_writers<S: EventStore>(store: S, reopen: impl Fn(S) -> S) {
    const WRITERS: usize = 4;
    const BATCHES: usize = 10;
    const SIZE: usize = 7;
    let shared = &store;
    let ids: Vec<String> = std::thread::scope(|threads| {
        let writer = |w: usize| {
            move || -> Vec<String> {
                let batch: Vec<Event> =
                    (0..SIZE).map(|i| event("buy", &format!("u{w}"), &format!("i{i}"), 0)).collect();
                let upsert = with_id("shared", event("buy", &format!("s{w}"), "i", 0));
                let append = |_| {
                    shared.append(SCOPE, std::slice::from_ref(&upsert)).unwrap();
                    shared.append(SCOPE, &batch).unwrap()
                };
                (0..BATCHES).flat_map(append).collect()
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|w| threads.spawn(writer(w))).collect();
        for _ in 0..20 {
            let seen = scanned(shared, SCOPE).iter().filter(|id| *id != "shared").count();
            assert_eq!(seen % SIZE, 0, "a batch is seen whole or not at all");
        }
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let store = reopen(store);
    let mut expected = ids;
    expected.push("shared".into());
    expected.sort();
    assert_eq!(scanned(&store, SCOPE), expected);
    let owners: usize = (0..WRITERS).map(|w| found(&store, SCOPE, &of_entity(&format!("s{w}"))).len()).sum();
    assert_eq!(owners, 1, "one event has one entity, whoever wrote last");
    for w in 0..WRITERS {
        assert_eq!(found(&store, SCOPE, &of_entity(&format!("u{w}"))).len(), BATCHES * SIZE);
    }
}

/// A visitor may read from the store; it must not deadlock.
fn visitor_may_read(store: &impl EventStore) {
    let batch: Vec<Event> = (0..5).map(|i| event("buy", "u", "i", i)).collect();
    store.append(SCOPE, &batch).unwrap();
    let mut reads = 0;
    let mut read = |event: &crate::EventRef<'_>| {
        assert!(store.get(SCOPE, event.event_id).unwrap().is_some());
        reads += found(store, SCOPE, &of_entity(event.entity_id)).len();
        ControlFlow::Continue(())
    };
    store.find(SCOPE, &EventFilter::default(), &mut read).unwrap();
    store.scan(SCOPE, &mut read).unwrap();
    assert_eq!(reads, 50);
}

/// Entities named since a position.
fn changed(store: &impl EventStore, since: Position) -> (Changes, BTreeSet<String>) {
    let mut named = BTreeSet::new();
    let mut name = |kind: &str, id: &str| {
        named.insert(format!("{kind} {id}"));
    };
    let changes = store.changes(SCOPE, since, &mut name).unwrap();
    (changes, named)
}

/// Whatever is done to a special event names its entity, once to who has asked since; everything else is silent.
fn changes<S: EventStore>(store: S, reopen: impl Fn(S) -> S) {
    let set = |id: &str, item: &str| {
        let mut set = with_id(id, event("$set", item, "-", 5));
        (set.entity.kind, set.target) = ("item".into(), None);
        set
    };
    let (start, named) = changed(&store, Position::default());
    assert!(!start.complete && named.is_empty(), "nobody knows what was before the beginning");
    let mut since = start.now;
    let mut told = |store: &S, expected: &[&str]| {
        let (changes, named) = changed(store, since);
        assert!(changes.complete);
        assert_eq!(named.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert_eq!(changed(store, changes.now), (changes, BTreeSet::new()), "told once");
        since = changes.now;
    };
    store.append(SCOPE, &[event("view", "u", "i", 1), with_id("own", event("view", "u", "i", 2))]).unwrap();
    told(&store, &[]);
    let mut unnamed = set("", "a");
    unnamed.event_id = None;
    let ids = store.append(SCOPE, &[unnamed, set("b1", "b"), event("$delete", "u", "-", 3)]).unwrap();
    told(&store, &["item a", "item b", "user u"]);
    let store = reopen(store);
    told(&store, &[]);
    store.append(SCOPE, &[set("b1", "c"), with_id("own", event("view", "v", "i", 2))]).unwrap();
    told(&store, &["item b", "item c"]);
    store.append(SCOPE, &[with_id("b1", event("view", "u", "i", 5))]).unwrap();
    told(&store, &["item c"]);
    store.append(SCOPE, &[set("b1", "b"), set(&ids[0], "d")]).unwrap();
    told(&store, &["item a", "item b", "item d"]);
    assert!(store.delete(SCOPE, &ids[0]).unwrap() && store.delete(SCOPE, "own").unwrap());
    told(&store, &["item d"]);
    store.append(SCOPE, &[set(&ids[0], "a")]).unwrap();
    told(&store, &["item a"]);
    assert_eq!(store.delete_entity(SCOPE, "item", "b").unwrap(), 1);
    told(&store, &["item b"]);
    let seen = EventVersion { id: ids[0].clone(), event_time: 5, creation_time: 1_000_000 };
    assert!(store.replace(SCOPE, &[seen], &[set("new", "e")]).unwrap());
    told(&store, &["item a", "item e"]);
    store.remove(SCOPE).unwrap();
    let (nothing, _) = changed(&store, since);
    assert!(!nothing.complete && changed(&store, nothing.now).0.complete, "there is no scope any more");
    store.init(SCOPE).unwrap();
    store.append(SCOPE, &[set("f1", "f")]).unwrap();
    let (changes, _) = changed(&store, since);
    assert!(!changes.complete && changes.now != since, "a new life");
}
