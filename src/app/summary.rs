//! What a run is told to have been: one table for people, the same figures as JSON.
//!
//! Every figure rests on the measured window, from the end of warm-up to the end of arrivals
//! without pauses; `offered` to `unfinished` count the tickets that arrived in it, followed
//! through the drain. A summary shows one snapshot: the last one when the run has ended.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Time, nanos};
use engine::perf::{Interval, Spread};
use serde_json::{Map, Value, json};

use super::exit::Exit;
use super::figures::{Figures, Little, Peak, ServiceFigures, UserFigures};
use super::format;
use super::slo::{SloRow, SloValue, Verdict, exit_of_run};
use super::state::{AppState, Ending, Happening, Phase, RecoveryRow, Severity, StoreRow, Totals};
use super::tables::{SURE_ENOUGH, window_for_sure};

/// A run's figures, ready to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    state: Arc<AppState>,
}

impl Summary {
    /// Sums up what a snapshot shows.
    pub(crate) fn new(state: Arc<AppState>) -> Self {
        Self { state }
    }

    /// Returns the exit code of the run.
    pub(crate) fn exit(&self) -> Exit {
        exit_of_run(&self.state).unwrap_or(Exit::Done)
    }

    fn ending(&self) -> Option<&Ending> {
        match &self.state.phase {
            Phase::Stopped(ending) => Some(ending),
            _ => None,
        }
    }

    /// Returns how the run ended, or where it stands, and why.
    pub(crate) fn outcome(&self) -> (&'static str, Option<String>) {
        match self.ending() {
            None => (self.state.phase.name(), None),
            Some(Ending::Completed) => ("completed", None),
            Some(Ending::Interrupted { signal }) => {
                ("interrupted", Some(format!("ended by signal {signal}")))
            }
            Some(Ending::Overloaded { waiting }) => {
                let why = format!("{waiting} tickets waited, more than run.explode allows");
                ("overloaded", Some(why))
            }
            Some(Ending::Failed { reason, .. }) => ("failed", Some(reason.clone())),
        }
    }

    /// Returns the figures as JSON: snake_case keys with their unit in the name, `null` for what
    /// was not measured.
    pub(crate) fn to_json(&self) -> Value {
        let state = &*self.state;
        let figures = &*state.figures;
        let (outcome, reason) = self.outcome();
        let mut json = json!({
            "scenario": state.run.scenario,
            "seed": state.run.seed,
            "run": state.run.id_text(),
            "workload_digest": figures.users.digest.map(|digest| format!("{digest:016x}")),
            "outcome": outcome,
            "reason": reason,
            "exit_code": exit_of_run(state).map(Exit::code),
            "snapshot": state.number,
            "elapsed_ns": nanos(state.elapsed),
            "window_ns": nanos(figures.window),
            "pauses_ns": pauses_json(state),
            "fsync": state.run.fsync,
            "slos": state.slos.iter().map(goal_json).collect::<Vec<_>>(),
            "recovered": state.totals.recovered,
            "redelivered": state.totals.redelivered,
            "bad_peers": state.totals.bad_peers,
            "host": { "name": state.run.host, "cpus": state.run.cpus },
            "store": store_json(&state.store),
            "recovery": state.store.recovery.as_ref().map(recovery_json),
            "workers_fairness": figures.workers_fairness,
            "users_fairness": figures.users_fairness,
            "events": (state.events.iter())
                .map(|event| event_json(event, state.opened_at))
                .collect::<Vec<_>>(),
            "events_dropped": state.events_dropped,
            "services": (figures.services.iter())
                .map(|row| service_json(row, figures.window))
                .collect::<Vec<_>>(),
        });
        let mut users = Map::new();
        users.insert("intended".to_owned(), json!(figures.users.intended));
        users.insert("dropped".to_owned(), json!(figures.users.dropped));
        users.insert("schedule_fidelity".to_owned(), json!(figures.schedule_fidelity()));
        put_spread(&mut users, "response", figures.users.response);
        put_spread(&mut users, "lag", figures.users.lag);
        if let Value::Object(map) = &mut json {
            map.extend(service_map(&figures.all, figures.window));
            map.insert("users".to_owned(), Value::Object(users));
        }
        json
    }

