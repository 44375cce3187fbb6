//! `arblast flight executor`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arblast::cli::Context;
use arblast::failure::{Failure, Result};
use arblast::observe::log::Log;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use events::Kind;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::codec::Codec;
use super::identity::Identity;
use super::link::{Link, MESSAGE_BYTES_MAX, random};
use super::logged;
use super::worker::Worker;

const LOGGER: &str = "Executor";
/// How often an executor looks whether its scheduler is still of its build.
const LOOK: Duration = Duration::from_secs(10);
/// Of what is there, if nothing is said.
const SHARE: f64 = 0.6;

/// Work for a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
One executor per machine, with all its cores: the interactions are held once per process. Half of --memory is for them, the other
half is shared out among the tasks.

Example:
  arblast flight executor --scheduler 10.0.0.1:20050 --host 10.0.0.2 --memory 16g")]
pub struct Args {
    /// Where the scheduler listens
    #[arg(long, value_name = "HOST:PORT")]
    scheduler: String,
    /// Address to listen on, and the one that others reach it by
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 = a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Tasks at once [default: one per processor]
    #[arg(long)]
    vcores: Option<usize>,
    /// Memory for interactions and tasks, e.g. 8g [default: six tenths of what there is]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,
    /// Where a folder for temporary files is made [default: where the system has them]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// How long temporary files of a job may stay that nobody removes, as of a scheduler that died
    #[arg(long, default_value_t = 3600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    clean_up_after: u64,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let _log = Log::of_command();
    logged::forward();
    runtime()?.block_on(work(args, context))
}

/// Threads for the processes of a cluster.
///
/// # Errors
/// There are none.
pub fn runtime() -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::io("no threads", &error))
}

/// Waits for the wish that the process ends.
pub async fn ended() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

async fn work(args: &Args, context: &Context) -> Result<()> {
    let address = &args.scheduler;
    let link = Link::open(address).await?;
    let vcores = context.threads(args.vcores).max(1);
    let memory = args.memory.unwrap_or_else(default_memory);
    let folder = WorkFolder::new(args.work_dir.as_deref())?;
    let port = free_port(&args.host, args.port)?;
    let config = config(args, port, vcores, memory, &folder)?;
    context.console.info(
        LOGGER,
        format_args!(
            "{} works for {address}: {vcores} tasks at once, {} MiB, port {port}.",
            Identity::own(),
            memory >> 20
        ),
    );
    tokio::select! {
        ended = start_executor_process(Arc::new(config)) => {
            ended.map_err(|error| Failure::new(Kind::Unavailable, format!("the executor stopped: {error}")))
        }
        refused = stays_of_our_build(&link) => Err(refused),
    }
}

/// Ends when the scheduler is another build's. While it is gone, executors wait for it.
async fn stays_of_our_build(link: &Link) -> Failure {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(failure) = link.cluster().await
            && failure.kind() == Kind::Version
        {
            return failure;
        }
    }
}

fn config(
    args: &Args,
    port: u16,
    vcores: usize,
    memory: u64,
    folder: &WorkFolder,
) -> Result<ExecutorProcessConfig> {
    let wrong = || Failure::invalid(format!("--scheduler {}: give it as host:port", args.scheduler));
    let (host, scheduler_port) = args.scheduler.rsplit_once(':').ok_or_else(wrong)?;
    let message = u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX);
    let spill = folder.path.clone();
    Ok(ExecutorProcessConfig {
        bind_host: args.host.clone(),
        external_host: Some(args.host.clone()),
        port,
        scheduler_host: host.to_owned(),
        scheduler_port: scheduler_port.parse().map_err(|_| wrong())?,
        vcores,
        task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
        work_dir: Some(folder.path.display().to_string()),
        job_data_ttl_seconds: args.clean_up_after,
        job_data_clean_up_interval_seconds: args.clean_up_after.div_ceil(4),
        grpc_max_decoding_message_size: message,
        grpc_max_encoding_message_size: message,
        executor_heartbeat_interval_seconds: 5,
        memory_pool_size: Some((memory / 2).max(vcores as u64)),
        override_physical_codec: Some(Arc::new(Codec::of(Arc::new(Worker::new(memory / 2))))),
        override_runtime_producer: Some(Arc::new(move |_| {
            RuntimeEnvBuilder::new().with_temp_file_path(spill.clone()).build_arc()
        })),
        override_create_grpc_client_endpoint: Some(Arc::new(|endpoint| {
            Ok(endpoint.user_agent(Identity::own().agent())?)
        })),
        ..ExecutorProcessConfig::default()
    })
}

/// Where temporary files are: a folder that nobody else uses, as Ballista clears away all that is in it. It goes with the process.
struct WorkFolder {
    path: PathBuf,
}

impl WorkFolder {
    fn new(named: Option<&Path>) -> Result<Self> {
        let parent = named.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let path = parent.join(format!("arblast-executor-{:016x}", random()?));
        std::fs::create_dir_all(&path).map_err(Failure::file("create", "--work-dir", &path))?;
        Ok(Self { path })
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The port, or a free one: others must know it before it is taken.
fn free_port(host: &str, port: u16) -> Result<u16> {
    let taken = |error| Failure::io(format_args!("cannot listen on {host}:{port}"), &error);
    let listener = std::net::TcpListener::bind((host, port)).map_err(taken)?;
    Ok(listener.local_addr().map_err(taken)?.port())
}

/// Reads `8g`, `512m`, `1000`.
fn bytes(text: &str) -> std::result::Result<u64, String> {
    let wrong = || "not a number of bytes; write it like 8g or 512m".to_owned();
    let text = text.trim().to_ascii_lowercase();
    let (digits, unit) = match text.strip_suffix(['k', 'm', 'g', 't']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text.as_str(), ""),
    };
    let shift = ["", "k", "m", "g", "t"].iter().position(|other| *other == unit).unwrap_or(0) * 10;
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes >= 1 << 20).ok_or_else(wrong)
}

/// A share of what this machine or container has.
fn default_memory() -> u64 {
    const UNKNOWN: u64 = 4 << 30;
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let limit = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<u64>().ok());
    let machine = read("/proc/meminfo").and_then(|text| {
        let kilobytes = text.lines().next()?.split_whitespace().nth(1)?.parse::<u64>().ok()?;
        Some(kilobytes << 10)
    });
    let all = [limit, machine].into_iter().flatten().min().unwrap_or(UNKNOWN);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "about"
    )]
    let share = (all as f64 * SHARE) as u64;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_written_with_a_unit() {
        for (text, expected) in [
            ("8g", Some(8 << 30)),
            ("512M", Some(512 << 20)),
            ("2097152", Some(2 << 20)),
            ("1", None),
            ("x", None),
            ("ä", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
        assert!(default_memory() > 1 << 20);
    }
}
