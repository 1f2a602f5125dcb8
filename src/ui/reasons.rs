//! Why a command can't be carried out now, and what it does where it does something else than
//! usual: for keys, the key bar, help, palette and menus alike.

use super::model::{UiState, WINDOWS};
use super::past::Frozen;
use super::registry::{Command, Entry, Risk, entry_of};
use super::time;
use crate::app::action::ProcessId;
use crate::app::handle::Access;
use crate::app::state::{AppState, Attached, Happening, Phase, Severity, View};

/// Returns what a command does in an office that is looked at from there.
pub(crate) fn doc(entry: &Entry, view: &View) -> &'static str {
    match (entry.command, view) {
        (Command::Quit, View::Attached(_)) => "Close this dashboard; the office goes on",
        (Command::Quit, View::Replay(_)) => "Close the replay",
        (Command::QuitNow, View::Attached(_)) => "End the office itself, at once",
        (Command::PauseResume | Command::Freeze, View::Replay(_)) => {
            "Let the replay play, or stand still"
        }
        (Command::Speed, View::Replay(_)) => "How many times as fast the replay plays",
        (Command::Interrupt, View::Attached(_) | View::Replay(_)) => "Like q",
        _ => entry.doc,
    }
}

/// Says why a command has no place in the state of a run.
fn phase_reason(command: Command, phase: &Phase) -> Option<&'static str> {
    let is_ending = matches!(phase, Phase::Draining { .. } | Phase::Stopped(_));
    match command {
        Command::PauseResume if !matches!(phase, Phase::Running | Phase::Paused) => {
            Some("the doors are not open")
        }
        Command::Range if matches!(phase, Phase::Starting | Phase::Recovering(_)) => {
            Some("nothing was measured yet")
        }
        Command::Step if *phase != Phase::Paused => Some("only a paused office steps; p pauses"),
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
        _ => None,
    }
}

impl UiState {
    /// Returns why a command can't be carried out now, if it can't.
    pub(crate) fn disabled_reason(
        &self,
        command: Command,
        live: &AppState,
        shown: &AppState,
    ) -> Option<&'static str> {
        let plays = [Command::PauseResume, Command::Step, Command::Speed, Command::Undo];
        if self.access == Access::Replay && plays.contains(&command) {
            return None;
        }
        self.access_reason(command, live)
            .or_else(|| phase_reason(command, &live.phase))
            .or_else(|| self.office_reason(command, live, shown))
            .or_else(|| self.time_reason(command, live, shown))
            .or_else(|| self.nothing_to_see(command, live))
    }

    /// Says why a command may not be asked for from here.
    fn access_reason(&self, command: Command, live: &AppState) -> Option<&'static str> {
        let is_own = live.view == View::Live;
        // Who only looks on may still leave: the dashboard, or the office that is its own.
        let is_leaving = command == Command::Quit || command == Command::QuitNow && is_own;
        if entry_of(command).risk == Risk::Look || is_leaving {
            return None;
        }
        if let View::Attached(Attached { lost: Some(_), .. }) = live.view {
            return Some("nobody is there any more");
        }
        match self.access {
            Access::Full | Access::Control => None,
            Access::ReadOnly => Some("this dashboard only looks; see --control"),
            Access::Watch => Some("this dashboard was started with --read-only"),
            Access::Replay => Some("what is over can't be changed"),
        }
    }

    /// Says why there is nothing in the office that a command could act on.
    fn office_reason(
        &self,
        command: Command,
        live: &AppState,
        shown: &AppState,
    ) -> Option<&'static str> {
        match command {
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
            Command::Block if live.services.is_empty() => Some("no service is known yet"),
            Command::Fsync | Command::SetKey | Command::SaveConf if live.conf.is_empty() => {
                Some("the configuration is not known yet")
            }
            Command::FindTicket if self.is_searching => Some("the log is being searched"),
            Command::Undo if self.undos.is_empty() => Some("no setting was changed from here"),
            _ => None,
        }
    }

    /// Says why a command leads to no other moment.
    fn time_reason(
        &self,
        command: Command,
        live: &AppState,
        shown: &AppState,
    ) -> Option<&'static str> {
        let replay = time::replay(live);
        let is_newest = || self.frozen.as_ref().is_none_or(Frozen::is_newest);
        match (command, replay) {
            (Command::NextRun | Command::PreviousRun, None) => Some("only a replay has other runs"),
            (Command::NextRun, Some(replay)) if replay.number >= replay.runs => {
                Some("this is the last run of the log")
            }
            (Command::PreviousRun, Some(replay)) if replay.number <= 1 => {
                Some("this is the first run of the log")
            }
            (Command::ScrubForward | Command::LeapForward | Command::EventForward, None)
                if is_newest() =>
            {
                Some("there is nothing newer; End follows the run")
            }
            (Command::Live, None) if self.frozen.is_none() => Some("this is the present"),
            (Command::Pin, _) if shown.latencies.is_empty() => Some("no latency is known yet"),
            (Command::Unpin, _) if self.pinned.is_none() => Some("nothing is pinned"),
            _ => None,
        }
    }

    /// Says why a command that changes what is shown would change nothing.
    fn nothing_to_see(&self, command: Command, live: &AppState) -> Option<&'static str> {
        let fresh =
            |event: &Happening| event.severity > Severity::Info && event.wall > self.acknowledged;
        match command {
            Command::WindowShorter if self.window == 0 => Some("charts cover no less"),
            Command::WindowLonger if self.window + 1 == WINDOWS.len() => {
                Some("charts cover no more")
            }
            Command::Zoom if !self.is_zoomed() => {
                let areas = self.areas(false);
                let is_alone = areas.panels.len() <= 1 && areas.lines.is_empty();
                is_alone.then_some("the panel has the whole screen already")
            }
            Command::Acknowledge if !live.events.iter().any(fresh) => {
                Some("no alert is to be taken note of")
            }
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
