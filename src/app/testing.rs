//! A fixed, realistic office for tests of the app and of what shows it.

use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Time, WallTime};
use engine::ids::{LoadId, RunId, UserProcessId, WorkerId};
use engine::net::message::NetTotals;
use engine::perf::catalog::{METRICS, Metric, MetricKind};
use engine::perf::{Histogram, Interval};

use super::action::ProcessId;
use super::conf::Conf;
use super::figures::{Counts, Figures, Little, NamedHistogram, Peak, ServiceFigures, UserFigures};
use super::heat::Heat;
use super::history::History;
use super::net::NetRates;
use super::slo::{SloRow, SloValue, Verdict};
use super::state::*;
use super::tempo::{LoadRate, Pulse};

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

fn spread(us_p50: u64) -> Spread {
    Spread {
        mean: us(us_p50 * 5 / 4),
        p50: us(us_p50),
        p90: us(us_p50 * 3),
        p99: us(us_p50 * 9),
        p999: us(us_p50 * 14),
        max: us(us_p50 * 31),
    }
}

fn process(id: ProcessId, pid: u32, cpu: f64, tickets: u64) -> ProcessRow {
    ProcessRow {
        id,
        pid: Some(pid),
        state: ProcessState::Ready,
        cpu: Some(cpu),
        rss_bytes: Some(6_400_000),
        restarts: Some(0),
        tickets,
        hosts: (id != ProcessId::Director).then_some(2),
        trend: trend(tickets),
        note: String::new(),
        last_words: Vec::new(),
    }
}

/// Some seconds of a rate that swings a little.
fn trend(tickets: u64) -> Trend {
    let mut trend = Trend::default();
    let per_second = f64::from(u32::try_from(tickets / 1000).unwrap());
    for part in [0.7, 0.9, 1.0, 0.8, 0.95, 0.6, 0.85, 0.9] {
        trend.push(per_second * part);
    }
    trend
}

