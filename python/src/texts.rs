//! Columns of ids and other texts, of whatever type they are.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, StringArray, StringViewArray};
use arrow_array::{LargeStringArray, builder::StringBuilder};
use arrow_schema::DataType;
use model::DictionaryBuilder;

use crate::border::{Fault, Result};

/// As many texts as a dictionary likes to take at once.
pub type Batch<'a> = [&'a str; DictionaryBuilder::BATCH];

/// Texts, one a row, of a column: Utf8, LargeUtf8, Utf8View, whole numbers (as decimal text), or a dictionary of those.
pub struct Texts {
    rows: Box<dyn Rows>,
    /// Rows without a value; `None`: all have one.
    missing: Option<Vec<bool>>,
}

trait Rows: Send + Sync {
    fn get(&self, row: usize) -> &str;

    /// The texts from a row on.
    fn fill<'a>(&'a self, first: usize, batch: &mut Batch<'a>);
}

impl Texts {
    /// Of a column that [`check`]ed. Nothing is copied but numbers.
    ///
    /// # Errors
    /// The column is of another type: its name is told.
    pub fn new(array: &ArrayRef, name: &str) -> Result<Self> {
        let missing = (array.logical_null_count() > 0).then(|| {
            let nulls = array.logical_nulls();
            (0..array.len()).map(|row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))).collect()
        });
        Ok(Self { rows: rows(array, name)?, missing })
    }

    /// The text of a row, if it has one.
    pub fn get(&self, row: usize) -> Option<&str> {
        let missing = self.missing.as_ref().is_some_and(|missing| missing[row]);
        (!missing).then(|| self.rows.get(row))
    }

    /// Has every row a text?
    pub fn is_full(&self) -> bool {
        self.missing.is_none()
    }

    /// The texts from a row on, of a column that [is full](Self::is_full).
    pub fn fill<'a>(&'a self, first: usize, batch: &mut Batch<'a>) {
        self.rows.fill(first, batch);
    }
}

/// Checks everything about a column that came from elsewhere: offsets, UTF-8, keys of a dictionary. Takes a pass over it.
///
/// # Errors
/// What is wrong with it.
pub fn check(array: &ArrayRef, name: &str) -> Result<()> {
    if array.is_empty() {
        // Of a piece without rows Arrow does not know the bytes, and calls its offsets wrong.
        return Ok(());
    }
    let checked = array.to_data().validate_full();
    checked.map_err(|error| Fault::argument(format!("column \"{name}\" is malformed: {error}")))
}

/// Are the ids of such a column numbers?
pub fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_integer(),
    }
}

fn rows(array: &ArrayRef, name: &str) -> Result<Box<dyn Rows>> {
    Ok(match array.data_type() {
        DataType::Utf8 => Box::new(Plain(array.as_string::<i32>().clone())),
        DataType::LargeUtf8 => Box::new(Plain(array.as_string::<i64>().clone())),
        DataType::Utf8View => Box::new(Plain(array.as_string_view().clone())),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            if dictionary.values().is_empty() {
                return Ok(Box::new(Nothing));
            }
            Box::new(Coded { keys: dictionary.normalized_keys(), values: rows(dictionary.values(), name)? })
        }
        DataType::Null => Box::new(Nothing),
        kind if kind.is_integer() => Box::new(Plain(decimals(array))),
        other => {
            return Err(Fault::argument(format!(
                "column \"{name}\" is of type {other}: ids are texts or whole numbers"
            )));
        }
    })
}

/// A column of numbers as texts.
fn decimals(array: &ArrayRef) -> StringArray {
    macro_rules! texts {
        ($kind:ty) => {{
            let numbers = array.as_primitive::<$kind>();
            let mut texts = StringBuilder::with_capacity(numbers.len(), numbers.len() * 8);
            for number in numbers.values() {
                use std::fmt::Write;
                // A builder does not fail.
                let _ = write!(texts, "{number}");
                texts.append_value("");
            }
            texts.finish()
        }};
    }
    match array.data_type() {
        DataType::Int8 => texts!(Int8Type),
        DataType::Int16 => texts!(Int16Type),
        DataType::Int32 => texts!(Int32Type),
        DataType::UInt8 => texts!(UInt8Type),
        DataType::UInt16 => texts!(UInt16Type),
        DataType::UInt32 => texts!(UInt32Type),
        DataType::UInt64 => texts!(UInt64Type),
        _ => texts!(Int64Type),
    }
}

/// Texts as they are.
struct Plain<A>(A);

macro_rules! plain {
    ($($kind:ty),+) => {
        $(impl Rows for Plain<$kind> {
            #[inline]
            fn get(&self, row: usize) -> &str {
                self.0.value(row)
            }

            fn fill<'a>(&'a self, first: usize, batch: &mut Batch<'a>) {
                for (row, text) in (first..).zip(batch.iter_mut()) {
                    *text = self.0.value(row);
                }
            }
        })+
    };
}

plain!(StringArray, LargeStringArray, StringViewArray);

/// Texts by their places among others.
struct Coded {
    keys: Vec<usize>,
    values: Box<dyn Rows>,
}

impl Rows for Coded {
    fn get(&self, row: usize) -> &str {
        self.values.get(self.keys[row])
    }

    fn fill<'a>(&'a self, first: usize, batch: &mut Batch<'a>) {
        for (&key, text) in self.keys[first..].iter().zip(batch.iter_mut()) {
            *text = self.values.get(key);
        }
    }
}

/// Rows without a value, all of them.
struct Nothing;

impl Rows for Nothing {
    fn get(&self, _: usize) -> &str {
        ""
    }

    fn fill<'a>(&'a self, _: usize, _: &mut Batch<'a>) {}
}

/// A column of texts.
pub fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}
