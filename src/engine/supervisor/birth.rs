//! What a process of a role does before anything else.
//!
//! The supervisor starts it without any code between fork and exec (`spawn.rs` says why), so the
//! process sees to its own death: it must not outlive its parent, not even stopped, when it would
//! never see the end of its control connection. Hence PR_SET_PDEATHSIG with SIGKILL. The kernel
//! sends that signal when the *thread* that spawned the process ends; the supervisor's spawning
//! thread must therefore live as long as its process. A parent that died before the request was
//! made leaves the child with another parent, which is why the parent's id is compared after it.

use std::fs::File;
use std::io::Write;
use std::panic::{self, PanicHookInfo};

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::getppid;

use super::Pid;
use super::exit::EXIT_PANIC;
use crate::limits::OOM_SCORE_OF_USERS;

/// Signals that are for the director alone or that must come back as an error of a call: the
/// keys and the hang-up of a terminal, and the limit of a file's size.
const IGNORED: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGXFSZ,
];

/// What the service loses with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// The service itself: issuer, worker, users manager.
    Core,
    /// Load that comes back: a user process. When memory runs out the kernel takes it first.
    Expendable,
}

/// Why a process cannot begin as a child.
#[derive(Debug, thiserror::Error)]
pub enum BirthError {
    /// The parent died, or the process was started by hand.
    #[error(
        "the parent is process {found}, not {expected}; \
         this command is started by postoffice-tui itself"
    )]
    Orphan {
        /// The parent by the command line.
        expected: Pid,
        /// The parent by the kernel.
        found: Pid,
    },
    /// The kernel refused something that every Linux grants.
    #[error("cannot {what}: {errno}; a sandbox may forbid it")]
    Refused {
        /// What was asked of the kernel.
        what: &'static str,
        /// What it says.
        errno: Errno,
    },
}

/// Makes this process a proper child of `parent`. Call it first, from the main thread; when it
/// fails, exit.
///
/// From then on the process dies with its parent, gains no privileges, ignores what is meant for
/// the director, may open as many files as the hard limit allows, dumps no core (a role's memory
/// holds the run's secret), and exits with [`EXIT_PANIC`] when any thread panics.
///
/// Ignored signals stay ignored in its own children; handlers would not.
///
/// # Errors
/// [`BirthError::Orphan`] when the parent is another one; [`BirthError::Refused`] when the kernel
/// does not promise to end the process with its parent.
pub fn become_child(parent: Pid, rank: Rank) -> Result<(), BirthError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(refused("die with the parent"))?;
    let found = getppid();
    if found != parent {
        let expected = parent;
        return Err(BirthError::Orphan { expected, found });
    }
    panic::set_hook(Box::new(die_of_panic));
    prctl::set_no_new_privs().map_err(refused("give up new privileges"))?;
    ignore_signals()?;
    best_effort(rank);
    Ok(())
}

fn refused(what: &'static str) -> impl Fn(Errno) -> BirthError {
    move |errno| BirthError::Refused { what, errno }
}

fn ignore_signals() -> Result<(), BirthError> {
    for ignored in IGNORED {
        // SAFETY: SIG_IGN runs no code of ours, and no other thread exists that could rely on the
        // former disposition.
        unsafe { signal(ignored, SigHandler::SigIgn) }.map_err(refused("ignore a signal"))?;
    }
    Ok(())
}

/// Does what makes life better but is not worth dying for.
fn best_effort(rank: Rank) {
    // The program was started through a link named "exe", and that would be its short name in
    // `ps` and `top`.
    let _ = prctl::set_name(c"postoffice-tui");
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, hard);
    }
    if rank == Rank::Expendable {
        let file = File::options().write(true).open("/proc/self/oom_score_adj");
        let _ = file.and_then(|mut file| write!(file, "{OOM_SCORE_OF_USERS}"));
    }
}

/// Leaves one line for the obituary and ends the process at once: after a broken invariant no
/// more code of ours should run, least of all destructors that write files.
fn die_of_panic(info: &PanicHookInfo<'_>) {
    // One write of one line; nothing can be done when nobody reads it.
    let _ = std::io::stderr().write_all(panic_line(info).as_bytes());
    // SAFETY: `_exit` ends the process without running anything else.
    unsafe { libc::_exit(EXIT_PANIC) }
}

fn panic_line(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("no message");
    let message = message.replace(['\n', '\r'], " ");
    match info.location() {
        Some(place) => format!("panic at {}:{}: {message}\n", place.file(), place.line()),
        None => format!("panic: {message}\n"),
    }
}

#[cfg(test)]
mod tests;
