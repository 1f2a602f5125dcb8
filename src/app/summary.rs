//! What a run is told to have been: one table for people, the same figures as JSON.
//!
//! Every figure rests on the measured window, from the end of warm-up to the end of arrivals
//! without pauses; `offered` to `unfinished` count the tickets that arrived in it, followed
//! through the drain.

use std::fmt::Write as _;
use std::time::Duration;

use engine::clock::nanos;
use engine::net::message::{ServiceTotals, StoreTotals, TicketCounts};
use engine::perf::Spread;
use serde_json::{Map, Value, json};

use super::director::Orders;
use super::exit::Exit;
use super::format;
use super::results::{Latencies, Results, sum};
use super::state::{Ending, RecoveryRow};
use super::update::{Run, exit_of};

/// A run's figures, ready to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    head: Head,
    /// All services together.
    all: Row,
    /// One row per service, in scenario order.
    services: Vec<Row>,
    users: UserFigures,
    store: StoreFigures,
    recovery: Option<RecoveryRow>,
}

/// What identifies the run and how it ended.
#[derive(Clone, Debug)]
struct Head {
    scenario: String,
    seed: u64,
    run: String,
    digest: Option<u64>,
    outcome: &'static str,
    reason: Option<String>,
    exit: Exit,
    elapsed: Duration,
    window: Duration,
    fsync: String,
    recovered: u64,
    redelivered: u64,
    bad_peers: u64,
    host: String,
    cpus: usize,
}

/// The figures of one service, or of all.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    counts: TicketCounts,
    offered_rate: Option<f64>,
    throughput: Option<f64>,
    utilization: Option<f64>,
    waiting_mean: Option<f64>,
    in_system_mean: Option<f64>,
    delayed_share: Option<f64>,
    wait: Option<Spread>,
    service: Option<Spread>,
    sojourn: Option<Spread>,
    overhead: Option<Spread>,
}

#[derive(Clone, Debug)]
struct UserFigures {
    intended: u64,
    dropped: u64,
    response: Option<Spread>,
    lag: Option<Spread>,
}

#[derive(Clone, Debug)]
struct StoreFigures {
    totals: StoreTotals,
    /// Bytes of the log's files.
    file_bytes: Option<u64>,
    /// Times that the issuer was started: what was written is that of its last life.
    issuer_starts: u32,
}

impl Summary {
    /// Sums a run up.
    pub(crate) fn new(
        orders: &Orders,
        results: &Results,
        run: &Run,
        ending: &Ending,
        file_bytes: Option<u64>,
    ) -> Self {
        let line = run.timeline();
        let until = results.at();
        let window = line.measured(line.opened_at, until);
        let scale = Scale { window, staffed_ns: results.issuer.staffed_ns };
        let services = &results.issuer.services;
        let mut all_latencies = Latencies::default();
        for latencies in &results.latencies {
            all_latencies.merge(latencies);
        }
        let names = orders.scenario.services.iter().map(|service| service.name.clone());
        let rows = names.enumerate().map(|(index, name)| {
            let totals = services.get(index).copied().unwrap_or_default();
            let empty = Latencies::default();
            scale.row(name, &totals, results.latencies.get(index).unwrap_or(&empty))
        });
        Self {
            head: head(orders, results, run, ending, window),
            services: rows.collect(),
            all: scale.row("all".to_owned(), &total(services), &all_latencies),
            users: UserFigures {
                intended: results.users().measured_intended,
                dropped: results.users().dropped,
                response: results.response().spread(),
                lag: results.lag().spread(),
            },
            store: StoreFigures {
                totals: results.issuer.store.clone(),
                file_bytes,
                issuer_starts: results.issuer_starts,
            },
            recovery: results.recovery.as_ref().map(RecoveryRow::from),
        }
    }

    /// Returns the exit code of the run.
    pub(crate) fn exit(&self) -> Exit {
        self.head.exit
    }

