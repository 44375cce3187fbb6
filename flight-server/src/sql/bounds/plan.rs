//! Plans that can be ended at any time, and whose batches are small.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::window::{StandardWindowExpr, WindowExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::partial_sort::PartialSortExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec, WindowUDFExpr};

use super::portions::{Limits, Portions};
use super::sizes;

/// Rows of a batch, at most.
pub const ROWS_MAX: usize = 2048;
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
        multipliers += usize::from(multiplies(node));
        Ok(TreeNodeRecursion::Continue)
    })?;
    let share = bytes_max / (multipliers * threads).max(1);
    let rows_max = ROWS_MAX.min(CONSTANTS_BYTES / constants.max(1)).min(share / ROW_BYTES).max(1);
    let limits = |node: &Arc<dyn ExecutionPlan>| Limits {
        rows_max,
        row_bytes_max: if multiplies(node) { share / rows_max } else { usize::MAX },
        are_kept: keeps(node),
    };
    let plan = plan.transform_up(|node| {
        let is_join = node.children().len() > 1;
        let node = if computes(&node) || multiplies(&node) || keeps(&node) {
            with_portions(node.clone(), limits(&node))?
        } else {
            node
        };
        Ok(Transformed::yes(if is_join { Arc::new(CooperativeExec::new(node)) } else { node }))
    })?;
    let last = Limits { rows_max, row_bytes_max: bytes_max / 8, are_kept: false };
    Ok((Arc::new(Portions::new(plan.data, last)), rows_max))
}

fn with_portions(node: Arc<dyn ExecutionPlan>, limits: Limits) -> Result<Arc<dyn ExecutionPlan>> {
    let portions = |child: &Arc<dyn ExecutionPlan>| -> Arc<dyn ExecutionPlan> {
        Arc::new(Portions::new(Arc::clone(child), limits))
    };
    let children = node.children().into_iter().map(portions).collect();
    node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// Does it evaluate expressions?
fn computes(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<ProjectionExec>() || node.is::<FilterExec>() || node.is::<AggregateExec>()
}

/// Does it write a value of its input into many rows?
fn multiplies(node: &Arc<dyn ExecutionPlan>) -> bool {
    let is_union = node.is::<UnionExec>() || node.is::<InterleaveExec>();
    let is_window = node.is::<WindowAggExec>() || node.is::<BoundedWindowAggExec>();
    node.children().len() > 1 && !is_union || is_window || node.is::<UnnestExec>()
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
    let standard = window.as_any().downcast_ref::<StandardWindowExpr>();
    let function =
        standard.and_then(|window| window.get_standard_func_expr().as_any().downcast_ref::<WindowUDFExpr>());
    match function.map(|function| (function.fun().name(), function.args())) {
        Some(("row_number" | "rank" | "dense_rank", _)) => true,
        Some(("lead" | "lag", args)) => args.get(1).is_none_or(|offset| {
            let offset = offset.downcast_ref::<Literal>().map(|offset| offset.value().clone());
            offset.is_some_and(|offset| is_near(&offset))
        }),
        _ => {
            let frame = window.get_window_frame();
            let near = |bound: &WindowFrameBound| match bound {
                WindowFrameBound::CurrentRow => true,
                WindowFrameBound::Preceding(rows) | WindowFrameBound::Following(rows) => is_near(rows),
            };
            frame.units == WindowFrameUnits::Rows && near(&frame.start_bound) && near(&frame.end_bound)
        }
    }
}

fn is_near(rows: &ScalarValue) -> bool {
    match rows {
        ScalarValue::UInt64(Some(rows)) => *rows <= NEAR,
        ScalarValue::Int64(Some(rows)) => rows.unsigned_abs() <= NEAR,
        _ => false,
    }
}