    /// Returns the figures as tables for people.
    pub(crate) fn to_text(&self) -> String {
        let state = &*self.state;
        let Figures { window, all, services, users, .. } = &*state.figures;
        let (outcome, reason) = self.outcome();
        let mut text = String::new();
        let digest = users.digest.map_or_else(
            || "incomplete: not all users of the start were there to the end".to_owned(),
            |digest| format!("{digest:016x}"),
        );
        let measured = format::duration(*window);
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{} · seed {} · run {} · {outcome} · {measured} measured · fsync {}\nworkload {digest}\n",
            state.run.scenario,
            state.run.seed_text(),
            state.run.id_text(),
            state.run.fsync
        );
        if let Some(reason) = &reason {
            let _ = writeln!(text, "{reason}\n");
        }
        if window.is_zero() && all.counts.issued == 0 && all.counts.rejected.unwrap_or(0) == 0 {
            if self.ending().is_some() {
                text.push_str("nothing was measured\n");
                text.push_str(&goals_text(&state.slos));
                return text;
            }
            // The run goes on: something is known all the same.
            let Totals { offered, served, waiting, .. } = state.totals;
            let _ = writeln!(
                text,
                "nothing has been measured yet: the warm-up is left out\n\
                 since the doors opened: {} offered, {} served; {} waiting now",
                format::known(offered, format::count),
                format::count(served),
                format::count(waiting)
            );
            return text;
        }
        let rows: Vec<&ServiceFigures> =
            if services.len() > 1 { services.iter().chain([all]).collect() } else { vec![all] };
        text.push_str(&tickets_table(&rows));
        text.push('\n');
        text.push_str(&queue_table(&rows));
        text.push('\n');
        text.push_str(&latency_table(&rows, users));
        text.push_str(&doubts(&state.figures));
        text.push_str(&goals_text(&state.slos));
        let _ = writeln!(text, "\n{}", store_text(&state.store));
        let found = state.store.recovery.iter().flat_map(RecoveryRow::news);
        for (_, news) in found.filter(|(severity, _)| *severity > Severity::Info) {
            let _ = writeln!(text, "{news}");
        }
        for (count, what) in [
            (Some(state.totals.recovered), "tickets queued again at a start of the issuer"),
            (Some(state.totals.redelivered), "tickets handed out again because their worker died"),
            (users.dropped, "requests that were due and never sent"),
            (state.totals.bad_peers, "peers that were refused"),
        ] {
            if let Some(count @ 1..) = count {
                let _ = writeln!(text, "{what}: {}", format::count(count));
            }
        }
        text
    }
}

/// Returns from when to when the run stood still, in the time of `tickets.csv`: since the doors
/// opened, pauses included. A pause that lasts on has no end.
fn event_json(event: &Happening, opened: Option<Time>) -> Value {
    let opened = opened.filter(|&opened| opened <= event.at);
    json!({
        "number": event.number,
        "wall_ns": event.wall.0,
        "since_open_ns": opened.map(|opened| nanos(event.at.since(opened))),
        "severity": event.severity.name(),
        "who": event.who.name(),
        "label": event.label,
        "text": event.text,
    })
}

fn pauses_json(state: &AppState) -> Value {
    let since = |moment: Time| nanos(moment.since(state.opened_at.unwrap_or_default()));
    let until = |moment: Time| (moment != Time::NEVER).then(|| since(moment));
    state.pauses.iter().map(|&(from, to)| json!([since(from), until(to)])).collect()
}

/// Returns a goal; its figures are in its own unit, which is in their keys.
pub(crate) fn goal_json(row: &SloRow) -> Value {
    let number = |value: Option<SloValue>| value.map(SloValue::number);
    let (value, limit, recent) = match row.limit {
        SloValue::Span(_) => ("value_s", "limit_s", "last_10s_s"),
        SloValue::Share(_) => ("value_ratio", "limit_ratio", "last_10s_ratio"),
        SloValue::Rate(_) => ("value_per_s", "limit_per_s", "last_10s_per_s"),
    };
    json!({
        "name": row.name,
        "goal": row.text,
        "verdict": row.verdict.name(),
        value: number(row.value),
        limit: row.limit.number(),
        "attainment": row.attainment,
        recent: number(row.recent),
        "alert": row.alert.name(),
    })
}

