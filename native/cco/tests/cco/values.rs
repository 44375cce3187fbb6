//! Known values and corner cases.

use cco::{Correlators, CrossOccurrence, Error, Interactions, Params, Sampling, llr};

use crate::{interactions, quiet};

#[test]
fn llr_has_the_known_values() {
    let known = [
        ([1, 0, 0, 1], 2.772588722239781),
        ([1, 0, 0, 2], 3.819085009768877),
        ([2, 0, 0, 1], 3.819085009768877),
        ([1, 1, 0, 1], 1.046496287529096),
        ([1, 0, 1, 1], 1.046496287529096),
        ([1, 1, 1, 0], 1.046496287529096),
        ([10, 0, 0, 100_000], 204.20780740585178),
        ([1, 1000, 1000, 100_000], 13.234749278984964),
        ([100, 1000, 1000, 100_000], 265.01306385174394),
        ([10, 90, 190, 9710], 17.19462327013025),
        ([0, 5, 5, 90], 0.526559048860463),
    ];
    for ([k11, k12, k21, k22], expected) in known {
        let found = llr(k11, k12, k21, k22);
        assert!((found / expected - 1.0).abs() < 1e-9, "{k11},{k12},{k21},{k22}: {found}, not {expected}");
    }
    assert_eq!(llr(3, 0, 0, 0), 0.0);
    assert_eq!(llr(0, 0, 0, 0), 0.0);
}

#[test]
fn llr_of_huge_tables_is_finite() {
    let half = 1 << 30;
    let perfect = llr(half, 0, 0, half);
    assert!((perfect / (2.0 * 2_147_483_648.0 * std::f64::consts::LN_2) - 1.0).abs() < 1e-12);
    assert!(llr(u64::MAX, u64::MAX, u64::MAX, u64::MAX).is_finite());
}

/// The Universal Recommender's handmade purchases, views and category preferences, users below three purchases left out.
#[test]
fn worked_model() {
    // Galaxy, Ipad-retina, Iphone 4, Iphone 5, Iphone 6, Nexus
    let purchase = interactions(3, 6, &[(0, 2), (0, 4), (0, 1), (1, 5), (1, 0), (2, 0)]);
    let all = run(&purchase, None, Params::default());
    assert_eq!(things(&all, 2), [1, 4], "equal LLR: by id");
    assert_eq!(things(&all, 1), [2, 4]);
    assert_eq!(things(&all, 3), [], "nobody bought it");
}

#[test]
fn own_thing_is_a_correlator_of_another_indicator_only() {
    let bought = interactions(3, 2, &[(0, 0), (1, 1)]);
    assert_eq!(things(&run(&bought, None, Params::default()), 0), []);
    assert_eq!(things(&run(&bought, Some(&bought), Params::default()), 0), [0]);
}

#[test]
fn rarer_than_by_chance_counts_unless_told_otherwise() {
    let often_apart = interactions(4, 2, &[(0, 0), (0, 1), (1, 0), (2, 0), (3, 1)]);
    assert_eq!(things(&run(&often_apart, None, Params::default()), 0), [1]);
    let positive = Params { positive_only: true, ..Params::default() };
    assert_eq!(run(&often_apart, None, positive).len(), 0);
}

#[test]
fn nothing_one_user_one_thing() {
    for (users, items) in [(0, 0), (0, 3), (3, 0), (1, 1), (5, 1)] {
        let pairs: Vec<_> = (0..users.min(1) * items.min(1)).map(|_| (0, 0)).collect();
        let some = interactions(users, items, &pairs);
        let all = run(&some, None, Params::default());
        assert_eq!((all.rows(), all.len()), (items as usize, 0));
        assert_eq!(run(&some, Some(&some), Params { max_correlators: 0, ..Params::default() }).len(), 0);
    }
}

#[test]
fn least_llr_is_inclusive_and_absurd_values_are_harmless() {
    let some = interactions(2, 2, &[(0, 0), (1, 1), (0, 1)]);
    let strongest = llr(1, 0, 1, 0);
    assert_eq!(strongest, 0.0);
    let apart = interactions(3, 3, &[(0, 0), (0, 1), (1, 2)]);
    let value = llr(1, 0, 0, 2);
    for (least, expected) in [(value, 1), (value + 1e-9, 0), (f64::NAN, 1), (f64::INFINITY, 0), (-1.0, 1)] {
        let params = Params { min_llr: Some(least), ..Params::default() };
        assert_eq!(run(&apart, None, params).row(0).len(), expected, "{least}");
        assert_eq!(run(&some, None, params).len(), 0);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let pairs = [(0, 0), (1, 5)].into_iter();
    assert_eq!(
        Interactions::from_pairs(2, 5, pairs),
        Err(Error::OutOfRange { user: 1, thing: 5, users: 2, things: 5 })
    );
    let (one, two) = (interactions(1, 1, &[]), interactions(2, 1, &[]));
    assert!(CrossOccurrence::new(&one, Some(&two), Params::default()).is_err());
    let sampling = Sampling { seed: 1, indicator: 2, cap: 3 };
    assert_eq!(
        two.downsample(&[1, 2], &[], &sampling),
        Err(Error::Keys { what: "things", expected: 1, found: 0 })
    );
    for (offsets, columns) in
        [(vec![], vec![]), (vec![0, 2], vec![1, 1]), (vec![0, 1], vec![7]), (vec![0, 3], vec![1])]
    {
        assert!(Interactions::from_rows(3, offsets, columns).is_err());
    }
}

#[test]
fn sampling_keeps_about_the_cap_and_heavy_users_stay() {
    let pairs: Vec<_> = (0..1000).map(|thing| (0, thing)).chain((1..1000).map(|user| (user, 3))).collect();
    let keys: Vec<u64> = (0..1000).map(|id| id * id).collect();
    let all = interactions(1000, 1000, &pairs);
    let sampling = |seed, indicator| Sampling { seed, indicator, cap: 100 };
    let some = all.clone().downsample(&keys, &keys, &sampling(1, 1)).unwrap();
    assert!((70..130).contains(&some.row(0).len()), "{}", some.row(0).len());
    assert!((70..130).contains(&some.thing_counts()[3]));
    assert_eq!(some, all.clone().downsample(&keys, &keys, &sampling(1, 1)).unwrap());
    assert_ne!(some, all.clone().downsample(&keys, &keys, &sampling(2, 1)).unwrap());
    assert_ne!(some, all.clone().downsample(&keys, &keys, &sampling(1, 2)).unwrap());
    assert_eq!(
        all,
        all.clone().downsample(&keys, &keys, &Sampling { seed: 1, indicator: 1, cap: 1000 }).unwrap()
    );
    assert!(all.downsample(&keys, &keys, &Sampling { seed: 1, indicator: 1, cap: 0 }).unwrap().is_empty());
}

fn run(primary: &Interactions, other: Option<&Interactions>, params: Params) -> Correlators {
    CrossOccurrence::new(primary, other, params).unwrap().all(1, &quiet)
}

fn things(correlators: &Correlators, row: usize) -> Vec<u32> {
    correlators.row(row).map(|(thing, _)| thing).collect()
}
