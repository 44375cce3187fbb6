//! Correlators of interactions in tables: (user, item) rows in, (item, correlator, llr) rows out.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use cco::{Correlators, Params, Sampling};
use engine::{Observer, Preparation, Prepared, TrainingSet};
use model::{Dictionary, DictionaryBuilder};

use crate::border::{Fault, Result, Stop};
use crate::frames::Table;
use crate::texts::{Batch, Texts, check, is_number, texts};

/// What makes a correlator.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many per item, and how strong.
    pub params: Params,
    /// Users and things with more interactions are thinned to about as many; `u32::MAX`: none is.
    pub cap: u32,
    /// Of the thinning.
    pub seed: u64,
    /// The result is the same for any number.
    pub threads: usize,
}

impl Options {
    /// How an indicator of this name is thinned out: as by every other road.
    pub fn sampling(&self, name: &str) -> Sampling {
        Sampling { seed: self.seed, indicator: model::key(name.as_bytes()), cap: self.cap }
    }
}

/// The interactions of an indicator.
pub struct Interactions {
    /// Name.
    pub name: String,
    /// The rows.
    pub table: Table,
    /// Column of users.
    pub user: String,
    /// Column of things.
    pub item: String,
}

impl Interactions {
    fn positions(&self) -> Result<[(usize, &str); 2]> {
        let position = |name| self.table.position(name).map(|position| (position, name));
        Ok([position(self.user.as_str())?, position(self.item.as_str())?])
    }

    /// What ids of things are in a result: numbers, if they were.
    fn ids(&self) -> Result<DataType> {
        let [_, (item, _)] = self.positions()?;
        let kind = self.table.batches().first().map(|batch| batch.column(item).data_type().clone());
        Ok(match kind {
            Some(DataType::UInt64) => DataType::UInt64,
            Some(kind) if is_number(&kind) => DataType::Int64,
            _ => DataType::Utf8,
        })
    }
}

/// Rows of a batch.
struct Piece {
    indicator: usize,
    batch: usize,
    rows: Range<usize>,
}

/// A table per wanted indicator: item, correlator, llr; items in the order of their texts, their correlators strongest first. The first of
/// `indicators` is primary. Rows without user or item do not count, repetitions count once.
///
/// # Errors
/// A column is missing or holds no ids; an id is empty; the call was stopped.
pub fn correlate(
    indicators: &[Interactions],
    wanted: &[usize],
    options: Options,
    stop: &Stop,
) -> Result<Vec<Table>> {
    check_all(indicators, options.threads)?;
    let set = read(indicators, options.threads, stop)?;
    let sampling = indicators.iter().map(|indicator| options.sampling(&indicator.name)).collect();
    let preparation = Preparation { min_events_per_user: 1, sampling };
    let prepared = set.finish(options.threads, &preparation, &|| stop.is_stopped())?;
    let progress = |_, _| if stop.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let item = indicators.first().map_or(Ok(DataType::Utf8), Interactions::ids)?;
    wanted
        .iter()
        .map(|&indicator| {
            let correlators = prepared.correlators(indicator, options.params, options.threads, &progress)?;
            table(&prepared, indicator, &correlators, [&item, &indicators[indicator].ids()?])
        })
        .collect()
}

/// Looks at every column that counts, several at once.
fn check_all(indicators: &[Interactions], threads: usize) -> Result<()> {
    let mut columns: Vec<(&ArrayRef, &str)> = Vec::new();
    for indicator in indicators {
        for (position, name) in indicator.positions()? {
            columns.extend(indicator.table.batches().iter().map(|batch| (batch.column(position), name)));
        }
    }
    let checked = in_turn(threads, columns.len(), &|| (), &|_, number| {
        let (column, name) = columns[number];
        check(column, name)
    });
    checked.into_iter().try_for_each(|(_, result)| result)
}

fn read(indicators: &[Interactions], threads: usize, stop: &Stop) -> Result<TrainingSet> {
    const PIECE_ROWS: usize = 1 << 16;
    let mut pieces = Vec::new();
    for (indicator, interactions) in indicators.iter().enumerate() {
        for (batch, rows) in interactions.table.batches().iter().map(RecordBatch::num_rows).enumerate() {
            let starts = (0..rows).step_by(PIECE_ROWS);
            let ranges = starts.map(|start| start..rows.min(start + PIECE_ROWS));
            pieces.extend(ranges.map(|rows| Piece { indicator, batch, rows }));
        }
    }
    let new = || TrainingSet::new(indicators.len());
    let sets = in_turn(threads, pieces.len(), &new, &|set, number| {
        stop.check()?;
        push(set, &indicators[pieces[number].indicator], &pieces[number])
    });
    let mut all = new();
    for (set, result) in sets {
        result?;
        // Of each thread's last piece comes its set.
        if let Some(set) = set {
            all.merge(set)?;
        }
    }
    Ok(all)
}

