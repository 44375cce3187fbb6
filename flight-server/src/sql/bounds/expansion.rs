//! How large a plan is once what is named twice is written out. A query in `WITH` is planned for each place that names it, and
//! expressions are put into expressions as filters move down: either may double with each level.

use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::text::TABLES_MAX;

/// Operations of all expressions of an operator, written out.
const OPERATIONS_MAX: usize = 20_000;
/// Operators of a plan.
const OPERATORS_MAX: usize = 4000;

/// Tables that a statement reads, together with the queries that functions of it plan.
#[derive(Debug, Default)]
pub struct TablesRead(AtomicUsize);

/// A plan that stays small.
///
/// # Errors
/// It does not.
pub fn check_expansion(plan: &LogicalPlan, read: &TablesRead) -> Result<()> {
    let mut operators = 0;
    plan.apply_with_subqueries(|node| {
        operators += 1;
        let is_table = matches!(node, LogicalPlan::TableScan(_));
        let tables = read.0.fetch_add(usize::from(is_table), Ordering::Relaxed);
        if operators > OPERATORS_MAX || tables >= TABLES_MAX && is_table {
            return Err(DataFusionError::Plan(format!(
                "written out, the statement reads more than {TABLES_MAX} tables or has more than {OPERATORS_MAX} operators"
            )));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    of_plan(plan).map(|_| ())
}

/// Operations of each column of the result.
fn of_plan(plan: &LogicalPlan) -> Result<Vec<usize>> {
    let inputs = plan.inputs().into_iter().map(of_plan).collect::<Result<Vec<_>>>()?;
    let schemas: Vec<&DFSchema> = plan.inputs().iter().map(|input| input.schema().as_ref()).collect();
    let of_column = |column: &Column| {
        let found = schemas.iter().zip(&inputs).find_map(|(schema, sizes)| {
            schema.maybe_index_of_column(column).and_then(|place| sizes.get(place).copied())
        });
        found.unwrap_or(1)
    };
    let mut made = Vec::new();
    // Rows of constants are what they are.
    if let LogicalPlan::Values(_) = plan {
        return Ok(vec![0; plan.schema().fields().len()]);
    }
    plan.apply_expressions(|expr| {
        made.push(of_expr(expr, &of_column)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    if made.iter().fold(0, |sum: usize, size| sum.saturating_add(*size)) > OPERATIONS_MAX {
        return Err(DataFusionError::Plan(format!(
            "columns are computed of columns too often: written out, the expressions have more than {OPERATIONS_MAX} operations"
        )));
    }
    let columns = plan.schema().fields().len();
    let passed: Vec<usize> = inputs.iter().flatten().copied().collect();
    Ok(match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) if made.len() == columns => made,
        LogicalPlan::Window(_) if passed.len() + made.len() == columns => [passed, made].concat(),
        LogicalPlan::Union(_) => {
            let largest =
                |place| inputs.iter().filter_map(|input| input.get(place)).max().copied().unwrap_or(1);
            (0..columns).map(largest).collect()
        }
        _ if passed.len() == columns => passed,
        _ => vec![passed.iter().chain(&made).max().copied().unwrap_or(1); columns],
    })
}

fn of_expr(expr: &Expr, of_column: &dyn Fn(&Column) -> usize) -> Result<usize> {
    let mut size = 0_usize;
    expr.apply(|part| {
        size = size.saturating_add(match part {
            Expr::Column(column) => of_column(column),
            Expr::ScalarSubquery(query) => of_query(&query.subquery)?,
            Expr::Exists(exists) => of_query(&exists.subquery.subquery)?,
            Expr::InSubquery(within) => of_query(&within.subquery.subquery)?,
            Expr::Alias(_) | Expr::Literal(..) => 0,
            _ => 1,
        });
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(size)
}

fn of_query(plan: &LogicalPlan) -> Result<usize> {
    Ok(of_plan(plan)?.iter().fold(1, |sum, size| sum.saturating_add(*size)))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    /// Planning needs more stack than threads of tests have.
    fn check(sql: &str) -> Result<()> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_stack_size(64 << 20).build().unwrap();
        let sql = sql.to_owned();
        let checked = runtime.spawn(async move {
            check_expansion(
                &SessionContext::new().state().create_logical_plan(&sql).await?,
                &TablesRead::default(),
            )
        });
        runtime.block_on(checked).unwrap()
    }

    fn levels(what: &str, levels: usize) -> String {
        (0..levels).fold("SELECT 'a' AS x, 1 AS y".to_owned(), |of, _| format!("SELECT {what} FROM ({of})"))
    }

    #[test]
    fn what_doubles_is_seen() {
        assert!(check(&levels("x || x AS x, y", 12)).is_ok());
        let ids = vec!["'a'"; 30_000].join(",");
        assert!(check(&format!("SELECT 1 FROM (SELECT 'a' AS x) WHERE x IN ({ids})")).is_ok());
        let doubled = |levels: usize| {
            let level = |n: usize| format!("c{n} AS (SELECT a.x FROM c{} a, c{} b)", n - 1, n - 1);
            let levels: Vec<String> = (1..=levels).map(level).collect();
            format!("WITH c0 AS (SELECT 1 AS x), {} SELECT 1 FROM c{}", levels.join(", "), levels.len())
        };
        assert!(check(&doubled(5)).is_ok());
        assert!(check(&doubled(12)).is_err());
        assert!(check(&levels("x || x AS x, y", 20)).is_err());
        assert!(check(&levels("x || 'a' AS x, y + 1 AS y", 20)).is_ok());
        let filtered = format!("SELECT y FROM ({}) WHERE x > 'a'", levels("x || x AS x, y", 20));
        assert!(check(&filtered).is_err());
        for query in [
            "SELECT x FROM (SELECT x, count(*) OVER (PARTITION BY x) AS n FROM ({})) ORDER BY x",
            "SELECT x || x AS x, count(*) FROM ({}) GROUP BY x || x",
            "SELECT a.x FROM ({}) a JOIN (SELECT 1 AS z) b ON a.y = b.z",
            "SELECT 'b' AS x UNION ALL SELECT x FROM ({})",
            "SELECT 1 WHERE EXISTS (SELECT x FROM ({}))",
        ] {
            let of = |depth| query.replace("{}", &levels("x || x AS x, y", depth));
            assert!(check(&of(11)).is_ok(), "{query}");
            assert!(check(&of(20)).is_err(), "{query}");
        }
    }
}
