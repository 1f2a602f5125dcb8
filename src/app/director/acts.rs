//! What people ask for, carried out in a running office.

use engine::clock::Time;
use engine::ids::UserProcessId;
use engine::limits;
use engine::net::message::{DirectorToManager, WantedUsers};
use engine::roles::links::Links;
use engine::supervisor::child::Input;

use super::{Director, ONLY};
use crate::app::action::{Action, ProcessId};
use crate::app::events::News;
use crate::app::staffing::spread_users;
use crate::app::state::{Ending, Severity, Source};
use crate::app::update::Event;

impl Director {
    pub(super) fn take_actions(&mut self, now: Time, links: &mut Links) {
        while let Some((who, action)) = self.desk.next_action() {
            log::info!(target: "director", "{action} by {who}");
            match action {
                Action::Pause => self.run.handle(Event::Pause, now),
                Action::Resume => self.run.handle(Event::Resume, now),
                Action::SetUsers(users) => self.set_users(users, links),
                Action::SetWorkers(workers) => self.set_workers(workers, now),
                Action::Kill(process) => self.kill(process, now, links),
                Action::Drain => self.run.handle(Event::Drain(Ending::Completed), now),
                Action::StopNow => self.run.handle(Event::StopNow(Ending::Completed), now),
                Action::Step(span) => self.run.handle(Event::Step(span), now),
                _ => {
                    let (severity, label) = (Severity::Warning, "not done".to_owned());
                    let text = format!("{action}: not possible yet");
                    self.warn(News { severity, who, label, text }, now);
                }
            }
            self.publish_at = now;
        }
    }

    /// Spreads a population over the loads that people think of as users.
    fn set_users(&mut self, users: u32, links: &mut Links) {
        let most = limits::USERS_MAX;
        let scenario = &self.orders.scenario;
        self.wanted_users = spread_users(scenario, &self.wanted_users, users.min(most));
        self.send_wanted(links);
    }

    pub(super) fn send_wanted(&mut self, links: &mut Links) {
        if self.has_started_users && !self.run.is_ending() {
            let wanted = WantedUsers { loads: self.wanted_users.clone() };
            self.manager.send(ONLY, &DirectorToManager::Wanted(wanted), links);
        }
    }

    fn set_workers(&mut self, workers: u16, now: Time) {
        self.wanted_workers = workers.clamp(1, limits::WORKERS_MAX);
        if !self.run.is_ending() {
            let grace = limits::WORKERS_LEAVE_WITHIN;
            self.workers.fleet().set_wanted(self.wanted_workers, grace, now);
        }
    }

    fn kill(&mut self, process: ProcessId, now: Time, links: &mut Links) {
        match process {
            ProcessId::Issuer => self.issuer.fleet().handle(ONLY, Input::Kill, now),
            ProcessId::Worker(id) => self.workers.fleet().handle(id.0, Input::Kill, now),
            ProcessId::UsersManager => self.manager.fleet().handle(ONLY, Input::Kill, now),
            ProcessId::User(UserProcessId(number)) => {
                let kill = DirectorToManager::Kill(UserProcessId(number));
                self.manager.send(ONLY, &kill, links);
            }
            ProcessId::Director => {
                let (severity, who) = (Severity::Warning, Source::Office);
                let text = "the director does not kill itself".to_owned();
                self.warn(News { severity, who, label: "not done".to_owned(), text }, now);
            }
        }
    }
}
