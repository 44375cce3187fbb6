//! What a model holds, as record batches.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Builder, Float64Builder, RecordBatch, StringBuilder, UInt32Builder};
use arrow::error::ArrowError;
use engine::Recommendation;
use model::View;

use crate::schema;

type Result = std::result::Result<RecordBatch, ArrowError>;

/// Items of these rows, with their properties.
///
/// # Errors
/// More text than a column holds.
pub fn items(view: View<'_>, rows: Range<u32>) -> Result {
    let (mut ids, mut properties) = (StringBuilder::new(), StringBuilder::new());
    for row in rows {
        let Some(id) = view.item(row) else { break };
        ids.append_value(id);
        properties.append_option(view.document(row));
    }
    batch(schema::items(), [Arc::new(ids.finish()), Arc::new(properties.finish())])
}

/// What each ranking gives to the items of these rows.
///
/// # Errors
/// More text than a column holds.
pub fn rankings(view: View<'_>, rows: Range<u32>) -> Result {
    let (mut ids, mut rankings) = (StringBuilder::new(), StringBuilder::new());
    let mut values = Float32Builder::new();
    for row in rows {
        let Some(id) = view.item(row) else { break };
        for (ranking, value) in view.ranks(row) {
            ids.append_value(id);
            rankings.append_value(ranking);
            values.append_value(value);
        }
    }
    batch(
        schema::rankings(),
        [Arc::new(ids.finish()), Arc::new(rankings.finish()), Arc::new(values.finish())],
    )
}

/// Correlators under one indicator of the items of these rows.
///
/// # Errors
/// More text than a column holds.
pub fn correlators(view: View<'_>, indicator: &str, rows: Range<u32>) -> Result {
    let mut table = CorrelatorRows::default();
    let model = view.model();
    for row in rows {
        let Some(id) = model.item(row) else { break };
        table.push(indicator, id, model.correlators(indicator, row));
    }
    table.finish()
}

/// Recommendations, in their order.
///
/// # Errors
/// More text than a column holds.
pub fn recommendations(items: &[Recommendation], from: u32) -> Result {
    let (mut places, mut ids) = (UInt32Builder::new(), StringBuilder::new());
    let mut scores = Float32Builder::new();
    for (place, item) in (from.saturating_add(1)..).zip(items) {
        places.append_value(place);
        ids.append_value(&item.item);
        scores.append_value(item.score);
    }
    batch(
        schema::recommendations(),
        [Arc::new(places.finish()), Arc::new(ids.finish()), Arc::new(scores.finish())],
    )
}

/// Collects correlators.
#[derive(Default)]
pub(crate) struct CorrelatorRows {
    indicators: StringBuilder,
    items: StringBuilder,
    places: UInt32Builder,
    things: StringBuilder,
    llrs: Float64Builder,
}

impl CorrelatorRows {
    /// Of one item, strongest first.
    pub(crate) fn push<'a>(
        &mut self,
        indicator: &str,
        item: &str,
        correlators: impl Iterator<Item = (&'a str, f64)>,
    ) {
        for (place, (thing, llr)) in (1..).zip(correlators) {
            self.indicators.append_value(indicator);
            self.items.append_value(item);
            self.places.append_value(place);
            self.things.append_value(thing);
            self.llrs.append_value(llr);
        }
    }

    pub(crate) fn finish(mut self) -> Result {
        batch(
            schema::correlators(),
            [
                Arc::new(self.indicators.finish()) as ArrayRef,
                Arc::new(self.items.finish()),
                Arc::new(self.places.finish()),
                Arc::new(self.things.finish()),
                Arc::new(self.llrs.finish()),
            ],
        )
    }
}

fn batch<const N: usize>(schema: arrow::datatypes::SchemaRef, columns: [ArrayRef; N]) -> Result {
    RecordBatch::try_new(schema, columns.to_vec())
}
