//! What tests of the dashboard start from, beside the fixed offices of the app's own tests.

use std::sync::LazyLock;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use engine::clock::{Time, WallTime, nanos};
use engine::perf::{Histogram, Spread};

use super::logbook::LogLine;
use super::model::UiState;
use super::options::Options;
use super::preferences::Choices;
use super::registry::Keymap;
use super::theme::{Depth, Theme};
use super::view::Scene;
use crate::app::heat::{Band, HeatRow};
use crate::app::history::Second;
use crate::app::logging::Counts;
use crate::app::state::AppState;
pub(crate) use crate::app::testing::{app, hurt, starting};
use crate::app::view_args::{ThemeName, ViewArgs};

pub(crate) fn ui() -> UiState {
    let options = Options::new(&ViewArgs::default(), &Choices::default(), |_| None);
    let theme = Theme::new(ThemeName::Auto, Depth::Sixteen, true);
    UiState::new(&Options { theme, ..options }, Keymap::default())
}

/// Returns what panels draw from.
pub(crate) fn scene<'a>(ui: &'a UiState, app: &'a AppState) -> Scene<'a> {
    Scene { ui, app, live: app }
}

/// Seconds that the fixed office has behind it.
const SECONDS: u64 = 700;

/// Returns an office of which everything is known, its last seconds too.
pub(crate) fn measured() -> AppState {
    // Made once: ten minutes of histograms take a while.
    static MEASURED: LazyLock<AppState> = LazyLock::new(with_seconds);
    MEASURED.clone()
}

fn with_seconds() -> AppState {
    let mut state = crate::app::testing::measured();
    let bands: Vec<[Band; 6]> = (0..17).map(bands).collect();
    for (number, bands) in (0..SECONDS).zip(bands.into_iter().cycle()) {
        let ago = Duration::from_secs(SECONDS - 1 - number);
        let (end, wall) = (state.at - ago, WallTime(state.wall.0 - nanos(ago)));
        state.history.push(second(number, end, wall));
        state.heat.push(HeatRow { end, bands });
    }
    state
}

/// Returns a wave with one sharp peak.
fn wave(number: u64) -> u64 {
    if number == SECONDS - 40 { 900 } else { 40 + number % 17 * 3 }
}

fn second(number: u64, end: Time, wall: WallTime) -> Second {
    let one = Duration::from_secs(1);
    let spread = |us: u64| {
        let [p50, p90, p99, max] = [us, 3 * us, 9 * us, 31 * us].map(Duration::from_micros);
        Some(Spread { mean: p50, p50, p90, p99, p999: max, max })
    };
    let wave = wave(number);
    Second {
        end,
        at: one * u32::try_from(number + 1).unwrap_or(0),
        wall,
        span: one,
        running: one,
        measured: one,
        issued: wave,
        rejected: Some(0),
        served: wave,
        waiting: number % 23,
        in_service: 4,
        staffed: Some(6),
        workers: Some(3),
        users: Some(128),
        wait: spread(wave * 20),
        sojourn: spread(wave * 200),
        response: spread(wave * 220),
        records: 2 * wave,
        log_bytes: 60_000 * wave,
        syncs: Some(4 * wave),
        ..Second::default()
    }
}

fn bands(number: u64) -> [Band; 6] {
    [1, 60, 61, 1, 62, 1].map(|scale| Band::of(&waits(number, scale)))
}

/// Returns the waits of a second: most of them short, a few long.
fn waits(number: u64, scale: u64) -> Histogram {
    let mut histogram = Histogram::default();
    for ticket in 1..40 {
        histogram.record(Duration::from_micros(scale * wave(number) * ticket * ticket / 20));
    }
    histogram
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

/// Returns a dashboard with some lines of a log.
pub(crate) fn with_log() -> UiState {
    use log::Level;
    let lines = [
        (43_480_000, Level::Info, "director", "the doors are open: workers=4 users=128"),
        (43_481_233, Level::Error, "worker 3", "injected crash: exit=137"),
        (43_481_240, Level::Warn, "supervisor", "worker 3: ready -> backoff: killed by SIGKILL"),
        (43_488_004, Level::Debug, "issuer", "a checkpoint is under way: lsn=35214882"),
        (43_490_871, Level::Info, "issuer", "a sync was slow: took=9.1ms p99=4.4ms"),
        (43_499_000, Level::Info, "director", "users=140 by a person (dashboard)"),
    ];
    let line = |(ms, level, source, text): (u64, Level, &str, &str)| LogLine {
        number: 0,
        wall: WallTime(ms * 1_000_000),
        level,
        source: source.to_owned(),
        text: text.to_owned(),
    };
    let mut ui = ui();
    ui.logbook.add(lines.map(line).into());
    ui.logbook.counts = Counts { lines: 6, warnings: 1, errors: 1 };
    ui
}
