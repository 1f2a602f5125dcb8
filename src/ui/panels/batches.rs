//! How large the log's batches are, and how long writes, syncs and checkpoints take.

use std::time::Duration;

use engine::perf::Histogram;
use engine::perf::histogram::Recorded;

use super::reason;
use crate::app::format;
use crate::app::state::{AppState, MetricRow, MetricValue};
use crate::ui::theme::Theme;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 7] = [
    Column::word("of the log", 14, 0),
    Column::number("n", 9, 1),
    Column::number("p50", 8, 0),
    Column::number("p90", 8, 3),
    Column::number("p99", 8, 0),
    Column::number("p99.9", 8, 2),
    Column::number("max", 8, 0),
];

/// Parts of a distribution that a window with all about it shows.
const BARS: usize = 16;

/// Returns the head.
pub(crate) fn title(app: &AppState) -> String {
    match app.store.batch_records() {
        Some(mean) => format!("Batches  {} records on average", format::rate(mean)),
        None => "Batches and syncs".to_owned(),
    }
}

/// Returns a row per metric of the log that has a distribution; a row's key is the metric's name.
pub(crate) fn table(app: &AppState) -> Table {
    let rows = app.metrics.iter().filter_map(|row| {
        let values = values(row)?;
        let name = name(row.metric.name)?;
        Some(Row { key: row.metric.name.to_owned(), cells: cells(name, row, values) })
    });
    let empty = "nothing is recorded: metrics.recording is off or metrics are compiled out";
    Table { columns: &COLUMNS, rows: rows.collect(), empty: reason(app, empty).into() }
}

fn values(row: &MetricRow) -> Option<&Histogram> {
    match &row.value {
        MetricValue::Values(values) => Some(values),
        MetricValue::Count(_) => None,
    }
}

/// Returns what people call a metric of the log; `None` if it is no such metric.
fn name(metric: &'static str) -> Option<String> {
    let rest = metric.strip_prefix("logstore.")?;
    Some(match rest {
        "write.ns" => "write".to_owned(),
        "write.bytes" => "write size".to_owned(),
        "batch.records" => "batch records".to_owned(),
        "fsync.ns" => "sync".to_owned(),
        "checkpoint.ns" => "checkpoint".to_owned(),
        other => other.replace('.', " "),
    })
}

/// Writes a value of a metric in its unit.
fn amount(value: u64, unit: &str) -> String {
    match unit {
        "ns" => format::duration(Duration::from_nanos(value)),
        "bytes" => format::bytes(value),
        _ => format::count(value),
    }
}

fn cells(name: String, row: &MetricRow, values: &Histogram) -> Vec<Cell> {
    let mut cells = vec![Cell::plain(name), Cell::count(values.count())];
    if values.count() == 0 {
        cells.extend([(); 5].map(|()| Cell::absent()));
        return cells;
    }
    let quantiles = [0.5, 0.9, 0.99, 0.999].map(|share| values.quantile(share));
    #[expect(clippy::cast_precision_loss, reason = "an order of rows")]
    let cell = |value: u64| Cell::plain(amount(value, row.metric.unit())).by(value as f64);
    cells.extend(quantiles.map(cell));
    cells.push(cell(values.max()));
    cells
}

/// Returns all about a metric: what it means and how its values are spread.
pub(crate) fn detail(scene: Scene<'_>, key: &str) -> Option<Vec<(String, String)>> {
    let row = scene.app.metrics.iter().find(|row| row.metric.name == key)?;
    let values = values(row)?;
    let unit = row.metric.unit();
    let mut lines = vec![
        ("metric".to_owned(), row.metric.name.to_owned()),
        ("what".to_owned(), row.metric.help.trim().to_owned()),
        ("values".to_owned(), format::count(values.count())),
    ];
    if values.count() > 0 {
        lines.push(("mean".to_owned(), amount(values.mean(), unit)));
        lines.extend(bars(values, unit, scene.theme()));
    }
    Some(lines)
}

/// Returns how many values lie up to each power of two, smallest first.
fn bars(values: &Histogram, unit: &str, theme: Theme) -> Vec<(String, String)> {
    let mut bins = [0_u64; 64];
    for Recorded { value, count } in values.recorded() {
        let bin = (64 - value.leading_zeros()).min(63) as usize;
        bins[bin] += count;
    }
    let first = bins.iter().position(|count| *count > 0).unwrap_or(0);
    let last = bins.iter().rposition(|count| *count > 0).unwrap_or(0);
    let top = bins.iter().max().copied().unwrap_or(0).max(1);
    let shown = first.max((last + 1).saturating_sub(BARS))..=last;
    let bar = |count: u64| {
        let width = usize::try_from(count.saturating_mul(24).div_ceil(top)).unwrap_or(0);
        theme.pick("█", "#").repeat(width)
    };
    let line = |bin: usize| {
        let most = (1_u64 << bin).saturating_sub(1).max(1);
        (
            format!("up to {}", amount(most, unit)),
            format!("{:>9} {}", format::count(bins[bin]), bar(bins[bin])),
        )
    };
    shown.map(line).collect()
}
