//! Plans that can be ended at any time, and whose batches are small.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::window::{StandardWindowExpr, WindowExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::sorts::partial_sort::PartialSortExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::portions::{Limits, PORTION_BYTES, Portions};
use super::sizes;

/// Rows of a batch, at most.
pub const ROWS_MAX: usize = 1024;
/// Rows that a filter puts together, if fewer than half of them pass at once: they may be wide.
const FILTERED_ROWS: usize = 128;
/// A row of a join may have so many bytes before batches get shorter.
const ROW_BYTES: usize = 16 << 10;
/// What constants take once they are written into each row of a batch.
const CONSTANTS_BYTES: usize = 64 << 20;
/// What the constants of a statement may have, with what is computed of them.
const CONSTANTS_MAX: usize = 16 << 20;
/// Rows that a window may look back or ahead without keeping its input.
const NEAR: u64 = 10_000;

/// The plan that will be executed, and the rows that its batches may have.
///
/// # Errors
/// It cannot be planned, or has too large constants.
pub async fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<(Arc<dyn ExecutionPlan>, usize)> {
    let optimized = state.optimize(plan)?;
    let constants = constants(&optimized)?;
    if constants > CONSTANTS_MAX {
        return Err(DataFusionError::ResourcesExhausted(format!(
            "the constants of the statement have {constants} bytes; {CONSTANTS_MAX} are allowed"
        )));
    }
    let plan = state.query_planner().create_physical_plan(&optimized, state).await?;
    let bytes_max = match state.runtime_env().memory_pool.memory_limit() {
        MemoryLimit::Finite(bytes) => bytes,
        _ => usize::MAX,
    };
    bounded(plan, constants, bytes_max, state.config().target_partitions())
}

/// Bytes of all constants.
fn constants(plan: &LogicalPlan) -> Result<usize> {
    let mut bytes = 0;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Literal(value, _) = part {
                    bytes += sizes::of_scalar(value);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(bytes)
}

/// Joins pause between batches: else one that makes millions of batches of one of its input computes on without end within
/// one poll, and neither limit nor cancellation takes hold. What computes gets small batches. What writes a row into many gets
/// rows that are short enough for a whole batch of each such operator to fit into `bytes_max`.
fn bounded(
    plan: Arc<dyn ExecutionPlan>,
    constants: usize,
    bytes_max: usize,
    threads: usize,
) -> Result<(Arc<dyn ExecutionPlan>, usize)> {
    let mut multipliers = 0;
    plan.apply(|node| {
        multipliers += multiplies(node);
        Ok(TreeNodeRecursion::Continue)
    })?;
    let share = bytes_max / (multipliers * threads).max(1);
    let rows_max = ROWS_MAX.min(CONSTANTS_BYTES / constants.max(1)).min(share / ROW_BYTES).max(1);
    let plan = plan.transform_up(|node| {
        let is_join = node.children().len() > 1;
        let node: Arc<dyn ExecutionPlan> = match node.downcast_ref::<FilterExec>() {
            Some(filter) => Arc::new(filter.with_batch_size(FILTERED_ROWS)?),
            None => node,
        };
        let node = with_portions(node, rows_max, bytes_max, share)?;
        Ok(Transformed::yes(if is_join { Arc::new(CooperativeExec::new(node)) } else { node }))
    })?;
    let last = Limits {
        rows_max,
        bytes_max: PORTION_BYTES,
        row_bytes_max: bytes_max / 8,
        is_unnested: false,
        are_kept: false,
    };
    Ok((Arc::new(Portions::new(plan.data, last)), rows_max))
}

/// `share`: what a batch of an operator that multiplies may take.
fn with_portions(
    node: Arc<dyn ExecutionPlan>,
    rows_max: usize,
    bytes_max: usize,
    share: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let (expressions, multiplies, are_kept) = (expressions(&node), multiplies(&node) > 0, keeps(&node));
    if expressions == 0 && !multiplies && !are_kept {
        return Ok(node);
    }
    let unnest = node.downcast_ref::<UnnestExec>();
    let is_deep = unnest.is_some_and(|unnest| unnest.list_column_indices().iter().any(|list| list.depth > 1));
    let limits = Limits {
        rows_max: if is_deep { 1 } else { rows_max },
        bytes_max: PORTION_BYTES / expressions.clamp(1, 64),
        row_bytes_max: match (unnest, multiplies) {
            (Some(_), _) => share,
            (None, true) => share / rows_max,
            (None, false) => bytes_max / expressions.max(1),
        },
        is_unnested: unnest.is_some(),
        are_kept,
    };
    // What stands beside queries for single values passes through, and gets theirs.
    let passes = usize::from(node.is::<ScalarSubqueryExec>());
    let portions = |(place, child): (usize, &Arc<dyn ExecutionPlan>)| -> Arc<dyn ExecutionPlan> {
        if place < passes { Arc::clone(child) } else { Arc::new(Portions::new(Arc::clone(child), limits)) }
    };
    let children = node.children().into_iter().enumerate().map(portions).collect();
    node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// Expressions that it computes at the same time.
fn expressions(node: &Arc<dyn ExecutionPlan>) -> usize {
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        return projection.expr().iter().filter(|column| !column.expr.is::<Column>()).count();
    }
    match node.downcast_ref::<AggregateExec>() {
        Some(aggregate) => aggregate.aggr_expr().len().max(1),
        None => usize::from(node.is::<FilterExec>()),
    }
}

/// Does it write a value of its input into many rows? How many batches of that does it hold?
fn multiplies(node: &Arc<dyn ExecutionPlan>) -> usize {
    let is_union = node.is::<UnionExec>() || node.is::<InterleaveExec>();
    let is_window = node.is::<WindowAggExec>() || node.is::<BoundedWindowAggExec>();
    match node.children().len() {
        _ if is_union => 0,
        children if node.is::<ScalarSubqueryExec>() => children.saturating_sub(1),
        children => usize::from(children > 1 || is_window || node.is::<UnnestExec>()),
    }
}

/// Does it keep its input, and tells nobody?
fn keeps(node: &Arc<dyn ExecutionPlan>) -> bool {
    match node.downcast_ref::<BoundedWindowAggExec>() {
        Some(window) => !window.window_expr().iter().all(forgets),
        None => node.is::<WindowAggExec>() || node.is::<PartialSortExec>(),
    }
}

/// Does it need but a few rows around the current one?
fn forgets(window: &Arc<dyn WindowExpr>) -> bool {
    /// Any row that has many on both sides.
    const HERE: usize = 1 << 40;
    let standard = window.as_any().downcast_ref::<StandardWindowExpr>();
    let evaluator = standard.and_then(|window| window.get_standard_func_expr().create_evaluator().ok());
    if let Some(evaluator) = evaluator.filter(|evaluator| !evaluator.uses_window_frame()) {
        let is_near = |row: usize| row.abs_diff(HERE) as u64 <= NEAR;
        return evaluator
            .get_range(HERE, 2 * HERE)
            .is_ok_and(|rows| is_near(rows.start) && is_near(rows.end));
    }
    let frame = window.get_window_frame();
    let near = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => true,
        WindowFrameBound::Preceding(rows) | WindowFrameBound::Following(rows) => is_near(rows),
    };
    frame.units == WindowFrameUnits::Rows && near(&frame.start_bound) && near(&frame.end_bound)
}

fn is_near(rows: &ScalarValue) -> bool {
    match rows {
        ScalarValue::UInt64(Some(rows)) => *rows <= NEAR,
        ScalarValue::Int64(Some(rows)) => rows.unsigned_abs() <= NEAR,
        _ => false,
    }
}
