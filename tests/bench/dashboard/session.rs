//! A program in a terminal, with the moment at which each of its bytes came.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::clock::{Clock, SystemClock, Time};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

use crate::probe::{Used, Who, used};

/// The program that is measured.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_postoffice-tui");
/// What a terminal is as large as, unless something else is said.
pub(crate) const SIZE: (u16, u16) = (160, 45);
/// Where a frame ends.
pub(crate) const FRAME_END: &[u8] = b"\x1b[?2026l";
/// Where a frame begins.
pub(crate) const FRAME_BEGIN: &[u8] = b"\x1b[?2026h";

/// Programs of the same kind, and a key of theirs that changes the picture.
const PEERS: [(&str, &[&str], &str); 3] =
    [("btop", &["--utf-force"], "h"), ("htop", &[], "h"), ("btm", &[], "?")];

/// A program in a terminal.
pub(crate) struct Session {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    chunks: Receiver<(Time, Vec<u8>)>,
    /// Held by whoever wants the terminal not to read.
    gate: Arc<Mutex<()>>,
    /// When the program was started.
    pub(crate) began: Time,
    /// All that came so far.
    pub(crate) seen: Vec<(Time, Vec<u8>)>,
    pub(crate) dir: TempDir,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

/// Returns the programs that can be compared with here.
fn peers() -> impl Iterator<Item = &'static (&'static str, &'static [&'static str], &'static str)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        move |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    PEERS.iter().filter(move |(name, ..)| is_there(name))
}

/// Returns those that can't.
pub(crate) fn missing_peers() -> Vec<&'static str> {
    let there: Vec<&str> = peers().map(|(name, ..)| *name).collect();
    PEERS.iter().map(|(name, ..)| *name).filter(|name| !there.contains(name)).collect()
}

/// Measures every peer in a terminal of its own; `measure` also gets a key of its.
pub(crate) fn of_peers(measure: impl Fn(&mut Session, &str) -> f64) -> crate::Peers {
    let measured = peers().map(|(name, args, key)| {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let mut session = Session::open(name, args, SIZE, dir);
        (*name, measure(&mut session, key))
    });
    measured.collect()
}

impl Session {
    /// Starts an office with a dashboard.
    pub(crate) fn office(args: &[&str], size: (u16, u16)) -> Self {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let data_dir = dir.path().join("data").display().to_string();
        let mut all = vec!["--data-dir", &data_dir];
        all.extend_from_slice(args);
        Self::open(PROGRAM, &all, size, dir)
    }

