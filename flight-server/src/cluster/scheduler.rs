//! `arblast flight scheduler`

use std::net::SocketAddr;
use std::sync::Arc;

use arblast::cli::Context;
use arblast::clock;
use arblast::failure::{Failure, Result};
use arblast::observe::log::Log;
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::api::get_routes;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use events::Kind;
use tonic::Status;
use tonic::service::RoutesBuilder;

use super::codec::Codec;
use super::executor::{ended, runtime};
use super::identity::Identity;
use super::link::{ABOUT, Cluster, MESSAGE_BYTES_MAX};
use super::logged;

const LOGGER: &str = "Scheduler";
/// How often executors are looked at that may be gone.
const LOOK_S: u64 = 2;

/// Run the scheduler of a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Executors register by themselves; those of another build are refused. Nothing here is protected: bind it to a private network.
/arblast tells who is there, /healthz and /readyz are probes, /api/jobs, /api/executors and /api/openapi.json are Ballista's.

Example:
  arblast flight scheduler --host 10.0.0.1 --port 20050")]
pub struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 = a free one
    #[arg(long, default_value_t = 50050)]
    port: u16,
    /// After how many seconds of silence an executor counts as dead and its tasks go to others (executors report every five)
    #[arg(long, default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(10..=3600))]
    executor_timeout: u64,
    /// How long what executors keep of an ended job may stay
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    clean_up_after: u64,
}

type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let _log = Log::of_command();
    logged::forward();
    runtime()?.block_on(serve(args, context))
}

async fn serve(args: &Args, context: &Context) -> Result<()> {
    let (host, port) = (args.host.as_str(), args.port);
    let taken = |error| Failure::io(format_args!("cannot listen on {host}:{port}"), &error);
    let listener = tokio::net::TcpListener::bind((host, port)).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    let config = Arc::new(config(args, address));
    let broken = |error| Failure::new(Kind::Internal, format!("the scheduler cannot start: {error}"));
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(broken)?;
    let server: Server = create_scheduler(cluster, config).await.map_err(broken)?;
    let router = router(server, args.executor_timeout);
    context.console.info(LOGGER, format_args!("{} listens on {address}.", Identity::own()));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = async move { axum::serve(listener, service).await };
    tokio::select! {
        served = serving => served.map_err(|error| Failure::io("the scheduler stopped", &error)),
        () = ended() => Ok(()),
    }
}

fn config(args: &Args, address: SocketAddr) -> SchedulerConfig {
    let message = u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX);
    SchedulerConfig {
        external_host: args.host.clone(),
        bind_host: args.host.clone(),
        bind_port: address.port(),
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        // A job whose output could be mixed with that of an earlier attempt must fail; the driver asks again for what is missing.
        task_max_failures: 1,
        stage_max_failures: 1,
        executor_timeout_seconds: args.executor_timeout,
        no_executors_grace_period_seconds: args.executor_timeout,
        expire_dead_executor_interval_seconds: LOOK_S,
        finished_job_data_clean_up_interval_seconds: args.clean_up_after,
        finished_job_state_clean_up_interval_seconds: 12 * args.clean_up_after,
        grpc_server_max_decoding_message_size: message,
        grpc_server_max_encoding_message_size: message,
        grpc_client_max_message_size: message,
        override_physical_codec: Some(Arc::new(Codec::default())),
        // `/` would lead a browser to a page on the net.
        web_tui_route: "/tui".to_owned(),
        ..SchedulerConfig::default()
    }
}

fn router(server: Server, timeout_s: u64) -> Router {
    let calls = SchedulerGrpcServer::new(server.clone())
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut services = RoutesBuilder::default();
    services.add_service(calls);
    let calls = services.routes().into_axum_router().route_layer(middleware::from_fn(only_our_build));
    let (server, ready) = (Arc::new(server.clone()), server);
    let asked = Arc::clone(&server);
    let about = get(move || about(Arc::clone(&asked), timeout_s));
    let readyz = get(move || async move {
        if ready.is_ready() {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "no executor")
        }
    });
    get_routes(server).merge(calls).route(ABOUT, about).route("/healthz", get("ok")).route("/readyz", readyz)
}

/// Who is there.
async fn about(server: Arc<Server>, timeout_s: u64) -> Response {
    let Ok(known) = server.state.executor_manager.get_executors_state().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let now_s = u64::try_from(clock::now_ms() / 1000).unwrap_or(0);
    let lives = |seen: std::time::Duration| now_s.saturating_sub(seen.as_secs()) < timeout_s;
    let living = known.into_iter().filter(|(_, seen, _)| seen.is_some_and(lives));
    let living = living.map(|(executor, ..)| {
        let address = format!("{}:{}", executor.host, executor.port);
        (executor.id, address, executor.specification.vcores)
    });
    let text = Cluster::to_json(&Identity::own(), &living.collect::<Vec<_>>()).to_string();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Every call, of executors and drivers, must come from a program of this build.
async fn only_our_build(request: Request, next: Next) -> Response {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let other = agent.and_then(Identity::of_agent);
    match Identity::own().check(other.as_ref(), "the caller of this scheduler") {
        Ok(()) => next.run(request).await,
        Err(failure) => {
            tracing::warn!("{failure}");
            Status::failed_precondition(failure.to_string()).into_http()
        }
    }
}
