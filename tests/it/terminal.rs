//! How a dashboard leaves its terminal, whatever ends it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::terminal::{Setup, Terminal};
use crate::support::{arguments, descendants, is_alive, is_stopped, run, wait_for};

#[test]
fn signals_end_the_run_and_give_the_terminal_back() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let mut terminal = Terminal::open(80, 24, &[]);
        terminal.wait_for("▶ RUN");
        terminal.signal(signal);
        assert_eq!(terminal.exit_code(), 128 + signal as u32, "{signal}");
        terminal.check_restored();
    }
}

#[test]
fn a_killed_dashboard_leaves_a_usable_terminal_and_no_process() {
    let mut terminal = Terminal::open(80, 24, &[]);
    terminal.wait_for("▶ RUN");
    let all = descendants(terminal.pid());
    terminal.signal(Signal::SIGKILL);
    terminal.exit_code();
    wait_for("the end of all", || all.iter().all(|&pid| !is_alive(pid)).then_some(()));
    terminal.check_restored();
}

#[test]
fn a_terminal_that_stops_reading_delays_no_ticket() {
    let mut terminal = Terminal::open(160, 45, &["--set", "load.regulars.think=1ms"]);
    terminal.wait_for("▶ RUN");
    let data_dir = terminal.data_dir().display().to_string();
    let issued = || {
        let output = crate::support::run(&["verify", "--json", "--data-dir", &data_dir]);
        let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        verdict["issued"].as_u64()
    };
    let screen = terminal.screen();
    let stuck = screen.lock().unwrap();
    // Far more frames than a terminal's buffer holds.
    let before = wait_for("the log", issued);
    wait_for("tickets behind a stuck terminal", || issued().filter(|&now| now > before + 1000));
    terminal.signal(Signal::SIGTERM);
    let code = terminal.exit_code();
    drop(stuck);
    assert_eq!(code, 128 + 15);
}

/// Lets a thread of a dashboard panic, and checks that all ends as it should.
fn check_panic(thread: &str, trigger: impl Fn(&mut Terminal)) {
    let mut terminal = Setup::office(80, 24).env("POSTOFFICE_FAILPOINT", thread).open();
    terminal.wait_for("▶ RUN");
    let all = descendants(terminal.pid());
    terminal.signal(Signal::SIGUSR1);
    trigger(&mut terminal);
    assert_eq!(terminal.exit_code(), 70, "{thread}: {}", terminal.text());
    terminal.check_restored();
    terminal.wait_for("asked for by a failpoint");
    wait_for("the end of all", || all.iter().all(|&pid| !is_alive(pid)).then_some(()));
    let crash = terminal.data_dir().join("crash");
    let report = crash.read_dir().unwrap().next().unwrap().unwrap().path();
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains(&format!("a failpoint: {thread}")), "{report}");
}

#[test]
fn a_panic_of_any_thread_gives_the_terminal_back_and_ends_the_office() {
    check_panic("ui", |_| {});
    // Its next key, frame or turn is the end of a thread.
    check_panic("keys", |terminal| {
        // The signal may arrive after the first key.
        wait_for("a key that kills", || {
            terminal.press("g");
            (!terminal.lock().screen().alternate_screen()).then_some(())
        });
    });
    check_panic("terminal", |_| {});
    check_panic("director", |_| {});
    check_panic("control", |terminal| {
        let data_dir = terminal.data_dir().display().to_string();
        wait_for("a question that kills", || {
            run(&["ctl", "status", "--data-dir", &data_dir]);
            (!terminal.lock().screen().alternate_screen()).then_some(())
        });
    });
}

#[test]
fn a_guard_that_is_killed_is_replaced() {
    let mut terminal = Terminal::open(120, 40, &["--log-file", "log"]);
    terminal.wait_for("▶ RUN");
    let guard_of = |pid| {
        let is_guard = |pid: &Pid| {
            arguments(*pid)
                .is_some_and(|args| args.get(1).is_some_and(|arg| arg == "terminal-guard"))
        };
        descendants(pid).into_iter().find(is_guard)
    };
    let first = wait_for("a guard", || guard_of(terminal.pid()));
    kill(first, Signal::SIGKILL).unwrap();
    wait_for("another guard", || guard_of(terminal.pid()).filter(|pid| *pid != first));
    let log = terminal.dir().join("log");
    wait_for("a word in the log", || {
        let text = std::fs::read_to_string(&log).unwrap();
        text.contains("the terminal's guard was gone").then_some(())
    });
    terminal.signal(Signal::SIGKILL);
    terminal.exit_code();
    terminal.check_restored();
}

#[test]
fn a_signal_suspends_like_the_key_does() {
    let mut terminal = Terminal::open(80, 24, &[]);
    terminal.wait_for("▶ RUN");
    terminal.signal(Signal::SIGTSTP);
    wait_for("the stop", || is_stopped(terminal.pid()).then_some(()));
    terminal.check_restored();
    terminal.signal(Signal::SIGCONT);
    wait_for("the other screen", || terminal.lock().screen().alternate_screen().then_some(()));
    terminal.wait_for("▶ RUN");
    // Three times is at once.
    terminal.press("\x03\x03\x03");
    assert_eq!(terminal.exit_code(), 0);
    terminal.check_restored();
}

#[test]
fn a_suspended_dashboard_gives_the_terminal_back_and_returns() {
    let mut terminal = Terminal::open(80, 24, &[]);
    terminal.wait_for("▶ RUN");
    terminal.press("\x1a");
    terminal.check_restored();
    // A shell too goes on only with what has stopped.
    wait_for("the stop", || is_stopped(terminal.pid()).then_some(()));
    terminal.signal(Signal::SIGCONT);
    wait_for("the other screen", || terminal.lock().screen().alternate_screen().then_some(()));
    terminal.wait_for("▶ RUN");
    terminal.signal(Signal::SIGTERM);
    assert_eq!(terminal.exit_code(), 128 + 15);
}
