//! Colours and characters: what the terminal can show, decided once.

use ratatui::style::{Color, Modifier, Style};

/// What the dashboard draws with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Whether colours may be used; without them, weight and words carry the meaning.
    pub(crate) has_color: bool,
    /// Whether characters beyond ASCII may be used.
    pub(crate) is_utf8: bool,
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
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
}

impl Theme {
    /// Returns what the environment says about the terminal.
    pub(crate) fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .filter_map(&get)
            .find(|value| !value.is_empty())
            .unwrap_or_default()
            .to_lowercase();
        let term = get("TERM").unwrap_or_default();
        let is_utf8 = (locale.contains("utf-8") || locale.contains("utf8")) && term != "linux";
        let has_color = get("NO_COLOR").is_none_or(|value| value.is_empty()) && term != "dumb";
        Self { has_color, is_utf8 }
    }

    /// Returns how a meaning looks. Only the terminal's own sixteen colours are used, so its
    /// user's choice of them holds.
    pub(crate) fn style(self, tone: Tone) -> Style {
        let style = Style::new();
        let colored = |color| if self.has_color { style.fg(color) } else { style };
        match tone {
            Tone::Plain => style,
            Tone::Quiet => colored(Color::DarkGray).add_modifier(if self.has_color {
                Modifier::empty()
            } else {
                Modifier::DIM
            }),
            Tone::Strong => style.add_modifier(Modifier::BOLD),
            Tone::Good => colored(Color::Green),
            Tone::Warning => colored(Color::Yellow).add_modifier(Modifier::BOLD),
            Tone::Bad => colored(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Accent => colored(Color::Cyan).add_modifier(Modifier::BOLD),
            Tone::Selected => style.add_modifier(Modifier::REVERSED),
        }
    }

    /// Returns a character, or what stands for it where only ASCII can be shown.
    pub(crate) fn pick(self, utf8: &'static str, ascii: &'static str) -> &'static str {
        if self.is_utf8 { utf8 } else { ascii }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vars: &[(&str, &str)], has_color: bool, is_utf8: bool) {
        let get = |name: &str| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(Theme::from_env(get), Theme { has_color, is_utf8 }, "{vars:?}");
    }

    #[test]
    fn the_environment_decides() {
        check(&[("LANG", "C.UTF-8"), ("TERM", "xterm-256color")], true, true);
        check(&[("LANG", "en_US.utf8"), ("LC_ALL", "C")], true, false);
        check(&[("LANG", "C.UTF-8"), ("NO_COLOR", "1")], false, true);
        check(&[("LANG", "C.UTF-8"), ("TERM", "linux")], true, false);
        check(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")], true, true);
        check(&[], true, false);
    }
}
