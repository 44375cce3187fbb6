//! Why an item is where it is.

use super::filter::{Within, gather};
use super::sums::round;
use super::terms::{self, Term};
use crate::bits::Bits;
use crate::{Bounds, Clause, Condition, Evidence, Explanation, Scoring, SearchPlan, View};

impl View<'_> {
    /// What the plan did with one item: what scored it, what scaled it, what keeps it out. Slower than a search: for people.
    pub fn explain(self, plan: &SearchPlan, row: u32) -> Explanation {
        let Some(id) = self.item(row) else {
            let rejected_by = vec![format!("the model has no item row {row}")];
            return Explanation { rejected_by, ..Explanation::default() };
        };
        let evidence = self.evidence(plan, row);
        let mut rejected_by = Vec::new();
        if self.changes.gone().binary_search(&row).is_ok() {
            rejected_by.push(format!("item {id} was deleted"));
        }
        if plan.exclude_items.iter().any(|excluded| excluded == id) {
            rejected_by.push(format!("item {id} is excluded"));
        }
        let fails = |condition: &&Condition| !self.holds(condition, row);
        rejected_by.extend(plan.must.iter().filter(fails).map(|condition| format!("must: {condition}")));
        let holds = |condition: &&Condition| self.holds(condition, row);
        rejected_by
            .extend(plan.must_not.iter().filter(holds).map(|condition| format!("must not: {condition}")));
        let sum: f64 = evidence.iter().map(|evidence| f64::from(evidence.weight)).sum();
        if !plan.by_ranking && round(sum) == 0.0 {
            rejected_by.push("it has no score, and results are not filled up by ranking".to_owned());
        }
        let factors = plan.factors.iter().filter(|(condition, _)| self.holds(condition, row));
        let factors = factors.map(|(condition, factor)| (field(condition).to_owned(), *factor)).collect();
        Explanation { evidence, factors, rejected_by }
    }

    fn evidence(self, plan: &SearchPlan, row: u32) -> Vec<Evidence> {
        let terms: Vec<Term<'_>> = match plan.scoring {
            Scoring::Global => terms::merged(self, &plan.should),
            Scoring::Es5Compat => {
                plan.should.iter().flat_map(|clause| terms::of_clause(self, clause)).collect()
            }
        };
        let matching = terms.into_iter().filter(|term| term.rows(self).contains(row));
        let mut evidence: Vec<Evidence> =
            matching.filter_map(|term| self.evidence_of(plan.scoring, term, row)).collect();
        let bounds = plan.should_within.iter().filter(|(bounds, _)| Within::new(self, bounds).holds(row));
        evidence.extend(bounds.map(|(bounds, boost)| Evidence {
            field: bounds.field.clone(),
            value: bounds.words(),
            weight: *boost,
            llr: None,
        }));
        evidence.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        evidence
    }

    fn evidence_of(self, scoring: Scoring, term: Term<'_>, row: u32) -> Option<Evidence> {
        let weight = match scoring {
            Scoring::Global => term.weight(self),
            Scoring::Es5Compat => *term.shard_weights(self).get(usize::from(self.shard(row)))?,
        };
        let field = self.field_name(term.field).to_owned();
        Some(Evidence { field, value: term.text.to_owned(), weight, llr: term.llr(self, row) })
    }

    fn holds(self, condition: &Condition, row: u32) -> bool {
        match condition {
            Condition::Within(bounds) => Within::new(self, bounds).holds(row),
            Condition::Values(clause) => {
                let mut bits = Bits::default();
                gather(self, clause, &mut bits);
                bits.contains(row)
            }
        }
    }
}

fn field(condition: &Condition) -> &str {
    match condition {
        Condition::Values(Clause { field, .. }) | Condition::Within(Bounds { field, .. }) => field,
    }
}
