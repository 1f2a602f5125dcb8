//! One registry of everything a person can do: keys, help, key bar and dispatch all read it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::update::{Overlay, UiState};
use crate::app::state::{AppState, Phase};

/// Something that a person can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UiAction {
    Help,
    PauseResume,
    UsersPrompt,
    UsersMore,
    UsersFewer,
    WorkersPrompt,
    WorkersMore,
    WorkersFewer,
    Kill,
    Export,
    Quit,
    QuitNow,
    NextPanel,
    PreviousPanel,
    Zoom,
    Window,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Back,
    Repaint,
    Suspend,
    Interrupt,
}

/// Where an action belongs in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Run,
    Office,
    Move,
    Screen,
}

impl Group {
    /// All groups, in the order of the help.
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::Run, "The run"),
        (Self::Office, "The office"),
        (Self::Move, "Moving"),
        (Self::Screen, "The screen"),
    ];
}

/// One line of the registry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) action: UiAction,
    /// What it does, for people.
    pub(crate) doc: &'static str,
    /// The word in the key bar; empty if it is not shown there.
    pub(crate) short: &'static str,
    /// The keys, the first of which is shown in the key bar.
    pub(crate) keys: &'static [Key],
    pub(crate) group: Group,
}

/// A key with its modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Ctrl(char),
    Code(KeyCode, &'static str),
}

impl Key {
    /// Returns how the key is written.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Char(c) => c.to_string(),
            Self::Ctrl(c) => format!("Ctrl-{c}"),
            Self::Code(_, name) => name.to_owned(),
        }
    }

    fn matches(self, event: KeyEvent) -> bool {
        let is_ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        match self {
            Self::Char(c) => event.code == KeyCode::Char(c) && !is_ctrl,
            Self::Ctrl(c) => event.code == KeyCode::Char(c) && is_ctrl,
            Self::Code(code, _) => event.code == code,
        }
    }
}

const UP: Key = Key::Code(KeyCode::Up, "Up");
const DOWN: Key = Key::Code(KeyCode::Down, "Down");
const PAGE_UP: Key = Key::Code(KeyCode::PageUp, "PgUp");
const PAGE_DOWN: Key = Key::Code(KeyCode::PageDown, "PgDn");
const HOME: Key = Key::Code(KeyCode::Home, "Home");
const END: Key = Key::Code(KeyCode::End, "End");
const TAB: Key = Key::Code(KeyCode::Tab, "Tab");
const BACK_TAB: Key = Key::Code(KeyCode::BackTab, "Shift-Tab");
const ESC: Key = Key::Code(KeyCode::Esc, "Esc");
const F1: Key = Key::Code(KeyCode::F(1), "F1");

const fn entry(
    action: UiAction,
    keys: &'static [Key],
    short: &'static str,
    group: Group,
    doc: &'static str,
) -> Entry {
    Entry { action, doc, short, keys, group }
}

/// Everything that a person can do.
pub(crate) const REGISTRY: &[Entry] = &[
    entry(UiAction::Help, &[Key::Char('?'), F1], "help", Group::Screen, "Show this help"),
    entry(
        UiAction::PauseResume,
        &[Key::Char('p')],
        "pause",
        Group::Run,
        "Freeze arrivals and dispatch, or let them go on",
    ),
    entry(
        UiAction::Quit,
        &[Key::Char('q')],
        "quit",
        Group::Run,
        "Stop arrivals, serve what is open, end in order",
    ),
    entry(
        UiAction::UsersPrompt,
        &[Key::Char('u')],
        "users",
        Group::Office,
        "Ask how many users there should be",
    ),
    entry(
        UiAction::UsersMore,
        &[Key::Char('+'), Key::Char('=')],
        "",
        Group::Office,
        "A tenth more users, at least one",
    ),
    entry(
        UiAction::UsersFewer,
        &[Key::Char('-')],
        "",
        Group::Office,
        "A tenth fewer users, at least one",
    ),
    entry(
        UiAction::WorkersPrompt,
        &[Key::Char('w')],
        "workers",
        Group::Office,
        "Ask how many workers there should be",
    ),
    entry(UiAction::WorkersMore, &[Key::Char(']')], "", Group::Office, "One worker more"),
    entry(
        UiAction::WorkersFewer,
        &[Key::Char('[')],
        "",
        Group::Office,
        "One worker fewer; it finishes what it holds",
    ),
    entry(
        UiAction::Kill,
        &[Key::Char('K')],
        "kill",
        Group::Office,
        "Kill the selected process, to see the office recover",
    ),
    entry(UiAction::NextPanel, &[TAB], "panel", Group::Move, "Focus the next panel"),
    entry(UiAction::PreviousPanel, &[BACK_TAB], "", Group::Move, "Focus the panel before"),
    entry(
        UiAction::Zoom,
        &[Key::Char('z')],
        "zoom",
        Group::Screen,
        "Give the focused panel the whole screen, or back",
    ),
    entry(
        UiAction::Export,
        &[Key::Char('e')],
        "export",
        Group::Run,
        "Write tables, charts and a report to a new folder",
    ),
    entry(
        UiAction::Window,
        &[Key::Char('i')],
        "",
        Group::Screen,
        "Latencies of the run, or of the last 1, 10 or 60 s",
    ),
    entry(UiAction::Up, &[Key::Char('k'), UP], "", Group::Move, "Up one row"),
    entry(UiAction::Down, &[Key::Char('j'), DOWN], "", Group::Move, "Down one row"),
    entry(UiAction::PageUp, &[PAGE_UP, Key::Ctrl('u')], "", Group::Move, "Up ten rows"),
    entry(UiAction::PageDown, &[PAGE_DOWN, Key::Ctrl('d')], "", Group::Move, "Down ten rows"),
    entry(UiAction::First, &[Key::Char('g'), HOME], "", Group::Move, "To the first row"),
    entry(UiAction::Last, &[Key::Char('G'), END], "", Group::Move, "To the last row"),
    entry(UiAction::Back, &[ESC], "", Group::Screen, "Close what is open; never quits"),
    entry(UiAction::Repaint, &[Key::Ctrl('l')], "", Group::Screen, "Draw the whole screen again"),
    entry(
        UiAction::Suspend,
        &[Key::Ctrl('z')],
        "",
        Group::Screen,
        "Back to the shell; the office goes on, fg returns to it",
    ),
    entry(
        UiAction::QuitNow,
        &[Key::Char('Q')],
        "",
        Group::Run,
        "End the run at once; open tickets stay in the log",
    ),
    entry(
        UiAction::Interrupt,
        &[Key::Ctrl('c')],
        "",
        Group::Run,
        "Once like q; twice end without asking; thrice at once",
    ),
];

