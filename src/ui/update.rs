//! What the dashboard does with keys and news: pure, without a terminal.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use engine::clock::Time;
use engine::limits;
use tui_input::Input;

use super::keymap::{self, UiAction};
use super::layout::Panel;
use super::theme::Theme;
use crate::app::action::{Action, ProcessId};
use crate::app::state::{AppState, Phase, ProcessRow, RECENT_SPANS, Severity};

/// How long a toast stays.
const TOAST_TIME: Duration = Duration::from_secs(4);
/// Digits of the largest number that a prompt takes.
const PROMPT_DIGITS: usize = 7;

/// What the dashboard remembers.
#[derive(Clone, Debug)]
pub(crate) struct UiState {
    pub(crate) theme: Theme,
    pub(crate) focus: Panel,
    pub(crate) is_zoomed: bool,
    /// The span of the latencies that are shown, by its place in
    /// [`RECENT_SPANS`]; `None` is the measured window.
    pub(crate) recent: Option<usize>,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) toast: Option<Toast>,
    /// The selected process; it stays selected when rows move.
    selected: Option<ProcessId>,
    /// Presses of Ctrl-C in a row.
    interrupts: u8,
}

/// Something over the screen that takes keys.
#[derive(Clone, Debug)]
pub(crate) enum Overlay {
    Help { scroll: u16 },
    Prompt(Prompt),
    Confirm(Question),
}

/// A number that is being typed.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) what: Level,
    pub(crate) input: Input,
}

/// What a prompt or a step changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Users,
    Workers,
}

/// What needs a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Kill(ProcessId),
    Drain,
    StopNow,
}

/// A short word about what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) text: String,
    pub(crate) severity: Severity,
    pub(crate) until: Time,
}

/// What the loop must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Submit(Action),
    /// Write the snapshot to a new folder.
    Export,
    Repaint,
    Suspend,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Workers => "workers",
        }
    }

    pub(crate) fn target(self, app: &AppState) -> u32 {
        match self {
            Self::Users => app.users.target,
            Self::Workers => app.workers.target,
        }
    }

    pub(crate) fn bounds(self) -> (u32, u32) {
        match self {
            Self::Users => (0, limits::USERS_MAX),
            Self::Workers => (1, u32::from(limits::WORKERS_MAX)),
        }
    }

    fn set(self, number: u32) -> Action {
        let (low, high) = self.bounds();
        let number = number.clamp(low, high);
        match self {
            Self::Users => Action::SetUsers(number),
            Self::Workers => Action::SetWorkers(u16::try_from(number).unwrap_or(u16::MAX)),
        }
    }

    fn step(self, app: &AppState, is_up: bool) -> Action {
        let target = self.target(app);
        let step = match self {
            Self::Users => (target / 10).max(1),
            Self::Workers => 1,
        };
        self.set(if is_up { target.saturating_add(step) } else { target.saturating_sub(step) })
    }
}

impl UiState {
    /// Returns the state of a dashboard that was just opened.
    pub(crate) fn new(theme: Theme) -> Self {
        Self {
            theme,
            focus: Panel::Processes,
            is_zoomed: false,
            recent: None,
            overlay: None,
            toast: None,
            selected: None,
            interrupts: 0,
        }
    }

