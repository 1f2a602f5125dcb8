//! `postoffice-tui keys`: every command with its keys, written from the registry.

use std::fmt::Write as _;

use serde_json::json;

use super::registry::{Entry, Group, Keymap, REGISTRY};
use crate::app::cli::KeysFormat;

/// Returns the list of commands as it is printed.
pub(crate) fn list(keymap: &Keymap, format: KeysFormat) -> String {
    match format {
        KeysFormat::Table => table(keymap),
        KeysFormat::Md => markdown(keymap),
        KeysFormat::Json => format!("{:#}\n", json(keymap)),
    }
}

fn of(group: Group) -> impl Iterator<Item = &'static Entry> {
    REGISTRY.iter().filter(move |entry| entry.group == group)
}

fn name(entry: &Entry) -> String {
    let space = if entry.argument.is_empty() { "" } else { " " };
    format!("{}{space}{}", entry.id, entry.argument)
}

fn table(keymap: &Keymap) -> String {
    let mut text = String::new();
    for (group, title) in Group::ALL {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(title);
        text.push('\n');
        for entry in of(group) {
            let (keys, name) = (keymap.keys_text(entry.command), name(entry));
            // Writing to a string can't fail.
            let _ = writeln!(text, "  {keys:<12} {name:<32} {}", entry.doc);
        }
    }
    text
}

fn markdown(keymap: &Keymap) -> String {
    let mut text = String::new();
    for (group, title) in Group::ALL {
        let _ = write!(text, "\n## {title}\n\n| keys | command | what it does |\n|---|---|---|\n");
        for entry in of(group) {
            let code = |text: &str| format!("`{}`", text.replace('|', "\\|"));
            let keys: Vec<String> =
                keymap.keys(entry.command).iter().map(|key| code(&key.to_string())).collect();
            let name = code(&name(entry));
            let _ = writeln!(text, "| {} | {name} | {} |", keys.join(" "), entry.doc);
        }
    }
    text
}

fn json(keymap: &Keymap) -> serde_json::Value {
    let entry = |entry: &Entry| {
        let keys: Vec<String> =
            keymap.keys(entry.command).iter().map(ToString::to_string).collect();
        json!({
            "command": entry.id,
            "keys": keys,
            "group": entry.group.name(),
            "risk": entry.risk.name(),
            "argument": (!entry.argument.is_empty()).then_some(entry.argument),
            "only_frozen": entry.is_for_frozen,
            "doc": entry.doc,
        })
    };
    REGISTRY.iter().map(entry).collect()
}

/// Returns the commands as a section of the manual page (roff).
pub(crate) fn manual() -> String {
    let escape = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let keymap = Keymap::default();
    let mut text = ".SH KEYS\n".to_owned();
    for (group, title) in Group::ALL {
        let _ = writeln!(text, ".SS {}", escape(title));
        for entry in of(group) {
            let keys = escape(&keymap.keys_text(entry.command));
            let (name, doc) = (escape(&name(entry)), escape(entry.doc));
            let _ = writeln!(text, ".TP\n\\fB{keys}\\fR  {name}\n{doc}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list in `docs/keys.md` is this one; `UPDATE_DOCS=1 cargo test` writes it again.
    #[test]
    fn the_documentation_lists_every_command() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/keys.md");
        let written = std::fs::read_to_string(path).unwrap();
        let (head, _) = written.split_once("\n## ").unwrap();
        let text = format!("{head}{}", list(&Keymap::default(), KeysFormat::Md));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let current = std::fs::read_to_string(path).unwrap();
        assert!(
            current == text,
            "docs/keys.md is not up to date: UPDATE_DOCS=1 cargo test writes it"
        );
    }

    #[test]
    fn every_way_of_writing_has_every_command() {
        let keymap = Keymap::default();
        for format in [KeysFormat::Table, KeysFormat::Md, KeysFormat::Json] {
            let text = list(&keymap, format);
            let missing = REGISTRY.iter().find(|entry| !text.contains(entry.id));
            assert!(missing.is_none(), "{missing:?}");
        }
        assert!(REGISTRY.iter().all(|entry| manual().contains(&entry.id.replace('-', "\\-"))));
    }
}
