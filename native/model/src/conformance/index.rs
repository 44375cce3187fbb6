//! What every model index must do.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::documents::{self, Document, Documents};
use super::twin::Twin;
use crate::{
    Bounds, ChangedItem, Clause, Condition, Described, Explanation, Found, IndexCorrelators, ItemChanges,
    Model, ModelIndex, ModelParts, PropertyPart, Scoring, SearchPlan, View,
};

/// A batch of changes as [`ItemChanges::with`] takes it.
pub type Update = (Vec<ChangedItem>, Vec<PropertyPart>);

/// The embedded index with its model.
#[derive(Debug)]
pub struct InMemory {
    model: Model,
    changes: ItemChanges,
}

impl InMemory {
    /// Of the model of `parts` and `updates` in their order.
    pub fn new(parts: &ModelParts, updates: &[Update]) -> Self {
        let model = documents::model(parts);
        let mut changes = ItemChanges::default();
        for (items, properties) in updates {
            let copies = properties.iter().map(copy).collect();
            changes = changes.with(&model, items.clone(), copies);
        }
        Self { model, changes }
    }

    /// What a search reads.
    pub fn view(&self) -> View<'_> {
        View::new(&self.model, &self.changes)
    }
}

fn copy(part: &PropertyPart) -> PropertyPart {
    PropertyPart {
        name: part.name.clone(),
        keywords: part.keywords.clone(),
        numbers: part.numbers.clone(),
        dates: part.dates.clone(),
    }
}

impl ModelIndex for InMemory {
    type Error = Infallible;

    fn search(&self, plan: &SearchPlan) -> Result<Vec<Found>, Infallible> {
        ModelIndex::search(&self.view(), plan)
    }

    fn explain(&self, plan: &SearchPlan, items: &[&str]) -> Result<Vec<Explanation>, Infallible> {
        ModelIndex::explain(&self.view(), plan, items)
    }

    fn describe(&self, items: &[&str]) -> Result<Vec<Described<'_>>, Infallible> {
        Ok(items.iter().map(|id| self.view().described(id)).collect())
    }

    fn correlators(&self, item: &str) -> Result<IndexCorrelators, Infallible> {
        self.view().correlators(item)
    }
}

/// Runs the suite. `serve` makes an index of the model of some parts and then tells it what became of items, batch by batch.
pub fn model_index<I: ModelIndex>(serve: impl Fn(&ModelParts, &[Update]) -> I) {
    shop(&serve);
    names(&serve);
    empty(&serve);
    many_items(&serve);
    changes(&serve);
}

const INDICATORS: [&str; 2] = ["buy", "view"];
const RANKINGS: [&str; 2] = ["popRank", "hotRank"];

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn clause(field: &str, values: &[&str], boost: f32) -> Clause {
    Clause { field: field.to_owned(), values: texts(values), boost }
}

fn any_of(field: &str, values: &[&str]) -> Condition {
    Condition::Values(clause(field, values, 1.0))
}

fn numbers(field: &str) -> Bounds {
    Bounds { field: field.to_owned(), ..Bounds::default() }
}

fn dates(field: &str) -> Bounds {
    Bounds { dates: true, ..numbers(field) }
}

fn page(num: usize) -> SearchPlan {
    SearchPlan { by_ranking: true, num, ..SearchPlan::default() }
}

/// One tenth of a millionth is what rounding in another order makes.
fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-5 * a.abs().max(1.0)
}

