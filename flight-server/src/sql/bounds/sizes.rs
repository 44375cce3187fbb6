//! How many bytes values have, wherever they lie: what they would take if somebody copied them.

use arrow::array::{Array, ArrayRef, AsArray, ByteView, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::{ArrowNativeType, ByteArrayType, ByteViewType, DataType};
use datafusion::common::ScalarValue;

/// Of a batch.
pub fn of_batch(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| of(column.as_ref())).sum()
}

/// Of an array, without its flags for NULL.
pub fn of(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8 => of_bytes(array.as_string::<i32>()),
        DataType::LargeUtf8 => of_bytes(array.as_string::<i64>()),
        DataType::Binary => of_bytes(array.as_binary::<i32>()),
        DataType::LargeBinary => of_bytes(array.as_binary::<i64>()),
        DataType::Utf8View => of_views(array.as_string_view()),
        DataType::BinaryView => of_views(array.as_binary_view()),
        DataType::List(_) => of_lists(array.as_list::<i32>()),
        DataType::LargeList(_) => of_lists(array.as_list::<i64>()),
        DataType::Map(..) => {
            let map = array.as_map();
            let (start, end) = (map.offsets()[0].as_usize(), map.offsets()[map.len()].as_usize());
            (map.len() + 1) * 4 + of(&map.entries().slice(start, end - start))
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| of(column.as_ref())).sum(),
        kind => match kind.primitive_width() {
            Some(width) => array.len() * width,
            None if *kind == DataType::Boolean => array.len().div_ceil(8),
            None => array.get_buffer_memory_size(),
        },
    }
}

/// Of the longest value, at most: exact for text.
pub fn longest(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8 => longest_bytes(array.as_string::<i32>()),
        DataType::LargeUtf8 => longest_bytes(array.as_string::<i64>()),
        DataType::Utf8View => array.as_string_view().iter().flatten().map(str::len).max().unwrap_or(0),
        _ => of(array),
    }
}

/// Elements of all lists, and of the lists in them.
pub fn elements(array: &dyn Array) -> usize {
    fn of_lists<O: OffsetSizeTrait>(lists: &arrow::array::GenericListArray<O>) -> usize {
        let values = values(lists);
        values.len() + if values.data_type().is_list() { elements(values.as_ref()) } else { 0 }
    }
    match array.data_type() {
        DataType::List(_) => of_lists(array.as_list::<i32>()),
        DataType::LargeList(_) => of_lists(array.as_list::<i64>()),
        _ => array.len(),
    }
}

/// Of a single value.
pub fn of_scalar(value: &ScalarValue) -> usize {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_ref().map_or(0, String::len)
        }
        ScalarValue::Binary(bytes) | ScalarValue::LargeBinary(bytes) | ScalarValue::BinaryView(bytes) => {
            bytes.as_ref().map_or(0, Vec::len)
        }
        ScalarValue::List(list) => of(list.as_ref()),
        ScalarValue::LargeList(list) => of(list.as_ref()),
        ScalarValue::Struct(fields) => of(fields.as_ref()),
        ScalarValue::Map(map) => of(map.as_ref()),
        other => other.data_type().primitive_width().unwrap_or_else(|| other.size()),
    }
}

fn of_bytes<T: ByteArrayType>(array: &arrow::array::GenericByteArray<T>) -> usize {
    let offsets = array.value_offsets();
    let text = offsets.last().zip(offsets.first()).map_or(0, |(last, first)| (*last - *first).as_usize());
    text + size_of_val(offsets)
}

fn of_views<T: ByteViewType>(array: &arrow::array::GenericByteViewArray<T>) -> usize {
    array.views().iter().map(|view| size_of::<u128>() + ByteView::from(*view).length as usize).sum()
}

fn of_lists<O: OffsetSizeTrait>(array: &arrow::array::GenericListArray<O>) -> usize {
    size_of_val(array.value_offsets()) + of(values(array).as_ref())
}

/// Those of its lists, and no others that it has by being a slice.
fn values<O: OffsetSizeTrait>(lists: &arrow::array::GenericListArray<O>) -> ArrayRef {
    let offsets = lists.value_offsets();
    let ends = offsets.first().zip(offsets.last()).map(|(first, last)| (first.as_usize(), last.as_usize()));
    let (first, last) = ends.unwrap_or_default();
    lists.values().slice(first, last - first)
}

fn longest_bytes<T: ByteArrayType>(array: &arrow::array::GenericByteArray<T>) -> usize {
    let offsets = array.value_offsets();
    offsets.windows(2).map(|pair| (pair[1] - pair[0]).as_usize()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, ListArray, StringArray, StringViewArray, StructArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn a_slice_has_what_is_in_it() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("abc"), None, Some("defghijklmnopqrst")]));
        assert_eq!(of(&texts), 20 + 16);
        assert_eq!((of(&texts.slice(0, 1)), longest(&texts), longest(&texts.slice(0, 2))), (3 + 8, 17, 3));
        let views: ArrayRef = Arc::new(StringViewArray::from(vec!["abc", "defghijklmnopqrst"]));
        assert_eq!((of(&views), longest(&views)), (20 + 32, 17));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), Some(2), Some(3)]),
            Some(vec![Some(4)]),
        ]));
        assert_eq!((of(&lists), of(&lists.slice(1, 1))), (16 + 12, 4 + 8));
        assert_eq!((elements(&lists), elements(&lists.slice(1, 1))), (4, 1));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let both = StructArray::try_from(vec![("a", numbers), ("b", texts)]).unwrap();
        assert_eq!((of(&both), of(&both.slice(0, 1))), (24 + 36, 8 + 11));
        assert_eq!(of_scalar(&ScalarValue::from("four")), 4);
    }
}
