//! Changing the scenario of a running office from the dashboard: wishes and what becomes of them,
//! what a reload would change, what was saved. Pure, like `update`.

use std::path::Path;

use engine::clock::Time;
use engine::config::Assignment;

use super::ask;
use super::key::Key;
use super::model::{Detail, Effect, Overlay, Plan, Question, UiState, Undo};
use super::registry::Command;
use crate::app::action::{self, Action};
use crate::app::conf::{Answer, ChangeRow, Fate, Overwrite, SaveError};
use crate::app::handle::Access;
use crate::app::state::{AppState, Severity};
use crossterm::event::KeyCode;

/// Wishes whose outcome is awaited at once.
const ASKED_MAX: usize = 16;

impl UiState {
    /// Takes note that the outcome of a wish is to be told.
    pub(super) fn await_answer(&mut self, ask: action::Ask, what: impl Into<String>) {
        if self.asked.len() == ASKED_MAX {
            self.asked.remove(0);
        }
        self.asked.push((ask, what.into()));
    }

    /// Asks for a key to be changed, and remembers how to take it back.
    pub(super) fn change_key(&mut self, change: Assignment, old: Option<String>) -> Vec<Effect> {
        let ask = action::Ask::next();
        self.await_answer(ask, change.to_string());
        let back = Assignment { value: old, ..change.clone() };
        self.push_undo(Undo::of(ask::set(back, action::Ask::next())));
        vec![ask::set(change, ask)]
    }

    /// Tells what became of wishes, and shows a reload that waits for a yes.
    pub(crate) fn hear(&mut self, live: &AppState, now: Time) {
        let answers = std::sync::Arc::clone(&live.answers);
        for answer in answers.iter() {
            let Some(at) = self.asked.iter().position(|(ask, _)| *ask == answer.ask) else {
                continue;
            };
            let (_, what) = self.asked.remove(at);
            // A scenario that can't be used is shown once, with all that is wrong with it.
            let is_shown = live.reload.as_ref().is_some_and(|reload| {
                matches!((&reload.outcome, &answer.outcome), (Err(text), Err(told)) if *text == told.text)
            });
            if !is_shown {
                self.tell_outcome(&what, answer, now);
            }
        }
        if let Some(reload) = &live.reload
            && reload.wall > self.plan_seen
            && self.overlay.is_none()
        {
            self.show_plan(live);
        }
    }

    fn tell_outcome(&mut self, what: &str, answer: &Answer, now: Time) {
        match &answer.outcome {
            Ok(rows) if rows.is_empty() => {
                self.say(Severity::Info, format!("{what}: nothing changes"), now)
            }
            Ok(rows) => {
                let text: Vec<String> = rows.iter().map(outcome).collect();
                self.say(Severity::Info, text.join("; "), now);
            }
            Err(refusal) => {
                let mut lines = refusal.text.lines();
                let first = lines.next().unwrap_or_default().to_owned();
                if lines.next().is_some() && self.overlay.is_none() {
                    let lines = refusal.text.lines().map(|line| (String::new(), line.to_owned()));
                    let detail =
                        Detail::of(format!("{what}: refused"), lines.collect(), self.area.width);
                    self.overlay = Some(Overlay::Detail(detail));
                } else {
                    self.say(Severity::Warning, format!("{what}: {first}"), now);
                }
            }
        }
    }

    /// Shows what the reload that waits would change.
    pub(super) fn show_plan(&mut self, live: &AppState) {
        let Some(reload) = &live.reload else { return };
        self.plan_seen = reload.wall;
        let source = &reload.source;
        let plan = match &reload.outcome {
            Ok(rows) if rows.is_empty() => Plan {
                title: format!("Reload {source}"),
                lines: vec![(String::new(), "nothing would change".to_owned())],
                yes: None,
                scroll: 0,
            },
            Ok(rows) => Plan {
                title: format!("Reload {source}?"),
                lines: rows.iter().map(planned).collect(),
                yes: rows
                    .iter()
                    .any(|row| row.fate == Fate::Proposed)
                    .then(|| Action::ApplyReload { ask: action::Ask::next() }),
                scroll: 0,
            },
            Err(text) => Plan {
                title: format!("{source} can't be used; the office goes on as it was"),
                lines: text.lines().map(|line| (String::new(), line.to_owned())).collect(),
                yes: None,
                scroll: 0,
            },
        };
        self.overlay = Some(Overlay::Plan(plan));
    }

