//! The configuration of a running office: what is in effect, where each value came from, and what
//! becomes of wishes to change it.
//!
//! Precedence: defaults < scenario < command line < live changes. A reload brings what has changed
//! in the file since it was last read; what was changed live and not in the file stays as it is
//! and is listed.

use engine::clock::WallTime;
use engine::config::schema::{Change, Role};
use serde::{Deserialize, Serialize};

mod effect;
pub(crate) mod reader;
mod save;

pub(crate) use effect::{Conf, Todo};
pub(crate) use reader::Recipe;
pub(crate) use save::{Overwrite, SaveError, save};

use super::action::Ask;

/// Answers that people can still look up.
pub(crate) const ANSWERS_MAX: usize = 32;

/// One key of the scenario that is in effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConfRow {
    /// The section, such as `office` or `load.regulars`.
    pub(crate) section: String,
    /// The name in the section.
    pub(crate) key: String,
    /// The value as a file spells it; `None` if nobody gave one.
    pub(crate) value: Option<String>,
    /// What holds where nobody gives a value.
    pub(crate) default: String,
    /// Who gave the value.
    pub(crate) giver: Giver,
    /// Where exactly: `default`, `office.ini:12`, `--workers 3` or `live`.
    pub(crate) origin: String,
    /// What a change does to the running office.
    pub(crate) change: Change,
    /// The values that are allowed.
    pub(crate) range: String,
    /// What it means.
    pub(crate) meaning: String,
}

/// Who gave a value; later ones come before earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Giver {
    /// Nobody.
    Default,
    /// The scenario.
    Scenario,
    /// The command line.
    CommandLine,
    /// Somebody while the office ran.
    Live,
}

/// One key that somebody wants to have another value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeRow {
    /// `section.key`, or a whole `[section]` that is only on one side.
    pub(crate) key: String,
    /// The value in effect, as a file spells it; the default in brackets.
    pub(crate) old: String,
    /// The wanted value.
    pub(crate) new: String,
    /// What it takes to apply it.
    pub(crate) needs: Change,
    /// What has become of it.
    pub(crate) fate: Fate,
}

impl ChangeRow {
    /// Returns the change as one line: what, from what, to what, and what becomes of it.
    pub(crate) fn text(&self) -> String {
        let Self { key, old, new, .. } = self;
        let needs = match (self.fate, self.needs) {
            (Fate::KeptLive, _) => {
                return format!(
                    "{key}: {old} stays: it was changed live, and the file, which says \
                                {new}, was not"
                );
            }
            (Fate::NeedsNewRun, _) => "needs a new run; the office goes on as it is",
            (_, Change::Live) => "live",
            (_, Change::Role(Role::Issuer)) => "restarts the issuer",
            (_, Change::Role(Role::Workers)) => "restarts the workers, one after another",
            (_, Change::Restart) => "needs a new run",
        };
        format!("{key}: {old} -> {new} ({needs})")
    }
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// It waits for somebody to say yes.
    Proposed,
    /// It is in effect, or will be as soon as its role has started again.
    Applied,
    /// It needs a new run, so the office goes on as it was.
    NeedsNewRun,
    /// The value was changed live and the file says what it said before: the live one stays.
    KeptLive,
}

/// What became of a wish to change the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The wish.
    pub(crate) ask: Ask,
    /// The keys that differ; or why nothing was changed.
    pub(crate) outcome: Result<Vec<ChangeRow>, Refusal>,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// All mistakes, one a line, each with its place.
    pub(crate) text: String,
    /// Whether whoever asked made a mistake (as against a run that is ending).
    pub(crate) is_usage: bool,
}

/// A scenario that was read again and waits for somebody to say yes or no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingReload {
    /// The file, as it was named at the start.
    pub(crate) source: String,
    /// When it was read.
    pub(crate) wall: WallTime,
    /// The difference; or what is wrong with the file, one mistake a line.
    pub(crate) outcome: Result<Vec<ChangeRow>, String>,
}
