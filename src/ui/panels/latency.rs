//! Percentiles of the latencies.

use super::goals;
use crate::app::format;
use crate::app::state::{LatencyFigures, LatencyRow, RECENT_SPANS};
use crate::ui::past::Sharpness;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};
use engine::perf::Interval;

const COLUMNS: [Column; 8] = [
    Column::word("latency", 8, 0),
    Column::number("n", 7, 6),
    Column::number("mean", MEAN_WIDTH, 5),
    Column::number("p50", 7, 1),
    Column::number("p90", 7, 4),
    Column::number("p99", 7, 0),
    Column::number("p99.9", 7, 3),
    Column::number("max", 7, 2),
];

/// A panel that is this wide has room for all of the head.
const TITLE_WIDTH: u16 = 60;
/// The width of a mean.
const MEAN_WIDTH: u16 = 11;

/// The order in which latencies are shown; the last ones go where there is no room.
pub(super) const ORDER: [&str; 6] = ["wait", "service", "sojourn", "response", "overhead", "lag"];

/// Returns the head: what the figures are of, how sure the mean wait is, and whether the queue is
/// as long as the waits say.
pub(crate) fn title(scene: Scene<'_>, width: u16) -> String {
    if is_of_second(scene) {
        return "Latency, that second".to_owned();
    }
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

/// Returns the rows; a row's key is the latency's name.
pub(crate) fn table(scene: Scene<'_>) -> Table {
    let figures = |row: &LatencyRow| figures(scene, row);
    let found = |name: &&str| scene.app.latencies.iter().find(|row| row.name == *name);
    let mut shown: Vec<&LatencyRow> = ORDER.iter().filter_map(found).collect();
    if shown.iter().all(|row| figures(row).count == 0) {
        shown.clear();
    }
    let row = |row: &LatencyRow| Row {
        key: row.name.to_owned(),
        cells: cells(scene, row.name, figures(row), interval(scene, row.name)),
    };
    let empty = match scene.ui.recent {
        None => "no ticket has been served since the warm-up",
        Some(_) => "no ticket was served in this time",
    };
    let rows = shown.into_iter().map(row).collect();
    Table { columns: &COLUMNS, rows, empty: scene.reason_in_time(empty).into() }
}

/// Returns whether no more is known of the moment than what happened in its second.
pub(super) fn is_of_second(scene: Scene<'_>) -> bool {
    let frozen = scene.ui.frozen.as_ref();
    frozen.is_some_and(|frozen| frozen.sharpness == Sharpness::Seconds)
}

/// Returns the figures of the span that is chosen, or of the only one that is known.
pub(super) fn figures(scene: Scene<'_>, row: &LatencyRow) -> LatencyFigures {
    match scene.ui.recent {
        _ if is_of_second(scene) => row.recent[0],
        None => row.run,
        Some(span) => row.recent[span],
    }
}

/// Returns how sure the mean of a latency of the run is, if that is known.
pub(super) fn interval(scene: Scene<'_>, name: &str) -> Option<Interval> {
    let all = &scene.app.figures.all;
    let interval = match name {
        "wait" => all.wait_interval,
        "sojourn" => all.sojourn_interval,
        _ => None,
    };
    interval.filter(|interval| scene.ui.recent.is_none() && interval.is_valid())
}

fn cells(
    scene: Scene<'_>,
    name: &'static str,
    figures: LatencyFigures,
    interval: Option<Interval>,
) -> Vec<Cell> {
    #[expect(clippy::cast_precision_loss, reason = "an order of rows")]
    let count = Cell::plain(compact(figures.count)).by(figures.count as f64);
    let mut cells = vec![Cell::plain(name), count];
    let Some(spread) = figures.spread else {
        cells.extend([(); 6].map(|()| Cell::absent()));
        return cells;
    };
    let sure = interval.map(|interval| format::mean(interval.mean_ns, interval.half_width_ns));
    // Who is surer than three digits needs no hint.
    let sure = sure.filter(|text| text.chars().count() <= usize::from(MEAN_WIDTH));
    let mean = sure.unwrap_or_else(|| format::duration(spread.mean));
    cells.push(Cell::plain(mean).by(spread.mean.as_secs_f64()));
    let percentiles = [
        ("p50", spread.p50),
        ("p90", spread.p90),
        ("p99", spread.p99),
        ("p99.9", spread.p999),
        ("max", spread.max),
    ];
    let cell = |(figure, value)| Cell::span(value).tone(goals::tone_of(scene, figure, name, value));
    cells.extend(percentiles.map(cell));
    cells
}

/// Writes a count in at most seven characters.
pub(super) fn compact(count: u64) -> String {
    match count {
        0..100_000 => format::count(count),
        100_000..10_000_000 => format!("{}k", format::count(count / 1000)),
        _ => format!("{}M", format::count(count / 1_000_000)),
    }
}
