//! The configuration of a running office, changed: what [`Conf`](crate::app::conf::Conf) decides is carried out here.
//!
//! A change is applied as a whole or not at all. Live keys take effect at once; a key that a role
//! reads when it starts has that role started again, the workers a few at a time, so that others
//! serve meanwhile; what needs a new run is named and left as it is.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::clock::{Time, WallTime, nanos};
use engine::config::{Assignment, Effective};
use engine::ids::LoadId;
use engine::limits;
use engine::net::message::{DirectorToIssuer, DirectorToManager, ScenarioChange};
use engine::roles::links::Links;

use super::{Director, ONLY, Outcome, rules_of};
use crate::app::action::{Action, Ask, ReloadMode};
use crate::app::conf::{Answer, ChangeRow, Fate, PendingReload, Refusal, Todo};
use crate::app::events::{News, Source};
use crate::app::state::Severity;
use crate::app::update::Event;

/// Wishes to read the scenario again that may wait for one another.
const RELOADS_WAITING_MAX: usize = 8;
/// At most one worker in so many is started again at a time.
const WORKERS_LEFT_SERVING: usize = 4;

/// What is under way.
#[derive(Default)]
pub(super) struct Changes {
    /// Who waits for the scenario to be read; the first one's reading is under way.
    waiting: VecDeque<(ReloadMode, Ask, Source)>,
    /// What was read and waits for a yes or no.
    pending: Option<Effective>,
    /// Workers that are still to be started again.
    rolling: VecDeque<u16>,
}

impl Director {
    /// Carries out what concerns the configuration; gives everything else back.
    pub(super) fn configure(
        &mut self,
        action: Action,
        who: Source,
        now: Time,
        links: &mut Links,
    ) -> Option<Action> {
        match action {
            Action::Set { changes, ask } => self.set(&changes, ask, who, now, links),
            Action::Reload { mode, ask } => self.reload(mode, ask, who, now),
            Action::ApplyReload { ask } => self.apply_reload(ask, who, now, links),
            Action::DropReload => self.drop_pending(),
            action => return Some(action),
        }
        None
    }

    /// Takes what was read meanwhile, and goes on with restarts that wait for others.
    pub(super) fn turn_changes(&mut self, now: Time, links: &mut Links) {
        if let Some(read) = self.reader.next_read() {
            self.publish_at = now;
            let read = read.map_err(|error| error.to_string());
            if let Some((mode, ask, who)) = self.changes.waiting.pop_front() {
                self.was_read(read, mode, ask, who, now, links);
            }
            self.begin_reading(now);
        }
        if self.run.is_ending() {
            self.changes.rolling.clear();
        } else if !self.changes.rolling.is_empty() && self.workers.view().is_settled() {
            self.roll_on(now);
        }
    }

    // --- users and workers ------------------------------------------------------------------

    /// Spreads a population over the loads that people think of as users.
    pub(super) fn set_users(&mut self, users: u32, now: Time, links: &mut Links) -> Outcome {
        self.only_before_the_end()?;
        let todo = self.conf.set_users(users).map_err(|refusal| refusal.text)?;
        self.change_office(todo, now, links);
        Ok(todo.users)
    }

    pub(super) fn set_workers(&mut self, workers: u16, now: Time, links: &mut Links) -> Outcome {
        self.only_before_the_end()?;
        let todo = self.conf.set_workers(workers).map_err(|refusal| refusal.text)?;
        self.change_office(todo, now, links);
        Ok(todo.workers)
    }

    pub(super) fn set_speed(&mut self, speed: f64, now: Time, links: &mut Links) -> Outcome {
        self.only_before_the_end()?;
        let todo = self.conf.set_speed(speed).map_err(|refusal| refusal.text)?;
        self.change_office(todo, now, links);
        Ok(todo.tempo)
    }

    pub(super) fn set_rate(
        &mut self,
        load: LoadId,
        per_second: f64,
        now: Time,
        links: &mut Links,
    ) -> Outcome {
        self.only_before_the_end()?;
        let todo = self.conf.set_rate(load, per_second).map_err(|refusal| refusal.text)?;
        self.change_office(todo, now, links);
        Ok(todo.tempo)
    }

