//! The themes that are compiled in: `assets/themes/*.ini`, one line for each tone.
//!
//! A line is `tone = COLOUR [on COLOUR] [bold] [dim] [italic] [underline] [reverse]`. A colour is
//! six hexadecimal digits, one of the terminal's sixteen by name, or `default`.

use ini::Ini;
use ratatui::style::{Color, Modifier, Style};

use super::{NAMES, Styles};
use crate::app::view_args::ThemeName;

/// Returns the styles of a theme, as its file has them.
pub(super) fn of(name: ThemeName) -> Styles {
    // Tests read every file, so none that is compiled in is wrong.
    read(text_of(name)).unwrap_or([Style::new(); NAMES.len()])
}

fn text_of(name: ThemeName) -> &'static str {
    match name {
        ThemeName::Dark => include_str!("../../../assets/themes/dark.ini"),
        ThemeName::Light => include_str!("../../../assets/themes/light.ini"),
        ThemeName::HighContrast => include_str!("../../../assets/themes/high-contrast.ini"),
        ThemeName::Mono => include_str!("../../../assets/themes/mono.ini"),
        ThemeName::Auto | ThemeName::Ansi => include_str!("../../../assets/themes/ansi.ini"),
    }
}

fn read(text: &str) -> Result<Styles, String> {
    let file = Ini::load_from_str(text).map_err(|error| error.to_string())?;
    let tones = file.section(Some("tones")).ok_or("there is no section [tones]")?;
    let mut styles = [Style::new(); NAMES.len()];
    for (name, style) in NAMES.iter().zip(&mut styles) {
        let line = tones.get(name).ok_or_else(|| format!("there is no line for {name}"))?;
        *style =
            style_of(line).map_err(|word| format!("{name}: {word:?} is no colour or weight"))?;
    }
    match tones.iter().find(|(name, _)| !NAMES.contains(name)) {
        Some((name, _)) => Err(format!("{name} is no tone")),
        None => Ok(styles),
    }
}

/// Returns the style that a line describes, or the word that it does not know.
fn style_of(line: &str) -> Result<Style, &str> {
    let mut style = Style::new();
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        style = match word {
            "on" => {
                let ground = words.next().ok_or(word)?;
                Style { bg: color_of(ground)?, ..style }
            }
            "bold" => style.add_modifier(Modifier::BOLD),
            "dim" => style.add_modifier(Modifier::DIM),
            "italic" => style.add_modifier(Modifier::ITALIC),
            "underline" => style.add_modifier(Modifier::UNDERLINED),
            "reverse" => style.add_modifier(Modifier::REVERSED),
            word => Style { fg: color_of(word)?, ..style },
        };
    }
    Ok(style)
}

/// Returns a colour; `None` is the one that the text has anyway.
fn color_of(word: &str) -> Result<Option<Color>, &str> {
    Ok(Some(match word {
        "default" => return Ok(None),
        "black" => Color::Black,
        "red" => Color::Red,
        "green" => Color::Green,
        "yellow" => Color::Yellow,
        "blue" => Color::Blue,
        "magenta" => Color::Magenta,
        "cyan" => Color::Cyan,
        "white" => Color::Gray,
        "bright-black" => Color::DarkGray,
        "bright-red" => Color::LightRed,
        "bright-green" => Color::LightGreen,
        "bright-yellow" => Color::LightYellow,
        "bright-blue" => Color::LightBlue,
        "bright-magenta" => Color::LightMagenta,
        "bright-cyan" => Color::LightCyan,
        "bright-white" => Color::White,
        digits => {
            let is_hex = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex).ok_or(word)?;
            let [_, r, g, b] = number.to_be_bytes();
            Color::Rgb(r, g, b)
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::super::color::{Depth, contrast, fit};
    use super::super::{ROUND, Tone};
    use super::*;

    #[test]
    fn every_theme_has_a_line_for_every_tone() {
        for name in ROUND {
            assert!(read(text_of(name)).is_ok(), "{name:?}: {:?}", read(text_of(name)));
        }
    }

    #[test]
    fn text_can_be_read_on_its_ground() {
        let texts = ["plain", "quiet", "strong", "good", "warning", "bad", "accent", "selected"];
        let is_text = |name: &str| texts.contains(&name) || name == "alert";
        for (theme, least) in
            [(ThemeName::Dark, 4.5), (ThemeName::Light, 4.5), (ThemeName::HighContrast, 7.0)]
        {
            for depth in [Depth::True, Depth::Indexed] {
                let styles = of(theme).map(|style| fit(style, depth));
                let plain = styles[Tone::Plain.index()];
                for (name, style) in NAMES.iter().zip(styles).filter(|(name, _)| is_text(name)) {
                    let shown = plain.patch(style);
                    let found = contrast(shown.fg.unwrap(), shown.bg.unwrap()).unwrap();
                    assert!(found >= least, "{theme:?} {depth:?} {name}: {found:.2}");
                }
            }
        }
    }

    #[test]
    fn a_line_is_read_word_by_word() {
        let style = style_of("ff8000 on blue bold").unwrap();
        assert_eq!(style, Style::new().fg(Color::Rgb(255, 128, 0)).bg(Color::Blue).bold());
        assert_eq!(style_of("default").unwrap(), Style::new());
        for (line, word) in [("reddish", "reddish"), ("ff80", "ff80"), ("red on", "on")] {
            assert_eq!(style_of(line), Err(word));
        }
    }

    #[test]
    fn a_file_with_a_mistake_says_which() {
        let whole = text_of(ThemeName::Ansi);
        assert_eq!(read("").unwrap_err(), "there is no section [tones]");
        let missing = whole.replace("\nheat-3", "\nheat-4");
        assert_eq!(read(&missing).unwrap_err(), "there is no line for heat-3");
        let more = format!("{whole}\nshiny = red\n");
        assert_eq!(read(&more).unwrap_err(), "shiny is no tone");
    }
}
