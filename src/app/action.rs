//! Everything that a person or a scenario may ask of a running office.
//!
//! What concerns only the screen (help, focus, zoom) is the dashboard's own affair and not here.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::clock::Time;
use engine::config::Assignment;
use engine::ids::{LoadId, ServiceId, UserProcessId, WorkerId};
use serde::{Deserialize, Serialize};

use super::{format, serial};

/// One request to the director.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Action {
    /// Freezes arrivals and dispatch.
    Pause,
    /// Lets arrivals and dispatch go on, without a burst.
    Resume,
    /// Changes how many users there are, spread over the closed loads (over all loads if none
    /// is closed).
    SetUsers(u32),
    /// Changes how many workers there are; each keeps its seats.
    SetWorkers(u16),
    /// Lets users live so many times as fast as the scenario says, from
    /// [`engine::limits::SPEED_MIN`] to [`engine::limits::SPEED_MAX`]: arrivals of open loads and
    /// think times of closed ones. Service is real work and keeps its time.
    SetSpeed(f64),
    /// Changes the rate of an open load.
    SetRate {
        /// Which load.
        load: LoadId,
        /// Requests per second, at speed one.
        per_second: f64,
    },
    /// Kills a process with SIGKILL; its supervisor replaces it.
    Kill(ProcessId),
    /// Changes keys of the scenario, all of them or none.
    Set {
        /// What is to be what.
        changes: Vec<Assignment>,
        /// Where to look for what became of it: [`AppState::answers`](super::state::AppState).
        ask: Ask,
    },
    /// Reads the scenario again.
    Reload {
        /// What to do with what was read.
        mode: ReloadMode,
        /// Where to look for what became of it.
        ask: Ask,
    },
    /// Applies what [`ReloadMode::Propose`] has read.
    ApplyReload {
        /// Where to look for what became of it.
        ask: Ask,
    },
    /// Forgets what [`ReloadMode::Propose`] has read.
    DropReload,
    /// Workers take no more tickets; they finish what they hold.
    Strike,
    /// Workers take tickets again.
    EndStrike,
    /// Tickets of a service are not handed out; others are.
    Block(ServiceId),
    /// They are handed out again.
    Unblock(ServiceId),
    /// Each round of handing out tickets comes this much late, at most
    /// [`engine::limits::ISSUER_DELAY_MAX`]; zero is the ordinary.
    SlowIssuer(Duration),
    /// A process stands still (SIGSTOP) for a span, at most [`engine::limits::FREEZE_MAX`]; one that is
    /// silent for [`engine::limits::HUNG_AFTER`] is replaced.
    Freeze(ProcessId, Duration),
    /// A process that stands still goes on (SIGCONT).
    Continue(ProcessId),
    /// A process ends in order and is started again; one that was given up is tried again.
    Restart(ProcessId),
    /// In a pause, office time goes on for exactly this long, at most [`engine::limits::STEP_MAX`].
    Step(Duration),
    /// Lines of the log down to this level are there for whoever attaches; what is shown here stays
    /// as it is.
    LogLevel(#[serde(with = "serial::level")] log::Level),
    /// Looks at another moment of a replay.
    Travel(Travel),
    /// Ends the run: arrivals stop, open tickets are served, then everything stops in order.
    Drain,
    /// Ends the run at once; open tickets stay in the log.
    StopNow,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause => f.write_str("pause"),
            Self::Resume => f.write_str("resume"),
            Self::SetUsers(users) => write!(f, "users={users}"),
            Self::SetWorkers(workers) => write!(f, "workers={workers}"),
            Self::SetSpeed(speed) => write!(f, "speed={speed}"),
            Self::SetRate { load, per_second } => write!(f, "rate={per_second}/s of {load}"),
            Self::Kill(process) => write!(f, "kill {process}"),
            Self::Set { changes, .. } => {
                f.write_str("set")?;
                changes.iter().try_for_each(|change| write!(f, " {change}"))
            }
            Self::Reload { mode: ReloadMode::DryRun, .. } => f.write_str("reload (dry run)"),
            Self::Reload { .. } => f.write_str("reload"),
            Self::ApplyReload { .. } => f.write_str("apply the reload"),
            Self::DropReload => f.write_str("drop the reload"),
            Self::Strike => f.write_str("strike"),
            Self::EndStrike => f.write_str("end of the strike"),
            Self::Block(service) => write!(f, "block {service}"),
            Self::Unblock(service) => write!(f, "unblock {service}"),
            Self::SlowIssuer(Duration::ZERO) => f.write_str("issuer at its usual speed"),
            Self::SlowIssuer(delay) => write!(f, "issuer {} slow", format::duration(*delay)),
            Self::Freeze(process, span) => {
                write!(f, "freeze {process} for {}", format::duration(*span))
            }
            Self::Continue(process) => write!(f, "continue {process}"),
            Self::Restart(process) => write!(f, "restart {process}"),
            Self::Step(span) => write!(f, "step {}", format::duration(*span)),
            Self::LogLevel(level) => write!(f, "log lines down to {level}"),
            Self::Travel(travel) => travel.fmt(f),
            Self::Drain => f.write_str("drain and quit"),
            Self::StopNow => f.write_str("quit at once"),
        }
    }
}

