//! Carries out commands: pure, without a terminal.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use engine::clock::Time;
use ratatui::layout::Rect;
use tui_input::Input;

use super::ask::{Answer, Ask};
use super::key::Key;
use super::layout::Panel;
use super::model::{
    Detail, Effect, Find, Menu, Overlay, Prompt, Question, Sight, UiState, Undo, WINDOWS,
};
use super::panels::{self, Content};
use super::registry::Command;
use super::theme::Depth;
use super::view::{self, Scene};
use super::walk::{scrolled, walked};
use super::widgets::table::{Cell, Column, Table};
use crate::app::action::Action;
use crate::app::format;
use crate::app::state::{AppState, Phase, RECENT_SPANS, Severity, View};
use crate::app::view_args::ThemeName;

impl UiState {
    /// Acts on a key.
    pub(crate) fn key(&mut self, event: KeyEvent, live: &Arc<AppState>, now: Time) -> Vec<Effect> {
        let Some(key) = Key::of(event) else { return Vec::new() };
        let shown = Arc::clone(self.shown(live));
        let sight = Sight { live, shown: &shown, now };
        let command = self.keymap.command(key, self.is_in_past(live));
        if command == Some(Command::Interrupt) {
            return self.act(Command::Interrupt, None, sight);
        }
        self.interrupts = 0;
        // A screen that something else has written on is mended whatever is open.
        if command == Some(Command::Repaint) {
            return vec![Effect::Repaint];
        }
        match self.overlay.take() {
            Some(overlay) => self.overlay_key(overlay, key, sight),
            None => command.map_or_else(Vec::new, |command| self.act(command, None, sight)),
        }
    }

    /// Carries out a command; `argument` is what was typed behind its name.
    pub(crate) fn act(
        &mut self,
        command: Command,
        argument: Option<&str>,
        sight: Sight<'_>,
    ) -> Vec<Effect> {
        if let Some(reason) = self.disabled_reason(command, sight.live, sight.shown) {
            self.say(Severity::Warning, reason, sight.now);
            return Vec::new();
        }
        match command {
            Command::Users
            | Command::Workers
            | Command::FindTicket
            | Command::Filter
            | Command::Step
            | Command::Halt
            | Command::SlowIssuer
            | Command::Speed
            | Command::Export
            | Command::SaveConf => self.ask(command, argument, sight),
            Command::PauseResume
            | Command::DrainUsers
            | Command::Signals
            | Command::Chaos
            | Command::Kill
            | Command::Restart
            | Command::Continue
            | Command::Strike
            | Command::Block
            | Command::Fsync
            | Command::Rate
            | Command::SetKey
            | Command::Reload
            | Command::Undo => self.act_on_office(command, argument, sight),
            Command::LogLevel => self.log_level(argument, sight.now),
            Command::Open if self.focus() == Panel::Conf => self.act(Command::SetKey, None, sight),
            Command::ExportAgain => vec![Effect::Export(self.export_dir.clone())],
            Command::Quit => self.quit(sight.live),
            Command::QuitNow => self.confirm(stop_question(sight.live)),
            Command::Interrupt => self.interrupt(sight.live),
            Command::Suspend => vec![Effect::Suspend],
            Command::Repaint => vec![Effect::Repaint],
            Command::Copy => self.copy(sight),
            Command::Freeze
            | Command::Live
            | Command::Oldest
            | Command::ScrubBack
            | Command::ScrubForward
            | Command::LeapBack
            | Command::LeapForward
            | Command::EventBack
            | Command::EventForward
            | Command::Range
            | Command::NextRun
            | Command::PreviousRun => self.travel(command, argument, sight),
            Command::SaveScreen => vec![Effect::SaveScreen],
            Command::Mouse => self.switch_mouse(sight.now),
            _ => {
                self.look(command, argument, sight);
                Vec::new()
            }
        }
    }

