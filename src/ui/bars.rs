//! The tabs and the key bar: what stands where, for drawing and for the mouse alike.

use ratatui::layout::Rect;

use super::model::Overlay;
use super::registry::{Command, REGISTRY, Screen};
use super::view::Scene;
use crate::app::state::Phase;

/// The tab of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tab {
    pub(crate) screen: Screen,
    pub(crate) text: String,
    pub(crate) area: Rect,
}

/// A word of the key bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// What a click on it does.
    pub(crate) command: Option<Command>,
    pub(crate) key: String,
    pub(crate) word: &'static str,
    pub(crate) is_enabled: bool,
    pub(crate) area: Rect,
}

/// Returns the tabs that fit, from the left.
pub(crate) fn tabs(scene: Scene<'_>, area: Rect) -> Vec<Tab> {
    let text = |screen: Screen, (letters, gap): (usize, &str)| {
        let key = scene.ui.keymap.keys(Command::Screen(screen));
        let key = key.first().map(ToString::to_string).unwrap_or_default();
        let name: String = screen.name().chars().take(letters).collect();
        match (screen == scene.ui.screen, gap.is_empty()) {
            (true, _) => format!("[{key}{gap}{name}]"),
            (false, false) => format!(" {key}{gap}{name} "),
            (false, true) => format!("{key}{name} "),
        }
    };
    let width = |form: (usize, &str)| -> usize {
        Screen::ALL.iter().map(|screen| text(*screen, form).chars().count()).sum()
    };
    // Whole names, or as many letters as there is room for.
    let room = usize::from(area.width);
    let forms = [(5, " "), (5, ""), (4, ""), (3, ""), (2, ""), (1, ""), (0, "")];
    let form = forms.into_iter().find(|form| width(*form) <= room).unwrap_or((0, ""));
    let mut x = area.x;
    let tab = |screen: Screen| {
        let text = text(screen, form);
        let width = u16::try_from(text.chars().count()).unwrap_or(0);
        let area = Rect { x, width, height: 1, ..area }.intersection(area);
        x = x.saturating_add(width);
        Tab { screen, text, area }
    };
    Screen::ALL.into_iter().map(tab).collect()
}

/// Returns the keys that can be pressed now, as many as fit.
pub(crate) fn keys(scene: Scene<'_>, area: Rect) -> Vec<Word> {
    let words: Vec<(Option<Command>, String, &'static str)> = match &scene.ui.overlay {
        Some(overlay) => {
            let word = |(key, word): &(&str, &'static str)| (None, (*key).to_owned(), *word);
            overlay_keys(overlay).iter().map(word).collect()
        }
        None => commands(scene),
    };
    let mut x = area.x + 1;
    let mut shown = Vec::new();
    for (command, key, word) in words {
        let width = u16::try_from(key.chars().count() + 1 + word.chars().count()).unwrap_or(0);
        if x + width > area.right() {
            break;
        }
        let is_enabled = command.is_none_or(|command| {
            scene.ui.disabled_reason(command, scene.live, scene.app).is_none()
        });
        let area = Rect { x, width, height: 1, ..area };
        shown.push(Word { command, key, word, is_enabled, area });
        x += width + 2;
    }
    shown
}

/// Returns the commands of the key bar; while frozen, those that move through time come first.
fn commands(scene: Scene<'_>) -> Vec<(Option<Command>, String, &'static str)> {
    let key_of = |command: Command| {
        scene.ui.keymap.keys(command).first().map(ToString::to_string).unwrap_or_default()
    };
    let frozen: &[(Command, &'static str)] = &[
        (Command::Live, "live"),
        (Command::ScrubBack, "back"),
        (Command::ScrubForward, "forward"),
        (Command::EventBack, "event"),
    ];
    let time = frozen.iter().filter(|_| scene.ui.is_in_past(scene.live));
    let time = time.map(|(command, word)| (Some(*command), key_of(*command), *word));
    let usual = REGISTRY.iter().filter(|entry| !entry.short.is_empty()).map(|entry| {
        let is_paused = scene.app.phase == Phase::Paused;
        let word = match entry.command {
            Command::PauseResume if is_paused => "resume",
            Command::Freeze if scene.ui.frozen.is_some() => "follow",
            _ => entry.short,
        };
        (Some(entry.command), key_of(entry.command), word)
    });
    time.chain(usual).filter(|(_, key, _)| !key.is_empty()).collect()
}

/// Returns the keys of an overlay.
fn overlay_keys(overlay: &Overlay) -> &'static [(&'static str, &'static str)] {
    match overlay {
        Overlay::Find(find) if find.is_typing => {
            &[("Enter", "do it"), ("Up/Down", "choose"), ("Tab", "complete"), ("Esc", "close")]
        }
        Overlay::Find(_) => {
            &[("j/k", "choose"), ("Enter", "do it"), ("/", "search"), ("Esc", "close")]
        }
        Overlay::Prompt(_) => &[("Enter", "set"), ("+/-", "step"), ("Esc", "close")],
        Overlay::Confirm(_) => &[("y", "yes"), ("n", "no")],
        Overlay::Menu(_) => &[("a-z", "choose"), ("Enter", "do it"), ("Esc", "close")],
        Overlay::Plan(plan) if plan.yes.is_some() => {
            &[("y", "apply"), ("n", "drop it"), ("j/k", "scroll")]
        }
        Overlay::Plan(_) => &[("j/k", "scroll"), ("Esc", "close")],
        Overlay::Detail(_) => &[("j/k", "scroll"), ("y", "copy"), ("Esc", "close")],
    }
}
