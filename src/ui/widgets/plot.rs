//! Lines over time: which moment stands in which column, how values are joined into columns, and
//! how they are drawn with eight dots to a cell.
//!
//! Columns are fixed spans of time, so a picture moves on in whole cells and does not flicker. Of
//! values that share a column the least and the greatest are drawn: no peak is lost.

use std::time::Duration;

use engine::clock::{Time, nanos};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::app::trend::Extent;

/// Columns of dots in a cell.
const DOTS_WIDE: u64 = CELL_DOTS as u64;
/// The same, to count with.
const CELL_DOTS: usize = 2;
/// Rows of dots in a cell.
const DOTS_HIGH: u16 = 4;
/// Cells that stay empty between the newest and the oldest of a swept picture.
const GAP_CELLS: u16 = 1;

/// Which moment stands where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeAxis {
    /// The number of the first column of dots since the clock's zero.
    first: u64,
    step_ns: u64,
    cells: u16,
    /// The column of the newest moment.
    last: u64,
    is_swept: bool,
}

impl TimeAxis {
    /// Returns the axis of a picture so many cells wide that covers a window up to `edge`.
    pub(crate) fn new(edge: Time, window: Duration, cells: u16, is_swept: bool) -> Self {
        let dots = u64::from(cells) * DOTS_WIDE;
        let step_ns = (nanos(window) / dots.max(1)).max(1);
        let last = edge.0 / step_ns;
        // Whole cells, so that the picture moves by one cell and not by half of one.
        let first = ((last / DOTS_WIDE + 1) * DOTS_WIDE).saturating_sub(dots);
        Self { first, step_ns, cells, last, is_swept }
    }

    /// Returns the first moment that is shown.
    pub(crate) fn from(self) -> Time {
        Time(self.first.saturating_mul(self.step_ns))
    }

    /// Returns the moment at the left edge of a swept picture: where the newest sweep began.
    pub(crate) fn sweep_start(self) -> Time {
        let dots = u64::from(self.cells.max(1)) * DOTS_WIDE;
        Time((self.last - self.last % dots).saturating_mul(self.step_ns))
    }

    /// Returns the column of dots of a moment; `None` if it is not shown.
    fn dot(self, moment: Time) -> Option<usize> {
        let column = moment.0 / self.step_ns;
        let dots = u64::from(self.cells) * DOTS_WIDE;
        let index = column.checked_sub(self.first).filter(|index| *index < dots)?;
        let place = if self.is_swept { column % dots } else { index };
        usize::try_from(place).ok()
    }

    /// Returns the cell of a moment; `None` if it is not shown.
    pub(crate) fn cell(self, moment: Time) -> Option<u16> {
        self.dot(moment).and_then(|dot| u16::try_from(dot / CELL_DOTS).ok())
    }

    /// Returns the moment at which a cell ends, or the newest if that is earlier.
    pub(crate) fn moment(self, cell: u16) -> Time {
        let dots = u64::from(self.cells.max(1)) * DOTS_WIDE;
        let place = (u64::from(cell) + 1) * DOTS_WIDE;
        let column = if self.is_swept {
            let sweep = self.last - self.last % dots;
            // What stands right of the newest is of the sweep before.
            let is_before = u64::from(cell) > self.last % dots / DOTS_WIDE;
            sweep.saturating_sub(if is_before { dots } else { 0 }) + place
        } else {
            self.first + place
        };
        Time(column.min(self.last + 1).saturating_mul(self.step_ns).saturating_sub(1))
    }

    /// Joins values, oldest first, into one extent per column of dots. Between two values that are
    /// at most `hold` apart the first lasts on; a longer silence is a gap.
    pub(crate) fn join(self, values: &[(Time, Extent)], hold: Duration) -> Vec<Option<Extent>> {
        let mut columns = vec![None; usize::from(self.cells) * CELL_DOTS];
        let mut before: Option<(Time, Extent)> = None;
        for &(moment, extent) in values {
            if let Some((since, held)) = before.filter(|(since, _)| moment.since(*since) <= hold) {
                for column in since.0 / self.step_ns + 1..moment.0 / self.step_ns {
                    let at = Time(column.saturating_mul(self.step_ns));
                    if let Some(place) = self.dot(at).and_then(|dot| columns.get_mut(dot)) {
                        *place = Some(held);
                    }
                }
            }
            if let Some(place) = self.dot(moment).and_then(|dot| columns.get_mut(dot)) {
                *place = Some(place.map_or(extent, |known: Extent| known.join(extent)));
            }
            before = Some((moment, extent));
        }
        if self.is_swept {
            self.clear_gap(&mut columns);
        }
        columns
    }

    /// Empties the oldest columns of a swept picture, which stand right of the newest.
    fn clear_gap(self, columns: &mut [Option<Extent>]) {
        let dots = columns.len();
        let newest = usize::try_from(self.last % (dots.max(1) as u64)).unwrap_or(0);
        for ahead in 1..=usize::from(GAP_CELLS * 2).min(dots.saturating_sub(1)) {
            columns[(newest + ahead) % dots] = None;
        }
    }
}

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// From zero to a top.
    Linear(f64),
    /// From a lowest to a highest value, each a power of ten.
    Log(f64, f64),
}

