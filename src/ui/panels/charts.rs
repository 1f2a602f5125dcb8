//! Charts over time: tickets, queue, latency, log. One picture for all of them: axes, lines, goals,
//! marks of what happened, and the cursor of a frozen display.

use std::time::Duration;

use engine::clock::{Time, WallTime, nanos};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw_reason;
use crate::app::format;
use crate::app::slo::SloValue;
use crate::app::state::{AppState, Happening, Sample};
use crate::app::trend::{Extent, Measure, Timed};
use crate::ui::model::FINE_WINDOW;
use crate::ui::panels::goals;
use crate::ui::theme::Tone;
use crate::ui::time;
use crate::ui::view::Scene;
use crate::ui::widgets::columns::{nice_top, nice_top_bytes};
use crate::ui::widgets::plot::{self, Curve, Scale, TimeAxis};
use crate::ui::widgets::table::visible;

/// Room for the numbers of the axis.
const AXIS_WIDTH: u16 = 6;
/// Room for the numbers of the second axis, at the right, which the log's chart has...
const RIGHT_WIDTH: u16 = 6;
/// ...if it is this wide.
const RIGHT_WIDTH_FROM: u16 = 30;
/// Charts of seconds up to this window; longer ones are of coarse steps.
const SECONDS_WINDOW: Duration = Duration::from_secs(900);
/// How long a value lasts while there is no newer one: samples, seconds and coarse steps.
const HOLDS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_millis(2_500), Duration::from_secs(32)];

/// A chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chart {
    Throughput,
    Queue,
    Latency,
    Log,
}

/// A line of a chart.
struct Line {
    measure: Measure,
    tone: Tone,
    is_broken: bool,
}

impl Chart {
    /// Returns its lines, the first on top.
    fn lines(self, app: &AppState) -> Vec<Line> {
        let line = |measure, tone, is_broken| Line { measure, tone, is_broken };
        let timed = timed(app);
        match self {
            Self::Throughput => vec![
                line(Measure::Served, Tone::Good, false),
                line(Measure::Offered, Tone::Plain, true),
            ],
            Self::Queue => vec![line(Measure::Waiting, Tone::Warning, false)],
            Self::Latency => vec![
                line(Measure::P99(timed), Tone::Warning, false),
                line(Measure::P50(timed), Tone::Good, true),
            ],
            Self::Log => vec![
                line(Measure::LogBytes, Tone::Accent, false),
                line(Measure::Syncs, Tone::Plain, true),
            ],
        }
    }

    /// Returns the head, as long as there is room for.
    pub(crate) fn title(self, scene: Scene<'_>, width: u16) -> String {
        let text = |measure| now(scene, measure);
        let titles = match self {
            Self::Throughput => {
                let (served, asked) = (text(Measure::Served), text(Measure::Offered));
                [
                    format!("Tickets/s  served {served}  asked {asked}"),
                    format!("Tickets/s {served} of {asked}"),
                ]
            }
            Self::Queue => {
                let waiting = text(Measure::Waiting);
                let busy = format::count(scene.app.totals.in_service);
                let full = format!("Queue  {waiting} waiting  {busy} in service");
                [full, format!("Queue {waiting}")]
            }
            Self::Latency => {
                let timed = timed(scene.app);
                let (p50, p99) = (text(Measure::P50(timed)), text(Measure::P99(timed)));
                let name = timed.name();
                [
                    format!("Latency  {name} p50 {p50}  p99 {p99}"),
                    format!("{name} p50 {p50} p99 {p99}"),
                ]
            }
            Self::Log => {
                let (bytes, syncs) = (text(Measure::LogBytes), text(Measure::Syncs));
                [format!("Log {bytes}  fsync {syncs}/s"), format!("Log {bytes}")]
            }
        };
        let room = usize::from(width.saturating_sub(6));
        let [full, short] = titles;
        if full.chars().count() <= room { full } else { short }
    }
}

