//! Prometheus' text exposition format, version 0.0.4: families of samples, each family once and
//! with its help and type, values and labels escaped as the format asks.
//!
//! What is not known has no sample, and a family without a sample is not written.

use std::fmt::Write as _;
use std::time::Duration;

use engine::clock::nanos;
use engine::perf::Histogram;

/// The content type of the format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What stands before every name.
const PREFIX: &str = "postoffice_";

/// The labels of a sample: names, which are ours, and values, which may be anything.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What sort of values a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only rises, except at a restart of what counts it.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Quantiles, sum and count.
    Summary,
}

/// A value that can be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::Whole(u64::from(value))
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Whole(u64::from(value))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<Duration> for Number {
    /// Spans are written in seconds.
    fn from(span: Duration) -> Self {
        Self::Real(seconds(nanos(span)))
    }
}

/// Returns nanoseconds as seconds: the number nearest to the quotient, which is written with as
/// few digits as tell it from its neighbours.
#[expect(clippy::cast_precision_loss, reason = "three digits are significant")]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// How the values of a histogram are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// They are nanoseconds, written as seconds.
    Seconds,
    /// As they are.
    Plain,
}

/// The quantiles of every summary; the last one is the largest value.
pub(super) const QUANTILES: [(&str, f64); 5] =
    [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99), ("0.999", 0.999), ("1", 1.0)];

/// The text in the making.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    /// Returns the text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Writes a gauge without labels, if it is known.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: Option<impl Into<Number>>) {
        self.family(Kind::Gauge, name, help, value.map(|value| (Labels::new(), value)));
    }

    /// Writes a counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: Option<impl Into<Number>>) {
        self.family(Kind::Counter, name, help, value.map(|value| (Labels::new(), value)));
    }

    /// Writes a family of counters or gauges, if it has any samples.
    pub(super) fn family<N: Into<Number>>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, N)>,
    ) {
        let name = match kind {
            Kind::Counter => format!("{PREFIX}{name}_total"),
            Kind::Gauge | Kind::Summary => format!("{PREFIX}{name}"),
        };
        let mut has_head = false;
        for (labels, value) in samples {
            let value = value.into();
            if matches!(value, Number::Real(real) if !real.is_finite()) {
                continue;
            }
            if !has_head {
                self.head(kind, &name, help);
                has_head = true;
            }
            self.sample(&name, &labels, value);
        }
    }

    /// Writes a family of summaries, if it has any.
    pub(super) fn summaries<'a>(
        &mut self,
        name: &str,
        help: &str,
        scale: Scale,
        samples: impl IntoIterator<Item = (Labels, &'a Histogram)>,
    ) {
        let name = format!("{PREFIX}{name}");
        let (sum_name, count_name) = (format!("{name}_sum"), format!("{name}_count"));
        let scaled = |value: u64| match scale {
            Scale::Seconds => Number::Real(seconds(value)),
            Scale::Plain => Number::Whole(value),
        };
        let mut has_head = false;
        for (mut labels, histogram) in samples {
            if !has_head {
                self.head(Kind::Summary, &name, help);
                has_head = true;
            }
            let own = labels.len();
            // Of no values there are no quantiles.
            let quantiles = if histogram.count() == 0 { &[][..] } else { &QUANTILES[..] };
            for &(label, share) in quantiles {
                let value = if share < 1.0 { histogram.quantile(share) } else { histogram.max() };
                labels.push(("quantile", label.to_owned()));
                self.sample(&name, &labels, scaled(value));
                labels.truncate(own);
            }
            let sum = u64::try_from(histogram.sum()).unwrap_or(u64::MAX);
            self.sample(&sum_name, &labels, scaled(sum));
            self.sample(&count_name, &labels, Number::Whole(histogram.count()));
        }
    }

    fn head(&mut self, kind: Kind, name: &str, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &Labels, value: Number) {
        self.text.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for char in value.chars() {
                match char {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    char => self.text.push(char),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        // Writing to a string can't fail.
        let _ = match value {
            Number::Whole(whole) => writeln!(self.text, " {whole}"),
            Number::Real(real) => writeln!(self.text, " {real}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_help_are_escaped() {
        let mut out = Exposition::default();
        let labels = vec![("a", "quote \" slash \\ line\n end".to_owned()), ("b", String::new())];
        out.family(Kind::Counter, "odd", "a \\ and\na line", [(labels, 7_u64)]);
        assert_eq!(
            out.into_text(),
            "# HELP postoffice_odd_total a \\\\ and\\na line\n\
             # TYPE postoffice_odd_total counter\n\
             postoffice_odd_total{a=\"quote \\\" slash \\\\ line\\n end\",b=\"\"} 7\n"
        );
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        let mut out = Exposition::default();
        out.gauge("a", "Not known.", None::<f64>);
        out.gauge("b", "No number.", Some(f64::NAN));
        out.summaries("c", "No histogram.", Scale::Seconds, []);
        assert_eq!(out.into_text(), "");
    }

    #[test]
    fn seconds_bring_back_the_nanoseconds() {
        for ns in [0, 1, 999, 1_000, 140_031, 8_622_079, 3_600_000_000_000, 86_400_000_000_001] {
            let text = seconds(ns).to_string();
            let back: f64 = text.parse().unwrap();
            assert!((back * 1e9 - ns as f64).abs() < 0.5, "{ns} is written {text}");
        }
        assert_eq!(seconds(140_031).to_string(), "0.000140031");
    }

    #[test]
    fn a_summary_of_nothing_has_no_quantiles() {
        let mut out = Exposition::default();
        out.summaries("x", "Empty.", Scale::Plain, [(Labels::new(), &Histogram::default())]);
        let text = out.into_text();
        assert!(text.ends_with("postoffice_x_sum 0\npostoffice_x_count 0\n"), "{text}");
        assert!(!text.contains("quantile"), "{text}");
    }
}
