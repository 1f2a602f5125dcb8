//! What keys do while something lies over the screen: pure, like `update`.

use std::collections::BTreeSet;

use crossterm::event::KeyCode;
use log::LevelFilter;
use tui_input::InputRequest;

use super::ask::Ask;
use super::find::{Found, find};
use super::key::Key;
use super::model::{
    Choice, Detail, Effect, Find, Menu, Overlay, Plan, Prompt, Question, Sight, UiState,
};
use super::panels::overlays::{self, wrap};
use super::registry::Command;
use super::walk::walked;
use super::widgets::table::Column;

/// Characters that a prompt takes.
const INPUT_CHARS_MAX: usize = 200;

impl UiState {
    pub(super) fn overlay_key(
        &mut self,
        overlay: Overlay,
        key: Key,
        sight: Sight<'_>,
    ) -> Vec<Effect> {
        match overlay {
            Overlay::Find(find) => self.find_key(find, key, sight),
            Overlay::Prompt(prompt) => self.prompt_key(prompt, key, sight),
            Overlay::Confirm(question) => self.confirm_key(question, key),
            Overlay::Menu(menu) => self.menu_key(menu, key, sight),
            Overlay::Detail(detail) => self.detail_key(detail, key),
            Overlay::Plan(plan) => self.plan_key(plan, key),
        }
    }

    /// Moves what is selected in an overlay, or scrolls what is read there.
    pub(super) fn walk_overlay(&self, overlay: &mut Overlay, command: Command) {
        let height = overlays::lines_shown(overlay, self.area);
        let (place, last) = match overlay {
            Overlay::Find(find) => {
                let last = find.rows().len().saturating_sub(1);
                (&mut find.selected, last)
            }
            Overlay::Menu(menu) => {
                let last = menu.choices.len().saturating_sub(1);
                (&mut menu.selected, last)
            }
            Overlay::Detail(Detail { scroll, lines, .. })
            | Overlay::Plan(Plan { scroll, lines, .. }) => {
                (scroll, lines.len().saturating_sub(height))
            }
            Overlay::Prompt(_) | Overlay::Confirm(_) => return,
        };
        if let Some(to) = walked(*place, command, last, height) {
            *place = to;
        }
    }

    fn find_key(&mut self, mut find: Find, key: Key, sight: Sight<'_>) -> Vec<Effect> {
        if key == Key::Named(KeyCode::Enter) {
            return self.run_found(&find, sight);
        }
        let command = match key {
            Key::Named(KeyCode::Up) | Key::Ctrl('k') => Some(Command::Up),
            Key::Named(KeyCode::Down) | Key::Ctrl('j' | 'n') => Some(Command::Down),
            Key::Named(KeyCode::PageUp) => Some(Command::PageUp),
            Key::Named(KeyCode::PageDown) => Some(Command::PageDown),
            Key::Ctrl('p') if find.is_typing => Some(Command::Up),
            _ if find.is_typing => None,
            key => self.keymap.command(key, false),
        };
        match (key, command) {
            (Key::Named(KeyCode::Esc), _) if find.is_help && find.is_typing => {
                find.is_typing = false;
                find.input.reset();
            }
            (Key::Named(KeyCode::Esc), _) | (_, Some(Command::Help | Command::Quit)) => {
                return Vec::new();
            }
            (Key::Named(KeyCode::Tab), _) => complete(&mut find),
            (_, Some(Command::Filter)) => find.is_typing = true,
            (_, Some(Command::Palette)) => {
                find.is_help = false;
                find.is_typing = true;
            }
            (_, Some(command)) => {
                self.keep_walking(Overlay::Find(find), Some(command));
                return Vec::new();
            }
            (key, None) if find.is_typing && edit(&mut find.input, key) => find.selected = 0,
            _ => {}
        }
        self.overlay = Some(Overlay::Find(find));
        Vec::new()
    }

    /// Carries out the selected line.
    pub(super) fn run_found(&mut self, find: &Find, sight: Sight<'_>) -> Vec<Effect> {
        let rows = find.rows();
        match rows.get(find.selected) {
            Some(Found { entry, argument }) => self.act(entry.command, argument.as_deref(), sight),
            None => {
                self.overlay = Some(Overlay::Find(find.clone()));
                Vec::new()
            }
        }
    }

