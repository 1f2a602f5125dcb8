//! A program in a terminal of its own, as a person would have it: keys in, screen out.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::LocalFlags;
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

use super::{PROGRAM, wait_for};

/// A program in a terminal. Its session (runtime, state and configuration directories) is its own.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// All bytes that came, the newest last; bounded.
    received: Arc<Mutex<Vec<u8>>>,
    dir: TempDir,
}

/// How a program is started in a terminal.
pub(crate) struct Setup {
    command: CommandBuilder,
    size: PtySize,
    dir: TempDir,
}

/// The most bytes that are kept of what a terminal got.
const RECEIVED_MAX: usize = 8 << 20;

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has a size")
}

fn pty_size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

impl Setup {
    /// Returns an office in a terminal of that size, with a data directory of its own.
    pub(crate) fn office(cols: u16, rows: u16) -> Self {
        let mut setup = Self::tool(cols, rows);
        let data = setup.dir.path().join("data");
        setup.command.arg("--data-dir");
        setup.command.arg(data);
        setup
    }

    /// Returns the program alone: what it does is said by [`Self::args`].
    pub(crate) fn tool(cols: u16, rows: u16) -> Self {
        Self::program(PROGRAM, cols, rows)
    }

    /// Returns another program that may start the one under test, such as a multiplexer.
    pub(crate) fn program(program: &str, cols: u16, rows: u16) -> Self {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let mut command = CommandBuilder::new(program);
        command.cwd(dir.path());
        for (name, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")] {
            command.env(name, value);
        }
        for name in ["NO_COLOR", "COLORTERM", "CLICOLOR", "CLICOLOR_FORCE", "TMUX", "STY"] {
            command.env_remove(name);
        }
        command.env("XDG_RUNTIME_DIR", dir.path());
        command.env("XDG_STATE_HOME", dir.path().join("state"));
        command.env("XDG_CONFIG_HOME", dir.path().join("config"));
        // The report of a panic must fit the screen.
        command.env("RUST_BACKTRACE", "0");
        Self { command, size: pty_size(cols, rows), dir }
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    pub(crate) fn open(self) -> Terminal {
        let Self { command, size, dir } = self;
        let pair = native_pty_system().openpty(size).expect("there is a terminal to be had");
        let child = pair.slave.spawn_command(command).expect("the program can be started");
        let mut output = pair.master.try_clone_reader().expect("a terminal can be read");
        let parser = vt100::Parser::new(cells(size.rows), cells(size.cols), 0);
        let screen = Arc::new(Mutex::new(parser));
        let received = Arc::new(Mutex::new(Vec::new()));
        let (seen, kept) = (Arc::clone(&screen), Arc::clone(&received));
        std::thread::spawn(move || {
            let mut buf = [0; 8192];
            while let Ok(len @ 1..) = output.read(&mut buf) {
                let mut kept = kept.lock().expect("nobody panics with it");
                if kept.len() + len <= RECEIVED_MAX {
                    kept.extend_from_slice(&buf[..len]);
                }
                drop(kept);
                // A test that holds the screen makes this terminal one that does not read.
                seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).process(&buf[..len]);
            }
        });
        let keys = pair.master.take_writer().expect("a terminal can be written");
        Terminal { master: pair.master, keys, child, screen, received, dir }
    }
}

impl Terminal {
    /// Opens an office in a terminal.
    pub(crate) fn open(cols: u16, rows: u16, args: &[&str]) -> Self {
        Setup::office(cols, rows).args(args).open()
    }

    /// Returns the pid of the program.
    pub(crate) fn pid(&self) -> Pid {
        let pid = self.child.process_id().expect("it was started");
        Pid::from_raw(i32::try_from(pid).expect("a pid"))
    }

    /// Returns the directory that is the program's own.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the data directory of the office.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// Types.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal can be written");
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the program lives");
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, cols: u16, rows: u16) {
        self.lock().screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(pty_size(cols, rows)).expect("a terminal has any size");
    }

    /// Returns the screen; while it is held, the terminal reads nothing.
    pub(crate) fn lock(&self) -> MutexGuard<'_, vt100::Parser> {
        self.screen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Returns a handle on the screen, for a test that must hold it while it uses the terminal.
    pub(crate) fn screen(&self) -> Arc<Mutex<vt100::Parser>> {
        Arc::clone(&self.screen)
    }

    /// Returns what is on the screen.
    pub(crate) fn text(&self) -> String {
        self.lock().screen().contents()
    }

    /// Returns all bytes that the terminal got so far.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.received.lock().expect("nobody panics with it").clone()
    }

    /// Waits until words are on the screen.
    pub(crate) fn wait_for(&self, words: &str) {
        let found = || self.text().contains(words).then_some(());
        let screen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(&format!("{words:?} on the screen"), found);
        }));
        assert!(screen.is_ok(), "{words:?} did not come:\n{}", self.text());
    }

    /// Makes sure that the line settings are those of a shell and the first screen is back.
    pub(crate) fn check_restored(&self) {
        let wanted = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        wait_for("the shell's line settings", || {
            let found = self.master.get_termios()?.local_flags.bits();
            LocalFlags::from_bits_truncate(found).contains(wanted).then_some(())
        });
        wait_for("the first screen", || {
            let parser = self.lock();
            let screen = parser.screen();
            let is_plain = !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None;
            is_plain.then_some(())
        });
    }

    /// Returns how the terminal's lines are edited.
    pub(crate) fn local_flags(&self) -> LocalFlags {
        let settings = self.master.get_termios().expect("a terminal has settings");
        LocalFlags::from_bits_truncate(settings.local_flags.bits())
    }

    /// Waits for the end; returns the exit code.
    pub(crate) fn exit_code(&mut self) -> u32 {
        let child = &mut self.child;
        let ended = || child.try_wait().expect("it can be waited for");
        wait_for("the end of the program", ended).exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
