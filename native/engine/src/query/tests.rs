use std::path::Path;

use events::json;
use proptest::prelude::*;

use super::*;
use crate::members::arbitrary::any_json;
use crate::members::docs::Reference;

fn parsed(text: &str) -> Query {
    Query::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    Query::parse(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn docs_follow_the_tables() {
    let reference = Reference::open("query-api.md");
    reference.require_tables(tables::ALL);
    let examples = reference.examples();
    assert!(examples.len() > 5, "examples found");
    for example in examples {
        assert_eq!(parsed(example).unknown, Vec::<String>::new(), "{example}");
    }
}

const FULL: &str = r#"{
  "user": "u1", "userBias": -1, "item": "i1", "itemBias": 0.5, "itemSet": ["a", "b"], "itemSetBias": 2,
  "fields": [
    {"name": "category", "values": ["x", "y"], "bias": 1.05},
    {"name": "category", "values": ["z"], "bias": -3},
    {"name": "brand", "values": [], "bias": 0},
    {"name": "brand", "values": ["own"], "factor": 0.1}
  ],
  "ranges": [
    {"name": "price", "gte": 1, "lt": 2.5},
    {"name": "date", "gt": "2026-01-01", "bias": 7},
    {"name": "rating", "lte": 3, "bias": 0},
    {"name": "rating", "gt": 3, "factor": 2}
  ],
  "dateRange": {"name": "date", "after": "2026-01-01T00:00:00+01:00", "before": 1767225600000},
  "currentDate": "2026-01-15T12:00:00", "blacklistItems": ["c"], "returnSelf": true, "num": 7, "from": 3,
  "dither": {"sigma": 2, "seed": -7, "period": "12 hours"},
  "eventNames": ["view"], "withRanks": true, "explain": true, "resultProps": ["*"],
  "history": [{"event": "view", "item": "q"}], "prId": "p", "withPrId": true, "withDegraded": true
}"#;

fn rule(name: &str, values: &[&str], effect: Effect) -> Rule {
    Rule { name: name.into(), values: values.iter().map(|&value| value.into()).collect(), effect }
}

fn full() -> Query {
    let bounds = |field: &str| model::Bounds { field: field.into(), ..model::Bounds::default() };
    let year_2026 = 1_767_225_600_000_i64;
    Query {
        user: Some("u1".into()),
        user_bias: Some(-1.0),
        item: Some("i1".into()),
        item_bias: Some(0.5),
        item_set: vec!["a".into(), "b".into()],
        item_set_bias: Some(2.0),
        rules: vec![
            rule("category", &["x", "y"], Effect::Boost(1.05)),
            rule("category", &["z"], Effect::Include),
            rule("brand", &[], Effect::Exclude),
            rule("brand", &["own"], Effect::Factor(0.1)),
        ],
        ranges: vec![
            RangeRule {
                bounds: model::Bounds { gte: Some(1.0), lt: Some(2.5), ..bounds("price") },
                effect: Effect::Include,
            },
            RangeRule {
                bounds: model::Bounds { gt: Some(1_767_225_600_000.0), dates: true, ..bounds("date") },
                effect: Effect::Boost(7.0),
            },
            RangeRule {
                bounds: model::Bounds { lte: Some(3.0), ..bounds("rating") },
                effect: Effect::Exclude,
            },
            RangeRule {
                bounds: model::Bounds { gt: Some(3.0), ..bounds("rating") },
                effect: Effect::Factor(2.0),
            },
        ],
        date_range: Some(DateRange {
            name: "date".into(),
            after: Some(year_2026 - 3_600_000),
            before: Some(year_2026),
        }),
        current_date: Some(year_2026 + (14 * 24 + 12) * 3_600_000),
        blacklist_items: vec!["c".into()],
        return_self: Some(true),
        num: Some(7),
        from: 3,
        dither: Some(DitherChange { sigma: Some(2.0), seed: Some(-7), period_ms: Some(43_200_000) }),
        event_names: Some(vec!["view".into()]),
        with_ranks: true,
        explain: true,
        result_props: Some(vec!["*".into()]),
        history: Some(vec![HistoryEvent { event: "view".into(), item: "q".into() }]),
        pr_id: Some("p".into()),
        with_pr_id: true,
        with_degraded: true,
        unknown: vec![],
    }
}

#[test]
fn every_member_is_read() {
    assert_eq!(parsed(FULL), full());
    let object = json::parse(FULL.as_bytes()).unwrap();
    for member in tables::QUERY.members {
        assert!(object.get(member.name).is_some(), "{} is missing in the test", member.name);
    }
}

#[test]
fn harness_names_mean_the_same() {
    let query = parsed(
        r#"{"rules": [{"name": "c", "values": ["x"], "bias": -1}], "indicatorNames": ["view"],
            "dateRange": {"name": "d", "afterDate": "2026-01-01", "beforeDate": "2026-01-02"}}"#,
    );
    assert_eq!(query.rules, [rule("c", &["x"], Effect::Include)]);
    assert_eq!(query.event_names, Some(vec!["view".into()]));
    let range = query.date_range.unwrap();
    assert_eq!(range.before.unwrap() - range.after.unwrap(), 86_400_000);
}