    /// Carries out a command that changes only what is shown.
    fn look(&mut self, command: Command, argument: Option<&str>, sight: Sight<'_>) {
        match command {
            Command::Help => self.overlay = Some(Overlay::Find(Find::help())),
            Command::Palette => self.overlay = Some(Overlay::Find(Find::palette())),
            Command::Screen(screen) => self.screen = screen,
            Command::NextPanel => self.focus_by(1),
            Command::PreviousPanel => self.focus_by(-1),
            Command::Zoom => self.set_zoomed(!self.is_zoomed()),
            Command::Meter => self.is_meter_shown = !self.is_meter_shown,
            Command::Back => self.back(),
            Command::Recent => {
                let next = self.recent.map_or(0, |span| span + 1);
                self.recent = (next < RECENT_SPANS.len()).then_some(next);
            }
            Command::WindowShorter => self.window = self.window.saturating_sub(1),
            Command::WindowLonger => self.window = (self.window + 1).min(WINDOWS.len() - 1),
            Command::WindowDefault => self.set_window(argument, sight.now),
            Command::Theme => self.set_theme(argument, sight.now),
            Command::Sweep => self.is_sweeping = !self.is_sweeping,
            Command::Pin => self.pin(sight),
            Command::Unpin => self.pinned = None,
            // What is later than a frozen display shows was not seen.
            Command::Acknowledge => self.acknowledged = self.acknowledged.max(sight.shown.wall),
            Command::Open => self.open(sight),
            Command::Sort => self.sort(argument, sight),
            Command::LogSources => self.log_sources(argument, sight.now),
            Command::NextMatch | Command::PreviousMatch => self.next_match(command, sight),
            _ => self.walk(command, sight),
        }
    }

    /// Closes what is open, the smallest first.
    fn back(&mut self) {
        let arrangement = self.arrangement_mut(self.focus());
        if !arrangement.filter.is_empty() {
            arrangement.filter.clear();
        } else if !arrangement.marked.is_empty() {
            arrangement.marked.clear();
        } else if arrangement.is_log && arrangement.selected.is_some() {
            arrangement.selected = None;
        } else if self.is_zoomed() {
            self.set_zoomed(false);
        } else if self.range.is_some() || self.range_from.is_some() {
            (self.range, self.range_from) = (None, None);
        } else {
            self.frozen = None;
        }
    }

