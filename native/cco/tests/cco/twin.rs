//! The specification, written down without a thought for speed.

use std::collections::BTreeSet;

use cco::{Interactions, Params, llr};

pub type Rows = Vec<Vec<(u32, f64)>>;

/// For each thing of the primary matrix its correlators, strongest first.
pub fn cross_occurrence(primary: &Interactions, other: Option<&Interactions>, params: Params) -> Rows {
    let (a, b) = (columns(primary), columns(other.unwrap_or(primary)));
    let total = u64::from(primary.users());
    a.iter()
        .enumerate()
        .map(|(row, with_a)| {
            let mut found = Vec::new();
            for (thing, with_b) in b.iter().enumerate() {
                let both = with_a.intersection(with_b).count() as u64;
                if both == 0 || (other.is_none() && thing == row) {
                    continue;
                }
                let (ca, cb) = (with_a.len() as u64, with_b.len() as u64);
                let (k12, k21, k22) = (ca - both, cb - both, total + both - ca - cb);
                let value = llr(both, k12, k21, k22);
                let strong = value > 0.0 && params.min_llr.is_none_or(|least| value >= least);
                if strong && (!params.positive_only || both * k22 > k12 * k21) {
                    found.push((u32::try_from(thing).unwrap(), value));
                }
            }
            found.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
            found.truncate(params.max_correlators as usize);
            found
        })
        .collect()
}

fn columns(interactions: &Interactions) -> Vec<BTreeSet<u32>> {
    let mut columns = vec![BTreeSet::new(); interactions.things() as usize];
    for user in 0..interactions.users() {
        for &thing in interactions.row(user) {
            columns[thing as usize].insert(user);
        }
    }
    columns
}
