//! A table that can be sorted, filtered, marked and walked through; its columns give way: the least
//! important ones go when the room is small.
//!
//! A [`Table`] is made from a snapshot each time; how a person arranged it is an [`Arrangement`],
//! which names rows by their keys, so a row stays selected when rows move.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::ui::theme::{Theme, Tone};

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Column {
    /// Returns a column of words.
    pub(crate) const fn word(head: &'static str, width: u16, rank: u8) -> Self {
        Self { head, width, is_word: true, rank }
    }

    /// Returns a column of numbers.
    pub(crate) const fn number(head: &'static str, width: u16, rank: u8) -> Self {
        Self { head, width, is_word: false, rank }
    }
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) text: Cow<'static, str>,
    pub(crate) tone: Tone,
    /// What it is sorted by; `None` sorts by its text, and what is absent comes last.
    pub(crate) order: Option<f64>,
}

impl Cell {
    pub(crate) fn new(text: impl Into<Cow<'static, str>>, tone: Tone) -> Self {
        Self { text: text.into(), tone, order: None }
    }

    pub(crate) fn plain(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(text, Tone::Plain)
    }

    /// Returns a cell for what is not known.
    pub(crate) fn absent() -> Self {
        Self::new(crate::app::format::ABSENT, Tone::Quiet)
    }

    /// Sorts it by a number.
    pub(crate) fn by(self, order: f64) -> Self {
        Self { order: Some(order), ..self }
    }

    /// Returns a count.
    #[expect(clippy::cast_precision_loss, reason = "an order of rows")]
    pub(crate) fn count(number: u64) -> Self {
        Self::plain(crate::app::format::count(number)).by(number as f64)
    }

    /// Returns a span.
    pub(crate) fn span(span: std::time::Duration) -> Self {
        Self::plain(crate::app::format::duration(span)).by(span.as_secs_f64())
    }

    /// Returns bytes.
    #[expect(clippy::cast_precision_loss, reason = "an order of rows")]
    pub(crate) fn bytes(bytes: u64) -> Self {
        Self::plain(crate::app::format::bytes(bytes)).by(bytes as f64)
    }

    /// Returns a rate.
    pub(crate) fn rate(per_second: f64) -> Self {
        Self::plain(crate::app::format::rate(per_second)).by(per_second)
    }

    /// Gives it a meaning.
    pub(crate) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Its name, which no other row of the table has and which it keeps.
    pub(crate) key: String,
    /// One cell per column.
    pub(crate) cells: Vec<Cell>,
}

/// A table of this moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: &'static [Column],
    pub(crate) rows: Vec<Row>,
    /// Why there are no rows, if there are none.
    pub(crate) empty: Cow<'static, str>,
}

/// How a person arranged a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrangement {
    /// The column that it is sorted by, and whether from the greatest down.
    pub(crate) sort: Option<(usize, bool)>,
    /// Only rows with this text are shown; upper and lower case are the same.
    pub(crate) filter: String,
    /// The key of the selected row.
    pub(crate) selected: Option<String>,
    /// The keys of marked rows.
    pub(crate) marked: BTreeSet<String>,
    /// Rows are lines of a log: the newest is the last one and selected until a person chooses
    /// another; a filter hides nothing, it is searched for.
    pub(crate) is_log: bool,
}

impl Arrangement {
    /// Returns the usual arrangement of a log.
    pub(crate) fn of_log() -> Self {
        Self { is_log: true, ..Self::default() }
    }

    /// Returns whether a row has the text that is filtered or searched for.
    pub(crate) fn fits(&self, row: &Row) -> bool {
        let wanted = self.filter.to_lowercase();
        row.cells.iter().any(|cell| cell.text.to_lowercase().contains(&wanted))
    }

