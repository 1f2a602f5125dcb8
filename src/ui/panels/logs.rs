//! The log lines of all processes, newest at the bottom.

use engine::clock::WallTime;
use log::{Level, LevelFilter};

use crate::app::format;
use crate::app::state::{Happening, Severity, View};
use crate::ui::layout::Panel;
use crate::ui::logbook::LogLine;
use crate::ui::theme::Tone;
use crate::ui::time;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 4] = [
    Column::word("time", 12, 1),
    Column::word("level", 5, 0),
    Column::word("source", 13, 2),
    Column::word("message", 20, 0),
];

/// Returns the head: which lines are shown, whether new ones are followed, and how many were bad.
pub(crate) fn title(scene: Scene<'_>) -> String {
    let view = &scene.ui.log_view;
    let mut title = format!("Logs  {}", level_text(view.level));
    if !view.hidden.is_empty() {
        title.push_str(&format!("  without {}", listed(view.hidden.iter())));
    }
    let place = match &scene.ui.arrangement(Panel::Logs).selected {
        _ if scene.ui.frozen.is_some() => "frozen",
        None => "follow",
        Some(_) => "stopped, G follows",
    };
    title.push_str(&format!("  {place}"));
    let counts = &scene.ui.logbook.counts;
    for (count, what) in [(counts.errors, "error"), (counts.warnings, "warning")] {
        if count > 0 {
            title.push_str(&format!("  {}", format::counted(count, what)));
        }
    }
    title
}

/// Writes a level with all that is more important.
pub(crate) fn level_text(level: LevelFilter) -> String {
    match level {
        LevelFilter::Error => "ERROR".to_owned(),
        level => format!("{level}+"),
    }
}

/// Names at most two.
fn listed<'a>(mut names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let (count, first) = (names.len(), names.next().cloned().unwrap_or_default());
    match count {
        0 | 1 => first,
        2 => format!("{first}, {}", names.next().cloned().unwrap_or_default()),
        more => format!("{first} and {} others", more - 1),
    }
}

/// Returns the lines; a row's key is the line's number.
pub(crate) fn table(scene: Scene<'_>) -> Table {
    newest(scene, usize::MAX)
}

/// Returns the newest lines, so many at most.
pub(crate) fn newest(scene: Scene<'_>, count: usize) -> Table {
    let row = |line: &LogLine| Row { key: line.number.to_string(), cells: cells(line) };
    let rows: Vec<Row> = match time::replay(scene.app) {
        Some(_) => {
            let lines: Vec<LogLine> = told(scene).collect();
            lines[lines.len().saturating_sub(count)..].iter().map(row).collect()
        }
        None => {
            let lines = scene.ui.logbook.newest(&scene.ui.log_view, scene.until(), count);
            lines.into_iter().map(row).collect()
        }
    };
    let empty = match scene.app.view {
        View::Live | View::Attached(_) => {
            format!("no line of {} was logged", level_text(scene.ui.log_view.level))
        }
        View::Replay(_) => {
            "nothing is told of this run; its log holds tickets, no lines".to_owned()
        }
    };
    Table { columns: &COLUMNS, rows, empty: empty.into() }
}

/// Returns what is told of a run that is replayed as lines: those of its processes are gone.
fn told(scene: Scene<'_>) -> impl Iterator<Item = LogLine> {
    let view = &scene.ui.log_view;
    let fits = |line: &LogLine| line.level <= view.level && !view.hidden.contains(&line.source);
    scene.app.events.iter().map(line_of).filter(fits)
}

fn line_of(event: &Happening) -> LogLine {
    let level = match event.severity {
        Severity::Info => Level::Info,
        Severity::Warning => Level::Warn,
        Severity::Error => Level::Error,
    };
    let Happening { number, wall, who, text, .. } = event;
    let (source, text) = (who.name().to_owned(), text.clone());
    LogLine { number: *number, wall: *wall, level, source, text }
}

fn cells(line: &LogLine) -> Vec<Cell> {
    let tone = level_tone(line.level);
    let text = match line.level {
        Level::Info => Tone::Plain,
        _ => tone,
    };
    vec![
        Cell::new(clock(line.wall), Tone::Quiet),
        Cell::new(line.level.as_str(), tone),
        Cell::new(line.source.clone(), Tone::Quiet),
        Cell::new(line.text.clone(), text),
    ]
}

fn level_tone(level: Level) -> Tone {
    match level {
        Level::Error => Tone::Bad,
        Level::Warn => Tone::Warning,
        Level::Info => Tone::Good,
        Level::Debug | Level::Trace => Tone::Quiet,
    }
}

/// Writes the time of day with milliseconds.
fn clock(wall: WallTime) -> String {
    format!("{wall}.{:03}", wall.0 / 1_000_000 % 1_000)
}

/// Returns all of a line.
pub(crate) fn detail(scene: Scene<'_>, key: &str) -> Option<Vec<(String, String)>> {
    let number = key.parse().ok()?;
    let told = || scene.app.events.iter().find(|event| event.number == number).map(line_of);
    let line = match time::replay(scene.app) {
        Some(_) => told()?,
        None => scene.ui.logbook.line(number)?.clone(),
    };
    let fields = [
        ("time", format!("{} UTC", clock(line.wall))),
        ("level", line.level.to_string()),
        ("source", line.source.clone()),
        ("message", line.text.clone()),
    ];
    Some(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::ui::panels::{self, Content};
    use crate::ui::testing;
    use crate::ui::widgets::table;

    #[test]
    fn a_log_that_is_followed_looks_as_if_all_of_its_lines_were_made() {
        let (mut ui, app) = (testing::with_log(), testing::app());
        let drawn = |ui: &crate::ui::model::UiState, table: &Table, area| {
            let mut buf = Buffer::empty(area);
            let arrangement = ui.arrangement(Panel::Logs);
            table::draw(table, &arrangement, true, ui.theme, area, &mut buf);
            buf
        };
        let mut rows = Vec::new();
        for (height, selected) in (0..9).map(|height| (height, None)).chain([(3, Some("2"))]) {
            ui.arrangement_mut(Panel::Logs).selected = selected.map(str::to_owned);
            let (scene, area) = (testing::scene(&ui, &app), Rect::new(0, 0, 60, height));
            let Content::Table(own) = panels::drawn(Panel::Logs, scene, area) else { panic!() };
            assert_eq!(drawn(&ui, &own, area), drawn(&ui, &table(scene), area), "{height}");
            rows.push(own.rows.len());
        }
        assert_eq!(rows, [0, 1, 2, 3, 4, 5, 5, 5, 5, 5], "no more are made than can be seen");
    }
}