/// What to do with a scenario that was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReloadMode {
    /// Show the difference ([`AppState::reload`](super::state::AppState)) and wait for
    /// [`Action::ApplyReload`] or [`Action::DropReload`].
    Propose,
    /// Apply it.
    Apply,
    /// Only tell the difference.
    DryRun,
}

/// Where in time to look, in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Travel {
    /// At a moment of the run.
    To(Time),
    /// Further on.
    Forward(Duration),
    /// Further back.
    Back(Duration),
    /// At the next thing that happened.
    NextEvent,
    /// At the one before.
    PreviousEvent,
    /// At the end; in a log that somebody writes, it is followed.
    Live,
    /// At the pace of the run times so many thousandths, at most [`SPEED_MAX`].
    Speed(u32),
    /// At the next run that the data directory holds.
    NextRun,
    /// At the run before.
    PreviousRun,
}

/// A replay goes at most this many times as fast as the run, in thousandths.
pub(crate) const SPEED_MAX: u32 = 1_000_000;

impl fmt::Display for Travel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(_) => f.write_str("another moment"),
            Self::Forward(span) => write!(f, "{} on", format::duration(*span)),
            Self::Back(span) => write!(f, "{} back", format::duration(*span)),
            Self::NextEvent => f.write_str("the next event"),
            Self::PreviousEvent => f.write_str("the event before"),
            Self::Live => f.write_str("the end"),
            Self::Speed(milli) => write!(f, "speed {}", format::speed(*milli)),
            Self::NextRun => f.write_str("the next run"),
            Self::PreviousRun => f.write_str("the run before"),
        }
    }
}

/// The number of a wish whose outcome somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Ask(u64);

impl Ask {
    /// Returns a number that no other wish has, not even one of an attached dashboard.
    pub(crate) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let process = u64::from(std::process::id()) << 32;
        Self(process | (LAST.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX)))
    }
}

/// One process of the office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum ProcessId {
    /// The director, which is also the dashboard or the headless program.
    Director,
    /// The ticket issuer.
    Issuer,
    /// One worker.
    Worker(WorkerId),
    /// The users manager.
    UsersManager,
    /// One user process.
    User(UserProcessId),
}

impl ProcessId {
    /// Returns the role's name as `ps` shows it.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Director => "director",
            Self::Issuer => "issuer",
            Self::Worker(_) => "worker",
            Self::UsersManager => "users-manager",
            Self::User(_) => "user",
        }
    }

    /// Returns the number that tells processes of one role apart, if there can be several.
    pub(crate) fn number(self) -> Option<u16> {
        match self {
            Self::Worker(id) => Some(id.0),
            Self::User(id) => Some(id.0),
            Self::Director | Self::Issuer | Self::UsersManager => None,
        }
    }
}

/// Words that name no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoProcess;

impl FromStr for ProcessId {
    type Err = NoProcess;

    /// Reads what [`fmt::Display`] writes, and what is easier to type in a shell: `worker-3`,
    /// `worker:3`, `worker3`, `manager`.
    fn from_str(text: &str) -> Result<Self, NoProcess> {
        let text = text.trim();
        match text {
            "director" => return Ok(Self::Director),
            "issuer" => return Ok(Self::Issuer),
            "users-manager" | "manager" => return Ok(Self::UsersManager),
            _ => {}
        }
        let role = text.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let number = text[role.len()..].parse().map_err(|_| NoProcess)?;
        match role.strip_suffix([' ', '-', ':']).unwrap_or(role) {
            "worker" => Ok(Self::Worker(WorkerId(number))),
            "user" => Ok(Self::User(UserProcessId(number))),
            _ => Err(NoProcess),
        }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            Some(number) => write!(f, "{} {number}", self.role()),
            None => f.write_str(self.role()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_as_it_is_written_and_as_shells_like_it() {
        let worker = ProcessId::Worker(WorkerId(3));
        let user = ProcessId::User(UserProcessId(12));
        for process in
            [ProcessId::Director, ProcessId::Issuer, ProcessId::UsersManager, worker, user]
        {
            assert_eq!(process.to_string().parse(), Ok(process));
        }
        for (text, process) in [
            ("worker-3", worker),
            ("worker:3", worker),
            ("worker3", worker),
            (" user 12 ", user),
            ("manager", ProcessId::UsersManager),
        ] {
            assert_eq!(text.parse(), Ok(process), "{text}");
        }
        for text in
            ["", "worker", "worker -1", "worker 70000", "3", "woker 3", "issuer 1", "users 1"]
        {
            assert_eq!(text.parse::<ProcessId>(), Err(NoProcess), "{text}");
        }
    }
}
