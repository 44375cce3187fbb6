//! Correlators of interactions in sparse matrices, and what they recommend: rows of numbers in and out.

use std::collections::HashSet;
use std::ops::ControlFlow;

use cco::{Correlators, CrossOccurrence, Interactions};
use engine::Observer;

use crate::border::{Fault, Result, Stop};
use crate::pairs::Options;

/// Whole numbers as they came.
#[derive(Debug, Clone)]
pub enum Numbers {
    /// Of 32 bits.
    Short(Vec<i32>),
    /// Of 64 bits.
    Long(Vec<i64>),
}

impl Numbers {
    fn len(&self) -> usize {
        match self {
            Self::Short(numbers) => numbers.len(),
            Self::Long(numbers) => numbers.len(),
        }
    }

    fn converted<T>(self, each: &impl Fn(i64) -> Result<T>) -> Result<Vec<T>> {
        match self {
            Self::Short(numbers) => numbers.into_iter().map(|number| each(number.into())).collect(),
            Self::Long(numbers) => numbers.into_iter().map(each).collect(),
        }
    }
}

/// A sparse matrix by rows. Row r is `offsets[r]..offsets[r + 1]` of the columns.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Number of columns.
    pub width: u32,
    offsets: Vec<usize>,
    columns: Vec<u32>,
}

impl Rows {
    /// Checked: offsets ascend from 0 to the number of columns, and no column is beyond the last.
    ///
    /// # Errors
    /// What is wrong.
    pub fn new(width: u32, offsets: Numbers, columns: Numbers) -> Result<Self> {
        let number = columns.len();
        let negative = |number: i64| Fault::argument(format!("indptr has the negative number {number}"));
        let offsets: Vec<usize> =
            offsets.converted(&|offset| usize::try_from(offset).map_err(|_| negative(offset)))?;
        if offsets.first() != Some(&0) || offsets.last() != Some(&number) || !offsets.is_sorted() {
            return Err(Fault::argument(format!(
                "indptr must ascend from 0 to the number of indices, {number}"
            )));
        }
        let outside = |column: i64| Fault::argument(format!("index {column} is not within {width} columns"));
        let columns = columns.converted(&|column| {
            u32::try_from(column).ok().filter(|&column| column < width).ok_or_else(|| outside(column))
        })?;
        Ok(Self { width, offsets, columns })
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.offsets.len() - 1
    }

    fn row(&self, row: usize) -> &[u32] {
        &self.columns[self.span(row)]
    }

    fn span(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }
}

/// Correlators per wanted indicator, users × things each, of the users that have something under the first. Users and things
/// are thinned out as if their ids were the decimal texts of their numbers.
///
/// # Errors
/// The matrices have different numbers of rows; a row is not strictly ascending; the call was stopped.
pub fn correlate(
    indicators: Vec<(String, Rows)>,
    wanted: &[usize],
    options: Options,
    stop: &Stop,
) -> Result<Vec<Correlators>> {
    let height = indicators.first().map_or(0, |(_, rows)| rows.height());
    if let Some((name, rows)) = indicators.iter().find(|(_, rows)| rows.height() != height) {
        let text = format!("\"{name}\" has {} rows, the primary {height}: rows are users", rows.height());
        return Err(Fault::argument(text));
    }
    let users: Vec<usize> = match indicators.first() {
        Some((_, primary)) => (0..height).filter(|&user| !primary.row(user).is_empty()).collect(),
        None => Vec::new(),
    };
    let keys: Vec<u64> = users.iter().map(|user| key(*user)).collect();
    let matrices = indicators
        .into_iter()
        .map(|(name, rows)| {
            stop.check()?;
            let things: Vec<u64> = (0..rows.width as usize).map(key).collect();
            let kept = of_users(rows, &users)?;
            Ok(kept.downsample(&keys, &things, &options.sampling(&name))?)
        })
        .collect::<Result<Vec<Interactions>>>()?;
    let progress = |_, _| if stop.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let count = |&indicator: &usize| {
        stop.check()?;
        let other = (indicator > 0).then(|| &matrices[indicator]);
        let cross = CrossOccurrence::new(&matrices[0], other, options.params)?;
        cross.all_unless_stopped(options.threads, &progress).ok_or_else(|| engine::Error::Stopped.into())
    };
    wanted.iter().map(count).collect()
}

