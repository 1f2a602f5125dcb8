//! What the product recorded of its own work.

use std::time::Duration;

use crate::app::format;
use crate::app::state::{MetricRow, MetricValue};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 7] = [
    Column::word("metric", 24, 0),
    Column::number("n or sum", 11, 0),
    Column::number("mean", 9, 3),
    Column::number("p50", 9, 1),
    Column::number("p99", 9, 0),
    Column::number("max", 9, 2),
    Column::word("what it is", 20, 4),
];

/// Returns the head, with how many recordings were lost.
pub(crate) fn title(scene: Scene<'_>) -> String {
    match scene.app.metrics_dropped {
        0 => "Recorded of its own work".to_owned(),
        lost => format!("Recorded of its own work  {} lost", format::count(lost)),
    }
}

/// Returns the rows; a row's key is the metric's name.
pub(crate) fn table(scene: Scene<'_>) -> Table {
    let rows = scene
        .app
        .metrics
        .iter()
        .map(|row| Row { key: row.metric.name.to_owned(), cells: cells(row) });
    let empty = scene.reason("nothing is recorded (metrics are off or compiled out)").into();
    Table { columns: &COLUMNS, rows: rows.collect(), empty }
}

fn cells(row: &MetricRow) -> Vec<Cell> {
    let help = Cell::new(row.metric.help.trim(), Tone::Quiet);
    let name = Cell::plain(row.metric.name);
    match &row.value {
        MetricValue::Count(sum) => {
            let none = Cell::absent;
            #[expect(clippy::cast_precision_loss, reason = "an order of rows")]
            let sum = in_unit(row.metric.unit(), *sum).by(*sum as f64);
            vec![name, sum, none(), none(), none(), none(), help]
        }
        MetricValue::Values(values) => {
            let is_empty = values.count() == 0;
            let cell = |value: u64| {
                #[expect(clippy::cast_precision_loss, reason = "an order of rows")]
                if is_empty {
                    Cell::absent()
                } else {
                    in_unit(row.metric.unit(), value).by(value as f64)
                }
            };
            vec![
                name,
                Cell::count(values.count()),
                cell(values.mean()),
                cell(values.quantile(0.5)),
                cell(values.quantile(0.99)),
                cell(values.max()),
                help,
            ]
        }
    }
}

fn in_unit(unit: &str, value: u64) -> Cell {
    Cell::plain(match unit {
        "ns" => format::duration(Duration::from_nanos(value)),
        "bytes" => format::bytes(value),
        _ => format::count(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::testing;

    #[test]
    fn values_have_their_unit_and_counters_no_percentiles() {
        let (ui, app) = (testing::ui(), testing::measured());
        let table = table(testing::scene(&ui, &app));
        let cells = |name: &str| {
            let row = table.rows.iter().find(|row| row.key == name).unwrap();
            row.cells.iter().map(|cell| cell.text.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(cells("logstore.fsync.ns")[3], "120µs");
        assert_eq!(cells("logstore.write.bytes")[3], "117 KiB");
        assert_eq!(cells("loop.read.frames")[1..4], ["48 210", "–", "–"]);
        assert_eq!(cells("loop.read.bytes")[1], "47.1 KiB");
        assert!(table.rows.iter().all(|row| row.cells.len() == COLUMNS.len()));
    }
}
