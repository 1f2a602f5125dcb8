//! The two charts: throughput and queue depth over the last minute.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw_reason;
use crate::app::format;
use crate::app::state::Sample;
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::columns::{self, nice_top};

/// Room for the numbers of the axis.
const AXIS_WIDTH: u16 = 8;

/// Returns the head of the throughput chart.
pub(crate) fn throughput_title(scene: Scene<'_>) -> String {
    let rates = &scene.app.rates;
    format!(
        "Tickets/s  served {}  asked {}",
        format::rate(rates.served),
        format::rate(rates.offered)
    )
}

/// Returns the head of the queue chart.
pub(crate) fn queue_title(scene: Scene<'_>) -> String {
    let totals = &scene.app.totals;
    let (waiting, busy) = (format::count(totals.waiting), format::count(totals.in_service));
    format!("Queue  {waiting} waiting  {busy} in service")
}

/// Draws completions per second.
pub(crate) fn draw_throughput(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    draw(scene, Tone::Good, area, buf, |sample| sample.served, mean);
}

/// Draws waiting tickets.
pub(crate) fn draw_queue(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    #[expect(clippy::cast_precision_loss, reason = "a chart for people")]
    let waiting = |sample: &Sample| sample.waiting as f64;
    draw(scene, Tone::Warning, area, buf, waiting, max);
}

fn draw(
    scene: Scene<'_>,
    tone: Tone,
    area: Rect,
    buf: &mut Buffer,
    value: impl Fn(&Sample) -> f64,
    join: fn(&[f64]) -> f64,
) {
    let theme = scene.theme();
    if scene.app.series.is_empty() {
        return draw_reason(scene.reason("the first second is being measured"), theme, area, buf);
    }
    let chart = Rect {
        x: area.x + AXIS_WIDTH.min(area.width),
        width: area.width.saturating_sub(AXIS_WIDTH),
        height: area.height.saturating_sub(1),
        ..area
    };
    let window = scene.window();
    let values = resample(&scene.app.series, window, chart.width, value, join);
    let highest = values.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    let top = nice_top(highest);
    columns::draw(&values, top, theme.style(tone), theme.is_utf8, chart, buf);
    draw_axes(scene, top, area, chart, buf);
}

fn draw_axes(scene: Scene<'_>, top: f64, area: Rect, chart: Rect, buf: &mut Buffer) {
    let style = scene.theme().style(Tone::Quiet);
    let label = |number: f64| format!("{:>7}", format::rate(number));
    let width = usize::from(area.width);
    buf.set_stringn(area.x, area.y, label(top), width, style);
    if chart.height > 6 {
        let middle = chart.y + chart.height / 2;
        buf.set_stringn(area.x, middle, label(top / 2.0), width, style);
    }
    if chart.height > 1 {
        buf.set_stringn(area.x, chart.bottom() - 1, label(0.0), width, style);
    }
    if area.height < 2 {
        return;
    }
    let y = area.bottom() - 1;
    let ago = |span| format!("-{}", format::window(span));
    let (whole, half) = (ago(scene.window()), ago(scene.window() / 2));
    buf.set_stringn(chart.x, y, whole, usize::from(chart.width), style);
    if chart.width > 30 {
        buf.set_string(chart.x + chart.width / 2 - 2, y, half, style);
    }
    if chart.width > 10 {
        buf.set_string(chart.right() - 3, y, "now", style);
    }
}

/// Joins samples into one value per column. Columns stand for fixed spans of time, so the
/// picture moves on in whole columns and does not flicker.
pub(crate) fn resample(
    series: &[Sample],
    window: Duration,
    width: u16,
    value: impl Fn(&Sample) -> f64,
    join: fn(&[f64]) -> f64,
) -> Vec<Option<f64>> {
    let (Some(last), 1..) = (series.last(), width) else { return Vec::new() };
    let step = (engine::clock::nanos(window) / u64::from(width)).max(1);
    let column = |sample: &Sample| sample.at.0 / step;
    let first_column = column(last).saturating_sub(u64::from(width) - 1);
    let mut columns = vec![Vec::new(); usize::from(width)];
    for sample in series.iter().rev() {
        let Some(index) = column(sample).checked_sub(first_column) else { break };
        if let Some(values) = usize::try_from(index).ok().and_then(|index| columns.get_mut(index)) {
            values.push(value(sample));
        }
    }
    // Four samples a second leave gaps in a chart with more columns than that.
    let mut previous = None;
    let filled = columns.iter().map(|values| {
        if !values.is_empty() {
            previous = Some(join(values));
        }
        previous
    });
    filled.collect()
}

#[expect(clippy::cast_precision_loss, reason = "a few samples")]
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

pub(crate) fn max(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |a, b| a.max(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::clock::Time;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sample(ms: u64, served: f64) -> Sample {
        let at = Time(ms * 1_000_000);
        Sample { at, offered: served, served, waiting: 0, in_service: 0 }
    }

    #[test]
    fn columns_are_fixed_spans_and_join_their_samples() {
        let series =
            [sample(3_000, 9.0), sample(60_000, 2.0), sample(60_250, 4.0), sample(65_000, 6.0)];
        let values = resample(&series, MINUTE, 12, |sample| sample.served, mean);
        assert_eq!(values.len(), 12);
        assert_eq!(values[0], None, "what is older than the window is not shown");
        assert_eq!((values[10], values[11]), (Some(3.0), Some(6.0)));
        assert!(resample(&series, MINUTE, 0, |sample| sample.served, mean).is_empty());
        assert!(resample(&[], MINUTE, 9, |sample| sample.served, max).is_empty());
    }
}
