//! What is said of items after a train changes answers as another train would.

use std::sync::Arc;

use engine::{LiveItems, Query};
use events::{Event, EventStore, EventTime, MemoryStore, Position};
use model::{Model, View};
use proptest::prelude::*;
use proptest::sample::select;

use super::shop::{NOW, SCOPE, Served, Shop, config, outdoor};

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Happening {
    /// Event name, item, seconds from now, properties, and the number of an id that other events may have, too.
    Event(&'static str, &'static str, i64, &'static str, Option<usize>),
    /// The event that came with this id, or that the shop began with, is deleted.
    Deleted(usize),
    /// All that was set on an item is deleted.
    Forgotten(&'static str),
}

const ITEMS: [&str; 11] =
    ["tent", "stove", "mat", "rope", "chalk", "gift", "harness", "lamp", "aaa", "new", "zelt"];

const PROPERTIES: [&str; 14] = [
    "{}",
    r#"{"kind":["camp"]}"#,
    r#"{"kind":["climb","any"],"price":75}"#,
    r#"{"kind":"any","price":200,"sale":true}"#,
    r#"{"price":"cheap"}"#,
    r#"{"price":[20,300],"odd":{"kind":["camp"]}}"#,
    r#"{"from":"2026-01-05T00:00:00Z","until":"2026-01-30T00:00:00Z"}"#,
    r#"{"from":"2026-01-11T00:00:00Z"}"#,
    r#"{"until":"not a date","from":1700000000000}"#,
    r#"{"own":3}"#,
    r#"{"own":"7.5","kind":["new kind"]}"#,
    r#"{"own":[1]}"#,
    r#"{"buy":["tent"],"popRank":99,"kind":null}"#,
    r#"{"later":"yes","sale":false}"#,
];

const CONFIGURATIONS: [&str; 7] = [
    "",
    r#""availableDateName":"from","expireDateName":"until""#,
    r#""rankings":[{"name":"own","type":"userDefined"},{"name":"popRank","type":"popular"},{"name":"lucky","type":"random"}]"#,
    r#""rankings":[{"name":"lucky","type":"random"}],"scoring":"es5-compat""#,
    r#""rankings":[{"name":"own","type":"userDefined"}],"scoring":"es5-compat""#,
    r#""recsModel":"collabFiltering""#,
    r#""fields":[{"name":"kind","values":["camp"],"bias":2}],"returnSelf":true"#,
];

const QUERIES: [&str; 16] = [
    "{}",
    r#"{"user":"new","withRanks":true}"#,
    r#"{"user":"c1","fields":[{"name":"kind","values":["camp","any"],"bias":3}]}"#,
    r#"{"user":"k1","fields":[{"name":"kind","values":["camp","climb"],"bias":-1}]}"#,
    r#"{"item":"rope","fields":[{"name":"kind","values":["climb","new kind"],"bias":0}]}"#,
    r#"{"item":"tent","fields":[{"name":"kind","values":["camp"],"factor":0.5}]}"#,
    r#"{"fields":[{"name":"price","values":["75","cheap","200"],"bias":1.5},{"name":"kind","values":["any"],"bias":1}]}"#,
    r#"{"fields":[{"name":"later","values":["yes"],"bias":-1}]}"#,
    r#"{"fields":[{"name":"buy","values":["tent"],"bias":2}]}"#,
    r#"{"ranges":[{"name":"price","gte":30,"lt":150}]}"#,
    r#"{"user":"new","ranges":[{"name":"price","gt":60,"bias":4}]}"#,
    r#"{"ranges":[{"name":"price","gt":60,"factor":2},{"name":"from","gt":"2026-01-03","bias":1}]}"#,
    r#"{"dateRange":{"name":"until","after":"2026-01-10T00:00:00Z"}}"#,
    r#"{"itemSet":["tent","aaa"],"blacklistItems":["new"]}"#,
    r#"{"from":3,"num":4}"#,
    r#"{"currentDate":"2026-01-21T00:00:00Z"}"#,
];

fn happening() -> impl Strategy<Value = Happening> {
    let name = select(&["$set", "$set", "$set", "$unset", "$delete"][..]);
    let seconds = prop_oneof![Just(0), -3i64..4, -3 * 86_400i64..86_400];
    let id = prop::option::weighted(0.3, 0usize..4);
    prop_oneof![
        8 => (name, select(&ITEMS[..]), seconds, select(&PROPERTIES[..]), id).prop_map(
            |(name, item, seconds, properties, id)| Happening::Event(name, item, seconds, properties, id)
        ),
        1 => (0usize..12).prop_map(Happening::Deleted),
        1 => select(&ITEMS[..]).prop_map(Happening::Forgotten),
    ]
}

fn item_event(name: &str, item: &str, seconds: i64, properties: &str, id: Option<&str>) -> Event {
    let id = id.map_or_else(String::new, |id| format!(r#""eventId":"{id}","#));
    // `$delete` carries nothing, and `$unset` must name something.
    let properties = match (name, properties) {
        ("$delete", _) => "{}",
        ("$unset", "{}") => r#"{"kind":null}"#,
        _ => properties,
    };
    let time = NOW + seconds * 1000;
    let json = format!(
        r#"{{{id}"event":"{name}","entityType":"item","entityId":"{item}","properties":{properties},"eventTime":{time}}}"#
    );
    Event::parse(json.as_bytes(), EventTime::utc(NOW)).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn apply(store: &MemoryStore, happening: &Happening, began_with: &[String]) {
    match happening {
        Happening::Event(name, item, seconds, properties, id) => {
            let id = id.map(|id| format!("own{id}"));
            let event = item_event(name, item, *seconds, properties, id.as_deref());
            store.append(SCOPE, &[event]).unwrap();
        }
        Happening::Deleted(number) => {
            let id = began_with.get(*number).cloned().unwrap_or_else(|| format!("own{}", number % 4));
            store.delete(SCOPE, &id).unwrap();
        }
        Happening::Forgotten(item) => {
            store.delete_entity(SCOPE, "item", item).unwrap();
        }
    }
}

/// Ids of the events that describe items.
fn special(store: &MemoryStore) -> Vec<String> {
    let mut ids = Vec::new();
    let mut visit = |event: &events::EventRef<'_>| {
        if event.event.starts_with('$') {
            ids.push(event.event_id.to_owned());
        }
        std::ops::ControlFlow::Continue(())
    };
    store.scan(SCOPE, &mut visit).unwrap();
    ids
}

fn position(store: &dyn EventStore) -> Position {
    store.changes(SCOPE, Position::default(), &mut |_, _| {}).unwrap().now
}

fn live(parameters: &str, store: &Arc<MemoryStore>, position: Option<Position>) -> LiveItems {
    LiveItems::new(config(parameters), Arc::<MemoryStore>::clone(store), SCOPE, position)
}

/// Every query, and each explained with all properties.
fn answers(served: &Served, view: View<'_>) -> Vec<String> {
    let explained = |query: &str| {
        let all = r#""explain":true,"resultProps":["*"]"#;
        if query == "{}" { format!("{{{all}}}") } else { query.replacen('{', &format!("{{{all},"), 1) }
    };
    let queries = QUERIES.iter().map(|query| (*query).to_owned());
    let queries = queries.chain(QUERIES.iter().map(|query| explained(query)));
    let answer = |query: String| {
        let parsed = Query::parse(query.as_bytes()).unwrap_or_else(|error| panic!("{query}: {error}"));
        let answer = served.recommender.recommend(view, &parsed, NOW).unwrap();
        format!("{query}\n{}", answer.to_json())
    };
    queries.map(answer).collect()
}

/// Trains once more on what the store has now.
fn retrained(store: &Arc<MemoryStore>, parameters: &str) -> Model {
    Model::from_bytes(Shop::on(Arc::clone(store)).bytes(parameters, 1)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn changes_answer_as_a_new_train_does(
        happenings in prop::collection::vec(happening(), 1..25),
        pauses in prop::collection::vec(any::<bool>(), 25),
        parameters in select(&CONFIGURATIONS[..]),
    ) {
        let shop = outdoor().stored();
        let (store, began_with) = (Arc::clone(&shop.store), special(&shop.store));
        let trained_at = position(store.as_ref());
        let served = shop.serve(parameters);
        let mut stepwise = live(parameters, &store, Some(trained_at));
        for (happening, pause) in happenings.iter().zip(pauses) {
            apply(&store, happening, &began_with);
            if pause {
                stepwise.advance(&served.model).unwrap();
            }
        }
        let model = retrained(&store, parameters);
        let expected = answers(&served, View::from(&model));
        let (mut at_once, mut unknown) = (live(parameters, &store, Some(trained_at)), live(parameters, &store, None));
        for live in [&mut stepwise, &mut at_once, &mut unknown] {
            live.advance(&served.model).unwrap();
            prop_assert!(!live.advance(&served.model).unwrap(), "nothing happened since");
            let found = answers(&served, View::new(&served.model, live.changes()));
            prop_assert_eq!(&found, &expected);
        }
    }
}

/// Whatever the order of arrival, the order of event times decides.
#[test]
fn event_times_decide_and_not_arrival() {
    let query = r#"{"fields":[{"name":"kind","values":["sold out"],"bias":-1}]}"#;
    let events = [
        item_event("$set", "rope", 10, r#"{"kind":["sold out"]}"#, None),
        item_event("$set", "rope", 20, r#"{"kind":["climb"]}"#, None),
        item_event("$delete", "mat", 30, "{}", None),
        item_event("$set", "mat", 40, r#"{"kind":["sold out"]}"#, None),
    ];
    for rotation in 0..events.len() {
        let shop = outdoor().stored();
        let store = Arc::clone(&shop.store);
        let mut live = live("", &store, Some(position(store.as_ref())));
        let served = shop.serve("");
        let mut events = events.clone();
        events.rotate_left(rotation);
        for event in events {
            store.append(SCOPE, &[event]).unwrap();
            live.advance(&served.model).unwrap();
        }
        let view = View::new(&served.model, live.changes());
        let answer =
            served.recommender.recommend(view, &Query::parse(query.as_bytes()).unwrap(), NOW).unwrap();
        let items: Vec<&str> = answer.items.iter().map(|item| item.item.as_str()).collect();
        assert_eq!(items, ["mat"], "{rotation}");
    }
}

/// Interactions and properties of users are no change of an item; a store that loses its place is read anew.
#[test]
fn what_is_no_change_is_none() {
    let shop = outdoor().stored();
    let store = Arc::clone(&shop.store);
    let mut live = live("", &store, Some(position(store.as_ref())));
    let served = shop.serve("");
    assert!(!live.advance(&served.model).unwrap() && live.changes().is_empty());
    let later = Shop::on(Arc::clone(&store)).did("c9", "buy", &["rope", "brand new"], 0).stored();
    let user = r#"{"event":"$set","entityType":"user","entityId":"rope","properties":{"kind":["x"]}}"#;
    store.append(SCOPE, &[Event::parse(user.as_bytes(), EventTime::utc(NOW)).unwrap()]).unwrap();
    let same = item_event("$set", "gift", 1, r#"{"sale":true}"#, None);
    store.append(SCOPE, &[same]).unwrap();
    assert!(!live.advance(&served.model).unwrap() && live.changes().is_empty());
    drop(later);
    store.remove(SCOPE).unwrap();
    store.init(SCOPE).unwrap();
    store.append(SCOPE, &[item_event("$set", "rope", 1, r#"{"kind":["x"]}"#, None)]).unwrap();
    assert!(live.advance(&served.model).unwrap());
    let view = View::new(&served.model, live.changes());
    assert_eq!(view.document(view.find("rope").unwrap()), Some(r#"{"kind":["x"]}"#));
    assert_eq!(view.document(view.find("tent").unwrap()), None);
}
