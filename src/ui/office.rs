//! What people do to the office: questions before processes are touched, menus of what can be
//! done, settings that can be taken back. Pure, like `update`, of which it is a part.

use engine::config::Assignment;
use engine::config::scenario::FsyncPolicy;
use engine::ids::ServiceId;

use super::ask::Ask;
use super::model::{Choice, Effect, Menu, Overlay, Question, Sight, UiState, Undo};
use super::registry::Command;
use super::time;
use crate::app::action::{self, Action, ProcessId, ReloadMode};
use crate::app::format;
use crate::app::state::{AppState, Phase, Severity};

impl UiState {
    /// Carries out a command that acts on the office, which can be carried out.
    pub(super) fn act_on_office(
        &mut self,
        command: Command,
        argument: Option<&str>,
        sight: Sight<'_>,
    ) -> Vec<Effect> {
        match command {
            Command::PauseResume => {
                let goes_on = match time::replay(sight.live) {
                    Some(replay) => replay.is_playing,
                    None => sight.live.phase != Phase::Paused,
                };
                vec![Effect::Submit(if goes_on { Action::Pause } else { Action::Resume })]
            }
            Command::DrainUsers => self.answer("0", &Ask::Users, sight),
            Command::Signals => self.menu(signals(&self.acted_on(sight), sight.live)),
            Command::Chaos => self.menu(chaos(sight.live)),
            Command::Kill => self.confirm(kill_question(&self.acted_on(sight))),
            Command::Restart => self.confirm(restart_question(&self.acted_on(sight))),
            Command::Continue => {
                let processes = self.acted_on(sight).into_iter();
                let still = processes.filter(|id| sight.live.settings.frozen.contains(id));
                still.map(|id| Effect::Submit(Action::Continue(id))).collect()
            }
            Command::Strike => {
                let (strike, end) = (Action::Strike, Action::EndStrike);
                self.switch(sight.live.settings.is_on_strike, strike, end)
            }
            Command::Block => self.block(argument, sight),
            Command::Fsync => match argument {
                Some(policy) => {
                    self.answer(policy, &Ask::Value("storage".into(), "fsync".into()), sight)
                }
                None => self.menu(fsync_policies(sight.live)),
            },
            Command::Rate => self.rate(argument, sight),
            Command::SetKey => self.set_key(argument, sight),
            Command::Reload => self.reload(sight.live),
            Command::Undo => self.undo(),
            _ => Vec::new(),
        }
    }

    /// Returns the marked processes or the selected one, without the director.
    pub(super) fn acted_on(&self, sight: Sight<'_>) -> Vec<ProcessId> {
        let processes = self.processes(sight.shown).into_iter();
        processes.filter(|id| *id != ProcessId::Director).collect()
    }

    /// Takes the last setting back.
    fn undo(&mut self) -> Vec<Effect> {
        let effect = match self.undos.pop() {
            None => return Vec::new(),
            Some(Undo::Sort(panel, before)) => {
                self.arrangement_mut(panel).sort = before;
                return Vec::new();
            }
            Some(Undo::Do(effect)) => effect,
        };
        if let Effect::Submit(Action::Set { changes, ask }) = &effect {
            let keys: Vec<String> = changes.iter().map(Assignment::to_string).collect();
            self.await_answer(*ask, keys.join(", "));
        }
        vec![effect]
    }

    fn menu(&mut self, menu: Menu) -> Vec<Effect> {
        self.overlay = Some(Overlay::Menu(menu));
        Vec::new()
    }

    /// Switches something on, or off if it is on.
    fn switch(&mut self, is_on: bool, on: Action, off: Action) -> Vec<Effect> {
        let (action, back) = if is_on { (off, on) } else { (on, off) };
        self.push_undo(Undo::Do(Effect::Submit(back)));
        vec![Effect::Submit(action)]
    }

