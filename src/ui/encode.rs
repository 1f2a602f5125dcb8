//! What a terminal must be told to show one picture instead of another, in few bytes.
//!
//! The cursor takes the shortest way: a cell or two that are right already are written again where
//! that is shorter than to step over them. Colours and weights are told only when they change. The
//! terminal's pen is plain before and after.

use std::io::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use ratatui::text::Span;

/// Cells that are written again at most, instead of being stepped over: a step takes four bytes.
const GAP_MAX: u16 = 3;

/// Adds what turns `shown` into `next`, which has the same area; nothing if they are the same.
pub(super) fn encode(shown: &Buffer, next: &Buffer, bytes: &mut Vec<u8>) {
    let mut pen = Pen::default();
    let mut cursor: Option<(u16, u16)> = None;
    for (x, y, cell) in shown.diff(next) {
        match cursor {
            Some((column, row)) if (column, row) == (x, y) => {}
            Some((column, row)) if row == y && column < x => {
                let gap = (column..x).map(|column| &next[(column, y)]);
                if x - column <= GAP_MAX && gap.clone().all(|cell| pen.fits(cell)) {
                    gap.for_each(|cell| bytes.extend_from_slice(cell.symbol().as_bytes()));
                } else {
                    put(bytes, format_args!("\x1b[{}C", x - column));
                }
            }
            Some((_, row)) if x == next.area.x && y == row + 1 => bytes.extend_from_slice(b"\r\n"),
            _ => put(bytes, format_args!("\x1b[{};{}H", y + 1, x + 1)),
        }
        pen.take(cell, bytes);
        bytes.extend_from_slice(cell.symbol().as_bytes());
        let after = x.saturating_add(width(cell.symbol()));
        // Behind the last column terminals do not agree where the cursor is.
        cursor = (after < next.area.right()).then_some((after, y));
    }
    pen.change_to(Pen::default(), bytes);
}

fn put(bytes: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector can't fail.
    let _ = bytes.write_fmt(text);
}

fn width(symbol: &str) -> u16 {
    if symbol.len() == 1 {
        return 1;
    }
    u16::try_from(Span::raw(symbol).width()).unwrap_or(1).max(1)
}

/// How the terminal writes at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pen {
    foreground: Color,
    background: Color,
    weight: Modifier,
}

impl Pen {
    fn of(cell: &Cell) -> Self {
        Self { foreground: cell.fg, background: cell.bg, weight: cell.modifier }
    }

    /// Returns the pen that a cell needs. A blank shows no more of it than its ground and lines, so
    /// the rest may stay as it is.
    fn needed(self, cell: &Cell) -> Self {
        let wanted = Self::of(cell);
        let seen = |pen: Self| (pen.background, pen.weight & SEEN_ON_BLANKS);
        let is_reversed = wanted.weight.contains(Modifier::REVERSED);
        if cell.symbol() == " " && !is_reversed && seen(wanted) == seen(self) {
            self
        } else {
            wanted
        }
    }

    /// Returns whether a cell can be written as things are, and is as wide as one byte says.
    fn fits(self, cell: &Cell) -> bool {
        self.needed(cell) == self && cell.symbol().len() == 1
    }

    /// Takes the colours and weights of a cell.
    fn take(&mut self, cell: &Cell, bytes: &mut Vec<u8>) {
        self.change_to(self.needed(cell), bytes);
    }

    fn change_to(&mut self, wanted: Self, bytes: &mut Vec<u8>) {
        if wanted == *self {
            return;
        }
        bytes.extend_from_slice(b"\x1b[");
        let mut codes = Codes { bytes, is_first: true };
        if wanted == Self::default() {
            codes.bytes.push(b'm');
            *self = wanted;
            return;
        }
        if !wanted.weight.contains(self.weight) {
            // A weight can be taken off only with others, so all is begun anew.
            codes.add(format_args!("0"));
            *self = Self::default();
        }
        for (weight, code) in WEIGHTS {
            if (wanted.weight - self.weight).contains(weight) {
                codes.add(format_args!("{code}"));
            }
        }
        if wanted.foreground != self.foreground {
            codes.color(wanted.foreground, 30);
        }
        if wanted.background != self.background {
            codes.color(wanted.background, 40);
        }
        codes.bytes.push(b'm');
        *self = wanted;
    }
}