impl Scale {
    /// Returns a scale on which all values above zero are seen, and whole decades of them.
    pub(crate) fn log_of(values: impl Iterator<Item = f64>) -> Self {
        let above = values.filter(|value| *value > 0.0 && value.is_finite());
        let both = above.fold(None, |both: Option<Extent>, value| {
            Some(both.map_or(Extent::of(value), |known| known.join(Extent::of(value))))
        });
        let both = both.unwrap_or(Extent { min: 1e-3, max: 1e-2 });
        let low = 10_f64.powf((both.min.log10() + 1e-9).floor());
        let high = 10_f64.powf((both.max.log10() - 1e-9).ceil());
        Self::Log(low, high.max(low * 10.0))
    }

    /// Returns how high a value stands, from zero to one.
    pub(crate) fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(top) => value / top,
            Self::Log(low, high) => (value.max(low) / low).log10() / (high / low).log10(),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// A line.
pub(crate) struct Curve<'a> {
    /// One extent per column of dots, as [`TimeAxis::join`] makes them.
    pub(crate) columns: &'a [Option<Extent>],
    pub(crate) scale: Scale,
    pub(crate) style: Style,
    /// A broken line, which is told from another one without colours.
    pub(crate) is_broken: bool,
}

/// Draws lines, the first on top.
pub(crate) fn draw(curves: &[Curve<'_>], is_utf8: bool, area: Rect, buf: &mut Buffer) {
    let pictures: Vec<Vec<u8>> = curves.iter().map(|curve| dots(curve, area)).collect();
    for (index, (x, y)) in cells(area).enumerate() {
        let all = pictures.iter().fold(0, |all, picture| all | picture[index]);
        let first = pictures.iter().position(|picture| picture[index] != 0);
        let (Some(first), Some(cell)) = (first, buf.cell_mut((x, y))) else { continue };
        let curve = &curves[first];
        cell.set_style(curve.style);
        if is_utf8 {
            cell.set_char(char::from_u32(0x2800 + u32::from(all)).unwrap_or(' '));
        } else {
            cell.set_char(ascii(pictures[first][index], curve.is_broken));
        }
    }
}

fn cells(area: Rect) -> impl Iterator<Item = (u16, u16)> {
    (area.top()..area.bottom()).flat_map(move |y| (area.left()..area.right()).map(move |x| (x, y)))
}

/// Returns the dots of each cell of a line, in the order of the cells and as Braille counts them.
fn dots(curve: &Curve<'_>, area: Rect) -> Vec<u8> {
    let (width, high) = (usize::from(area.width), area.height * DOTS_HIGH);
    let mut cells = vec![0; width * usize::from(area.height)];
    if high == 0 {
        return cells;
    }
    let row = |value: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 65535")]
        let row = (curve.scale.share(value) * f64::from(high - 1)).round() as u16;
        row.min(high - 1)
    };
    let mut before: Option<(u16, u16)> = None;
    for (x, extent) in curve.columns.iter().enumerate().take(width * 2) {
        let Some(extent) = extent else {
            before = None;
            continue;
        };
        let (mut low, mut high_row) = (row(extent.min), row(extent.max));
        let own = (low, high_row);
        // The line has no holes where it rises or falls.
        if let Some((low_before, high_before)) = before {
            if low_before > high_row {
                high_row = low_before - 1;
            } else if high_before < low {
                low = high_before + 1;
            }
        }
        before = Some(own);
        if curve.is_broken && x % 4 >= 2 {
            continue;
        }
        for up in low..=high_row {
            let y = high - 1 - up;
            cells[usize::from(y / DOTS_HIGH) * width + x / 2] |= bit(x % 2, y % DOTS_HIGH);
        }
    }
    cells
}

/// Returns the dot of a Braille cell.
fn bit(x: usize, y: u16) -> u8 {
    match (x, y) {
        (0, 3) => 0x40,
        (0, y) => 1 << y,
        (_, 3) => 0x80,
        (_, y) => 8 << y,
    }
}

