//! Text to a [`Scenario`](super::Scenario): all mistakes at once, each with its place and the
//! nearest valid name.
//!
//! The `ini` crate reads each line by itself, so that every key keeps its line.

use std::collections::BTreeMap;
use std::fmt;

use ini::{Ini, ParseOption};
use serde::{Deserialize, Serialize};

use super::check::Checks;
use super::effective::{Effective, entries};
use super::schema::{ANY, Draft, DraftLoad, DraftService, FUTURE, KEYS, Key, kind_of};

/// Mistakes that are shown; the rest is counted.
const ERRORS_SHOWN: usize = 20;
/// The longest piece of a file that a message repeats.
const QUOTED_CHARS: usize = 60;
/// The longest name of a service or load.
const NAME_CHARS_MAX: usize = 32;
const PLAIN_NAME: &str = "a name has 1 to 32 of a-z, 0-9, _ and -";

/// A file's name and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What messages call it.
    pub name: String,
    /// The scenario's name for people: the file's without its ending.
    pub title: String,
    /// The whole text.
    pub text: String,
}

/// A value from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The option as it was typed, for messages.
    pub option: String,
    /// Which key; [`OverrideKey::Users`] is found in the scenario.
    pub key: OverrideKey,
    /// The value.
    pub value: String,
}

/// Which key an [`Override`] changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverrideKey {
    /// Section and key.
    Named(String, String),
    /// The users of the first closed load, or of the first load.
    Users,
    /// A goal in `[slo]`, under a name that nobody else uses.
    Goal,
}

/// A wish that a key has another value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The section, such as `load.regulars`.
    pub section: String,
    /// The name in the section.
    pub key: String,
    /// The value as a file spells it; `None` is what holds where nobody gives one.
    pub value: Option<String>,
}

impl Assignment {
    /// Reads `section.key=value`; a section may have a dot in its name, a key has none. Nothing
    /// behind the `=` means the default.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn read(text: &str) -> Result<Self, String> {
        let expected = || "expected SECTION.KEY=VALUE, such as office.room=500".to_owned();
        let (path, value) = text.split_once('=').ok_or_else(expected)?;
        let (section, key) = path.rsplit_once('.').ok_or_else(expected)?;
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        Ok(Self { section: section.trim().to_owned(), key: key.trim().to_owned(), value })
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, key, value } = self;
        write!(f, "{section}.{key}={}", value.as_deref().unwrap_or_default())
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the file.
    Line {
        /// The file.
        file: String,
        /// The line, from one.
        line: usize,
    },
    /// An option of the command line.
    Option(String),
    /// Somebody while the office ran.
    Live,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::Option(option) => f.write_str(option),
            Self::Live => f.write_str("live"),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub origin: Origin,
    /// What is wrong, with the key, what was expected and the nearest valid name.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.problem)
    }
}

