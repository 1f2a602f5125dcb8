//! A chart of one series as columns: as many rows as there are, eighths of a row where the
//! terminal has them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws values from right to left, the newest at the right edge, so that `top` fills the height.
/// `None` leaves a gap.
pub(crate) fn draw(
    values: &[Option<f64>],
    top: f64,
    style: Style,
    is_utf8: bool,
    area: Rect,
    buf: &mut Buffer,
) {
    let shown = values.iter().rev().take(usize::from(area.width));
    for (x, value) in (0..area.width).rev().zip(shown) {
        let Some(value) = value else { continue };
        let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
        let mut eighths = eighths(share, area.height);
        // What is not zero is seen.
        if eighths == 0 && *value > 0.0 {
            eighths = 1;
        }
        for row in 0..area.height {
            let here = eighths.saturating_sub(usize::from(row) * 8).min(8);
            if here == 0 {
                break;
            }
            let y = area.bottom() - 1 - row;
            let symbol = if is_utf8 {
                EIGHTHS[here]
            } else if here >= 4 {
                "#"
            } else {
                "."
            };
            if let Some(cell) = buf.cell_mut((area.x + x, y)) {
                cell.set_symbol(symbol).set_style(style);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8 x 65535")]
fn eighths(share: f64, rows: u16) -> usize {
    (share * f64::from(rows) * 8.0).round() as usize
}

/// Returns the least of 1, 2, 2.5, 5 times a power of ten that is not below a value, at least 1: the
/// top of an axis.
pub(crate) fn nice_top(value: f64) -> f64 {
    let mut top = 1.0;
    while top < 1e15 {
        for factor in [1.0, 2.0, 2.5, 5.0] {
            if top * factor >= value {
                return top * factor;
            }
        }
        top *= 10.0;
    }
    top
}

/// Returns the least power of two that is not below a number of bytes, at least 1 KiB: the top of
/// an axis.
pub(crate) fn nice_top_bytes(bytes: f64) -> f64 {
    1024.0 * (bytes.max(1.0) / 1024.0).log2().ceil().max(0.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[Option<f64>], is_utf8: bool) -> Vec<String> {
        let area = Rect::new(0, 0, 4, 2);
        let mut buf = Buffer::empty(area);
        draw(values, 8.0, Style::new(), is_utf8, area, &mut buf);
        (0..2).map(|y| (0..4).map(|x| buf[(x, y)].symbol().to_owned()).collect()).collect()
    }

    #[test]
    fn columns_stand_at_the_right_and_fill_from_below() {
        let values = [Some(9.0), Some(8.0), None, Some(3.0), Some(0.01)];
        assert_eq!(rows(&values, true), ["█   ", "█ ▆▁"]);
        assert_eq!(rows(&values, false), ["#   ", "# #."]);
        assert_eq!(rows(&[Some(0.0)], true), ["    ", "    "]);
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (value, top) in [(0.0, 1.0), (1.0, 1.0), (3.2, 5.0), (61_000.0, 100_000.0)] {
            assert!((nice_top(value) - top).abs() < 1e-9, "{value}");
        }
        for (value, top) in [(0.0, 1024.0), (1024.0, 1024.0), (1025.0, 2048.0), (5e7, 67_108_864.0)]
        {
            assert!((nice_top_bytes(value) - top).abs() < 1e-9, "{value}");
        }
    }
}
