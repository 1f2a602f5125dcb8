//! The log on the disk.

use super::Pieces;
use crate::app::state::{AppState, IndexRow, Phase, RunFacts, StoreRow};
use crate::app::{format, recovery};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::visible;

/// Cells for the names of lines.
const NAME_WIDTH: usize = 11;
/// The shortest beginning of a text that still says something.
const TEXT_WIDTH_MIN: usize = 12;

/// Padding is explained from this part of the log on: a twentieth.
const PADDING_SEEN: u64 = 20;

/// One line of the panel.
struct Line {
    name: &'static str,
    tone: Tone,
    /// The most important first; those that do not fit are left out.
    facts: Vec<String>,
    /// Whether the last fact is a text that may be cut short.
    ends_in_text: bool,
}

impl Line {
    fn new(name: &'static str, facts: Vec<String>) -> Self {
        Self { name, tone: Tone::Plain, facts, ends_in_text: false }
    }

    fn text(name: &'static str, tone: Tone, text: String) -> Self {
        Self { name, tone, facts: vec![text], ends_in_text: true }
    }

    /// Returns a text on two lines if one is too short for it.
    fn wrapped(name: &'static str, tone: Tone, text: &str, width: usize) -> Vec<Self> {
        let spaces = text.char_indices().take(width + 1).filter(|(_, char)| *char == ' ');
        let space = spaces.last().map(|(at, _)| at);
        match space.filter(|_| text.chars().count() > width) {
            Some(at) => vec![
                Self::text(name, tone, text[..at].to_owned()),
                Self::text("", tone, text[at + 1..].to_owned()),
            ],
            None => vec![Self::text(name, tone, text.to_owned())],
        }
    }

    /// Returns the facts as one text of at most `width` cells; no number is cut.
    fn fit(&self, width: usize) -> String {
        let mut shown = String::new();
        for (index, fact) in self.facts.iter().enumerate() {
            let gap = if shown.is_empty() { "" } else { ", " };
            let room = width.saturating_sub(shown.chars().count() + gap.len());
            let is_text = self.ends_in_text && index + 1 == self.facts.len();
            if fact.chars().count() <= room || is_text && room >= TEXT_WIDTH_MIN {
                shown.push_str(gap);
                shown.push_str(&visible(fact, room));
            }
        }
        shown
    }
}

/// Returns the log as a whole, what this issuer did to it, and what a power loss would take; what
/// is out of the ordinary comes first.
pub(crate) fn lines(scene: Scene<'_>, width: u16) -> Vec<Pieces> {
    let app = scene.app;
    if let Phase::Recovering(reading) = app.phase {
        return vec![vec![(recovery::progress(reading), Tone::Quiet)]];
    }
    if app.store.segments == 0 {
        return vec![vec![(scene.reason("the log is not open yet").to_owned(), Tone::Quiet)]];
    }
    let width = usize::from(width).saturating_sub(NAME_WIDTH);
    let lines = troubles(scene, width).into_iter().chain(figures(app, width));
    let pieces = |line: Line| {
        vec![(format!("{:<NAME_WIDTH$}", line.name), Tone::Quiet), (line.fit(width), line.tone)]
    };
    lines.map(pieces).collect()
}

/// Returns lines about what is out of the ordinary.
fn troubles(scene: Scene<'_>, width: usize) -> Vec<Line> {
    let store = &scene.app.store;
    let mut lines = Vec::new();
    if let Some(failure) = &scene.app.failure {
        lines.extend(Line::wrapped("FAILED", Tone::Bad, &scene.shortened(failure), width));
    }
    if let Some(trouble) = &store.trouble {
        let intake = if store.is_blocked { "intake is paused" } else { "little room is left" };
        let intake = format!("{intake}; goes on by itself once the log can grow");
        lines.push(Line::text("DISK", Tone::Bad, intake));
        lines.extend(Line::wrapped("", Tone::Bad, &scene.shortened(trouble), width));
    }
    if let Some(trouble) = &store.index_trouble {
        lines.extend(Line::wrapped("INDEX", Tone::Warning, &scene.shortened(trouble), width));
    }
    if let Some(found) = store.recovery.as_ref().filter(|found| found.is_odd()) {
        let tone = if found.lost_keys > 0 { Tone::Bad } else { Tone::Warning };
        if found.lost_keys > 0 {
            let lost = format::counted(found.lost_keys, "record");
            let lost = format!("{lost} that the index knew");
            lines.push(Line { tone, ..Line::new("LOST", vec![lost]) });
        }
        lines.push(Line { tone, ends_in_text: true, ..Line::new("start", found.facts()) });
        if found.torn_bytes > 0 {
            let bytes = format::bytes(found.torn_bytes);
            let file = found.kept_aside.as_deref().map(|path| scene.shortened(path));
            let kept = file.map(|file| format!("{bytes} kept in {file}"));
            let kept = kept.filter(|kept| kept.chars().count() <= width);
            let torn = kept.unwrap_or_else(|| format!("{bytes} cut off"));
            lines.push(Line { tone, ..Line::new("torn tail", vec![torn]) });
        }
    }
    lines
}

