//! Why a command can't be carried out now: for keys, the key bar, help, palette and menus alike.

use super::model::UiState;
use super::past::Frozen;
use super::registry::{Command, Risk, entry_of};
use super::time;
use crate::app::action::ProcessId;
use crate::app::handle::Access;
use crate::app::state::{AppState, Phase};

impl UiState {
    /// Returns why a command can't be carried out now, if it can't.
    pub(crate) fn disabled_reason(
        &self,
        command: Command,
        live: &AppState,
        shown: &AppState,
    ) -> Option<&'static str> {
        // Who only looks on may still leave, which ends nothing but the dashboard.
        let is_leaving = matches!(command, Command::Quit | Command::QuitNow);
        let is_act = entry_of(command).risk != Risk::Look && !is_leaving;
        let is_of_replay = matches!(
            command,
            Command::PauseResume | Command::Step | Command::Speed | Command::Undo
        );
        match self.access {
            Access::ReadOnly if is_act => return Some("this dashboard only looks on"),
            Access::Replay if is_of_replay => return None,
            Access::Replay if is_act => return Some("what is over can't be changed"),
            _ => {}
        }
        let phase = &live.phase;
        let is_ending = matches!(phase, Phase::Draining { .. } | Phase::Stopped(_));
        let is_open = matches!(phase, Phase::Running | Phase::Paused);
        match command {
            Command::PauseResume if !is_open => Some("the doors are not open"),
            Command::Step if *phase != Phase::Paused => {
                Some("only a paused office steps; p pauses")
            }
            Command::Users
            | Command::DrainUsers
            | Command::Workers
            | Command::Signals
            | Command::Chaos
            | Command::Kill
            | Command::Restart
            | Command::Halt
            | Command::Continue
            | Command::Strike
            | Command::Block
            | Command::SlowIssuer
            | Command::Speed
            | Command::Rate
            | Command::Fsync
            | Command::SetKey
            | Command::Reload
                if is_ending =>
            {
                Some("the run is ending")
            }
            Command::Signals | Command::Kill | Command::Restart | Command::Halt => {
                self.process_reason(command, live, shown)
            }
            Command::Continue => {
                let is_still = |id: &ProcessId| live.settings.frozen.contains(id);
                let stands = self.processes(shown).iter().any(is_still);
                (!stands).then_some("the selected process does not stand still")
            }
            Command::Rate if live.settings.tempo.rates.is_empty() => {
                Some("no load is open: users of closed loads come at their own pace")
            }
            Command::NextRun | Command::PreviousRun => match time::replay(live) {
                None => Some("only a replay has other runs"),
                Some(replay) if command == Command::NextRun && replay.number >= replay.runs => {
                    Some("this is the last run of the log")
                }
                Some(replay) if command == Command::PreviousRun && replay.number <= 1 => {
                    Some("this is the first run of the log")
                }
                Some(_) => None,
            },
            Command::Block if live.services.is_empty() => Some("no service is known yet"),
            Command::Fsync | Command::SetKey | Command::SaveConf if live.conf.is_empty() => {
                Some("the configuration is not known yet")
            }
            Command::FindTicket if self.is_searching => Some("the log is being searched"),
            Command::ScrubForward | Command::LeapForward | Command::EventForward
                if time::replay(live).is_none()
                    && self.frozen.as_ref().is_none_or(Frozen::is_newest) =>
            {
                Some("there is nothing newer; End follows the run")
            }
            Command::Pin if shown.latencies.is_empty() => Some("no latency is known yet"),
            Command::Unpin if self.pinned.is_none() => Some("nothing is pinned"),
            Command::Undo if self.undos.is_empty() => Some("no setting was changed from here"),
            _ => None,
        }
    }

    /// Says why nothing can be done to the marked processes.
    fn process_reason(
        &self,
        command: Command,
        live: &AppState,
        shown: &AppState,
    ) -> Option<&'static str> {
        let marked = self.processes(shown);
        if marked == [ProcessId::Director] {
            return Some("the director is this program; q ends the run");
        }
        let is_alive = |id: &ProcessId| {
            let found = live.processes.iter().find(|row| row.id == *id);
            found.is_some_and(|row| row.pid.is_some() || command == Command::Restart)
        };
        (!marked.iter().any(is_alive)).then_some("no living process is selected")
    }
}
