//! What was measured, as a table for people and as JSON.

use std::time::Duration;

use engine::perf::Spread;
use serde_json::{Map, Value, json};

use super::Subject;
use crate::app::format;

/// The widest line of the table.
const WIDTH: usize = 100;
/// How many times the lowest ratio of a row the highest may be before the table marks it.
const DISAGREEMENT: f64 = 2.0;
/// Room for the name of a row.
const NAME_WIDTH: usize = 33;

/// What one side did in its turn.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// In the unit of its row.
    pub(super) value: f64,
    /// How long each took, where that was measured.
    pub(super) spread: Option<Spread>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// As many of these a second.
    PerSecond(&'static str),
    /// Nanoseconds for one of these.
    NanosOf(&'static str),
}

/// The product beside its floor.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: Unit,
    pub(super) product: Sample,
    pub(super) floor: Sample,
    /// The lowest and the highest ratio of all turns.
    pub(super) ratios: (f64, f64),
    /// What keeps the product from being faster.
    pub(super) limit: String,
}

/// The rows of a subject.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) subject: Subject,
    /// What the product is compared with.
    pub(super) floor: &'static str,
    pub(super) rows: Vec<Row>,
    pub(super) told: Told,
}

/// Whose limits the table tells; JSON tells all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// That of the row that is farthest from its floor.
    Farthest,
    /// That of every row.
    All,
}

impl Row {
    /// Returns the product's figure divided by its floor's.
    pub(super) fn ratio(&self) -> f64 {
        self.product.value / self.floor.value
    }

    /// Returns the ratio as text, marked if it is not worth much.
    fn ratio_text(&self) -> String {
        let (lowest, highest) = self.ratios;
        let mark = if highest > DISAGREEMENT * lowest { "~" } else { "" };
        format!("{mark}{}", ratio(self.ratio()))
    }

    /// Returns how far it is from the floor: the lower the farther.
    fn standing(&self) -> f64 {
        match self.unit {
            Unit::PerSecond(_) => self.ratio(),
            Unit::NanosOf(_) => 1.0 / self.ratio(),
        }
    }

    fn figure(&self, value: f64) -> String {
        match self.unit {
            Unit::PerSecond(_) => format!("{}/s", format::rate(value)),
            Unit::NanosOf(_) => nanos(value),
        }
    }

    fn line(&self) -> String {
        let mut line = format!(
            "{:<NAME_WIDTH$} {:>12} {:>12} {:>7}",
            self.name,
            self.figure(self.product.value),
            self.figure(self.floor.value),
            self.ratio_text(),
        );
        if let (Some(product), Some(floor)) = (self.product.spread, self.floor.spread) {
            for (product, floor) in [(product.p50, floor.p50), (product.p99, floor.p99)] {
                let (product, floor) = (format::duration(product), format::duration(floor));
                line.push_str(&format!(" {product:>7} {floor:>7}"));
            }
        }
        line
    }

    fn to_json(&self, subject: Subject) -> Value {
        let mut json = Map::new();
        let mut put = |key: &str, value: Value| json.insert(key.to_owned(), value);
        put("subject", subject.name().into());
        put("name", self.name.clone().into());
        let (suffix, of, better) = match self.unit {
            Unit::PerSecond(of) => ("per_s", of, "higher"),
            Unit::NanosOf(of) => ("ns", of, "lower"),
        };
        put("of", of.into());
        put("better", better.into());
        put(&format!("product_{suffix}"), self.product.value.into());
        put(&format!("floor_{suffix}"), self.floor.value.into());
        put("ratio", self.ratio().into());
        put("ratio_min", self.ratios.0.into());
        put("ratio_max", self.ratios.1.into());
        for (side, sample) in [("product", &self.product), ("floor", &self.floor)] {
            if let Some(spread) = sample.spread {
                let ns = |span: Duration| Value::from(engine::clock::nanos(span));
                put(&format!("{side}_p50_ns"), ns(spread.p50));
                put(&format!("{side}_p99_ns"), ns(spread.p99));
            }
        }
        put("limit", self.limit.clone().into());
        Value::Object(json)
    }
}

impl Group {
    /// Returns the table of the group, one row a line, and below it what the floor is and what
    /// limits the product.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!(
            "{:<NAME_WIDTH$} {:>12} {:>12} {:>7}",
            self.subject.name().to_uppercase(),
            "product",
            "floor",
            "ratio",
        );
        if self.rows.iter().any(|row| row.product.spread.is_some()) {
            text.push_str(&format!(" {:>7} {:>7} {:>7} {:>7}", "p50", "floor", "p99", "floor"));
        }
        text.push('\n');
        for row in &self.rows {
            text.push_str(&format!("{}\n", row.line()));
        }
        text.push_str(&wrapped("  floor: ", self.floor));
        let farthest = self.rows.iter().min_by(|a, b| a.standing().total_cmp(&b.standing()));
        let told: Vec<&Row> = match self.told {
            Told::Farthest => farthest.into_iter().collect(),
            Told::All => self.rows.iter().collect(),
        };
        for row in told {
            text.push_str(&wrapped("  limit: ", &format!("{} – {}", row.name, row.limit)));
        }
        text
    }

    /// Returns the rows as JSON.
    pub(super) fn to_json(&self) -> Vec<Value> {
        self.rows.iter().map(|row| row.to_json(self.subject)).collect()
    }
}

