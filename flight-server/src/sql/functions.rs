//! Functions: `llr` and `property` for rows, `recommend`, `similar` and `ask` as tables.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arblast::failure::Failure;
use arrow::array::{Array, AsArray, Float64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarUDF, Volatility, create_udf};
use datafusion::scalar::ScalarValue;
use engine::Query;
use events::{Json, json};

use super::rows::{Out, Part, Projects, Rows, Table, Wanted};
use super::tables::Sight;
use crate::engines;

fn wrong(text: impl Into<String>) -> DataFusionError {
    DataFusionError::Plan(text.into())
}

/// `llr(k11, k12, k21, k22)`
pub fn llr() -> ScalarUDF {
    let work = |values: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(values)?;
        let counts: Vec<_> = arrays.iter().map(|array| array.as_primitive::<Int64Type>()).collect();
        let rows = counts.first().map_or(0, |counts| counts.len());
        let of = |row: usize| -> Result<Option<f64>> {
            let mut cells = [0_u64; 4];
            for (cell, counts) in cells.iter_mut().zip(&counts) {
                if counts.is_null(row) {
                    return Ok(None);
                }
                let negative = || DataFusionError::Execution("llr: a count is less than 0".to_owned());
                *cell = u64::try_from(counts.value(row)).map_err(|_| negative())?;
            }
            let [k11, k12, k21, k22] = cells;
            Ok(Some(cco::llr(k11, k12, k21, k22)))
        };
        let ratios = (0..rows).map(of).collect::<Result<Float64Array>>()?;
        Ok(ColumnarValue::Array(Arc::new(ratios)))
    };
    create_udf("llr", vec![DataType::Int64; 4], DataType::Float64, Volatility::Immutable, Arc::new(work))
}

/// `property(json, name)`: a member of an object as text, null without one.
pub fn property() -> ScalarUDF {
    let work = |values: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(values)?;
        let texts: Vec<&StringArray> = arrays.iter().map(|array| array.as_string::<i32>()).collect();
        let [objects, names] = texts.as_slice() else { return Err(wrong("property(json, name)")) };
        let of = |(object, name): (Option<&str>, Option<&str>)| {
            let object = json::parse(object?.as_bytes()).ok()?;
            match object.get(name?)? {
                Json::Null => None,
                value => Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            }
        };
        let members: StringArray = objects.iter().zip(names.iter()).map(of).collect();
        Ok(ColumnarValue::Array(Arc::new(members)))
    };
    let arguments = vec![DataType::Utf8; 2];
    create_udf("property", arguments, DataType::Utf8, Volatility::Immutable, Arc::new(work))
}

/// Types of the parameters that stand as arguments of table functions, by their names (`$1`).
#[derive(Debug, Default)]
pub struct Noted(Mutex<BTreeMap<String, DataType>>);

impl Noted {
    /// A parameter, and the type that its place wants.
    pub fn note(&self, name: &str, kind: DataType) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), kind);
    }

    /// All of them.
    pub fn types(&self) -> BTreeMap<String, DataType> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is asked by the first argument of a table function.
#[derive(Debug, Clone, Copy)]
pub enum By {
    /// `recommend(user, n, engine)`
    User,
    /// `similar(item, n, engine)`
    Item,
    /// `ask(json, engine)`
    Json,
}

/// A table function that answers a query.
#[derive(Debug)]
pub struct Asking {
    by: By,
    sight: Arc<Sight>,
    noted: Arc<Noted>,
}

/// All table functions, by name.
pub fn tables(sight: &Arc<Sight>, noted: &Arc<Noted>) -> Vec<(&'static str, Arc<dyn TableFunctionImpl>)> {
    let asking = |by| -> Arc<dyn TableFunctionImpl> {
        Arc::new(Asking { by, sight: Arc::clone(sight), noted: Arc::clone(noted) })
    };
    vec![("recommend", asking(By::User)), ("similar", asking(By::Item)), ("ask", asking(By::Json))]
}

/// An argument: its value, or a parameter that is not bound yet.
enum Argument<T> {
    Value(T),
    Parameter,
}

