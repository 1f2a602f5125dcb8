//! What a person prefers, kept from one run to the next:
//! `$XDG_CONFIG_HOME/postoffice-tui/preferences.ini`.
//!
//! The command line wins over it. A line that means nothing is told with its number and ignored,
//! and stays when the file is written again, like all that the dashboard did not change: comments,
//! order, and lines of a newer version. It is written to a new file that takes the old one's place.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::view_args::{ThemeName, WINDOWS};

/// The longest file that is read.
const BYTES_MAX: u64 = 64 * 1024;
/// Lines above a file that the dashboard has made.
const HEAD: &str =
    "; Preferences of postoffice-tui's dashboard; the command line wins over them.\n";

/// The dashboard's own section, and those of tables and keys.
const DASHBOARD: &str = "dashboard";
const SORT: &str = "sort";
const KEYS: &str = "keys";

/// What a person chose in a dashboard, or a file says that they did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    pub(crate) theme: Option<ThemeName>,
    pub(crate) window: Option<Duration>,
    pub(crate) has_mouse: Option<bool>,
    /// Redraws a second at most.
    pub(crate) fps: Option<u8>,
    /// By a table's name: the column from one, and whether from the greatest down.
    pub(crate) sorts: BTreeMap<String, (usize, bool)>,
}

/// The file, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    lines: Vec<String>,
}

/// One `key = value` of a section.
struct Line<'a> {
    /// From one.
    number: usize,
    key: &'a str,
    value: &'a str,
}

