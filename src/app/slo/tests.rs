//! Goals that are met, missed, and met again.

use std::sync::Arc;

use super::*;
use crate::app::results::Latencies;

fn slos(text: &str) -> Vec<Slo> {
    let text = format!("[slo]\n{text}\n[service.a]\n[service.b]");
    engine::config::parse_effective(&text).unwrap().slos
}

fn services() -> Vec<String> {
    vec!["a".to_owned(), "b".to_owned()]
}

fn ms(values: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    for &ms in values {
        histogram.record(Duration::from_millis(ms));
    }
    histogram
}

fn counts(issued: u64, rejected: u64, served: u64, failed: u64) -> Counts {
    Counts { issued, rejected: Some(rejected), served, failed }
}

/// Figures with these waits of all services.
fn figures(waits: &[u64], counts: Counts) -> Figures {
    let mut figures = Figures::blank(services().into_iter());
    let histogram = Arc::new(ms(waits));
    figures.histograms = vec![NamedHistogram { name: "wait", service: None, histogram }];
    figures.all.counts = counts;
    figures
}

/// Makes sure what is said of one goal.
fn check(
    goal: &str,
    figures: &Figures,
    is_over: bool,
    wanted: (Option<&str>, Option<f64>, Verdict),
) {
    let rows = Watch::new(&slos(&format!("it = {goal}")), &services()).rows(figures, is_over);
    let [row] = &rows[..] else { panic!("{goal}: one goal, one row") };
    let value = row.value.map(SloValue::text);
    assert_eq!((value.as_deref(), row.attainment, row.verdict), wanted, "{goal}");
}

#[test]
fn a_percentile_is_met_by_a_share_of_all_that_was_offered() {
    let waits: Vec<u64> = (1..=100).collect();
    let all = figures(&waits, counts(100, 0, 100, 0));
    check("p90(wait) < 91ms", &all, true, (Some("90.0ms"), Some(0.9), Verdict::Met));
    check("p90(wait) < 90ms", &all, true, (Some("90.0ms"), Some(0.89), Verdict::Missed));
    let rejecting = figures(&waits, counts(100, 20, 100, 0));
    let attained = Some(91.0 / 120.0);
    check("p90(wait) <= 91ms", &rejecting, true, (Some("90.0ms"), attained, Verdict::Missed));
    let failing = figures(&waits, counts(101, 0, 100, 1));
    check("p99(wait) <= 1s", &failing, true, (Some("99.0ms"), Some(100.0 / 101.0), Verdict::Met));
}

#[test]
fn what_is_open_counts_only_when_it_will_never_end() {
    let open = figures(&[1, 2, 3], counts(10, 0, 3, 0));
    check("p99(wait) < 1s", &open, false, (Some("3.00ms"), Some(1.0), Verdict::Met));
    check("p99(wait) < 1s", &open, true, (Some("3.00ms"), Some(0.3), Verdict::Missed));
    check("unfinished < 1%", &open, false, (None, None, Verdict::Unknown));
    check("unfinished < 1%", &open, true, (Some("70.0 %"), None, Verdict::Missed));
}

#[test]
fn figures_are_compared_with_their_limits() {
    let mut all = figures(&[2, 4], counts(90, 10, 85, 5));
    (all.all.utilization, all.all.throughput) = (Some(0.75), Some(12.5));
    (all.users.intended, all.users.dropped) = (Some(200), Some(2));
    check("mean(wait) < 4ms", &all, true, (Some("3.00ms"), None, Verdict::Met));
    check("max(wait) < 4ms", &all, true, (Some("4.00ms"), None, Verdict::Missed));
    check("reject < 10%", &all, true, (Some("10.0 %"), None, Verdict::Missed));
    check("reject <= 10%", &all, true, (Some("10.0 %"), None, Verdict::Met));
    check("reject = 0", &all, true, (Some("10.0 %"), None, Verdict::Missed));
    check("drop <= 1%", &all, true, (Some("1.0 %"), None, Verdict::Met));
    check("utilization < 80%", &all, true, (Some("75.0 %"), None, Verdict::Met));
    check("throughput > 13/s", &all, true, (Some("12.5/s"), None, Verdict::Missed));
}

