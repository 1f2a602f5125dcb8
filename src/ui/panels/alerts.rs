//! What people should know, the newest first.

use super::{Pieces, goals};
use crate::app::state::{Happening, Severity};
use crate::ui::theme::Tone;
use crate::ui::time;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 4] = [
    Column::word("", 1, 0),
    Column::word("time", 8, 0),
    Column::word("by", 10, 1),
    Column::word("what", 20, 0),
];

/// Returns the head, with how many nobody has taken note of.
pub(crate) fn title(scene: Scene<'_>) -> String {
    let (all, fresh) = (alerts(scene).count(), fresh(scene).count());
    let missed = goals::alerts(scene.app).len();
    let key = scene.ui.keymap.keys_text(crate::ui::registry::Command::Acknowledge);
    match (all, fresh + missed) {
        (0, _) => "Alerts".to_owned(),
        (all, 0) => format!("Alerts  {all} taken note of"),
        (_, fresh) => format!("Alerts {fresh}  {key} acknowledges"),
    }
}

fn alerts(scene: Scene<'_>) -> impl DoubleEndedIterator<Item = &Happening> {
    let until = scene.until();
    let is_shown = move |event: &&Happening| until.is_none_or(|until| event.wall <= until);
    scene.app.events.iter().filter(|event| event.severity > Severity::Info).filter(is_shown)
}

/// Returns what is worth a look and nobody has taken note of, oldest first.
pub(crate) fn fresh(scene: Scene<'_>) -> impl DoubleEndedIterator<Item = &Happening> {
    let since = scene.ui.acknowledged;
    alerts(scene).filter(move |event| event.wall > since)
}

/// Returns a row for each; a row's key is the event's number.
pub(crate) fn table(scene: Scene<'_>) -> Table {
    let theme = scene.theme();
    let row = |event: &Happening| {
        let is_known = event.wall <= scene.ui.acknowledged;
        let (mark, tone) = if is_known {
            (theme.pick("✓", "v"), Tone::Quiet)
        } else {
            ("!", severity_tone(event.severity))
        };
        let cells = vec![
            Cell::new(mark, tone),
            Cell::new(event.wall.to_string(), Tone::Quiet),
            Cell::new(event.who.name(), Tone::Quiet),
            Cell::new(scene.shortened(&event.text), tone),
        ];
        Row { key: event.number.to_string(), cells }
    };
    let missed = goals::alerts(scene.app).into_iter().enumerate().map(missed);
    let gaps = time::replay(scene.app).map_or([].as_slice(), |replay| &replay.gaps);
    let gaps = gaps.iter().map(|gap| not_in_log(scene, gap));
    let rows = missed.chain(alerts(scene).rev().map(row)).chain(gaps).collect();
    Table { columns: &COLUMNS, rows, empty: "nothing out of the ordinary has happened".into() }
}

/// Returns the row of a goal that is missed.
fn missed((at, pieces): (usize, Pieces)) -> Row {
    let tone = pieces.last().map_or(Tone::Warning, |(_, tone)| *tone);
    let text: String = pieces.into_iter().map(|(text, _)| text).collect();
    let text = text.trim_start_matches(['!', ' ']).to_owned();
    let cells = vec![
        Cell::new("!", tone),
        Cell::new("now", Tone::Quiet),
        Cell::new("goal", Tone::Quiet),
        Cell::new(text, tone),
    ];
    Row { key: format!("goal {at}"), cells }
}

/// Returns the row of something that a replay can't show, as no log holds it.
fn not_in_log(scene: Scene<'_>, gap: &str) -> Row {
    let cells = vec![
        Cell::new(scene.theme().pick("–", "-"), Tone::Quiet),
        Cell::new("always", Tone::Quiet),
        Cell::new("log", Tone::Quiet),
        Cell::new(gap.to_owned(), Tone::Quiet),
    ];
    Row { key: gap.to_owned(), cells }
}

/// Returns all about an alert.
pub(crate) fn detail(scene: Scene<'_>, key: &str) -> Option<Vec<(String, String)>> {
    let number: u64 = key.parse().ok()?;
    let event = scene.app.events.iter().find(|event| event.number == number)?;
    let fields = [
        ("time", format!("{} UTC", event.wall)),
        ("by", event.who.to_string()),
        ("mark", event.label.clone()),
        ("what", event.text.clone()),
    ];
    Some(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Returns how a severity looks.
pub(crate) fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Plain,
        Severity::Warning => Tone::Warning,
        Severity::Error => Tone::Bad,
    }
}