/// The index answers as the twin does, in both ways of counting, and explains its answers in one of them.
fn check(index: &impl ModelIndex, documents: &Documents, rankings: &[&str], plan: &SearchPlan, what: &str) {
    let twin = Twin::new(documents);
    for scoring in [Scoring::Global, Scoring::Es5Compat] {
        let plan = SearchPlan { scoring, ..plan.clone() };
        let found = index.search(&plan).unwrap_or_else(|error| panic!("{what}: {error}"));
        let expected = twin.search(&plan, rankings);
        let ids: Vec<&str> = found.iter().map(|found| found.item.as_str()).collect();
        let wanted: Vec<&str> = expected.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, wanted, "{what} ({scoring:?})");
        for (found, (id, bits)) in found.iter().zip(&expected) {
            let score = f32::from_bits(*bits);
            assert!(close(found.score, score), "{what} ({scoring:?}): {id} has {}, not {score}", found.score);
        }
        if scoring == Scoring::Es5Compat {
            continue;
        }
        let asked: Vec<&str> = documents.keys().take(12).map(String::as_str).collect();
        let explained = index.explain(&plan, &asked).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(explained.len(), asked.len());
        for (id, explanation) in asked.into_iter().zip(explained) {
            let document = &documents[id];
            let sum: f64 = explanation.evidence.iter().map(|evidence| f64::from(evidence.weight)).sum();
            let factor: f64 = explanation.factors.iter().map(|(_, factor)| f64::from(*factor)).product();
            let score = twin.score(id, document, &plan);
            assert!(close((sum * factor) as f32, score), "{what}: {id}: {explanation:?} is not {score}");
            let shown = Twin::passes(id, document, &plan) && (plan.by_ranking || score != 0.0);
            assert_eq!(explanation.rejected_by.is_empty(), shown, "{what}: {id}: {explanation:?}");
            let weights: Vec<f32> = explanation.evidence.iter().map(|evidence| evidence.weight).collect();
            assert!(weights.is_sorted_by(|a, b| a >= b), "{what}: {id}: {weights:?}");
        }
    }
}

/// Forty items whose values overlap, some without any.
fn catalogue() -> Documents {
    let item = |number: usize| {
        let mut document = Document::default();
        let some = |step: usize, of: usize, prefix: &str| {
            let values = (0..of).filter(|value| (number + value * step).is_multiple_of(value + 2));
            values.map(|value| format!("{prefix}{value}")).collect::<Vec<_>>()
        };
        for (name, values) in [("buy", some(3, 9, "t")), ("view", some(5, 14, "t"))] {
            if !values.is_empty() {
                document.correlators.insert(name.into(), values);
            }
        }
        if !number.is_multiple_of(7) {
            document.keywords.insert("colour".into(), some(1, 4, "c"));
            document.keywords.insert("size".into(), texts(&[["s", "m", "l"][number % 3]]));
            let price = number as f64 - 10.5;
            document.numbers.insert("price".into(), vec![price, price + 20.0]);
            document.keywords.insert("price".into(), vec![price.to_string(), (price + 20.0).to_string()]);
            let day = (number as f64 - 20.0) as i64 * 86_400_000;
            document.dates.insert("until".into(), vec![day]);
            document.keywords.insert("until".into(), vec![format!("day {number}")]);
            document.text = Some(format!("{{\"n\":{number},\"é\":\"😀\\n\"}}"));
        }
        if !number.is_multiple_of(5) {
            document.ranks.insert("popRank".into(), (number % 4) as f32 - 1.0);
        }
        if number.is_multiple_of(3) {
            document.ranks.insert("hotRank".into(), 16_777_216.0 + (number % 2) as f32 * 2.0);
        }
        (format!("item {number:02}"), document)
    };
    (0..40).map(item).collect()
}

