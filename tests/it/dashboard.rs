//! The dashboard in a terminal of its own: keys in, screen out, and the terminal given back.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::LocalFlags;
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

use crate::support::{PROGRAM, descendants, is_alive, is_stopped, run, wait_for};

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has a size")
}

/// A program in a terminal.
struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    dir: TempDir,
}

impl Terminal {
    fn open(cols: u16, rows: u16, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(["--data-dir", dir.path().join("data").to_str().unwrap()]);
        command.args(args);
        command.env("XDG_RUNTIME_DIR", dir.path());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        command.env("POSTOFFICE_FAILPOINT", "dashboard-panic");
        // The report of a panic must fit the screen.
        command.env("RUST_BACKTRACE", "0");
        let child = pair.slave.spawn_command(command).unwrap();
        let mut output = pair.master.try_clone_reader().unwrap();
        let parser = vt100::Parser::new(cells(rows), cells(cols), 0);
        let screen = Arc::new(Mutex::new(parser));
        let seen = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buf = [0; 8192];
            while let Ok(len @ 1..) = output.read(&mut buf) {
                seen.lock().unwrap().process(&buf[..len]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: pair.master, keys, child, screen, dir }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.process_id().unwrap()).unwrap())
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn wait_for(&self, words: &str) {
        let found = || self.text().contains(words).then_some(());
        let screen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(&format!("{words:?} on the screen"), found);
        }));
        assert!(screen.is_ok(), "{words:?} did not come:\n{}", self.text());
    }

    /// Makes sure that the line settings are those of a shell and the first screen is back.
    fn check_restored(&self) {
        let wanted = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        wait_for("the shell's line settings", || {
            let found = self.master.get_termios()?.local_flags.bits();
            LocalFlags::from_bits_truncate(found).contains(wanted).then_some(())
        });
        wait_for("the first screen", || {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            (!screen.alternate_screen() && !screen.hide_cursor()).then_some(())
        });
    }

    fn exit_code(&mut self) -> u32 {
        wait_for("the end of the program", || self.child.try_wait().unwrap()).exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn keys_steer_the_office_and_q_ends_it() {
    let mut terminal = Terminal::open(160, 45, &["--seed", "5"]);
    terminal.wait_for("▶ RUN");
    for words in ["Tickets/s", "Queue", "Processes", "Latency", "Services", "Logs", "seed 5"] {
        terminal.wait_for(words);
    }
    terminal.press("p");
    terminal.wait_for("PAUSED");
    terminal.press("p");
    terminal.wait_for("▶ RUN");
    terminal.press("u200\r");
    terminal.wait_for("users 200 ");
    terminal.press("]");
    terminal.wait_for("workers 5 ");
    terminal.press("?");
    terminal.wait_for("Freeze arrivals and dispatch");
    terminal.press("?jjK");
    terminal.wait_for("Kill worker 0?");
    terminal.press("y");
    terminal.wait_for("restarts 1");
    terminal.press("Q");
    terminal.wait_for("End the run at once?");
    terminal.press("y");
    assert_eq!(terminal.exit_code(), 0);
    terminal.check_restored();
    assert!(terminal.text().contains("completed"), "the summary is left on the first screen");
}

#[test]
fn another_program_may_steer_and_end_it() {
    let mut terminal = Terminal::open(120, 40, &[]);
    terminal.wait_for("▶ RUN");
    let data_dir = terminal.dir.path().join("data").display().to_string();
    let ctl = |verb| run(&["ctl", verb, "--data-dir", &data_dir]).status.code();
    assert_eq!(ctl("pause"), Some(0));
    terminal.wait_for("PAUSED");
    assert_eq!(ctl("stop"), Some(0));
    assert_eq!(terminal.exit_code(), 0);
    terminal.check_restored();
}

#[test]
fn a_snapshot_is_exported_while_the_run_goes_on() {
    let mut terminal = Terminal::open(160, 45, &[]);
    terminal.wait_for("▶ RUN");
    let exports = terminal.dir.path().join("data/exports");
    terminal.press("e");
    terminal.wait_for("exported to ");
    let folder = crate::export::only_folder(&exports);
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"phase\": \"running\"") && manifest.contains("the run goes on"));
    assert!(folder.join("report.html").is_file() && folder.join("tickets.csv").is_file());
    // Where nothing can be written the run goes on too.
    std::fs::rename(&exports, terminal.dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(terminal.dir.path(), &exports).unwrap();
    terminal.press("e");
    terminal.wait_for("it is a symbolic link");
    terminal.wait_for("▶ RUN");
    terminal.press("Qy");
    assert_eq!(terminal.exit_code(), 0);
    terminal.check_restored();
}

