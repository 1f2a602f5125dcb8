//! Goals of a run: `p99(wait) < 50ms`, `reject < 1%`, `throughput(letters) > 90/s`.
//!
//! A goal is text with a meaning. Which figures it is compared with is the application's affair.

use super::value::{self, Read};

/// A named list of goals, all of which must be met.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// The key in `[slo]`.
    pub name: String,
    /// What must hold.
    pub goals: Vec<Goal>,
}

/// One goal.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// As it was written.
    pub text: String,
    /// What is compared.
    pub metric: Metric,
    /// The service that it is about; `None` is all of them.
    pub service: Option<String>,
    /// How.
    pub relation: Relation,
    /// With what: seconds, a ratio or a number per second, as [`Metric::unit`] says.
    pub limit: f64,
}

/// What a goal is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// A figure of a latency.
    Latency(Latency, Figure),
    /// Rejected ÷ offered.
    Reject,
    /// Failed ÷ issued.
    Fail,
    /// Not finished when the run has ended ÷ issued.
    Unfinished,
    /// Never sent ÷ due.
    Drop,
    /// Busy seats ÷ staffed seats.
    Utilization,
    /// Completions per second.
    Throughput,
}

/// Which latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// From arrival to the first start.
    Wait,
    /// From the last start to the end.
    Service,
    /// From arrival to the end.
    Sojourn,
    /// Service time beyond the demanded time.
    Overhead,
    /// From the intended issue to the user's knowledge of the end.
    Response,
    /// From the intended issue to the sending.
    Lag,
}

/// Which figure of a latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// What this share of the tickets does not exceed, above 0 and below 1.
    Quantile(f64),
    /// The mean.
    Mean,
    /// The largest.
    Max,
}

/// How a figure is compared with its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It must be below.
    Below,
    /// It must be below or the same.
    AtMost,
    /// It must be above.
    Above,
    /// It must be above or the same.
    AtLeast,
    /// It must be the same.
    Same,
}

/// The unit of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// A ratio.
    Share,
    /// Something per second.
    PerSecond,
}

const LATENCIES: [(&str, Latency); 6] = [
    ("wait", Latency::Wait),
    ("service", Latency::Service),
    ("sojourn", Latency::Sojourn),
    ("overhead", Latency::Overhead),
    ("response", Latency::Response),
    ("lag", Latency::Lag),
];
const SHARES: [(&str, Metric); 6] = [
    ("reject", Metric::Reject),
    ("fail", Metric::Fail),
    ("unfinished", Metric::Unfinished),
    ("drop", Metric::Drop),
    ("utilization", Metric::Utilization),
    ("throughput", Metric::Throughput),
];
/// Longer ones first, so that `<=` is not taken for `<`.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Same),
];

/// What a goal looks like.
pub(super) const EXPECTED: &str = "goals such as p99(wait) < 50ms, p95(sojourn, letters) < 80ms, \
                                   mean(response) < 20ms, reject = 0 or throughput > 100/s";

impl Latency {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        let found = LATENCIES.iter().find(|(_, latency)| *latency == self);
        found.map_or("", |(name, _)| name)
    }

    /// Returns whether it is known for each service; users time what no service is known of.
    pub fn is_of_services(self) -> bool {
        !matches!(self, Self::Response | Self::Lag)
    }
}

impl Metric {
    /// Returns the unit of its limits.
    pub fn unit(self) -> Unit {
        match self {
            Self::Latency(..) => Unit::Seconds,
            Self::Reject | Self::Fail | Self::Unfinished | Self::Drop | Self::Utilization => {
                Unit::Share
            }
            Self::Throughput => Unit::PerSecond,
        }
    }

    fn is_of_services(self) -> bool {
        match self {
            Self::Latency(latency, _) => latency.is_of_services(),
            Self::Drop | Self::Utilization => false,
            Self::Reject | Self::Fail | Self::Unfinished | Self::Throughput => true,
        }
    }
}

impl Relation {
    /// Returns whether a figure is as the limit wants it.
    pub fn holds(self, figure: f64, limit: f64) -> bool {
        match self {
            Self::Below => figure < limit,
            Self::AtMost => figure <= limit,
            Self::Above => figure > limit,
            Self::AtLeast => figure >= limit,
            Self::Same => (figure - limit).abs() < 1e-12,
        }
    }

    /// Returns whether smaller figures are better.
    pub fn is_upper(self) -> bool {
        matches!(self, Self::Below | Self::AtMost)
    }
}

impl Goal {
    /// Returns what it is about, as it was written.
    pub fn metric_text(&self) -> &str {
        let end = self.text.find(['<', '>', '=']).unwrap_or(self.text.len());
        self.text[..end].trim_end()
    }
}

