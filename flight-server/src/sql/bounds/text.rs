//! How large statements may be: planning walks trees on the stack of a thread, and no limit of time or memory interrupts it.

use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, TableFactor, VisitorMut};
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
    let _ = walk(statement, &mut shape);
    if shape.tables > TABLES_MAX {
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
    tables: usize,
    grouping_bits: u32,
}

/// Bits that a number of choices takes.
fn bits(choices: usize) -> u32 {
    usize::BITS - choices.saturating_sub(1).leading_zeros()
}

impl VisitorMut for Shape {
    type Break = ();

    fn pre_visit_table_factor(&mut self, _: &mut TableFactor) -> ControlFlow<()> {
        self.tables += 1;
        ControlFlow::Continue(())
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
