//! All percentiles of all latencies, and how they differ from those that a person has pinned.

use std::time::Duration;

use super::goals;
use super::latency::{self, ORDER, compact, interval, is_of_second};
use crate::app::format;
use crate::app::state::{LatencyFigures, LatencyRow, RECENT_SPANS};
use crate::ui::layout::Panel;
use crate::ui::model::Pinned;
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const PLAIN: [Column; 9] = [
    Column::word("latency", 9, 0),
    Column::number("n", 8, 6),
    Column::number("mean", 12, 5),
    Column::number("p50", 7, 1),
    Column::number("p90", 7, 4),
    Column::number("p99", 7, 0),
    Column::number("p99.9", 7, 3),
    Column::number("p99.99", 7, 7),
    Column::number("max", 7, 2),
];

const COMPARED: [Column; 13] = [
    Column::word("latency", 9, 0),
    Column::number("n", 8, 10),
    Column::number("mean", 7, 7),
    Column::number("vs", 7, 8),
    Column::number("p50", 7, 2),
    Column::number("vs p50", 7, 3),
    Column::number("p90", 7, 9),
    Column::number("p99", 7, 0),
    Column::number("vs p99", 7, 1),
    Column::number("p99.9", 7, 6),
    Column::number("p99.99", 7, 11),
    Column::number("max", 7, 4),
    Column::number("vs max", 7, 5),
];

/// A panel that is narrower has room only for what the figures are of.
const SHORT_WIDTH: u16 = 46;
/// A panel that is this wide has room for hints in its head.
const HINT_WIDTH: u16 = 90;
/// From this change on it is seen, and from this on it is bad.
const CHANGES: [f64; 2] = [0.1, 0.5];

/// Returns the head: what the figures are of, and what they are compared with.
pub(crate) fn title(scene: Scene<'_>, width: u16) -> String {
    let own =
        if is_of_second(scene) { "that second".to_owned() } else { span_name(scene.ui.recent) };
    if width < SHORT_WIDTH {
        return own;
    }
    let pinned = scene.ui.pinned.as_ref();
    let versus = pinned
        .map(|pinned| format!(" vs {} at {}", span_name(pinned.span), pinned.wall))
        .unwrap_or_default();
    let hint = match pinned {
        _ if width < HINT_WIDTH => "",
        Some(_) => "  i other span, C no comparison",
        None => "  i other span, c compares from now",
    };
    format!("Percentiles, {own}{versus}{hint}")
}

fn span_name(span: Option<usize>) -> String {
    span.map_or_else(|| "run".to_owned(), |span| format!("last {} s", RECENT_SPANS[span]))
}

/// Returns the rows; a row's key is the latency's name.
pub(crate) fn table(scene: Scene<'_>) -> Table {
    let found = |name: &&str| scene.app.latencies.iter().find(|row| row.name == *name);
    let known = |row: &LatencyRow| latency::figures(scene, row).count > 0;
    let shown: Vec<&LatencyRow> = ORDER.iter().filter_map(found).collect();
    let is_empty = !shown.iter().any(|row| known(row));
    let rows = shown.into_iter().filter(|_| !is_empty).map(|row| {
        let figures = latency::figures(scene, row);
        let cells = match &scene.ui.pinned {
            Some(pinned) => compared(scene, row.name, figures, pinned_figures(pinned, row.name)),
            None => plain(scene, row.name, figures),
        };
        Row { key: row.name.to_owned(), cells }
    });
    let columns: &[Column] = if scene.ui.pinned.is_some() { &COMPARED } else { &PLAIN };
    let empty = scene.reason_in_time("no ticket was served in this time").into();
    Table { columns, rows: rows.collect(), empty }
}

