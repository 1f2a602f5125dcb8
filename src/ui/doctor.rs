//! What `doctor` says of the terminal: what the dashboard would do here, and why.
//!
//! Nothing is asked of the terminal itself, as an answer may never come: the environment has to do.

use std::io::IsTerminal;

use super::options::env;
use super::preferences::Preferences;
use super::registry::Keymap;
use super::theme::{self, Depth};
use super::{plain, terminal};
use crate::app::doctor::Check;
use crate::app::view_args::{Charset, When};

const GROUP: &str = "terminal";
/// A terminal of this size shows a border around every panel.
const ROOMY: (u16, u16) = (80, 24);

/// Terminals that take a frame as a whole (DEC mode 2026) and a text for the clipboard (OSC 52), by
/// what they call themselves in `TERM_PROGRAM` or `TERM`.
const CAPABLE: [&str; 8] =
    ["kitty", "wezterm", "iterm", "foot", "alacritty", "ghostty", "contour", "rio"];

/// Looks at the terminal of this process.
pub(crate) fn look() -> Vec<Check> {
    let has_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let size = terminal::size().filter(|_| has_terminal);
    let mut checks = checks(has_terminal, size, env);
    if let Some(place) = Preferences::path(env) {
        checks.extend(preferences_checks(&place.display().to_string(), Preferences::load(&place)));
    }
    checks
}

fn checks(
    has_terminal: bool,
    size: Option<(u16, u16)>,
    get: impl Fn(&str) -> Option<String>,
) -> Vec<Check> {
    let term = get("TERM").filter(|term| !term.is_empty());
    let check = |name: &str, found: String| Check::ok(GROUP, name, found);
    let mut checks = vec![terminal_check(has_terminal, term.as_deref(), &get)];
    match size {
        Some((columns, rows)) => {
            let check = check("size", format!("{columns} columns, {rows} rows"));
            checks.push(if columns < ROOMY.0 || rows < ROOMY.1 {
                check.warn("from 80x24 on there is room for panels side by side")
            } else {
                check
            });
        }
        None if has_terminal => checks.push(
            check("size", "it does not say".to_owned()).warn("80x24 is assumed; see stty size"),
        ),
        None => {}
    }
    let (depth, why) = theme::depth(When::Auto, &get);
    let colors = check("colours", format!("{}: {why}", depth.name()));
    checks.push(match depth {
        Depth::None => {
            colors.warn("weight and words carry all meaning; --color always forces them")
        }
        Depth::Sixteen => colors.warn("if it shows more, set COLORTERM=truecolor"),
        _ => colors,
    });
    let (is_utf8, why) = theme::charset(Charset::Auto, &get);
    let set = if is_utf8 { "UTF-8" } else { "ASCII" };
    let set = check("characters", format!("{set}: {why}"));
    checks.push(if is_utf8 { set } else { set.warn("--charset utf8 draws finer charts") });
    checks.extend(abilities(term.as_deref().unwrap_or_default(), &get));
    checks
}

fn terminal_check(
    has_terminal: bool,
    term: Option<&str>,
    get: impl Fn(&str) -> Option<String>,
) -> Check {
    let check = |found: String| Check::ok(GROUP, "terminal", found);
    if !has_terminal {
        return check("standard input or output is no terminal".to_owned())
            .warn("run with --headless, or with --plain for lines");
    }
    match term {
        None => check("TERM is not set".to_owned()).warn("set TERM, such as xterm-256color"),
        Some(term) if plain::is_needed(&get) => {
            check(format!("TERM is {term}")).warn("there will be plain lines, as with --plain")
        }
        Some(term) => {
            let inside = [("TMUX", " inside tmux"), ("STY", " inside screen")];
            let is_set = |name: &&(&str, &str)| get(name.0).is_some_and(|value| !value.is_empty());
            let inside = inside.iter().find(is_set).map_or("", |(_, text)| text);
            check(format!("TERM is {term}{inside}"))
        }
    }
}

