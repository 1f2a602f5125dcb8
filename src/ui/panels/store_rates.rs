//! What is written to the log, second by second: records, bytes, syncs and how long these took.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{draw_pieces, draw_reason};
use crate::app::format;
use crate::app::history::Second;
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::columns::{self, nice_top};

/// Cells for names and newest values.
const LABEL_WIDTH: u16 = 24;

/// One of the charts.
struct Chart {
    name: &'static str,
    tone: Tone,
    /// Its value in a second; `None` if there is none.
    value: fn(&Second) -> Option<f64>,
    text: fn(f64) -> String,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes for people")]
fn bytes(rate: f64) -> String {
    format!("{}/s", format::bytes(rate as u64))
}

const CHARTS: [Chart; 4] = [
    Chart {
        name: "records",
        tone: Tone::Good,
        value: |second| Some(second.per_second(second.records)),
        text: |rate| format!("{}/s", format::rate(rate)),
    },
    Chart {
        name: "bytes",
        tone: Tone::Good,
        value: |second| Some(second.per_second(second.log_bytes)),
        text: bytes,
    },
    Chart {
        name: "syncs",
        tone: Tone::Accent,
        value: |second| Some(second.per_second(second.syncs)),
        text: |rate| format!("{}/s", format::rate(rate)),
    },
    Chart {
        name: "sync p99",
        tone: Tone::Warning,
        value: |second| second.sync.map(|sync| sync.p99.as_secs_f64()),
        text: |seconds| format::duration(std::time::Duration::from_secs_f64(seconds)),
    },
];

/// Draws the charts below each other, each as high as there is room for.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let all: Vec<&Second> = scene.app.history.iter().collect();
    if all.is_empty() {
        return draw_reason(scene.reason("the first second is being measured"), theme, area, buf);
    }
    let shown = area.height.min(4);
    let height = area.height / shown.max(1);
    for (at, chart) in (0..shown).zip(&CHARTS) {
        // What is left over belongs to the last one.
        let extra = if at + 1 == shown { area.height - height * shown } else { 0 };
        let part = Rect { y: area.y + at * height, height: height + extra, ..area };
        draw_chart(scene, chart, &all, part, buf);
    }
}

fn draw_chart(scene: Scene<'_>, chart: &Chart, all: &[&Second], area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let width = area.width.saturating_sub(LABEL_WIDTH);
    let values = columns_of(all, scene.window().as_secs(), width, chart.value);
    let last = all.last().and_then(|second| (chart.value)(second));
    let text = last.map_or_else(|| format::ABSENT.to_owned(), chart.text);
    let label = [(format!("{:<9}", chart.name), Tone::Quiet), (format!("{text:>12}"), chart.tone)];
    draw_pieces(&label, theme, Rect { height: 1, width: area.width.min(LABEL_WIDTH), ..area }, buf);
    let highest = values.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    if area.height > 2 {
        let known = values.iter().flatten().next().is_some();
        let most = if known { (chart.text)(highest) } else { format::ABSENT.to_owned() };
        let top = format!("{:<9}{most:>12}", "  most");
        let row = Rect { y: area.y + 1, height: 1, width: area.width.min(LABEL_WIDTH), ..area };
        draw_pieces(&[(top, Tone::Quiet)], theme, row, buf);
    }
    let place = Rect { x: area.x + area.width - width, width, ..area };
    // A gap keeps one chart from touching the next.
    let place = Rect { height: place.height.saturating_sub(u16::from(place.height > 2)), ..place };
    let top = if highest < 1.0 { highest } else { nice_top(highest) };
    columns::draw(&values, top, theme.style(chart.tone), theme.is_utf8, place, buf);
}

/// Joins the seconds of a window into one value per column: the highest of each.
fn columns_of(
    all: &[&Second],
    window: u64,
    width: u16,
    value: fn(&Second) -> Option<f64>,
) -> Vec<Option<f64>> {
    let (Some(last), 1..) = (all.last(), width) else { return Vec::new() };
    let mut columns = vec![None; usize::from(width)];
    let end = last.at.as_secs();
    for second in all.iter().rev() {
        let ago = end.saturating_sub(second.at.as_secs());
        if ago >= window {
            break;
        }
        // A window with fewer seconds than columns draws each second several columns wide.
        let (from, until) =
            (ago * u64::from(width) / window, (ago + 1) * u64::from(width) / window);
        let Some(found) = value(second) else { continue };
        for column in from..until.max(from + 1).min(u64::from(width)) {
            let at = usize::from(width) - 1 - usize::try_from(column).unwrap_or(0);
            let highest: &mut Option<f64> = &mut columns[at];
            *highest = Some(highest.map_or(found, |highest: f64| highest.max(found)));
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn second(at: u64, records: u64) -> Second {
        let (at, span) = (Duration::from_secs(at), Duration::from_secs(1));
        Second { at, span, records, ..Second::default() }
    }

    fn records(seconds: &[Second], window: u64, width: u16) -> Vec<Option<f64>> {
        let all: Vec<&Second> = seconds.iter().collect();
        columns_of(&all, window, width, |second| Some(second.per_second(second.records)))
    }

    #[test]
    fn a_column_has_the_highest_of_its_seconds_and_the_newest_is_at_the_right() {
        let seconds: Vec<Second> = (1..=8).map(|at| second(at, at)).collect();
        assert_eq!(records(&seconds, 8, 4), [2.0, 4.0, 6.0, 8.0].map(Some));
        assert_eq!(records(&seconds, 4, 4), [5.0, 6.0, 7.0, 8.0].map(Some));
        assert_eq!(records(&seconds[7..], 2, 4), [None, None, Some(8.0), Some(8.0)]);
        assert_eq!(records(&seconds, 8, 0), []);
        assert_eq!(records(&[], 8, 4), []);
    }
}
