//! The files of the log.

use super::reason;
use crate::app::format;
use crate::app::state::{AppState, SegmentForm, SegmentRow};
use crate::ui::theme::Tone;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 5] = [
    Column::word("file", 21, 0),
    Column::word("form", 6, 0),
    Column::number("log", 8, 0),
    Column::number("on disk", 8, 0),
    Column::number("begins at", 15, 1),
];

/// Returns the head.
pub(crate) fn title(app: &AppState) -> String {
    let store = &app.store;
    let mut title = format!("Segments {}", format::count(store.segments));
    let listed = store.files.len() as u64;
    if listed > 0 && listed < store.segments {
        title.push_str(&format!("  the newest {} listed", format::count(listed)));
    }
    if let Some(retired @ 1..) = store.retired {
        title.push_str(&format!("  {} let go of", format::count(retired)));
    }
    title
}

/// Returns a row per file, the newest first; a row's key is its name.
pub(crate) fn table(app: &AppState) -> Table {
    let row = |row: &SegmentRow| Row { key: row.name.clone(), cells: cells(row) };
    let empty = reason(app, "the files of the log have not been looked at yet").into();
    Table { columns: &COLUMNS, rows: app.store.files.iter().rev().map(row).collect(), empty }
}

fn cells(row: &SegmentRow) -> Vec<Cell> {
    let tone = match row.form {
        SegmentForm::Active => Tone::Good,
        SegmentForm::Sealed => Tone::Plain,
        SegmentForm::Packed => Tone::Quiet,
    };
    vec![
        Cell::plain(row.name.clone()),
        Cell::new(row.form.name(), tone),
        Cell::bytes(row.bytes),
        Cell::bytes(row.file_bytes),
        Cell::count(row.first),
    ]
}
