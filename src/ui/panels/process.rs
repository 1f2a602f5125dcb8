//! All that is known about the selected process.

use super::{Pieces, processes, spark};
use crate::app::action::ProcessId;
use crate::app::format::{self, ABSENT};
use crate::app::state::{AppState, Happening, ProcessRow};
use crate::ui::theme::{Theme, Tone};
use crate::ui::view::Scene;

/// Cells for the names of lines.
const NAME_WIDTH: usize = 10;

/// Returns the head.
pub(crate) fn title(scene: Scene<'_>) -> String {
    scene.ui.process(scene.app).map_or_else(|| "Process".to_owned(), |row| row.id.to_string())
}

/// Returns what is known about the selected process, the newest of what happened to it last.
pub(crate) fn lines(scene: Scene<'_>) -> Vec<Pieces> {
    let Some(row) = scene.ui.process(scene.app) else {
        let text = scene.reason("no process is selected").to_owned();
        return vec![vec![(text, Tone::Quiet)]];
    };
    let (state, tone) = processes::state(scene.app, row);
    let mut lines: Vec<Pieces> = facts(scene.app, row, scene.theme())
        .into_iter()
        .map(|(name, value)| line(name, value, Tone::Plain))
        .collect();
    lines.insert(0, line("state", state.to_owned(), tone));
    lines.extend(row.last_words.iter().map(|words| line("said", words.clone(), Tone::Warning)));
    for event in events(scene.app, row.id).rev() {
        let tone = super::alerts::severity_tone(event.severity);
        let text = format!("{}  {}", event.wall, scene.shortened(&event.text));
        lines.push(line("", text, tone));
    }
    lines
}

fn line(name: &str, value: String, tone: Tone) -> Pieces {
    vec![(format!("{name:<NAME_WIDTH$}"), Tone::Quiet), (value, tone)]
}

/// Returns all about a process, for a window of its own; `None` if there is no such process.
pub(crate) fn detail(scene: Scene<'_>, key: &str) -> Option<Vec<(String, String)>> {
    let row = scene.app.processes.iter().find(|row| row.id.to_string() == key)?;
    let mut lines = vec![
        ("process".to_owned(), row.id.to_string()),
        ("state".to_owned(), processes::state(scene.app, row).0.to_owned()),
    ];
    let facts = facts(scene.app, row, scene.theme()).into_iter();
    lines.extend(facts.map(|(name, value)| (name.to_owned(), value)));
    for (at, words) in row.last_words.iter().enumerate() {
        let name = if at == 0 { "standard error" } else { "" };
        lines.push((name.to_owned(), words.clone()));
    }
    if matches!(row.id, ProcessId::User(_)) {
        let text = "watched by the users manager; its words are in the log".to_owned();
        lines.push(("standard error".to_owned(), text));
    }
    for event in events(scene.app, row.id).rev() {
        lines.push((event.wall.to_string(), format!("{} ({})", event.text, event.who)));
    }
    Some(lines)
}

/// Returns names and values, the most important first.
fn facts(app: &AppState, row: &ProcessRow, theme: Theme) -> Vec<(&'static str, String)> {
    let absent = || ABSENT.to_owned();
    let pid = row.pid.map_or_else(|| "not running".to_owned(), |pid| pid.to_string());
    let cpu = row.cpu.map_or_else(absent, format::percent);
    let memory = row.rss_bytes.map_or_else(absent, format::bytes);
    let mut facts = vec![
        ("does", does(row.id).to_owned()),
        ("pid", format!("{pid}, CPU {cpu}, memory {memory}")),
    ];
    if row.id != ProcessId::Director {
        facts.push((tickets_name(row.id), tickets(row, theme)));
    }
    facts.extend(hosts(app, row).map(|hosts| ("hosts", hosts)));
    facts.push(("restarts", format::known(row.restarts, |number| format::count(number.into()))));
    if !row.note.is_empty() {
        facts.push(("note", row.note.clone()));
    }
    facts
}

fn does(id: ProcessId) -> &'static str {
    match id {
        ProcessId::Director => "starts, watches and steers the others; this is its program",
        ProcessId::Issuer => "numbers tickets, keeps the queue and the log",
        ProcessId::Worker(_) => "serves tickets, as many at once as it has seats",
        ProcessId::UsersManager => "starts the processes of users and says when who asks",
        ProcessId::User(_) => "asks for tickets in the name of its users",
    }
}

fn tickets_name(id: ProcessId) -> &'static str {
    match id {
        ProcessId::Issuer => "issued",
        ProcessId::Worker(_) => "served",
        _ => "told",
    }
}

fn tickets(row: &ProcessRow, theme: Theme) -> String {
    let all = format::count(row.tickets);
    match row.trend.rates().next_back() {
        Some(rate) => {
            format!("{all}, {}/s now  {}", format::rate(rate), spark(row.trend.rates(), theme))
        }
        None => format!("{all}, rate not known yet"),
    }
}

/// Says what a process holds.
fn hosts(app: &AppState, row: &ProcessRow) -> Option<String> {
    let counted = |what| match row.hosts {
        Some(number) => format::counted(number.into(), what),
        None => format!("{ABSENT} {what}s"),
    };
    Some(match row.id {
        ProcessId::Director => return None,
        ProcessId::Issuer => {
            let (waiting, busy) = (app.totals.waiting, app.totals.in_service);
            let (waiting, busy) = (format::count(waiting), format::count(busy));
            format!("the queue: {waiting} waiting, {busy} in service; the log")
        }
        ProcessId::Worker(_) => counted("seat"),
        ProcessId::UsersManager => {
            let is_user = |row: &&ProcessRow| matches!(row.id, ProcessId::User(_));
            let processes = app.processes.iter().filter(is_user).count();
            format!("{} processes with {}", processes, counted("user"))
        }
        ProcessId::User(_) => counted("user"),
    })
}

/// Returns what happened to a process, oldest first.
fn events(app: &AppState, id: ProcessId) -> impl DoubleEndedIterator<Item = &Happening> {
    let name = id.to_string();
    app.events.iter().filter(move |event| names(&event.text, &name))
}

/// Returns whether a text is about somebody: `worker 1` is not `worker 12`.
fn names(text: &str, name: &str) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    text.match_indices(name).any(|(at, _)| {
        let before = text.as_bytes()[..at].last().copied();
        let after = text.as_bytes()[at + name.len()..].first().copied();
        !before.as_ref().is_some_and(is_letter) && !after.as_ref().is_some_and(is_letter)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_about_whom_it_names_in_full() {
        assert!(names("worker 1: ready -> backoff", "worker 1"));
        assert!(names("killed worker 1", "worker 1"));
        assert!(!names("worker 12 died", "worker 1"));
        assert!(names("worker 12 died, worker 1 too", "worker 1"));
        assert!(!names("the users-manager died", "users"));
        assert!(!names("", "issuer"));
    }
}
