//! Events in Parquet files, by row groups.

#![expect(deprecated, reason = "the reader that is to replace it is only an example so far")]

use std::ops::Range;

use arblast::failure::{Failure, Result};
use arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ParquetRecordBatchStreamBuilder;
use datafusion::parquet::arrow::async_reader::ParquetObjectReader;
use datafusion::parquet::errors::ParquetError;
use events::Kind;
use futures::Stream;
use futures::TryStreamExt;

use super::folder::Place;

/// Rows of a batch.
const ROWS: usize = 8192;

type Builder = ParquetRecordBatchStreamBuilder<ParquetObjectReader>;

/// Ranges of row groups of about `split` bytes; a row group is never cut.
///
/// # Errors
/// It is no Parquet; whatever the store reports.
pub async fn cut(file: &Place, split: u64) -> Result<Vec<(u64, u64)>> {
    let metadata = open(file).await?;
    let groups = metadata.metadata().row_groups().iter();
    let (mut cuts, mut first, mut bytes) = (Vec::new(), 0, 0);
    for (end, group) in (1..).zip(groups) {
        bytes += u64::try_from(group.compressed_size()).unwrap_or(0);
        if bytes >= split {
            cuts.push((first, end));
            (first, bytes) = (end, 0);
        }
    }
    let end = metadata.metadata().num_row_groups() as u64;
    if first < end {
        cuts.push((first, end));
    }
    Ok(cuts)
}

/// The rows of some row groups, as far as there are any.
///
/// # Errors
/// As [`cut`].
pub async fn batches(
    file: &Place,
    groups: Range<u64>,
) -> Result<impl Stream<Item = Result<RecordBatch>> + use<>> {
    let opened = open(file).await?;
    let end = groups.end.min(opened.metadata().num_row_groups() as u64);
    let groups = (groups.start..end).filter_map(|group| usize::try_from(group).ok()).collect();
    let stream = opened.with_row_groups(groups).with_batch_size(ROWS).build();
    let url = file.url();
    Ok(stream.map_err(|error| failed(&url, &error))?.map_err(move |error| failed(&url, &error)))
}

async fn open(file: &Place) -> Result<Builder> {
    let (store, path) = file.object();
    let opened = Builder::new(ParquetObjectReader::new(store, path)).await;
    opened.map_err(|error| failed(&file.url(), &error))
}

fn failed(url: &str, error: &ParquetError) -> Failure {
    let kind = if matches!(error, ParquetError::External(_)) { Kind::Unavailable } else { Kind::Invalid };
    Failure::new(kind, format!("{url}: not read as Parquet: {error}"))
}
