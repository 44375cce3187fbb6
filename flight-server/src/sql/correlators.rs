//! `top_correlators(correlator_id, llr, k)`: an aggregate that keeps the k strongest, with their LLR.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Accumulator, AggregateUDF, Volatility, create_udaf};
use datafusion::scalar::ScalarValue;

/// More per group would be no summary.
const K_MAX: i64 = 10_000;

/// The function.
pub fn top_correlators() -> AggregateUDF {
    let state = vec![
        DataType::new_list(DataType::Utf8, true),
        DataType::new_list(DataType::Float64, true),
        DataType::Int64,
    ];
    create_udaf(
        "top_correlators",
        vec![DataType::Utf8, DataType::Float64, DataType::Int64],
        Arc::new(DataType::List(element())),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::<Strongest>::default())),
        Arc::new(state),
    )
}

fn columns() -> Fields {
    Fields::from(vec![
        Field::new("correlator_id", DataType::Utf8, false),
        Field::new("llr", DataType::Float64, false),
    ])
}

fn element() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(columns()), true))
}

/// The k strongest so far: by LLR, then by id.
#[derive(Debug, Default)]
struct Strongest {
    kept: Vec<(f64, String)>,
    k: usize,
    bytes: usize,
}

fn order(one: (f64, &str), other: (f64, &str)) -> Ordering {
    other.0.total_cmp(&one.0).then_with(|| one.1.cmp(other.1))
}

impl Strongest {
    fn limit(&mut self, k: i64) -> Result<()> {
        if !(1..=K_MAX).contains(&k) {
            return Err(DataFusionError::Execution(format!(
                "top_correlators: k must be 1 to {K_MAX}, got {k}"
            )));
        }
        self.k = usize::try_from(k).unwrap_or(usize::MAX);
        Ok(())
    }

    fn add(&mut self, llr: f64, id: &str) {
        let place =
            self.kept.partition_point(|(kept, name)| order((*kept, name), (llr, id)) == Ordering::Less);
        if place >= self.k {
            return;
        }
        self.bytes += id.len();
        self.kept.insert(place, (llr, id.to_owned()));
        if let Some((_, last)) = (self.kept.len() > self.k).then(|| self.kept.pop()).flatten() {
            self.bytes -= last.len();
        }
    }

    fn add_all(&mut self, ids: &StringArray, llrs: &Float64Array) {
        for (id, llr) in ids.iter().zip(llrs.iter()) {
            if let (Some(id), Some(llr)) = (id, llr) {
                self.add(llr, id);
            }
        }
    }

    fn arrays(&self) -> (StringArray, Float64Array) {
        let ids = self.kept.iter().map(|(_, id)| Some(id.as_str())).collect();
        (ids, self.kept.iter().map(|(llr, _)| Some(*llr)).collect())
    }
}

impl Accumulator for Strongest {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [ids, llrs, k] = values else { return Ok(()) };
        let k = k.as_primitive::<Int64Type>();
        if k.is_empty() {
            return Ok(());
        }
        self.limit(if k.is_null(0) { 0 } else { k.value(0) })?;
        self.add_all(ids.as_string::<i32>(), llrs.as_primitive::<Float64Type>());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let (ids, llrs) = self.arrays();
        let rows = ids.len();
        let structs = StructArray::try_new(columns(), vec![Arc::new(ids), Arc::new(llrs)], None)?;
        let list =
            ListArray::try_new(element(), OffsetBuffer::from_lengths([rows]), Arc::new(structs), None)?;
        Ok(ScalarValue::List(Arc::new(list)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.kept.capacity() * size_of::<(f64, String)>() + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (ids, llrs) = self.arrays();
        let list = |kind: DataType, values: ArrayRef| -> Result<ScalarValue> {
            let field = Arc::new(Field::new("item", kind, true));
            let offsets = OffsetBuffer::from_lengths([values.len()]);
            Ok(ScalarValue::List(Arc::new(ListArray::try_new(field, offsets, values, None)?)))
        };
        let k = i64::try_from(self.k).unwrap_or(K_MAX);
        Ok(vec![
            list(DataType::Utf8, Arc::new(ids))?,
            list(DataType::Float64, Arc::new(llrs))?,
            ScalarValue::Int64(Some(k)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [ids, llrs, k] = states else { return Ok(()) };
        let (ids, llrs) = (ids.as_list::<i32>(), llrs.as_list::<i32>());
        for row in 0..ids.len() {
            let k = k.as_primitive::<Int64Type>().value(row);
            // a group without rows has no k
            if k > 0 && ids.is_valid(row) && llrs.is_valid(row) {
                self.limit(k)?;
                let (ids, llrs) = (ids.value(row), llrs.value(row));
                self.add_all(ids.as_string::<i32>(), llrs.as_primitive::<Float64Type>());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_stay_in_any_order_and_merged() {
        let mut strongest = Strongest::default();
        strongest.limit(3).unwrap();
        for (llr, id) in [(1.0, "a"), (3.0, "c"), (3.0, "b"), (2.0, "d"), (0.5, "e")] {
            strongest.add(llr, id);
        }
        let kept: Vec<_> = strongest.kept.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(kept, ["b", "c", "d"]);
        assert_eq!(strongest.bytes, 3);
        let mut merged = Strongest::default();
        let states: Vec<ArrayRef> =
            strongest.state().unwrap().iter().map(|value| value.to_array().unwrap()).collect();
        merged.merge_batch(&states).unwrap();
        assert_eq!(merged.kept, strongest.kept);
        assert!(Strongest::default().limit(0).is_err());
    }
}
