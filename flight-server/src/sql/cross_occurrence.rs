//! `cross_occurrence((SELECT …), options)`: a table of the correlators of what a query selects.
//!
//! DataFusion plans no query as an argument of a table function, so it goes there as text, and is planned when the table is scanned.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use columnar::{Counting, Options};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    Partitioning, PlanProperties, ReplaceChildrenOptions, expressions,
};
use futures::TryStreamExt;

use super::bounds::{check_shape, check_size, limited, physical};
use super::functions::Noted;
use super::parameters::queries_as_text;
use super::rows::failed;
use crate::counting::{self, Counter};

/// What it is called.
pub const NAME: &str = "cross_occurrence";
/// Batches that wait to be taken.
const AHEAD: usize = 2;

fn wrong(text: impl fmt::Display) -> DataFusionError {
    DataFusionError::Plan(format!("{NAME}: {text}"))
}

/// The function.
pub struct CrossOccurrence {
    counter: Counter,
    noted: Arc<Noted>,
}

impl CrossOccurrence {
    /// `noted` hears of parameters.
    pub fn new(counter: Counter, noted: Arc<Noted>) -> Self {
        Self { counter, noted }
    }

    fn options(&self, expr: &Expr) -> Result<Option<Options>> {
        if let Expr::Placeholder(placeholder) = expr {
            self.noted.note(&placeholder.id, DataType::Utf8);
            return Ok(None);
        }
        let options = counting::options(&text(expr)?).map_err(wrong)?;
        Counting::new(options.clone()).map_err(wrong)?;
        Ok(Some(options))
    }
}

impl fmt::Debug for CrossOccurrence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(NAME)
    }
}

fn usage() -> DataFusionError {
    wrong("expected cross_occurrence((SELECT indicator, user_id, item_id FROM …) [, options as JSON])")
}

fn text(expr: &Expr) -> Result<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned).ok_or_else(usage),
        _ => Err(usage()),
    }
}

impl TableFunctionImpl for CrossOccurrence {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let (query, options) = match args.exprs() {
            [query] => (query, Some(counting::default_options())),
            [query, options] => (query, self.options(options)?),
            _ => return Err(usage()),
        };
        Ok(Arc::new(Correlators { query: text(query)?, options, counter: self.counter.clone() }))
    }
}

/// The correlators of what a query selects.
struct Correlators {
    query: String,
    /// `None`: parameters are not bound yet.
    options: Option<Options>,
    counter: Counter,
}

impl fmt::Debug for Correlators {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct(NAME).field("query", &self.query).field("options", &self.options).finish()
    }
}

#[async_trait]
impl TableProvider for Correlators {
    fn schema(&self) -> SchemaRef {
        columnar::schema::correlators()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = self.options.clone().ok_or_else(|| wrong("a parameter is not bound"))?;
        let state = state.as_any().downcast_ref::<SessionState>().ok_or_else(|| wrong("no session"))?;
        let dialect = state.config().options().sql_parser.dialect;
        check_size(&self.query)?;
        let mut statement = state.sql_to_statement(&self.query, &dialect)?;
        queries_as_text(&mut statement, NAME);
        check_shape(&mut statement)?;
        let plan = state.statement_to_plan(statement).await?;
        let reads =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let plan = limited(plan, state)?;
        reads.verify_plan(&plan)?;
        let (input, _) = physical(state, &plan).await?;
        check(options.clone(), &input.schema())?;
        let counted = Arc::new(CrossOccurrenceExec::new(input, options, self.counter.clone()));
        let Some(columns) = projection else { return Ok(counted) };
        let schema = self.schema();
        let column = |&index: &usize| -> (Arc<dyn PhysicalExpr>, String) {
            let name = schema.field(index).name();
            (Arc::new(expressions::Column::new(name, index)), name.clone())
        };
        Ok(Arc::new(ProjectionExec::try_new(columns.iter().map(column).collect::<Vec<_>>(), counted)?))
    }
}

/// Has the query what is counted?
fn check(options: Options, schema: &SchemaRef) -> Result<()> {
    let mut counting = Counting::new(options).map_err(wrong)?;
    counting.push(&RecordBatch::new_empty(Arc::clone(schema))).map_err(wrong)
}

/// Counts what its input gives.
struct CrossOccurrenceExec {
    input: Arc<dyn ExecutionPlan>,
    options: Options,
    counter: Counter,
    properties: Arc<PlanProperties>,
}

impl CrossOccurrenceExec {
    fn new(input: Arc<dyn ExecutionPlan>, options: Options, counter: Counter) -> Self {
        let input: Arc<dyn ExecutionPlan> = match input.output_partitioning().partition_count() {
            1 => input,
            _ => Arc::new(CoalescePartitionsExec::new(input)),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(columnar::schema::correlators()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { input, options, counter, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for CrossOccurrenceExec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CrossOccurrenceExec").field("options", &self.options).finish_non_exhaustive()
    }
}

impl DisplayAs for CrossOccurrenceExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { indicators, max_correlators, max_prefs, .. } = &self.options;
        write!(
            formatter,
            "CrossOccurrenceExec: indicators={indicators:?}, maxCorrelators={max_correlators}, maxPrefs={max_prefs}"
        )
    }
}

impl ExecutionPlan for CrossOccurrenceExec {
    fn name(&self) -> &'static str {
        "CrossOccurrenceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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
        let input = children.pop().ok_or_else(|| wrong("it has one input"))?;
        Ok(Arc::new(Self::new(input, self.options.clone(), self.counter.clone())))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(0, Arc::clone(&context))?;
        let counting = Counting::new(self.options.clone()).map_err(wrong)?;
        let memory = MemoryConsumer::new(NAME).register(context.memory_pool());
        let mut builder = RecordBatchReceiverStream::builder(columnar::schema::correlators(), AHEAD);
        let (sender, counter) = (builder.tx(), self.counter.clone());
        builder.spawn(async move {
            let counting = collect(input, counting, &memory).await?;
            let count = move || {
                let send = |batch| sender.blocking_send(Ok(batch)).is_ok();
                counter.count(counting, &|| sender.is_closed(), send).map_err(failed)
            };
            let counted = tokio::task::spawn_blocking(count).await;
            counted.map_err(|panic| DataFusionError::Internal(panic.to_string()))?
        });
        Ok(builder.build())
    }
}

async fn collect(
    mut input: SendableRecordBatchStream,
    mut counting: Counting,
    memory: &MemoryReservation,
) -> Result<Counting> {
    while let Some(batch) = input.try_next().await? {
        counting.push(&batch).map_err(wrong)?;
        memory.try_resize(counting.bytes())?;
    }
    Ok(counting)
}
