//! AᵀA against a bare loop that increments counters in a small array equally often, interleaved.
//! Prints one JSON line per figure: seconds are the least of the rounds, ratios the median of the rounds.
//!
//! `cargo bench -p cco -- [small|large] [rounds]`

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use cco::{CrossOccurrence, Interactions, Params, Sampling};

struct Shape {
    name: &'static str,
    users: u32,
    things: u32,
    pairs: usize,
    /// Spread of the logarithm of activity.
    activity: f64,
    /// Frequency of the thing of rank r is (r + offset)^-slope.
    slope: f64,
    offset: f64,
}

const SHAPES: [Shape; 2] = [
    Shape {
        name: "small",
        users: 6_040,
        things: 3_706,
        pairs: 1_000_000,
        activity: 0.95,
        slope: 1.05,
        offset: 60.0,
    },
    Shape {
        name: "large",
        users: 138_493,
        things: 26_744,
        pairs: 20_000_000,
        activity: 1.05,
        slope: 1.25,
        offset: 90.0,
    },
];
const CAP: u32 = 500;
const GENRES: usize = 24;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let rounds = words.iter().find_map(|word| word.parse().ok()).unwrap_or(5);
    let named: Vec<_> = SHAPES.iter().filter(|shape| words.iter().any(|word| word == shape.name)).collect();
    for shape in if named.is_empty() { SHAPES.iter().collect() } else { named } {
        let all = generate(shape);
        let keys =
            |count: u32| (0..count).map(|id| u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let (users, things): (Vec<u64>, Vec<u64>) = (keys(shape.users), keys(shape.things));
        let sampling = Sampling { seed: 1, indicator: 1, cap: CAP };
        let sampled = all.clone().downsample(&users, &things, &sampling).unwrap();
        compare(shape.name, "users and things capped", &sampled, rounds);
        let no_things = Sampling { cap: u32::MAX, ..sampling };
        drop(sampled);
        compare(
            shape.name,
            "users capped",
            &cap_users(&all).downsample(&users, &things, &no_things).unwrap(),
            rounds,
        );
    }
}

/// One shape, one and two threads.
fn compare(shape: &str, cap: &str, interactions: &Interactions, rounds: usize) {
    let increments: u64 =
        (0..interactions.users()).map(|user| (interactions.row(user).len() as u64).pow(2)).sum();
    let mut seconds = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        for (threads, [bare, full]) in [(1, [0, 1]), (2, [2, 3])] {
            seconds[bare].push(timed(|| bare_loops(increments, threads as u64)));
            seconds[full].push(timed(|| {
                let prepared = CrossOccurrence::new(interactions, None, Params::default()).unwrap();
                black_box(prepared.all(threads, &|_, _| ()));
            }));
        }
    }
    for (threads, [bare, full]) in [(1, [0, 1]), (2, [2, 3])] {
        let (bare, full) = (&seconds[bare], &seconds[full]);
        let mut ratios: Vec<f64> = bare.iter().zip(full).map(|(bare, full)| full / bare).collect();
        println!(
            "{{\"bench\":\"cco\",\"shape\":\"{shape}\",\"cap\":\"{cap}\",\"threads\":{threads},\"cells\":{},\"increments\":{increments},\
             \"bare_s\":{:.4},\"cco_s\":{:.4},\"ratio\":{:.3}}}",
            interactions.len(),
            least(bare),
            least(full),
            median(&mut ratios)
        );
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// `increments` in all, in arrays that fit the first-level cache, at random places.
fn bare_loops(increments: u64, threads: u64) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(move || black_box(bare_loop(increments / threads)));
        }
    });
}

fn bare_loop(increments: u64) -> u32 {
    let mut random = Random(5);
    let places: Vec<u16> = (0..4096).map(|_| random.next() as u16 & 4095).collect();
    let mut counters = [0_u32; 4096];
    for _ in 0..increments / 4096 {
        for &place in black_box(&places) {
            counters[usize::from(place & 4095)] += 1;
        }
    }
    counters.iter().fold(0, |sum, count| sum.wrapping_add(*count))
}

/// Zipf-Mandelbrot things in 24 genres, log-normal users who draw 7 in 10 from three genres that they prefer.
fn generate(shape: &Shape) -> Interactions {
    let mut random = Random(20_261_120);
    let by_genre = |genre: Option<usize>| {
        let mut sum = 0.0;
        (0..shape.things as usize)
            .filter(|thing| genre.is_none_or(|genre| thing % GENRES == genre))
            .map(|thing| {
                sum += (thing as f64 + shape.offset).powf(-shape.slope);
                (sum, thing as u32)
            })
            .collect::<Vec<_>>()
    };
    let everything = by_genre(None);
    let genres: Vec<_> = (0..GENRES).map(|genre| by_genre(Some(genre))).collect();
    let activity: Vec<f64> = (0..shape.users).map(|_| (shape.activity * random.normal()).exp()).collect();
    let scale = shape.pairs as f64 / activity.iter().sum::<f64>();
    let mut pairs = Vec::with_capacity(shape.pairs * 5 / 4);
    for (user, activity) in (0..).zip(activity) {
        let wanted = ((activity * scale).round() as usize).clamp(5, shape.things as usize * 6 / 10);
        let liked: [usize; 3] = std::array::from_fn(|_| random.next() as usize % GENRES);
        let mut own = std::collections::BTreeSet::new();
        for _ in 0..wanted * 20 {
            if own.len() == wanted {
                break;
            }
            let liking =
                if random.unit() < 0.7 { &genres[liked[random.next() as usize % 3]] } else { &everything };
            let place = random.unit() * liking.last().unwrap().0;
            own.insert(liking[liking.partition_point(|(sum, _)| *sum < place).min(liking.len() - 1)].1);
        }
        pairs.extend(own.into_iter().map(|thing| (user, thing)));
    }
    Interactions::from_pairs(shape.users, shape.things, pairs.iter().copied()).unwrap()
}

/// At most `CAP` random things of each user.
fn cap_users(all: &Interactions) -> Interactions {
    let mut random = Random(9);
    let mut pairs = Vec::with_capacity(all.len());
    for user in 0..all.users() {
        let row = all.row(user);
        let rate = f64::from(CAP) / row.len() as f64;
        pairs.extend(row.iter().filter(|_| random.unit() < rate).map(|&thing| (user, thing)));
    }
    Interactions::from_pairs(all.users(), all.things(), pairs.iter().copied()).unwrap()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let state = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}
