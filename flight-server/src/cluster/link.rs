//! A driver's or executor's connection to a scheduler.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arblast::failure::{Failure, Result};
use axum::body::{Body, to_bytes};
use ballista_core::config::{
    BALLISTA_ADAPTIVE_PLANNER_ENABLED, BALLISTA_JOB_NAME, BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK,
};
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, ExecuteQueryParams, GetJobStatusParams, KeyValuePair, execute_query_params,
    execute_query_result, job_status,
};
use ballista_core::version::insert_version_header;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use events::json::{self, Object};
use events::{Json, Kind};
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::codec::Codec;
use super::identity::Identity;

/// Where a scheduler tells of itself and its executors.
pub const ABOUT: &str = "/arblast";
/// What a message between processes may have at most.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);

/// A scheduler.
#[derive(Clone)]
pub struct Link {
    /// `host:port`
    address: String,
    /// Ballista's name for what a client does one after the other.
    session: String,
    scheduler: SchedulerGrpcClient<Channel>,
}

/// What a scheduler tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Ids of executors that were heard of lately.
    pub executors: BTreeSet<String>,
    /// Cores of all of them together.
    pub vcores: usize,
}

impl Cluster {
    /// The answer at [`ABOUT`]: executors as (id, address, cores).
    pub fn to_json(identity: &Identity, executors: &[(String, String, u32)]) -> Object {
        let described = |(id, address, vcores): &(String, String, u32)| {
            Json::from(
                Object::new()
                    .with("id", id.as_str())
                    .with("address", address.as_str())
                    .with("vcores", *vcores),
            )
        };
        let executors = Json::Array(executors.iter().map(described).collect());
        Object::new().with("identity", identity.to_json()).with("executors", executors)
    }

    fn from_json(json: &Json) -> Option<Self> {
        let executors = json.get("executors")?.as_array()?;
        let id = |executor: &Json| executor.get("id")?.as_str().map(str::to_owned);
        let vcores = |executor: &Json| usize::try_from(executor.get("vcores")?.as_i64()?).ok();
        Some(Self {
            executors: executors.iter().map(id).collect::<Option<_>>()?,
            vcores: executors.iter().map(vcores).sum::<Option<_>>()?,
        })
    }
}

/// What has become of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits or runs.
    Running,
    /// It has ended well.
    Ended,
    /// It has failed, as the scheduler says.
    Failed(String),
    /// The scheduler does not know it: it was started anew, or has not begun with the job.
    Unknown,
}

impl Link {
    /// To a scheduler of this build at `host:port`.
    ///
    /// # Errors
    /// `Kind::Unavailable`: nobody answers; `Kind::Version`: it is of another build.
    pub async fn open(address: &str) -> Result<Self> {
        let endpoint = endpoint(address)?;
        let scheduler = SchedulerGrpcClient::new(endpoint.connect_lazy())
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let session = format!("arblast-{:016x}", random()?);
        let link = Self { address: address.to_owned(), session, scheduler };
        link.cluster().await?;
        Ok(link)
    }

