//! What a train makes of events.

use engine::Error;
use events::Kind;

use super::shop::{NOW, SCOPE, Shop, Silent, bytes, config, outdoor};

#[test]
fn the_model_is_the_same_for_any_thread_count_and_order() {
    let one = outdoor().stored().bytes("", 1);
    assert_eq!(one, outdoor().stored().bytes("", 2));
    assert_eq!(one, outdoor().stored().bytes("", 8));
    assert_eq!(one, outdoor().reverse().stored().bytes("", 3));
}

#[test]
fn correlators_are_those_of_the_worked_counts() {
    let served = outdoor().serve("");
    let tent = served.model.find("tent").unwrap();
    let found: Vec<(&str, f64)> = served.model.correlators("buy", tent).collect();
    // N = 8 users with purchases; tent 4, stove 3 (together 3), mat 4 (together 3).
    let llr = |k11, k12, k21, k22| cco::llr(k11, k12, k21, k22);
    assert_eq!(found[0], ("stove", llr(3, 1, 0, 4)));
    assert!(found.contains(&("mat", llr(3, 1, 1, 3))), "{found:?}");
    let views: Vec<&str> = served.model.correlators("view", tent).map(|(thing, _)| thing).collect();
    assert_eq!(views[0], "tent", "a thing that was viewed and bought by the same users is kept in A'B");
}

