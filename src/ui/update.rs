//! Carries out commands: pure, without a terminal.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use engine::clock::Time;
use tui_input::Input;

use super::ask::{Answer, Ask};
use super::key::Key;
use super::model::{
    Detail, Effect, Find, Menu, Overlay, Prompt, Question, Sight, UiState, WINDOWS,
};
use super::panels::{self, Content};
use super::past::Frozen;
use super::registry::Command;
use super::theme::Depth;
use super::time;

use super::view::Scene;
use super::widgets::table::Table;
use crate::app::action::{Action, ProcessId};
use crate::app::format;
use crate::app::state::{AppState, Phase, RECENT_SPANS, Severity};
use crate::app::view_args::ThemeName;

impl UiState {
    /// Acts on a key.
    pub(crate) fn key(&mut self, event: KeyEvent, live: &Arc<AppState>, now: Time) -> Vec<Effect> {
        let Some(key) = Key::of(event) else { return Vec::new() };
        let shown = Arc::clone(self.shown(live));
        let sight = Sight { live, shown: &shown };
        let command = self.keymap.command(key, self.is_in_past(live));
        if command == Some(Command::Interrupt) {
            return self.act(Command::Interrupt, None, sight, now);
        }
        self.interrupts = 0;
        match self.overlay.take() {
            Some(overlay) => self.overlay_key(overlay, key, sight, now),
            None => command.map_or_else(Vec::new, |command| self.act(command, None, sight, now)),
        }
    }

    /// Carries out a command; `argument` is what was typed behind its name.
    pub(crate) fn act(
        &mut self,
        command: Command,
        argument: Option<&str>,
        sight: Sight<'_>,
        now: Time,
    ) -> Vec<Effect> {
        if let Some(reason) = self.disabled_reason(command, sight.live, sight.shown) {
            self.say(Severity::Warning, reason, now);
            return Vec::new();
        }
        match command {
            Command::Users | Command::Workers | Command::FindTicket | Command::Filter => {
                self.ask(command, argument, sight, now)
            }
            Command::PauseResume => {
                let is_paused = sight.live.phase == Phase::Paused;
                vec![Effect::Submit(if is_paused { Action::Resume } else { Action::Pause })]
            }
            Command::DrainUsers => self.answer("0", &Ask::Users, sight, now),
            Command::Kill => self.confirm(kill_question(self.processes(sight.shown))),
            Command::Undo => self.undos.pop().map(|undo| undo.effect).into_iter().collect(),
            Command::Export => match argument {
                Some(_) => self.ask(command, argument, sight, now),
                None => vec![Effect::Export(None)],
            },
            Command::ExportAgain => vec![Effect::Export(self.export_dir.clone())],
            Command::Quit => self.quit(sight.live),
            Command::QuitNow => self.confirm(stop_question(sight.live)),
            Command::Interrupt => self.interrupt(sight.live),
            Command::Suspend => vec![Effect::Suspend],
            Command::Repaint => vec![Effect::Repaint],
            Command::Copy => self.copy(sight, now),
            Command::Freeze
            | Command::Live
            | Command::Oldest
            | Command::ScrubBack
            | Command::ScrubForward
            | Command::LeapBack
            | Command::LeapForward
            | Command::EventBack
            | Command::EventForward => self.travel(command, argument, sight, now),
            Command::SaveScreen => vec![Effect::SaveScreen],
            Command::Mouse => {
                self.has_mouse = !self.has_mouse;
                vec![Effect::Mouse(self.has_mouse)]
            }
            _ => {
                self.look(command, argument, sight, now);
                Vec::new()
            }
        }
    }

    /// Carries out a command that changes only what is shown.
    fn look(&mut self, command: Command, argument: Option<&str>, sight: Sight<'_>, now: Time) {
        match command {
            Command::Help => self.overlay = Some(Overlay::Find(Find::help())),
            Command::Palette => self.overlay = Some(Overlay::Find(Find::palette())),
            Command::Screen(screen) => self.screen = screen,
            Command::NextPanel => self.focus_by(1),
            Command::PreviousPanel => self.focus_by(-1),
            Command::Zoom => self.is_zoomed = !self.is_zoomed,
            Command::Meter => self.is_meter_shown = !self.is_meter_shown,
            Command::Back => self.back(),
            Command::Recent => {
                let next = self.recent.map_or(0, |span| span + 1);
                self.recent = (next < RECENT_SPANS.len()).then_some(next);
            }
            Command::WindowShorter => self.window = self.window.saturating_sub(1),
            Command::WindowLonger => self.window = (self.window + 1).min(WINDOWS.len() - 1),
            Command::WindowDefault => self.set_window(argument, now),
            Command::Theme => self.set_theme(argument, now),
            Command::Sweep => self.is_sweeping = !self.is_sweeping,
            Command::Pin => self.pin(sight, now),
            Command::Unpin => self.pinned = None,
            Command::Acknowledge => self.acknowledged = sight.live.wall,
            Command::Open => self.open(sight),
            Command::Sort => self.sort(argument, sight, now),
            _ => self.walk(command, sight),
        }
    }

