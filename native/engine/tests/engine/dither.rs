//! Results that are spread at random: what moves, what does not, and when.

use std::collections::BTreeMap;

use engine::Query;
use events::json::Json;
use proptest::prelude::*;

use super::shop::{DAY, NOW, Served, Shop, outdoor};

const RANKED: &str = r#""rankings":[{"type":"userDefined","name":"place"}]"#;
/// So many of the best are spread, as the reference says.
const FIRST: usize = 500;

/// Items in an order of their own: `i0` is the best. Every third is blue.
fn ranked(items: u32, parameters: &str) -> Served {
    let item = |shop: Shop, item: u32| {
        let colour = if item.is_multiple_of(3) { "blue" } else { "red" };
        shop.item(&format!("i{item}"), &format!(r#"{{"place":{},"colour":"{colour}"}}"#, items - item))
    };
    let shop = (0..items).fold(Shop::new().does("u", "buy", &["i0"]), item);
    shop.serve(&format!("{RANKED}{parameters}"))
}

/// The place before, of an item of [`ranked`].
fn place(item: &str) -> usize {
    item[1..].parse().unwrap()
}

fn at(served: &Served, query: &str, now_ms: i64) -> Vec<String> {
    let query = Query::parse(query.as_bytes()).unwrap();
    let answer = served.recommender.recommend(&served.model, &query, now_ms).unwrap();
    answer.items.into_iter().map(|item| item.item).collect()
}

#[test]
fn the_best_change_places_and_what_follows_stays() {
    let served = ranked(600, "");
    let plain = served.items(r#"{"num":600}"#);
    assert!(plain.iter().map(|item| place(item)).eq(0..600));
    let dithered = served.items(r#"{"num":600,"dither":{"sigma":2}}"#);
    let places: Vec<usize> = dithered.iter().map(|item| place(item)).collect();
    let mut sorted = places[..FIRST].to_vec();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..FIRST), "each of the best once");
    assert!(places[FIRST..].iter().copied().eq(FIRST..600));
    let moved = places.iter().enumerate().filter(|(index, place)| index != *place).count();
    assert!(moved > 400, "{moved}");
    assert_eq!(served.items(r#"{"num":600,"dither":{"sigma":1}}"#), plain);
    assert_eq!(served.items(r#"{"num":0,"dither":{}}"#), [""; 0]);
}

#[test]
fn one_order_lasts_a_period_and_belongs_to_seed_and_asker() {
    let served = ranked(60, "");
    let ask = |more: &str, now_ms| at(&served, &format!(r#"{{"dither":{{"period":"1 h"{more}"#), now_ms);
    let hour = DAY / 24;
    let first = ask("}}", NOW);
    assert_eq!(ask("}}", NOW + hour - 1), first, "until the end of the period");
    assert_ne!(ask("}}", NOW + hour), first);
    assert_ne!(ask("}}", NOW - 1), first);
    assert_ne!(ask(r#","seed":1}}"#, NOW), first);
    let users = ["a", "b", "ab"].map(|user| ask(&format!(r#"}},"user":"{user}"}}"#), NOW));
    assert!(users[0] != users[1] && users[1] != users[2] && !users.contains(&first));
    let set = |items: &str| ask(&format!(r#"}},"itemSet":[{items}],"num":20}}"#), NOW);
    assert_ne!(set(r#""x","y""#), set(r#""xy""#), "another cart");
    assert_eq!(set(r#""x","y""#), set(r#""y","x""#), "the same cart");
}

/// Whoever turns pages must not notice an update of the server, or another machine.
#[test]
fn an_order_is_the_same_everywhere() {
    let served = ranked(12, "");
    let order = served.items(r#"{"user":"maya","dither":{"sigma":2,"seed":1}}"#);
    assert_eq!(
        order.iter().map(|item| place(item)).collect::<Vec<_>>(),
        [0, 1, 2, 5, 6, 3, 10, 4, 9, 8, 11, 7]
    );
}

#[test]
fn the_engine_spreads_every_query_unless_the_query_says_otherwise() {
    let served = ranked(60, r#","dither":{"sigma":2,"seed":5}"#);
    let plain = served.items(r#"{"dither":false}"#);
    assert!(plain.iter().map(|item| place(item)).eq(0..20));
    let dithered = served.items("{}");
    assert_ne!(dithered, plain);
    let asked = ranked(60, "").items(r#"{"dither":{"sigma":2,"seed":5}}"#);
    assert_eq!(dithered, asked, "it does not matter who says it");
    assert_eq!(served.items(r#"{"dither":{"seed":5}}"#), dithered, "what is absent is the engine's");
    assert_ne!(served.items(r#"{"dither":{"seed":6}}"#), dithered);
}

#[test]
fn scores_stay_and_rules_hold() {
    let served = outdoor().serve("");
    for rules in [
        r#""user":"new""#,
        r#""user":"new","fields":[{"name":"kind","values":["camp"],"bias":-1}]"#,
        r#""user":"new","fields":[{"name":"kind","values":["climb"],"bias":0}],"blacklistItems":["gift"]"#,
        r#""item":"rope","ranges":[{"name":"price","gte":10}]"#,
    ] {
        let plain: BTreeMap<String, u32> = scores(&served, &format!("{{{rules}}}"));
        for seed in 0..20 {
            let dithered = scores(&served, &format!(r#"{{{rules},"dither":{{"sigma":3,"seed":{seed}}}}}"#));
            assert_eq!(dithered, plain, "{rules}");
        }
    }
    let related = outdoor().serve(r#""recsModel":"collabFiltering","dither":{"sigma":9}"#);
    let mut items = related.items(r#"{"user":"new"}"#);
    items.sort_unstable();
    assert_eq!(items, ["mat", "stove"], "nothing fills up");
}

fn scores(served: &Served, query: &str) -> BTreeMap<String, u32> {
    served.scores(query).into_iter().map(|(item, score)| (item, score.to_bits())).collect()
}

#[test]
fn explain_tells_of_it() {
    let served = ranked(60, "");
    let answer = served.json(r#"{"from":5,"num":10,"explain":true,"dither":{"sigma":2,"seed":-3}}"#);
    let dithered = answer.get("explain").unwrap().get("dithered").unwrap();
    let expected = r#"{"sigma":2.0,"seed":-3,"until":"2026-01-11T00:00:00.000Z","first":500}"#;
    assert_eq!(dithered.to_string(), expected);
    for item in answer.get("itemScores").unwrap().as_array().unwrap() {
        let before = place(item.get("item").unwrap().as_str().unwrap());
        let rank = item.get("explain").unwrap().get("rank").unwrap();
        assert_eq!(*rank, Json::from(before as u64 + 1), "{item}");
    }
    let plain = served.ask(r#"{"explain":true}"#).unwrap().to_json();
    assert!(!plain.contains("dithered") && !plain.contains("\"rank\""), "{plain}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the size of the pages and whatever is filtered: they are the whole, cut.
    #[test]
    fn pages_partition_the_order(
        page in 1..200usize, sigma in 1.0..20.0f64, seed: i64, user in "[a-c]", only_blue: bool,
    ) {
        static SERVED: std::sync::LazyLock<Served> = std::sync::LazyLock::new(|| ranked(640, ""));
        let rule = if only_blue { r#"[{"name":"colour","values":["blue"],"bias":-1}]"# } else { "[]" };
        let ask = |from: usize, num: usize| {
            SERVED.items(&format!(
                r#"{{"user":"{user}","from":{from},"num":{num},"fields":{rule},"dither":{{"sigma":{sigma},"seed":{seed}}}}}"#
            ))
        };
        let whole = ask(0, 640);
        prop_assert_eq!(whole.len(), if only_blue { 214 } else { 640 });
        let pages: Vec<String> = (0..640).step_by(page).flat_map(|from| ask(from, page)).collect();
        prop_assert_eq!(pages, whole);
    }
}
