//! Moving through time: a frozen display looks at what is kept of the run, a replay is asked to go
//! elsewhere. And remembering percentiles to compare others with.

use std::time::Duration;

use engine::clock::Time;

use super::model::{Effect, Pinned, Sight, UiState, WINDOWS};
use super::past::Frozen;
use super::registry::{Command, Screen};
use crate::app::action::{Action, Travel};
use crate::app::format;
use crate::app::state::{AppState, Replay, Severity, View};

/// A leap is this part of what charts cover.
const LEAPS_PER_WINDOW: u32 = 10;
/// A replay's step.
const REPLAY_STEP: Duration = Duration::from_secs(1);

/// Returns which moment is replayed, if one is.
pub(crate) fn replay(app: &AppState) -> Option<&Replay> {
    match &app.view {
        View::Replay(replay) => Some(replay),
        View::Live | View::Attached(_) => None,
    }
}

impl UiState {
    /// Returns whether another moment than the present is looked at, so that keys move in time.
    pub(crate) fn is_in_past(&self, live: &AppState) -> bool {
        self.frozen.is_some() || replay(live).is_some()
    }

    /// Freezes the display, lets it follow the run again, or looks at another moment.
    pub(super) fn travel(
        &mut self,
        command: Command,
        argument: Option<&str>,
        sight: Sight<'_>,
    ) -> Vec<Effect> {
        let span = match argument.map(engine::config::span) {
            Some(Err(_)) => {
                self.say(Severity::Warning, "expected a span such as 30s or 5m", sight.now);
                return Vec::new();
            }
            Some(Ok(span)) => Some(span),
            None => None,
        };
        if command == Command::Range {
            self.mark_range(span, sight);
            return Vec::new();
        }
        if let Some(replay) = replay(sight.live) {
            let leap = WINDOWS[self.window] / LEAPS_PER_WINDOW;
            return vec![Effect::Submit(in_replay(command, span, leap, replay))];
        }
        match (command, &self.frozen) {
            (Command::Freeze, None) => self.frozen = Some(Frozen::new(sight.live)),
            (Command::Freeze, Some(_)) | (Command::Live, _) => {
                self.frozen = None;
                (self.range, self.range_from) = (None, None);
                // What was said of the past would be taken for news.
                self.toasts.clear();
            }
            _ => self.scrub(command, span, sight),
        }
        Vec::new()
    }

    fn scrub(&mut self, command: Command, span: Option<Duration>, sight: Sight<'_>) {
        let window = WINDOWS[self.window];
        let frozen = self.frozen.get_or_insert_with(|| Frozen::new(sight.live));
        let is_back = is_back(command);
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
            self.toasts.clear();
            self.say(Severity::Info, word, sight.now);
        }
    }

    /// Freezes the display at a moment, or asks a replay to go there.
    pub(super) fn look_at(&mut self, moment: Time, sight: Sight<'_>) -> Vec<Effect> {
        if replay(sight.live).is_some() {
            return vec![Effect::Submit(Action::Travel(Travel::To(moment)))];
        }
        let frozen = self.frozen.get_or_insert_with(|| Frozen::new(sight.live));
        frozen.look_at(moment, &self.past);
        Vec::new()
    }

    /// Selects the span before the moment that is looked at; without one, the first time where it
    /// begins and the second time where it ends.
    fn mark_range(&mut self, span: Option<Duration>, sight: Sight<'_>) {
        if !self.is_in_past(sight.live) {
            self.frozen = Some(Frozen::new(sight.live));
        }
        let here = self.frozen.as_ref().map_or(sight.shown.at, |frozen| frozen.at);
        match span.map(|span| here - span).or(self.range_from) {
            Some(from) => self.select_range(from, here, sight.now),
            None => {
                self.range_from = Some(here);
                self.say(Severity::Info, "from here; once more where it ends", sight.now);
            }
        }
    }

    /// Selects the span between two moments; none if they are the same.
    pub(super) fn select_range(&mut self, a: Time, b: Time, now: Time) {
        self.range_from = None;
        self.range = (a != b).then(|| (a.min(b), a.max(b)));
        if let Some((from, to)) = self.range {
            let span = format::duration(to.since(from));
            let perf = self.keymap.keys_text(Command::Screen(Screen::Perf));
            let text = format!("{span} selected: {perf} has its histogram, Esc lets go");
            self.say(Severity::Info, text, now);
        }
    }

    /// Remembers the percentiles that are shown.
    pub(super) fn pin(&mut self, sight: Sight<'_>) {
        let wall = sight.shown.wall;
        let latencies = sight.shown.latencies.clone();
        self.pinned = Some(Pinned { wall, span: self.recent, latencies });
        self.say(
            Severity::Info,
            format!("percentiles are compared with those of {wall}"),
            sight.now,
        );
    }
}