/// All mistakes of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> =
            self.0.iter().take(ERRORS_SHOWN).map(ConfigError::to_string).collect();
        f.write_str(&lines.join("\n"))?;
        match self.0.len().saturating_sub(ERRORS_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads a scenario.
///
/// # Errors
/// [`ConfigErrors`] with every mistake that was found.
pub fn parse(source: &Source, overrides: &[Override]) -> Result<Effective, ConfigErrors> {
    let mut reading = Reading::default();
    reading.read_lines(source);
    reading.add_implied("service.counter", &[]);
    reading.add_implied("load.regulars", &[("users", "50"), ("think", "exp 830ms")]);
    for change in overrides {
        reading.read_override(change);
    }
    reading.finish(&source.title)
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// A scenario while it is put together.
#[derive(Default)]
pub(super) struct Reading {
    /// Sections in file order, each with its values by key.
    sections: Vec<(String, BTreeMap<String, Given>)>,
    errors: Vec<ConfigError>,
}

impl Reading {
    /// Begins with what is known already.
    pub(super) fn of(sections: Vec<(String, BTreeMap<String, Given>)>) -> Self {
        Self { sections, errors: Vec::new() }
    }

    fn read_lines(&mut self, source: &Source) {
        let mut section = None;
        for (number, line) in (1..).zip(source.text.lines()) {
            let origin = Origin::Line { file: source.name.clone(), line: number };
            match read_line(line) {
                Ok(Line::Nothing) => {}
                Ok(Line::Section(name)) => section = self.open_section(&name, &origin),
                Ok(Line::Value(key, value)) => match section {
                    Some(Some(at)) => self.read_value(at, &key, value, &origin),
                    Some(None) => {}
                    None => {
                        self.error(&origin, "a key stands before the first [section]".to_owned())
                    }
                },
                Err(problem) => self.error(&origin, problem),
            }
        }
    }

    /// Returns the section's place; `Some(None)` if it is not one, so that its keys are skipped.
    #[expect(clippy::option_option, reason = "no section yet, an invalid one, or a valid one")]
    fn open_section(&mut self, name: &str, origin: &Origin) -> Option<Option<usize>> {
        if let Some(at) = self.sections.iter().position(|(known, _)| known == name) {
            return Some(Some(at));
        }
        match check_section(name) {
            Ok(()) => {
                self.sections.push((name.to_owned(), BTreeMap::new()));
                Some(Some(self.sections.len() - 1))
            }
            Err(problem) => {
                self.error(origin, problem);
                Some(None)
            }
        }
    }

    fn read_value(&mut self, at: usize, key: &str, value: String, origin: &Origin) {
        let section = self.sections[at].0.clone();
        match find_key(&section, key).and_then(|at| check_line(key, &value).map(|()| at)) {
            Err(problem) => self.error(origin, problem),
            Ok(_) => {
                let given = Given { value, origin: origin.clone() };
                let is_file = matches!(origin, Origin::Line { .. });
                if let Some(first) = self.sections[at].1.get(key)
                    && is_file
                {
                    let problem = format!(
                        "{section}.{key}: the key is given twice; it stands at {} too",
                        first.origin
                    );
                    return self.error(origin, problem);
                }
                self.sections[at].1.insert(key.to_owned(), given);
            }
        }
    }

    fn read_override(&mut self, change: &Override) {
        let origin = Origin::Option(change.option.clone());
        let (section, key) = match &change.key {
            OverrideKey::Named(section, key) => (section.clone(), key.clone()),
            OverrideKey::Users => (self.steered_load(), "users".to_owned()),
            OverrideKey::Goal => ("slo".to_owned(), self.free_goal_name()),
        };
        if let Some(at) = self.find_section(&section, &origin) {
            self.read_value(at, &key, change.value.clone(), &origin);
        }
    }

    /// Gives a key another value, or none.
    pub(super) fn assign(&mut self, assignment: &Assignment, origin: &Origin) {
        let Assignment { section, key, value } = assignment;
        let Some(at) = self.find_section(section, origin) else { return };
        let line = check_line(key, value.as_deref().unwrap_or_default());
        match (find_key(section, key).and_then(|at| line.map(|()| at)), value) {
            (Err(problem), _) => self.error(origin, problem),
            (Ok(_), Some(value)) => {
                let given = Given { value: value.clone(), origin: origin.clone() };
                self.sections[at].1.insert(key.clone(), given);
            }
            (Ok(_), None) => {
                self.sections[at].1.remove(key);
            }
        }
    }

    /// Returns the place of a section that an option or a person names. Named ones must be there.
    fn find_section(&mut self, section: &str, origin: &Origin) -> Option<usize> {
        let at = self.sections.iter().position(|(known, _)| known == section);
        if at.is_none() && section.contains('.') {
            let kind = kind_of(section);
            let known = self.sections.iter().map(|(name, _)| name.as_str());
            let known: Vec<&str> = known.filter(|name| kind_of(name) == kind).collect();
            let known = if known.is_empty() { "none" } else { &known.join(", ") };
            let problem = format!("{section}: there is no such section; there are: {known}");
            self.error(origin, problem);
            return None;
        }
        at.or_else(|| self.open_section(section, origin).flatten())
    }

    fn free_goal_name(&self) -> String {
        let goals = self.sections.iter().find(|(name, _)| name == "slo");
        let is_free = |name: &String| goals.is_none_or(|(_, goals)| !goals.contains_key(name));
        let names = (1_u32..).map(|number| format!("goal{number}"));
        names.into_iter().find(is_free).unwrap_or_default()
    }

    /// Returns the load whose users people mean when they say users.
    fn steered_load(&self) -> String {
        let mut loads = self.sections.iter().filter(|(name, _)| kind_of(name) == "load.*");
        let is_closed = |values: &BTreeMap<String, Given>| {
            values.get("model").is_none_or(|given| given.value == "closed")
        };
        let first = loads.clone().next();
        loads
            .find(|(_, values)| is_closed(values))
            .or(first)
            .map_or_else(String::new, |(name, _)| name.clone())
    }

    /// Reads all values and looks at them together.
    pub(super) fn finish(mut self, title: &str) -> Result<Effective, ConfigErrors> {
        let mut draft = Draft::default();
        let sections = std::mem::take(&mut self.sections);
        for (section, values) in &sections {
            let at = begin_section(&mut draft, section);
            for (key, given) in values {
                let Ok(known) = find_key(section, key) else { continue };
                let at = if known.name == ANY { draft.begin_goal(key) } else { at };
                if let Err(expected) = (known.read)(&mut draft, at, &given.value) {
                    let found = quote(&given.value);
                    let problem = format!("{section}.{key}: {found} is not {expected}");
                    self.error(&given.origin, problem);
                }
            }
        }
        let at = |section: &str, key: &str| {
            let values =
                sections.iter().find(|(name, _)| name == section).map(|(_, values)| values);
            let given = values.and_then(|values| values.get(key));
            given.map_or(Origin::Default, |given| given.origin.clone())
        };
        let scenario = Checks { draft, origin_of: &at, errors: &mut self.errors }.scenario();
        if !self.errors.is_empty() {
            self.errors.sort_by_key(|error| match error.origin {
                Origin::Line { line, .. } => line,
                Origin::Default | Origin::Option(_) | Origin::Live => usize::MAX,
            });
            return Err(ConfigErrors(self.errors));
        }
        let entries = entries(&sections);
        Ok(Effective { title: title.to_owned(), scenario, entries })
    }

    /// Adds what a scenario has that names no section of a kind.
    fn add_implied(&mut self, section: &str, values: &[(&'static str, &str)]) {
        let kind = kind_of(section);
        if self.sections.iter().any(|(name, _)| kind_of(name) == kind) {
            return;
        }
        let given = |value: &str| Given { value: value.to_owned(), origin: Origin::Default };
        let values = values.iter().map(|&(key, value)| (key.to_owned(), given(value)));
        self.sections.push((section.to_owned(), values.collect()));
    }

    fn error(&mut self, origin: &Origin, problem: String) {
        self.errors.push(ConfigError { origin: origin.clone(), problem });
    }
}

/// Makes the draft ready for a section and returns the section's number among its kind.
fn begin_section(draft: &mut Draft, section: &str) -> usize {
    match section.split_once('.') {
        Some(("service", name)) => {
            draft.services.push(DraftService::new(name));
            draft.services.len() - 1
        }
        Some(("load", name)) => {
            draft.loads.push(DraftLoad::new(name));
            draft.loads.len() - 1
        }
        _ => 0,
    }
}

/// What a line of a file is.
enum Line {
    Nothing,
    Section(String),
    Value(String, String),
}

fn read_line(line: &str) -> Result<Line, String> {
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err("the line has a control character in it; write plain text".to_owned());
    }
    let options =
        ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    let parsed = Ini::load_from_str_opt(line.trim(), options)
        .map_err(|_| format!("{} is neither [section] nor key = value", quote(line.trim())))?;
    if let Some((key, value)) = parsed.general_section().iter().next() {
        return Ok(Line::Value(key.trim().to_owned(), value.trim().to_owned()));
    }
    let section = parsed.sections().flatten().next();
    Ok(section.map_or(Line::Nothing, |name| Line::Section(name.trim().to_owned())))
}

/// Makes sure that a key and its value say the same in a file, where they are written for other
/// processes and for people: on one line, and none of it a comment.
fn check_line(key: &str, value: &str) -> Result<(), String> {
    let value = value.trim();
    match read_line(&format!("{key} = {value}")) {
        Ok(Line::Value(found, is)) if found == key && is == value => Ok(()),
        _ => Err(format!(
            "{}: it can't stand on one line of a file",
            quote(&format!("{key} = {value}"))
        )),
    }
}

fn check_section(section: &str) -> Result<(), String> {
    let kind = kind_of(section);
    if is_future(&kind, "") {
        return Err(format!("[{section}]: the section is not built yet"));
    }
    if !KEYS.iter().any(|key| key.section == kind) {
        let mut kinds: Vec<&str> = KEYS.iter().map(|key| key.section).collect();
        kinds.dedup();
        let near = nearest(&kind, kinds.iter().copied());
        let hint = near.map_or_else(
            || format!("; there are {}", kinds.join(", ")),
            |near| format!("; did you mean [{near}]?"),
        );
        return Err(format!("[{}]: unknown section{hint}", quote(section)));
    }
    if let Some((_, name)) = section.split_once('.') {
        if !is_plain(name) {
            return Err(format!("[{}]: {PLAIN_NAME}", quote(section)));
        }
        if section == "service.all" {
            return Err("[service.all]: tables call the sum of all services so; \
                        choose another name"
                .to_owned());
        }
    }
    Ok(())
}

fn is_plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.chars().all(is_plain)
}

/// Returns what the schema says of a key.
fn find_key(section: &str, name: &str) -> Result<&'static Key, String> {
    let kind = kind_of(section);
    if let Some(key) = KEYS.iter().find(|key| key.section == kind && key.name == name) {
        return Ok(key);
    }
    if let Some(key) = KEYS.iter().find(|key| key.section == kind && key.name == ANY) {
        let named = is_plain(name).then_some(key);
        return named.ok_or_else(|| format!("{section}.{}: {PLAIN_NAME}", quote(name)));
    }
    if is_future(&kind, name) {
        return Err(format!("{section}.{name}: the key is not built yet"));
    }
    let own = KEYS.iter().filter(|key| key.section == kind).map(|key| key.name);
    let hint = if let Some(near) = nearest(name, own.clone()) {
        format!("; did you mean {section}.{near}?")
    } else if let Some(elsewhere) = KEYS.iter().find(|key| key.name == name) {
        format!("; it belongs to [{}]", elsewhere.section)
    } else {
        format!("; [{section}] has {}", own.collect::<Vec<_>>().join(", "))
    };
    Err(format!("{section}.{}: unknown key{hint}", quote(name)))
}

fn is_future(kind: &str, key: &str) -> bool {
    FUTURE.iter().any(|&(section, name)| section == kind && (name.is_empty() || name == key))
}

/// Returns the nearest of some names, if one is near.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name: String = name.chars().take(QUOTED_CHARS).collect();
    let distance = |other: &&str| strsim::damerau_levenshtein(&name, other);
    let near = names.min_by_key(distance)?;
    (distance(&near) <= 1 + near.chars().count() / 4).then_some(near)
}

/// Returns a piece of a file that a message may repeat.
fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTED_CHARS).collect();
    if text.chars().count() > QUOTED_CHARS {
        quoted.push('…');
    }
    quoted
}

/// Returns every key with meaning, values, default and kind, for `scenario explain`.
pub fn explain() -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            text.push_str(&format!("\n[{}]\n", key.section));
            section = key.section;
        }
        let Key { meaning, range, default, change, .. } = key;
        let name = key.shown_name();
        text.push_str(&format!(
            "  {name:<14} {meaning}\n{:17}values: {range}; default: {default}; {}\n",
            "",
            change.name()
        ));
    }
    text.trim_start().to_owned()
}

#[cfg(test)]
mod tests;
