use std::path::Path;

use events::json::{self, Json, Object};
use proptest::prelude::*;

use super::*;
use crate::members::arbitrary::any_json;
use crate::members::docs::Reference;
use crate::query::Effect;

fn env(name: &str) -> Option<String> {
    match name {
        "APP" => Some("shop".into()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read(text: &str, leniency: Leniency) -> Result<(EngineConfig, Vec<String>), Vec<String>> {
    match EngineConfig::parse(text.as_bytes(), leniency, &env) {
        Ok((config, warnings)) => Ok((config, warnings.iter().map(ToString::to_string).collect())),
        Err(error) => Err(error.problems.iter().map(ToString::to_string).collect()),
    }
}

/// A file without errors; its warnings.
fn parsed(text: &str) -> (EngineConfig, Vec<String>) {
    read(text, Leniency::Strict).unwrap_or_else(|problems| panic!("{text}: {problems:#?}"))
}

fn clean(text: &str) -> EngineConfig {
    let (config, warnings) = parsed(text);
    assert_eq!(warnings, Vec::<String>::new(), "{text}");
    config
}

fn refused(text: &str) -> Vec<String> {
    read(text, Leniency::Strict).expect_err(text)
}

/// A file in the PredictionIO form with these members of the algorithm, in JSON without braces.
fn ur(params: &str) -> String {
    with_source("", params)
}

fn with_source(source: &str, params: &str) -> String {
    format!(
        r#"{{"id":"default","engineFactory":"com.actionml.RecommendationEngine",
             "datasource":{{"params":{{"appName":"shop",{source}}}}},
             "algorithms":[{{"name":"ur","params":{{"appName":"shop","indexName":"urindex",{params}}}}}]}}"#
    )
}

fn harness(top: &str, algorithm: &str) -> String {
    format!(
        r#"{{"engineId":"shop","engineFactory":"com.actionml.engines.ur.UREngine",{top},
             "algorithm":{{"indicators":[{{"name":"buy"}}],{algorithm}}}}}"#
    )
}

fn indicator(name: &str, max_items_per_user: u32, max_query_events: u32, max_correlators: u32) -> Indicator {
    let name = name.to_owned();
    Indicator { name, aliases: vec![], max_items_per_user, max_query_events, max_correlators, min_llr: None }
}

fn popular(primary: &str) -> Ranking {
    Ranking {
        name: "popRank".into(),
        kind: RankingKind::Popular,
        events: vec![primary.into()],
        duration_ms: 3650 * 86_400_000,
        end_ms: None,
        missing_as_zero: false,
    }
}

#[test]
fn docs_follow_the_tables() {
    let reference = Reference::open("engine-json.md");
    reference.require_tables(tables::ALL);
    let examples = reference.examples();
    assert!(examples.len() > 4, "examples found");
    for example in examples {
        let json = json::parse(example.as_bytes()).unwrap();
        let is_file = json.get("id").is_some() || json.get("engineId").is_some();
        let inner = example.trim().trim_start_matches('{').trim_end_matches('}');
        clean(&if is_file { example.to_owned() } else { ur(inner) });
    }
}