pub(crate) fn app() -> AppState {
    let worker = |number: u16| {
        process(ProcessId::Worker(WorkerId(number)), 24_112 + u32::from(number), 0.229, 8_811_002)
    };
    let mut dead = worker(3);
    (dead.pid, dead.cpu, dead.rss_bytes) = (None, None, None);
    (dead.state, dead.restarts) = (ProcessState::Backoff, Some(1));
    dead.note = "killed by SIGKILL (not ours; out of memory?)".to_owned();
    dead.last_words = vec!["thread 'seat 1' panicked: out of memory".to_owned()];
    dead.trend = Trend::default();
    let mut processes = vec![
        process(ProcessId::Director, 24_100, 0.012, 0),
        process(ProcessId::Issuer, 24_107, 0.312, 35_214_882),
        worker(0),
        worker(1),
        worker(2),
        dead,
        process(ProcessId::UsersManager, 24_109, 0.012, 35_214_810),
    ];
    processes.extend((0..40).map(|number| {
        process(ProcessId::User(UserProcessId(number)), 24_120 + u32::from(number), 0.004, 274_120)
    }));
    let sample = |index: u32| {
        let wave = f64::from(index % 40) - 20.0;
        Sample {
            at: Time(1_663_750_000_000 + u64::from(index) * 250_000_000),
            offered: Some(180.0 + 3.0 * wave),
            served: 175.0 + 3.0 * wave,
            waiting: u64::from(index % 60),
            in_service: 4,
        }
    };
    let latency = |name, p50| {
        let run =
            LatencyFigures { count: 11_940, spread: Some(spread(p50)), p9999: Some(us(p50 * 22)) };
        LatencyRow { name, run, recent: [run; 3] }
    };
    let service = |name: &str, issued, p50| ServiceRow {
        name: name.to_owned(),
        issued,
        served: issued - 40,
        rejected: Some(3),
        waiting: 37,
        in_service: 3,
        served_rate: Some(108.4),
        wait: Some(spread(p50)),
        sojourn: Some(spread(p50 * 2)),
    };
    AppState {
        view: View::Live,
        number: 3_044,
        at: Time(1_763_500_000_000),
        wall: WallTime(43_491_000_000_000),
        phase: Phase::Running,
        run: RunFacts {
            id: RunId(0x7f3a_0000_0000_0001),
            seed: Some(42),
            scenario: "rush-hour".to_owned(),
            scenario_text: "".into(),
            started: WallTime(42_730_000_000_000),
            host: "ada".to_owned(),
            cpus: 2,
            duration: Some(Duration::from_secs(1800)),
            drain: Duration::from_secs(10),
            fsync: "each_batch".to_owned(),
            power_loss_takes: "nothing that was acknowledged",
            data_dir: "/home/ada/.local/state/postoffice-tui".to_owned(),
        },
        opened_at: Some(Time(1_000_000_000_000)),
        pauses: vec![(Time(1_060_000_000_000), Time(1_062_500_000_000))],
        elapsed: Duration::from_secs(761),
        workers: Level::of(3, 4),
        users: Level::of(128, 128),
        seats: Seats { busy: 5, staffed: Some(6) },
        totals: Totals {
            offered: Some(35_214_885),
            issued: 35_214_882,
            rejected: Some(3),
            served: 35_214_840,
            failed: 0,
            waiting: 37,
            in_service: 5,
            recovered: 0,
            redelivered: 1,
            dropped: Some(0),
            bad_peers: Some(0),
        },
        rates: Rates {
            offered: Some(182.3),
            served: Some(179.1),
            rejected: Some(0.0),
            utilization: Some(0.713),
        },
        series: Arc::new((0..400).map(sample).collect()),
        history: History::default(),
        heat: Heat::default(),
        figures: Arc::default(),
        latencies: vec![
            latency("wait", 140),
            latency("service", 8_620),
            latency("sojourn", 9_140),
            latency("response", 9_310),
            latency("overhead", 72),
        ],
        services: vec![
            service("letters", 21_128_929, 140),
            service("parcels", 10_564_464, 180),
            service("passports", 3_521_489, 900),
        ],
        processes,
        store: StoreRow {
            issuer_starts: 1,
            records: 70_429_722,
            bytes: 9_437_184_000,
            padding_bytes: Some(330_182_912),
            segments: 142,
            log_bytes: 9_512_681_472,
            file_bytes: Some(9_529_458_688),
            files: segments(),
            retired: Some(17),
            syncs: Some(161_212),
            unsynced_bytes: Some(61_440),
            sync: Some(spread(874)),
            batches: 161_212,
            index: Some(IndexRow {
                keys: 412_870,
                bytes: 8_388_608,
                rows: 70_411_004,
                file_bytes: 4_423_816_192,
                behind_bytes: 12_910_592,
                checkpoints: 761,
            }),
            trouble: None,
            index_trouble: None,
            is_blocked: false,
            recovery: Some(RecoveryRow {
                segments: 9,
                records: 1_204_112,
                requeued: 31,
                elapsed: Duration::from_millis(412),
                ..RecoveryRow::default()
            }),
        },
        metrics: Arc::default(),
        metrics_dropped: 0,
        net: net(),
        slos: vec![
            SloRow {
                name: "fast".to_owned(),
                text: "p95(sojourn) < 80ms".to_owned(),
                metric: "p95(sojourn)".to_owned(),
                value: Some(SloValue::Span(0.0614)),
                limit: SloValue::Span(0.08),
                attainment: Some(0.9713),
                verdict: Verdict::Met,
                recent: Some(SloValue::Span(0.0913)),
                alert: Verdict::Missed,
                since: Some(Time(1_757_000_000_000)),
            },
            SloRow {
                name: "loss".to_owned(),
                text: "reject < 1%".to_owned(),
                metric: "reject".to_owned(),
                value: Some(SloValue::Share(0.021)),
                limit: SloValue::Share(0.01),
                attainment: None,
                verdict: Verdict::Missed,
                recent: None,
                alert: Verdict::Unknown,
                since: None,
            },
        ],
        conf: conf().rows(),
        conf_text: "".into(),
        reload: None,
        answers: Arc::default(),
        failure: None,
        events: events(),
        events_dropped: 0,
        settings: Settings { tempo: tempo(), ..Settings::default() },
        sys: Some(Arc::new(machine())),
        notices: vec![
            Notice {
                wall: WallTime(43_480_000_000_000),
                severity: Severity::Info,
                text: "31 unfinished tickets queued again".to_owned(),
            },
            Notice {
                wall: WallTime(43_490_000_000_000),
                severity: Severity::Warning,
                text: "worker 3: ready -> backoff: killed by SIGKILL (not ours)".to_owned(),
            },
        ],
    }
}