/// Returns the latency that is charted: the one that a goal is about, or the sojourn time. No log
/// holds what users saw.
pub(crate) fn timed(app: &AppState) -> Timed {
    let goals = app.slos.iter().filter_map(|row| goals::parts(&row.metric));
    let is_known = |timed: &Timed| *timed != Timed::Response || time::replay(app).is_none();
    let mut timed = goals.filter_map(|(_, name)| Timed::named(name)).filter(is_known);
    timed.next().unwrap_or(Timed::Sojourn)
}

/// Returns a figure of the moment that is looked at, as text.
pub(crate) fn now(scene: Scene<'_>, measure: Measure) -> String {
    let app = scene.app;
    if scene.cursor().is_none() {
        match measure {
            Measure::Served => return format::known(app.rates.served, format::rate),
            Measure::Offered => return format::known(app.rates.offered, format::rate),
            Measure::Waiting => return format::count(app.totals.waiting),
            _ => {}
        }
    }
    let at = scene.cursor().unwrap_or(app.at);
    let hold = hold(scene, measure);
    let known = values(scene, measure, at - hold);
    let last = known.iter().rev().find(|(moment, _)| *moment <= at);
    last.map_or_else(|| format::ABSENT.to_owned(), |(_, extent)| text(measure, extent.max))
}

/// Returns a figure as text.
pub(crate) fn text(measure: Measure, value: f64) -> String {
    match measure {
        Measure::P50(_) | Measure::P99(_) | Measure::SyncP99 => {
            format::duration(Duration::from_secs_f64(value))
        }
        Measure::LogBytes => format::byte_rate(value),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was a count"
        )]
        Measure::Waiting => format::count(value.round() as u64),
        _ => format::rate(value),
    }
}

fn is_sampled(scene: Scene<'_>, measure: Measure) -> bool {
    scene.window() <= FINE_WINDOW
        && matches!(measure, Measure::Offered | Measure::Served | Measure::Waiting)
}

fn hold(scene: Scene<'_>, measure: Measure) -> Duration {
    let [sample, second, step] = HOLDS;
    match measure {
        _ if is_sampled(scene, measure) => sample,
        _ if scene.window() <= SECONDS_WINDOW => second,
        _ => step,
    }
}

/// Returns what is known of a figure since a moment, oldest first.
fn values(scene: Scene<'_>, measure: Measure, from: Time) -> Vec<(Time, Extent)> {
    let app = scene.app;
    if scene.window() > SECONDS_WINDOW {
        return app.history.coarse(measure, from);
    }
    if !is_sampled(scene, measure) {
        return app.history.fine(measure, from);
    }
    // Pauses follow each other: only the last that began before can have lasted so long.
    let stood_still = |at: Time| {
        let begun = app.pauses.partition_point(|(since, _)| *since < at);
        app.pauses[..begun].last().is_some_and(|(_, to)| at <= *to)
    };
    let since = app.series.partition_point(|sample| sample.at < from);
    let known = app.series[since..].iter().filter(|sample| !stood_still(sample.at));
    let value = |sample: &Sample| match measure {
        Measure::Offered => sample.offered,
        Measure::Served => Some(sample.served),
        #[expect(clippy::cast_precision_loss, reason = "a chart for people")]
        _ => Some(sample.waiting as f64),
    };
    known.filter_map(|sample| Some((sample.at, Extent::of(value(sample)?)))).collect()
}

/// Returns the greatest value of a figure in each of so many columns, for a line of text.
pub(crate) fn spark(scene: Scene<'_>, measure: Measure, width: u16) -> Vec<Option<f64>> {
    let axis = TimeAxis::new(scene.edge(), scene.window(), width, scene.ui.is_sweeping);
    let hold = hold(scene, measure);
    let columns = axis.join(&values(scene, measure, axis.from() - hold), hold);
    let greatest = |pair: &[Option<Extent>]| {
        let known = pair.iter().flatten().map(|extent| extent.max);
        known.reduce(f64::max)
    };
    columns.chunks(2).map(greatest).collect()
}