fn is_back(command: Command) -> bool {
    matches!(command, Command::ScrubBack | Command::LeapBack | Command::EventBack)
}

/// Returns what a replay is asked.
fn in_replay(command: Command, span: Option<Duration>, leap: Duration, at: &Replay) -> Action {
    let by = |span: Duration| {
        let travel = if is_back(command) { Travel::Back } else { Travel::Forward };
        Action::Travel(travel(span))
    };
    match command {
        Command::Freeze if at.is_playing => Action::Pause,
        Command::Freeze => Action::Resume,
        Command::Live => Action::Travel(Travel::Live),
        Command::Oldest => Action::Travel(Travel::To(at.from)),
        Command::EventBack => Action::Travel(Travel::PreviousEvent),
        Command::EventForward => Action::Travel(Travel::NextEvent),
        Command::NextRun => Action::Travel(Travel::NextRun),
        Command::PreviousRun => Action::Travel(Travel::PreviousRun),
        Command::LeapBack | Command::LeapForward => by(span.unwrap_or(leap)),
        _ => by(span.unwrap_or(REPLAY_STEP)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    use ratatui::layout::Rect;

    use super::*;
    use crate::ui::registry::entry_of;
    use crate::ui::testing;

    fn act(
        ui: &mut UiState,
        live: &Arc<AppState>,
        command: Command,
        argument: Option<&str>,
    ) -> Vec<Effect> {
        let shown = Arc::clone(ui.shown(live));
        ui.act(command, argument, Sight { live, shown: &shown, now: Time(1) })
    }

    #[test]
    fn a_frozen_display_moves_and_returns_to_the_present() {
        let (mut ui, live) = (testing::ui(), Arc::new(testing::measured()));
        let back =
            |ui: &UiState| ui.frozen.as_ref().map(|frozen| live.at.since(frozen.at).as_millis());
        act(&mut ui, &live, Command::ScrubForward, None);
        assert_eq!(back(&ui), None, "there is nothing newer than the present");
        act(&mut ui, &live, Command::ScrubBack, None);
        assert_eq!(back(&ui), Some(250), "going back freezes");
        act(&mut ui, &live, Command::ScrubBack, Some("30s"));
        assert_eq!(back(&ui), Some(30_250));
        act(&mut ui, &live, Command::LeapForward, None);
        assert_eq!(back(&ui), Some(24_250), "a tenth of a minute");
        act(&mut ui, &live, Command::ScrubBack, Some("soon"));
        assert_eq!(back(&ui), Some(24_250));
        act(&mut ui, &live, Command::EventForward, None);
        assert_eq!(back(&ui), Some(18_500), "the kill");
        act(&mut ui, &live, Command::Oldest, None);
        assert_eq!(back(&ui), Some(699_000));
        assert_eq!(ui.toasts.len(), 1, "the event, and no word from before: {:?}", ui.toasts);
        act(&mut ui, &live, Command::Live, None);
        assert_eq!(back(&ui), None);
        assert_eq!(ui.toasts, []);
    }

    #[test]
    fn a_click_on_a_chart_looks_at_that_moment() {
        let (mut ui, live) = (testing::ui(), Arc::new(testing::measured()));
        ui.area = Rect::new(0, 0, 160, 45);
        let click = |column| MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column,
            row: 6,
            modifiers: KeyModifiers::NONE,
        };
        // The first chart has its axis in columns 1 to 6 and 32 cells for a minute.
        ui.mouse(click(3), &live, Time(1));
        assert!(ui.frozen.is_none(), "the axis is no moment");
        ui.mouse(click(7 + 16), &live, Time(1));
        let back = live.at.since(ui.frozen.as_ref().unwrap().at);
        assert!(back.abs_diff(Duration::from_secs(28)) < Duration::from_secs(3), "{back:?}");
        ui.mouse(click(7 + 31), &live, Time(1));
        assert!(live.at.since(ui.frozen.as_ref().unwrap().at) < Duration::from_secs(2));
    }

    #[test]
    fn a_span_is_selected_by_dragging_or_by_keys_and_let_go_of() {
        let (mut ui, live) = (testing::ui(), Arc::new(testing::measured()));
        ui.area = Rect::new(0, 0, 160, 45);
        let span = |ui: &UiState| ui.range.map(|(from, to)| to.since(from).as_secs());
        let mouse = |kind, column| {
            let modifiers = KeyModifiers::NONE;
            MouseEvent { kind, column, row: 6, modifiers }
        };
        let left = MouseButton::Left;
        ui.mouse(mouse(MouseEventKind::Down(left), 7 + 24), &live, Time(1));
        ui.mouse(mouse(MouseEventKind::Drag(left), 7 + 12), &live, Time(1));
        // Beyond the edge of the chart its first moment counts.
        ui.mouse(mouse(MouseEventKind::Drag(left), 1), &live, Time(1));
        let (from, to) = ui.range.unwrap();
        assert!(live.at.since(from) > Duration::from_secs(55), "{:?}", live.at.since(from));
        assert!((10..20).contains(&live.at.since(to).as_secs()));
        ui.mouse(mouse(MouseEventKind::Up(left), 1), &live, Time(1));
        assert_eq!(ui.frozen.as_ref().unwrap().at, to, "its end is looked at");
        // A click alone selects nothing, nor does a move without a button that went down there.
        ui.mouse(mouse(MouseEventKind::Down(left), 7 + 24), &live, Time(1));
        ui.mouse(mouse(MouseEventKind::Up(left), 7 + 24), &live, Time(1));
        ui.mouse(mouse(MouseEventKind::Drag(left), 7 + 2), &live, Time(1));
        assert_eq!(span(&ui), None);
        act(&mut ui, &live, Command::Live, None);
        act(&mut ui, &live, Command::Range, None);
        act(&mut ui, &live, Command::ScrubBack, Some("20s"));
        act(&mut ui, &live, Command::Range, None);
        assert_eq!(span(&ui), Some(20));
        act(&mut ui, &live, Command::Range, Some("5s"));
        assert_eq!(span(&ui), Some(5));
        act(&mut ui, &live, Command::Back, None);
        assert_eq!((span(&ui), ui.frozen.is_some()), (None, true));
        let starting = Arc::new(testing::starting());
        let mut ui = testing::ui();
        act(&mut ui, &starting, Command::Range, None);
        assert_eq!(ui.toasts[0].text, "nothing was measured yet");
    }

    #[test]
    fn a_replay_is_asked_to_travel() {
        let mut ui = testing::ui();
        let replay = Replay {
            number: 2,
            runs: 3,
            from: Time(5),
            until: Time(90),
            at: Time(50),
            is_playing: true,
            speed_milli: 1_000,
            is_following: false,
            gaps: Vec::new(),
        };
        let live = |replay| Arc::new(AppState { view: View::Replay(replay), ..testing::app() });
        let playing = live(replay.clone());
        let standing = live(Replay { is_playing: false, ..replay });
        let mut check = |live: &Arc<AppState>, command, argument, action| {
            let effects = act(&mut ui, live, command, argument);
            assert_eq!(effects, [Effect::Submit(action)], "{}", entry_of(command).id);
            assert!(ui.frozen.is_none() && ui.is_in_past(live));
        };
        let second = Duration::from_secs(1);
        check(&playing, Command::Freeze, None, Action::Pause);
        check(&standing, Command::Freeze, None, Action::Resume);
        check(&playing, Command::ScrubBack, None, Action::Travel(Travel::Back(second)));
        check(
            &playing,
            Command::ScrubForward,
            Some("9s"),
            Action::Travel(Travel::Forward(second * 9)),
        );
        check(&playing, Command::LeapForward, None, Action::Travel(Travel::Forward(second * 6)));
        check(&playing, Command::EventBack, None, Action::Travel(Travel::PreviousEvent));
        check(&playing, Command::EventForward, None, Action::Travel(Travel::NextEvent));
        check(&playing, Command::PauseResume, None, Action::Pause);
        check(&standing, Command::PauseResume, None, Action::Resume);
        check(&playing, Command::NextRun, None, Action::Travel(Travel::NextRun));
        check(&playing, Command::PreviousRun, None, Action::Travel(Travel::PreviousRun));
        check(&playing, Command::Oldest, None, Action::Travel(Travel::To(Time(5))));
        check(&playing, Command::Live, None, Action::Travel(Travel::Live));
    }

    #[test]
    fn percentiles_are_pinned_and_let_go_of() {
        let (mut ui, live) = (testing::ui(), Arc::new(testing::measured()));
        act(&mut ui, &live, Command::Unpin, None);
        assert_eq!(ui.toasts.last().unwrap().text, "nothing is pinned");
        ui.recent = Some(2);
        act(&mut ui, &live, Command::Pin, None);
        let pinned = ui.pinned.as_ref().unwrap();
        assert_eq!((pinned.wall, pinned.span), (live.wall, Some(2)));
        act(&mut ui, &live, Command::Unpin, None);
        assert!(ui.pinned.is_none());
    }
}
