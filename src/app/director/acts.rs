//! What people ask for, carried out in a running office.
//!
//! Every act is bounded, can be undone, and is told with who asked for it; what can't be done is
//! told too. What holds tickets back ([`Curbs`]) is the director's own, and goes whole to each new
//! issuer, so it outlives any process; all of it is lifted when the run begins to end.

use std::time::Duration;

use engine::clock::Time;
use engine::ids::{ServiceId, UserProcessId, WorkerId};
use engine::limits;
use engine::net::message::{Curbs, DirectorToIssuer, DirectorToManager, FreezeUser, WantedUsers};
use engine::roles::links::Links;
use engine::roles::staff::Staff;
use engine::supervisor::child::{Child, Input};
use engine::supervisor::report::Phase as ChildPhase;

use super::{Director, ONLY, Outcome, news};
use crate::app::action::{Action, ProcessId};
use crate::app::events::{News, Source};
use crate::app::exit::Exit;
use crate::app::logging;
use crate::app::state::{Ending, Phase, Settings, Severity};
use crate::app::update::Event;

impl Director {
    pub(super) fn take_actions(&mut self, now: Time, links: &mut Links) {
        while let Some((who, action)) = self.desk.next_action() {
            let Some(action) = self.configure(action, who, now, links) else { continue };
            let action = bounded(action);
            match self.act(&action, now, links) {
                Ok(true) => self.tell_of(&action, who, now),
                Ok(false) => log::info!(target: "director", "nothing to do: {action} for {who}"),
                Err(why) => {
                    log::warn!(target: "director", "not done: {action} for {who}: {why}");
                    self.warn(news::of_refusal(&action, who, &why), now);
                }
            }
            self.publish_at = now;
        }
    }

    fn tell_of(&mut self, action: &Action, who: Source, now: Time) {
        let name = match action {
            Action::Block(service) | Action::Unblock(service) => self.service(*service),
            Action::SetRate { load, .. } => {
                self.conf.tempo().rate(*load).map(|rate| rate.name.clone())
            }
            _ => None,
        };
        if let Some(news) = news::of_action(action, who, name.as_deref().unwrap_or_default()) {
            log::info!(target: "director", "{} by {who}", news.text);
            self.album.tell(news, now);
        }
    }

    fn act(&mut self, action: &Action, now: Time, links: &mut Links) -> Outcome {
        match *action {
            Action::Pause => self.pause(now),
            Action::Resume => self.resume(now),
            Action::Step(span) => self.step(span, now),
            Action::SetUsers(users) => self.set_users(users, now, links),
            Action::SetWorkers(workers) => self.set_workers(workers, now, links),
            Action::SetSpeed(speed) => self.set_speed(speed, now, links),
            Action::SetRate { load, per_second } => self.set_rate(load, per_second, now, links),
            Action::Strike => self.curb(links, |curbs| curbs.is_on_strike = true),
            Action::EndStrike => self.curb(links, |curbs| curbs.is_on_strike = false),
            Action::Block(service) => {
                self.service(service).ok_or("there is no such service")?;
                self.curb(links, |curbs| {
                    curbs.blocked.push(service);
                    curbs.blocked.sort_unstable();
                    curbs.blocked.dedup();
                })
            }
            Action::Unblock(service) => {
                self.curb(links, |curbs| curbs.blocked.retain(|&blocked| blocked != service))
            }
            Action::SlowIssuer(delay) => self.curb(links, |curbs| curbs.delay = delay),
            Action::Kill(process) => self.kill(process, now, links),
            Action::Freeze(process, span) => self.freeze(process, now + span, links),
            Action::Continue(process) => self.thaw(process, links),
            Action::Restart(process) => self.restart(process, now, links),
            Action::Set { .. }
            | Action::Reload { .. }
            | Action::ApplyReload { .. }
            | Action::DropReload => unreachable!("these were carried out before"),
            Action::LogLevel(level) => {
                logging::keep(level);
                Ok(true)
            }
            Action::Travel(_) => Err("a running office has no past to look at".to_owned()),
            Action::Drain => {
                let is_new = !self.run.is_ending();
                self.run.handle(Event::Drain(self.ending()), now);
                Ok(is_new)
            }
            Action::StopNow => {
                self.run.handle(Event::StopNow(self.ending()), now);
                Ok(true)
            }
        }
    }