    /// Lets users live as they should, from a moment on that all of them know before it comes.
    fn send_tempo(&mut self, now: Time, links: &mut Links) {
        let begins = self.run.timeline().office_time(now + limits::TEMPO_NOTICE);
        self.tempo.follow(self.conf.tempo(), nanos(begins));
        let tempo = DirectorToManager::Tempo(self.tempo.line().clone());
        self.manager.send(ONLY, &tempo, links);
    }

    // --- keys -------------------------------------------------------------------------------

    fn set(&mut self, changes: &[Assignment], ask: Ask, who: Source, now: Time, links: &mut Links) {
        let set = match self.only_before_the_end() {
            Ok(()) => self.conf.set(changes),
            Err(text) => Err(Refusal { text, is_usage: false }),
        };
        self.finish(set, ask, who, now, links);
    }

    /// Carries out what a change asks for, tells people, and answers whoever asked.
    fn finish(
        &mut self,
        changed: Result<(Vec<ChangeRow>, Todo), Refusal>,
        ask: Ask,
        who: Source,
        now: Time,
        links: &mut Links,
    ) {
        let outcome = changed.map(|(rows, todo)| {
            self.change_office(todo, now, links);
            for row in &rows {
                self.tell_change(row, who, now);
            }
            rows
        });
        if let Err(refusal) = &outcome {
            let text = format!("nothing was changed: {}", refusal.text);
            log::warn!(target: "director", "{text}");
            self.refuse(who, text, now);
        }
        self.album.answer(Answer { ask, outcome });
    }

    fn tell_change(&mut self, row: &ChangeRow, who: Source, now: Time) {
        log::info!(target: "director", "{} by {who}", row.text());
        let key = row.key.rsplit('.').next().unwrap_or_default();
        let label = match row.fate {
            Fate::Applied => format!("{key} {}", row.new),
            _ => format!("{key} stays"),
        };
        self.album.tell(News { severity: Severity::Info, who, label, text: row.text() }, now);
    }

    fn refuse(&mut self, who: Source, text: String, now: Time) {
        // Several mistakes stand on lines of their own.
        let text = text.replace('\n', "; ");
        let (severity, label) = (Severity::Warning, "not done".to_owned());
        self.warn(News { severity, who, label, text }, now);
    }

    fn change_office(&mut self, todo: Todo, now: Time, links: &mut Links) {
        self.staff_text = self.conf.staff().to_ini();
        self.album.configure(&self.conf);
        let scenario = self.conf.scenario().clone();
        if todo.rules {
            let (rules, duration) = (rules_of(&scenario.run), scenario.run.duration);
            self.run.handle(Event::Rules { rules, duration }, now);
        }
        if todo.users {
            self.send_wanted(links);
        }
        if todo.tempo {
            self.send_tempo(now, links);
        }
        if todo.workers {
            let (workers, grace) = (self.conf.workers(), limits::WORKERS_LEAVE_WITHIN);
            self.workers.fleet().set_wanted(workers, grace, now);
        }
        if todo.store {
            let change = ScenarioChange { scenario: self.staff_text.clone() };
            self.issuer.send(ONLY, &DirectorToIssuer::Scenario(change), links);
        }
        if todo.goals {
            self.results.watch_services(self.album.set_goals(&scenario.slos));
        }
        if todo.restart_issuer {
            self.issuer.fleet().restart(ONLY, limits::ISSUER_LEAVE_WITHIN, now);
        }
        if todo.restart_workers {
            self.changes.rolling = self.workers.view().wanted().iter().copied().collect();
        }
        self.publish_at = now;
    }

    /// Has the next few workers started again.
    fn roll_on(&mut self, now: Time) {
        let workers = self.workers.view().wanted().len();
        for _ in 0..(workers / WORKERS_LEFT_SERVING).max(1) {
            let Some(slot) = self.changes.rolling.pop_front() else { break };
            self.workers.fleet().restart(slot, limits::WORKERS_LEAVE_WITHIN, now);
        }
    }

    // --- reading the scenario again ---------------------------------------------------------

    /// A signal asks for what the key does; without a screen nobody can be asked.
    pub(super) fn reload_by_signal(&mut self, now: Time) {
        let mode = if self.orders.has_screen { ReloadMode::Propose } else { ReloadMode::Apply };
        self.reload(mode, Ask::next(), Source::File, now);
    }