    /// Blocks or unblocks the service that is named, or offers the services.
    fn block(&mut self, argument: Option<&str>, sight: Sight<'_>) -> Vec<Effect> {
        let Some(name) = argument else { return self.menu(services(sight.live)) };
        let found = sight.live.services.iter().position(|service| service.name == name);
        let Some(id) = found.and_then(|at| u8::try_from(at).ok()).map(ServiceId) else {
            let names: Vec<&str> = sight.live.services.iter().map(|row| &*row.name).collect();
            let text = format!("no service is called {name:?}; there are {}", names.join(", "));
            self.say(Severity::Warning, text, sight.now);
            return Vec::new();
        };
        let is_blocked = sight.live.settings.blocked.iter().any(|blocked| blocked == name);
        self.switch(is_blocked, Action::Block(id), Action::Unblock(id))
    }

    /// Asks for the rate of the load that is named, takes it if it stands behind the name, or
    /// offers the loads that have one.
    fn rate(&mut self, argument: Option<&str>, sight: Sight<'_>) -> Vec<Effect> {
        let rates = &sight.live.settings.tempo.rates;
        let (name, rate) = match argument {
            Some(text) => text.split_once(' ').map_or((text, None), |(a, b)| (a, Some(b))),
            None if rates.len() == 1 => (rates[0].name.as_str(), None),
            None => return self.menu(loads(sight.live)),
        };
        match (rates.iter().position(|rate| rate.name == name), rate) {
            (Some(at), Some(text)) => return self.answer(text, &Ask::Rate(at), sight),
            (Some(at), None) => self.prompt(Ask::Rate(at), sight),
            (None, _) => {
                let names: Vec<&str> = rates.iter().map(|rate| &*rate.name).collect();
                let text =
                    format!("no open load is called {name:?}; there are {}", names.join(", "));
                self.say(Severity::Warning, text, sight.now);
            }
        }
        Vec::new()
    }

    /// Changes the key that is named, or asks for the value of that one or the selected one.
    fn set_key(&mut self, argument: Option<&str>, sight: Sight<'_>) -> Vec<Effect> {
        let found = match argument {
            None => {
                self.selected_key(sight.shown).ok_or("select a key on screen 8 first".to_owned())
            }
            Some(text) if !text.contains('=') => {
                let parts = text.rsplit_once('.');
                parts.map(|(section, key)| (section.to_owned(), key.to_owned())).ok_or_else(|| {
                    format!("expected a key such as office.room, or office.room=500, not {text:?}")
                })
            }
            Some(text) => match Assignment::read(text) {
                Ok(Assignment { section, key, value }) => {
                    let ask = Ask::Value(section, key);
                    return self.answer(value.as_deref().unwrap_or_default(), &ask, sight);
                }
                Err(error) => Err(error),
            },
        };
        let asked = found.map(|(section, key)| Ask::Value(section, key));
        match asked.and_then(|ask| ask.refusal(sight.live).map_or(Ok(ask), Err)) {
            Ok(ask) => self.prompt(ask, sight),
            Err(reason) => self.say(Severity::Warning, reason, sight.now),
        }
        Vec::new()
    }

    /// Shows what was read again and waits for a yes, or has the scenario read again.
    fn reload(&mut self, live: &AppState) -> Vec<Effect> {
        if live.reload.is_some() {
            self.show_plan(live);
            return Vec::new();
        }
        let ask = action::Ask::next();
        self.await_answer(ask, "reload");
        vec![Effect::Submit(Action::Reload { mode: ReloadMode::Propose, ask })]
    }
}

