//! The screen as a file: plain text, text with colours for a terminal, and a picture (SVG).

use std::fmt::Write as _;

use crossterm::style::{Colors, ResetColor, SetAttribute, SetColors};
use ratatui::backend::IntoCrossterm;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// The size of a cell in the picture, in pixels.
const CELL: (u32, u32) = (8, 17);
/// The ground of the picture and what is written on it.
const GROUND: &str = "#16181d";
const INK: &str = "#d8dce2";

/// Returns the rows of a screen as text.
pub(crate) fn text(buf: &Buffer) -> String {
    let mut text = String::new();
    for row in rows(buf) {
        let line: String = row.iter().map(Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns the rows of a screen with escape sequences for colours and weight, to be shown with
/// `cat`.
pub(crate) fn ansi(buf: &Buffer) -> String {
    let mut text = String::new();
    for row in rows(buf) {
        let mut last = None;
        for cell in row {
            let look = (cell.fg, cell.bg, cell.modifier);
            if last != Some(look) {
                last = Some(look);
                // Writing to a string can't fail.
                let _ = write!(
                    text,
                    "{ResetColor}{}",
                    SetAttribute(crossterm::style::Attribute::Reset)
                );
                let colors = Colors::new(cell.fg.into_crossterm(), cell.bg.into_crossterm());
                let _ = write!(text, "{}", SetColors(colors));
                for (modifier, attribute) in attributes() {
                    if cell.modifier.contains(modifier) {
                        let _ = write!(text, "{}", SetAttribute(attribute));
                    }
                }
            }
            text.push_str(cell.symbol());
        }
        let _ = writeln!(text, "{}", SetAttribute(crossterm::style::Attribute::Reset));
    }
    text
}

/// Returns the screen as a picture.
pub(crate) fn svg(buf: &Buffer) -> String {
    let (width, height) = (CELL.0 * u32::from(buf.area.width), CELL.1 * u32::from(buf.area.height));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"{GROUND}\"/>\n<g font-family=\"monospace\" font-size=\"13\" fill=\"{INK}\">\n"
    );
    for (y, row) in (0u32..).zip(rows(buf)) {
        for (x, run) in runs(row) {
            svg_run(x, y, run, &mut text);
        }
    }
    text.push_str("</g>\n</svg>\n");
    text
}

/// Writes cells that look alike: their ground, and their text stretched to the cells' width.
fn svg_run(x: u32, y: u32, run: &[Cell], text: &mut String) {
    let look = &run[0];
    let (mut ink, mut ground) = (hex(look.fg), hex(look.bg));
    if look.modifier.contains(Modifier::REVERSED) {
        (ink, ground) = (Some(ground.unwrap_or(GROUND.into())), Some(ink.unwrap_or(INK.into())));
    }
    let (left, top) = (x * CELL.0, y * CELL.1);
    let width = CELL.0 * u32::try_from(run.len()).unwrap_or(0);
    if let Some(ground) = ground {
        let height = CELL.1;
        let _ = writeln!(
            text,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>"
        );
    }
    let words: String = run.iter().map(Cell::symbol).collect();
    if words.trim().is_empty() {
        return;
    }
    let fill = ink.map_or_else(String::new, |ink| format!(" fill=\"{ink}\""));
    let bold = if look.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let base = top + 13;
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"{base}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" \
         xml:space=\"preserve\"{fill}{bold}>{words}</text>"
    );
}

fn rows(buf: &Buffer) -> impl Iterator<Item = &[Cell]> {
    buf.content.chunks(usize::from(buf.area.width).max(1))
}

/// Splits a row into runs of cells that look alike, each with its column.
fn runs(row: &[Cell]) -> impl Iterator<Item = (u32, &[Cell])> {
    let mut x = 0;
    row.chunk_by(|a, b| (a.fg, a.bg, a.modifier) == (b.fg, b.bg, b.modifier)).map(move |run| {
        let at = x;
        x += u32::try_from(run.len()).unwrap_or(0);
        (at, run)
    })
}

fn attributes() -> [(Modifier, crossterm::style::Attribute); 4] {
    use crossterm::style::Attribute;
    [
        (Modifier::BOLD, Attribute::Bold),
        (Modifier::DIM, Attribute::Dim),
        (Modifier::REVERSED, Attribute::Reverse),
        (Modifier::UNDERLINED, Attribute::Underlined),
    ]
}

/// Returns a colour as a picture writes it; `None` is the terminal's own.
fn hex(color: Color) -> Option<std::borrow::Cow<'static, str>> {
    let named = match color {
        Color::Reset => return None,
        Color::Rgb(r, g, b) => return Some(format!("#{r:02x}{g:02x}{b:02x}").into()),
        Color::Indexed(index) => return Some(indexed(index).into()),
        Color::Black => "#000000",
        Color::Red => "#e06c75",
        Color::Green => "#8fc873",
        Color::Yellow => "#e0b355",
        Color::Blue => "#61a0f0",
        Color::Magenta => "#c983dd",
        Color::Cyan => "#56bcc7",
        Color::Gray => "#b0b6c0",
        Color::DarkGray => "#7d8592",
        Color::LightRed => "#ff8a92",
        Color::LightGreen => "#a9e08d",
        Color::LightYellow => "#ffd479",
        Color::LightBlue => "#8cbcff",
        Color::LightMagenta => "#e0a6f2",
        Color::LightCyan => "#7fdde8",
        Color::White => "#ffffff",
    };
    Some(named.into())
}