impl Preferences {
    /// Returns where preferences are kept; `None` without a home.
    pub(crate) fn path(get: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let absolute = |name: &str| get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = absolute("XDG_CONFIG_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
        Some(config.join("postoffice-tui/preferences.ini"))
    }

    /// Reads a file; one that is not there is empty.
    ///
    /// # Errors
    /// If it can't be read, or is longer than any such file.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Ok(found) if found.len() > BYTES_MAX => {
                return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
            }
            _ => {}
        }
        Ok(Self::read(&String::from_utf8_lossy(&fs::read(path)?)))
    }

    /// Returns the preferences of a text.
    pub(crate) fn read(text: &str) -> Self {
        Self { lines: text.lines().map(str::to_owned).collect() }
    }

    /// Writes the file so that whoever reads it sees the old one or the new one.
    ///
    /// # Errors
    /// If it can't be made.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        // Where a person has put a link, the file that it leads to is written.
        let place = fs::canonicalize(path);
        let path = place.as_deref().unwrap_or(path);
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let new = path.with_extension(format!("ini.{}", std::process::id()));
        let written = File::create(&new)
            .and_then(|mut file| {
                file.write_all(self.text().as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            // What is half written is of use to nobody.
            let _ = fs::remove_file(&new);
        }
        written
    }

    fn text(&self) -> String {
        let head = if self.lines.is_empty() { HEAD } else { "" };
        let lines = self.lines.iter().map(|line| format!("{line}\n"));
        format!("{head}{}", lines.collect::<String>())
    }

    /// Returns a section's lines in order, of all sections of that name.
    fn section(&self, name: &str) -> impl Iterator<Item = Line<'_>> {
        let mut is_inside = false;
        self.lines.iter().enumerate().filter_map(move |(at, line)| {
            let line = line.trim();
            if let Some(head) = head(line) {
                is_inside = head == name;
                return None;
            }
            let (key, value) = line.split_once('=').filter(|_| is_inside && !is_remark(line))?;
            Some(Line { number: at + 1, key: key.trim(), value: value.trim() })
        })
    }

    /// Returns the keys that commands have instead of their usual ones.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.section(KEYS).map(|line| (line.key, line.value))
    }

    /// Returns what the file says, and what is wrong with it, by line.
    pub(crate) fn choices(&self) -> (Choices, Vec<String>) {
        let mut choices = Choices::default();
        let mut problems = self.strange_lines();
        for Line { number, key, value } in self.section(DASHBOARD) {
            let expected = match key {
                "theme" => take(&mut choices.theme, ThemeName::of(value), "the name of a theme"),
                "window" => {
                    let span = engine::config::span(value).ok();
                    let span = span.filter(|span| WINDOWS.contains(span));
                    take(&mut choices.window, span, "1m, 5m, 15m, 1h or 6h")
                }
                "mouse" => take(&mut choices.has_mouse, flag(value), "on or off"),
                "fps" => {
                    let fps = value.parse().ok().filter(|fps| (1..=30).contains(fps));
                    take(&mut choices.fps, fps, "a number from 1 to 30")
                }
                _ => Some("theme, window, mouse or fps"),
            };
            if let Some(expected) = expected {
                problems.push(problem(number, format!("{key} = {value}"), expected));
            }
        }
        for Line { number, key, value } in self.section(SORT) {
            match order(value) {
                Some(order) => drop(choices.sorts.insert(key.to_owned(), order)),
                None => {
                    let line = format!("{key} = {value}");
                    problems.push(problem(number, &line, "a column's number and up or down"));
                }
            }
        }
        (choices, problems)
    }

    /// Returns what is wrong with lines that are no `key = value` of a section that is known.
    fn strange_lines(&self) -> Vec<String> {
        let mut section = None;
        let mut problems = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let line = line.trim();
            if let Some(name) = head(line) {
                section = Some(name);
                if ![DASHBOARD, SORT, KEYS].contains(&name) {
                    problems.push(problem(at + 1, line, "[dashboard], [sort] or [keys]"));
                }
            } else if !line.is_empty() && !is_remark(line) && !line.contains('=') {
                problems.push(problem(at + 1, line, "key = value"));
            } else if section.is_none() && !line.is_empty() && !is_remark(line) {
                problems.push(problem(at + 1, line, "a section, such as [dashboard], before it"));
            }
        }
        problems
    }

    /// Keeps what differs between two moments; returns whether anything does.
    pub(crate) fn keep(&mut self, before: &Choices, after: &Choices) -> bool {
        let old = self.clone();
        if let Some(theme) = after.theme.filter(|_| after.theme != before.theme) {
            self.set(DASHBOARD, "theme", theme.as_str());
        }
        if let Some(window) = after.window.filter(|_| after.window != before.window) {
            self.set(DASHBOARD, "window", &crate::app::format::window(window));
        }
        if let Some(has_mouse) = after.has_mouse.filter(|_| after.has_mouse != before.has_mouse) {
            self.set(DASHBOARD, "mouse", if has_mouse { "on" } else { "off" });
        }
        for (table, (column, is_down)) in &after.sorts {
            if before.sorts.get(table) != Some(&(*column, *is_down)) {
                let way = if *is_down { "down" } else { "up" };
                self.set(SORT, table, &format!("{column} {way}"));
            }
        }
        *self != old
    }

    /// Gives a key of a section a value, where it stands or at the section's end.
    fn set(&mut self, section: &str, key: &str, value: &str) {
        let line = format!("{key} = {value}");
        // Of several the last one holds.
        let place = self.section(section).filter(|line| line.key == key).last();
        if let Some(number) = place.map(|line| line.number) {
            self.lines[number - 1] = line;
            return;
        }
        let start = self.lines.iter().position(|line| head(line.trim()) == Some(section));
        let Some(start) = start else {
            if self.lines.is_empty() {
                self.lines.push(HEAD.trim_end().to_owned());
            }
            self.lines.extend([String::new(), format!("[{section}]"), line]);
            return;
        };
        let rest = &self.lines[start + 1..];
        let len = rest.iter().position(|line| head(line.trim()).is_some()).unwrap_or(rest.len());
        let blank = rest[..len].iter().rev().take_while(|line| line.trim().is_empty()).count();
        self.lines.insert(start + 1 + len - blank, line);
    }
}

/// Keeps a value that could be read; returns what was expected if it could not.
fn take<T>(
    place: &mut Option<T>,
    value: Option<T>,
    expected: &'static str,
) -> Option<&'static str> {
    if value.is_none() {
        return Some(expected);
    }
    *place = value;
    None
}

fn head(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']').map(str::trim)
}

fn is_remark(line: &str) -> bool {
    line.starts_with([';', '#'])
}

