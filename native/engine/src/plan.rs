//! From a query and a history to a search plan. Pure: no store, no clock. Compatibility with the Universal Recommender lives here.

use model::{Bounds, Clause, Condition, SearchPlan};

use crate::history::History;
use crate::query::{Effect, Query, RangeRule, Rule};
use crate::{EngineConfig, RecsModel};

/// What the plan needs to know about the base item of a query: its correlators per indicator, strongest first.
pub(crate) type ItemCorrelators = Vec<(String, Vec<String>)>;

/// Everything that decides the answer, gathered.
pub(crate) struct Request<'a> {
    pub config: &'a EngineConfig,
    pub query: &'a Query,
    pub history: &'a History,
    pub item: &'a ItemCorrelators,
    /// Results wanted.
    pub num: u32,
    pub now_ms: i64,
}

impl Request<'_> {
    /// The search that answers this request.
    pub fn plan(&self) -> SearchPlan {
        let mut plan = SearchPlan {
            by_ranking: self.config.recs_model != RecsModel::CollabFiltering,
            scoring: self.config.scoring,
            from: self.query.from as usize,
            num: self.num as usize,
            exclude_items: self.excluded(),
            ..SearchPlan::default()
        };
        self.add_history(&mut plan);
        self.add_item(&mut plan);
        self.add_rules(&mut plan);
        self.add_item_set(&mut plan);
        self.add_dates(&mut plan);
        plan
    }

    fn add_history(&self, plan: &mut SearchPlan) {
        let bias = self.query.user_bias.unwrap_or(self.config.user_bias);
        if self.query.user.is_none() && self.query.history.is_none() {
            return;
        }
        let clauses = self.history.recent.iter().map(|(field, past)| Clause {
            field: field.clone(),
            values: past.iter().map(|event| event.item.clone()).collect(),
            boost: bias,
        });
        add_biased(plan, clauses, bias);
    }

    fn add_item(&self, plan: &mut SearchPlan) {
        let bias = self.query.item_bias.unwrap_or(self.config.item_bias);
        if self.query.item.is_none() {
            return;
        }
        let clauses = self.item.iter().map(|(field, values)| Clause {
            field: field.clone(),
            values: values.clone(),
            boost: bias,
        });
        add_biased(plan, clauses, bias);
    }

    fn add_item_set(&self, plan: &mut SearchPlan) {
        let boost = self.query.item_set_bias.unwrap_or(self.config.item_set_bias);
        if let (Some(primary), false) = (self.config.indicators.first(), self.query.item_set.is_empty()) {
            let clause = Clause { field: primary.name.clone(), values: self.query.item_set.clone(), boost };
            add_biased(plan, [clause].into_iter(), boost);
        }
    }

    fn add_rules(&self, plan: &mut SearchPlan) {
        for rule in self.rules() {
            let clause = Clause { field: rule.name.clone(), values: rule.values.clone(), boost: 1.0 };
            match rule.effect {
                Effect::Boost(boost) => plan.should.push(Clause { boost, ..clause }),
                Effect::Include => plan.must.push(Condition::Values(clause)),
                Effect::Exclude => plan.must_not.push(Condition::Values(clause)),
                Effect::Factor(factor) => plan.factors.push((Condition::Values(clause), factor)),
            }
        }
        for RangeRule { bounds, effect } in &self.query.ranges {
            let bounds = bounds.clone();
            match *effect {
                Effect::Boost(boost) => plan.should_within.push((bounds, boost)),
                Effect::Include => plan.must.push(Condition::Within(bounds)),
                Effect::Exclude => plan.must_not.push(Condition::Within(bounds)),
                Effect::Factor(factor) => plan.factors.push((Condition::Within(bounds), factor)),
            }
        }
    }

    /// The query's rules, then the standing ones, exact duplicates once.
    fn rules(&self) -> Vec<&Rule> {
        let mut rules: Vec<&Rule> = Vec::new();
        for rule in &self.query.rules {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        for rule in &self.config.rules {
            let replaced =
                self.config.query_rules_replace && self.query.rules.iter().any(|own| own.name == rule.name);
            if !replaced && !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }

    /// A date range of the query, or else the availability of items at the current date.
    fn add_dates(&self, plan: &mut SearchPlan) {
        if let Some(range) = &self.query.date_range
            && (range.after.is_some() || range.before.is_some())
        {
            plan.must.push(Condition::Within(Bounds {
                gt: range.after.map(as_f64),
                lt: range.before.map(as_f64),
                ..dates_of(&range.name)
            }));
            return;
        }
        let now = Some(as_f64(self.query.current_date.unwrap_or(self.now_ms)));
        if let Some(name) = &self.config.available_date {
            plan.must.push(Condition::Within(Bounds { lte: now, ..dates_of(name) }));
        }
        if let Some(name) = &self.config.expire_date {
            plan.must.push(Condition::Within(Bounds { gt: now, ..dates_of(name) }));
        }
    }

    fn excluded(&self) -> Vec<String> {
        let mut items = self.history.blacklisted.clone();
        items.extend(self.query.blacklist_items.iter().cloned());
        if let Some(item) = &self.query.item
            && !self.query.return_self.unwrap_or(self.config.return_self)
        {
            items.push(item.clone());
        }
        items.extend(self.query.item_set.iter().cloned());
        items.sort_unstable();
        items.dedup();
        items
    }
}

/// The sign rule of biases: positive boosts, negative filters (every clause must match), zero drops.
fn add_biased(plan: &mut SearchPlan, clauses: impl Iterator<Item = Clause>, bias: f32) {
    if bias > 0.0 {
        plan.should.extend(clauses);
    } else if bias < 0.0 {
        plan.must.extend(clauses.map(Condition::Values));
    }
}

fn dates_of(field: &str) -> Bounds {
    Bounds { field: field.to_owned(), dates: true, ..Bounds::default() }
}

/// Milliseconds fit 53 bits for some 285 000 years around 1970.
#[expect(clippy::cast_precision_loss, reason = "dates are far below 2^53 ms")]
fn as_f64(ms: i64) -> f64 {
    ms as f64
}
