//! How many colours a terminal shows, and what comes nearest to one that it does not.

use ratatui::style::{Color, Style};

use crate::app::view_args::When;

/// How many colours a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    None,
    /// Its own sixteen, whatever they are.
    Sixteen,
    /// Those, a cube of 216 and 24 greys.
    Indexed,
    /// Any.
    True,
}

impl Depth {
    /// Returns what people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no colours",
            Self::Sixteen => "16 colours",
            Self::Indexed => "256 colours",
            Self::True => "true colours",
        }
    }
}

/// Returns how many colours the terminal shows, and what says so.
pub(crate) fn depth(wish: When, get: impl Fn(&str) -> Option<String>) -> (Depth, &'static str) {
    let is_set = |name: &str| get(name).is_some_and(|value| !value.is_empty());
    let is_zero = |name: &str| get(name).as_deref() == Some("0");
    let term = get("TERM").unwrap_or_default();
    let is_forced = wish == When::Always || is_set("CLICOLOR_FORCE") && !is_zero("CLICOLOR_FORCE");
    match wish {
        When::Never => return (Depth::None, "--color never"),
        When::Auto if is_set("NO_COLOR") => return (Depth::None, "NO_COLOR is set"),
        When::Auto if is_zero("CLICOLOR") && !is_forced => return (Depth::None, "CLICOLOR is 0"),
        When::Auto | When::Always => {}
    }
    let colors = get("COLORTERM").unwrap_or_default();
    if colors == "truecolor" || colors == "24bit" {
        return (Depth::True, "COLORTERM says so");
    }
    match term.as_str() {
        "dumb" | "vt52" | "vt100" | "vt102" | "vt220" | "xterm-mono" if !is_forced => {
            (Depth::None, "TERM is of a terminal without colours")
        }
        _ if term.contains("direct") => (Depth::True, "TERM says so"),
        _ if term.contains("256color") => (Depth::Indexed, "TERM says so"),
        _ if is_forced => (Depth::Sixteen, "colours are asked for"),
        _ => (Depth::Sixteen, "neither COLORTERM nor TERM says more"),
    }
}

/// Returns a style in colours that a terminal shows.
pub(super) fn fit(style: Style, depth: Depth) -> Style {
    let nearest = |color: Color| match (color, depth) {
        (Color::Rgb(r, g, b), Depth::Indexed) => Color::Indexed(nearest_indexed([r, g, b])),
        (Color::Rgb(r, g, b), Depth::Sixteen | Depth::None) => nearest_named([r, g, b]),
        (color, _) => color,
    };
    Style { fg: style.fg.map(nearest), bg: style.bg.map(nearest), ..style }
}

type Rgb = [u8; 3];

/// The steps of the cube of 216.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The sixteen as xterm has them; users change theirs, but seldom beyond recognition.
const NAMED: [(Color, Rgb); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [205, 0, 0]),
    (Color::Green, [0, 205, 0]),
    (Color::Yellow, [205, 205, 0]),
    (Color::Blue, [0, 0, 238]),
    (Color::Magenta, [205, 0, 205]),
    (Color::Cyan, [0, 205, 205]),
    (Color::Gray, [229, 229, 229]),
    (Color::DarkGray, [127, 127, 127]),
    (Color::LightRed, [255, 0, 0]),
    (Color::LightGreen, [0, 255, 0]),
    (Color::LightYellow, [255, 255, 0]),
    (Color::LightBlue, [92, 92, 255]),
    (Color::LightMagenta, [255, 0, 255]),
    (Color::LightCyan, [0, 255, 255]),
    (Color::White, [255, 255, 255]),
];