/// Returns the latency whose row is selected, by default the first.
pub(crate) fn chosen(scene: Scene<'_>) -> &'static str {
    let table = table(scene);
    let arrangement = scene.ui.arrangement(Panel::Percentiles);
    let shown = arrangement.shown(&table);
    let key = arrangement.selected(&shown).map(|at| shown[at].key.as_str());
    ORDER.into_iter().find(|name| Some(*name) == key).unwrap_or(ORDER[0])
}

fn pinned_figures(pinned: &Pinned, name: &str) -> LatencyFigures {
    let row = pinned.latencies.iter().find(|row| row.name == name);
    row.map_or_else(LatencyFigures::default, |row| {
        pinned.span.map_or(row.run, |span| row.recent[span])
    })
}

#[expect(clippy::cast_precision_loss, reason = "an order of rows")]
fn first_cells(name: &'static str, figures: LatencyFigures) -> Vec<Cell> {
    vec![Cell::plain(name), Cell::plain(compact(figures.count)).by(figures.count as f64)]
}

fn plain(scene: Scene<'_>, name: &'static str, figures: LatencyFigures) -> Vec<Cell> {
    let mut cells = first_cells(name, figures);
    let Some(spread) = figures.spread else {
        cells.resize_with(PLAIN.len(), Cell::absent);
        return cells;
    };
    let sure = interval(scene, name)
        .map(|interval| format::mean(interval.mean_ns, interval.half_width_ns))
        .filter(|text| text.chars().count() <= usize::from(PLAIN[2].width));
    let mean = sure.unwrap_or_else(|| format::duration(spread.mean));
    let cell = |figure, value| Cell::span(value).tone(goals::tone_of(scene, figure, name, value));
    cells.extend([
        Cell::plain(mean).by(spread.mean.as_secs_f64()),
        cell("p50", spread.p50),
        cell("p90", spread.p90),
        cell("p99", spread.p99),
        cell("p99.9", spread.p999),
        figures.p9999.map_or_else(Cell::absent, |value| cell("p99.99", value)),
        cell("max", spread.max),
    ]);
    cells
}

fn compared(
    scene: Scene<'_>,
    name: &'static str,
    figures: LatencyFigures,
    before: LatencyFigures,
) -> Vec<Cell> {
    let mut cells = first_cells(name, figures);
    let Some(spread) = figures.spread else {
        cells.resize_with(COMPARED.len(), Cell::absent);
        return cells;
    };
    let before = before.spread;
    let cell = |figure, value| Cell::span(value).tone(goals::tone_of(scene, figure, name, value));
    cells.extend([
        cell("mean", spread.mean),
        change(before.map(|before| before.mean), spread.mean),
        cell("p50", spread.p50),
        change(before.map(|before| before.p50), spread.p50),
        cell("p90", spread.p90),
        cell("p99", spread.p99),
        change(before.map(|before| before.p99), spread.p99),
        cell("p99.9", spread.p999),
        figures.p9999.map_or_else(Cell::absent, |value| cell("p99.99", value)),
        cell("max", spread.max),
        change(before.map(|before| before.max), spread.max),
    ]);
    cells
}

/// Returns by how much a latency has changed; what grew is worse.
fn change(before: Option<Duration>, now: Duration) -> Cell {
    let Some(before) = before.filter(|before| !before.is_zero()) else { return Cell::absent() };
    let change = now.as_secs_f64() / before.as_secs_f64() - 1.0;
    let [seen, bad] = CHANGES;
    let tone = match change {
        change if change >= bad => Tone::Bad,
        change if change >= seen => Tone::Warning,
        change if change <= -seen => Tone::Good,
        _ => Tone::Plain,
    };
    let text = match change {
        9.995.. => format!("x{}", format::rate(change + 1.0)),
        _ => match (change * 100.0).round() {
            0.0 => "0 %".to_owned(),
            percent => format!("{percent:+.0} %"),
        },
    };
    Cell::new(text, tone).by(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::testing;

    #[test]
    fn a_change_is_told_in_percent_and_coloured() {
        let check = |before: u64, now: u64, text: &str, tone| {
            let cell = change(Some(Duration::from_micros(before)), Duration::from_micros(now));
            assert_eq!((cell.text.as_ref(), cell.tone), (text, tone), "{before} {now}");
        };
        check(1_000, 1_050, "+5 %", Tone::Plain);
        check(1_000, 999, "0 %", Tone::Plain);
        check(1_000, 1_310, "+31 %", Tone::Warning);
        check(1_000, 2_000, "+100 %", Tone::Bad);
        check(1_000, 880, "-12 %", Tone::Good);
        check(1_000, 52_000, "x52.0", Tone::Bad);
        assert_eq!(change(None, Duration::from_secs(1)), Cell::absent());
        assert_eq!(change(Some(Duration::ZERO), Duration::from_secs(1)), Cell::absent());
    }

    #[test]
    fn the_selected_latency_is_chosen_and_every_row_has_a_cell_for_each_column() {
        let (mut ui, app) = (testing::ui(), testing::measured());
        ui.arrangements.entry(Panel::Percentiles).or_default().selected =
            Some("response".to_owned());
        assert_eq!(chosen(testing::scene(&ui, &app)), "response");
        let whole =
            |table: Table| table.rows.iter().all(|row| row.cells.len() == table.columns.len());
        assert!(whole(table(testing::scene(&ui, &app))));
        let pinned = Pinned { wall: app.wall, span: Some(0), latencies: app.latencies.clone() };
        ui.pinned = Some(pinned);
        assert!(whole(table(testing::scene(&ui, &app))));
        assert!(title(testing::scene(&ui, &app), 120).contains("run vs last 1 s at 12:04:51"));
        ui.arrangements.clear();
        assert_eq!(chosen(testing::scene(&ui, &app)), "wait");
    }
}
