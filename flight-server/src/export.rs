//! `arblast flight export`: the events of a channel as one Parquet file.

use std::fs;
use std::path::PathBuf;

use arblast::cli::Context;
use arblast::failure::{Failure, Result};
use arrow::array::AsArray;
use arrow::datatypes::UInt64Type;
use events::json::Object;

use crate::query;

const LOGGER: &str = "EventsToFile$";
const PART: &str = "part-00000.parquet";

/// Write events as Parquet, with columns named as the members of events.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the app
    #[arg(long, value_name = "NAME")]
    app: String,
    /// Channel [default: the default channel]
    #[arg(long)]
    channel: Option<String>,
    /// Directory to make
    #[arg(long, value_name = "PATH")]
    output: PathBuf,
}

/// Writes under another name and renames, so that a directory of this name is always complete.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    // without a slash at the end
    let output: PathBuf = args.output.components().collect();
    let failed = Failure::file("write", "--output", &output);
    if output.exists() {
        let output = output.display();
        return Err(Failure::invalid(format!(
            "--output {output}: exists already; give a new path, or remove it first"
        )));
    }
    let unfinished = PathBuf::from(format!("{}.unfinished", output.display()));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed)?;
    }
    let mut written = 0;
    query::execute(context, &statement(args), Some(&unfinished), &mut |_, batches| {
        for batch in batches {
            written += batch?.column(0).as_primitive::<UInt64Type>().iter().flatten().sum::<u64>();
        }
        Ok(())
    })?;
    // no event, no file
    fs::create_dir_all(&unfinished).map_err(failed)?;
    for part in fs::read_dir(&unfinished).map_err(failed)? {
        let part = part.map_err(failed)?.path();
        fs::File::open(part).and_then(|part| part.sync_all()).map_err(failed)?;
    }
    fs::rename(&unfinished, &output).map_err(failed)?;
    let (console, output) = (context.console, output.display());
    console.info(LOGGER, format_args!("{written} events are exported to {output}."));
    console.info(LOGGER, "Done.");
    if console.json() {
        console.value(Object::new().with("events", written).with("output", output.to_string()));
    }
    Ok(())
}

fn statement(args: &Args) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let app = quoted(&args.app);
    let channel = match &args.channel {
        Some(name) => format!("channel = {}", quoted(name)),
        None => "channel IS NULL".to_owned(),
    };
    format!(
        "COPY (SELECT event_id AS \"eventId\", event, entity_type AS \"entityType\", entity_id AS \"entityId\", \
         target_entity_type AS \"targetEntityType\", target_entity_id AS \"targetEntityId\", properties, \
         event_time AS \"eventTime\", pr_id AS \"prId\", creation_time AS \"creationTime\" \
         FROM events WHERE app = {app} AND {channel}) TO '{PART}' STORED AS PARQUET"
    )
}
