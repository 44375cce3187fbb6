use std::sync::Arc;

use ::events::{Event, EventTime};
use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, TimestampSecondArray};
use arrow::datatypes::Int32Type;

use super::*;

const EVENT: &str = r#"{"eventId":"e1","event":"buy","entityType":"user","entityId":"u1","targetEntityType":"item","targetEntityId":"i\"1","properties":{"n":1.50},"eventTime":"2026-01-02T03:04:05.678Z"}"#;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn texts_of(batch: &RecordBatch) -> Result<Vec<String>> {
    let mut all = Vec::new();
    event_texts(batch, |_, text| all.push(text.to_owned()))?;
    Ok(all)
}

#[test]
fn events_survive_the_way_there_and_back() {
    let event = Event::parse(EVENT.as_bytes(), EventTime::utc(7)).unwrap();
    let mut rows = EventRows::new(&(0..10).collect::<Vec<_>>()).unwrap();
    rows.push(&event.lend(&event.texts()));
    let batch = rows.finish().unwrap();
    assert_eq!(batch.schema(), schema::events());
    let back = Event::parse(texts_of(&batch).unwrap()[0].as_bytes(), EventTime::utc(7)).unwrap();
    assert_eq!(back, event);
    assert!(rows.is_empty());
}

#[test]
fn only_wanted_columns_are_made_and_none_keeps_the_count() {
    let event = Event::parse(EVENT.as_bytes(), EventTime::utc(7)).unwrap();
    for columns in [vec![], vec![5, 1]] {
        let mut rows = EventRows::new(&columns).unwrap();
        rows.push(&event.lend(&event.texts()));
        let batch = rows.finish().unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (1, columns.len()));
    }
}

#[test]
fn columns_of_several_types_and_names_do() {
    let kinds: DictionaryArray<Int32Type> = ["user", "user"].into_iter().collect();
    let batch = batch(vec![
        ("event", text(&[Some("buy"), None])),
        ("entityType", Arc::new(kinds)),
        ("entity_id", Arc::new(Int64Array::from(vec![7, 8]))),
        ("properties", text(&[Some(r#"{"a":1}"#), None])),
        ("event_time", Arc::new(TimestampSecondArray::from(vec![Some(0), None]))),
    ]);
    let first = r#"{"event":"buy","entityType":"user","entityId":"7","properties":{"a":1},"eventTime":"1970-01-01T00:00:00.000Z"}"#;
    assert_eq!(texts_of(&batch).unwrap(), [first, r#"{"entityType":"user","entityId":"8"}"#]);
}

#[test]
fn wrong_columns_are_named() {
    let told = |name, array| texts_of(&batch(vec![(name, array)])).unwrap_err().to_string();
    assert!(told("evnt", text(&[None])).starts_with("evnt is no column of events; they are event_id,"));
    assert_eq!(
        told("event", Arc::new(TimestampSecondArray::from(vec![1]))),
        "column event must be text, it is Timestamp(s)"
    );
}

fn counted(rows: &[(&str, &str, &str)], options: Options) -> Result<RecordBatch> {
    let column = |of: fn(&(&'static str, &'static str, &'static str)) -> &'static str,
                  rows: &[(&'static str, &'static str, &'static str)]| {
        text(&rows.iter().map(|row| Some(of(row))).collect::<Vec<_>>())
    };
    let rows: Vec<(&'static str, &'static str, &'static str)> = rows
        .iter()
        .map(|&(a, b, c)| {
            (&*String::leak(a.to_owned()), &*String::leak(b.to_owned()), &*String::leak(c.to_owned()))
        })
        .collect();
    let mut counting = Counting::new(options)?;
    counting.push(&batch(vec![
        ("indicator", column(|row| row.0, &rows)),
        ("user_id", column(|row| row.1, &rows)),
        ("item_id", column(|row| row.2, &rows)),
    ]))?;
    let counted = counting.finish(2, &|| false)?;
    counted.batch(0..counted.items())
}

#[test]
fn interactions_become_correlators() {
    let rows = [
        ("buy", "u1", "a"),
        ("buy", "u1", "b"),
        ("buy", "u2", "a"),
        ("buy", "u2", "b"),
        ("buy", "u3", "c"),
        ("view", "u3", "v"),
    ];
    let options = Options { indicators: vec!["buy".into(), "view".into()], ..Options::default() };
    let table = counted(&rows, options).unwrap();
    assert_eq!(table.schema(), schema::correlators());
    let llr = cco::llr(2, 0, 0, 1);
    let row = table.slice(0, 1);
    let shown = arrow::util::pretty::pretty_format_batches(&[row]).unwrap().to_string();
    assert!(shown.contains("| buy       | a       | 1     | b             |"), "{shown}");
    assert!(shown.contains(&format!("{llr}")), "{shown}");
}

#[test]
fn interactions_that_do_not_fit_are_refused() {
    let only = |name: &str| Options { indicators: vec![name.to_owned()], ..Options::default() };
    let error = counted(&[("view", "u", "i")], only("buy")).unwrap_err();
    assert_eq!(error.to_string(), "a row is of indicator \"view\"; to be counted are buy");
    assert!(Counting::new(Options::default()).is_err());
    let mut counting = Counting::new(only("buy")).unwrap();
    let error = counting.push(&batch(vec![("user", text(&[]))])).unwrap_err();
    assert_eq!(error.to_string(), "column user_id is missing; there are user");
}
