//! How a dashboard looks and behaves: the part of the command line that `run`, `attach` and
//! `replay` share.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// How a dashboard looks and behaves. What is not given is a preference's, or else the default.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Dashboard")]
pub(crate) struct ViewArgs {
    /// Redraw at most so many times a second [default: 30]
    #[arg(long, value_name = "1..30", value_parser = clap::value_parser!(u8).range(1..=30))]
    pub(crate) fps: Option<u8>,
    /// The time that charts cover: 1m, 5m, 15m, 1h or 6h [default: 1m]
    #[arg(long, value_name = "SPAN", value_parser = window)]
    pub(crate) window: Option<Duration>,
    /// The colours [default: auto]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) theme: Option<ThemeName>,
    /// Whether to use colours [default: auto]
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) color: Option<When>,
    /// The characters that the terminal shows [default: auto]
    #[arg(long, value_enum, value_name = "SET")]
    pub(crate) charset: Option<Charset>,
    /// Send little to the terminal: a frame every two seconds at most; keys are still answered at
    /// once
    #[arg(long)]
    pub(crate) low_bandwidth: bool,
    /// Leave the mouse to the terminal
    #[arg(long)]
    pub(crate) no_mouse: bool,
    /// Only look: refuse whatever would change the office
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Print plain lines and take commands as lines, for screen readers and dumb terminals
    #[arg(long)]
    pub(crate) plain: bool,
}

/// The name of a theme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ThemeName {
    /// The terminal's own colours; weight alone where it has none.
    #[default]
    Auto,
    Ansi,
    Dark,
    Light,
    Mono,
    HighContrast,
}

impl ThemeName {
    /// Returns its name as people type it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ansi => "ansi",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
            Self::HighContrast => "high-contrast",
        }
    }

    /// Returns the theme of that name.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Self::from_str(text, true).ok()
    }
}

/// Whether to do something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// As NO_COLOR, CLICOLOR, CLICOLOR_FORCE, COLORTERM and TERM say.
    #[default]
    Auto,
    Always,
    Never,
}

/// Which characters a terminal shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Charset {
    /// As the locale says.
    #[default]
    Auto,
    Utf8,
    Ascii,
}

/// The spans that charts can cover.
pub(crate) const WINDOWS: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(3_600),
    Duration::from_secs(21_600),
];

fn window(text: &str) -> Result<Duration, String> {
    let span = engine::config::span(text).ok();
    let known = span.filter(|span| WINDOWS.contains(span));
    known.ok_or_else(|| "expected 1m, 5m, 15m, 1h or 6h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_are_called_what_the_command_line_calls_them() {
        for name in ThemeName::value_variants() {
            let shown = name.to_possible_value().unwrap();
            assert_eq!(shown.get_name(), name.as_str());
            assert_eq!(ThemeName::of(name.as_str()), Some(*name));
        }
        assert_eq!(ThemeName::of("shiny"), None);
    }

    #[test]
    fn a_window_is_one_that_charts_have() {
        assert_eq!(window("5m"), Ok(Duration::from_secs(300)));
        assert!(window("7m").is_err() && window("soon").is_err());
    }
}
