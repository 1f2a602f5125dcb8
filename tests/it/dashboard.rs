//! The dashboard in a terminal: keys in, screen out, and the office that is steered.

use crate::support::run;
use crate::support::terminal::Terminal;

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
    terminal.press("w+");
    terminal.wait_for("workers 5 ");
    terminal.press("\r");
    // The setting before that comes back.
    terminal.press("\x1f");
    terminal.wait_for("workers 4 ");
    terminal.press("?");
    terminal.wait_for("Freeze arrivals and dispatch");
    terminal.press("?jjKK");
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
    let data_dir = terminal.data_dir().display().to_string();
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
    let exports = terminal.data_dir().join("exports");
    terminal.press("e\r");
    terminal.wait_for("exported to ");
    let folder = crate::export::only_folder(&exports);
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"phase\": \"running\"") && manifest.contains("the run goes on"));
    assert!(folder.join("report.html").is_file() && folder.join("tickets.csv").is_file());
    // Where nothing can be written the run goes on too.
    std::fs::rename(&exports, terminal.dir().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(terminal.dir(), &exports).unwrap();
    terminal.press("e\r");
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
    for (cols, rows, words) in [(50, 15, "tickets/s"), (20, 5, "waiting"), (120, 40, "Log on disk")]
    {
        terminal.resize(cols, rows);
        terminal.wait_for(words);
    }
    terminal.press("\x03\x03");
    assert_eq!(terminal.exit_code(), 0);
    terminal.check_restored();
}
