//! One row per process.

use super::{reason, spark};
use crate::app::action::ProcessId;
use crate::app::format;
use crate::app::state::{AppState, ProcessRow, ProcessState};
use crate::ui::theme::{Theme, Tone};
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 11] = [
    Column::word("process", 13, 0),
    Column::number("pid", 7, 3),
    Column::word("state", 8, 0),
    Column::number("CPU", 6, 0),
    Column::number("memory", 8, 4),
    Column::number("tickets", 11, 2),
    Column::number("rate/s", 7, 0),
    Column::number("hosts", 5, 6),
    Column::number("restarts", 8, 1),
    Column::word("trend", 8, 5),
    Column::word("note", 12, 7),
];

/// Returns the head, with how many there are.
pub(crate) fn title(app: &AppState) -> String {
    let alive = app.processes.iter().filter(|row| row.pid.is_some()).count();
    let restarts: u32 = app.processes.iter().filter_map(|row| row.restarts).sum();
    if restarts > 0 {
        format!("Processes {alive}  restarts {restarts}")
    } else {
        format!("Processes {alive}")
    }
}

/// Returns the rows; a row's key is the process's name.
pub(crate) fn table(app: &AppState, theme: Theme) -> Table {
    let rows = app
        .processes
        .iter()
        .map(|process| Row { key: process.id.to_string(), cells: cells(app, process, theme) });
    let empty = reason(app, "no process is known yet").into();
    Table { columns: &COLUMNS, rows: rows.collect(), empty }
}

/// Returns the word for where a process stands, and how it should look.
pub(crate) fn state(app: &AppState, row: &ProcessRow) -> (&'static str, Tone) {
    if app.settings.frozen.contains(&row.id) {
        return ("HALTED", Tone::Warning);
    }
    let tone = match row.state {
        ProcessState::Ready => Tone::Good,
        ProcessState::Suspect | ProcessState::Backoff => Tone::Warning,
        ProcessState::Failed => Tone::Bad,
        _ => Tone::Plain,
    };
    (row.state.name(), tone)
}

fn cells(app: &AppState, row: &ProcessRow, theme: Theme) -> Vec<Cell> {
    let count = |number: Option<u32>| {
        number.map_or_else(Cell::absent, |number| Cell::count(u64::from(number)))
    };
    let restarts =
        if row.restarts.is_some_and(|number| number > 0) { Tone::Warning } else { Tone::Quiet };
    let has_tickets = row.id != ProcessId::Director;
    let is_host = has_tickets && row.id != ProcessId::Issuer;
    let (state, tone) = state(app, row);
    let rate = row.trend.rates().next_back().filter(|_| has_tickets);
    let trend = if has_tickets { spark(row.trend.rates(), theme) } else { String::new() };
    vec![
        Cell::plain(row.id.to_string()),
        row.pid.map_or_else(Cell::absent, |pid| Cell::plain(pid.to_string()).by(f64::from(pid))),
        Cell::new(state, tone),
        row.cpu.map_or_else(Cell::absent, |cpu| Cell::plain(format::percent(cpu)).by(cpu)),
        row.rss_bytes.map_or_else(Cell::absent, Cell::bytes),
        if has_tickets { Cell::count(row.tickets) } else { Cell::absent() },
        rate.map_or_else(Cell::absent, Cell::rate),
        count(row.hosts.filter(|_| is_host)),
        count(row.restarts).tone(restarts),
        Cell::new(trend, Tone::Quiet),
        Cell::new(row.note.clone(), Tone::Quiet),
    ]
}