/// The configuration of the scenario.
fn conf() -> Conf {
    Conf::new(&crate::app::commands::scenario("rush-hour", &[]).unwrap())
}

/// Files of the log: packed, sealed and the one that is written.
fn segments() -> Arc<Vec<SegmentRow>> {
    const BYTES: u64 = 64 << 20;
    let row = |at: u64| {
        let (form, ending, bytes, file_bytes) = match at {
            17..=100 => (SegmentForm::Packed, "segz", BYTES, BYTES / 5),
            158 => (SegmentForm::Active, "seg", 41_200_128, BYTES),
            _ => (SegmentForm::Sealed, "seg", BYTES, BYTES),
        };
        let first = at * BYTES;
        SegmentRow { name: format!("{first:016x}.{ending}"), first, form, bytes, file_bytes }
    };
    Arc::new((17..=158).map(row).collect())
}

/// A machine with two processors and a limit that is too low.
fn machine() -> SysRow {
    let line = |name: &str, text: &str, hint| SysLine {
        name: name.to_owned(),
        text: text.to_owned(),
        hint,
    };
    let group = |title: &str, lines| SysGroup { title: title.to_owned(), lines };
    let hint = |is_limit, name: &str, is: &str, needs: &str, advice: &str| SysHint {
        is_limit,
        name: name.to_owned(),
        is: is.to_owned(),
        needs: Some(needs.to_owned()).filter(|needs| !needs.is_empty()),
        advice: advice.to_owned(),
    };
    SysRow {
        wall: WallTime(43_489_000_000_000),
        groups: vec![
            group(
                "host",
                vec![
                    line("name", "ada", None),
                    line("system", "Debian GNU/Linux 13", None),
                    line("load 1, 5, 15 min", "1.42  1.20  0.98", None),
                ],
            ),
            group(
                "cpu",
                vec![
                    line("model", "AMD EPYC 7B13", None),
                    line(
                        "CPUs for a run",
                        "2 by its mask, 2 with the control group's quota",
                        Some(1),
                    ),
                    line("CPU use", "71.3 % busy, 0.4 % waiting for I/O, 0.0 % stolen", None),
                    line("L1d", "64.0 KiB: 2 × 32.0 KiB, lines of 64 B", None),
                ],
            ),
            group("memory", vec![line("RAM available", "21.4 GiB (22 978 519 040 B)", None)]),
            group("huge pages", vec![line("transparent", "madvise", None)]),
            group("limits", vec![line("open files", "256 soft, 1 048 576 hard", Some(0))]),
            group(
                "data",
                vec![
                    line("file system", "ext4", None),
                    line("space", "61.2 GiB of 98.0 GiB left", None),
                ],
            ),
        ],
        hints: vec![
            hint(
                true,
                "open files",
                "256",
                "308",
                "the director can't keep that many workers; `ulimit -n 308`",
            ),
            hint(
                false,
                "CPUs for a run",
                "2",
                "6",
                "seats that burn a CPU wait for each other; service times grow",
            ),
        ],
    }
}

