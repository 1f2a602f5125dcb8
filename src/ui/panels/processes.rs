//! One row per process.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw_reason;
use crate::app::format;
use crate::app::state::{ProcessRow, ProcessState};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{self, Cell, Column};

const fn number(head: &'static str, width: u16, rank: u8) -> Column {
    Column { head, width, is_word: false, rank }
}

const COLUMNS: [Column; 9] = [
    Column { head: "process", width: 13, is_word: true, rank: 0 },
    number("pid", 7, 1),
    Column { head: "state", width: 8, is_word: true, rank: 0 },
    number("CPU", 7, 0),
    number("memory", 8, 3),
    number("tickets", 11, 2),
    number("hosts", 5, 5),
    number("restarts", 8, 4),
    Column { head: "note", width: 12, is_word: true, rank: 6 },
];

/// Returns the head, with how many there are.
pub(crate) fn title(scene: Scene<'_>) -> String {
    let processes = &scene.app.processes;
    let alive = processes.iter().filter(|row| row.pid.is_some()).count();
    let restarts: u32 = processes.iter().map(|row| row.restarts).sum();
    if restarts > 0 {
        format!("Processes {alive}  restarts {restarts}")
    } else {
        format!("Processes {alive}")
    }
}

/// Draws the rows, with the selected one in sight.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    if scene.app.processes.is_empty() {
        return draw_reason(scene.reason("no process is known yet"), theme, area, buf);
    }
    let rows: Vec<Vec<Cell>> = scene.app.processes.iter().map(row).collect();
    let selected = scene.ui.selected_index(scene.app);
    table::draw(&COLUMNS, &rows, selected, theme, area, buf);
}

fn row(row: &ProcessRow) -> Vec<Cell> {
    let optional = |text: Option<String>| match text {
        Some(text) => Cell::plain(text),
        None => Cell::new(format::ABSENT, Tone::Quiet),
    };
    let tone = match row.state {
        ProcessState::Ready => Tone::Good,
        ProcessState::Suspect | ProcessState::Backoff => Tone::Warning,
        ProcessState::Failed => Tone::Bad,
        _ => Tone::Plain,
    };
    let restarts = if row.restarts > 0 { Tone::Warning } else { Tone::Quiet };
    vec![
        Cell::plain(row.id.to_string()),
        optional(row.pid.map(|pid| pid.to_string())),
        Cell::new(row.state.name(), tone),
        optional(row.cpu.map(format::percent)),
        optional(row.rss_bytes.map(format::bytes)),
        Cell::plain(format::count(row.tickets)),
        Cell::plain(row.hosts.to_string()),
        Cell::new(row.restarts.to_string(), restarts),
        Cell::new(row.note.clone(), Tone::Quiet),
    ]
}
