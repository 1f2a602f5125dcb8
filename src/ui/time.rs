//! Moving a frozen display through time, and remembering percentiles to compare others with.

use engine::clock::Time;

use super::model::{Pinned, Sight, UiState, WINDOWS};
use super::past::Frozen;
use super::registry::Command;
use crate::app::state::Severity;

/// A leap is this part of what charts cover.
const LEAPS_PER_WINDOW: u32 = 10;

impl UiState {
    /// Freezes the display, lets it follow the run again, or looks at another moment.
    pub(super) fn travel(
        &mut self,
        command: Command,
        argument: Option<&str>,
        sight: Sight<'_>,
        now: Time,
    ) {
        match (command, &self.frozen) {
            (Command::Freeze, None) => self.frozen = Some(Frozen::new(sight.live)),
            (Command::Freeze, Some(_)) | (Command::Live, _) => self.frozen = None,
            _ => self.scrub(command, argument, sight, now),
        }
    }

    fn scrub(&mut self, command: Command, argument: Option<&str>, sight: Sight<'_>, now: Time) {
        let span = match argument.map(engine::config::span) {
            Some(Err(_)) => {
                self.say(Severity::Warning, "expected a span such as 30s or 5m", now);
                return;
            }
            Some(Ok(span)) => Some(span),
            None => None,
        };
        let window = WINDOWS[self.window];
        let frozen = self.frozen.get_or_insert_with(|| Frozen::new(sight.live));
        let is_back =
            matches!(command, Command::ScrubBack | Command::LeapBack | Command::EventBack);
        let mut word = None;
        match (command, span) {
            (Command::Oldest, _) => frozen.look_at(Time::ZERO, &self.past),
            (Command::EventBack | Command::EventForward, _) => {
                let found = frozen.leap_to_event(is_back, &self.past);
                word = Some(found.unwrap_or_else(|| {
                    let side = if is_back { "before" } else { "after" };
                    format!("no event is known {side} this moment")
                }));
            }
            (Command::LeapBack | Command::LeapForward, _) => {
                frozen.leap(window / LEAPS_PER_WINDOW, is_back, &self.past);
            }
            (_, Some(span)) => frozen.leap(span, is_back, &self.past),
            _ => frozen.step(if is_back { -1 } else { 1 }, window, &self.past),
        }
        if let Some(word) = word {
            self.say(Severity::Info, word, now);
        }
    }

    /// Remembers the percentiles that are shown.
    pub(super) fn pin(&mut self, sight: Sight<'_>, now: Time) {
        let wall = sight.shown.wall;
        let latencies = sight.shown.latencies.clone();
        self.pinned = Some(Pinned { wall, span: self.recent, latencies });
        self.say(Severity::Info, format!("percentiles of {wall} are compared from now on"), now);
    }
}