/// Every clause of a plan, alone and together.
fn plans() -> Vec<(&'static str, SearchPlan)> {
    let history = clause("buy", &["t0", "t2", "t5", "t5", "no such thing"], 1.0);
    let views = clause("view", &["t1", "t3", "t8", "t13"], 0.3);
    let price = |gt: Option<f64>, lte: Option<f64>| Bounds { gt, lte, ..numbers("price") };
    let scored = |should: Vec<Clause>| SearchPlan { should, ..page(60) };
    let within = |bounds: Bounds| Condition::Within(bounds);
    let mut plans = vec![
        ("nothing asked", page(60)),
        ("nothing wanted", page(0)),
        ("history", scored(vec![history.clone()])),
        ("without ranking", SearchPlan { by_ranking: false, ..scored(vec![history.clone(), views.clone()]) }),
        ("nothing scores, no ranking", SearchPlan { by_ranking: false, ..page(9) }),
        ("a value in several clauses", scored(vec![history.clone(), clause("buy", &["t5", "t0"], 2.5)])),
        ("boost 0", SearchPlan { by_ranking: false, ..scored(vec![clause("buy", &["t0"], 0.0)]) }),
        ("properties", scored(vec![clause("colour", &["c0", "c3"], 1.05), clause("size", &["m"], 20.0)])),
        ("no values", scored(vec![clause("buy", &[], 1.0), clause("no such field", &["a"], 1.0)])),
    ];
    plans.extend(conditions());
    let spread = vec![(price(Some(0.0), Some(15.0)), 0.7), (Bounds { lt: Some(0.0), ..dates("until") }, 2.0)];
    plans.push(("scored bounds", SearchPlan { should_within: spread, ..scored(vec![history.clone()]) }));
    let factors = vec![
        (any_of("size", &["l"]), 4.0),
        (within(price(None, Some(6.5))), 0.5),
        (any_of("no such field", &["a"]), 8.0),
    ];
    let scaled = SearchPlan { factors: factors.clone(), ..scored(vec![history.clone(), views.clone()]) };
    plans.push(("factors", scaled.clone()));
    plans.push(("factors without ranking", SearchPlan { by_ranking: false, ..scaled.clone() }));
    let nought = vec![(any_of("size", &["l"]), 0.0)];
    plans.push(("factor 0", SearchPlan { factors: nought.clone(), ..scaled.clone() }));
    plans.push((
        "factor 0 without ranking",
        SearchPlan { factors: nought, by_ranking: false, ..scaled.clone() },
    ));
    let excluded = texts(&["item 03", "item 10", "item 11", "", "no such item"]);
    plans.push(("excluded", SearchPlan { exclude_items: excluded.clone(), ..scaled.clone() }));
    let blacklist: Vec<String> = (0..70_000).map(|number| format!("item {number:02}")).skip(5).collect();
    plans.push(("a long blacklist", SearchPlan { exclude_items: blacklist, ..scaled.clone() }));
    let many: Vec<String> = (0..600).map(|number| format!("t{number}")).collect();
    let many = Clause { values: many, ..clause("view", &[], 1.0) };
    plans.push(("many values", scored(vec![many.clone(), clause("buy", &["t1"], 1.0)])));
    let must = vec![Condition::Values(many)];
    plans.push(("many values allowed", SearchPlan { must, ..scored(vec![history.clone()]) }));
    for (from, num) in [(0, 3), (3, 3), (6, 40), (39, 5), (40, 5), (1000, 5)] {
        let all = SearchPlan { exclude_items: excluded.clone(), from, num, ..scaled.clone() };
        plans.push(("pages", all.clone()));
        plans.push(("pages by ranking", SearchPlan { should: Vec::new(), ..all }));
    }
    plans
}

/// Conditions of every kind.
fn conditions() -> Vec<(&'static str, SearchPlan)> {
    let price = |gt: Option<f64>, lte: Option<f64>| Bounds { gt, lte, ..numbers("price") };
    let within = |bounds: Bounds| Condition::Within(bounds);
    let history = clause("buy", &["t0", "t2", "t5"], 1.0);
    let must = |must: Vec<Condition>| SearchPlan { must, should: vec![history.clone()], ..page(60) };
    let not = |must_not: Vec<Condition>| SearchPlan { must_not, should: vec![history.clone()], ..page(60) };
    let day = 86_400_000.0;
    vec![
        ("a condition", must(vec![any_of("colour", &["c1", "c2"])])),
        ("conditions", must(vec![any_of("colour", &["c1", "c2"]), any_of("view", &["t1", "t7", "t9"])])),
        ("a condition without values", must(vec![any_of("colour", &[])])),
        ("a condition on no field", must(vec![any_of("no such field", &["a"])])),
        ("forbidden", not(vec![any_of("size", &["s"]), any_of("buy", &["t1"]), any_of("size", &[])])),
        ("above", must(vec![within(price(Some(3.5), None))])),
        ("between", must(vec![within(price(Some(-4.5), Some(9.5)))])),
        ("exactly", must(vec![within(Bounds { gte: Some(4.5), lte: Some(4.5), ..numbers("price") })])),
        ("both kinds", must(vec![within(Bounds { gt: Some(1.5), gte: Some(1.5), ..numbers("price") })])),
        (
            "both kinds below",
            must(vec![within(Bounds { lt: Some(9.5), lte: Some(9.5), ..numbers("price") })]),
        ),
        ("any number", must(vec![within(numbers("price"))])),
        ("contradiction", must(vec![within(price(Some(4.0), Some(3.0)))])),
        ("numbers are no dates", must(vec![within(Bounds { lt: Some(0.0), ..dates("price") })])),
        ("bounds on no field", must(vec![within(numbers("no such field"))])),
        ("infinite bounds", must(vec![within(price(Some(f64::NEG_INFINITY), Some(f64::INFINITY)))])),
        ("above infinity", must(vec![within(price(Some(f64::INFINITY), None))])),
        ("not a number", must(vec![within(price(Some(f64::NAN), None))])),
        ("available", must(vec![within(Bounds { lte: Some(0.0), ..dates("until") })])),
        ("not expired", must(vec![within(Bounds { gt: Some(-3.0 * day), ..dates("until") })])),
        (
            "part of a day",
            must(vec![within(Bounds { gt: Some(day - 0.5), lt: Some(day * 5.0 + 0.5), ..dates("until") })]),
        ),
        ("forbidden bounds", not(vec![within(price(Some(0.0), Some(5.0))), within(dates("until"))])),
    ]
}

