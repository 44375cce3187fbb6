//! `DoPut` of events: record batches of columns, or of JSON. Each event goes through what the event API does, and is told to be
//! stored when it is durable.

use std::sync::Arc;

use arblast::clock;
use arblast::http::{Caller, Right};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow_flight::PutResult;
use arrow_flight::sql::CommandStatementIngest;
use arrow_flight::sql::server::PeekableFlightDataStream;
use events::json::Object;
use events::{Event, EventTime, Json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Server;
use super::answers::Out;
use super::client::Client;
use super::uploads::Uploads;
use crate::errors;
use crate::sql::{CATALOG, SCHEMA};

/// Events that are stored together.
const GROUP: usize = 4096;
/// Rows whose errors are told; the others are counted.
const ERRORS_MAX: usize = 100;
/// Name of the column whose rows are events as JSON.
const JSON: &str = "json";

/// What became of the rows of one batch.
#[derive(Default)]
struct Outcome {
    stored: u64,
    refused: u64,
    /// Row and why, of the first.
    errors: Vec<(usize, String)>,
}

/// Stores events by the path `["events"]`; an answer for each batch.
pub async fn events(
    server: &Arc<Server>,
    client: Arc<Client>,
    stream: PeekableFlightDataStream,
) -> Result<Out<PutResult>, Status> {
    client.must(Right::Write)?;
    client.caller()?;
    let mut stream = Box::pin(stream.into_peekable());
    let path = match stream.as_mut().peek().await {
        Some(Ok(first)) => first.flight_descriptor.as_ref().map(|descriptor| descriptor.path.clone()),
        _ => None,
    };
    if path.as_deref() != Some(&["events".to_owned()]) {
        return Err(Status::invalid_argument("events are put by the path [\"events\"]"));
    }
    let permit = Arc::clone(&server.uploads).try_acquire_owned();
    let permit = permit
        .map_err(|_| Status::unavailable("too many streams of events at the same time; try again later"))?;
    let (sender, receiver) = mpsc::channel(1);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let _permit = permit;
        let mut batches = Uploads::new(stream);
        loop {
            let answer = match batches.next().await {
                Ok(None) => return,
                Ok(Some(batch)) => store(&server, &client, batch, false).await.map(Outcome::told),
                Err(status) => Err(status),
            };
            let is_end = answer.is_err();
            if sender.send(answer).await.is_err() || is_end {
                return;
            }
        }
    });
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

/// Bulk ingestion of ADBC into the table `events`; the first row that is refused ends it.
pub async fn ingest(
    server: &Arc<Server>,
    client: Arc<Client>,
    command: &CommandStatementIngest,
    stream: PeekableFlightDataStream,
) -> Result<i64, Status> {
    client.must(Right::Write)?;
    client.caller()?;
    let named = |name: &Option<String>, wanted: &str| {
        name.as_deref().is_none_or(|name| name.is_empty() || name == wanted)
    };
    if command.table != "events" || !named(&command.catalog, CATALOG) || !named(&command.schema, SCHEMA) {
        return Err(Status::invalid_argument("rows are ingested into the table events only, in mode append"));
    }
    let permit = Arc::clone(&server.uploads).try_acquire_owned();
    let _permit = permit
        .map_err(|_| Status::unavailable("too many streams of events at the same time; try again later"))?;
    let mut batches = Uploads::new(stream.into_peekable());
    let mut stored = 0_u64;
    while let Some(batch) = batches.next().await? {
        let outcome = store(server, &client, batch, true).await;
        let outcome = outcome.map_err(|status| {
            Status::new(status.code(), format!("{} ({stored} events before it are stored)", status.message()))
        })?;
        stored += outcome.stored;
    }
    Ok(i64::try_from(stored).unwrap_or(i64::MAX))
}

/// Stores the valid events of a batch; `strict`: all or none.
async fn store(
    server: &Arc<Server>,
    client: &Arc<Client>,
    batch: RecordBatch,
    strict: bool,
) -> Result<Outcome, Status> {
    let (server, client) = (Arc::clone(server), Arc::clone(client));
    let stored = tokio::task::spawn_blocking(move || {
        let caller = client.caller()?;
        let (events, mut outcome) = admitted(&server, caller, &batch)?;
        if let (true, Some((row, why))) = (strict, outcome.errors.first()) {
            return Err(Status::invalid_argument(format!("row {row} of its batch: {why}")));
        }
        let mut events = events.into_iter();
        loop {
            // one commit for all if all or none is wanted
            let group: Vec<Event> = events.by_ref().take(if strict { usize::MAX } else { GROUP }).collect();
            if group.is_empty() {
                return Ok(outcome);
            }
            let answer = server.intake.ingest().submit_when_calm(caller.scope, group);
            let ids = server.intake.stored(answer.blocking_recv()).map_err(errors::of_refusal)?;
            outcome.stored += ids.len() as u64;
        }
    });
    stored.await.unwrap_or_else(|_| Err(Status::internal("the server failed; its log says more")))
}

/// The events of a batch that may be stored.
fn admitted(server: &Server, caller: &Caller, batch: &RecordBatch) -> Result<(Vec<Event>, Outcome), Status> {
    let (mut events, mut outcome) = (Vec::new(), Outcome::default());
    let now = EventTime::utc(clock::now_ms());
    let bytes_max = server.settings.events.event_bytes_max;
    let mut each = |row: usize, text: &str| {
        let admitted = if text.len() > bytes_max {
            Err(format!("the event has more than {bytes_max} bytes"))
        } else {
            let parsed = Event::parse_observed(text.as_bytes(), now);
            let admitted = server.intake.admit(caller, server.intake.tolerated(caller, parsed));
            admitted.map_err(|refusal| refusal.message.trim_start_matches("line 1, ").to_owned())
        };
        match admitted {
            Ok(event) => events.push(event),
            Err(why) => outcome.refuse(row, why),
        }
    };
    match batch.column_by_name(JSON) {
        Some(texts) if batch.num_columns() == 1 => {
            let texts = cast(texts, &DataType::Utf8)
                .map_err(|_| Status::invalid_argument("column json must be text: an event each"))?;
            let texts = texts.as_string::<i32>();
            for row in 0..texts.len() {
                each(row, if texts.is_null(row) { "" } else { texts.value(row) });
            }
        }
        _ => {
            columnar::event_texts(batch, each).map_err(|error| Status::invalid_argument(error.to_string()))?
        }
    }
    Ok((events, outcome))
}

impl Outcome {
    fn refuse(&mut self, row: usize, why: String) {
        self.refused += 1;
        if self.errors.len() < ERRORS_MAX {
            self.errors.push((row, why));
        }
    }

    fn told(self) -> PutResult {
        let error = |(row, why): (usize, String)| {
            Json::from(Object::new().with("row", row as u64).with("message", why))
        };
        let left_off = self.refused - self.errors.len() as u64;
        let told = Object::new()
            .with("stored", self.stored)
            .with("refused", self.refused)
            .with("errors", Json::Array(self.errors.into_iter().map(error).collect()))
            .with("errorsLeftOff", left_off);
        PutResult { app_metadata: told.to_string().into() }
    }
}