/// Returns the moment that stands at a place of a chart, if one does; used for the mouse.
pub(crate) fn moment_at(chart: Chart, scene: Scene<'_>, area: Rect, x: u16) -> Option<Time> {
    let plot = plot_area(chart, area);
    let cell = x.checked_sub(plot.x)?;
    let axis = TimeAxis::new(scene.edge(), scene.window(), plot.width, scene.ui.is_sweeping);
    (cell < plot.width).then(|| axis.moment(cell))
}

/// Returns where the lines of a chart are drawn: right of its axis and above the times.
fn plot_area(chart: Chart, area: Rect) -> Rect {
    let has_right = chart == Chart::Log && area.width >= RIGHT_WIDTH_FROM;
    let right = if has_right { RIGHT_WIDTH } else { 0 };
    Rect {
        x: area.x + AXIS_WIDTH.min(area.width),
        width: area.width.saturating_sub(AXIS_WIDTH + right),
        height: area.height.saturating_sub(1),
        ..area
    }
}

/// Returns the moment of a chart that is nearest to a column of the screen; used for dragging.
pub(crate) fn nearest_moment(chart: Chart, scene: Scene<'_>, area: Rect, x: u16) -> Option<Time> {
    let plot = plot_area(chart, area);
    let last = plot.right().saturating_sub(1).max(plot.x);
    moment_at(chart, scene, area, x.clamp(plot.x, last))
}

/// Draws a chart.
pub(crate) fn draw(chart: Chart, scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let plot_area = plot_area(chart, area);
    if plot_area.is_empty() {
        return;
    }
    let axis = TimeAxis::new(scene.edge(), scene.window(), plot_area.width, scene.ui.is_sweeping);
    let lines = chart.lines(scene.app);
    let columns: Vec<Vec<Option<Extent>>> = lines
        .iter()
        .map(|line| {
            let hold = hold(scene, line.measure);
            axis.join(&values(scene, line.measure, axis.from() - hold), hold)
        })
        .collect();
    if columns.iter().flatten().all(Option::is_none) {
        let why = scene.reason_in_time("nothing was measured in this time");
        return draw_reason(why, theme, area, buf);
    }
    let limit = (chart == Chart::Latency).then(|| limit(scene.app)).flatten();
    let scales = scales(chart, &columns, limit.map(|(limit, _)| limit));
    let curves: Vec<Curve<'_>> = (lines.iter().zip(&columns).zip(&scales))
        .map(|((line, columns), scale)| Curve {
            columns,
            scale: *scale,
            style: theme.style(line.tone),
            is_broken: line.is_broken,
        })
        .collect();
    plot::draw(&curves, theme.is_utf8, plot_area, buf);
    draw_scale(chart, scene, scales[0], plot_area, area, buf);
    if let (Chart::Log, Some(Scale::Linear(top))) = (chart, scales.get(1))
        && columns[1].iter().any(Option::is_some)
    {
        draw_syncs_scale(scene, *top, lines[1].tone, plot_area, area, buf);
    }
    if let Some((limit, tone)) = limit {
        draw_limit(scene, limit, scales[0].share(limit), tone, plot_area, buf);
    }
    draw_marks(scene, axis, plot_area, buf);
    draw_times(scene, axis, plot_area, area, buf);
}

/// Returns the goal of the charted latency, in seconds, and how it is doing.
fn limit(app: &AppState) -> Option<(f64, Tone)> {
    let timed = timed(app).name();
    let row = app.slos.iter().find(|row| {
        goals::parts(&row.metric).is_some_and(|(_, name)| name == timed)
            && matches!(row.limit, SloValue::Span(_))
    })?;
    let SloValue::Span(limit) = row.limit else { return None };
    Some((limit, goals::tone(row.alert)))
}

