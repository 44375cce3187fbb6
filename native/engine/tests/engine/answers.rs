//! What each member of a query does.

use std::sync::Arc;

use events::conformance::{Deviation, Double};
use events::{Error, EventStore, Kind, Result, Scope, VisitDeed};

use super::shop::{Served, outdoor};

const DATES: &str = r#""availableDateName":"from","expireDateName":"until""#;

#[test]
fn a_history_finds_what_goes_with_it() {
    let served = outdoor().serve("");
    assert_eq!(
        served.scored(r#"{"user":"new"}"#),
        ["mat", "stove"],
        "equal scores by popularity; not the tent that is bought already"
    );
    let all = served.items(r#"{"user":"new"}"#);
    assert_eq!(all.len(), 6, "filled up by popularity: {all:?}");
    assert!(!all.contains(&"tent".to_owned()));
}

#[test]
fn nobody_in_particular_gets_the_popular_ones() {
    let served = outdoor().serve("");
    let popular = ["chalk", "mat", "tent", "harness", "rope", "stove", "gift"];
    for query in ["{}", "", r#"{"user":"stranger"}"#, r#"{"item":"unknown"}"#] {
        assert_eq!(served.items(query), popular, "{query}");
    }
    assert_eq!(served.items(r#"{"num":2,"from":1}"#), ["mat", "tent"]);
    assert_eq!(served.items(r#"{"num":0}"#), [""; 0]);
}

#[test]
fn similar_items_come_from_the_items_correlators() {
    let served = outdoor().serve("");
    assert_eq!(served.scored(r#"{"item":"rope"}"#)[..2], ["harness", "chalk"]);
    assert_eq!(served.scored(r#"{"item":"rope","returnSelf":true}"#)[0], "rope");
}

#[test]
fn an_item_set_is_matched_and_excluded() {
    let served = outdoor().serve("");
    let items = served.items(r#"{"itemSet":["tent","stove"],"num":100}"#);
    assert_eq!(items[0], "mat");
    assert!(!items.contains(&"tent".to_owned()) && !items.contains(&"stove".to_owned()));
    let zero = served.scored(r#"{"itemSet":["tent","stove"],"itemSetBias":0}"#);
    assert!(zero.is_empty(), "{zero:?}");
}

#[test]
fn biases_scale_filter_or_switch_off() {
    let served = outdoor().serve("");
    let plain = served.scores(r#"{"user":"new","eventNames":["buy"]}"#);
    let double = served.scores(r#"{"user":"new","eventNames":["buy"],"userBias":2}"#);
    assert_eq!(double[0].1, plain[0].1 * 2.0);
    let filtered = served.scores(r#"{"user":"new","eventNames":["buy"],"userBias":-1}"#);
    assert_eq!(filtered, [("mat".to_owned(), 0.0), ("stove".to_owned(), 0.0)]);
    let off = served.scores(r#"{"user":"new","userBias":0}"#);
    assert!(off.iter().all(|(item, score)| *score == 0.0 && item != "tent"), "the black list stays: {off:?}");
}

#[test]
fn rules_boost_include_exclude_and_multiply() {
    let served = outdoor().serve("");
    let rule = |effect: &str| {
        format!(r#"{{"user":"new","fields":[{{"name":"kind","values":["climb"],{effect}}}]}}"#)
    };
    let (boosted, plain) = (served.scores(&rule(r#""bias":50"#)), served.scores(r#"{"user":"new"}"#));
    assert!(boosted[0].0 == "chalk" && boosted[0].1 > plain[0].1, "{boosted:?}");
    assert_eq!(served.items(&rule(r#""bias":-1"#)), ["chalk", "rope"]);
    assert!(!served.items(&rule(r#""bias":0"#)).contains(&"rope".to_owned()));
    let half = served.scores(r#"{"user":"new","fields":[{"name":"kind","values":["camp"],"factor":0.5}]}"#);
    assert_eq!(half[0].1, plain[0].1 * 0.5);
}

#[test]
fn numbers_and_booleans_match_by_their_text_and_by_range() {
    let served = outdoor().serve("");
    assert_eq!(served.items(r#"{"fields":[{"name":"price","values":["50.5"],"bias":-1}]}"#), ["stove"]);
    assert_eq!(served.items(r#"{"fields":[{"name":"sale","values":["true"],"bias":-1}]}"#), ["gift"]);
    assert_eq!(served.items(r#"{"ranges":[{"name":"price","gte":30,"lt":120}]}"#), ["mat", "stove"]);
    assert_eq!(
        served.items(r#"{"ranges":[{"name":"price","gt":30,"bias":0}]}"#),
        ["chalk", "mat", "harness", "gift"]
    );
    let boosted = served.scores(r#"{"ranges":[{"name":"price","gt":150,"bias":3}]}"#);
    assert_eq!(boosted[0], ("tent".to_owned(), 3.0));
    assert_eq!(served.items(r#"{"ranges":[{"name":"from","gt":"2026-01-15"}]}"#), ["mat"]);
}

#[test]
fn availability_holds_on_every_query_and_a_date_range_replaces_it() {
    let served = outdoor().serve(DATES);
    assert_eq!(served.items("{}"), ["tent", "rope"], "now is the 10th of January");
    assert_eq!(served.items(r#"{"currentDate":"2026-01-02T00:00:00Z"}"#), ["tent", "rope", "stove"]);
    let range = r#"{"dateRange":{"name":"until","before":"2026-01-06T00:00:00Z"},"currentDate":"2026-01-02T00:00:00Z"}"#;
    assert_eq!(served.items(range), ["stove"]);
    let only_start = outdoor().serve(r#""availableDateName":"from""#);
    assert_eq!(only_start.items("{}"), ["tent", "rope", "stove"], "one date alone counts too");
}

#[test]
fn black_lists_exclude() {
    let served = outdoor().serve("");
    assert!(
        !served
            .items(r#"{"blacklistItems":["mat","gift"]}"#)
            .iter()
            .any(|item| item == "mat" || item == "gift")
    );
    let viewed = outdoor().serve(r#""blacklistEvents":["view"]"#);
    let items = viewed.items(r#"{"user":"c1"}"#);
    assert!(!items.contains(&"tent".to_owned()) && items.contains(&"stove".to_owned()), "{items:?}");
    let none = outdoor().serve(r#""blacklistEvents":[]"#);
    assert!(none.items(r#"{"user":"c1"}"#).contains(&"tent".to_owned()));
}

#[test]
fn event_names_restrict_the_history_and_must_be_known() {
    let served = outdoor().serve("");
    let viewed_only = served.items(r#"{"user":"c1","eventNames":["view"]}"#);
    assert!(viewed_only.contains(&"tent".to_owned()), "what is not read does not exclude: {viewed_only:?}");
    let error = served.ask(r#"{"user":"c1","eventNames":["vieew"]}"#).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("vieew") && error.to_string().contains("buy, view"), "{error}");
}

#[test]
fn a_query_uses_the_newest_distinct_history_up_to_its_limit() {
    let limited = r#""indicators":[{"name":"buy","maxQueryEvents":1},{"name":"view"}]"#;
    let shop = outdoor().did("both", "buy", &["rope"], 9).did("both", "buy", &["tent", "tent"], 2);
    let served: Served = shop.serve(limited);
    let explained = served.json(r#"{"user":"both","explain":true}"#);
    let history = explained.get("explain").unwrap().get("history").unwrap().get("buy").unwrap();
    assert_eq!(history.to_string(), r#"["tent"]"#);
    assert!(!served.items(r#"{"user":"both"}"#).contains(&"rope".to_owned()), "all of the history excludes");
}

#[test]
fn inline_history_needs_no_stored_user() {
    let served = outdoor().serve("");
    let inline = served.scores(r#"{"history":[{"event":"buy","item":"tent"}]}"#);
    assert_eq!(inline, served.scores(r#"{"user":"new"}"#));
    let error = served.ask(r#"{"history":[{"event":"eat","item":"tent"}]}"#).unwrap_err();
    assert!(error.to_string().contains("eat"), "{error}");
}

#[test]
fn ranks_and_properties_come_on_demand() {
    let served = outdoor().serve("");
    let plain = served.ask(r#"{"num":1}"#).unwrap().to_json();
    assert_eq!(plain, r#"{"itemScores":[{"item":"chalk","score":0.0}]}"#);
    let ranked = served.ask(r#"{"num":1,"withRanks":true,"resultProps":["price"]}"#).unwrap().to_json();
    let expected =
        r#"{"itemScores":[{"item":"chalk","score":0.0,"ranks":{"popRank":4.0},"properties":{"price":10}}]}"#;
    assert_eq!(ranked, expected);
    let all = served.json(r#"{"fields":[{"name":"kind","values":["big"],"bias":-1}],"resultProps":["*"]}"#);
    let properties = all.get("itemScores").unwrap().as_array().unwrap()[0].get("properties").unwrap();
    assert_eq!(properties.as_object().unwrap().len(), 4);
}

#[test]
fn explain_says_why_and_what_was_kept_back() {
    let served = outdoor().serve("");
    let query =
        r#"{"user":"new","explain":true,"num":1,"fields":[{"name":"kind","values":["camp"],"bias":0}]}"#;
    let answer = served.ask(query).unwrap();
    let explained = answer.explanation.as_ref().unwrap();
    assert_eq!(explained.excluded, ["tent"]);
    let kept_back: Vec<&str> = explained.filtered.iter().map(|(item, ..)| item.as_str()).collect();
    assert!(kept_back.starts_with(&["mat", "stove"]), "{kept_back:?}");
    let reasons = served.ask(r#"{"user":"new","explain":true}"#).unwrap().items[0].reasons.clone().unwrap();
    let reason = &reasons.because[0];
    assert_eq!(
        (reason.field.as_str(), reason.value.as_str(), &reason.from[..]),
        ("buy", "tent", &["history"][..])
    );
    assert!(reason.llr.unwrap() > 1.0 && reason.weight > 0.0 && reason.when.is_some(), "{reason:?}");
    assert!(events::json::parse(answer.to_json().as_bytes()).is_ok());
}

#[test]
fn collab_filtering_returns_only_what_correlates() {
    let served = outdoor().serve(r#""recsModel":"collabFiltering""#);
    assert_eq!(
        served.items(r#"{"user":"new"}"#),
        ["mat", "stove"],
        "equal scores go by id without a ranking"
    );
    assert!(served.items("{}").is_empty());
}

#[test]
fn standing_rules_join_the_querys() {
    let served = outdoor().serve(r#""fields":[{"name":"kind","values":["climb"],"bias":-1}]"#);
    assert_eq!(served.items("{}"), ["chalk", "rope"]);
    assert_eq!(served.items(r#"{"fields":[{"name":"price","values":["10"],"bias":0}]}"#), ["rope"]);
}

#[test]
fn a_history_that_cannot_be_read_degrades_the_answer() {
    let served = outdoor().serve("");
    let config = served.recommender.config().clone();
    let recommender = engine::Recommender::new(config, Arc::new(Double::new(Broken)), super::shop::SCOPE);
    let query = engine::Query::parse(br#"{"user":"new"}"#).unwrap();
    let answer = recommender.recommend(&served.model, &query, 0).unwrap();
    assert!(answer.degraded && answer.to_json().contains("\"degraded\":true"), "{answer:?}");
    assert!(!answer.items.is_empty());
}

/// A store that cannot read histories.
struct Broken;

impl Deviation for Broken {
    fn history(&self, _: &dyn EventStore, _: Scope, _: (&str, &str), _: VisitDeed<'_>) -> Result<()> {
        Err(Error::new(Kind::Unavailable, "out of order"))
    }
}