    fn service(&self, service: ServiceId) -> Option<String> {
        let services = &self.orders.effective.scenario.services;
        services.get(usize::from(service.0)).map(|service| service.name.clone())
    }

    /// Returns what an end that a person asks for now is: none that is good while something that is
    /// needed is given up.
    fn ending(&self) -> Ending {
        match self.given_up().first() {
            Some(process) => {
                Ending::Failed { exit: Exit::Failed, reason: format!("{process} was given up") }
            }
            None => Ending::Completed,
        }
    }

    /// Refuses what a run that ends has no use for.
    pub(super) fn only_before_the_end(&self) -> Result<(), String> {
        if self.run.is_ending() { Err("the run is ending".to_owned()) } else { Ok(()) }
    }

    // --- time -------------------------------------------------------------------------------

    fn pause(&mut self, now: Time) -> Outcome {
        match self.run.phase() {
            Phase::Paused => return Ok(false),
            Phase::Running => {}
            phase => return Err(format!("the run is {}", phase.name())),
        }
        self.room_for_a_pause()?;
        self.run.handle(Event::Pause, now);
        Ok(true)
    }

    fn resume(&mut self, now: Time) -> Outcome {
        let is_held = self.run.phase() == Phase::Paused || self.run.step_until().is_some();
        self.run.handle(Event::Resume, now);
        Ok(is_held)
    }

    fn step(&mut self, span: Duration, now: Time) -> Outcome {
        match self.run.phase() {
            Phase::Paused => {}
            phase => return Err(format!("the run is {}; pause it first", phase.name())),
        }
        self.room_for_a_pause()?;
        self.run.handle(Event::Step(span), now);
        Ok(true)
    }

    fn room_for_a_pause(&self) -> Result<(), String> {
        if self.run.timeline().pauses.len() < limits::PAUSES_MAX {
            return Ok(());
        }
        Err(format!("a run stands still {} times at most", limits::PAUSES_MAX))
    }

    // --- how many ---------------------------------------------------------------------------

    pub(super) fn send_wanted(&mut self, links: &mut Links) {
        if self.has_started_users && !self.run.is_ending() {
            let wanted = WantedUsers { loads: self.conf.users() };
            self.manager.send(ONLY, &DirectorToManager::Wanted(wanted), links);
        }
    }

    // --- tickets held back ------------------------------------------------------------------

    fn curb(&mut self, links: &mut Links, change: impl FnOnce(&mut Curbs)) -> Outcome {
        self.only_before_the_end()?;
        Ok(self.change_curbs(links, change))
    }

    fn change_curbs(&mut self, links: &mut Links, change: impl FnOnce(&mut Curbs)) -> bool {
        let before = self.curbs.clone();
        change(&mut self.curbs);
        let is_new = self.curbs != before;
        if is_new {
            self.issuer.send(ONLY, &DirectorToIssuer::Curb(self.curbs.clone()), links);
        }
        is_new
    }

    /// Lets everything go on that people hold back, once the run has begun to end: tickets that
    /// wait are served, and nobody is asked to end who can't hear it.
    pub(super) fn lift_all(&mut self, now: Time, links: &mut Links) {
        for staff in [&mut self.issuer, &mut self.workers, &mut self.manager] {
            staff.thaw_all();
        }
        // What a user that stands still has not sent would come when nobody expects it any more.
        // Not only a person at the dashboard can have stopped it.
        for user in &self.results.population.processes {
            self.manager.send(ONLY, &DirectorToManager::Continue(user.number), links);
        }
        if self.change_curbs(links, |curbs| *curbs = Curbs::default()) {
            let (severity, who) = (Severity::Info, Source::Office);
            let text = "tickets are no longer held back: the run ends".to_owned();
            log::info!(target: "director", "{text}");
            self.album.tell(News { severity, who, label: "all go on".to_owned(), text }, now);
        }
    }

