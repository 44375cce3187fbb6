//! What an evaluation measures: against numbers by hand, and against a naive twin that knows nothing but the past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use engine::evaluation::{Cut, Metric, Options, Scores, Setting, Sweep};
use engine::{Error, Evaluation, Observer, TrainReport, evaluate};
use events::Kind;
use proptest::prelude::*;

use super::shop::{DAY, NOW, SCOPE, Served, Shop, Silent, config};

/// Everything before now is the past.
fn options() -> Options {
    Options { cut: Cut::At(NOW), lengths: vec![2], ..Options::default() }
}

fn evaluated(shop: &Shop, parameters: &str, options: &Options) -> engine::Result<Evaluation> {
    evaluate(&config(parameters), shop.store.as_ref(), SCOPE, options, &Silent)
}

/// Campers and climbers; then `a` and `b` go on, `c1` buys the same again, and somebody new comes.
fn outing() -> Shop {
    let mut shop = Shop::new();
    for user in ["c1", "c2", "c3"] {
        shop = shop.did(user, "buy", &["tent", "stove", "mat"], 9);
    }
    for user in ["k1", "k2", "k3"] {
        shop = shop.did(user, "buy", &["rope", "chalk", "harness"], 9);
    }
    shop.did("a", "buy", &["tent"], 8)
        .did("b", "buy", &["rope"], 8)
        .did("a", "buy", &["stove", "lamp"], -1)
        .did("b", "buy", &["chalk", "rope"], -1)
        .did("b", "buy", &["chalk"], -2)
        .did("c1", "buy", &["tent"], -2)
        .did("new", "buy", &["mat"], -3)
        .stored()
}

fn scores<'a>(evaluation: &'a Evaluation, setting: &Setting) -> &'a Scores {
    let measured = evaluation.measured.iter().find(|measured| measured.setting == *setting);
    &measured.unwrap_or_else(|| panic!("{setting:?} is missing")).scores[0]
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
}

fn means(scores: &Scores) -> Vec<f64> {
    Metric::ALL.iter().map(|metric| scores.mean(*metric).mean).collect()
}

/// `a` is shown mat and stove (equally strong, by id) where stove and the unknown lamp would have been right; `b` is shown chalk
/// and harness where chalk would have been right: the rope he had.
#[test]
fn numbers_by_hand() {
    let evaluation = evaluated(&outing(), "", &options()).unwrap();
    let users = evaluation.users;
    assert_eq!(
        (users.tested, users.active, users.nothing_new, users.newcomers, users.sampled_out),
        (2, 4, 1, 1, 0)
    );
    assert_eq!((evaluation.right, evaluation.unknown), (3, 1));
    assert_eq!((evaluation.cut_ms, evaluation.end_ms), (NOW, NOW + 3 * DAY + 1));
    let second = 1.0 / 3_f64.log2();
    let engine = scores(&evaluation, &Setting::Engine);
    let ndcg = (second / (1.0 + second) + 1.0) / 2.0;
    for (found, expected) in means(engine).into_iter().zip([0.625, ndcg, 0.5, 0.75, 1.0]) {
        close(found, expected);
    }
    close(engine.coverage, 4.0 / 6.0);
    assert_eq!(engine.difference(Metric::Map), None);
    // rope and chalk for a, tent and chalk for b
    let popular = scores(&evaluation, &Setting::Popular);
    for (found, expected) in means(popular).into_iter().zip([0.25, second / 2.0, 0.25, 0.5, 0.5]) {
        close(found, expected);
    }
    close(popular.coverage, 3.0 / 6.0);
    let difference = popular.difference(Metric::Map).unwrap();
    close(difference.mean, -0.375);
    close(difference.standard_error.unwrap(), 0.125);
}