/// What can only be guessed from what a terminal calls itself.
fn abilities(term: &str, get: impl Fn(&str) -> Option<String>) -> Vec<Check> {
    let program = get("TERM_PROGRAM").unwrap_or_default().to_lowercase();
    let names = format!("{program} {}", term.to_lowercase());
    let is_capable = CAPABLE.iter().any(|name| names.contains(name));
    let is_tmux = get("TMUX").is_some_and(|value| !value.is_empty()) || program == "tmux";
    let is_vte = get("VTE_VERSION").is_some_and(|value| !value.is_empty());
    let check = |name: &str, found: &str| Check::ok(GROUP, name, found);
    let frames = match (is_capable, is_vte || is_tmux) {
        (true, _) => "frames are shown as a whole (mode 2026)",
        (_, true) => "newer versions show frames as a whole (mode 2026); older ones ignore it",
        _ => "not known; a terminal without mode 2026 ignores it",
    };
    let mouse = if matches!(term, "linux" | "dumb" | "vt100" | "vt220") {
        check("mouse", "this terminal tells of none").warn("every command has a key")
    } else {
        check("mouse", "expected; key m or --no-mouse leaves it to the terminal")
    };
    let clipboard = match () {
        () if is_tmux => check("clipboard", "by OSC 52, through tmux")
            .warn("tmux passes it on with: set -s set-clipboard on"),
        () if is_capable => check("clipboard", "by OSC 52, as this terminal's settings allow"),
        () if is_vte => check("clipboard", "this terminal takes no text by OSC 52")
            .warn("key m gives the mouse to the terminal, which can select"),
        () if term.starts_with("xterm") => {
            check("clipboard", "by OSC 52, if the terminal takes it")
                .warn("xterm itself takes it with: XTerm*disallowedWindowOps: 20,21")
        }
        () => check("clipboard", "not known").warn("the terminal can select with key m"),
    };
    vec![check("synchronized output", frames), mouse, clipboard]
}

fn preferences_checks(place: &str, loaded: std::io::Result<Preferences>) -> Vec<Check> {
    let check = |found: String| Check::ok(GROUP, "preferences", found);
    let preferences = match loaded {
        Ok(preferences) => preferences,
        Err(error) => {
            let check = check(format!("{place} can't be read: {error}"));
            return vec![check.warn("the dashboard goes on without it")];
        }
    };
    let mut problems = preferences.choices().1;
    problems.extend(Keymap::read(preferences.keys()).1);
    if problems.is_empty() {
        return vec![check(place.to_owned())];
    }
    let line = |problem: String| check(place.to_owned()).warn(problem);
    problems.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Grade;

    fn found(
        has_terminal: bool,
        size: Option<(u16, u16)>,
        vars: &[(&str, &str)],
    ) -> impl Fn(&str) -> (Grade, String) {
        let get = |name: &str| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let checks = checks(has_terminal, size, get);
        move |name: &str| {
            let check = checks.iter().find(|check| check.name == name).unwrap();
            (check.grade, check.found.clone())
        }
    }

    #[test]
    fn a_good_terminal_has_no_complaints() {
        let vars = [("TERM", "xterm-kitty"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")];
        let of = found(true, Some((160, 45)), &vars);
        for name in ["terminal", "size", "colours", "characters", "mouse", "clipboard"] {
            assert_eq!(of(name).0, Grade::Ok, "{name}: {}", of(name).1);
        }
    }

    #[test]
    fn what_is_less_than_it_could_be_is_told() {
        let of = found(true, Some((60, 20)), &[("TERM", "linux"), ("NO_COLOR", "1")]);
        assert_eq!(of("size"), (Grade::Warn, "60 columns, 20 rows".to_owned()));
        assert_eq!(of("colours"), (Grade::Warn, "no colours: NO_COLOR is set".to_owned()));
        assert_eq!(of("characters").0, Grade::Warn);
        assert_eq!(of("mouse").0, Grade::Warn);
        assert_eq!(found(true, None, &[])("terminal").1, "TERM is not set");
        assert_eq!(found(false, None, &[])("terminal").0, Grade::Warn);
        assert_eq!(found(true, None, &[("TERM", "dumb")])("terminal").0, Grade::Warn);
        let of = found(true, Some((80, 24)), &[("TERM", "tmux-256color"), ("TMUX", "/tmp/x,1,0")]);
        assert_eq!(of("terminal").1, "TERM is tmux-256color inside tmux");
        assert_eq!(of("clipboard").0, Grade::Warn);
    }

    #[test]
    fn each_line_of_preferences_that_means_nothing_is_told() {
        let preferences = Preferences::read("[dashboard]\ntheme = shiny\n[keys]\ndance = d\n");
        let checks = preferences_checks("p.ini", Ok(preferences));
        assert_eq!(checks.len(), 2);
        assert!(checks.iter().all(|check| check.grade == Grade::Warn));
        let fine = preferences_checks("p.ini", Ok(Preferences::default()));
        assert_eq!(fine[0].grade, Grade::Ok);
    }
}
