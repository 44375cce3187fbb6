//! The result for people: what was tested, and a table per length of the lists.

use engine::Evaluation;
use engine::evaluation::{Estimate, Measured, Metric, Scores, Setting};
use events::EventTime;

use super::LOGGER;
use crate::cli::console::Console;
use crate::cli::progress::grouped;

/// Says what was trained on, and who was asked for.
pub fn announce(console: Console, evaluation: &Evaluation, seconds: f64) {
    let Evaluation { primary, users, .. } = evaluation;
    let time = |millis| EventTime::utc(millis);
    console.info(
        LOGGER,
        format_args!(
            "Trained on what was before {}; the test ends before {}.",
            time(evaluation.cut_ms),
            time(evaluation.end_ms)
        ),
    );
    let newcomers = if users.tested + users.sampled_out + users.nothing_new < users.active {
        format!(", {} had done nothing before (--newcomers asks for them)", grouped(users.newcomers))
    } else {
        String::new()
    };
    let sampled = if users.sampled_out > 0 {
        format!(", {} are not in the sample", grouped(users.sampled_out))
    } else {
        String::new()
    };
    console.info(
        LOGGER,
        format_args!(
            "{} users with \"{primary}\" in the test: {} did only what they had done before{newcomers}{sampled}; {} are asked for.",
            grouped(users.active),
            grouped(users.nothing_new),
            grouped(users.tested)
        ),
    );
    let impossible = match evaluation.unknown {
        0 => String::new(),
        unknown => {
            format!(", {} of them impossible: the model did not know these items yet", grouped(unknown))
        }
    };
    let right = grouped(evaluation.right);
    console.info(LOGGER, format_args!("{right} new things are to be found{impossible}. {seconds:.1} s."));
}

/// One table for each of these lengths, and what its signs mean.
pub fn print(console: Console, evaluation: &Evaluation, lengths: &[u32]) {
    let mut lengths = lengths.to_vec();
    lengths.sort_unstable();
    lengths.dedup();
    for &k in &lengths {
        console.line("");
        for line in table(evaluation, k) {
            console.line(line);
        }
    }
    console.line("");
    console.line("± 95 % interval. Signed: difference to the engine, of the same users; * other than 0 with 95 % probability.");
    if let Some(line) = lengths.last().and_then(|k| best_swept(evaluation, *k)) {
        console.line(line);
    }
}

fn table(evaluation: &Evaluation, k: u32) -> Vec<String> {
    let mut cells = vec![header(k)];
    cells.extend(
        evaluation.measured.iter().filter_map(|measured| Some(row(measured, scores_at(measured, k)?))),
    );
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    cells.iter().map(|row| aligned(row, &widths)).collect()
}

fn header(k: u32) -> Vec<String> {
    let mut header = vec![format!("at {k}")];
    header.extend(Metric::ALL.map(|metric| title(metric).to_owned()));
    header.extend(["coverage", "correlators"].map(str::to_owned));
    header
}

/// The name of a metric for people.
pub fn title(metric: Metric) -> &'static str {
    match metric {
        Metric::Map => "MAP",
        Metric::Ndcg => "NDCG",
        Metric::Precision => "precision",
        Metric::Recall => "recall",
        Metric::HitRate => "hit rate",
    }
}

fn row(measured: &Measured, scores: &Scores) -> Vec<String> {
    let mut row = vec![measured.setting.title()];
    row.extend(Metric::ALL.map(|metric| cell(scores.mean(metric), scores.difference(metric))));
    row.push(format!("{:.1} %", scores.coverage * 100.0));
    row.push(match measured.setting {
        Setting::Popular | Setting::RecentlyPopular => "-".to_owned(),
        _ => grouped(measured.correlators),
    });
    row
}

/// `0.1234 ±0.0051`, or `0.0234 -0.1000*`: as wide with a star as without.
fn cell(mean: Estimate, difference: Option<Estimate>) -> String {
    match (difference, mean.margin_95()) {
        (Some(difference), _) => {
            let star = if difference.differs_from_0() { '*' } else { ' ' };
            format!("{:.4} {:+.4}{star}", mean.mean, difference.mean)
        }
        (None, Some(margin)) => format!("{:.4} ±{margin:.4} ", mean.mean),
        (None, None) => format!("{:.4}         ", mean.mean),
    }
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, &width))| match column {
        0 => format!("{cell:<width$}"),
        _ => format!("  {cell:>width$}"),
    });
    cells.collect::<String>().trim_end().to_owned()
}

/// The best of the swept settings by NDCG.
fn best_swept(evaluation: &Evaluation, k: u32) -> Option<String> {
    let swept =
        evaluation.measured.iter().filter(|measured| matches!(measured.setting, Setting::Swept { .. }));
    let scored = swept.filter_map(|measured| Some((measured, scores_at(measured, k)?)));
    let mean = |scores: &Scores| scores.mean(Metric::Ndcg).mean;
    // of equal ones the first
    let (measured, scores) =
        scored.reduce(|best, next| if mean(next.1) > mean(best.1) { next } else { best })?;
    let difference = scores.difference(Metric::Ndcg)?;
    let judged = if difference.differs_from_0() { "" } else { ", which may be chance" };
    Some(format!(
        "Best NDCG of the sweep at {k}: {} ({:+.4} ±{:.4} to the engine{judged}).",
        measured.setting.title(),
        difference.mean,
        difference.margin_95().unwrap_or_default()
    ))
}

/// What a setting is worth at this length.
pub fn scores_at(measured: &Measured, k: u32) -> Option<&Scores> {
    measured.scores.iter().find(|scores| scores.k == k)
}
