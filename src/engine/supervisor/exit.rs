//! How a process ended, in words that a person can act on.
//!
//! The kernel says with which code or signal. Whether that signal was ours only the supervisor
//! knows, and it makes the difference between "we killed it because it hung" and "the machine
//! ran out of memory".

use std::fmt;

use nix::sys::signal::Signal;

/// Exit code of a role that panicked.
pub const EXIT_PANIC: i32 = 70;

/// Exit codes that no restart can cure, because the cause lies outside of the process: usage (2),
/// damaged log (5), data directory in use (6), disk (7), corrupt index (8).
pub const EXIT_PERMANENT: [i32; 5] = [2, 5, 6, 7, 8];

/// What the kernel tells about the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code.
    Code(i32),
    /// It was killed by the signal with this number.
    Signal(i32),
    /// It is gone, but how it ended could not be learnt.
    Lost,
}

impl Ending {
    /// Returns whether a restart would meet the same end.
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::Code(code) if EXIT_PERMANENT.contains(&code))
    }
}

/// The signals with which a supervisor ends a process, the stronger one last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lethal {
    /// SIGTERM: end yourself.
    Term,
    /// SIGKILL: the kernel ends it, even if it is stopped.
    Kill,
}

impl From<Lethal> for Signal {
    fn from(signal: Lethal) -> Self {
        match signal {
            Lethal::Term => Self::SIGTERM,
            Lethal::Kill => Self::SIGKILL,
        }
    }
}

/// The end of a process as its supervisor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCause {
    /// What the kernel tells.
    pub ending: Ending,
    /// Whether the supervisor itself sent the signal that ended the process.
    pub ours: bool,
}

impl ExitCause {
    /// Returns the cause of `ending`, given the strongest signal that the supervisor had sent.
    pub fn new(ending: Ending, sent: Option<Lethal>) -> Self {
        let ours = [Lethal::Term, Lethal::Kill]
            .into_iter()
            .filter(|&signal| Some(signal) <= sent)
            .any(|signal| ending == Ending::Signal(Signal::from(signal) as i32));
        Self { ending, ours }
    }
}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ending {
            Ending::Code(code) => match code_meaning(code) {
                Some(meaning) => write!(f, "exit code {code} ({meaning})"),
                None => write!(f, "exit code {code}"),
            },
            Ending::Signal(number) => {
                write_signal(f, number)?;
                match self.ours {
                    true => f.write_str(" (ours)"),
                    // The kernel's out-of-memory killer sends the one signal that leaves no word.
                    false if number == Signal::SIGKILL as i32 => {
                        f.write_str(" (not ours; out of memory?)")
                    }
                    false => f.write_str(" (not ours)"),
                }
            }
            Ending::Lost => f.write_str("ended, how is not known"),
        }
    }
}

/// Writes "killed by SIGKILL", or the number of a signal that has no name.
fn write_signal(f: &mut fmt::Formatter<'_>, number: i32) -> fmt::Result {
    match Signal::try_from(number) {
        Ok(signal) => write!(f, "killed by {}", signal.as_str()),
        Err(_) => write!(f, "killed by signal {number}"),
    }
}

/// Returns what an exit code of this program means in one or two words.
fn code_meaning(code: i32) -> Option<&'static str> {
    Some(match code {
        0 => "done",
        1 => "failed",
        2 => "usage or configuration",
        3 => "overloaded",
        4 => "objective missed",
        5 => "log not sound",
        6 => "data directory in use",
        7 => "disk",
        8 => "index corrupt",
        EXIT_PANIC => "panic",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Option<Lethal> = Some(Lethal::Term);
    const KILL: Option<Lethal> = Some(Lethal::Kill);

    fn check(ending: Ending, sent: Option<Lethal>, expected: &str) {
        assert_eq!(ExitCause::new(ending, sent).to_string(), expected);
    }

    #[test]
    fn a_cause_says_what_happened() {
        check(Ending::Code(7), None, "exit code 7 (disk)");
        check(Ending::Code(42), KILL, "exit code 42");
        check(Ending::Signal(40), None, "killed by signal 40 (not ours)");
        check(Ending::Lost, KILL, "ended, how is not known");
    }

    #[test]
    fn a_signal_is_ours_only_if_we_sent_that_one() {
        let out_of_memory = "killed by SIGKILL (not ours; out of memory?)";
        check(Ending::Signal(9), None, out_of_memory);
        check(Ending::Signal(9), TERM, out_of_memory);
        check(Ending::Signal(9), KILL, "killed by SIGKILL (ours)");
        check(Ending::Signal(15), None, "killed by SIGTERM (not ours)");
        check(Ending::Signal(15), TERM, "killed by SIGTERM (ours)");
        // SIGTERM may have been on its way when SIGKILL followed.
        check(Ending::Signal(15), KILL, "killed by SIGTERM (ours)");
        check(Ending::Signal(11), KILL, "killed by SIGSEGV (not ours)");
    }

    #[test]
    fn only_causes_outside_of_the_process_are_permanent() {
        let permanent: Vec<i32> =
            (0..256).filter(|&code| Ending::Code(code).is_permanent()).collect();
        assert_eq!(permanent, EXIT_PERMANENT);
        assert!(!Ending::Signal(7).is_permanent());
    }
}
