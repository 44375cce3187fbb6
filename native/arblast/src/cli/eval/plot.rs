//! The result as curves: by the length of the lists, by what is left out, by thresholds.

use engine::Evaluation;
use engine::evaluation::{Estimate, Measured, Metric, Scores, Setting};

use super::svg::{Anchor, COLOURS, Horizontal, PANEL, Panel, Svg, number, ticks};
use super::table::{scores_at, title};

/// Three panels in a row.
const METRICS: [Metric; 3] = [Metric::Precision, Metric::Recall, Metric::Ndcg];
const LEFT: f64 = 10.0;
const LEGEND: f64 = 170.0;
const WIDTH: f64 = LEFT + 3.0 * PANEL.0 + LEGEND;
/// Points of a curve that need no logarithmic axis.
const LINEAR: u32 = 20;

/// Lengths that make a curve up to the greatest of these.
pub fn lengths(wanted: &[u32]) -> Vec<u32> {
    let greatest = wanted.iter().copied().max().unwrap_or(1);
    if greatest <= LINEAR {
        return (1..=greatest).collect();
    }
    let steps = [1, 2, 3, 5, 7].into_iter();
    let steps = (0..=2).flat_map(|power| steps.clone().map(move |step| step * 10_u32.pow(power)));
    steps.filter(|length| *length < greatest).chain([greatest]).collect()
}

/// The drawing. Settings are compared at the greatest of the `wanted` lengths.
pub fn draw(evaluation: &Evaluation, wanted: &[u32]) -> String {
    let k = wanted.iter().copied().max().unwrap_or(1);
    let mut svg = Svg::new(WIDTH);
    let users = super::grouped(evaluation.users.tested);
    let heading = format!(
        "What {users} users did next under \"{}\", and what they were recommended",
        evaluation.primary
    );
    svg.text((LEFT + 10.0, 26.0), Anchor::Start, "title", &heading);
    let mut top = 40.0;
    by_length(&mut svg, evaluation, top);
    top += PANEL.1;
    let compared: Vec<&Measured> = evaluation
        .measured
        .iter()
        .filter(|measured| matches!(measured.setting, Setting::Only(_) | Setting::Without(_)))
        .collect();
    if !compared.is_empty() {
        top += 24.0;
        top += differences(&mut svg, &compared, k, top);
    }
    let swept: Vec<(f64, u32, &Scores)> =
        evaluation.measured.iter().filter_map(|measured| swept(measured, k)).collect();
    if !swept.is_empty() {
        by_threshold(&mut svg, evaluation, &swept, k, top + 24.0);
    }
    svg.finish()
}

fn swept(measured: &Measured, k: u32) -> Option<(f64, u32, &Scores)> {
    match measured.setting {
        Setting::Swept { min_llr, max_correlators } => {
            Some((min_llr, max_correlators, scores_at(measured, k)?))
        }
        _ => None,
    }
}

/// Left edge of a panel.
#[expect(clippy::cast_precision_loss, reason = "three panels")]
fn left(panel: usize) -> f64 {
    LEFT + panel as f64 * PANEL.0
}

fn legend(svg: &mut Svg, top: f64, lines: &[(String, &str, bool)]) {
    let x = LEFT + 3.0 * PANEL.0 + 8.0;
    let mut y = top + 44.0;
    for (text, colour, dashed) in lines {
        svg.polyline(&[(x, y - 4.0), (x + 22.0, y - 4.0)], colour, *dashed);
        svg.text((x + 28.0, y), Anchor::Start, "legend", text);
        y += 20.0;
    }
}

