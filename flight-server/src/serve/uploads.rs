//! Record batches that clients send: read without trust.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::ipc::{self, MessageHeader};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use tonic::Status;

/// Rows of a batch.
const ROWS_MAX: i64 = 1 << 20;
/// Elements of a nested column.
const ELEMENTS_MAX: i64 = 1 << 24;
/// Text of a batch once its values stand one by one: dictionaries and views may name one value many times.
const TEXT_BYTES_MAX: usize = 64 << 20;
/// A client that sends nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The batches of a client's stream.
pub struct Uploads(FlightRecordBatchStream);

impl Uploads {
    /// Of these messages.
    pub fn new(messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static) -> Self {
        let checked = messages.map(|message| {
            let message = message.map_err(|status| FlightError::Tonic(Box::new(status)))?;
            check(&message).map_err(|status| FlightError::Tonic(Box::new(status)))?;
            Ok(message)
        });
        Self(FlightRecordBatchStream::new_from_flight_data(checked))
    }

    /// The next one; `None` after the last.
    ///
    /// # Errors
    /// It is unreadable or too large, or nothing came for too long.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Status> {
        let read = AssertUnwindSafe(self.0.try_next()).catch_unwind();
        let silent = || Status::deadline_exceeded("nothing was sent for a minute");
        let read = tokio::time::timeout(SILENCE_MAX, read).await.map_err(|_| silent())?;
        let batch = match read {
            Err(_) => return Err(unreadable("its parts contradict each other")),
            Ok(Err(FlightError::Tonic(status))) => return Err(*status),
            Ok(Err(error)) => return Err(unreadable(error)),
            Ok(Ok(batch)) => batch,
        };
        if let Some(batch) = &batch {
            let bytes: usize = batch.columns().iter().map(text_bytes).sum();
            if bytes > TEXT_BYTES_MAX {
                return Err(too_large("its texts have more than 64 MiB"));
            }
        }
        Ok(batch)
    }
}

fn unreadable(why: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("this is no record batch: {why}"))
}

fn too_large(why: &str) -> Status {
    Status::invalid_argument(format!("the record batch is too large: {why}; send smaller ones"))
}

/// Refuses what would take much more memory than it has bytes.
fn check(message: &FlightData) -> Result<(), Status> {
    if message.data_header.is_empty() {
        return Ok(());
    }
    let header = ipc::root_as_message(&message.data_header).map_err(unreadable)?;
    let batch = match header.header_type() {
        MessageHeader::RecordBatch => header.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            header.header_as_dictionary_batch().and_then(|dictionary| dictionary.data())
        }
        _ => return Ok(()),
    };
    let batch = batch.ok_or_else(|| unreadable("a header without its batch"))?;
    if batch.compression().is_some() {
        return Err(Status::invalid_argument("compressed record batches are not taken: send them plain"));
    }
    if !(0..=ROWS_MAX).contains(&batch.length()) {
        return Err(too_large("it has more than 1048576 rows"));
    }
    let mut nodes = batch.nodes().into_iter().flatten();
    if nodes.any(|node| !(0..=ELEMENTS_MAX).contains(&node.length())) {
        return Err(too_large("a column has more than 16777216 elements"));
    }
    Ok(())
}

/// Bytes of the values of a column whose rows may share them, each row for itself. Others have no more than their message.
fn text_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().lengths().map(|length| length as usize).sum(),
        DataType::BinaryView => column.as_binary_view().lengths().map(|length| length as usize).sum(),
        DataType::Dictionary(..) => of_dictionary(column.as_any_dictionary()),
        _ => 0,
    }
}

fn of_dictionary(column: &dyn arrow::array::AnyDictionaryArray) -> usize {
    let values = column.values();
    let Ok(texts) = cast(values, &DataType::Utf8View) else { return 0 };
    let lengths: Vec<u32> = texts.as_string_view().lengths().collect();
    let of_key = |key: &usize| lengths.get(*key).map_or(0, |length| *length as usize);
    if lengths.is_empty() { 0 } else { column.normalized_keys().iter().map(of_key).sum() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, StringArray, StringViewArray};
    use arrow::datatypes::Int8Type;

    use super::*;

    #[test]
    fn values_count_as_often_as_they_are_named() {
        let long = "x".repeat(1000);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![long.as_str()]));
        assert_eq!(text_bytes(&texts), 0);
        let keys = arrow::array::Int8Array::from(vec![Some(0); 50]);
        let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::new(keys, Arc::clone(&texts)));
        assert_eq!(text_bytes(&dictionary), 50_000);
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![long.as_str(); 3]));
        assert_eq!(text_bytes(&views), 3000);
        let nothing = arrow::array::Int8Array::from(vec![None; 3]);
        let nothing = DictionaryArray::<Int8Type>::new(nothing, Arc::new(StringArray::new_null(0)));
        assert_eq!(text_bytes(&(Arc::new(nothing) as ArrayRef)), 0);
    }
}