/// Returns the scale of each line.
fn scales(chart: Chart, columns: &[Vec<Option<Extent>>], limit: Option<f64>) -> Vec<Scale> {
    let greatest = |columns: &[Option<Extent>]| {
        columns.iter().flatten().fold(0.0_f64, |top, extent| top.max(extent.max))
    };
    match chart {
        Chart::Latency => {
            let all = columns.iter().flatten().flatten();
            let ends = all.flat_map(|extent| [extent.min, extent.max]).chain(limit);
            vec![Scale::log_of(ends); columns.len()]
        }
        Chart::Log => {
            let tops = [nice_top_bytes, nice_top].into_iter().zip(columns);
            tops.map(|(top, columns)| Scale::Linear(top(greatest(columns)))).collect()
        }
        _ => {
            let top = columns.iter().map(|columns| greatest(columns)).fold(0.0, f64::max);
            vec![Scale::Linear(nice_top(top)); columns.len()]
        }
    }
}

/// Draws the numbers of the axis.
fn draw_scale(
    chart: Chart,
    scene: Scene<'_>,
    scale: Scale,
    plot: Rect,
    area: Rect,
    buf: &mut Buffer,
) {
    let style = scene.theme().style(Tone::Quiet);
    let width = usize::from(AXIS_WIDTH.min(area.width));
    let mut label = |share: f64, text: String| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 65535")]
        let down = ((1.0 - share) * f64::from(plot.height - 1)).round() as u16;
        let y = plot.y + down.min(plot.height - 1);
        buf.set_stringn(area.x, y, format!("{text:>5} "), width, style);
        y
    };
    match scale {
        Scale::Linear(top) => {
            let text = |value: f64| match chart {
                Chart::Log => format::short_bytes(value),
                _ => format::short(value),
            };
            if plot.height > 1 {
                label(0.0, "0".to_owned());
            }
            if plot.height > 6 {
                label(0.5, text(top / 2.0));
            }
            label(1.0, text(top));
        }
        Scale::Log(low, high) => {
            let mut last = None;
            let mut value = high;
            while value >= low * 0.99 {
                let share = scale.share(value);
                let text = format::short_span(Duration::from_secs_f64(value));
                // A label needs a row of its own.
                #[expect(clippy::cast_possible_truncation, reason = "0 to 65535")]
                let row = (share * f64::from(plot.height - 1)).round() as i32;
                if last != Some(row) {
                    label(share, text);
                    last = Some(row);
                }
                value /= 10.0;
            }
        }
    }
}

/// Draws the axis of the syncs, right of the log's chart, if there is room for it.
fn draw_syncs_scale(
    scene: Scene<'_>,
    top: f64,
    tone: Tone,
    plot: Rect,
    area: Rect,
    buf: &mut Buffer,
) {
    let style = scene.theme().style(tone);
    let room = usize::from(area.right() - plot.right());
    let mut label = |y: u16, text: &str| {
        if room > 0 {
            buf.set_stringn(plot.right(), y, format!(" {text}"), room, style);
        }
    };
    label(plot.y, &format::short(top));
    if plot.height > 2 {
        label(plot.y + 1, "fsync");
        label(plot.bottom() - 1, "0");
    }
    if plot.height > 6 {
        label(plot.y + (plot.height - 1).div_ceil(2), &format::short(top / 2.0));
    }
}

/// Draws a goal as a broken line with its name.
fn draw_limit(scene: Scene<'_>, limit: f64, share: f64, tone: Tone, plot: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 65535")]
    let down = ((1.0 - share) * f64::from(plot.height - 1)).round() as u16;
    let y = plot.y + down.min(plot.height - 1);
    let text = format!("goal {}", format::short_span(Duration::from_secs_f64(limit)));
    let length = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    let has_room = |y: u16| {
        (plot.top()..plot.bottom()).contains(&y)
            && length <= plot.width
            && (plot.x..plot.x + length).all(|x| buf[(x, y)].symbol() == " ")
    };
    // Its name stands on the line, or next to it where the line is hidden.
    let place = [y, y.wrapping_sub(1), y + 1].into_iter().find(|y| has_room(*y));
    if let Some(place) = place {
        buf.set_string(plot.x, place, text, theme.style(tone));
    }
    let named = if place == Some(y) { length } else { 0 };
    for x in plot.left() + named..plot.right() {
        put_blank(x, y, theme.pick("┄", "-"), theme.style(tone), buf);
    }
}

