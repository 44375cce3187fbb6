//! `arblast batchpredict`

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use engine::Query;
use events::json::Object;

use super::Context;
use super::progress::{self, grouped};
use crate::failure::{Failure, Result};
use crate::serving::Serving;

const LOGGER: &str = "BatchPredict$";
/// Queries that are answered together, by several threads.
const BATCH_QUERIES: usize = 4096;
const QUERY_BYTES_MAX: u64 = 1 << 20;

/// Answer a file of queries.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
One query per line; blank lines are passed over. Each answer is a line {\"query\": …, \"prediction\": …} or
{\"query\": …, \"error\": …}, in the order of the queries. Exit status 1 if any query failed.

Examples:
  arblast batchpredict --input queries.json --output answers.json
  arblast batchpredict --input - --output - < queries.json")]
pub struct Args {
    /// File of queries, or -
    #[arg(long, value_name = "FILE", default_value = "batchpredict-input.json")]
    input: PathBuf,
    /// File to write, or -
    #[arg(long, value_name = "FILE", default_value = "batchpredict-output.json")]
    output: PathBuf,
    /// Use the model of this training run instead of the newest
    #[arg(long, value_name = "ID")]
    engine_instance_id: Option<String>,
    /// Threads that answer [default: one per processor]
    #[arg(long)]
    threads: Option<usize>,
    #[arg(long, hide = true)]
    query_partitions: Option<String>,
    #[arg(long, hide = true)]
    json_extractor: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let engine = context.engine()?;
    let storage = context.storage()?;
    let pinned = args.engine_instance_id.as_deref();
    let pinned = pinned.map(|id| super::deploy::generation_of(&storage, &engine, id)).transpose()?;
    let serving = Serving::open(&storage, engine.config, pinned)?;
    let stdio = |path: &Path| path.as_os_str() == "-";
    let input: Box<dyn BufRead> = if stdio(&args.input) {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(&args.input).map_err(Failure::file("read", "--input", &args.input))?;
        Box::new(BufReader::new(opened))
    };
    let output: Box<dyn Write> = if stdio(&args.output) {
        Box::new(io::stdout().lock())
    } else {
        let created = File::create(&args.output);
        Box::new(created.map_err(Failure::file("write", "--output", &args.output))?)
    };
    let batch = Batch { serving: &serving, threads: context.threads(args.threads) };
    let (answered, failed) = batch.run(input, BufWriter::new(output))?;
    if !stdio(&args.output) {
        let output = args.output.display();
        context.console.info(LOGGER, format_args!("{} queries are answered in {output}.", grouped(answered)));
    }
    if failed > 0 {
        return Err(Failure::invalid(format!(
            "{failed} of {answered} queries failed: their lines have an \"error\""
        )));
    }
    Ok(())
}

struct Batch<'a> {
    serving: &'a Serving,
    threads: usize,
}

impl Batch<'_> {
    /// Gives the number of queries, and how many failed.
    fn run(&self, mut input: impl BufRead, mut output: impl Write) -> Result<(u64, u64)> {
        let bar = progress::steps(0);
        bar.set_prefix("answered");
        let (mut answered, mut failed) = (0, 0);
        loop {
            let lines =
                read_lines(&mut input).map_err(|error| Failure::io("cannot read the queries", &error))?;
            if lines.is_empty() {
                break;
            }
            for (line, ok) in self.answers(&lines) {
                answered += 1;
                failed += u64::from(!ok);
                writeln!(output, "{line}")
                    .map_err(|error| Failure::io("cannot write the answers", &error))?;
            }
            bar.set_position(answered);
        }
        bar.finish_and_clear();
        output.flush().map_err(|error| Failure::io("cannot write the answers", &error))?;
        Ok((answered, failed))
    }

    /// Answers in the order of the queries, by several threads.
    fn answers(&self, lines: &[Vec<u8>]) -> Vec<(String, bool)> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(line) = lines.get(index) else { return done };
                done.push((index, self.answer(line)));
            }
        };
        let mut answers: Vec<(usize, (String, bool))> = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    fn answer(&self, line: &[u8]) -> (String, bool) {
        let query = match Query::parse(line) {
            Ok(query) => query,
            Err(error) => {
                let text = String::from_utf8_lossy(line);
                return (
                    Object::new().with("query", text.trim()).with("error", error.to_string()).to_string(),
                    false,
                );
            }
        };
        match self.serving.recommend(&query) {
            Ok(answer) => {
                let prediction = answer.to_json();
                (format!("{{\"query\":{},\"prediction\":{prediction}}}", query.to_json()), true)
            }
            Err(failure) => {
                let line = Object::new().with("query", query.to_json()).with("error", failure.to_string());
                (line.to_string(), false)
            }
        }
    }
}

/// The next lines that are not blank.
fn read_lines(input: &mut impl BufRead) -> io::Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    while lines.len() < BATCH_QUERIES {
        let mut line = Vec::new();
        if io::Read::take(&mut *input, QUERY_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() as u64 == QUERY_BYTES_MAX && !line.ends_with(b"\n") {
            let message = format!("a query is longer than {QUERY_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        if !line.trim_ascii().is_empty() {
            lines.push(line);
        }
    }
    Ok(lines)
}