    fn switch_mouse(&mut self, now: Time) -> Vec<Effect> {
        self.has_mouse = !self.has_mouse;
        let text =
            if self.has_mouse { "the mouse works here" } else { "the terminal has the mouse" };
        self.say(Severity::Info, text, now);
        vec![Effect::Mouse(self.has_mouse)]
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
    fn ask(&mut self, command: Command, argument: Option<&str>, sight: Sight<'_>) -> Vec<Effect> {
        let ask = match command {
            Command::Halt => Some(Ask::Halt(self.acted_on(sight))),
            command => Ask::of(command, self.focus()),
        };
        match (ask, argument) {
            (Some(ask), Some(text)) => return self.answer(text, &ask, sight),
            (Some(ask), None) => self.prompt(ask, sight),
            (None, _) => {}
        }
        Vec::new()
    }

    pub(super) fn prompt(&mut self, ask: Ask, sight: Sight<'_>) {
        let first = ask.first_text(&self.arrangement(self.focus()).filter, sight.live);
        let input = Input::new(first.clone());
        self.overlay = Some(Overlay::Prompt(Prompt { ask, input, first, error: None }));
    }

    pub(super) fn answer(&mut self, text: &str, ask: &Ask, sight: Sight<'_>) -> Vec<Effect> {
        match ask.read(text, sight.live) {
            Ok(answer) => self.take(answer),
            Err(error) => {
                self.say(Severity::Warning, error, sight.now);
                Vec::new()
            }
        }
    }

    /// Does what an answer means.
    pub(super) fn take(&mut self, answer: Answer) -> Vec<Effect> {
        match answer {
            Answer::Do(effects, undo) => {
                if let Some(undo) = undo {
                    self.push_undo(undo);
                }
                if let [Effect::Export(dir)] = effects.as_slice() {
                    self.export_dir.clone_from(dir);
                }
                effects
            }
            Answer::Change(change, old) => self.change_key(change, old),
            Answer::Filter(panel, text) => {
                self.arrangement_mut(panel).filter = text;
                Vec::new()
            }
        }
    }

    pub(super) fn confirm(&mut self, question: Question) -> Vec<Effect> {
        self.overlay = Some(Overlay::Confirm(question));
        Vec::new()
    }

    /// A running office asks, whatever it does at the moment; while it ends already, it offers to
    /// end at once. One that is over, or belongs to another process, is only looked at.
    fn quit(&mut self, live: &AppState) -> Vec<Effect> {
        match live.phase {
            _ if live.view != View::Live => vec![Effect::Leave],
            Phase::Stopped(_) => vec![Effect::Leave],
            Phase::Draining { .. } => self.confirm(stop_question(live)),
            _ => self.confirm(drain_question(live)),
        }
    }

    fn interrupt(&mut self, live: &AppState) -> Vec<Effect> {
        self.interrupts = self.interrupts.saturating_add(1);
        self.overlay = None;
        match self.interrupts {
            _ if live.view != View::Live => vec![Effect::Leave],
            1 => self.quit(live),
            2 => vec![Effect::Submit(Action::Drain)],
            _ => vec![Effect::Submit(Action::StopNow)],
        }
    }

    // --- tables and texts -------------------------------------------------------------------

    /// Returns what drawing and the mouse see, too.
    pub(super) fn scene<'a>(&'a self, sight: Sight<'a>) -> Scene<'a> {
        Scene { ui: self, app: sight.shown, live: sight.live }
    }

    /// Returns what the focused panel shows.
    fn content(&self, sight: Sight<'_>, width: u16) -> Content {
        panels::content(self.focus(), self.scene(sight), width)
    }

    /// Returns the inside of the focused panel; where panels have no room, that of the screen.
    pub(super) fn inside(&self, sight: Sight<'_>) -> Rect {
        let areas = self.areas(view::has_banner(self.scene(sight)));
        let shown = areas.panels.iter().find(|(panel, _)| *panel == self.focus());
        shown.map_or(self.area, |(_, area)| view::inside(*area, areas.class))
    }

    /// Moves in the focused panel, marks rows, or sorts them.
    fn walk(&mut self, command: Command, sight: Sight<'_>) {
        let inside = self.inside(sight);
        let height = usize::from(inside.height);
        match self.content(sight, inside.width) {
            // One row has the heads.
            Content::Table(table) if is_sort(command) => self.sort_step(command, &table),
            Content::Table(table) => self.walk_table(command, &table, height.saturating_sub(1)),
            Content::Text(lines) => {
                let first = self.scrolls.entry(self.focus()).or_default();
                *first = scrolled(*first, command, lines.len(), height);
            }
            Content::Picture => {}
        }
    }

    fn walk_table(&mut self, command: Command, table: &Table, page: usize) {
        let arrangement = self.arrangement_mut(self.focus());
        let frozen = arrangement.clone();
        let shown = frozen.shown(table);
        let last = shown.len().saturating_sub(1);
        match command {
            Command::Mark => {
                if let Some(row) = arrangement.selected(&shown).map(|at| shown[at]) {
                    if !arrangement.marked.remove(&row.key) {
                        arrangement.marked.insert(row.key.clone());
                    }
                    arrangement.select(&shown, |row| row + 1);
                }
            }
            _ => arrangement.select(&shown, |row| walked(row, command, last, page).unwrap_or(row)),
        }
    }

    /// Sorts the other way round, or by the column before or behind.
    fn sort_step(&mut self, command: Command, table: &Table) {
        let sorted = self.arrangement(self.focus()).sort.map_or(0, |(column, _)| column);
        let columns = table.columns.len();
        let column = match command {
            Command::SortRight => (sorted + 1) % columns,
            Command::SortLeft => (sorted + columns - 1) % columns,
            _ => sorted,
        };
        self.sort_by(table.columns, column);
    }

    /// Sorts the focused panel by a column, or the other way round.
    pub(super) fn sort_by(&mut self, columns: &[Column], column: usize) {
        let panel = self.focus();
        let before = self.arrangement(panel).sort;
        self.arrangement_mut(panel).sort_by(columns, column);
        self.push_undo(Undo::Sort(panel, before));
    }

    /// Selects the next row that has what is searched for; where rows are hidden, all that are
    /// left have it.
    fn next_match(&mut self, command: Command, sight: Sight<'_>) {
        let arrangement = self.arrangement(self.focus());
        let is_down = command == Command::NextMatch;
        let Content::Table(table) = self.content(sight, self.area.width) else { return };
        if !arrangement.is_log || arrangement.filter.is_empty() {
            return self.walk_table(if is_down { Command::Down } else { Command::Up }, &table, 1);
        }
        let shown = arrangement.shown(&table);
        if !self.arrangement_mut(self.focus()).select_match(&shown, is_down) {
            let text = format!("no further line has {:?}", arrangement.filter);
            self.say(Severity::Info, text, sight.now);
        }
    }

    /// Shows lines down to the level that is named, or offers the levels.
    fn log_level(&mut self, argument: Option<&str>, now: Time) -> Vec<Effect> {
        let Some(text) = argument else {
            self.overlay = Some(Overlay::Menu(Menu::of_levels(self.log_view.level)));
            return Vec::new();
        };
        match text.parse::<log::LevelFilter>() {
            Ok(level) if level != log::LevelFilter::Off => {
                self.log_view.level = level;
                vec![Effect::LogLevel(level)]
            }
            _ => {
                let text = format!("levels are error, warn, info, debug and trace, not {text:?}");
                self.say(Severity::Warning, text, now);
                Vec::new()
            }
        }
    }

    /// Shows or hides the lines of the source that is named, or offers the sources.
    fn log_sources(&mut self, argument: Option<&str>, now: Time) {
        let sources = self.logbook.sources();
        match argument {
            None if sources.is_empty() => self.say(Severity::Info, "nothing was logged yet", now),
            None => {
                let menu = Menu::of_sources(&sources, &self.log_view.hidden);
                self.overlay = Some(Overlay::Menu(menu));
            }
            Some("all") => self.log_view.hidden.clear(),
            Some(name) if sources.contains(name) => {
                if !self.log_view.hidden.remove(name) {
                    self.log_view.hidden.insert(name.to_owned());
                }
            }
            Some(name) => {
                let text = format!("{name:?} has logged nothing that is kept");
                self.say(Severity::Warning, text, now);
            }
        }
    }

    /// Shows all that is known about the selected row.
    fn open(&mut self, sight: Sight<'_>) {
        let panel = self.focus();
        let Content::Table(table) = self.content(sight, self.area.width) else {
            self.set_zoomed(!self.is_zoomed());
            return;
        };
        let arrangement = self.arrangement(panel);
        let shown = arrangement.shown(&table);
        let Some(row) = arrangement.selected(&shown).map(|at| shown[at]) else { return };
        let lines = panels::detail(panel, self.scene(sight), &row.key).unwrap_or_else(|| {
            let value = |(column, cell): (usize, &Cell)| {
                (table.columns[column].head.to_owned(), cell.text.clone().into_owned())
            };
            row.cells.iter().enumerate().map(value).collect()
        });
        let title = panels::detail_title(panel, &row.key);
        self.overlay = Some(Overlay::Detail(Detail::of(title, lines, self.area.width)));
    }

    /// Sorts by the column that is named, or offers the columns.
    fn sort(&mut self, argument: Option<&str>, sight: Sight<'_>) {
        let Content::Table(table) = self.content(sight, self.area.width) else {
            self.say(Severity::Warning, "this panel has no rows to sort", sight.now);
            return;
        };
        let Some(text) = argument else {
            self.overlay = Some(Overlay::Menu(Menu::of_columns(table.columns)));
            return;
        };
        let column = table.columns.iter().position(|column| column.head.eq_ignore_ascii_case(text));
        match column {
            Some(column) => self.sort_by(table.columns, column),
            None => {
                let heads: Vec<&str> = table.columns.iter().map(|column| column.head).collect();
                let text = format!("no column is called {text:?}; there are {}", heads.join(", "));
                self.say(Severity::Warning, text, sight.now);
            }
        }
    }

    /// Copies the selected row, or the text of the panel.
    fn copy(&mut self, sight: Sight<'_>) -> Vec<Effect> {
        let text = match self.content(sight, self.area.width) {
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
                self.say(Severity::Info, "copied, if the terminal allows it (OSC 52)", sight.now);
                vec![Effect::Copy(text)]
            }
            None => {
                self.say(
                    Severity::Warning,
                    "there is no text here to copy; e exports figures",
                    sight.now,
                );
                Vec::new()
            }
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

fn is_sort(command: Command) -> bool {
    matches!(command, Command::SortReverse | Command::SortLeft | Command::SortRight)
}

/// Says what is open, and what becomes of it.
fn with_open_tickets(live: &AppState, fate: &str) -> String {
    match live.totals.waiting + live.totals.in_service {
        0 => "no ticket is open now".to_owned(),
        open => format!("{} {fate}", format::counted(open, "open ticket")),
    }
}

fn drain_question(live: &AppState) -> Question {
    let open = with_open_tickets(live, "are served first");
    Question {
        title: "End the run?".to_owned(),
        text: format!("arrivals and all processes stop; {open}"),
        effects: vec![Effect::Submit(Action::Drain)],
    }
}

fn stop_question(live: &AppState) -> Question {
    Question {
        title: "End the run at once?".to_owned(),
        text: with_open_tickets(live, "are not served; they stay in the log"),
        effects: vec![Effect::Submit(Action::StopNow)],
    }
}

#[cfg(test)]
mod tests;
