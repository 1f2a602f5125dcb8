//! What people should know, the newest first.

use super::goals;
use crate::app::growth::Growth;
use crate::app::state::{Happening, Phase, Severity, Source};
use crate::ui::theme::Tone;
use crate::ui::time;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 4] = [
    Column::word("", 1, 0),
    Column::word("time", 8, 0),
    Column::word("by", 10, 1),
    Column::word("what", 44, 0),
];

/// Returns the head, with how many nobody has taken note of.
pub(crate) fn title(scene: Scene<'_>) -> String {
    let (all, fresh) = (alerts(scene).count(), fresh(scene).count());
    let present = present(scene).len();
    let key = scene.ui.keymap.keys_text(crate::ui::registry::Command::Acknowledge);
    match (all, fresh, present) {
        (0, _, 0) => "Alerts".to_owned(),
        (0, _, present) => format!("Alerts {present}"),
        (all, 0, 0) => format!("Alerts  {all} taken note of"),
        (_, 0, present) => format!("Alerts {present}"),
        (_, fresh, present) => format!("Alerts {}  {key} acknowledges", fresh + present),
    }
}

/// Returns what grows at the moment that is looked at, while tickets flow.
pub(crate) fn growth(scene: Scene<'_>) -> Option<Growth> {
    let until = scene.cursor().unwrap_or(scene.app.at);
    (scene.app.phase == Phase::Running).then(|| Growth::of(&scene.app.history, until)).flatten()
}

/// Returns what is wrong at this moment and goes on by itself when it is over: whom it is about,
/// what to say and how that should look.
fn present(scene: Scene<'_>) -> Vec<(&'static str, String, Tone)> {
    let missed = goals::alerts(scene.app).into_iter().map(|(text, tone)| ("goal", text, tone));
    let growth = growth(scene).map(|growth| ("office", growth.text(), Tone::Warning));
    missed.chain(growth).collect()
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
            Cell::new(by(event.who), Tone::Quiet),
            Cell::new(scene.shortened(&event.text), tone),
        ];
        Row { key: event.number.to_string(), cells }
    };
    let present = present(scene).into_iter().enumerate();
    let present = present.map(|(at, present)| present_row(scene, at, present));
    let gaps = time::replay(scene.app).map_or([].as_slice(), |replay| &replay.gaps);
    let gaps = gaps.iter().map(|gap| not_in_log(scene, gap));
    let rows = present.chain(alerts(scene).rev().map(row)).chain(gaps).collect();
    Table { columns: &COLUMNS, rows, empty: "nothing out of the ordinary has happened".into() }
}

/// Returns who did or noticed something, in one word.
fn by(who: Source) -> &'static str {
    match who {
        Source::Key => "dashboard",
        who => who.name(),
    }
}

/// Returns the row of something that is wrong at this moment.
fn present_row(
    scene: Scene<'_>,
    at: usize,
    (who, text, tone): (&'static str, String, Tone),
) -> Row {
    let when = match scene.cursor() {
        Some(_) => scene.app.wall.to_string(),
        None => "now".to_owned(),
    };
    let cells = vec![
        Cell::new("!", tone),
        Cell::new(when, Tone::Quiet),
        Cell::new(who, Tone::Quiet),
        Cell::new(text, tone),
    ];
    Row { key: format!("now {at}"), cells }
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
    if let Some(at) = key.strip_prefix("now ") {
        let (who, text, _) = present(scene).into_iter().nth(at.parse().ok()?)?;
        return Some(vec![("by".to_owned(), who.to_owned()), ("what".to_owned(), text)]);
    }
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
