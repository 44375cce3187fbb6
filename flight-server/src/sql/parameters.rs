//! Parameters of statements: `?` in the order of the text, or `$1`. Bound values become literals of the syntax tree, so
//! that they work wherever a literal does: as arguments of table functions and behind `LIMIT`, too.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Query, TableFactor, Value, ValueWithSpan, VisitorMut,
    visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::statement::walk;

/// The values of a statement's parameters, in their order.
pub type Bound = Vec<ScalarValue>;

/// The statement with `$1`, `$2`, … for each `?`.
///
/// # Errors
/// The text does not consist of SQL tokens.
pub fn numbered(sql: &str) -> Result<String> {
    if !sql.contains('?') {
        return Ok(sql.to_owned());
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql).with_unescape(false).tokenize_with_location();
    let tokens = tokens.map_err(|error| DataFusionError::Plan(format!("SQL: {error}")))?;
    let mut marks = tokens
        .into_iter()
        .filter(|token| matches!(&token.token, Token::Placeholder(name) if name == "?"))
        .map(|token| (token.span.start.line, token.span.start.column));
    let (mut next, mut number) = (marks.next(), 0);
    let (mut line, mut column) = (1, 1);
    let mut text = String::with_capacity(sql.len());
    for letter in sql.chars() {
        if letter == '?' && next == Some((line, column)) {
            (next, number) = (marks.next(), number + 1);
            text.push_str(&format!("${number}"));
        } else {
            text.push(letter);
        }
        (line, column) = if letter == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Ok(text)
}

/// Text of the values that are bound, all places counted where they stand.
const BOUND_BYTES_MAX: usize = 4 << 20;

/// The values of a batch with one row.
///
/// # Errors
/// It has another number of rows, or too long values.
pub fn of_batch(batch: &RecordBatch) -> Result<Bound> {
    if batch.num_rows() != 1 {
        let rows = batch.num_rows();
        return Err(DataFusionError::Plan(format!(
            "one row of parameters is taken, got {rows}: execute the statement once for each"
        )));
    }
    let bound: Bound =
        batch.columns().iter().map(|values| ScalarValue::try_from_array(values, 0)).collect::<Result<_>>()?;
    if bound.iter().map(ScalarValue::size).sum::<usize>() > BOUND_BYTES_MAX {
        return Err(DataFusionError::Plan(format!("bound values have more than {BOUND_BYTES_MAX} bytes")));
    }
    Ok(bound)
}

/// Puts the values in the place of the parameters.
///
/// # Errors
/// There are fewer values than parameters; a value is of a type that has no literal.
pub fn bind(statement: &mut Statement, values: &Bound) -> Result<()> {
    let literals = values.iter().map(literal).collect::<Result<Vec<Expr>>>()?;
    let sizes: Vec<usize> = values.iter().map(ScalarValue::size).collect();
    let mut bytes = 0;
    let replace = |expr: &mut Expr| -> ControlFlow<DataFusionError> {
        let Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) = expr else {
            return ControlFlow::Continue(());
        };
        let place = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        match place.and_then(|place| literals.get(place.checked_sub(1)?)) {
            Some(literal) => {
                bytes += place.and_then(|place| sizes.get(place.checked_sub(1)?)).copied().unwrap_or(0);
                if bytes > BOUND_BYTES_MAX {
                    let text =
                        format!("bound values have more than {BOUND_BYTES_MAX} bytes where they stand");
                    return ControlFlow::Break(DataFusionError::Plan(text));
                }
                *expr = literal.clone();
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(DataFusionError::Plan(format!("no value is bound to {name}"))),
        }
    };
    match walk(statement, &mut Each(replace)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Makes texts of the queries that are arguments of a table function; gives the parameters in them.
pub fn queries_as_text(statement: &mut Statement, function: &'static str) -> BTreeSet<String> {
    let mut queries = Queries { function, parameters: BTreeSet::new() };
    let _ = walk(statement, &mut queries);
    queries.parameters
}

struct Queries {
    function: &'static str,
    parameters: BTreeSet<String>,
}

impl Queries {
    fn note(&mut self, query: &Query) {
        let _ = visit_expressions(query, |expr| {
            if let Expr::Value(value) = expr
                && let Value::Placeholder(name) = &value.value
            {
                self.parameters.insert(name.clone());
            }
            ControlFlow::<()>::Continue(())
        });
    }
}

/// The text of a query. The printer takes two quotes in a row for one that is escaped, so all are doubled before.
fn written(query: &mut Query) -> String {
    let _ = visit_expressions_mut(query, |expr| {
        if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = expr {
            *text = text.replace('\'', "''");
        }
        ControlFlow::<()>::Continue(())
    });
    query.to_string()
}

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(args), .. } = factor
            && name.to_string().eq_ignore_ascii_case(self.function)
        {
            for argument in &mut args.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument
                    && let Expr::Subquery(query) = argument
                {
                    self.note(query);
                    *argument = Expr::Value(Value::SingleQuotedString(written(query)).into());
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Changes expressions one after the other.
struct Each<F>(F);

impl<B, F: FnMut(&mut Expr) -> ControlFlow<B>> VisitorMut for Each<F> {
    type Break = B;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<B> {
        (self.0)(expr)
    }
}

/// A value as it would be written.
fn literal(value: &ScalarValue) -> Result<Expr> {
    let plain = |value: Value| Ok(Expr::Value(value.into()));
    if value.is_null() {
        return plain(Value::Null);
    }
    if let Some(text) = value.try_as_str().flatten() {
        return plain(Value::SingleQuotedString(text.to_owned()));
    }
    match value.data_type() {
        DataType::Boolean => plain(Value::Boolean(*value == ScalarValue::Boolean(Some(true)))),
        kind if kind.is_integer() || kind.is_floating() => {
            let text = value.to_string();
            // a sign is an operator of SQL, and what is no number has no literal
            if text.bytes().all(|byte| byte.is_ascii_digit() || b".e-+".contains(&byte))
                && !text.starts_with('-')
            {
                plain(Value::Number(text, false))
            } else {
                cast(&text, &kind)
            }
        }
        kind @ (DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(..)
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Decimal128(..)) => {
            let array = value.to_array()?;
            let text = arrow::compute::cast(&array, &DataType::Utf8)?;
            cast(ScalarValue::try_from_array(&text, 0)?.try_as_str().flatten().unwrap_or_default(), &kind)
        }
        kind => Err(DataFusionError::Plan(format!("a parameter of type {kind} is not taken"))),
    }
}

fn cast(text: &str, kind: &DataType) -> Result<Expr> {
    let kind = kind.to_string().replace('\'', "''");
    let sql = format!("arrow_cast('{}', '{kind}')", text.replace('\'', "''"));
    let parsed =
        Parser::new(&GenericDialect {}).try_with_sql(&sql).and_then(|mut parser| parser.parse_expr());
    parsed.map_err(|error| DataFusionError::Plan(format!("a parameter cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    fn bound(sql: &str, values: Bound) -> Result<String> {
        let mut statement = DFParser::parse_sql(&numbered(sql)?)?.pop_front().unwrap();
        bind(&mut statement, &values)?;
        Ok(statement.to_string())
    }

    #[test]
    fn question_marks_are_numbered_outside_of_texts() {
        let sql = "SELECT '?', \"?\", a -- ?\nFROM t WHERE b = ? AND c = 'it''s ?' LIMIT ?";
        assert_eq!(
            numbered(sql).unwrap(),
            "SELECT '?', \"?\", a -- ?\nFROM t WHERE b = $1 AND c = 'it''s ?' LIMIT $2"
        );
    }

    #[test]
    fn the_rest_of_a_statement_stays_as_it_is() {
        let sql = "SELECT E'a\\\\b', E'it\\'s', $$?$$, 'ü',\t?,\r\n ? -- ?";
        assert_eq!(numbered(sql).unwrap(), sql.replacen("\t?", "\t$1", 1).replacen(" ? ", " $2 ", 1));
    }

    #[test]
    fn bound_values_count_where_they_stand() {
        let long = vec![ScalarValue::from("x".repeat(1 << 20).as_str())];
        assert!(bound("SELECT $1, $1", long.clone()).is_ok());
        assert!(bound("SELECT $1, $1, $1, $1", long).unwrap_err().to_string().contains("bytes"));
    }

    #[test]
    fn values_become_literals_everywhere() {
        let values = vec![
            ScalarValue::from("it's"),
            ScalarValue::from(3_i64),
            ScalarValue::Int64(Some(-4)),
            ScalarValue::TimestampMillisecond(Some(0), None),
            ScalarValue::Utf8(None),
        ];
        let sql = "SELECT * FROM recommend($1, $2) WHERE a > $3 AND b < $4 AND c = $5 LIMIT $2";
        assert_eq!(
            bound(sql, values).unwrap(),
            "SELECT * FROM recommend('it''s', 3) WHERE a > arrow_cast('-4', 'Int64') AND \
             b < arrow_cast('1970-01-01T00:00:00', 'Timestamp(ms)') AND c = NULL LIMIT 3"
        );
        assert!(bound("SELECT ?", vec![]).unwrap_err().to_string().contains("$1"));
        assert!(bound("SELECT 1", vec![ScalarValue::from("x")]).is_ok());
    }

    #[test]
    fn queries_become_texts_and_their_parameters_are_known() {
        let sql = "SELECT * FROM Cross_Occurrence((SELECT a FROM t WHERE b = 'x' AND c > $2), '{}') JOIN other((SELECT 1)) ON true";
        let mut parsed = DFParser::parse_sql(sql).unwrap().pop_front().unwrap();
        assert_eq!(queries_as_text(&mut parsed, "cross_occurrence"), ["$2".to_owned()].into());
        let text = parsed.to_string();
        assert!(text.contains("other((SELECT 1))"), "{text}");
        assert!(
            text.contains("Cross_Occurrence('SELECT a FROM t WHERE b = ''x'' AND c > $2', '{}')"),
            "{text}"
        );
    }

    #[test]
    fn quotes_survive_being_written() {
        let parse = |sql: &str| {
            Parser::new(&GenericDialect {})
                .try_with_sql(sql)
                .and_then(|mut parser| parser.parse_query())
                .unwrap()
        };
        for value in ["it's", "it''s", "'", "''", "'''x''", "a'' OR true --"] {
            let literal = format!("SELECT '{}'", value.replace('\'', "''"));
            let again = written(&mut parse(&literal));
            assert_eq!(again, literal, "{value}");
        }
    }
}
