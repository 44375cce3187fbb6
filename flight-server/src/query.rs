//! `arblast flight query`: the SQL of the server without a server.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arblast::cli::Context;
use arblast::failure::{Failure, Result};
use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::LineDelimitedWriter;
use arrow::util::pretty::pretty_format_batches;
use clap::ValueEnum;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::execute_stream;
use events::Kind;
use futures::TryStreamExt;

use crate::counting::Counter;
use crate::engines::Engines;
use crate::sql::{Limits, Session, Sight};

/// Memory that a statement may take before it goes to disk.
const BYTES_MAX: usize = 1 << 30;
/// Temporary files of a statement.
const SPILL_BYTES_MAX: u64 = 1 << 40;

/// Answer one statement here, without a server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Sees all apps. docs/flight.md has tables and functions.

Examples:
  arblast flight query \"SELECT * FROM recommend('u1', 4)\"
  arblast flight query \"SELECT event, count(*) FROM events GROUP BY event\" --format csv
  arblast flight query \"COPY events TO 'events.parquet' STORED AS PARQUET\" --export-directory /srv/exports")]
pub struct Args {
    /// The statement
    #[arg(value_name = "SQL")]
    sql: String,
    /// Form of the result [default: table on a terminal, else json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Let COPY write into this folder
    #[arg(long, value_name = "DIR")]
    export_directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// An object per row and line
    Json,
    /// With the names of the columns in the first line
    Csv,
    /// Arrow's IPC stream
    Arrow,
}

/// Runs the statement.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    let format = args.format.unwrap_or(if is_terminal { Format::Table } else { Format::Json });
    execute(context, &args.sql, args.export_directory.as_deref(), &mut |schema, batches| {
        match write(format, schema, batches) {
            // as of `head`, which has seen enough
            Err(error) if is_closed(&*error) => Ok(()),
            written => written.map_err(|error| Failure::new(Kind::Unavailable, error.to_string())),
        }
    })
}

/// What is done with the rows.
pub type Take<'a> = &'a mut dyn FnMut(&SchemaRef, Batches<'_>) -> Result<()>;
/// Rows as they come.
pub type Batches<'a> = &'a mut dyn Iterator<Item = Result<RecordBatch>>;

/// Executes a statement that sees everything.
pub fn execute(context: &Context, sql: &str, export: Option<&std::path::Path>, take: Take<'_>) -> Result<()> {
    let own = context.engine_if_any()?.map(|engine| (engine.config, engine.text));
    let sight = Sight::new(&Engines::new(context.storage()?, own), None, None)?;
    let limits = Limits {
        bytes_max: BYTES_MAX,
        spill_bytes_max: SPILL_BYTES_MAX,
        spill_directory: std::env::temp_dir(),
        counter: Counter { threads: context.threads(None), site: None },
        export: Arc::default(),
    };
    let limits = limits.with_export(export, u64::MAX)?;
    let runtime = arblast::cli::servers::runtime()?;
    let failed = |error: DataFusionError| told(&error);
    let session = Session::new(sight, &limits).map_err(failed)?;
    let plan = runtime
        .block_on(async { session.physical(&session.plan(sql, None).await?).await })
        .map_err(failed)?;
    let (schema, task) = (plan.schema(), session.context().task_ctx());
    // within the runtime, as parts of tables run in its threads
    let mut stream = runtime.block_on(async { execute_stream(plan, task) }).map_err(failed)?;
    let mut batches = std::iter::from_fn(|| runtime.block_on(stream.try_next()).map_err(failed).transpose());
    let done = take(&schema, &mut batches);
    drop(stream);
    runtime.shutdown_background();
    done
}

fn told(error: &DataFusionError) -> Failure {
    let root = error.find_root();
    if let DataFusionError::External(own) = root
        && let Some(failure) = own.downcast_ref::<Failure>()
    {
        return Failure::new(failure.kind(), failure.to_string());
    }
    let status = crate::errors::of_datafusion(error);
    let kind = match status.code() {
        tonic::Code::InvalidArgument => Kind::Invalid,
        tonic::Code::ResourceExhausted | tonic::Code::Unavailable => Kind::Unavailable,
        _ => return Failure::new(Kind::Internal, root.strip_backtrace()),
    };
    Failure::new(kind, status.message())
}

fn is_closed(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_pipe = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    match error.downcast_ref::<ArrowError>() {
        Some(ArrowError::IoError(_, error)) => is_pipe(error),
        Some(ArrowError::CsvError(text)) => text.contains("Broken pipe"),
        _ => error.downcast_ref::<std::io::Error>().is_some_and(is_pipe),
    }
}

fn write(
    format: Format,
    schema: &SchemaRef,
    batches: Batches<'_>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match format {
        Format::Table => {
            let all = batches.collect::<Result<Vec<RecordBatch>>>()?;
            let all = if all.is_empty() { vec![RecordBatch::new_empty(schema.clone())] } else { all };
            writeln!(out, "{}", pretty_format_batches(&all)?)?;
        }
        Format::Json => {
            let mut writer = LineDelimitedWriter::new(&mut out);
            for batch in batches {
                writer.write(&batch?)?;
            }
            writer.finish()?;
        }
        Format::Csv => {
            let mut writer = csv::WriterBuilder::new().with_header(true).build(&mut out);
            writer.write(&RecordBatch::new_empty(schema.clone()))?;
            for batch in batches {
                writer.write(&batch?)?;
            }
        }
        Format::Arrow => {
            let mut writer = StreamWriter::try_new(&mut out, schema)?;
            for batch in batches {
                writer.write(&batch?)?;
            }
            writer.finish()?;
        }
    }
    Ok::<(), ArrowError>(out.flush()?)?;
    Ok(())
}
