//! How the chosen latency is spread: a histogram, and a heat map over time. Both have a scale of
//! octaves, so a long tail has as much room as the bulk, and logarithmic counts, so a single
//! late ticket is seen beside a million.

use std::ops::Range;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::percentiles::chosen;
use super::{charts, draw_reason};
use crate::app::format;
use crate::app::heat::{self, BUCKETS, Band, HEAT_SECONDS_MAX};
use crate::app::state::RECENT_SPANS;
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::columns;
use crate::ui::widgets::plot::TimeAxis;

/// Room for the numbers of an axis.
const AXIS_WIDTH: u16 = 6;
/// A past moment has no histogram of the run; it has one of so long before.
const PAST_SPAN: Duration = Duration::from_secs(60);

/// How often each bucket came.
type Counts = [u64; BUCKETS];

/// Returns the span of a histogram; `None` is the run.
fn span(scene: Scene<'_>) -> Option<Duration> {
    let is_past = scene.ui.frozen.as_ref().is_some_and(|frozen| !frozen.is_newest());
    match scene.ui.recent {
        Some(span) => Some(Duration::from_secs(RECENT_SPANS[span] as u64)),
        None => is_past.then_some(PAST_SPAN),
    }
}

/// Returns the head: which latency, of what time, and how many values.
pub(crate) fn histogram_title(scene: Scene<'_>, width: u16) -> String {
    let name = chosen(scene);
    let of = span(scene).map_or_else(|| "run".to_owned(), |span| format!("{} s", span.as_secs()));
    let total: u64 = counts(scene, name).iter().sum();
    let full = format!("Histogram of {name}, {of}, {}", format::counted(total, "value"));
    if full.chars().count() + 6 <= usize::from(width) { full } else { format!("{name}, {of}") }
}

fn counts(scene: Scene<'_>, name: &str) -> Counts {
    let mut all = [0; BUCKETS];
    match span(scene) {
        Some(span) => {
            let until = scene.cursor().unwrap_or(scene.app.at);
            (all, _) = scene.app.heat.sum(name, until, span);
        }
        None => {
            if let Some(histogram) = scene.app.figures.histogram(name) {
                for (bucket, count) in Band::of(histogram).iter() {
                    all[bucket] = u64::from(count);
                }
            }
        }
    }
    all
}

/// Returns the buckets from the first to the last that is not empty, at least an octave.
fn range(counts: &Counts) -> Option<Range<usize>> {
    let first = counts.iter().position(|&count| count > 0)?;
    let last = counts.iter().rposition(|&count| count > 0)?;
    let end = (last + 1).max(first + 4).min(BUCKETS);
    Some(end.saturating_sub(4).min(first)..end)
}

/// Returns a count on the scale of counts, from zero to one.
#[expect(clippy::cast_precision_loss, reason = "a height in a picture")]
fn share(count: u64, most: u64) -> f64 {
    if most == 0 { 0.0 } else { (count as f64).ln_1p() / (most as f64).ln_1p() }
}

/// Draws the histogram of the chosen latency.
pub(crate) fn draw_histogram(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let name = chosen(scene);
    let counts = counts(scene, name);
    let plot = Rect {
        x: area.x + AXIS_WIDTH.min(area.width),
        width: area.width.saturating_sub(AXIS_WIDTH),
        height: area.height.saturating_sub(1),
        ..area
    };
    let Some(range) = range(&counts).filter(|_| !plot.is_empty()) else {
        let why = scene.reason("no value came in this time");
        return draw_reason(why, theme, area, buf);
    };
    let bars = bars(&counts, &range, plot.width);
    let most = bars.iter().copied().max().unwrap_or(0);
    let heights: Vec<Option<f64>> =
        bars.iter().map(|&bar| (bar > 0).then(|| share(bar, most))).collect();
    columns::draw(&heights, 1.0, theme.style(Tone::Accent), theme.is_utf8, plot, buf);
    let quiet = theme.style(Tone::Quiet);
    let mut label = |y: u16, text: String| {
        let width = usize::from(AXIS_WIDTH.min(area.width));
        buf.set_stringn(area.x, y, format!("{text:>5} "), width, quiet);
    };
    #[expect(clippy::cast_precision_loss, reason = "a label")]
    let top = most as f64;
    label(plot.y, format::short(top));
    if plot.height > 4 {
        // The scale is logarithmic: half way up stands the root.
        label(plot.y + plot.height / 2, format::short((top.ln_1p() / 2.0).exp_m1()));
    }
    draw_decades(scene, &range, plot, area, buf);
    draw_percentiles(scene, name, &range, plot, buf);
}

