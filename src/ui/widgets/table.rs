//! A table whose columns give way: the least important ones go when the room is small.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::ui::theme::{Theme, Tone};

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its head.
    pub(crate) head: &'static str,
    /// Its width in cells.
    pub(crate) width: u16,
    /// Words stand at the left, numbers at the right.
    pub(crate) is_word: bool,
    /// Columns of a higher rank go first when the room is small; rank 0 never goes.
    pub(crate) rank: u8,
}

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Draws heads and as many rows as fit; with a selected row, so that it is in sight. The last
/// column takes the room that is left.
pub(crate) fn draw(
    columns: &[Column],
    rows: &[Vec<Cell>],
    selected: Option<usize>,
    theme: Theme,
    area: Rect,
    buf: &mut Buffer,
) {
    if area.is_empty() {
        return;
    }
    let shown = choose(columns, area.width);
    let heads: Vec<Cell> = columns.iter().map(|c| Cell::new(c.head, Tone::Quiet)).collect();
    draw_row(columns, &shown, &heads, theme, Rect { height: 1, ..area }, buf);
    let height = usize::from(area.height - 1);
    let first = first_row(rows.len(), selected, height);
    for (y, (index, row)) in (1..).zip(rows.iter().enumerate().skip(first).take(height)) {
        let line = Rect { y: area.y + y, height: 1, ..area };
        draw_row(columns, &shown, row, theme, line, buf);
        if selected == Some(index) {
            buf.set_style(line, theme.style(Tone::Selected));
        }
    }
    let hidden = rows.len().saturating_sub(first + height);
    if hidden > 0 && height > 1 {
        let last = Rect { y: area.bottom() - 1, height: 1, ..area };
        for position in last.positions() {
            if let Some(cell) = buf.cell_mut(position) {
                cell.reset();
            }
        }
        // The row that it hides is counted too.
        let text = visible(&format!("  {} more below", hidden + 1), usize::from(area.width));
        buf.set_string(last.x, last.y, text, theme.style(Tone::Quiet));
    }
}

/// Returns the first row that is shown, so that the selected one is.
fn first_row(rows: usize, selected: Option<usize>, height: usize) -> usize {
    let last_start = rows.saturating_sub(height);
    selected
        .map_or(0, |selected| (selected + 1).saturating_sub(height.saturating_sub(1).max(1)))
        .min(last_start)
}

/// Returns the indices of the columns that fit.
fn choose(columns: &[Column], width: u16) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    loop {
        let needed: u16 = shown.iter().map(|&index| columns[index].width + 1).sum();
        let least = shown.iter().copied().max_by_key(|&index| columns[index].rank);
        match least {
            Some(index) if needed > width + 1 && columns[index].rank > 0 => {
                shown.retain(|&kept| kept != index);
            }
            _ => return shown,
        }
    }
}

fn draw_row(
    columns: &[Column],
    shown: &[usize],
    cells: &[Cell],
    theme: Theme,
    area: Rect,
    buf: &mut Buffer,
) {
    let mut x = area.x;
    for &index in shown {
        let (Some(cell), column) = (cells.get(index), columns[index]) else { continue };
        let left = area.right().saturating_sub(x);
        let is_last = shown.last() == Some(&index);
        let width = if is_last && column.is_word { left } else { column.width.min(left) };
        let text = visible(&cell.text, usize::from(width));
        let pad = usize::from(width).saturating_sub(text.chars().count());
        let offset = if column.is_word { 0 } else { u16::try_from(pad).unwrap_or(0) };
        buf.set_stringn(x + offset, area.y, &text, usize::from(width), theme.style(cell.tone));
        x = x.saturating_add(width + 1);
        if x >= area.right() {
            return;
        }
    }
}

/// Returns a text that can be shown: control characters become visible and it is cut to a width.
pub(crate) fn visible(text: &str, width: usize) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    if text.chars().count() <= width {
        return text.chars().map(shown).collect();
    }
    let mut cut: String = text.chars().map(shown).take(width.saturating_sub(1)).collect();
    if width > 0 {
        cut.push('~');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_in_sight() {
        for selected in 0..50 {
            for height in 1..12 {
                let first = first_row(50, Some(selected), height);
                assert!(first <= selected && selected < first + height, "{selected} in {height}");
            }
        }
        assert_eq!(first_row(3, Some(2), 10), 0);
    }

    #[test]
    fn the_least_important_columns_go_first() {
        let column = |width, rank| Column { head: "", width, is_word: true, rank };
        let columns = [column(5, 0), column(5, 2), column(5, 1)];
        assert_eq!(choose(&columns, 17), [0, 1, 2]);
        assert_eq!(choose(&columns, 16), [0, 2]);
        assert_eq!(choose(&columns, 1), [0]);
    }

    #[test]
    fn control_characters_are_never_sent_to_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb", 20), "a\u{fffd}[2Jb");
        assert_eq!(visible("abcdef", 4), "abc~");
        assert_eq!(visible("abc", 0), "");
    }
}