    /// The executors that there are now.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn cluster(&self) -> Result<Cluster> {
        let address = &self.address;
        let gone = |error: &dyn std::fmt::Display| {
            let text = format!("cannot reach the scheduler at {address}: {error}");
            Failure::new(Kind::Unavailable, text)
        };
        let asked = tokio::time::timeout(ANSWER, about(address)).await;
        let json = asked.map_err(|_| gone(&"no answer"))?.map_err(|error| gone(&error))?;
        let json = json::parse(&json).unwrap_or_default();
        let other = json.get("identity").and_then(Identity::from_json);
        Identity::own().check(other.as_ref(), &format!("the scheduler at {address}"))?;
        Cluster::from_json(&json).ok_or_else(|| gone(&"its answer is unreadable"))
    }

    /// Asks for a plan to be run; gives the id of the job.
    ///
    /// # Errors
    /// The scheduler is gone or refuses it.
    pub async fn submit(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<String> {
        let wrong = |error| Failure::new(Kind::Internal, format!("a plan cannot be written: {error}"));
        let mut bytes = Vec::new();
        let plan = PhysicalPlanNode::try_from_physical_plan(plan, &Codec::default()).map_err(wrong)?;
        plan.try_encode(&mut bytes).map_err(wrong)?;
        let setting =
            |key: &str, value: &str| KeyValuePair { key: key.to_owned(), value: Some(value.to_owned()) };
        let mut request = Request::new(ExecuteQueryParams {
            query: Some(execute_query_params::Query::PhysicalPlan(bytes)),
            settings: vec![
                setting(BALLISTA_JOB_NAME, name),
                setting(BALLISTA_ADAPTIVE_PLANNER_ENABLED, "false"),
                // A task that ends makes room for the next at once.
                setting(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, "1"),
            ],
            operation_id: format!("{:016x}", random()?),
            session_id: self.session.clone(),
        });
        insert_version_header(request.metadata_mut());
        let answer = self.scheduler.clone().execute_query(request).await;
        match answer.map_err(|status| self.refused(&status))?.into_inner().result {
            Some(execute_query_result::Result::Success(success)) => Ok(success.job_id),
            other => {
                let text = format!("the scheduler at {} does not take a plan: {other:?}", self.address);
                Err(Failure::new(Kind::Internal, text))
            }
        }
    }

    /// What has become of a job.
    ///
    /// # Errors
    /// The scheduler is gone.
    pub async fn state(&self, job: &str) -> Result<State> {
        let request = GetJobStatusParams { job_id: job.to_owned() };
        let answer = self.scheduler.clone().get_job_status(request).await;
        let answer = answer.map_err(|status| self.refused(&status))?.into_inner();
        Ok(match answer.status.and_then(|status| status.status) {
            None => State::Unknown,
            Some(job_status::Status::Queued(_) | job_status::Status::Running(_)) => State::Running,
            Some(job_status::Status::Successful(_)) => State::Ended,
            Some(job_status::Status::Failed(failed)) => State::Failed(failed.error),
        })
    }

    /// Asks a job to end.
    ///
    /// # Errors
    /// The scheduler is gone.
    pub async fn cancel(&self, job: &str) -> Result<()> {
        let request = CancelJobParams { job_id: job.to_owned() };
        let cancelled = self.scheduler.clone().cancel_job(request).await;
        cancelled.map(drop).map_err(|status| self.refused(&status))
    }

    fn refused(&self, status: &Status) -> Failure {
        let kind = match status.code() {
            Code::FailedPrecondition => Kind::Version,
            Code::InvalidArgument => Kind::Invalid,
            _ => Kind::Unavailable,
        };
        Failure::new(kind, format!("the scheduler at {}: {}", self.address, status.message()))
    }
}

/// How to call a scheduler: with our identity.
///
/// # Errors
/// It is no `host:port`.
fn endpoint(address: &str) -> Result<Endpoint> {
    let wrong = |error: tonic::transport::Error| {
        Failure::invalid(format!("--scheduler {address}: {error}; give it as host:port"))
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(wrong)?;
    let endpoint = endpoint.connect_timeout(CONNECT).timeout(ANSWER).tcp_nodelay(true);
    endpoint.user_agent(Identity::own().agent()).map_err(wrong)
}

/// Gets [`ABOUT`].
async fn about(address: &str) -> std::result::Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    const BYTES_MAX: usize = 16 << 20;
    let stream = tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(address)).await??;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get(ABOUT)
        .header(hyper::header::HOST, address)
        .header(hyper::header::USER_AGENT, Identity::own().agent())
        .body(Body::empty())?;
    let answer = sender.send_request(request).await?;
    Ok(to_bytes(Body::new(answer.into_body()), BYTES_MAX).await?.into())
}

/// A number that nobody else has.
///
/// # Errors
/// The system gives none.
pub fn random() -> Result<u64> {
    let none = |error| Failure::new(Kind::Unavailable, format!("no random bytes: {error}"));
    getrandom::u64().map_err(none)
}