/// Says why nothing will happen, if all is as an action wants it; what does happen is told by the
/// office itself.
pub(super) fn nothing_to_do(action: &Action, live: &AppState) -> Option<String> {
    let tempo = &live.settings.tempo;
    match action {
        Action::SetUsers(users) if live.users.target == Some(*users) => {
            Some(format!("{} are wanted already", format::counted(u64::from(*users), "user")))
        }
        Action::SetWorkers(workers) if live.workers.target == Some(u32::from(*workers)) => {
            Some(format!("{} are wanted already", format::counted(u64::from(*workers), "worker")))
        }
        Action::SetSpeed(speed) if tempo.speed.total_cmp(speed).is_eq() => {
            Some(format!("users live {speed} times as fast already"))
        }
        Action::SlowIssuer(delay) if live.settings.issuer_delay == *delay => {
            Some(format!("the issuer is {} late already", format::duration(*delay)))
        }
        Action::SetRate { load, per_second } => {
            let rate = tempo.rates.iter().find(|rate| rate.load == *load)?;
            let is_same = rate.wanted.total_cmp(per_second).is_eq();
            is_same.then(|| format!("{} sends {per_second}/s already", rate.name))
        }
        _ => None,
    }
}

fn names(processes: &[ProcessId]) -> String {
    let names: Vec<String> = processes.iter().map(ProcessId::to_string).collect();
    names.join(", ")
}

fn kill_question(processes: &[ProcessId]) -> Question {
    let effects = processes.iter().map(|id| Effect::Submit(Action::Kill(*id))).collect();
    let (title, text) = match processes {
        [one] => (format!("Kill {one}?"), kill_effect(*one).to_owned()),
        several => (format!("Kill {} processes?", several.len()), names(several)),
    };
    Question { title, text, effects }
}

fn kill_effect(process: ProcessId) -> &'static str {
    match process {
        ProcessId::Director => "the director does not kill itself",
        ProcessId::Issuer => "users and workers wait until a new one has read the log",
        ProcessId::Worker(_) => "its tickets are handed out again; a new one takes its place",
        ProcessId::UsersManager => "all users end with it and come back with a new one",
        ProcessId::User(_) => "its users come back in a new process",
    }
}

fn restart_question(processes: &[ProcessId]) -> Question {
    let effects = processes.iter().map(|id| Effect::Submit(Action::Restart(*id))).collect();
    let text = "each ends in order, finishes what it holds, and is started again; one that was \
                given up is tried again";
    let (title, text) = match processes {
        [one] => (format!("Restart {one}?"), text.to_owned()),
        several => {
            (format!("Restart {} processes?", several.len()), format!("{}: {text}", names(several)))
        }
    };
    Question { title, text, effects }
}

fn choice(key: char, label: &str, note: impl Into<String>, command: Command) -> Choice {
    let (label, note, argument) = (label.to_owned(), note.into(), String::new());
    Choice { key, label, note, command, argument }
}

/// Returns what can be done to processes.
fn signals(processes: &[ProcessId], live: &AppState) -> Menu {
    let title = match processes {
        [one] => format!("What about {one}?"),
        several => format!("What about {} processes?", several.len()),
    };
    let is_still = processes.iter().any(|id| live.settings.frozen.contains(id));
    let mut choices = vec![
        choice('K', "kill", "SIGKILL; its supervisor replaces it", Command::Kill),
        choice('r', "restart", "ends in order, then starts again", Command::Restart),
        choice('s', "stand still", "SIGSTOP for a time", Command::Halt),
    ];
    if is_still {
        choices.push(choice('c', "continue", "SIGCONT", Command::Continue));
    }
    Menu { title, choices, selected: 0 }
}

