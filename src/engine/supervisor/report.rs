//! What people are told about a slot: its phase, and why the phase changed.
//!
//! Every change is one [`Transition`]; the dashboard shows phases, the log shows all three parts.
//! The texts are short because they stand in a table's column or behind a role's name.

use std::fmt;
use std::time::Duration;

use nix::errno::Errno;

use super::exit::ExitCause;

/// A change that people see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The phase that ended.
    pub from: Phase,
    /// The phase that began.
    pub to: Phase,
    /// Why.
    pub cause: Cause,
}

/// What a slot is doing, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// No process, and none wanted.
    Stopped,
    /// A process is being started or is not ready yet.
    Starting,
    /// It serves.
    Ready,
    /// It serves, or did: it has been silent for a while.
    Suspect,
    /// It was asked to end.
    Draining,
    /// It was sent SIGTERM.
    Terminating,
    /// It was sent SIGKILL.
    Killed,
    /// No process; another one follows after a delay.
    Backoff,
    /// No process, and no restart until a person asks for it.
    Failed,
}

impl Phase {
    /// All phases, in the order of their numbers on the wire.
    const ALL: [Self; 9] = [
        Self::Stopped,
        Self::Starting,
        Self::Ready,
        Self::Suspect,
        Self::Draining,
        Self::Terminating,
        Self::Killed,
        Self::Backoff,
        Self::Failed,
    ];

    /// Returns the phase's number on the wire.
    pub fn code(self) -> u8 {
        Self::ALL.iter().zip(0..).find(|&(&phase, _)| phase == self).map_or(0, |(_, code)| code)
    }

    /// Returns the phase with this number; an unknown one is a stopped process.
    pub fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Stopped)
    }

    /// Returns whether the process does its work, as far as is known.
    pub fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Suspect)
    }
}

/// Why a slot changed its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was wanted.
    Wanted,
    /// The process said that it is ready.
    Ready,
    /// The process has not said hello in time.
    NoHello,
    /// The process has not become ready in time.
    NotReady,
    /// The process has been silent for this long.
    Silent(Duration),
    /// The process is heard again after this long.
    Heard(Duration),
    /// It was no longer wanted.
    Unwanted,
    /// The process has not ended within its grace period.
    GraceOver,
    /// A person killed it.
    KilledByPerson,
    /// The process ended.
    Exited(ExitCause),
    /// The process ended once too often.
    TooManyDeaths(ExitCause),
    /// The processes of the fleet ended once too often.
    TooManyDeathsInPool,
    /// No process could be started.
    SpawnFailed(Errno),
    /// The delay before a restart is over.
    DelayOver,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}: {}", self.from, self.to, self.cause)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Suspect => "suspect",
            Self::Draining => "draining",
            Self::Terminating => "terminating",
            Self::Killed => "killed",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wanted => f.write_str("wanted"),
            Self::Ready => f.write_str("ready"),
            Self::NoHello => f.write_str("no hello in time"),
            Self::NotReady => f.write_str("not ready in time"),
            Self::Silent(span) => write!(f, "silent for {:.1} s", span.as_secs_f64()),
            Self::Heard(span) => write!(f, "heard again after {:.1} s", span.as_secs_f64()),
            Self::Unwanted => f.write_str("no longer wanted"),
            Self::GraceOver => f.write_str("did not end in time"),
            Self::KilledByPerson => f.write_str("killed by hand"),
            Self::Exited(exit) => exit.fmt(f),
            Self::TooManyDeaths(exit) => write!(f, "died too often; last {exit}"),
            Self::TooManyDeathsInPool => f.write_str("the pool died too often"),
            Self::SpawnFailed(errno) => write!(f, "cannot start a process: {errno}"),
            Self::DelayOver => f.write_str("restart"),
        }
    }
}
