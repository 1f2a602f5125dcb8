//! How the chosen latency is spread: a histogram, and a heat map over time. Both have a scale of
//! octaves, so a long tail has as much room as the bulk, and logarithmic counts, so a single
//! late ticket is seen beside a million.

use std::ops::Range;
use std::time::Duration;

use engine::clock::Time;
use engine::perf::Histogram;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::latency::is_of_second;
use super::percentiles::chosen;
use super::{Pieces, charts, draw_pieces, draw_reason};
use crate::app::format;
use crate::app::heat::{self, BUCKETS, Band, HEAT_SECONDS_MAX};
use crate::app::state::RECENT_SPANS;
use crate::ui::theme::{HEAT_MAX, Theme, Tone};
use crate::ui::view::Scene;
use crate::ui::widgets::columns;
use crate::ui::widgets::plot::TimeAxis;

/// Room for the numbers of an axis.
const AXIS_WIDTH: u16 = 6;
/// A past moment has no histogram of the run; it has one of so long before.
const PAST_SPAN: Duration = Duration::from_secs(60);

/// A heat map that is this high says what its shades stand for.
const LEGEND_HEIGHT_FROM: u16 = 8;

/// How often each bucket came.
type Counts = [u64; BUCKETS];

/// Returns the span of a histogram; `None` is the run.
fn span(scene: Scene<'_>) -> Option<Duration> {
    if let Some((from, to)) = scene.ui.range {
        return Some(to.since(from));
    }
    let is_past = scene.ui.frozen.as_ref().is_some_and(|frozen| !frozen.is_newest());
    match scene.ui.recent {
        Some(span) => Some(Duration::from_secs(RECENT_SPANS[span] as u64)),
        None => is_past.then_some(PAST_SPAN),
    }
}

/// Returns where that span ends.
fn until(scene: Scene<'_>) -> Time {
    scene.ui.range.map(|(_, to)| to).or(scene.cursor()).unwrap_or(scene.app.at)
}

/// Returns the head: which latency, of what time, and how many values.
pub(crate) fn histogram_title(scene: Scene<'_>, width: u16) -> String {
    let name = chosen(scene);
    let (of, total) = match span(scene) {
        Some(span) => {
            let of = match scene.ui.range {
                Some(_) => format!("the {} selected", format::duration(span)),
                None => format!("last {} s", span.as_secs()),
            };
            (of, scene.app.heat.sum(name, until(scene), span).1)
        }
        None => ("run".to_owned(), scene.app.figures.histogram(name).map_or(0, Histogram::count)),
    };
    let short = format!("Histogram of {name}, {of}");
    let full = format!("{short}, {}, counts on a log scale", format::counted(total, "value"));
    fitting([full, short, format!("{name}, {of}")], width)
}

/// Returns the longest of some heads that fits, or the last one.
fn fitting<const N: usize>(heads: [String; N], width: u16) -> String {
    let fits = |head: &String| head.chars().count() + 6 <= usize::from(width);
    let at = heads.iter().position(fits).unwrap_or(N - 1);
    heads.into_iter().nth(at).unwrap_or_default()
}

/// Returns whether the percentiles that are known are of the time that the histogram is of.
fn has_percentiles(scene: Scene<'_>) -> bool {
    if scene.ui.range.is_some() {
        return false;
    }
    let of_figures = match scene.ui.recent {
        _ if is_of_second(scene) => Some(1),
        span => span.map(|span| RECENT_SPANS[span] as u64),
    };
    span(scene).map(|span| span.as_secs()) == of_figures
}