/// Says which goals were met; nothing if there are none.
fn goals_text(slos: &[SloRow]) -> String {
    if slos.is_empty() {
        return String::new();
    }
    let value = |value: Option<SloValue>| value.map_or_else(absent, SloValue::text);
    let cells = slos.iter().map(|row| {
        let verdict = match row.verdict {
            Verdict::Missed => "MISSED",
            verdict => verdict.name(),
        };
        let attained = row.attainment.map_or_else(absent, format::percent);
        vec![row.text.clone(), verdict.to_owned(), value(row.value), attained]
    });
    let heads = ["goal", "verdict", "reached", "of all offered"];
    format!("\n{}", table(&heads, cells.collect()))
}

fn store_json(store: &StoreRow) -> Value {
    let index = store.index.as_ref();
    let mut json = json!({
        "segments": store.segments,
        "log_bytes": store.log_bytes,
        "file_bytes": store.file_bytes,
        "retired": store.retired,
        "issuer_starts": store.issuer_starts,
        "records": store.records,
        "bytes": store.bytes,
        "batches": store.batches,
        "syncs": store.syncs,
        "unsynced_bytes": store.unsynced_bytes,
        "index": {
            "memory_keys": index.map(|index| index.keys),
            "memory_bytes": index.map(|index| index.bytes),
            "lmdb_rows": index.map(|index| index.rows),
            "lmdb_bytes": index.map(|index| index.file_bytes),
            "behind_bytes": index.map(|index| index.behind_bytes),
            "checkpoints": index.map(|index| index.checkpoints),
        },
    });
    if let Value::Object(map) = &mut json {
        put_spread(map, "sync", store.sync);
    }
    json
}

fn store_text(store: &StoreRow) -> String {
    let files = store
        .file_bytes
        .map_or_else(String::new, |bytes| format!(", files {}", format::bytes(bytes)));
    let retired = match store.retired {
        None | Some(0) => String::new(),
        Some(retired) => format!(", {} let go of", format::count(retired)),
    };
    let since = if store.issuer_starts > 1 { " since the issuer's last start" } else { "" };
    let sync = store.sync.map_or_else(String::new, |sync| {
        format!(" (p50 {}, p99 {})", format::duration(sync.p50), format::duration(sync.p99))
    });
    format!(
        "log: {}, {}{files}{retired}\nwritten{since}: {} records, {} in {} batches, {} syncs{sync}",
        format::counted(store.segments, "segment"),
        format::bytes(store.log_bytes),
        format::count(store.records),
        format::bytes(store.bytes),
        format::count(store.batches),
        format::known(store.syncs, format::count),
    )
}

/// Returns what the issuer's last start found.
fn recovery_json(found: &RecoveryRow) -> Value {
    let index = match (found.is_new(), &found.rebuilt) {
        (true, _) => "new",
        (false, Some(_)) => "rebuilt",
        (false, None) => "whole",
    };
    json!({
        "segments": found.segments,
        "records": found.records,
        "requeued": found.requeued,
        "index": index,
        "index_reason": found.rebuilt.as_ref().filter(|_| !found.is_new()),
        "lost_keys": found.lost_keys,
        "torn_bytes": found.torn_bytes,
        "kept_aside": found.kept_aside,
        "elapsed_ns": nanos(found.elapsed),
    })
}

