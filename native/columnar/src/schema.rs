//! The columns of each kind of record batch. Clients depend on names, types, order and nullability.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

fn optional_text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn number(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

/// A moment, in milliseconds and UTC.
fn moment(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false)
}

macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident: $($field:expr),+;)+) => {$(
        $(#[$doc])*
        pub fn $name() -> SchemaRef {
            static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(vec![$($field),+])));
            Arc::clone(&SCHEMA)
        }
    )+};
}

schemas! {
    /// Events as they are stored. `properties` is the JSON text of an object.
    events:
    text("event_id"),
    text("event"),
    text("entity_type"),
    text("entity_id"),
    optional_text("target_entity_type"),
    optional_text("target_entity_id"),
    text("properties"),
    moment("event_time"),
    optional_text("pr_id"),
    moment("creation_time");

    /// Who did what with which item: what correlators are counted from.
    interactions:
    text("indicator"),
    text("user_id"),
    text("item_id"),
    moment("event_time");

    /// Correlators: items in the order of their ids within an indicator, `place` from 1, strongest first.
    correlators:
    text("indicator"),
    text("item_id"),
    number("place", DataType::UInt32),
    text("correlator_id"),
    number("llr", DataType::Float64);

    /// Items of a model in the order of their ids. `properties` is the JSON text of an object, null if there are none.
    items:
    text("item_id"),
    optional_text("properties");

    /// Values that rankings give to items.
    rankings:
    text("item_id"),
    text("ranking"),
    number("value", DataType::Float32);

    /// What was recommended, best first: `place` from 1; `score` is 0 for what is only popular.
    recommendations:
    number("place", DataType::UInt32),
    text("item_id"),
    number("score", DataType::Float32);
}