    /// Closes what is open, the smallest first.
    fn back(&mut self) {
        let focus = self.focus();
        let arrangement = self.arrangements.entry(focus).or_default();
        if !arrangement.filter.is_empty() {
            arrangement.filter.clear();
        } else if !arrangement.marked.is_empty() {
            arrangement.marked.clear();
        } else if self.is_zoomed {
            self.is_zoomed = false;
        } else {
            self.frozen = None;
        }
    }

    fn set_theme(&mut self, argument: Option<&str>, now: Time) {
        self.theme = match argument.map(|text| (text, ThemeName::of(text))) {
            None => self.theme.next(),
            Some((_, Some(name))) => self.theme.with(name),
            Some((text, None)) => {
                let text = format!(
                    "themes are auto, ansi, dark, light, high-contrast and mono, not {text}"
                );
                return self.say(Severity::Warning, text, now);
            }
        };
        let name = self.theme.name();
        let text = match self.theme.depth() {
            Depth::None => format!("theme {name}, without colours here"),
            _ => format!("theme {name}"),
        };
        self.say(Severity::Info, text, now);
    }

    fn set_window(&mut self, argument: Option<&str>, now: Time) {
        let Some(text) = argument else {
            self.window = 0;
            return;
        };
        let span = engine::config::span(text).ok();
        match WINDOWS.iter().position(|window| Some(*window) == span) {
            Some(window) => self.window = window,
            None => {
                let text = format!("charts cover 1m, 5m, 15m, 1h or 6h, not {text}");
                self.say(Severity::Warning, text, now);
            }
        }
    }

    // --- questions --------------------------------------------------------------------------

    /// Takes the answer that was typed with the command, or asks for one.
    fn ask(
        &mut self,
        command: Command,
        argument: Option<&str>,
        sight: Sight<'_>,
        now: Time,
    ) -> Vec<Effect> {
        let Some(ask) = Ask::of(command, self.focus()) else { return Vec::new() };
        if let Some(text) = argument {
            return self.answer(text, &ask, sight, now);
        }
        let text = ask.first_text(&self.arrangement(self.focus()).filter);
        self.overlay = Some(Overlay::Prompt(Prompt { ask, input: Input::new(text), error: None }));
        Vec::new()
    }

    fn answer(&mut self, text: &str, ask: &Ask, sight: Sight<'_>, now: Time) -> Vec<Effect> {
        match ask.read(text, sight.live) {
            Ok(answer) => self.take(answer),
            Err(error) => {
                self.say(Severity::Warning, error, now);
                Vec::new()
            }
        }
    }

    /// Does what an answer means.
    pub(super) fn take(&mut self, answer: Answer) -> Vec<Effect> {
        match answer {
            Answer::Do(effect, undo) => {
                if let Some(undo) = undo {
                    self.push_undo(undo);
                }
                if let Effect::Export(dir) = &effect {
                    self.export_dir.clone_from(dir);
                }
                vec![effect]
            }
            Answer::Filter(panel, text) => {
                self.arrangements.entry(panel).or_default().filter = text;
                Vec::new()
            }
        }
    }

    pub(super) fn confirm(&mut self, question: Question) -> Vec<Effect> {
        self.overlay = Some(Overlay::Confirm(question));
        Vec::new()
    }

    /// Asks only if work is in flight; while the run ends already, offers to end it at once.
    fn quit(&mut self, live: &AppState) -> Vec<Effect> {
        match live.phase {
            Phase::Running | Phase::Paused if live.totals.waiting + live.totals.in_service > 0 => {
                self.confirm(drain_question(live))
            }
            Phase::Draining { .. } => self.confirm(stop_question(live)),
            _ => vec![Effect::Submit(Action::Drain)],
        }
    }

    fn interrupt(&mut self, live: &AppState) -> Vec<Effect> {
        self.interrupts = self.interrupts.saturating_add(1);
        self.overlay = None;
        match self.interrupts {
            1 => self.quit(live),
            2 => vec![Effect::Submit(Action::Drain)],
            _ => vec![Effect::Submit(Action::StopNow)],
        }
    }

    // --- tables and texts -------------------------------------------------------------------

    /// Returns what the focused panel shows.
    fn content(&self, sight: Sight<'_>) -> Content {
        panels::content(
            self.focus(),
            Scene { ui: self, app: sight.shown, live: sight.live },
            self.area.width,
        )
    }

