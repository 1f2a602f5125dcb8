//! Colours and characters: what a piece of text means, and how the terminal can show that.
//!
//! Panels name a [`Tone`]; a theme says how it looks, and what the terminal can't show is replaced
//! by what comes nearest. A theme never carries a meaning alone: where there is no colour, weight
//! and words stay.

use std::sync::OnceLock;

use ratatui::style::Style;

mod ascii;
mod color;
mod palette;

pub(crate) use ascii::ascii_of;
pub(crate) use color::{Depth, depth};

use crate::app::view_args::{Charset, ThemeName};

/// What the dashboard draws with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    name: ThemeName,
    depth: Depth,
    /// Whether characters beyond ASCII may be used.
    pub(crate) is_utf8: bool,
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Text, and the ground on which everything stands.
    Plain,
    /// Names and units, which matter less than values.
    Quiet,
    /// What should be seen first.
    Strong,
    Good,
    Warning,
    Bad,
    /// The focused panel, the keys that can be pressed.
    Accent,
    /// The selected row.
    Selected,
    /// What must be read before anything else.
    Alert,
    /// How much of something, from little to [`HEAT_MAX`].
    Heat(u8),
}

/// The hottest.
pub(crate) const HEAT_MAX: u8 = 3;
/// Tones that have a line in a theme's file.
const TONES: usize = 9 + HEAT_MAX as usize + 1;

/// How each tone looks, by [`Tone::index`].
type Styles = [Style; TONES];

impl Tone {
    fn index(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Quiet => 1,
            Self::Strong => 2,
            Self::Good => 3,
            Self::Warning => 4,
            Self::Bad => 5,
            Self::Accent => 6,
            Self::Selected => 7,
            Self::Alert => 8,
            Self::Heat(level) => 9 + usize::from(level.min(HEAT_MAX)),
        }
    }
}

/// The names of tones in a theme's file, by [`Tone::index`].
const NAMES: [&str; TONES] = [
    "plain", "quiet", "strong", "good", "warning", "bad", "accent", "selected", "alert", "heat-0",
    "heat-1", "heat-2", "heat-3",
];

/// The order in which a person steps through themes.
const ROUND: [ThemeName; 5] =
    [ThemeName::Ansi, ThemeName::Dark, ThemeName::Light, ThemeName::HighContrast, ThemeName::Mono];

impl Theme {
    /// Returns a theme for a terminal that can show so many colours.
    pub(crate) fn new(name: ThemeName, depth: Depth, is_utf8: bool) -> Self {
        Self { name, depth, is_utf8 }
    }

    /// Returns its name; what `auto` stands for here.
    pub(crate) fn name(self) -> &'static str {
        self.resolved().as_str()
    }

    /// Returns what it is called where a person's choice is kept.
    pub(crate) fn choice(self) -> ThemeName {
        self.name
    }

    /// Returns how many colours the terminal shows.
    pub(crate) fn depth(self) -> Depth {
        self.depth
    }

    /// Returns the theme that follows; after the last comes the first.
    pub(crate) fn next(self) -> Self {
        let at = ROUND.iter().position(|name| *name == self.resolved()).unwrap_or(0);
        Self { name: ROUND[(at + 1) % ROUND.len()], ..self }
    }

    /// Returns the same for this terminal by another name.
    pub(crate) fn with(self, name: ThemeName) -> Self {
        Self { name, ..self }
    }

    /// `auto` is the terminal's own colours: its user has chosen them, and they fit its ground.
    fn resolved(self) -> ThemeName {
        match self.name {
            ThemeName::Auto if self.depth == Depth::None => ThemeName::Mono,
            ThemeName::Auto => ThemeName::Ansi,
            name => name,
        }
    }

    /// Returns how a meaning looks.
    pub(crate) fn style(self, tone: Tone) -> Style {
        static STYLES: [[OnceLock<Styles>; 4]; 5] = [const { [const { OnceLock::new() }; 4] }; 5];
        // Without colours a theme of colours has nothing to say.
        let name = if self.depth == Depth::None { ThemeName::Mono } else { self.resolved() };
        let place = ROUND.iter().position(|known| *known == name).unwrap_or(0);
        let styles = STYLES[place][self.depth as usize]
            .get_or_init(|| palette::of(name).map(|style| color::fit(style, self.depth)));
        styles[tone.index()]
    }

    /// Returns a character, or what stands for it where only ASCII can be shown.
    pub(crate) fn pick(self, utf8: &'static str, ascii: &'static str) -> &'static str {
        if self.is_utf8 { utf8 } else { ascii }
    }
}

