//! Small terminals: one line per figure.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::header::{cursor_text, level, phase_text};
use super::{charts, draw_pieces, goals};
use crate::app::format;
use crate::app::growth::Growth;
use crate::app::state::Severity;
use crate::app::trend::Measure;
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::columns;

/// A figure on a line of its own.
struct Figure {
    name: &'static str,
    value: String,
    measure: Measure,
    tone: Tone,
    /// What stands behind its chart; the greatest value if it is empty.
    note: String,
}

/// Returns the figures of all charts; `is_short` gives each percentile a line of its own.
fn figures(scene: Scene<'_>, is_short: bool) -> Vec<Figure> {
    let timed = charts::timed(scene.app);
    let now = |measure| charts::now(scene, measure);
    let figure =
        |name, value, measure, tone| Figure { name, value, measure, tone, note: String::new() };
    let (p50, p99) = (Measure::P50(timed), Measure::P99(timed));
    let mut figures = vec![
        figure("tickets/s", now(Measure::Served), Measure::Served, Tone::Good),
        figure("queue", now(Measure::Waiting), Measure::Waiting, Tone::Warning),
    ];
    if is_short {
        figures.push(figure("p50", now(p50), p50, Tone::Good));
        figures.push(figure("p99", now(p99), p99, Tone::Warning));
    } else {
        let both = format!("{} / {}", now(p50), now(p99));
        let note = timed.name().to_owned();
        figures.push(Figure { note, ..figure("p50 / p99", both, p99, Tone::Warning) });
    }
    let note = format!("fsync {}", per_second(now(Measure::Syncs)));
    let log = now(Measure::LogBytes);
    figures.push(Figure { note, ..figure("log", log, Measure::LogBytes, Tone::Accent) });
    figures
}

/// Writes a rate with its unit, unless it is not known.
fn per_second(text: String) -> String {
    if text == format::ABSENT { text } else { text + "/s" }
}

/// Draws a line for each figure: its name, its value, and a chart in the rest of the line.
pub(crate) fn draw_small(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    for (y, figure) in (area.y..area.bottom()).zip(figures(scene, true)) {
        let line = Rect { y, height: 1, ..area };
        draw_figure(scene, &figure, (10, 10), 0, line, buf);
    }
}

/// Draws the same for a panel that is as wide as the screen, with a note behind each chart.
pub(crate) fn draw_now(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let is_narrow = area.width < 60;
    for (y, figure) in (area.y..area.bottom()).zip(figures(scene, is_narrow)) {
        let line = Rect { y, height: 1, ..area };
        let (widths, note) = if is_narrow { ((10, 10), 0) } else { ((10, 17), 15) };
        draw_figure(scene, &figure, widths, note, line, buf);
    }
}

fn draw_figure(
    scene: Scene<'_>,
    figure: &Figure,
    (name_width, value_width): (usize, usize),
    note_width: u16,
    line: Rect,
    buf: &mut Buffer,
) {
    let theme = scene.theme();
    let pieces = [
        (format!(" {:<name_width$}", figure.name), Tone::Quiet),
        (format!("{:>value_width$} ", figure.value), Tone::Plain),
    ];
    draw_pieces(&pieces, theme, line, buf);
    let left = u16::try_from(name_width + value_width + 2).unwrap_or(u16::MAX);
    let chart = Rect {
        x: line.x.saturating_add(left).min(line.right()),
        width: line.width.saturating_sub(left + 1 + note_width),
        ..line
    };
    let values = charts::spark(scene, figure.measure, chart.width);
    let top = values.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    columns::draw(&values, top, theme.style(figure.tone), theme.is_utf8, chart, buf);
    if note_width > 0 {
        let note = if figure.note.is_empty() {
            format!("max {}", charts::text(figure.measure, top))
        } else {
            figure.note.clone()
        };
        let room = Rect { x: chart.right(), width: note_width, ..line };
        draw_pieces(&[(format!("  {note}"), Tone::Quiet)], theme, room, buf);
    }
}

/// Draws what matters most, as many lines as there are: state, rate, tail, what is wrong.
pub(crate) fn draw_tiny(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let app = scene.app;
    let theme = scene.theme();
    let (mut phase, tone) = phase_text(app, theme);
    if scene.cursor().is_some() {
        phase = cursor_text(scene);
    }
    // All of the same second.
    let now = |measure| charts::now(scene, measure);
    let p99 = now(Measure::P99(charts::timed(app)));
    let mut notices = app.notices.iter().rev();
    let notice = notices.find(|notice| notice.severity != Severity::Info);
    let trouble = goals::alerts(app)
        .into_iter()
        .next()
        .map(|(text, _)| text)
        .or_else(|| super::alerts::growth(scene).map(Growth::text))
        .or_else(|| notice.map(|notice| notice.text.clone()))
        .unwrap_or_default();
    let lines = [
        (format!("{phase} {}", format::stopwatch(app.elapsed)), tone),
        (format!("{}/s  p99 {p99}", now(Measure::Served)), Tone::Plain),
        (format!("waiting {}", now(Measure::Waiting)), Tone::Plain),
        (format!("wrk {} usr {}", level(app.workers, theme), level(app.users, theme)), Tone::Plain),
        (trouble, Tone::Warning),
    ];
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        draw_pieces(&[line], theme, Rect { y, height: 1, ..area }, buf);
    }
}
