//! How this dashboard looks and behaves: the command line's words first, then preferences, then
//! what the environment says of the terminal.

use std::time::Duration;

use super::preferences::Choices;
use super::theme::{self, Theme};
use crate::app::view_args::{ViewArgs, WINDOWS};

/// Redraws a second at most, unless somebody wants it otherwise.
const FPS: u8 = 30;
/// The least time between two frames of a dashboard that sends little.
const LOW_BANDWIDTH_INTERVAL: Duration = Duration::from_secs(2);

/// How a dashboard looks and behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) theme: Theme,
    /// The least time between two frames; keys are answered at once all the same.
    pub(crate) frame_interval: Duration,
    /// The time that charts cover, by its place in [`WINDOWS`].
    pub(crate) window: usize,
    /// Whether the terminal tells us of the mouse.
    pub(crate) has_mouse: bool,
    /// Whether little is sent: charts are drawn so that few of their cells change.
    pub(crate) is_low_bandwidth: bool,
}

impl Options {
    /// Returns what the command line, preferences and environment say together.
    pub(crate) fn new(
        args: &ViewArgs,
        choices: &Choices,
        get: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let (depth, _) = theme::depth(args.color.unwrap_or_default(), &get);
        let (is_utf8, _) = theme::charset(args.charset.unwrap_or_default(), &get);
        let name = args.theme.or(choices.theme).unwrap_or_default();
        let fps = args.fps.or(choices.fps).unwrap_or(FPS);
        let interval = Duration::from_secs(1) / u32::from(fps.max(1));
        let window = args.window.or(choices.window);
        Self {
            theme: Theme::new(name, depth, is_utf8),
            frame_interval: if args.low_bandwidth {
                interval.max(LOW_BANDWIDTH_INTERVAL)
            } else {
                interval
            },
            window: WINDOWS.iter().position(|span| Some(*span) == window).unwrap_or(0),
            has_mouse: !args.no_mouse && choices.has_mouse.unwrap_or(true),
            is_low_bandwidth: args.low_bandwidth,
        }
    }
}

/// Returns a variable of the environment, if it is text.
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::view_args::ThemeName;

    #[test]
    fn the_command_line_wins_over_preferences() {
        let choices = Choices {
            theme: Some(ThemeName::Light),
            window: Some(WINDOWS[1]),
            has_mouse: Some(true),
            fps: Some(5),
            ..Choices::default()
        };
        let none = |_: &str| None;
        let preferred = Options::new(&ViewArgs::default(), &choices, none);
        assert_eq!(preferred.theme.name(), "light");
        assert_eq!((preferred.window, preferred.has_mouse), (1, true));
        assert_eq!(preferred.frame_interval, Duration::from_millis(200));
        let args = ViewArgs {
            theme: Some(ThemeName::Dark),
            window: Some(WINDOWS[2]),
            no_mouse: true,
            fps: Some(10),
            ..ViewArgs::default()
        };
        let asked = Options::new(&args, &choices, none);
        assert_eq!(asked.theme.name(), "dark");
        assert_eq!((asked.window, asked.has_mouse), (2, false));
        assert_eq!(asked.frame_interval, Duration::from_millis(100));
    }

    #[test]
    fn a_dashboard_that_sends_little_draws_seldom() {
        let of = |low_bandwidth| {
            let args = ViewArgs { low_bandwidth, fps: Some(30), ..ViewArgs::default() };
            Options::new(&args, &Choices::default(), |_| None)
        };
        assert_eq!(of(true).frame_interval, LOW_BANDWIDTH_INTERVAL);
        assert!(of(true).is_low_bandwidth && !of(false).is_low_bandwidth);
        assert!(of(false).frame_interval < Duration::from_millis(40));
    }
}
