//! `sysinfo`: what the machine is, and where it limits a scenario.

use std::path::Path;

use color_eyre::eyre::Result;
use engine::clock::{Clock, SystemClock, sleep_until};
use engine::limits::CPU_LOOK_INTERVAL;
use engine::storage;
use engine::sysinfo::{self, Hint, Needs, Severity, SysInfo};
use serde_json::{Value, json};

mod needs;
mod table;
pub(crate) mod watch;

pub(crate) use needs::needs_of;
use table::Group;
pub(crate) use table::table;

use super::cli::SysinfoArgs;
use super::commands::{scenario, usage};
use super::datadir::DataDir;
use super::exit::Exit;
use super::output;

/// The widest line.
const COLUMNS: usize = 100;
/// Where the texts of rows begin.
const INDENT: usize = 26;

/// Runs the command.
///
/// # Errors
/// If there is nobody to tell.
pub(crate) fn run(args: &SysinfoArgs) -> Result<Exit> {
    let effective = match scenario(&args.scenario, &args.overrides.overrides()) {
        Ok(effective) => effective,
        Err(error) => return Ok(usage(&error)),
    };
    let data_dir = match args.data.data_dir.clone().map_or_else(DataDir::default_path, Ok) {
        Ok(data_dir) => data_dir,
        Err(error) => return Ok(usage(&error)),
    };
    let info = look(&data_dir);
    // A log that can't be read takes no room that is known of.
    let log_bytes = storage::file_bytes(&data_dir).unwrap_or(0);
    let needs = needs_of(&effective.scenario, log_bytes);
    let groups = table(&info);
    let hints = sysinfo::hints(&info, &needs);
    if args.json {
        let json = to_json(&groups, &effective.title, &needs, &hints);
        output::say(&format!("{}\n", serde_json::to_string_pretty(&json)?));
    } else {
        output::say(&to_text(&groups, &effective.title, &hints));
    }
    Ok(Exit::Done)
}

/// Looks at the machine, long enough to see what its CPUs do.
fn look(data_dir: &Path) -> SysInfo {
    let (before, began) = (sysinfo::cpu_times(), SystemClock.now());
    sleep_until(began + CPU_LOOK_INTERVAL);
    let after = sysinfo::cpu_times();
    // What the look itself takes is no part of it.
    let mut info = sysinfo::look(data_dir);
    info.cpu.usage = after.zip(before).and_then(|(after, before)| after.since(before));
    info
}

fn to_json(groups: &[Group], title: &str, needs: &Needs, hints: &[Hint]) -> Value {
    let mut json = table::to_json(groups);
    let hint = |hint: &Hint| {
        json!({
            "severity": severity(hint.severity),
            "value": hint.value,
            "is": table::amount_json(&hint.is),
            "needs": hint.needs.as_ref().map(table::amount_json),
            "advice": hint.advice,
        })
    };
    json.insert("scenario".to_owned(), json!(title));
    json.insert("needs".to_owned(), needs_json(needs));
    json.insert("hints".to_owned(), hints.iter().map(hint).collect());
    Value::Object(json)
}

fn needs_json(needs: &Needs) -> Value {
    json!({
        "cpu_seats": needs.cpu_seats,
        "connections": needs.connections,
        "files_of_director": needs.files_of_director,
        "files_of_child": needs.files_of_child,
        "tasks": needs.tasks,
        "memory_bytes": needs.memory_bytes,
        "address_bytes": needs.address_bytes,
        "file_bytes": needs.file_bytes,
        "disk_bytes": needs.disk_bytes,
        "inodes": needs.inodes,
        "syncing": needs.is_syncing,
    })
}

/// Returns where a machine limits a scenario: how much it matters, what it is called, what it is
/// and should be, and what to do.
pub(crate) fn advice(info: &SysInfo, needs: &Needs) -> Vec<(Severity, String, String, String)> {
    let groups = table(info);
    let hints = sysinfo::hints(info, needs).into_iter().map(|hint| {
        let name = name_of(&groups, hint.value).to_owned();
        (hint.severity, name, is_and_needs(&hint), hint.advice)
    });
    hints.collect()
}

fn is_and_needs(hint: &Hint) -> String {
    let needs = hint.needs.as_ref().map(table::amount);
    let needs = needs.map_or_else(String::new, |needs| format!(", needs {needs}"));
    format!("{}{needs}", table::amount(&hint.is))
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Limit => "limit",
        Severity::Advice => "advice",
    }
}

fn mark(severity: Severity) -> char {
    match severity {
        Severity::Limit => '!',
        Severity::Advice => '*',
    }
}

fn to_text(groups: &[Group], title: &str, hints: &[Hint]) -> String {
    let mut text = String::new();
    for group in groups {
        text.push_str(&format!("{}\n", group.title));
        for row in &group.rows {
            let hint = hints.iter().find(|hint| is_of_row(hint, group, row));
            let mark = hint.map_or(' ', |hint| mark(hint.severity));
            put(&mut text, &format!(" {mark} {}", row.name), &row.text);
        }
        text.push('\n');
    }
    let is_limited = hints.iter().any(|hint| hint.severity == Severity::Limit);
    text.push_str(&match (is_limited, hints.is_empty()) {
        (true, _) => format!("what limits scenario {title} here (!), and advice (*)\n"),
        (false, false) => format!("nothing limits scenario {title} here; advice (*)\n"),
        (false, true) => format!("nothing limits scenario {title} here\n"),
    });
    for hint in hints {
        let name = format!(" {} {}", mark(hint.severity), name_of(groups, hint.value));
        put(&mut text, &name, &format!("{}: {}", is_and_needs(hint), hint.advice));
    }
    text
}

/// Returns whether a hint is about a value of a row.
fn is_of_row(hint: &Hint, group: &Group, row: &table::Row) -> bool {
    let name = hint.value.strip_prefix(group.key).and_then(|key| key.strip_prefix('.'));
    row.values.iter().any(|(key, _)| Some(key.as_str()) == name)
}

/// Returns what people call a value.
fn name_of<'a>(groups: &'a [Group], value: &'a str) -> &'a str {
    let (group, key) = value.split_once('.').unwrap_or((value, ""));
    let rows = groups.iter().filter(|known| known.key == group).flat_map(|group| &group.rows);
    let mut rows = rows.filter(|row| row.values.iter().any(|(known, _)| known == key));
    rows.next().map_or(value, |row| &row.name)
}

/// Adds a line with a name and a text, which goes on below itself if it is long.
fn put(out: &mut String, name: &str, text: &str) {
    let mut line = format!("{name:<INDENT$}");
    let mut len = line.chars().count().max(INDENT);
    let mut is_first = true;
    let mut is_command = false;
    // A command is to be copied, so it is one word.
    let is_break = |c: char| {
        is_command ^= c == '`';
        c == ' ' && !is_command
    };
    for word in text.split(is_break) {
        let word_len = word.chars().count();
        if !is_first && len + 1 + word_len > COLUMNS {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(INDENT);
            len = INDENT;
            is_first = true;
        }
        if !is_first {
            line.push(' ');
            len += 1;
        }
        line.push_str(word);
        len += word_len;
        is_first = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests;