/// Returns what stands for dots where only ASCII can be shown.
fn ascii(dots: u8, is_broken: bool) -> char {
    let (upper, lower) = (dots & 0b0001_1011 != 0, dots & 0b1110_0100 != 0);
    match (upper, lower, is_broken) {
        (true, true, false) => '|',
        (true, false, false) => '\'',
        (_, _, false) => '.',
        (true, true, true) => ':',
        (true, false, true) => '"',
        (_, _, true) => ',',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    fn values(of: &[(u64, f64)]) -> Vec<(Time, Extent)> {
        of.iter().map(|&(ms, value)| (at(ms), Extent::of(value))).collect()
    }

    fn rows(curves: &[Curve<'_>], width: u16, height: u16, is_utf8: bool) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        draw(curves, is_utf8, area, &mut buf);
        let row = |y| (0..width).map(|x| buf[(x, y)].symbol().to_owned()).collect();
        (0..height).map(row).collect()
    }

    #[test]
    fn values_that_share_a_column_keep_their_peak_and_trough() {
        // Ten cells of two columns for twenty seconds: a second each.
        let axis = TimeAxis::new(at(99_500), SECOND * 20, 10, false);
        let of = [(79_000, 1.0), (80_100, 5.0), (80_200, 900.0), (80_900, 2.0), (99_400, 7.0)];
        let columns = axis.join(&values(&of), SECOND);
        assert_eq!(columns.len(), 20);
        assert_eq!(columns[0], Some(Extent { min: 2.0, max: 900.0 }));
        assert_eq!(columns[19], Some(Extent::of(7.0)));
        assert!(columns[1..19].iter().all(Option::is_none), "a silence is a gap");
        assert_eq!(axis.from(), at(80_000));
    }

    #[test]
    fn a_value_lasts_until_the_next_if_that_is_near() {
        let axis = TimeAxis::new(at(9_900), SECOND * 10, 10, false);
        let columns = axis.join(&values(&[(1_000, 3.0), (2_200, 4.0), (5_000, 9.0)]), SECOND * 2);
        let known = |column: usize| columns[column].map(|extent| extent.max);
        assert_eq!((known(2), known(3), known(4)), (Some(3.0), Some(3.0), Some(4.0)));
        assert_eq!((known(5), known(9), known(10)), (None, None, Some(9.0)));
    }

    #[test]
    fn a_picture_moves_by_whole_cells_or_is_swept() {
        let cell = |edge, moment, is_swept| {
            TimeAxis::new(at(edge), SECOND * 20, 10, is_swept).cell(at(moment))
        };
        for edge in [98_000, 98_900, 99_999] {
            assert_eq!(cell(edge, 98_000, false), Some(9), "{edge}");
        }
        assert_eq!(cell(100_000, 98_000, false), Some(8));
        assert_eq!(cell(100_000, 70_000, false), None);
        for edge in [98_000, 100_000, 111_000] {
            assert_eq!(cell(edge, 98_000, true), Some(9), "nothing moves: {edge}");
        }
        assert_eq!(cell(118_000, 98_000, true), None, "it is swept over");
        let axis = TimeAxis::new(at(104_500), SECOND * 20, 10, true);
        let all: Vec<(u64, f64)> = (80..=104).map(|second| (second * 1000, 1.0)).collect();
        let columns = axis.join(&values(&all), SECOND);
        let gaps: Vec<usize> = (0..20).filter(|&column| columns[column].is_none()).collect();
        assert_eq!(gaps, [5, 6], "right of the newest there is a gap");
        assert_eq!(axis.sweep_start(), at(100_000));
    }

    #[test]
    fn a_cell_is_found_again_by_the_moment_that_it_stands_for() {
        for is_swept in [false, true] {
            for edge in [99_500, 104_500, 118_000] {
                let axis = TimeAxis::new(at(edge), SECOND * 20, 10, is_swept);
                for cell in 0..10 {
                    let moment = axis.moment(cell);
                    let newest = axis.cell(at(edge)).unwrap();
                    // Right of the newest a swept picture has its gap.
                    if !(is_swept && cell == newest + 1) {
                        assert_eq!(axis.cell(moment), Some(cell), "{edge} {is_swept}");
                    }
                    assert!(moment <= at(edge + 1_000));
                }
            }
        }
    }

    #[test]
    fn a_line_is_whole_where_it_rises_and_broken_where_nothing_is_known() {
        let columns = [0.0, 8.0, 8.0, 4.0].map(|value| Some(Extent::of(value)));
        let columns = [&columns[..], &[None, None], &columns[2..]].concat();
        let curve = |is_broken| Curve {
            columns: &columns,
            scale: Scale::Linear(8.0),
            style: Style::new(),
            is_broken,
        };
        assert_eq!(rows(&[curve(false)], 4, 2, true), ["⢸⢱ ⢱", "⡸   "]);
        assert_eq!(rows(&[curve(false)], 4, 2, false), ["|| |", "|   "]);
        assert_eq!(rows(&[curve(true)], 4, 2, false)[0], ":   ", "every other cell is left out");
        assert!(rows(&[curve(false)], 0, 0, true).is_empty());
    }

    #[test]
    fn a_logarithmic_scale_has_whole_decades() {
        let scale = Scale::log_of([0.0, 0.000_2, 0.03, f64::NAN].into_iter());
        let Scale::Log(low, high) = scale else { panic!("{scale:?}") };
        assert!((low - 1e-4).abs() < 1e-12 && (high - 0.1).abs() < 1e-9, "{scale:?}");
        assert!((scale.share(1e-3) - 1.0 / 3.0).abs() < 1e-9);
        assert!((scale.share(0.0), scale.share(9.0)) == (0.0, 1.0));
        let one = Scale::log_of([0.01].into_iter());
        assert!(matches!(one, Scale::Log(low, high) if low > 0.009 && high < 0.11), "{one:?}");
        assert!(matches!(Scale::log_of(std::iter::empty()), Scale::Log(..)));
    }
}