/// The key of a number, as of its decimal text.
fn key(number: usize) -> u64 {
    let mut digits = [0; 20];
    let (mut first, mut rest) = (digits.len(), number);
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            return model::key(&digits[first..]);
        }
    }
}

fn of_users(rows: Rows, users: &[usize]) -> Result<Interactions> {
    if users.len() == rows.height() {
        return Ok(Interactions::from_rows(rows.width, rows.offsets, rows.columns)?);
    }
    let mut offsets = vec![0];
    let mut columns = Vec::new();
    for &user in users {
        columns.extend_from_slice(rows.row(user));
        offsets.push(columns.len());
    }
    Ok(Interactions::from_rows(rows.width, offsets, columns)?)
}

/// Correlators by things: which items a thing speaks for, and how strongly.
#[derive(Debug)]
pub struct Evidence {
    rows: Rows,
    llr: Vec<f64>,
}

impl Evidence {
    /// From correlators by items, as [`correlate`] gives them.
    ///
    /// # Errors
    /// There is not one LLR per index.
    pub fn new(correlators: Rows, llr: &[f64]) -> Result<Self> {
        if llr.len() != correlators.columns.len() {
            return Err(Fault::argument("there is not one LLR for each index"));
        }
        let mut offsets = vec![0; correlators.width as usize + 1];
        for &thing in &correlators.columns {
            offsets[thing as usize + 1] += 1;
        }
        for thing in 1..offsets.len() {
            offsets[thing] += offsets[thing - 1];
        }
        let mut ends = offsets.clone();
        let (mut columns, mut turned) = (vec![0; llr.len()], vec![0.0; llr.len()]);
        for (item, row) in (0..).zip(0..correlators.height()) {
            for position in correlators.span(row) {
                let end = &mut ends[correlators.columns[position] as usize];
                (columns[*end], turned[*end]) = (item, llr[position]);
                *end += 1;
            }
        }
        let width = u32::try_from(correlators.height()).unwrap_or(u32::MAX);
        Ok(Self { rows: Rows { width, offsets, columns }, llr: turned })
    }
}

/// What users did under an indicator, and how much each deed counts.
pub struct Deeds {
    /// Users × things.
    pub rows: Rows,
    /// Per index.
    pub weights: Vec<f64>,
}

/// Which items may be recommended.
pub struct Choice {
    /// At most so many per user.
    pub number: usize,
    /// Items that the user has under the first indicator are left out.
    pub only_new: bool,
    /// Never these.
    pub without: HashSet<u32>,
    /// Only these.
    pub among: Option<HashSet<u32>>,
}

/// The score where there is no item, as `implicit` has it.
const NO_SCORE: f64 = -(f32::MAX as f64);

