//! Which items a plan lets through. Conditions on values become bits, for their postings are at hand; bounds are looked up
//! when an item is about to be returned, for most never are.

use super::terms;
use crate::array::{Column, Scalar};
use crate::bits::Bits;
use crate::{Bounds, Clause, Condition, Model, SearchPlan};

/// Bounds with the column that they speak of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within<'a> {
    bounds: &'a Bounds,
    column: Values<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Values<'a> {
    None,
    Numbers(Column<'a, f64>),
    Dates(Column<'a, i64>),
}

impl<'a> Within<'a> {
    pub(super) fn new(model: &'a Model, bounds: &'a Bounds) -> Self {
        let bytes = model.as_bytes();
        let column = match model.property(&bounds.field) {
            None => Values::None,
            Some(field) if bounds.dates => Values::Dates(field.dates(bytes)),
            Some(field) => Values::Numbers(field.numbers(bytes)),
        };
        Self { bounds, column }
    }

    /// Does the item have a value within the bounds?
    pub(super) fn holds(&self, row: u32) -> bool {
        match self.column {
            Values::None => false,
            Values::Numbers(column) => column.of(row).any(|value| inside(self.bounds, value)),
            Values::Dates(column) => column.of(row).any(|value| inside(self.bounds, milliseconds(value))),
        }
    }

    /// All items for which it holds, ascending, each once.
    pub(super) fn rows(self) -> Box<dyn Iterator<Item = u32> + 'a> {
        match self.column {
            Values::None => Box::new(std::iter::empty()),
            Values::Numbers(column) => Box::new(rows_inside(self.bounds, column, |value| value)),
            Values::Dates(column) => Box::new(rows_inside(self.bounds, column, milliseconds)),
        }
    }
}

fn rows_inside<'a, T: Scalar + 'a>(
    bounds: &'a Bounds,
    column: Column<'a, T>,
    number: impl Fn(T) -> f64 + 'a,
) -> impl Iterator<Item = u32> + 'a {
    let inside = column.iter().filter(move |(_, value)| inside(bounds, number(*value))).map(|(row, _)| row);
    let mut last = None;
    inside.filter(move |row| last.replace(*row) != Some(*row))
}

/// Exact for dates of the next 285 000 years.
fn milliseconds(date: i64) -> f64 {
    date as f64
}

fn inside(bounds: &Bounds, value: f64) -> bool {
    bounds.gt.is_none_or(|bound| value > bound)
        && bounds.gte.is_none_or(|bound| value >= bound)
        && bounds.lt.is_none_or(|bound| value < bound)
        && bounds.lte.is_none_or(|bound| value <= bound)
}

/// Items that have any of the clause's values.
pub(super) fn gather(model: &Model, clause: &Clause, bits: &mut Bits) {
    bits.reset(model.items());
    each_row(model, clause, |row| bits.insert(row));
}

fn each_row(model: &Model, clause: &Clause, mut act: impl FnMut(u32)) {
    for term in terms::of_clause(model, clause) {
        term.rows(model).iter().for_each(&mut act);
    }
}

/// `must`, `must_not` and exclusions of a plan.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    allowed: &'a Bits,
    within: Vec<(Within<'a>, bool)>,
}

impl<'a> Filter<'a> {
    /// Works in the memory of `allowed` and `other`.
    pub(super) fn new(
        model: &'a Model,
        plan: &'a SearchPlan,
        allowed: &'a mut Bits,
        other: &mut Bits,
    ) -> Self {
        let mut within = Vec::new();
        allowed.fill(model.items());
        for condition in &plan.must {
            match condition {
                Condition::Within(bounds) => within.push((Within::new(model, bounds), true)),
                Condition::Values(clause) => {
                    gather(model, clause, other);
                    allowed.intersect(other);
                }
            }
        }
        for condition in &plan.must_not {
            match condition {
                Condition::Within(bounds) => within.push((Within::new(model, bounds), false)),
                Condition::Values(clause) => each_row(model, clause, |row| allowed.remove(row)),
            }
        }
        plan.exclude_items.iter().filter_map(|id| model.find(id)).for_each(|row| allowed.remove(row));
        Self { allowed, within }
    }

    #[inline]
    pub(super) fn passes(&self, row: u32) -> bool {
        self.allowed.contains(row) && self.within.iter().all(|(within, wanted)| within.holds(row) == *wanted)
    }

    /// Rows that pass, if there are so few that going through them is less work than going through all items in order until
    /// `wanted` of them have passed.
    pub(super) fn few(&self, items: u32, wanted: usize) -> Option<impl Iterator<Item = u32>> {
        let allowed = u64::from(self.allowed.len());
        let few = allowed * allowed <= u64::from(items).saturating_mul(wanted as u64);
        few.then(|| self.allowed.iter().filter(|row| self.passes(*row)))
    }
}
