//! A scenario with the origin of each of its values: shown, written as a file, and changed.

use std::collections::BTreeMap;

use super::parse::{Assignment, ConfigErrors, Given, Origin, Reading};
use super::scenario::Scenario;
use super::schema::{ANY, KEYS, Key, kind_of};

/// A scenario and where each of its values came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The scenario's name for people.
    pub title: String,
    /// The typed values.
    pub scenario: Scenario,
    /// Every key of every section, in the schema's order.
    pub(super) entries: Vec<Entry>,
}

/// One value of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) key: String,
    /// Where the schema has it.
    pub(super) at: usize,
    /// `None` where nobody gave one; the default may be derived from other keys.
    pub(super) value: Option<String>,
    pub(super) origin: Origin,
}

/// One key of a scenario, for people.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The section, such as `load.regulars`.
    pub section: &'a str,
    /// The name in the section.
    pub name: &'a str,
    /// The value as a file spells it; `None` where nobody gave one.
    pub value: Option<&'a str>,
    /// Who gave it.
    pub origin: &'a Origin,
    /// What the schema says of the key.
    pub key: &'static Key,
}

impl Entry {
    fn row(&self) -> Row<'_> {
        let Self { section, key, at, value, origin } = self;
        Row { section, name: key, value: value.as_deref(), origin, key: &KEYS[*at] }
    }
}

impl Effective {
    /// Returns every key of every section, in the order in which files show them. Where keys have
    /// names of their own and there is none, one row stands for all that there might be.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.entries.iter().map(Entry::row)
    }

    /// Returns one key's row.
    pub fn row(&self, section: &str, name: &str) -> Option<Row<'_>> {
        let found = self.entries.iter().find(|entry| entry.section == section && entry.key == name);
        found.map(Entry::row)
    }

    /// Returns the scenario with some keys changed, as if the file had said so; each change with
    /// who wants it. Nothing is changed in `self`.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every mistake: unknown keys, values out of range, and what does not
    /// go together.
    pub fn with(&self, changes: &[(Assignment, Origin)]) -> Result<Self, ConfigErrors> {
        let mut reading = Reading::of(self.sections());
        for (assignment, origin) in changes {
            reading.assign(assignment, origin);
        }
        reading.finish(&self.title)
    }

    fn sections(&self) -> Vec<(String, BTreeMap<String, Given>)> {
        let mut sections: Vec<(String, BTreeMap<String, Given>)> = Vec::new();
        for Entry { section, key, value, origin, .. } in &self.entries {
            if sections.last().is_none_or(|(last, _)| last != section) {
                sections.push((section.clone(), BTreeMap::new()));
            }
            if let (Some(value), Some((_, values))) = (value, sections.last_mut()) {
                let given = Given { value: value.clone(), origin: origin.clone() };
                values.insert(key.clone(), given);
            }
        }
        sections
    }

    /// Returns the whole scenario as a file that reads back the same, with the origin of each
    /// value behind it. What nobody gave stands as a comment with its default.
    pub fn to_ini(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for row in self.rows() {
            if row.section != section {
                if !section.is_empty() {
                    text.push('\n');
                }
                text.push_str(&format!("[{}]\n", row.section));
                section = row.section;
            }
            let Row { name, value, origin, key, .. } = row;
            match value {
                Some(value) => text.push_str(&format!("{name:<14}= {value:<24} ; {origin}\n")),
                None => {
                    let (name, default) = (key.shown_name(), key.default);
                    text.push_str(&format!("; {name:<12}= {default:<24} ; default\n"));
                }
            }
        }
        text
    }
}

/// Lists every key of every section of a scenario, in the schema's order.
pub(super) fn entries(sections: &[(String, BTreeMap<String, Given>)]) -> Vec<Entry> {
    let mut kinds: Vec<&str> = KEYS.iter().map(|key| key.section).collect();
    kinds.dedup();
    let mut entries = Vec::new();
    for kind in kinds {
        let of_kind = sections.iter().filter(|(name, _)| kind_of(name) == kind);
        let mut names: Vec<&str> = of_kind.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            names.push(kind);
        }
        for section in names {
            let none = BTreeMap::new();
            let found = sections.iter().find(|(name, _)| name == section);
            let values = found.map_or(&none, |(_, values)| values);
            let mut put = |at: usize, name: &str| {
                let given = values.get(name);
                entries.push(Entry {
                    section: section.to_owned(),
                    key: name.to_owned(),
                    at,
                    value: given.map(|given| given.value.clone()),
                    origin: given.map_or(Origin::Default, |given| given.origin.clone()),
                });
            };
            for (at, key) in KEYS.iter().enumerate().filter(|(_, key)| key.section == kind) {
                if key.name == ANY && !values.is_empty() {
                    values.keys().for_each(|name| put(at, name));
                } else {
                    put(at, key.name);
                }
            }
        }
    }
    entries
}
