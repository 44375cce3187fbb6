//! Tables in and out, by the Arrow PyCapsule interface: nothing is copied, and neither side needs the other's library.

#![expect(unsafe_code, reason = "takes structures of the Arrow C data interface out of capsules")]

use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::ffi_stream::{ArrowArrayStreamReader, FFI_ArrowArrayStream};
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchIterator, StructArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods, PyDict, PyList};

use crate::border::{Fault, Result, short};

const STREAM: &CStr = c"arrow_array_stream";
const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";

/// Rows by columns. Any library that speaks Arrow takes it without copies: `pyarrow.table(t)`, `polars.DataFrame(t)`,
/// `pandas.DataFrame.from_arrow(t)`, `duckdb`.
#[pyclass(frozen, module = "arblast")]
pub struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Table {
    /// Of batches with one schema.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }

    /// The rows, in pieces.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// Position of a column.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn position(&self, name: &str) -> Result<usize> {
        self.find(name).ok_or_else(|| {
            Fault::argument(format!("a table has no column \"{name}\", only {}", self.names().join(", ")))
        })
    }

    /// Position of a column, if there is one of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.schema.fields().iter().position(|field| field.name() == name)
    }

    fn names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// Takes what an object gives by `__arrow_c_stream__` or `__arrow_c_array__`.
    pub fn import(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(table) = object.cast::<Self>() {
            let Self { schema, batches } = table.get();
            return Ok(Self { schema: Arc::clone(schema), batches: batches.clone() });
        }
        if object.hasattr("__arrow_c_stream__")? {
            let capsule = object.call_method0("__arrow_c_stream__")?;
            let pointer = pointer_in::<FFI_ArrowArrayStream>(&capsule, STREAM)?;
            // SAFETY: a capsule of this name holds such a stream (Arrow PyCapsule interface). It is moved out, and what stays is
            // marked as released, so that nobody uses it twice.
            let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr()) };
            return short(object.py(), || Self::read(stream));
        }
        if object.hasattr("__arrow_c_array__")? {
            let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
                object.call_method0("__arrow_c_array__")?.extract()?;
            let schema = pointer_in::<FFI_ArrowSchema>(&schema, SCHEMA)?;
            let array = pointer_in::<FFI_ArrowArray>(&array, ARRAY)?;
            // SAFETY: as above, for a schema and an array.
            let pair = unsafe {
                (FFI_ArrowSchema::from_raw(schema.as_ptr()), FFI_ArrowArray::from_raw(array.as_ptr()))
            };
            return short(object.py(), || Self::of_array(pair));
        }
        Err(PyTypeError::new_err(format!(
            "no table: {} has neither __arrow_c_stream__ nor __arrow_c_array__",
            object.get_type().name()?
        )))
    }

    fn read(stream: FFI_ArrowArrayStream) -> Result<Self> {
        let reader = ArrowArrayStreamReader::try_new(stream)?;
        let schema = arrow_array::RecordBatchReader::schema(&reader);
        let batches = reader.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Self { schema, batches })
    }

    fn of_array((schema, array): (FFI_ArrowSchema, FFI_ArrowArray)) -> Result<Self> {
        // SAFETY: both come from one `__arrow_c_array__`, so that one describes the other.
        let data = unsafe { from_ffi(array, &schema) }?;
        if !matches!(data.data_type(), DataType::Struct(_)) {
            return Err(Fault::argument(format!("a table is wanted, not a column of {}", data.data_type())));
        }
        if data.null_count() > 0 {
            return Err(Fault::argument("a row of a table is null as a whole"));
        }
        let batch = RecordBatch::from(StructArray::from(data));
        Ok(Self { schema: batch.schema(), batches: vec![batch] })
    }
}

/// What a capsule of a name points to.
fn pointer_in<T>(capsule: &Bound<'_, PyAny>, name: &CStr) -> PyResult<NonNull<T>> {
    Ok(capsule.cast::<PyCapsule>()?.pointer_checked(Some(name))?.cast())
}

