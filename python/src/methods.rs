//! The native functions, one each: arguments in, work elsewhere, result out.

use std::collections::HashSet;
use std::path::PathBuf;

use cco::Params;
use engine::TrainOptions;
use engine::evaluation::{self, Cut, Sweep};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::border::{Result, long};
use crate::frames::Table;
use crate::pairs::{self, Interactions, Options};
use crate::rows::{self, Choice, Deeds, Evidence, Numbers, Rows};
use crate::served::{self, Served};
use crate::told::Source;

/// (name, table, column of users, column of things).
type NamedTable<'py> = (String, Bound<'py, PyAny>, String, String);
/// (indptr, indices) of a sparse matrix, and its number of columns.
type Matrix<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, u32);

/// How correlators are counted: k, min_llr, cap (None: no thinning), seed, threads.
#[derive(FromPyObject)]
pub struct Counted(u32, Option<f64>, Option<u32>, u64, usize);

impl Counted {
    fn options(self) -> Options {
        let Self(max_correlators, min_llr, cap, seed, threads) = self;
        let params = Params { max_correlators, min_llr, positive_only: false };
        Options { params, cap: cap.unwrap_or(u32::MAX), seed, threads: threads.max(1) }
    }
}

fn interactions((name, table, user, item): NamedTable<'_>) -> PyResult<Interactions> {
    Ok(Interactions { name, table: Table::import(&table)?, user, item })
}

/// Correlators of tables. `wanted`: places of the indicators to count, the primary is 0.
#[pyfunction]
pub fn correlate_pairs(
    py: Python<'_>,
    indicators: Vec<NamedTable<'_>>,
    wanted: Vec<usize>,
    how: Counted,
) -> PyResult<Vec<Table>> {
    let indicators = indicators.into_iter().map(interactions).collect::<PyResult<Vec<_>>>()?;
    let wanted = places(wanted, indicators.len())?;
    long(py, |stop| pairs::correlate(&indicators, &wanted, how.options(), stop))
}

fn places(wanted: Vec<usize>, number: usize) -> PyResult<Vec<usize>> {
    match wanted.iter().find(|&&place| place >= number) {
        Some(place) => Err(PyValueError::new_err(format!("there is no indicator {place}, only {number}"))),
        None => Ok(wanted),
    }
}

/// Bytes of indptr (i64), indices (i32) and llr (f64).
type RowBytes<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// Correlators of sparse matrices, users × things each.
#[pyfunction]
pub fn correlate_rows<'py>(
    py: Python<'py>,
    indicators: Vec<(String, Matrix<'py>)>,
    wanted: Vec<usize>,
    how: Counted,
) -> PyResult<Vec<RowBytes<'py>>> {
    let indicators = indicators
        .into_iter()
        .map(|(name, matrix)| Ok((name, Raw::of(matrix)?)))
        .collect::<PyResult<Vec<_>>>()?;
    let wanted = places(wanted, indicators.len())?;
    let counted = long(py, |stop| {
        let checked = indicators.into_iter().map(|(name, raw)| Ok((name, raw.checked()?)));
        rows::correlate(checked.collect::<Result<_>>()?, &wanted, how.options(), stop)
    })?;
    let each = counted.into_iter().map(|correlators| {
        Ok((
            bytes(py, &correlators.offsets, |offset| offset.to_le_bytes())?,
            bytes(py, &correlators.things, |thing| thing.to_le_bytes())?,
            bytes(py, &correlators.llr, |llr| llr.to_le_bytes())?,
        ))
    });
    each.collect()
}

/// A sparse matrix as it came: a copy, so that nobody changes it meanwhile.
struct Raw {
    width: u32,
    offsets: Numbers,
    columns: Numbers,
}

impl Raw {
    fn of((offsets, columns, width): Matrix<'_>) -> PyResult<Self> {
        Ok(Self { width, offsets: numbers(&offsets)?, columns: numbers(&columns)? })
    }

    fn checked(self) -> Result<Rows> {
        Rows::new(self.width, self.offsets, self.columns)
    }
}

fn numbers(buffer: &Bound<'_, PyAny>) -> PyResult<Numbers> {
    let py = buffer.py();
    if let Ok(short) = PyBuffer::<i32>::get(buffer) {
        return Ok(Numbers::Short(short.to_vec(py)?));
    }
    match PyBuffer::<i64>::get(buffer) {
        Ok(long) => Ok(Numbers::Long(long.to_vec(py)?)),
        Err(_) => Err(PyTypeError::new_err("indptr and indices must be arrays of int32 or int64")),
    }
}

fn reals(buffer: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    PyBuffer::<f64>::get(buffer)?.to_vec(buffer.py())
}

fn bytes<'py, T: Copy, const N: usize>(
    py: Python<'py>,
    values: &[T],
    of: impl Fn(T) -> [u8; N],
) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, values.len() * N, |bytes| {
        for (place, &value) in bytes.chunks_exact_mut(N).zip(values) {
            place.copy_from_slice(&of(value));
        }
        Ok(())
    })
}