/// Returns the whole result as JSON.
pub(super) fn to_json(machine: Value, duration: Duration, groups: &[Group]) -> Value {
    json!({
        "machine": machine,
        "duration_ns": engine::clock::nanos(duration),
        "floors": groups.iter().map(|group| (group.subject.name().to_owned(), group.floor.into()))
            .collect::<Map<_, _>>(),
        "rows": groups.iter().flat_map(Group::to_json).collect::<Vec<_>>(),
    })
}

/// Writes a ratio with as many digits as it is worth.
fn ratio(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 9.995 => format!("{ratio:.2}"),
        ratio if ratio < 99.95 => format!("{ratio:.1}"),
        ratio => format!("{ratio:.0}"),
    }
}

/// Writes a few nanoseconds, or more of them as people read spans.
pub(super) fn nanos(ns: f64) -> String {
    match ns {
        ns if ns < 9.995 => format!("{ns:.2}ns"),
        ns if ns < 99.95 => format!("{ns:.1}ns"),
        ns => format::duration(Duration::from_secs_f64(ns.min(1e18) / 1e9)),
    }
}

/// Breaks text into lines of the table's width; all but the first are indented as far as the
/// first one's label.
pub(super) fn wrapped(label: &str, text: &str) -> String {
    let mut out = String::new();
    let mut line = label.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&format!("{line}\n"));
            line = " ".repeat(label.chars().count());
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    out.push_str(&format!("{line}\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(p50_us: u64, p99_us: u64) -> Option<Spread> {
        let us = Duration::from_micros;
        Some(Spread { p50: us(p50_us), p99: us(p99_us), ..Spread::default() })
    }

    fn group() -> Group {
        let fast = Row {
            name: "128 users, each batch synced".to_owned(),
            unit: Unit::PerSecond("tickets"),
            product: Sample { value: 12_345_678.0, spread: spread(99_900, 999_600) },
            floor: Sample { value: 20_000_000.0, spread: spread(812, 4_100) },
            ratios: (0.5, 0.8),
            limit: "the disk".to_owned(),
        };
        let slow = Row {
            name: "1 user".to_owned(),
            product: Sample { value: 5_000_000.0, spread: None },
            ratios: (0.2, 0.5),
            limit: "wake-ups: ".to_owned() + &"and so on ".repeat(20),
            ..fast.clone()
        };
        let rows = vec![fast, slow];
        Group { subject: Subject::Tickets, floor: "a bare relay", rows, told: Told::Farthest }
    }

    #[test]
    fn a_table_is_aligned_and_fits() {
        let text = group().to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{text}");
        let ends = |line: &str, word: &str| {
            let byte = line.find(word).unwrap() + word.len();
            line[..byte].chars().count()
        };
        assert_eq!(ends(lines[0], "product"), ends(lines[1], "12 345 678/s"));
        assert_eq!(ends(lines[0], "ratio"), ends(lines[1], "0.62"));
        assert_eq!(ends(lines[0], "p50"), ends(lines[1], "99.9ms"));
        assert!(lines[1].contains(" 0.62 ") && lines[2].ends_with(" ~0.25"), "{text}");
        assert!(lines[3] == "  floor: a bare relay");
        assert!(lines[4].starts_with("  limit: 1 user – wake-ups: and so on"), "{text}");
        assert!(lines[5].starts_with("         "), "{text}");
        let all = Group { told: Told::All, ..group() }.to_text();
        assert!(all.contains("  limit: 128 users, each batch synced – the disk\n"), "{all}");
    }

    #[test]
    fn json_names_units_and_agrees_with_itself() {
        let json = to_json(json!({"cpus": 2}), Duration::from_millis(50), &[group()]);
        let row = &json["rows"][0];
        assert_eq!(row["subject"], "tickets");
        assert_eq!(row["better"], "higher");
        assert_eq!(row["product_p50_ns"], 99_900_000);
        let number = |key: &str| row[key].as_f64().unwrap();
        assert_eq!(number("ratio"), number("product_per_s") / number("floor_per_s"));
        assert_eq!((number("ratio_min"), number("ratio_max")), (0.5, 0.8));
        assert_eq!(json["floors"]["tickets"], "a bare relay");
        assert_eq!(json["duration_ns"], 50_000_000);
        assert!(json["rows"][1].get("product_p50_ns").is_none(), "what is not known is absent");
    }

    #[test]
    fn a_cost_is_farther_from_its_floor_the_higher_it_is() {
        let cost = |name: &str, ns: f64| Row {
            name: name.to_owned(),
            unit: Unit::NanosOf("record"),
            product: Sample { value: ns, spread: None },
            floor: Sample { value: 2.0, spread: None },
            ratios: (1.0, 1.0),
            limit: String::new(),
        };
        let rows = vec![cost("cheap", 4.0), cost("dear", 40.0)];
        let text =
            Group { subject: Subject::Perf, floor: "", rows, told: Told::Farthest }.to_text();
        assert!(text.contains("limit: dear"), "{text}");
    }

    #[test]
    fn small_numbers_keep_three_digits() {
        assert_eq!(nanos(0.314), "0.31ns");
        assert_eq!(nanos(31.44), "31.4ns");
        assert_eq!(nanos(31_440.0), "31.4µs");
        assert_eq!([ratio(0.534), ratio(23.44), ratio(234.4)], ["0.53", "23.4", "234"]);
    }
}
