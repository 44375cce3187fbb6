//! The order of items with equal scores.

use crate::array::Array;
use crate::changes::Kind;
use crate::{Scoring, SearchPlan, View};

/// A permutation of rows and its inverse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    rows: Numbers<'a>,
    positions: Numbers<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Numbers<'a> {
    Same,
    File(Array<'a, u32>),
    Memory(&'a [u32]),
}

impl Numbers<'_> {
    #[inline]
    fn get(self, index: u32) -> u32 {
        match self {
            Self::Same => index,
            Self::File(numbers) => numbers.get(index as usize).unwrap_or_default(),
            Self::Memory(numbers) => numbers.get(index as usize).copied().unwrap_or_default(),
        }
    }
}

impl<'a> Order<'a> {
    /// By ranking if the plan says so, then by shard if its scoring knows shards, then by id.
    pub(super) fn new(view: View<'a>, plan: &SearchPlan) -> Self {
        let of_model = Self::of_model(view, plan);
        let Some(orders) = view.changes.orders() else { return of_model };
        let kind = Kind { ranked: plan.by_ranking, sharded: plan.scoring == Scoring::Es5Compat };
        let order = orders.get(view, kind, (0..view.model.items()).map(|position| of_model.row(position)));
        Self { rows: Numbers::Memory(&order.rows), positions: Numbers::Memory(&order.positions) }
    }

    fn of_model(view: View<'a>, plan: &SearchPlan) -> Self {
        let model = view.model;
        let [rows, positions] = match (plan.scoring, plan.by_ranking) {
            (Scoring::Global, false) => [Numbers::Same; 2],
            (Scoring::Global, true) => [model.order(), model.positions()].map(Numbers::File),
            (Scoring::Es5Compat, by_ranking) => {
                let shards = model.shards();
                let order = if by_ranking { &shards.ranked } else { &shards.unranked };
                [&order.rows, &order.positions].map(|numbers| Numbers::Memory(numbers))
            }
        };
        Self { rows, positions }
    }

    #[inline]
    pub(super) fn row(&self, position: u32) -> u32 {
        self.rows.get(position)
    }

    #[inline]
    pub(super) fn position(&self, row: u32) -> u32 {
        self.positions.get(row)
    }
}

/// An order that is not in the file.
#[derive(Debug)]
pub(crate) struct Permutation {
    rows: Vec<u32>,
    positions: Vec<u32>,
}

impl Permutation {
    pub(crate) fn new(rows: Vec<u32>) -> Self {
        let mut positions = vec![0; rows.len()];
        for (position, row) in (0..).zip(&rows) {
            if let Some(slot) = positions.get_mut(*row as usize) {
                *slot = position;
            }
        }
        Self { rows, positions }
    }
}
