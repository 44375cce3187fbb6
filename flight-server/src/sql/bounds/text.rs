//! How large statements may be: planning walks trees on the stack of a thread, and no limit of time or memory interrupts it.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Query, TableFactor, VisitorMut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::sql::statement::walk;

/// Largest text of a statement.
const BYTES_MAX: usize = 1 << 20;
/// Operators, brackets and words of SQL in a statement: each may be a level of its syntax tree, and what walks trees needs stack for
/// each level.
const LEVELS_MAX: usize = 2000;
/// Tables, functions and queries in brackets that a statement reads. Planning joins takes time that grows with their square, and each
/// is read by threads.
pub const TABLES_MAX: usize = 40;
/// Groupings that `CUBE`, `ROLLUP` and `GROUPING SETS` ask for, as a power of two.
const GROUPINGS_BITS_MAX: u32 = 8;

/// A statement that can be planned on the stack of a thread.
///
/// # Errors
/// It is too long or too deep.
pub fn check_size(sql: &str) -> Result<()> {
    if sql.len() > BYTES_MAX {
        return Err(DataFusionError::Plan(format!("the statement has more than {BYTES_MAX} bytes")));
    }
    let is_level = |token: &Token| match token {
        Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::Number(..)
        | Token::SingleQuotedString(_) => false,
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        _ => true,
    };
    // what is no SQL is told by who parses it
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    if tokens.iter().filter(|token| is_level(token)).count() > LEVELS_MAX {
        return Err(DataFusionError::Plan(format!(
            "the statement has more than {LEVELS_MAX} operators, brackets and words of SQL"
        )));
    }
    Ok(())
}

/// A statement whose planning ends soon.
///
/// # Errors
/// It has too many tables or groupings.
pub fn check_shape(statement: &mut Statement) -> Result<()> {
    let mut shape = Shape::default();
    if walk(statement, &mut shape).is_break() {
        return Err(DataFusionError::Plan(format!("the statement reads more than {TABLES_MAX} tables")));
    }
    if shape.grouping_bits > GROUPINGS_BITS_MAX {
        let most = 1 << GROUPINGS_BITS_MAX;
        return Err(DataFusionError::Plan(format!(
            "CUBE, ROLLUP and GROUPING SETS ask for more than {most} groupings"
        )));
    }
    Ok(())
}

#[derive(Default)]
struct Shape {
    queries: Vec<Reading>,
    grouping_bits: u32,
}

/// What a query reads, as far as it was seen.
#[derive(Default)]
struct Reading {
    tables: usize,
    /// Names in its `WITH` whose queries come next.
    coming: VecDeque<String>,
    /// Those that were seen, with what they read: each is planned for each place that names it.
    named: Vec<(String, usize)>,
}

