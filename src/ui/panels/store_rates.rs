//! What is written to the log over time: records, bytes, syncs and how long these took.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{charts, draw_pieces, draw_reason};
use crate::app::format;
use crate::app::trend::Measure;
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::columns::{self, nice_top};

/// Cells for names and newest values.
const LABEL_WIDTH: u16 = 24;

/// The charts, each with its name.
const CHARTS: [(&str, Measure, Tone); 4] = [
    ("records", Measure::Records, Tone::Good),
    ("bytes", Measure::LogBytes, Tone::Good),
    ("syncs", Measure::Syncs, Tone::Accent),
    ("sync p99", Measure::SyncP99, Tone::Warning),
];

/// Draws the charts below each other, each as high as there is room for.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    if scene.app.history.total() == 0 {
        let why = scene.reason_in_time("the first second is being measured");
        return draw_reason(why, scene.theme(), area, buf);
    }
    let shown = area.height.min(4);
    let height = area.height / shown.max(1);
    for (at, &(name, measure, tone)) in (0..shown).zip(&CHARTS) {
        // What is left over belongs to the last one.
        let extra = if at + 1 == shown { area.height - height * shown } else { 0 };
        let part = Rect { y: area.y + at * height, height: height + extra, ..area };
        draw_chart(scene, (name, measure, tone), part, buf);
    }
}

fn draw_chart(
    scene: Scene<'_>,
    (name, measure, tone): (&str, Measure, Tone),
    area: Rect,
    buf: &mut Buffer,
) {
    let theme = scene.theme();
    let width = area.width.saturating_sub(LABEL_WIDTH);
    let values = charts::spark(scene, measure, width);
    let labels = Rect { height: 1, width: area.width.min(LABEL_WIDTH), ..area };
    let label = [
        (format!("{name:<9}"), Tone::Quiet),
        (format!("{:>12}", per_second(measure, charts::now(scene, measure))), tone),
    ];
    draw_pieces(&label, theme, labels, buf);
    let highest = values.iter().flatten().copied().reduce(f64::max);
    if area.height > 2 {
        let most = highest.map_or_else(
            || format::ABSENT.to_owned(),
            |highest| per_second(measure, charts::text(measure, highest)),
        );
        let row = Rect { y: area.y + 1, ..labels };
        draw_pieces(&[(format!("{:<9}{most:>12}", "  most"), Tone::Quiet)], theme, row, buf);
    }
    // A gap keeps one chart from touching the next.
    let height = area.height.saturating_sub(u16::from(area.height > 2));
    let place = Rect { x: area.x + area.width - width, width, height, ..area };
    let highest = highest.unwrap_or(0.0);
    let top = if highest < 1.0 { highest } else { nice_top(highest) };
    columns::draw(&values, top, theme.style(tone), theme.is_utf8, place, buf);
}

/// Writes a figure with its unit, if it has none and is known.
fn per_second(measure: Measure, text: String) -> String {
    let is_rate = matches!(measure, Measure::Records | Measure::Syncs) && text != format::ABSENT;
    if is_rate { text + "/s" } else { text }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::ui::past::Frozen;
    use crate::ui::testing;

    #[test]
    fn the_figures_are_of_the_moment_that_is_looked_at() {
        let (mut ui, live) = (testing::ui(), Arc::new(testing::measured()));
        let shown = |ui: &crate::ui::model::UiState| {
            let area = Rect::new(0, 0, 60, 12);
            let mut buf = Buffer::empty(area);
            draw(testing::scene(ui, ui.shown(&live)), area, &mut buf);
            (0..LABEL_WIDTH).map(|x| buf[(x, 0)].symbol().to_owned()).collect::<String>()
        };
        let now = shown(&ui);
        let mut frozen = Frozen::new(&live);
        // The one sharp peak.
        frozen.look_at(live.at - Duration::from_secs(39), &ui.past);
        ui.frozen = Some(frozen);
        let then = shown(&ui);
        assert!(now.trim_end().ends_with(" 92.0/s"), "{now}");
        assert!(then.trim_end().ends_with(" 1 800/s"), "{then}");
    }
}
