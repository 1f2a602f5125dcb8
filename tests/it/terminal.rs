//! How a dashboard leaves its terminal, whatever ends it.

use nix::sys::signal::Signal;

use crate::support::terminal::{Setup, Terminal};
use crate::support::{descendants, is_alive, is_stopped, wait_for};

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

#[test]
fn a_panic_gives_the_terminal_back_and_ends_the_office_in_order() {
    let office = Setup::office(80, 24).env("POSTOFFICE_FAILPOINT", "dashboard-panic");
    let mut terminal = office.open();
    terminal.wait_for("▶ RUN");
    let all = descendants(terminal.pid());
    terminal.signal(Signal::SIGUSR1);
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
    terminal.signal(Signal::SIGCONT);
    wait_for("the other screen", || terminal.lock().screen().alternate_screen().then_some(()));
    terminal.wait_for("▶ RUN");
    terminal.signal(Signal::SIGTERM);
    assert_eq!(terminal.exit_code(), 128 + 15);
}