#[test]
fn the_smallest_file_has_the_documented_defaults() {
    let config = clean(&ur(r#""eventNames":["buy","view"]"#));
    let expected = EngineConfig {
        variant: "default".into(),
        engine_factory: "com.actionml.RecommendationEngine".into(),
        app_name: "shop".into(),
        index_name: Some("urindex".into()),
        indicators: vec![indicator("buy", 500, 100, 50), indicator("view", 500, 100, 50)],
        min_events_per_user: 1,
        window: EventWindow::default(),
        mirror_container: None,
        recs_model: RecsModel::All,
        blacklist_events: vec!["buy".into()],
        num: 20,
        user_bias: 1.0,
        item_bias: 1.0,
        item_set_bias: 1.0,
        return_self: false,
        rules: vec![],
        query_rules_replace: false,
        rankings: vec![popular("buy")],
        available_date: None,
        expire_date: None,
        date: None,
        seed: 0,
        scoring: model::Scoring::Global,
        dither: None,
        result_props: vec![],
        min_model_ratio: 0.5,
        spark_conf: BTreeMap::new(),
    };
    assert_eq!(config, expected);
}

const FULL: &str = r#"{
  "comment": "a", "comment": ["b"],
  "id": "v", "engineFactory": "org.template.RecommendationEngine", "description": "text",
  "datasource": {"name": "x", "params": {
    "name": "sample", "appName": "shop", "eventNames": ["buy", "view"], "minEventsPerUser": 3,
    "eventWindow": {"duration": "10 days", "removeDuplicates": true, "compressProperties": true, "pruneStore": true}}},
  "preparator": {}, "serving": {}, "plugins": {},
  "sparkConf": {"spark": {"executor": {"memory": "4g", "cores": 2}}, "es.nodes.wan.only": true, "comment": "c"},
  "algorithms": [{"name": "ur", "comment": "d", "params": {
    "appName": "shop", "indexName": "i", "typeName": "items", "eventNames": ["buy", "view"],
    "indicators": [
      {"name": "buy", "maxItemsPerUser": 200, "maxQueryEvents": 30, "maxCorrelatorsPerItem": 40, "minLLR": 2.5},
      {"name": "view", "aliases": ["look", "view"], "maxIndicatorsPerQuery": 70}],
    "recsModel": "collabFiltering", "blacklistEvents": [], "num": 5, "userBias": -1, "itemBias": 0.5, "itemSetBias": 0,
    "returnSelf": true, "legacyConfigFieldSigns": false,
    "fields": [{"name": "c", "values": ["x"], "bias": -1}, {"name": "d", "values": ["y", "z"], "factor": 2}],
    "rankings": [
      {"type": "hot", "eventNames": ["view"], "duration": 60, "offsetDate": "2026-01-01", "missingAsZero": true},
      {"name": "mine", "type": "userDefined", "endDate": "2026-01-01"}],
    "availableDateName": "from", "expireDateName": "until", "dateName": "date",
    "seed": -1, "scoring": "es5-compat", "dither": {"sigma": 2.5, "seed": 3},
    "resultProps": ["title"], "minModelRatio": 0.25, "numESWriteConnections": 3,
    "maxQueryEvents": 9
  }}]
}"#;

#[test]
fn every_member_is_read() {
    let config = clean(FULL);
    let view = Indicator { aliases: vec!["look".into()], ..indicator("view", 70, 70, 50) };
    let rule = |name: &str, values: &[&str], effect| Rule {
        name: name.into(),
        values: values.iter().map(|&value| value.into()).collect(),
        effect,
    };
    let expected = EngineConfig {
        variant: "v".into(),
        engine_factory: "org.template.RecommendationEngine".into(),
        app_name: "shop".into(),
        index_name: Some("i".into()),
        indicators: vec![Indicator { min_llr: Some(2.5), ..indicator("buy", 200, 30, 40) }, view],
        min_events_per_user: 3,
        window: EventWindow {
            duration_ms: Some(864_000_000),
            remove_duplicates: true,
            compress_properties: true,
            prune_store: true,
        },
        mirror_container: None,
        recs_model: RecsModel::CollabFiltering,
        blacklist_events: vec![],
        num: 5,
        user_bias: -1.0,
        item_bias: 0.5,
        item_set_bias: 0.0,
        return_self: true,
        rules: vec![rule("c", &["x"], Effect::Include), rule("d", &["y", "z"], Effect::Factor(2.0))],
        query_rules_replace: false,
        rankings: vec![
            Ranking {
                name: "hotRank".into(),
                kind: RankingKind::Hot,
                events: vec!["view".into()],
                duration_ms: 60_000,
                end_ms: Some(1_767_225_600_000),
                missing_as_zero: true,
            },
            Ranking { name: "mine".into(), kind: RankingKind::UserDefined, ..popular("buy") },
        ],
        available_date: Some("from".into()),
        expire_date: Some("until".into()),
        date: Some("date".into()),
        seed: u64::MAX,
        scoring: model::Scoring::Es5Compat,
        dither: Some(Dither { sigma: 2.5, seed: 3, period_ms: 86_400_000 }),
        result_props: vec!["title".into()],
        min_model_ratio: 0.25,
        spark_conf: [
            ("spark.executor.memory", "4g"),
            ("spark.executor.cores", "2"),
            ("es.nodes.wan.only", "true"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
    };
    assert_eq!(config, expected);
}

#[test]
fn history_limits_come_from_the_nearest_setting() {
    let limits = |params: &str| -> Vec<(u32, u32)> {
        let config = clean(&ur(params));
        config.indicators.iter().map(|one| (one.max_items_per_user, one.max_query_events)).collect()
    };
    assert_eq!(limits(r#""eventNames":["a"],"maxEventsPerEventType":300"#), [(300, 100)]);
    assert_eq!(limits(r#""eventNames":["a"],"maxQueryEvents":7"#), [(500, 7)]);
    assert_eq!(
        limits(r#""indicators":[{"name":"a"},{"name":"b","maxItemsPerUser":60}]"#),
        [(500, 500), (60, 60)]
    );
    assert_eq!(
        limits(
            r#""maxQueryEvents":9,"indicators":[{"name":"a"},{"name":"b","maxItemsPerUser":60},{"name":"c","maxQueryEvents":4}]"#
        ),
        [(500, 9), (60, 9), (500, 4)]
    );
    let text = r#"{"engineId":"e","engineFactory":"com.actionml.engines.ur.UREngine","algorithm":{"maxQueryEvents":3,
        "indicators":[{"name":"a"},{"name":"b","maxIndicatorsPerQuery":60},{"name":"c","maxQueryEvents":4,"maxItemsPerUser":5}]}}"#;
    let limits: Vec<_> =
        clean(text).indicators.iter().map(|one| (one.max_items_per_user, one.max_query_events)).collect();
    assert_eq!(limits, [(500, 100), (60, 60), (5, 4)]);
}

#[test]
fn the_simple_form_caps_all_indicators() {
    let config =
        clean(&ur(r#""eventNames":["a","b"],"maxCorrelatorsPerEventType":9,"maxEventsPerEventType":8"#));
    assert_eq!(config.indicators, [indicator("a", 8, 100, 9), indicator("b", 8, 100, 9)]);
    let (config, warnings) = parsed(&ur(r#""indicators":[{"name":"a"}],"maxCorrelatorsPerEventType":9"#));
    assert_eq!(config.indicators, [indicator("a", 500, 500, 50)]);
    assert_eq!(
        warnings,
        ["algorithms[0].params.maxCorrelatorsPerEventType has no effect beside \"indicators\""]
    );
}

#[test]
fn the_harness_form() {
    let config = clean(
        r#"{"engineId":"e","engineFactory":"com.actionml.engines.ur.UREngine","modelContainer":"/m","sharedDBName":"db",
            "dataset":{"ttl":"90 days"},"sparkConf":{"master":"local","spark.es.nodes":"es"},
            "algorithm":{"comment":"c","typeName":5,"trimAfter":1,"eventNames":"ignored",
              "indicators":[{"name":"buy","aliases":["purchase","buy"]},{"name":"view"}],
              "blacklistIndicators":["view"],"rules":[{"name":"c","values":["x"],"bias":2}],
              "rankings":[{"type":"popular","indicatorNames":["view"]}]}}"#,
    );
    assert_eq!((config.variant.as_str(), config.app_name.as_str(), config.index_name), ("e", "db", None));
    assert_eq!(config.indicators[0].aliases, ["purchase"]);
    assert_eq!(config.blacklist_events, ["view"]);
    assert_eq!(config.rules[0].effect, Effect::Boost(2.0));
    assert_eq!(config.rankings, [popular("view")]);
    assert_eq!(config.window.duration_ms, Some(90 * 86_400_000));
    assert!(config.query_rules_replace);
    let conf: Vec<_> = config.spark_conf.into_iter().collect();
    assert_eq!(conf, [("spark.es.nodes".into(), "es".into()), ("spark.master".into(), "local".into())]);
    let plain = clean(&harness(r#""description":"x""#, r#""num":3"#));
    assert_eq!((plain.app_name.as_str(), plain.window.duration_ms), ("shop", Some(365 * 86_400_000)));
}

#[test]
fn legacy_signs_swap_boosts_and_filters() {
    let fields = r#""eventNames":["a"],"fields":[{"name":"c","values":["x"],"bias":-2},
        {"name":"d","values":["x"],"bias":2},{"name":"e","values":["x"],"bias":0}]"#;
    let effects =
        |text: &str| -> Vec<Effect> { parsed(text).0.rules.iter().map(|rule| rule.effect).collect() };
    let documented = [Effect::Include, Effect::Boost(2.0), Effect::Exclude];
    assert_eq!(effects(&ur(fields)), documented);
    assert_eq!(effects(&ur(&format!(r#"{fields},"legacyConfigFieldSigns":false"#))), documented);
    let legacy = ur(&format!(r#"{fields},"legacyConfigFieldSigns":true"#));
    assert_eq!(effects(&legacy), [Effect::Boost(2.0), Effect::Include, Effect::Exclude]);
    assert!(parsed(&legacy).1.is_empty());
    let warnings = parsed(&ur(fields)).1;
    assert!(
        warnings.len() == 1
            && warnings[0].starts_with("algorithms[0].params.fields follow the documented signs")
    );
}

#[test]
fn backfill_field_is_one_ranking() {
    let text = ur(r#""eventNames":["a","b"],"backfillField":{"name":"p","backfillType":"trending",
        "eventnames":["a","b"],"offsetDate":"2026-01-01T00:00:00Z","duration":259200}"#);
    let expected = Ranking {
        name: "p".into(),
        kind: RankingKind::Trending,
        events: vec!["a".into(), "b".into()],
        duration_ms: 259_200_000,
        end_ms: Some(1_767_225_600_000),
        missing_as_zero: false,
    };
    assert_eq!(clean(&text).rankings, [expected]);
    assert_eq!(clean(&ur(r#""eventNames":["a"],"backfillField":{}"#)).rankings, [popular("a")]);
}

#[test]
fn rankings_keep_their_order_and_have_default_names() {
    let text =
        ur(r#""eventNames":["a"],"rankings":[{"type":"random"},{"type":"userDefined"},{"type":"trending"},
        {"type":"popular","name":"p"},{"type":"popular"}]"#);
    let names: Vec<String> = clean(&text).rankings.into_iter().map(|ranking| ranking.name).collect();
    assert_eq!(names, ["uniqueRank", "userRank", "trendRank", "p", "popRank"]);
}

#[test]
fn environment_variables_are_substituted() {
    let text = |app: &str| ur(r#""eventNames":["buy"]"#).replace("\"shop\"", &format!("{app:?}"));
    for (app, name) in [
        ("system.env.APP", "shop"),
        ("system.env.APP:-x", "shop"),
        ("system.env.NONE:-x", "x"),
        ("system.env.EMPTY:-x", "x"),
        ("system.env.NONE:-a:-b", "a:-b"),
        ("the system.env.APP", "the system.env.APP"),
    ] {
        assert_eq!(clean(&text(app)).app_name, name, "{app}");
    }
    let message = "needs the environment variable NONE: set it, or write \"system.env.NONE:-default\"";
    assert_eq!(
        refused(&text("system.env.NONE")),
        [format!("datasource.params.appName {message}"), format!("algorithms[0].params.appName {message}")]
    );
    let conf = clean(&harness(r#""sparkConf":{"a":{"b":"system.env.APP"}}"#, r#""num":1"#)).spark_conf;
    assert_eq!(conf["a.b"], "shop");
    let problems = refused(&harness(r#""sparkConf":{"a":{"b":"system.env.NONE"}}"#, r#""num":1"#));
    assert_eq!(problems, [format!("sparkConf.a.b {message}")]);
}

#[test]
fn old_spellings_are_understood_with_a_warning() {
    let (config, warnings) = parsed(&ur(r#""eventNames":["a"],"userbias":2,"itembias":3"#).replacen(
        '{',
        r#"{"sparkConf":{"spark.driver.memroy":"2g"},"#,
        1,
    ));
    assert_eq!((config.user_bias, config.item_bias), (2.0, 3.0));
    assert_eq!(config.spark_conf["spark.driver.memory"], "2g");
    assert_eq!(
        warnings,
        [
            "algorithms[0].params.userbias is a misspelling, read as \"userBias\"",
            "algorithms[0].params.itembias is a misspelling, read as \"itemBias\"",
            "sparkConf.spark.driver.memroy is a misspelling, read as \"spark.driver.memory\"",
        ]
    );
    let (config, warnings) =
        parsed(&harness(r#""mirrorType":"localfs","mirrorLocation":"/m""#, r#""num":1"#));
    assert_eq!(config.mirror_container, Some("/m".into()));
    assert_eq!(warnings, ["mirrorLocation is a misspelling, read as \"mirrorContainer\"",]);
}

#[test]
fn doubtful_content_is_warned_of() {
    for (text, warning) in [
        (
            ur(r#""eventNames":["a"],"nums":3"#),
            "algorithms[0].params.nums is not known and was ignored; did you mean \"num\"?",
        ),
        (ur(r#""eventNames":["a"],"colour":3"#), "algorithms[0].params.colour is not known and was ignored"),
        (
            ur(r#""indicators":[{"name":"a","minllr":3}]"#),
            "algorithms[0].params.indicators[0].minllr is not known and was ignored; did you mean \"minLLR\"?",
        ),
        (
            ur(r#""indicators":[{"name":"a","minLLR":-3}]"#),
            "algorithms[0].params.indicators[0].minLLR has no effect: LLR is never negative",
        ),
        (
            ur(r#""indicators":[{"name":"a","maxCorrelatorsPerItem":501}]"#),
            "algorithms[0].params.indicators[0].maxCorrelatorsPerItem is 501: more than 500 correlators per item cost much and change little",
        ),
        (
            ur(r#""eventNames":["a"],"maxCorrelatorsPerEventType":501"#),
            "algorithms[0].params.maxCorrelatorsPerEventType is 501: more than 500 correlators per item cost much and change little",
        ),
        (
            ur(r#""eventNames":["a"],"expireDateName":"e""#),
            "algorithms[0].params.expireDateName stands without \"availableDateName\": only this date limits availability",
        ),
        (
            ur(r#""eventNames":["a"],"availableDateName":"e""#),
            "algorithms[0].params.availableDateName stands without \"expireDateName\": only this date limits availability",
        ),
        (
            ur(r#""eventNames":["view"],"blacklistEvents":["views"]"#),
            "algorithms[0].params.blacklistEvents[0] has no effect: no indicator is named \"views\"; did you mean \"view\"?",
        ),
        (
            ur(r#""eventNames":["a"],"rankings":[{"type":"popular"}],"backfillField":{}"#),
            "algorithms[0].params.backfillField has no effect beside \"rankings\"",
        ),
        (
            ur(r#""eventNames":["a"]"#).replacen('{', r#"{"plugins":{"p":{"enabled":true}},"#, 1),
            "plugins are not supported and do not run",
        ),
        (
            ur(r#""eventNames":["a"]"#).replacen('{', r#"{"sparkConf":{"a":{"b":1},"a.b":2},"#, 1),
            "sparkConf.a.b is given twice; the last one counts",
        ),
    ] {
        assert_eq!(parsed(&text).1, [warning], "{text}");
    }
}

const PARAMS: &str = "algorithms[0].params";

#[test]
fn what_is_wrong_is_named() {
    let at = PARAMS;
    refuses_parameters(&[
        (r#""num":1"#, String::new() + " must have either \"eventNames\" or \"indicators\""),
        (r#""eventNames":[]"#, ".eventNames must not be empty".into()),
        (r#""indicators":[]"#, ".indicators must not be empty".into()),
        (r#""eventNames":"a""#, ".eventNames must be an array of strings, got \"a\"".into()),
        (r#""eventNames":["a",5]"#, ".eventNames[1] must be a string, got 5".into()),
        (r#""eventNames":["a",""]"#, ".eventNames[1] must not be empty".into()),
        (
            r#""eventNames":["a","a"]"#,
            format!(".eventNames[1] must be a name of its own, got \"a\" as in {at}.eventNames[0]"),
        ),
        (
            r#""eventNames":["$set"]"#,
            ".eventNames[0] must be an event of your own: names with \"$\" or \"pio_\" in front are reserved, got \"$set\"".into(),
        ),
        (
            r#""indicators":[{"name":"pio_x"}]"#,
            ".indicators[0].name must be an event of your own: names with \"$\" or \"pio_\" in front are reserved, got \"pio_x\"".into(),
        ),
        (
            r#""indicators":[{"name":"a"},{"name":"b","aliases":["a"]}]"#,
            format!(".indicators[1].aliases must be a name of its own, got \"a\" as in {at}.indicators[0].name"),
        ),
        (
            r#""indicators":[{"name":"a"},{"name":"b"}],"eventNames":["b","a"]"#,
            ".eventNames must be the names of \"indicators\" in the same order: [\"a\", \"b\"], got [\"b\", \"a\"]".into(),
        ),
        (r#""indicators":[{"name":"a"},{"minLLR":1}]"#, ".indicators[1].name is missing; it must be a string".into()),
        (
            r#""indicators":[{"name":"a","minLLR":"5"}]"#,
            ".indicators[0].minLLR must be a number, got \"5\"".into(),
        ),
        (
            r#""indicators":[{"name":"a","maxItemsPerUser":0}]"#,
            ".indicators[0].maxItemsPerUser must be a whole number ≥ 1, got 0".into(),
        ),
        (
            r#""indicators":[{"name":"a","maxCorrelatorsPerItem":2.5}]"#,
            ".indicators[0].maxCorrelatorsPerItem must be a whole number ≥ 1, got 2.5".into(),
        ),
        (r#""eventNames":["a"],"num":0"#, ".num must be a whole number from 1 to 10000, got 0".into()),
        (r#""eventNames":["a"],"maxQueryEvents":-1"#, ".maxQueryEvents must be a whole number ≥ 1, got -1".into()),
        (
            r#""eventNames":["a"],"recsModel":"some""#,
            ".recsModel must be \"all\", \"collabFiltering\" or \"backfill\", got \"some\"".into(),
        ),
        (r#""eventNames":["a"],"scoring":"bm25""#, ".scoring must be \"default\" or \"es5-compat\", got \"bm25\"".into()),
        (r#""eventNames":["a"],"minModelRatio":1.5"#, ".minModelRatio must be a number from 0 to 1, got 1.5".into()),
        (r#""eventNames":["a"],"returnSelf":"yes""#, ".returnSelf must be true or false, got \"yes\"".into()),
        (r#""eventNames":["a"],"seed":1.5"#, ".seed must be a whole number, got 1.5".into()),
        (
            r#""eventNames":["a"],"rankings":[{"type":"best"}]"#,
            ".rankings[0].type must be \"popular\", \"trending\", \"hot\", \"random\" or \"userDefined\", got \"best\"".into(),
        ),
    ]);
}

#[test]
fn what_is_wrong_in_rankings_and_rules_is_named() {
    let at = PARAMS;
    refuses_parameters(&[
        (
            r#""eventNames":["a"],"rankings":[{"name":"x"}]"#,
            ".rankings[0].type is missing; it must be \"popular\", \"trending\", \"hot\", \"random\" or \"userDefined\"".into(),
        ),
        (
            r#""eventNames":["a"],"rankings":[]"#,
            ".rankings must not be empty: leave it out for popularity, or set \"recsModel\": \"collabFiltering\" for no ranking".into(),
        ),
        (
            r#""eventNames":["a"],"rankings":[{"type":"hot"},{"type":"hot"}]"#,
            format!(".rankings[1].name must be a name of its own, got \"hotRank\" as in {at}.rankings[0].name"),
        ),
        (
            r#""eventNames":["a"],"rankings":[{"type":"hot","name":"a"}]"#,
            format!(".rankings[0].name must be a name of its own, got \"a\" as in {at}.eventNames[0]"),
        ),
        (
            r#""eventNames":["popRank"]"#,
            format!(".rankings must be a name of its own, got \"popRank\" as in {at}.eventNames[0]"),
        ),
        (
            r#""eventNames":["a"],"dateName":"popRank""#,
            format!(".dateName must be a name of its own, got \"popRank\" as in {at}.rankings"),
        ),
        (
            r#""eventNames":["a"],"rankings":[{"type":"hot","eventNames":[]}]"#,
            ".rankings[0].eventNames must not be empty".into(),
        ),
        (
            r#""eventNames":["a"],"rankings":[{"type":"hot","eventNames":["b","b"]}]"#,
            ".rankings[0].eventNames[1] must be the name of an event, each once".into(),
        ),
        (
            r#""eventNames":["a"],"rankings":[{"type":"hot","duration":"long"}]"#,
            ".rankings[0].duration must be a duration such as \"90 days\" or \"12 hours\", or a number of seconds, got \"long\"".into(),
        ),
        (
            r#""eventNames":["a"],"rankings":[{"type":"hot","offsetDate":"now"}]"#,
            ".rankings[0].offsetDate must be a date such as \"2026-01-15T12:00:00Z\", or milliseconds since 1970, got \"now\"".into(),
        ),
        (
            r#""eventNames":["a"],"fields":[{"name":"c","values":["x"]}]"#,
            ".fields[0] must have \"bias\" or \"factor\"".into(),
        ),
        (
            r#""eventNames":["a"],"fields":[{"name":"c","values":"x","bias":1}]"#,
            ".fields[0].values must be an array of strings, got \"x\"".into(),
        ),
        (
            r#""eventNames":["a"],"indexName":"b""#,
            ".indexName is given twice: \"indexName\" may be there once".into(),
        ),
    ]);
}

/// Each of these algorithm parameters has exactly this problem.
fn refuses_parameters(cases: &[(&str, String)]) {
    for (params, problem) in cases {
        let problems = refused(&ur(&format!(r#"{params},"legacyConfigFieldSigns":false"#)));
        assert_eq!(problems, [format!("{PARAMS}{problem}")], "{params}");
    }
}

#[test]
fn what_is_wrong_around_the_algorithm_is_named() {
    let good = ur(r#""eventNames":["a"]"#);
    let cases: Vec<(String, &str)> = vec![
        (
            "[]".into(),
            "the document is no engine configuration: it must be an object with either \"engineId\", or \"id\", \"engineFactory\" and \"algorithms\"",
        ),
        (
            "{}".into(),
            "the document is no engine configuration: it must be an object with either \"engineId\", or \"id\", \"engineFactory\" and \"algorithms\"",
        ),
        (
            "{\n x".into(),
            "the document is not JSON: line 2, column 2: expected a member name in double quotes, found `x`",
        ),
        (good.replace("\"default\"", "7"), "id must be a string, got 7"),
        (good.replace("\"default\"", "\"\""), "id must not be empty"),
        (good.replacen("\"id\"", "\"ids\"", 1), "id is missing; it must be a string"),
        (
            good.replace("com.actionml", "com.example"),
            "engineFactory must be \"com.actionml.RecommendationEngine\" or \"org.template.RecommendationEngine\", got \"com.example.RecommendationEngine\"",
        ),
        (good.replace("\"datasource\"", "\"comment\""), "datasource is missing; it must be an object"),
        (good.replace("\"ur\"", "\"als\""), "algorithms[0].name must be \"ur\", got \"als\""),
        (
            good.replace("urindex", "UrIndex"),
            "algorithms[0].params.indexName must be a name in lower case without blanks and \\ / * ? \" < > | , # :, got \"UrIndex\"",
        ),
        (
            good.replacen("\"shop\"", "\"other\"", 1),
            "datasource.params.appName must be the app of the algorithm, \"shop\", got \"other\"",
        ),
        (
            with_source(r#""eventNames":["b","a"]"#, r#""eventNames":["a","b"]"#),
            "datasource.params.eventNames must be the events of the algorithm in the same order: [\"a\", \"b\"], got [\"b\", \"a\"]",
        ),
        (
            with_source(r#""eventWindow":{"duration":"0 days"}"#, r#""eventNames":["a"]"#),
            "datasource.params.eventWindow.duration must be a duration such as \"90 days\" or \"12 hours\", or a number of seconds, got \"0 days\"",
        ),
        (
            good.replacen('{', r#"{"sparkConf":{"a":[1]},"#, 1),
            "sparkConf.a must not be an array: arrays are not allowed in sparkConf",
        ),
        (good.replacen('{', r#"{"sparkConf":[],"#, 1), "sparkConf must be an object, got []"),
        (
            harness(r#""mirrorType":"s3""#, r#""num":1"#),
            "mirrorType must be \"localfs\" or \"hdfs\", got \"s3\"",
        ),
        (
            harness(r#""dataset":{"ttl":"a year"}"#, r#""num":1"#),
            "dataset.ttl must be a duration such as \"90 days\" or \"12 hours\", or a number of seconds, got \"a year\"",
        ),
        (
            harness(r#""engineId":"x""#, r#""num":1"#),
            "engineId is given twice: \"engineId\" may be there once",
        ),
    ];
    for (text, problem) in cases {
        assert!(
            refused(&text).contains(&problem.to_owned()),
            "{problem}\nis not among {:#?}",
            refused(&text)
        );
    }
}

#[test]
fn there_is_one_algorithm_and_a_mirror_has_a_container() {
    let entry = r#"{"name":"ur","params":{"appName":"shop","indexName":"i","eventNames":["a"]}}"#;
    for (entries, count) in [(String::new(), 0), (format!("{entry},{entry}"), 2)] {
        let text = format!(
            r#"{{"id":"d","engineFactory":"com.actionml.RecommendationEngine","datasource":{{"params":{{"appName":"shop"}}}},"algorithms":[{entries}]}}"#
        );
        assert_eq!(refused(&text), [format!("algorithms must have exactly one entry, got {count}")]);
    }
    let mirror = refused(&harness(r#""mirrorType":"localfs""#, r#""num":1"#));
    assert_eq!(mirror, ["mirrorContainer is missing; \"mirrorType\" needs it"]);
    let mirror = refused(&harness(r#""mirrorType":"hdfs","mirrorContainer":"hdfs://h/m""#, r#""num":1"#));
    assert_eq!(
        mirror,
        ["mirrorType \"hdfs\" is not there: events are mirrored to directories only, give \"localfs\""]
    );
}

#[test]
fn all_errors_are_reported_together() {
    let problems = refused(&with_source(
        r#""minEventsPerUser":-1"#,
        r#""indicators":[{"name":"a","minLLR":"x"},{"name":"a"}],"num":"5","rankings":[{"type":"hot","duration":"d"}]"#,
    ));
    let paths: Vec<&str> = problems.iter().map(|problem| problem.split(' ').next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "datasource.params.minEventsPerUser",
            "algorithms[0].params.indicators[0].minLLR",
            "algorithms[0].params.num",
            "algorithms[0].params.rankings[0].duration",
            "algorithms[0].params.indicators[1].name",
        ]
    );
    let error = EngineConfig::parse(b"{\"id\":1}", Leniency::Strict, &env).unwrap_err();
    assert_eq!(error.to_string().lines().count(), error.problems.len());
    assert_eq!(error.problems.len(), 4);
}

#[test]
fn lenient_reading_drops_wrong_members() {
    let text = with_source(
        r#""minEventsPerUser":"3""#,
        r#""indicators":[{"name":"a","minLLR":"5","maxItemsPerUser":9}],"num":"7",
           "fields":[{"name":"c","values":["x"],"bias":1},{"name":"d","values":"y","bias":1}]"#,
    );
    assert_eq!(refused(&text).len(), 4);
    let (config, warnings) = read(&text, Leniency::Lenient).unwrap();
    assert_eq!((config.num, config.min_events_per_user, config.rules), (20, 1, vec![]));
    assert_eq!(config.indicators, [indicator("a", 9, 9, 50)]);
    assert_eq!(
        warnings,
        [
            "datasource.params.minEventsPerUser must be a whole number ≥ 0, got \"3\"; ignored \"minEventsPerUser\"",
            "algorithms[0].params.indicators[0].minLLR must be a number, got \"5\"; ignored \"minLLR\"",
            "algorithms[0].params.num must be a whole number from 1 to 10000, got \"7\"; ignored \"num\"",
            "algorithms[0].params.fields[1].values must be an array of strings, got \"y\"; ignored \"fields\"",
        ]
    );
    let problems = read(&ur(r#""eventNames":"a""#), Leniency::Lenient).unwrap_err();
    assert_eq!(problems, ["algorithms[0].params must have either \"eventNames\" or \"indicators\""]);
    let required = ur(r#""eventNames":["a"]"#).replace("\"urindex\"", "5");
    let problems = read(&required, Leniency::Lenient).unwrap_err();
    assert_eq!(problems, ["algorithms[0].params.indexName must be a string, got 5"]);
}

#[test]
fn secrets_are_masked() {
    let text = br#"{"id":"d","sparkConf":{"es.net.http.auth.pass":"hunter2","es.nodes":"es",
        "spark":{"ssl":{"keyPassword":5,"trustStore":{"secret":{"deep":"hunter2"}}}},"fs.s3a.access.key":["hunter2",null]},
        "plugins":{"p":{"apiToken":"hunter2","n":1}}}"#;
    assert_eq!(
        redacted(text).unwrap(),
        r#"{"id":"d","sparkConf":{"es.net.http.auth.pass":"***","es.nodes":"es","spark":{"ssl":{"keyPassword":"***","trustStore":{"secret":{"deep":"***"}}}},"fs.s3a.access.key":["***",null]},"plugins":{"p":{"apiToken":"***","n":1}}}"#
    );
    assert!(redacted(b"{").is_err());
}

#[test]
fn who_signs_in_by_a_url_is_masked() {
    for (text, masked) in [
        ("https://u:PW4@h:9200", "https://***@h:9200"),
        ("https://u@h/x", "https://***@h/x"),
        ("a jdbc:postgresql://u:p@h/d?x=1 b", "a jdbc:postgresql://***@h/d?x=1 b"),
        ("http://u:p@a,http://v:q@b:1", "http://***@a,http://***@b:1"),
        ("http://u:p@ss/w@rd@h/", "http://***@h/"),
        ("http://a:1/x b@c.org http://d", "http://a:1/x b@c.org http://d"),
        ("ü://ä:ö@ß", "ü://***@ß"),
        ("://@", "://***@"),
        ("a@b.org", "a@b.org"),
    ] {
        let file = |url: &str| format!(r#"{{"sparkConf":{{"es.url":"{url}","list":["{url}"]}}}}"#);
        assert_eq!(redacted(file(text).as_bytes()).unwrap(), file(masked));
    }
}

#[test]
fn the_handmade_engine_parses() {
    let path =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ur-handmade/engine.json"));
    let Ok(text) = std::fs::read_to_string(path) else {
        // Not a print macro: the test runner would swallow it.
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "SKIPPED: {} is not there", path.display());
        return;
    };
    let config = clean(&text);
    let names: Vec<&str> = config.indicator_names().collect();
    assert_eq!(names, ["purchase", "view", "category-pref"]);
    assert_eq!((config.num, config.min_events_per_user, config.app_name.as_str()), (4, 3, "handmade"));
    assert_eq!(config.indicators[2], indicator("category-pref", 500, 500, 50));
    assert_eq!(config.date_properties().collect::<Vec<_>>(), ["available", "expires", "date"]);
    assert_eq!(config.spark_conf.len(), 5);
    assert_eq!(config.rankings, [popular("purchase")]);
}

/// Puts arbitrary JSON in the place of one value of a file.
fn replace(json: &mut Json, place: &mut usize, value: &Json) {
    if *place == 0 {
        *json = value.clone();
    }
    *place = place.wrapping_sub(1);
    match json {
        Json::Object(object) => {
            let members = std::mem::take(object).into_iter().map(|(name, mut member)| {
                replace(&mut member, place, value);
                (name, member)
            });
            *object = members.collect::<Object>();
        }
        Json::Array(items) => items.iter_mut().for_each(|item| replace(item, place, value)),
        _ => {}
    }
}

fn check_result(text: &[u8]) -> Result<(), TestCaseError> {
    for leniency in [Leniency::Strict, Leniency::Lenient] {
        match EngineConfig::parse(text, leniency, &env) {
            Ok((config, _)) => {
                prop_assert!(!config.indicators.is_empty() && !config.rankings.is_empty());
                prop_assert!(!config.app_name.is_empty() && !config.variant.is_empty());
                prop_assert!(
                    config
                        .rankings
                        .iter()
                        .all(|ranking| ranking.duration_ms > 0 && !ranking.events.is_empty())
                );
            }
            Err(error) => prop_assert!(!error.problems.is_empty() && error.problems.len() <= 101),
        }
    }
    Ok(())
}

fn member_names() -> Vec<&'static str> {
    tables::ALL.iter().flat_map(|table| table.members).map(|member| member.name).collect()
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_result(&bytes)?;
        let _ = redacted(&bytes);
    }

    #[test]
    fn damaged_files_do_no_harm(at in 0..FULL.len(), byte in any::<u8>()) {
        let mut bytes = FULL.as_bytes().to_vec();
        bytes[at] = byte;
        check_result(&bytes)?;
    }

    #[test]
    fn arbitrary_values_anywhere_do_no_harm(
        mut place in 0..90usize,
        value in any_json(member_names()),
        is_harness in any::<bool>(),
    ) {
        let harness = harness(r#""dataset":{"ttl":"1 day"},"sparkConf":{"a":{"b":1}}"#, r#""num":1,"rankings":[{"type":"hot"}]"#);
        let mut json = json::parse(if is_harness { harness.as_bytes() } else { FULL.as_bytes() }).unwrap();
        replace(&mut json, &mut place, &value);
        check_result(json.to_string().as_bytes())?;
    }
}
