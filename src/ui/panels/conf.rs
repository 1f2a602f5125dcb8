//! The scenario in effect, key by key, and what became of wishes to change it.

use engine::config::schema::Change;

use super::{Pieces, reason};
use crate::app::conf::{Answer, ConfRow, Giver};
use crate::app::state::AppState;
use crate::ui::conf::outcome;
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 6] = [
    Column::word("section", 16, 1),
    Column::word("key", 13, 0),
    Column::word("value", 27, 0),
    Column::word("from", 16, 2),
    Column::word("a change", 16, 3),
    Column::word("meaning", 30, 4),
];

/// Returns the head.
pub(crate) fn title(app: &AppState) -> String {
    let given = app.conf.iter().filter(|row| row.giver != Giver::Default).count();
    let live = app.conf.iter().filter(|row| row.giver == Giver::Live).count();
    match (app.conf.len(), live) {
        (0, _) => "Scenario".to_owned(),
        (all, 0) => format!("Scenario  {all} keys, {given} given"),
        (all, live) => format!("Scenario  {all} keys, {given} given, {live} changed live"),
    }
}

/// Returns a row per key; a row's key is its name with its section.
pub(crate) fn table(app: &AppState) -> Table {
    let row =
        |row: &ConfRow| Row { key: format!("{}.{}", row.section, row.key), cells: cells(row) };
    let empty = reason(app, "the configuration is not known yet").into();
    Table { columns: &COLUMNS, rows: app.conf.iter().map(row).collect(), empty }
}

fn cells(row: &ConfRow) -> Vec<Cell> {
    let tone = match row.giver {
        Giver::Default => Tone::Quiet,
        Giver::Scenario | Giver::CommandLine => Tone::Plain,
        Giver::Live => Tone::Warning,
    };
    let change = match row.change {
        Change::Live => Cell::new("live", Tone::Good),
        Change::Role(role) => Cell::plain(format!("restarts {}", role.name())),
        Change::Restart => Cell::new("needs a run", Tone::Quiet),
    };
    vec![
        Cell::new(row.section.clone(), Tone::Quiet),
        Cell::plain(row.key.clone()),
        Cell::new(row.value.clone().unwrap_or_else(|| row.default.clone()), tone),
        Cell::new(row.origin.clone(), tone),
        change,
        Cell::new(row.meaning.clone(), Tone::Quiet),
    ]
}

/// Returns the head of the outcomes.
pub(crate) fn answers_title(app: &AppState) -> String {
    if app.reload.is_some() {
        "A reload waits  R shows it".to_owned()
    } else {
        "Changes".to_owned()
    }
}

/// Returns what became of wishes, the newest first.
pub(crate) fn answers(scene: Scene<'_>) -> Vec<Pieces> {
    if scene.app.answers.is_empty() {
        let keys = [("Enter", "changes the selected key"), ("R", "reads the scenario again")];
        let line = |(key, what): (&str, &str)| {
            vec![(format!("{key:<6}"), Tone::Accent), (what.to_owned(), Tone::Quiet)]
        };
        let mut lines = vec![vec![("nothing was changed in this run".to_owned(), Tone::Quiet)]];
        lines.extend(keys.map(line));
        lines.push(line(("W", "writes the scenario in effect to a file")));
        return lines;
    }
    scene.app.answers.iter().rev().flat_map(told).collect()
}

fn told(answer: &Answer) -> Vec<Pieces> {
    match &answer.outcome {
        Ok(rows) if rows.is_empty() => vec![vec![("nothing changed".to_owned(), Tone::Quiet)]],
        Ok(rows) => rows.iter().map(|row| vec![(outcome(row), Tone::Plain)]).collect(),
        Err(refusal) => {
            let lines = refusal.text.lines().enumerate().map(|(at, line)| {
                let mark = if at == 0 { "refused: " } else { "         " };
                vec![(mark.to_owned(), Tone::Warning), (line.to_owned(), Tone::Plain)]
            });
            lines.collect()
        }
    }
}