#[test]
fn an_empty_body_is_the_empty_query() {
    for text in
        ["", " \n", "{}", ",{,}", r#"{"user": null, "fields": null}"#, r#"{"comment": "x", "comment": 1}"#]
    {
        assert_eq!(parsed(text), Query::default(), "{text}");
    }
}

#[test]
fn dithering_is_as_the_engine_says_or_off_or_changed() {
    let dither = |text: &str| parsed(text).dither;
    assert_eq!(dither("{}"), None);
    assert_eq!(dither(r#"{"dither":null}"#), None);
    assert_eq!(dither(r#"{"dither":false}"#), Some(DitherChange::OFF));
    assert_eq!(dither(r#"{"dither":{}}"#), Some(DitherChange::default()));
    let seeded = DitherChange { seed: Some(7), ..DitherChange::default() };
    assert_eq!(dither(r#"{"dither":{"seed":7}}"#), Some(seeded));
    assert_eq!(parsed(r#"{"dither":false}"#).to_json().to_string(), r#"{"dither":false}"#);
}

#[test]
fn old_clients_are_met_half_way() {
    assert_eq!(parsed(r#"{"user":42}"#).user.as_deref(), Some("42"));
    assert_eq!(parsed(r#"{"user":4.5}"#).user.as_deref(), Some("4.5"));
    assert_eq!(parsed(r#"{"num":1e3}"#).num, Some(1000));
    assert_eq!(parsed(r#"{"user":"u5" "from":0,, "num":5,}"#).num, Some(5));
    let rules = parsed(r#"{"fields":[{"name":"c","values":[1,2.5],"bias":-1}]}"#).rules;
    assert_eq!(rules, [rule("c", &["1", "2.5"], Effect::Include)]);
    let history = parsed(r#"{"history":{"view":["a",7],"buy":["c"]}}"#).history.unwrap();
    let pairs: Vec<(&str, &str)> = history.iter().map(|e| (e.event.as_str(), e.item.as_str())).collect();
    assert_eq!(pairs, [("view", "a"), ("view", "7"), ("buy", "c")]);
}

#[test]
fn unknown_members_are_collected_once_each() {
    let query = parsed(r#"{"users":"u1","x[12]":0,"x[7]":0,"maxQueryEvents":{"any":1}}"#);
    assert_eq!(query.unknown, ["users", "x[]", "maxQueryEvents"]);
}

#[test]
fn unknown_members_of_rules_are_refused() {
    refuses(&[
        (
            r#"{"dateRange":{"name":"d","after":0,"befor":1}}"#,
            r#"dateRange.befor is not known; known are "name", "after" and "before""#,
        ),
        (
            r#"{"ranges":[{"name":"p","lt":1},{"name":"p","lt":1,"min":0}]}"#,
            r#"ranges[1].min is not known; known are "name", "gt", "gte", "lt", "lte", "bias" and "factor""#,
        ),
        (
            r#"{"fields":[{"name":"c","values":[],"bias":0,"boost":1}]}"#,
            r#"fields[0].boost is not known; known are "name", "values", "bias" and "factor""#,
        ),
        (
            r#"{"rules":[{"name":"c","values":[],"bias":0,"boost":1}]}"#,
            r#"rules[0].boost is not known; known are "name", "values", "bias" and "factor""#,
        ),
        (r#"{"dither":{"sedd":1}}"#, r#"dither.sedd is not known; known are "sigma", "seed" and "period""#),
        (
            r#"{"history":[{"event":"view","item":"a","when":1}]}"#,
            r#"history[0].when is not known; known are "event" and "item""#,
        ),
        (r#"{"dateRange":{"name":"d"}}"#, "dateRange must have a bound: after or before"),
        (r#"{"dateRange":{"name":"d","after":null}}"#, "dateRange must have a bound: after or before"),
    ]);
    let commented = parsed(r#"{"dateRange":{"name":"d","after":0,"comment":"new ones"}}"#);
    assert_eq!(commented.date_range.unwrap().after, Some(0));
}

#[test]
fn what_is_wrong_is_named() {
    refuses(&[
        (
            r#"{"fields":[{"name":"c","values":"x","bias":1}]}"#,
            r#"fields[0].values must be an array of strings, got "x""#,
        ),
        (r#"{"num":"5"}"#, r#"num must be a whole number from 0 to 10000, got "5""#),
        (r#"{"num":3.7}"#, "num must be a whole number from 0 to 10000, got 3.7"),
        (r#"{"num":-1}"#, "num must be a whole number from 0 to 10000, got -1"),
        (r#"{"from":-1}"#, "from must be a whole number from 0 to 10000, got -1"),
        (r#"{"from":9990,"num":11}"#, "from with num must end within 10000 results, got 9990 + 11"),
        (r#"{"userBias":"2"}"#, r#"userBias must be a number, got "2""#),
        (r#"{"userBias":1e39}"#, "userBias must be between -3.4028235e38 and 3.4028235e38, got 1.0E39"),
        (r#"{"returnSelf":"true"}"#, r#"returnSelf must be true or false, got "true""#),
        (r#"{"returnSelf":1}"#, "returnSelf must be true or false, got 1"),
        (r#"{"user":true}"#, "user must be a string, got true"),
        (r#"{"user":{}}"#, "user must be a string, got {}"),
        (r#"{"user":"a","user":"b"}"#, r#"user is given twice: "user" may be there once"#),
        (
            r#"{"fields":[],"rules":[]}"#,
            r#"rules means the same as "fields": only one of the two may be there"#,
        ),
        (r#"{"rules":[],"rules":[]}"#, r#"rules is given twice: "rules" may be there once"#),
        (r#"{"blacklistItems":"a"}"#, r#"blacklistItems must be an array of strings, got "a""#),
        (r#"{"blacklistItems":["a",true]}"#, "blacklistItems[1] must be a string, got true"),
        (r#"{"dateRange":{"before":1}}"#, "dateRange.name is missing; it must be a string"),
        (
            r#"{"dateRange":{"name":"d","before":"soon"}}"#,
            r#"dateRange.before must be a date such as "2026-01-15T12:00:00Z", or milliseconds since 1970, got "soon""#,
        ),
        (
            r#"{"currentDate":[]}"#,
            r#"currentDate must be a date such as "2026-01-15T12:00:00Z", or milliseconds since 1970, got []"#,
        ),
        (r#"{"fields":[{"name":"d","values":["x"]}]}"#, r#"fields[0] must have "bias" or "factor""#),
        (
            r#"{"fields":[{"name":"d","values":["x"],"bias":"-1"}]}"#,
            r#"fields[0].bias must be a number, got "-1""#,
        ),
        (r#"{"fields":[{"values":["x"],"bias":1}]}"#, "fields[0].name is missing; it must be a string"),
        (
            r#"{"fields":[{"name":"d","bias":1}]}"#,
            "fields[0].values is missing; it must be an array of strings",
        ),
        (r#"{"fields":{"name":"d"}}"#, "fields must be an array of objects, got an object of 1"),
        (r#"{"fields":["d"]}"#, r#"fields[0] must be an object, got "d""#),
        (
            r#"{"fields":[{"name":"d","values":[],"bias":1,"factor":1}]}"#,
            r#"fields[0] must have either "bias" or "factor", not both"#,
        ),
        (
            r#"{"fields":[{"name":"d","values":[],"factor":0}]}"#,
            "fields[0].factor must be a number > 0, got 0",
        ),
    ]);
}

#[test]
fn what_is_wrong_in_extensions_or_shape_is_named() {
    refuses(&[
        (r#"{"ranges":[{"name":"p"}]}"#, "ranges[0] must have a bound: gt, gte, lt or lte"),
        (
            r#"{"ranges":[{"name":"p","gt":1,"gte":1}]}"#,
            r#"ranges[0] must have either "gt" or "gte", not both"#,
        ),
        (
            r#"{"ranges":[{"name":"p","lt":1,"lte":1}]}"#,
            r#"ranges[0] must have either "lt" or "lte", not both"#,
        ),
        (
            r#"{"ranges":[{"name":"p","gt":1,"lt":"2026-01-01"}]}"#,
            "ranges[0] must have bounds of one kind: numbers or dates",
        ),
        (
            r#"{"ranges":[{"name":"p","gt":"2000"}]}"#,
            r#"ranges[0].gt must be a number, or a date such as "2026-01-15T12:00:00Z", got "2000""#,
        ),
        (
            r#"{"history":"view"}"#,
            r#"history must be an array of {"event", "item"} or an object of arrays of strings, got "view""#,
        ),
        (r#"{"dither":true}"#, "dither must be an object or false, got true"),
        (r#"{"dither":2}"#, "dither must be an object or false, got 2"),
        (r#"{"dither":{"sigma":0.9}}"#, "dither.sigma must be a number ≥ 1, got 0.9"),
        (r#"{"dither":{"sigma":"2"}}"#, r#"dither.sigma must be a number ≥ 1, got "2""#),
        (r#"{"dither":{"seed":0.5}}"#, "dither.seed must be a whole number, got 0.5"),
        (
            r#"{"dither":{"period":"soon"}}"#,
            r#"dither.period must be a duration such as "90 days" or "12 hours", or a number of seconds, got "soon""#,
        ),
        (r#"{"history":[{"event":"view"}]}"#, "history[0].item is missing; it must be a string"),
        (r#"{"history":{"view":"a"}}"#, r#"history.view must be an array of strings, got "a""#),
        (r#"[]"#, "the query must be an object, got []"),
        (r#"["a"]"#, "the query must be an object, got an array of 1"),
        ("3", "the query must be an object, got 3"),
        (
            r#"{"num":"5","from":"x","user":"u"}"#,
            r#"num must be a whole number from 0 to 10000, got "5"; from must be a whole number from 0 to 10000, got "x""#,
        ),
    ]);
    for text in [
        r#"{"user":"u5""#,
        r#"{"user":"#,
        "{user:1}",
        "{'user':1}",
        r#"{"num":NaN}"#,
        "{} x",
        "{} {}",
        "\u{feff}{}",
    ] {
        assert!(
            refused(text).starts_with("the query is not JSON: line 1, column "),
            "{text}: {}",
            refused(text)
        );
    }
}

/// Each of these queries is refused with exactly this message.
fn refuses(cases: &[(&str, &str)]) {
    for (text, message) in cases {
        assert_eq!(refused(text), *message, "{text}");
    }
}

#[test]
fn the_window_counts_the_engines_default() {
    let query = parsed(r#"{"from":9990}"#);
    assert_eq!(query.num_or(10), Ok(10));
    assert_eq!(
        query.num_or(11).unwrap_err().to_string(),
        "from with num must end within 10000 results, got 9990 + 11"
    );
    assert_eq!(parsed(r#"{"from":9990,"num":3}"#).num_or(20), Ok(3));
}

#[test]
fn messages_are_bounded() {
    let rules = vec!["{}"; 100_000].join(",");
    let error = Query::parse(format!(r#"{{"fields":[{rules}]}}"#).as_bytes()).unwrap_err();
    assert_eq!(error.problems.len(), 101);
    assert!(error.to_string().len() < 1000, "{error}");
    assert!(error.problems[100].message.contains("more problem"), "{:?}", error.problems[100]);
    let name = "n".repeat(1_000_000);
    let query = parsed(&format!(r#"{{"{name}":1}}"#));
    assert!(query.unknown[0].len() < 200);
    assert!(refused(&format!(r#"{{"num":"{name}"}}"#)).len() < 300);
}

#[test]
fn written_queries_omit_what_is_absent() {
    assert_eq!(Query::default().to_json().to_string(), "{}");
    let query = parsed(
        r#"{"rules":[{"name":"c","values":[1],"bias":1.05}],"user":7,"from":0,"currentDate":0,"x":1}"#,
    );
    assert_eq!(
        query.to_json().to_string(),
        r#"{"user":"7","fields":[{"name":"c","values":["1"],"bias":1.05}],"currentDate":"1970-01-01T00:00:00.000Z"}"#
    );
    assert_eq!(Query::from_json(&full().to_json()), Ok(full()));
}

#[test]
fn the_handmade_queries_parse() {
    let path =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ur-handmade/queries.jsonl"));
    let Ok(text) = std::fs::read_to_string(path) else {
        // Not a print macro: the test runner would swallow it.
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "SKIPPED: {} is not there", path.display());
        return;
    };
    let mut count = 0;
    for line in text.lines() {
        let case = json::parse(line.as_bytes()).unwrap();
        let query =
            Query::from_json(case.get("query").unwrap()).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(query.unknown, Vec::<String>::new(), "{line}");
        assert_eq!(Query::from_json(&query.to_json()), Ok(query), "{line}");
        count += 1;
    }
    assert_eq!(count, 28);
}

fn name() -> impl Strategy<Value = String> {
    "[a-zä\"\\\\ ]{0,5}"
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), 0..3)
}

fn single() -> impl Strategy<Value = f32> {
    prop::num::f32::NORMAL | prop::num::f32::ZERO
}

fn effect() -> impl Strategy<Value = Effect> {
    prop_oneof![
        prop::num::f32::POSITIVE.prop_filter("finite", |x| x.is_normal()).prop_map(Effect::Boost),
        Just(Effect::Include),
        Just(Effect::Exclude),
        prop::num::f32::POSITIVE.prop_filter("finite", |x| x.is_normal()).prop_map(Effect::Factor),
    ]
}

fn date() -> impl Strategy<Value = i64> {
    -8_640_000_000_000_000_i64..=8_640_000_000_000_000
}

fn range_rule() -> impl Strategy<Value = RangeRule> {
    let bound = prop_oneof![
        (-1e18..1e18f64, Just(false)),
        date().prop_map(|ms| {
            #[expect(clippy::cast_precision_loss, reason = "within 2^53")]
            (ms as f64, true)
        })
    ];
    (name(), bound, 0..4usize, effect()).prop_map(|(field, (value, dates), which, effect)| {
        let at = |index| (which == index).then_some(value);
        RangeRule {
            bounds: model::Bounds { field, dates, gt: at(0), gte: at(1), lt: at(2), lte: at(3) },
            effect,
        }
    })
}

fn any_query() -> impl Strategy<Value = Query> {
    let rules = prop::collection::vec(
        (name(), names(), effect()).prop_map(|(name, values, effect)| Rule { name, values, effect }),
        0..3,
    );
    let date_range =
        (name(), date(), prop::option::of(date()), any::<bool>()).prop_map(|(name, one, other, is_after)| {
            let (after, before) = if is_after { (Some(one), other) } else { (other, Some(one)) };
            DateRange { name, after, before }
        });
    let history =
        prop::collection::vec((name(), name()).prop_map(|(event, item)| HistoryEvent { event, item }), 0..3);
    let texts =
        (prop::option::of(name()), prop::option::of(name()), names(), names(), prop::option::of(names()));
    let dither = (
        prop::option::of(1.0..1e30f64),
        prop::option::of(any::<i64>()),
        prop::option::of(1..9_000_000_000_000_i64),
    )
        .prop_map(|(sigma, seed, period_ms)| DitherChange { sigma, seed, period_ms });
    let numbers = (
        prop::option::of(single()),
        prop::option::of(single()),
        prop::option::of(single()),
        prop::option::of(0..5000u32),
        0..5000u32,
        prop::option::of(dither),
    );
    let lists = (
        rules,
        prop::collection::vec(range_rule(), 0..3),
        prop::option::of(history),
        prop::option::of(names()),
    );
    let rest = (
        prop::option::of(date_range),
        prop::option::of(date()),
        prop::option::of(any::<bool>()),
        any::<bool>(),
        any::<bool>(),
    );
    (texts, numbers, lists, rest).prop_map(|(texts, numbers, lists, rest)| Query {
        user: texts.0,
        item: texts.1,
        item_set: texts.2,
        blacklist_items: texts.3,
        event_names: texts.4,
        user_bias: numbers.0,
        item_bias: numbers.1,
        item_set_bias: numbers.2,
        num: numbers.3,
        from: numbers.4,
        dither: numbers.5,
        rules: lists.0,
        ranges: lists.1,
        history: lists.2,
        result_props: lists.3,
        date_range: rest.0,
        current_date: rest.1,
        return_self: rest.2,
        with_ranks: rest.3,
        explain: rest.4,
        pr_id: None,
        with_pr_id: false,
        with_degraded: false,
        unknown: vec![],
    })
}

proptest! {
    #[test]
    fn written_queries_read_back(query in any_query()) {
        let text = query.to_json().to_string();
        prop_assert_eq!(Query::parse(text.as_bytes()), Ok(query), "{}", text);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Query::parse(&bytes);
    }

    #[test]
    fn damaged_queries_do_no_harm(at in 0..FULL.len(), byte in any::<u8>(), end in 0..FULL.len()) {
        let mut bytes = FULL.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = Query::parse(&bytes);
        let cut = FULL[..end].trim();
        prop_assert!(cut.is_empty() || Query::parse(cut.as_bytes()).is_err());
    }

    #[test]
    fn arbitrary_json_gives_a_query_or_named_errors(
        json in any_json(tables::ALL.iter().flat_map(|table| table.members).map(|member| member.name).collect())
    ) {
        match Query::from_json(&json) {
            Ok(query) => {
                let again = Query::from_json(&query.to_json());
                prop_assert_eq!(again, Ok(Query { unknown: vec![], ..query }));
            }
            Err(error) => prop_assert!(!error.problems.is_empty() && error.problems.len() <= 101),
        }
    }
}
