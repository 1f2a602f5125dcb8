//! The parts of the screen, each made from a snapshot: a table, a text or a picture.
//!
//! To add a panel: a variant of [`Panel`], its place in `layout`, and a line in each match here.

pub(crate) mod alerts;
pub(crate) mod batches;
pub(crate) mod charts;
pub(crate) mod conf;
pub(crate) mod goals;
pub(crate) mod header;
pub(crate) mod latency;
pub(crate) mod lines;
pub(crate) mod logs;
pub(crate) mod machine;
pub(crate) mod metrics;
pub(crate) mod net;
pub(crate) mod overlays;
pub(crate) mod percentiles;
pub(crate) mod pictures;
pub(crate) mod process;
pub(crate) mod processes;
pub(crate) mod segments;
pub(crate) mod services;
pub(crate) mod store;
pub(crate) mod store_rates;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::layout::Panel;
use super::past::Sharpness;
use super::theme::{Theme, Tone};
use super::time;
use super::view::Scene;
use super::widgets::table::{Table, clear, visible};
use crate::app::format;
use crate::app::state::{AppState, Phase, View};
use charts::Chart;

/// A line of pieces, each with its meaning.
pub(crate) type Pieces = Vec<(String, Tone)>;

/// What a panel shows.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Rows that can be selected, sorted and filtered.
    Table(Table),
    /// Lines that can be scrolled.
    Text(Vec<Pieces>),
    /// Whatever the panel paints itself.
    Picture,
}

/// Returns a panel's head.
pub(crate) fn title(panel: Panel, scene: Scene<'_>, width: u16) -> String {
    match panel {
        Panel::Processes => processes::title(scene.app),
        Panel::Services => "Services  latencies: p99".to_owned(),
        Panel::Latency => latency::title(scene, width),
        Panel::Logs => logs::title(scene),
        Panel::Store => "Log on disk".to_owned(),
        Panel::Alerts => alerts::title(scene),
        Panel::Now => "Now".to_owned(),
        Panel::Percentiles => percentiles::title(scene, width),
        Panel::Histogram => pictures::histogram_title(scene, width),
        Panel::Heat => pictures::heat_title(scene, width),
        Panel::Metrics => metrics::title(scene),
        Panel::Throughput | Panel::Queue | Panel::LatencyChart | Panel::LogChart => {
            chart(panel).map_or_else(String::new, |chart| chart.title(scene, width))
        }
        Panel::Process => process::title(scene),
        Panel::StoreRates => "What is written".to_owned(),
        Panel::Batches => batches::title(scene.app),
        Panel::Segments => segments::title(scene.app),
        Panel::Machine => machine::title(scene),
        Panel::Hints => machine::hints_title(scene),
        Panel::Conf => conf::title(scene.app),
        Panel::Answers => conf::answers_title(scene.app),
        Panel::Net => "Connections by role, per second".to_owned(),
        Panel::NetTotals => "All connections".to_owned(),
    }
}

/// Returns what a panel of some width shows.
pub(crate) fn content(panel: Panel, scene: Scene<'_>, width: u16) -> Content {
    if let Some(why) = unknown(panel, scene) {
        return Content::Text(vec![vec![(why, Tone::Quiet)]]);
    }
    match panel {
        Panel::Percentiles => Content::Table(percentiles::table(scene)),
        Panel::Metrics => Content::Table(metrics::table(scene)),
        Panel::Processes => Content::Table(processes::table(scene.app, scene.theme())),
        Panel::Services => Content::Table(services::table(scene.app)),
        Panel::Latency => Content::Table(latency::table(scene)),
        Panel::Store => Content::Text(store::lines(scene, width)),
        Panel::Alerts => Content::Table(alerts::table(scene)),
        Panel::Logs => Content::Table(logs::table(scene)),
        Panel::Process => Content::Text(process::lines(scene)),
        Panel::Batches => Content::Table(batches::table(scene.app)),
        Panel::Segments => Content::Table(segments::table(scene.app)),
        Panel::Machine => Content::Table(machine::table(scene)),
        Panel::Hints => Content::Text(machine::hints(scene, width)),
        Panel::Conf => Content::Table(conf::table(scene.app)),
        Panel::Answers => Content::Text(conf::answers(scene)),
        Panel::Net => Content::Table(net::table(scene)),
        Panel::NetTotals => Content::Text(net::totals(scene, width)),
        Panel::StoreRates
        | Panel::Throughput
        | Panel::Queue
        | Panel::LatencyChart
        | Panel::LogChart
        | Panel::Now
        | Panel::Histogram
        | Panel::Heat => Content::Picture,
    }
}

