//! What stands in the text, read by a parser that is not ours.

use std::collections::{BTreeMap, BTreeSet};

use openmetrics_parser::prometheus::parse_prometheus;
use openmetrics_parser::{PrometheusType, PrometheusValue};

use super::*;
use crate::app::testing;

/// Makes sure that every line can be read, has a type, and that no series is there twice.
fn check(text: &str) {
    let parsed = parse_prometheus(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let families: BTreeMap<_, _> = parsed.families.iter().collect();
    for (name, family) in families {
        assert_ne!(family.family_type, PrometheusType::Unknown, "{name} has no type");
        assert!(!family.help.is_empty(), "{name} has no help");
        let is_counter = matches!(family.family_type, PrometheusType::Counter);
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
    }
    let mut series = BTreeSet::new();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for line in samples {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with(PREFIX), "{line}");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        assert!(series.insert(name), "{name} is there twice");
    }
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(heads.len(), parsed.families.len(), "each family has one head");
}

const PREFIX: &str = "postoffice_";

#[test]
fn a_full_snapshot_is_valid_and_says_all() {
    let mut state = testing::measured();
    check(&render(&state));
    // Some of each kind are enough to be looked at, and the catalog may grow.
    state.processes.truncate(8);
    let shown = ["logstore.fsync.ns", "logstore.write.bytes", "loop.read.frames"];
    let metrics = state.metrics.iter().filter(|row| shown.contains(&row.metric.name));
    state.metrics = metrics.cloned().collect::<Vec<_>>().into();
    let text = render(&state);
    check(&text);
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn a_snapshot_of_the_first_moments_is_valid_too() {
    let text = render(&testing::starting());
    check(&text);
    assert!(text.contains("postoffice_state{state=\"recovering\"} 1\n"), "{text}");
    for absent in ["utilization", "recent_latency", "little", "process_up", "recovery_"] {
        assert!(!text.contains(absent), "{absent} is not known yet:\n{text}");
    }
}

#[test]
fn odd_names_are_escaped() {
    let mut state = testing::measured();
    state.run.scenario = "a \"b\" \\ c\nd".to_owned();
    let text = render(&state);
    check(&text);
    let parsed = parse_prometheus(&text).unwrap();
    let info = parsed.families["postoffice_info"].iter_samples().next().unwrap();
    let labels = info.get_labelset().unwrap();
    assert_eq!(labels.get_label_value("scenario"), Some("a \"b\" \\ c\nd"));
}

/// The tables of the summary and the text have one source, so they say the same.
#[test]
fn quantiles_are_those_of_the_tables() {
    let state = testing::measured();
    let parsed = parse_prometheus(&render(&state)).unwrap();
    let family = &parsed.families["postoffice_measured_latency_seconds"];
    for row in &state.latencies {
        let sample = family.get_sample_by_label_values(&[row.name.to_owned()]).unwrap();
        let PrometheusValue::Summary(summary) = &sample.value else { panic!("{sample:?}") };
        let spread = row.run.spread.unwrap();
        let wanted = [spread.p50, spread.p90, spread.p99, spread.p999, spread.max];
        let found: Vec<u64> = summary.quantiles.iter().map(|of| to_ns(of.value.as_f64())).collect();
        assert_eq!(found, wanted.map(engine::clock::nanos), "{}", row.name);
        assert_eq!(summary.count, Some(row.run.count), "{}", row.name);
        let mean = summary.sum.as_ref().unwrap().as_f64() / row.run.count as f64;
        assert!((mean * 1e9 - spread.mean.as_nanos() as f64).abs() < 1.5, "{}", row.name);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded")]
fn to_ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

#[test]
fn internal_metrics_have_names_of_their_own() {
    let text = render(&testing::measured());
    for metric in engine::perf::catalog::METRICS {
        let name = internal_name(metric).0;
        assert!(text.contains(&format!("\npostoffice_{name}")), "{name} is missing");
    }
    assert!(text.contains("\npostoffice_logstore_fsync_seconds{quantile=\"0.5\"} "), "{text}");
    assert!(text.contains("\npostoffice_loop_read_frames_total "), "{text}");
}

#[test]
fn an_age_is_told_to_whoever_asks() {
    let state = testing::app();
    let text = render_at(&state, WallTime(state.wall.0 + 250_000_000));
    check(&text);
    assert!(text.contains("\npostoffice_snapshot_age_seconds 0.25\n"), "{text}");
}
