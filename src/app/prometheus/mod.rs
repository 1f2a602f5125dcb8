//! A snapshot as Prometheus text: the same values as on the screen and in the summary, in base
//! units (seconds, bytes, ratios).
//!
//! Three kinds of figures are told apart by their names. `postoffice_tickets_*` count since the
//! office opened, warm-up included. `postoffice_measured_*` cover the measured window and are
//! those of the summary. `postoffice_recent_*` cover the last seconds. Figures of one service
//! have `service_` in their names, so that a sum over a name counts nothing twice.

use std::time::Duration;

use engine::clock::WallTime;
use engine::perf::Histogram;
use engine::perf::catalog::Metric;

mod exposition;
mod net;

pub(crate) use exposition::CONTENT_TYPE;
use exposition::{Exposition, Kind, Labels, Number, Scale, seconds};

use super::figures::{Figures, Peak, ServiceFigures};
use super::slo::{SloRow, Verdict, exit_of_run};
use super::state::{
    AppState, LatencyRow, MetricValue, ProcessRow, RECENT_SPANS, ServiceRow, Spread, StoreRow,
};

/// Writes a snapshot down.
pub(crate) fn render(state: &AppState) -> String {
    let mut out = Exposition::default();
    about(&mut out, state);
    people(&mut out, state);
    tickets(&mut out, state);
    service_tickets(&mut out, &state.services);
    measured(&mut out, &state.figures);
    service_measured(&mut out, &state.figures);
    latencies(&mut out, &state.figures);
    recent(&mut out, &state.latencies);
    goals(&mut out, &state.slos);
    store(&mut out, &state.store);
    processes(&mut out, &state.processes);
    net::net(&mut out, &state.net);
    net::tempo(&mut out, &state.settings.tempo);
    internal(&mut out, state);
    out.into_text()
}

/// Writes a snapshot down for somebody who asks at `now`, with its age.
pub(crate) fn render_at(state: &AppState, now: WallTime) -> String {
    let mut out = Exposition::default();
    let age = seconds(now.0.saturating_sub(state.wall.0));
    out.gauge("snapshot_age_seconds", "How old these figures are.", Some(age));
    render(state) + &out.into_text()
}

fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