#[test]
fn missing_primary_events_are_named() {
    let refused = |shop: Shop, parameters: &str| {
        let error = shop.stored().train(parameters, 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        error.to_string()
    };
    let text = refused(Shop::new().does("u", "view", &["a"]), "");
    assert!(text.contains("no \"buy\" event") && text.contains("0 buy, 1 view"), "{text}");
    let text = refused(Shop::new().does("u", "buy", &["a"]), "|\"minEventsPerUser\":3");
    assert!(text.contains("no user has 3 or more") && text.contains("minEventsPerUser"), "{text}");
}

#[test]
fn a_secondary_without_events_is_a_warning_and_keeps_its_place() {
    let shop =
        Shop::new().does("u", "buy", &["a", "b"]).does("v", "buy", &["a", "b"]).does("w", "buy", &["c"]);
    let trained = shop.stored().train("", 1).unwrap();
    assert!(
        trained.report.warnings.iter().any(|text| text.contains("no \"view\" events")),
        "{:?}",
        trained.report
    );
    assert_eq!(trained.parts.indicators[1].name, "view");
    assert_eq!(trained.parts.indicators[1].correlators.len(), 0);
}

#[test]
fn repeated_purchases_count_for_the_minimum_but_not_for_the_evidence() {
    let shop = || {
        Shop::new().does("u", "buy", &["a", "a", "b"]).does("v", "buy", &["a", "b"]).does(
            "w",
            "buy",
            &["c", "c", "c"],
        )
    };
    let trained = shop().stored().train("|\"minEventsPerUser\":3", 1).unwrap();
    assert_eq!(trained.report.users, 2, "u has three events, v two");
    assert_eq!(trained.report.indicators[0].cells, 3);
    assert_eq!(shop().stored().train("", 1).unwrap().report.users, 3);
}

#[test]
fn the_window_filters_events_but_never_special_ones() {
    let shop = || {
        Shop::new()
            .did("old", "buy", &["x", "y"], 40)
            .did("u", "buy", &["a", "b"], 3)
            .did("v", "buy", &["c"], 3)
            .item("a", r#"{"kind":"k"}"#)
    };
    let trained = shop().stored().train("|\"eventWindow\":{\"duration\":\"30 days\"}", 1).unwrap();
    assert_eq!(trained.report.users, 2);
    assert!(trained.parts.items.find("x").is_none() && trained.parts.items.find("a").is_some());
    assert_eq!(shop().stored().train("", 1).unwrap().report.users, 3);
}

#[test]
fn duplicates_change_popularity_only_and_can_be_removed() {
    let shop = || Shop::new().does("u", "buy", &["a", "b", "a", "a"]).does("v", "buy", &["b", "c"]);
    let rank = |parameters: &str, item: &str| {
        let served = shop().serve(parameters);
        let row = served.model.find(item).unwrap();
        served.model.ranks(row).map(|(_, rank)| rank).next().unwrap()
    };
    assert_eq!(rank("", "a"), 3.0);
    assert_eq!(rank("|\"eventWindow\":{\"removeDuplicates\":true}", "a"), 1.0);
    assert_eq!(rank("|\"eventWindow\":{\"removeDuplicates\":true}", "b"), 2.0);
}

#[test]
fn rankings_are_all_there_in_their_order() {
    let rankings = r#""rankings":[{"name":"own","type":"userDefined"},{"name":"popRank","type":"popular","duration":"30 days"},
        {"name":"lucky","type":"random"}]"#;
    let shop = Shop::new().does("u", "buy", &["a", "b"]).does("v", "buy", &["b"]);
    let shop = shop.item("a", r#"{"own":7}"#).item("c", r#"{"own":"2.5"}"#).item("d", r#"{"own":"many"}"#);
    let trained = shop.stored().train(rankings, 1).unwrap();
    assert_eq!(trained.report.rankings, [("own".into(), 2), ("popRank".into(), 2), ("lucky".into(), 4)]);
    let served = model::Model::from_bytes(bytes(&trained)).unwrap();
    let ranks: Vec<(&str, f32)> = served.ranks(served.find("a").unwrap()).collect();
    assert_eq!((ranks[0], ranks[1]), (("own", 7.0), ("popRank", 1.0)));
}

#[test]
fn bad_dates_and_colliding_properties_are_warnings() {
    let shop = Shop::new().does("u", "buy", &["a"]).does("v", "buy", &["b"]);
    let shop = shop.item("a", r#"{"from":"soon","buy":["x"]}"#);
    let trained = shop.stored().train(r#""availableDateName":"from","expireDateName":"until""#, 1).unwrap();
    let warnings = trained.report.warnings.join("\n");
    assert!(warnings.contains("\"from\": 1 value(s)") && warnings.contains("\"soon\""), "{warnings}");
    assert!(warnings.contains("\"buy\" has the name of an indicator"), "{warnings}");
}

#[test]
fn collab_filtering_keeps_properties_and_has_no_rankings() {
    let trained = outdoor().stored().train(r#""recsModel":"collabFiltering""#, 1).unwrap();
    assert!(trained.parts.rankings.is_empty() && !trained.parts.properties.is_empty());
}

#[test]
fn backfill_keeps_the_correlators_and_refreshes_the_rest() {
    let shop = outdoor().stored();
    let first = model::Model::from_bytes(shop.bytes("", 1)).unwrap();
    let later =
        Shop::on(shop.store).does("z1", "buy", &["mat", "rope"]).item("mat", r#"{"kind":["new"]}"#).stored();
    let options = engine::TrainOptions { threads: 1, now_ms: NOW };
    let train = |current| {
        let config = config(r#""recsModel":"backfill""#);
        engine::train(&config, later.store.as_ref(), SCOPE, current, options, &Silent)
    };
    assert!(matches!(train(None), Err(Error::Untrainable(text)) if text.contains("there is none")));
    let second = model::Model::from_bytes(bytes(&train(Some(&first)).unwrap())).unwrap();
    let (before, after) = (first.find("mat").unwrap(), second.find("mat").unwrap());
    assert!(first.correlators("buy", before).eq(second.correlators("buy", after)));
    assert_eq!(first.counts().users, second.counts().users);
    assert_eq!(second.ranks(after).next().unwrap().1, first.ranks(before).next().unwrap().1 + 1.0);
    assert!(second.document(after).unwrap().contains("new"));
}

/// Asks for an end as soon as a stage of this name makes progress.
struct StopsAt(&'static str, std::sync::Mutex<String>);

impl engine::Observer for StopsAt {
    fn stage(&self, name: &str, _: u64) {
        name.clone_into(&mut self.1.lock().unwrap());
    }
    fn progress(&self, _: u64) {}
    fn preflight(&self, _: &engine::TrainReport) {}
    fn is_stopped(&self) -> bool {
        self.1.lock().unwrap().starts_with(self.0)
    }
}

#[test]
fn a_train_stops_when_it_is_asked_to() {
    let shop = outdoor().stored();
    let options = engine::TrainOptions { threads: 2, now_ms: NOW };
    for stage in ["correlate buy", "correlate view"] {
        let observer = StopsAt(stage, std::sync::Mutex::default());
        let stopped = engine::train(&config(""), shop.store.as_ref(), SCOPE, None, options, &observer);
        assert!(matches!(stopped, Err(Error::Stopped)), "{stage}");
        assert!(observer.1.lock().unwrap().starts_with(stage), "it went on");
    }
    let observer = StopsAt("never", std::sync::Mutex::default());
    assert!(engine::train(&config(""), shop.store.as_ref(), SCOPE, None, options, &observer).is_ok());
}