#[test]
fn the_dashboard_follows_the_size_of_the_terminal() {
    let mut terminal = Terminal::open(80, 24, &[]);
    terminal.wait_for("▶ RUN");
    for (cols, rows, words) in [(50, 15, "served/s"), (20, 5, "waiting"), (120, 40, "Log on disk")]
    {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        terminal.screen.lock().unwrap().screen_mut().set_size(cells(rows), cells(cols));
        terminal.master.resize(size).unwrap();
        terminal.wait_for(words);
    }
    terminal.press("\x03\x03");
    assert_eq!(terminal.exit_code(), 0);
    terminal.check_restored();
}

#[test]
fn signals_end_the_run_and_give_the_terminal_back() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let mut terminal = Terminal::open(80, 24, &[]);
        terminal.wait_for("▶ RUN");
        kill(terminal.pid(), signal).unwrap();
        assert_eq!(terminal.exit_code(), 128 + signal as u32, "{signal}");
        terminal.check_restored();
    }
}

#[test]
fn a_killed_dashboard_leaves_a_usable_terminal_and_no_process() {
    let mut terminal = Terminal::open(80, 24, &[]);
    terminal.wait_for("▶ RUN");
    let all = descendants(terminal.pid());
    kill(terminal.pid(), Signal::SIGKILL).unwrap();
    terminal.exit_code();
    wait_for("the end of all", || all.iter().all(|&pid| !is_alive(pid)).then_some(()));
    terminal.check_restored();
}

#[test]
fn a_terminal_that_stops_reading_delays_no_ticket() {
    let mut terminal = Terminal::open(160, 45, &["--set", "load.regulars.think=1ms"]);
    terminal.wait_for("▶ RUN");
    let data_dir = terminal.dir.path().join("data").display().to_string();
    let issued = || {
        let output = crate::support::run(&["verify", "--json", "--data-dir", &data_dir]);
        let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        verdict["issued"].as_u64()
    };
    let screen = Arc::clone(&terminal.screen);
    let stuck = screen.lock().unwrap();
    // Far more frames than a terminal's buffer holds.
    let before = wait_for("the log", issued);
    wait_for("tickets behind a stuck terminal", || issued().filter(|&now| now > before + 1000));
    kill(terminal.pid(), Signal::SIGTERM).unwrap();
    let code = terminal.exit_code();
    drop(stuck);
    assert_eq!(code, 128 + 15);
}

#[test]
fn a_panic_gives_the_terminal_back_and_ends_the_office_in_order() {
    let mut terminal = Terminal::open(80, 24, &[]);
    terminal.wait_for("▶ RUN");
    let all = descendants(terminal.pid());
    kill(terminal.pid(), Signal::SIGUSR1).unwrap();
    assert_eq!(terminal.exit_code(), 70);
    terminal.check_restored();
    terminal.wait_for("asked for by a failpoint");
    assert!(all.iter().all(|&pid| !is_alive(pid)), "the office was drained");
}

#[test]
fn a_suspended_dashboard_gives_the_terminal_back_and_returns() {
    let mut terminal = Terminal::open(80, 24, &[]);
    terminal.wait_for("▶ RUN");
    terminal.press("\x1a");
    terminal.check_restored();
    // A shell too goes on only with what has stopped.
    wait_for("the stop", || is_stopped(terminal.pid()).then_some(()));
    kill(terminal.pid(), Signal::SIGCONT).unwrap();
    wait_for("the other screen", || {
        terminal.screen.lock().unwrap().screen().alternate_screen().then_some(())
    });
    terminal.wait_for("▶ RUN");
    kill(terminal.pid(), Signal::SIGTERM).unwrap();
    assert_eq!(terminal.exit_code(), 128 + 15);
}