/// Curves of the engine (with its 95 % interval), popularity, and the primary indicator alone.
fn by_length(svg: &mut Svg, evaluation: &Evaluation, top: f64) {
    let shown = |setting: &Setting| !matches!(setting, Setting::Without(_) | Setting::Swept { .. });
    let measured: Vec<&Measured> =
        evaluation.measured.iter().filter(|measured| shown(&measured.setting)).collect();
    let lengths: Vec<u32> =
        measured.iter().flat_map(|measured| measured.scores.iter().map(|scores| scores.k)).collect();
    let greatest = lengths.iter().copied().max().unwrap_or(1);
    let place = |k: u32| if greatest <= LINEAR { f64::from(k) } else { f64::from(k).ln() };
    let marked = |k: &u32| {
        if greatest <= LINEAR { greatest <= 10 || *k == 1 || k.is_multiple_of(5) } else { is_round(*k) }
    };
    let mut marks: Vec<u32> = lengths.into_iter().filter(marked).collect();
    marks.sort_unstable();
    marks.dedup();
    let marks: Vec<(f64, String)> = marks.into_iter().map(|k| (place(k), k.to_string())).collect();
    let horizontal = Horizontal { marks: &marks, title: "k, length of the list" };
    for (number, metric) in METRICS.into_iter().enumerate() {
        let high = |scores: &Scores| high(scores.mean(metric));
        let greatest =
            measured.iter().flat_map(|measured| measured.scores.iter().map(high)).fold(0.0, f64::max);
        let panel = Panel::draw(
            svg,
            (left(number), top),
            &format!("{}@k", title(metric)),
            &horizontal,
            (0.0, greatest),
        );
        for (measured, colour) in measured.iter().zip(COLOURS) {
            let of = |value: &dyn Fn(Estimate) -> f64| -> Vec<(f64, f64)> {
                measured
                    .scores
                    .iter()
                    .map(|scores| panel.at(place(scores.k), value(scores.mean(metric))))
                    .collect()
            };
            if measured.setting == Setting::Engine {
                let mut band = of(&self::high);
                band.extend(of(&low).into_iter().rev());
                svg.area(&band, colour);
            }
            let points = of(&|estimate| estimate.mean);
            svg.polyline(&points, colour, false);
            points.into_iter().for_each(|point| svg.dot(point, colour));
        }
    }
    let lines: Vec<_> = measured
        .iter()
        .zip(COLOURS)
        .map(|(measured, colour)| (measured.setting.title(), colour, false))
        .collect();
    legend(svg, top, &lines);
}

fn is_round(k: u32) -> bool {
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].contains(&k)
}

fn high(estimate: Estimate) -> f64 {
    estimate.mean + estimate.margin_95().unwrap_or_default()
}

fn low(estimate: Estimate) -> f64 {
    estimate.mean - estimate.margin_95().unwrap_or_default()
}

/// Rows of differences to the engine with their 95 % intervals. Gives the height that they take.
fn differences(svg: &mut Svg, compared: &[&Measured], k: u32, top: f64) -> f64 {
    const ROW: f64 = 24.0;
    const NAMES: f64 = 190.0;
    const GAP: f64 = 64.0;
    let heading =
        format!("Difference to the engine at {k}, with 95 % interval: left of 0 the engine is better");
    svg.text((LEFT + 10.0, top + 14.0), Anchor::Start, "panel", &heading);
    let width = (WIDTH - LEFT - NAMES - 20.0) / 3.0;
    let (first, mut bottom) = (top + 62.0, top);
    for (panel, metric) in METRICS.into_iter().enumerate() {
        let rows: Vec<(String, Estimate)> = compared
            .iter()
            .filter_map(|measured| {
                Some((measured.setting.title(), scores_at(measured, k)?.difference(metric)?))
            })
            .collect();
        let least = rows.iter().map(|(_, estimate)| low(*estimate)).fold(0.0, f64::min);
        let greatest = rows.iter().map(|(_, estimate)| high(*estimate)).fold(0.0, f64::max);
        let ticks = ticks(least, greatest);
        let (start, end) = (ticks.first().copied().unwrap_or_default(), ticks.last().copied().unwrap_or(1.0));
        let origin = LEFT + NAMES + (left(panel) - LEFT) / PANEL.0 * width;
        let x = |value: f64| origin + (value - start) / (end - start) * (width - GAP);
        svg.text((origin, top + 38.0), Anchor::Start, "panel", title(metric));
        bottom = rows.iter().fold(first, |bottom, _| bottom + ROW);
        for tick in &ticks {
            let style = if *tick == 0.0 { "stroke=\"#555\"" } else { "stroke=\"#ddd\"" };
            svg.line((x(*tick), first - ROW / 2.0 - 4.0), (x(*tick), bottom - ROW / 2.0), style);
            svg.text((x(*tick), bottom + 2.0), Anchor::Middle, "axis", &number(*tick, &ticks));
        }
        let mut y = first;
        for (name, estimate) in rows {
            if panel == 0 {
                svg.text((LEFT + NAMES - 24.0, y + 4.0), Anchor::End, "legend", &name);
            }
            let style = format!("stroke=\"{}\" stroke-width=\"2\"", COLOURS[0]);
            svg.line((x(low(estimate)), y), (x(high(estimate)), y), &style);
            svg.dot((x(estimate.mean), y), COLOURS[0]);
            y += ROW;
        }
    }
    svg.reach(bottom + 14.0);
    bottom + 14.0 - top
}

