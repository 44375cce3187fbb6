//! A model with changes of items answers as a model does that was made of the changed items.

use std::collections::{BTreeMap, BTreeSet};

use model::{ChangedItem, ItemChanges, Model, PropertyPart, SearchPlan, View};
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::build::{self, Document, Documents};
use crate::plans::{INDICATORS, RANKINGS, document, documents, plan};

/// Items by id: what they are now, or `None` if they are gone.
type Batch = Vec<(String, Option<Document>)>;

fn batch() -> impl Strategy<Value = Batch> {
    let changed = prop_oneof![4 => document().prop_map(Some), 1 => Just(None)];
    prop::collection::vec(("[a-zé😀 ]{0,2}", changed), 0..12)
}

/// Correlators stay; an item without them and without properties is none.
fn apply(documents: &mut Documents, id: &str, now: Option<Document>) {
    let correlators = documents.get(id).map(|before| before.correlators.clone()).unwrap_or_default();
    match now {
        None if correlators.is_empty() => drop(documents.remove(id)),
        None => drop(documents.insert(id.to_owned(), Document { correlators, ..Document::default() })),
        Some(now) => {
            let text = Some(format!("{:?}", now.keywords));
            drop(documents.insert(id.to_owned(), Document { correlators, text, ..now }));
        }
    }
}

/// What the index is told of a batch: the state of each item after it.
fn told(batch: &Batch, after: &Documents, rankings: &[&str]) -> (Vec<ChangedItem>, Vec<PropertyPart>) {
    let mut items = Vec::new();
    let mut parts: BTreeMap<&str, PropertyPart> = BTreeMap::new();
    for (row, (id, _)) in (0..).zip(batch) {
        let now = after.get(id);
        let document = now.cloned().unwrap_or_default();
        let ranks = rankings.iter().map(|name| document.ranks.get(*name).copied()).collect();
        items.push(ChangedItem { id: id.clone(), document: document.text, ranks, gone: now.is_none() });
        let Some(now) = now else { continue };
        let names = now.keywords.keys().chain(now.numbers.keys()).chain(now.dates.keys());
        for name in names {
            let part = parts
                .entry(name)
                .or_insert_with(|| PropertyPart { name: name.clone(), ..PropertyPart::default() });
            part.keywords.retain(|(other, _)| *other != row);
            part.numbers.retain(|(other, _)| *other != row);
            part.dates.retain(|(other, _)| *other != row);
            part.keywords
                .extend(now.keywords.get(name).into_iter().flatten().map(|text| (row, text.clone())));
            part.numbers.extend(now.numbers.get(name).into_iter().flatten().map(|number| (row, *number)));
            part.dates.extend(now.dates.get(name).into_iter().flatten().map(|date| (row, *date)));
        }
    }
    (items, parts.into_values().collect())
}

fn answer(view: View<'_>, plan: &SearchPlan) -> Vec<(String, u32)> {
    let hits = view.search(plan).into_iter();
    hits.map(|hit| (view.item(hit.item).unwrap().to_owned(), hit.score.to_bits())).collect()
}

fn same(view: View<'_>, after: &Model, plans: &[SearchPlan]) -> Result<(), TestCaseError> {
    for plan in plans {
        prop_assert_eq!(answer(view, plan), answer(View::from(after), plan), "{:?}", plan);
        for row in 0..after.items().min(6) {
            let id = after.item(row).unwrap();
            let changed = view.find(id).unwrap();
            prop_assert_eq!(view.explain(plan, changed), after.explain(plan, row), "{} {:?}", id, plan);
        }
    }
    for row in 0..after.items() {
        let changed = view.find(after.item(row).unwrap()).unwrap();
        prop_assert_eq!(view.document(changed), after.document(row));
        prop_assert_eq!(view.ranks(changed).collect::<Vec<_>>(), after.ranks(row).collect::<Vec<_>>());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changes_equal_a_new_model(
        before in documents(),
        batches in prop::collection::vec(batch(), 1..4),
        plans in prop::collection::vec(plan(), 1..5),
        rankings in subsequence(&RANKINGS[..], 0..=2),
    ) {
        let model = build::model(&build::parts(&before, &INDICATORS, &rankings));
        let mut after = before;
        let mut changes = ItemChanges::default();
        for batch in batches {
            for (id, now) in &batch {
                apply(&mut after, id, now.clone());
            }
            let (items, properties) = told(&batch, &after, &rankings);
            changes = changes.with(&model, items, properties);
            let retrained = build::model(&build::parts(&after, &INDICATORS, &rankings));
            same(View::new(&model, &changes), &retrained, &plans)?;
            // Told to another index in one go.
            let all = all_ids(&model, &after, &retrained);
            let (items, properties) = changes.of(&model, &all);
            let again = ItemChanges::default().with(&model, items, properties);
            same(View::new(&model, &again), &retrained, &plans)?;
        }
    }
}

/// Every id there is or was.
fn all_ids(model: &Model, after: &Documents, retrained: &Model) -> BTreeSet<String> {
    let before = (0..model.items()).filter_map(|row| model.item(row)).map(str::to_owned);
    let now = (0..retrained.items()).filter_map(|row| retrained.item(row)).map(str::to_owned);
    before.chain(now).chain(after.keys().cloned()).collect()
}

/// What was handed out before stays as it was.
#[test]
fn an_older_state_is_not_touched() {
    let red = |id: &str| ChangedItem { id: id.into(), document: Some("{}".into()), ..ChangedItem::default() };
    let colour = |text: &str| {
        vec![PropertyPart {
            name: "colour".into(),
            keywords: vec![(0, text.into())],
            ..PropertyPart::default()
        }]
    };
    let model = build::model(&build::parts(&Documents::new(), &INDICATORS, &[]));
    let first = ItemChanges::none().with(&model, vec![red("a")], colour("red"));
    let second =
        first.with(&model, vec![red("a")], colour("blue")).with(&model, vec![red("b")], colour("blue"));
    let found = |changes: &ItemChanges, text: &str| {
        let must = vec![model::Condition::Values(model::Clause {
            field: "colour".into(),
            values: vec![text.into()],
            boost: 1.0,
        })];
        let plan = SearchPlan { must, by_ranking: true, num: 9, ..SearchPlan::default() };
        answer(View::new(&model, changes), &plan).into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!((found(&first, "red"), found(&first, "blue")), (vec!["a".to_owned()], vec![]));
    assert_eq!((found(&second, "red"), found(&second, "blue")), (vec![], vec!["a".into(), "b".into()]));
    assert!(ItemChanges::none().is_empty() && first.len() == 1 && second.len() == 2);
}
