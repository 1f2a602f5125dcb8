//! One row per service: its queue and what its tickets met.

use super::reason;
use crate::app::state::{AppState, ServiceRow, Spread};
use crate::ui::theme::Tone;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 8] = [
    Column::word("service", 10, 0),
    Column::number("served/s", 8, 0),
    Column::number("waiting", 7, 0),
    Column::number("busy", 4, 3),
    Column::number("served", 11, 4),
    Column::number("rejected", 8, 5),
    Column::number("wait", 7, 1),
    Column::number("sojourn", 7, 2),
];

/// Returns the rows; a row's key is the service's name.
pub(crate) fn table(app: &AppState) -> Table {
    let rows =
        app.services.iter().map(|service| Row { key: service.name.clone(), cells: cells(service) });
    let empty = reason(app, "no service is known yet").into();
    Table { columns: &COLUMNS, rows: rows.collect(), empty }
}

fn cells(row: &ServiceRow) -> Vec<Cell> {
    let p99 =
        |spread: Option<Spread>| spread.map_or_else(Cell::absent, |spread| Cell::span(spread.p99));
    let rejected = match row.rejected {
        None => Cell::absent(),
        Some(0) => Cell::count(0),
        Some(rejected) => Cell::count(rejected).tone(Tone::Warning),
    };
    vec![
        Cell::plain(row.name.clone()),
        row.served_rate.map_or_else(Cell::absent, Cell::rate),
        Cell::count(row.waiting),
        Cell::count(row.in_service),
        Cell::count(row.served),
        rejected,
        p99(row.wait),
        p99(row.sojourn),
    ]
}
