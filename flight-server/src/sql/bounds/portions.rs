//! Small batches: an operator that hands on what it gets in portions.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt;

use super::sizes;

/// Bytes of a portion that goes through one expression, unless it is a single row.
pub const PORTION_BYTES: usize = 1 << 20;
const NAME: &str = "PortionsExec";

/// What a portion may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows of it.
    pub rows_max: usize,
    /// Bytes of it, unless it is a single row.
    pub bytes_max: usize,
    /// Bytes of each of its rows; more is an error.
    pub row_bytes_max: usize,
    /// Is a row written out for each element of its lists? Then that counts.
    pub is_unnested: bool,
    /// Does who takes them keep them all? Then they count as memory of the statement.
    pub are_kept: bool,
}

impl Limits {
    /// The narrower of both.
    fn and(self, other: Self) -> Self {
        Self {
            rows_max: self.rows_max.min(other.rows_max),
            bytes_max: self.bytes_max.min(other.bytes_max),
            row_bytes_max: self.row_bytes_max.min(other.row_bytes_max),
            is_unnested: self.is_unnested || other.is_unnested,
            are_kept: self.are_kept || other.are_kept,
        }
    }

    /// Bytes of what becomes of rows.
    fn bytes(&self, batch: &RecordBatch) -> usize {
        let bytes = sizes::of_batch(batch);
        if !self.is_unnested {
            return bytes;
        }
        let lists = batch.columns().iter().filter(|column| column.data_type().is_list());
        let elements: usize = lists.map(|lists| sizes::elements(lists.as_ref())).sum();
        bytes.saturating_mul(elements.max(1))
    }
}

/// Hands its input on in portions.
#[derive(Debug)]
pub struct Portions {
    input: Arc<dyn ExecutionPlan>,
    limits: Limits,
}

impl Portions {
    /// Of this input.
    pub fn new(input: Arc<dyn ExecutionPlan>, limits: Limits) -> Self {
        match input.downcast_ref::<Self>() {
            Some(other) => Self { input: Arc::clone(&other.input), limits: other.limits.and(limits) },
            None => Self { input, limits },
        }
    }
}

impl DisplayAs for Portions {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits { rows_max, are_kept, .. } = self.limits;
        write!(formatter, "{NAME}: rows={rows_max}, kept={are_kept}")
    }
}

impl ExecutionPlan for Portions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| DataFusionError::Plan(format!("{NAME} has one input")))?;
        Ok(Arc::new(Self::new(input, self.limits)))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let kept = MemoryConsumer::new(format!("{NAME}[{partition}]")).register(context.memory_pool());
        let (input, limits) = (self.input.execute(partition, context)?, self.limits);
        let portions = input
            .and_then(move |batch| std::future::ready(admitted(&batch, limits, &kept).map(|()| batch)))
            .map_ok(move |batch| futures::stream::iter(Pieces::of(batch, limits)))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), portions)))
    }
}

fn admitted(batch: &RecordBatch, limits: Limits, kept: &MemoryReservation) -> Result<()> {
    if let Some(bytes) = too_wide(batch, limits) {
        let most = limits.row_bytes_max;
        return Err(DataFusionError::ResourcesExhausted(format!(
            "a row makes {bytes} bytes: here it may make {most}, which grows with the setting flightQueryBytesMax; select fewer or shorter columns"
        )));
    }
    if limits.are_kept { kept.try_grow(sizes::of_batch(batch)) } else { Ok(()) }
}

/// Bytes of a row that has more than allowed.
fn too_wide(batch: &RecordBatch, limits: Limits) -> Option<usize> {
    let (rows, bytes) = (batch.num_rows(), limits.bytes(batch));
    match rows {
        _ if bytes <= limits.row_bytes_max => None,
        0 | 1 => Some(bytes),
        _ => {
            let half = rows / 2;
            let halves = [batch.slice(0, half), batch.slice(half, rows - half)];
            halves.iter().find_map(|half| too_wide(half, limits))
        }
    }
}

/// Parts of a batch, in order. They are copies: a slice would count as the whole wherever it is kept.
struct Pieces {
    /// The next is the last.
    left: Vec<RecordBatch>,
    limits: Limits,
    is_whole: bool,
}

impl Pieces {
    fn of(batch: RecordBatch, limits: Limits) -> Self {
        Self { left: vec![batch], limits, is_whole: true }
    }
}

impl Iterator for Pieces {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            let batch = self.left.pop()?;
            let rows = batch.num_rows();
            let Limits { rows_max, bytes_max, .. } = self.limits;
            if rows <= 1 || rows <= rows_max && sizes::of_batch(&batch) <= bytes_max {
                return Some(if self.is_whole { Ok(batch) } else { copied(&batch) });
            }
            self.is_whole = false;
            let first = if rows > rows_max { rows_max } else { rows / 2 };
            self.left.extend([batch.slice(first, rows - first), batch.slice(0, first)]);
        }
    }
}

fn copied(slice: &RecordBatch) -> Result<RecordBatch> {
    if slice.num_columns() == 0 {
        return Ok(slice.clone());
    }
    let rows = u32::try_from(slice.num_rows()).unwrap_or(u32::MAX);
    Ok(take_record_batch(slice, &UInt32Array::from_iter_values(0..rows))?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int32Array, ListArray, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn batch(lengths: &[usize]) -> RecordBatch {
        let texts: ArrayRef =
            Arc::new(StringArray::from_iter_values(lengths.iter().map(|length| "x".repeat(*length))));
        let places: ArrayRef = Arc::new(Int32Array::from_iter_values((0..).take(lengths.len())));
        RecordBatch::try_from_iter([("text", texts), ("place", places)]).unwrap()
    }

    const LIMITS: Limits = Limits {
        rows_max: 8,
        bytes_max: PORTION_BYTES,
        row_bytes_max: usize::MAX,
        is_unnested: false,
        are_kept: false,
    };

    fn rows(lengths: &[usize]) -> Vec<usize> {
        let whole = batch(lengths);
        let pieces: Vec<RecordBatch> = Pieces::of(whole.clone(), LIMITS).collect::<Result<_>>().unwrap();
        assert_eq!(arrow::compute::concat_batches(&whole.schema(), &pieces).unwrap(), whole);
        pieces.iter().map(RecordBatch::num_rows).collect()
    }

    #[test]
    fn pieces_are_small_and_in_order() {
        assert_eq!(rows(&[1; 5]), [5]);
        assert_eq!(rows(&[1; 20]), [8, 8, 4]);
        assert_eq!(rows(&[PORTION_BYTES / 2, 1, 1, PORTION_BYTES / 2, PORTION_BYTES * 2]), [2, 1, 1, 1]);
        assert_eq!(rows(&[]), [0]);
    }

    #[test]
    fn a_row_that_is_too_large_is_found() {
        let wide = batch(&[10, 20, 900, 30]);
        let at_most = |row_bytes_max: usize| Limits { row_bytes_max, ..LIMITS };
        assert_eq!(too_wide(&wide, at_most(1000)), None);
        assert_eq!(too_wide(&wide, at_most(900)), Some(900 + 8 + 4));
        let lists =
            ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), Some(vec![Some(1); 50])]);
        let texts = StringArray::from_iter_values(["x".repeat(100), "x".repeat(100)]);
        let columns: [(&str, ArrayRef); 2] = [("list", Arc::new(lists)), ("text", Arc::new(texts))];
        let lists = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(too_wide(&lists, at_most(5000)), None);
        assert_eq!(too_wide(&lists, Limits { is_unnested: true, ..at_most(5000) }), Some(50 * (108 + 208)));
    }
}