/// What a start finds when nothing is as it should be.
pub(crate) fn hurt() -> RecoveryRow {
    RecoveryRow {
        rebuilt: Some("the log has lost its end".to_owned()),
        lost_keys: 1_213,
        torn_bytes: 61_440,
        kept_aside: Some(
            "/home/ada/.local/state/postoffice-tui/log/torn-00000002370a1000.0.bin".to_owned(),
        ),
        ..app().store.recovery.unwrap()
    }
}

/// The first moments, when nothing is known yet.
pub(crate) fn starting() -> AppState {
    AppState {
        phase: Phase::Recovering(Some(Reading {
            records: 1_204_112,
            bytes: 75_000_000,
            bytes_total: 174_000_000,
        })),
        opened_at: None,
        pauses: Vec::new(),
        elapsed: Duration::ZERO,
        workers: Level::of(0, 4),
        users: Level::of(0, 50),
        seats: Seats { busy: 0, staffed: Some(0) },
        totals: Totals {
            offered: Some(0),
            rejected: Some(0),
            dropped: Some(0),
            bad_peers: Some(0),
            ..Totals::default()
        },
        rates: Rates::default(),
        series: Arc::default(),
        latencies: Vec::new(),
        services: Vec::new(),
        processes: Vec::new(),
        store: StoreRow::default(),
        net: Arc::default(),
        notices: Vec::new(),
        events: Arc::default(),
        ..app()
    }
}

/// One open load, as the scenario has it.
fn tempo() -> Pulse {
    let rush = LoadRate {
        load: LoadId(1),
        name: "rush".to_owned(),
        model: "poisson",
        base: 160.0,
        wanted: 160.0,
    };
    Pulse { speed: 1.0, rates: vec![rush] }
}

/// What a busy minute leaves in the sockets' counts.
fn net() -> Arc<Vec<NetRow>> {
    let row = |(role, processes, connections, share): (&'static str, u32, u64, u64)| {
        let mut totals = NetTotals {
            connections,
            silent: u64::from(role == "issuer"),
            frames_in: 1_404_120 * share,
            frames_out: 1_404_118 * share,
            bytes_in: 98_288_400 * share,
            bytes_out: 112_400_000 * share,
            read_pauses: share / 7,
            outbox_bytes: 512 * share,
            outbox_bytes_max: 262_400,
            reconnects: u64::from(processes > 1),
            turns: 402_000 * share,
            ..NetTotals::default()
        };
        if role == "issuer" {
            (totals.refused.bad_token, totals.refused.no_hello) = (2, 1);
        }
        let rates = NetRates {
            frames_in: 364.6,
            frames_out: 364.4,
            bytes_in: 25_522.0,
            bytes_out: 29_152.0,
            turns: 104.2,
            frames_per_turn: Some(3.5),
        };
        NetRow { role, processes, totals, rates: Some(rates) }
    };
    let rows = [
        ("director", 1, 5, 1),
        ("issuer", 1, 44, 25),
        ("workers", 3, 6, 9),
        ("users-manager", 1, 41, 2),
        ("users", 40, 80, 16),
    ];
    Arc::new(rows.map(row).into())
}

/// A few things that happened in the last minutes.
fn events() -> Arc<Vec<Happening>> {
    let list = [
        (60_000, Severity::Info, Source::Key, "pause", "paused"),
        (62_500, Severity::Info, Source::Key, "resume", "resumed"),
        (600_000, Severity::Info, Source::Ctl, "users 128", "128 users wanted"),
        (745_000, Severity::Info, Source::Ctl, "kill w3", "worker 3 killed"),
        (745_020, Severity::Warning, Source::Supervisor, "w3 died", "worker 3 died: SIGKILL"),
    ];
    let happening =
        |(number, (ms, severity, who, label, text)): (u64, (u64, _, _, _, _))| Happening {
            number,
            at: Time(1_000_000_000_000 + ms * 1_000_000),
            wall: WallTime(42_732_500_000_000 + ms * 1_000_000),
            severity,
            who,
            label: str::to_owned(label),
            text: str::to_owned(text),
        };
    Arc::new((1..).zip(list).map(happening).collect())
}