    /// Tells whether the scenario was written, or asks whether what is there may be overwritten.
    pub(crate) fn saved(&mut self, path: &Path, saved: Result<(), SaveError>, now: Time) {
        let name = path.display();
        match saved {
            Ok(()) => self.say(Severity::Info, format!("the scenario is in {name}"), now),
            Err(SaveError::Exists(path)) if self.overlay.is_none() => {
                let again = Effect::Save { path, overwrite: Overwrite::Yes };
                self.confirm(Question {
                    title: "Overwrite it?".to_owned(),
                    text: format!("{name} is there already; its content would be lost"),
                    effects: vec![again],
                });
            }
            Err(error) => self.say(Severity::Warning, error.to_string(), now),
        }
    }

    /// Returns whether the office may be changed from here.
    pub(crate) fn may_act(&self) -> bool {
        matches!(self.access, Access::Full | Access::Control)
    }

    pub(super) fn plan_key(&mut self, mut plan: Plan, key: Key) -> Vec<Effect> {
        let drop = || vec![Effect::Submit(Action::DropReload)];
        let page = usize::from(self.area.height / 2);
        match (key, self.keymap.command(key, false)) {
            (Key::Char('y' | 'Y'), _) if plan.yes.is_some() && self.may_act() => {
                if let Some(Action::ApplyReload { ask }) = &plan.yes {
                    self.await_answer(*ask, "reload");
                }
                return plan.yes.map(Effect::Submit).into_iter().collect();
            }
            (Key::Char('n' | 'N' | 'q') | Key::Named(KeyCode::Esc), _) if !self.may_act() => {
                return Vec::new();
            }
            (Key::Char('n' | 'N' | 'q') | Key::Named(KeyCode::Esc), _) => return drop(),
            (Key::Named(KeyCode::Enter), _) if plan.yes.is_none() => return drop(),
            (_, Some(Command::Up)) => plan.scroll = plan.scroll.saturating_sub(1),
            (_, Some(Command::Down)) => plan.scroll += 1,
            (_, Some(Command::PageUp | Command::HalfPageUp)) => {
                plan.scroll = plan.scroll.saturating_sub(page);
            }
            (_, Some(Command::PageDown | Command::HalfPageDown)) => plan.scroll += page,
            _ => {}
        }
        plan.scroll = plan.scroll.min(plan.lines.len().saturating_sub(1));
        self.overlay = Some(Overlay::Plan(plan));
        Vec::new()
    }
}

/// Says what has become of a key.
pub(crate) fn outcome(row: &ChangeRow) -> String {
    let ChangeRow { key, new, fate, needs, .. } = row;
    match fate {
        Fate::Proposed => format!("{key} = {new}: waits"),
        Fate::Applied => match needs {
            engine::config::schema::Change::Role(role) => {
                format!("{key} = {new}: {} start again", role.name())
            }
            _ => format!("{key} = {new}"),
        },
        Fate::NeedsNewRun => format!("{key} needs a new run"),
        Fate::KeptLive => format!("{key} stays {}", row.old),
    }
}

/// Says what would become of a key.
fn planned(row: &ChangeRow) -> (String, String) {
    let what = match row.fate {
        Fate::NeedsNewRun => "needs a new run; stays".to_owned(),
        Fate::KeptLive => "was changed live; stays".to_owned(),
        Fate::Proposed | Fate::Applied => row.needs.name().to_owned(),
    };
    (row.key.clone(), format!("{} -> {}   {what}", row.old, row.new))
}
