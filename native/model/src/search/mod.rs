//! Executes a [`SearchPlan`]: gathers scores from postings, lets conditions decide, fills up by ranking.

mod es5;
mod explain;
mod filter;
mod order;
mod sums;
mod terms;
mod top;

use std::sync::{Mutex, PoisonError};

use crate::bits::Bits;
use crate::{Condition, Hit, Scoring, SearchPlan, View};
pub use es5::es5_shard;
pub(crate) use es5::{SHARDS, Shards, shard};
use filter::{Filter, Within};
use order::Order;
pub(crate) use order::Permutation;
use sums::Sums;
pub use terms::term_weight;
use top::{Top, key, unkey};

/// Working memory of one search, kept from query to query.
#[derive(Debug, Default)]
struct Scratch {
    sums: Sums,
    clause: Sums,
    allowed: Bits,
    other: Bits,
    keys: Vec<u64>,
}

/// What no search uses now. The last one used is taken first: it is still in the processor's cache, and there are never
/// more than searches at the same time, however many threads ask.
static SPARE: Mutex<Vec<Scratch>> = Mutex::new(Vec::new());

impl View<'_> {
    /// The page of items that the plan describes: by score descending, then by ranking (`by_ranking`), then by item id.
    /// Items without evidence have score 0 and follow those with more; a negative score (negative boosts) comes after them.
    ///
    /// Never fails: unknown fields, values and items match nothing.
    pub fn search(self, plan: &SearchPlan) -> Vec<Hit> {
        if plan.num == 0 {
            return Vec::new();
        }
        let spare = || SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = spare().pop().unwrap_or_default();
        let hits = self.search_with(plan, &mut scratch);
        // Not reached by a panic, which may leave it in disorder.
        spare().push(scratch);
        hits
    }

    fn search_with(self, plan: &SearchPlan, scratch: &mut Scratch) -> Vec<Hit> {
        let Scratch { sums, clause, allowed, other, keys } = scratch;
        self.accumulate(plan, sums, clause);
        for (condition, factor) in &plan.factors {
            self.scale(condition, f64::from(*factor), sums, other);
        }
        let filter = Filter::new(self, plan, allowed, other);
        let order = Order::new(self, plan);
        let wanted = plan.from.saturating_add(plan.num).min(self.items() as usize);

        let mut top = Top::new(std::mem::take(keys), wanted);
        offer(&mut top, sums, &filter, order, |score| score > 0.0);
        let mut found = top.into_sorted();
        if plan.by_ranking && found.len() < wanted {
            self.fill_up(&mut found, wanted, sums, &filter, order);
        }
        if found.len() < wanted {
            let mut top = Top::new(Vec::new(), wanted - found.len());
            offer(&mut top, sums, &filter, order, |score| score < 0.0);
            found.extend(top.into_sorted());
        }
        let page = found.iter().skip(plan.from).take(plan.num).map(|key| {
            let (score, position) = unkey(*key);
            Hit { item: order.row(position), score }
        });
        let page = page.collect();
        *keys = found;
        page
    }

    /// Sums up what the scoring clauses give.
    fn accumulate(self, plan: &SearchPlan, sums: &mut Sums, clause_sums: &mut Sums) {
        sums.reset(self.items());
        match plan.scoring {
            Scoring::Global => {
                for term in terms::merged(self, &plan.should) {
                    let weight = f64::from(term.weight(self));
                    term.rows(self).add_to(sums, |_| weight);
                }
            }
            Scoring::Es5Compat => {
                clause_sums.reset(self.items());
                for clause in &plan.should {
                    for term in terms::of_clause(self, clause) {
                        let weights = term.shard_weights(self).map(f64::from);
                        let shard = |row: u32| usize::from(self.shard(row)).min(SHARDS - 1);
                        term.rows(self).add_to(clause_sums, |row| weights[shard(row)]);
                    }
                    sums.absorb(clause_sums, self.items());
                }
            }
        }
        for (bounds, boost) in &plan.should_within {
            sums.add(Within::new(self, bounds).rows(), |_| f64::from(*boost));
        }
    }

    fn scale(self, condition: &Condition, factor: f64, sums: &mut Sums, bits: &mut Bits) {
        match condition {
            Condition::Values(clause) => {
                filter::gather(self, clause, bits);
                sums.scale(factor, |row| bits.contains(row));
            }
            Condition::Within(bounds) => {
                let within = Within::new(self, bounds);
                sums.scale(factor, |row| within.holds(row));
            }
        }
    }

    /// Appends items with score 0 in ranking order until there are `wanted`.
    fn fill_up(
        self,
        found: &mut Vec<u64>,
        wanted: usize,
        sums: &Sums,
        filter: &Filter<'_>,
        order: Order<'_>,
    ) {
        let missing = wanted - found.len();
        let unscored = |row: &u32| sums.score(*row) == 0.0;
        if let Some(rows) = filter.few(self.items(), missing) {
            let mut top = Top::new(Vec::new(), missing);
            rows.filter(unscored).for_each(|row| top.push(key(0.0, order.position(row))));
            found.extend(top.into_sorted());
        } else {
            let ranked = (0..self.items()).map(|position| (position, order.row(position)));
            let eligible = ranked.filter(|(_, row)| unscored(row) && filter.passes(*row));
            found.extend(eligible.take(missing).map(|(position, _)| key(0.0, position)));
        }
    }
}

/// Offers the touched items whose score is `of_interest`. Conditions are asked only for items that could get in.
fn offer(
    top: &mut Top,
    sums: &Sums,
    filter: &Filter<'_>,
    order: Order<'_>,
    of_interest: impl Fn(f32) -> bool,
) {
    for row in sums.touched() {
        let score = sums.score(row);
        if of_interest(score) && top.wants(key(score, u32::MIN)) {
            let key = key(score, order.position(row));
            if top.wants(key) && filter.passes(row) {
                top.push(key);
            }
        }
    }
}
