//! Filters that a table can apply itself: what a column is compared with.

use std::collections::BTreeSet;

use datafusion::logical_expr::{BinaryExpr, Expr, Operator, expr::InList};
use datafusion::scalar::ScalarValue;

/// A condition on one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Any of these texts.
    Among(BTreeSet<String>),
    /// No value.
    Absent,
    /// Compared with a text.
    Text(Operator, String),
    /// Compared with a moment, ms since 1970.
    Moment(Operator, i64),
}

/// The column and its condition, if the filter is one of those above.
pub fn test(filter: &Expr) -> Option<(&str, Test)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) => Some((column.name(), compared(*op, value)?)),
            (Expr::Literal(value, _), Expr::Column(column)) => {
                Some((column.name(), compared(op.swap()?, value)?))
            }
            _ => either(left, *op, right),
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            let Expr::Column(column) = expr.as_ref() else { return None };
            let texts = list.iter().map(|value| match value {
                Expr::Literal(value, _) => text(value),
                _ => None,
            });
            Some((column.name(), Test::Among(texts.collect::<Option<_>>()?)))
        }
        Expr::IsNull(expr) => match expr.as_ref() {
            Expr::Column(column) => Some((column.name(), Test::Absent)),
            _ => None,
        },
        _ => None,
    }
}

/// `a = 'x' OR a = 'y'`
fn either<'e>(left: &'e Expr, op: Operator, right: &'e Expr) -> Option<(&'e str, Test)> {
    if op != Operator::Or {
        return None;
    }
    match (test(left)?, test(right)?) {
        ((one, Test::Among(mut texts)), (other, Test::Among(more))) if one == other => {
            texts.extend(more);
            Some((one, Test::Among(texts)))
        }
        _ => None,
    }
}

fn compared(op: Operator, value: &ScalarValue) -> Option<Test> {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq};
    if !matches!(op, Eq | Gt | GtEq | Lt | LtEq) {
        return None;
    }
    match text(value) {
        Some(text) if op == Eq => Some(Test::Among(BTreeSet::from([text]))),
        Some(text) => Some(Test::Text(op, text)),
        None => Some(Test::Moment(op, millis(value)?)),
    }
}

fn text(value: &ScalarValue) -> Option<String> {
    value.try_as_str().flatten().map(str::to_owned)
}

/// A moment in whole milliseconds; others are left to DataFusion.
fn millis(value: &ScalarValue) -> Option<i64> {
    let (value, per_ms) = match value {
        ScalarValue::TimestampSecond(Some(value), _) => return value.checked_mul(1000),
        ScalarValue::TimestampMillisecond(Some(value), _) => (*value, 1),
        ScalarValue::TimestampMicrosecond(Some(value), _) => (*value, 1_000),
        ScalarValue::TimestampNanosecond(Some(value), _) => (*value, 1_000_000),
        _ => return None,
    };
    (value % per_ms == 0).then(|| value / per_ms)
}

/// The conditions on one column, all of which must hold.
pub fn on<'f>(filters: &'f [Expr], column: &str) -> impl Iterator<Item = Test> + use<'f> {
    let column = column.to_owned();
    filters.iter().filter_map(test).filter(move |(name, _)| *name == column).map(|(_, test)| test)
}

/// The texts that a column may have; `None` = any.
pub fn among(filters: &[Expr], column: &str) -> Option<BTreeSet<String>> {
    let sets = on(filters, column).filter_map(|test| match test {
        Test::Among(texts) => Some(texts),
        _ => None,
    });
    sets.reduce(|one, other| one.intersection(&other).cloned().collect())
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn conditions_on_one_column_are_understood_and_others_left() {
        let known = [
            (col("a").eq(lit("x")), Test::Among(set(&["x"]))),
            (lit("x").eq(col("a")), Test::Among(set(&["x"]))),
            (col("a").in_list(vec![lit("x"), lit("y")], false), Test::Among(set(&["x", "y"]))),
            (col("a").eq(lit("x")).or(col("a").eq(lit("y"))), Test::Among(set(&["x", "y"]))),
            (col("a").is_null(), Test::Absent),
            (lit("m").lt(col("a")), Test::Text(Operator::Gt, "m".to_owned())),
            (
                col("a").gt_eq(Expr::Literal(ScalarValue::TimestampNanosecond(Some(5_000_000), None), None)),
                Test::Moment(Operator::GtEq, 5),
            ),
        ];
        for (filter, expected) in known {
            assert_eq!(test(&filter), Some(("a", expected)), "{filter}");
        }
        let left = [
            col("a").not_eq(lit("x")),
            col("a").in_list(vec![lit("x")], true),
            col("a").eq(col("b")),
            col("a").eq(lit("x")).or(col("b").eq(lit("x"))),
            col("a").eq(lit(5)),
            col("a").gt(Expr::Literal(ScalarValue::TimestampNanosecond(Some(5), None), None)),
        ];
        for filter in left {
            assert_eq!(test(&filter), None, "{filter}");
        }
    }

    #[test]
    fn conditions_are_joined() {
        let filters =
            [col("a").in_list(vec![lit("x"), lit("y")], false), col("a").eq(lit("y")), col("b").eq(lit("z"))];
        assert_eq!(among(&filters, "a"), Some(set(&["y"])));
        assert_eq!(among(&filters, "c"), None);
    }
}
