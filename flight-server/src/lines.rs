//! `arblast flight lines`: the events of a Parquet file as JSON lines, for `arblast import`. Files are those of `pio export`
//! (properties are a structure of all that occur) and of `arblast export` (properties are JSON).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arblast::failure::{Failure, Result};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use events::{Json, json};

/// Rows in memory at a time.
const ROWS: usize = 4096;
const NEEDED: [&str; 3] = ["event", "entityType", "entityId"];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file
    path: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    print(&args.path, &mut out)?;
    written(out.flush())
}

/// # Errors
/// No Parquet, no events.
fn print(path: &Path, out: &mut dyn Write) -> Result<()> {
    let file = File::open(path).map_err(|error| Failure::io(path.display(), &error))?;
    let no_parquet =
        |error: &dyn std::fmt::Display| Failure::invalid(format!("this is no good Parquet: {error}"));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| no_parquet(&error))?;
    check(builder.schema())?;
    let holds_json =
        builder.schema().field_with_name("properties").is_ok_and(|field| is_text(field.data_type()));
    let batches = builder.with_batch_size(ROWS).build().map_err(|error| no_parquet(&error))?;
    for batch in batches {
        let lines = lines(&batch.map_err(|error| no_parquet(&error))?).map_err(|error| no_parquet(&error))?;
        if !holds_json {
            written(out.write_all(&lines))?;
            continue;
        }
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            written(writeln!(out, "{}", with_properties(line)))?;
        }
    }
    Ok(())
}

/// A line per row, without members that are null.
fn lines(batch: &RecordBatch) -> std::result::Result<Vec<u8>, ArrowError> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| Ok((field.name(), instants(column)?)));
    let batch = RecordBatch::try_from_iter(columns.collect::<std::result::Result<Vec<_>, ArrowError>>()?)?;
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&batch)?;
    writer.finish()?;
    Ok(writer.into_inner())
}

/// Times without a zone are UTC, as Spark writes them.
fn instants(column: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into()));
    if matches!(column.data_type(), DataType::Timestamp(..)) {
        cast(column, &utc)
    } else {
        Ok(Arc::clone(column))
    }
}

fn check(schema: &Schema) -> Result<()> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    match NEEDED.iter().find(|needed| !names.contains(needed)) {
        None => Ok(()),
        Some(lacking) => Err(Failure::invalid(format!(
            "these are no events: there is no column {lacking}, only {}; columns are named as the members of events",
            names.join(", ")
        ))),
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The object that the text of `properties` is; what is none stays for whoever reads the line to refuse.
fn with_properties(line: &[u8]) -> String {
    let Ok(Json::Object(mut event)) = json::parse(line) else {
        return String::from_utf8_lossy(line).into_owned();
    };
    let text = event.get("properties").and_then(Json::as_str);
    if let Some(properties) = text.and_then(|text| json::parse(text.as_bytes()).ok()) {
        event.insert("properties", properties);
    }
    event.to_string()
}

/// Nobody reads on: that is the reader's affair.
fn written(outcome: io::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::io("cannot write", &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, StructArray, TimestampMicrosecondArray};
    use arrow::datatypes::Field;
    use datafusion::parquet::arrow::ArrowWriter;

    use super::*;

    fn text(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn printed(columns: Vec<(&str, ArrayRef)>) -> Result<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut out = Vec::new();
        print(file.path(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn events(properties: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
        vec![
            ("entityId", text(&[Some("u"), Some("i")])),
            ("entityType", text(&[Some("user"), Some("item")])),
            ("event", text(&[Some("buy"), Some("$set")])),
            ("properties", properties),
            ("targetEntityId", text(&[Some("i"), None])),
            ("eventTime", Arc::new(TimestampMicrosecondArray::from(vec![1_500_000_000_123_000, 0]))),
        ]
    }

    const LINES: &str = "{\"entityId\":\"u\",\"entityType\":\"user\",\"event\":\"buy\",\"properties\":{},\"targetEntityId\":\"i\",\"eventTime\":\"2017-07-14T02:40:00.123Z\"}\n\
         {\"entityId\":\"i\",\"entityType\":\"item\",\"event\":\"$set\",\"properties\":{\"colour\":\"red\"},\"eventTime\":\"1970-01-01T00:00:00Z\"}\n";

    #[test]
    fn properties_are_a_structure_or_json() {
        let colour = Arc::new(Field::new("colour", DataType::Utf8, true));
        let structure: ArrayRef = Arc::new(StructArray::from(vec![(colour, text(&[None, Some("red")]))]));
        assert_eq!(printed(events(structure)).unwrap(), LINES);
        assert_eq!(printed(events(text(&[Some("{}"), Some(r#"{"colour":"red"}"#)]))).unwrap(), LINES);
    }

    #[test]
    fn other_tables_are_refused() {
        let error = printed(vec![("a", text(&[None])), ("event", text(&[None]))]).unwrap_err();
        assert!(error.to_string().contains("no column entityType, only a, event"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "PAR1 and nothing more").unwrap();
        let error = print(file.path(), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("this is no good Parquet: "), "{error}");
    }
}