/// Sets a cell that nothing was drawn in.
fn put_blank(x: u16, y: u16, symbol: &str, style: ratatui::style::Style, buf: &mut Buffer) {
    if let Some(cell) = buf.cell_mut((x, y)).filter(|cell| cell.symbol() == " ") {
        cell.set_symbol(symbol).set_style(style);
    }
}

/// Draws what happened as marks in the top row, with words where there is room, and the cursor of
/// a frozen display as a line.
pub(crate) fn draw_marks(scene: Scene<'_>, axis: TimeAxis, plot: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let edge = scene.edge();
    let mut marks: Vec<(u16, &Happening)> = (scene.app.events.iter())
        .filter(|event| event.at <= edge)
        .filter_map(|event| Some((axis.cell(event.at)?, event)))
        .collect();
    for (cell, event) in &marks {
        let tone = match super::alerts::severity_tone(event.severity) {
            Tone::Plain => Tone::Accent,
            tone => tone,
        };
        if let Some(place) = buf.cell_mut((plot.x + cell, plot.y)) {
            place.set_symbol(theme.pick("▾", "v")).set_style(theme.style(tone));
        }
    }
    // A swept chart begins in its middle.
    marks.sort_by_key(|(cell, _)| *cell);
    let mut free = 0;
    for label in labels(&marks) {
        let width = label.width();
        let cells = label.cells(plot.width, free);
        let is_free = |x: u16| {
            let symbol = buf[(plot.x + x, plot.y)].symbol();
            symbol == " " || label.covers(x) && symbol == theme.pick("▾", "v")
        };
        if let Some(cells) = cells.filter(|cells| cells.clone().all(is_free)) {
            let text = visible(&label.text(), width.into());
            buf.set_string(plot.x + cells.start, plot.y, text, theme.style(Tone::Quiet));
            free = cells.end;
        }
        free = free.max(label.last + 1);
    }
    draw_cursor(scene, axis, plot, buf);
}

/// The words beside a mark, which stand for those marks too that they would hide.
struct Label<'a> {
    /// Where the first and the last of its marks stand.
    first: u16,
    last: u16,
    /// The worst of what happened, or the oldest of those, and where its mark stands.
    event: &'a Happening,
    at: u16,
    /// How many marks it stands for.
    count: usize,
}

impl Label<'_> {
    fn text(&self) -> String {
        match self.count {
            1 => self.event.label.clone(),
            count => format!("{} +{}", self.event.label, count - 1),
        }
    }

    fn width(&self) -> u16 {
        u16::try_from(self.text().chars().count()).unwrap_or(u16::MAX)
    }

    /// Returns whether a place is of one of its own marks, which the words may hide.
    fn covers(&self, x: u16) -> bool {
        (self.first..=self.last).contains(&x) && x != self.at
    }

    /// Returns the cells of the words: right of their mark, or left of it at the right edge of a
    /// chart whose cells from `free` on have no other words.
    fn cells(&self, plot_width: u16, free: u16) -> Option<std::ops::Range<u16>> {
        let width = self.width();
        let right = self.at + 1;
        if right.saturating_add(width) <= plot_width {
            return Some(right..right + width);
        }
        let left = self.at.checked_sub(width).filter(|left| *left >= free);
        left.map(|left| left..self.at)
    }
}