/// Reads goals that are separated by commas.
pub(super) fn goals(text: &str) -> Read<Vec<Goal>> {
    split_outside_brackets(text).into_iter().map(|goal| read(goal.trim())).collect()
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn read(text: &str) -> Read<Goal> {
    let expected = || EXPECTED.to_owned();
    let at = text.find(['<', '>', '=']).ok_or_else(expected)?;
    let (head, tail) = text.split_at(at);
    let found = RELATIONS.iter().find_map(|&(sign, relation)| {
        tail.strip_prefix(sign).map(|limit| (relation, limit.trim()))
    });
    let (relation, limit) = found.ok_or_else(expected)?;
    let (metric, service) = read_metric(head.trim())?;
    if service.is_some() && !metric.is_of_services() {
        return Err(format!("{EXPECTED}; {} is not known for single services", head.trim()));
    }
    let limit = read_limit(metric, limit)?;
    Ok(Goal { text: text.to_owned(), metric, service, relation, limit })
}

fn read_metric(head: &str) -> Read<(Metric, Option<String>)> {
    let expected = || EXPECTED.to_owned();
    if let Some(name) = head.strip_prefix("abandon")
        && (name.is_empty() || name.starts_with('('))
    {
        return Err(format!("{EXPECTED}; abandon is not built yet"));
    }
    let (name, args) = match head.split_once('(') {
        None => (head, None),
        Some((name, rest)) => (name.trim(), Some(rest.strip_suffix(')').ok_or_else(expected)?)),
    };
    let args: Vec<&str> =
        args.into_iter().flat_map(|args| args.split(',')).map(str::trim).collect();
    if let Some(&(_, metric)) = SHARES.iter().find(|(known, _)| *known == name) {
        return match args[..] {
            [] => Ok((metric, None)),
            [service] => Ok((metric, Some(service.to_owned()))),
            _ => Err(expected()),
        };
    }
    let figure = match name {
        "mean" => Figure::Mean,
        "max" => Figure::Max,
        _ => {
            let percent = name.strip_prefix('p').ok_or_else(expected)?;
            let percent: f64 = percent.parse().map_err(|_| expected())?;
            if !(percent > 0.0 && percent < 100.0) {
                return Err(format!("{EXPECTED}; a percentile is above p0 and below p100"));
            }
            // The share that a person would write: 0.999 and not the one beside it.
            Figure::Quantile((percent * 1e6).round() / 1e8)
        }
    };
    let (latency, service) = match args[..] {
        [latency] => (latency, None),
        [latency, service] => (latency, Some(service.to_owned())),
        _ => return Err(expected()),
    };
    let latency = LATENCIES.iter().find(|(known, _)| *known == latency);
    let &(_, latency) = latency.ok_or_else(|| {
        format!("{EXPECTED}; latencies are wait, service, sojourn, overhead, response and lag")
    })?;
    Ok((Metric::Latency(latency, figure), service))
}

fn read_limit(metric: Metric, text: &str) -> Read<f64> {
    match metric.unit() {
        Unit::Seconds => value::seconds(text),
        Unit::PerSecond => value::per_second(text),
        Unit::Share if text == "0" => Ok(0.0),
        Unit::Share => value::percent(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, metric: Metric, service: Option<&str>, relation: Relation, limit: f64) {
        let [goal] = &goals(text).unwrap()[..] else { panic!("{text} is one goal") };
        assert_eq!((goal.metric, goal.service.as_deref()), (metric, service), "{text}");
        assert_eq!(goal.relation, relation, "{text}");
        assert!((goal.limit - limit).abs() < 1e-12, "{text}: {}", goal.limit);
    }

    #[test]
    fn goals_are_read_with_their_units() {
        use Metric::Latency as Of;
        let p = Figure::Quantile;
        check("p99(wait) < 50ms", Of(Latency::Wait, p(0.99)), None, Relation::Below, 0.05);
        check(
            "p99.9( sojourn , letters )<=2s",
            Of(Latency::Sojourn, p(0.999)),
            Some("letters"),
            Relation::AtMost,
            2.0,
        );
        check(
            "mean(response) < 1ms",
            Of(Latency::Response, Figure::Mean),
            None,
            Relation::Below,
            1e-3,
        );
        check("max(lag) < 1s", Of(Latency::Lag, Figure::Max), None, Relation::Below, 1.0);
        check("reject = 0", Metric::Reject, None, Relation::Same, 0.0);
        check("fail(letters) < 1%", Metric::Fail, Some("letters"), Relation::Below, 0.01);
        check("utilization <= 80%", Metric::Utilization, None, Relation::AtMost, 0.8);
        check("throughput >= 120/min", Metric::Throughput, None, Relation::AtLeast, 2.0);
    }

    #[test]
    fn several_goals_are_separated_by_commas_outside_brackets() {
        let read = goals("p99(wait, letters) < 5ms, reject = 0").unwrap();
        let texts: Vec<&str> = read.iter().map(|goal| &goal.text[..]).collect();
        assert_eq!(texts, ["p99(wait, letters) < 5ms", "reject = 0"]);
        assert_eq!(read[0].metric_text(), "p99(wait, letters)");
    }

    #[test]
    fn what_is_no_goal_is_refused() {
        for (text, said) in [
            ("", "goals such as"),
            ("p99(wait)", "goals such as"),
            ("p99(wait) < 50", "a span such as"),
            ("p99(wait < 50ms", "goals such as"),
            ("p100(wait) < 50ms", "below p100"),
            ("p99(queue) < 50ms", "latencies are wait"),
            ("p99(response, letters) < 5ms", "not known for single services"),
            ("reject < 3", "a percentage"),
            ("abandon < 1%", "not built yet"),
            ("p99(wait) < 5ms,", "goals such as"),
            ("throughput > 0/s", "a rate above zero"),
        ] {
            let error = goals(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn relations_compare_as_they_are_written() {
        for (relation, holds) in [
            (Relation::Below, [true, false, false]),
            (Relation::AtMost, [true, true, false]),
            (Relation::Above, [false, false, true]),
            (Relation::AtLeast, [false, true, true]),
            (Relation::Same, [false, true, false]),
        ] {
            assert_eq!([1.0, 2.0, 3.0].map(|figure| relation.holds(figure, 2.0)), holds);
        }
    }
}