    fn prompt_key(&mut self, mut prompt: Prompt, key: Key, sight: Sight<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        match key {
            Key::Named(KeyCode::Esc) => {
                // What was typed has acted already.
                if let Ask::Filter(panel) = prompt.ask {
                    self.arrangement_mut(panel).filter = prompt.first;
                }
                return effects;
            }
            Key::Named(KeyCode::Enter)
                if prompt.input.value().is_empty() && prompt.ask.needs_text() =>
            {
                return effects;
            }
            Key::Named(KeyCode::Enter) => match prompt.ask.read(prompt.input.value(), sight.live) {
                Ok(answer) => return self.take(answer),
                Err(error) => prompt.error = Some(error),
            },
            Key::Char(sign @ ('+' | '-' | '=')) if prompt.input.value().is_empty() => {
                match prompt.ask.step(sign != '-', sight.live) {
                    Some(answer) => effects = self.take(answer),
                    None => drop(edit(&mut prompt.input, key)),
                }
            }
            _ => {
                if edit(&mut prompt.input, key) {
                    prompt.error = None;
                }
            }
        }
        if prompt.ask.is_live()
            && let Ok(answer) = prompt.ask.read(prompt.input.value(), sight.live)
        {
            effects.extend(self.take(answer));
        }
        self.overlay = Some(Overlay::Prompt(prompt));
        effects
    }

    fn confirm_key(&mut self, question: Question, key: Key) -> Vec<Effect> {
        match key {
            Key::Char('y' | 'Y') | Key::Named(KeyCode::Enter) => question.effects,
            Key::Char('n' | 'N' | 'q') | Key::Named(KeyCode::Esc) => Vec::new(),
            _ => self.confirm(question),
        }
    }

    fn menu_key(&mut self, menu: Menu, key: Key, sight: Sight<'_>) -> Vec<Effect> {
        let by_letter = match key {
            Key::Char(char) => menu.choices.iter().position(|choice| choice.key == char),
            Key::Named(KeyCode::Enter) => Some(menu.selected),
            _ => None,
        };
        if let Some(at) = by_letter {
            return self.choose(&menu, at, sight);
        }
        match (key, self.keymap.command(key, false)) {
            (Key::Named(KeyCode::Esc), _) | (_, Some(Command::Quit)) => {}
            (_, command) => self.keep_walking(Overlay::Menu(menu), command),
        }
        Vec::new()
    }

    /// Leaves an overlay open, and moves in it if a command does that.
    pub(super) fn keep_walking(&mut self, mut overlay: Overlay, command: Option<Command>) {
        if let Some(command) = command {
            self.walk_overlay(&mut overlay, command);
        }
        self.overlay = Some(overlay);
    }

    /// Carries out a line of a menu.
    pub(super) fn choose(&mut self, menu: &Menu, at: usize, sight: Sight<'_>) -> Vec<Effect> {
        let Some(Choice { command, argument, .. }) = menu.choices.get(at) else {
            return Vec::new();
        };
        let argument = (!argument.is_empty()).then_some(argument.as_str());
        self.act(*command, argument, sight)
    }

    fn detail_key(&mut self, detail: Detail, key: Key) -> Vec<Effect> {
        match (key, self.keymap.command(key, false)) {
            (Key::Named(KeyCode::Esc | KeyCode::Enter), _)
            | (_, Some(Command::Quit | Command::Back)) => Vec::new(),
            (_, Some(Command::Copy)) => {
                let text = detail.text();
                self.overlay = Some(Overlay::Detail(detail));
                vec![Effect::Copy(text)]
            }
            (_, command) => {
                self.keep_walking(Overlay::Detail(detail), command);
                Vec::new()
            }
        }
    }
}

impl Find {
    /// Returns the lines that fit what was typed.
    pub(crate) fn rows(&self) -> Vec<Found> {
        find(self.input.value())
    }
}

impl Menu {
    /// Returns a menu of the columns that rows can be sorted by.
    pub(super) fn of_columns(columns: &[Column]) -> Self {
        let letters = ('a'..='z').filter(|char| !matches!(char, 'j' | 'k' | 'q' | 'g'));
        let choice = |(column, key): (&Column, char)| Choice {
            key,
            label: column.head.to_owned(),
            note: String::new(),
            command: Command::Sort,
            argument: column.head.to_owned(),
        };
        // A column of marks has no name to be called by.
        let named = columns.iter().filter(|column| !column.head.is_empty());
        let choices = named.zip(letters).map(choice).collect();
        Self { title: "Sort by".to_owned(), choices, selected: 0 }
    }

