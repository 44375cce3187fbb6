//! Search against a twin that scores every document by hand, over random models and random plans.

use std::collections::BTreeMap;

use model::conformance::Twin;
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::build;
use crate::plans::{INDICATORS, RANKINGS, documents, plan};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn search_equals_twin(
        documents in documents(),
        plans in prop::collection::vec(plan(), 1..6),
        rankings in subsequence(&RANKINGS[..], 0..=2),
    ) {
        let model = build::model(&build::parts(&documents, &INDICATORS, &rankings));
        let twin = Twin::new(&documents);
        for plan in &plans {
            let hits = model.search(plan);
            let found: Vec<_> =
                hits.iter().map(|hit| (model.item(hit.item).unwrap().to_owned(), hit.score.to_bits())).collect();
            prop_assert_eq!(found, twin.search(plan, &rankings), "{:?}", plan);
            for (id, document) in documents.iter().take(8) {
                let explanation = model.explain(plan, model.find(id).unwrap());
                let sum: f64 = explanation.evidence.iter().map(|evidence| f64::from(evidence.weight)).sum();
                let factor: f64 = explanation.factors.iter().map(|(_, factor)| f64::from(*factor)).product();
                let score = f64::from(twin.score(id, document, plan));
                prop_assert!((sum * factor - score).abs() < 1e-3, "{} {}", sum * factor, score);
                let shown = Twin::passes(id, document, plan) && (plan.by_ranking || score.abs() > 1e-3);
                if shown || plan.by_ranking {
                    prop_assert_eq!(explanation.rejected_by.is_empty(), shown);
                }
            }
        }
    }

    #[test]
    fn what_went_in_comes_out(documents in documents(), other in documents()) {
        let parts = build::parts(&documents, &INDICATORS, &RANKINGS);
        let model = build::model(&parts);
        prop_assert_eq!(model.indicators().collect::<Vec<_>>(), INDICATORS);
        prop_assert_eq!(model.rankings().collect::<Vec<_>>(), RANKINGS);
        prop_assert_eq!(model.counts().items as usize, documents.len());
        for (id, document) in &documents {
            let row = model.find(id).unwrap();
            prop_assert_eq!(model.item(row), Some(id.as_str()));
            for name in INDICATORS {
                let list = document.correlators.get(name).into_iter().flatten();
                let wanted: Vec<_> = list.enumerate().map(|(place, thing)| (thing.as_str(), build::llr(place))).collect();
                prop_assert_eq!(model.correlators(name, row).collect::<Vec<_>>(), wanted);
            }
            let ranks: BTreeMap<String, f32> = model.ranks(row).map(|(name, rank)| (name.to_owned(), rank)).collect();
            prop_assert_eq!(&ranks, &document.ranks);
        }
        for id in other.keys() {
            prop_assert_eq!(model.find(id).is_some(), documents.contains_key(id));
        }
        prop_assert_eq!(build::bytes(&parts), model.as_bytes());
    }
}