/// Returns a colour of the 256 that terminals number: sixteen of their own, a cube, and greys.
fn indexed(index: u8) -> String {
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    match index {
        0..16 => {
            let own = [
                Color::Black,
                Color::Red,
                Color::Green,
                Color::Yellow,
                Color::Blue,
                Color::Magenta,
                Color::Cyan,
                Color::Gray,
                Color::DarkGray,
                Color::LightRed,
                Color::LightGreen,
                Color::LightYellow,
                Color::LightBlue,
                Color::LightMagenta,
                Color::LightCyan,
                Color::White,
            ];
            hex(own[usize::from(index)]).unwrap_or_default().into_owned()
        }
        16..232 => {
            let (r, g, b) = ((index - 16) / 36, (index - 16) / 6 % 6, (index - 16) % 6);
            format!("#{:02x}{:02x}{:02x}", level(r), level(g), level(b))
        }
        _ => {
            let grey = 8 + 10 * (index - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    fn screen() -> Buffer {
        let mut buf = Buffer::empty(Rect::new(0, 0, 12, 2));
        buf.set_string(0, 0, "a<b & c", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
        buf.set_string(0, 1, "plain", Style::new());
        buf.set_string(6, 1, "rev", Style::new().add_modifier(Modifier::REVERSED));
        buf
    }

    #[test]
    fn the_text_is_what_is_read() {
        assert_eq!(text(&screen()), "a<b & c\nplain rev\n");
    }

    #[test]
    fn a_terminal_shows_the_same_screen_again() {
        let mut parser = vt100::Parser::new(2.try_into().unwrap(), 12.try_into().unwrap(), 0);
        parser.process(ansi(&screen()).replace('\n', "\r\n").trim_end().as_bytes());
        let rows: Vec<String> = parser.screen().rows(0, 12).collect();
        assert_eq!([rows[0].trim_end(), rows[1].trim_end()], ["a<b & c", "plain rev"]);
        assert!(parser.screen().cell(0, 0).unwrap().bold());
        assert!(parser.screen().cell(1, 7).unwrap().inverse());
        assert!(!parser.screen().cell(1, 0).unwrap().inverse());
    }

    #[test]
    fn the_picture_is_well_formed_and_has_all_words() {
        let svg = svg(&screen());
        let document = roxmltree::Document::parse(&svg).unwrap();
        let words: Vec<&str> =
            document.descendants().filter(|node| node.is_text()).filter_map(|n| n.text()).collect();
        let words = words.concat();
        assert!(words.contains("a<b & c") && words.contains("plain"), "{words}");
        assert_eq!((indexed(16), indexed(231)), ("#000000".to_owned(), "#ffffff".to_owned()));
    }
}
