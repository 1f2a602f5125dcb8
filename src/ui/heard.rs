//! What people have done to an office and nobody at this dashboard was told yet: its own keys,
//! scripts and other dashboards alike. So a key is answered by what came of it, once.

use crate::app::state::{AppState, Happening, Source, View};

/// Remembers up to where events were told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// The number of the last one; `None` before the first look.
    last: Option<u64>,
}

impl Heard {
    /// Returns what people have done since the last look, oldest first; at the first look nothing.
    pub(crate) fn news<'a>(&mut self, live: &'a AppState) -> Vec<&'a Happening> {
        // In a replay events come and go with the moment that is looked at.
        if matches!(live.view, View::Replay(_)) {
            return Vec::new();
        }
        let newest = live.events.last().map_or(0, |event| event.number);
        let Some(last) = self.last.replace(newest) else { return Vec::new() };
        let is_news = |event: &&Happening| {
            event.number > last && matches!(event.who, Source::Key | Source::Ctl | Source::File)
        };
        live.events.iter().filter(is_news).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::state::Severity;
    use crate::ui::testing;

    #[test]
    fn what_people_did_is_told_once_and_nothing_from_before() {
        let mut app = testing::app();
        let mut heard = Heard::default();
        let mut texts = |app: &AppState| -> Vec<String> {
            heard.news(app).iter().map(|event| event.text.clone()).collect()
        };
        assert_eq!(texts(&app), [""; 0], "what was before is no news");
        let first = app.events.last().map_or(0, |event| event.number);
        let event = |number, who, text: &str| Happening {
            number,
            at: app.at,
            wall: app.wall,
            severity: Severity::Info,
            who,
            label: String::new(),
            text: text.to_owned(),
        };
        let new = [
            event(first + 1, Source::Key, "paused"),
            event(first + 2, Source::Supervisor, "worker 3 died"),
            event(first + 3, Source::Ctl, "resumed"),
        ];
        Arc::make_mut(&mut app.events).extend(new);
        assert_eq!(texts(&app), ["paused", "resumed"]);
        assert_eq!(texts(&app), [""; 0], "once");
        // Another office begins anew.
        app.events = Arc::new(vec![event(1, Source::Key, "paused")]);
        assert_eq!(texts(&app), [""; 0]);
        Arc::make_mut(&mut app.events).push(event(2, Source::Key, "resumed"));
        assert_eq!(texts(&app), ["resumed"]);
    }
}