fn service_map(row: &ServiceFigures, window: Duration) -> Map<String, Value> {
    let mut map = Map::new();
    let counts = row.counts;
    for (key, count) in [
        ("offered", row.offered()),
        ("issued", Some(counts.issued)),
        ("rejected", counts.rejected),
        ("served", Some(counts.served)),
        ("failed", Some(counts.failed)),
        ("unfinished", Some(row.unfinished())),
    ] {
        map.insert(key.to_owned(), json!(count));
    }
    for (key, figure) in [
        ("offered_per_s", row.offered_rate),
        ("throughput_per_s", row.throughput),
        ("utilization", row.utilization),
        ("waiting_mean", row.waiting_mean),
        ("in_system_mean", row.in_system_mean),
        ("delayed_share", row.delayed_share),
        ("rejected_share", row.rejected_share),
    ] {
        map.insert(key.to_owned(), json!(figure));
    }
    put_peak(&mut map, "waiting_max", row.waiting_max);
    put_peak(&mut map, "in_system_max", row.in_system_max);
    map.insert("wait_accepted_mean_ns".to_owned(), json!(row.wait_accepted_mean.map(nanos)));
    map.insert("lost_work_ns".to_owned(), json!(row.lost_work.map(nanos)));
    put_spread(&mut map, "wait", row.wait);
    put_spread(&mut map, "service", row.service);
    put_spread(&mut map, "sojourn", row.sojourn);
    put_spread(&mut map, "overhead", row.overhead);
    for (key, interval) in
        [("wait_interval", row.wait_interval), ("sojourn_interval", row.sojourn_interval)]
    {
        map.insert(key.to_owned(), json!(interval.map(|known| interval_json(&known, window))));
    }
    map.insert("little".to_owned(), json!(row.little.as_ref().map(little_json)));
    map
}

fn put_peak(map: &mut Map<String, Value>, name: &str, peak: Option<Peak>) {
    map.insert(name.to_owned(), json!(peak.map(|peak| peak.count)));
    map.insert(format!("{name}_at_ns"), json!(peak.map(|peak| nanos(peak.at))));
}

fn interval_json(interval: &Interval, window: Duration) -> Value {
    json!({
        "mean_ns": interval.mean_ns,
        "half_width_ns": interval.half_width_ns,
        "relative": interval.relative(),
        "lag_1": interval.lag_1,
        "batch_values": interval.batch_values,
        "valid": interval.is_valid(),
        "window_for_5_percent_ns": window_for_sure(interval, window).map(nanos),
    })
}

fn little_json(little: &Little) -> Value {
    json!({
        "waiting_mean": little.waiting_mean,
        "rate_times_wait": little.rate_times_wait,
        "boundary": little.boundary,
        "gap": little.gap,
        "holds": little.holds(),
    })
}

fn service_json(row: &ServiceFigures, window: Duration) -> Value {
    let mut map = service_map(row, window);
    map.insert("name".to_owned(), json!(row.name));
    Value::Object(map)
}

fn put_spread(map: &mut Map<String, Value>, name: &str, spread: Option<Spread>) {
    let spans = match spread {
        Some(s) => [s.mean, s.p50, s.p90, s.p99, s.p999, s.max].map(|span| Some(nanos(span))),
        None => [None; 6],
    };
    for (figure, span) in ["mean", "p50", "p90", "p99", "p999", "max"].into_iter().zip(spans) {
        map.insert(format!("{name}_{figure}_ns"), json!(span));
    }
}

fn tickets_table(rows: &[&ServiceFigures]) -> String {
    let heads = [
        "service",
        "offered",
        "issued",
        "rejected",
        "served",
        "failed",
        "unfinished",
        "served/s",
        "utilization",
    ];
    let cells = rows.iter().map(|row| {
        let counts = row.counts;
        let optional = |figure: Option<f64>, write: fn(f64) -> String| {
            figure.map_or_else(|| format::ABSENT.to_owned(), write)
        };
        vec![
            row.name.clone(),
            format::known(row.offered(), format::count),
            format::count(counts.issued),
            format::known(counts.rejected, format::count),
            format::count(counts.served),
            format::count(counts.failed),
            format::count(row.unfinished()),
            optional(row.throughput, format::rate),
            optional(row.utilization, format::percent),
        ]
    });
    table(&heads, cells.collect())
}