    // --- processes --------------------------------------------------------------------------

    fn kill(&mut self, process: ProcessId, now: Time, links: &mut Links) -> Outcome {
        if let Some((staff, slot)) = self.living(process)? {
            staff.fleet().handle(slot, Input::Kill, now);
        } else if let ProcessId::User(number) = process {
            self.manager.send(ONLY, &DirectorToManager::Kill(number), links);
        }
        Ok(true)
    }

    fn freeze(&mut self, process: ProcessId, until: Time, links: &mut Links) -> Outcome {
        self.only_before_the_end()?;
        if let Some((staff, slot)) = self.living(process)? {
            staff.freeze(slot, until);
        } else if let ProcessId::User(number) = process {
            let freeze = FreezeUser { number, until };
            self.manager.send(ONLY, &DirectorToManager::Freeze(freeze), links);
        }
        Ok(true)
    }

    /// Lets a process go on, whoever has stopped it.
    fn thaw(&mut self, process: ProcessId, links: &mut Links) -> Outcome {
        if let Some((staff, slot)) = self.living(process)? {
            staff.thaw(slot);
        } else if let ProcessId::User(number) = process {
            self.manager.send(ONLY, &DirectorToManager::Continue(number), links);
        }
        Ok(true)
    }

    /// Asks a process to end in order, after which its supervisor starts it again.
    fn restart(&mut self, process: ProcessId, now: Time, links: &mut Links) -> Outcome {
        self.only_before_the_end()?;
        let grace = match process {
            ProcessId::Worker(_) => limits::WORKERS_LEAVE_WITHIN,
            ProcessId::UsersManager => limits::USERS_LEAVE_WITHIN,
            _ => limits::ISSUER_LEAVE_WITHIN,
        };
        if let Some((staff, slot)) = self.wanted(process)? {
            if staff.view().child(slot).map(Child::phase) == Some(ChildPhase::Failed) {
                staff.fleet().retry_failed(now);
            } else {
                staff.fleet().restart(slot, grace, now);
            }
        } else if let ProcessId::User(number) = process {
            self.manager.send(ONLY, &DirectorToManager::Restart(number), links);
        }
        Ok(true)
    }

    /// Returns who supervises a living process, if the director itself does; user processes are
    /// their manager's.
    fn living(&mut self, process: ProcessId) -> Result<Option<(&mut Staff, u16)>, String> {
        let found = self.supervised(process)?;
        if let Some((staff, slot)) = &found
            && staff.view().child(*slot).and_then(|child| child.pid()).is_none()
        {
            return Err(format!("{process} does not run"));
        }
        Ok(found)
    }

    /// The same for a process that is wanted, whether it lives or not.
    fn wanted(&mut self, process: ProcessId) -> Result<Option<(&mut Staff, u16)>, String> {
        let found = self.supervised(process)?;
        if let Some((staff, slot)) = &found
            && !staff.view().wanted().contains(slot)
        {
            return Err(format!("{process} is not wanted"));
        }
        Ok(found)
    }

    fn supervised(&mut self, process: ProcessId) -> Result<Option<(&mut Staff, u16)>, String> {
        match process {
            ProcessId::Director => {
                Err("the director supervises others, not itself; to end it, end the run".to_owned())
            }
            ProcessId::Issuer => Ok(Some((&mut self.issuer, ONLY))),
            ProcessId::Worker(id) => Ok(Some((&mut self.workers, id.0))),
            ProcessId::UsersManager => Ok(Some((&mut self.manager, ONLY))),
            ProcessId::User(UserProcessId(number)) => {
                let mut processes = self.results.population.processes.iter();
                match processes.find(|process| process.number.0 == number) {
                    Some(process) if process.pid.is_some() => Ok(None),
                    _ => Err(format!("{process} does not run")),
                }
            }
        }
    }

    // --- what is so now ---------------------------------------------------------------------

