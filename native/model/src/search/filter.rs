//! Which items a plan lets through. Conditions on values become bits, for their postings are at hand; bounds are looked up
//! when an item is about to be returned, for most never are.

use super::terms;
use crate::array::{Column, Scalar};
use crate::bits::Bits;
use crate::{Bounds, Clause, Condition, SearchPlan, View};

/// Bounds with the values that they speak of: a column of the model, and what changed items have in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within<'a> {
    bounds: &'a Bounds,
    values: Values<'a>,
    changed: &'a Bits,
}

#[derive(Debug, Clone, Copy)]
enum Values<'a> {
    Numbers(Option<Column<'a, f64>>, &'a [(u32, f64)]),
    Dates(Option<Column<'a, i64>>, &'a [(u32, i64)]),
}

impl<'a> Within<'a> {
    pub(super) fn new(view: View<'a>, bounds: &'a Bounds) -> Self {
        let bytes = view.model.as_bytes();
        let property = view.property(&bounds.field);
        let field = property.and_then(|index| view.model_field(index));
        let changes = property.and_then(|index| view.field_changes(index));
        let values = if bounds.dates {
            Values::Dates(field.map(|field| field.dates(bytes)), changes.map_or(&[], |field| &field.dates))
        } else {
            Values::Numbers(
                field.map(|field| field.numbers(bytes)),
                changes.map_or(&[], |field| &field.numbers),
            )
        };
        Self { bounds, values, changed: view.changes.rows() }
    }

    /// Does the item have a value within the bounds?
    pub(super) fn holds(&self, row: u32) -> bool {
        let changed = self.changed.contains(row);
        match self.values {
            Values::Numbers(_, list) if changed => of(list, row).any(|value| inside(self.bounds, value)),
            Values::Dates(_, list) if changed => {
                of(list, row).any(|value| inside(self.bounds, milliseconds(value)))
            }
            Values::Numbers(Some(column), _) => column.of(row).any(|value| inside(self.bounds, value)),
            Values::Dates(Some(column), _) => {
                column.of(row).any(|value| inside(self.bounds, milliseconds(value)))
            }
            Values::Numbers(None, _) | Values::Dates(None, _) => false,
        }
    }

    /// All items for which it holds, each once.
    pub(super) fn rows(self) -> Box<dyn Iterator<Item = u32> + 'a> {
        match self.values {
            Values::Numbers(column, list) => Box::new(self.rows_inside(column, list, |value| value)),
            Values::Dates(column, list) => Box::new(self.rows_inside(column, list, milliseconds)),
        }
    }

    fn rows_inside<T: Scalar + 'a>(
        self,
        column: Option<Column<'a, T>>,
        list: &'a [(u32, T)],
        number: impl Fn(T) -> f64 + 'a,
    ) -> impl Iterator<Item = u32> + 'a {
        let unchanged =
            column.into_iter().flat_map(Column::iter).filter(move |(row, _)| !self.changed.contains(*row));
        let values = unchanged.chain(list.iter().copied());
        let rows = values.filter(move |(_, value)| inside(self.bounds, number(*value))).map(|(row, _)| row);
        let mut last = None;
        rows.filter(move |row| last.replace(*row) != Some(*row))
    }
}

/// The values of one row in a list that is sorted by row.
fn of<T: Copy>(list: &[(u32, T)], row: u32) -> impl Iterator<Item = T> {
    let start = list.partition_point(|(other, _)| *other < row);
    let rest = list.get(start..).unwrap_or_default();
    rest.iter().take_while(move |(other, _)| *other == row).map(|(_, value)| *value)
}

/// Exact for dates of the next 285 000 years.
fn milliseconds(date: i64) -> f64 {
    date as f64
}

#[inline]
fn inside(bounds: &Bounds, value: f64) -> bool {
    bounds.hold(value)
}

/// Items that have any of the clause's values.
pub(super) fn gather(view: View<'_>, clause: &Clause, bits: &mut Bits) {
    bits.reset(view.items());
    each_row(view, clause, |row| bits.insert(row));
}

fn each_row(view: View<'_>, clause: &Clause, mut act: impl FnMut(u32)) {
    for term in terms::of_clause(view, clause) {
        term.rows(view).for_each(&mut act);
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
    pub(super) fn new(view: View<'a>, plan: &'a SearchPlan, allowed: &'a mut Bits, other: &mut Bits) -> Self {
        let mut within = Vec::new();
        allowed.fill(view.items());
        view.changes.gone().iter().for_each(|row| allowed.remove(*row));
        for condition in &plan.must {
            match condition {
                Condition::Within(bounds) => within.push((Within::new(view, bounds), true)),
                Condition::Values(clause) => {
                    gather(view, clause, other);
                    allowed.intersect(other);
                }
            }
        }
        for condition in &plan.must_not {
            match condition {
                Condition::Within(bounds) => within.push((Within::new(view, bounds), false)),
                Condition::Values(clause) => each_row(view, clause, |row| allowed.remove(row)),
            }
        }
        plan.exclude_items.iter().filter_map(|id| view.find(id)).for_each(|row| allowed.remove(row));
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