/// Returns what can go wrong on purpose, and what of it does already.
fn chaos(live: &AppState) -> Menu {
    let settings = &live.settings;
    let strike = if settings.is_on_strike {
        choice('X', "end the strike", "workers take tickets again", Command::Strike)
    } else {
        choice('X', "strike", "workers take no more tickets", Command::Strike)
    };
    let slow = match settings.issuer_delay {
        delay if delay.is_zero() => "each round of handing out comes late".to_owned(),
        delay => format!("{} now", format::duration(delay)),
    };
    let blocked = match settings.blocked.as_slice() {
        [] => "its tickets are not handed out".to_owned(),
        blocked => format!("blocked now: {}", blocked.join(", ")),
    };
    let choices = vec![
        choice('K', "kill", "the selected or marked processes", Command::Kill),
        choice('s', "stand still", "the selected or marked processes, for a time", Command::Halt),
        choice('r', "restart", "the selected or marked processes", Command::Restart),
        strike,
        choice('b', "block a service", blocked, Command::Block),
        choice('i', "slow the issuer", slow, Command::SlowIssuer),
        choice('u', "surge", "more users at once", Command::Users),
        choice('P', "speed", "users live faster or slower", Command::Speed),
        choice('d', "arrivals", "the rate of an open load", Command::Rate),
        choice('F', "fsync policy", live.run.fsync.clone(), Command::Fsync),
    ];
    Menu { title: "What should go wrong?".to_owned(), choices, selected: 0 }
}

/// Returns the services, and which of them are blocked.
fn services(live: &AppState) -> Menu {
    let letters = ('a'..='z').chain('A'..='Z').filter(|char| !matches!(char, 'j' | 'k' | 'q'));
    let choice = |(service, key): (&crate::app::state::ServiceRow, char)| {
        let is_blocked = live.settings.blocked.contains(&service.name);
        let waiting = format::count(service.waiting);
        let note = if is_blocked { "blocked now; hands out again" } else { "hands out no more" };
        Choice {
            key,
            label: service.name.clone(),
            note: format!("{note}  ({waiting} waiting)"),
            command: Command::Block,
            argument: service.name.clone(),
        }
    };
    let choices = live.services.iter().zip(letters).map(choice).collect();
    Menu { title: "Block or unblock which service?".to_owned(), choices, selected: 0 }
}

/// Returns the loads that have a rate.
fn loads(live: &AppState) -> Menu {
    let letters = ('a'..='z').filter(|char| !matches!(char, 'j' | 'k' | 'q'));
    let rates = live.settings.tempo.rates.iter().zip(letters);
    let choice = |(rate, key): (&crate::app::tempo::LoadRate, char)| Choice {
        key,
        label: rate.name.clone(),
        note: format!("{}/s wanted, {}/s at the start", rate.wanted, rate.base),
        command: Command::Rate,
        argument: rate.name.clone(),
    };
    Menu {
        title: "The rate of which load?".to_owned(),
        choices: rates.map(choice).collect(),
        selected: 0,
    }
}

/// Returns the policies that people compare, each with what a power loss takes.
fn fsync_policies(live: &AppState) -> Menu {
    use std::time::Duration;
    let policies = [
        ('n', "none", FsyncPolicy::None),
        ('b', "each_batch", FsyncPolicy::EachBatch),
        ('i', "interval 50ms", FsyncPolicy::Interval(Duration::from_millis(50))),
        ('l', "interval 1s", FsyncPolicy::Interval(Duration::from_secs(1))),
        ('e', "every 1000", FsyncPolicy::Every(1_000)),
    ];
    let selected = policies.iter().position(|(_, label, _)| *label == live.run.fsync).unwrap_or(0);
    let choice = |(key, label, policy): (char, &str, FsyncPolicy)| {
        let now = if label == live.run.fsync { " (now)" } else { "" };
        Choice {
            key,
            label: label.to_owned(),
            note: format!("a power loss takes {}{now}", policy.power_loss_takes()),
            command: Command::Fsync,
            argument: label.to_owned(),
        }
    };
    let mut choices: Vec<Choice> = policies.into_iter().map(choice).collect();
    choices.push(Choice {
        key: 'o',
        label: "another".to_owned(),
        note: "every N records, interval TIME".to_owned(),
        command: Command::SetKey,
        argument: "storage.fsync".to_owned(),
    });
    Menu { title: "When is the log synced?".to_owned(), choices, selected }
}