    fn reload(&mut self, mode: ReloadMode, ask: Ask, who: Source, now: Time) {
        if self.changes.waiting.len() >= RELOADS_WAITING_MAX {
            let text = format!("{} is being read already; try again", self.reader.name());
            return self.give_back(Refusal { text, is_usage: false }, ask, who, now);
        }
        self.changes.waiting.push_back((mode, ask, who));
        if self.changes.waiting.len() == 1 {
            self.begin_reading(now);
        }
    }

    /// Begins to read for the first who waits. Whoever can't be served is told why, and nobody waits
    /// for a reading that never began.
    fn begin_reading(&mut self, now: Time) {
        while let Some(&(_, ask, who)) = self.changes.waiting.front() {
            let Err(text) = self.reader.begin() else { return };
            self.changes.waiting.pop_front();
            self.give_back(Refusal { text, is_usage: false }, ask, who, now);
        }
    }

    fn give_back(&mut self, refusal: Refusal, ask: Ask, who: Source, now: Time) {
        self.refuse(who, format!("nothing was changed: {}", refusal.text), now);
        self.album.answer(Answer { ask, outcome: Err(refusal) });
    }

    fn was_read(
        &mut self,
        read: Result<Effective, String>,
        mode: ReloadMode,
        ask: Ask,
        who: Source,
        now: Time,
        links: &mut Links,
    ) {
        let read = match read {
            Ok(read) => read,
            Err(text) => {
                log::error!(target: "director", "the scenario was not reloaded: {text}");
                if mode == ReloadMode::Propose {
                    self.propose(Err(text.clone()));
                }
                return self.give_back(Refusal { text, is_usage: true }, ask, who, now);
            }
        };
        match mode {
            ReloadMode::DryRun => {
                let outcome = Ok(self.conf.propose(&read));
                self.album.answer(Answer { ask, outcome });
            }
            ReloadMode::Propose => {
                let rows = self.conf.propose(&read);
                self.propose(Ok(rows.clone()));
                self.changes.pending = Some(read);
                self.album.answer(Answer { ask, outcome: Ok(rows) });
            }
            ReloadMode::Apply => self.take(read, ask, who, now, links),
        }
    }

    fn propose(&mut self, outcome: Result<Vec<ChangeRow>, String>) {
        let (source, wall) = (self.reader.name().to_owned(), WallTime::now());
        self.changes.pending = None;
        self.album.propose(Some(Arc::new(PendingReload { source, wall, outcome })));
    }

    fn drop_pending(&mut self) {
        self.changes.pending = None;
        self.album.propose(None);
    }

    fn apply_reload(&mut self, ask: Ask, who: Source, now: Time, links: &mut Links) {
        let Some(read) = self.changes.pending.take() else {
            let text = "no scenario waits to be applied; read it again first".to_owned();
            return self.give_back(Refusal { text, is_usage: false }, ask, who, now);
        };
        let rows = self.conf.propose(&read);
        let shown = self.album.proposed();
        if shown.is_some_and(|shown| shown.outcome.as_ref() != Ok(&rows)) {
            self.propose(Ok(rows));
            self.changes.pending = Some(read);
            let text = "what is in effect has changed meanwhile; look at the difference again";
            let refusal = Refusal { text: text.to_owned(), is_usage: false };
            return self.give_back(refusal, ask, who, now);
        }
        self.album.propose(None);
        self.take(read, ask, who, now, links);
    }

    fn take(&mut self, read: Effective, ask: Ask, who: Source, now: Time, links: &mut Links) {
        let taken = match self.only_before_the_end() {
            Ok(()) => self.conf.take(read),
            Err(text) => Err(Refusal { text, is_usage: false }),
        };
        if let Ok((rows, _)) = &taken {
            let applied = rows.iter().filter(|row| row.fate == Fate::Applied).count();
            let text = format!(
                "{} was read again: {applied} of {} differences applied",
                self.reader.name(),
                rows.len()
            );
            log::info!(target: "director", "{text}");
            let (severity, label) = (Severity::Info, "reload".to_owned());
            self.album.tell(News { severity, who, label, text }, now);
        }
        self.finish(taken, ask, who, now, links);
    }
}
