//! What passes over the sockets of each role, as far as its processes have told.
//!
//! Counts are of the whole run and survive restarts of a process; what it did after its last word
//! before a sudden death (a second at most) is not in them.

use std::sync::Arc;

use engine::clock::Time;
use engine::net::message::NetTotals;
use serde::{Deserialize, Serialize};

use super::serial::{self, Text};

/// One role's connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetRow {
    /// `director`, `issuer`, `workers`, `users-manager` or `users`.
    #[serde(deserialize_with = "serial::role")]
    pub(crate) role: Text,
    /// Processes that live and have told.
    pub(crate) processes: u32,
    /// What they counted, with those before them.
    pub(crate) totals: NetTotals,
    /// Over the last second; `None` before there are two words.
    pub(crate) rates: Option<NetRates>,
}

/// What passed in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetRates {
    /// Frames read, per second.
    pub(crate) frames_in: f64,
    /// Frames queued to be sent, per second.
    pub(crate) frames_out: f64,
    /// Bytes read, per second.
    pub(crate) bytes_in: f64,
    /// Bytes written, per second.
    pub(crate) bytes_out: f64,
    /// Turns of the event loops (wake-ups of epoll), per second.
    pub(crate) turns: f64,
    /// Frames read in a turn; `None` if there was none.
    pub(crate) frames_per_turn: Option<f64>,
}

/// The roles, in the order of their rows.
pub(crate) const ROLES: [&str; 5] = ["director", "issuer", "workers", "users-manager", "users"];

/// Makes the rows, second by second.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetBook {
    rows: Arc<Vec<NetRow>>,
    at: Time,
}

impl NetBook {
    /// Returns the rows of the last second.
    pub(crate) fn rows(&self) -> Arc<Vec<NetRow>> {
        Arc::clone(&self.rows)
    }

    /// Takes what each of [`ROLES`] has told by now: how many processes, and their sums.
    pub(crate) fn end_second(&mut self, told: [(u32, NetTotals); 5], now: Time) {
        let before = std::mem::replace(&mut self.at, now);
        let span = now.since(before).as_secs_f64();
        let rows =
            ROLES.into_iter().zip(told).enumerate().map(|(at, (role, (processes, totals)))| {
                let last = self.rows.get(at).map(|row| row.totals);
                let rates =
                    last.filter(|_| span > 0.0).map(|last| NetRates::of(&last, &totals, span));
                NetRow { role, processes, totals, rates }
            });
        self.rows = Arc::new(rows.collect());
    }
}

impl NetRates {
    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    fn of(before: &NetTotals, after: &NetTotals, seconds: f64) -> Self {
        let since = |of: fn(&NetTotals) -> u64| of(after).saturating_sub(of(before)) as f64;
        let (frames, turns) = (since(|net| net.frames_in), since(|net| net.turns));
        Self {
            frames_in: frames / seconds,
            frames_out: since(|net| net.frames_out) / seconds,
            bytes_in: since(|net| net.bytes_in) / seconds,
            bytes_out: since(|net| net.bytes_out) / seconds,
            turns: turns / seconds,
            frames_per_turn: (turns > 0.0).then(|| frames / turns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(frames_in: u64, turns: u64) -> [(u32, NetTotals); 5] {
        [(1, NetTotals { frames_in, turns, bytes_out: 10 * turns, ..NetTotals::default() }); 5]
    }

    #[test]
    fn rates_are_what_came_since_the_word_before() {
        let mut book = NetBook::default();
        let second = |s: u64| Time(s * 1_000_000_000);
        assert!(book.rows().is_empty(), "nobody has told anything");
        book.end_second(told(100, 10), second(5));
        assert_eq!(book.rows()[4].rates, None, "nobody knows since when");
        book.end_second(told(400, 60), second(7));
        let rates = book.rows()[1].rates.unwrap();
        assert_eq!((rates.frames_in, rates.turns, rates.bytes_out), (150.0, 25.0, 250.0));
        assert_eq!(rates.frames_per_turn, Some(6.0));
        book.end_second(told(400, 60), second(8));
        assert_eq!(book.rows()[1].rates.unwrap().frames_per_turn, None);
        assert_eq!(book.rows()[3].role, "users-manager");
    }
}
