//! `arblast query`

use engine::{Query, Recommendation, Recommendations};
use events::Json;
use events::json::Object;

use super::Context;
use super::console::{self, Console};
use crate::failure::Result;
use crate::serving::Serving;

/// Ask for recommendations.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints a table on a terminal, and otherwise the JSON that a query server would answer.

Examples:
  arblast query '{\"user\": \"u1\"}'
  arblast query '{\"item\": \"boots\", \"num\": 5, \"fields\": [{\"name\": \"category\", \"values\": [\"shoes\"], \"bias\": -1}]}'
  arblast query '{\"user\": \"u1\", \"explain\": true}' --json
  arblast query '{}'                          what is popular")]
pub struct Args {
    /// The query
    #[arg(value_name = "JSON")]
    query: String,
    /// A table, even if standard output is no terminal
    #[arg(long, conflicts_with = "json")]
    table: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let mut query = Query::parse(args.query.as_bytes()).map_err(engine::Error::from)?;
    let engine = context.engine()?;
    let serving = Serving::open(&context.storage()?, engine.config, None)?;
    let console = context.console;
    if args.table || (!console.json() && console::interactive()) {
        let shown = query.result_props.take().or_else(|| serving.configured_properties());
        query.result_props = Some(shown.clone().unwrap_or_else(|| vec!["*".to_owned()]));
        table(console, &query, &serving.recommend(&query)?, shown.as_deref());
    } else {
        console.line(serving.recommend(&query)?.to_json());
    }
    Ok(())
}

/// Columns beside item and score, if nobody asked for others.
const TELLING: [&str; 8] =
    ["title", "name", "category", "categories", "brand", "price", "available", "expires"];
const COLUMN_CHARS_MAX: usize = 40;

fn table(console: Console, query: &Query, answer: &Recommendations, shown: Option<&[String]>) {
    if answer.items.is_empty() {
        console.line("No recommendations. `arblast doctor` tells why.");
        return;
    }
    let columns: Vec<&str> =
        shown.map_or_else(|| TELLING.to_vec(), |names| names.iter().map(String::as_str).collect());
    let columns: Vec<&str> = columns
        .into_iter()
        .filter(|name| answer.items.iter().any(|item| !cell(item, name).is_empty()))
        .collect();
    let header =
        ["#", "score", "item"].into_iter().chain(columns.iter().copied()).map(str::to_owned).collect();
    let mut rows: Vec<Vec<String>> = vec![header];
    for (index, item) in answer.items.iter().enumerate() {
        let score = if item.score == 0.0 { "popular".to_owned() } else { format!("{:.4}", item.score) };
        let cells = columns.iter().map(|name| cell(item, name));
        rows.push(
            [(index + 1 + query.from as usize).to_string(), score, item.item.clone()]
                .into_iter()
                .chain(cells)
                .collect(),
        );
    }
    let widths: Vec<usize> = (0..columns.len() + 3)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for (index, row) in rows.iter().enumerate() {
        console.line(aligned(row, &widths));
        if let Some(item) = index.checked_sub(1).and_then(|index| answer.items.get(index)) {
            reasons(console, item);
        }
    }
    if answer.degraded {
        console.line("The history could not be read: this is less personal than it should be.");
    }
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (column, (cell, &width)) in row.iter().zip(widths).enumerate() {
        // Numbers to the right, text to the left.
        let cell = if column < 2 { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
        line.push_str(&cell);
    }
    line.trim_end().to_owned()
}

fn reasons(console: Console, item: &Recommendation) {
    for reason in item.reasons.iter().flat_map(|reasons| &reasons.because) {
        let llr = reason.llr.map_or_else(String::new, |llr| format!(", LLR {llr:.1}"));
        let from =
            if reason.from.is_empty() { String::new() } else { format!(" ({})", reason.from.join(", ")) };
        console
            .line(format_args!("      + {:.4}  {} {}{from}{llr}", reason.weight, reason.field, reason.value));
    }
}

fn cell(item: &Recommendation, name: &str) -> String {
    let text = item
        .properties
        .as_ref()
        .and_then(|properties: &Object| properties.get(name))
        .map(text)
        .unwrap_or_default();
    if text.chars().count() <= COLUMN_CHARS_MAX {
        return text;
    }
    text.chars().take(COLUMN_CHARS_MAX - 1).chain(['…']).collect()
}

fn text(value: &Json) -> String {
    match value {
        Json::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Json::Null => String::new(),
        other => other.to_text().unwrap_or_else(|| other.to_string()),
    }
}