/// A line per number of correlators, over the least LLR; the engine dashed.
fn by_threshold(svg: &mut Svg, evaluation: &Evaluation, swept: &[(f64, u32, &Scores)], k: u32, top: f64) {
    let mut thresholds: Vec<f64> = swept.iter().map(|(min_llr, ..)| *min_llr).collect();
    thresholds.sort_unstable_by(f64::total_cmp);
    thresholds.dedup();
    let mut limits: Vec<u32> = swept.iter().map(|(_, limit, _)| *limit).collect();
    limits.sort_unstable();
    limits.dedup();
    let marks: Vec<(f64, String)> =
        (0_u32..).zip(&thresholds).map(|(place, least)| (f64::from(place), least.to_string())).collect();
    let horizontal = Horizontal { marks: &marks, title: "minLLR" };
    let engine = evaluation.measured.first().and_then(|measured| scores_at(measured, k));
    for (number, metric) in METRICS.into_iter().enumerate() {
        let all =
            swept.iter().map(|(.., scores)| *scores).chain(engine).map(|scores| scores.mean(metric).mean);
        let (least, greatest) =
            all.fold((f64::INFINITY, 0.0_f64), |(low, high), mean| (low.min(mean), high.max(mean)));
        let panel = Panel::draw(
            svg,
            (left(number), top),
            &format!("{}@{k}", title(metric)),
            &horizontal,
            (least, greatest),
        );
        if let Some(engine) = engine {
            svg.polyline(&panel.across(engine.mean(metric).mean), "#222", true);
        }
        for (limit, colour) in limits.iter().zip(COLOURS.iter().cycle()) {
            let points: Vec<(f64, f64)> = marks
                .iter()
                .zip(&thresholds)
                .filter_map(|((place, _), threshold)| {
                    let found = swept.iter().find(|(least, own, _)| least == threshold && own == limit)?;
                    Some(panel.at(*place, found.2.mean(metric).mean))
                })
                .collect();
            svg.polyline(&points, colour, false);
            points.into_iter().for_each(|point| svg.dot(point, colour));
        }
    }
    let mut lines = vec![("engine".to_owned(), "#222", true)];
    lines.extend(
        limits
            .iter()
            .zip(COLOURS.iter().cycle())
            .map(|(limit, colour)| (format!("top {limit}"), *colour, false)),
    );
    legend(svg, top, &lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_have_points_up_to_the_greatest_length() {
        assert_eq!(lengths(&[1, 5, 3]), [1, 2, 3, 4, 5]);
        assert_eq!(lengths(&[30]), [1, 2, 3, 5, 7, 10, 20, 30]);
        assert_eq!(lengths(&[1000]).last(), Some(&1000));
        assert_eq!(lengths(&[]), [1]);
    }
}
