//! The machine, and where it limits the run.

use super::{Pieces, overlays::wrap};
use crate::app::format;
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
    match line.hint.and_then(|at| Some((at, sys.hints.get(at)?))) {
        Some((at, hint)) => {
            fields.push(("hint".to_owned(), is_text(sys, at, hint)));
            fields.push(("advice".to_owned(), hint.advice.clone()));
        }
        None => fields.push(("verdict".to_owned(), "nothing here limits the run".to_owned())),
    }
    Some(fields)
}

/// Returns the head of the verdicts.
pub(crate) fn hints_title(scene: Scene<'_>) -> String {
    let Some(sys) = &scene.app.sys else { return "What limits the run".to_owned() };
    let limits = sys.hints.iter().filter(|hint| hint.is_limit).count() as u64;
    let others = sys.hints.len() as u64 - limits;
    let remarks = format::counted(others, "remark");
    let limited = format!("{} of the run", format::counted(limits, "limit"));
    match (limits, others) {
        (0, 0) => "Nothing limits the run".to_owned(),
        (0, _) => format!("No limit of the run, {remarks}"),
        (_, 0) => limited,
        _ => format!("{limited}, {remarks}"),
    }
}

/// Says what a value was when the run began, which is what hints go by, and that it has changed
/// since if it has.
fn is_text(sys: &SysRow, at: usize, hint: &SysHint) -> String {
    let lines = sys.groups.iter().flat_map(|group| &group.lines);
    let has_changed =
        lines.filter(|line| line.hint == Some(at)).any(|line| !line.text.contains(&hint.is));
    let needs = hint.needs.as_ref().map_or_else(String::new, |needs| format!(", needs {needs}"));
    let when = if has_changed { " when the run began" } else { "" };
    format!("{}{when}{needs}", hint.is)
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
    for (at, hint) in sys.hints.iter().enumerate() {
        lines.push(vec![
            (format!("{} {}  ", hint.mark(), hint.name), tone(hint)),
            (is_text(sys, at, hint), Tone::Strong),
        ]);
        let advice = wrap(&hint.advice, width.saturating_sub(3).max(8)).into_iter();
        lines.extend(advice.map(|text| vec![(format!("  {text}"), Tone::Plain)]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ui::testing;

    #[test]
    fn a_hint_and_its_line_do_not_contradict_each_other() {
        let (ui, mut app) = (testing::ui(), testing::app());
        let mut sys = app.sys.as_deref().cloned().unwrap();
        sys.hints.truncate(1);
        let hint = &mut sys.hints[0];
        (hint.is_limit, hint.name, hint.is, hint.needs) =
            (false, "load 1, 5, 15 min".to_owned(), "3.21".to_owned(), None);
        for line in sys.groups.iter_mut().flat_map(|group| &mut group.lines) {
            line.hint = line.name.starts_with("load").then_some(0);
        }
        let mut said = |load: &str| {
            let groups = sys.groups.iter_mut().flat_map(|group| &mut group.lines);
            groups.filter(|line| line.hint.is_some()).for_each(|line| line.text = load.to_owned());
            app.sys = Some(Arc::new(sys.clone()));
            let scene = testing::scene(&ui, &app);
            (hints_title(scene), super::super::plain(&hints(scene, 80)))
        };
        let (title, text) = said("1.42  1.20  0.98");
        assert_eq!(title, "No limit of the run, 1 remark");
        assert!(text.starts_with("* load 1, 5, 15 min  3.21 when the run began\n"), "{text}");
        assert!(said("3.21  2.00  0.98").1.starts_with("* load 1, 5, 15 min  3.21\n"));
    }
}