/// Returns the lines that are always there, the most important first.
fn figures(app: &AppState, width: usize) -> Vec<Line> {
    let (store, run) = (&app.store, &app.run);
    let mut log = vec![format::counted(store.segments, "segment"), format::bytes(store.log_bytes)];
    log.extend(store.file_bytes.map(|bytes| format!("files {}", format::bytes(bytes))));
    if let Some(retired @ 1..) = store.retired {
        log.push(format!("{} retired", format::count(retired)));
    }
    let mut lines = vec![Line::new("log", log)];
    lines.extend(Line::wrapped("power loss", Tone::Plain, &power_loss(store, run, width), width));
    lines.extend([
        Line::new("fsync", syncs(store, run)),
        Line::new("issuer", written(store)),
        Line::new("LMDB", index_line(store, lmdb)),
    ]);
    if let Some(text) = ticket(store) {
        lines.extend(Line::wrapped("a ticket", Tone::Plain, &text, width));
    }
    if let Some(found) = store.recovery.as_ref().filter(|found| !found.is_odd()) {
        lines.push(Line::new("start", found.facts()));
    }
    lines.push(Line::new(
        "memory",
        index_line(store, |index| {
            vec![format::counted(index.keys, "key"), format::bytes(index.bytes)]
        }),
    ));
    lines.push(Line::text("where", Tone::Plain, run.data_dir.clone()));
    lines
}

/// Returns what a power loss takes, in as many words as fit.
fn power_loss(store: &StoreRow, run: &RunFacts, width: usize) -> String {
    let loss = run.power_loss_takes;
    let unsynced = store.unsynced_bytes.map(format::bytes);
    let both = unsynced.map(|unsynced| format!("takes {loss}; {unsynced} unsynced"));
    let mut texts = both.into_iter().chain([format!("takes {loss}")]);
    let fits = |text: &String| text.chars().count() <= width;
    texts.find(fits).unwrap_or_else(|| loss.to_owned())
}

/// Returns the policy and what it costs.
fn syncs(store: &StoreRow, run: &RunFacts) -> Vec<String> {
    let mut facts = vec![run.fsync.clone()];
    facts.push(match store.syncs {
        None => "how often and how long no log says".to_owned(),
        Some(0) => "no sync yet".to_owned(),
        Some(syncs) => format::counted(syncs, "sync"),
    });
    if let Some(spread) = &store.sync {
        for (name, span) in [("p50", spread.p50), ("p99", spread.p99), ("max", spread.max)] {
            facts.push(format!("{name} {}", format::duration(span)));
        }
    } else if store.syncs.is_some_and(|syncs| syncs > 0) {
        facts.push("latency: metrics are compiled out".to_owned());
    }
    facts
}

/// Returns what this issuer has written.
fn written(store: &StoreRow) -> Vec<String> {
    let mut facts = vec![
        format!("wrote {}", format::counted(store.records, "record")),
        format::bytes(store.bytes),
    ];
    facts.extend(store.batch_records().map(|batch| format!("{} a batch", format::rate(batch))));
    facts
}

/// Returns by how much a ticket, which has a record of its issue and one of its end, makes the log
/// grow, and why by more than these have; `None` before the first, and if nobody knows.
fn ticket(store: &StoreRow) -> Option<String> {
    let tickets = (store.records / 2).max(1);
    let padding = store.padding_bytes?;
    let whole = store.bytes + padding;
    let log = format!("{} of log", format::bytes(whole / tickets));
    let records = format!("{} of records", format::bytes(store.bytes / tickets));
    (store.records > 0).then(|| {
        if padding * PADDING_SEEN > whole {
            format!("{log}, {records}; a block of 4 KiB that was synced is not written again")
        } else {
            format!("{log}, {records}")
        }
    })
}

/// Returns what is known of the index; no log tells of it.
fn index_line(store: &StoreRow, tell: impl Fn(&IndexRow) -> Vec<String>) -> Vec<String> {
    let unknown = || vec!["the log of a run does not hold this".to_owned()];
    store.index.as_ref().map_or_else(unknown, tell)
}

/// Returns how far LMDB is behind the log.
fn lmdb(index: &IndexRow) -> Vec<String> {
    let behind = match index.behind_bytes {
        0 => "up to date".to_owned(),
        bytes => format!("{} behind", format::bytes(bytes)),
    };
    vec![
        format::counted(index.rows, "row"),
        format::bytes(index.file_bytes),
        behind,
        format::counted(index.checkpoints, "checkpoint"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ticket_takes_of_the_log_is_told_and_why_it_is_more_than_its_records() {
        let store = |bytes, padding_bytes| StoreRow {
            records: 200,
            bytes,
            padding_bytes: Some(padding_bytes),
            ..StoreRow::default()
        };
        assert_eq!(ticket(&StoreRow { records: 0, ..store(0, 0) }), None);
        assert_eq!(ticket(&StoreRow { padding_bytes: None, ..store(16_000, 0) }), None);
        let packed = ticket(&store(16_000, 0));
        assert_eq!(packed.as_deref(), Some("160 B of log, 160 B of records"));
        let padded = ticket(&store(16_000, 803_200)).unwrap();
        assert!(padded.starts_with("8.00 KiB of log, 160 B of records; a block of 4"), "{padded}");
    }
}