    /// Returns the selected process, by default the first.
    pub(crate) fn selected<'a>(&self, app: &'a AppState) -> Option<&'a ProcessRow> {
        app.processes.get(self.selected_index(app)?)
    }

    /// Returns the selected row, by default the first.
    pub(crate) fn selected_index(&self, app: &AppState) -> Option<usize> {
        let found = app.processes.iter().position(|row| Some(row.id) == self.selected);
        found.or((!app.processes.is_empty()).then_some(0))
    }

    /// Says something for a while.
    pub(crate) fn say(&mut self, severity: Severity, text: impl Into<String>, now: Time) {
        self.toast = Some(Toast { text: text.into(), severity, until: now + TOAST_TIME });
    }

    /// Lets go of what has been shown for long enough; returns whether that changed anything.
    pub(crate) fn tick(&mut self, now: Time) -> bool {
        self.toast.take_if(|toast| toast.until <= now).is_some()
    }

    /// When [`Self::tick`] changes something.
    pub(crate) fn deadline(&self) -> Time {
        self.toast.as_ref().map_or(Time::NEVER, |toast| toast.until)
    }

    /// Acts on a key.
    pub(crate) fn key(&mut self, key: KeyEvent, app: &AppState, now: Time) -> Vec<Effect> {
        let is_interrupt =
            key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if !is_interrupt {
            self.interrupts = 0;
        }
        match self.overlay.take() {
            Some(overlay) if !is_interrupt => self.overlay_key(overlay, key, app, now),
            overlay => {
                self.overlay = overlay;
                keymap::action(key).map_or_else(Vec::new, |action| self.act(action, app, now))
            }
        }
    }

    fn act(&mut self, action: UiAction, app: &AppState, now: Time) -> Vec<Effect> {
        if let Some(reason) = keymap::disabled_reason(action, self, app) {
            self.say(Severity::Warning, reason, now);
            return Vec::new();
        }
        match action {
            UiAction::Help => self.overlay = Some(Overlay::Help { scroll: 0 }),
            UiAction::PauseResume => {
                let is_paused = app.phase == Phase::Paused;
                let action = if is_paused { Action::Resume } else { Action::Pause };
                return vec![Effect::Submit(action)];
            }
            UiAction::UsersPrompt => self.prompt(Level::Users),
            UiAction::WorkersPrompt => self.prompt(Level::Workers),
            UiAction::UsersMore => return vec![Effect::Submit(Level::Users.step(app, true))],
            UiAction::UsersFewer => return vec![Effect::Submit(Level::Users.step(app, false))],
            UiAction::WorkersMore => return vec![Effect::Submit(Level::Workers.step(app, true))],
            UiAction::WorkersFewer => return vec![Effect::Submit(Level::Workers.step(app, false))],
            UiAction::Kill => {
                let id = self.selected(app).map(|row| row.id);
                self.overlay = id.map(|id| Overlay::Confirm(Question::Kill(id)));
            }
            UiAction::Export => return vec![Effect::Export],
            UiAction::Quit => return self.quit(app),
            UiAction::QuitNow => self.overlay = Some(Overlay::Confirm(Question::StopNow)),
            UiAction::Interrupt => return self.interrupt(app),
            UiAction::NextPanel => self.focus_by(1),
            UiAction::PreviousPanel => self.focus_by(Panel::ALL.len() - 1),
            UiAction::Zoom => self.is_zoomed = !self.is_zoomed,
            UiAction::Window => {
                let next = self.recent.map_or(0, |span| span + 1);
                self.recent = (next < RECENT_SPANS.len()).then_some(next);
            }
            UiAction::Up => self.select(app, |row| row.saturating_sub(1)),
            UiAction::Down => self.select(app, |row| row + 1),
            UiAction::PageUp => self.select(app, |row| row.saturating_sub(10)),
            UiAction::PageDown => self.select(app, |row| row + 10),
            UiAction::First => self.select(app, |_| 0),
            UiAction::Last => self.select(app, |_| usize::MAX),
            UiAction::Back => self.is_zoomed = false,
            UiAction::Repaint => return vec![Effect::Repaint],
            UiAction::Suspend => return vec![Effect::Suspend],
        }
        Vec::new()
    }

    fn prompt(&mut self, what: Level) {
        self.overlay = Some(Overlay::Prompt(Prompt { what, input: Input::default() }));
    }

    /// Asks only if work is in flight; while the run ends already, offers to end it at once.
    fn quit(&mut self, app: &AppState) -> Vec<Effect> {
        match app.phase {
            Phase::Running | Phase::Paused if app.totals.waiting + app.totals.in_service > 0 => {
                self.overlay = Some(Overlay::Confirm(Question::Drain));
                Vec::new()
            }
            Phase::Draining { .. } => {
                self.overlay = Some(Overlay::Confirm(Question::StopNow));
                Vec::new()
            }
            _ => vec![Effect::Submit(Action::Drain)],
        }
    }

    fn interrupt(&mut self, app: &AppState) -> Vec<Effect> {
        self.interrupts = self.interrupts.saturating_add(1);
        match self.interrupts {
            1 => {
                self.overlay = None;
                self.quit(app)
            }
            2 => {
                self.overlay = None;
                vec![Effect::Submit(Action::Drain)]
            }
            _ => vec![Effect::Submit(Action::StopNow)],
        }
    }

    fn focus_by(&mut self, steps: usize) {
        let at = Panel::ALL.iter().position(|panel| *panel == self.focus).unwrap_or(0);
        self.focus = Panel::ALL[(at + steps) % Panel::ALL.len()];
    }

    fn select(&mut self, app: &AppState, to: impl FnOnce(usize) -> usize) {
        if let (Some(at), Some(last)) =
            (self.selected_index(app), app.processes.len().checked_sub(1))
        {
            self.selected = Some(app.processes[to(at).min(last)].id);
        }
    }

    fn overlay_key(
        &mut self,
        overlay: Overlay,
        key: KeyEvent,
        app: &AppState,
        now: Time,
    ) -> Vec<Effect> {
        match overlay {
            Overlay::Help { scroll } => self.help_key(scroll, key),
            Overlay::Prompt(prompt) => self.prompt_key(prompt, key, app, now),
            Overlay::Confirm(question) => self.confirm_key(question, key),
        }
    }

    fn help_key(&mut self, scroll: u16, key: KeyEvent) -> Vec<Effect> {
        let scroll = match keymap::action(key) {
            Some(UiAction::Down) => scroll.saturating_add(1),
            Some(UiAction::Up) => scroll.saturating_sub(1),
            Some(UiAction::PageDown) => scroll.saturating_add(10),
            Some(UiAction::PageUp) => scroll.saturating_sub(10),
            Some(UiAction::First) => 0,
            Some(UiAction::Help | UiAction::Back | UiAction::Quit) => return Vec::new(),
            _ => scroll,
        };
        // The view shows the end where a scroll goes beyond it.
        self.overlay = Some(Overlay::Help { scroll: scroll.min(200) });
        Vec::new()
    }

    fn prompt_key(
        &mut self,
        mut prompt: Prompt,
        key: KeyEvent,
        app: &AppState,
        now: Time,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        match key.code {
            KeyCode::Esc => return effects,
            KeyCode::Enter => {
                let (low, high) = prompt.what.bounds();
                match prompt.input.value().parse::<u32>() {
                    Ok(number) if (low..=high).contains(&number) => {
                        return vec![Effect::Submit(prompt.what.set(number))];
                    }
                    _ if prompt.input.value().is_empty() => return effects,
                    _ => {
                        let text = format!("{} must be {low} to {high}", prompt.what.name());
                        self.say(Severity::Warning, text, now);
                    }
                }
            }
            KeyCode::Char('+' | '=') => effects.push(Effect::Submit(prompt.what.step(app, true))),
            KeyCode::Char('-') => effects.push(Effect::Submit(prompt.what.step(app, false))),
            KeyCode::Char(c)
                if c.is_ascii_digit() && prompt.input.value().len() < PROMPT_DIGITS =>
            {
                prompt.input.handle(tui_input::InputRequest::InsertChar(c));
            }
            KeyCode::Backspace => {
                prompt.input.handle(tui_input::InputRequest::DeletePrevChar);
            }
            _ => {}
        }
        self.overlay = Some(Overlay::Prompt(prompt));
        effects
    }

    fn confirm_key(&mut self, question: Question, key: KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Char('y' | 'Y') | KeyCode::Enter => vec![Effect::Submit(match question {
                Question::Kill(process) => Action::Kill(process),
                Question::Drain => Action::Drain,
                Question::StopNow => Action::StopNow,
            })],
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => Vec::new(),
            _ => {
                self.overlay = Some(Overlay::Confirm(question));
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::testing;

    fn press(ui: &mut UiState, app: &AppState, keys: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        for c in keys.chars() {
            let key = match c {
                '\n' => KeyEvent::from(KeyCode::Enter),
                '\t' => KeyEvent::from(KeyCode::Tab),
                '\u{1b}' => KeyEvent::from(KeyCode::Esc),
                '\u{8}' => KeyEvent::from(KeyCode::Backspace),
                '\u{3}' => KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
                '\u{1a}' => KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL),
                c => KeyEvent::from(KeyCode::Char(c)),
            };
            effects.extend(ui.key(key, app, Time(1)));
        }
        effects
    }

    fn check(keys: &str, effects: &[Effect]) {
        let (mut ui, app) = (testing::ui(), testing::app());
        assert_eq!(press(&mut ui, &app, keys), effects, "{keys:?}");
    }

    #[test]
    fn keys_become_actions() {
        check("p", &[Effect::Submit(Action::Pause)]);
        check("+", &[Effect::Submit(Action::SetUsers(140))]);
        check("-", &[Effect::Submit(Action::SetUsers(116))]);
        check("]", &[Effect::Submit(Action::SetWorkers(5))]);
        check("[", &[Effect::Submit(Action::SetWorkers(3))]);
        check("u2000\n", &[Effect::Submit(Action::SetUsers(2000))]);
        check("w12\u{8}\n", &[Effect::Submit(Action::SetWorkers(1))]);
        check("iiii", &[]);
        check("u\n", &[]);
        check("u\u{1b}q", &[]);
        check("\u{1a}", &[Effect::Suspend]);
        check("e", &[Effect::Export]);
    }

    #[test]
    fn a_prompt_refuses_what_is_out_of_range_and_steps_live() {
        let (mut ui, app) = (testing::ui(), testing::app());
        assert_eq!(press(&mut ui, &app, "w0\n"), []);
        assert!(ui.toast.as_ref().unwrap().text.contains("1 to 1024"));
        assert!(matches!(ui.overlay, Some(Overlay::Prompt(_))), "it stays open");
        assert_eq!(press(&mut ui, &app, "+"), [Effect::Submit(Action::SetWorkers(5))]);
        assert_eq!(press(&mut ui, &app, "99999999999").len(), 0);
    }

    #[test]
    fn what_destroys_is_asked_first() {
        check("K", &[]);
        check("jjKy", &[Effect::Submit(Action::Kill(testing::app().processes[2].id))]);
        check("Kn", &[]);
        check("q", &[]);
        check("qy", &[Effect::Submit(Action::Drain)]);
        check("Qy", &[Effect::Submit(Action::StopNow)]);
        let (mut ui, mut app) = (testing::ui(), testing::app());
        (app.totals.waiting, app.totals.in_service) = (0, 0);
        assert_eq!(press(&mut ui, &app, "q"), [Effect::Submit(Action::Drain)], "nothing to lose");
    }

    #[test]
    fn an_interrupt_grows_stronger() {
        check("\u{3}", &[]);
        check("\u{3}\u{3}", &[Effect::Submit(Action::Drain)]);
        let both = [Effect::Submit(Action::Drain), Effect::Submit(Action::StopNow)];
        check("\u{3}\u{3}\u{3}", &both);
        check("\u{3}n\u{3}", &[]);
    }

    #[test]
    fn a_process_stays_selected_when_rows_move() {
        let (mut ui, mut app) = (testing::ui(), testing::app());
        press(&mut ui, &app, "jj");
        let id = ui.selected(&app).unwrap().id;
        app.processes.remove(0);
        assert_eq!(ui.selected(&app).unwrap().id, id);
        press(&mut ui, &app, "G");
        assert_eq!(ui.selected_index(&app), Some(app.processes.len() - 1));
        press(&mut ui, &app, "g");
        assert_eq!(ui.selected_index(&app), Some(0));
    }

    #[test]
    fn what_can_not_be_done_says_why() {
        let (mut ui, mut app) = (testing::ui(), testing::app());
        app.phase = Phase::Draining { open: 3 };
        assert_eq!(press(&mut ui, &app, "p+u"), []);
        assert_eq!(ui.toast.as_ref().unwrap().text, "the run is ending");
        ui.tick(Time(1) + TOAST_TIME);
        assert_eq!(ui.toast, None);
    }

    #[test]
    fn the_time_of_the_latencies_goes_round() {
        let (mut ui, app) = (testing::ui(), testing::app());
        let seen: Vec<Option<usize>> = (0..4)
            .map(|_| {
                press(&mut ui, &app, "i");
                ui.recent
            })
            .collect();
        assert_eq!(seen, [Some(0), Some(1), Some(2), None]);
    }

    #[test]
    fn tab_visits_every_panel() {
        let (mut ui, app) = (testing::ui(), testing::app());
        let mut seen = Vec::new();
        for _ in Panel::ALL {
            seen.push(ui.focus);
            press(&mut ui, &app, "\t");
        }
        assert_eq!((seen.as_slice(), ui.focus), (&Panel::ALL[..], Panel::ALL[0]));
    }
}