/// Returns what is drawn of a panel with this much room: its content, but of a log that is followed
/// no more lines than can be seen, as there may be thousands.
pub(crate) fn drawn(panel: Panel, scene: Scene<'_>, inner: Rect) -> Content {
    let arrangement = scene.ui.arrangement(panel);
    let is_followed = arrangement.selected.is_none()
        && arrangement.filter.is_empty()
        && arrangement.sort.is_none();
    if panel == Panel::Logs && is_followed {
        return Content::Table(logs::newest(scene, usize::from(inner.height)));
    }
    content(panel, scene, inner.width)
}

/// Paints a panel that is a picture.
pub(crate) fn paint(panel: Panel, scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    match panel {
        Panel::StoreRates => store_rates::draw(scene, area, buf),
        Panel::Now => lines::draw_now(scene, area, buf),
        Panel::Histogram => pictures::draw_histogram(scene, area, buf),
        Panel::Heat => pictures::draw_heat(scene, area, buf),
        _ => {
            if let Some(chart) = chart(panel) {
                charts::draw(chart, scene, area, buf);
            }
        }
    }
}

/// Returns the chart that a panel has, if it is one.
pub(crate) fn chart(panel: Panel) -> Option<Chart> {
    Some(match panel {
        Panel::Throughput => Chart::Throughput,
        Panel::Queue => Chart::Queue,
        Panel::LatencyChart => Chart::Latency,
        Panel::LogChart => Chart::Log,
        _ => return None,
    })
}

/// Says why a panel can't show the moment that a frozen display looks at, if it can't.
fn unknown(panel: Panel, scene: Scene<'_>) -> Option<String> {
    let frozen = scene.ui.frozen.as_ref()?;
    if panel == Panel::Metrics && !frozen.is_newest() {
        return Some("what was recorded is kept of the frozen moment only".to_owned());
    }
    let is_of_seconds = chart(panel).is_some()
        || matches!(
            panel,
            Panel::Now
                | Panel::Latency
                | Panel::Percentiles
                | Panel::Histogram
                | Panel::Heat
                | Panel::Metrics
                | Panel::Logs
                | Panel::Alerts
                | Panel::StoreRates
        );
    (frozen.sharpness == Sharpness::Seconds && !is_of_seconds).then(|| {
        match scene.ui.past.oldest().map(|oldest| frozen.newest().since(oldest)) {
            Some(since) => format!("tables go back {} only", format::duration(since)),
            None => "no table is kept of this moment".to_owned(),
        }
    })
}

/// Returns all that is known about a row, as names and values; `None` if its cells are all.
pub(crate) fn detail(panel: Panel, scene: Scene<'_>, key: &str) -> Option<Vec<(String, String)>> {
    match panel {
        Panel::Processes => process::detail(scene, key),
        Panel::Logs => logs::detail(scene, key),
        Panel::Alerts => alerts::detail(scene, key),
        Panel::Machine => machine::detail(scene, key),
        Panel::Batches => batches::detail(scene, key),
        Panel::Net => net::detail(scene, key),
        _ => None,
    }
}

/// Returns the head of the window with all about a row.
pub(crate) fn detail_title(panel: Panel, key: &str) -> String {
    match panel {
        Panel::Logs => format!("Line {key} of the log"),
        Panel::Alerts if key.starts_with("now ") => "At this moment".to_owned(),
        Panel::Alerts => format!("Event {key}"),
        _ => key.to_owned(),
    }
}

/// Returns values as one row of columns, the newest at the right; nothing where the terminal has
/// no eighths of a row.
pub(crate) fn spark(values: impl Iterator<Item = f64>, theme: Theme) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if !theme.is_utf8 {
        return String::new();
    }
    let values: Vec<f64> = values.collect();
    let top = values.iter().fold(0.0_f64, |top, value| top.max(*value));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
    let step = |value: f64| (value / top * 7.0).round().clamp(0.0, 7.0) as usize;
    values.iter().map(|value| STEPS[if top > 0.0 { step(*value) } else { 0 }]).collect()
}