    /// Moves in the focused panel, marks rows, or sorts them.
    fn walk(&mut self, command: Command, sight: Sight<'_>) {
        match self.content(sight) {
            Content::Table(table) => self.walk_table(command, &table),
            Content::Text(lines) => self.walk_text(command, lines.len()),
            Content::Picture => {}
        }
    }

    fn walk_table(&mut self, command: Command, table: &Table) {
        let page = usize::from(self.page());
        let focus = self.focus();
        let arrangement = self.arrangements.entry(focus).or_default();
        let frozen = arrangement.clone();
        let shown = frozen.shown(table);
        let sorted = arrangement.sort.map_or(0, |(column, _)| column);
        match command {
            Command::Up | Command::PreviousMatch => {
                arrangement.select(&shown, |row| row.saturating_sub(1));
            }
            Command::Down | Command::NextMatch => arrangement.select(&shown, |row| row + 1),
            Command::HalfPageUp => arrangement.select(&shown, |row| row.saturating_sub(page / 2)),
            Command::HalfPageDown => arrangement.select(&shown, |row| row + page / 2),
            Command::PageUp => arrangement.select(&shown, |row| row.saturating_sub(page)),
            Command::PageDown => arrangement.select(&shown, |row| row + page),
            Command::First => arrangement.select(&shown, |_| 0),
            Command::Last => arrangement.select(&shown, |_| usize::MAX),
            Command::Mark => {
                if let Some(row) = arrangement.selected(&shown).map(|at| shown[at]) {
                    if !arrangement.marked.remove(&row.key) {
                        arrangement.marked.insert(row.key.clone());
                    }
                    arrangement.select(&shown, |row| row + 1);
                }
            }
            Command::SortReverse => arrangement.sort_by(table.columns, sorted),
            Command::SortRight => {
                arrangement.sort_by(table.columns, (sorted + 1) % table.columns.len());
            }
            Command::SortLeft => {
                let last = table.columns.len() - 1;
                arrangement.sort_by(table.columns, sorted.checked_sub(1).unwrap_or(last));
            }
            _ => {}
        }
    }

    fn walk_text(&mut self, command: Command, lines: usize) {
        let page = usize::from(self.page());
        let focus = self.focus();
        let scroll = self.scrolls.entry(focus).or_default();
        let to = match command {
            Command::Up => scroll.saturating_sub(1),
            Command::Down => *scroll + 1,
            Command::HalfPageUp => scroll.saturating_sub(page / 2),
            Command::HalfPageDown => *scroll + page / 2,
            Command::PageUp => scroll.saturating_sub(page),
            Command::PageDown => *scroll + page,
            Command::First => 0,
            Command::Last => usize::MAX,
            _ => *scroll,
        };
        *scroll = to.min(lines.saturating_sub(page.max(1)));
    }

    /// Returns how many rows the focused panel shows.
    fn page(&self) -> u16 {
        let areas = self.areas(false);
        let shown = areas.panels.iter().find(|(panel, _)| *panel == self.focus());
        shown.map_or(1, |(_, area)| area.height.saturating_sub(3).max(1))
    }

    /// Shows all that is known about the selected row.
    fn open(&mut self, sight: Sight<'_>) {
        let panel = self.focus();
        let Content::Table(table) = self.content(sight) else {
            self.is_zoomed = !self.is_zoomed;
            return;
        };
        let arrangement = self.arrangement(panel);
        let shown = arrangement.shown(&table);
        let Some(row) = arrangement.selected(&shown).map(|at| shown[at]) else { return };
        let lines =
            panels::detail(panel, Scene { ui: self, app: sight.shown, live: sight.live }, &row.key)
                .unwrap_or_else(|| {
                    let value = |(column, cell): (usize, &super::widgets::table::Cell)| {
                        (table.columns[column].head.to_owned(), cell.text.clone().into_owned())
                    };
                    row.cells.iter().enumerate().map(value).collect()
                });
        let title = row.key.clone();
        self.overlay = Some(Overlay::Detail(Detail { title, lines, scroll: 0 }));
    }

    /// Sorts by the column that is named, or offers the columns.
    fn sort(&mut self, argument: Option<&str>, sight: Sight<'_>, now: Time) {
        let Content::Table(table) = self.content(sight) else {
            self.say(Severity::Warning, "this panel has no rows to sort", now);
            return;
        };
        let Some(text) = argument else {
            self.overlay = Some(Overlay::Menu(Menu::of_columns(table.columns)));
            return;
        };
        let column = table.columns.iter().position(|column| column.head.eq_ignore_ascii_case(text));
        match column {
            Some(column) => {
                self.arrangements.entry(self.focus()).or_default().sort_by(table.columns, column);
            }
            None => {
                let heads: Vec<&str> = table.columns.iter().map(|column| column.head).collect();
                let text = format!("no column is called {text:?}; there are {}", heads.join(", "));
                self.say(Severity::Warning, text, now);
            }
        }
    }