impl Shape {
    fn read(&mut self, tables: usize) -> ControlFlow<()> {
        let Some(query) = self.queries.last_mut() else { return ControlFlow::Continue(()) };
        query.tables = query.tables.saturating_add(tables);
        if query.tables > TABLES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Bits that a number of choices takes.
fn bits(choices: usize) -> u32 {
    usize::BITS - choices.saturating_sub(1).leading_zeros()
}

impl VisitorMut for Shape {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let names = query.with.iter().flat_map(|with| &with.cte_tables).map(|named| &named.alias.name);
        let coming = names.map(|name| name.value.to_lowercase()).collect();
        self.queries.push(Reading { coming, ..Reading::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        let read = self.queries.pop().map_or(0, |query| query.tables);
        if let Some(around) = self.queries.last_mut()
            && let Some(name) = around.coming.pop_front()
        {
            around.named.push((name, read));
            return ControlFlow::Continue(());
        }
        self.read(read)
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, .. } = factor else { return self.read(1) };
        let name = name.0.last().and_then(|part| part.as_ident()).map(|name| name.value.to_lowercase());
        let mut named = self.queries.iter().rev().flat_map(|query| query.named.iter().rev());
        let read = named.find(|(other, _)| Some(other) == name.as_ref()).map_or(1, |(_, read)| *read);
        self.read(read.max(1))
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.grouping_bits = self.grouping_bits.saturating_add(match expr {
            Expr::Cube(sets) => u32::try_from(sets.len()).unwrap_or(u32::MAX),
            Expr::Rollup(sets) => bits(sets.len() + 1),
            Expr::GroupingSets(sets) => bits(sets.len()),
            _ => 0,
        });
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    fn shape(sql: &str) -> Result<()> {
        check_shape(&mut DFParser::parse_sql(sql).unwrap().pop_front().unwrap())
    }

    #[test]
    fn depth_is_counted_by_words_and_operators() {
        let deep = ["+1", " IS NULL", " IS TRUE", " XOR true", " AND true"];
        for level in deep {
            assert!(check_size(&format!("SELECT 1{}", level.repeat(LEVELS_MAX))).is_err(), "{level}");
        }
        let long = vec!["1"; 100_000].join(",");
        assert!(check_size(&format!("SELECT 1 WHERE 1 IN ({long})")).is_ok());
        assert!(check_size(&"x".repeat(BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn tables_are_counted_wherever_they_are() {
        let tables = |number: usize| vec!["t"; number].join(",");
        assert!(shape(&format!("SELECT 1 FROM {}", tables(TABLES_MAX))).is_ok());
        assert!(shape(&format!("SELECT 1 FROM {}", tables(TABLES_MAX + 1))).is_err());
        let union = vec!["SELECT 1 FROM t"; TABLES_MAX + 1].join(" UNION ALL ");
        assert!(shape(&union).is_err());
        assert!(shape(&format!("EXPLAIN {union}")).is_err());
        assert!(shape(&format!("SELECT (SELECT 1 FROM {}) FROM t", tables(TABLES_MAX))).is_err());
    }

    #[test]
    fn what_is_named_counts_wherever_it_is_named() {
        let level = |n: usize| format!("C{n} AS (SELECT a.x FROM c{} a, c{} b)", n - 1, n - 1);
        let levels = |depth: usize| {
            let named: Vec<String> = (1..=depth).map(level).collect();
            format!("WITH c0 AS (SELECT x FROM t), {} SELECT 1 FROM c{depth}", named.join(", "))
        };
        assert!(shape(&levels(5)).is_ok(), "32");
        assert!(shape(&levels(6)).is_err(), "64");
        let quoted = (1..=6).map(|n| level(n).replace(&format!("c{}", n - 1), &format!("\"c{}\"", n - 1)));
        let quoted: Vec<String> = quoted.collect();
        let quoted = format!("WITH c0 AS (SELECT x FROM t), {} SELECT 1 FROM \"c6\"", quoted.join(", "));
        assert!(shape(&quoted).is_err(), "{quoted}");
        let nested = |depth: usize| {
            (0..depth).fold("SELECT x FROM t".to_owned(), |inner, _| {
                format!("WITH c AS ({inner}) SELECT a.x FROM c a, c b")
            })
        };
        assert!(shape(&nested(5)).is_ok());
        assert!(shape(&nested(6)).is_err());
        assert!(
            shape("WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r) SELECT 1 FROM r")
                .is_ok()
        );
    }

    #[test]
    fn groupings_are_counted_together() {
        assert!(shape("SELECT 1 FROM t GROUP BY CUBE(a, b, c, d, e, f, g, h)").is_ok());
        assert!(shape("SELECT 1 FROM t GROUP BY CUBE(a, b, c, d, e, f, g, h, i)").is_err());
        assert!(
            shape("SELECT 1 FROM t GROUP BY ROLLUP(a, b, c), GROUPING SETS ((a), (b)), CUBE(a, b, c)")
                .is_ok()
        );
        assert!(shape("SELECT 1 FROM t GROUP BY CUBE(a, b, c, d, e), CUBE(a, b, c, d)").is_err());
    }
}
