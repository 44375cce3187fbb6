//! Tables whose rows are made while they are read: what they have in common.
//!
//! Stores lend their rows to a visitor, within a thread; DataFusion wants streams. So each part of a table runs in a thread
//! of its own, as far ahead as a short queue allows, and ends when nobody wants its rows any more.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use arblast::failure::Failure;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use tokio::sync::mpsc::Sender;

use crate::errors::external;

/// Batches of a part that wait to be taken.
const AHEAD: usize = 2;

/// A table.
pub trait Rows: fmt::Debug + Send + Sync {
    /// Its columns.
    fn schema(&self) -> SchemaRef;

    /// Does [`parts`](Self::parts) leave out every row for which the filter does not hold? Else it may be given nevertheless, and
    /// leave out some.
    fn applies(&self, filter: &Expr) -> bool;

    /// Makes the rows, in parts: with these columns, and perhaps more than `limit`.
    ///
    /// # Errors
    /// What is looked for cannot be found.
    fn parts(&self, wanted: &Wanted<'_>) -> Result<Vec<Part>>;
}

/// What is wanted of a table.
pub struct Wanted<'a> {
    /// Places of the columns.
    pub columns: &'a [usize],
    /// All must hold.
    pub filters: &'a [Expr],
    /// Rows that suffice.
    pub limit: Option<usize>,
    /// Parts that can be made at the same time.
    pub parts_max: usize,
}

/// A part of a table: gives its rows to `out`, in a thread that may wait.
pub type Part = Arc<dyn Fn(&mut Out<'_>) -> std::result::Result<(), Failure> + Send + Sync>;

/// Takes the rows of a part.
pub struct Out<'a> {
    sender: &'a Sender<Result<RecordBatch>>,
    columns: Option<&'a [usize]>,
}

impl Out<'_> {
    /// Hands a batch over; `Break` if nobody wants more.
    ///
    /// # Errors
    /// The batch could not be made.
    pub fn send(
        &mut self,
        batch: std::result::Result<RecordBatch, arrow::error::ArrowError>,
    ) -> std::result::Result<ControlFlow<()>, Failure> {
        let batch = batch.and_then(|batch| match self.columns {
            Some(columns) => batch.project(columns),
            None => Ok(batch),
        });
        let batch = batch.map_err(|error| Failure::new(events::Kind::Internal, error.to_string()))?;
        let taken = batch.num_rows() == 0 || self.sender.blocking_send(Ok(batch)).is_ok();
        Ok(if taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    /// Does nobody want more? For who reads much and sends little.
    pub fn is_unwanted(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Rows as a table of DataFusion.
#[derive(Debug)]
pub struct Table<R>(pub R);

/// Does a table that projects by itself get the columns, or does each part make all of them?
pub trait Projects {
    /// Parts make the wanted columns only.
    const PROJECTS: bool = false;
}

#[async_trait]
impl<R: Rows + Projects + 'static> TableProvider for Table<R> {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let told = |filter: &&Expr| {
            if self.0.applies(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(told).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.0.schema();
        let columns = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let projected = Arc::new(schema.project(&columns)?);
        // A limit counts behind all filters.
        let limit = limit.filter(|_| filters.iter().all(|filter| self.0.applies(filter)));
        let parts_max = state.config().target_partitions();
        let parts = self.0.parts(&Wanted { columns: &columns, filters, limit, parts_max })?;
        let columns: Option<Arc<[usize]>> = (!R::PROJECTS).then(|| columns.into());
        let streams = parts.into_iter().map(|part| {
            let (schema, columns) = (Arc::clone(&projected), columns.clone());
            Arc::new(Streamed { schema, columns, part }) as Arc<dyn PartitionStream>
        });
        let mut streams: Vec<_> = streams.collect();
        if streams.is_empty() {
            let none: Part = Arc::new(|_| Ok(()));
            streams.push(Arc::new(Streamed { schema: Arc::clone(&projected), columns: None, part: none }));
        }
        Ok(Arc::new(StreamingTableExec::try_new(projected, streams, None, [], false, limit)?))
    }
}

struct Streamed {
    schema: SchemaRef,
    columns: Option<Arc<[usize]>>,
    part: Part,
}

impl fmt::Debug for Streamed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Streamed").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PartitionStream for Streamed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), AHEAD);
        let (sender, columns, part) = (builder.tx(), self.columns.clone(), Arc::clone(&self.part));
        builder.spawn_blocking(move || {
            let mut out = Out { sender: &sender, columns: columns.as_deref() };
            part(&mut out).map_err(external)
        });
        builder.build()
    }
}

/// A column of one text.
pub fn constant(text: Option<&str>, rows: usize) -> arrow::array::ArrayRef {
    Arc::new(std::iter::repeat_n(text, rows).collect::<arrow::array::StringArray>())
}

/// What DataFusion reports of our failures.
pub fn failed(failure: impl Into<Failure>) -> DataFusionError {
    external(failure)
}