    /// Copies the selected row, or the text of the panel.
    fn copy(&mut self, sight: Sight<'_>, now: Time) -> Vec<Effect> {
        let text = match self.content(sight) {
            Content::Table(table) => {
                let arrangement = self.arrangement(self.focus());
                let shown = arrangement.shown(&table);
                let row = arrangement.selected(&shown).map(|at| shown[at]);
                row.map(|row| {
                    let cells: Vec<&str> = row.cells.iter().map(|cell| &*cell.text).collect();
                    cells.join("\t")
                })
            }
            Content::Text(lines) => Some(panels::plain(&lines)),
            Content::Picture => None,
        };
        match text.filter(|text| !text.is_empty()) {
            Some(text) => {
                self.say(Severity::Info, "copied, if the terminal allows it (OSC 52)", now);
                vec![Effect::Copy(text)]
            }
            None => {
                self.say(
                    Severity::Warning,
                    "there is no text here to copy; e exports figures",
                    now,
                );
                Vec::new()
            }
        }
    }

    /// Returns why a command can't be carried out now, if it can't.
    pub(crate) fn disabled_reason(
        &self,
        command: Command,
        live: &AppState,
        shown: &AppState,
    ) -> Option<&'static str> {
        let phase = &live.phase;
        let is_ending = matches!(phase, Phase::Draining { .. } | Phase::Stopped(_));
        let is_open = matches!(phase, Phase::Running | Phase::Paused);
        match command {
            Command::PauseResume if !is_open => Some("the doors are not open"),
            Command::Users | Command::DrainUsers | Command::Workers | Command::Kill
                if is_ending =>
            {
                Some("the run is ending")
            }
            Command::Kill => {
                let marked = self.processes(shown);
                let is_alive = |id: &ProcessId| {
                    let found = live.processes.iter().find(|row| row.id == *id);
                    found.is_some_and(|row| row.pid.is_some())
                };
                (!marked.iter().any(is_alive)).then_some("no living process is selected")
            }
            Command::ScrubForward | Command::LeapForward | Command::EventForward
                if time::replay(live).is_none()
                    && self.frozen.as_ref().is_none_or(Frozen::is_newest) =>
            {
                Some("there is nothing newer; End follows the run")
            }
            Command::Pin if shown.latencies.is_empty() => Some("no latency is known yet"),
            Command::Unpin if self.pinned.is_none() => Some("nothing is pinned"),
            Command::Undo if self.undos.is_empty() => Some("no setting was changed from here"),
            _ => None,
        }
    }
}

impl Find {
    fn help() -> Self {
        Self { input: Input::default(), is_typing: false, is_help: true, selected: 0 }
    }

    fn palette() -> Self {
        Self { input: Input::default(), is_typing: true, is_help: false, selected: 0 }
    }
}

fn kill_question(processes: Vec<ProcessId>) -> Question {
    let effects = processes.iter().map(|id| Effect::Submit(Action::Kill(*id))).collect();
    let (title, text) = match processes.as_slice() {
        [one] => (format!("Kill {one}?"), kill_effect(*one).to_owned()),
        several => {
            let names: Vec<String> = several.iter().map(ProcessId::to_string).collect();
            (format!("Kill {} processes?", several.len()), names.join(", "))
        }
    };
    Question { title, text, effects }
}

fn kill_effect(process: ProcessId) -> &'static str {
    match process {
        ProcessId::Director => "the director does not kill itself",
        ProcessId::Issuer => "users and workers wait until a new one has read the log",
        ProcessId::Worker(_) => "its tickets are handed out again; a new one takes its place",
        ProcessId::UsersManager => "all users end with it and come back with a new one",
        ProcessId::User(_) => "its users come back in a new process",
    }
}

fn open_tickets(live: &AppState) -> String {
    format::counted(live.totals.waiting + live.totals.in_service, "open ticket")
}

fn drain_question(live: &AppState) -> Question {
    Question {
        title: "End the run?".to_owned(),
        text: format!("arrivals stop, {} are served, then all stops", open_tickets(live)),
        effects: vec![Effect::Submit(Action::Drain)],
    }
}

fn stop_question(live: &AppState) -> Question {
    Question {
        title: "End the run at once?".to_owned(),
        text: format!("{} are not served; they stay in the log", open_tickets(live)),
        effects: vec![Effect::Submit(Action::StopNow)],
    }
}

#[cfg(test)]
mod tests;
