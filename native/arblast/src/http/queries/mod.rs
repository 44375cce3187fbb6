//! The query server: queries one by one and in batches, status, health, reload and stop.

mod answer;
mod batch;
mod control;
mod feedback;
mod guard;
mod measured;
mod status;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use engine::Query;
use events::Kind;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::engines::{self, Engines};
use super::events::{Refusal, body::is_gzip, gzip};
use super::front::read_body;
use super::refused::Refused;
use super::{Front, page, reply, serve, termination};
use crate::clock;
use crate::deployable::Deployable;
use crate::failure::{Failure, Result};
use crate::live::Served;
use crate::serving::Serving;
use answer::{Answer, Answering, Question};
use feedback::Feedback;
use status::Statistics;

pub use answer::Limits;
pub use feedback::FailureLog;
pub use guard::{Sender, parameter, same};
pub use status::Identity;

/// How often changes by other processes are looked for.
const REFRESH: Duration = Duration::from_millis(100);

/// What clients are told of a panic.
const DEFECT: &str = "the request failed by a defect of the server";

/// For what is not posted yet when the server ends, however long its requests took.
const FLUSH_MIN: Duration = Duration::from_secs(1);

/// What the routes take and give, as OpenAPI.
const OPENAPI: &str = include_str!("openapi.json");

/// Limits of a query server, and what it does beside answering.
pub struct Settings {
    /// A longer query is refused.
    pub query_bytes_max: usize,
    /// A longer event is refused.
    pub event_bytes_max: usize,
    /// Is an event taken that is JSON by tolerance only?
    pub lenient_json: bool,
    /// A longer batch of queries is refused.
    pub batch_bytes_max: usize,
    /// Queries in a batch.
    pub batch_queries_max: usize,
    /// Limits of answering.
    pub answering: Limits,
    /// Whoever shows it may control the server; without one this machine may.
    pub server_key: Option<String>,
    /// Only who shows it may ask.
    pub query_key: Option<String>,
    /// Every answer says if it is degraded, not only those to queries that want to know.
    pub with_degraded: bool,
    /// Every answer has its prediction id, not only those to queries that want it.
    pub with_pr_id: bool,
    /// Where each prediction is posted as an event.
    pub feedback: Option<super::Target>,
    /// Where failures are posted.
    pub failure_log: Option<FailureLog>,
    /// What other commands know the server by.
    pub identity: Identity,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            query_bytes_max: 1 << 20,
            event_bytes_max: 1 << 20,
            lenient_json: true,
            batch_bytes_max: 4 << 20,
            batch_queries_max: 100,
            answering: Limits::default(),
            server_key: None,
            query_key: None,
            with_degraded: false,
            with_pr_id: false,
            feedback: None,
            failure_log: None,
            identity: Identity::default(),
        }
    }
}

/// Reads the engine file as it is now; `None` if there is none.
pub type Load = Box<dyn Fn() -> Result<Option<Deployable>> + Send + Sync>;

/// A query server.
pub struct QueryServer {
    deployed: RwLock<Option<Arc<Deployable>>>,
    load: Load,
    settings: Settings,
    answering: Answering,
    engines: Engines,
    feedback: Feedback,
    stop: Notify,
    /// Of the deployed engine.
    statistics: Statistics,
    /// Of all engines that are kept beside it.
    others: Statistics,
    kept: status::Kept,
    started_ms: i64,
}

type Server = State<Arc<QueryServer>>;

impl QueryServer {
    /// Serves what `load` gives now, and again after each `/reload`, as soon as it has a model; and the `engines` that are
    /// kept. Within a runtime.
    pub fn new(load: Load, engines: Engines, mut settings: Settings) -> Result<Self> {
        Ok(Self {
            deployed: RwLock::new(load()?.map(Arc::new)),
            load,
            answering: Answering::new(settings.answering),
            engines,
            feedback: Feedback::start(settings.feedback.take(), settings.failure_log.take()),
            settings,
            stop: Notify::new(),
            statistics: Statistics::default(),
            others: Statistics::default(),
            kept: status::Kept::default(),
            started_ms: clock::now_ms(),
        })
    }