    /// Returns the figures as JSON: snake_case keys with their unit in the name, `null` for what
    /// was not measured.
    pub(crate) fn to_json(&self) -> Value {
        let Self { head, all, services, users, store, recovery } = self;
        let mut json = json!({
            "scenario": head.scenario,
            "seed": head.seed,
            "run": head.run,
            "workload_digest": head.digest.map(|digest| format!("{digest:016x}")),
            "outcome": head.outcome,
            "reason": head.reason,
            "exit_code": head.exit.code(),
            "elapsed_ns": nanos(head.elapsed),
            "window_ns": nanos(head.window),
            "fsync": head.fsync,
            "recovered": head.recovered,
            "redelivered": head.redelivered,
            "bad_peers": head.bad_peers,
            "host": { "name": head.host, "cpus": head.cpus },
            "store": store.to_json(),
            "recovery": recovery.as_ref().map(recovery_json),
            "services": services.iter().map(Row::to_json).collect::<Vec<_>>(),
        });
        let mut user_figures = Map::new();
        user_figures.insert("intended".to_owned(), json!(users.intended));
        user_figures.insert("dropped".to_owned(), json!(users.dropped));
        put_spread(&mut user_figures, "response", users.response);
        put_spread(&mut user_figures, "lag", users.lag);
        if let Value::Object(map) = &mut json {
            for (key, value) in all.figures() {
                map.insert(key, value);
            }
            map.insert("users".to_owned(), Value::Object(user_figures));
        }
        json
    }

    /// Returns the figures as tables for people.
    pub(crate) fn to_text(&self) -> String {
        let Self { head, all, services, users, store, .. } = self;
        let mut text = String::new();
        let digest = head.digest.map_or_else(
            || "incomplete: not all users of the start were there to the end".to_owned(),
            |digest| format!("{digest:016x}"),
        );
        let measured = format::duration(head.window);
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{} · seed {} · run {} · {} · {measured} measured · fsync {}\nworkload {digest}\n",
            head.scenario, head.seed, head.run, head.outcome, head.fsync
        );
        if let Some(reason) = &head.reason {
            let _ = writeln!(text, "{reason}\n");
        }
        if head.window.is_zero() && all.counts == TicketCounts::default() {
            text.push_str("nothing was measured\n");
            return text;
        }
        let rows: Vec<&Row> =
            if services.len() > 1 { services.iter().chain([all]).collect() } else { vec![all] };
        text.push_str(&tickets_table(&rows));
        text.push('\n');
        text.push_str(&latency_table(&rows, users));
        let _ = writeln!(text, "\n{}", store.to_text());
        for (count, what) in [
            (head.recovered, "tickets were queued again at a start of the issuer"),
            (head.redelivered, "tickets were handed out again because their worker died"),
            (users.dropped, "requests were due and never sent"),
            (head.bad_peers, "peers were refused"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "{} {what}", format::count(count));
            }
        }
        text
    }
}

impl StoreFigures {
    fn to_json(&self) -> Value {
        let Self { totals, file_bytes, .. } = self;
        let index = &totals.index;
        let mut json = json!({
            "segments": totals.segments,
            "log_bytes": totals.log_bytes,
            "file_bytes": file_bytes,
            "retired": totals.retired,
            "issuer_starts": self.issuer_starts,
            "records": totals.records,
            "bytes": totals.bytes,
            "batches": totals.batches,
            "syncs": totals.syncs,
            "unsynced_bytes": totals.unsynced_bytes,
            "index": {
                "memory_keys": index.keys,
                "memory_bytes": index.bytes,
                "lmdb_rows": index.rows,
                "lmdb_bytes": index.file_bytes,
                "behind_bytes": index.behind_bytes,
                "checkpoints": index.checkpoints,
            },
        });
        if let Value::Object(map) = &mut json {
            put_spread(map, "sync", totals.sync.map(Spread::from));
        }
        json
    }