#[test]
fn who_may_get_things_again_is_measured_by_them_too() {
    let evaluation = evaluated(&outing(), r#""blacklistEvents":[]"#, &options()).unwrap();
    assert_eq!((evaluation.users.tested, evaluation.users.nothing_new), (3, 0));
    assert_eq!(evaluation.right, 5, "the rope of b and the tent of c1");
}

#[test]
fn newcomers_are_asked_for_on_demand() {
    let options = Options { newcomers: true, ..options() };
    let evaluation = evaluated(&outing(), "", &options).unwrap();
    assert_eq!((evaluation.users.tested, evaluation.users.newcomers, evaluation.right), (3, 1, 4));
}

#[test]
fn the_test_ends_where_it_is_told_to() {
    let options = Options { until_ms: Some(NOW + 2 * DAY), ..options() };
    let evaluation = evaluated(&outing(), "", &options).unwrap();
    assert_eq!((evaluation.users.active, evaluation.end_ms), (2, NOW + 2 * DAY), "c1 and new come later");
}

#[test]
fn a_share_counts_primary_events() {
    // 20 before now, 7 from then on
    let cut = |share| {
        let options = Options { cut: Cut::Share(share), newcomers: true, ..options() };
        evaluated(&outing(), "", &options).map(|evaluation| evaluation.cut_ms - NOW)
    };
    assert_eq!(cut(7.0 / 27.0).unwrap(), DAY, "the first of the last seven");
    assert_eq!(cut(0.15).unwrap(), DAY + 1000, "of two at the same time none is left behind");
    assert_eq!(cut(0.3).unwrap(), -8 * DAY);
    for share in [0.0, 1.0, -0.5, f64::NAN, 7.0] {
        let error = cut(share).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains("between 0 and 1"), "{error}");
    }
    assert!(cut(0.99).unwrap_err().to_string().contains("nothing to train on"));
}

#[test]
fn what_cannot_be_measured_is_said() {
    let refused = |shop: &Shop, parameters: &str, options: &Options| {
        let error = evaluated(shop, parameters, options).unwrap_err();
        assert!(matches!(error, Error::Unmeasurable(_)) && error.kind() == Kind::Invalid, "{error:?}");
        error.to_string()
    };
    let at = |days: i64| Options { cut: Cut::At(NOW + days * DAY), ..options() };
    let outing = outing();
    let text = refused(&outing, "", &at(-30));
    assert!(
        text.contains("left to train on before 2025-12-11") && text.contains("are from 2026-01-01"),
        "{text}"
    );
    let text = refused(&outing, "", &at(30));
    assert!(text.contains("left to test from 2026-02-09") && text.contains("to 2026-01-13"), "{text}");
    let text = refused(&outing, "", &at(3));
    assert!(text.contains("of 1 users") && text.contains("1 had done nothing at all before"), "{text}");
    let text = refused(&Shop::new().does("u", "view", &["a"]).stored(), "", &options());
    assert!(text.contains("app \"shop\" has no \"buy\" event"), "{text}");
    let text = refused(&outing, "", &Options { lengths: vec![], ..options() });
    assert!(text.contains("k must be from 1 to 1000"), "{text}");
    let text = refused(&outing, "", &Options { until_ms: Some(NOW), ..options() });
    assert!(text.contains("before it begins"), "{text}");
    for (min_llr, max_correlators) in [(-1.0, 1), (f64::NAN, 1), (0.0, 0)] {
        let sweep = Sweep { min_llr: vec![min_llr], max_correlators: vec![max_correlators] };
        refused(&outing, "", &Options { sweep: Some(sweep), ..options() });
    }
    let text = refused(&outing, r#""recsModel":"backfill""#, &options());
    assert!(text.contains("evaluate with \"all\""), "{text}");
}

#[test]
fn nobody_is_asked_for_who_is_not_in_the_sample() {
    let sampled = |users, seed| {
        let options = Options { users_max: Some(users), seed, newcomers: true, ..options() };
        evaluated(&outing(), "", &options).unwrap()
    };
    let users = sampled(1, 0).users;
    assert_eq!((users.tested, users.sampled_out, users.active), (1, 2, 4));
    assert_eq!(sampled(1, 0), sampled(1, 0));
    let different: BTreeSet<String> = (0..20).map(|seed| sampled(1, seed).to_json().to_string()).collect();
    assert!(different.len() > 1, "another seed, another user");
    assert_eq!(sampled(9, 0).users.tested, 3);
}

#[test]
fn what_comes_after_the_cut_has_no_part_in_any_list() {
    let everything = Options { ablation: true, sweep: Some(Sweep::default()), ..options() };
    let expected = evaluated(&outing(), "", &everything).unwrap();
    let mut shop = Shop::on(outing().store);
    for user in ["a", "b", "c1", "c2", "k1"] {
        shop = shop.did(user, "view", &["chalk", "stove", "lamp"], -1);
    }
    // newcomers, so that nobody is tested by what they buy
    for user in ["n1", "n2", "n3", "n4"] {
        shop = shop.did(user, "buy", &["harness", "mat", "tent"], -1);
    }
    // at the time of `item`, the very moment of the cut
    let shop = shop.item("stove", r#"{"kind":"hot"}"#).item("gift", r#"{"kind":"new"}"#).stored();
    let found = evaluated(&shop, "", &everything).unwrap();
    assert_eq!(found.measured, expected.measured);
    assert_eq!(found.training, expected.training);
    assert_eq!(found.users.active, expected.users.active + 4);
    let told = |found: &Evaluation, words: &str| found.warnings.iter().any(|text| text.contains(words));
    assert!(told(&found, "all 2 events that describe items are from after the cut"), "{:?}", found.warnings);
    assert!(
        !told(&expected, "describe items") && told(&expected, "2 users are few"),
        "{:?}",
        expected.warnings
    );
}

#[test]
fn the_result_is_the_same_for_any_number_of_threads() {
    let shop = random_shop(&(0..4000).map(scattered).collect::<Vec<_>>());
    let json = |threads| {
        let options = Options {
            ablation: true,
            sweep: Some(Sweep::default()),
            lengths: vec![1, 5],
            threads,
            ..options()
        };
        evaluated(&shop, "", &options).unwrap().to_json().to_string()
    };
    let one = json(1);
    assert!(one.contains("\"tested\":78"), "more users than one thread takes at a time: {}", &one[..300]);
    for threads in [2, 3, 8] {
        assert_eq!(json(threads), one, "{threads} threads");
    }
}

#[test]
fn an_observer_stops_it() {
    struct After(AtomicU64, u64);
    impl Observer for After {
        fn stage(&self, _: &str, _: u64) {}
        fn progress(&self, _: u64) {}
        fn preflight(&self, _: &TrainReport) {}
        fn is_stopped(&self) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed) >= self.1
        }
    }
    let shop = outing();
    let ended = |after| {
        let observer = After(AtomicU64::new(0), after);
        evaluate(&config(""), shop.store.as_ref(), SCOPE, &options(), &observer)
    };
    assert!(matches!(ended(0), Err(Error::Stopped)));
    assert!(ended(u64::MAX).is_ok());
    let asked = (1..).find(|after| ended(*after).is_ok()).unwrap();
    assert!((1..asked).all(|after| matches!(ended(after), Err(Error::Stopped))));
    assert!(asked > 3, "also while it asks for users: {asked}");
}

