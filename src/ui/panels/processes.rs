//! One row per process.

use super::reason;
use crate::app::format;
use crate::app::state::{AppState, ProcessRow, ProcessState};
use crate::ui::theme::Tone;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 9] = [
    Column::word("process", 13, 0),
    Column::number("pid", 7, 1),
    Column::word("state", 8, 0),
    Column::number("CPU", 7, 0),
    Column::number("memory", 8, 3),
    Column::number("tickets", 11, 2),
    Column::number("hosts", 5, 5),
    Column::number("restarts", 8, 4),
    Column::word("note", 12, 6),
];

/// Returns the head, with how many there are.
pub(crate) fn title(app: &AppState) -> String {
    let alive = app.processes.iter().filter(|row| row.pid.is_some()).count();
    let restarts: u32 = app.processes.iter().map(|row| row.restarts).sum();
    if restarts > 0 {
        format!("Processes {alive}  restarts {restarts}")
    } else {
        format!("Processes {alive}")
    }
}

/// Returns the rows; a row's key is the process's name.
pub(crate) fn table(app: &AppState) -> Table {
    let rows = app
        .processes
        .iter()
        .map(|process| Row { key: process.id.to_string(), cells: cells(process) });
    let empty = reason(app, "no process is known yet").into();
    Table { columns: &COLUMNS, rows: rows.collect(), empty }
}

fn cells(row: &ProcessRow) -> Vec<Cell> {
    let tone = match row.state {
        ProcessState::Ready => Tone::Good,
        ProcessState::Suspect | ProcessState::Backoff => Tone::Warning,
        ProcessState::Failed => Tone::Bad,
        _ => Tone::Plain,
    };
    let restarts = if row.restarts > 0 { Tone::Warning } else { Tone::Quiet };
    vec![
        Cell::plain(row.id.to_string()),
        row.pid.map_or_else(Cell::absent, |pid| Cell::plain(pid.to_string()).by(f64::from(pid))),
        Cell::new(row.state.name(), tone),
        row.cpu.map_or_else(Cell::absent, |cpu| Cell::plain(format::percent(cpu)).by(cpu)),
        row.rss_bytes.map_or_else(Cell::absent, Cell::bytes),
        Cell::count(row.tickets),
        Cell::count(u64::from(row.hosts)),
        Cell::count(u64::from(row.restarts)).tone(restarts),
        Cell::new(row.note.clone(), Tone::Quiet),
    ]
}
