//! Mistakes are told, with an exit code that says of what kind, and nothing is started.

use std::process::Command;

use crate::support::{Office, PROGRAM, run, stderr};

/// Makes sure that a command fails with a code and says all of some words.
fn check(args: &[&str], code: i32, words: &[&str]) {
    let output = run(args);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?} should say {word:?}: {said}");
    }
}

#[test]
fn a_scenario_with_mistakes_starts_nothing() {
    let office = Office::new();
    let file = office.scenario("[office]\nwrokers = 3\nroom = 0\n[nonsense]\n");
    let data_dir = office.data_dir().display().to_string();
    let words = [
        "scenario.ini:2: office.wrokers: unknown key; did you mean office.workers?",
        "scenario.ini:3: office.room: 0 is not a whole number from 1",
        "scenario.ini:4: [nonsense]: unknown section",
    ];
    check(&["--headless", "-s", &file, "--data-dir", &data_dir], 2, &words);
    assert!(!office.data_dir().exists(), "nothing was started");
    check(&["scenario", "check", &file], 2, &words);
}

#[test]
fn the_command_line_is_checked_too() {
    check(&["--headless", "-w", "0"], 2, &["--workers 0: office.workers: 0 is not a whole number"]);
    check(&["--headless", "--set", "office.rooms=5"], 2, &["did you mean office.room?"]);
    check(&["--headless", "-d", "5"], 2, &["--duration 5", "a span such as 20ms"]);
    check(&["--headless", "-s", "stedy"], 2, &["did you mean steady?", "scenario list"]);
    check(&["--headless", "-s", "no/such/file.ini"], 2, &["no/such/file.ini", "No such file"]);
    check(&["--no-such-option"], 2, &["--no-such-option"]);
    check(&["--json"], 2, &["--headless"]);
}

#[test]
fn without_a_terminal_there_is_no_dashboard() {
    check(&[], 2, &["there is no terminal here", "--headless"]);
}

#[test]
fn a_place_that_can_not_hold_data_is_named() {
    let office = Office::new();
    let file = office.scenario("");
    check(&["--headless", "-d", "1s", "--data-dir", &file], 7, &[&file, "--data-dir"]);
    let full = office.path("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("x"), "").unwrap();
    let full = full.display().to_string();
    let data_dir = office.data_dir().display().to_string();
    let occupied = ["--headless", "-d", "1s", "--data-dir", &full];
    check(&occupied, 2, &[&full, "is not a data directory: x is in it"]);
    assert!(!office.path("full").join("run").exists(), "nothing was made in it");
    assert!(!office.data_dir().exists(), "nothing was started");
    check(&["verify", "--data-dir", &data_dir], 2, &["there is no log in", &data_dir]);
}

#[test]
fn roles_are_not_for_people() {
    check(&["worker"], 2, &["started by postoffice-tui itself"]);
    check(&["worker", "--id", "1", "--parent", "1"], 2, &["started by postoffice-tui itself"]);
}

#[test]
fn scenarios_are_listed_shown_and_explained() {
    for (args, word) in [
        (&["scenario", "list"][..], "rush-hour"),
        (&["scenario", "show", "steady", "-w", "9"], "; --workers 9"),
        (&["scenario", "check", "durable"], "valid"),
        (&["scenario", "explain"], "max_processes"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(word), "{args:?}");
    }
}

#[test]
fn what_can_not_be_written_is_told_and_has_the_disks_exit_code() {
    for args in [&["scenario", "list"][..], &["sysinfo"], &["scenario", "explain"]] {
        let full = std::fs::File::create("/dev/full").unwrap();
        let output = Command::new(PROGRAM).args(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{args:?}");
        assert!(stderr(&output).contains("No space left"), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_service_may_not_be_called_what_tables_call_all_of_them() {
    let office = Office::new();
    let scenario = office.scenario("[service.all]\ntime = 1ms\n[load.l]\nusers = 1\n");
    check(&["scenario", "check", &scenario], 2, &["service.all", "choose another name"]);
}