/// Says why a panel has nothing to show.
pub(crate) fn reason(app: &AppState, otherwise: &'static str) -> &'static str {
    match app.phase {
        _ if matches!(app.view, View::Replay(_)) => "the log of a run does not hold this",
        Phase::Starting => "processes are being started",
        Phase::Recovering(None) => "checking the index",
        Phase::Recovering(Some(_)) => "reading an earlier run's log",
        _ => otherwise,
    }
}

/// Says why a panel has nothing to show of what a log holds too.
pub(crate) fn reason_in_time(app: &AppState, otherwise: &'static str) -> &'static str {
    match time::replay(app) {
        Some(replay) if replay.at.since(replay.from) < FIRST_MOMENTS => {
            "nothing is held before this moment"
        }
        Some(_) => otherwise,
        None => reason(app, otherwise),
    }
}

/// How long nothing can have been measured yet.
const FIRST_MOMENTS: Duration = Duration::from_secs(1);

/// Returns lines as plain text.
pub(crate) fn plain(lines: &[Pieces]) -> String {
    let line = |pieces: &Pieces| {
        let text: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
        format!("{}\n", text.trim_end())
    };
    lines.iter().map(line).collect()
}

/// Draws a text, from the line that a person has scrolled to. How much there is below stands on the
/// border beneath it, or in place of the last line.
pub(crate) fn draw_text(
    lines: &[Pieces],
    scroll: usize,
    is_bordered: bool,
    theme: Theme,
    area: Rect,
    buf: &mut Buffer,
) {
    if area.is_empty() {
        return;
    }
    let height = usize::from(area.height);
    let first = scroll.min(lines.len().saturating_sub(height));
    for (y, pieces) in (area.y..area.bottom()).zip(&lines[first..]) {
        draw_cut(pieces.clone(), theme, Rect { y, height: 1, ..area }, buf);
    }
    let below = lines.len() - first;
    if below <= height || area.height < 2 {
        return;
    }
    if is_bordered {
        let text = visible(&format!(" {} more below ", below - height), usize::from(area.width));
        let x = area.right().saturating_sub(u16::try_from(text.chars().count()).unwrap_or(0));
        buf.set_string(x, area.bottom(), text, theme.style(Tone::Quiet));
    } else {
        // The line that it hides is counted too.
        let last = Rect { y: area.bottom() - 1, height: 1, ..area };
        clear(last, buf);
        let text =
            visible(&format!("  {} more below", below - height + 1), usize::from(area.width));
        buf.set_string(last.x, last.y, text, theme.style(Tone::Quiet));
    }
}

/// A line of pieces, each with its meaning; what does not fit is left out piece by piece.
pub(crate) fn draw_pieces(pieces: &[(String, Tone)], theme: Theme, area: Rect, buf: &mut Buffer) {
    let mut x = area.x;
    for (index, (text, tone)) in pieces.iter().enumerate() {
        let room = usize::from(area.right().saturating_sub(x));
        let width = text.chars().count();
        // A name is of no use without its value.
        let value = match pieces.get(index + 1) {
            Some((value, _)) if text.ends_with(' ') => value.chars().count(),
            _ => 0,
        };
        if width + value > room && index > 0 {
            return;
        }
        buf.set_stringn(x, area.y, visible(text, room), room, theme.style(*tone));
        x = x.saturating_add(u16::try_from(width).unwrap_or(u16::MAX));
    }
}

/// Draws pieces like [`draw_pieces`], but the last one that fits in part is cut short.
pub(crate) fn draw_cut(mut pieces: Pieces, theme: Theme, area: Rect, buf: &mut Buffer) {
    let mut room = usize::from(area.width);
    let mut kept = 0;
    for (text, _) in &mut pieces {
        if room == 0 {
            break;
        }
        *text = visible(text, room);
        room -= text.chars().count();
        kept += 1;
    }
    pieces.truncate(kept);
    draw_pieces(&pieces, theme, area, buf);
}

/// One line that says why there is nothing else.
pub(crate) fn draw_reason(text: &str, theme: Theme, area: Rect, buf: &mut Buffer) {
    let text = visible(text, usize::from(area.width));
    buf.set_string(area.x, area.y, text, theme.style(Tone::Quiet));
}