fn shop<I: ModelIndex>(serve: &impl Fn(&ModelParts, &[Update]) -> I) {
    let documents = catalogue();
    let index = serve(&documents::parts(&documents, &INDICATORS, &RANKINGS), &[]);
    for (what, plan) in plans() {
        check(&index, &documents, &RANKINGS, &plan, what);
    }
    let ids: Vec<&str> = documents.keys().map(String::as_str).chain(["no such item"]).collect();
    let described = index.describe(&ids).unwrap_or_else(|error| panic!("{error}"));
    for (id, described) in ids.iter().zip(described) {
        let document = documents.get(*id).cloned().unwrap_or_default();
        let ranks =
            RANKINGS.iter().filter_map(|name| Some(((*name).to_owned(), *document.ranks.get(*name)?)));
        assert_eq!(
            described,
            Described { document: document.text.map(Into::into), ranks: ranks.collect() },
            "{id}"
        );
        let correlators = index.correlators(id).unwrap_or_else(|error| panic!("{error}"));
        let list = |name: &str| {
            let things = document.correlators.get(name).into_iter().flatten().enumerate();
            (name.to_owned(), things.map(|(place, thing)| (thing.clone(), documents::llr(place))).collect())
        };
        let known = documents.contains_key(*id);
        let expected: IndexCorrelators = INDICATORS.into_iter().filter(|_| known).map(list).collect();
        assert_eq!(correlators, expected, "{id}");
    }
    explanations(&index);
}

/// The words of an explanation are the same everywhere.
fn explanations(index: &impl ModelIndex) {
    let plan = SearchPlan {
        should: vec![clause("buy", &["t0", "t2"], 2.0)],
        should_within: vec![(Bounds { gt: Some(-100.0), ..numbers("price") }, 0.25)],
        must: vec![any_of("size", &["s"]), Condition::Within(Bounds { gte: Some(0.0), ..dates("until") })],
        must_not: vec![any_of("colour", &["c0", "c2"])],
        exclude_items: texts(&["item 04"]),
        factors: vec![(any_of("colour", &["c0"]), 0.5)],
        ..page(5)
    };
    let twin = InMemory::new(&documents::parts(&catalogue(), &INDICATORS, &RANKINGS), &[]);
    let items = ["item 04", "item 06", "item 07", "item 12", "no such item"];
    let explained = index.explain(&plan, &items).unwrap_or_else(|error| panic!("{error}"));
    let expected = ModelIndex::explain(&twin, &plan, &items).unwrap_or_default();
    assert_eq!(explained, expected);
    assert_eq!(explained[0].rejected_by.len(), 4, "{:?}", explained[0]);
    assert_eq!(explained[4].rejected_by, ["the model has no item no such item"]);
}