    /// Returns a menu of levels, the present one selected.
    pub(super) fn of_levels(level: LevelFilter) -> Self {
        let levels = [
            ('e', LevelFilter::Error, "a role gives up"),
            ('w', LevelFilter::Warn, "odd but handled"),
            ('i', LevelFilter::Info, "what begins and ends"),
            ('d', LevelFilter::Debug, "what processes decide"),
            ('t', LevelFilter::Trace, "each word to a supervisor"),
        ];
        let selected = levels.iter().position(|(_, own, _)| *own == level).unwrap_or(0);
        let choice = |(key, level, note): (char, LevelFilter, &str)| Choice {
            key,
            label: level.as_str().to_lowercase(),
            note: note.to_owned(),
            command: Command::LogLevel,
            argument: level.as_str().to_lowercase(),
        };
        let choices = levels.into_iter().map(choice).collect();
        Self { title: "Show lines down to which level?".to_owned(), choices, selected }
    }

    /// Returns a menu of who logs, each shown or hidden, as many as there are letters.
    pub(super) fn of_sources(sources: &BTreeSet<String>, hidden: &BTreeSet<String>) -> Self {
        let letters = ('a'..='z').chain('A'..='Z').filter(|char| !matches!(char, 'j' | 'k' | 'q'));
        let all = ("all".to_owned(), "show everybody's".to_owned());
        let each = sources.iter().map(|source| {
            let is_hidden = hidden.contains(source);
            (source.clone(), if is_hidden { "hidden; shows" } else { "shown; hides" }.to_owned())
        });
        let choice = |((source, note), key): ((String, String), char)| Choice {
            key,
            label: source.clone(),
            note,
            command: Command::LogSources,
            argument: source,
        };
        let choices = std::iter::once(all).chain(each).zip(letters).map(choice).collect();
        Self { title: "Whose lines?".to_owned(), choices, selected: 0 }
    }
}

impl Detail {
    /// Returns a window on names and values; what is too long for the screen goes on below.
    pub(super) fn of(title: String, lines: Vec<(String, String)>, screen_width: u16) -> Self {
        Self { title, lines: wrapped(lines, screen_width), scroll: 0 }
    }

    fn text(&self) -> String {
        let line = |(name, value): &(String, String)| format!("{name}\t{value}\n");
        self.lines.iter().map(line).collect()
    }
}

/// Breaks values that are too long for a window on the screen; what goes on has no name.
pub(super) fn wrapped(lines: Vec<(String, String)>, screen_width: u16) -> Vec<(String, String)> {
    let names = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let room = usize::from(screen_width).saturating_sub(names + 8).max(16);
    let pieces = lines.into_iter().flat_map(|(name, value)| {
        let mut name = Some(name);
        let pieces = wrap(&value, room).into_iter();
        pieces.map(move |piece| (name.take().unwrap_or_default(), piece)).collect::<Vec<_>>()
    });
    pieces.collect()
}

/// Writes the selected command's name, so that its argument can be typed.
fn complete(find: &mut Find) {
    let rows = find.rows();
    if let Some(found) = rows.get(find.selected).filter(|found| found.argument.is_none()) {
        let space = if found.entry.argument.is_empty() { "" } else { " " };
        let text = format!("{}{space}", found.entry.id);
        find.input = tui_input::Input::new(text);
        find.is_typing = true;
        find.selected = 0;
    }
}

/// Edits a line as a key asks; returns whether the key meant something.
fn edit(input: &mut tui_input::Input, key: Key) -> bool {
    let request = match key {
        Key::Char(_) if input.value().chars().count() >= INPUT_CHARS_MAX => return false,
        Key::Char(char) if !char.is_control() => InputRequest::InsertChar(char),
        Key::Named(KeyCode::Backspace) | Key::Ctrl('h') => InputRequest::DeletePrevChar,
        Key::Named(KeyCode::Delete) => InputRequest::DeleteNextChar,
        Key::Named(KeyCode::Left) | Key::Ctrl('b') => InputRequest::GoToPrevChar,
        Key::Named(KeyCode::Right) | Key::Ctrl('f') => InputRequest::GoToNextChar,
        Key::Named(KeyCode::Home) | Key::Ctrl('a') => InputRequest::GoToStart,
        Key::Named(KeyCode::End) | Key::Ctrl('e') => InputRequest::GoToEnd,
        Key::Ctrl('w') => InputRequest::DeletePrevWord,
        Key::Ctrl('u') => InputRequest::DeleteLine,
        _ => return false,
    };
    input.handle(request);
    true
}