/// Returns what a key does while no overlay takes keys.
pub(crate) fn action(event: KeyEvent) -> Option<UiAction> {
    let entry = REGISTRY.iter().find(|entry| entry.keys.iter().any(|key| key.matches(event)))?;
    Some(entry.action)
}

/// Returns why an action can't be done now, if it can't.
pub(crate) fn disabled_reason(
    action: UiAction,
    ui: &UiState,
    app: &AppState,
) -> Option<&'static str> {
    let is_ending = matches!(app.phase, Phase::Draining { .. } | Phase::Stopped(_));
    let is_open = matches!(app.phase, Phase::Running | Phase::Paused);
    match action {
        UiAction::PauseResume if !is_open => Some("the doors are not open"),
        UiAction::UsersPrompt
        | UiAction::UsersMore
        | UiAction::UsersFewer
        | UiAction::WorkersPrompt
        | UiAction::WorkersMore
        | UiAction::WorkersFewer
            if is_ending =>
        {
            Some("the run is ending")
        }
        UiAction::Kill if is_ending => Some("the run is ending"),
        UiAction::Kill if ui.selected(app).is_none_or(|row| row.pid.is_none()) => {
            Some("no living process is selected")
        }
        _ => None,
    }
}

/// Returns the keys of an overlay, for the key bar.
pub(crate) fn overlay_keys(overlay: &Overlay) -> &'static [(&'static str, &'static str)] {
    match overlay {
        Overlay::Help { .. } => &[("j/k", "scroll"), ("Esc", "close")],
        Overlay::Prompt(_) => {
            &[("0-9", "number"), ("+/-", "step"), ("Enter", "set"), ("Esc", "close")]
        }
        Overlay::Confirm(_) => &[("y", "yes"), ("n", "no")],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_is_documented_once_and_no_key_does_two_things() {
        let mut keys = BTreeSet::new();
        for entry in REGISTRY {
            assert!(entry.doc.len() < 60, "the help has no room: {}", entry.doc);
            assert!(!entry.doc.is_empty() && !entry.keys.is_empty(), "{:?}", entry.action);
            let same = |other: &&Entry| other.action == entry.action;
            assert_eq!(REGISTRY.iter().filter(same).count(), 1, "{:?}", entry.action);
            for key in entry.keys {
                assert!(keys.insert(key.name()), "{} is taken", key.name());
            }
        }
    }

    #[test]
    fn modifiers_tell_keys_apart() {
        let press = |c, modifiers| action(KeyEvent::new(KeyCode::Char(c), modifiers));
        assert_eq!(press('z', KeyModifiers::NONE), Some(UiAction::Zoom));
        assert_eq!(press('z', KeyModifiers::CONTROL), Some(UiAction::Suspend));
        assert_eq!(press('Q', KeyModifiers::SHIFT), Some(UiAction::QuitNow));
        assert_eq!(press('y', KeyModifiers::NONE), None);
    }
}