    /// Returns the rows that are shown, in order.
    pub(crate) fn shown<'a>(&self, table: &'a Table) -> Vec<&'a Row> {
        let fits = |row: &&Row| self.is_log || self.filter.is_empty() || self.fits(row);
        let mut rows: Vec<&Row> = table.rows.iter().filter(fits).collect();
        if let Some((column, is_down)) = self.sort.filter(|(at, _)| *at < table.columns.len()) {
            rows.sort_by(|a, b| compare(&a.cells[column], &b.cells[column], is_down));
        }
        rows
    }

    /// Returns the place of the selected row among those shown; by default the first, or the last
    /// line of a log.
    pub(crate) fn selected(&self, shown: &[&Row]) -> Option<usize> {
        let last = shown.len().checked_sub(1)?;
        let wanted = self.selected.as_ref();
        let found = shown.iter().position(|row| Some(&row.key) == wanted);
        // A line that is no longer kept was among the oldest.
        let is_following = self.is_log && wanted.is_none();
        Some(found.unwrap_or(if is_following { last } else { 0 }))
    }

    /// Selects another of the rows shown.
    pub(crate) fn select(&mut self, shown: &[&Row], to: impl FnOnce(usize) -> usize) {
        if let (Some(at), Some(last)) = (self.selected(shown), shown.len().checked_sub(1)) {
            let to = to(at).min(last);
            // Whoever is at the end of a log follows it.
            self.selected = (!self.is_log || to < last).then(|| shown[to].key.clone());
        }
    }

    /// Selects the next row, or the one before, that has what is searched for; returns whether
    /// there is one.
    pub(crate) fn select_match(&mut self, shown: &[&Row], is_down: bool) -> bool {
        let Some(at) = self.selected(shown) else { return false };
        let fits = |row: &&&Row| self.fits(row);
        let found = if is_down {
            shown[at + 1..].iter().position(|row| fits(&row)).map(|steps| at + 1 + steps)
        } else {
            shown[..at].iter().rposition(|row| fits(&row))
        };
        if let Some(found) = found {
            self.select(shown, |_| found);
        }
        found.is_some()
    }

    /// Sorts by a column: numbers from the greatest down first, and the other way the second time.
    pub(crate) fn sort_by(&mut self, columns: &[Column], column: usize) {
        self.sort = match (self.sort, columns.get(column)) {
            (_, None) => self.sort,
            (Some((at, is_down)), _) if at == column => Some((column, !is_down)),
            (_, Some(found)) => Some((column, !found.is_word)),
        };
    }
}

/// Compares two cells; what is not known comes last in either direction.
fn compare(a: &Cell, b: &Cell, is_down: bool) -> Ordering {
    let is_absent = |cell: &Cell| cell.text == crate::app::format::ABSENT;
    let rising = match (a.order, b.order) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => match (is_absent(a), is_absent(b)) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => a.text.cmp(&b.text),
        },
    };
    if is_down { rising.reverse() } else { rising }
}

/// Draws heads and as many rows as fit, the selected one in sight. The last column takes the room
/// that is left. `is_focused` tells whether a selected row is to be seen.
pub(crate) fn draw(
    table: &Table,
    arrangement: &Arrangement,
    is_focused: bool,
    theme: Theme,
    area: Rect,
    buf: &mut Buffer,
) {
    if area.is_empty() {
        return;
    }
    let rows = arrangement.shown(table);
    if rows.is_empty() {
        let text = match table.rows.len() {
            0 => table.empty.clone(),
            hidden => format!("no row has {:?} ({hidden} hidden)", arrangement.filter).into(),
        };
        let text = visible(&text, usize::from(area.width));
        buf.set_string(area.x, area.y, text, theme.style(Tone::Quiet));
        return;
    }
    let shown = choose(table.columns, area.width);
    draw_heads(table.columns, arrangement.sort, &shown, theme, area, buf);
    let height = usize::from(area.height - 1);
    let selected = arrangement.selected(&rows).filter(|_| is_focused);
    let first = first_row(rows.len(), arrangement.selected(&rows), height);
    for (y, (index, row)) in (1..).zip(rows.iter().enumerate().skip(first).take(height)) {
        let line = Rect { y: area.y + y, height: 1, ..area };
        draw_row(table.columns, &shown, &row.cells, theme, line, buf);
        if arrangement.marked.contains(&row.key) {
            let mark = theme.pick("●", "*");
            let x = line.right() - 1;
            buf.set_string(x, line.y, mark, theme.style(Tone::Accent));
        }
        if arrangement.is_log && !arrangement.filter.is_empty() && arrangement.fits(row) {
            buf.set_style(line, theme.style(Tone::Accent));
        }
        if selected == Some(index) {
            buf.set_style(line, theme.style(Tone::Selected));
        }
    }
    draw_rest(rows.len().saturating_sub(first + height), theme, area, buf);
}

