//! What answers are made of.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use futures::{Stream, TryStreamExt};
use tonic::{Response, Status};

/// An answer, or why there is none.
pub type Answered<T> = Result<Response<T>, Status>;
/// Where to fetch a result.
pub type Info = Answered<FlightInfo>;
/// A stream of an answer.
pub type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Batches as an answer; the columns go first.
pub fn rows(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> Out<FlightData> {
    let batches = batches.map_err(|status| FlightError::Tonic(Box::new(status)));
    let encoded = FlightDataEncoderBuilder::new().with_schema(schema).build(batches);
    Box::pin(encoded.map_err(Status::from))
}

/// What to fetch, by whom the ticket is shown.
pub fn info(schema: &Schema, ticket: Vec<u8>, descriptor: FlightDescriptor) -> Info {
    let info = FlightInfo::new().try_with_schema(schema);
    let info = info.map_err(|error| Status::internal(error.to_string()))?;
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
    Ok(Response::new(info.with_endpoint(endpoint).with_descriptor(descriptor)))
}