#[pymethods]
impl Table {
    /// From columns by name: sequences of equal length of str, int or float, with None for nothing.
    #[staticmethod]
    fn from_columns(columns: &Bound<'_, PyDict>) -> PyResult<Self> {
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (name, values) in columns {
            let name: String = name.extract()?;
            let array = column(&values).map_err(|error| {
                PyValueError::new_err(format!("column \"{name}\": {}", error.value(values.py())))
            })?;
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(Fault::from)?;
        Ok(Self { schema, batches: vec![batch] })
    }

    /// Anything that speaks Arrow, as a table. Nothing is copied.
    #[staticmethod]
    fn from_arrow(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::import(object)
    }

    /// Names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<&str> {
        self.names()
    }

    fn __len__(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn __repr__(&self) -> String {
        format!("<arblast.Table of {} rows: {}>", self.__len__(), self.names().join(", "))
    }

    /// The columns by name, each a list.
    fn to_pydict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (position, name) in self.names().into_iter().enumerate() {
            let list = PyList::empty(py);
            for batch in &self.batches {
                append(&list, batch.column(position))?;
            }
            dict.set_item(name, list)?;
        }
        Ok(dict)
    }

    /// Arrow PyCapsule interface; `requested_schema` is not looked at.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches = self.batches.clone().into_iter().map(Ok);
        let reader = RecordBatchIterator::new(batches, Arc::clone(&self.schema));
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), STREAM)
    }

    /// Arrow PyCapsule interface.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.schema.as_ref()).map_err(Fault::from)?;
        PyCapsule::new_with_value(py, schema, SCHEMA)
    }
}

/// Texts if the first value is one, else whole numbers if all are, else reals.
fn column(values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let values: Vec<Bound<'_, PyAny>> = values.try_iter()?.collect::<PyResult<_>>()?;
    let given = |value: &Bound<'_, PyAny>| !value.is_none();
    let first = values.iter().find(|value| given(value));
    if first.is_none_or(|value| value.is_instance_of::<pyo3::types::PyString>()) {
        let mut texts = StringBuilder::new();
        for value in &values {
            texts.append_option(given(value).then(|| value.extract::<String>()).transpose()?);
        }
        return Ok(Arc::new(texts.finish()));
    }
    if let Ok(numbers) = values.iter().map(|value| value.extract()).collect::<PyResult<Vec<Option<i64>>>>() {
        let mut builder = Int64Builder::new();
        numbers.into_iter().for_each(|number| builder.append_option(number));
        return Ok(Arc::new(builder.finish()));
    }
    let mut builder = Float64Builder::new();
    for value in &values {
        builder.append_option(value.extract::<Option<f64>>()?);
    }
    Ok(Arc::new(builder.finish()))
}

/// Appends the values of a column of a kind that this package makes.
fn append(list: &Bound<'_, PyList>, array: &ArrayRef) -> PyResult<()> {
    let missing = |row: usize| array.is_null(row);
    macro_rules! each {
        ($array:expr) => {
            for row in 0..array.len() {
                if missing(row) {
                    list.append(list.py().None())?;
                } else {
                    list.append($array.value(row))?;
                }
            }
        };
    }
    match array.data_type() {
        DataType::Utf8 => each!(array.as_string::<i32>()),
        DataType::Int64 => each!(array.as_primitive::<Int64Type>()),
        DataType::UInt64 => each!(array.as_primitive::<UInt64Type>()),
        DataType::UInt32 => each!(array.as_primitive::<UInt32Type>()),
        DataType::Float64 => each!(array.as_primitive::<Float64Type>()),
        DataType::Float32 => each!(array.as_primitive::<Float32Type>()),
        other => {
            let text = format!("a column of {other}: hand the table to pyarrow, polars or pandas instead");
            return Err(PyValueError::new_err(text));
        }
    }
    Ok(())
}