fn counts(scene: Scene<'_>, name: &str) -> Counts {
    let mut all = [0; BUCKETS];
    match span(scene) {
        Some(span) => {
            (all, _) = scene.app.heat.sum(name, until(scene), span);
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
        let why = scene.reason_in_time("no value came in this time");
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
    for (row, count) in count_rows(most, plot.height) {
        #[expect(clippy::cast_precision_loss, reason = "a label")]
        label(plot.y + row, format::short(count as f64));
    }
    draw_decades(scene, &range, plot, area, buf);
    if has_percentiles(scene) {
        draw_percentiles(scene, name, &range, plot, buf);
    }
}

/// Returns which counts stand beside which rows of a histogram, from the top down: the greatest, and
/// powers of ten where a bar of so many ends, each with a row of its own.
fn count_rows(most: u64, height: u16) -> Vec<(u16, u64)> {
    let mut rows = vec![(0, most)];
    let powers = (0..20).rev().map(|power| 10_u64.saturating_pow(power));
    for count in powers.filter(|count| *count < most) {
        // Bars end at eighths of a row.
        let eighths = (share(count, most) * f64::from(height) * 8.0).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 65535")]
        let high = (eighths / 8.0).ceil() as u16;
        let row = height.saturating_sub(high.max(1));
        // A row between two labels keeps them apart.
        if rows.last().is_some_and(|(last, _)| last + 1 < row) {
            rows.push((row, count));
        }
    }
    rows
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
    fitting([format!("Heat map of {name}, {window}"), format!("Heat of {name}, {window}")], width)
}

fn heat_window(scene: Scene<'_>) -> Duration {
    scene.window().min(Duration::from_secs(HEAT_SECONDS_MAX as u64))
}

/// Draws how the chosen latency was spread over time: columns are moments, rows are latencies.
pub(crate) fn draw_heat(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let name = chosen(scene);
    let window = heat_window(scene);
    let has_legend = area.height >= LEGEND_HEIGHT_FROM;
    let legend_line = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
    let area = Rect { height: area.height - u16::from(has_legend), ..area };
    // A column has at least a second, or every other one would be empty.
    let seconds = u16::try_from(window.as_secs()).unwrap_or(u16::MAX);
    let width = area.width.saturating_sub(AXIS_WIDTH).min(seconds);
    let plot =
        Rect { x: area.right() - width, width, height: area.height.saturating_sub(1), ..area };
    let axis = TimeAxis::new(scene.edge(), window, width, scene.ui.is_sweeping);
    let (all, cells) = gather(scene, name, axis, width);
    let Some(range) = range(&all).filter(|_| !plot.is_empty()) else {
        let why = scene.reason_in_time("no value came in this time");
        return draw_reason(why, scene.theme(), area, buf);
    };
    let map = rows(&cells, &range, plot.height);
    let most = map.iter().flatten().copied().max().unwrap_or(0);
    for (row, counts) in map.iter().enumerate() {
        for (x, &count) in (plot.left()..plot.right()).zip(counts) {
            let Some(level) = level(count, most) else { continue };
            let (symbol, tone) = shade(scene.theme(), level);
            let y = plot.bottom() - 1 - u16::try_from(row).unwrap_or(0);
            buf.set_string(x, y, symbol, scene.theme().style(tone));
        }
    }
    if has_legend {
        draw_pieces(&legend(scene.theme(), most), scene.theme(), legend_line, buf);
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
fn level(count: u64, most: u64) -> Option<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 4")]
    (count > 0).then(|| ((share(count, most) * f64::from(HEAT_MAX + 1)) as u8).min(HEAT_MAX))
}

/// Returns how a cell of a heat map looks.
fn shade(theme: Theme, level: u8) -> (&'static str, Tone) {
    let symbols = if theme.is_utf8 { ["░", "▒", "▓", "█"] } else { [".", ":", "*", "#"] };
    (symbols[usize::from(level.min(HEAT_MAX))], Tone::Heat(level))
}

/// Returns from how many tickets on a cell looks how.
fn legend(theme: Theme, most: u64) -> Pieces {
    let mut pieces = vec![(" tickets:".to_owned(), Tone::Quiet)];
    let mut last = 0;
    for least in leasts(most) {
        // Where there are few tickets, some shades stand for none.
        if let Some(level) = level(least, most).filter(|_| least > last && least <= most) {
            let (symbol, tone) = shade(theme, level);
            #[expect(clippy::cast_precision_loss, reason = "a label")]
            let count = format::short(least as f64);
            pieces.extend([(format!(" {symbol} "), tone), (format!("{count}+"), Tone::Quiet)]);
            last = least;
        }
    }
    pieces
}

/// Returns the least count of each shade.
fn leasts(most: u64) -> impl Iterator<Item = u64> {
    (0..=HEAT_MAX).map(move |wanted| {
        #[expect(clippy::cast_precision_loss, reason = "a scale of four shades")]
        let (ln, share) = ((most as f64).ln_1p(), f64::from(wanted) / f64::from(HEAT_MAX + 1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 up")]
        let about = (ln * share).exp_m1() as u64;
        // Rounding may put a border on either side of a whole number.
        let near = about.saturating_sub(1).max(1)..=about.saturating_add(2);
        near.clone().find(|&count| level(count, most) >= Some(wanted)).unwrap_or(*near.end())
    })
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
    fn the_legend_says_from_which_count_on_a_cell_looks_how() {
        for most in [1, 2, 3, 7, 100, 4_321, 1_000_000] {
            for (wanted, least) in (0..).zip(leasts(most)).filter(|l| l.1 <= most) {
                let own = level(least, most).unwrap();
                assert!(own >= wanted, "{least} of {most} is {own}");
                assert!(level(least - 1, most) < Some(wanted), "{least} of {most}");
            }
        }
        let theme = crate::ui::testing::ui().theme;
        let text = |most| super::super::plain(&[legend(theme, most)]).trim().to_owned();
        assert_eq!(text(10_000), "tickets: ░ 1+ ▒ 10+ ▓ 100+ █ 1k+");
        assert_eq!(text(1), "tickets: █ 1+", "what is not there is left out");
    }

    #[test]
    fn counts_stand_where_their_bars_end_and_are_whole() {
        assert_eq!(count_rows(1_000, 12), [(0, 1_000), (4, 100), (7, 10), (10, 1)]);
        assert_eq!(count_rows(79, 2), [(0, 79)]);
        assert_eq!(count_rows(1, 9), [(0, 1)]);
        for (most, height) in [(7, 9), (123_456, 5), (u64::MAX, 40), (0, 0), (1, 1)] {
            let rows = count_rows(most, height);
            assert!(rows.is_sorted_by(|a, b| a.0 + 1 < b.0 && a.1 > b.1), "{rows:?}");
            assert!(rows[1..].iter().all(|(row, _)| *row < height), "{rows:?}");
        }
    }

    #[test]
    fn latencies_stand_where_their_bucket_is() {
        let at = |us| column(Duration::from_micros(us), &(0..BUCKETS), 104);
        assert_eq!((at(1), at(2), at(1_024)), (Some(0), Some(4), Some(40)));
        assert_eq!(column(Duration::from_secs(100), &(0..8), 10), None);
    }
}
