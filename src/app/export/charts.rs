//! Which charts a snapshot has: the run second by second, and percentile curves.

use std::time::Duration;

use engine::clock::nanos;
use engine::perf::Spread;

use super::svg::{Axis, Chart, Kind, Line, POINTS_MAX, Stroke};
use crate::app::history::Second;
use crate::app::state::AppState;

/// Steps per halved distance to 100 % in a percentile curve.
const TICKS_PER_HALF_DISTANCE: u32 = 10;
/// A line breaks where seconds are further apart than this.
const HOLE: Duration = Duration::from_millis(2500);

const NO_SECONDS: &str = "no full second was recorded";
const NO_VALUES: &str = "nothing was measured";

type Points = Vec<(f64, Option<f64>)>;

/// Returns all charts of a snapshot.
pub(super) fn all(state: &AppState) -> Vec<Chart> {
    let seconds = Seconds::new(state);
    vec![
        seconds.chart(
            "throughput",
            "Throughput",
            "requests, completions and rejections per second",
            Axis { label: "per second", kind: Kind::Number, at_least: 0.0 },
            vec![
                ("offered", Stroke::Solid, seconds.rate(Second::offered)),
                ("served", Stroke::Solid, seconds.rate(|s| Some(s.served))),
                ("rejected", Stroke::Dashed, seconds.rate(|s| s.rejected)),
            ],
        ),
        seconds.chart(
            "queue",
            "Queue depth",
            "tickets waiting and in service at the end of each second",
            Axis { label: "tickets", kind: Kind::Number, at_least: 5.0 },
            vec![
                ("waiting", Stroke::Solid, seconds.count(|s| Some(s.waiting))),
                ("in service", Stroke::Solid, seconds.count(|s| Some(s.in_service))),
                ("seats", Stroke::Dotted, seconds.count(|s| s.staffed)),
            ],
        ),
        seconds.latency("wait", "Waiting time of tickets served in each second", |s| s.wait),
        seconds.latency(
            "response",
            "Response time of tickets whose users were told in each second",
            |s| s.response,
        ),
        percentiles(state),
        seconds.chart(
            "utilization",
            "Utilisation",
            "busy seats divided by staffed seats over each second of the measured window",
            Axis { label: "busy", kind: Kind::Share, at_least: 1.0 },
            vec![("busy seats", Stroke::Solid, seconds.points(|s| s.utilization))],
        ),
        seconds.latency("fsync", "Latency of syncs of the log", |s| s.sync),
        seconds.chart(
            "log",
            "Log written",
            "mebibytes appended to the log per second",
            Axis { label: "MiB/s", kind: Kind::Number, at_least: 0.0 },
            vec![(
                "MiB/s",
                Stroke::Solid,
                seconds.points(|s| Some(s.per_second(s.log_bytes) / 1_048_576.0)),
            )],
        ),
    ]
}

/// Says how a chart stands for more seconds than it has room for; `None` if it has room for all.
pub(super) fn thinning_note(state: &AppState) -> Option<String> {
    let seconds = state.history.iter().count();
    (seconds > POINTS_MAX).then(|| {
        let bin = seconds.div_ceil(POINTS_MAX / 2);
        format!("Lines show the least and the greatest value of each {bin} s; series.csv has all.")
    })
}

/// The run second by second.
struct Seconds<'a> {
    seconds: Vec<&'a Second>,
    until: f64,
    shades: Vec<(f64, f64, &'static str)>,
}

impl<'a> Seconds<'a> {
    fn new(state: &'a AppState) -> Self {
        let seconds: Vec<&Second> = state.history.iter().collect();
        let until = seconds.last().map_or(0.0, |last| last.at.as_secs_f64());
        Self { shades: shades(&seconds), until, seconds }
    }

    /// Returns a line of one value a second, with gaps where seconds are missing.
    fn points(&self, value: impl Fn(&Second) -> Option<f64>) -> Points {
        let mut points = Points::with_capacity(self.seconds.len());
        let mut before: Option<&Second> = None;
        for second in &self.seconds {
            if let Some(before) = before
                && second.at.saturating_sub(before.at) > HOLE
            {
                points.push((before.at.as_secs_f64() + 1.0, None));
            }
            // Nothing happens in a pause, which is not the same as that it happens zero times.
            let value = if second.is_paused() { None } else { value(second) };
            points.push((second.at.as_secs_f64(), value));
            before = Some(second);
        }
        points
    }

    fn rate(&self, count: impl Fn(&Second) -> Option<u64>) -> Points {
        self.points(|second| count(second).map(|count| second.per_second(count)))
    }

    #[expect(clippy::cast_precision_loss, reason = "a point of a chart")]
    fn count(&self, count: impl Fn(&Second) -> Option<u64>) -> Points {
        self.points(|second| count(second).map(|count| count as f64))
    }