fn push(set: &mut TrainingSet, interactions: &Interactions, piece: &Piece) -> Result<()> {
    let batch = &interactions.table.batches()[piece.batch];
    let column = |(position, name): (usize, &str)| {
        Texts::new(&batch.column(position).slice(piece.rows.start, piece.rows.len()), name)
    };
    let [user, item] = interactions.positions()?;
    let (users, items) = (column(user)?, column(item)?);
    let empty = |row: usize| {
        let name = if users.get(row) == Some("") { user.1 } else { item.1 };
        Fault::argument(format!("column \"{name}\", row {}: an id must not be empty", piece.rows.start + row))
    };
    let rows = piece.rows.len();
    let mut row = 0;
    let (mut user_batch, mut item_batch): (Batch<'_>, Batch<'_>) = Default::default();
    if users.is_full() && items.is_full() {
        while rows - row >= DictionaryBuilder::BATCH {
            users.fill(row, &mut user_batch);
            items.fill(row, &mut item_batch);
            let pairs = std::array::from_fn(|i| (user_batch[i], item_batch[i]));
            if let Some(i) = pairs.iter().position(|(user, item)| user.is_empty() || item.is_empty()) {
                return Err(empty(row + i));
            }
            set.push_batch(piece.indicator, &pairs)?;
            row += DictionaryBuilder::BATCH;
        }
    }
    for row in row..rows {
        match (users.get(row), items.get(row)) {
            (Some(""), Some(_)) | (Some(_), Some("")) => return Err(empty(row)),
            (Some(user), Some(item)) => set.push(piece.indicator, user, item)?,
            _ => {}
        }
    }
    Ok(())
}

/// Works off pieces, handed out one after another to whoever is free, each thread with a state of its own. Gives the outcomes by
/// piece; the last of each thread comes with its state.
fn in_turn<S: Send, R: Send>(
    threads: usize,
    pieces: usize,
    state: &(dyn Fn() -> S + Sync),
    work: &(dyn Fn(&mut S, usize) -> R + Sync),
) -> Vec<(Option<S>, R)> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut state = state();
        let mut outcomes = Vec::new();
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                break;
            }
            outcomes.push((piece, None, work(&mut state, piece)));
        }
        if let Some((_, last, _)) = outcomes.last_mut() {
            *last = Some(state);
        }
        outcomes
    };
    let mut outcomes = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(pieces)).map(|_| scope.spawn(some)).collect();
        let mut outcomes = some();
        for helper in helpers {
            match helper.join() {
                Ok(more) => outcomes.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcomes
    });
    outcomes.sort_unstable_by_key(|(piece, _, _)| *piece);
    outcomes.into_iter().map(|(_, state, outcome)| (state, outcome)).collect()
}

/// Rows that go into one batch of a result, so that no column of texts exceeds 2 GiB.
const BATCH_ROWS: usize = 1 << 20;

fn table(
    prepared: &Prepared,
    indicator: usize,
    correlators: &Correlators,
    [item, thing]: [&DataType; 2],
) -> Result<Table> {
    let field = |name: &str, kind: &DataType| Field::new(name, kind.clone(), false);
    let fields = vec![field("item", item), field("correlator", thing), field("llr", &DataType::Float64)];
    let schema = Arc::new(Schema::new(fields));
    let items: Vec<u32> = (0..).zip(correlators.offsets.windows(2)).flat_map(repeated).collect();
    let (things, llr) = (&correlators.things, &correlators.llr);
    let starts = (0..things.len()).step_by(BATCH_ROWS);
    let batches = starts.map(|start| {
        let rows = start..things.len().min(start + BATCH_ROWS);
        let columns: Vec<ArrayRef> = vec![
            named(prepared.things(0), &items[rows.clone()], item),
            named(prepared.things(indicator), &things[rows.clone()], thing),
            Arc::new(Float64Array::from_iter_values(llr[rows].iter().copied())),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    });
    let batches = batches.collect::<Result<_>>()?;
    Ok(Table::new(schema, batches))
}

/// The row of each correlator in it.
fn repeated((row, offsets): (u32, &[u64])) -> impl Iterator<Item = u32> {
    let number = usize::try_from(offsets[1] - offsets[0]).unwrap_or(0);
    std::iter::repeat_n(row, number)
}

/// Ids by their numbers.
fn named(ids: &Dictionary, numbers: &[u32], kind: &DataType) -> ArrayRef {
    let number = |number: u32| ids.get(number);
    match kind {
        // What is parsed was printed from such numbers.
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(
            numbers.iter().map(|&id| number(id).parse().unwrap_or_default()),
        )),
        DataType::UInt64 => Arc::new(UInt64Array::from_iter_values(
            numbers.iter().map(|&id| number(id).parse().unwrap_or_default()),
        )),
        _ => texts(numbers.iter().map(|&id| number(id))),
    }
}