/// Writes which run this is and where it stands.
fn about(out: &mut Exposition, state: &AppState) {
    let run = &state.run;
    let labels = vec![
        ("run", run.id_text()),
        ("scenario", run.scenario.clone()),
        ("seed", run.seed_text()),
        ("policy", run.fsync.clone()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let help = "Which run this is; policy is storage.fsync.";
    out.family(Kind::Gauge, "info", help, [(labels, 1_u64)]);
    let digest = state.figures.users.digest;
    let digest = digest.map(|digest| (label("digest", format!("{digest:016x}")), 1_u64));
    out.family(Kind::Gauge, "workload_info", "The digest of the workload.", digest);
    let phases = ["starting", "recovering", "running", "paused", "draining", "stopped"];
    let phases = phases.map(|name| (label("state", name), state.phase.name() == name));
    out.family(Kind::Gauge, "state", "Where the run stands: 1 at its state.", phases);
    let ending = exit_of_run(state).map(|exit| u32::from(exit.code()));
    out.gauge("exit_code", "The exit code of a run that has ended.", ending);
    out.gauge(
        "start_time_seconds",
        "When the director started, since 1970.",
        Some(seconds(run.started.0)),
    );
    out.gauge("elapsed_seconds", "Time since arrivals began, without pauses.", Some(state.elapsed));
    out.gauge("duration_seconds", "When arrivals stop, as such a time.", run.duration);
    out.gauge("snapshot_number", "Snapshots are numbered from one.", Some(state.number));
    out.gauge(
        "snapshot_time_seconds",
        "When the snapshot was taken, since 1970.",
        Some(seconds(state.wall.0)),
    );
}

/// Writes who is there.
fn people(out: &mut Exposition, state: &AppState) {
    out.gauge("workers", "Worker processes that are ready.", state.workers.actual);
    out.gauge("workers_target", "Worker processes wanted.", state.workers.target);
    out.gauge("users", "Users hosted by a ready process.", state.users.actual);
    out.gauge("users_target", "Users wanted.", state.users.target);
    out.gauge("seats", "Seats of ready workers.", state.seats.staffed);
    out.gauge("seats_busy", "Seats that hold a ticket.", Some(state.seats.busy));
}

/// Writes the counts since the office opened, and present rates.
fn tickets(out: &mut Exposition, state: &AppState) {
    let totals = &state.totals;
    for (name, what, count) in [
        ("offered", "Requests that reached the issuer", totals.offered),
        ("issued", "Requests that got a ticket", Some(totals.issued)),
        ("rejected", "Requests that found the office full", totals.rejected),
        ("served", "Tickets served", Some(totals.served)),
        ("failed", "Tickets given up after their workers died too often", Some(totals.failed)),
        ("recovered", "Tickets queued again at a start of the issuer", Some(totals.recovered)),
        (
            "redelivered",
            "Tickets handed out again because their worker died",
            Some(totals.redelivered),
        ),
    ] {
        let help = format!("{what}, since the office opened.");
        out.counter(&format!("tickets_{name}"), &help, count);
    }
    out.gauge("tickets_waiting", "Tickets waiting for a seat now.", Some(totals.waiting));
    out.gauge("tickets_in_service", "Tickets in service now.", Some(totals.in_service));
    out.counter("dropped", "Requests that were due and never sent.", totals.dropped);
    out.counter("refused_peers", "Peers refused for what they sent.", totals.bad_peers);
    let rates = &state.rates;
    for (name, what, rate) in [
        ("offered", "Requests", rates.offered),
        ("served", "Completions", rates.served),
        ("rejected", "Rejections", rates.rejected),
    ] {
        let help = format!("{what} per second over the last second.");
        out.gauge(&format!("recent_{name}_per_second"), &help, rate);
    }
    out.gauge(
        "recent_utilization_ratio",
        "Busy seats / staffed seats over the last second.",
        rates.utilization,
    );
}

/// Writes a family with one sample a service, as far as a value is known.
fn by_service<R, N: Into<Number>>(
    out: &mut Exposition,
    kind: Kind,
    (name, help): (&str, &str),
    rows: &[(&str, R)],
    value: impl Fn(&R) -> Option<N>,
) {
    let samples =
        rows.iter().filter_map(|(service, row)| Some((label("service", *service), value(row)?)));
    out.family(kind, &format!("service_{name}"), help, samples);
}

fn service_tickets(out: &mut Exposition, rows: &[ServiceRow]) {
    let rows: Vec<_> = rows.iter().map(|row| (&*row.name, row)).collect();
    for (name, what, count) in [
        (
            "tickets_issued",
            "Tickets issued",
            (|row| Some(row.issued)) as fn(&ServiceRow) -> Option<u64>,
        ),
        ("tickets_rejected", "Requests that found the office full", |row| row.rejected),
        ("tickets_served", "Tickets served", |row| Some(row.served)),
    ] {
        let help = format!("{what}, since the office opened.");
        by_service(out, Kind::Counter, (name, &help), &rows, |row| count(row));
    }
    let gauge = Kind::Gauge;
    let waiting = ("tickets_waiting", "Tickets waiting for a seat now.");
    by_service(out, gauge, waiting, &rows, |row| Some(row.waiting));
    let in_service = ("tickets_in_service", "Tickets in service now.");
    by_service(out, gauge, in_service, &rows, |row| Some(row.in_service));
    let served = ("recent_served_per_second", "Completions per second over the last second.");
    by_service(out, gauge, served, &rows, |row| row.served_rate);
}

/// One figure of the measured window.
struct Measured {
    kind: Kind,
    name: &'static str,
    help: &'static str,
    value: fn(&ServiceFigures) -> Option<Number>,
}

const fn count(
    name: &'static str,
    help: &'static str,
    value: fn(&ServiceFigures) -> Option<Number>,
) -> Measured {
    Measured { kind: Kind::Counter, name, help, value }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    value: fn(&ServiceFigures) -> Option<Number>,
) -> Measured {
    Measured { kind: Kind::Gauge, name, help, value }
}

fn peak(peak: Option<Peak>) -> Option<Number> {
    peak.map(|peak| peak.count.into())
}

fn peak_at(peak: Option<Peak>) -> Option<Number> {
    peak.map(|peak| peak.at.into())
}

fn ns(value: f64) -> Number {
    Number::Real(value / 1e9)
}

/// All figures of the measured window that one service has as well as all of them together.
const MEASURED: &[Measured] = &[
    count("offered", "Requests that arrived in the measured window.", |f| {
        f.offered().map(Number::from)
    }),
    count("issued", "Requests of the measured window that got a ticket.", |f| {
        Some(f.counts.issued.into())
    }),
    count("rejected", "Requests of the measured window that found the office full.", |f| {
        f.counts.rejected.map(Number::from)
    }),
    count("served", "Tickets of the measured window that were served.", |f| {
        Some(f.counts.served.into())
    }),
    count("failed", "Tickets of the measured window that were given up.", |f| {
        Some(f.counts.failed.into())
    }),
    gauge("unfinished", "Tickets of the measured window that have not ended.", |f| {
        Some(f.unfinished().into())
    }),
    gauge("offered_per_second", "Requests per second of the measured window.", |f| {
        f.offered_rate.map(Number::from)
    }),
    gauge("throughput_per_second", "Completions per second of the measured window.", |f| {
        f.throughput.map(Number::from)
    }),
    gauge("utilization_ratio", "Busy seats / staffed seats, integrated over time.", |f| {
        f.utilization.map(Number::from)
    }),
    gauge("waiting_mean", "Tickets waiting, averaged over time: Lq.", |f| {
        f.waiting_mean.map(Number::from)
    }),
    gauge("in_system_mean", "Tickets in the system, averaged over time: L.", |f| {
        f.in_system_mean.map(Number::from)
    }),
    gauge("waiting_max", "The most tickets that waited.", |f| peak(f.waiting_max)),
    gauge("waiting_max_at_seconds", "When that was, since arrivals began.", |f| {
        peak_at(f.waiting_max)
    }),
    gauge("in_system_max", "The most tickets that were in the system.", |f| peak(f.in_system_max)),
    gauge("in_system_max_at_seconds", "When that was, since arrivals began.", |f| {
        peak_at(f.in_system_max)
    }),
    gauge("delayed_ratio", "Accepted tickets that found no free seat / accepted.", |f| {
        f.delayed_share.map(Number::from)
    }),
    gauge("rejected_ratio", "Rejected requests / offered.", |f| f.rejected_share.map(Number::from)),
    gauge("wait_accepted_mean_seconds", "Mean wait of accepted tickets, served or not.", |f| {
        f.wait_accepted_mean.map(Number::from)
    }),
    gauge("wait_half_width_seconds", "Half of the mean wait's 95 % confidence interval.", |f| {
        f.wait_interval.map(|interval| ns(interval.half_width_ns))
    }),
    gauge("wait_interval_valid", "1 if that interval means what it says.", |f| {
        f.wait_interval.map(|interval| interval.is_valid().into())
    }),
    gauge(
        "sojourn_half_width_seconds",
        "Half of the mean sojourn time's 95 % confidence interval.",
        |f| f.sojourn_interval.map(|interval| ns(interval.half_width_ns)),
    ),
    gauge("sojourn_interval_valid", "1 if that interval means what it says.", |f| {
        f.sojourn_interval.map(|interval| interval.is_valid().into())
    }),
    count("lost_work_seconds", "Service time that was lost with workers that died.", |f| {
        f.lost_work.map(Number::from)
    }),
    gauge("little_waiting_mean", "Little's law: Lq by the integral.", |f| {
        f.little.map(|little| little.waiting_mean.into())
    }),
    gauge("little_rate_times_wait", "Little's law: arrival rate x mean wait.", |f| {
        f.little.map(|little| little.rate_times_wait.into())
    }),
    gauge("little_boundary", "Little's law: what the window's borders explain.", |f| {
        f.little.map(|little| little.boundary.into())
    }),
    gauge("little_gap_ratio", "Little's law: what is left unexplained / Lq.", |f| {
        f.little.map(|little| little.gap.into())
    }),
];

/// Writes the figures of the measured window over all services.
fn measured(out: &mut Exposition, figures: &Figures) {
    out.gauge(
        "measured_window_seconds",
        "How long the measured window is so far: from the end of warm-up to the end of arrivals.",
        Some(figures.window),
    );
    for figure in MEASURED {
        let sample = (figure.value)(&figures.all).map(|value| (Labels::new(), value));
        out.family(figure.kind, &format!("measured_{}", figure.name), figure.help, sample);
    }
    let users = &figures.users;
    let help = "Requests that users meant to send in the measured window.";
    out.counter("measured_intended", help, users.intended);
    out.counter("users_dropped", "Requests that were due and never sent.", users.dropped);
    out.gauge(
        "measured_workers_fairness_ratio",
        "Jain's index over the workers' busy time: 1 if all are as busy.",
        figures.workers_fairness,
    );
    out.gauge(
        "measured_users_fairness_ratio",
        "Jain's index over the users' mean waits: 1 if all wait as long.",
        figures.users_fairness,
    );
}

fn service_measured(out: &mut Exposition, figures: &Figures) {
    let rows: Vec<_> = figures.services.iter().map(|row| (&*row.name, row)).collect();
    for figure in MEASURED {
        let name = format!("measured_{}", figure.name);
        by_service(out, figure.kind, (&name, figure.help), &rows, |row| (figure.value)(row));
    }
}

/// Writes the latencies of the measured window.
fn latencies(out: &mut Exposition, figures: &Figures) {
    let all = figures.histograms.iter().filter(|named| named.service.is_none());
    let all: Vec<_> = all.map(|named| (named.name, &*named.histogram)).collect();
    out.summaries(
        "measured_latency_seconds",
        "Latencies of tickets that arrived in the measured window, by their names in the summary.",
        Scale::Seconds,
        all.iter().map(|&(name, histogram)| (label("latency", name), histogram)),
    );
    let of_service = |service: &str, name: &'static str, histogram| {
        (vec![("service", service.to_owned()), ("latency", name.to_owned())], histogram)
    };
    let rows: Vec<(Labels, &Histogram)> = match &*figures.services {
        // The only service's latencies are those of all.
        [only] => {
            let of_users = ["response", "lag"];
            let own = all.iter().filter(|(name, _)| !of_users.contains(name));
            own.map(|&(name, histogram)| of_service(&only.name, name, histogram)).collect()
        }
        _ => {
            let rows = figures.histograms.iter().filter_map(|named| {
                Some(of_service(named.service.as_ref()?, named.name, &*named.histogram))
            });
            rows.collect()
        }
    };
    let help = "The same for each service.";
    out.summaries("service_measured_latency_seconds", help, Scale::Seconds, rows);
}

/// A quantile's label and where it stands.
type Quantile = (&'static str, fn(&Spread) -> Duration);

const SPREAD: [Quantile; 5] = [
    ("0.5", |spread| spread.p50),
    ("0.9", |spread| spread.p90),
    ("0.99", |spread| spread.p99),
    ("0.999", |spread| spread.p999),
    ("1", |spread| spread.max),
];

/// Writes the latencies of the last seconds: gauges, as they rise and fall.
fn recent(out: &mut Exposition, rows: &[LatencyRow]) {
    let windows: Vec<_> = rows
        .iter()
        .flat_map(|row| RECENT_SPANS.iter().zip(&row.recent).map(move |(span, of)| (row, span, of)))
        .filter_map(|(row, span, figures)| {
            let labels = vec![("latency", row.name.to_owned()), ("window", format!("{span}s"))];
            Some((labels, figures.count, figures.spread?))
        })
        .collect();
    let quantiles = windows.iter().flat_map(|(labels, _, spread)| {
        SPREAD.iter().map(move |(name, of)| {
            let mut labels = labels.clone();
            labels.push(("quantile", (*name).to_owned()));
            (labels, of(spread))
        })
    });
    let help = "Quantiles of latencies over the last seconds, warm-up included.";
    out.family(Kind::Gauge, "recent_latency_seconds", help, quantiles);
    let means = windows.iter().map(|(labels, _, spread)| (labels.clone(), spread.mean));
    let help = "Means of the same.";
    out.family(Kind::Gauge, "recent_latency_mean_seconds", help, means);
    let counts = windows.iter().map(|(labels, count, _)| (labels.clone(), *count));
    let help = "How many values they rest on.";
    out.family(Kind::Gauge, "recent_latency_values", help, counts);
}

/// Writes the state of the log.
/// Writes goals down; what is not known yet is left out.
fn goals(out: &mut Exposition, rows: &[SloRow]) {
    // The same goal may stand in two lists, and a list may have it twice.
    let mut seen = std::collections::BTreeSet::new();
    let rows: Vec<&SloRow> =
        rows.iter().filter(|row| seen.insert((&row.name, &row.text))).collect();
    let labels = |row: &SloRow| vec![("name", row.name.clone()), ("goal", row.text.clone())];
    let is_met = |of: fn(&SloRow) -> Verdict| {
        let known = rows.iter().filter(move |row| of(row) != Verdict::Unknown);
        known.map(move |row| (labels(row), of(row) == Verdict::Met)).collect::<Vec<_>>()
    };
    let met = "Whether a goal is met over the measured window.";
    out.family(Kind::Gauge, "measured_slo_met", met, is_met(|row| row.verdict));
    let met = "Whether a goal is met over the last ten seconds.";
    out.family(Kind::Gauge, "recent_slo_met", met, is_met(|row| row.alert));
    let help = "Share of the offered tickets that met the limit of a goal.";
    let shares = rows.iter().filter_map(|row| Some((labels(row), row.attainment?)));
    out.family(Kind::Gauge, "measured_slo_attainment_ratio", help, shares);
}

fn store(out: &mut Exposition, store: &StoreRow) {
    out.gauge("store_segments", "Segments of the log.", Some(store.segments));
    out.gauge("store_log_bytes", "Bytes of the log.", Some(store.log_bytes));
    out.gauge("store_file_bytes", "Bytes of the log's files.", store.file_bytes);
    let unsynced = "Bytes written but not known to be on the disk.";
    out.gauge("store_unsynced_bytes", unsynced, store.unsynced_bytes);
    for (name, what, count) in [
        ("retired_segments", "Old segments let go of", store.retired),
        ("records", "Records appended", Some(store.records)),
        ("bytes", "Bytes appended", Some(store.bytes)),
        ("batches", "Batches written", Some(store.batches)),
        ("syncs", "Syncs done", store.syncs),
    ] {
        let help = format!("{what} since the issuer's last start.");
        out.counter(&format!("store_{name}"), &help, count);
    }
    out.counter("store_issuer_starts", "Starts of the issuer.", Some(store.issuer_starts));
    let sync = store
        .sync
        .iter()
        .flat_map(|sync| SPREAD.iter().map(|(name, of)| (label("quantile", *name), of(sync))));
    let help = "Quantiles of a sync's latency over the whole run.";
    out.family(Kind::Gauge, "store_sync_seconds", help, sync);
    let blocked = "1 while requests wait until the log can grow.";
    out.gauge("store_blocked", blocked, Some(store.is_blocked));
    out.gauge("store_trouble", "1 while the log can not grow.", Some(store.trouble.is_some()));
    let index = store.index.as_ref();
    let trouble = "1 while the index can not follow the log.";
    out.gauge("index_trouble", trouble, Some(store.index_trouble.is_some()));
    out.gauge("index_memory_keys", "Keys of the index in memory.", index.map(|index| index.keys));
    out.gauge("index_memory_bytes", "Memory that they take.", index.map(|index| index.bytes));
    out.gauge("index_lmdb_rows", "Rows of the index in LMDB.", index.map(|index| index.rows));
    out.gauge("index_lmdb_bytes", "How large LMDB's file is.", index.map(|index| index.file_bytes));
    let behind = "Bytes of log that LMDB does not know yet.";
    out.gauge("index_behind_bytes", behind, index.map(|index| index.behind_bytes));
    let checkpoints = "Checkpoints made since the issuer's last start.";
    out.counter("index_checkpoints", checkpoints, index.map(|index| index.checkpoints));
    let Some(found) = &store.recovery else { return };
    out.gauge("recovery_seconds", "How long the issuer's last start took.", Some(found.elapsed));
    out.gauge("recovery_records", "Records that it read.", Some(found.records));
    out.gauge("recovery_requeued", "Tickets that it queued again.", Some(found.requeued));
    out.gauge("recovery_torn_bytes", "Bytes of torn tail set aside.", Some(found.torn_bytes));
    let lost = "Records that the index knew and the log no longer holds.";
    out.gauge("recovery_lost_keys", lost, Some(found.lost_keys));
}

/// Writes what processes there are and what they use.
fn processes(out: &mut Exposition, rows: &[ProcessRow]) {
    fn family<N: Into<Number>>(
        out: &mut Exposition,
        (kind, name, help): (Kind, &str, &str),
        rows: &[ProcessRow],
        value: fn(&ProcessRow) -> Option<N>,
    ) {
        let samples = rows.iter().filter_map(|row| {
            // All samples of a family have the same labels; an empty one is as good as none.
            let id = row.id.number().map_or_else(String::new, |number| number.to_string());
            let labels = vec![("role", row.id.role().to_owned()), ("id", id)];
            Some((labels, value(row)?))
        });
        out.family(kind, &format!("process_{name}"), help, samples);
    }
    let (gauge, counter) = (Kind::Gauge, Kind::Counter);
    family(out, (gauge, "up", "1 while the process lives."), rows, |row| Some(row.pid.is_some()));
    let cpu = "Share of one core over the last second.";
    family(out, (gauge, "cpu_ratio", cpu), rows, |row| row.cpu);
    let memory = "Resident memory.";
    family(out, (gauge, "resident_memory_bytes", memory), rows, |row| row.rss_bytes);
    let restarts = "Times that it was started again.";
    family(out, (counter, "restarts", restarts), rows, |row| row.restarts);
    let tickets = "Tickets issued (issuer), served (worker) or told (users).";
    family(out, (counter, "tickets", tickets), rows, |row| Some(row.tickets));
    let hosts = "Users hosted, or seats of a worker.";
    family(out, (gauge, "hosts", hosts), rows, |row| row.hosts);
}

/// Returns a metric's name and how its values are written: `logstore.fsync.ns` is
/// `logstore_fsync_seconds`.
fn internal_name(metric: &Metric) -> (String, Scale) {
    let name = metric.name.replace('.', "_");
    match name.strip_suffix("_ns") {
        Some(stem) => (format!("{stem}_seconds"), Scale::Seconds),
        None => (name, Scale::Plain),
    }
}

/// Writes what the product recorded of its own work.
fn internal(out: &mut Exposition, state: &AppState) {
    for row in state.metrics.iter() {
        let (name, scale) = internal_name(row.metric);
        let help = row.metric.help.trim();
        match &row.value {
            MetricValue::Count(sum) => {
                let sum = match scale {
                    Scale::Seconds => Number::Real(seconds(*sum)),
                    Scale::Plain => Number::Whole(*sum),
                };
                out.family(Kind::Counter, &name, help, [(Labels::new(), sum)]);
            }
            MetricValue::Values(histogram) => {
                out.summaries(&name, help, scale, [(Labels::new(), &**histogram)]);
            }
        }
    }
    let help = "Recordings of metrics that found no room.";
    out.counter("metrics_dropped", help, Some(state.metrics_dropped));
}

#[cfg(test)]
mod tests;