fn problem(number: usize, line: impl Display, expected: &str) -> String {
    format!("line {number} is ignored: {line}; expected {expected}")
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "on" | "yes" | "true" => Some(true),
        "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

fn order(text: &str) -> Option<(usize, bool)> {
    let (column, way) = text.split_once(' ')?;
    let column = column.parse().ok().filter(|column| *column > 0)?;
    match way.trim() {
        "up" => Some((column, false)),
        "down" => Some((column, true)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "; mine\n\n[dashboard]\ntheme = light\n; seldom\nfps=10\n\n\
                           [keys]\npause = Ctrl-s\n\n[sort]\nprocesses = 5 down\n";

    #[test]
    fn what_was_written_is_read() {
        let preferences = Preferences::read(WRITTEN);
        let (choices, problems) = preferences.choices();
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!((choices.theme, choices.fps), (Some(ThemeName::Light), Some(10)));
        assert_eq!((choices.window, choices.has_mouse), (None, None));
        assert_eq!(choices.sorts["processes"], (5, true));
        assert_eq!(preferences.keys().collect::<Vec<_>>(), [("pause", "Ctrl-s")]);
    }

    #[test]
    fn a_line_that_means_nothing_is_named_and_the_rest_holds() {
        let text = "fps = 3\n[dashboard]\ntheme = shiny\nfps = 31\nmouse = off\ngarbage\n\
                    colour = red\n[sort]\nlogs = first\n[future]\nx = 1\n";
        let (choices, problems) = Preferences::read(text).choices();
        assert_eq!(choices, Choices { has_mouse: Some(false), ..Choices::default() });
        let lines: Vec<&str> =
            problems.iter().filter_map(|text| text.split(" is ignored").next()).collect();
        let expected = ["line 1", "line 6", "line 10", "line 3", "line 4", "line 7", "line 9"];
        assert_eq!(lines, expected, "{problems:#?}");
    }

    #[test]
    fn only_what_a_person_changed_is_written() {
        let mut preferences = Preferences::read(WRITTEN);
        let before = Choices { theme: Some(ThemeName::Dark), ..Choices::default() };
        assert!(!preferences.keep(&before, &before));
        let mut after = Choices { has_mouse: Some(false), ..before.clone() };
        after.sorts.insert("processes".to_owned(), (2, false));
        assert!(preferences.keep(&before, &after));
        let expected = WRITTEN
            .replace("fps=10\n", "fps=10\nmouse = off\n")
            .replace("processes = 5 down", "processes = 2 up");
        assert_eq!(preferences.text(), expected);
        let mut empty = Preferences::default();
        empty.keep(&Choices::default(), &after);
        let (read, problems) = Preferences::read(&empty.text()).choices();
        assert_eq!((read, problems), (after, vec![]));
    }

    #[test]
    fn a_file_takes_the_old_ones_place_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/on/the/way/preferences.ini");
        assert_eq!(Preferences::load(&path).unwrap(), Preferences::default());
        Preferences::read(WRITTEN).save(&path).unwrap();
        assert_eq!(Preferences::load(&path).unwrap(), Preferences::read(WRITTEN));
        let others = path.parent().unwrap().read_dir().unwrap().count();
        assert_eq!(others, 1, "nothing else is left");
        assert!(Preferences::default().save(&dir.path().join("made/on")).is_err());
        let link = dir.path().join("link.ini");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        Preferences::read("[sort]\n").save(&link).unwrap();
        assert!(link.is_symlink());
        assert_eq!(Preferences::load(&path).unwrap(), Preferences::read("[sort]\n"));
        fs::write(&path, vec![b'x'; usize::try_from(BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(Preferences::load(&path).is_err());
    }

    #[test]
    fn the_configuration_home_comes_before_the_home() {
        let path = |vars: &[(&str, &str)]| {
            let get = |name: &str| {
                vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            Preferences::path(get).map(|path| path.display().to_string())
        };
        let file = "postoffice-tui/preferences.ini";
        let home = ("HOME", "/h");
        assert_eq!(path(&[home]), Some(format!("/h/.config/{file}")));
        assert_eq!(path(&[home, ("XDG_CONFIG_HOME", "/c")]), Some(format!("/c/{file}")));
        assert_eq!(path(&[home, ("XDG_CONFIG_HOME", "c")]), Some(format!("/h/.config/{file}")));
        assert_eq!(path(&[]), None);
    }
}
