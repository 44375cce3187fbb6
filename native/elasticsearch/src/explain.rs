//! Why an item is where it is: its document, looked at here, in the words of the embedded index.

use model::{Condition, Evidence, Explanation, Scoring};

use crate::index::Source;
use crate::mapping::Holder;
use crate::names;
use crate::query::{Question, Term};

impl Question<'_> {
    /// What the plan did with one item.
    pub(crate) fn explain(&self, source: &Source) -> Explanation {
        let holds = |condition: &Condition| self.holds(condition, source);
        Explanation::of(self.plan, source.id(), source.is_gone(), self.evidence(source), holds)
    }

    fn evidence(&self, source: &Source) -> Vec<Evidence> {
        let terms = self.sums.iter().flatten();
        let mut evidence: Vec<Evidence> = terms.filter_map(|term| self.evidence_of(term, source)).collect();
        let bounds = self.plan.should_within.iter();
        let bounds = bounds.filter(|(bounds, _)| self.holds(&Condition::Within(bounds.clone()), source));
        evidence.extend(bounds.map(|(bounds, boost)| Evidence {
            field: bounds.field.clone(),
            value: bounds.words(),
            weight: *boost,
            llr: None,
        }));
        evidence.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        evidence
    }

    fn evidence_of(&self, term: &Term<'_>, source: &Source) -> Option<Evidence> {
        let text = names::text(term.text);
        let place = source.texts(term.holder, term.field).position(|other| other == text)?;
        let shard = if self.plan.scoring == Scoring::Es5Compat { source.shard() } else { 0 };
        let llr = match term.holder {
            Holder::Indicator => source.llrs(term.field).nth(place),
            _ => None,
        };
        Some(Evidence {
            field: term.field.to_owned(),
            value: term.text.to_owned(),
            weight: *self.weights(term).get(shard)?,
            llr,
        })
    }

    fn holds(&self, condition: &Condition, source: &Source) -> bool {
        match condition {
            Condition::Within(bounds) => {
                let holder = if bounds.dates { Holder::Date } else { Holder::Number };
                source.numbers(holder, &bounds.field).any(|value| bounds.hold(value))
            }
            Condition::Values(clause) => {
                let holder = self.index.holder(&clause.field);
                let wanted = |text: &str| clause.values.iter().any(|value| names::text(value) == text);
                source.texts(holder, &clause.field).any(wanted)
            }
        }
    }
}