/// A deed: user, is it a view, item, days ago (negative: in the test).
type Deed = (u32, bool, u32, i64);

fn scattered(number: u32) -> Deed {
    let mixed = number.wrapping_mul(2_654_435_761) >> 7;
    let user = mixed % 200;
    (
        user,
        (mixed / 200).is_multiple_of(3),
        (mixed / 600 % 6) * (1 + user % 4),
        i64::from(mixed / 4000 % 12) - 3,
    )
}

fn random_shop(deeds: &[Deed]) -> Shop {
    let mut shop = Shop::new();
    for (user, is_view, item, days) in deeds {
        let event = if *is_view { "view" } else { "buy" };
        shop = shop.did(&format!("u{user}"), event, &[&format!("i{item}")], *days);
    }
    shop.stored()
}

/// What the twin finds: means in the order of metrics, coverage, number of users.
#[derive(Debug, PartialEq)]
struct Twin {
    means: Vec<f64>,
    coverage: f64,
    users: usize,
}

/// Asks a server that knows the past only, and counts on fingers. `None` without users to ask for.
fn twin(served: &Served, deeds: &[Deed], k: usize, newcomers: bool) -> Option<Twin> {
    let mut right: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for (user, is_view, item, days) in deeds {
        if !is_view && *days <= 0 {
            right.entry(*user).or_default().insert(format!("i{item}"));
        }
    }
    for (user, is_view, item, days) in deeds {
        if let (Some(right), false, true) = (right.get_mut(user), is_view, *days > 0) {
            right.remove(&format!("i{item}"));
        }
    }
    let known = |user: &u32| deeds.iter().any(|(other, _, _, days)| other == user && *days > 0);
    right.retain(|user, right| !right.is_empty() && (newcomers || known(user)));
    let users = right.len();
    let (mut sums, mut shown) = (vec![0.0; 5], BTreeSet::new());
    for (user, right) in right {
        let list = served.items(&format!(r#"{{"user":"u{user}","num":{k}}}"#));
        let (mut hits, mut precisions, mut gain) = (0.0, 0.0, 0.0);
        for (place, item) in list.iter().enumerate() {
            if right.contains(item) {
                hits += 1.0;
                precisions += hits / (place as f64 + 1.0);
                gain += 1.0 / (place as f64 + 2.0).log2();
            }
        }
        let best = k.min(right.len());
        let ideal: f64 = (0..best).map(|place| 1.0 / (place as f64 + 2.0).log2()).sum();
        let hit = if hits > 0.0 { 1.0 } else { 0.0 };
        let own = [precisions / best as f64, gain / ideal, hits / k as f64, hits / right.len() as f64, hit];
        sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        shown.extend(list);
    }
    let means = sums.into_iter().map(|sum| sum / users as f64).collect();
    let coverage = shown.len() as f64 / f64::from(served.model.items());
    (users > 0).then_some(Twin { means, coverage, users })
}

fn same(found: &Evaluation, setting: &Setting, twin: &Twin) -> Result<(), TestCaseError> {
    let scores = scores(found, setting);
    for (found, expected) in means(scores).into_iter().zip(&twin.means) {
        prop_assert!((found - expected).abs() < 1e-12, "{:?}: {} instead of {}", setting, found, expected);
    }
    prop_assert_eq!(scores.coverage, twin.coverage, "{:?}", setting);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// The engine, and every setting against an engine file that says the same.
    #[test]
    fn every_setting_equals_a_server_of_the_past(
        deeds in prop::collection::vec((0_u32..9, any::<bool>(), 0_u32..7, -4_i64..8), 20..120),
        (min_llr, max_correlators) in (0.0..4.0_f64, 1_u32..4),
        (k, newcomers, threads) in (1_u32..5, any::<bool>(), 1_usize..4),
    ) {
        let shop = random_shop(&deeds);
        let past: Vec<Deed> = deeds.iter().copied().filter(|deed| deed.3 > 0).collect();
        let sweep = Sweep { min_llr: vec![min_llr], max_correlators: vec![max_correlators] };
        let options = Options {
            lengths: vec![k], newcomers, threads, ablation: true, sweep: Some(sweep), ..options()
        };
        let narrow = r#""maxQueryEvents":2,"maxCorrelatorsPerEventType":3"#;
        let found = evaluated(&shop, narrow, &options);
        let is_trainable = past.iter().any(|deed| !deed.1);
        let is_testable = is_trainable && deeds.iter().any(|deed| !deed.1 && deed.3 <= 0);
        let served = |parameters: &str| random_shop(&past).serve(parameters);
        let expected = is_testable.then(|| twin(&served(narrow), &deeds, k as usize, newcomers)).flatten();
        let Some(expected) = expected else {
            prop_assert!(matches!(found, Err(Error::Unmeasurable(_))), "{:?}", found);
            return Ok(());
        };
        let found = found.unwrap();
        prop_assert_eq!(found.users.tested, expected.users as u64);
        same(&found, &Setting::Engine, &expected)?;
        let like = |parameters: &str| twin(&served(parameters), &deeds, k as usize, newcomers).unwrap();
        let each = |name: &str, rest: &str| format!(r#"{{"name":"{name}","maxQueryEvents":2,{rest}}}"#);
        let pair = |buy: &str, view: &str| format!(r#""indicators":[{},{}]"#, each("buy", buy), each("view", view));
        let swept = format!(r#""maxCorrelatorsPerItem":{max_correlators},"minLLR":{min_llr}"#);
        same(&found, &Setting::Swept { min_llr, max_correlators }, &like(&pair(&swept, &swept)))?;
        let (kept, dropped) = (r#""maxCorrelatorsPerItem":3"#, r#""maxCorrelatorsPerItem":3,"minLLR":1e9"#);
        for setting in [Setting::Only("buy".into()), Setting::Without("view".into())] {
            same(&found, &setting, &like(&pair(kept, dropped)))?;
        }
        same(&found, &Setting::Without("buy".into()), &like(&pair(dropped, kept)))?;
        let popular = format!("{narrow},\"userBias\":0");
        same(&found, &Setting::Popular, &like(&popular))?;
        let length = found.end_ms - found.cut_ms;
        let recently = format!(r#""rankings":[{{"name":"r","type":"popular","duration":"{length} ms"}}]"#);
        same(&found, &Setting::RecentlyPopular, &like(&format!("{popular},{recently}")))?;
    }
}
