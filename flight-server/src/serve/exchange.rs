//! `DoExchange`: a client's own interactions in, their correlators out, without app and engine.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::FlightData;
use columnar::Counting;
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::Server;
use super::answers::{self, Out};
use super::client::Client;
use super::queries::too_long;
use super::uploads::Uploads;
use crate::{counting, errors};

/// First part of the path.
const PATH: &str = "cross-occurrence";
/// Batches that wait for the client.
const AHEAD: usize = 2;
/// For who does not take what is there the end comes with the connection.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Counts what the stream brings.
pub async fn run(
    server: &Arc<Server>,
    _client: Arc<Client>,
    mut stream: Streaming<FlightData>,
) -> Result<Out<FlightData>, Status> {
    let first = stream.message().await?.ok_or_else(usage)?;
    let path = first.flight_descriptor.as_ref().map(|descriptor| descriptor.path.clone()).unwrap_or_default();
    let options = match path.as_slice() {
        [kind] if kind == PATH => counting::default_options(),
        [kind, options] if kind == PATH => {
            counting::options(options).map_err(|failure| errors::of_failure(&failure))?
        }
        _ => return Err(usage()),
    };
    let counting = Counting::new(options).map_err(|error| errors::of_failure(&counting::failure(&error)))?;
    let turn = server.queries.turn().await?;
    let collected = timeout_at(turn.end(), collect(server, counting, first, stream)).await;
    let counting = collected.unwrap_or_else(|_| Err(too_long()))?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (queries, counter) = (Arc::clone(&server.queries), server.limits.counter.clone());
    tokio::spawn(async move {
        let batches = sender.clone();
        let counted = queries.blocking_in(turn, move |stopped| {
            let stopped = || stopped() || batches.is_closed();
            let send = |batch| counting::send(&batches, Ok(batch), &stopped);
            counter.count(counting, &stopped, send).map_err(|failure| errors::of_failure(&failure))
        });
        if let Err(status) = counted.await {
            let _ = sender.send_timeout(Err(status), LAST_WORDS).await;
        }
    });
    Ok(answers::rows(columnar::schema::correlators(), ReceiverStream::new(receiver)))
}

/// All interactions, as long as they fit.
async fn collect(
    server: &Server,
    mut counting: Counting,
    first: FlightData,
    stream: Streaming<FlightData>,
) -> Result<Counting, Status> {
    // Some clients send the descriptor in a message of its own.
    let first = (!first.data_header.is_empty()).then_some(Ok(first));
    let mut batches = Uploads::new(futures::StreamExt::chain(futures::stream::iter(first), stream));
    let bytes_max = server.queries.bytes_max();
    while let Some(batch) = batches.next().await? {
        let pushed = tokio::task::block_in_place(|| counting.push(&batch));
        pushed.map_err(|error| errors::of_failure(&counting::failure(&error)))?;
        if counting.bytes() > bytes_max {
            return Err(Status::resource_exhausted(format!(
                "the interactions take more than {bytes_max} bytes, the limit of the setting flightQueryBytesMax"
            )));
        }
    }
    Ok(counting)
}

fn usage() -> Status {
    Status::invalid_argument(format!(
        "interactions are exchanged by the path [\"cross-occurrence\", OPTIONS]; {}",
        counting::USAGE
    ))
}
