//! The order of items where changed ranks and new items do not let the model's own hold. Made at the first search that
//! needs it.

use std::cmp::Ordering;
use std::sync::OnceLock;

use crate::View;
use crate::search::Permutation;

/// Which order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// By ranking first.
    pub(crate) ranked: bool,
    /// By shard before id.
    pub(crate) sharded: bool,
}

/// The four orders that plans may ask for.
#[derive(Debug, Default)]
pub(crate) struct Orders([OnceLock<Permutation>; 4]);

impl Orders {
    /// `of_model` gives the model's rows in the same order.
    pub(crate) fn get(
        &self,
        view: View<'_>,
        kind: Kind,
        of_model: impl Iterator<Item = u32>,
    ) -> &Permutation {
        let index = usize::from(kind.ranked) * 2 + usize::from(kind.sharded);
        self.0[index].get_or_init(|| Permutation::new(merged(view, kind, of_model)))
    }
}

/// All rows in order: those that stand elsewhere than in the model are taken out and put where they belong.
fn merged(view: View<'_>, kind: Kind, of_model: impl Iterator<Item = u32>) -> Vec<u32> {
    let before = |a: u32, b: u32| compare(view, kind, a, b);
    let mut moved: Vec<u32> = view.changes.each_row().filter(|row| view.is_moved(*row)).collect();
    moved.sort_unstable_by(|a, b| before(*a, *b));
    let stays = of_model.filter(|row| !(view.changes.rows().contains(*row) && view.is_moved(*row)));
    let stays: Vec<u32> = stays.collect();
    let mut rest = stays.as_slice();
    let mut rows = Vec::with_capacity(stays.len() + moved.len());
    for row in moved {
        let (first, behind) = rest.split_at(rest.partition_point(|other| before(*other, row).is_lt()));
        rows.extend_from_slice(first);
        rows.push(row);
        rest = behind;
    }
    rows.extend_from_slice(rest);
    rows
}

/// As the snapshot's writer sorts: each ranking descending, absent last; then by shard if wanted; then by id.
fn compare(view: View<'_>, kind: Kind, a: u32, b: u32) -> Ordering {
    let by_rank = |ranking: usize| match (view.rank(ranking, a), view.rank(ranking, b)) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    let rankings = if kind.ranked { view.model.rankings().count() } else { 0 };
    let ranked = (0..rankings).map(by_rank).fold(Ordering::Equal, Ordering::then);
    let sharded = if kind.sharded { view.shard(a).cmp(&view.shard(b)) } else { Ordering::Equal };
    ranked.then(sharded).then_with(|| view.item(a).cmp(&view.item(b)))
}