/// Where events come from.
#[derive(FromPyObject)]
pub enum Given<'py> {
    /// A file of event JSON lines.
    #[pyo3(transparent)]
    File(PathBuf),
    /// (table, column of ids) of items.
    Items((Bound<'py, PyAny>, String)),
    /// (name, table, column of users, column of things, column of times).
    Pairs((String, Bound<'py, PyAny>, String, String, Option<String>)),
    /// A table of events.
    #[pyo3(transparent)]
    Events(Bound<'py, PyAny>),
}

impl Given<'_> {
    fn source(self) -> PyResult<Source> {
        Ok(match self {
            Self::File(path) => Source::File(path),
            Self::Events(table) => Source::Events(Table::import(&table)?),
            Self::Items((table, id)) => Source::Items(Table::import(&table)?, id),
            Self::Pairs((name, table, user, item, time)) => {
                Source::Pairs(interactions((name, table, user, item))?, time)
            }
        })
    }
}

/// Trains. `engine`: JSON; `now_ms`: the time of training; `remember`: histories of users, for queries by user.
#[pyfunction]
pub fn train(
    py: Python<'_>,
    engine: Vec<u8>,
    sources: Vec<Given<'_>>,
    now_ms: i64,
    threads: usize,
    remember: bool,
) -> PyResult<Served> {
    let sources = sources.into_iter().map(Given::source).collect::<PyResult<Vec<_>>>()?;
    let options = TrainOptions { threads: threads.max(1), now_ms };
    long(py, |stop| Served::train(engine, &sources, options, remember, stop))
}

/// What to measure: the test's share of the events, or its beginning in ms; its end in ms; lengths of lists; users at most; seed; newcomers,
/// ablation; values of `minLLR` and `maxCorrelatorsPerItem` to sweep; threads.
#[derive(FromPyObject)]
pub struct Asked(
    f64,
    Option<i64>,
    Option<i64>,
    Vec<u32>,
    Option<usize>,
    u64,
    bool,
    bool,
    Option<(Vec<f64>, Vec<u32>)>,
    usize,
);

impl Asked {
    fn options(self) -> evaluation::Options {
        let Self(share, at, until_ms, lengths, users_max, seed, newcomers, ablation, sweep, threads) = self;
        let cut = at.map_or(Cut::Share(share), Cut::At);
        let sweep = sweep.map(|(min_llr, max_correlators)| Sweep { min_llr, max_correlators });
        let threads = threads.max(1);
        evaluation::Options { cut, until_ms, lengths, users_max, seed, newcomers, ablation, sweep, threads }
    }
}

/// Measures how good an engine is on these events; JSON. `now_ms`: the time of events that have none.
#[pyfunction]
pub fn evaluate(
    py: Python<'_>,
    engine: Vec<u8>,
    sources: Vec<Given<'_>>,
    now_ms: i64,
    asked: Asked,
) -> PyResult<String> {
    let sources = sources.into_iter().map(Given::source).collect::<PyResult<Vec<_>>>()?;
    let options = asked.options();
    long(py, |stop| served::evaluate(&engine, &sources, now_ms, &options, stop))
}

/// JSON of an engine with these indicators, the primary first, and defaults for all else.
#[pyfunction]
pub fn default_engine<'py>(py: Python<'py>, indicators: Vec<String>) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &served::default_engine(indicators.iter().map(String::as_str)))
}

/// Log-likelihood ratio of four counts: both, only the first, only the second, neither.
#[pyfunction]
pub fn llr(both: u64, first: u64, second: u64, neither: u64) -> f64 {
    engine::llr(both, first, second, neither)
}

/// Recommends to many users at once by correlators in sparse matrices.
#[pyclass(frozen, module = "arblast._native")]
pub struct Scorer {
    evidence: Vec<Evidence>,
}

/// A history: a sparse matrix, users × things, and the weight of each index.
type History<'py> = (Matrix<'py>, Bound<'py, PyAny>);

#[pymethods]
impl Scorer {
    /// `correlators`: per indicator, the primary first, items × things with their LLR.
    #[new]
    fn new(py: Python<'_>, correlators: Vec<History<'_>>) -> PyResult<Self> {
        let given = histories(correlators)?;
        let evidence = long(py, |_| {
            given.into_iter().map(|(raw, llr)| Evidence::new(raw.checked()?, &llr)).collect::<Result<_>>()
        })?;
        Ok(Self { evidence })
    }

    /// Per user the best items: bytes of users × number item ids (i32; -1: no more) and scores (f64).
    #[expect(clippy::too_many_arguments, reason = "as Python passes them")]
    fn recommend<'py>(
        &self,
        py: Python<'py>,
        given: Vec<History<'py>>,
        number: usize,
        only_new: bool,
        without: HashSet<u32>,
        among: Option<HashSet<u32>>,
        threads: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let given = histories(given)?;
        let choice = Choice { number, only_new, without, among };
        let (ids, scores) = long(py, |stop| {
            let deeds = given.into_iter().map(|(raw, weights)| Ok(Deeds { rows: raw.checked()?, weights }));
            rows::recommend(&self.evidence, &deeds.collect::<Result<Vec<_>>>()?, &choice, threads, stop)
        })?;
        Ok((bytes(py, &ids, i32::to_le_bytes)?, bytes(py, &scores, f64::to_le_bytes)?))
    }
}

fn histories(given: Vec<History<'_>>) -> PyResult<Vec<(Raw, Vec<f64>)>> {
    given.into_iter().map(|(matrix, weights)| Ok((Raw::of(matrix)?, reals(&weights)?))).collect()
}
