//! The log on the disk, and what people should know.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{draw_pieces, draw_reason};
use crate::app::format;
use crate::app::state::Severity;
use crate::ui::theme::Tone;
use crate::ui::view::{Scene, bordered};
use crate::ui::widgets::table::visible;

/// Draws what the log did in this run.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let store = &scene.app.store;
    if store.segments == 0 {
        return draw_reason(scene.reason("the log is not open yet"), theme, area, buf);
    }
    let syncs = match (store.syncs, &store.sync) {
        (0, _) => "none yet".to_owned(),
        (syncs, None) => format!("{}  (latency: metrics are compiled out)", format::count(syncs)),
        (syncs, Some(spread)) => format!(
            "{}  p50 {}  p99 {}  max {}",
            format::count(syncs),
            format::duration(spread.p50),
            format::duration(spread.p99),
            format::duration(spread.max)
        ),
    };
    let batch = store.batch_records.map_or_else(|| format::ABSENT.to_owned(), format::rate);
    let lines = [
        ("records ", format!("{}  {} a batch", format::count(store.records), batch)),
        (
            "bytes   ",
            format!(
                "{} in {} segments  {} not synced",
                format::bytes(store.bytes),
                format::count(store.segments),
                format::bytes(store.unsynced_bytes)
            ),
        ),
        ("syncs   ", syncs),
        ("start   ", recovery(scene)),
        ("where   ", scene.app.run.data_dir.clone()),
    ];
    for (y, (name, value)) in (area.y..area.bottom()).zip(lines) {
        let pieces = [(name.to_owned(), Tone::Quiet), (value, Tone::Plain)];
        draw_pieces(&pieces, theme, Rect { y, height: 1, ..area }, buf);
    }
}

fn recovery(scene: Scene<'_>) -> String {
    match &scene.app.store.recovery {
        None => format::ABSENT.to_owned(),
        Some(found) if found.records == 0 => "a new log".to_owned(),
        Some(found) => {
            let elapsed = found.elapsed.max(Duration::from_micros(1));
            let mut text = format!(
                "{} records read in {}, {} tickets open",
                format::count(found.records),
                format::duration(elapsed),
                format::count(found.requeued)
            );
            if found.torn_bytes > 0 {
                text.push_str(&format!(", {} torn", format::bytes(found.torn_bytes)));
            }
            text
        }
    }
}

/// Draws the newest notices, the last at the top.
pub(crate) fn draw_notices(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    if area.is_empty() {
        return;
    }
    let inner = bordered(theme, Tone::Quiet, "Notices", area, buf);
    if inner.is_empty() {
        return;
    }
    if scene.app.notices.is_empty() {
        return draw_reason("nothing out of the ordinary has happened", theme, inner, buf);
    }
    for (y, notice) in (inner.y..inner.bottom()).zip(scene.app.notices.iter().rev()) {
        let text = format!("{}  {}", notice.wall, notice.text);
        let text = visible(&text, usize::from(inner.width));
        buf.set_string(inner.x, y, text, theme.style(severity_tone(notice.severity)));
    }
}

/// Returns how a severity looks.
pub(crate) fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Plain,
        Severity::Warning => Tone::Warning,
        Severity::Error => Tone::Bad,
    }
}
