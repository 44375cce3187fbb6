//! Why an item is where it is.

use super::filter::{Within, gather};
use super::sums::round;
use super::terms::{self, Term};
use crate::bits::Bits;
use crate::{Condition, Evidence, Explanation, Scoring, SearchPlan, View};

impl Explanation {
    /// Of an item for which these conditions hold, in any index. `is_gone`: it was deleted.
    pub fn of(
        plan: &SearchPlan,
        id: &str,
        is_gone: bool,
        evidence: Vec<Evidence>,
        holds: impl Fn(&Condition) -> bool,
    ) -> Self {
        let mut rejected_by = Vec::new();
        if is_gone {
            rejected_by.push(format!("item {id} was deleted"));
        }
        if plan.exclude_items.iter().any(|excluded| excluded == id) {
            rejected_by.push(format!("item {id} is excluded"));
        }
        let failed = plan.must.iter().filter(|condition| !holds(condition));
        rejected_by.extend(failed.map(|condition| format!("must: {condition}")));
        let forbidden = plan.must_not.iter().filter(|condition| holds(condition));
        rejected_by.extend(forbidden.map(|condition| format!("must not: {condition}")));
        let factors = plan.factors.iter().filter(|(condition, _)| holds(condition));
        let factors: Vec<(String, f32)> =
            factors.map(|(condition, factor)| (condition.field().to_owned(), *factor)).collect();
        let sum: f64 = evidence.iter().map(|evidence| f64::from(evidence.weight)).sum();
        let scaled = factors.iter().fold(sum, |sum, (_, factor)| sum * f64::from(*factor));
        if !plan.by_ranking && round(scaled) == 0.0 {
            rejected_by.push(Self::NO_SCORE.to_owned());
        }
        Self { evidence, factors, rejected_by }
    }
}

impl View<'_> {
    /// What the plan did with one item: what scored it, what scaled it, what keeps it out. Slower than a search: for people.
    pub fn explain(self, plan: &SearchPlan, row: u32) -> Explanation {
        let Some(id) = self.item(row) else {
            let rejected_by = vec![format!("the model has no item row {row}")];
            return Explanation { rejected_by, ..Explanation::default() };
        };
        let evidence = self.evidence(plan, row);
        let is_gone = self.changes.gone().binary_search(&row).is_ok();
        Explanation::of(plan, id, is_gone, evidence, |condition| self.holds(condition, row))
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