/// Returns a text in characters that can be shown.
pub(crate) fn shown(text: &str, is_utf8: bool) -> String {
    if is_utf8 {
        return text.to_owned();
    }
    let plain = |char: char| match char.is_ascii() {
        true => char.to_string(),
        false => ascii_of(char.encode_utf8(&mut [0; 4])).to_owned(),
    };
    text.chars().map(plain).collect()
}

/// Returns whether the terminal shows characters beyond ASCII, and why that is so.
pub(crate) fn charset(wish: Charset, get: impl Fn(&str) -> Option<String>) -> (bool, &'static str) {
    match wish {
        Charset::Utf8 => return (true, "--charset utf8"),
        Charset::Ascii => return (false, "--charset ascii"),
        Charset::Auto => {}
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(&get)
        .find(|value| !value.is_empty())
        .unwrap_or_default()
        .to_lowercase();
    if get("TERM").as_deref() == Some("linux") {
        // Its font has few of the characters that charts are made of.
        (false, "TERM is linux")
    } else if locale.contains("utf-8") || locale.contains("utf8") {
        (true, "the locale is one of UTF-8")
    } else {
        (false, "the locale (LC_ALL, LC_CTYPE, LANG) is not one of UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::{Color, Modifier};

    use super::*;

    fn check_charset(vars: &[(&str, &str)], is_utf8: bool) {
        let get = |name: &str| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(charset(Charset::Auto, get).0, is_utf8, "{vars:?}");
        assert!(charset(Charset::Utf8, get).0 && !charset(Charset::Ascii, get).0);
    }

    #[test]
    fn the_locale_says_what_characters_there_are() {
        check_charset(&[("LANG", "C.UTF-8"), ("TERM", "xterm-256color")], true);
        check_charset(&[("LANG", "en_US.utf8"), ("LC_ALL", "C")], false);
        check_charset(&[("LANG", "C.UTF-8"), ("TERM", "linux")], false);
        check_charset(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")], true);
        check_charset(&[], false);
    }

    #[test]
    fn a_round_through_the_themes_ends_where_it_began() {
        let first = Theme::new(ThemeName::Auto, Depth::True, true);
        assert_eq!(first.name(), "ansi");
        let mut theme = first.next();
        let mut names = vec![theme.name()];
        while theme.next().name() != names[0] {
            theme = theme.next();
            names.push(theme.name());
        }
        assert_eq!(names, ["dark", "light", "high-contrast", "mono", "ansi"]);
    }

    #[test]
    fn without_colours_meanings_differ_by_weight() {
        for name in ROUND {
            let theme = Theme::new(name, Depth::None, true);
            for tone in [Tone::Quiet, Tone::Bad, Tone::Selected, Tone::Heat(3)] {
                let style = theme.style(tone);
                assert_eq!((style.fg, style.bg), (None, None), "{name:?} {tone:?}");
            }
            assert!(theme.style(Tone::Bad).add_modifier.contains(Modifier::BOLD));
            assert!(theme.style(Tone::Selected).add_modifier.contains(Modifier::REVERSED));
        }
    }

    #[test]
    fn the_terminals_own_colours_are_the_default() {
        let theme = Theme::new(ThemeName::Auto, Depth::Sixteen, true);
        assert_eq!(theme.style(Tone::Good).fg, Some(Color::Green));
        assert_eq!(theme.style(Tone::Plain), Style::new());
    }

    #[test]
    fn heat_rises() {
        for name in [ThemeName::Dark, ThemeName::Light, ThemeName::HighContrast] {
            let theme = Theme::new(name, Depth::True, true);
            let of = |tone| theme.style(tone).fg.unwrap();
            let ground = theme.style(Tone::Plain).bg.unwrap();
            let distance = |level| color::contrast(of(Tone::Heat(level)), ground).unwrap();
            for level in 0..HEAT_MAX {
                assert!(distance(level) < distance(level + 1), "{name:?} {level}");
            }
        }
    }
}