fn queue_table(rows: &[&ServiceFigures]) -> String {
    let heads =
        ["service", "waiting", "most", "at", "in system", "most", "at", "had to wait", "rejected"];
    let number = |figure: Option<f64>| figure.map_or_else(absent, format::number);
    let share = |figure: Option<f64>| figure.map_or_else(absent, format::percent);
    let peak = |peak: Option<Peak>| match peak {
        Some(peak) => [format::count(peak.count), format::duration(peak.at)],
        None => [absent(), absent()],
    };
    let cells = rows.iter().map(|row| {
        let [waiting, waiting_at] = peak(row.waiting_max);
        let [in_system, in_system_at] = peak(row.in_system_max);
        vec![
            row.name.clone(),
            number(row.waiting_mean),
            waiting,
            waiting_at,
            number(row.in_system_mean),
            in_system,
            in_system_at,
            share(row.delayed_share),
            share(row.rejected_share),
        ]
    });
    table(&heads, cells.collect())
}

fn absent() -> String {
    format::ABSENT.to_owned()
}

/// Says how far the figures can be trusted; nothing if nobody knows.
fn doubts(figures: &Figures) -> String {
    let all = &figures.all;
    let mut text = String::new();
    // Writing to a string can't fail.
    for (name, interval) in [("wait", all.wait_interval), ("sojourn", all.sojourn_interval)] {
        let Some(interval) = interval else { continue };
        let mean = format::mean(interval.mean_ns, interval.half_width_ns);
        let sure = if interval.is_valid() {
            " (95 %)"
        } else {
            "? (too few tickets, or too alike in a row, to be sure)"
        };
        let _ = write!(text, "mean {name} {mean}{sure}");
        let is_wide = interval.relative().is_some_and(|relative| relative > SURE_ENOUGH);
        if let Some(window) = window_for_sure(&interval, figures.window).filter(|_| is_wide) {
            let _ = write!(text, "; ±5 % would take {}", format::duration(window));
        }
        text.push('\n');
    }
    if let Some(little) = &all.little {
        let gap = format::percent(little.gap);
        let _ = if little.holds() {
            writeln!(text, "Little's law: gap {gap}")
        } else {
            writeln!(
                text,
                "WARNING: Little's law: gap {gap}: queue and waits don't agree, trust neither"
            )
        };
    }
    let fairness = [("workers", figures.workers_fairness), ("users", figures.users_fairness)];
    let known = fairness.iter().filter_map(|(who, index)| Some((who, (*index)?)));
    let words: Vec<String> = known.map(|(who, index)| format!("{who} {index:.3}")).collect();
    if !words.is_empty() {
        let _ = writeln!(text, "fairness (Jain's index, 1 is even): {}", words.join(", "));
    }
    if let Some(lost) = all.lost_work.filter(|lost| !lost.is_zero()) {
        let lost = format::duration(lost);
        let _ = writeln!(text, "{lost} of service were lost with workers that died");
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// Writes a mean with no more digits than its interval justifies; `?` if that is in doubt itself.
fn mean_text(mean: Duration, interval: Option<Interval>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
    interval.map_or_else(
        || format::duration(mean),
        |interval| {
            let doubt = if interval.is_valid() { "" } else { "?" };
            format!("{}{doubt}", format::mean(nanos(mean) as f64, interval.half_width_ns))
        },
    )
}

fn latency_table(rows: &[&ServiceFigures], users: &UserFigures) -> String {
    let heads = ["service", "latency", "mean", "p50", "p90", "p99", "p99.9", "max"];
    let mut cells = Vec::new();
    let mut line = |service: &str, latency: &str, spread: Option<Spread>, interval| {
        let mut cell = vec![service.to_owned(), latency.to_owned()];
        match spread {
            Some(s) => {
                cell.push(mean_text(s.mean, interval));
                cell.extend([s.p50, s.p90, s.p99, s.p999, s.max].map(format::duration));
            }
            None => cell.extend([format::ABSENT; 6].map(str::to_owned)),
        }
        cells.push(cell);
    };
    for row in rows {
        line(&row.name, "wait", row.wait, row.wait_interval);
        line("", "service", row.service, None);
        line("", "sojourn", row.sojourn, row.sojourn_interval);
        line("", "overhead", row.overhead, None);
    }
    line("users", "response", users.response, None);
    line("", "lag", users.lag, None);
    table(&heads, cells)
}

/// Lines columns up: the first two to the left if they hold words, the others to the right.
fn table(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut lines = vec![heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>()];
    lines.extend(rows);
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            let is_word = column == 0 || heads[column] == "latency";
            if is_word { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::figures::Counts;

    fn spread_of(values_ms: &[u64]) -> Option<Spread> {
        let mut histogram = engine::perf::Histogram::default();
        for &ms in values_ms {
            histogram.record(Duration::from_millis(ms));
        }
        histogram.spread()
    }

    fn row() -> ServiceFigures {
        ServiceFigures {
            name: "parcels".to_owned(),
            counts: Counts { issued: 100, rejected: Some(20), served: 90, failed: 4 },
            throughput: Some(8.0),
            utilization: Some(0.6),
            wait: spread_of(&[1, 2, 3]),
            ..ServiceFigures::default()
        }
    }

    #[test]
    fn json_has_units_in_its_keys_and_null_for_what_was_not_measured() {
        let json = service_json(&row(), Duration::from_secs(10));
        for (key, wanted) in [
            ("offered", json!(120)),
            ("unfinished", json!(6)),
            ("throughput_per_s", json!(8.0)),
            ("wait_mean_ns", json!(2_000_000)),
            ("service_p99_ns", Value::Null),
        ] {
            assert_eq!(json[key], wanted, "{key}");
        }
    }

    #[test]
    fn json_tells_how_sure_a_figure_is_or_null() {
        let sure = interval(2_000_000.0, 300_000.0);
        let little = Little { gap: 0.03, ..Little::default() };
        let known = ServiceFigures {
            wait_interval: Some(sure),
            little: Some(little),
            waiting_max: Some(Peak { count: 7, at: Duration::from_secs(3) }),
            ..row()
        };
        let json = service_json(&known, Duration::from_secs(10));
        assert_eq!(json["wait_interval"]["window_for_5_percent_ns"], json!(90_000_000_000_u64));
        assert_eq!(json["wait_interval"]["valid"], json!(true));
        assert_eq!(json["little"]["holds"], json!(false));
        assert_eq!(
            (&json["waiting_max"], &json["waiting_max_at_ns"]),
            (&json!(7), &json!(3_000_000_000_u64))
        );
        let json = service_json(&row(), Duration::ZERO);
        for key in ["wait_interval", "little", "waiting_max", "waiting_max_at_ns", "rejected_share"]
        {
            assert_eq!(json[key], Value::Null, "{key}");
        }
    }

    fn interval(mean_ns: f64, half_width_ns: f64) -> Interval {
        Interval { mean_ns, half_width_ns, lag_1: 0.1, batch_values: 40 }
    }

    #[test]
    fn doubts_are_told_and_silence_where_nothing_is_known() {
        assert_eq!(doubts(&Figures::default()), "");
        let mut figures = Figures { window: Duration::from_secs(60), ..Figures::default() };
        figures.all.wait_interval = Some(interval(12_345_678.0, 4_000_000.0));
        figures.all.sojourn_interval = Some(Interval { lag_1: 0.9, ..interval(3e7, 1e6) });
        figures.all.little = Some(Little { gap: 0.003, ..Little::default() });
        (figures.workers_fairness, figures.users_fairness) = (Some(0.998), None);
        let first = doubts(&figures);
        figures.all.little = Some(Little { gap: 0.041, ..Little::default() });
        figures.all.lost_work = Some(Duration::from_millis(1250));
        insta::assert_snapshot!(format!("{first}{}", doubts(&figures)));
    }

    #[test]
    fn tables_line_up() {
        let users = UserFigures::default();
        let row = ServiceFigures {
            wait_interval: Some(interval(2_000_000.0, 310_000.0)),
            waiting_mean: Some(1.27),
            waiting_max: Some(Peak { count: 61, at: Duration::from_millis(412_250) }),
            ..row()
        };
        insta::assert_snapshot!(format!(
            "{}\n{}\n{}",
            tickets_table(&[&row]),
            queue_table(&[&row]),
            latency_table(&[&row], &users)
        ));
    }
}
