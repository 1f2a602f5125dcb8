//! Goals as a table.

use std::time::Duration;

use super::{Cell, Table, columns};
use crate::app::slo::{SloRow, SloValue};
use crate::app::state::AppState;

fn cell(value: SloValue) -> Cell {
    match value {
        SloValue::Span(seconds) => {
            Cell::Span(Duration::try_from_secs_f64(seconds).unwrap_or_default())
        }
        SloValue::Share(share) => Cell::Share(share),
        SloValue::Rate(rate) => Cell::Rate(rate),
    }
}

/// Returns a row for each goal. Values are in the goal's own unit: nanoseconds, a ratio or a
/// number per second.
pub(super) fn goals(state: &AppState) -> Table {
    let names = [
        ("name", "name"),
        ("goal", "goal"),
        ("verdict", "verdict"),
        ("value", "value"),
        ("limit", "limit"),
        ("attainment", "attained"),
        ("last_10s", "last 10 s"),
        ("alert", "alert"),
    ];
    let row = |row: &SloRow| {
        vec![
            Cell::words(&row.name),
            Cell::words(&row.text),
            Cell::words(row.verdict.name()),
            Cell::or(row.value, cell),
            cell(row.limit),
            Cell::or(row.attainment, Cell::Share),
            Cell::or(row.recent, cell),
            Cell::words(row.alert.name()),
        ]
    };
    Table {
        name: "slo",
        title: "Goals, over the measured window",
        columns: columns(&names),
        rows: state.slos.iter().map(row).collect(),
    }
}