/// Per user the best items, best first: the sum over what he did of its weight times the LLR that the item has with it. Equal
/// scores by item. Users × `number`; where there are fewer, the item is -1.
///
/// # Errors
/// Deeds and evidence do not fit each other; the call was stopped.
pub fn recommend(
    evidence: &[Evidence],
    deeds: &[Deeds],
    choice: &Choice,
    threads: usize,
    stop: &Stop,
) -> Result<(Vec<i32>, Vec<f64>)> {
    let users = check(evidence, deeds)?;
    let items = evidence.first().map_or(0, |evidence| evidence.rows.width) as usize;
    let (mut ids, mut scores) = (vec![-1; users * choice.number], vec![NO_SCORE; users * choice.number]);
    if choice.number == 0 {
        return Ok((ids, scores));
    }
    let share = users.div_ceil(threads.max(1)).max(1);
    let parts = ids.chunks_mut(share * choice.number).zip(scores.chunks_mut(share * choice.number));
    let work = |(first, (ids, scores)): (usize, (&mut [i32], &mut [f64]))| {
        let mut sums = Sums { score: vec![0.0; items], touched: Vec::new() };
        let rows = ids.chunks_mut(choice.number).zip(scores.chunks_mut(choice.number));
        for (user, (ids, scores)) in (first..).zip(rows) {
            stop.check()?;
            sums.add_all(evidence, deeds, user);
            sums.take_best(&deeds[0].rows, user, choice, ids, scores);
        }
        Ok::<_, Fault>(())
    };
    let work = &work;
    std::thread::scope(|scope| {
        let helpers: Vec<_> =
            (0..).step_by(share).zip(parts).map(|part| scope.spawn(move || work(part))).collect();
        helpers.into_iter().try_for_each(|helper| match helper.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok((ids, scores))
}

/// Number of users.
fn check(evidence: &[Evidence], deeds: &[Deeds]) -> Result<usize> {
    let users = deeds.first().map_or(0, |deeds| deeds.rows.height());
    if evidence.len() != deeds.len() {
        return Err(Fault::argument(format!("{} histories for {} indicators", deeds.len(), evidence.len())));
    }
    for (evidence, deeds) in evidence.iter().zip(deeds) {
        let things = evidence.rows.height();
        if deeds.rows.width as usize != things || deeds.rows.height() != users {
            let (height, width) = (deeds.rows.height(), deeds.rows.width);
            let text = format!("a history of {height} × {width} where {users} × {things} is wanted");
            return Err(Fault::argument(text));
        }
        if deeds.weights.len() != deeds.rows.columns.len() {
            return Err(Fault::argument("there is not one weight for each index"));
        }
    }
    Ok(users)
}

/// Scores of one user.
struct Sums {
    /// Per item.
    score: Vec<f64>,
    /// Items whose score is not 0.
    touched: Vec<u32>,
}

impl Sums {
    fn add_all(&mut self, evidence: &[Evidence], deeds: &[Deeds], user: usize) {
        for (evidence, deeds) in evidence.iter().zip(deeds) {
            for position in deeds.rows.span(user) {
                let thing = deeds.rows.columns[position] as usize;
                let weight = deeds.weights[position];
                for position in evidence.rows.span(thing) {
                    let item = evidence.rows.columns[position];
                    let score = &mut self.score[item as usize];
                    if *score == 0.0 {
                        self.touched.push(item);
                    }
                    *score += weight * evidence.llr[position];
                }
            }
        }
        // An item may have come back to 0 on the way.
        self.touched.sort_unstable();
        self.touched.dedup();
    }

    /// Moves out the best, and is empty again.
    fn take_best(&mut self, own: &Rows, user: usize, choice: &Choice, ids: &mut [i32], scores: &mut [f64]) {
        let own: HashSet<u32> =
            if choice.only_new { own.row(user).iter().copied().collect() } else { HashSet::new() };
        let may = |item: &u32| {
            !own.contains(item)
                && !choice.without.contains(item)
                && choice.among.as_ref().is_none_or(|among| among.contains(item))
        };
        let mut best: Vec<(u32, f64)> = Vec::with_capacity(self.touched.len());
        for item in self.touched.drain(..) {
            let score = std::mem::take(&mut self.score[item as usize]);
            if may(&item) {
                best.push((item, score));
            }
        }
        let stronger = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if best.len() > ids.len() {
            best.select_nth_unstable_by(ids.len() - 1, stronger);
            best.truncate(ids.len());
        }
        best.sort_unstable_by(stronger);
        for ((item, score), (id, place)) in best.into_iter().zip(ids.iter_mut().zip(scores)) {
            (*id, *place) = (i32::try_from(item).unwrap_or(-1), score);
        }
    }
}