/// Joins buckets into bars, or gives each several columns, so that they fill the width. Of several
/// buckets the sum counts.
fn bars(counts: &Counts, range: &Range<usize>, width: u16) -> Vec<u64> {
    let (width, length) = (usize::from(width), range.len());
    let bar = |x: usize| {
        let from = range.start + x * length / width;
        let to = range.start + ((x + 1) * length / width).max(x * length / width + 1);
        counts[from..to.min(range.end)].iter().sum()
    };
    (0..width).map(bar).collect()
}

/// Returns the column in which a latency stands.
fn column(latency: Duration, range: &Range<usize>, width: u16) -> Option<u16> {
    #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
    let (first, length) = (range.start as f64, range.len() as f64);
    let place = heat::place(latency) * BUCKETS as f64 - first;
    if !(0.0..length).contains(&place) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 65535")]
    let column = (place / length * f64::from(width)) as u16;
    Some(column)
}

/// Writes powers of ten below a histogram, as many as have room.
fn draw_decades(scene: Scene<'_>, range: &Range<usize>, plot: Rect, area: Rect, buf: &mut Buffer) {
    if area.height < 2 {
        return;
    }
    let style = scene.theme().style(Tone::Quiet);
    let y = area.bottom() - 1;
    let mut free = plot.x;
    let steps = (0..8).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    let decades = (0..8).map(|power| 10_u64.pow(power));
    // Within a decade there is nothing else to write.
    let all: Vec<u64> = if range.len() > 12 { decades.collect() } else { steps.collect() };
    for us in all {
        let latency = Duration::from_micros(us);
        let Some(column) = column(latency, range, plot.width) else { continue };
        let text = format::short_span(latency);
        let x = plot.x + column;
        let width = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
        if x >= free && x + width <= plot.right() {
            buf.set_string(x, y, text, style);
            free = x + width + 1;
        }
    }
}

/// Marks the median and the 99th percentile in the top row.
fn draw_percentiles(
    scene: Scene<'_>,
    name: &str,
    range: &Range<usize>,
    plot: Rect,
    buf: &mut Buffer,
) {
    let theme = scene.theme();
    let row = scene.app.latencies.iter().find(|row| row.name == name);
    let Some(spread) = row.and_then(|row| super::latency::figures(scene, row).spread) else {
        return;
    };
    let mut free = plot.x;
    for (text, value) in [("p50", spread.p50), ("p99", spread.p99)] {
        let Some(column) = column(value, range, plot.width) else { continue };
        let x = plot.x + column;
        if x >= free && x + 4 <= plot.right() {
            let mark = format!("{}{text}", theme.pick("▾", "v"));
            buf.set_string(x, plot.y, mark, theme.style(Tone::Strong));
            free = x + 5;
        }
    }
}

/// Returns the head of the heat map.
pub(crate) fn heat_title(scene: Scene<'_>, width: u16) -> String {
    let (name, window) = (chosen(scene), format::window(heat_window(scene)));
    let full = format!("Heat map of {name}, {window}, darkest is most");
    if full.chars().count() + 6 <= usize::from(width) {
        full
    } else {
        format!("Heat of {name}, {window}")
    }
}

fn heat_window(scene: Scene<'_>) -> Duration {
    scene.window().min(Duration::from_secs(HEAT_SECONDS_MAX as u64))
}

/// Draws how the chosen latency was spread over time: columns are moments, rows are latencies.
pub(crate) fn draw_heat(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let name = chosen(scene);
    let window = heat_window(scene);
    // A column has at least a second, or every other one would be empty.
    let seconds = u16::try_from(window.as_secs()).unwrap_or(u16::MAX);
    let width = area.width.saturating_sub(AXIS_WIDTH).min(seconds);
    let plot =
        Rect { x: area.right() - width, width, height: area.height.saturating_sub(1), ..area };
    let axis = TimeAxis::new(scene.edge(), window, width, scene.ui.is_sweeping);
    let (all, cells) = gather(scene, name, axis, width);
    let Some(range) = range(&all).filter(|_| !plot.is_empty()) else {
        let why = scene.reason("no value came in this time");
        return draw_reason(why, theme, area, buf);
    };
    let map = rows(&cells, &range, plot.height);
    let most = map.iter().flatten().copied().max().unwrap_or(0);
    for (row, counts) in map.iter().enumerate() {
        for (x, &count) in (plot.left()..plot.right()).zip(counts) {
            let Some(level) = level(count, most) else { continue };
            let symbol =
                if theme.is_utf8 { ["░", "▒", "▓", "█"] } else { [".", ":", "*", "#"] };
            let tones = [Tone::Quiet, Tone::Accent, Tone::Warning, Tone::Bad];
            let y = plot.bottom() - 1 - u16::try_from(row).unwrap_or(0);
            buf.set_string(x, y, symbol[level], theme.style(tones[level]));
        }
    }
    draw_rows(scene, &range, plot, area, buf);
    charts::draw_marks(scene, axis, plot, buf);
    charts::draw_times(scene, axis, plot, area, buf);
}