/// Says how many rows there are below the last one, whose place it takes.
fn draw_rest(hidden: usize, theme: Theme, area: Rect, buf: &mut Buffer) {
    if hidden == 0 || area.height <= 2 {
        return;
    }
    let last = Rect { y: area.bottom() - 1, height: 1, ..area };
    clear(last, buf);
    // The row that it hides is counted too.
    let text = visible(&format!("  {} more below", hidden + 1), usize::from(area.width));
    buf.set_string(last.x, last.y, text, theme.style(Tone::Quiet));
}

/// Makes a part of the screen empty.
pub(crate) fn clear(area: Rect, buf: &mut Buffer) {
    for position in area.positions() {
        if let Some(cell) = buf.cell_mut(position) {
            cell.reset();
        }
    }
}

/// Returns the row of the table at a height of its area, counted among the rows shown; used for the
/// mouse. The first line has the heads.
pub(crate) fn row_at(rows: usize, selected: Option<usize>, area: Rect, y: u16) -> Option<usize> {
    let line = y.checked_sub(area.y + 1)?;
    let height = usize::from(area.height.checked_sub(1)?);
    let index = first_row(rows, selected, height) + usize::from(line);
    (usize::from(line) < height && index < rows).then_some(index)
}

/// Returns the column whose head stands at a place; used for the mouse.
pub(crate) fn column_at(columns: &[Column], area: Rect, x: u16) -> Option<usize> {
    let mut left = area.x;
    for index in choose(columns, area.width) {
        let right = left.saturating_add(columns[index].width);
        if (left..=right).contains(&x) {
            return Some(index);
        }
        left = right + 1;
    }
    None
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

fn draw_heads(
    columns: &[Column],
    sort: Option<(usize, bool)>,
    shown: &[usize],
    theme: Theme,
    area: Rect,
    buf: &mut Buffer,
) {
    let head = |(index, column): (usize, &Column)| match sort {
        Some((at, is_down)) if at == index => {
            let arrow = if is_down { theme.pick("▼", "v") } else { theme.pick("▲", "^") };
            let room = usize::from(column.width).saturating_sub(1);
            Cell::new(format!("{}{arrow}", visible(column.head, room)), Tone::Accent)
        }
        _ => Cell::new(column.head, Tone::Quiet),
    };
    let heads: Vec<Cell> = columns.iter().enumerate().map(head).collect();
    draw_row(columns, shown, &heads, theme, Rect { height: 1, ..area }, buf);
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

    const COLUMNS: [Column; 2] = [Column::word("name", 5, 0), Column::number("size", 5, 0)];

    fn table() -> Table {
        let row = |key: &str, size: Option<u64>| Row {
            key: key.to_owned(),
            cells: vec![Cell::plain(key.to_owned()), size.map_or_else(Cell::absent, Cell::count)],
        };
        let rows = vec![
            row("beta", Some(9)),
            row("Alpha", Some(100)),
            row("gamma", None),
            row("delta", Some(20)),
        ];
        Table { columns: &COLUMNS, rows, empty: "nothing".into() }
    }

    fn keys(arrangement: &Arrangement) -> Vec<String> {
        arrangement.shown(&table()).iter().map(|row| row.key.clone()).collect()
    }

    #[test]
    fn numbers_are_sorted_as_numbers_and_what_is_unknown_comes_last() {
        let mut arrangement = Arrangement::default();
        assert_eq!(keys(&arrangement), ["beta", "Alpha", "gamma", "delta"]);
        arrangement.sort_by(&COLUMNS, 1);
        assert_eq!(keys(&arrangement), ["Alpha", "delta", "beta", "gamma"], "greatest first");
        arrangement.sort_by(&COLUMNS, 1);
        assert_eq!(keys(&arrangement), ["beta", "delta", "Alpha", "gamma"]);
        arrangement.sort_by(&COLUMNS, 0);
        assert_eq!(arrangement.sort, Some((0, false)), "words rise first");
        arrangement.sort_by(&COLUMNS, 7);
        assert_eq!(arrangement.sort, Some((0, false)), "there is no such column");
    }

    #[test]
    fn a_filter_hides_rows_and_a_selected_row_stays_selected() {
        let mut arrangement = Arrangement { filter: "ALPHA".to_owned(), ..Arrangement::default() };
        assert_eq!(keys(&arrangement), ["Alpha"]);
        arrangement.filter = "ta".to_owned();
        let table = table();
        let shown = arrangement.shown(&table);
        arrangement.select(&shown, |at| at + 1);
        assert_eq!(arrangement.selected.as_deref(), Some("delta"));
        arrangement.filter.clear();
        let shown = arrangement.shown(&table);
        assert_eq!(arrangement.selected(&shown), Some(3));
        arrangement.select(&shown, |_| usize::MAX);
        assert_eq!(arrangement.selected.as_deref(), Some("delta"));
    }

    #[test]
    fn a_log_is_followed_until_a_person_moves_and_searched_without_hiding() {
        let mut log = Arrangement::of_log();
        let table = table();
        let shown = log.shown(&table);
        assert_eq!(log.selected(&shown), Some(3), "the newest");
        log.select(&shown, |at| at - 1);
        assert_eq!(log.selected.as_deref(), Some("gamma"));
        log.select(&shown, |at| at + 1);
        assert_eq!((log.selected.as_ref(), log.selected(&shown)), (None, Some(3)), "it follows");
        log.filter = "ETA".to_owned();
        assert_eq!(log.shown(&table).len(), 4, "nothing is hidden");
        assert!(log.select_match(&shown, false));
        assert_eq!(log.selected(&shown), Some(0));
        assert!(!log.select_match(&shown, false), "there is none before");
        assert!(!log.select_match(&shown, true), "there is none behind");
    }

    #[test]
    fn the_selected_row_is_in_sight_and_found_by_the_mouse() {
        for selected in 0..50 {
            for height in 1..12 {
                let first = first_row(50, Some(selected), height);
                assert!(first <= selected && selected < first + height, "{selected} in {height}");
                let area = Rect::new(0, 4, 9, u16::try_from(height).unwrap() + 1);
                let y = 5 + u16::try_from(selected - first).unwrap();
                assert_eq!(row_at(50, Some(selected), area, y), Some(selected));
            }
        }
        assert_eq!(first_row(3, Some(2), 10), 0);
        assert_eq!(row_at(3, None, Rect::new(0, 0, 9, 10), 0), None, "the heads");
        assert_eq!(row_at(3, None, Rect::new(0, 0, 9, 10), 4), None, "below the last row");
        assert_eq!(column_at(&COLUMNS, Rect::new(2, 0, 11, 3), 8), Some(1));
        assert_eq!(column_at(&COLUMNS, Rect::new(2, 0, 11, 3), 1), None);
    }

    #[test]
    fn the_least_important_columns_go_first() {
        let columns = [Column::word("", 5, 0), Column::word("", 5, 2), Column::word("", 5, 1)];
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
