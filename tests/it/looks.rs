//! How a dashboard looks and behaves as it was told to: colours, characters, lines, preferences.

use std::process::Command;

use nix::sys::termios::LocalFlags;

use crate::support::terminal::{Setup, Terminal};
use crate::support::{Office, PROGRAM, wait_for};

/// Ends a run at once.
fn end(terminal: &mut Terminal) {
    terminal.press("Qy");
    assert_eq!(terminal.exit_code(), 0);
    terminal.check_restored();
}

/// Runs an office until it has drawn, and returns all that the terminal got.
fn drawn(setup: Setup) -> String {
    let mut terminal = setup.open();
    terminal.wait_for("RUN");
    end(&mut terminal);
    String::from_utf8_lossy(&terminal.received()).into_owned()
}

/// Returns the numbers of all sequences that change colours or weights.
fn pens(text: &str) -> Vec<Vec<u16>> {
    let sequences = text.split("\x1b[").skip(1).filter_map(|rest| {
        let end = rest.find(|char: char| char != ';' && !char.is_ascii_digit())?;
        rest[end..].starts_with('m').then_some(&rest[..end])
    });
    let numbers = |codes: &str| codes.split(';').map(|code| code.parse().unwrap_or(0)).collect();
    sequences.map(numbers).collect()
}

fn has_colors(text: &str) -> bool {
    pens(text).iter().flatten().any(|code| *code >= 30)
}

#[test]
fn colours_are_used_where_they_are_wanted() {
    assert!(has_colors(&drawn(Setup::office(100, 30))));
    assert!(!has_colors(&drawn(Setup::office(100, 30).env("NO_COLOR", "1"))));
    assert!(!has_colors(&drawn(Setup::office(100, 30).args(&["--color", "never"]))));
    let always = Setup::office(100, 30).env("NO_COLOR", "1").args(&["--color", "always"]);
    assert!(has_colors(&drawn(always)));
    let dark = drawn(Setup::office(100, 30).args(&["--theme", "dark"]));
    assert!(dark.contains("48;5;") && !dark.contains("48;2;"), "256 colours, as TERM says");
    let setup = Setup::office(100, 30).args(&["--theme", "dark"]);
    let direct = drawn(setup.env("COLORTERM", "truecolor"));
    assert!(direct.contains("48;2;17;21;28"), "any colour, as COLORTERM says");
}

#[test]
fn nothing_but_ascii_is_sent_where_nothing_else_can_be_shown() {
    for setup in [
        Setup::office(120, 40).env("LC_ALL", "C"),
        Setup::office(120, 40).args(&["--charset", "ascii"]),
    ] {
        let text = drawn(setup);
        assert!(text.is_ascii(), "{:?}", text.chars().find(|char| !char.is_ascii()));
        assert!(text.contains("> RUN"));
    }
}

#[test]
fn a_dashboard_that_only_looks_changes_nothing() {
    let mut terminal = Terminal::open(120, 40, &["--read-only"]);
    terminal.wait_for("▶ RUN");
    terminal.press("p");
    terminal.wait_for("started with --read-only");
    // Nothing asks for a number that 5 could be typed into, so it is a screen.
    terminal.press("u5");
    terminal.wait_for("[5 Net]");
    assert!(!terminal.text().contains("PAUSED"));
    end(&mut terminal);
}

#[test]
fn a_dumb_terminal_gets_lines_and_takes_commands_as_lines() {
    let mut terminal = Setup::office(100, 40).env("TERM", "dumb").open();
    terminal.wait_for("running");
    terminal.press("pause\r");
    terminal.wait_for(" paused");
    terminal.press("users 200\r");
    terminal.wait_for("200 users asked for");
    terminal.press("help\r");
    terminal.wait_for("workers N");
    terminal.press("zoom\r");
    terminal.wait_for("is about a screen");
    terminal.press("quit-now\r");
    terminal.wait_for("Answer yes or no.");
    terminal.press("yes\r");
    assert_eq!(terminal.exit_code(), 0);
    let text = String::from_utf8_lossy(&terminal.received()).into_owned();
    assert!(!text.contains('\x1b'), "no cursor moves, no colours, no other screen");
    assert!(text.contains("served a second"));
    terminal.check_restored();
}

