//! Charts as SVG text: panels with axes, lines with error bars or bands, points with error bars.

use std::fmt::{Display, Write};

/// Colours that people with any colour vision can tell apart (Okabe and Ito 2008), by falling contrast to white.
pub const COLOURS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999"];
/// Room of one panel with its axes.
pub const PANEL: (f64, f64) = (350.0, 290.0);
const MARGIN: Margin = Margin { left: 58.0, right: 14.0, top: 34.0, bottom: 44.0 };

struct Margin {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// An SVG document in the making. Units are pixels at its natural size.
pub struct Svg {
    body: String,
    width: f64,
    height: f64,
}

/// How text is anchored.
#[derive(Clone, Copy)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

impl Svg {
    /// As wide as this; as high as what is drawn.
    pub fn new(width: f64) -> Self {
        Self { body: String::new(), width, height: 0.0 }
    }

    fn push(&mut self, element: impl Display) {
        let _ = writeln!(self.body, "{element}");
    }

    /// The drawing reaches down to here.
    pub fn reach(&mut self, y: f64) {
        self.height = self.height.max(y);
    }

    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        ));
    }

    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), style: &str) {
        self.push(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>"
        ));
    }

    pub fn polyline(&mut self, points: &[(f64, f64)], colour: &str, dashed: bool) {
        let dashes = if dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let points = listed(points);
        self.push(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>"
        ));
    }

    pub fn area(&mut self, points: &[(f64, f64)], colour: &str) {
        let points = listed(points);
        self.push(format_args!("<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"0.15\"/>"));
    }

    pub fn dot(&mut self, (x, y): (f64, f64), colour: &str) {
        self.push(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"));
    }

    /// The document.
    pub fn finish(self) -> String {
        let Self { body, width, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <style>.title{{font-size:15px;font-weight:bold}}.panel{{font-size:13px;font-weight:bold}}.axis{{fill:#555}}\
             .note{{fill:#555}}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }
}

fn listed(points: &[(f64, f64)]) -> String {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    points.join(" ")
}

/// XML's special characters as entities; characters that XML cannot hold as blanks.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// An axis: what lies between two values, on a length in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    from: f64,
    to: f64,
    /// Pixels of both ends.
    ends: (f64, f64),
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let (start, end) = self.ends;
        let width = self.to - self.from;
        let share = if width > 0.0 { (value - self.from) / width } else { 0.5 };
        start + share * (end - start)
    }
}

/// Round numbers that cover the values: each tick, the first at or below the least, the last at or above the greatest;
/// at least two.
pub fn ticks(least: f64, greatest: f64) -> Vec<f64> {
    const WANTED: f64 = 5.0;
    // Equal values need room, too.
    let greatest = if greatest - least < 1e-9 { least + 1.0 } else { greatest };
    let width = greatest - least;
    let power = 10_f64.powf((width / WANTED).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| width / step <= WANTED).unwrap_or(10.0 * power);
    let (first, last) = ((least / step).floor(), (greatest / step).ceil());
    let mut ticks = Vec::new();
    let mut tick = first;
    while tick <= last {
        // no -0
        ticks.push(tick * step + 0.0);
        tick += 1.0;
    }
    ticks
}

/// A panel of a chart: a title, marked axes, and places for values.
pub struct Panel {
    x: Scale,
    y: Scale,
}

/// What the horizontal axis of a panel shows.
pub struct Horizontal<'a> {
    /// Value and text of each mark, ascending.
    pub marks: &'a [(f64, String)],
    /// Below the marks.
    pub title: &'a str,
}

impl Panel {
    /// Draws the frame at a place; `values` are to fit in.
    pub fn draw(
        svg: &mut Svg,
        (left, top): (f64, f64),
        title: &str,
        horizontal: &Horizontal<'_>,
        values: (f64, f64),
    ) -> Self {
        let (right, bottom) = (left + PANEL.0 - MARGIN.right, top + PANEL.1 - MARGIN.bottom);
        let (left, top) = (left + MARGIN.left, top + MARGIN.top);
        let marks = horizontal.marks;
        let value = |mark: Option<&(f64, String)>| mark.map_or(0.0, |(value, _)| *value);
        let inset = 10.0;
        let x = Scale {
            from: value(marks.first()),
            to: value(marks.last()),
            ends: (left + inset, right - inset),
        };
        let ticks = ticks(values.0, values.1);
        let end = |tick: Option<&f64>| tick.copied().unwrap_or_default();
        let y = Scale { from: end(ticks.first()), to: end(ticks.last()), ends: (bottom, top) };
        svg.text((left, top - 12.0), Anchor::Start, "panel", title);
        for tick in &ticks {
            let height = y.at(*tick);
            svg.line((left, height), (right, height), "stroke=\"#ddd\"");
            svg.text((left - 6.0, height + 4.0), Anchor::End, "axis", &number(*tick, &ticks));
        }
        svg.line((left, bottom), (right, bottom), "stroke=\"#555\"");
        for (mark, text) in marks {
            svg.text((x.at(*mark), bottom + 17.0), Anchor::Middle, "axis", text);
        }
        let middle = f64::midpoint(left, right);
        svg.text((middle, bottom + 34.0), Anchor::Middle, "axis", horizontal.title);
        svg.reach(bottom + MARGIN.bottom);
        Self { x, y }
    }

    /// Pixels of a value.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.at(x), self.y.at(y))
    }

    /// Both ends of the horizontal axis, at a height.
    pub fn across(&self, y: f64) -> [(f64, f64); 2] {
        [self.x.ends.0 - 10.0, self.x.ends.1 + 10.0].map(|x| (x, self.y.at(y)))
    }
}

/// A tick with as many decimals as its neighbours need.
pub fn number(tick: f64, ticks: &[f64]) -> String {
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let mut decimals = 0;
    let mut unit = 1.0;
    while decimals < 6 && step < unit * 0.999 {
        unit /= 10.0;
        decimals += 1;
    }
    format!("{tick:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover() {
        assert_eq!(ticks(0.0, 0.47), [0.0, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5]);
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        for (least, greatest) in [(0.0, 0.0), (-0.013, 0.002), (3.0, 3.0), (-5.0, 1234.5), (0.0, 1e-7)] {
            let ticks = ticks(least, greatest);
            assert!((2..9).contains(&ticks.len()), "{ticks:?}");
            assert!(ticks[0] <= least && *ticks.last().unwrap() >= greatest, "{ticks:?}");
        }
    }

    #[test]
    fn numbers_show_what_tells_them_apart() {
        assert_eq!(
            ticks(0.0, 0.47).iter().map(|tick| number(*tick, &[0.0, 0.1])).collect::<String>(),
            "0.00.10.20.30.40.5"
        );
        assert_eq!(number(0.02, &[0.0, 0.02]), "0.02");
        assert_eq!(number(200.0, &[0.0, 200.0]), "200");
    }

    #[test]
    fn text_cannot_break_out() {
        assert_eq!(escaped("a<b>&\"c\u{1}"), "a&lt;b&gt;&amp;\"c ");
    }
}