    fn to_text(&self) -> String {
        let Self { totals, file_bytes, issuer_starts } = self;
        let files = file_bytes
            .map_or_else(String::new, |bytes| format!(", files {}", format::bytes(bytes)));
        let since = if *issuer_starts > 1 { " since the issuer's last start" } else { "" };
        let sync = totals.sync.map_or_else(String::new, |sync| {
            let (p50, p99) = (Duration::from_nanos(sync.p50), Duration::from_nanos(sync.p99));
            format!(" (p50 {}, p99 {})", format::duration(p50), format::duration(p99))
        });
        format!(
            "log: {}, {}{files}\nwritten{since}: {} records, {} in {} batches, {} syncs{sync}",
            format::counted(totals.segments, "segment"),
            format::bytes(totals.log_bytes),
            format::count(totals.records),
            format::bytes(totals.bytes),
            format::count(totals.batches),
            format::count(totals.syncs),
        )
    }
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

fn head(orders: &Orders, results: &Results, run: &Run, ending: &Ending, window: Duration) -> Head {
    let (outcome, reason) = match ending {
        Ending::Completed => ("completed", None),
        Ending::Interrupted { signal } => {
            ("interrupted", Some(format!("ended by signal {signal}")))
        }
        Ending::Overloaded { waiting } => {
            ("overloaded", Some(format!("{waiting} tickets waited, more than run.explode allows")))
        }
        Ending::Failed { reason, .. } => ("failed", Some(reason.clone())),
    };
    let starting: u32 = orders.scenario.loads.iter().map(|load| load.users).sum();
    Head {
        scenario: orders.scenario_name.clone(),
        seed: orders.seed,
        run: format!("{:016x}", orders.run.0),
        digest: {
            let users = results.users();
            (users.digest_users == starting).then_some(users.digest)
        },
        outcome,
        reason,
        exit: exit_of(ending),
        elapsed: run.timeline().office_time(results.at()),
        window,
        fsync: super::snapshot::fsync_text(orders.scenario.storage.fsync),
        recovered: results.issuer.recovered,
        redelivered: results.issuer.redelivered,
        bad_peers: results.issuer.bad_peers,
        host: sysinfo::System::host_name().unwrap_or_default(),
        cpus: std::thread::available_parallelism().map_or(0, usize::from),
    }
}

/// What integrals and counts are divided by.
struct Scale {
    window: Duration,
    staffed_ns: u64,
}

impl Scale {
    fn row(&self, name: String, totals: &ServiceTotals, latencies: &Latencies) -> Row {
        let counts = totals.measured;
        let window_ns = nanos(self.window);
        let per_second = |count: u64| ratio(count, window_ns).map(|rate| rate * 1e9);
        Row {
            name,
            counts,
            offered_rate: per_second(counts.issued + counts.rejected),
            throughput: per_second(totals.window_completions),
            utilization: ratio(totals.in_service_ns, self.staffed_ns),
            waiting_mean: ratio(totals.waiting_ns, window_ns),
            in_system_mean: ratio(totals.waiting_ns + totals.in_service_ns, window_ns),
            delayed_share: ratio(totals.delayed, counts.issued),
            wait: latencies.wait.spread(),
            service: latencies.service.spread(),
            sojourn: latencies.sojourn.spread(),
            overhead: latencies.overhead.spread(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn total(services: &[ServiceTotals]) -> ServiceTotals {
    let zero = ServiceTotals::default();
    services.iter().fold(zero, |all, one| ServiceTotals {
        totals: sum([all.totals, one.totals]),
        measured: sum([all.measured, one.measured]),
        delayed: all.delayed + one.delayed,
        window_completions: all.window_completions + one.window_completions,
        waiting: all.waiting + one.waiting,
        // The largest of each is no largest of all.
        waiting_max: 0,
        waiting_ns: all.waiting_ns + one.waiting_ns,
        in_service: all.in_service + one.in_service,
        in_service_ns: all.in_service_ns + one.in_service_ns,
    })
}

impl Row {
    fn unfinished(&self) -> u64 {
        self.counts.issued.saturating_sub(self.counts.served + self.counts.failed)
    }

    fn figures(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let counts = self.counts;
        for (key, count) in [
            ("offered", counts.issued + counts.rejected),
            ("issued", counts.issued),
            ("rejected", counts.rejected),
            ("served", counts.served),
            ("failed", counts.failed),
            ("unfinished", self.unfinished()),
        ] {
            map.insert(key.to_owned(), json!(count));
        }
        for (key, figure) in [
            ("offered_per_s", self.offered_rate),
            ("throughput_per_s", self.throughput),
            ("utilization", self.utilization),
            ("waiting_mean", self.waiting_mean),
            ("in_system_mean", self.in_system_mean),
            ("delayed_share", self.delayed_share),
        ] {
            map.insert(key.to_owned(), json!(figure));
        }
        put_spread(&mut map, "wait", self.wait);
        put_spread(&mut map, "service", self.service);
        put_spread(&mut map, "sojourn", self.sojourn);
        put_spread(&mut map, "overhead", self.overhead);
        map
    }

    fn to_json(&self) -> Value {
        let mut map = self.figures();
        map.insert("name".to_owned(), json!(self.name));
        Value::Object(map)
    }
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

fn tickets_table(rows: &[&Row]) -> String {
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
            format::count(counts.issued + counts.rejected),
            format::count(counts.issued),
            format::count(counts.rejected),
            format::count(counts.served),
            format::count(counts.failed),
            format::count(row.unfinished()),
            optional(row.throughput, format::rate),
            optional(row.utilization, format::percent),
        ]
    });
    table(&heads, cells.collect())
}

fn latency_table(rows: &[&Row], users: &UserFigures) -> String {
    let heads = ["service", "latency", "mean", "p50", "p90", "p99", "p99.9", "max"];
    let mut cells = Vec::new();
    let mut line = |service: &str, latency: &str, spread: Option<Spread>| {
        let mut cell = vec![service.to_owned(), latency.to_owned()];
        match spread {
            Some(s) => {
                cell.extend([s.mean, s.p50, s.p90, s.p99, s.p999, s.max].map(format::duration))
            }
            None => cell.extend([format::ABSENT; 6].map(str::to_owned)),
        }
        cells.push(cell);
    };
    for row in rows {
        line(&row.name, "wait", row.wait);
        line("", "service", row.service);
        line("", "sojourn", row.sojourn);
        line("", "overhead", row.overhead);
    }
    line("users", "response", users.response);
    line("", "lag", users.lag);
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

/// Returns the summary of a histogram, for tests of other files.
#[cfg(test)]
fn spread_of(values_ms: &[u64]) -> Option<Spread> {
    let mut histogram = engine::perf::Histogram::default();
    for &ms in values_ms {
        histogram.record(Duration::from_millis(ms));
    }
    histogram.spread()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let totals = ServiceTotals {
            measured: TicketCounts { issued: 100, rejected: 20, served: 90, failed: 4 },
            delayed: 25,
            window_completions: 80,
            waiting_ns: 5_000_000_000,
            in_service_ns: 12_000_000_000,
            ..ServiceTotals::default()
        };
        let scale = Scale { window: Duration::from_secs(10), staffed_ns: 20_000_000_000 };
        let mut row = scale.row("parcels".to_owned(), &totals, &Latencies::default());
        row.wait = spread_of(&[1, 2, 3]);
        row
    }

    #[test]
    fn figures_follow_from_counts_and_integrals() {
        let figures = Value::Object(row().figures());
        for (key, wanted) in [
            ("offered", json!(120)),
            ("unfinished", json!(6)),
            ("offered_per_s", json!(12.0)),
            ("throughput_per_s", json!(8.0)),
            ("utilization", json!(0.6)),
            ("waiting_mean", json!(0.5)),
            ("in_system_mean", json!(1.7)),
            ("delayed_share", json!(0.25)),
            ("wait_mean_ns", json!(2_000_000)),
            ("service_p99_ns", Value::Null),
        ] {
            assert_eq!(figures[key], wanted, "{key}");
        }
    }

    #[test]
    fn tables_line_up() {
        let users = UserFigures { intended: 0, dropped: 0, response: None, lag: None };
        let row = row();
        insta::assert_snapshot!(format!(
            "{}\n{}",
            tickets_table(&[&row]),
            latency_table(&[&row], &users)
        ));
    }

    #[test]
    fn nothing_is_divided_by_an_empty_window() {
        let scale = Scale { window: Duration::ZERO, staffed_ns: 0 };
        let row = scale.row(String::new(), &ServiceTotals::default(), &Latencies::default());
        assert_eq!((row.throughput, row.utilization, row.delayed_share), (None, None, None));
    }
}
