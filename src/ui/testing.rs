//! A fixed, realistic office for tests.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use engine::clock::{Time, WallTime};
use engine::ids::{RunId, UserProcessId, WorkerId};

use super::theme::Theme;
use super::update::UiState;
use crate::app::action::ProcessId;
use crate::app::state::*;

pub(crate) fn ui() -> UiState {
    UiState::new(Theme { has_color: true, is_utf8: true })
}

/// Returns one of all sorts of keys.
pub(crate) fn key(number: usize) -> KeyEvent {
    let special = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Backspace,
    ];
    let char = |number: usize| char::from(u8::try_from(32 + number % 95).unwrap());
    match number {
        0..95 => KeyEvent::from(KeyCode::Char(char(number))),
        95..190 => KeyEvent::new(KeyCode::Char(char(number)), KeyModifiers::CONTROL),
        number => KeyEvent::from(special[number % special.len()]),
    }
}

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
        restarts: 0,
        tickets,
        hosts: 2,
        note: String::new(),
    }
}

pub(crate) fn app() -> AppState {
    let worker = |number: u16| {
        process(ProcessId::Worker(WorkerId(number)), 24_112 + u32::from(number), 0.229, 8_811_002)
    };
    let mut dead = worker(3);
    (dead.pid, dead.cpu, dead.rss_bytes) = (None, None, None);
    (dead.state, dead.restarts) = (ProcessState::Backoff, 1);
    dead.note = "killed by SIGKILL (not ours; out of memory?)".to_owned();
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
            at: Time(1_000_000_000_000 + u64::from(index) * 250_000_000),
            offered: 180.0 + 3.0 * wave,
            served: 175.0 + 3.0 * wave,
            waiting: u64::from(index % 60),
            in_service: 4,
        }
    };
    let latency = |name, p50| {
        let run = LatencyFigures { count: 11_940, spread: Some(spread(p50)) };
        LatencyRow { name, run, recent: [run; 3] }
    };
    let service = |name: &str, issued, p50| ServiceRow {
        name: name.to_owned(),
        issued,
        served: issued - 40,
        rejected: 3,
        waiting: 37,
        in_service: 3,
        served_rate: 108.4,
        wait: Some(spread(p50)),
        sojourn: Some(spread(p50 * 2)),
    };
    AppState {
        number: 3_044,
        wall: WallTime(43_491_000_000_000),
        phase: Phase::Running,
        run: RunFacts {
            id: RunId(0x7f3a_0000_0000_0001),
            seed: 42,
            scenario: "rush-hour".to_owned(),
            scenario_text: "".into(),
            started: WallTime(42_730_000_000_000),
            host: "ada".to_owned(),
            cpus: 2,
            duration: Some(Duration::from_secs(1800)),
            fsync: "each_batch".to_owned(),
            power_loss_takes: "nothing that was acknowledged",
            data_dir: "/home/ada/.local/state/postoffice-tui".to_owned(),
        },
        opened_at: Some(Time(1_000_000_000_000)),
        elapsed: Duration::from_secs(761),
        workers: Level { actual: 3, target: 4 },
        users: Level { actual: 128, target: 128 },
        seats: Seats { busy: 5, staffed: 6 },
        totals: Totals {
            offered: 35_214_885,
            issued: 35_214_882,
            rejected: 3,
            served: 35_214_840,
            failed: 0,
            waiting: 37,
            in_service: 5,
            recovered: 0,
            redelivered: 1,
            dropped: 0,
            bad_peers: 0,
        },
        rates: Rates { offered: 182.3, served: 179.1, rejected: 0.0, utilization: Some(0.713) },
        series: Arc::new((0..400).map(sample).collect()),
        history: crate::app::history::History::default(),
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
            segments: 142,
            log_bytes: 9_512_681_472,
            file_bytes: Some(9_529_458_688),
            retired: 17,
            syncs: 161_212,
            unsynced_bytes: 61_440,
            sync: Some(spread(874)),
            batches: 161_212,
            index: IndexRow {
                keys: 412_870,
                bytes: 8_388_608,
                rows: 70_411_004,
                file_bytes: 4_423_816_192,
                behind_bytes: 12_910_592,
                checkpoints: 761,
            },
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
        failure: None,
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
        elapsed: Duration::ZERO,
        workers: Level { actual: 0, target: 4 },
        users: Level { actual: 0, target: 50 },
        seats: Seats::default(),
        totals: Totals::default(),
        rates: Rates::default(),
        series: Arc::default(),
        latencies: Vec::new(),
        services: Vec::new(),
        processes: Vec::new(),
        store: StoreRow::default(),
        notices: Vec::new(),
        ..app()
    }
}