/// Ids, names and values that somebody will have.
fn names<I: ModelIndex>(serve: &impl Fn(&ModelParts, &[Update]) -> I) {
    let long = "long ".repeat(800);
    let longest = "x".repeat(40_000);
    let strange = [
        "",
        " ",
        "#",
        "#a",
        "a",
        "a.b",
        "a b",
        "_id",
        "*",
        "?",
        "\"quoted\"",
        "back\\slash",
        "line\nfeed",
        "nul\u{0}",
        "é",
        "e\u{301}",
        "日本語",
        "ﬀ",
        "😀",
        "\u{10ffff}",
        "%2e",
        "Ünï.cödé",
        long.as_str(),
    ];
    let documents = strange_documents(&strange);
    let index = serve(&documents::parts(&documents, &[strange[4], "Empty Indicator"], &["rank.of it"]), &[]);
    for (number, id) in strange.iter().enumerate().step_by(2) {
        let plan = SearchPlan {
            should: vec![clause(strange[4], &[id, "b"], 1.0), clause(strange[(number + 3) % 23], &[id], 2.0)],
            must_not: vec![any_of(strange[(number + 2) % 23], &[id])],
            factors: vec![(Condition::Within(Bounds { lte: Some(7.0), ..numbers(id) }), 2.0)],
            exclude_items: texts(&[strange[(number + 7) % 23]]),
            ..page(40)
        };
        check(
            &index,
            &documents,
            &["rank.of it"],
            &plan,
            &format!("a name like {:?}", &id[..id.len().min(9)]),
        );
        let plan = SearchPlan {
            must: vec![
                any_of(strange[(number + 5) % 23], &[longest.as_str()]),
                Condition::Within(Bounds { lt: Some(0.0), ..dates(strange[(number + 5) % 23]) }),
            ],
            should: vec![clause(strange[(number + 5) % 23], &[longest.as_str(), id], 2.0)],
            ..page(40)
        };
        check(&index, &documents, &["rank.of it"], &plan, "long values");
    }
    let described = index.describe(&strange).unwrap_or_else(|error| panic!("{error}"));
    assert!(described.iter().all(|described| described.document.is_some() && described.ranks.len() == 1));
}

/// An item of each name, with fields, values and correlators of such names.
fn strange_documents(strange: &[&str]) -> Documents {
    let longest = "x".repeat(40_000);
    let mut documents = Documents::new();
    for (number, id) in strange.iter().enumerate() {
        let mut document = Document::default();
        let things = strange.iter().skip(number % 5).step_by(3).map(|thing| (*thing).to_owned());
        document.correlators.insert(strange[4].into(), things.collect());
        for field in strange.iter().skip(number).take(4).filter(|field| **field != strange[4]) {
            let values = [strange[(number + 1) % strange.len()], strange[number], longest.as_str()];
            document.keywords.insert((*field).into(), texts(&values));
            document.numbers.insert((*field).into(), vec![number as f64, -0.0, 1e300]);
            document.dates.insert((*field).into(), vec![number as f64 as i64, -62_135_596_800_001]);
        }
        document.ranks.insert("rank.of it".into(), -0.0);
        document.text = Some(format!("{{\"text\":\"{number}\"}}"));
        documents.insert((*id).to_owned(), document);
    }
    documents
}

fn empty<I: ModelIndex>(serve: &impl Fn(&ModelParts, &[Update]) -> I) {
    let documents = Documents::new();
    let index = serve(&documents::parts(&documents, &INDICATORS, &RANKINGS), &[]);
    for (what, plan) in plans().into_iter().step_by(4) {
        check(&index, &documents, &RANKINGS, &plan, what);
    }
    let bare = serve(&documents::parts(&documents, &[], &[]), &[]);
    check(&bare, &documents, &[], &page(10), "no indicators, no rankings");
}

/// More than one page of anything, with ties all over.
fn many_items<I: ModelIndex>(serve: &impl Fn(&ModelParts, &[Update]) -> I) {
    const ITEMS: usize = 10_500;
    let item = |number: usize| {
        let mut document = Document::default();
        document
            .correlators
            .insert("buy".into(), vec![format!("t{}", number % 101), format!("u{}", number % 7)]);
        document.ranks.insert("popRank".into(), (number % 13) as f32);
        document.keywords.insert("parity".into(), texts(&[["even", "odd"][number % 2]]));
        (format!("{:05}", number * 7919 % ITEMS), document)
    };
    let documents: Documents = (0..ITEMS).map(item).collect();
    let index = serve(&documents::parts(&documents, &INDICATORS, &RANKINGS), &[]);
    let should = vec![clause("buy", &["t3", "t5", "u2"], 1.0)];
    let must = vec![any_of("parity", &["odd"])];
    for (from, num) in [(0, 20), (100, 1000), (9_000, 1000), (0, 10_000)] {
        let plan = SearchPlan { should: should.clone(), must: must.clone(), from, num, ..page(0) };
        let found = index.search(&plan).unwrap_or_else(|error| panic!("{error}"));
        let expected = Twin::new(&documents).search(&plan, &RANKINGS);
        let ids: Vec<&str> = found.iter().map(|found| found.item.as_str()).collect();
        assert_eq!(ids, expected.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), "{from} {num}");
    }
}

/// What the documents become, and how the index is told.
#[derive(Default)]
struct Changing {
    documents: Documents,
    updates: Vec<Update>,
}