    /// Returns what deviates from the ordinary.
    pub(super) fn settings(&self) -> Settings {
        let only = |staff: &Staff, process| staff.frozen().contains(ONLY).then_some(process);
        let workers = self.workers.frozen().slots().map(WorkerId);
        let users = self.results.population.processes.iter().filter(|process| process.is_frozen);
        let frozen = only(&self.issuer, ProcessId::Issuer)
            .into_iter()
            .chain(workers.map(ProcessId::Worker))
            .chain(only(&self.manager, ProcessId::UsersManager))
            .chain(users.map(|process| ProcessId::User(process.number)));
        Settings {
            is_on_strike: self.curbs.is_on_strike,
            blocked: self.curbs.blocked.iter().filter_map(|&id| self.service(id)).collect(),
            issuer_delay: self.curbs.delay,
            frozen: frozen.collect(),
            given_up: self.given_up(),
            tempo: self.conf.tempo().clone(),
            step_until: self.run.step_until().map(|at| self.run.timeline().office_time(at)),
        }
    }

    /// Returns the processes that are wanted and were given up.
    fn given_up(&self) -> Vec<ProcessId> {
        let of = |staff: &Staff, name: fn(u16) -> ProcessId| -> Vec<ProcessId> {
            let wanted = staff.view().wanted();
            let failed = staff.view().children().filter(|(slot, child)| {
                child.phase() == ChildPhase::Failed && wanted.contains(slot)
            });
            failed.map(|(slot, _)| name(slot)).collect()
        };
        let mut all = of(&self.issuer, |_| ProcessId::Issuer);
        all.extend(of(&self.workers, |slot| ProcessId::Worker(WorkerId(slot))));
        all.extend(of(&self.manager, |_| ProcessId::UsersManager));
        all
    }

    /// Returns how user processes are, as far as their manager has told.
    pub(super) fn user_lives(&self) -> Vec<news::UserLife> {
        let mut lives: Vec<_> = (self.results.population.processes.iter())
            .map(|process| news::UserLife {
                process: ProcessId::User(process.number),
                restarts: process.restarts,
                pid: process.pid,
                is_frozen: process.is_frozen,
                is_suspect: ChildPhase::from_code(process.state) == ChildPhase::Suspect,
                note: process.note.clone(),
            })
            .collect();
        lives.sort_by_key(|life| life.process);
        lives
    }
}

/// Returns an action within its bounds, whoever has asked.
fn bounded(action: Action) -> Action {
    let least = limits::ACT_SPAN_MIN;
    match action {
        Action::SetUsers(users) => Action::SetUsers(users.min(limits::USERS_MAX)),
        Action::SetWorkers(workers) => Action::SetWorkers(workers.clamp(1, limits::WORKERS_MAX)),
        Action::SlowIssuer(delay) => Action::SlowIssuer(delay.min(limits::ISSUER_DELAY_MAX)),
        Action::Freeze(process, span) => {
            Action::Freeze(process, span.clamp(least, limits::FREEZE_MAX))
        }
        Action::Step(span) => Action::Step(span.clamp(least, limits::STEP_MAX)),
        action => action,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_ask_for_more_than_the_bounds_allow() {
        let hour = Duration::from_secs(3600);
        let check = |asked, wanted| assert_eq!(bounded(asked), wanted);
        check(Action::SetWorkers(0), Action::SetWorkers(1));
        check(Action::SetUsers(u32::MAX), Action::SetUsers(limits::USERS_MAX));
        check(Action::SlowIssuer(hour), Action::SlowIssuer(limits::ISSUER_DELAY_MAX));
        check(Action::SlowIssuer(Duration::ZERO), Action::SlowIssuer(Duration::ZERO));
        check(
            Action::Freeze(ProcessId::Issuer, hour),
            Action::Freeze(ProcessId::Issuer, limits::FREEZE_MAX),
        );
        check(Action::Step(hour), Action::Step(limits::STEP_MAX));
        check(Action::Step(Duration::ZERO), Action::Step(limits::ACT_SPAN_MIN));
    }
}