/// An office of which everything is known.
pub(crate) fn measured() -> AppState {
    let mut state = app();
    state.figures = Arc::new(figures());
    let all = state.figures.histograms.iter().filter(|named| named.service.is_none());
    let row = |named: &NamedHistogram| {
        let histogram = &named.histogram;
        let run = LatencyFigures::of(histogram);
        let (spread, p9999) = (Some(spread(150)), Some(us(3_300)));
        let second = LatencyFigures { count: 182, spread, p9999 };
        LatencyRow { name: named.name, run, recent: [second, run, LatencyFigures::default()] }
    };
    state.latencies = all.map(row).collect();
    let metric = |metric: &'static Metric| MetricRow {
        metric,
        value: match metric.kind {
            MetricKind::Counter => MetricValue::Count(48_210),
            MetricKind::Histogram => MetricValue::Values(histogram(120)),
        },
    };
    state.metrics = Arc::new(METRICS.iter().map(metric).collect());
    state.metrics_dropped = 3;
    state
}

/// A thousand values around so many microseconds.
fn histogram(us_middle: u64) -> Arc<Histogram> {
    let mut histogram = Histogram::default();
    for part in 1..=1000 {
        histogram.record(us(us_middle * part * part / 250_000));
    }
    Arc::new(histogram)
}

fn figures() -> Figures {
    let interval =
        Interval { mean_ns: 140_000.0, half_width_ns: 2_500.0, lag_1: 0.12, batch_values: 100 };
    let row = |name: &str, scale: u64| ServiceFigures {
        name: name.to_owned(),
        counts: Counts {
            issued: 1_000 * scale + 7,
            rejected: Some(2 * scale),
            served: 1_000 * scale,
            failed: 1,
        },
        offered_rate: Some(91.1),
        throughput: Some(90.9),
        utilization: Some(0.713),
        waiting_mean: Some(1.27),
        in_system_mean: Some(5.54),
        waiting_max: Some(Peak { count: 61, at: Duration::from_millis(412_250) }),
        in_system_max: Some(Peak { count: 67, at: Duration::from_millis(412_500) }),
        delayed_share: Some(0.38),
        rejected_share: Some(0.002),
        wait_accepted_mean: Some(us(141)),
        wait_interval: Some(interval),
        sojourn_interval: Some(Interval { mean_ns: 9_140_000.0, ..interval }),
        lost_work: Some(Duration::from_millis(125)),
        little: Some(Little {
            waiting_mean: 1.27,
            rate_times_wait: 1.25,
            boundary: 0.015,
            gap: 0.004,
        }),
        wait: histogram(140).spread(),
        service: histogram(8_620).spread(),
        sojourn: histogram(9_140).spread(),
        overhead: histogram(72).spread(),
    };
    let named = |name, service: Option<&str>, us_middle| NamedHistogram {
        name,
        service: service.map(str::to_owned),
        histogram: histogram(us_middle),
    };
    let mut histograms = Vec::new();
    for service in [None, Some("letters"), Some("parcels"), Some("passports")] {
        let own = [("wait", 140), ("service", 8_620), ("sojourn", 9_140), ("overhead", 72)];
        histograms.extend(own.map(|(name, us_middle)| named(name, service, us_middle)));
        if service.is_none() {
            let of_users = [("response", 9_310), ("lag", 41)];
            histograms.extend(of_users.map(|(name, us_middle)| named(name, service, us_middle)));
        }
    }
    Figures {
        window: Duration::from_secs(758),
        all: row("all", 6),
        services: vec![row("letters", 3), row("parcels", 2), row("passports", 1)],
        users: UserFigures {
            intended: Some(6_050),
            dropped: Some(0),
            digest: Some(0x00ab_12cd_34ef_5678),
            response: histogram(9_310).spread(),
            lag: histogram(41).spread(),
        },
        workers_fairness: Some(0.998),
        users_fairness: Some(0.97),
        histograms,
    }
}
