//! Functions that make much of little, within the memory of a statement. What a call makes at most is reserved before it is
//! made; what it made is counted for as long as it is there.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::arrow::ArrowMemoryPool;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunctionDefinition};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::sizes;

/// What a call makes may be uncounted up to here, as counting has its price.
const UNCOUNTED: u64 = 64 << 10;
/// Bytes that a constant may have once it is computed.
const CONSTANT_MAX: usize = 1 << 20;
/// Of an estimate of percentiles.
const CENTROIDS_MAX: i64 = 10_000;
/// Operators whose right side is a regular expression.
const PATTERNS: [Operator; 4] =
    [Operator::RegexMatch, Operator::RegexIMatch, Operator::RegexNotMatch, Operator::RegexNotIMatch];
/// Bytes of a number or a moment as text, at most.
const NUMBER: u64 = 64;
/// Bytes that a byte of a format for moments makes, at most.
const FORMATTED: u64 = 32;

/// A plan whose calls are limited.
///
/// # Errors
/// It has something that cannot be limited.
pub fn guarded(plan: LogicalPlan, memory: &Arc<dyn MemoryPool>) -> Result<LogicalPlan> {
    let guarded = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let guarded = expr.transform_up(|part| guard(part, memory))?;
            Ok(guarded.update_data(|expr| name.restore(expr)))
        })
    });
    Ok(guarded?.data)
}

fn guard(expr: Expr, memory: &Arc<dyn MemoryPool>) -> Result<Transformed<Expr>> {
    let call = |inner, makes, args| {
        let call = Guarded { inner, makes, memory: Arc::clone(memory) };
        Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(call.into()), args)))
    };
    Ok(match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) => match Makes::of(func.name()) {
            Some(makes) => {
                check_args(func.name(), &args)?;
                call(func, makes, args)
            }
            None => {
                check_args(func.name(), &args)?;
                Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let inner = Arc::new(ScalarUDF::from(Concatenation::new()));
            call(inner, Makes::Sum, vec![*left, *right])
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if PATTERNS.contains(&op) {
                check_pattern(&right)?;
            }
            Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::SimilarTo(like) => {
            check_pattern(&like.pattern)?;
            Transformed::no(Expr::SimilarTo(like))
        }
        Expr::AggregateFunction(call) => {
            check_centroids(call.func.name(), &call.params.args)?;
            Transformed::no(Expr::AggregateFunction(call))
        }
        Expr::Cast(cast) => {
            check_type(cast.field.data_type())?;
            Transformed::no(Expr::Cast(cast))
        }
        Expr::TryCast(cast) => {
            check_type(cast.field.data_type())?;
            Transformed::no(Expr::TryCast(cast))
        }
        Expr::WindowFunction(window) => {
            if let WindowFunctionDefinition::AggregateUDF(aggregate) = &window.fun {
                check_window(aggregate.name())?;
                check_centroids(aggregate.name(), &window.params.args)?;
            }
            Transformed::no(Expr::WindowFunction(window))
        }
        Expr::HigherOrderFunction(call) => {
            return Err(refused(&format!("{} with a lambda", call.func.name())));
        }
        other => Transformed::no(other),
    })
}

fn refused(what: &str) -> DataFusionError {
    DataFusionError::Plan(format!("{what} is not there"))
}

/// Types whose values are as long as the type says, or that hide how long they are.
fn check_type(kind: &DataType) -> Result<()> {
    use DataType::{
        Dictionary, FixedSizeBinary, FixedSizeList, LargeList, LargeListView, List, ListView, Map,
        RunEndEncoded, Struct, Union,
    };
    match kind {
        FixedSizeBinary(_) | FixedSizeList(..) | ListView(_) | LargeListView(_) | Dictionary(..)
        | RunEndEncoded(..) | Union(..) => {
            Err(refused(&format!("a cast to {kind}, whose values may take more than they show,")))
        }
        List(field) | LargeList(field) | Map(field, _) => check_type(field.data_type()),
        Struct(fields) => fields.iter().try_for_each(|field| check_type(field.data_type())),
        _ => Ok(()),
    }
}

/// Aggregates that give each row what all rows before it give.
fn check_window(aggregate: &str) -> Result<()> {
    if ["array_agg", "string_agg"].contains(&aggregate) {
        return Err(DataFusionError::Plan(format!(
            "{aggregate} OVER (…) is not there: each row would get all rows before it; use GROUP BY"
        )));
    }
    Ok(())
}

/// Casts that name a type in a text, and patterns.
fn check_args(function: &str, args: &[Expr]) -> Result<()> {
    match (function, args) {
        ("arrow_cast" | "arrow_try_cast", [_, Expr::Literal(kind, _), ..]) => {
            // what is no type is told by the function
            let kind = kind.try_as_str().flatten().and_then(|kind| kind.parse::<DataType>().ok());
            kind.map_or(Ok(()), |kind| check_type(&kind))
        }
        ("arrow_cast" | "arrow_try_cast", _) => Err(refused("a cast to a type that is no constant")),
        _ if function.starts_with("regexp_") => args.iter().skip(1).try_for_each(check_pattern_or(function)),
        _ => Ok(()),
    }
}