fn distance(a: Rgb, b: Rgb) -> u32 {
    a.into_iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

fn nearest_named(color: Rgb) -> Color {
    let near = NAMED.iter().min_by_key(|(_, named)| distance(color, *named));
    near.map_or(Color::Reset, |(named, _)| *named)
}

fn nearest_indexed(color: Rgb) -> u8 {
    let step = |value: u8| {
        let near = (0_u8..6).min_by_key(|at| STEPS[usize::from(*at)].abs_diff(value));
        near.unwrap_or(0)
    };
    let [r, g, b] = color.map(step);
    let of_cube = [r, g, b].map(|at| STEPS[usize::from(at)]);
    let grey_value = |at: u8| 8 + 10 * at;
    let grey = (0_u8..24).min_by_key(|at| distance(color, [grey_value(*at); 3])).unwrap_or(0);
    if distance(color, [grey_value(grey); 3]) < distance(color, of_cube) {
        232 + grey
    } else {
        16 + 36 * r + 6 * g + b
    }
}

/// Returns the contrast of two colours from 1 to 21, as WCAG 2 defines it; `None` if the terminal
/// decides how one of them looks.
#[cfg(test)]
pub(super) fn contrast(a: Color, b: Color) -> Option<f64> {
    let (a, b) = (luminance(rgb(a)?), luminance(rgb(b)?));
    Some((a.max(b) + 0.05) / (a.min(b) + 0.05))
}

#[cfg(test)]
fn rgb(color: Color) -> Option<Rgb> {
    match color {
        Color::Rgb(r, g, b) => Some([r, g, b]),
        Color::Indexed(at @ 232..) => Some([8 + 10 * (at - 232); 3]),
        Color::Indexed(at @ 16..) => {
            let at = usize::from(at - 16);
            Some([STEPS[at / 36], STEPS[at / 6 % 6], STEPS[at % 6]])
        }
        _ => None,
    }
}

#[cfg(test)]
fn luminance(color: Rgb) -> f64 {
    let [r, g, b] = color.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wish: When, vars: &[(&str, &str)], expected: Depth) {
        let get = |name: &str| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(depth(wish, get).0, expected, "{wish:?} {vars:?}");
    }

    #[test]
    fn the_environment_says_how_many_colours_there_are() {
        let auto = |vars: &[(&str, &str)], expected| check(When::Auto, vars, expected);
        auto(&[("TERM", "xterm-256color")], Depth::Indexed);
        auto(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Depth::True);
        auto(&[("TERM", "xterm-direct")], Depth::True);
        auto(&[("TERM", "xterm")], Depth::Sixteen);
        auto(&[("TERM", "linux")], Depth::Sixteen);
        auto(&[], Depth::Sixteen);
        auto(&[("TERM", "dumb")], Depth::None);
        auto(&[("TERM", "vt100")], Depth::None);
        auto(&[("TERM", "xterm"), ("NO_COLOR", "1")], Depth::None);
        auto(&[("TERM", "xterm"), ("NO_COLOR", "")], Depth::Sixteen);
        auto(&[("TERM", "xterm"), ("CLICOLOR", "0")], Depth::None);
        auto(&[("TERM", "xterm"), ("CLICOLOR", "0"), ("CLICOLOR_FORCE", "1")], Depth::Sixteen);
        auto(&[("TERM", "vt100"), ("CLICOLOR_FORCE", "1")], Depth::Sixteen);
    }

    #[test]
    fn a_person_has_the_last_word() {
        check(When::Never, &[("COLORTERM", "truecolor")], Depth::None);
        check(When::Always, &[("NO_COLOR", "1"), ("TERM", "xterm")], Depth::Sixteen);
        check(When::Always, &[("TERM", "dumb")], Depth::Sixteen);
    }

    #[test]
    fn the_nearest_colour_is_taken() {
        assert_eq!(nearest_indexed([0, 0, 0]), 16);
        assert_eq!(nearest_indexed([255, 255, 255]), 231);
        assert_eq!(nearest_indexed([95, 135, 175]), 16 + 36 + 12 + 3);
        assert_eq!(nearest_indexed([10, 9, 8]), 232);
        assert_eq!(nearest_named([250, 10, 10]), Color::LightRed);
        assert_eq!(nearest_named([17, 21, 28]), Color::Black);
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        let of = |a, b| contrast(Color::Rgb(a, a, a), Color::Rgb(b, b, b)).unwrap();
        assert!((of(0, 255) - 21.0).abs() < 1e-9);
        assert!((of(119, 255) - 4.478).abs() < 0.01, "{}", of(119, 255));
        assert!((of(7, 7) - 1.0).abs() < 1e-9);
        assert_eq!(contrast(Color::Reset, Color::Rgb(0, 0, 0)), None);
    }
}
