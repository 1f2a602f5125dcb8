//! One row per service.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw_reason;
use crate::app::format;
use crate::app::state::{ServiceRow, Spread};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{self, Cell, Column};

const fn number(head: &'static str, width: u16, rank: u8) -> Column {
    Column { head, width, is_word: false, rank }
}

const COLUMNS: [Column; 8] = [
    Column { head: "service", width: 10, is_word: true, rank: 0 },
    number("served/s", 8, 0),
    number("waiting", 7, 0),
    number("busy", 4, 3),
    number("served", 11, 4),
    number("rejected", 8, 5),
    number("wait p99", 8, 1),
    number("W p99", 7, 2),
];

/// Draws the rows.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    if scene.app.services.is_empty() {
        return draw_reason(scene.reason("no service is known yet"), theme, area, buf);
    }
    let rows: Vec<Vec<Cell>> = scene.app.services.iter().map(row).collect();
    table::draw(&COLUMNS, &rows, None, theme, area, buf);
}

fn row(row: &ServiceRow) -> Vec<Cell> {
    let p99 = |spread: Option<Spread>| match spread {
        Some(spread) => Cell::plain(format::duration(spread.p99)),
        None => Cell::new(format::ABSENT, Tone::Quiet),
    };
    let rejected = if row.rejected > 0 { Tone::Warning } else { Tone::Plain };
    vec![
        Cell::plain(&row.name),
        Cell::plain(format::rate(row.served_rate)),
        Cell::plain(format::count(row.waiting)),
        Cell::plain(format::count(row.in_service)),
        Cell::plain(format::count(row.served)),
        Cell::new(format::count(row.rejected), rejected),
        p99(row.wait),
        p99(row.sojourn),
    ]
}