/// Each pattern is compiled, takes up to 10 MiB, and is kept for the rows that follow.
fn check_pattern(pattern: &Expr) -> Result<()> {
    let varies = |part: &Expr| {
        Ok(matches!(part, Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_)))
    };
    if pattern.exists(varies)? { Err(refused("a regular expression that is no constant")) } else { Ok(()) }
}

/// The same for what follows the text; a replacement may be anything.
fn check_pattern_or(function: &str) -> impl FnMut(&Expr) -> Result<()> {
    let mut place = 0;
    let is_replacement = move |place| place == 2 && function == "regexp_replace";
    move |arg| {
        place += 1;
        if is_replacement(place) { Ok(()) } else { check_pattern(arg) }
    }
}

/// An estimate of percentiles has room for as many centroids as it is told.
fn check_centroids(aggregate: &str, args: &[Expr]) -> Result<()> {
    if !aggregate.starts_with("approx_percentile") {
        return Ok(());
    }
    let is_modest = |arg: &Expr| match arg {
        Expr::Literal(ScalarValue::Int64(Some(count)), _) => *count <= CENTROIDS_MAX,
        Expr::Literal(value, _) => value.data_type().is_floating(),
        Expr::Placeholder(_) => true,
        other => other.any_column_refs(),
    };
    if args.iter().all(is_modest) {
        return Ok(());
    }
    Err(DataFusionError::Plan(format!(
        "{aggregate}: the fraction must be a number, and the centroids a number up to {CENTROIDS_MAX}"
    )))
}

/// How much a function makes of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Makes {
    /// All of them, one after the other.
    Sum,
    /// The first, with the others between its pieces.
    Split,
    /// All of them, with the first between them.
    Joined,
    /// The elements of the first, with the others between them.
    Listed,
    /// The first, with the third in the place of the second.
    Replaced,
    /// The first, with the third, and what it refers to, in each place that fits.
    Matched,
    /// The first, for each group of the second.
    Captured,
    /// Moments in the format of the second.
    Formatted,
}

impl Makes {
    /// `None`: no more than a few times its arguments.
    fn of(function: &str) -> Option<Self> {
        Some(match function {
            "concat" | "make_array" | "array_append" | "array_prepend" | "array_concat" | "array_union"
            | "struct" | "named_struct" | "map" | "overlay" => Self::Sum,
            "string_to_array" => Self::Split,
            "concat_ws" => Self::Joined,
            "array_to_string" | "array_replace" | "array_replace_n" | "array_replace_all" => Self::Listed,
            "replace" => Self::Replaced,
            "regexp_replace" => Self::Matched,
            "regexp_match" => Self::Captured,
            "to_char" => Self::Formatted,
            _ => return None,
        })
    }

    /// Bytes of the result, at most.
    fn most(self, call: &ScalarFunctionArgs) -> u64 {
        let rows = call.number_rows as u64;
        let args: Vec<Arg<'_>> = call.args.iter().map(|arg| Arg { value: arg, rows }).collect();
        let sum: u64 = args.iter().map(Arg::total).fold(0, u64::saturating_add);
        let first = args.first().map_or(0, Arg::total);
        let longest = |place: usize| args.get(place).map_or(0, Arg::longest);
        let places = first.saturating_add(rows);
        match self {
            // broadcast, then copied
            Self::Sum => sum.saturating_mul(2),
            Self::Split => sum.saturating_mul(6),
            Self::Joined => {
                sum.saturating_add(rows.saturating_mul(longest(0)).saturating_mul(args.len() as u64))
            }
            Self::Listed => {
                let between = longest(1).saturating_add(longest(2)).saturating_add(NUMBER);
                let elements = args.first().map_or(0, Arg::elements);
                first.saturating_add(elements.saturating_mul(between))
            }
            Self::Replaced => {
                let of = args.get(1).map_or(1, Arg::shortest).max(1);
                first.saturating_add((first / of).saturating_add(rows).saturating_mul(longest(2)))
            }
            Self::Matched => {
                let references = longest(2).saturating_mul(first);
                let references = if args.get(2).is_some_and(Arg::refers) { references } else { 0 };
                first.saturating_add(places.saturating_mul(longest(2))).saturating_add(references)
            }
            Self::Captured => places.saturating_mul(args.get(1).map_or(1, Arg::groups)),
            Self::Formatted => rows.saturating_mul(longest(1)).saturating_mul(FORMATTED).saturating_add(sum),
        }
    }
}

/// An argument of a call.
struct Arg<'a> {
    value: &'a ColumnarValue,
    rows: u64,
}