    /// Answers requests, those to the routes of `more` too, until the process is asked to end, or `/stop`. `ready` is
    /// called when both would be heard, `live` when the deployed engine has a model.
    pub async fn run(
        self,
        mut front: Front,
        more: Router,
        ready: impl FnOnce(),
        live: impl FnOnce() + Send + 'static,
    ) -> Result<()> {
        let server = Arc::new(self);
        server.equip(&mut front);
        let terminated = termination()?;
        let stopped = Arc::clone(&server);
        let limits = front.limits();
        let until = Arc::<OnceLock<Instant>>::default();
        let end = Arc::clone(&until);
        let stop = async move {
            tokio::select! {
                () = stopped.stop.notified() => {}
                () = terminated => {}
            }
            let _ = end.set(Instant::now() + limits.stop_delay + limits.drain_time_max);
        };
        let following = tokio::spawn(follow(Arc::clone(&server), live));
        ready();
        let served = serve(front, Arc::clone(&server).router().merge(more), stop).await;
        following.abort();
        let left = until.get().map(|until| until.saturating_duration_since(Instant::now()));
        server.feedback.flush(left.unwrap_or_default().max(FLUSH_MIN)).await;
        server.engines.end();
        served
    }

    fn router(self: Arc<Self>) -> Router {
        let no_such_method =
            || async { reply::message(StatusCode::METHOD_NOT_ALLOWED, "method not allowed") };
        let nothing_here =
            || async { reply::message(StatusCode::NOT_FOUND, "nothing here; POST queries to /queries.json") };
        let no_plugins = || async { reply::message(StatusCode::NOT_FOUND, "there are no plugins") };
        let openapi = || async { reply::json(StatusCode::OK, OPENAPI.to_owned()) };
        Router::new()
            .route("/", get(status::status))
            .route("/openapi.json", get(openapi))
            .route("/status.json", get(status::report))
            .merge(page::files())
            .route("/queries.json", post(queries))
            .route("/queries.json/", post(queries))
            .route("/batch/queries.json", post(batch::queries))
            .route("/health", get(status::health))
            // of a GET, HEAD would be the same, and nobody who asks for heads expects to change anything
            .route("/reload", get(control::reload).post(control::reload).head(no_such_method))
            .route("/stop", get(control::stop).post(control::stop).head(no_such_method))
            .route("/plugins.json", get(control::plugins))
            .route("/plugins/{*name}", get(no_plugins))
            .merge(engines::router())
            .method_not_allowed_fallback(no_such_method)
            .fallback(any(nothing_here))
            .with_state(self)
    }

