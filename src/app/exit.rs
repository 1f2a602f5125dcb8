//! Exit codes: a promise to scripts.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// Why the program ends, as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    /// The duration was reached, or somebody asked for the end.
    Done,
    /// A role reached its restart limit, or other I/O failed.
    Failed,
    /// The command line or the scenario is wrong; nothing was started.
    Usage,
    /// The run ended as overloaded.
    Overloaded,
    /// The run ended as it should and a goal was missed.
    SloMissed,
    /// The log is not sound.
    LogDamaged,
    /// Another instance uses the data directory.
    InUse,
    /// The disk is full, read-only, refuses us, or failed a sync.
    Disk,
    /// The index of the log is not what was written.
    IndexCorrupt,
    /// The program panicked.
    Panic,
    /// A signal ended the run.
    Signal(i32),
}

impl Exit {
    /// Returns the number that the process exits with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Overloaded => 3,
            Self::SloMissed => 4,
            Self::LogDamaged => 5,
            Self::InUse => 6,
            Self::Disk => 7,
            Self::IndexCorrupt => 8,
            Self::Panic => 70,
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

impl Exit {
    /// Returns what the exit code of a role that gives up means for the whole program.
    pub(crate) fn of_role(code: u8) -> Self {
        match code {
            2 => Self::Usage,
            5 => Self::LogDamaged,
            6 => Self::InUse,
            7 => Self::Disk,
            8 => Self::IndexCorrupt,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
