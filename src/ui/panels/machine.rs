//! The machine, and where it limits the run.

use super::{Pieces, overlays::wrap};
use crate::app::state::{SysHint, SysRow};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 4] = [
    Column::word("", 1, 0),
    Column::word("subject", 10, 1),
    Column::word("value", 20, 0),
    Column::word("is", 24, 0),
];

/// Why nothing is known in the first moments.
const LOOKING: &str = "the machine is being looked at";

/// Returns the head, with when it was looked at.
pub(crate) fn title(scene: Scene<'_>) -> String {
    match &scene.app.sys {
        Some(sys) => format!("Machine  looked at {}", sys.wall),
        None => "Machine".to_owned(),
    }
}

/// Returns a row for each line that is known, by subject.
pub(crate) fn table(scene: Scene<'_>) -> Table {
    let empty = scene.reason(LOOKING).into();
    let Some(sys) = &scene.app.sys else {
        return Table { columns: &COLUMNS, rows: Vec::new(), empty };
    };
    let rows = sys.groups.iter().flat_map(|group| {
        group.lines.iter().map(|line| {
            let hint = line.hint.and_then(|at| sys.hints.get(at));
            let tone = hint.map_or(Tone::Plain, tone);
            Row {
                key: format!("{}: {}", group.title, line.name),
                cells: vec![
                    Cell::new(hint.map_or(String::new(), |hint| hint.mark().to_string()), tone),
                    Cell::new(group.title.clone(), Tone::Quiet),
                    Cell::new(line.name.clone(), Tone::Quiet),
                    Cell::new(line.text.clone(), tone),
                ],
            }
        })
    });
    Table { columns: &COLUMNS, rows: rows.collect(), empty }
}

fn tone(hint: &SysHint) -> Tone {
    if hint.is_limit { Tone::Bad } else { Tone::Warning }
}

/// Returns a line and what it means for the run.
pub(crate) fn detail(scene: Scene<'_>, key: &str) -> Option<Vec<(String, String)>> {
    let sys = scene.app.sys.as_ref()?;
    let (title, name) = key.split_once(": ")?;
    let group = sys.groups.iter().find(|group| group.title == title)?;
    let line = group.lines.iter().find(|line| line.name == name)?;
    let mut fields =
        vec![("subject".to_owned(), group.title.clone()), (line.name.clone(), line.text.clone())];
    match line.hint.and_then(|at| sys.hints.get(at)) {
        Some(hint) => {
            fields
                .extend(hint.needs.iter().map(|needs| ("the run needs".to_owned(), needs.clone())));
            fields.push(("advice".to_owned(), hint.advice.clone()));
        }
        None => fields.push(("verdict".to_owned(), "nothing here limits the run".to_owned())),
    }
    Some(fields)
}

/// Returns the head of the verdicts.
pub(crate) fn hints_title(scene: Scene<'_>) -> String {
    let Some(sys) = &scene.app.sys else { return "What limits the run".to_owned() };
    match sys.hints.iter().filter(|hint| hint.is_limit).count() {
        0 => "Nothing limits the run".to_owned(),
        1 => "1 limit of the run".to_owned(),
        limits => format!("{limits} limits of the run"),
    }
}

/// Returns what limits the run, and advice.
pub(crate) fn hints(scene: Scene<'_>, width: u16) -> Vec<Pieces> {
    let quiet = |text: &str| vec![vec![(text.to_owned(), Tone::Quiet)]];
    let Some(sys) = &scene.app.sys else {
        return quiet(scene.reason(LOOKING));
    };
    if sys.hints.is_empty() {
        let text = "this machine has what the scenario needs, and there is nothing to advise";
        let lines = wrap(text, usize::from(width).max(8)).into_iter();
        return lines.map(|line| vec![(line, Tone::Quiet)]).collect();
    }
    verdicts(sys, usize::from(width))
}

fn verdicts(sys: &SysRow, width: usize) -> Vec<Pieces> {
    let mut lines: Vec<Pieces> = Vec::new();
    for hint in &sys.hints {
        let needs = hint.needs.as_ref().map(|needs| format!(", needs {needs}"));
        lines.push(vec![
            (format!("{} {}  ", hint.mark(), hint.name), tone(hint)),
            (format!("{}{}", hint.is, needs.unwrap_or_default()), Tone::Strong),
        ]);
        let advice = wrap(&hint.advice, width.saturating_sub(3).max(8)).into_iter();
        lines.extend(advice.map(|text| vec![(format!("  {text}"), Tone::Plain)]));
    }
    lines
}