    /// The engine of the server's own file, if there is one.
    pub fn deployed(&self) -> Option<Arc<Deployable>> {
        self.deployed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What answers for it, if its model is open.
    fn serving(&self) -> Option<Arc<Serving>> {
        self.deployed()?.opened()
    }

    /// The deployed engine, for who asks without naming one.
    fn its_engine(&self) -> std::result::Result<Arc<Deployable>, Refused> {
        self.deployed().ok_or_else(|| {
            let message = "no engine is deployed here: name one, POST /engines/<id>/queries; or give the server an \
                           engine.json and POST /reload";
            Refused::new(StatusCode::NOT_FOUND, message)
        })
    }

    /// Opens the model of the deployed engine.
    ///
    /// # Errors
    /// `NotFound`: there is none yet. Or it cannot serve.
    pub fn open(&self) -> Result<()> {
        let Some(deployed) = self.deployed() else { return Ok(()) };
        deployed.serving(self.engines.storage()).map(|_| ())
    }

    /// Who answers for an engine just now. 503 as long as it has no model.
    pub async fn by(&self, engine: &Arc<Deployable>) -> std::result::Result<By, Refused> {
        let serving = match engine.opened() {
            Some(serving) => serving,
            None => {
                let id = engine.config.variant.clone();
                let (engine, storage) = (Arc::clone(engine), self.engines.storage().clone());
                blocking(move || engine.serving(&storage)).await.map_err(|failure| untrained(&id, failure))?
            }
        };
        let served = serving.served();
        Ok((serving, served))
    }

    /// The engines that are kept beside the one that is deployed.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    /// Limits, keys.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Counts a query to an engine that was answered or refused.
    fn count(&self, engine: &Deployable, started: Instant, is_answered: bool) {
        let is_deployed =
            self.deployed().is_some_and(|deployed| deployed.config.variant == engine.config.variant);
        let statistics = if is_deployed { &self.statistics } else { &self.others };
        statistics.count(started, is_answered);
    }

    /// Answers a query by one generation of an engine.
    async fn answer(&self, (serving, served): By, query: Query) -> std::result::Result<Answer, Refused> {
        let with_degraded = query.with_degraded || query.explain || self.settings.with_degraded;
        let question = Question { serving, served, query: Arc::new(query), with_degraded };
        self.answering.answer(question).await
    }

    /// Answers a query given as text, counts it, and gives feedback.
    pub async fn answer_text(
        &self,
        engine: &Deployable,
        by: std::result::Result<By, Refused>,
        text: &[u8],
    ) -> std::result::Result<Answer, Refused> {
        let (started, started_ms) = (Instant::now(), clock::now_ms());
        let bytes_max = self.settings.query_bytes_max;
        let answered = match parsed(text).and_then(|query| Ok((by?, query))) {
            // one of a batch may be
            _ if text.len() > bytes_max => Err(Refusal::too_large("the query", bytes_max).into()),
            Ok((by, query)) => self.predict(by, query, started_ms).await,
            Err(refused) => Err(refused),
        };
        self.count(engine, started, answered.is_ok());
        answered.inspect_err(|refused| self.feedback.failed(engine, text, refused))
    }

    async fn predict(&self, by: By, query: Query, now_ms: i64) -> std::result::Result<Answer, Refused> {
        if !self.feedback.is_on() {
            return self.answer(by, query).await;
        }
        let with_pr_id = query.with_pr_id || self.settings.with_pr_id;
        let mut answer = self.answer(by, query.clone()).await?;
        let pr_id = self.feedback.predicted(&answer, &query, now_ms);
        if let Some(pr_id) = pr_id.filter(|_| with_pr_id) {
            answer.json.truncate(answer.json.len() - 1);
            answer.json.push_str(&format!(",\"prId\":\"{pr_id}\"}}"));
        }
        Ok(answer)
    }
}

/// Who answers: an engine, and one generation of its model.
pub type By = (Arc<Serving>, Arc<Served>);

/// Not trained yet is a state of the server, not a mistake of who asks.
fn untrained(id: &str, failure: Failure) -> Refused {
    if failure.kind() == Kind::NotFound {
        Refused::busy(format!("{failure}, or POST /engines/{id}/jobs"))
    } else {
        failure.into()
    }
}

/// Takes over what other processes change, beside the queries: engine files, and the first model of the deployed engine.
async fn follow(server: Arc<QueryServer>, live: impl FnOnce()) {
    let (mut live, mut told) = (Some(live), None);
    let mut ticks = tokio::time::interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let server = Arc::clone(&server);
        let looked = blocking(move || {
            server.engines.refresh();
            match server.open() {
                Err(failure) if failure.kind() == Kind::NotFound => Ok(false),
                opened => opened.map(|()| server.deployed().is_some()),
            }
        });
        match looked.await.map_err(|failure| failure.to_string()) {
            Ok(true) => {
                if let Some(live) = live.take() {
                    live();
                }
            }
            Ok(false) => {}
            // The same reason is told once.
            Err(why) if told.as_ref() != Some(&why) => {
                tracing::error!("cannot look for changed engines: {why}");
                told = Some(why);
            }
            Err(_) => {}
        }
    }
}

async fn queries(State(server): Server, request: Request) -> Response {
    let limit = server.settings.query_bytes_max;
    let text = match admitted(&server, request, limit).await {
        Ok(text) => text,
        Err(refused) => return refused.into_response(),
    };
    let answer = async {
        let engine = server.its_engine()?;
        let by = server.by(&engine).await;
        server.answer_text(&engine, by, &text).await
    };
    answer.await.into_response()
}

/// The body of a request that may ask, inflated if it is compressed; `bytes_max` holds before and after.
pub async fn admitted(
    server: &QueryServer,
    request: Request,
    bytes_max: usize,
) -> std::result::Result<Vec<u8>, Refused> {
    server.may_ask(&request)?;
    let is_gzip = is_gzip(request.headers())?;
    let sent = read(request.into_body(), bytes_max).await?;
    if !is_gzip || sent.is_empty() {
        return Ok(sent);
    }
    Ok(blocking(move || Ok(gzip::inflate(&sent, "the body", bytes_max))).await??)
}

/// A query from its text.
fn parsed(text: &[u8]) -> std::result::Result<Query, Refused> {
    Query::parse(text).map_err(|error| Refused::from(Failure::from(engine::Error::from(error))))
}

/// All of a body, unless it is too long: then no more of it is read.
pub async fn read(body: Body, bytes_max: usize) -> std::result::Result<Vec<u8>, Refused> {
    let text = read_body::<Refused>(body, bytes_max, |_| Ok(())).await?;
    Ok(text.into())
}

/// Runs work that computes or reads files away from the threads that serve connections.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let result = tokio::task::spawn_blocking(work).await;
    result.unwrap_or_else(|_| Err(Failure::new(Kind::Internal, DEFECT)))
}
