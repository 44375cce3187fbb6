//! Any small input against the naive twin, to the bit; larger ones of the shapes that take other paths.

use cco::{Correlators, CrossOccurrence, Interactions, Params, Sums};
use proptest::prelude::*;

use crate::twin::{self, Rows};
use crate::{interactions, quiet};

fn matrix(users: u32) -> impl Strategy<Value = Interactions> {
    (1_u32..24).prop_flat_map(move |things| {
        // Squaring the density makes some columns full and some nearly empty.
        prop::collection::vec((0..users, 0..things), 0..300).prop_map(move |mut pairs| {
            for (user, thing) in &mut pairs {
                *thing = (*thing * *thing) / things;
                *user = (*user * (*thing + 1)) % users;
            }
            interactions(users, things, &pairs)
        })
    })
}

fn params() -> impl Strategy<Value = Params> {
    (0_u32..12, prop::option::of(0.0..20.0), any::<bool>()).prop_map(
        |(max_correlators, min_llr, positive_only)| Params { max_correlators, min_llr, positive_only },
    )
}

fn rows(correlators: &Correlators) -> Rows {
    (0..correlators.rows()).map(|row| correlators.row(row).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn equals_the_twin(
        (primary, other) in (1_u32..40).prop_flat_map(|users| (matrix(users), matrix(users))),
        params in params(),
        threads in 1_usize..5,
    ) {
        for other in [None, Some(&other)] {
            let expected = twin::cross_occurrence(&primary, other, params);
            let found = CrossOccurrence::new(&primary, other, params).unwrap();
            prop_assert_eq!(&rows(&found.all(threads, &quiet)), &expected);
            let middle = found.rows() / 2;
            let halves = [found.block(0..middle), found.block(middle..u32::MAX)];
            prop_assert_eq!(&rows(&Correlators::concat(halves)), &expected);
        }
    }

    #[test]
    fn parts_of_the_users_sum_up_to_the_whole(
        (primary, other) in (1_u32..40).prop_flat_map(|users| (matrix(users), matrix(users))),
        params in params(),
        (part, range) in (1_u32..20, 1_u32..9),
    ) {
        for other in [None, Some(&other)] {
            let whole = CrossOccurrence::new(&primary, other, params).unwrap();
            let things = other.unwrap_or(&primary).things();
            for first in (0..whole.rows()).step_by(range as usize) {
                let items = first..whole.rows().min(first + range);
                let mut sums = Sums::new(items.clone(), things, other.is_none());
                for user in (0..primary.users()).step_by(part as usize).collect::<Vec<_>>().into_iter().rev() {
                    let users = user..user.saturating_add(part);
                    let other = other.map(|other| other.of_users(users.clone()));
                    sums.add(&primary.of_users(users), other.as_ref()).unwrap();
                }
                prop_assert_eq!(sums.correlators(params), whole.block(items));
            }
        }
    }

    #[test]
    fn order_and_repetition_of_pairs_do_not_matter(
        pairs in prop::collection::vec((0_u32..9, 0_u32..9), 0..60).prop_shuffle(),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut more = pairs.clone();
        more.extend(again.iter().filter(|_| !pairs.is_empty()).map(|index| *index.get(&pairs)));
        more.reverse();
        let once = interactions(9, 9, &pairs);
        prop_assert_eq!(&once, &interactions(9, 9, &more));
        let rebuilt = Interactions::from_rows(9, once.offsets().to_vec(), once.columns().to_vec());
        prop_assert_eq!(Ok(once), rebuilt);
    }

    #[test]
    fn sampling_is_independent_of_other_rows(
        pairs in prop::collection::vec((0_u32..40, 0_u32..40), 0..600),
        cap in 0_u32..20,
    ) {
        let keys: Vec<u64> = (0..40).collect();
        let all = interactions(40, 40, &pairs);
        let sampling = cco::Sampling { seed: 7, indicator: 9, cap };
        let some = all.clone().downsample(&keys, &keys, &sampling).unwrap();
        let counts = all.thing_counts();
        for user in 0..40 {
            prop_assert!(some.row(user).iter().all(|thing| all.row(user).contains(thing)));
            if all.row(user).len() <= cap as usize {
                let sparse = |thing: &&u32| counts[**thing as usize] <= cap;
                let kept: Vec<_> = some.row(user).iter().filter(sparse).collect();
                let expected: Vec<_> = all.row(user).iter().filter(sparse).collect();
                prop_assert_eq!(kept, expected);
            }
        }
    }
}

/// Column c is held by every user whose number, hashed with c, is divisible by c / 3 + 1: frequent ones first.
fn graded(users: u32, things: u32, salt: u32) -> Interactions {
    let has = |user: u32, thing: u32| {
        let hash = (user ^ salt).wrapping_mul(0x9e37_79b1) ^ thing.wrapping_mul(0x85eb_ca6b);
        (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d) >> 12 & 0xffff < 0xc000 / (thing / 3 + 1)
    };
    let pairs: Vec<_> = (0..users)
        .flat_map(|user| (0..things).map(move |thing| (user, thing)))
        .filter(|&(u, t)| has(u, t))
        .collect();
    interactions(users, things, &pairs)
}

/// Counters of 8 and 16 bits, scans and drains, bounds on both sides.
#[test]
fn larger_matrices_equal_the_twin() {
    for (users, things, k) in [(700, 150, 5), (3000, 60, 50), (300, 1500, 10)] {
        let (primary, other) = (graded(users, things, 1), graded(users, things + 7, 2));
        for (positive_only, min_llr) in [(false, None), (true, Some(0.5))] {
            let params = Params { max_correlators: k, min_llr, positive_only };
            for other in [None, Some(&other)] {
                let expected = twin::cross_occurrence(&primary, other, params);
                let found = CrossOccurrence::new(&primary, other, params).unwrap().all(2, &quiet);
                assert!(rows(&found) == expected, "{users} users × {things} things, best {k}");
            }
        }
    }
}

/// More things than 16 bits can number, and more users in a column than 16 bits can count.
#[test]
fn wide_matrices_equal_the_twin() {
    let scattered: Vec<_> =
        (0..70_000_u32).map(|thing| (thing % 90, thing)).chain((0..90).map(|u| (u, 5))).collect();
    let (few, many) = (graded(90, 12, 3), interactions(90, 70_000, &scattered));
    let params = Params { max_correlators: 20, ..Params::default() };
    let found = CrossOccurrence::new(&few, Some(&many), params).unwrap().all(2, &quiet);
    assert!(rows(&found) == twin::cross_occurrence(&few, Some(&many), params));

    let crowd = graded(140_000, 4, 4);
    assert!(crowd.thing_counts()[0] > 70_000);
    let found = CrossOccurrence::new(&crowd, None, params).unwrap().all(1, &quiet);
    assert!(rows(&found) == twin::cross_occurrence(&crowd, None, params));
}
