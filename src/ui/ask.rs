//! Questions to which a person types the answer, each with its validation: the same for a prompt
//! and for what follows a command's name in the palette.

use std::path::PathBuf;

use engine::limits;

use super::layout::Panel;
use super::model::{Effect, Undo};
use super::registry::Command;
use crate::app::action::Action;
use crate::app::format;
use crate::app::state::AppState;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// How many users there should be.
    Users,
    /// How many workers there should be.
    Workers,
    /// Which ticket to look for.
    Ticket,
    /// Where an export should go.
    ExportTo,
    /// Which rows of a panel are shown.
    Filter(Panel),
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Do this; the second is how to take it back.
    Do(Effect, Option<Undo>),
    /// Show only rows with this text.
    Filter(Panel, String),
}

impl Ask {
    /// Returns what a command asks if nothing follows its name.
    pub(crate) fn of(command: Command, focus: Panel) -> Option<Self> {
        Some(match command {
            Command::Users => Self::Users,
            Command::Workers => Self::Workers,
            Command::FindTicket => Self::Ticket,
            Command::Export => Self::ExportTo,
            Command::Filter => Self::Filter(focus),
            _ => return None,
        })
    }

    /// Returns the head of the prompt.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::Users => "How many users?",
            Self::Workers => "How many workers?",
            Self::Ticket => "Which ticket?",
            Self::ExportTo => "Export to which directory?",
            Self::Filter(_) => "Show rows with which text?",
        }
    }

    /// Returns what holds now and what may be typed.
    pub(crate) fn hint(&self, app: &AppState) -> (String, String) {
        let count = |number: u32| format::count(u64::from(number));
        match self {
            Self::Users | Self::Workers => {
                let (now, (low, high)) = (self.target(app), self.bounds());
                let range = format!("{low} to {}; +, - step at once", count(high));
                (format!("wanted now {}", count(now)), range)
            }
            Self::Ticket => {
                let text = "an id, as the log and the exports show it";
                (String::new(), text.to_owned())
            }
            Self::ExportTo => {
                (String::new(), "a new folder is made in it; empty is the usual place".to_owned())
            }
            Self::Filter(_) => (String::new(), "upper and lower case are the same".to_owned()),
        }
    }

    /// Returns the text that stands in the prompt at first.
    pub(crate) fn first_text(&self, filter: &str) -> String {
        match self {
            Self::Filter(_) => filter.to_owned(),
            _ => String::new(),
        }
    }

    fn target(&self, app: &AppState) -> u32 {
        if *self == Self::Users { app.users.target } else { app.workers.target }
    }

    fn bounds(&self) -> (u32, u32) {
        match self {
            Self::Users => (0, limits::USERS_MAX),
            _ => (1, u32::from(limits::WORKERS_MAX)),
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn read(&self, text: &str, app: &AppState) -> Result<Answer, String> {
        let text = text.trim();
        match self {
            Self::Users | Self::Workers => self.number(text, app),
            Self::Ticket => {
                let id = digits(text).parse().map_err(|_| {
                    format!("{text:?} is no ticket id; expected a whole number such as 4711")
                })?;
                Ok(Answer::Do(Effect::FindTicket(id), None))
            }
            Self::ExportTo => {
                let dir = (!text.is_empty()).then(|| PathBuf::from(text));
                Ok(Answer::Do(Effect::Export(dir), None))
            }
            Self::Filter(panel) => Ok(Answer::Filter(*panel, text.to_owned())),
        }
    }

    /// Reads `500`, `+50` or `-50`.
    fn number(&self, text: &str, app: &AppState) -> Result<Answer, String> {
        let (low, high) = self.bounds();
        let what = if *self == Self::Users { "users" } else { "workers" };
        let expected = || format!("{what} must be {low} to {high}");
        let plain = digits(text);
        let (sign, number) = match plain.strip_prefix(['+', '-']) {
            Some(rest) => (plain.chars().next(), rest),
            None => (None, plain.as_str()),
        };
        let number: u32 = number.parse().map_err(|_| expected())?;
        let now = self.target(app);
        let wanted = match sign {
            Some('+') => now.saturating_add(number),
            Some(_) => now.saturating_sub(number).max(low),
            None => number,
        };
        if (low..=high).contains(&wanted) { Ok(self.set(wanted, app)) } else { Err(expected()) }
    }

    /// Returns the answer that steps the number up or down, if it is one.
    pub(crate) fn step(&self, is_up: bool, app: &AppState) -> Option<Answer> {
        let (now, (low, high)) = (self.target(app), self.bounds());
        let step = match self {
            Self::Users => (now / 10).max(1),
            Self::Workers => 1,
            _ => return None,
        };
        let wanted = if is_up { now.saturating_add(step) } else { now.saturating_sub(step) };
        Some(self.set(wanted.clamp(low, high), app))
    }

    fn set(&self, wanted: u32, app: &AppState) -> Answer {
        let action = |number: u32| match self {
            Self::Users => Action::SetUsers(number),
            _ => Action::SetWorkers(u16::try_from(number).unwrap_or(u16::MAX)),
        };
        let undo = Undo::of(Effect::Submit(action(self.target(app))));
        Answer::Do(Effect::Submit(action(wanted)), Some(undo))
    }
}

/// Leaves out the gaps between thousands, as figures on the screen have them.
fn digits(text: &str) -> String {
    text.chars().filter(|char| !matches!(char, ' ' | '_' | '\u{a0}')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::testing;

    fn check(ask: &Ask, text: &str, effect: Effect) {
        match ask.read(text, &testing::app()) {
            Ok(Answer::Do(found, _)) => assert_eq!(found, effect, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn numbers_are_set_or_stepped() {
        let users = |number| Effect::Submit(Action::SetUsers(number));
        for (text, number) in
            [("2000", 2_000), (" 2 000 ", 2_000), ("+50", 178), ("-50", 78), ("-500", 0), ("0", 0)]
        {
            check(&Ask::Users, text, users(number));
        }
        check(&Ask::Workers, "-9", Effect::Submit(Action::SetWorkers(1)));
        let up = Ask::Users.step(true, &testing::app());
        assert!(matches!(up, Some(Answer::Do(effect, Some(_))) if effect == users(140)));
        assert_eq!(Ask::Ticket.step(true, &testing::app()), None);
    }

    #[test]
    fn what_is_out_of_range_is_told_with_the_range() {
        let app = testing::app();
        let error = |ask: &Ask, text: &str| ask.read(text, &app).unwrap_err();
        assert_eq!(error(&Ask::Workers, "0"), "workers must be 1 to 1024");
        assert_eq!(error(&Ask::Users, "99999999999"), "users must be 0 to 1000000");
        assert_eq!(error(&Ask::Users, "x"), "users must be 0 to 1000000");
        assert!(error(&Ask::Ticket, "-3").contains("no ticket id"));
    }

    #[test]
    fn a_setting_can_be_taken_back() {
        let Ok(Answer::Do(_, Some(undo))) = Ask::Users.read("7", &testing::app()) else {
            panic!("a setting has an undo")
        };
        assert_eq!(undo.effect, Effect::Submit(Action::SetUsers(128)));
    }
}
