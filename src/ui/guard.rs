//! A tiny process that gives the terminal back if the dashboard is killed with SIGKILL.
//!
//! It is a child of the dashboard, so the pid that the shell knows stays the director's. It holds
//! the reading end of a pipe: when the pipe ends without the word that all is well, the dashboard
//! has died and could not clean up.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::termios::{self, InputFlags, LocalFlags, OutputFlags, SetArg};

use super::terminal::{LEAVE, write_within};

/// The hidden argument that makes the executable a guard.
pub(crate) const ARGUMENT: &str = "terminal-guard";
/// The word that all is well.
const DONE: &[u8] = b"q";

/// How long a guard that was let go is waited for, in milliseconds.
const DISMISS_TIMEOUT_MS: u16 = 200;

/// The dashboard's hold on its guard.
struct Guard {
    child: Child,
    pipe: ChildStdin,
}

impl Guard {
    /// Starts a guard.
    ///
    /// # Errors
    /// Whatever the system says.
    fn start() -> io::Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .arg0("postoffice-tui")
            .arg(ARGUMENT)
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()?;
        let pipe = child.stdin.take().ok_or_else(|| io::Error::other("the guard has no pipe"))?;
        Ok(Self { child, pipe })
    }

    /// Returns whether it is still there. Whoever has reaped it meanwhile knows that it is not.
    fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Lets the guard go: the terminal has been given back.
    fn dismiss(mut self) {
        // A guard that is gone needs no word.
        let _ = self.pipe.write_all(DONE);
        drop(self.pipe);
        // One that was stopped must not hold up the end.
        for _ in 0..DISMISS_TIMEOUT_MS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            let _ = poll(&mut [], PollTimeout::from(1_u8));
        }
    }
}

/// Times that a guard that is gone is replaced: one that always dies is of no use.
const REPLACED_MAX: u8 = 5;

/// Keeps a guard beside the dashboard.
#[derive(Default)]
pub(super) struct Keeper(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    guard: Option<Guard>,
    started: u8,
}

impl Keeper {
    /// Starts a guard if there is none, or if the one before is gone.
    pub(super) fn look_after(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.guard.as_mut().is_some_and(Guard::is_alive) || kept.started > REPLACED_MAX {
            return;
        }
        let is_first = kept.started == 0;
        kept.started += 1;
        match Guard::start() {
            Ok(guard) => {
                kept.guard = Some(guard);
                if !is_first {
                    log::warn!(target: "dashboard", "the terminal's guard was gone; there is a new one");
                }
            }
            Err(error) => {
                kept.guard = None;
                log::warn!(
                    target: "dashboard",
                    "there is no guard to give the terminal back if this process is killed: {error}"
                );
            }
        }
    }

    /// Lets the guard go: the terminal has been given back.
    pub(super) fn dismiss(self) {
        let kept = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = kept.guard {
            guard.dismiss();
        }
    }
}

/// Waits for the end of the dashboard and cleans up after it if it could not.
pub(crate) fn run() -> ExitCode {
    let ignored = [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ];
    for number in ignored {
        // SAFETY: SIG_IGN runs no code of ours, and this process has one thread.
        let _ = unsafe { signal(number, SigHandler::SigIgn) };
    }
    let mut word = Vec::new();
    // An error is an end, too.
    let _ = io::stdin().lock().read_to_end(&mut word);
    if word != DONE {
        restore();
    }
    ExitCode::SUCCESS
}

fn restore() {
    // SAFETY: standard output stays open for the whole life of the process.
    let fd = unsafe { BorrowedFd::borrow_raw(1) };
    if let Ok(mut settings) = termios::tcgetattr(fd) {
        settings.input_flags |= InputFlags::BRKINT | InputFlags::ICRNL | InputFlags::IXON;
        settings.output_flags |= OutputFlags::OPOST | OutputFlags::ONLCR;
        settings.local_flags |= LocalFlags::ICANON
            | LocalFlags::ECHO
            | LocalFlags::ECHOE
            | LocalFlags::ECHOK
            | LocalFlags::ISIG
            | LocalFlags::IEXTEN;
        // A terminal that is gone needs nothing back.
        let _ = termios::tcsetattr(fd, SetArg::TCSANOW, &settings);
    }
    let mut bytes = LEAVE.to_vec();
    bytes.extend_from_slice(b"postoffice-tui was killed; its office has closed\r\n");
    write_within(fd, &bytes, 200);
}
