//! Line charts as SVG: pure, no script, no outside resource.
//!
//! Colours are classes (`c0`, `c1`, ...) and custom properties of the page that holds the chart,
//! so that one chart is right on a light and on a dark page. A line breaks where nothing is
//! known. Long lines are thinned to the least and the greatest value of each bin, so that no peak
//! is lost.

use std::fmt::Write as _;
use std::time::Duration;

use crate::app::format;

/// Points of a line that are drawn at most.
pub(super) const POINTS_MAX: usize = 1500;
/// A line of more points is drawn thinner.
const DENSE_POINTS: usize = 400;
/// An axis that ends lower than this has nothing on it.
const LEAST: f64 = 1e-9;
/// Numbers beyond this are none.
const GREATEST: f64 = 1e18;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 34.0;
/// About how wide a letter of the legend is.
const LETTER: f64 = 6.7;
const LEGEND_MARK: f64 = 22.0;
const LEGEND_GAP: f64 = 16.0;

/// A chart of lines over a common axis.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// A word for the element's name: plain characters.
    pub(super) name: &'static str,
    pub(super) title: String,
    /// What it shows, for those who can't see it.
    pub(super) description: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
    /// Spans of the horizontal axis that are set apart, and why.
    pub(super) shades: Vec<(f64, f64, &'static str)>,
    /// What stands there when no line has a point.
    pub(super) empty: &'static str,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    /// The axis reaches at least this far.
    pub(super) at_least: f64,
}

/// What stands on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers from zero.
    Number,
    /// Shares from zero, as percent.
    Share,
    /// Seconds from zero.
    Time,
    /// Nanoseconds, logarithmic.
    Latency,
    /// 1 ÷ (1 − percentile), logarithmic.
    Percentile,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) name: &'static str,
    /// Points from left to right; without a height where nothing is known.
    pub(super) points: Vec<(f64, Option<f64>)>,
    pub(super) stroke: Stroke,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    Solid,
    Dashed,
    Dotted,
}

impl Kind {
    fn is_log(self) -> bool {
        matches!(self, Self::Latency | Self::Percentile)
    }
}

/// The part of an axis that is shown, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    low: f64,
    high: f64,
    is_log: bool,
    from: f64,
    to: f64,
}

