//! The operator of a train: for each row of its input, which is a task, it does the task and gives a row of report.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::TryStreamExt;

use super::task::{Task, Work};
use super::worker::Worker;

/// Does tasks. Its input must be partitions in memory: the scheduler cuts no other leaf of a plan to the share of an executor.
#[derive(Debug, Clone)]
pub struct TaskExec {
    work: Arc<Work>,
    input: Arc<dyn ExecutionPlan>,
    /// Only executors have one.
    worker: Option<Arc<Worker>>,
    properties: Arc<PlanProperties>,
}

impl TaskExec {
    /// Over rows of the schema of tasks.
    pub fn new(work: Arc<Work>, input: Arc<dyn ExecutionPlan>, worker: Option<Arc<Worker>>) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Self::report_schema()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { work, input, worker, properties: Arc::new(properties) }
    }

    /// What the tasks share.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Columns of reports: `task`, `bytes` of its file, `seconds` that it took.
    fn report_schema() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            Arc::new(Schema::new(vec![
                Field::new("task", DataType::Utf8, false),
                Field::new("bytes", DataType::UInt64, false),
                Field::new("seconds", DataType::Float64, false),
            ]))
        });
        Arc::clone(&SCHEMA)
    }
}

async fn done(
    worker: Arc<Worker>,
    work: Arc<Work>,
    batch: RecordBatch,
    context: Arc<TaskContext>,
) -> Result<RecordBatch> {
    let tasks = Task::of_batch(&batch).ok_or_else(|| internal_datafusion_err!("the rows are no tasks"))?;
    let (mut bytes, mut seconds) = (Vec::new(), Vec::new());
    for task in &tasks {
        let done = worker.run(&work, task, context.memory_pool()).await;
        let done = done.map_err(|failure| DataFusionError::Execution(failure.to_string()))?;
        bytes.push(done.bytes);
        seconds.push(done.seconds);
    }
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(names)),
        Arc::new(UInt64Array::from(bytes)),
        Arc::new(Float64Array::from(seconds)),
    ];
    Ok(RecordBatch::try_new(TaskExec::report_schema(), columns)?)
}

impl DisplayAs for TaskExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TaskExec: folder={}", self.work.folder)
    }
}

impl ExecutionPlan for TaskExec {
    fn name(&self) -> &'static str {
        "TaskExec"
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
        match children.pop() {
            Some(input) if children.is_empty() => {
                Ok(Arc::new(Self::new(Arc::clone(&self.work), input, self.worker.clone())))
            }
            _ => internal_err!("tasks have one input"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(worker) = self.worker.clone() else {
            return internal_err!("tasks are done by executors only");
        };
        let work = Arc::clone(&self.work);
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let reports = input
            .and_then(move |batch| done(Arc::clone(&worker), Arc::clone(&work), batch, Arc::clone(&context)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Self::report_schema(), reports)))
    }
}