impl Arg<'_> {
    fn total(&self) -> u64 {
        match self.value {
            ColumnarValue::Array(array) => sizes::of(array.as_ref()) as u64,
            ColumnarValue::Scalar(value) => (sizes::of_scalar(value) as u64).saturating_mul(self.rows),
        }
    }

    fn longest(&self) -> u64 {
        match self.value {
            ColumnarValue::Array(array) => sizes::longest(array.as_ref()) as u64,
            ColumnarValue::Scalar(value) => sizes::of_scalar(value) as u64,
        }
    }

    /// Of a constant; nothing is known of others.
    fn shortest(&self) -> u64 {
        match self.value {
            ColumnarValue::Array(_) => 0,
            ColumnarValue::Scalar(value) => sizes::of_scalar(value) as u64,
        }
    }

    fn elements(&self) -> u64 {
        match self.value {
            ColumnarValue::Array(array) => sizes::elements(array.as_ref()) as u64,
            ColumnarValue::Scalar(value) => value
                .to_array()
                .map_or(0, |array| sizes::elements(array.as_ref()) as u64)
                .saturating_mul(self.rows),
        }
    }

    /// Groups of a pattern, and the whole.
    fn groups(&self) -> u64 {
        match self.value {
            ColumnarValue::Array(_) => self.longest(),
            ColumnarValue::Scalar(value) => {
                value.try_as_str().flatten().map_or(1, |text| text.matches('(').count() as u64 + 1)
            }
        }
    }

    /// Does a replacement refer to what was found?
    fn refers(&self) -> bool {
        match self.value {
            ColumnarValue::Array(_) => true,
            ColumnarValue::Scalar(value) => {
                value.try_as_str().flatten().is_none_or(|text| text.contains(['$', '\\']))
            }
        }
    }
}

/// A function that makes no more than there is room for.
#[derive(Debug)]
struct Guarded {
    inner: Arc<ScalarUDF>,
    makes: Makes,
    memory: Arc<dyn MemoryPool>,
}

impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Guarded {}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl Guarded {
    fn consumer(&self) -> MemoryConsumer {
        MemoryConsumer::new(self.inner.name())
    }

    /// Counts an array until it is gone.
    fn counted(&self, array: ArrayRef) -> ColumnarValue {
        array.claim(&ArrowMemoryPool::new(Arc::clone(&self.memory), self.consumer()));
        ColumnarValue::Array(array)
    }

    fn in_halves(&self, call: &ScalarFunctionArgs, most: u64) -> Result<ColumnarValue> {
        let rows = call.number_rows;
        if rows < 2 || !call.args.iter().any(|arg| matches!(arg, ColumnarValue::Array(_))) {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} would make up to {most} bytes of one row: there is not so much memory left of what the setting flightQueryBytesMax allows a statement",
                self.inner.name()
            )));
        }
        let half = |start: usize, rows: usize| {
            let arg = |arg: &ColumnarValue| match arg {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, rows)),
                scalar @ ColumnarValue::Scalar(_) => scalar.clone(),
            };
            let args = call.args.iter().map(arg).collect();
            self.invoke_with_args(ScalarFunctionArgs { args, number_rows: rows, ..call.clone() })?
                .into_array(rows)
        };
        let (one, other) = (half(0, rows / 2)?, half(rows / 2, rows - rows / 2)?);
        let room = self.consumer().register(&self.memory);
        room.try_grow(sizes::of(one.as_ref()) + sizes::of(other.as_ref()))?;
        Ok(self.counted(concat(&[one.as_ref(), other.as_ref()])?))
    }
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        self.inner.return_type(args)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(args)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let most = self.makes.most(&call);
        if most <= UNCOUNTED {
            return self.inner.invoke_with_args(call);
        }
        let room = self.consumer().register(&self.memory);
        if room.try_grow(usize::try_from(most).unwrap_or(usize::MAX)).is_err() {
            return self.in_halves(&call, most);
        }
        match self.inner.invoke_with_args(call)? {
            ColumnarValue::Array(array) => Ok(self.counted(array)),
            ColumnarValue::Scalar(value) if sizes::of_scalar(&value) > CONSTANT_MAX => {
                Err(DataFusionError::ResourcesExhausted(format!(
                    "{} makes a constant of {} bytes; {CONSTANT_MAX} are allowed",
                    self.inner.name(),
                    sizes::of_scalar(&value)
                )))
            }
            scalar => Ok(scalar),
        }
    }
}

/// The operator `||` of texts, which is no function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concatenation {
    signature: Signature,
}

impl Concatenation {
    fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Concatenation {
    fn name(&self) -> &'static str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        let [left, right] = pair(args)?;
        BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type()
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, is_nullable)))
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = pair(args)?;
        let (left, right) = BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_input_types()?;
        Ok(vec![left, right])
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = call.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { call.number_rows };
        let arrays = call.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let [left, right] = pair(&arrays)?;
        let made = concat_elements_dyn(left.as_ref(), right.as_ref())?;
        Ok(if is_constant { ScalarValue::try_from_array(&made, 0)?.into() } else { made.into() })
    }
}

fn pair<T>(args: &[T]) -> Result<[&T; 2]> {
    match args {
        [left, right] => Ok([left, right]),
        _ => Err(DataFusionError::Plan("|| has two sides".to_owned())),
    }
}