/// Weights that can be seen where there is no character.
const SEEN_ON_BLANKS: Modifier = Modifier::UNDERLINED
    .union(Modifier::REVERSED)
    .union(Modifier::CROSSED_OUT)
    .union(Modifier::SLOW_BLINK)
    .union(Modifier::RAPID_BLINK);

const WEIGHTS: [(Modifier, u8); 9] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::SLOW_BLINK, 5),
    (Modifier::RAPID_BLINK, 6),
    (Modifier::REVERSED, 7),
    (Modifier::HIDDEN, 8),
    (Modifier::CROSSED_OUT, 9),
];

/// The numbers of one `SGR` sequence.
struct Codes<'a> {
    bytes: &'a mut Vec<u8>,
    is_first: bool,
}

impl Codes<'_> {
    fn add(&mut self, code: std::fmt::Arguments<'_>) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.bytes.push(b';');
        }
        put(self.bytes, code);
    }

    /// Adds a colour; `base` is 30 for text and 40 for its ground.
    fn color(&mut self, color: Color, base: u8) {
        let bright = base + 60;
        match color {
            Color::Reset => self.add(format_args!("{}", base + 9)),
            Color::Black => self.add(format_args!("{base}")),
            Color::Red => self.add(format_args!("{}", base + 1)),
            Color::Green => self.add(format_args!("{}", base + 2)),
            Color::Yellow => self.add(format_args!("{}", base + 3)),
            Color::Blue => self.add(format_args!("{}", base + 4)),
            Color::Magenta => self.add(format_args!("{}", base + 5)),
            Color::Cyan => self.add(format_args!("{}", base + 6)),
            Color::Gray => self.add(format_args!("{}", base + 7)),
            Color::DarkGray => self.add(format_args!("{bright}")),
            Color::LightRed => self.add(format_args!("{}", bright + 1)),
            Color::LightGreen => self.add(format_args!("{}", bright + 2)),
            Color::LightYellow => self.add(format_args!("{}", bright + 3)),
            Color::LightBlue => self.add(format_args!("{}", bright + 4)),
            Color::LightMagenta => self.add(format_args!("{}", bright + 5)),
            Color::LightCyan => self.add(format_args!("{}", bright + 6)),
            Color::White => self.add(format_args!("{}", bright + 7)),
            Color::Indexed(number) => self.add(format_args!("{};5;{number}", base + 8)),
            Color::Rgb(r, g, b) => self.add(format_args!("{};2;{r};{g};{b}", base + 8)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use proptest::prelude::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    const AREA: Rect = Rect { x: 0, y: 0, width: 12, height: 4 };

    fn encoded(shown: &Buffer, next: &Buffer) -> String {
        let mut bytes = Vec::new();
        encode(shown, next, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    fn with(words: &[(u16, u16, &str, Style)]) -> Buffer {
        let mut buf = Buffer::empty(AREA);
        for (x, y, text, style) in words {
            buf.set_string(*x, *y, text, *style);
        }
        buf
    }

    #[test]
    fn the_cursor_takes_the_shortest_way() {
        let plain = Style::new();
        let shown = with(&[(0, 0, "abcdefghijkl", plain)]);
        let check = |next: &[(u16, u16, &str, Style)], expected: &str| {
            let mut words = vec![(0, 0, "abcdefghijkl", plain)];
            words.extend_from_slice(next);
            assert_eq!(encoded(&shown, &with(&words)), expected, "{next:?}");
        };
        check(&[], "");
        check(&[(1, 0, "X", plain)], "\x1b[1;2HX");
        check(&[(1, 0, "X", plain), (4, 0, "Y", plain)], "\x1b[1;2HXcdY");
        check(&[(1, 0, "X", plain), (8, 0, "Y", plain)], "\x1b[1;2HX\x1b[6CY");
        check(&[(1, 0, "X", plain), (0, 1, "Y", plain)], "\x1b[1;2HX\r\nY");
        check(&[(11, 0, "X", plain), (0, 1, "Y", plain)], "\x1b[1;12HX\x1b[2;1HY");
    }

    #[test]
    fn only_changes_of_the_pen_are_told() {
        let green = Style::new().green();
        let next = with(&[(0, 0, "ab", green), (2, 0, "c", green.bold()), (3, 0, "d", green)]);
        let expected = "\x1b[1;1H\x1b[32mab\x1b[1mc\x1b[0;32md\x1b[m";
        assert_eq!(encoded(&Buffer::empty(AREA), &next), expected);
        let rgb = Style::new().fg(Color::Rgb(1, 2, 3)).bg(Color::Indexed(9));
        let expected = "\x1b[1;1H\x1b[38;2;1;2;3;48;5;9mx\x1b[m";
        assert_eq!(encoded(&Buffer::empty(AREA), &with(&[(0, 0, "x", rgb)])), expected);
    }

    #[test]
    fn a_blank_needs_no_pen_of_its_own() {
        let green = Style::new().green().bold();
        let next = with(&[(0, 0, "a", green), (2, 0, "b", green)]);
        let shown = with(&[(0, 0, "xxx", Style::new())]);
        assert_eq!(encoded(&shown, &next), "\x1b[1;1H\x1b[1;32ma b\x1b[m");
        let ground = with(&[(0, 0, "a", green), (1, 0, " ", Style::new().bg(Color::Red))]);
        assert!(encoded(&shown, &ground).contains("41m "));
    }

    /// Writes one picture, then the difference to another, and reads what a terminal shows.
    fn check_shown(first: &Buffer, second: &Buffer) {
        let cells = |number| NonZero::new(number).unwrap();
        let mut terminal = vt100::Parser::new(cells(AREA.height), cells(AREA.width), 0);
        let mut bytes = Vec::new();
        encode(&Buffer::empty(AREA), first, &mut bytes);
        encode(first, second, &mut bytes);
        terminal.process(&bytes);
        for y in 0..AREA.height {
            for x in 0..AREA.width {
                let (wanted, shown) = (&second[(x, y)], terminal.screen().cell(y, x).unwrap());
                let text = if shown.has_contents() { shown.contents() } else { " " };
                assert_eq!(text, wanted.symbol(), "at {x},{y}");
                let is_reversed = wanted.modifier.contains(Modifier::REVERSED);
                assert_eq!(shown.inverse(), is_reversed, "at {x},{y}");
                let color = match wanted.fg {
                    Color::Red => vt100::Color::Idx(1),
                    Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
                    _ => vt100::Color::Default,
                };
                if text != " " || is_reversed {
                    assert_eq!(shown.fgcolor(), color, "at {x},{y}");
                    let is_bold = wanted.modifier.contains(Modifier::BOLD);
                    assert_eq!(shown.bold(), is_bold, "at {x},{y}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_terminal_shows_what_was_meant(
            first in proptest::collection::vec((0_u16..12, 0_u16..4, 0_usize..6, 0_usize..5), 0..30),
            second in proptest::collection::vec((0_u16..12, 0_u16..4, 0_usize..6, 0_usize..5), 0..30),
        ) {
            let styles = [
                Style::new(), Style::new().bold(), Style::new().red(),
                Style::new().reversed().red(), Style::new().fg(Color::Rgb(9, 8, 7)),
            ];
            let texts = ["a", " ", "–", "█▌", "xyz", "·"];
            let draw = |words: &[(u16, u16, usize, usize)]| {
                let word = |(x, y, text, style): &(u16, u16, usize, usize)| {
                    (*x, *y, texts[*text], styles[*style])
                };
                words.iter().map(word).collect::<Vec<_>>()
            };
            check_shown(&with(&draw(&first)), &with(&draw(&second)));
        }
    }
}
