//! The run second by second as rows, one at a time: there may be many.

use engine::perf::Spread;

use super::{Cell, Column, columns};
use crate::app::history::Second;

/// Returns the columns of [`second`].
pub(crate) fn series_columns() -> Vec<Column> {
    columns(&[
        ("t_s", "t"),
        ("wall", "wall"),
        ("span_s", "span"),
        ("running_s", "running"),
        ("measured_s", "measured"),
        ("offered_per_s", "offered/s"),
        ("issued_per_s", "issued/s"),
        ("rejected_per_s", "rejected/s"),
        ("served_per_s", "served/s"),
        ("issued", "issued"),
        ("rejected", "rejected"),
        ("served", "served"),
        ("failed", "failed"),
        ("waiting", "waiting"),
        ("in_service", "in service"),
        ("staffed", "seats"),
        ("utilization", "busy"),
        ("workers", "workers"),
        ("users", "users"),
        ("wait_p50_ns", "wait p50"),
        ("wait_p99_ns", "wait p99"),
        ("wait_max_ns", "wait max"),
        ("sojourn_p50_ns", "sojourn p50"),
        ("sojourn_p99_ns", "sojourn p99"),
        ("sojourn_max_ns", "sojourn max"),
        ("response_p50_ns", "response p50"),
        ("response_p99_ns", "response p99"),
        ("response_max_ns", "response max"),
        ("records", "records"),
        ("log_bytes", "log"),
        ("syncs", "syncs"),
        ("sync_p50_ns", "sync p50"),
        ("sync_p99_ns", "sync p99"),
        ("sync_max_ns", "sync max"),
    ])
}

/// Returns one second of the run as a row.
pub(crate) fn second(second: &Second) -> Vec<Cell> {
    let rate = |count: u64| Cell::Rate(second.per_second(count));
    let three = |spread: Option<Spread>| {
        spread.map_or([const { Cell::Absent }; 3], |s| [s.p50, s.p99, s.max].map(Cell::Span))
    };
    let mut cells = vec![
        Cell::Real(second.at.as_secs_f64()),
        Cell::Wall(second.wall),
        Cell::Real(second.span.as_secs_f64()),
        Cell::Real(second.running.as_secs_f64()),
        Cell::Real(second.measured.as_secs_f64()),
        Cell::or(second.offered(), rate),
        rate(second.issued),
        Cell::or(second.rejected, rate),
        rate(second.served),
        Cell::Count(second.issued),
        Cell::or(second.rejected, Cell::Count),
        Cell::Count(second.served),
        Cell::Count(second.failed),
        Cell::Count(second.waiting),
        Cell::Count(second.in_service),
        Cell::or(second.staffed, Cell::Count),
        Cell::or(second.utilization, Cell::Share),
        Cell::or(second.workers.map(u64::from), Cell::Count),
        Cell::or(second.users.map(u64::from), Cell::Count),
    ];
    cells.extend(three(second.wait));
    cells.extend(three(second.sojourn));
    cells.extend(three(second.response));
    cells.extend([
        Cell::Count(second.records),
        Cell::Bytes(second.log_bytes),
        Cell::or(second.syncs, Cell::Count),
    ]);
    cells.extend(three(second.sync));
    cells
}
