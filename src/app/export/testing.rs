//! A run of some length for tests of exports.

use std::time::Duration;

use engine::clock::{Time, WallTime};
use engine::perf::Spread;

use crate::app::history::{History, Second};
use crate::app::state::AppState;

/// Returns a state after some seconds, of which the first and the last two were not measured.
pub(super) fn state(seconds: u64) -> AppState {
    let mut state = crate::app::testing::measured();
    let mut history = History::default();
    for number in 0..seconds {
        history.push(second(number, seconds));
    }
    state.history = history;
    state
}

fn second(number: u64, of: u64) -> Second {
    let ms = |ms: u64| Duration::from_millis(ms);
    let wave = 40 + number % 17 * 3 + number % 5;
    let spread = |us: u64| {
        let [p50, p90, p99, max] = [us, 3 * us, 9 * us, 31 * us].map(Duration::from_micros);
        Some(Spread { mean: p50, p50, p90, p99, p999: max, max })
    };
    Second {
        end: Time(1_000_000_000_000 + (number + 1) * 1_000_000_000),
        at: ms((number + 1) * 1000),
        wall: WallTime((1_795_664_412 + number) * 1_000_000_000),
        span: ms(1000),
        running: ms(1000),
        measured: ms(if (2..of.saturating_sub(2)).contains(&number) { 1000 } else { 0 }),
        issued: wave,
        rejected: Some(number % 7),
        served: wave - 1,
        failed: 0,
        waiting: number % 23,
        in_service: 4,
        staffed: Some(6),
        utilization: (number >= 2).then_some(0.713),
        workers: Some(3),
        users: Some(50),
        wait: spread(wave * 20),
        sojourn: spread(wave * 200),
        response: (number % 11 != 3).then_some(spread(wave * 220)).flatten(),
        records: 2 * wave,
        log_bytes: 300 * wave,
        syncs: Some(20),
        sync: spread(800 + wave),
    }
}