#[test]
fn nothing_measured_is_neither_met_nor_missed() {
    let none = Figures::blank(services().into_iter());
    for goal in ["p99(wait) < 1s", "reject = 0", "mean(response) < 1s", "throughput > 1/s"] {
        check(goal, &none, true, (None, None, Verdict::Unknown));
    }
    let all_rejected = figures(&[], counts(0, 7, 0, 0));
    check("p99(wait) < 1s", &all_rejected, true, (None, Some(0.0), Verdict::Missed));
}

/// An office in which some tickets wait so long in a second.
struct Office {
    watch: Watch,
    results: Results,
    second: u64,
}

impl Office {
    fn new(goals: &str) -> Self {
        let mut results = Results::new(2);
        results.issuer.services = vec![ServiceTotals::default(); 2];
        Self { watch: Watch::new(&slos(goals), &services()), results, second: 0 }
    }

    /// Returns what is told after a second with these waits of service b.
    fn second(&mut self, waits: &[u64]) -> Vec<String> {
        self.second += 1;
        self.results.issuer.at = Time(self.second * 1_000_000_000);
        let served = waits.len() as u64;
        let totals = &mut self.results.issuer.services[1].totals;
        (totals.issued, totals.served) = (totals.issued + served, totals.served + served);
        let wait = Arc::new(ms(waits));
        let latencies = Latencies { wait, ..Latencies::default() };
        let services = BTreeMap::from([(1, latencies.clone())]);
        let fresh = Fresh { latencies, services, ..Fresh::default() };
        let news = self.watch.end_second(&fresh, &self.results, true);
        news.into_iter().map(|news| news.text).collect()
    }
}

#[test]
fn an_alert_begins_at_once_and_ends_after_some_calm() {
    let mut office = Office::new("fast = p99(wait, b) < 50ms");
    assert_eq!(office.watch.services(), [1]);
    for _ in 0..3 {
        assert_eq!(office.second(&[10; 20]), [""; 0]);
    }
    assert_eq!(office.second(&[61; 20]), ["SLO p99(wait, b) < 50ms missed: 61.0ms"]);
    let mut told = Vec::new();
    for _ in 0..14 {
        told.extend(office.second(&[10; 20]).into_iter().map(|text| (office.second, text)));
    }
    let text = "SLO p99(wait, b) < 50ms met again after 12.0s: 10.0ms".to_owned();
    assert_eq!(told, [(16, text)], "ten seconds until it is out of sight, and the calm");
}

#[test]
fn seconds_that_are_not_measured_raise_no_alert() {
    let mut office = Office::new("fast = p99(wait) < 50ms");
    let fresh = Fresh {
        latencies: Latencies { wait: Arc::new(ms(&[900])), ..Latencies::default() },
        ..Fresh::default()
    };
    assert_eq!(office.watch.end_second(&fresh, &office.results, false), []);
    assert_eq!(office.second(&[10; 20]), [""; 0]);
}

#[test]
fn goals_that_stay_keep_their_alert() {
    let mut office = Office::new("fast = p99(wait) < 50ms");
    office.second(&[1; 3]);
    office.second(&[60; 3]);
    office.watch.set_goals(&slos("fast = p99(wait) < 50ms\nmore = reject = 0"));
    let rows = office.watch.rows(&Figures::default(), false);
    let alerts: Vec<_> = rows.iter().map(|row| (&row.name[..], row.alert)).collect();
    assert_eq!(alerts, [("fast", Verdict::Missed), ("more", Verdict::Unknown)]);
    office.watch.set_goals(&slos("fast = p99(wait) < 70ms"));
    assert_eq!(office.watch.rows(&Figures::default(), false)[0].alert, Verdict::Unknown);
}
