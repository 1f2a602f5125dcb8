//! Signals as messages, and sending them.
//!
//! A handler may do next to nothing, so one thread of its own waits for signals and hands each to
//! a callback, which passes it to the event loop (a channel and a waker). The director listens to
//! all of them, the users manager to the deaths of its children only; other roles listen to none
//! and ignore those of the terminal (`birth.rs`).
//!
//! Whoever listens replaces the default action: SIGTSTP no longer stops the process, it only says
//! that someone wants that. The process stops itself with SIGSTOP when its terminal is in order.
//! A handled signal interrupts whatever a thread waits in: `poll` and `epoll_wait` then fail with
//! EINTR, which an event loop takes as a turn without events.
//! Children do not inherit handlers (exec resets them), but they do inherit ignored signals.

use std::io;
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::sys::signal;
use signal_hook::consts;
use signal_hook::iterator::{Handle, Signals};

use super::Pid;

/// A signal that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT, SIGHUP or SIGQUIT: drain and end; the second one means at once.
    Terminate {
        /// Which it was; the exit code is 128 more.
        number: i32,
    },
    /// SIGCHLD: at least one child has died; several deaths may share one signal.
    Child,
    /// SIGTSTP: give the terminal back and stop.
    Suspend,
    /// SIGCONT: the process was stopped and goes on.
    Continue,
    /// SIGUSR1: read the scenario again.
    Reload,
}

/// Which signals to listen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// All of [`Signal`].
    All,
    /// [`Signal::Child`] alone.
    Child,
}

impl Listen {
    fn numbers(self) -> &'static [i32] {
        match self {
            Self::All => &[
                consts::SIGTERM,
                consts::SIGINT,
                consts::SIGHUP,
                consts::SIGQUIT,
                consts::SIGCHLD,
                consts::SIGTSTP,
                consts::SIGCONT,
                consts::SIGUSR1,
            ],
            Self::Child => &[consts::SIGCHLD],
        }
    }
}

/// Why signals cannot be listened to or sent.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The handlers or their thread could not be set up.
    #[error("cannot listen to signals; a limit of files or threads may be reached")]
    Listen {
        /// What the system says.
        source: io::Error,
    },
    /// The signal could not be sent.
    #[error("cannot send {signal} to process {pid}: {errno}")]
    Send {
        /// What.
        signal: signal::Signal,
        /// To whom.
        pid: Pid,
        /// What the system says.
        errno: Errno,
    },
}

/// Delivers signals as long as it lives. Dropping it ends the thread, but not the handlers: from
/// then on the signals do nothing.
#[derive(Debug)]
pub struct Listener {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Listens to signals on a thread of its own, which calls `deliver` for each. Signals of one kind
/// that arrive together may be delivered once. The callback must not block for long: dropping the
/// listener waits for it.
///
/// # Errors
/// [`SignalError::Listen`] when handlers or the thread cannot be had.
pub fn listen(
    what: Listen,
    mut deliver: impl FnMut(Signal) + Send + 'static,
) -> Result<Listener, SignalError> {
    let listen = |source| SignalError::Listen { source };
    let mut signals = Signals::new(what.numbers()).map_err(listen)?;
    let handle = signals.handle();
    let thread = std::thread::Builder::new()
        .name(String::from("signals"))
        .spawn(move || signals.forever().filter_map(from_number).for_each(&mut deliver))
        .map_err(listen)?;
    Ok(Listener { handle, thread: Some(thread) })
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the callback has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

fn from_number(number: i32) -> Option<Signal> {
    Some(match number {
        consts::SIGTERM | consts::SIGINT | consts::SIGHUP | consts::SIGQUIT => {
            Signal::Terminate { number }
        }
        consts::SIGCHLD => Signal::Child,
        consts::SIGTSTP => Signal::Suspend,
        consts::SIGCONT => Signal::Continue,
        consts::SIGUSR1 => Signal::Reload,
        _ => return None,
    })
}

/// Sends a signal to a process; one that is gone already counts as done.
///
/// The process must be a child that has not been reaped: until then its id belongs to nobody else.
///
/// # Errors
/// [`SignalError::Send`] when the system refuses, which it does for the process of another user.
pub fn send(pid: Pid, signal: impl Into<signal::Signal>) -> Result<(), SignalError> {
    let signal = signal.into();
    match signal::kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(SignalError::Send { signal, pid, errno }),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::supervisor::exit::Lethal;

    /// How long a test waits for a signal that was sent, before it is called lost.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn sleeper() -> (std::process::Child, Pid) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec cat"]);
        command.stdin(std::process::Stdio::piped());
        let child = command.spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        (child, pid)
    }

    #[test]
    fn every_signal_becomes_its_message() {
        let (sender, receiver) = mpsc::channel();
        let listener = listen(Listen::All, move |signal| sender.send(signal).unwrap()).unwrap();
        // Other tests' children die meanwhile, so deaths are not counted.
        let next = || {
            loop {
                match receiver.recv_timeout(PATIENCE).unwrap() {
                    Signal::Child => {}
                    signal => return signal,
                }
            }
        };
        for (signal, expected) in [
            (signal::SIGTERM, Signal::Terminate { number: 15 }),
            (signal::SIGINT, Signal::Terminate { number: 2 }),
            (signal::SIGHUP, Signal::Terminate { number: 1 }),
            (signal::SIGQUIT, Signal::Terminate { number: 3 }),
            (signal::SIGTSTP, Signal::Suspend),
            (signal::SIGCONT, Signal::Continue),
            (signal::SIGUSR1, Signal::Reload),
        ] {
            signal::raise(signal).unwrap();
            assert_eq!(next(), expected);
        }
        drop(listener);
        assert!(
            receiver.iter().all(|signal| signal == Signal::Child),
            "the thread has ended and nothing else was delivered"
        );
    }

    #[test]
    fn the_death_of_a_child_is_a_message() {
        let (sender, receiver) = mpsc::channel();
        let _listener = listen(Listen::Child, move |signal| {
            // The receiver is gone when the test is over, while other tests' children still die.
            let _ = sender.send(signal);
        })
        .unwrap();
        let (mut child, pid) = sleeper();
        send(pid, Lethal::Kill).unwrap();
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), Signal::Child);
        child.wait().unwrap();
    }

    #[test]
    fn a_dead_process_needs_no_signal() {
        // Beyond the largest id that Linux gives to a process (2^22), so nobody has it.
        send(Pid::from_raw(i32::MAX), Lethal::Term).unwrap();
    }

    #[test]
    fn a_stopped_process_can_be_killed() {
        use std::os::unix::process::ExitStatusExt;
        let (mut child, pid) = sleeper();
        send(pid, signal::SIGSTOP).unwrap();
        send(pid, Lethal::Kill).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_listener_to_deaths_takes_no_other_signal() {
        assert_eq!(Listen::Child.numbers(), [consts::SIGCHLD]);
        for &number in Listen::All.numbers() {
            assert!(from_number(number).is_some(), "{number} has a message");
        }
    }
}