    fn open(program: &str, args: &[&str], (columns, rows): (u16, u16), dir: TempDir) -> Self {
        let pair = native_pty_system().openpty(size(columns, rows)).expect("a terminal");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.cwd(dir.path());
        for (name, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")] {
            command.env(name, value);
        }
        for name in ["XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME"] {
            command.env(name, dir.path());
        }
        for name in ["NO_COLOR", "COLORTERM", "TMUX", "STY"] {
            command.env_remove(name);
        }
        let mut output = pair.master.try_clone_reader().expect("a terminal can be read");
        let (sender, chunks) = channel();
        let gate = Arc::new(Mutex::new(()));
        let closed = Arc::clone(&gate);
        std::thread::spawn(move || {
            let mut buf = vec![0; 1 << 16];
            loop {
                drop(closed.lock().unwrap_or_else(PoisonError::into_inner));
                let Ok(len @ 1..) = output.read(&mut buf) else { return };
                if sender.send((SystemClock.now(), buf[..len].to_vec())).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().expect("a terminal can be written");
        let began = SystemClock.now();
        let child = pair.slave.spawn_command(command).expect("the program can be started");
        let (master, seen) = (pair.master, Vec::new());
        Self { child, master, keys, chunks, gate, began, seen, dir }
    }

    /// Returns the pid of the program.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    /// Takes what comes for a while.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.take_until(span, |_| false);
    }

    /// Takes what comes until something has come, or until a span is over; returns when.
    pub(crate) fn take_until(
        &mut self,
        span: Duration,
        mut has_come: impl FnMut(&[(Time, Vec<u8>)]) -> bool,
    ) -> Option<Time> {
        let until = SystemClock.now() + span;
        loop {
            match self.chunks.recv_timeout(until.since(SystemClock.now())) {
                Ok(chunk) => {
                    let at = chunk.0;
                    self.seen.push(chunk);
                    if has_come(&self.seen) {
                        return Some(at);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Waits until words are on the screen, as far as they came in one piece.
    pub(crate) fn wait_for_running(&mut self) {
        let text = "\u{25b6} RUN";
        let came = self.take_until(Duration::from_secs(60), |seen| {
            let is_there = |chunk: &(Time, Vec<u8>)| {
                chunk.1.windows(text.len()).any(|bytes| bytes == text.as_bytes())
            };
            seen.last().is_some_and(is_there)
        });
        assert!(came.is_some(), "the office does not open");
    }

    /// Types.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal can be written");
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.master.resize(size(columns, rows)).expect("a terminal has any size");
    }

    /// Makes the terminal one that does not read.
    pub(crate) fn stop_reading(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.gate)
    }

    /// Returns what threads took, and how many bytes came, while a span passed; per second.
    pub(crate) fn cost(&mut self, span: Duration, who: &[Who]) -> (Vec<Used>, f64) {
        // What has come already is no part of it.
        while let Ok(chunk) = self.chunks.try_recv() {
            self.seen.push(chunk);
        }
        let pid = self.pid();
        let before: Vec<Used> = who.iter().map(|who| used(pid, *who)).collect();
        let (began, seen) = (SystemClock.now(), self.seen.len());
        self.pass(span);
        let seconds = SystemClock.now().since(began).as_secs_f64();
        let took = who.iter().zip(&before).map(|(who, before)| {
            let after = used(pid, *who);
            Used {
                cpu: (after.cpu - before.cpu) / seconds,
                wakes: (after.wakes - before.wakes) / seconds,
                writes: after.writes.zip(before.writes).map(|(a, b)| a - b),
            }
        });
        let took = took.collect();
        let bytes: usize = self.seen[seen..].iter().map(|(_, bytes)| bytes.len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "bytes of a minute")]
        (took, bytes as f64 / seconds)
    }

    /// Counts what came since, as often as it is there.
    pub(crate) fn count(&self, since: usize, what: &[u8]) -> usize {
        let bytes: Vec<u8> =
            self.seen[since..].iter().flat_map(|(_, bytes)| bytes).copied().collect();
        bytes.windows(what.len()).filter(|found| *found == what).count()
    }

    /// Returns when a picture of at least so many characters stood still after it came.
    pub(crate) fn first_picture(&mut self, cells: usize) -> Option<Duration> {
        let (columns, rows) = SIZE;
        let number = |number: u16| NonZero::new(number).expect("a size");
        let mut screen = vt100::Parser::new(number(rows), number(columns), 0);
        let mut last = None;
        // Programs that ask the terminal for something get no answer and go on.
        while let Some(at) = self.take_until(
            if last.is_some() { Duration::from_millis(4) } else { Duration::from_secs(5) },
            |_| true,
        ) {
            let bytes = self.seen.last().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
            screen.process(&bytes);
            let text = screen.screen().contents();
            let is_full = text.chars().filter(|char| !char.is_whitespace()).count() >= cells;
            last = is_full.then_some(at).or(last);
        }
        last.map(|at| at.since(self.began))
    }

    /// Sends a signal and returns how long the end took.
    pub(crate) fn end(&mut self, signal: Signal) -> Duration {
        let began = SystemClock.now();
        let pid = i32::try_from(self.pid()).expect("a pid");
        let _ = kill(Pid::from_raw(pid), signal);
        let _ = self.child.wait();
        SystemClock.now().since(began)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Holds a gate.
pub(crate) fn hold(gate: &Mutex<()>) -> MutexGuard<'_, ()> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}
