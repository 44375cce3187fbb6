//! What a statement may take beside what DataFusion limits (sorting, grouping, the stored side of a join): its text, what its
//! expressions make, the batches between its operators, and what windows keep.

mod calls;
mod expansion;
mod plan;
mod portions;
mod sizes;
mod text;

pub use expansion::TablesRead;
pub use plan::{ROWS_MAX, physical};
pub use portions::PORTION_BYTES;
pub use text::{TABLES_MAX, check_shape, check_size};

use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;

/// A plan that stays small while it is planned, and whose calls make no more than there is memory.
///
/// # Errors
/// It would not, or has something that cannot be limited.
pub fn limited(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let read = state.config().get_extension::<TablesRead>().unwrap_or_default();
    expansion::check_expansion(&plan, &read)?;
    calls::guarded(plan, &state.runtime_env().memory_pool)
}
