//! Ends what was started, whatever ends the bench.
//!
//! Signals only set a flag, which is looked at before each turn; a child that is being waited for
//! is told to end at once. So every directory and process goes the usual way.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::supervisor::Pid;
use engine::supervisor::exit::Lethal;
use engine::supervisor::signals::{self, Listen, Listener, Signal};

use super::BenchError;

/// Listens to signals as long as it lives.
pub(super) struct Watch {
    state: Arc<State>,
    _listener: Listener,
}

#[derive(Default)]
struct State {
    /// The first signal that said to end.
    signal: AtomicI32,
    /// The child that is being waited for, and how often it was told to end.
    child: Mutex<Option<(Pid, u32)>>,
}

/// How a child ended.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl Watch {
    /// Begins to listen.
    ///
    /// # Errors
    /// [`BenchError`] if the system refuses.
    pub(super) fn start() -> Result<Self, BenchError> {
        let state = Arc::new(State::default());
        let told = Arc::clone(&state);
        let listener = signals::listen(Listen::All, move |signal| match signal {
            Signal::Terminate { number } => told.terminate(number),
            // What was being measured is lost, but that is what the user wants.
            Signal::Suspend => drop(nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)),
            Signal::Child | Signal::Continue | Signal::Reload => {}
        })?;
        Ok(Self { state, _listener: listener })
    }

    /// Fails if the bench is to end.
    ///
    /// # Errors
    /// [`BenchError::Interrupted`] then.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        match self.state.signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            number => Err(BenchError::Interrupted(number)),
        }
    }

    /// Runs a command of our own executable to its end and returns what it said. A signal ends it.
    ///
    /// # Errors
    /// [`BenchError`] if it can't be started or the bench is to end.
    pub(super) fn run(&self, command: &mut Command) -> Result<Finished, BenchError> {
        let failed = |source| BenchError::Start { source };
        // A Ctrl-C at the terminal reaches the bench alone.
        command.arg0("postoffice-tui").process_group(0).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        self.state.hold(&child);
        let said = read_both(&mut child);
        self.state.let_go();
        let status = child.wait().map_err(failed)?;
        let (stdout, stderr) = said.map_err(failed)?;
        self.check()?;
        Ok(Finished { status, stdout, stderr })
    }
}

impl State {
    fn terminate(&self, number: i32) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever sees the flag sees no child any more, and whoever starts one sees the flag.
        let _ = self.signal.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst);
        if let Some((pid, times)) = &mut *child {
            *times += 1;
            let lethal = if *times < 3 { Lethal::Term } else { Lethal::Kill };
            // One that is gone has what it was to be told.
            let _ = signals::send(*pid, lethal);
        }
    }

    fn hold(&self, started: &Child) {
        let pid = Pid::from_raw(i32::try_from(started.id()).expect("a process id is a pid_t"));
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        *child = Some((pid, 0));
        if self.signal.load(Ordering::SeqCst) != 0 {
            let _ = signals::send(pid, Lethal::Term);
        }
    }

    /// Must come before the child is reaped: until then nobody else has its id.
    fn let_go(&self) {
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Reads all that a child says until it ends.
fn read_both(child: &mut Child) -> std::io::Result<(Vec<u8>, String)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let complaints = scope.spawn(move || {
            let mut text = Vec::new();
            // What can't be read is not said.
            let _ = stderr.map(|mut pipe| pipe.read_to_end(&mut text));
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        let mut bytes = Vec::new();
        if let Some(mut pipe) = stdout {
            pipe.read_to_end(&mut bytes)?;
        }
        Ok((bytes, complaints.join().unwrap_or_default()))
    })
}