    fn chart(
        &self,
        name: &'static str,
        title: &str,
        what: &str,
        y: Axis,
        lines: Vec<(&'static str, Stroke, Points)>,
    ) -> Chart {
        let line = |(name, stroke, points)| Line { name, points, stroke };
        Chart {
            name,
            title: title.to_owned(),
            description: format!("{title}: {what}, over the run's time in seconds"),
            x: Axis {
                label: "time since the doors opened",
                kind: Kind::Time,
                at_least: self.until,
            },
            y,
            lines: lines.into_iter().map(line).collect(),
            shades: self.shades.clone(),
            empty: if self.seconds.is_empty() { NO_SECONDS } else { NO_VALUES },
        }
    }

    fn latency(
        &self,
        name: &'static str,
        title: &str,
        spread: impl Fn(&Second) -> Option<Spread>,
    ) -> Chart {
        let part = |part: fn(Spread) -> Duration| {
            self.points(|second| spread(second).map(|spread| ns(part(spread))))
        };
        self.chart(
            name,
            title,
            "median, 99th percentile and maximum of each second, logarithmic",
            Axis { label: "latency", kind: Kind::Latency, at_least: 0.0 },
            vec![
                ("p50", Stroke::Solid, part(|s| s.p50)),
                ("p99", Stroke::Solid, part(|s| s.p99)),
                ("max", Stroke::Dotted, part(|s| s.max)),
            ],
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "a point of a chart")]
fn ns(span: Duration) -> f64 {
    nanos(span) as f64
}

/// Returns the spans that are not measured: the warm-up, and what followed the end of arrivals.
fn shades(seconds: &[&Second]) -> Vec<(f64, f64, &'static str)> {
    let at = |second: &Second| second.at.as_secs_f64();
    let (Some(first), Some(last)) = (seconds.first(), seconds.last()) else { return Vec::new() };
    let start = at(first) - first.span.as_secs_f64();
    let Some(measured) = seconds.iter().position(|second| second.is_measured()) else {
        return vec![(start, at(last), "not measured")];
    };
    let mut shades = Vec::new();
    if measured > 0 {
        shades.push((start, at(seconds[measured - 1]), "warm-up"));
    }
    if let Some(end) = seconds.iter().rposition(|second| second.is_measured())
        && end + 1 < seconds.len()
    {
        shades.push((at(seconds[end]), at(last), "drain"));
    }
    shades
}

/// Percentile curves of all services together.
fn percentiles(state: &AppState) -> Chart {
    let names = ["wait", "sojourn", "response"];
    let lines = names.map(|name| {
        let histogram = state.figures.histogram(name);
        let mut points = Points::new();
        if let Some(histogram) = histogram.filter(|histogram| histogram.count() > 0) {
            for step in histogram.to_hdr().iter_quantiles(TICKS_PER_HALF_DISTANCE) {
                // The maximum stands where the last value does.
                #[expect(clippy::cast_precision_loss, reason = "a point of a chart")]
                let last = histogram.count() as f64;
                let x = (1.0 / (1.0 - step.quantile_iterated_to())).min(last.max(1.0));
                #[expect(clippy::cast_precision_loss, reason = "a point of a chart")]
                points.push((x, Some(step.value_iterated_to() as f64)));
            }
        }
        Line { name, points, stroke: Stroke::Solid }
    });
    Chart {
        name: "percentiles",
        title: "Latency by percentile".to_owned(),
        description: "Wait, sojourn and response time by percentile over the measured window, \
                      both axes logarithmic"
            .to_owned(),
        x: Axis { label: "percentile", kind: Kind::Percentile, at_least: 100.0 },
        y: Axis { label: "latency", kind: Kind::Latency, at_least: 0.0 },
        lines: lines.into(),
        shades: Vec::new(),
        empty: NO_VALUES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::export::testing;

    #[test]
    fn warm_up_and_drain_are_set_apart() {
        let state = testing::state(12);
        let chart = &all(&state)[0];
        assert_eq!(chart.shades, [(0.0, 2.0, "warm-up"), (10.0, 12.0, "drain")]);
        let unmeasured = Second { at: Duration::from_secs(1), ..Second::default() };
        assert_eq!(shades(&[&unmeasured]), [(1.0, 1.0, "not measured")]);
        assert_eq!(shades(&[]), []);
    }

    #[test]
    fn a_pause_is_a_gap_and_every_chart_has_a_name_of_its_own() {
        let mut state = testing::state(4);
        let at = Duration::from_secs(60);
        state.history.push(Second { at, rejected: Some(0), ..Second::default() });
        let charts = all(&state);
        let line = &charts[0].lines[0].points;
        assert_eq!(line.iter().filter(|point| point.1.is_none()).count(), 1, "{line:?}");
        let mut names: Vec<&str> = charts.iter().map(|chart| chart.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), charts.len());
    }

    #[test]
    fn a_percentile_curve_ends_at_the_largest_value() {
        let state = testing::state(4);
        let charts = all(&state);
        let chart = charts.iter().find(|chart| chart.name == "percentiles").unwrap();
        let max = state.figures.histogram("wait").unwrap().max();
        #[expect(clippy::cast_precision_loss, reason = "a point of a chart")]
        let max = max as f64;
        let last = chart.lines[0].points.last().unwrap();
        assert!(last.0.is_finite() && (last.1.unwrap() / max - 1.0).abs() < 1e-3, "{last:?}");
    }

    #[test]
    fn nothing_recorded_is_said() {
        let state = testing::state(0);
        assert!(all(&state)[0].render().contains(NO_SECONDS));
        assert_eq!(thinning_note(&state), None);
        let long = thinning_note(&testing::state(4000)).unwrap();
        assert!(long.contains("each 6 s"), "{long}");
    }
}
