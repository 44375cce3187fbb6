//! `GetFlightInfo` and `DoGet` of a model: its file, in pieces.

use std::sync::Arc;

use arrow::array::{BinaryArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::Any;
use arrow_flight::{FlightData, FlightDescriptor, FlightInfo};
use events::Json;
use events::json::{self, Object};
use prost::Message;
use stores::Generation;
use tonic::{Response, Status};

use super::Server;
use super::answers::{self, Out};
use super::client::Client;
use crate::{engines, errors};

/// Bytes of a piece.
const PIECE: usize = 1 << 20;
/// Marks a ticket as ours.
const TICKET: &str = "dev.arblast/model";

fn schema(info: &stores::ModelInfo, generation: u64) -> SchemaRef {
    let columns =
        vec![Field::new("offset", DataType::UInt64, false), Field::new("bytes", DataType::Binary, false)];
    let metadata = [
        ("digest", info.digest.clone()),
        ("bytes", info.bytes.to_string()),
        ("generation", generation.to_string()),
    ];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), value)).into();
    Arc::new(Schema::new_with_metadata(columns, metadata))
}

fn unknown() -> Status {
    Status::invalid_argument(
        "this descriptor names nothing; a model is the path [\"models\", engine] or [\"models\", engine, generation]",
    )
}

/// Where to fetch the model that a path names.
pub async fn info(
    server: &Arc<Server>,
    client: Arc<Client>,
    descriptor: FlightDescriptor,
) -> Result<Response<FlightInfo>, Status> {
    let [kind, engine, generation @ ..] = descriptor.path.as_slice() else { return Err(unknown()) };
    let number = match (kind.as_str(), generation) {
        ("models", []) => None,
        ("models", [number]) => Some(number.parse::<u64>().map_err(|_| unknown())?),
        _ => return Err(unknown()),
    };
    let engine = engine.clone();
    let found = open(server, client, engine.clone(), number).await?;
    let mut ticket = Object::new().with("engine", engine);
    ticket.push("generation", found.number);
    let ticket = Any { type_url: TICKET.to_owned(), value: ticket.to_string().into() };
    answers::info(&schema(&found.info, found.number), ticket.encode_to_vec(), descriptor)
}

/// The file that a ticket names.
pub async fn get(server: &Arc<Server>, client: Arc<Client>, ticket: &Any) -> Result<Out<FlightData>, Status> {
    let unknown = || Status::invalid_argument("this ticket is none of this server");
    if ticket.type_url != TICKET {
        return Err(unknown());
    }
    let named = json::parse(&ticket.value).map_err(|_| unknown())?;
    let engine = named.get("engine").and_then(Json::as_str).ok_or_else(unknown)?.to_owned();
    let number = named.get("generation").and_then(Json::as_i64).and_then(|number| u64::try_from(number).ok());
    let found = Arc::new(open(server, client, engine, number).await?);
    let schema = schema(&found.info, found.number);
    let columns = Arc::clone(&schema);
    let pieces = found.model.as_bytes().len().div_ceil(PIECE);
    let piece = move |number: usize| {
        let (start, bytes) = (number * PIECE, found.model.as_bytes());
        let piece = &bytes[start..bytes.len().min(start + PIECE)];
        let offset = UInt64Array::from(vec![start as u64]);
        let batch = RecordBatch::try_new(
            Arc::clone(&columns),
            vec![Arc::new(offset), Arc::new(BinaryArray::from_vec(vec![piece]))],
        );
        batch.map_err(|error| Status::internal(error.to_string()))
    };
    Ok(answers::rows(schema, futures::stream::iter((0..pieces).map(piece))))
}

async fn open(
    server: &Arc<Server>,
    client: Arc<Client>,
    engine: String,
    number: Option<u64>,
) -> Result<Generation, Status> {
    let kept = Arc::clone(server);
    let opened = server.queries.blocking(move |_| {
        let open = || {
            let sight = kept.sight(&client)?;
            let engine = engines::chosen(&sight.engines, Some(&engine))?;
            let directory =
                arblast::models::of(&sight.storage, &engine.config.app_name, &engine.config.variant);
            let number = match number {
                Some(number) => number,
                None => directory.current()?.ok_or_else(|| {
                    arblast::failure::Failure::not_found(
                        "the engine has no model yet; `arblast train` makes one",
                    )
                })?,
            };
            Ok(directory.generation(number)?)
        };
        open().map_err(|failure: arblast::failure::Failure| errors::of_failure(&failure))
    });
    opened.await
}