/// Joins marks whose words would stand on each other; `marks` are in the order of their cells.
fn labels<'a>(marks: &[(u16, &'a Happening)]) -> Vec<Label<'a>> {
    let mut labels: Vec<Label<'a>> = Vec::new();
    for &(cell, event) in marks {
        match labels.last_mut() {
            Some(label) if cell <= label.at.saturating_add(label.width() + 1) => {
                if event.severity > label.event.severity {
                    (label.event, label.at) = (event, cell);
                }
                (label.last, label.count) = (cell, label.count + 1);
            }
            _ => labels.push(Label { first: cell, last: cell, event, at: cell, count: 1 }),
        }
    }
    labels
}

fn draw_cursor(scene: Scene<'_>, axis: TimeAxis, plot: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let Some(cell) = scene.cursor().and_then(|cursor| axis.cell(cursor)) else { return };
    for y in plot.top()..plot.bottom() {
        let Some(place) = buf.cell_mut((plot.x + cell, y)) else { continue };
        if place.symbol() == " " {
            place.set_symbol(theme.pick("│", "|")).set_style(theme.style(Tone::Accent));
        } else {
            place.set_style(theme.style(Tone::Selected));
        }
    }
}

/// Draws the times below a chart.
pub(crate) fn draw_times(
    scene: Scene<'_>,
    axis: TimeAxis,
    plot: Rect,
    area: Rect,
    buf: &mut Buffer,
) {
    if area.height < 2 {
        return;
    }
    let theme = scene.theme();
    let style = theme.style(Tone::Quiet);
    let y = area.bottom() - 1;
    let width = usize::from(plot.width);
    let clock = |moment: Time| {
        let app = scene.app;
        let ago = nanos(app.at.since(moment));
        WallTime((app.wall.0 + nanos(moment.since(app.at))).saturating_sub(ago)).to_string()
    };
    let ago = |span: Duration| match span.as_secs() {
        60.. if !span.as_secs().is_multiple_of(60) => format!("-{}", format::duration(span)),
        _ => format!("-{}", format::window(span)),
    };
    let is_live = scene.cursor().is_none();
    let (left, middle, right) = if scene.ui.is_sweeping {
        (clock(axis.sweep_start()), String::new(), String::new())
    } else if is_live {
        let stands = scene.edge() < scene.app.at;
        let newest = if stands { "paused" } else { "now" };
        (ago(scene.window()), ago(scene.window() / 2), newest.to_owned())
    } else {
        (clock(axis.from()), String::new(), clock(scene.edge()))
    };
    let newest = scene.ui.is_sweeping.then(|| axis.cell(scene.edge())).flatten();
    let length = |text: &str| u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    // The mark of the newest moment does not stand in the text.
    let start = newest.filter(|cell| *cell <= length(&left)).map_or(0, |cell| cell + 2);
    let room = width.saturating_sub(start.into());
    buf.set_stringn(plot.x + start.min(plot.width), y, &left, room, style);
    if plot.width > 24 && !middle.is_empty() {
        buf.set_string(plot.x + (plot.width - length(&middle)) / 2, y, &middle, style);
    }
    if plot.width > length(&left) + length(&right) + 2 {
        buf.set_string(plot.right() - length(&right), y, &right, style);
    }
    if let Some(cell) = newest
        && let Some(place) = buf.cell_mut((plot.x + cell, y))
    {
        place.set_symbol(theme.pick("▲", "^")).set_style(theme.style(Tone::Good));
    }
    draw_range(scene, axis, Rect { y, height: 1, ..plot }, buf);
}

/// Marks the span that was selected in the row of the times.
fn draw_range(scene: Scene<'_>, axis: TimeAxis, row: Rect, buf: &mut Buffer) {
    let Some((from, to)) = scene.ui.range else { return };
    let is_inside = |cell: &u16| (from..=to).contains(&axis.moment(*cell));
    for cell in (0..row.width).filter(is_inside) {
        buf.set_style(
            Rect { x: row.x + cell, width: 1, ..row },
            scene.theme().style(Tone::Selected),
        );
    }
}

#[cfg(test)]
mod tests;
