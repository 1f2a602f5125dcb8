//! A snapshot as tables: one definition feeds CSV files, the Markdown report and the HTML report.
//!
//! A cell is a value with its kind. Machines read it in base units without rounding
//! ([`Cell::raw`]), people with three digits and a unit ([`Cell::text`]); what is not known is
//! empty for one and a dash for the other, never zero.

use std::time::Duration;

use engine::clock::{WallTime, nanos};
use engine::perf::catalog::MetricKind;
use engine::perf::{Histogram, Interval, Spread};

use super::figures::{Figures, Peak, ServiceFigures};
use super::format;
use super::state::{
    AppState, IndexRow, LatencyFigures, MetricRow, MetricValue, RECENT_SPANS, StoreRow,
};

mod goals;
mod net;
mod series;
mod told;

pub(crate) use series::{second, series_columns};

/// How sure a mean should be, as a share of itself.
pub(crate) const SURE_ENOUGH: f64 = 0.05;

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    /// Its name, also its file's: plain characters.
    pub(crate) name: &'static str,
    /// What it shows, for people.
    pub(crate) title: &'static str,
    /// One per cell of a row.
    pub(crate) columns: Vec<Column>,
    /// Its rows, as long as `columns`.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A column's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// For machines, with the unit.
    pub(crate) key: &'static str,
    /// For people.
    pub(crate) head: &'static str,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Not known, or did not happen.
    Absent,
    /// Words.
    Text(String),
    /// What a row's value is, with its unit for machines.
    Key(&'static str),
    /// A count.
    Count(u64),
    /// A number without a unit.
    Real(f64),
    /// A span of time; nanoseconds for machines.
    Span(Duration),
    /// Something per second.
    Rate(f64),
    /// A ratio, `0.0..=1.0` for machines and percent for people.
    Share(f64),
    /// A size.
    Bytes(u64),
    /// Whether something is so.
    Is(bool),
    /// A moment of the calendar.
    Wall(WallTime),
}

