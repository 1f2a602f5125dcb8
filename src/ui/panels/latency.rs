//! Percentiles of the latencies.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw_reason;
use crate::app::format;
use crate::app::state::LatencyRow;
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{self, Cell, Column};

const fn number(head: &'static str, rank: u8) -> Column {
    Column { head, width: 7, is_word: false, rank }
}

const COLUMNS: [Column; 8] = [
    Column { head: "latency", width: 8, is_word: true, rank: 0 },
    number("n", 4),
    number("mean", 3),
    number("p50", 0),
    number("p90", 2),
    number("p99", 0),
    number("p99.9", 1),
    number("max", 0),
];

/// Returns the head, with how many tickets stand behind it.
pub(crate) fn title(scene: Scene<'_>) -> String {
    let measured = scene.app.latencies.iter().find(|row| row.name == "sojourn");
    match measured.map(|row| row.run.count) {
        Some(count @ 1..) => format!("Latency of {} tickets", format::count(count)),
        _ => "Latency".to_owned(),
    }
}

/// Draws one row per latency.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let rows: Vec<Vec<Cell>> = scene.app.latencies.iter().map(row).collect();
    if scene.app.latencies.iter().all(|row| row.run.count == 0) {
        let reason = scene.reason("no ticket has been served since the warm-up");
        return draw_reason(reason, theme, area, buf);
    }
    table::draw(&COLUMNS, &rows, None, theme, area, buf);
}

fn row(row: &LatencyRow) -> Vec<Cell> {
    let mut cells = vec![Cell::plain(row.name), Cell::plain(compact(row.run.count))];
    match &row.run.spread {
        Some(s) => {
            let spans = [s.mean, s.p50, s.p90, s.p99, s.p999, s.max];
            cells.extend(spans.map(|span| Cell::plain(format::duration(span))));
        }
        None => cells.extend([(); 6].map(|()| Cell::new(format::ABSENT, Tone::Quiet))),
    }
    cells
}

/// Writes a count in at most seven characters.
fn compact(count: u64) -> String {
    match count {
        0..100_000 => format::count(count),
        100_000..10_000_000 => format!("{}k", format::count(count / 1000)),
        _ => format!("{}M", format::count(count / 1_000_000)),
    }
}
