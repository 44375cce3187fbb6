//! `DoAction`: ask as the query server is asked, train, roll back.

use std::sync::Arc;
use std::time::Duration;

use arblast::deployable::Deployable;
use arblast::failure::{Failure, Result as Done};
use arblast::http::Right;
use arblast::jobs::{self, Order, Road};
use arrow_flight::{Action, ActionType};
use engine::Query;
use events::json::{self, Object};
use events::{EngineInstance, InstanceStatus, Json, Kind};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Server;
use super::answers::Out;
use super::client::Client;
use crate::cluster::ClusterRoad;
use crate::counting::Counter;
use crate::{engines, errors};

type Sent = arrow_flight::Result;

/// How often a train is looked at for who waits for it.
const LOOK: Duration = Duration::from_millis(200);
/// Between two words of a train that goes on.
const TOLD_EVERY: u32 = 25;

/// Name, and what it does.
const ACTIONS: [(&str, &str); 4] = [
    ("recommend", r#"{"query": {"user": "u1", "num": 4}, "engine"?: "…"}: the answer of a query server"#),
    (
        "train",
        r#"{"engine"?: "…", "batch"?: "…", "force"?: false, "wait"?: true}: the job, again and again until it has ended; needs the key of the server"#,
    ),
    (
        "cancel",
        r#"{"jobId": "…", "engine"?: "…"}: asks a train to end without a model; needs the key of the server"#,
    ),
    (
        "rollback",
        r#"{"engine"?: "…", "generation"?: 3}: serves an earlier generation again; needs the key of the server"#,
    ),
];

/// For `ListActions`.
pub fn all() -> Vec<ActionType> {
    ACTIONS
        .map(|(name, description)| ActionType {
            r#type: name.to_owned(),
            description: description.to_owned(),
        })
        .to_vec()
}

/// Does one.
pub async fn run(server: &Arc<Server>, client: Arc<Client>, action: Action) -> Result<Out<Sent>, Status> {
    let order = members(&action.body)?;
    match action.r#type.as_str() {
        "recommend" => {
            client.must(Right::Read)?;
            short(server, client, order, recommend).await
        }
        "rollback" => {
            client.must_control()?;
            short(server, client, order, rollback).await
        }
        "cancel" => {
            client.must_control()?;
            short(server, client, order, cancel).await
        }
        "train" => {
            client.must_control()?;
            train(server, client, order).await
        }
        other => {
            let known = ACTIONS.map(|(name, _)| name).join(", ");
            Err(Status::invalid_argument(format!("there is no action {other}; there are {known}")))
        }
    }
}

fn members(body: &[u8]) -> Result<Object, Status> {
    if body.is_empty() {
        return Ok(Object::new());
    }
    match json::parse(body) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(Status::invalid_argument("the body of an action is a JSON object")),
        Err(error) => {
            Err(Status::invalid_argument(format!("the body of an action is a JSON object: {error}")))
        }
    }
}

fn text<'o>(order: &'o Object, name: &str) -> Done<Option<&'o str>> {
    match order.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| wrong(name, "a string", value)),
    }
}

fn flag(order: &Object, name: &str, default: bool) -> Done<bool> {
    match order.get(name) {
        None | Some(Json::Null) => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| wrong(name, "true or false", value)),
    }
}

fn wrong(name: &str, right: &str, value: &Json) -> Failure {
    Failure::invalid(format!("{name} must be {right}, got {}", value.excerpt()))
}

fn sent(json: impl ToString) -> Sent {
    Sent { body: json.to_string().into() }
}

/// What has its answer at once.
async fn short(
    server: &Arc<Server>,
    client: Arc<Client>,
    order: Object,
    work: fn(&Server, &Client, &Object) -> Done<String>,
) -> Result<Out<Sent>, Status> {
    let kept = Arc::clone(server);
    let answer = server
        .queries
        .blocking(move |_| work(&kept, &client, &order).map_err(|failure| errors::of_failure(&failure)));
    let answer = answer.await?;
    Ok(Box::pin(futures::stream::iter([Ok(sent(answer))])))
}

fn engine(server: &Server, client: &Client, order: &Object) -> Done<Arc<Deployable>> {
    let sight = server.sight(client)?;
    engines::chosen(&sight.engines, text(order, "engine")?.or(client.engine.as_deref()))
}