impl Cell {
    /// Writes the value for machines.
    pub(crate) fn raw(&self) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Text(text) => text.clone(),
            Self::Key(key) => (*key).to_owned(),
            Self::Count(number) | Self::Bytes(number) => number.to_string(),
            Self::Real(number) | Self::Rate(number) | Self::Share(number) => {
                if number.is_finite() {
                    number.to_string()
                } else {
                    String::new()
                }
            }
            Self::Span(span) => nanos(*span).to_string(),
            Self::Is(is) => is.to_string(),
            Self::Wall(wall) => format::iso(*wall),
        }
    }

    /// Writes the value for people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Absent => format::ABSENT.to_owned(),
            Self::Text(text) => text.clone(),
            Self::Key(key) => {
                let unit = ["_ns", "_bytes"].into_iter().find_map(|unit| key.strip_suffix(unit));
                unit.unwrap_or(key).replace('_', " ")
            }
            Self::Count(number) => format::count(*number),
            Self::Real(number) => format::number(*number),
            Self::Span(span) => format::duration(*span),
            Self::Rate(rate) => format::rate(*rate),
            Self::Share(share) => format::percent(*share),
            Self::Bytes(bytes) => format::bytes(*bytes),
            Self::Is(is) => if *is { "yes" } else { "no" }.to_owned(),
            Self::Wall(wall) => wall.to_string(),
        }
    }

    /// Returns whether it stands to the left in its column.
    pub(crate) fn is_words(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Key(_) | Self::Is(_) | Self::Wall(_))
    }

    fn or<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Absent, cell)
    }

    fn words(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// Pairs of names.
fn columns(names: &[(&'static str, &'static str)]) -> Vec<Column> {
    names.iter().map(|&(key, head)| Column { key, head }).collect()
}

/// A table of one value a row.
fn facts(
    name: &'static str,
    title: &'static str,
    rows: impl IntoIterator<Item = (&'static str, Cell)>,
) -> Table {
    let rows = rows.into_iter().map(|(key, cell)| vec![Cell::Key(key), cell]);
    let columns = columns(&[("figure", "figure"), ("value", "value")]);
    Table { name, title, columns, rows: rows.collect() }
}

/// Returns all tables of a snapshot.
pub(crate) fn all(state: &AppState) -> Vec<Table> {
    vec![
        goals::goals(state),
        services(&state.figures),
        latencies(state),
        confidence(&state.figures),
        little(&state.figures),
        processes(state),
        net::net(state),
        net::loads(state),
        metrics(state),
        run(state),
        store(&state.store),
        told::notices(state),
        told::events(state),
    ]
}

fn run(state: &AppState) -> Table {
    let (facts_of, figures, totals) = (&state.run, &state.figures, &state.totals);
    let level = |level: super::state::Level| Cell::or(level.actual.map(u64::from), Cell::Count);
    facts(
        "run",
        "The run",
        [
            ("scenario", Cell::words(&facts_of.scenario)),
            ("seed", Cell::or(facts_of.seed, |seed| Cell::words(seed.to_string()))),
            ("run", Cell::words(facts_of.id_text())),
            ("snapshot", Cell::Count(state.number)),
            ("taken", Cell::words(format::iso(state.wall))),
            ("started", Cell::words(format::iso(facts_of.started))),
            ("phase", Cell::words(state.phase.name())),
            ("host", Cell::words(&facts_of.host)),
            ("cpus", Cell::Count(facts_of.cpus as u64)),
            ("fsync", Cell::words(&facts_of.fsync)),
            ("elapsed_ns", Cell::Span(state.elapsed)),
            ("window_ns", Cell::Span(figures.window)),
            ("workers", level(state.workers)),
            ("users", level(state.users)),
            ("seats", Cell::or(state.seats.staffed.map(u64::from), Cell::Count)),
            ("total_offered", Cell::or(totals.offered, Cell::Count)),
            ("total_issued", Cell::Count(totals.issued)),
            ("total_rejected", Cell::or(totals.rejected, Cell::Count)),
            ("total_served", Cell::Count(totals.served)),
            ("total_failed", Cell::Count(totals.failed)),
            ("waiting", Cell::Count(totals.waiting)),
            ("in_service", Cell::Count(totals.in_service)),
            ("recovered", Cell::Count(totals.recovered)),
            ("redelivered", Cell::Count(totals.redelivered)),
            ("bad_peers", Cell::or(totals.bad_peers, Cell::Count)),
            ("users_intended", Cell::or(figures.users.intended, Cell::Count)),
            ("users_dropped", Cell::or(figures.users.dropped, Cell::Count)),
            (
                "workload_digest",
                Cell::or(figures.users.digest, |digest| Cell::words(format!("{digest:016x}"))),
            ),
            ("workers_fairness", Cell::or(figures.workers_fairness, Cell::Real)),
            ("users_fairness", Cell::or(figures.users_fairness, Cell::Real)),
        ],
    )
}

/// All services together come last; alone if there is one.
fn service_rows(figures: &Figures) -> impl Iterator<Item = &ServiceFigures> {
    let several = if figures.services.len() > 1 { &figures.services[..] } else { &[] };
    several.iter().chain([&figures.all])
}

fn services(figures: &Figures) -> Table {
    let names = [
        ("service", "service"),
        ("offered", "offered"),
        ("issued", "issued"),
        ("rejected", "rejected"),
        ("rejected_share", "rejected %"),
        ("served", "served"),
        ("failed", "failed"),
        ("unfinished", "unfinished"),
        ("offered_per_s", "offered/s"),
        ("throughput_per_s", "served/s"),
        ("utilization", "busy"),
        ("waiting_mean", "Lq"),
        ("waiting_max", "Lq max"),
        ("waiting_max_at_ns", "at"),
        ("in_system_mean", "L"),
        ("in_system_max", "L max"),
        ("in_system_max_at_ns", "at"),
        ("delayed_share", "had to wait"),
        ("wait_accepted_mean_ns", "wait of accepted"),
        ("lost_work_ns", "lost work"),
    ];
    let peak = |peak: Option<Peak>| {
        [Cell::or(peak, |p| Cell::Count(p.count)), Cell::or(peak, |p| Cell::Span(p.at))]
    };
    let row = |row: &ServiceFigures| {
        let [waiting_max, waiting_max_at] = peak(row.waiting_max);
        let [in_system_max, in_system_max_at] = peak(row.in_system_max);
        vec![
            Cell::words(&row.name),
            Cell::or(row.offered(), Cell::Count),
            Cell::Count(row.counts.issued),
            Cell::or(row.counts.rejected, Cell::Count),
            Cell::or(row.rejected_share, Cell::Share),
            Cell::Count(row.counts.served),
            Cell::Count(row.counts.failed),
            Cell::Count(row.unfinished()),
            Cell::or(row.offered_rate, Cell::Rate),
            Cell::or(row.throughput, Cell::Rate),
            Cell::or(row.utilization, Cell::Share),
            Cell::or(row.waiting_mean, Cell::Real),
            waiting_max,
            waiting_max_at,
            Cell::or(row.in_system_mean, Cell::Real),
            in_system_max,
            in_system_max_at,
            Cell::or(row.delayed_share, Cell::Share),
            Cell::or(row.wait_accepted_mean, Cell::Span),
            Cell::or(row.lost_work, Cell::Span),
        ]
    };
    Table {
        name: "services",
        title: "Tickets that arrived in the measured window",
        columns: columns(&names),
        rows: service_rows(figures).map(row).collect(),
    }
}

/// Returns the window that a 95 % interval of [`SURE_ENOUGH`] would take; `None` if the mean or
/// the window is zero.
pub(crate) fn window_for_sure(interval: &Interval, window: Duration) -> Option<Duration> {
    let more = (interval.relative()? / SURE_ENOUGH).powi(2);
    let seconds = window.as_secs_f64() * more;
    Duration::try_from_secs_f64(seconds).ok().filter(|span| !span.is_zero())
}

fn confidence(figures: &Figures) -> Table {
    let names = [
        ("service", "service"),
        ("latency", "latency"),
        ("mean_ns", "mean"),
        ("half_width_ns", "± (95 %)"),
        ("relative", "± %"),
        ("lag_1", "lag-1 correlation"),
        ("batch_values", "tickets a batch"),
        ("valid", "valid"),
        ("window_for_5_percent_ns", "±5 % would take"),
    ];
    let row = |service: &str, latency: &str, interval: &Interval| {
        vec![
            Cell::words(service),
            Cell::words(latency),
            Cell::Span(span_of_ns(interval.mean_ns)),
            Cell::Span(span_of_ns(interval.half_width_ns)),
            Cell::or(interval.relative(), Cell::Share),
            Cell::Real(interval.lag_1),
            Cell::Count(interval.batch_values),
            Cell::Is(interval.is_valid()),
            Cell::or(window_for_sure(interval, figures.window), Cell::Span),
        ]
    };
    let rows = service_rows(figures).flat_map(|service| {
        let both = [("wait", service.wait_interval), ("sojourn", service.sojourn_interval)];
        both.into_iter().filter_map(|(name, interval)| Some(row(&service.name, name, &interval?)))
    });
    Table {
        name: "confidence",
        title: "How sure the means are: 95 % intervals of ten batch means",
        rows: rows.collect(),
        columns: columns(&names),
    }
}

/// Returns a span of nanoseconds; zero for what is none.
pub(crate) fn span_of_ns(ns: f64) -> Duration {
    Duration::try_from_secs_f64(ns / 1e9).unwrap_or_default()
}

fn little(figures: &Figures) -> Table {
    let names = [
        ("service", "service"),
        ("waiting_mean", "Lq"),
        ("rate_times_wait", "λ × Wq"),
        ("boundary", "at the borders"),
        ("gap", "gap"),
        ("holds", "holds"),
    ];
    let rows = service_rows(figures).filter_map(|service| {
        let little = service.little?;
        Some(vec![
            Cell::words(&service.name),
            Cell::Real(little.waiting_mean),
            Cell::Real(little.rate_times_wait),
            Cell::Real(little.boundary),
            Cell::Share(little.gap),
            Cell::Is(little.holds()),
        ])
    });
    Table {
        name: "little",
        title: "Little's law: the queue's length and what the waits add up to",
        rows: rows.collect(),
        columns: columns(&names),
    }
}

/// Mean, percentiles and maximum; six cells.
fn spread_cells(spread: Option<Spread>) -> [Cell; 6] {
    spread.map_or([const { Cell::Absent }; 6], |s| {
        [s.mean, s.p50, s.p90, s.p99, s.p999, s.max].map(Cell::Span)
    })
}

fn latencies(state: &AppState) -> Table {
    let names = [
        ("service", "service"),
        ("latency", "latency"),
        ("span", "over"),
        ("count", "tickets"),
        ("mean_ns", "mean"),
        ("p50_ns", "p50"),
        ("p90_ns", "p90"),
        ("p99_ns", "p99"),
        ("p999_ns", "p99.9"),
        ("max_ns", "max"),
    ];
    let row = |service: &str, latency: &str, span: String, of: LatencyFigures| {
        let mut cells = vec![
            Cell::words(service),
            Cell::words(latency),
            Cell::Text(span),
            Cell::Count(of.count),
        ];
        cells.extend(spread_cells(of.spread));
        cells
    };
    let mut rows = Vec::new();
    for named in &state.figures.histograms {
        let run = LatencyFigures::of(&named.histogram);
        rows.push(row(
            named.service.as_deref().unwrap_or("all"),
            named.name,
            "run".to_owned(),
            run,
        ));
    }
    for latency in &state.latencies {
        for (seconds, recent) in RECENT_SPANS.iter().zip(latency.recent) {
            if recent != LatencyFigures::default() {
                rows.push(row("all", latency.name, format!("last {seconds} s"), recent));
            }
        }
    }
    Table {
        name: "latencies",
        title: "Latencies: the measured window, and the last moments",
        columns: columns(&names),
        rows,
    }
}

fn processes(state: &AppState) -> Table {
    let names = [
        ("role", "role"),
        ("number", "number"),
        ("pid", "pid"),
        ("state", "state"),
        ("cpu", "CPU"),
        ("rss_bytes", "memory"),
        ("restarts", "restarts"),
        ("tickets", "tickets"),
        ("hosts", "seats or users"),
        ("note", "note"),
    ];
    let number = |number: Option<u32>| Cell::or(number, |n| Cell::words(n.to_string()));
    let rows = state.processes.iter().map(|row| {
        vec![
            Cell::words(row.id.role()),
            number(row.id.number().map(u32::from)),
            number(row.pid),
            Cell::words(row.state.name()),
            Cell::or(row.cpu, Cell::Share),
            Cell::or(row.rss_bytes, Cell::Bytes),
            Cell::or(row.restarts.map(u64::from), Cell::Count),
            Cell::Count(row.tickets),
            Cell::or(row.hosts.map(u64::from), Cell::Count),
            Cell::words(&row.note),
        ]
    });
    Table { name: "processes", title: "Processes", rows: rows.collect(), columns: columns(&names) }
}

fn store(store: &StoreRow) -> Table {
    let words = |text: &Option<String>| Cell::or(text.clone(), Cell::Text);
    let index = |cell: fn(u64) -> Cell, of: fn(&IndexRow) -> u64| {
        Cell::or(store.index.as_ref().map(of), cell)
    };
    let [sync_mean, sync_p50, sync_p90, sync_p99, sync_p999, sync_max] = spread_cells(store.sync);
    facts(
        "store",
        "The log on disk",
        [
            ("segments", Cell::Count(store.segments)),
            ("log_bytes", Cell::Bytes(store.log_bytes)),
            ("file_bytes", Cell::or(store.file_bytes, Cell::Bytes)),
            ("retired_segments", Cell::or(store.retired, Cell::Count)),
            ("issuer_starts", Cell::Count(u64::from(store.issuer_starts))),
            ("records", Cell::Count(store.records)),
            ("bytes", Cell::Bytes(store.bytes)),
            ("batches", Cell::Count(store.batches)),
            ("batch_records_mean", Cell::or(store.batch_records(), Cell::Real)),
            ("syncs", Cell::or(store.syncs, Cell::Count)),
            ("unsynced_bytes", Cell::or(store.unsynced_bytes, Cell::Bytes)),
            ("sync_mean_ns", sync_mean),
            ("sync_p50_ns", sync_p50),
            ("sync_p90_ns", sync_p90),
            ("sync_p99_ns", sync_p99),
            ("sync_p999_ns", sync_p999),
            ("sync_max_ns", sync_max),
            ("index_memory_keys", index(Cell::Count, |index| index.keys)),
            ("index_memory_bytes", index(Cell::Bytes, |index| index.bytes)),
            ("index_lmdb_rows", index(Cell::Count, |index| index.rows)),
            ("index_lmdb_bytes", index(Cell::Bytes, |index| index.file_bytes)),
            ("index_behind_bytes", index(Cell::Bytes, |index| index.behind_bytes)),
            ("index_checkpoints", index(Cell::Count, |index| index.checkpoints)),
            ("is_blocked", Cell::Is(store.is_blocked)),
            ("trouble", words(&store.trouble)),
            ("index_trouble", words(&store.index_trouble)),
        ],
    )
}

fn metrics(state: &AppState) -> Table {
    let names = [
        ("metric", "metric"),
        ("kind", "kind"),
        ("unit", "unit"),
        ("count", "count"),
        ("sum", "sum"),
        ("mean", "mean"),
        ("p50", "p50"),
        ("p90", "p90"),
        ("p99", "p99"),
        ("p999", "p99.9"),
        ("max", "max"),
        ("help", "meaning"),
    ];
    let row = |row: &MetricRow| {
        let unit = row.metric.unit();
        let kind = match row.metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Histogram => "histogram",
        };
        let mut cells = vec![Cell::words(row.metric.name), Cell::words(kind), Cell::words(unit)];
        match &row.value {
            MetricValue::Count(sum) => {
                cells.extend([Cell::Absent, in_unit(*sum, unit)]);
                cells.extend([const { Cell::Absent }; 6]);
            }
            MetricValue::Values(values) => {
                let sum = u64::try_from(values.sum()).unwrap_or(u64::MAX);
                cells.extend([Cell::Count(values.count()), in_unit(sum, unit)]);
                cells.extend(value_cells(values, unit));
            }
        }
        cells.push(Cell::words(row.metric.help.trim()));
        cells
    };
    Table {
        name: "metrics",
        title: "The program's own work",
        columns: columns(&names),
        rows: state.metrics.iter().map(row).collect(),
    }
}

fn in_unit(value: u64, unit: &str) -> Cell {
    match unit {
        "ns" => Cell::Span(Duration::from_nanos(value)),
        "bytes" => Cell::Bytes(value),
        _ => Cell::Count(value),
    }
}

/// Mean, percentiles and maximum in a metric's unit; absent if nothing was recorded.
fn value_cells(values: &Histogram, unit: &str) -> [Cell; 6] {
    let Some(mean) = values.sum().checked_div(u128::from(values.count())) else {
        return [const { Cell::Absent }; 6];
    };
    let mean = u64::try_from(mean).unwrap_or(u64::MAX);
    let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|share| values.quantile(share));
    [mean, p50, p90, p99, p999, values.max()].map(|value| in_unit(value, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::figures::Little;
    use crate::app::history::Second;

    #[test]
    fn machines_get_base_units_and_people_get_three_digits() {
        for (cell, raw, text) in [
            (Cell::Absent, "", "–"),
            (Cell::Text("a,b".to_owned()), "a,b", "a,b"),
            (Cell::Key("sync_p99_ns"), "sync_p99_ns", "sync p99"),
            (Cell::Count(48_210), "48210", "48 210"),
            (Cell::Real(0.123_456), "0.123456", "0.123"),
            (Cell::Real(f64::NAN), "", "–"),
            (Cell::Span(Duration::from_micros(3050)), "3050000", "3.05ms"),
            (Cell::Share(0.7133), "0.7133", "71.3 %"),
            (Cell::Bytes(4200), "4200", "4.10 KiB"),
            (Cell::Is(true), "true", "yes"),
            (Cell::Wall(WallTime(3_661_000_000_000)), "1970-01-01T01:01:01.000Z", "01:01:01"),
        ] {
            assert_eq!((cell.raw().as_str(), cell.text().as_str()), (raw, text), "{cell:?}");
        }
    }

    #[test]
    fn every_row_is_as_long_as_its_head_and_no_key_stands_twice() {
        let mut state = crate::app::testing::app();
        let mut figures = Figures::default();
        for name in ["a", "b"] {
            figures.services.push(ServiceFigures {
                name: name.to_owned(),
                wait_interval: Some(Interval::default()),
                little: Some(Little::default()),
                ..ServiceFigures::default()
            });
        }
        state.figures = figures.into();
        let tables = all(&state);
        assert!(tables.iter().all(|table| !table.columns.is_empty()));
        for table in tables.iter().filter(|table| !["metrics"].contains(&table.name)) {
            assert!(!table.rows.is_empty(), "{}", table.name);
            let mut keys: Vec<&str> = table.columns.iter().map(|column| column.key).collect();
            assert!(table.rows.iter().all(|row| row.len() == keys.len()), "{}", table.name);
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), table.columns.len(), "{}", table.name);
        }
        assert_eq!(second(&Second::default()).len(), series_columns().len());
    }

    #[test]
    fn a_narrower_interval_takes_the_square_of_the_time() {
        let interval = Interval { mean_ns: 100.0, half_width_ns: 30.0, ..Interval::default() };
        let window = window_for_sure(&interval, Duration::from_secs(60)).unwrap();
        assert_eq!(window.as_secs(), 60 * 36);
        let none = Interval::default();
        assert_eq!(window_for_sure(&none, Duration::from_secs(60)), None);
        assert_eq!(window_for_sure(&interval, Duration::ZERO), None);
    }

    #[test]
    fn what_is_not_known_is_no_row_of_zeros() {
        let figures = Figures::default();
        assert!(confidence(&figures).rows.is_empty() && little(&figures).rows.is_empty());
        let services = services(&figures);
        let column = |key| services.columns.iter().position(|column| column.key == key).unwrap();
        for key in ["rejected_share", "waiting_max", "wait_accepted_mean_ns", "utilization"] {
            assert_eq!(services.rows[0][column(key)], Cell::Absent, "{key}");
        }
    }
}