impl Asking {
    fn usage(&self) -> &'static str {
        match self.by {
            By::User => "recommend(user [, n [, engine]])",
            By::Item => "similar(item [, n [, engine]])",
            By::Json => "ask(query as JSON [, engine])",
        }
    }

    fn text(&self, expr: &Expr) -> Result<Argument<String>> {
        match expr {
            Expr::Literal(value, _) if value.try_as_str().flatten().is_some() => {
                Ok(Argument::Value(value.try_as_str().flatten().unwrap_or_default().to_owned()))
            }
            Expr::Placeholder(Placeholder { id, .. }) => {
                self.noted.note(id, DataType::Utf8);
                Ok(Argument::Parameter)
            }
            other => Err(wrong(format!("{}: {other} is no text", self.usage()))),
        }
    }

    fn number(&self, expr: &Expr) -> Result<Argument<u32>> {
        let wrong = || wrong(format!("{}: n must be a whole number from 1, got {expr}", self.usage()));
        let number = match expr {
            Expr::Literal(ScalarValue::Int64(Some(n)), _) => u32::try_from(*n).ok(),
            Expr::Literal(ScalarValue::UInt64(Some(n)), _) => u32::try_from(*n).ok(),
            Expr::Placeholder(Placeholder { id, .. }) => {
                self.noted.note(id, DataType::Int64);
                return Ok(Argument::Parameter);
            }
            _ => None,
        };
        number.filter(|n| *n > 0).map(Argument::Value).ok_or_else(wrong)
    }
}

impl TableFunctionImpl for Asking {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let (subject, num, engine) = match (self.by, args.exprs()) {
            (By::User | By::Item, [subject]) => (subject, None, None),
            (By::User | By::Item, [subject, num]) => (subject, Some(num), None),
            (By::User | By::Item, [subject, num, engine]) => (subject, Some(num), Some(engine)),
            (By::Json, [subject]) => (subject, None, None),
            (By::Json, [subject, engine]) => (subject, None, Some(engine)),
            _ => return Err(wrong(format!("expected {}", self.usage()))),
        };
        let subject = self.text(subject)?;
        let num = num.map(|num| self.number(num)).transpose()?;
        let engine = engine.map(|engine| self.text(engine)).transpose()?;
        let (Argument::Value(subject), None | Some(Argument::Value(_)), None | Some(Argument::Value(_))) =
            (&subject, &num, &engine)
        else {
            return Ok(Arc::new(Table(Answers { sight: Arc::clone(&self.sight), asked: None })));
        };
        let mut query = match self.by {
            By::User => Query { user: Some(subject.clone()), ..Query::default() },
            By::Item => Query { item: Some(subject.clone()), ..Query::default() },
            By::Json => Query::parse(subject.as_bytes()).map_err(|error| wrong(format!("ask: {error}")))?,
        };
        if let Some(Argument::Value(num)) = num {
            query.num = Some(num);
        }
        let engine = match engine {
            Some(Argument::Value(engine)) => Some(engine),
            _ => self.sight.engine.clone(),
        };
        Ok(Arc::new(Table(Answers { sight: Arc::clone(&self.sight), asked: Some((query, engine)) })))
    }
}

/// The answer to a query, with the history as it is when the table is read.
#[derive(Debug)]
struct Answers {
    sight: Arc<Sight>,
    /// `None`: parameters are not bound yet.
    asked: Option<(Query, Option<String>)>,
}

impl Projects for Answers {}

impl Rows for Answers {
    fn schema(&self) -> SchemaRef {
        columnar::schema::recommendations()
    }

    fn applies(&self, _: &Expr) -> bool {
        false
    }

    fn parts(&self, _: &Wanted<'_>) -> Result<Vec<Part>> {
        let Some((query, engine)) = self.asked.clone() else {
            return Err(wrong("a parameter is not bound: bind a value to each ? or $1"));
        };
        let sight = Arc::clone(&self.sight);
        let part = move |out: &mut Out<'_>| -> std::result::Result<(), Failure> {
            let engine = engines::chosen(&sight.engines, engine.as_deref())?;
            let answer = engine.serving(&sight.storage)?.recommend(&query)?;
            out.send(columnar::recommendations(&answer.items, query.from)).map(|_| ())
        };
        Ok(vec![Arc::new(part)])
    }
}