fn recommend(server: &Server, client: &Client, order: &Object) -> Done<String> {
    let query = order.get("query").map_or_else(|| "{}".to_owned(), ToString::to_string);
    let query = Query::parse(query.as_bytes()).map_err(engine::Error::from)?;
    let engine = engine(server, client, order)?;
    let answer = engine.serving(server.engines.storage())?.recommend(&query)?;
    Ok(answer.to_json())
}

fn rollback(server: &Server, client: &Client, order: &Object) -> Done<String> {
    let engine = engine(server, client, order)?;
    let generation = match order.get("generation") {
        None | Some(Json::Null) => None,
        Some(value) => {
            let number = value.as_i64().and_then(|number| u64::try_from(number).ok());
            Some(number.ok_or_else(|| wrong("generation", "a whole number from 0", value))?)
        }
    };
    let models =
        arblast::models::of(server.engines.storage(), &engine.config.app_name, &engine.config.variant);
    Ok(Object::new().with("generation", models.rollback(generation)?).to_string())
}

fn cancel(server: &Server, client: &Client, order: &Object) -> Done<String> {
    let engine = engine(server, client, order)?;
    let job = text(order, "jobId")?.ok_or_else(|| Failure::invalid("jobId is missing: which train?"))?;
    let storage = server.engines.storage();
    let run = found(server, &engine, job)?;
    if run.status == InstanceStatus::Init {
        let models = arblast::models::of(storage, &engine.config.app_name, &engine.config.variant);
        if !jobs::ask_to_stop(&models, &run)? {
            return Err(Failure::invalid(format!("job {job} runs on another machine; cancel it there")));
        }
    }
    Ok(jobs::job(&run).to_string())
}

fn found(server: &Server, engine: &Deployable, job: &str) -> Done<EngineInstance> {
    let run = engine.runs(server.engines.storage())?.into_iter().find(|run| run.id == job);
    run.ok_or_else(|| Failure::not_found(format!("engine {} has no train {job}", engine.config.variant)))
}

/// Begins a train, and tells how it goes.
async fn train(server: &Arc<Server>, client: Arc<Client>, order: Object) -> Result<Out<Sent>, Status> {
    let kept = Arc::clone(server);
    let begun = server
        .queries
        .blocking(move |_| begin(&kept, &client, &order).map_err(|failure| errors::of_failure(&failure)));
    let (engine, job, waits) = begun.await?;
    if !waits {
        return Ok(Box::pin(futures::stream::iter([Ok(sent(jobs::job(&job)))])));
    }
    let (sender, receiver) = mpsc::channel(1);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        for look in 0_u32.. {
            let (looking, engine, id) = (Arc::clone(&server), Arc::clone(&engine), job.id.clone());
            let run = tokio::task::spawn_blocking(move || found(&looking, &engine, &id)).await;
            let run = run.unwrap_or_else(|_| Err(Failure::new(Kind::Internal, "a defect of the program")));
            let (told, is_end) = match run {
                Ok(run) => (Ok(sent(jobs::job(&run))), run.status != InstanceStatus::Init),
                Err(failure) => (Err(errors::of_failure(&failure)), true),
            };
            // who waits no longer leaves the train alone
            let is_told = is_end || look.is_multiple_of(TOLD_EVERY);
            if is_told && (sender.send(told).await.is_err() || is_end) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

/// The engine, the record of its train, and whether the client waits for the end.
fn begin(server: &Server, client: &Client, order: &Object) -> Done<(Arc<Deployable>, EngineInstance, bool)> {
    let engine = engine(server, client, order)?;
    let waits = flag(order, "wait", true)?;
    let Counter { threads, site } = server.limits.counter.clone();
    let order = Order {
        config: engine.config.clone(),
        config_text: engine.text.clone(),
        batch: text(order, "batch")?.unwrap_or_default().to_owned(),
        threads,
        force: flag(order, "force", false)?,
        road: site.map(|site| Arc::new(ClusterRoad::of_store(site)) as Arc<dyn Road>),
    };
    let begun = server.trains.start(server.engines.storage(), order)?;
    let variant = &engine.config.variant;
    let busy = || Failure::new(Kind::Unavailable, format!("another train of engine {variant} is running"));
    let job = begun.ok_or_else(busy)?;
    Ok((engine, job, waits))
}
