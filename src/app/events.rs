//! What people did to an office and what happened to it: a bounded list, newest last.
//!
//! Charts mark these moments, screens list them, exports write them down. Whoever acts tells
//! [`Events`] once; the list that snapshots share is copied only when something happens.

use std::fmt;
use std::sync::Arc;

use engine::clock::{Time, WallTime};
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::state::Severity;

/// Happenings that are kept; the oldest go first and are counted.
pub(crate) const EVENTS_MAX: usize = 512;
/// The longest mark in a chart, in characters.
pub(crate) const LABEL_CHARS_MAX: usize = 12;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happening {
    /// They are numbered from one, without gaps.
    pub(crate) number: u64,
    /// When.
    pub(crate) at: Time,
    /// When, for people.
    pub(crate) wall: WallTime,
    /// How bad.
    pub(crate) severity: Severity,
    /// Who did it, or noticed it.
    pub(crate) who: Source,
    /// The same in few characters, for marks in charts: at most [`LABEL_CHARS_MAX`].
    pub(crate) label: String,
    /// What happened, to what, and what follows.
    pub(crate) text: String,
}

/// Who did something, or noticed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Source {
    /// A person, at the dashboard's keys.
    Key,
    /// A person or a script, over the control socket.
    Ctl,
    /// A change of the scenario's file.
    File,
    /// The supervision of processes.
    Supervisor,
    /// The run itself.
    Office,
}

impl Source {
    /// Returns the word that tables show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Ctl => "ctl",
            Self::File => "file",
            Self::Supervisor => "supervisor",
            Self::Office => "office",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "a person (dashboard)",
            Self::Ctl => "a person (ctl)",
            Self::File => "the scenario's file",
            Self::Supervisor => "the supervisor",
            Self::Office => "the office",
        })
    }
}

/// Something to tell people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// How bad.
    pub(crate) severity: Severity,
    /// Who did it, or noticed it.
    pub(crate) who: Source,
    /// The mark in charts; what is longer than [`LABEL_CHARS_MAX`] is cut.
    pub(crate) label: String,
    /// What happened, to what, and what follows.
    pub(crate) text: String,
}

/// Returns the words for an action that was not carried out.
pub(crate) fn refusal(action: &Action, why: &str) -> String {
    format!("not done: {action}: {why}")
}

/// The newest happenings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    list: Arc<Vec<Happening>>,
    told: u64,
}

impl Events {
    /// Adds what happened, and returns it.
    pub(crate) fn tell(&mut self, news: News, now: Time, wall: WallTime) -> Happening {
        let News { severity, who, label, text } = news;
        self.told += 1;
        let list = Arc::make_mut(&mut self.list);
        if list.len() == EVENTS_MAX {
            list.remove(0);
        }
        let label = label.chars().take(LABEL_CHARS_MAX).collect();
        let happening = Happening { number: self.told, at: now, wall, severity, who, label, text };
        list.push(happening.clone());
        happening
    }

    /// Returns what is kept, newest last.
    pub(crate) fn list(&self) -> Arc<Vec<Happening>> {
        Arc::clone(&self.list)
    }

    /// Returns how many are no longer kept.
    pub(crate) fn dropped(&self) -> u64 {
        self.told - self.list.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(label: &str) -> News {
        News {
            severity: Severity::Info,
            who: Source::Key,
            label: label.to_owned(),
            text: "paused".to_owned(),
        }
    }

    #[test]
    fn the_oldest_are_dropped_and_counted() {
        let mut events = Events::default();
        let kept = u64::try_from(EVENTS_MAX).unwrap();
        for number in 0..kept + 3 {
            events.tell(news("pause"), Time(number), WallTime(0));
        }
        let list = events.list();
        assert_eq!((list.len(), events.dropped()), (EVENTS_MAX, 3));
        assert_eq!((list[0].number, list[0].at), (4, Time(3)));
        assert_eq!(list.last().unwrap().number, kept + 3);
    }

    #[test]
    fn a_snapshot_keeps_the_list_that_it_was_given() {
        let mut events = Events::default();
        events.tell(news("pause"), Time(1), WallTime(0));
        let before = events.list();
        events.tell(news("resume"), Time(2), WallTime(0));
        assert_eq!((before.len(), events.list().len()), (1, 2));
    }

    #[test]
    fn a_mark_fits_its_place() {
        let mut events = Events::default();
        events.tell(news("restart users-manager"), Time(1), WallTime(0));
        assert_eq!(events.list()[0].label, "restart user");
    }
}