impl Changing {
    /// A batch that puts `now` in the place of each item, whose correlators stay; `None`: it is gone.
    fn update(&mut self, batch: &[(&str, Option<Document>)]) {
        let mut items = Vec::new();
        let mut parts: BTreeMap<String, PropertyPart> = BTreeMap::new();
        for (row, (id, now)) in (0..).zip(batch) {
            let correlators = self.documents.get(*id).map(|before| before.correlators.clone());
            let gone = now.is_none() && correlators.as_ref().is_none_or(BTreeMap::is_empty);
            let now = now.clone().unwrap_or_default();
            let now = Document { correlators: correlators.unwrap_or_default(), ..now };
            let ranks = RANKINGS.iter().map(|name| now.ranks.get(*name).copied()).collect();
            items.push(ChangedItem { id: (*id).to_owned(), document: now.text.clone(), ranks, gone });
            let fields = now.keywords.keys().chain(now.numbers.keys()).chain(now.dates.keys());
            for name in fields.collect::<std::collections::BTreeSet<_>>() {
                let part = parts.entry(name.clone()).or_default();
                part.name.clone_from(name);
                let texts = now.keywords.get(name).into_iter().flatten();
                part.keywords.extend(texts.map(|text| (row, text.clone())));
                part.numbers.extend(now.numbers.get(name).into_iter().flatten().map(|number| (row, *number)));
                part.dates.extend(now.dates.get(name).into_iter().flatten().map(|date| (row, *date)));
            }
            if gone {
                self.documents.remove(*id);
            } else {
                self.documents.insert((*id).to_owned(), now);
            }
        }
        self.updates.push((items, parts.into_values().collect()));
    }
}

fn described(colour: &[&str], price: f64, rank: Option<f32>) -> Option<Document> {
    let mut document = Document { text: Some(format!("{{\"price\":{price}}}")), ..Document::default() };
    document.keywords.insert("colour".into(), texts(colour));
    document.keywords.insert("new.property".into(), texts(&["yes"]));
    document.numbers.insert("price".into(), vec![price]);
    document.keywords.insert("price".into(), vec![price.to_string()]);
    document.dates.insert("until".into(), vec![price as i64]);
    document.ranks.extend(rank.map(|rank| ("popRank".to_owned(), rank)));
    Some(document)
}

/// Items that change after the model was made count as if it had been made of them.
fn changes<I: ModelIndex>(serve: &impl Fn(&ModelParts, &[Update]) -> I) {
    let before = catalogue();
    let mut changing = Changing { documents: before.clone(), ..Changing::default() };
    changing.update(&[
        ("item 01", described(&["c0", "red"], 3.0, Some(9.0))),
        ("item 02", None),
        ("new 😀", described(&["red"], -2.0, Some(1.0))),
        ("passing", described(&["red"], 5.0, None)),
    ]);
    changing.update(&[
        ("item 01", described(&["blue"], 4.0, None)),
        ("passing", None),
        ("item 07", described(&["blue", "c1"], 8.0, Some(2.0))),
        ("another", described(&[], 100.0, None)),
    ]);
    changing.update(&[]);
    let index = serve(&documents::parts(&before, &INDICATORS, &RANKINGS), &changing.updates);
    let documents = changing.documents;
    for (what, plan) in plans().into_iter().step_by(2) {
        check(&index, &documents, &RANKINGS, &plan, &format!("changed, {what}"));
    }
    let plan = SearchPlan {
        should: vec![clause("colour", &["red", "blue", "c1"], 1.0), clause("new.property", &["yes"], 2.0)],
        must: vec![Condition::Within(Bounds { gte: Some(-2.0), ..numbers("price") })],
        ..page(60)
    };
    check(&index, &documents, &RANKINGS, &plan, "new values");
    let ids = ["item 01", "item 02", "new 😀", "item 03"];
    let found = index.describe(&ids).unwrap_or_else(|error| panic!("{error}"));
    for (id, found) in ids.iter().zip(found) {
        assert_eq!(found.document.as_deref(), documents[*id].text.as_deref(), "{id}");
        assert_eq!(found.ranks.len(), documents[*id].ranks.len(), "{id}");
    }
    assert_eq!(index.correlators("new 😀").unwrap_or_else(|error| panic!("{error}")), Vec::new());
    let gone = index.explain(&page(9), &["passing"]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(gone[0].rejected_by, ["item passing was deleted"]);
}
