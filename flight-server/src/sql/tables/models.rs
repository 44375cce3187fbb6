//! `items`, `rankings`, `correlators`: what the current models of the engines hold.

use std::ops::Range;
use std::sync::Arc;

use ::events::Kind;
use arblast::deployable::Deployable;
use arblast::failure::Failure;
use arblast::live::Served;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use columnar::schema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Operator};

use super::{Sight, is_choice, with_columns};
use crate::sql::filters::{self, Test};
use crate::sql::rows::{Out, Part, Projects, Rows, Wanted, constant, failed};

/// Columns before those of the batches.
const BEFORE: [(&str, bool); 2] = [("app", false), ("engine", false)];
/// Items of a batch.
const ITEMS: u32 = 1024;

/// Which of the tables.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    Items,
    Rankings,
    Correlators,
}

/// A table.
#[derive(Debug)]
pub struct OfModels {
    sight: Arc<Sight>,
    of: Of,
    schema: SchemaRef,
}

impl OfModels {
    pub fn new(sight: Arc<Sight>, of: Of) -> Self {
        let schema = match of {
            Of::Items => schema::items(),
            Of::Rankings => schema::rankings(),
            Of::Correlators => schema::correlators(),
        };
        Self { sight, of, schema: with_columns(&BEFORE, &schema) }
    }
}

impl Projects for OfModels {}

impl Rows for OfModels {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn applies(&self, filter: &Expr) -> bool {
        match self.of {
            Of::Correlators => is_choice(filter, &["app", "engine", "item_id", "indicator"]),
            Of::Items | Of::Rankings => is_choice(filter, &["app", "engine", "item_id"]),
        }
    }

    fn parts(&self, wanted: &Wanted<'_>) -> Result<Vec<Part>> {
        let mut parts: Vec<Part> = Vec::new();
        for engine in self.sight.engines_for(wanted.filters) {
            let served = match engine.serving(&self.sight.storage) {
                Ok(serving) => serving.served(),
                Err(failure) if failure.kind() == Kind::NotFound => continue,
                Err(failure) => return Err(failed(failure)),
            };
            let indicators = filters::among(wanted.filters, "indicator");
            let rows = rows(&served, wanted.filters);
            let parts_max = if wanted.limit.is_some() { 1 } else { wanted.parts_max };
            for rows in rows.split(parts_max) {
                let read = Read {
                    of: self.of,
                    schema: Arc::clone(&self.schema),
                    engine: Arc::clone(&engine),
                    served: Arc::clone(&served),
                    indicators: indicators.clone(),
                    rows,
                    limit: wanted.limit.unwrap_or(usize::MAX),
                };
                parts.push(Arc::new(move |out| read.run(out)));
            }
        }
        Ok(parts)
    }
}

/// Rows of a view, ascending ranges.
struct RowRanges(Vec<Range<u32>>);

impl RowRanges {
    /// In about `parts` parts of as many rows, in order.
    fn split(self, parts: usize) -> Vec<Self> {
        let all: u64 = self.0.iter().map(|range| u64::from(range.end - range.start)).sum();
        let most = all.div_ceil(parts.max(1) as u64).max(u64::from(ITEMS));
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let (mut split, mut part, mut size) = (Vec::new(), Vec::new(), 0);
        for mut range in self.0 {
            while !range.is_empty() {
                let end = range.end.min(range.start.saturating_add(most - size));
                size += end - range.start;
                part.push(range.start..end);
                range.start = end;
                if size == most {
                    split.push(Self(std::mem::take(&mut part)));
                    size = 0;
                }
            }
        }
        if !part.is_empty() {
            split.push(Self(part));
        }
        split
    }
}

/// The rows that filters on `item_id` leave: by name, or by a range of names, where new items stay for DataFusion to decide.
fn rows(served: &Served, filters: &[Expr]) -> RowRanges {
    let view = served.view();
    if let Some(names) = filters::among(filters, "item_id") {
        let mut rows: Vec<u32> = names.iter().filter_map(|name| view.find(name)).collect();
        rows.sort_unstable();
        return RowRanges(rows.into_iter().map(|row| row..row + 1).collect());
    }
    let model = view.model();
    let (mut first, mut end) = (0, model.items());
    // rows below which names are smaller than the text; with `also` not greater
    let below = |text: &str, also: bool| {
        let ids = model.ids();
        let (mut low, mut high) = (0, model.items());
        while low < high {
            let middle = low + (high - low) / 2;
            let id = ids.get(middle);
            if id < text || (also && id == text) { low = middle + 1 } else { high = middle }
        }
        low
    };
    for test in filters::on(filters, "item_id") {
        match test {
            Test::Text(Operator::GtEq, text) => first = first.max(below(&text, false)),
            Test::Text(Operator::Gt, text) => first = first.max(below(&text, true)),
            Test::Text(Operator::Lt, text) => end = end.min(below(&text, false)),
            Test::Text(Operator::LtEq, text) => end = end.min(below(&text, true)),
            _ => {}
        }
    }
    RowRanges(vec![first..end.max(first), model.items()..view.items()])
}

/// Some rows of one model.
struct Read {
    of: Of,
    schema: SchemaRef,
    engine: Arc<Deployable>,
    served: Arc<Served>,
    indicators: Option<std::collections::BTreeSet<String>>,
    rows: RowRanges,
    limit: usize,
}

impl Read {
    fn run(&self, out: &mut Out<'_>) -> std::result::Result<(), Failure> {
        let mut left = self.limit;
        for indicator in self.indicators() {
            for range in &self.rows.0 {
                for start in range.clone().step_by(ITEMS as usize) {
                    if left == 0 || out.is_unwanted() {
                        return Ok(());
                    }
                    let rows = start..range.end.min(start.saturating_add(ITEMS));
                    let batch = self.batch(indicator, rows);
                    left = left.saturating_sub(batch.as_ref().map_or(0, RecordBatch::num_rows));
                    if out.send(batch)?.is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Wanted indicators; one nameless for tables that have none.
    fn indicators(&self) -> Vec<&str> {
        match self.of {
            Of::Items | Of::Rankings => vec![""],
            Of::Correlators => {
                let all = self.served.view().model().indicators();
                let is_wanted =
                    |name: &&str| self.indicators.as_ref().is_none_or(|names| names.contains(*name));
                all.filter(is_wanted).collect()
            }
        }
    }

    fn batch(&self, indicator: &str, rows: Range<u32>) -> std::result::Result<RecordBatch, ArrowError> {
        let view = self.served.view();
        let batch = match self.of {
            Of::Items => columnar::items(view, rows),
            Of::Rankings => columnar::rankings(view, rows),
            Of::Correlators => columnar::correlators(view, indicator, rows),
        }?;
        let config = &self.engine.config;
        let before = [&config.app_name, &config.variant].map(|text| constant(Some(text), batch.num_rows()));
        let columns: Vec<ArrayRef> = before.into_iter().chain(batch.columns().iter().cloned()).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_split_without_loss() {
        for parts in [1, 2, 3, 7] {
            let split = RowRanges(vec![0..5000, 7000..7001, 8000..9000]).split(parts);
            assert!(split.len() <= parts.max(1), "{parts}");
            let rows: Vec<u32> = split.iter().flat_map(|part| part.0.iter().cloned().flatten()).collect();
            assert_eq!(rows, (0..5000).chain([7000]).chain(8000..9000).collect::<Vec<_>>());
        }
        assert!(RowRanges(std::iter::once(0..0).collect()).split(4).is_empty());
    }
}
