//! `arblast itemsimilarity`

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use engine::itemsimilarity::{self, Options, Stage, Summary};
use events::Json;
use events::json::Object;
use indicatif::ProgressBar;

use super::Context;
use super::progress::{self, grouped};
use crate::failure::{Failure, Result};

const LOGGER: &str = "ItemSimilarity$";

/// Correlated items of plain `user,item` files, without app and engine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each file has one `user,item` pair per line (comma or tab). The first indicator is the primary one: its items are those
described; the items of the others may be anything. Writes one JSON line per item and indicator:
  {\"item\": \"tent\", \"indicator\": \"view\", \"correlators\": [[\"lamp\", 31.4], …]}

Examples:
  arblast itemsimilarity --indicator purchase=buys.csv --output similar.jsonl
  arblast itemsimilarity --indicator purchase=buys.csv --indicator view=views.csv --output similar.jsonl --min-llr 5")]
pub struct Args {
    /// Name and file of an indicator, the primary one first; repeatable
    #[arg(long = "indicator", value_name = "NAME=FILE", required = true, value_parser = indicator)]
    indicators: Vec<(String, PathBuf)>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Correlators per item and indicator
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    max_correlators: u32,
    /// Users and items with more interactions are thinned to about as many
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    max_prefs: u32,
    /// Leave out correlators with a lower log-likelihood ratio
    #[arg(long, value_name = "X")]
    min_llr: Option<f64>,
    /// Seed of the thinning
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; the result is the same for any number [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

fn indicator(text: &str) -> std::result::Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("write it as NAME=FILE, e.g. purchase=buys.csv".to_owned()),
    }
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let options = Options {
        indicators: args.indicators,
        output: args.output,
        max_correlators: args.max_correlators,
        max_prefs: args.max_prefs,
        min_llr: args.min_llr,
        seed: args.seed,
        threads: context.threads(args.threads),
    };
    let started = Instant::now();
    let bars = Bars::default();
    let summary =
        itemsimilarity::run(&options, &|stage, done, total| bars.show(&options, stage, done, total));
    let summary = summary.map_err(|error| match error {
        itemsimilarity::Error::File { path, source } => {
            let (doing, by) = named(&options, &path);
            Failure::file(doing, by, &path)(source)
        }
        error => error.into(),
    })?;
    bars.clear();
    conclude(context, &options, &summary, started.elapsed().as_secs_f64());
    Ok(())
}

/// What a file is for, and the option that named it.
fn named(options: &Options, path: &Path) -> (&'static str, &'static str) {
    let is_input = options.indicators.iter().any(|(_, input)| input == path);
    if is_input { ("read", "--indicator") } else { ("write", "--output") }
}

fn conclude(context: &Context, options: &Options, summary: &Summary, seconds: f64) {
    let console = context.console;
    for (name, seen) in &summary.indicators {
        console.info(
            LOGGER,
            format_args!(
                "\"{name}\": {} lines, {} distinct pairs of {} users and {} things, {} after thinning.",
                grouped(seen.events),
                grouped(seen.cells),
                grouped(seen.users),
                grouped(seen.things),
                grouped(seen.sampled)
            ),
        );
    }
    let (correlators, output) = (grouped(summary.correlators), options.output.display());
    console.info(LOGGER, format_args!("{correlators} correlators are in {output} after {seconds:.2} s."));
    if console.json() {
        let indicators = summary.indicators.iter().map(|(name, seen)| {
            let object = Object::new().with("name", name.as_str()).with("lines", seen.events);
            object.with("pairs", seen.cells).with("sampled", seen.sampled).into()
        });
        console.value(
            Object::new()
                .with("users", summary.users)
                .with("correlators", summary.correlators)
                .with("seconds", super::real(seconds))
                .with("indicators", Json::Array(indicators.collect())),
        );
    }
}

/// One bar at a time.
#[derive(Default)]
struct Bars(Mutex<Option<(Stage, ProgressBar)>>);

impl Bars {
    fn show(&self, options: &Options, stage: Stage, done: u64, total: u64) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_ref().is_none_or(|(current, _)| *current != stage) {
            if let Some((_, bar)) = shown.take() {
                bar.finish_and_clear();
            }
            let bar = if stage == Stage::Read { progress::bytes(total) } else { progress::steps(total) };
            bar.set_prefix(match stage {
                Stage::Read => "read".to_owned(),
                Stage::Correlate(index) => options
                    .indicators
                    .get(index)
                    .map_or_else(String::new, |(name, _)| format!("correlate {name}")),
                Stage::Write => "write".to_owned(),
            });
            *shown = Some((stage, bar));
        }
        if let Some((_, bar)) = &*shown {
            bar.set_position(done);
        }
    }

    fn clear(&self) {
        if let Some((_, bar)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}