#[test]
fn lines_go_into_a_pipe_too() {
    let office = Office::new();
    let data_dir = office.data_dir().display().to_string();
    let output = office.run_tool(&["--plain", "--duration", "1s", "--data-dir", &data_dir]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for words in [" running", "served a second", " draining", " stopped", "completed"] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    assert!(!text.contains('\x1b'));
}

#[test]
fn what_a_person_chose_is_kept_and_the_command_line_wins() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("postoffice-tui/preferences.ini");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let written = "; mine\n[dashboard]\ntheme = light\nnonsense\n\n[keys]\npause = P\n";
    std::fs::write(&file, written).unwrap();
    let setup = || Setup::office(120, 40).env("XDG_CONFIG_HOME", home.path().to_str().unwrap());
    let log = home.path().join("log");
    let mut terminal = setup().args(&["--log-file", log.to_str().unwrap()]).open();
    terminal.wait_for("▶ RUN");
    assert!(std::fs::read_to_string(&log).unwrap().contains("line 4 is ignored: nonsense"));
    terminal.press("P");
    terminal.wait_for("PAUSED");
    terminal.press("t");
    terminal.wait_for("theme high-contrast");
    end(&mut terminal);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert_eq!(kept, written.replace("theme = light", "theme = high-contrast"));
    let mut terminal = setup().args(&["--theme", "mono"]).open();
    terminal.wait_for("▶ RUN");
    terminal.press("t");
    terminal.wait_for("theme ansi");
    end(&mut terminal);
}

/// What every frame ends with.
const END_FRAME: &[u8] = b"\x1b[?2026l";

#[test]
fn a_storm_of_sizes_ends_in_the_right_picture() {
    let mut terminal = Terminal::open(120, 40, &[]);
    terminal.wait_for("▶ RUN");
    // Frozen, it shows the same whatever the office does.
    terminal.press("f");
    terminal.wait_for("FROZEN");
    for step in 0_u16..50 {
        terminal.resize(1 + step * 37 % 211, 1 + step * 23 % 67);
    }
    terminal.resize(110, 35);
    let picture = wait_for("the picture of the last size", || {
        let text = terminal.text();
        let lines: Vec<&str> = text.lines().collect();
        let is_whole =
            lines.len() == 35 && lines[1].contains("FROZEN") && lines[34].contains("live");
        (is_whole && terminal.received().ends_with(END_FRAME)).then_some(text)
    });
    let clears = |terminal: &Terminal| {
        let bytes = terminal.received();
        bytes.windows(4).filter(|bytes| *bytes == b"\x1b[2J").count()
    };
    let before = clears(&terminal);
    terminal.press("\x0c");
    wait_for("a new picture", || (clears(&terminal) > before).then_some(()));
    wait_for("the same picture", || (terminal.text() == picture).then_some(()));
    end(&mut terminal);
}

/// Returns whether a program is there to be tried with.
fn has(program: &str) -> bool {
    let is_there = Command::new(program).arg("-V").output().is_ok();
    if !is_there {
        eprintln!("there is no {program} here; not tried");
    }
    is_there
}

#[test]
fn it_runs_inside_tmux_and_screen() {
    let socket = format!("postoffice-test-{}", std::process::id());
    let tmux = || {
        let args = ["-L", &socket, "-f", "/dev/null", "new-session", PROGRAM, "--data-dir", "data"];
        Setup::program("tmux", 120, 40).args(&args)
    };
    let screen = || {
        let args = ["-c", "/dev/null", "-U", PROGRAM, "--data-dir", "data"];
        Setup::program("screen", 120, 40).args(&args)
    };
    for (program, setup) in [("tmux", &tmux as &dyn Fn() -> Setup), ("screen", &screen)] {
        if !has(program) {
            continue;
        }
        let mut terminal = setup().open();
        terminal.wait_for("RUN");
        let text = terminal.text();
        assert!(!text.contains("2026"), "{program} shows no part of what it does not know: {text}");
        terminal.press("?");
        terminal.wait_for("Freeze arrivals");
        // Together with the next key it would be another one.
        terminal.press("\x1b");
        wait_for("the help's end", || (!terminal.text().contains("Freeze arrivals")).then_some(()));
        terminal.press("Qy");
        assert_eq!(terminal.exit_code(), 0, "{program}: {}", terminal.text());
    }
}

#[test]
fn a_terminal_keeps_its_line_settings_where_lines_are_typed() {
    let mut terminal = Setup::office(80, 24).args(&["--plain"]).open();
    terminal.wait_for("running");
    assert!(terminal.local_flags().contains(LocalFlags::ICANON | LocalFlags::ECHO));
    terminal.press("quit-now\ryes\r");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn the_doctor_says_what_can_be_done_here() {
    let office = Office::new();
    let data_dir = office.data_dir().display().to_string();
    let output = office.run_tool(&["doctor", "--json", "--data-dir", &data_dir]);
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let is_ok = verdict["ok"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!is_ok)));
    let checks = verdict["checks"].as_array().unwrap();
    let found = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(found("terminal")["grade"], "warn", "its output is a pipe");
    for name in ["colours", "characters", "data directory", "room", "sync", "clock"] {
        assert!(found(name)["found"].is_string(), "{name}");
    }
    assert!(!office.data_dir().exists(), "it looks and leaves nothing");
    // What can't be written is bad, even for those who may write everywhere.
    let output = office.run_tool(&["doctor", "--data-dir", "/proc/office"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("  bad   "));
}
