//! Changing the scenario of a running office from the dashboard: wishes and what becomes of them,
//! what a reload would change, what was saved. Pure, like `update`.

use std::path::Path;

use engine::clock::Time;
use engine::config::Assignment;
use engine::config::schema::Change;

use super::ask;
use super::key::Key;
use super::model::{Detail, Effect, Overlay, Plan, Question, UiState, Undo};
use super::overlays::wrapped;
use crate::app::action::{self, Action};
use crate::app::conf::{Answer, ChangeRow, Fate, Overwrite, SaveError};
use crate::app::handle::Access;
use crate::app::state::{AppState, Severity, Source};
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
        self.push_undo(Undo::Do(ask::set(back, action::Ask::next())));
        vec![ask::set(change, ask)]
    }

    /// Tells what people have done since the last time, what became of wishes, and shows a reload
    /// that waits for a yes.
    pub(crate) fn hear(&mut self, live: &AppState, now: Time) {
        let was_open = self.overlay.is_some();
        self.hear_answers(live, now);
        let is_shown = !was_open && self.overlay.is_some();
        for event in self.heard.news(live) {
            // What is wrong stands in the window that has just been opened.
            if is_shown && event.severity > Severity::Info {
                continue;
            }
            let by = match event.who {
                Source::Key => String::new(),
                who => format!(" by {who}"),
            };
            self.say(event.severity, format!("{}{by}", event.text), now);
        }
    }

    /// Tells what became of wishes as far as no event does, and shows a reload that waits for a
    /// yes.
    pub(super) fn hear_answers(&mut self, live: &AppState, now: Time) {
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
            Err(refusal) if refusal.text.contains('\n') && self.overlay.is_none() => {
                let lines = refusal.text.lines().map(|line| (String::new(), line.to_owned()));
                let title = format!("{what}: refused");
                let detail = Detail::of(title, lines.collect(), self.area.width);
                self.overlay = Some(Overlay::Detail(detail));
            }
            // Each key that was changed is an event, and so is a refusal.
            Ok(_) | Err(_) => {}
        }
    }

    /// Shows what the reload that waits would change.
    pub(super) fn show_plan(&mut self, live: &AppState) {
        let Some(reload) = &live.reload else { return };
        self.plan_seen = reload.wall;
        let source = &reload.source;
        let told = |text: &str| -> Vec<(String, String)> {
            text.lines().map(|line| (String::new(), line.to_owned())).collect()
        };
        let (title, lines, is_open) = match &reload.outcome {
            Ok(rows) if rows.is_empty() => {
                (format!("Reload {source}"), told("nothing would change"), false)
            }
            Ok(rows) => {
                let is_open = rows.iter().any(|row| row.fate == Fate::Proposed);
                (format!("Reload {source}?"), rows.iter().map(planned).collect(), is_open)
            }
            Err(text) => {
                let title = format!("{source} can't be used; the office goes on as it was");
                (title, told(text), false)
            }
        };
        let yes = is_open.then(|| Action::ApplyReload { ask: action::Ask::next() });
        let lines = wrapped(lines, self.area.width);
        self.overlay = Some(Overlay::Plan(Plan { title, lines, yes, scroll: 0 }));
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

    pub(super) fn plan_key(&mut self, plan: Plan, key: Key) -> Vec<Effect> {
        match (key, self.keymap.command(key, false)) {
            (Key::Char('y' | 'Y'), _) if plan.yes.is_some() && self.may_act() => {
                if let Some(Action::ApplyReload { ask }) = &plan.yes {
                    self.await_answer(*ask, "reload");
                }
                plan.yes.map(Effect::Submit).into_iter().collect()
            }
            (Key::Char('n' | 'N' | 'q') | Key::Named(KeyCode::Esc), _) => self.drop_plan(),
            (Key::Named(KeyCode::Enter), _) if plan.yes.is_none() => self.drop_plan(),
            (_, command) => {
                self.keep_walking(Overlay::Plan(plan), command);
                Vec::new()
            }
        }
    }

    /// Forgets what was read, if that may be asked for from here.
    fn drop_plan(&self) -> Vec<Effect> {
        let drop = self.may_act().then_some(Effect::Submit(Action::DropReload));
        drop.into_iter().collect()
    }
}

/// Says what has become of a key.
pub(crate) fn outcome(row: &ChangeRow) -> String {
    let ChangeRow { key, new, fate, needs, .. } = row;
    match fate {
        Fate::Proposed => format!("{key} = {new}: waits"),
        Fate::Applied => match needs {
            Change::Role(role) => format!("{key} = {new} (restarts the {})", role.name()),
            _ => format!("{key} = {new}"),
        },
        Fate::NeedsNewRun => format!("{key} needs a new run"),
        Fate::KeptLive => format!("{key} stays {}", row.old),
    }
}

/// Says what would become of a key.
fn planned(row: &ChangeRow) -> (String, String) {
    let what = match (row.fate, row.needs) {
        (Fate::NeedsNewRun, _) => "needs a new run; stays".to_owned(),
        (Fate::KeptLive, _) => "stays as set".to_owned(),
        (_, Change::Role(role)) => format!("restarts the {}", role.name()),
        (_, Change::Live) => "at once".to_owned(),
        (_, Change::Restart) => "needs a new run".to_owned(),
    };
    (row.key.clone(), format!("{} -> {}   {what}", row.old, row.new))
}