impl Span {
    fn new(axis: Axis, values: impl Iterator<Item = f64>, (from, to): (f64, f64)) -> Self {
        let values = values.filter(|&value| is_drawable(value));
        let (low, high) = match axis.kind {
            Kind::Percentile => (1.0, values.fold(axis.at_least.max(10.0), f64::max)),
            Kind::Latency => {
                let (low, high) = values
                    .filter(|&value| value > 0.0)
                    .fold((f64::INFINITY, axis.at_least), |(low, high), value| {
                        (low.min(value), high.max(value))
                    });
                // Latencies below a microsecond are not told apart.
                let low = 10_f64.powf(low.min(high).max(1e3).log10().floor());
                (low, 10_f64.powf(high.max(low * 1.001).log10().ceil()))
            }
            Kind::Time => (0.0, values.fold(axis.at_least, f64::max)),
            Kind::Number | Kind::Share => {
                let high = values.fold(axis.at_least, f64::max);
                let high = if high > LEAST { high } else { 1.0 };
                let step = nice_step(high / 5.0);
                (0.0, (high / step).ceil() * step)
            }
        };
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, is_log: axis.kind.is_log(), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = if self.is_log {
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }
}

/// Returns whether a number can stand on an axis.
fn is_drawable(value: f64) -> bool {
    value.abs() <= GREATEST
}

/// Returns the least of 1, 2, 5, 10, 20... that is no smaller.
fn nice_step(step: f64) -> f64 {
    let magnitude = 10_f64.powf(step.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * magnitude);
    let mut larger = nice.filter(|&nice| nice >= step * 0.999_999);
    larger.next().unwrap_or(10.0 * magnitude)
}

/// Returns where an axis has marks, with their words.
fn ticks(kind: Kind, span: &Span) -> Vec<(f64, String)> {
    let (low, high) = (span.low, span.high);
    let every = |step: f64| -> Vec<f64> {
        let count = (high / step + 1e-9).floor();
        let mut ticks = vec![0.0];
        while let Some(&last) = ticks.last()
            && last / step < count - 0.5
        {
            ticks.push(((last / step).round() + 1.0) * step);
        }
        ticks
    };
    match kind {
        Kind::Number => {
            every(nice_step(high / 5.0)).into_iter().map(|tick| (tick, plain(tick))).collect()
        }
        Kind::Share => every(nice_step(high / 5.0))
            .into_iter()
            .map(|tick| (tick, format!("{} %", plain(tick * 100.0))))
            .collect(),
        Kind::Time => {
            let steps = [
                0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0,
                3600.0, 7200.0, 14_400.0,
            ];
            let step = steps.into_iter().find(|step| high / step <= 8.0).unwrap_or(high / 6.0);
            let words = |tick: f64| {
                if step < 1.0 {
                    format!("{tick:.1}")
                } else {
                    format::stopwatch(Duration::try_from_secs_f64(tick).unwrap_or_default())
                }
            };
            every(step).into_iter().map(|tick| (tick, words(tick))).collect()
        }
        Kind::Latency => {
            let decades = (high / low).log10();
            let digits: &[f64] = if decades < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let skip = if decades > 7.5 { 2 } else { 1 };
            let marks = powers(low, high).into_iter().step_by(skip);
            let marks = marks.flat_map(|decade| digits.iter().map(move |digit| decade * digit));
            let shown = marks.filter(|&tick| tick <= high * 1.001);
            shown.map(|tick| (tick, latency(tick))).collect()
        }
        Kind::Percentile => {
            powers(low, high).into_iter().map(|tick| (tick, percentile(tick))).collect()
        }
    }
}

/// Returns the powers of ten from one on.
fn powers(low: f64, high: f64) -> Vec<f64> {
    let mut powers = vec![low];
    while let Some(&last) = powers.last()
        && last * 10.0 <= high * 1.001
    {
        powers.push(last * 10.0);
    }
    powers
}

/// Writes a number with no more decimals than it has.
fn plain(number: f64) -> String {
    if number >= 10_000.0 {
        return format::rate(number);
    }
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes nanoseconds as a mark of an axis.
fn latency(ns: f64) -> String {
    let (unit, name) = match ns {
        ..0.999e3 => (1.0, "ns"),
        ..0.999e6 => (1e3, "µs"),
        ..0.999e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    format!("{} {name}", plain((ns / unit * 100.0).round() / 100.0))
}

/// Writes 1 ÷ (1 − percentile) as a percentile: `0 %`, `90 %`, `99.9 %`.
fn percentile(x: f64) -> String {
    format!("{} %", plain(100.0 - 100.0 / x))
}

/// Thins a line to at most [`POINTS_MAX`] points: the least and greatest of each bin.
fn thinned(points: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    if points.len() <= POINTS_MAX {
        return points.to_vec();
    }
    let bin = points.len().div_ceil(POINTS_MAX / 2);
    let mut thin = Vec::with_capacity(POINTS_MAX);
    for points in points.chunks(bin) {
        let known = || points.iter().filter(|(_, y)| y.is_some());
        let by_height = |a: &&(f64, Option<f64>), b: &&(f64, Option<f64>)| {
            a.1.unwrap_or_default().total_cmp(&b.1.unwrap_or_default())
        };
        match (known().min_by(by_height), known().max_by(by_height)) {
            (Some(low), Some(high)) if low.0 < high.0 => thin.extend([*low, *high]),
            (Some(low), Some(high)) if high.0 < low.0 => thin.extend([*high, *low]),
            (Some(only), _) => thin.push(*only),
            _ => thin.push((points[0].0, None)),
        }
    }
    thin
}

/// Returns a text that XML and HTML take as it is meant.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // Neither takes other control characters.
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

impl Chart {
    /// Draws the chart.
    pub(super) fn render(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Span::new(self.x, points().map(|point| point.0), (LEFT, WIDTH - RIGHT));
        let y = Span::new(self.y, points().filter_map(|point| point.1), (HEIGHT - BOTTOM, TOP));
        let mut svg = String::new();
        // Writing to a string can't fail.
        let _ = writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"img\" aria-labelledby=\"{0}-title {0}-desc\" class=\"chart\">\n\
             <title id=\"{0}-title\">{1}</title>\n<desc id=\"{0}-desc\">{2}</desc>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"18\">{1}</text>",
            self.name,
            escaped(&self.title),
            escaped(&self.description),
        );
        self.draw_shades(&mut svg, &x);
        self.draw_axes(&mut svg, &x, &y);
        self.draw_legend(&mut svg);
        for (number, line) in self.lines.iter().enumerate() {
            draw_line(&mut svg, number, line, &x, &y);
        }
        if points().all(|point| point.1.is_none()) {
            let (middle, height) = ((LEFT + WIDTH - RIGHT) / 2.0, (TOP + HEIGHT - BOTTOM) / 2.0);
            let empty = escaped(self.empty);
            let _ = writeln!(
                svg,
                "<text class=\"empty\" x=\"{middle}\" y=\"{height}\" text-anchor=\"middle\">{empty}</text>"
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_shades(&self, svg: &mut String, x: &Span) {
        for &(from, to, why) in &self.shades {
            let (from, to) = (x.place(from), x.place(to));
            let height = HEIGHT - BOTTOM - TOP;
            let _ = writeln!(
                svg,
                "<rect class=\"shade\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{height}\"/>",
                to - from
            );
            if to - from > LETTER * 9.0 {
                let _ = writeln!(
                    svg,
                    "<text class=\"tick\" x=\"{:.1}\" y=\"{}\">{}</text>",
                    from + 4.0,
                    TOP + 13.0,
                    escaped(why)
                );
            }
        }
    }

    fn draw_axes(&self, svg: &mut String, x: &Span, y: &Span) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (tick, words) in ticks(self.y.kind, y) {
            let at = y.place(tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>\
                 <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                at + 4.0,
                escaped(&words)
            );
        }
        for (tick, words) in ticks(self.x.kind, x) {
            let at = x.place(tick);
            let anchor = if at > right - 24.0 { "end" } else { "middle" };
            let _ = writeln!(
                svg,
                "<line class=\"axis\" x1=\"{at:.1}\" y1=\"{bottom}\" x2=\"{at:.1}\" y2=\"{}\"/>\
                 <text class=\"tick\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                bottom + 4.0,
                bottom + 16.0,
                escaped(&words)
            );
        }
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <text class=\"tick\" x=\"4\" y=\"{}\">{}</text>",
            HEIGHT - 4.0,
            escaped(self.x.label),
            TOP - 12.0,
            escaped(self.y.label)
        );
    }

    fn draw_legend(&self, svg: &mut String) {
        let mut at = LEFT;
        for (number, line) in self.lines.iter().enumerate() {
            let (end, words) = (at + LEGEND_MARK, at + LEGEND_MARK + 6.0);
            let stroke = line.stroke.class();
            let _ = writeln!(
                svg,
                "<path class=\"line c{number}{stroke}\" d=\"M{at:.1} 34H{end:.1}\"/>\
                 <text class=\"legend\" x=\"{words:.1}\" y=\"38\">{}</text>",
                escaped(line.name)
            );
            #[expect(clippy::cast_precision_loss, reason = "a few letters")]
            let letters = line.name.chars().count() as f64;
            at = words + letters * LETTER + LEGEND_GAP;
        }
    }
}

impl Stroke {
    fn class(self) -> &'static str {
        match self {
            Self::Solid => "",
            Self::Dashed => " dashed",
            Self::Dotted => " dotted",
        }
    }
}

fn draw_line(svg: &mut String, number: usize, line: &Line, x: &Span, y: &Span) {
    let mut path = String::new();
    let mut is_drawing = false;
    let thin = thinned(&line.points);
    for (index, &(at, height)) in thin.iter().enumerate() {
        let Some(height) = height.filter(|&height| is_drawable(height) && is_drawable(at)) else {
            is_drawing = false;
            continue;
        };
        let command = if is_drawing { 'L' } else { 'M' };
        let _ = write!(path, "{command}{:.1} {:.1}", x.place(at), y.place(height));
        let is_alone = !is_drawing && thin.get(index + 1).is_none_or(|next| next.1.is_none());
        if is_alone {
            // A round end makes it a dot.
            path.push_str("h0.01");
        }
        is_drawing = true;
    }
    if !path.is_empty() {
        let stroke = line.stroke.class();
        // Where points are dense, lines leave room for each other.
        let dense = if thin.len() > DENSE_POINTS { " dense" } else { "" };
        let _ = writeln!(svg, "<path class=\"line c{number}{stroke}{dense}\" d=\"{path}\"/>");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_numbers_make_a_whole_chart(
            points in prop::collection::vec((prop::num::f64::ANY, prop::option::of(prop::num::f64::ANY)), 0..40),
            kinds in prop::sample::subsequence(
                vec![Kind::Number, Kind::Share, Kind::Time, Kind::Latency, Kind::Percentile], 2),
        ) {
            let chart = Chart { x: axis(kinds[0]), y: axis(kinds[1]), ..chart(points) };
            let svg = chart.render();
            roxmltree::Document::parse(&svg).unwrap();
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    fn axis(kind: Kind) -> Axis {
        Axis { label: "label", kind, at_least: 0.0 }
    }

    fn chart(points: Vec<(f64, Option<f64>)>) -> Chart {
        Chart {
            name: "test",
            title: "A <chart> & more".to_owned(),
            description: "it's \"quoted\"".to_owned(),
            x: axis(Kind::Time),
            y: axis(Kind::Number),
            lines: vec![Line { name: "a<b", points, stroke: Stroke::Solid }],
            shades: vec![(0.0, 2.0, "warm-up")],
            empty: "nothing",
        }
    }

    fn words(kind: Kind, values: &[f64]) -> Vec<String> {
        let span = Span::new(axis(kind), values.iter().copied(), (0.0, 100.0));
        ticks(kind, &span).into_iter().map(|(_, words)| words).collect()
    }

    #[test]
    fn marks_are_round_and_cover_the_axis() {
        for (kind, values, wanted) in [
            (Kind::Number, &[0.0, 87.0][..], "0 20 40 60 80 100"),
            (Kind::Number, &[0.31], "0 0.1 0.2 0.3 0.4"),
            (Kind::Number, &[], "0 0.2 0.4 0.6 0.8 1"),
            (Kind::Number, &[43_000.0], "0 10 000 20 000 30 000 40 000 50 000"),
            (Kind::Share, &[1.0], "0 % 20 % 40 % 60 % 80 % 100 %"),
            (Kind::Time, &[60.0], "00:00 00:10 00:20 00:30 00:40 00:50 01:00"),
            (Kind::Time, &[2.0], "0.0 0.5 1.0 1.5 2.0"),
            (
                Kind::Time,
                &[7200.0],
                "00:00 15:00 30:00 45:00 1:00:00 1:15:00 1:30:00 1:45:00 2:00:00",
            ),
            (Kind::Latency, &[2.1e6, 8e6], "1 ms 2 ms 5 ms 10 ms"),
            (Kind::Latency, &[0.0, 2e3, 8e8], "1 µs 10 µs 100 µs 1 ms 10 ms 100 ms 1 s"),
            (Kind::Latency, &[], "1 µs 2 µs 5 µs 10 µs"),
            (Kind::Percentile, &[4000.0], "0 % 90 % 99 % 99.9 %"),
        ] {
            assert_eq!(words(kind, values).join(" "), wanted, "{kind:?} {values:?}");
        }
    }

    #[test]
    fn a_log_axis_gives_each_decade_the_same_room() {
        let span = Span::new(axis(Kind::Latency), [1e6, 1e9].into_iter(), (300.0, 0.0));
        let near = |value, wanted: f64| assert!((span.place(value) - wanted).abs() < 1e-6);
        near(1e6, 300.0);
        near(1e7, 200.0);
        near(1e9, 0.0);
        near(0.0, 300.0);
    }

    #[test]
    fn lines_break_where_nothing_is_known() {
        let svg = chart(vec![(0.0, Some(1.0)), (1.0, Some(2.0)), (2.0, None), (3.0, Some(2.0))]);
        let svg = svg.render();
        let path = svg.lines().rfind(|line| line.starts_with("<path")).unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        assert!(path.ends_with("h0.01\"/>"), "one point alone is a dot: {path}");
    }

    #[test]
    fn what_people_wrote_can_not_break_the_page() {
        let svg = chart(Vec::new()).render();
        let parsed = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<&str> =
            parsed.descendants().filter_map(|node| node.text()).filter(|t| *t != "\n").collect();
        for text in ["A <chart> & more", "it's \"quoted\"", "a<b", "nothing"] {
            assert!(texts.contains(&text), "{text:?} in {texts:?}");
        }
        assert_eq!(escaped("a\0\u{1b}[2J\n"), "a\u{fffd}\u{fffd}[2J\n");
    }

    #[test]
    fn thinning_keeps_every_peak() {
        let mut points: Vec<(f64, Option<f64>)> =
            (0..20_000).map(|second| (f64::from(second), Some(1.0))).collect();
        points[12_345].1 = Some(99.0);
        points[777].1 = Some(-5.0);
        for point in &mut points[5000..6000] {
            point.1 = None;
        }
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS_MAX && thin.is_sorted_by(|a, b| a.0 < b.0));
        assert!(thin.contains(&(12_345.0, Some(99.0))) && thin.contains(&(777.0, Some(-5.0))));
        assert!(thin.iter().any(|point| point.1.is_none()), "the gap is still there");
        assert_eq!(thinned(&points[..1000]), points[..1000]);
    }
}