/// Returns the counts of all columns together, and of each one.
fn gather(scene: Scene<'_>, name: &str, axis: TimeAxis, width: u16) -> (Counts, Vec<Counts>) {
    let mut all = [0; BUCKETS];
    let mut cells = vec![[0; BUCKETS]; usize::from(width)];
    for (end, band) in scene.app.heat.of(name) {
        let Some(cell) = axis.cell(end).and_then(|cell| cells.get_mut(usize::from(cell))) else {
            continue;
        };
        for (bucket, count) in band.iter() {
            cell[bucket] += u64::from(count);
            all[bucket] += u64::from(count);
        }
    }
    (all, cells)
}

/// Joins buckets into rows, the shortest latencies first; each row has a count for every column.
fn rows(cells: &[Counts], range: &Range<usize>, height: u16) -> Vec<Vec<u64>> {
    let columns: Vec<Vec<u64>> = cells.iter().map(|counts| bars(counts, range, height)).collect();
    (0..usize::from(height)).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
}

/// Returns how dark a count is, from zero to three; `None` for none.
fn level(count: u64, most: u64) -> Option<usize> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 4")]
    (count > 0).then(|| ((share(count, most) * 4.0) as usize).min(3))
}

/// Writes latencies beside the rows of a heat map.
fn draw_rows(scene: Scene<'_>, range: &Range<usize>, plot: Rect, area: Rect, buf: &mut Buffer) {
    let style = scene.theme().style(Tone::Quiet);
    let mut last_y = None;
    for us in (0..8).map(|power| 10_u64.pow(power)) {
        let latency = Duration::from_micros(us);
        let Some(row) = column(latency, range, plot.height) else { continue };
        let y = plot.bottom() - 1 - row;
        if last_y != Some(y) && plot.x >= area.x + AXIS_WIDTH {
            let text = format!("{:>5} ", format::short_span(latency));
            buf.set_stringn(plot.x - AXIS_WIDTH, y, text, usize::from(AXIS_WIDTH), style);
            last_y = Some(y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(usize, u64)]) -> Counts {
        let mut counts = [0; BUCKETS];
        for &(bucket, count) in of {
            counts[bucket] = count;
        }
        counts
    }

    #[test]
    fn bars_lose_no_value_whatever_the_width() {
        let counts = counts(&[(10, 3), (11, 9), (57, 1)]);
        let range = range(&counts).unwrap();
        assert_eq!(range, 10..58);
        for width in [1, 7, 24, 48] {
            assert_eq!(bars(&counts, &range, width).iter().sum::<u64>(), 13, "{width}");
        }
        // With more columns than buckets each bucket has several.
        let wide = bars(&counts, &range, 96);
        assert_eq!(wide[..5], [3, 3, 9, 9, 0]);
        assert!(bars(&counts, &range, 0).is_empty());
    }

    #[test]
    fn a_single_bucket_has_an_octave_around_it() {
        assert_eq!(range(&counts(&[(0, 1)])), Some(0..4));
        assert_eq!(range(&counts(&[(BUCKETS - 1, 1)])), Some(BUCKETS - 4..BUCKETS));
        assert_eq!(range(&counts(&[])), None);
    }

    #[test]
    fn rows_rise_with_the_latency_and_one_ticket_is_seen_beside_a_million() {
        let cells = [counts(&[(20, 1_000_000)]), counts(&[(27, 1)])];
        let map = rows(&cells, &(20..28), 4);
        assert_eq!(map, [[1_000_000, 0], [0, 0], [0, 0], [0, 1]]);
        assert_eq!((level(1, 1_000_000), level(1_000_000, 1_000_000)), (Some(0), Some(3)));
        assert_eq!(level(0, 5), None);
        assert!(level(1_000, 1_000_000) > level(1, 1_000_000));
    }

    #[test]
    fn latencies_stand_where_their_bucket_is() {
        let at = |us| column(Duration::from_micros(us), &(0..BUCKETS), 104);
        assert_eq!((at(1), at(2), at(1_024)), (Some(0), Some(4), Some(40)));
        assert_eq!(column(Duration::from_secs(100), &(0..8), 10), None);
    }
}
