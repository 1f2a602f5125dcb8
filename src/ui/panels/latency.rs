//! Percentiles of the latencies.

use engine::perf::Interval;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw_reason;
use crate::app::format;
use crate::app::state::{LatencyFigures, LatencyRow, RECENT_SPANS};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{self, Cell, Column};

const fn number(head: &'static str, rank: u8) -> Column {
    Column { head, width: 7, is_word: false, rank }
}

const COLUMNS: [Column; 8] = [
    Column { head: "latency", width: 8, is_word: true, rank: 0 },
    number("n", 4),
    Column { head: "mean", width: MEAN_WIDTH, is_word: false, rank: 3 },
    number("p50", 0),
    number("p90", 2),
    number("p99", 0),
    number("p99.9", 1),
    number("max", 0),
];

/// A panel that is this wide has room for all of the head.
const TITLE_WIDTH: u16 = 60;
/// The width of a mean.
const MEAN_WIDTH: u16 = 11;

/// The order in which latencies are shown; the last ones go where there is no room.
const ORDER: [&str; 6] = ["wait", "service", "sojourn", "response", "overhead", "lag"];

/// Returns the head: what the figures are of, how sure the mean wait is, and whether the queue is
/// as long as the waits say.
pub(crate) fn title(scene: Scene<'_>, width: u16) -> String {
    if let Some(span) = scene.ui.recent {
        return format!("Latency, last {} s", RECENT_SPANS[span]);
    }
    let all = &scene.app.figures.all;
    let tickets = match all.counts.served {
        0 => return "Latency".to_owned(),
        served => format::counted(served, "ticket"),
    };
    let plain = format!("Latency of {tickets}");
    match &all.little {
        Some(little) if !little.holds() => {
            format!("Latency  INSTRUMENT OFF BY {}", format::percent(little.gap))
        }
        Some(little) if width >= TITLE_WIDTH => {
            format!("{plain}  Little's gap {}", format::percent(little.gap))
        }
        _ => plain,
    }
}

/// Draws one row per latency.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let figures = |row: &LatencyRow| scene.ui.recent.map_or(row.run, |span| row.recent[span]);
    let found = |name: &&str| scene.app.latencies.iter().find(|row| row.name == *name);
    let shown: Vec<&LatencyRow> = ORDER.iter().filter_map(found).collect();
    if shown.iter().all(|row| figures(row).count == 0) {
        let reason = match scene.ui.recent {
            None => "no ticket has been served since the warm-up",
            Some(_) => "no ticket was served in this time",
        };
        return draw_reason(scene.reason(reason), theme, area, buf);
    }
    let rows: Vec<Vec<Cell>> = shown
        .into_iter()
        .take(usize::from(area.height.saturating_sub(1)))
        .map(|row| cells(row.name, figures(row), interval(scene, row.name)))
        .collect();
    table::draw(&COLUMNS, &rows, None, theme, area, buf);
}

/// Returns how sure the mean of a latency of the run is, if that is known.
fn interval(scene: Scene<'_>, name: &str) -> Option<Interval> {
    let all = &scene.app.figures.all;
    let interval = match name {
        "wait" => all.wait_interval,
        "sojourn" => all.sojourn_interval,
        _ => None,
    };
    interval.filter(|interval| scene.ui.recent.is_none() && interval.is_valid())
}

fn cells(name: &str, figures: LatencyFigures, interval: Option<Interval>) -> Vec<Cell> {
    let mut cells = vec![Cell::plain(name), Cell::plain(compact(figures.count))];
    match (figures.spread, interval) {
        (Some(s), interval) => {
            let sure =
                interval.map(|interval| format::mean(interval.mean_ns, interval.half_width_ns));
            // Who is surer than three digits needs no hint.
            let sure = sure.filter(|text| text.chars().count() <= usize::from(MEAN_WIDTH));
            cells.push(Cell::plain(sure.unwrap_or_else(|| format::duration(s.mean))));
            cells.extend(
                [s.p50, s.p90, s.p99, s.p999, s.max].map(format::duration).map(Cell::plain),
            );
        }
        (None, _) => cells.extend([(); 6].map(|()| Cell::new(format::ABSENT, Tone::Quiet))),
    }
    cells
}

/// Writes a count in at most seven characters.
fn compact(count: u64) -> String {
    match count {
        0..100_000 => format::count(count),
        100_000..10_000_000 => format!("{}k", format::count(count / 1000)),
        _ => format!("{}M", format::count(count / 1_000_000)),
    }
}
