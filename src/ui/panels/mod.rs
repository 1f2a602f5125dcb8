//! The parts of the screen, each drawn from a snapshot.

pub(crate) mod charts;
pub(crate) mod header;
pub(crate) mod latency;
pub(crate) mod lines;
pub(crate) mod logs;
pub(crate) mod overlays;
pub(crate) mod processes;
pub(crate) mod services;
pub(crate) mod store;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::theme::{Theme, Tone};
use super::widgets::table::visible;

/// A line of pieces, each with its meaning; what does not fit is left out piece by piece.
pub(crate) fn draw_pieces(pieces: &[(String, Tone)], theme: Theme, area: Rect, buf: &mut Buffer) {
    let mut x = area.x;
    for (index, (text, tone)) in pieces.iter().enumerate() {
        let room = usize::from(area.right().saturating_sub(x));
        let width = text.chars().count();
        // A name is of no use without its value.
        let value = match pieces.get(index + 1) {
            Some((value, _)) if text.ends_with(' ') => value.chars().count(),
            _ => 0,
        };
        if width + value > room && index > 0 {
            return;
        }
        buf.set_stringn(x, area.y, visible(text, room), room, theme.style(*tone));
        x = x.saturating_add(u16::try_from(width).unwrap_or(u16::MAX));
    }
}

/// One line that says why there is nothing else.
pub(crate) fn draw_reason(text: &str, theme: Theme, area: Rect, buf: &mut Buffer) {
    let text = visible(text, usize::from(area.width));
    buf.set_string(area.x, area.y, text, theme.style(Tone::Quiet));
}
