//! Small terminals: one line per figure.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::charts::{max, mean, resample};
use super::draw_pieces;
use super::header::{level, phase_text};
use crate::app::format;
use crate::app::state::{Sample, Severity, Spread};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::columns;

/// Room for the name and the value of a line.
const LABEL_WIDTH: u16 = 26;

/// Draws four lines: throughput and queue depth with a chart, and two percentiles.
pub(crate) fn draw_small(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let app = scene.app;
    #[expect(clippy::cast_precision_loss, reason = "a chart for people")]
    let waiting = |sample: &Sample| sample.waiting as f64;
    let row = |y: u16| Rect { y: area.y + y, height: 1, ..area };
    let sojourn = latency(scene, "sojourn");
    let wait = latency(scene, "wait");
    let line = |y: u16, name: &str, value: String, buf: &mut Buffer| {
        let text = format!(" {name:<12}{value:>11}");
        let tone = Tone::Plain;
        draw_pieces(&[(text, tone)], scene.theme(), row(y), buf);
    };
    if area.height < 4 {
        return;
    }
    line(0, "served/s", format::rate(app.rates.served), buf);
    line(1, "waiting", format::count(app.totals.waiting), buf);
    chart(scene, row(0), Tone::Good, |sample| sample.served, mean, buf);
    chart(scene, row(1), Tone::Warning, waiting, max, buf);
    let pair = |name: &str, spread: Option<Spread>| {
        let text = |pick: fn(&Spread) -> std::time::Duration| {
            spread.as_ref().map_or_else(|| format::ABSENT.to_owned(), |s| format::duration(pick(s)))
        };
        format!(
            " {name:<8} p50 {:>7}  p99 {:>7}  max {:>7}",
            text(|s| s.p50),
            text(|s| s.p99),
            text(|s| s.max)
        )
    };
    for (y, name, spread) in [(2, "wait", wait), (3, "sojourn", sojourn)] {
        draw_pieces(&[(pair(name, spread), Tone::Plain)], scene.theme(), row(y), buf);
    }
}

fn chart(
    scene: Scene<'_>,
    row: Rect,
    tone: Tone,
    value: impl Fn(&Sample) -> f64,
    join: fn(&[f64]) -> f64,
    buf: &mut Buffer,
) {
    let theme = scene.theme();
    let area = Rect {
        x: row.x + LABEL_WIDTH.min(row.width),
        width: row.width.saturating_sub(LABEL_WIDTH + 1),
        ..row
    };
    let values = resample(&scene.app.series, scene.window(), area.width, value, join);
    let highest = values.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    let top = columns::nice_top(highest);
    columns::draw(&values, top, theme.style(tone), theme.is_utf8, area, buf);
}

fn latency(scene: Scene<'_>, name: &str) -> Option<Spread> {
    scene.app.latencies.iter().find(|row| row.name == name).and_then(|row| row.run.spread)
}

/// Draws what matters most, as many lines as there are: state, rate, tail, what is wrong.
pub(crate) fn draw_tiny(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let app = scene.app;
    let theme = scene.theme();
    let (phase, tone) = phase_text(app, theme);
    let p99 = latency(scene, "sojourn")
        .map_or_else(|| format::ABSENT.to_owned(), |spread| format::duration(spread.p99));
    let trouble = app.notices.iter().rev().find(|notice| notice.severity != Severity::Info);
    let lines = [
        (format!("{phase} {}", format::stopwatch(app.elapsed)), tone),
        (format!("{}/s  p99 {p99}", format::rate(app.rates.served)), Tone::Plain),
        (format!("waiting {}", format::count(app.totals.waiting)), Tone::Plain),
        (format!("wrk {} usr {}", level(app.workers, theme), level(app.users, theme)), Tone::Plain),
        trouble.map_or((String::new(), Tone::Plain), |notice| (notice.text.clone(), Tone::Warning)),
    ];
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        draw_pieces(&[line], theme, Rect { y, height: 1, ..area }, buf);
    }
}
